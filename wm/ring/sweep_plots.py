"""Panels on the sweeps: errors over amplitude ratios, heat maps, curves over the shuffle, closed forms.

Each function draws what it is given on the axes it is given; tables are those of `wm.ring.sweep.table`, a row
a network, the swept setting in the first column. After figure 4 of Zahorodnii et al. 2025, bioRxiv
2025.03.17.643652.
"""

from __future__ import annotations

__all__ = [
    "ERROR_LIMITS_DEG", "SWEEP_LOOK", "draw_anchors", "draw_closed_form", "draw_product", "draw_profile",
    "draw_ratios", "draw_surface", "draw_trained",
]  # fmt: skip

from collections.abc import Sequence

import numpy as np
import pandas as pd
from matplotlib.axes import Axes
from matplotlib.cm import ScalarMappable
from matplotlib.collections import QuadMesh
from matplotlib.colors import BoundaryNorm
from matplotlib.patheffects import withStroke
from matplotlib.ticker import FixedLocator, NullLocator, ScalarFormatter

from ..estimate import mean, mean_interval
from ..style import CHANCE, CMAPS, COLORS, LABELS, MARKERS, PUBLISHED
from .sweep_analysis import (
    SELECTED_ABOVE,
    SELECTED_BELOW_DEG,
    best_by_seed,
    correlations,
    expected_functional,
    margin,
    selected,
    smooth,
)

ERROR_LIMITS_DEG = (8.0, 20.0)
"""errors are coloured between these, as published"""
_CURVE = {"color": "black", "ls": (0, (4, 2)), "lw": 0.9, "zorder": 4}
_CASED = _CURVE | {"path_effects": [withStroke(linewidth=2.2, foreground="white")]}
_HOLLOW = PUBLISHED | {"markersize": 3.5}
SWEEP_LOOK = {
    "rt_sa": ("R/T+SA", COLORS["rt_sa"], "o"),
    "it_sa": ("I/T+SA", COLORS["it_sa"], "^"),
    "rt_sa_sharp": ("R/T+SA, exponent 10", "#3C5900", "s"),
}
"""name, colour and marker of a sweep; the narrow kernel is a darker R/T+SA"""
_AXES = {"shuffle_deg": "shuffle (°)", "stable_proportion": "stable units $p$"}


def _levels(limits: tuple[float, float]) -> BoundaryNorm:
    """Twelve steps of colour between the limits (1 degree each, as they are), clipped beyond."""
    return BoundaryNorm(np.linspace(*limits, 13), ncolors=256, clip=True)


def draw_ratios(
    ax: Axes, table: pd.DataFrame, column: str = "error_deg", *,
    limits: tuple[float, float] = ERROR_LIMITS_DEG,
) -> ScalarMappable:  # fmt: skip
    """S (x) against F (y), both from 1 to 0.25, coloured by error in degrees clipped to `limits`.

    The worst networks are drawn first, so that the best lie on top. Dashed: S F = 1/4. Networks outside of
    the axes are not seen.
    """
    rows = table.sort_values(column, ascending=False)
    norm = _levels(limits)
    look = {"norm": norm, "cmap": CMAPS["sequential"], "s": 10, "lw": 0, "rasterized": True}
    ax.scatter(rows.structural, rows.functional, c=rows[column], **look)
    s = np.linspace(0.25, 1, 100)
    ax.plot(s, 0.25 / s, **_CASED)
    ticks = (1, 0.75, 0.5, 0.25)
    ax.set(xlim=(1.02, 0.235), ylim=(1.02, 0.235), xticks=ticks, yticks=ticks)
    ax.set(xlabel="structural ratio $S$", ylabel="functional ratio $F$")
    return ScalarMappable(norm, CMAPS["sequential"])


def draw_trained(
    ax: Axes, networks: pd.DataFrame, column: str = "error_deg", *,
    limits: tuple[float, float] = ERROR_LIMITS_DEG,
) -> None:  # fmt: skip
    """S and F of fully trained networks, both axes from 1 to 0, coloured as in `draw_ratios`.

    networks: rows of `wm.ring.derived.networks` with family, kept, structural, functional and errors; those
    that are not kept are small.
    """
    norm = _levels(limits)
    for (family, kept), rows in networks.groupby(["family", "kept"]):
        look = {"marker": MARKERS[family], "edgecolor": "black", "lw": 0.3, "s": 14 if kept else 5}
        ax.scatter(
            rows.structural, rows.functional, c=rows[column], norm=norm, cmap=CMAPS["sequential"], **look
        )
        if kept:
            below = (rows.structural.median(), rows.functional.max())
            look = {"textcoords": "offset points", "ha": "center", "va": "top"}
            ax.annotate(LABELS[family], below, xytext=(5, -4), **look)
    s = np.linspace(0.2, 1, 100)
    ax.plot(s, 0.25 / s, **_CURVE)
    ax.set(xlim=(1.02, 0), ylim=(1.02, 0), xticks=(1, 0.5, 0), yticks=(1, 0.5, 0))
    ax.set(xlabel="structural ratio $S$", ylabel="functional ratio $F$")
    ax.set_box_aspect(1)


def draw_product(ax: Axes, table: pd.DataFrame, sweep: str) -> None:
    """Error with distractor against S F, both logarithmic: the published selection in colour, the rest grey.

    Upper left: mean over seeds of the correlation within the selection, with its 95 % t-interval.
    """
    chosen, (label, color, _) = selected(table), SWEEP_LOOK[sweep]
    look = {"s": 1.6, "lw": 0, "rasterized": True}
    rest = table.drop(chosen.index)
    for rows, face, alpha in ((rest, COLORS["published"], 0.35), (chosen, color, 0.5)):
        ax.scatter(rows.structural * rows.functional, rows.error_deg, color=face, alpha=alpha, **look)
    ax.axvline(SELECTED_ABOVE, **CHANCE)
    ax.axhline(SELECTED_BELOW_DEG, **CHANCE)
    found = correlations(chosen)
    interval = "\n[{:.3f}, {:.3f}]".format(*mean_interval(found)) if len(found) > 1 else ""
    look = {"transform": ax.transAxes, "va": "top", "fontsize": 6}
    ax.text(0.04, 0.99, f"$r$ = {found.mean():.3f}{interval}", **look)
    ax.set_title(label)
    _log(ax, "x", (0.05, 0.1, 0.25, 0.5, 1))
    _log(ax, "y", (5, 10, 20, 50, 100))
    ax.set(xlabel="$S \\cdot F$", ylabel="error with distractor (°)", xlim=(0.045, 1.1), ylim=(4.5, 130))


def _log(ax: Axes, axis: str, ticks: Sequence[float]) -> None:
    getattr(ax, f"set_{axis}scale")("log")
    scale = getattr(ax, f"{axis}axis")
    scale.set_major_locator(FixedLocator(ticks))
    scale.set_major_formatter(ScalarFormatter())
    scale.set_minor_locator(NullLocator())


def draw_surface(
    ax: Axes, errors_deg: pd.DataFrame, *, limits: tuple[float, float] = ERROR_LIMITS_DEG, curve: bool = True
) -> QuadMesh:
    """Heat map of mean errors (setting, scale) of `wm.ring.sweep_analysis.surface`, clipped to `limits`.

    Every point of the grid has a cell of its own around it. `curve`: dashed, where S F = 1/4 by
    the closed forms of a cosine kernel, with S = 1 / scale.
    """
    settings, scales = errors_deg.index.to_numpy(float), errors_deg.columns.to_numpy(float)
    look = {"cmap": CMAPS["sequential"], "norm": _levels(limits), "rasterized": True}
    mesh = ax.pcolormesh(_edges(scales), _edges(settings), errors_deg.to_numpy(), **look)
    fine = np.linspace(settings[0], settings[-1], 200)
    axis = errors_deg.index.name
    scale = 4 * expected_functional(axis, fine)
    seen = (scale >= scales[0]) & (scale <= scales[-1])
    if curve:
        ax.plot(scale[seen], fine[seen], **(_CURVE | {"color": "white"}))
    ax.set(xlabel="scale (recurrent / input)", ylabel=_AXES[axis], xticks=np.unique(scales.astype(int)))
    if axis == "shuffle_deg":
        ax.set_yticks((0, 50, 100, 150))
    ax.spines[:].set_visible(False)
    return mesh


def _edges(places: np.ndarray) -> np.ndarray:
    """Cell borders halfway between neighbouring places (point,), and as far beyond the ends, (point + 1,)."""
    middle = (places[1:] + places[:-1]) / 2
    return np.concatenate([[2 * places[0] - middle[0]], middle, [2 * places[-1] - middle[-1]]])


def draw_profile(
    ax: Axes, table: pd.DataFrame, scale: float, *, column: str = "error_deg", published: float | None = None
) -> None:
    """Error over the shuffle at one scale: dots and smooth fit of every seed, and where the fits are lowest.

    Below: the best shuffle of every seed (ticks), their mean with its 95 % t-interval, and the published one.
    """
    axis = table.columns[0]
    rows = table[np.isclose(table.scale, scale)]
    at = np.arange(rows[axis].min(), rows[axis].max() + 0.5)
    for _, each in rows.groupby("seed"):
        ax.scatter(each[axis], each[column], s=1.5, color=COLORS["rt_sa"], lw=0, alpha=0.8)
        fit = np.exp(smooth(each[axis].to_numpy(), np.log(each[column].to_numpy()), at))
        ax.plot(at, fit, color=COLORS["rt_sa"], lw=0.5, alpha=0.8)
    best, level = best_by_seed(table, scale, column), 4.7
    ax.plot(best, np.full(len(best), level), ls="none", marker="|", color="black", markersize=3.5, mew=0.6)
    if len(best) > 1:
        ax.plot(np.clip(mean_interval(best), *ax.get_xlim()), (level * 1.16,) * 2, color="black", lw=1)
    ax.plot([best.mean()], [level * 1.16], marker="o", color="black", markersize=2.5)
    if published is not None:
        ax.plot([published], [level * 1.16], **_HOLLOW)
    _log(ax, "y", (5, 10, 20, 50, 100))
    ax.set(xlabel=_AXES[axis], ylabel="error with distractor (°)", ylim=(4.2, 100))
    ax.set_title(f"scale {scale:g}")


def draw_closed_form(ax: Axes, table: pd.DataFrame, published: dict[float, float] | None = None) -> None:
    """F over the swept setting: mean over scales of every seed, closed form (dashed), published means."""
    axis = table.columns[0]
    color = COLORS["it_sa" if axis == "stable_proportion" else "rt_sa"]
    for _, rows in table.groupby("seed"):
        ratio = rows.groupby(axis).functional.mean()
        ax.plot(ratio.index, ratio, ls="none", marker="o", markersize=2, color=color, alpha=0.6, mew=0)
    fine = np.linspace(table[axis].min(), table[axis].max(), 200)
    ax.plot(fine, expected_functional(axis, fine), **_CURVE)
    if published:
        ax.plot(list(published), list(published.values()), **_HOLLOW)
    ax.set(xlabel=_AXES[axis], ylabel="functional ratio $F$", ylim=(0, 1.05))


def draw_anchors(ax: Axes, points: pd.DataFrame) -> None:
    """Our mean error with 95 % t-interval over seeds against the published mean; on the line they agree.

    points: of `wm.ring.sweep_analysis.anchors`; without distractor hollow. Grey band: the margin of
    equivalence around the line.
    """
    line = np.geomspace(2, 60, 50)
    reach = np.array([margin(each) for each in line])
    ax.fill_between(line, line - reach, line + reach, color=COLORS["delay"], lw=0)
    ax.plot(line, line, color="black", lw=0.5)
    for text, color, marker in SWEEP_LOOK.values():
        ax.plot([], [], ls="none", marker=marker, color=color, markersize=3.2, label=text)
    ax.plot([], [], ls="none", marker="o", color="black", mfc="white", markersize=3.2, label="no distractor")
    ax.legend(loc="upper left")
    for row in points.itertuples():
        (_, color, marker), ours = SWEEP_LOOK[row.sweep], mean(row.samples)
        if ours.n_networks > 1:
            ax.vlines(row.published, *ours.interval95, color=color, lw=0.7)
        look = {"marker": marker, "color": color, "markersize": 3.2, "mew": 0.6}
        ax.plot([row.published], [ours.ours], markerfacecolor=color if row.distractor else "white", **look)
    for axis in "xy":
        _log(ax, axis, (2, 5, 10, 20, 50))
    ax.set(xlabel="published mean error (°)", ylabel="ours (°)", xlim=(2.2, 45), ylim=(2.0, 60))
