"""Panels on what units stand for: preferred directions and their changes, connectivity, factors, designs.

Each function draws what it is given on the axes it is given; the numbers come from `wm.ring.tuning`,
`wm.ring.connectivity` and `wm.ring.derived`. After figures 2 and 3 of Zahorodnii et al. 2025, bioRxiv
2025.03.17.643652.
"""

from __future__ import annotations

__all__ = [
    "design_order", "draw_changes", "draw_connectivity", "draw_design", "draw_factors", "draw_trajectory",
]  # fmt: skip

import numpy as np
import pandas as pd
from matplotlib.axes import Axes
from matplotlib.collections import LineCollection
from matplotlib.colors import hsv_to_rgb
from matplotlib.image import AxesImage

from ..style import CHANCE, CMAPS, COLORS, LABELS, MARKERS
from .connectivity import Connectivity
from .error_plots import draw_mean
from .library import Ensemble
from .trial import Trial
from .tuning import Trajectory

Color = str | tuple[str, float]
FACTOR_LIMITS = ((0, 1.5), (-0.2, 1.1))
"""range of structural and functional factor that is drawn"""
_FAINT = 0.12  # opacity of the line of a silent unit


def draw_trajectory(ax: Axes, trajectory: Trajectory, mask: np.ndarray, trial: Trial) -> None:
    """Preferred direction of the first network's units in `mask` (network, unit), by ms from target onset.

    Colour: preferred direction at the end; opacity: strength of the response at each moment. trial: one of
    the same delays; its target is the band.
    """
    time = trial.after_target_ms(trajectory.steps)
    look = {"snap": False, "rasterized": True}  # snapped to pixels, the pieces of a line have gaps
    for unit in np.flatnonzero(mask[0]):
        path, strength = trajectory.preferred_deg[0, :, unit], trajectory.strength[0, :, unit]
        points = np.stack([time, path], axis=-1)
        colours = np.tile((*_hue(path[-1]), 1.0), (len(time) - 1, 1))
        colours[:, 3] = np.maximum(strength[1:], _FAINT)
        pieces = np.stack([points[:-1], points[1:]], axis=1)
        ax.add_collection(LineCollection(pieces, colors=colours, linewidths=0.7, **look))
    ax.axvspan(*trial.span_ms("target"), color=COLORS["target"], alpha=0.15, linewidth=0, zorder=0)
    ax.set(xlim=(time[0], time[-1]), yticks=np.arange(-360, 721, 180))
    ax.autoscale_view(scalex=False)


def _hue(angle_deg: float) -> np.ndarray:
    """Red at 0 degrees, green at 120, blue at 240: dark enough for lines, unlike the usual circular maps."""
    return hsv_to_rgb((np.nan_to_num(angle_deg) % 360 / 360, 0.9, 0.82))


def draw_changes(
    ax: Axes, example: np.ndarray, population: np.ndarray, *, family: str, place: float = 0.5
) -> None:
    """Histogram of preference changes in equal bins on [0, 180] degrees, as percent of ring units.

    example: (bin,), bars of one network; population: (network, bin), mean with 95 % interval over networks.
    place: 0 puts the narrow bars on the left of each bin, 1 on the right, 0.5 fills the bin.
    """
    bins = len(example)
    width = 180 / bins
    centres = (np.arange(bins) + 0.5) * width
    if place != 0.5:
        width *= 0.42
        centres = centres + (2 * place - 1) * width / 2
    ax.bar(centres, example, width=0.92 * width, color=COLORS[family], alpha=0.55, label=LABELS[family])
    for centre, column in zip(centres, population.T, strict=True):
        draw_mean(ax, centre, column)
    ax.set(xlim=(0, 180), xticks=np.arange(0, 181, 36), ylim=(0, None))


def draw_connectivity(ax: Axes, curve: Connectivity, *, color: Color, label: str = "") -> None:
    """Mean weight of the first network by difference of preferences, with 1.96 SE, and the cosine fit."""
    angle, mean, reach = curve.difference_deg[0], curve.mean[0], 1.96 * curve.sem[0]
    ax.fill_between(angle, mean - reach, mean + reach, color=color, alpha=0.25, linewidth=0)
    ax.plot(angle, mean, "o", color=color, markersize=1.8)
    degrees = np.linspace(-180, 180, 181)
    fit = curve.amplitude[0] * np.cos(np.deg2rad(degrees)) + curve.offset[0]
    ax.plot(degrees, fit, color=color, label=label)
    ax.axhline(0, **CHANCE)
    ax.set(xlim=(-180, 180), xticks=(-180, 0, 180))


def draw_factors(ax: Axes, family: str, rows: pd.DataFrame) -> None:
    """Structural against functional factor of a family's networks, those that are not kept hollow.

    Values beyond `FACTOR_LIMITS` are drawn at the edge, those without a factor left out. Dashed: S F = 1/4.
    rows: columns kept, structural, functional, as of `wm.ring.derived.by_family`.
    """
    wide, high = FACTOR_LIMITS
    for kept, face in ((False, "none"), (True, COLORS[family])):
        some = rows[rows.kept == kept]
        look = {"marker": MARKERS[family], "facecolor": face, "edgecolor": COLORS[family], "linewidth": 0.6}
        x, y = some.structural.clip(*wide), some.functional.clip(*high)
        ax.scatter(x, y, s=11, clip_on=False, zorder=3, **look)
    structural = np.linspace(0.25 / high[1], wide[1], 100)
    ax.plot(structural, 0.25 / structural, **CHANCE)
    ax.set(xlim=wide, ylim=high)


def draw_design(recurrent: Axes, inputs: Axes, ensemble: Ensemble, *, limit: float) -> AxesImage:
    """Weights of the first network of a hand-designed ensemble, (post, pre): red positive, blue negative.

    Units are in the order of `design_order`, thin lines part the groups; the go cue is left out. Both maps
    span -limit to limit. Returns the second one, for a colour bar.
    """
    order, borders = design_order(ensemble)
    weights = ensemble.weights.select([0])
    maps = (weights.dense()[0][order][:, order], weights.inputs[0, order, :-1])
    for ax, values in zip((recurrent, inputs), maps, strict=True):
        image = ax.imshow(values.numpy(), cmap=CMAPS["diverging"], vmin=-limit, vmax=limit, aspect="equal")
        ax.set(xticks=[], yticks=[])
        ax.spines[["top", "right"]].set_visible(True)
        for border in borders:
            ax.axhline(border - 0.5, color="black", linewidth=0.5)
            if ax is recurrent:
                ax.axvline(border - 0.5, color="black", linewidth=0.5)
    return image


def design_order(ensemble: Ensemble) -> tuple[np.ndarray, np.ndarray]:
    """Units of the first network in the order of the design, (unit,), and where groups begin, (border,).

    Groups: stable ring units, inverting ones, gates; within each by designed preference. Raises ValueError
    for fully trained networks, which have no design.
    """
    if ensemble.fixed is None:
        raise ValueError(f"{ensemble.names[0]} is fully trained: give a hand-designed network")
    preference, sign = ensemble.fixed.preference_deg[0].numpy(), ensemble.fixed.sign[0].numpy()
    group = np.select([sign > 0, sign < 0], [0, 1], 2)
    order = np.lexsort((preference, group))
    return order, np.flatnonzero(np.diff(group[order])) + 1
