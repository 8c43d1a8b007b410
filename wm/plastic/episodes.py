"""What tasks of one episode share: the layout of episodes, and draws of whole batches in float32."""

from __future__ import annotations

__all__ = ["Episodes", "Task", "blank", "layer", "normal", "orders", "signed"]

import math
from typing import ClassVar, NamedTuple

import numpy as np


class Episodes(NamedTuple):
    """Episodes of a task.

    inputs: (trial, time) int64 of a symbolic task, else (trial, time, input) float32;
    targets: (trial, time), int64 of a categorical task, else float32.
    """

    inputs: np.ndarray
    targets: np.ndarray


class Task:
    """What every task has: a length, sizes, the places of its queries, and a way to draw episodes."""

    symbolic: ClassVar[bool] = False
    """inputs are symbols; otherwise numbers"""
    categorical: ClassVar[bool] = False
    """targets are symbols or classes, scored by cross-entropy; otherwise numbers, by squared error"""

    @property
    def length(self) -> int:
        """Tokens of an episode."""
        raise NotImplementedError

    @property
    def inputs(self) -> int:
        """Numbers of an input token; of a symbolic task, the symbols."""
        raise NotImplementedError

    @property
    def given(self) -> int:
        """Numbers of a token as episodes give it, where an encoder makes `inputs` of them."""
        return self.inputs

    @property
    def outputs(self) -> int:
        """Numbers of an answer; of a symbolic task, the symbols."""
        return self.inputs if self.symbolic else 1

    @property
    def answers(self) -> int:
        """Queries of an episode, all at its end."""
        raise NotImplementedError

    @property
    def queries(self) -> np.ndarray:
        """Whether the answer to a token counts, (time,) bool."""
        return np.arange(self.length) >= self.length - self.answers

    @property
    def late(self) -> np.ndarray:
        """The second half of an episode, which the published accuracy counts, blanks too, (time,) bool."""
        return np.arange(self.length) >= self.length // 2

    @property
    def held_out(self) -> Task:
        """The task with what networks are tested on, where that differs by more than the draw."""
        return self

    def sample(self, trials: int, generator: np.random.Generator) -> Episodes:
        """Draw episodes, each by itself."""
        raise NotImplementedError

    def draw(self, trials: int, generator: np.random.Generator) -> tuple[np.ndarray, ...]:
        """What chance decides of episodes, arrays (trial, time, ...); by default all of them."""
        return self.sample(trials, generator)

    def _require(self, **least: int) -> None:
        for name, lowest in least.items():
            if not lowest <= getattr(self, name) < math.inf:  # refuses NaN, too
                raise ValueError(f"{name} must be at least {lowest}, and finite, in {self}")


def blank(trials: int, task: Task) -> Episodes:
    """Episodes of zeros: inputs (trial, time, input) and targets (trial, time), float32."""
    inputs = np.zeros((trials, task.length, task.inputs), dtype=np.float32)
    return Episodes(inputs, np.zeros((trials, task.length), dtype=np.float32))


def signed(generator: np.random.Generator, *shape: int) -> np.ndarray:
    """U(-1, 1), float32."""
    return 2 * generator.random(shape, dtype=np.float32) - 1


def normal(generator: np.random.Generator, deviation: float, *shape: int) -> np.ndarray:
    """N(0, deviation^2), float32."""
    return deviation * generator.standard_normal(shape, dtype=np.float32)


def orders(generator: np.random.Generator, trials: int, size: int) -> np.ndarray:
    """Permutations of 0 ... size - 1, (trial, size)."""
    return generator.random((trials, size), dtype=np.float32).argsort(axis=1)


def layer(x: np.ndarray, units: int, generator: np.random.Generator) -> np.ndarray:
    """A linear layer of its own for each trial, (trial, time, input) -> (trial, time, unit).

    Weights and biases: U(-1 / sqrt(input), 1 / sqrt(input)).
    """
    drawn = signed(generator, len(x), x.shape[2] + 1, units) / np.float32(np.sqrt(x.shape[2]))
    return x @ drawn[:, :-1] + drawn[:, -1:]
