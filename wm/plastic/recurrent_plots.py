"""Panels on recurrent plastic networks (Duan et al. 2023): learning, final errors, rates, sizes."""

from __future__ import annotations

__all__ = [
    "DEMO", "by_rule", "draw_demo", "draw_finals", "draw_learning", "draw_rates", "half_way", "sizes",
]  # fmt: skip

from collections.abc import Mapping

import numpy as np
import pandas as pd
from matplotlib.axes import Axes

from ..estimate import mean_interval
from ..style import COLORS, LABELS, MARKERS, sideways
from .families import PAPER_RULES, RECURRENT, RECURRENT_TASKS, TASKS, config, make_task
from .measures import Curves
from .mechanism import series
from .mechanism_plots import log_band
from .parameters import layout
from .performance_plots import draw_levels

DEMO = {"none": 0.143, "hebbian": 0.064, "gradient": 0.062}
"""published losses over all tokens, read off a plot: RNN, cues and reward, 5000 updates, one seed"""


def sizes() -> pd.DataFrame:
    """Units of the recurrent layer and parameters of one network, by body, task and rule.

    Learned: weights, biases and the learning rates of synapses; fixed weights alone: without the latter.
    """
    found = []
    for body in RECURRENT:
        for task in RECURRENT_TASKS:
            for rule in PAPER_RULES:
                own = config(f"{body}_{task}_{rule}")
                shapes = layout(own).shapes
                rates = sum(
                    np.prod(shape) for name, shape in shapes.items() if name.endswith(("alpha", "beta"))
                )
                whole = layout(own).size
                names = (body.upper(), TASKS[task], LABELS[rule])
                found.append((*names, own.width, whole, int(whole - rates)))
    columns = ["body", "task", "rule", "units", "parameters", "without synaptic rates"]
    return pd.DataFrame(found, columns=columns).set_index(["body", "task", "rule"])


def by_rule(rows: pd.DataFrame, body: str, task: str, column: str = "score") -> pd.DataFrame:
    """One column by seed, a column for each rule, of one body and task; seeds that have all."""
    own = rows[(rows.body == body) & (rows.task == task)]
    return own.pivot(index="seed", columns="rule", values=column).dropna()


def half_way(steps: np.ndarray, values: np.ndarray) -> np.ndarray:
    """First update at which a loss is half-way from its first value to its least, (network,).

    values (network, bin). Between two bins on a straight line; NaN where a loss is not finite.
    """
    steps, values = np.asarray(steps, dtype=np.float64), np.asarray(values, dtype=np.float64)
    return np.array([_crossing(steps, own) if np.isfinite(own).all() else np.nan for own in values])


def _crossing(steps: np.ndarray, own: np.ndarray) -> float:
    middle = (own[0] + own.min()) / 2
    k = int(np.argmax(own <= middle))
    if k == 0:
        return float(steps[0])
    part = (own[k - 1] - middle) / (own[k - 1] - own[k])
    return float(steps[k - 1] + part * (steps[k] - steps[k - 1]))


def draw_learning(ax: Axes, curves: Curves, body: str, task: str, levels: Mapping[str, float]) -> None:
    """Squared error of the answers in training by rule: geometric mean, 95 % t-interval."""
    for rule in PAPER_RULES:
        family = f"{body}_{task}_{rule}"
        values = series(curves, family, "score")
        values = np.where(series(curves, family, "diverged") > 0, np.nan, values)
        log_band(ax, curves.steps[family], values, color=COLORS[rule], label=LABELS[rule], lw=1)
    ax.set(yscale="log", xlabel="updates")
    _level_lines(ax, levels)


def draw_finals(ax: Axes, rows: pd.DataFrame, task: str, levels: Mapping[str, float]) -> None:
    """Squared error of the answers of every network in the end; bars: geometric mean, 95 % t-interval."""
    names = []
    for at, (body, rule) in enumerate((body, rule) for body in RECURRENT for rule in PAPER_RULES):
        own = rows[(rows.body == body) & (rows.rule == rule) & (rows.task == task)].score
        x = at + (at >= len(PAPER_RULES))
        names.append(x)
        _dots(ax, x, own, rule)
    ax.set(yscale="log", xlim=(-0.8, names[-1] + 0.8))
    _level_lines(ax, levels)
    ax.set_xticks([1, 5], [body.upper() for body in RECURRENT])
    ax.tick_params(axis="x", length=0)


def _dots(ax: Axes, x: float, values: pd.Series, rule: str) -> None:
    look = {"s": 7, "lw": 0.3, "edgecolor": "white", "zorder": 3}
    ax.scatter(x + sideways(len(values), 0.4), values, marker=MARKERS[rule], color=COLORS[rule], **look)
    if len(values) > 1:
        logs = np.log10(values)
        ax.plot((x, x), np.power(10, mean_interval(logs)), color="black", lw=0.8, zorder=2)
        ax.plot((x - 0.3, x + 0.3), (10 ** logs.mean(),) * 2, color="black", lw=1, zorder=4)


def draw_demo(ax: Axes, curves: Curves) -> None:
    """Loss over all tokens of cues and reward, RNN: training; hollow: published, one seed."""
    for rule in PAPER_RULES:
        family = f"rnn_cue_reward_noisy_{rule}"
        steps = np.asarray(curves.steps[family])
        log_band(ax, steps, series(curves, family, "loss"), color=COLORS[rule], label=LABELS[rule], lw=1)
        hollow = {"mfc": "white", "mec": COLORS[rule], "ms": 4.5, "ls": "none", "zorder": 5}
        ax.plot(steps[-1] * 1.04, DEMO[rule], marker=MARKERS[rule], clip_on=False, **hollow)
    ax.axvspan(1000, 2000, color=COLORS["delay"], lw=0, zorder=0)
    ax.set(yscale="log", xlabel="updates", ylabel="loss, all tokens")


def draw_rates(ax: Axes, times: Curves, body: str, task: str) -> None:
    """Mean rate of each token of a trial by rule, mean over networks with 95 % t-interval; grey: answers."""
    known = make_task(config(f"{body}_{task}_hebbian"))
    asked = np.flatnonzero(known.queries)
    ax.axvspan(asked[0] - 0.5, asked[-1] + 0.5, color=COLORS["delay"], lw=0, zorder=0)
    for rule in PAPER_RULES[1:]:
        values = series(times, f"{body}_{task}_{rule}", "rate")[:, : known.length]
        log_band(ax, np.arange(known.length), values, color=COLORS[rule], label=LABELS[rule], lw=1)
    ax.set(yscale="log", xlim=(-0.5, known.length - 0.5), xlabel="token")


def _level_lines(ax: Axes, levels: Mapping[str, float]) -> None:
    """Levels above 0; the axis has room for all, and for a quarter of chance."""
    low, high = ax.get_ylim()
    least = min(0.8 * level for level in levels.values() if level > 0)
    ax.set_ylim(min(low, least, levels["chance"] / 4), max(high, levels["chance"] * 1.25))
    draw_levels(ax, levels)
