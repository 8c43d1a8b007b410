"""What is encoded of the properties that a task asks for, and of the others; and whether tasks share a code.

Fig. 2 of Lei, Ito & Bashivan 2024: decoders of E(1, 1) within each task, and decoders fitted in one task and
tested in another. A null is the same of `Recording.shuffled`.
"""

from __future__ import annotations

__all__ = ["Accuracies", "Distributions", "cross_task", "distributions", "relevance", "relevance_matrix"]

from collections.abc import Mapping, Sequence
from typing import NamedTuple

import numpy as np

from ..task import FEATURES, Task
from .decoders import Score, normalised
from .spaces import Recording


class Accuracies(NamedTuple):
    """Scores of many decoders of one property, arrays of one shape; see `Score`."""

    multiclass: np.ndarray
    binary: np.ndarray
    classes: int

    @property
    def normalised(self) -> np.ndarray:
        """Binary accuracy, 0 at chance and 1 if all is right."""
        return normalised(self.binary, 0.5)

    @classmethod
    def of(cls, scores: Mapping[tuple[int, ...], Score], shape: tuple[int, ...]) -> Accuracies:
        """From scores by their place, NaN elsewhere."""
        multiclass, binary = np.full((2, *shape), np.nan)
        for place, own in scores.items():
            multiclass[place], binary[place] = own.multiclass, own.binary
        return cls(multiclass, binary, next(iter(scores.values())).classes)


class Distributions(NamedTuple):
    """Scores of decoders of the properties that tasks ask for."""

    within: np.ndarray
    """on held-out images of the same task, (task,)"""
    across: np.ndarray
    """on those of tasks that ask for another property, (pair of tasks,)"""


def relevance(recording: Recording, step: int = 1) -> dict[str, Accuracies]:
    """Held-out scores of each of `FEATURES` in E(step, step) of each task: property -> arrays (task,)."""
    found: dict[str, dict[tuple[int, ...], Score]] = {name: {} for name in FEATURES}
    for task in range(len(recording.tasks)):
        for name, own in recording.decoders(task, step, step).items():
            found[name][task,] = recording.score(own, (task, step, step), name)
    return {name: Accuracies.of(own, (len(recording.tasks),)) for name, own in found.items()}


def relevance_matrix(scores: Mapping[str, np.ndarray], tasks: Sequence[Task]) -> np.ndarray:
    """Means over lags, (property that is asked for, property that is read), in the order of `FEATURES`.

    Relevant ones are on the diagonal; NaN for properties that no task asks for.
    scores: property -> (task,), such as `Accuracies.normalised`.
    """
    asked = [[k for k, task in enumerate(tasks) if task.feature == name] for name in FEATURES]
    return np.array([[np.mean(scores[name][own]) if own else np.nan for name in FEATURES] for own in asked])


def cross_task(recording: Recording, name: str, step: int = 1) -> Accuracies:
    """Decoders of a property in E(step, step), fitted in one task and tested in another, (task, task).

    A state is tested on decoders that were fitted without its image, in any task; on the diagonal these are
    the scores of `relevance`.
    """
    tasks, found = range(len(recording.tasks)), {}
    for fitted in tasks:
        decoders = recording.decoders(fitted, step, step)[name]
        for tested in tasks:
            found[fitted, tested] = recording.score(decoders, (tested, step, step), name)
    return Accuracies.of(found, (len(tasks), len(tasks)))


def distributions(scores: Mapping[str, np.ndarray], tasks: Sequence[Task]) -> Distributions:
    """Within a task and across tasks, as Fig. 2c: of each task's decoders of the property that it asks for.

    scores: property -> (task of fit, task of test), such as `Accuracies.normalised` of `cross_task`.
    """
    within, across = [], []
    for k, task in enumerate(tasks):
        own = scores[task.feature][k]
        within.append(own[k])
        across += [own[m] for m, other in enumerate(tasks) if other.feature != task.feature]
    return Distributions(np.array(within), np.array(across))
