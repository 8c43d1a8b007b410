"""Panels on shifted states, and on what attention changes in the geometry."""

from __future__ import annotations

__all__ = [
    "attention_key", "draw_by_attention", "draw_change_of", "draw_far", "draw_shift", "far_key", "shift_key",
    "shift_rows",
]  # fmt: skip

from collections.abc import Mapping, Sequence
from textwrap import fill

import pandas as pd
from matplotlib.axes import Axes
from matplotlib.figure import Figure

from ...style import CHANCE
from ..catalogue import ARCHITECTURES
from ..learning_plots import ATTENTION_LOOKS
from ..pictures import RESPONSE_LOOKS
from ..task import RESPONSES
from .marks import draw_dots, key, name_architectures, spread
from .perturb import CONTROLS, Perturbation
from .summaries import by_seed, gained

_CONTROLS = {
    "relevant": ("property that is asked for", "#222222", "o"),
    "irrelevant": ("another property", "#E8871E", "^"), "random": ("random direction", "#8A8A8A", "x"),
}  # fmt: skip
_STYLES = dict(zip(CONTROLS, ("-", "--", ":"), strict=True))


def draw_shift(ax: Axes, found: Perturbation) -> None:
    """Probability of each answer against the distance from the hyperplane that the state is shifted to.

    Solid: along the property that is asked for; dashed: along another one; dotted: a random direction of the
    same length. Left of the line: beyond the hyperplane.
    """
    for k, control in enumerate(CONTROLS):
        for r, name in enumerate(RESPONSES):
            look = {"color": RESPONSE_LOOKS[name][1], "ls": _STYLES[control], "lw": 1.2 if k == 0 else 0.8}
            ax.plot(found.targets, found.probabilities[k, :, r], **look, alpha=1 if k == 0 else 0.8)
    ax.axvline(0, color="black", lw=0.6, zorder=0)
    ax.set(xlim=(found.targets.min(), found.targets.max()), ylim=(-0.03, 1.03), xticks=(-2, -1, 0, 1, 2))
    ax.invert_xaxis()


def shift_key(fig: Figure) -> None:
    """Colours and lines of `draw_shift`, below a figure."""
    entries = [(name, RESPONSE_LOOKS[name][1], "-") for name in RESPONSES]
    key(fig, [*entries, *((label, "#555555", _STYLES[name]) for name, (label, _, _) in _CONTROLS.items())])


def shift_rows(rows: pd.DataFrame) -> pd.DataFrame:
    """Table perturbation with changes at the farthest distance, against no shift.

    falls, rises, rest: of match, no action and non-match, along the property that is asked for; then
    irrelevant_falls, random_falls: of match, of the controls.
    """
    found = rows.assign(falls=rows.match_m2 - rows.unshifted, rises=rows.none - rows.unshifted_none)
    found["rest"] = -(found.falls + found.rises)  # the three add up to 1
    for name in CONTROLS[1:]:
        found[f"{name}_falls"] = rows[name] - rows.unshifted
    return found


def draw_far(ax: Axes, rows: pd.DataFrame, answer: str = "match") -> None:
    """Probability of an answer (match, none) at the farthest distance by direction and architecture: a dot
    for each network, mean over tasks; hollow: without a shift. rows: of one setting and `along`."""
    of_match = answer == "match"
    columns = ("match_m2", "irrelevant", "random") if of_match else ("none", "irrelevant_none", "random_none")
    for k, (name, column) in enumerate(zip(CONTROLS, columns, strict=True)):
        _, color, marker = _CONTROLS[name]
        found = {
            spread(a, k, 3): by_seed(rows[rows.architecture == each], column)
            for a, each in enumerate(ARCHITECTURES)
        }
        draw_dots(ax, found, color, marker=marker)
    column = "unshifted" if of_match else "unshifted_none"
    for a, each in enumerate(ARCHITECTURES):
        level = by_seed(rows[rows.architecture == each], column).mean()
        ax.hlines(level, a - 0.4, a + 0.4, color="#BBBBBB", lw=0.8, zorder=0)
    name_architectures(ax)
    ax.set_ylim(-0.03, 1.03)


def far_key(fig: Figure) -> None:
    """Colours of `draw_far`, below a figure."""
    key(fig, [*_CONTROLS.values(), ("no shift", "#BBBBBB", "-")])


def draw_by_attention(
    ax: Axes, kinds: Mapping[str, pd.DataFrame], columns: Sequence[str], names: Sequence[str]
) -> None:  # fmt: skip
    """Columns of a table by kind of attention: a dot for each network, mean over its rows.

    kinds: attention -> rows; names: of the columns.
    """
    for k, (kind, rows) in enumerate(kinds.items()):
        found = {spread(at, k, len(kinds)): by_seed(rows, column) for at, column in enumerate(columns)}
        draw_dots(ax, found, ATTENTION_LOOKS[kind][1], marker="os^D"[k], wide=0.06)
    ax.set_xticks(range(len(columns)), [fill(name, 12) for name in names])
    ax.tick_params(axis="x", length=0)
    ax.set_xlim(-0.5, len(columns) - 0.5)


def draw_change_of(
    ax: Axes, kinds: Mapping[str, pd.DataFrame], columns: Sequence[str], names: Sequence[str]
) -> None:  # fmt: skip
    """The same minus networks without attention, by seed."""
    plain = kinds["none"]
    for k, (kind, rows) in enumerate([pair for pair in kinds.items() if pair[0] != "none"]):
        found = {}
        for at, column in enumerate(columns):
            found[spread(at, k, len(kinds) - 1)] = gained(rows, plain, column)
        draw_dots(ax, found, ATTENTION_LOOKS[kind][1], marker="s^D"[k], wide=0.06)
    ax.axhline(0, **CHANCE)
    ax.set_xticks(range(len(columns)), [fill(name, 9) for name in names])
    ax.tick_params(axis="x", length=0)
    ax.set_xlim(-0.5, len(columns) - 0.5)


def attention_key(fig: Figure, kinds: Sequence[str], *, plain: bool = True) -> None:
    """Colours of kinds of attention, below a figure."""
    shown = [kind for kind in kinds if plain or kind != "none"]
    key(fig, [(*ATTENTION_LOOKS[kind], "os^D"[k + (not plain)]) for k, kind in enumerate(shown)])
