"""Measurements of the saved ring networks that are shipped with them: `MEASURES`, and the first of these.

`wm states ring networks` writes, `networks`, `shipped_epoch_rates` and `example_rates` read::

    data_json/ring/networks.csv     one row a network: errors, kept, ring units, factors, preference changes
    data_npy/ring/epoch_rates.h5    (network, 64, 2, unit) of each family, for Procrustes distances
    data_npy/ring/example_rates.h5  (time, target, distractor, unit) of one network of each family, eight bits
"""

from __future__ import annotations

__all__ = [
    "CHANGE_BINS", "EXAMPLE_STEPS", "MEASURES", "ExampleRates", "by_family", "example_rates", "measure",
    "networks", "saved_families", "shipped_epoch_rates", "with_errors",
]  # fmt: skip

from collections.abc import Callable, Sequence
from functools import partial
from importlib import import_module
from pathlib import Path
from typing import NamedTuple

import numpy as np
import pandas as pd
import torch

from .. import measured, paths, store
from .connectivity import factors
from .evaluate import KEPT_BELOW_DEG, task_of
from .families import FAMILIES, family_name
from .library import Ensemble, load, names
from .network import simulate
from .similarity import DIRECTIONS, epoch_rates
from .task import grid_directions
from .tuning import change_histogram, preference_change, record, ring_units

CHANGE_BINS = tuple(f"change_{low}_{low + 36}_percent" for low in range(0, 180, 36))
"""columns of the histogram of preference changes: percent of a network's ring units in each 36 degrees"""
EXAMPLE_STEPS = 10
"""every tenth step (100 ms) of an example network is kept"""
LEVELS = 255  # of the quantised example rates
EPOCH_DIMS = ("network", "trial", "epoch", "unit")
EXAMPLE_DIMS = ("time", "target", "distractor", "unit")
_QUANTISED = (
    "rate = lowest + (highest - lowest) / 255 * q, where q is the running sum over time, modulo 256, of "
    "what is stored (uint8): every rate is off by at most (highest - lowest) / 510"
)


class ExampleRates(NamedTuple):
    """Noise-free rates of one network on 8 x 8 direction pairs.

    rates: (trial, time, unit) float32; steps: (time,), of 10 ms; directions_deg: (trial, 2); network: name.
    """

    rates: np.ndarray
    steps: np.ndarray
    directions_deg: np.ndarray
    network: str


def _states(name: str) -> Path:
    return paths.data_npy() / "ring" / f"{name}.h5"


def saved_families(families: Sequence[str] | None = None) -> list[str]:
    """Names of these families, by default of all that have saved networks.

    ValueError for an unknown family, or if no network is saved.
    """
    wanted = [family_name(f) for f in families] if families else [f for f in FAMILIES if names(f)]
    if not wanted:
        raise ValueError(f"no ring network is saved in {paths.data()}: train some with `wm train ring.sa`")
    return wanted


def measure(families: Sequence[str] | None = None, *, device: str = "cpu") -> pd.DataFrame:
    """Measure the saved networks of these families (default: all that are saved) and write the three files.

    What the files have of other families stays; returns the rows measured now. device: for all measures
    alike, but this one computes on the processor whatever it is. ValueError for an unknown family or if there
    is nothing to measure; what `wm.measured.Measuring.save` raises.
    """
    wanted, options = saved_families(families), {"device": "cpu", "families": families}
    run = measured.Measuring("ring/networks", measure, wanted, known=FAMILIES, options=options)
    rows, epochs, examples, chosen, members = [], {}, {}, {}, {}
    for family in wanted:
        ensemble = load(family)
        table = _rows(ensemble)
        rows.append(table)
        epochs[family], members[family] = epoch_rates(ensemble).astype(np.float16), ensemble.names
        k = _example(table)
        examples[family], chosen[family] = _quantised(_sampled(ensemble, k))
        chosen[family] |= {"network": ensemble.names[k]}
    table = pd.concat(rows, ignore_index=True)
    states = {
        "epoch_rates": measured.States(epochs, EPOCH_DIMS, {"names": members}),
        "example_rates": measured.States(
            examples, EXAMPLE_DIMS, {"examples": chosen, "quantisation": _QUANTISED}
        ),
    }
    run.save({"networks": table}, states)
    return table


def _measure_in(module: str, **options) -> pd.DataFrame:
    """`measure` of another module of this package, imported only then: some of them import this one."""
    return import_module(f".{module}", __package__).measure(**options)


MEASURES: dict[str, Callable[..., object]] = {
    "networks": measure,
    "correlations": partial(_measure_in, "correlations"),
    "behaviour": partial(_measure_in, "behaviour"),
    "dynamics": partial(_measure_in, "dynamics_table"),
    "robustness": partial(_measure_in, "robustness"),
}
"""what `wm states ring` can measure, each called with `device` and `families`; alone it measures the first"""


def _rows(ensemble: Ensemble) -> pd.DataFrame:
    """The table of one family; ring units, factors and changes by the `example` parameters."""
    recording = record(ensemble)
    mask = ring_units(recording)
    change = preference_change(recording, mask)
    table = pd.DataFrame(
        {"family": ensemble.config.family, "network": ensemble.names, "seed": ensemble.seeds}
    )
    for key in ("error_deg", "error_median_deg", "error_no_distractor_deg", "error_no_distractor_median_deg"):
        table[key] = ensemble.score(key)
    table["kept"] = _kept(ensemble)
    table["ring_units"] = mask.sum(axis=1)
    table[["structural", "functional"]] = np.stack(factors(ensemble, recording, mask), axis=1)
    table["median_change_deg"] = pd.DataFrame(change).median(axis=1)  # without ring units: NaN
    table[list(CHANGE_BINS)] = change_histogram(change, len(CHANGE_BINS))
    return table


def _kept(ensemble: Ensemble) -> np.ndarray:
    """The published selection, (network,) bool: by the error on the task that a network was trained for."""
    own = "error_deg" if ensemble.config.distractor_probability else "error_no_distractor_deg"
    return ensemble.score(own) <= KEPT_BELOW_DEG


def _example(table: pd.DataFrame) -> int:
    """The first kept network, else the one with the smallest error."""
    return int(table.kept.argmax() if table.kept.any() else table.error_deg.argmin())


def _sampled(ensemble: Ensemble, k: int) -> np.ndarray:
    """Noise-free rates of network k, (time, target, distractor, unit), at every tenth step."""
    batch = task_of(ensemble.config, distractor_probability=1.0).batch(grid_directions(DIRECTIONS)[None])
    rates = simulate(ensemble.weights.select([k]), batch, window=slice(None, None, EXAMPLE_STEPS))[0]
    return torch.movedim(rates, 1, 0).reshape(-1, DIRECTIONS, DIRECTIONS, ensemble.config.units).numpy()


def _quantised(rates: np.ndarray) -> tuple[np.ndarray, dict[str, float]]:
    """Rates as steps in time of their eight-bit level (they compress better), and the range of the levels."""
    lowest, highest = float(rates.min()), float(rates.max())
    q = np.rint((rates - lowest) / ((highest - lowest) or 1) * LEVELS).astype(np.uint8)
    return np.diff(q, axis=0, prepend=np.uint8(0)), {"lowest": lowest, "highest": highest}


def networks() -> pd.DataFrame:
    """The shipped table, one row a network. Raises `wm.store.DamagedFile` if it is missing."""
    return measured.read("ring", "networks")


def with_errors(rows: pd.DataFrame, *also: str) -> pd.DataFrame:
    """Rows of a table of networks with `kept` and the errors of `networks`, found by `network`.

    also: further columns of that table. Raises `wm.store.DamagedFile` if it is missing, ValueError if it
    lacks a network.
    """
    scores = networks()[["network", "error_deg", *also, "error_no_distractor_deg", "kept"]]
    found = rows.merge(scores, on="network", how="left", validate="many_to_one")
    if found.kept.isna().any():
        lost = ", ".join(found.network[found.kept.isna()].unique()[:3])
        raise ValueError(f"networks.csv lacks {lost}: measure again with `wm states ring networks`")
    return found.astype({"kept": bool})


def by_family(families: Sequence[str], first: int | None = None) -> dict[str, pd.DataFrame]:
    """Rows of the shipped table, family -> its networks, of each the `first` ones only if given.

    Raises ValueError for an unknown family or one that the table lacks, `wm.store.DamagedFile` without table.
    """
    table, wanted = networks(), [family_name(family) for family in families]
    rows = {family: table[table.family == family].reset_index(drop=True)[:first] for family in wanted}
    missing = [family for family, found in rows.items() if found.empty]
    if missing:
        raise ValueError(
            f"networks.csv has no networks of {', '.join(missing)}: measure them with "
            f"`wm states ring networks --families {' '.join(missing)}`"
        )
    return rows


def shipped_epoch_rates(families: Sequence[str] | None = None) -> dict[str, np.ndarray]:
    """Shipped epoch rates, family -> (network, 64, 2, unit) float32, networks in the order of the table.

    Raises what `wm.store.load_states` raises: a missing or damaged file, a family that is not in it.
    """
    wanted = [family_name(f) for f in families] if families else None
    states = store.load_states(_states("epoch_rates"), wanted)
    return {family: rates.astype(np.float32) for family, rates in states.items()}


def example_rates(family: str) -> ExampleRates:
    """Shipped rates of one network of a family, at delays (15, 50, 140), every tenth step.

    Raises what `wm.store.load_states` raises: a missing or damaged file, a family that is not in it.
    """
    family, path = family_name(family), _states("example_rates")
    steps = store.load_states(path, [family])[family]
    example = store.states_info(path)["attrs"]["examples"][family]
    q = np.cumsum(steps, axis=0, dtype=np.uint8).reshape(len(steps), DIRECTIONS**2, -1)
    rates = example["lowest"] + q.swapaxes(0, 1) * np.float32(
        (example["highest"] - example["lowest"]) / LEVELS
    )
    times = np.arange(len(steps)) * EXAMPLE_STEPS
    return ExampleRates(rates.astype(np.float32), times, grid_directions(DIRECTIONS), example["network"])
