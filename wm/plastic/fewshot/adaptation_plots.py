"""Panels on what networks do within an episode of drawings: see `adaptation` and `adapted`.

Each function draws what it is given on the axes it is given. Intervals are over networks.
"""

from __future__ import annotations

__all__ = [
    "draw_by_items", "draw_conditions", "draw_episode", "draw_in_time", "draw_reads", "draw_swaps",
    "swap_marks",
]  # fmt: skip

from collections.abc import Mapping, Sequence

import numpy as np
import pandas as pd
from matplotlib.axes import Axes
from matplotlib.image import AxesImage
from matplotlib.lines import Line2D
from matplotlib.patches import Rectangle

from ...estimate import mean_band, mean_interval
from ...marks import band
from ...style import CHANCE, COLORS, MARKERS, line_label
from ..families import PAPER_RULES, WRITING_RULES, config, make_task
from ..measures import Curves
from ..mechanism import series
from .adaptation import SWAPS
from .adapted import CELL, values

_RIGHT, _WRONG = "#2E7D32", COLORS["chosen"]


def _chance(ax: Axes, level: float, name: str = "chance") -> None:
    ax.axhline(level, **CHANCE)
    line_label(ax, level, name)


def draw_by_items(ax: Axes, table: pd.DataFrame, dataset: str, measure: str, *, chance: float = 0.2) -> None:
    """Share of right answers by labelled drawings, rule by rule: mean and 95 % t-interval.

    measure: "all", with the ceiling, dotted; or "seen", of classes that have been shown, from the first on.
    The first rule is the widest, so that those behind each other are seen.
    """
    for place, rule in enumerate(PAPER_RULES):
        own = values(table, f"{dataset}_{rule}", measure)
        items = np.arange(own.shape[1]) + (measure == "seen")
        size = len(PAPER_RULES) - place
        look = {"color": COLORS[rule], "marker": MARKERS[rule], "ms": 1 + 2 * size, "lw": size}
        band(ax, items, own, within=(0, 1), **look)
        ax.set_xticks(items)
    if measure == "all":
        best = values(table, f"{dataset}_none", "ceiling").mean(axis=0)
        ax.plot(best, color="#6E6E6E", lw=0.8, ls=":")
        ax.annotate("ceiling", (2, best[2]), (-3, 2), textcoords="offset points", ha="right", fontsize=5.5,
                    color="#6E6E6E")  # fmt: skip
    _chance(ax, chance)
    ax.set(ylim=(0, 1.03), xlabel="labelled drawings seen", ylabel="accuracy")


def draw_in_time(ax: Axes, curves: Curves, dataset: str, metric: str, body: str = "") -> None:
    """A mean over test episodes token by token, rule by rule, on a logarithmic axis; grey: queries.

    Geometric means over networks, with 95 % t-intervals of the logarithms. metric: of
    `wm.plastic.measures.by_time`, positive, of the networks of `adapted.CELL`.
    body: "" for transformers, or rnn, lstm.
    """
    task = make_task(config(f"{dataset}_none", queries=5))
    ax.axvspan(task.length - task.answers + 0.5, task.length + 0.5, color=COLORS["delay"], lw=0, zorder=0)
    for rule in WRITING_RULES:
        name = "_".join(filter(None, (body, dataset, rule)))
        own = series(curves, name, metric, CELL)[:, : task.length]
        logs, tokens = mean_band(np.log10(own), skip_nan=True), np.arange(1, task.length + 1)
        ax.plot(tokens, 10**logs.estimate, color=COLORS[rule], marker=MARKERS[rule], ms=2.5, lw=1)
        ax.fill_between(tokens, 10**logs.low, 10**logs.high, color=COLORS[rule], alpha=0.2, lw=0)
    ax.set(xlim=(0.5, task.length + 0.5), xlabel="token", yscale="log")
    ax.set_xticks([1, task.length - task.answers, task.length])


# ---------------------------------------------------------------- one episode


def draw_episode(ax: Axes, drawings: np.ndarray, labels: np.ndarray, answers: np.ndarray) -> None:
    """Drawings in a row with their labels, then queries with the answers, green if right.

    drawings (time, row, column, channel) from 0 to 1, labels (time,), answers (query,) of the last of them.
    """
    support = len(labels) - len(answers)
    for time, shown in enumerate(drawings):
        left = 1.15 * time + 0.6 * (time >= support)
        grey = {"cmap": "gray", "vmin": 0, "vmax": 1} if shown.shape[-1] == 1 else {}
        ax.imshow(shown.squeeze(), extent=(left, left + 1, 0, 1), **grey)
        look = {"ha": "center", "va": "top", "fontsize": 6.5}
        if time < support:
            ax.text(left + 0.5, -0.08, f"{labels[time] + 1}", **look)
            continue
        answer = answers[time - support]
        right = answer == labels[time]
        said = f"{answer + 1}" if right else f"{answer + 1} (is {labels[time] + 1})"
        ax.text(left + 0.5, -0.08, said, color=_RIGHT if right else _WRONG, fontweight="bold", **look)
        ax.add_patch(Rectangle((left, 0), 1, 1, fill=False, ec=_RIGHT if right else _WRONG, lw=1.2))
    ax.set(xlim=(-0.05, left + 1.05), ylim=(-0.45, 1.05), aspect="equal")
    ax.axis("off")


def draw_reads(ax: Axes, reads: np.ndarray, labels: np.ndarray, asked: np.ndarray) -> AxesImage:
    """Shares (query, item) of labelled drawings in what queries read of fast weights; boxes: of one class.

    labels (item,), asked (query,), classes of both. Black: a half or more. Returns the image.
    """
    image = ax.imshow(reads, cmap="Greys", vmin=0, vmax=0.5, aspect="auto", interpolation="nearest")
    for query, item in np.argwhere(asked[:, None] == labels):
        ax.add_patch(Rectangle((item - 0.5, query - 0.5), 1, 1, fill=False, ec=COLORS["chosen"], lw=0.9))
    ax.set_xticks(range(len(labels)), [f"{label + 1}" for label in labels])
    ax.set_yticks(range(len(asked)), [f"{label + 1}" for label in asked])
    ax.set(xlabel="labelled drawing", ylabel="query of class")
    return image


# ---------------------------------------------------------------- edits and reads


def draw_conditions(
    ax: Axes, table: pd.DataFrame, dataset: str, measures: Mapping[str, str],
    rules: Sequence[str] = WRITING_RULES, *, joined: int | None = None, chance: float = 0.2,
) -> None:  # fmt: skip
    """Measures side by side, rule by rule: mean, 95 % t-interval, every network thin across them.

    measures: name on the axis -> measure; of each the last number of labelled drawings is taken. joined: the
    first so many are of one kind and joined by lines; None: all.
    """
    shifts = np.linspace(-0.12, 0.12, len(rules))
    for rule, shift in zip(rules, shifts, strict=True):
        own = np.stack(
            [values(table, f"{dataset}_{rule}", name)[:, -1] for name in measures.values()], axis=1
        )
        places = np.arange(own.shape[1]) + shift
        ax.plot(places[:joined], own.T[:joined], color=COLORS[rule], lw=0.4, alpha=0.5)
        _points(ax, places, own, color=COLORS[rule], marker=MARKERS[rule])
    _chance(ax, chance)
    ax.set_xticks(range(len(measures)), measures)
    ax.set(ylim=(-0.03, 1.03), xlim=(-0.5, len(measures) - 0.5))


def draw_swaps(ax: Axes, table: pd.DataFrame, dataset: str, *, chance: float = 0.2) -> None:
    """Shares of answers with the own label (filled) and with that of the other episode (hollow), by swap."""
    rules = PAPER_RULES
    for rule, shift in zip(rules, np.linspace(-0.24, 0.24, len(rules)), strict=True):
        for kind, face in (("own", COLORS[rule]), ("other", "white")):
            names = [f"swapped {name}: {kind}" for name in SWAPS]
            own = np.stack([values(table, f"{dataset}_{rule}", name)[:, -1] for name in names], axis=1)
            _points(
                ax, np.arange(len(SWAPS)) + shift, own, color=COLORS[rule], marker=MARKERS[rule], mfc=face
            )
    _chance(ax, chance)
    ax.set_xticks(range(len(SWAPS)), ["nothing", "fast\nweights", "the\nrest", "both"])
    ax.set(ylim=(-0.03, 1.03), xlim=(-0.5, len(SWAPS) - 0.5), xlabel="from the other episode")


def swap_marks() -> list[Line2D]:
    """Entries of a legend; filled: label of the episode; hollow: that in the other."""
    look = {"color": "#4A4A4A", "marker": "o", "ms": 3.6, "ls": "none", "mew": 0.8}
    said = (("#4A4A4A", "own label"), ("white", "label in the other episode"))
    return [Line2D([], [], **look, mfc=face, label=name) for face, name in said]


def _points(ax: Axes, places: np.ndarray, own: np.ndarray, **look) -> None:
    """Means of (network, place) with 95 % t-intervals."""
    middle = own.mean(axis=0)
    reach = [mean_interval(column)[1] if len(column) > 1 else column[0] for column in own.T] - middle
    ax.errorbar(places, middle, reach, ls="none", ms=3.6, mew=0.8, capsize=1.5, elinewidth=0.8, **look)
