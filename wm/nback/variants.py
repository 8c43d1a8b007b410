"""What of the settings of training makes N-back networks learn: each changed alone, all else as it is.

`wm states nback training` trains networks of a family for each of `VARIANTS`::

    data_json/nback/training.csv   a row for each variant, network and split
"""

from __future__ import annotations

__all__ = ["VARIANTS", "Variant", "measure_training", "reached", "varied"]

from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import replace
from typing import Any, NamedTuple

import numpy as np
import pandas as pd

from .. import measured
from .campaign import Campaign, ensembles
from .catalogue import POOLS, SPLITS
from .families import FAMILIES, NBackConfig, config, family_name
from .material import Material, material

SEEDS = ("0", "1", "2")
"""of each variant"""
BARS = {"reached_95": 0.95, "reached_90": 0.90}
"""column -> balanced accuracy that published networks are above, of trained images, and of novel angles"""


class Variant(NamedTuple):
    """One setting that is another one."""

    setting: str
    """in words"""
    changes: Mapping[str, Any]
    """fields of `NBackConfig`; with another pool the map has as many numbers as before"""


VARIANTS = {
    "usual": Variant("as it is", {}),
    "rate_3e-3": Variant("learning rate 3e-3", {"learning_rate": 3e-3}),
    "rate_3e-4": Variant("learning rate 3e-4", {"learning_rate": 3e-4}),
    "rate_3e-5": Variant("learning rate 3e-5, as published", {"learning_rate": 3e-5}),
    "all_steps": Variant("all steps count alike", {"no_action_weight": 1.0}),
    "no_decay": Variant("learning rate never falls", {"decay": 0.0}),
    "gap": Variant("mean over the whole map", {"pool": "gap"}),
}
"""name -> what is changed"""


def varied(usual: NBackConfig, name: str) -> NBackConfig:
    """A configuration with one of `VARIANTS`."""
    other = replace(usual, **VARIANTS[name].changes)
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
    """Train three networks of these families (default: gru_mtmf) with each of `VARIANTS`; save the rows.

    Columns: family, variant, setting (in words), network, seed, split; validation, its score at the end, and
    best, the highest; reached_95 and reached_90, the update after which it first was that high, NaN if never;
    test and test_balanced, scores with natural and balanced lures, NaN of networks that diverged. Scores are
    balanced accuracies, means over tasks. material_of, tf32, changes: as of `wm.nback.derived.measure_diets`.
    ValueError for an unknown family.
    """
    wanted = [family_name(name) for name in families or ["gru_mtmf"]]
    options = {"device": device, "families": families, "tf32": tf32, "changes": changes}
    run = measured.Measuring("nback/training", measure_training, wanted, known=FAMILIES, options=options)
    rows, order = [], {name: place for place, name in enumerate(VARIANTS)}
    for family in wanted:
        own = {name: varied(config(family, **(changes or {})), name) for name in VARIANTS}
        pairs = [(each, seed) for each in own.values() for seed in SEEDS]
        names = {each: name for name, each in own.items()}
        for done, _ in ensembles(pairs, material_of, device=device, tf32=tf32):
            rows += _rows(done, [names[each.config] for each in done.networks])
    table = pd.DataFrame(rows)
    table = table.sort_values("variant", key=lambda own: own.map(order), kind="stable", ignore_index=True)
    run.save({"training": table})
    return table


def _rows(done: Campaign, variants: Sequence[str]) -> Iterator[dict[str, Any]]:
    """A row for each network, of these variants, and split."""
    steps, lost = np.array(done.history["step"]), dict.fromkeys(SPLITS, np.nan)
    for k, (each, variant) in enumerate(zip(done.networks, variants, strict=True)):
        about = {
            "family": each.config.family, "variant": variant, "setting": VARIANTS[variant].setting,
            "network": each.name, "seed": each.seed,
        }  # fmt: skip
        tests = {"test": done.evaluation, "test_balanced": done.balanced}
        tests = {n: lost if each.record["diverged"] else test.scores(k) for n, test in tests.items()}
        for split in [split for split in SPLITS if f"val_{split}_acc" in done.history]:
            values = np.array(done.history[f"val_{split}_acc"])[:, k]
            found = {"validation": values[-1], "best": values.max()}
            found |= {name: reached(steps, values, bar) for name, bar in BARS.items()}
            yield about | {"split": split} | found | {n: own.get(split, np.nan) for n, own in tests.items()}


def reached(steps: np.ndarray, values: np.ndarray, bar: float) -> float:
    """The first of `steps` (step,) at which values (step,) are at least `bar`; NaN if they never are."""
    found = steps[np.asarray(values) >= bar]
    return float(found[0]) if len(found) else np.nan
