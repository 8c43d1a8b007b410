"""What N-back networks answer: scores by task, diet and split, errors, learning, and where attention goes.

    rows = behaviour.scores()                                # a row for each network, split and task
    own = behaviour.of(rows, "gru", "mtmf")
    behaviour.gap(own, "novel_angle", "novel_identity")      # (seed,): how much harder new objects are

Scores come from `data_json/nback/` (see `wm.nback.derived`). The unit of every interval is a network, or a
seed where a diet needs several networks. What was published is compared with natural lures.
"""

from __future__ import annotations

__all__ = [
    "BARS", "DIETS", "REMAKE", "advantage", "at_ceiling", "below", "by_seed", "by_step", "confusion",
    "curves", "errors_removed", "first_at", "gap", "kind_of", "least_certain", "lost", "of", "parameters",
    "scores", "shortcuts", "sooner", "spread_apart", "summary", "to_bars", "updates_to", "views",
]  # fmt: skip

import math
from collections.abc import Mapping

import numpy as np
import pandas as pd

from .. import measured
from ..estimate import Estimate, mean, means
from .balance import shortcut_levels
from .catalogue import ARCHITECTURES, SPLITS
from .families import NBackConfig, config
from .network import layout
from .packing import unpacked
from .stimuli import StimulusSet
from .task import FEATURES, TASKS

DIETS = {"stsf": "one task each", "stmf": "one lag each", "mtmf": "all nine tasks"}
"""what a network is trained on -> in words"""
BARS = {"trained": 0.95, "novel_angle": 0.90}
"""what all published networks are above, by split (second hand)"""
REMAKE = {
    "none": {"trained": 0.883, "novel_angle": 0.815, "novel_identity": 0.806},
    "task_only": {"trained": 0.993, "novel_angle": 0.933, "novel_identity": 0.922},
    "dual": {"trained": 0.993, "novel_angle": 0.938, "novel_identity": 0.909},
}
"""attention -> share of steps that a GRU of the public re-make has right with all nine tasks, by split

From its last slides, one seed; of all steps or of those with something to compare: which is not told."""
_KIND = ("architecture", "diet", "attention", "stimuli")
_TASKS = {task.name: task for task in TASKS}


def kind_of(config: NBackConfig) -> dict[str, str]:
    """What tables tell of a network: architecture, diet (of `DIETS`), attention, stimuli."""
    diet = "mtmf" if len(config.lags) > 1 else "stmf" if len(config.features) > 1 else "stsf"
    return dict(zip(_KIND, (config.architecture, diet, config.attention, config.stimuli), strict=True))


def scores(name: str = "diets") -> pd.DataFrame:
    """Scores of all networks, or those of another table with families and tasks, such as diets_errors.

    Tasks that are side by side (`wm.nback.packing`) get a row each. To the columns of the table are added
    those of `curves`, feature and lag. lures: of the trials, natural where the table has no such column.
    other_view: balanced accuracy of the matches that do not show the same object from the same view. Raises
    `wm.store.DamagedFile`, which says how the table is measured.
    """
    table = measured.read("nback", name, "diets")
    rows = _about(table if "task" in table else unpacked(table))
    tasks = rows.task.map(_TASKS)
    found = rows.assign(feature=[each.feature for each in tasks], lag=[each.lag for each in tasks])
    if "match_other_view" in found:
        found["other_view"] = (found.match_other_view + found.non_match) / 2
    return found if "lures" in found else found.assign(lures="natural")


def curves() -> pd.DataFrame:
    """Validation through training: a row for each network and recorded number of updates.

    Columns are network, architecture, diet (of `DIETS`), attention, stimuli (rich or published), too, those
    of the family where the table does not say how a network was trained. Raises as `scores`.
    """
    return _about(measured.read("nback", "diets_curves", "diets"))


def _about(rows: pd.DataFrame) -> pd.DataFrame:
    if "network" not in rows:
        rows = rows.assign(network=[f"{a}-{b:0>2}" for a, b in zip(rows.family, rows.seed, strict=True)])
    about = {family: kind_of(config(family)) for family in rows.family.unique()}
    usual = pd.DataFrame.from_dict(about, orient="index")
    return rows.join(usual[[name for name in usual if name not in rows]], on="family")


def of(
    rows: pd.DataFrame, architecture: str | None = None, diet: str = "mtmf", *,
    attention: str = "none", stimuli: str = "rich", lures: str = "natural", feature: str | None = None,
) -> pd.DataFrame:  # fmt: skip
    """Rows of networks of one kind, of all architectures if none is given. ValueError if there are none.

    lures: of the trials of scores; curves have natural ones. feature: of the tasks, by default all.
    """
    kept = (rows.diet == diet) & (rows.attention == attention) & (rows.stimuli == stimuli)
    if "lures" in rows:
        kept &= rows.lures == lures
    if architecture is not None:
        kept &= rows.architecture == architecture
    if feature is not None:
        kept &= rows.feature == feature
    if not kept.any():
        wanted = f"{architecture or 'any architecture'}, {diet}, attention {attention}, stimuli {stimuli}"
        raise ValueError(
            f"no network in the table is of {wanted}, tested with {lures} lures: measure it with "
            "`wm states nback diets`"
        )
    return rows[kept]


def lost(rows: pd.DataFrame, trained: pd.DataFrame) -> list[str]:
    """Networks of the curves `trained` without scores in `rows`: those that diverged."""
    return sorted({*trained.network} - {*rows.network})


def by_seed(rows: pd.DataFrame, split: str, column: str = "balanced") -> pd.Series:
    """Mean over tasks, and networks if a diet needs several, of each seed: indexed by seed, in order."""
    return rows[rows.split == split].groupby("seed")[column].mean()


def gap(rows: pd.DataFrame, upper: str, lower: str, column: str = "balanced") -> np.ndarray:
    """How much higher scores are in one split than in another, (seed,)."""
    return (by_seed(rows, upper, column) - by_seed(rows, lower, column)).to_numpy()


def advantage(rows: pd.DataFrame, other: pd.DataFrame, split: str, column: str = "balanced") -> np.ndarray:
    """How much higher the scores of `rows` are than those of `other`, seeds that both have, (seed,)."""
    return (by_seed(rows, split, column) - by_seed(other, split, column)).dropna().to_numpy()


def at_ceiling(
    rows: pd.DataFrame, one: Mapping[str, str], other: Mapping[str, str], split: str = "novel_angle"
) -> str:  # fmt: skip
    """Of two kinds of network that natural lures hardly tell apart, as text: the score of `other` with these,
    and how much higher that of `one` is with balanced ones, mean with 95 % t-interval.

    one, other: options of `of`.
    """
    gain = mean(advantage(*(of(rows, **kind, lures="balanced") for kind in (one, other)), split))
    told = f"{gain.ours:+.3f} [{gain.interval95[0]:+.3f}, {gain.interval95[1]:+.3f}]"
    return f"near the ceiling, {by_seed(of(rows, **other), split).mean():.3f}; balanced lures: {told}"


def errors_removed(
    rows: pd.DataFrame, other: pd.DataFrame, split: str, column: str = "balanced"
) -> np.ndarray:  # fmt: skip
    """Share of the errors of `other` that `rows` do not make, of seeds that both have, (seed,)."""
    wrong, left = (1 - by_seed(each, split, column) for each in (other, rows))
    return ((wrong - left) / wrong).dropna().to_numpy()


def least_certain(
    rows: pd.DataFrame, split: str, bar: float, by: str = "family"
) -> tuple[str, Estimate]:  # fmt: skip
    """The model of which it is least certain that it scores above `bar`: its family, and its mean over seeds.

    A model is one family; its networks are the seeds, each with its mean over the tasks that it is trained
    on. Every model is above the bar if this one is. by="task": the same of the tasks of one family.
    """
    groups = rows[rows.split == split].groupby([by, "seed"]).balanced.mean().groupby(by)
    found = {str(name): mean(values) for name, values in groups}
    name = max(found, key=lambda each: (found[each].p_above(bar), -found[each].ours))
    return name, found[name]


def views(rows: pd.DataFrame) -> pd.DataFrame:
    """Balanced accuracy in identity tasks, of all matches and of those from another view alone, as text.

    A row for each architecture and split: means over networks with 95 % t-intervals. Of the matches one in as
    many is from the same view as the split has views, which are 6, 2, 2, 6, 4.
    """
    own = rows[rows.feature == "identity"]
    by, columns = ["architecture", "split", "seed"], ["all matches", "from another view"]
    own = own.assign(**dict(zip(columns, (own.balanced, own.other_view), strict=True)))
    means_of = own.groupby(by, sort=False)[columns].mean().reset_index()
    return means(means_of, by[:2], columns, shares=columns)


def below(rows: pd.DataFrame) -> dict[str, list[str]]:
    """Split of `BARS` -> tasks of which the mean over networks is not above the bar; rows of one kind."""
    tasks = rows.groupby(["split", "task"], sort=False).balanced.mean()
    return {split: [*tasks[split].index[tasks[split] <= bar]] for split, bar in BARS.items()}


def summary(rows: pd.DataFrame) -> pd.DataFrame:
    """Balanced accuracy by architecture and split: mean over networks with its 95 % t-interval, as text.

    Columns are the features and all, the mean over them.
    """
    by, columns = ["architecture", "split", "seed"], [*FEATURES, "all"]
    own = rows.pivot_table(index=by, columns="feature", values="balanced", sort=False)[[*FEATURES]]
    return means(own.assign(all=own.mean(axis=1)).reset_index(), by[:2], columns, shares=columns)


def shortcuts(stimuli: StimulusSet, part: str = "test") -> dict[str, dict[str, float]]:
    """Split -> what who knows only the other feature reaches in its trials, `wm.nback.shortcut_levels`."""
    parts = {split: stimuli.part(part, split) for split in SPLITS}
    return {
        split: shortcut_levels({name: part.labels(name) for name in FEATURES})
        for split, part in parts.items()
        if len(part)
    }


def confusion(rows: pd.DataFrame, split: str) -> dict[str, np.ndarray]:
    """Task -> share of each right answer (rows, as in `RESPONSES`) that was answered how, (3, 3).

    Mean over networks.
    """
    names = ("no_action", "non_match", "match")
    columns = [one if one == two else f"{one}_as_{two}" for one in names for two in names]
    found = rows[rows.split == split].groupby("task")[columns].mean()
    there = [task.name for task in TASKS if task.name in found.index]
    return {name: found.loc[name].to_numpy().reshape(3, 3) for name in there}


def by_step(rows: pd.DataFrame, split: str, lag: int) -> np.ndarray:
    """Share right at each step of tasks with one lag, mean over features, (network, time)."""
    columns = [name for name in rows if name.startswith("step_")]
    own = rows[(rows.split == split) & (rows.lag == lag)]
    return own.groupby("network")[columns].mean().to_numpy()


def updates_to(
    trained: pd.DataFrame, bar: float = 0.9, column: str = "val_novel_angle_acc", by: str = "seed"
) -> pd.Series:
    """Updates after which validation is first at `bar`, indexed by seed; infinite if it never is.

    trained: curves of one family, or of several by="network". Linear between recorded updates, and from 1/2
    at the start.
    """
    return trained.groupby(by)[["step", column]].apply(lambda own: first_at(*own.to_numpy().T, bar))


def first_at(steps: np.ndarray, values: np.ndarray, bar: float) -> float:
    """Updates after which values (step,) are first at a bar, infinite if never.

    Linear between steps (step,), and from 1/2 at the start.
    """
    steps, values = np.concatenate([[0], steps]), np.concatenate([[0.5], values])
    there = np.flatnonzero(values >= bar)
    if not len(there):
        return math.inf
    k = max(int(there[0]), 1)
    return float(np.interp(bar, values[k - 1 : k + 1], steps[k - 1 : k + 1]))


def to_bars(trained: pd.DataFrame) -> pd.DataFrame:
    """When networks first are at each of `BARS`, as text: a row for each family of the curves.

    How many are there at all; the median of their updates, those that never are (censored) counting as later
    than all others; and the range of those that are.
    """
    columns = {
        f"{split} at {bar:.2f}": updates_to(trained, bar, f"val_{split}_acc", "network")
        for split, bar in BARS.items()
    }
    families = trained.drop_duplicates("network").set_index("network").family
    found = pd.DataFrame(columns).groupby(families, sort=False).agg(_told)
    return found.loc[families.unique()]


def _told(updates: pd.Series) -> str:
    there = updates[np.isfinite(updates)]
    told = f"{len(there)} of {len(updates)}"
    if not len(there):
        return told
    middle = np.sort(updates)[(len(updates) - 1) // 2 : len(updates) // 2 + 1].mean()
    median = f"median {middle:.0f}" if np.isfinite(middle) else "median not reached"
    return f"{told}; {median} ({there.min():.0f} to {there.max():.0f})"


def sooner(trained: pd.DataFrame, architecture: str, bar: float = 0.9) -> np.ndarray:
    """By how many updates spatial attention is at `bar` before its baseline, seeds of both, (seed,).

    A network that never is there counts with its last update.
    """
    kinds = (of(trained, architecture, attention=kind) for kind in ("none", "spatial"))
    plain, attentive = (updates_to(own, bar).clip(upper=own.step.max()) for own in kinds)
    return (plain - attentive).dropna().to_numpy()


def spread_apart(looks: pd.DataFrame, feature: str, other: str, split: str = "trained") -> np.ndarray:
    """How much more spread attention is in tasks of one feature than of another, entropy in nats, (seed,)."""
    one, two = (by_seed(looks[looks.feature == name], split, "entropy") for name in (feature, other))
    return (one - two).to_numpy()


def parameters() -> pd.DataFrame:
    """How many parameters networks of all nine tasks have: the recurrent layer, and all of them."""
    found = {}
    for name in ARCHITECTURES:
        sizes = {key: math.prod(shape) for key, shape in layout(config(name)).shapes.items()}
        recurrent = sum(size for key, size in sizes.items() if key.startswith("recurrent."))
        found[name] = {"units": config(name).units, "recurrent": recurrent, "all": sum(sizes.values())}
    return pd.DataFrame.from_dict(found, orient="index")
