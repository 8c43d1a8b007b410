"""Train N-back networks and save them with their scores."""

from __future__ import annotations

__all__ = ["Campaign", "ensembles", "train", "train_ensemble"]

import gc
import logging
import time
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import asdict, dataclass
from itertools import groupby
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
from .evaluate import TEST_TRIALS, Evaluation, examined
from .families import NBackConfig
from .families import config as family_config
from .learner import MAY_DIFFER, NBackLearner, same_kind
from .library import Trained, as_saved, to_network
from .material import Images, Material
from .material import material as material_of
from .senses import Weights

_log = logging.getLogger(__name__)


@dataclass(frozen=True, eq=False)
class Campaign(Together):
    """N-back networks trained together (`Trained`), how they learned, and what they answer in the test."""

    evaluation: Evaluation
    """of all of them, those that diverged too, with natural lures"""
    balanced: Evaluation
    """the same with balanced lures"""


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
    Scores are those of the weights as saved, in float16, with natural lures; the record has a test with
    balanced ones, too. Raises ValueError for unknown families, no or repeated seeds, or networks that would
    be replaced, what `wm.nback.material` and `wm.train.run` raise.
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
    tests = examined(learner.configs, whole, _test(learner.config, whole, material), trials=trials)
    about = {"training": effort, "material": material.record}
    return Campaign(_finished(learner, whole, tests, about), history, tests["natural"], tests["balanced"])


def ensembles(
    networks: Iterable[tuple[NBackConfig, str]], material_of: Callable[[NBackConfig], Material], **options
) -> Iterator[tuple[Campaign, Material]]:  # fmt: skip
    """Train networks, (configuration, seed) each, those of a kind together; each ensemble with its material.

    material_of: gives the material of a configuration; options: of `train_ensemble`. The log tells how long
    each took.
    """
    for _, group in groupby(sorted(networks, key=_kind), key=_kind):
        configs, seeds = zip(*group, strict=True)
        start = time.perf_counter()
        own = material_of(configs[0])
        done = train_ensemble(configs, seeds, own, **options)
        families = ", ".join(dict.fromkeys(config.family for config in configs))
        seconds = done.records[0]["training"]["seconds"], time.perf_counter() - start
        _log.info("%d networks (%s): trained in %.1f s, %.1f s in all", len(configs), families, *seconds)
        yield done, own
        del done, own
        gc.collect()  # memory of a GPU that a captured update held


def _kind(network: tuple[NBackConfig, str]) -> str:
    """What networks that are trained together have in common."""
    return repr([value for name, value in asdict(network[0]).items() if name not in MAY_DIFFER])


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
    learner: NBackLearner, whole: dict[str, torch.Tensor], tests: Mapping[str, Evaluation],
    about: dict[str, Any],
) -> list[Trained]:  # fmt: skip
    """The networks of a learner with their records."""
    found = []
    for k, (config, seed) in enumerate(zip(learner.configs, learner.seeds, strict=True)):
        diverged = not bool(learner.alive[k])
        scores = {} if diverged else tests["natural"].scores(k)
        test, other = ({} if diverged else tests[lures].record(k) for lures in ("natural", "balanced"))
        record = {"config": settings_of(config), "seed": seed, "scores": scores, "test": test}
        record |= {"test_balanced": other, **about}
        record["command"] = training_command("nback", config, family_config(config.family), seed)
        record["diverged"] = diverged
        weights = {name: value[k : k + 1].cpu() for name, value in whole.items()}
        found.append(Trained(network_name(config, seed), seed, config, weights, record))
    return found
