"""Ring networks of 50 to 400 units: what number of units buys. One row a trained network::

    data_json/ring/sizes.csv   family, units, seed, error_deg, error_no_distractor_deg, kept, seconds, updates

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
from .campaign import train
from .evaluate import KEPT_BELOW_DEG
from .families import RingConfig, config
from .library import Ensemble, load, names

SIZE_FAMILIES = ("wmd", "g", "sa", "rt", "it")
SIZES = (50, 100, 200, 400)
_CELL = ["family", "units"]


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
                made = _shipped(wanted, networks) or train(wanted, networks, device=device, save=False)
                _write([*_so_far(), _rows(made)])
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
    for known in _so_far():
        own = known[(known.family == wanted.family) & (known.units == wanted.units)]
        return len(own) == networks and (own.updates == wanted.updates).all()
    return False


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


def _write(tables: Sequence[pd.DataFrame]) -> pd.DataFrame:
    """Write tables as one; of a family and size that several hold, the rows of the last."""
    cells = {cell: rows for part in tables for cell, rows in part.groupby(_CELL)}
    together = pd.concat([cells[cell] for cell in sorted(cells)], ignore_index=True)
    store.write_table(_path(), together)
    return together


def collect(files: Iterable[str | Path]) -> pd.DataFrame:
    """Add the tables of runs in other folders to `data_json/ring/sizes.csv`; returns the table.

    Raises ValueError without any file, `wm.store.DamagedFile` for one that cannot be read.
    """
    found = [store.read_table(file) for file in files]
    if not found:
        raise ValueError("there is no table to collect: give the sizes.csv of each run")
    return _write([*_so_far(), *found])


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
