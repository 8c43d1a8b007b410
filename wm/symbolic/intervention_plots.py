"""Panels on interventions: dose-response curves with controls, patching, and outcomes of generation.

Each function draws what it is given on the axes it is given; tables are those of
`wm.symbolic.interventions.table`.
"""

from __future__ import annotations

__all__ = [
    "EDIT_LABELS", "OUTCOMES", "draw_answers", "draw_dose", "draw_outcomes", "draw_places", "draw_reach",
    "draw_strips", "examples", "outcome_legend", "strips",
]  # fmt: skip

from collections.abc import Mapping, Sequence

import matplotlib.pyplot as plt
import numpy as np
import pandas as pd
from matplotlib.axes import Axes
from numpy.typing import ArrayLike

from ..marks import band
from ..style import CHANCE, COLORS, MARKERS, sideways
from ..train import numpy_generator
from .interventions import CONTROLS
from .screening import CLASSES, classify, continuations, flips, prompt
from .staging import Stage
from .strips import String, draw_strings, strip

EDIT_LABELS = {
    "multiply": ("multiply one\nactive feature", "factor"),
    "multiply all": ("multiply all\nactive features", "factor"),
    "add": ("add to one\nfeature", "added (spreads)"),
    "switch on": ("switch one\nfeature on", "× its largest value"),
    "swap": ("swap features for\nanother phase's", "share of the way"),
}
"""edit -> title, what its strength is"""
OUTCOMES = {
    "no_effect": ("no effect", COLORS["no_effect"]),
    "lock_in": ("lock-in", COLORS["lock_in"]),
    "timing_error": ("timing error", COLORS["timing_error"]),
    "other": ("other: order broken", COLORS["other"]),
}
"""class -> label, colour"""
_LOOKS = {
    "none": {"color": COLORS["cycle"], "marker": MARKERS["cycle"], "ls": "-", "label": "the edit"},
    "other features": {
        "color": COLORS["other_features"],
        "marker": "s",
        "ls": "-",
        "label": "other features, equal norm",
    },
    "direction": {
        "color": COLORS["random_direction"],
        "marker": "v",
        "ls": "--",
        "label": "random direction, equal norm",
    },
}


# ---------------------------------------------------------------- doses


def draw_dose(ax: Axes, rows: pd.DataFrame, edit: str, column: str = "changed") -> None:
    """A column of the dose table by strength of one edit, with its controls: mean over networks and interval.

    rows: of one stage.
    """
    for kind in CONTROLS:
        own = rows[(rows.edit == edit) & (rows.control == kind)]
        values = own.pivot(index="network", columns="strength", values=column)
        x = np.arange(values.shape[1])
        band(ax, x, values.to_numpy(), within=(0, 1), alpha=0.15, ms=2.5, lw=1.1, **_LOOKS[kind])
    ax.set_xticks(x, [f"{strength:g}".removeprefix("0") or "0" for strength in values.columns], fontsize=6)
    ax.set(xlim=(-0.3, len(x) - 0.7), ylim=(-0.03, 1.03))


# ---------------------------------------------------------------- patching


def draw_answers(ax: Axes, answers: ArrayLike, right: ArrayLike) -> None:
    """The likeliest symbol in colour, (window, donor), with the right ones of both beside and above.

    right: (window,); windows and donors are in the order of phases.
    """
    answers, right = np.asarray(answers), np.asarray(right)
    n = len(right)
    strip(ax, answers, (0, n, n, 0), lines=0.25)
    strip(ax, right[:, None], (-1.9, -0.9, n, 0), lines=0.25)
    strip(ax, right, (0, n, -0.9, -1.9), lines=0.25)
    ax.set(xlim=(-2, n), ylim=(n, -2), xlabel="phase patched in", ylabel="phase of the window")
    ticks = [0, n // 3, 2 * n // 3, n - 1]
    ax.set_xticks(np.array(ticks) + 0.5, [f"{tick + 1}" for tick in ticks])
    ax.set_yticks(np.array(ticks) + 0.5, [f"{tick + 1}" for tick in ticks])
    ax.spines[["left", "bottom"]].set_visible(False)
    ax.tick_params(length=0)


def draw_places(ax: Axes, rows: pd.DataFrame, places: Mapping[str, Sequence[str]]) -> None:
    """Share of answers that follow the phase patched in: a dot per network and place, and their mean.

    places: label -> places of the patch table, pooled. Hollow dots: share that stays with the window's own.
    """
    labels = {"follows": "become the donor's", "stays": "stay the window's own"}
    for x, names in enumerate(places.values()):
        own, color = rows[rows.place.isin(names)], COLORS["cycle"]
        for column, shift, face in (("follows", -0.17, color), ("stays", 0.17, "white")):
            values = own[column].to_numpy()
            spots = x + shift + sideways(len(values), 0.2)
            look = {"s": 6, "facecolor": face, "edgecolor": color, "lw": 0.5, "clip_on": False, "zorder": 3}
            ax.scatter(spots, values, label=labels.pop(column, None), **look)
        by_network = own.groupby("network")[["follows", "stays"]].mean()
        for column, shift in (("follows", -0.17), ("stays", 0.17)):
            spots = (x + shift - 0.13, x + shift + 0.13)
            ax.plot(spots, (by_network[column].mean(),) * 2, "k", lw=1, zorder=4)
    ax.set_xticks(range(len(places)), [*places])
    ax.set(xlim=(-0.5, len(places) - 0.5), ylim=(-0.03, 1.03))


def draw_reach(ax: Axes, rows: pd.DataFrame, holding: int) -> None:
    """Share that follows by how many of the last places are patched at stage 0; a line per network."""
    own = rows[rows.place.str.startswith("stage 0")]
    reach = own.place.str.extract(r"x (\d+)")[0].fillna("1").astype(int)
    values = own.assign(reach=reach).pivot(index="network", columns="reach", values="follows")
    for each in values.to_numpy():
        ax.plot(values.columns, each, color=COLORS["cycle"], lw=0.5, alpha=0.4)
    ax.plot(values.columns, values.mean(), color=COLORS["cycle"], lw=1.3, marker="o", ms=2.5)
    ax.axvline(holding, **CHANCE)
    ax.set(xticks=(1, 4, 6, 10), ylim=(-0.03, 1.03), xlabel="last places patched")


# ---------------------------------------------------------------- generation


def draw_outcomes(ax: Axes, rows: pd.DataFrame, gap: float = 0.7) -> None:
    """Stacked bars of the outcome classes for each stage and factor: mean shares over networks.

    rows: of the main table.
    """
    x, ticks, factors = 0.0, [], sorted(rows.factor.unique())
    for stage, own in rows.groupby("stage"):
        first = x
        for factor in factors:
            shares, bottom = own[own.factor == factor][[*CLASSES]].mean(), 0.0
            for name, (_, color) in OUTCOMES.items():
                ax.bar(x, shares[name], 0.8, bottom=bottom, color=color)
                bottom += shares[name]
            ticks.append((x, f"{factor:g}"))
            x += 1
        ax.text((first + x - 1) / 2, 1.03, f"stage {stage}", ha="center", va="bottom", fontsize=6.5)
        x += gap
    ax.set_xticks(*zip(*ticks, strict=True))
    ax.set(ylim=(0, 1), xlabel="factor", ylabel="share of strings")
    ax.tick_params(axis="x", length=0)


def outcome_legend(ax: Axes, **place) -> None:
    """Which colour is which class."""
    entries = [plt.Rectangle((0, 0), 1, 1, color=color, label=name) for name, color in OUTCOMES.values()]
    ax.legend(handles=entries, handlelength=0.9, **place)


def strips(
    stage: Stage, features: Sequence[int], factor: float, *, steps: int = 200, seed: int | str = 0
) -> dict[str, String]:
    """A string generated with each feature multiplied: "feature 26 ×5: lock-in" -> prompt and string."""
    before = prompt(stage)
    generator = numpy_generator(seed, "strips", stage.sae.cfg.hook_name)
    found = continuations(stage, features, factor, generator=generator, steps=steps)[:, 0]
    kinds = [OUTCOMES[CLASSES[k]][0].partition(":")[0] for k in classify(stage.cycle, before, found)]
    return {
        f"feature {feature} ×{factor:g}: {kind}": String(before[0], tokens, np.zeros(steps, dtype=bool))
        for feature, kind, tokens in zip(features, kinds, found, strict=True)
    }


def examples(stages: Sequence[Stage], factors: Sequence[float]) -> dict[str, String]:
    """Strings of a network: without an edit, and with features multiplied by the factor of each stage.

    At the first stage each active feature, at later ones each that changes the likeliest symbol of a window.
    """
    found: dict[str, String] = {}
    for k, (stage, factor) in enumerate(zip(stages, factors, strict=True)):
        used = (stage.f > 0).any(dim=0).nonzero()[:, 0].tolist()
        if k == 0:
            (plain,) = strips(stage, used[:1], 1.0).items()
            found["no edit: " + plain[0].rpartition(": ")[2]] = plain[1]
        else:
            used = np.array(used)[flips(stage, used, factor).any(axis=1)].tolist()
        if used:
            own = strips(stage, used, factor)
            found |= {f"stage {k}, {name}": string for name, string in own.items()}
    return found


def draw_strips(ax: Axes, strings: Mapping[str, String], steps: int) -> None:
    """The first `steps` symbols of strings from `strips`, a row each; the prompt ends at the gap."""
    shown = {name: String(s.before, s.tokens[:steps], s.impossible[:steps]) for name, s in strings.items()}
    draw_strings(ax, shown)
    ax.tick_params(axis="y", labelsize=5.5)
