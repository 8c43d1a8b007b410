"""What is saved, in words: networks with their scores, figures with their origin, files of states."""

__all__ = ["described", "medians", "overview"]

import re
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np

from wm import paths, store
from wm.text import nearest

_DETAIL = re.compile("_(median|mse|repeats)")  # scores shown only with a single network


def overview() -> Iterator[str]:
    """Lines on what there is: networks by system and family with count and median scores, then figures."""
    families: dict[str, list[dict]] = {}
    damaged = 0
    for system, name in store.list_networks():
        try:
            record = store.load_network(system, name).record
            families.setdefault(f"{system}.{name.rpartition('-')[0]}", []).append(record)
        except store.StoreError:
            damaged += 1
    yield f"networks in {paths.data()}, with median scores:" if families else f"no networks in {paths.data()}"
    yield from (f"  {family:16} {len(records):3}  {medians(records)}" for family, records in families.items())
    if damaged:
        yield f"  {damaged} cannot be read: wm verify says why"
    figures = " ".join(sorted(path.stem for path in paths.figures().glob("*.png")))
    yield f"figures in {paths.figures()}: {figures or 'none'}"


def medians(records: Sequence[Mapping[str, Any]]) -> str:
    """Median of the main scores over those of the networks that have them, `error_deg 12.8, ...`."""
    scores: dict[str, list[float]] = {}
    for name, score in (item for record in records for item in (record.get("scores") or {}).items()):
        if isinstance(score, int | float) and not _DETAIL.search(name):
            scores.setdefault(name, []).append(score)
    return ", ".join(f"{name} {np.median(found):.4g}" for name, found in scores.items()) or "no scores"


def described(target: str) -> Iterator[str]:
    """Lines on a figure (`14a` or its file), a network (`rt-07`, `ring/rt-07`) or a file of states.

    Raises ValueError for another kind of file, a figure without provenance and a name that nothing has (with
    the nearest one); `wm.store.StoreError` for what is damaged.
    """
    figures = paths.figures()
    places = (Path(target), figures / target, figures / f"{target}.png", paths.data_npy() / target)
    file = next((place for place in places if place.is_file()), None)
    return _lines(_file(file) if file else _network(target))


def _file(file: Path) -> dict[str, Any]:
    if file.suffix in (".png", ".pdf"):
        from wm.style import read_provenance  # imports matplotlib, which takes a second

        return {"figure": file, "again": f"./run_all.sh {file.name[:2]}", **read_provenance(file)}
    if file.suffix in (".h5", ".npy"):
        return {"states": file, **store.states_info(file)}
    raise ValueError(f"{file}: shown are figures (.png, .pdf), states (.h5, .npy) and networks")


def _network(target: str) -> dict[str, Any]:
    *folders, name = Path(target).parts or (".",)
    systems = folders[-1:] or [place.parent.name for place in paths.data().glob("*/*") if place.name == name]
    if not systems:
        hint = nearest(name, (name for _, name in store.list_networks()), "wm show lists what there is")
        raise ValueError(f"there is no file or network {target!r}: {hint}")
    network = store.load_network(systems[0], name)
    again = network.record.get("command", "not recorded")
    weights = {key: f"{value.dtype} {value.shape}" for key, value in network.weights.items()}
    return {"network": f"{systems[0]}/{name}", "again": again, **network.record, "weights": weights}


def _lines(content: Mapping[str, Any], indent: str = "") -> Iterator[str]:
    for key, value in content.items():
        if isinstance(value, Mapping):
            yield f"{indent}{key}:"
            yield from _lines(value, f"{indent}  ")
        else:
            yield f"{indent}{key}: {', '.join(map(str, value)) if isinstance(value, list) else value}"
