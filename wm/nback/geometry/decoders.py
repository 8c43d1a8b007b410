"""Linear decoders of many spaces: a hyperplane for each value against the rest, scored on other images.

    folds = image_folds(labels)                             # (image,), all states of an image in one fold
    found = fit(states, {"location": shown}, folds[images])["location"]
    score(found.scores(states, folds[images]), shown)       # each state by decoders that never saw its image

The decoder is a regularised discriminant in closed form, so that one matrix of a space serves all properties,
and the folds share their sums: w_c = (C + p v I)^-1 (m_c - n_c), for the covariance C of the states and their
mean variance v, the mean m_c of value c, and n_c, that of the means of the others; the hyperplane is halfway
between m_c and n_c.

With units standardised first (`STANDARDISED`), as in the public re-make, it is as accurate as a linear SVM of
standardised states, with the same normals where the data fix them, at a hundredth of the time. But networks
have units that hardly vary, and these then count as much as any: normals lie along them, accurate where they
were fitted, but not in other spaces, and orthogonal to how states differ. So by default units are left as
they are; the paper has a linear SVM, and nothing of a scale is known.
"""

from __future__ import annotations

__all__ = [
    "FOLDS", "PENALTY", "STANDARDISED", "Decoders", "Score", "fit", "image_folds", "normalised", "score",
]  # fmt: skip

from collections.abc import Mapping
from typing import NamedTuple

import numpy as np
from numpy.typing import ArrayLike
from scipy import linalg

from ...seeds import numpy_generator

FOLDS = 5
"""parts that images are split into"""
PENALTY = 0.01
"""p; accuracies hardly depend on it (above, weak codes are read less well), but normals do"""
STANDARDISED = {"standardise": True, "penalty": 0.03}
"""settings of `fit` and `Recording` that agree with a linear SVM of C = 0.01 on standardised states"""


class Score(NamedTuple):
    """Held-out accuracy; NaN where fewer than two values were there to be told apart."""

    multiclass: float
    """balanced accuracy of the value with the highest score; chance is 1 / classes"""
    binary: float
    """balanced accuracy of each value against the rest, the mean over values; chance is 1 / 2"""
    classes: int


class Decoders(NamedTuple):
    """Hyperplanes w_c x + b_c = 0 of one property in one space, one set for each fold that is held out."""

    weights: np.ndarray
    """w, positive on the side of the value, in the coordinates of the states, (fold, class, unit)"""
    bias: np.ndarray
    """b, (fold, class)"""
    middles: np.ndarray
    """halfway from the mean of the value to that of the rest, in the training data, (fold, class, unit)"""
    patterns: np.ndarray
    """the mean of the value minus that of the rest, (fold, class, unit): how states differ, while normals
    turn away from what else varies"""

    def scores(self, states: np.ndarray, folds: ArrayLike) -> np.ndarray:
        """w x + b of the decoders that were fitted without a state's fold, (state, class).

        states (state, unit); folds (state,).
        """
        folds, found = np.asarray(folds), np.empty((len(states), self.bias.shape[1]))
        for fold, (weights, bias) in enumerate(zip(self.weights, self.bias, strict=True)):
            mine = folds == fold
            found[mine] = states[mine] @ weights.T + bias
        return found

    def turned(self, weights: np.ndarray) -> Decoders:
        """Other normals (fold, class, unit) with intercepts of their own: again halfway between the means."""
        bias = -(weights * self.middles).sum(axis=2)
        return self._replace(weights=weights, bias=bias)


def image_folds(labels: Mapping[str, np.ndarray], folds: int = FOLDS) -> np.ndarray:
    """A fold for each image, (image,): every object and location is spread evenly over them.

    labels: feature -> class of each image (image,). Raises ValueError for fewer than two folds, or fewer
    images than folds.
    """
    count = len(labels["identity"])
    if not 2 <= folds <= count:
        raise ValueError(f"{count} images cannot be split into {folds} folds: use 2 to {count}")
    shuffled = numpy_generator("0", "nback", "folds").random(count)
    order = np.lexsort([shuffled, labels["location"], labels["identity"]])
    found = np.empty(count, dtype=np.int64)
    found[order] = np.arange(count) % folds
    return found


def normalised(accuracy: ArrayLike, chance: ArrayLike) -> np.ndarray:
    """(accuracy - chance) / (1 - chance): 0 at chance, 1 if all is right, for any number of values."""
    return (np.asarray(accuracy) - chance) / (1 - np.asarray(chance))


def fit(
    states: np.ndarray, labels: Mapping[str, np.ndarray], folds: np.ndarray | None, *,
    penalty: float = PENALTY, standardise: bool = False,
) -> dict[str, Decoders]:  # fmt: skip
    """Decoders of every property from the same states.

    states (state, unit); labels: property -> class, (state,) from 0; folds (state,) from 0, None: one set of
    decoders that is fitted to all. standardise: units to unit variance, and the normals scaled back.
    Raises ValueError for shapes that differ, states that are not finite, a penalty that
    is not positive, fewer than two classes, and a class that the other folds have no state of.
    """
    x, folds = _checked(states, labels, folds, penalty)
    centre = x.mean(axis=0)
    x = x - centre  # so that the sums below lose no digits
    parts = [folds == fold for fold in range(folds.max() + 1)]
    squares = np.stack([x[part].T @ x[part] for part in parts])
    totals = np.stack([x[part].sum(axis=0) for part in parts])
    onehots = {name: np.eye(own.max() + 1)[own] for name, own in labels.items()}
    counts = {name: np.stack([own[part].sum(axis=0) for part in parts]) for name, own in onehots.items()}
    sums = {name: np.stack([own[part].T @ x[part] for part in parts]) for name, own in onehots.items()}
    every: dict[str, list[tuple[np.ndarray, ...]]] = {name: [] for name in labels}
    for held_out in range(len(parts)) if len(parts) > 1 else [-1]:
        left = np.arange(len(parts)) != held_out
        means = {name: _means(name, sums[name][left], counts[name][left], held_out) for name in labels}
        number = np.isin(folds, np.flatnonzero(left)).sum()
        total = totals[left].sum(axis=0)
        covariance = squares[left].sum(axis=0) / number - np.outer(total, total) / number**2
        for name, own in _solved(covariance, means, penalty, standardise).items():
            every[name].append(own)
    return {name: _whole(own, centre) for name, own in every.items()}


def _checked(
    states: np.ndarray, labels: Mapping[str, np.ndarray], folds: np.ndarray | None, penalty: float
) -> tuple[np.ndarray, np.ndarray]:
    x = np.asarray(states, dtype=np.float64)
    folds = np.zeros(len(x), dtype=np.int64) if folds is None else np.asarray(folds)
    shapes = [np.shape(own) for own in (*labels.values(), folds)]
    if x.ndim != 2 or any(shape != x.shape[:1] for shape in shapes):
        raise ValueError(f"states are (state, unit), labels and folds (state,): got {x.shape} and {shapes}")
    if not np.isfinite(x).all():
        raise ValueError(f"state {np.argwhere(~np.isfinite(x))[0][0]} is not finite: leave it out")
    if not penalty > 0:
        raise ValueError(f"penalty is {penalty}: give a number above 0")
    if few := [name for name, own in labels.items() if not own.any()]:
        raise ValueError(f"all states have the same {few[0]}: a decoder needs two classes or more")
    return x, folds


def _means(name: str, sums: np.ndarray, counts: np.ndarray, fold: int) -> np.ndarray:
    """Of each class, (class, unit), from sums (fold, class, unit) and counts (fold, class)."""
    count = counts.sum(axis=0)
    if not count.all():
        raise ValueError(
            f"{name} {count.argmin()} is in no state but those of fold {fold}: record more trials or images"
        )
    return sums.sum(axis=0) / count[:, None]


def _solved(
    covariance: np.ndarray, means: Mapping[str, np.ndarray], penalty: float, standardise: bool
) -> dict[str, tuple[np.ndarray, ...]]:
    """Normals, middles and patterns (class, unit) of each property."""
    variance = np.maximum(covariance.diagonal(), 0)  # that of a silent unit may be rounded below 0
    scale = np.sqrt(variance if standardise else np.full_like(variance, variance.mean()))
    scale = np.where(scale > 1e-9 * scale.max(), scale, 1)  # a silent unit tells nothing
    matrix = covariance / np.outer(scale, scale)
    matrix[np.diag_indices_from(matrix)] += penalty
    rest = {name: (own.sum(axis=0) - own) / (len(own) - 1) for name, own in means.items()}
    apart = {name: (means[name] - rest[name]) / scale for name in means}
    solved = linalg.solve(matrix, np.concatenate([*apart.values()]).T, assume_a="pos").T
    ends = np.cumsum([len(own) for own in apart.values()])[:-1]
    found = {}
    for name, weights in zip(apart, np.split(solved, ends), strict=True):
        gap = (weights * apart[name]).sum(axis=1).mean()  # so that the means score about +1 and -1
        found[name] = 2 * weights / gap / scale, (means[name] + rest[name]) / 2, means[name] - rest[name]
    return found


def _whole(own: list[tuple[np.ndarray, ...]], centre: np.ndarray) -> Decoders:
    weights, middles, patterns = (np.stack(each) for each in zip(*own, strict=True))
    return Decoders(weights, weights[..., 0], middles + centre, patterns).turned(weights)


def score(scores: np.ndarray, labels: np.ndarray) -> Score:
    """How well scores (state, class) tell the labels (state,); the values that occur weigh the same."""
    states, classes = scores.shape
    counts = np.bincount(labels, minlength=classes)
    there = np.flatnonzero(counts)
    if len(there) < 2:
        return Score(np.nan, np.nan, classes)
    right = np.bincount(labels, scores.argmax(axis=1) == labels, minlength=classes)[there] / counts[there]
    positive = scores > 0
    own = np.bincount(labels, positive[np.arange(states), labels], minlength=classes)
    hits = own[there] / counts[there]
    false = (positive.sum(axis=0) - own)[there] / (states - counts[there])
    return Score(float(right.mean()), float((hits + 1 - false).mean() / 2), classes)
