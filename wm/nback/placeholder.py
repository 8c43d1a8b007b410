"""Stand-ins for objects: shapes that nobody takes for an airplane, a car, a chair or a table.

Each category is a family of its own (spikes, blocks, plates on a mast, rings), each identity one more of its
parts, all in magenta and a second color. They try out a pipeline where no objects are; whatever is computed
with them says so: `library` warns, and every record keeps the kind `placeholder`.
"""

from __future__ import annotations

__all__ = ["MOST", "save_placeholder", "shape"]

from collections.abc import Sequence
from pathlib import Path

import numpy as np
from scipy.spatial import ConvexHull

from .objects import CATEGORIES, Library, Mesh, Object, save_library

MOST = 40
"""identities of a category"""
_LOUD = np.array([(255, 0, 255), (0, 255, 0), (255, 255, 0), (0, 255, 255), (255, 128, 0)], dtype=np.uint8)
_ABOUT = {"title": "placeholder shape", "creator": "wm", "licence": "MIT", "source": "wm.nback.placeholder"}


def save_placeholder(
    folder: str | Path, categories: Sequence[str] = CATEGORIES, objects: int = 13
) -> Library:
    """A library of placeholder shapes, `objects` of each category. Raises ValueError as `shape` does."""
    made = [
        Object(category, f"placeholder-{number:02d}", shape(category, number), _ABOUT)
        for category in categories
        for number in range(objects)
    ]
    return save_library(folder, "placeholder", {"objects.npz": made})


def shape(category: str, number: int) -> Mesh:
    """Shape `number` of a category, each different from all others.

    Raises ValueError for an unknown category or a number outside 0 to 39.
    """
    if category not in CATEGORIES:
        raise ValueError(f"there are no placeholders for {category!r}, only for {', '.join(CATEGORIES)}")
    if not 0 <= number < MOST:
        raise ValueError(f"placeholders are numbered 0 to {MOST - 1}, got {number}")
    family = CATEGORIES.index(category)
    parts = [_spikes, _blocks, _plates, _ring][family](number)
    meshes = [_hull(points) for points in parts]
    starts = np.cumsum([0, *(len(vertices) for vertices, _ in meshes)])
    colors = [_LOUD[[0, 1 + (family + number) % 4][i % 2]] for i in range(len(meshes))]
    return Mesh(
        np.concatenate([vertices for vertices, _ in meshes]),
        np.concatenate([faces + start for (_, faces), start in zip(meshes, starts[:-1], strict=True)]),
        np.concatenate([np.tile(color, (len(f), 1)) for color, (_, f) in zip(colors, meshes, strict=True)]),
    ).normalised()


def _hull(points: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    return points, ConvexHull(points).simplices


def _box(centre: Sequence[float], sides: Sequence[float]) -> np.ndarray:
    corners = np.stack(np.meshgrid(*[(-0.5, 0.5)] * 3), axis=-1).reshape(-1, 3)
    return np.array(centre) + corners * sides


def _spikes(number: int) -> list[np.ndarray]:
    """A star: 3 and more spikes around a core, the first twice as long."""
    count = 3 + number
    angles = 2 * np.pi * np.arange(count) / count
    core = _box((0, 0, 0), (0.4, 0.4, 0.4))
    tips = [(2 - (i > 0)) * np.array([np.sin(a), np.cos(a), 0.5 * (-1) ** i]) for i, a in enumerate(angles)]
    return [core, *(np.vstack([tip, _box((0, 0, 0), (0.25, 0.25, 0.25))]) for tip in tips)]


def _blocks(number: int) -> list[np.ndarray]:
    """A stair of 2 and more blocks."""
    count = 2 + number
    return [
        _box((i / count, (i + 1) / count / 2, 0.3 * (-1) ** i), (1 / count, (i + 1) / count, 0.6))
        for i in range(count)
    ]


def _plates(number: int) -> list[np.ndarray]:
    """A mast with 1 and more plates, the widest one below."""
    count = 1 + number
    mast = _box((0, 0.5, 0), (0.12, 1.2, 0.12))
    sides = [0.4 + 0.8 * (count - i) / count for i in range(count)]
    return [mast, *(_box((0.1, (i + 0.5) / count, 0), (s, 0.5 / count, s)) for i, s in enumerate(sides))]


def _ring(number: int) -> list[np.ndarray]:
    """Beads on a standing ring, 4 and more, the lowest a large one."""
    count = 4 + number
    angles = 2 * np.pi * np.arange(count) / count
    size = min(0.5, 2.5 / count)
    return [_box((np.sin(a), -np.cos(a), 0), (size * (1 + (i == 0)),) * 3) for i, a in enumerate(angles)]
