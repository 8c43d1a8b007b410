"""Panels on Lorenz strings: the three regions, strips of symbols, curves by family, and distances.

Each function draws what it is given on the axes it is given; tables are those of `wm.symbolic.lorenz_scores`.
"""

from __future__ import annotations

__all__ = [
    "LOOKS", "draw_band", "draw_distances", "draw_holds", "draw_loss", "draw_regions", "draw_strips",
    "draw_switches", "lag_axis",
]  # fmt: skip

from collections.abc import Mapping, Sequence

import numpy as np
import pandas as pd
from matplotlib.axes import Axes
from matplotlib.collections import LineCollection
from matplotlib.colors import ListedColormap, to_rgb
from matplotlib.ticker import FixedLocator, NullLocator

from ..estimate import mean_interval
from ..style import CHANCE, COLORS, LABELS, MARKERS, line_label, sideways
from . import lorenz
from .lorenz_compare import LATE
from .lorenz_scores import curve
from .strips import SYMBOLS, strip

LOOKS = {
    name: ("Transformer" if name == "lorenz" else LABELS[name], COLORS[name], MARKERS[name])
    for name in ("true", "lorenz", "hazard", "ngram", "markov", "shuffled")
}
"""family -> label, colour, marker"""
NAMES = ("origin", "wing C+", "wing C−")
_ALONG = np.array([[0.5**0.5, 0.5**0.5, 0], [0, 0, 1]])  # the plane of the three fixed points
_LINE = {"true": {"lw": 1.6, "zorder": 2}, "lorenz": {"lw": 0.9, "zorder": 4}}
_TICKS = (1, 10, 50, 100, 200, 400)


def _pale(colour: str, share: float = 0.22) -> np.ndarray:
    return 1 - share * (1 - np.array(to_rgb(colour)))


def draw_regions(ax: Axes, states: np.ndarray) -> None:
    """A trajectory (time, 3) seen along x - y: here the regions of the three fixed points have exact borders.

    The fixed points lie in the plane that is seen, so what is nearest in space is nearest on paper.
    """
    (left, right), (low, high) = limits = ((-30, 30), (-4, 50))
    x, z = np.meshgrid(*(np.linspace(*ends, 400) for ends in limits))
    points = np.stack([x, z], axis=-1) @ _ALONG  # states in the plane
    pale = ListedColormap([_pale(colour) for colour in SYMBOLS])
    ax.imshow(
        lorenz.label(points), cmap=pale, vmin=0, vmax=2, extent=(left, right, low, high),
        origin="lower", aspect="auto", interpolation="nearest", zorder=0,
    )  # fmt: skip
    path = states @ _ALONG.T
    segments = np.stack([path[:-1], path[1:]], axis=1)
    colours = np.array(SYMBOLS)[lorenz.label(states[1:])]
    ax.add_collection(LineCollection(segments, colors=colours, lw=0.45, zorder=2, rasterized=True))
    for symbol, (across, up) in enumerate(lorenz.FIXED_POINTS @ _ALONG.T):
        look = {"markerfacecolor": SYMBOLS[symbol], "markeredgecolor": "white", "mew": 0.8}
        ax.plot(across, up, marker="o", markersize=6, zorder=5, **look)
        text = {"fontsize": 5, "fontweight": "bold", "color": "white", "zorder": 6}
        ax.annotate(str(symbol), (across, up), ha="center", va="center_baseline", **text)
    ax.set(xlim=limits[0], ylim=limits[1], xlabel="(x + y) / √2", ylabel="z")


def draw_strips(ax: Axes, strings: Mapping[str, np.ndarray]) -> None:
    """Symbols in time, a strip for each string: family -> (trial, time), top to bottom."""
    rows, ticks, top = [], [], 0.0
    for family, own in strings.items():
        for string in own:
            strip(ax, string, (0, len(string), top + 0.8, top))
            rows.append(top + 0.4)
            top += 1
        ticks.append((np.mean(rows[-len(own) :]), family))
        top += 0.6
    ax.set_yticks([place for place, _ in ticks], [LOOKS[family][0] for _, family in ticks])
    for text, (_, family) in zip(ax.get_yticklabels(), ticks, strict=True):
        text.set_color(LOOKS[family][1])
    ax.tick_params(axis="y", length=0)
    ax.spines["left"].set_visible(False)
    ax.set(xlim=(0, own.shape[1]), ylim=(top - 0.6, -0.2), xlabel="time (symbols)")


def draw_band(ax: Axes, rows: pd.DataFrame, families: Sequence[str], name: str, symbol: int = -1) -> None:
    """A curve of each family with its interval, where it has one."""
    for family in families:
        own, (label, colour, _) = curve(rows, family, name, symbol), LOOKS[family]
        look = {"color": colour, "lw": 0.9, "zorder": 3} | _LINE.get(family, {})
        ax.plot(own.x, own["mean"], label=label, **look)
        ax.fill_between(own.x, own.low, own.high, color=colour, alpha=0.25, lw=0, zorder=look["zorder"] - 0.5)


def lag_axis(ax: Axes) -> None:
    """Lags from 0 to 400 on a square-root axis: short ones have more to show."""
    _root_axis(ax, "x", _TICKS)
    ax.axhline(0, **CHANCE)
    ax.set(xlim=(0, 400), xlabel="lag (symbols)", ylim=(-0.18, 1.03))


def draw_holds(ax: Axes, rows: pd.DataFrame, families: Sequence[str], symbol: int) -> None:
    """Probability of each hold time of a symbol, on a square-root axis: most lengths of a wing have none."""
    draw_band(ax, rows, families, "hold", symbol)
    _root_axis(ax, "y", (0, 0.01, 0.05, 0.1, 0.2))
    ax.set(xlabel="hold time (symbols)", ylim=(0, 0.22), xlim=(0, 65))


def draw_loss(ax: Axes, rows: pd.DataFrame, families: Sequence[str]) -> None:
    """Loss by the number of symbols seen, means of `LATE` places; dashed: `lorenz.entropy_bound`.

    A model above that line leaves something unused; the best may lie below. Windows begin `LATE` symbols
    apart, so that every mean is over each symbol of the string once.
    """
    for family in families:
        own, (label, colour, marker) = curve(rows, family, "nll"), LOOKS[family]
        own = own[["x", "mean", "low", "high"]].groupby((own.x - 1) // LATE).mean()
        look = {"color": colour, "zorder": 3} | _LINE.get(family, {})
        ax.plot(own.x, own["mean"], marker=marker, markersize=3, mew=0, label=label, **look)
        ax.vlines(own.x, own.low, own.high, color=colour, lw=1, zorder=4)
    ax.axhline(lorenz.entropy_bound(), **CHANCE)
    line_label(ax, lorenz.entropy_bound(), "λ·dt")
    ax.set(xlabel="symbols seen", ylabel="loss (nats)", xlim=(0, 65))
    _log_axis(ax, (0.05, 0.1, 0.2, 0.3), (0.04, 0.35))


def draw_switches(ax: Axes, rows: pd.DataFrame, families: Sequence[str]) -> None:
    """Chance to leave a wing by the time it has been held: how often it is left, and as predicted."""
    draw_band(ax, rows, families, "switch")
    ax.set(xlabel="time held on a wing (symbols)", ylabel="chance to leave", ylim=(0, None))


def draw_distances(ax: Axes, rows: pd.DataFrame, families: Sequence[str], name: str, agrees: float) -> None:
    """Distance from true strings of each network, or set of strings, with means and 95 % intervals.

    Dotted: below it they agree.
    """
    for x, family in enumerate(families):
        own, (_, colour, marker) = rows[rows.family == family][name], LOOKS[family]
        ax.scatter(x + sideways(len(own), 0.4), own, color=colour, marker=marker, s=9, lw=0, zorder=3)
        if len(own) > 1:
            ax.vlines(x + 0.36, *mean_interval(own), color="black", lw=1, zorder=4)
        ax.plot(x + 0.36, own.mean(), color="black", marker="_", markersize=5, mew=1.4, zorder=4)
    ax.axhline(agrees, **(CHANCE | {"linestyle": ":"}))
    ax.set_xlim(-0.6, len(families) - 0.3)
    ax.set_xticks(range(len(families)), [LOOKS[family][0] for family in families], fontsize=5.5)
    _log_axis(ax, (0.01, 0.02, 0.03, 0.05, 0.1, 0.2, 0.5, 1))


def _root_axis(ax: Axes, axis: str, ticks: Sequence[float]) -> None:
    """Square roots of what is 0 or more."""
    scale = ax.xaxis if axis == "x" else ax.yaxis
    roots = {"functions": (lambda x: np.sqrt(np.maximum(x, 0)), np.square)}
    getattr(ax, f"set_{axis}scale")("function", **roots)
    scale.set_major_locator(FixedLocator(ticks))
    scale.set_major_formatter(_plain)
    scale.set_minor_locator(NullLocator())


def _log_axis(ax: Axes, ticks: Sequence[float], limits: tuple[float, float] | None = None) -> None:
    ax.set_yscale("log")
    ax.yaxis.set_major_locator(FixedLocator(ticks))
    ax.yaxis.set_major_formatter(_plain)
    ax.yaxis.set_minor_locator(NullLocator())
    ax.set_ylim(limits)


def _plain(value: float, _place: int | None) -> str:
    return f"{value:g}"
