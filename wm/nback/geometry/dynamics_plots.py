"""Panels on how an item is held: later steps, other items, rotations between spaces, and the hypotheses."""

from __future__ import annotations

__all__ = [
    "EVIDENCE", "draw_contrast", "draw_contrast_apart", "draw_evidence", "draw_evidence_of", "draw_kept",
    "draw_kept_ages", "draw_late", "draw_swaps", "draw_transfer", "draw_verdicts", "evidence_of_planted",
    "step_key", "swap_key", "transfer_key",
]  # fmt: skip

from collections.abc import Sequence

import numpy as np
import pandas as pd
from matplotlib.axes import Axes
from matplotlib.figure import Figure

from ...marks import band
from ...style import CHANCE, line_label
from ..behaviour import DIETS
from ..catalogue import ARCHITECTURES
from ..score_marks import ARCHITECTURE_LABELS
from ..task import FEATURES, TASKS, Task
from . import planted
from .marks import (
    ARCHITECTURE_COLORS,
    KINDS,
    draw_dots,
    key,
    name_architectures,
    spread,
)
from .rotations import ABOUT_EQUAL, Evidence, evidence
from .summaries import by_seed, of

EXECUTIVE, OTHER = "#00798C", "#8A8A8A"
"""colours of steps at which an item is compared, and of other steps"""
EVIDENCE = {
    "kept": "E(i, i) →\nM(i, j)", "shared": "E(i, i) →\nE(j, j)", "original": "R(i, j)",
    "stimulus": "R of other\nitems", "time": "R of the\nnext step",
}  # fmt: skip
"""fields of `Evidence` in words"""
_TRANSFER = {
    "validation": ("held out", "#222222", "s"), "generalisation": ("other items", "#00798C", "o"),
    "from_first": ("from item 1", "#E8871E", "^"), "to_first": ("to item 1", "#C2255C", "v"),
}  # fmt: skip
_PARTS = {"same": "item on screen\nis the same", "different": "item on screen\nis different"}
_VERDICTS = {"H1": "#C2255C", "H2": "#00798C", "H3": "#E8871E", "undecided": "#D4D4D4"}


def draw_kept(ax: Axes, scores: np.ndarray, task: Task) -> None:
    """Decoders of E(i, i) at later steps j of one network: a line for each item (bright: first), rings where
    it is compared. scores (i, j), normalised."""
    for i, own in enumerate(scores):
        color = str(0.15 + 0.6 * (1 - i / len(scores)))
        ax.plot(np.arange(i, len(own)) + 1, own[i:], "-o", ms=2.5, lw=0.8, color=color)
        if i + task.lag < len(own):
            look = {"mfc": "white", "mec": EXECUTIVE, "ms": 5, "mew": 1, "zorder": 5}
            ax.plot(i + task.lag + 1, own[i + task.lag], "o", **look)
    ax.axhline(0, **CHANCE)
    ax.set(title=task.name, xlabel="step j", xticks=range(1, len(scores) + 1))


def draw_kept_ages(ax: Axes, rows: pd.DataFrame, setting: str) -> None:
    """Decoders of E(i, i) as more items come, by architecture: normalised, means over tasks and items."""
    ages = [*range(6)]
    for name in ARCHITECTURES:
        own = of(rows, name, setting=setting)
        columns = ["validation", *(f"kept_{age}" for age in ages[1:])]
        found = np.stack([by_seed(own, column) for column in columns], axis=1)
        band(ax, ages, found, color=ARCHITECTURE_COLORS[name], label=ARCHITECTURE_LABELS[name])
    ax.axhline(0, **CHANCE)
    line_label(ax, 0, "chance")
    ax.set(xlabel="items since", xticks=ages)


def draw_contrast(ax: Axes, rows: pd.DataFrame, setting: str, kind: str = "natural") -> None:
    """Decoders of E(i, i) at executive steps and at others, by diet and architecture: a dot for each seed."""
    for k, (part, color) in enumerate((("executive", EXECUTIVE), ("other", OTHER))):
        found = {}
        for g, diet in enumerate(DIETS):
            for a, name in enumerate(ARCHITECTURES):
                own = by_seed(of(rows, name, diet, setting=setting), f"{kind}_{part}")
                found[spread(g * len(ARCHITECTURES) + a, k, 2)] = own
        draw_dots(ax, found, color, marker="os"[k])
    name_architectures(ax, [*DIETS.values()])
    ax.axhline(0, **CHANCE)


def draw_contrast_apart(ax: Axes, rows: pd.DataFrame, setting: str) -> None:
    """The same with matches at chance: trials where the item on screen is the same, and where it is not."""
    for k, (part, color) in enumerate((("executive", EXECUTIVE), ("other", OTHER))):
        found = {}
        for g, kind in enumerate(_PARTS):
            for a, name in enumerate(ARCHITECTURES):
                own = by_seed(of(rows, name, setting=setting), f"{kind}_{part}")
                found[spread(g * len(ARCHITECTURES) + a, k, 2)] = own
        draw_dots(ax, found, color, marker="os"[k])
    name_architectures(ax, [*_PARTS.values()])
    ax.axhline(0, **CHANCE)


def step_key(fig: Figure) -> None:
    """Colours of steps, below a figure."""
    key(fig, [("step at which the item is compared", EXECUTIVE, "o"), ("other later steps", OTHER, "s")])


def draw_transfer(
    ax: Axes, rows: pd.DataFrame, feature: str, setting: str, *, executive: bool = False
) -> None:  # fmt: skip
    """Decoders of E(i, i) in E(j, j), tasks of one property, by architecture: a dot for each network.

    executive: of items that come when something is compared, alone.
    """
    for k, (part, (_, color, marker)) in enumerate(_TRANSFER.items()):
        if executive and k > 1:
            continue
        column = f"executive_{part}" if executive else part
        found = {
            spread(a, k, 2 if executive else len(_TRANSFER)): by_seed(
                of(rows, name, setting=setting, feature=feature), column
            )
            for a, name in enumerate(ARCHITECTURES)
        }
        draw_dots(ax, found, color, marker=marker, wide=0.07)
    name_architectures(ax)
    ax.axhline(0, **CHANCE)
    ax.set(title=feature, ylim=(-0.1, 1.03))


def transfer_key(fig: Figure) -> None:
    """Colours of `draw_transfer`, below a figure."""
    key(fig, [*_TRANSFER.values()])


def evidence_of_planted(
    hypotheses: Sequence[str] = ("slots", "chronological", "by_stimulus"), *, lag: int = 3, trials: int = 1536
) -> dict[str, Evidence]:
    """Evidence of planted systems (`wm.nback.geometry.planted`), of identity tasks of one lag."""
    tasks = [Task("identity", lag)]
    found = {}
    for name in hypotheses:
        own = planted.planted(getattr(planted, name)(), tasks, trials=trials)
        found[name] = evidence(own, 0, "identity")
    return found


def draw_evidence(ax: Axes, found: Evidence) -> None:
    """The five shares of a planted system, as bars; its verdict in the corner."""
    values = [getattr(found, name) for name in EVIDENCE]
    ax.bar(range(len(values)), np.clip(values, -0.1, 1.1), color="#B9C6D2", width=0.6)
    ax.text(0.98, 1, found.verdict, transform=ax.transAxes, ha="right", va="bottom", fontweight="bold",
            color=_VERDICTS[found.verdict])  # fmt: skip
    _evidence_axes(ax)


def draw_evidence_of(ax: Axes, rows: pd.DataFrame, by: str = "feature") -> None:
    """The same of networks: a dot for each, mean over tasks of one property (or of one lag, by="lag").

    rows: table rotations, of one kind of network.
    """
    colors = dict(zip(rows[by].unique(), ("#2B8CBE", "#CB181D", "#6A51A3"), strict=False))
    for k, (name, color) in enumerate(colors.items()):
        own = rows[rows[by] == name]
        found = {spread(at, k, 3): by_seed(own, field) for at, field in enumerate(EVIDENCE)}
        draw_dots(ax, found, color, marker="os^"[k], label=str(name))
    _evidence_axes(ax)


def _evidence_axes(ax: Axes) -> None:
    ax.axhline(ABOUT_EQUAL, color="black", lw=0.6, ls=(0, (1, 2)), zorder=0.6)
    ax.axhline(0, **CHANCE)
    ax.set_xticks(range(len(EVIDENCE)), EVIDENCE.values(), fontsize=5)
    ax.tick_params(axis="x", length=0)
    ax.set(xlim=(-0.5, len(EVIDENCE) - 0.5), ylim=(-0.15, 1.12))


def draw_verdicts(ax: Axes, rows: pd.DataFrame) -> None:
    """Share of networks with each verdict, by task: bars on each other; rows of one kind of network."""
    tasks = [task for task in TASKS if task.name in set(rows.task)]
    counts = rows.groupby("task").verdict.value_counts(normalize=True).unstack(fill_value=0)
    counts = counts.reindex([task.name for task in tasks])
    bottom = np.zeros(len(tasks))
    for name, color in _VERDICTS.items():
        own = counts[name].to_numpy() if name in counts else np.zeros(len(tasks))
        ax.bar(range(len(tasks)), own, 0.8, bottom=bottom, color=color, label=name)
        bottom += own
    ax.set_xticks(range(len(tasks)), [task.lag for task in tasks])
    ax.tick_params(axis="x", length=0)
    for k, name in enumerate(FEATURES):
        at = {"xy": ((k + 0.5) / len(FEATURES), 0), "xycoords": "axes fraction", "xytext": (0, -11)}
        ax.annotate(name, **at, textcoords="offset points", ha="center", va="top", fontsize=6)
    ax.set(ylim=(0, 1), xlim=(-0.5, len(tasks) - 0.5))


def draw_swaps(ax: Axes, rows: pd.DataFrame, kinds: Sequence[str] = tuple(KINDS)[1:]) -> None:
    """Shares of the accuracy of fitted decoders, reconstructed with each kind of rotation: a dot for each
    network, mean over lags. rows: table rotations, of one kind of network and one property."""
    for at, kind in enumerate(kinds):
        _, color, marker = KINDS[kind]
        draw_dots(ax, {at: by_seed(rows, kind)}, color, marker=marker, wide=0.2)
    _swap_axes(ax, kinds)


def draw_late(ax: Axes, rows: pd.DataFrame) -> None:
    """The same of rotations to ages that the task does not need any more."""
    kinds = ("original", "stimulus", "time")
    for at, kind in enumerate(kinds):
        _, color, marker = KINDS[kind]
        draw_dots(ax, {at: by_seed(rows, f"late_{kind}")}, color, marker=marker, wide=0.2)
    _swap_axes(ax, kinds)


def swap_key(fig: Figure) -> None:
    """Colours and markers of rotations, below a figure."""
    key(fig, [*KINDS.values()][1:])


def _swap_axes(ax: Axes, kinds: Sequence[str]) -> None:
    ax.set_xticks([])
    ax.set(xlim=(-0.6, len(kinds) - 0.4), ylim=(-0.25, 1.15))
    ax.axhline(1, color="#DDDDDD", lw=0.6, zorder=0)
    ax.axhline(ABOUT_EQUAL, color="black", lw=0.6, ls=(0, (1, 2)), zorder=0.6)
    ax.axhline(0, **CHANCE)
