"""Drawings that episodes are drawn from: those of the classes of one part of a split, as numbers."""

from __future__ import annotations

__all__ = ["CHANNELS", "DATASETS", "SIDE", "SPLITS", "Pool", "distinct", "members", "pool"]

from dataclasses import dataclass
from functools import cached_property, lru_cache

import numpy as np

from ... import paths
from ...files import DamagedFile
from . import images, readers, splits

SIDE = 32
"""pixels of a drawing in each direction"""
CHANNELS = {"emoji": 3, "kanji": 1, "omniglot": 1, "cifarfs": 3}
DATASETS = tuple(CHANNELS)
SPLITS = ("random", "groups", "shared")


@dataclass(frozen=True, eq=False)
class Pool:
    """Drawings by class. An episode never asks for a design of which it shows a labelled drawing."""

    name: str
    vectors: np.ndarray
    """(drawing, number) float32"""
    drawings: np.ndarray
    """(class, place): rows of `vectors`, -1 where a class has fewer"""
    designs: np.ndarray
    """(class, place): drawings of one class with the same number look alike"""

    def draw(
        self, labels: np.ndarray, ways: int, shots: int, generator: np.random.Generator
    ) -> tuple[np.ndarray, np.ndarray]:
        """Drawings of episodes: labelled ones, rows (trial, way, shot), and those to name, (trial, query).

        labels (trial, query): ways of the queries. Labelled drawings of a class are of different designs; a
        query is of any other design of its class, whichever the other queries show. ValueError where there
        are too few classes with one design more than shots.
        """
        known = np.flatnonzero(self._variety > shots)
        if len(known) < ways:
            raise ValueError(
                f"{self.name} has {len(known)} classes with {shots + 1} designs, an episode needs {ways}: "
                "take fewer shots or ways, or another dataset"
            )
        classes = known[distinct(generator, ways, np.full(len(labels), len(known)))]
        designs = distinct(generator, shots, self._variety[classes])
        asked = np.take_along_axis(classes, labels, axis=1)
        own = np.take_along_axis(designs, labels[..., None], axis=1)
        others = (generator.random(asked.shape) * (self._variety[asked] - shots)).astype(np.int64)
        for taken in np.moveaxis(np.sort(own, axis=-1), -1, 0):  # the designs that are not labelled, in order
            others += others >= taken
        return self._any(classes[..., None], designs, generator), self._any(asked, others, generator)

    def _any(self, classes: np.ndarray, designs: np.ndarray, generator: np.random.Generator) -> np.ndarray:
        """A drawing of each of these designs."""
        rows, alike = self._by_design
        chosen = generator.random(designs.shape) * alike[classes, designs]
        return rows[classes, designs, chosen.astype(np.int64)]

    @cached_property
    def _by_design(self) -> tuple[np.ndarray, np.ndarray]:
        """Rows of drawings (class, design, drawing), -1 if there are fewer, and how many (class, design)."""
        given = self.drawings >= 0
        order = np.argsort(np.where(given, self.designs, np.iinfo(np.int64).max), axis=1, kind="stable")
        drawings, designs = (np.take_along_axis(x, order, axis=1) for x in (self.drawings, self.designs))
        first = np.diff(designs, axis=1, prepend=designs[:, :1] - 1) != 0
        places = np.arange(first.shape[1])
        within = places - np.maximum.accumulate(np.where(first, places, 0), axis=1)
        rows = np.full((*drawings.shape, within.max() + 1), -1)
        rows[np.arange(len(rows))[:, None], first.cumsum(axis=1) - 1, within] = drawings
        return rows, (rows >= 0).sum(axis=2)

    @cached_property
    def _variety(self) -> np.ndarray:
        """Designs of each class, (class,)."""
        return (self._by_design[1] > 0).sum(axis=1)


def distinct(generator: np.random.Generator, count: int, sizes: np.ndarray) -> np.ndarray:
    """`count` different whole numbers from 0 to below each of `sizes`, in random order, (..., count).

    Floyd's sample: the k-th is drawn from the first `size - count + k + 1`, and is the last of these if it
    was there before.
    """
    last = sizes[..., None] - count + np.arange(count)
    found = (generator.random(last.shape) * (last + 1)).astype(np.int64)
    for k in range(1, count):
        met = (found[..., :k] == found[..., k : k + 1]).any(axis=-1)
        found[..., k] = np.where(met, last[..., k], found[..., k])
    return generator.permuted(found, axis=-1)


def pool(dataset: str, split: str, part: str, encoder: str) -> Pool:
    """Drawings of a part (train, validation, test) of a split of a data set, as an encoder gives them.

    encoder: prototypes, numbers of the network trained for this split; else pixels from -1 to 1, (channel,
    row, column) in one row. Raises what `wm.plastic.fewshot.images.load` and `prototypes.encoder` raise.
    """
    return _pool(dataset, split, part, encoder == "prototypes", _places())


def _places() -> tuple[str, str]:
    """Where drawings and encoders come from: others give other pools."""
    return str(paths.images()), str(paths.data_npy())


@lru_cache(maxsize=8)
def _pool(dataset: str, split: str, part: str, encoded: bool, _: tuple[str, str]) -> Pool:
    rows, designs = members(dataset, split, part)
    used = np.unique(rows[rows >= 0])
    vectors = pixels(_loaded(dataset, _places()).images[used])
    if encoded:
        from .prototypes import features  # which is trained on pools of pixels

        vectors = features(vectors, dataset, split)
    places = np.where(rows >= 0, np.searchsorted(used, rows), -1)
    return Pool(f"{dataset} ({split}, {part})", vectors, places, designs)


def pixels(drawings: np.ndarray) -> np.ndarray:
    """uint8 (drawing, row, column, channel) -> float32 (drawing, channel x row x column) from -1 to 1."""
    return (np.moveaxis(drawings, -1, 1).reshape(len(drawings), -1) / np.float32(127.5)) - 1


@lru_cache(maxsize=1)
def _loaded(dataset: str, _: tuple[str, str]) -> images.ImageSet:
    return images.load(dataset)


def members(dataset: str, split: str, part: str) -> tuple[np.ndarray, np.ndarray]:
    """Drawings and their designs of the classes of a part, (class, place), -1 where there are fewer.

    shared: of all classes every other design for training, and the others for validation and test.
    """
    known = _loaded(dataset, _places())
    if split == "shared":
        wanted = range(len(known.names))
    else:
        place = {name: k for k, name in enumerate(known.names)}
        names = getattr(splits.split(dataset, split), part)
        if missing := [name for name in names if name not in place]:
            what = f"{dataset} lacks {len(missing)} of {len(names)} classes, such as {missing[0]}"
            raise DamagedFile(paths.images(), what, readers.SOURCES.get(dataset, ""))
        wanted = [place[name] for name in names]
    order = np.lexsort((np.arange(len(known.classes)), known.designs, known.classes))
    starts = np.searchsorted(known.classes[order], np.arange(len(known.names) + 1))
    found = [order[starts[k] : starts[k + 1]] for k in wanted]
    if split == "shared":
        found = [_every_other(rows, known.designs[rows], part, k) for k, rows in enumerate(found)]
    rows = np.full((len(found), max(map(len, found))), -1)
    for k, each in enumerate(found):
        rows[k, : len(each)] = each
    return rows, np.where(rows >= 0, known.designs[rows], -1)


def _every_other(rows: np.ndarray, designs: np.ndarray, part: str, k: int) -> np.ndarray:
    """The drawings of every other design; which come first differs from class to class."""
    rank = np.unique(designs, return_inverse=True)[1]
    return rows[(rank + k) % 2 == (part != "train")]
