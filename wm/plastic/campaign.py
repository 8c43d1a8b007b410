"""Train plastic networks and save them with their scores."""

from __future__ import annotations

__all__ = ["Campaign", "train", "train_ensemble"]

import time
from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path

import numpy as np
import torch

from ..campaign import (
    Together,
    admitted,
    network_name,
    settings_of,
    training_command,
)
from ..train import environment, run
from .evaluate import evaluated
from .families import PlasticConfig, make_task
from .families import config as family_config
from .learner import PlasticLearner
from .library import Trained, to_network
from .tasks import Task


@dataclass(frozen=True, eq=False)
class Campaign(Together):
    """Plastic networks trained together (`Trained`), and how they learned."""

    curves: dict[str, np.ndarray] = field(default_factory=dict)
    """step (bin,), the last of each bin; metrics of training, means over the updates of it, (network, bin)"""
    early: dict[int, list[dict[str, float]]] = field(default_factory=dict)
    """updates -> scores of the networks then"""
    by_time: list[dict[str, np.ndarray]] = field(default_factory=list)
    """of each network, name -> (time,), see `wm.plastic.Evaluation`"""


def train(
    family: str | PlasticConfig,
    networks: int = 6,
    *,
    seeds: Sequence[str] | None = None,
    device: str = "cpu",
    checkpoint: Path | None = None,
    save: bool = True,
    overwrite: bool = False,
) -> Campaign:
    """Train an ensemble of plastic networks, score it, and save each network as `<family>-<seed>`.

    family: name, or a configuration (`plastic.config("copying_hebbian", delay=40)`). seeds: by default "0",
    "1", ... checkpoint: folder from which an interrupted run goes on. overwrite: replace saved networks of
    these names even if their settings differ. Scores are those of the weights as saved, in float16. Raises
    ValueError for unknown families, no or repeated seeds, or networks that would be replaced, and what
    `wm.train.run` raises.
    """
    config = family if isinstance(family, PlasticConfig) else family_config(family)
    seeds = range(networks) if seeds is None else seeds
    seeds = admitted("plastic", config, seeds, device=device, keep=save and not overwrite)
    done = train_ensemble([config] * len(seeds), seeds, device=device, checkpoint=checkpoint)
    if save:
        done.save(to_network)
    return done


def train_ensemble(
    configs: Sequence[PlasticConfig],
    seeds: Sequence[str],
    *,
    device: str = "cpu",
    checkpoint: Path | None = None,
    score_at: Sequence[int] = (),
    bins: int = 50,
) -> Campaign:
    """Train networks of several settings together, a seed each, and score them; nothing is saved.

    The settings may differ as `wm.plastic.PlasticLearner` allows. A network that diverged has no scores.
    score_at: updates after which they are scored, too. bins: of the curves. A run that goes on from a
    checkpoint lacks the early scores and bins from before it.
    """
    learner, history, start = PlasticLearner(configs, seeds, device=device), {}, time.perf_counter()
    identity = {"seeds": ",".join(learner.seeds), "device": device}
    identity |= {str(k): settings_of(config) for k, config in enumerate(configs)}
    total, early, curves = learner.config.updates, {}, _Curves(learner.config.updates, bins)
    for step, values in run(
        learner, total, checkpoint=checkpoint, config=identity, history=history,
        description=learner.config.family,
    ):  # fmt: skip
        curves.add(step, values)
        if step in score_at and step < total:
            early[step] = [scores for scores, _ in _evaluations(learner, _rounded(learner))]
    effort = environment(device) | {
        "seconds": round(time.perf_counter() - start, 1),
        "networks_at_once": len(seeds),
        "updates": learner.step,
    }
    weights = _rounded(learner)
    evaluations = _evaluations(learner, weights)
    networks = _finished(learner, weights, [scores for scores, _ in evaluations], effort)
    return Campaign(networks, history, curves.arrays(), early, [by_time for _, by_time in evaluations])


class _Curves:
    """Means of all metrics over the updates of each bin."""

    def __init__(self, updates: int, bins: int) -> None:
        self.ends = {round((k + 1) * updates / min(bins, updates)) for k in range(min(bins, updates))}
        self.steps: list[int] = []
        self.means: list[dict[str, np.ndarray]] = []
        self.current: list[dict[str, np.ndarray]] = []

    def add(self, step: int, values: dict[str, np.ndarray]) -> None:
        self.current.append(values)
        if step in self.ends:
            parts = {name: [each[name] for each in self.current] for name in values}
            self.means.append({name: np.mean(part, axis=0) for name, part in parts.items()})
            self.steps.append(step)
            self.current = []

    def arrays(self) -> dict[str, np.ndarray]:
        names = self.means[0] if self.means else ()
        found = {name: np.stack([each[name] for each in self.means], axis=1) for name in names}
        return {"step": np.array(self.steps), **found}


@torch.no_grad()
def _rounded(learner: PlasticLearner) -> dict[str, torch.Tensor]:
    """Weights as they are saved, in float16."""
    return {name: value.detach().half().float() for name, value in learner.weights().items()}


def _finished(
    learner: PlasticLearner, whole: dict[str, torch.Tensor], scores: list[dict], effort: dict
) -> list[Trained]:
    """The networks of a learner with their records."""
    found = []
    for k, (config, seed) in enumerate(zip(learner.configs, learner.seeds, strict=True)):
        weights = {name: value[k : k + 1].cpu() for name, value in whole.items()}
        if "positions" in weights:  # those beyond its own task are of longer ones in the ensemble
            weights["positions"] = weights["positions"][:, : make_task(config).length]
        record = {"config": settings_of(config), "seed": seed, "scores": scores[k], "training": dict(effort)}
        record["command"] = training_command("plastic", config, family_config(config.family), seed)
        record["diverged"] = not bool(learner.alive[k])
        found.append(Trained(network_name(config, seed), seed, config, weights, record))
    return found


def _evaluations(learner: PlasticLearner, weights: dict[str, torch.Tensor]) -> list[tuple[dict, dict]]:
    """Scores and means by time of every network, empty for those that diverged."""
    found: list[tuple[dict, dict]] = [({}, {}) for _ in learner.seeds]
    groups: dict[Task, list[int]] = {}
    for k, config in enumerate(learner.configs):
        if bool(learner.alive[k]):
            groups.setdefault(make_task(config), []).append(k)
    for members in groups.values():
        own = {name: value[members] for name, value in weights.items()}
        scores, by_time = evaluated(own, [learner.configs[k] for k in members])
        for place, k in enumerate(members):
            rounded = {name: float(f"{row[place]:.6g}") for name, row in scores.items()}
            found[k] = rounded, {name: rows[place] for name, rows in by_time.items()}
    return found
