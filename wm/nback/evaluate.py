"""Scores of N-back networks on trials that they were not trained on."""

from __future__ import annotations

__all__ = ["TEST_TRIALS", "Evaluation", "Exam", "balanced", "counted", "evaluated", "examined"]

import logging
import math
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import replace
from typing import Any, NamedTuple

import numpy as np
import torch
from torch import Tensor

from ..seeds import numpy_generator
from .batches import make_sampler
from .families import NBackConfig, diet
from .lures import LURES, pictured
from .material import Images
from .network import respond
from .senses import Weights, embed
from .task import LAGS, RESPONSES, TASKS, Task, Trials

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
        self.pictures = None
        if "view" in images.labels:
            self.pictures = torch.as_tensor(pictured(images.labels), device=device)

    @torch.no_grad()
    def answered(
        self, weights: Weights, tasks: Tensor, embedding: Tensor | None = None
    ) -> tuple[Trials, Tensor]:
        """The trials of these tasks (network, trial), places in `TASKS`, and answers (network, trial, time).

        embedding: `embed(weights, features)`, if known.
        """
        embedding = embed(weights, self.features) if embedding is None else embedding
        trials = self.sampler.trials(self.uniforms.expand(len(tasks), -1, -1), tasks)
        return trials, respond(self.config, weights, embedding, trials.images, tasks=tasks).answers

    def counts(self, *asked) -> Tensor:
        """How often each right answer (rows) was answered how (columns), (network, task, time, 3, 3) int64.

        asked: as `answered`.
        """
        return counted(*self.answered(*asked))

    def other_views(self, trials: Trials, answers: Tensor) -> Tensor:
        """Matches that do not show the same object from the same view, and how many of them are right.

        (network, task, 2) int64; 0 where views are not known.
        """
        shape = (len(TASKS),)
        if self.pictures is None:
            return torch.zeros(len(answers), *shape, 2, dtype=torch.int64, device=answers.device)
        seen = self.pictures[trials.images]
        steps, lag = torch.arange(seen.shape[-1], device=seen.device), trials.tasks % len(LAGS) + 1
        before = seen.gather(-1, (steps - lag[..., None]).clamp(min=0))
        asked = (trials.targets == RESPONSES.index("match")) & (seen != before)
        tasks = trials.tasks[..., None].expand_as(seen)
        right = asked & (answers == trials.targets)
        return torch.stack([_tallied(tasks, shape, each.long()) for each in (asked, right)], dim=-1)


def counted(trials: Trials, answers: Tensor) -> Tensor:
    """Right answers (rows) by answers (columns) of such trials, (network, task, time, 3, 3) int64."""
    shape = len(TASKS), answers.shape[-1], len(RESPONSES), len(RESPONSES)
    steps = torch.arange(shape[1], device=answers.device)
    cells = ((trials.tasks[..., None] * shape[1] + steps) * shape[2] + trials.targets) * shape[3] + answers
    return _tallied(cells, shape, torch.ones_like(cells))


def _tallied(cells: Tensor, shape: tuple[int, ...], weights: Tensor) -> Tensor:
    """Sums of weights over cells, places in `shape` flattened, both (network, ...): (network, *shape)."""
    sums = torch.zeros(len(cells), math.prod(shape), dtype=torch.int64, device=cells.device)
    return sums.scatter_add_(1, cells.flatten(1), weights.flatten(1)).unflatten(1, shape)


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
    other_views: np.ndarray
    """matches that do not show the same object from the same view, and how many of them were answered as
    matches, (network, split, task, 2); 0 where views are not known"""

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
        confusion, right answers by answers (3, 3), matches from other views (see `other_views`), and the
        share right at each step."""
        own = [task.place for task in TASKS if self.confusion[k, :, task.place].any()]
        right = np.round(self.by_step[k][:, own], 4)
        return {
            "splits": [*self.splits], "tasks": [TASKS[place].name for place in own],
            "confusion": self.confusion[k][:, own].tolist(), "by_step": right.tolist(),
            "other_views": self.other_views[k][:, own].tolist(),
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
    found: dict[str, dict[str, tuple[np.ndarray, ...]]] = {name: {} for name in lures}
    for split, images in sets.items():
        device = weights["reduce.weight"].device
        features = torch.as_tensor(images.features, device=device).float()
        embedding = embed(weights, features)
        for name, own in found.items():
            kinds = [replace(config, lures=name) for config in configs]
            try:
                exam = _exam(kinds, images._replace(features=features), split, trials)
            except ValueError as error:
                if name == "natural":
                    raise
                _log.warning("no test with %s lures of the images %s: %s", name, split, error)
                continue
            own[split] = _counts(exam, kinds, weights, embedding)
    shapes = (configs[0].length, *[len(RESPONSES)] * 2), (2,)
    empty = [np.zeros((len(configs), 0, len(TASKS), *shape), dtype=np.int64) for shape in shapes]
    return {
        name: Evaluation(tuple(own), *(_stacked(own.values()) if own else empty))
        for name, own in found.items()
    }


def _stacked(splits: Iterable[tuple[np.ndarray, ...]]) -> Iterator[np.ndarray]:
    return (np.stack(each, axis=1) for each in zip(*splits, strict=True))


def _exam(configs: Sequence[NBackConfig], images: Images, split: str, trials: int) -> Exam:
    """The test of these images in all tasks of any of the networks."""
    asked = {task for config in configs for task in diet(config)}
    asked = sorted(asked, key=lambda task: task.place)
    stream, device = f"test {split}", images.features.device
    return Exam(configs[0], images, asked, stream=stream, trials=trials, device=device)


def _counts(
    exam: Exam, configs: Sequence[NBackConfig], weights: Weights, embedding: Tensor
) -> tuple[np.ndarray, ...]:
    """`counted` and `Exam.other_views` of each network, task after task."""
    sums: list[Tensor | int] = [0, 0]
    for task in exam.sampler.tasks:
        members = [k for k, config in enumerate(configs) if task in diet(config)]
        own = {key: value[members] for key, value in weights.items()}
        tasks = torch.full((len(members), len(exam.uniforms)), task.place, device=exam.uniforms.device)
        answered = exam.answered(own, tasks, embedding[members])
        for k, found in enumerate((counted(*answered), exam.other_views(*answered))):
            whole = found.new_zeros(len(configs), *found.shape[1:])
            whole[members] = found
            sums[k] = sums[k] + whole
    return tuple(each.cpu().numpy() for each in sums)
