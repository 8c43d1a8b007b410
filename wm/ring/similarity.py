"""How alike ring networks and neurons are: Procrustes distances of their direction-by-epoch states.

Distances are angles in units of a right angle (x 2 / pi): 0 for the same shape, 1 for nothing in common.
Source: Zahorodnii et al. 2025, bioRxiv 2025.03.17.643652, figure 6.
"""

from __future__ import annotations

__all__ = [
    "distances", "epoch_rates", "equal_units", "group_matrix", "load_neural", "procrustes_rows", "subsampled",
]  # fmt: skip

from collections.abc import Mapping
from pathlib import Path

import h5py
import numpy as np
import pandas as pd

from ..geometry import procrustes_matrix
from ..states import check_own
from .library import Ensemble
from .task import Delays
from .tuning import record

DELAYS = Delays(15, 90, 140)
WINDOWS = {"cue": (15, 25), "delay": (45, 115)}  # the delay window ends where the distractor comes
DIRECTIONS = 8
NEURAL_SHAPE = (4, 2)  # directions 0, 90, 180, 270 degrees; cue, delay
FORMAT = "expected rates (4 directions, 2 epochs, neuron): 0, 90, 180, 270 degrees; cue, delay"
_RIGHT_ANGLE = np.pi / 2


def epoch_rates(ensemble: Ensemble) -> np.ndarray:
    """Noise-free mean rates in cue and delay of 8 x 8 pairs, target slowest: (network, 64, 2, unit).

    Both epochs end before the distractor, so that the eight trials of one target are alike.
    """
    recording = record(ensemble, directions=DIRECTIONS, delays=DELAYS, noise=0, windows=WINDOWS)
    return np.stack([recording.rates["cue"], recording.rates["delay"]], axis=2)


def procrustes_rows(rates: np.ndarray) -> np.ndarray:
    """(network, 64, 2, unit) epoch rates -> (network, 8, unit), rows (0, 90, 180, 270 deg) x (cue, delay).

    z-scored over the trials within each epoch and unit, (x - mean) / (population SD + 0.01); then the trials
    with the distractor at 0 degrees are kept. ValueError for another shape.
    """
    rates = np.asarray(rates, dtype=float)
    if rates.ndim != 4 or rates.shape[1:3] != (DIRECTIONS**2, 2):
        raise ValueError(
            f"rates must be (network, {DIRECTIONS**2}, 2, unit), got {rates.shape}: see `epoch_rates`"
        )
    z = (rates - rates.mean(axis=1, keepdims=True)) / (rates.std(axis=1, keepdims=True) + 0.01)
    return z[:, :: 2 * DIRECTIONS].reshape(len(z), -1, z.shape[-1])


def distances(rows: Mapping[str, np.ndarray]) -> pd.DataFrame:
    """Distances between all networks; rows: family -> (network, 8, unit), units may differ in number.

    Index and columns are (family, network). ValueError for a network whose rows are all alike.
    """
    matrix = procrustes_matrix([network for family in rows.values() for network in family])
    labels = [(name, k) for name, family in rows.items() for k in range(len(family))]
    index = pd.MultiIndex.from_tuples(labels, names=["family", "network"])
    return pd.DataFrame(matrix / _RIGHT_ANGLE, index, index)


def group_matrix(table: pd.DataFrame) -> pd.DataFrame:
    """Mean distance between families, from `distances`; a network is not compared with itself.

    NaN within a family of one network.
    """
    apart = table.mask(np.eye(len(table), dtype=bool)).stack(["family", "network"], future_stack=True)
    apart.index.names = ["family", "network", "other", "other network"]
    order = table.index.unique("family")
    return apart.groupby(["family", "other"]).mean().unstack("other").loc[order, order]


def load_neural(path: str | Path) -> np.ndarray:
    """A user's neural array, (4 directions, 2 epochs, neuron), from `.npy` or dataset `rates` of an `.h5`.

    Directions 0, 90, 180, 270 degrees; epochs cue and delay. Give each neuron's mean rate, z-scored over
    trials within each epoch. ValueError says what is wrong: suffix, axes, NaN, too few neurons, numbers that
    are not in the file itself (links, external storage).
    """
    path = Path(path)
    if path.suffix == ".npy":
        rates = np.load(path, allow_pickle=False)
    elif path.suffix in (".h5", ".hdf5"):
        rates = _read_hdf5(path)
    else:
        raise ValueError(
            f"{path}: neural rates are read from .npy or .h5, not {path.suffix or 'without a suffix'}"
        )
    return _check_neural(rates, str(path))


def _read_hdf5(path: Path) -> np.ndarray:
    with h5py.File(path, "r") as file:
        if "rates" not in list(file):  # names only: asking the file itself would follow a link
            raise ValueError(f"{path}: has no dataset `rates` but {', '.join(file) or 'nothing'}")
        try:
            check_own(file, "rates")
        except ValueError as error:
            raise ValueError(f"{path}: {error}; save the numbers themselves") from None
        return file["rates"][()]


def _check_neural(rates: np.ndarray, where: str) -> np.ndarray:
    rates = np.asarray(rates)
    if rates.dtype.kind not in "fiu" or rates.ndim != 3 or rates.shape[:2] != NEURAL_SHAPE:
        raise ValueError(f"{where}: is {rates.dtype} of shape {rates.shape}; {FORMAT}. Transpose it first")
    if rates.shape[2] < 2:
        raise ValueError(f"{where}: has {rates.shape[2]} neurons; two groups need at least 2")
    if not np.isfinite(rates).all():
        at = tuple(map(int, np.argwhere(~np.isfinite(rates))[0]))
        raise ValueError(f"{where}: is not finite at (direction, epoch, neuron) {at}: leave that neuron out")
    return rates.astype(float)


def equal_units(rows: Mapping[str, np.ndarray], others: np.ndarray) -> int:
    """How many units `subsampled` draws: the least of all networks' units and half the others' units.

    Raises ValueError if the others have one unit.
    """
    half = others.shape[2] // 2
    if half < 1:
        raise ValueError(f"others have {others.shape[2]} unit; two groups need at least 2")
    return min(half, *(family.shape[2] for family in rows.values()))


def subsampled(
    rows: Mapping[str, np.ndarray], others: np.ndarray, *, draws: int = 20, seed: int = 0
) -> pd.DataFrame:
    """Distances of every network to each of the others, at equal numbers of units; mean over draws.

    Each draw picks n units of the other (group 1), n more of it (group 2) and n of the network, n from
    `equal_units`, for d(network, group 1); the row ("floor", 0) is d(group 2, group 1), what two draws of
    the same thing are apart. The published comparison draws so for one network at a time, and has neurons as
    the only other. rows: family -> (network, 8, unit); others: (other, 8, unit'), networks or neurons.
    Returns (family and network, other). ValueError if the others have one unit.
    """
    n = equal_units(rows, others)
    members = [network for family in rows.values() for network in family]
    generator = np.random.default_rng(seed)
    found = np.zeros((draws, len(members) + 1, len(others)))
    for draw, k in np.ndindex(draws, len(others)):
        one, two = np.split(generator.permutation(others.shape[2])[: 2 * n], 2)
        models = [network[:, generator.permutation(network.shape[1])[:n]] for network in members]
        found[draw, :, k] = procrustes_matrix([*models, others[k][:, two]], [others[k][:, one]])[:, 0]
    labels = [(name, k) for name, family in rows.items() for k in range(len(family))] + [("floor", 0)]
    index = pd.MultiIndex.from_tuples(labels, names=["family", "network"])
    return pd.DataFrame(found.mean(axis=0) / _RIGHT_ANGLE, index)
