"""Three-dimensional objects, by category and identity: the shipped ones, or a folder of your own.

    objects = library()                   # assets/objects: airplane, car, chair, table
    objects.mesh("chair", "tulip")        # Mesh(vertices, faces, colors)

A *library* is a folder with `catalog.json`, which lists the objects in their order, who made them, under
which licence, and the sha256 of the `.npz` files that hold the meshes. `wm nback objects` makes others.
"""

from __future__ import annotations

__all__ = ["CATEGORIES", "KINDS", "Library", "Mesh", "Object", "library", "save_library", "shipped"]

import hashlib
import io
import warnings
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from pathlib import Path, PurePosixPath
from typing import Any

import numpy as np

from .. import paths
from ..files import DamagedFile, check_schema, parsing, read_bytes, read_json, seal, to_json, write_all
from ..text import nearest

CATEGORIES = ("airplane", "car", "chair", "table")
KINDS = ("shipped", "shapenet", "placeholder")
"""where the meshes of a library come from"""

_CATALOG = "catalog.json"
_SCHEMA = 1
_AGAIN = "make it again with `wm nback objects organize PATH`, or take the shipped objects"
_PLACEHOLDER = (
    "{folder} holds PLACEHOLDER SHAPES, not objects: they test that things run, and results with them say "
    "nothing about objects; use the shipped objects or `wm nback objects organize PATH`"
)


@dataclass(frozen=True, eq=False)
class Mesh:
    """Coloured triangles: vertices (vertex, 3) float32, faces (face, 3) int32, colors (face, 3) uint8 RGB.

    x points to the right of who looks at the object's front, y up, z out of the front. Raises ValueError for
    other shapes, no faces, coordinates that are not finite, or faces of vertices that are not there.
    """

    vertices: np.ndarray
    faces: np.ndarray
    colors: np.ndarray

    def __post_init__(self) -> None:
        for name, kind in ("vertices", np.float32), ("faces", np.int32), ("colors", np.uint8):
            value = np.asarray(getattr(self, name)).astype(kind, copy=False)
            if value.ndim != 2 or value.shape[1] != 3:
                raise ValueError(f"{name} of a mesh must be of shape (n, 3), got {value.shape}")
            object.__setattr__(self, name, value)
        if not len(self.faces) or len(self.colors) != len(self.faces):
            raise ValueError(f"a mesh needs faces, a color each: got {len(self.faces)}, {len(self.colors)}")
        if not 0 <= self.faces.min() <= self.faces.max() < len(self.vertices):
            raise ValueError(f"faces must name vertices 0 to {len(self.vertices) - 1}")
        if not np.isfinite(self.vertices).all():
            raise ValueError("a mesh has coordinates that are not finite")

    def normalised(self) -> Mesh:
        """The same, its bounding box centred, and its farthest vertex at distance 1 from there.

        Vertices of no face are dropped. Raises ValueError for a mesh that is a point.
        """
        used, faces = np.unique(self.faces, return_inverse=True)
        vertices = self.vertices[used].astype(np.float64)
        vertices -= (vertices.min(axis=0) + vertices.max(axis=0)) / 2
        radius = np.linalg.norm(vertices, axis=1).max()
        if radius == 0:
            raise ValueError("a mesh must not be a point")
        return Mesh(vertices / radius, faces.reshape(-1, 3), self.colors)

    def turned(self, degrees: float) -> Mesh:
        """The same, turned about the vertical: what points to z then points towards x."""
        sine, cosine = np.sin(np.radians(degrees)), np.cos(np.radians(degrees))
        x, y, z = self.vertices.T
        return Mesh(np.stack([cosine * x + sine * z, y, cosine * z - sine * x], 1), self.faces, self.colors)


@dataclass(frozen=True, eq=False)
class Object:
    """An object of a library."""

    category: str
    identity: str
    mesh: Mesh
    about: Mapping[str, str] = field(default_factory=dict)
    """title, creator, licence, source, ..."""


@dataclass(frozen=True, eq=False)
class Library:
    """The objects of a folder."""

    folder: Path
    kind: str
    """one of `KINDS`"""
    sha256: str
    """of the catalogue, which vouches for the meshes: the same for the same objects"""
    objects: tuple[Object, ...]
    """in the order of the catalogue, which decides what is trained and what is held out"""

    @property
    def categories(self) -> tuple[str, ...]:
        """In the order of the catalogue."""
        return tuple(dict.fromkeys(each.category for each in self.objects))

    def identities(self, category: str) -> tuple[str, ...]:
        """Of a category, in the order of the catalogue. Raises ValueError for one that is not there."""
        if category not in self.categories:
            near = nearest(category, self.categories)
            raise ValueError(f"{self.folder} has no category {category!r}: {near}")
        return tuple(each.identity for each in self.objects if each.category == category)

    def mesh(self, category: str, identity: str) -> Mesh:
        """One mesh. Raises ValueError if there is none: nothing else is ever taken in its place."""
        known = self.identities(category)
        if identity not in known:
            raise ValueError(f"{self.folder} has no {category} {identity!r}: {nearest(identity, known)}")
        names = (category, identity)
        return next(each.mesh for each in self.objects if (each.category, each.identity) == names)


def shipped() -> Path:
    """Folder of the shipped objects."""
    return paths.root() / "assets" / "objects"


def library(folder: str | Path | None = None) -> Library:
    """The objects of a folder, by default the shipped ones; warns of placeholder shapes.

    Raises `DamagedFile` for a file that is missing or does not have its sha256, `WrongSchema`.
    """
    folder = shipped() if folder is None else Path(folder)
    again = "restore it with `git checkout`" if folder == shipped() else _AGAIN
    path = folder / _CATALOG
    catalog = read_json(path, again=again, sealed=True)
    check_schema(path, catalog.get("schema"), _SCHEMA)
    meshes = {}
    for file, digest in catalog["files"].items():
        meshes[file] = iter(_read_meshes(folder / file, digest, again))
    objects = [
        Object(row.pop("category"), row.pop("identity"), next(meshes[row.pop("file")]), row)
        for row in catalog["objects"]
    ]
    if catalog["kind"] == "placeholder":
        warnings.warn(_PLACEHOLDER.format(folder=folder), stacklevel=2)
    return Library(folder, catalog["kind"], catalog["seal"], tuple(objects))


def save_library(folder: str | Path, kind: str, files: Mapping[str, Iterable[Object]]) -> Library:
    """Write a library, each of `files` (`objects.npz`, ...) with its objects; return what can be read again.

    Coordinates are kept in float16: 0.0005 of the radius of a normalised mesh. Raises ValueError for an
    unknown kind, a name given twice, or coordinates beyond 1; `CannotWrite`.
    """
    if kind not in KINDS:
        raise ValueError(f"unknown kind of library {kind!r}: {nearest(kind, KINDS)}")
    folder, files = Path(folder), {file: [*objects] for file, objects in files.items()}
    everything = [each for objects in files.values() for each in objects]
    names = [(each.category, each.identity) for each in everything]
    if twice := [" ".join(name) for name in names if names.count(name) > 1]:
        raise ValueError(f"{twice[0]} is given twice")
    if large := [each for each in everything if np.abs(each.mesh.vertices).max() > 1.001]:
        raise ValueError(f"{large[0].category} {large[0].identity} is not normalised")
    contents = {folder / file: _packed([each.mesh for each in objects]) for file, objects in files.items()}
    catalog = {
        "seal": "0" * 64, "schema": _SCHEMA, "kind": kind,
        "files": {file: hashlib.sha256(contents[folder / file]).hexdigest() for file in files},
        "objects": [_row(each, file) for file, objects in files.items() for each in objects],
    }  # fmt: skip
    write_all(contents | {folder / _CATALOG: seal(to_json(catalog))})
    with warnings.catch_warnings():
        warnings.filterwarnings("ignore", message=".*PLACEHOLDER")
        return library(folder)


def _row(each: Object, file: str) -> dict[str, Any]:
    if PurePosixPath(file).suffix != ".npz":
        raise ValueError(f"meshes are kept in .npz files, got {file}")
    row = {"category": each.category, "identity": each.identity, "file": file}
    return row | {"faces": len(each.mesh.faces)} | dict(each.about)


def _packed(meshes: list[Mesh]) -> bytes:
    """All meshes one after the other, compressed; the same bytes for the same meshes."""
    vertices = np.concatenate([mesh.vertices for mesh in meshes]).astype(np.float16)
    faces = np.concatenate([mesh.faces for mesh in meshes])
    buffer = io.BytesIO()
    np.savez_compressed(
        buffer,
        vertices=vertices,
        faces=faces.astype(np.uint16 if faces.max() < 2**16 else np.uint32),
        colors=np.concatenate([mesh.colors for mesh in meshes]),
        vertex_counts=np.array([len(mesh.vertices) for mesh in meshes], dtype=np.int32),
        face_counts=np.array([len(mesh.faces) for mesh in meshes], dtype=np.int32),
    )
    return buffer.getvalue()


def _read_meshes(path: Path, digest: str, again: str) -> list[Mesh]:
    content = read_bytes(path, again=again)
    if hashlib.sha256(content).hexdigest() != digest:
        raise DamagedFile(path, f"sha256 is not {digest}, as {_CATALOG} says", again)
    with parsing(path, again=again), np.load(io.BytesIO(content), allow_pickle=False) as arrays:
        vertex_ends, face_ends = (np.cumsum(arrays[f"{name}_counts"])[:-1] for name in ("vertex", "face"))
        parts = (
            np.split(arrays["vertices"], vertex_ends),
            np.split(arrays["faces"], face_ends),
            np.split(arrays["colors"], face_ends),
        )
        return [Mesh(*each) for each in zip(*parts, strict=True)]
