"""Training of ring networks: many at once, each with its own seed, batches and noise."""

from __future__ import annotations

__all__ = ["ENGINES", "MONITOR_EVERY", "RingLearner"]

import copy
from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor

import numpy as np
import torch
from torch import Tensor

from ..train import generator_state, set_generator_state, torch_generator
from .batches import Batches
from .construction import Design, build, untrained
from .evaluate import errors, task_of
from .families import RingConfig
from .fused import fused_loss, keys_of, marks_of, segment_drives, supported
from .gradient import Workspace, recurrence
from .network import Weights, event_drive, with_bias_event
from .task import Batch, Task, sent

MONITOR_EVERY = 50
"""updates between two monitored errors"""
MONITORED_DIRECTIONS = 6
"""the monitored error is that of all 36 pairs of them"""
ENGINES = ("eager", "fused")


class RingLearner:
    """One Adam step of every network of an ensemble per `update()`.

    loss = mean over trials and go-cue steps of the summed squared output error
           + l2 * sum of squared trainables + activity * mean squared rate of the trial
    Networks share nothing: seeds[k] alone decides initial weights, shifts, batches and noise of network k.
    Two engines compute the gradient: `fused`, the kernels of `wm.ring.fused`, and `eager`, loops of torch
    operations, which has everything that the kernels lack (see `fused.supported`). Their noise differs, and
    so does that of the CPU and of CUDA.
    task: in place of the one of the configuration; start: parameters and design, in place of `untrained`;
    monitor: whether the error is measured every 50 updates.
    """

    def __init__(
        self,
        config: RingConfig,
        seeds: Sequence[str],
        *,
        device: str = "cpu",
        engine: str | None = None,
        task: Task | None = None,
        start: tuple[dict[str, Tensor], Design | None] | None = None,
        monitor: bool = True,
    ) -> None:
        if not seeds:
            raise ValueError("training needs at least one network: give one seed or more")
        self.config, self.seeds, self.device = config, [str(seed) for seed in seeds], torch.device(device)
        fused = supported(config, self.device)
        if engine not in (None, *ENGINES) or (engine == "fused" and not fused):
            why = "the fused kernels lack what these settings ask for" if engine in ENGINES else "unknown"
            raise ValueError(f"engine {engine!r}: {why}; it can be {' or '.join(ENGINES[: 1 + fused])}")
        self.engine = engine or ("fused" if fused else "eager")
        self.task = task or task_of(config)
        self.step, self.monitor = 0, monitor
        parameters, fixed = start or untrained(config, self.seeds)
        self.parameters = {name: value.to(device).requires_grad_() for name, value in parameters.items()}
        self.fixed = fixed and fixed.to(device)
        self.optimizer = torch.optim.Adam(
            self.parameters.values(), lr=config.learning_rate, fused=self.device.type == "cuda"
        )
        self.frozen = torch.zeros(len(self.seeds), dtype=torch.bool, device=device)
        self.best_mse = np.full(len(self.seeds), np.inf)
        self.monitored_deg = np.full(len(self.seeds), 180.0)
        kind = _Fused if self.engine == "fused" else _Eager
        self._loss_of = kind(config, self.seeds, self.device)
        self._batches = Batches(self.task, self.seeds, config.trials)
        self._monitor = [torch_generator(seed, "monitor", device=device) for seed in self.seeds]

    def weights(self) -> Weights:
        """Current weights of the ensemble."""
        return build(self.config, self.parameters, self.fixed)

    @property
    def finished(self) -> bool:
        """Whether every network is frozen, so that no further update changes anything."""
        return bool(self.config.stop_below_deg) and bool(self.frozen.all())

    def update(self) -> dict[str, Tensor]:
        """One batch, one gradient, one step; returns loss, gradient_norm and the last monitored error_deg."""
        loss, norm = self._gradient(self._batches.at(self.step))
        self._descend()
        self.step += 1
        metrics = {"loss": loss, "gradient_norm": norm}
        if not self.monitor:
            return metrics
        if self.step % MONITOR_EVERY == 0:
            self._watch()
        return metrics | {"error_deg": torch.as_tensor(self.monitored_deg, device=self.device)}

    def state_dict(self) -> dict:
        """Everything that the next update depends on."""
        return {
            "step": self.step,
            "engine": self.engine,
            "parameters": {name: value.detach() for name, value in self.parameters.items()},
            "optimizer": self.optimizer.state_dict(),
            "frozen": self.frozen,
            "best_mse": self.best_mse,
            "monitored_deg": self.monitored_deg,
            "generators": [[generator_state(g) for g in kind] for kind in self._generators],
        }

    def load_state_dict(self, state: dict) -> None:
        """Continue from a state of the same config, seeds and engine; ValueError for another engine."""
        if state["engine"] != self.engine:
            raise ValueError(f"the state is of the {state['engine']} engine, this learner has {self.engine}")
        self.step = state["step"]
        with torch.no_grad():
            for name, value in self.parameters.items():
                value.copy_(state["parameters"][name])
            self.frozen.copy_(state["frozen"])
        self.optimizer.load_state_dict(copy.deepcopy(state["optimizer"]))
        self.best_mse, self.monitored_deg = state["best_mse"].copy(), state["monitored_deg"].copy()
        for kind, states in zip(self._generators, state["generators"], strict=True):
            for generator, saved in zip(kind, states, strict=True):
                set_generator_state(generator, saved)

    @property
    def _generators(self) -> tuple[list, list]:
        return self._loss_of.generators, self._monitor

    def _gradient(self, batch: Batch) -> tuple[Tensor, Tensor]:
        """Loss and gradient norm (network,); clipped gradients go to the parameters."""
        loss = self._loss_of(self.weights(), batch, self.step)
        if self.config.l2:
            loss = loss + self.config.l2 * sum(p.square().flatten(1).sum(1) for p in self.parameters.values())
        gradients = torch.autograd.grad(loss.sum(), list(self.parameters.values()))
        norm = torch.stack([g.flatten(1).square().sum(1) for g in gradients]).sum(0).sqrt()
        shrink = (self.config.clip / (norm + 1e-6)).clamp(max=1)
        for parameter, gradient in zip(self.parameters.values(), gradients, strict=True):
            parameter.grad = (gradient * shrink.view(-1, *[1] * (gradient.ndim - 1))).contiguous()
        return loss.detach(), norm

    def _descend(self) -> None:
        before = [p.detach().clone() for p in self.parameters.values()] if self.config.stop_below_deg else []
        self.optimizer.step()
        with torch.no_grad():
            for parameter, old in zip(self.parameters.values(), before, strict=False):
                still = self.frozen.view(-1, *[1] * (parameter.ndim - 1))
                parameter.copy_(torch.where(still, old, parameter))

    def _watch(self) -> None:
        """Monitor the error; freeze at a new best squared error that lies below the threshold in degrees."""
        with torch.no_grad():
            weights = self.weights()
        now = errors(
            weights,
            self.task,
            noise=self.config.noise,
            generators=self._monitor,
            directions=MONITORED_DIRECTIONS,
        )
        self.monitored_deg = np.where(self.frozen.cpu().numpy(), self.monitored_deg, now.error_deg)
        reached = (now.mse < self.best_mse) & (now.error_deg < self.config.stop_below_deg)
        self.best_mse = np.minimum(self.best_mse, now.mse)
        self.frozen |= torch.as_tensor(reached, device=self.device)


class _Fused:
    """Loss of a batch by the kernels: the noise is a function of seed, step and place."""

    generators: Sequence[torch.Generator] = ()

    def __init__(self, config: RingConfig, seeds: Sequence[str], device: torch.device) -> None:
        self.noise, self.keys, self.device = config.noise, keys_of(seeds).to(device), device

    def __call__(self, weights: Weights, batch: Batch, step: int) -> Tensor:
        """Loss (network,)."""
        drives = segment_drives(weights, batch.patterns(device=self.device))
        targets = sent(batch.targets(), self.device)
        options = {"noise": self.noise, "keys": self.keys, "step": step}
        return fused_loss(weights, drives, marks_of(batch), targets, **options)


class _Eager:
    """Loss of a batch by torch operations: the noise comes from a generator of each network."""

    def __init__(self, config: RingConfig, seeds: Sequence[str], device: torch.device) -> None:
        self.config, self.device = config, device
        self.generators = [torch_generator(seed, "noise", device=device) for seed in seeds]
        self._work: Workspace | None = None

    def __call__(self, weights: Weights, batch: Batch, step: int) -> Tensor:
        """Loss (network,)."""
        self._draw_noise(batch)
        on, targets, within = (
            sent(each, self.device) for each in (batch.time_course(), batch.targets(), batch.within())
        )
        drives = event_drive(weights, batch.patterns(device=self.device))
        y, rates = recurrence(weights, drives, with_bias_event(on), self._work)
        squared = (y - targets[:, None]).square().sum((-1, -2))  # (network, time)
        loss = (squared * on[..., 2]).sum(1) / (self.config.trials * batch.task.go)
        if self.config.activity:
            squared = rates.square().mean((2, 3)) * within
            loss = loss + self.config.activity * squared.sum(1) / within.sum(1)
        return loss

    def _draw_noise(self, batch: Batch) -> None:
        shape = (len(self.generators), batch.steps, self.config.trials, self.config.units)
        if self._work is None or self._work.noise.shape != shape:
            self._work = Workspace.empty(shape, device=self.device)

        def fill(k: int) -> None:
            self._work.noise[k].normal_(std=self.config.noise, generator=self.generators[k])

        if self.device.type == "cuda" or torch.get_num_threads() == 1:
            for k in range(len(self.generators)):
                fill(k)
        else:  # normals are drawn on one thread each, so share the networks out
            with ThreadPoolExecutor(torch.get_num_threads()) as pool:
                list(pool.map(fill, range(len(self.generators))))
