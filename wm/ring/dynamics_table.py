"""Dynamics of all saved ring networks, measured once: a row for each network, and curves of each family.

`wm states ring dynamics` writes, `table` and `curves` read::

    data_json/ring/dynamics.csv          one row a network, columns in `COLUMNS`
    data_json/ring/dynamics_curves.csv   mean over the networks of a family with a 95 % t-interval
"""

from __future__ import annotations

__all__ = [
    "COLUMNS", "CROSS_TIMES", "CURVES", "CrossTime", "averages", "correlations", "cross_map",
    "cross_time_errors", "curve", "curves", "measure", "measure_family", "middle", "ring_points", "table",
]  # fmt: skip

from collections.abc import Sequence
from typing import NamedTuple

import numpy as np
import pandas as pd
from scipy.stats import rankdata

from .. import measured
from ..decode import circular_error_deg, cross_time, fit_decoder
from ..estimate import Estimate, expanded_percentiles, mean_interval
from ..geometry import effective_dimension
from . import derived, dynamics
from .families import FAMILIES, family_name
from .fixed_points import FixedPoints, find
from .library import Ensemble, load, names
from .task import DT_MS, MEDIAN_DELAYS, grid_directions

COLUMNS = {
    "dimension_delay": "effective dimension of the delay states (participation ratio)",
    "dimension_trial": "effective dimension of whole trials with distractor",
    "plane_share": "share of the delay variance in the memory plane",
    "attractors": "stable fixed points on the ring",
    "saddles": "other fixed points on the ring",
    "slow_points": "slow points on the ring",
    "eigenvalue_per_s": "largest real part of an eigenvalue, median over the attractors, 1/s",
    "drift_deg_per_s": "root mean square velocity over the ring, in the delay, without noise",
    "drift_10s_deg": "root mean square displacement after a delay of 10 s, without noise",
    "diffusion_deg2_per_s": "diffusion coefficient along the ring in the delay",
    "push_plane_deg": "smaller principal angle of pushes and memory plane",
    "push_plane_far_deg": "larger principal angle of pushes and memory plane",
    "push_tangent_deg": "angle of the push from 90 degrees aside to the tangent of the ring",
    "push_size": "length of the push, |U x|",
    "push_along_deg": "degrees along the ring of that push by itself",
    "displacement_deg": "towards a distractor 90 degrees aside, at the end of the delay",
    "displacement_rms_deg": "root mean square over all distractors",
    "gain_deg": "displacement_deg over push_size",
    "cue_to_delay_deg": "error in the delay of a decoder fitted in the cue",
    "decoder_deg": "root mean square error of the delay decoder on the noise-free ring",
}
"""columns of the table after family and network, and what they are"""
CURVES = ("displacement", "spread", "drift", "cross")
"""curves: displacement (deg) by offset (deg), spread (deg^2) and drift (rms deg) by time in the delay (s),
cross-temporal error (deg) by time of fit x and of test y (ms)"""
CROSS_TIMES = tuple(range(24, 264, 14))
"""steps of the cross-temporal maps: the first ends the cue, the eleventh the delay"""
_STARTS = {True: 1440, False: 72}  # along the ring, by whether the recurrence is of low rank


def measure(
    *,
    device: str = "cpu",
    families: Sequence[str] | None = None,
    networks: int | None = None,
    mapped: int = 6,
) -> pd.DataFrame:
    """Measure the saved networks of these families (default: all that are saved) and write both files.

    networks: the first ones of each family only; mapped: networks whose cross-temporal maps are made; device:
    where fixed points are searched. Rows of other families stay; returns those measured now. Raises
    ValueError for an unknown family or if there is nothing to measure; what `wm.measured.Measuring.save`
    raises.
    """
    wanted = derived.saved_families(families)
    options = {"device": device, "families": families, "networks": networks, "mapped": mapped}
    run = measured.Measuring("ring/dynamics", measure, wanted, known=FAMILIES, options=options)
    rows, drawn = [], []
    for family in wanted:
        ensemble = load(names(family)[:networks] if networks else family)
        row, lines = measure_family(ensemble, device, mapped)
        rows.append(row)
        drawn.append(lines)
    found, by_family = pd.concat(rows, ignore_index=True), pd.concat(drawn, ignore_index=True)
    run.save({"dynamics": found, "dynamics_curves": by_family})
    return found


def measure_family(
    ensemble: Ensemble, device: str = "cpu", mapped: int = 6
) -> tuple[pd.DataFrame, pd.DataFrame]:
    """The rows of an ensemble, and its curves; see `COLUMNS` and `CURVES`."""
    ring, noisy = dynamics.manifold(ensemble), dynamics.noisy_delay(ensemble)
    decoders = dynamics.delay_decoders(noisy[:, :, :4])
    rows = pd.DataFrame({"family": ensemble.config.family, "network": ensemble.names})
    rows = rows.assign(**_dimensions(ensemble, ring), **_points(ensemble, ring, decoders, device))
    angles = dynamics.decoded(decoders, ring.states)
    moved = np.array(dynamics.wrap(angles - angles[..., :1]))
    seconds = (ring.times - dynamics.OFFSET + 1) * (DT_MS / 1000)
    last = list(ring.times).index(dynamics.GO)
    velocity = dynamics.drift(angles[..., : last + 1], seconds[last] - seconds[0])
    late = slice(2, len(dynamics.DELAY_TIMES))  # from 400 ms, when the state has come to the ring
    spread = dynamics.circular_spread(dynamics.decoded(decoders, noisy[:, :, 4:]))
    offset, shift = dynamics.displacement(ensemble, decoders)
    cross = cross_time_errors(ensemble, mapped)
    error = dynamics.wrap(angles[..., list(ring.times).index(dynamics.ONSET)] - ring.targets_deg)
    rows = rows.assign(
        drift_deg_per_s=_rms(velocity),
        drift_10s_deg=_rms(moved[..., -1]),
        diffusion_deg2_per_s=dynamics.diffusion(spread[:, late], seconds[late]),
        **_push(ensemble, ring),
        displacement_deg=(shift[..., offset == 90] - shift[..., offset == -90]).mean(axis=(1, 2)) / 2,
        displacement_rms_deg=_rms(shift),
        cue_to_delay_deg=cross.cue_to_delay_deg,
        decoder_deg=_rms(error),
    )
    rows["gain_deg"] = rows.displacement_deg / rows.push_size
    lines = {
        "displacement": (offset, shift.mean(axis=1)),
        "spread": (seconds[: last + 1], spread),
        "drift": (seconds, np.sqrt((moved**2).mean(axis=1))),
    }
    drawn = [_line(name, x, values) for name, (x, values) in lines.items()] + [_map(cross)]
    table = pd.concat(drawn, ignore_index=True)
    table.insert(0, "family", ensemble.config.family)
    return rows[["family", "network", *COLUMNS]], table


def _rms(values: np.ndarray) -> np.ndarray:
    """Root mean square of each network, (network, ...) -> (network,)."""
    return np.sqrt((values**2).reshape(len(values), -1).mean(axis=1))


def _dimensions(ensemble: Ensemble, ring: dynamics.Manifold) -> dict[str, np.ndarray]:
    trials = dynamics.activations(ensemble, grid_directions(8), range(19, 265, 10), distractor=True)
    whole = trials.reshape(len(trials), -1, trials.shape[-1])
    return {
        "dimension_delay": np.array([effective_dimension(x) for x in ring.cloud]),
        "dimension_trial": np.array([effective_dimension(x) for x in whole]),
        "plane_share": ring.share[:, :2].sum(axis=1),
    }


def _push(ensemble: Ensemble, ring: dynamics.Manifold) -> dict[str, np.ndarray]:
    push = dynamics.pushes(ensemble, ring.targets_deg)
    near, far = dynamics.push_plane_angles(push, ring.axes).T
    tangent = dynamics.tangent_angles(ring.ring, push)
    return {
        "push_plane_deg": near,
        "push_plane_far_deg": far,
        "push_tangent_deg": tangent.angle_deg,
        "push_size": tangent.size,
        "push_along_deg": tangent.along_deg,
    }


def ring_points(ensemble: Ensemble, ring: dynamics.Manifold, decoders, device: str = "cpu") -> FixedPoints:
    """Fixed and slow points on the ring of each network, searched from all along it."""
    starts = dynamics.ring_starts(ring, _STARTS[ensemble.weights.left is not None])
    points = find(ensemble.weights.to(device), starts)
    return points.select(dynamics.on_ring(points, decoders))


def _points(ensemble: Ensemble, ring: dynamics.Manifold, decoders, device: str) -> dict[str, np.ndarray]:
    points, count = ring_points(ensemble, ring, decoders, device), len(ensemble)
    attractor = points.fixed & points.stable
    leading = pd.Series(points.eigenvalues[attractor, 0].real).groupby(points.network[attractor]).median()
    kinds = {"attractors": attractor, "saddles": points.fixed & ~points.stable, "slow_points": ~points.fixed}
    found = {name: np.bincount(points.network[which], minlength=count) for name, which in kinds.items()}
    return found | {"eigenvalue_per_s": leading.reindex(range(count)).to_numpy()}


def _line(name: str, x: np.ndarray, values: np.ndarray) -> pd.DataFrame:
    """Rows of a curve: values (network, x)."""
    about = {"curve": name, "x": x, "y": np.nan, "networks": len(values)}
    low, high = np.transpose([_interval(column) for column in values.T])
    return pd.DataFrame(about | {"mean": values.mean(axis=0), "low": low, "high": high})


def _map(cross: CrossTime) -> pd.DataFrame:
    times = cross.times_ms
    rows = _line("cross", np.repeat(times, len(times)), cross.error_deg.reshape(len(cross.error_deg), -1))
    rows["y"] = np.tile(times, len(times))
    return rows.round({"mean": 2, "low": 2, "high": 2})


def _interval(values: np.ndarray) -> tuple[float, float]:
    return mean_interval(values) if len(values) > 1 else (np.nan, np.nan)


class CrossTime(NamedTuple):
    """Errors of decoders of the target, fitted at one time and read at another, with distractor and noise.

    times_ms: (time,) from target onset; error_deg: (network, time of fit, time of test); cue_to_delay_deg:
    (network of all,), fitted at the end of the cue, read at the end of the delay. Chance is 90 degrees.
    """

    times_ms: np.ndarray
    error_deg: np.ndarray
    cue_to_delay_deg: np.ndarray


def cross_time_errors(ensemble: Ensemble, mapped: int = 6, directions: int = 12) -> CrossTime:
    """Cross-temporal decoding from noisy rates on all pairs of directions; `mapped`: the first networks."""
    pairs = grid_directions(directions)
    shown = {"distractor": True, "noise": ensemble.config.noise, "rates": True}
    rates = dynamics.activations(ensemble, pairs, CROSS_TIMES, **shown)
    labels, end = pairs[:, 0], CROSS_TIMES.index(dynamics.GO)
    maps = [cross_time(own, labels, kind="circular", folds=3) for own in rates[:mapped]]
    fitted = np.random.default_rng(0).permutation(len(pairs)) % 2 == 0
    readouts = [fit_decoder(own[fitted, 0], labels[fitted], kind="circular") for own in rates]
    late = [r.predict(own[~fitted, end]) for r, own in zip(readouts, rates, strict=True)]
    cue_to_delay = np.abs(circular_error_deg(labels[~fitted], late)).mean(axis=1)
    times = (np.array(CROSS_TIMES) - MEDIAN_DELAYS.fixation) * DT_MS
    return CrossTime(times, np.array(maps), cue_to_delay)


def table() -> pd.DataFrame:
    """The shipped rows, a network each, with its errors and whether it is kept (`derived.networks`).

    Raises `wm.store.DamagedFile` if a file is missing, ValueError if a network has no errors.
    """
    return derived.with_errors(measured.read("ring", "dynamics"), "error_median_deg")


def curves() -> pd.DataFrame:
    """The shipped curves: family, curve, x, y, networks, mean, low, high. Raises `wm.store.DamagedFile`."""
    return measured.read("ring", "dynamics_curves", "dynamics")


def curve(rows: pd.DataFrame, family: str, name: str) -> pd.DataFrame:
    """One curve of a family: x, mean, low, high. Raises ValueError if the rows do not have it."""
    own = rows[(rows.family == family_name(family)) & (rows.curve == name)]
    if own.empty:
        known = ", ".join(rows.curve.unique())
        raise ValueError(f"there is no curve {name!r} of family {family!r}: curves are {known}")
    return own.reset_index(drop=True)


def cross_map(rows: pd.DataFrame, family: str) -> tuple[np.ndarray, np.ndarray]:
    """Times (time,) in ms and errors (time of fit, time of test) in deg of a family's cross-temporal map."""
    square = curve(rows, family, "cross").pivot(index="x", columns="y", values="mean")
    return square.index.to_numpy(), square.to_numpy()


def middle(values: pd.Series, log: bool = False) -> tuple[float, float, float]:
    """Mean and its 95 % t-interval; log: the geometric mean, of the values above 0."""
    ends = np.log(values[values > 0]) if log else values
    ends = np.array([np.mean(ends), *_interval(np.asarray(ends))])
    return tuple(np.exp(ends) if log else ends)


def averages(rows: pd.DataFrame, column: str) -> pd.DataFrame:
    """Both means of a column with 95 % intervals, its median and range: a row for each family.

    `not above 0` counts the networks that the geometric mean leaves out.
    """
    found = {}
    for family, values in rows.groupby("family", sort=False)[column]:
        means = ("{:.3g} [{:.3g}, {:.3g}]".format(*middle(values, log)) for log in (False, True))
        found[family] = (*means, values.median(), values.min(), values.max(), (values <= 0).sum())
    names = ["mean", "geometric mean", "median", "least", "largest", "not above 0"]
    return pd.DataFrame.from_dict(found, orient="index", columns=names)


def correlations(
    rows: pd.DataFrame, columns: Sequence[str], score: str = "error_deg", draws: int = 2000, seed: int = 0
) -> dict[str, Estimate]:
    """Spearman's rank correlation of each column with `score` over the networks of `rows`.

    `wm.estimate.rank_correlation` for many columns at once: the same networks are drawn for all of them. A
    network without a value is left out of that column only, and not counted in its `n_networks`.
    """
    found = {}
    for column in columns:
        own = rows[[column, score]].dropna()
        networks = len(own)
        drawn = np.random.default_rng(seed).integers(networks, size=(draws, networks))
        drawn = np.concatenate([np.arange(networks)[None], drawn])  # the first row is all of them
        r = np.prod([_standard_ranks(own[name].to_numpy()[drawn]) for name in (column, score)], axis=0).sum(1)
        levels = (expanded_percentiles(r[1:], networks, level) for level in (0.90, 0.95))
        found[column] = Estimate(float(r[0]), *levels, networks)
    return found


def _standard_ranks(values: np.ndarray) -> np.ndarray:
    """Ranks (draw, network), of zero mean and unit length in each draw."""
    ranks = rankdata(values, axis=1)
    ranks -= ranks.mean(axis=1, keepdims=True)
    return ranks / np.linalg.norm(ranks, axis=1, keepdims=True)
