"""Memory span: how many symbols a network must see to know what comes next, and what it does beyond those.

A window of B symbols from a cycle with holding time h leaves h + 1 - B places within a run open if it is all
one symbol (B <= h), and none otherwise. So the next symbol is certain for B >= h, and below that the best
guess is wrong once in a run::

    accuracy of the last prediction <= 1 - 1/h     for B < h
                                       1           for B >= h

Networks are trained with windows of B symbols, for B around h, and scored at the last place, where they see
all of the window. `wm states symbolic span` trains and writes, `table` reads::

    data_json/symbolic/span.csv    a row per family, holding time, context and seed

The networks themselves are not kept.
"""

from __future__ import annotations

__all__ = [
    "AROUND", "CERTAIN", "HOLDS", "MEASURED", "SEEDS", "UPDATES", "exact", "measure", "on_floor",
    "reach", "setting", "spans", "switch_chance", "table", "transfer",
]  # fmt: skip

import time
from collections.abc import Mapping, Sequence

import numpy as np
import pandas as pd

from .. import measured, train
from .derived import saved_families
from .evaluate import Scores, log_probabilities, score
from .families import FAMILIES, SymbolicConfig, config
from .hooks import Hooked
from .learner import SymbolicLearner, frozen
from .library import Trained
from .task import Cycle

MEASURED = ("cycle", "gru", "mlp")
HOLDS = (3, 6, 9)
AROUND = (-2, -1, 0, 1, 2)
"""contexts less the holding time"""
SEEDS = tuple(map(str, range(6)))
UPDATES = 800
CERTAIN = 0.99
"""a window suffices from this accuracy at the last place on"""
FASTER = 10
"""learning rates, in those of the family"""
DECAY = 0.25
"""share of the updates over which learning rates fall to 0, so that networks settle"""
_SCORES = ("last_accuracy", "last_ceiling", "last_loss", "last_floor", "loss", "floor")


# ---------------------------------------------------------------- what is possible


def exact(process: Cycle, context: int) -> Scores:
    """Scores of the exact prediction from windows of `context` symbols: floor and ceiling at each place.

    Raises what `Cycle.windows` raises.
    """
    tokens, probability = process.windows(context)
    return Scores(process.entropies(context), probability @ process.predictive(tokens).max(axis=-1))


# ---------------------------------------------------------------- training


def setting(family: str, hold: int, context: int, updates: int = UPDATES) -> SymbolicConfig:
    """What networks of a family are trained with here: ten times the learning rate, and a decay.

    All else is as in the family. Raises ValueError for settings that make no network.
    """
    rate = FASTER * config(family).learning_rate
    options = {"holding": (hold,), "context": context, "updates": updates, "decay": DECAY}
    return config(family, learning_rate=rate, **options)


def _trained(wanted: SymbolicConfig, seeds: Sequence[str], device: str) -> tuple[list[Hooked], np.ndarray]:
    """Trained models, and their expected losses above the floor, (update, network)."""
    learner = SymbolicLearner(wanted, seeds, device=device)
    about = f"{wanted.family}, {wanted.holding[0]}, {wanted.context}"
    losses = [each.values["expected_loss"] for each in train.run(learner, wanted.updates, description=about)]
    weights = {name: value.detach().cpu() for name, value in learner.parameters.items()}
    models = [frozen(wanted, {name: value[k] for name, value in weights.items()}) for k in range(len(seeds))]
    return models, np.stack(losses) - wanted.cycle().floor(wanted.context)


def on_floor(excess: np.ndarray, within: float = 0.01) -> np.ndarray:
    """First update, from 1, at which a loss is within nats of its floor: (update, network) -> (network,).

    -1 where it never is.
    """
    below = np.asarray(excess) <= within
    return np.where(below.any(axis=0), below.argmax(axis=0) + 1, -1)


def _rows(wanted: SymbolicConfig, seeds: Sequence[str], device: str) -> list[dict]:
    begun = time.perf_counter()
    models, excess = _trained(wanted, seeds, device)
    process, found = wanted.cycle(), []
    best, windows = exact(process, wanted.context), process.windows(wanted.context + 1)
    about = {"family": wanted.family, "h": wanted.holding[0], "context": wanted.context}
    for seed, model, reached in zip(seeds, models, on_floor(excess), strict=True):
        own = score(model, windows)
        values = (own.accuracy_by_place[-1], best.accuracy_by_place[-1], own.loss_by_place[-1],
                  best.loss_by_place[-1], own.loss, best.loss)  # fmt: skip
        scores = {name: float(f"{value:.6g}") for name, value in zip(_SCORES, values, strict=True)}
        found.append(about | {"seed": seed} | scores | {"on_floor": int(reached), "updates": wanted.updates})
    seconds = round(time.perf_counter() - begun, 1)
    return [row | {"seconds": seconds} for row in found]


# ---------------------------------------------------------------- the table


def measure(
    families: Sequence[str] | None = None, *, device: str = "cpu", holds: Sequence[int] = HOLDS,
    around: Sequence[int] = AROUND, seeds: Sequence[str] = SEEDS, updates: int = UPDATES,
) -> pd.DataFrame:  # fmt: skip
    """Train networks of these families (default: all three models) and write the table; returns its new rows.

    holds: holding times; around: contexts less the holding time (those below 1 are left out). Columns:
    family, h, context, seed; at the last place last_accuracy, last_ceiling (of the exact prediction),
    last_loss, last_floor in nats; over all places loss, floor; on_floor: first update with an expected loss
    within 0.01 nats of the floor, -1 if none; updates; seconds, of all seeds at once. Raises ValueError for
    a family that is not measured here, and what `wm.train.run` and `wm.measured.Measuring.save` raise.
    """
    wanted = saved_families(families or MEASURED, among=MEASURED)
    options = {"device": device, "families": families, "holds": holds, "around": around, "seeds": seeds,
               "updates": updates}  # fmt: skip
    run = measured.Measuring("symbolic/span", measure, wanted, known=FAMILIES, options=options)
    cells = [(hold, hold + d) for hold in holds for d in around if hold + d > 0]
    rows: list[dict] = []
    for family in wanted:
        for hold, context in cells:
            rows += _rows(setting(family, hold, context, updates), seeds, device)
    found = pd.DataFrame(rows)
    run.save({"span": found})
    return found


def table() -> pd.DataFrame:
    """The shipped table, see `measure`. Raises `wm.store.DamagedFile` if it is missing."""
    return measured.read("symbolic", "span")


def spans(rows: pd.DataFrame, accuracy: float = CERTAIN) -> pd.DataFrame:
    """Span of each network: the smallest context from which on the last prediction is right that often.

    rows: of `measure`, networks of one seed being one network. Columns family, h, seed, span; NaN where the
    longest context that was trained does not suffice.
    """

    def first(own: pd.DataFrame) -> float:
        own = own.sort_values("context")
        good = (own.last_accuracy >= accuracy).to_numpy()
        enough = good[::-1].cumprod()[::-1].astype(bool)
        return float(own.context[enough].min()) if enough.any() else np.nan

    keys = ["family", "h", "seed"]
    found = [(*key, first(own)) for key, own in rows.groupby(keys, sort=False)]
    return pd.DataFrame(found, columns=[*keys, "span"])


# ---------------------------------------------------------------- what was not trained


def reach(trained: Sequence[Trained], process: Cycle, length: int) -> tuple[np.ndarray, np.ndarray]:
    """Loss in nats and accuracy of networks at each place of windows of `length`, both (network, place).

    `length` may be beyond the context that they were trained with. Raises what `Cycle.windows` raises.
    """
    windows = process.windows(length + 1)
    found = [score(each.model, windows) for each in trained]
    return np.array([s.loss_by_place for s in found]), np.array([s.accuracy_by_place for s in found])


def switch_chance(model: Hooked, symbols: int, longest: int) -> np.ndarray:
    """P(a new symbol comes) by a network once a symbol has been held for 1 to `longest` steps, (hold,).

    Prompts: a symbol, then its successor again and again; mean over symbols. New is the successor only.
    """
    held = np.repeat((np.arange(symbols)[:, None] + 1) % symbols, longest, axis=1)
    prompts = np.concatenate([np.arange(symbols)[:, None], held], axis=1)
    chances = np.exp(log_probabilities(model, prompts))[:, 1:]
    new = (held[:, :1] + 1) % symbols
    return chances[np.arange(symbols)[:, None], np.arange(longest), new].mean(axis=0)


def transfer(
    networks: Mapping[str, Sequence[Trained]], processes: Mapping[str, Cycle], context: int
) -> pd.DataFrame:
    """Networks on processes that they were not trained with, a row per network and process.

    Columns: family, network, process, excess (loss above the floor of the process in nats), last_accuracy,
    last_ceiling.
    """
    rows = []
    for name, process in processes.items():
        windows, best = process.windows(context + 1), exact(process, context)
        for family, several in networks.items():
            for each in several:
                own = score(each.model, windows)
                last = (own.accuracy_by_place[-1], best.accuracy_by_place[-1])
                rows.append((family, each.name, name, own.loss - best.loss, *last))
    columns = ["family", "network", "process", "excess", "last_accuracy", "last_ceiling"]
    return pd.DataFrame(rows, columns=columns)
