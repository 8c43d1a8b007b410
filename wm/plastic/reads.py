"""Which earlier token a plastic layer reads from its fast weights: the attention of the fast weights.

What a layer reads at token t is a sum over the tokens s that were written before (`wm.plastic.memory`),

    w x_t + c = sum_s R_ts,    R_ts = C_ts ((alpha o v_s k_s^T) x_t + beta o v_s).

`contributions` are the R_ts; `read_matrix`: the factors with which tokens are read; `shares` of what is read.
"""

from __future__ import annotations

__all__ = ["contributions", "item_reads", "own_reads", "read_matrix", "shares"]

from collections.abc import Sequence

import numpy as np
import torch
from torch import Tensor

from .families import make_task
from .inside import Watched, check_layer
from .memory import Memory, recall
from .parameters import ALPHA_FIXED


def contributions(
    watched: Watched, layer: str, *, at: Sequence[int] | None = None, of: Sequence[int] | None = None
) -> Tensor:
    """R_ts (trial, at, of, output): what tokens `at` read of what tokens `of` wrote; None: all tokens.

    Over all written tokens they add up to w x + c. Each is `recall` from a memory of one token. Raises
    ValueError for an unknown layer.
    """
    check_layer(watched, layer)
    tokens = range(watched.before.shape[2])
    at, of = list(tokens if at is None else at), list(tokens if of is None else of)
    x = watched.x[layer][0][:, at]
    pairs = (len(x), len(of))  # each is a sequence of its own, with one token written

    def single(part: Tensor) -> Tensor:
        return part[:, :, of].reshape(1, -1, 1, part.shape[-1])

    memory = watched.trace.memory
    one = Memory(x, {layer: single(memory.values[layer])}, {layer: single(memory.keys[layer])})
    queries = x[:, None].expand(*pairs, *x.shape[1:]).reshape(1, -1, *x.shape[1:])
    matrix = watched.before[0][:, at][..., of].mT.reshape(1, -1, len(at), 1)
    found = recall(watched.trained.weights, layer, queries, one, matrix)
    return found[0].unflatten(0, pairs).movedim(1, 2)


def shares(watched: Watched, layer: str) -> np.ndarray:
    """R_ts . F_t / |F_t|^2 with F_t = sum_s R_ts, (trial, time, written): rows sum to 1.

    Negative: what a token wrote works against the rest. 0 where nothing is read.
    """
    terms = contributions(watched, layer)
    whole = terms.sum(dim=2)
    along = torch.einsum("btso,bto->bts", terms, whole)
    return (along / whole.square().sum(-1, keepdim=True)).nan_to_num(0, 0, 0).numpy()


def read_matrix(watched: Watched, layer: str) -> np.ndarray:
    """C_ts times score, (trial, time, written): with which factor token t reads what token s wrote.

    Scores are those of `wm.plastic.memory.recall`: alpha k_s . x_t + beta, and k_s . (columns o x_t) where
    learning rates are of low rank, what beta adds left out. Raises ValueError for an unknown layer, and where
    each synapse has a learning rate of its own: no one factor then belongs to a token (see `shares`).
    """
    check_layer(watched, layer)
    weights, x, keys = watched.trained.weights, watched.x[layer][0], watched.trace.memory.keys[layer][0]
    if watched.trained.config.alpha == "full":
        raise ValueError(f"{layer} has a learning rate for each synapse, no factor for a token: use shares")
    if f"{layer}.columns" in weights:
        score = (x * weights[f"{layer}.columns"]) @ keys.mT
    else:
        fixed = x.new_tensor([ALPHA_FIXED])
        alpha, beta = (weights.get(f"{layer}.{name}", fixed) for name in ("alpha", "beta"))
        score = alpha * (x @ keys.mT) + beta
    return (watched.before[0] * score).numpy()


def item_reads(watched: Watched, items: int | None = None) -> np.ndarray:
    """How much each query reads of each of the first tokens, (trial, query, item), as shares of their sum.

    |R_ts| / |F_t|, summed over layers. items: how many, by default as many as queries.
    """
    queries, found = np.flatnonzero(make_task(watched.trained.config).queries), 0
    for layer in watched.layers:
        read = contributions(watched, layer, at=queries, of=range(items or len(queries))).norm(dim=-1)
        found = found + read / (watched.fast[layer][0][:, queries].norm(dim=-1, keepdim=True) + 1e-12)
    return (found / found.sum(dim=-1, keepdim=True)).numpy()


def own_reads(shares: np.ndarray) -> dict[str, float]:
    """From `item_reads` (trial, query, item): share of the own item, how often it is largest, by answer."""
    own = shares.diagonal(axis1=1, axis2=2)
    largest = (shares.argmax(axis=2) == np.arange(shares.shape[1])).mean()
    by_answer = {f"answer {k + 1}": value for k, value in enumerate(own.mean(axis=0))}
    return {"share of its own": own.mean(), "own is largest": largest} | by_answer
