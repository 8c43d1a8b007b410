"""The experiments of the figures: which networks are trained, and with which budget.

Budgets: 3000 updates of 64 sequences (sweeps and ablations: 2000; recurrent networks: 5000, but 2500 of
copying, whose sequences are the longest, and 3000 of drawings), 10 000 single sequences for networks that
are trained as published, and 4000 single episodes of drawings. They were fixed before any result was
looked at, except that recurrent networks were to copy for 5000 updates, too: that was halved for the sake
of its cost, when only those of the RNN without plasticity had been trained (and were trained anew). Seeds
are paired: network k of every cell has the seed k, so the same first weights where shapes agree, and the
same sequences.
"""

from __future__ import annotations

__all__ = [
    "DELAYS", "EXPERIMENTS", "IMAGES", "KINDS", "LENGTHS", "PROTOCOLS", "SEEDS", "Cell", "cells", "ensembles",
    "scored_at",
]  # fmt: skip

from collections.abc import Sequence
from dataclasses import dataclass

from .families import (
    PAPER_RULES,
    RECURRENT,
    RECURRENT_TASKS,
    TASKS,
    WHOLE,
    WHOLE_TASKS,
    WRITING_RULES,
    PlasticConfig,
    config,
)
from .learner import same_kind

SEEDS = tuple(str(seed) for seed in range(6))
DELAYS = (0, 10, 20, 40, 60)
LENGTHS = (10, 20, 30, 40)
"""items without delay; five are among the delays"""
DEPTHS = (2, 4, 8)
LONG = 10_000
"""sequences of networks that are trained as published, one an update: up to a hundred times as many"""
SHORT = 2000
"""updates of 64 sequences for sweeps and ablations"""


@dataclass(frozen=True)
class Cell:
    """Networks of one kind, in one place of one experiment."""

    experiment: str
    variant: str
    """what is special about it: `windowed`, `no auxiliary`, ... ; `usual` if nothing is"""
    config: PlasticConfig


def cells(experiment: str) -> list[Cell]:
    """The cells of an experiment; ValueError for an unknown one."""
    if experiment not in EXPERIMENTS:
        raise ValueError(f"unknown experiment {experiment!r}: there are {', '.join(EXPERIMENTS)}")
    return [Cell(experiment, variant, each) for variant, each in EXPERIMENTS[experiment]()]


def ensembles(wanted: Sequence[Cell]) -> list[list[Cell]]:
    """Cells that can be trained together, in groups."""
    groups: list[list[Cell]] = []
    for cell in wanted:
        for group in groups:
            try:
                same_kind([group[0].config, cell.config])
            except ValueError:
                continue
            if cell.experiment != "memory" or cell.variant.split()[0] == group[0].variant.split()[0]:
                group.append(cell)
                break
        else:
            groups.append([cell])
    return groups


def _performance():
    """Every task, rule and preset, and other attention in place of plasticity."""
    for task in TASKS:
        for rule in PAPER_RULES:
            yield "usual", config(f"{task}_{rule}")
            yield "usual", config(f"published_{task}_{rule}", updates=LONG)
    for body in WHOLE:
        for task in WHOLE_TASKS:
            yield "usual", config(f"{body}_{task}")


def _memory():
    """Copying over delays and lengths, with attention to everything or to the last few tokens."""
    for rule in PAPER_RULES:
        for family in (f"copying_{rule}", f"windowed_copying_{rule}"):
            for delay in DELAYS:
                yield f"delay {delay}", config(family, delay=delay, updates=SHORT)
            for items in LENGTHS:
                length = {"items": items, "queries": items, "delay": 0}
                yield f"length {items}", config(family, **length, updates=SHORT)


ABLATIONS = {
    "usual": {},
    "no auxiliary": {"auxiliary": 0},
    "eta0 = 0": {"eta0": 0.0},
    "clip at 100": {"max_norm": 100.0},
    "alpha from 1": {"alpha_start": "ones"},
    "alpha from -1": {"alpha_start": "minus_ones"},
    "not modulated": {"modulated": False},
}
"""what is changed in sound networks"""
PUBLISHED_ABLATIONS = {
    "usual": {},
    "no auxiliary": {"auxiliary": 0},
    "eta0 = 0": {"eta0": 0.0},
    "clip at 100": {"max_norm": 100.0},
    "not modulated": {"modulated": False},
}


def _ablations():
    for rule in WRITING_RULES:
        for family in (f"windowed_copying_{rule}", f"regression_{rule}"):
            for variant, changes in ABLATIONS.items():
                yield variant, config(family, updates=SHORT, **changes)
        for variant, changes in PUBLISHED_ABLATIONS.items():
            yield variant, config(f"published_copying_{rule}", updates=LONG, **changes)


def _depth():
    """The published divergence of deep networks, which is about the published updates."""
    for rule in PAPER_RULES:
        for layers in DEPTHS:
            yield f"{layers} layers", config(f"published_copying_{rule}", layers=layers, updates=LONG)


def _recurrent():
    for body in RECURRENT:
        for task in RECURRENT_TASKS:
            for rule in PAPER_RULES:
                yield "usual", config(f"{body}_{task}_{rule}")


KINDS = ((5, 1), (5, 5), (20, 1))
"""ways and shots of episodes of drawings"""
IMAGES = ("emoji", "kanji")
"""data sets of drawings that are shipped"""


def _images():
    """Drawings as frozen numbers of a prototypical network: transformers; recurrent networks on one kind."""
    for dataset in IMAGES:
        for split in ("random", "groups"):
            for ways, shots in KINDS:
                episodes = {"split": split, "ways": ways, "shots": shots, "queries": ways}
                bodies = ("", "rnn_", "lstm_") if (ways, shots) == (5, 1) else ("",)
                families = [f"{body}{dataset}_{rule}" for body in bodies for rule in PAPER_RULES]
                for family in (*families, f"linear_attention_{dataset}"):
                    yield f"{split} {ways}-way {shots}-shot", config(family, **episodes)
        for rule in WRITING_RULES:
            yield "last block", config(f"{dataset}_{rule}", plastic_blocks="last")


PROTOCOLS = {
    "as published": {"split": "shared"},
    "shuffled": {"shuffled": True, "split": "shared"},
    "other classes": {"split": "random"},
    "shuffled, other classes": {"shuffled": True, "split": "random"},
    "blind": {"encoder": "blind", "split": "shared"},
    "blind, shuffled": {"encoder": "blind", "split": "shared", "shuffled": True},
}
"""what is changed in the published episodes: drawings class by class, of the classes of training"""
LONG_IMAGES = 4000
"""episodes of networks trained as published, ten times as many"""


def _protocol():
    for dataset in IMAGES:
        for rule in PAPER_RULES:
            for variant, changes in PROTOCOLS.items():
                yield variant, config(f"published_{dataset}_{rule}", updates=LONG_IMAGES, **changes)


EXPERIMENTS = {
    "performance": _performance,
    "memory": _memory,
    "ablations": _ablations,
    "depth": _depth,
    "recurrent": _recurrent,
    "images": _images,
    "protocol": _protocol,
}
"""name -> pairs of variant and settings"""


def scored_at(settings: PlasticConfig) -> tuple[int, ...]:
    """Updates after which networks that are trained as published are scored, with the published number."""
    if settings.differentiated or settings.body in WHOLE:
        return ()
    return tuple(sorted({config(settings.family).updates, 100, 300, 1000, 3000, 5000}))
