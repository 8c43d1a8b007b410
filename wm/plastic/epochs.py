"""Training in epochs with an evaluation after each, as the published scripts do it (Chaudhary 2025).

An epoch is `sequences` updates; afterwards every network answers fresh sequences, as many if not told
otherwise, without dropout. Drawings are then others than in training.
"""

from __future__ import annotations

__all__ = ["OBSERVED", "Epochs", "evaluated_on_fresh", "histories"]

from collections.abc import Callable, Mapping, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import torch
from torch import Tensor

from ..campaign import settings_of
from ..train import numpy_generator, run
from .engine import Trace
from .engine import run as run_networks
from .episodes import Task
from .families import PlasticConfig, make_task
from .learner import PlasticLearner, costs
from .memory import norms

OBSERVED = 10
"""updates of which one is run a second time, to see rates and fast weights of single tokens in training"""
_AT_ONCE = 128
_NUMBERS = 2**20
"""numbers of sequences, of each network, that an encoder sees at once"""
_TOKENS = ("eta", "plastic_norm")
_SEEN = ("losses", "scores", "sums")


class Epochs:
    """A learner (see `wm.train.Learner`) whose metrics, at the end of each epoch, are those of the epoch.

    loss: per token that counts; copying: recall_accuracy, the share of right answers in the second half of a
    sequence, as published, and true_recall, that of the items alone; drawings: accuracy, and train_accuracy;
    else query_loss, the mean squared error of the answers; means and population standard deviations over
    tokens of the rate (eta) and of the sum of squares of all fast weights (plastic_norm); train_...: the same
    in training, for rates and fast weights of every `OBSERVED`-th update; diverged, 1 for networks that did,
    whose loss is the last of training, and 0 all else. After other updates loss alone.
    """

    def __init__(self, learner: PlasticLearner, sequences: int, validation: int = 0, part: str = "") -> None:
        """validation: sequences of an evaluation, 0: as many as `sequences`; part: of what drawings."""
        self.learner, self.sequences = learner, sequences
        self.validation, self.part = validation or sequences, part
        self._clear()

    def update(self) -> dict[str, Tensor]:
        """One update of every network; metrics (network,)."""
        step = self.learner.step
        if step % self.sequences % OBSERVED == 0:
            self._observe()
        found = self.learner.update()
        self.losses += found["loss"].detach().cpu().double()
        self.scores += found["score"].detach().cpu().double()
        if (step + 1) % self.sequences:
            return {"loss": found["loss"]}
        epoch = (step + 1) // self.sequences
        seen = evaluated_on_fresh(self.learner, self.validation, epoch, part=self.part)
        seen |= {f"train_{name}": value for name, value in self._seen_in_training().items()}
        self._clear()
        return self._of_all(seen) | {"diverged": found["diverged"].cpu().double()}

    def _of_all(self, seen: dict[str, Tensor]) -> dict[str, Tensor]:
        """What was seen, of networks that diverged the last loss of training, and 0."""
        alive, last = self.learner.alive.cpu(), self.learner.last.cpu().double()
        return {
            name: torch.where(alive, value, last if name == "loss" else 0) for name, value in seen.items()
        }

    def state_dict(self) -> dict[str, Any]:
        """That of the learner, and what was seen in the epoch so far."""
        seen = {name: getattr(self, name).clone() for name in _SEEN}
        return {"learner": self.learner.state_dict(), **seen}

    def load_state_dict(self, state: dict[str, Any]) -> None:
        """Go on from such a state."""
        self.learner.load_state_dict(state["learner"])
        self.losses, self.scores, self.sums = (state[name].clone() for name in _SEEN)

    def _clear(self) -> None:
        self.losses, self.scores = torch.zeros(2, len(self.learner.seeds), dtype=torch.float64)
        # (power, metric, network): number of tokens, sum over them, sum of squares
        self.sums = torch.zeros(3, len(_TOKENS), len(self.learner.seeds), dtype=torch.float64)

    @torch.no_grad()
    def _observe(self) -> None:
        """Run the next batch, with its dropout, before the update changes the networks."""
        learner, inputs = self.learner, self.learner.batches.at(self.learner.step).inputs
        options = {"masks": learner.masks()}
        trace = run_networks(learner.config, learner.weights(), inputs, learner.knobs, **options)
        tokens = torch.stack(_tokens(learner, trace)).cpu().double().flatten(2)  # (metric, network, token)
        tokens = torch.where(learner.alive.cpu()[:, None], tokens, 0)
        powers = (torch.ones_like(tokens), tokens, tokens.square())
        self.sums += torch.stack([each.sum(dim=-1) for each in powers])

    def _seen_in_training(self) -> dict[str, Tensor]:
        count, total, squares = self.sums
        means, found = total / count, {"loss": self.losses / self.sequences}
        if _names_drawings(make_task(self.learner.config)):
            found["accuracy"] = self.scores / self.sequences
        spreads = (squares / count - means.square()).clamp(min=0).sqrt()
        for name, mean, spread in zip(_TOKENS, means, spreads, strict=True):
            found |= {f"{name}_mean": mean, f"{name}_std": spread}
        return found


@torch.no_grad()
def evaluated_on_fresh(
    learner: PlasticLearner, sequences: int, epoch: int, *, part: str = ""
) -> dict[str, Tensor]:
    """Metrics of networks on sequences of their own, drawn anew for each epoch, (network,); see `Epochs`.

    part: validation or test, of the drawings.
    """
    config, task = learner.config, make_task(learner.config)
    if part:
        task = replace(task, part=part)
    drawn = [task.sample(sequences, numpy_generator(seed, "validation", epoch)) for seed in learner.seeds]
    whole = (torch.as_tensor(np.stack(each)) for each in zip(*drawn, strict=True))
    whole = (each.split(_at_once(task), dim=1) for each in whole)
    parts = []
    for some in zip(*whole, strict=True):
        inputs, targets = (each.to(learner.device) for each in some)
        trace = run_networks(config, learner.weights(), inputs, learner.knobs)
        found = (*costs(config, trace.answers, targets), *_tokens(learner, trace))
        parts.append(torch.stack(found).cpu().double())
    cost, right, *tokens = torch.cat(parts, dim=2)  # (network, trial, time) each
    queries = torch.as_tensor(task.queries)
    seen = {"loss": _mean(cost if config.loss == "all" else cost[..., queries])}
    if task.symbolic:
        late = torch.as_tensor(task.late)
        seen |= {"recall_accuracy": _mean(right[..., late]), "true_recall": _mean(right[..., queries])}
    elif _names_drawings(task):
        seen["accuracy"] = _mean(right[..., queries])
    else:
        seen["query_loss"] = _mean(cost[..., queries])
    for name, values in zip(_TOKENS, tokens, strict=True):
        seen |= {f"{name}_mean": _mean(values), f"{name}_std": values.flatten(1).std(dim=1, correction=0)}
    return seen


def histories(
    config: PlasticConfig,
    seeds: Sequence[int],
    *,
    epochs: int,
    sequences: int,
    validation: int = 0,
    part: str = "",
    device: str = "cpu",
    checkpoint: Path | None = None,
    tell: Callable[[int, Mapping[str, np.ndarray]], object] = lambda epoch, metrics: None,
) -> list[list[dict[str, float]]]:
    """Train one network for each seed, all at once; an entry for each network and epoch.

    config: with `epochs * sequences` updates. validation, part: of the evaluation, see `Epochs`. tell: called
    after each epoch with its number, from 1, and its metrics (network,). checkpoint: folder from which an
    interrupted run goes on. Raises what `wm.train.run` raises.
    """
    learner = PlasticLearner(config, [str(seed) for seed in seeds], device=device)
    learner = Epochs(learner, sequences, validation, part)
    identity = settings_of(config) | {"seeds": [*seeds], "sequences": sequences, "device": device}
    identity |= {"validation": learner.validation, "part": part}
    history: dict[str, list] = {}
    for step, metrics in run(
        learner, epochs * sequences, checkpoint=checkpoint, config=identity, history=history,
        history_every=sequences, description=config.family,
    ):  # fmt: skip
        if step % sequences == 0:
            tell(step // sequences, metrics)
    del history["step"]
    return [[_entry(history, epoch, k) for epoch in range(epochs)] for k in range(len(seeds))]


def _names_drawings(task: Task) -> bool:
    return task.categorical and not task.symbolic


def _at_once(task: Task) -> int:
    """Sequences that are run at once: where drawings are encoded on the way, few."""
    encoded = task.given != task.inputs
    return max(1, _NUMBERS // (task.length * task.given)) if encoded else _AT_ONCE


def _entry(history: Mapping[str, list], epoch: int, k: int) -> dict[str, float]:
    return {name: rows[epoch][k] for name, rows in history.items()} | {"epoch": epoch + 1}


def _tokens(learner: PlasticLearner, trace: Trace) -> tuple[Tensor, Tensor]:
    """Rate of each token, and the sum of squares of all fast weights after it, (network, trial, time)."""
    weights, rates = learner.weights(), trace.rates
    held = norms(weights, trace.memory, rates)
    return rates.rate, sum(held.values()) if held else torch.zeros_like(rates.rate)


def _mean(values: Tensor) -> Tensor:
    """Mean over trials and tokens, (network,)."""
    return values.flatten(1).mean(dim=1)
