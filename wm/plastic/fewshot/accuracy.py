"""Accuracy on drawings: networks beside nearest prototypes, rules in pairs, and rankings through training.

Tables are those of the experiments `images` and `protocol` (`wm.plastic.measures`) and of `encoders` and
`baselines` (`wm.plastic.fewshot.derived`). A network that diverged counts as chance, 1 / ways.
"""

from __future__ import annotations

__all__ = [
    "CONTRASTS", "FEATURES", "HEADS", "KINDS", "against_prototypes", "blocks", "by_rule", "collected",
    "compared", "contrasts", "detectable", "flip", "kind_name", "known_classes", "prototypes_of_training",
    "ranking", "stages", "summed", "training",
]  # fmt: skip

from collections.abc import Mapping
from dataclasses import replace

import numpy as np
import pandas as pd
from numpy.typing import ArrayLike
from scipy import stats

from ...estimate import Estimate, difference, mean_interval, weakest
from ...train import numpy_generator
from ..catalogue import PAPER_RULES, RECURRENT
from ..evaluate import TEST_TRIALS
from ..measures import Curves
from ..mechanism import series
from ..performance import SAID, architecture, lead
from . import prototypes
from .catalogue import TITLES
from .pools import pool
from .protocol import NEAREST, counted
from .task import Classification

KINDS = ((5, 1), (5, 5), (20, 1))
"""ways and shots"""
FEATURES = {
    "pixels": "pixels",
    "untrained": "Conv-4, untrained",
    "efficientnet_lite0": "EfficientNet (ImageNet)",
    "prototypes": "Conv-4, trained",
}
"""nearest prototypes: of which numbers -> title"""
HEADS = {
    (body, rule): architecture(body, rule)
    for body, rules in (("transformer", PAPER_RULES), ("linear_attention", ("none",)))
    for rule in rules
} | {(body, rule): architecture(body, rule) for body in RECURRENT for rule in PAPER_RULES}
"""(body, rule) -> title"""
CONTRASTS = (("hebbian", "none"), ("gradient", "none"), ("hebbian", "gradient"))
_CELL = ["dataset", "split", "ways", "shots"]


def kind_name(ways: int, shots: int) -> str:
    """`5-way 1-shot`."""
    return f"{ways}-way {shots}-shot"


# ---------------------------------------------------------------- one table of everything


def collected(images: pd.DataFrame, encoders: pd.DataFrame, baselines: pd.DataFrame) -> pd.DataFrame:
    """A row for every network or set of numbers and every kind of episode of the splits of both.

    Columns: method (a title), body, rule, dataset, split, ways, shots, seed, accuracy, deviation over
    episodes, episodes. Networks that are plastic in their last block alone are left out.
    """
    heads = counted(images[images.plastic_blocks == "all"])
    names = [HEADS[pair] for pair in zip(heads.body, heads.rule, strict=True)]
    heads = heads.assign(method=names, episodes=TEST_TRIALS)
    heads = heads.rename(columns={"score": "accuracy", "score_spread": "deviation"})
    near = pd.concat([baselines, encoders], ignore_index=True)
    near = near[near.split.isin(heads.split.unique())]
    near = near.assign(method=near.features.replace(FEATURES), body="prototypes", rule="none")
    columns = ["method", "body", "rule", *_CELL, "seed", "accuracy", "deviation", "episodes"]
    return pd.concat([near[columns], heads[columns]], ignore_index=True)


def summed(rows: pd.DataFrame) -> pd.DataFrame:
    """A row for every method and kind of episode, from `collected`.

    Columns: mean; low, high: the 95 % t-interval over networks, NaN for one; reach: half of the 95 % interval
    over test episodes, 1.96 deviation / sqrt(episodes). All networks see the same episodes, so that their
    mean may be known no better than this.
    """
    order = [*FEATURES.values(), *HEADS.values()]
    groups = rows.groupby(["method", "body", "rule", *_CELL], sort=False)
    found = pd.DataFrame([dict(zip(groups.keys, key, strict=True)) | _mean(own) for key, own in groups])
    place = found.method.map({name: k for k, name in enumerate(order)}).fillna(len(order))
    return found.iloc[np.lexsort((place, found.ways, found.shots, found.split, found.dataset))].reset_index(
        drop=True
    )


def _mean(own: pd.DataFrame) -> dict[str, float]:
    values = own.accuracy.to_numpy(dtype=float)
    low, high = mean_interval(values) if len(values) > 1 else (np.nan, np.nan)
    reach = float((1.96 * own.deviation / np.sqrt(own.episodes)).mean())
    return {"networks": len(values), "mean": values.mean(), "low": low, "high": high, "reach": reach}


def compared(rows: pd.DataFrame) -> pd.DataFrame:
    """`summed` as text: a method a row; data set, split and kind of episode a column.

    Mean, its 95 % interval over networks (± half, where there are several), and in brackets the half over
    episodes.
    """
    kinds = [kind_name(*pair) for pair in zip(rows.ways, rows.shots, strict=True)]
    parts = zip(rows["mean"], rows.high - rows["mean"], rows.reach, strict=True)
    text = [
        f"{m:.3f}" + (f" ± {h:.3f}" if np.isfinite(h) else "") + f" ({reach:.3f})" for m, h, reach in parts
    ]
    named = rows.assign(episodes=kinds, text=text, dataset=rows.dataset.map(TITLES))
    wide = named.pivot(index="method", columns=["dataset", "split", "episodes"], values="text").fillna("–")
    return wide.loc[list(dict.fromkeys(rows.method))].rename_axis(index=None)


def against_prototypes(rows: pd.DataFrame) -> pd.DataFrame:
    """Heads less nearest prototypes of the same numbers, those of seed 0, from `collected`: a row for each.

    Columns: mean; low, high: the 95 % t-interval over heads; reach: half of the 95 % interval over the test
    episodes of both, which are not the same.
    """
    own = rows[(rows.method == FEATURES["prototypes"]) & (rows.seed.astype(int) == 0)].set_index(_CELL)
    found = summed(rows[rows.body != "prototypes"])
    cells = pd.MultiIndex.from_frame(found[_CELL])
    level = own.accuracy.loc[cells].to_numpy()
    error = (1.96 * own.deviation / np.sqrt(own.episodes)).loc[cells].to_numpy()
    gaps = {name: found[name] - level for name in ("mean", "low", "high")}
    return found.assign(**gaps, reach=np.hypot(found.reach, error), prototypes=level).drop(
        columns=["body", "rule"]
    )


def known_classes(found: pd.DataFrame, curves: Curves) -> list[float]:
    """Accuracy at the end of training, on classes of training, of each head of `against_prototypes`.

    Means over networks of the last bin of `curves`, those of `images`.
    """
    pairs, scores = {title: pair for pair, title in HEADS.items()}, []
    for row in found.itertuples():
        body, rule = pairs[row.method]
        start = "" if body == "transformer" else f"{body}_"
        name = f"{start}{row.dataset}" + ("" if body == "linear_attention" else f"_{rule}")
        own = series(curves, name, "score", f"{row.split} {kind_name(row.ways, row.shots)}")
        scores.append(float(own[:, -1].mean()))
    return scores


def prototypes_of_training(
    dataset: str, split: str, classes: int = 200, *, episodes: int = 1000
) -> pd.DataFrame:
    """Nearest prototypes of the shipped Conv-4 on classes that it was trained on, a row for each of `KINDS`.

    Columns: dataset, split, ways, shots, accuracy. classes: about so many, evenly from all of training.
    """
    whole = pool(dataset, split, "train", "none")
    some = slice(None, None, max(len(whole.drawings) // classes, 1))
    rows = whole.drawings[some]
    used = np.unique(rows[rows >= 0])
    vectors = prototypes.features(whole.vectors[used], dataset, split)
    places = np.where(rows >= 0, np.searchsorted(used, rows), -1)
    own, found = replace(whole, vectors=vectors, drawings=places, designs=whole.designs[some]), []
    for ways, shots in KINDS:
        task, generator = Classification(dataset, split, ways, shots, ways), numpy_generator("seen", "images")
        asked = generator.integers(ways, size=(episodes, ways))
        shown, queries = own.draw(asked, ways, shots, generator)
        labels = np.broadcast_to(np.repeat(np.arange(ways), shots), (episodes, task.support))
        drawings = np.concatenate([shown.reshape(labels.shape), queries], axis=1)
        right = prototypes.accuracy(task, vectors, drawings, np.concatenate([labels, asked], axis=1))
        about = {"dataset": dataset, "split": split, "ways": ways, "shots": shots}
        found.append(about | {"accuracy": right.mean()})
    return pd.DataFrame(found)


# ---------------------------------------------------------------- rules


def by_rule(rows: pd.DataFrame, **cell: object) -> dict[str, np.ndarray]:
    """Rule -> scores (network,) in order of seeds, of the rows whose columns have these values.

    Raises ValueError where a rule has none, or seeds of several cells.
    """
    own, found = rows, {}
    for name, value in cell.items():
        own = own[own[name] == value]
    for rule in PAPER_RULES:
        one = own[own.rule == rule].sort_values("seed", key=lambda seed: seed.astype(int))
        if one.empty or one.seed.duplicated().any():
            said = ", ".join(f"{name} {value}" for name, value in cell.items())
            raise ValueError(f"{'no' if one.empty else 'several'} networks a seed, {rule}: {said}")
        found[rule] = one.score.to_numpy(dtype=float)
    return found


def contrasts(rows: pd.DataFrame, body: str = "transformer") -> pd.DataFrame:
    """Differences between rules, paired by seed: a row for every contrast and kind of episode.

    rows: of `images`, after training. Columns: more, less, dataset, split, ways, shots, mean, low, high
    (95 %).
    """
    rows, found = counted(rows[(rows.plastic_blocks == "all") & (rows.body == body)]), []
    for key, own in rows.groupby(_CELL, sort=False):
        scores = by_rule(own)
        for more, less in CONTRASTS:
            gap = difference(scores[more], scores[less], paired=True)
            about = {"more": more, "less": less} | dict(zip(_CELL, key, strict=True))
            found.append(about | {"mean": gap.ours, "low": gap.interval95[0], "high": gap.interval95[1]})
    return pd.DataFrame(found)


def blocks(rows: pd.DataFrame, dataset: str) -> dict[str, dict[str, np.ndarray]]:
    """Writing rule -> {none, last, all}, plastic blocks -> scores (network,); 5-way 1-shot, random split."""
    kinds = {"dataset": dataset, "split": "random", "ways": 5, "shots": 1, "body": "transformer"}
    rows = counted(rows)
    usual = by_rule(rows, plastic_blocks="all", **kinds)
    found = {}
    for rule in PAPER_RULES[1:]:
        last = rows[(rows.plastic_blocks == "last") & (rows.rule == rule) & (rows.dataset == dataset)]
        last = last.sort_values("seed", key=lambda seed: seed.astype(int)).score.to_numpy(dtype=float)
        found[rule] = {"none": usual["none"], "last": last, "all": usual[rule]}
    return found


# ---------------------------------------------------------------- through training


def stages(rows: pd.DataFrame, dataset: str, column: str = "score") -> dict[str, pd.DataFrame]:
    """Rule -> a column of the networks of `protocol`, nearest to those published (`protocol.NEAREST`).

    A row a seed, a column a number of episodes.
    """
    own = counted(rows[(rows.dataset == dataset) & (rows.variant == NEAREST[dataset])])
    own = own.assign(seed=own.seed.astype(int))
    wide = own.pivot(index=["rule", "seed"], columns="updates", values=column)
    return {rule: wide.loc[rule] for rule in PAPER_RULES}


def training(
    curves: Curves, dataset: str, body: str = "transformer", variant: str = "random 5-way 1-shot"
) -> dict[str, tuple[np.ndarray, np.ndarray]]:
    """Rule -> updates (bin,) and scores in training (network, bin), of `images`."""
    start = "" if body == "transformer" else f"{body}_"
    names = {rule: f"{start}{dataset}_{rule}" for rule in PAPER_RULES}
    return {
        rule: (np.asarray(curves.steps[name]), series(curves, name, "score", variant).astype(float))
        for rule, name in names.items()
    }


def flip(early: Mapping[str, ArrayLike], late: Mapping[str, ArrayLike]) -> Estimate:
    """Whether Hebbian networks lead gradient networks at first and trail them later, paired by seed.

    The weaker of the two differences, the one with the larger p against 0 or less: above 0, the ranking has
    flipped (an intersection-union test). Groups: rule -> (network,).
    """
    before = difference(early["hebbian"], early["gradient"], paired=True)
    return weakest([before, difference(late["gradient"], late["hebbian"], paired=True)], together=True)


def detectable(gap: Estimate, power: float = 0.8, alpha: float = 0.05) -> float:
    """The difference that so many networks, spread as in `gap`, find in 80 % of cases.

    By one one-sided t-test at alpha, without correction: (t_{1-alpha} + t_power) standard errors, about.
    """
    error = (gap.interval90[1] - gap.ours) / stats.t.ppf(0.95, gap.df)
    return float(error * (stats.t.ppf(1 - alpha, gap.df) + stats.t.ppf(power, gap.df)))


def ranking(groups: Mapping[str, ArrayLike]) -> str:
    """Rules from the best down with means, and by how much the best leads each of the others at least."""
    means = {rule: float(np.mean(values)) for rule, values in groups.items()}
    order = sorted(means, key=means.get, reverse=True)
    gap = lead(groups, order[0])
    said = " > ".join(f"{SAID[rule]} {means[rule]:.3f}" for rule in order)
    return f"{said}; lead {gap.ours:.3f} [{gap.interval95[0]:.3f}, {gap.interval95[1]:.3f}]"
