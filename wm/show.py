"""What is saved, in words: networks with their scores, figures with their verdicts, the origin of a file."""

__all__ = ["described", "medians", "named", "overview"]

import re
from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np

from wm import paths, store
from wm.files import DamagedFile, read_json
from wm.index import Figure, WrongIndex, read_index
from wm.provenance import of_file, of_network
from wm.text import nearest

_DETAIL = re.compile("_(median|mse|repeats)")  # scores shown only with a single network
_LONGEST = 12  # entries of a list that are shown


def overview() -> Iterator[str]:
    """Lines on what there is: networks by system and family with count and median scores, then figures."""
    yield from _networks()
    yield from _figures()


def _networks(only: str | None = None) -> Iterator[str]:
    """The saved networks, of one system or all, a line for each family with their number."""
    families: dict[str, list[dict]] = {}
    place, damaged = paths.data() / (only or ""), 0
    for system, name in store.list_networks(only):
        try:
            record = store.load_network(system, name).record
            families.setdefault(f"{system}.{name.rpartition('-')[0]}", []).append(record)
        except store.StoreError:
            damaged += 1
    yield f"networks in {place}, with median scores:" if families else f"no networks in {place}"
    yield from (f"  {family:16} {len(records):3}  {medians(records)}" for family, records in families.items())
    if damaged:
        yield f"  {damaged} cannot be read: wm verify says why"


def _figures() -> Iterator[str]:
    """The published figures, a line for each notebook of the index with the verdicts on its claims."""
    drawn = {*_drawn()}
    try:
        index = read_index()
    except WrongIndex:
        index = {}
    listed = {figure: sorted(drawn & set(figure.figures)) for figure in index.values()}
    others = " ".join(sorted(drawn.difference(*listed.values()))) or ("" if drawn else "none")
    yield f"figures in {paths.figures()}: {others}".rstrip(" :") + ":" * (not others)
    for figure, names in listed.items():
        if names:
            stem, shown = Path(figure.notebook).stem, " ".join(names)
            yield f"  {figure.system:8} {stem:20} {shown:14} {_verdicts(figure)}"


def _verdicts(figure: Figure) -> str:
    sheet = paths.figures() / "claims" / f"{figure.number}.json"
    try:
        counts = Counter(claim["verdict"].partition(" (")[0] for claim in read_json(sheet)["claims"])
    except (DamagedFile, KeyError, TypeError):
        return "claims cannot be read" if sheet.exists() else "no claims"
    return ", ".join(f"{count} {verdict}" for verdict, count in counts.items())


def medians(records: Sequence[Mapping[str, Any]]) -> str:
    """Median of the main scores over those of the networks that have them, `error_deg 12.8, ...`."""
    scores: dict[str, list[float]] = {}
    for name, score in (item for record in records for item in (record.get("scores") or {}).items()):
        if isinstance(score, int | float) and not _DETAIL.search(name):
            scores.setdefault(name, []).append(score)
    return ", ".join(f"{name} {np.median(found):.4g}" for name, found in scores.items()) or "no scores"


def described(target: str) -> Iterator[str]:
    """Lines on what made a figure (`14a` or its file), network (`rt-07`, `ring/rt-07`), states, table,
    notebook (`14` for the executed one, or its file) or sheet of claims, and the command that makes it again;
    of a system (`ring`, `data/ring`), its networks by family.

    Raises ValueError for another kind of file, a figure without provenance and a name that nothing has (with
    the nearest one) or several networks have; `wm.store.StoreError` for what is damaged.
    """
    file = next((place for place in _places(target) if place.is_file()), None)
    if file:
        return _lines(of_file(file))
    system = Path(target).name
    if system in {known for known, _ in store.list_networks()}:
        return _networks(system)
    return _lines(of_network(*named(target, "file or network", also=_drawn())))


def _places(target: str) -> Iterator[Path]:
    yield Path(target)
    for folder in (paths.figures(), paths.data_npy(), paths.data_json(), paths.notebooks(), paths.root()):
        yield folder / target
    yield paths.figures() / f"{target}.png"
    yield paths.results() / target[:2] / f"{target}.png"
    if re.fullmatch(r"\d\d", target):
        for folder in (paths.results() / target, paths.notebooks()):
            yield from sorted(folder.glob(f"{target}_*.ipynb"))


def _drawn() -> list[str]:
    """Names of the figures that are published."""
    return sorted(path.stem for path in paths.figures().glob("*.png"))


def named(target: str, what: str = "network", *, also: Sequence[str] = ()) -> tuple[str, str]:
    """System and name of a saved network, from `rt-07`, `ring/rt-07` or a path that ends so.

    Raises ValueError for the name of a family, and for one that no network or more than one has; `what` says
    what was looked for, `also` names what it may be beside a network.
    """
    wanted, known = Path(target).parts[-2:], store.list_networks()
    found = [pair for pair in known if wanted in (pair, pair[1:])]
    if len(found) == 1:
        return found[0]
    if found:
        raise ValueError(f"several networks are {target!r}: {' or '.join(map('/'.join, found))}")
    if family := [name for system, name in known if target in _family(system, name)]:
        raise ValueError(f"{target} is a family: {' ... '.join(dict.fromkeys((family[0], family[-1])))}")
    names = ["/".join(pair[-len(wanted) :]) for pair in known]
    near = nearest("/".join(wanted), sorted({*names, *also}), "wm show lists what there is")
    raise ValueError(f"there is no {what} {target!r}: {near}")


def _family(system: str, name: str) -> tuple[str, ...]:
    """What the family of a network is called."""
    family = name.rpartition("-")[0]
    return family, f"{system}/{family}", f"{system}.{family}"


def _lines(content: Mapping[str, Any], indent: str = "") -> Iterator[str]:
    for key, value in content.items():
        if isinstance(value, Mapping):
            yield f"{indent}{key}:"
            yield from _lines(value, f"{indent}  ")
        else:
            yield f"{indent}{key}: {_listed(value) if isinstance(value, list | tuple) else value}"


def _listed(entries: Sequence[Any]) -> str:
    if len(entries) <= _LONGEST:
        return ", ".join(map(str, entries))
    return f"{entries[0]}, {entries[1]}, ... {entries[-1]} ({len(entries)} in all)"
