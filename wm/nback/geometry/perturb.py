"""What a network answers when the state that it holds is shifted through a hyperplane (Fig. A7).

In trials where a network answers match at step i + lag, the state h_j of the step before, j = i + lag - 1, is
shifted along the unit normal of "the value of stimulus i against the rest", fitted to space (i, j) (E(i, i)
for 1-back tasks), to a signed distance from that hyperplane; then the network is shown the probe.

    h' = h + min(0, d - d(h)) w / |w|,   d(h) = (w h + b) / |w|

so that states are only ever pushed away from their own value. The normal of a decoder turns away from all
else that varies, so that a shift along it may lead where no state is. `along="pattern"` goes to the same
distances along p, how the mean of the value differs from that of the rest:

    h' = h + min(0, d - d(h)) p |w| / (w p)

Distances d are in standard deviations of the projection of that space on the normal, and clipped to what
nearly all of its states span. Decoders were fitted without the image. Controls: the same for a property that
the task does not ask for, to the same distances from its own hyperplane, and a random direction with the
length of each trial's own shift.
"""

from __future__ import annotations

__all__ = ["CONTROLS", "TARGETS", "Perturbation", "Recall", "perturb", "recall_of"]

from collections.abc import Callable
from dataclasses import replace
from typing import Literal, NamedTuple

import numpy as np
import torch

from ...seeds import numpy_generator
from ..library import Trained
from ..material import Images
from ..network import respond
from ..senses import embed
from ..task import RESPONSES, Task
from .spaces import Recording

CONTROLS = ("relevant", "irrelevant", "random")
"""directions of the shift; relevant is the test, the others should do nothing"""
TARGETS = np.linspace(2, -2, 13)
"""distances from the hyperplane, positive on the side of the own value, in SDs of the projection"""
SPAN = 0.005
"""quantile of the distances of a space's states, beyond which no state is shifted"""

Along = Literal["normal", "pattern"]
Recall = Callable[[np.ndarray, np.ndarray | None, np.ndarray], np.ndarray]
"""answers to probes: states (trial, unit), cells or None, images (trial,) -> shares (trial, response)"""


class Perturbation(NamedTuple):
    """Means over trials and items."""

    targets: np.ndarray
    """distances that were asked for, (target,)"""
    reached: np.ndarray
    """distances after the shift from the hyperplane of the property (random: of the relevant one), in the
    same SDs, medians of trials; less far than asked for where the data do not span that, (control, target)"""
    lengths: np.ndarray
    """of the shifts, in units of the states, (control, target)"""
    probabilities: np.ndarray
    """of each of `RESPONSES`, (control, target, response)"""
    unshifted: np.ndarray
    """the same without a shift, (response,)"""
    trials: int


class _Shift(NamedTuple):
    """States with the hyperplanes of their own values; distances in units of the states."""

    states: np.ndarray  # (trial, unit)
    normals: np.ndarray  # (trial, unit), of length 1
    directions: np.ndarray  # (trial, unit), of product 1 with the normals
    distances: np.ndarray  # (trial,)
    deviations: np.ndarray  # (trial,), of the projections of the space
    lowest: np.ndarray  # (trial,), that states of the space reach

    def to(self, target: float) -> np.ndarray:
        """States at a distance in SDs, or nearer to it, (trial, unit)."""
        aim = np.maximum(target * self.deviations, self.lowest)
        return self.states + np.minimum(aim - self.distances, 0)[:, None] * self.directions

    def reached(self, shifted: np.ndarray) -> float:
        """Median distance of shifted states (trial, unit), in SDs."""
        distances = self.distances + ((shifted - self.states) * self.normals).sum(axis=1)
        return float(np.median(distances / self.deviations))


def perturb(
    recall: Recall, recording: Recording, task: int, *, fitted: Recording | None = None,
    along: Along = "normal", irrelevant: str | None = None, targets: np.ndarray = TARGETS, trials: int = 128,
    cells: bool = False, seed: int = 0,
) -> Perturbation:  # fmt: skip
    """Shift states of a task's trials, all items that have an executive step together.

    How far a normal is from the pattern depends on the penalty of the decoders (of `fitted`; change it by
    dataclasses.replace) even where their accuracy does not: show several.

    recording: of trials with matches; fitted: trials of the same images that decoders are fitted to (default:
    the same). along: normals, as published, or patterns. irrelevant: property of the control (default:
    location, category in location tasks). trials: of each item, at most. cells: an LSTM's cells are shifted,
    too, along directions of their own to the same distances in their own SDs; else only its output is, and
    the cells are those of the trial.
    Raises ValueError for another `along`, where cells were not recorded, and where no trial was answered
    match.
    """
    fitted, asked = fitted or recording, recording.tasks[task]
    if along not in ("normal", "pattern"):
        raise ValueError(f"along is {along!r}: states are shifted along a normal or a pattern")
    if cells and (recording.cells is None or fitted.cells is None):
        raise ValueError("cells cannot be shifted, they were not recorded: use record(..., cells=True)")
    names = (asked.feature, irrelevant or ("category" if asked.feature == "location" else "location"))
    generator = numpy_generator("perturb", "nback", seed)
    items = [
        _item(recall, (recording, fitted), (task, i), names, along=along, targets=targets, trials=trials,
              cells=cells, generator=generator)
        for i in range(1, recording.length - asked.lag + 1)
    ]  # fmt: skip
    weights = np.array([item.trials for item in items])
    if not weights.any():
        raise ValueError(f"no trial of the {asked.name} task was answered match: record trials with matches")
    known = [item for item in items if item.trials]
    means = [
        np.average([item[k] for item in known], axis=0, weights=weights[weights > 0]) for k in range(1, 5)
    ]
    return Perturbation(np.asarray(targets), *means, trials=int(weights.sum()))


def _item(
    recall: Recall, recordings: tuple[Recording, Recording], where: tuple[int, int], names: tuple[str, str],
    *, along: Along, targets: np.ndarray, trials: int, cells: bool, generator: np.random.Generator,
) -> Perturbation:  # fmt: skip
    """The same for one item, where (task, i); names of the relevant and the irrelevant property."""
    (recording, _), (task, i) = recordings, where
    probe = i + recording.tasks[task].lag
    rows = np.flatnonzero(recording.answers[task, :, probe - 1] == RESPONSES.index("match"))[:trials]
    shape = len(CONTROLS), len(targets)
    reached, lengths, answers = np.zeros(shape), np.zeros(shape), np.zeros((*shape, len(RESPONSES)))
    if not len(rows):
        return Perturbation(targets, reached, lengths, answers, answers[0, 0], 0)
    shown = recording.images[task, rows, probe - 1]
    kept = None if recording.cells is None else recording.cells[task, rows, probe - 2]
    own = _shifts(recordings, (task, i), names, rows, along=along, generator=generator)
    if cells:
        given = tuple(replace(each, states=each.cells) for each in recordings)
        of_cells = _shifts(given, (task, i), names, rows, along=along, generator=generator)
    for place in np.ndindex(shape):
        control, target = CONTROLS[place[0]], targets[place[1]]
        shifted = own[control].to(target)
        answers[place] = recall(shifted, of_cells[control].to(target) if cells else kept, shown).mean(axis=0)
        reached[place] = own[control].reached(shifted)
        lengths[place] = np.linalg.norm(shifted - own[control].states, axis=1).mean()
    unshifted = recall(own["relevant"].states, kept, shown).mean(axis=0)
    return Perturbation(targets, reached, lengths, answers, unshifted, len(rows))


def _shifts(
    recordings: tuple[Recording, Recording], where: tuple[int, int], names: tuple[str, str],
    rows: np.ndarray, *, along: Along, generator: np.random.Generator,
) -> dict[str, _Shift]:  # fmt: skip
    """What is needed to shift the chosen trials in each of the directions of `CONTROLS`."""
    (recording, fitted), (task, i) = recordings, where
    j = i + recording.tasks[task].lag - 1
    found = {}
    for control, name in zip(CONTROLS[:2], names, strict=True):
        decoders = fitted.decoders(task, i, j)[name]
        own, every = (each.space(task, i, j, name) for each in (recording, fitted))
        length = np.linalg.norm(decoders.weights, axis=2)  # (fold, class)
        spread = decoders.scores(every.states, every.folds) / length[every.folds]
        states, labels, folds = own.states[rows], own.labels[rows], own.folds[rows]
        normals = decoders.weights[folds, labels] / length[folds, labels, None]
        patterns = decoders.patterns[folds, labels] if along == "pattern" else normals
        distances = decoders.scores(states, folds)[np.arange(len(rows)), labels] / length[folds, labels]
        found[control] = _Shift(
            states, normals, patterns / (patterns * normals).sum(axis=1, keepdims=True), distances,
            spread.std(axis=0)[labels], np.quantile(spread, SPAN, axis=0)[labels],
        )  # fmt: skip
    directions = found["relevant"].directions
    drawn = generator.standard_normal(directions.shape)
    drawn *= np.linalg.norm(directions, axis=1, keepdims=True) / np.linalg.norm(drawn, axis=1, keepdims=True)
    return found | {"random": found["relevant"]._replace(directions=drawn)}


def recall_of(trained: Trained, pictures: Images, task: Task) -> Recall:
    """How a network answers a probe from a given state: one step of its own recurrence, then softmax.

    An LSTM answers from its output and its cells. Raises ValueError for several recurrent layers, of which
    only the last one is recorded, and for cells where there are none, or the other way round.
    """
    if trained.config.layers > 1:
        raise ValueError(f"{trained.name} has {trained.config.layers} recurrent layers: shift one of 1 layer")
    with torch.no_grad():
        embedding = embed(trained.weights, torch.as_tensor(pictures.features).float())

    @torch.no_grad()
    def recall(states: np.ndarray, cells: np.ndarray | None, images: np.ndarray) -> np.ndarray:
        if (cells is not None) != (trained.config.architecture == "lstm"):
            kind = trained.config.architecture
            raise ValueError(f"{trained.name} is {kind}: an LSTM is given cells, and nothing else is")
        given = [states] if cells is None else [states, cells]
        start = tuple(torch.as_tensor(each).float()[None, :, None] for each in given)
        places = torch.full((1, len(images)), task.place)
        shown = torch.arange(len(images))[None, :, None]
        trace = respond(
            trained.config, trained.weights, embedding[:, images], shown, tasks=places, start=start
        )
        return trace.logits[0, :, 0].softmax(dim=-1).numpy()

    return recall
