"""Rows of `benchmarks.nback` about training: from cached features, against images through the network.

`training`: trials per second of a GRU that learns all nine tasks. The reference works as published: every
image of every trial goes through the frozen network (batch-norm in evaluation mode), the 1 x 1 convolution at
every place of its last map, then the pool. `to_bars`: seconds until a GRU has .95 of the trained images of
validation right and .90 of the novel angles (balanced accuracy in executive steps), against a limit of 10
minutes. `campaign`, on a GPU: seconds for three architectures, each on its thirteen diets with three seeds,
training, validation and test, against a limit of 15 minutes.
"""

from __future__ import annotations

__all__ = ["Plain", "campaign_row", "to_bars_row", "training_row"]

import time
from collections.abc import Iterator
from typing import Any

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from benchmarks import report
from benchmarks.report import medians
from wm.backbone import Backbone, backbone
from wm.nback import (
    FAMILIES,
    FEATURES,
    TASKS,
    Images,
    Material,
    NBackConfig,
    NBackLearner,
    config,
    material,
    task_vectors,
    train_ensemble,
)  # fmt: skip
from wm.nback import run as run_networks
from wm.nback.catalogue import ARCHITECTURES, BACKBONES
from wm.nback.features import features
from wm.nback.senses import reduced
from wm.nback.stimuli import StimulusSet, render_stimulus_set, stimulus_set
from wm.train import run

PLAIN_BATCH = {"cpu": 8, "cuda": 32}
"""trials of an update of the reference; both are published"""
FLOORS = {"cpu": 50.0, "cuda": 20.0}
TOLERANCE = 1e-2
"""of the reference's answers; features have 10 bits, on a GPU products, too"""
BARS = {"val_trained_acc": 0.95, "val_novel_angle_acc": 0.90}
BARS_LIMIT_S, CAMPAIGN_LIMIT_S = 600.0, 900.0
SEEDS = ("0", "1", "2")


class Plain(nn.Module):
    """One GRU network trained from images, with the weights that `ours` starts from."""

    def __init__(self, ours: NBackLearner, images: Tensor, network: Backbone) -> None:
        super().__init__()
        self.config, self.images, self.network, units = ours.config, images, network, ours.config.units
        left = reduced(self.config)
        self.reduce = nn.Conv2d(BACKBONES[self.config.backbone], left, 1)
        self.join = nn.Linear(4 * left + self.config.task_vector, units)
        self.norm, self.recurrent = nn.LayerNorm(units), nn.GRU(units, units, batch_first=True)
        self.answer = nn.Linear(units, 3)
        given = {name: value[0].detach().cpu().clone() for name, value in ours.weights().items()}
        given["reduce.weight"] = given["reduce.weight"][..., None, None]
        for part in ("weight", "bias"):
            given[f"recurrent.{part}_ih_l0"] = given.pop(f"recurrent.0.input.{part}")
            given[f"recurrent.{part}_hh_l0"] = given.pop(f"recurrent.0.hidden.{part}")
        self.load_state_dict(given)
        self.to(ours.device)
        self.optimizer = torch.optim.AdamW(self.parameters(), lr=self.config.learning_rate)

    def forward(self, images: Tensor, tasks: Tensor) -> Tensor:
        """Logits (trial, time, 3) of trials of images (trial, time), tasks (trial,)."""
        with torch.no_grad():
            prepared = self.network.prepare(self.images[images.flatten().cpu()].numpy())
            maps = self.network.network(prepared, "map")
        pooled = F.adaptive_avg_pool2d(self.reduce(maps), 2).flatten(2).mT.flatten(1)
        told = task_vectors(tasks).to(pooled)[:, None].expand(*images.shape, -1)
        x = torch.cat([pooled.unflatten(0, images.shape), told], dim=2)
        return self.answer(self.recurrent(F.relu(self.norm(self.join(x))))[0])

    def update(self, images: Tensor, targets: Tensor, tasks: Tensor) -> None:
        """One gradient, one step."""
        cost = F.cross_entropy(self(images, tasks).flatten(0, 1), targets.flatten(), reduction="none")
        counted = torch.where(targets.flatten() > 0, 1.0, self.config.no_action_weight)
        self.optimizer.zero_grad()
        ((cost * counted).sum() / counted.sum()).backward()
        nn.utils.clip_grad_norm_(self.parameters(), self.config.clip_norm)
        self.optimizer.step()


def training_row(
    device: str = "cpu", *, stimuli: StimulusSet | None = None, rounds: int = 3, batch: int = 256
) -> dict:
    """A row about updates of one network; stimuli: trained images, by default those of preset rich."""
    stimuli = stimulus_set("rich").part("train") if stimuli is None else stimuli
    own = Images(features(stimuli, device=device), {name: stimuli.labels(name) for name in FEATURES})
    ours = NBackLearner(config("gru", batch=batch), ["0"], Material(own, {}, {}), device=device)
    pictures = torch.from_numpy(render_stimulus_set(stimuli))
    reference, few = Plain(ours, pictures, backbone(device=device)), PLAIN_BATCH[device]
    trials = [part[0, :few] for part in ours.batches.at(0)]
    wrong = _wrong(ours, reference, own, trials)
    works = {"ours": ours.update, "reference": lambda: reference.update(*trials)}
    many = {"ours": batch, "reference": few}
    speeds = {name: many[name] / time for name, time in medians(works, device, rounds).items()}
    unit = f"trials of training per second, {batch} and {few} an update"
    return report.row("training", speeds, FLOORS[device], unit, rates=True, device=device, wrong=wrong)


@torch.no_grad()
def _wrong(ours: NBackLearner, reference: Plain, own: Images, trials: list[Tensor]) -> str:
    """What is wrong if both answer the same trials differently, in words."""
    images, _, tasks = trials
    weights = {name: value.detach() for name, value in ours.weights().items()}
    given = torch.as_tensor(own.features, device=ours.device).float()
    found = run_networks(ours.config, weights, given, images[None], tasks[None]).logits[0]
    expected = reference(images, tasks)
    off = float((found - expected).norm() / expected.norm())
    return "" if off < TOLERANCE else f"WRONG BY {off:.1e}"


def to_bars_row(
    device: str = "cpu", *, settings: NBackConfig | None = None, own: Material | None = None
) -> dict:
    """A row about the time to the bars, from features that are there; by default of `gru_mtmf`, seed 0."""
    settings = config("gru") if settings is None else settings
    own = material(settings, device=device) if own is None else own
    start, reached = time.perf_counter(), None
    learner = NBackLearner(settings, ["0"], own, device=device)
    for step, values in run(learner, settings.updates, description="to the bars"):
        if all(values[name][0] > bar for name, bar in BARS.items()):
            reached = step
            break
    taken = time.perf_counter() - start
    unit = f"s to the bars, {learner.step} updates; limit / ours"
    return _limited("to_bars", taken, BARS_LIMIT_S, unit, device, "" if reached else "BARS NOT REACHED")


def campaign_row(
    device: str = "cuda", *, own: Material | None = None, seeds: tuple[str, ...] = SEEDS, **changes: Any
) -> dict:
    """A row about all 39 models with three seeds; changes: of all settings."""
    own = material(config("gru"), device=device) if own is None else own
    start, trained = time.perf_counter(), 0
    for architecture in ARCHITECTURES:
        settings = [config(name, **changes) for name in _diets(architecture)]
        pairs = [(each, seed) for each in settings for seed in seeds]
        kinds, given = zip(*pairs, strict=True)
        done = train_ensemble(kinds, given, own, device=device, tf32=device == "cuda")
        trained += len(done.networks)
    taken = time.perf_counter() - start
    unit = f"s for {trained} networks; limit / ours"
    return _limited("campaign", taken, CAMPAIGN_LIMIT_S, unit, device)


def _diets(architecture: str) -> Iterator[str]:
    """The thirteen diets of an architecture: all tasks, those of a lag, single ones."""
    kinds = ("mtmf", "stmf", "stsf")
    found = [name for name in FAMILIES if name.startswith(tuple(f"{architecture}_{kind}" for kind in kinds))]
    assert len(found) == len(TASKS) + 4
    return iter(found)


def _limited(name: str, taken: float, limit: float, unit: str, device: str, wrong: str = "") -> dict:
    late = "" if taken <= limit else f"OVER {limit:g} s"
    found = {"ours": taken, "reference": limit}
    return report.row(name, found, 1.0, unit, device=device, wrong=wrong or late)
