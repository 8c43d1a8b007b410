"""Tokens computed at once against one by one: what that costs in sweeps, and that it changes nothing."""

from __future__ import annotations

__all__ = ["compared", "compared_copying"]

from collections.abc import Sequence
from dataclasses import replace

import pandas as pd

from .evaluate import test_episodes
from .families import WRITING_RULES, config
from .library import Trained, load, untrained


def compared(trained: Trained, windows: Sequence[int], *, trials: int = 2) -> pd.DataFrame:
    """One network on test sequences in float64, a row for each window (tokens computed at once).

    Columns: window; sweeps, their mean number for a window; residual, relative change in the last sweep;
    fallbacks, windows computed token by token as they did not settle; difference, the largest of all answers
    from those computed one by one (nats or numbers). Raises ValueError, as `wm.plastic.run` does, for
    recurrent networks, whose tokens are computed one by one.
    """
    double = replace(trained, weights={name: value.double() for name, value in trained.weights.items()})
    inputs = test_episodes(trained.config, trials).inputs
    sequential, rows = double.run(inputs, window=1), []
    for window in windows:
        trace = sequential if window == 1 else double.run(inputs, window=window)
        difference = (trace.answers - sequential.answers).abs().max()
        rows.append([window, trace.sweeps, float(trace.residual), trace.fallbacks, float(difference)])
    columns = ["window", "sweeps", "residual", "fallbacks", "difference"]
    return pd.DataFrame(rows, columns=columns).assign(network=trained.name, rule=trained.config.rule)




def compared_copying(windows: Sequence[int], *, seeds: int = 6) -> pd.DataFrame:
    """Rows of `compared` for networks of the copying task with both rules of the paper.

    More columns: seed; kind: "untrained", of the published preset; "published" and "sound", saved ones, the
    latter with attention to five tokens.
    """
    parts = []
    for rule in WRITING_RULES:
        family = f"published_copying_{rule}"
        networks = [("untrained", untrained(config(family), str(seed))) for seed in range(seeds)]
        networks += [("published", load(f"{family}-00")), ("sound", load(f"windowed_copying_{rule}-00"))]
        parts += [compared(each, windows).assign(kind=kind, seed=each.seed) for kind, each in networks]
    return pd.concat(parts, ignore_index=True)
