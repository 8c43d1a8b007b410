"""What is recorded of a network in many trials, and the spaces that are analysed.

Space (i, j) holds the states h_j after step j, labelled by a property of stimulus i, j >= i; steps are
counted from 1. E(i, i) is an encoding space, M(i, j) with j > i a memory space (Lei, Ito & Bashivan 2024,
section 4).

    pictures = analysis_images(trained.config)
    shown = draw(pictures, TASKS)                    # images that tell nothing of each other
    recording = record(trained, pictures, shown, TASKS)
    states, labels, images, folds, same = recording.space(4, 1, 2, "identity")

Every state of an image is in one fold, whatever its task and step: at the first step the state is a function
of image and task alone, so a split over trials would have the same states on both sides. For a null, labels
are shuffled over images (`Recording.shuffled`) and the analysis is done as before.
"""

from __future__ import annotations

__all__ = ["AMONG", "Recording", "Space", "analysis_images", "draw", "once", "projected", "record"]

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from functools import lru_cache
from typing import Literal, NamedTuple

import numpy as np
import torch

from ...seeds import numpy_generator
from ..families import NBackConfig
from ..library import Trained
from ..material import Images
from ..network import respond
from ..senses import embed
from ..task import FEATURES, TASKS, Sampler, Task
from .decoders import PENALTY, Decoders, Score, fit, image_folds, score

TRIALS = 1536
"""of each task"""
_KEPT = 24
"""spaces with their decoders, a little more than the 21 of a task of 6 steps"""
Among = Literal["all", "same", "different"]
AMONG: tuple[Among, ...] = ("all", "same", "different")
"""trials where the item on screen shares the property of the remembered one, does not, or both together"""


class Space(NamedTuple):
    """States of space (i, j)."""

    states: np.ndarray
    """h_j, (state, unit)"""
    labels: np.ndarray
    """class of the property of stimulus i, (state,)"""
    images: np.ndarray
    """stimulus i, (state,)"""
    folds: np.ndarray
    """its fold, (state,)"""
    same: np.ndarray
    """whether stimulus j has the property of stimulus i: a match, where j is i's executive step, (state,)"""


@dataclass(frozen=True, eq=False)
class Recording:
    """A network's trials of some tasks. Images are rows of the labels."""

    tasks: tuple[Task, ...]
    states: np.ndarray
    """(task, trial, time, unit)"""
    images: np.ndarray
    """(task, trial, time)"""
    answers: np.ndarray
    """the network's, places in `wm.nback.RESPONSES`, (task, trial, time)"""
    labels: dict[str, np.ndarray]
    """property -> class of each image, (image,), from 0 with none left out"""
    folds: np.ndarray
    """(image,); for decoders that are tested on views that they were not fitted to: `labels["view"]`"""
    cells: np.ndarray | None = None
    """of an LSTM, as states"""
    standardise: bool = False
    """of decoders, see `fit`; standardised: `replace(recording, **STANDARDISED)`"""
    penalty: float = PENALTY
    """the same"""

    def __post_init__(self) -> None:
        object.__setattr__(self, "_fitted", lru_cache(maxsize=_KEPT)(self._fit))

    @property
    def length(self) -> int:
        """Steps of a trial."""
        return self.images.shape[2]

    @property
    def targets(self) -> np.ndarray:
        """Right answers, places in `wm.nback.RESPONSES`, (task, trial, time); above 0 in executive steps."""
        found = np.zeros(self.images.shape, dtype=np.int64)
        for k, task in enumerate(self.tasks):
            own = self.labels[task.feature][self.images[k]]
            found[k, :, task.lag :] = 1 + (own[:, task.lag :] == own[:, : -task.lag])
        return found

    def classes(self, name: str) -> int:
        """How many values a property has."""
        return int(self.labels[name].max()) + 1

    def space(self, task: int, i: int, j: int, name: str) -> Space:
        """Space (i, j) of a property; task: place in `tasks`. ValueError unless 1 <= i <= j <= length."""
        if not 1 <= i <= j <= self.length:
            raise ValueError(f"there is no space ({i}, {j}): use 1 <= i <= j <= {self.length}, the last step")
        images, classes = self.images[task, :, i - 1], self.labels[name]
        same = classes[images] == classes[self.images[task, :, j - 1]]
        return Space(self.states[task, :, j - 1], classes[images], images, self.folds[images], same)

    def decoders(self, task: int, i: int, j: int) -> dict[str, Decoders]:
        """Decoders of each of `FEATURES` in space (i, j), kept for a while.

        Raises as `space` and `wm.nback.geometry.fit`.
        """
        return self._fitted(task, i, j)

    def _fit(self, task: int, i: int, j: int) -> dict[str, Decoders]:
        states, _, images, folds, _ = self.space(task, i, j, FEATURES[0])
        labels = {name: self.labels[name][images] for name in FEATURES}
        return fit(states, labels, folds, standardise=self.standardise, penalty=self.penalty)

    def score(
        self, decoders: Decoders, where: tuple[int, int, int], name: str, *, among: Among = "all"
    ) -> Score:  # fmt: skip
        """How well decoders, of any space, read a property in space (task, i, j), each state's fold left out.

        among: see `AMONG`; where j = i all trials are of the same. Raises ValueError for another.
        """
        if among not in AMONG:
            raise ValueError(f"among is {among!r}: choose one of {', '.join(AMONG)}")
        task, i, j = where
        states, labels, _, folds, same = self.space(task, i, j, name)
        if among != "all" and i != j:
            chosen = same == (among == "same")
            states, labels, folds = states[chosen], labels[chosen], folds[chosen]
        return score(decoders.scores(states, folds), labels)

    def only(self, task: int) -> Recording:
        """The trials of one task, which is then the first."""
        kept = slice(task, task + 1)
        cells = None if self.cells is None else self.cells[kept]
        return replace(
            self, tasks=self.tasks[kept], states=self.states[kept], images=self.images[kept],
            answers=self.answers[kept], cells=cells,
        )  # fmt: skip

    def shuffled(self, seed: int = 0) -> Recording:
        """The same with each property's labels dealt out anew among the images: nothing is to be decoded."""
        labels = {
            name: numpy_generator("shuffled", "nback", seed, name).permutation(own)
            for name, own in self.labels.items()
        }
        return replace(self, labels=labels)


def analysis_images(config: NBackConfig, *splits: str) -> Images:
    """The images for analyses with a network's features, of these splits (default: trained ones).

    Networks were not trained on any of them. Labels are location, identity, category, view, numbered from 0
    among those that occur. Features are computed once and kept; raises as `wm.nback.features.features`.
    """
    from ..features import features
    from ..stimuli import LABELS, stimulus_set

    stimuli = stimulus_set(config.stimuli).part("analysis")
    rows = stimuli.table.split.isin(splits or ("trained",)).to_numpy()
    given = features(stimuli, config.backbone, config.pool)[rows]
    return Images(given, {name: _numbered(stimuli.labels(name)[rows]) for name in LABELS})


def _numbered(labels: np.ndarray) -> np.ndarray:
    return np.unique(labels, return_inverse=True)[1].reshape(labels.shape)


def draw(
    labels: Mapping[str, np.ndarray] | Images, tasks: Sequence[Task] = TASKS, *, trials: int = TRIALS,
    length: int = 6, match_probability: float | None = None, seed: int = 0,
) -> np.ndarray:  # fmt: skip
    """Images of trials, (task, trial, time), the same for all networks.

    match_probability: as in training; None: every image is drawn from all, so that matches are at chance and
    the item on screen tells nothing of those before. Raises as `wm.nback.Sampler`.
    """
    labels = labels.labels if isinstance(labels, Images) else labels
    generator = numpy_generator("geometry", "nback", seed)
    if match_probability is None:
        return generator.integers(len(labels["identity"]), size=(len(tasks), trials, length))
    sampler = Sampler(labels, length=length, match_probability=match_probability, tasks=tasks)
    uniforms = torch.as_tensor(generator.random((len(tasks), trials, sampler.numbers)))
    places = torch.tensor([task.place for task in tasks])[:, None]
    return sampler.trials(uniforms, places).images.numpy()


def once(labels: Mapping[str, np.ndarray] | Images, tasks: Sequence[Task] = TASKS) -> np.ndarray:
    """Trials of one image, each of them once in every task, (task, image, 1): all that E(1, 1) can hold."""
    labels = labels.labels if isinstance(labels, Images) else labels
    return np.tile(np.arange(len(labels["identity"]))[:, None], (len(tasks), 1, 1))


def record(
    trained: Trained, pictures: Images, shown: np.ndarray, tasks: Sequence[Task] = TASKS, *,
    cells: bool = False,
) -> Recording:  # fmt: skip
    """Show trials to a network and keep its states: those of the last recurrent layer, of an LSTM its output.

    shown: rows of the pictures, (task, trial, time). cells: keep an LSTM's, too. Raises ValueError if there
    are none.
    """
    if cells and trained.config.architecture != "lstm":
        raise ValueError(f"{trained.name} has no cells, only an LSTM has: leave cells out")
    states, answers, kept = [], [], []
    with torch.no_grad():
        embedding = embed(trained.weights, torch.as_tensor(pictures.features).float())
        for task, images in zip(tasks, shown, strict=True):
            places = torch.full((1, len(images)), task.place)
            trace = respond(
                trained.config, trained.weights, embedding, torch.as_tensor(images)[None], tasks=places
            )
            states.append(trace.states[0].numpy())
            answers.append(trace.answers[0].numpy())
            kept += [trace.cells[0].numpy()] if cells else []
    labels, whole = dict(pictures.labels), np.stack(kept) if cells else None
    folds = image_folds(labels)
    return Recording(tuple(tasks), np.stack(states), shown, np.stack(answers), labels, folds, whole)


def projected(recording: Recording, dimensions: int) -> Recording:
    """The same in the first principal components of all states of each task, which all its spaces share.

    Raises ValueError for more dimensions than units.
    """
    *shape, units = recording.states.shape
    if not 0 < dimensions <= units:
        raise ValueError(f"{units} units have no {dimensions} principal components: ask for 1 to {units}")
    found = np.empty((*shape, dimensions))
    for own, states in zip(found, recording.states, strict=True):
        flat = states.reshape(-1, units).astype(np.float64)
        flat = flat - flat.mean(axis=0)
        vectors = np.linalg.eigh(flat.T @ flat)[1][:, : -dimensions - 1 : -1]
        own[:] = (flat @ vectors).reshape(own.shape)
    return replace(recording, states=found, cells=None)
