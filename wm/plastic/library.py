"""Saved plastic networks, ready to run."""

from __future__ import annotations

__all__ = ["Trained", "load", "load_family", "names", "to_network", "untrained"]

from dataclasses import dataclass
from typing import Any

import numpy as np
import torch
from torch import Tensor

from .. import store
from ..campaign import config_of, network_name, saved_names
from .engine import Trace, run
from .families import PlasticConfig, family_name
from .families import config as family_config
from .parameters import initial, layout


@dataclass(frozen=True, eq=False)
class Trained:
    """One network with its name, seed, weights and record (see `wm.plastic.train`)."""

    name: str
    seed: str
    config: PlasticConfig
    weights: dict[str, Tensor]
    """parameters by name, with a leading network axis of one"""
    record: dict[str, Any]

    def run(self, inputs: np.ndarray | Tensor, *, learning: bool = False, **options) -> Trace:
        """Run sequences, tokens (trial, time) or numbers (trial, time, input); options: of `wm.plastic.run`.

        The trace has a leading network axis of one. learning: keep the graph of autograd.
        """
        tensor = torch.as_tensor(np.asarray(inputs))[None]
        with torch.set_grad_enabled(learning):
            return run(self.config, self.weights, tensor, **options)


def names(family: str | None = None) -> list[str]:
    """Names of the saved plastic networks, of one family if given."""
    return saved_names("plastic", family and family_name(family))


def load(name: str) -> Trained:
    """Load a saved network, such as "copying_hebbian-00".

    Raises `wm.store.UnknownNetwork` (with the nearest names), `DamagedFile`, `WrongSchema`.
    """
    network = store.load_network("plastic", name)
    config = config_of(network, PlasticConfig)
    weights = {key: torch.from_numpy(each.astype(np.float32))[None] for key, each in network.weights.items()}
    return Trained(name, network.record["seed"], config, weights, network.record)


def load_family(family: str) -> list[Trained]:
    """Saved networks of a family with its usual settings, or if none has them, all; raises as `load` does."""
    found = [load(name) for name in names(family) or [f"{family_name(family)}-00"]]
    return [each for each in found if each.config == family_config(family)] or found


def untrained(config: PlasticConfig, seed: str) -> Trained:
    """The network of a seed as its training finds it."""
    weights = layout(config).views(initial(config, seed)[None])
    return Trained(network_name(config, seed), seed, config, weights, {})


def to_network(trained: Trained, history: dict[str, list]) -> store.Network:
    """A network as it is saved: weights in float16."""
    weights = {key: value[0].cpu().numpy().astype(np.float16) for key, value in trained.weights.items()}
    return store.Network("plastic", trained.name, trained.record, weights, history)
