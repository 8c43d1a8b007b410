"""Batches of windows for many networks at once, each with draws of its own.

Where a process has few windows, a batch of random windows is a number of times for each of them: these
multinomial numbers are drawn, and every window goes through the network once. Loss and gradient are those
of the batch itself, for a fraction of the work (18 windows in place of 128 for the published cycle).
"""

from __future__ import annotations

__all__ = ["BLOCK", "Batch", "Batches", "all_windows"]

from collections.abc import Sequence
from functools import lru_cache
from typing import NamedTuple

import numpy as np
import torch
from torch import Tensor

from ..train import numpy_generator
from .families import SymbolicConfig
from .task import Windows

BLOCK = 100
"""batches drawn at once"""


class Batch(NamedTuple):
    """Windows with their targets, tokens (window, context + 1) or (network, window, context + 1).

    weights: share of the batch, (network, window), each network's summing to 1.
    """

    tokens: Tensor
    weights: Tensor


class Batches:
    """Batch `step` of every network, a function of its seed and the step alone.

    count: whether to count windows instead of drawing them (default: where it is less work). A batch of 0 is
    all windows with their probabilities, the same at every step. Raises ValueError for a batch of 0, or
    `count`, where a process has too many windows.
    """

    def __init__(
        self, config: SymbolicConfig, seeds: Sequence[str], *, count: bool | None = None, device: str = "cpu"
    ) -> None:
        self.config, self.seeds, self.device = config, list(seeds), device
        windows = all_windows(config)
        if windows is None and (count or not config.batch):
            raise ValueError(
                f"{config.family} networks: too many windows to count them: give a batch to draw"
            )
        fewer = windows is not None and (not config.batch or len(windows.tokens) <= config.batch)
        self._windows = windows if count or (count is None and fewer) else None
        self._block = lru_cache(maxsize=2)(self._draw)

    @property
    def probability(self) -> Tensor | None:
        """Probability of each window, (window,), where windows are counted."""
        if self._windows is None:
            return None
        return torch.as_tensor(self._windows.probability, dtype=torch.float32, device=self.device)

    def at(self, step: int) -> Batch:
        """The batch of a step, from 0."""
        block, k = divmod(step, BLOCK)
        tokens, weights = self._block(block)
        return Batch(tokens if tokens.ndim == 2 else tokens[:, k], weights[:, k])

    def _draw(self, block: int) -> tuple[Tensor, Tensor]:
        generators = [numpy_generator(seed, "batches", block) for seed in self.seeds]
        batch = self.config.batch
        if self._windows is None:
            tokens = np.stack([self._sampled(g) for g in generators])
            weights = np.full((len(self.seeds), BLOCK, batch), 1 / batch)
        else:
            tokens, probability = self._windows
            weights = np.broadcast_to(probability, (len(self.seeds), BLOCK, len(probability)))
            if batch:
                weights = (
                    np.stack([g.multinomial(batch, probability, size=BLOCK) for g in generators]) / batch
                )
        weights = torch.as_tensor(weights.astype(np.float32))
        return torch.as_tensor(tokens).to(self.device), weights.to(self.device)

    def _sampled(self, generator: np.random.Generator) -> np.ndarray:
        """(step, window, context + 1)."""
        length, trials = self.config.context + 1, BLOCK * self.config.batch
        tokens = self.config.source().sample(trials, length, generator)
        return tokens.reshape(BLOCK, self.config.batch, length)


def all_windows(config: SymbolicConfig) -> Windows | None:
    """All windows of context + 1 symbols with their probabilities; None where there are too many to count."""
    if config.process != "cycle":
        return None
    try:
        return config.cycle().windows(config.context + 1)
    except ValueError:
        return None
