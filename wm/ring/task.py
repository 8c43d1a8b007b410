"""Circular delayed-recall task: remember one direction, ignore a second one, report the first.

Source: `2DIR1O` ("two directions shown, one reported"), Zahorodnii et al. 2025, bioRxiv 2025.03.17.643652.
One step is 10 ms. The timeline of a trial, in steps::

    fixation | target | delay ............................ | go cue
             |        | <- onset -> distractor             |
"""

from __future__ import annotations

__all__ = [
    "MEDIAN_DELAYS", "Batch", "Delays", "Task", "angular_error", "grid_directions", "sent", "tuning_curve",
]  # fmt: skip

from dataclasses import dataclass
from typing import NamedTuple

import numpy as np
import torch
from torch import Tensor

DT_MS = 10


class Delays(NamedTuple):
    """The three delays of a trial, in steps; each an integer or an integer array (network,)."""

    fixation: int | np.ndarray
    onset: int | np.ndarray  # from target offset to distractor onset
    delay: int | np.ndarray  # from target offset to go cue


MEDIAN_DELAYS = Delays(fixation=15, onset=50, delay=140)


@dataclass(frozen=True)
class Task:
    """Timing (in steps of 10 ms) and statistics of the trials."""

    inputs: int = 100
    """direction-tuned input units; one go-cue unit is added"""
    distractor_probability: float = 1.0
    """chance that a trial shows the distractor"""
    fixation: tuple[int, int] = (10, 20)
    """range of the fixation, both ends included"""
    onset: tuple[int, int] = (10, 90)
    """range of the time from target offset to distractor onset"""
    delay: tuple[int, int] = (120, 160)
    """range of the time from target offset to go cue"""
    shown: int = 10
    """duration of the target and of the distractor"""
    go: int = 100
    """duration of the go cue, in which the answer counts"""

    def __post_init__(self) -> None:
        if not 0 <= self.distractor_probability <= 1:
            raise ValueError(f"distractor_probability must lie in [0, 1], got {self.distractor_probability}")
        for name in ("inputs", "shown", "go"):
            if getattr(self, name) < 1:
                raise ValueError(f"{name} must be at least 1, got {getattr(self, name)}")
        for name in ("fixation", "onset", "delay"):
            low, high = getattr(self, name)
            if not 0 <= low <= high:
                raise ValueError(f"{name} must be a range 0 <= low <= high in steps, got ({low}, {high})")
        self.check_delays(Delays(self.fixation[1], self.onset[1], self.delay[0]))

    def check_delays(self, delays: Delays) -> None:
        """Refuse delays in which the distractor would outlast the delay (ValueError)."""
        for name, value in zip(delays._fields, delays, strict=True):
            if np.asarray(value).dtype.kind not in "iu":
                raise ValueError(f"delay {name!r} must be whole steps, got {value}")
            if np.min(value) < 0:
                raise ValueError(f"delay {name!r} is negative: {np.min(value)} steps")
        late = np.max(np.asarray(delays.onset) + self.shown - np.asarray(delays.delay))
        if late > 0:
            raise ValueError(
                f"the distractor (onset {np.max(delays.onset)} + {self.shown} steps) does not fit "
                f"the delay of {np.min(delays.delay)} steps: shorten `onset` or lengthen `delay`"
            )

    def steps(self, delays: Delays | None = None) -> int:
        """Steps of the longest trial: fixation + target + delay + go cue."""
        longest = Delays(self.fixation[1], self.onset[1], self.delay[1]) if delays is None else delays
        return int(np.max(np.asarray(longest.fixation) + np.asarray(longest.delay))) + self.shown + self.go

    def batch(
        self,
        directions_deg: np.ndarray,
        delays: Delays = MEDIAN_DELAYS,
        *,
        present: np.ndarray | bool | None = None,
        steps: int | None = None,
    ) -> Batch:
        """Trials with given directions (network, trial, 2) in degrees: target and distractor."""
        directions = np.array(directions_deg, dtype=float)
        if directions.ndim != 3 or directions.shape[-1] != 2:
            raise ValueError(f"directions_deg must be (network, trial, 2), got {directions.shape}")
        if not np.isfinite(directions).all():
            raise ValueError("directions_deg holds NaN or infinite values")
        networks, trials, _ = directions.shape
        self.check_delays(delays)
        delays = Delays(*(np.broadcast_to(np.asarray(d, dtype=int), (networks,)) for d in delays))
        if present is None:
            present = self.distractor_probability > 0
        steps = self.steps(delays) if steps is None else steps
        if steps < self.steps(delays):
            raise ValueError(
                f"steps = {steps} is shorter than the longest trial ({self.steps(delays)} steps)"
            )
        present = np.broadcast_to(np.asarray(present, dtype=bool), (networks, trials)).copy()
        return Batch(self, directions, delays, present, steps)


@dataclass(frozen=True, eq=False)
class Batch:
    """Trials of an ensemble; all trials of one network share its delays.

    directions_deg: (network, trial, 2); delays: each (network,); present: (network, trial), distractor shown;
    steps: time steps, trials that end earlier are padded with silence.
    """

    task: Task
    directions_deg: np.ndarray
    delays: Delays
    present: np.ndarray
    steps: int

    @property
    def landmarks(self) -> dict[str, np.ndarray]:
        """First step of each event, (network,): target, delay, distractor, distractor_off, go, end."""
        target = self.delays.fixation
        offset = target + self.task.shown
        distractor = offset + self.delays.onset
        go = offset + self.delays.delay
        return {
            "target": target,
            "delay": offset,
            "distractor": distractor,
            "distractor_off": distractor + self.task.shown,
            "go": go,
            "end": go + self.task.go,
        }

    def time_course(self) -> np.ndarray:
        """When each event is on: (network, time, 3) of 0/1 for target, distractor, go cue."""
        t = np.arange(self.steps)[None, :]
        marks = {name: step[:, None] for name, step in self.landmarks.items()}
        spans = (("target", "delay"), ("distractor", "distractor_off"), ("go", "end"))
        on = [(t >= marks[first]) & (t < marks[last]) for first, last in spans]
        return np.stack(on, axis=-1).astype(np.float32)

    def patterns(self, *, device: str = "cpu", dtype: torch.dtype = torch.float32) -> Tensor:
        """Input pattern of each event: (network, event, trial, input); the last input is the go unit."""
        networks, trials, _ = self.directions_deg.shape
        patterns = torch.zeros(networks, 3, trials, self.task.inputs + 1, dtype=dtype, device=device)
        directions, present = (sent(x, device, dtype) for x in (self.directions_deg, self.present))
        patterns[:, 0, :, :-1] = tuning_curve(directions[..., 0], self.task.inputs)
        patterns[:, 1, :, :-1] = tuning_curve(directions[..., 1], self.task.inputs) * present[..., None]
        patterns[:, 2, :, -1] = 1
        return patterns

    def inputs(self, *, dtype: torch.dtype = torch.float32) -> Tensor:
        """The whole input, (network, trial, time, input): event patterns times their time course."""
        on = torch.as_tensor(self.time_course(), dtype=dtype)
        return torch.einsum("nte,nebi->nbti", on, self.patterns(dtype=dtype))

    def targets(self) -> np.ndarray:
        """Wanted outputs during the go cue, (network, trial, 2): sin and cos of the target direction."""
        angle = np.deg2rad(self.directions_deg[..., 0])
        return np.stack([np.sin(angle), np.cos(angle)], axis=-1).astype(np.float32)

    def within(self) -> np.ndarray:
        """Which steps belong to the trial, (network, time) of 0/1; the rest is padding."""
        return (np.arange(self.steps)[None, :] < self.landmarks["end"][:, None]).astype(np.float32)

    def mask(self) -> np.ndarray:
        """Steps that count, (network, time) of bool: the go cue."""
        return self.time_course()[..., 2] > 0


def sent(array: np.ndarray, device: str | torch.device, dtype: torch.dtype = torch.float32) -> Tensor:
    """An array on a device; the copy to a GPU waits for no work that is under way there."""
    tensor = torch.from_numpy(array).to(dtype)
    if torch.device(device).type == "cuda":
        return tensor.pin_memory().to(device, non_blocking=True)
    return tensor.to(device)


def tuning_curve(direction_deg: Tensor, inputs: int) -> Tensor:
    """Response of the input units, ((1 + cos(theta - 360 i / N)) / 2)^4: (...) degrees -> (..., input)."""
    preferred = torch.arange(inputs, dtype=direction_deg.dtype, device=direction_deg.device) * (360 / inputs)
    return ((1 + torch.cos(torch.deg2rad(direction_deg[..., None] - preferred))) / 2) ** 4


def grid_directions(directions: int = 30) -> np.ndarray:
    """All pairs of K equally spaced directions, (K * K, 2) in degrees; the target varies slowest."""
    if directions < 1:
        raise ValueError(f"directions must be at least 1, got {directions}")
    grid = np.arange(directions) * (360 / directions)
    return np.stack(np.meshgrid(grid, grid, indexing="ij"), axis=-1).reshape(-1, 2)


def angular_error(outputs: Tensor, direction_deg: Tensor) -> Tensor:
    """Signed error in degrees, wrapped to [-180, 180), of atan2(output 0, output 1) against the direction.

    outputs: (..., 2) as (sin, cos); direction_deg: (...), broadcast.
    """
    reported = torch.rad2deg(torch.atan2(outputs[..., 0], outputs[..., 1]))
    return torch.remainder(reported - direction_deg + 180, 360) - 180
