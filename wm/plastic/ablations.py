"""What plastic networks lose without one of their parts, and what becomes of deep ones.

Tables are those of the experiments `ablations` and `depth` (see `wm.plastic.measures`). Networks of one seed
start alike and see the same sequences, so that differences are paired. Networks that diverged have no scores:
let them count as chance (`performance.counted`) before they are compared.
"""

from __future__ import annotations

__all__ = [
    "DEPTH", "NO_AUXILIARY", "block_norms", "drift", "exploded", "paired", "pairs", "scores_of", "share",
    "with_effect",
]  # fmt: skip

import numpy as np
import pandas as pd
from scipy import stats

from ..estimate import Estimate, difference, one_per_network
from .performance import BLANK_SPAN, Published

NO_AUXILIARY = {
    "all_loss": Published(0.3620, 0.0135), "paper_metric": Published(0.7346, 0.0012, BLANK_SPAN),
    "rate": Published(0.0945, 0.0175),
}  # fmt: skip
"""published mean and standard deviation over three seeds: gradient rule, copying, 100 sequences"""
DEPTH = {"hebbian": Published(0.729, 0.015, BLANK_SPAN)}
"""published share of right answers ("recall accuracy") of eight layers and its uncertainty"""


def with_effect(rows: pd.DataFrame) -> pd.DataFrame:
    """The rows without Hebbian networks that lack auxiliary outputs: that rule never reads these outputs."""
    return rows[~((rows.rule == "hebbian") & (rows.variant == "no auxiliary"))]


def pairs(rows: pd.DataFrame, variant: str, column: str = "score", *, usual: str = "usual") -> pd.DataFrame:
    """Columns `variant` and `usual` by seed, of one family and number of updates; seeds that have both.

    Raises ValueError for a variant that the rows do not have, or rows of several families or updates.
    """
    if len(rows[["family", "updates"]].drop_duplicates()) != 1:
        raise ValueError("pairs are of one family after one number of updates: select them first")
    values = rows.pivot(index="seed", columns="variant", values=column)
    for name in (variant, usual):
        if name not in values:
            raise ValueError(f"no variant {name!r}: there are {', '.join(values)}")
    found = pd.DataFrame({"variant": values[variant], "usual": values[usual]})
    return found.dropna()


def paired(rows: pd.DataFrame, column: str = "score") -> pd.DataFrame:
    """Differences of every variant from `usual` by seed, with 95 % t-intervals: a row for each of a family.

    rows: after one number of updates each. Columns: family, variant, usual (mean), change (mean), low, high,
    networks (pairs), diverged (networks of the variant).
    """
    found = []
    for family, own in rows.groupby("family", sort=False):
        for variant in own.variant.unique():
            if variant != "usual":
                found.append({"family": family, "variant": variant} | _change(own, variant, column))
    return pd.DataFrame(found)


def _change(own: pd.DataFrame, variant: str, column: str) -> dict[str, float]:
    both, gone = pairs(own, variant, column), int(own[own.variant == variant].diverged.sum())
    if len(both) < 2:
        return {"usual": np.nan, "change": np.nan, "low": np.nan, "high": np.nan, "networks": len(both),
                "diverged": gone}  # fmt: skip
    gap = difference(both.variant, both.usual, paired=True)
    low, high = gap.interval95
    return {"usual": both.usual.mean(), "change": gap.ours, "low": low, "high": high, "networks": len(both),
            "diverged": gone}  # fmt: skip


def scores_of(rows: pd.DataFrame, column: str, **where) -> np.ndarray:
    """One column by seed, (network,), of rows with the values `where`, such as `layers=8, updates=100`.

    Networks that have no value are left out. Raises ValueError if nothing is left, or for two rows of one
    seed.
    """
    own = rows[np.logical_and.reduce([rows[name] == value for name, value in where.items()])]
    if own.seed.duplicated().any():
        raise ValueError(
            f"several rows of one seed for {where}: select one number of updates and one variant"
        )
    values = own.sort_values("seed")[column].dropna()
    if values.empty:
        raise ValueError(f"no network is left for {where}")
    return values.to_numpy()


def exploded(rows: pd.DataFrame, *, limit: float = 100, after: int = 3000, **where) -> np.ndarray:
    """1 for networks that diverged, or had a `plastic_norm` above the limit, after more than `after` updates.

    (network,); rows: of all numbers of updates, `where` as in `scores_of`.
    """
    own = rows[
        np.logical_and.reduce([rows.updates > after, *(rows[name] == value for name, value in where.items())])
    ]
    beyond = own.plastic_norm.gt(limit) | own.plastic_norm.isna()
    return beyond.groupby(own.seed).any().astype(float).to_numpy()


def share(flags: np.ndarray) -> Estimate:
    """The share of networks with a flag (network,) of 0 or 1, with exact binomial intervals.

    As a claim it asks for all networks: where they all agree, the 90 % interval, and so p, has no width.
    Source: Clopper and Pearson 1934, Biometrika 26. Raises ValueError for other numbers than 0 and 1.
    """
    flags = one_per_network(flags)
    if not np.isin(flags, (0, 1)).all():
        raise ValueError(f"a share counts networks with 1 among those with 0, got {np.unique(flags)}")
    counted = stats.binomtest(int(flags.sum()), len(flags))
    wide, narrow = (tuple(map(float, counted.proportion_ci(level))) for level in (0.95, 0.9))
    ours = float(flags.mean())
    return Estimate(ours, (ours, ours) if ours in (0, 1) else narrow, wide, len(flags))


def block_norms(rows: pd.DataFrame) -> tuple[np.ndarray, np.ndarray]:
    """Updates (step,) and sums of squares of the fast weights of each block (network, step, block).

    rows: of one variant. NaN where a network diverged.
    """
    steps = np.sort(rows.updates.unique())
    blocks = [f"norm_block{k}" for k in range(int(rows.layers.max()))]
    table = rows.set_index(["seed", "updates"])[blocks]
    seeds = sorted(rows.seed.unique())
    wanted = pd.MultiIndex.from_product([seeds, steps])
    return steps, table.reindex(wanted).to_numpy(float).reshape(len(seeds), len(steps), len(blocks))


def drift(rows: pd.DataFrame) -> np.ndarray:
    """How much more the norms of deeper blocks grow in training: decades a block, (network,).

    Slope over blocks of log10 of the last norm over the first one; last: before a network diverged; those
    that did at once are left out. Above 0 where the deepest layers drift most. ValueError if none is left.
    """
    _, norms = block_norms(rows)
    found = []
    for own in norms:  # (step, block)
        there = own[np.isfinite(own).all(axis=1)]
        if len(there) < 2:
            continue
        found.append(np.polyfit(np.arange(there.shape[1]), np.log10(there[-1] / there[0]), 1)[0])
    if not found:
        raise ValueError("no network has norms after two numbers of updates: nothing can drift")
    return np.array(found)
