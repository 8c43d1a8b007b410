"""The kernels of `wm.ring.fused` for CUDA.

A program of the grid keeps one network and a few of its trials from the first step to the last: the state
stays in registers, the weights in registers or shared memory, and only rates pass through memory. A low-rank
recurrence (hand-designed, exponent 1) needs no barrier up to 128 units, as a warp holds all of them; a full
one runs on the matrix units, each float32 factor split into parts whose products are added (see `PRECISION`).
Everything else is float32, but for the noise, which is rounded to float16 once for both passes.

Written in Triton, which comes with the CUDA builds of torch and compiles for the card at hand.
"""

from __future__ import annotations

__all__ = ["gradients", "scaled_normals"]

from typing import NamedTuple

import torch
import triton
from torch import Tensor

from . import fused_kernels as kernels
from .fused import Gradients, checked, spoiled
from .network import TAU
from .task import sent

PRECISION = "bf16x3"
"""of matrix products: three of bfloat16 parts, which keeps 16 bits; gradients come out within 1e-4"""
_ROUNDS = 7  # of Philox: as many as it takes to pass every known test
_DRAWN = 1024  # counters of a program that draws noise


class Launch(NamedTuple):
    """How a kernel is spread over the card: trials of a program, and its warps for every 128 units."""

    trials: int
    warps: int


LOW_RANK = Launch(trials=4, warps=1)
FULL = Launch(trials=16, warps=4)


def scaled_normals(keys: Tensor, step: int, steps: int, trials: int, units: int, *, noise: float) -> Tensor:
    """The scaled noise of one training step, (network, time, trial, unit) float16.

    A pure function of each network's key (network,) int64, the training step and the place.
    """
    drawn = torch.empty((len(keys), steps, trials, units), device=keys.device, dtype=torch.float16)
    cells = steps * trials * units
    grid = (len(keys), triton.cdiv(cells, 4 * _DRAWN))
    with torch.cuda.device_of(drawn):  # Triton starts on the current device
        kernels.draw[grid](keys, drawn, step, cells, noise, ROUNDS=_ROUNDS, BLOCK=_DRAWN)
    return drawn


def gradients(
    drives: Tensor, marks: Tensor, targets: Tensor, *, readout: Tensor, left: Tensor, right: Tensor | None,
    noise: float, keys: Tensor, step: int, rectified: bool,
) -> Gradients:  # fmt: skip
    """Loss of each network and its gradients, see `wm.ring.fused`; all tensors contiguous.

    drives: (network, 6, trial, unit); marks: (network, 7) int32, on the CPU; targets: (network, trial, 2);
    readout: (network, 2, unit); left, right: (network, unit, rank), or the full matrix and None.
    """
    networks, _, trials, units = drives.shape
    length, rank = int(checked(marks)[:, -1].max()), 0 if right is None else right.shape[-1]
    launch = LOW_RANK if rank else FULL
    parts, padded = triton.cdiv(trials, launch.trials), max(16, triton.next_power_of_2(units))

    def empty(*shape: int) -> Tensor:
        return torch.empty(shape, device=drives.device)

    go = int((marks[:, -1] - marks[:, -2]).max())
    marks = sent(marks.numpy(), drives.device, marks.dtype)
    drawn = scaled_normals(keys, step, length, trials, units, noise=noise)
    rates, seen = empty(*drawn.shape), empty(networks, length, rank, trials)
    deltas = rates if rank else torch.empty_like(rates)
    errors, loss = empty(networks, go, trials, 2), empty(networks, parts)
    g_drives, g_readout = torch.empty_like(drives), empty(networks, parts, 2, units)
    g_left = empty(networks, parts, units, rank)
    common = {
        "length": length, "trials": trials, "units": units, "go": go, "KEEP": 1 - 1 / TAU, "RANK": rank,
        "RECTIFIED": rectified, "P": PRECISION, "TRIALS": launch.trials,
        "UNITS": padded, "num_warps": launch.warps * max(1, padded // 128),
    }  # fmt: skip
    right = left if right is None else right
    grid = (networks, parts)
    with torch.cuda.device_of(drives):
        kernels.forward[grid](
            drives,
            drawn,
            left,
            right,
            readout,
            marks,
            targets,
            rates,
            seen,
            errors,
            loss,
            g_readout,
            **common,
        )
        kernels.backward[grid](
            drawn, left, right, readout, marks, rates, seen, errors, deltas, g_drives, g_left, **common
        )
    loss = loss.sum(1) + spoiled(drives, readout, left)
    if rank:
        return Gradients(loss, g_drives, g_readout.sum(1), g_left.sum(1))
    full = torch.bmm(deltas[:, 1:].flatten(1, 2).mT, rates[:, :-1].flatten(1, 2)) / TAU
    return Gradients(loss, g_drives, g_readout.sum(1), full)
