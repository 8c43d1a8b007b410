"""Panels on the dynamics of the memory: portraits, drift fields, measures of all networks, cross-time maps.

Each function draws what it is given on the axes it is given; portraits come from `wm.ring.dynamics_portrait`,
tables and curves from `wm.ring.dynamics_table`.
"""

from __future__ import annotations

__all__ = [
    "NAMES", "correlation_table", "draw_counts", "draw_cross_time", "draw_curves", "draw_drift_field",
    "draw_medians", "draw_portrait", "draw_predictors", "draw_random_planes", "draw_scatter", "family_legend",
    "portrait_legend",
]  # fmt: skip

from collections.abc import Mapping, Sequence

import numpy as np
import pandas as pd
from matplotlib import colormaps
from matplotlib.axes import Axes
from matplotlib.collections import LineCollection
from matplotlib.colors import hsv_to_rgb
from matplotlib.figure import Figure
from matplotlib.image import AxesImage
from matplotlib.lines import Line2D

from ..estimate import Estimate
from ..style import CHANCE, CMAPS, COLORS, LABELS, MARKERS, sideways
from .dynamics_portrait import KINDS, Portrait
from .dynamics_table import cross_map, curve, middle

NAMES = {
    "dimension_delay": "dimension, delay",
    "dimension_trial": "dimension, trial",
    "plane_share": "variance in the plane",
    "attractors": "attractors",
    "saddles": "saddles",
    "slow_points": "slow points",
    "eigenvalue_per_s": "leading eigenvalue (1/s)",
    "drift_deg_per_s": "drift (°/s, rms)",
    "drift_10s_deg": "drift in 10 s (°, rms)",
    "diffusion_deg2_per_s": "diffusion (°²/s)",
    "push_plane_deg": "push to memory plane (°)",
    "push_plane_far_deg": "push to memory plane, larger (°)",
    "push_tangent_deg": "push to tangent (°)",
    "push_size": "size of the push |Ux|",
    "push_along_deg": "push along the ring (°)",
    "displacement_deg": "displacement at 90° (°)",
    "displacement_rms_deg": "displacement (°, rms)",
    "gain_deg": "displacement per push (°)",
    "cue_to_delay_deg": "cue decoder in the delay (°)",
    "decoder_deg": "delay decoder (°, rms)",
}
"""axis labels of the columns of the table"""
TILT = 0.42  # a circle on the floor is seen from the side
_POINTS = {
    "attractor": {"marker": "o", "facecolor": "black", "edgecolor": "none", "s": 9, "zorder": 6},
    "saddle": {"marker": "o", "facecolor": "white", "edgecolor": "black", "s": 9, "lw": 0.5, "zorder": 5},
    "slow": {"marker": "x", "color": "#606060", "s": 8, "lw": 0.6, "zorder": 4},
}
_SPEEDS = (-100, -10, -1, 0, 1, 10, 100)
_CROWDED = 50  # more points than this are drawn small
_GAP = 0.5  # neighbouring targets farther apart than this, in radii, are not joined: the ring is torn there


def _hue(angle_deg: np.ndarray) -> np.ndarray:
    """Colours (..., 3) of angles: the same everywhere in this figure."""
    hue = np.asarray(angle_deg) % 360 / 360
    return hsv_to_rgb(np.stack([hue, np.full_like(hue, 0.65), np.full_like(hue, 0.85)], axis=-1))


def _seen(places: np.ndarray) -> np.ndarray:
    """(..., 2 or 3) in the plane, and above it, to (..., 2) on paper."""
    height = places[..., 2] if places.shape[-1] == 3 else 0
    return np.stack([places[..., 0], TILT * places[..., 1] + height], axis=-1)


def draw_portrait(ax: Axes, portrait: Portrait, *, limits: tuple[float, float] = (-0.6, 1.75)) -> None:
    """The ring seen from the side, its fixed points, and what a distractor does to some of its states.

    Orange arrow: the push of the distractor added up over its 100 ms; black line: the state from distractor
    onset to the go cue. Both lie in the memory plane or rise out of it; a dot marks the end.
    """
    ring = np.concatenate([portrait.ring, portrait.ring[:1]])
    closed = np.linalg.norm(np.diff(ring, axis=0), axis=1) < _GAP
    segments = np.stack([_seen(ring[:-1]), _seen(ring[1:])], axis=1)[closed]
    ax.fill(*_seen(ring).T, color="#F4F4F4" if closed.all() else "none", lw=0, zorder=0)
    hues = _hue(portrait.targets_deg)[closed]
    ax.add_collection(LineCollection(segments, colors=hues, lw=2.2, capstyle="round", zorder=2))
    small = {"s": 2, "lw": 0.2} if len(portrait.kinds) > _CROWDED else {}
    for kind in KINDS:
        ax.scatter(*_seen(portrait.points[portrait.kinds == kind]).T, **(_POINTS[kind] | small))
    for start, push, path in zip(portrait.starts, portrait.push, portrait.path, strict=True):
        line = _seen(path)
        ax.plot(*line.T, color="black", lw=0.7, zorder=7)
        ax.plot(*line[-1], color="black", marker=".", markersize=3, zorder=7)
        _arrow(ax, _seen(start), _seen(np.append(start, 0) + push))
    ax.set(xlim=(-1.4, 1.4), ylim=limits, aspect="equal")
    ax.axis("off")


def _arrow(ax: Axes, start: np.ndarray, end: np.ndarray) -> None:
    look = {"arrowstyle": "-|>", "color": COLORS["distractor"], "lw": 0.9, "mutation_scale": 5}
    ax.annotate("", end, start, arrowprops=look | {"shrinkA": 0, "shrinkB": 0}, zorder=8)


def portrait_legend(fig: Figure, **place) -> None:
    """Key to portraits and drift fields."""
    dot = {"ls": "none", "markersize": 3.5, "color": "black"}
    shown = [
        (dot | {"marker": "o"}, "attractor"),
        (dot | {"marker": "o", "markerfacecolor": "white", "mew": 0.6}, "saddle"),
        (dot | {"marker": "x", "color": "#606060"}, "slow point"),
        ({"color": COLORS["distractor"], "lw": 1.2}, "push of a distractor 90° aside"),
        ({"color": "black", "lw": 0.8}, "state, distractor to go cue"),
    ]
    handles = [Line2D([], [], **look) for look, _ in shown]
    fig.legend(handles, [name for _, name in shown], ncols=len(shown), **place)


def draw_drift_field(ax: Axes, portrait: Portrait, color: str) -> None:
    """Velocity of the remembered angle against the angle, with the fixed points found, at velocity 0.

    The axis is linear to 1 deg/s either way and logarithmic beyond; the largest speed is written out.
    """
    order = np.argsort(portrait.field_deg)
    ax.axhline(0, color="#B0B0B0", lw=0.6)
    ax.plot(portrait.field_deg[order], portrait.velocity[order], color=color, lw=1)
    for kind in KINDS:
        angles = portrait.points_deg[portrait.kinds == kind]
        if len(portrait.kinds) <= _CROWDED:
            ax.scatter(angles, np.zeros_like(angles), **_POINTS[kind], clip_on=False)
    text = f"at most {np.abs(portrait.velocity).max():.1f}°/s"
    ax.text(0.5, 0.98, text, transform=ax.transAxes, ha="center", va="top", fontsize=6)
    ax.set_yscale("symlog", linthresh=1)
    ax.set_yticks(_SPEEDS, [f"{speed}".replace("-", "−") for speed in _SPEEDS])
    ax.minorticks_off()
    ax.set(xlim=(0, 360), xticks=(0, 180, 360), xlabel="remembered angle (°)")


def draw_scatter(
    ax: Axes,
    table: pd.DataFrame,
    families: Sequence[str],
    x: str,
    y: str,
    *,
    mean: bool = True,
    log: str = "y",
) -> None:
    """Two columns of the table against each other: a small marker for each network, a large one for the mean.

    mean: of the values, with 95 % intervals over networks; log: axes ("", "x", "y", "xy") that are
    logarithmic, on which the mean is the geometric one.
    """
    for family in families:
        rows = table[table.family == family]
        look = {"marker": MARKERS[family], "color": COLORS[family]}
        ax.scatter(rows[x], rows[y], s=5, alpha=0.35, linewidths=0, **look)
        if mean and len(rows) > 1:
            spans = [middle(rows[column], axis in log) for column, axis in ((x, "x"), (y, "y"))]
            (across, up), (x_error, y_error) = np.transpose(spans)[0], map(_lengths, spans)
            bars = {"ecolor": "black", "elinewidth": 0.7, "mec": "black", "mew": 0.5, "markersize": 5}
            ax.errorbar(across, up, xerr=x_error, yerr=y_error, **look, **bars, ls="none", zorder=5)
    scales = {f"{axis}scale": "log" for axis in log}
    ax.set(xlabel=NAMES.get(x, x), ylabel=NAMES.get(y, y), **scales)


def _lengths(span: tuple[float, float, float]) -> list[list[float]]:
    """How far an interval reaches below and above its mean."""
    mean, low, high = span
    return [[mean - low], [high - mean]]


def draw_random_planes(ax: Axes, angles_deg: np.ndarray) -> None:
    """Upright band that holds 95 % of angles (draw,) between random planes, and their mean."""
    ax.axvspan(*np.percentile(angles_deg, (2.5, 97.5)), color="#ECECEC", lw=0, zorder=0)
    ax.axvline(angles_deg.mean(), **CHANCE)


def family_legend(ax: Axes, families: Sequence[str], **place) -> None:
    """Key to the markers of families."""
    look = {"ls": "none", "markersize": 3.5}
    handles = [Line2D([], [], marker=MARKERS[f], color=COLORS[f], **look) for f in families]
    ax.legend(handles, [LABELS[f] for f in families], **place)


def draw_medians(ax: Axes, table: pd.DataFrame, families: Sequence[str], column: str) -> None:
    """A column of dots for each family, one dot a network, with the median as a line."""
    for place, family in enumerate(families):
        values = table.loc[table.family == family, column].dropna().to_numpy()
        aside = sideways(len(values), 0.5)
        look = {"marker": MARKERS[family], "color": COLORS[family], "linewidths": 0}
        ax.scatter(place + aside, values, s=6, alpha=0.5, **look)
        if len(values):
            ax.plot((place - 0.34, place + 0.34), (np.median(values),) * 2, color=COLORS[family], lw=1.5)
    labels = [LABELS[family] for family in families]
    ax.set_xticks(range(len(labels)), labels, rotation=40, ha="right", rotation_mode="anchor")
    ax.set_xlim(-0.6, len(labels) - 0.4)


def draw_counts(
    ax: Axes, table: pd.DataFrame, families: Sequence[str], ticks: Sequence[int] = (1, 2, 5, 10, 25, 50, 100)
) -> None:
    """Attractors on the ring of every network, on a logarithmic axis."""
    found = table.assign(attractors=table.attractors.where(table.attractors > 0))
    draw_medians(ax, found, families, "attractors")
    ax.set_yscale("log")
    ax.set_yticks(ticks, [str(tick) for tick in ticks])
    ax.minorticks_off()
    ax.set(ylabel="attractors on the ring", ylim=(0.8, 150))


def draw_curves(ax: Axes, curves: pd.DataFrame, families: Sequence[str], name: str) -> None:
    """A curve of each family, the mean over its networks with a 95 % interval."""
    for family in families:
        rows = curve(curves, family, name)
        ax.plot(rows.x, rows["mean"], color=COLORS[family], lw=1, label=LABELS[family])
        if ax.get_yscale() == "linear" or (rows.low > 0).all():  # a logarithm has no place for the others
            ax.fill_between(rows.x, rows.low, rows.high, color=COLORS[family], alpha=0.15, lw=0)


def draw_cross_time(ax: Axes, curves: pd.DataFrame, family: str) -> AxesImage:
    """Mean error of the decoder fitted at one time (up) and read at another (across).

    White is chance, 90 degrees. Below it (blue) the decoder points towards the target, above it (red) away
    from it: the code is inverted, perfectly so at 180 degrees.
    """
    times, error = cross_map(curves, family)
    half = (times[1] - times[0]) / 2
    ends = (times[0] - half, times[-1] + half)
    look = {"vmin": 0, "vmax": 180, "cmap": colormaps[CMAPS["diverging"]].resampled(36)}  # 90 in the middle
    image = ax.imshow(error, origin="lower", extent=ends * 2, **look)
    for start, event in ((600, "distractor"), (1500, "go")):
        ax.axvline(start, color=COLORS[event], lw=0.9)
        ax.axhline(start, color=COLORS[event], lw=0.9)
    ax.set(xticks=(0, 1000, 2000), yticks=(0, 1000, 2000))
    return image


def draw_predictors(
    ax: Axes, correlations: Mapping[str, Mapping[str, Estimate]], looks: Mapping[str, Mapping]
) -> None:
    """Rank correlations of measures with an error, with 95 % intervals over networks.

    correlations: group of networks -> measure -> estimate; the first group is ranked. looks: by group,
    `color` and other properties of its markers. The key tells the number of networks in each group.
    """
    first = next(iter(correlations.values()))
    ranked = sorted(first, key=lambda name: abs(first[name].ours))
    handles = {}
    for k, (group, estimates) in enumerate(correlations.items()):
        look = {"marker": "o", "markersize": 3, "mew": 0.7} | looks[group]
        for row, name in enumerate(ranked):
            y = row - 0.5 * k / max(len(correlations) - 1, 1) + 0.25
            ax.hlines(y, *estimates[name].interval95, color=look["color"], lw=0.9)
            ax.plot(estimates[name].ours, y, **look)
        networks = max(one.n_networks for one in estimates.values())
        handles[f"{group} ({networks})"] = Line2D([], [], **look)
    ax.axvline(0, color="#B0B0B0", lw=0.6)
    ax.legend(handles.values(), handles, ncols=3, loc="upper right", bbox_to_anchor=(1.05, -0.09))
    ax.set_yticks(range(len(ranked)), [NAMES.get(name, name) for name in ranked])
    ax.set(xlim=(-1, 1), ylim=(-0.6, len(ranked) - 0.4))


def correlation_table(correlations: Mapping[str, Mapping[str, Estimate]]) -> pd.DataFrame:
    """The same as text, a column for each group; with n where a measure lacks networks of its group."""
    columns = {}
    for group, estimates in correlations.items():
        whole = max(one.n_networks for one in estimates.values())
        columns[f"{group} (n = {whole})"] = {
            NAMES.get(name, name): "{:+.2f} [{:+.2f}, {:+.2f}]".format(one.ours, *one.interval95)
            + (f", n = {one.n_networks}" if one.n_networks < whole else "")
            for name, one in estimates.items()
        }
    return pd.DataFrame(columns)
