"""Batches of sequences for many networks at once, each with draws of its own."""

from __future__ import annotations

__all__ = ["BLOCK", "Batch", "Batches", "counted", "dropout_masks", "dropout_places"]

import math
from collections.abc import Sequence
from functools import lru_cache
from typing import NamedTuple

import numpy as np
import torch
from torch import Tensor

from ..train import numpy_generator, spawn
from .families import IMAGES, PlasticConfig, make_task
from .fewshot.gallery import Gallery

BLOCK = 50
"""batches drawn at once"""


class Batch(NamedTuple):
    """Sequences, those of tasks with fewer tokens filled up with zeros, which `counted` leaves out."""

    inputs: Tensor
    """tokens (network, trial, time), or numbers (network, trial, time, input)"""
    targets: Tensor
    """tokens or numbers (network, trial, time)"""


class Batches:
    """Batch `step` of every network, a function of its seed, its task and the step alone."""

    def __init__(
        self, configs: Sequence[PlasticConfig], seeds: Sequence[str], *, device: str = "cpu"
    ) -> None:
        self.tasks = [make_task(config) for config in configs]
        self.seeds, self.batch, self.device = list(seeds), configs[0].batch, device
        self.length = max(task.length for task in self.tasks)
        self.gallery = Gallery(self.tasks, device) if configs[0].task == IMAGES else None
        self._block = lru_cache(maxsize=2)(self._draw)

    def at(self, step: int) -> Batch:
        """The batch of a step, from 0."""
        block, k = divmod(step, BLOCK)
        drawn = [part[:, k] for part in self._block(block)]
        return Batch(*(self.gallery.tokens(*drawn) if self.gallery else drawn))

    def _draw(self, block: int) -> list[Tensor]:
        parts = [
            self._padded(task.draw(BLOCK * self.batch, numpy_generator(seed, "batches", block)))
            for task, seed in zip(self.tasks, self.seeds, strict=True)
        ]
        stacked = (torch.as_tensor(np.stack(each)) for each in zip(*parts, strict=True))
        return [each.unflatten(1, (BLOCK, self.batch)).to(self.device) for each in stacked]

    def _padded(self, drawn: Sequence[np.ndarray]) -> tuple[np.ndarray, ...]:
        missing = self.length - drawn[1].shape[1]
        return tuple(np.pad(x, [(0, 0), (0, missing)] + [(0, 0)] * (x.ndim - 2)) for x in drawn)


def counted(configs: Sequence[PlasticConfig], *, answers: bool) -> np.ndarray:
    """Which tokens count, (network, time) of 0 and 1: answers alone, or all; the rest of longer ones is 0."""
    tasks = [make_task(config) for config in configs]
    rows = [task.queries if answers else np.ones(task.length) for task in tasks]
    longest = max(task.length for task in tasks)
    return np.stack([np.pad(row.astype(np.float32), (0, longest - len(row))) for row in rows])


def dropout_places(config: PlasticConfig, length: int) -> dict[str, tuple[int, ...]]:
    """Where a transformer drops units, and the shape of a mask there for one sequence."""
    found = {}
    for block in (f"blocks.{k}" for k in range(config.layers)):
        found[f"{block}.pattern"] = (config.heads, length, length)
        found[f"{block}.attended"] = (length, config.width)
        found[f"{block}.first"] = (length, config.feedforward)
        found[f"{block}.second"] = (length, config.width)
    return found


def dropout_masks(config: PlasticConfig, length: int, drawn: Tensor) -> dict[str, Tensor]:
    """Masks by place, 0 or 1 / (1 - share), from numbers between 0 and 1, (network, trial, number)."""
    places = dropout_places(config, length)
    parts = drawn.split([math.prod(shape) for shape in places.values()], dim=-1)
    kept = 1 - config.dropout
    return {
        name: (part < kept).to(part.dtype).div(kept).unflatten(-1, shape)
        for (name, shape), part in zip(places.items(), parts, strict=True)
    }


def draw_dropout(config: PlasticConfig, length: int, seeds: Sequence[str], step: int, out: Tensor) -> None:
    """Fill `out` (network, trial, number) with what `dropout_masks` needs at a step, each row by its seed."""
    generator = torch.Generator(out.device)
    for row, seed in zip(out, seeds, strict=True):
        generator.manual_seed(int(spawn(seed, "dropout", step).generate_state(1, np.uint64)[0] >> 1))
        row.uniform_(generator=generator)
