"""All architectures side by side: what each reaches on every task that it was trained on, as a table.

Tables are those of `wm.plastic.measures`.
"""

from __future__ import annotations

__all__ = ["architectures", "limits", "side_by_side", "write_architectures"]

import math
from collections.abc import Sequence
from pathlib import Path

import numpy as np
import pandas as pd

from ..estimate import mean_interval
from ..files import write_atomic, write_table
from .families import PAPER_RULES, RECURRENT, TASKS, WHOLE, config, make_task
from .parameters import layout
from .performance import architecture, counted, level_of


def architectures(performance: pd.DataFrame, recurrent: pd.DataFrame) -> pd.DataFrame:
    """What every architecture reaches on every task that it was trained on, a row each, sound preset.

    Columns: family, body, rule, task, setting (title of the task, with the number of items where that differs
    between networks), parameters, updates of 64 sequences, networks, diverged, and mean, low and high (95 %
    t-interval) of the score of the answers: share right in copying, else mean squared error. Networks that
    diverged count as chance.
    """
    both = pd.concat([performance, recurrent], ignore_index=True)
    both = counted(both[(both.updates == both.trained) & ~both.family.str.startswith("published_")])
    several = both.groupby("task")["items"].nunique() > 1
    groups = both.groupby(["body", "rule", "task", "items"], sort=False)
    return pd.DataFrame([_entry(key, own, bool(several[key[2]])) for key, own in groups]).sort_values(
        ["body", "rule"], key=_in_order, kind="stable", ignore_index=True
    )  # fmt: skip


def _entry(key: tuple, own: pd.DataFrame, said: bool) -> dict[str, object]:
    body, rule, task, items = key
    values = own.score.to_numpy(dtype=float)
    low, high = mean_interval(values) if len(values) > 1 else (np.nan, np.nan)
    return {
        "family": own.family.iloc[0], "body": body, "rule": rule, "task": task,
        "setting": f"{TASKS[task]} ({items})" if said else TASKS[task],
        "parameters": layout(config(own.family.iloc[0])).size, "updates": own.trained.iloc[0],
        "networks": len(own), "diverged": int(own.diverged.sum()),
        "mean": values.mean(), "low": low, "high": high,
    }  # fmt: skip


def limits(rows: pd.DataFrame, **level_options: int) -> dict[str, float]:
    """What the task of rows of `architectures` allows (see `level_of`); ValueError for rows of several."""
    tasks = {make_task(config(family)) for family in rows.family}
    if len(tasks) != 1:
        raise ValueError(f"levels are of one setting of a task, got {len(tasks)}: {', '.join(rows.family)}")
    return level_of(rows.family.iloc[0], **level_options)


def _in_order(column: pd.Series) -> pd.Series:
    known = ["transformer", *WHOLE, *RECURRENT] if column.name == "body" else list(PAPER_RULES)
    return column.map(known.index)


def side_by_side(rows: pd.DataFrame) -> pd.DataFrame:
    """`architectures` as text for reading: an architecture a row, a setting of a task a column.

    Mean and half the width of the 95 % interval; an en dash: not trained. Parameters in thousands, the fewest
    to the most of its networks, as inputs and positions differ.
    """
    named = rows.assign(network=[architecture(*pair) for pair in zip(rows.body, rows.rule, strict=True)])
    cells = named.assign(text=[_cell(*row) for row in zip(rows["mean"], rows.high, strict=True)])
    wide = cells.pivot(index="network", columns="setting", values="text").fillna("–")
    wide = wide.loc[list(dict.fromkeys(named.network)), _columns(rows)]
    size = (named.groupby("network").parameters.agg(["min", "max"]) / 1000).round().astype(int)
    text = size.apply(lambda own: " to ".join(map(str, dict.fromkeys(own))), axis=1)
    wide.insert(0, "parameters (1000)", text.loc[wide.index])
    return wide.rename_axis(index="architecture", columns=None)


def _cell(middle: float, high: float) -> str:
    digits = max(3, 2 - math.floor(math.log10(abs(middle)))) if middle else 3
    spread = "" if np.isnan(high) else f" ± {high - middle:.{digits}f}"
    return f"{middle:.{digits}f}{spread}"


def _columns(rows: pd.DataFrame) -> Sequence[str]:
    """Settings in the order of tasks."""
    order = rows.assign(place=rows.task.map([*TASKS].index)).sort_values("place", kind="stable")
    return list(dict.fromkeys(order.setting))


def write_architectures(folder: str | Path, rows: pd.DataFrame) -> list[Path]:
    """Write `architectures.csv` (as given), `.md` and `.tex` (as in `side_by_side`); return their paths.

    Raises `CannotWrite`.
    """
    folder, text = Path(folder), side_by_side(rows).reset_index()
    lines = [text.columns, ["---", *["---:"] * (text.shape[1] - 1)], *text.to_numpy()]
    markdown = "".join(f"| {' | '.join(map(str, line))} |\n" for line in lines)
    latex = text.to_latex(index=False, escape=False, column_format="l" + "c" * (text.shape[1] - 1))
    latex = latex.replace("±", r"$\pm$").replace("–", "--")
    written = [write_table(folder / "architectures.csv", rows)]
    for suffix, content in {"md": markdown, "tex": latex}.items():
        written.append(write_atomic(folder / f"architectures.{suffix}", content.encode()))
    return written
