"""Tasks that need a memory within one episode: copying, cue and reward, regression from examples.

An episode is a string of tokens. First something is shown, then it is asked for: the last tokens are the
queries. Everything shown is drawn anew in each episode, so that it cannot be stored in trained weights.
Two suites share one interface: `Copying`, `CueReward`, `Regression` of the plastic transformer (Chaudhary
2025, arXiv 2510.21908), and `ContinuousCopying`, `NoisyCueReward`, `NoisyRegression` of the plastic recurrent
networks (Duan et al. 2023, ICLR, arXiv 2302.03235). What they allow, with and without memory: levels.py.
"""

from __future__ import annotations

__all__ = [
    "ContinuousCopying",
    "Copying",
    "CueReward",
    "Episodes",
    "NoisyCueReward",
    "NoisyRegression",
    "Regression",
    "Task",
]

from dataclasses import dataclass
from typing import ClassVar

import numpy as np

from .episodes import Episodes, Task, blank, layer, normal, orders, signed


class _Asked(Task):
    """A task with `dimension` numbers and two more in a token, and `asked` queries."""

    dimension: int
    asked: int

    @property
    def inputs(self) -> int:
        return self.dimension + 2

    @property
    def answers(self) -> int:
        return self.asked


@dataclass(frozen=True)
class Copying(Task):
    """Recall symbols, in order, after a delay (Chaudhary 2025).

    Tokens: `items` symbols of 1 ... symbols - 2; `delay` blanks 0; the delimiter symbols - 1; `items` blanks.
    Targets: 0, and the items at the last blanks.
    """

    items: int = 5
    delay: int = 20
    symbols: int = 10
    """with the blank and the delimiter"""

    symbolic: ClassVar[bool] = True
    categorical: ClassVar[bool] = True

    def __post_init__(self) -> None:
        self._require(items=1, delay=0, symbols=3)

    @property
    def length(self) -> int:
        return 2 * self.items + self.delay + 1

    @property
    def inputs(self) -> int:
        return self.symbols

    @property
    def answers(self) -> int:
        return self.items

    def sample(self, trials: int, generator: np.random.Generator) -> Episodes:
        """Draw episodes; inputs and targets: (trial, time) int64."""
        items = generator.integers(1, self.symbols - 1, size=(trials, self.items))
        inputs, targets = np.zeros((2, trials, self.length), dtype=np.int64)
        inputs[:, : self.items] = items
        inputs[:, self.items + self.delay] = self.symbols - 1
        targets[:, -self.items :] = items
        return Episodes(inputs, targets)


@dataclass(frozen=True)
class ContinuousCopying(Task):
    """Recall numbers of U(-1, 1), in order, after a delay (Duan et al. 2023).

    Inputs: value | 1 while shown | 1 at recall. Targets: 0, and the values at recall.
    """

    items: int = 20
    delay: int = 20

    def __post_init__(self) -> None:
        self._require(items=1, delay=0)

    @property
    def length(self) -> int:
        return 2 * self.items + self.delay

    @property
    def inputs(self) -> int:
        return 3

    @property
    def answers(self) -> int:
        return self.items

    def sample(self, trials: int, generator: np.random.Generator) -> Episodes:
        """Draw episodes; inputs: (trial, time, input) float32, targets: (trial, time) float32."""
        values = signed(generator, trials, self.items)
        inputs, targets = blank(trials, self)
        inputs[:, : self.items, 0] = values
        inputs[:, : self.items, 1] = 1
        inputs[:, -self.items :, 2] = 1
        targets[:, -self.items :] = values
        return Episodes(inputs, targets)


@dataclass(frozen=True)
class CueReward(Task):
    """Recall the reward U(0, 1) that was shown with each of some different cues (Chaudhary 2025).

    Inputs: cue, one-hot | reward, 0 at a query | 1 at a query. Targets: 0 while shown, reward at a query. The
    queries come in the order shown, as published, or `shuffled`.
    """

    pairs: int = 8
    cues: int = 20
    """that there are, `pairs` of which an episode shows"""
    shuffled: bool = False

    def __post_init__(self) -> None:
        self._require(pairs=1)
        if self.pairs > self.cues:
            raise ValueError(f"pairs must be at most the cues, which differ within an episode, in {self}")

    @property
    def length(self) -> int:
        return 2 * self.pairs

    @property
    def inputs(self) -> int:
        return self.cues + 2

    @property
    def answers(self) -> int:
        return self.pairs

    def sample(self, trials: int, generator: np.random.Generator) -> Episodes:
        """Draw episodes; inputs: (trial, time, input) float32, targets: (trial, time) float32."""
        cues = orders(generator, trials, self.cues)[:, : self.pairs]
        rewards = generator.random((trials, self.pairs), dtype=np.float32)
        asked, answers = cues, rewards
        if self.shuffled:
            order = orders(generator, trials, self.pairs)
            asked, answers = (np.take_along_axis(shown, order, axis=1) for shown in (cues, rewards))
        inputs, targets = blank(trials, self)
        np.put_along_axis(inputs, np.concatenate([cues, asked], axis=1)[..., None], 1, axis=2)
        inputs[:, : self.pairs, -2] = rewards
        inputs[:, self.pairs :, -1] = 1
        targets[:, self.pairs :] = answers
        return Episodes(inputs, targets)


@dataclass(frozen=True)
class NoisyCueReward(_Asked):
    """Recall the reward U(-1, 1) of a class of noisy stimuli (Duan et al. 2023).

    A class has a stimulus of U(0, 1) in each dimension, and every token its own N(0, noise^2) on top. Each
    token, labelled or query, is of any class, all equally likely; a query may be of a class not shown.
    Inputs: stimulus | reward, 0 at a query | 1 at a query. Targets: the reward, at all tokens.
    """

    cues: int = 5
    """classes of an episode"""
    dimension: int = 14
    labelled: int = 10
    asked: int = 10
    noise: float = 0.1

    def __post_init__(self) -> None:
        self._require(cues=1, dimension=1, labelled=0, asked=1, noise=0)

    @property
    def length(self) -> int:
        return self.labelled + self.asked

    def sample(self, trials: int, generator: np.random.Generator) -> Episodes:
        """Draw episodes; inputs: (trial, time, input) float32, targets: (trial, time) float32."""
        stimuli = generator.random((trials, self.cues, self.dimension), dtype=np.float32)
        rewards = signed(generator, trials, self.cues)
        classes = generator.integers(self.cues, size=(trials, self.length))
        inputs, _ = blank(trials, self)
        targets = np.take_along_axis(rewards, classes, axis=1)
        inputs[..., :-2] = stimuli[np.arange(trials)[:, None], classes]
        inputs[..., :-2] += normal(generator, self.noise, trials, self.length, self.dimension)
        inputs[:, : self.labelled, -2] = targets[:, : self.labelled]
        inputs[:, self.labelled :, -1] = 1
        return Episodes(inputs, targets)


@dataclass(frozen=True)
class Regression(_Asked):
    """Continue y = w.x + b, with w, b, x of N(0, 1), from examples without noise (Chaudhary 2025).

    Inputs: x | y, 0 at a query | 1 at a query. Targets: 0 at an example, y at a query.
    """

    support: int = 10
    """examples"""
    asked: int = 10
    dimension: int = 3

    def __post_init__(self) -> None:
        self._require(support=0, asked=1, dimension=1)

    @property
    def length(self) -> int:
        return self.support + self.asked

    def sample(self, trials: int, generator: np.random.Generator) -> Episodes:
        """Draw episodes; inputs: (trial, time, input) float32, targets: (trial, time) float32."""
        inputs, targets = blank(trials, self)
        x = normal(generator, 1, trials, self.length, self.dimension)
        weights = normal(generator, 1, trials, self.dimension + 1, 1)
        y = (x @ weights[:, :-1] + weights[:, -1:])[..., 0]
        inputs[..., :-2] = x
        inputs[:, : self.support, -2] = y[:, : self.support]
        inputs[:, self.support :, -1] = 1
        targets[:, self.support :] = y[:, self.support :]
        return Episodes(inputs, targets)


@dataclass(frozen=True)
class NoisyRegression(_Asked):
    """Continue a linear function, or a network of tanh units, from noisy examples (Duan et al. 2023).

    x of U(-1, 1); f(x) = w.x + b, or w.tanh(V x + c) + b with `hidden` units; each weight and bias of
    U(-1 / sqrt(n), 1 / sqrt(n)), n the inputs of its layer. y = (f - mean) / s over all tokens of an episode,
    examples and queries alike, s with one degree of freedom taken off.
    Inputs: x | y + N(0, noise^2), 0 at a query | 1 at an example. Targets: y, at all tokens.
    """

    support: int = 20
    """examples"""
    asked: int = 20
    dimension: int = 12
    noise: float = 0.1
    hidden: int = 0
    """tanh units, 0 for a linear function"""

    def __post_init__(self) -> None:
        self._require(support=1, asked=1, dimension=1, noise=0, hidden=0)

    @property
    def length(self) -> int:
        return self.support + self.asked

    def sample(self, trials: int, generator: np.random.Generator) -> Episodes:
        """Draw episodes; inputs: (trial, time, input) float32, targets: (trial, time) float32."""
        inputs, _ = blank(trials, self)
        x = signed(generator, trials, self.length, self.dimension)
        units = np.tanh(layer(x, self.hidden, generator)) if self.hidden else x
        f = (units @ signed(generator, trials, units.shape[-1], 1))[..., 0]  # b and 1 / sqrt(n) fall out of y
        f -= f.mean(axis=1, keepdims=True)
        y = f / f.std(axis=1, ddof=1, keepdims=True)
        inputs[..., :-2] = x
        inputs[:, : self.support, -2] = y[:, : self.support]
        inputs[:, : self.support, -2] += normal(generator, self.noise, trials, self.support)
        inputs[:, : self.support, -1] = 1
        return Episodes(inputs, y)
