"""How far ring networks can be pushed beyond the task that they were trained on.

`wm states ring robustness` writes, `table` reads::

    data_json/ring/robustness.csv   family, network, challenge, level, error_deg

Challenges are those of `wm.ring.challenge`. These measurements are ours: the paper has none of them.
"""

from __future__ import annotations

__all__ = [
    "DIRECTIONS", "FAMILIES_MEASURED", "Answers", "answers", "challenge_errors", "curves", "exponents",
    "limits_deg", "measure", "table", "tolerance", "tolerances", "weakened",
]  # fmt: skip

from collections.abc import Sequence
from typing import NamedTuple

import numpy as np
import pandas as pd

from .. import paths
from ..measured import Measuring, read
from ..train import numpy_generator, torch_generator
from . import derived
from .challenge import CHALLENGES, UNITS, Condition, condition
from .evaluate import KEPT_BELOW_DEG, block_noise, errors
from .families import FAMILIES, family_name
from .lesion import lesion
from .library import Ensemble, load, names
from .network import Weights, outputs, simulate

FAMILIES_MEASURED = ("wmd", "wmonly", "g", "sa", "rt", "it", "g_rt", "g_it")
DIRECTIONS = 12
"""networks answer on all pairs of this many directions"""
_FLOATS_AT_ONCE = 2e8  # of one simulation: under a gigabyte
_FLOATS_PER_RATE = 24  # noise comes in blocks of 16 steps; drives and activations


class Answers(NamedTuple):
    """What one network would answer at every step of repeated trials that differ in their noise.

    angle_deg: (trial, time), in [0, 360); landmarks: first step of each event, as `wm.ring.Batch.landmarks`.
    """

    angle_deg: np.ndarray
    landmarks: dict[str, int]


def weakened(ensemble: Ensemble, lost: float) -> Weights:
    """Weights of the ensemble after the loss of a share of its units, drawn by each network's seed.

    The units lost at a share are among those lost at a larger one. ValueError for a share outside [0, 1].
    """
    if not 0 <= lost <= 1:
        raise ValueError(f"the share of lost units must lie in [0, 1], got {lost}")
    units = ensemble.config.units
    order = np.stack([numpy_generator(seed, "lost units").permutation(units) for seed in ensemble.seeds])
    return lesion(ensemble, order < round(lost * units)).weights


def challenge_errors(
    ensemble: Ensemble, faced: Condition, *, directions: int = DIRECTIONS, device: str = "cpu"
) -> np.ndarray:
    """Error of each network in a condition, degrees, (network,): see `wm.ring.errors`.

    Noise is drawn by each network's seed, alike in all conditions. As many networks run at once as fit a
    gigabyte. Raises what `weakened` and `wm.ring.errors` raise.
    """
    units, seeds, weights = ensemble.config.units, ensemble.seeds, weakened(ensemble, faced.lost)
    task, size = faced.task(units), directions**2 * units * _FLOATS_PER_RATE
    at_once = max(int(_FLOATS_AT_ONCE // size), 1)
    found = []
    for some in (slice(k, k + at_once) for k in range(0, len(seeds), at_once)):
        sources = [torch_generator(seed, "robustness", device=device) for seed in seeds[some]]
        options = {"noise": faced.noise, "generators": sources, "delays": faced.delays}
        part = weights.select(some).to(device)
        found.append(errors(part, task, directions=directions, **options).error_deg)
    return np.concatenate(found)


def answers(
    ensemble: Ensemble, faced: Condition, directions_deg: tuple[float, float], *, trials: int = 20
) -> Answers:
    """Answers of the first network of an ensemble to one target and distractor, again and again."""
    weights, units = weakened(ensemble, faced.lost).select([0]), ensemble.config.units
    batch = faced.task(units).batch(np.tile(directions_deg, (1, trials, 1)), faced.delays)
    source = [torch_generator(ensemble.seeds[0], "answers")]
    rates = simulate(weights, batch, noise=block_noise(source, trials, units, noise=faced.noise))
    sine, cosine = outputs(weights, rates)[0].double().numpy().transpose(2, 0, 1)
    marks = {name: int(step[0]) for name, step in batch.landmarks.items()}
    return Answers(np.rad2deg(np.arctan2(sine, cosine)) % 360, marks)


def measure(
    *,
    device: str = "cpu",
    families: Sequence[str] | None = None,
    networks: int = 20,
    directions: int = DIRECTIONS,
) -> pd.DataFrame:
    """Measure the first saved networks of these families in every challenge, and write the table.

    families: default `FAMILIES_MEASURED`; rows of others stay. Returns the rows measured now: family,
    network, challenge, level, error_deg. ValueError for an unknown family, or one without saved networks;
    what `wm.measured.Measuring.save` raises.
    """
    wanted = [family_name(family) for family in families or FAMILIES_MEASURED]
    given = {"device": device, "families": families, "networks": networks, "directions": directions}
    run, rows = Measuring("ring/robustness", measure, wanted, known=FAMILIES, options=given), []
    for family in wanted:
        if not names(family):
            raise ValueError(f"no network of {family} is saved in {paths.data()}: `wm train ring.{family}`")
        ensemble, options = load(names(family)[:networks]), {"directions": directions, "device": device}
        standard = challenge_errors(ensemble, Condition(), **options)
        for name, challenge in CHALLENGES.items():
            for level in challenge.levels:
                usual = level == challenge.standard
                found = standard if usual else challenge_errors(ensemble, condition(name, level), **options)
                about = {"family": family, "network": ensemble.names, "challenge": name, "level": level}
                rows.append(pd.DataFrame(about | {"error_deg": found.round(2)}))
    measured = pd.concat(rows, ignore_index=True)
    run.save({"robustness": measured})
    return measured


def table(first: int | None = None) -> pd.DataFrame:
    """The shipped table, and whether each network is `kept` (bool) by the published selection.

    first: only so many networks of each family. Raises `wm.store.DamagedFile` if the table, or
    `data_json/ring/networks.csv`, is missing, ValueError if the latter lacks a network.
    """
    measured = read("ring", "robustness")
    measured["kept"] = derived.with_errors(measured[["network"]]).kept
    if first is None:
        return measured
    chosen = measured.drop_duplicates("network").groupby("family").head(first).network
    return measured[measured.network.isin(chosen)].reset_index(drop=True)


def curves(measured: pd.DataFrame, family: str, challenge: str) -> tuple[np.ndarray, np.ndarray]:
    """Levels (level,), rising, and errors in degrees (network, level) of a family in a challenge.

    measured: `table()`, or some of its rows. Raises ValueError if these have no such family and challenge.
    """
    own = measured[(measured.family == family) & (measured.challenge == challenge)]
    if own.empty:
        again = "measure it with `wm states ring robustness`"
        raise ValueError(f"the table has no {family!r} in challenge {challenge!r}: {again}")
    wide = own.pivot(index="network", columns="level", values="error_deg")
    return wide.columns.to_numpy(dtype=float), wide.to_numpy()


def tolerance(hardness: np.ndarray, error_deg: np.ndarray, limit_deg: float | np.ndarray) -> np.ndarray:
    """Hardness at which the error first exceeds a limit, (network,), straight between neighbouring levels.

    hardness: (level,), rising from 0 (easier levels do not count); error_deg: (network, level); limit_deg: a
    number or (network,). 0 if the limit is exceeded from the start; the hardest level if it never is. Raises
    ValueError if no level has hardness 0, or for errors that are not finite.
    """
    counted = hardness >= 0
    x, y = np.asarray(hardness)[counted], np.asarray(error_deg)[:, counted]
    if not len(x) or x[0] != 0 or (np.diff(x) <= 0).any():
        raise ValueError(f"hardness must rise from 0, the standard level, got {hardness}")
    if not np.isfinite(y).all():
        raise ValueError("error_deg holds NaN or infinite values")
    limit = np.broadcast_to(limit_deg, len(y))
    above, row = y > limit[:, None], np.arange(len(y))
    first = np.where(above.any(axis=1), above.argmax(axis=1), len(x) - 1)
    before = np.maximum(first - 1, 0)
    rise = y[row, first] - y[row, before]
    with np.errstate(invalid="ignore", divide="ignore"):  # 0 / 0 where the limit is exceeded from the start
        crossed = x[before] + (limit - y[row, before]) / rise * (x[first] - x[before])
    return np.where(above.any(axis=1), np.where(first > 0, crossed, 0.0), x[-1])


def exponents(levels: np.ndarray, error_deg: np.ndarray) -> np.ndarray:
    """Exponent b of error ~ level^b of every network, (network,): a straight line through the logarithms.

    levels: (level,); error_deg: (network, level). Raises ValueError unless two levels or more, and all
    numbers, are above 0.
    """
    if len(levels) < 2 or not (np.min(levels) > 0 and np.min(error_deg) > 0):
        raise ValueError("an exponent needs two levels or more, levels and errors above 0")
    return np.polyfit(np.log(levels), np.log(error_deg).T, 1)[0]


def limits_deg(error_deg: np.ndarray, criterion: str) -> np.ndarray:
    """The error that a network must not exceed, (network,), from its standard errors (network,).

    criterion: "fixed", 15 degrees for all; "double", twice its own. Raises ValueError for another one.
    """
    if criterion not in ("fixed", "double"):
        raise ValueError(f"criterion must be 'fixed' or 'double', got {criterion!r}")
    fixed = np.full(len(error_deg), KEPT_BELOW_DEG)
    return fixed if criterion == "fixed" else 2 * np.asarray(error_deg)


def tolerances(measured: pd.DataFrame, criterion: str = "fixed") -> pd.DataFrame:
    """Tolerance of every network in every challenge of a table, a row each: family, challenge, share.

    share: how far each challenge can be pushed before the error exceeds `limits_deg`, 0 at the standard level
    and 1 at the hardest (or never). Rows of challenge "units" are networks of other sizes (`UNITS`), whose
    standard is 400 units.
    """
    rows = []
    for family, name in measured[["family", "challenge"]].drop_duplicates().itertuples(index=False):
        challenge = CHALLENGES.get(name, UNITS)
        levels, error_deg = curves(measured, family, name)
        hardness = challenge.hardness(levels)
        order = np.argsort(hardness)
        hardness, error_deg = hardness[order], error_deg[:, order]
        limit = limits_deg(error_deg[:, np.searchsorted(hardness, 0)], criterion)
        share = tolerance(hardness, error_deg, limit)
        rows.append(pd.DataFrame({"family": family, "challenge": name, "share": share}))
    return pd.concat(rows, ignore_index=True)
