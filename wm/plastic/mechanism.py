"""What sets the rate of plasticity: the gate that a network sets, or the clip of large updates.

A token is written at the rate r = eta0 sigmoid(logit) min(1, max_norm / |delta|), so that

    log r = log eta0 + log gate + log clip,    gate = sigmoid(logit),    clip = min(1, max_norm / |delta|)

holds exactly for every token. It also holds for means over tokens and sequences, with the mean of clip
ratios and the mean of gates weighted by them, sum gate clip / sum clip: `split` has no remainder. Where the
clip is always on, r |delta| = eta0 gate max_norm: constant as far as the gate is.
"""

from __future__ import annotations

__all__ = [
    "PUBLISHED", "PUBLISHED_UPDATES", "SALIENT", "Split", "Tokens", "between_rules", "explained",
    "explained_table", "over_tokens", "salience", "series", "shares", "split", "spread", "tokens",
    "with_parts",
]  # fmt: skip

from collections.abc import Mapping, Sequence
from typing import NamedTuple

import numpy as np
import pandas as pd
import torch

from ..estimate import Estimate, bootstrap_over_networks
from .evaluate import test_episodes
from .families import PUBLISHED_UPDATES, TASKS, WRITING_RULES, config, make_task
from .library import Trained
from .measures import Curves
from .performance import Published


def _both(rate: tuple[float, float], norm: tuple[float, float]) -> dict[str, Published]:
    return {"rate": Published(*rate), "plastic_norm": Published(*norm)}


PUBLISHED = {
    ("copying", "gradient"): _both((0.0842, 0.0155), (2.49e-4, 1.33e-4)),
    ("copying", "hebbian"): _both((4.34e-4, 1.04e-4), (1.54e-3, 5.96e-4)),
    ("cue_reward", "gradient"): _both((0.0930, 0.0210), (1.11e-6, 8.95e-7)),
    ("cue_reward", "hebbian"): _both((2.27e-4, 3.22e-5), (2.61e-4, 4.50e-5)),
    ("regression", "gradient"): _both((0.1153, 0.0093), (2.30e-5, 9.26e-6)),
    ("regression", "hebbian"): _both((2.78e-4, 6.81e-5), (2.87e-4, 1.09e-4)),
}
"""(task, rule) -> column -> mean rate and sum of squares of all fast weights, of three seeds after all epochs
(result files of github.com/sidcraftscode/hebbian-transformer)"""
SALIENT = {"events": (*range(5), 25), "delay": tuple(range(5, 25))}
"""tokens of copying with five items and delay 20: items and delimiter, and the blanks between them"""
PARTS = ("rate", "gate", "clip")


class Split(NamedTuple):
    """Decades, log10 of r / eta0 and of its two factors: arrays of one shape, rate = gate + clip."""

    rate: np.ndarray
    gate: np.ndarray
    clip: np.ndarray


class Tokens(NamedTuple):
    """Every token of test sequences, arrays (trial, time)."""

    rate: np.ndarray
    gate: np.ndarray
    """sigmoid(logit), or 1/2 in networks without modulation"""
    norm: np.ndarray
    """|delta| before the clip"""
    clip: np.ndarray


def series(curves: Curves, family: str, metric: str, variant: str = "usual") -> np.ndarray:
    """One metric of training or by time, (network, bin or time); ValueError for an unknown one."""
    if metric not in curves.metrics:
        raise ValueError(f"no metric {metric!r}: there are {', '.join(curves.metrics)}")
    known = curves.variants.get(family, [])
    if variant not in known:
        raise ValueError(f"no variant {variant!r} of {family}: there are {', '.join(known) or 'none'}")
    return curves.values[family][known.index(variant), :, curves.metrics.index(metric)]


def split(rate: np.ndarray, clip: np.ndarray, eta0: float | np.ndarray = 0.2) -> Split:
    """log10 of r / eta0, of the gate and of the clip ratio; rate and clip: of tokens, or means of both.

    Arrays of any one shape. Raises ValueError for rates or ratios that are not positive.
    """
    rate, clip = np.asarray(rate, dtype=np.float64), np.asarray(clip, dtype=np.float64)
    if not ((rate > 0).all() and (clip > 0).all() and (np.asarray(eta0) > 0).all()):
        raise ValueError(
            "rates, clip ratios and eta0 must be positive: leave out networks that write nothing"
        )
    whole, part = np.log10(rate / eta0), np.log10(clip)
    return Split(whole, whole - part, part)


def shares(parts: Split) -> dict[str, np.ndarray]:
    """Shares of gate and clip in the variance of log r over the last axis, (..., sample) -> (...).

    They add up to 1: cov(part, log r) / var(log r): negative if a part counteracts
    the other. NaN where the rate does not vary.
    """
    centred = Split(*(part - part.mean(axis=-1, keepdims=True) for part in parts))
    variance = (centred.rate**2).mean(axis=-1)
    rounding = 1e-24 * np.square(parts.rate).mean(axis=-1)
    varies = np.where(variance > rounding, variance, np.nan)
    return {name: (getattr(centred, name) * centred.rate).mean(axis=-1) / varies for name in PARTS[1:]}


def with_parts(rows: pd.DataFrame) -> pd.DataFrame:
    """Rows of networks that write something, with the parts of their mean rate: rate10, gate10, clip10."""
    own = rows[rows.rule.isin(WRITING_RULES) & (rows.rate > 0)]
    parts = split(own.rate.to_numpy(), own.clip_ratio.to_numpy(), own.eta0.to_numpy())
    return own.assign(**{f"{name}10": part for name, part in zip(PARTS, parts, strict=True)})


def between_rules(rows: pd.DataFrame) -> pd.DataFrame:
    """Decades by which gradient networks are above Hebbian ones, a row for each preset, task and seed.

    Columns rate, gate, clip: rate = gate + clip. rows: of a table, one number of updates for each network.
    """
    keys, columns = ["preset", "task", "seed"], [f"{name}10" for name in PARTS]
    of_rule = {rule: own.set_index(keys)[columns] for rule, own in with_parts(rows).groupby("rule")}
    gaps = (of_rule["gradient"] - of_rule["hebbian"]).dropna().reset_index()
    return _in_order(gaps.rename(columns=dict(zip(columns, PARTS, strict=True))))


def explained(rows: pd.DataFrame, part: str = "clip", *, n: int = 2000) -> Estimate:
    """Share of a part in the variance of log r among all networks of both rules, of one task and preset.

    Pairs of networks with one seed are drawn anew together (bootstrap).
    """
    columns = [f"{name}10" for name in PARTS]
    values = with_parts(rows).pivot(index="seed", columns="rule", values=columns).dropna()
    arrays = tuple(values[column].to_numpy() for column in values.columns)  # two of each part, (network,)
    return bootstrap_over_networks(lambda *drawn: _pooled(drawn, part), arrays, n=n)


def explained_table(stages: Mapping[str, pd.DataFrame], *, n: int = 2000) -> pd.DataFrame:
    """Share of the clip (see `explained`) with its 95 % interval as text, by stage, preset and task.

    Tasks that one rule lacks are left out.
    """
    found = {}
    for stage, rows in stages.items():
        for (preset, task), own in _in_order(with_parts(rows)).groupby(["preset", "task"], sort=False):
            if own.rule.nunique() < 2:
                continue
            share = explained(own, n=n)
            found[preset, task, stage] = "{:.2f} [{:.2f}, {:.2f}]".format(share.ours, *share.interval95)
    index = pd.MultiIndex.from_tuples(found, names=["preset", "task", "stage"])
    return pd.Series(found.values(), index).unstack(["preset", "stage"], fill_value="-", sort=False)


def _pooled(drawn: Sequence[np.ndarray], part: str) -> float:
    parts = Split(*(np.concatenate(drawn[2 * k : 2 * k + 2]) for k in range(len(PARTS))))
    return float(shares(parts)[part])


def over_tokens(curves: Curves, families: Sequence[str]) -> pd.DataFrame:
    """How the rate changes from token to token, a row for each family and network.

    gate, clip: shares in the variance of log r over the tokens of a sequence, of means over test sequences;
    spread: the standard deviation of log r in decades; spread_written: that of log (r |delta|).
    """
    found = []
    for family in families:
        kept = [series(curves, family, name) for name in ("rate", "clip_ratio", "update_norm")]
        there = np.isfinite(kept[0]).all(axis=1)  # without networks that diverged
        rate, clip, norm = (values[there].astype(np.float64) for values in kept)
        parts, settings = split(rate, clip, config(family).eta0), config(family)
        about = {"preset": settings.preset, "task": settings.task, "rule": settings.rule}
        spreads = {"spread": parts.rate.std(axis=1), "spread_written": np.log10(rate * norm).std(axis=1)}
        found.append(pd.DataFrame(shares(parts) | spreads).assign(**about, seed=np.flatnonzero(there)))
    return _in_order(pd.concat(found, ignore_index=True))


def tokens(trained: Trained, trials: int = 64) -> Tokens:
    """Rates of single tokens of a network on test sequences; r = eta0 gate clip holds for each of them."""
    inputs = test_episodes(trained.config, trials).inputs
    rates = trained.run(inputs).rates
    gate = rates.logit.sigmoid() if trained.config.modulated else torch.full_like(rates.logit, 0.5)
    return Tokens(*(each[0].detach().numpy() for each in (rates.rate, gate, rates.norm, rates.ratio)))


def spread(found: Mapping[str, Tokens]) -> pd.DataFrame:
    """A row for each network: how far single tokens spread, in decades, and shares in that of the rate."""
    return pd.DataFrame.from_dict({name: _spread(each) for name, each in found.items()}, orient="index")


def _spread(each: Tokens) -> dict[str, float]:
    rate, gate, norm, clip = (np.log10(values.ravel().astype(np.float64)) for values in each)
    explained = shares(Split(rate, gate, clip))
    return {
        "tokens clipped": (norm > 0).mean(), "s.d. of log rate": rate.std(),
        "s.d. of log (rate |delta|)": (rate + norm).std(), "s.d. of log gate": gate.std(),
        "share of clip": float(explained["clip"]), "share of gate": float(explained["gate"]),
    }  # fmt: skip


def salience(rate: np.ndarray) -> np.ndarray:
    """Decades by which the mean rate at items and delimiter is above that in the delay, (network,).

    rate (network, time), of copying with five items and delay 20; ValueError for another length.
    """
    length = make_task(config("copying_hebbian")).length
    if rate.shape[-1] != length:
        raise ValueError(f"sequences of copying have {length} tokens here, got {rate.shape[-1]}")
    events, blanks = (rate[:, SALIENT[name]].mean(axis=1) for name in SALIENT)
    return np.log10(events / blanks)


def _in_order(rows: pd.DataFrame) -> pd.DataFrame:
    """Sorted by preset (published first), task as in `TASKS`, seed."""
    place = {task: k for k, task in enumerate(TASKS)}
    by = [rows.preset.ne("published"), rows.task.map(place), rows.seed.astype(int)]
    order = np.lexsort([np.asarray(key) for key in reversed(by)])
    return rows.iloc[order].reset_index(drop=True)
