"""How the code of an item goes on after it was shown (Fig. 4b-d of Lei, Ito & Bashivan 2024).

Decoders of an encoding space E(i, i) are tested on later states of the same item, labelled by stimulus i and
not by what is on screen; and on the encoding spaces of other items. At every step the item on screen may
share the property with item i, and a decoder of the screen then looks like one of memory: `among` keeps
trials where it does (same; at i's executive step, the matches) and where it does not (different) apart.
"""

from __future__ import annotations

__all__ = ["Contrast", "Transfer", "contrast", "cross_time", "fitted", "transfer", "transfer_parts"]

from typing import NamedTuple

import numpy as np

from .relevance import Accuracies
from .spaces import Among, Recording


class Contrast(NamedTuple):
    """Scores of decoders of E(i, i) at steps j > i, means over i."""

    executive: float
    """where item i is compared, j = i + lag"""
    other: float
    """elsewhere"""


class Transfer(NamedTuple):
    """Scores of decoders of E(i, i) on E(j, j).

    Apart where i or j is 1, which has no memory load; and again where both are executive steps, since before
    these nothing is compared.
    """

    validation: float
    """the same space, held out, i = j > 1"""
    generalisation: float
    """i != j, both > 1"""
    from_first: float
    """i = 1, j > 1"""
    to_first: float
    """i > 1, j = 1"""
    first: float
    """i = j = 1"""
    executive_validation: float
    """i = j > lag"""
    executive_generalisation: float
    """i != j, both > lag"""


def cross_time(recording: Recording, task: int, name: str, *, among: Among = "all") -> Accuracies:
    """Decoders of E(i, i), tested in every space (i, j): arrays (i, j), NaN where j < i.

    task: place in the recording; among: see the module. On the diagonal every trial is one of the same.
    Trials of one image are held out together. Raises ValueError for an unknown `among`.
    """
    found, steps = {}, range(1, recording.length + 1)
    for i in steps:
        decoders = recording.decoders(task, i, i)[name]
        for j in steps[i - 1 :]:
            found[i - 1, j - 1] = recording.score(decoders, (task, i, j), name, among=among)
    return Accuracies.of(found, (recording.length,) * 2)


def fitted(recording: Recording, task: int, name: str, *, among: Among = "all") -> Accuracies:
    """Decoders of every space (i, j), tested there: what the state tells at all. As `cross_time`."""
    found, steps = {}, range(1, recording.length + 1)
    for i in steps:
        for j in steps[i - 1 :]:
            decoders = recording.decoders(task, i, j)[name]
            found[i - 1, j - 1] = recording.score(decoders, (task, i, j), name, among=among)
    return Accuracies.of(found, (recording.length,) * 2)


def contrast(scores: np.ndarray, lag: int) -> Contrast:
    """Executive steps against the others, of scores (i, j) such as `cross_time(...).normalised`.

    Only items that have an executive step count, so that both are means over the same ones.
    Raises ValueError where no item has one.
    """
    length = len(scores)
    if not 0 < lag < length:
        raise ValueError(f"{length} steps have no pair {lag} apart, so that no step is executive")
    own = [(i, j) for i in range(length - lag) for j in range(i + 1, length)]
    executive = [scores[i, j] for i, j in own if j - i == lag]
    other = [scores[i, j] for i, j in own if j - i != lag]
    return Contrast(float(np.nanmean(executive)), float(np.nanmean(other)) if other else np.nan)


def transfer(recording: Recording, task: int, name: str) -> Accuracies:
    """Decoders of E(i, i), tested in E(j, j) on what is shown there: arrays (i, j).

    A state is tested on decoders that were fitted without its image, whenever that was shown.
    """
    found, steps = {}, range(1, recording.length + 1)
    for i in steps:
        decoders = recording.decoders(task, i, i)[name]
        for j in steps:
            found[i - 1, j - 1] = recording.score(decoders, (task, j, j), name)
    return Accuracies.of(found, (recording.length,) * 2)


def transfer_parts(scores: np.ndarray, lag: int) -> Transfer:
    """Means of scores (i, j) of `transfer`, such as its `normalised`, in a task of this lag.

    Raises ValueError where fewer than two executive steps are left.
    """
    length = len(scores)
    if length - lag < 2:
        raise ValueError(f"{length} steps have fewer than two that are executive with a lag of {lag}")

    def same(first: int, same: bool) -> float:
        own = np.eye(length - first, dtype=bool)
        return float(scores[first:, first:][own == same].mean())

    return Transfer(
        same(1, True), same(1, False), float(scores[0, 1:].mean()), float(scores[1:, 0].mean()),
        float(scores[0, 0]), same(lag, True), same(lag, False),
    )  # fmt: skip
