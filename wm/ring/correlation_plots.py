"""Panels on noise correlations: repeats of a bump, maps over pairs, class means, families side by side.

Each function draws what it is given on the axes it is given; the numbers come from `wm.ring.correlations`.
After figure 7 of Zahorodnii et al. 2025, bioRxiv 2025.03.17.643652.
"""

from __future__ import annotations

__all__ = ["PUBLISHED_MEANS", "draw_classes", "draw_contrast", "draw_map", "draw_repeats"]

import numpy as np
import pandas as pd
from matplotlib.axes import Axes
from matplotlib.image import AxesImage

from ..claims import ENOUGH
from ..style import CHANCE, CMAPS, COLORS, LABELS, MARKERS, PUBLISHED, sideways
from .correlations import bump
from .error_plots import draw_mean
from .tuning import wrap

PUBLISHED_MEANS = {"in_flank": -0.04, "peaks": 0.02, "out_flanks": 0.07}
"""mean r in the delay of one G+I/T network, figure 7, read off; from classes with errors in the indices"""
_NAMES = ("in-flank", "peaks", "out-flanks")


def draw_repeats(ax: Axes, rates: np.ndarray, preferred_deg: np.ndarray, target_deg: float) -> AxesImage:
    """Rates (repeat, unit) of one target, repeats sorted by the place of the bump, units by preference.

    Preferences are given from the target. White line: the place of the bump in each repeat.
    """
    place = wrap(bump(rates, preferred_deg)[0] - target_deg)
    repeats, units = np.argsort(place), np.argsort(wrap(preferred_deg - target_deg), kind="stable")
    extent = (-180, 180, 0, len(rates))
    look = {"aspect": "auto", "origin": "lower", "extent": extent, "interpolation": "nearest"}
    image = ax.imshow(rates[repeats][:, units], cmap=CMAPS["sequential"], vmin=0, **look)
    ax.plot(place[repeats], np.arange(len(rates)) + 0.5, color="white", lw=1.2)
    ax.axvline(0, color="white", lw=0.6, ls=":")
    ax.set(xticks=(-180, 0, 180), xlabel="preference $-$ target (°)", ylabel="repeat, sorted")
    return image


def draw_map(ax: Axes, means: np.ndarray, *, limit: float) -> AxesImage:
    """Mean r by target - midpoint (y) and preference difference (x), from `correlation_map`.

    Above the black line the target lies out of the flank, below it in-flank; at the line at a peak.
    """
    look = {"origin": "lower", "extent": (0, 180, 0, 180), "aspect": "equal", "interpolation": "nearest"}
    image = ax.imshow(means, cmap=CMAPS["diverging"], vmin=-limit, vmax=limit, **look)
    ax.plot((0, 180), (0, 90), color="black", lw=0.8)
    ax.set(xticks=(0, 90, 180), yticks=(0, 90, 180), xlabel="preference difference (°)")
    return image


def draw_classes(
    ax: Axes, rows: pd.DataFrame, columns: tuple[str, ...], *, family: str, published: bool = False
) -> None:
    """Mean r of each class: a line per network, hollow if not `kept`; mean of kept with 95 % interval."""
    x, values = np.arange(len(columns)), rows[list(columns)].to_numpy()
    for kept, face in ((False, "white"), (True, COLORS[family])):
        look = {"color": COLORS[family], "markerfacecolor": face, "lw": 0.4, "alpha": 0.4}
        ax.plot(x, values[rows.kept == kept].T, marker=MARKERS[family], markersize=2.2, **look)
    for k, column in enumerate(values[rows.kept].T):
        draw_mean(ax, k + 0.22, column)
    ax.plot(x - 0.22, np.median(values, axis=0), ls="none", marker="_", color=COLORS[family], mew=1.4)
    if published:
        ax.plot(x - 0.32, list(PUBLISHED_MEANS.values()), **PUBLISHED)
    ax.axhline(0, **CHANCE)
    ax.set_xticks(x, _NAMES, rotation=25, ha="right", rotation_mode="anchor")
    ax.set_xlim(-0.5, len(columns) - 0.4)


def draw_contrast(
    ax: Axes, tables: dict[str, pd.DataFrame], columns: tuple[str, ...], control: pd.DataFrame | None = None
) -> None:
    """Out-flanks minus in-flank, a column per family: every network, mean of kept with its 95 % interval.

    tables: family -> a row per network, with `kept`; columns: of the three classes, in their order. Fewer
    than 6 kept networks have a hollow mean without interval, their number beside it. control: made networks
    without influence of the target, a grey column at the right, and its mean all across.
    """
    for x, (family, rows) in enumerate(tables.items()):
        contrast = _contrast(rows, columns)
        kept = rows.kept.to_numpy()
        look = {"marker": MARKERS[family], "edgecolor": COLORS[family], "lw": 0.5, "s": 6, "alpha": 0.7}
        for chosen, face in ((kept, COLORS[family]), (~kept, "none")):
            ax.scatter((x + sideways(len(rows), 0.4))[chosen], contrast[chosen], facecolor=face, **look)
        _mean(ax, x + 0.35, contrast[kept])
        ax.plot([x - 0.33], [np.median(contrast)], marker="_", color=COLORS[family], mew=1.4, markersize=5)
    labels = [LABELS[family] for family in tables]
    if control is not None:
        labels.append("planted, no target")
        floor = _contrast(control, columns)
        at = len(tables) + sideways(len(floor), 0.4)
        ax.scatter(at, floor, color=COLORS["chance"], marker=".", s=6, lw=0, alpha=0.7)
        draw_mean(ax, len(tables) + 0.35, floor)
        ax.axhline(floor.mean(), **(CHANCE | {"linestyle": ":"}))
    ax.axhline(0, **CHANCE)
    ax.set_xticks(range(len(labels)), labels, rotation=35, ha="right", rotation_mode="anchor")
    ax.set_xlim(-0.7, len(labels) - 0.3)


def _contrast(rows: pd.DataFrame, columns: tuple[str, ...]) -> np.ndarray:
    return (rows[columns[2]] - rows[columns[0]]).to_numpy()


def _mean(ax: Axes, x: float, samples: np.ndarray) -> None:
    if len(samples) >= ENOUGH:
        draw_mean(ax, x, samples)
    elif len(samples):
        ax.plot([x], [samples.mean()], marker="o", mfc="none", mec="black", markersize=3, mew=0.7, zorder=4)
        look = {"textcoords": "offset points", "ha": "center", "va": "bottom", "fontsize": 5.5}
        ax.annotate(f"n = {len(samples)}", (x, samples.mean()), (1, 3), **look)
