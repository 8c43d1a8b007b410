"""Whether stimuli and trials are what their design says: images, parts, objects, matches."""

from __future__ import annotations

__all__ = ["constants_table", "drawn_balance", "of_set"]

import hashlib
from collections.abc import Mapping, Sequence

import numpy as np
import pandas as pd
import torch

from ..seeds import numpy_generator
from .balance import balance, constant_answers
from .design import VIEWS
from .stimuli import StimulusSet
from .task import TASKS, Sampler


def of_set(stimuli: StimulusSet, *, render: bool = True) -> dict[str, int]:
    """Counts of a stimulus set.

    distinct: different images; shared: of these, in more than one part; novel: objects of a category that
    are held out, the fewest; shared_novel: of all of these, both for validation and for analysis or test;
    shared_views: the same of held-out views. render: compare pixels; else what is shown, from where and at
    which pixel.
    """
    table, held_out = stimuli.table, stimuli.held_out()
    keys = [_digest(stimuli, row) for row in range(len(table))] if render else _described(table)
    parts = pd.Series(table.part.to_numpy()).groupby(pd.Series(keys)).nunique()
    novel = table[[each in held_out for each in zip(table.category, table.identity, strict=True)]]
    counts = novel.groupby("category").identity.nunique()
    fewest = counts.reindex(stimuli.design.categories, fill_value=0).min()
    found = {"distinct": len(parts), "shared": int((parts > 1).sum()), "novel": int(fewest)}
    views = table[table.view.map(lambda view: VIEWS[view][1] != "trained")]
    both = {"shared_novel": (novel, ["category", "identity"]), "shared_views": (views, ["view"])}
    return found | {name: _in_both(rows, keys) for name, (rows, keys) in both.items()}


def _in_both(rows: pd.DataFrame, keys: list[str]) -> int:
    """How many are both for validation and for analysis or test."""
    chosen_by, others = (
        {*map(tuple, rows[keys][own].to_numpy())}
        for own in (rows.part == "validation", rows.part != "validation")
    )
    return len(chosen_by & others)


def _digest(stimuli: StimulusSet, row: int) -> str:
    return hashlib.blake2b(stimuli.image(row).tobytes(), digest_size=16).hexdigest()


def _described(table: pd.DataFrame) -> list[str]:
    return ["|".join(map(str, each)) for each in table[["category", "identity", "view", "x", "y"]].to_numpy()]


def drawn_balance(
    labels: Mapping[str, np.ndarray], trials: int, lures: str = "natural", seed: str = "0"
) -> pd.DataFrame:
    """`wm.nback.balance` of so many trials of all tasks, of images that have these labels."""
    sampler = Sampler(labels, lures=lures)
    uniforms = numpy_generator(seed, "checks", lures).random((trials, sampler.numbers))
    return balance(sampler.trials(torch.as_tensor(uniforms), torch.arange(trials) % len(TASKS)), labels)


def constants_table(probabilities: Sequence[float], length: int = 6) -> pd.DataFrame:
    """Shares of right answers of who always says the same: rows lag and answer, columns match probability."""
    tasks = {task.lag: task for task in TASKS}
    return pd.DataFrame({
        (f"matches {p:g}", said.replace("_", " ")): {
            (f"{lag}-back", answer): round(value, 3)
            for lag, task in tasks.items()
            for answer, found in constant_answers(task, p, length).items()
            for value in [getattr(found, said)]
        }
        for p in probabilities
        for said in ("executive", "all_steps", "balanced")
    })  # fmt: skip
