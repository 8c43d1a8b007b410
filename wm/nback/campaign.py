"""Train N-back networks and save them with their scores."""

from __future__ import annotations

__all__ = ["Campaign", "train", "train_ensemble"]

import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch

from ..campaign import (
    Together,
    admitted,
    network_name,
    settings_of,
    training_command,
)
from ..train import environment, run
from .evaluate import TEST_TRIALS, Evaluation, evaluated
from .families import NBackConfig
from .families import config as family_config
from .learner import NBackLearner, same_kind
from .library import Trained, as_saved, to_network
from .material import Images, Material
from .material import material as material_of
from .senses import Weights


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
    weights: str | Path | None = None,
) -> Campaign:
    """Train an ensemble of N-back networks, test it, and save each network as `<family>-<seed>`.

    family: name, or a configuration (`nback.config("gru", updates=500)`). seeds: by default "0", "1", ...
    checkpoint: folder from which an interrupted run goes on. overwrite: replace saved networks of these names
    even if their settings differ. material: by default that of the shipped objects. tf32: see `NBackLearner`.
    weights: of the backbone, by default those of its package; not with a material of features.
    With `freeze_backbone=False` one network at a time, with its backbone (see `wm.nback.finetune`).
    Scores are those of the weights as saved, in float16. Raises ValueError for unknown families, no or
    repeated seeds, or networks that would be replaced, what `wm.nback.material` and `wm.train.run` raise.
    """
    config = family if isinstance(family, NBackConfig) else family_config(family)
    seeds = range(networks) if seeds is None else seeds
    seeds = admitted("nback", config, seeds, device=device, keep=save and not overwrite)
    same_kind([config] * len(seeds))
    if weights is not None and material is not None and config.freeze_backbone:
        raise ValueError("features are given: they are of the backbone that made them, leave `weights` out")
    own = material_of(config, weights=weights, device=device) if material is None else material
    options = {"device": device, "checkpoint": checkpoint, "tf32": tf32}
    if not config.freeze_backbone:
        options["weights"] = weights
    done = train_ensemble([config] * len(seeds), seeds, own, **options)
    if save:
        done.save(to_network)
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
    weights: str | Path | None = None,
) -> Campaign:
    """Train networks of several settings together, a seed each, and test them; nothing is saved.

    The settings may differ as `wm.nback.NBackLearner` allows. trials: of each task in the test. A network
    that diverged has no scores. weights: of the backbone, if it is to be trained.
    """
    learner = _learner(configs, seeds, material, weights, device=device, tf32=tf32)
    history, start = {}, time.perf_counter()
    identity = {"seeds": ",".join(learner.seeds), "device": device, "tf32": tf32, "material": material.record}
    identity |= learner.record
    identity |= {str(k): settings_of(config) for k, config in enumerate(configs)}
    for _ in run(
        learner, learner.config.updates, checkpoint=checkpoint, config=identity, history=history,
        description=learner.config.family,
    ):  # fmt: skip
        pass
    effort = environment(device) | {
        "seconds": round(time.perf_counter() - start, 1), "networks_at_once": len(seeds),
        "updates": learner.step, "tf32": tf32, **learner.record,
    }  # fmt: skip
    whole = {name: value.float() for name, value in as_saved(learner.whole()).items()}
    evaluation = evaluated(learner.configs, whole, _test(learner.config, whole, material), trials=trials)
    about = {"training": effort, "material": material.record}
    return Campaign(_finished(learner, whole, evaluation, about), history, evaluation)


def _learner(
    configs: Sequence[NBackConfig], seeds: Sequence[str], material: Material, weights: str | Path | None,
    **options,
) -> NBackLearner:  # fmt: skip
    if same_kind(configs).freeze_backbone:
        if weights is not None:
            raise ValueError("the backbone is not trained: features are of the one that made them")
        return NBackLearner(configs, seeds, material, **options)
    from .finetune import FineTuner  # needs what a machine that only trains may lack

    return FineTuner(configs, seeds, material, weights=weights, **options)


def _test(config: NBackConfig, weights: Weights, material: Material) -> Mapping[str, Images]:
    """Images of the test as networks have them: those that see for themselves, with their own backbone."""
    if config.freeze_backbone:
        return material.test
    from .finetune import own_backbone, seen

    return seen(material.test, own_backbone(config, weights), config.pool)


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
