"""Ensembles of networks that share nothing: their parameters in one tensor, and how they learn.

One tensor (network, parameter) makes the norm of each network's gradient, its clip and its AdamW step one
operation each; on a GPU a whole update is one captured graph.
"""

from __future__ import annotations

__all__ = ["EnsembleLearner", "Layout"]

import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor

from .campaign import decayed


@dataclass(frozen=True)
class Layout:
    """Names and shapes of the parameters of one network, in their order."""

    shapes: dict[str, tuple[int, ...]]

    @property
    def size(self) -> int:
        """Number of parameters."""
        return sum(math.prod(shape) for shape in self.shapes.values())

    def views(self, flat: Tensor) -> dict[str, Tensor]:
        """Named views (network, ...) of all parameters (network, parameter)."""
        parts = flat.split([math.prod(shape) for shape in self.shapes.values()], dim=1)
        named = zip(self.shapes.items(), parts, strict=True)
        return {name: part.reshape(-1, *shape) for (name, shape), part in named}

    def flat(self, weights: dict[str, Tensor]) -> Tensor:
        """The inverse of `views`."""
        return torch.cat([weights[name].flatten(1) for name in self.shapes], dim=1)


class EnsembleLearner:
    """One gradient and one AdamW step of every network per `update()`, see `wm.train.Learner`.

    A system brings `prepare`, which puts the next batch where `losses` finds it, always at the same address,
    and `losses`. configs: of each network, with updates, learning_rate, weight_decay, decay, clip_norm;
    networks may differ in their learning rates and decays. capture: make an update one graph of a GPU, the
    default there. A network whose loss, gradient or step is not finite stays as it was before, and says so
    (metric `diverged`).
    """

    def __init__(self, configs: Sequence[Any], first: Tensor, *, capture: bool | None = None) -> None:
        self.configs, self.config, self.step = list(configs), configs[0], 0
        self.flat = first.detach().clone().requires_grad_()
        like = {"device": first.device, "dtype": first.dtype}
        self.alive = torch.ones(len(first), dtype=torch.bool, device=first.device)
        self.last = torch.zeros(len(first), **like)
        self.captured = first.is_cuda if capture is None else capture
        self._rates = torch.ones(len(first), 1, **like)  # learning rates, the highest of them 1
        self._clips = torch.tensor([config.clip_norm or math.inf for config in configs], **like)
        rate = self._highest_rate()  # a captured graph needs it on its device
        self.optimizer = torch.optim.AdamW(
            [self.flat], lr=torch.tensor(rate, device=first.device) if self.captured else rate, fused=True,
            weight_decay=self.config.weight_decay, capturable=self.captured,
        )  # fmt: skip
        self._graph: Callable[[], dict[str, Tensor]] | None = None

    def prepare(self, step: int) -> None:
        """Make the batch of a step, from 0, ready for `losses`."""
        raise NotImplementedError

    def losses(self) -> tuple[Tensor, dict[str, Tensor]]:
        """Loss of each network (network,), with its gradient, and other metrics (network,).

        A metric "loss" is reported instead of what is made small.
        """
        raise NotImplementedError

    def update(self) -> dict[str, Tensor]:
        """One step; returns metrics of the batch before it, each (network,).

        loss, gradient_norm before the clip, diverged (1 from the step on where something was not finite), and
        those of `losses`.
        """
        self.prepare(self.step)
        self._set_rates()
        found = self._replayed() if self.captured else self._computed()
        self.step += 1
        return found

    def _computed(self) -> dict[str, Tensor]:
        """Forward, backward, step: what a captured graph holds."""
        loss, found = self.losses()
        (gradient,) = torch.autograd.grad(loss.sum(), self.flat)
        norm = gradient.norm(dim=1)
        self._stepped(gradient, norm, found.pop("loss", loss).detach())
        found = {**found, "gradient_norm": norm}
        found = {name: torch.where(self.alive, each.detach(), 0) for name, each in found.items()}
        return {"loss": self.last.clone(), **found, "diverged": (~self.alive).to(loss.dtype)}

    @torch.no_grad()
    def _stepped(self, gradient: Tensor, norm: Tensor, loss: Tensor) -> None:
        """Clip, make the step, each network its share of it, and none where it has diverged."""
        self.alive.logical_and_(norm.isfinite() & loss.isfinite())
        self.last.copy_(torch.where(self.alive, loss, self.last))
        scale = (self._clips / (norm + 1e-6)).clamp(max=1)
        before = self.flat.clone()
        self.flat.grad = torch.where(self.alive[:, None], gradient * scale[:, None], 0)
        self.optimizer.step()
        after = torch.lerp(before, self.flat, self._rates)  # AdamW's step is linear in its learning rate
        self.alive.logical_and_(after.isfinite().all(dim=1))
        self.flat.copy_(torch.where(self.alive[:, None], after, before))

    def _rate_of(self, config: Any) -> float:
        return config.learning_rate * decayed(self.step, self.config.updates, config.decay)

    def _highest_rate(self) -> float:
        return max(self._rate_of(config) for config in self.configs)

    def _set_rates(self) -> None:
        highest, group = self._highest_rate(), self.optimizer.param_groups[0]
        if isinstance(group["lr"], Tensor):
            group["lr"].fill_(highest)
        else:
            group["lr"] = highest
        shares = [self._rate_of(config) / (highest or 1) for config in self.configs]
        self._rates.copy_(torch.tensor(shares)[:, None])

    def _replayed(self) -> dict[str, Tensor]:
        """The same as `_computed`, as one graph; the first call captures it."""
        if self._graph is None:
            before, side = self.state_dict(), torch.cuda.Stream()
            side.wait_stream(torch.cuda.current_stream())
            with torch.cuda.stream(side):
                self._computed()
            torch.cuda.current_stream().wait_stream(side)
            self.load_state_dict(before)
            graph = torch.cuda.CUDAGraph()
            with torch.cuda.graph(graph, stream=side, capture_error_mode="thread_local"):
                found = self._computed()
            self.load_state_dict(before)

            def replay() -> dict[str, Tensor]:
                graph.replay()
                return found

            self._graph = replay
        return self._graph()

    def state_dict(self) -> dict[str, Any]:
        """Everything that the next update depends on."""
        moments = self.optimizer.state.get(self.flat, {})
        return {
            "step": self.step, "parameters": self.flat.detach().clone(), "alive": self.alive.clone(),
            "last": self.last.clone(), "moments": {name: value.clone() for name, value in moments.items()},
        }  # fmt: skip

    def load_state_dict(self, state: dict[str, Any]) -> None:
        """Go on from such a state."""
        self.step = state["step"]
        with torch.no_grad():
            for own, name in ((self.flat, "parameters"), (self.alive, "alive"), (self.last, "last")):
                own.copy_(state[name])
            held = self.optimizer.state[self.flat]
            for name, value in held.items():  # addresses stay: a captured graph knows them
                value.copy_(state["moments"][name]) if state["moments"] else value.zero_()
            for name, value in state["moments"].items():
                if name not in held:
                    held[name] = value.clone().to(self.flat.device)
