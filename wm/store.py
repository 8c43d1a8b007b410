"""The only reader and writer of networks, states and tables.

A network is a folder `<system>/<name>/` with `weights.safetensors`, `history.json` and, written last, the
sealed `network.json` with the sha256 of the other two. Without a valid `network.json` there is no network.

`data/MANIFEST.json`, sealed, holds the sha256 of what is shipped: each `network.json`, sidecar of states and
table; the first two hold the hashes of the rest. What is not in it is the user's own.
"""

__all__ = [
    "CannotWrite", "DamagedFile", "Network", "Problem", "StoreError", "UnknownNetwork", "WrongSchema",
    "list_networks", "load_network", "load_states", "read_table", "save_network", "save_states",
    "saved_files", "states_info", "verify", "write_json", "write_table",
]  # fmt: skip

import hashlib
import re
import shlex
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from datetime import UTC, datetime
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
from safetensors.numpy import load, save

from . import paths
from .files import (
    TEMPORARY,
    CannotWrite,
    DamagedFile,
    StoreError,
    WrongSchema,
    check_schema,
    parse_json,
    parsing,
    read_bytes,
    read_json,
    read_table,
    seal,
    sha256,
    to_json,
    write_all,
    write_atomic,
    write_json,
    write_table,
)
from .states import load_states, save_states, states_info, versions
from .text import nearest

SCHEMA = 1
RECORD, WEIGHTS, HISTORY = "network.json", "weights.safetensors", "history.json"
MANIFEST = "MANIFEST.json"
EXPLORER = "explore.ipynb"


class UnknownNetwork(StoreError, LookupError):
    """There is no network of this name."""


@dataclass(frozen=True, eq=False)
class Network:
    """One saved network."""

    system: str
    """System it belongs to, e.g. `"ring"`."""
    name: str
    """Its name, e.g. `"rt-07"`; letters, digits and `._-`."""
    record: dict[str, Any] = field(default_factory=dict)
    """What it is and how it was made, as JSON: configuration, seed, scores."""
    weights: dict[str, np.ndarray] = field(default_factory=dict)
    """Arrays by name, of any shape; dtypes are preserved."""
    history: dict[str, list] = field(default_factory=dict)
    """Metrics during training, as JSON: one list for each."""


class Problem(NamedTuple):
    """What `verify` finds wrong."""

    path: Path
    what: str
    remedy: str


def save_network(network: Network, folder: str | Path | None = None) -> Path:
    """Save a network to `<folder>/<system>/<name>/` (by default in `paths.data()`); return that path.

    Raises `ValueError` for a name that is not a plain file name, weights that are not numbers, or a record or
    history that JSON does not hold; `CannotWrite`.
    """
    place = _place(network.system, network.name, folder)
    files = {WEIGHTS: _pack(network.weights), HISTORY: to_json(network.history)}
    record = {
        "seal": "0" * 64, "schema": SCHEMA, "system": network.system, "name": network.name,
        "record": network.record, "created_utc": datetime.now(UTC).isoformat(timespec="seconds"),
        "versions": versions(), "files": {name: _fingerprint(content) for name, content in files.items()},
    }  # fmt: skip
    write_all({place / name: content for name, content in (files | {RECORD: seal(to_json(record))}).items()})
    return place


def load_network(system: str, name: str, folder: str | Path | None = None) -> Network:
    """Load a network from `<folder>/<system>/<name>/` (by default in `paths.data()`).

    Raises `UnknownNetwork` with the nearest names; `DamagedFile` if any of its files is missing or changed;
    `WrongSchema` if another version wrote it; `ValueError` for a name that is not a plain file name.
    """
    place = _place(system, name, folder)
    if not place.is_dir():
        raise UnknownNetwork(place, "there is no such network", _suggest(system, name, folder))
    again = f"{_restore(place)}, or train {name} again"
    if not (place / RECORD).is_file():
        raise DamagedFile(place, f"is incomplete, {RECORD} is missing", again)
    record = read_json(place / RECORD, again=again, sealed=True)
    with parsing(place / RECORD, again=again):
        check_schema(place / RECORD, record["schema"], SCHEMA)
        if (record["system"], record["name"]) != (system, name):
            raise ValueError(f"it is the record of {record['system']}/{record['name']}")
        files = record["files"]
        weights, history = (_checked(place / file, files[file], again) for file in (WEIGHTS, HISTORY))
        return Network(system, name, record["record"], load(weights), parse_json(history))


def list_networks(system: str | None = None, folder: str | Path | None = None) -> list[tuple[str, str]]:
    """(system, name) of every network in `folder` (by default `paths.data()`) with a record, sorted."""
    found = _root(folder).glob(f"{_plain_name(system) if system else '[!.]*'}/[!.]*/{RECORD}")
    return sorted((record.parts[-3], record.parts[-2]) for record in found)


def saved_files() -> list[Path]:
    """Every file in `paths.data()`, `data_npy()` and `data_json()`, but none in hidden folders."""
    return [path for folder in _folders().values() for path in _files(folder)]


def verify(*, record: bool = False) -> list[Problem]:
    """Check every network, state file, JSON and CSV: what is missing, damaged, incomplete or left over.

    Then compare with `data/MANIFEST.json`; `record` first writes it anew, unless something is damaged or
    nothing is there. Raises `CannotWrite`.
    """
    data, checks = paths.data(), [check for path in saved_files() for check in _file_checks(path)]
    for place in sorted(place for place in data.glob("[!.]*/[!.]*") if place.is_dir()):
        checks.append((place, lambda place=place: load_network(place.parent.name, place.name, data)))
    found = [problem for path, check in checks for problem in _problems(path, check)]
    if record and not found and (hashes := _hashes()):
        write_atomic(data / MANIFEST, seal(to_json({"seal": "0" * 64, "schema": SCHEMA, "files": hashes})))
    told = {problem.path for problem in found}
    return found + [other for other in _unlike_manifest() if not told & {other.path, other.path.parent}]


def _folders() -> dict[str, Path]:
    return {"data": paths.data(), "data_npy": paths.data_npy(), "data_json": paths.data_json()}


def _files(folder: Path) -> list[Path]:
    found = (path for path in folder.rglob("*") if path.is_file())
    return sorted(
        path for path in found if not any(part[0] == "." for part in path.relative_to(folder).parts[:-1])
    )


def _hashes() -> dict[str, str]:
    """What the manifest holds: `data_json/ring/networks.csv` (whatever the folders' own names) -> sha256."""
    return {
        f"{name}/{path.relative_to(folder).as_posix()}": sha256(path)
        for name, folder in _folders().items()
        for path in _files(folder)
        if path.name.endswith((RECORD, ".csv", ".h5.json", ".npy.json"))
    }


def _unlike_manifest() -> Iterator[Problem]:
    path, remedy = paths.data() / MANIFEST, "record what is there with `wm verify --record`"
    try:
        hashes, folders = _hashes(), _folders()
        other = remedy if list_networks() else "check WM_DATA: no network is saved there"
        recorded = read_json(path, again=f"{_restore(path)}, or {other}", sealed=True)
        check_schema(path, recorded["schema"], SCHEMA)
    except StoreError as error:
        yield Problem(error.path, error.what, error.remedy)
        return
    for key, expected in recorded["files"].items():
        if (found := hashes.get(key)) != expected:
            name, _, rest = key.partition("/")
            what = "has changed since it was recorded" if found else "is missing, though recorded"
            place = folders[name] / rest
            yield Problem(place, f"{what} in {MANIFEST}", f"{_restore(place)}; if it is meant, {remedy}")


def _restore(path: Path) -> str:
    return f"restore it with `git checkout -- {shlex.quote(str(path))}`"


def _root(folder: str | Path | None) -> Path:
    return paths.data() if folder is None else Path(folder)


def _place(system: str, name: str, folder: str | Path | None) -> Path:
    return _root(folder) / _plain_name(system) / _plain_name(name)


def _plain_name(name: str) -> str:
    if not re.fullmatch(r"[A-Za-z0-9_-][A-Za-z0-9._-]{0,99}", name):
        raise ValueError(f"name {name!r}: up to 100 letters, digits and . _ - (none of . at the start)")
    return name


def _suggest(system: str, name: str, folder: str | Path | None) -> str:
    known = ["/".join(pair) for pair in list_networks(folder=folder)]
    return nearest(f"{system}/{name}", known, f"`wm show` lists the {len(known)} that there are")


def _pack(weights: dict[str, np.ndarray]) -> bytes:
    # A copy in C order: safetensors writes the bytes of any other order as they lie in memory.
    arrays = {name: np.array(array, order="C") for name, array in weights.items()}
    for name, array in arrays.items():
        if array.dtype.kind not in "biuf":
            raise ValueError(f"weights {name} have dtype {array.dtype}: only real numbers and bool are saved")
    return save(arrays)


def _fingerprint(content: bytes) -> dict[str, Any]:
    return {"sha256": hashlib.sha256(content).hexdigest(), "bytes": len(content)}


def _checked(path: Path, expected: dict[str, Any], again: str) -> bytes:
    content = read_bytes(path, again=again)
    if _fingerprint(content) != expected:
        raise DamagedFile(path, f"the content does not match the sha256 in {RECORD}", again)
    return content


def _file_checks(path: Path) -> Iterator[tuple[Path, Callable[[], Any]]]:
    """The check of a file that is not part of a network."""
    described = path.with_name(path.stem)
    if path.name.startswith(TEMPORARY):
        yield path, lambda: _leftover(path)
    elif path.suffix in (".h5", ".npy"):
        yield path, lambda: load_states(path, names=())
    elif path.suffix == ".json" and described.suffix in (".h5", ".npy"):
        yield described, lambda: read_bytes(described)
    elif path.suffix == ".json" and path.name != MANIFEST and not (path.parent / RECORD).exists():
        yield path, lambda: read_json(path)
    elif path.suffix == ".csv":
        yield path, lambda: read_table(path)
    elif path.name == EXPLORER:
        again = f"write it again with `wm explore --no-open {path.parent.name}`"
        yield path, lambda: read_json(path, again=again)


def _leftover(path: Path) -> None:
    raise StoreError(path, "is left over from a write that was killed", "delete it")


def _problems(path: Path, check: Callable[[], Any]) -> Iterator[Problem]:
    try:
        check()
    except StoreError as error:
        yield Problem(error.path, error.what, error.remedy)
    except ValueError as error:
        yield Problem(path, str(error), "rename it")
