"""Words of a command line: options as a dataclass, systems and what they offer by name.

What is not understood is told in one line that says what would be.
"""

__all__ = [
    "UsageError", "check_device", "commands_of", "families_of", "find_system", "measures_of", "parse",
    "qualified", "say", "systems", "with_commands",
]  # fmt: skip

import contextlib
import importlib
import importlib.util
import io
import itertools
import pkgutil
import re
import sys
from collections.abc import Callable, Sequence
from dataclasses import is_dataclass
from types import ModuleType
from typing import Annotated, Any, get_args, get_origin, get_type_hints

import tyro
from tyro.conf import Positional, Suppress

from wm import __path__ as _folders
from wm.text import nearest

_NUMBERS = {
    r"invalid literal for int.*: ('.*')": "a whole number",
    r"could not convert string to float: ('.*')": "a number",
    r"no type matching \S*INT could be instantiated from \[('.*')\]\.?": "a whole number",
    r"no type matching \S*FLOAT could be instantiated from \[('.*')\]\.?": "a number",
}  # of python and tyro, and what they mean


class UsageError(ValueError):
    """The command line is not understood."""


def check_device(device: str) -> None:
    """Raise ValueError unless it has the form of a device."""
    if not re.fullmatch(r"cpu|cuda(:\d+)?", device):
        raise ValueError(f"--device must be cpu, cuda or cuda:N, got {device}")


def parse(default: Any, arguments: Sequence[str], *, prog: str, about: str) -> Any:
    """`default` as the arguments change it. Raises `UsageError`: what tyro puts in a box, in one line."""
    out = io.StringIO()
    try:
        with contextlib.redirect_stderr(out):
            parsed, unknown = tyro.cli(
                type(default), prog=prog, args=arguments, default=default, description=about,
                return_unknown_args=True,
            )  # fmt: skip
    except SystemExit as stop:
        if stop.code == 0:  # after --help
            raise
        rows = [row.strip(" │") for row in out.getvalue().splitlines()[1:]]
        parts = itertools.groupby(rows, key=lambda row: not row.strip("─-╰╯"))  # between horizontal rules
        message = next(" ".join(part) for rule, part in parts if not rule)
        raise UsageError(f"{_plain(message, arguments).rstrip('.')}; see {prog} --help") from None
    options = _options(type(default))
    if unknown:
        word = unknown[0].partition("=")[0]
        near = nearest(word.lstrip("-"), [*options], f"see {prog} --help")
        near = re.sub("(mean|or) ", r"\1 --", near) if near.endswith("?") else near
        raise UsageError(f"unknown {'option' if word.startswith('-') else 'argument'} {word!r}: {near}")
    for option in arguments:
        if getattr(parsed, options.get(option.removeprefix("--"), ""), None) == ():
            raise UsageError(f"name {options[option.removeprefix('--')]} after {option}")
    return parsed


def _options(kind: type) -> dict[str, str]:
    """Every option of a dataclass and of the settings in it, without its --, and the field that it sets."""
    found = {"help": "help"}
    for name, hint in get_type_hints(kind, include_extras=True).items():
        inner, *marks = get_args(hint) if get_origin(hint) is Annotated else [hint]
        if is_dataclass(inner):
            found |= _options(inner)
        elif Positional not in marks and Suppress not in marks:
            aliases = [also for mark in marks for also in getattr(mark, "aliases", None) or ()]
            found |= {also.lstrip("-"): name for also in (name.replace("_", "-"), *aliases)}
    return found


def _plain(message: str, arguments: Sequence[str]) -> str:
    """A message of tyro in words of the command line, with the spelling of the option that was given."""
    found = re.fullmatch(r"Error parsing (--\S+): (.*)", message)
    if not found:
        return re.sub(r"^Error parsing [A-Za-z]+: ", "", message)
    given = [argument.partition("=")[0].replace("_", "-") for argument in arguments]
    spellings = found[1].split("/")
    option = next((each for each in spellings if each in given), spellings[-1])
    for pattern, kind in _NUMBERS.items():
        if value := re.fullmatch(pattern, found[2]):
            return f"{option} must be {kind}, got {value[1]}"
    return f"{option}: {found[2]}"


def systems() -> list[str]:
    """Names of the systems; imports none of them."""
    return [module.name for module in pkgutil.iter_modules(_folders) if module.ispkg]


def with_commands() -> list[str]:
    """Names of the systems that have commands of their own; imports none of them."""
    return [
        module.name.split(".")[0]
        for name in systems()
        for module in pkgutil.iter_modules([f"{folder}/{name}" for folder in _folders], f"{name}.")
        if module.name == f"{name}.commands"
    ]


def find_system(name: str) -> ModuleType:
    """The package of a system. Raises `UsageError` for a name that none has."""
    if name not in systems():
        raise UsageError(f"unknown system {name!r}: {nearest(name, systems())}")
    return importlib.import_module(f"wm.{name}")


def measures_of(system: str) -> dict[str, Callable[..., object]]:
    """`MEASURES` of a system. Raises `UsageError` if it has none."""
    find_system(system)
    if not importlib.util.find_spec(f"wm.{system}.derived"):
        raise UsageError(f"{system} has nothing to measure")
    return importlib.import_module(f"wm.{system}.derived").MEASURES


def families_of(system: str, measure: Callable[..., object], given: Sequence[str]) -> list[str] | None:
    """Names in full of families that a measure is asked for; None for all of them.

    A measure that is not about families of networks has a `family_name` of its own. Raises ValueError.
    """
    named = getattr(measure, "family_name", None) or find_system(system).family_name
    return [named(name) for name in given] or None


def commands_of(system: str) -> dict[str, type]:
    """`COMMANDS` of a system. Raises `UsageError` if it has none."""
    if system not in with_commands():
        raise UsageError(f"{system} has no commands of its own: see wm --help, wm train {system} --help")
    return importlib.import_module(f"wm.{system}.commands").COMMANDS


def qualified(family: str) -> list[str]:
    """`ring.rt` for `rt`: with every system that has a family of this name."""
    found = []
    for name in systems():
        with contextlib.suppress(ValueError):
            found.append(f"{name}.{find_system(name).family_name(family)}")
    return found


def say(text: str) -> int:
    """Write a line to stdout at once, also into a file; return 0, the exit code of what is done."""
    sys.stdout.write(f"{text}\n")
    sys.stdout.flush()
    return 0
