"""Measurements of the saved symbolic networks that are shipped with them: `MEASURES`, and the first of these.

`wm states symbolic networks` writes, `networks` reads `data_json/symbolic/networks.csv`: a row a network with
its scores.
"""

from __future__ import annotations

__all__ = ["MEASURES", "measure", "networks", "saved_families"]

from collections.abc import Callable, Sequence
from functools import partial
from importlib import import_module

import pandas as pd

from .. import measured, paths
from .families import FAMILIES, family_name
from .library import load_family, names

SCORES = ("loss", "floor", "accuracy", "ceiling", "last_loss", "last_accuracy")


def saved_families(
    families: Sequence[str] | None = None, *, among: Sequence[str] = tuple(FAMILIES)
) -> list[str]:
    """Names of these families, by default of all `among` them that have saved networks.

    ValueError for an unknown family, one that is not among them, or if no network is saved.
    """
    wanted = [family_name(name) for name in families or among]
    if odd := [name for name in wanted if name not in among]:
        raise ValueError(f"this is not measured on {odd[0]!r} networks, only on {', '.join(among)}")
    found = [name for name in wanted if families or names(name)]
    if not found:
        raise ValueError(f"none is saved in {paths.data()}: train some with `wm train symbolic.cycle`")
    return found


def measure(families: Sequence[str] | None = None, *, device: str = "cpu") -> pd.DataFrame:
    """Collect the scores of the saved networks of these families (default: all) in the table; returns rows.

    device: not used. ValueError for an unknown family, or if nothing is saved.
    """
    wanted = saved_families(families)
    options = {"device": "cpu", "families": families}
    run = measured.Measuring("symbolic/networks", measure, wanted, known=FAMILIES, options=options)
    rows = pd.DataFrame(
        [
            {"family": family, "network": each.name, "seed": each.seed}
            | {key: each.record["scores"].get(key) for key in SCORES}
            for family in wanted
            for each in load_family(family)
        ]
    )
    run.save({"networks": rows})
    return rows


def _measure_in(module: str, **options) -> pd.DataFrame:
    """`measure` of another module of this package, imported only then: some of them import this one."""
    return import_module(f".{module}", __package__).measure(**options)


MEASURES: dict[str, Callable[..., object]] = {
    "networks": measure,
    **{
        name: partial(_measure_in, name)
        for name in ("span", "stages", "dictionaries", "interventions", "hallucination", "lorenz_scores")
    },
}
"""what `wm states symbolic` can measure, each called with `device` and `families`; alone the first"""


def networks() -> pd.DataFrame:
    """The shipped table, a row per network. Raises `wm.store.DamagedFile` if it is missing."""
    return measured.read("symbolic", "networks")
