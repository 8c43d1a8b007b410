"""Train ensembles of plastic networks: one AdamW step of each per update, as one captured graph on a GPU."""

from __future__ import annotations

__all__ = ["PlasticLearner", "costs", "same_kind"]

from collections.abc import Sequence
from dataclasses import asdict, replace

import torch
import torch.nn.functional as F
from torch import Tensor

from ..ensemble import EnsembleLearner
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


class PlasticLearner(EnsembleLearner):
    """One batch, one gradient, one AdamW step of every network per `update()`.

    config: one for all, or one for each seed; they may differ in `MAY_DIFFER`. window: of `wm.plastic.run`.
    Networks share nothing. capture, and what happens to a network that diverges: see
    `wm.ensemble.EnsembleLearner`.
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
        configs = [config] * len(seeds) if isinstance(config, PlasticConfig) else list(config)
        longest, self.seeds, self.device = same_kind(configs), [str(seed) for seed in seeds], device
        pairs = zip(configs, self.seeds, strict=True)
        first = torch.stack([initial(_as_long(own, longest), seed) for own, seed in pairs])
        super().__init__(configs, first.to(device, dtype), capture=capture)
        self.config, self.layout, self.window = longest, layout(longest), window
        self.batches = Batches(configs, self.seeds, device=device)
        self.knobs = knobs(configs, self.flat)
        like = {"device": device, "dtype": dtype}
        answers = longest.loss == "answers"
        self.counts = torch.as_tensor(counted(configs, answers=answers)).to(**like)
        self.queries = torch.as_tensor(counted(configs, answers=True)).to(**like)
        self.own = torch.as_tensor(counted(configs, answers=False)).to(**like)
        self._drawn, self._inputs, self._targets = self._room_for_dropout(), None, None

    def weights(self) -> dict[str, Tensor]:
        """Named parameters (network, ...)."""
        return self.layout.views(self.flat)

    def update(self) -> dict[str, Tensor]:
        """One step; returns metrics of the batch before it, each (network,).

        loss per token that counts (nats or squared error); score of the answers (share right, or squared
        error); gradient_norm before the clip; rate, update_norm, clip_ratio: means over tokens; residual of
        the fixed point; diverged: 1 from the step on where something was not finite.
        """
        found = super().update()
        if self.captured and self.step % WATCHED == 0 and float(found["residual"].max()) > RESIDUAL:
            self.window, self._graph = 1, None
        return found

    def prepare(self, step: int) -> None:
        """Put the sequences of a step, and what dropout needs, where `losses` finds them."""
        batch = self.batches.at(step)
        if self._inputs is None:
            self._inputs, self._targets = (torch.empty_like(part) for part in batch)
        self._inputs.copy_(batch.inputs)
        self._targets.copy_(batch.targets)
        self._draw_dropout(step)

    def losses(self) -> tuple[Tensor, dict[str, Tensor]]:
        """What each network makes small, and the metrics of the batch, (network,)."""
        trace = run(
            self.config, self.weights(), self._inputs, self.knobs, masks=self._masks(), window=self.window,
            sweeps=FIXED_SWEEPS if self.captured else None,
        )  # fmt: skip
        cost, right = costs(self.config, trace.answers, self._targets)
        means = _token_mean(cost, self.counts)
        rates, own = trace.rates, self.own
        found = {
            "loss": means, "score": _token_mean(right, self.queries), "residual": trace.residual,
            "rate": _token_mean(rates.rate, own), "update_norm": _token_mean(rates.norm, own),
            "clip_ratio": _token_mean(rates.ratio, own),
        }  # fmt: skip
        return means * self.counts.sum(dim=1) if self.config.summed else means, found

    def masks(self) -> dict[str, Tensor] | None:
        """Dropout of the update that comes next (see `wm.plastic.bodies.Span`); None without."""
        self._draw_dropout(self.step)
        return self._masks()

    def _draw_dropout(self, step: int) -> None:
        if self._drawn is not None:
            draw_dropout(self.config, self.batches.length, self.seeds, step, self._drawn)

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

    def _replayed(self) -> dict[str, Tensor]:
        """As one graph; tokens one by one in it where its fixed sweeps are too few for the first batch."""
        if self._graph is None and not self._settles():
            self.window = 1
        return super()._replayed()

    @torch.no_grad()
    def _settles(self) -> bool:
        """Whether the fixed sweeps of a captured graph are enough for the next batch."""
        weights = {name: value.detach() for name, value in self.weights().items()}
        options = {"sweeps": FIXED_SWEEPS, "window": self.window}
        trace = run(self.config, weights, self._inputs, self.knobs, **options)
        return bool((trace.residual <= RESIDUAL).all())


def _token_mean(values: Tensor, counts: Tensor) -> Tensor:
    """Mean of values (network, trial, time) over trials and the tokens that count, (network,)."""
    counted = torch.where(counts > 0, values.mean(dim=1), 0)
    return counted.sum(dim=1) / counts.sum(dim=1)


def _as_long(config: PlasticConfig, longest: PlasticConfig) -> PlasticConfig:
    """A configuration with room for the positions of the longest one: same names and shapes of parameters."""
    if config == longest:
        return config
    return replace(config, items=longest.items, delay=longest.delay, queries=longest.queries)
