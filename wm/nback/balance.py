"""What can be had in N-back tasks without memory: how often each feature matches, and constant answers."""

from __future__ import annotations

__all__ = ["Constant", "balance", "constant_answers", "shortcut_levels"]

from collections.abc import Iterator, Mapping
from typing import TYPE_CHECKING, Any, NamedTuple

import numpy as np
from torch import Tensor

from .lures import label_arrays, pictured
from .task import RESPONSES, TASKS, Task, Trials, executive

if TYPE_CHECKING:  # training does without
    import pandas as pd


class Constant(NamedTuple):
    """Share of right answers of who knows when to compare, and then always says the same."""

    executive: float
    """in executive steps"""
    all_steps: float
    """in all steps; no action is right in the first ones"""
    balanced: float
    """mean over matches and non-matches, as far as both occur"""


def constant_answers(task: Task, match_probability: float, length: int = 6) -> dict[str, Constant]:
    """What always `non-match` and always `match` reach, by answer.

    With p = match_probability, non-match is right in 1 - p of the executive steps and in
    (lag + (length - lag) (1 - p)) / length of all, match with p in place of 1 - p.
    Raises ValueError for p outside 0 to 1, and where there are no executive steps.
    """
    if not 0 <= match_probability <= 1:
        raise ValueError(f"match_probability must lie in 0 to 1, got {match_probability}")
    asked = int(executive(task.lag, length).sum())
    found = {}
    for answer, right in zip(RESPONSES[1:], (1 - match_probability, match_probability), strict=True):
        balanced = 0.5 if 0 < match_probability < 1 else right
        found[answer] = Constant(right, (length - asked + asked * right) / length, balanced)
    return found


def shortcut_levels(labels: Mapping[str, np.ndarray | Tensor]) -> dict[str, float]:
    """Balanced accuracy, with natural lures, of who answers one task from another feature, by that task.

    identity, from category: (1 + P(another category | another identity)) / 2, all matches are right.
    category, from identity: (1 + P(same identity | same category)) / 2, all non-matches are right.
    labels: feature -> class of each image, (image,). Exact where all objects have as many images and all
    categories as many objects; else it is so for images that follow one drawn evenly. Raises ValueError as
    `wm.nback.Sampler` does, and for images of a single object.
    """
    classes = label_arrays(labels)
    (same_object, same_category) = (
        counts[places]
        for _, places, counts in (
            np.unique(classes[name], return_inverse=True, return_counts=True)
            for name in ("identity", "category")
        )
    )
    others = len(same_object) - same_object
    if not others.all():
        raise ValueError("images of a single object have no non-matches: take those of several")
    apart, again = (len(same_object) - same_category) / others, same_object / same_category
    return {"identity": (1 + float(apart.mean())) / 2, "category": (1 + float(again.mean())) / 2}


def balance(trials: Trials, labels: Mapping[str, np.ndarray | Tensor]) -> pd.DataFrame:
    """How often each feature matches the image `lag` before, a row for each task and answer in `trials`.

    labels: feature -> class of each image, (image,). Columns: task, answer, steps (how many), and the share
    in which location, identity and category match; if there are labels of the view, too, same_view, that in
    which the object is the same, from the same view. Who answers from another feature that matches in the
    shares a of the matches and b of the non-matches is right in (a + 1 - b) / 2, balanced over both.
    """
    import pandas as pd

    images, targets, tasks = (part.cpu().numpy() for part in trials)
    length = images.shape[-1]
    own = label_arrays(labels)
    if "view" in labels:
        own["same_view"] = pictured(labels)
    classes = {name: value[images].reshape(-1, length) for name, value in own.items()}
    rows = _rows(classes, targets.reshape(-1, length), tasks.reshape(-1))
    return pd.DataFrame(rows, columns=["task", "answer", "steps", *classes])


def _rows(
    classes: Mapping[str, np.ndarray], targets: np.ndarray, tasks: np.ndarray
) -> Iterator[tuple[Any, ...]]:
    """Rows of the table; classes and targets (trial, time), tasks (trial,)."""
    for place in np.unique(tasks):
        task, trials = TASKS[place], tasks == place
        answers = targets[trials, task.lag :]
        same = {name: x[trials, task.lag :] == x[trials, : -task.lag] for name, x in classes.items()}
        for answer in np.unique(answers):
            steps = answers == answer
            shares = (float(matches[steps].mean()) for matches in same.values())
            yield task.name, RESPONSES[answer], int(steps.sum()), *shares
