"""The table of what networks do within an episode of drawings, six seeds of each kind.

`measure_adaptation` trains the transformers of 5-way 1-shot episodes with the budget of the experiment
`images` and keeps what `wm.plastic.fewshot.adaptation` finds in them:

    data_json/plastic/adaptation.csv   a row for every family, seed, measure and number of labelled drawings
"""

from __future__ import annotations

__all__ = ["CELL", "FAMILIES", "TRIALS", "adaptation", "measure_adaptation", "of_network", "values"]

from collections.abc import Sequence

import numpy as np
import pandas as pd

from ... import measured
from ...text import nearest
from .. import families as plastic_families
from .. import measures
from ..catalogue import PAPER_RULES
from ..experiments import Cell, cells, ensembles
from ..families import make_task
from ..inside import Edit, recalled, without_plasticity
from ..library import Trained
from .adaptation import by_items, decoded, read_scores, swapped

CELL = "random 5-way 1-shot"
"""the variant of `images` that is looked into"""
FAMILIES = tuple(f"{dataset}_{rule}" for dataset in ("emoji", "kanji") for rule in PAPER_RULES)
TRIALS = 256
"""test episodes"""


def measure_adaptation(
    families: Sequence[str] | None = None,
    *,
    device: str = "cpu",
    trainer: measures.Trainer = measures.trained,
) -> pd.DataFrame:
    """Train networks of these families (default: all of `FAMILIES`), and write what they do; returns rows.

    Raises ValueError for another family.
    """
    if odd := [name for name in families or () if name not in FAMILIES]:
        raise ValueError(f"no {odd[0]!r} networks are looked into: {nearest(odd[0], FAMILIES)}")
    wanted, found = [*(families or FAMILIES)], []
    options = {"device": device, "families": families}
    known = plastic_families.FAMILIES
    work = measured.Measuring("plastic/adaptation", measure_adaptation, wanted, known=known, options=options)
    chosen = [cell for cell in cells("images") if cell.variant == CELL and cell.config.family in wanted]
    for group in ensembles(chosen):
        found += _of_group(group, trainer(group, device).networks)
    table = pd.concat(found, ignore_index=True)
    work.save({"adaptation": table})
    return table


def _of_group(group: Sequence[Cell], networks: Sequence[Trained]) -> list[pd.DataFrame]:
    each = [cell.config.family for cell in group for _ in measures.SEEDS]
    return [
        of_network(trained).assign(family=family, seed=trained.seed)
        for family, trained in zip(each, networks, strict=True)
        if trained.record["scores"]
    ]


def of_network(trained: Trained, trials: int = TRIALS) -> pd.DataFrame:
    """All measures of one network: columns measure, items (labelled drawings that came before), value."""
    curve, support = by_items(trained, trials), make_task(trained.config).support
    rows = [
        (name, items, value)
        for name, own in zip(curve._fields, curve, strict=True)
        for items, value in enumerate(own)
    ]
    single = {"erased": recalled(trained, Edit("erase", support), trials=trials).mean()}
    single["frozen"] = recalled(trained, Edit("freeze", support), trials=trials).mean()
    single["never written"] = recalled(without_plasticity(trained), trials=trials).mean()
    for name, (own, other) in swapped(trained, trials).items():
        single |= {f"swapped {name}: own": own, f"swapped {name}: other": other}
    if found := decoded(trained, trials):
        single |= {f"decoded {name}": value for name, value in found.items()}
        single |= {f"reads {name}": value for name, value in read_scores(trained, trials).items()}
    rows += [(name, support, float(value)) for name, value in single.items()]
    return pd.DataFrame(rows, columns=["measure", "items", "value"])[lambda table: table.value.notna()]


def adaptation() -> pd.DataFrame:
    """The shipped table. Raises `wm.store.DamagedFile` if it is missing."""
    return measured.read("plastic", "adaptation")


def values(table: pd.DataFrame, family: str, measure: str) -> np.ndarray:
    """A measure of the networks of a family in order of seeds, (network, item), items where it is defined.

    Raises ValueError if there are none.
    """
    own = table[(table.family == family) & (table.measure == measure)]
    if own.empty:
        raise ValueError(f"nothing was measured as {measure!r} in {family} networks")
    wide = own.assign(seed=own.seed.astype(int)).pivot(index="seed", columns="items", values="value")
    return wide.to_numpy(dtype=float)
