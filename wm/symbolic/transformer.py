"""The transformer: attention alone as published, or with MLPs and layer norms, as a `Hooked` model.

Residual stream x (trial, time, d_model), from token embedding plus learned position embedding; each block
adds to it, with scores_qk = q . k / scale for k <= q::

    x <- x + sum over heads of softmax(scores) v W_O + b_O
    x <- x + gelu(x W_in + b_in) W_out + b_out                                   (if there is an MLP)
    logits = x W_U;  W_U = W_E^T if tied

With `norm` each of the two first normalises what it reads; there is no norm before the logits. The scale is
sqrt(d_model), not the usual sqrt(d_head). Names and layouts are those of TransformerLens.
"""

from __future__ import annotations

__all__ = ["Shape", "Transformer"]

import math
from dataclasses import dataclass

import torch
from torch import Tensor, nn

from .hooks import Hooked, HookPoint, as_tokens


@dataclass(frozen=True)
class Shape:
    """What a transformer is made of."""

    symbols: int = 3
    positions: int = 100
    """rows of the position table: the longest context"""
    layers: int = 1
    heads: int = 9
    d_model: int = 72
    mlp: int = 0
    """width of the MLP in units of d_model; 0: none"""
    norm: bool = False
    """a layer norm before attention and before the MLP"""
    tied: bool = True
    """the read-out is the transposed token embedding"""

    @property
    def d_head(self) -> int:
        """Width of a head."""
        return self.d_model // self.heads


class Embedding(nn.Module):
    """Token embedding, W_E (symbol, d_model)."""

    def __init__(self, shape: Shape) -> None:
        super().__init__()
        self.W_E = nn.Parameter(torch.empty(shape.symbols, shape.d_model))

    def forward(self, tokens: Tensor) -> Tensor:
        return nn.functional.embedding(tokens, self.W_E)


class Positions(nn.Module):
    """Position embedding, W_pos (position, d_model)."""

    def __init__(self, shape: Shape) -> None:
        super().__init__()
        self.W_pos = nn.Parameter(torch.empty(shape.positions, shape.d_model))

    def forward(self, tokens: Tensor) -> Tensor:
        return self.W_pos[: tokens.shape[-1]].expand(*tokens.shape, -1)


class Unembedding(nn.Module):
    """Read-out of its own, W_U (d_model, symbol)."""

    def __init__(self, shape: Shape) -> None:
        super().__init__()
        self.W_U = nn.Parameter(torch.empty(shape.d_model, shape.symbols))


class LayerNorm(nn.Module):
    """(x - mean) / sqrt(variance + 1e-5) * w + b, over d_model."""

    def __init__(self, shape: Shape) -> None:
        super().__init__()
        self.w, self.b = nn.Parameter(torch.empty(shape.d_model)), nn.Parameter(torch.empty(shape.d_model))
        self.hook_normalized = HookPoint()

    def forward(self, x: Tensor) -> Tensor:
        return self.hook_normalized(nn.functional.layer_norm(x, x.shape[-1:], eps=1e-5)) * self.w + self.b


class Attention(nn.Module):
    """Causal attention; W_Q, W_K, W_V (head, d_model, d_head), W_O (head, d_head, d_model)."""

    def __init__(self, shape: Shape) -> None:
        super().__init__()
        wide, narrow = (shape.heads, shape.d_model, shape.d_head), (shape.heads, shape.d_head)
        for name in "QKV":
            setattr(self, f"W_{name}", nn.Parameter(torch.empty(wide)))
            setattr(self, f"b_{name}", nn.Parameter(torch.empty(narrow)))
        self.W_O = nn.Parameter(torch.empty(shape.heads, shape.d_head, shape.d_model))
        self.b_O = nn.Parameter(torch.empty(shape.d_model))
        self.scale = math.sqrt(shape.d_model)
        for name in ("q", "k", "v", "attn_scores", "pattern", "z", "result"):
            setattr(self, f"hook_{name}", HookPoint())

    def forward(self, x: Tensor) -> Tensor:
        q, k, v = (
            point(torch.einsum("btd,hde->bthe", x, weight) + bias)
            for point, weight, bias in (
                (self.hook_q, self.W_Q, self.b_Q),
                (self.hook_k, self.W_K, self.b_K),
                (self.hook_v, self.W_V, self.b_V),
            )
        )
        scores = torch.einsum("bqhe,bkhe->bhqk", q, k) / self.scale
        later = torch.ones(x.shape[1], x.shape[1], dtype=torch.bool, device=x.device).triu(1)
        scores = self.hook_attn_scores(scores.masked_fill(later, -torch.inf))
        pattern = self.hook_pattern(scores.softmax(dim=-1))
        z = self.hook_z(torch.einsum("bhqk,bkhe->bqhe", pattern, v))
        if not self.hook_result.hooked:  # one head's share each is a large tensor
            return torch.einsum("bqhe,hed->bqd", z, self.W_O) + self.b_O
        return self.hook_result(torch.einsum("bqhe,hed->bqhd", z, self.W_O)).sum(dim=2) + self.b_O


class MLP(nn.Module):
    """gelu(x W_in + b_in) W_out + b_out."""

    def __init__(self, shape: Shape) -> None:
        super().__init__()
        width = shape.mlp * shape.d_model
        self.W_in, self.b_in = (
            nn.Parameter(torch.empty(shape.d_model, width)),
            nn.Parameter(torch.empty(width)),
        )
        self.W_out = nn.Parameter(torch.empty(width, shape.d_model))
        self.b_out = nn.Parameter(torch.empty(shape.d_model))
        self.hook_pre, self.hook_post = HookPoint(), HookPoint()

    def forward(self, x: Tensor) -> Tensor:
        pre = self.hook_pre(x @ self.W_in + self.b_in)
        return self.hook_post(nn.functional.gelu(pre)) @ self.W_out + self.b_out


class Block(nn.Module):
    """Attention, then perhaps an MLP, each added to the residual stream."""

    def __init__(self, shape: Shape) -> None:
        super().__init__()
        self.attn = Attention(shape)
        self.ln1 = LayerNorm(shape) if shape.norm else nn.Identity()
        self.hook_resid_pre, self.hook_attn_out, self.hook_resid_post = (HookPoint() for _ in range(3))
        self.mlp = MLP(shape) if shape.mlp else None
        if shape.mlp:
            self.ln2 = LayerNorm(shape) if shape.norm else nn.Identity()
            self.hook_resid_mid, self.hook_mlp_out = HookPoint(), HookPoint()

    def forward(self, x: Tensor) -> Tensor:
        x = self.hook_resid_pre(x)
        x = x + self.hook_attn_out(self.attn(self.ln1(x)))
        if self.mlp is not None:
            x = self.hook_resid_mid(x)
            x = x + self.hook_mlp_out(self.mlp(self.ln2(x)))
        return self.hook_resid_post(x)


class Transformer(Hooked):
    """One network: tokens (trial, time) -> logits (trial, time, symbol) of the symbol that comes next.

    Raises ValueError for a shape whose heads do not divide d_model, or a context beyond the position table.
    """

    costly = ("hook_result",)

    def __init__(self, shape: Shape) -> None:
        super().__init__()
        if shape.d_model % shape.heads:
            raise ValueError(f"{shape.heads} heads do not divide d_model {shape.d_model}")
        self.shape = shape
        self.embed, self.pos_embed = Embedding(shape), Positions(shape)
        self.hook_embed, self.hook_pos_embed = HookPoint(), HookPoint()
        self.blocks = nn.ModuleList(Block(shape) for _ in range(shape.layers))
        if not shape.tied:
            self.unembed = Unembedding(shape)
        self.name_hooks()

    @property
    def W_U(self) -> Tensor:
        """Read-out, (d_model, symbol); tied: the transposed token embedding."""
        return self.embed.W_E.T if self.shape.tied else self.unembed.W_U

    def forward(self, tokens: Tensor) -> Tensor:
        tokens = as_tokens(tokens)
        if tokens.shape[1] > self.shape.positions:
            raise ValueError(f"a context of {tokens.shape[1]} is beyond {self.shape.positions} positions")
        x = self.hook_embed(self.embed(tokens)) + self.hook_pos_embed(self.pos_embed(tokens))
        for block in self.blocks:
            x = block(x)
        return x @ self.W_U

    @torch.no_grad()
    def reset(self, generator: torch.Generator) -> None:
        """Draw all parameters as published.

        Weights of a block and the read-out N(0, 1 / fan-in), as wide as d_model in attention; biases of
        queries, keys and values N(0, 1 / d_head), others N(0, 1 / width); W_E N(0, 1 / (2 d_model)), W_pos
        N(0, 1), so that the position dominates the first residual.
        """
        for name, value in self.named_parameters():
            last = name.rpartition(".")[2]
            if last in ("w", "b"):
                value.fill_(float(last == "w"))
                continue
            variance = {
                "W_E": 0.5 / self.shape.d_model, "W_pos": 1, "b_Q": 1 / self.shape.d_head,
                "b_K": 1 / self.shape.d_head, "b_V": 1 / self.shape.d_head, "W_out": 1 / max(value.shape),
            }.get(last, 1 / self.shape.d_model)  # fmt: skip
            value.normal_(0, math.sqrt(variance), generator=generator)
