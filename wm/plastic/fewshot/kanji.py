"""Kanji-strokes: characters drawn from their strokes by drawers who each have a hand of their own.

A drawer has a pen width and a slant, kept for all characters; each drawing turns, stretches and bends the
character anew, each stroke is displaced on its own. `assets/kanji/build.py` makes the file of strokes.
"""

from __future__ import annotations

__all__ = ["DRAWERS", "SIZE", "Strokes", "draw", "load", "place", "read"]

import hashlib
import io
import json
from contextlib import suppress
from pathlib import Path
from typing import NamedTuple

import numpy as np

from ... import paths
from ...files import CannotWrite, StoreError, parsing, read_bytes, sha256
from ...seeds import numpy_generator
from ...states import load_states, save_states
from .image_set import ImageSet

DRAWERS = 20
SIZE = 32
"""height and width of a drawing, pixels"""
GRID = 218
"""the file's points are whole numbers of 0 ... GRID across the character"""
PEN = (1.4, 2.4)
"""narrowest and widest pen, pixels of a drawing of 32"""


class Strokes(NamedTuple):
    """Characters as polylines in the unit square, y downwards."""

    characters: tuple[str, ...]
    radicals: tuple[str, ...]
    """of each character"""
    points: np.ndarray
    """(point, 2) x, y of all strokes of all characters, one after another"""
    stroke: np.ndarray
    """(point,) number of the stroke that the point is on"""
    character: np.ndarray
    """(stroke,) number of the character that the stroke is of"""


def place() -> Path:
    """Where the file of strokes is."""
    return paths.root() / "assets/kanji/kanji_strokes.npz"


def read() -> Strokes:
    """All characters. Raises `DamagedFile`."""
    path = place()
    with parsing(path), np.load(io.BytesIO(read_bytes(path)), allow_pickle=False) as saved:
        characters, radicals = (tuple(saved[name].tolist()) for name in ("characters", "radicals"))
        lengths, strokes = saved["lengths"], saved["strokes"]
        points = saved["points"] / GRID
        if lengths.sum() != len(points) or strokes.sum() != len(lengths) or len(strokes) != len(characters):
            raise ValueError("the numbers of points, strokes and characters do not fit together")
        stroke = np.repeat(np.arange(len(lengths)), lengths)
        return Strokes(characters, radicals, points, stroke, np.repeat(np.arange(len(strokes)), strokes))


def load(drawers: int = DRAWERS, *, seed: int = 0) -> ImageSet:
    """Every character by every drawer: images (image, SIZE, SIZE, 1), groups are radicals, designs drawers.

    Drawn once, then kept in `results/cache/`. Raises `DamagedFile`.
    """
    strokes = read()
    images = _kept(strokes, drawers, seed)  # (character, drawer, size, size)
    classes, designs = np.indices(images.shape[:2]).reshape(2, -1)
    images = images.reshape(-1, SIZE, SIZE, 1)
    return ImageSet("kanji", images, classes, strokes.characters, designs, strokes.radicals)


def _kept(strokes: Strokes, drawers: int, seed: int) -> np.ndarray:
    sources = [sha256(path) for path in (place(), __file__, Path(__file__).with_name("ink.py"))]
    key = hashlib.sha256(json.dumps([*sources, drawers, seed]).encode()).hexdigest()
    path = paths.results() / "cache" / f"kanji-{key[:16]}.npy"
    with suppress(StoreError):  # not there yet, or spoilt
        return load_states(path)[path.stem]
    images = draw(strokes, drawers, seed=seed)
    dims = ("character", "drawer", "row", "column")
    with suppress(CannotWrite):
        save_states(path, {path.stem: images}, dims={path.stem: dims}, units={path.stem: "1"})
    return images


def draw(
    strokes: Strokes, drawers: int = DRAWERS, *, seed: int = 0, size: int = SIZE, jitter: float = 1.0
) -> np.ndarray:
    """Draw all characters, black (0) on white (255).

    A point p of a stroke with centre c goes to A (p' - m) + m + s, where m is the middle of the square and
    p' = B (p - c) + c + b + wave(p). B and b are of the stroke, s and the wave of the drawing, A of drawing
    and drawer. `jitter` scales what is random about them, the pen too: 0 repeats the strokes as they are.
    Drawer k of a seed is the same however many there are. Returns (character, drawer, size, size) uint8.
    Raises ValueError for less than 1 drawer or pixel, or a negative jitter.
    """
    if min(drawers, size) < 1 or jitter < 0:
        given = f"{drawers} drawers, size {size}, jitter {jitter}"
        raise ValueError(f"{given}: the first two must be 1 or more, jitter 0 or more")
    from .ink import ink  # numba takes half a second to import

    count = len(strokes.characters)
    first = np.searchsorted(strokes.character[strokes.stroke], np.arange(count + 1))
    joined = np.append(strokes.stroke[1:] == strokes.stroke[:-1], False)
    images = np.empty((count, drawers, size, size), dtype=np.uint8)
    for drawer in range(drawers):
        generator = numpy_generator(seed, "drawer", drawer)
        width = _pen(generator, jitter) * size / 32
        points = _displaced(strokes, generator, jitter) * size
        for k, (start, end) in enumerate(zip(first[:-1], first[1:], strict=True)):
            images[k, drawer] = 255 - ink(points[start:end], joined[start:end], width, size)
    return images


def _pen(generator: np.random.Generator, jitter: float) -> float:
    middle, half = sum(PEN) / 2, (PEN[1] - PEN[0]) / 2
    return max(middle + jitter * half * generator.uniform(-1, 1), 0.5)


def _displaced(strokes: Strokes, generator: np.random.Generator, jitter: float) -> np.ndarray:
    """Points (point, 2) of every character as one drawer draws it."""
    normal = generator.standard_normal
    of_stroke, of_drawing = strokes.stroke, strokes.character[strokes.stroke]
    drawings, count = len(strokes.characters), len(strokes.character)
    slant = 0.06 * normal((2, 2))
    turn = np.eye(2) + jitter * (slant + 0.07 * normal((drawings, 2, 2)))
    shift = 0.02 * jitter * normal((drawings, 2))
    wave = 0.02 * jitter * normal((drawings, 2))
    bend = np.eye(2) + 0.07 * jitter * normal((count, 2, 2))
    moved = 0.018 * jitter * normal((count, 2))

    points = strokes.points
    sums = np.stack([np.bincount(of_stroke, points[:, axis], count) for axis in (0, 1)], 1)
    centre = (sums / np.bincount(of_stroke, minlength=count)[:, None])[of_stroke]
    bent = np.einsum("pij,pj->pi", bend[of_stroke], points - centre) + centre + moved[of_stroke]
    bent += wave[of_drawing] * np.sin(2 * np.pi * points[:, ::-1])
    return np.einsum("pij,pj->pi", turn[of_drawing], bent - 0.5) + 0.5 + shift[of_drawing]
