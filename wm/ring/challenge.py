"""Harder versions of the ring task: more, longer and stronger distractors, longer delays, noise, lost units.

A challenge varies one thing of the standard condition (noise 0.1, every unit alive, one distractor of 100 ms
and full strength 500 ms after the target, a delay of 1.4 s) and leaves the rest. The paper has none of them.
"""

from __future__ import annotations

__all__ = ["CHALLENGES", "UNITS", "Challenge", "Condition", "HarderBatch", "HarderTask", "condition"]

import math
from collections.abc import Mapping
from dataclasses import dataclass
from typing import NamedTuple

import numpy as np
import torch
from torch import Tensor

from ..seeds import numpy_generator
from ..text import nearest
from .task import DT_MS, MEDIAN_DELAYS, Batch, Delays, Task, tuning_curve


@dataclass(frozen=True)
class HarderTask(Task):
    """The task with any number of distractors, of any duration and strength, one after the other.

    Directions of a batch are those of the target and the first distractor; the further ones are uniform on
    the circle, the same for all networks. With the defaults it is `Task`.
    """

    distractors: int = 1
    """how many are shown; 0 for none"""
    duration: int = 10
    """steps of each distractor"""
    spacing: int = 20
    """steps from the onset of one distractor to that of the next"""
    strength: float = 1.0
    """factor on the input of the distractors"""

    def __post_init__(self) -> None:
        for name in ("distractors", "duration", "spacing", "strength"):
            if not 0 <= getattr(self, name) < math.inf:
                raise ValueError(f"{name} must be 0 or more and finite, got {getattr(self, name)}")
        super().__post_init__()

    @property
    def shown_for(self) -> int:
        """Steps from the onset of the first distractor to the end of the last."""
        return (self.distractors - 1) * self.spacing + self.duration if self.distractors else 0

    def check_delays(self, delays: Delays) -> None:
        """Refuse delays that one distractor as in training, or all that are shown, would outlast."""
        super().check_delays(delays)
        late = np.max(np.asarray(delays.onset) + self.shown_for - np.asarray(delays.delay))
        if late > 0:
            raise ValueError(
                f"{self.distractors} distractors of {self.duration} steps end {late} steps after the go cue: "
                "show fewer or shorter ones, or lengthen `delay`"
            )

    def batch(self, directions_deg: np.ndarray, delays: Delays = MEDIAN_DELAYS, **options) -> HarderBatch:
        """Trials as `Task.batch` makes them, with the distractors of this task."""
        if not self.distractors:
            options["present"] = False
        plain = super().batch(directions_deg, delays, **options)
        shape = (max(self.distractors - 1, 0), plain.directions_deg.shape[1])
        further = numpy_generator(0, "further distractors").uniform(0, 360, shape)
        return HarderBatch(**vars(plain), further_deg=further)


@dataclass(frozen=True, eq=False)
class HarderBatch(Batch):
    """Trials of a `HarderTask`. Events: target, first distractor, go cue, further distractors.

    further_deg: (distractor, trial), directions of the further distractors.
    """

    further_deg: np.ndarray

    @property
    def landmarks(self) -> dict[str, np.ndarray]:
        """First step of each event, (network,); `distractor_off` is the end of the last distractor."""
        marks = super().landmarks
        return marks | {"distractor_off": marks["distractor"] + self.task.shown_for}

    def onsets(self) -> np.ndarray:
        """First step of each distractor, (distractor, network); one at least, shown or not."""
        count = np.arange(1 + len(self.further_deg))
        return self.landmarks["distractor"] + self.task.spacing * count[:, None]

    def time_course(self) -> np.ndarray:
        """When each event is on: (network, time, event) of 0/1."""
        plain, t = super().time_course(), np.arange(self.steps)
        since = t - self.onsets()[..., None]  # (distractor, network, time)
        shown = np.moveaxis((since >= 0) & (since < self.task.duration), 0, -1).astype(plain.dtype)
        return np.concatenate([plain[..., :1], shown[..., :1], plain[..., 2:], shown[..., 1:]], axis=-1)

    def patterns(self, *, device: str = "cpu", dtype: torch.dtype = torch.float32) -> Tensor:
        """Input pattern of each event: (network, event, trial, input); the last input is the go unit."""
        plain = super().patterns(device=device, dtype=dtype)
        further = torch.as_tensor(self.further_deg, dtype=dtype, device=device)
        further = torch.nn.functional.pad(tuning_curve(further, self.task.inputs), (0, 1))
        patterns = torch.cat([plain, further.expand(len(plain), *further.shape)], dim=1)
        factor = torch.full((patterns.shape[1], 1, 1), self.task.strength, dtype=dtype, device=device)
        factor[[0, 2]] = 1
        return patterns * factor


class Condition(NamedTuple):
    """What a network has to cope with. Its defaults are the standard condition, that of `wm.ring.errors`.

    noise: SD of the rates' noise; lost: share of the units that are silenced; delays: of the trial, in steps;
    distractors: settings of `HarderTask`.
    """

    noise: float = 0.1
    lost: float = 0.0
    delays: Delays = MEDIAN_DELAYS
    distractors: Mapping[str, float] = {}

    def task(self, units: int) -> HarderTask:
        """The task of networks with so many units."""
        onset, delay = ((steps, steps) for steps in self.delays[1:])
        return HarderTask(units, onset=onset, delay=delay, **self.distractors)


@dataclass(frozen=True)
class Challenge:
    """One way to make the task harder: its axis, the standard level, and levels; the last is hardest."""

    title: str
    axis: str
    standard: float
    levels: tuple[float, ...]
    logarithmic: bool = False

    def hardness(self, level: float | np.ndarray) -> np.ndarray:
        """0 at the standard level and 1 at the hardest, (log-)linear between; negative where it is easier."""
        level, ends = np.asarray(level, dtype=float), np.array([self.standard, self.levels[-1]])
        if self.logarithmic:
            level, ends = np.log(level), np.log(ends)
        return (level - ends[0]) / (ends[1] - ends[0])

    def level_at(self, hardness: float | np.ndarray) -> np.ndarray:
        """The level of a hardness: the inverse of `hardness`."""
        hardness, (low, high) = np.asarray(hardness, dtype=float), (self.standard, self.levels[-1])
        if self.logarithmic:
            return low * (high / low) ** hardness
        return low + hardness * (high - low)


CHALLENGES: dict[str, Challenge] = {
    "noise": Challenge("noise", "SD of the rate noise", 0.1, (0, 0.05, 0.1, 0.2, 0.3, 0.4, 0.5)),
    "loss": Challenge("units lost", "units lost (%)", 0, (0, 1, 2, 5, 10, 20, 50)),
    "count": Challenge("distractors", "number of distractors", 1, (0, 1, 2, 3, 4)),
    "duration": Challenge("duration", "distractor duration (ms)", 100, (0, 50, 100, 200, 300, 400)),
    "strength": Challenge("strength", "distractor strength (×)", 1, (0, 0.5, 1, 1.5, 2, 3, 4)),
    "delay": Challenge("delay", "delay (s)", 1.4, (0.5, 1, 1.4, 2, 3, 4, 6, 8)),
    "after": Challenge("time after", "time after distractor (s)", 0.8, (0, 0.4, 0.8, 1.6, 3.2, 6.4)),
}
"""what `measure` measures. delay: target offset to go cue, with the distractor at the same share of it
(5/14); after: distractor offset to go cue, with the distractor 500 ms after the target as ever"""
UNITS = Challenge("network size", "units", 400, (400, 200, 100, 50), logarithmic=True)
"""fewer units in networks trained at that size: see `wm.ring.sizes`"""


def condition(challenge: str, level: float) -> Condition:
    """The standard condition with one challenge at a level, in the unit of its axis.

    Raises ValueError for an unknown challenge.
    """
    fixation, onset, delay = MEDIAN_DELAYS
    steps = round(level * 1000 / DT_MS)  # where the level is in s
    made = {
        "noise": lambda: Condition(noise=level),
        "loss": lambda: Condition(lost=level / 100),
        "count": lambda: Condition(distractors={"distractors": round(level)}),
        "duration": lambda: Condition(distractors={"duration": round(level / DT_MS)}),
        "strength": lambda: Condition(distractors={"strength": level}),
        "delay": lambda: Condition(delays=Delays(fixation, round(steps * onset / delay), steps)),
        "after": lambda: Condition(delays=Delays(fixation, onset, onset + Task.shown + steps)),
    }
    if challenge not in made:
        raise ValueError(f"unknown challenge {challenge!r}: {nearest(challenge, made)}")
    return made[challenge]()
