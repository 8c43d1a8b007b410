"""What fast weights hold, in factored form: values, keys and coefficients of the tokens that were written."""

from __future__ import annotations

__all__ = ["Memory", "fast_weights", "norms", "recall", "recall_back", "squared_norms"]

from collections.abc import Mapping
from typing import NamedTuple

import torch
from torch import Tensor

from .parameters import ALPHA_FIXED
from .rates import Rates, Writes

Weights = Mapping[str, Tensor]


class Memory(NamedTuple):
    """All that was written: w = alpha o sum_s coefficient_s value_s key_s^T in each layer."""

    coefficients: Tensor
    """(network, trial, written), shared by all layers"""
    values: dict[str, Tensor]
    """layer -> (network, trial, written, output)"""
    keys: dict[str, Tensor]
    """layer -> (network, trial, written, input)"""

    @classmethod
    def empty(cls, layers: Mapping[str, tuple[int, int]], like: Tensor) -> Memory:
        """Nothing written yet; like: (network, trial, ...)."""
        lead = (*like.shape[:2], 0)
        values = {name: like.new_empty(*lead, rows) for name, (rows, _) in layers.items()}
        keys = {name: like.new_empty(*lead, columns) for name, (_, columns) in layers.items()}
        return cls(like.new_empty(lead), values, keys)

    def now(self) -> Tensor:
        """C (network, trial, 1, written) for a single token that comes next."""
        return self.coefficients[:, :, None]

    def ahead(self, rate: Tensor, decay: Tensor) -> Tensor:
        """C (network, trial, time, written + time) for tokens that are written at these rates as they come.

        C_ts = r_s prod_{r = s+1}^{t-1} (1 - d_r) for s < t, else 0.
        """
        total = torch.log1p(-decay).cumsum(dim=-1)
        before = total - torch.log1p(-decay)
        past = self.coefficients[:, :, None] * before.exp()[..., None]
        earlier = torch.ones(2 * rate.shape[-1:], dtype=torch.bool, device=rate.device).tril(-1)
        gap = (before[..., :, None] - total[..., None, :]).masked_fill(~earlier, -torch.inf)
        return torch.cat([past, rate[..., None, :] * gap.exp()], dim=-1)

    def with_writes(self, writes: Writes) -> Memory:
        """Values and keys with those of further tokens; coefficients as they are."""
        values = {name: torch.cat([self.values[name], new.value], dim=2) for name, new in writes.items()}
        keys = {name: torch.cat([self.keys[name], new.key], dim=2) for name, new in writes.items()}
        return self._replace(values=values, keys=keys)

    def after(self, writes: Writes, rate: Tensor, decay: Tensor) -> Memory:
        """The memory after tokens that were written at these rates (network, trial, time)."""
        if rate.shape[-1] == 1:  # the sequential form: few operations
            coefficients = torch.cat([self.coefficients * (1 - decay), rate], dim=-1)
            return self.with_writes(writes)._replace(coefficients=coefficients)
        total = torch.log1p(-decay).cumsum(dim=-1)
        whole = total[..., -1:]
        coefficients = torch.cat([self.coefficients * whole.exp(), rate * (whole - total).exp()], dim=-1)
        return self.with_writes(writes)._replace(coefficients=coefficients)


def recall(weights: Weights, name: str, x: Tensor, memory: Memory, matrix: Tensor) -> Tensor:
    """w x + c = sum_s C_ts ((alpha o v_s k_s^T) x_t + beta o v_s), (network, trial, time, output).

    x (network, trial, time, input), matrix: C (network, trial, time, written).
    """
    values, keys = memory.values[name], memory.keys[name]
    if (alpha := weights.get(f"{name}.alpha")) is not None and alpha.ndim == 3:
        products = torch.einsum("nbti,nbsi,noi->nbtso", x, keys, alpha)
        spread = torch.einsum("nbts,nbtso,nbso->nbto", matrix, products, values)
        return spread + _per_unit(weights[f"{name}.beta"]) * (matrix @ values)
    if (rows := weights.get(f"{name}.rows")) is not None:
        scores = (x * _per_unit(weights[f"{name}.columns"])) @ keys.mT
        both = torch.cat([matrix * scores, matrix], dim=2) @ values
        weighted, plain = both.chunk(2, dim=2)
        return _per_unit(rows) * weighted + _per_unit(weights[f"{name}.beta"]) * plain
    alpha, beta = _scalars(weights, name)
    return (matrix * (alpha * (x @ keys.mT) + beta)) @ values


def recall_back(weights: Weights, name: str, u: Tensor, memory: Memory, matrix: Tensor) -> Tensor:
    """w^T u = sum_s C_ts (alpha o v_s k_s^T)^T u_t, u (network, trial, time, output) -> (..., input)."""
    values, keys = memory.values[name], memory.keys[name]
    if (alpha := weights.get(f"{name}.alpha")) is not None and alpha.ndim == 3:
        products = torch.einsum("nbto,nbso,noi->nbtsi", u, values, alpha)
        return torch.einsum("nbts,nbtsi,nbsi->nbti", matrix, products, keys)
    if (rows := weights.get(f"{name}.rows")) is not None:
        scores = (u * _per_unit(rows)) @ values.mT
        return _per_unit(weights[f"{name}.columns"]) * ((matrix * scores) @ keys)
    return (matrix * (_scalars(weights, name)[0] * (u @ values.mT))) @ keys


def fast_weights(weights: Weights, name: str, memory: Memory) -> Tensor:
    """w of a layer as it is now, dense (network, trial, output, input): for looking at it."""
    outer = (memory.coefficients[..., None] * memory.values[name]).mT @ memory.keys[name]
    if (alpha := weights.get(f"{name}.alpha")) is not None and alpha.ndim == 3:
        return alpha[:, None] * outer
    if (rows := weights.get(f"{name}.rows")) is not None:
        return rows[:, None, :, None] * outer * weights[f"{name}.columns"][:, None, None, :]
    return _scalars(weights, name)[0] * outer


def squared_norms(weights: Weights, name: str, memory: Memory, rates: Rates) -> Tensor:
    """|w|^2 (Frobenius) of a layer after every token, (network, trial, time), memory: of a whole sequence.

    From Gram matrices of values and keys, but for full alpha, where each w is formed.
    """
    values, keys = memory.values[name], memory.keys[name]
    whole = Memory.empty({}, values).ahead(rates.rate, rates.decay)
    # after token t: what was there before it, decayed by it, and the token itself
    after = whole * (1 - rates.decay)[..., None] + torch.diag_embed(rates.rate)
    if (alpha := weights.get(f"{name}.alpha")) is not None and alpha.ndim == 3:
        steps = (
            (alpha[:, None] * ((c[..., None] * values).mT @ keys)).square().sum((-2, -1))
            for c in after.unbind(2)
        )
        return torch.stack([*steps], dim=-1)
    if (rows := weights.get(f"{name}.rows")) is not None:
        values, keys = values * _per_unit(rows), keys * _per_unit(weights[f"{name}.columns"])
    else:
        values = values * _scalars(weights, name)[0]
    gram = (values @ values.mT) * (keys @ keys.mT)
    return torch.einsum("nbts,nbsr,nbtr->nbt", after, gram, after)


def norms(weights: Weights, memory: Memory, rates: Rates) -> dict[str, Tensor]:
    """`squared_norms` of every layer; none where nothing is ever written."""
    return {name: squared_norms(weights, name, memory, rates) for name in memory.values}


def _per_unit(row: Tensor) -> Tensor:
    """(network, unit) -> (network, 1, 1, unit)."""
    return row[:, None, None]


def _scalars(weights: Weights, name: str) -> tuple[Tensor | float, Tensor | float]:
    """alpha and beta of a layer as factors of (network, trial, time, ...)."""
    if f"{name}.alpha" not in weights:
        return ALPHA_FIXED, ALPHA_FIXED
    return weights[f"{name}.alpha"][:, None, None], weights[f"{name}.beta"][:, None, None]
