"""N-back networks: their parameters, and how they answer.

A network has features of each image (of a backbone that is not trained), reduces them at every position,
joins them with the task, and answers after each image from the state of its recurrent layers, which starts at
0. Many networks are computed at once: every tensor has a leading network axis.
"""

from __future__ import annotations

__all__ = ["Trace", "initial", "layout", "respond", "run"]

import math
from typing import NamedTuple

import torch
from torch import Tensor

from ..ensemble import Layout
from ..seeds import torch_generator
from .catalogue import BACKBONES, POOLS
from .families import NBackConfig
from .senses import Weights, affine, attention_shapes, embed, linear, reduced, sense
from .task import RESPONSES, task_vectors

GATES = {"rnn": 1, "gru": 3, "lstm": 4}
"""parts of a recurrent layer's matrices; gru: reset, update, new; lstm: input, forget, new, output"""


class Trace(NamedTuple):
    """What networks do in trials."""

    logits: Tensor
    """of each of `RESPONSES`, (network, trial, time, response)"""
    states: Tensor
    """of the last recurrent layer, (network, trial, time, unit)"""
    cells: Tensor | None
    """the same of an LSTM's cells"""
    attention: Tensor | None
    """see `wm.nback.senses.sense`"""
    embedding: Tensor
    """reduced map of each image, (network, image, position, channel)"""

    @property
    def answers(self) -> Tensor:
        """Places in `RESPONSES`, (network, trial, time)."""
        return self.logits.argmax(dim=-1)


def layout(config: NBackConfig, channels: int | None = None) -> Layout:
    """Parameters of a network of this configuration.

    channels: of the features, by default those of the backbone. Linear layers have `.weight` (output, input)
    and `.bias`; matrices of recurrent layers are in the order of torch.nn.
    """
    units, left = config.units, reduced(config)
    maps = POOLS[config.pool] * left
    shapes = linear("reduce", left, channels or BACKBONES[config.backbone])
    shapes |= attention_shapes(config) | linear("join", units, maps + config.task_vector)
    shapes |= {"norm.weight": (units,), "norm.bias": (units,)}
    for layer in range(config.layers):
        for name in ("input", "hidden"):
            shapes |= linear(f"recurrent.{layer}.{name}", GATES[config.architecture] * units, units)
    return Layout(shapes | linear("answer", len(RESPONSES), units))


def initial(config: NBackConfig, seed: str, channels: int | None = None) -> Tensor:
    """First parameters (parameter,) of a network: those of torch's layers; each from a stream of its own.

    Uniform within 1 / sqrt(inputs), in recurrent layers 1 / sqrt(units); norms one; the scale of spatial
    attention 1 / sqrt(units).
    """
    parts, shapes = [], layout(config, channels).shapes
    for name, shape in shapes.items():
        drawn = torch.empty(shape).uniform_(-1, 1, generator=torch_generator(seed, "initial", name))
        layer = name.rpartition(".")[0]
        if layer == "norm":
            drawn = torch.full(shape, float(name == "norm.weight"))
        elif name == "attention.scale":
            drawn = torch.full(shape, 1 / math.sqrt(config.units))
        elif layer.startswith("recurrent"):
            drawn = drawn / math.sqrt(config.units)
        else:
            drawn = drawn / math.sqrt(shapes[f"{layer}.weight"][1])
        parts.append(drawn.flatten())
    return torch.cat(parts)


def run(
    config: NBackConfig, weights: Weights, features: Tensor, images: Tensor, tasks: Tensor, **options
) -> Trace:  # fmt: skip
    """Show trials to networks.

    features (image, position, channel) float; images (network, trial, time), rows of them; tasks (network,
    trial), places in `TASKS`; options: of `respond`.
    """
    return respond(config, weights, embed(weights, features), images, tasks=tasks, **options)


def respond(
    config: NBackConfig, weights: Weights, embedding: Tensor, images: Tensor, *, tasks: Tensor,
    masks: Tensor | None = None, start: tuple[Tensor, ...] | None = None,
) -> Trace:  # fmt: skip
    """The same as `run`, from reduced maps (network, image, position, channel).

    masks: factors of what goes from one recurrent layer to the next, (layer, network, trial, time, unit).
    start: states before the trial, (network, trial, layer, unit), and for an LSTM its cells; by default 0.
    """
    vectors = task_vectors(tasks, config.task_vector).to(embedding.dtype)
    x, attention = sense(config, weights, embedding, images, vectors)
    for layer in range(config.layers):
        if layer and masks is not None:
            x = x * masks[layer - 1]
        own = None if start is None else tuple(each[:, :, layer] for each in start)
        x, *cells = _recurrent(config.architecture, weights, f"recurrent.{layer}", x, start=own)
    logits = affine(weights, "answer", x)
    return Trace(logits, x, cells[0] if cells else None, attention, embedding)


def _recurrent(
    architecture: str, weights: Weights, name: str, x: Tensor, *, start: tuple[Tensor, ...] | None
) -> list[Tensor]:
    """States, and cells of an LSTM, of one layer at every step, (network, trial, time, unit)."""
    advance = _ADVANCE[architecture]
    if start is None:
        zero = torch.zeros_like(x[:, :, 0])
        start = (zero, zero) if architecture == "lstm" else (zero,)
    state, kept = start, []
    for driven in affine(weights, f"{name}.input", x).unbind(dim=2):
        state = advance(driven, affine(weights, f"{name}.hidden", state[0]), *state)
        kept.append(state)
    return [torch.stack(each, dim=2) for each in zip(*kept, strict=True)]


def _rnn(driven: Tensor, recurrent: Tensor, _: Tensor) -> tuple[Tensor]:
    """h' = tanh(W x + b + V h + c)."""
    return (torch.tanh(driven + recurrent),)


def _gru(driven: Tensor, recurrent: Tensor, h: Tensor) -> tuple[Tensor]:
    """h' = (1 - z) n + z h, n = tanh(W x + b + r (V h + c)), gates r and z logistic."""
    units = h.shape[-1]
    gates = torch.sigmoid(driven[..., : 2 * units] + recurrent[..., : 2 * units])
    reset, kept = gates.split(units, dim=-1)
    new = torch.tanh(driven[..., 2 * units :] + reset * recurrent[..., 2 * units :])
    return (torch.lerp(new, h, kept),)


def _lstm(driven: Tensor, recurrent: Tensor, h: Tensor, cell: Tensor) -> tuple[Tensor, Tensor]:
    """c' = f c + i g, h' = o tanh(c'), gates i, f and o logistic, g tanh."""
    taken, kept, new, shown = (driven + recurrent).split(h.shape[-1], dim=-1)
    cell = torch.sigmoid(kept) * cell + torch.sigmoid(taken) * torch.tanh(new)
    return torch.sigmoid(shown) * torch.tanh(cell), cell


_ADVANCE = {"rnn": _rnn, "gru": _gru, "lstm": _lstm}
