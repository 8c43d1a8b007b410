"""The kernel of `wm.ring.fused` for the CPU: compiled loops, each network on one thread.

A thread works on a block of LANES trials of one network at a time, so that what it needs stays in its cache.
Importing this module imports numba. The first call compiles for some seconds.
"""

from __future__ import annotations

__all__ = ["gradients", "normals"]

import threading
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor

import numpy as np
import torch
from numpy import float32, uint64
from torch import Tensor
from torch.nn.functional import pad

from .fused import Gradients, checked, spoiled
from .fused_lanes import LANES, ROW, SLOTS, fill
from .fused_passes import Buffers, Matrices, Rule, network
from .network import TAU


def normals(keys: Tensor | np.ndarray, step: int, steps: int, trials: int, units: int) -> Tensor:
    """The normals that `gradients` uses, (network, time, trial, unit) float32; arguments as there.

    Each is a function of its network's key, the training step, the time step, the trial and the unit alone.
    """
    out = np.empty((len(keys), steps, trials, units), dtype=np.float32)
    for part, key in zip(out, _words(keys), strict=True):
        fill(part, key, uint64(step))
    return torch.from_numpy(out)


def gradients(
    drives: Tensor, marks: Tensor, targets: Tensor, *, readout: Tensor, left: Tensor, right: Tensor | None,
    noise: float, keys: Tensor | np.ndarray, step: int, rectified: bool,
) -> Gradients:  # fmt: skip
    """Loss of each network of an ensemble and its gradients; float32 on the CPU.

    drives: (network, 6, trial, unit), U x + b between the seven marks; readout: (network, 2, unit); left,
    right: (network, unit, rank), W = left right^T with a fixed right, or W itself and None; marks:
    (network, 7), first steps of fixation (0), target, delay, distractor, rest of the delay, go cue, and the
    end; targets: (network, trial, 2). noise: standard deviation of the rate noise; keys: (network,), 64 bits
    each, which with step (< 2^32) decide the `normals`; rectified: f is retanh, else tanh.

    What a network gets depends on its own arguments alone; `torch.get_num_threads()` of them are computed at
    a time. A weight or drive that is not finite gives a loss of NaN. Raises ValueError if the marks are out
    of order or there is no go cue.
    """
    marks = checked(marks).numpy().astype(np.int64)
    networks, _, trials, units = drives.shape
    matrices = _matrices(readout, left, right)
    sizes = padded, rows = _fours(units), _fours(left.shape[-1])
    inputs, aims = _blocks(drives, padded), _blocks(targets[:, None], 4)
    masks = _blocks(torch.ones(1, 1, trials, 4), 4)[0]
    to_drives, loss = np.empty_like(inputs), np.empty(networks)
    to_readout, to_left = (np.zeros((networks, padded * n), np.float32) for n in (2, rows))
    rules = [Rule(float32(0 if rectified else -2), float32(noise), k, uint64(step)) for k in _words(keys)]
    own = threading.local()

    def run(k: int) -> None:
        if not hasattr(own, "work"):
            own.work = _buffers(int(marks[:, 6].max()), int((marks[:, 6] - marks[:, 5]).max()), *sizes)
        m = Matrices(*map(uint64, sizes), *(matrix[k] for matrix in matrices))
        arrays = inputs[k], aims[k], masks, to_drives[k], to_readout[k], to_left[k]
        loss[k] = network(own.work, m, marks[k].astype(np.uint64), rules[k], arrays)

    _each(run, networks)
    to_readout = torch.from_numpy(to_readout).view(networks, 2, padded)[..., :units].contiguous()
    to_left = torch.from_numpy(to_left).view(networks, padded, rows)[:, :units, : left.shape[-1]] / TAU
    loss = torch.from_numpy(loss).float() + spoiled(drives, readout, left)
    return Gradients(loss, _unblocked(to_drives, drives.shape), to_readout, to_left)


def _each(run: Callable[[int], None], networks: int) -> None:
    threads = min(torch.get_num_threads(), networks)
    if threads == 1:
        for k in range(networks):
            run(k)
        return
    with ThreadPoolExecutor(threads) as pool:
        list(pool.map(run, range(networks)))


def _fours(n: int) -> int:
    return -(-n // 4) * 4


def _words(keys: Tensor | np.ndarray) -> np.ndarray:
    return np.asarray(keys).astype(np.uint64)


def _blocks(x: Tensor, padded: int) -> np.ndarray:
    """(network, row, trial, unit) -> (network, block, row * unit * lane), filled up with zeros."""
    networks, rows, trials, units = x.shape
    x = pad(x.detach(), (0, padded - units, 0, -trials % int(LANES)))
    x = x.view(networks, rows, -1, int(LANES), padded).permute(0, 2, 1, 4, 3)
    return x.reshape(networks, x.shape[1], -1).numpy()


def _unblocked(x: np.ndarray, shape: torch.Size) -> Tensor:
    """The reverse of `_blocks`."""
    networks, rows, trials, units = shape
    x = torch.from_numpy(x).view(networks, x.shape[1], rows, _fours(units), -1).permute(0, 2, 1, 4, 3)
    return x.flatten(2, 3)[:, :, :trials, :units].contiguous()


def _matrices(readout: Tensor, left: Tensor, right: Tensor | None) -> list[np.ndarray]:
    """The arrays of `Matrices`, each with a leading network axis."""
    empty = left[:, :0]
    back, right_t, left_t = (left.mT, empty, empty) if right is None else (right, right.mT, left.mT)
    matrices = (left / TAU, back / TAU, right_t, left_t, readout, readout.mT)
    padded = (pad(m.detach(), (0, -m.shape[2] % 4, 0, -m.shape[1] % 4)) for m in matrices)
    return [m.reshape(len(m), -1).numpy() for m in padded]


def _buffers(steps: int, go: int, units: int, rows: int) -> Buffers:
    lanes, row = int(LANES), int(ROW)
    sizes = {
        "rates": steps * units * lanes,
        "seen": (steps // int(SLOTS) + 1) * rows * row,
        "errors": go * 4 * lanes,
        "deltas": units * row,
        "few": max(rows, 4) * lanes,
        "noise": 4 * lanes,
        "readout": 2 * units * lanes,
    } | dict.fromkeys(("state", "noisy", "drive"), units * lanes)
    return Buffers(**{name: np.empty(size, dtype=np.float32) for name, size in sizes.items()})
