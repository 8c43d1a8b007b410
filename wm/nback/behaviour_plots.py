"""Panels on what N-back networks answer."""

from __future__ import annotations

__all__ = [
    "ARCHITECTURE_LABELS", "EXPECTED_GAIN", "SPLIT_LOOKS", "draw_alone", "draw_confusion", "draw_constant",
    "draw_diets", "draw_gain", "draw_gaps", "draw_learning", "draw_looks", "draw_map", "draw_presets",
    "draw_steps", "draw_tasks", "example_images", "split_legend", "step_legend",
]  # fmt: skip

from collections.abc import Mapping, Sequence
from dataclasses import replace

import numpy as np
import pandas as pd
from matplotlib import colormaps
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.lines import Line2D

from ..estimate import mean_interval
from ..marks import band
from ..style import CHANCE, CMAPS, line_label, sideways
from .balance import constant_answers
from .behaviour import BARS, DIETS, SPLITS, advantage, by_seed, by_step, gap, of
from .catalogue import ARCHITECTURES
from .material import SCORED
from .pictures import SPLIT_LOOKS as LOOKS_OF_IMAGES
from .stimuli import StimulusSet
from .task import FEATURES, LAGS, TASKS, Task

ARCHITECTURE_LABELS = {"rnn": "RNN", "gru": "GRU", "lstm": "LSTM"}
"""architecture -> label"""
SPLIT_LOOKS = {name: LOOKS_OF_IMAGES[split] for name, split in SCORED.items()}
"""split as in scores -> label, colour, line"""
EXPECTED_GAIN = (0.05, 0.1)
"""of attention, in the README of the public re-make"""
_MARKERS = dict(zip(SPLITS, "os^D", strict=True))
_LAG_COLORS = dict(zip(LAGS, ("#9ECAE1", "#4292C6", "#08306B"), strict=True))
_BASELINE, _ATTENTION = "#6E6E6E", "#D0005F"
_WIDTH = 0.76  # of a group of marks


def draw_tasks(ax: Axes, rows: pd.DataFrame, column: str = "balanced") -> None:
    """Scores by task and split: a dot for each network, a bar for the mean with its 95 % t-interval.

    rows: of one kind of network (see `wm.nback.behaviour.of`); column: balanced or all_steps.
    """
    places = {task.name: at for at, task in enumerate(TASKS)}
    for k, split in enumerate(SPLITS):
        groups = rows[rows.split == split].sort_values("seed").groupby("task")[column]
        found = {_beside(places[name], k, len(SPLITS)): values.to_numpy() for name, values in groups}
        _marks(ax, split, found)
    for edge in (2.5, 5.5):
        ax.axvline(edge, color="#DDDDDD", lw=0.6, zorder=0)
    ax.set_xticks(range(len(TASKS)), [task.lag for task in TASKS])
    ax.tick_params(axis="x", length=0)
    ax.set_xlim(-0.5, len(TASKS) - 0.5)
    _below(ax, FEATURES)
    at = {"xycoords": "axes fraction", "xytext": (-4, -3), "textcoords": "offset points"}
    ax.annotate("N", (0, 0), **at, ha="right", va="top", fontsize=6.5, style="italic")


def _beside(at: float, k: int, many: int) -> float:
    return at + (k - (many - 1) / 2) * _WIDTH / many


def _marks(
    ax: Axes, split: str, found: Mapping[float, np.ndarray], dots: Mapping[float, np.ndarray] | None = None
) -> None:  # fmt: skip
    """Means of values (network,) by their place, with 95 % t-intervals as far as there are two; and dots.

    dots: by default the values.
    """
    dots, color = found if dots is None else dots, SPLIT_LOOKS[split][1]
    x = np.concatenate([at + sideways(len(values), 0.1) for at, values in dots.items()])
    look = {"s": 4, "lw": 0, "alpha": 0.55, "color": color, "marker": _MARKERS[split], "clip_on": False}
    ax.scatter(x, np.concatenate([*dots.values()]), **look, zorder=3)
    at, middles = np.array([*found]), [values.mean() for values in found.values()]
    ax.hlines(middles, at - 0.09, at + 0.09, color=color, lw=1.4, zorder=4)
    ends = [mean_interval(values) if len(values) > 1 else (np.nan,) * 2 for values in found.values()]
    ax.vlines(at, *zip(*ends, strict=True), color=color, lw=0.8, zorder=4)


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


def draw_alone(ax: Axes, levels: Mapping[str, float]) -> None:
    """What categories alone give in identity tasks (see `wm.nback.behaviour.category_alone`), by split."""
    first, last = (place for place, task in enumerate(TASKS) if task.feature == "identity" and task.lag != 2)
    for split, level in levels.items():
        ax.plot(
            [first - 0.5, last + 0.5], [level] * 2, color=SPLIT_LOOKS[split][1], lw=0.8, ls="--", zorder=0.7
        )


def _published_bars(ax: Axes) -> None:
    for split, bar in BARS.items():
        ax.axhline(bar, color=SPLIT_LOOKS[split][1], lw=0.6, ls=(0, (1, 2)), zorder=0.6)


def draw_diets(ax: Axes, rows: pd.DataFrame) -> None:
    """Scores by diet, architecture and split: a dot for each model, mean over its seeds and tasks.

    A bar is the mean over models; line: 95 % t-interval over seeds, each the mean over models.
    """
    kinds = [of(rows, name, diet) for diet in DIETS for name in ARCHITECTURES]
    for k, split in enumerate(SPLITS):
        places = [_beside(at, k, len(SPLITS)) for at in range(len(kinds))]
        seeds = [by_seed(own, split).to_numpy() for own in kinds]
        models = [own[own.split == split].groupby("family").balanced.mean().to_numpy() for own in kinds]
        _marks(ax, split, dict(zip(places, seeds, strict=True)), dict(zip(places, models, strict=True)))
    _name_groups(ax, [DIETS[diet] for diet in DIETS])
    _published_bars(ax)
    ax.axhline(0.5, **CHANCE)


def _below(ax: Axes, names: Sequence[str]) -> None:
    """Names of equal parts of the axis, below its numbers."""
    for k, name in enumerate(names):
        at = {"xy": ((k + 0.5) / len(names), 0), "xycoords": "axes fraction", "xytext": (0, -13)}
        ax.annotate(name, **at, textcoords="offset points", ha="center", va="top", fontsize=6.5)


def _name_groups(ax: Axes, groups: Sequence[str]) -> None:
    """Architectures below, in each of some groups, which are named below them."""
    count = len(ARCHITECTURES)
    ax.set_xticks(range(count * len(groups)), [ARCHITECTURE_LABELS[a] for a in ARCHITECTURES] * len(groups))
    ax.tick_params(axis="x", length=0)
    ax.set_xlim(-0.5, count * len(groups) - 0.5)
    _below(ax, groups)
    for k in range(1, len(groups)):
        ax.axvline(count * k - 0.5, color="#DDDDDD", lw=0.6, zorder=0)


def draw_gaps(ax: Axes, rows: pd.DataFrame, splits: Sequence[str] = SPLITS[1:]) -> None:
    """How far scores of other images are below those of trained ones, by feature and architecture.

    A dot for each seed, networks of all nine tasks; bar and line as in `draw_tasks`.
    """
    kinds = [_cell(rows, feature, name) for feature in FEATURES for name in ARCHITECTURES]
    for k, split in enumerate(splits):
        found = {_beside(at, k, len(splits)): -gap(own, "trained", split) for at, own in enumerate(kinds)}
        _marks(ax, split, found)
    _name_groups(ax, FEATURES)
    ax.axhline(0, color="black", lw=0.6)


def _cell(rows: pd.DataFrame, feature: str, architecture: str, **kind: str) -> pd.DataFrame:
    own = of(rows, architecture, **kind)
    return own[own.feature == feature]


def draw_presets(ax: Axes, rows: pd.DataFrame) -> None:
    """Scores of networks trained on many and on few objects (rich, published): a dot for each network."""
    kinds = [of(rows, name, stimuli=preset) for preset in ("rich", "published") for name in ARCHITECTURES]
    for k, split in enumerate(SPLITS):
        places = [_beside(at, k, len(SPLITS)) for at in range(len(kinds))]
        values = [by_seed(own, split).to_numpy() for own in kinds]
        _marks(ax, split, dict(zip(places, values, strict=True)))
    _name_groups(ax, ("8 objects a category", "2, as published"))
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


def draw_learning(ax: Axes, curves: pd.DataFrame, architecture: str) -> None:
    """Validation on novel angles through training, with attention and without: mean, 95 % t-interval."""
    for kind, color, label in (("none", _BASELINE, "without"), ("spatial", _ATTENTION, "with attention")):
        own = of(curves, architecture, attention=kind)
        values = own.pivot(index="seed", columns="step", values="val_novel_angle_acc")
        band(ax, values.columns, values.to_numpy(), color=color, label=label, within=(0, 1), lw=1)
    ax.axhline(0.5, **CHANCE)
    ax.axhline(0.9, color=SPLIT_LOOKS["novel_angle"][1], lw=0.6, ls=(0, (1, 2)), zorder=0.6)
    ax.set(xlabel="updates", title=ARCHITECTURE_LABELS[architecture], ylim=(0.45, 1.005))


def draw_gain(ax: Axes, rows: pd.DataFrame) -> None:
    """How much higher scores are with attention than without, by architecture and split; a dot for a seed."""
    pairs = [[of(rows, name, attention=kind) for kind in ("spatial", "none")] for name in ARCHITECTURES]
    for k, split in enumerate(SPLITS):
        found = {_beside(at, k, len(SPLITS)): advantage(*pair, split) for at, pair in enumerate(pairs)}
        _marks(ax, split, found)
    _name_groups(ax, [""])
    ax.axhspan(*EXPECTED_GAIN, color="#ECECEC", lw=0, zorder=0)
    line_label(ax, EXPECTED_GAIN[0], "expected", x=0.98)
    ax.axhline(0, color="black", lw=0.6)


def draw_looks(ax: Axes, rows: pd.DataFrame, column: str = "on_object") -> None:
    """Where attention is, by feature and architecture: a dot for each network, mean over lags and images.

    rows: of the table diets_attention; column: on_object or entropy. Dashed: even attention.
    """
    kinds = [_cell(rows, f, name, attention="spatial") for f in FEATURES for name in ARCHITECTURES]
    _marks(ax, "trained", {at: by_seed(own, "trained", column).to_numpy() for at, own in enumerate(kinds)})
    _name_groups(ax, FEATURES)
    even = 0.25 if column == "on_object" else np.log(4)
    ax.axhline(even, **CHANCE)
    line_label(ax, even, "even")
    ax.set_ylim(0, 1 if column == "on_object" else 1.15 * even)


def example_images(stimuli: StimulusSet, count: int = 4) -> StimulusSet:
    """An image of each of the first categories, each at another place, of trained objects and views."""
    part = stimuli.part("analysis", "trained")
    places = dict(zip(part.classes("category"), range(4), strict=False))
    chosen = part.table[part.table.location == part.table.category.map(places)]
    return replace(part, table=chosen.drop_duplicates("category").head(count).reset_index(drop=True))


def draw_map(ax: Axes, image: np.ndarray, weights: np.ndarray) -> None:
    """An image on the weights of its positions, row by row (position,), each told in percent.

    image: (height, width, 3) uint8, black where nothing is.
    """
    side = round(len(weights) ** 0.5)
    height, width = (size / side for size in image.shape[:2])
    spread = np.kron(weights.reshape(side, side), np.ones([-(-size // side) for size in image.shape[:2]]))
    ground = colormaps[CMAPS["sequential"]](spread[: image.shape[0], : image.shape[1]])[..., :3]
    shown = np.where(image.any(axis=-1, keepdims=True), image / 255, ground)
    ax.imshow(shown, aspect="equal", interpolation="nearest")
    for place, weight in enumerate(weights if side < 4 else ()):
        x, y = (place % side + 0.04) * width, (place // side + 0.04) * height
        color = "white" if weight < 0.6 else "black"
        ax.text(x, y, f"{100 * weight:.0f}", fontsize=4.5, va="top", color=color)
    ax.set(xticks=[], yticks=[])
    ax.spines[:].set_visible(False)


def split_legend(fig: Figure, *, alone: bool = False, **where) -> None:
    """Splits by colour and marker, published bars, and if there are any the levels of `draw_alone`."""
    lines = [
        Line2D([], [], color=color, marker=_MARKERS[name], ms=3, lw=1.4, label=label)
        for name, (label, color, _) in SPLIT_LOOKS.items()
    ]
    lines.append(Line2D([], [], color="#4D4D4D", lw=0.6, ls=(0, (1, 2)), label="published bar"))
    if alone:
        lines.append(Line2D([], [], color="#4D4D4D", lw=0.8, ls="--", label="categories alone"))
    fig.legend(handles=lines, **({"loc": "outside lower center", "ncols": len(lines)} | where))
