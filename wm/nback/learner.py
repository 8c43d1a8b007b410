"""Train ensembles of N-back networks: one AdamW step of each per update, as one captured graph on a GPU."""

from __future__ import annotations

__all__ = ["VALIDATED", "VALIDATION_TRIALS", "NBackLearner", "same_kind"]

from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import asdict
from typing import Any

import torch
import torch.nn.functional as F
from torch import Tensor

from ..ensemble import EnsembleLearner
from ..seeds import spawn
from .batches import Batches, diet_places
from .catalogue import POOLS
from .evaluate import Exam, balanced
from .families import NBackConfig, diet
from .material import Material
from .network import initial, layout, run
from .task import Trials

MAY_DIFFER = (
    "family", "lags", "features", "learning_rate", "decay", "clip_norm", "no_action_weight",
)  # fmt: skip
"""settings in which networks of an ensemble may differ"""
VALIDATED = 100
"""updates between two validations"""
VALIDATION_TRIALS = 504
"""trials of a validation, divided among the tasks of a diet"""


def same_kind(configs: Sequence[NBackConfig]) -> NBackConfig:
    """The first configuration; ValueError where networks cannot be trained together, or there are none."""
    if not configs:
        raise ValueError("an ensemble needs at least one network")
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
        features = torch.as_tensor(material.train.features, device=device).float()
        if features.shape[1] != POOLS[kind.pool]:
            raise ValueError(
                f"pool {kind.pool} leaves {POOLS[kind.pool]} positions, but features have {features.shape[1]}"
            )
        self.layout, self._features = layout(kind, features.shape[2]), features
        first = torch.stack([initial(kind, seed, features.shape[2]) for seed in self.seeds])
        super().__init__(configs, first.to(device), capture=capture)
        self.batches = Batches(configs, self.seeds, material.train.labels, device=device)
        self._trivial = torch.tensor([each.no_action_weight for each in configs], device=device)
        self._trials: Trials | None = None
        self._drawn = self._room_for_dropout()
        tasks = sorted({task for each in configs for task in diet(each)}, key=lambda task: task.place)
        self._exams = {
            name: Exam(kind, images, tasks, stream="validation", trials=VALIDATION_TRIALS, device=device)
            for name, images in material.validation.items()
        }
        self._asked = torch.as_tensor(diet_places(configs, range(VALIDATION_TRIALS)), device=device)
        self._validation = self._validated()

    def weights(self) -> dict[str, Tensor]:
        """Named parameters (network, ...)."""
        return self.layout.views(self.flat)

    def update(self) -> dict[str, Tensor]:
        """One step; returns metrics of the batch before it, each (network,).

        loss (nats); accuracy, the share right in executive steps; gradient_norm before the clip; diverged;
        and val_<split>_acc, balanced accuracy in executive steps of validation, from the last time that it
        was measured: at the start, every `VALIDATED` updates, at the end.
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
        features, (images, targets, tasks) = self._features, self._trials
        if not self.captured:  # the images that are shown are enough; a graph cannot know how many
            shown, images = images.unique(return_inverse=True)
            features = features[shown]
        trace = run(self.config, self.weights(), features, images, tasks, masks=self._masks())
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

    @torch.no_grad()
    def _validated(self) -> dict[str, Tensor]:
        weights = {name: value.detach() for name, value in self.weights().items()}
        found = {}
        for name, exam in self._exams.items():
            counts = exam.counts(weights, self._asked).sum(dim=1)
            found[f"val_{name}_acc"] = balanced(counts).to(self.flat.dtype)
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
