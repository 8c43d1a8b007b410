"""Panels on what N-back networks answer."""

from __future__ import annotations

__all__ = [
    "draw_alone", "draw_confusion", "draw_constant", "draw_diets", "draw_gaps", "draw_lures", "draw_presets",
    "draw_steps", "draw_tasks", "split_legend", "step_legend",
]  # fmt: skip

from collections.abc import Mapping, Sequence

import numpy as np
import pandas as pd
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.lines import Line2D

from ..marks import band
from ..style import CHANCE, line_label
from .balance import constant_answers
from .behaviour import BARS, DIETS, by_seed, by_step, gap, of
from .catalogue import ARCHITECTURES, SPLITS
from .pictures import SPLIT_LOOKS
from .score_marks import MARKERS, beside, draw_marks, name_below, name_groups
from .task import FEATURES, LAGS, LURES, TASKS, Task

_LAG_COLORS = dict(zip(LAGS, ("#9ECAE1", "#4292C6", "#08306B"), strict=True))


def draw_tasks(ax: Axes, rows: pd.DataFrame, column: str = "balanced") -> None:
    """Scores by task and split: a dot for each network, a bar for the mean with its 95 % t-interval.

    rows: of one kind of network (see `wm.nback.behaviour.of`); column: balanced or all_steps.
    """
    places = {task.name: at for at, task in enumerate(TASKS)}
    for k, split in enumerate(SPLITS):
        groups = rows[rows.split == split].sort_values("seed").groupby("task")[column]
        found = {beside(places[name], k, len(SPLITS)): values.to_numpy() for name, values in groups}
        draw_marks(ax, split, found)
    for edge in (2.5, 5.5):
        ax.axvline(edge, color="#DDDDDD", lw=0.6, zorder=0)
    ax.set_xticks(range(len(TASKS)), [task.lag for task in TASKS])
    ax.tick_params(axis="x", length=0)
    ax.set_xlim(-0.5, len(TASKS) - 0.5)
    name_below(ax, FEATURES)
    at = {"xycoords": "axes fraction", "xytext": (-4, -3), "textcoords": "offset points"}
    ax.annotate("N", (0, 0), **at, ha="right", va="top", fontsize=6.5, style="italic")


def draw_constant(ax: Axes, column: str = "balanced", match_probability: float = 0.5) -> None:
    """What constant answers reach, below `draw_tasks`, and the bars of published networks.

    balanced: 1/2 for all tasks; all_steps: a line for each lag, of the better of the two answers (see
    `wm.nback.balance.constant_answers`).
    """
    for at, task in enumerate(TASKS):
        found = constant_answers(task, match_probability).values()
        level = max(getattr(each, column) for each in found)
        ax.plot([at - 0.5, at + 0.5], [level] * 2, **CHANCE, label=None if at else "constant answer")
    line_label(ax, level, "constant answer")
    if column == "balanced":
        _published_bars(ax)


def draw_alone(ax: Axes, levels: Mapping[str, Mapping[str, float]]) -> None:
    """What the other feature alone gives in identity and category tasks, by split; below `draw_tasks`.

    levels: of `wm.nback.behaviour.shortcuts`, or some of them.
    """
    for split, found in levels.items():
        for feature, level in found.items():
            first = FEATURES.index(feature) * len(LAGS) - 0.5
            look = {"color": SPLIT_LOOKS[split][1], "lw": 0.8, "ls": "--", "zorder": 0.7}
            ax.plot([first, first + len(LAGS)], [level] * 2, **look)


def draw_lures(
    ax: Axes, rows: pd.DataFrame, architecture: str, levels: Mapping[str, Mapping[str, float]]
) -> None:  # fmt: skip
    """Identity tasks with natural lures, all matches and those from another view, and with balanced ones.

    A dot for each network, mean over lags; side by side for each split: natural (n), natural without matches
    from the same view (o), balanced (b). rows: scores of both; levels: as `draw_alone`, of natural lures.
    """
    shifts = (-0.27, 0, 0.27)
    for k, split in enumerate(SPLITS):
        natural, balanced = (of(rows, architecture, lures=name, feature="identity") for name in LURES)
        asked = (natural, "balanced"), (natural, "other_view"), (balanced, "balanced")
        values = [by_seed(own, split, column).to_numpy() for own, column in asked]
        draw_marks(ax, split, dict(zip((k + shift for shift in shifts), values, strict=True)))
        level = levels[split]["identity"]
        ax.plot([k - 0.42, k + 0.14], [level] * 2, color=SPLIT_LOOKS[split][1], lw=0.8, ls="--", zorder=0.7)
    ax.axhline(0.5, **CHANCE)
    ax.set_xticks([k + shift for k in range(len(SPLITS)) for shift in shifts], ["n", "o", "b"] * len(SPLITS))
    ax.tick_params(axis="x", length=0)
    ax.set(xlim=(-0.5, len(SPLITS) - 0.5), xlabel="natural, from other views, balanced")
    for edge in range(1, len(SPLITS)):
        ax.axvline(edge - 0.5, color="#DDDDDD", lw=0.6, zorder=0)


def _published_bars(ax: Axes) -> None:
    for split, bar in BARS.items():
        ax.axhline(bar, color=SPLIT_LOOKS[split][1], lw=0.6, ls=(0, (1, 2)), zorder=0.6)


def draw_diets(ax: Axes, rows: pd.DataFrame) -> None:
    """Scores by diet, architecture and split: a dot for each model, mean over its seeds and tasks.

    A bar is the mean over models; line: 95 % t-interval over seeds, each the mean over models.
    """
    kinds = [of(rows, name, diet) for diet in DIETS for name in ARCHITECTURES]
    for k, split in enumerate(SPLITS):
        places = [beside(at, k, len(SPLITS)) for at in range(len(kinds))]
        seeds = [by_seed(own, split).to_numpy() for own in kinds]
        models = [own[own.split == split].groupby("family").balanced.mean().to_numpy() for own in kinds]
        draw_marks(ax, split, dict(zip(places, seeds, strict=True)), dict(zip(places, models, strict=True)))
    name_groups(ax, [DIETS[diet] for diet in DIETS])
    _published_bars(ax)
    ax.axhline(0.5, **CHANCE)


def draw_gaps(ax: Axes, rows: pd.DataFrame, splits: Sequence[str] = SPLITS[1:]) -> None:
    """How far scores of other images are below those of trained ones, by feature and architecture.

    A dot for each seed, networks of all nine tasks; bar and line as in `draw_tasks`.
    """
    kinds = [of(rows, name, feature=feature) for feature in FEATURES for name in ARCHITECTURES]
    for k, split in enumerate(splits):
        found = {beside(at, k, len(splits)): -gap(own, "trained", split) for at, own in enumerate(kinds)}
        draw_marks(ax, split, found)
    name_groups(ax, FEATURES)
    ax.axhline(0, color="black", lw=0.6)


def draw_presets(ax: Axes, rows: pd.DataFrame) -> None:
    """Scores of networks trained on many and on few objects (rich, published): a dot for each network."""
    kinds = [of(rows, name, stimuli=preset) for preset in ("rich", "published") for name in ARCHITECTURES]
    for k, split in enumerate(SPLITS):
        places = [beside(at, k, len(SPLITS)) for at in range(len(kinds))]
        values = [by_seed(own, split).to_numpy() for own in kinds]
        draw_marks(ax, split, dict(zip(places, values, strict=True)))
    name_groups(ax, ("8 objects a category", "2, as published"))
    _published_bars(ax)


def draw_confusion(ax: Axes, shares: np.ndarray, task: Task) -> None:
    """Right answers (rows) by answers (columns) in percent, (3, 3); the first row is of trivial steps."""
    ax.imshow(shares**0.5, cmap="Blues", vmin=0, vmax=1.35, aspect="equal")
    for row, column in np.ndindex(shares.shape):
        share = 100 * shares[row, column]
        text = f"{share:.0f}" if share >= 0.95 or share < 0.05 else f"{share:.1f}"
        color = "white" if shares[row, column] > 0.6 else "black"
        ax.text(column, row, text, ha="center", va="center", fontsize=5, color=color)
    ax.set(xticks=[], yticks=[])
    ax.spines[:].set_visible(False)
    if task.lag == LAGS[0]:
        ax.set_yticks(range(3), ("none", "≠", "="), fontsize=6)
        ax.set_ylabel(task.feature, labelpad=1)
    if task.feature == FEATURES[0]:
        ax.set_title(f"{task.lag}-back", fontsize=6.5)
    if task.feature == FEATURES[-1]:
        ax.set_xticks(range(3), ("none", "≠", "="), fontsize=6)
        ax.set_xlabel("answer" if task.lag == LAGS[1] else "", labelpad=1)
    ax.tick_params(length=0, pad=1)


def draw_steps(ax: Axes, rows: pd.DataFrame, splits: Sequence[str] = ("trained", "novel_identity")) -> None:
    """Share right in each executive step, by lag (shade) and split (line), with 95 % t-intervals.

    Mean over features; the first `lag` images of a trial are compared with nothing, and left out.
    """
    for split in splits:
        for lag in LAGS:
            values = by_step(rows, split, lag)
            look = {"color": _LAG_COLORS[lag], "ls": SPLIT_LOOKS[split][2], "within": (0, 1), "lw": 1}
            band(ax, np.arange(lag, values.shape[1]) + 1, values[:, lag:], **look)
    ax.axhline(0.5, **CHANCE)
    ax.set(xlabel="image of the trial", xticks=range(2, values.shape[1] + 1))


def step_legend(fig: Figure, splits: Sequence[str] = ("trained", "novel_identity")) -> None:
    """Lags and splits of `draw_steps`, below a figure."""
    lines = [Line2D([], [], color=color, label=f"{lag}-back") for lag, color in _LAG_COLORS.items()]
    looks = [SPLIT_LOOKS[split] for split in splits]
    lines += [Line2D([], [], color="black", ls=style, label=label) for label, _, style in looks]
    fig.legend(handles=lines, loc="outside lower right", ncols=len(lines), handlelength=2.4)


def split_legend(
    fig: Figure, *, splits: Sequence[str] = SPLITS, bars: bool = True, alone: bool = False, **where
) -> None:
    """Splits by colour and marker, published bars, and if there are any the levels of `draw_alone`."""
    lines = [
        Line2D([], [], color=color, marker=MARKERS[name], ms=3, lw=1.4, label=label)
        for name, (label, color, _) in SPLIT_LOOKS.items()
        if name in splits
    ]
    if bars:
        lines.append(Line2D([], [], color="#4D4D4D", lw=0.6, ls=(0, (1, 2)), label="published bar"))
    if alone:
        lines.append(Line2D([], [], color="#4D4D4D", lw=0.8, ls="--", label="other feature alone"))
    fig.legend(handles=lines, **({"loc": "outside lower center", "ncols": len(lines)} | where))
