"""The nine N-back tasks, and their trials, drawn for many networks at once on any device.

A trial shows images one by one. At each step the answer is whether the image matches the one `lag` before it,
on the feature asked for; in the first `lag` steps there is nothing to compare, and the answer is no action
(Lei, Ito & Bashivan 2024, arXiv 2411.02685). The other steps are called executive.

    sampler = Sampler({feature: train.labels(feature) for feature in FEATURES})
    uniforms = torch.rand(256, sampler.numbers)
    trials = sampler.trials(uniforms, torch.randint(len(TASKS), (256,)))
    trials.images, trials.targets                    # (256, 6): rows of the images, places in RESPONSES

How often each feature matches is told by `wm.nback.balance`.
"""

from __future__ import annotations

__all__ = [
    "FEATURES", "LAGS", "LURES", "RESPONSES", "TASKS", "Sampler", "Task", "Trials", "executive",
    "task_named", "task_vectors", "tasks_of",
]  # fmt: skip

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from itertools import product
from typing import NamedTuple

import numpy as np
import torch
from torch import Tensor

from ..text import nearest
from .lures import FEATURES, LURES, RESPONSES, check_pools, followers

LAGS = (1, 2, 3)
"""how many steps before"""


@dataclass(frozen=True)
class Task:
    """Compare a feature with what was shown `lag` steps before."""

    feature: str
    """of `FEATURES`"""
    lag: int
    """of `LAGS`"""

    def __post_init__(self) -> None:
        if self.feature not in FEATURES:
            raise ValueError(f"there is no task about {self.feature!r}: {nearest(self.feature, FEATURES)}")
        if self.lag not in LAGS:
            raise ValueError(f"there is no task with a lag of {self.lag!r}: lags are {LAGS}")

    @property
    def name(self) -> str:
        """As in `2-back identity`."""
        return f"{self.lag}-back {self.feature}"

    @property
    def place(self) -> int:
        """Its number in `TASKS`."""
        return FEATURES.index(self.feature) * len(LAGS) + LAGS.index(self.lag)


TASKS = tuple(Task(feature, lag) for feature, lag in product(FEATURES, LAGS))
"""all nine, those of one feature together"""


def task_named(name: str) -> Task:
    """The task of this name, such as "2-back identity"; ValueError with the nearest for an unknown one."""
    known = {task.name: task for task in TASKS}
    if name not in known:
        raise ValueError(f"there is no task {name!r}: {nearest(name, known)}")
    return known[name]


class Trials(NamedTuple):
    """Trials of any leading axes, (network, trial) for many networks."""

    images: Tensor
    """rows of the labels, (..., trial, time) int64"""
    targets: Tensor
    """right answers, places in `RESPONSES`, (..., trial, time) int64; above 0 in executive steps"""
    tasks: Tensor
    """places in `TASKS`, (..., trial) int64"""


def tasks_of(lags: Sequence[int] = LAGS, features: Sequence[str] = FEATURES) -> tuple[Task, ...]:
    """The tasks of a diet, each of `features` with each of `lags`, in the order of `TASKS`.

    Raises ValueError for none, for one named twice, and as `Task` does.
    """
    found = [Task(feature, lag) for feature, lag in product(features, lags)]
    if not found or len(set(found)) < len(found):
        raise ValueError(f"a diet is one or more lags and features, each once: got {lags!r}, {features!r}")
    return tuple(sorted(found, key=lambda task: task.place))


def executive(lag: int, length: int) -> Tensor:
    """The steps in which something is compared, time >= lag, (time,) bool.

    Raises ValueError where there are none.
    """
    if not 0 < lag < length:
        raise ValueError(
            f"{length} images have no pair {lag} apart: show more images, or ask for a lower lag"
        )
    return torch.arange(length) >= lag


def task_vectors(tasks: Tensor, width: int = 6) -> Tensor:
    """What tells a network its task, (..., width) float32: feature | lag, each one of three numbers 1.

    tasks: places in `TASKS`, (...), trials last. Width 3 leaves the lag out, as some published code does, and
    tells the task only if all trials of a network have one lag. Raises ValueError if not, and for other
    widths.
    """
    if width not in (3, 6):
        raise ValueError(f"task vectors have width 6 (feature and lag) or 3 (feature alone), got {width}")
    feature, lag = (
        (part[..., None] == torch.arange(3, device=tasks.device)).float()
        for part in (tasks // len(LAGS), tasks % len(LAGS))
    )
    if width == 6:
        return torch.cat([feature, lag], dim=-1)
    if lag.ndim > 1 and not _capturing(tasks) and (lag != lag[..., :1, :]).any():
        raise ValueError(
            "task vectors of width 3 do not tell the lag, and these tasks have several: use width 6"
        )
    return feature


def _capturing(tensor: Tensor) -> bool:
    """Whether a CUDA graph is being captured, in which values cannot be looked at."""
    return tensor.is_cuda and torch.cuda.is_current_stream_capturing()


class Sampler:
    """Trials of images that have these labels.

    labels: feature -> class of each image, (image,) of whole numbers. The first `lag` images of a trial are
    any of them. From then on, with `match_probability`, one that matches the image `lag` before is drawn
    (maybe the same), else one that does not; all such images alike. What else matches:

    natural: as published. Where every object is equally often at every location, matches of locations and
    of objects tell nothing of each other. But an object that matches is always of the same category, so that
    identity tasks can mostly be answered from category (and category tasks a little from identity).
    balanced: the other features match as often in matches as in non-matches. An identity has one category,
    so this takes away a choice: in identity tasks images that do not match are other objects of the same
    category (category always matches), in category tasks images that match are other objects of it
    (identity never matches). Images at other lags than the one asked for match as they happen to.

    length: images of a trial. tasks: those that will be asked for.
    Raises ValueError where an image has none to follow it in one of the tasks, and for unusable settings.
    """

    def __init__(
        self,
        labels: Mapping[str, np.ndarray | Tensor],
        *,
        length: int = 6,
        match_probability: float = 0.5,
        lures: str = "natural",
        tasks: Sequence[Task] = TASKS,
        device: str | torch.device = "cpu",
    ) -> None:
        if lures not in LURES:
            raise ValueError(f"there are no lures {lures!r}: {nearest(lures, LURES)}")
        if not 0 <= match_probability <= 1:
            raise ValueError(f"match_probability must lie in 0 to 1, got {match_probability}")
        for task in tasks:
            executive(task.lag, length)
        self.length, self.match_probability, self.lures = length, match_probability, lures
        self.tasks = tuple(tasks)
        order, pools = followers(labels, balanced=lures == "balanced")
        for feature in {task.feature for task in tasks}:
            check_pools(feature, pools[FEATURES.index(feature)], labels[feature])
        self._order = torch.as_tensor(order, device=device)  # (feature, place)
        self._pools = torch.as_tensor(pools, device=device)  # (feature, answer, image, 4)
        self._asked = torch.tensor([task in self.tasks for task in TASKS], device=device)

    @property
    def device(self) -> torch.device:
        """Where trials are made."""
        return self._order.device

    @property
    def numbers(self) -> int:
        """Uniform numbers that a trial takes."""
        return 2 * self.length

    def trials(self, uniforms: Tensor, tasks: Tensor) -> Trials:
        """The trials of these numbers, a function of nothing else.

        uniforms: (..., trial, number) in [0, 1), on the sampler's device; tasks: places in `TASKS`,
        (..., trial) int64, or what expands to it. Raises ValueError for other shapes or devices, and for
        tasks that the sampler was not made for (not while a CUDA graph is captured, which cannot look).
        """
        tasks = self._checked(uniforms, tasks)
        feature, lag = tasks // len(LAGS), tasks % len(LAGS) + 1
        matching, chosen = uniforms.split(self.length, dim=-1)
        times = torch.arange(self.length, device=tasks.device)
        answers = 1 + (matching < self.match_probability).long()
        targets = torch.where(times >= lag[..., None], answers, 0)
        images = torch.zeros_like(targets)
        for time in range(self.length):
            before = images.gather(-1, (time - lag).clamp(min=0)[..., None])[..., 0]
            start, count, hole, width = self._pools[feature, targets[..., time], before].unbind(-1)
            place = start + torch.minimum((chosen[..., time] * count).long(), count - 1)
            place = place + torch.where(place >= hole, width, 0)
            images[..., time] = self._order[feature, place]
        return Trials(images, targets, tasks)

    def _checked(self, uniforms: Tensor, tasks: Tensor) -> Tensor:
        if uniforms.ndim < 2 or uniforms.shape[-1] != self.numbers:
            raise ValueError(
                f"trials take uniforms of shape (..., trial, {self.numbers}), got {tuple(uniforms.shape)}"
            )
        if {uniforms.device, tasks.device} != {self.device}:
            raise ValueError(
                f"the sampler is on {self.device}, but uniforms on {uniforms.device} and tasks on "
                f"{tasks.device}: make it with their device"
            )
        try:
            tasks = tasks.expand(uniforms.shape[:-1])
        except RuntimeError:
            wanted, got = tuple(uniforms.shape[:-1]), tuple(tasks.shape)
            raise ValueError(f"uniforms are for trials {wanted}, but tasks have shape {got}") from None
        if not _capturing(tasks):
            self._check_asked(tasks)
        return tasks

    def _check_asked(self, tasks: Tensor) -> None:
        known = (tasks >= 0) & (tasks < len(TASKS))
        if not (known & self._asked[tasks.clamp(0, len(TASKS) - 1)]).all():
            names = ", ".join(f"{task.place} ({task.name})" for task in self.tasks)
            raise ValueError(f"the sampler was made for the tasks {names}, and others are asked for")
