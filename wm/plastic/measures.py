"""Train the networks of an experiment and keep its scores, curves and means by time.

`wm states plastic <experiment>` trains and writes; `table`, `curves` and `by_time` read:

    data_json/plastic/<experiment>.csv          a row for every network, and every time it was scored
    data_npy/plastic/<experiment>_curves.h5     family -> (variant, network, metric, bin), training
    data_npy/plastic/<experiment>_time.h5       family -> (variant, network, metric, time), test sequences

Networks that diverged have no scores, and from then on no curves; bins and times that a variant does not have
are NaN, too. Weights are not kept: `wm train plastic.<family>` trains and saves networks of a family.
"""

from __future__ import annotations

__all__ = ["COLUMNS", "Curves", "by_time", "curves", "first", "measure", "table"]

from collections.abc import Callable, Sequence
from functools import partial
from typing import NamedTuple

import numpy as np
import pandas as pd

from .. import measured, paths, store
from .campaign import Campaign, train_ensemble
from .experiments import DEPTHS, SEEDS, Cell, cells, ensembles, scored_at
from .families import FAMILIES, family_name, make_task

COLUMNS = (
    "score", "loss", "all_loss", "paper_metric", "rate", "rate_spread", "update_norm", "clip_ratio",
    "plastic_norm", "residual", "fallbacks",
)  # fmt: skip
"""scores in the tables, see `wm.plastic.evaluated`; then `norm_block<k>`, the part of `plastic_norm` in it"""
SETTINGS = (
    "task", "rule", "preset", "body", "window", "items", "delay", "layers", "auxiliary", "eta0", "max_norm",
    "alpha", "alpha_start", "modulated",
)  # fmt: skip
OF_IMAGES = ("dataset", "split", "ways", "shots", "encoder", "shuffled", "plastic_blocks")
"""settings in the tables of `wm.plastic.fewshot`, beside `score_spread`, the deviation over episodes"""
METRICS = ("loss", "score", "rate", "update_norm", "clip_ratio", "diverged")
BY_TIME = ("score", "rate", "logit", "update_norm", "clip_ratio", "plastic_norm")
NOT_KEPT = ("ablations_time", "depth_curves", "depth_time", "protocol_curves", "protocol_time")
"""training curves and means by time that no figure shows"""

Trainer = Callable[[Sequence[Cell], str], Campaign]


class Curves(NamedTuple):
    """Arrays of one experiment, with the names of their axes."""

    values: dict[str, np.ndarray]
    """family -> (variant, network, metric, bin or time)"""
    variants: dict[str, list[str]]
    """family -> names of variants"""
    metrics: list[str]
    steps: dict[str, list[int]]
    """family -> updates at the end of each bin; empty for values by time"""


def trained(group: Sequence[Cell], device: str) -> Campaign:
    """Train the cells of a group, each with all seeds."""
    configs = [cell.config for cell in group for _ in SEEDS]
    return train_ensemble(configs, SEEDS * len(group), device=device, score_at=scored_at(configs[0]))


def measure(
    experiment: str,
    families: Sequence[str] | None = None,
    *,
    device: str = "cpu",
    trainer: Trainer = trained,
) -> pd.DataFrame:
    """Train the networks of an experiment, of these families or all, write what is kept, return the table.

    Raises ValueError for an unknown experiment, or for a family that it does not have.
    """
    wanted = _wanted(experiment, families)
    options = {"device": device, "families": families}
    run = measured.Measuring(
        f"plastic/{experiment}", partial(measure, experiment), [*wanted], known=FAMILIES, options=options
    )
    rows, training, times = [], _Parts(METRICS, "bin"), _Parts(BY_TIME, "time")
    for group in ensembles([cell for found in wanted.values() for cell in found]):
        done = trainer(group, device)
        for k, cell in enumerate(group):
            members = [*range(k * len(SEEDS), (k + 1) * len(SEEDS))]
            rows += _rows(cell, done, members)
            training.add(cell, _curves(done, members))
            training.steps[cell.config.family] = done.curves["step"].tolist()
            times.add(cell, np.stack([_by_time(done.by_time[m], cell) for m in members]))
    table = pd.DataFrame(rows)
    states = {f"{experiment}_curves": training.states(), f"{experiment}_time": times.states()}
    run.save({experiment: table}, {name: each for name, each in states.items() if name not in NOT_KEPT})
    return table


def table(experiment: str, *, final: bool = True) -> pd.DataFrame:
    """The table of an experiment, after training or (final=False) also on the way.

    Raises `wm.store.DamagedFile` if it is missing.
    """
    rows = measured.read("plastic", experiment)
    return rows[rows.updates == rows.trained].reset_index(drop=True) if final else rows


def curves(experiment: str) -> Curves:
    """Training curves of an experiment; raises `wm.store.DamagedFile` if they are missing."""
    return _loaded(f"{experiment}_curves")


def by_time(experiment: str) -> Curves:
    """Means over test sequences token by token; raises `wm.store.DamagedFile` if they are missing."""
    return _loaded(f"{experiment}_time")


def first(found: pd.DataFrame | Curves, networks: int) -> pd.DataFrame | Curves:
    """Rows of a table, or curves, of the first networks of each kind by seed; all if there are fewer."""
    if isinstance(found, pd.DataFrame):
        return found[found.seed.astype(int) < networks]
    return found._replace(values={name: each[:, :networks] for name, each in found.values.items()})


def _loaded(name: str) -> Curves:
    path = paths.data_npy() / "plastic" / f"{name}.h5"
    arrays, about = store.load_states(path), store.states_info(path)["attrs"]
    return Curves(arrays, about["variants"], about["metrics"], about["steps"])


def _wanted(experiment: str, families: Sequence[str] | None) -> dict[str, list[Cell]]:
    """Cells by family."""
    found: dict[str, list[Cell]] = {}
    for cell in cells(experiment):
        found.setdefault(cell.config.family, []).append(cell)
    wanted = [family_name(name) for name in families or found]
    if odd := [name for name in wanted if name not in found]:
        raise ValueError(f"{experiment} has no {odd[0]!r} networks, only {', '.join(found)}")
    return {name: found[name] for name in wanted}


def _rows(cell: Cell, done: Campaign, members: Sequence[int]) -> list[dict]:
    """A row for every network and number of updates."""
    config, found = cell.config, []
    images = config.task == "images"
    about = {name: getattr(config, name) for name in (*SETTINGS, *OF_IMAGES * images)}
    columns = (*COLUMNS, *("score_spread",) * images)
    for seed, member in zip(SEEDS, members, strict=True):
        record = done.networks[member].record
        stages = {step: scores[member] for step, scores in done.early.items()}
        stages[config.updates] = record["scores"]
        for step, scores in stages.items():
            row = {"family": config.family, "variant": cell.variant, "seed": seed, **about}
            row |= {"updates": step, "trained": config.updates, "diverged": not scores}
            row |= {name: scores.get(name) for name in columns}
            found.append(row | _by_block(scores))
    return found


def _by_block(scores: dict[str, float]) -> dict[str, float | None]:
    """The part of each block in `plastic_norm`, for up to eight blocks."""
    names = [f"blocks.{k}." for k in range(max(DEPTHS))]
    parts = [[value for key, value in scores.items() if key.startswith(f"norm_{name}")] for name in names]
    return {f"norm_block{k}": sum(part) if part else None for k, part in enumerate(parts)}


def _curves(done: Campaign, members: Sequence[int]) -> np.ndarray:
    """(network, metric, bin) of training; NaN once a network has diverged, but for what says so."""
    values = np.stack([done.curves[name][members] for name in METRICS], axis=1)
    gone = np.repeat(done.curves["diverged"][members][:, None] > 0, len(METRICS), axis=1)
    gone[:, METRICS.index("diverged")] = False
    return np.where(gone, np.nan, values)


def _by_time(found: dict[str, np.ndarray], cell: Cell) -> np.ndarray:
    """(metric, time) of one network; NaN if it diverged."""
    empty = np.full(make_task(cell.config).length, np.nan)
    return np.stack([found.get(name, empty) for name in BY_TIME])


class _Parts:
    """Arrays of variants, by family, that are put together at the end."""

    def __init__(self, metrics: Sequence[str], axis: str) -> None:
        self.metrics, self.axis, self.steps = [*metrics], axis, {}
        self.arrays: dict[str, dict[str, np.ndarray]] = {}

    def add(self, cell: Cell, values: np.ndarray) -> None:
        """values (network, metric, bin or time)."""
        self.arrays.setdefault(cell.config.family, {})[cell.variant] = values.astype(np.float32)

    def states(self) -> measured.States:
        """(variant, network, metric, bin or time) by family, filled up with NaN."""
        found = {family: _filled([*parts.values()]) for family, parts in self.arrays.items()}
        variants = {family: [*parts] for family, parts in self.arrays.items()}
        steps = {family: self.steps.get(family, []) for family in found}
        attrs = {"variants": variants, "metrics": self.metrics, "steps": steps}
        return measured.States(found, ("variant", "network", "metric", self.axis), attrs)


def _filled(parts: Sequence[np.ndarray]) -> np.ndarray:
    longest = max(part.shape[-1] for part in parts)
    gap = [(0, 0)] * (parts[0].ndim - 1)
    return np.stack(
        [np.pad(part, [*gap, (0, longest - part.shape[-1])], constant_values=np.nan) for part in parts]
    )
