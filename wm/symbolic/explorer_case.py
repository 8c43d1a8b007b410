"""What the explorer shows: settings, a network with its prompt, the edit of a feature, and what follows.

A prompt is what somebody types, or a part of the Lorenz recording. An edit acts on a feature of the shipped
dictionary (`wm.symbolic.dictionaries`) in every step of generation.
"""

from __future__ import annotations

__all__ = [
    "PUBLISHED_PROMPT", "STAGES", "Case", "Settings", "case_of", "chances", "dictionaries_at", "dictionary",
    "edited", "features_at", "chosen", "generated", "hooks", "loaded", "said", "seen",
    "stamps", "strings", "tuning", "windows",
]  # fmt: skip

import re
from collections.abc import Mapping
from dataclasses import dataclass
from functools import lru_cache
from pathlib import Path
from typing import Annotated, Literal, NamedTuple

import numpy as np
import torch

from .. import paths, store
from ..explore import Range
from ..train import numpy_generator
from . import dictionaries, edits, library, lorenz
from .generation import Generated, Predictor, exact_predictor, expected, generate
from .hooks import Hook
from .sae import SparseAutoencoder
from .task import Cycle

STAGES = ("before attention", "after attention")
PUBLISHED_PROMPT = "000000"
_RECORDED = 4000  # symbols of the Lorenz recording, from its beginning: prompts are parts of it
_MOST_STEPS = 240


@dataclass(frozen=True)
class Settings:
    """What the network goes on from, what is done to it, and how much is shown."""

    prompt: str = ""
    """digits, such as 000000 or 0 0 1 1; empty: 000000, and for Lorenz networks a part of the recording"""
    layer: Annotated[int, Range(0, 1, 1)] = 1
    """of the dictionary, whose features are shown and edited: 0 before attention, 1 after it"""
    edit: Literal["none", "multiply", "add", "clamp", "ablate"] = "none"
    """what is done to the feature in every step"""
    places: Literal["last", "all"] = "last"
    """of the window, at which it is done"""
    feature: Annotated[int, Range(-1, 143, 1)] = -1
    """number of the feature; -1: the one that varies most over the phases of the cycle"""
    strength: Annotated[float, Range(-20, 20, 0.5)] = 5.0
    """what the feature is multiplied by, what is added to it, or what it is set to"""
    candidates: Annotated[int, Range(2, 24, 1)] = 12
    """features that are shown, the most active ones"""
    steps: Annotated[int, Range(6, _MOST_STEPS, 6)] = 36
    """symbols to generate"""
    temperature: Annotated[float, Range(0, 3, 0.1)] = 1.0
    """of the draws; 0: always the likeliest symbol"""
    seed: Annotated[int, Range(0, 99, 1)] = 0
    """of the random numbers, which are the same with and without edit"""


class Case(NamedTuple):
    """A network, the prompt (1, time), and what really followed it (step,), where that is known."""

    trained: library.Trained
    prompt: np.ndarray
    truth: np.ndarray | None

    @property
    def window(self) -> np.ndarray:
        """What the network sees of the prompt, (1, time)."""
        return self.prompt[:, -self.trained.config.context :]

    @property
    def process(self) -> Cycle | None:
        """The cycle that the network learned; None if it learned something else."""
        config = self.trained.config
        return config.cycle() if config.process == "cycle" else None


def loaded(network: str) -> library.Trained:
    """A saved network, read once for each state of its file; raises as `library.load` does."""
    return _loaded(str(paths.data()), stamps(network)[0], network)


@lru_cache(maxsize=16)
def _loaded(_folder: str, _stamp: int, network: str) -> library.Trained:
    return library.load(network)


def stamps(network: str) -> tuple[int, ...]:
    """What changes with the files that the explorer reads of a network."""
    files = (paths.data() / "symbolic" / network / store.RECORD, _dictionary_file())
    return tuple(file.stat().st_mtime_ns if file.is_file() else 0 for file in files)


def _dictionary_file() -> Path:
    return paths.data_npy() / "symbolic" / "saes.h5"


def case_of(network: str, settings: Settings) -> Case:
    """A saved network with the prompt of the settings; ValueError for a prompt that it cannot read."""
    trained = loaded(network)
    config = trained.config
    if config.process == "lorenz" and not settings.prompt:
        return Case(trained, *_recorded(config.context, settings))
    symbols = re.findall(r"[^\W_]", settings.prompt or PUBLISHED_PROMPT)
    if odd := [symbol for symbol in symbols if symbol not in "0123456789"[: config.symbols]]:
        raise ValueError(f"prompt: {network} knows the symbols 0 to {config.symbols - 1}, not {odd[0]!r}")
    if not symbols:
        raise ValueError(f"prompt {settings.prompt!r} has no symbol: write digits, such as 000000")
    return Case(trained, np.array([[int(symbol) for symbol in symbols]]), None)


def _recorded(context: int, settings: Settings) -> tuple[np.ndarray, np.ndarray]:
    """A part of the recording that no network was trained on, by seed, and how it goes on."""
    recording = lorenz.symbols(_RECORDED, part="test")
    first = numpy_generator(settings.seed, "explorer").integers(_RECORDED - context - _MOST_STEPS)
    end = first + context
    return recording[None, first:end], recording[end : end + settings.steps]


# ---------------------------------------------------------------- dictionaries and edits


def dictionaries_at(stage: int) -> Mapping[str, SparseAutoencoder]:
    """Shipped dictionaries of a stage by network, read once for each state of their file; {} without it."""
    file = _dictionary_file()
    return _dictionaries(str(file), file.stat().st_mtime_ns, stage) if file.is_file() else {}


@lru_cache(maxsize=4)
def _dictionaries(_file: str, _stamp: int, stage: int) -> Mapping[str, SparseAutoencoder]:
    return dictionaries.load_saes(stage)


def dictionary(network: str, stage: int) -> SparseAutoencoder:
    """The shipped dictionary of a network; ValueError if it has none."""
    if network not in dictionaries_at(stage):
        raise ValueError(f"{network} has no dictionary: it has no features that can be shown or edited")
    return dictionaries_at(stage)[network]


@torch.no_grad()
def features_at(case: Case, sae: SparseAutoencoder, windows: np.ndarray) -> np.ndarray:
    """Activations at the last place of windows (window, time), (window, feature)."""
    point = sae.cfg.hook_name
    return sae.encode(
        case.trained.model.run_with_cache(torch.as_tensor(windows), point)[1][point][:, -1]
    ).numpy()


def tuning(case: Case, sae: SparseAutoencoder) -> np.ndarray:
    """Activations at the end of a full window by phase, in the order of the cycle, (feature, phase)."""
    config = case.trained.config
    return features_at(case, sae, config.cycle().phase_windows(config.context)).T


def chosen(case: Case, settings: Settings) -> int:
    """Number of the feature that the settings choose."""
    if settings.feature >= 0:
        return settings.feature
    return int(tuning(case, dictionary(case.trained.name, settings.layer)).var(axis=1).argmax())


def hooks(
    case: Case, settings: Settings, kind: str, strength: float | torch.Tensor
) -> list[tuple[str, Hook]]:
    """The edit of this kind, for `generate`; none for "none". strength: a number, or (trial, 1, 1)."""
    if kind == "none":
        return []
    sae = dictionary(case.trained.name, settings.layer)
    amount = [] if kind == "ablate" else [strength]
    at = -1 if settings.places == "last" else None
    return [(sae.cfg.hook_name, getattr(edits, kind)(sae, chosen(case, settings), *amount, at=at))]


def said(case: Case, settings: Settings) -> str:
    """Words for a title: the name of the network and what is done to it."""
    if settings.edit == "none":
        return case.trained.name
    done = {"multiply": "times ", "add": "plus ", "clamp": "set to ", "ablate": "ablated"}[settings.edit]
    amount = "" if settings.edit == "ablate" else f"{settings.strength:g}"
    return f"{case.trained.name}, feature {chosen(case, settings)} {STAGES[settings.layer]} {done}{amount}"


# ---------------------------------------------------------------- what follows the prompt


def edited(case: Case, settings: Settings) -> Generated:
    """What the network makes of the prompt with the edit on; ValueError if it has no dictionary."""
    return generated(
        case, settings, case.trained.model, hooks(case, settings, settings.edit, settings.strength)
    )


def generated(case: Case, settings: Settings, model: Predictor, edit: list[tuple[str, Hook]]) -> Generated:
    """What a model makes of the prompt, always with the same random numbers."""
    given = {"context": case.trained.config.context, "temperature": settings.temperature, "fwd_hooks": edit}
    generator = numpy_generator(settings.seed, "explorer", "draws")
    return generate(model, case.prompt, settings.steps, generator=generator, **given)


def strings(case: Case, settings: Settings, found: Generated) -> dict[str, np.ndarray]:
    """Strings (step,): what was found by `edited`, and what to compare it with, from the same random numbers.

    network or, with an edit, edited and no edit; exact: of an exact predictor; recording: what really came.
    """
    shown = {"network" if settings.edit == "none" else "edited": found.tokens[0]}
    if settings.edit != "none":
        shown["no edit"] = generated(case, settings, case.trained.model, []).tokens[0]
    if case.process:
        shown["exact"] = generated(case, settings, exact_predictor(case.process), []).tokens[0]
    return shown | ({} if case.truth is None else {"recording": case.truth})


def chances(case: Case, tokens: np.ndarray) -> np.ndarray | None:
    """Exact chances along a string (step,) that followed the prompt, (step, symbol); None if unknown."""
    config = case.trained.config
    if config.process == "scrambled":
        return np.full((len(tokens), config.symbols), 1 / config.symbols)
    return expected(case.process, case.prompt, tokens[None], config.context)[0] if case.process else None


def windows(case: Case, tokens: np.ndarray) -> list[np.ndarray]:
    """What the network saw before each symbol of a string (step,) that followed the prompt, each (time,)."""
    history, start = np.r_[case.prompt[0], tokens], case.prompt.shape[1]
    ends = range(start, start + len(tokens))
    return [history[max(0, end - case.trained.config.context) : end] for end in ends]


@torch.no_grad()
def seen(case: Case, window: np.ndarray, point: str) -> np.ndarray:
    """What stands at a hook point for one window (time,), without its trial axis."""
    return case.trained.model.run_with_cache(torch.as_tensor(window[None]), point)[1][point][0].numpy()
