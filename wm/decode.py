"""Decoding of neural states, always tested on trials that the decoder was not fitted on.

Within a condition, across conditions, across time, and against shuffled labels. Splits are by trial, or by
group of trials that belong together. The decoders (`fit_decoder`, the readouts) are those of `wm.readout`.
"""

__all__ = [
    "CircularReadout",
    "ClassReadout",
    "CrossCondition",
    "CrossValidated",
    "Options",
    "PermutationTest",
    "Readout",
    "ValueReadout",
    "balanced_accuracy",
    "chance",
    "circular_error_deg",
    "cross_condition",
    "cross_time",
    "cross_validate",
    "fit_decoder",
    "permutation_test",
]

from collections.abc import Iterator
from numbers import Integral
from typing import NamedTuple, TypedDict, Unpack

import numpy as np
from numpy.typing import ArrayLike
from sklearn.model_selection import StratifiedGroupKFold, StratifiedKFold

from wm.readout import (
    CLASS_KINDS,
    CircularReadout,
    ClassReadout,
    Readout,
    ValueReadout,
    balanced_accuracy,
    chance,
    check_states,
    check_targets,
    circular_error_deg,
    fit_checked,
    fit_decoder,
)


class Options(TypedDict, total=False):
    """What every cross-validation here takes by keyword."""

    kind: str
    """logistic (default), ridge, lda, svm, circular or linear: see `fit_decoder`"""
    penalty: float | None
    """L2 penalty: see `fit_decoder`"""
    folds: int
    """parts the trials are split into (default 5)"""
    seed: int
    """of the split and the shuffles (default 0)"""


def _codes(*columns: np.ndarray) -> np.ndarray:
    """One integer (trial,) for each combination of the columns' values."""
    columns = [np.unique(c, return_inverse=True)[1] for c in columns]
    return np.unique(np.stack(columns, axis=1), axis=0, return_inverse=True)[1].ravel()


class _Plan(NamedTuple):
    """A checked request: what is decoded, from where, and which trials stay together."""

    x: np.ndarray  # (trial, unit)
    labels: np.ndarray  # (trial,) or (trial, target)
    conditions: np.ndarray  # (trial,)
    groups: np.ndarray  # (trial,)
    kind: str
    penalty: float | None
    folds: int
    seed: int

    def splits(self) -> Iterator[tuple[np.ndarray, np.ndarray]]:
        """Train and test indices; no group is on both sides, and strata are spread evenly over the folds."""
        strata = _codes(*([self.labels] if self.kind in CLASS_KINDS else []), self.conditions)
        first = np.unique(np.stack([strata, self.groups]), axis=1, return_index=True)[1]
        counts = np.bincount(strata[first])  # distinct groups in each stratum
        if counts.min() < self.folds:
            trial = np.argmax(strata == counts.argmin())
            label = f"label {self.labels[trial]}, " if self.kind in CLASS_KINDS else ""
            raise ValueError(
                f"{label}condition {self.conditions[trial]}: {counts.min()} independent trials (groups) "
                f"for {self.folds} folds: give more trials or fewer folds"
            )
        # both give what we need where no trials are grouped, but the grouped one is far slower
        alone = len(np.unique(self.groups)) == len(self.groups)
        splitter = StratifiedKFold if alone else StratifiedGroupKFold
        folds = splitter(self.folds, shuffle=True, random_state=self.seed)
        return folds.split(self.x, strata, None if alone else self.groups)

    def predictions(self) -> tuple[list[np.ndarray], Readout]:
        """What decoders fitted in each condition say of every held-out trial, and one of the decoders."""
        names = np.unique(self.conditions)
        predicted: list = [None] * len(names)
        for train, test in self.splits():
            for i, name in enumerate(names):
                own = train[self.conditions[train] == name]
                readout = fit_checked(self.x[own], self.labels[own], self.kind, self.penalty)
                answer = readout.predict(self.x[test])
                if predicted[i] is None:
                    predicted[i] = np.empty((len(self.x), *answer.shape[1:]), answer.dtype)
                predicted[i][test] = answer
        return predicted, readout


def _plan(
    x, labels, conditions=None, groups=None, *, kind="logistic", penalty=None, folds=5, seed=0
) -> _Plan:
    x = check_states(x, 2, "(trial, unit)")
    labels = check_targets(labels, len(x), kind)
    conditions = np.zeros(len(x), int) if conditions is None else np.asarray(conditions)
    groups = np.arange(len(x)) if groups is None else np.asarray(groups)
    for name, column in (("conditions", conditions), ("groups", groups)):
        if column.shape != (len(x),):
            raise ValueError(f"{name} have shape {column.shape}: give one for each of the {len(x)} trials")
    if not isinstance(folds, Integral) or folds < 2:
        raise ValueError(f"folds is {folds}: give a whole number, at least 2, so that trials can be held out")
    return _Plan(x, labels, conditions, _codes(groups), kind, penalty, folds, seed)


class CrossValidated(NamedTuple):
    """Held-out performance of one decoder."""

    score: float
    """balanced accuracy; mean absolute error in deg (circular); R^2 (linear)"""
    predicted: np.ndarray
    """(trial,) or (trial, target): each trial read by a decoder that was not fitted on it or its group"""


class CrossCondition(NamedTuple):
    """Held-out performance of decoders fitted in one condition and tested in another."""

    conditions: np.ndarray
    """(condition,), sorted"""
    scores: np.ndarray
    """(condition of fit, condition of test)"""


def cross_validate(
    x: ArrayLike, labels: ArrayLike, *, groups: ArrayLike | None = None, **options: Unpack[Options]
) -> CrossValidated:
    """Decode each trial by a decoder fitted on other trials, and score all the held-out answers together.

    x: (trial, unit); labels: see `fit_decoder`. groups: (trial,); trials of one group (repeats of one
    stimulus, time steps of one trial) are never on both sides of a split; default: every trial on its own.
    options: see `Options`.
    Raises ValueError as `fit_decoder`, and when a class has fewer independent groups than folds.
    """
    plan = _plan(x, labels, groups=groups, **options)
    (predicted,), readout = plan.predictions()
    return CrossValidated(readout.measure(plan.labels, predicted), predicted)


def cross_condition(
    x: ArrayLike,
    labels: ArrayLike,
    conditions: ArrayLike,
    *,
    groups: ArrayLike | None = None,
    **options: Unpack[Options],
) -> CrossCondition:
    """Fit in one condition, test in another: the matrix of held-out scores.

    The diagonal is the ordinary cross-validated score. Off it, the same fold is held out, so a group that
    occurs in several conditions (one stimulus in two tasks, two steps of one trial) cannot leak, and all
    entries of a row come from the same fits. Every condition must hold every class.
    conditions: (trial,). Other shapes, options and errors as in `cross_validate`.
    """
    plan = _plan(x, labels, conditions, groups, **options)
    names = np.unique(plan.conditions)
    if plan.kind in CLASS_KINDS:
        for name in names:
            missing = np.setdiff1d(plan.labels, plan.labels[plan.conditions == name])
            if len(missing):
                raise ValueError(f"condition {name} has no trial of class {missing[0]}: drop one of the two")
    predicted, readout = plan.predictions()
    at = [plan.conditions == name for name in names]
    scores = [[readout.measure(plan.labels[test], answer[test]) for test in at] for answer in predicted]
    return CrossCondition(names, np.array(scores))


def cross_time(
    x: ArrayLike, labels: ArrayLike, *, groups: ArrayLike | None = None, **options: Unpack[Options]
) -> np.ndarray:
    """Fit at one time, test at another: held-out scores (time of fit, time of test), split by trial.

    x: (trial, time, unit); labels: (trial,), the same at all times, or (trial, target) for `linear`. It is
    `cross_condition` with time as the condition and the trial as the group: call that for labels that change
    in time. groups: (trial,); options and errors as in `cross_validate`.
    """
    x = check_states(x, 3, "(trial, time, unit)")
    trials, times, units = x.shape
    labels = check_targets(labels, trials, options.get("kind", "logistic"))
    groups = np.arange(trials) if groups is None else np.asarray(groups)
    if groups.shape != (trials,):
        raise ValueError(f"groups have shape {groups.shape}: give one for each of the {trials} trials")
    return cross_condition(
        x.reshape(-1, units),
        np.repeat(labels, times, axis=0),
        np.tile(np.arange(times), trials),
        groups=np.repeat(groups, times),
        **options,
    ).scores


class PermutationTest(NamedTuple):
    """A held-out score beside those with shuffled labels."""

    score: float
    null: np.ndarray
    """(permutation,)"""
    p: float
    """one-sided, (1 + number of shuffles at least as good) / (1 + number of shuffles)"""


def _shuffled(labels: np.ndarray, groups: np.ndarray, generator: np.random.Generator) -> np.ndarray:
    first, inverse = np.unique(groups, return_index=True, return_inverse=True)[1:]
    if np.array_equal(labels, labels[first][inverse]):  # one label per group (or trial): whole groups trade
        return generator.permutation(labels[first])[inverse]
    shuffled = np.empty_like(labels)
    shuffled[np.argsort(groups, kind="stable")] = labels[np.lexsort((generator.random(len(groups)), groups))]
    return shuffled


def permutation_test(
    x: ArrayLike,
    labels: ArrayLike,
    *,
    groups: ArrayLike | None = None,
    permutations: int = 100,
    **options: Unpack[Options],
) -> PermutationTest:
    """`cross_validate` against its null distribution: the same procedure with labels shuffled over trials.

    Labels that are constant in each group are traded between whole groups, others within groups, so the null
    keeps the dependence inside groups. x, labels, groups, options and errors as in `cross_validate`;
    ValueError also for `permutations` below 1.
    """
    if not isinstance(permutations, Integral) or permutations < 1:
        raise ValueError(f"permutations is {permutations}: give a whole number, at least 1")
    plan = _plan(x, labels, groups=groups, **options)
    (predicted,), readout = plan.predictions()
    score, null = readout.measure(plan.labels, predicted), np.empty(permutations)
    generator = np.random.default_rng([plan.seed, 1])
    for i in range(permutations):
        shuffled = plan._replace(labels=_shuffled(plan.labels, plan.groups, generator))
        null[i] = readout.measure(shuffled.labels, shuffled.predictions()[0][0])
    as_good = null >= score if readout.higher_is_better else null <= score
    return PermutationTest(score, null, float((1 + as_good.sum()) / (1 + permutations)))
