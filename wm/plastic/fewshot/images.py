"""The four sets of images, by name."""

from __future__ import annotations

__all__ = ["SETS", "ImageSet", "kept_in", "load"]

import os
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

from ... import paths
from ...text import nearest
from . import emoji, kanji, readers
from .image_set import ImageSet

_SHIPPED: dict[str, Callable[[], ImageSet]] = {"emoji": emoji.load, "kanji": kanji.load}
_OWN: dict[str, Callable[[Path], ImageSet]] = {
    "omniglot": readers.read_omniglot,
    "cifarfs": readers.read_cifar100,
}
SETS = (*_SHIPPED, *_OWN)
"""names that `load` takes"""


def load(name: str, root: str | Path | None = None) -> ImageSet:
    """Images of one set. `emoji` and `kanji` are shipped; `omniglot` and `cifarfs` are read below `root`,
    by default `wm.paths.images()`.

    Raises ValueError for an unknown name; `DamagedFile` for a file that is missing or not whole, with where
    to get it.
    """
    if name not in SETS:
        raise ValueError(f"there is no set of images {name!r}: {nearest(name, SETS)}")
    if name in _SHIPPED:
        return _SHIPPED[name]()
    return _OWN[name](Path(root or paths.images()))


@contextmanager
def kept_in(root: Path | None) -> Iterator[None]:
    """Meanwhile `wm.paths.images()` is another folder; None changes nothing."""
    before = os.environ.get("WM_IMAGES")
    if root:
        os.environ["WM_IMAGES"] = str(root)
    try:
        yield
    finally:
        os.environ.pop("WM_IMAGES", None)
        if before is not None:
            os.environ["WM_IMAGES"] = before
