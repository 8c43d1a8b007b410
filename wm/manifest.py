"""What each figure depends on, as small JSON files of content hashes: the inputs of the rules in Snakefile.

A manifest is rewritten only when its content changes. So a changed code cell, parameter, line of `wm` or byte
of data reruns just the figures that depend on it, and touching, commenting or checking out reruns nothing.

    manifests/notebook-13.json     code cells and parameters of one notebook, and the figures it declares
    manifests/shared.json          modules that all systems share, and versions of the numerical packages
    manifests/ring.json            modules of one system
    manifests/ring-data.json       networks, states and scalars of one system
    manifests/read-assets-x.json   anything else that a notebook declares to read
"""

__all__ = ["hashes", "refresh", "systems_of", "tree_hash"]

import ast
import hashlib
import json
from collections.abc import Mapping
from functools import cache
from importlib import metadata
from pathlib import Path

from wm import paths
from wm.files import DamagedFile, sha256, to_json, write_atomic
from wm.index import Figure
from wm.lint import code_hash

# These run, sum up or list the notebooks; nothing that is drawn passes through them.
_OUTSIDE = {
    "__main__.py", "arguments.py", "cli.py", "explore.py", "explore_notebook.py", "gallery.py", "index.py",
    "kernel.py", "lint.py", "manifest.py", "notebook.py", "notebook_page.py", "origin.py", "parameters.py",
    "provenance.py", "run_folder.py", "show.py", "text.py", "workflow.py",
}  # fmt: skip
_PACKAGES = ("numpy", "scipy", "torch", "scikit-learn", "matplotlib")
_DATA = {"data": paths.data, "data_npy": paths.data_npy, "data_json": paths.data_json}
_IGNORED = {".ipynb", ".pyc"}


def refresh(index: Mapping[str, Figure], results: Path, *, smoke: bool = False) -> dict[str, list[Path]]:
    """Bring the manifests below `results` up to date; return those that each figure number depends on."""
    folder = results / "manifests"
    write = cache(lambda name: _write(folder, name, _content(name)))
    return {
        number: [_write(folder, f"notebook-{number}", _notebook(figure, smoke)), *map(write, _names(figure))]
        for number, figure in index.items()
    }


def systems_of(figure: Figure) -> list[str]:
    """Systems whose modules and data a figure depends on: its own, and those whose data it reads."""
    return sorted({figure.system, *(entry.split("/")[1] for entry in figure.reads if _is_data(entry))})


def _is_data(entry: str) -> bool:
    return entry.split("/")[0] in _DATA and "/" in entry


def _names(figure: Figure) -> list[str]:
    systems, others = systems_of(figure), [entry for entry in figure.reads if not _is_data(entry)]
    return ["shared", *systems, *(f"{system}-data" for system in systems), *(f"read-{e}" for e in others)]


def _notebook(figure: Figure, smoke: bool) -> dict[str, object]:
    try:
        code = code_hash(paths.notebooks() / figure.notebook)
    except DamagedFile as error:  # its run will fail and say so; the other figures must not wait for that
        code = str(error)
    return {"code": code, "figures": list(figure.figures), "parameters": {"smoke": True} if smoke else {}}


def _content(name: str) -> dict[str, str]:
    if name == "shared":
        modules = hashes(paths.root() / "wm", deep=False)
        versions = {package: metadata.version(package) for package in _PACKAGES}
        return {module: digest for module, digest in modules.items() if module not in _OUTSIDE} | versions
    if name.startswith("read-"):
        return hashes(paths.root() / name.removeprefix("read-"))
    if name.endswith("-data"):
        found = {kind: hashes(place() / name.removesuffix("-data")) for kind, place in _DATA.items()}
        return {f"{kind}/{file}": digest for kind in found for file, digest in found[kind].items()}
    return hashes(paths.root() / "wm" / name)


def _write(folder: Path, name: str, content: object) -> Path:
    path, text = folder / f"{name.replace('/', '-')}.json", to_json(content)
    if not path.is_file() or path.read_bytes() != text:
        write_atomic(path, text)
    return path


def tree_hash(place: Path) -> str:
    """One hash of a file, or over the names and contents of a folder's files."""
    return hashlib.sha256(json.dumps(hashes(place)).encode()).hexdigest() if place.is_dir() else _hash(place)


def hashes(place: Path, *, deep: bool = True) -> dict[str, str]:
    """Hash by name of a folder's files (not notebooks, not hidden ones), or of a file, then named `"."`."""
    found = sorted(place.rglob("*") if deep else place.glob("*")) if place.is_dir() else [place]
    files = {path.relative_to(place): path for path in found if path.is_file()}
    return {name.as_posix(): _hash(path) for name, path in files.items() if not _ignored(name)}


def _ignored(name: Path) -> bool:
    return name.suffix in _IGNORED or any(part.startswith((".", "__pycache__")) for part in name.parts)


def _hash(path: Path) -> str:
    if path.suffix != ".py":
        return sha256(path)
    try:  # the parsed code, so that comments and line breaks do not count
        return hashlib.sha256(ast.dump(ast.parse(path.read_bytes())).encode()).hexdigest()
    except SyntaxError:
        return sha256(path)
