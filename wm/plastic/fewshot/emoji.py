"""Emoji-FS: one class per emoji, one picture per vendor that drew it, 32 x 32 in colour on white.

`assets/emoji/build.py` makes the file and says what was chosen. All pictures are one mosaic, which shrinks
them to half of what they take one by one.
"""

from __future__ import annotations

__all__ = ["SIZE", "cut", "load", "mosaic", "place"]

import io
from pathlib import Path

import numpy as np
from PIL import Image

from ... import paths
from ...files import parsing, read_bytes
from .image_set import ImageSet

SIZE = 32
"""height and width of a picture, pixels"""
_COLUMNS = 64


def place() -> Path:
    """Where the file is."""
    return paths.root() / "assets/emoji/emoji_fs.npz"


def load() -> ImageSet:
    """All pictures; groups are those of Unicode. Raises `DamagedFile`."""
    path = place()
    with parsing(path), np.load(io.BytesIO(read_bytes(path)), allow_pickle=False) as saved:
        picture = Image.open(io.BytesIO(saved["mosaic"].tobytes()))
        images = cut(np.asarray(picture.convert("RGB")), len(saved["classes"]))
        classes, designs = (saved[name].astype(np.int64) for name in ("classes", "designs"))
        names, groups = (tuple(saved[name].tolist()) for name in ("names", "groups"))
        return ImageSet("emoji", images, classes, names, designs, groups)


def mosaic(images: np.ndarray) -> np.ndarray:
    """Lay (image, SIZE, SIZE, channel) out in rows, the last filled up with white; the inverse of `cut`."""
    missing = -len(images) % _COLUMNS
    filled = np.pad(images, ((0, missing), (0, 0), (0, 0), (0, 0)), constant_values=255)
    rows = filled.reshape(-1, _COLUMNS, SIZE, SIZE, images.shape[-1]).swapaxes(1, 2)
    return rows.reshape(-1, _COLUMNS * SIZE, images.shape[-1])


def cut(picture: np.ndarray, count: int) -> np.ndarray:
    """The first `count` images (image, SIZE, SIZE, channel) of a mosaic (height, width, channel)."""
    tiles = picture.reshape(-1, SIZE, _COLUMNS, SIZE, picture.shape[-1]).swapaxes(1, 2)
    tiles = tiles.reshape(-1, SIZE, SIZE, picture.shape[-1])
    if not 0 <= len(tiles) - count < _COLUMNS:
        raise ValueError(f"a mosaic of {len(tiles)} tiles does not hold {count} images")
    return np.ascontiguousarray(tiles[:count])
