"""AC3D files (.ac) as coloured triangles, for `build.py`."""

__all__ = ["read_ac"]

import shlex
from pathlib import Path

import numpy as np
from PIL import Image

from wm.nback.obj import GREY, texture_colors
from wm.nback.objects import Mesh

_LINES = (1, 2)  # kinds of surfaces that are no polygons


class _Reader:
    """Walks through the lines of a file once, and gathers triangles and their colors."""

    def __init__(self, path: Path):
        self.lines = iter(path.read_text("latin-1").splitlines())
        self.folder = path.parent
        self.materials: list[list[float]] = []
        self.vertices: list[np.ndarray] = []
        self.faces: list[tuple[int, ...]] = []
        self.colors: list[list[float] | tuple[float, ...]] = []
        self.textured: dict[str, list[tuple[int, np.ndarray]]] = {}
        """faces with a texture, and where in it their corners are"""
        self.count = 0
        self.images: dict[str, Image.Image | None] = {}

    def read(self) -> Mesh:
        for line in self.lines:
            words = line.split()
            if words and words[0] == "MATERIAL":
                place = words.index("rgb")
                self.materials.append([255 * min(float(word), 1.0) for word in words[place + 1 : place + 4]])
            elif words and words[0] == "OBJECT":
                self.object(np.zeros(3), np.eye(3))
        colors = np.array(self.colors)
        for name, faces in self.textured.items():
            colors[[face for face, _ in faces]] = texture_colors(
                self.images[name], np.array([corners for _, corners in faces])
            )
        return Mesh(np.concatenate(self.vertices), np.array(self.faces), np.round(colors))

    def object(self, shift: np.ndarray, turn: np.ndarray) -> None:
        """One object and those in it; a vertex v (a row) is at v turn + shift."""
        texture, repeat, vertices = None, np.ones(2), np.zeros((0, 3))
        for line in self.lines:
            word, *values = shlex.split(line, posix=True) if '"' in line else line.split() or [""]
            match word:
                case "loc":
                    shift = np.array(values[:3], float) @ turn + shift
                case "rot":
                    turn = np.array(values, float).reshape(3, 3) @ turn
                case "texture":
                    texture = values[0] if self.image(values[0]) else None
                case "texrep":
                    repeat = np.array(values[:2], float)
                case "data":
                    next(self.lines)
                case "numvert":
                    rows = [next(self.lines).split()[:3] for _ in range(int(values[0]))]
                    vertices = np.array(rows, float).reshape(-1, 3)
                case "numsurf":
                    self.vertices.append(vertices @ turn + shift)
                    for _ in range(int(values[0])):
                        self.surface(texture, repeat)
                    self.count += len(vertices)
                case "kids":
                    for _ in range(int(values[0])):
                        while not next(self.lines).startswith("OBJECT"):
                            pass
                        self.object(shift, turn)
                    return

    def surface(self, texture: str | None, repeat: np.ndarray) -> None:
        """One polygon or strip of triangles, cut into triangles."""
        flags, material = 0, 0
        while (words := next(self.lines).split())[0] != "refs":
            flags = int(words[1], 16) if words[0] == "SURF" else flags
            material = int(words[1]) if words[0] == "mat" else material
        rows = np.array([next(self.lines).split()[:3] for _ in range(int(words[1]))], float).reshape(-1, 3)
        if flags & 15 in _LINES:
            return
        strip = flags & 15 == 4
        for i in range(len(rows) - 2):
            corners = [i, i + 1, i + 2] if strip else [0, i + 1, i + 2]
            self.faces.append(tuple(self.count + int(rows[corner, 0]) for corner in corners))
            self.colors.append(self.materials[material] if material < len(self.materials) else GREY)
            if texture is not None:
                place = len(self.faces) - 1, rows[corners, 1:] * repeat
                self.textured.setdefault(texture, []).append(place)

    def image(self, name: str) -> Image.Image | None:
        """A texture, beside the file or below, or None."""
        if name not in self.images:
            path = self.folder / name.replace("\\", "/")
            path = path if path.is_file() else self.folder / Path(name).name
            self.images[name] = Image.open(path).convert("RGB").resize((256, 256)) if path.is_file() else None
        return self.images[name]


def read_ac(path: str | Path) -> Mesh:
    """The mesh of an AC3D file; a face has the mean of its texture over itself, or its material's color."""
    return _Reader(Path(path)).read()
