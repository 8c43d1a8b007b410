"""Panels on rates of plasticity: training, tokens of a sequence, single updates, and gate against clip."""

from __future__ import annotations

__all__ = [
    "CLIP", "GATE", "TRACES", "draw_apart", "draw_in_time", "draw_shares", "draw_through_training",
    "draw_updates", "log_band", "part_legend", "rule_legend", "share_rows", "task_title", "tidy_traces",
    "trace_figure",
]  # fmt: skip

from collections.abc import Hashable, Mapping, Sequence

import numpy as np
import pandas as pd
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.lines import Line2D
from matplotlib.patches import Patch
from matplotlib.ticker import LogLocator, NullLocator
from numpy.typing import ArrayLike

from ..estimate import mean_band, mean_interval
from ..marks import band
from ..style import CHANCE, COLORS, LABELS, MARKERS, figure, panel_letter, sideways
from .families import WRITING_RULES, config, make_task
from .levels import levels
from .measures import Curves
from .mechanism import PUBLISHED, Tokens, series, split

GATE, CLIP = COLORS["go"], "#4D4D4D"
"""colours of the two factors of the rate"""
TRACES = {
    "rate": "rate η",
    "gate": "gate σ",
    "update_norm": "update |δ|",
    "plastic_norm": "fast ‖w‖²",
    "score": "share right,\nerror / chance",
}
"""rows of the figures by token -> axis label"""
_SHORT = {
    "copying": "copying", "copying_continuous": "copying\nnumbers", "cue_reward": "cue and\nreward",
    "cue_reward_noisy": "noisy cues", "regression": "regression", "regression_noisy": "noisy\nregression",
    "regression_mlp": "two-tanh\nregression",
}  # fmt: skip


def log_band(ax: Axes, x: ArrayLike, values: ArrayLike, *, color: str, **line) -> None:
    """Geometric mean over networks of values (network, x), and a shade: its 95 % t-interval.

    NaN and what is not positive are left out; one network has no shade.
    """
    values = np.asarray(values, dtype=np.float64)
    logs = np.log10(values, out=np.full(values.shape, np.nan), where=values > 0)
    if len(logs) < 2:
        ax.plot(x, 10 ** logs[0], color=color, **line)
        return
    middle, low, high = (10**each for each in mean_band(logs, skip_nan=True))
    ax.plot(x, middle, color=color, **line)
    ax.fill_between(x, low, high, color=color, alpha=0.2, lw=0)


def draw_through_training(ax: Axes, rows: pd.DataFrame, task: str, column: str) -> None:
    """Means over test tokens at each number of updates at which networks were scored, by rule (log axes).

    column: "rate" or "plastic_norm". Hollow, with the standard deviation over seeds: published, at the
    published number of updates.
    """
    for rule in WRITING_RULES:
        own = rows[(rows.task == task) & (rows.rule == rule) & (rows.preset == "published")]
        values = own.pivot(index="seed", columns="updates", values=column)
        look = {"marker": MARKERS[rule], "ms": 2.5, "lw": 1}
        log_band(ax, values.columns, values.to_numpy(), color=COLORS[rule], label=LABELS[rule], **look)
        mean, deviation = PUBLISHED[task, rule][column][:2]
        at, low = config(f"published_{task}_{rule}").updates, max(mean - deviation, mean / 4)
        hollow = {"marker": MARKERS[rule], "mfc": "white", "ms": 4.5, "zorder": 5, "lw": 0.8}
        ax.errorbar(at, mean, [[mean - low], [deviation]], color=COLORS[rule], **hollow)
    ax.set(xscale="log", yscale="log", xlabel="updates (sequences)")


def draw_in_time(ax: Axes, curves: Curves, preset: str, task: str, row: str) -> None:
    """One row of `TRACES` token by token, by rules that are there: mean with 95 % t-interval; grey: answers.

    gate: rate over eta0 times clip ratio. score: share of right answers, else squared error over
    that of chance. Dashed: the norm at which the clip begins, 1.
    """
    known = make_task(config(f"{task}_hebbian"))
    time = np.arange(known.length)
    asked = np.flatnonzero(known.queries)
    ax.axvspan(asked[0] - 0.5, time[-1] + 0.5, color=COLORS["delay"], lw=0, zorder=0)
    for rule in WRITING_RULES:
        family = f"{'published_' * (preset == 'published')}{task}_{rule}"
        if family not in curves.values:
            continue
        values = _row(curves, family, row)
        look = {"lw": 0.9, "label": LABELS[rule]}
        if row in ("gate", "score"):
            band(ax, time, values, color=COLORS[rule], within=(0, np.inf), **look)
            ax.set_ylim(0, 1.03)
        else:
            log_band(ax, time, values, color=COLORS[rule], **look)
            ax.set_yscale("log")
    if row == "update_norm":
        ax.axhline(1, **CHANCE)
    ax.set_xlim(-0.5, time[-1] + 0.5)


def _row(curves: Curves, family: str, row: str) -> np.ndarray:
    """(network, time)."""
    if row == "score":
        known = make_task(config(family))
        chance = 1 if known.symbolic else levels(known, episodes=2, fits=0)["chance"]
        return np.where(known.queries, series(curves, family, row) / chance, np.nan)
    if row != "gate":
        return series(curves, family, row)
    rate, clip = (series(curves, family, name) for name in ("rate", "clip_ratio"))
    found = np.full(rate.shape, np.nan)
    there = np.isfinite(rate).all(axis=1)
    found[there] = 10 ** split(rate[there], clip[there], config(family).eta0).gate
    return found


def draw_updates(ax: Axes, found: Mapping[str, Tokens], *, eta0: float = 0.2, most: int = 600) -> None:
    """Rate against |delta| of single tokens, by rule; line: eta0 / 2 min(1, 1 / |delta|), a half open gate.

    most: of each rule, about so many tokens are drawn.
    """
    least, largest = (pick([pick(each.norm) for each in found.values()]) for pick in (np.min, np.max))
    norms = np.geomspace(least / 2, largest * 2, 200)
    ax.plot(norms, eta0 / 2 * np.minimum(1, 1 / norms), color="black", lw=0.8, zorder=4)
    ax.axvline(1, **CHANCE)
    for rule, each in found.items():
        step = max(1, each.rate.size // most)
        look = {"s": 3, "lw": 0, "alpha": 0.5, "marker": MARKERS[rule], "color": COLORS[rule]}
        ax.scatter(each.norm.ravel()[::step], each.rate.ravel()[::step], label=LABELS[rule], **look)
    ax.set(xscale="log", yscale="log", xlabel="norm of the update |δ|", ylabel="rate η")


def draw_apart(ax: Axes, gaps: pd.DataFrame) -> None:
    """Decades between the rules (see `mechanism.between_rules`): bars of gate and clip; dots: their sum.

    Bars and lines: means with 95 % t-intervals; a dot for every seed.
    """
    for at, (_, own) in enumerate(_groups(gaps)):
        for part, color, offset in (("gate", GATE, -0.2), ("clip", CLIP, 0.2)):
            ax.barh(at + offset, own[part].mean(), 0.38, color=color, label=None if at else part, zorder=2)
            _interval(ax, own[part], at + offset)
        ax.scatter(own["rate"], at + sideways(len(own), 0.5), s=5, lw=0.4, fc="white", ec="black", zorder=4,
                   label=None if at else "rate, every seed")  # fmt: skip
    ax.axvline(0, color="black", lw=0.6)
    _name_groups(ax, gaps)
    ax.set(xlabel="gradient over Hebbian (decades)", xlim=(None, 1.35 * gaps.rate.max()))
    between = {"transform": ax.get_yaxis_transform(), "ha": "right", "fontsize": 6, "style": "italic"}
    edge = sum(gaps.drop_duplicates(["preset", "task"]).preset == "published") - 0.5
    ax.text(1, edge - 0.05, "as published", va="bottom", **between)
    ax.text(1, edge + 0.1, "sound", va="top", **between)


def draw_shares(ax: Axes, rows: pd.DataFrame, rule: str) -> None:
    """Share of the clip in how the rate of one rule changes along a sequence; the gate has the rest.

    rows: of both rules (see `mechanism.over_tokens`), for lines that match. Shares beyond the axis are at its
    ends.
    """
    for at, (_, both) in enumerate(_groups(rows)):
        own = both[both.rule == rule]
        share = own["clip"].mean() if len(own) else np.nan
        ax.barh(at, share, 0.7, color=CLIP, zorder=2)
        ax.barh(at, 1 - share, 0.7, left=share, color=GATE, zorder=1)
        dots = {"s": 5, "lw": 0.4, "fc": "white", "ec": "black", "zorder": 4, "clip_on": False}
        ax.scatter(own["clip"].clip(-0.1, 1.1), at + sideways(len(own), 0.5), **dots)
    _name_groups(ax, rows)
    ax.set(xlim=(-0.1, 1.1), xlabel="share of variance")
    ax.set_title(LABELS[rule], color=COLORS[rule])


def _groups(rows: pd.DataFrame) -> list[tuple[tuple[str, str], pd.DataFrame]]:
    return [*rows.groupby(["preset", "task"], sort=False)]


def _name_groups(ax: Axes, rows: pd.DataFrame) -> None:
    names = [name for name, _ in _groups(rows)]
    ax.set_yticks(range(len(names)), [task_title(task).replace("\n", " ") for _, task in names])
    ax.tick_params(axis="y", length=0)
    ax.axhline(sum(preset == names[0][0] for preset, _ in names) - 0.5, color=COLORS["chance"], lw=0.6)
    ax.set_ylim(len(names) - 0.5, -0.5)


def _interval(ax: Axes, values: pd.Series, at: float) -> None:
    if len(values) > 1:
        ax.plot(mean_interval(values), (at, at), color="black", lw=0.8, zorder=3)


def rule_legend(fig: Figure, rules: Sequence[str] = WRITING_RULES, **where) -> None:
    """Rules by colour and marker, below a figure."""
    fig.legend(handles=_rules(rules), **({"loc": "outside lower center", "ncols": len(rules)} | where))


def _rules(rules: Sequence[str]) -> list[Line2D]:
    look = {"ms": 3.5, "lw": 1}
    return [
        Line2D([], [], color=COLORS[rule], marker=MARKERS[rule], label=LABELS[rule], **look) for rule in rules
    ]


def part_legend(fig: Figure) -> None:
    """Rules, and the parts of the rate, below a figure."""
    parts = [Patch(color=CLIP, label="clip"), Patch(color=GATE, label="gate")]
    dot = Line2D([], [], color="none", marker="o", mfc="white", mec="black", ms=2.5, label="every network")
    fig.legend(handles=[*_rules(WRITING_RULES), *parts, dot], loc="outside lower center", ncols=5)


def share_rows(axes: Mapping[Hashable, Axes], names: Sequence[Sequence[Hashable]]) -> None:
    """One range of y for each row of panels; few ticks, with numbers at its left end only."""
    for row in names:
        first, *others = (axes[name] for name in row)
        for ax in others:
            ax.sharey(first)
            ax.tick_params(labelleft=False)
        if first.get_yscale() == "log":
            first.autoscale(axis="y")
            first.yaxis.set_major_locator(LogLocator(numticks=5))
            first.yaxis.set_minor_locator(NullLocator())


def task_title(task: str) -> str:
    """Title of a narrow column."""
    return _SHORT[task]


def trace_figure(letter: str, tasks: Sequence[str]) -> tuple[Figure, dict[tuple[str, str], Axes]]:
    """A figure with a panel for each row of `TRACES` and task; once drawn it wants `tidy_traces`."""
    names = [[f"{row} {task}" for task in tasks] for row in TRACES]
    fig, found = figure(17, 11, names)
    panel_letter(found[names[0][0]], letter)
    for name, task in zip(names[0], tasks, strict=True):
        found[name].set_title(task_title(task))
    for line, label in zip(names, TRACES.values(), strict=True):
        found[line[0]].set_ylabel(label)
    for name in names[-1]:
        found[name].set_xlabel("token")
    return fig, {(row, task): found[f"{row} {task}"] for row in TRACES for task in tasks}


def tidy_traces(axes: Mapping[tuple[str, str], Axes]) -> None:
    """Few ticks; panels of a row share y, those of a column the numbers at x."""
    *_, last = TRACES
    tasks = [task for row, task in axes if row == last]
    share_rows(axes, [[(row, task) for task in tasks] for row in TRACES])
    for (row, _), ax in axes.items():
        ax.tick_params(labelbottom=row == last)
