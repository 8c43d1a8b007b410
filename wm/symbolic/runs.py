"""Runs, hold times and autocorrelations of symbol strings, with intervals over independent strings.

Tokens are (trial, time) of whole numbers from 0; trials are independent strings of one length.
"""

from __future__ import annotations

__all__ = [
    "HoldCounts", "Runs", "autocorrelation", "checked", "hold_band", "hold_counts", "hold_distribution",
    "run_lengths",
]  # fmt: skip

import math
from dataclasses import dataclass
from typing import NamedTuple

import numpy as np
from scipy import fft

from ..estimate import Band
from ..train import numpy_generator


@dataclass(frozen=True, eq=False)
class Runs:
    """Runs of equal symbols, all (run,), by trial and then time.

    trial; symbol; start: time of the first token; length: tokens; complete: bool, whether both ends were seen
    (the first and the last run of a trial may go on outside).
    """

    trial: np.ndarray
    symbol: np.ndarray
    start: np.ndarray
    length: np.ndarray
    complete: np.ndarray

    def __len__(self) -> int:
        return len(self.trial)

    def select(self, runs: np.ndarray) -> Runs:
        """Some of the runs; runs: (run,) of bool or indices."""
        return Runs(**{name: value[runs] for name, value in vars(self).items()})


class HoldCounts(NamedTuple):
    """Runs that ended after, and that were seen to be held for or beyond, 1, 2, ... tokens.

    Both (trial, symbol, length) int64; index i is a length of i + 1.
    """

    ended: np.ndarray
    at_risk: np.ndarray


def checked(tokens: np.ndarray, symbols: int | None = None) -> np.ndarray:
    """Tokens as int64 (trial, time).

    Raises ValueError unless they are of that shape, not empty, whole numbers, from 0 to symbols - 1.
    """
    tokens = np.asarray(tokens)
    if tokens.ndim != 2 or not tokens.size:
        raise ValueError(f"tokens must be (trial, time) and not empty, got shape {tokens.shape}")
    if tokens.dtype.kind not in "iu":
        raise ValueError(f"tokens must be whole numbers, got {tokens.dtype}")
    low, high = tokens.min(), tokens.max()
    if low < 0 or (symbols is not None and high >= symbols):
        raise ValueError(f"tokens must be symbols from 0 to {high if symbols is None else symbols - 1}, "
                         f"got {low} to {high}")  # fmt: skip
    return tokens.astype(np.int64)


def run_lengths(tokens: np.ndarray) -> Runs:
    """The runs of tokens (trial, time); raises what `checked` does."""
    tokens = checked(tokens)
    time = tokens.shape[1]
    begins = np.ones(tokens.shape, dtype=bool)
    begins[:, 1:] = tokens[:, 1:] != tokens[:, :-1]
    first = np.flatnonzero(begins)
    length = np.diff(first, append=tokens.size)
    trial, start = np.divmod(first, time)
    return Runs(trial, tokens.ravel()[first], start, length, (start > 0) & (start + length < time))


def hold_counts(tokens: np.ndarray, symbols: int, longest: int) -> HoldCounts:
    """Ends of runs, and chances to end, by length up to `longest`: what `hold_distribution` wants.

    The first run of a trial, whose start was not seen, is left out; the last, whose end was not seen, counts
    for the lengths at which it had not ended yet. Raises what `checked` does; ValueError if longest < 1.
    """
    tokens = checked(tokens, symbols)
    if longest < 1:
        raise ValueError(f"longest must be 1 token or more, got {longest}")
    runs = run_lengths(tokens)
    runs = runs.select(runs.start > 0)
    shape = (len(tokens), symbols, longest + 2)

    def histogram(own: np.ndarray, length: np.ndarray) -> np.ndarray:
        cells = (runs.trial[own], runs.symbol[own], np.minimum(length[own], longest + 1))
        flat = np.ravel_multi_index(cells, shape)
        return np.bincount(flat, minlength=math.prod(shape)).reshape(shape)

    seen = runs.length - ~runs.complete  # lengths at which an end would have been seen
    ended = histogram(runs.complete, runs.length)
    at_risk = histogram(np.ones_like(runs.complete), seen)[..., ::-1].cumsum(axis=-1)[..., ::-1]
    return HoldCounts(ended[..., 1:-1], at_risk[..., 1:-1])


def hold_distribution(ended: np.ndarray, at_risk: np.ndarray) -> np.ndarray:
    """P(hold = length) of counts (..., length): (..., length), index i for a length of i + 1.

        P(l) = h(l) prod_{k < l} (1 - h(k)),     h(l) = ended(l) / at risk(l)

    What is missing to a sum of 1 belongs to lengths beyond those counted or seen. Runs cut by the end of the
    string are allowed for: to count complete ones alone would favour short holds. Source: Kaplan and Meier
    1958, Journal of the American Statistical Association 53.
    """
    ended, at_risk = np.asarray(ended, dtype=np.float64), np.asarray(at_risk)
    hazard = np.divide(ended, at_risk, out=np.zeros_like(ended), where=at_risk > 0)
    survival = np.cumprod(1 - hazard, axis=-1)
    before = np.concatenate([np.ones_like(survival[..., :1]), survival[..., :-1]], axis=-1)
    return before * hazard


def hold_band(
    tokens: np.ndarray, symbols: int, longest: int, *, level: float = 0.95, draws: int = 1000, seed: int = 0
) -> Band:
    """Hold-time distribution of all trials together, (symbol, length), with intervals by resampling trials.

    Percentiles of `draws` bootstrap samples of the trials. Raises what `hold_counts` does; ValueError for
    fewer than two trials.
    """
    counts = hold_counts(tokens, symbols, longest)
    trials = _several(len(counts.ended))
    generator = numpy_generator(seed, "hold band")
    weights = generator.multinomial(trials, np.full(trials, 1 / trials), size=draws)
    found = hold_distribution(*(np.tensordot(weights, count, axes=1) for count in counts))
    low, high = np.quantile(found, [(1 - level) / 2, (1 + level) / 2], axis=0)
    return Band(hold_distribution(*(count.sum(axis=0) for count in counts)), low, high)


def autocorrelation(tokens: np.ndarray, symbols: int, lags: int) -> np.ndarray:
    """Autocorrelation of the indicator of each symbol at lags 0 to `lags`: (trial, symbol, lag).

        r(l) = sum_t (x_t - m) (x_{t+l} - m) / ((T - l) v),     x_t = 1 if token t is the symbol, else 0

    T: tokens of a trial; m and v = m (1 - m): mean and variance over all trials, as the mean of one short
    trial follows its own slow changes and would hide them. So r(0) is 1 on the average of the trials. NaN for
    a symbol that is never or always there. By Fourier transform. Raises what `checked` does; ValueError
    unless 0 <= lags < T.
    """
    tokens = checked(tokens, symbols)
    time = tokens.shape[1]
    if not 0 <= lags < time:
        raise ValueError(f"lags must be from 0 to {time - 1}, a trial less its first token, got {lags}")
    x = (tokens[:, None] == np.arange(symbols)[:, None]).astype(np.float64)
    m = x.mean(axis=(0, 2), keepdims=True)
    points = fft.next_fast_len(time + lags, real=True)  # zeros keep the ends from meeting
    power = np.abs(fft.rfft(x - m, points)) ** 2
    products = fft.irfft(power, points)[..., : lags + 1]
    variance = np.where((m > 0) & (m < 1), m * (1 - m), np.nan)
    return products / (time - np.arange(lags + 1)) / variance


def _several(trials: int) -> int:
    if trials < 2:
        raise ValueError(f"an interval needs two independent trials or more, got {trials}")
    return trials
