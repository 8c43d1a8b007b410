"""Performance of plastic networks: published numbers, scores of ours beside them, and which rule leads.

Published numbers are those of the result logs of Chaudhary 2025 (arXiv 2510.21908), three networks a rule.
Tables are those of `wm.plastic.measures`.
"""

from __future__ import annotations

__all__ = [
    "BLANK_SPAN", "CHAUDHARY", "IMPLIED", "LAST_EPOCH", "MEASURES", "PUBLISHED", "SAID", "Published",
    "architecture", "at_ceiling", "beside", "chance_of", "counted", "curve", "final_rows", "lead", "level_of",
    "no_worse", "samples", "stages", "true_recall",
]  # fmt: skip

from collections.abc import Mapping
from dataclasses import replace
from typing import NamedTuple

import numpy as np
import pandas as pd
from numpy.typing import ArrayLike

from .. import style
from ..estimate import Estimate, difference, one_per_network, weakest
from .families import PAPER_RULES, RECURRENT, TASKS, WHOLE, PlasticConfig, config, make_task
from .levels import levels
from .measures import Curves
from .tasks import Copying

CHAUDHARY = "Chaudhary 2025 (arXiv 2510.21908)"
SAID = {"none": "no plasticity", "hebbian": "Hebbian", "gradient": "gradient"}
"""rule -> its name within a sentence"""
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
    span: float | None = None
    """of what networks can reach, where that does not begin at 0"""

    @property
    def margin(self) -> float:
        """Within which ours counts as the same: a tenth of span or mean, or one deviation if that is more."""
        return max(abs(self.mean if self.span is None else self.span) / 10, self.deviation)


def _by_rule(gradient: tuple, hebbian: tuple, none: tuple, span: float | None = None) -> dict[str, Published]:
    numbers = {"none": none, "hebbian": hebbian, "gradient": gradient}
    return {rule: Published(*number, span) for rule, number in numbers.items()}


def _blank_span() -> float:
    known = levels(make_task(config("published_copying_none")))
    return round(float(known["order_free_metric"] - known["blank_metric"]), 4)


BLANK_SPAN = _blank_span()
"""by how much the accuracy that counts blanks is higher if all items are known, but not their order, than in
networks that always answer blank: without positions, all that can be learned"""
PUBLISHED = {
    ("copying", "all_loss"): _by_rule((0.352, 0.021), (0.345, 0.009), (0.415, 0.105)),
    ("copying", "paper_metric"): _by_rule((0.745, 0.011), (0.727, 0.007), (0.721, 0.025), BLANK_SPAN),
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
    return {rule: Published(float(true_recall(m, task)), slope * s) for rule, (m, s, _) in numbers.items()}


IMPLIED = _implied()
"""rule -> true recall in copying that the published accuracy leaves if all blanks are right"""


def chance_of(which: str | PlasticConfig, column: str) -> float:
    """What a network without memory has in a column of the tables (see `level_of`)."""
    return level_of(which, column, episodes=2, fits=0)["chance"]  # a closed form, unlike others


_COPYING_LEVELS = {
    "paper_metric": {
        "always blank": "blank_metric", "chance": "chance_metric", "no order": "order_free_metric",
        "ceiling": "ceiling",
    },
    "all_loss": {"chance": "chance_loss_all", "no order": "order_free_loss_all", "floor": "floor"},
    "score": {"chance": "chance", "no order": "order_free_recall", "ceiling": "ceiling"},
}  # fmt: skip


def level_of(which: str | PlasticConfig, column: str = "score", **level_options: int) -> dict[str, float]:
    """Name -> value of what a task allows in a column of the tables (options: of `wm.plastic.levels`).

    which: settings, or the name of a family; that of a task stands for its transformers.
    """
    if isinstance(which, str):
        which = config(f"{which}_none" if which in TASKS else which)
    known = levels(make_task(which), **level_options)
    if which.task == "copying":
        return {said: float(known[name]) for said, name in _COPYING_LEVELS[column].items()}
    end = "_all" if column == "all_loss" else ""
    named = {"chance": "chance", "no order": "order_free", "ridge": "ridge", "MAP": "map", "floor": "floor"}
    return {said: float(known[name + end]) for said, name in named.items() if name + end in known}


def counted(rows: pd.DataFrame) -> pd.DataFrame:
    """The rows with chance as the scores of networks that diverged: they know nothing any more."""
    rows = rows.copy()
    for (family, items, delay), lost in rows[rows.diverged].groupby(["family", "items", "delay"]):
        settings = config(family, items=int(items), delay=int(delay))
        for column in MEASURES.get(settings.task, ("score", "all_loss")):
            rows.loc[lost.index, column] = chance_of(settings, column)
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


def beside(found: pd.DataFrame, published: Mapping[tuple[str, str], Mapping[str, Published]]) -> pd.DataFrame:
    """A table by task and rule, and right of each column what was published: mean ± s.d., or a dash."""
    parts = {}
    for column in found:
        parts[column] = found[column]
        known = [published.get((task, column), {}).get(rule) for task, rule in found.index]
        text = ["-" if each is None else f"{each.mean:#.3g} ± {each.deviation:#.2g}" for each in known]
        if any(known):
            parts[f"{column}, published"] = pd.Series(text, found.index)
    return pd.DataFrame(parts)


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
    """Least certain lead of one group (network,) over the others, paired by seed: above 0, it leads them all.

    That with the largest p; its 95 % interval holds for all leads together. lower: less is better.
    """
    return _weakest(groups, best, -1 if lower else 1, bound=0.0)


def no_worse(groups: Mapping[str, ArrayLike], own: str, *, slack: float) -> Estimate:
    """By how much more error a group (network,) makes than the others, paired by seed: the worst of them.

    Below `slack` it is no worse than any by more than that. The worst is the comparison with the largest p;
    its 95 % interval holds for all of them together.
    """
    found = _weakest(groups, own, -1, bound=-slack)
    ends = [(-high, -low) for low, high in (found.interval90, found.interval95)]
    return replace(found, ours=-found.ours, interval90=ends[0], interval95=ends[1])


def _weakest(groups: Mapping[str, ArrayLike], own: str, sign: int, bound: float) -> Estimate:
    """The difference of own less another group, times sign, with the largest p against `bound` or less."""
    mine = sign * one_per_network(groups[own])
    others = [sign * one_per_network(values) for name, values in groups.items() if name != own]
    return weakest([difference(mine, each, paired=True) for each in others], bound, together=True)


def at_ceiling(groups: Mapping[str, ArrayLike], ceiling: float = 1.0) -> bool:
    """Whether all networks of all groups (network,) reach the ceiling: nothing tells the groups apart."""
    return all((one_per_network(values) >= ceiling).all() for values in groups.values())


def architecture(body: str, rule: str) -> str:
    """Title of an architecture: `RNN, Hebbian`."""
    if body in WHOLE:
        return style.LABELS[body]
    return f"{body.upper() if body in RECURRENT else 'Transformer'}, {SAID[rule]}"
