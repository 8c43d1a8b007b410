"""How a network takes up labelled drawings within an episode, and where it holds them.

A network is stopped after any number of labelled drawings and asked for the queries from there (`by_items`).
What it holds then can be edited: its fast weights exchanged for those of another episode, while attention, or
the units of a recurrent network, stay, or the reverse (`swapped`); and what its queries read of fast weights
is looked at (`decoded`, `class_reads`).
"""

from __future__ import annotations

__all__ = [
    "SWAPS", "Asked", "ByItems", "Held", "asked", "by_items", "ceiling", "class_reads", "decoded", "held",
    "pictures", "rate_follows_class", "read_scores", "relabelled", "swapped",
]  # fmt: skip

from collections.abc import Sequence
from dataclasses import dataclass
from typing import NamedTuple

import numpy as np
import torch
from torch import Tensor

from ...decode import cross_validate
from ...train import numpy_generator
from ..engine import Engine, encoded
from ..evaluate import test_episodes
from ..families import WHOLE, PlasticConfig, make_task
from ..inside import Watched, watch
from ..library import Trained
from ..memory import Memory
from ..rates import knobs
from ..reads import item_reads
from .pools import SIDE, pool

SWAPS = ("nothing", "fast weights", "the rest", "both")
"""what queries find of an episode with other labels; the rest: keys and values of attention, or units"""


@dataclass(frozen=True, eq=False)
class Held:
    """What a network holds of the tokens so far: fast weights, and keys and values of attention, or units."""

    memory: Memory
    state: dict

    def each(self, trials: Sequence[int] | np.ndarray) -> Held:
        """The same of these trials, in this order."""
        trials = torch.as_tensor(trials)
        parts = ({name: each[:, trials] for name, each in part.items()} for part in self.memory[1:])
        memory = Memory(self.memory.coefficients[:, trials], *parts)
        return Held(memory, _mapped(self.state, lambda part: part[:, trials]))


class Asked(NamedTuple):
    """What a network does with queries."""

    answers: np.ndarray
    """the class named, (trial, query)"""
    fast: dict[str, np.ndarray]
    """plastic layer -> w x + c (trial, query, output)"""


class ByItems(NamedTuple):
    """Share of right answers after 0, 1, ... labelled drawings, each (item,)."""

    all: np.ndarray
    seen: np.ndarray
    """of queries whose class has been shown by then; NaN where there are none"""
    unseen: np.ndarray
    """of the others; NaN where there are none"""
    ceiling: np.ndarray
    """see `ceiling`"""


class _Stepwise(Engine):
    """The engine token by token, from what is held, with what plastic layers said."""

    def __init__(self, trained: Trained) -> None:
        if trained.config.body in WHOLE:
            raise ValueError(f"{trained.name} computes all tokens at once: it cannot be stopped on the way")
        like = next(iter(trained.weights.values()))
        super().__init__(trained.config, trained.weights, knobs([trained.config], like), {})
        self.seen: list[dict[str, Tensor]] = []

    def _pass(self, *args, **how):
        done = super()._pass(*args, **how)
        self.seen.append({name: fast.detach() for name, (_, _, _, fast) in done.layers.seen.items()})
        return done


@torch.no_grad()
def held(trained: Trained, inputs: np.ndarray) -> list[Held]:
    """What a network holds before the first and after every token, (time + 1) of them.

    inputs (trial, time, input). Raises ValueError for a network that computes all tokens at once.
    """
    engine = _Stepwise(trained)
    tokens = encoded(trained.config, torch.as_tensor(inputs)[None], trained.weights)
    engine.begin(tokens)
    found = [Held(engine.memory, engine.state)]
    for token in tokens.split(1, dim=2):
        engine.step(token)
        found.append(Held(engine.memory, engine.state))
    return found


@torch.no_grad()
def asked(trained: Trained, before: Held, queries: np.ndarray) -> Asked:
    """What a network answers that holds this, to queries (trial, query, input) one after the other.

    They stand at the places that queries have in whole episodes, also where fewer drawings came before.
    """
    task, engine = make_task(trained.config), _Stepwise(trained)
    tokens = encoded(trained.config, torch.as_tensor(queries)[None], trained.weights)
    engine.begin(tokens)
    engine.memory, engine.state, engine.time = before.memory, before.state, task.support
    for token in tokens.split(1, dim=2):
        engine.step(token)
    answers = engine.trace().answers[0].argmax(dim=-1).numpy()
    fast = {
        name: torch.cat([seen[name] for seen in engine.seen], dim=2)[0].numpy() for name in engine.seen[0]
    }
    return Asked(answers, fast)


def pictures(config: PlasticConfig, trials: int, trial: int) -> tuple[np.ndarray, np.ndarray]:
    """One of so many test episodes: drawings (time, row, column, channel) from 0 to 1, and labels (time,)."""
    task = make_task(config).held_out
    drawings, labels = task.choose(trials, numpy_generator("test", "plastic", config.task))
    pixels = pool(task.dataset, task.split, task.part, "none").vectors[drawings[trial]]
    maps = pixels.reshape(task.length, task.channels, SIDE, SIDE)
    return (np.moveaxis(maps, 1, -1) + 1) / 2, labels[trial]


# ---------------------------------------------------------------- accuracy by labelled drawings


def by_items(trained: Trained, trials: int = 256) -> ByItems:
    """Answers to the queries of test episodes after 0, 1, ... of their labelled drawings."""
    inputs, targets, support = _episodes(trained.config, trials)
    labels = inputs[:, :support, _labels(trained.config)].argmax(axis=-1)
    found = []
    for items, before in enumerate(held(trained, inputs[:, :support])):
        right = asked(trained, before, inputs[:, support:]).answers == targets
        known = (targets[..., None] == labels[:, None, :items]).any(axis=-1)
        found.append((right.mean(), _mean(right[known]), _mean(right[~known])))
    known, guess, without = (np.array(column) for column in zip(*found, strict=True))
    return ByItems(known, guess, without, ceiling(labels, make_task(trained.config).ways))


def ceiling(labels: np.ndarray, ways: int) -> np.ndarray:
    """The best accuracy after 0, 1, ... labelled drawings, (item,); labels (trial, item).

    Who knows d of the classes names their queries, and guesses among the labels that were not given for the
    others: (d + 1) / ways of queries that are of any class each, and 1 where all are known.
    """
    given = labels[:, :, None] == np.arange(ways)  # (trial, item, way)
    classes = np.maximum.accumulate(given, axis=1).sum(axis=2)
    classes = np.pad(classes, ((0, 0), (1, 0)))
    return np.minimum((classes + 1) / ways, 1).mean(axis=0)


# ---------------------------------------------------------------- swapped


def relabelled(config: PlasticConfig, inputs: np.ndarray) -> np.ndarray:
    """The same episodes with every label one further, cyclically: the drawing with label 0 now has 1."""
    moved = inputs.copy()
    moved[..., _labels(config)] = np.roll(inputs[..., _labels(config)], 1, axis=-1)
    return moved


def swapped(trained: Trained, trials: int = 256) -> dict[str, tuple[float, float]]:
    """What of `SWAPS` comes from the episode with other labels -> shares of answers with own and other label.

    The two episodes have the same drawings in the same order, so that queries fit both, and labels alone tell
    which one is answered from.
    """
    inputs, targets, support = _episodes(trained.config, trials)
    ways = make_task(trained.config).ways
    own, other = (
        held(trained, each[:, :support])[-1] for each in (inputs, relabelled(trained.config, inputs))
    )
    mixed = (own, Held(other.memory, own.state), Held(own.memory, other.state), other)
    found = {}
    for name, before in zip(SWAPS, mixed, strict=True):
        answers = asked(trained, before, inputs[:, support:]).answers
        found[name] = float((answers == targets).mean()), float((answers == (targets + 1) % ways).mean())
    return found


# ---------------------------------------------------------------- read


def decoded(trained: Trained, trials: int = 256) -> dict[str, float]:
    """How often a linear decoder finds the label of a query in what all layers read of fast weights, w x + c.

    own: of the episode's own fast weights. unrelated: of those of another episode, all else as it is: what
    can be read there comes with x, through attention or units. Decoders are fitted on other episodes. Empty
    for a network that never writes.
    """
    inputs, targets, support = _episodes(trained.config, trials)
    own = held(trained, inputs[:, :support])[-1]
    if not own.memory.values:
        return {}
    other = own.each(np.roll(np.arange(trials), 1))
    groups = np.repeat(np.arange(trials), targets.shape[1])
    found = {}
    for name, before in (("own", own), ("unrelated", Held(other.memory, own.state))):
        fast = asked(trained, before, inputs[:, support:]).fast
        read = np.concatenate([*fast.values()], axis=-1)
        x = read.reshape(len(groups), -1).astype(np.float64)
        score = cross_validate(x, targets.ravel(), groups=groups, kind="ridge").score
        found[name] = float(score)
    return found


def class_reads(watched: Watched, inputs: np.ndarray, targets: np.ndarray) -> np.ndarray:
    """How much each query reads of each class, its own first, as shares of their sum, (trial, query, way).

    Lengths of what is read of single labelled drawings (`wm.plastic.reads.item_reads`), added up by class.
    inputs (trial, time, input), targets (trial, time): those that were watched.
    """
    config = watched.trained.config
    task = make_task(config)
    support = task.support
    given = inputs[:, :support, _labels(config)]  # (trial, item, way)
    reads = item_reads(watched, support) @ given
    order = (targets[:, support:, None] + np.arange(task.ways)) % task.ways
    return np.take_along_axis(reads, order, axis=2)


def read_scores(trained: Trained, trials: int = 256) -> dict[str, float]:
    """From `class_reads` of test episodes: share of the own class, and how often it is the largest."""
    inputs, targets = test_episodes(trained.config, trials)
    reads = class_reads(watch(trained, inputs), inputs, targets)
    return {"share": float(reads[..., 0].mean()), "largest": float((reads.argmax(axis=-1) == 0).mean())}


def rate_follows_class(watched: Watched, inputs: np.ndarray, targets: np.ndarray) -> dict[str, float]:
    """Correlations of log10 rates of queries with those of labelled drawings, over trials and queries.

    own: of the labelled drawings of the same class; other: of the class with the next label. inputs
    (trial, time, input), targets (trial, time): those that were watched.
    """
    support = make_task(watched.trained.config).support
    rates = watched.trace.rates.rate[0].log10().numpy()
    given = inputs[:, :support, _labels(watched.trained.config)]  # (trial, item, way)
    classes = (rates[:, None, :support] @ given / given.sum(axis=1, keepdims=True))[:, 0]
    found = {}
    for name, step in (("own", 0), ("other", 1)):
        labelled = np.take_along_axis(classes, (targets[:, support:] + step) % classes.shape[1], axis=1)
        found[name] = float(np.corrcoef(labelled.ravel(), rates[:, support:].ravel())[0, 1])
    return found


def _episodes(config: PlasticConfig, trials: int) -> tuple[np.ndarray, np.ndarray, int]:
    """Inputs of test episodes, targets of queries (trial, query), and the number of labelled drawings."""
    inputs, targets = test_episodes(config, trials)
    support = make_task(config).support
    return inputs, targets[:, support:], support


def _labels(config: PlasticConfig) -> slice:
    """Where labels are in an input."""
    return slice(-make_task(config).ways - 1, -1)


def _mean(right: np.ndarray) -> float:
    return float(right.mean()) if right.size else float("nan")


def _mapped(state, change):
    """A state of nested dictionaries and tuples of tensors, each changed."""
    if isinstance(state, Tensor):
        return change(state)
    if isinstance(state, dict):
        return {name: _mapped(each, change) for name, each in state.items()}
    return tuple(_mapped(each, change) for each in state)
