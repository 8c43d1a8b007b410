"""Objects from a ShapeNetCore folder of your own, which may not be redistributed and so is not shipped.

    <folder>/02691156/<model>/models/model_normalized.obj     airplane; .mtl and textures optional
    <folder>/02958343, 03001627, 04379243                     car, chair, table

Which models are taken depends on the folder's names and the seed alone: names are sorted, then shuffled.
"""

from __future__ import annotations

__all__ = ["SYNSETS", "Organized", "download", "organize", "read_token"]

import importlib
import os
import zipfile
from collections.abc import Sequence
from pathlib import Path
from typing import NamedTuple

from ..files import DamagedFile
from ..seeds import numpy_generator
from ..text import nearest
from .obj import read_obj
from .objects import CATEGORIES, Library, Object, save_library

SYNSETS = {"airplane": "02691156", "car": "02958343", "chair": "03001627", "table": "04379243"}
"""WordNet numbers of the categories, the names of their folders"""
REPOSITORY = "ShapeNet/ShapeNetCore"

_MODEL = Path("models") / "model_normalized.obj"
_ABOUT = {"creator": "see ShapeNet", "licence": "ShapeNet terms of use: not to be redistributed"}
_TOKEN = (
    "ShapeNet is gated: accept its terms at https://huggingface.co/datasets/{repository}, then give --token, "
    "or put HF_TOKEN=... into the environment or a file .env"
)


class Organized(NamedTuple):
    """A library, and what was remarkable on the way, one line each."""

    library: Library
    notes: list[str]


def organize(
    source: str | Path, folder: str | Path, *, categories: Sequence[str] = CATEGORIES, objects: int = 13,
    seed: int = 0,
) -> Organized:  # fmt: skip
    """Choose models of a ShapeNetCore folder, and write them as a library to `folder`.

    objects: how many of each category. Models that cannot be read are passed over, for the next in the order,
    and told. Fronts, which are at -z in version 2 of ShapeNetCore, are turned to +z.
    Raises ValueError for unknown categories or too few models, telling what is there; `CannotWrite`.
    """
    source = Path(source)
    if unknown := [name for name in categories if name not in SYNSETS]:
        raise ValueError(f"unknown category {unknown[0]!r}: {nearest(unknown[0], SYNSETS)}")
    if objects < 1:
        raise ValueError(f"objects must be 1 or more, got {objects}")
    found = {category: _models(source, category, seed) for category in categories}
    if few := {name: len(paths) for name, paths in found.items() if len(paths) < objects}:
        raise ValueError(_too_few(source, few, objects))
    chosen, notes = [], []
    for category, paths in found.items():
        chosen += _chosen(category, paths, objects, notes)
    return Organized(save_library(folder, "shapenet", {"objects.npz": chosen}), notes)


def _models(source: Path, category: str, seed: int) -> list[Path]:
    """Of a category, in the order in which they are taken."""
    paths = sorted((source / SYNSETS[category]).glob(f"*/{_MODEL.as_posix()}"))
    order = numpy_generator(seed, "organize", category).permutation(len(paths))
    return [paths[i] for i in order]


def _chosen(category: str, paths: list[Path], objects: int, notes: list[str]) -> list[Object]:
    taken: list[Object] = []
    for path in paths:
        name = path.parts[-3]
        try:
            mesh, lacks = read_obj(path)
            mesh = mesh.normalised().turned(180)
        except (DamagedFile, ValueError) as error:
            notes.append(f"{category} {name} is passed over: {error}")
            continue
        notes += [f"{category} {name}: {lack}" for lack in dict.fromkeys(lacks)]
        about = {"title": name, "source": f"ShapeNetCore {SYNSETS[category]}/{name}"} | _ABOUT
        taken.append(Object(category, name, mesh, about))
        if len(taken) == objects:
            return taken
    raise ValueError(
        f"only {len(taken)} of {len(paths)} models of {category} can be read, {objects} are needed: "
        f"{notes[-1] if notes else 'ask for fewer'}"
    )


def _too_few(source: Path, few: dict[str, int], objects: int) -> str:
    lacking = ", ".join(f"{count} of {name} (in {SYNSETS[name]}/)" for name, count in few.items())
    inside = sorted(path.name for path in source.iterdir())[:5] if source.is_dir() else []
    there = f"it holds {', '.join(inside) or 'nothing'}" if source.is_dir() else "there is no such folder"
    return (
        f"{source}: models found: {lacking}; {objects} are needed of each; {there}. PATH must hold "
        f"SYNSET/MODEL/{_MODEL.as_posix()}; or ask for fewer with --objects and --categories"
    )


def download(
    file: str, folder: str | Path, *, token: str | None = None, repository: str = REPOSITORY
) -> Path:
    """Get a file of a Hugging Face dataset, such as `03001627.zip`, into `folder`, and unpack it there.

    Returns the folder to organize. Needs the extra `huggingface`. Raises ImportError without it; ValueError
    without a token (see `read_token`), or telling why the file cannot be had.
    """
    try:
        hub = importlib.import_module("huggingface_hub")
    except ImportError as error:
        raise ImportError("downloads need the extra huggingface: pip install huggingface-hub") from error
    if not (token := token or read_token()):
        raise ValueError(_TOKEN.format(repository=repository))
    folder = Path(folder)
    try:
        got = Path(hub.hf_hub_download(repository, file, repo_type="dataset", token=token, local_dir=folder))
    except Exception as error:  # of whatever the hub and the network raise
        reason = str(error).replace(token, "...").strip() or type(error).__name__
        gated = _TOKEN.format(repository=repository)
        raise ValueError(f"{repository} {file} cannot be had: {reason}. {gated}") from None
    if got.suffix == ".zip":
        with zipfile.ZipFile(got) as archive:
            archive.extractall(folder)
    return folder


def read_token(folder: str | Path = ".") -> str | None:
    """HF_TOKEN of the environment, or of a line HF_TOKEN=... in the file `.env` of a folder, or None."""
    if token := os.environ.get("HF_TOKEN"):
        return token
    path = Path(folder) / ".env"
    lines = path.read_text("utf-8").splitlines() if path.is_file() else []
    for line in lines:
        name, _, value = line.strip().removeprefix("export ").partition("=")
        if name.strip() == "HF_TOKEN" and value.strip():
            return value.strip().strip("'\"")
    return None
