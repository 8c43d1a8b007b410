"""Files of measurements: what was measured now beside the rows of other families, and a record of both.

A measure of a system writes tables `data_json/<system>/*.csv`, states `data_npy/<system>/*.h5` (an array for
each family), and last, so that their bytes do not depend on it, `data_json/<system>/<measure>.json`::

    files   {"data_json/ring/correlations.csv": sha256, ...}
    runs    [{"families": [...], "command": "wm states ring correlations", "settings": {...},
              "seconds": 212.0, "device": ..., "platform": ..., and versions}, ...]

Each run has the families that no later one measured. There is no date.
"""

__all__ = ["Measuring", "States", "read"]

import inspect
import time
from collections.abc import Callable, Iterable, Mapping, Sequence
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
import pandas as pd

from . import paths, store
from .files import StoreError, WrongSchema, read_json, sha256


class States(NamedTuple):
    """What a file of states holds, by family: arrays without units, all with the same axes `dims`; of float32
    four digits are kept.

    Attributes that are dictionaries are by family, too.
    """

    arrays: dict[str, np.ndarray]
    dims: tuple[str, ...]
    attrs: dict[str, Any]


class Measuring:
    """One run of a measure, from now until `save`.

    which: `<system>/<measure>`; function: what measures, called with `options`; families: those that it
    measures now; known: all families of the system, in the order of the rows.
    """

    def __init__(
        self, which: str, function: Callable, families: Sequence[str], *, known: Iterable[str],
        options: Mapping[str, Any],
    ):  # fmt: skip
        self.system, self.name = which.split("/")
        self.function, self.families, self.options = function, list(families), dict(options)
        self.known, self.begun = list(known), time.perf_counter()

    def save(self, tables: Mapping[str, pd.DataFrame], states: Mapping[str, States] | None = None) -> None:
        """Write tables, states and record; rows and arrays of families that were not measured now stay.

        An earlier file that cannot be read or has other columns is replaced if all families were measured.
        Raises `wm.store.DamagedFile` or `WrongSchema` for it if only some were asked for, `CannotWrite`.
        """
        earlier, names = self._earlier_runs(), []
        for name, rows in tables.items():
            path = _table(self.system, name)
            store.write_table(path, self._with_others(path, rows))
            names.append(f"data_json/{self.system}/{path.name}")
        for name, new in (states or {}).items():
            path = paths.data_npy() / self.system / f"{name}.h5"
            arrays, dims, attrs = self._with_other_states(path, new)
            of_each = {"dims": dict.fromkeys(arrays, dims), "units": dict.fromkeys(arrays, "1")}
            arrays = {family: _four_digits(array) for family, array in arrays.items()}
            store.save_states(path, arrays, **of_each, attrs=attrs)
            names.append(f"data_npy/{self.system}/{path.name}")
        files = {name: sha256(_place(name)) for name in names}
        store.write_json(self._record, {"files": files, "runs": [*earlier, self._run()]})

    @property
    def _record(self) -> Path:
        return paths.data_json() / self.system / f"{self.name}.json"

    def _run(self) -> dict[str, Any]:
        from .train import environment  # imports torch

        settings = {key: value for key, value in self.options.items() if key not in ("device", "families")}
        about = {"families": self.families, "command": self._command(), "settings": settings}
        seconds = round(time.perf_counter() - self.begun, 1)
        return about | {"seconds": seconds} | environment(self.options["device"])

    def _command(self) -> str:
        """The command line that measures so, or the call where no option of the command says it."""
        usual = inspect.signature(self.function).parameters
        given = {key: value for key, value in self.options.items() if value != usual[key].default}
        if given.keys() - {"device", "families"}:
            options = ", ".join(f"{key}={value!r}" for key, value in given.items())
            name = getattr(self.function, "__name__", "measure")
            return f"{self.function.__module__}.{name}({options})"
        words = ["wm", "states", self.system, self.name]
        words += ["--families", *self.families] if given.get("families") else []
        return " ".join(words + (["--device", self.options["device"]] if "device" in given else []))

    def _earlier_runs(self) -> list[dict[str, Any]]:
        """Runs whose results stay, without the families measured now; none if they made other files."""
        try:
            record = read_json(self._record)
            if any(sha256(_place(name)) != digest for name, digest in record["files"].items()):
                return []
            runs = [(run, [f for f in run["families"] if f not in self.families]) for run in record["runs"]]
        except (StoreError, KeyError, TypeError, AttributeError):
            return []
        return [run | {"families": families} for run, families in runs if families]

    def _with_others(self, path: Path, rows: pd.DataFrame) -> pd.DataFrame:
        parts = [rows]
        if path.is_file():
            try:
                parts = [_checked(path, store.read_table(path), rows), rows]
            except StoreError:
                self._refuse()
        own = {family: found for part in parts for family, found in part.groupby("family", sort=False)}
        return pd.concat([own[family] for family in self._sorted(own)], ignore_index=True)

    def _with_other_states(self, path: Path, new: States) -> States:
        if not path.is_file():
            return self._ordered(new)
        try:
            arrays, info = store.load_states(path), store.states_info(path)
            attrs, axes = info["attrs"], {tuple(each["dims"]) for each in info["arrays"].values()}
            if axes != {tuple(new.dims)} or attrs.keys() != new.attrs.keys():
                raise WrongSchema(path, "has another layout than is measured now", "measure all families")
        except StoreError:
            self._refuse()
            return self._ordered(new)
        attrs = {key: _joined(attrs.get(key), value) for key, value in new.attrs.items()}
        return self._ordered(States(arrays | new.arrays, new.dims, attrs))

    def _ordered(self, states: States) -> States:
        order = self._sorted(states.arrays)
        attrs = {
            key: {family: value[family] for family in order} if isinstance(value, dict) else value
            for key, value in states.attrs.items()
        }
        return States({family: states.arrays[family] for family in order}, states.dims, attrs)

    def _refuse(self) -> None:
        """Within `except`: raise what was raised, unless all families were measured."""
        if self.options.get("families"):
            raise

    def _sorted(self, families: Iterable[str]) -> list[str]:
        place = {family: k for k, family in enumerate(self.known)}
        return sorted(families, key=lambda family: place.get(family, len(place)))


def _checked(path: Path, earlier: pd.DataFrame, rows: pd.DataFrame) -> pd.DataFrame:
    if list(earlier) != list(rows):
        raise WrongSchema(path, "has other columns than are measured now", "measure all families")
    return earlier


def _four_digits(array: np.ndarray) -> np.ndarray:
    """float32 numbers with 14 significant bits, about four digits, which take half the room; others as is."""
    if array.dtype != np.float32:
        return array
    part, exponent = np.frexp(array)
    return np.ldexp(np.rint(part * 2**14) / 2**14, exponent)


def _joined(earlier: Any, value: Any) -> Any:
    return earlier | value if isinstance(earlier, dict) and isinstance(value, dict) else value


def _table(system: str, name: str) -> Path:
    return paths.data_json() / system / f"{name}.csv"


def _place(name: str) -> Path:
    folder, _, rest = name.partition("/")
    return {"data_json": paths.data_json, "data_npy": paths.data_npy}[folder]() / rest


def read(system: str, name: str, measure: str = "") -> pd.DataFrame:
    """The table `name` of a measure, by default of the same name.

    Raises `DamagedFile`, which says how it is measured, if it is missing or cannot be read.
    """
    again = f"restore it with `git checkout`, or measure it with `wm states {system} {measure or name}`"
    return store.read_table(_table(system, name), again=again)
