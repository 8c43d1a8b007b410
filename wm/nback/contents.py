"""What the state of an N-back network tells about each image that it has seen, by linear decoders.

Decoders are fitted when they are asked for, to states of one network in one task: trials of a few images of
the analysis set (`decoding_images`), all drawn alike, so that nothing but the state tells what was shown.
There is one for each feature and age, which is how many steps ago the image was shown; the images that they
are scored on are none of those that they were fitted to.
"""

from __future__ import annotations

__all__ = ["Decoders", "decoding_images", "fit", "read"]

from dataclasses import replace
from typing import NamedTuple

import numpy as np
import torch

from ..readout import ClassReadout, fit_decoder
from ..seeds import numpy_generator
from .design import LOCATIONS
from .library import Trained
from .material import Images
from .network import run
from .stimuli import StimulusSet
from .task import FEATURES, Task


class Decoders(NamedTuple):
    """Decoders of images that were shown 0, 1, ... steps ago."""

    readouts: dict[str, list[ClassReadout]]
    """feature -> one for each age"""
    scores: dict[str, np.ndarray]
    """feature -> balanced accuracy on images that were not fitted, (age,)"""


def decoding_images(stimuli: StimulusSet) -> tuple[StimulusSet, np.ndarray]:
    """Five images of each object from the analysis set, and on which of them decoders are scored, (image,).

    Fitted are four, one at each location, each from another view; scored is one at one of the locations, from
    yet another view. They are few, so that their features are there in seconds.
    """
    part = stimuli.part("analysis")
    objects, locations, views = (part.labels(name) for name in ("identity", "location", "view"))
    there, views = np.unique(views, return_inverse=True)
    turned = (views - len(there) // len(LOCATIONS) * locations - objects) % len(there)
    apart = (turned == 1) & (locations == objects % len(LOCATIONS))
    table = part.table.assign(apart=apart)[(turned == 0) | apart]
    table = table.drop_duplicates(["category", "identity", "view", "location"]).reset_index(drop=True)
    return replace(stimuli, table=table.drop(columns="apart")), table["apart"].to_numpy()


def fit(
    trained: Trained, images: Images, apart: np.ndarray, task: Task, *, trials: int = 1024, length: int = 6
) -> Decoders:
    """Fit decoders to states h of trials of `images`; linear discriminants with shrunk covariance.

    apart: images that are not fitted, but scored, (image,) bool, as `decoding_images` gives them.
    trials: that are fitted; a third as many are scored. length: images of a trial. The images of a trial are
    independent, which they are not in the task: else the last one would tell about those before.
    """
    generator = numpy_generator("0", "contents", task.name)
    states, shown = [], []
    for rows, count in ((np.flatnonzero(~apart), trials), (np.flatnonzero(apart), -(-trials // 3))):
        shown.append(generator.choice(rows, (count, length)))
        states.append(_states(trained, images.features, shown[-1], task))
    readouts: dict[str, list[ClassReadout]] = {}
    scores: dict[str, np.ndarray] = {}
    for feature in FEATURES:
        classes = [images.labels[feature][rows] for rows in shown]
        readouts[feature] = [
            fit_decoder(*_of_age(states[0], classes[0], age), kind="lda") for age in range(length)
        ]
        own = (each.score(*_of_age(states[1], classes[1], age)) for age, each in enumerate(readouts[feature]))
        scores[feature] = np.fromiter(own, float, length)
    return Decoders(readouts, scores)


def read(decoders: Decoders, states: np.ndarray, feature: str) -> np.ndarray:
    """Probability of each class of each image in the state at each step, (image, time, class).

    states: (time, unit) of one trial, which is not longer than those that were fitted. Classes are 0, 1, ...
    up to the largest that was fitted; NaN before an image is shown. Scores go through a softmax, which for
    these decoders is their posterior.
    """
    readouts, length = decoders.readouts[feature], len(states)
    if length > len(readouts):
        raise ValueError(f"decoders are of trials of {len(readouts)} images, this one has {length}")
    found = np.full((length, length, 1 + max(each.classes.max() for each in readouts)), np.nan)
    for image in range(length):
        for time in range(image, length):
            own = readouts[time - image]
            found[image, time] = 0
            found[image, time, own.classes] = _softmax(own.scores(states[time][None])[0])
    return found


def _states(trained: Trained, features: np.ndarray, rows: np.ndarray, task: Task) -> np.ndarray:
    """(trial, time, unit), rows (trial, time) of features."""
    weight = trained.weights["reduce.weight"]
    given = torch.as_tensor(features).to(weight)
    shown = torch.as_tensor(rows, device=weight.device)[None]
    tasks = torch.full(shown.shape[:2], task.place, device=weight.device)
    with torch.no_grad():
        return run(trained.config, trained.weights, given, shown, tasks).states[0].cpu().numpy()


def _of_age(states: np.ndarray, classes: np.ndarray, age: int) -> tuple[np.ndarray, np.ndarray]:
    """States (state, unit) and the classes of what was shown `age` steps before, (state,)."""
    length = states.shape[1]
    return states[:, age:].reshape(-1, states.shape[2]), classes[:, : length - age].reshape(-1)


def _softmax(scores: np.ndarray) -> np.ndarray:
    raised = np.exp(scores - scores.max())
    return raised / raised.sum()
