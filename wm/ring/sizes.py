"""Ring networks of 50 to 400 units: what number of units buys. One row a trained network::

    data_json/ring/sizes.csv   family, units, seed, error_deg, error_no_distractor_deg, kept, seconds, updates
    data_json/ring/sizes.json  what trained each family and size: command, seconds, device, versions

Inputs are as many as units and initial scalars scale with 100 / units, as published; nothing else changes.
Those of the published 100 units are the shipped networks. The others take minutes of a fast GPU, full
recurrences of 200 and 400 units most of them; runs that share a GPU slow each other down::

    python -c "from wm.ring.sizes import train_sizes; train_sizes('cuda')"
"""

from __future__ import annotations

__all__ = ["SIZES", "SIZE_FAMILIES", "as_challenge", "collect", "table", "train_sizes"]

from collections.abc import Iterable, Sequence
from dataclasses import replace
from pathlib import Path

import pandas as pd

from .. import paths, store
from ..files import sha256
from .campaign import train
from .evaluate import KEPT_BELOW_DEG
from .families import RingConfig, config
from .library import Ensemble, load, names

SIZE_FAMILIES = ("wmd", "g", "sa", "rt", "it")
SIZES = (50, 100, 200, 400)
_CELL, _NAME = ["family", "units"], "data_json/ring/sizes.csv"


def _path() -> Path:
    return paths.data_json() / "ring" / "sizes.csv"


def train_sizes(
    device: str = "cpu",
    families: Sequence[str] = SIZE_FAMILIES,
    sizes: Sequence[int] = SIZES,
    *,
    networks: int = 10,
    updates: int | None = None,
) -> pd.DataFrame:
    """Train seeds "0", "1", ... of each family at each size, and add their scores to the table.

    Networks that are shipped with just these settings are not trained again. The table is written after each
    family and size; those that it already holds with as many networks and updates are left as they are, so an
    interrupted run goes on where it stopped. Returns the table. Runs at the same time need a folder each
    (`WM_DATA_JSON`), and `collect` afterwards. updates: default as published. Raises what `wm.ring.train`
    raises.
    """
    for family in families:
        for units in sizes:
            wanted = config(family, units=units)
            if updates is not None:
                wanted = replace(wanted, updates=updates)
            if not _done(wanted, networks):
                made, run = _shipped(wanted, networks), []
                if made is None:
                    made = train(wanted, networks, device=device, save=False)
                    run = [_run(made, f"{device!r}, [{family!r}], [{units}], {networks=}, {updates=}")]
                _write([*_so_far(), _rows(made)], [*_runs(_path()), *run])
    return table()


def _shipped(wanted: RingConfig, networks: int) -> Ensemble | None:
    """The shipped networks of these settings and of the first seeds, if there are as many."""
    if wanted != config(wanted.family):
        return None
    found = [f"{wanted.family}-{seed:02d}" for seed in range(networks)]
    return load(found) if set(found) <= set(names(wanted.family)) else None


def _so_far() -> list[pd.DataFrame]:
    return [table()] if _path().exists() else []


def _done(wanted: RingConfig, networks: int) -> bool:
    if not _path().exists():
        return False
    known = table()
    own = known[(known.family == wanted.family) & (known.units == wanted.units)]
    return len(own) == networks and bool((own.updates == wanted.updates).all())


def _rows(ensemble: Ensemble) -> pd.DataFrame:
    """The rows of one family and size; seconds of the whole training are shared out among its networks."""
    training = [record["training"] for record in ensemble.records]
    error = ensemble.score("error_deg")
    return pd.DataFrame(
        {
            "family": ensemble.config.family,
            "units": ensemble.config.units,
            "seed": [int(seed) for seed in ensemble.seeds],
            "error_deg": error,
            "error_no_distractor_deg": ensemble.score("error_no_distractor_deg"),
            "kept": error <= KEPT_BELOW_DEG,
            "seconds": [run["seconds"] / run["networks_at_once"] for run in training],
            "updates": [run["updates"] for run in training],
        }
    )


def _run(ensemble: Ensemble, given: str) -> dict:
    """What trained an ensemble, for the record."""
    about = {"families": [ensemble.config.family], "units": ensemble.config.units}
    training = dict(ensemble.records[0]["training"])
    del training["stopped_early"]  # of one network
    return about | {"command": f"wm.ring.sizes.train_sizes({given})"} | training


def _runs(file: Path) -> list[dict]:
    """The runs in the record beside a table, if it is of this very table."""
    record = file.with_suffix(".json")
    if not (file.is_file() and record.is_file()):
        return []
    known = store.read_json(record)
    return known["runs"] if known["files"].get(_NAME) == sha256(file) else []


def _write(tables: Sequence[pd.DataFrame], runs: Sequence[dict]) -> pd.DataFrame:
    """Write tables as one, and their record; of a family and size that several hold, those of the last."""
    cells = {cell: rows for part in tables for cell, rows in part.groupby(_CELL)}
    together = pd.concat([cells[cell] for cell in sorted(cells)], ignore_index=True)
    store.write_table(_path(), together)
    if made := {(*run["families"], run["units"]): run for run in runs}:
        record = {"files": {_NAME: sha256(_path())}, "runs": [made[cell] for cell in sorted(made)]}
        store.write_json(_path().with_suffix(".json"), record)
    return together


def collect(files: Iterable[str | Path]) -> pd.DataFrame:
    """Add the tables of runs in other folders, and their records, to the shipped one; returns the table.

    Raises ValueError without any file, `wm.store.DamagedFile` for one that cannot be read.
    """
    files = [Path(file) for file in files]
    found = [store.read_table(file) for file in files]
    if not found:
        raise ValueError("there is no table to collect: give the sizes.csv of each run")
    return _write([*_so_far(), *found], [run for file in (_path(), *files) for run in _runs(file)])


def table() -> pd.DataFrame:
    """The shipped table, a row per network. Raises `wm.store.DamagedFile` if it is missing."""
    return store.read_table(_path())


def as_challenge(sized: pd.DataFrame) -> pd.DataFrame:
    """The table in the form of `wm.ring.robustness.table`: challenge "units", its level the number of units.

    Seeds are what runs through the sizes, `network` is `<family>-<seed>`; all count as kept.
    """
    names = sized.family + "-" + sized.seed.map("{:02d}".format)
    columns = {"family": sized.family, "network": names, "challenge": "units", "level": sized.units}
    return pd.DataFrame(columns | {"error_deg": sized.error_deg, "kept": True})
