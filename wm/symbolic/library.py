"""Saved symbolic networks, ready to run."""

from __future__ import annotations

__all__ = ["Trained", "load", "load_family", "names", "to_network"]

from dataclasses import dataclass
from typing import Any

import numpy as np
import torch

from .. import store
from ..campaign import config_of, saved_names
from .families import SymbolicConfig, family_name
from .families import config as family_config
from .hooks import Hooked
from .learner import frozen


@dataclass(frozen=True, eq=False)
class Trained:
    """One trained network with its name, seed and record (see `wm.symbolic.train`)."""

    name: str
    seed: str
    config: SymbolicConfig
    model: Hooked
    record: dict[str, Any]


def names(family: str | None = None) -> list[str]:
    """Names of the saved symbolic networks, of one family if given (name or published name)."""
    return saved_names("symbolic", family and family_name(family))


def load(name: str) -> Trained:
    """Load a saved network, such as "cycle-00".

    Raises `wm.store.UnknownNetwork` (with the nearest names), `DamagedFile`, `WrongSchema`.
    """
    network = store.load_network("symbolic", name)
    config = config_of(network, SymbolicConfig, holding=tuple)
    weights = {key: torch.from_numpy(value.astype(np.float32)) for key, value in network.weights.items()}
    return Trained(name, network.record["seed"], config, frozen(config, weights), network.record)


def load_family(family: str) -> list[Trained]:
    """Saved networks of a family with its usual settings, or if none has them, all; raises as `load` does."""
    found = [load(name) for name in names(family) or [f"{family_name(family)}-00"]]
    return [each for each in found if each.config == family_config(family)] or found


def to_network(trained: Trained, history: dict[str, list]) -> store.Network:
    """A network as it is saved: weights in float16."""
    weights = {key: value.cpu().numpy().astype(np.float16) for key, value in trained.model.named_parameters()}
    return store.Network("symbolic", trained.name, trained.record, weights, history)
