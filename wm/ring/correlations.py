"""Noise correlations of memory-ring units: how two units vary together over repeats of one target.

For a pair of ring units and a target direction, r is Pearson's correlation, across repeats, of the mean rate
in a window. A (pair, direction) is one of three classes by where the target lies (`flank`). A bump of
activity that diffuses during the delay moves two units on different sides of it in opposite ways, and two on
one side alike; so r is lowest in-flank, and highest out-flanks. `wm states ring correlations` writes, and
`table` reads::

    data_json/ring/correlations.csv     mean r of each class, and how much the bump varies, a row per
                                        network, noise and window

Source: Zahorodnii et al. 2025, bioRxiv 2025.03.17.643652, figure 7.
"""

from __future__ import annotations

__all__ = [
    "ANYWHERE_DEG", "BIN_DEG", "CLASSES", "MATCHED", "NOISES", "RELEASED", "TARGETS_DEG", "WINDOWS", "bump",
    "bump_variation", "class_means", "correlation_map", "correlations", "flank", "matched_means", "measure",
    "planted_means", "planted_rates", "released_means", "repeat_rates", "table",
]  # fmt: skip

from collections.abc import Sequence

import numpy as np
import pandas as pd

from .. import measured
from ..train import numpy_generator
from .derived import saved_families, with_errors
from .evaluate import same_trials, task_of
from .families import FAMILIES
from .library import Ensemble, load, names
from .tuning import preferred_direction, record, ring_units, window_means, wrap

CLASSES = ("in_flank", "peaks", "out_flanks")
"""classes of (pair, direction) in the order in which correlations rise; `flank` gives their index"""
MATCHED, RELEASED = (tuple(f"{name}_{how}" for name in CLASSES) for how in ("matched", "released"))
_MEASURED = (*CLASSES, *MATCHED, *RELEASED, "place_sd_deg", "size_cv")
TARGETS_DEG = (0.0, 90.0, 180.0, 270.0)
NOISES = (0.5, 0.1)
"""noise amplitudes: five times that of training, as published, and that of training"""
WINDOWS = {"fixation": (0, 15), "delay": (45, 75)}
"""first step, and the step after the last: up to the target; from 200 ms after it to distractor onset"""
PEAK_DEG = 7.5
ANYWHERE_DEG = 1e4
"""SD of the place of a planted bump with the same chance everywhere"""
BIN_DEG = 15
"""width of the bins of `correlation_map`"""
_STRATUM_DEG = 10  # of preference difference; 30 leave 0.025 of out - in where the target does nothing


def flank(stimulus_deg: np.ndarray, first_deg: np.ndarray, second_deg: np.ndarray) -> np.ndarray:
    """Class of a stimulus for two preferred directions, index into `CLASSES`; arrays are broadcast.

    Peaks: within 7.5 degrees of either preference. In-flank: else between them, on the shorter arc.
    Out-flanks: all others, among them every stimulus where opposite preferences leave no shorter arc.
    """
    first, second = (wrap(np.asarray(deg) - stimulus_deg) for deg in (first_deg, second_deg))
    reach = np.abs(first) + np.abs(second)  # on the shorter arc: the difference of the preferences
    between = (first * second < 0) & (reach < 180)
    peak = np.minimum(np.abs(first), np.abs(second)) <= PEAK_DEG
    return np.select([peak, between], [1, 0], 2)


def correlations(rates: np.ndarray) -> np.ndarray:
    """Pearson r across repeats of all pairs of units: (..., repeat, unit) -> (..., unit, unit).

    A unit without variance gives NaN. Raises ValueError for fewer than three repeats.
    """
    rates = np.asarray(rates, dtype=float)
    if rates.ndim < 2 or rates.shape[-2] < 3:
        raise ValueError(f"rates must be (..., repeat, unit) with three repeats or more, got {rates.shape}")
    z = rates - rates.mean(axis=-2, keepdims=True)
    size = np.sqrt((z**2).sum(axis=-2, keepdims=True))
    z /= np.where(size > 1e-9, size, np.nan)
    return z.swapaxes(-1, -2) @ z


def class_means(r: np.ndarray, preferred_deg: np.ndarray, targets_deg: np.ndarray) -> np.ndarray:
    """Mean r over all (pair, direction) of each class: (direction, unit, unit) -> (class,), NaN if none.

    preferred_deg: (unit,), of the units among which pairs are formed; targets_deg: (direction,).
    """
    own, _, values = _pairs(r, preferred_deg, targets_deg)
    return _means(own, values, len(CLASSES))


def matched_means(r: np.ndarray, preferred_deg: np.ndarray, targets_deg: np.ndarray) -> np.ndarray:
    """Class means (class,) as if every class had the same preference differences; else as `class_means`.

    Preferences in-flank lie further apart than others, and r depends on that even where there is no
    target. So classes are averaged within 10-degree steps of the difference, then over the steps that hold
    all three classes, with equal weights; NaN if there are none. See `planted_means`.
    """
    own, difference, values = _pairs(r, preferred_deg, targets_deg)
    stratum = np.minimum(difference // _STRATUM_DEG, 180 // _STRATUM_DEG - 1).astype(int)
    cells = 180 // _STRATUM_DEG * len(CLASSES)
    means = _means(stratum * len(CLASSES) + own, values, cells).reshape(-1, len(CLASSES))
    complete = means[np.isfinite(means).all(axis=1)]
    return complete.mean(axis=0) if len(complete) else np.full(len(CLASSES), np.nan)


def correlation_map(r: np.ndarray, preferred_deg: np.ndarray, targets_deg: np.ndarray) -> np.ndarray:
    """Mean r by |stimulus - midpoint of preferences| and |preference difference|, (12, 12) bins of 15 deg.

    The midpoint is that of the shorter arc. In-flank is where the first is less than half of the second.
    Arguments as of `class_means`; NaN where there are no pairs.
    """
    i, j = np.triu_indices(len(preferred_deg), 1)
    apart = wrap(preferred_deg[j] - preferred_deg[i])
    offset = np.abs(wrap(np.asarray(targets_deg)[:, None] - preferred_deg[i] - apart / 2))
    bins = 180 // BIN_DEG
    row, column = (np.minimum(x // BIN_DEG, bins - 1).astype(int) for x in (offset, np.abs(apart)))
    cell = row * bins + column
    return _means(cell.ravel(), r[:, i, j].ravel(), bins**2).reshape(bins, bins)


def released_means(
    r: np.ndarray, preferred_deg: np.ndarray, targets_deg: np.ndarray, units: np.ndarray
) -> np.ndarray:
    """Class means by the released code, (class,), for comparison only: two of its errors are kept.

    units: (unit,), number of each ring unit in the network. It is used as place in the *sorted* list of
    preferences, so that units get preferences of others; and where the preferences, in [-180, 180), differ
    by more than 180 degrees, every stimulus off the peaks counts as in-flank. ValueError for numbers beyond
    the list.
    """
    listed = np.sort(wrap(preferred_deg))
    if np.max(units) >= len(listed):
        raise ValueError(f"unit {np.max(units)} is beyond the list of {len(listed)} ring units")
    taken, (i, j) = listed[units], np.triu_indices(len(units), 1)
    low, high = np.sort((taken[i], taken[j]), axis=0)
    stimulus = wrap(np.asarray(targets_deg))[:, None]
    between = ((low < stimulus) & (stimulus < high)) | (high - low > 180)
    own = np.where(flank(stimulus, low, high) == 1, 1, np.where(between, 0, 2))
    return _means(own.ravel(), r[:, i, j].ravel(), len(CLASSES))


def bump(rates: np.ndarray, preferred_deg: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Place (deg in [0, 360)) and size of the bump, the angle and modulus of mean_i h_i exp(i preferred_i).

    rates: (..., unit); both results: (...).
    """
    vector = (rates * np.exp(1j * np.deg2rad(preferred_deg))).mean(axis=-1)
    return np.rad2deg(np.angle(vector)) % 360, np.abs(vector)


def bump_variation(rates: np.ndarray, preferred_deg: np.ndarray, targets_deg: np.ndarray) -> np.ndarray:
    """SD of the place of the bump about the targets (deg), and mean over them of SD / mean of its size, (2,).

    rates: (direction, repeat, unit). NaN without units.
    """
    if not len(preferred_deg):
        return np.full(2, np.nan)
    place, size = bump(rates, preferred_deg)
    away = wrap(place - np.asarray(targets_deg)[:, None])
    return np.array((away.std(), (size.std(axis=1) / size.mean(axis=1)).mean()))


def _pairs(r: np.ndarray, preferred_deg: np.ndarray, targets_deg: np.ndarray) -> tuple[np.ndarray, ...]:
    """Class, preference difference and r of each (direction, pair), flat."""
    preferred_deg = np.asarray(preferred_deg)
    i, j = np.triu_indices(len(preferred_deg), 1)
    own = flank(np.asarray(targets_deg)[:, None], preferred_deg[i], preferred_deg[j])
    difference = np.broadcast_to(np.abs(wrap(preferred_deg[i] - preferred_deg[j])), own.shape)
    return own.ravel(), difference.ravel(), r[:, i, j].ravel()


def _means(group: np.ndarray, values: np.ndarray, groups: int) -> np.ndarray:
    """Mean of the finite values of each group, (group,); NaN for an empty one."""
    finite = np.isfinite(values)
    sums, counts = (
        np.bincount(group[finite], weights, minlength=groups) for weights in (values[finite], None)
    )
    return np.divide(sums, counts, out=np.full(groups, np.nan), where=counts > 0)


def planted_rates(
    preferred_deg: np.ndarray,
    targets_deg: Sequence[float] = TARGETS_DEG,
    repeats: int = 250,
    *,
    position_sd_deg: float = 0.0,
    amplitude_sd: float = 0.0,
    noise: float = 0.0,
    seed: int = 0,
) -> np.ndarray:
    """Rates of a bump that varies from repeat to repeat: (direction, repeat, unit).

    rate_i = (1 + A) max(cos(target + P - preferred_i), 0) + n_i, with normal P, A (one of each a repeat) and
    n_i of the given standard deviations.
    """
    generator = numpy_generator(seed, "planted bump")
    shape = (len(targets_deg), repeats, 1)
    place = np.reshape(targets_deg, (-1, 1, 1)) + position_sd_deg * generator.normal(size=shape)
    size = 1 + amplitude_sd * generator.normal(size=shape)
    bump = np.maximum(np.cos(np.deg2rad(place - preferred_deg)), 0)
    return size * bump + noise * generator.normal(size=(*shape[:2], len(preferred_deg)))


def planted_means(preferred_deg: np.ndarray, networks: int = 30, **variation) -> pd.DataFrame:
    """`class_means` and `matched_means` of planted bumps, a row per made network: `CLASSES`, `MATCHED`.

    variation: options of `planted_rates` but the seed. With the place `ANYWHERE_DEG` the target has no
    influence: a control, what the classes are by themselves.
    """
    rows = []
    for seed in range(networks):
        r = correlations(planted_rates(preferred_deg, seed=seed, **variation))
        rows.append(np.concatenate([f(r, preferred_deg, TARGETS_DEG) for f in (class_means, matched_means)]))
    return pd.DataFrame(rows, columns=[*CLASSES, *MATCHED])


def repeat_rates(
    ensemble: Ensemble,
    *,
    targets_deg: Sequence[float] = TARGETS_DEG,
    repeats: int = 250,
    noise: float = 0.5,
    seed: int = 0,
    device: str = "cpu",
) -> dict[str, np.ndarray]:
    """Mean rates in `WINDOWS` over repeats without distractor: name -> (network, direction, repeat, unit).

    The noise of a network depends on its own seed and on `seed` alone. Raises ValueError for negative noise
    or no repeats.
    """
    if not (noise >= 0 and repeats >= 1):
        raise ValueError(f"noise must be 0 or more and repeats 1 or more, got {noise} and {repeats}")
    targets = np.repeat(np.asarray(targets_deg, dtype=float), repeats)
    task, pairs = task_of(ensemble.config, distractor_probability=0.0), np.stack([targets, targets], axis=-1)
    options = {"pairs_deg": pairs, "noise": noise, "purpose": ("correlations", seed)}
    _, run = same_trials(task, ensemble.weights.to(device), ensemble.seeds, **options)
    shape = (len(ensemble), len(targets_deg), repeats, ensemble.config.units)
    return {name: rates.reshape(shape) for name, rates in window_means(run, WINDOWS).items()}


def measure(
    *, device: str = "cpu", families: Sequence[str] | None = None, repeats: int = 250, networks: int = 30
) -> pd.DataFrame:
    """Measure the saved networks of these families (default: all that are saved) and write the table.

    Of each family the first `networks`. Columns: family, network, noise, window, pairs (of ring units), then
    the results of `class_means`, `matched_means` and `released_means` (NaN where it cannot be used) and of
    `bump_variation`: place_sd_deg, size_cv. Rows of other families stay; returns those measured now.
    ValueError for an unknown family, or if there is nothing to measure; what `wm.measured.Measuring.save`
    raises.
    """
    wanted = saved_families(families)
    options = {"device": device, "families": families, "repeats": repeats, "networks": networks}
    run = measured.Measuring("ring/correlations", measure, wanted, known=FAMILIES, options=options)
    rows = []
    for family in wanted:
        for name in names(family)[:networks]:
            rows += _rows(load(name), repeats, device)
    found = pd.DataFrame(rows)
    run.save({"correlations": found})
    return found


def _rows(ensemble: Ensemble, repeats: int, device: str) -> list[dict]:
    """Rows of one network; ring units and their preference in the delay are those of the usual noise."""
    recording = record(ensemble)
    ring = np.flatnonzero(ring_units(recording)[0])
    preferred = preferred_direction(recording.rates["delay"], recording.directions_deg)[0, ring]
    listed = len(ring) and ring[-1] < len(ring)
    pairs = len(preferred) * (len(preferred) - 1) // 2
    rows = []
    for noise in NOISES:
        for window, rates in repeat_rates(ensemble, repeats=repeats, noise=noise, device=device).items():
            r = correlations(rates[0][..., ring])
            plain, matched = (f(r, preferred, TARGETS_DEG) for f in (class_means, matched_means))
            released = released_means(r, preferred, TARGETS_DEG, ring) if listed else [np.nan] * 3
            varied = bump_variation(rates[0][..., ring], preferred, TARGETS_DEG)
            values = np.round((*plain, *matched, *released, *varied), 5)
            about = {"family": ensemble.config.family, "network": ensemble.names[0], "noise": noise}
            about |= {"window": window, "pairs": pairs}
            rows.append(about | dict(zip(_MEASURED, values, strict=True)))
    return rows


def table() -> pd.DataFrame:
    """The shipped table, see `measure`, by `derived.with_errors`; raises what that does, or DamagedFile."""
    return with_errors(measured.read("ring", "correlations"))
