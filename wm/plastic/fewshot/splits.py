"""Which classes are for training, validation and test: fixed tables, no class in two parts.

`random` parts cut through the groups of classes; `groups` parts hold whole groups out, so that the test asks
for more than what one alphabet, radical or superclass shares. `assets/splits.py` writes the tables.
"""

from __future__ import annotations

__all__ = ["KINDS", "PARTS", "Split", "digest", "draw", "draw_groups", "place", "split"]

import hashlib
import json
from collections import Counter
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any, NamedTuple

from ... import paths
from ...files import DamagedFile, parsing, read_json
from ...text import nearest

KINDS = {
    "emoji": ("random", "groups"),
    "kanji": ("random", "groups"),
    "omniglot": ("groups",),
    "cifarfs": ("random",),
}
"""splits of each set, the default first; the last two have their published split"""
PARTS = {"train": 0.64, "validation": 0.16, "test": 0.2}
"""share of the classes in each part"""


class Split(NamedTuple):
    """Names of the classes of each part."""

    train: tuple[str, ...]
    validation: tuple[str, ...]
    test: tuple[str, ...]


def split(name: str, kind: str | None = None) -> Split:
    """A split of a set: `random` or `groups`, by default the first in `KINDS`.

    Raises ValueError for a set or a kind that is not in `KINDS`; `DamagedFile` if a name was changed.
    """
    if name not in KINDS:
        raise ValueError(f"there is no set of images {name!r}: {nearest(name, KINDS)}")
    kind = kind or KINDS[name][0]
    if kind not in KINDS[name]:
        raise ValueError(f"{name} has no split {kind!r}: {nearest(kind, KINDS[name])}")
    path = place(name)
    tables = read_json(path)
    with parsing(path):
        found = Split(**{part: tuple(tables[kind][part]) for part in PARTS})
        saved = tables[kind]["sha256"]
    if saved != digest(found):
        raise DamagedFile(path, f"the class names of {kind} do not match their sha256")
    return found


def place(name: str) -> Path:
    """Where the tables of a set are."""
    return paths.root() / "assets" / name / "splits.json"


def digest(found: Split) -> str:
    """sha256 over the names, parts and order, 64 hexadecimal digits."""
    return hashlib.sha256(json.dumps(found, ensure_ascii=False).encode()).hexdigest()


def draw(names: Sequence[str], seed: int, shares: Mapping[str, float] = PARTS) -> dict[str, list[str]]:
    """Divide names at random: by the order of the sha256 of `seed:name`, the same everywhere and for ever."""
    shuffled = sorted(names, key=lambda name: hashlib.sha256(f"{seed}:{name}".encode()).digest())
    parts, start = {}, 0
    for end, part in zip(_ends(len(names), shares), shares, strict=True):
        parts[part], start = sorted(shuffled[start:end]), end
    return parts


def _ends(count: int, shares: Mapping[str, float]) -> list[int]:
    total, ends = 0.0, []
    for share in shares.values():
        total += share
        ends.append(round(total / sum(shares.values()) * count))
    return ends


def draw_groups(
    names: Sequence[str], groups: Sequence[str], shares: Mapping[str, float] = PARTS
) -> dict[str, list[str]]:
    """Divide names by whole groups: the largest group first, each into the part that lacks most."""
    lacking: dict[str, Any] = {part: share * len(names) for part, share in shares.items()}
    home = {}
    for group, size in sorted(Counter(groups).items(), key=lambda item: (-item[1], item[0])):
        home[group] = max(lacking, key=lacking.get)
        lacking[home[group]] -= size
    pairs = sorted(zip(names, groups, strict=True))
    return {part: [name for name, group in pairs if home[group] == part] for part in shares}
