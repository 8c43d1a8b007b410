"""Pictures of meshes: perspective, shaded triangles, the nearest one wins; black background.

A vertex p of a normalised mesh is turned to R p, R = Rz(roll) Rx(elevation) Ry(azimuth), and seen from (0, 0,
d), d = 4 radii away::

    (X, Y) = f (x, y) / (d - z),   f = sqrt(d^2 - 1)

so that the unit ball just fills the unit disc, and no view is cut off. A triangle of color C, with unit
normal n towards the camera, shows C (ambient + sum_l s_l max(0, n . l)), clipped at white, for lights of
strength s_l in directions l. The loop over pixels is compiled when it is first used (numba, a second or two).
"""

from __future__ import annotations

__all__ = [
    "AMBIENT", "CANVAS", "DISTANCE", "LIGHTS", "Light", "View", "nearest_faces", "place", "project",
    "render", "rotation", "shade", "tiled",
]  # fmt: skip

from collections.abc import Sequence
from typing import NamedTuple

import numpy as np
from numba import njit

from .objects import Mesh

CANVAS = 224
"""height and width of an image in pixels"""
DISTANCE = 4.0
"""of the camera, in radii of a mesh"""
AMBIENT = 0.4


class View(NamedTuple):
    """How an object is turned, in degrees; at 0, 0, 0 its front faces the camera, upright."""

    azimuth: float
    """turns the front to the right"""
    elevation: float = 0.0
    """of the camera: above 0 it sees the top"""
    roll: float = 0.0
    """turns the picture counterclockwise"""


class Light(NamedTuple):
    """A distant light."""

    direction: tuple[float, float, float]
    """towards it: right, up, out of the picture; of any length"""
    strength: float


LIGHTS = (Light((-0.5, 0.8, 0.7), 0.65), Light((0.8, 0.1, 0.6), 0.2))


def rotation(view: View) -> np.ndarray:
    """R of the equation, (3, 3), from the mesh's axes to right, up and towards the camera."""
    sines, cosines = np.sin(np.radians(view)), np.cos(np.radians(view))
    (sa, se, sr), (ca, ce, cr) = sines, cosines
    about_y = np.array([[ca, 0, sa], [0, 1, 0], [-sa, 0, ca]])
    about_x = np.array([[1, 0, 0], [0, ce, -se], [0, se, ce]])
    about_z = np.array([[cr, -sr, 0], [sr, cr, 0], [0, 0, 1]])
    return about_z @ about_x @ about_y


def project(points: np.ndarray) -> np.ndarray:
    """(X, Y) and 1 / (d - z), larger if nearer, of turned points (point, 3) -> (point, 3)."""
    near = 1 / (DISTANCE - points[:, 2])
    return np.column_stack([points[:, :2] * (np.sqrt(DISTANCE**2 - 1) * near)[:, None], near])


def shade(corners: np.ndarray, colors: np.ndarray, lights: Sequence[Light], ambient: float) -> np.ndarray:
    """Shown colors (face, 3), 0 to 255, of triangles with turned corners (face, 3, 3); both sides are lit."""
    normals = np.cross(corners[:, 1] - corners[:, 0], corners[:, 2] - corners[:, 0])
    normals /= np.linalg.norm(normals, axis=1, keepdims=True) + 1e-30
    towards = np.array([0, 0, DISTANCE]) - corners[:, 0]
    normals *= np.where((normals * towards).sum(axis=1) < 0, -1, 1)[:, None]
    light = np.full(len(corners), float(ambient))
    for direction, strength in lights:
        light += strength * np.maximum(normals @ (direction / np.linalg.norm(direction)), 0)
    return np.minimum(colors * light[:, None], 255)


def render(
    mesh: Mesh, view: View, size: int = CANVAS, *, samples: int = 2,
    lights: Sequence[Light] = LIGHTS, ambient: float = AMBIENT,
) -> np.ndarray:  # fmt: skip
    """A picture of a mesh, (size, size, 3) uint8; the unit ball touches its borders.

    samples: each pixel is the mean over samples x samples points.
    Raises ValueError for a mesh that is not normalised (`Mesh.normalised`), size or samples below 1.
    """
    if size < 1 or samples < 1:
        raise ValueError(f"size and samples must be 1 or more, got {size} and {samples}")
    seen = nearest_faces(mesh, view, size * samples)
    corners = (mesh.vertices @ rotation(view).T)[mesh.faces]
    shown = np.vstack([shade(corners, mesh.colors, lights, ambient), np.zeros(3)])[seen]  # -1: the background
    means = shown.reshape(size, samples, size, samples, 3).mean(axis=(1, 3))
    return np.round(means).astype(np.uint8)


def nearest_faces(mesh: Mesh, view: View, size: int) -> np.ndarray:
    """Which face each pixel's centre shows, (size, size) int32, -1 for none.

    Raises ValueError for a mesh that is not normalised.
    """
    if np.linalg.norm(mesh.vertices, axis=1).max() > 1.01:
        raise ValueError("the mesh reaches beyond distance 1 from its centre: take mesh.normalised()")
    screen = project(mesh.vertices @ rotation(view).T)
    screen[:, :2] = (1 + screen[:, :2] * (1, -1)) * size / 2
    return _nearest(screen, mesh.faces, size)


@njit(nogil=True, error_model="numpy")
def _nearest(screen, faces, size):  # pragma: no cover (compiled)
    """`nearest_faces` of vertices at x, y in pixels with their nearness, (vertex, 3)."""
    depth = np.zeros((size, size))
    seen = np.full((size, size), -1, np.int32)
    for face in range(len(faces)):
        ax, ay, az = screen[faces[face, 0]]
        bx, by, bz = screen[faces[face, 1]]
        cx, cy, cz = screen[faces[face, 2]]
        area = (bx - ax) * (cy - ay) - (cx - ax) * (by - ay)
        if abs(area) < 1e-12:
            continue
        left, right = max(0, int(min(ax, bx, cx) - 0.5)), min(size - 1, int(max(ax, bx, cx) + 0.5))
        top, bottom = max(0, int(min(ay, by, cy) - 0.5)), min(size - 1, int(max(ay, by, cy) + 0.5))
        for row in range(top, bottom + 1):
            for column in range(left, right + 1):
                x, y = column + 0.5, row + 0.5
                b = ((x - ax) * (cy - ay) - (cx - ax) * (y - ay)) / area
                c = ((bx - ax) * (y - ay) - (x - ax) * (by - ay)) / area
                if b < 0 or c < 0 or b + c > 1:
                    continue
                near = az + b * (bz - az) + c * (cz - az)
                if near > depth[row, column]:
                    depth[row, column] = near
                    seen[row, column] = face
    return seen


def place(picture: np.ndarray, x: int, y: int, size: int = CANVAS) -> np.ndarray:
    """A black image (size, size, 3) uint8 with a square picture centred on pixel corner (x, y) from top left.

    Raises ValueError where the picture would be cut off.
    """
    side = len(picture)
    left, top = x - side // 2, y - side // 2
    if min(left, top) < 0 or max(left, top) + side > size:
        raise ValueError(f"a picture of {side} pixels at ({x}, {y}) does not fit into {size} x {size}")
    image = np.zeros((size, size, 3), dtype=np.uint8)
    image[top : top + side, left : left + side] = picture
    return image


def tiled(images: np.ndarray, columns: int) -> np.ndarray:
    """Images (image, height, width, 3) side by side, in rows of `columns`, the last one filled with black."""
    count, height, width, _ = images.shape
    rows = -(-count // columns)
    sheet = np.zeros((rows * columns, height, width, 3), dtype=np.uint8)
    sheet[:count] = images
    return sheet.reshape(rows, columns, height, width, 3).swapaxes(1, 2).reshape(rows * height, -1, 3)
