"""Loss of a training batch and its gradient in one go, by kernels written for the CPU and for CUDA.

    loss = mean over trials and go-cue steps of |y_t - target|^2,  y_t = V h_t

with the recurrence of `wm.ring.network`. The input is constant between two events, so a trial is six segments
between the marks 0, target on and off, distractor on and off, go cue on and off, each with one drive U x + b.
Every network ends with its own trial: nothing is padded. The noise is a pure function of the network's key,
the training step and the place, so it is the same in any ensemble and after any interruption; that of the CPU
and that of CUDA differ.

The kernels are in `fused_cpu` (numba) and `fused_cuda` (Triton); `wm.ring.gradient` is the reference.
"""

from __future__ import annotations

__all__ = [
    "Gradients", "checked", "fused_loss", "keys_of", "marks_of", "segment_drives", "spoiled", "supported",
]  # fmt: skip

import importlib.util
from collections.abc import Sequence
from typing import NamedTuple

import numpy as np
import torch
from torch import Tensor

from ..train import spawn
from .families import FAMILIES, RingConfig
from .network import Weights, event_drive
from .task import Batch

LARGEST_FULL = 128
"""units of a full recurrence that fit a multiprocessor together with a network's state"""
LARGEST_LOW_RANK = 2048
"""units of which a thread can hold its share"""
# target, distractor, go cue, bias: which of them drive the six segments
_EVENTS = ((0, 0, 0, 1), (1, 0, 0, 1), (0, 0, 0, 1), (0, 1, 0, 1), (0, 0, 0, 1), (0, 0, 1, 1))


class Gradients(NamedTuple):
    """Of each network's own loss: loss (network,), and the gradients, shaped as what they belong to.

    drives: (network, segment, trial, unit); readout: (network, 2, unit); left: as `Weights.left`, or the
    recurrent matrix.
    """

    loss: Tensor
    drives: Tensor
    readout: Tensor
    left: Tensor


def supported(config: RingConfig, device: torch.device) -> bool:
    """Whether there is a kernel for these networks on this kind of device."""
    if config.activity or device.type not in ("cpu", "cuda"):
        return False
    if device.type == "cpu":
        return True
    full = FAMILIES[config.family].trained_fully or config.exponent > 1
    fits = config.units <= (LARGEST_FULL if full else LARGEST_LOW_RANK)
    storable = config.noise == 0 or 1e-3 <= config.noise <= 1e3  # as float16
    return bool(importlib.util.find_spec("triton")) and fits and storable


def keys_of(seeds: Sequence[str]) -> Tensor:
    """Keys of the noise, (network,) int64, one for each seed string."""
    words = [spawn(seed, "noise").generate_state(1, np.uint64)[0] for seed in seeds]
    return torch.from_numpy(np.array(words, dtype=np.uint64).view(np.int64))


def marks_of(batch: Batch) -> Tensor:
    """First step of each segment and the end of the trial, (network, 7) int32."""
    steps = [np.zeros_like(batch.delays.fixation), *batch.landmarks.values()]
    return torch.from_numpy(np.stack(steps, axis=1).astype(np.int32))


def checked(marks: Tensor) -> Tensor:
    """Marks (network, 7) as given; ValueError if they are out of order or there is no go cue."""
    if marks[:, 0].any() or (marks.diff(dim=1) < 0).any() or (marks[:, 5] == marks[:, 6]).any():
        raise ValueError(f"marks must rise from 0, with at least one go-cue step: got {marks.tolist()}")
    return marks


def spoiled(*tensors: Tensor) -> Tensor:
    """0 for each network, (network,), but NaN where any of its numbers is not finite.

    Added to the loss, since a rectifier can hide an infinite weight.
    """
    return 0 * sum(each.detach().flatten(1).sum(1) for each in tensors)


def segment_drives(weights: Weights, patterns: Tensor) -> Tensor:
    """Drive U x + b of each segment, (network, 6, trial, unit), from patterns (network, 3, trial, input)."""
    drives = event_drive(weights, patterns)
    events = torch.tensor(_EVENTS, dtype=drives.dtype, device=drives.device)
    return (events @ drives.flatten(2)).view(len(drives), len(_EVENTS), *drives.shape[2:])


def fused_loss(
    weights: Weights, drives: Tensor, marks: Tensor, targets: Tensor, *, noise: float, keys: Tensor, step: int
) -> Tensor:
    """Loss (network,), differentiable in the drives, the read-out and `left` or `recurrent`.

    drives: (network, 6, trial, unit) of `segment_drives`; marks: (network, 7) of `marks_of`, on the CPU;
    targets: (network, trial, 2); noise: standard deviation; keys: (network,) of `keys_of`, on the device of
    the drives; step: of the training. The fixed `right` gets no gradient. NaN for a network with a number
    that is not finite. Raises ValueError for marks out of order.
    """
    left, right = (weights.recurrent, None) if weights.left is None else (weights.left, weights.right)
    options = {
        "right": None if right is None else right.contiguous(), "noise": noise, "keys": keys, "step": step,
        "rectified": weights.nonlinearity == "retanh",
    }  # fmt: skip
    return _Loss.apply(drives, weights.readout, left, marks, targets.contiguous(), options)


class _Loss(torch.autograd.Function):
    """Each loss belongs to one network, so its gradients are known before anyone asks for them."""

    @staticmethod
    def forward(ctx, drives, readout, left, marks, targets, options):
        if drives.device.type == "cuda":
            from .fused_cuda import gradients
        else:
            from .fused_cpu import gradients
        weights = {"readout": readout.contiguous(), "left": left.contiguous()}
        found = gradients(drives.contiguous(), marks, targets, **weights, **options)
        ctx.save_for_backward(found.drives, found.readout, found.left)
        return found.loss

    @staticmethod
    @torch.autograd.function.once_differentiable
    def backward(ctx, grad):
        scaled = [each * grad.view(-1, *[1] * (each.ndim - 1)) for each in ctx.saved_tensors]
        return (*scaled, None, None, None)
