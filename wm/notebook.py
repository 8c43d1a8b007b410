"""Strict execution of notebooks: `python -m wm.notebook 13 --set smoke=true --timeout 600`.

Unknown and ill-typed parameters are refused before a kernel starts. The notebook runs in `results()/<NN>/`
(smoke runs in `results()/smoke/<NN>/`, runs with other parameters in `results()/custom/<NN>/`). It has
succeeded if every code cell ran and every declared output is there and new; only then is `done.json` written,
and only a full run publishes to `figures()`. After a failure the outputs of the earlier run are back in place
and `failed.json` says what happened, where, and how to run it again.

Exit codes: 0 done; 1 failed; 2 bad parameters, index or notebook; 3 held by another run; 5 cannot write;
128 + n stopped by signal n.
"""

__all__ = [
    "BadParameters", "Busy", "Figure", "NotPublishable", "Outcome", "WrongIndex", "check_parameters",
    "code_hash", "lint", "main", "publish", "read_index", "run",
]  # fmt: skip

import argparse
import signal
import sys
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import asdict, replace
from pathlib import Path
from time import monotonic
from typing import Any

from wm import paths
from wm.files import CannotWrite, DamagedFile, read_json, sha256, write_atomic, write_json
from wm.index import Figure, WrongIndex, read_index
from wm.lint import code_hash, lint
from wm.parameters import BadParameters, check_parameters, read_parameters
from wm.run_folder import (
    TIMEOUT_S,
    Busy,
    Ending,
    Job,
    NotPublishable,
    Outcome,
    RunFolder,
    finished,
    resolve,
    tally,
)  # fmt: skip


def run(
    number_or_path: str | int | Path, parameters: Mapping[str, Any] | None = None, *,
    timeout_s: float = TIMEOUT_S, threads: int | None = None, text: bool = False,
) -> Outcome:  # fmt: skip
    """Run a notebook of the index, or another one by its path (no declared outputs, never published).

    `timeout_s` limits all cells together, `threads` the numerical libraries in the kernel; with `text`, given
    values are strings as typed in a shell. A failure is an `Outcome`, not an exception. Raises
    `BadParameters`, `WrongIndex`, `DamagedFile` (not a notebook), `Busy` and `CannotWrite`.
    """
    figure, source = _find(number_or_path)
    values = check_parameters(source, parameters or {}, text=text)
    defaults = {name: parameter.default for name, parameter in read_parameters(source).items()}
    changed = {name: value for name, value in values.items() if value != defaults[name]}
    job = Job(figure, source, values, changed, timeout_s, threads)
    with job.place.locked():
        return _run(job, job.place)


def publish(number: str | int) -> list[Path]:
    """Copy figures and claims of a finished full run to `figures()`; return the files that changed.

    Raises `NotPublishable` if there is none or it is not as it was left, `DamagedFile`, `CannotWrite`.
    """
    folder = paths.results() / str(number)
    return _publish(folder, finished(folder, "full")["outputs"])


def _run(job: Job, place: RunFolder) -> Outcome:
    began = monotonic()
    place.clear()
    try:
        outcome = Outcome(**asdict(_attempt(job, place)), job=job, seconds=round(monotonic() - began, 1))
        if outcome.ok:
            return _finish(outcome, place)
    except BaseException:
        place.restore()
        raise
    place.restore()
    what = {name: getattr(outcome, name) for name in ("status", "error", "cell", "line", "seconds", "rerun")}
    about = {"notebook": job.source.name, "mode": job.mode, "parameters": job.parameters}
    write_json(place.folder / "failed.json", {**about, **what})
    return outcome


def _attempt(job: Job, place: RunFolder) -> Ending:
    # Imported late: papermill takes a second, which those who only read the index need not wait.
    from wm.kernel import execute

    if missing := [entry for entry in job.figure.reads if not resolve(entry).exists()]:
        return Ending("missing input", f"declared to be read but not there: {', '.join(missing)}")
    start_ns = write_json(place.folder / "run.json", job.record).stat().st_mtime_ns
    with open(place.log, "a", encoding="utf-8", buffering=1) as log:
        ending = execute(job.source, place.draft, job.changed, env=job.env, timeout_s=job.timeout_s, log=log)
    return ending if ending.status != "ok" else place.judge(start_ns)


def _finish(outcome: Outcome, place: RunFolder) -> Outcome:
    job, folder = outcome.job, place.folder
    published = _publish(folder, place.outputs) if job.mode == "full" and job.figure.system else []
    place.keep(job.source.name)
    outputs = {name: sha256(folder / name) for name in place.outputs}
    claims = tally(folder / "claims.json") if job.figure.system else {}
    record = {"status": "ok", "seconds": outcome.seconds, **read_json(folder / "run.json")}
    write_json(folder / "done.json", {**record, "outputs": outputs, "claims": claims})
    short = tuple(path.relative_to(paths.figures()).as_posix() for path in published)
    return replace(outcome, published=short)


def _publish(folder: Path, names: Iterable[str]) -> list[Path]:
    names = {name: f"claims/{folder.name}.json" if name == "claims.json" else name for name in names}
    content = {paths.figures() / there: (folder / here).read_bytes() for here, there in names.items()}
    changed = [target for target in content if not target.is_file() or target.read_bytes() != content[target]]
    return [write_atomic(target, content[target]) for target in changed]


def _find(number_or_path: str | int | Path) -> tuple[Figure, Path]:
    if str(number_or_path).isdigit():
        index = read_index()
        if str(number_or_path) not in index:
            known = ", ".join(index) or "none"
            raise WrongIndex(f"no notebook {number_or_path} in the index; there are: {known}")
        figure = index[str(number_or_path)]
        return figure, paths.notebooks() / figure.notebook
    source = Path(number_or_path).resolve()
    listed = source.parent == paths.notebooks() and source.with_name("figures.toml").is_file()
    figures = {figure.notebook: figure for figure in read_index().values()} if listed else {}
    return figures.get(source.name, Figure(source.stem, source.name, system="", title="")), source


def main(arguments: Sequence[str] | None = None) -> int:
    """Command line; returns the exit code."""
    parser = argparse.ArgumentParser(prog="python -m wm.notebook", description="Run one notebook, strictly.")
    parser.add_argument("notebook", help="number in the index, such as 13, or path")
    parser.add_argument("--set", action="append", default=[], metavar="NAME=VALUE", help="a parameter")
    parser.add_argument("--timeout", type=float, default=TIMEOUT_S, metavar="S", help="limit for all cells")
    parser.add_argument("--threads", type=int, help="limit for numerical libraries, for several runs at once")
    given = parser.parse_args(arguments)
    if unpaired := [setting for setting in given.set if "=" not in setting]:
        parser.error(f"--set takes NAME=VALUE, not {unpaired[0]}")
    parameters = dict(setting.split("=", 1) for setting in given.set)
    try:
        outcome = run(given.notebook, parameters, timeout_s=given.timeout, threads=given.threads, text=True)
    except (BadParameters, WrongIndex, DamagedFile) as error:
        return _say(str(error), 2)
    except Busy as error:
        return _say(str(error), 3)
    except (CannotWrite, OSError) as error:
        return _say(str(error), 5)
    except KeyboardInterrupt:
        return _say("interrupted", 130)
    return _say(outcome.report(), 0 if outcome.ok else 1)


def _stop(number: int, frame: object) -> None:
    signal.signal(number, signal.SIG_IGN)
    # Left as an exception, so that the kernel and the earlier outputs are seen to.
    raise SystemExit(_say(f"stopped by {signal.Signals(number).name}", 128 + number))


def _say(text: str, code: int) -> int:
    (sys.stderr if code else sys.stdout).write(f"{text}\n")
    return code


if __name__ == "__main__":
    for stopping in (signal.SIGTERM, signal.SIGHUP):
        signal.signal(stopping, _stop)
    sys.exit(main())
