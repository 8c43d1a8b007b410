"""The index of the notebooks, `notebooks/figures.toml`: which one draws which figures from what.

    [13]
    notebook = "13_errors.ipynb"
    system = "ring"
    title = "Errors by distance of the distractor"
    figures = ["13a", "13b"]
    reads = ["data/ring"]
    seconds = 20

Each notebook is a table named by its two digits; `reads` and `seconds` may be left out.
"""

__all__ = ["SYSTEMS", "Figure", "WrongIndex", "read_index"]

import re
import tomllib
from collections.abc import Iterator
from dataclasses import dataclass, fields
from pathlib import Path
from typing import Any

from wm import paths
from wm.text import nearest

SYSTEMS = ("ring", "nback", "plastic", "symbolic", "aime", "across")


class WrongIndex(ValueError):
    """Everything that is wrong with the index, entry by entry."""


@dataclass(frozen=True)
class Figure:
    """One notebook of the index."""

    number: str
    """Its two digits, `"13"`."""
    notebook: str
    """File name, `<number>_<topic>.ipynb`."""
    system: str
    """One of `SYSTEMS`."""
    title: str
    """What it shows, in a line."""
    figures: tuple[str, ...] = ()
    """Figures it must draw, `"13a"`."""
    reads: tuple[str, ...] = ()
    """Files and folders it reads, relative to the root: `"data/ring"`."""
    seconds: float = 60.0
    """About how long it takes on two cores."""


_TEXTS = ("notebook", "system", "title")
_TYPES = dict.fromkeys(_TEXTS, str) | {"figures": list, "reads": list, "seconds": (int, float)}
_NEEDED = (*_TEXTS, "figures")


def read_index(path: str | Path | None = None) -> dict[str, Figure]:
    """Figures by number, in the order of the numbers; `path` defaults to `notebooks()/figures.toml`.

    Raises `WrongIndex` for a missing or unreadable file, unknown, missing or ill-typed fields, names that do
    not begin with the number, and notebooks that are not there.
    """
    path = paths.notebooks() / "figures.toml" if path is None else Path(path)
    try:
        table = tomllib.loads(path.read_text(encoding="utf-8"))
    except (OSError, UnicodeDecodeError, tomllib.TOMLDecodeError) as error:
        raise WrongIndex(f"{path}: cannot be read ({error})") from error
    problems = [f"[{key}] {what}" for key, entry in table.items() for what in _problems(key, entry, path)]
    if problems:
        raise WrongIndex("\n  - ".join([f"{path}: wrong entries", *problems]))
    return {number: _figure(number, table[number]) for number in sorted(table)}


def _figure(number: str, entry: dict[str, Any]) -> Figure:
    lists = {key: tuple(value) for key, value in entry.items() if isinstance(value, list)}
    return Figure(number, **{**entry, **lists})


def _problems(number: str, entry: Any, path: Path) -> Iterator[str]:
    if not re.fullmatch(r"\d\d", number) or not isinstance(entry, dict):
        yield "is not a table named by two digits, such as [13]"
        return
    known = [field.name for field in fields(Figure)][1:]
    yield from (f"unknown field `{key}`: {nearest(key, known)}" for key in entry if key not in known)
    yield from (f"field `{key}` is missing" for key in _NEEDED if key not in entry)
    wrong = [key for key in known if key in entry and not _typed(entry[key], key)]
    yield from (f"field `{key}` has the wrong type: {entry[key]!r}" for key in wrong)
    if not wrong and all(key in entry for key in _NEEDED):
        yield from _names(number, entry, path)


def _typed(value: Any, key: str) -> bool:
    texts = not isinstance(value, list) or all(isinstance(item, str) for item in value)
    return isinstance(value, _TYPES[key]) and not isinstance(value, bool) and texts


def _names(number: str, entry: dict[str, Any], path: Path) -> Iterator[str]:
    notebook = entry["notebook"]
    if not re.fullmatch(rf"{number}_[\w.-]+\.ipynb", notebook):
        yield f"notebook `{notebook}` is not named {number}_<topic>.ipynb"
    elif not (path.parent / notebook).is_file():
        yield f"notebook `{notebook}` is not in {path.parent}"
    if entry["system"] not in SYSTEMS:
        yield f"system `{entry['system']}` is not one of {', '.join(SYSTEMS)}"
    for figure in entry["figures"]:
        if not re.fullmatch(rf"{number}[a-z][a-z0-9_]*", figure):
            yield f"figure `{figure}` is not named {number} and a letter"
