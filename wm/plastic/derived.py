"""Measurements of plastic networks that are shipped with them: `MEASURES`, and the first of these.

`wm states plastic networks` writes, `networks` reads `data_json/plastic/networks.csv`: a row a saved network
with its scores. `encoders` and `baselines` are of drawings without plasticity
(`wm.plastic.fewshot.derived`), `adaptation` of what networks do within an episode of them
(`wm.plastic.fewshot.adapted`). The others train the networks of an experiment (`wm.plastic.measures`).
"""

from __future__ import annotations

__all__ = ["MEASURES", "measure", "networks"]

from collections.abc import Callable, Sequence
from functools import partial

import pandas as pd

from .. import measured, paths
from .experiments import EXPERIMENTS
from .families import FAMILIES, family_name
from .fewshot.adapted import measure_adaptation
from .fewshot.derived import measure_baselines, measure_encoders
from .library import load_family, names
from .measures import measure as measure_experiment

SCORES = ("score", "loss", "all_loss", "paper_metric", "rate", "plastic_norm")


def measure(families: Sequence[str] | None = None, *, device: str = "cpu") -> pd.DataFrame:
    """Collect the scores of the saved networks of these families (default: all) in the table; returns rows.

    device: not used. ValueError for an unknown family, or if nothing is saved.
    """
    wanted = [family_name(name) for name in families or FAMILIES if families or names(name)]
    if not wanted:
        remedy = "train some with `wm train plastic.copying_hebbian`"
        raise ValueError(f"none is saved in {paths.data()}: {remedy}")
    options = {"device": "cpu", "families": families}
    run = measured.Measuring("plastic/networks", measure, wanted, known=FAMILIES, options=options)
    rows = [
        {"family": family, "network": each.name, "seed": each.seed}
        | {key: each.record["scores"].get(key) for key in SCORES}
        for family in wanted
        for each in load_family(family)
    ]
    table = pd.DataFrame(rows)
    run.save({"networks": table})
    return table


MEASURES: dict[str, Callable[..., object]] = {
    "networks": measure,
    "encoders": measure_encoders,
    "baselines": measure_baselines,
    "adaptation": measure_adaptation,
    **{name: partial(measure_experiment, name) for name in EXPERIMENTS},
}
"""what `wm states plastic` can measure, each called with `device` and `families`; alone the first"""


def networks() -> pd.DataFrame:
    """The shipped table, a row per network. Raises `wm.store.DamagedFile` if it is missing."""
    return measured.read("plastic", "networks")
