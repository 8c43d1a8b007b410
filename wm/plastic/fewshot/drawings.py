"""Drawings and their splits, looked at: counts, sheets, likeness of pixels, and an episode."""

from __future__ import annotations

__all__ = ["Episode", "census", "episode", "examples", "likeness", "likeness_table", "sheet", "vendors"]

from collections.abc import Mapping, Sequence
from typing import NamedTuple

import numpy as np
import pandas as pd
from scipy import stats

from ...files import parsing
from ...train import numpy_generator
from ..families import config, make_task
from . import emoji, splits
from .image_set import ImageSet
from .pools import SIDE, members, pool


def vendors() -> tuple[np.ndarray, tuple[str, ...]]:
    """Vendor of each emoji drawing (image,), and names of the vendors. Raises `DamagedFile`."""
    path = emoji.place()
    with parsing(path), np.load(path, allow_pickle=False) as saved:
        return saved["vendors"].astype(np.int64), tuple(saved["vendor_names"].tolist())


def census(known: ImageSet) -> pd.DataFrame:
    """Classes, drawings, designs of a class (fewest to most) and groups in each part of each split."""
    found = {}
    for kind in splits.KINDS[known.name]:
        for part, names in splits.split(known.name, kind)._asdict().items():
            own = known.select(names)
            found[kind, part] = _counts(own.classes, own.designs) | {"groups": len(set(own.groups))}
    for part in ("train", "test"):
        rows, designs = members(known.name, "shared", part)
        there = rows >= 0
        counts = _counts(np.nonzero(there)[0], designs[there])
        found["shared", part] = counts | {"groups": len(set(known.groups))}
    table = pd.DataFrame(found).T.rename_axis(["split", "part"])
    return pd.concat({known.name: table}, names=["data set"])


def _counts(classes: np.ndarray, designs: np.ndarray) -> dict[str, int | str]:
    each = np.unique(np.stack([classes, designs]), axis=1)[0]
    variety = np.unique(each, return_counts=True)[1]
    own = " to ".join(str(n) for n in dict.fromkeys((variety.min(), variety.max())))
    return {"classes": len(variety), "drawings": len(classes), "designs of a class": own}


def examples(known: ImageSet, count: int, seed: int = 0) -> list[int]:
    """A class of each of the `count` largest groups, one with the most drawings; indices into `names`."""
    drawings = np.bincount(known.classes)
    groups, sizes = np.unique(known.groups, return_counts=True)
    generator, found = numpy_generator(seed, "examples", known.name), []
    for group in groups[np.argsort(-sizes, kind="stable")][:count]:
        own = np.flatnonzero(np.asarray(known.groups) == group)
        found.append(int(generator.choice(own[drawings[own] == drawings[own].max()])))
    return found


def sheet(known: ImageSet, classes: Sequence[int], places: np.ndarray) -> np.ndarray:
    """Drawings of some classes by place, (class, place), -1 where there is none; places (image,)."""
    found = np.full((len(classes), places.max() + 1), -1)
    for k, name in enumerate(classes):
        own = np.flatnonzero(known.classes == name)
        found[k, places[own]] = own
    return found


def likeness(known: ImageSet, pairs: int = 4000) -> dict[str, np.ndarray]:
    """Correlation of the pixels of pairs of drawings, by what the two have in common, (pair,) each.

    One class (of different designs), one group (of different classes), or nothing (of different groups).
    """
    generator = numpy_generator("likeness", "drawings", known.name)
    groups = np.unique(np.asarray(known.groups), return_inverse=True)[1][known.classes]
    one = np.zeros(len(groups), dtype=np.int64)
    levels = {
        "one class": (known.classes, known.designs),
        "one group": (groups, known.classes),
        "nothing": (one, groups),
    }
    return {
        said: _correlations(known.images, *_pairs(same, other, pairs, generator))
        for said, (same, other) in levels.items()
    }


def _pairs(
    same: np.ndarray, other: np.ndarray, pairs: int, generator: np.random.Generator
) -> tuple[np.ndarray, np.ndarray]:
    """Random pairs of images that agree in `same` and not in `other`."""
    order, values = np.argsort(same, kind="stable"), np.sort(same)
    found = np.empty((0, 2), dtype=np.int64)
    while len(found) < pairs:
        first = generator.integers(len(same), size=2 * pairs)
        low, high = (np.searchsorted(values, same[first], side) for side in ("left", "right"))
        second = order[generator.integers(low, high)]
        apart = other[first] != other[second]
        found = np.concatenate([found, np.stack([first, second], axis=1)[apart]])
    return found[:pairs, 0], found[:pairs, 1]


def _correlations(images: np.ndarray, first: np.ndarray, second: np.ndarray) -> np.ndarray:
    a, b = (images[rows].reshape(len(rows), -1).astype(np.float32) for rows in (first, second))
    a, b = (each - each.mean(axis=1, keepdims=True) for each in (a, b))
    return (a * b).sum(axis=1) / np.sqrt((a**2).sum(axis=1) * (b**2).sum(axis=1))


def likeness_table(found: dict[str, dict[str, np.ndarray]]) -> pd.DataFrame:
    """By data set: mean correlations, and how often a pair of one class is more alike than another pair."""
    rows = {}
    for name, of_kind in found.items():
        own = of_kind["one class"]
        rows[name] = {f"correlation, {kind}": values.mean() for kind, values in of_kind.items()}
        for kind in ("one group", "nothing"):
            ahead = stats.mannwhitneyu(own, of_kind[kind]).statistic / len(own) / len(of_kind[kind])
            rows[name][f"one class above {kind}"] = ahead
    return pd.DataFrame(rows).T


class Episode(NamedTuple):
    """One test episode of published networks."""

    images: np.ndarray
    """(time, row, column, channel) from 0 to 1"""
    labels: np.ndarray
    """(time,)"""
    support: int
    """labelled drawings, which come first"""


def episode(dataset: str, changes: Mapping[str, object], seed: int = 0) -> Episode:
    """A test episode of a variant (a value of `PROTOCOLS`); blind or not, the same drawings.

    Shuffled episodes have others: their queries are drawn one by one.
    """
    settings = config(f"published_{dataset}_none", **changes)
    task = make_task(settings).held_out
    drawings, labels = task.choose(1, numpy_generator(seed, "one episode"))
    shown = pool(dataset, settings.split, "test", settings.encoder).vectors[drawings[0]]
    pixels = (shown.reshape(task.length, task.channels, SIDE, SIDE) + 1) / 2
    return Episode(np.moveaxis(pixels, 1, -1), labels[0], task.ways * task.shots)
