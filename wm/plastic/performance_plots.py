"""Panels on performance: published numbers and ours, learning, scores at the end, and all architectures.

Each function draws what it is given on the axes it is given; scores of networks are (network, ...), by rule.
On logarithmic axes means over networks are geometric, with t-intervals of logarithms.
"""

from __future__ import annotations

__all__ = [
    "draw_architectures", "draw_curves", "draw_finals", "draw_levels", "draw_published", "draw_stages",
    "rule_legend", "score_axis",
]  # fmt: skip

from collections.abc import Mapping, Sequence

import numpy as np
import pandas as pd
from matplotlib.axes import Axes
from matplotlib.axis import Axis
from matplotlib.figure import Figure
from matplotlib.lines import Line2D
from matplotlib.patches import Rectangle
from matplotlib.ticker import FuncFormatter, LogLocator, NullFormatter

from ..estimate import Band, mean_band
from ..marks import band
from ..style import CHANCE, COLORS, LABELS, MARKERS, PUBLISHED, line_label, sideways
from .families import PAPER_RULES, TASKS, WHOLE
from .mechanism_plots import log_band
from .performance import Published, architecture

Groups = Mapping[str, np.ndarray]
_SPREAD = {"color": COLORS["published"], "elinewidth": 0.7, "capsize": 2, "zorder": 2}
_MARGIN = {"facecolor": COLORS["delay"], "edgecolor": "none", "zorder": 0}
_SHORT = {"none": "None", "hebbian": "Hebb.", "gradient": "Grad."}


def rule_legend(
    target: Axes | Figure, extra: Sequence[Line2D | Rectangle] = (), *,
    rules: Sequence[str] = PAPER_RULES, **where,
) -> None:  # fmt: skip
    """Legend of rules, and further entries, of a panel or a figure."""
    lines = [
        Line2D([], [], color=COLORS[rule], marker=MARKERS[rule], markersize=3.5, label=LABELS[rule])
        for rule in rules
    ]
    target.legend(handles=[*lines, *extra], **where)


def score_axis(ax: Axes, task: str, **settings) -> None:
    """Title and scale of a panel of scores of a task: recall, or errors on a logarithmic axis."""
    symbolic = task == "copying"
    ax.set(title=TASKS[task], ylabel="true recall" if symbolic else "MSE of answers", **settings)
    ax.set_yscale("linear" if symbolic else "log")


def _plain(axis: Axis, few: float = 2) -> None:
    """Ticks of a logarithmic axis as plain numbers: 1, 2, 5 of each decade if it has `few` or less, or 1."""
    if axis.get_scale() != "log":
        return
    low, high = np.log10(axis.get_view_interval())
    axis.set_major_locator(LogLocator(subs=(1, 2, 5) if high - low < few else (1,)))
    axis.set_major_formatter(FuncFormatter(lambda x, _: f"{x:g}"))
    axis.set_minor_formatter(NullFormatter())


def draw_levels(ax: Axes, levels: Mapping[str, float], x: float = 1) -> None:
    """Dashed lines with names at what a task allows; names end at the fraction x of the axes.

    On a logarithmic axis, a level of 0 cannot be drawn.
    """
    log, above = ax.get_yscale() == "log", np.inf
    shown = {name: value for name, value in levels.items() if value or not log}
    for value in shown.values():
        ax.axhline(value, **CHANCE)
    for name, value in sorted(shown.items(), key=lambda level: -level[1]):
        place = ax.transAxes.inverted().transform(ax.transData.transform((1, value)))[1]
        line_label(ax, value, name, x)
        if above - place < 0.07:  # no room below the next line
            ax.texts[-1].set_va("top")
        above = place


def draw_published(ax: Axes, ours: Groups, published: Mapping[str, Published]) -> None:
    """Every network a dot, mean and 95 % interval, by rule; beside them what was published.

    Hollow: published mean, with one standard deviation over networks; grey box: published mean and margin.
    """
    for place, (rule, values) in enumerate(ours.items()):
        if rule in published:
            mean, deviation, reach = *published[rule][:2], published[rule].margin
            ax.add_patch(Rectangle((place - 0.42, mean - reach), 0.84, 2 * reach, **_MARGIN))
            ax.errorbar(place - 0.25, mean, deviation, **_SPREAD)
            ax.plot(place - 0.25, mean, **PUBLISHED)
        _group(ax, place + 0.05, values, rule)
    ax.set_xticks(range(len(ours)), [_SHORT[rule] for rule in ours])
    ax.set_xlim(-0.6, len(ours) + 0.3)  # room for names of levels


def _group(ax: Axes, place: float, values: np.ndarray, rule: str, *, hollow: bool = False) -> None:
    """Mean with interval at a place, and every network beside it; NaN are left out."""
    there = values[~np.isnan(values)]
    color = COLORS[rule]
    look = {"color": color, "marker": MARKERS[rule], "markersize": 3.5, "zorder": 4}
    look |= {"markerfacecolor": "white" if hollow else color, "linestyle": "none"}
    if not len(there):
        return
    middle, low, high = _means(ax, there)
    ends = np.nan_to_num([[middle - low], [high - middle]])
    ax.errorbar(place, middle, ends, elinewidth=0.8, capsize=1.5, **look)
    beside = place + 0.2 + sideways(len(there), 0.14)
    ax.plot(beside, there, "o", color=color, ms=1.6, alpha=0.7, mew=0, zorder=3)


def _means(ax: Axes, values: np.ndarray) -> Band:
    """Mean over networks of values (network, ...), NaN left out, with its 95 % interval, as the axis asks."""
    there = values if len(values) > 1 else np.concatenate([values, np.full_like(values, np.nan)])
    if ax.get_yscale() != "log":
        return mean_band(there, skip_nan=True)
    return Band(*(10**each for each in mean_band(np.log10(there), skip_nan=True)))


def draw_stages(
    ax: Axes, ours: Mapping[str, tuple[np.ndarray, np.ndarray]], published: Mapping[str, Published],
    *, budget: int,
) -> None:  # fmt: skip
    """Scores against sequences seen: mean and 95 % interval; rule -> (updates (stage,), (network, stage)).

    Hollow, around the dotted line of the published budget: what was published, with one standard deviation.
    """
    ax.axvline(budget, **CHANCE | {"linestyle": ":"})
    shade = log_band if ax.get_yscale() == "log" else band
    for place, (rule, (updates, scores)) in enumerate(ours.items()):
        shade(ax, updates, scores, color=COLORS[rule], marker=MARKERS[rule], markersize=2.5, zorder=3)
        if rule in published:
            look = PUBLISHED | {"color": COLORS[rule], "marker": MARKERS[rule], "markersize": 4}
            at, (mean, deviation) = budget * 1.16 ** (place - 1), published[rule][:2]
            ax.errorbar(at, mean, deviation, elinewidth=0.7, capsize=1.5, **look)
    ax.set(xscale="log", xlabel="sequences seen", xlim=(60, 1.5e4))
    _plain(ax.yaxis)


def draw_curves(
    ax: Axes, curves: Mapping[str, tuple[np.ndarray, np.ndarray]],
) -> None:
    """Scores of training: mean, and every network thin; rule -> (updates (bin,), scores (network, bin)).

    The first is the widest line, so that those behind each other are seen. NaN, of networks that diverged,
    are left out.
    """
    for place, (rule, (updates, scores)) in enumerate(curves.items()):
        ax.plot(updates, scores.T, color=COLORS[rule], lw=0.3, alpha=0.5)
        width = 0.8 * (len(curves) - place)
        ax.plot(updates, _means(ax, scores).estimate, color=COLORS[rule], lw=width)
    ax.set(xlabel="updates")
    _plain(ax.yaxis)


def draw_finals(ax: Axes, sound: Groups, published: Groups) -> None:
    """Scores after training by rule: filled, trained soundly; hollow, right of it, as published."""
    for place, rule in enumerate(sound):
        _group(ax, place - 0.3, sound[rule], rule)
        _group(ax, place + 0.12, published[rule], rule, hollow=True)
    ax.set_xticks(range(len(sound)), [_SHORT[rule] for rule in sound])
    ax.set_xlim(-0.6, len(sound) + 0.3)
    _plain(ax.yaxis)


def draw_architectures(
    ax: Axes, rows: pd.DataFrame, order: Sequence[tuple[str, str]], levels: Mapping[str, float],
    *, named: bool = True,
) -> None:  # fmt: skip
    """Mean and 95 % interval of every architecture (body, rule) of an order on one task, a line each.

    rows: those of one setting in `performance.architectures`. Dashed: levels above 0. named: with names.
    """
    known = rows.set_index(["body", "rule"])
    for place, (body, rule) in enumerate(order):
        look = body if body in WHOLE else rule
        if (body, rule) not in known.index:
            look = {"color": "#9A9A9A", "fontsize": 5.5, "va": "center", "zorder": 3}
            look["bbox"] = {"fc": "white", "ec": "none", "pad": 0.5}
            ax.text(0.02, place, "not trained", transform=ax.get_yaxis_transform(), **look)
            continue
        own = known.loc[(body, rule)]
        ends = np.nan_to_num([[own["mean"] - own.low], [own.high - own["mean"]]])
        marked = {"color": COLORS[look], "marker": MARKERS[look], "ms": 3.5, "capsize": 1.5}
        ax.errorbar(own["mean"], place, xerr=ends, **marked)
    for name, level in levels.items():
        if level:
            ax.axvline(level, **CHANCE)
            look = {"transform": ax.get_xaxis_transform(), "rotation": 90, "ha": "right", "va": "bottom"}
            ax.text(level, 0.02, name, color="#6E6E6E", fontsize=5.5, **look)
    ax.set_yticks(range(len(order)), [architecture(*pair) if named else "" for pair in order])
    ax.set_ylim(len(order) + 0.7, -0.5)  # room for names of levels
    symbolic = set(rows.task) == {"copying"}
    ax.set(title=rows.setting.iloc[0], xlabel="recall" if symbolic else "MSE of answers")
    ax.set_xscale("linear" if symbolic else "log")
    _plain(ax.xaxis, few=1.5)
