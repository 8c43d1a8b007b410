"""Predictors of the next symbol by counts: of the last symbols (n-gram), or of the time held (hazard).

Both look the past up at growing depth k = 0, 1, ..., and mix what followed there with the shallower answer:

    P_k(s) = (c_k(s) + u_k P_{k-1}(s)) / (n_k + u_k),     P_{-1}(s) = 1 / symbols

c_k(s): how often s followed this past in training, n_k their sum, u_k how many different symbols followed. A
past that was never seen, or that begins before the string does, adds nothing. Tokens are (trial, time);
trials are independent strings. Sources: Witten and Bell 1991, IEEE Transactions on Information Theory 37
(method C); interpolated as in Chen and Goodman 1999, Computer Speech and Language 13.
"""

from __future__ import annotations

__all__ = ["Hazard", "Level", "NGram", "Selection", "best_order", "fit", "fit_hazard"]

from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import NamedTuple

import numpy as np

from .runs import checked, run_lengths

_UNKNOWN = -1  # code of a past that begins before the string does
_CODES = 2**62


class Level(NamedTuple):
    """What followed the pasts of one depth; past: (past,) sorted codes; counts: (past, symbol) int64."""

    past: np.ndarray
    counts: np.ndarray


class Selection(NamedTuple):
    """The n-gram that validation data choose; nll: order -> mean loss there, nats per symbol."""

    best: NGram
    nll: dict[int, float]


@dataclass(frozen=True, eq=False)
class _Counted:
    """A predictor by counts; a kind of it says how pasts are coded."""

    symbols: int
    levels: tuple[Level, ...]

    def predictive(self, tokens: np.ndarray) -> np.ndarray:
        """P(token t + 1 | tokens up to t) at each t: (trial, time) -> (trial, time, symbol).

        Raises ValueError for tokens of another shape or beyond the symbols.
        """
        tokens = checked(tokens, self.symbols)
        p = np.full((*tokens.shape, self.symbols), 1 / self.symbols)
        for level, codes in zip(self.levels, self._pasts(tokens), strict=True):
            _mix(p, level, codes)
        return p

    def nll(self, tokens: np.ndarray) -> np.ndarray:
        """-ln P of each token but the first, nats: (trial, time) -> (trial, time - 1); see `predictive`."""
        tokens = checked(tokens, self.symbols)
        p = self.predictive(tokens)[:, :-1]
        return -np.log(np.take_along_axis(p, tokens[:, 1:, None], axis=2)[..., 0])

    def _pasts(self, tokens: np.ndarray) -> list[np.ndarray]:
        """Codes (trial, time) of the past up to each token, by rising depth."""
        raise NotImplementedError


@dataclass(frozen=True, eq=False)
class NGram(_Counted):
    """A Markov chain of an order: depth k is the last k symbols. Made by `fit`."""

    order: int

    def _pasts(self, tokens: np.ndarray) -> list[np.ndarray]:
        return _windows(tokens, self.order, self.symbols)

    def truncated(self, order: int) -> NGram:
        """The same counts up to a lower order; ValueError for a higher one."""
        if not 0 <= order <= self.order:
            raise ValueError(f"order must be from 0 to {self.order}, for which there are counts, got {order}")
        return replace(self, order=order, levels=self.levels[: order + 1])


@dataclass(frozen=True, eq=False)
class Hazard(_Counted):
    """A predictor that knows how long the symbol has been held, and `earlier` runs before. See `fit_hazard`.

    Depths: nothing; the symbol; how long it has been held; then, for each earlier run, its symbol and its
    length. Lengths above `longest` count as `longest`.
    """

    earlier: int
    longest: int

    def _pasts(self, tokens: np.ndarray) -> list[np.ndarray]:
        return _holds(tokens, self.symbols, self.earlier, self.longest)


def fit(tokens: np.ndarray, order: int, symbols: int) -> NGram:
    """Count what follows the last 0 to `order` symbols; tokens: (trial, time).

    Raises ValueError for wrong tokens, trials of a single token, a negative order, or one at which the pasts
    cannot be numbered in 62 bits.
    """
    if order < 0 or symbols**order > _CODES:
        raise ValueError(f"order must be from 0 to 62 bits' worth of {symbols} symbols, got {order}")
    tokens = _trained_on(tokens, symbols)
    return NGram(symbols, _levels(tokens, _windows(tokens, order, symbols), symbols), order)


def fit_hazard(tokens: np.ndarray, symbols: int, *, earlier: int = 1, longest: int = 128) -> Hazard:
    """Count what follows a symbol by how long it has been held and what was held before, (trial, time).

    A semi-Markov chain for `earlier` = 0. How long the first symbol of a string has been held is not known.
    Raises ValueError for wrong tokens, trials of a single token, earlier < 0, longest < 1, or more of both
    than can be numbered in 62 bits.
    """
    if earlier < 0 or longest < 1 or (symbols * (longest + 1)) ** (earlier + 1) > _CODES:
        raise ValueError("earlier must be 0 or more, longest 1 or more, and (symbols (longest + 1)) to the "
                         f"power earlier + 1 below 2^62, got {earlier} and {longest}")  # fmt: skip
    tokens = _trained_on(tokens, symbols)
    levels = _levels(tokens, _holds(tokens, symbols, earlier, longest), symbols)
    return Hazard(symbols, levels, earlier, longest)


def best_order(
    train: np.ndarray, validation: np.ndarray, orders: Sequence[int], symbols: int | None = None
) -> Selection:
    """The order with the smallest mean loss on validation data, the lowest of equals, fitted to train.

    train, validation: (trial, time); symbols: by default as many as there are in both. Raises ValueError for
    no orders, validation trials of a single token, and as `fit` does.
    """
    if not len(orders):
        raise ValueError("no orders were given: there is none to choose")
    if symbols is None:
        symbols = 1 + int(max(np.max(train), np.max(validation)))
    validation = _trained_on(validation, symbols)
    largest = fit(train, max(orders), symbols)
    nll = {order: float(largest.truncated(order).nll(validation).mean()) for order in sorted(orders)}
    return Selection(largest.truncated(min(nll, key=nll.get)), nll)


def _windows(tokens: np.ndarray, order: int, symbols: int) -> list[np.ndarray]:
    """The last k symbols as a number to the base of the symbols, for k from 0 to `order`."""
    codes = [np.zeros_like(tokens)]
    for k in range(order):
        code = np.full_like(tokens, _UNKNOWN)
        code[:, k:] = codes[-1][:, k:] + symbols**k * tokens[:, : max(tokens.shape[1] - k, 0)]
        codes.append(code)
    return codes


def _holds(tokens: np.ndarray, symbols: int, earlier: int, longest: int) -> list[np.ndarray]:
    """Symbol, time held, and symbols and lengths of earlier runs, one more of them at each depth."""
    runs = run_lengths(tokens)
    own = np.repeat(np.arange(len(runs)), runs.length)  # run of each token
    place = np.arange(tokens.size) % tokens.shape[1]
    before = own - np.searchsorted(runs.trial, runs.trial[own])  # runs of the trial before that one
    code, codes = np.zeros(tokens.size, dtype=np.int64), [np.zeros_like(tokens)]
    for back in range(earlier + 1):
        run = np.maximum(own - back, 0)
        length = runs.length[run] if back else place - runs.start[own] + 1
        for value, base, known in ((runs.symbol[run], symbols, before >= back),
                                   (np.minimum(length, longest), longest + 1, before > back)):  # fmt: skip
            code = np.where(known, code * base + value, _UNKNOWN)
            codes.append(code.reshape(tokens.shape))
    return codes


def _levels(tokens: np.ndarray, pasts: list[np.ndarray], symbols: int) -> tuple[Level, ...]:
    return tuple(_level(codes[:, :-1].ravel(), tokens[:, 1:].ravel(), symbols) for codes in pasts)


def _level(codes: np.ndarray, following: np.ndarray, symbols: int) -> Level:
    """Counts of what follows each past that is known; codes and following: (token,)."""
    known = codes != _UNKNOWN
    past, index = np.unique(codes[known], return_inverse=True)
    counts = np.bincount(index * symbols + following[known], minlength=len(past) * symbols)
    return Level(past, counts.reshape(len(past), symbols))


def _mix(p: np.ndarray, level: Level, codes: np.ndarray) -> None:
    """Take P_{k-1} to P_k in place: (trial, time, symbol)."""
    row = np.searchsorted(level.past, codes)
    seen = row < len(level.past)
    seen[seen] = level.past[row[seen]] == codes[seen]
    counts = level.counts[row[seen]]
    different = (counts > 0).sum(axis=1, keepdims=True)
    p[seen] = (counts + different * p[seen]) / (counts.sum(axis=1, keepdims=True) + different)


def _trained_on(tokens: np.ndarray, symbols: int) -> np.ndarray:
    tokens = checked(tokens, symbols)
    if tokens.shape[1] < 2:
        raise ValueError("trials of a single token have nothing that follows: give two tokens or more")
    return tokens
