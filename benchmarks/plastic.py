"""Speed and memory of plastic networks: against a plain loop, one token of one sequence after the other.

    python -m benchmarks.plastic [--device cuda]

`token_step_<rule>`: time of training (forward, backward, AdamW) of a token of the copying task as published,
ours in batches of 256, the reference sequence by sequence as the published code works
(`benchmarks.plain_plastic`, the same equations and layers on the same device). `campaign` is the published
campaign of the three sequence tasks with its own optimisation, one sequence an update, for three rules and
three seeds, all at once; its reference is the published time, 6.8 ms for a token (25 hours of an A100), and
is not measured here. `memory` compares bytes that one update of the sound preset keeps for its backward pass
with those of the same network with a dense matrix of fast weights for every sequence. Times are medians of
warm rounds, in turns, in this process with the same number of threads. The last line is JSON, a list of rows.
"""

from __future__ import annotations

__all__ = ["campaign_row", "main", "memory_row", "token_rows"]

from collections.abc import Callable

import torch
import torch.nn.functional as F
from torch import Tensor

from benchmarks import report
from benchmarks.plain_plastic import plain
from benchmarks.report import medians
from wm.plastic import PlasticConfig, PlasticLearner, config, initial, knobs, layout, make_task, run
from wm.plastic.bodies import Span, affine, body
from wm.plastic.families import PAPER_RULES, PUBLISHED_UPDATES
from wm.plastic.parameters import plastic_layers
from wm.plastic.rates import Knobs, rates_of
from wm.plastic.rules import Write
from wm.train import numpy_generator

BATCH, SEEDS, ROUNDS = 256, ("0", "1", "2"), 5
TOLERANCE = 1e-3
FLOORS = {"cpu": {"token": 20.0, "campaign": 2.0}, "cuda": {"token": 500.0, "campaign": 100.0}}
MEMORY_FLOOR = 5.0
PUBLISHED_MS = 6.8
"""of a token, from 25 hours of an A100 for 13.3 million tokens"""


class Plain:
    """One network trained as the published code trains it."""

    def __init__(self, rule: str, device: str) -> None:
        self.config = config(f"published_copying_{rule}", dropout=0.0)
        weights = layout(self.config).views(initial(self.config, "0")[None])
        self.model = plain(self.config, {name: value[0] for name, value in weights.items()}).to(device)
        self.device, self.generator = device, numpy_generator("0", "benchmark")
        self.optimizer = torch.optim.AdamW(
            self.model.parameters(), lr=self.config.learning_rate, weight_decay=self.config.weight_decay
        )

    def update(self) -> None:
        """One sequence, one gradient, one step."""
        tokens, targets = make_task(self.config).sample(1, self.generator)
        trace = self.model(torch.as_tensor(tokens[0], device=self.device))
        expected = torch.as_tensor(targets[0], device=self.device)
        loss = F.cross_entropy(trace.answers, expected, reduction="sum")
        self.optimizer.zero_grad()
        loss.backward()
        torch.nn.utils.clip_grad_norm_(self.model.parameters(), self.config.clip_norm)
        self.optimizer.step()


def token_rows(device: str = "cpu", *, batch: int = BATCH, rounds: int = ROUNDS) -> list[dict]:
    """A row for each rule: ms of a token, ours and the reference's."""
    rows = []
    for rule in PAPER_RULES:
        settings = config(f"published_copying_{rule}", batch=batch, dropout=0.0)
        ours, reference = PlasticLearner(settings, ["0"], device=device), Plain(rule, device)
        length = make_task(settings).length
        times = medians({"ours": ours.update, "reference": reference.update}, device, rounds, 2)
        tokens = {"ours": batch * length, "reference": length}
        found = {name: 1000 * time / tokens[name] for name, time in times.items()}
        floor = FLOORS[device]["token"]
        unit, wrong = f"ms per token, batch of {batch}", _wrong(ours, reference)
        rows.append(report.row(f"token_step_{rule}", found, floor, unit, device=device, wrong=wrong))
    return rows


@torch.no_grad()
def _wrong(ours: PlasticLearner, reference: Plain) -> str:
    """What is wrong if both, given the same weights, answer one sequence differently, in words."""
    inputs = ours.batches.at(0).inputs[:, :1]
    weights = {name: value.detach() for name, value in ours.weights().items()}
    answers = run(ours.config, weights, inputs, ours.knobs).answers[0, 0]
    with torch.enable_grad():  # the gradient rule needs it
        model = plain(reference.config, {name: value[0] for name, value in weights.items()}).to(ours.device)
        expected = model(inputs[0, 0]).answers.detach()
    off = float((answers - expected).norm() / expected.norm())
    return "" if off < TOLERANCE else f"WRONG BY {off:.1e}"


def campaign_row(device: str = "cpu", *, rounds: int = ROUNDS) -> dict:
    """All rules, tasks and seeds of the published campaign at once, ms of a token; reference as published."""
    learners = [
        PlasticLearner(config(f"published_{task}_{rule}"), SEEDS, device=device)
        for task in PUBLISHED_UPDATES
        for rule in PAPER_RULES
    ]
    tokens = sum(make_task(each.config).length * len(SEEDS) for each in learners)

    def together() -> None:
        for each in learners:
            each.update()

    times = medians({"ours": together}, device, rounds, 2)
    found = {"ours": 1000 * times["ours"] / tokens, "reference": PUBLISHED_MS}
    unit = "ms per token, one sequence an update; published / ours"
    return report.row("campaign", found, FLOORS[device]["campaign"], unit, device=device)


def memory_row(device: str = "cpu", *, batch: int = 64) -> dict:
    """MB that an update keeps for its backward pass, factored and dense."""
    settings = config("copying_hebbian", batch=batch, width=128, feedforward=256)
    weights = layout(settings).views(initial(settings, "0")[None].to(device).requires_grad_())
    tokens = make_task(settings).sample(batch, numpy_generator("0", "benchmark")).inputs
    inputs = torch.as_tensor(tokens, device=device)[None]
    own = knobs([settings], next(iter(weights.values())))
    found = {
        "ours": _kept(lambda: run(settings, weights, inputs, own).answers),
        "reference": _kept(lambda: dense(settings, weights, inputs, own)),
    }
    unit = f"MB kept for backward, batch of {batch}; dense / factored"
    return report.row("memory", found, MEMORY_FLOOR, unit, device=device)


def dense(settings: PlasticConfig, weights: dict[str, Tensor], inputs: Tensor, own: Knobs) -> Tensor:
    """Answers of the Hebbian rule with dense fast weights, (network, trial, time, output)."""
    layers, answers, state = plastic_layers(settings), [], {}
    like = weights["input.weight"]
    fast = {name: like.new_zeros(*inputs.shape[:2], *shape) for name, shape in layers.items()}
    shift = {name: each[..., 0] for name, each in fast.items()}
    for time, x in enumerate(F.one_hot(inputs, settings.symbols).to(like.dtype).split(1, dim=2)):
        seen = {}

        def plastic(name: str, x: Tensor, activity=None, seen=seen) -> Tensor:
            recalled = (fast[name] @ x[:, :, 0, :, None])[..., 0] + shift[name]
            y = affine(weights, name, x) + recalled[:, :, None]
            seen[name] = Write(y, x)
            return y

        output, state = body(settings)(settings, weights, x, plastic, Span(time, state))
        rates = rates_of(settings, output[..., -1 - settings.auxiliary], seen, own)
        rate, keep = rates.rate, 1 - rates.decay
        for name, (value, key) in seen.items():
            rows, columns, beta = (weights[f"{name}.{part}"] for part in ("rows", "columns", "beta"))
            value, outer = value[:, :, 0], value[:, :, 0, :, None] * key
            alpha = rows[:, None, :, None] * columns[:, None, None]
            fast[name] = keep[..., None] * fast[name] + rate[..., None] * (alpha * outer)
            shift[name] = keep * shift[name] + rate * (beta[:, None] * value)
        answers.append(output[..., : -1 - settings.auxiliary])
    return torch.cat(answers, dim=2)


def _kept(work: Callable[[], Tensor]) -> float:
    """MB of all tensors that autograd keeps for the backward pass, each storage once."""
    kept: dict[int, Tensor] = {}

    def pack(tensor: Tensor) -> Tensor:
        kept[tensor.untyped_storage().data_ptr()] = tensor
        return tensor

    with torch.autograd.graph.saved_tensors_hooks(pack, lambda tensor: tensor):
        result = work()
    total = sum(each.untyped_storage().nbytes() for each in kept.values())
    del result
    return total / 1e6


def main(arguments: list[str] | None = None) -> None:
    """Measure all rows, print a table, and the rows as one line of JSON last."""

    def rows(device: str) -> list[dict]:
        return [*token_rows(device), campaign_row(device), memory_row(device)]

    report.run("benchmarks.plastic", __doc__, rows, arguments)


if __name__ == "__main__":
    main()
