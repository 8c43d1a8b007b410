"""Everything that tables tell of the geometry of one network (see `wm.nback.geometry.measures`)."""

from __future__ import annotations

__all__ = ["DIMENSIONS", "DISTANCES", "SETTINGS", "TABLES", "Rows", "geometry_rows"]

import logging
from collections.abc import Iterator
from dataclasses import dataclass, replace
from functools import lru_cache
from typing import Any

import numpy as np

from ..families import diet
from ..library import Trained
from ..material import Images
from ..task import FEATURES, TASKS, Task
from .decoders import STANDARDISED
from .dynamics import contrast, cross_time, transfer_parts
from .orthogonality import PENALTY, equal_dimension, input_spaces, orthogonality, standardised
from .perturb import CONTROLS, perturb, recall_of
from .relevance import Accuracies, cross_task, relevance
from .rotations import Decoded, decoded, disparity, lifetime, ratio, swap_test, weighed
from .spaces import AMONG, TRIALS, Recording, analysis_images, draw, once, projected, record

_log = logging.getLogger(__name__)

SETTINGS: dict[str, dict[str, Any]] = {"ours": {}, "standardised": STANDARDISED}
"""of the decoders"""
TABLES = ("decoding", "cross_task", "orthogonality", "dynamics", "rotations", "perturbation")
DIMENSIONS = 40
"""principal components that rotations are fitted in"""
DISTANCES = {"0": 0.0, "m2": -2.0}
"""how columns of the perturbation are called -> signed distance in SDs"""
_SHUFFLES = 10
_DIGITS = 3

Row = dict[str, Any]
Rows = dict[str, list[Row]]


@dataclass(frozen=True, eq=False)
class _Case:
    """One network's recordings, with the decoders of one setting."""

    trained: Trained
    pictures: Images
    once: Recording
    chance: Recording  # matches at chance
    natural: Recording  # as in training
    setting: str

    def with_setting(self, name: str) -> _Case:
        own = {k: replace(getattr(self, k), **SETTINGS[name]) for k in ("once", "chance", "natural")}
        return replace(self, setting=name, **own)

    def about(self, task: Task) -> Row:
        of = {"family": self.trained.config.family, "seed": self.trained.seed}
        return of | {"setting": self.setting, "task": task.name}


def geometry_rows(trained: Trained, pictures: Images | None = None, *, trials: int = TRIALS) -> Rows:
    """Everything that the tables tell of one network: table -> rows, all measured on the same trials.

    pictures: by default those of `analysis_images`; trials: of each task. A minute or two on one core.
    Rotations, shifts and how long properties are held are of networks of all nine tasks alone. Of those with
    attention there are decoding, index and rotations of all items, with decoders of ours; of those with
    published stimuli index, dynamics and rotations of all items.
    """
    pictures = analysis_images(trained.config) if pictures is None else pictures
    tasks, lstm = diet(trained.config), trained.config.architecture == "lstm"
    one = record(trained, pictures, once(pictures, tasks), tasks)
    shown = (draw(pictures, tasks, trials=trials, match_probability=p) for p in (None, 0.5))
    chance, natural = (record(trained, pictures, each, tasks, cells=lstm) for each in shown)
    case = _Case(trained, pictures, one, chance, natural, "ours")
    found: Rows = {name: [] for name in TABLES}
    whole, rich = tasks == TASKS, trained.config.stimuli == "rich"
    plain = trained.config.attention == "none"
    usual = plain and rich
    for setting in SETTINGS if plain else ("ours",):
        own = case.with_setting(setting)
        found["cross_task"] += _cross_task(own) if usual else ()
        found["orthogonality"] += _orthogonality(own)
        encoded = _encoded(own) if rich else []
        for k, task in enumerate(tasks):
            about, held = own.about(task), decoded(own.chance, k, task.feature)
            ages = _ages(own.chance, k) if setting == "ours" and whole and usual else {}
            found["decoding"] += [about | encoded[k] | ages] if rich else []
            found["dynamics"] += [about | _dynamics(own, k, held)] if plain else []
            found["rotations"] += [about | row for row in _rotations(own, k, held)] if whole else []
        found["perturbation"] += _perturbation(own) if whole and usual else []
    return {name: [_rounded(row) for row in rows] for name, rows in found.items()}


def _rounded(row: Row) -> Row:
    return {k: round(float(v), _DIGITS) + 0.0 if isinstance(v, float) else v for k, v in row.items()}


def _encoded(case: _Case) -> list[Row]:
    """decoding, of E(1, 1): <property>, held-out accuracy of each value against the rest; <property>_values,
    of all values (both balanced); <property>_null, the first of labels shuffled over images."""
    found, null = relevance(case.once), relevance(case.once.shuffled())
    rows = []
    for k in range(len(case.once.tasks)):
        row = {name: own.binary[k] for name, own in found.items()}
        row |= {f"{name}_values": own.multiclass[k] for name, own in found.items()}
        rows.append(row | {f"{name}_null": own.binary[k] for name, own in null.items()})
    return rows


def _ages(recording: Recording, task: int) -> Row:
    """decoding, too: <property>_<age>, accuracy of each value against the rest as `age` more items come, of
    decoders of that space, mean over items; matches are at chance."""
    found = {}
    for name in FEATURES:
        scores: list[list[float]] = [[] for _ in range(recording.length)]
        for i in range(1, recording.length + 1):
            for j in range(i, recording.length + 1):
                own = recording.decoders(task, i, j)[name]
                scores[j - i].append(recording.score(own, (task, i, j), name).binary)
        found |= {f"{name}_{age}": float(np.mean(each)) for age, each in enumerate(scores)}
    return found


def _by_age(scores: np.ndarray) -> list[float]:
    """Means over items of scores (i, j), by age from 1."""
    return [float(np.mean(scores.diagonal(age))) for age in range(1, len(scores))]


def _cross_task(case: _Case) -> Iterator[Row]:
    """Decoders of the property that a task asks for, in E(1, 1): within, on other images of the task; then
    by what other tasks ask for, means over these. None of networks with one task."""
    tasks = case.once.tasks
    if len(tasks) < 2:
        return
    scores = {name: cross_task(case.once, name).binary for name in {task.feature for task in tasks}}
    for k, task in enumerate(tasks):
        row = {"within": scores[task.feature][k, k]}
        for name in FEATURES:
            others = [m for m, other in enumerate(tasks) if other.feature == name and m != k]
            row[name] = float(np.mean(scores[task.feature][k, others])) if others else np.nan
        yield case.about(task) | row


def _orthogonality(case: _Case) -> Iterator[Row]:
    """Index of the property that a task asks for, in three spaces at equal dimension, and of shuffled labels:
    encoding, E(1, 1); perceptual, the network's 1 x 1 convolution; cnn, the backbone's features. Published:
    normals are those of standardised units."""
    tasks, labels = case.once.tasks, case.pictures.labels
    spaces = input_spaces(case.trained, case.pictures)
    spaces |= {task.name: case.once.states[k, :, 0] for k, task in enumerate(tasks)}
    options = {"shuffles": _SHUFFLES, "penalty": PENALTY}
    if case.setting == "standardised":  # units, and not the components, which must not all weigh the same
        spaces = {name: standardised(states) for name, states in spaces.items()}
        options["penalty"] = case.once.penalty
    spaces = equal_dimension(spaces)
    kept = lru_cache(lambda space, name: orthogonality(spaces[space], labels[name], **options))
    for task in tasks:
        row = case.about(task)
        for name, space in (("encoding", task.name), ("perceptual", "perceptual"), ("cnn", "cnn")):
            own = kept(space, task.feature)
            row |= {name: own.index, f"{name}_shuffled": float(own.shuffled.mean())}
        yield row | {"dimensions": spaces["cnn"].shape[1]}


def _dynamics(case: _Case, task: int, held: Decoded) -> Row:
    """All normalised, 0 at chance. kept_<age>: decoders of E(i, i), means over items, matches at chance.
    <kind>_executive, <kind>_other: the same at executive and other steps: all trials; those where the item on
    screen is the same, or different; all of natural ones, half of them matches. Then `Transfer`."""
    lag = case.chance.tasks[task].lag
    row = {f"kept_{age}": value for age, value in enumerate(_by_age(held.kept.normalised), 1)}
    scores = {among: _kept(case.chance, task, among) for among in AMONG[1:]}
    scores |= {"all": held.kept, "natural": _kept(case.natural, task, "all")}
    for kind, own in scores.items():
        found = contrast(own.normalised, lag)._asdict()
        row |= {f"{kind}_{name}": value for name, value in found.items()}
    return row | transfer_parts(held.shared.normalised, lag)._asdict()


def _kept(recording: Recording, task: int, among: str) -> Accuracies:
    return cross_time(recording, task, recording.tasks[task].feature, among=among)


def _rotations(case: _Case, task: int, held: Decoded) -> Iterator[Row]:
    """`Evidence` and its verdict, of all items (first 1); ours, also of those after the first comparison
    (not of networks with attention, or published stimuli).

    fitted: normalised accuracy of the spaces' own decoders, within the lifetime of items; random, shuffled:
    shares with null rotations; late_<kind>: shares after the lifetime; disparity: within it.
    """
    asked, length = case.chance.tasks[task], case.chance.length
    small = projected(case.chance.only(task), DIMENSIONS)
    rows = "all" if case.setting == "ours" else "own"
    unlike, needed = disparity(small, 0, asked.feature), lifetime(asked.lag, length)
    kind = case.trained.config
    apart = rows == "all" and kind.attention == "none" and kind.stimuli == "rich"
    for first in (1, asked.lag + 1) if apart else (1,):
        swaps = swap_test(small, 0, asked.feature, rows=rows, first=first)
        whole, late = swaps["fitted"], np.arange(1, length + 1)[:, None] >= first
        found = weighed(swaps, held, asked.lag, first=first)
        row = {"first": first} | found._asdict() | {"verdict": found.verdict}
        row["fitted"] = float(np.nanmean(whole.normalised[needed & late]))
        row |= {kind: ratio(swaps[kind], whole, needed) for kind in ("random", "shuffled")}
        for kind in ("original", "stimulus", "time"):
            row[f"late_{kind}"] = ratio(swaps[kind], whole, ~needed)
        yield row | {"disparity": float(np.nanmean(unlike[needed & late]))}


def _perturbation(case: _Case) -> Iterator[Row]:
    """along: normal or pattern. unshifted, unshifted_none: probability of match, of no action;
    match_<distance> of `DISTANCES`, none: no action at the last; irrelevant, random (.._none): match (no
    action) there of the controls; reached: distance reached there; length of the shifts. An LSTM's cells are
    shifted, too."""
    lstm, targets = case.trained.config.architecture == "lstm", np.array([*DISTANCES.values()])
    for along in ("normal", "pattern") if case.setting == "ours" else ("normal",):
        for k, task in enumerate(case.natural.tasks):
            recall = recall_of(case.trained, case.pictures, task)
            about = case.about(task) | {"along": along}
            try:
                own = perturb(
                    recall, case.natural, k, fitted=case.chance, along=along, targets=targets, cells=lstm
                )
            except ValueError as error:  # a network that never answers match
                _log.warning("%s: %s", case.trained.name, error)
                continue
            none, _, match = np.moveaxis(own.probabilities, 2, 0)  # (control, target)
            row = {"unshifted": own.unshifted[2], "unshifted_none": own.unshifted[0]}
            row |= {f"match_{name}": value for name, value in zip(DISTANCES, match[0], strict=True)}
            row |= {"none": none[0, -1]}
            for c, name in enumerate(CONTROLS[1:], 1):
                row |= {name: match[c, -1], f"{name}_none": none[c, -1]}
            yield about | row | {"reached": own.reached[0, -1], "length": own.lengths[0, -1]}
