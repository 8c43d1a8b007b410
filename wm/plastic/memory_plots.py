"""Memory of plastic networks against delay and number of items: what `memory` tables say, and panels.

Tables and curves are those of `wm.plastic.measures`; functions draw what they are given on the axes given.
"""

from __future__ import annotations

__all__ = [
    "LEARNED", "NAMES", "by_delay", "by_items", "by_seed", "distance", "draw_against", "draw_by_place",
    "draw_by_token", "draw_learning", "learning_times", "observations", "recall_by_place", "rules_of",
    "sight",
]  # fmt: skip

from collections.abc import Mapping, Sequence

import numpy as np
import pandas as pd
from matplotlib.axes import Axes
from matplotlib.ticker import FixedLocator, NullLocator, ScalarFormatter

from ..estimate import mean_interval
from ..marks import band
from ..style import CHANCE, COLORS, MARKERS, line_label, sideways
from .families import PAPER_RULES, PlasticConfig, config, make_task
from .measures import Curves
from .tasks import Copying

LEARNED = 0.9
"""share of items recalled above which a network counts as having learned"""
NAMES = {"copying": "attention to all", "windowed_copying": "attention to five"}
"""first part of the families -> what they see"""
_BESIDE = {"none": -0.7, "hebbian": 0.0, "gradient": 0.7}


def by_delay(rows: pd.DataFrame) -> pd.DataFrame:
    """Rows of five items, those of the delays."""
    return rows[rows["items"] == 5]


def by_items(rows: pd.DataFrame) -> pd.DataFrame:
    """Rows without delay, those of the numbers of items."""
    return rows[rows.delay == 0]


def by_seed(rows: pd.DataFrame, family: str, column: str = "score") -> np.ndarray:
    """Mean of a column over the variants in the rows, a number for each network of a family, (network,)."""
    return rows[rows.family == family].groupby("seed")[column].mean().to_numpy(dtype=float)


def distance(task: Copying) -> int:
    """Tokens from where an item is shown to where it is asked for."""
    return task.items + task.delay + 1


def sight(config: PlasticConfig) -> float:
    """Tokens back from which attention can bring something, layer upon layer; infinite without a window."""
    return config.layers * (config.window - 1) if config.window else np.inf


def learning_times(rows: pd.DataFrame, curves: Curves) -> pd.DataFrame:
    """The rows with `learned_after`: updates to the end of the first bin with a score above `LEARNED`.

    Scores are those of training; NaN: never. `counted_after` has all updates of the training instead of NaN.
    """
    score, found = curves.metrics.index("score"), []
    for row in rows.itertuples():
        own = curves.values[row.family][curves.variants[row.family].index(row.variant), row.seed, score]
        above = np.flatnonzero(own > LEARNED)
        found.append(curves.steps[row.family][above[0]] if len(above) else np.nan)
    times = pd.Series(found, index=rows.index, dtype=float)
    return rows.assign(learned_after=times, counted_after=times.fillna(rows.trained))


def recall_by_place(times: Curves, family: str, variant: str) -> np.ndarray:
    """Share right of the first, second, ... item that is asked for, (network, item)."""
    task = make_task(_variant(family, variant))
    own = times.values[family][times.variants[family].index(variant), :, times.metrics.index("score")]
    return own[:, task.length - task.items : task.length].astype(float)


def _variant(family: str, variant: str) -> PlasticConfig:
    """Settings of a variant of the experiment, `delay 20` or `length 30`."""
    what, number = variant.split()
    if what == "delay":
        return config(family, delay=int(number))
    return config(family, items=int(number), queries=int(number), delay=0)


def observations(rows: pd.DataFrame) -> pd.DataFrame:
    """What the rows of `learning_times` show, for each rule and kind of attention, over networks.

    The longest delay and the most items up to which all networks recall more than `LEARNED`, mean recall at
    the longest delay and with most items, and the median of `learned_after` over all conditions of those
    that learned, with the share that never did.
    """
    kinds = rows.assign(attention=rows.family.str.rpartition("_")[0].map(NAMES))
    groups = kinds.groupby(["attention", "rule"], sort=False)
    return pd.DataFrame({key: _observed(own) for key, own in groups}).T.rename_axis(["attention", "rule"])


def _observed(own: pd.DataFrame) -> dict[str, float]:
    delays, items = by_delay(own), by_items(own)
    return {
        "delay held": _held(delays, "delay"), "items held": _held(items, "items"),
        "recall, longest delay": delays[delays.delay == delays.delay.max()].score.mean(),
        "recall, most items": items[items["items"] == items["items"].max()].score.mean(),
        "updates to learn": own.learned_after.median(), "never learned": own.learned_after.isna().mean(),
    }  # fmt: skip


def _held(rows: pd.DataFrame, by: str) -> float:
    """The largest of `by` up to which all networks recall more than `LEARNED`; NaN: not even the smallest."""
    worst = rows.groupby(by).score.min()
    return worst.index[(worst > LEARNED).cummin()].max()


def draw_against(
    ax: Axes, rows: pd.DataFrame, by: str, column: str = "score", *, beyond: float | None = None
) -> None:
    """A column against `by` ("delay" or "items"), a line through the means of each rule.

    Every network a small dot, bars: 95 % intervals. Shaded: from `beyond` on attention does not reach back.
    """
    if beyond is not None:
        ax.axvspan(beyond, 1e4, color=COLORS["delay"], lw=0, zorder=0)
    places = np.sort(rows[by].unique())
    for rule in PAPER_RULES:
        own = rows[rows.rule == rule].pivot(index="seed", columns=by, values=column).reindex(columns=places)
        _line(ax, places + _BESIDE[rule] * np.ptp(places) / 60, own.to_numpy(dtype=float), rule)
    ax.set(xlabel={"delay": "delay (tokens)", "items": "items"}[by], xticks=places)
    ax.set_xlim(places[0] - np.ptp(places) / 12, places[-1] + np.ptp(places) / 12)


def _line(ax: Axes, x: np.ndarray, values: np.ndarray, rule: str) -> None:
    """Dots of networks (network, x), means with intervals where two or more networks are there."""
    color, there = COLORS[rule], [column[~np.isnan(column)] for column in values.T]
    middle = [each.mean() if len(each) else np.nan for each in there]
    look = {"color": color, "marker": MARKERS[rule], "markersize": 3.5, "lw": 0.9, "elinewidth": 0.7}
    ax.errorbar(x, middle, [_reach(each) for each in there], capsize=1.5, zorder=3, **look)
    scattered = x[:, None] + sideways(len(values), np.ptp(x) / 60)
    ax.plot(scattered, values.T, "o", color=color, ms=1.5, alpha=0.6, mew=0, zorder=2)


def _reach(values: np.ndarray) -> float:
    return mean_interval(values)[1] - values.mean() if len(values) > 1 else 0.0


def draw_learning(ax: Axes, rows: pd.DataFrame, by: str, *, beyond: float | None = None) -> None:
    """Updates until `LEARNED` against `by`, means of those that learned; crosses on the line: never."""
    draw_against(ax, rows, by, "learned_after", beyond=beyond)
    made, places = rows.trained.max(), np.sort(rows[by].unique())
    for rule in PAPER_RULES:
        never = rows[(rows.rule == rule) & rows.learned_after.isna()]
        for place, own in never.groupby(by):
            x = place + _BESIDE[rule] * np.ptp(places) / 45 + sideways(len(own), np.ptp(places) / 50)
            ax.plot(x, np.full(len(own), made), "x", color=COLORS[rule], ms=2.5, mew=0.6, zorder=3)
    ax.axhline(made, **CHANCE)
    line_label(ax, made * 1.03, "never learned")
    ax.set(yscale="log", ylabel=f"updates until recall > {LEARNED:g}", ylim=(30, made * 1.5))
    ax.yaxis.set_major_locator(FixedLocator([50, 100, 200, 500, 1000, 2000]))
    ax.yaxis.set_major_formatter(ScalarFormatter())
    ax.yaxis.set_minor_locator(NullLocator())


def draw_by_place(ax: Axes, found: Mapping[str, np.ndarray]) -> None:
    """Recall of the first, second, ... item, rule -> (network, item): mean and 95 % interval."""
    for rule, values in found.items():
        items = np.arange(1, values.shape[1] + 1)
        marked = {"marker": MARKERS[rule], "markersize": 2.5} if len(items) < 8 else {}
        band(ax, items, values, color=COLORS[rule], within=(0, 1), **marked)
    ax.set(xlabel="item", xlim=(0.5, len(items) + 0.5), ylim=(0, 1.04))


def draw_by_token(
    ax: Axes, times: Curves, families: Mapping[str, str], variant: str, metric: str
) -> None:
    """A mean over test sequences token by token, rule -> family, mean over networks and 95 % interval.

    Shaded: the delay; dashed: the delimiter, after which items are asked for.
    """
    task = make_task(_variant(next(iter(families.values())), variant))
    shown = task.items
    ax.axvspan(shown + 0.5, shown + task.delay + 0.5, color=COLORS["delay"], lw=0, zorder=0)
    ax.axvline(shown + task.delay + 1, **CHANCE)
    for rule, family in families.items():
        own = times.values[family][times.variants[family].index(variant), :, times.metrics.index(metric)]
        band(ax, np.arange(1, task.length + 1), own[:, : task.length].astype(float), color=COLORS[rule])
    ax.set(xlabel="token", xlim=(0.5, task.length + 0.5))


def rules_of(kind: str, rules: Sequence[str] = PAPER_RULES) -> dict[str, str]:
    """rule -> family of a kind in `NAMES`."""
    return {rule: f"{kind}_{rule}" for rule in rules}
