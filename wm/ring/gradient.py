"""Exact gradient of the ring recurrence through time, for many networks at once.

Autograd records about twenty small operations for each of some 265 steps. Here both passes are short loops
that write into two buffers, reused from update to update. Tested against autograd through `network.steps`.
"""

from __future__ import annotations

__all__ = ["Workspace", "recurrence"]

from dataclasses import dataclass

import torch
from torch import Tensor

from .network import TAU, Weights


@dataclass(eq=False)
class Workspace:
    """Buffers of one ensemble, each (network, time, trial, unit).

    `noise` holds the scaled noise before a pass and the noisy rates h after it; `rates` those without
    noise, and after the backward pass dL/da.
    """

    noise: Tensor
    rates: Tensor

    @classmethod
    def empty(
        cls, shape: tuple[int, int, int, int], *, device: str = "cpu", dtype=torch.float32
    ) -> Workspace:
        """Uninitialised buffers for (network, time, trial, unit)."""
        return cls(*(torch.empty(shape, device=device, dtype=dtype) for _ in range(2)))


def recurrence(weights: Weights, drives: Tensor, on: Tensor, work: Workspace) -> tuple[Tensor, Tensor]:
    """Read-out y (network, time, trial, 2) and noisy rates h (network, time, trial, unit) of whole trials.

    drives (network, event, trial, unit) and on (network, time, event) are those of `network.drive`. The
    scaled noise is read from `work.noise`, which is overwritten: h shares its memory until the next pass.
    Differentiable in the weights (but for `right`, which is fixed by design) and drives.
    """
    matrices = (weights.recurrent, None) if weights.left is None else (weights.left, weights.right)
    return _Recurrence.apply(drives, weights.readout, *matrices, on, work, weights.nonlinearity)


class _Recurrence(torch.autograd.Function):
    """W h is `left h` for a full matrix (right is None), else `left (right^T h)` with a fixed right."""

    @staticmethod
    def forward(ctx, drives, readout, left, right, on, work, nonlinearity):
        rates, noisy = work.rates, work.noise
        networks, length, trials, units = noisy.shape
        torch.bmm(on / TAU, drives.flatten(2), out=rates.view(networks, length, -1))
        seen = noisy if right is None else noisy.new_empty(networks, length, trials, right.shape[-1])
        outward = left.mT / TAU
        a = noisy.new_zeros(networks, trials, units)
        for t in range(length):
            r = rates[:, t]
            torch.add(r, a, alpha=1 - 1 / TAU, out=a)
            if t:  # h_0 = 0 feeds nothing back
                if right is not None:
                    seen[:, t - 1] = noisy[:, t - 1] @ right
                a.baddbmm_(seen[:, t - 1], outward)
            torch.tanh(a, out=r)
            if nonlinearity == "retanh":
                r.relu_()
            noisy[:, t] += r
        ctx.set_materialize_grads(False)
        ctx.work, ctx.seen, ctx.rectified = work, seen, nonlinearity == "retanh"
        ctx.save_for_backward(readout, left, right, on)
        outputs = torch.bmm(noisy.flatten(1, 2), readout.mT).view(networks, length, trials, -1)
        return outputs, noisy.view_as(noisy)

    @staticmethod
    @torch.autograd.function.once_differentiable
    def backward(ctx, grad_outputs, grad_rates):
        readout, left, right, on = ctx.saved_tensors
        rates, noisy, seen = ctx.work.rates, ctx.work.noise, ctx.seen
        inward = (left if right is None else right.mT) / TAU
        delta = torch.zeros_like(noisy[:, 0])  # dL/da_t
        grad, slope = torch.empty_like(delta), torch.empty_like(delta)
        for t in reversed(range(noisy.shape[1])):
            torch.bmm(delta if right is None else delta @ left, inward, out=grad)
            if grad_outputs is not None:
                grad.baddbmm_(grad_outputs[:, t], readout)
            if grad_rates is not None:
                grad += grad_rates[:, t]
            r = rates[:, t]
            # slope of the nonlinearity from its value: 1 - r^2, and 0 where the rectifier is shut (r = 0)
            torch.sign(r, out=slope) if ctx.rectified else slope.fill_(1)
            slope.addcmul_(r, r, value=-1)
            delta.mul_(1 - 1 / TAU).addcmul_(grad, slope)
            r.copy_(delta)
        deltas = rates  # (network, time, trial, unit)
        grad_left = torch.bmm(deltas[:, 1:].flatten(1, 2).mT, seen[:, :-1].flatten(1, 2)) / TAU
        grad_drives = torch.bmm(on.mT / TAU, deltas.flatten(2)).view(-1, on.shape[-1], *delta.shape[1:])
        grad_readout = None
        if grad_outputs is not None:
            grad_readout = torch.bmm(grad_outputs.flatten(1, 2).mT, noisy.flatten(1, 2))
        return grad_drives, grad_readout, grad_left, None, None, None, None
