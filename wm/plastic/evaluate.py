"""Scores of plastic networks on sequences that they were not trained on."""

from __future__ import annotations

__all__ = ["TEST_TRIALS", "Evaluation", "evaluated", "test_episodes"]

from collections.abc import Mapping, Sequence
from typing import NamedTuple

import numpy as np
import torch
from torch import Tensor

from ..train import numpy_generator
from .engine import Trace, run
from .families import PlasticConfig, make_task
from .learner import costs
from .memory import norms
from .rates import knobs
from .tasks import Episodes

TEST_TRIALS = 512
"""sequences of a test"""


class Evaluation(NamedTuple):
    """What an ensemble does with test sequences, means over them."""

    scores: dict[str, np.ndarray]
    """name -> (network,)"""
    by_time: dict[str, np.ndarray]
    """name -> (network, time)"""


def test_episodes(config: PlasticConfig, trials: int = TEST_TRIALS) -> Episodes:
    """The test sequences of a task: the same for all networks, from a stream that training never uses."""
    return make_task(config).held_out.sample(trials, numpy_generator("test", "plastic", config.task))


@torch.no_grad()
def evaluated(
    weights: Mapping[str, Tensor], configs: Sequence[PlasticConfig], *,
    trials: int = TEST_TRIALS, at_once: int | None = None,
) -> Evaluation:  # fmt: skip
    """Run an ensemble on the test sequences of its task, which all configurations share.

    Scores: loss over the tokens that count in training; all_loss over all tokens; score of the answers (share
    right, or squared error) and its standard deviation over sequences score_spread; copying: paper_metric,
    share right over the second half of all tokens; rate and its standard deviation rate_spread; update_norm;
    clip_ratio; plastic_norm, the sum of squares of all fast weights, and norm_<layer> of one layer; residual
    and fallbacks of the engine. By time: score, rate, logit, update_norm, clip_ratio, plastic_norm.
    at_once: sequences that are computed together, by default 128, and 32 where drawings are encoded, which
    share the statistics of their norms. Raises ValueError for more trials that are no multiple of it.
    """
    at_once = at_once or (32 if configs[0].encoder == "conv4" else 128)
    if trials > at_once and trials % at_once:
        raise ValueError(f"trials must be up to {at_once}, or a multiple of it, got {trials}")
    episodes, first = test_episodes(configs[0], trials), next(iter(weights.values()))
    scores, by_time = [], []
    for start in range(0, trials, at_once):
        parts = (torch.as_tensor(part[start : start + at_once], device=first.device) for part in episodes)
        inputs, targets = (part.expand(len(first), *part.shape) for part in parts)
        trace = run(configs[0], weights, inputs, knobs(configs, first))
        cost, right = costs(configs[0], trace.answers, targets)
        held = {name: each.mean(dim=1) for name, each in norms(weights, trace.memory, trace.rates).items()}
        by_time.append(_by_time(trace, right, held))
        answered = right[:, :, make_task(configs[0]).queries].mean(dim=2)
        scores.append(_scores(configs[0], trace, cost.mean(dim=1), by_time[-1], held))
        scores[-1]["score_squared"] = answered.square().mean(dim=1)
    found = _mean(scores)
    for name in ("rate", "score"):
        found[f"{name}_spread"] = np.sqrt(np.maximum(found.pop(f"{name}_squared") - found[name] ** 2, 0))
    return Evaluation(found, _mean(by_time))


def _mean(parts: list[dict[str, Tensor]]) -> dict[str, np.ndarray]:
    return {name: torch.stack([each[name] for each in parts]).mean(dim=0).cpu().numpy() for name in parts[0]}


def _by_time(trace: Trace, right: Tensor, held: dict[str, Tensor]) -> dict[str, Tensor]:
    """Means over trials, each (network, time)."""
    rates = trace.rates
    found = {
        "score": right, "rate": rates.rate, "logit": rates.logit, "update_norm": rates.norm,
        "clip_ratio": rates.ratio,
    }  # fmt: skip
    found = {name: each.mean(dim=1) for name, each in found.items()}
    return found | {"plastic_norm": sum(held.values()) if held else torch.zeros_like(found["rate"])}


def _scores(
    config: PlasticConfig, trace: Trace, cost: Tensor, by_time: dict[str, Tensor], held: dict[str, Tensor]
) -> dict[str, Tensor]:
    """Means over trials and time, each (network,); cost (network, time)."""
    task = make_task(config)
    queries = torch.as_tensor(task.queries, device=cost.device)
    all_loss, answer_loss = cost.mean(dim=1), cost[:, queries].mean(dim=1)
    found = {
        "loss": answer_loss if config.loss == "answers" else all_loss, "all_loss": all_loss,
        "score": by_time["score"][:, queries].mean(dim=1),
    }  # fmt: skip
    if task.symbolic:
        found["paper_metric"] = by_time["score"][:, task.late].mean(dim=1)
    for name in ("rate", "update_norm", "clip_ratio", "plastic_norm"):
        found[name] = by_time[name].mean(dim=1)
    found |= {f"norm_{name}": each.mean(dim=1) for name, each in held.items()}
    squared = trace.rates.rate.square().mean(dim=(1, 2))
    fallbacks = torch.full_like(all_loss, trace.fallbacks)
    return found | {"rate_squared": squared, "residual": trace.residual, "fallbacks": fallbacks}
