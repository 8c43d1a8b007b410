"""Wavefront files (.obj with .mtl and textures) as coloured triangles."""

from __future__ import annotations

__all__ = ["GREY", "read_obj", "texture_colors"]

from dataclasses import dataclass, field
from pathlib import Path

import numpy as np
from PIL import Image

from ..files import DamagedFile, parsing, read_bytes
from .objects import Mesh

GREY = (178.0, 178.0, 178.0)
"""of faces without a material, RGB"""
_AGAIN = "get the model again, or leave it out"
_GRID = (np.arange(1, 65)[:, None] * (0.7548776662, 0.5698402910)) % 1
_FOLDED = np.where(_GRID.sum(axis=1, keepdims=True) > 1, 1 - _GRID, _GRID)
_INSIDE = np.column_stack([_FOLDED, 1 - _FOLDED.sum(axis=1)])
"""points spread over a triangle (R2 sequence), as weights of its corners; a repeated texture misses them"""


@dataclass
class _Parts:
    """What the lines of an .obj file say."""

    vertices: list[list[float]] = field(default_factory=list)
    textures: list[list[float]] = field(default_factory=list)
    faces: list[list[tuple[int, int]]] = field(default_factory=list)
    """(vertex, texture coordinate or -1) of three corners"""
    materials: list[str] = field(default_factory=list)
    """of each face"""
    libraries: list[str] = field(default_factory=list)
    material: str = ""
    """of the faces to come"""


@dataclass
class _Material:
    color: tuple[float, ...] = GREY
    texture: str = ""


def read_obj(path: str | Path) -> tuple[Mesh, list[str]]:
    """The mesh of an .obj file, and what its colors lack, one line each.

    Polygons are cut into fans; normals, lines, points and curves are passed over. A face has the diffuse
    color (`Kd`) of its material, or the mean of its texture (`map_Kd`) over itself, or grey without one.
    Raises `DamagedFile` naming the line that cannot be read, or if there are no faces.
    """
    path, parts = Path(path), _Parts()
    text = read_bytes(path, again=_AGAIN).decode("latin-1").replace("\\\n", " ")
    for number, line in enumerate(text.splitlines(), 1):
        word, *values = line.split() or [""]
        try:
            _take(parts, word, values)
        except (ValueError, IndexError) as error:
            raise DamagedFile(path, f"line {number} cannot be read: {line[:60]!r}", _AGAIN) from error
    if not parts.faces:
        raise DamagedFile(path, "has no faces", _AGAIN)
    corners = np.array(parts.faces)
    with parsing(path, again=_AGAIN):
        colors, lacks = _colors(parts, corners[..., 1], path.parent)
        return Mesh(np.array(parts.vertices).reshape(-1, 3), corners[..., 0], colors), lacks


def _take(parts: _Parts, word: str, values: list[str]) -> None:
    match word:
        case "v":
            parts.vertices.append([float(values[i]) for i in range(3)])
        case "vt":
            parts.textures.append([float(values[i]) for i in range(2)])
        case "f":
            first, *others = [_corner(value, parts) for value in values]
            fan = [[first, *pair] for pair in zip(others, others[1:], strict=False)]
            parts.faces += fan
            parts.materials += [parts.material] * len(fan)
        case "usemtl":
            parts.material = " ".join(values)
        case "mtllib":
            parts.libraries.append(" ".join(values))


def _corner(text: str, parts: _Parts) -> tuple[int, int]:
    """`7`, `7/3`, `7/3/2` or `7//2`, counted from 1, or from the end if negative."""
    vertex, texture, *_ = [*text.split("/"), ""]
    place = int(vertex) - 1 if int(vertex) > 0 else len(parts.vertices) + int(vertex)
    if place < 0 or int(vertex) == 0:
        raise ValueError(f"no vertex {vertex}")
    if not texture:
        return place, -1
    return place, int(texture) - 1 if int(texture) > 0 else len(parts.textures) + int(texture)


def _colors(parts: _Parts, coordinates: np.ndarray, folder: Path) -> tuple[np.ndarray, list[str]]:
    """Color of each face, (face, 3) uint8; coordinates: (face, 3) places in `parts.textures`."""
    materials, lacks = _materials(parts.libraries, folder)
    names = np.array(parts.materials)
    colors = np.tile(GREY, (len(names), 1))
    for name in dict.fromkeys(parts.materials):
        if name not in materials:
            lacks.append(f"no material {name!r}: grey" if name else "faces without a material: grey")
            continue
        material, here = materials[name], names == name
        colors[here] = material.color
        here &= (coordinates >= 0).all(axis=1)
        if not material.texture or not here.any():
            continue
        try:
            with Image.open(folder / material.texture.replace("\\", "/")) as image:
                corners = np.array(parts.textures)[coordinates[here]]
                colors[here] = texture_colors(image, corners)
        except OSError as error:
            reason = "is missing" if isinstance(error, FileNotFoundError) else "cannot be read"
            lacks.append(f"texture {material.texture} {reason}: its plain color")
    return np.round(colors).astype(np.uint8), lacks


def texture_colors(image: Image.Image, corners: np.ndarray) -> np.ndarray:
    """Mean color (face, 3), 0 to 255, of a repeated texture over triangles.

    corners: (face, 3, 2), u to the right and v up, 1 being the width and the height of the image.
    """
    pixels = np.asarray(image.convert("RGB"), dtype=np.float64)
    points = np.einsum("pc,fcu->fpu", _INSIDE, corners) % 1
    height, width, _ = pixels.shape
    column = np.minimum((points[..., 0] * width).astype(int), width - 1)
    row = np.minimum(((1 - points[..., 1]) * height).astype(int), height - 1)
    return pixels[row, column].mean(axis=1)


def _materials(libraries: list[str], folder: Path) -> tuple[dict[str, _Material], list[str]]:
    found: dict[str, _Material] = {}
    lacks = []
    for library in libraries:
        path = folder / library
        if not path.is_file():
            lacks.append(f"material file {library} is missing")
            continue
        material = _Material()
        for line in path.read_text("latin-1").splitlines():
            word, *values = line.split() or [""]
            if word == "newmtl":
                material = found[" ".join(values)] = _Material()
            elif word == "Kd":
                material.color = tuple(255 * min(max(float(value), 0), 1) for value in values[:3])
            elif word == "map_Kd":
                material.texture = line.split(maxsplit=1)[1].strip()
    return found, lacks
