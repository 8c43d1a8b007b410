"""Scores of a network on every window that its process can show, next to the best that is possible."""

from __future__ import annotations

__all__ = ["Scores", "divergence", "kl", "log_probabilities", "score", "test_windows"]

from dataclasses import dataclass

import numpy as np
import torch
from torch import Tensor

from ..train import numpy_generator
from .batches import all_windows
from .families import SymbolicConfig
from .hooks import Hooked
from .task import Cycle, Windows

SAMPLED = 4096
"""windows of a test set, where there are too many to count"""


@dataclass(frozen=True)
class Scores:
    """What a network does with windows, expected over them; costs in nats, by place (time,)."""

    loss_by_place: np.ndarray
    """-ln p(next symbol)"""
    accuracy_by_place: np.ndarray
    """how often the most likely symbol comes"""

    @property
    def loss(self) -> float:
        """Mean over places."""
        return float(self.loss_by_place.mean())

    @property
    def accuracy(self) -> float:
        """Mean over places."""
        return float(self.accuracy_by_place.mean())


def test_windows(config: SymbolicConfig) -> Windows:
    """Windows of context + 1 symbols: all of a cycle with their probabilities, else 4096 drawn ones.

    Those of Lorenz networks come from a trajectory of their own; a deterministic cycle has no others than
    those that a network was trained on.
    """
    if (counted := all_windows(config)) is not None:
        return counted
    generator = numpy_generator(0, "test windows", config.process)
    tokens = config.source("test").sample(SAMPLED, config.context + 1, generator)
    return Windows(tokens, np.full(SAMPLED, 1 / SAMPLED))


@torch.no_grad()
def log_probabilities(model: Hooked, tokens: np.ndarray | Tensor, *, at_once: int = 512) -> np.ndarray:
    """ln p(next symbol) after each prefix, tokens (trial, time) -> (trial, time, symbol), float64."""
    parts = torch.as_tensor(np.asarray(tokens)).split(at_once)
    return torch.cat([model(part).double().log_softmax(dim=-1) for part in parts]).numpy()


def score(model: Hooked, windows: Windows) -> Scores:
    """Scores on windows (window, context + 1), weighted by their probability."""
    logs, targets = log_probabilities(model, windows.tokens[:, :-1]), windows.tokens[:, 1:, None]
    costs = -np.take_along_axis(logs, targets, axis=-1)[..., 0]
    hits = logs.argmax(axis=-1) == targets[..., 0]
    return Scores(windows.probability @ costs, windows.probability @ hits)


def kl(true: Tensor, other: Tensor) -> Tensor:
    """Kullback-Leibler divergence in nats, sum of p ln(p / q), of ln p and ln q (..., symbol) -> (...)."""
    return torch.where(true == -torch.inf, 0, true.exp() * (true - other)).sum(dim=-1)


def divergence(model: Hooked, cycle: Cycle, windows: Windows) -> float:
    """Mean Kullback-Leibler divergence in nats of a network's prediction from the exact one, over places.

    What its expected loss has above the floor.
    """
    exact = torch.from_numpy(cycle.predictive(windows.tokens[:, :-1])).log()
    gaps = kl(exact, torch.from_numpy(log_probabilities(model, windows.tokens[:, :-1])))
    return float((windows.probability @ gaps.numpy()).mean())
