"""Panels on the errors of ring networks: strips, shares kept, cost of a distractor, what shifts do.

Each function draws what it is given on the axes it is given. Filled markers are networks that the published
selection keeps, hollow ones those that it drops.
"""

from __future__ import annotations

__all__ = [
    "draw_distractor_cost",
    "draw_kept",
    "draw_shift_scatter",
    "draw_strips",
    "error_axis",
    "line_label",
]

from collections.abc import Mapping, Sequence

import numpy as np
from matplotlib.axes import Axes
from matplotlib.lines import Line2D
from matplotlib.ticker import FixedLocator, NullLocator, ScalarFormatter

from ..estimate import Estimate, mean_interval
from ..style import CHANCE, COLORS, MARKERS, PUBLISHED
from .evaluate import KEPT_BELOW_DEG
from .families import FAMILIES
from .scores import CHANCE_DEG, FamilyScores, wilson
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


def line_label(ax: Axes, y: float, text: str, x: float = 1) -> None:
    """Small text on a horizontal line, ending at the fraction x of the axes."""
    across = {"transform": ax.get_yaxis_transform(), "color": "#6E6E6E", "fontsize": 5.5}
    ax.text(x, y, text, ha="right", va="bottom", **across)


def draw_strips(ax: Axes, scores: Mapping[str, FamilyScores]) -> None:
    """Error of every network, a column per family, with median of all, mean of kept and published mean."""
    for x, score in enumerate(scores.values()):
        _dots(ax, x + _spread(len(score.error_deg)), score.error_deg, score)
        ax.plot(
            (x - 0.3, x + 0.3),
            (np.median(score.error_deg),) * 2,
            color=COLORS[score.family],
            lw=1.4,
            zorder=4,
        )
        _kept_mean(ax, x + 0.4, score.kept_error_deg)
        _published(ax, x - 0.4, score.family)
    error_axis(ax, "y")
    if "wmonly" in scores:
        mean = scores["wmonly"].kept_error_deg.mean()
        ax.axhline(mean, color=COLORS["wmonly"], ls=(0, (5, 3)), lw=0.8, zorder=0.5)
        line_label(ax, mean, "mean of kept WM-only", x=0.39)
    line_label(ax, CHANCE_DEG, "chance")
    line_label(ax, KEPT_BELOW_DEG, "15°")
    _columns(ax, scores)
    ax.set(ylabel="error with distractor (deg)", ylim=_LIMITS)
    _strip_legend(ax)


def _spread(n: int) -> np.ndarray:
    """Sideways places of n dots around 0, scattered evenly (golden ratio) and the same every time."""
    return ((np.arange(n) * 0.618034) % 1 - 0.5) * 0.44


def _dots(ax: Axes, x: np.ndarray, y: np.ndarray, score: FamilyScores, size: float = 7) -> None:
    """Markers of a family: filled for kept networks, hollow for dropped ones."""
    for chosen, face in ((score.kept, COLORS[score.family]), (~score.kept, "none")):
        ax.scatter(
            x[chosen], y[chosen], s=size, marker=MARKERS[score.family], facecolor=face,
            edgecolor=COLORS[score.family], lw=0.5, alpha=0.75,
        )  # fmt: skip


def _kept_mean(ax: Axes, x: float, kept_deg: np.ndarray) -> None:
    if len(kept_deg) < 2:
        return
    interval = mean_interval(kept_deg)
    ax.vlines(x, *interval, color="black", lw=1)
    ax.plot([x], [kept_deg.mean()], color="black", marker="_", markersize=5, mew=1.4)


def _published(ax: Axes, x: float, family: str) -> None:
    known = PUBLISHED_SCORES.get(family)
    if known is None:
        return
    if known.sd_deg is not None:
        ends = (known.mean_deg - known.sd_deg, known.mean_deg + known.sd_deg)
        ax.vlines(x, *ends, color=COLORS["published"], lw=0.8)
    ax.plot([x], [known.mean_deg], **(_SMALL if known.selected else _SMALL | {"marker": "D"}))


def _columns(ax: Axes, scores: Mapping[str, FamilyScores]) -> None:
    labels = [FAMILIES[family].title for family in scores]
    ax.set_xticks(range(len(scores)), labels, rotation=35, ha="right", rotation_mode="anchor")
    ax.set_xlim(-0.7, len(scores) - 0.3)


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


def draw_kept(ax: Axes, scores: Mapping[str, FamilyScores]) -> None:
    """Percent of networks kept, with Wilson's 95 % interval and the published share; counts written above."""
    for x, score in enumerate(scores.values()):
        kept, n = int(score.kept.sum()), len(score.kept)
        low, high = (100 * end for end in wilson(kept, n))
        look = {"color": COLORS[score.family], "marker": MARKERS[score.family], "markersize": 4}
        ax.vlines(x + 0.1, low, high, color=COLORS[score.family], lw=1.2)
        ax.plot([x + 0.1], [100 * kept / n], **look)
        known = PUBLISHED_SCORES.get(score.family)
        if known:
            ax.plot([x - 0.2], [100 * known.kept / known.networks], **_SMALL)
        ax.text(x, 106, f"{kept}/{n}", ha="center", va="bottom", fontsize=6)
    _columns(ax, scores)
    ax.set(ylabel="kept (%)", ylim=(0, 104), yticks=(0, 50, 100))


def draw_distractor_cost(ax: Axes, scores: Mapping[str, FamilyScores]) -> None:
    """Error with against without distractor; on the diagonal a distractor costs nothing."""
    ax.plot((1, 200), (1, 200), color="black", lw=0.6)
    for score in scores.values():
        _dots(ax, score.no_distractor_deg, score.error_deg, score, size=9)
    error_axis(ax, "y")
    error_axis(ax, "x")
    ax.set(xlabel="error without distractor (deg)", ylabel="error with distractor (deg)")
    ax.set(xlim=(2.5, 130), ylim=_LIMITS)


def draw_shift_scatter(
    ax: Axes, x: np.ndarray, score: FamilyScores, correlation: Estimate | None = None
) -> None:
    """Error against a property x (network,) of the networks' input shifts; rank correlation in the label."""
    _dots(ax, np.asarray(x), score.error_deg, score, size=14)
    if correlation is not None:
        low, high = correlation.interval95
        text = f"{FAMILIES[score.family].title}: $\\rho$ = {correlation.ours:.2f} [{low:.2f}, {high:.2f}]"
        ax.plot([], [], color=COLORS[score.family], marker=MARKERS[score.family], ls="none", label=text)
        ax.legend(loc="lower left", bbox_to_anchor=(0, 1.0))
    if ax.get_yscale() != "log":
        error_axis(ax, "y")
    ax.set(ylabel="error with distractor (deg)", ylim=_LIMITS)
