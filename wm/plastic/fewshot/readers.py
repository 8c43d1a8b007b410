"""A user's own Omniglot (Lake et al. 2015) and CIFAR-100 (Krizhevsky 2009), in their original files."""

from __future__ import annotations

__all__ = ["ARCHIVE", "SOURCES", "read_cifar100", "read_omniglot"]

import gzip
import re
import tarfile
from collections.abc import Iterator
from pathlib import Path

import numpy as np
from PIL import Image

from ...files import DamagedFile, parsing, read_bytes
from .image_set import ImageSet

SOURCES = {
    "omniglot": "unpack images_background.zip and images_evaluation.zip of "
    "https://github.com/brendenlake/omniglot (folder python) into one folder, which --data-root or WM_IMAGES "
    "names, or fetch it with `wm plastic download omniglot`",
    "cifarfs": "take the binary version, cifar-100-binary.tar.gz, from "
    "https://www.cs.toronto.edu/~kriz/cifar.html into a folder, which --data-root or WM_IMAGES names, or "
    "fetch it with `wm plastic download cifarfs`",
}
"""where to get the files"""
ARCHIVE = "cifar-100-binary.tar.gz"

_HALVES = ("images_background", "images_evaluation")
_DRAWING = re.compile(r"\d+_(\d+)\.png")
_RECORDS = {"train.bin": 50_000, "test.bin": 10_000}
_NAMES = {"fine_label_names.txt": 100, "coarse_label_names.txt": 20}
_RECORD = 2 + 3 * 32 * 32  # bytes: coarse label, fine label, the three colours one after another
_LARGEST = max(_RECORDS.values()) * _RECORD
_REST = 2**20  # bytes; an archive ends with some kilobytes of zeros
_PICKLED = "holds pickle files, and reading a pickle can run any code"


def read_omniglot(root: str | Path, *, size: int = 32) -> ImageSet:
    """Omniglot from `images_{background,evaluation}/<alphabet>/<character>/<number>_<drawer>.png`.

    Images (image, size, size, 1), shrunk smoothly, black ink on white; classes `<alphabet>/<character>`,
    groups alphabets, designs drawers. Raises `DamagedFile` for what is missing or no picture.
    """
    drawings = [drawing for half in _halves(Path(root)) for drawing in _drawings(half)]
    images = np.array([_shrunk(path, size) for _, _, path in drawings])[..., None]
    names = list(dict.fromkeys(name for name, _, _ in drawings))
    number = {name: k for k, name in enumerate(names)}
    classes = np.array([number[name] for name, _, _ in drawings])
    designs = np.array([drawer for _, drawer, _ in drawings])
    return ImageSet(
        "omniglot", images, classes, tuple(names), designs, tuple(name.split("/")[0] for name in names)
    )


def _halves(root: Path) -> list[Path]:
    for place in (root, root / "omniglot-py"):  # the second is where torchvision puts them
        if any((place / half).is_dir() for half in _HALVES):
            root = place
    for half in _HALVES:
        if not (root / half).is_dir():
            packed = ", it is still packed" if (root / f"{half}.zip").exists() else ""
            raise DamagedFile(root / half, f"is missing{packed}", SOURCES["omniglot"])
    return [root / half for half in _HALVES]


def _drawings(half: Path) -> Iterator[tuple[str, int, Path]]:
    """Class name, drawer and path of every drawing of one half, in the order of their names."""
    characters = sorted(path for path in half.glob("*/*") if path.is_dir())
    if not characters:
        raise DamagedFile(half, "has no folders <alphabet>/<character>", SOURCES["omniglot"])
    for character in characters:
        paths = sorted(character.glob("*.png"))
        if not paths:
            raise DamagedFile(character, "has no drawings (.png)", SOURCES["omniglot"])
        for path in paths:
            if not (found := _DRAWING.fullmatch(path.name)):
                raise DamagedFile(path, "is not named <number>_<drawer>.png", SOURCES["omniglot"])
            yield f"{character.parent.name}/{character.name}", int(found[1]), path


def _shrunk(path: Path, size: int) -> np.ndarray:
    with parsing(path, again=SOURCES["omniglot"]), Image.open(path) as picture:
        return np.asarray(picture.convert("L").resize((size, size), Image.Resampling.BILINEAR))


def read_cifar100(root: str | Path) -> ImageSet:
    """CIFAR-100, all images of both files, from its binary version: the archive, its folder, or one with it.

    Images (image, 32, 32, 3); classes are the fine labels, groups their superclasses; every image is a design
    of its own. The archive is read without unpacking it. Raises `DamagedFile` for what is missing, cut or
    changed, and for the version of pickle files, which can run any code when read.
    """
    place = _place(Path(root))
    files = _members(place) if place.is_file() else _files(place)
    records = np.concatenate([_records(place, name, files[name]) for name in _RECORDS])
    fine, coarse = (_names(place, name, files[name]) for name in _NAMES)
    if records[:, 0].max() >= len(coarse) or records[:, 1].max() >= len(fine):
        raise _damaged(place, "a label has no name")
    groups = np.full(len(fine), -1)
    groups[records[:, 1]] = records[:, 0]
    counts = np.bincount(records[:, 1], minlength=len(fine))
    if counts.min() < counts.max() or not np.array_equal(groups[records[:, 1]], records[:, 0]):
        raise _damaged(place, "classes differ in size or lie in two superclasses: records are lost or wrong")
    images = np.ascontiguousarray(records[:, 2:].reshape(-1, 3, 32, 32).transpose(0, 2, 3, 1))
    classes = records[:, 1].astype(np.int64)
    superclasses = tuple(coarse[group] for group in groups)
    return ImageSet("cifarfs", images, classes, fine, np.arange(len(images)), superclasses)


def _damaged(place: Path, what: str) -> DamagedFile:
    return DamagedFile(place, what, SOURCES["cifarfs"])


def _place(root: Path) -> Path:
    """The folder with `train.bin`, or the archive, at `root` or in it."""
    if "cifar-100-python" in root.name:
        raise _damaged(root, _PICKLED)
    for place in (root, root / "cifar-100-binary", root / ARCHIVE):
        if place.is_file() or any((place / name).exists() for name in _RECORDS):
            return place
    for name in ("cifar-100-python", "cifar-100-python.tar.gz"):
        if (root / name).exists():
            raise _damaged(root / name, _PICKLED)
    if all((root / name).exists() for name in ("train", "test", "meta")):
        raise _damaged(root, _PICKLED)
    raise _damaged(root, f"has no train.bin and no {ARCHIVE}" if root.is_dir() else "is missing")


def _files(folder: Path) -> dict[str, bytes]:
    return {name: read_bytes(folder / name, again=SOURCES["cifarfs"]) for name in (*_RECORDS, *_NAMES)}


def _members(archive: Path) -> dict[str, bytes]:
    """The wanted files of an archive, by name; nothing is written, nothing larger than they are read."""
    found, wanted = {}, {*_RECORDS, *_NAMES}
    with parsing(archive, again=SOURCES["cifarfs"]), gzip.open(archive) as stream:
        with tarfile.open(fileobj=stream, mode="r:") as opened:
            for member in opened:
                name = Path(member.name)
                if "cifar-100-python" in name.parts:
                    raise _damaged(archive, _PICKLED)
                if member.size > _LARGEST:
                    raise _damaged(archive, f"{name.name} is larger than anything in CIFAR-100")
                if name.name in wanted and member.isfile():
                    found[name.name] = opened.extractfile(member).read()
        if len(stream.read(_REST)) == _REST:  # to the end, where gzip compares its checksum
            raise _damaged(archive, "goes on behind its end")
    if missing := sorted(wanted - found.keys()):
        raise _damaged(archive, f"has no {', '.join(missing)}")
    return found


def _records(place: Path, name: str, content: bytes) -> np.ndarray:
    """(image, 2 + 3 * 32 * 32) uint8: coarse label, fine label, pixels."""
    if not content or len(content) % _RECORD:
        raise _damaged(place, f"{name} is cut: {len(content)} bytes are not records of {_RECORD}")
    if len(content) > _RECORDS[name] * _RECORD:
        raise _damaged(place, f"{name} is larger than that of CIFAR-100")
    return np.frombuffer(content, dtype=np.uint8).reshape(-1, _RECORD)


def _names(place: Path, name: str, content: bytes) -> tuple[str, ...]:
    with parsing(place / name if place.is_dir() else place, again=SOURCES["cifarfs"]):
        names = tuple(content.decode("ascii").split())
        if len(names) > _NAMES[name] or len(set(names)) < len(names):
            raise ValueError(f"{name} does not hold up to {_NAMES[name]} names, each once")
    return names
