"""Memory of plastic networks against delay and number of items: what `memory` tables say, and panels.

Tables and curves are those of `wm.plastic.measures`; functions draw what they are given on the axes given.
"""

from __future__ import annotations

__all__ = [
    "LEARNED", "NAMES", "by_delay", "by_items", "by_seed", "distance", "draw_against", "draw_by_place",
    "draw_by_token", "draw_learning", "draw_recall", "draw_size", "late_recall", "learning_times",
    "observations", "recall_by_place", "recall_table", "resampled", "rules_of", "sight", "sizes_table",
]  # fmt: skip

from collections.abc import Callable, Mapping, Sequence
from functools import partial

import numpy as np
import pandas as pd
from matplotlib.axes import Axes
from matplotlib.ticker import FixedLocator, FuncFormatter, LogLocator, NullFormatter, NullLocator

from ..estimate import Band, expanded_percentiles
from ..style import CHANCE, COLORS, MARKERS, line_label, sideways
from .families import PAPER_RULES, PlasticConfig, config, make_task
from .measures import Curves
from .tasks import Copying

LEARNED = 0.9
"""share of items recalled above which a network counts as having learned"""
NAMES = {"copying": "attention to all", "windowed_copying": "attention to five"}
"""first part of the families -> what they see"""
_BESIDE = {"none": -0.7, "hebbian": 0.0, "gradient": 0.7}
_PLAIN = FuncFormatter(lambda x, _: f"{x:g}")


def by_delay(rows: pd.DataFrame) -> pd.DataFrame:
    """Rows of five items, those of the delays."""
    return rows[rows["items"] == 5]


def by_items(rows: pd.DataFrame) -> pd.DataFrame:
    """Rows without delay, those of the numbers of items."""
    return rows[rows.delay == 0]


def by_seed(rows: pd.DataFrame, family: str, column: str = "score") -> np.ndarray:
    """Mean of a column over the variants in the rows, a number for each network of a family, (network,)."""
    return rows[rows.family == family].groupby("seed")[column].mean().to_numpy(dtype=float)


def resampled(values: np.ndarray, statistic: Callable[..., np.ndarray] = np.mean) -> Band:
    """A statistic over networks of values (network, x), with 95 % intervals from resampling networks: (x,).

    Percentiles of 2000 bootstrap draws, expanded for few networks: unlike t-intervals they stay within the
    range of the values, also where networks either learn everything or nothing. Networks with a NaN are left
    out.
    """
    values = values[~np.isnan(values).any(axis=1)]
    drawn = np.random.default_rng(0).integers(len(values), size=(2000, len(values)))
    draws = statistic(values[drawn], axis=1)  # (draw, x)
    ends = [expanded_percentiles(each, len(values), 0.95) for each in draws.T]
    return Band(statistic(values, axis=0), *np.transpose(ends))


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
    the longest delay and with most items, and the median of `counted_after` over all conditions, with the
    share that never learned.
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
        "updates to learn": own.counted_after.median(), "never learned": own.learned_after.isna().mean(),
    }  # fmt: skip


def _held(rows: pd.DataFrame, by: str) -> float:
    """The largest of `by` up to which all networks recall more than `LEARNED`; NaN: not even the smallest."""
    worst = rows.groupby(by).score.min()
    return worst.index[(worst > LEARNED).cummin()].max()


def recall_table(rows: pd.DataFrame) -> pd.DataFrame:
    """Mean recall with its resampled 95 % interval, and how many networks recall more than `LEARNED`: text.

    A row for each kind of attention and variant, a column for each rule.
    """
    groups = rows.groupby(["kind", "variant", "rule"], sort=False)
    return groups.score.agg(_recall_text).unstack("rule")


def _recall_text(values: pd.Series) -> str:
    return f"{_text(values, resampled)}, {_complete(values)}"


def _complete(values: pd.Series) -> str:
    return f"{(values > LEARNED).sum()} of {len(values)}"


def sizes_table(rows: pd.DataFrame, columns: Sequence[str]) -> pd.DataFrame:
    """Geometric means over networks, resampled 95 % intervals, as text: a row for each variant and rule."""
    groups = rows.groupby(["variant", "rule"], sort=False)[[*columns]]
    return groups.agg(lambda values: _text(values, _geometric))


def _text(values: pd.Series, middle: Callable[[np.ndarray], Band]) -> str:
    found = middle(values.to_numpy(dtype=float)[:, None])
    return "{:.3g} [{:.3g}, {:.3g}]".format(*np.ravel(found))


def late_recall(rows: pd.DataFrame, curves: Curves) -> pd.DataFrame:
    """Mean recall in training after three quarters of the updates and in the end, by variant and rule.

    Over the networks of the rows, which are of one kind of attention. From three quarters on the learning
    rate decays.
    """
    score, found = curves.metrics.index("score"), {}
    for (family, variant, rule), own in rows.groupby(["family", "variant", "rule"], sort=False):
        made = curves.values[family][curves.variants[family].index(variant), own.seed, score]
        steps = np.asarray(curves.steps[family])
        at = np.searchsorted(steps, 0.75 * steps[-1], "right") - 1
        found[variant, rule] = {"at 3/4": made[:, at].mean(), "at the end": made[:, -1].mean()}
    return pd.DataFrame(found).T.rename_axis(["variant", "rule"]).unstack("rule")


def draw_recall(ax: Axes, rows: pd.DataFrame, by: str, *, beyond: float | None = None) -> None:
    """Recall against `by`: means, resampled intervals, every network (see `draw_against`).

    Where some networks recall more than `LEARNED` and others do not, their number stands beside the mean.
    """
    draw_against(ax, rows, by, resampled, beyond=beyond)
    places = np.sort(rows[by].unique())
    for (rule, place), own in rows.groupby(["rule", by]):
        if 0 < (own.score > LEARNED).sum() < len(own):
            at = (place + _aside(rule, places), own.score.mean())
            side, beside = ("right", (-3, -8)) if rule == "hebbian" else ("left", (3, 2))
            look = {"color": COLORS[rule], "fontsize": 5.5, "textcoords": "offset points", "ha": side}
            ax.annotate(_complete(own.score).replace(" of ", "/"), at, beside, **look)
    ax.set(ylim=(0, 1.06), ylabel="recall")


def draw_against(
    ax: Axes, rows: pd.DataFrame, by: str, middle: Callable[[np.ndarray], Band], column: str = "score", *,
    dots: str | None = None, beyond: float | None = None,
) -> None:  # fmt: skip
    """A column against `by` ("delay" or "items"), by rule: a line through `middle`, bars its intervals.

    middle: of values (network, x). Small dots: every network, or another column. Shaded: from `beyond` on
    attention does not reach back.
    """
    if beyond is not None:
        ax.axvspan(beyond, 1e4, color=COLORS["delay"], lw=0, zorder=0)
    places = np.sort(rows[by].unique())
    for rule in PAPER_RULES:
        own, x = rows[rows.rule == rule], places + _aside(rule, places)
        if own.empty:
            continue
        values, each = (_wide(own, by, name) for name in (column, dots or column))
        _line(ax, x, middle(values), rule)
        scattered = x[:, None] + sideways(len(each), np.ptp(x) / 60)
        ax.plot(scattered, each.T, "o", color=COLORS[rule], ms=1.5, alpha=0.6, mew=0, zorder=2)
    ax.set(xlabel={"delay": "delay (tokens)", "items": "items"}[by], xticks=places)
    ax.set_xlim(places[0] - np.ptp(places) / 12, places[-1] + np.ptp(places) / 12)


def _wide(own: pd.DataFrame, by: str, column: str) -> np.ndarray:  # (network, x)
    return own.pivot(index="seed", columns=by, values=column).to_numpy(dtype=float)


def _aside(rule: str, places: np.ndarray) -> float:
    return _BESIDE[rule] * np.ptp(places) / 60


def _line(ax: Axes, x: np.ndarray, found: Band, rule: str) -> None:
    look = {"color": COLORS[rule], "marker": MARKERS[rule], "markersize": 3.5, "lw": 0.9, "elinewidth": 0.7}
    reach = (found.estimate - found.low, found.high - found.estimate)
    ax.errorbar(x, found.estimate, np.maximum(reach, 0), capsize=1.5, zorder=3, **look)


def _of_logs(statistic: Callable[[np.ndarray], Band]) -> Callable[[np.ndarray], Band]:
    """A statistic of logarithms, as what they are the logarithms of; what is not positive has none."""
    return lambda values: Band(
        *(10**each for each in statistic(np.log10(np.where(values > 0, values, np.nan))))
    )


_geometric, _median = _of_logs(resampled), _of_logs(partial(resampled, statistic=np.median))


def draw_size(ax: Axes, rows: pd.DataFrame, by: str, column: str, *, beyond: float | None = None) -> None:
    """A positive column against `by` on a logarithmic axis: geometric means and resampled intervals."""
    draw_against(ax, rows, by, _geometric, column, beyond=beyond)
    ax.set_yscale("log")
    decades = np.ptp(np.log10(ax.get_ylim()))
    locator = LogLocator(subs=(1, 2, 5) if decades < 1.5 else (1,))
    ax.yaxis.set(major_locator=locator, major_formatter=_PLAIN, minor_formatter=NullFormatter())


def draw_learning(ax: Axes, rows: pd.DataFrame, by: str, *, beyond: float | None = None) -> None:
    """Updates until `LEARNED` against `by`: medians, for which never is all updates that were made.

    Bars: resampled intervals of logarithms. Dots: networks that learned; crosses on the line: never.
    """
    draw_against(ax, rows, by, _median, "counted_after", dots="learned_after", beyond=beyond)
    made, places = rows.trained.max(), np.sort(rows[by].unique())
    for rule in PAPER_RULES:
        never = rows[(rows.rule == rule) & rows.learned_after.isna()]
        for place, own in never.groupby(by):
            x = place + _BESIDE[rule] * np.ptp(places) / 45 + sideways(len(own), np.ptp(places) / 50)
            ax.plot(x, np.full(len(own), made), "x", color=COLORS[rule], ms=2.5, mew=0.6, zorder=3)
    ax.axhline(made, **CHANCE)
    line_label(ax, made * 1.03, "never learned")
    ax.set(yscale="log", ylabel=f"updates until recall > {LEARNED:g}", ylim=(30, made * 1.5))
    locator = FixedLocator([50, 100, 200, 500, 1000, 2000])
    ax.yaxis.set(major_locator=locator, major_formatter=_PLAIN, minor_locator=NullLocator())


def draw_by_place(ax: Axes, found: Mapping[str, np.ndarray]) -> None:
    """Recall of the first, second, ... item, rule -> (network, item): mean and resampled 95 % interval."""
    for rule, values in found.items():
        items = np.arange(1, values.shape[1] + 1)
        marked = {"marker": MARKERS[rule], "markersize": 2.5} if len(items) < 8 else {}
        _shade(ax, items, resampled(values), color=COLORS[rule], **marked)
    ax.set(xlabel="item", xlim=(0.5, len(items) + 0.5), ylim=(0, 1.04))


def draw_by_token(ax: Axes, times: Curves, families: Mapping[str, str], variant: str, metric: str) -> None:
    """A mean over test sequences token by token, rule -> family, on a logarithmic axis.

    Lines: geometric means over networks, with resampled 95 % intervals. Shaded: the delay; dashed: the
    delimiter, after which items are asked for.
    """
    task = make_task(_variant(next(iter(families.values())), variant))
    shown = task.items
    ax.axvspan(shown + 0.5, shown + task.delay + 0.5, color=COLORS["delay"], lw=0, zorder=0)
    ax.axvline(shown + task.delay + 1, **CHANCE)
    for rule, family in families.items():
        own = times.values[family][times.variants[family].index(variant), :, times.metrics.index(metric)]
        found = _geometric(own[:, : task.length].astype(float))
        _shade(ax, np.arange(1, task.length + 1), found, color=COLORS[rule])
    ax.set(xlabel="token", yscale="log", xlim=(0.5, task.length + 0.5))


def _shade(ax: Axes, x: np.ndarray, found: Band, *, color: str, **line) -> None:
    ax.plot(x, found.estimate, color=color, **line)
    ax.fill_between(x, found.low, found.high, color=color, alpha=0.2, lw=0)


def rules_of(kind: str, rules: Sequence[str] = PAPER_RULES) -> dict[str, str]:
    """rule -> family of a kind in `NAMES`."""
    return {rule: f"{kind}_{rule}" for rule in rules}
