"""Scores of N-back networks on trials that they were not trained on."""

from __future__ import annotations

__all__ = ["TEST_TRIALS", "Evaluation", "Exam", "balanced", "evaluated"]

from collections.abc import Mapping, Sequence
from typing import Any, NamedTuple

import numpy as np
import torch
import torch.nn.functional as F
from torch import Tensor

from ..seeds import numpy_generator
from .batches import make_sampler
from .families import NBackConfig, diet
from .material import Images
from .network import respond
from .senses import Weights, embed
from .task import RESPONSES, TASKS, Task

TEST_TRIALS = 512
"""trials of each task in a test"""


class Exam:
    """Trials of some images that are the same for all networks, and whenever they are asked for.

    stream: names the draws; images: with features as tensors or arrays. trials: how many.
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
        """How often each right answer (rows) was answered how (columns), (network, time, 3, 3) int64.

        tasks: (network, trial), places in `TASKS`; embedding: `embed(weights, features)`, if known.
        """
        embedding = embed(weights, self.features) if embedding is None else embedding
        trials = self.sampler.trials(self.uniforms.expand(len(tasks), -1, -1), tasks)
        answers = respond(self.config, weights, embedding, trials.images, tasks=tasks).answers
        pairs = F.one_hot(trials.targets * len(RESPONSES) + answers, len(RESPONSES) ** 2)
        return pairs.sum(dim=1).unflatten(-1, (len(RESPONSES), len(RESPONSES)))


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
        means = np.nanmean(self.balanced[k], axis=1).round(6).tolist()
        return dict(zip(self.splits, means, strict=True))

    def record(self, k: int) -> dict[str, Any]:
        """What network k answered, as JSON: splits, tasks, and for each split and task of its diet the
        confusion, right answers by answers (3, 3), and the share right at each step."""
        own = [task.place for task in TASKS if self.confusion[k, 0, task.place].any()]
        right = np.round(self.by_step[k][:, own], 4)
        return {
            "splits": [*self.splits], "tasks": [TASKS[place].name for place in own],
            "confusion": self.confusion[k][:, own].tolist(), "by_step": right.tolist(),
        }  # fmt: skip


def _share_right(counts: np.ndarray) -> np.ndarray:
    asked = counts.sum(axis=(-2, -1))
    right = np.trace(counts, axis1=-2, axis2=-1)
    return np.divide(right, asked, out=np.full(asked.shape, np.nan), where=asked > 0)


@torch.no_grad()
def evaluated(
    configs: Sequence[NBackConfig], weights: Weights, sets: Mapping[str, Images], *,
    trials: int = TEST_TRIALS,
) -> Evaluation:  # fmt: skip
    """Test networks on each task of their diet, with the same trials for all.

    configs: one for each network, of one kind; weights (network, ...); sets: images by name.
    """
    first = weights["reduce.weight"]
    diets = [diet(config) for config in configs]
    shape = len(configs), len(sets), len(TASKS), configs[0].length, len(RESPONSES), len(RESPONSES)
    counts = np.zeros(shape, dtype=np.int64)
    asked = [task for task in TASKS if any(task in own for own in diets)]
    for place, (name, images) in enumerate(sets.items()):
        exam = Exam(configs[0], images, asked, stream=f"test {name}", trials=trials, device=first.device)
        embedding = embed(weights, exam.features)
        for task in asked:
            members = [k for k, own in enumerate(diets) if task in own]
            own = {key: value[members] for key, value in weights.items()}
            tasks = torch.full((len(members), trials), task.place, device=first.device)
            counts[members, place, task.place] = exam.counts(own, tasks, embedding[members]).cpu().numpy()
    return Evaluation(tuple(sets), counts)
