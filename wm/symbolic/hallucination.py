"""What networks make of prompts that the cycle cannot show: how they err, and how soon they are back on it.

Each generated symbol is compared with the best prediction q: that of the process itself, given the longest
ending of the last `context` symbols that is legal (all of them, unless something impossible came before).
q = 0 marks what is impossible: a step to the wrong symbol, or one held too long or not long enough.
`wm states symbolic hallucination` writes, `table` reads::

    data_json/symbolic/hallucination.csv             a row per network, state and distance of the prompts
    data_json/symbolic/hallucination_published.csv   the same for each prompt of `prompts.PUBLISHED`
    data_json/symbolic/hallucination_ambiguous.csv   after one symbol held for 1, 2, ... steps
    data_json/symbolic/hallucination_basins.csv      share of all windows from which greedy generation returns
    data_json/symbolic/hallucination_copying.csv     how often what was 1, 2, ... steps back moves on by one
    data_npy/symbolic/hallucination.h5               `CURVES` by step, (curve, network, distance, step)

States: trained; untrained (the network of a seed before its training); exact (q itself as the predictor).
"""

from __future__ import annotations

__all__ = [
    "BASINS", "COLUMNS", "CURVES", "DISTANCES", "LIMIT", "STATES", "STEPS", "Outcome", "curves", "holding",
    "hold_errors", "illegal_mass", "illegal_steps", "measure", "outcome", "recovery", "table",
]  # fmt: skip

from collections import defaultdict
from collections.abc import Iterator, Sequence
from typing import NamedTuple

import numpy as np
import pandas as pd
from numpy.lib.stride_tricks import sliding_window_view

from .. import measured, paths, store
from ..train import numpy_generator
from . import prompts
from .derived import saved_families
from .evaluate import log_probabilities
from .families import FAMILIES
from .generation import Generated, Predictor, basins, copying, exact_predictor, expected, generate
from .learner import untrained
from .library import Trained, load_family
from .runs import run_lengths
from .task import Cycle

DISTANCES = (0, 1, 2, 3, 4, 5, 6)
"""Hamming distances of prompts from the nearest legal window; no window of the published cycle has more"""
STEPS = 100
"""symbols generated after each prompt, as published"""
LIMIT = 82
"""steps; recovery later than this, in the last cycle that was generated, would go unseen (jittered: 79)"""
COLUMNS = (
    "illegal", "hold_error", "impossible", "nll", "illegal_mass", "impossible_mass", "recovered",
    "recovery", "recovery_median", "lapsed",
)  # fmt: skip
"""measurements of a network on prompts of one kind, see `Outcome.summary`"""
CURVES = ("illegal_mass", "impossible_mass", "recovered")
"""means over prompts at each step: mass on symbols, and share of prompts recovered by then"""
BASINS = ("windows", "returns", "attractors", "legal_attractors")
"""number of windows at a distance, share from which greedy generation returns; of the network: attractors"""
STATES = {"cycle": ("trained", "untrained", "exact"), "jitter": ("trained", "exact")}
"""states measured of a family; of others trained alone"""


# ---------------------------------------------------------------- measures


def illegal_steps(cycle: Cycle, before: np.ndarray, tokens: np.ndarray) -> np.ndarray:
    """Whether each token is neither its forerunner nor the next symbol of the cycle, (trial, step) bool."""
    return (tokens - _forerunners(before, tokens)) % cycle.symbols > 1


def illegal_mass(cycle: Cycle, before: np.ndarray, found: Generated) -> np.ndarray:
    """Probability that the network gave to such symbols, (trial, step)."""
    ahead = (np.arange(cycle.symbols) - _forerunners(before, found.tokens)[..., None]) % cycle.symbols
    return np.where(ahead > 1, found.probabilities, 0).sum(axis=-1)


def _forerunners(before: np.ndarray, tokens: np.ndarray) -> np.ndarray:
    return np.concatenate([before[:, -1:], tokens[:, :-1]], axis=1)


def hold_errors(cycle: Cycle, tokens: np.ndarray) -> np.ndarray:
    """Share of the runs begun and ended within tokens (trial, time) that have a wrong length, (trial,).

    NaN without such a run.
    """
    runs = run_lengths(tokens)
    wrong = ~np.isin(runs.length, cycle.holding)
    ended, failed = (
        np.bincount(runs.trial[some], minlength=len(tokens))
        for some in (runs.complete, runs.complete & wrong)
    )
    return np.divide(failed, ended, out=np.full(len(tokens), np.nan), where=ended > 0)


def recovery(cycle: Cycle, tokens: np.ndarray) -> np.ndarray:
    """First index from which tokens (trial, time) are legal for one cycle, (trial,); infinite if never.

    One cycle: the period, or with several holding times the longest it can take.
    """
    span = cycle.symbols * max(cycle.holding)
    if tokens.shape[1] < span:
        raise ValueError(f"recovery takes {span} symbols to see, got {tokens.shape[1]}")
    windows = sliding_window_view(tokens, span, axis=1)
    legal = cycle.legal(windows)
    return np.where(legal.any(axis=1), legal.argmax(axis=1), np.inf)


class Outcome(NamedTuple):
    """What came of each prompt.

    illegal: bool (trial, step); hold_error: (trial,); recovery: (trial,), steps; surprise: -ln q of what came
    in nats, (trial, step), infinite where impossible; illegal_mass and impossible_mass: probability that the
    network gave to symbols that no step leads to, and to those with q = 0, (trial, step).
    """

    illegal: np.ndarray
    hold_error: np.ndarray
    recovery: np.ndarray
    surprise: np.ndarray
    illegal_mass: np.ndarray
    impossible_mass: np.ndarray

    def some(self, trials: slice | np.ndarray) -> Outcome:
        """Of some of the prompts."""
        return Outcome(*(values[trials] for values in self))

    @property
    def impossible(self) -> np.ndarray:
        """Tokens that the process cannot show there, bool (trial, step)."""
        return np.isinf(self.surprise)

    def lapsed(self, span: int) -> np.ndarray:
        """Whether something impossible came after the first legal cycle of `span` symbols, bool (trial,)."""
        steps = np.arange(self.surprise.shape[1])
        return (self.impossible & (steps >= self.recovery[:, None] + span)).any(axis=1)

    def summary(self, span: int) -> dict[str, float]:
        """`COLUMNS`: rates and means over tokens or prompts.

        nll: surprise of the tokens that are possible; recovered: share of prompts; recovery: mean, those that
        never recovered counted as `LIMIT` + 1, and median; lapsed: share of the recovered ones.
        """
        back = np.isfinite(self.recovery)
        values = (
            self.illegal.mean(), _mean(self.hold_error[~np.isnan(self.hold_error)]), self.impossible.mean(),
            _mean(self.surprise[~self.impossible]), self.illegal_mass.mean(), self.impossible_mass.mean(),
            back.mean(), np.minimum(self.recovery, LIMIT + 1).mean(),
            np.quantile(self.recovery, 0.5, method="inverted_cdf"), _mean(self.lapsed(span)[back]),
        )  # fmt: skip
        return {name: float(value) for name, value in zip(COLUMNS, values, strict=True)}

    def curves(self) -> np.ndarray:
        """`CURVES`, (curve, step)."""
        back = self.recovery[:, None] <= np.arange(self.surprise.shape[1])
        return np.stack([np.mean(x, axis=0) for x in (self.illegal_mass, self.impossible_mass, back)])


def _mean(values: np.ndarray) -> float:
    return values.mean() if values.size else np.nan


def outcome(cycle: Cycle, before: np.ndarray, found: Generated, *, context: int) -> Outcome:
    """Measure what a network generated after prompts `before` (trial, time) with a window of `context`."""
    tokens = found.tokens
    q = expected(cycle, before, tokens, context)
    with np.errstate(divide="ignore"):
        surprise = -np.log(np.take_along_axis(q, tokens[..., None], axis=-1)[..., 0])
    return Outcome(
        illegal_steps(cycle, before, tokens), hold_errors(cycle, tokens), recovery(cycle, tokens), surprise,
        illegal_mass(cycle, before, found), np.where(q == 0, found.probabilities, 0).sum(axis=-1),
    )  # fmt: skip


def holding(cycle: Cycle, model: Predictor, length: int) -> pd.DataFrame:
    """Prediction after one symbol held for 1, 2, ... steps: a row each, mean over symbols.

    Columns: held; ends, stays, illegal: probability of the next symbol of the cycle, the same, any other;
    exact: that it ends, by the process; kl: divergence of the prediction from the exact one, nats. The
    longest is `length` or as long as the process can hold a symbol.
    """
    tokens = prompts.ambiguous(cycle, length)
    exact = cycle.predictive(tokens)
    logs = log_probabilities(model, tokens)
    surplus = (exact * (np.log(np.where(exact > 0, exact, 1)) - np.where(exact > 0, logs, 0))).sum(axis=-1)
    ahead = (np.arange(cycle.symbols) - tokens[:, :1]) % cycle.symbols  # (prompt, symbol)
    ends, stays = (np.einsum("pts,ps->pt", np.exp(logs), ahead == steps) for steps in (1, 0))
    columns = {
        "ends": ends, "stays": stays, "illegal": 1 - ends - stays,
        "exact": np.einsum("pts,ps->pt", exact, ahead == 1), "kl": surplus,
    }  # fmt: skip
    means = {name: values.mean(axis=0) for name, values in columns.items()}
    return pd.DataFrame({"held": np.arange(1, tokens.shape[1] + 1)} | means)


# ---------------------------------------------------------------- tables


def measure(families: Sequence[str] | None = None, *, trials: int = 64, device: str = "cpu") -> pd.DataFrame:
    """Measure saved networks of these families (default: all of cycles), write tables and curves.

    Each network goes on from `trials` prompts of each distance, and as often from each published prompt.
    Prompts and draws of a network follow from its seed. Returns the rows by distance. device: not
    used. ValueError for an unknown family, or if nothing is saved; raises what `wm.measured.Measuring.save`
    does.
    """
    wanted = saved_families(families, among=[name for name in FAMILIES if name != "lorenz"])
    options = {"device": "cpu", "families": families, "trials": trials}
    run = measured.Measuring("symbolic/hallucination", measure, wanted, known=FAMILIES, options=options)
    tables: dict[str, list[pd.DataFrame]] = defaultdict(list)
    shown: dict[str, list[np.ndarray]] = {}
    for about, trained, model in _predictors(wanted):
        found = _outcomes(trained, model, trials)
        tables[""].append(_rows(about, trained, "distance", {d: found[d] for d in DISTANCES}))
        published = {name: found[name] for name in prompts.PUBLISHED}
        tables["_published"].append(_rows(about, trained, "prompt", published))
        if about["state"] != "exact":
            held = holding(trained.config.cycle(), model, trained.config.context)
            tables["_ambiguous"].append(held.round(6).assign(**about)[[*about, *held]])
        if about["state"] == "trained":
            tables["_basins"].append(_returning(trained).assign(**about)[[*about, "distance", *BASINS]])
        share = copying(model, trained.config.cycle(), trained.config.context).round(6)
        tables["_copying"].append(pd.DataFrame(about | {"back": np.arange(len(share)) + 1, "share": share}))
        key = about["family"] + ("" if about["state"] == "trained" else f"_{about['state']}")
        shown.setdefault(key, []).append(np.stack([found[d].curves() for d in DISTANCES], axis=1))
    rows = {f"hallucination{name}": pd.concat(parts, ignore_index=True) for name, parts in tables.items()}
    arrays = {key: np.stack(parts, axis=1).astype(np.float32) for key, parts in shown.items()}
    dims, attrs = ("curve", "network", "distance", "step"), {"curves": CURVES, "distances": DISTANCES}
    run.save(rows, {"hallucination": measured.States(arrays, dims, attrs)})
    return rows["hallucination"]


def _predictors(families: Sequence[str]) -> Iterator[tuple[dict[str, str], Trained, Predictor]]:
    """Every network in every state: its first columns, itself, and what predicts."""
    for family in families:
        for state in STATES.get(family, ("trained",)):
            for each in load_family(family):
                about = {"family": family, "network": each.name, "seed": each.seed, "state": state}
                if state == "trained":
                    yield about, each, each.model
                elif state == "untrained":
                    yield about, each, untrained(each.config, each.seed)
                else:
                    yield about, each, exact_predictor(each.config.cycle())


def _outcomes(trained: Trained, model: Predictor, trials: int) -> dict[object, Outcome]:
    """By distance, and by name of the published prompt."""
    cycle, context, seed = trained.config.cycle(), trained.config.context, trained.seed
    kinds: dict[object, np.ndarray] = {
        distance: prompts.corrupted(
            cycle, context, distance, trials=trials,
            generator=numpy_generator(seed, "corrupted prompts", distance),
        ) for distance in DISTANCES
    }  # fmt: skip
    for name, symbols in prompts.PUBLISHED.items():
        kinds[name] = prompts.tokens(symbols)[:, -context:].repeat(trials, axis=0)
    found = {}
    for length in {each.shape[1] for each in kinds.values()}:  # all of one length at once: it is faster
        own = [name for name, each in kinds.items() if each.shape[1] == length]
        before = np.concatenate([kinds[name] for name in own])
        generator = numpy_generator(seed, "hallucination", length)
        generated = generate(model, before, STEPS, context=context, generator=generator)
        whole = outcome(cycle, before, generated, context=context)
        found |= {name: whole.some(slice(k * trials, (k + 1) * trials)) for k, name in enumerate(own)}
    return {name: found[name] for name in kinds}


def _returning(trained: Trained) -> pd.DataFrame:
    """`BASINS` by distance, of every string as long as the context."""
    cycle = trained.config.cycle()
    found = basins(trained.model, cycle, trained.config.context)
    rows = pd.DataFrame({"distance": prompts.hamming(cycle, found.windows), "returns": found.returns})
    share = rows.groupby("distance").returns.agg(["size", "mean"]).reset_index().round(6)
    share.columns = ["distance", "windows", "returns"]
    return share.assign(attractors=found.attractors[0], legal_attractors=found.attractors[1])


def _rows(
    about: dict[str, str], trained: Trained, kind: str, outcomes: dict[object, Outcome]
) -> pd.DataFrame:
    cycle = trained.config.cycle()
    span = cycle.symbols * max(cycle.holding)
    parts = [about | {kind: name} | each.summary(span) for name, each in outcomes.items()]
    rows = pd.DataFrame(parts)
    rows[list(COLUMNS)] = rows[list(COLUMNS)].map(lambda value: float(f"{value:.5g}"))
    return rows


def table(name: str = "") -> pd.DataFrame:
    """The table by distance, or `published`, `ambiguous`, `basins`, `copying`; `DamagedFile` if missing."""
    return measured.read("symbolic", "_".join(filter(None, ("hallucination", name))), "hallucination")


def curves(family: str, state: str = "trained") -> np.ndarray:
    """`CURVES` of a family in a state, (curve, network, distance, step); raises as `load_states` does."""
    key = family + ("" if state == "trained" else f"_{state}")
    return store.load_states(paths.data_npy() / "symbolic" / "hallucination.h5", [key])[key]
