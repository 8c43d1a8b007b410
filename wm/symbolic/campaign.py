"""Train symbolic networks and save them with their scores."""

from __future__ import annotations

__all__ = ["Campaign", "measured_scores", "train"]

import time
from collections.abc import Sequence
from pathlib import Path

import torch

from ..campaign import (
    Together,
    admitted,
    network_name,
    settings_of,
    training_command,
)
from ..train import environment, run
from .evaluate import score, test_windows
from .families import SymbolicConfig
from .families import config as family_config
from .learner import SymbolicLearner, frozen
from .library import Trained, to_network
from .lorenz import Recording
from .task import Windows


class Campaign(Together):
    """Symbolic networks trained together (`Trained`)."""


def train(
    family: str | SymbolicConfig,
    networks: int = 8,
    *,
    seeds: Sequence[str] | None = None,
    device: str = "cpu",
    checkpoint: Path | None = None,
    save: bool = True,
    overwrite: bool = False,
) -> Campaign:
    """Train an ensemble of symbolic networks, score it, and save each network as `<family>-<seed>`.

    family: name, or a configuration (`symbolic.config("cycle", holding=(4,))`). seeds: by default "0", "1",
    ... checkpoint: folder from which an interrupted run goes on. overwrite: replace saved networks of these
    names even if their settings differ. Scores are those of the weights as saved, in float16. Raises
    ValueError for unknown families, no or repeated seeds, or networks that would be replaced, and what
    `wm.train.run` raises.
    """
    config = family if isinstance(family, SymbolicConfig) else family_config(family)
    seeds = range(networks) if seeds is None else seeds
    seeds = admitted("symbolic", config, seeds, device=device, keep=save and not overwrite)
    learner, history, start = SymbolicLearner(config, seeds, device=device), {}, time.perf_counter()
    identity = settings_of(config) | {"seeds": ",".join(seeds), "device": learner.device}
    for _ in run(
        learner, config.updates, checkpoint=checkpoint, config=identity, history=history,
        description=config.family,
    ):  # fmt: skip
        pass
    effort = environment(device) | {
        "seconds": round(time.perf_counter() - start, 1),
        "networks_at_once": len(seeds),
        "updates": learner.step,
    }
    done = Campaign(_finished(learner, effort), history)
    if save:
        done.save(to_network)
    return done


def measured_scores(trained: Trained, windows: Windows) -> dict[str, float]:
    """Loss and accuracy over all places, and at the last one, with floor and ceiling where they are known."""
    found, config = score(trained.model, windows), trained.config
    source = config.source()
    scores = {
        "loss": found.loss, "accuracy": found.accuracy,
        "last_loss": found.loss_by_place[-1], "last_accuracy": found.accuracy_by_place[-1],
    }  # fmt: skip
    if not isinstance(source, Recording):
        scores |= {"floor": source.floor(config.context), "ceiling": source.ceiling(config.context)}
    return {key: float(f"{value:.6g}") for key, value in scores.items()}


@torch.no_grad()
def _finished(learner: SymbolicLearner, effort: dict) -> list[Trained]:
    """The trained networks as they will be saved, rounded to float16, with their records."""
    config, windows, found = learner.config, test_windows(learner.config), []
    for k, seed in enumerate(learner.seeds):
        weights = {name: value[k].cpu().half().float() for name, value in learner.parameters.items()}
        record = {"config": settings_of(config), "seed": seed, "scores": {}, "training": dict(effort)}
        record["command"] = training_command("symbolic", config, family_config(config.family), seed)
        trained = Trained(network_name(config, seed), seed, config, frozen(config, weights), record)
        record["scores"] |= measured_scores(trained, windows)
        found.append(trained)
    return found
