"""Decoders of an item turned from any step to any later one: temporal generalisation.

For each item i and steps j < k, the normals of space (i, j) are fitted to those of (i, k) by a rotation, a
scale and a shift (`wm.nback.geometry.rotations`), and the reconstructed decoders are scored there, on
held-out images.
"""

from __future__ import annotations

__all__ = ["Turned", "turned"]

from typing import NamedTuple

import numpy as np

from ...geometry import procrustes_fit
from .rotations import NEAR_CHANCE, reconstructed
from .spaces import Recording


class Turned(NamedTuple):
    """Arrays (item, source step, target step), NaN where the target is not later."""

    disparity: np.ndarray
    """how unlike the normals are once turned, 0 to 1, mean over folds"""
    accuracy: np.ndarray
    """of reconstructed decoders in the target space, normalised"""
    ratio: np.ndarray
    """of that to the accuracy of the decoders that were fitted there; NaN where these are near chance"""


def turned(
    recording: Recording, task: int, name: str, *, source: int | None = None, target: int | None = None
) -> Turned:  # fmt: skip
    """Of a property in a task (its place); recording: usually `projected`.

    source, target: steps, from 1; by default all. Raises ValueError where the target is not later, or there
    is no such step.
    """
    length = recording.length
    first, last = source or 1, target or length
    if not 1 <= first < last <= length:
        raise ValueError(
            f"decoders are turned from a step to a later one of {length}: got {source} to {target}"
        )
    found = Turned(*np.full((3, length, length, length), np.nan))
    for i in range(1, length + 1):
        for j in range(i, length) if source is None else [source] * (i <= source):
            for k in range(j + 1, length + 1) if target is None else [target] * (j < target):
                own = _pair(recording, (task, i), (j, k), name)
                for array, value in zip(found, own, strict=True):
                    array[i - 1, j - 1, k - 1] = value
    return found


def _pair(
    recording: Recording, where: tuple[int, int], steps: tuple[int, int], name: str
) -> tuple[float, float, float]:
    """Disparity, accuracy and ratio of one item and pair of steps."""
    (task, i), (j, k) = where, steps
    source, target = (recording.decoders(task, i, step)[name] for step in (j, k))
    fits = [procrustes_fit(a, b) for a, b in zip(source.weights, target.weights, strict=True)]
    again = reconstructed(source, target, np.stack([fit.rotation for fit in fits]))
    accuracy, whole = (
        2 * recording.score(each, (task, i, k), name).binary - 1 for each in (again, target)
    )
    ratio = accuracy / whole if whole > NEAR_CHANCE else np.nan
    return float(np.mean([fit.residual for fit in fits])), accuracy, ratio
