"""Drawings of what tasks and features offer, and of how N-back networks learn."""

from __future__ import annotations

__all__ = [
    "ATTENTION_LOOKS", "draw_balance", "draw_categories_alone", "draw_constants", "draw_embedding",
    "draw_learning", "draw_learning_of_attention", "draw_learning_of_diets", "draw_training", "draw_updates",
    "learned", "training_table",
]  # fmt: skip

from collections.abc import Mapping, Sequence

import numpy as np
import pandas as pd
from matplotlib.axes import Axes
from matplotlib.image import AxesImage

from ..estimate import mean_interval, means
from ..marks import band
from ..style import CHANCE, line_label, sideways
from .balance import constant_answers
from .behaviour import BARS, DIETS, of, updates_to
from .catalogue import SPLITS
from .pictures import RESPONSE_LOOKS, SPLIT_LOOKS
from .task import FEATURES, TASKS
from .visual import POOLS_READ

ATTENTION_LOOKS = {
    "none": ("none", "#6E6E6E"), "spatial": ("positions", "#D0005F"),
    "task_only": ("gates by task", "#3B7DD8"), "dual": ("gates by task and image", "#3F9142"),
}  # fmt: skip
"""attention -> label and colour"""
_DIET_COLORS = {"mtmf": "#222222", "stmf": "#7A4FA3", "stsf": "#C2557A"}
_POOL_LOOKS = {"grid2": ("means of quadrants", "#2F6DB5"), "gap": ("mean of all", "#D98A00")}
_TICKS = {
    "trained": "trained", "novel_angle": "view\nbetween", "extrapolating": "view\nbeyond",
    "novel_identity": "novel\nobject", "novel_both": "novel\nboth",
}  # fmt: skip


# ---------------------------------------------------------------- tasks and features


def draw_balance(ax: Axes, table: pd.DataFrame) -> AxesImage:
    """How often each feature matches in matches and in non-matches, a row for each task.

    table: of `wm.nback.balance`. The framed cells are of the feature that is asked for.
    """
    tasks = [task for task in TASKS if task.name in set(table.task)]
    columns = [(feature, answer) for feature in FEATURES for answer in ("match", "non-match")]
    cells = table.set_index(["task", "answer"])
    shares = np.array([[cells.loc[(task.name, a), f] for f, a in columns] for task in tasks])
    image = ax.imshow(shares, cmap="Greys", vmin=0, vmax=1, aspect="auto")
    for (row, column), share in np.ndenumerate(shares):
        asked = columns[column][0] == tasks[row].feature
        look = {"color": "white" if share > 0.55 else "black", "weight": "bold" if asked else "normal"}
        ax.text(column, row, f"{share:.2f}", ha="center", va="center", fontsize=5.5, **look)
    for edge in (1.5, 3.5):
        ax.axvline(edge, color="white", lw=3)
    ax.set_xticks(range(len(columns)), [RESPONSE_LOOKS[answer][0] for _, answer in columns])
    for place, feature in enumerate(FEATURES):
        middle = 2 * place + 0.5, -0.07
        ax.text(*middle, feature, transform=ax.get_xaxis_transform(), ha="center", va="top", fontsize=6)
    ax.set_yticks(range(len(tasks)), [task.name for task in tasks])
    ax.tick_params(length=0)
    ax.spines[:].set_visible(False)
    return image


def draw_constants(ax: Axes, probabilities: Sequence[float], length: int = 6) -> None:
    """What always non-match reaches in all steps, by lag and match probability; in balanced accuracy: 1/2."""
    lags = sorted({task.lag for task in TASKS})
    tasks = [next(task for task in TASKS if task.lag == lag) for lag in lags]
    for shift, p in zip(np.linspace(-0.2, 0.2, len(probabilities)), probabilities, strict=True):
        found = [constant_answers(task, p, length)["non-match"] for task in tasks]
        shade = str(0.75 - 0.4 * (shift > 0))
        bars = ax.bar(np.array(lags) + shift, [each.all_steps for each in found], 0.36, color=shade)
        bars.set_label(f"all steps, matches {p:g}")
        ax.bar_label(bars, fmt="%.2f", fontsize=5.5)
    ax.axhline(0.5, **CHANCE | {"zorder": 3, "label": "balanced accuracy"})
    ax.set_xticks(lags, [f"{lag}-back" for lag in lags])
    ax.set(ylim=(0, 1.05), ylabel="always “non-match”: share right")


def draw_embedding(ax: Axes, rows: pd.DataFrame, feature: str, classes: int) -> None:
    """Accuracy by split and pool: every object (dots), and the mean with its 95 % t-interval.

    rows: of one preset, from `wm.nback.visual.measure_embedding`; classes: of the feature, for chance.
    """
    rows = rows[rows.feature == feature]
    splits = [split for split in SPLITS if split in set(rows.split)]
    for shift, pool in zip((-0.2, 0.2), POOLS_READ, strict=True):
        label, colour = _POOL_LOOKS[pool]
        for place, split in enumerate(splits):
            values = rows.accuracy[(rows.split == split) & (rows.pool == pool)].to_numpy()
            dots = place + shift + 0.06 + sideways(len(values), 0.16)
            ax.plot(dots, values, ".", ms=5, color=colour, alpha=0.45, mew=0, clip_on=False)
            low, high = np.clip(mean_interval(values), 0, 1)
            reach = [[values.mean() - low], [high - values.mean()]]
            look = {"color": colour, "ms": 3.5, "capsize": 1.5, "zorder": 3, "clip_on": False}
            own = label if not place else None
            ax.errorbar(place + shift - 0.08, values.mean(), reach, fmt="o", label=own, **look)
    ax.axhline(1 / classes, **CHANCE)
    line_label(ax, 1 / classes, "chance")
    ax.set_xticks(range(len(splits)), [_TICKS[split] for split in splits])
    ax.set(xlim=(-0.5, len(splits) - 0.5), ylim=(0, 1.02), title=feature)


# ---------------------------------------------------------------- learning


def draw_learning(ax: Axes, rows: pd.DataFrame) -> None:
    """Balanced accuracy of validation by split: every network (thin) and the mean; with the published bars.

    rows: curves of one kind of network (see `wm.nback.behaviour.of`). A cross ends the curve of a network
    that never is at the bar of the split.
    """
    for split in SPLITS:
        label, colour, style = SPLIT_LOOKS[split]
        steps, curves = _curves(rows, split)
        ax.plot(steps, curves.T, color=colour, lw=0.3, alpha=0.6)
        ax.plot(steps, curves.mean(axis=0), color=colour, ls=style, lw=1.2, label=label)
        _draw_bar(ax, split)
        _draw_never(ax, rows, split, colour)
    _levels(ax)


def draw_categories_alone(ax: Axes, levels: Mapping[str, float], split: str = "novel_identity") -> None:
    """What who knows places and categories has in the mean over all nine tasks, below `draw_learning`.

    levels: set of objects -> that of identity tasks (`wm.nback.behaviour.shortcuts`); the first dashed, the
    others dotted.
    """
    for k, (name, level) in enumerate(levels.items()):
        look = {"label": f"no objects known, {name}"}
        look |= {"color": SPLIT_LOOKS[split][1], "ls": (0, (1, 1)) if k else "--", "zorder": 0.7}
        ax.axhline((2 + level) / 3, lw=0.8, **look)


def draw_learning_of_diets(ax: Axes, rows: pd.DataFrame, architecture: str) -> None:
    """The same on novel angles, by what is trained: mean over networks.

    Of diets with fewer tasks there are several families (each lag, each task): the mean of each is thin, and
    there is no interval, as they differ. Of one family alone: 95 % t-interval.
    """
    kinds = {name: of(rows, architecture, name) for name in DIETS}
    _draw_kinds(ax, "trained on", [(DIETS[name], _DIET_COLORS[name], own) for name, own in kinds.items()])


def draw_learning_of_attention(ax: Axes, rows: pd.DataFrame, architecture: str) -> None:
    """The same by attention, networks of all nine tasks; kinds that are not in the table are left out."""
    there = {*rows.attention[(rows.architecture == architecture) & (rows.diet == "mtmf")]}
    kinds = {name: of(rows, architecture, attention=name) for name in ATTENTION_LOOKS if name in there}
    _draw_kinds(ax, "attention", [(*ATTENTION_LOOKS[name], own) for name, own in kinds.items()])


def _draw_kinds(
    ax: Axes, title: str, kinds: Sequence[tuple[str, str, pd.DataFrame]], split: str = "novel_angle"
) -> None:
    """kinds: label, colour and curves of each. In brackets: networks, and how many never are at the bar."""
    for label, colour, rows in kinds:
        steps, curves = _curves(rows, split)
        never = _draw_never(ax, rows, split, colour)
        told = f"{label} ({len(curves)}, {never} never)" if never else f"{label} ({len(curves)})"
        if rows.family.nunique() == 1:
            band(ax, steps, curves, color=colour, label=told, within=(0, 1), lw=1.2)
            continue
        for _, own in rows.groupby("family"):
            its_steps, each = _curves(own, split)
            ax.plot(its_steps, each.mean(axis=0), color=colour, lw=0.4, alpha=0.8)
        ax.plot(steps, curves.mean(axis=0), color=colour, label=told, lw=1.4)
    _draw_bar(ax, split)
    _levels(ax)
    ax.legend(loc="upper left", bbox_to_anchor=(0, -0.26), title=title, borderaxespad=0, alignment="left")


def _curves(rows: pd.DataFrame, split: str) -> tuple[np.ndarray, np.ndarray]:
    """Steps (step,) that all networks have, and their curves (network, step)."""
    table = rows.pivot(index="network", columns="step", values=f"val_{split}_acc").dropna(axis=1)
    return table.columns.to_numpy(), table.to_numpy()


def _draw_never(ax: Axes, rows: pd.DataFrame, split: str, colour: str) -> int:
    """Crosses at the ends of curves that never are at the bar of their split; how many these are."""
    if split not in BARS:
        return 0
    column = f"val_{split}_acc"
    updates = updates_to(rows, BARS[split], column, "network")
    own = rows[rows.network.isin(updates.index[np.isinf(updates)])]
    ends = own.loc[own.groupby("network").step.idxmax()]
    if len(ends):
        ax.plot(ends.step, ends[column], "x", color=colour, ms=4, mew=1, zorder=4, clip_on=False)
    return len(ends)


def _draw_bar(ax: Axes, split: str) -> None:
    if split in BARS:
        ax.axhline(BARS[split], color=SPLIT_LOOKS[split][1], lw=0.6, ls=(0, (1, 2)), zorder=0.6)


def _levels(ax: Axes) -> None:
    ax.axhline(0.5, **CHANCE)
    line_label(ax, 0.5, "constant answer", x=0.88)  # beside crosses
    ax.set(ylim=(0.45, 1.01), xlabel="updates")
    ax.set_xlim(left=0)


def learned(rows: pd.DataFrame) -> pd.DataFrame:
    """Validation at the end, means over networks with 95 % t-intervals as text, a row for each family."""
    columns = {f"val_{split}_acc": SPLIT_LOOKS[split][0] for split in SPLITS}
    last = rows[rows.step == rows.groupby("network").step.transform("max")].rename(columns=columns)
    found = means(last, "family", [*columns.values()], shares=[*columns.values()])
    return found.assign(networks=last.groupby("family").size())


# ---------------------------------------------------------------- what makes networks learn


_SHOWN = ("trained", "novel_angle")


def draw_training(ax: Axes, rows: pd.DataFrame) -> None:
    """Validation at the end by setting (rows), of trained images and novel angles; a dot for each network.

    rows: of `wm.nback.variants.measure_training`, one family. Bars: means; dotted: the published bars.
    """
    settings = [*rows.setting.unique()]
    for shift, split in zip((-0.17, 0.17), _SHOWN, strict=True):
        label, colour, _ = SPLIT_LOOKS[split]
        for place, setting in enumerate(settings):
            values = rows.validation[(rows.setting == setting) & (rows.split == split)].to_numpy()
            dots = place + shift + sideways(len(values), 0.16)
            ax.plot(values, dots, ".", ms=3.5, color=colour, mew=0, label=None if place else label)
            ax.vlines(values.mean(), place + shift - 0.15, place + shift + 0.15, color=colour, lw=1.4)
        ax.axvline(BARS[split], color=colour, lw=0.6, ls=(0, (1, 2)), zorder=0.6)
    ax.axvline(0.5, **CHANCE)
    ax.set_yticks(range(len(settings)), settings)
    ax.tick_params(axis="y", length=0)
    ax.set(xlim=(0.45, 1.005), ylim=(len(settings) - 0.5, -0.5), xlabel="balanced accuracy of validation")


def draw_updates(ax: Axes, rows: pd.DataFrame) -> None:
    """Updates until validation is at the published bars, by setting (rows); a cross: never, in all updates.

    rows: as `draw_training`; some settings have more updates than others.
    """
    settings, there = [*rows.setting.unique()], rows.reached[rows.split.isin(_SHOWN)].dropna()
    first, last = (there.min() / 1.3, 1.5 * there.max()) if len(there) else (1.0, 10.0)
    for shift, split in zip((-0.17, 0.17), _SHOWN, strict=True):
        colour = SPLIT_LOOKS[split][1]
        for place, setting in enumerate(settings):
            values = rows.reached[(rows.setting == setting) & (rows.split == split)].to_numpy()
            never = np.isnan(values)
            heights = place + shift + sideways(len(values), 0.16)
            ax.plot(values[~never], heights[~never], ".", ms=3.5, color=colour, mew=0)
            ax.plot(np.full(never.sum(), last), heights[never], "x", ms=3.5, color=colour, mew=0.8)
    ax.axvline(last / 1.2, color="#B0B0B0", lw=0.6)
    ax.text(last, -0.62, "never", ha="center", va="bottom", fontsize=6)
    ax.set_yticks(range(len(settings)), [])
    ax.tick_params(axis="y", length=0)
    ax.set_xscale("log")
    ax.set(xlim=(first, 1.25 * last), ylim=(len(settings) - 0.5, -0.5), xlabel="updates until the bar")


def training_table(rows: pd.DataFrame) -> pd.DataFrame:
    """By family and setting: means over networks of validation at the end by split, and how many are above
    both bars then.

    rows: of `wm.nback.variants.measure_training`.
    """
    kinds = ["family", "setting"]
    ends = rows.pivot_table("validation", [*kinds, "seed"], "split", sort=False)
    there = np.logical_and.reduce([ends[split] > bar for split, bar in BARS.items()])
    found = ends.groupby(kinds, sort=False).mean()[[split for split in SPLITS if split in ends]]
    kept = pd.Series(there, ends.index).groupby(kinds, sort=False).agg(["sum", "size"])
    return found.round(3).assign(above=[f"{own} of {all_}" for own, all_ in kept.to_numpy()])
