"""Pictures with their classes and designs, as arrays."""

from __future__ import annotations

__all__ = ["ImageSet"]

from collections.abc import Iterable
from dataclasses import dataclass, replace

import numpy as np

from ...text import nearest


@dataclass(frozen=True)
class ImageSet:
    """Pictures of many classes. Raises ValueError if the arrays do not fit together."""

    name: str
    images: np.ndarray
    """(image, height, width, channel) uint8; 255 is white paper"""
    classes: np.ndarray
    """(image,) int, indices into `names`"""
    names: tuple[str, ...]
    """names of the classes"""
    designs: np.ndarray
    """(image,) int: images of one class with equal designs are never on both sides of an episode"""
    groups: tuple[str, ...]
    """group of each class: Unicode group, radical, alphabet or superclass"""

    def __post_init__(self) -> None:
        if self.images.ndim != 4 or self.images.dtype != np.uint8:
            found = f"{self.images.dtype} {self.images.shape}"
            raise ValueError(f"{self.name}: images are {found}, not uint8 (image, height, width, channel)")
        if not len(self.images) == len(self.classes) == len(self.designs):
            lengths = f"{len(self.images)} images, {len(self.classes)} classes, {len(self.designs)} designs"
            raise ValueError(f"{self.name}: {lengths}: each image has one of each")
        if len(self.groups) != len(self.names) or len(set(self.names)) != len(self.names):
            raise ValueError(f"{self.name}: every class has one name of its own and one group")
        if not np.array_equal(np.unique(self.classes), np.arange(len(self.names))):
            raise ValueError(f"{self.name}: every class has images, and every image one of the classes")

    def select(self, names: Iterable[str]) -> ImageSet:
        """The images of some classes only, numbered in the order given.

        Raises ValueError for a class that is not here, or given twice.
        """
        names, here = tuple(names), {name: number for number, name in enumerate(self.names)}
        if unknown := [name for name in names if name not in here]:
            known = nearest(unknown[0], self.names, f"it has {len(self.names)} others")
            raise ValueError(f"{self.name} has no class {unknown[0]!r}: {known}")
        numbers = np.array([here[name] for name in names], dtype=np.int64)
        new = np.full(len(self.names), -1)
        new[numbers] = np.arange(len(names))
        kept = np.flatnonzero(new[self.classes] >= 0)
        return replace(
            self,
            images=self.images[kept],
            classes=new[self.classes[kept]],
            names=names,
            designs=self.designs[kept],
            groups=tuple(self.groups[number] for number in numbers),
        )
