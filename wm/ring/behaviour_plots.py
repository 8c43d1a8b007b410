"""Panels on behaviour: errors by time to the distractor, bias, gates, error units, families side by side.

Each function draws what it is given on the axes it is given. Tables are those of `wm.ring.behaviour.table`
with the column `kept`, family -> a row for each network and onset.
"""

from __future__ import annotations

__all__ = [
    "PUBLISHED_CURVES", "SIGNATURES", "draw_bias", "draw_bias_of_one", "draw_gates", "draw_onsets",
    "draw_pairs", "draw_published", "draw_signature", "separation", "signatures",
]  # fmt: skip

from collections.abc import Mapping
from itertools import combinations

import numpy as np
import pandas as pd
from matplotlib.axes import Axes

from ..estimate import mean_interval
from ..style import CHANCE, COLORS, LABELS, MARKERS
from .behaviour import DIFFERENCES_DEG
from .error_plots import draw_mean
from .task import DT_MS

PUBLISHED_CURVES = {
    ("sa", "near"): {10: 6.9, 20: 6.3, 30: 6.3, 90: 6.4},
    ("it", "near"): {10: 12.4, 20: 6.8, 30: 5.4, 90: 5.3},
    ("it", "far"): {10: 16.9, 20: 13.7, 30: 12.0, 90: 8.3},
    ("wmd", "near"): {10: 12.9, 20: 8.9, 30: 7.2, 90: 6.6},
}
"""root mean square error, deg, by onset in steps: of one network each, with 20 repeats"""
SIGNATURES = {
    "near, early\nerror (°)": ("error_near_deg", 10, None),
    "far, early\nerror (°)": ("error_far_deg", 10, None),
    "near, early\n$-$ late (°)": ("error_near_deg", 10, ("error_near_deg", 90)),
    "far, early\n$-$ late (°)": ("error_far_deg", 10, ("error_far_deg", 90)),
    "bias at 45°\nearly (°)": ("bias_45_deg", 10, None),
    "bias at 135°\nearly (°)": ("bias_135_deg", 10, None),
    "bias at 135°\nlate (°)": ("bias_135_deg", 90, None),
}
"""behavioural signatures: column, onset in steps, and column and onset of what is subtracted"""


def signatures(rows: pd.DataFrame) -> pd.DataFrame:
    """Behavioural signatures of each network, (network, signature); rows: of one family, all onsets."""
    at = {onset: own.set_index("network") for onset, own in rows.groupby("onset")}
    return pd.DataFrame({
        name: at[onset][column] - (at[other[1]][other[0]] if other else 0)
        for name, (column, onset, other) in SIGNATURES.items()
    })  # fmt: skip


def separation(samples: Mapping[str, np.ndarray]) -> tuple[int, int]:
    """How many pairs of families a single network tells apart, and of how many pairs.

    samples: family -> (network,). A pair is told apart if a random network of one lies above a random one of
    the other with a chance of 95 % or more (area under the ROC curve).
    """
    areas = []
    for a, b in combinations(map(np.asarray, samples.values()), 2):
        area = (a[:, None] > b).mean() + 0.5 * (a[:, None] == b).mean()
        areas.append(max(area, 1 - area))
    return int((np.array(areas) >= 0.95).sum()), len(areas)


def draw_onsets(ax: Axes, tables: Mapping[str, pd.DataFrame], column: str) -> None:
    """A column of the table by time to the distractor, ms: mean of kept networks with 95 % interval.

    The interval is cut at 0. Dotted: median of all networks.
    """
    for family, rows in tables.items():
        kept = rows[rows.kept].pivot(index="network", columns="onset", values=column)
        time = kept.columns.to_numpy() * DT_MS
        ends = np.maximum([mean_interval(values) for values in kept.to_numpy().T], 0)
        look = {"color": COLORS[family], "lw": 1, "marker": MARKERS[family], "markersize": 2.5}
        ax.plot(time, kept.mean(), label=LABELS[family], **look)
        ax.fill_between(time, *ends.T, color=COLORS[family], alpha=0.2, lw=0)
        median = rows.groupby("onset")[column].median()
        ax.plot(time, median, color=COLORS[family], lw=0.7, ls=":")
    ax.set(xticks=(100, 300, 500, 900), xlabel="time to distractor (ms)")


def draw_published(ax: Axes, side: str) -> None:
    """Published points of an error panel, `near` or `far`: hollow, in the colour of their family."""
    for (family, where), curve in PUBLISHED_CURVES.items():
        if where == side:
            look = {"mec": COLORS[family], "mfc": "white", "marker": MARKERS[family], "ls": "none"}
            ax.plot(np.array(list(curve)) * DT_MS, list(curve.values()), markersize=5, zorder=4, **look)


def draw_gates(ax: Axes, courses: Mapping[str, Mapping[int, np.ndarray]], *, target: int, onset: int) -> None:
    """Mean rate of gate units with 95 % intervals, family -> difference (near, far) -> (network, time).

    Near solid, far dashed. target and onset: first steps of target and distractor; both last 10 steps and
    are shaded.
    """
    for family, course in courses.items():
        _draw_course(ax, family, course, target)
    for name, first in (("target", target), ("distractor", onset)):
        span = ((first - target) * DT_MS, (first + 10 - target) * DT_MS)
        ax.axvspan(*span, color=COLORS[name], alpha=0.12, lw=0, zorder=0)
    ax.set(ylabel="rate of gate units", xlabel="time from target onset (ms)")


def _draw_course(ax: Axes, family: str, course: Mapping[int, np.ndarray], target: int) -> None:
    for (difference, rates), line in zip(course.items(), ("-", "--"), strict=True):
        time = (np.arange(rates.shape[1]) - target) * DT_MS
        look = {"color": COLORS[family], "ls": line, "lw": 1}
        ax.plot(time, rates.mean(axis=0), label=f"{LABELS[family]}, {difference}°", **look)
        ends = np.array([mean_interval(values) for values in rates.T])
        ax.fill_between(time, *ends.T, color=COLORS[family], alpha=0.2, lw=0)
    ax.set_xlim(time[0], time[-1])


def draw_pairs(ax: Axes, tables: Mapping[str, pd.DataFrame], columns: tuple[str, str], onset: int) -> None:
    """Two columns of kept networks side by side, a line per network, mean with 95 % interval."""
    for place, (family, rows) in enumerate(tables.items()):
        values = rows[rows.kept & (rows.onset == onset)][list(columns)].to_numpy()
        x = 1.6 * place + np.array((-0.35, 0.35))
        ax.plot(x, values.T, color=COLORS[family], lw=0.4, alpha=0.5, marker=MARKERS[family], markersize=1.8)
        for at, column in zip(x + (-0.2, 0.2), values.T, strict=True):
            draw_mean(ax, at, column)
    labels = [LABELS[family] for family in tables]
    ax.set_xticks(1.6 * np.arange(len(labels)), labels, rotation=35, ha="right", rotation_mode="anchor")


def draw_bias(ax: Axes, tables: Mapping[str, pd.DataFrame], onset: int) -> None:
    """Error towards the distractor by its distance from the target, kept networks, 95 % intervals."""
    x = np.array((0, *DIFFERENCES_DEG, 180))
    columns = [f"bias_{difference}_deg" for difference in DIFFERENCES_DEG]
    for family, rows in tables.items():
        values = rows[rows.kept & (rows.onset == onset)][columns].to_numpy()
        means = np.array((0, *values.mean(axis=0), 0))
        look = {"color": COLORS[family], "lw": 1, "marker": MARKERS[family], "markersize": 2.5}
        ax.plot(x, means, label=LABELS[family], **look)
        for at, column in zip(DIFFERENCES_DEG, values.T, strict=True):
            ax.vlines(at, *mean_interval(column), color=COLORS[family], lw=0.8)
    ax.axhline(0, **CHANCE)
    ax.set(xlim=(0, 180), xticks=range(0, 181, 45), xlabel="distractor $-$ target (°)")


def draw_bias_of_one(ax: Axes, difference_deg: np.ndarray, error_deg: np.ndarray, family: str) -> None:
    """Error of each trial of one network by distractor - target, both (trial,), with the median of each."""
    look = {"color": COLORS[family], "lw": 0, "alpha": 0.5}
    ax.scatter(difference_deg, error_deg, s=3, **look)
    x = np.unique(difference_deg)
    ax.plot(x, [np.median(error_deg[difference_deg == at]) for at in x], color="black", lw=1)
    ax.plot((-180, 180), (-180, 180), **CHANCE)
    ax.axhline(0, **CHANCE)
    ax.set(xlim=(-180, 180), xticks=range(-180, 181, 90), xlabel="distractor $-$ target (°)")


def draw_signature(
    ax: Axes, samples: Mapping[str, np.ndarray], *, name: str, limits: tuple[float, float]
) -> None:
    """One signature, a row per family: every kept network, and the mean with its 95 % interval.

    Means beyond the limits are written at the edge.
    """
    for y, (family, values) in enumerate(samples.items()):
        spread = y + ((np.arange(len(values)) * 0.618034) % 1 - 0.5) * 0.4
        look = {"marker": MARKERS[family], "color": COLORS[family], "s": 4, "lw": 0, "alpha": 0.45}
        ax.scatter(values, spread, **look)
        mean = np.mean(values)
        if mean > limits[1]:
            paper = {"facecolor": "white", "edgecolor": "none", "pad": 0.5}
            text = f"{mean:.0f} \N{RIGHTWARDS ARROW}"
            ax.text(limits[1], y, text, ha="right", va="center", fontsize=6, bbox=paper)
            continue
        ax.plot(mean_interval(values), (y, y), color="black", lw=1.2, zorder=4)
        ax.plot([mean], [y], color="black", marker="|", markersize=6, mew=1.4, zorder=4)
    told, pairs = separation(samples)
    ax.set_title(f"{name}\n{told} of {pairs} pairs", fontsize=6)
    ax.axvline(0, **CHANCE)
    ax.set(xlim=limits, ylim=(len(samples) - 0.5, -0.5), yticks=range(len(samples)), yticklabels=[])
