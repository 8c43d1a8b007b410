"""Drawings of what tasks and features offer, and of how N-back networks learn."""

from __future__ import annotations

__all__ = [
    "BARS", "DIETS", "SPLIT_NAMES", "diet_of", "draw_balance", "draw_constants", "draw_embedding",
    "draw_learning", "draw_learning_of_diets", "learned",
]  # fmt: skip

from collections.abc import Sequence

import numpy as np
import pandas as pd
from matplotlib.axes import Axes
from matplotlib.image import AxesImage

from ..estimate import mean_band, mean_interval, means
from ..style import CHANCE, line_label, sideways
from .balance import constant_answers
from .families import config, diet
from .material import SCORED
from .pictures import RESPONSE_LOOKS, SPLIT_LOOKS
from .task import FEATURES, TASKS
from .visual import POOLS_READ

BARS = {"trained": 0.95, "novel_angle": 0.90}
"""balanced accuracy that networks of Lei et al. 2024 are above, by split (second hand)"""
DIETS = {9: ("nine tasks", "#222222"), 3: ("one lag", "#7A4FA3"), 1: ("one task", "#C2557A")}
"""number of tasks of a diet -> label and colour"""
SPLIT_NAMES = {name: SPLIT_LOOKS[split][0] for name, split in SCORED.items()}
"""name in scores -> what it is called in figures"""

_POOL_LOOKS = {"grid2": ("means of quadrants", "#2F6DB5"), "gap": ("mean of all", "#D98A00")}
_TICKS = {
    "trained": "trained", "novel_angle": "view\nbetween", "extrapolating": "view\nbeyond",
    "novel_identity": "novel\nobject",
}  # fmt: skip


def diet_of(family: str) -> int:
    """Number of tasks that networks of a family are trained on. Raises ValueError for an unknown family."""
    return len(diet(config(family)))


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
    splits = [split for split in SCORED if split in set(rows.split)]
    for shift, pool in zip((-0.2, 0.2), POOLS_READ, strict=True):
        label, colour = _POOL_LOOKS[pool]
        for place, split in enumerate(splits):
            values = rows.accuracy[(rows.split == split) & (rows.pool == pool)].to_numpy()
            dots = place + shift + 0.06 + sideways(len(values), 0.16)
            ax.plot(dots, values, ".", ms=1.8, color=colour, alpha=0.45, mew=0, clip_on=False)
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


def draw_learning(ax: Axes, rows: pd.DataFrame, family: str) -> None:
    """Balanced accuracy of validation by split: every network (thin) and the mean; with the published bars.

    rows: learning curves, as `wm.nback.derived.measure_diets` keeps them. Raises ValueError for a family
    that they do not have.
    """
    own = _of(rows, family)
    for name, split in SCORED.items():
        label, colour, style = SPLIT_LOOKS[split]
        steps, curves = _curves(own, f"val_{name}_acc")
        ax.plot(steps, curves.T, color=colour, lw=0.3, alpha=0.6)
        ax.plot(steps, curves.mean(axis=0), color=colour, ls=style, lw=1.2, label=label)
        if name in BARS:
            ax.axhline(BARS[name], color=colour, lw=0.6, ls=(0, (1, 2)), zorder=0.6)
    _levels(ax)


def draw_learning_of_diets(
    ax: Axes, rows: pd.DataFrame, architecture: str, score: str = "novel_angle"
) -> None:
    """The same for one split, by how many tasks are trained: mean over networks, 95 % t-interval.

    Of diets with fewer tasks there are several (each lag, each task), all of which count alike.
    """
    drawn = 0
    for count, (label, colour) in DIETS.items():
        names = [name for name in rows.family.unique() if name.startswith(f"{architecture}_")]
        own = rows[rows.family.isin([name for name in names if diet_of(name) == count])]
        if not len(own):
            continue
        steps, curves = _curves(own, f"val_{score}_acc")
        ax.plot(steps, curves.mean(axis=0), color=colour, lw=1.2, label=f"{label} ({len(curves)})")
        if len(curves) > 1:
            band = mean_band(curves)
            ax.fill_between(steps, band.low, band.high, color=colour, alpha=0.2, lw=0)
        drawn += 1
    if not drawn:
        raise ValueError(f"the learning curves have no family of {architecture}: {_known(rows)}")
    if score in BARS:
        ax.axhline(BARS[score], color=SPLIT_LOOKS[SCORED[score]][1], lw=0.6, ls=(0, (1, 2)), zorder=0.6)
    _levels(ax)


def learned(rows: pd.DataFrame, families: Sequence[str]) -> pd.DataFrame:
    """Validation at the end, means over networks with 95 % t-intervals as text, a row for each family."""
    columns = {f"val_{name}_acc": said for name, said in SPLIT_NAMES.items()}
    last = rows[rows.step == rows.groupby("network").step.transform("max")]
    last = pd.concat([_of(last, family) for family in families]).rename(columns=columns)
    found = means(last, "family", [*columns.values()], shares=[*columns.values()])
    return found.assign(networks=last.groupby("family").size())


def _of(rows: pd.DataFrame, family: str) -> pd.DataFrame:
    own = rows[rows.family == family]
    if not len(own):
        raise ValueError(f"the learning curves have no family {family!r}: {_known(rows)}")
    return own


def _known(rows: pd.DataFrame) -> str:
    return f"they have {', '.join(rows.family.unique())}; measure all with `wm states nback diets`"


def _curves(rows: pd.DataFrame, column: str) -> tuple[np.ndarray, np.ndarray]:
    """Steps (step,) that all networks have, and their curves (network, step)."""
    table = rows.pivot(index="network", columns="step", values=column).dropna(axis=1)
    return table.columns.to_numpy(), table.to_numpy()


def _levels(ax: Axes) -> None:
    ax.axhline(0.5, **CHANCE)
    line_label(ax, 0.5, "constant answer")
    ax.set(ylim=(0.45, 1.01), xlabel="updates")
    ax.set_xlim(left=0)
