"""What the explorer shows: settings, a network with its sequence, and the edit of its fast weights."""

from __future__ import annotations

__all__ = [
    "Case", "Settings", "case_of", "chance", "compared", "draw_inputs", "kind", "layer", "loaded", "mark",
    "said", "stamp", "task_of", "token", "watched", "with_and_without", "words", "writes",
]  # fmt: skip

import re
from dataclasses import dataclass
from functools import lru_cache
from typing import Annotated, Literal, NamedTuple

import numpy as np
from matplotlib.axes import Axes

from .. import paths, store
from ..explore import Range
from ..style import COLORS
from ..train import numpy_generator
from . import inside, library
from . import inside_plots as panels
from .episodes import Task
from .families import IMAGES, make_task
from .fewshot import shown
from .fewshot.task import Classification
from .inside import Edit, Watched
from .levels import levels

_MOST = 59  # tokens are numbered up to this one


@dataclass(frozen=True)
class Settings:
    """What the network is shown, what is done to its fast weights, and where one looks."""

    sequence: str = ""
    """of copying: its items, such as 31452, or all tokens; of drawings: the labels in the order in which the
    drawings of each come, such as 31402; empty, and always of numbers: drawn by seed"""
    seed: Annotated[int, Range(0, 99, 1)] = 0
    """of a drawn sequence"""
    token: Annotated[int, Range(0, _MOST, 1)] = 26
    """that is looked at; beyond the end: the last"""
    layer: Annotated[int, Range(0, 7, 1)] = 0
    """number of the plastic layer, in the order of computation"""
    edit: Literal["none", "erase", "freeze"] = "none"
    """of the fast weights: all that was written is lost; or nothing is written or decays any more"""
    at: Annotated[int, Range(0, _MOST, 1)] = 25
    """token before which this is done"""
    plastic: bool = True
    """the rule is on; off: the largest rate is 0"""
    trials: Annotated[int, Range(8, 512, 8)] = 64
    """test sequences in `comparison`"""


class Case(NamedTuple):
    """A network and one sequence: inputs (time,) or (time, input), right answers (time,) where known."""

    trained: library.Trained
    task: Task
    inputs: np.ndarray
    targets: np.ndarray | None
    pictures: np.ndarray | None = None
    """(time, row, column, channel), of drawings"""


def stamp(network: str) -> int:
    """What changes with the files of a network."""
    file = paths.data() / "plastic" / network / store.RECORD
    return file.stat().st_mtime_ns if file.is_file() else 0


def loaded(network: str) -> library.Trained:
    """A saved network, read once for each state of its file; raises as `library.load` does."""
    return _loaded(str(paths.data()), stamp(network), network)


@lru_cache(maxsize=64)
def _loaded(_folder: str, _stamp: int, network: str) -> library.Trained:
    return library.load(network)


def writes(network: str) -> bool:
    """Whether a saved network writes anything into its fast weights."""
    return loaded(network).config.rule != "none"


def kind(network: str) -> tuple[bool, bool]:
    """Whether a saved network writes anything, and whether it names drawings: what views it has."""
    return writes(network), loaded(network).config.task == IMAGES


def task_of(trained: library.Trained) -> Task:
    """The task that a network was trained on."""
    return make_task(trained.config)


def chance(task: Task) -> float:
    """Score of answers by chance; other levels of `wm.plastic.levels` are drawn as little as possible."""
    return levels(task, episodes=2, fits=0)["chance"]


def case_of(network: str, settings: Settings) -> Case:
    """A saved network with the sequence of the settings; ValueError for one that it cannot read."""
    trained = loaded(network)
    task, stream = make_task(trained.config), numpy_generator(settings.seed, "explorer", trained.config.task)
    if isinstance(task, Classification):
        return Case(trained, task, *shown.shown(task, stream, settings.sequence))
    if not task.symbolic and settings.sequence.strip():
        raise ValueError(f"sequence: {network} reads numbers, which are drawn by the seed: leave it empty")
    inputs, targets = (part[0] for part in task.sample(1, stream))
    if not settings.sequence.strip():
        return Case(trained, task, inputs, targets)
    symbols = re.findall(r"[^\W_]", settings.sequence)
    if odd := [symbol for symbol in symbols if symbol not in "0123456789"[: task.symbols]]:
        raise ValueError(f"sequence: {network} knows the symbols 0 to {task.symbols - 1}, not {odd[0]!r}")
    typed = np.array([int(symbol) for symbol in symbols], dtype=np.int64)
    if len(typed) == task.items:
        inputs[: task.items] = targets[-task.items :] = typed
        return Case(trained, task, inputs, targets)
    if len(typed) == task.length:
        return Case(trained, task, typed, None)
    raise ValueError(
        f"sequence has {len(typed)} symbols: write {task.items}, the items, or {task.length}, all tokens"
    )


def watched(case: Case, settings: Settings) -> Watched:
    """The run of the sequence with the edit."""
    trained = case.trained if settings.plastic else inside.without_plasticity(case.trained)
    return inside.watch(trained, case.inputs[None], _edit(settings))


def words(case: Case) -> list[str]:
    """What each token says: its symbol, or the label beside a drawing; nothing of numbers."""
    if case.pictures is not None:
        return shown.names(case.task, case.inputs)
    return [str(symbol) for symbol in case.inputs] if case.task.symbolic else []


def draw_inputs(ax: Axes, case: Case, *, width: float) -> None:
    """What is shown to the network, drawings as pictures, on axes that are so many cm wide."""
    if case.pictures is None:
        panels.draw_inputs(ax, case.task, case.inputs)
    else:
        shown.draw_pictures(ax, case.pictures, words(case), width=width)


def with_and_without(case: Case) -> dict[str, library.Trained]:
    """The network with its rule on and off; without one, itself."""
    if case.trained.config.rule == "none":
        return {"no rule": case.trained}
    return {"rule on": case.trained, "rule off": inside.without_plasticity(case.trained)}


def compared(case: Case, settings: Settings) -> dict[str, tuple[library.Trained, Edit]]:
    """What is compared: rule on, edited if an edit is chosen, rule off; of a network without one, itself."""
    runs = {name: (trained, Edit()) for name, trained in with_and_without(case).items()}
    if settings.edit == "none" or "rule on" not in runs:
        return runs
    edited = {"edited": (case.trained, _edit(settings))}
    return {"rule on": runs["rule on"], **edited, "rule off": runs["rule off"]}


def _edit(settings: Settings) -> Edit:
    return Edit(settings.edit, settings.at)


def token(case: Case, settings: Settings) -> int:
    """The token that is looked at."""
    return min(settings.token, case.task.length - 1)


def layer(run: Watched, settings: Settings) -> str:
    """Name of the chosen plastic layer; ValueError if there is none of this number."""
    if not run.layers:
        raise ValueError(f"{run.trained.name} writes nothing into fast weights: look at `tokens`")
    if settings.layer >= len(run.layers):
        known = f"{len(run.layers)} plastic layers, 0 to {len(run.layers) - 1}"
        raise ValueError(f"layer {settings.layer}: {run.trained.name} has {known}")
    return run.layers[settings.layer]


def mark(ax: Axes, case: Case, settings: Settings) -> None:
    """A line at the token that is looked at, and a dashed one where fast weights are edited."""
    ax.axvline(token(case, settings), color=COLORS["chosen"], lw=0.7, zorder=3)
    if settings.edit != "none" and settings.at < case.task.length:
        ax.axvline(settings.at - 0.5, color="black", ls="--", lw=0.8, zorder=3)


def said(case: Case, settings: Settings) -> str:
    """Words for a title: the name of the network and what is done to it."""
    parts = [case.trained.name]
    if not settings.plastic:
        parts.append("rule off")
    if settings.edit != "none":
        done = {"erase": "erased", "freeze": "frozen"}[settings.edit]
        parts.append(f"fast weights {done} before token {settings.at}")
    return ", ".join(parts)
