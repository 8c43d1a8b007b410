"""Panels beyond the published analyses: load, queues, views, hand-built solutions, penalties."""

from __future__ import annotations

__all__ = [
    "KINDS", "beyond_key", "draw_by_lag", "draw_kinds", "draw_penalties", "draw_views", "penalty_key",
    "views_key",
]  # fmt: skip

from collections.abc import Mapping, Sequence
from textwrap import fill

import numpy as np
import pandas as pd
from matplotlib.axes import Axes
from matplotlib.figure import Figure

from ...marks import band
from ...style import CHANCE
from ..task import LAGS
from .beyond import PENALTIES
from .marks import ARCHITECTURE_COLORS, draw_dots, key, spread
from .summaries import by_seed

KINDS = {
    "rnn_mtmf": ("RNN", ARCHITECTURE_COLORS["rnn"], "o"),
    "gru_mtmf": ("GRU", ARCHITECTURE_COLORS["gru"], "s"),
    "lstm_mtmf": ("LSTM", ARCHITECTURE_COLORS["lstm"], "^"),
    "attention_gru_mtmf": ("GRU, positions weighted", "#D0005F", "D"),
}  # fmt: skip
"""family -> label, colour and marker"""
_VIEWS = {
    "images": ("other images, same views", "#222222", "s"), "views": ("a view left out", "#00798C", "o"),
    "new": ("views not trained", "#E8871E", "^"),
}  # fmt: skip
_SPACES = {"index": ("encoding", "#00798C"), "input": ("1 × 1 convolution", "#8A8A8A")}


def draw_by_lag(ax: Axes, rows: pd.DataFrame, column: str) -> None:
    """A column by N, mean over properties, by kind of network: a dot for each, bar and line: mean, 95 % t."""
    for k, (family, (_, color, marker)) in enumerate(_there(rows).items()):
        own = rows[rows.family == family]
        found = {spread(lag, k, len(KINDS)): by_seed(own[own.lag == lag], column) for lag in LAGS}
        draw_dots(ax, found, color, marker=marker, wide=0.06)
    ax.set_xticks(LAGS)
    ax.tick_params(axis="x", length=0)
    ax.set(xlabel="N", xlim=(0.5, 3.5))


def draw_kinds(ax: Axes, rows: pd.DataFrame, columns: Mapping[str, str]) -> None:
    """Columns (with their names) by kind of network, mean over tasks."""
    for k, (family, (_, color, marker)) in enumerate(_there(rows).items()):
        own = rows[rows.family == family]
        found = {spread(at, k, len(KINDS)): by_seed(own, column) for at, column in enumerate(columns)}
        draw_dots(ax, found, color, marker=marker, wide=0.06)
    ax.set_xticks(range(len(columns)), [fill(name, 10, break_long_words=False) for name in columns.values()])
    ax.tick_params(axis="x", length=0)
    ax.set_xlim(-0.5, len(columns) - 0.5)


def draw_views(ax: Axes, rows: pd.DataFrame, families: Sequence[str] = tuple(KINDS)[:3]) -> None:
    """Accuracies of `wm.nback.geometry.drift`, at once and when the item is compared, by kind of network."""
    for k, (kind, (_, color, marker)) in enumerate(_VIEWS.items()):
        found = {}
        for a, family in enumerate(families):
            own = rows[rows.family == family]
            for late, when in enumerate(("0", "lag")):
                at = spread(len(families) * late + a, k, len(_VIEWS))
                found[at] = by_seed(own, f"{kind}_{when}")
        draw_dots(ax, found, color, marker=marker, wide=0.08)
    ax.set_xticks(range(2 * len(families)), [KINDS[name][0] for name in families] * 2)
    ax.tick_params(axis="x", length=0)
    ax.set_xlim(-0.5, 2 * len(families) - 0.5)
    ax.axvline(len(families) - 0.5, color="#DDDDDD", lw=0.6, zorder=0)
    for late, name in enumerate(("when seen", "when compared")):
        at = {"xy": (0.25 + 0.5 * late, 0), "xycoords": "axes fraction", "xytext": (0, -13)}
        ax.annotate(name, **at, textcoords="offset points", ha="center", va="top", fontsize=6.5)
    ax.axhline(0, **CHANCE)


def draw_penalties(ax: Axes, rows: pd.DataFrame, family: str) -> None:
    """Index against the penalty of the decoders, in encoding and in the input: mean over tasks, 95 % t."""
    own = rows[rows.family == family]
    for space, (_, color) in _SPACES.items():
        found = np.stack([by_seed(own, f"{space}_{name}") for name in PENALTIES], axis=1)
        band(ax, [*PENALTIES.values()], found, color=color)
    ax.set(xscale="log", xlabel="penalty")


def beyond_key(fig: Figure, rows: pd.DataFrame) -> None:
    """Colours of kinds of network, below a figure."""
    key(fig, [*_there(rows).values()])


def views_key(fig: Figure, **where) -> None:
    """Colours of `draw_views`, below a figure; where: see `wm.nback.geometry.marks.key`."""
    key(fig, [*_VIEWS.values()], **where)


def penalty_key(fig: Figure, **where) -> None:
    """Colours of `draw_penalties`, below a figure; where: as in `views_key`."""
    key(fig, [(name, color, "-") for name, color in _SPACES.values()], **where)


def _there(rows: pd.DataFrame) -> dict[str, tuple[str, str, str]]:
    return {family: look for family, look in KINDS.items() if (rows.family == family).any()}
