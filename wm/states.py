"""Saved states: arrays with named dimensions and units, as HDF5 (several arrays) or `.npy` (one).

Beside each file lies `<path>.json`, sealed, with the file's sha256, the dimensions, units and attributes.
"""

from __future__ import annotations

__all__ = ["check_own", "load_states", "save_states", "states_info", "versions"]

import hashlib
import io
import json
import platform
from collections.abc import Collection, Iterator, Mapping
from contextlib import contextmanager
from importlib.metadata import version
from pathlib import Path
from typing import TYPE_CHECKING, Any, BinaryIO

import numpy as np

from . import __version__
from .files import DamagedFile, WrongSchema, check_schema, parsing, read_json, seal, to_json, write_all

if TYPE_CHECKING:  # machines that only train may lack it
    import h5py

SCHEMA = 1
NUMBERS = "biufc"  # dtype kinds: bool, int, uint, float, complex
FILTERS = {"compression": "gzip", "compression_opts": 9, "shuffle": True, "fletcher32": True}
LAYOUT = "v110"
"""format of HDF5 1.10, which spends less on the description of an array than the usual one of 1.6"""
# Deflate packs at most 1032 bytes into one: a dataset beyond that declares more numbers than the file holds.
LARGEST_RATIO = 1032


def versions() -> dict[str, str]:
    """Versions of python, numpy, torch and wm, for the record of what is saved."""
    installed = {name: version(name) for name in ("numpy", "torch")}  # importing torch takes two seconds
    return {"python": platform.python_version()} | installed | {"wm": __version__}


def save_states(
    path: str | Path,
    arrays: Mapping[str, np.ndarray],
    *,
    dims: Mapping[str, Collection[str]],
    units: Mapping[str, str],
    attrs: Mapping[str, Any] | None = None,
) -> Path:
    """Save arrays of numbers to `path` (`.h5`, or `.npy` for one array) and its sidecar; return the path.

    `dims` names the axes of each array, e.g. `("network", "trial", "time", "unit")`; `units` gives the unit
    of its values, e.g. `"Hz"` (`"1"` if it has none); `attrs` is kept as JSON. dtypes are preserved.
    Raises `ValueError` for another suffix, missing or unfitting dims or units, or values that are not
    numbers; `CannotWrite`.
    """
    path = Path(path)
    arrays = {name: np.asarray(array, order="C") for name, array in arrays.items()}
    record = {"schema": SCHEMA, "versions": versions(), "attrs": dict(attrs or {})}
    record["arrays"] = {name: _describe(name, array, dims, units) for name, array in arrays.items()}
    content = _npy(path, arrays) if _suffix(path) == ".npy" else _hdf5(arrays, record)
    hashes = {"sha256": hashlib.sha256(content).hexdigest(), "bytes": len(content)}
    write_all({path: content, _sidecar(path): seal(to_json({"seal": "0" * 64} | hashes | record))})
    return path


def states_info(path: str | Path) -> dict[str, Any]:
    """What the sidecar tells: `arrays` (name -> shape, dtype, dims, units), `attrs`, `versions`, `sha256`.

    Raises `DamagedFile` for a missing or changed sidecar, `WrongSchema` for one of another version.
    """
    _suffix(Path(path))
    sidecar = _sidecar(Path(path))
    info = read_json(sidecar, sealed=True)
    with parsing(sidecar):
        check_schema(sidecar, info["schema"], SCHEMA)
        return info


def load_states(path: str | Path, names: Collection[str] | None = None) -> dict[str, np.ndarray]:
    """Load the arrays `names` (all if None) of a state file, in the shapes that `states_info` tells.

    Raises `DamagedFile` if the file is not what its sidecar describes or reaches outside itself (links,
    external storage, virtual datasets); `WrongSchema` for a name that it does not have.
    """
    path, info = Path(path), states_info(path)
    if missing := [name for name in names or () if name not in info["arrays"]]:
        raise WrongSchema(path, f"has no array {', '.join(missing)}", f"it has {', '.join(info['arrays'])}")
    wanted = list(info["arrays"] if names is None else names)
    with _verified(path, info["sha256"]) as file, parsing(path):
        return _read_npy(file, info, wanted) if path.suffix == ".npy" else _read_hdf5(file, info, wanted)


def _sidecar(path: Path) -> Path:
    return path.with_name(path.name + ".json")


def _suffix(path: Path) -> str:
    if path.suffix not in (".h5", ".npy"):
        raise ValueError(f"{path}: states are saved as .h5 or .npy, not {path.suffix or 'without a suffix'}")
    return path.suffix


def _describe(name: str, array: np.ndarray, dims: Mapping, units: Mapping) -> dict[str, Any]:
    if "/" in name or name in ("", "."):
        raise ValueError(f"array name {name!r}: a name is not empty and has no slash")
    if array.dtype.kind not in NUMBERS:
        raise ValueError(f"array {name} has dtype {array.dtype}: only numbers and bool are saved")
    if name not in dims or len(dims[name]) != array.ndim:
        raise ValueError(f"array {name} has shape {array.shape}: `dims` must name its {array.ndim} axes")
    if name not in units:
        raise ValueError(f'array {name} has no entry in `units`: give one ("1" if it has no unit)')
    shape = {"shape": list(array.shape), "dtype": array.dtype.str}
    return shape | {"dims": list(dims[name]), "units": units[name]}


def _npy(path: Path, arrays: Mapping[str, np.ndarray]) -> bytes:
    if len(arrays) != 1:
        raise ValueError(f"{path}: a .npy file holds one array, not {len(arrays)}: use .h5")
    buffer = io.BytesIO()
    np.save(buffer, *arrays.values(), allow_pickle=False)
    return buffer.getvalue()


def _hdf5(arrays: Mapping[str, np.ndarray], record: Mapping[str, Any]) -> bytes:
    import h5py

    # Made in memory: HDF5 itself does not survive a full disk.
    with h5py.File("memory", "w", driver="core", backing_store=False, libver=(LAYOUT, LAYOUT)) as file:
        file.attrs.update({key: json.dumps(value) for key, value in record.items() if key != "arrays"})
        for name, array in arrays.items():
            # Filters need chunks, which an array without axes or elements cannot have. One holds everything.
            packed = FILTERS | {"chunks": array.shape} if array.ndim and array.size else {}
            dataset = file.create_dataset(name, data=array, **packed)
            described = record["arrays"][name]
            dataset.attrs.update(dims=json.dumps(described["dims"]), units=described["units"])
        file.flush()
        return file.id.get_file_image()


@contextmanager
def _verified(path: Path, sha256: str) -> Iterator[BinaryIO]:
    """The open file, after its hash has proved right: what is parsed is what was hashed."""
    with parsing(path), open(path, "rb") as file:
        if hashlib.file_digest(file, "sha256").hexdigest() != sha256:
            raise DamagedFile(path, f"the content does not match the sha256 in {_sidecar(path).name}")
        file.seek(0)
        yield file


def _read_npy(file: BinaryIO, info: Mapping[str, Any], names: list[str]) -> dict[str, np.ndarray]:
    # read_array knows .npy alone; np.load would also open a zip archive.
    array = np.lib.format.read_array(file, allow_pickle=False)
    ((only, described),) = info["arrays"].items()
    _check_described(only, array, described)
    return {only: array} if only in names else {}


def _read_hdf5(file: BinaryIO, info: Mapping[str, Any], names: list[str]) -> dict[str, np.ndarray]:
    import h5py

    with h5py.File(file, "r") as opened:
        if set(opened) != set(info["arrays"]):
            raise ValueError("its arrays are not those that its sidecar describes")
        for name, described in info["arrays"].items():
            check_own(opened, name)
            _check_described(name, opened[name], described)
        return {name: np.asarray(opened[name][()], opened[name].dtype) for name in names}


def check_own(file: h5py.File, name: str) -> None:
    """Refuse, before anything is read, a dataset whose numbers are not in this very file.

    Raises ValueError for a link, a group, external storage, a virtual dataset, or a size beyond the file's.
    """
    import h5py

    if not isinstance(link := file.get(name, getlink=True), h5py.HardLink):
        raise ValueError(f"{name} is a {type(link).__name__}, which may show any file of this machine")
    if not isinstance(dataset := file[name], h5py.Dataset):
        raise ValueError(f"{name} is a {type(dataset).__name__}, not a dataset")
    if dataset.external or dataset.is_virtual:
        raise ValueError(f"{name} has its numbers in another file (external storage or virtual dataset)")
    if dataset.nbytes > LARGEST_RATIO * dataset.id.get_storage_size():
        raise ValueError(f"{name} declares {dataset.nbytes} bytes, more than the file can hold")


def _check_described(name: str, array: np.ndarray | h5py.Dataset, described: Mapping[str, Any]) -> None:
    if array.dtype.kind not in NUMBERS:
        raise ValueError(f"{name} has dtype {array.dtype}, not numbers")
    found = {"shape": list(array.shape), "dtype": array.dtype.str}
    if found != {key: described[key] for key in found}:
        raise ValueError(f"{name} is {found}, not as its sidecar describes")
