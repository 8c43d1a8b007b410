"""Performance of plastic networks: published numbers, scores of ours beside them, and all architectures.

Published numbers are those of the result logs of Chaudhary 2025 (arXiv 2510.21908), three networks a rule.
Tables are those of `wm.plastic.measures`.
"""

from __future__ import annotations

__all__ = [
    "CHAUDHARY", "IMPLIED", "LAST_EPOCH", "MEASURES", "PUBLISHED", "SAID", "Published",
    "architecture", "architectures", "chance_of", "counted", "curve", "final_rows", "lead", "level_of",
    "no_worse", "samples", "side_by_side", "stages", "true_recall", "write_architectures",
]  # fmt: skip

import math
from collections.abc import Mapping, Sequence
from dataclasses import replace
from pathlib import Path
from typing import NamedTuple

import numpy as np
import pandas as pd
from numpy.typing import ArrayLike

from .. import style
from ..estimate import Estimate, difference, mean_interval, one_per_network
from ..files import write_atomic, write_table
from .families import PAPER_RULES, RECURRENT, TASKS, WHOLE, config, make_task
from .levels import levels
from .measures import Curves
from .parameters import layout
from .tasks import Copying

CHAUDHARY = "Chaudhary 2025 (arXiv 2510.21908)"
SAID = {"none": "no plasticity", "hebbian": "Hebbian", "gradient": "gradient"}
"""rule -> its name within a sentence"""
BODIES = {"transformer": "Transformer", "rnn": "RNN", "lstm": "LSTM"}
MEASURES = {
    "copying": {
        "all_loss": "loss (nats a token)", "paper_metric": "accuracy, blanks counted", "score": "true recall",
    },
    "cue_reward": {"all_loss": "MSE, all tokens", "score": "MSE, queries"},
    "regression": {"all_loss": "MSE, all tokens", "score": "MSE, queries"},
}  # fmt: skip
"""task -> column of the tables -> what it is; true recall was not published"""


class Published(NamedTuple):
    """A published number: mean and population standard deviation over three networks."""

    mean: float
    deviation: float

    @property
    def margin(self) -> float:
        """Within which ours counts as the same: a tenth of the mean or one deviation, whichever is more."""
        return max(abs(self.mean) / 10, self.deviation)


def _by_rule(gradient: tuple, hebbian: tuple, none: tuple) -> dict[str, Published]:
    return {"none": Published(*none), "hebbian": Published(*hebbian), "gradient": Published(*gradient)}


PUBLISHED = {
    ("copying", "all_loss"): _by_rule((0.352, 0.021), (0.345, 0.009), (0.415, 0.105)),
    ("copying", "paper_metric"): _by_rule((0.745, 0.011), (0.727, 0.007), (0.721, 0.025)),
    ("cue_reward", "all_loss"): _by_rule((0.035, 0.008), (0.037, 0.014), (0.027, 0.010)),
    ("cue_reward", "score"): _by_rule((0.064, 0.020), (0.065, 0.036), (0.053, 0.020)),
    ("regression", "all_loss"): _by_rule((0.823, 0.019), (0.798, 0.036), (1.031, 0.110)),
    ("regression", "score"): _by_rule((1.589, 0.038), (1.546, 0.064), (1.997, 0.266)),
}
"""(task, column) -> rule -> number"""


LAST_EPOCH = _by_rule((0.992, 0.014), (0.985, 0.091), (0.933, 0.077))
"""rule -> error of all tokens in regression, in training: mean over the last 150 of 750 sequences"""


def true_recall(metric: ArrayLike, task: Copying) -> np.ndarray:
    """Share of items recalled if the published accuracy is `metric` and every blank in it is right.

    1 - (1 - metric) late / items, with `late` tokens in the second half of the sequence.
    """
    return 1 - (1 - np.asarray(metric, dtype=float)) * task.late.sum() / task.items


def _implied() -> dict[str, Published]:
    task = make_task(config("published_copying_none"))
    numbers, slope = PUBLISHED["copying", "paper_metric"], float(true_recall(1, task) - true_recall(0, task))
    return {rule: Published(float(true_recall(m, task)), slope * s) for rule, (m, s) in numbers.items()}


IMPLIED = _implied()
"""rule -> true recall in copying that the published accuracy leaves if all blanks are right"""


def chance_of(task: str, column: str) -> float:
    """What a network without memory has in a column of the tables (see `wm.plastic.levels`)."""
    return level_of(task, column, episodes=2, fits=0)["chance"]  # a closed form, unlike others


_COPYING_LEVELS = {
    "paper_metric": {
        "always blank": "blank_metric", "chance": "chance_metric", "no order": "order_free_metric",
        "ceiling": "ceiling",
    },
    "all_loss": {"chance": "chance_loss_all", "no order": "order_free_loss_all", "floor": "floor"},
    "score": {"chance": "chance", "no order": "order_free_recall", "ceiling": "ceiling"},
}  # fmt: skip


def level_of(task: str, column: str = "score", **level_options: int) -> dict[str, float]:
    """Name -> value of what a task allows in a column of the tables (options: of `wm.plastic.levels`)."""
    known = levels(make_task(config(f"{task}_none")), **level_options)
    if task == "copying":
        return {said: float(known[name]) for said, name in _COPYING_LEVELS[column].items()}
    end = "_all" if column == "all_loss" else ""
    named = {"chance": "chance", "no order": "order_free", "ridge": "ridge", "MAP": "map", "floor": "floor"}
    return {said: float(known[name + end]) for said, name in named.items() if name + end in known}


def counted(rows: pd.DataFrame) -> pd.DataFrame:
    """The rows with chance as the scores of networks that diverged: they know nothing any more."""
    rows = rows.copy()
    for task, lost in rows[rows.diverged].groupby("task"):
        for column in MEASURES.get(task, ("score", "all_loss")):
            rows.loc[lost.index, column] = chance_of(task, column)
    return rows


def samples(rows: pd.DataFrame, family: str, column: str = "score", updates: int | None = None) -> np.ndarray:
    """A column of the networks of a family in order of seeds, (network,), after training or so many updates.

    Raises ValueError if there are none.
    """
    own = rows[rows.family == family]
    own = own[own.updates == (own.trained if updates is None else updates)]
    if own.empty:
        when = "after training" if updates is None else f"after {updates} updates"
        raise ValueError(f"no {family} network was scored {when}")
    return own.sort_values("seed")[column].to_numpy(dtype=float)


def stages(rows: pd.DataFrame, family: str, column: str = "score") -> tuple[np.ndarray, np.ndarray]:
    """Updates (stage,) at which a family was scored, and a column of its networks then, (network, stage)."""
    found = rows[rows.family == family].pivot(index="seed", columns="updates", values=column)
    return found.columns.to_numpy(), found.to_numpy(dtype=float)


def curve(curves: Curves, family: str, metric: str = "score") -> tuple[np.ndarray, np.ndarray]:
    """Updates (bin,) and a metric of training by bin, (network, bin), of the first variant of a family."""
    values = curves.values[family][0, :, curves.metrics.index(metric)]
    return np.asarray(curves.steps[family]), values.astype(float)


def final_rows(rows: pd.DataFrame) -> pd.DataFrame:
    """Rows after training, with titles of task and rule, the latter in the order of the papers."""
    final = rows[(rows.updates == rows.trained) & (rows.body == "transformer")]
    final = final.sort_values("rule", key=lambda rule: rule.map(PAPER_RULES.index), kind="stable")
    return final.assign(task=final.task.map(TASKS), rule=final.rule.map(style.LABELS))


def lead(groups: Mapping[str, ArrayLike], best: str, *, lower: bool = False) -> Estimate:
    """Smallest lead of one group (network,) over each other, paired by seed: above 0, it leads them all.

    lower: less is better.
    """
    return _weakest(groups, best, -1 if lower else 1, bound=0.0)


def no_worse(groups: Mapping[str, ArrayLike], own: str, *, slack: float) -> Estimate:
    """By how much more error a group (network,) makes than the others, paired by seed: the worst of them.

    Below `slack` it is no worse than any by more than that. The worst is the comparison with the largest p.
    """
    found = _weakest(groups, own, -1, bound=-slack)
    ends = [(-high, -low) for low, high in (found.interval90, found.interval95)]
    return replace(found, ours=-found.ours, interval90=ends[0], interval95=ends[1])


def _weakest(groups: Mapping[str, ArrayLike], own: str, sign: int, bound: float) -> Estimate:
    """The difference of own less another group, times sign, with the largest p against `bound` or less."""
    mine = sign * one_per_network(groups[own])
    others = [sign * one_per_network(values) for name, values in groups.items() if name != own]
    return max((difference(mine, each, paired=True) for each in others), key=lambda step: step.p_above(bound))


def architectures(performance: pd.DataFrame, recurrent: pd.DataFrame) -> pd.DataFrame:
    """What every architecture reaches on every task that it was trained on, a row each, sound preset.

    Columns: body, rule, task, setting (title of the task, with the number of items where that differs between
    networks), parameters, updates of 64 sequences, networks, diverged, and mean, low and high (95 %
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
        "body": body, "rule": rule, "task": task,
        "setting": f"{TASKS[task]} ({items})" if said else TASKS[task],
        "parameters": layout(config(own.family.iloc[0])).size, "updates": own.trained.iloc[0],
        "networks": len(own), "diverged": int(own.diverged.sum()),
        "mean": values.mean(), "low": low, "high": high,
    }  # fmt: skip


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


def architecture(body: str, rule: str) -> str:
    """Title of an architecture: `RNN, Hebbian`."""
    return style.LABELS[body] if body in WHOLE else f"{BODIES[body]}, {SAID[rule]}"


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
