"""Plastic networks written plainly: one sequence, one token after the other, dense fast weights.

A slow and independent reference for `wm.plastic`, from the equations of the studies alone. It works as the
published transformer does (Chaudhary 2025, arXiv 2510.21908): every plastic layer holds its own w and c, keys
and values of all tokens so far are projected anew at every token, and the gradient rule asks autograd for the
gradients of the fast weights. `config.differentiated` lets the loss of the task through the updates, as in
the recurrent networks of Duan et al. (ICLR 2023, arXiv 2302.03235).

    model = PlainTransformer(config, weights)     # weights of one network, named as in `wm.plastic`
    trace = model(tokens)                         # tokens (time,), or numbers (time, input)
    trace.answers.square().sum().backward()
    model.gradients()                             # named as the weights
"""

from __future__ import annotations

__all__ = ["FIXED", "PlainRecurrent", "PlainTrace", "PlainTransformer", "PlasticLinear", "plain"]

from collections.abc import Mapping
from typing import NamedTuple

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from wm.plastic.families import PlasticConfig, make_task

FIXED = 0.02
"""learning rate of all synapses where it is not learned"""
LAYERS = ("input", "recurrent", "head")
RATES = ("alpha", "rows", "columns", "beta")
RENAMED = {
    "attention.in_proj_weight": "attention.input.weight", "attention.in_proj_bias": "attention.input.bias",
    "attention.out_proj": "attention.output", "internal.weight": "internal",
}  # fmt: skip
"""parts of names in torch's modules -> in `wm.plastic`"""


class PlainTrace(NamedTuple):
    """What a network did with one sequence."""

    answers: Tensor
    """(time, output)"""
    rate: Tensor
    """(time,), with which each token was written"""
    decay: Tensor
    """(time,), of what had been written before"""
    logit: Tensor
    """(time,), that the network gave for the rate"""
    norm: Tensor
    """(time,), of the update before the clip"""
    fast: list[dict[str, Tensor]]
    """w of every plastic layer after each token"""


class PlasticLinear(nn.Linear):
    """y = (W + w) x + b + c, where w and c change after every token."""

    def __init__(self, inputs: int, outputs: int, rates: Mapping[str, Tensor]) -> None:
        super().__init__(inputs, outputs)
        for kind, value in rates.items():
            self.register_parameter(kind, nn.Parameter(torch.empty_like(value)))

    def begin(self) -> None:
        """Forget everything."""
        self.w = torch.zeros_like(self.weight, requires_grad=True)
        self.c = torch.zeros_like(self.bias, requires_grad=True)

    def forward(self, x: Tensor, activity=lambda y: y) -> Tensor:
        """y (output,) of x (input,); activity: y -> what a Hebbian rule takes for the layer's activity."""
        y = F.linear(x, self.weight + self.w, self.bias + self.c)
        self.x, self.y, self.post = x, y, activity(y)
        return y

    def synapses(self) -> Tensor:
        """alpha as a matrix (output, input)."""
        if hasattr(self, "rows"):
            return torch.outer(self.rows, self.columns)
        return self.alpha.expand_as(self.weight) if hasattr(self, "alpha") else self.weight * 0 + FIXED

    def changes(self, rule: str) -> tuple[Tensor, Tensor]:
        """dw and dc of a rule that needs no gradient."""
        if rule == "hebbian":
            return torch.outer(self.post, self.x), self.post
        if rule == "oja":
            return torch.outer(self.post, self.x) - torch.outer(self.post, self.w.T @ self.post), self.post
        missing = F.linear(self.x, self.weight, self.bias) - F.linear(self.x, self.w, self.c)
        return torch.outer(missing, self.x), missing

    def write(self, changes: tuple[Tensor, Tensor], rate: Tensor, decay: Tensor) -> None:
        """w <- (1 - decay) w + rate alpha o dw, and c likewise with beta."""
        beta = self.beta if hasattr(self, "beta") else FIXED
        self.w = (1 - decay) * self.w + rate * self.synapses() * changes[0]
        self.c = (1 - decay) * self.c + rate * beta * changes[1]


class _Plain(nn.Module):
    """What both bodies share: the loop over tokens, the internal loss, the rate, the update."""

    def __init__(self, config: PlasticConfig, weights: Mapping[str, Tensor]) -> None:
        super().__init__()
        self.config, self.task = config, make_task(config)
        self.outputs = self.task.outputs + 1 + config.auxiliary
        self.build(weights)
        self.to(next(iter(weights.values())).dtype)
        with torch.no_grad():
            for name, parameter in self.named_parameters():
                parameter.copy_(weights[_renamed(name)])

    def forward(self, inputs: Tensor) -> PlainTrace:
        """Answer a sequence: tokens (time,), or numbers (time, input). Needs gradients to be enabled."""
        if self.task.symbolic:
            inputs = F.one_hot(inputs.long(), self.task.inputs)
        plastic = {} if self.config.rule == "none" else self.plastic()
        self.begin()
        for layer in self.plastic().values():
            layer.begin()
        rows, fast = [], []
        for time, x in enumerate(inputs.to(next(self.parameters()).dtype)):
            output = self.token(x, time)
            answer, logit = output[: self.task.outputs], output[self.task.outputs]
            with torch.set_grad_enabled(self.config.differentiated or self.config.rule == "gradient"):
                rows.append((answer, logit, *self.learn(output, logit, plastic)))
            fast.append({name: layer.w.detach().clone() for name, layer in plastic.items()})
        answers, logits, rates, decays, norms = (torch.stack(column) for column in zip(*rows, strict=True))
        return PlainTrace(answers, rates, decays, logits, norms, fast)

    def learn(self, output: Tensor, logit: Tensor, plastic: dict[str, PlasticLinear]) -> tuple[Tensor, ...]:
        """Update all fast weights after a token; returns rate, decay and norm of the update."""
        if not plastic:
            return (torch.zeros_like(logit),) * 3
        changes = self.changes(output, plastic)
        if not self.config.differentiated:
            changes, logit = [(dw.detach(), dc.detach()) for dw, dc in changes], logit.detach()
        norm = (sum(dw.square().sum() for dw, _ in changes) + 1e-8).sqrt()
        chosen = self.config.eta0 * (logit.sigmoid() if self.config.modulated else logit * 0 + 0.5)
        rate = chosen
        if self.config.max_norm > 0:
            rate = chosen * torch.minimum(torch.ones_like(norm), self.config.max_norm / (norm + 1e-8))
        decay = rate if self.config.clip_decay else chosen
        for layer, change in zip(plastic.values(), changes, strict=True):
            layer.write(change, rate, decay)
            if not self.config.differentiated:
                layer.w, layer.c = (each.detach().requires_grad_() for each in (layer.w, layer.c))
        return rate, decay, norm

    def changes(self, output: Tensor, plastic: dict[str, PlasticLinear]) -> list[tuple[Tensor, Tensor]]:
        """dw and dc of every plastic layer."""
        if self.config.rule != "gradient":
            return [layer.changes(self.config.rule) for layer in plastic.values()]
        loss = self.inner(output).square().mean()
        asked = [part for layer in plastic.values() for part in (layer.w, layer.c)]
        create = self.config.differentiated
        found = torch.autograd.grad(loss, asked, retain_graph=True, create_graph=create)
        return list(zip(found[::2], found[1::2], strict=True))

    def gradients(self) -> dict[str, Tensor]:
        """Gradients of the parameters after `backward()`, named as in `wm.plastic`; 0 where there is none."""
        return {
            _renamed(name): torch.zeros_like(each) if each.grad is None else each.grad
            for name, each in self.named_parameters()
        }

    def linear(self, weights: Mapping[str, Tensor], name: str) -> PlasticLinear:
        """A plastic layer with the shapes that the weights have."""
        rates = {kind: weights[f"{name}.{kind}"] for kind in RATES if f"{name}.{kind}" in weights}
        outputs, inputs = weights[f"{name}.weight"].shape
        return PlasticLinear(inputs, outputs, rates)


class Block(nn.Module):
    """h += attention(norm(h)); h += W2 gelu(W1 norm(h)), W1 and W2 plastic."""

    def __init__(self, config: PlasticConfig, first: PlasticLinear, second: PlasticLinear) -> None:
        super().__init__()
        self.norm1, self.norm2 = nn.LayerNorm(config.width), nn.LayerNorm(config.width)
        self.attention = nn.MultiheadAttention(config.width, config.heads, config.dropout)
        self.first, self.second, self.drop = first, second, nn.Dropout(config.dropout)
        self.window = config.window

    def forward(self, h: Tensor) -> Tensor:
        """(unit,) -> (unit,)."""
        self.history.append(self.norm1(h))
        seen = torch.stack(self.history[-self.window :])
        attended, _ = self.attention(self.history[-1][None], seen, seen)
        h = h + self.drop(attended[0])
        hidden = self.drop(F.gelu(self.first(self.norm2(h))))
        return h + self.drop(self.second(hidden))


class PlainTransformer(_Plain):
    """A transformer whose feed-forward layers are plastic."""

    def build(self, weights: Mapping[str, Tensor]) -> None:
        """Make the modules."""
        config = self.config
        self.input = nn.Linear(self.task.inputs, config.width)
        if config.positions:
            self.positions = nn.Parameter(torch.empty_like(weights["positions"]))
        self.blocks = nn.ModuleList(
            Block(config, *(self.linear(weights, f"blocks.{k}.{part}") for part in ("first", "second")))
            for k in range(config.layers)
        )
        self.norm, self.head = nn.LayerNorm(config.width), nn.Linear(config.width, self.outputs)
        if config.rule == "gradient":
            self.internal = nn.Linear(self.outputs, self.outputs, bias=False)

    def plastic(self) -> dict[str, PlasticLinear]:
        """Plastic layers by name."""
        parts = ((k, block, part) for k, block in enumerate(self.blocks) for part in ("first", "second"))
        return {f"blocks.{k}.{part}": getattr(block, part) for k, block, part in parts}

    def begin(self) -> None:
        """Forget all tokens."""
        for block in self.blocks:
            block.history = []

    def token(self, x: Tensor, time: int) -> Tensor:
        """Outputs (answers, logit of the rate, auxiliary) at one token."""
        h = self.input(x)
        if self.config.positions:
            h = h + self.positions[time]
        for block in self.blocks:
            h = block(h)
        return self.head(self.norm(h))

    def inner(self, output: Tensor) -> Tensor:
        """What the internal loss squares."""
        return self.internal(output)


class PlainRecurrent(_Plain):
    """An RNN of rectified units, or an LSTM; input, recurrent and output layer are plastic."""

    def build(self, weights: Mapping[str, Tensor]) -> None:
        """Make the modules."""
        self.input, self.recurrent, self.head = (self.linear(weights, name) for name in LAYERS)
        if self.config.rule == "gradient":
            self.internal = nn.Parameter(torch.empty_like(weights["internal"]))

    def plastic(self) -> dict[str, PlasticLinear]:
        """Plastic layers by name."""
        return {name: getattr(self, name) for name in LAYERS}

    def begin(self) -> None:
        """Start with silent units and empty cells."""
        self.h = self.c = self.head.weight.new_zeros(self.config.width)

    def token(self, x: Tensor, time: int) -> Tensor:
        """Outputs (answers, logit of the rate, auxiliary) at one token."""
        x = self.input(x, F.relu).relu()
        joined = torch.cat([x, self.h])
        if self.config.body == "rnn":
            self.h = self.recurrent(joined, F.relu).relu()
        else:
            i, f, g, o = _gates(self.recurrent(joined, lambda y: torch.cat(_gates(y))))
            self.c = f * self.c + i * g
            self.h = o * self.c.tanh()
        return self.head(self.h)

    def inner(self, output: Tensor) -> Tensor:
        """What the internal loss squares."""
        return self.internal * output


def plain(config: PlasticConfig, weights: Mapping[str, Tensor]) -> PlainTransformer | PlainRecurrent:
    """The reference of a configuration; ValueError for bodies that have no plastic layers."""
    if config.body not in ("transformer", "rnn", "lstm"):
        raise ValueError(f"there is no plain reference of a {config.body}")
    return (PlainTransformer if config.body == "transformer" else PlainRecurrent)(config, weights)


def _gates(y: Tensor) -> tuple[Tensor, Tensor, Tensor, Tensor]:
    """Input, forget, cell and output gate."""
    i, f, g, o = y.chunk(4)
    return i.sigmoid(), f.sigmoid(), g.tanh(), o.sigmoid()


def _renamed(name: str) -> str:
    for old, new in RENAMED.items():
        name = name.replace(old, new)
    return name
