"""Train N-back networks and save them with their scores."""

from __future__ import annotations

__all__ = ["Campaign", "train", "train_ensemble"]

import logging
import time
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch

from .. import store
from ..campaign import (
    Together,
    check_seeds,
    network_name,
    own_history,
    refuse_to_replace,
    settings_of,
    training_command,
)
from ..device import check_found
from ..train import environment, run
from .evaluate import TEST_TRIALS, Evaluation, evaluated
from .families import NBackConfig
from .families import config as family_config
from .learner import NBackLearner
from .library import Trained, to_network
from .material import Material
from .material import material as material_of

_log = logging.getLogger(__name__)


@dataclass(frozen=True, eq=False)
class Campaign(Together):
    """N-back networks trained together (`Trained`), how they learned, and what they answer in the test."""

    evaluation: Evaluation
    """of all of them, those that diverged too"""


def train(
    family: str | NBackConfig,
    networks: int = 1,
    *,
    seeds: Sequence[str] | None = None,
    device: str = "cpu",
    checkpoint: Path | None = None,
    save: bool = True,
    overwrite: bool = False,
    material: Material | None = None,
    tf32: bool = False,
) -> Campaign:
    """Train an ensemble of N-back networks, test it, and save each network as `<family>-<seed>`.

    family: name, or a configuration (`nback.config("gru", updates=500)`). seeds: by default "0", "1", ...
    checkpoint: folder from which an interrupted run goes on. overwrite: replace saved networks of these names
    even if their settings differ. material: by default that of the shipped objects. tf32: see `NBackLearner`.
    Scores are those of the weights as saved, in float16. Raises ValueError for unknown families, no or
    repeated seeds, or networks that would be replaced, what `wm.nback.material` and `wm.train.run` raise.
    """
    config = family if isinstance(family, NBackConfig) else family_config(family)
    seeds = check_seeds(config, range(networks) if seeds is None else seeds)
    check_found(device)
    if save and not overwrite:
        refuse_to_replace("nback", config, [network_name(config, seed) for seed in seeds])
    own = material_of(config, device=device) if material is None else material
    options = {"device": device, "checkpoint": checkpoint, "tf32": tf32}
    done = train_ensemble([config] * len(seeds), seeds, own, **options)
    if save:
        for k, trained in enumerate(done.networks):
            store.save_network(to_network(trained, own_history(done.history, k)))
            _log.info("saved nback/%s", trained.name)
    return done


def train_ensemble(
    configs: Sequence[NBackConfig],
    seeds: Sequence[str],
    material: Material,
    *,
    device: str = "cpu",
    checkpoint: Path | None = None,
    tf32: bool = False,
    trials: int = TEST_TRIALS,
) -> Campaign:
    """Train networks of several settings together, a seed each, and test them; nothing is saved.

    The settings may differ as `wm.nback.NBackLearner` allows. trials: of each task in the test. A network
    that diverged has no scores.
    """
    learner = NBackLearner(configs, seeds, material, device=device, tf32=tf32)
    history, start = {}, time.perf_counter()
    identity = {"seeds": ",".join(learner.seeds), "device": device, "tf32": tf32, "material": material.record}
    identity |= {str(k): settings_of(config) for k, config in enumerate(configs)}
    for _ in run(
        learner, learner.config.updates, checkpoint=checkpoint, config=identity, history=history,
        description=learner.config.family,
    ):  # fmt: skip
        pass
    effort = environment(device) | {
        "seconds": round(time.perf_counter() - start, 1), "networks_at_once": len(seeds),
        "updates": learner.step, "tf32": tf32,
    }  # fmt: skip
    whole = {name: value.detach().half().float() for name, value in learner.weights().items()}  # as saved
    evaluation = evaluated(learner.configs, whole, material.test, trials=trials)
    about = {"training": effort, "material": material.record}
    return Campaign(_finished(learner, whole, evaluation, about), history, evaluation)


def _finished(
    learner: NBackLearner, whole: dict[str, torch.Tensor], evaluation: Evaluation, about: dict[str, Any]
) -> list[Trained]:
    """The networks of a learner with their records."""
    found = []
    for k, (config, seed) in enumerate(zip(learner.configs, learner.seeds, strict=True)):
        diverged = not bool(learner.alive[k])
        scores, test = ({}, {}) if diverged else (evaluation.scores(k), evaluation.record(k))
        record = {"config": settings_of(config), "seed": seed, "scores": scores, "test": test, **about}
        record["command"] = training_command("nback", config, family_config(config.family), seed)
        record["diverged"] = diverged
        weights = {name: value[k : k + 1].cpu() for name, value in whole.items()}
        found.append(Trained(network_name(config, seed), seed, config, weights, record))
    return found
