"""Result files of the plastic transformers: read, written, and summed up.

One JSON file holds one rule on one task, from several seeds (layout: Chaudhary 2025, its result logs):

    {config: {model, task, training}, runs: [{seed, history: [{...}, ...], final: {...}}, ...],
     aggregate: {num_runs, <key>_mean, <key>_std, ...}}

What is written here also has `schema`, `environment`, and `<key>_interval95` in `aggregate`. Published files
and those written here are read alike.
"""

from __future__ import annotations

__all__ = [
    "SCHEMA", "SUMMARY", "Result", "aggregate", "by_experiment", "experiment_of", "read_folder",
    "read_result", "summary", "write_result", "write_summary",
]  # fmt: skip

import itertools
import re
from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import Any

import numpy as np

from ..estimate import mean_interval
from ..files import DamagedFile, StoreError, WrongSchema, check_schema, read_json, write_json

SCHEMA = "wm.plastic.run/1"
SUMMARY = "summary.json"
_AGAIN = "run its experiment again, or take it out of the folder"
_MARKS = {"delay": "copying", "num_pairs": "cue_reward", "k_support": "few_shot_regression"}


@dataclass(frozen=True)
class Result:
    """One rule on one task from several seeds, as its file has it."""

    path: Path
    config: dict[str, Any]
    """model, task and training: name -> setting"""
    runs: list[dict[str, Any]]
    """of each seed: seed, history (one entry an epoch) and final (the last of them)"""

    @property
    def experiment(self) -> str:
        """copying, cue_reward, few_shot_regression or classification_<dataset>."""
        return experiment_of(self.config["task"])

    @property
    def rule(self) -> str:
        """none, hebbian, gradient or another."""
        return self.config["model"]["rule"]

    @cached_property
    def aggregate(self) -> dict[str, Any]:
        """`aggregate` of the final metrics."""
        return aggregate([run["final"] for run in self.runs])

    def finals(self, key: str) -> np.ndarray:
        """A final metric (run,); empty if it was not measured."""
        return np.array([run["final"][key] for run in self.runs if key in run["final"]], dtype=float)

    def history(self, key: str) -> np.ndarray:
        """A metric (run, epoch); (0, 0) unless every run has it, for as many epochs."""
        rows = [[entry.get(key) for entry in run["history"]] for run in self.runs]
        whole = len({len(row) for row in rows}) == 1 and all(_is_number(x) for row in rows for x in row)
        return np.array(rows, dtype=float) if whole else np.empty((0, 0))


def experiment_of(task: Mapping[str, Any]) -> str:
    """Name of the experiment with these task settings. Raises ValueError if no experiment has them."""
    images = task.get("train")
    if isinstance(images, Mapping) and re.fullmatch(r"[\w-]+", str(images.get("dataset"))):
        return f"classification_{images['dataset']}"
    for key, name in _MARKS.items():
        if key in task:
            return name
    known = ", ".join([*_MARKS, "train.dataset"])
    given = ", ".join(task) or "nothing"
    raise ValueError(f"config.task sets {given}: known experiments set one of {known}")


def aggregate(finals: Sequence[Mapping[str, Any]]) -> dict[str, Any]:
    """Final metrics of several runs, for every number in them: mean, std (population), 95 % t-interval.

    The interval is None for a single run. Raises ValueError if there is no run, or a number is not finite or
    not in all of them.
    """
    if not finals:
        raise ValueError("there are no runs to sum up")
    found: dict[str, Any] = {"num_runs": len(finals)}
    keys = [[key for key, value in final.items() if _is_number(value)] for final in finals]
    if odd := {*itertools.chain(*keys)} - set.intersection(*map(set, keys)):
        raise ValueError(f"{min(odd)} is a number in some runs and not in others")
    for key in keys[0]:
        several, values = len(finals) > 1, np.array([final[key] for final in finals], dtype=float)
        if not np.isfinite(values).all():
            raise ValueError(f"{key} is not finite in run {np.isfinite(values).argmin()}")
        found[f"{key}_mean"], found[f"{key}_std"] = float(values.mean()), float(values.std())
        found[f"{key}_interval95"] = [float(end) for end in mean_interval(values)] if several else None
    return found


def write_result(
    path: str | Path,
    config: Mapping[str, Any],
    runs: Sequence[Mapping[str, Any]],
    environment: Mapping[str, Any],
) -> Path:
    """Write a result file; return its path.

    config: `model` (with `rule`), `task`, `training`; runs: `seed` and `history` of each. Raises ValueError
    for a task of no experiment, a run without history, or a number that is not finite, and `CannotWrite`.
    """
    experiment_of(config["task"])
    if empty := [run["seed"] for run in runs if not run["history"]]:
        raise ValueError(f"the run of seed {empty[0]} has no history: train for at least one epoch")
    whole = [{"seed": run["seed"], "history": run["history"], "final": run["history"][-1]} for run in runs]
    summed = aggregate([run["final"] for run in whole])
    content = {"schema": SCHEMA, "config": config, "runs": whole, "aggregate": summed}
    return write_json(path, content | {"environment": environment})


def read_result(path: str | Path) -> Result:
    """Read a result file, published or written here.

    Raises `DamagedFile` if it is cut or its aggregate does not follow from its runs, `WrongSchema` if it is
    something else.
    """
    content = read_json(path, again=_AGAIN)
    try:
        return _checked(Path(path), content)
    except ValueError as error:
        raise WrongSchema(path, f"is no result file ({error})", _AGAIN) from error


def read_folder(folder: str | Path) -> tuple[list[Result], list[StoreError]]:
    """Every result file of a folder, sorted by name, and why others could not be read.

    A summary is left out. Raises `DamagedFile` if the folder is missing or holds no other JSON file.
    """
    folder = Path(folder)
    paths = sorted(path for path in folder.glob("*.json") if path.name != SUMMARY)
    if not paths:
        within = sorted({path.parent.name for path in folder.glob("*/*.json")})
        what = "holds no result files" if folder.is_dir() else "is no folder"
        remedy = f"name one of its folders: {', '.join(within)}" if within else "run an experiment first"
        raise DamagedFile(folder, what, remedy)
    results, failures = [], []
    for path in paths:
        try:
            results.append(read_result(path))
        except StoreError as error:
            failures.append(error)
    return results, failures


def by_experiment(results: Iterable[Result]) -> dict[str, dict[str, Result]]:
    """Results as {experiment: {row: result}}, both in order of the alphabet.

    A row is the name of the rule, and where files share a rule (other settings), that of the file too.
    """
    results = sorted(results, key=lambda each: (each.experiment, each.rule, each.path.name))
    times = Counter((each.experiment, each.rule) for each in results)
    found: dict[str, dict[str, Result]] = {}
    for each in results:
        alone = times[each.experiment, each.rule] == 1
        row = each.rule if alone else f"{each.rule} ({each.path.stem})"
        found.setdefault(each.experiment, {})[row] = each
    return found


def summary(results: Iterable[Result]) -> dict[str, Any]:
    """{experiment: {row: dataset, aggregate, configurations and source file}}, rows as in `by_experiment`."""
    return {
        experiment: {row: _entry(each) for row, each in rows.items()}
        for experiment, rows in by_experiment(results).items()
    }


def write_summary(path: str | Path, results: Iterable[Result]) -> Path:
    """Write the `summary` of results; return its path. Raises `CannotWrite`."""
    return write_json(path, summary(results))


def _entry(result: Result) -> dict[str, Any]:
    images = result.config["task"].get("train")
    return {
        "dataset": images["dataset"] if isinstance(images, Mapping) else None,
        "aggregate": result.aggregate,
        "model_config": result.config["model"],
        "task_config": result.config["task"],
        "training_config": result.config["training"],
        "source_file": result.path.name,
    }


def _checked(path: Path, content: Any) -> Result:
    """The result in a file's content; ValueError says what it lacks."""
    _need(content, dict, "the file")
    if "schema" in content:
        check_schema(path, content["schema"], SCHEMA)
    for key, kind in {"config": dict, "runs": list, "aggregate": dict}.items():
        _need(content.get(key), kind, key)
    for key in ("model", "task", "training"):
        _need(content["config"].get(key), dict, f"config.{key}")
    _need(content["config"]["model"].get("rule"), str, "config.model.rule")
    experiment_of(content["config"]["task"])
    for number, run in enumerate(content["runs"]):
        _check_run(run, f"runs[{number}]")
    result = Result(path, content["config"], content["runs"])
    _check_aggregate(result, content["aggregate"])
    return result


def _check_run(run: Any, where: str) -> None:
    _need(run, dict, where)
    for key, kind in {"seed": int, "history": list, "final": dict}.items():
        _need(run.get(key), kind, f"{where}.{key}")
    for number, entry in enumerate(run["history"]):
        _need(entry, dict, f"{where}.history[{number}]")


def _check_aggregate(result: Result, saved: Mapping[str, Any]) -> None:
    for key, value in result.aggregate.items():
        if key.endswith("_interval95"):
            continue
        if not _is_number(saved.get(key)) or not np.isclose(saved[key], value, rtol=1e-6, atol=1e-12):
            what = f"its aggregate says {key} {saved.get(key)}, its runs give {value:.6g}"
            raise DamagedFile(result.path, what, _AGAIN)


def _need(value: Any, kind: type, where: str) -> None:
    names = {dict: "an object", list: "a list", str: "a string", int: "a whole number"}
    if not isinstance(value, kind) or isinstance(value, bool):
        raise ValueError(f"{where} is {'missing' if value is None else f'not {names[kind]}'}")


def _is_number(value: Any) -> bool:
    return isinstance(value, int | float) and not isinstance(value, bool)
