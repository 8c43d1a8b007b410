"""Whether stimuli and trials are what their design says: images, parts, objects, matches."""

from __future__ import annotations

__all__ = ["constants_table", "drawn_balance", "match_shares", "of_set"]

import hashlib
from collections.abc import Mapping, Sequence

import numpy as np
import pandas as pd
import torch

from ..seeds import numpy_generator
from .balance import balance, constant_answers
from .stimuli import StimulusSet
from .task import TASKS, Sampler, Trials

_NOVEL = ("novel_identity", "novel_both")


def of_set(stimuli: StimulusSet, *, render: bool = True) -> dict[str, int]:
    """Counts of a stimulus set.

    distinct: different images; shared: of these, in more than one part; novel: objects of a category that
    are held out, the fewest; shared_novel: of all of these, both for validation and for analysis or test.
    render: compare pixels; else what is shown, from where and at which pixel.
    """
    table = stimuli.table
    keys = [_digest(stimuli, row) for row in range(len(table))] if render else _described(table)
    parts = pd.Series(table.part.to_numpy()).groupby(pd.Series(keys)).nunique()
    novel = table[table.split.isin(_NOVEL)]
    counts = novel.groupby("category").identity.nunique()
    fewest = counts.reindex(stimuli.design.categories, fill_value=0).min()
    chosen_by, others = (
        {*zip(rows.category, rows.identity, strict=True)}
        for rows in (novel[novel.part == "validation"], novel[novel.part != "validation"])
    )
    found = {"distinct": len(parts), "shared": int((parts > 1).sum()), "novel": int(fewest)}
    return found | {"shared_novel": len(chosen_by & others)}


def _digest(stimuli: StimulusSet, row: int) -> str:
    return hashlib.blake2b(stimuli.image(row).tobytes(), digest_size=16).hexdigest()


def _described(table: pd.DataFrame) -> list[str]:
    return ["|".join(map(str, each)) for each in table[["category", "identity", "view", "x", "y"]].to_numpy()]


def drawn_balance(
    labels: Mapping[str, np.ndarray], trials: int, lures: str = "natural", seed: str = "0"
) -> pd.DataFrame:
    """`wm.nback.balance` of so many trials of all tasks, of images that have these labels."""
    return balance(_drawn(labels, trials, lures, seed), labels)


def match_shares(labels: Mapping[str, np.ndarray], trials: int, lures: str, samples: int) -> np.ndarray:
    """Share of matches among comparisons in each of so many samples of trials, (sample,)."""
    found = [_drawn(labels, trials, lures, str(k)).targets.numpy() for k in range(samples)]
    return np.array([(each == 2).sum() / (each > 0).sum() for each in found])


def _drawn(labels: Mapping[str, np.ndarray], trials: int, lures: str, seed: str) -> Trials:
    sampler = Sampler(labels, lures=lures)
    uniforms = numpy_generator(seed, "checks", lures).random((trials, sampler.numbers))
    return sampler.trials(torch.as_tensor(uniforms), torch.arange(trials) % len(TASKS))


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
