"""Whether the code of an item is turned from step to step, and which items and ages share a rotation.

R(i, j) turns the decoders of space (i, j) into those of (i, j + 1); R(i, i) leads from encoding to memory.
With normals W of the values in rows, B their mean and S = |W - B|_F of either space, W' = (W - B) / S, R and
s (the sum of singular values) of the orthogonal Procrustes problem from W'_source to W'_target (Lei, Ito &
Bashivan 2024, Fig. 4f-g; the same as `wm.geometry.procrustes_fit`):

    W_reconstructed = s S_target W'_source R + B_target

Intercepts are not turned: they are fitted again to the training data of the target space, halfway between the
means of a value and of the rest along the reconstructed normal. Then R is replaced, all else stays as it was:

    original  R(i, j)            time  R(i, j + 1)            stimulus  R(i + k, j + k), the mean over k
    random    orthogonal         shuffled  R(i, j) of decoders of labels shuffled apart in either space

k values fix R on k - 1 dimensions alone. Elsewhere it is arbitrary, so that a borrowed R means something only
if it was fitted in the subspace that it is applied in. So decoders are those of a common projection of all
spaces (`wm.nback.geometry.projected`), and `rows="all"` fits R to the normals of all properties together.
"""

from __future__ import annotations

__all__ = [
    "ABOUT_EQUAL", "NEAR_CHANCE", "ROTATIONS", "Decoded", "Evidence", "decoded", "disparity", "evidence",
    "lifetime", "ratio", "reconstructed", "swap_test", "weighed",
]  # fmt: skip

from collections.abc import Mapping, Sequence
from typing import Literal, NamedTuple

import numpy as np

from ...geometry import procrustes_fit
from ...seeds import numpy_generator
from ..task import FEATURES
from .decoders import Decoders, Score
from .dynamics import cross_time, fitted, transfer
from .relevance import Accuracies
from .spaces import Recording, projected

ROTATIONS = ("fitted", "original", "time", "stimulus", "random", "shuffled")
"""fitted: the target's own decoders; the others as above"""
ABOUT_EQUAL = 0.75
"""share of the accuracy above chance from which codes count as the same"""
NEAR_CHANCE = 0.1
"""normalised accuracy below which nothing is said to be held"""

_Table = dict[tuple[int, int], np.ndarray]


def swap_test(
    recording: Recording, task: int, name: str, *, rows: Literal["own", "all"] = "own", first: int = 1,
    seed: int = 0,
) -> dict[str, Accuracies]:  # fmt: skip
    """Decoders of (i, j + 1) as reconstructed from (i, j) with each of `ROTATIONS`, on held-out images.

    recording: usually `projected`; task: place in it. Arrays (i, j), NaN where there is no such rotation: the
    last step has none, time none in the step before, stimulus only where another item is as old.
    rows: normals that R is fitted to, those of the property or of all. first: items before it are left out
    (lag + 1: those that are shown before anything is compared). Raises ValueError for other rows, and where
    fewer than two items are left.
    """
    if rows not in ("own", "all"):
        raise ValueError(f"rows is {rows!r}: R is fitted to the normals of the property (own) or of all")
    if not 1 <= first < recording.length - 1:
        raise ValueError(f"first is {first}: with {recording.length} steps use 1 to {recording.length - 2}")
    names = (name,) if rows == "own" else FEATURES
    turns = _rotations(recording, (task, first), names)
    # labels are shuffled anew for the target, or R would follow the images that they still group
    null = _rotations(recording.shuffled(seed), (task, first), names, recording.shuffled(seed + 1))
    generator = numpy_generator("rotations", "nback", seed)
    scores: dict[str, dict[tuple[int, int], Score]] = {kind: {} for kind in ROTATIONS}
    for i, j in turns:
        source, target = (recording.decoders(task, i, step)[name] for step in (j, j + 1))
        scores["fitted"][i - 1, j - 1] = recording.score(target, (task, i, j + 1), name)
        tried = _swaps(turns, (i, j))
        tried |= {"random": [_random(turns[i, j], generator)], "shuffled": [null[i, j]]}
        for kind, own in tried.items():
            told = [reconstructed(source, target, turn) for turn in own]
            each = [recording.score(decoders, (task, i, j + 1), name) for decoders in told]
            if each:
                scores[kind][i - 1, j - 1] = _mean(each)
    return {kind: Accuracies.of(own, (recording.length,) * 2) for kind, own in scores.items()}


def _rotations(
    recording: Recording, where: tuple[int, int], names: Sequence[str], target: Recording | None = None
) -> _Table:  # fmt: skip
    """R(i, j) of each fold, (i, j) -> (fold, unit, unit); where (task, first item)."""
    (task, first), target, found = where, target or recording, {}
    for i in range(first, recording.length):
        for j in range(i, recording.length):
            pair = (recording.decoders(task, i, j), target.decoders(task, i, j + 1))
            a, b = (np.concatenate([_centred(own[name].weights) for name in names], axis=1) for own in pair)
            found[i, j] = np.stack([procrustes_fit(*fold).rotation for fold in zip(a, b, strict=True)])
    return found


def _centred(weights: np.ndarray) -> np.ndarray:
    """Normals (fold, class, unit) around their mean; properties weigh the same in a common R."""
    own = weights - weights.mean(axis=1, keepdims=True)
    return own / np.linalg.norm(own, axis=(1, 2), keepdims=True)


def _swaps(turns: _Table, where: tuple[int, int]) -> dict[str, list[np.ndarray]]:
    """Rotations to try from space (i, j), none that does not exist."""
    i, j = where
    others = [turn for (m, step), turn in turns.items() if m != i and step - m == j - i]
    time = [turns[i, j + 1]] if (i, j + 1) in turns else []
    return {"original": [turns[i, j]], "time": time, "stimulus": others}


def _random(like: np.ndarray, generator: np.random.Generator) -> np.ndarray:
    """A random orthogonal matrix for every fold, (fold, unit, unit)."""
    q, r = np.linalg.qr(generator.standard_normal(like.shape))
    return q * np.sign(np.diagonal(r, axis1=1, axis2=2))[:, None]  # Haar: the signs of QR are not random


def reconstructed(source: Decoders, target: Decoders, turns: np.ndarray) -> Decoders:
    """Decoders of the target space as reconstructed from the source with rotations (fold, unit, unit)."""
    folds = zip(source.weights, target.weights, turns, strict=True)
    return target.turned(np.stack([procrustes_fit(a, b, rotation=turn).apply(a) for a, b, turn in folds]))


def _mean(scores: list[Score]) -> Score:
    multiclass, binary, classes = zip(*scores, strict=True)
    return Score(float(np.mean(multiclass)), float(np.mean(binary)), classes[0])


def lifetime(lag: int, length: int, steps: int = 1) -> np.ndarray:
    """Spaces (i, j) from which `steps` more steps lead to an age that the task needs, (i, j) bool.

    j >= i, j + steps - i <= lag, and j + steps <= length. Rotations R(i, j) take 1 step, time-swapped ones 2,
    so that 1-back tasks have none of those.
    """
    i, j = np.indices((length, length)) + 1
    return (j >= i) & (j + steps - i <= lag) & (j + steps <= length)


def ratio(own: Accuracies, reference: Accuracies, where: np.ndarray) -> float:
    """Mean normalised accuracy against that of a reference, in spaces where (i, j) bool; NaN if none.

    1: as good; 0: at chance. Means are over spaces where both are known. NaN, too, where the reference itself
    is near chance, as there is nothing to have a share of.
    """
    known = where & np.isfinite(own.binary) & np.isfinite(reference.binary)
    if not known.any():
        return np.nan
    own_mean, whole = own.normalised[known].mean(), reference.normalised[known].mean()
    return float(own_mean / whole) if whole > NEAR_CHANCE else np.nan


class Evidence(NamedTuple):
    """Shares of the accuracy above chance of the space's own decoders, within the lifetime of items."""

    kept: float
    """decoders of E(i, i) in M(i, j)"""
    shared: float
    """decoders of E(i, i) in E(j, j)"""
    original: float
    """reconstructed with R(i, j)"""
    stimulus: float
    """with R(i + k, j + k)"""
    time: float
    """with R(i, j + 1); NaN in 1-back tasks, where items do not live that long"""

    @property
    def verdict(self) -> str:
        """H1, H2, H3 or undecided; what is at least `ABOUT_EQUAL` counts as the same.

        - H1, slot memory: an item stays where its step put it, E(i, i) = M(i, j), and E(i, i) != E(j, j)
        - H2, relative chronological: not so; E(i, i) = E(j, j), R(i, j) = R(i + k, j + k), but not
          R(i, j + 1), whose share is at most half of that (not asked for where there is none)
        - H3, stimulus-specific chronological: neither E(i, i) = M(i, j) nor E(i, i) = E(j, j)
        Undecided also where nothing is held.
        """
        if not np.isfinite([self.kept, self.shared, self.stimulus]).all():
            return "undecided"
        if self.kept >= ABOUT_EQUAL:
            return "H1" if self.shared < ABOUT_EQUAL else "undecided"
        if self.shared < ABOUT_EQUAL:
            return "H3"
        turning = not self.time > self.stimulus / 2
        return "H2" if self.stimulus >= ABOUT_EQUAL and turning else "undecided"


def evidence(
    recording: Recording, task: int, name: str, *, dimensions: int = 40, first: int = 1,
    rows: Literal["own", "all"] = "all",
) -> Evidence:  # fmt: skip
    """What decides between the hypotheses, of a property in a task.

    recording: in units, not projected; dimensions: that rotations are fitted in. first, rows: as in
    `swap_test`. Raises as that and `projected`.
    """
    swaps = swap_test(projected(recording.only(task), dimensions), 0, name, rows=rows, first=first)
    return weighed(swaps, decoded(recording, task, name), recording.tasks[task].lag, first=first)


class Decoded(NamedTuple):
    """Scores (i, j) in units that are not projected."""

    fitted: Accuracies
    """of each space's own decoders, see `wm.nback.geometry.fitted`"""
    kept: Accuracies
    """`cross_time`"""
    shared: Accuracies
    """`transfer`"""


def decoded(recording: Recording, task: int, name: str) -> Decoded:
    """What is held of a property in a task, and where the decoders of E(i, i) find it."""
    return Decoded(*(each(recording, task, name) for each in (fitted, cross_time, transfer)))


def weighed(swaps: Mapping[str, Accuracies], own: Decoded, lag: int, *, first: int = 1) -> Evidence:
    """Evidence from scores that are known: those of `swap_test` with the same `first`, and of `decoded`."""
    length = len(own.fitted.binary)
    i, j = np.indices((length, length)) + 1
    diagonal = np.broadcast_to(own.shared.binary.diagonal(), (length, length))
    late, needed, whole = i >= first, lifetime(lag, length), swaps["fitted"]
    return Evidence(
        ratio(own.kept, own.fitted, late & (j > i) & (j - i <= lag)),
        ratio(own.shared, own.shared._replace(binary=diagonal), late & (j >= first) & (i != j)),
        *(ratio(swaps[kind], whole, needed) for kind in ("original", "stimulus")),
        ratio(swaps["time"], whole, lifetime(lag, length, 2)),
    )  # fmt: skip


def disparity(recording: Recording, task: int, name: str) -> np.ndarray:
    """How unlike decoders of adjacent spaces are, once turned: (i, j), NaN where no step follows.

    The residual of the Procrustes problem from (i, j) to (i, j + 1), from 0, the same shape, to 1; the mean
    over folds (as `scipy.spatial.procrustes`). recording: usually `projected`.
    """
    found = np.full((recording.length,) * 2, np.nan)
    for i in range(1, recording.length):
        for j in range(i, recording.length):
            pair = (recording.decoders(task, i, step)[name].weights for step in (j, j + 1))
            fits = [procrustes_fit(*fold) for fold in zip(*pair, strict=True)]
            found[i - 1, j - 1] = np.mean([fit.residual for fit in fits])
    return found
