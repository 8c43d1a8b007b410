"""The geometry of many networks, measured once: rows of small tables for the figures.

`wm states nback geometry` measures the saved networks and writes, a row for each network (family and seed),
setting and task::

    data_json/nback/decoding.csv        what E(1, 1) tells of each property, and how long it is held
    data_json/nback/cross_task.csv      decoders of one task in others
    data_json/nback/orthogonality.csv   the index before and after the recurrent layer
    data_json/nback/dynamics.csv        decoders of encoding at later steps, and of other items
    data_json/nback/rotations.csv       what decides between the hypotheses
    data_json/nback/perturbation.csv    answers after shifts of the state; networks of all nine tasks alone

setting: `ours`, and `standardised` (`STANDARDISED`), as in the public re-make. Columns are
explained at the functions of `wm.nback.geometry.rows`. Networks that are not saved are measured where they
are trained:

    networks = []
    measure_diets(kept=networks, device="cuda")
    measure_geometry(networks=networks, processes=16)
"""

from __future__ import annotations

__all__ = ["measure_geometry", "table"]

import logging
from collections.abc import Iterable, Iterator, Mapping, Sequence
from concurrent.futures import ProcessPoolExecutor
from dataclasses import replace
from functools import lru_cache
from multiprocessing import get_context

import numpy as np
import pandas as pd
import torch

from ... import measured, paths
from ..behaviour import kind_of
from ..families import FAMILIES, config, family_name
from ..library import Trained, load_family, names
from ..material import Images
from ..task import task_named
from .rows import TABLES, Rows, geometry_rows
from .spaces import TRIALS, analysis_images

_log = logging.getLogger(__name__)


def measure_geometry(
    families: Sequence[str] | None = None, *, device: str = "cpu",
    networks: Iterable[Trained] | None = None, processes: int = 1, trials: int = TRIALS,
) -> dict[str, pd.DataFrame]:  # fmt: skip
    """Measure networks, write the tables, and return them.

    families: of the saved networks, by default of all; or, of `networks`, those that are wanted. networks:
    by default the saved ones; processes: that measure networks at once, each with one thread; trials: of each
    task; device: not used. Networks that diverged, or have several recurrent layers, are left out, which the
    log tells. Raises ValueError for an unknown family, and if nothing is left to be measured.
    """
    asked = [family_name(name) for name in families or FAMILIES]
    options = {"device": "cpu", "families": families, "trials": trials}
    if networks is None:
        networks = [each for name in asked if families or names(name) for each in load_family(name)]
    else:
        networks = [each for each in networks if each.config.family in asked]
        options["networks"] = f"{len(networks)} handed over"
    kept = [each for each in networks if _measurable(each)]
    if not kept:
        raise ValueError(f"no network is left to be measured (saved ones are in {paths.data()})")
    wanted = [name for name in FAMILIES if name in {each.config.family for each in kept}]
    run = measured.Measuring("nback/geometry", measure_geometry, wanted, known=FAMILIES, options=options)
    found: Rows = {name: [] for name in TABLES}
    for rows in _each(kept, processes, trials):
        for name, own in rows.items():
            found[name] += own
    tables = {name: pd.DataFrame(rows) for name, rows in found.items() if rows}
    run.save(tables)
    return tables


def _measurable(trained: Trained) -> bool:
    why = ""
    if trained.record.get("diverged") or not all(each.isfinite().all() for each in trained.weights.values()):
        why = "it diverged"
    elif trained.config.layers > 1:
        why = f"it has {trained.config.layers} recurrent layers"
    if why:
        _log.warning("the geometry of %s is not measured: %s", trained.name, why)
    return not why


def _each(networks: Sequence[Trained], processes: int, trials: int) -> Iterator[Rows]:
    """Rows of each network, in their order."""
    if processes == 1:
        yield from (geometry_rows(_on_cpu(each), _pictures(each), trials=trials) for each in networks)
        return
    for each in networks:
        _pictures(each)  # features are computed here, once, and kept in a file
    with ProcessPoolExecutor(processes, get_context("spawn"), _one_thread) as pool:
        yield from pool.map(_handed, [(*_parts(_on_cpu(each)), trials) for each in networks])


def _on_cpu(trained: Trained) -> Trained:
    weights = {name: value.detach().float().cpu() for name, value in trained.weights.items()}
    return replace(trained, weights=weights)


def _parts(trained: Trained) -> tuple[Trained, dict[str, np.ndarray]]:
    """Tensors are handed over as arrays: shared memory for hundreds of them may run out."""
    return replace(trained, weights={}), {name: value.numpy() for name, value in trained.weights.items()}


def _handed(parts: tuple[Trained, Mapping[str, np.ndarray], int]) -> Rows:
    trained, weights, trials = parts
    own = {name: torch.from_numpy(value) for name, value in weights.items()}
    return geometry_rows(replace(trained, weights=own), _pictures(trained), trials=trials)


def _one_thread() -> None:
    from threadpoolctl import threadpool_limits  # of scikit-learn

    torch.set_num_threads(1)
    threadpool_limits(1)


def _pictures(trained: Trained) -> Images:
    kind = trained.config
    return _pictures_of(kind.stimuli, kind.backbone, kind.pool)


@lru_cache(maxsize=4)
def _pictures_of(stimuli: str, backbone: str, pool: str) -> Images:
    return analysis_images(config("gru", stimuli=stimuli, backbone=backbone, pool=pool))


def table(name: str) -> pd.DataFrame:
    """One of `TABLES`, with what `wm.nback.behaviour.kind_of` tells of a family, and the task's feature, lag.

    Raises ValueError for another name, `wm.store.DamagedFile` if it is missing.
    """
    if name not in TABLES:
        raise ValueError(f"there is no table {name!r}: choose one of {', '.join(TABLES)}")
    rows = measured.read("nback", name, "geometry")
    kinds = pd.DataFrame.from_dict({each: kind_of(config(each)) for each in rows.family.unique()}, "index")
    tasks = rows.task.map(task_named)
    told = {"feature": [each.feature for each in tasks], "lag": [each.lag for each in tasks]}
    return rows.join(kinds, on="family").assign(**told)
