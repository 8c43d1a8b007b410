"""Scores of all tasks side by side: how `data_json/nback/diets.csv` has them, in a quarter of the bytes.

    family, seed, split, then of each task     <task> all_steps | match | non_match | balanced_lures
                                               of identity also <task> match_other_view

`unpacked` gives a row for each lures and task (see `wm.nback.derived.rows_of`). What is empty has no row: a
network of fewer tasks.
"""

from __future__ import annotations

__all__ = ["packed", "unpacked"]

import numpy as np
import pandas as pd

from .task import TASKS

_WHOSE = ["family", "seed", "split"]
_NATURAL = ("all_steps", "match", "non_match")
_BALANCED = "balanced_lures"
_VIEWS = "match_other_view"


def _columns() -> list[str]:
    names = (*_NATURAL, _VIEWS, _BALANCED)
    return [
        f"{task.name} {name}"
        for task in TASKS
        for name in names
        if task.feature == "identity" or name != _VIEWS
    ]


def packed(rows: pd.DataFrame) -> pd.DataFrame:
    """A row for each network and split, in the order in which they come; rows: of `unpacked`.

    Balanced accuracy with natural lures, the mean of match and non_match, is left out.
    """
    natural = rows[rows.lures == "natural"].drop(columns=["lures", "balanced"])
    other = rows[rows.lures == "balanced"][[*_WHOSE, "task", "balanced"]]
    other = other.rename(columns={"balanced": _BALANCED})
    long = pd.concat([each.melt([*_WHOSE, "task"]) for each in (natural, other)])
    wide = long.assign(column=long.task + " " + long.variable).pivot(
        index=_WHOSE, columns="column", values="value"
    )
    order = pd.MultiIndex.from_frame(rows[_WHOSE].drop_duplicates())
    return wide.reindex(index=order, columns=_columns()).rename_axis(columns=None).reset_index()


def unpacked(table: pd.DataFrame) -> pd.DataFrame:
    """A row for each network, split, lures (natural ones first) and task (in the order of `TASKS`)."""
    found = []
    for task in TASKS:
        own = {name: table.get(f"{task.name} {name}", np.nan) for name in (*_NATURAL, _VIEWS, _BALANCED)}
        other = own.pop(_BALANCED)
        natural = own | {"balanced": (own["match"] + own["non_match"]) / 2}
        for lures, scores in (("natural", natural), ("balanced", {"balanced": other})):
            rows = table[_WHOSE].assign(row=range(len(table)), lures=lures, task=task.name, **scores)
            found.append(rows.dropna(subset="balanced"))
    long = pd.concat(found).sort_values(["row", "lures"], ascending=[True, False], kind="stable")
    columns = ["family", "seed", "lures", "split", "task", "balanced", *_NATURAL, _VIEWS]
    return long.reset_index(drop=True)[columns]
