"""Recordings with a known answer, which the analyses must find, and not the other.

The state after step j is a sum over what was shown, s_j = sum_i c_i A(i, j) + noise, where c_i is the code of
image i (location, object, and what is its own alone) and A(i, j) says where the item is kept:

    slots           A(i, j) = F_i               H1: an item stays where its step put it
    chronological   A(i, j) = F_(j - i)         H2: all items move through the same frames, by age
    by_stimulus     A(i, j) = F_(i, j - i)      H3: each item moves through frames of its own
    screen          A(i, j) = F_0 if i = j      nothing is held: labels of the screen are read, no others
    recall          as chronological, but at its executive step an item comes back to F_0, too

Frames F are random orthonormal ones, those of one system orthogonal to each other where there is room.
"""

from __future__ import annotations

__all__ = ["CODE", "Carry", "by_stimulus", "chronological", "frames", "pictures_of", "planted", "recall",
           "screen", "slots"]  # fmt: skip

from collections.abc import Callable, Sequence

import numpy as np

from ...seeds import numpy_generator
from ..task import Task
from .decoders import image_folds
from .spaces import Recording, draw

CODE = {"location": slice(0, 4), "object": slice(4, 12), "own": slice(12, 16)}
"""what each part of a code is about; objects of one category are closer to each other"""
WIDTH = 16
UNITS = 128

Carry = Callable[[int, int, int], np.ndarray | None]
"""task (its place), i, j -> A(i, j) (code, unit), None: not kept; i and j from 1"""


def pictures_of(views: int = 6) -> dict[str, np.ndarray]:
    """Labels of images: each of 8 objects (2 of a category), at each of 4 locations, in some views."""
    place = np.arange(8 * 4 * views)
    objects = place // (4 * views)
    return {"location": place // views % 4, "identity": objects, "category": objects // 2}


def frames(count: int, units: int = UNITS, seed: int = 0) -> np.ndarray:
    """Orthonormal frames (frame, code, unit), orthogonal to each other as far as there are units."""
    generator, found = numpy_generator("planted", "nback", "frames", seed), []
    while len(found) * (units // WIDTH) < count:
        whole = np.linalg.qr(generator.standard_normal((units, units)))[0]
        found.append(whole[: units // WIDTH * WIDTH].reshape(-1, WIDTH, units))
    return np.concatenate(found)[:count]


def slots(seed: int = 0) -> Carry:
    """H1 (see the module)."""
    own = frames(6, seed=seed)
    return lambda task, i, j: own[i - 1]


def chronological(seed: int = 0) -> Carry:
    """H2."""
    own = frames(6, seed=seed)
    return lambda task, i, j: own[j - i]


def by_stimulus(seed: int = 0) -> Carry:
    """H3."""
    own = frames(36, seed=seed).reshape(6, 6, WIDTH, UNITS)
    return lambda task, i, j: own[i - 1, j - i]


def screen(seed: int = 0) -> Carry:
    """Nothing is held."""
    own = frames(1, seed=seed)[0]
    return lambda task, i, j: own if i == j else None


def recall(tasks: Sequence[Task], seed: int = 0) -> Carry:
    """Chronological; at the executive step of its task an item is in the frame of encoding, too."""
    own = frames(6, seed=seed)
    return lambda task, i, j: own[j - i] + own[0] * (j - i == tasks[task].lag)


def planted(
    carry: Carry, tasks: Sequence[Task], *, labels: dict[str, np.ndarray] | None = None,
    kept: Callable[[Task], dict[str, float]] = lambda task: {}, noise: float = 0.1, trials: int = 1536,
    match_probability: float | None = None, seed: int = 0,
) -> Recording:  # fmt: skip
    """Record a planted system; its answers are the right ones.

    labels: of the images, default `pictures_of()`. kept: task -> factors of parts of `CODE`, else 1.
    noise: SD of each unit. trials, match_probability: as in `draw`.
    """
    labels = pictures_of() if labels is None else labels
    generator = numpy_generator("planted", "nback", seed)
    shown = draw(labels, tasks, trials=trials, match_probability=match_probability, seed=seed)
    codes = codes_of(labels)
    states = noise * generator.standard_normal((*shown.shape, UNITS))
    for k, task in enumerate(tasks):
        factors = np.ones(WIDTH)
        for name, factor in kept(task).items():
            factors[CODE[name]] = factor
        for j in range(shown.shape[2]):
            for i in range(j + 1):
                if (through := carry(k, i + 1, j + 1)) is not None:
                    states[k, :, j] += codes[shown[k, :, i]] * factors @ through
    found = Recording(tuple(tasks), states, shown, np.zeros_like(shown), labels, image_folds(labels))
    found.answers[:] = found.targets
    return found


def codes_of(labels: dict[str, np.ndarray]) -> np.ndarray:
    """c of each image, (image, code): one-hot location, object with its category, and a part of its own."""
    own = numpy_generator("planted", "nback", "own").standard_normal((len(labels["identity"]), 4))
    objects = np.eye(8)[labels["identity"]] + 0.5 * np.repeat(np.eye(4), 2, axis=1)[labels["category"]]
    return np.concatenate([np.eye(4)[labels["location"]], objects, 0.3 * own], axis=1)
