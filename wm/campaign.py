"""What training campaigns of all systems share: names, seeds, histories and records of what they save.

A configuration is a frozen dataclass with a `family`; its networks are `<family>-<seed>`, as in `rt-07`.
"""

from __future__ import annotations

__all__ = [
    "Together", "admitted", "check_seeds", "config_of", "decayed", "four_digits", "network_name",
    "own_history", "refuse_to_replace", "saved_names", "settings_of", "training_command",
]  # fmt: skip

import contextlib
import json
import logging
import re
from collections.abc import Callable, Mapping, Sequence
from dataclasses import asdict, dataclass, fields
from typing import Any, TypeVar

from . import store
from .device import check_found

T = TypeVar("T")
_log = logging.getLogger(__name__)


@dataclass(frozen=True, eq=False)
class Together:
    """Networks trained together, with the history of all of them (see `wm.train.run`).

    Each network has a `name` and a `record`.
    """

    networks: list[Any]
    history: dict[str, list]

    @property
    def names(self) -> list[str]:
        """Their names."""
        return [each.name for each in self.networks]

    @property
    def records(self) -> list[dict]:
        """Their records."""
        return [each.record for each in self.networks]

    def save(self, to_network: Callable[[Any, dict[str, list]], store.Network]) -> None:
        """Save each network, made to be saved with its own history, and a notebook to explore it."""
        for k, trained in enumerate(self.networks):
            network = to_network(trained, own_history(self.history, k))
            place = store.save_network(network)
            _log.info("saved %s/%s", network.system, network.name)
            try:
                from .explore_notebook import write
            except ImportError as error:  # a machine that only trains may lack what it needs
                _log.warning("no notebook to explore it (`wm explore` writes it): %s", error)
            else:
                write(place)


def network_name(config: Any, seed: str) -> str:
    """Name of the network of a seed: `rt-07`."""
    return f"{config.family}-{seed:0>2}"


def saved_names(system: str, family: str | None = None) -> list[str]:
    """Names of the saved networks of a system, of one family if given (its own name, not a published one)."""
    found = [name for _, name in store.list_networks(system)]
    return [name for name in found if family is None or re.fullmatch(rf"{family}-\w+", name)]


def check_seeds(config: Any, seeds: Sequence[str | int]) -> list[str]:
    """Seeds as strings; ValueError if there are none, or if they cannot name different networks."""
    seeds = [str(seed) for seed in seeds]
    if not seeds:
        raise ValueError("training needs at least one network: `networks` must be 1 or more")
    if odd := [seed for seed in seeds if not re.fullmatch(r"\w+", seed, re.ASCII)]:
        raise ValueError(f"a seed is a word of letters, digits and _, got {odd[0]!r}")
    if len({network_name(config, seed) for seed in seeds}) < len(seeds):
        raise ValueError(f'seeds must differ ("0" and "00" do not), got {", ".join(seeds)}')
    return seeds


def settings_of(config: Any) -> dict[str, Any]:
    """A configuration as JSON holds it: tuples are lists."""
    return json.loads(json.dumps(asdict(config)))


def config_of(network: store.Network, kind: type[T], **changed: Callable[[Any], Any]) -> T:
    """The configuration, of this kind, in the record of a saved network.

    changed: what makes a value of a field from what JSON holds. Raises `wm.store.WrongSchema` if the fields
    are not those of this version.
    """
    saved = network.record.get("config")
    if not isinstance(saved, Mapping) or set(saved) != {field.name for field in fields(kind)}:
        place = f"data/{network.system}/{network.name}"
        raise store.WrongSchema(place, f"is no {network.system} network of this version", "train it again")
    config = kind(**(saved | {name: change(saved[name]) for name, change in changed.items()}))
    assert settings_of(config) == saved
    return config


def admitted(system: str, config: Any, seeds: Sequence[str | int], *, device: str, keep: bool) -> list[str]:
    """Seeds of networks to be trained, as strings, once nothing stands against it.

    Raises ValueError as `check_seeds` does, for a device that is not there, and, to keep what is saved, as
    `refuse_to_replace` does.
    """
    seeds = check_seeds(config, seeds)
    check_found(device)
    if keep:
        refuse_to_replace(system, config, [network_name(config, seed) for seed in seeds])
    return seeds


def refuse_to_replace(system: str, config: Any, names: Sequence[str]) -> None:
    """ValueError where saved networks of these names have other settings; damaged ones may be replaced."""
    wanted = settings_of(config)
    for name in sorted({*names} & {name for _, name in store.list_networks(system)}):
        with contextlib.suppress(store.StoreError):
            saved = store.load_network(system, name).record.get("config", {})
            if other := [key for key in wanted if saved.get(key) != wanted[key]]:
                raise ValueError(
                    f"{system}/{name} is saved with another {', '.join(other)}: choose other seeds, "
                    "save elsewhere (WM_DATA=FOLDER), or replace it (--overwrite, in Python overwrite=True)"
                )


def training_command(system: str, config: Any, usual: Any, seed: str) -> str:
    """The command line that trains one network; options say what differs from the family's settings."""
    known, words = asdict(usual), [f"wm train {system}.{config.family} --seeds {seed}"]
    for key, value in asdict(config).items():
        if value == known[key]:
            continue
        option = key.replace("_", "-")
        if isinstance(value, bool):
            words.append(f"--{option}" if value else f"--no-{option}")
        else:
            words.append(f"--{option} {' '.join(map(str, value)) if isinstance(value, tuple) else value}")
    return " ".join(words)


def own_history(history: dict[str, list], k: int) -> dict[str, list]:
    """The training history of network k, to four digits, from that of an ensemble (see `wm.train.run`)."""
    own = {"step": history["step"]} if history else {}
    return own | {
        name: [four_digits(row[k]) for row in rows] for name, rows in history.items() if name != "step"
    }


def decayed(step: int, updates: int, share: float) -> float:
    """Part of a learning rate left at a step: 1, then linearly to 0 over the last `share` of the updates."""
    left = 1 - step / max(updates, 1)
    return min(1.0, left / share) if share else 1.0


def four_digits(value: float) -> float:
    """A number to four significant digits."""
    return float(f"{value:.4g}")
