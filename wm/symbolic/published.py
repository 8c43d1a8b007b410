"""First weights of the published transformer, as its script draws them from a key of JAX."""

from __future__ import annotations

__all__ = ["first_weights"]

import numpy as np
import torch
from torch import Tensor

from . import jax_random as random
from .transformer import Shape


def first_weights(shape: Shape, seed: int) -> dict[str, Tensor]:
    """Parameters of a `Transformer` by name, drawn with the keys and in the order of the published script.

    Their distributions are those of `Transformer.reset`. The key is split in three: the second is that of W_E
    and, split again, of each layer, the third that of W_pos. Raises ValueError for a shape that was not
    published (an MLP, layer norms, a read-out of its own), and as `jax_random.key` does.
    """
    if shape.mlp or shape.norm or not shape.tied:
        raise ValueError(
            "only attention alone, without norms and with a tied read-out, has published weights"
        )
    _, tokens, positions = random.split(random.key(seed), 3)
    width = np.float32(np.sqrt(shape.d_model))
    found = {
        "embed.W_E": random.normal(tokens, (shape.symbols, shape.d_model)) / np.sqrt(2 * shape.d_model),
        "pos_embed.W_pos": random.normal(positions, (shape.positions, shape.d_model)),
    }
    for layer, key in enumerate(random.split(tokens, shape.layers + 1)[1:]):
        keys, attention = random.split(key, 9), f"blocks.{layer}.attn"
        narrow = (shape.heads, shape.d_head)
        for k, name in enumerate("QKV", 1):
            drawn = random.normal(keys[k], (*narrow, shape.d_model))
            found[f"{attention}.W_{name}"] = drawn.swapaxes(1, 2) / width
            found[f"{attention}.b_{name}"] = random.normal(keys[k + 4], narrow) / np.sqrt(shape.d_head)
        found[f"{attention}.W_O"] = (
            np.moveaxis(random.normal(keys[4], (shape.d_model, *narrow)), 0, -1) / width
        )
        found[f"{attention}.b_O"] = random.normal(keys[8], (shape.d_model,)) / width
    return {name: torch.from_numpy(np.ascontiguousarray(value, np.float32)) for name, value in found.items()}
