"""What each of the five published analyses says of one network (see `wm.nback.geometry.analyse`).

Each part returns what goes into a document, arrays named with their axes, and a few numbers, "1 balanced
trained". Accuracies are normalised, 0 at chance and 1 if all is right, unless they are called otherwise; they
are those of each value against the rest, on images that decoders were not fitted to.
"""

from __future__ import annotations

__all__ = ["ANALYSES", "SETTINGS", "Subject"]

from collections.abc import Iterator
from dataclasses import dataclass, replace
from functools import cached_property
from typing import Any

import numpy as np

from ..library import Trained
from ..material import Images
from ..task import FEATURES, Task
from .decoders import STANDARDISED
from .dynamics import contrast, cross_time, transfer_parts
from .orthogonality import equal_dimension, input_spaces, orthogonality, standardised
from .perturb import CONTROLS, perturb, recall_of
from .relevance import cross_task, relevance
from .rotations import Decoded, decoded, lifetime, ratio, swap_test, weighed
from .spaces import AMONG, Recording, draw, once, projected, record
from .turned import turned

ANALYSES = {1: "behaviour", 2: "encoding", 3: "orthogonality", 4: "dynamics", 5: "perturbation"}
SETTINGS: dict[str, dict[str, Any]] = {"standardised": STANDARDISED, "ours": {}}
"""of the decoders"""
DIMENSIONS = 40
TARGETS = np.linspace(2, -2, 7)
_SHUFFLES = 10

Content = dict[str, Any]
Part = tuple[Content, dict[str, float]]


@dataclass(frozen=True, eq=False)
class Subject:
    """One network and how it is analysed; parameters as those of `wm.nback.geometry.analyse`."""

    trained: Trained
    pictures: Images
    tasks: tuple[Task, ...]
    properties: tuple[str, ...] | None
    steps: tuple[int | None, int | None]
    decoders: str
    trials: int

    @cached_property
    def alone(self) -> Recording:
        """Each image once, in every task."""
        return self._recorded(once(self.pictures, self.tasks))

    @cached_property
    def chance(self) -> Recording:
        """Trials whose matches are at chance."""
        return self._recorded(draw(self.pictures, self.tasks, trials=self.trials))

    @cached_property
    def natural(self) -> Recording:
        """Trials as in training."""
        shown = draw(self.pictures, self.tasks, trials=self.trials, match_probability=0.5)
        return self._recorded(shown)

    def _recorded(self, shown: np.ndarray) -> Recording:
        lstm = self.trained.config.architecture == "lstm"
        found = record(self.trained, self.pictures, shown, self.tasks, cells=lstm)
        return replace(found, **SETTINGS[self.decoders])

    def _each(self) -> Iterator[tuple[int, Task, str]]:
        """Place of each task, the task, and each property that is analysed in it."""
        for k, task in enumerate(self.tasks):
            for name in self.properties or (task.feature,):
                yield k, task, name

    def behaviour(self) -> Part:
        """Balanced accuracy in executive steps by split and task, of the test when it was trained."""
        from ..derived import rows_of

        scores: dict[str, dict[str, float]] = {}
        wanted = {task.name for task in self.tasks}
        for row in rows_of(self.trained) if self.trained.record.get("test") else ():
            if row["lures"] == "natural" and row["task"] in wanted:
                scores.setdefault(row["split"], {})[row["task"]] = row["balanced"]
        numbers = {f"1 balanced {split}": float(np.mean([*own.values()])) for split, own in scores.items()}
        return {"balanced": scores}, numbers

    def encoding(self) -> Part:
        """What E(1, 1) tells of each property, and decoders of one task in others, (fitted, tested)."""
        own, null = relevance(self.alone), relevance(self.alone.shuffled())
        names = self.properties or FEATURES
        across = {name: cross_task(self.alone, name).normalised for name in names}
        found: Content = {"axes": {"across": ["task fitted", "task tested"]}, "across": across}
        for kind, scores in (("within", own), ("shuffled", null)):
            found[kind] = {name: scores[name].normalised for name in names}
        found["all values, balanced accuracy"] = {name: own[name].multiclass for name in names}
        asked = [own[t.feature].normalised[k] for k, t in enumerate(self.tasks)]
        others = [own[n].normalised[k] for k, t in enumerate(self.tasks) for n in names if n != t.feature]
        numbers = {"2 asked for": float(np.mean(asked))}
        numbers |= {"2 not asked for": float(np.mean(others))} if others else {}
        elsewhere = [across[t.feature][k, m] for k, t in enumerate(self.tasks) if t.feature in names
                     for m, o in enumerate(self.tasks) if o.feature != t.feature]  # fmt: skip
        return found, numbers | ({"2 across tasks": float(np.mean(elsewhere))} if elsewhere else {})

    def orthogonality(self) -> Part:
        """The index (equation 1) in three spaces at equal dimension, with its floors."""
        spaces = input_spaces(self.trained, self.pictures)
        spaces |= {task.name: self.alone.states[k, :, 0] for k, task in enumerate(self.tasks)}
        options = {"shuffles": _SHUFFLES}
        if self.decoders == "standardised":
            spaces = {name: standardised(states) for name, states in spaces.items()}
            options["penalty"] = STANDARDISED["penalty"]
        spaces = equal_dimension(spaces)
        found: dict[str, Content] = {}
        for _, task, name in self._each():
            told = found[f"{task.name}: {name}"] = {}
            for space, of in (("encoding", task.name), ("perceptual", "perceptual"), ("cnn", "cnn")):
                own = orthogonality(spaces[of], self.pictures.labels[name], **options)
                told[space] = own.index
                told[f"{space}, shuffled"] = float(own.shuffled.mean())
                told |= {"simplex": own.simplex, "random": own.random}
        numbers = {
            f"3 index, {space}": float(np.mean([own[space] for own in found.values()]))
            for space in ("encoding", "perceptual", "cnn")
        }
        return {"index": found}, numbers

    def dynamics(self) -> Part:
        """Decoders of encoding later on and in other items; rotations, swaps, and all pairs of steps."""
        found, shares = {}, []
        for k, task, name in self._each():
            held = decoded(self.chance, k, name)
            small = projected(self.chance.only(k), DIMENSIONS)
            own, told = self._dynamics(k, task, name, held), self._rotations(small, task, name, held)
            shares.append({"4 kept": told["evidence"]["kept"], **_numbers(told)})
            found[f"{task.name}: {name}"] = own | told
        axes = {"kept, fitted, shared, swaps": ["item", "step"], "turned": ["item", "source", "target"]}
        values = {key: [each[key] for each in shares if np.isfinite(each[key])] for key in shares[0]}
        numbers = {key: float(np.mean(own)) for key, own in values.items() if own}
        return {"axes": axes, "by task and property": found}, numbers

    def _dynamics(self, k: int, task: Task, name: str, held: Decoded) -> Content:
        found: Content = {field: own.normalised for field, own in held._asdict().items()}
        found |= {f"kept, {among}": cross_time(self.chance, k, name, among=among).normalised
                  for among in AMONG[1:]}  # fmt: skip
        natural = cross_time(self.natural, k, name).normalised
        found["executive and other steps"] = contrast(natural, task.lag)._asdict()
        if self.chance.length - task.lag > 1:
            found["other items"] = transfer_parts(held.shared.normalised, task.lag)._asdict()
        return found

    def _rotations(self, small: Recording, task: Task, name: str, held: Decoded) -> Content:
        rows = "all" if self.decoders == "ours" else "own"
        swaps = swap_test(small, 0, name, rows=rows)
        own = weighed(swaps, held, task.lag)
        source, target = self.steps
        pairs = turned(small, 0, name, source=source, target=target)
        needed = lifetime(task.lag, small.length)
        null = {kind: ratio(swaps[kind], swaps["fitted"], needed) for kind in ("random", "shuffled")}
        return {
            "evidence": own._asdict() | null, "verdict": own.verdict,
            "swaps": {kind: scores.normalised for kind, scores in swaps.items()}, "turned": pairs._asdict(),
        }  # fmt: skip

    def perturbation(self) -> Part:
        """Answers after shifts through hyperplanes, along normals and patterns; an LSTM's cells, too."""
        found, falls = {}, {"normal": [], "pattern": []}
        lstm = self.trained.config.architecture == "lstm"
        for k, task in enumerate(self.tasks):
            recall = recall_of(self.trained, self.pictures, task)
            for along, each in falls.items():
                own = perturb(recall, self.natural, k, fitted=self.chance, along=along, targets=TARGETS,
                              cells=lstm)  # fmt: skip
                each.append(own.probabilities[0, -1, 2] - own.unshifted[2])
                found[f"{task.name}, {along}"] = own._asdict()
        axes = {"targets": "distance (SD)", "controls": [*CONTROLS],
                "probabilities": ["control", "distance", "no action | non-match | match"]}  # fmt: skip
        numbers = {f"5 change of match, {along}": float(np.mean(own)) for along, own in falls.items()}
        return {"axes": axes, "distances": TARGETS, "shifts": found}, numbers


def _numbers(told: Content) -> dict[str, float]:
    names = ("shared", "original", "stimulus", "time")
    found = {f"4 {name}": told["evidence"][name] for name in names}
    unlike = told["turned"]["disparity"]
    steps = np.diagonal(unlike, 1, axis1=1, axis2=2)  # (item, source), of adjacent steps
    known = steps[np.isfinite(steps)]
    return found | {"4 disparity": float(known.mean()) if len(known) else np.nan}
