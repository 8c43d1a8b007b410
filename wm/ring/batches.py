"""Training batches of ring networks: each a function of the network's seed and the training step alone."""

from __future__ import annotations

__all__ = ["Batches"]

from collections.abc import Sequence
from typing import NamedTuple

import numpy as np

from ..train import numpy_generator
from .task import Batch, Delays, Task

BLOCK = 100
"""batches drawn at once from one generator"""


class _Block(NamedTuple):
    delays: np.ndarray  # (batch, 3)
    directions_deg: np.ndarray  # (batch, trial, 2)
    present: np.ndarray  # (batch, trial), whether the distractor is shown


class Batches:
    """Batch after batch for an ensemble.

    Delays are uniform over the ranges of the task, the same for all trials of a network's batch; directions
    are uniform on the circle; the distractor is shown with the probability of the task. Nothing is kept from
    step to step, so any step can be asked for, and networks of the same seed see the same trials.
    """

    def __init__(self, task: Task, seeds: Sequence[str], trials: int) -> None:
        self.task, self.trials = task, trials
        self._seeds, self._place = np.unique(list(seeds), return_inverse=True)
        self._number, self._blocks = -1, _Block(*(np.empty(0) for _ in _Block._fields))

    def at(self, step: int) -> Batch:
        """The batch of a training step, from 0; every trial is padded to the longest possible one."""
        number, k = divmod(step, BLOCK)
        if number != self._number:
            drawn = [self._draw(str(seed), number) for seed in self._seeds]
            self._number, self._blocks = number, _Block(*map(np.stack, zip(*drawn, strict=True)))
        delays, directions, present = (rows[self._place, k] for rows in self._blocks)
        return self.task.batch(directions, Delays(*delays.T), present=present, steps=self.task.steps())

    def _draw(self, seed: str, number: int) -> _Block:
        task, generator = self.task, numpy_generator(seed, "batches", number)
        ranges = (task.fixation, task.onset, task.delay)
        delays = [generator.integers(low, high, BLOCK, endpoint=True) for low, high in ranges]
        directions = 360 * generator.random((BLOCK, self.trials, 2), dtype=np.float32)
        present = generator.random((BLOCK, self.trials), dtype=np.float32) < task.distractor_probability
        return _Block(np.stack(delays, axis=1), directions, present)
