"""One episode of drawings for the eye: its tokens, and the pictures behind them."""

from __future__ import annotations

__all__ = ["LARGEST", "Shown", "draw_pictures", "names", "shown"]

import re
from collections.abc import Collection, Sequence
from dataclasses import replace
from typing import NamedTuple

import numpy as np
import torch
from matplotlib.axes import Axes
from matplotlib.offsetbox import AnnotationBbox, OffsetImage

from .gallery import Gallery
from .pools import SIDE
from .task import Classification

LARGEST = 30
"""points that a picture is wide at most"""


class Shown(NamedTuple):
    """An episode."""

    inputs: np.ndarray
    """(time, input)"""
    targets: np.ndarray
    """right labels (time,)"""
    pictures: np.ndarray
    """(time, row, column, channel) from 0 to 1"""


def shown(task: Classification, generator: np.random.Generator, order: str = "") -> Shown:
    """Draw a test episode. order: the labels in the order in which their drawings come; empty: as drawn.

    Raises ValueError for an order that does not name each label once.
    """
    task = task.held_out
    rows, labels = task.choose(1, generator)
    if order.strip():
        place = np.argsort(_labels(task, order))
        places = np.argsort(place[labels[0, : task.support]], kind="stable")
        for part in (rows, labels):
            part[0, : task.support] = part[0, places]
    drawn = (torch.as_tensor(part)[None] for part in (rows, labels))
    inputs, targets = (part[0, 0].numpy() for part in Gallery([task]).tokens(*drawn))
    maps = replace(task, encoder="none").pool.vectors[rows[0]].reshape(-1, task.channels, SIDE, SIDE)
    return Shown(inputs, targets, np.moveaxis((maps + 1) / 2, 1, -1))


def names(task: Classification, inputs: np.ndarray) -> list[str]:
    """What each token says beside its drawing: the label, or ? at a query; inputs (time, input)."""
    said = inputs[:, -task.ways - 1 : -1].argmax(axis=1)
    return ["?" if asked else str(label) for asked, label in zip(inputs[:, -1] > 0, said, strict=True)]


def draw_pictures(
    ax: Axes, pictures: np.ndarray, words: Sequence[str], *, width: float, wrong: Collection[int] = ()
) -> None:
    """Pictures in a row, at 0, 1, ..., with words below them, red where wrong; width: of the axes, cm."""
    size = min(LARGEST, 0.92 * width / 2.54 * 72 / len(pictures))
    for place, (picture, word) in enumerate(zip(pictures, words, strict=True)):
        image = OffsetImage(picture.squeeze(), zoom=size / SIDE, cmap="gray")
        image.image.set_clim(0, 1)
        frame = {"frameon": True, "pad": 0, "bboxprops": {"lw": 0.3, "ec": "#9A9A9A"}}
        ax.add_artist(AnnotationBbox(image, (place, 0.62), **frame))
        colour = "#C0504D" if place in wrong else "black"
        ax.text(place, 0, word, ha="center", va="bottom", fontsize=5.5, color=colour)
    ax.set(xlim=(-0.5, len(pictures) - 0.5), ylim=(0, 1), xticks=(), yticks=())
    ax.spines[:].set_visible(False)


def _labels(task: Classification, order: str) -> list[int]:
    """Labels in the order that is typed: digits, or of more than ten classes numbers with spaces."""
    found = [int(each) for each in re.findall(r"[0-9]" if task.ways <= 10 else r"[0-9]+", order)]
    if sorted(found) != [*range(task.ways)] or re.search(r"[^\W\d_]", order):
        example = ("" if task.ways <= 10 else " ").join(map(str, reversed(range(task.ways))))
        raise ValueError(f"sequence: write each label from 0 to {task.ways - 1} once, such as {example}")
    return found
