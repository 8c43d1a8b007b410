"""Measurements of N-back networks that are shipped with them: `MEASURES`.

`wm states nback diets` trains networks of every family and keeps their scores and learning curves, but not
their weights::

    data_json/nback/diets.csv          a row for each network and split of the test images, all tasks side by
                                       side, with natural and balanced lures (`wm.nback.packing`)
    data_json/nback/diets_errors.csv   what is taken for what, and when, with natural lures: networks of all
                                       nine tasks on many objects, without attention
    data_json/nback/diets_curves.csv   a row for each network and recorded step: validation by split, of
                                       networks of fewer tasks where there is a published bar alone
    data_json/nback/diets_attention.csv    where networks with spatial attention look, by split and task

`wm states nback training` is in `wm.nback.variants`: what of the settings makes networks learn; `wm states
nback embedding` in `wm.nback.visual`: what can be read from features without a network; `wm states nback
hidden` in `wm.nback.hidden`: states of the saved networks; `wm states nback geometry` in
`wm.nback.geometry.measures`: how networks hold what they saw, `wm states nback beyond` in
`wm.nback.geometry.beyond`: load, queues, views.
"""

from __future__ import annotations

__all__ = ["MEASURES", "errors_of", "measure_diets", "rows_of", "seeds_of"]

from collections.abc import Callable, Iterator, Mapping, Sequence
from typing import Any

import numpy as np
import pandas as pd

from .. import measured, store
from ..campaign import four_digits, own_history
from .attention import attention_rows
from .behaviour import BARS
from .campaign import Campaign, ensembles
from .catalogue import ARCHITECTURES, SPLITS
from .evaluate import balanced
from .families import FAMILIES, NBackConfig, config, diet, family_name
from .geometry.beyond import measure_beyond
from .geometry.measures import measure_geometry
from .hidden import measure_hidden
from .library import Trained, to_network
from .material import Material, material
from .packing import packed
from .task import RESPONSES, TASKS
from .variants import measure_training
from .visual import measure_embedding

CURVE_EVERY = 100
"""updates between two rows of the curves"""
PLAIN = tuple(f"{name}_mtmf" for name in ARCHITECTURES)
"""families of all nine tasks and many objects, without attention: those that figures show the errors of"""


def seeds_of(config: NBackConfig) -> list[str]:
    """Seeds of its family in `diets`: six of all nine tasks, three of fewer."""
    return [str(seed) for seed in range(6 if diet(config) == TASKS else 3)]


def rows_of(trained: Trained) -> Iterator[dict[str, Any]]:
    """A row for each test, with natural or balanced lures, split and task that a network was tested on.

    balanced: balanced accuracy in executive steps; with natural lures also all_steps: share right of all;
    match, non_match: share right of these; match_other_view: of the matches that do not show the same object
    from the same view.
    """
    about = {"family": trained.config.family, "seed": trained.seed}
    for split, task, counts, (asked, right), _ in _tested(trained.record["test"]):
        shares = _answers(counts)
        row = {"balanced": _score(counts), "all_steps": round(counts.trace() / counts.sum(), 4)}
        row |= {name: shares[name] for name in ("match", "non_match")}
        row["match_other_view"] = round(right / asked, 4) if asked else np.nan
        yield about | {"lures": "natural", "split": split, "task": task} | row
    for split, task, counts, *_ in _tested(trained.record.get("test_balanced", {})):
        yield about | {"lures": "balanced", "split": split, "task": task, "balanced": _score(counts)}


def errors_of(trained: Trained) -> Iterator[dict[str, Any]]:
    """A row for each split and task of the test with natural lures.

    no_action, non_match, match: share right of these; match_as_non_match, ...: share of one answer that was
    answered as another; step_1, ...: share right at each step.
    """
    about = {"family": trained.config.family, "seed": trained.seed}
    for split, task, counts, _, steps in _tested(trained.record["test"]):
        by_step = {f"step_{number}": share for number, share in enumerate(steps, 1)}
        yield about | {"split": split, "task": task} | _answers(counts) | by_step


def _tested(test: Mapping[str, Any]) -> Iterator[tuple[str, str, np.ndarray, list[int], list[float]]]:
    """Parts of one test, `wm.nback.evaluate.Evaluation.record`, by split and task."""
    parts = (test.get(name, ()) for name in ("splits", "confusion", "other_views", "by_step"))
    for split, *own in zip(*parts, strict=True):
        for task, counts, others, steps in zip(test["tasks"], *own, strict=True):
            yield split, task, np.array(counts), others, steps


def _score(counts: np.ndarray) -> float:
    return round(float(balanced(counts)), 4)


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


def measure_diets(
    families: Sequence[str] | None = None,
    *,
    device: str = "cpu",
    material_of: Callable[[NBackConfig], Material] = material,
    tf32: bool = False,
    changes: Mapping[str, Any] | None = None,
    save: bool = False,
    each: Callable[[Campaign, Material], object] | None = None,
) -> pd.DataFrame:
    """Train networks of these families (default: all), those of a kind together; save scores and curves.

    `seeds_of` each; where those with attention look is kept, too. material_of: gives the material of a
    configuration. tf32: see `NBackLearner`. changes: of all configurations. save: also the networks that are
    shipped, in data/, in place of what is there. each: is given every ensemble and its material, once it is
    trained and tested, for what needs weights of all networks. Returns the rows of the scores; ValueError for
    an unknown family.
    """
    wanted = [family_name(name) for name in families or FAMILIES]
    options = {"device": device, "families": families, "tf32": tf32, "changes": changes, "save": save}
    run = measured.Measuring("nback/diets", measure_diets, wanted, known=FAMILIES, options=options)
    rows, errors, curves, looks = [], [], [], []
    configs = [config(name, **(changes or {})) for name in wanted]
    pairs = [(kind, seed) for kind in configs for seed in seeds_of(kind)]
    for done, own in ensembles(pairs, material_of, device=device, tf32=tf32):
        for trained in done.networks:
            rows += rows_of(trained)
            errors += errors_of(trained) if trained.config.family in PLAIN else ()
            looks += attention_rows(trained, own.test)
        curves += _curves(done)
        if save:
            _save_shipped(done)
        if each is not None:
            each(done, own)
    tables = {"diets": rows, "diets_curves": curves, "diets_errors": errors, "diets_attention": looks}
    tables = {name: pd.DataFrame(found) for name, found in tables.items() if found}
    run.save(tables | {"diets": packed(tables["diets"])})
    return tables["diets"]


def _save_shipped(done: Campaign) -> None:
    """Save networks of the seeds that are shipped, without those that diverged."""
    for k, trained in enumerate(done.networks):
        shipped = int(trained.seed) < FAMILIES[trained.config.family].shipped
        if shipped and not trained.record["diverged"]:
            store.save_network(to_network(trained, own_history(done.history, k)))


def _curves(done: Campaign) -> Iterator[dict[str, Any]]:
    for k, each in enumerate(done.networks):
        about = {"family": each.config.family, "seed": each.seed}
        kept = SPLITS if diet(each.config) == TASKS else BARS
        curves = {split: done.history.get(f"val_{split}_acc") for split in SPLITS}
        for place, step in enumerate(done.history["step"]):
            if step % CURVE_EVERY == 0 or step == done.history["step"][-1]:
                values = {
                    f"val_{split}_acc": four_digits(own[place][k]) if own and split in kept else np.nan
                    for split, own in curves.items()
                }
                yield about | {"step": step} | values


MEASURES: dict[str, Callable[..., object]] = {
    "hidden": measure_hidden, "embedding": measure_embedding, "diets": measure_diets,
    "training": measure_training, "geometry": measure_geometry, "beyond": measure_beyond,
}  # fmt: skip
"""what `wm states nback` can measure, each called with `device` and `families`; alone the first"""
