"""What a sparse autoencoder keeps of a model's activations, and what its features stand for.

All expectations are over windows that are enumerated with their probabilities, and so exact. Names and
formulas are those of SAELens where it has them; a feature is active where f != 0, and dead if it is active
on no vector that the model can show.

Sources: SAELens 6 (`sae_lens.evals`, `sae_lens.synthetic.evals`); shrinkage: Rajamanoharan et al. 2024,
arXiv:2404.16014, equation 10.
"""

from __future__ import annotations

__all__ = [
    "Activations", "Matching", "Recovery", "activations", "contiguous", "density", "indicators", "match",
    "quality", "recovery", "tuning",
]  # fmt: skip

from collections.abc import Callable
from dataclasses import dataclass
from typing import NamedTuple

import numpy as np
import torch
from numpy.typing import ArrayLike
from scipy.optimize import linear_sum_assignment
from torch import Tensor

from ..train import numpy_generator
from .evaluate import kl
from .hooks import Hooked, HookPoint
from .sae import SparseAutoencoder
from .task import Windows

# ---------------------------------------------------------------- vectors


class Activations(NamedTuple):
    """The different vectors that a model shows at a hook point, by their first window and place.

    vectors: (vector, d); weights: (vector,), how probable each is at a random place of a random window;
    index: (window, time), which vector stands there.
    """

    vectors: Tensor
    weights: Tensor
    index: np.ndarray


@torch.no_grad()
def activations(model: Hooked, windows: Windows, hook_name: str, *, apart: float = 1e-4) -> Activations:
    """What a model shows at a hook point (trial, time, d) for windows, as different vectors with weights.

    Vectors closer than `apart`, relative to their root-mean-square norm, are one: they differ by rounding.
    Raises ValueError for an unknown hook point, or one that is not (trial, time, d).
    """
    _, cache = model.run_with_cache(torch.as_tensor(windows.tokens), hook_name)
    found = cache[hook_name]
    if found.shape[:-1] != windows.tokens.shape:
        raise ValueError(f"{hook_name} has {(*found.shape,)}: it must be (trial, time, d)")
    rows = found.flatten(0, 1)
    near = torch.cdist(rows, rows, compute_mode="donot_use_mm_for_euclid_dist")
    near = near <= apart * rows.square().sum(-1).mean().sqrt()
    _, first, index = np.unique(near.int().argmax(dim=1).numpy(), return_index=True, return_inverse=True)
    places = np.repeat(windows.probability / windows.tokens.shape[1], windows.tokens.shape[1])
    weights = torch.from_numpy(np.bincount(index.ravel(), weights=places)).float()
    return Activations(rows[first], weights, index.reshape(windows.tokens.shape))


# ---------------------------------------------------------------- reconstruction


@torch.no_grad()
def quality(sae: SparseAutoencoder, vectors: Tensor, weights: Tensor) -> dict[str, float]:
    """How well and how sparsely vectors (vector, d_in) with probabilities (vector,) are reconstructed.

    With expectations E over vectors x, reconstructed as y: `l0` and `l1`, E of active features and of sum
    |f|; `mse` = E|x - y|^2, summed over dimensions; `explained_variance` = 1 - mse / (E|x|^2 - |E x|^2), 1
    if both are 0; `cosine` = E cos(x, y), 0 for y = 0; `l2_ratio` = E |y| / |x|;
    `relative_reconstruction_bias` = E|y|^2 / E<x, y>, below 1 if y is shrunk (1 if y is always 0); `dead`,
    the share of dead features.
    """
    x, weights = vectors.double(), weights.double()
    features = sae.encode(vectors)
    y = sae.decode(features).double()
    squared, mse = (weights @ x.square().sum(-1)).item(), (weights @ (x - y).square().sum(-1)).item()
    variance = squared - (weights @ x).square().sum().item()
    overlap, norms = (x * y).sum(-1), (x.norm(dim=-1).clamp_min(1e-12), y.norm(dim=-1))
    size, along = (weights @ y.square().sum(-1)).item(), (weights @ overlap).item()
    return {
        "l0": (weights @ (features != 0).double().sum(-1)).item(),
        "l1": (weights @ features.abs().double().sum(-1)).item(),
        "mse": mse,
        "explained_variance": 1 - mse / variance if variance > 1e-12 * squared else float(mse < 1e-12),
        "cosine": (weights @ (overlap / (norms[0] * norms[1].clamp_min(1e-12)))).item(),
        "l2_ratio": (weights @ (norms[1] / norms[0])).item(),
        "relative_reconstruction_bias": size / along if size else 1.0,
        "dead": (density(features, weights) == 0).mean().item(),
    }


def density(features: Tensor | np.ndarray, weights: Tensor | np.ndarray) -> np.ndarray:
    """How often each feature is active, features (vector, feature) -> (feature,)."""
    return np.asarray(weights, dtype=float) @ (np.asarray(features) != 0)


# ---------------------------------------------------------------- what the model makes of it


@dataclass(frozen=True)
class Recovery:
    """Cross-entropies in nats of a model's next symbols, and KL divergences from the unchanged model.

    `clean`; `reconstructed`, with activations replaced by their reconstructions; `zero` and `mean`, with
    activations replaced by 0 or by their mean; `kl_reconstructed`, `kl_zero` = KL(clean || that).
    """

    clean: float
    reconstructed: float
    zero: float
    mean: float
    kl_reconstructed: float
    kl_zero: float

    @property
    def loss_recovered(self) -> float:
        """(zero - reconstructed) / (zero - clean): SAELens's `ce_loss_score`."""
        return (self.zero - self.reconstructed) / (self.zero - self.clean)

    @property
    def loss_recovered_mean(self) -> float:
        """The same against the mean: (mean - reconstructed) / (mean - clean)."""
        return (self.mean - self.reconstructed) / (self.mean - self.clean)

    @property
    def kl_recovered(self) -> float:
        """1 - KL(clean || reconstructed) / KL(clean || zero): SAELens's `kl_div_score`."""
        return 1 - self.kl_reconstructed / self.kl_zero


@torch.no_grad()
def recovery(model: Hooked, sae: SparseAutoencoder, windows: Windows, *, hook_name: str = "") -> Recovery:
    """What is left of a model's prediction when its activations pass through an autoencoder.

    windows: of context + 1 symbols, (window, context + 1): inputs, and as targets what comes next. hook_name:
    where, by default `sae.cfg.hook_name`. Raises ValueError for an unknown hook point.
    """
    where = hook_name or sae.cfg.hook_name
    tokens, targets = torch.as_tensor(windows.tokens[:, :-1]), torch.as_tensor(windows.tokens[:, 1:])
    weights = torch.as_tensor(windows.probability) / tokens.shape[1]

    def run(change: Callable[[Tensor], Tensor]) -> tuple[Tensor, float]:
        def hook(x: Tensor, hook: HookPoint) -> Tensor:
            return change(x)

        logs = model.run_with_hooks(tokens, [(where, hook)]).double().log_softmax(-1)
        costs = -logs.gather(-1, targets[..., None])[..., 0]
        return logs, (weights @ costs.sum(1)).item()

    def average(x: Tensor) -> Tensor:
        return torch.einsum("w,wtd->d", weights.to(x.dtype), x).expand_as(x)

    (clean, loss), *others = map(run, (lambda x: x, sae, torch.zeros_like, average))
    gaps = [(weights @ kl(clean, logs).sum(1)).item() for logs, _ in others[:2]]
    return Recovery(loss, *(cost for _, cost in others), *gaps)


# ---------------------------------------------------------------- what features stand for


class Matching(NamedTuple):
    """Features matched one to one with indicators; pairs: (pair, 2), feature and indicator.

    correlation: (pair,), absolute; mcc: their mean; chance: mean mcc with each indicator's rows permuted.
    """

    pairs: np.ndarray
    correlation: np.ndarray
    mcc: float
    chance: float


def indicators(labels: np.ndarray) -> np.ndarray:
    """1 where a row has a label, labels (row,) -> (row, label), labels in rising order; negative: none."""
    labels = np.asarray(labels)
    return (labels[:, None] == np.unique(labels[labels >= 0])).astype(float)


def match(
    features: Tensor | np.ndarray,
    truth: np.ndarray,
    weights: np.ndarray | None = None,
    *,
    permutations: int = 20,
    seed: int | str = 0,
) -> Matching:
    """Mean correlation coefficient (MCC) of features (row, feature) with true indicators (row, indicator).

    The pairing is the one with the largest sum of |correlation| over rows with probabilities `weights` (row,)
    (Hungarian algorithm); what is constant correlates with nothing. For the chance level each indicator is
    shuffled by itself: shuffled together, labels that each have one row would only change their names. Raises
    ValueError for rows that do not fit.
    """
    features, truth = np.asarray(features, dtype=float), np.asarray(truth, dtype=float)
    weights = (
        np.full(len(features), 1 / len(features)) if weights is None else np.asarray(weights, dtype=float)
    )
    if features.ndim != 2 or truth.ndim != 2 or not len(features) == len(truth) == len(weights):
        raise ValueError(
            f"features {features.shape}, indicators {truth.shape} and weights {weights.shape} must have the "
            "same rows"
        )
    generator = numpy_generator(seed, "mcc")
    pairs, correlation = _assign(features, truth, weights)
    shuffled = [_assign(features, generator.permuted(truth, axis=0), weights)[1] for _ in range(permutations)]
    chance = float(np.mean([each.mean() for each in shuffled])) if shuffled else float("nan")
    return Matching(pairs, correlation, float(correlation.mean()), chance)


def _assign(features: np.ndarray, truth: np.ndarray, weights: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Best pairs and their |correlation|."""
    strength = np.abs(_standard(features, weights).T @ _standard(truth, weights))
    pairs = np.stack(linear_sum_assignment(strength, maximize=True), axis=1)
    return pairs, strength[pairs[:, 0], pairs[:, 1]]


def _standard(values: np.ndarray, weights: np.ndarray) -> np.ndarray:
    """Columns with weighted mean 0 and norm 1; 0 where a column is constant."""
    centred = (values - weights @ values) * np.sqrt(weights)[:, None]
    norms, size = np.linalg.norm(centred, axis=0), np.sqrt(weights @ values**2)
    return centred / np.where(norms > 1e-9 * size, norms, np.inf)


def contiguous(active: ArrayLike) -> np.ndarray:
    """Whether the phases in which a feature is active are one stretch of the circle.

    active: bool (phase, ...), in the order of the cycle -> (...) bool; False for one that never is.
    """
    active = np.asarray(active, dtype=bool)
    begins = (active & ~np.roll(active, 1, axis=0)).sum(axis=0)
    return (begins == 1) | active.all(axis=0)


def tuning(
    features: Tensor | np.ndarray, labels: np.ndarray, weights: np.ndarray | None = None
) -> np.ndarray:
    """Mean activation for each label, features (row, feature), labels (row,) from 0 -> (feature, label).

    labels: such as the phase at the last place of windows; rows with a negative label are left out, and a
    label that none has gives NaN. weights: (row,), probabilities of rows, by default equal.
    """
    features, labels = np.asarray(features, dtype=float), np.asarray(labels)
    shares = (labels[:, None] == np.arange(labels.max() + 1)) * (
        np.ones((len(labels), 1)) if weights is None else np.asarray(weights)[:, None]
    )
    with np.errstate(invalid="ignore"):
        return features.T @ (shares / shares.sum(axis=0))
