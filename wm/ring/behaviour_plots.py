"""Panels on behaviour: errors by time to the distractor, bias, gates, error units, families side by side.

Each function draws what it is given on the axes it is given. Tables are those of `wm.ring.behaviour.table`
with the column `kept`, family -> a row for each network and onset.
"""

from __future__ import annotations

__all__ = [
    "PUBLISHED_CURVES", "SIGNATURES", "Separation", "draw_bias", "draw_bias_of_one", "draw_gates",
    "draw_onsets", "draw_pairs", "draw_published", "draw_signature", "medians", "separation", "signatures",
]  # fmt: skip

from collections.abc import Mapping
from itertools import combinations
from typing import NamedTuple

import numpy as np
import pandas as pd
from matplotlib.axes import Axes

from ..estimate import expanded_percentiles, mean_interval
from ..marks import band
from ..style import CHANCE, COLORS, LABELS, MARKERS, sideways
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
_PAPER = {"facecolor": "white", "edgecolor": "none", "pad": 0.5}


def signatures(rows: pd.DataFrame) -> pd.DataFrame:
    """Behavioural signatures of each network, (network, signature); rows: of one family, all onsets."""
    at = {onset: own.set_index("network") for onset, own in rows.groupby("onset")}
    return pd.DataFrame({
        name: at[onset][column] - (at[other[1]][other[0]] if other else 0)
        for name, (column, onset, other) in SIGNATURES.items()
    })  # fmt: skip


class Separation(NamedTuple):
    """How many pairs of families are told apart, of how many, with a 95 % interval of the first."""

    told: int
    pairs: int
    interval: tuple[int, int]

    def __str__(self) -> str:
        return f"{self.told}/{self.pairs} [{self.interval[0]}, {self.interval[1]}]"


def separation(samples: Mapping[str, np.ndarray], *, draws: int = 500, seed: int = 0) -> Separation:
    """How many pairs of families a single network tells apart, bootstrapped over networks.

    samples: family -> (network,). A pair is told apart if a random network of one lies above a random one of
    the other with a chance of 95 % or more (area under the ROC curve), whichever is the higher; that the
    direction is chosen on the same networks favours the count. Resampled networks are drawn by family.
    """
    generator = np.random.default_rng(seed)
    own = [np.asarray(x, dtype=float)[None] for x in samples.values()]
    again = [x[0, generator.integers(x.size, size=(draws, x.size))] for x in own]
    pairs = list(combinations(range(len(own)), 2))
    told = int(_told(own, pairs)[0])
    low, high = expanded_percentiles(_told(again, pairs), min(x.size for x in own), 0.95)
    return Separation(told, len(pairs), (min(told, round(low)), max(told, round(high))))


def _told(samples: list[np.ndarray], pairs: list[tuple[int, int]]) -> np.ndarray:
    """Pairs told apart in each draw, (draw,); samples: (draw, network) of each family."""
    count = np.zeros(len(samples[0]), dtype=int)
    for i, j in pairs:
        a, b = samples[i][:, :, None], samples[j][:, None]
        area = (a > b).mean(axis=(1, 2)) + 0.5 * (a == b).mean(axis=(1, 2))
        count += np.maximum(area, 1 - area) >= 0.95
    return count


def medians(tables: Mapping[str, pd.DataFrame], columns: Mapping[str, str]) -> pd.DataFrame:
    """Medians of all networks, (family, column and onset in ms); columns: name here -> in the rows."""
    parts = {LABELS[f]: rows.groupby("onset")[list(columns.values())].median() for f, rows in tables.items()}
    found = pd.concat(parts, names=["family"]).unstack("onset").rename(columns=DT_MS.__mul__, level=1)
    return found.loc[list(parts)].rename(columns={old: new for new, old in columns.items()}, level=0)


def draw_onsets(ax: Axes, tables: Mapping[str, pd.DataFrame], column: str) -> None:
    """A column of the table by time to the distractor, ms: mean of kept networks with 95 % interval.

    The interval is cut at 0.
    """
    for family, rows in tables.items():
        kept = rows[rows.kept].pivot(index="network", columns="onset", values=column)
        time = kept.columns.to_numpy() * DT_MS
        look = {"color": COLORS[family], "lw": 1, "marker": MARKERS[family], "markersize": 2}
        band(ax, time, kept.to_numpy(), within=(0, np.inf), label=LABELS[family], **look)
    ax.set(xticks=(100, 300, 500, 900), xlabel="time to distractor (ms)")


def draw_published(ax: Axes, side: str) -> None:
    """Published points of an error panel, `near` or `far`: hollow, in the colour of their family."""
    for (family, where), curve in PUBLISHED_CURVES.items():
        if where == side:
            look = {"mec": COLORS[family], "mfc": "none", "marker": MARKERS[family], "ls": "none"}
            ax.plot(np.array(list(curve)) * DT_MS, list(curve.values()), markersize=5.5, zorder=4, **look)


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
        band(ax, time, rates, label=f"{LABELS[family]}, {difference}°", **look)
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


def draw_bias(ax: Axes, tables: Mapping[str, pd.DataFrame], onset: int, *, top: float = np.inf) -> None:
    """Error towards the distractor by its distance from the target, kept networks, 95 % intervals.

    Dashed: to 0 at 0 and 180 degrees, by symmetry, where nothing was measured. Means above `top` are written
    there, at the edge.
    """
    x = np.array(DIFFERENCES_DEG)
    columns = [f"bias_{difference}_deg" for difference in DIFFERENCES_DEG]
    for family, rows in tables.items():
        values = rows[rows.kept & (rows.onset == onset)][columns].to_numpy()
        means, color = values.mean(axis=0), COLORS[family]
        look = {"color": color, "lw": 1, "marker": MARKERS[family], "markersize": 2.5}
        ax.plot(x, means, label=LABELS[family], **look)
        for end, k in ((0, 0), (180, -1)):
            ax.plot((end, x[k]), (0, means[k]), color=color, lw=0.7, ls=(0, (3, 3)))
        for at, column in zip(x, values.T, strict=True):
            ax.vlines(at, *mean_interval(column), color=color, lw=0.8)
            if column.mean() > top:
                text = f"{column.mean():.0f} \N{UPWARDS ARROW}"
                ax.text(at, top, text, color=color, ha="center", va="top", fontsize=6, bbox=_PAPER)
    ax.axhline(0, **CHANCE)
    ax.set(xlim=(0, 180), xticks=range(0, 181, 45), xlabel="distractor $-$ target (°)")
    if np.isfinite(top):
        ax.set_ylim(top=top)


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

    Networks beyond the limits are ticks at the edge, means beyond them are written there. Below: `separation`
    of all families, and of those other than `wmonly`.
    """
    for y, (family, values) in enumerate(samples.items()):
        spread = y + sideways(len(values), 0.4)
        inside = (limits[0] <= values) & (values <= limits[1])
        look = {"color": COLORS[family], "clip_on": False, "zorder": 3}
        dots = {"marker": MARKERS[family], "s": 4, "lw": 0, "alpha": 0.45}
        ax.scatter(values[inside], spread[inside], **look, **dots)
        edge = np.clip(values, *limits)[~inside]
        ax.scatter(edge, spread[~inside], marker="_", s=10, lw=0.4, **look)
        _signature_mean(ax, y, values, limits)
    others = {family: values for family, values in samples.items() if family != "wmonly"}
    ax.set_title(name, fontsize=6)
    ax.set_xlabel(f"{separation(samples)}\n{separation(others)}", fontsize=6)
    ax.axvline(0, **CHANCE)
    ax.set(xlim=limits, ylim=(len(samples) - 0.5, -0.5), yticks=range(len(samples)), yticklabels=[])


def _signature_mean(ax: Axes, y: float, values: np.ndarray, limits: tuple[float, float]) -> None:
    mean = np.mean(values)
    if not limits[0] <= mean <= limits[1]:
        text, x, ha = f"{mean:.0f} \N{RIGHTWARDS ARROW}", 0.93, "right"
        if mean < limits[0]:
            text, x, ha = f"\N{LEFTWARDS ARROW} {mean:.0f}", 0.07, "left"
        look = {"ha": ha, "va": "center", "fontsize": 6, "bbox": _PAPER}
        ax.text(x, y, text, transform=ax.get_yaxis_transform(), **look)
        return
    ax.plot(mean_interval(values), (y, y), color="black", lw=1.2, zorder=4)
    ax.plot([mean], [y], color="black", marker="|", markersize=6, mew=1.4, zorder=4)
