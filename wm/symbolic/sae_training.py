"""Training of sparse autoencoders on all vectors that a model can show, many autoencoders at once.

The loss, with means over dimensions and features and expectations E over vectors::

    E mean_d (x^ - x)^2  +  l1_coefficient E mean_f f                                 relu
                         +  aux_coefficient min(1, dead / kaux) E mean_d (e^ - e)^2   topk, batchtopk
                         +  l0_coefficient (E L0 / k - 1)^2                           jumprelu

e = x - x^ is the error, held fixed, and e^ its reconstruction by the kaux = d_in / 2 features with the
largest z among those that have been dead for a while. A threshold of jumprelu gets its gradient straight
through, from the z within half a bandwidth of it. SAELens sums where this takes means: its L1 coefficient
is l1_coefficient d_in / d_sae of here. After each step rows of W_dec are given norm 1 again (`unit_norm`).

The vectors are finitely many, so E is exact, a sum with their probabilities; batches of 320 vectors drawn
by these are a sum with their counts. A published batch is 32 windows of 10, whose vectors go together.
"""

from __future__ import annotations

__all__ = ["PUBLISHED", "Fit", "Schedule", "fit"]

from collections.abc import Iterator, Sequence
from dataclasses import asdict, dataclass
from typing import NamedTuple

import numpy as np
import torch
from torch import Tensor

from ..train import NotFinite, numpy_generator, torch_generator
from .sae import SAEConfig, SparseAutoencoder

DEAD_AFTER = 100
"""steps without activation on any vector after which a feature counts as dead in training"""
FREE = ("k", "l1_coefficient", "l0_coefficient", "aux_coefficient")
"""in which configurations that are trained at once may differ"""
_DRAWN_AHEAD = 100


@dataclass(frozen=True)
class Schedule:
    """How to train. Adam with decoupled weight decay."""

    steps: int = 3000
    learning_rate: float = 1e-2
    weight_decay: float = 0.0
    batch: int | None = None
    """vectors drawn for a step; None: the exact expectation"""
    decay: float = 0.5
    """share of the steps, the last ones, over which the learning rate falls to 0"""
    record_every: int = 100

    def rate(self, step: int) -> float:
        """Learning rate of a step, counted from 0."""
        left = (self.steps - step) / (self.decay * self.steps) if self.decay else 1
        return self.learning_rate * min(1.0, left)


PUBLISHED = Schedule(10_000, learning_rate=1e-3, weight_decay=0.01, batch=320, decay=0)


class Fit(NamedTuple):
    """Trained autoencoders, and how it went.

    saes: for each configuration, one for each seed. history: `step` (record,); `loss`, `reconstruction` (mean
    squared error over dimensions), `sparsity` (the penalty that the kind has, with its coefficient) and `l0`,
    (record, autoencoder), on all vectors, in the units of training.
    """

    saes: list[SparseAutoencoder]
    history: dict[str, np.ndarray]


def fit(
    activations: Tensor | np.ndarray,
    weights: Tensor | np.ndarray,
    config: SAEConfig | Sequence[SAEConfig],
    seeds: Sequence[int | str],
    *,
    schedule: Schedule | None = None,
) -> Fit:
    """Train an autoencoder for each configuration and seed, all at once.

    activations: (vector, d_in), or (seed, vector, d_in), vectors of another model for each seed; weights:
    (vector,), their probabilities. Configurations may differ in k and in coefficients. A member is the same,
    up to rounding, whichever others it is trained with. schedule: `PUBLISHED` for autoencoders of the
    published kind. Raises ValueError for shapes that do not fit, probabilities that are none, or
    configurations that differ in more; `wm.train.NotFinite`.
    """
    schedule = schedule or Schedule()
    configs = [config] if isinstance(config, SAEConfig) else [*config]
    x, weights = _checked(activations, weights, configs, seeds)
    members = [cfg for cfg in configs for _ in seeds]
    streams = [torch_generator(seed, "sae", "start") for _ in configs for seed in seeds]
    stacked = SparseAutoencoder.stack([*map(SparseAutoencoder, members, streams)])
    x = x.repeat(len(configs), 1, 1) if x.ndim == 3 else x
    scale = torch.ones(len(members), 1, 1)
    if configs[0].rescale:
        scale *= (configs[0].d_in / (x.square().sum(-1) @ weights)).sqrt().reshape(-1, 1, 1)
    x = x * scale
    if configs[0].decoder_bias:
        stacked.b_dec.data = (weights @ x)[:, None]
    history = _train(stacked, _Objective(members, x, weights), schedule, seeds)
    stacked.fold_scale(scale)
    return Fit(stacked.unstack(members), history)


def _checked(
    activations: Tensor | np.ndarray,
    weights: Tensor | np.ndarray,
    configs: list[SAEConfig],
    seeds: Sequence[int | str],
) -> tuple[Tensor, Tensor]:
    """Activations and weights as tensors that fit, or ValueError."""
    x, weights = (torch.as_tensor(each).detach().float() for each in (activations, weights))
    if not configs or not len(seeds):
        raise ValueError("there is nothing to train: give one configuration and one seed, or more")
    if len({tuple(value for name, value in asdict(cfg).items() if name not in FREE) for cfg in configs}) > 1:
        raise ValueError("configurations trained at once may differ in k and coefficients only")
    shape = (weights.numel(), configs[0].d_in)
    if weights.ndim != 1 or tuple(x.shape) not in (shape, (len(seeds), *shape)):
        raise ValueError(
            f"activations must be ({shape[0]}, {shape[1]}), or such for each of {len(seeds)} seeds, got "
            f"{(*x.shape,)}"
        )
    if not x.isfinite().all():
        raise ValueError("activations hold NaN or infinite values")
    if not (weights >= 0).all() or abs(weights.sum() - 1) > 1e-4:
        raise ValueError(f"weights must be probabilities, they sum to {weights.sum():.6g}")
    return x, weights


def _train(
    stacked: SparseAutoencoder, objective: _Objective, schedule: Schedule, seeds: Sequence[int | str]
) -> dict[str, np.ndarray]:
    """Train in place; return the history."""
    trained = [parameter for parameter in stacked.parameters() if parameter.requires_grad]
    optimizer = torch.optim.AdamW(
        trained, lr=schedule.learning_rate, weight_decay=schedule.weight_decay, fused=True
    )
    draws = _draws(objective.weights, schedule.batch, seeds, len(objective.configs) // len(seeds))
    history: dict[str, list] = {}
    for step in range(schedule.steps):
        optimizer.param_groups[0]["lr"] = schedule.rate(step)
        optimizer.zero_grad()
        recorded = step % schedule.record_every == 0
        loss, terms = objective(stacked, next(draws), with_l0=recorded)
        if recorded:
            _record(history, step, terms)
        loss.backward()
        optimizer.step()
        objective.project(stacked)
    with torch.no_grad():
        _record(history, schedule.steps, objective(stacked, objective.weights)[1])
    if hasattr(stacked, "threshold") and not stacked.threshold.requires_grad:
        level = objective.level(stacked.pre_activations(objective.x).detach(), objective.weights)
        stacked.threshold.data = level.expand_as(stacked.threshold).clone()
    return {name: np.array(values) for name, values in history.items()}


def _record(history: dict[str, list], step: int, terms: dict[str, Tensor]) -> None:
    history.setdefault("step", []).append(step)
    for name, value in terms.items():
        if not value.isfinite().all():
            raise NotFinite(name, step, int((~value.isfinite()).nonzero()[0]), None)
        history.setdefault(name, []).append(value.detach().numpy())


def _draws(weights: Tensor, batch: int | None, seeds: Sequence[int | str], times: int) -> Iterator[Tensor]:
    """For each step the weights of vectors, (vector,); of drawn batches (network, vector), by seed."""
    if batch is None:
        while True:
            yield weights
    generators = [numpy_generator(seed, "sae", "batch") for seed in seeds]
    exact = weights.double().numpy()
    exact = exact / exact.sum()
    while True:
        counts = np.stack([g.multinomial(batch, exact, size=_DRAWN_AHEAD) for g in generators], axis=1)
        for count in counts:
            yield torch.from_numpy(np.tile(count, (times, 1)) / batch).float()


class _Objective:
    """The loss of a stack, see the head of this module; keeps for how long features have been silent."""

    def __init__(self, configs: list[SAEConfig], x: Tensor, weights: Tensor) -> None:
        self.configs, self.x, self.weights = configs, x, weights
        self.cfg = configs[0]
        self.k, self.l1, self.l0, self.aux = (
            torch.tensor([getattr(cfg, name) or 0.0 for cfg in configs])
            for name in ("k", "l1_coefficient", "l0_coefficient", "aux_coefficient")
        )
        self.silent = torch.zeros(len(configs), 1, self.cfg.d_sae)

    def __call__(
        self, sae: SparseAutoencoder, weights: Tensor, *, with_l0: bool = True
    ) -> tuple[Tensor, dict[str, Tensor]]:
        """Sum of the losses with these weights of vectors; terms with the exact ones, (network,)."""
        z = sae.pre_activations(self.x)
        features, on = self._active(sae, z, weights)
        error = sae.decode(features) - self.x
        squared = error.square().mean(-1)
        loss = _expectation(squared, weights)
        match self.cfg.activation:
            case "relu":
                mean = features.mean(-1)
                penalty, exact = (self.l1 * _expectation(mean, each) for each in (weights, self.weights))
            case "jumprelu":
                active = on.sum(-1)
                penalty, exact = (
                    self.l0 * (_expectation(active, each) / self.k - 1).square()
                    for each in (weights, self.weights)
                )
            case _:
                penalty = exact = self._revival(sae, z, error.detach(), weights)
        found = {"reconstruction": _expectation(squared, self.weights), "sparsity": exact}
        if with_l0:
            found["l0"] = _expectation((features > 0).sum(-1).float(), self.weights)
        return (loss + penalty).sum(), {"loss": found["reconstruction"] + exact, **found}

    def _active(self, sae: SparseAutoencoder, z: Tensor, weights: Tensor) -> tuple[Tensor, Tensor | None]:
        """Features, and which are on (not of relu); jumprelu has its gradients straight through."""
        if self.cfg.activation == "relu":
            return z.relu(), None
        if self.cfg.activation == "jumprelu":
            on = (z > sae.threshold).float().detach()
            soft = ((z.detach() - sae.threshold) / self.cfg.bandwidth + 0.5).clamp(0, 1)
            felt = soft - soft.detach()  # 0, with the gradient of the window
            return z * on + sae.threshold.detach() * felt, on + felt
        on = z.detach() > self.level(z.detach(), weights)
        self.silent.add_(1).masked_fill_(on.any(dim=1, keepdim=True), 0)
        return z * on, on

    def level(self, z: Tensor, weights: Tensor) -> Tensor:
        """What active z exceed, at least 0: (network, vector, 1) of topk, (network, 1, 1) of batchtopk."""
        if self.cfg.activation == "topk":
            return _topk_level(z, [int(cfg.k) for cfg in self.configs]).clamp_min(0)
        weights = weights.expand(len(z), -1)
        levels = [
            _batch_level(*each) for each in zip(z.numpy(), weights.numpy(), self.k.tolist(), strict=True)
        ]
        return torch.tensor(levels).reshape(-1, 1, 1).clamp_min(0)

    def _revival(self, sae: SparseAutoencoder, z: Tensor, error: Tensor, weights: Tensor) -> Tensor:
        """The loss that draws dead features to the error, (network,)."""
        dead = self.silent >= DEAD_AFTER
        count = dead.sum(dim=(1, 2))
        most = max(1, self.cfg.d_in // 2)
        if not count.any() or not self.aux.any():
            return torch.zeros(len(z))
        candidates = torch.where(dead, z, -torch.inf)
        chosen = candidates.detach() > _topk_level(candidates.detach(), [most] * len(z)).clamp_min(0)
        missed = torch.where(chosen, z, 0) @ sae.W_dec + error
        share = (count / most).clamp_max(1)
        return self.aux * share * _expectation(missed.square().mean(-1), weights)

    @torch.no_grad()
    def project(self, sae: SparseAutoencoder) -> None:
        """Back to rows of norm 1 and thresholds of at least 0."""
        if self.cfg.unit_norm:
            sae.normalise_decoder()
        if self.cfg.activation == "jumprelu":
            sae.threshold.clamp_min_(0)


def _expectation(values: Tensor, weights: Tensor) -> Tensor:
    """Sum over vectors of values (network, vector), with weights (vector,) or (network, vector)."""
    return (values * weights).sum(-1)


def _topk_level(z: Tensor, k: list[int]) -> Tensor:
    """Between the k-th and the next largest of each row, -inf if there is none; (network, vector, 1)."""
    # numpy selects several times faster than torch
    features = z.shape[-1]
    cuts = sorted({cut for each in k for cut in (features - each - 1, features - each) if cut >= 0})
    ordered = np.partition(z.numpy(), cuts, axis=-1)
    levels = [
        0.5 * (rows[:, features - each - 1] + rows[:, features - each])
        if each < features
        else np.full(len(rows), -np.inf, np.float32)
        for rows, each in zip(ordered, k, strict=True)
    ]
    return torch.from_numpy(np.stack(levels))[..., None]


def _batch_level(z: np.ndarray, weights: np.ndarray, k: float) -> float:
    """What so many of z (vector, feature) exceed that the weights of their vectors sum to k at most."""
    seen = weights > 0
    z, weights = z[seen].ravel(), np.repeat(weights[seen], z.shape[-1])
    enough = min(z.size, int(k / weights.min()) + 2)
    largest = np.argpartition(z, z.size - enough)[-enough:]
    largest = largest[np.argsort(-z[largest])]
    kept = int(np.searchsorted(np.cumsum(weights[largest], dtype=float), k * (1 + 1e-6), side="right"))
    if kept == enough:
        return -np.inf
    return 0.5 * float(z[largest[kept]] + z[largest[max(kept - 1, 0)]])
