"""`wm plastic COMMAND`: what the published scripts do (Chaudhary 2025).

Train on a task with `run`, and sum up a folder of result files with `aggregate`, `tables` and `plot`.
"""

from __future__ import annotations

__all__ = ["COMMANDS", "Aggregate", "Plot", "Tables"]

import sys
from abc import abstractmethod
from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path
from typing import Annotated

from tyro.conf import Positional, arg

from ..arguments import UsageError, say
from .fewshot.commands import Download, RunClassification
from .results import SUMMARY, Result, read_folder, write_summary
from .run_commands import RunCopying, RunCueReward, RunRegression


@dataclass(frozen=True)
class _OfFolder:
    """What is made of a folder of result files."""

    folder: Annotated[Positional[str], arg(metavar="FOLDER", help_behavior_hint="")] = ""
    """folder of result files, published ones or those of `wm plastic run`"""
    output: Annotated[Path | None, arg(metavar="DIR", help_behavior_hint="")] = None
    """where to write"""

    def run(self) -> int:
        """Do it with every file that can be read, and tell of the others; 1 if there are any."""
        if not self.folder:
            raise UsageError("name a folder of result files")
        results, failures = read_folder(self.folder)
        for path in self.write(results) if results else ():
            say(f"wrote {path}")
        for failure in failures:
            sys.stderr.write(f"wm: {failure}\n")
        return 1 if failures else 0

    @abstractmethod
    def write(self, results: list[Result]) -> Iterable[Path]:
        """Write files, and return their paths."""


@dataclass(frozen=True)
class Aggregate(_OfFolder):
    """Sum up a folder of result files in summary.json: means, deviations and intervals over seeds.

    Example: wm plastic aggregate experiments/results
    """

    def write(self, results: list[Result]) -> Iterable[Path]:
        """Write `summary.json`, by default into the folder itself."""
        return [write_summary((self.output or Path(self.folder)) / SUMMARY, results)]


@dataclass(frozen=True)
class Tables(_OfFolder):
    """Write a table of every experiment as CSV, Markdown and LaTeX, by default into FOLDER/tables.

    Example: wm plastic tables experiments/results
    """

    def write(self, results: list[Result]) -> Iterable[Path]:
        """Write the tables, by default into `tables` in the folder."""
        from .tables import write_tables

        return write_tables(self.output or Path(self.folder) / "tables", results)


@dataclass(frozen=True)
class Plot(_OfFolder):
    """Draw performance, and rates and fast weights in training, by default into FOLDER/figures.

    Example: wm plastic plot experiments/results
    """

    def write(self, results: list[Result]) -> Iterable[Path]:
        """Write the figures, by default into `figures` in the folder."""
        from .run_plots import save_figures

        return save_figures(self.output or Path(self.folder) / "figures", results)


COMMANDS = {
    "run copying": RunCopying, "run cue-reward": RunCueReward, "run regression": RunRegression,
    "run classification": RunClassification, "download": Download, "aggregate": Aggregate, "tables": Tables,
    "plot": Plot,
}  # fmt: skip
