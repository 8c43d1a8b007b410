"""From features of images to what recurrent networks are given: reduced maps, attention, the task.

Every tensor has a leading network axis. Attention is of the public re-make of Lei et al. 2024, not theirs:
spatial multiplies what is at each position by how well it fits the task, task_only and dual each channel.
"""

from __future__ import annotations

__all__ = ["affine", "attend", "attention_shapes", "embed", "linear", "reduced", "sense"]

from collections.abc import Mapping

import torch
import torch.nn.functional as F
from torch import Tensor

from .families import NBackConfig

Weights = Mapping[str, Tensor]


def linear(name: str, rows: int, columns: int) -> dict[str, tuple[int, ...]]:
    """Shapes of a linear layer's parameters."""
    return {f"{name}.weight": (rows, columns), f"{name}.bias": (rows,)}


def affine(weights: Weights, name: str, x: Tensor) -> Tensor:
    """W x + b of every network: x (network, ..., input) -> (network, ..., output)."""
    return _product(x, weights[f"{name}.weight"], weights[f"{name}.bias"])


def reduced(config: NBackConfig) -> int:
    """Numbers that are left of the backbone's channels at each position."""
    return config.channels or config.units


def embed(weights: Weights, features: Tensor) -> Tensor:
    """The reduced map of each image, a linear layer at each position (a 1 x 1 convolution).

    features (image, position, number) -> (network, image, position, channel).
    """
    networks = len(weights["reduce.weight"])
    return affine(weights, "reduce", features.expand(networks, *features.shape))


def sense(
    config: NBackConfig, weights: Weights, embedding: Tensor, images: Tensor, vectors: Tensor
) -> tuple[Tensor, Tensor | None]:
    """Input of the recurrent layers, (network, trial, time, unit), and where attention went.

    ReLU(LayerNorm(W [map ; task] + b)), the map with its positions side by side. embedding: of `embed`;
    images (network, trial, time), its rows; vectors (network, trial, number) tell the task. Attention:
    (network, trial, time, position | unit), None without.
    """
    whole, gates = weights["join.weight"], None
    of_map, of_task = whole.split([whole.shape[-1] - config.task_vector, config.task_vector], dim=-1)
    if config.attention == "none":
        joined = _rows(_product(embedding.flatten(2), of_map, weights["join.bias"]), images)
    else:
        seen = _rows(embedding, images)
        gates = attend(config, weights, seen, vectors)
        spatial = config.attention == "spatial"
        seen = seen * (gates[..., None] * gates.shape[-1] if spatial else gates[..., None, :])
        joined = _product(seen.flatten(3), of_map, weights["join.bias"])
    joined = joined + (vectors @ of_task.mT)[:, :, None]
    normal = F.layer_norm(joined, joined.shape[-1:])
    scale, shift = (weights[f"norm.{name}"][:, None, None] for name in ("weight", "bias"))
    return F.relu(normal * scale + shift), gates


def attention_shapes(config: NBackConfig) -> dict[str, tuple[int, ...]]:
    """Shapes of the parameters of attention."""
    units, told, left = config.units, config.task_vector, reduced(config)
    first = linear("attention.first", units, told) | linear("attention.second", units, units)
    match config.attention:
        case "spatial":
            key = linear("attention.key", units, left) | {"attention.score.weight": (1, units)}
            return first | key | {"attention.scale": (1,)}
        case "task_only":
            third = linear("attention.third", left, units)
            return first | third | {"attention.direct.weight": (left, told)}
        case "dual":
            key = linear("attention.key", units, left)
            return first | key | linear("attention.third", left, units)
    return {}


def attend(config: NBackConfig, weights: Weights, seen: Tensor, vectors: Tensor) -> Tensor:
    """Weights of positions (network, trial, time, position) or gates of channels (..., channel).

    seen: maps f (network, trial, time, position, channel); vectors: tasks t (network, trial, number).

    - spatial: softmax over positions p of s v . (q * k_p), q = A2 ReLU(A1 t), k_p = ReLU(U f_p)
    - task_only: sigmoid(M3 ReLU(M2 ReLU(M1 t)) + B t)
    - dual: sigmoid(M3 ReLU(M2 (ReLU(M1 t) * ReLU(U f)))), f the mean over positions

    All but s, v and B with biases. Maps are multiplied by the gates, or by the weights times the number of
    positions, so that even attention changes nothing.
    """
    first = F.relu(affine(weights, "attention.first", vectors))
    if config.attention == "dual":
        key = F.relu(affine(weights, "attention.key", seen.mean(dim=3)))
        second = F.relu(affine(weights, "attention.second", first[:, :, None] * key))
        return torch.sigmoid(affine(weights, "attention.third", second))
    second = affine(weights, "attention.second", first)
    if config.attention == "task_only":
        third = affine(weights, "attention.third", F.relu(second))
        gates = torch.sigmoid(third + vectors @ weights["attention.direct.weight"].mT)
        return gates[:, :, None].expand(*seen.shape[:3], -1)
    query = second * weights["attention.score.weight"] * weights["attention.scale"][:, None]
    key = F.relu(affine(weights, "attention.key", seen))
    return torch.einsum("kbu,kbtpu->kbtp", query, key).softmax(dim=-1)


def _product(x: Tensor, weight: Tensor, bias: Tensor) -> Tensor:
    """W x + b, x (network, ..., input), weight (network, output, input), bias (network, output)."""
    return torch.baddbmm(bias[:, None], x.flatten(1, -2), weight.mT).unflatten(1, x.shape[1:-1])


def _rows(table: Tensor, rows: Tensor) -> Tensor:
    """Rows (network, trial, time) of what each network has of each image, (network, image, ...)."""
    networks, images = table.shape[:2]
    first = torch.arange(networks, device=rows.device)[:, None, None] * images
    return table.flatten(0, 1)[(rows + first).flatten()].unflatten(0, rows.shape)
