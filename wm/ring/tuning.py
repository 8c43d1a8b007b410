"""Direction tuning of ring-network units: recordings, memory-ring units, preferences and how they change.

A recording keeps the mean rate of every unit in a few windows of a trial, for all pairs of target and
distractor direction (o1, o2). Two published parameter sets are in use, `example` (example figures, backprop
networks) and `template` (sweeps): see `PRESETS`.
Source: Zahorodnii et al. 2025, bioRxiv 2025.03.17.643652, figures 2 and 3.
"""

from __future__ import annotations

__all__ = [
    "EXAMPLE_WINDOWS", "PRESETS", "TEMPLATE_WINDOWS", "THRESHOLDS", "TUNED_ABOVE", "Recording", "Trajectory",
    "change_histogram", "direction_selectivity", "go_variation", "preference_change",
    "preference_trajectory", "preferred_direction", "record", "ring_units", "window_means", "wrap",
]  # fmt: skip

from collections.abc import Mapping
from dataclasses import dataclass
from typing import NamedTuple

import numpy as np
import torch

from .evaluate import in_blocks, same_trials, task_of
from .library import Ensemble
from .task import MEDIAN_DELAYS, Delays, grid_directions

Windows = Mapping[str, tuple[int, int]]

TUNED_ABOVE = 0.01
"""direction selectivity above which a unit counts as tuned; weakly driven units can pass, by noise alone"""
# First step, and the step after the last. "go", the first step of the go cue, is where units are classified.
EXAMPLE_WINDOWS: Windows = {"cue": (15, 25), "delay": (45, 75), "go": (165, 166)}
TEMPLATE_WINDOWS: Windows = {"cue": (20, 21), "delay": (70, 71), "go": (165, 166)}

PRESETS = {
    "example": {"delays": MEDIAN_DELAYS, "distractor": False, "windows": EXAMPLE_WINDOWS},
    "template": {"delays": Delays(15, 90, 140), "distractor": True, "windows": TEMPLATE_WINDOWS},
}
"""the published recordings, as keywords of `record`"""
THRESHOLDS = {"example": (0.15, 0.10), "template": (0.25, 0.20)}
"""ring units vary with the target by more than the first, with the distractor by less than the second"""

_UNTUNED = 1e-6  # a mean resultant below this is rounding, not tuning


@dataclass(frozen=True, eq=False)
class Recording:
    """Mean rates of an ensemble over windows of a trial, for all pairs of `directions` angles.

    rates: window name -> (network, trial, unit); directions_deg: (trial, 2), target and distractor, the
    target varies slowest. Without distractor the second direction only numbers the repeats.
    """

    rates: dict[str, np.ndarray]
    directions_deg: np.ndarray
    directions: int
    delays: Delays
    distractor: bool
    noise: float
    windows: Windows


def wrap(angle_deg: np.ndarray) -> np.ndarray:
    """The same angle in [-180, 180) degrees, any shape."""
    return (np.asarray(angle_deg) + 180) % 360 - 180


def record(
    ensemble: Ensemble,
    *,
    directions: int = 30,
    delays: Delays = MEDIAN_DELAYS,
    distractor: bool = False,
    noise: float = 0.1,
    windows: Windows = EXAMPLE_WINDOWS,
    seed: int = 0,
) -> Recording:
    """Run all pairs of `directions` angles and keep each unit's mean rate in each window, in steps of 10 ms.

    The noise of a network depends on its own seed and on `seed` alone. Trials that cannot differ (no
    distractor, no noise) are simulated once. Raises ValueError for a window outside the trial, or negative
    noise.
    """
    task = task_of(ensemble.config, distractor_probability=float(distractor))
    for name, (first, stop) in windows.items():
        if not 0 <= first < stop <= task.steps(delays):
            raise ValueError(
                f"window {name!r} = ({first}, {stop}) is not within the {task.steps(delays)} steps"
            )
    repeats = 1 if distractor or noise else directions
    pairs, parts = grid_directions(directions), []
    once = {"pairs_deg": pairs[::repeats], "delays": delays, "noise": noise, "purpose": ("recording", seed)}
    for some in in_blocks(len(ensemble), len(once["pairs_deg"]), ensemble.weights.bias.device):
        _, run = same_trials(task, ensemble.weights.select(some), ensemble.seeds[some], **once)
        parts.append(window_means(run, windows))
    rates = {name: np.concatenate([part[name] for part in parts]).repeat(repeats, axis=1) for name in windows}
    return Recording(rates, pairs, directions, delays, distractor, noise, dict(windows))


@torch.no_grad()
def window_means(run, windows: Windows) -> dict[str, np.ndarray]:
    """Mean rate in each window, (network, trial, unit); the run goes no further than the last window."""
    sums: dict[str, torch.Tensor] = dict.fromkeys(windows, 0)
    for t, (_, h) in zip(range(max(stop for _, stop in windows.values())), run, strict=False):
        for name, (first, stop) in windows.items():
            if first <= t < stop:
                sums[name] = sums[name] + h
    return {name: (sums[name] / (stop - first)).cpu().numpy() for name, (first, stop) in windows.items()}


def ring_units(recording: Recording, preset: str = "example") -> np.ndarray:
    """Memory-ring units: s1 > high and s2 < low at the go cue (`go_variation`), bool (network, unit).

    preset: `example` (0.15, 0.10) or `template` (0.25, 0.20). ValueError for another one.
    """
    if preset not in THRESHOLDS:
        raise ValueError(f"unknown preset {preset!r}: one of {', '.join(THRESHOLDS)}")
    high, low = THRESHOLDS[preset]
    s1, s2 = go_variation(recording)
    return (s1 > high) & (s2 < low)


def go_variation(recording: Recording) -> tuple[np.ndarray, np.ndarray]:
    """How much the rate at the go cue varies with target (s1) and distractor (s2), each (network, unit).

    s1: sample SD over targets of the mean over distractors (or repeats) + 0.01; s2: roles swapped.
    """
    rates = _window(recording, "go")
    grid = rates.reshape(len(rates), recording.directions, recording.directions, -1)
    s1, s2 = (grid.mean(axis=axis).std(axis=1, ddof=1) + 0.01 for axis in (2, 1))
    return s1, s2


def _window(recording: Recording, name: str) -> np.ndarray:
    if name not in recording.rates:
        raise ValueError(
            f"the recording has no window {name!r}, only {', '.join(recording.rates)}: record it too"
        )
    return recording.rates[name]


def _resultant(rates: np.ndarray, directions_deg: np.ndarray) -> np.ndarray:
    """sum_k w_k exp(i theta_k) over trials: (network, trial, unit) -> complex (network, unit)."""
    theta = np.deg2rad(np.asarray(directions_deg)[:, 0])
    return np.moveaxis(np.asarray(rates, dtype=float), 1, -1) @ np.exp(1j * theta)


def preferred_direction(rates: np.ndarray, directions_deg: np.ndarray) -> np.ndarray:
    """Preferred target direction, the angle of sum_k w_k exp(i theta_k): deg in [0, 360), (network, unit).

    rates: (network, trial, unit); directions_deg: (trial, 2). The angle of an untuned unit means nothing.
    """
    return np.rad2deg(np.angle(_resultant(rates, directions_deg))) % 360


def direction_selectivity(rates: np.ndarray, directions_deg: np.ndarray) -> np.ndarray:
    """Direction selectivity |sum_k w_k exp(i theta_k)| / (sum_k |w_k| + 0.01), (network, unit), 0 to 1.

    w_k is the mean rate over all trials of target theta_k.
    rates: (network, trial, unit); directions_deg: (trial, 2).
    """
    angles, own = np.unique(np.asarray(directions_deg)[:, 0], return_inverse=True)
    w = np.stack([np.mean(rates[:, own == k], axis=1, dtype=float) for k in range(len(angles))], axis=1)
    return np.abs(_resultant(w, angles[:, None])) / (np.abs(w).sum(axis=1) + 0.01)


def preference_change(
    recording: Recording, mask: np.ndarray | None = None, *, signed: bool = False
) -> np.ndarray:
    """|wrap(preferred direction in the delay - in the cue)|, deg (network, unit), NaN outside `mask`.

    mask: bool (network, unit), by default the ring units of the `example` thresholds. signed: in [-180, 180).
    """
    mask = ring_units(recording) if mask is None else mask
    directions_deg = recording.directions_deg
    delay, cue = (preferred_direction(_window(recording, name), directions_deg) for name in ("delay", "cue"))
    change = wrap(delay - cue)
    return np.where(mask, change if signed else np.abs(change), np.nan)


def change_histogram(change: np.ndarray, bins: int = 5, *, signed: bool = False) -> np.ndarray:
    """Percent of units by preference change: (network, unit) with NaN for others -> (network, bin).

    Equal bins on [0, 180] degrees ([-180, 180] if signed). A network without units gives a row of NaN.
    """
    limits = (-180 if signed else 0, 180)
    counts = np.array([np.histogram(row[np.isfinite(row)], bins, limits)[0] for row in change], dtype=float)
    total = counts.sum(axis=1, keepdims=True)
    return 100 * counts / np.where(total, total, np.nan)


class Trajectory(NamedTuple):
    """Preferred direction along a trial.

    steps: (time,); preferred_deg: (network, time, unit), continuous in time and in [0, 360) at the last tuned
    step, NaN where the unit is untuned; strength: (network, time, unit), 5 x mean squared rate, at most 1.
    """

    steps: np.ndarray
    preferred_deg: np.ndarray
    strength: np.ndarray


def preference_trajectory(
    ensemble: Ensemble,
    *,
    directions: int = 30,
    delays: Delays = MEDIAN_DELAYS,
    span: tuple[int, int] | None = None,
) -> Trajectory:
    """Preferred direction of every unit at each step of a noise-free run without distractor.

    span: first step and the step after the last (default: 10 steps before the target to distractor onset).
    """
    offset = delays.fixation + task_of(ensemble.config).shown
    first, stop = span or (max(delays.fixation - 10, 0), offset + delays.onset)
    each = {str(t): (t, t + 1) for t in range(first, stop)}
    recording = record(ensemble, directions=directions, delays=delays, noise=0, windows=each)
    targets = slice(None, None, directions)
    rates = [rows[:, targets] for rows in recording.rates.values()]
    resultant = np.stack([_resultant(rows, recording.directions_deg[targets]) for rows in rates], axis=1)
    strength = np.stack([np.square(rows).mean(axis=1) for rows in rates], axis=1)
    path = _unwrapped(np.rad2deg(np.angle(resultant)), np.abs(resultant) > _UNTUNED * directions)
    return Trajectory(np.arange(first, stop), path, np.minimum(5 * strength, 1))


def _unwrapped(angle_deg: np.ndarray, tuned: np.ndarray) -> np.ndarray:
    """Angles (network, time, unit), continuous backwards from the last tuned step; NaN where not tuned."""
    path = np.full(angle_deg.shape, np.nan)
    later = np.full(angle_deg[:, 0].shape, np.nan)
    for t in reversed(range(path.shape[1])):
        now = np.where(np.isnan(later), angle_deg[:, t] % 360, later + wrap(angle_deg[:, t] - later))
        path[:, t] = np.where(tuned[:, t], now, np.nan)
        later = np.where(tuned[:, t], now, later)
    return path
