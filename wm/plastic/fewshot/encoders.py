"""Convolutional encoders of drawings, for an ensemble of networks at once: Conv-4, and a ResNet-12.

Conv-4 (Snell et al. 2017, arXiv 1703.05175): four times a 3 x 3 convolution, batch norm, ReLU and the
largest of 2 x 2. ResNet-12 (Oreshkin et al. 2018, arXiv 1805.10123): four residual blocks of three
convolutions. Norms take mean and variance over the drawings that are given together, or, where `weights` hold
them (`.mean`, `.variance`), those.
"""

from __future__ import annotations

__all__ = ["WIDTHS", "conv4", "conv4_shapes", "resnet12", "resnet12_shapes", "seen_by_conv4"]

from collections.abc import Mapping
from dataclasses import dataclass

import torch
import torch.nn.functional as F
from torch import Tensor

Weights = Mapping[str, Tensor]
DEPTH, WIDTH = 4, 64
WIDTHS = (64, 96, 128, 256)
"""channels of the blocks of the ResNet-12; the last makes as many numbers as Conv-4, 256"""


def conv4_shapes(channels: int) -> dict[str, tuple[int, ...]]:
    """Names and shapes of the parameters of a Conv-4 on drawings of so many channels."""
    return {
        name: shape
        for k in range(DEPTH)
        for name, shape in _unit(f"encoder.{k}", channels if k == 0 else WIDTH, WIDTH, 3).items()
    }


def resnet12_shapes(channels: int) -> dict[str, tuple[int, ...]]:
    """Those of a ResNet-12."""
    shapes = {}
    for block, width in enumerate(WIDTHS):
        before = WIDTHS[block - 1] if block else channels
        for k in range(3):
            shapes |= _unit(f"encoder.{block}.{k}", width if k else before, width, 3)
        shapes |= _unit(f"encoder.{block}.shortcut", before, width, 1)
    return shapes


def _unit(name: str, before: int, after: int, side: int) -> dict[str, tuple[int, ...]]:
    """A convolution and its norm, which makes a bias needless."""
    kernel = {f"{name}.weight": (after, before, side, side)}
    return kernel | {f"{name}.norm.weight": (after,), f"{name}.norm.bias": (after,)}


def conv4(weights: Weights, drawings: Tensor, found: dict[str, Tensor] | None = None) -> Tensor:
    """(network, drawing, channel, row, column) of 32 x 32 pixels -> (network, drawing, 256).

    found: filled with means and variances of norms (network, unit) over these drawings, by name.
    """
    x, unit = _together(drawings), _Unit(weights, drawings.shape[0], found)
    for k in range(DEPTH):
        x = F.max_pool2d(torch.relu(unit(f"encoder.{k}", x)), 2)
    return _apart(x, unit.networks)


def resnet12(weights: Weights, drawings: Tensor, found: dict[str, Tensor] | None = None) -> Tensor:
    """(network, drawing, channel, row, column) -> (network, drawing, 256), means over the last map."""
    x, unit = _together(drawings), _Unit(weights, drawings.shape[0], found)
    for block in range(len(WIDTHS)):
        shortcut = unit(f"encoder.{block}.shortcut", x)
        for k in range(3):
            y = unit(f"encoder.{block}.{k}", x)
            x = F.leaky_relu(y if k < 2 else y + shortcut, 0.1)
        x = F.max_pool2d(x, 2)
    return _apart(x.mean(dim=(2, 3), keepdim=True), unit.networks)


def seen_by_conv4(weights: Weights, inputs: Tensor, task) -> Tensor:
    """Tokens whose drawings are pixels -> tokens whose drawings are numbers, (network, trial, time, input).

    Labelled drawings and queries are given to the encoder apart, each of all trials together, as published.
    """
    drawings, rest = inputs.split([task.pixels, inputs.shape[3] - task.pixels], dim=3)
    support = task.ways * task.shots
    parts = [part for part in (drawings[:, :, :support], drawings[:, :, support:]) if part.shape[2]]
    side = (task.channels, *[round((task.pixels / task.channels) ** 0.5)] * 2)
    encoded = [
        conv4(weights, part.flatten(1, 2).unflatten(2, side)).unflatten(1, part.shape[1:3]) for part in parts
    ]
    return torch.cat([torch.cat(encoded, dim=2), rest], dim=3)


def _together(drawings: Tensor) -> Tensor:
    """(network, drawing, channel, ...) -> (drawing, network x channel, ...): groups of one convolution."""
    return drawings.transpose(0, 1).flatten(1, 2)


def _apart(x: Tensor, networks: int) -> Tensor:
    """(drawing, network x channel, ...) -> (network, drawing, channel x ...)."""
    return x.unflatten(1, (networks, -1)).transpose(0, 1).flatten(2)


@dataclass(frozen=True, eq=False)
class _Unit:
    """Convolution and norm of each network."""

    weights: Weights
    networks: int
    found: dict[str, Tensor] | None

    def __call__(self, name: str, x: Tensor) -> Tensor:
        kernel = self.weights[f"{name}.weight"]
        x = F.conv2d(x, kernel.flatten(0, 1), padding=kernel.shape[-1] // 2, groups=self.networks)
        known = [self.weights[f"{name}.norm.{part}"].flatten() for part in ("weight", "bias")]
        if f"{name}.norm.mean" in self.weights:
            held = (self.weights[f"{name}.norm.{part}"].flatten() for part in ("mean", "variance"))
            return F.batch_norm(x, *held, *known)
        if self.found is not None:
            variance, mean = torch.var_mean(x, dim=(0, 2, 3), correction=0)
            for part, value in (("mean", mean), ("variance", variance)):
                self.found[f"{name}.norm.{part}"] = value.unflatten(0, (self.networks, -1))
        return F.batch_norm(x, None, None, *known, training=True)
