"""Panels on hallucination: continuations as coloured strips, errors by distance of the prompt, recovery.

Each function draws what it is given on the axes it is given. Tables are those of `wm.symbolic.hallucination`,
split by `kinds`: trained networks by their family, then `untrained` and `exact`.
"""

from __future__ import annotations

__all__ = [
    "LOOKS", "String", "draw_copying", "draw_curves", "draw_distances", "draw_holding", "draw_key",
    "draw_prompts", "draw_strings", "kinds", "label", "means",
]  # fmt: skip

from collections.abc import Mapping, Sequence

import matplotlib.pyplot as plt
import numpy as np
import pandas as pd
from matplotlib.axes import Axes

from .. import estimate
from ..estimate import mean_interval
from ..marks import band
from ..style import COLORS, LABELS, MARKERS, sideways
from .hallucination import DISTANCES
from .strips import String, draw_key, draw_strings

_LINES = {"untrained": {"ls": "--", "mfc": "white"}, "exact": {"ls": ":"}}
LOOKS = {
    name: {"color": COLORS[name], "marker": MARKERS[name], "ls": "-"} | _LINES.get(name, {})
    for name in ("cycle", "sampled", "jitter", "gru", "mlp", "scrambled", "untrained", "exact")
}
"""kind -> colour, marker, line; in the order of legends"""
_SHARES = ("ends", "illegal", "impossible", "recovered", "returns")


def label(kind: str) -> str:
    """Name of a kind in legends."""
    return LABELS[kind]


def kinds(rows: pd.DataFrame) -> dict[str, pd.DataFrame]:
    """Rows of each kind that there is; untrained and exact ones are those of the family `cycle`."""
    found = {}
    for kind in LOOKS:
        state, family = (kind, "cycle") if kind in ("untrained", "exact") else ("trained", kind)
        own = rows[(rows.state == state) & (rows.family == family)]
        found |= {kind: own} if len(own) else {}
    return found


def means(tables: Mapping[str, pd.DataFrame], by: str, column: str) -> pd.DataFrame:
    """Means over networks with 95 % intervals as text, (kind, value of `by`), see `wm.estimate.means`."""
    shares = [column] if column in _SHARES else []
    found = {label(kind): estimate.means(rows, by, column, shares=shares) for kind, rows in tables.items()}
    return pd.DataFrame({kind: texts[column] for kind, texts in found.items()}).T


# ---------------------------------------------------------------- curves


def draw_distances(ax: Axes, tables: Mapping[str, pd.DataFrame], column: str) -> None:
    """A column of the table by distance of the prompt: mean over networks with 95 % interval."""
    for kind, rows in tables.items():
        own = rows.pivot(index="network", columns="distance", values=column)
        _band(ax, own.columns.to_numpy(), own.to_numpy(), kind)
    ax.set(xticks=DISTANCES, xlabel="substitutions")


def draw_holding(ax: Axes, tables: Mapping[str, pd.DataFrame], column: str) -> None:
    """A column of the table of ambiguous prompts by how long the symbol was held."""
    for kind, rows in tables.items():
        own = rows.pivot(index="network", columns="held", values=column)
        _band(ax, own.columns.to_numpy(), own.to_numpy(), kind)
    ax.set(xlabel="symbol held for (steps)")


def draw_copying(ax: Axes, tables: Mapping[str, pd.DataFrame]) -> None:
    """How often the likeliest symbol succeeds the one so many steps back, mean and interval over networks."""
    for kind, rows in tables.items():
        own = rows.pivot(index="network", columns="back", values="share")
        _band(ax, own.columns.to_numpy(), own.to_numpy(), kind)
    ax.set(xlabel="steps back", ylabel="likeliest is the successor", ylim=(0, 1.03), xticks=own.columns)


def _band(ax: Axes, x: np.ndarray, values: np.ndarray, kind: str) -> None:
    """Mean of values (network, x), NaN left out, and its interval, cut at 0."""
    look = LOOKS[kind] | {"lw": 1, "markersize": 2.6, "label": label(kind)}
    band(ax, x, values, within=(0, np.inf), **look)


def draw_curves(ax: Axes, curves: np.ndarray) -> None:
    """Curves (network, distance, step) from step 1, a colour per distance: mean with 95 % interval."""
    colours = plt.get_cmap("viridis_r")(np.linspace(0.08, 1, curves.shape[1]))
    step = np.arange(1, curves.shape[2] + 1)
    for distance, colour in enumerate(colours):
        look = {"color": colour, "lw": 1, "label": str(DISTANCES[distance])}
        band(ax, step, curves[:, distance], within=(0, 1), alpha=0.12, **look)
    ax.set(xlim=(1, step[-1]), xlabel="symbols generated")


def draw_prompts(
    ax: Axes, tables: Mapping[str, pd.DataFrame], column: str, names: Sequence[str], *, ringed: str = ""
) -> None:
    """A column of the table of published prompts, a row per prompt: each network, and the mean.

    ringed: a network whose dots get a black ring.
    """
    for place, (kind, rows) in enumerate(tables.items()):
        look, shift = LOOKS[kind], (place - (len(tables) - 1) / 2) * 0.8 / len(tables)
        for y, name in enumerate(names):
            own = rows[rows.prompt == name]
            values = own[column].to_numpy()
            spread = y + shift + sideways(len(values), 0.4 / len(tables))
            one = (own.network == ringed).to_numpy()
            ax.scatter(values[one], spread[one], s=22, fc="none", ec="black", lw=0.8, clip_on=False, zorder=4)
            dots = {"color": look["color"], "marker": look["marker"], "s": 6, "alpha": 0.8}
            dots |= {"facecolor": "white", "lw": 0.6} if kind == "untrained" else {"lw": 0}
            ax.scatter(values, spread, clip_on=False, label=None if y else label(kind), **dots)
            ax.plot([values.mean()], [y + shift], marker="|", color=look["color"], markersize=6, mew=1.4)
            if len(values) > 1:
                ax.plot(np.maximum(mean_interval(values), 0), (y + shift,) * 2, color=look["color"], lw=1.2)
    ax.set_yticks(range(len(names)), names)
    ax.set(ylim=(len(names) - 0.4, -0.6))
