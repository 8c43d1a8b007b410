"""Where attention heads look, and what a head is worth.

Query place t, key place k <= t; symbols a and b seen there. In the first layer, without a layer norm, the
scores of a head at a given t are a sum of two parts, so that its pattern is a profile over places times a
weight by symbol::

    score(t, k) = q(a, t) . W_K^T e_b / scale  +  q(a, t) . (W_K^T p_k + b_K) / scale
    q(a, t) = W_Q^T (e_a + p_t) + b_Q                    pattern(t, k) = softmax over k of score(t, k)
"""

from __future__ import annotations

__all__ = [
    "HeadScores", "ScoreParts", "by_lag", "entropies", "heads", "patterns", "score_parts", "shares",
    "without_head",
]  # fmt: skip

from typing import NamedTuple

import numpy as np
import pandas as pd
import torch
from numpy.typing import ArrayLike
from scipy.special import entr
from torch import Tensor

from .evaluate import Scores, score
from .library import Trained
from .task import Windows
from .transformer import Transformer


class ScoreParts(NamedTuple):
    """Scores of the query at one place, in nats: symbol[h, a, b] + position[h, a, k]."""

    symbol: np.ndarray
    """(head, query symbol, key symbol)"""
    position: np.ndarray
    """(head, query symbol, key place)"""


class HeadScores(NamedTuple):
    """What a network does without one head: `whole` with all of them, and `without` each."""

    whole: Scores
    without: list[Scores]


@torch.no_grad()
def patterns(model: Transformer, tokens: ArrayLike, layer: int = 0) -> np.ndarray:
    """Attention of a layer, tokens (window, time) -> (window, head, query, key), float64; rows sum to 1."""
    name = f"blocks.{layer}.attn.hook_pattern"
    cache = model.run_with_cache(torch.as_tensor(np.asarray(tokens)), name)[1]
    return cache[name].double().numpy()


def entropies(pattern: ArrayLike) -> np.ndarray:
    """-sum over keys of p ln p in nats, (..., key) -> (...); ln t where t keys have the same share."""
    return entr(np.asarray(pattern, dtype=np.float64)).sum(axis=-1)


def by_lag(pattern: ArrayLike) -> np.ndarray:
    """Share of attention 0, 1, ... steps back from the last place, (..., query, key) -> (..., lag)."""
    return np.asarray(pattern)[..., -1, ::-1]


def shares(pattern: ArrayLike, tokens: ArrayLike) -> dict[str, np.ndarray]:
    """Share of attention of the last place that lies on parts of the window, each (window, head).

    own: the run of the present symbol; previous: the run before it; change: the two places beside the last
    change of symbol, which belong to one of these runs each. 0 where the window has no such part.
    """
    last, tokens = np.asarray(pattern)[:, :, -1], np.asarray(tokens)
    changes = tokens[:, 1:] != tokens[:, :-1]
    ahead = np.pad(np.cumsum(changes[:, ::-1], axis=1)[:, ::-1], ((0, 0), (0, 1)))  # changes still to come
    begins = np.pad(changes, ((0, 0), (1, 0)))
    ends = np.pad(changes, ((0, 0), (0, 1)))
    parts = {
        "own": ahead == 0,
        "previous": ahead == 1,
        "change": (begins & (ahead == 0)) | (ends & (ahead == 1)),
    }
    return {name: np.einsum("whk,wk->wh", last, part) for name, part in parts.items()}


@torch.no_grad()
def score_parts(model: Transformer, places: int) -> ScoreParts:
    """The two parts of the first layer's scores, for a query at the last of `places` places.

    Raises ValueError for a model with layer norms, in which they do not simply add.
    """
    if model.shape.norm:
        raise ValueError("with layer norms scores are no sum of a symbol and a position part")
    attention = model.blocks[0].attn
    symbols, position = model.embed.W_E, model.pos_embed.W_pos[:places]
    query = torch.einsum("ad,hde->hae", symbols + position[-1], attention.W_Q) + attention.b_Q[:, None]
    query = query / attention.scale
    of_symbols = torch.einsum("bd,hde->hbe", symbols, attention.W_K)
    of_places = torch.einsum("kd,hde->hke", position, attention.W_K) + attention.b_K[:, None]
    found = (query @ keys.mT for keys in (of_symbols, of_places))
    return ScoreParts(*(part.double().numpy() for part in found))


def without_head(model: Transformer, windows: Windows, layer: int = 0) -> HeadScores:
    """Scores on windows (window, context + 1) where a head says the same whatever it sees.

    Its output z at every place is replaced by the mean over the windows, weighted by their probability.
    """
    name = f"blocks.{layer}.attn.hook_z"
    with torch.no_grad():
        z = model.run_with_cache(torch.as_tensor(windows.tokens[:, :-1]), name)[1][name]
    chance = torch.as_tensor(windows.probability, dtype=z.dtype)
    mean = torch.einsum("w,wthe->the", chance, z)
    found = []
    for head in range(z.shape[2]):

        def replace(x: Tensor, hook: object, head: int = head) -> Tensor:
            x = x.clone()
            x[:, :, head] = mean[:, head]
            return x

        with model.hooks([(name, replace)]):
            found.append(score(model, windows))
    return HeadScores(score(model, windows), found)


def heads(trained: Trained) -> pd.DataFrame:
    """A row for each head of the first layer, over all windows of the process with their probabilities.

    head; entropy, entropy_low, entropy_high: mean, least and largest over windows of the entropy at the last
    place, in nats; entropy_1, ...: mean by place; own, previous, change: mean `shares`; lag: mean steps back;
    symbol_nats, position_nats: standard deviation of its scores at the last place over key symbols, and over
    key places, mean over query symbols (see `score_parts`); loss, last_loss, last_accuracy: of the network
    without it, minus those of the whole network (`without_head`).
    """
    config, model = trained.config, trained.model
    assert isinstance(model, Transformer)
    tokens, chance = config.cycle().windows(config.context)
    pattern = patterns(model, tokens)
    entropy = entropies(pattern)  # (window, head, place)
    parts = score_parts(model, config.context)
    rows = {
        "head": np.arange(config.heads),
        "entropy": chance @ entropy[..., -1],
        "entropy_low": entropy[..., -1].min(axis=0),
        "entropy_high": entropy[..., -1].max(axis=0),
        **{name: chance @ part for name, part in shares(pattern, tokens).items()},
        "lag": chance @ (by_lag(pattern) @ np.arange(config.context)),
        "symbol_nats": parts.symbol.std(axis=2).mean(axis=1),
        "position_nats": parts.position.std(axis=2).mean(axis=1),
        **_worth(trained),
    }
    places = {f"entropy_{t + 1}": chance @ entropy[..., t] for t in range(config.context)}
    return pd.DataFrame(rows | places)


def _worth(trained: Trained) -> dict[str, np.ndarray]:
    """What is lost without each head."""
    config = trained.config
    whole, without = without_head(trained.model, config.cycle().windows(config.context + 1))

    def numbers(scores: Scores) -> tuple[float, float, float]:
        return scores.loss, scores.loss_by_place[-1], scores.accuracy_by_place[-1]

    lost = np.array([numbers(each) for each in without]) - numbers(whole)
    return dict(zip(("loss", "last_loss", "last_accuracy"), lost.T, strict=True))
