"""Panels on ablations and depth: paired differences, learning of variants, deep networks."""

from __future__ import annotations

__all__ = [
    "VARIANTS", "change_legend", "draw_blocks", "draw_changes", "draw_depth", "draw_learning", "draw_recall",
    "layer_legend", "variant_legend",
]  # fmt: skip

from collections.abc import Sequence
from functools import partial

import numpy as np
import pandas as pd
from matplotlib import colormaps
from matplotlib.axes import Axes
from matplotlib.colors import LogNorm
from matplotlib.figure import Figure
from matplotlib.lines import Line2D

from ..marks import band
from ..style import CHANCE, CMAPS, COLORS, LABELS, MARKERS, line_label, sideways
from .ablations import DEPTH, block_norms, pairs
from .families import PAPER_RULES, WRITING_RULES, config, make_task
from .levels import levels
from .measures import Curves
from .mechanism import series
from .mechanism_plots import log_band

VARIANTS = {
    "usual": ("usual", "#000000", "-"),
    "alpha from 1": ("α from 1", "#0072B2", "-"),
    "alpha from -1": ("α from −1", "#56B4E9", "-"),
    "clip at 100": ("clip at 100", "#B3A032", "-"),
    "not modulated": ("not modulated", "#8A8A8A", "--"),
    "eta0 = 0": ("η0 = 0", "#8A8A8A", ":"),
    "no auxiliary": ("no auxiliary", "#7A4FA3", "--"),
}
"""variant -> label, colour and line in learning curves"""
_STYLES = {2: ":", 4: "--", 8: "-"}


def draw_changes(ax: Axes, rows: pd.DataFrame, changes: pd.DataFrame, column: str) -> None:
    """Differences of variants from usual networks (see `ablations.paired`), one line a variant, by rule.

    Dots: every seed; marks: mean with 95 % t-interval. rows: the scores that the differences are of.
    """
    names = [name for name in VARIANTS if name in set(changes.variant)]
    for k, (family, own) in enumerate(changes.groupby("family", sort=False)):
        rule, shift = family.rsplit("_", 1)[1], (-0.18, 0.18)[k]
        look = {"color": COLORS[rule], "marker": MARKERS[rule]}
        for change in own.itertuples():
            at = names.index(change.variant) + shift
            both = pairs(rows[rows.family == family], change.variant, column)
            scatter = at + sideways(len(both), 0.2)
            ax.scatter(both.variant - both.usual, scatter, s=4, lw=0, alpha=0.6, color=COLORS[rule], zorder=2)
            ax.plot((change.low, change.high), (at, at), lw=1, color=COLORS[rule], zorder=3)
            ax.plot(change.change, at, ms=3.8, mec="white", mew=0.4, lw=0, zorder=4, **look)
    ax.axvline(0, color="black", lw=0.6, zorder=1)
    ax.set_yticks(range(len(names)), [VARIANTS[name][0] for name in names])
    ax.set_ylim(len(names) - 0.5, -0.5)
    ax.tick_params(axis="y", length=0)


def draw_learning(ax: Axes, curves: Curves, family: str, variants: Sequence[str], *, log: bool) -> None:
    """Score of the answers in training by variant, mean over networks with 95 % t-interval.

    log: squared errors on a log axis; else shares of right answers.
    """
    for name in variants:
        _, color, line = VARIANTS[name]
        values, steps = series(curves, family, "score", name), curves.steps[family]
        values = np.where(series(curves, family, "diverged", name) > 0, np.nan, values)
        look = {"color": color, "ls": line, "lw": 1.2 if name == "usual" else 0.9}
        if log:
            log_band(ax, steps, values, **look)
        else:
            band(ax, steps, values, within=(0, 1), **look)
    ax.set(xlabel="updates", yscale="log" if log else "linear")


def draw_depth(ax: Axes, rows: pd.DataFrame, column: str, rules: Sequence[str], *, log: bool) -> None:
    """One column against updates, by rule (colour) and layers (line): mean with 95 % t-interval."""
    for rule in rules:
        for layers, own in rows[rows.rule == rule].groupby("layers"):
            values = own.pivot(index="seed", columns="updates", values=column)
            look = {"color": COLORS[rule], "ls": _STYLES[layers], "marker": MARKERS[rule], "ms": 2.2}
            draw = log_band if log else partial(band, alpha=0.08)  # many shades on each other
            draw(ax, values.columns, values.to_numpy(), lw=0.9, **look)
    ax.set(xscale="log", yscale="log" if log else "linear", xlabel="updates (sequences)")


def draw_recall(ax: Axes, rows: pd.DataFrame) -> None:
    """Published metric against updates by rule and layers; hollow: published, eight Hebbian layers."""
    draw_depth(ax, rows, "paper_metric", PAPER_RULES, log=False)
    known = levels(make_task(config("published_copying_none")))
    names = {"blank_metric": "blanks alone", "chance_metric": "guesses", "order_free_metric": "order unknown"}
    for name, said in names.items():
        ax.axhline(known[name], **CHANCE)
        line_label(ax, known[name], said)
    hollow = {
        "color": COLORS["hebbian"],
        "marker": MARKERS["hebbian"],
        "mfc": "white",
        "ms": 4.5,
        "zorder": 5,
    }
    ax.errorbar(3000, *DEPTH["hebbian"][:2], **hollow)


def draw_blocks(ax: Axes, rows: pd.DataFrame) -> None:
    """Sum of squares of the fast weights of each block, of one variant; colours: updates."""
    steps, norms = block_norms(rows)
    norm, places = LogNorm(steps[0], steps[-1]), np.arange(norms.shape[-1]) + 1
    for k, step in enumerate(steps):
        if np.isfinite(norms[:, k]).any():
            color = colormaps[CMAPS["sequential"]](0.9 * norm(step))
            log_band(ax, places, norms[:, k], color=color, marker="o", ms=2, lw=0.9, label=f"{step}")
    ax.set(yscale="log", xlabel="block (1: nearest to the input)")
    ax.set_xticks(places)


def change_legend(fig: Figure, rules: Sequence[str] = WRITING_RULES) -> None:
    """Rules by colour and marker, below a figure."""
    marks = [
        Line2D([], [], color=COLORS[rule], marker=MARKERS[rule], ms=3.8, lw=1, label=LABELS[rule])
        for rule in rules
    ]
    dot = Line2D([], [], color="black", marker="o", ms=2, lw=0, alpha=0.6, label="one seed")
    fig.legend(handles=[*marks, dot], loc="outside lower center", ncols=len(marks) + 1)


def variant_legend(fig: Figure, variants: Sequence[str]) -> None:
    """Variants by colour and line, below a figure."""
    marks = [
        Line2D([], [], color=c, ls=line, lw=1.2, label=label)
        for label, c, line in map(VARIANTS.get, variants)
    ]
    fig.legend(handles=marks, loc="outside lower center", ncols=len(marks))


def layer_legend(fig: Figure, rules: Sequence[str] = ("none", "hebbian", "gradient")) -> None:
    """Rules by colour, layers by line, below a figure."""
    marks = [
        Line2D([], [], color=COLORS[rule], marker=MARKERS[rule], ms=3, lw=1, label=LABELS[rule])
        for rule in rules
    ]
    lines = [
        Line2D([], [], color="black", ls=ls, lw=1, label=f"{layers} layers") for layers, ls in _STYLES.items()
    ]
    fig.legend(handles=[*marks, *lines], loc="outside lower center", ncols=len(marks) + len(lines))
