"""A solution of the N-back tasks that is built by hand, and how like it the states of a network are.

It sees what linear decoders of the features say of an image that they were not fitted to, location, object
and category, each as one of so many numbers that is 1; and holds that in stages, of which the first is the
item on screen. At every step each stage hands on what it has to the next (a queue):

    h_t = P h_(t-1) + Q c(x_t),    answer: match if stages 0 and lag have the same value of what is asked for

P moves stage a to stage a + 1, and holds what the task needs: for lag steps, and with holds="asked" nothing
but what the task asks for. With memory="slots" items stay where their step put them, each as long as it is
needed, and with "screen" nothing is held.
"""

from __future__ import annotations

__all__ = ["HANDMADE", "handmade", "percepts", "similarity"]

from collections.abc import Mapping, Sequence
from dataclasses import replace
from typing import Literal

import numpy as np

from ..material import Images
from ..task import FEATURES, RESPONSES, TASKS, Task
from .decoders import fit, image_folds
from .orthogonality import equal_dimension
from .spaces import Recording

COMPONENTS = 256
HANDMADE: dict[str, dict[str, str]] = {
    "queue": {"memory": "queue", "holds": "asked"}, "queue_of_all": {"memory": "queue", "holds": "all"},
    "slots": {"memory": "slots", "holds": "asked"}, "screen": {"memory": "screen", "holds": "asked"},
}  # fmt: skip
"""solutions that networks are compared with; the first is what a task needs and no more"""


def percepts(pictures: Images) -> dict[str, np.ndarray]:
    """Property -> what held-out linear decoders of the features say of each image, (image,).

    Features are reduced to `COMPONENTS` principal components at most.
    """
    flat = pictures.features.reshape(len(pictures.features), -1)
    flat = equal_dimension({"": flat}, min(COMPONENTS, flat.shape[1], len(flat) - 1))[""]
    folds = image_folds(pictures.labels)
    found = fit(flat, {name: pictures.labels[name] for name in FEATURES}, folds, penalty=0.1)
    return {name: own.scores(flat, folds).argmax(axis=1) for name, own in found.items()}


def handmade(
    seen: Mapping[str, np.ndarray], labels: Mapping[str, np.ndarray], shown: np.ndarray,
    tasks: Sequence[Task] = TASKS, *, memory: Literal["queue", "slots", "screen"] = "queue",
    holds: Literal["asked", "all"] = "asked",
) -> Recording:  # fmt: skip
    """Record it in trials, shown (task, trial, time), rows of the images.

    seen: `percepts`, what it takes images for; labels: what they are. Raises ValueError for another memory.
    """
    if memory not in ("queue", "slots", "screen"):
        raise ValueError(f"memory is {memory!r}: choose queue, slots or screen")
    codes = {name: np.eye(labels[name].max() + 1)[seen[name]] for name in FEATURES}
    length = shown.shape[2]
    states = np.stack(
        [
            _states([codes[name][own] for name in FEATURES], task, memory, holds)
            for task, own in zip(tasks, shown, strict=True)
        ]
    )
    found = Recording(
        tuple(tasks), states, shown, np.zeros_like(shown), dict(labels), image_folds(labels)
    )
    if memory == "screen":  # it knows when to compare, and nothing to compare with
        for k, task in enumerate(tasks):
            found.answers[k, :, min(task.lag, length) :] = RESPONSES.index("non-match")
        return found
    found.answers[:] = replace(found, labels=dict(seen)).targets
    return found


def _states(codes: list[np.ndarray], task: Task, memory: str, holds: str) -> np.ndarray:
    """(trial, time, unit) from codes of each property (trial, time, value)."""
    kept = [own if holds == "all" or name == task.feature else np.zeros_like(own)
            for name, own in zip(FEATURES, codes, strict=True)]  # fmt: skip
    now, later = (np.concatenate(each, axis=2) for each in (codes, kept))
    trials, length, width = now.shape
    stages = np.zeros((trials, length, length + 1, width))
    stages[:, :, 0] = now
    for step in range(length):
        for item in range(max(0, step - task.lag), step if memory != "screen" else 0):
            stages[:, step, step - item if memory == "queue" else item + 1] = later[:, item]
    return stages.reshape(trials, length, -1)


def similarity(recording: Recording, other: Recording, task: int) -> float:
    """How alike the states of two recordings of the same trials are in a task, at steps after its lag.

    Linear centred kernel alignment, |X^T Y|^2 / (|X^T X| |Y^T Y|), means of each step taken off: 0 to 1, the
    same after rotation and scaling (Kornblith et al. 2019, arXiv 1905.00414). Raises ValueError for other
    trials.
    """
    if not np.array_equal(recording.images[task], other.images[task]):
        raise ValueError("states of different trials cannot be compared: record the same ones")
    lag = recording.tasks[task].lag
    x, y = (each.states[task, :, lag:].astype(np.float64) for each in (recording, other))
    x, y = ((each - each.mean(axis=0)).reshape(-1, each.shape[2]) for each in (x, y))
    both, *own = (np.linalg.norm(a.T @ b) for a, b in ((x, y), (x, x), (y, y)))
    return float(both**2 / (own[0] * own[1]))
