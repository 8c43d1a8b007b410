"""How the geometry changes with the number of items, and whether states are those of a queue.

At a step j > lag a task needs lag + 1 items, those of ages 0 (on screen) to lag. The code of an item of age a
is how states differ by its value: A_a (value, unit), means of states of a value minus the mean of all. Noise
in means would look like a code, and one in the direction of the codes of other items; so every product below
is one of means from different halves of the trials (' and ''):

    variance of age a      sum(A_a' * A_a'') / values, of the variance of the states
    overlap of ages a, b   tr(S_a S_b) / sqrt(tr(S_a^2) tr(S_b^2)), S_a = A_a'^T A_a'', 0: codes in orthogonal
                           subspaces, 1: in the same; random ones of d of n dimensions: about d / n

A queue shifts what it holds at every step, so that a state is a sum over ages of codes that are the same at
all steps; with slots it is one over items, each with a code that is the same as long as it is held
(`additive`).
"""

from __future__ import annotations

__all__ = ["Additive", "Capacity", "additive", "capacity"]

from itertools import combinations
from typing import NamedTuple

import numpy as np
from scipy import linalg

from ...geometry import effective_dimension
from .spaces import Recording

_RIDGE = 1e-6
_TESTED = 4  # one of so many trials is predicted, from the others
_SHOWN = ("location", "identity")  # of an image; who knows its identity knows its category


class Capacity(NamedTuple):
    """A task's states once all items that it needs are there, means over steps."""

    held: float
    """normalised accuracy of decoders of the age that is read least well, from 1 to the lag"""
    screen: float
    """share of the variance of states that is the code of the item on screen, of what the task asks for"""
    memory: float
    """the same of one remembered item, mean over ages 1 to the lag"""
    overlap: float
    """of codes of two ages, mean over pairs of ages from 0; NaN without a code"""
    dimension: float
    """participation ratio of the states"""


class Additive(NamedTuple):
    """Share of the variance of states of held-out trials that sums of codes of locations and objects predict.

    Means of each step are taken off first. Free: a code for each step and age.
    """

    free: float
    queue: float
    """a code for each age, the same at all steps"""
    slots: float
    """a code for each item, the same as long as the task needs it"""


def capacity(recording: Recording, task: int) -> Capacity:
    """Of one task (its place), for the property that it asks for. ValueError where no step has all items."""
    name, lag = recording.tasks[task].feature, recording.tasks[task].lag
    found = [_at(recording, (task, name), step) for step in _full(recording, lag)]
    held = np.mean([_read(recording, (task, name), step) for step in _full(recording, lag)], axis=0)
    shares, overlaps, dimensions = zip(*found, strict=True)
    share = np.mean(shares, axis=0)
    return Capacity(
        float(held.min()), float(share[0]), float(share[1:].mean()), float(np.mean(overlaps)),
        float(np.mean(dimensions)),
    )  # fmt: skip


def _full(recording: Recording, lag: int) -> range:
    """Steps, from 1, at which there are lag + 1 items."""
    if not lag < recording.length:
        raise ValueError(f"{recording.length} steps never have the {lag + 1} items of a lag of {lag}")
    return range(lag + 1, recording.length + 1)


def _read(recording: Recording, what: tuple[int, str], step: int) -> list[float]:
    """Normalised accuracies of ages 1 to the lag."""
    task, name = what
    ages = range(1, recording.tasks[task].lag + 1)
    places = [(task, step - age, step) for age in ages]
    return [2 * recording.score(recording.decoders(*at)[name], at, name).binary - 1 for at in places]


def _at(recording: Recording, what: tuple[int, str], step: int) -> tuple[list[float], float, float]:
    """Shares of variance by age, mean overlap, and dimension at a step."""
    task, name = what
    states = recording.states[task, :, step - 1].astype(np.float64)
    total = states.var(axis=0).sum()
    codes = [
        _codes(states, recording.space(task, step - age, step, name).labels)
        for age in range(recording.tasks[task].lag + 1)
    ]
    shares = [float((a * b).sum() / len(a) / total) for a, b in codes]
    overlaps = np.array([_overlap(*pair) for pair in combinations(codes, 2)])
    known = overlaps[np.isfinite(overlaps)]
    return shares, float(known.mean()) if len(known) else np.nan, effective_dimension(states)


def _codes(states: np.ndarray, labels: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """(value, unit), of every other trial and of the rest."""
    return tuple(_code(states[half::2], labels[half::2]) for half in (0, 1))


def _code(states: np.ndarray, labels: np.ndarray) -> np.ndarray:
    chosen = np.eye(labels.max() + 1)[labels]
    means = chosen.T @ states / np.maximum(chosen.sum(axis=0), 1)[:, None]
    return means - means.mean(axis=0)


def _overlap(a: tuple[np.ndarray, np.ndarray], b: tuple[np.ndarray, np.ndarray]) -> float:
    product = ((a[0] @ b[1].T) * (a[1] @ b[0].T)).sum()
    own = [(g * g.T).sum() for g in (a[0] @ a[1].T, b[0] @ b[1].T)]
    return float(product / np.sqrt(own[0] * own[1])) if min(own) > 0 else np.nan


def additive(recording: Recording, task: int) -> Additive:
    """Of one task (its place), at steps that have all its items. ValueError where there are none."""
    lag = recording.tasks[task].lag
    steps = _full(recording, lag)
    codes = np.concatenate([np.eye(recording.classes(n))[recording.labels[n]] for n in _SHOWN], axis=1)
    shown = codes[recording.images[task]]  # (trial, time, value)
    shown = shown - shown.mean(axis=0)
    states = recording.states[task].astype(np.float64)
    states = states - states.mean(axis=0)
    x = {kind: np.stack([_regressors(shown, step, lag, kind) for step in steps]) for kind in ("age", "item")}
    y = np.stack([states[:, step - 1] for step in steps])  # (step, trial, unit)
    free = [_left(a[None], b[None]) for a, b in zip(x["age"], y, strict=True)]
    total = sum(whole for _, whole in free)
    left = {"free": sum(own for own, _ in free), "queue": _left(x["age"], y)[0]}
    left["slots"] = _left(x["item"], y)[0]
    return Additive(**{kind: float(1 - own / total) for kind, own in left.items()})


def _regressors(shown: np.ndarray, step: int, lag: int, kind: str) -> np.ndarray:
    """What is held at a step, in columns of its age or of its item, (trial, column)."""
    trials, length, values = shown.shape
    found = np.zeros((trials, lag + 1 if kind == "age" else length, values))
    for age in range(lag + 1):
        found[:, age if kind == "age" else step - 1 - age] = shown[:, step - 1 - age]
    return found.reshape(trials, -1)


def _left(x: np.ndarray, y: np.ndarray) -> tuple[float, float]:
    """Squares that are left, and all of them, of held-out trials; x, y (step, trial, column | unit)."""
    tested = np.arange(x.shape[1]) % _TESTED == 0
    fitted, known = (each[:, ~tested].reshape(-1, each.shape[2]) for each in (x, y))
    matrix = fitted.T @ fitted
    matrix[np.diag_indices_from(matrix)] += _RIDGE * matrix.trace()
    weights = linalg.solve(matrix, fitted.T @ known, assume_a="pos")
    return float(((y[:, tested] - x[:, tested] @ weights) ** 2).sum()), float((y[:, tested] ** 2).sum())
