"""Sparse autoencoders of a model's activations: one class for four activation functions.

    f = active((x - b_dec) W_enc + b_enc),     x^ = f W_dec + b_dec

With z the argument of `active`: relu has f = max(z, 0) and an L1 penalty; topk keeps the k largest max(z,
0) of each vector; jumprelu keeps z > threshold, one threshold a feature; batchtopk keeps the largest of a
whole batch and afterwards z > threshold like jumprelu, one threshold for all. Names and layouts are those
of SAELens.

Sources: Bricken et al. 2023, Towards monosemanticity; Gao et al. 2024, arXiv:2406.04093 (topk); Bussmann et
al. 2024, arXiv:2412.06410 (batchtopk); Rajamanoharan et al. 2024, arXiv:2407.14435 (jumprelu).
"""

from __future__ import annotations

__all__ = ["KINDS", "SAEConfig", "SparseAutoencoder"]

from collections.abc import Callable, Sequence
from dataclasses import KW_ONLY, dataclass

import torch
from torch import Tensor, nn

KINDS = ("relu", "topk", "batchtopk", "jumprelu")


@dataclass(frozen=True)
class SAEConfig:
    """What a sparse autoencoder is made of, and coefficients of its loss (see `wm.symbolic.sae_training`).

    Raises ValueError for an unknown kind, a k that does not suit it, sizes below 1, coefficients below 0.
    """

    d_in: int
    d_sae: int
    activation: str = "topk"
    k: float | None = None
    """active features: of each vector (topk), on average (batchtopk), the average aimed at (jumprelu)"""
    _: KW_ONLY
    hook_name: str = ""
    """hook point whose activations it encodes, such as `blocks.0.hook_resid_post`"""
    l1_coefficient: float = 0.0
    """relu: weight of the mean over features of f"""
    l0_coefficient: float = 1.0
    """jumprelu: weight of (L0 / k - 1)^2"""
    bandwidth: float = 0.5
    """jumprelu: width of the window around a threshold within which it is felt, in units of z"""
    aux_coefficient: float = 1 / 32
    """topk and batchtopk: weight of what dead features miss of the remaining error"""
    decoder_bias: bool = True
    """b_dec is learned, from the mean on, and is subtracted from the input; otherwise it is 0"""
    unit_norm: bool = True
    """rows of W_dec have norm 1, and W_enc begins as the transpose of W_dec"""
    rescale: bool = True
    """in training, vectors are scaled to E|x|^2 = d_in; the scale is folded into the weights at the end"""

    def __post_init__(self) -> None:
        if self.activation not in KINDS:
            raise ValueError(f"activation {self.activation!r} is unknown: choose from {', '.join(KINDS)}")
        if min(self.d_in, self.d_sae) < 1:
            raise ValueError(f"d_in and d_sae must be 1 or more, got {self.d_in} and {self.d_sae}")
        if (self.k is None) != (self.activation == "relu"):
            raise ValueError(f"k is {self.k}: relu takes none, and {', '.join(KINDS[1:])} need one")
        if self.k is not None and not 0 < self.k <= self.d_sae:
            raise ValueError(f"k must lie between 0 and d_sae = {self.d_sae}, got {self.k}")
        if self.activation == "topk" and self.k != int(self.k):
            raise ValueError(f"topk keeps a whole number of features, got k = {self.k}: use batchtopk")
        if min(self.l1_coefficient, self.l0_coefficient, self.aux_coefficient) < 0 or self.bandwidth <= 0:
            raise ValueError("coefficients must be 0 or more, and the bandwidth above 0")

    @classmethod
    def published(cls, d_in: int = 72, *, l1_coefficient: float = 2.0, hook_name: str = "") -> SAEConfig:
        """The published kind: relu, twice as many features as dimensions, no b_dec, norms left alone."""
        plain = {"decoder_bias": False, "unit_norm": False, "rescale": False}
        return cls(d_in, 2 * d_in, "relu", hook_name=hook_name, l1_coefficient=l1_coefficient, **plain)


class SparseAutoencoder(nn.Module):
    """W_enc (d_in, d_sae), b_enc (d_sae,), W_dec (d_sae, d_in), b_dec (d_in,), perhaps threshold (d_sae,).

    Drawn at random: W_dec and W_enc N(0, 1 / d_in), with `cfg.unit_norm` W_dec in rows of norm 1 and W_enc
    its transpose; all else 0. In a stack of several (`stack`) parameters have a leading network axis, and
    vectors are (vector, d_in) or (network, vector, d_in).
    """

    def __init__(self, cfg: SAEConfig, generator: torch.Generator | None = None) -> None:
        super().__init__()
        self.cfg = cfg
        decoder, encoder = torch.randn(2, cfg.d_sae, cfg.d_in, generator=generator) / cfg.d_in**0.5
        if cfg.unit_norm:
            encoder = decoder = nn.functional.normalize(decoder, dim=-1)
        self.W_enc = nn.Parameter(encoder.T.contiguous())
        self.b_enc = nn.Parameter(torch.zeros(cfg.d_sae))
        self.W_dec = nn.Parameter(decoder.clone())
        self.b_dec = nn.Parameter(torch.zeros(cfg.d_in), requires_grad=cfg.decoder_bias)
        if cfg.activation in ("batchtopk", "jumprelu"):
            learned = cfg.activation == "jumprelu"
            self.threshold = nn.Parameter(torch.zeros(cfg.d_sae), requires_grad=learned)

    @classmethod
    def stack(cls, saes: Sequence[SparseAutoencoder]) -> SparseAutoencoder:
        """Several as one, biases (network, 1, feature); they may differ in k and coefficients only."""
        stacked = cls(saes[0].cfg)
        for name, parameter in stacked.named_parameters():
            value = torch.stack([getattr(sae, name).detach() for sae in saes])
            value = value if value.ndim == 3 else value[:, None]
            setattr(stacked, name, nn.Parameter(value, requires_grad=parameter.requires_grad))
        return stacked

    def unstack(self, configs: Sequence[SAEConfig]) -> list[SparseAutoencoder]:
        """The members of a stack, one for each configuration; copies."""
        saes = [SparseAutoencoder(cfg) for cfg in configs]
        with torch.no_grad():
            for i, sae in enumerate(saes):
                for name, parameter in sae.named_parameters():
                    parameter.copy_(getattr(self, name)[i].view_as(parameter))
        return saes

    # ---------------------------------------------------------------- from vectors to features and back

    def pre_activations(self, x: Tensor) -> Tensor:
        """z = (x - b_dec) W_enc + b_enc, (..., d_in) -> (..., d_sae)."""
        # b_dec goes through W_enc by itself: its gradient then costs one row rather than one a vector
        return _affine(x, self.W_enc, self.b_enc - self.b_dec @ self.W_enc)

    def encode(self, x: Tensor) -> Tensor:
        """Activations of features, f >= 0, (..., d_in) -> (..., d_sae)."""
        z = self.pre_activations(x)
        if self.cfg.activation == "relu":
            return z.relu()
        if self.cfg.activation == "topk":
            values, where = z.topk(int(self.cfg.k))
            return torch.zeros_like(z).scatter(-1, where, values.relu())
        return z.relu() * (z > self.threshold)

    def decode(self, features: Tensor) -> Tensor:
        """x^ = f W_dec + b_dec, (..., d_sae) -> (..., d_in)."""
        return _affine(features, self.W_dec, self.b_dec)

    def forward(self, x: Tensor) -> Tensor:
        """The reconstruction of x, (..., d_in)."""
        return self.decode(self.encode(x))

    def edit(self, x: Tensor, change: Callable[[Tensor], Tensor]) -> Tensor:
        """x with its features changed and its error kept: x + (change(f) - f) W_dec; f unchanged gives x."""
        features = self.encode(x)
        return x + (change(features) - features) @ self.W_dec

    # ---------------------------------------------------------------- scales

    @torch.no_grad()
    def normalise_decoder(self) -> None:
        """Give the rows of W_dec norm 1, in place; what the autoencoder computes changes."""
        self.W_dec.div_(self.W_dec.norm(dim=-1, keepdim=True).clamp_min(1e-8))

    @torch.no_grad()
    def fold_W_dec_norm(self) -> None:
        """Move norms of W_dec's rows into the features, whose activations then compare; x^ stays the same.

        Raises ValueError for topk with different norms: the choice of the k largest would be another.
        """
        norms = self.W_dec.norm(dim=-1).clamp_min(1e-8)
        if self.cfg.activation == "topk" and not torch.allclose(norms, norms.flatten()[0]):
            raise ValueError(
                "rows of W_dec differ in norm: to fold it would change which k features are active"
            )
        self.W_dec.div_(norms[..., None])
        self.W_enc.mul_(norms[..., None, :])
        for bias in self._thresholds():
            bias.mul_(norms.view_as(bias))

    @torch.no_grad()
    def fold_scale(self, scale: Tensor | float) -> None:
        """Make what was trained on vectors times `scale` fit for the vectors themselves, in place.

        The norms of W_dec stay; features are in the units of the vectors. scale: a number, or (network, 1,
        1).
        """
        for bias in (self.b_dec, *self._thresholds()):
            bias.div_(scale)

    def _thresholds(self) -> list[Tensor]:
        return [self.b_enc, self.threshold] if hasattr(self, "threshold") else [self.b_enc]


def _affine(x: Tensor, weight: Tensor, bias: Tensor) -> Tensor:
    """x weight + bias; of a stack in one call, which is twice as fast to differentiate."""
    if weight.ndim == 2:
        return x @ weight + bias
    return torch.baddbmm(bias, x.expand(len(weight), *x.shape[-2:]), weight)
