"""What made a file: a figure, saved states, a table, an executed notebook, a sheet of claims, a network."""

__all__ = ["of_file", "of_network"]

import os
from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from datetime import UTC, datetime
from importlib import import_module
from pathlib import Path
from typing import Any

from wm import paths, store
from wm.files import DamagedFile, StoreError, parsing, read_json, sha256
from wm.index import Figure, WrongIndex, read_index
from wm.lint import code_hash
from wm.manifest import tree_hash
from wm.parameters import BadParameters, read_parameters
from wm.run_folder import Job, resolve

SHORT = 8  # digits of a hash that are shown
_PLACE = ("commit", "versions", "device")
_VERSIONS = ("python", "numpy", "torch", "wm")
_UNKNOWN = "not recorded"
_OTHER_SEEDS = "those of the networks read, and fixed ones in the code"


def of_network(system: str, name: str) -> dict[str, Any]:
    """What made a network: command, settings, seed, scores, training, versions, and its files with hashes.

    Raises `wm.store.StoreError` for one that is damaged or not there.
    """
    network = store.load_network(system, name)
    place = paths.data() / system / name / "network.json"
    saved = read_json(place)
    weights = {key: f"{value.dtype} {value.shape}" for key, value in network.weights.items()}
    return {
        "network": f"{system}/{name}",
        "again": network.record.get("command", "not recorded"),
        **network.record,
        "weights": weights,
        "files": {key: entry["sha256"][:SHORT] for key, entry in saved["files"].items()},
        "created": saved["created_utc"],
        "versions": saved["versions"],
        **_readers(place),
    }


def of_file(file: Path) -> dict[str, Any]:
    """What made a file, and under `again` the command that makes it again.

    Raises ValueError for another kind of file and for a figure that carries no provenance;
    `wm.store.StoreError` for what is damaged.
    """
    file = file.resolve()
    if (file.parent / "network.json").is_file() and file.suffix in (".json", ".safetensors"):
        return of_network(file.parent.parent.name, file.parent.name)
    if file.suffix == ".json" and file.with_suffix("").suffix in (".h5", ".npy"):
        file = file.with_suffix("")  # the record that lies beside states
    if file.suffix == ".json" and file.with_suffix(".csv").is_file():
        file = file.with_suffix(".csv")  # beside a table
    kinds = {
        ".png": _figure, ".pdf": _figure, ".h5": _states, ".npy": _states, ".csv": _table,
        ".ipynb": _notebook, ".json": _claims,
    }  # fmt: skip
    if file.suffix not in kinds:
        shown = "figures (.png, .pdf), states (.h5, .npy), tables (.csv), notebooks, claims (.json)"
        raise ValueError(f"{file}: shown are {shown} and networks")
    return kinds[file.suffix](file)


def _figure(file: Path) -> dict[str, Any]:
    from wm.style import read_provenance  # imports matplotlib, which takes a second

    number, origin = file.name[:2], read_provenance(file)
    run = _run(number, file.parent, f"{file.stem}.png")  # tells more than the file carries
    return {"figure": file, **_made(number, origin | run), "sha256": sha256(file)[:SHORT]}


def _states(file: Path) -> dict[str, Any]:
    info = store.states_info(file)
    same = sha256(file) == info["sha256"] if file.is_file() else None
    state = {True: "", False: " expected, but the file differs: wm verify", None: " expected, but no file"}
    told = {key: value for key, value in info.items() if key not in ("seal", "schema", "sha256", "bytes")}
    made = {"states": file, **_measured(file, info["arrays"]), "sha256": info["sha256"][:SHORT] + state[same]}
    return made | told | _networks(file) | _readers(file)


def _table(file: Path) -> dict[str, Any]:
    table, name = store.read_table(file), _name(file)
    place = paths.data() / store.MANIFEST
    shipped = read_json(place)["files"].get(name) if place.is_file() else None
    digest = sha256(file)
    state = "not in the manifest" if not shipped else "as shipped" if digest == shipped else "changed since"
    return {
        "table": file, **_measured(file, table.get("family", ())), "sha256": f"{digest[:SHORT]} ({state})",
        "rows": len(table), "columns": list(table.columns),
    } | _networks(file) | _readers(file)  # fmt: skip


def _notebook(file: Path) -> dict[str, Any]:
    number = file.parent.name if file.name == "failed.ipynb" else file.name[:2]
    with parsing(file):
        ran = read_json(file)["metadata"].get("papermill", {})
    if not ran and (file.parent / store.RECORD).is_file():
        return {"explorer": file, "again": f"wm explore {file.parent.name}"}
    if not ran and file.parent != paths.notebooks():
        return {"notebook": file, "again": "not executed: open it in JupyterLab"}
    if not ran:
        figure = _index().get(number)
        keys = ("title", "system", "figures", "reads") if figure else ()
        about = {key: getattr(figure, key) for key in keys}
        return {"notebook": file, "again": _command(number, {})} | about
    failed = file.parent / "failed.json"
    run = read_json(failed) if file.name == "failed.ipynb" and failed.is_file() else {}
    run = run or _run(number, file.parent, "")
    times = {"started": ran.get("start_time"), "seconds": run.get("seconds") or ran.get("duration")}
    # Without a record of the runner, what papermill left behind is all there is.
    run = run or {"parameters": ran.get("parameters", {})}
    again = {"again": run["rerun"]} if "rerun" in run else {}
    told = _made(number, run | {key: value for key, value in times.items() if value}) | again
    return {"executed notebook": file, **told}


def _claims(file: Path) -> dict[str, Any]:
    sheet = read_json(file)
    try:
        word = "expected" if sheet.get("ours") else "published"
        claims = {claim["id"]: _claim(claim, word) for claim in sheet["claims"]}
        verdicts = Counter(claim["verdict"].partition(" (")[0] for claim in sheet["claims"])
        number, about = sheet["notebook"], {key: sheet.get(key) for key in ("system", "smoke", "paper")}
    except (KeyError, TypeError, AttributeError):
        kinds = "claims, networks and records of states"
        raise ValueError(f"{file}: shown are, of .json files, {kinds}") from None
    made = _made(number, _run(number, file.parent, "claims.json"))
    return {"claims": file, **made, **about, "verdicts": dict(verdicts), "each": claims}


def _claim(claim: Mapping[str, Any], word: str) -> str:
    interval = " [{:.6g}, {:.6g}]".format(*claim["interval"]) if claim.get("interval") else ""
    numbers = f"{word} {claim.get('published')}, ours {claim.get('ours')}{interval}"
    return f"{claim['verdict']}: {claim['statement']}: {numbers}"


def _made(number: str, origin: Mapping[str, Any]) -> dict[str, Any]:
    """What a record of a run tells, in one order for all kinds of files."""
    keys = ("notebook", "status", "mode", "error", "cell", "parameters", "inputs", *_PLACE)
    told = {"again": _command(number, origin)} | {key: origin[key] for key in keys if origin.get(key)}
    if isinstance(inputs := told.get("inputs"), Mapping):
        told["inputs"] = {name: _compared(name, digest) for name, digest in inputs.items()}
    told["seeds"] = _seeds(origin.get("parameters"))
    if "mode" not in told:
        told["run"] = f"not recorded in {paths.results() / number}: device and time are not known"
    return told | {key: origin[key] for key in ("started", "seconds", "finished") if origin.get(key)}


def _seeds(parameters: Any) -> str:
    given = parameters.items() if isinstance(parameters, Mapping) else ()
    return ", ".join([*(f"{name} {value}" for name, value in given if "seed" in name), _OTHER_SEEDS])


def _command(number: str, origin: Mapping[str, Any]) -> str:
    """The shell command that draws anew, with the parameters that are not the default ones."""
    figure, given = _index().get(number), origin.get("parameters")
    smoke = isinstance(given, Mapping) and given.get("smoke") is True
    try:
        source = paths.notebooks() / figure.notebook
        known = {name: parameter.default for name, parameter in read_parameters(source).items()}
    except (AttributeError, StoreError, BadParameters):  # no such notebook any more
        return f"./run_all.sh {number}" + " --smoke" * smoke
    given = given if isinstance(given, Mapping) else {}
    changed = {name: value for name, value in given.items() if name in known and value != known[name]}
    return Job(figure, source, known | changed, changed).command


def _run(number: str, folder: Path, output: str) -> dict[str, Any]:
    """The finished run that left `output` as it is in `folder`; empty if that is not known."""
    folders = [folder] if folder.name == number else [paths.results() / number]
    record = folders[0] / "done.json"
    try:
        done = dict(read_json(record)) if record.is_file() else {}
    except (DamagedFile, TypeError, ValueError):
        return {}
    published = folder / f"{number}.json" if folder.name == "claims" else folder / output
    expected = done.get("outputs", {}).get(output)
    if output and (not published.is_file() or sha256(published) != expected):
        return {}
    keys = ("notebook", "status", "mode", "parameters", "inputs", *_PLACE, "seconds")
    return {key: done[key] for key in keys if key in done} | ({"finished": _date(record)} if done else {})


def _compared(name: str, digest: str) -> str:
    place = resolve(name)
    if not place.exists():
        return f"{digest[:SHORT]} (no longer there)"
    now = code_hash(place) if place.suffix == ".ipynb" else tree_hash(place)
    return f"{digest[:SHORT]} ({'unchanged' if now == digest else f'now {now[:SHORT]}'})"


def _measured(file: Path, families: Iterable[str]) -> dict[str, Any]:
    """What made states or a table of these families: from its record, if that is of this very content."""
    runs = _runs(file)
    covered = {family for run in runs for family in run.get("families", families)}
    lost = [family for family in dict.fromkeys(families) if family not in covered]
    commands = "; ".join(dict.fromkeys(run["command"] for run in runs if "command" in run))
    told = {"again": commands or _measure(file)}
    told |= {key: _each(runs, key) for key in ("device", "platform") if runs or key == "device"}
    told["versions"] = {key: _each(runs, key) for key in _VERSIONS} if runs else _UNKNOWN
    told["seconds"] = round(sum(run.get("seconds", 0) for run in runs), 1) if runs else _UNKNOWN
    if runs and lost:
        told["not recorded"] = lost
    if len(runs) > 1:
        told["runs"] = dict(_summary(run) for run in runs)
    elif runs and runs[0].get("settings"):
        told["settings"] = runs[0]["settings"]
    return told | {"seeds": _OTHER_SEEDS}


def _summary(run: Mapping[str, Any]) -> tuple[str, str]:
    """A run among several: of which families (of a sweep: of which seed; of which size), and how."""
    which = ", ".join(run.get("families", ())) or f"seed {run.get('seed')}"
    which += f", {run['units']} units" if "units" in run else ""
    how = f"{run['command']}: " if "command" in run else ""
    return which, f"{how}{run.get('seconds')} s on {run.get('device')}"


def _each(runs: Sequence[Mapping[str, Any]], key: str) -> str:
    return " and ".join(dict.fromkeys(str(run[key]) for run in runs if key in run)) or _UNKNOWN


def _runs(file: Path) -> list[dict[str, Any]]:
    """The runs that made a table or states, as a record in `data_json` tells (see `wm.measured`)."""
    places = [file.with_suffix(".json"), *sorted((paths.data_json() / file.parent.name).glob("*.json"))]
    name = _name(file)
    for place in places:
        try:
            record = read_json(place)
            if record["files"].get(name) == sha256(file):
                return [dict(run) for run in record["runs"]]
        except (StoreError, KeyError, TypeError, ValueError):
            continue
    return []


def _measure(file: Path) -> str:
    """The command for what has no record: tables are named by their measure, the usual one makes states."""
    system, name = file.parent.name, file.stem.partition("_")[0]
    if not Path(__file__).with_name(system).joinpath("derived.py").is_file():
        return _UNKNOWN
    if file.suffix != ".csv":
        return f"wm states {system}"
    known = import_module(f"wm.{system}.derived").MEASURES
    return f"wm states {system} {name}" if name in known else _UNKNOWN


def _networks(file: Path) -> dict[str, Any]:
    """The networks that states and tables of a system are measured on, as they are now."""
    place = paths.data() / file.parent.name
    return {"networks now": f"data/{place.name} {tree_hash(place)[:SHORT]}"} if place.is_dir() else {}


def _readers(file: Path) -> dict[str, Any]:
    name = _name(file)
    found = [f.notebook for f in _index().values() if any(_within(name, entry) for entry in f.reads)]
    return {"read by": found} if found else {}


def _within(name: str, entry: str) -> bool:
    return name == entry or name.startswith(f"{entry}/")


def _name(file: Path) -> str:
    """As the index and the manifest call it: `data/ring/...`, wherever that folder is."""
    places = {"data": paths.data(), "data_npy": paths.data_npy(), "data_json": paths.data_json()}
    inside = ((kind, place) for kind, place in places.items() if file.is_relative_to(place))
    return next((f"{kind}/{file.relative_to(place).as_posix()}" for kind, place in inside), file.name)


def _index() -> dict[str, Figure]:
    try:
        return read_index()
    except WrongIndex:
        return {}


def _date(file: Path) -> str:
    return f"{datetime.fromtimestamp(os.stat(file).st_mtime, UTC):%Y-%m-%d %H:%M} UTC"
