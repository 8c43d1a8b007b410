"""What can be read from each stage of a network: symbol, steps held, phase, and what comes next.

All windows of a cycle are known, so nothing has to be sampled; but a decoder that may see every state is
always right where states differ (18 points in 72 dimensions). Decoders are therefore read where they were not
fitted: at a place in the window (leave one position out), or under a symbol, that they have never seen. The
mean over windows is first taken from the states of every position, which needs no labels: without it the
position embedding, far larger than all else, would move every new position out of range.

`wm states symbolic stages` writes, `table` reads::

    data_json/symbolic/stages.csv           what is read from a stage of a network, a row each
    data_json/symbolic/phase_geometry.csv   a row for each network and stage
    data_json/symbolic/attention.csv        a row for each head
"""

from __future__ import annotations

__all__ = [
    "FAMILIES", "MAIN", "Labels", "before_training", "by_position", "decode", "distinct", "geometry",
    "labels", "last_states", "measure", "stages", "states", "table",
]  # fmt: skip

from collections.abc import Iterator, Sequence
from dataclasses import replace
from typing import NamedTuple

import numpy as np
import pandas as pd
import torch
from numpy.typing import ArrayLike

from .. import measured
from ..decode import balanced_accuracy, chance, fit_decoder
from . import derived, phase_geometry
from .attention import heads
from .families import FAMILIES as KNOWN
from .hooks import Hooked
from .learner import untrained
from .library import Trained, load_family
from .task import Cycle
from .transformer import Transformer

FAMILIES = ("cycle", "sampled", "jitter", "scrambled", "gru", "mlp")
MAIN = {"transformer": "resid_post", "gru": "state", "mlp": "hidden_1"}
"""kind of model -> the stage from which its answer is read out"""
SHUFFLES = 2
"""times that the labels are shuffled for the null of one network"""


class Labels(NamedTuple):
    """What there is to know after each prefix of the windows, (window, time)."""

    symbol: np.ndarray
    """the last symbol"""
    held: np.ndarray
    """steps since the last change, from 1; 0 where no change has been seen yet"""
    next: np.ndarray
    """exact probability of the next symbol, (window, time, symbol)"""

    @property
    def phase(self) -> np.ndarray:
        """One number for each combination of symbol and steps held, in the order of the cycle."""
        return self.symbol * (self.held.max() + 1) + self.held

    @property
    def first(self) -> int:
        """The first place at which all windows have shown a change; ValueError if there is none."""
        known = (self.held > 0).all(axis=0)
        if not known.any():
            raise ValueError("windows are too short: not all of them show a change of symbol")
        return int(known.argmax())


def labels(cycle: Cycle, tokens: ArrayLike) -> Labels:
    """Labels of windows (window, time) of a cycle."""
    tokens = np.asarray(tokens)
    held = np.zeros_like(tokens)
    for t in range(1, tokens.shape[1]):
        counted = np.where(held[:, t - 1] > 0, held[:, t - 1] + 1, 0)
        held[:, t] = np.where(tokens[:, t] == tokens[:, t - 1], counted, 1)
    return Labels(tokens, held, cycle.predictive(tokens))


def stages(model: Hooked) -> dict[str, str]:
    """Short names of the stages of a model, in their order, with their hook points.

    resid_pre: the sum of both embeddings; attn_out: what attention adds to it; resid_post: the sum.
    """
    if not isinstance(model, Transformer):
        shown = [name.removeprefix("hook_") for name in model.hook_names()]
        return {name if name == "state" else f"hidden_{name}": f"hook_{name}" for name in shown}
    block = {name: f"blocks.0.hook_{name}" for name in ("resid_pre", "attn_out", "resid_post")}
    return {"embed": "hook_embed", "pos_embed": "hook_pos_embed"} | block


@torch.no_grad()
def states(model: Hooked, tokens: ArrayLike) -> dict[str, np.ndarray]:
    """States at each of `stages`, and z of each head ("head 0", ...), (window, time, unit), float64."""
    shown = stages(model)
    z = ["blocks.0.attn.hook_z"] * isinstance(model, Transformer)
    cache = model.run_with_cache(torch.as_tensor(np.asarray(tokens)), [*shown.values(), *z])[1]
    found = {stage: cache[name].double().numpy() for stage, name in shown.items()}
    of_heads = [part for name in z for part in cache[name].double().unbind(2)]
    return found | {f"head {h}": part.numpy() for h, part in enumerate(of_heads)}


def before_training(trained: Trained) -> Trained:
    """The same network as its training found it."""
    return replace(trained, model=untrained(trained.config, trained.seed))


def last_states(trained: Trained, stage: str | None = None) -> np.ndarray:
    """States of the phases at the last place, in the order of the cycle, (phase, unit); default: `MAIN`.

    Where several windows end in the same phase (random holding times): their mean, by probability.
    """
    config = trained.config
    windows = config.cycle().windows(config.context)
    phase = labels(config.cycle(), windows.tokens).phase[:, -1]
    x = states(trained.model, windows.tokens)[stage or MAIN[config.model]][:, -1]
    own = (phase == np.unique(phase)[:, None]) * windows.probability
    return own @ x / own.sum(axis=1, keepdims=True)


def distinct(x: ArrayLike, *, tolerance: float = 1e-4) -> int:
    """Number of different states in x (..., unit), up to rounding to `tolerance` of their spread."""
    x = np.asarray(x, dtype=np.float64).reshape(-1, np.shape(x)[-1])
    grain = tolerance * (np.abs(x - x.mean(axis=0)).max() or 1)
    return len(np.unique(np.round(x / grain), axis=0))


# ---------------------------------------------------------------- decoding


class Reading(NamedTuple):
    """What a decoder is asked: y of states x, in each group by a decoder fitted to the others."""

    x: np.ndarray  # (state, unit)
    y: np.ndarray  # (state,), or probabilities (state, symbol)
    groups: np.ndarray  # (state,)

    @property
    def kind(self) -> str:
        """Of decoder."""
        return "logistic" if self.y.ndim == 1 else "linear"

    @property
    def chance(self) -> float:
        """Score of a guess."""
        return chance(self.y) if self.y.ndim == 1 else 0.0

    def read(self) -> np.ndarray:
        """The answers, of the shape of y."""
        answer = np.empty_like(self.y)
        for group in np.unique(self.groups):
            test = self.groups == group
            answer[test] = fit_decoder(self.x[~test], self.y[~test], kind=self.kind).predict(self.x[test])
        return answer

    def score(self) -> float:
        """Balanced accuracy; of probabilities the share of their variance, R^2 over all symbols."""
        answer = self.read()
        if self.y.ndim == 1:
            return balanced_accuracy(self.y, answer)
        return float(1 - ((self.y - answer) ** 2).sum() / ((self.y - self.y.mean(axis=0)) ** 2).sum())

    def shuffled(self, generator: np.random.Generator) -> Reading:
        """With the labels of each group shuffled."""
        y = self.y.copy()
        for group in np.unique(self.groups):
            own = np.flatnonzero(self.groups == group)
            y[own] = self.y[generator.permutation(own)]
        return self._replace(y=y)


def _readings(x: np.ndarray, known: Labels) -> Iterator[tuple[str, str, Reading]]:
    """What is read, what is left out of the fit, and the reading, from states (window, time, unit)."""
    first, x = known.first, x - x.mean(axis=0)
    late = x[:, first:].reshape(-1, x.shape[-1])
    at = np.tile(np.arange(first, x.shape[1]), len(x))
    for name in ("symbol", "held", "phase", "next"):
        y = getattr(known, name)[:, first:]
        yield name, "position", Reading(late, y.reshape(-1, *y.shape[2:]), at)
    symbol, held = known.symbol[:, -1], known.held[:, -1]
    yield "symbol", "held", Reading(x[:, -1], symbol, held)
    yield "held", "symbol", Reading(x[:, -1], held, symbol)


def decode(x: ArrayLike, known: Labels, *, only: str = "", shuffles: int = 0, seed: int = 0) -> pd.DataFrame:
    """Held-out scores of linear decoders of states x (window, time, unit), a row each.

    variable and left_out: symbol, held, phase (both together) and next (probabilities of the next symbol),
    each read at one position by a decoder fitted to the others, of those at which all windows have shown a
    change; at the last position alone, the symbol after a number of steps, and held under a symbol, that the
    decoder has not seen. score: balanced accuracy (next: R^2); chance; null, null_high: mean and largest
    score with labels shuffled `shuffles` times within what is left out. only: one variable. Raises
    ValueError if windows are too short.
    """
    x, generator, rows = np.asarray(x, dtype=np.float64), np.random.default_rng(seed), []
    for variable, left_out, reading in _readings(x, known):
        if only in ("", variable):
            null = [reading.shuffled(generator).score() for _ in range(shuffles)] or [np.nan]
            rows.append((variable, left_out, reading.score(), reading.chance, np.mean(null), max(null)))
    return pd.DataFrame(rows, columns=["variable", "left_out", "score", "chance", "null", "null_high"])


def by_position(x: ArrayLike, known: Labels) -> pd.DataFrame:
    """Symbol and steps held ("no change yet" included) at each position, by decoders fitted to all others.

    x: states (window, time, unit). position, from 2; score: balanced accuracy over what occurs there; chance:
    1 / its number; symbol_alone: the most that the symbol by itself allows.
    """
    x, times = np.asarray(x, dtype=np.float64), np.arange(1, np.shape(x)[1])
    x, y = (x - x.mean(axis=0))[:, 1:], known.phase[:, 1:]
    at = np.tile(times, len(x))
    answers = Reading(x.reshape(-1, x.shape[-1]), y.ravel(), at).read().reshape(y.shape)
    symbols = len(np.unique(known.symbol))
    rows = [
        (t + 1, balanced_accuracy(true, answer), chance(true), symbols * chance(true))
        for t, true, answer in zip(times, y.T, answers.T, strict=True)
    ]
    return pd.DataFrame(rows, columns=["position", "score", "chance", "symbol_alone"])


# ---------------------------------------------------------------- the tables


def measure(families: Sequence[str] | None = None, *, device: str = "cpu") -> pd.DataFrame:
    """Measure the saved networks of these families (default: `FAMILIES`), trained and untrained.

    Writes the three tables; returns the rows of stages. device: not used. ValueError for a
    family without cycles, or if nothing is saved; what `wm.measured.Measuring.save` raises.
    """
    wanted = derived.saved_families(families, among=FAMILIES)
    options = {"device": "cpu", "families": families}
    run = measured.Measuring("symbolic/stages", measure, wanted, known=KNOWN, options=options)
    tables: dict[str, list[pd.DataFrame]] = {}
    for family in wanted:
        for trained in load_family(family):
            for each, is_trained in ((trained, True), (before_training(trained), False)):
                about = {"family": family, "network": each.name, "seed": each.seed, "trained": is_trained}
                for name, rows in _measured(each, is_trained).items():
                    tables.setdefault(name, []).append(pd.DataFrame(about, index=rows.index).join(rows))
    found = {name: pd.concat(rows, ignore_index=True) for name, rows in tables.items()}
    run.save(found)
    return found["stages"]


def _measured(each: Trained, is_trained: bool) -> dict[str, pd.DataFrame]:
    """Rows of one network for each table; an untrained one is read at its main stage alone."""
    config = each.config
    tokens = config.cycle().windows(config.context).tokens
    known, main, rows = labels(config.cycle(), tokens), MAIN[config.model], []
    for stage, x in states(each.model, tokens).items():
        of_head = stage.startswith("head")
        shown = not stage.endswith("embed") and (config.family == "cycle" or not of_head)
        if not (shown if is_trained else stage == main):
            continue
        shuffles = SHUFFLES if is_trained and stage == main else 0
        found = decode(x, known, only="phase" if of_head else "", shuffles=shuffles).assign(position=0)
        if stage == main and is_trained:
            places = by_position(x, known).drop(columns="symbol_alone")
            found = pd.concat([found, places.assign(variable="phase", left_out="position")])
        found.insert(0, "stage", stage)
        rows.append(found)
    tables = {"stages": pd.concat(rows, ignore_index=True), "phase_geometry": geometry(each)}
    return tables | ({"attention": heads(each)} if config.model == "transformer" else {})


def geometry(trained: Trained) -> pd.DataFrame:
    """A row for each stage: distinct states of all places, and of the last one, and the geometry of phases.

    The latter (`wm.symbolic.phase_geometry.describe`) is left empty where several phases share a state.
    """
    config = trained.config
    tokens = config.cycle().windows(config.context).tokens
    rows = []
    for stage, x in states(trained.model, tokens).items():
        if stage.startswith("head"):
            continue
        row = {"stage": stage, "distinct": distinct(x), "distinct_last": distinct(x[:, -1])}
        phases = last_states(trained, stage)
        if distinct(phases) == len(phases):
            row |= phase_geometry.describe(phases, config.symbols)
        rows.append(row)
    return pd.DataFrame(rows, columns=["stage", "distinct", "distinct_last", *phase_geometry.COLUMNS])


def table(name: str = "stages") -> pd.DataFrame:
    """A shipped table: stages, phase_geometry or attention. Raises `wm.store.DamagedFile`."""
    return measured.read("symbolic", name, "stages")
