"""How well a ring network reports the target: errors over a grid of direction pairs."""

from __future__ import annotations

__all__ = [
    "EVALUATED_DIRECTIONS", "KEPT_BELOW_DEG", "Errors", "block_noise", "errors", "in_blocks", "same_trials",
    "task_of",
]  # fmt: skip

from collections.abc import Callable, Iterator, Sequence
from typing import NamedTuple

import numpy as np
import torch
from torch import Tensor

from ..train import torch_generator
from .families import RingConfig
from .network import Weights, steps
from .task import MEDIAN_DELAYS, Batch, Delays, Task, angular_error, grid_directions

KEPT_BELOW_DEG = 15.0
"""published selection: networks with a larger error are dropped from most figures"""
EVALUATED_DIRECTIONS = 30
"""the published error is that of all 900 pairs of them"""
_BLOCK = 16  # steps of noise drawn at once
_TRIALS_AT_ONCE = {"cpu": 1024, "cuda": 2**16}  # on the CPU the state of a step stays in its cache


class Errors(NamedTuple):
    """error_deg: root mean square angular error over trials and go-cue steps; mse: mean over both outputs."""

    error_deg: np.ndarray
    mse: np.ndarray


def task_of(config: RingConfig, **changes) -> Task:
    """The task that a network was trained on, with changes (for example `distractor_probability=0.0`)."""
    return Task(
        **({"inputs": config.units, "distractor_probability": config.distractor_probability} | changes)
    )


def block_noise(
    generators: Sequence[torch.Generator],
    trials: int,
    units: int,
    *,
    noise: float,
    dtype: torch.dtype = torch.float32,
) -> Callable[[int], Tensor]:
    """noise(t) -> (network, trial, unit) scaled normals, from each network's own generator."""
    device = generators[0].device
    block = torch.empty(len(generators), _BLOCK, trials, units, device=device, dtype=dtype)

    def draw(t: int) -> Tensor:
        if t % _BLOCK == 0:
            for row, generator in zip(block, generators, strict=True):
                row.normal_(std=noise, generator=generator)
        return block[:, t % _BLOCK]

    return draw


def in_blocks(networks: int, trials: int, device: str | torch.device = "cpu") -> list[slice]:
    """Networks that are best simulated together, each on so many trials."""
    size = max(1, _TRIALS_AT_ONCE[torch.device(device).type] // trials)
    return [slice(first, first + size) for first in range(0, networks, size)]


def same_trials(
    task: Task, weights: Weights, seeds: Sequence[str], *, pairs_deg: np.ndarray, noise: float,
    purpose: Sequence[str | int], delays: Delays = MEDIAN_DELAYS,
) -> tuple[Batch, Iterator[tuple[Tensor, Tensor]]]:  # fmt: skip
    """The same trials for every network, and their run by `network.steps`.

    pairs_deg: (trial, 2), target and distractor; noise: standard deviation, a function of each network's own
    seed and of `purpose` alone. Raises ValueError for negative noise.
    """
    if not noise >= 0:
        raise ValueError(f"noise must be 0 or more, got {noise}")
    device, units = weights.bias.device, weights.bias.shape[-1]
    batch = task.batch(np.broadcast_to(pairs_deg, (len(seeds), *np.shape(pairs_deg))), delays)
    generators = [torch_generator(seed, *purpose, device=device) for seed in seeds]
    source = block_noise(generators, len(pairs_deg), units, noise=noise) if noise else None
    return batch, steps(weights, batch, noise=source)


def errors(
    weights: Weights,
    task: Task,
    *,
    noise: float = 0.1,
    generators: Sequence[torch.Generator] | None = None,
    directions: int = EVALUATED_DIRECTIONS,
    delays: Delays = MEDIAN_DELAYS,
) -> Errors:
    """Errors of each network, (network,), on all pairs of `directions` equally spaced directions.

    generators: one for each network, on the device of the weights (default: seeded by position). With
    `task.distractor_probability` 0 the second direction is not shown.
    """
    if not noise >= 0:
        raise ValueError(f"noise must be 0 or more, got {noise}")
    networks, units = weights.bias.shape
    if generators is not None and len(generators) != networks:
        raise ValueError(f"{networks} networks need {networks} generators, got {len(generators)}")
    device, dtype = weights.inputs.device, weights.inputs.dtype
    if generators is None:
        generators = [torch_generator(k, "evaluation", device=str(device)) for k in range(networks)]
    pairs = np.broadcast_to(grid_directions(directions), (networks, directions**2, 2))
    batch = task.batch(pairs, delays)
    source = block_noise(generators, directions**2, units, noise=noise, dtype=dtype) if noise else None
    target = torch.as_tensor(pairs[..., 0].copy(), device=device, dtype=dtype)
    wanted = torch.as_tensor(batch.targets(), device=device, dtype=dtype)
    counts = torch.as_tensor(batch.mask(), device=device, dtype=dtype)
    squared = torch.zeros(2, networks, device=device, dtype=dtype)
    with torch.no_grad():
        for t, (_, h) in enumerate(steps(weights, batch, noise=source)):
            if t < batch.landmarks["go"].min():
                continue
            y = h @ weights.readout.mT
            squared[0] += counts[:, t] * angular_error(y, target).square().mean(-1)
            squared[1] += counts[:, t] * (y - wanted).square().mean((-1, -2))
    mean_square = (squared / task.go).double().cpu().numpy()
    return Errors(np.sqrt(mean_square[0]), mean_square[1])
