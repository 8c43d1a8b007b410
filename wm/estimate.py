"""Numbers with their uncertainty over networks: t-intervals, bootstrap, one-sided tests, Holm correction."""

__all__ = [
    "Band",
    "Estimate",
    "bootstrap_over_networks",
    "difference",
    "expanded_percentiles",
    "holm",
    "mean",
    "mean_band",
    "mean_interval",
    "means",
    "one_per_network",
    "pair_mean",
    "weakest",
]

import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from typing import NamedTuple

import numpy as np
import pandas as pd
from numpy.typing import ArrayLike
from scipy import stats

Interval = tuple[float, float]


class Band(NamedTuple):
    """An estimate with the two ends of its interval, arrays of one shape."""

    estimate: np.ndarray
    low: np.ndarray
    high: np.ndarray


@dataclass(frozen=True)
class Estimate:
    """A number and its uncertainty over networks.

    One-sided p-values agree with the 90 % interval (p < .05 exactly if it excludes the bound). They follow a
    t-distribution with `df` degrees of freedom (infinite: normal), and each side has its own width.
    Raises ValueError if an interval does not contain the number.
    """

    ours: float
    interval90: Interval
    interval95: Interval
    n_networks: int
    df: float = math.inf

    def __post_init__(self) -> None:
        for low, high in (self.interval90, self.interval95):
            if not low <= self.ours <= high:
                raise ValueError(
                    f"the interval [{low:.4g}, {high:.4g}] does not contain the estimate {self.ours:.4g}: "
                    "resampling shifts this statistic (repeated networks?); choose one that stays in place"
                )

    def p_above(self, bound: float) -> float:
        """p-value against "the true value is `bound` or less"."""
        return self._tail(self.ours - bound, self.ours - self.interval90[0])

    def p_below(self, bound: float) -> float:
        """p-value against "the true value is `bound` or more"."""
        return self._tail(bound - self.ours, self.interval90[1] - self.ours)

    def _tail(self, distance: float, reach: float) -> float:
        if reach == 0:  # all networks agree exactly
            return 0.0 if distance > 0 else 1.0
        return float(stats.t.sf(distance / reach * stats.t.ppf(0.95, self.df), self.df))


def mean(samples: ArrayLike) -> Estimate:
    """Mean of samples (network,) with t-intervals; one network has an infinite interval.

    Raises ValueError unless there is one finite number per network.
    """
    x = one_per_network(samples)
    if len(x) == 1:
        return _t_estimate(x[0], math.inf, math.inf, 1)
    return _t_estimate(x.mean(), x.std(ddof=1) / math.sqrt(len(x)), len(x) - 1, len(x))


def difference(a: ArrayLike, b: ArrayLike, *, paired: bool = False) -> Estimate:
    """Mean of a (network,) minus mean of b (network,), with t-intervals: Welch's, or of a - b if `paired`.

    Raises ValueError for paired samples of different length, and as `mean` does.
    """
    a, b = one_per_network(a), one_per_network(b)
    if paired and len(a) != len(b):
        raise ValueError(f"paired samples need one entry per seed in both, got {len(a)} and {len(b)}")
    if paired:
        return mean(a - b)
    n, gap = min(len(a), len(b)), a.mean() - b.mean()
    if n == 1:
        return _t_estimate(gap, math.inf, math.inf, 1)
    va, vb = a.var(ddof=1) / len(a), b.var(ddof=1) / len(b)
    # Welch (1947); without any variance the degrees of freedom are 0/0 and do not matter.
    df = (va + vb) ** 2 / (va**2 / (len(a) - 1) + vb**2 / (len(b) - 1)) if va + vb > 0 else math.inf
    return _t_estimate(gap, math.sqrt(va + vb), df, n)


def mean_interval(samples: ArrayLike, level: float = 0.95) -> Interval:
    """t-interval of the mean of samples (network,); infinite for one network."""
    estimate = mean(samples)
    reach = (estimate.interval90[1] - estimate.ours) / stats.t.ppf(0.95, estimate.df)
    reach *= stats.t.ppf((1 + level) / 2, estimate.df)
    return estimate.ours - reach, estimate.ours + reach


def mean_band(values: ArrayLike, level: float = 0.95, *, skip_nan: bool = False) -> Band:
    """Mean over independent networks or trials of values (trial, ...) with t-intervals: arrays (...).

    skip_nan: NaN are left out, each place has its own number of trials; ends are NaN for fewer than two.
    Raises ValueError for fewer than two trials.
    """
    values = np.asarray(values, dtype=np.float64)
    if len(values) < 2:
        raise ValueError(f"an interval needs two independent trials or more, got {len(values)}")
    there = ~np.isnan(values) if skip_nan else np.ones(values.shape, dtype=bool)
    n = there.sum(axis=0)
    middle = np.divide(np.where(there, values, 0).sum(axis=0), n, out=np.full(n.shape, np.nan), where=n > 0)
    squares = np.where(there, (values - middle) ** 2, 0).sum(axis=0)
    error = np.sqrt(np.divide(squares, n * (n - 1), out=np.full(n.shape, np.nan), where=n > 1))
    reach = stats.t.ppf((1 + level) / 2, n - 1) * error
    return Band(middle, middle - reach, middle + reach)


def means(
    rows: pd.DataFrame, by: str | Sequence[str], columns: str | Sequence[str], *, shares: Sequence[str] = ()
) -> pd.DataFrame:
    """Means over rows, with their 95 % t-intervals as text: a row for each value of `by`, in their order.

    NaN are left out; "-": nothing there; no interval for one row. Intervals of the columns `shares` end at 0
    and 1, as in figures.
    """
    columns = [columns] if isinstance(columns, str) else [*columns]
    groups = rows.groupby(by if isinstance(by, str) else [*by], sort=False)
    ends = {column: (0.0, 1.0) if column in shares else (-math.inf, math.inf) for column in columns}
    return pd.DataFrame({column: groups[column].agg(_mean_text, *ends[column]) for column in columns})


def _mean_text(values: pd.Series, least: float, most: float) -> str:
    values = values.dropna().to_numpy(dtype=np.float64)
    if len(values) < 2:
        return f"{values[0]:.4g}" if len(values) else "-"
    found = np.array((values.mean(), *np.clip(mean_interval(values), least, most)))
    return "{:.4g} [{:.4g}, {:.4g}]".format(*(found.round(6) + 0.0))  # no -0


def bootstrap_over_networks(
    fn: Callable[..., float], samples: ArrayLike | tuple[ArrayLike, ...], n: int = 2000, seed: int = 0
) -> Estimate:
    """fn(samples) with intervals from `n` resamplings of the networks.

    `samples`: an array (network, ...), or a tuple of such arrays whose networks are drawn together (the same
    seeds, or the columns of a correlation). Draws in which fn is not finite are left out (a correlation over
    copies of one network). Raises ValueError if these are more than 1 % (fewer than 6 networks: all), if the
    arrays differ in networks, or if fn of the samples themselves is not finite.
    """
    arrays = tuple(map(np.asarray, samples if isinstance(samples, tuple) else (samples,)))
    sizes = {len(array) for array in arrays}
    if len(sizes) != 1 or 0 in sizes:
        raise ValueError(f"arrays must share a leading network axis, got {[array.shape for array in arrays]}")
    networks = sizes.pop()
    ours, draws = _draws(fn, arrays, n, seed)
    kept = draws[np.isfinite(draws)]
    if not np.isfinite(ours) or len(kept) < (0.99 * n if networks >= 6 else 1):
        raise ValueError(f"the statistic is {ours:.4g}, and not finite in {n - len(kept)} of {n} resamplings")
    intervals = (expanded_percentiles(kept, networks, level) for level in (0.90, 0.95))
    return Estimate(ours, *intervals, networks)


def pair_mean(block: ArrayLike, minus: ArrayLike | None = None, *, n: int = 2000, seed: int = 0) -> Estimate:
    """Mean over the pairs of two groups of networks, block (network, other network), with intervals.

    Both groups are drawn anew in each of `n` bootstrap samples, as pairs that share a network are not
    independent. `minus` (network, another network) is a second block of the same first group: the estimate
    is then the difference of the two means. Expanded percentiles, for the smallest group of more than one
    network. Raises ValueError for an empty block, or blocks that differ in their first group.
    """
    blocks = [np.asarray(x, dtype=np.float64) for x in (block, minus) if x is not None]
    shapes = [x.shape for x in blocks]
    if any(x.ndim != 2 or not x.size for x in blocks) or len({shape[0] for shape in shapes}) > 1:
        raise ValueError(
            f"blocks must be (network, other network), not empty, of one first group; got {shapes}"
        )
    sizes = (shapes[0][0], *(shape[1] for shape in shapes))
    generator = np.random.default_rng(seed)
    rows, *columns = (generator.multinomial(k, np.full(k, 1 / k), size=n) / k for k in sizes)
    means = [((rows @ x) * weights).sum(axis=1) for x, weights in zip(blocks, columns, strict=True)]
    draws = means[0] - means[1] if len(means) > 1 else means[0]
    ours = blocks[0].mean() - (blocks[1].mean() if len(blocks) > 1 else 0)
    smallest = min((k for k in sizes if k > 1), default=1)
    intervals = (expanded_percentiles(draws, smallest, level) for level in (0.90, 0.95))
    return Estimate(float(ours), *intervals, smallest)


def weakest(steps: Sequence[Estimate], bound: float = 0.0, *, together: bool = False) -> Estimate:
    """The difference with the largest p against `bound` or less: if it is above that, all are.

    Its `n_networks` counts the smallest condition of all. together: the 95 % interval holds for all steps at
    once (Bonferroni), as this one was picked among them; p needs no correction, for all must be above.
    Raises ValueError for no step.
    """
    if not steps:
        raise ValueError("no steps were given: there is no weakest one")
    step = max(steps, key=lambda step: step.p_above(bound))
    if together:
        wider = stats.t.ppf(1 - 0.025 / len(steps), step.df) / stats.t.ppf(0.975, step.df)
        interval = tuple(step.ours + wider * (end - step.ours) for end in step.interval95)
        step = replace(step, interval95=interval)
    return replace(step, n_networks=min(each.n_networks for each in steps))


def expanded_percentiles(draws: np.ndarray, networks: int, level: float) -> Interval:
    """Percentile interval of bootstrap draws (n,), expanded for few networks as the t-interval of a mean is.

    Plain percentiles are too narrow there. Source: Hesterberg 2015, The American Statistician 69.
    """
    reach = stats.t.ppf((1 + level) / 2, max(networks - 1, 1)) * math.sqrt(networks / max(networks - 1, 1))
    low, high = np.quantile(draws, [stats.norm.cdf(-reach), stats.norm.cdf(reach)])
    return float(low), float(high)


def holm(p: Sequence[float]) -> np.ndarray:
    """Holm's adjusted p: the running maximum of (m - rank) p over the sorted p, at most 1; shape (claim,).

    Holm (1979), Scandinavian Journal of Statistics 6.
    """
    p = np.asarray(p, dtype=float)
    order = np.argsort(p, kind="stable")
    adjusted = np.empty_like(p)
    adjusted[order] = np.minimum(np.maximum.accumulate(p[order] * np.arange(len(p), 0, -1)), 1)
    return adjusted


def wilson_interval(successes: int, networks: int, level: float = 0.95) -> Interval:
    """Wilson's score interval of a share. Raises ValueError unless 0 <= successes <= networks > 0.

    Wilson (1927), Journal of the American Statistical Association 22.
    """
    interval = stats.binomtest(int(successes), int(networks)).proportion_ci(level, method="wilson")
    return float(interval.low), float(interval.high)


def rank_correlation(x: ArrayLike, y: ArrayLike) -> Estimate:
    """Spearman's rank correlation of x (network,) and y (network,), bootstrapped over networks.

    Raises ValueError as `one_per_network` and `bootstrap_over_networks` do.
    """
    return bootstrap_over_networks(_spearman, (one_per_network(x), one_per_network(y)))


def _spearman(x: np.ndarray, y: np.ndarray) -> float:
    return float(np.corrcoef(stats.rankdata(x), stats.rankdata(y))[0, 1])


def one_per_network(samples: ArrayLike) -> np.ndarray:
    """Samples as float64 (network,); raises ValueError if they are of another shape, none, or not finite."""
    x = np.asarray(samples, dtype=np.float64)
    if x.ndim != 1 or not len(x):
        raise ValueError(f"samples must be one number per network, shape (network,); got shape {x.shape}")
    if not np.isfinite(x).all():
        bad = np.flatnonzero(~np.isfinite(x)).tolist()
        raise ValueError(f"samples of networks {bad} (of {len(x)}) are not finite; say what they mean first")
    return x


def _t_estimate(ours: float, standard_error: float, df: float, networks: int) -> Estimate:
    def interval(level: float) -> Interval:
        reach = stats.t.ppf((1 + level) / 2, df) * standard_error
        return float(ours - reach), float(ours + reach)

    return Estimate(float(ours), interval(0.90), interval(0.95), networks, float(df))


def _draws(fn: Callable[..., float], arrays: tuple, n: int, seed: int) -> tuple[float, np.ndarray]:
    networks = len(arrays[0])
    rows = np.random.default_rng(seed).integers(networks, size=(n, networks))
    with np.errstate(invalid="ignore", divide="ignore"):  # undefined draws are counted by the caller
        draws = np.array([fn(*(array[row] for array in arrays)) for row in rows], dtype=float)
    return float(fn(*arrays)), draws
