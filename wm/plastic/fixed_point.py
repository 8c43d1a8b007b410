"""Fixed points z = f(z): found by iterating, and differentiated as what they are.

f is the sweep over a window of tokens: from a guess of what they write to a better one. As a token depends on
earlier ones alone, its Jacobian J is strictly lower triangular in time: with T tokens J^T = 0, iterating
ends after T steps at the latest, and so does the gradient, which solves g = g_0 + g J.
"""

from __future__ import annotations

__all__ = ["change", "iterated", "with_implicit_gradient"]

from collections.abc import Callable, Sequence

import torch
from torch import Tensor
from torch.autograd.function import once_differentiable

SWEEPS = 24
"""sweeps after which a window that has not settled is computed token by token"""
PATIENCE = 4
"""sweeps in which the change must become half as large"""

State = list[Tensor]


def iterated(
    sweep: Callable[[State | None], State], limit: float, sweeps: int | None
) -> tuple[State, Tensor, int]:
    """Iterate from a first sweep without a guess until nothing changes by more than `limit`.

    Returns the last state, tensors (network, ...), its `change` against the one before, (network,), and the
    sweeps made. Gives up after `SWEEPS`, where a value is not finite, or where the change does not
    shrink: then the change is above the limit, or NaN. sweeps: make exactly so many without looking.
    """
    state, made = sweep(None), 1
    changes = [state[0].new_full(state[0].shape[:1], torch.inf)]
    for made in range(2, (sweeps or SWEEPS) + 1):
        state, before = sweep(state), state
        if sweeps is None or made == sweeps:
            changes.append(change(state, before))
        if sweeps is None and _finished(changes, limit):
            break
    return state, changes[-1], made


def _finished(changes: Sequence[Tensor], limit: float) -> bool:
    """Whether to stop: settled, not finite, or stuck."""
    worst = float(changes[-1].max())
    stuck = len(changes) > PATIENCE and worst > 0.5 * float(changes[-1 - PATIENCE].max())
    return worst <= limit or worst != worst or stuck


def change(new: Sequence[Tensor], old: Sequence[Tensor]) -> Tensor:
    """Largest change of the tensors (network, ...), each relative to its largest value, (network,)."""
    parts = [
        (a - b).flatten(1).abs().amax(1) / (a.flatten(1).abs().amax(1) + 1e-30)
        for a, b in zip(new, old, strict=True)
    ]
    return torch.stack(parts).amax(dim=0)


def with_implicit_gradient(
    guess: State, found: State, others: State, *, limit: float, sweeps: int | None, residual: Tensor
) -> tuple[State, State]:
    """`found` and `others` with the gradients that they have as functions of a fixed point.

    guess: the fixed point, leaves without a graph; found = f(guess) and others = h(guess), with graphs. Where
    gradients come back, g = g_0 + g J is iterated until it changes by no more than `limit` (sweeps: exactly
    so often), and `residual` (network,) is raised to the last change.
    """
    done = _ImplicitGradient.apply(guess, len(found), (limit, sweeps, residual), *found, *others)
    return [*done[: len(found)]], [*done[len(found) :]]


class _ImplicitGradient(torch.autograd.Function):
    """The identity; the gradient of a fixed point (implicit function theorem)."""

    @staticmethod
    def forward(ctx, guess: State, count: int, options: tuple, *tensors: Tensor) -> tuple[Tensor, ...]:
        ctx.guess, ctx.count, ctx.options, ctx.tensors = guess, count, options, tensors
        return tuple(tensor.view_as(tensor) for tensor in tensors)

    @staticmethod
    @once_differentiable
    def backward(ctx, *gradients: Tensor) -> tuple:
        limit, sweeps, residual = ctx.options
        first, own = gradients[: ctx.count], gradients[ctx.count :]
        current, length = first, ctx.guess[0].shape[2]
        for _ in range(sweeps or length):
            pairs = zip(ctx.tensors, [*current, *own], strict=True)
            tensors, given = zip(*(pair for pair in pairs if pair[0].requires_grad), strict=True)
            pulled = torch.autograd.grad(tensors, ctx.guess, given, retain_graph=True, allow_unused=True)
            after = [g if p is None else g + p for g, p in zip(first, pulled, strict=True)]
            moved, current = change(after, current), after
            if sweeps is None and float(moved.max()) <= limit:
                break
        residual.copy_(torch.maximum(residual, moved))
        return None, None, None, *current, *own
