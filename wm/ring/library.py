"""Saved ring networks: load them as ensembles, turn trained ensembles into records."""

from __future__ import annotations

__all__ = ["Ensemble", "as_ensemble", "load", "names"]

from collections.abc import Sequence
from dataclasses import dataclass, fields
from functools import cached_property

import numpy as np
import torch
from torch import Tensor

from .. import store
from ..campaign import saved_names
from .construction import Design, build, design
from .families import FAMILIES, RingConfig, family_name
from .families import config as family_config
from .network import Weights


@dataclass(frozen=True, eq=False)
class Ensemble:
    """Ring networks of one configuration; every tensor has a leading network axis.

    names, seeds, records: one for each network; parameters: the trained tensors; fixed: what the design adds;
    lesioned: units without influence, (network, unit) of bool, see `wm.ring.lesion`.
    """

    config: RingConfig
    names: list[str]
    seeds: list[str]
    parameters: dict[str, Tensor]
    fixed: Design | None
    records: list[dict]
    lesioned: Tensor | None = None

    def __len__(self) -> int:
        return len(self.names)

    @cached_property
    def weights(self) -> Weights:
        """All weights, (network, ...), without the lesioned units."""
        weights = build(self.config, self.parameters, self.fixed)
        return weights if self.lesioned is None else weights.silenced(self.lesioned)

    def score(self, key: str) -> np.ndarray:
        """A score of every network, (network,): `error_deg`, `error_no_distractor_deg`, ..."""
        return np.array([record["scores"][key] for record in self.records])


def as_ensemble(networks: Sequence[store.Network]) -> Ensemble:
    """Saved networks as an ensemble; ValueError if there are none or their configurations differ."""
    if not networks:
        raise ValueError("an ensemble needs at least one network")
    configs = [_config(network) for network in networks]
    for network, config in zip(networks, configs, strict=True):
        if config != configs[0]:
            raise ValueError(
                f"{network.name} and {networks[0].name} have different configurations: load them apart"
            )
    config, seeds = configs[0], [network.record["seed"] for network in networks]
    arrays = {name: np.stack([network.weights[name] for network in networks]) for name in networks[0].weights}
    tensors = {name: torch.from_numpy(array).float() for name, array in arrays.items()}
    shift = tensors.pop("shift_deg", None)
    fixed = None if FAMILIES[config.family].trained_fully else design(config, seeds, shift_deg=shift)
    names = [network.name for network in networks]
    return Ensemble(config, names, seeds, tensors, fixed, [network.record for network in networks])


def _config(network: store.Network) -> RingConfig:
    """The configuration in a record; `WrongSchema` if it is no ring network of this version."""
    known = {field.name for field in fields(RingConfig)}
    saved = network.record.get("config", {})
    if (
        network.system != "ring"
        or not isinstance(saved, dict)
        or set(saved) != known
        or "seed" not in network.record
    ):
        odd = sorted(known ^ set(saved)) or "no seed"
        raise store.WrongSchema(
            f"data/{network.system}/{network.name}",
            f"is no ring network of this version: {odd}",
            "train it again",
        )
    return RingConfig(**saved)


def names(family: str | None = None) -> list[str]:
    """Names of the saved ring networks, of one family if given (name or published script name)."""
    return saved_names("ring", family and family_name(family))


def load(which: str | Sequence[str]) -> Ensemble:
    """Load saved networks: a family ("rt"), a network ("rt-07"), or several names of one configuration.

    A family is all its networks of the published settings; variants beside them are loaded by name. Raises
    `wm.store.UnknownNetwork` (with the nearest names), `DamagedFile`, `WrongSchema`; ValueError for mixed
    configurations.
    """
    if not isinstance(which, str):
        return as_ensemble([store.load_network("ring", name) for name in which])
    if "-" in which:
        return load([which])
    found = [store.load_network("ring", name) for name in names(which) or [f"{family_name(which)}-00"]]
    usual = [network for network in found if _config(network) == family_config(which)]
    return as_ensemble(usual or found)


def to_network(ensemble: Ensemble, k: int, history: dict[str, list]) -> store.Network:
    """Network k as it is saved: all weights in float16, or trained scalars, shifts and read-out."""
    arrays = {name: value[k].detach().cpu().numpy() for name, value in ensemble.parameters.items()}
    if ensemble.fixed is None:
        arrays = {name: array.astype(np.float16) for name, array in arrays.items()}
    elif ensemble.fixed.shift_deg.any():
        arrays["shift_deg"] = ensemble.fixed.shift_deg[k].cpu().numpy()
    return store.Network("ring", ensemble.names[k], ensemble.records[k], arrays, history)
