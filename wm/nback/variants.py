"""What of the settings of training makes N-back networks learn: ours, with one or several changed.

`wm states nback training` trains networks of families for each of `VARIANTS`, or of `SCHEDULES`::

    data_json/nback/training.csv   a row for each family, variant, network and split

The re-make (WM-model, July 2026) trains 45 epochs of 30000 trials in batches of 32, with weight decay 1e-4
and a learning rate of 1e-4 that falls to a tenth after 20 and after 25 epochs, to .46 of it in the mean; here
it falls linearly all along, to .5 in the mean. Trials are drawn anew each time.
"""

from __future__ import annotations

__all__ = ["SCHEDULES", "VARIANTS", "Variant", "measure_training", "variants_of", "varied"]

from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import replace
from typing import Any, NamedTuple

import numpy as np
import pandas as pd
import torch

from .. import measured
from .behaviour import BARS, first_at
from .campaign import Campaign, ensembles
from .catalogue import ARCHITECTURES, POOLS, SPLITS
from .evaluate import evaluated
from .families import FAMILIES, NBackConfig, config, family_name
from .material import Images, Material, material
from .task import FEATURES, TASKS

SEEDS = tuple(map(str, range(6)))
"""of each variant"""


class Variant(NamedTuple):
    """Settings that are other ones."""

    setting: str
    """in words"""
    changes: Mapping[str, Any]
    """fields of `NBackConfig`; with another pool the map has as many numbers as before"""
    longer: float = 1
    """how many times the updates"""


_REMAKE = {"learning_rate": 1e-4, "weight_decay": 1e-4, "batch": 32, "decay": 1.0}
VARIANTS = {
    "usual": Variant("as it is", {}),
    "rate_3e-3": Variant("learning rate 3e-3", {"learning_rate": 3e-3}),
    "rate_3e-4": Variant("learning rate 3e-4", {"learning_rate": 3e-4}),
    "rate_3e-5": Variant("learning rate 3e-5, as published", {"learning_rate": 3e-5}),
    "all_steps": Variant("all steps count alike", {"no_action_weight": 1.0}),
    "no_decay": Variant("learning rate never falls", {"decay": 0.0}),
    "gap": Variant("mean over the whole map", {"pool": "gap"}),
    "gap_gates": Variant("mean over the whole map, gates by task", {"pool": "gap", "attention": "task_only"}),
    "rate_3e-5_long": Variant("rate 3e-5, ten times the updates", {"learning_rate": 3e-5}, 10),
    "remake": Variant("as the re-make", {**_REMAKE, "pool": "gap"}, 21.1),
    "remake_grid2": Variant("as the re-make, four quadrants", _REMAKE, 21.1),
}
"""name -> what is changed"""
SCHEDULES = ("usual", "rate_3e-3", "rate_3e-4", "no_decay")
"""those that families other than gru_mtmf are trained with, too"""


def variants_of(family: str) -> tuple[str, ...]:
    """Names of the variants that a family is trained with."""
    return tuple(VARIANTS) if family == "gru_mtmf" else SCHEDULES


def varied(usual: NBackConfig, name: str) -> NBackConfig:
    """A configuration with one of `VARIANTS`."""
    changes, longer = VARIANTS[name][1:]
    other = replace(usual, **{**changes, "updates": round(usual.updates * longer)})
    wide = POOLS[usual.pool] * usual.channels // POOLS[other.pool]
    return replace(other, channels=wide) if other.pool != usual.pool else other


def measure_training(
    families: Sequence[str] | None = None,
    *,
    device: str = "cpu",
    material_of: Callable[[NBackConfig], Material] = material,
    tf32: bool = False,
    changes: Mapping[str, Any] | None = None,
) -> pd.DataFrame:
    """Train six networks of these families with each of their variants (`variants_of`); save the rows.

    families: by default rnn_mtmf, gru_mtmf, lstm_mtmf. Columns: family, variant, setting (in words), seed,
    split; validation, its score at the end, balanced accuracy, mean over tasks; location, identity, category,
    the same of the tasks of one feature, of weights in float16 and of other trials; reached, the updates
    after which it first was at the bar of the split (`wm.nback.behaviour.BARS`), NaN if never, or without a
    bar.
    Only validation is asked: settings are chosen by it. material_of, tf32, changes: as of
    `wm.nback.derived.measure_diets`. ValueError for an unknown family.
    """
    wanted = [family_name(name) for name in families or [f"{name}_mtmf" for name in ARCHITECTURES]]
    options = {"device": device, "families": families, "tf32": tf32, "changes": changes}
    run = measured.Measuring("nback/training", measure_training, wanted, known=FAMILIES, options=options)
    rows: list[dict[str, Any]] = []
    for family in wanted:
        own = {varied(config(family, **(changes or {})), name): name for name in variants_of(family)}
        pairs = [(each, seed) for each in own for seed in SEEDS]
        found = []
        for done, images in ensembles(pairs, material_of, device=device, tf32=tf32, trials=1):  # no test
            apart = _by_feature(done, images.validation, device)
            found += _rows(done, [own[each.config] for each in done.networks], apart)
        rows += sorted(found, key=lambda row: [*VARIANTS].index(row["variant"]))
    table = pd.DataFrame(rows)
    run.save({"training": table})
    return table


def _by_feature(done: Campaign, images: Mapping[str, Images], device: str) -> dict[str, np.ndarray]:
    """Split -> balanced accuracy of its images, mean over the tasks of each feature, (network, feature)."""
    each = [network.weights for network in done.networks]
    weights = {name: torch.cat([own[name] for own in each]).to(device) for name in each[0]}
    found = evaluated([network.config for network in done.networks], weights, images)
    own = [[task.place for task in TASKS if task.feature == feature] for feature in FEATURES]
    means = np.stack([found.balanced[..., places].mean(axis=-1) for places in own], axis=-1)
    return dict(zip(found.splits, means.swapaxes(0, 1), strict=True))


def _rows(
    done: Campaign, variants: Sequence[str], apart: Mapping[str, np.ndarray]
) -> Iterator[dict[str, Any]]:  # fmt: skip
    """A row for each network, of these variants, and split; apart: `_by_feature`."""
    steps = np.array(done.history["step"])
    for k, (each, variant) in enumerate(zip(done.networks, variants, strict=True)):
        about = {"family": each.config.family, "variant": variant, "setting": VARIANTS[variant].setting}
        for split in [split for split in SPLITS if f"val_{split}_acc" in done.history]:
            values = np.array(done.history[f"val_{split}_acc"])[:, k]
            reached = first_at(steps, values, BARS.get(split, np.inf))
            scores = {"validation": values[-1], **dict(zip(FEATURES, apart[split][k], strict=True))}
            scores |= {"reached": reached if np.isfinite(reached) else np.nan}
            yield about | {"seed": each.seed, "split": split} | scores
