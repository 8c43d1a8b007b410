"""Panels on memory span: scores at the last place by context, spans, and networks beyond their training.

Each function draws what it is given on the axes it is given; tables are those of `wm.symbolic.span`.
"""

from __future__ import annotations

__all__ = ["draw_by_context", "draw_convergence", "draw_reach", "draw_spans", "draw_transfer", "summary"]

from collections.abc import Mapping, Sequence

import numpy as np
import pandas as pd
from matplotlib.axes import Axes
from matplotlib.colors import LogNorm
from matplotlib.image import AxesImage
from matplotlib.ticker import LogLocator, MaxNLocator, NullLocator, ScalarFormatter

from ..claims import ENOUGH, mean_interval
from ..style import CHANCE, COLORS, LABELS, MARKERS, SHORT, line_label, sideways
from .span import CERTAIN, spans

_BEST = {"color": COLORS["exact"], "lw": 4, "zorder": 1.5, "label": "exact optimum"}  # wide: dots lie on it


def draw_by_context(ax: Axes, rows: pd.DataFrame, families: Sequence[str], which: str) -> None:
    """Accuracy or loss at the last place (which: "accuracy", "loss") by context, of one holding time.

    Every network a dot, families side by side; wide bars: the exact optimum. Right of the dotted lines are
    contexts of the holding time h or more, and of h + 1 or more.
    """
    best = rows.groupby("context")[f"last_{'ceiling' if which == 'accuracy' else 'floor'}"].first()
    ax.hlines(best, best.index - 0.45, best.index + 0.45, **_BEST)
    for k, family in enumerate(families):
        own = rows[rows.family == family]
        _dots(ax, family, own.context + _beside(k, families, 0.25), own[f"last_{which}"], own.context)
    hold = rows.h.iloc[0]
    for first in (hold, hold + 1):
        ax.axvline(first - 0.5, color=COLORS["chance"], ls=":", lw=0.8, zorder=0.4)
    ax.xaxis.set_major_locator(MaxNLocator(integer=True))
    ax.set(xlabel="context B (symbols)", xlim=(best.index.min() - 0.6, best.index.max() + 0.6))


def draw_spans(ax: Axes, rows: pd.DataFrame, families: Sequence[str]) -> None:
    """Span of every network by holding time; bars: that many symbols (the exact span), dashed: one more."""
    found = spans(rows)
    holds = np.sort(found.h.unique())
    at = np.arange(len(holds))
    ax.hlines(holds, at - 0.45, at + 0.45, **_BEST)
    ax.hlines(holds + 1, at - 0.42, at + 0.42, color=COLORS["chance"], ls="--", lw=0.8)
    for k, family in enumerate(families):
        own = found[found.family == family]
        _dots(ax, family, np.searchsorted(holds, own.h) + _beside(k, families, 0.25), own.span, own.h)
    for value, text, color in ((holds[-1], "h, exact", "black"), (holds[-1] + 1, "h + 1", "#6E6E6E")):
        ax.text(at[-1] + 0.46, value, text, va="center", fontsize=5.5, color=color)
    ax.set(xlabel="holding time h (symbols)", ylabel=f"span: B for accuracy ≥ {CERTAIN:g}")
    ax.set(xlim=(-0.6, at[-1] + 0.85), ylim=(0, holds[-1] + 2))
    ax.set_xticks(at, holds)


def _beside(k: int, families: Sequence[str], step: float) -> float:
    """Place of the k-th family beside the others."""
    return (k - (len(families) - 1) / 2) * step


def _dots(ax: Axes, family: str, x: pd.Series | np.ndarray, y: pd.Series, groups: pd.Series) -> None:
    """A dot per network at (x, y), those of one group scattered beside each other."""
    order = groups.groupby(groups).cumcount().to_numpy()
    scatter = sideways(order.max() + 1, 0.18)[order]
    look = {"color": COLORS[family], "marker": MARKERS[family], "s": 8, "lw": 0.3, "edgecolor": "white"}
    ax.scatter(np.asarray(x) + scatter, y, zorder=3, label=LABELS[family], **look)


def draw_convergence(ax: Axes, rows: pd.DataFrame, families: Sequence[str]) -> None:
    """First update with an expected loss within 0.01 nats of the floor, by context less holding time.

    Every network a dot, its holding time by size; line: the updates made. Networks that never come so near
    are crosses on that line.
    """
    for k, family in enumerate(families):
        own = rows[rows.family == family]
        at = (own.context - own.h + _beside(k, families, 0.26)).to_numpy() + sideways(len(own), 0.2)
        size = 2 + 10 * (own.h / rows.h.max()) ** 2
        near = own.on_floor > 0
        look = {"color": COLORS[family], "lw": 0, "alpha": 0.7, "zorder": 3}
        ax.scatter(at[near], own.on_floor[near], s=size[near], marker=MARKERS[family], **look)
        never = own[~near]
        ax.scatter(at[~near], never.updates, marker="x", color=COLORS[family], s=12, lw=0.8, zorder=3)
    made = rows.updates.max()
    ax.axhline(made, **CHANCE)
    line_label(ax, made, "updates made")
    ax.set(yscale="log", xlabel="context less holding time", ylabel="updates until on the floor")
    ax.yaxis.set_major_locator(LogLocator(subs=(1, 3)))
    ax.yaxis.set_major_formatter(ScalarFormatter())
    ax.yaxis.set_minor_locator(NullLocator())
    ax.set_xticks(sorted((rows.context - rows.h).unique()))


def draw_reach(
    ax: Axes, found: Mapping[str, np.ndarray], best: np.ndarray, *, context: int, label: str = "accuracy"
) -> None:
    """Scores at each place of a long window, by family (network, place): mean and every network.

    best: the exact optimum (place,), black. Shaded: places beyond the `context` of training.
    """
    ax.axvspan(context + 0.5, len(best) + 0.5, color=COLORS["delay"], lw=0, zorder=0)
    ax.plot(np.arange(1, len(best) + 1), best, **_BEST | {"lw": 3})
    for family, values in found.items():
        places = np.arange(1, values.shape[1] + 1)
        ax.plot(places, values.T, color=COLORS[family], lw=0.35, alpha=0.45)
        ax.plot(places, values.mean(axis=0), color=COLORS[family], lw=1.2)
    ax.set(xlabel="place in the window", ylabel=label, xlim=(0.5, len(best) + 0.5))


def draw_transfer(
    ax: Axes, table: pd.DataFrame, families: Sequence[str], processes: Sequence[str]
) -> AxesImage:
    """Mean loss above the floor (nats, log colours) by family and process, numbers written in."""
    means = table.pivot_table(index="family", columns="process", values="excess", aggfunc="mean")
    means = means.loc[list(families), list(processes)].to_numpy()
    image = ax.imshow(np.maximum(means, 1e-4), norm=LogNorm(1e-4, 10), cmap="Purples", aspect="auto")
    for row, column in np.ndindex(means.shape):
        shade = "white" if means[row, column] > 0.3 else "black"
        text = f"{means[row, column]:.4f}" if means[row, column] < 0.01 else f"{means[row, column]:.2f}"
        ax.text(column, row, text, ha="center", va="center", fontsize=5.5, color=shade)
    ax.set_xticks(range(len(processes)), processes)
    ax.set_yticks(range(len(families)), [SHORT[family] for family in families])
    ax.tick_params(length=0)
    ax.spines[:].set_visible(False)
    ax.set_xlabel("holding times tested")
    return image


def summary(rows: pd.DataFrame) -> pd.DataFrame:
    """Accuracy at the last place, mean over networks and holding times, by family and context - h.

    Beside it the exact ceiling, the 95 % interval over networks (each the mean of its holding times) from 6
    networks on, and the largest loss above the floor among all of them.
    """
    rows = rows.assign(offset=rows.context - rows.h, excess=rows.loss - rows.floor)
    found = {}
    for (family, offset), own in rows.groupby(["family", "offset"], sort=False):
        each = own.groupby("seed").last_accuracy.mean()
        low, high = mean_interval(each) if len(each) >= ENOUGH else (np.nan, np.nan)
        found[LABELS[family], offset] = (each.mean(), low, high, own.last_ceiling.mean(), own.excess.max())
    columns = ["accuracy", "95 % from", "to", "exact ceiling", "largest loss above floor (nats)"]
    table = pd.DataFrame.from_dict(found, orient="index", columns=columns)
    table.index = pd.MultiIndex.from_tuples(table.index, names=["model", "B - h"])
    return table
