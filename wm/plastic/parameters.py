"""Parameters of plastic networks: names, shapes and first values."""

from __future__ import annotations

__all__ = ["ALPHA_FIXED", "initial", "layout", "plastic_layers"]

import math

import torch
from torch import Tensor

from ..ensemble import Layout
from ..train import torch_generator
from .families import RECURRENT, PlasticConfig, make_task
from .fewshot.encoders import conv4_shapes
from .rules import RULES

ALPHA_FIXED = 0.02
"""learning rate of all synapses where it is not learned, as published"""


def plastic_layers(config: PlasticConfig) -> dict[str, tuple[int, int]]:
    """name -> (outputs, inputs) of the layers whose weights are plastic, in the order of computation."""
    task, width = make_task(config), config.width
    if config.body in RECURRENT:
        gates = 4 if config.body == "lstm" else 1
        return {
            "input": (width, task.inputs),
            "recurrent": (gates * width, 2 * width),
            "head": (_outputs(config), width),
        }
    found = {}
    for block in range(config.layers):
        if config.plastic_blocks == "all" or block == config.layers - 1:
            found |= _feedforward(config, block)
    return found


def layout(config: PlasticConfig) -> Layout:
    """Parameters of a network of this configuration.

    Linear layers have `.weight` (output, input) and `.bias`; plastic ones `.alpha` (scalar: (1,); low rank:
    `.rows` (output,) and `.columns` (input,); full: (output, input)) and `.beta` (scalar: (1,), else
    (output,)), unless the rule writes nothing or the rates are fixed.
    """
    task, width, rule = make_task(config), config.width, RULES[config.rule]
    shapes = conv4_shapes(task.channels) if config.encoder == "conv4" else {}
    if config.body not in RECURRENT:
        shapes |= _linear("input", width, task.inputs)
    if config.positions:
        shapes["positions"] = (task.length, width)
    if config.body not in RECURRENT:
        shapes |= _blocks(config) | _linear("head", _outputs(config), width)
    plastic = plastic_layers(config)
    for name, (rows, columns) in (_all_feedforward(config) | plastic).items():
        shapes |= _linear(name, rows, columns)
        if name in plastic and rule.write and config.alpha_start != "fixed":
            shapes |= _synapses(config.alpha, name, rows, columns)
    if rule.needs_gradient:
        outputs = _outputs(config)
        shapes["internal"] = (outputs,) if config.body in RECURRENT else (outputs, outputs)
    return Layout(shapes)


def initial(config: PlasticConfig, seed: str) -> Tensor:
    """First parameters (parameter,) of a network: those of torch's layers; each from a stream of its own.

    Linear layers and convolutions: uniform within 1 / sqrt(inputs), attention's inputs after Glorot, norms
    one; linear layers of recurrent networks uniform within 1 / sqrt(outputs), 2 / sqrt(4 units) for an LSTM
    (Duan et al.).
    """
    parts = []
    shapes = layout(config).shapes
    for name, shape in shapes.items():
        drawn = torch.empty(shape).uniform_(-1, 1, generator=torch_generator(seed, "initial", name))
        parts.append((drawn * _reach(config, name, shapes) + _centre(config, name)).flatten())
    return torch.cat(parts)


def _outputs(config: PlasticConfig) -> int:
    """Answers, the rate's logit, auxiliary outputs."""
    return make_task(config).outputs + 1 + config.auxiliary


def _feedforward(config: PlasticConfig, block: int) -> dict[str, tuple[int, int]]:
    """The feed-forward layers of a block, (outputs, inputs)."""
    hidden, width = config.feedforward, config.width
    return {f"blocks.{block}.first": (hidden, width), f"blocks.{block}.second": (width, hidden)}


def _all_feedforward(config: PlasticConfig) -> dict[str, tuple[int, int]]:
    blocks = () if config.body in RECURRENT else range(config.layers)
    return {name: shape for block in blocks for name, shape in _feedforward(config, block).items()}


def _linear(name: str, rows: int, columns: int) -> dict[str, tuple[int, ...]]:
    return {f"{name}.weight": (rows, columns), f"{name}.bias": (rows,)}


def _norm(name: str, width: int) -> dict[str, tuple[int, ...]]:
    return {f"{name}.weight": (width,), f"{name}.bias": (width,)}


def _synapses(alpha: str, name: str, rows: int, columns: int) -> dict[str, tuple[int, ...]]:
    if alpha == "scalar":
        return {f"{name}.alpha": (1,), f"{name}.beta": (1,)}
    if alpha == "full":
        return {f"{name}.alpha": (rows, columns), f"{name}.beta": (rows,)}
    return {f"{name}.rows": (rows,), f"{name}.columns": (columns,), f"{name}.beta": (rows,)}


def _blocks(config: PlasticConfig) -> dict[str, tuple[int, ...]]:
    """Attention and norms; the plastic feed-forward layers stand apart."""
    width, shapes = config.width, {}
    for block in (f"blocks.{k}" for k in range(config.layers)):
        shapes |= _norm(f"{block}.norm1", width) | _linear(f"{block}.attention.input", 3 * width, width)
        shapes |= _linear(f"{block}.attention.output", width, width)
        if config.body == "delta_net":
            shapes |= _linear(f"{block}.attention.rate", config.heads, width)
        shapes |= _norm(f"{block}.norm2", width)
    return shapes | _norm("norm", width)


def _reach(config: PlasticConfig, name: str, shapes: dict[str, tuple[int, ...]]) -> float:
    """Parameters start uniform within this distance of `_centre`."""
    layer, _, kind = name.rpartition(".")
    if kind in ("alpha", "beta", "rows", "columns"):
        return float(config.alpha_start == "random")
    if name == "internal":
        return 0.0 if config.body in RECURRENT else 1 / math.sqrt(shapes[name][1])
    if "norm" in layer or (layer.endswith("attention.input") and kind == "bias"):
        return 0.0
    if layer.endswith("attention.output") and kind == "bias":
        return 0.0
    if name == "positions":
        return 1 / math.sqrt(make_task(config).inputs)
    rows, *rest = shapes[f"{layer}.weight"]
    columns = math.prod(rest)
    if layer.endswith("attention.input"):
        return math.sqrt(6 / (rows + columns))
    if config.body == "lstm" and layer == "recurrent":
        return 2 / math.sqrt(rows)
    return 1 / math.sqrt(rows if config.body in RECURRENT and not rest[1:] else columns)


def _centre(config: PlasticConfig, name: str) -> float:
    layer, _, kind = name.rpartition(".")
    if kind in ("alpha", "beta", "rows", "columns"):
        sign = {"random": 0.0, "ones": 1.0, "minus_ones": -1.0}[config.alpha_start]
        return abs(sign) if kind == "columns" else sign  # one minus is enough for a product
    ones = ("norm" in layer and kind == "weight") or (name == "internal" and config.body in RECURRENT)
    return float(ones)
