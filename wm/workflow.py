"""What `./run_all.sh` does once the environment stands: choose figures, run what is stale, publish, sum up.

Snakemake runs the notebooks (Snakefile); it is not even started when every figure asked for is up to date.
"""

__all__ = ["BadTarget", "main", "resolve", "retrainable", "stale", "targets"]

import argparse
import os
import signal
import subprocess
import sys
from collections import Counter
from collections.abc import Iterable, Iterator, Mapping, Sequence
from pathlib import Path

from wm import manifest, paths
from wm.files import CannotWrite, DamagedFile, StoreError, read_json, writing
from wm.index import SYSTEMS, Figure, WrongIndex, read_index
from wm.notebook import publish
from wm.run_folder import Busy, RunFolder, finished
from wm.text import nearest

FAILED, NOT_UNDERSTOOD, BUSY, CANNOT_WRITE = 1, 2, 3, 5
_STOPS = (signal.SIGINT, signal.SIGTERM, signal.SIGHUP)
_HEAD = ["notebook", "status", "seconds", "figures", "reproduced", "not", "untestable", "our own"]
_VERDICTS = ("reproduced", "not reproduced", "cannot be tested here")
_NOTHING = "nothing to do: every figure asked for is up to date"


class BadTarget(ValueError):
    """A target that there is not, or that does not go with the others or with the options."""


def main(arguments: Sequence[str] | None = None) -> int:
    """Run the command line of `./run_all.sh`; return its exit code."""
    asked = _parse(sys.argv[1:] if arguments is None else list(arguments))
    results = paths.results() / "smoke" if asked.smoke else paths.results()
    try:
        index = read_index()
        numbers = resolve(asked.targets, index)
        if numbers and asked.device:
            raise BadTarget("--device is for retrain-<system>: figures are drawn without training")
        if asked.smoke and not numbers:
            raise BadTarget("--smoke draws figures small and quick; retrain-<system> has no such mode")
        if asked.dry_run:
            return _foretell(asked.targets, stale(index, numbers, results, smoke=asked.smoke))
        with RunFolder(results, ()).locked():
            return _run(index, numbers, results, asked)
    except (BadTarget, WrongIndex) as error:
        return _fail(str(error), NOT_UNDERSTOOD)
    except Busy as error:
        return _fail(str(error), BUSY)
    except StoreError as error:
        return _fail(str(error), CANNOT_WRITE if isinstance(error, CannotWrite) else FAILED)


def targets(index: Mapping[str, Figure]) -> dict[str, list[str]]:
    """Figure numbers behind each name that may be asked for: `all`, every system, every number."""
    systems = dict.fromkeys(figure.system for figure in index.values())
    of_system = {system: [n for n, figure in index.items() if figure.system == system] for system in systems}
    return {"all": list(index), **of_system, **{number: [number] for number in index}}


def retrainable(index: Mapping[str, Figure]) -> list[str]:
    """Systems that have networks of their own, in the order of their notebooks."""
    return [system for system in dict.fromkeys(f.system for f in index.values()) if system != "across"]


def resolve(names: Iterable[str], index: Mapping[str, Figure]) -> list[str]:
    """Figure numbers that the names ask for, in the order of the index; none for `retrain-<system>`.

    Raises `BadTarget` for unknown names, all at once and with the nearest name, and for drawing and
    retraining in one command: what would be drawn, the old networks or the new ones?
    """
    names, known, retrain = list(names), targets(index), {f"retrain-{s}" for s in retrainable(index)}
    if unknown := [name for name in names if name not in known and name not in retrain]:
        raise BadTarget("\n".join(_unknown(name, [*known, *retrain]) for name in unknown))
    if retrain & set(names) and set(names) & set(known):
        raise BadTarget("retrain first, then draw: give retrain-<system> and figures in two commands")
    wanted = {number for name in names for number in known.get(name, [])}
    return [number for number in index if number in wanted]


def _unknown(name: str, known: list[str]) -> str:
    if name in SYSTEMS:
        return f"{name} has no notebooks yet: there are {', '.join(known)}"
    return f"unknown target {name!r}: {nearest(name, known)}"


def stale(
    index: Mapping[str, Figure], numbers: Iterable[str], results: Path, *, smoke: bool = False
) -> dict[str, str]:
    """The numbers whose figures are not up to date, each with the reason; refreshes the manifests."""
    inputs = manifest.refresh({number: index[number] for number in numbers}, results, smoke=smoke)
    mode = "smoke" if smoke else "full"
    reasons = {number: _reason(results / number, mode, needed) for number, needed in inputs.items()}
    return {number: reason for number, reason in reasons.items() if reason}


def _reason(folder: Path, mode: str, inputs: list[Path]) -> str:
    try:
        finished(folder, mode)
    except StoreError as error:
        return error.what
    drawn = (folder / "done.json").stat().st_mtime_ns
    changed = [path.stem for path in inputs if path.stat().st_mtime_ns > drawn]
    return f"changed: {', '.join(changed)}" if changed else ""


def _run(index: Mapping[str, Figure], numbers: list[str], results: Path, asked: argparse.Namespace) -> int:
    if not numbers:
        return FAILED if _snakemake(asked.targets, results, asked) else 0
    todo = stale(index, numbers, results, smoke=asked.smoke)
    with writing(results):
        for number in todo:  # the rules then agree with what was found here
            (results / number / "done.json").unlink(missing_ok=True)
    if todo:
        _say(f"{len(todo)} of {len(numbers)} notebooks to run, {asked.jobs} at a time: {' '.join(todo)}")
        _snakemake(todo, results, asked)
    else:
        _say(_NOTHING)
    done = [number for number in numbers if (results / number / "done.json").is_file()]
    problems = [] if asked.smoke else list(_publish(index, done, anew=bool(todo)))
    _say(_table(index, numbers, results))
    _exhibit(results)
    return _fail("\n".join(problems), FAILED) if problems else 0 if done == numbers else FAILED


def _publish(index: Mapping[str, Figure], numbers: Iterable[str], *, anew: bool) -> Iterator[str]:
    # Notebooks publish when they succeed; this brings back what was lost or changed in figures() since.
    changed = [path for number in numbers for path in publish(number)]
    page, sheets = paths.figures() / "CLAIMS.md", sorted((paths.figures() / "claims").glob("*.json"))
    if foreign := [str(sheet) for sheet in sheets if sheet.stem not in index]:
        yield f"{', '.join(foreign)}: of no notebook in the index, so {page.name} is left as it is: delete it"
    elif anew or changed or not page.is_file():
        from wm import verdicts  # brings scipy, for which a run with nothing to do need not wait

        try:
            if not page.is_file() or page.read_bytes() != verdicts.merge().encode():
                verdicts.write_claims_md()
        except (ValueError, DamagedFile) as error:  # a sheet of a smoke run, or none at all
            yield str(error)


def _exhibit(results: Path) -> None:
    try:
        from wm import gallery  # here, so that not even a fault of its own keeps the figures from being drawn

        if gallery.build(results):
            _say(f"to look at in a browser: {results / 'index.html'}")
    except Exception as error:  # whatever it is: the figures are done
        _fail(f"the gallery is not up to date: {' '.join(str(error).split())}", FAILED)


def _table(index: Mapping[str, Figure], numbers: Iterable[str], results: Path) -> str:
    rows = [_HEAD, *(_row(index[number], results / number) for number in numbers)]
    widths = [max(map(len, column)) for column in zip(*rows, strict=True)]
    return "\n".join(
        "  ".join(cell.ljust(width) for cell, width in zip(row, widths, strict=True)).rstrip() for row in rows
    )


def _row(figure: Figure, folder: Path) -> list[str]:
    name, figures = Path(figure.notebook).stem, " ".join(figure.figures)
    if not (folder / "done.json").is_file():
        return [name, _failure(folder / "failed.json"), "", figures, "", "", "", ""]
    done, counts = read_json(folder / "done.json"), Counter()
    for verdict, count in done["claims"].items():
        counts[verdict.removeprefix("indicative: ")] += count
    return [name, "ok", f"{done['seconds']:.0f}", figures, *_counted(counts, folder / "claims.json")]


def _counted(counts: Counter, sheet: Path) -> list[str]:
    """Cells of the table: published claims by verdict, hypotheses of our own apart."""
    if not (sheet.is_file() and read_json(sheet).get("ours")):
        return [*(str(counts[verdict]) for verdict in _VERDICTS), ""]
    untestable = f", {counts['cannot be tested here']} untestable" * ("cannot be tested here" in counts)
    return ["", "", "", f"held {counts['held']}/{counts.total()}{untestable}"]


def _failure(path: Path) -> str:
    match path.is_file() and read_json(path):
        case {"status": str(status)}:
            return status.upper()
    return "NOT RUN"


def _snakemake(names: Iterable[str], results: Path, asked: argparse.Namespace) -> int:
    here = Path(__file__).parents[1]
    command = [sys.executable, "-m", "snakemake", "--snakefile", str(here / "Snakefile")]
    command += ["--directory", str(results)]  # which its outputs and its own records are relative to
    command += ["--cores", str(asked.jobs), "--keep-going", "--rerun-incomplete", "--rerun-triggers", "mtime"]
    command += ["--nolock", "--scheduler", "greedy", "--quiet", "all", *asked.snakemake]
    command += ["--config", f"smoke={asked.smoke}", f"device={asked.device or 'cpu'}", "--", *names]
    modules = os.pathsep.join(filter(None, [str(here), os.environ.get("PYTHONPATH")]))
    places = {"PYTHONPATH": modules, "XDG_CACHE_HOME": str(paths.results() / ".cache")}
    return _wait_for(command, {**os.environ, **places})


def _wait_for(command: Sequence[str], environment: Mapping[str, str]) -> int:
    # Snakemake ends by itself but waits for its notebooks, so they are told to stop, too: the whole group is.
    stopped = []

    def stop(number: int, frame: object) -> None:
        stopped.append(number)
        os.killpg(process.pid, signal.SIGINT)

    # Handlers come first: a job in a shell's background ignores SIGINT, and what it starts would, too.
    before = {number: signal.signal(number, signal.default_int_handler) for number in _STOPS}
    try:
        process = subprocess.Popen(command, env=environment, process_group=0)
        for number in _STOPS:
            signal.signal(number, stop)
        code = process.wait()
    finally:
        for number, handler in before.items():
            signal.signal(number, handler)
    if stopped:
        raise SystemExit(128 + stopped[0])
    return code


def _foretell(names: Iterable[str], reasons: Mapping[str, str]) -> int:
    would = [f"would run {number} ({reason})" for number, reason in reasons.items()]
    would += [f"would run {name}" for name in names if name.startswith("retrain-")]
    _say("\n".join(would) or _NOTHING)
    return 0


def _parse(arguments: list[str]) -> argparse.Namespace:
    end = arguments.index("--") if "--" in arguments else len(arguments)
    cores = len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count()
    parser = argparse.ArgumentParser(prog="./run_all.sh", description="Draw what is not up to date.")
    parser.add_argument("targets", nargs="*", default=["all"])
    parser.add_argument("--smoke", action="store_true")
    parser.add_argument("--dry-run", action="store_true")
    parser.add_argument("--jobs", type=_positive, default=cores)
    parser.add_argument("--device")
    return parser.parse_args(arguments[:end], argparse.Namespace(snakemake=arguments[end + 1 :]))


def _positive(text: str) -> int:
    if not text.isdecimal() or int(text) < 1:
        raise argparse.ArgumentTypeError(f"{text} is not a number of notebooks, 1 or more")
    return int(text)


def _fail(text: str, code: int) -> int:
    sys.stderr.write(text + "\n")
    return code


def _say(text: str) -> None:
    sys.stdout.write(text + "\n")
    sys.stdout.flush()


if __name__ == "__main__":
    sys.exit(main())
