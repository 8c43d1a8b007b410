"""Panels on what is encoded of an image: relevance, cross-task decoding, duration, orthogonality."""

from __future__ import annotations

__all__ = [
    "age_key", "draw_across", "draw_ages", "draw_change", "draw_diagonal", "draw_diets", "draw_encoded",
    "draw_floors", "draw_relevance", "draw_tasks", "index_key", "relevance_key",
]  # fmt: skip

from collections.abc import Sequence

import numpy as np
import pandas as pd
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.image import AxesImage

from ...geometry import orthogonalization_chance
from ...marks import band
from ...style import CHANCE, line_label
from ..behaviour import DIETS
from ..catalogue import ARCHITECTURES
from ..score_marks import ARCHITECTURE_LABELS
from ..task import FEATURES, LAGS, TASKS
from .decoders import normalised
from .marks import (
    FEATURE_COLORS,
    LAG_COLORS,
    draw_dots,
    draw_matrix,
    key,
    name_architectures,
    spread,
)
from .relevance import relevance_matrix
from .summaries import across, by_seed, change, encoded, of, shares_of

BAR = 0.85
"""accuracy that relevant properties are above, as published"""
_RELEVANT = {True: ("asked for", "#00798C"), False: ("not asked for", "#C4541A")}
_SPACES = {"perceptual": ("1 × 1 convolution", "o"), "cnn": ("backbone", "^")}


def draw_relevance(ax: Axes, rows: pd.DataFrame) -> AxesImage:
    """Property that is asked for (rows) by property that is read (columns), normalised, mean over networks.

    rows: table decoding, of one kind of network.
    """
    own = rows.groupby("task", sort=False)[[*FEATURES]].mean()
    tasks = [task for task in TASKS if task.name in own.index]
    own = own.loc[[task.name for task in tasks]]
    found = {name: normalised(own[name].to_numpy(), 0.5) for name in FEATURES}
    image = draw_matrix(ax, relevance_matrix(found, tasks), size=6)
    ax.set_xticks(range(len(FEATURES)), FEATURES, rotation=30, ha="right", rotation_mode="anchor")
    ax.set_yticks(range(len(FEATURES)), FEATURES)
    return image


def draw_encoded(ax: Axes, rows: pd.DataFrame, diet: str, setting: str, kind: str = "") -> None:
    """Accuracy of properties in E(1, 1), by property and architecture: a dot for each network.

    Networks of one diet; teal: tasks that ask for the property, orange: those that do not. Grey: the same of
    shuffled labels.
    """
    kinds = [of(rows, name, diet, setting=setting) for name in ARCHITECTURES]
    for k, (relevant, (_, color)) in enumerate(_RELEVANT.items()):
        draw_dots(ax, _by_property(kinds, relevant, kind, k), color, marker="os"[k])
        if not kind:
            draw_dots(ax, _by_property(kinds, relevant, "_null", k), "#B0B0B0", marker="x")
    name_architectures(ax, FEATURES)
    ax.axhline(BAR, color="black", lw=0.6, ls=(0, (1, 2)), zorder=0.6)
    if not kind:
        ax.axhline(0.5, **CHANCE)


def _by_property(
    kinds: Sequence[pd.DataFrame], relevant: bool, kind: str, k: int
) -> dict[float, pd.Series]:  # fmt: skip
    """Place -> (seed,), of properties, and in these of kinds of network."""
    found = {}
    for a, rows in enumerate(kinds):
        groups = encoded(rows, relevant, kind).groupby("property")
        for g, name in enumerate(FEATURES):
            found[spread(g * len(kinds) + a, k, 2)] = by_seed(groups.get_group(name), "accuracy")
    return found


def draw_diets(ax: Axes, rows: pd.DataFrame, setting: str) -> None:
    """The same, means over properties, by diet and architecture: a dot for each seed, mean over models."""
    for k, (relevant, (_, color)) in enumerate(_RELEVANT.items()):
        found = {}
        for g, diet in enumerate(DIETS):
            for a, architecture in enumerate(ARCHITECTURES):
                own = encoded(of(rows, architecture, diet, setting=setting), relevant)
                found[spread(g * len(ARCHITECTURES) + a, k, 2)] = by_seed(own, "accuracy")
        draw_dots(ax, found, color, marker="os"[k])
    name_architectures(ax, [*DIETS.values()])
    ax.axhline(BAR, color="black", lw=0.6, ls=(0, (1, 2)), zorder=0.6)
    line_label(ax, BAR, "published")
    ax.axhline(0.5, **CHANCE)


def relevance_key(fig: Figure) -> None:
    """Colours of `draw_encoded`, below a figure."""
    entries = [(label, color, "os"[k]) for k, (label, color) in enumerate(_RELEVANT.values())]
    key(fig, [*entries, ("shuffled labels", "#B0B0B0", "x"), ("published bar, .85", "black", ":")])


def draw_tasks(ax: Axes, scores: np.ndarray) -> AxesImage:
    """Decoders of one property fitted in a task (rows) and tested in another (columns), (task, task)."""
    image = draw_matrix(ax, scores, low=-0.4, numbers=False)
    places = [k * len(LAGS) + 1 for k in range(len(FEATURES))]
    ax.set_xticks(places, FEATURES, rotation=30, ha="right", rotation_mode="anchor")
    ax.set_yticks(places, FEATURES)
    for edge in (2.5, 5.5):
        ax.axvline(edge, color="white", lw=0.8)
        ax.axhline(edge, color="white", lw=0.8)
    return image


def draw_across(ax: Axes, rows: pd.DataFrame, setting: str) -> None:
    """Decoders of what a task asks for, in the task and in tasks that ask for something else: a point for
    each network and task, bars: means over networks with 95 % t-intervals."""
    for k, (column, color) in enumerate((("inside", "#00798C"), ("outside", "#C4541A"))):
        for a, architecture in enumerate(ARCHITECTURES):
            own = across(of(rows, architecture, setting=setting))
            at = spread(a, k, 2)
            x = at + np.linspace(-0.14, 0.14, len(own))
            ax.scatter(x, own[column], s=1.5, lw=0, color=color, alpha=0.35, zorder=2)
            draw_dots(ax, {at: by_seed(own, column)}, color, wide=0.14)
    name_architectures(ax)
    ax.axhline(0, **CHANCE)
    line_label(ax, 0, "chance")


def draw_ages(ax: Axes, rows: pd.DataFrame, architecture: str, setting: str = "ours") -> None:
    """How well properties are read as more items come: normalised, means over items and 95 % t-intervals.

    Solid: properties that are asked for, by lag; dashed: others, mean over lags. Rings: the step at which the
    item is compared.
    """
    own = of(rows, architecture, setting=setting)
    ages = [*range(6)]
    for lag in LAGS:
        found = _over_ages(own[own.lag == lag], True, ages)
        band(ax, ages, found, color=LAG_COLORS[lag], within=(-1, 1), alpha=0.15)
        ax.plot(lag, found[:, lag].mean(), "o", mfc="white", mec=LAG_COLORS[lag], ms=4, zorder=5)
    band(ax, ages, _over_ages(own, False, ages), color="#C4541A", ls="--", within=(-1, 1), alpha=0.15)
    ax.axhline(0, **CHANCE)
    ax.set(xlabel="items since", title=ARCHITECTURE_LABELS[architecture], xticks=ages, ylim=(-0.05, 1.03))


def age_key(fig: Figure) -> None:
    """Colours of `draw_ages`, below a figure."""
    entries = [(f"asked for, {lag}-back", color, "-") for lag, color in LAG_COLORS.items()]
    key(fig, [*entries, ("not asked for", _RELEVANT[False][1], "--")])


def _over_ages(rows: pd.DataFrame, relevant: bool, ages: Sequence[int]) -> np.ndarray:
    """(seed, age)."""
    found = [by_seed(encoded(rows, relevant, f"_{age}"), "accuracy").to_numpy() for age in ages]
    return normalised(np.stack(found, axis=1), 0.5)


def draw_diagonal(ax: Axes, rows: pd.DataFrame, *, normalise: bool = False) -> None:
    """Index before (across) and after (up) the recurrent layer: a point for each network and task.

    Colours: property, markers: architecture. rows: table orthogonality of networks without attention.
    """
    for a, architecture in enumerate(ARCHITECTURES):
        own = change(rows[rows.architecture == architecture], normalise=normalise)
        for name, color in FEATURE_COLORS.items():
            points = own[own.feature == name]
            ax.scatter(points.before, points.after, s=7, marker="os^"[a], lw=0, color=color, alpha=0.55)
    found = change(rows, normalise=normalise)
    both = found[["before", "after"]]
    ends = both.min(axis=None) - 0.02, both.max(axis=None) + 0.02
    ax.plot(ends, ends, color="black", lw=0.6, zorder=0)
    ax.set(xlim=ends, ylim=ends, aspect="equal", xlabel="1 × 1 convolution", ylabel="encoding")


def draw_change(ax: Axes, rows: pd.DataFrame, setting: str, *, normalise: bool = False) -> None:
    """Index after minus before the recurrent layer, by property and architecture: a dot for each network.

    Against the trained 1 x 1 convolution (filled) and the backbone's features (hollow).
    """
    for k, (space, (_, marker)) in enumerate(_SPACES.items()):
        for g, name in enumerate(FEATURES):
            found = {}
            for a, architecture in enumerate(ARCHITECTURES):
                own = change(of(rows, architecture, setting=setting), space, normalise=normalise)
                found[spread(g * len(ARCHITECTURES) + a, k, 2)] = shares_of(own, "change")[name]
            draw_dots(ax, found, FEATURE_COLORS[name], marker=marker, hollow=bool(k))
    name_architectures(ax, FEATURES)
    ax.axhline(0, color="black", lw=0.6)


def draw_floors(ax: Axes, rows: pd.DataFrame, setting: str, classes: dict[str, int]) -> None:
    """The index beside what it is without a code, by property: means over networks of all architectures.

    Spaces with their shuffled labels (crosses); lines: a simplex of `classes` values; grey: random
    directions, by architecture.
    """
    own = of(rows, setting=setting)
    for g, name in enumerate(FEATURES):
        part = own[own.feature == name]
        for k, space in enumerate(("cnn", "perceptual", "encoding")):
            for kind, color in (("", FEATURE_COLORS[name]), ("_shuffled", "#8A8A8A")):
                values = part.groupby(["architecture", "seed"])[f"{space}{kind}"].mean()
                draw_dots(ax, {4 * g + k: values}, color, marker="x" if kind else "o")
        simplex = 1 - 1 / (classes[name] - 1)
        ax.hlines(simplex, 4 * g - 0.5, 4 * g + 2.5, color="black", lw=0.7, ls="--", zorder=1)
    for units in sorted(set(own.dimensions)):
        ax.axhline(orthogonalization_chance(int(units)), color="#B0B0B0", lw=0.7, zorder=0)
    ax.set_xticks([4 * g + k for g in range(3) for k in range(3)], ["CNN", "1×1", "E"] * 3)
    ax.tick_params(axis="x", length=0)
    for g, name in enumerate(FEATURES):
        at = {"xy": (4 * g + 1, 0), "xycoords": ("data", "axes fraction"), "xytext": (0, -13)}
        ax.annotate(name, **at, textcoords="offset points", ha="center", va="top", fontsize=6.5)
    ax.set_xlim(-0.7, 10.7)


def index_key(fig: Figure) -> None:
    """Colours and markers of the panels of the index, below a figure."""
    entries = [(name, color, "o") for name, color in FEATURE_COLORS.items()]
    entries += [(ARCHITECTURE_LABELS[name], "#222222", "os^"[k]) for k, name in enumerate(ARCHITECTURES)]
    key(fig, [*entries, ("shuffled labels", "#8A8A8A", "x"), ("simplex", "black", "--"),
              ("random", "#B0B0B0", "-")], ncols=5)  # fmt: skip


