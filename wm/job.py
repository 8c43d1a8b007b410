"""One run of a notebook: what goes in, and what became of it."""

__all__ = ["TIMEOUT_S", "Job", "Outcome", "resolve"]

import os
import shlex
import subprocess
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from wm import paths
from wm.index import Figure
from wm.lint import code_hash
from wm.parameters import to_text
from wm.workplace import Ending, Workplace, tree_hash

TIMEOUT_S = 600
_PLACES = ("root", "data", "data_npy", "data_json", "figures", "results", "notebooks")
_THREADS = ("OMP_NUM", "OPENBLAS_NUM", "MKL_NUM", "NUMEXPR_NUM", "VECLIB_MAXIMUM")


@dataclass(frozen=True)
class Job:
    """One run of one notebook: what, with which parameters, under which limits."""

    figure: Figure
    """Its entry in the index; one with an empty `system` stands for a notebook that is not there."""
    source: Path
    """The notebook."""
    parameters: dict[str, Any]
    """Every parameter with its value."""
    changed: dict[str, Any]
    """Those that differ from their default."""
    timeout_s: float = TIMEOUT_S
    """Limit for all cells together."""
    threads: int | None = None
    """Limit for numerical libraries in the kernel."""

    @property
    def mode(self) -> str:
        """`smoke`, `full` (no parameter differs from its default) or `custom`."""
        return "smoke" if self.parameters.get("smoke") is True else "custom" if self.changed else "full"

    @property
    def results(self) -> Path:
        """What `results()` is for the notebook."""
        return paths.results() / ("" if self.mode == "full" else self.mode)

    @property
    def place(self) -> Workplace:
        """Where it runs, and what it must put there."""
        figures = self.figure.figures
        outputs = [f"{figure}.png" for figure in figures] + ["claims.json"] * bool(self.figure.system)
        return Workplace(self.results / self.figure.number, outputs, [f"{figure}.pdf" for figure in figures])

    @property
    def command(self) -> str:
        """Shell command that runs it again."""
        target = self.figure.number if self.figure.system else str(self.source)
        settings = [f"--set={name}={to_text(value)}" for name, value in self.changed.items()]
        limit = [] if self.timeout_s == TIMEOUT_S else [f"--timeout={self.timeout_s:g}"]
        return shlex.join(["python", "-m", "wm.notebook", target, *settings, *limit])

    @property
    def record(self) -> dict[str, Any]:
        """What `WM_RUN` tells the notebook, and `done.json` repeats."""
        inputs = {f"notebooks/{self.source.name}": code_hash(self.source)}
        inputs |= {entry: tree_hash(resolve(entry)) for entry in self.figure.reads}
        about = {"notebook": self.source.name, "mode": self.mode, "commit": _commit()}
        return {**about, "parameters": self.parameters, "inputs": inputs}

    @property
    def env(self) -> dict[str, str]:
        """Environment of the kernel: absolute places, and the `wm` of this process wherever it starts."""
        places = {f"WM_{name.upper()}": str(getattr(paths, name)()) for name in _PLACES}
        places |= {"WM_RESULTS": str(self.results), "WM_RUN": str(self.place.folder / "run.json")}
        modules = [str(Path(__file__).parent.parent), os.environ.get("PYTHONPATH", "")]
        threads = {f"{name}_THREADS": str(self.threads) for name in _THREADS} if self.threads else {}
        return {**os.environ, **places, **threads, "PYTHONPATH": os.pathsep.join(filter(None, modules))}


@dataclass(frozen=True)
class Outcome(Ending):
    """What became of one run."""

    job: Job | None = None
    """What was run."""
    seconds: float = 0.0
    """How long it took."""
    published: tuple[str, ...] = ()
    """Files below `figures()` that changed."""

    @property
    def ok(self) -> bool:
        """Whether it succeeded."""
        return self.status == "ok"

    @property
    def folder(self) -> Path:
        """Where its files are."""
        return self.job.place.folder

    @property
    def rerun(self) -> str:
        """Shell command that runs it again."""
        return self.job.command

    def report(self) -> str:
        """One line; after a failure also cell, error, end of the log and the command to run it again."""
        head = f"{self.job.source.name}: {self.status} ({self.job.mode}, {self.seconds:.0f} s)"
        if self.ok:
            return head + "".join(f"\n  published {name}" for name in self.published)
        where = [f"cell {self.cell}: {self.line}"] if self.cell else []
        log = self.job.place.log
        tail = [f"| {line}" for line in log.read_text(encoding="utf-8", errors="replace").splitlines()[-8:]]
        return "\n  ".join([head, *where, self.error, f"log: {log}", *tail, f"run again: {self.rerun}"])


def resolve(entry: str) -> Path:
    """Where something that the index declares to be read is: `data/ring` in `data()`, and so on."""
    first, _, rest = entry.partition("/")
    return getattr(paths, first)() / rest if first in _PLACES else paths.root() / entry


def _commit() -> str | None:
    command = ["git", "-C", paths.root(), "describe", "--always", "--abbrev=40", "--exclude=*", "--dirty"]
    try:
        return subprocess.check_output(command, text=True, stderr=subprocess.DEVNULL).strip()
    except (OSError, subprocess.CalledProcessError):
        return None  # no git, or not a clone
