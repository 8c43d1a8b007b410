"""Behaviour of ring networks with near and far, early and late distractors, and what units do meanwhile.

Every network runs all pairs of 8 target and distractor directions, with the usual noise, for several times
from target offset to distractor onset. Near distractors are 45 degrees from the target, far ones 135 or 180.
`wm states ring behaviour` writes, `table` reads::

    data_json/ring/behaviour.csv    a row per network and onset, columns `COLUMNS`

Source: Zahorodnii et al. 2025, bioRxiv 2025.03.17.643652.
"""

from __future__ import annotations

__all__ = [
    "CHANCE_PERCENT", "COLUMNS", "DIFFERENCES_DEG", "ONSETS", "WRONG_ABOVE_DEG", "Classes", "Trials",
    "circular_mean", "classes", "difference_grid", "error_signal", "gate_course", "measure",
    "run_trials", "summary", "table",
]  # fmt: skip

from collections.abc import Sequence
from typing import NamedTuple

import numpy as np
import pandas as pd
import torch
from torch import Tensor

from .. import measured
from .derived import saved_families, with_errors
from .evaluate import in_blocks, same_trials, task_of
from .families import FAMILIES
from .library import Ensemble, load, names
from .network import NONLINEARITIES
from .task import MEDIAN_DELAYS, Delays, angular_error, grid_directions
from .tuning import preferred_direction, record, ring_units, wrap

ONSETS = (10, 15, 20, 25, 30, 50, 90)
"""times from target offset to distractor onset, in steps of 10 ms"""
DIFFERENCES_DEG = (45, 90, 135)
"""differences between target and distractor of which the bias has a column"""
WRONG_ABOVE_DEG = 22.5
"""a go-cue step beyond this error is wrong; a trial is wrong if more than half of its go-cue steps are"""
CHANCE_PERCENT = 100 * (1 - 2 * WRONG_ABOVE_DEG / 360)
"""error rate of a random, constant answer"""
COLUMNS = (
    "error_near_deg", "error_far_deg", "wrong_near_percent", "wrong_far_percent",
    "bias_45_deg", "bias_90_deg", "bias_135_deg", "gate_45", "gate_135", "signal_45", "signal_135",
)  # fmt: skip
"""measurements of a network at one onset, see `summary`"""
_ERROR_UNITS_DEG = 45.0  # reach of the preferences of error units around target + 90 and target + 270


class Classes(NamedTuple):
    """Units of an ensemble: ring and gate, bool (network, unit); preferred_deg in the delay, (network, unit).

    Gate units are all that are no memory-ring units.
    """

    ring: np.ndarray
    gate: np.ndarray
    preferred_deg: np.ndarray


class Trials(NamedTuple):
    """What came of each trial: difference_deg (trial,), the others (network, trial).

    difference_deg: distractor - target in [-180, 180); mean_square: of the angular error over go-cue steps,
    deg^2; wrong: share of go-cue steps beyond 22.5 degrees; error_deg: of the mean output, signed; gate: mean
    rate of gate units during the distractor, NaN without any; signal: see `error_signal`.
    """

    difference_deg: np.ndarray
    mean_square: np.ndarray
    wrong: np.ndarray
    error_deg: np.ndarray
    gate: np.ndarray
    signal: np.ndarray


def classes(ensemble: Ensemble, *, directions: int = 30) -> Classes:
    """Ring and gate units and preferences from the published recording (preset `example`)."""
    recording = record(ensemble, directions=directions)
    ring = ring_units(recording)
    return Classes(ring, ~ring, preferred_direction(recording.rates["delay"], recording.directions_deg))


def difference_grid(targets: int = 8, differences: int = 24) -> np.ndarray:
    """Pairs of equally spaced targets and differences, (targets * differences, 2) in degrees."""
    target, difference = np.meshgrid(
        np.arange(targets) * (360 / targets), np.arange(differences) * (360 / differences), indexing="ij"
    )
    return np.stack([target, (target + difference) % 360], axis=-1).reshape(-1, 2)


def error_signal(change: Tensor, preferred_deg: Tensor, target_deg: Tensor, ring: Tensor) -> Tensor:
    """|mean change of ring units that prefer target + 90 - that of those that prefer target + 270|.

    Both within 45 degrees. change: (network, trial, unit), preferred_deg and ring: (network, unit),
    target_deg: (trial,). Returns (network, trial); NaN where a side has no unit.
    """
    away = torch.remainder(preferred_deg[:, None] - target_deg[:, None] + 180, 360) - 180
    sides = []
    for side in (90, -90):
        near = ((away - side).abs() <= _ERROR_UNITS_DEG) & ring[:, None]
        sides.append((change * near).sum(-1) / near.sum(-1))
    return (sides[0] - sides[1]).abs()


def circular_mean(angle_deg: np.ndarray, axis: int = -1) -> np.ndarray:
    """Angle of the mean of exp(i angle) over an axis, deg in [-180, 180); rare flips matter little."""
    return wrap(np.rad2deg(np.angle(np.exp(1j * np.deg2rad(angle_deg)).mean(axis=axis))))


@torch.no_grad()
def run_trials(
    ensemble: Ensemble,
    units: Classes,
    pairs_deg: np.ndarray,
    onset: int,
    *,
    noise: float = 0.1,
    seed: int = 0,
    device: str = "cpu",
) -> Trials:
    """Run pairs (trial, 2) of target and distractor, deg, the distractor `onset` steps after target offset.

    The rates behind `signal` and `gate` are f(a), without the noise of the moment. The noise of a network
    depends on its own seed, on `seed` and `onset` alone. Raises ValueError for negative noise or an
    impossible onset.
    """
    batch, run = _start(ensemble, pairs_deg, onset, noise=noise, seed=seed, device=device)
    ring, gate = (torch.as_tensor(mask, device=device) for mask in (units.ring, units.gate))
    preferred = torch.as_tensor(units.preferred_deg, device=device, dtype=torch.float32)
    target = torch.as_tensor(pairs_deg[:, 0].copy(), device=device, dtype=torch.float32)
    marks = {event: int(step[0]) for event, step in batch.landmarks.items()}
    f, readout = NONLINEARITIES[ensemble.config.nonlinearity], ensemble.weights.readout.to(device).mT
    shape = (len(ensemble), len(pairs_deg))
    squared, wrong, gated = (torch.zeros(shape, device=device) for _ in range(3))
    answer = torch.zeros(*shape, 2, device=device)
    for t, (a, h) in enumerate(run):
        if t == marks["distractor"] - 1:
            before = f(a)
        elif marks["distractor"] <= t < marks["distractor_off"]:
            gated += (f(a) * gate[:, None]).sum(-1) / gate.sum(-1)[:, None]
            after = f(a)
        elif t >= marks["go"]:
            y = h @ readout
            error = angular_error(y, target)
            squared += error.square()
            wrong += error.abs() > WRONG_ABOVE_DEG
            answer += y
    shown, go = batch.task.shown, batch.task.go
    signal = error_signal((after - before) / shown, preferred, target, ring)
    results = (squared / go, wrong / go, angular_error(answer, target), gated / shown, signal)
    difference = wrap(pairs_deg[:, 1] - pairs_deg[:, 0])
    return Trials(difference, *(x.double().cpu().numpy() for x in results))


def _start(ensemble: Ensemble, pairs_deg: np.ndarray, onset: int, *, noise: float, seed: int, device: str):
    """The batch of these pairs, for every network the same, and its run by `network.steps`."""
    task = task_of(ensemble.config, distractor_probability=1.0)
    delays = Delays(MEDIAN_DELAYS.fixation, onset, MEDIAN_DELAYS.delay)
    return same_trials(
        task, ensemble.weights.to(device), ensemble.seeds, pairs_deg=pairs_deg, delays=delays, noise=noise,
        purpose=("behaviour", seed, onset),
    )  # fmt: skip


def summary(trials: Trials) -> dict[str, np.ndarray]:
    """Measurements of each network, name in `COLUMNS` -> (network,).

    error: root mean square over trials and go-cue steps; wrong: percent of trials; both near (45 degrees) and
    far (135 or 180). bias: circular mean over trials of the error towards the distractor, negative if away
    from it. gate and signal: means over trials at 45 and 135 degrees.
    """
    size, side = np.abs(trials.difference_deg), np.sign(trials.difference_deg)
    distance = {"near": np.isclose(size, 45), "far": size > 134}
    at = {difference: np.isclose(size, difference) for difference in DIFFERENCES_DEG}
    values = [np.sqrt(trials.mean_square[:, where].mean(axis=1)) for where in distance.values()]
    values += [100 * (trials.wrong[:, where] > 0.5).mean(axis=1) for where in distance.values()]
    values += [circular_mean((trials.error_deg * side)[:, where]) for where in at.values()]
    values += [x[:, at[d]].mean(axis=1) for x in (trials.gate, trials.signal) for d in (45, 135)]
    return dict(zip(COLUMNS, values, strict=True))


@torch.no_grad()
def gate_course(
    ensemble: Ensemble, units: Classes, onset: int, *, noise: float = 0.1, seed: int = 0, device: str = "cpu"
) -> dict[int, np.ndarray]:
    """Mean rate of the gate units at each step, difference -> (network, time); NaN without gate units.

    For distractors 45 and 135 degrees from 8 targets, from the first step of a trial to 10 steps after the
    distractor.
    """
    pairs = grid_directions(8)
    size = np.abs(wrap(pairs[:, 1] - pairs[:, 0]))
    batch, run = _start(ensemble, pairs, onset, noise=noise, seed=seed, device=device)
    gate = torch.as_tensor(units.gate, device=device)
    stop = int(batch.landmarks["distractor_off"][0]) + 10
    sums = [(h * gate[:, None]).sum(-1) for _, (_, h) in zip(range(stop), run, strict=False)]
    course = (torch.stack(sums, dim=-1) / gate.sum(-1)[:, None, None]).cpu().numpy()
    return {difference: course[:, size == difference].mean(axis=1) for difference in (45, 135)}


def measure(
    *, device: str = "cpu", families: Sequence[str] | None = None, repeats: int = 2, networks: int = 30
) -> pd.DataFrame:
    """Measure the saved networks of these families (default: all that are saved) and write the table.

    Of each family the first `networks`, on `repeats` times all 64 pairs. Columns: family, network, onset
    (steps from target offset), then `COLUMNS` with four digits. Rows of other families stay; returns those
    measured now. ValueError for an unknown family, or if there is nothing to measure; what
    `wm.measured.Measuring.save` raises.
    """
    wanted = saved_families(families)
    options = {"device": device, "families": families, "repeats": repeats, "networks": networks}
    run = measured.Measuring("ring/behaviour", measure, wanted, known=FAMILIES, options=options)
    pairs = np.tile(grid_directions(8), (repeats, 1))
    parts = []
    for family in wanted:
        found = names(family)[:networks]
        parts += [_rows(load(found[some]), pairs, device) for some in in_blocks(len(found), len(pairs))]
    rows = pd.concat(parts, ignore_index=True)
    rows[list(COLUMNS)] = rows[list(COLUMNS)].map(lambda value: float(f"{value:.4g}"))
    run.save({"behaviour": rows})
    return rows


def _rows(ensemble: Ensemble, pairs_deg: np.ndarray, device: str) -> pd.DataFrame:
    units = classes(ensemble)
    about = {"family": ensemble.config.family, "network": ensemble.names}
    parts = []
    for onset in ONSETS:
        trials = run_trials(ensemble, units, pairs_deg, onset, device=device)
        parts.append(pd.DataFrame(about | {"onset": onset} | summary(trials)))
    return pd.concat(parts).sort_values(["network", "onset"], kind="stable")


def table() -> pd.DataFrame:
    """The shipped table, see `measure`, with `kept` and the errors of each network (`derived.with_errors`).

    Raises `wm.store.DamagedFile` if a file is missing, ValueError if a network has no errors.
    """
    return with_errors(measured.read("ring", "behaviour"))
