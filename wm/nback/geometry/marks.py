"""Marks that figures of the geometry share: dots and means of networks, matrices with numbers."""

from __future__ import annotations

__all__ = [
    "ARCHITECTURE_COLORS", "FEATURE_COLORS", "KINDS", "LAG_COLORS", "draw_dots", "draw_matrix", "key",
    "name_architectures", "spread",
]  # fmt: skip

from collections.abc import Mapping, Sequence

import numpy as np
from matplotlib import colormaps
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.image import AxesImage
from matplotlib.lines import Line2D

from ...estimate import mean_interval
from ...style import CMAPS, sideways
from ..catalogue import ARCHITECTURES
from ..score_marks import ARCHITECTURE_LABELS
from ..task import FEATURES, LAGS

ARCHITECTURE_COLORS = dict(zip(ARCHITECTURES, ("#8C510A", "#01665E", "#762A83"), strict=True))
FEATURE_COLORS = dict(zip(FEATURES, ("#2B8CBE", "#CB181D", "#6A51A3"), strict=True))
LAG_COLORS = dict(zip(LAGS, ("#9ECAE1", "#4292C6", "#08306B"), strict=True))
KINDS = {
    "fitted": ("fitted", "#222222", "s"), "original": ("original", "#00798C", "o"),
    "stimulus": ("other item", "#E8871E", "^"), "time": ("other time", "#C2255C", "v"),
    "random": ("random", "#9A9A9A", "x"), "shuffled": ("shuffled", "#C4C4C4", "+"),
}  # fmt: skip
"""rotation -> label, colour and marker"""


def spread(at: float, k: int, many: int, width: float = 0.76) -> float:
    """Where mark k of so many is, in the group at `at`."""
    return at + (k - (many - 1) / 2) * width / many


def draw_dots(
    ax: Axes, found: Mapping[float, np.ndarray], color: str, *, marker: str = "o", wide: float = 0.09,
    hollow: bool = False, label: str | None = None,
) -> None:  # fmt: skip
    """Values (network,) by their place: a dot for each, a bar for the mean, a line for its 95 % t-interval.

    Values that are not finite are left out.
    """
    kept = {at: np.asarray(values, dtype=float) for at, values in found.items()}
    kept = {at: values[np.isfinite(values)] for at, values in kept.items()}
    kept = {at: values for at, values in kept.items() if len(values)}
    if not kept:
        return
    x = np.concatenate([at + sideways(len(values), wide) for at, values in kept.items()])
    face = {"color": color, "lw": 0.6 if marker in "x+" else 0}
    if hollow:
        face = {"facecolors": "white", "edgecolors": color, "lw": 0.5}
    ax.scatter(x, np.concatenate([*kept.values()]), s=6, marker=marker, alpha=0.7, zorder=3, label=label,
               clip_on=False, **face)  # fmt: skip
    at, middles = np.array([*kept]), [values.mean() for values in kept.values()]
    ax.hlines(middles, at - wide, at + wide, color=color, lw=1.4, zorder=4)
    ends = [mean_interval(values) if len(values) > 1 else (np.nan,) * 2 for values in kept.values()]
    ax.vlines(at, *zip(*ends, strict=True), color=color, lw=0.8, zorder=4)


def name_architectures(ax: Axes, groups: Sequence[str] = ("",)) -> None:
    """Architectures below, in each of some groups, which are named below them."""
    many = len(ARCHITECTURES)
    ax.set_xticks(range(many * len(groups)), [*ARCHITECTURE_LABELS.values()] * len(groups))
    ax.tick_params(axis="x", length=0)
    ax.set_xlim(-0.5, many * len(groups) - 0.5)
    for k, name in enumerate(groups):
        at = {"xy": ((k + 0.5) / len(groups), 0), "xycoords": "axes fraction", "xytext": (0, -13)}
        ax.annotate(name, **at, textcoords="offset points", ha="center", va="top", fontsize=6.5)
        if k:
            ax.axvline(many * k - 0.5, color="#DDDDDD", lw=0.6, zorder=0)


def draw_matrix(
    ax: Axes, values: np.ndarray, *, low: float = 0, high: float = 1, numbers: bool = True, size: float = 5
) -> AxesImage:
    """A matrix from `low` (dark) to `high` (bright), NaN white, with a number in each cell."""
    shown = np.ma.masked_invalid(values)
    image = ax.imshow(shown, vmin=low, vmax=high, cmap=colormaps[CMAPS["sequential"]], aspect="equal")
    ax.spines[:].set_visible(False)
    ax.tick_params(length=0)
    if numbers:
        for (row, column), value in np.ndenumerate(values):
            if np.isfinite(value):
                dark = (value - low) / (high - low) < 0.6
                text = f"{value:.2f}".replace("0.", ".").replace("-", "−")
                ax.text(column, row, text, ha="center", va="center", fontsize=size,
                        color="white" if dark else "black")  # fmt: skip
    return image


def key(fig: Figure, entries: Sequence[tuple[str, str, str]], **where) -> None:
    """A legend below a figure: label, colour, and marker, or "-" for a line, "--" for a dashed one."""
    lines = []
    for label, color, marker in entries:
        line = marker in ("-", "--", ":")
        look = {"ls": marker, "lw": 1.2} if line else {"ls": "none", "marker": marker, "ms": 3.5}
        lines.append(Line2D([], [], color=color, label=label, **look))
    fig.legend(handles=lines, **({"loc": "outside lower center", "ncols": len(lines)} | where))
