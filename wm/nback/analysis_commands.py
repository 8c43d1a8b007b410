"""`wm nback analyze` and `wm nback compare`: the published analyses of saved networks, as JSON documents."""

from __future__ import annotations

__all__ = ["Analyze", "Compare"]

from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any, Literal

from tyro.conf import Positional, arg

from ..arguments import UsageError, say

if TYPE_CHECKING:
    import pandas as pd

_Folder = Annotated[Path | None, arg(metavar="DIR", help_behavior_hint="")]
_Step = Annotated[int, arg(metavar="STEP", help_behavior_hint="")]


@dataclass(frozen=True)
class Analyze:
    """Do the published analyses, one (1 to 5) or all, of saved networks, and write them as JSON.

    1 behaviour, 2 encoding, 3 orthogonality, 4 dynamics (later steps, other items, rotations, swap test),
    5 perturbation.

    Example: wm nback analyze 4 --network gru_mtmf-00 --property identity --task identity --n 2 3
    """

    analysis: Annotated[Positional[str], arg(metavar="{1,2,3,4,5,all}", help_behavior_hint="")] = "all"
    """which"""
    network: Annotated[tuple[str, ...], arg(metavar="NAME [NAME ...]", help_behavior_hint="")] = (
        "gru_mtmf-00",
    )
    """saved networks, or families of them"""
    property: tuple[Literal["location", "identity", "category"], ...] = ()
    """properties that are read, by default what each task asks for (in 2: all)"""
    task: tuple[Literal["location", "identity", "category"], ...] = ()
    """what tasks ask for, by default all that the network has learnt"""
    n: tuple[Literal[1, 2, 3], ...] = ()
    """N of the tasks, by default all that it has learnt"""
    source: _Step = 0
    """4: step from which decoders are turned, 1 to 5, by default all"""
    target: _Step = 0
    """4: step to which they are turned, a later one, by default all"""
    decoders: Literal["ours", "standardised"] = "ours"
    """on units as they are, or standardised, as in the public re-make"""
    trials: int = 1536
    """of each task"""
    output: _Folder = None
    """where to write, by default results/nback/analysis"""

    def __post_init__(self) -> None:
        if self.trials < 512:
            raise ValueError(f"--trials must be 512 or more, got {self.trials}")

    def run(self) -> int:
        """Analyse, write, and tell the numbers of each network."""
        from .geometry.analyse import ANALYSES, analyse, save_analysis
        from .library import load

        if self.analysis not in {"all", *map(str, ANALYSES)}:
            known = ", ".join(f"{k} ({name})" for k, name in ANALYSES.items())
            raise UsageError(f"there is no analysis {self.analysis!r}: choose {known}, or all")
        which = tuple(ANALYSES) if self.analysis == "all" else (int(self.analysis),)
        for name in named(self.network):
            trained = load(name)
            found = analyse(
                trained, which, tasks=self._tasks(trained), properties=self.property or None,
                source=self.source or None, target=self.target or None, decoders=self.decoders,
                trials=self.trials,
            )  # fmt: skip
            lines = [f"  {key:32}{value:8.3f}" for key, value in found["numbers"].items()]
            path = save_analysis(found, self.output)
            say("\n".join([f"{name}, {found['seconds']:.0f} s: {path}", *lines]))
        return 0

    def _tasks(self, trained: Any) -> list[Any]:
        from .families import diet

        known = diet(trained.config)
        wanted = [
            each
            for each in known
            if each.feature in (self.task or (each.feature,)) and each.lag in (self.n or (each.lag,))
        ]
        if not wanted:
            raise UsageError(f"{trained.name} has learnt {', '.join(each.name for each in known)} alone")
        return wanted


@dataclass(frozen=True)
class Compare:
    """Tell in which numbers two networks, or families of them, differ, after wm nback analyze of both.

    Example: wm nback compare gru_mtmf-00 lstm_mtmf-00
    """

    a: Annotated[Positional[str], arg(metavar="A", help_behavior_hint="")] = ""
    """a network or a family that was analysed, or a JSON file of wm nback analyze"""
    b: Annotated[Positional[str], arg(metavar="B", help_behavior_hint="")] = ""
    """what to compare it with; seeds that both have are paired"""
    output: Annotated[Path | None, arg(metavar="FILE", help_behavior_hint="")] = None
    """JSON file for the table"""

    def run(self) -> int:
        """Print the table: mean of A, of B, difference B - A with its 95 % interval over paired seeds."""
        from ..files import write_json
        from .geometry.analyse import compare, plain, read_analysis

        if not self.a or not self.b:
            raise UsageError("name two networks or families: wm nback compare A B")
        sets = [[read_analysis(each) for each in named([given])] for given in (self.a, self.b)]
        table = compare(*sets)
        if self.output:
            rows = {name: row.to_dict() for name, row in table.iterrows()}
            write_json(self.output, plain({"schema": "wm.nback.comparison/1", "a": self.a, "b": self.b,
                                           "numbers": rows}))  # fmt: skip
        return say("\n".join(_lines(self.a, self.b, table)))


def _lines(a: str, b: str, table: pd.DataFrame) -> list[str]:
    wide = max(10, len(a) + 2, len(b) + 2)
    lines = [f"{'':32}{a:>{wide}}{b:>{wide}}     B - A"]
    for name, row in table.iterrows():
        interval = f"  [{row.low:.3f}, {row.high:.3f}]" if row.low == row.low else ""
        lines.append(f"{name:32}{row.a:{wide}.3f}{row.b:{wide}.3f}{row.difference:10.3f}{interval}")
    return lines


def named(given: tuple[str, ...] | list[str]) -> list[str]:
    """Names of networks, families replaced by their saved networks; names of files stay.

    Raises `UsageError` for a family of which none is saved.
    """
    from .families import FAMILIES, family_name
    from .library import names

    found: list[str] = []
    for name in given:
        try:
            family = family_name(name)
        except ValueError:  # a network or a file
            found.append(name)
            continue
        own = [each for each in names(family) if each.rpartition("-")[0] in FAMILIES]
        if not own:
            raise UsageError(f"no network of {family} is saved: wm train nback.{family}")
        found += own
    return found
