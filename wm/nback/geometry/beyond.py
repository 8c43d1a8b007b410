"""Beyond the published analyses: load, queues, views, and penalties; a small table of the saved networks.

`wm states nback beyond` writes data_json/nback/beyond.csv, a row for each network of all nine tasks and task.
Accuracies are normalised, decoders are ours, steps are those that have all items that the task needs:

    held, screen, memory, overlap, dimension    `Capacity`
    free, by_age, by_item                       `Additive`: R^2 of a code for each step and age, age, item
    <where>_0, <where>_lag                      `Drift`: images, views, new; at once, and when it is compared
    like_<solution>                             `similarity` to each of `HANDMADE`
    index_<penalty>, input_<penalty>            orthogonalization index of what is asked for, in E(1, 1) and
                                                of the 1 x 1 convolution, decoders of these `PENALTIES`
"""

from __future__ import annotations

__all__ = ["FAMILIES_MEASURED", "PENALTIES", "beyond_rows", "beyond_table", "measure_beyond"]

from collections.abc import Iterator, Sequence
from functools import lru_cache
from typing import Any

import numpy as np
import pandas as pd

from ... import measured
from ..behaviour import kind_of
from ..families import FAMILIES, config, family_name
from ..library import Trained, load, names
from ..material import Images
from ..task import TASKS, Task, task_named
from .capacity import additive, capacity
from .drift import drift
from .handmade import HANDMADE, handmade, percepts, similarity
from .orthogonality import equal_dimension, input_spaces, orthogonality
from .spaces import Recording, analysis_images, draw, once, record

FAMILIES_MEASURED = ("rnn_mtmf", "gru_mtmf", "lstm_mtmf", "attention_gru_mtmf")
"""of which all seeds are in the shipped table"""
PENALTIES = {"001": 0.001, "01": 0.01, "1": 0.1, "10": 1.0}
"""what columns are called -> penalty of the decoders, in mean variances"""
TRIALS = 1024
_DIGITS = 3

Row = dict[str, Any]


def beyond_rows(
    trained: Trained, pictures: Images, *, views: int, tasks: Sequence[Task] = TASKS, trials: int = TRIALS
) -> list[Row]:  # fmt: skip
    """A row for each task of one network.

    pictures: with labels `view`, of which those below `views` were trained, of the same objects all. trials:
    of each task.
    """
    known = pictures.labels["view"] < views
    few = pictures.of(known)
    shown = draw(few, tasks, trials=trials)
    recording = record(trained, few, shown, tasks)
    turning = record(trained, pictures, draw(pictures, tasks, trials=trials, seed=1), tasks)
    solutions = _solutions(few, shown, tasks)
    indices = _indices(trained, few, tasks)
    found = []
    for k, task in enumerate(tasks):
        row: Row = capacity(recording, k)._asdict()
        own = additive(recording, k)
        row |= {"free": own.free, "by_age": own.queue, "by_item": own.slots}
        for where, ages in drift(turning, k, known)._asdict().items():
            row |= {f"{where}_0": ages[0], f"{where}_lag": ages[-1]}
        row |= {f"like_{name}": similarity(recording, own, k) for name, own in solutions.items()}
        about = {"family": trained.config.family, "seed": trained.seed, "task": task.name}
        found.append(about | {name: round(float(v), _DIGITS) + 0.0 for name, v in (row | indices[k]).items()})
    return found


def _solutions(pictures: Images, shown: np.ndarray, tasks: Sequence[Task]) -> dict[str, Recording]:
    seen = percepts(pictures)
    return {name: handmade(seen, pictures.labels, shown, tasks, **how) for name, how in HANDMADE.items()}


def _indices(trained: Trained, pictures: Images, tasks: Sequence[Task]) -> list[Row]:
    """Of each task, in spaces at equal dimension."""
    alone = record(trained, pictures, once(pictures, tasks), tasks)
    inputs = input_spaces(trained, pictures)["perceptual"]
    found: list[Row] = []
    for k, task in enumerate(tasks):
        spaces = equal_dimension({"index": alone.states[k, :, 0], "input": inputs})
        labels = pictures.labels[task.feature]
        found.append(
            {
                f"{space}_{name}": orthogonality(states, labels, shuffles=1, penalty=penalty).index
                for space, states in spaces.items()
                for name, penalty in PENALTIES.items()
            }
        )
    return found


@lru_cache(maxsize=2)
def _pictures(stimuli: str, backbone: str, pool: str) -> tuple[Images, int]:
    """Images of trained objects, and how many of their views, which are numbered first, were trained."""
    own = config("gru", stimuli=stimuli, backbone=backbone, pool=pool)
    views = len(np.unique(analysis_images(own).labels["view"]))
    return analysis_images(own, "trained", "novel_angle"), views


def _measured(trained: Trained, trials: int) -> list[Row]:
    kind = trained.config
    pictures, views = _pictures(kind.stimuli, kind.backbone, kind.pool)
    return beyond_rows(trained, pictures, views=views, trials=trials)


def measure_beyond(
    families: Sequence[str] | None = None, *, device: str = "cpu", trials: int = TRIALS
) -> pd.DataFrame:  # fmt: skip
    """Measure the saved networks of `FAMILIES_MEASURED`, or of these families; write the table, return it.

    trials: of each task; device: not used. Raises ValueError for an unknown family, and for one of which no
    network is saved or that has not learnt all nine tasks.
    """
    wanted = [family_name(name) for name in families or FAMILIES_MEASURED]
    if wrong := [name for name in wanted if not name.endswith("_mtmf")]:
        raise ValueError(f"{wrong[0]} has not learnt all nine tasks: name families that end in _mtmf")
    if none := [name for name in wanted if not names(name)]:
        raise ValueError(f"no network of {none[0]} is saved: wm train nback.{none[0]}")
    options = {"device": "cpu", "families": families, "trials": trials}
    run = measured.Measuring("nback/beyond", measure_beyond, wanted, known=FAMILIES, options=options)
    rows = [row for each in _networks(wanted) for row in _measured(each, trials)]
    table = pd.DataFrame(rows)
    run.save({"beyond": table})
    return table


def _networks(families: Sequence[str]) -> Iterator[Trained]:
    return (load(name) for family in families for name in names(family))


def beyond_table() -> pd.DataFrame:
    """The table, with what is told of a family (`wm.nback.behaviour.kind_of`), and the task's feature, lag.

    Raises `wm.store.DamagedFile` if it is missing.
    """
    rows = measured.read("nback", "beyond", "beyond")
    kinds = pd.DataFrame.from_dict({each: kind_of(config(each)) for each in rows.family.unique()}, "index")
    tasks = rows.task.map(task_named)
    told = {"feature": [each.feature for each in tasks], "lag": [each.lag for each in tasks]}
    return rows.join(kinds, on="family").assign(setting="ours", **told)
