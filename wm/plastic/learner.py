"""Train ensembles of plastic networks: one AdamW step of each per update, as one captured graph on a GPU."""

from __future__ import annotations

__all__ = ["PlasticLearner", "costs", "same_kind"]

import math
from collections.abc import Callable, Sequence
from dataclasses import asdict, replace

import torch
import torch.nn.functional as F
from torch import Tensor

from ..campaign import decayed
from .batches import Batches, counted, draw_dropout, dropout_masks, dropout_places
from .engine import run
from .families import PlasticConfig, make_task
from .fewshot.task import CHANNELS, PIXELS
from .parameters import initial, layout
from .rates import knobs

MAY_DIFFER = (
    "family", "items", "delay", "queries", "dataset", "split", "shuffled", "eta0", "max_norm", "modulated",
    "alpha_start",
)  # fmt: skip
"""settings in which networks of an ensemble may differ, as far as the shapes of parameters stay the same"""
FIXED_SWEEPS = 8
"""sweeps in a captured graph, which cannot look whether they are enough"""
RESIDUAL, WATCHED = 1e-4, 100
"""residual that a captured graph may leave, and updates after which that is looked at; beyond it, tokens are
computed one by one"""


def same_kind(configs: Sequence[PlasticConfig]) -> PlasticConfig:
    """The configuration that stands for all; ValueError where they cannot be trained together."""
    first = asdict(configs[0])
    for other in map(asdict, configs):
        differing = [name for name in first if first[name] != other[name] and name not in MAY_DIFFER]
        if (first["alpha_start"] == "fixed") != (other["alpha_start"] == "fixed"):
            differing.append("alpha_start")
        differing += _unlike(first, other)
        if differing:
            raise ValueError(f"networks that differ in {', '.join(differing)} cannot be trained together")
    if first["dropout"] and len({make_task(each).length for each in configs}) > 1:
        raise ValueError("networks with dropout cannot be trained with others whose sequences are longer")
    return max(configs, key=lambda each: make_task(each).length)


def _unlike(first: dict, other: dict) -> list[str]:
    """Settings of drawings in which networks differ, though it must not be."""
    channels = [CHANNELS[each["dataset"]] for each in (first, other)]
    differing = ["dataset"] if channels[0] != channels[1] and first["encoder"] in PIXELS else []
    if first["encoder"] == "conv4" and first["queries"] != other["queries"]:
        differing.append("queries")  # whose norms would count drawings that only fill up
    return differing


def costs(config: PlasticConfig, answers: Tensor, targets: Tensor) -> tuple[Tensor, Tensor]:
    """Cost of each token and whether it is right, (network, trial, time).

    answers (network, trial, time, output), targets (network, trial, time). Cross-entropy in nats and the most
    likely symbol; for numbers, the squared error twice.
    """
    if make_task(config).categorical:
        cost = F.cross_entropy(answers.flatten(0, 2), targets.flatten().long(), reduction="none")
        return cost.view(targets.shape), (answers.argmax(dim=-1) == targets).to(answers.dtype)
    squared = (answers[..., 0] - targets).square()
    return squared, squared.detach()


class PlasticLearner:
    """One batch, one gradient, one AdamW step of every network per `update()`.

    config: one for all, or one for each seed; they may differ in `MAY_DIFFER`. window: of `wm.plastic.run`.
    capture: make an update one graph of a GPU, the default there. Networks share nothing. A network whose
    loss or gradient is not finite stays as it was before, and says so (metric `diverged`).
    """

    def __init__(
        self,
        config: PlasticConfig | Sequence[PlasticConfig],
        seeds: Sequence[str],
        *,
        device: str = "cpu",
        dtype: torch.dtype = torch.float32,
        window: int | None = None,
        capture: bool | None = None,
    ) -> None:
        self.configs = [config] * len(seeds) if isinstance(config, PlasticConfig) else list(config)
        self.config, self.seeds, self.device = same_kind(self.configs), [str(seed) for seed in seeds], device
        self.layout, self.window, self.step = layout(self.config), window, 0
        first = torch.stack([initial(self._padded(k), seed) for k, seed in enumerate(self.seeds)])
        self.flat = first.to(device, dtype).requires_grad_()
        self.batches = Batches(self.configs, self.seeds, device=device)
        self.knobs = knobs(self.configs, self.flat)
        like = {"device": device, "dtype": dtype}
        answers = self.config.loss == "answers"
        self.counts = torch.as_tensor(counted(self.configs, answers=answers)).to(**like)
        self.queries = torch.as_tensor(counted(self.configs, answers=True)).to(**like)
        self.own = torch.as_tensor(counted(self.configs, answers=False)).to(**like)
        self.alive = torch.ones(len(self.seeds), dtype=torch.bool, device=device)
        self.last = torch.zeros(len(self.seeds), **like)
        self.captured = torch.device(device).type == "cuda" if capture is None else capture
        rate = self.config.learning_rate  # a captured graph needs it on its device
        self.optimizer = torch.optim.AdamW(
            [self.flat], lr=torch.tensor(rate, device=device) if self.captured else rate, fused=True,
            weight_decay=self.config.weight_decay, capturable=self.captured,
        )
        self._drawn, self._inputs, self._targets = self._room_for_dropout(), None, None
        self._graph: Callable[[], dict[str, Tensor]] | None = None

    def weights(self) -> dict[str, Tensor]:
        """Named parameters (network, ...)."""
        return self.layout.views(self.flat)

    def update(self) -> dict[str, Tensor]:
        """One step; returns metrics of the batch before it, each (network,).

        loss per token that counts (nats or squared error); score of the answers (share right, or squared
        error); gradient_norm before the clip; rate, update_norm, clip_ratio: means over tokens; residual of
        the fixed point; diverged: 1 from the step on where loss or gradient was not finite.
        """
        batch = self.batches.at(self.step)
        if self._inputs is None:
            self._inputs, self._targets = (torch.empty_like(part) for part in batch)
        self._inputs.copy_(batch.inputs)
        self._targets.copy_(batch.targets)
        self._draw_dropout()
        self._set_learning_rate()
        found = self._replayed() if self.captured else self._computed()
        self.step += 1
        if self.captured and self.step % WATCHED == 0 and float(found["residual"].max()) > RESIDUAL:
            self.window, self._graph = 1, None
        return found

    def masks(self) -> dict[str, Tensor] | None:
        """Dropout of the update that comes next (see `wm.plastic.bodies.Span`); None without."""
        self._draw_dropout()
        return self._masks()

    def _draw_dropout(self) -> None:
        if self._drawn is not None:
            draw_dropout(self.config, self.batches.length, self.seeds, self.step, self._drawn)

    def _masks(self) -> dict[str, Tensor] | None:
        if self._drawn is None:
            return None
        return dropout_masks(self.config, self.batches.length, self._drawn)

    def _room_for_dropout(self) -> Tensor | None:
        if not self.config.dropout:
            return None
        places = dropout_places(self.config, self.batches.length)
        numbers = sum(torch.Size(shape).numel() for shape in places.values())
        return self.flat.new_empty(len(self.seeds), self.config.batch, numbers).detach()

    def _computed(self) -> dict[str, Tensor]:
        """Forward, backward, step: what a captured graph holds."""
        trace = run(
            self.config, self.weights(), self._inputs, self.knobs, masks=self._masks(), window=self.window,
            sweeps=FIXED_SWEEPS if self.captured else None,
        )  # fmt: skip
        cost, right = costs(self.config, trace.answers, self._targets)
        means = _token_mean(cost, self.counts)
        sums = means * self.counts.sum(dim=1)
        (gradient,) = torch.autograd.grad((sums if self.config.summed else means).sum(), self.flat)
        norm = gradient.norm(dim=1)
        self._stepped(gradient, norm, means.detach())
        rates, own = trace.rates, self.own
        found = {
            "score": _token_mean(right, self.queries), "gradient_norm": norm, "residual": trace.residual,
            "rate": _token_mean(rates.rate, own), "update_norm": _token_mean(rates.norm, own),
            "clip_ratio": _token_mean(rates.ratio, own),
        }  # fmt: skip
        found = {name: torch.where(self.alive, each.detach(), 0) for name, each in found.items()}
        return {"loss": self.last.clone(), **found, "diverged": (~self.alive).to(cost.dtype)}

    @torch.no_grad()
    def _stepped(self, gradient: Tensor, norm: Tensor, loss: Tensor) -> None:
        """Clip, make the step, and undo it for networks that have diverged."""
        self.alive.logical_and_(norm.isfinite() & loss.isfinite())
        self.last.copy_(torch.where(self.alive, loss, self.last))
        scale = ((self.config.clip_norm or math.inf) / (norm + 1e-6)).clamp(max=1)
        before, alive = self.flat.clone(), self.alive[:, None]
        self.flat.grad = torch.where(alive, gradient * scale[:, None], 0)
        self.optimizer.step()
        self.flat.copy_(torch.where(alive, self.flat, before))

    def _set_learning_rate(self) -> None:
        config, group = self.config, self.optimizer.param_groups[0]
        rate = config.learning_rate * decayed(self.step, config.updates, config.decay)
        if isinstance(group["lr"], Tensor):
            group["lr"].fill_(rate)
        else:
            group["lr"] = rate

    def _replayed(self) -> dict[str, Tensor]:
        """The same as `_computed`, as one graph; the first call captures it."""
        if self._graph is None:
            if not self._settles():
                self.window = 1
            before = self.state_dict()
            side = torch.cuda.Stream()
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

    @torch.no_grad()
    def _settles(self) -> bool:
        """Whether the fixed sweeps of a captured graph are enough for the next batch."""
        weights = {name: value.detach() for name, value in self.weights().items()}
        options = {"sweeps": FIXED_SWEEPS, "window": self.window}
        trace = run(self.config, weights, self._inputs, self.knobs, **options)
        return bool((trace.residual <= RESIDUAL).all())

    def state_dict(self) -> dict:
        """Everything that the next update depends on."""
        moments = self.optimizer.state.get(self.flat, {})
        return {
            "step": self.step, "parameters": self.flat.detach().clone(), "alive": self.alive.clone(),
            "last": self.last.clone(), "moments": {name: value.clone() for name, value in moments.items()},
        }  # fmt: skip

    def load_state_dict(self, state: dict) -> None:
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
                    held[name] = value.clone().to(self.device)

    def _padded(self, k: int) -> PlasticConfig:
        """The configuration of network k with room for the positions of the longest one."""
        return self.configs[k] if self.configs[k] == self.config else _as_long(self.configs[k], self.config)


def _token_mean(values: Tensor, counts: Tensor) -> Tensor:
    """Mean of values (network, trial, time) over trials and the tokens that count, (network,)."""
    counted = torch.where(counts > 0, values.mean(dim=1), 0)
    return counted.sum(dim=1) / counts.sum(dim=1)


def _as_long(config: PlasticConfig, longest: PlasticConfig) -> PlasticConfig:
    """A configuration with the task of another: same names and shapes of parameters."""
    return replace(config, items=longest.items, delay=longest.delay, queries=longest.queries)
