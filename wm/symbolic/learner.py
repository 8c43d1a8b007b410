"""Training of symbolic networks: many at once, each with its own seed, batches and initial weights."""

from __future__ import annotations

__all__ = ["SymbolicLearner", "frozen", "make_model", "untrained"]

from collections.abc import Mapping, Sequence

import torch
from torch import Tensor
from torch.func import functional_call, vmap

from ..campaign import decayed
from ..train import torch_generator
from .baselines import GRU, WindowMLP
from .batches import Batches
from .families import SymbolicConfig
from .hooks import Hooked
from .published import first_weights
from .transformer import Shape, Transformer

POSITIONS = 100
"""rows of a position table, as published; only the first `context` are ever trained"""


def make_model(config: SymbolicConfig) -> Hooked:
    """A model of a configuration, its parameters not yet set."""
    if config.model == "gru":
        return GRU(config.symbols, config.d_model)
    if config.model == "mlp":
        return WindowMLP(config.symbols, config.d_model, config.context)
    return Transformer(
        Shape(
            symbols=config.symbols, positions=max(POSITIONS, config.context), layers=config.layers,
            heads=config.heads, d_model=config.d_model, mlp=config.mlp, norm=config.norm, tied=config.tied,
        )
    )  # fmt: skip


def frozen(config: SymbolicConfig, weights: Mapping[str, Tensor]) -> Hooked:
    """A model with these weights, by name, that only answers: in evaluation mode and without gradients.

    Raises RuntimeError for weights of another configuration, as torch does.
    """
    model = make_model(config)
    model.load_state_dict(weights)
    return model.requires_grad_(False).eval()


def untrained(config: SymbolicConfig, seed: str) -> Hooked:
    """The network of a seed as its training finds it.

    Raises ValueError for a start from JAX with a seed that is no whole number.
    """
    model = make_model(config)
    if config.start == "jax":
        if not seed.isdecimal():
            raise ValueError(f"seed {seed!r} is no key of JAX: {config.family} networks have whole numbers")
        return frozen(config, first_weights(model.shape, int(seed)))
    model.reset(torch_generator(seed, "initial"))
    return frozen(config, model.state_dict())


class SymbolicLearner:
    """One AdamW step of every network of an ensemble per `update()`.

    loss = mean over the windows of a batch and all places of -ln p(next symbol), in nats. Networks share
    nothing: seeds[k] alone decides initial weights and batches of network k. Parameters are stacked,
    name -> (network, ...), and the one model is mapped over them.
    """

    def __init__(
        self,
        config: SymbolicConfig,
        seeds: Sequence[str],
        *,
        device: str = "cpu",
        count: bool | None = None,
    ) -> None:
        self.config, self.seeds, self.device = config, [str(seed) for seed in seeds], device
        first = [dict(untrained(config, seed).named_parameters()) for seed in self.seeds]
        self.parameters = {
            name: torch.stack([each[name].detach() for each in first]).to(device).requires_grad_()
            for name in first[0]
        }
        self.model = make_model(config).to(device)
        self.batches = Batches(config, self.seeds, count=count, device=device)
        self.optimizer = torch.optim.AdamW(
            self.parameters.values(), lr=config.learning_rate, weight_decay=config.weight_decay, fused=True
        )
        self.step = 0

    def update(self) -> dict[str, Tensor]:
        """One batch, one gradient, one step; returns metrics of the batch before the step, each (network,).

        loss in nats; accuracy of the most likely symbol; gradient_norm. Where windows are counted, also
        expected_loss and expected_accuracy, those of all windows with their probabilities.
        """
        batch = self.batches.at(self.step)
        costs, hits = self._costs(batch.tokens)
        loss = (batch.weights * costs).sum(dim=1)
        self.optimizer.zero_grad()
        loss.sum().backward()
        norm = torch.stack([value.grad.flatten(1).norm(dim=1) for value in self.parameters.values()]).norm(
            dim=0
        )
        config, group = self.config, self.optimizer.param_groups[0]
        group["lr"] = config.learning_rate * decayed(self.step, config.updates, config.decay)
        self.optimizer.step()
        self.step += 1
        found = {"loss": loss.detach(), "accuracy": (batch.weights * hits).sum(dim=1), "gradient_norm": norm}
        if (chance := self.batches.probability) is not None:
            found |= {"expected_loss": costs.detach() @ chance, "expected_accuracy": hits @ chance}
        return found

    def _costs(self, tokens: Tensor) -> tuple[Tensor, Tensor]:
        """Mean cross-entropy of each window in nats, and its share of right guesses; (network, window)."""

        def one(parameters: dict[str, Tensor], tokens: Tensor) -> tuple[Tensor, Tensor]:
            logits = functional_call(self.model, parameters, (tokens[:, :-1],))
            targets = tokens[:, 1:, None]
            costs = -logits.log_softmax(dim=-1).gather(-1, targets)[..., 0].mean(dim=-1)
            hits = (logits.detach().argmax(dim=-1, keepdim=True) == targets)[..., 0]
            return costs, hits.to(costs.dtype).mean(dim=-1)

        own = 0 if tokens.ndim == 3 else None
        return vmap(one, in_dims=(0, own))(self.parameters, tokens)

    def state_dict(self) -> dict:
        """Everything that the next update depends on."""
        parameters = {name: value.detach() for name, value in self.parameters.items()}
        return {"step": self.step, "parameters": parameters, "optimizer": self.optimizer.state_dict()}

    def load_state_dict(self, state: dict) -> None:
        """Go on from such a state."""
        self.step = state["step"]
        with torch.no_grad():
            for name, value in self.parameters.items():
                value.copy_(state["parameters"][name])
        self.optimizer.load_state_dict(state["optimizer"])
