"""Published episodes of drawings: what was published, what each leak gives, and what needs no training.

Published numbers are those of the result logs of Chaudhary 2025 (arXiv 2510.21908), on CIFAR-100 and
Omniglot, three networks a rule; `RERUN` and `LONGER` those of the same code run by others (Grissom and Wang
2025). Emoji stand for CIFAR-FS and kanji for Omniglot here (`ROLES`): other drawings, so that their
accuracies are not ours to reproduce, but what was said of the rules is.
"""

from __future__ import annotations

__all__ = [
    "BUDGET", "CHANCE", "GAINS", "LONGER", "LONGER_BUDGET", "NEAREST", "PUBLISHED", "RERUN", "ROLES", "SHOTS",
    "accuracies", "by_seed", "counted", "gain", "gains", "others", "published_table", "reference",
    "references", "stages", "summary",
]  # fmt: skip

import numpy as np
import pandas as pd
from scipy import stats

from ...estimate import Estimate, mean, mean_interval
from ..families import PAPER_RULES
from ..performance import Published

CHANCE = 0.2
"""of five ways"""
ROLES = {"emoji": "CIFAR-FS", "kanji": "Omniglot"}
"""data set of ours -> the one that it stands for, by its published name"""
NEAREST = {"emoji": "as published", "kanji": "other classes"}
"""variant of the experiment "protocol" that is as published: Omniglot alone had classes apart for test, of
other alphabets; ours are drawn at random"""
SHOTS = {"emoji": 1, "kanji": 5}
"""labelled drawings of each of five classes, as published"""
BUDGET = {"emoji": 400, "kanji": 500}
"""episodes of the published runs"""
LONGER_BUDGET = {"emoji": 1600, "kanji": 2000}
"""those of `LONGER`, 20 epochs"""


def _by_rule(none: tuple, hebbian: tuple, gradient: tuple) -> dict[str, Published]:
    return {"none": Published(*none), "hebbian": Published(*hebbian), "gradient": Published(*gradient)}


PUBLISHED = {
    "emoji": _by_rule((0.289, 0.028), (0.319, 0.017), (0.274, 0.038)),
    "kanji": _by_rule((0.192, 0.020), (0.237, 0.028), (0.201, 0.012)),
}
"""data set of ours -> rule -> accuracy on the one that it stands for: 5-way 1-shot, and 5-way 5-shot"""
RERUN = {
    "emoji": _by_rule((0.274, 0.034), (0.269, 0.028), (0.262, 0.034)),
    "kanji": _by_rule((0.234, 0.055), (0.246, 0.054), (0.236, 0.066)),
}
LONGER = {
    "emoji": _by_rule((0.234, 0.024), (0.286, 0.021), (0.319, 0.091)),
    "kanji": _by_rule((0.215, np.nan), (0.209, np.nan), (0.301, 0.038)),
}
GAINS = {
    "order": ("as published", "shuffled"),
    "order, other classes": ("other classes", "shuffled, other classes"),
    "classes": ("as published", "other classes"),
    "classes, shuffled": ("shuffled", "shuffled, other classes"),
    "both": ("as published", "shuffled, other classes"),
    "order alone": ("blind", None),
    "nothing": ("blind, shuffled", None),
}
"""what a leak gives -> variant with it, and without it; None: chance"""


def counted(rows: pd.DataFrame) -> pd.DataFrame:
    """The rows with chance as the score of networks that diverged: they know nothing any more."""
    return rows.assign(score=rows.score.where(~rows.diverged.astype(bool), 1 / rows.ways))


# --- nearest prototypes


def references(encoders: pd.DataFrame, baselines: pd.DataFrame) -> pd.DataFrame:
    """Accuracy of nearest prototypes by data set, split, ways, shots and features, a row each.

    low, high: 95 % t-interval over seeds of an encoder, NaN where there is one; episodes: half the width of
    the 95 % interval over test episodes, of one encoder.
    """
    keys = ["dataset", "split", "ways", "shots", "features"]
    groups = pd.concat([baselines, encoders], ignore_index=True).groupby(keys, sort=False)
    return pd.DataFrame([dict(zip(keys, key, strict=True)) | _reference(own) for key, own in groups])


def _reference(own: pd.DataFrame) -> dict[str, float]:
    values = own.accuracy.to_numpy()
    low, high = mean_interval(values) if len(values) > 1 else (np.nan, np.nan)
    spread = np.sqrt((own.deviation**2).mean() / own.episodes.iloc[0])
    return {
        "seeds": len(own), "accuracy": values.mean(), "low": low, "high": high,
        "episodes": stats.norm.ppf(0.975) * spread,
    }  # fmt: skip


def reference(
    found: pd.DataFrame, dataset: str, split: str, features: str = "pixels", *, shots: int = 1
) -> float:
    """Accuracy of nearest prototypes in 5-way episodes. Raises ValueError if it was not measured."""
    own = found.query("dataset == @dataset and split == @split and features == @features")
    own = own[(own.ways == 5) & (own.shots == shots)]
    if own.empty:
        where = f"{dataset}, split {split}, 5-way {shots}-shot"
        raise ValueError(f"no nearest prototypes on {features} of {where}: measure them")
    return float(own.accuracy.iloc[0])


def by_seed(encoders: pd.DataFrame, family: str, features: str = "prototypes") -> np.ndarray:
    """Accuracy of encoders of `<dataset>_<split>` in 5-way 1-shot episodes by seed, (network,)."""
    own = encoders.query("family == @family and features == @features and ways == 5 and shots == 1")
    return own.sort_values("seed").accuracy.to_numpy(dtype=float)


# --- protocols


def accuracies(
    rows: pd.DataFrame, dataset: str, rule: str, variant: str = "as published", updates: int | None = None
) -> np.ndarray:
    """Accuracy of the networks of a variant by seed, (network,), after training or so many episodes.

    Raises ValueError if there are none.
    """
    own = rows[(rows.family == f"published_{dataset}_{rule}") & (rows.variant == variant)]
    own = own[own.updates == (own.trained if updates is None else updates)]
    if own.empty:
        when = "after training" if updates is None else f"after {updates} episodes"
        raise ValueError(f"no published_{dataset}_{rule} network, {variant}, was scored {when}")
    return own.sort_values("seed").score.to_numpy(dtype=float)


def stages(rows: pd.DataFrame, dataset: str, rule: str, variant: str) -> tuple[np.ndarray, np.ndarray]:
    """Episodes (stage,) after which networks were scored, and their accuracy then, (network, stage)."""
    own = rows[(rows.family == f"published_{dataset}_{rule}") & (rows.variant == variant)]
    found = own.pivot(index="seed", columns="updates", values="score")
    return found.columns.to_numpy(), found.to_numpy(dtype=float)


def gain(rows: pd.DataFrame, dataset: str, rule: str, leak: str) -> np.ndarray:
    """Accuracy with a leak of `GAINS` less accuracy without, after training, (network,), paired by seed."""
    with_it, without = GAINS[leak]
    other = CHANCE if without is None else accuracies(rows, dataset, rule, without)
    return accuracies(rows, dataset, rule, with_it) - other


def gains(rows: pd.DataFrame) -> pd.DataFrame:
    """Mean gain of each leak with its 95 % t-interval as text, by data set and leak; a rule a column."""
    found = {}
    for dataset in ROLES:
        for leak in GAINS:
            each = {rule: mean(gain(rows, dataset, rule, leak)) for rule in PAPER_RULES}
            found[dataset, leak] = {rule: _text(one) for rule, one in each.items()}
    return pd.DataFrame(found).T.rename_axis(["data set", "leak"])


def summary(published: Published) -> Estimate:
    """A published number with the t-intervals of its three networks.

    Any three numbers with this mean and population standard deviation have them.
    """
    reach = published.deviation * np.sqrt(3 / 2)
    return mean(published.mean + reach * np.array([-1.0, 0.0, 1.0]))


def others(dataset: str) -> list[tuple[int, dict[str, Published]]]:
    """What others found on the data set that one of ours stands for: published, run again, and for longer.

    Pairs of episodes of training, and rule -> accuracy.
    """
    found = (PUBLISHED[dataset], RERUN[dataset], LONGER[dataset])
    return [*zip((BUDGET[dataset], BUDGET[dataset], LONGER_BUDGET[dataset]), found, strict=True)]


def published_table() -> pd.DataFrame:
    """What was published, with the 95 % t-interval of three networks, and what others found."""
    found = {}
    for dataset, role in ROLES.items():
        published, again, longer = (of_rule for _, of_rule in others(dataset))
        for rule in PAPER_RULES:
            own = summary(published[rule])
            found[role, rule] = {
                "published": _text(own), "p, chance or below": f"{own.p_above(CHANCE):.3f}",
                "re-run": _with_spread(again[rule]), "re-run, 20 epochs": _with_spread(longer[rule]),
            }  # fmt: skip
    return pd.DataFrame(found).T.rename_axis(["data set", "rule"])


def _with_spread(number: Published) -> str:
    return f"{number.mean:.3f}" + ("" if np.isnan(number.deviation) else f" ± {number.deviation:.3f}")


def _text(own: Estimate) -> str:
    return "{:.3f} [{:.3f}, {:.3f}]".format(own.ours, *own.interval95)
