"""Rows of `benchmarks.nback` about geometry: decoders against scikit-learn's, one by one; a whole analysis.

`decoders`: seconds for decoders of location, object and category of one space, each value against the rest,
on all five parts of the images, standardised; the reference fits a LinearSVC for each value and part, and
`decoders_svc` an SVC with a linear kernel, of location alone. States are those of a planted system
(`wm.nback.geometry.planted`) with noise that leaves accuracies like those of networks. Faulty if ours are
less accurate by more than .03. `analysis`, with --slow: seconds for all five published analyses of a saved
network, all its tasks, as `wm nback analyze all` does, from features that are there; limit: a minute.
"""

from __future__ import annotations

__all__ = ["analysis_row", "decoders_row"]

from collections.abc import Callable, Sequence

import numpy as np
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import StandardScaler
from sklearn.svm import SVC, LinearSVC

from benchmarks import report
from benchmarks.report import medians
from wm.nback import FEATURES, Images, Task, Trained, load
from wm.nback.geometry import STANDARDISED, analysis_images, fit, planted, score
from wm.nback.geometry.analyse import analyse

FLOORS = {"decoders": 30.0, "decoders_svc": 30.0, "analysis": 1.0}
TOLERANCE = 0.03
LIMIT_S = 60.0
_NOISE = 0.65


def _linear() -> LinearSVC:
    return LinearSVC(class_weight="balanced", random_state=0, max_iter=10000)


def _kernel() -> SVC:
    return SVC(kernel="linear", class_weight="balanced")


KINDS: dict[str, tuple[Callable, Sequence[str]]] = {
    "decoders": (_linear, FEATURES), "decoders_svc": (_kernel, FEATURES[:1]),
}  # fmt: skip
"""row -> what the reference fits, and the properties"""


def decoders_row(kind: str = "decoders", *, trials: int = 1536, rounds: int = 1) -> dict:
    """A row of seconds for the decoders of one space; kind: of `KINDS`."""
    machine, names = KINDS[kind]
    own = planted.planted(planted.chronological(), (Task("identity", 2),), trials=trials, noise=_NOISE)
    states, _, images, folds, _ = own.space(0, 2, 3, names[0])
    labels = {name: own.labels[name][images] for name in names}

    def ours() -> dict[str, np.ndarray]:
        found = fit(states, labels, folds, **STANDARDISED)
        return {name: each.scores(states, folds) for name, each in found.items()}

    def plainly() -> dict[str, np.ndarray]:
        found = {name: np.empty((len(states), own.max() + 1)) for name, own in labels.items()}
        for name, scores in found.items():
            for fold in range(folds.max() + 1):
                mine = folds == fold
                for value in range(scores.shape[1]):
                    one = make_pipeline(StandardScaler(), machine())
                    one.fit(states[~mine], labels[name][~mine] == value)
                    scores[mine, value] = one.decision_function(states[mine])
        return found

    told, expected = (
        [score(scores, labels[name]).binary for name, scores in work().items()] for work in (ours, plainly)
    )
    less = float(np.subtract(expected, told).max())
    wrong = "" if less <= TOLERANCE else f"LESS ACCURATE BY {less:.2f}"
    unit = f"s for {', '.join(names)} in a space of {trials} states"
    times = medians({"ours": ours, "reference": plainly}, "cpu", rounds)
    return report.row(kind, times, FLOORS[kind], unit, wrong=wrong)


def analysis_row(
    trained: Trained | None = None, pictures: Images | None = None, *, trials: int = 1536
) -> dict:  # fmt: skip
    """A row of seconds for all analyses of a network, by default the shipped GRU."""
    trained = load("gru_mtmf-00") if trained is None else trained
    pictures = analysis_images(trained.config) if pictures is None else pictures
    taken = analyse(trained, trials=trials, pictures=pictures)["seconds"]
    wrong = "" if taken < LIMIT_S else f"OVER {LIMIT_S:g} s"
    found = {"ours": max(taken, 0.1), "reference": LIMIT_S}
    unit = f"s for all analyses of {trained.name}; limit / ours"
    row = report.row("analysis", found, FLOORS["analysis"], unit, wrong=wrong)
    return row | {"of_limit": taken / LIMIT_S}
