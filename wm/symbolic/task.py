"""Symbol cycles: every symbol, in cyclic order, is held for a number of steps; and what can be known of them.

A cycle is a hidden Markov chain. Its state is (symbol s, steps left r); with all holding times h in a list
equally likely and r = 1 at the last step of a run::

    (s, r) -> (s, r - 1)              if r > 1
    (s, 1) -> (s + 1 mod S, h)        with probability 1 / (number of holding times) for each h

The start is stationary: uniform over symbols, P(r) proportional to P(h >= r). The best prediction of the
next symbol is the forward filter over these states. With one holding time h and windows of B >= h symbols
the least possible cross-entropy is ln(h) / B nats a symbol: a window reveals the place within a run, once.

Facts: github.com/sandreza/SymbolicMemory (three symbols, held for six steps, windows of ten).
"""

from __future__ import annotations

__all__ = ["Cycle", "Scrambled", "Windows"]

from dataclasses import dataclass
from functools import cached_property
from typing import NamedTuple

import numpy as np

MOST_WINDOWS = 4096
"""no process with more windows is enumerated"""


class Windows(NamedTuple):
    """Windows that a process can show: tokens (window, time) int64; probability (window,), summing to 1."""

    tokens: np.ndarray
    probability: np.ndarray


@dataclass(frozen=True)
class Cycle:
    """Symbols 0, 1, ... in cyclic order, each held for a time drawn from `holding`, all equally likely."""

    symbols: int = 3
    holding: tuple[int, ...] = (6,)

    def __post_init__(self) -> None:
        if self.symbols < 2:
            raise ValueError(f"a cycle needs two symbols or more, got {self.symbols}")
        if not self.holding or min(self.holding) < 1 or len({*self.holding}) < len(self.holding):
            raise ValueError(f"holding times must be different and at least 1, got {self.holding}")

    @property
    def period(self) -> int:
        """Steps of one cycle; ValueError unless there is one holding time."""
        if len(self.holding) > 1:
            raise ValueError(f"a cycle with holding times {self.holding} has no period")
        return self.symbols * self.holding[0]

    # ---------------------------------------------------------------- the hidden chain

    @cached_property
    def states(self) -> np.ndarray:
        """(state, 2): symbol, and steps left, from 1 at the last step of a run."""
        return np.array([(s, r) for s in range(self.symbols) for r in range(1, max(self.holding) + 1)])

    @cached_property
    def transition(self) -> np.ndarray:
        """P(next state | state), (state, state)."""
        symbol, left = self.states.T
        goes_on = (symbol == symbol[:, None]) & (left == left[:, None] - 1)
        new_run = (left[:, None] == 1) & (symbol == (symbol[:, None] + 1) % self.symbols)
        return goes_on + new_run * np.isin(left, self.holding) / len(self.holding)

    @cached_property
    def stationary(self) -> np.ndarray:
        """P(state) at a uniformly random time, (state,)."""
        longer = (np.array(self.holding) >= self.states[:, 1:]).sum(axis=1)
        return longer / longer.sum()

    @cached_property
    def _shows(self) -> np.ndarray:
        """1 where a state shows a symbol, (state, symbol)."""
        return np.eye(self.symbols)[self.states[:, 0]]

    # ---------------------------------------------------------------- prediction

    def predictive(self, tokens: np.ndarray) -> np.ndarray:
        """P(next symbol | symbols so far), tokens (..., time) -> (..., time, symbol); NaN once impossible."""
        tokens = self._checked(tokens)
        belief = np.broadcast_to(self.stationary, (*tokens.shape[:-1], len(self.states)))
        found = []
        for seen in np.moveaxis(tokens, -1, 0):
            belief = belief * self._shows.T[seen]
            with np.errstate(invalid="ignore"):
                belief = belief / belief.sum(axis=-1, keepdims=True)
            belief = belief @ self.transition
            found.append(belief @ self._shows)
        return np.stack(found, axis=-2)

    def nll(self, tokens: np.ndarray) -> np.ndarray:
        """-ln P(symbol | symbols before it) in nats, (..., time) -> the same; infinite where impossible.

        The first symbol costs ln S. After an impossible symbol the filter starts anew with it.
        """
        tokens = self._checked(tokens)
        belief = np.broadcast_to(self.stationary, (*tokens.shape[:-1], len(self.states)))
        costs = []
        for seen in np.moveaxis(tokens, -1, 0):
            joint = belief * self._shows.T[seen]
            chance = joint.sum(axis=-1)
            with np.errstate(divide="ignore"):
                costs.append(-np.log(chance))
            anew = self.stationary * self._shows.T[seen]
            joint = np.where(chance[..., None] > 0, joint, anew)
            belief = joint / joint.sum(axis=-1, keepdims=True) @ self.transition
        return np.stack(costs, axis=-1)

    def legal(self, tokens: np.ndarray) -> np.ndarray:
        """Whether a process can show these symbols in a row, (..., time) -> (...,) bool."""
        return np.isfinite(self.predictive(tokens)).all(axis=(-1, -2))

    def _checked(self, tokens: np.ndarray) -> np.ndarray:
        tokens = np.asarray(tokens)
        if tokens.ndim < 1 or not tokens.shape[-1] or not np.issubdtype(tokens.dtype, np.integer):
            raise ValueError(f"tokens must be whole numbers (..., time), got {tokens.dtype} {tokens.shape}")
        if tokens.size and not 0 <= tokens.min() <= tokens.max() < self.symbols:
            raise ValueError(
                f"tokens must lie in 0 to {self.symbols - 1}, got {tokens.min()} to {tokens.max()}"
            )
        return tokens

    # ---------------------------------------------------------------- windows, and their limits

    def windows(self, length: int) -> Windows:
        """All windows of `length` symbols, in the order of their symbols.

        Raises ValueError below 1, or if there are more than 4096.
        """
        if length < 1:
            raise ValueError(f"a window has 1 symbol or more, got {length}")
        shown: dict[tuple[int, ...], np.ndarray] = {(): self.stationary}
        for _ in range(length):
            longer = {}
            for window, belief in shown.items():
                for symbol in range(self.symbols):
                    joint = belief * self._shows[:, symbol]
                    if joint.any():
                        longer[*window, symbol] = joint @ self.transition
            if len(longer) > MOST_WINDOWS:
                raise ValueError(f"{self} has more than {MOST_WINDOWS} windows of {length} symbols")
            shown = longer
        probability = np.array([belief.sum() for belief in shown.values()])
        return Windows(np.array([*shown]), probability / probability.sum())

    def entropies(self, context: int) -> np.ndarray:
        """Least expected cross-entropy in nats of the symbol after 1, 2, ..., `context` symbols, (time,)."""
        tokens, probability = self.windows(context)
        chances = self.predictive(tokens)
        surprise = -np.log(np.where(chances > 0, chances, 1))
        return np.einsum("w,wts->t", probability, chances * surprise)

    def floor(self, context: int) -> float:
        """Least mean cross-entropy of a window in nats; ln(h) / context with one h of at most `context`."""
        return float(self.entropies(context).mean())

    def ceiling(self, context: int) -> float:
        """Highest mean accuracy of the most likely symbol over the places of a window."""
        tokens, probability = self.windows(context)
        return float(np.einsum("w,wt->t", probability, self.predictive(tokens).max(axis=-1)).mean())

    def phases(self, tokens: np.ndarray) -> np.ndarray:
        """Place in the cycle, 0 to period - 1, of the last symbol of windows (window, time); -1 if unknown.

        Only with one holding time. Unknown: several places fit, or none.
        """
        place = np.arange(self.period)
        cycle = place // self.holding[0]
        length = np.shape(tokens)[-1]
        endings = cycle[(place[:, None] + np.arange(1 - length, 1)) % self.period]
        fits = (self._checked(tokens)[:, None] == endings).all(axis=-1)
        return np.where(fits.sum(axis=1) == 1, fits.argmax(axis=1), -1)

    def phase_windows(self, length: int) -> np.ndarray:
        """The windows of `length` symbols in the order of their phases, (phase, time) int64.

        Only with one holding time. Raises ValueError for windows too short to tell all phases.
        """
        tokens = self.windows(length).tokens
        phases = self.phases(tokens)
        if (phases < 0).any():
            raise ValueError(
                f"windows of {length} symbols do not tell all phases of {self}: take longer ones"
            )
        return tokens[np.argsort(phases)]

    def sample(self, trials: int, length: int, generator: np.random.Generator) -> np.ndarray:
        """Draw sequences from a random start, (trial, time) int64."""
        runs = length // min(self.holding) + 2
        first = generator.choice(len(self.states), size=trials, p=self.stationary)
        symbol, left = self.states[first].T
        held = generator.choice(self.holding, size=(trials, runs))
        held[:, 0] = left
        begins = np.cumsum(held, axis=1)
        run = (np.arange(length)[:, None] >= begins[:, None]).sum(axis=-1)
        return (symbol[:, None] + run) % self.symbols


@dataclass(frozen=True)
class Scrambled:
    """A control: the symbols of a cycle in an order that holds nothing, each drawn uniformly by itself."""

    symbols: int = 3

    def floor(self, context: int) -> float:
        """Least mean cross-entropy in nats, ln S at every place."""
        return float(np.log(self.symbols))

    def ceiling(self, context: int) -> float:
        """Highest accuracy, that of any guess."""
        return 1 / self.symbols

    def sample(self, trials: int, length: int, generator: np.random.Generator) -> np.ndarray:
        """Draw sequences, (trial, time) int64."""
        return generator.integers(self.symbols, size=(trials, length))
