"""The five published analyses of one network, as one JSON document; and what two such documents differ in.

    found = analyse(load("gru_mtmf-00"), (2, 4), tasks=[Task("identity", 2)])
    save_analysis(found)                            # results/nback/analysis/gru_mtmf-00.json
    compare([found], [read_analysis("lstm_mtmf-00")])

A document has

    schema      "wm.nback.analysis/1"
    network, family, seed
    settings    decoders, trials, properties, tasks, source, target
    analyses    by number, "1" to "5": {"name": ..., and what `parts` of this module explains}
    numbers     name -> the few numbers of each analysis that networks are compared in
    seconds, environment

Matrices are lists of lists, null where there is no such space; axes are named beside them.
"""

from __future__ import annotations

__all__ = ["ANALYSES", "SCHEMA", "analyse", "compare", "folder", "read_analysis", "save_analysis"]

import time
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd

from ... import paths
from ...estimate import mean_interval
from ...files import DamagedFile, check_schema, read_json, write_json
from ...train import environment
from ..families import diet
from ..library import Trained
from ..material import Images
from ..task import FEATURES, Task
from .parts import ANALYSES, SETTINGS, Subject
from .spaces import TRIALS, analysis_images

SCHEMA = "wm.nback.analysis/1"
_KEYS = ("schema", "network", "family", "seed", "settings", "analyses", "numbers", "seconds", "environment")


def analyse(
    trained: Trained, which: Sequence[int] = tuple(ANALYSES), *, tasks: Sequence[Task] | None = None,
    properties: Sequence[str] | None = None, source: int | None = None, target: int | None = None,
    decoders: str = "ours", trials: int = TRIALS, pictures: Images | None = None,
) -> dict[str, Any]:  # fmt: skip
    """Analyses of one network, numbers of `ANALYSES`.

    tasks: by default all that it has learnt; properties: of `FEATURES`, by default what each task asks for in
    analyses 3 to 5, and all in 2. source, target: steps from and to which decoders are turned in 4, by
    default all. decoders: ours or standardised. trials: of each task. pictures: by default `analysis_images`.
    Raises ValueError for an unknown analysis, property, or decoders, and tasks that it has not learnt.
    """
    known = diet(trained.config)
    tasks = tuple(known if tasks is None else tasks)
    for wrong, told in (
        ([str(k) for k in which if k not in ANALYSES], f"analyses are {', '.join(map(str, ANALYSES))}"),
        ([task.name for task in tasks if task not in known], f"{trained.name} has learnt no such task"),
        ([name for name in properties or () if name not in FEATURES], f"choose {', '.join(FEATURES)}"),
        ([decoders] * (decoders not in SETTINGS), f"decoders are {', '.join(SETTINGS)}"),
    ):
        if wrong:
            raise ValueError(f"there is no {wrong[0]!r} to be analysed: {told}")
    begun = time.perf_counter()
    pictures = analysis_images(trained.config) if pictures is None else pictures
    subject = Subject(trained, pictures, tasks, properties and tuple(properties), (source, target),
                      decoders=decoders, trials=trials)  # fmt: skip
    done = {number: getattr(subject, ANALYSES[number])() for number in sorted(which)}
    settings = {"decoders": decoders, "trials": trials, "properties": properties and [*properties],
                "tasks": [task.name for task in tasks], "source": source, "target": target}  # fmt: skip
    return plain(
        {
            "schema": SCHEMA, "network": trained.name, "family": trained.config.family, "seed": trained.seed,
            "settings": settings,
            "analyses": {str(k): {"name": ANALYSES[k]} | found for k, (found, _) in done.items()},
            "numbers": {name: value for _, own in done.values() for name, value in own.items()},
            "seconds": round(time.perf_counter() - begun, 1), "environment": environment("cpu"),
        }
    )  # fmt: skip


def plain(found: Any) -> Any:
    """The same as JSON has it: arrays as lists, numbers with four digits, None for NaN."""
    if isinstance(found, dict):
        return {key: plain(value) for key, value in found.items()}
    if isinstance(found, list | tuple | np.ndarray):
        return [plain(each) for each in found]
    if isinstance(found, float | np.floating):
        return None if np.isnan(found) else round(float(found), 4) + 0.0
    return int(found) if isinstance(found, np.integer) else found


def folder() -> Path:
    """Where documents are saved."""
    return paths.results() / "nback" / "analysis"


def save_analysis(found: dict[str, Any], to: Path | None = None) -> Path:
    """Write a document to a folder (default: `folder()`), as <network>.json; return the path."""
    return write_json((to or folder()) / f"{found['network']}.json", found)


def read_analysis(which: str | Path) -> dict[str, Any]:
    """A document, of a file, or of a network that was saved to `folder()`.

    Raises `DamagedFile` if it is missing, cannot be read or lacks a part, `WrongSchema` for other versions.
    """
    path = Path(which) if str(which).endswith(".json") else folder() / f"{which}.json"
    again = f"make it again with wm nback analyze all --network {path.stem}"
    found = read_json(path, again=again)
    if not isinstance(found, dict) or (missing := [key for key in _KEYS if key not in found]):
        what = f"has no {missing[0]}" if isinstance(found, dict) else "is no analysis of a network"
        raise DamagedFile(path, what, again)
    check_schema(path, found["schema"], SCHEMA)
    return found


def compare(a: Sequence[dict[str, Any]], b: Sequence[dict[str, Any]]) -> pd.DataFrame:
    """Numbers of two sets of documents: index name, columns a, b (means), difference, low, high.

    difference: b - a, of seeds that both have if there are any; low, high: its 95 % t-interval over these,
    NaN for fewer than two of them. Numbers that only one has are left out. Raises ValueError for sets with
    different settings, or without a number in common.
    """
    if len({repr(each["settings"]) for each in (*a, *b)}) > 1:
        raise ValueError("these were analysed with different settings: analyse both in the same way")
    tables = [pd.DataFrame({each["seed"]: each["numbers"] for each in part}, dtype=float) for part in (a, b)]
    common = [name for name in tables[0].index if name in tables[1].index]
    if not common:
        raise ValueError("these have no analysis in common: run the same ones of both")
    rows = {}
    for name in common:
        own, other = (table.loc[name].dropna() for table in tables)
        paired = (other - own).dropna()
        interval = mean_interval(paired) if len(paired) > 1 else (np.nan, np.nan)
        means = own.mean(), other.mean()
        apart = paired.mean() if len(paired) else means[1] - means[0]
        rows[name] = [*means, apart, *interval]
    return pd.DataFrame.from_dict(rows, "index", columns=["a", "b", "difference", "low", "high"])
