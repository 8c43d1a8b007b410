"""The folder a notebook runs in: one run at a time, and earlier outputs stay until the new ones are good."""

__all__ = ["Busy", "Ending", "Workplace", "tally", "tree_hash"]

import fcntl
import hashlib
import json
import os
import socket
from collections import Counter
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path

from wm.files import DamagedFile, read_json, sha256


class Busy(RuntimeError):
    """Another process runs the same notebook; the message says which, where and since when."""


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


class Workplace:
    """A folder and the `outputs` that a run has to put there (`optional` ones need not come)."""

    def __init__(self, folder: Path, outputs: Sequence[str], optional: Sequence[str] = ()):
        self.folder, self.outputs, self.optional = folder, outputs, optional
        self.aside = folder / ".earlier"
        self.draft = folder / ".draft.ipynb"
        self.log = folder / "log.txt"

    @contextmanager
    def locked(self) -> Iterator[None]:
        """Hold the folder. Raises `Busy` while another process does; a dead one holds nothing."""
        self.folder.mkdir(parents=True, exist_ok=True)
        with open(self.folder / ".lock", "a+", encoding="utf-8") as file:
            try:
                fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)  # the system frees it when its holder dies
            except BlockingIOError as error:
                file.seek(0)
                holder = file.read() or "a run that is just starting"
                raise Busy(f"{self.folder}: held by {holder}: wait for it, or stop it") from error
            file.truncate(0)
            since = datetime.now(UTC).isoformat(timespec="seconds")
            file.write(f"process {os.getpid()} on {socket.gethostname()} since {since}")
            file.flush()
            yield
            file.truncate(0)

    def clear(self) -> None:
        """Make room for a run: earlier outputs go aside, earlier verdicts go."""
        self.restore()  # what a killed run has left
        for name in ("done.json", "failed.json", "failed.ipynb"):
            (self.folder / name).unlink(missing_ok=True)
        self.aside.mkdir()
        for path in self._present():
            path.rename(self.aside / path.name)
        self.log.write_text("")

    def restore(self) -> None:
        """Undo a run: earlier outputs come back, the notebook as far as it ran becomes `failed.ipynb`."""
        if self.draft.exists():
            self.draft.replace(self.folder / "failed.ipynb")
        if self.aside.exists():
            for path in self._present():
                path.unlink()
            self._move_back()

    def keep(self, name: str) -> None:
        """Accept a run: its notebook gets its `name`, earlier outputs go."""
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

    def _move_back(self) -> None:
        for path in self.aside.iterdir():
            path.replace(self.folder / path.name)
        self.aside.rmdir()


def tally(path: Path) -> dict[str, int]:
    """How often each verdict stands in a claims file; empty for another file. Raises `DamagedFile`."""
    if path.name != "claims.json":
        return {}
    try:
        return dict(Counter(claim["verdict"].split(" (")[0] for claim in read_json(path)["claims"]))
    except (AttributeError, KeyError, TypeError) as error:
        raise DamagedFile(path, f"is not a claim sheet ({error!r})") from error


def tree_hash(place: Path) -> str:
    """sha256 over a file, or over names and contents of a folder's files (not notebooks, not hidden ones)."""
    if place.is_file():
        return sha256(place)
    files = {path.relative_to(place).as_posix(): path for path in sorted(place.rglob("*")) if path.is_file()}
    counted = [name for name in files if "/." not in f"/{name}" and not name.endswith((".ipynb", ".pyc"))]
    content = {name: sha256(files[name]) for name in counted}
    return hashlib.sha256(json.dumps(content).encode()).hexdigest()
