"""Panels on drawings and published episodes: sheets, splits, likeness, prototypes, leaks, learning."""

from __future__ import annotations

__all__ = [
    "FEATURES", "PARTS", "draw_census", "draw_episode", "draw_gains", "draw_learning", "draw_likeness",
    "draw_protocols", "draw_references", "draw_sheet", "feature_legend", "part_legend", "pixel_mark",
    "published_marks",
]  # fmt: skip

from collections.abc import Sequence

import numpy as np
import pandas as pd
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.lines import Line2D
from matplotlib.patches import Rectangle

from ...estimate import mean_interval
from ...marks import band
from ...style import CHANCE as DASHED
from ...style import COLORS, MARKERS, line_label, sideways
from ..experiments import PROTOCOLS
from ..families import PAPER_RULES
from . import protocol, splits
from .drawings import Episode
from .image_set import ImageSet
from .pools import SIDE

FEATURES = {
    "pixels": ("pixels", "#7F7F7F", "s"),
    "untrained": ("Conv-4, untrained", "#A6764E", "d"),
    "prototypes": ("Conv-4, trained", "#0072B2", "o"),
    "efficientnet_lite0": ("EfficientNet-Lite0 (ImageNet)", "#7A4FA3", "^"),
}
"""features -> label, colour and marker"""
PARTS = {"train": "#4C6A92", "validation": "#B9C7DA", "test": "#E8A33D"}
"""part of a split -> colour"""
LABELS = ("#0072B2", "#D55E00", "#009E73", "#CC79A7", "#E69F00")
"""colours of the labels of an episode"""
ALIKE = {"one class": "#009E73", "one group": "#E69F00", "nothing": "#7F7F7F"}
_SHIFT = dict(zip(PAPER_RULES, (-0.26, 0.0, 0.26), strict=True))
_GAP = 3
_NAMES = {
    "as published": "as published", "shuffled": "shuffled", "other classes": "other\nclasses",
    "shuffled, other classes": "shuffled,\nother cl.", "blind": "blind",
    "blind, shuffled": "blind,\nshuffled",
}  # fmt: skip
_SAID = {
    "order": "order of the queries", "order, other classes": "the same, other classes",
    "classes": "classes of training", "classes, shuffled": "the same, shuffled", "both": "both leaks",
    "order alone": "order, blind networks", "nothing": "nothing, blind networks",
}  # fmt: skip


def draw_sheet(
    ax: Axes, known: ImageSet, rows: np.ndarray, columns: Sequence[str], marked: np.ndarray | None = None
) -> None:
    """Drawings (class, place) of `drawings.sheet`, tile by tile, with names of classes and places above.

    `marked` ones (class, place) get a frame.
    """
    step = SIDE + _GAP
    picture = np.full((len(rows) * step, rows.shape[1] * step, 3), 255, dtype=np.uint8)
    for (y, x), row in np.ndenumerate(rows):
        if row >= 0:
            picture[y * step : y * step + SIDE, x * step : x * step + SIDE] = known.images[row]
    ax.imshow(picture, interpolation="antialiased", aspect="equal")
    for y, x in np.argwhere(marked) if marked is not None else ():
        frame = {"fill": False, "edgecolor": COLORS["chosen"], "linewidth": 0.7}
        ax.add_patch(Rectangle((x * step - 1.5, y * step - 1.5), SIDE + 2, SIDE + 2, **frame))
    names = [known.names[known.classes[own.max()]] for own in rows]
    said = [name.replace("-", " ") if name.isascii() else f"U+{ord(name):X}" for name in names]
    long = max(len(str(column)) for column in columns) > 2
    turned = {"rotation": 40, "ha": "left", "rotation_mode": "anchor"} if long else {}
    ax.set_xticks(np.arange(rows.shape[1]) * step + SIDE / 2, columns, **turned)
    ax.set_yticks(np.arange(len(rows)) * step + SIDE / 2, said)
    ax.xaxis.tick_top()
    ax.tick_params(length=0, labelsize=5.5)
    ax.spines[:].set_visible(False)


def draw_census(ax: Axes, known: ImageSet, *, named: bool = False) -> None:
    """Classes side by side by group, coloured by their part, a line for each split; `named`: with groups."""
    sizes = pd.Series(known.groups).value_counts()
    ends = sizes.cumsum()
    for place, kind in enumerate(splits.KINDS[known.name]):
        parts = splits.split(known.name, kind)._asdict()
        part_of = {name: [*PARTS].index(part) for part, own in parts.items() for name in own}
        order = sorted(
            (ends[group], part_of[name]) for name, group in zip(known.names, known.groups, strict=True)
        )
        which = np.array([part for _, part in order])
        for k, color in enumerate(PARTS.values()):
            own = [(start, 1) for start in np.flatnonzero(which == k)]
            ax.broken_barh(_joined(own), (place - 0.36, 0.72), facecolor=color, lw=0)
    large = sizes.index[sizes > 0.02 * len(known.names)]
    for group in large:
        ax.axvline(ends[group], color="white", lw=0.9)
        if named:
            place, said = ends[group] - sizes[group] / 2, group.replace(" & ", " &\n")
            ax.text(place, -0.45, said, ha="center", va="bottom", fontsize=5.5)
    ax.set_yticks(range(len(splits.KINDS[known.name])), splits.KINDS[known.name])
    ax.set(xlim=(0, len(known.names)), ylim=(len(splits.KINDS[known.name]) - 0.5, -0.5), ylabel=known.name)
    ax.tick_params(axis="y", length=0)
    ax.spines["left"].set_visible(False)


def _joined(pieces: Sequence[tuple[int, int]]) -> list[tuple[int, int]]:
    """Neighbouring pieces (start, width) as one."""
    found: list[tuple[int, int]] = []
    for start, width in pieces:
        if found and sum(found[-1]) == start:
            found[-1] = (found[-1][0], found[-1][1] + width)
        else:
            found.append((start, width))
    return found


def part_legend(target: Axes | Figure, **where) -> None:
    """Parts of a split by colour."""
    target.legend(handles=[Rectangle((0, 0), 1, 1, fc=c, label=part) for part, c in PARTS.items()], **where)


def draw_likeness(ax: Axes, found: dict[str, np.ndarray]) -> None:
    """Distribution of correlations of pixels of pairs, by what the two have in common; ticks: means."""
    edges = np.linspace(-0.6, 1, 33)
    for said, values in found.items():
        look = {"bins": edges, "density": True, "histtype": "step", "color": ALIKE[said]}
        ax.hist(values, lw=1, **look)
        ax.plot([], [], lw=1, color=ALIKE[said], label=said)
        ax.plot(values.mean(), 0, marker="^", ms=4, color=ALIKE[said], clip_on=False, zorder=4)
    ax.axvline(0, color="black", lw=0.4, zorder=0)
    ax.set(xlabel="correlation of pixels", ylabel="density of pairs", xlim=(-0.6, 1))
    ax.set_xticks([-0.5, 0, 0.5, 1], ["−0.5", "0", "0.5", "1"])
    ax.set_yticks([])
    ax.spines["left"].set_visible(False)


def draw_references(ax: Axes, rows: pd.DataFrame) -> None:
    """Accuracy of nearest prototypes of one data set and kind of episode by split (rows of `references`).

    Line: 95 % t-interval over seeds of the encoder; pale bar: 95 % interval over test episodes.
    """
    kinds = [kind for kind in ("random", "groups", "shared") if kind in set(rows.split)]
    for k, (name, (_, color, marker)) in enumerate(FEATURES.items()):
        own = rows[rows.features == name].set_index("split")
        for place, kind in enumerate(kinds):
            if kind not in own.index:
                continue
            x, one = place + 0.17 * (k - 1.5), own.loc[kind]
            ax.plot([x, x], one.accuracy + np.array([-1, 1]) * one.episodes, color=color, lw=3.2, alpha=0.3)
            ax.plot([x, x], [one.low, one.high], color=color, lw=0.9)
            ax.plot(x, one.accuracy, marker=marker, color=color, ms=3.6, mec="white", mew=0.4, zorder=4)
    chance = 1 / rows.ways.iloc[0]
    ax.axhline(chance, **DASHED)
    line_label(ax, chance, "chance")
    ax.set_xticks(range(len(kinds)), kinds)
    ax.set(xlim=(-0.5, len(kinds) - 0.5), ylim=(0, 1.04))
    ax.tick_params(axis="x", length=0)


def feature_legend(target: Axes | Figure, **where) -> None:
    """Features by colour and marker, and what the intervals are over."""
    looks = FEATURES.values()
    marks = [Line2D([], [], color=c, marker=m, ms=3.6, lw=0.9, label=said) for said, c, m in looks]
    marks.append(Line2D([], [], color="#404040", lw=3.2, alpha=0.3, label="over test episodes"))
    target.legend(handles=marks, **where)


def draw_episode(ax: Axes, shown: Episode, *, blind: bool = False) -> None:
    """Drawings of an episode in their order, framed and numbered by label; blind: grey in their place."""
    for k, (image, label) in enumerate(zip(shown.images, shown.labels, strict=True)):
        left = k + 0.6 * (k >= shown.support)
        box = (left, left + 0.86, 0.86, 0)
        if blind:
            ax.add_patch(Rectangle((left, 0), 0.86, 0.86, facecolor=COLORS["delay"], edgecolor="none"))
        else:
            grey = np.repeat(image, 4 - image.shape[-1], axis=-1) if image.shape[-1] == 1 else image
            ax.imshow(grey, extent=box, interpolation="antialiased", vmin=0, vmax=1)
        ax.add_patch(Rectangle((left, 0), 0.86, 0.86, fill=False, edgecolor=LABELS[label], lw=1.1))
        given = {"color": LABELS[label], "fontsize": 6, "ha": "center", "va": "top"}
        given |= {"fontweight": "bold"} if k < shown.support else {"style": "italic"}
        ax.text(left + 0.43, 0.98, f"{label + 1}" if k < shown.support else f"({label + 1})", **given)
    ax.set(xlim=(-0.1, len(shown.labels) + 0.6), ylim=(1.3, -0.05), aspect="equal")
    ax.set_axis_off()


def draw_protocols(ax: Axes, rows: pd.DataFrame, dataset: str, pixels: dict[str, float]) -> None:
    """Accuracy after training by variant of the episodes and rule: networks, mean and 95 % interval.

    pixels: split -> what nearest prototypes on pixels reach with as many shots (short lines).
    """
    for place, variant in enumerate(PROTOCOLS):
        for rule in PAPER_RULES:
            values = protocol.accuracies(rows, dataset, rule, variant)
            _group(ax, place + _SHIFT[rule], values, rule)
        if not variant.startswith("blind"):
            level = pixels[PROTOCOLS[variant]["split"]]
            ax.plot([place - 0.45, place + 0.45], [level, level], color="black", lw=0.8, zorder=1)
    ax.axvspan(3.5, 5.5, color=COLORS["delay"], alpha=0.5, lw=0, zorder=0)
    ax.axhline(protocol.CHANCE, **DASHED)
    look = {"transform": ax.get_yaxis_transform(), "color": "#6E6E6E", "fontsize": 5.5, "va": "center"}
    ax.text(1.01, protocol.CHANCE, "chance", **look)  # many a mark lies on the line
    ax.set_xticks(range(len(PROTOCOLS)), [_NAMES[variant] for variant in PROTOCOLS])
    ax.set_xlim(-0.55, len(PROTOCOLS) - 0.5)
    ax.tick_params(axis="x", length=0)


def _group(ax: Axes, place: float, values: np.ndarray, rule: str) -> None:
    look = {"color": COLORS[rule], "marker": MARKERS[rule], "ms": 3.4, "mec": "white", "mew": 0.4}
    ax.plot(place + sideways(len(values), 0.16), values, "o", color=COLORS[rule], ms=1.8, alpha=0.45, mew=0)
    if len(values) > 1:
        ax.plot([place, place], mean_interval(values), color=COLORS[rule], lw=1, zorder=3)
    ax.plot(place, values.mean(), zorder=4, **look)


def pixel_mark() -> Line2D:
    """Legend entry of nearest prototypes on pixels."""
    return Line2D([], [], color="black", lw=0.8, label="nearest prototype on pixels")


def draw_gains(ax: Axes, rows: pd.DataFrame, dataset: str, *, named: bool = True) -> None:
    """What each leak gives by rule (`protocol.gain`): pairs of one seed, mean and 95 % t-interval."""
    for place, leak in enumerate(protocol.GAINS):
        for rule in PAPER_RULES:
            values, y = protocol.gain(rows, dataset, rule, leak), place + _SHIFT[rule]
            scatter = y + sideways(len(values), 0.16)
            ax.plot(values, scatter, "o", color=COLORS[rule], ms=1.8, alpha=0.45, mew=0)
            if len(values) > 1:
                ax.plot(mean_interval(values), [y, y], color=COLORS[rule], lw=1, zorder=3)
            look = {"color": COLORS[rule], "marker": MARKERS[rule], "mec": "white", "mew": 0.4}
            ax.plot(values.mean(), y, ms=3.4, zorder=4, **look)
    ax.axvline(0, color="black", lw=0.6, zorder=1)
    ax.axhspan(4.5, 6.5, color=COLORS["delay"], alpha=0.5, lw=0, zorder=0)
    ax.set_yticks(range(len(protocol.GAINS)), [_SAID[leak] if named else "" for leak in protocol.GAINS])
    ax.set(ylim=(len(protocol.GAINS) - 0.5, -0.5), xlabel="gain of accuracy")
    ax.tick_params(axis="y", length=0)


def draw_learning(ax: Axes, rows: pd.DataFrame, dataset: str, variant: str) -> None:
    """Accuracy against episodes of training by rule, mean and 95 % interval, and what was published so.

    Hollow: published; crosses: the same code run again, and for longer; with their standard deviations.
    """
    for rule in PAPER_RULES:
        episodes, values = protocol.stages(rows, dataset, rule, variant)
        look = {"marker": MARKERS[rule], "ms": 2.4, "lw": 0.9, "zorder": 3}
        band(ax, episodes, values, color=COLORS[rule], within=(0, 1), **look)
    if variant == protocol.NEAREST[dataset]:
        _draw_published(ax, dataset)
    ax.axhline(protocol.CHANCE, **DASHED)
    ax.set(xscale="log", xlim=(80, 5200))
    ax.set_xticks([100, 300, 1000, 3000], ["100", "300", "1000", "3000"])
    ax.set_xticks([], minor=True)


def _draw_published(ax: Axes, dataset: str) -> None:
    hollow, cross = {"mfc": "white", "ms": 4.2}, {"marker": "x", "ms": 3.4}
    for k, (episodes, found) in enumerate(protocol.others(dataset)):
        for j, rule in enumerate(PAPER_RULES):
            at = episodes * 1.1 ** (j - 1) * (1 / 1.17, 1.17, 1)[k]  # side by side
            look = {"color": COLORS[rule], "lw": 0.7, "zorder": 5}
            look |= cross if k else hollow | {"marker": MARKERS[rule]}
            spread = None if np.isnan(found[rule].deviation) else found[rule].deviation
            ax.errorbar(at, found[rule].mean, spread, **look)


def published_marks() -> Sequence[Line2D]:
    """Legend entries of what others found."""
    look = {"color": "#404040", "ls": "none"}
    return [
        Line2D([], [], marker="o", mfc="white", ms=4.2, label="published (3 networks ± s.d.)", **look),
        Line2D([], [], marker="x", ms=3.4, label="re-run by others", **look),
        Line2D([], [], **DASHED, label="chance"),
    ]
