"""Train ensembles of N-back networks: one AdamW step of each per update, as one captured graph on a GPU."""

from __future__ import annotations

__all__ = ["VALIDATED", "VALIDATION_TRIALS", "NBackLearner", "same_kind"]

from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import asdict
from functools import cached_property
from typing import Any

import numpy as np
import torch
import torch.nn.functional as F
from torch import Tensor

from ..ensemble import EnsembleLearner, Layout
from ..seeds import spawn
from .batches import Batches, diet_places
from .catalogue import POOLS
from .evaluate import Exam, balanced
from .families import NBackConfig, diet
from .material import Images, Material
from .network import initial, layout, run
from .task import Trials

MAY_DIFFER = (
    "family", "lags", "features", "learning_rate", "decay", "clip_norm", "no_action_weight",
)  # fmt: skip
"""settings in which networks of an ensemble may differ"""
VALIDATED = 100
"""updates between two validations"""
VALIDATION_TRIALS = 504
"""trials of a validation, divided evenly among the tasks of a diet"""


def same_kind(configs: Sequence[NBackConfig]) -> NBackConfig:
    """The first configuration; ValueError where networks cannot be trained together, or there are none."""
    if not configs:
        raise ValueError("an ensemble needs at least one network")
    if len(configs) > 1 and not configs[0].freeze_backbone:
        raise ValueError(
            f"{len(configs)} networks at once, whose backbones are to be trained: train one after the other, "
            "a seed each time"
        )
    first = asdict(configs[0])
    for other in map(asdict, configs):
        if differing := [name for name in first if first[name] != other[name] and name not in MAY_DIFFER]:
            raise ValueError(f"networks that differ in {', '.join(differing)} cannot be trained together")
    return configs[0]


class NBackLearner(EnsembleLearner):
    """One batch, one gradient, one AdamW step of every network per `update()`.

    loss = mean over trials and steps of the cross-entropy in nats, steps without a comparison with less
    weight. config: one for all, or one for each seed; they may differ in `MAY_DIFFER`. Networks share
    nothing: seeds[k] alone decides first weights, trials and dropout of network k. capture, and what happens
    to a network that diverges: see `wm.ensemble.EnsembleLearner`. tf32: on a GPU, products with inputs
    rounded to 10 bits, which is what features have.
    """

    def __init__(
        self,
        config: NBackConfig | Sequence[NBackConfig],
        seeds: Sequence[str],
        material: Material,
        *,
        device: str = "cpu",
        capture: bool | None = None,
        tf32: bool = False,
    ) -> None:
        configs = [config] * len(seeds) if isinstance(config, NBackConfig) else list(config)
        kind, self.seeds, self.device, self.tf32 = same_kind(configs), list(seeds), device, tf32
        self.layout, first = self._begun(kind, material.train.features)
        super().__init__(configs, first.to(device), capture=capture)
        self.batches = Batches(configs, self.seeds, material.train.labels, device=device)
        self._trivial = torch.tensor([each.no_action_weight for each in configs], device=device)
        self._trials: Trials | None = None
        self._drawn = self._room_for_dropout()
        self._held = material.validation
        self._asked = torch.as_tensor(diet_places(configs, range(VALIDATION_TRIALS)), device=device)
        self._validation = self._validated()

    @property
    def record(self) -> dict[str, Any]:
        """What else made the networks, for their records."""
        return {}

    def whole(self) -> dict[str, Tensor]:
        """All that is saved of the networks, (network, ...)."""
        return {name: value.detach() for name, value in self.weights().items()}

    def weights(self) -> dict[str, Tensor]:
        """Named parameters (network, ...)."""
        return self.layout.views(self.flat)

    def update(self) -> dict[str, Tensor]:
        """One step; returns metrics of the batch before it, each (network,).

        loss (nats); accuracy, the share right in executive steps; gradient_norm before the clip; diverged;
        and val_<split>_acc, balanced accuracy in executive steps of validation, mean over the tasks of the
        diet, from the last time that it was measured: at the start, every `VALIDATED` updates, at the end.
        """
        with _tf32(self.tf32):
            found = super().update()
        if self.step % VALIDATED == 0 or self.step == self.config.updates:
            self._validation = self._validated()
        return {**found, **self._validation}

    def prepare(self, step: int) -> None:
        """Put the trials of a step, and what dropout needs, where `losses` finds them."""
        batch = self.batches.at(step)
        if self._trials is None:
            self._trials = Trials(*map(torch.empty_like, batch))
        for own, new in zip(self._trials, batch, strict=True):
            own.copy_(new)
        if self._drawn is not None:
            generator = torch.Generator(self._drawn.device)
            for k, seed in enumerate(self.seeds):
                word = spawn(seed, "dropout", step).generate_state(1, "uint64")[0] >> 1
                self._drawn[:, k].uniform_(generator=generator.manual_seed(int(word)))

    def losses(self) -> tuple[Tensor, dict[str, Tensor]]:
        """Loss and accuracy of the batch, (network,)."""
        images, targets, tasks = self._trials
        weights = self.weights()
        features, rows = self._shown(images, weights)
        trace = run(self.config, weights, features, rows, tasks, masks=self._masks())
        cost = F.cross_entropy(
            trace.logits.flatten(0, 2), targets.flatten(), reduction="none",
            label_smoothing=self.config.label_smoothing,
        ).view(targets.shape)  # fmt: skip
        executive = targets > 0
        counted = torch.where(executive, 1, self._trivial[:, None, None])
        loss = (cost * counted).sum(dim=(1, 2)) / counted.sum(dim=(1, 2))
        right = (trace.answers == targets) & executive
        return loss, {"accuracy": right.sum(dim=(1, 2)) / executive.sum(dim=(1, 2))}

    def state_dict(self) -> dict[str, Any]:
        """Everything that the next update depends on, and the last validation."""
        return super().state_dict() | {"validation": {k: v.clone() for k, v in self._validation.items()}}

    def load_state_dict(self, state: dict[str, Any]) -> None:
        """Go on from such a state."""
        super().load_state_dict(state)
        for name, value in state["validation"].items():
            self._validation[name] = value.clone().to(self.flat.device)

    def _begun(self, kind: NBackConfig, given: np.ndarray) -> tuple[Layout, Tensor]:
        """Parameters and their first values (network, parameter), for such features of images."""
        if not kind.freeze_backbone:
            raise ValueError("a network whose backbone is to be trained needs wm.nback.finetune.FineTuner")
        if given.ndim != 3:
            raise ValueError(f"networks learn from features, not from images: got {given.shape}")
        self._features = torch.as_tensor(given, device=self.device).float()
        positions, channels = given.shape[1:]
        if positions != POOLS[kind.pool]:
            raise ValueError(
                f"pool {kind.pool} leaves {POOLS[kind.pool]} positions, but features have {positions}"
            )
        first = torch.stack([initial(kind, seed, channels) for seed in self.seeds])
        return layout(kind, channels), first

    def _shown(self, images: Tensor, weights: dict[str, Tensor]) -> tuple[Tensor, Tensor]:
        """Features of images (network, trial, time), and the rows of them that these are."""
        if self.captured:  # a graph cannot know how many are shown
            return self._features, images
        shown, rows = images.unique(return_inverse=True)
        return self._features[shown], rows

    @cached_property
    def _exams(self) -> dict[str, Exam]:
        """Validation, by the name of the images."""
        return {name: self._exam(images) for name, images in self._held.items()}

    def _exam(self, images: Images) -> Exam:
        tasks = sorted({task for each in self.configs for task in diet(each)}, key=lambda task: task.place)
        options = {"trials": VALIDATION_TRIALS, "device": self.device}
        return Exam(self.config, images, tasks, stream="validation", **options)

    @torch.no_grad()
    def _validated(self) -> dict[str, Tensor]:
        weights, found = self.whole(), {}
        for name, exam in self._exams.items():
            by_task = balanced(exam.counts(weights, self._asked).sum(dim=2))
            found[f"val_{name}_acc"] = by_task.nanmean(dim=1).to(self.flat.dtype)
        return found

    def _room_for_dropout(self) -> Tensor | None:
        kind = self.config
        if not kind.dropout:
            return None
        return self.flat.new_empty(
            kind.layers - 1, len(self.seeds), kind.batch, kind.length, kind.units
        ).detach()

    def _masks(self) -> Tensor | None:
        """0 or 1 / (1 - share) for each unit between two recurrent layers."""
        if self._drawn is None:
            return None
        kept = 1 - self.config.dropout
        return (self._drawn < kept).to(self._drawn.dtype) / kept


@contextmanager
def _tf32(wanted: bool) -> Iterator[None]:
    """Let a GPU round inputs of products to 10 bits."""
    before = torch.get_float32_matmul_precision()
    torch.set_float32_matmul_precision("high" if wanted else before)
    try:
        yield
    finally:
        torch.set_float32_matmul_precision(before)
