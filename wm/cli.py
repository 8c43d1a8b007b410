"""Train, measure, show and check networks, of every system alike.

A system is a package of `wm` with `FAMILIES` (name -> family with `title`, published `alias` and number
`shipped`), `family_name` (takes both names), `config(family)` (a frozen dataclass; its fields are options),
`PUBLISHED_OPTIONS` (field -> published spellings), `derived.MEASURES` (name -> function of `device` and
`families`, None for all, which saves through `wm.measured`; the first is the usual one) and `train(config,
networks, *, seeds, device, checkpoint, overwrite)`, which returns what has `names` and `records`, and unless
`overwrite` raises ValueError rather than replace networks of other settings.

A system may have commands of its own, `wm SYSTEM COMMAND`: `COMMANDS` of its module `commands`, a name of one
or more words -> a dataclass with defaults: its fields are options, its docstring the help, and `run()` gives
the exit code. Commands import what they need.

Exit codes: 0 done; 1 failed; 2 not understood; 5 cannot write; 130 interrupted. `WM_TRACEBACK=1`: tracebacks.
"""

__all__ = ["UsageError", "main"]

import inspect
import itertools
import os
import sys
import time
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field, make_dataclass
from pathlib import Path
from types import ModuleType
from typing import Annotated, Any, get_type_hints

import tyro
from tyro.conf import FlagCreatePairsOff, Positional, arg

from wm import __version__
from wm.arguments import (
    UsageError,
    check_device,
    commands_of,
    families_of,
    find_system,
    measures_of,
    parse,
    qualified,
    say,
    systems,
    with_commands,
)
from wm.device import check_found
from wm.explore_notebook import Explore
from wm.text import nearest

_CODES = {"CannotWrite": 5, "UnknownNetwork": 2, "ValueError": 2} | dict.fromkeys(
    ("StoreError", "NotFinite", "OSError", "OutOfMemoryError"), 1
)  # by name: naming a class here would import torch
_Hidden = tyro.conf.Suppress[tyro.conf.Fixed[str]]


@dataclass(frozen=True)
class Train:
    """Train networks and save them in data/, with their records and scores.

    Example: wm train ring.rt --seeds 0 1 2 --device cuda
    """

    target: _Hidden = ""
    all: FlagCreatePairsOff[bool] = False
    """every family of the system: wm train SYSTEM --all"""
    networks: Annotated[
        int | None, arg(metavar="INT", help_behavior_hint="(default: as many as shipped)")
    ] = None
    """how many, with seeds 0, 1, ..."""
    seeds: Annotated[tuple[str, ...], arg(aliases=["--random"], help_behavior_hint="")] = ()
    """seeds, one for each network, in place of a number of networks"""
    device: str = "cpu"
    """cpu, cuda or cuda:N"""
    checkpoint: Annotated[Path | None, arg(metavar="DIR", help_behavior_hint="")] = None
    """folder from which the same command goes on after an interruption"""
    overwrite: FlagCreatePairsOff[bool] = False
    """replace saved networks that have other settings"""

    def __post_init__(self) -> None:
        if self.networks is not None and self.networks < 1:
            raise ValueError(f"--networks must be 1 or more, got {self.networks}")
        if self.networks is not None and self.seeds:
            raise ValueError("--seeds says how many networks there are: leave --networks out")
        if len(set(self.seeds)) < len(self.seeds):
            raise ValueError(f"--seeds must differ, got {' '.join(self.seeds)}")
        check_device(self.device)

    def run(self) -> int:
        """Train the family, or one family after the other."""
        name, _, family = self.target.partition(".")
        system = find_system(name)
        if bool(family) == self.all:
            families = ", ".join(f"{name}.{each}" for each in system.FAMILIES)
            raise UsageError(f"name one family, or `wm train {name} --all`; families: {families}")
        if not self.all:
            options = self.settings
            return self._train(system, type(options).__base__(**vars(options)), self.checkpoint)
        for config in map(system.config, (name for name, each in system.FAMILIES.items() if each.shipped)):
            self._train(system, config, self.checkpoint and self.checkpoint / config.family)
        return 0

    def _train(self, system: ModuleType, config: Any, checkpoint: Path | None) -> int:
        from wm.show import medians

        name = system.__name__.removeprefix("wm.")
        count = self.networks or system.FAMILIES[config.family].shipped or 1
        seeds = self.seeds or tuple(str(seed) for seed in range(count))
        options = {"device": self.device, "checkpoint": checkpoint, "overwrite": self.overwrite}
        done = system.train(config, len(seeds), seeds=seeds, **options)
        return say(f"saved {name}/{' '.join(done.names)}: {medians(done.records)}")


@dataclass(frozen=True)
class States:
    """Run the saved networks of a system and save what is measured on them.

    Example: wm states ring, or wm states ring correlations --families rt it --device cuda
    """

    system: Annotated[Positional[str], arg(metavar="SYSTEM", help_behavior_hint="")] = ""
    """such as ring; wm states ring --help lists its measures"""
    measures: Annotated[Positional[tuple[str, ...]], arg(metavar="[MEASURE ...]", help_behavior_hint="")] = ()
    """what to measure, by default the first that is listed; each takes minutes for all networks"""
    all: FlagCreatePairsOff[bool] = False
    """every measure of the system"""
    families: Annotated[tuple[str, ...], arg(metavar="[FAMILY ...]", help_behavior_hint="")] = ()
    """measure these only; what was measured of others stays as it is"""
    device: str = "cpu"
    """cpu, cuda or cuda:N, for measures that can use it"""

    def __post_init__(self) -> None:
        check_device(self.device)

    def run(self) -> int:
        """Measure, one after the other."""
        if not self.system:
            raise UsageError(f"name a system: wm states SYSTEM; there are {', '.join(systems())}")
        known = measures_of(self.system)
        if wrong := [name for name in self.measures if name not in known]:
            raise UsageError(f"{self.system} has no measure {wrong[0]!r}: {nearest(wrong[0], known)}")
        if self.all and self.measures:
            raise UsageError(f"name measures or give --all: wm states {self.system} --all")
        check_found(self.device)
        names = [*known] if self.all else self.measures or [*known][:1]
        chosen = {name: families_of(self.system, known[name], self.families) for name in names}
        for name, families in chosen.items():
            begun = time.perf_counter()
            known[name](device=self.device, families=families)
            say(f"measured {self.system} {name} in {time.perf_counter() - begun:.0f} s")
        if (others := [name for name in known if name not in chosen]) and not self.measures:
            say(f"not measured: {', '.join(others)}; wm states {self.system} NAME, or --all")
        return 0


@dataclass(frozen=True)
class Show:
    """Tell what made a figure, a network or another file, and the command to make it again; or what there is.

    Example: wm show rt-07
    """

    target: Annotated[Positional[str], arg(metavar="[FILE|NETWORK]", help_behavior_hint="")] = ""
    """14a or its file, rt-07 or ring/rt-07, ring for its networks, 14 for its notebook; a file of states,
    a table, a claims file"""

    def run(self) -> int:
        """Show one thing, or the list."""
        from wm.show import described, overview

        return say("\n".join(described(self.target) if self.target else overview()))


@dataclass(frozen=True)
class Verify:
    """Check that every saved network, state file and table is there and whole.

    Example: wm verify
    """

    record: FlagCreatePairsOff[bool] = False
    """write data/MANIFEST.json, the list of what must be there, from what is there"""

    def run(self) -> int:
        """List the problems; 1 if there are any."""
        from wm import store

        problems = store.verify(record=self.record)
        files, many = len(store.saved_files()), "s" * (len(problems) != 1)
        summary = f"{files} files checked, {len(problems) or 'no'} problem{many}"
        say("\n".join([*(f"{path}: {what}: {remedy}" for path, what, remedy in problems), summary]))
        return 1 if problems else 0


_VERBS = {"train": Train, "states": States, "explore": Explore, "show": Show, "verify": Verify}


def main(arguments: Sequence[str] | None = None) -> int:
    """Run a command line and return its exit code; SystemExit after --help and on SIGTERM."""
    arguments = [*(sys.argv[1:] if arguments is None else arguments)]
    try:
        code = _run(arguments)
        sys.stdout.flush()
        return code
    except KeyboardInterrupt:
        resumes = any(argument.startswith("--checkpoint") for argument in arguments)
        return _fail("interrupted" + ": the same command goes on from its checkpoint" * resumes, 130)
    except BrokenPipeError:  # the reader, such as `head`, has seen enough
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        return 1
    except Exception as error:
        code = next((_CODES[kind.__name__] for kind in type(error).__mro__ if kind.__name__ in _CODES), None)
        if code is None or os.environ.get("WM_TRACEBACK"):
            raise
        return _fail(str(error), code)


def _run(arguments: list[str]) -> int:
    verb, *rest = arguments or [""]
    if verb in ("-h", "--help"):
        return say("\n".join(_help()))
    if verb == "--version":
        return say(f"wm {__version__}")
    if verb in systems():
        return _own(verb, rest)
    if verb not in _VERBS:
        raise UsageError(f"unknown command {verb!r}: {nearest(verb, _VERBS)}; see wm --help")
    kind, prog, about = _VERBS[verb], f"wm {verb}", inspect.getdoc(_VERBS[verb])
    if verb == "explore":
        own = rest.index("--") if "--" in rest else len(rest)
        given = parse(Explore(lab=tuple(rest[own + 1 :])), rest[:own], prog=prog, about=about)
        if not given.network:
            raise UsageError("name a network: wm explore NETWORK; wm show lists what there is")
        return given.run()
    if verb == "states" and {"-h", "--help"} & {*rest} and rest[0] in systems():
        prog, about = f"{prog} {rest[0]}", f"{about}\n\nMeasures: {', '.join(measures_of(rest[0]))}"
    if verb != "train":
        return parse(kind(), rest, prog=prog, about=about).run()
    if rest[:1] in (["-h"], ["--help"]):
        return parse(Train(), rest, prog=f"{prog} SYSTEM.FAMILY", about=about).run()
    if not rest or rest[0].startswith("-"):
        raise UsageError("name first what to train: wm train SYSTEM.FAMILY [OPTIONS]")
    default, families = _training(rest[0])
    return parse(default, rest[1:], prog=f"{prog} {rest[0]}", about=about + families).run()


def _help() -> Iterator[str]:
    yield "usage: wm COMMAND ...\n\nNetworks of working memory: train, measure, show and check them.\n"
    for verb, kind in _VERBS.items():
        what, _, example = inspect.getdoc(kind).split("\n")
        yield f"  {verb:8}{what}\n  {'':8}{example}"
    yield f"\nSystems: {', '.join(systems())}. More: wm COMMAND --help, wm train SYSTEM.FAMILY --help"
    for name in with_commands():
        yield f"Commands for {name} alone: wm {name} --help"


def _own(system: str, arguments: list[str]) -> int:
    """Run a command of one system: the longest of its names with which the arguments begin."""
    known = commands_of(system)
    words = list(itertools.takewhile(lambda word: not word.startswith("-"), arguments))
    for count in range(len(words), 0, -1):
        if kind := known.get(name := " ".join(words[:count])):
            prog, about = f"wm {system} {name}", inspect.getdoc(kind)
            return parse(kind(), arguments[count:], prog=prog, about=about).run()
    if {"-h", "--help"} & {*arguments}:
        wide = max(map(len, known))
        lines = (f"  {name:{wide}}  {inspect.getdoc(kind).splitlines()[0]}" for name, kind in known.items())
        more = f"\nMore: wm {system} COMMAND --help"
        return say("\n".join([f"usage: wm {system} COMMAND ...\n", *lines, more]))
    given = " ".join(words)
    what = f"unknown command {given!r} of {system}: " if given else f"name a command: wm {system} COMMAND; "
    raise UsageError(f"{what}{nearest(given, known)}; see wm {system} --help")


def _training(target: str) -> tuple[Train, str]:
    """`Train` for a target, with the settings of its family as further options, and what its help adds."""
    name, dot, family = target.partition(".")
    if not dot and name not in systems() and (meant := qualified(name)):
        raise UsageError(f"unknown system {name!r}: did you mean {' or '.join(meant)}?")
    system = find_system(name)
    if not dot:
        titles = "".join(
            f"\n  {name}.{each}: {known.title}" + f", published as {known.alias}" * bool(known.alias)
            for each, known in system.FAMILIES.items()
        )
        return Train(target), f"\n\nFamilies, each with settings of its own (--help):{titles}"
    config = system.config(system.family_name(family))
    hints = get_type_hints(type(config))
    spelled = {
        key: Annotated[hints[key], arg(aliases=also)] for key, also in system.PUBLISHED_OPTIONS.items()
    }
    own = {"__annotations__": spelled | {"family": _Hidden}, "__doc__": "Settings, by default as published."}
    options = dataclass(frozen=True)(type("Options", (type(config),), own))(**vars(config))
    extra = ("settings", tyro.conf.OmitArgPrefixes[type(options)], field(default=options))
    return make_dataclass("Train", [extra], bases=(Train,), frozen=True)(target), ""


def _fail(text: str, code: int) -> int:
    sys.stderr.write(f"wm: {' '.join(text.split())}\n")
    return code
