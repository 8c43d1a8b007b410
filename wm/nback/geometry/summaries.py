"""What the tables of `wm.nback.geometry.measures` say over networks: the numbers of figures and claims.

    rows = measures.table("decoding")
    own = of(rows, "gru", setting="standardised")
    by_seed(own, "binary")                                   # (seed,)
    least({"location": ..., "identity": ...}, 0.85)          # the property that is least certainly above

The unit is a network, or where a diet needs several networks, a seed. Of claims on "all" properties or models
the least certain one counts.
"""

from __future__ import annotations

__all__ = [
    "across", "below_diagonal", "by_seed", "change", "encoded", "encoding", "farthest",
    "gained", "largest", "least", "longer", "of", "over_networks", "same_as_h2", "shares_of", "side_by_side",
]  # fmt: skip

from collections.abc import Mapping, Sequence

import numpy as np
import pandas as pd

from ...estimate import Estimate, mean, means
from ..task import FEATURES
from .decoders import normalised


def of(
    rows: pd.DataFrame, architecture: str | None = None, diet: str = "mtmf", *,
    attention: str = "none", setting: str = "ours", feature: str | None = None, **equal,
) -> pd.DataFrame:  # fmt: skip
    """Rows of networks of one kind, of all architectures if none is given. ValueError if there are none.

    feature: of the tasks, by default all; equal: values that other columns must have.
    """
    wanted = {"diet": diet, "attention": attention, "setting": setting, "stimuli": "rich"} | equal
    wanted |= {"architecture": architecture} if architecture else {}
    wanted |= {"feature": feature} if feature else {}
    kept = np.logical_and.reduce([(rows[name] == value).to_numpy() for name, value in wanted.items()])
    if not kept.any():
        raise ValueError(f"the table has no rows of {', '.join(f'{k} {v}' for k, v in wanted.items())}")
    return rows[kept]


def by_seed(rows: pd.DataFrame, column: str) -> pd.Series:
    """Mean over tasks, and networks if a diet needs several, of each seed: indexed by seed, in order.

    Seeds for which nothing is known are left out.
    """
    return rows.groupby("seed")[column].mean().dropna()


def encoded(rows: pd.DataFrame, relevant: bool, kind: str = "") -> pd.DataFrame:
    """Table decoding, made long: a row for each property that is asked for (or is not), in `accuracy`.

    kind: "" for each value against the rest, "_values" for all values, "_null" for shuffled labels, "_2" two
    items later. Column property; all others stay.
    """
    parts = []
    for name in FEATURES:
        own = rows[(rows.feature == name) == relevant]
        parts.append(own.assign(property=name, accuracy=own[f"{name}{kind}"]))
    return pd.concat(parts, ignore_index=True)


def across(rows: pd.DataFrame) -> pd.DataFrame:
    """Table cross_task with columns `inside` and `outside`, normalised, of tasks that ask for another
    property, and `share`, how much of the first the second is."""
    found = rows[[*FEATURES]].where(~np.eye(len(FEATURES), dtype=bool)[_place(rows.feature)]).mean(axis=1)
    inside, outside = normalised(rows.within, 0.5), normalised(found, 0.5)
    return rows.assign(inside=inside, outside=outside, share=outside / inside)


def _place(features: pd.Series) -> np.ndarray:
    return features.map(FEATURES.index).to_numpy()


def change(
    rows: pd.DataFrame, space: str = "perceptual", *, normalise: bool = False
) -> pd.DataFrame:  # fmt: skip
    """Table orthogonality with `before`, the index in a space before the recurrent layer, `after`, that of
    encoding, and `change`, after - before. normalise: by the index of shuffled labels."""
    before, after = (
        rows[name] / (rows[f"{name}_shuffled"] if normalise else 1) for name in (space, "encoding")
    )
    return rows.assign(before=before, after=after, change=after - before)


def below_diagonal(rows: pd.DataFrame, space: str = "perceptual", **options) -> pd.Series:
    """Share of points (network, task) of which the index falls from a space to encoding, by seed."""
    found = change(rows, space, **options)
    return by_seed(found.assign(falls=(found.change < 0).astype(float)), "falls")


def longer(rows: pd.DataFrame, kind: str = "natural") -> pd.Series:
    """Table dynamics: scores at executive steps minus those at others, by seed."""
    return by_seed(rows.assign(gain=rows[f"{kind}_executive"] - rows[f"{kind}_other"]), "gain")


def shares_of(rows: pd.DataFrame, column: str) -> dict[str, pd.Series]:
    """A column of a table by property that is asked for: property -> (seed,), mean over lags.

    Properties for which nothing is known are left out.
    """
    found = {name: by_seed(rows[rows.feature == name], column) for name in FEATURES}
    return {name: own for name, own in found.items() if len(own)}


def gained(rows: pd.DataFrame, plain: pd.DataFrame, column: str) -> pd.Series:
    """How much higher a column is than in other networks, seeds that both have: indexed by seed."""
    return (by_seed(rows, column) - by_seed(plain, column)).dropna()


def side_by_side(rows: pd.DataFrame, column: str, of: str = "feature") -> pd.DataFrame:
    """A column of a table with a column for each property, a row for each seed and property's task."""
    return rows.pivot_table(index=["seed", "task"], columns=of, values=column).reset_index()


def encoding(decoding: pd.DataFrame, index: pd.DataFrame) -> pd.DataFrame:
    """A row for each seed: accuracy in E(1, 1) of what tasks ask for (asked_for), and of what they do not
    (not_asked_for), and the orthogonalization index of the former; tables of one kind of network."""
    found = {"asked_for": by_seed(encoded(decoding, True), "accuracy"),
             "not_asked_for": by_seed(encoded(decoding, False), "accuracy"),
             "index": by_seed(index, "encoding")}  # fmt: skip
    return pd.DataFrame(found).rename_axis("seed").reset_index()


def same_as_h2(rows: pd.DataFrame, verdict: str = "H2") -> pd.Series:
    """Table rotations: share of tasks with a verdict, by seed."""
    return by_seed(rows.assign(own=(rows.verdict == verdict).astype(float)), "own")


def least(found: Mapping[str, pd.Series], bar: float) -> tuple[str, Estimate]:
    """The condition of which it is least certain that it is above `bar`: its name and mean over seeds."""
    return _last(found, lambda own: (own.p_above(bar), -own.ours))


def largest(found: Mapping[str, pd.Series], bar: float) -> tuple[str, Estimate]:
    """The condition of which it is least certain that it is below `bar`."""
    return _last(found, lambda own: (own.p_below(bar), own.ours))


def farthest(found: Mapping[str, pd.Series], value: float, margin: float) -> tuple[str, Estimate]:
    """The condition of which it is least certain that it is within `margin` of a value."""
    return _last(
        found,
        lambda own: (max(own.p_above(value - margin), own.p_below(value + margin)), abs(own.ours - value)),
    )


def _last(found: Mapping[str, pd.Series], key) -> tuple[str, Estimate]:
    own = {name: mean(values) for name, values in found.items()}
    if not own:
        raise ValueError("no condition was given: there is no least certain one")
    name = max(own, key=lambda each: key(own[each]))
    return name, own[name]


def over_networks(
    rows: pd.DataFrame, by: Sequence[str], columns: Sequence[str], *, shares: Sequence[str] = ()
) -> pd.DataFrame:
    """`wm.estimate.means` by groups, a seed being one number: the mean of its rows in the group."""
    own = rows.groupby([*by, "seed"], sort=False)[[*columns]].mean().reset_index()
    return means(own, by, columns, shares=shares)
