"""Sweeps over interpolated solutions: error against structural and functional amplitude ratio (Fig 4).

Each sweep is a grid of settings, with the same seeds at every point: networks of one seed see the same
batches and noise wherever they stand on the grid. All points of a seed are trained at once, as one ensemble
(times: docs/ring.md)::

    from wm.ring import sweep
    sweep.run_sweep("rt_sa", ["0", "1"], folder=Path("results/sweeps"), device="cuda")
    sweep.collect("rt_sa", Path("results/sweeps"))       # data_json/ring/sweep_rt_sa.csv and .json

Source: Zahorodnii et al. 2025, bioRxiv 2025.03.17.643652, figure 4.
"""

from __future__ import annotations

__all__ = ["SWEEPS", "Sweep", "collect", "run_seed", "run_sweep", "settings", "table"]

import time
from collections import deque
from collections.abc import Sequence
from dataclasses import asdict, dataclass, field
from itertools import product
from pathlib import Path

import numpy as np
import pandas as pd
import torch

from .. import paths, store
from ..files import sha256
from ..train import environment, run
from .campaign import evaluated
from .connectivity import factors
from .construction import untrained
from .evaluate import EVALUATED_DIRECTIONS, in_blocks
from .families import RingConfig, config
from .fused import supported
from .learner import RingLearner
from .library import Ensemble
from .tuning import PRESETS, record, ring_units

_SCALES = tuple(round(1 + 0.05 * k, 2) for k in range(21)) + tuple(2.25 + 0.25 * k for k in range(8))
_SHUFFLES = (*range(0, 100, 10), *range(100, 165, 5))
DIGITS = 4
"""of numbers in the tables"""


@dataclass(frozen=True)
class Sweep:
    """A grid of settings of one family: every value of `axis` with every recurrent scale."""

    family: str
    axis: str
    values: tuple[float, ...]
    scales: tuple[float, ...]
    settings: dict[str, float] = field(default_factory=dict)

    def points(self) -> list[RingConfig]:
        """Configuration of every point, scale fastest."""
        return [
            config(self.family, **{self.axis: value, "scale": scale}, **self.settings)
            for value, scale in product(self.values, self.scales)
        ]


SWEEPS = {
    "rt_sa": Sweep("rt_sa", "shuffle_deg", _SHUFFLES, _SCALES, {"learning_rate": 1e-4}),
    "it_sa": Sweep(
        "it_sa", "stable_proportion", (*(round(0.62 + 0.02 * k, 2) for k in range(18)), 1.0), _SCALES
    ),
    "rt_sa_sharp": Sweep(
        "rt_sa", "shuffle_deg", tuple(range(0, 170, 10)), tuple(1 + 0.25 * k for k in range(17)),
        {"exponent": 10, "updates": 2000, "learning_rate": 1e-3},
    ),
}  # fmt: skip
"""the published grids; `rt_sa_sharp` has the narrow kernel, of exponent 10"""


def run_seed(
    name: str, seed: str, *, device: str = "cpu", updates: int | None = None, thin: int = 1
) -> pd.DataFrame:
    """Train and measure every point of a sweep with one seed; a row a network.

    updates: in place of the published number; thin: every so many-th value of both axes (1: all of them).
    Columns: the axis, scale, seed, error_deg, error_no_distractor_deg (900 trials each), structural and
    functional ratio (`template` recording), loss of the last batch.
    """
    sweep = SWEEPS[name]
    points = [
        point for point in sweep.points()
        if getattr(point, sweep.axis) in sweep.values[::thin] and point.scale in sweep.scales[::thin]
    ]  # fmt: skip
    seeds = [seed] * len(points)
    start = untrained(points, seeds)
    learner = RingLearner(points[0], seeds, device=device, start=start, monitor=False)
    updates = points[0].updates if updates is None else updates
    training = run(learner, updates, description=f"{name}, seed {seed}")
    last = deque(training, maxlen=1).pop()
    rows = pd.DataFrame({key: [getattr(point, key) for point in points] for key in (sweep.axis, "scale")})
    rows["seed"] = seed
    rows[list(_MEASURED)] = _measured(learner, seeds)
    return rows.assign(loss=last.values["loss"])


_MEASURED = ("error_deg", "error_no_distractor_deg", "structural", "functional")


@torch.no_grad()
def _measured(learner: RingLearner, seeds: Sequence[str]) -> np.ndarray:
    """Errors and factors of every network, (network, 4)."""
    parts = []
    for some in in_blocks(len(seeds), EVALUATED_DIRECTIONS**2, learner.device):
        parameters = {key: value.detach()[some] for key, value in learner.parameters.items()}
        fixed = learner.fixed.select(some)
        names = [f"{learner.config.family}-{seed}" for seed in seeds[some]]
        ensemble = Ensemble(learner.config, names, list(seeds[some]), parameters, fixed, [])
        columns = [found.error_deg for (found,) in evaluated(ensemble, device=str(learner.device)).values()]
        recording = record(ensemble, **PRESETS["template"])
        columns += factors(ensemble, recording, ring_units(recording, "template"))
        parts.append(np.stack(columns, axis=1))
    return np.concatenate(parts)


def run_sweep(
    name: str, seeds: Sequence[str], *, folder: Path, device: str = "cpu", updates: int | None = None,
    thin: int = 1,
) -> list[Path]:  # fmt: skip
    """Run the seeds that `folder` lacks, each into a table of its own with a record beside it.

    An interrupted sweep goes on with the seeds that are missing. Returns the tables made now; `collect` joins
    all of them. Raises what `wm.train.run` raises, and ValueError if a seed is there with other settings.
    """
    made, used = [], _settings(name, updates=updates, thin=thin)
    for seed in seeds:
        path = folder / f"{name}-{seed}.csv"
        if path.with_suffix(".json").is_file():
            if store.read_json(path.with_suffix(".json"))["settings"] != used:
                raise ValueError(f"{path} was made with other settings: choose another folder")
            continue
        begun = time.perf_counter()
        rows = run_seed(name, seed, device=device, updates=updates, thin=thin)
        store.write_table(path, rows, digits=DIGITS)
        effort = {"networks": len(rows), "seconds": round(time.perf_counter() - begun, 1)}
        effort["engine"] = "fused" if supported(SWEEPS[name].points()[0], torch.device(device)) else "eager"
        record = {"sweep": name, "seed": seed, "settings": used} | effort | environment(device)
        store.write_json(path.with_suffix(".json"), record)  # last: without it the seed is not done
        made.append(path)
    return made


def _settings(name: str, *, updates: int | None = None, thin: int = 1) -> dict:
    """What all networks of a sweep share, as `run_seed` is called."""
    shared = asdict(SWEEPS[name].points()[0])
    shared = {key: value for key, value in shared.items() if key not in (SWEEPS[name].axis, "scale")}
    return shared | ({} if updates is None else {"updates": updates}) | ({} if thin == 1 else {"thin": thin})


def collect(name: str, folder: Path) -> pd.DataFrame:
    """Join the seeds that `run_sweep` left in `folder` to the shipped table, with the record of all of them.

    The table has all columns but the loss. Raises ValueError if there are none, or if two were made with
    different settings.
    """
    records = [store.read_json(path) for path in sorted(folder.glob(f"{name}-*.json"))]
    if not records:
        raise ValueError(f"{folder} holds no seed of the sweep {name}: make some with `run_sweep`")
    if any(record["settings"] != records[0]["settings"] for record in records):
        raise ValueError(f"{folder}: seeds of the sweep {name} have different settings: collect them apart")
    rows = pd.concat([store.read_table(folder / f"{name}-{record['seed']}.csv") for record in records])
    rows = rows.drop(columns="loss").sort_values(["seed", SWEEPS[name].axis, "scale"], ignore_index=True)
    store.write_table(_path(name), rows, digits=DIGITS)
    _write_record(name, records[0]["settings"], records)
    return rows


def _write_record(name: str, settings: dict, runs: Sequence[dict]) -> None:
    """Write what made the table that is there, of which it keeps the hash."""
    table = _path(name)
    about = {"sweep": name, "files": {f"data_json/ring/{table.name}": sha256(table)}, "settings": settings}
    runs = [{key: value for key, value in run.items() if key not in about} for run in runs]
    store.write_json(table.with_suffix(".json"), about | {"runs": runs})


def _path(name: str) -> Path:
    if name not in SWEEPS:
        raise ValueError(f"unknown sweep {name!r}: one of {', '.join(SWEEPS)}")
    return paths.data_json() / "ring" / f"sweep_{name}.csv"


def table(name: str) -> pd.DataFrame:
    """The shipped table of a sweep, a row a network: see `run_seed` and `collect`.

    Raises ValueError for an unknown sweep, `wm.store.DamagedFile` if the table is missing.
    """
    return store.read_table(_path(name))


def settings(name: str) -> dict:
    """What all networks of the shipped table share, such as `updates`: see `wm.ring.RingConfig`.

    Raises as `table` does.
    """
    return store.read_json(_path(name).with_suffix(".json"))["settings"]
