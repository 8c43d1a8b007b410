"""Training of ring networks: many at once, each with its own seed, batches and noise."""

from __future__ import annotations

__all__ = ["MONITOR_EVERY", "RingLearner"]

import copy
from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor

import numpy as np
import torch
from torch import Tensor

from ..train import generator_state, numpy_generator, set_generator_state, torch_generator
from .construction import Design, build, design, initial
from .evaluate import errors, task_of
from .families import FAMILIES, RingConfig
from .gradient import Workspace, recurrence
from .network import Weights, event_drive, with_bias_event

MONITOR_EVERY = 50
"""updates between two monitored errors"""
MONITORED_DIRECTIONS = 6
"""the monitored error is that of all 36 pairs of them"""


class RingLearner:
    """One Adam step of every network of an ensemble per `update()`.

    loss = mean over trials and go-cue steps of the summed squared output error
           + l2 * sum of squared trainables + activity * mean squared rate of the trial
    Networks share nothing: seeds[k] alone decides initial weights, shifts, batches and noise of network k.
    On CUDA the pass through time is captured once as a graph and replayed.
    """

    def __init__(self, config: RingConfig, seeds: Sequence[str], *, device: str = "cpu") -> None:
        if not seeds:
            raise ValueError("training needs at least one network: give one seed or more")
        self.config, self.seeds, self.device = config, [str(seed) for seed in seeds], torch.device(device)
        self.task = task_of(config)
        self.step = 0
        self.parameters = {k: v.to(device).requires_grad_() for k, v in initial(config, self.seeds).items()}
        self.fixed = None
        if not FAMILIES[config.family].trained_fully:
            self.fixed = Design(*(row.to(device) for row in vars(design(config, self.seeds)).values()))
        self.optimizer = torch.optim.Adam(
            self.parameters.values(), lr=config.learning_rate, fused=self.device.type == "cuda"
        )
        self.frozen = torch.zeros(len(self.seeds), dtype=torch.bool, device=device)
        self.best_mse = np.full(len(self.seeds), np.inf)
        self.monitored_deg = np.full(len(self.seeds), 180.0)
        self._batches = [numpy_generator(seed, "batches") for seed in self.seeds]
        self._noise = [torch_generator(seed, "noise", device=device) for seed in self.seeds]
        self._monitor = [torch_generator(seed, "monitor", device=device) for seed in self.seeds]
        self._work: Workspace | None = None
        self._graph: torch.cuda.CUDAGraph | None = None

    def weights(self) -> Weights:
        """Current weights of the ensemble."""
        return build(self.config, self.parameters, self.fixed)

    @property
    def finished(self) -> bool:
        """Whether every network is frozen, so that no further update changes anything."""
        return bool(self.config.stop_below_deg) and bool(self.frozen.all())

    def update(self) -> dict[str, Tensor]:
        """One batch, one gradient, one step; returns loss, gradient_norm and the last monitored error_deg."""
        self._load_batch()
        self._draw_noise()
        loss, norm = self._replay() if self.device.type == "cuda" else self._gradient()
        self._descend()
        self.step += 1
        if self.step % MONITOR_EVERY == 0:
            self._watch()
        return {
            "loss": loss,
            "gradient_norm": norm,
            "error_deg": torch.as_tensor(self.monitored_deg, device=self.device),
        }

    def state_dict(self) -> dict:
        """Everything that the next update depends on."""
        return {
            "step": self.step,
            "parameters": {name: value.detach() for name, value in self.parameters.items()},
            "optimizer": self.optimizer.state_dict(),
            "frozen": self.frozen,
            "best_mse": self.best_mse,
            "monitored_deg": self.monitored_deg,
            "generators": [[generator_state(g) for g in kind] for kind in self._generators],
        }

    def load_state_dict(self, state: dict) -> None:
        """Continue from `state_dict()` of a learner with the same config and seeds."""
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
    def _generators(self) -> tuple[list, list, list]:
        return self._batches, self._noise, self._monitor

    def _load_batch(self) -> None:
        """Draw a batch into buffers that keep their addresses, as a captured graph needs."""
        batch = self.task.draw(self._batches, self.config.trials)
        fresh = {
            "patterns": batch.patterns(device=self.device),
            "on": torch.from_numpy(batch.time_course()),
            "targets": torch.from_numpy(batch.targets()),
            "within": torch.from_numpy(batch.within()),
        }
        if self._work is None:
            shape = (len(self.seeds), batch.steps, self.config.trials, self.config.units)
            self._work = Workspace.empty(shape, device=self.device)
            self._batch = {name: value.to(self.device) for name, value in fresh.items()}
        else:
            for name, value in fresh.items():
                self._batch[name].copy_(value)

    def _draw_noise(self) -> None:
        def fill(k: int) -> None:
            self._work.noise[k].normal_(std=self.config.noise, generator=self._noise[k])

        if self.device.type == "cuda" or torch.get_num_threads() == 1:
            for k in range(len(self.seeds)):
                fill(k)
        else:  # normals are drawn on one thread each, so share the networks out
            with ThreadPoolExecutor(torch.get_num_threads()) as pool:
                list(pool.map(fill, range(len(self.seeds))))

    def _gradient(self) -> tuple[Tensor, Tensor]:
        """Loss and gradient norm (network,); clipped gradients go to the parameters."""
        loss = self._loss()
        gradients = torch.autograd.grad(loss.sum(), list(self.parameters.values()))
        norm = torch.stack([g.flatten(1).square().sum(1) for g in gradients]).sum(0).sqrt()
        shrink = (self.config.clip / (norm + 1e-6)).clamp(max=1)
        for parameter, gradient in zip(self.parameters.values(), gradients, strict=True):
            parameter.grad = (gradient * shrink.view(-1, *[1] * (gradient.ndim - 1))).contiguous()
        return loss.detach(), norm

    def _loss(self) -> Tensor:
        weights, batch = self.weights(), self._batch
        drives, on = event_drive(weights, batch["patterns"]), with_bias_event(batch["on"])
        y, rates = recurrence(weights, drives, on, self._work)
        squared = (y - batch["targets"][:, None]).square().sum((-1, -2))  # (network, time)
        loss = (squared * batch["on"][..., 2]).sum(1) / (self.config.trials * self.task.go)
        if self.config.l2:
            loss = loss + self.config.l2 * sum(p.square().flatten(1).sum(1) for p in self.parameters.values())
        if self.config.activity:
            squared = rates.square().mean((2, 3)) * batch["within"]
            loss = loss + self.config.activity * squared.sum(1) / batch["within"].sum(1)
        return loss

    def _replay(self) -> tuple[Tensor, Tensor]:
        if self._graph is None:
            self._capture()
        self._graph.replay()
        return self._captured

    def _capture(self) -> None:
        noise = self._work.noise.clone()  # a pass overwrites it
        side = torch.cuda.Stream(self.device)
        side.wait_stream(torch.cuda.current_stream(self.device))
        with torch.cuda.stream(side):
            self._gradient()
        torch.cuda.current_stream(self.device).wait_stream(side)
        self._graph = torch.cuda.CUDAGraph()
        with torch.cuda.graph(self._graph):
            self._captured = self._gradient()
        self._work.noise.copy_(noise)

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
