"""Panels that only the explorer draws: generated strings step by step, attention, features, units.

Each function draws what it is given on the axes it is given. Symbols have the colours of `wm.style`; steps
count generated symbols from 0, what came before has negative ones.
"""

from __future__ import annotations

__all__ = [
    "SHARES", "draw_activations", "draw_chances", "draw_dose", "draw_effects",
    "draw_entropies", "draw_heads", "draw_path", "draw_raster", "draw_residuals",
    "draw_runs", "draw_tuning", "draw_units", "signed",
]  # fmt: skip

from collections.abc import Mapping, Sequence

import numpy as np
from matplotlib.axes import Axes
from matplotlib.cm import ScalarMappable
from matplotlib.ticker import MaxNLocator

from ..style import CHANCE, CMAPS, COLORS
from .runs import run_lengths
from .stage_plots import pca
from .strips import RGB, SYMBOLS, phase_bar, strip

_CHOSEN = COLORS["chosen"]
_GREY = "#8A8A8A"
SHARES = {"cmap": CMAPS["sequential"], "vmin": 0, "vmax": 1, "interpolation": "nearest"}
"""how an image of square roots of attention is drawn"""


def signed(x: np.ndarray) -> dict:
    """How an image of values is drawn: colours on both sides of 0, or greys where none is negative."""
    limit = max(float(np.nanmax(np.abs(x))), 1e-12)
    two = np.nanmin(x) < 0
    colours = {"cmap": CMAPS["diverging"] if two else "Greys", "vmin": -limit if two else 0, "vmax": limit}
    return colours | {"interpolation": "nearest", "aspect": "auto"}


# ---------------------------------------------------------------- strings


def draw_chances(ax: Axes, chances: np.ndarray) -> None:
    """Probabilities of the symbols at each step (step, symbol), stacked."""
    edges, base = np.arange(len(chances) + 1), np.zeros(len(chances))
    for symbol, chance in enumerate(chances.T):
        ax.stairs(base + chance, edges, baseline=base, fill=True, color=SYMBOLS[symbol], lw=0)
        base = base + chance
    ax.set(ylim=(0, 1), yticks=(0, 0.5, 1), ylabel="P")


def draw_runs(ax: Axes, strings: Mapping[str, np.ndarray], before: int, holding: Sequence[int]) -> None:
    """How long each symbol was held, over where it began: strings (time,), so many of them before step 0.

    The first string in colour, hollow where an end was not seen; others as grey shapes; dashed: holding.
    """
    for time in holding:
        ax.axhline(time, **CHANCE)
    for place, (name, tokens) in enumerate(strings.items()):
        runs = run_lengths(tokens[None])
        runs = runs.select(runs.start + runs.length > before)
        at = np.maximum(runs.start - before, 0) + 0.5
        if place:
            shape = {"marker": "osD"[place - 1], "s": (34, 62, 70)[place - 1], "zorder": 2}
            ax.scatter(at, runs.length, fc="none", ec=_GREY, lw=0.8, label=name, **shape)
            continue
        colours = RGB[runs.symbol]
        ax.vlines(at, 0, runs.length, colors=colours, lw=1, zorder=1)
        faces = np.where(runs.complete[:, None], colours, 1)
        ax.scatter(at, runs.length, facecolor=faces, edgecolor=colours, s=15, lw=0.9, zorder=3)
    ax.set(ylabel="steps held", ylim=(0, 1.25 * ax.dataLim.y1))
    ax.yaxis.set_major_locator(MaxNLocator(4, integer=True))
    ax.set_title("how long symbols are held, where they begin; hollow: not seen whole", loc="left")
    if len(strings) > 1:
        look = {"handletextpad": 0.4, "borderaxespad": 0, "ncols": 3}
        ax.legend(loc="lower right", bbox_to_anchor=(1, 1.02), **look)


# ---------------------------------------------------------------- attention


def draw_heads(axes: Sequence[Axes], patterns: np.ndarray, tokens: np.ndarray, names: Sequence[str]) -> None:
    """Attention of each head (head, query, key) by place, its square root as colour; below it the window."""
    time = len(tokens)
    for ax, pattern, name in zip(axes, patterns, names, strict=True):
        shown = np.where(np.tri(time, dtype=bool), np.sqrt(pattern), np.nan)
        image = ax.imshow(shown, extent=(0, time, time, 0), aspect="auto", **SHARES)
        strip(ax, tokens, (0, time, time * 1.11, time * 1.03))
        ax.set(xlim=(0, time), ylim=(time * 1.11, 0), xticks=(), yticks=())
        ax.spines[:].set_visible(False)
        ax.set_title(name, fontsize=6, pad=2)
    _share_bar(axes, image, shrink=0.5, aspect=25, pad=0.02)


def _share_bar(axes: Axes | Sequence[Axes], image: ScalarMappable, **look) -> None:
    """Colour bar of shares of attention that are drawn as their square roots."""
    bar = image.figure.colorbar(image, ax=axes, **look)
    bar.set_ticks(np.sqrt((0, 0.1, 0.25, 0.5, 1)), labels=["0", "0.1", "0.25", "0.5", "1"])
    bar.set_label("attention")


def draw_entropies(ax: Axes, entropies: np.ndarray, layers: int) -> None:
    """Entropy by place of each head (head, place), a colour per layer; dashed: ln t, equal shares."""
    places = np.arange(1, entropies.shape[1] + 1)
    for layer, own in enumerate(entropies.reshape(layers, -1, len(places))):
        colour = (COLORS["cycle"], _CHOSEN)[layer % 2]
        ax.plot(places, own.T, color=colour, lw=0.6, alpha=0.7)
        ax.plot([], [], color=colour, lw=1, label=f"layer {layer}" if layers > 1 else "heads")
    ax.plot(places, np.log(places), label="equal shares", **CHANCE)
    ax.set(xlabel="place in the window", ylabel="entropy (nats)", xlim=(1, max(2, len(places))))
    ax.set_ylim(0, max(0.7, 1.08 * np.log(len(places))))
    ax.xaxis.set_major_locator(MaxNLocator(5, integer=True))
    ax.legend(ncols=3, loc="lower right", bbox_to_anchor=(1, 1), borderaxespad=0.2)


def draw_residuals(axes: Sequence[Axes], residuals: Mapping[str, np.ndarray]) -> None:
    """Vectors by name and place (place, dimension) as images with the same colours, places across."""
    look = signed(np.concatenate([*residuals.values()]))
    for ax, (name, x) in zip(axes, residuals.items(), strict=True):
        image = ax.imshow(x.T, extent=(0.5, len(x) + 0.5, x.shape[1], 0), **look)
        ax.set(yticks=(0, x.shape[1]), ylabel=name)
        ax.xaxis.set_major_locator(MaxNLocator(5, integer=True))
        ax.tick_params(labelbottom=ax is axes[-1])
    ax.set_xlabel("place in the window")
    ax.figure.colorbar(image, ax=[*axes], aspect=30, shrink=0.7)


# ---------------------------------------------------------------- features


def draw_raster(ax: Axes, tuning: np.ndarray, features: Sequence[int], chosen: int, symbols: int) -> None:
    """Activations of features by phase (feature, phase), rows in the order given, each over its own largest.

    The chosen feature's number is coloured.
    """
    count, phases = tuning.shape
    scaled = tuning / np.maximum(tuning.max(axis=1, keepdims=True), 1e-12)
    extent = (-0.5, phases - 0.5, count - 0.5, -0.5)
    ax.imshow(scaled, extent=extent, cmap="Greys", vmin=0, vmax=1, aspect="auto", interpolation="nearest")
    ax.hlines(np.arange(count + 1) - 0.5, -0.5, phases - 0.5, color="white", lw=0.8)
    held = phases // symbols
    phase_bar(ax, symbols, held, away=-0.02, lw=3)
    for end in np.arange(1, symbols + 1) * held - 0.5:
        ax.axvline(end, color="#C8C8C8", lw=0.4)
    ax.set_yticks(range(count), [str(feature) for feature in features])
    for text, feature in zip(ax.get_yticklabels(), features, strict=True):
        text.set(**({"color": _CHOSEN, "fontweight": "bold"} if feature == chosen else {}))
    middles = np.arange(symbols) * held + (held - 1) / 2
    ax.set_xticks(middles, [f"symbol {symbol}" for symbol in range(symbols)])
    ax.tick_params(length=0)
    ax.tick_params(axis="x", pad=9)
    ax.set(xlabel="phase at the end of the window", ylabel="feature", xlim=(-0.5, phases - 0.5))
    ax.set_title("activation by phase")
    ax.spines[:].set_visible(False)


def draw_activations(ax: Axes, values: np.ndarray, chosen: int) -> None:
    """Activations after the prompt (feature,) as bars from top to bottom; that of row `chosen` coloured."""
    colours = [_CHOSEN if row == chosen else "#5A5A5A" for row in range(len(values))]
    ax.barh(range(len(values)), values, height=0.6, color=colours)
    ax.set(xlabel="activation", ylim=(len(values) - 0.5, -0.5), yticks=(), title="after the prompt")
    ax.set_xlim(0, 1.05 * values.max(initial=0) or 1)
    ax.xaxis.set_major_locator(MaxNLocator(2))


def draw_effects(ax: Axes, effects: np.ndarray) -> None:
    """What one unit of a feature adds to the logit of each symbol on the direct way (feature, symbol)."""
    limit = np.abs(effects).max(initial=1e-12)
    image = ax.imshow(effects, **signed(effects) | {"cmap": CMAPS["diverging"], "vmin": -limit})
    ax.set(xticks=range(effects.shape[1]), yticks=(), xlabel="symbol", title="logits by unit")
    ax.hlines(np.arange(len(effects) + 1) - 0.5, -0.5, effects.shape[1] - 0.5, color="white", lw=0.8)
    ax.tick_params(length=0)
    ax.spines[:].set_visible(False)
    ax.figure.colorbar(image, ax=ax, aspect=30, pad=0.06, ticks=MaxNLocator(5))


def draw_dose(
    ax: Axes, strengths: np.ndarray, chances: np.ndarray, *, exact: np.ndarray, here: float
) -> None:
    """P(next symbol) by strength of an edit (strength, symbol); dashed: exact (symbol,); dotted: chosen."""
    for symbol, (chance, best) in enumerate(zip(chances.T, exact, strict=True)):
        ax.axhline(best, **CHANCE | {"color": SYMBOLS[symbol], "alpha": 0.6})
        ax.plot(strengths, chance, color=SYMBOLS[symbol], lw=1.3, label=f"symbol {symbol}")
    ax.axvline(here, color=_CHOSEN, lw=1, ls=":")
    ax.set(
        xlim=(strengths[0], strengths[-1]), ylim=(-0.03, 1.03), yticks=(0, 0.5, 1), ylabel="P(next symbol)"
    )


def draw_tuning(ax: Axes, tuning: np.ndarray, symbols: int) -> None:
    """Activation of one feature by phase (phase,), as bars in the colours of symbols."""
    colours = np.repeat(SYMBOLS[:symbols], len(tuning) // symbols)
    ax.bar(range(len(tuning)), tuning, color=colours, width=0.8)
    ax.set(xlabel="phase at the end of the window", ylabel="activation", xlim=(-0.6, len(tuning) - 0.4))
    ax.set(xticks=(), ylim=(0, 1.05 * tuning.max() or 1))


# ---------------------------------------------------------------- units


def draw_units(
    string: Axes, axes: Sequence[Axes], tokens: np.ndarray, units: Mapping[str, np.ndarray]
) -> None:
    """A string (step,), and below it units by name (step, unit), sorted by when each is most active."""
    strip(string, tokens, (0, len(tokens), 0, 1))
    string.set(xlim=(0, len(tokens)), xticks=(), yticks=())
    string.set_title("newest symbol, and units sorted by when they are most active", loc="left")
    string.spines[:].set_visible(False)
    for ax, (name, x) in zip(axes, units.items(), strict=True):
        order = np.argsort(x.argmax(axis=0), kind="stable")
        image = ax.imshow(x.T[order], extent=(0, len(x), x.shape[1], 0), **signed(x))
        ax.set(ylabel=f"unit, {name.replace('_', ' ')}", yticks=(0, x.shape[1]))
        ax.tick_params(labelbottom=ax is axes[-1])
        ax.figure.colorbar(image, ax=ax, aspect=20, pad=0.02, ticks=MaxNLocator(3))
    ax.set_xlabel("symbols generated")


def draw_path(ax: Axes, phases: np.ndarray, path: np.ndarray, tokens: np.ndarray) -> None:
    """States of a string (step, unit) in the plane of the leading components of the phases (phase, unit).

    Phases as rings in the colours of their symbols, joined in order; the string as a black line with dots in
    the colour of its newest symbol, a cross where it ends.
    """
    middle, ring = phases.mean(axis=0), pca(phases)
    onto = np.linalg.pinv(phases - middle) @ ring
    places = (path - middle) @ onto
    ax.plot(*np.concatenate([ring, ring[:1]]).T, color="#D0D0D0", lw=0.8, zorder=1)
    colours = np.repeat(SYMBOLS, len(ring) // len(SYMBOLS))
    ax.scatter(*ring.T, s=34, facecolor="none", edgecolor=colours, lw=0.9, zorder=2)
    ax.plot(*places.T, color="black", lw=0.4, alpha=0.6, zorder=3)
    ax.scatter(*places.T, s=7, color=RGB[tokens], lw=0, zorder=4)
    ax.plot(*places[-1:].T, "x", color="black", markersize=5, zorder=5)
    ax.set(aspect="equal", xlabel="component 1", ylabel="component 2", xticks=(), yticks=())
    ax.set_title("rings: phases of the cycle\ndots: this string, × its end", loc="left")
    ax.margins(0.12)
