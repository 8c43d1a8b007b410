"""Ring networks: sensory-memory interference on a circular delayed-recall task with a distractor.

    from wm import ring
    rt = ring.load("rt")                                   # 30 shipped networks as one ensemble
    batch = ring.task_of(rt.config).batch(directions_deg)  # (network, trial, 2)
    rates = ring.simulate(rt.weights, batch)               # (network, trial, time, unit)
    ring.train("rt", networks=4, save=False)

Source: Zahorodnii et al. 2025, bioRxiv 2025.03.17.643652.
"""

from .campaign import measure_errors, train
from .construction import build, design, initial, kernel
from .evaluate import KEPT_BELOW_DEG, Errors, block_noise, errors, task_of
from .families import FAMILIES, PUBLISHED_OPTIONS, Family, RingConfig, config, family_name
from .learner import RingLearner
from .library import Ensemble, as_ensemble, load, names
from .network import Weights, drive, outputs, simulate, steps
from .task import MEDIAN_DELAYS, Batch, Delays, Task, angular_error, grid_directions, tuning_curve

__all__ = [
    "FAMILIES", "KEPT_BELOW_DEG", "MEDIAN_DELAYS", "PUBLISHED_OPTIONS", "Batch", "Delays", "Ensemble",
    "Errors", "Family", "RingConfig", "RingLearner", "Task", "Weights", "angular_error", "as_ensemble",
    "block_noise", "build", "config", "design", "drive", "errors", "family_name", "grid_directions",
    "initial", "kernel", "load", "measure_errors", "names", "outputs", "simulate", "steps", "task_of",
    "train", "tuning_curve",
]  # fmt: skip
