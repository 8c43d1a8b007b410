"""Marks of N-back scores: dots and means by split, side by side in named groups."""

from __future__ import annotations

__all__ = ["ARCHITECTURE_LABELS", "MARKERS", "beside", "draw_marks", "name_below", "name_groups"]

from collections.abc import Mapping, Sequence

import numpy as np
from matplotlib.axes import Axes

from ..estimate import mean_interval
from ..style import sideways
from .catalogue import ARCHITECTURES, SPLITS
from .pictures import SPLIT_LOOKS

ARCHITECTURE_LABELS = {"rnn": "RNN", "gru": "GRU", "lstm": "LSTM"}
"""architecture -> label"""
MARKERS = dict(zip(SPLITS, "os^Dv", strict=True))
"""split -> marker"""
_WIDTH = 0.76  # of a group of marks


def beside(at: float, k: int, many: int) -> float:
    """Where mark k of so many is, in the group at `at`."""
    return at + (k - (many - 1) / 2) * _WIDTH / many


def draw_marks(
    ax: Axes, split: str, found: Mapping[float, np.ndarray], dots: Mapping[float, np.ndarray] | None = None
) -> None:  # fmt: skip
    """Means of values (network,) by their place, with 95 % t-intervals as far as there are two; and dots.

    dots: by default the values.
    """
    dots, color = found if dots is None else dots, SPLIT_LOOKS[split][1]
    x = np.concatenate([at + sideways(len(values), 0.1) for at, values in dots.items()])
    look = {"s": 4, "lw": 0, "alpha": 0.55, "color": color, "marker": MARKERS[split], "clip_on": False}
    ax.scatter(x, np.concatenate([*dots.values()]), **look, zorder=3)
    at, middles = np.array([*found]), [values.mean() for values in found.values()]
    ax.hlines(middles, at - 0.09, at + 0.09, color=color, lw=1.4, zorder=4)
    ends = [mean_interval(values) if len(values) > 1 else (np.nan,) * 2 for values in found.values()]
    ax.vlines(at, *zip(*ends, strict=True), color=color, lw=0.8, zorder=4)


def name_below(ax: Axes, names: Sequence[str]) -> None:
    """Names of equal parts of the axis, below its numbers."""
    for k, name in enumerate(names):
        at = {"xy": ((k + 0.5) / len(names), 0), "xycoords": "axes fraction", "xytext": (0, -13)}
        ax.annotate(name, **at, textcoords="offset points", ha="center", va="top", fontsize=6.5)


def name_groups(ax: Axes, groups: Sequence[str]) -> None:
    """Architectures below, in each of some groups, which are named below them."""
    count = len(ARCHITECTURES)
    ax.set_xticks(range(count * len(groups)), [ARCHITECTURE_LABELS[a] for a in ARCHITECTURES] * len(groups))
    ax.tick_params(axis="x", length=0)
    ax.set_xlim(-0.5, count * len(groups) - 0.5)
    name_below(ax, groups)
    for k in range(1, len(groups)):
        ax.axvline(count * k - 0.5, color="#DDDDDD", lw=0.6, zorder=0)
