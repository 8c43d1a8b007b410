"""What `./run_all.sh` does once the environment stands: choose figures, run what is stale, publish, sum up.

Snakemake runs the notebooks (Snakefile); it is not even started when every figure asked for is up to date.
"""

__all__ = ["BadTarget", "main", "resolve", "retrainable", "stale", "targets"]

import argparse
import difflib
import os
import signal
import subprocess
import sys
from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path

from wm import manifest, paths, summary
from wm.files import CannotWrite, StoreError, read_json, sha256
from wm.index import Figure, WrongIndex, read_index
from wm.notebook import publish
from wm.workplace import Busy, Workplace

FAILED, NOT_UNDERSTOOD, BUSY, CANNOT_WRITE = 1, 2, 3, 5
_STOPS = (signal.SIGINT, signal.SIGTERM, signal.SIGHUP)


class BadTarget(ValueError):
    """A target that is no figure's number, no system, not `all` and no `retrain-<system>`."""


def main(arguments: Sequence[str] | None = None) -> int:
    """Run the command line of `./run_all.sh`; return its exit code."""
    asked = _parse(sys.argv[1:] if arguments is None else list(arguments))
    results = paths.results() / "smoke" if asked.smoke else paths.results()
    try:
        index = read_index()
        numbers = resolve(asked.targets, index)
        if asked.dry_run:
            return _foretell(asked.targets, stale(index, numbers, results, smoke=asked.smoke))
        with Workplace(results, ()).locked():
            return _run(index, numbers, results, asked)
    except (BadTarget, WrongIndex) as error:
        return _tell(str(error), NOT_UNDERSTOOD)
    except Busy as error:
        return _tell(str(error), BUSY)
    except StoreError as error:
        return _tell(str(error), CANNOT_WRITE if isinstance(error, CannotWrite) else FAILED)


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
    nearest = difflib.get_close_matches(name, known, n=1, cutoff=0.4)
    hint = f"did you mean {nearest[0]}?" if nearest else f"there are {', '.join(known)}"
    return f"unknown target {name!r}: {hint}"


def stale(
    index: Mapping[str, Figure], numbers: Iterable[str], results: Path, *, smoke: bool = False
) -> dict[str, str]:
    """The numbers whose figures are not up to date, each with the reason; refreshes the manifests."""
    inputs = manifest.refresh({number: index[number] for number in numbers}, results, smoke=smoke)
    reasons = {n: _reason(results / n, needed) for n, needed in inputs.items()}
    return {number: reason for number, reason in reasons.items() if reason}


def _reason(folder: Path, inputs: list[Path]) -> str:
    done = folder / "done.json"
    if not done.is_file():
        return "not drawn yet"
    drawn = done.stat().st_mtime_ns
    if changed := [path.stem for path in inputs if path.stat().st_mtime_ns > drawn]:
        return f"changed: {', '.join(changed)}"
    try:
        figures = read_json(done)["figures"]
        spoilt = [name for name, digest in figures.items() if sha256(folder / name) != digest]
    except (StoreError, KeyError, AttributeError, TypeError) as error:
        return str(error)
    return f"no longer as drawn: {', '.join(spoilt)}" if spoilt else ""


def _run(index: Mapping[str, Figure], numbers: list[str], results: Path, asked: argparse.Namespace) -> int:
    if not numbers:
        return FAILED if _snakemake(asked.targets, asked) else 0
    todo = stale(index, numbers, results, smoke=asked.smoke)
    for number in todo:  # the rules then agree with what was found here
        (results / number / "done.json").unlink(missing_ok=True)
    if todo:
        _say(f"{len(todo)} of {len(numbers)} notebooks to run, {asked.jobs} at a time: {' '.join(todo)}")
        _snakemake(todo, asked)
    else:
        _say("nothing to do: every figure asked for is up to date")
    done = [number for number in numbers if (results / number / "done.json").is_file()]
    if not asked.smoke:
        _publish(done, anew=bool(todo))
    _say(summary.table(index, numbers, results))
    return 0 if done == numbers else FAILED


def _publish(numbers: Iterable[str], *, anew: bool) -> None:
    # Notebooks publish when they succeed; this brings back what was lost or changed in figures() since.
    changed = [path for number in numbers for path in publish(number)]
    if anew or changed or not (paths.figures() / "CLAIMS.md").is_file():
        summary.write_claims_page()


def _snakemake(names: Iterable[str], asked: argparse.Namespace) -> int:
    here = Path(__file__).parents[1]
    command = [sys.executable, "-m", "snakemake", "--snakefile", str(here / "Snakefile")]
    command += ["--directory", str(paths.results())]  # where its own records go
    command += ["--cores", str(asked.jobs), "--keep-going", "--rerun-incomplete", "--rerun-triggers", "mtime"]
    command += ["--nolock", "--scheduler", "greedy", "--quiet", "all", *asked.snakemake]
    command += ["--config", f"smoke={asked.smoke}", "--", *names]
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
    return _tell("\n".join(would) or "nothing to do: every figure asked for is up to date", 0)


def _parse(arguments: list[str]) -> argparse.Namespace:
    end = arguments.index("--") if "--" in arguments else len(arguments)
    cores = len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count()
    parser = argparse.ArgumentParser(prog="./run_all.sh", description="Draw what is not up to date.")
    parser.add_argument("targets", nargs="*", default=["all"])
    parser.add_argument("--smoke", action="store_true")
    parser.add_argument("--dry-run", action="store_true")
    parser.add_argument("--jobs", type=_positive, default=cores)
    return parser.parse_args(arguments[:end], argparse.Namespace(snakemake=arguments[end + 1 :]))


def _positive(text: str) -> int:
    if int(text) < 1:
        raise ValueError(text)
    return int(text)


def _tell(text: str, code: int) -> int:
    _say(text)
    return code


def _say(text: str) -> None:
    sys.stdout.write(text + "\n")
    sys.stdout.flush()


if __name__ == "__main__":
    sys.exit(main())
