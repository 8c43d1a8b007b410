"""Linear readouts of neural states: a class, an angle or real values from X W^T + b.

A decoder is a `Readout`: weights and bias in the raw space of the states, whatever was fitted, so its normals
can be compared, rotated and stored. Four kinds read a class label (`logistic`, `ridge`, `lda`, `svm`), one an
angle (`circular`), one real values (`linear`). Classes weigh the same, however many trials each has.
"""

__all__ = [
    "CircularReadout",
    "ClassReadout",
    "Readout",
    "ValueReadout",
    "balanced_accuracy",
    "chance",
    "circular_error_deg",
    "fit_decoder",
]

from dataclasses import dataclass
from typing import ClassVar

import numpy as np
from numpy.typing import ArrayLike
from sklearn.discriminant_analysis import LinearDiscriminantAnalysis
from sklearn.linear_model import LogisticRegression, Ridge, RidgeClassifier
from sklearn.metrics import r2_score, recall_score
from sklearn.preprocessing import StandardScaler
from sklearn.svm import LinearSVC

CLASS_KINDS = ("logistic", "ridge", "lda", "svm")
KINDS = (*CLASS_KINDS, "circular", "linear")


def chance(labels: ArrayLike) -> float:
    """Balanced accuracy of any guess that ignores the states: 1 / number of classes. labels: (trial,)."""
    return 1 / len(np.unique(np.asarray(labels)))


def balanced_accuracy(true: ArrayLike, predicted: ArrayLike, *, adjusted: bool = False) -> float:
    """Mean over the classes of `true` of the share of its trials that `predicted` names; both are (trial,).

    adjusted: (accuracy - chance) / (1 - chance), which compares labels with different numbers of classes.
    Raises ValueError for unequal lengths, no trials, or a single class with `adjusted`.
    """
    true, predicted = np.asarray(true), np.asarray(predicted)
    if true.shape != predicted.shape or true.ndim != 1 or not len(true):
        raise ValueError(f"true {true.shape} and predicted {predicted.shape} must be one length (trial,)")
    accuracy = float(recall_score(true, predicted, labels=np.unique(true), average="macro"))
    if not adjusted:
        return accuracy
    if chance(true) == 1:
        raise ValueError(f"all labels are {true[0]!r}: accuracy above chance needs at least two classes")
    return (accuracy - chance(true)) / (1 - chance(true))


def circular_error_deg(true_deg: ArrayLike, predicted_deg: ArrayLike) -> np.ndarray:
    """Signed error predicted - true, wrapped to [-180, 180) deg; any shapes that broadcast."""
    return (np.asarray(predicted_deg, float) - np.asarray(true_deg, float) + 180) % 360 - 180


@dataclass(frozen=True, eq=False)
class Readout:
    """scores = X W^T + b, for states X (trial, unit)."""

    weights: np.ndarray
    """W, (class or target, unit)"""
    bias: np.ndarray
    """b, (class or target,)"""
    higher_is_better: ClassVar[bool] = True

    def scores(self, x: ArrayLike) -> np.ndarray:
        """(trial, class or target)."""
        return np.asarray(x, dtype=np.float64) @ self.weights.T + self.bias

    def score(self, x: ArrayLike, labels: ArrayLike) -> float:
        """`measure` of its predictions for states x (trial, unit) that it was not fitted on."""
        return self.measure(np.asarray(labels), self.predict(x))


@dataclass(frozen=True, eq=False)
class ClassReadout(Readout):
    """The class with the highest score; row c of W is the normal that separates class c from the rest.

    Two classes have one hyperplane: their rows of W are opposite.
    """

    classes: np.ndarray
    """(class,), sorted"""

    def predict(self, x: ArrayLike) -> np.ndarray:
        """Class labels (trial,) of states (trial, unit)."""
        return self.classes[self.scores(x).argmax(axis=1)]

    @staticmethod
    def measure(true: np.ndarray, predicted: np.ndarray) -> float:
        """Balanced accuracy."""
        return balanced_accuracy(true, predicted)


class CircularReadout(Readout):
    """The angle of the scores (cos, sin)."""

    higher_is_better = False

    def predict(self, x: ArrayLike) -> np.ndarray:
        """Angles (trial,) in [0, 360) deg of states (trial, unit)."""
        cosine, sine = self.scores(x).T
        return np.rad2deg(np.arctan2(sine, cosine)) % 360

    @staticmethod
    def measure(true: np.ndarray, predicted: np.ndarray) -> float:
        """Mean absolute error in deg; 90 for a guess when the angles are spread evenly."""
        return float(np.abs(circular_error_deg(true, predicted)).mean())


class ValueReadout(Readout):
    """The scores themselves."""

    def predict(self, x: ArrayLike) -> np.ndarray:
        """Values (trial,) for one target, else (trial, target), of states (trial, unit)."""
        scores = self.scores(x)
        return scores[:, 0] if scores.shape[1] == 1 else scores

    @staticmethod
    def measure(true: np.ndarray, predicted: np.ndarray) -> float:
        """R^2, the mean over targets; 0 for predicting the mean."""
        return float(r2_score(true, predicted))


def _estimator(kind: str, penalty: float | None, labels: np.ndarray):
    if kind == "lda":
        if penalty is not None:
            raise ValueError("lda takes no penalty: its shrinkage is Ledoit and Wolf's; leave penalty out")
        classes = len(np.unique(labels))
        return LinearDiscriminantAnalysis(
            solver="lsqr", shrinkage="auto", priors=np.full(classes, 1 / classes)
        )
    penalty = 1.0 if penalty is None else penalty
    if not penalty > 0:
        raise ValueError(f"penalty is {penalty}: give a number above 0")
    if kind == "logistic":
        return LogisticRegression(C=1 / penalty, class_weight="balanced", max_iter=10_000)
    if kind == "svm":  # the primal problem needs no seed; at the default tol it takes 7 times longer
        return LinearSVC(C=1 / penalty, class_weight="balanced", dual=False, tol=1e-3, max_iter=10_000)
    return RidgeClassifier(penalty, class_weight="balanced") if kind == "ridge" else Ridge(penalty)


def check_states(x: ArrayLike, ndim: int, shape: str) -> np.ndarray:
    """x as finite float64 of `ndim` axes named by `shape`; ValueError otherwise."""
    x = np.asarray(x, dtype=np.float64)
    if x.ndim != ndim or 0 in x.shape:
        raise ValueError(f"x has shape {x.shape}: give states of shape {shape}")
    if not np.isfinite(x).all():
        trial = np.argwhere(~np.isfinite(x))[0][0]
        raise ValueError(f"x is not finite, first at trial {trial}: drop that trial")
    return x


def check_targets(labels: ArrayLike, trials: int, kind: str) -> np.ndarray:
    """Labels (trial,) that suit `kind` (linear: or (trial, target)); ValueError otherwise."""
    if kind not in KINDS:
        raise ValueError(f"kind is {kind!r}: choose one of {', '.join(KINDS)}")
    labels = np.asarray(labels)
    if kind not in CLASS_KINDS:
        if labels.dtype.kind not in "biuf":
            raise ValueError(f"labels have dtype {labels.dtype}: {kind} reads numbers")
        labels = labels.astype(np.float64)
    if labels.ndim not in ((1, 2) if kind == "linear" else (1,)) or len(labels) != trials:
        raise ValueError(f"labels have shape {labels.shape}: {kind} needs one per trial, {trials}")
    if labels.dtype.kind == "f" and not np.isfinite(labels).all():
        trial = np.argwhere(~np.isfinite(labels))[0][0]
        raise ValueError(f"label of trial {trial} is not finite: drop that trial")
    if kind in CLASS_KINDS and len(np.unique(labels)) < 2:
        raise ValueError(f"all labels are {labels[0]!r}: a decoder needs at least two classes")
    return labels


def fit_decoder(
    x: ArrayLike, labels: ArrayLike, *, kind: str = "logistic", penalty: float | None = None
) -> Readout:
    """Fit one linear decoder on all the trials given (test it on others, or use `cross_validate`).

    Units are standardised, the model is fitted by scikit-learn, and its weights are taken back to raw space.

    x: (trial, unit). labels: (trial,), classes, or angles in deg (`circular`), or numbers (`linear`, which
    also takes (trial, target)). kind: one of logistic, ridge, lda, svm, circular, linear.
    penalty: L2 penalty on the weights of standardised units (default 1; C = 1 / penalty), not for lda.
    svm is slow for many classes; a penalty of 100 makes it several times faster.
    Raises ValueError for an unknown kind, wrong shapes, NaN, fewer than two classes, or a wrong penalty.
    """
    x = check_states(x, 2, "(trial, unit)")
    return fit_checked(x, check_targets(labels, len(x), kind), kind, penalty)


def fit_checked(x: np.ndarray, labels: np.ndarray, kind: str, penalty: float | None) -> Readout:
    """`fit_decoder` for x and labels that are already checked."""
    model, scaler = _estimator(kind, penalty, labels), StandardScaler()
    z = scaler.fit_transform(x)
    if kind == "circular":
        labels = np.stack([np.cos(np.deg2rad(labels)), np.sin(np.deg2rad(labels))], axis=1)
    model.fit(z, labels)
    weights = np.atleast_2d(model.coef_) / scaler.scale_  # (class or target, unit)
    bias = np.atleast_1d(model.intercept_) - weights @ scaler.mean_
    if kind not in CLASS_KINDS:
        return (CircularReadout if kind == "circular" else ValueReadout)(weights, bias)
    if len(model.classes_) == 2:  # scikit-learn keeps the row of the second class alone
        weights, bias = np.concatenate([-weights, weights]), np.concatenate([-bias, bias])
    return ClassReadout(weights, bias, model.classes_)
