"""Scores of N-back networks on trials that they were not trained on."""

from __future__ import annotations

__all__ = ["TEST_TRIALS", "Evaluation", "Exam", "balanced", "evaluated", "examined"]

import logging
import math
from collections.abc import Mapping, Sequence
from dataclasses import replace
from typing import Any, NamedTuple

import numpy as np
import torch
from torch import Tensor

from ..seeds import numpy_generator
from .batches import make_sampler
from .families import NBackConfig, diet
from .lures import LURES
from .material import Images
from .network import respond
from .senses import Weights, embed
from .task import RESPONSES, TASKS, Task

_log = logging.getLogger(__name__)

TEST_TRIALS = 512
"""trials of each task in a test"""


class Exam:
    """Trials of some images that are the same for all networks, and whenever they are asked for.

    stream: names the draws; images: with features as tensors or arrays. trials: how many. Their settings,
    lures too, are those of the configuration.
    """

    def __init__(
        self, config: NBackConfig, images: Images, tasks: Sequence[Task], *,
        stream: str, trials: int = TEST_TRIALS, device: str | torch.device = "cpu",
    ) -> None:  # fmt: skip
        self.config, self.features = config, torch.as_tensor(images.features, device=device).float()
        self.sampler = make_sampler(config, images.labels, tasks, device)
        drawn = numpy_generator(stream, "nback").random((trials, self.sampler.numbers), dtype=np.float32)
        self.uniforms = torch.as_tensor(drawn, device=device)

    @torch.no_grad()
    def counts(self, weights: Weights, tasks: Tensor, embedding: Tensor | None = None) -> Tensor:
        """How often each right answer (rows) was answered how (columns), (network, task, time, 3, 3) int64.

        tasks: (network, trial), places in `TASKS`; embedding: `embed(weights, features)`, if known.
        """
        embedding = embed(weights, self.features) if embedding is None else embedding
        trials = self.sampler.trials(self.uniforms.expand(len(tasks), -1, -1), tasks)
        answers = respond(self.config, weights, embedding, trials.images, tasks=tasks).answers
        shape = len(TASKS), self.config.length, len(RESPONSES), len(RESPONSES)
        steps = torch.arange(shape[1], device=tasks.device)
        cells = ((tasks[..., None] * shape[1] + steps) * shape[2] + trials.targets) * shape[3] + answers
        counts = torch.zeros(len(tasks), math.prod(shape), dtype=torch.int64, device=tasks.device)
        return counts.scatter_add_(1, cells.flatten(1), torch.ones_like(cells).flatten(1)).unflatten(1, shape)


def balanced(counts: Tensor | np.ndarray) -> Tensor:
    """Balanced accuracy in executive steps: mean share right of matches and of non-matches, (...).

    counts (..., 3, 3): right answer, answer. NaN where there is no executive step.
    """
    executive = torch.as_tensor(counts)[..., 1:, :].double()
    asked, right = executive.sum(dim=-1), executive[..., 1:].diagonal(dim1=-2, dim2=-1)
    return torch.where(asked > 0, right / asked, torch.nan).nanmean(dim=-1)


class Evaluation(NamedTuple):
    """What networks answer in a test."""

    splits: tuple[str, ...]
    """names of the sets of images"""
    counts: np.ndarray
    """right answers (rows) by answers, (network, split, task, time, 3, 3); 0 of tasks outside the diet"""

    @property
    def confusion(self) -> np.ndarray:
        """The same over all steps, (network, split, task, 3, 3)."""
        return self.counts.sum(axis=3)

    @property
    def balanced(self) -> np.ndarray:
        """Balanced accuracy in executive steps, (network, split, task); NaN of tasks outside the diet."""
        return balanced(self.confusion).numpy()

    @property
    def accuracy(self) -> np.ndarray:
        """Share of all steps that are right, trivial ones included, (network, split, task)."""
        return _share_right(self.confusion)

    @property
    def by_step(self) -> np.ndarray:
        """Share right at each step, (network, split, task, time)."""
        return _share_right(self.counts)

    def scores(self, k: int) -> dict[str, float]:
        """Balanced accuracy of network k by split, means over its tasks."""
        means = np.nanmean(self.balanced[k], axis=1).round(6).tolist() if self.splits else []
        return dict(zip(self.splits, means, strict=True))

    def record(self, k: int) -> dict[str, Any]:
        """What network k answered, as JSON: splits, tasks, and for each split and task of its diet the
        confusion, right answers by answers (3, 3), and the share right at each step."""
        own = [task.place for task in TASKS if self.confusion[k, :, task.place].any()]
        right = np.round(self.by_step[k][:, own], 4)
        return {
            "splits": [*self.splits], "tasks": [TASKS[place].name for place in own],
            "confusion": self.confusion[k][:, own].tolist(), "by_step": right.tolist(),
        }  # fmt: skip


def _share_right(counts: np.ndarray) -> np.ndarray:
    asked = counts.sum(axis=(-2, -1))
    right = np.trace(counts, axis1=-2, axis2=-1)
    return np.divide(right, asked, out=np.full(asked.shape, np.nan), where=asked > 0)


def evaluated(
    configs: Sequence[NBackConfig], weights: Weights, sets: Mapping[str, Images], *,
    trials: int = TEST_TRIALS, lures: str = "natural",
) -> Evaluation:  # fmt: skip
    """Test networks on each task of their diet, with the same trials for all.

    configs: one for each network, of one kind; weights (network, ...); sets: images by name. lures: of the
    trials, whatever those of the training were (see `wm.nback.Sampler`).
    """
    return examined(configs, weights, sets, trials=trials, lures=(lures,))[lures]


@torch.no_grad()
def examined(
    configs: Sequence[NBackConfig], weights: Weights, sets: Mapping[str, Images], *,
    trials: int = TEST_TRIALS, lures: Sequence[str] = LURES,
) -> dict[str, Evaluation]:  # fmt: skip
    """The tests of `evaluated` with these lures, by lures; images are embedded once for all.

    A set that cannot have balanced lures is left out of that test, which the log tells.
    """
    found: dict[str, dict[str, np.ndarray]] = {name: {} for name in lures}
    for split, images in sets.items():
        device = weights["reduce.weight"].device
        features = torch.as_tensor(images.features, device=device).float()
        embedding = embed(weights, features)
        for name, counts in found.items():
            kinds = [replace(config, lures=name) for config in configs]
            try:
                exam = _exam(kinds, images._replace(features=features), split, trials)
            except ValueError as error:
                if name == "natural":
                    raise
                _log.warning("no test with %s lures of the images %s: %s", name, split, error)
                continue
            counts[split] = _counts(exam, kinds, weights, embedding)
    empty = np.zeros((len(configs), 0, len(TASKS), configs[0].length, *[len(RESPONSES)] * 2), dtype=np.int64)
    return {
        name: Evaluation(tuple(counts), np.stack([*counts.values()], axis=1) if counts else empty)
        for name, counts in found.items()
    }


def _exam(configs: Sequence[NBackConfig], images: Images, split: str, trials: int) -> Exam:
    """The test of these images in all tasks of any of the networks."""
    asked = {task for config in configs for task in diet(config)}
    asked = sorted(asked, key=lambda task: task.place)
    stream, device = f"test {split}", images.features.device
    return Exam(configs[0], images, asked, stream=stream, trials=trials, device=device)


def _counts(exam: Exam, configs: Sequence[NBackConfig], weights: Weights, embedding: Tensor) -> np.ndarray:
    """Right answers by answers of each network, task after task, (network, task, time, 3, 3)."""
    counts, (trials, _) = 0, exam.uniforms.shape
    for task in exam.sampler.tasks:
        members = [k for k, config in enumerate(configs) if task in diet(config)]
        own = {key: value[members] for key, value in weights.items()}
        tasks = torch.full((len(members), trials), task.place, device=exam.uniforms.device)
        found = exam.counts(own, tasks, embedding[members])
        whole = found.new_zeros(len(configs), *found.shape[1:])
        whole[members] = found
        counts = counts + whole
    return counts.cpu().numpy()
