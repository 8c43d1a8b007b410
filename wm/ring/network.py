"""Ensembles of recurrent ring networks: weights and simulation.

    a_t = a_{t-1} + (-a_{t-1} + W h_{t-1} + U x_t + b) / tau
    h_t = f(a_t) + noise * n_t,      n_t ~ N(0, 1) for each unit, step and trial
    y_t = V h_t,                     a_0 = 0, h_0 = 0,  tau = 10 steps = 100 ms

f is `retanh` (max(tanh, 0)) or `tanh`. Noise is added after f and fed back, so noisy rates can be negative.
Source: Zahorodnii et al. 2025 (bioRxiv 2025.03.17.643652), methods.
"""

from __future__ import annotations

__all__ = ["NONLINEARITIES", "TAU", "Weights", "drive", "outputs", "simulate", "steps"]

from collections.abc import Callable, Iterator
from dataclasses import dataclass, replace

import torch
from torch import Tensor

from .task import Batch

TAU = 10.0
"""time constant in steps (100 ms)"""


def retanh(a: Tensor) -> Tensor:
    """Rectified tanh, max(tanh(a), 0)."""
    return torch.tanh(a).relu()


NONLINEARITIES: dict[str, Callable[[Tensor], Tensor]] = {"retanh": retanh, "tanh": torch.tanh}


@dataclass(frozen=True, eq=False)
class Weights:
    """Weights of an ensemble.

    inputs: (network, unit, input + 1), the last column is the go cue; bias: (network, unit);
    readout: (network, 2, unit); recurrent: (network, unit, unit), postsynaptic unit first.
    A low-rank recurrence is given as left and right, both (network, unit, rank), with W = left right^T.
    """

    inputs: Tensor
    bias: Tensor
    readout: Tensor
    recurrent: Tensor | None = None
    left: Tensor | None = None
    right: Tensor | None = None
    nonlinearity: str = "retanh"

    def __post_init__(self) -> None:
        if self.nonlinearity not in NONLINEARITIES:
            raise ValueError(
                f"unknown nonlinearity {self.nonlinearity!r}: one of {', '.join(NONLINEARITIES)}"
            )
        if (self.recurrent is None) == (self.left is None):
            raise ValueError("give the recurrence once: `recurrent`, or `left` and `right`")

    def dense(self) -> Tensor:
        """Recurrent matrix W, (network, unit, unit)."""
        return self.recurrent if self.left is None else self.left @ self.right.mT

    def feedback(self, rates: Tensor) -> Tensor:
        """W h, (network, trial, unit)."""
        if self.left is None:
            return rates @ self.recurrent.mT
        return (rates @ self.right) @ self.left.mT

    def select(self, networks: Tensor | slice | list[int]) -> Weights:
        """The same for some of the networks."""
        return self._map(lambda w: w[networks])

    def silenced(self, units: Tensor) -> Weights:
        """The same with units (network, unit) of bool lesioned: they receive and send nothing.

        Their rows and columns of W, inputs, bias and read-out are 0, so that a = 0 and f(a) = 0. Noise, if
        there is any, is all that is left of their rate, and reaches no unit and no output.
        """
        if units.shape != self.bias.shape:
            raise ValueError(f"units must be {tuple(self.bias.shape)}, got {tuple(units.shape)}")
        keep = (~units).to(self.bias)
        rows = {"inputs": self.inputs * keep[..., None], "bias": self.bias * keep}
        if self.left is None:
            rows["recurrent"] = self.recurrent * keep[..., None] * keep[:, None]
        else:
            rows |= {"left": self.left * keep[..., None], "right": self.right * keep[..., None]}
        return replace(self, **rows, readout=self.readout * keep[:, None])

    def to(self, *args, **kwargs) -> Weights:
        """Move to a device or dtype."""
        return self._map(lambda w: w.to(*args, **kwargs))

    def _map(self, change: Callable[[Tensor], Tensor]) -> Weights:
        tensors = {name: value for name, value in vars(self).items() if isinstance(value, Tensor)}
        return replace(self, **{name: change(value) for name, value in tensors.items()})


def drive(weights: Weights, batch: Batch) -> tuple[Tensor, Tensor]:
    """External drive U x_t + b: patterns (network, event, trial, unit), time course (network, time, event).

    Inputs are constant within an event, so the drive of a whole trial is the matmul `time course @ patterns`.
    Events are target, distractor, go cue, and the ever-present bias.
    """
    if batch.task.inputs + 1 != weights.inputs.shape[-1]:
        raise ValueError(
            f"the task has {batch.task.inputs} input units, the networks {weights.inputs.shape[-1] - 1}: "
            "make it with `ring.task_of(config)`"
        )
    if len(batch.directions_deg) != len(weights.bias):
        raise ValueError(
            f"the batch is for {len(batch.directions_deg)} networks, the weights are of {len(weights.bias)}"
        )
    like = {"device": weights.inputs.device, "dtype": weights.inputs.dtype}
    patterns = batch.patterns(**like)
    on = torch.as_tensor(batch.time_course(), **like)
    return event_drive(weights, patterns), with_bias_event(on)


def event_drive(weights: Weights, patterns: Tensor) -> Tensor:
    """Patterns (network, 3, trial, input) -> drives (network, 4, trial, unit); the last event is the bias."""
    driven = patterns @ weights.inputs.mT[:, None]
    bias = weights.bias[:, None, None].expand(-1, 1, patterns.shape[2], -1)
    return torch.cat([driven, bias], dim=1)


def with_bias_event(on: Tensor) -> Tensor:
    """Time course (network, time, 3) -> (network, time, 4): the bias is always on."""
    return torch.cat([on, torch.ones_like(on[..., :1])], dim=-1)


def steps(
    weights: Weights, batch: Batch, *, noise: Callable[[int], Tensor] | None = None
) -> Iterator[tuple[Tensor, Tensor]]:
    """Yield activation a_t and noisy rate h_t, (network, trial, unit), step by step: the equations above.

    noise(t) returns the scaled noise of step t; none by default. Differentiable by autograd.
    """
    f = NONLINEARITIES[weights.nonlinearity]
    patterns, on = drive(weights, batch)
    a = torch.zeros_like(patterns[:, 0])
    h = torch.zeros_like(a)
    for t in range(batch.steps):
        external = torch.einsum("ne,nebu->nbu", on[:, t], patterns)
        a = a + (-a + weights.feedback(h) + external) / TAU
        h = f(a) if noise is None else f(a) + noise(t)
        yield a, h


def simulate(
    weights: Weights,
    batch: Batch,
    *,
    noise: Callable[[int], Tensor] | None = None,
    window: slice = slice(None),
) -> Tensor:
    """Rates h (network, trial, time, unit) of the steps in `window`; noise-free unless `noise` is given."""
    wanted = set(range(batch.steps)[window])
    if not wanted:
        raise ValueError(f"window {window} holds none of the {batch.steps} steps")
    with torch.no_grad():
        kept = [h for t, (_, h) in enumerate(steps(weights, batch, noise=noise)) if t in wanted]
    return torch.stack(kept, dim=2)


def outputs(weights: Weights, rates: Tensor) -> Tensor:
    """Read-out y = V h: rates (network, trial, time, unit) -> (network, trial, time, 2)."""
    return torch.einsum("nou,nbtu->nbto", weights.readout, rates)
