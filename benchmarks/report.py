"""What benchmarks share: timing, a table of rows, and their command line.

A row has name, ours, reference, ratio (reference / ours), floor of the ratio, unit, fault (empty if the row
keeps its floor and is right), and perhaps of_limit, the share of the time that the machine's limit takes.
"""

from __future__ import annotations

__all__ = ["about", "fault", "medians", "row", "run", "seconds", "table"]

import argparse
import json
import statistics
import sys
from collections.abc import Callable, Sequence
from time import perf_counter

import torch


def seconds(work: Callable[[], object], repeats: int, device: str) -> float:
    """Mean time of `work` in s over `repeats` calls; waits for the device before and after."""
    wait = torch.cuda.synchronize if device == "cuda" else lambda: None
    wait()
    start = perf_counter()
    for _ in range(repeats):
        work()
    wait()
    return (perf_counter() - start) / repeats


def medians(
    works: dict[str, Callable[[], object]], device: str, rounds: int, repeats: int = 1
) -> dict[str, float]:
    """Median times in s of works that take turns, `repeats` calls each; the first round only warms."""
    times: dict[str, list[float]] = {name: [] for name in works}
    for turn in range(rounds + 1):
        for name, work in works.items():
            found = seconds(work, repeats, device)
            if turn:
                times[name].append(found)
    return {name: statistics.median(each) for name, each in times.items()}


def fault(ratio: float, floor: float) -> str:
    """What is wrong with a ratio, in words; empty if it keeps its floor."""
    return "" if ratio >= floor else "BELOW THE FLOOR"


def about(device: str) -> str:
    """What a row says about the device."""
    return torch.cuda.get_device_name() if device == "cuda" else "cpu"


def row(
    name: str, found: dict[str, float], floor: float, unit: str, *,
    rates: bool = False, device: str = "cpu", wrong: str = "",
) -> dict:  # fmt: skip
    """A row of what was found, `ours` and `reference`: times or sizes, or rates, of which more is better.

    wrong: what is wrong with the results, in words.
    """
    above, below = ("ours", "reference") if rates else ("reference", "ours")
    ratio, told = found[above] / found[below], unit if ";" in unit else f"{unit}; {above} / {below}"
    said = {"name": name, "ratio": ratio, "unit": told, **found, "floor": floor}
    return said | {"fault": wrong or fault(ratio, floor), "device": about(device)}


def _percent(share: float | None) -> str:
    return "" if share is None else f"{share:.0%}"


def table(rows: list[dict]) -> str:
    """Rows as aligned text."""
    head = f"{'':<22}{'ours':>10}{'reference':>12}{'ratio':>8}{'floor':>7}{'of limit':>10}  unit"
    lines = [
        f"{row['name']:<22}{row['ours']:>10.4g}{row['reference']:>12.4g}{row['ratio']:>8.1f}"
        f"{row['floor']:>7.4g}{_percent(row.get('of_limit')):>10}  {row['unit']}"
        + (f"  {row['fault']}" if row["fault"] else "")
        for row in rows
    ]
    return "\n".join([head, *lines])


def run(
    module: str, about: str, measure: Callable[[str], list[dict]], arguments: Sequence[str] | None = None,
    *, slow: Callable[[str], list[dict]] | None = None,
) -> None:  # fmt: skip
    """Measure all rows on the device that the command line asks for; print a table, then one line of JSON.

    module: its name, for the help; about: its docstring; slow: rows that take minutes each, only with --slow.
    Exits if there is no such device.
    """
    parser = argparse.ArgumentParser(prog=f"python -m {module}", description=about.splitlines()[0])
    parser.add_argument("--device", choices=("cpu", "cuda"), default="cpu")
    if slow:
        parser.add_argument("--slow", action="store_true", help="rows that take minutes each, too")
    given = parser.parse_args(arguments)
    device = given.device
    if device == "cuda" and not torch.cuda.is_available():
        parser.error("--device cuda was asked for, but this machine has no CUDA device")
    rows = measure(device)
    if slow and given.slow:
        rows = [*rows, *slow(device)]
    sys.stdout.write(table(rows) + "\n" + json.dumps(rows) + "\n")
