"""Fixed and slow points of ring networks in the delay, where nothing but the bias comes in.

    F(a) = (-a + W f(a) + b) / tau,     tau = 100 ms

A fixed point has F = 0; a slow point is a local minimum of q = |F|^2 / 2 that is not 0. Every trajectory
of the delay ends in the affine space b + span(W), so the search runs there: with W = Q R^T and orthonormal
columns of Q (unit, rank), a = b + Q k, and

    G(k) = R^T f(b + Q k) - k,     |F| = |G| / tau,     dG/dk = R^T diag(f') Q - 1

The remaining eigenvalues of the Jacobian of F are all -1 / tau. A designed network of rank 2 is thus searched
in the plane of its ring; a trained one, of full rank, in all its units. q is minimised by Levenberg's and
Marquardt's method with the exact Jacobian, in float64. Source of the method: Sussillo and Barak 2013, Opening
the black box, Neural Computation 25.
"""

from __future__ import annotations

__all__ = ["FixedPoints", "field", "find"]

from dataclasses import dataclass
from typing import NamedTuple

import numpy as np
import torch
from torch import Tensor

from .network import NONLINEARITIES, TAU, Weights
from .task import DT_MS

TAU_S = TAU * DT_MS / 1000
DT_S = DT_MS / 1000
FIXED_BELOW = 1e-6
"""speed |F|, in 1/s, below which a point is fixed"""
SLOW_BELOW = 0.1
"""speed |F|, in 1/s, below which a local minimum of q is a slow point"""
_CONVERGED = 1e-12  # |G|
_DAMPING = (1e-14, 1e6)  # a search that wants more damping than the last has stalled


@dataclass(frozen=True, eq=False)
class FixedPoints:
    """Fixed and slow points of an ensemble, those of a network by rising speed.

    network: (point,), index of its network; state: (point, unit), activation a; speed: (point,), |F| in 1/s;
    eigenvalues: (point, rank), of the Jacobian of F in 1/s, by falling real part, the first ones (the others
    are -1 / tau); fixed: (point,) bool, the others are slow; stable: (point,) bool, of the map a -> a + dt F
    that the network runs, |1 + dt eigenvalue| < 1 for all.
    """

    network: np.ndarray
    state: np.ndarray
    speed: np.ndarray
    eigenvalues: np.ndarray
    fixed: np.ndarray
    stable: np.ndarray

    def __len__(self) -> int:
        return len(self.network)

    def select(self, points: np.ndarray) -> FixedPoints:
        """Some of the points; points: (point,) of bool or indices."""
        return FixedPoints(**{name: value[points] for name, value in vars(self).items()})


class _Reduced(NamedTuple):
    """One network as W = basis right^T: basis (unit, rank) with orthonormal columns, right (unit, rank)."""

    basis: Tensor
    right: Tensor
    bias: Tensor
    nonlinearity: str
    in_units: bool  # basis is the identity, and not worth a product

    def activation(self, k: Tensor) -> Tensor:
        """a = b + Q k: (start, rank) -> (start, unit)."""
        return self.bias + k @ self.basis.mT

    def residual(self, k: Tensor) -> Tensor:
        """G, (start, rank)."""
        return NONLINEARITIES[self.nonlinearity](self.activation(k)) @ self.right - k

    def feedback(self, k: Tensor) -> Tensor:
        """R^T diag(f') Q, (start, rank, rank)."""
        a = self.activation(k).requires_grad_()
        (slope,) = torch.autograd.grad(NONLINEARITIES[self.nonlinearity](a).sum(), a)
        gained = (slope[:, :, None] * self.right).mT
        return gained if self.in_units else gained @ self.basis


def field(weights: Weights, states: Tensor) -> Tensor:
    """F of activations (network, state, unit), in 1/s."""
    rates = NONLINEARITIES[weights.nonlinearity](states)
    return (-states + weights.feedback(rates) + weights.bias[:, None]) / TAU_S


def find(
    weights: Weights,
    starts: Tensor | np.ndarray,
    *,
    fixed_below: float = FIXED_BELOW,
    slow_below: float = SLOW_BELOW,
    apart: float = 1e-3,
    slow_apart: float = 0.1,
    iterations: int = 300,
) -> FixedPoints:
    """Fixed and slow points that are reached from starts (network, start, unit), activations.

    Fixed points closer than `apart` (a Euclidean distance of activations) count once, and so do slow points
    closer than `slow_apart` to a slower one: where a rectified unit is at its threshold q has a kink, along
    which searches stall side by side. What is not reached from these starts is missed: give many, spread over
    where the network goes. On a continuous attractor every start ends in a point of its own. Raises
    ValueError for starts of a wrong shape or not finite, and unless 0 < fixed_below <= slow_below.
    """
    starts = torch.as_tensor(starts).to(device=weights.bias.device, dtype=torch.float64)
    networks, units = weights.bias.shape
    if starts.ndim != 3 or starts.shape[0] != networks or starts.shape[2] != units or not starts.shape[1]:
        raise ValueError(f"starts must be ({networks}, start, {units}), got {tuple(starts.shape)}")
    if not starts.isfinite().all():
        raise ValueError("starts hold NaN or infinite values: give states that the network can be in")
    if not 0 < fixed_below <= slow_below:
        raise ValueError(
            f"speeds must be 0 < fixed_below <= slow_below, got {fixed_below:g} and {slow_below:g}"
        )
    parts = []
    for n in range(networks):
        network = _reduced(weights.select([n]))
        k, ended = _minimise(network, (starts[n] - network.bias) @ network.basis, iterations)
        speed = network.residual(k).norm(dim=1) / TAU_S
        wanted = (speed < fixed_below) | (ended & (speed < slow_below))
        k, speed = k[wanted], speed[wanted]
        kept = _distinct(k, speed, torch.where(speed < fixed_below, apart, slow_apart))
        k, speed = k[kept], speed[kept]
        parts.append(_described(n, network, k, speed, fixed_below))
    return FixedPoints(*map(np.concatenate, zip(*parts, strict=True)))


def _reduced(weights: Weights) -> _Reduced:
    """The network of an ensemble of one in float64; in full rank the basis is the units."""
    w = weights.to(dtype=torch.float64)
    if w.left is None:
        right = w.recurrent[0].mT
        basis = torch.eye(len(right), dtype=right.dtype, device=right.device)
    else:
        basis, triangle = torch.linalg.qr(w.left[0])
        right = w.right[0] @ triangle.mT
    return _Reduced(basis, right, w.bias[0], w.nonlinearity, w.left is None)


def _minimise(network: _Reduced, k: Tensor, iterations: int) -> tuple[Tensor, Tensor]:
    """Minima of |G|^2 from k (start, rank), and whether each search came to an end, (start,) bool."""
    k, damping = k.clone(), torch.full_like(k[:, 0], 1e-2)
    going = torch.ones_like(damping, dtype=torch.bool)
    for _ in range(iterations):
        rows = going.nonzero()[:, 0]
        if not len(rows):
            break
        before = network.residual(k[rows])
        step = _step(network, k[rows], before, damping[rows])
        after = network.residual(k[rows] + step)
        better = after.norm(dim=1) < before.norm(dim=1)
        k[rows] += torch.where(better[:, None], step, 0)
        damping[rows] *= torch.where(better, 0.2, 5.0)
        damping.clamp_(min=_DAMPING[0])
        # a step that rounding swallows is the end of the search, as is one that no damping makes better
        tiny = step.norm(dim=1) < 1e-14 * (1 + k[rows].norm(dim=1))
        going[rows] = (after.norm(dim=1) > _CONVERGED) & (damping[rows] < _DAMPING[1]) & ~tiny
    return k, ~going


def _step(network: _Reduced, k: Tensor, residual: Tensor, damping: Tensor) -> Tensor:
    """-(J^T J + damping)^-1 J^T G, (start, rank), with J = dG/dk."""
    one = torch.eye(k.shape[1], dtype=k.dtype, device=k.device)
    jacobian = network.feedback(k) - one
    normal = jacobian.mT @ jacobian + damping[:, None, None] * one
    downhill = -(jacobian.mT @ residual[..., None])
    return torch.cholesky_solve(downhill, torch.linalg.cholesky(normal))[..., 0]


def _distinct(k: Tensor, speed: Tensor, apart: Tensor) -> Tensor:
    """Indices by rising speed of points that have no slower one within their `apart` (point,)."""
    order = speed.argsort(stable=True)
    distance = torch.cdist(k[order], k[order], compute_mode="donot_use_mm_for_euclid_dist")
    near = distance < apart[order, None]
    kept = torch.zeros_like(speed, dtype=torch.bool)
    for i in range(len(k)):
        kept[i] = not near[i, :i][kept[:i]].any()
    return order[kept]


def _described(n: int, network: _Reduced, k: Tensor, speed: Tensor, fixed_below: float) -> tuple:
    """The fields of `FixedPoints` for points k (point, rank) of network n."""
    values = (torch.linalg.eigvals(network.feedback(k)) - 1).cpu().numpy() / TAU_S
    values = np.take_along_axis(values, np.argsort(-values.real, axis=1, kind="stable"), axis=1)
    stable = (np.abs(1 + DT_S * values) < 1).all(axis=1)
    state, speed = network.activation(k).cpu().numpy(), speed.cpu().numpy()
    return np.full(len(k), n), state, speed, values, speed < fixed_below, stable
