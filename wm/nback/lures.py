"""Which images can follow an image in an N-back trial, so that they match it, or do not."""

from __future__ import annotations

__all__ = ["FEATURES", "LURES", "RESPONSES", "check_pools", "followers", "label_arrays", "pictured"]

from collections.abc import Mapping

import numpy as np
from torch import Tensor

FEATURES = ("location", "identity", "category")
"""what is asked for; an identity belongs to one category"""
RESPONSES = ("no action", "non-match", "match")
LURES = ("natural", "balanced")
"""whether the features that are not asked for match as they happen to, or tell nothing of the answer"""


def followers(labels: Mapping[str, np.ndarray | Tensor], *, balanced: bool) -> tuple[np.ndarray, np.ndarray]:
    """For each feature an order of all images, and which of its places can follow an image.

    labels: feature -> class of each image, (image,). balanced: see `wm.nback.task.Sampler`.
    Order: rows of the labels, (feature, place). Places: for each of `RESPONSES` the first, how many, and a
    hole that they leave out, where it begins and how wide it is, (feature, response, image, 4).
    Raises ValueError for labels that are not (image,) whole numbers of every feature, for an identity of two
    categories, and for images that cannot be balanced.
    """
    classes = label_arrays(labels)
    if balanced:
        _check_crossed(classes)
    order, pools = zip(*(_pools(feature, classes, balanced) for feature in FEATURES), strict=True)
    return np.stack(order), np.stack(pools)


def check_pools(feature: str, pools: np.ndarray, labels: np.ndarray | Tensor) -> None:
    """ValueError where no image can follow another; pools (response, image, 4), labels (image,)."""
    for answer, response in enumerate(RESPONSES):
        empty = pools[answer, :, 1] == 0
        if empty.any():
            image = int(empty.argmax())
            raise ValueError(
                f"no image can be a {response} to image {image}, {feature} {int(labels[image])}, in "
                f"{feature} tasks: use images of more classes, or leave {feature} tasks out"
            )


def label_arrays(labels: Mapping[str, np.ndarray | Tensor]) -> dict[str, np.ndarray]:
    """Labels of `FEATURES` as arrays (image,) int64; ValueError as `followers` says."""
    missing = [feature for feature in FEATURES if feature not in labels]
    if missing:
        raise ValueError(f"labels of {', '.join(missing)} are missing: every image needs all of {FEATURES}")
    given = {feature: labels[feature] for feature in FEATURES}
    classes = {name: np.asarray(x.cpu() if isinstance(x, Tensor) else x) for name, x in given.items()}
    shapes = {value.shape for value in classes.values()}
    if len(shapes) > 1 or any(len(shape) != 1 or shape[0] < 2 for shape in shapes):
        raise ValueError(
            f"labels must be (image,) for the same two images or more, got shapes {sorted(shapes)}"
        )
    wrong = [feature for feature, value in classes.items() if value.dtype.kind not in "iu"]
    if wrong:
        raise ValueError(f"labels of {', '.join(wrong)} are not whole numbers: number the classes")
    pairs = np.unique(np.stack([classes["identity"], classes["category"]]), axis=1)
    twice = pairs[0, 1:][np.diff(pairs[0]) == 0]
    if len(twice):
        raise ValueError(
            f"identity {twice[0]} is of several categories: give each object a number of its own"
        )
    return {feature: value.astype(np.int64) for feature, value in classes.items()}


def pictured(labels: Mapping[str, np.ndarray | Tensor]) -> np.ndarray:
    """A number for each object and view, the same for images that differ in place alone, (image,) int64.

    labels: of identity and view, (image,).
    """
    identity, view = (
        np.asarray(x.cpu() if isinstance(x, Tensor) else x) for x in (labels["identity"], labels["view"])
    )
    return identity.astype(np.int64) * (int(view.max()) + 1) + view


def _check_crossed(classes: Mapping[str, np.ndarray]) -> None:
    """ValueError unless each object is as often at each location as all are together."""
    (objects, i, of_object), (_, j, at_location) = (
        np.unique(classes[feature], return_inverse=True, return_counts=True)
        for feature in ("identity", "location")
    )
    counts = np.zeros((len(of_object), len(at_location)), dtype=np.int64)
    np.add.at(counts, (i, j), 1)
    wrong = (counts * len(i) != np.outer(of_object, at_location)).any(axis=1)
    if wrong.any():
        raise ValueError(
            f"balanced lures need every object equally often at each location, which identity "
            f"{objects[wrong.argmax()]} is not: complete the images, or use natural lures"
        )


def _pools(feature: str, classes: Mapping[str, np.ndarray], balanced: bool) -> tuple[np.ndarray, np.ndarray]:
    """An order of all images, and which of its places can follow an image for each answer.

    Order: (place,). Places: (answer, image, 4), the first, how many, and a hole of them: where it begins, and
    how wide it is. In the order each class is one run of places.
    """
    keys = ("location",) if feature == "location" else ("identity", "category")  # the last one sorts first
    order = np.lexsort([classes[key] for key in keys])
    runs = {key: _runs(classes[key][order]) for key in keys}
    first, many = runs[feature]
    everything, nowhere = (np.zeros_like(first), np.full_like(first, len(order)))
    pools = [
        (everything, nowhere, nowhere, everything),
        (everything, len(order) - many, first, many),
        (first, many, nowhere, everything),
    ]
    if balanced and feature != "location":
        (start, size), (hole, width) = runs["category"], runs["identity"]
        pools[1 if feature == "identity" else 2] = (start, size - width, hole, width)
    found = np.empty((len(RESPONSES), len(order), 4), dtype=np.int64)
    found[:, order] = np.stack([np.stack(pool, axis=-1) for pool in pools])
    return order, found


def _runs(values: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """First place and length of the run that each place belongs to, equal values being together."""
    _, first, inverse, many = np.unique(values, return_index=True, return_inverse=True, return_counts=True)
    return first[inverse].astype(np.int64), many[inverse].astype(np.int64)
