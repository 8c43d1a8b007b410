"""Tables of result files: one for each experiment, as CSV, Markdown and LaTeX.

A row is a rule; a metric has its mean and population standard deviation over runs, as published tables have
(`m ± s`), and the 95 % t-interval of the mean beside it.
"""

from __future__ import annotations

__all__ = ["METRICS", "latex", "markdown", "metrics_of", "row_label", "table", "write_tables"]

from collections.abc import Iterable, Iterator, Mapping
from pathlib import Path

import pandas as pd

from ..files import write_atomic, write_table
from .results import Result, by_experiment

METRICS = {
    "copying": {
        "loss": "Loss", "recall_accuracy": "Accuracy, blanks counted", "true_recall": "Recall accuracy",
    },
    "cue_reward": {"loss": "Validation loss", "query_loss": "Query loss"},
    "few_shot_regression": {"loss": "Validation MSE", "query_loss": "Query MSE"},
    "classification": {"loss": "Loss", "accuracy": "Accuracy"},
}  # fmt: skip
"""experiment -> metric -> title; blanks counted: over the second half of the sequence, as published"""
_FILES = {"few_shot_regression": "regression"}
_MISSING = "–"
_NOTE = "Mean ± population standard deviation over runs, and the 95 % t-interval of the mean."
_ESCAPES = {"\\": r"\textbackslash{}", "~": r"\textasciitilde{}", "^": r"\textasciicircum{}"} | {
    character: f"\\{character}" for character in "&%$#_{}"
} | {"±": r"$\pm$", "–": "--"}


def metrics_of(experiment: str) -> dict[str, str]:
    """Metric -> title, of an experiment."""
    return METRICS["classification" if experiment.startswith("classification_") else experiment]


def row_label(row: str) -> str:
    """`Hebbian` for the row `hebbian`."""
    return row[:1].upper() + row[1:]


def table(experiment: str, rows: Mapping[str, Result]) -> pd.DataFrame:
    """One experiment (see `by_experiment`): `rule`, `runs`, `_mean`, `_std`, `_low`, `_high` of each metric.

    A metric that no row has is left out; ends of intervals are NaN for a single run.
    """
    known = {f"{key}_mean" for each in rows.values() for key in each.runs[0]["final"]}
    metrics = [key for key in metrics_of(experiment) if f"{key}_mean" in known]
    return pd.DataFrame([_row(row, result, metrics) for row, result in rows.items()])


def markdown(experiment: str, frame: pd.DataFrame) -> str:
    """The table of an experiment in Markdown, numbers with three decimals."""
    header, *rows = _cells(experiment, frame)
    rule = ["---", *["---:"] * (len(header) - 1)]
    lines = "".join(f"| {' | '.join(cells)} |\n" for cells in (header, rule, *rows))
    return f"{lines}\n{_NOTE}\n"


def latex(experiment: str, frame: pd.DataFrame) -> str:
    """The table of an experiment as a LaTeX `tabular` (package booktabs), numbers with three decimals."""
    header, *rows = ([_escaped(cell) for cell in cells] for cells in _cells(experiment, frame))
    begin = rf"\begin{{tabular}}{{l{'c' * (len(header) - 1)}}}"
    head = [f"% {_escaped(_NOTE)}", begin, r"\toprule", _line(header), r"\midrule"]
    return "\n".join([*head, *map(_line, rows), r"\bottomrule", r"\end{tabular}", ""])


def write_tables(folder: str | Path, results: Iterable[Result]) -> list[Path]:
    """Write `<experiment>.csv`, `.md` and `.tex` for each experiment; return their paths.

    Files have published names: few-shot regression is `regression`. Raises `CannotWrite`.
    """
    written = []
    for experiment, rows in by_experiment(results).items():
        frame, path = table(experiment, rows), Path(folder) / _FILES.get(experiment, experiment)
        written.append(write_table(path.with_suffix(".csv"), frame))
        for suffix, text in {".md": markdown, ".tex": latex}.items():
            written.append(write_atomic(path.with_suffix(suffix), text(experiment, frame).encode()))
    return written


def _row(row: str, result: Result, metrics: Iterable[str]) -> dict[str, object]:
    summed, found = result.aggregate, {"rule": row, "runs": result.aggregate["num_runs"]}
    for key in metrics:
        low, high = summed.get(f"{key}_interval95") or (None, None)
        found |= {f"{key}_{part}": summed.get(f"{key}_{part}") for part in ("mean", "std")}
        found |= {f"{key}_low": low, f"{key}_high": high}
    return found


def _cells(experiment: str, frame: pd.DataFrame) -> Iterator[list[str]]:
    """Header and rows as text."""
    metrics = {key: title for key, title in metrics_of(experiment).items() if f"{key}_mean" in frame}
    yield ["Rule", "Runs", *(text for title in metrics.values() for text in (title, "95 % interval"))]
    for row in frame.to_dict("records"):
        cells = [row_label(row["rule"]), str(row["runs"])]
        for key in metrics:
            mean, std, low, high = (row[f"{key}_{part}"] for part in ("mean", "std", "low", "high"))
            spread = f" ± {std:.3f}" * (row["runs"] > 1)
            cells.append(_MISSING if pd.isna(mean) else f"{mean:.3f}{spread}")
            cells.append(_MISSING if pd.isna(low) else f"{low:.3f} to {high:.3f}")
        yield cells


def _escaped(text: str) -> str:
    return "".join(_ESCAPES.get(character, character) for character in text)


def _line(cells: Iterable[str]) -> str:
    return " & ".join(cells) + r" \\"
