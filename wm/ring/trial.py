"""One trial of one ring network, its units sorted by what they stand for."""

from __future__ import annotations

__all__ = ["Trial", "run_trial", "unit_order"]

from typing import NamedTuple

import numpy as np

from ..train import torch_generator
from .evaluate import block_noise, task_of
from .library import Ensemble
from .network import outputs, simulate
from .task import DT_MS, MEDIAN_DELAYS, Delays
from .tuning import TUNED_ABOVE, Recording, direction_selectivity, preferred_direction, ring_units


class Trial(NamedTuple):
    """One trial of one network, its units in the order of `unit_order`.

    inputs: (time, input), the last input is the go cue; rates: (time, unit); outputs: (time, 2), sin and cos;
    target: (2,), what is wanted of them; preferred_deg: (unit,); ring: (unit,) bool, memory-ring units;
    landmarks: event -> first step; directions_deg: target and distractor.
    """

    inputs: np.ndarray
    rates: np.ndarray
    outputs: np.ndarray
    target: np.ndarray
    preferred_deg: np.ndarray
    ring: np.ndarray
    landmarks: dict[str, int]
    directions_deg: tuple[float, float]

    def after_target_ms(self, steps: int | np.ndarray) -> int | np.ndarray:
        """Time of steps from target onset, ms."""
        return (steps - self.landmarks["target"]) * DT_MS

    def span_ms(self, event: str) -> tuple[int, int]:
        """Beginning and end of `target`, `distractor` or `go`, ms from target onset."""
        stop = {"target": "delay", "distractor": "distractor_off", "go": "end"}[event]
        return tuple(self.after_target_ms(self.landmarks[name]) for name in (event, stop))

    @property
    def limits_ms(self) -> tuple[int, int]:
        """Beginning and end of the trial, ms from target onset."""
        return self.after_target_ms(0), self.after_target_ms(len(self.rates))


def run_trial(
    ensemble: Ensemble,
    recording: Recording,
    directions_deg: tuple[float, float],
    *,
    noise: float = 0.0,
    delays: Delays = MEDIAN_DELAYS,
    seed: int = 0,
) -> Trial:
    """Run an ensemble of one network on one target and one distractor direction, in degrees.

    recording: of the same network, with windows cue, delay and go; it sorts the units. The noise depends on
    the network's seed and on `seed`. ValueError for several networks, negative noise, impossible delays.
    """
    if len(ensemble) != 1:
        raise ValueError(f"a trial is of one network, got {len(ensemble)}: load one, such as 'wmd-01'")
    if not noise >= 0:
        raise ValueError(f"noise must be 0 or more, got {noise}")
    task = task_of(ensemble.config, distractor_probability=1.0)
    batch = task.batch(np.array(directions_deg, dtype=float)[None, None], delays)
    generators = [torch_generator(ensemble.seeds[0], "trial", seed)]
    source = block_noise(generators, 1, ensemble.config.units, noise=noise) if noise else None
    rates = simulate(ensemble.weights, batch, noise=source)
    order, preferred, ring = unit_order(recording)
    return Trial(
        batch.inputs()[0, 0].numpy(),
        rates[0, 0].numpy()[:, order],
        outputs(ensemble.weights, rates)[0, 0].numpy(),
        batch.targets()[0, 0],
        preferred[order],
        ring[order],
        {event: int(step[0]) for event, step in batch.landmarks.items()},
        tuple(map(float, directions_deg)),
    )


def unit_order(recording: Recording) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Units of the first network in drawing order; their preferred direction, deg, and whether of the ring.

    Untuned units come first, then those tuned in the cue, then memory-ring units; within each by preferred
    direction, of ring units in the delay, of the others in the cue. Three arrays (unit,), the last two
    unsorted.
    """
    angles = recording.directions_deg
    cue, delay = (preferred_direction(recording.rates[window], angles)[0] for window in ("cue", "delay"))
    ring = ring_units(recording)[0]
    tuned = direction_selectivity(recording.rates["cue"], angles)[0] > TUNED_ABOVE
    preferred = np.where(ring, delay, cue)
    return np.lexsort((preferred, np.select([ring, tuned], [2, 1], 0))), preferred, ring
