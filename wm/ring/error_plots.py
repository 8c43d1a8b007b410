"""Panels on the errors of ring networks: strips, shares kept, cost of a distractor, shifts, training curves.

Each function draws what it is given on the axes it is given; tables are those of `wm.ring.derived.by_family`,
family -> a row for each network. Filled markers are networks that the published selection keeps, hollow ones
those that it drops.
"""

from __future__ import annotations

__all__ = [
    "draw_distractor_cost", "draw_errors", "draw_kept", "draw_mean", "draw_shift_scatter", "draw_strips",
    "draw_training", "error_axis",
]  # fmt: skip

from collections.abc import Mapping, Sequence

import numpy as np
import pandas as pd
from matplotlib.axes import Axes
from matplotlib.lines import Line2D
from matplotlib.ticker import FixedLocator, NullLocator, ScalarFormatter

from ..estimate import Estimate, mean_interval, wilson_interval
from ..style import CHANCE, COLORS, LABELS, MARKERS, PUBLISHED, line_label, sideways
from .evaluate import KEPT_BELOW_DEG
from .scores import CHANCE_DEG
from .scores import PUBLISHED as PUBLISHED_SCORES

_LIMITS = (3, 150)
_SMALL = PUBLISHED | {"markersize": 3.5}


def error_axis(ax: Axes, axis: str, ticks: Sequence[float] = (3, 5, 10, 20, 50, 100)) -> None:
    """Make an axis ("x" or "y") one of errors: logarithmic, lines at chance (dashed) and at 15 degrees."""
    getattr(ax, f"set_{axis}scale")("log")
    scale = ax.yaxis if axis == "y" else ax.xaxis
    scale.set_major_locator(FixedLocator(ticks))
    scale.set_major_formatter(ScalarFormatter())
    scale.set_minor_locator(NullLocator())
    line = ax.axhline if axis == "y" else ax.axvline
    line(CHANCE_DEG, **CHANCE)
    line(KEPT_BELOW_DEG, **(CHANCE | {"linestyle": ":"}))


def draw_mean(ax: Axes, x: float, samples: np.ndarray) -> None:
    """Mean of samples (network,) with its 95 % interval at x; nothing for fewer than two networks."""
    if len(samples) < 2:
        return
    ax.vlines(x, *mean_interval(samples), color="black", lw=1, zorder=4)
    ax.plot([x], [np.mean(samples)], color="black", marker="_", markersize=5, mew=1.4, zorder=4)


def draw_strips(ax: Axes, tables: Mapping[str, pd.DataFrame]) -> None:
    """Error of every network, a column per family, with median of all, mean of kept and published mean."""
    for x, (family, rows) in enumerate(tables.items()):
        _dots(ax, family, rows, x + sideways(len(rows), 0.44))
        middle = (rows.error_deg.median(),) * 2
        ax.plot((x - 0.3, x + 0.3), middle, color=COLORS[family], lw=1.4, zorder=4)
        draw_mean(ax, x + 0.4, rows.error_deg[rows.kept])
        _published(ax, x - 0.4, family)
    error_axis(ax, "y")
    if "wmonly" in tables:
        mean = tables["wmonly"].query("kept").error_deg.mean()
        ax.axhline(mean, color=COLORS["wmonly"], ls=(0, (5, 3)), lw=0.8, zorder=0.5)
        line_label(ax, mean, "mean of kept WM-only", x=0.39)
    line_label(ax, CHANCE_DEG, "chance")
    line_label(ax, KEPT_BELOW_DEG, f"{KEPT_BELOW_DEG:g}°")
    _columns(ax, tables)
    ax.set(ylabel="error with distractor (deg)", ylim=_LIMITS)
    _strip_legend(ax)


def _dots(ax: Axes, family: str, rows: pd.DataFrame, x: np.ndarray, size: float = 7) -> None:
    """Error with distractor at x (network,): filled for kept networks, hollow for dropped ones."""
    kept, y = rows.kept.to_numpy(), rows.error_deg.to_numpy()
    look = {"marker": MARKERS[family], "edgecolor": COLORS[family], "lw": 0.5, "alpha": 0.75, "s": size}
    for chosen, face in ((kept, COLORS[family]), (~kept, "none")):
        ax.scatter(x[chosen], y[chosen], facecolor=face, **look)


def _published(ax: Axes, x: float, family: str) -> None:
    known = PUBLISHED_SCORES.get(family)
    if known is None:
        return
    if known.sd_deg is not None:
        ends = (known.mean_deg - known.sd_deg, known.mean_deg + known.sd_deg)
        ax.vlines(x, *ends, color=COLORS["published"], lw=0.8)
    ax.plot([x], [known.mean_deg], **(_SMALL if known.selected else _SMALL | {"marker": "D"}))


def _columns(ax: Axes, families: Sequence[str]) -> None:
    labels = [LABELS[family] for family in families]
    ax.set_xticks(range(len(labels)), labels, rotation=35, ha="right", rotation_mode="anchor")
    ax.set_xlim(-0.7, len(labels) - 0.3)


def _strip_legend(ax: Axes) -> None:
    dot = {"ls": "none", "marker": "o", "color": "#404040", "markersize": 3}
    shown = (
        (dot, "kept (≤ 15°)"),
        (dot | {"markerfacecolor": "none"}, "dropped"),
        ({"color": "#404040", "lw": 1.4}, "median of all"),
        ({"color": "black", "marker": "_", "ls": "none", "markersize": 6, "mew": 1.4}, "mean of kept, 95 %"),
        (_SMALL, "published mean ± SD"),
        (_SMALL | {"marker": "D"}, "published, all networks"),
    )
    handles = [Line2D([], [], **look) for look, _ in shown]
    ax.legend(handles, [text for _, text in shown], ncols=6, loc="lower left", bbox_to_anchor=(0, 1.0))


def draw_kept(ax: Axes, tables: Mapping[str, pd.DataFrame]) -> None:
    """Percent of networks kept, with Wilson's 95 % interval and the published share; counts written above."""
    for x, (family, rows) in enumerate(tables.items()):
        kept, n, color = int(rows.kept.sum()), len(rows), COLORS[family]
        low, high = wilson_interval(kept, n)
        ax.vlines(x + 0.1, 100 * low, 100 * high, color=color, lw=1.2)
        ax.plot([x + 0.1], [100 * kept / n], color=color, marker=MARKERS[family], markersize=4)
        known = PUBLISHED_SCORES.get(family)
        if known:
            ax.plot([x - 0.2], [100 * known.kept / known.networks], **_SMALL)
        ax.text(x, 106, f"{kept}/{n}", ha="center", va="bottom", fontsize=6)
    _columns(ax, tables)
    ax.set(ylabel="kept (%)", ylim=(0, 104), yticks=(0, 50, 100))


def draw_distractor_cost(ax: Axes, tables: Mapping[str, pd.DataFrame]) -> None:
    """Error with against without distractor; on the diagonal a distractor costs nothing."""
    ax.plot((1, 200), (1, 200), color="black", lw=0.6)
    for family, rows in tables.items():
        _dots(ax, family, rows, rows.error_no_distractor_deg.to_numpy(), size=9)
    error_axis(ax, "y")
    error_axis(ax, "x")
    ax.set(xlabel="error without distractor (deg)", ylabel="error with distractor (deg)")
    ax.set(xlim=(2.5, 130), ylim=_LIMITS)


def draw_errors(ax: Axes, family: str, rows: pd.DataFrame, *, place: float = 0.0) -> None:
    """Error without (left) and with distractor (right), degrees, a line per network, the kept ones filled.

    Beside them the mean over kept networks with its 95 % interval; networks that are not kept are dotted.
    place: where on the x axis the family begins.
    """
    x, colour = np.array([place, place + 1]), COLORS[family]
    both = rows[["error_no_distractor_deg", "error_deg"]].to_numpy()
    for kept, line, face in ((False, ":", "white"), (True, "-", colour)):
        look = {"color": colour, "markerfacecolor": face, "markersize": 2.2, "linewidth": 0.5, "alpha": 0.6}
        ax.plot(x, both[rows.kept == kept].T, line, marker=MARKERS[family], **look)
    for at, column in zip(x + (-0.2, 0.2), both[rows.kept].T, strict=True):
        draw_mean(ax, at, column)


def draw_shift_scatter(
    ax: Axes, family: str, rows: pd.DataFrame, x: np.ndarray, *, correlation: Estimate | None = None
) -> None:
    """Error against a property x (network,) of the networks' input shifts; rank correlation in the label."""
    _dots(ax, family, rows, np.asarray(x), size=14)
    if correlation is not None:
        low, high = correlation.interval95
        text = f"{LABELS[family]}: $\\rho$ = {correlation.ours:.2f} [{low:.2f}, {high:.2f}]"
        ax.plot([], [], color=COLORS[family], marker=MARKERS[family], ls="none", label=text)
        ax.legend(loc="lower left", bbox_to_anchor=(0, 1.0))
    if ax.get_yscale() != "log":
        error_axis(ax, "y")
    ax.set(ylabel="error with distractor (deg)", ylim=_LIMITS)


def draw_training(ax: Axes, histories: Mapping[str, tuple[np.ndarray, np.ndarray]]) -> None:
    """Training curves, family -> updates (step,) and error_deg (network, step): thin each, thick median."""
    for family, (steps, error_deg) in histories.items():
        ax.plot(steps, error_deg.T, color=COLORS[family], lw=0.3, alpha=0.35)
    for family, (steps, error_deg) in histories.items():
        ax.plot(steps, np.median(error_deg, axis=0), color=COLORS[family], lw=1.8, label=LABELS[family])
    error_axis(ax, "y")
    ax.set(xlabel="updates", ylabel="error (deg)", ylim=(2.5, 190), xlim=(0, None))
    line_label(ax, CHANCE_DEG, "chance")
    line_label(ax, KEPT_BELOW_DEG, f"{KEPT_BELOW_DEG:g}°")
    ax.legend(ncols=len(histories), loc="lower right", bbox_to_anchor=(1, 1.0))
