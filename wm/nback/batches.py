"""Trials for many networks at once, each with draws and tasks of its own."""

from __future__ import annotations

__all__ = ["BLOCK", "Batches", "diet_places", "make_sampler"]

from collections.abc import Mapping, Sequence
from functools import lru_cache

import numpy as np
import torch
from torch import Tensor

from ..seeds import numpy_generator
from .families import NBackConfig, diet
from .task import Sampler, Task, Trials

BLOCK = 50
"""batches drawn at once"""


def make_sampler(
    config: NBackConfig, labels: Mapping[str, np.ndarray], tasks: Sequence[Task], device: str | torch.device
) -> Sampler:
    """Trials of these tasks, with the settings of a configuration, of images that have these labels."""
    return Sampler(
        labels, length=config.length, match_probability=config.match_probability, lures=config.lures,
        tasks=tasks, device=device,
    )  # fmt: skip


def diet_places(configs: Sequence[NBackConfig], trials: range) -> np.ndarray:
    """Tasks of these trials, places in `TASKS`, (network, trial): each network goes round its own diet."""
    diets = [[task.place for task in diet(config)] for config in configs]
    return np.array([np.resize(np.roll(own, -(trials.start % len(own))), len(trials)) for own in diets])


class Batches:
    """Batch `step` of every network, a function of its seed, its diet and the step alone.

    Networks of the same seed have the same draws, whatever else they differ in.
    """

    def __init__(
        self, configs: Sequence[NBackConfig], seeds: Sequence[str], labels: Mapping[str, np.ndarray], *,
        device: str | torch.device = "cpu",
    ) -> None:  # fmt: skip
        self.configs, self.seeds, self.batch = list(configs), list(seeds), configs[0].batch
        tasks = {task for config in configs for task in diet(config)}
        tasks = sorted(tasks, key=lambda task: task.place)
        self.sampler = make_sampler(configs[0], labels, tasks, device)
        self._block = lru_cache(maxsize=2)(self._draw)

    def at(self, step: int) -> Trials:
        """The batch of a step, from 0: (network, trial, time), tasks (network, trial)."""
        block, k = divmod(step, BLOCK)
        return Trials(*(part[:, k] for part in self._block(block)))

    def _draw(self, block: int) -> list[Tensor]:
        many, device = BLOCK * self.batch, self.sampler.device
        shape = many, self.sampler.numbers
        drawn = [
            numpy_generator(seed, "trials", block).random(shape, dtype=np.float32) for seed in self.seeds
        ]
        tasks = diet_places(self.configs, range(block * many, (block + 1) * many))
        uniforms, places = (torch.as_tensor(each, device=device) for each in (np.stack(drawn), tasks))
        return [each.unflatten(1, (BLOCK, self.batch)) for each in self.sampler.trials(uniforms, places)]
