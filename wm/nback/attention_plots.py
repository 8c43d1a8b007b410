"""Panels on attention of N-back networks: what it gains, and where it is."""

from __future__ import annotations

__all__ = ["EXPECTED_GAIN", "draw_gain", "draw_looks", "draw_map", "draw_remake", "example_images"]

from collections.abc import Sequence
from dataclasses import replace
from textwrap import fill

import numpy as np
import pandas as pd
from matplotlib import colormaps
from matplotlib.axes import Axes

from ..style import CHANCE, CMAPS, line_label
from .behaviour import REMAKE, advantage, by_seed, of
from .catalogue import ARCHITECTURES, SPLITS
from .learning_plots import ATTENTION_LOOKS
from .pictures import SPLIT_LOOKS
from .score_marks import MARKERS, beside, draw_marks, name_groups
from .stimuli import StimulusSet
from .task import FEATURES

EXPECTED_GAIN = (0.05, 0.1)
"""of attention, in the README of the public re-make"""


def draw_gain(ax: Axes, rows: pd.DataFrame, splits: Sequence[str] = SPLITS) -> None:
    """How much higher scores are with attention than without; a dot for a seed.

    A group for each kind of attention that is in the table, in it architectures, in these splits.
    """
    kinds = [name for name in ATTENTION_LOOKS if name in {*rows.attention} - {"none"}]
    pairs = [
        [of(rows, name, attention=each) for each in (kind, "none")]
        for kind in kinds
        for name in ARCHITECTURES
    ]
    for k, split in enumerate(splits):
        found = {beside(at, k, len(splits)): advantage(*pair, split) for at, pair in enumerate(pairs)}
        draw_marks(ax, split, found)
    name_groups(ax, [ATTENTION_LOOKS[kind][0] for kind in kinds])
    ax.axhspan(*EXPECTED_GAIN, color="#ECECEC", lw=0, zorder=0)
    line_label(ax, EXPECTED_GAIN[0], "expected", x=0.32)
    ax.axhline(0, color="black", lw=0.6)


def draw_remake(ax: Axes, rows: pd.DataFrame, column: str = "all_steps") -> None:
    """Scores of GRUs of all nine tasks by attention, beside those of the public re-make (hollow)."""
    kinds = [name for name in REMAKE if name in {*rows.attention}]
    for k, split in enumerate(REMAKE["none"]):
        places = [beside(at, k, len(REMAKE["none"])) for at in range(len(kinds))]
        values = [by_seed(of(rows, "gru", attention=kind), split, column).to_numpy() for kind in kinds]
        draw_marks(ax, split, dict(zip(places, values, strict=True)))
        theirs = [REMAKE[kind][split] for kind in kinds]
        look = {"s": 22, "marker": MARKERS[split], "fc": "none", "ec": SPLIT_LOOKS[split][1], "lw": 0.8}
        ax.scatter(np.array(places) + 0.11, theirs, **look, zorder=5, clip_on=False)
    labels = [fill(ATTENTION_LOOKS[kind][0], 9) for kind in kinds]
    ax.set_xticks(range(len(kinds)), labels)
    ax.set_xlim(-0.5, len(kinds) - 0.5)
    ax.tick_params(axis="x", length=0)


def draw_looks(ax: Axes, rows: pd.DataFrame, column: str = "on_object") -> None:
    """Where attention is, by feature and architecture: a dot for each network, mean over lags and images.

    rows: of the table diets_attention; column: on_object or entropy. Dashed: even attention.
    """
    kinds = [of(rows, name, attention="spatial", feature=f) for f in FEATURES for name in ARCHITECTURES]
    values = (by_seed(own, "trained", column).to_numpy() for own in kinds)
    draw_marks(ax, "trained", dict(enumerate(values)))
    name_groups(ax, FEATURES)
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
