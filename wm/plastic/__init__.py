"""Plastic networks: transformers and recurrent networks whose weights change while they work.

    from wm import plastic
    trained = plastic.load("copying_hebbian-00")
    trace = trained.run(tokens)                    # (trial, time)
    trace.rates.rate                               # (1, trial, time)
    plastic.train("cue_reward_gradient", networks=2, save=False)

Facts: Chaudhary 2025 (arXiv 2510.21908), Duan et al. 2023 (arXiv 2302.03235); code and analyses are our own.
"""

from .campaign import Campaign, train, train_ensemble
from .engine import Trace, run
from .evaluate import Evaluation, evaluated, test_episodes
from .families import (
    FAMILIES,
    PRESETS,
    PUBLISHED_OPTIONS,
    TASKS,
    PlasticConfig,
    config,
    family_name,
    make_task,
)
from .learner import PlasticLearner
from .levels import levels
from .library import Trained, load, load_family, names, untrained
from .memory import Memory, fast_weights, squared_norms
from .parameters import initial, layout, plastic_layers
from .rates import Rates, knobs
from .rules import RULES, Rule, Signal, Write

__all__ = [
    "FAMILIES", "PRESETS", "PUBLISHED_OPTIONS", "RULES", "TASKS", "Campaign", "Evaluation",
    "Memory", "PlasticConfig", "PlasticLearner", "Rates", "Rule", "Signal", "Trace", "Trained", "Write",
    "config", "evaluated", "family_name", "fast_weights", "initial", "knobs", "layout", "levels", "load",
    "load_family", "make_task", "names", "plastic_layers", "run", "squared_norms", "test_episodes", "train",
    "train_ensemble", "untrained",
]  # fmt: skip
