"""Bodies of plastic networks: transformers (also with linear attention or a delta rule), RNN and LSTM.

A body maps tokens to outputs and calls `plastic(name, x, activity)` for its plastic layers, which adds what
their fast weights say. Everything has leading axes (network, trial, time); tokens come in pieces, one after
the other, and what earlier pieces left behind is the `state`.
"""

from __future__ import annotations

__all__ = ["Plastic", "Span", "affine", "body"]

import math
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Any

import torch
import torch.nn.functional as F
from torch import Tensor

from .families import PlasticConfig

Weights = Mapping[str, Tensor]
Plastic = Callable[..., Tensor]
"""plastic(name, x (network, trial, time, input), activity=None) -> y (network, trial, time, output)

activity: y -> what counts as activity of the layer, the identity if None."""


@dataclass(frozen=True, eq=False)
class Span:
    """Where a piece of tokens stands, what comes from earlier ones, and how it is computed."""

    start: int
    """time of its first token"""
    state: Mapping[str, Any]
    """what earlier pieces left behind; empty at the start of a sequence"""
    own: bool = False
    """gradients flow through each token alone: keys and values of other tokens are constants"""
    others: Mapping[str, tuple[Tensor, Tensor]] | None = None
    """these constants by block, from an earlier computation of the same tokens; None: their own, detached"""
    kept: dict[str, tuple[Tensor, Tensor]] = field(default_factory=dict)
    """where attention leaves the keys and values that it used"""
    masks: Mapping[str, Tensor] = field(default_factory=dict)
    """dropout by place, 0 or 1 / (1 - share), (network, trial, whole time, ...); empty: none"""

    def drop(self, name: str, x: Tensor, keys: slice | None = None) -> Tensor:
        """x (network, trial, ..., time, unit) with the units dropped that are to be dropped at `name`."""
        if name not in self.masks:
            return x
        mask, times = self.masks[name], slice(self.start, self.start + x.shape[-2])
        return x * (mask[..., times, :] if keys is None else mask[..., times, keys])


def body(config: PlasticConfig) -> Callable[..., tuple[Tensor, dict]]:
    """The function of a body: (config, weights, inputs, plastic, span) -> (outputs, state of the next piece).

    inputs (network, trial, time, input); outputs (network, trial, time, output): answers, logit of the rate,
    auxiliary.
    """
    return {"rnn": _rnn, "lstm": _lstm}.get(config.body, _transformer)


def affine(weights: Weights, name: str, x: Tensor) -> Tensor:
    """y = W x + b of each network, x (network, trial, time, input) -> (network, trial, time, output)."""
    weight, bias = weights[f"{name}.weight"], weights[f"{name}.bias"]
    y = torch.baddbmm(bias[:, None], x.flatten(1, 2), weight.mT)
    return y.unflatten(1, x.shape[1:3])


def _norm(weights: Weights, name: str, x: Tensor) -> Tensor:
    scale, shift = weights[f"{name}.weight"][:, None, None], weights[f"{name}.bias"][:, None, None]
    return torch.addcmul(shift, F.layer_norm(x, x.shape[-1:]), scale)


def _placed(weights: Weights, h: Tensor, span: Span) -> Tensor:
    """Hidden units with what tells their position, where there is such."""
    if "positions" not in weights:
        return h
    return h + weights["positions"][:, None, span.start : span.start + h.shape[2]]


# ---------------------------------------------------------------- transformer


def _transformer(
    config: PlasticConfig, weights: Weights, inputs: Tensor, plastic: Plastic, span: Span
) -> tuple[Tensor, dict]:
    """Blocks h += attention(norm(h)); h += W2 gelu(W1 norm(h)), pre-norm; W1 and W2 are plastic."""
    h, after = _placed(weights, affine(weights, "input", inputs), span), {}
    others = {"linear_attention": _linear_attention, "delta_net": _delta_attention}
    attend = others.get(config.body, _attention)
    for block in (f"blocks.{k}" for k in range(config.layers)):
        normed = _norm(weights, f"{block}.norm1", h)
        attended, after[block] = attend(config, weights, block, normed, span)
        h = h + span.drop(f"{block}.attended", attended)
        hidden = F.gelu(plastic(f"{block}.first", _norm(weights, f"{block}.norm2", h)))
        h = h + span.drop(
            f"{block}.second", plastic(f"{block}.second", span.drop(f"{block}.first", hidden))
        )
    return affine(weights, "head", _norm(weights, "norm", h)), after


def _heads(config: PlasticConfig, weights: Weights, block: str, x: Tensor) -> tuple[Tensor, Tensor, Tensor]:
    """Queries, keys and values (network, trial, head, time, unit)."""
    parts = affine(weights, f"{block}.attention.input", x).unflatten(-1, (3, config.heads, -1))
    return parts.movedim(-2, 2).unbind(-2)


def _joined(weights: Weights, block: str, mixed: Tensor) -> Tensor:
    """Output of attention from what the heads (network, trial, head, time, unit) have read."""
    return affine(weights, f"{block}.attention.output", mixed.movedim(2, 3).flatten(3))


def _attention(
    config: PlasticConfig, weights: Weights, block: str, x: Tensor, span: Span
) -> tuple[Tensor, tuple[Tensor, Tensor]]:
    """Softmax attention to all tokens so far, or to the last `window`; state: their keys and values."""
    q, k, v = _heads(config, weights, block, x)
    past = span.state.get(block)
    time, seen = x.shape[2], (past[0].shape[3] if past else 0)
    keys, values = (torch.cat(pair, dim=3) for pair in zip(past, (k, v), strict=True)) if past else (k, v)
    if config.window and time == 1:
        keys, values = keys[:, :, :, -config.window :], values[:, :, :, -config.window :]
    span.kept[block] = keys, values
    if span.own and time > 1:
        constant = span.others[block] if span.others else (keys.detach(), values.detach())
        return _own_attention(config, weights, block, (q, k, v, *constant), span), ()
    scores = q @ keys.mT / math.sqrt(q.shape[-1])
    if time > 1:
        scores = scores.masked_fill(_hidden(config, time, seen, x.device), -torch.inf)
    pattern = scores.softmax(dim=-1)
    pattern = _dropped(pattern, block, span)
    kept = slice(-(config.window - 1) or keys.shape[3], None) if config.window else slice(None)
    return _joined(weights, block, pattern @ values), (keys[:, :, :, kept], values[:, :, :, kept])


def _own_attention(config: PlasticConfig, weights: Weights, block: str, qkv: tuple, span: Span) -> Tensor:
    """The same, where keys and values of tokens other than each one's own are given.

    qkv: queries, keys and values of these tokens; keys and values of all so far, equal where they overlap.
    """
    q, k, v, keys, values = qkv
    time, seen, scale = q.shape[3], keys.shape[3] - q.shape[3], 1 / math.sqrt(q.shape[-1])
    own_key, own_value = keys[:, :, :, seen:], values[:, :, :, seen:]
    scores = q @ keys.mT * scale
    scores[..., seen:] += torch.diag_embed(((q * k).sum(-1) - (q * own_key).sum(-1)) * scale)
    pattern = scores.masked_fill(_hidden(config, time, seen, q.device), -torch.inf).softmax(dim=-1)
    pattern = _dropped(pattern, block, span)
    diagonal = pattern[..., seen:].diagonal(dim1=-2, dim2=-1)[..., None]
    return _joined(weights, block, pattern @ values + diagonal * (v - own_value))


def _dropped(pattern: Tensor, block: str, span: Span) -> Tensor:
    """The pattern (..., query, key), whose last key is that of the last token, with dropout."""
    last = span.start + pattern.shape[-2]
    return span.drop(f"{block}.pattern", pattern, slice(last - pattern.shape[-1], last))


def _hidden(config: PlasticConfig, time: int, seen: int, device: torch.device) -> Tensor:
    """(query, key): keys that come later, or too early for the window."""
    query = torch.arange(seen, seen + time, device=device)[:, None]
    key = torch.arange(seen + time, device=device)
    return (key > query) | (key <= query - config.window) if config.window else key > query


def _linear_attention(
    config: PlasticConfig, weights: Weights, block: str, x: Tensor, span: Span
) -> tuple[Tensor, tuple]:
    """o_t = sum_s p_ts v_s / sum_s p_ts, p = phi(q_t).phi(k_s), phi = elu + 1 (Katharopoulos et al. 2020)."""
    q, k, v = _heads(config, weights, block, x)
    scores = ((F.elu(q) + 1) @ (F.elu(k) + 1).mT).tril()
    return _joined(weights, block, scores @ v / scores.sum(dim=-1, keepdim=True)), ()


def _delta_attention(
    config: PlasticConfig, weights: Weights, block: str, x: Tensor, span: Span
) -> tuple[Tensor, tuple]:
    """S_t = S_{t-1} + b_t (v_t - S_{t-1} k_t) k_t^T, o_t = S_t q_t, keys and queries of length one.

    All tokens at once: with A the strictly lower part of diag(b) K K^T, what is written is the solution of
    (I + A) U = diag(b) V, and O = lower(Q K^T) U (Yang et al. 2024, arXiv 2406.06484).
    """
    q, k, v = _heads(config, weights, block, x)
    q, k = F.normalize(q, dim=-1), F.normalize(k, dim=-1)
    rate = affine(weights, f"{block}.attention.rate", x).sigmoid().movedim(-1, 2)[..., None]
    lower = (rate * (k @ k.mT)).tril(-1) + torch.eye(x.shape[2], device=x.device, dtype=x.dtype)
    written = torch.linalg.solve_triangular(lower, rate * v, upper=False, unitriangular=True)
    return _joined(weights, block, (q @ k.mT).tril() @ written), ()


# ---------------------------------------------------------------- recurrent networks, one token at a time


def _rnn(
    config: PlasticConfig, weights: Weights, inputs: Tensor, plastic: Plastic, span: Span
) -> tuple[Tensor, dict]:
    """h <- relu(W [relu(W_in x), h] + b); input, recurrent and output layer are plastic."""
    x = torch.relu(plastic("input", inputs, torch.relu))
    h = span.state.get("h", torch.zeros_like(x))
    h = torch.relu(plastic("recurrent", torch.cat([x, h], dim=-1), torch.relu))
    return plastic("head", h), {"h": h}


def _lstm(
    config: PlasticConfig, weights: Weights, inputs: Tensor, plastic: Plastic, span: Span
) -> tuple[Tensor, dict]:
    """An LSTM on relu(W_in x); input layer, gates and output layer are plastic."""
    x = torch.relu(plastic("input", inputs, torch.relu))
    h, c = (span.state.get(name, torch.zeros_like(x)) for name in ("h", "c"))
    i, f, g, o = _gates(plastic("recurrent", torch.cat([x, h], dim=-1), _gates_joined))
    c = f * c + i * g
    h = o * torch.tanh(c)
    return plastic("head", h), {"h": h, "c": c}


def _gates(y: Tensor) -> tuple[Tensor, Tensor, Tensor, Tensor]:
    i, f, g, o = y.chunk(4, dim=-1)
    return i.sigmoid(), f.sigmoid(), g.tanh(), o.sigmoid()


def _gates_joined(y: Tensor) -> Tensor:
    return torch.cat(_gates(y), dim=-1)
