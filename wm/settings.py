"""Checks of settings that configurations of all systems share; each raises ValueError naming the setting."""

from __future__ import annotations

__all__ = ["check_choices", "check_numbers", "check_whole"]

import math
from collections.abc import Collection, Mapping, Sequence
from typing import Any

from .text import nearest

RANGES = {
    "0 or more and finite": lambda value: 0 <= value < math.inf,
    "above 0 and finite": lambda value: 0 < value < math.inf,
    "from 0 to below 1": lambda value: 0 <= value < 1,
    "from 0 to 1": lambda value: 0 <= value <= 1,
}
"""what a number must be -> whether it is"""


def check_choices(config: Any, known: Mapping[str, Collection[str]]) -> None:
    """Each of these settings must be one of the names known; the error says the nearest."""
    for name, names in known.items():
        if (given := getattr(config, name)) not in names:
            raise ValueError(f"unknown {name} {given!r}: {nearest(str(given), names)}")


def check_whole(config: Any, least: Mapping[str, int]) -> None:
    """Each of these settings must be a whole number of at least so much."""
    for name, low in least.items():
        if not isinstance(given := getattr(config, name), int) or given < low:
            raise ValueError(f"{name} must be a whole number of at least {low}, got {given}")


def check_numbers(config: Any, names: Sequence[str], range_: str) -> None:
    """Each of these settings must be in a range, one of `RANGES`; what is no number is in none."""
    for name in names:
        if not RANGES[range_](given := getattr(config, name)):
            raise ValueError(f"{name} must be {range_}, got {given}")
