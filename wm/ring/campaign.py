"""Train ring networks and save them with their scores."""

from __future__ import annotations

__all__ = ["evaluated", "measure_errors", "train"]

import logging
import time
from collections.abc import Sequence
from dataclasses import asdict
from pathlib import Path

import numpy as np

from .. import store
from ..campaign import (
    admitted,
    four_digits,
    network_name,
    own_history,
    training_command,
)
from ..train import environment, run, torch_generator
from .evaluate import Errors, errors, task_of
from .families import FAMILIES, RingConfig
from .families import config as family_config
from .learner import RingLearner
from .library import Ensemble, to_network

EVALUATIONS = 10
"""evaluations with fresh noise; the first is the published procedure, the median resists rare flips"""
HISTORY_EVERY = 100
"""updates between entries of the history"""

_log = logging.getLogger(__name__)


def train(
    family: str | RingConfig,
    networks: int = 30,
    *,
    seeds: Sequence[str] | None = None,
    device: str = "cpu",
    checkpoint: Path | None = None,
    save: bool = True,
    overwrite: bool = False,
) -> Ensemble:
    """Train an ensemble of ring networks, score it, and save each network as `<family>-<seed>`.

    family: name ("rt", or the published "hdreshuffle"), or a configuration (`ring.config("rt", units=200)`).
    seeds: seed strings, by default "0", "1", ... `checkpoint`: folder from which an interrupted run goes on.
    overwrite: replace saved networks of these names even if their settings differ. Returns the trained
    ensemble. Raises ValueError for unknown families, zero networks, repeated seeds or networks that would be
    replaced, and what `wm.train.run` raises.
    """
    config = family if isinstance(family, RingConfig) else family_config(family)
    seeds = range(networks) if seeds is None else seeds
    seeds = admitted("ring", config, seeds, device=device, keep=save and not overwrite)
    learner, history, start = RingLearner(config, seeds, device=device), {}, time.perf_counter()
    identity = asdict(config) | {
        "seeds": ",".join(seeds), "engine": learner.engine, "device": learner.device.type,
    }  # fmt: skip
    for _ in run(
        learner,
        config.updates,
        checkpoint=checkpoint,
        config=identity,
        history=history,
        history_every=HISTORY_EVERY,
        description=config.family,
    ):
        if learner.finished:
            break
    effort = environment(device) | {
        "engine": learner.engine,
        "seconds": round(time.perf_counter() - start, 1),
        "networks_at_once": len(seeds),
    }
    ensemble = _finished(learner, effort)
    if save:
        from .. import explore_notebook  # needs what a machine that only trains may lack

        for k, name in enumerate(ensemble.names):
            explore_notebook.write(store.save_network(to_network(ensemble, k, own_history(history, k))))
            _log.info("saved ring/%s", name)
    return ensemble


def evaluated(ensemble: Ensemble, evaluations: int = 1, *, device: str = "cpu") -> dict[str, list[Errors]]:
    """Errors with (`error`) and without the distractor (`error_no_distractor`), of so many evaluations.

    The noise is seeded by the network's seed, and is another one in each evaluation.
    """
    weights, found = ensemble.weights.to(device), {}
    for key, probability in (("error", 1.0), ("error_no_distractor", 0.0)):
        task = task_of(ensemble.config, distractor_probability=probability)
        options = {"noise": ensemble.config.noise}
        options["generators"] = [torch_generator(seed, key, device=device) for seed in ensemble.seeds]
        found[key] = [errors(weights, task, **options) for _ in range(evaluations)]
    return found


def measure_errors(ensemble: Ensemble, *, evaluations: int = EVALUATIONS, device: str = "cpu") -> list[dict]:
    """Scores of each network, on the task with and without the distractor, 900 trials an evaluation.

    `error_deg` and `error_no_distractor_deg` are the first evaluation (the published procedure),
    `..._median_deg` the median over all of them, `..._repeats_deg` every one.
    The noise is seeded by the network's seed.
    """
    scores: list[dict] = [{} for _ in ensemble.names]
    for key, found in evaluated(ensemble, evaluations, device=device).items():
        degrees = np.array([each.error_deg for each in found])
        for k, score in enumerate(scores):
            score[f"{key}_deg"] = four_digits(degrees[0, k])
            score[f"{key}_median_deg"] = four_digits(np.median(degrees[:, k]))
            score[f"{key}_repeats_deg"] = [four_digits(value) for value in degrees[:, k]]
            score[f"{key}_mse"] = four_digits(found[0].mse[k])
    return scores


def _finished(learner: RingLearner, effort: dict) -> Ensemble:
    """The trained ensemble as it will be saved (fully trained weights rounded to float16), scored."""
    config, device = learner.config, str(learner.device)
    parameters = {name: value.detach().cpu() for name, value in learner.parameters.items()}
    if FAMILIES[config.family].trained_fully:
        parameters = {name: value.half().float() for name, value in parameters.items()}
    fixed = learner.fixed and learner.fixed.to("cpu")
    names = [network_name(config, seed) for seed in learner.seeds]
    ensemble = Ensemble(config, names, learner.seeds, parameters, fixed, [])
    scores = measure_errors(ensemble, device=device)
    stopped = learner.frozen.tolist()
    for seed, score, frozen in zip(learner.seeds, scores, stopped, strict=True):
        training = effort | {"updates": learner.step, "stopped_early": frozen}
        command = training_command("ring", config, family_config(config.family), seed)
        ensemble.records.append(
            {
                "config": asdict(config),
                "seed": seed,
                "scores": score,
                "training": training,
                "command": command,
            }
        )
    return ensemble
