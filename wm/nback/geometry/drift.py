"""Whether the code of an item is the same for all its views, when it is seen and while it is held.

Decoders of what a task asks for, in spaces (i, i + age), are tested on images that they were not fitted to:
of the same views (folds of images; the same object at other places is on the other side), of a view that none
of them was fitted to (folds of views), and of views that the network was not trained with, fitted to trained
ones alone. If the code drifts apart for different views while it is held, the last two fall faster than the
first.
"""

from __future__ import annotations

__all__ = ["Drift", "drift"]

from dataclasses import replace
from typing import NamedTuple

import numpy as np

from .decoders import score
from .spaces import Recording


class Drift(NamedTuple):
    """Normalised accuracies, means over items, (age,) from 0 to the lag."""

    images: np.ndarray
    """on other images of the same views"""
    views: np.ndarray
    """on a view that was left out"""
    new: np.ndarray
    """on views that the network was not trained with"""


def drift(recording: Recording, task: int, trained: np.ndarray, items: tuple[int, ...] = (2, 3)) -> Drift:
    """Of one task (its place), for the property that it asks for.

    recording: of images with labels `view`; trained: whether the view of each image is one that the network
    was trained with (image,) bool; items: that have no special place (the first is seen when nothing is
    held). Raises ValueError where an item does not live as long as the lag, or all views are trained.
    """
    asked = recording.tasks[task]
    if max(items) + asked.lag > recording.length:
        raise ValueError(f"item {max(items)} is not compared within {recording.length} steps: leave it out")
    if trained.all() or not trained.any():
        raise ValueError("there must be images of views that were trained, and of views that were not")
    kinds = {
        "images": recording, "views": replace(recording, folds=recording.labels["view"]),
        "new": replace(recording, folds=1 - trained.astype(np.int64)),
    }  # fmt: skip
    found = {
        kind: np.array([[_read(own, (task, i, i + age), kind == "new") for i in items] for age in
                        range(asked.lag + 1)]).mean(axis=1)
        for kind, own in kinds.items()
    }  # fmt: skip
    return Drift(**found)


def _read(recording: Recording, where: tuple[int, int, int], new: bool) -> float:
    """Normalised accuracy in a space; new: of the second fold alone."""
    name = recording.tasks[where[0]].feature
    states, labels, _, folds, _ = recording.space(*where, name)
    chosen = folds == 1 if new else slice(None)
    decoders = recording.decoders(*where)[name]
    return 2 * score(decoders.scores(states[chosen], folds[chosen]), labels[chosen]).binary - 1
