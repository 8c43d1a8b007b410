"""Panels on accuracy with drawings: all methods, differences between rules, plastic blocks, and learning.

Each function draws what it is given on the axes it is given; see `wm.plastic.fewshot.accuracy`.
"""

from __future__ import annotations

__all__ = [
    "draw_blocks", "draw_contrasts", "draw_gap", "draw_methods", "draw_rates", "draw_stages", "draw_training",
    "split_legend",
]  # fmt: skip

from collections.abc import Iterable, Mapping, Sequence

import numpy as np
import pandas as pd
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.lines import Line2D

from ...estimate import difference, mean_band
from ...marks import band
from ...style import CHANCE, COLORS, LABELS, MARKERS, line_label, sideways
from ..families import PAPER_RULES
from ..performance import SAID
from .accuracy import FEATURES, kind_name
from .catalogue import TITLES
from .protocol import BUDGET

SPLITS = {"random": "classes held out", "groups": "whole groups held out"}
"""split -> what its test classes are"""
_NEAR = "#4A4A4A"
_SETS = {"emoji": ("#9A3E84", "o"), "kanji": ("#3A7D44", "s")}
"""data set -> colour, marker"""


def _look(body: str, rule: str) -> dict:
    """Colour and marker of a method: of its rule, of its attention; grey: nearest prototypes."""
    if body == "prototypes":
        return {"color": _NEAR, "marker": "D", "ms": 3}
    name = body if body == "linear_attention" else rule
    return {"color": COLORS[name], "marker": MARKERS[name], "ms": 3.6}


def split_legend(target: Axes | Figure, **where) -> None:
    """Filled: random split; hollow: groups; the two kinds of intervals."""
    look = {"color": _NEAR, "marker": "o", "ms": 3.6, "ls": "none"}
    dots = [
        Line2D([], [], **look, mfc=face, label=f"{SPLITS[name]}")
        for name, face in (("random", _NEAR), ("groups", "white"))
    ]
    ends = [Line2D([], [], color=_NEAR, lw=1.6, label="95 %, networks")]
    ends += [Line2D([], [], color=_NEAR, lw=0.6, label="95 %, episodes")]
    near = Line2D([], [], color=_NEAR, marker="D", ms=3, ls="none", label="nearest prototypes")
    target.legend(handles=[*dots, near, *ends], **where)


def draw_methods(ax: Axes, rows: pd.DataFrame, order: Sequence[str], *, named: bool = True) -> None:
    """Accuracy of methods, a line each: filled, random split; hollow, groups. Dashed: chance.

    rows: those of one data set and kind of episode in `accuracy.summed`. Thick: 95 % interval over networks;
    thin: over episodes. order: titles from above; those without rows are left empty.
    """
    for split, shift in (("random", -0.17), ("groups", 0.17)):
        for row in rows[rows.split == split].itertuples():
            place, look = order.index(row.method) + shift, _look(row.body, row.rule)
            look |= {"mfc": look["color"] if split == "random" else "white", "mew": 0.8, "zorder": 4}
            ax.plot(row.mean, place, clip_on=False, **look)  # whole at 1, too
            for low, high, width in (
                (row.mean - row.reach, row.mean + row.reach, 0.6),
                (row.low, row.high, 1.6),
            ):
                ax.hlines(place, low, high, color=look["color"], lw=width, zorder=3)  # NaN: nothing
    ways, shots = rows.ways.iloc[0], rows.shots.iloc[0]
    ax.axvline(1 / ways, **CHANCE)
    ax.text(1 / ways, 0.01, " chance", transform=ax.get_xaxis_transform(), color="#6E6E6E", fontsize=5.5)
    if near := len({*order} & {*FEATURES.values()}):
        ax.axhline(near - 0.5, color="#D4D4D4", lw=0.5)
    ax.set_yticks(range(len(order)), order if named else [""] * len(order))
    ax.set_xticks([0, 0.5, 1], ["0", "0.5", "1"])
    ax.set(ylim=(len(order) - 0.4, -0.6), xlim=(0, 1), title=kind_name(ways, shots), xlabel="accuracy")


def draw_contrasts(ax: Axes, rows: pd.DataFrame, contrast: tuple[str, str], *, named: bool = True) -> None:
    """Differences of two rules in every kind of episode, paired by seed, with 95 % t-intervals.

    rows: `accuracy.contrasts`. Filled: random split; hollow: groups.
    """
    own, names = rows[(rows.more == contrast[0]) & (rows.less == contrast[1])], []
    reach = 1.08 * np.nanmax(np.abs(rows[["low", "high"]].to_numpy()))  # the same for all contrasts
    for place, row in enumerate(own.itertuples()):
        colour, marker = _SETS[row.dataset]
        face = colour if row.split == "random" else "white"
        look = {"color": colour, "marker": marker, "mfc": face, "ms": 3.6, "mew": 0.8, "capsize": 1.5}
        ax.errorbar(row.mean, place, xerr=[[row.mean - row.low], [row.high - row.mean]], **look)
        names.append(f"{TITLES[row.dataset]}, {row.split}, {kind_name(row.ways, row.shots)}")
    ax.axvline(0, **CHANCE)
    ax.set_yticks(range(len(names)), names if named else [""] * len(names))
    ax.set(xlim=(-reach, reach), ylim=(len(names) - 0.4, -0.6), xlabel="difference of accuracy")
    ax.set_title(f"{SAID[contrast[0]]} − {SAID[contrast[1]]}")


def draw_blocks(ax: Axes, groups: Mapping[str, Mapping[str, np.ndarray]]) -> None:
    """Accuracy by plastic blocks, a line for each rule, with 95 % t-intervals and every network a dot.

    groups: writing rule -> {none, last, all} -> scores (network,).
    """
    for shift, (rule, own) in zip((-0.06, 0.06), groups.items(), strict=True):
        places = np.arange(len(own)) + shift
        values = np.stack([*own.values()], axis=1)
        middle, low, _ = mean_band(values)
        look = {"color": COLORS[rule], "marker": MARKERS[rule], "ms": 3.6, "lw": 0.8, "capsize": 1.5}
        ax.errorbar(places, middle, middle - low, label=LABELS[rule], zorder=3, **look)
        beside = places + np.sign(shift) * 0.12 + sideways(len(values), 0.08)[:, None]
        ax.plot(beside, values, "o", color=COLORS[rule], ms=1.6, alpha=0.6, mew=0)
    ax.set_xticks(range(len(own)), own)
    ax.set(xlim=(-0.4, len(own) - 0.6), xlabel="plastic blocks", ylabel="accuracy")


# ---------------------------------------------------------------- through training


def _chance(ax: Axes, level: float) -> None:
    ax.axhline(level, **CHANCE)
    line_label(ax, level, "chance")


def _budgets(ax: Axes, sets: Iterable[str]) -> None:
    """Published numbers of episodes, dotted."""
    for name in sets:
        ax.axvline(BUDGET[name], **CHANCE | {"linestyle": ":"})


def draw_training(
    ax: Axes, groups: Mapping[str, tuple[np.ndarray, np.ndarray]], *, chance: float = 0.2
) -> None:
    """Accuracy in training episodes by update: mean and 95 % t-interval, every network thin.

    groups: rule -> updates (bin,), scores (network, bin). The first is the widest line, so that those behind
    each other are seen.
    """
    for place, (rule, (updates, scores)) in enumerate(groups.items()):
        ax.plot(updates, scores.T, color=COLORS[rule], lw=0.3, alpha=0.4)
        band(ax, updates, scores, color=COLORS[rule], lw=0.8 * (len(groups) - place), within=(0, 1))
    ax.axhline(chance, **CHANCE)
    line_label(ax, chance - 0.08, "chance")  # below: curves begin on it
    ax.set(ylim=(0, 1), xlabel="updates", ylabel="accuracy")


def draw_stages(ax: Axes, groups: Mapping[str, pd.DataFrame], dataset: str, *, chance: float = 0.2) -> None:
    """Accuracy of networks as published by episodes seen: mean, 95 % t-interval, every network thin.

    groups: `accuracy.stages`. Dotted: `BUDGET`.
    """
    _budgets(ax, [dataset])
    for rule, own in groups.items():
        look = {"marker": MARKERS[rule], "ms": 2.5, "lw": 1, "zorder": 3}
        ax.plot(own.columns, own.to_numpy().T, color=COLORS[rule], lw=0.3, alpha=0.6)
        band(ax, own.columns, own.to_numpy(), color=COLORS[rule], within=(0, 1), **look)
    _chance(ax, chance)
    ax.set(xscale="log", xlabel="episodes seen", ylabel="accuracy")


def draw_gap(ax: Axes, sets: Mapping[str, Mapping[str, pd.DataFrame]]) -> None:
    """Hebbian less gradient networks by episodes seen, paired by seed, with 95 % t-intervals.

    sets: data set -> `accuracy.stages`. Above 0 the Hebbian rule leads, as published.
    """
    _budgets(ax, sets)
    ax.axhline(0, **CHANCE)
    for shift, (name, groups) in zip((0.96, 1.04), sets.items(), strict=True):
        colour, marker = _SETS[name]
        steps = groups["hebbian"].columns
        gaps = [difference(groups["hebbian"][at], groups["gradient"][at], paired=True) for at in steps]
        ends = np.abs([[end - gap.ours for end in gap.interval95] for gap in gaps]).T
        look = {"color": colour, "marker": marker, "ms": 3, "lw": 0.8, "capsize": 1.5}
        ax.errorbar(steps * shift, [gap.ours for gap in gaps], ends, label=TITLES[name], **look)
    ax.set(xscale="log", xlabel="episodes seen", ylabel="Hebbian − gradient")


def draw_rates(ax: Axes, sets: Mapping[str, Mapping[str, pd.DataFrame]]) -> None:
    """Mean rate over tokens of test episodes by episodes seen: geometric mean over networks (log axes).

    sets: data set -> `accuracy.stages` of the rates. Filled: the first data set; hollow: the second.
    """
    _budgets(ax, sets)
    for face, groups in zip((None, "white"), sets.values(), strict=True):
        for rule in PAPER_RULES[1:]:
            own = groups[rule]
            logs = mean_band(np.log10(own.to_numpy(dtype=float)), skip_nan=True)
            look = {"color": COLORS[rule], "marker": MARKERS[rule], "ms": 3.2, "lw": 1, "mew": 0.8}
            ax.plot(own.columns, 10**logs.estimate, mfc=face or COLORS[rule], **look)
            ax.fill_between(own.columns, 10**logs.low, 10**logs.high, color=COLORS[rule], alpha=0.2, lw=0)
    ax.set(xscale="log", yscale="log", xlabel="episodes seen", ylabel="mean rate")
