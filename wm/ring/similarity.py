"""How alike ring networks and neurons are: Procrustes distances of their direction-by-epoch states.

Distances are angles in units of a right angle (x 2 / pi): 0 for the same shape, 1 for nothing in common.
Source: Zahorodnii et al. 2025, bioRxiv 2025.03.17.643652, figure 6.
"""

from __future__ import annotations

__all__ = [
    "distances", "epoch_rates", "group_matrix", "load_neural", "neural_distance", "pooled_p",
    "procrustes_rows",
]  # fmt: skip

from collections.abc import Mapping
from pathlib import Path

import h5py
import numpy as np
import pandas as pd

from ..geometry import angular_procrustes, procrustes_matrix
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
    trials within each epoch. ValueError says what is wrong: suffix, axes, NaN, too few neurons.
    """
    path = Path(path)
    if path.suffix == ".npy":
        rates = np.load(path, allow_pickle=False)
    elif path.suffix in (".h5", ".hdf5"):
        with h5py.File(path, "r") as file:
            if "rates" not in file:
                raise ValueError(f"{path}: has no dataset `rates` but {', '.join(file) or 'nothing'}")
            rates = file["rates"][()]
    else:
        raise ValueError(
            f"{path}: neural rates are read from .npy or .h5, not {path.suffix or 'without a suffix'}"
        )
    return _check_neural(rates, str(path))


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


def neural_distance(
    rows: Mapping[str, np.ndarray], neural: np.ndarray, *, repeats: int = 10, draws: int = 100, seed: int = 0
) -> pd.DataFrame:
    """Subsampled distance of network families to neurons, one row for each family, repeat and draw.

    Each repeat picks a network of the family; each draw picks n neurons (group 1), n others (group 2) and n
    model units, n = min(neurons // 2, units). Columns: `model` d(units, group 1), `floor` d(group 2, group
    1), and `baseline` d(group 2 averaged over directions, group 1), NaN where averaging leaves nothing. rows:
    family -> (network, 8, unit); neural: (4 directions, 2 epochs, neuron). Draws of one network and one set
    of neurons are not independent: compare families over networks, not over draws.
    """
    neural = _check_neural(neural, "neural")
    cells = neural.reshape(-1, neural.shape[2])
    level = np.broadcast_to(neural.mean(axis=0), neural.shape).reshape(cells.shape)
    found = []
    for name, family in rows.items():
        # the same neurons for every family: what differs are the models
        generator = np.random.default_rng(seed)
        for repeat in range(repeats):
            network = family[generator.integers(len(family))]
            n = min(cells.shape[1] // 2, network.shape[1])
            for draw in range(draws):
                drawn = generator.permutation(cells.shape[1])
                one, two = drawn[:n], drawn[n : 2 * n]
                units = network[:, generator.permutation(network.shape[1])[:n]]
                values = (_distance(x, cells[:, one]) for x in (units, cells[:, two], level[:, two]))
                found.append((name, repeat, draw, *values))
    return pd.DataFrame(found, columns=["family", "repeat", "draw", "model", "floor", "baseline"])


def _distance(x: np.ndarray, y: np.ndarray) -> float:
    """Distance of two shapes, NaN if the first has none (rows alike up to rounding)."""
    if np.ptp(x, axis=0).max() < 1e-9:
        return np.nan
    return angular_procrustes(x, y) / _RIGHT_ANGLE


def pooled_p(a: np.ndarray, b: np.ndarray, *, draws: int = 10_000, seed: int = 0) -> float:
    """Published test of equal means: share of resamples of the pool with |difference| >= the observed.

    a, b: one value for each network (or draw). It is never 0: the observed difference counts as one resample.
    """
    a, b = np.ravel(a), np.ravel(b)
    generator = np.random.default_rng(seed)
    pool = np.concatenate([a, b])
    means = [np.array([generator.choice(pool, len(x)).mean() for _ in range(draws)]) for x in (a, b)]
    reached = np.abs(means[0] - means[1]) >= abs(a.mean() - b.mean())
    return float((1 + reached.sum()) / (1 + draws))
