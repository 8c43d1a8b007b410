"""One run of a notebook: what goes in, the folder it runs in, and what became of it.

A folder holds one run at a time, and earlier outputs stay until the new ones are good.
"""

__all__ = [
    "TIMEOUT_S", "Busy", "Ending", "Job", "NotPublishable", "Outcome", "RunFolder", "finished", "resolve",
    "tally",
]  # fmt: skip

import fcntl
import os
import shlex
import socket
import sys
from collections import Counter
from collections.abc import Iterator, Sequence
from contextlib import AbstractContextManager, ExitStack, contextmanager
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from wm import paths
from wm.files import DamagedFile, StoreError, read_json, sha256, writing
from wm.index import Figure
from wm.lint import code_hash
from wm.manifest import tree_hash
from wm.origin import origin
from wm.parameters import to_text

TIMEOUT_S = 600
_PLACES = ("root", "data", "data_npy", "data_json", "figures", "results", "notebooks")
_THREADS = ("OMP_NUM", "OPENBLAS_NUM", "MKL_NUM", "NUMEXPR_NUM", "VECLIB_MAXIMUM")


class Busy(RuntimeError):
    """Another process runs the same notebook; the message says which, where and since when."""


class NotPublishable(StoreError):
    """The folder holds no finished run of the kind asked for, or not as that run left it."""


@dataclass(frozen=True)
class Ending:
    """How the execution of a notebook ended."""

    status: str
    """`ok`; `error`, `incomplete`, `killed`, `timeout`, `no kernel`; `missing input`; `missing output`,
    `stale output`, `empty output`, `damaged output`."""
    error: str = ""
    """What went wrong, in a line."""
    cell: int | None = None
    """Where: number of the cell in the notebook, markdown cells counted, from 1."""
    line: str = ""
    """First line of that cell."""


class RunFolder:
    """A folder and the `outputs` that a run has to put there (`optional` ones need not come)."""

    def __init__(self, folder: Path, outputs: Sequence[str], optional: Sequence[str] = ()):
        self.folder, self.outputs, self.optional = folder, outputs, optional
        self.aside = folder / ".earlier"
        self.draft = folder / ".draft.ipynb"
        self.log = folder / "log.txt"

    @contextmanager
    def locked(self) -> Iterator[None]:
        """Hold the folder. Raises `Busy` while another process does; a dead one holds nothing."""
        with ExitStack() as stack:
            with self._writing():
                self.folder.mkdir(parents=True, exist_ok=True)
                file = stack.enter_context(open(self.folder / ".lock", "a+", encoding="utf-8"))
            try:
                fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)  # the system frees it when its holder dies
            except BlockingIOError as error:
                file.seek(0)
                holder = file.read() or "a run that is just starting"
                raise Busy(f"{self.folder}: held by {holder}: wait for it, or stop it") from error
            with self._writing():
                file.truncate(0)
                since = datetime.now(UTC).isoformat(timespec="seconds")
                file.write(f"process {os.getpid()} on {socket.gethostname()} since {since}")
                file.flush()
            yield
            file.truncate(0)

    def clear(self) -> None:
        """Make room for a run: earlier outputs go aside, earlier verdicts go. Raises `CannotWrite`."""
        self.restore()  # what a killed run has left
        with self._writing():
            for name in ("done.json", "failed.json", "failed.ipynb"):
                (self.folder / name).unlink(missing_ok=True)
            self.aside.mkdir()
            for path in self._present():
                path.rename(self.aside / path.name)
            self.log.write_text("")

    def restore(self) -> None:
        """Undo a run: earlier outputs come back, the notebook as far as it ran becomes `failed.ipynb`."""
        with self._writing():
            if self.draft.exists():
                self.draft.replace(self.folder / "failed.ipynb")
            if self.aside.exists():
                for path in self._present():
                    path.unlink()
                for path in self.aside.iterdir():
                    path.replace(self.folder / path.name)
                self.aside.rmdir()

    def keep(self, name: str) -> None:
        """Accept a run: its notebook gets its `name`, earlier outputs go."""
        with self._writing():
            self.draft.replace(self.folder / name)
            for path in self.aside.iterdir():
                path.unlink()
            self.aside.rmdir()

    def judge(self, start_ns: int) -> Ending:
        """Whether every output is there, not empty, readable, and written since `start_ns` (disk time)."""
        problems = {name: self._problem(self.folder / name, start_ns) for name in self.outputs}
        problems = {name: problem for name, problem in problems.items() if problem}
        if not problems:
            return Ending("ok")
        listed = ", ".join(f"{name} is {problem}" for name, problem in problems.items())
        return Ending(f"{next(iter(problems.values()))} output", f"declared outputs: {listed}")

    def _problem(self, path: Path, start_ns: int) -> str:
        if not path.exists():
            return "stale" if (self.aside / path.name).exists() else "missing"
        if path.stat().st_mtime_ns < start_ns:
            return "stale"
        if not path.stat().st_size:
            return "empty"
        try:
            tally(path)
        except DamagedFile:
            return "damaged"
        return ""

    def _present(self) -> list[Path]:
        return [path for name in (*self.outputs, *self.optional) if (path := self.folder / name).exists()]

    def _writing(self) -> AbstractContextManager[None]:
        return writing(self.folder, remedy="make room, or choose another place with WM_RESULTS=FOLDER")


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
    def place(self) -> RunFolder:
        """Where it runs, and what it must put there."""
        figures = self.figure.figures
        outputs = [f"{figure}.png" for figure in figures] + ["claims.json"] * bool(self.figure.system)
        return RunFolder(self.results / self.figure.number, outputs, [f"{figure}.pdf" for figure in figures])

    @property
    def command(self) -> str:
        """Shell command that runs it again."""
        standard = self.timeout_s == TIMEOUT_S and self.changed in ({}, {"smoke": True})
        if self.figure.system and standard:
            return f"./run_all.sh {self.figure.number}" + " --smoke" * bool(self.changed)
        target = self.figure.number if self.figure.system else str(self.source)
        settings = [f"--set={name}={to_text(value)}" for name, value in self.changed.items()]
        limit = [] if self.timeout_s == TIMEOUT_S else [f"--timeout={self.timeout_s:g}"]
        return shlex.join([sys.executable, "-m", "wm.notebook", target, *settings, *limit])

    @property
    def record(self) -> dict[str, Any]:
        """What `WM_RUN` tells the notebook, and `done.json` repeats."""
        inputs = {f"notebooks/{self.source.name}": code_hash(self.source)}
        inputs |= {entry: tree_hash(resolve(entry)) for entry in self.figure.reads}
        about = {"notebook": self.source.name, "mode": self.mode, **origin()}
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
            there = "" if self.job.mode == "full" else f": {_from_here(self.folder)}/"
            return head + there + "".join(f"\n  published {name}" for name in self.published)
        where = [f"cell {self.cell}: {self.line}"] if self.cell else []
        log = self.job.place.log
        tail = [f"| {line}" for line in log.read_text(encoding="utf-8", errors="replace").splitlines()[-8:]]
        return "\n  ".join([head, *where, self.error, f"log: {log}", *tail, f"run again: {self.rerun}"])


def finished(folder: Path, mode: str) -> dict[str, Any]:
    """Record of the finished run (`full`, `smoke`) of a figure's folder.

    Raises `NotPublishable` if there is none, if it is of another mode or an output is not as it left it;
    `DamagedFile`.
    """
    path, again = folder / "done.json", f"run ./run_all.sh {folder.name}" + " --smoke" * (mode == "smoke")
    if not path.is_file():
        raise NotPublishable(path, "not drawn yet", again)
    record = read_json(path, again=again)
    match record:
        case {"mode": str(found), "seconds": int() | float(), "outputs": dict(outputs), "claims": dict()}:
            spoilt = [name for name, digest in outputs.items() if _hash(folder / name) != digest]
        case _:
            raise NotPublishable(path, "is not the record of a run", again)
    if found != mode:
        raise NotPublishable(path, f"is of a {found} run", again)
    if spoilt:
        raise NotPublishable(path, f"no longer as drawn: {', '.join(spoilt)}", again)
    return record


def _from_here(path: Path) -> Path:
    return path.relative_to(Path.cwd()) if path.is_relative_to(Path.cwd()) else path


def _hash(path: Path) -> str | None:
    return sha256(path) if path.is_file() else None


def tally(path: Path) -> dict[str, int]:
    """How often each verdict stands in a claims file; empty for another file. Raises `DamagedFile`."""
    if path.name != "claims.json":
        return {}
    try:
        return dict(Counter(claim["verdict"].split(" (")[0] for claim in read_json(path)["claims"]))
    except (AttributeError, KeyError, TypeError) as error:
        raise DamagedFile(path, f"is not a claim sheet ({error!r})") from error


def resolve(entry: str) -> Path:
    """Where something that the index declares to be read is: `data/ring` in `data()`, and so on."""
    first, _, rest = entry.partition("/")
    return getattr(paths, first)() / rest if first in _PLACES else paths.root() / entry
