"""Measurements of N-back networks that are shipped with them: `MEASURES`.

`wm states nback networks` collects the scores of the saved networks, `wm states nback diets` trains networks
of every family and keeps their scores and learning curves, but not their weights::

    data_json/nback/networks.csv       a row for each network, lures and split of the test images, and task
    data_json/nback/diets.csv          the same, of all families
    data_json/nback/diets_curves.csv   a row for each network and recorded step: validation by split
    data_json/nback/diets_attention.csv    where networks with spatial attention look, by split and task

`wm states nback training` is in `wm.nback.variants`: what of the settings makes networks learn; `wm states
nback embedding` in `wm.nback.visual`: what can be read from features without a network.
"""

from __future__ import annotations

__all__ = ["MEASURES", "measure", "measure_diets", "rows_of", "seeds_of"]

from collections.abc import Callable, Iterator, Mapping, Sequence
from typing import Any

import numpy as np
import pandas as pd

from .. import measured, paths, store
from ..campaign import own_history
from .attention import attention_rows
from .behaviour import kind_of
from .campaign import Campaign, ensembles
from .catalogue import SPLITS
from .evaluate import balanced
from .families import FAMILIES, NBackConfig, config, diet, family_name
from .hidden import measure_hidden
from .library import Trained, load_family, names, to_network
from .material import Material, material
from .task import RESPONSES, TASKS
from .variants import measure_training
from .visual import measure_embedding

CURVE_EVERY = 200
"""updates between two rows of the curves"""


def seeds_of(config: NBackConfig) -> list[str]:
    """Seeds of its family in `diets`: six of all nine tasks, three of fewer."""
    return [str(seed) for seed in range(6 if diet(config) == TASKS else 3)]


def rows_of(trained: Trained) -> Iterator[dict[str, Any]]:
    """A row for each test, with natural or balanced lures, split and task that a network was tested on.

    balanced: balanced accuracy in executive steps; match, non_match: share right of these; no_action: share
    right of the other steps; all_steps: share right of all. match_as_non_match, ...: share of one answer that
    was answered as another. step_1, ...: share right at each step. With balanced lures the first three alone.
    """
    about = {"family": trained.config.family, "network": trained.name, "seed": trained.seed}
    for row in _rows(trained.record["test"]):
        yield about | {"lures": "natural"} | row
    kept = ("split", "task", "balanced", "match", "non_match")
    for row in _rows(trained.record.get("test_balanced", {})):
        yield about | {"lures": "balanced"} | {name: row[name] for name in kept}


def _rows(test: Mapping[str, Any]) -> Iterator[dict[str, Any]]:
    """Rows of one test, `wm.nback.evaluate.Evaluation.record`."""
    parts = (test.get(name, ()) for name in ("splits", "confusion", "by_step"))
    for split, confusions, steps in zip(*parts, strict=True):
        for task, confusion, of_step in zip(test["tasks"], confusions, steps, strict=True):
            counts = np.array(confusion)
            right = round(counts.trace() / counts.sum(), 4)
            whole = {"balanced": float(balanced(counts)), "all_steps": right}
            by_step = {f"step_{number}": share for number, share in enumerate(of_step, 1)}
            yield {"split": split, "task": task} | whole | _answers(counts) | by_step


def _answers(counts: np.ndarray) -> dict[str, float]:
    """Shares of each right answer: first what is answered rightly, then what is taken for what."""
    with np.errstate(invalid="ignore"):
        shares = counts / counts.sum(axis=1, keepdims=True)
    names = [name.replace(" ", "_").replace("-", "_") for name in RESPONSES]
    right = {name: round(shares[k, k], 4) for k, name in enumerate(names)}
    return right | {
        f"{one}_as_{two}": round(shares[j, k], 4)
        for j, one in enumerate(names)
        for k, two in enumerate(names)
        if j != k
    }


def measure(families: Sequence[str] | None = None, *, device: str = "cpu") -> pd.DataFrame:
    """Collect the scores of the saved networks of these families (default: all) in the table; returns rows.

    device: not used. ValueError for an unknown family, or if nothing is saved.
    """
    wanted = [family_name(name) for name in families or FAMILIES if families or names(name)]
    if not wanted:
        raise ValueError(f"none is saved in {paths.data()}: train some with `wm train nback.gru_mtmf`")
    options = {"device": "cpu", "families": families}
    run = measured.Measuring("nback/networks", measure, wanted, known=FAMILIES, options=options)
    found = [each for family in wanted for each in load_family(family)]
    rows = [row | kind_of(each.config) for each in found for row in rows_of(each)]
    table = pd.DataFrame(rows)
    run.save({"networks": table})
    return table


def measure_diets(
    families: Sequence[str] | None = None,
    *,
    device: str = "cpu",
    material_of: Callable[[NBackConfig], Material] = material,
    tf32: bool = False,
    changes: Mapping[str, Any] | None = None,
    save: bool = False,
) -> pd.DataFrame:
    """Train networks of these families (default: all), those of a kind together; save scores and curves.

    `seeds_of` each; where those with attention look is kept, too. material_of: gives the material of a
    configuration. tf32: see `NBackLearner`. changes: of all configurations. save: also the first network of
    each family of all nine tasks, in data/, in place of what is there. Returns the rows of the scores;
    ValueError for an unknown family.
    """
    wanted = [family_name(name) for name in families or FAMILIES]
    options = {"device": device, "families": families, "tf32": tf32, "changes": changes, "save": save}
    run = measured.Measuring("nback/diets", measure_diets, wanted, known=FAMILIES, options=options)
    rows, curves, looks = [], [], []
    configs = [config(name, **(changes or {})) for name in wanted]
    pairs = [(each, seed) for each in configs for seed in seeds_of(each)]
    for done, own in ensembles(pairs, material_of, device=device, tf32=tf32):
        rows += [row for each in done.networks for row in rows_of(each)]
        looks += [row for each in done.networks for row in attention_rows(each, own.test)]
        curves += _curves(done)
        if save:
            _save_first(done)
    tables = {"diets": rows, "diets_curves": curves} | ({"diets_attention": looks} if looks else {})
    tables = {name: pd.DataFrame(found) for name, found in tables.items()}
    run.save(tables)
    return tables["diets"]


def _save_first(done: Campaign) -> None:
    """Save the first network of each family of all nine tasks, without those that diverged."""
    for k, each in enumerate(done.networks):
        if each.seed == "0" and diet(each.config) == TASKS and not each.record["diverged"]:
            store.save_network(to_network(each, own_history(done.history, k)))


def _curves(done: Campaign) -> Iterator[dict[str, Any]]:
    names = ["loss", "accuracy", *(f"val_{name}_acc" for name in SPLITS if f"val_{name}_acc" in done.history)]
    for k, each in enumerate(done.networks):
        about = {"family": each.config.family, "network": each.name, "seed": each.seed}
        for place, step in enumerate(done.history["step"]):
            if step % CURVE_EVERY == 0 or step == done.history["step"][-1]:
                values = {name: done.history[name][place][k] for name in names}
                yield about | {"step": step} | values


MEASURES: dict[str, Callable[..., object]] = {
    "networks": measure, "diets": measure_diets, "training": measure_training,
    "embedding": measure_embedding, "hidden": measure_hidden,
}  # fmt: skip
"""what `wm states nback` can measure, each called with `device` and `families`; alone the first"""
