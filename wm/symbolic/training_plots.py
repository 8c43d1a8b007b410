"""Panels on the symbolic task and its learning: streams, windows, what can be known, and losses.

Each function draws what it is given on the axes it is given. Published: github.com/sandreza/SymbolicMemory,
numbers of one network from a run of its scripts, or derived from its description.
"""

from __future__ import annotations

__all__ = [
    "PUBLISHED_ENTROPIES", "PUBLISHED_LOSSES", "draw_entropies", "draw_excess", "draw_finals",
    "draw_limits", "draw_loss", "draw_streams", "draw_switch", "draw_windows", "family_legend", "histories",
    "open_phases",
]  # fmt: skip

from collections.abc import Callable, Mapping, Sequence
from typing import NamedTuple

import numpy as np
import pandas as pd
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.lines import Line2D
from matplotlib.patches import Rectangle
from matplotlib.ticker import MaxNLocator

from .. import store
from ..claims import mean_interval
from ..style import CHANCE, COLORS, LABELS, MARKERS, PUBLISHED, SHORT, line_label, sideways
from .library import names
from .strips import strip
from .task import Cycle

PUBLISHED_LOSSES = {1000: 0.256, 2000: 0.185, 3000: 0.181, 10000: 0.180}
"""update -> training loss of one network, nats"""
PUBLISHED_ENTROPIES = (0.4506, 0.4170, 0.3749, 0.3183, 0.2310, 0, 0, 0, 0, 0)
"""least loss at each place of a window of 10, three symbols held for 6 steps, nats"""
_SHOWN = 1e-6  # nats; what is below is drawn there


class History(NamedTuple):
    """Expected losses in training: steps (step,), loss (network, step) in nats, from the saved histories."""

    steps: np.ndarray
    loss: np.ndarray


def histories(family: str, networks: int | None = None) -> History:
    """Expected loss of the saved networks of a family every 50 updates; the first `networks` if given.

    Raises ValueError if the family has none, or `wm.store.DamagedFile`.
    """
    chosen = names(family)[:networks]
    if not chosen:
        raise ValueError(f"no {family} network is saved: train some with `wm train symbolic.{family}`")
    found = [store.load_network("symbolic", name).history for name in chosen]
    return History(np.array(found[0]["step"]), np.array([each["expected_loss"] for each in found]))


def open_phases(windows: np.ndarray) -> np.ndarray:
    """How many of these windows (window, time) begin with the same 1, 2, ... symbols as each: (window, time).

    With all windows of a cycle, one for each place in it, this is the number of places still possible.
    """
    return (windows[:, None] == windows).cumprod(axis=-1).sum(axis=1)


# ---------------------------------------------------------------- the task


def draw_streams(ax: Axes, streams: Mapping[str, np.ndarray], window: tuple[int, int]) -> None:
    """Rows of symbols (time,) as coloured cells, by name; boxes around a window (first, length) of each."""
    first, length = window
    for row, tokens in enumerate(streams.values()):
        strip(ax, tokens, (-0.5, len(tokens) - 0.5, row + 0.36, row - 0.36), lines=0.5)
        box = Rectangle((first - 0.5, row - 0.42), length, 0.84, fill=False, ec="black", lw=1.1, zorder=3)
        ax.add_patch(box)
    longest = max(map(len, streams.values()))
    ax.set(xlim=(-0.7, longest - 0.3), ylim=(len(streams) - 0.45, -0.6), xlabel="time (symbols)")
    ax.set_yticks(range(len(streams)), list(streams))
    ax.tick_params(axis="y", length=0)
    ax.spines["left"].set_visible(False)


def draw_windows(ax: Axes, process: Cycle, context: int) -> None:
    """All windows of a cycle, a row per place in the cycle at their end; in pale cells it is not yet known.

    The number in a cell says how many places are still possible once it has been seen.
    """
    period, hold = process.period, process.holding[0]
    ends = np.arange(period)
    windows = ((ends[:, None] + np.arange(1 - context, 1)) % period) // hold
    left = open_phases(windows)
    strip(ax, windows, pale=left > 1, lines=0.5)
    for row, place in zip(*np.nonzero(left > 1), strict=True):
        look = {"ha": "center", "va": "center", "fontsize": 4.5, "color": "#303030"}
        ax.text(place, row, left[row, place], **look)
    ax.set(xlim=(-0.5, context - 0.5), ylim=(period - 0.5, -0.5), xlabel="place in the window")
    ax.set_xticks(range(context), range(1, context + 1))
    ax.set_yticks(range(0, period, hold), range(0, period, hold))
    ax.set_ylabel("phase at its end")


# ---------------------------------------------------------------- what can be known


def draw_switch(
    ax: Axes, exact: Mapping[str, np.ndarray], networks: Mapping[str, np.ndarray], *, trained_up_to: int = 0
) -> None:
    """P(a new symbol comes) after a symbol was held for 1, 2, ... steps, by family.

    exact: (hold,), open circles, NaN where the process never is; networks: (network, hold), thin lines and
    their mean. Beyond `trained_up_to` (if given) the background is shaded.
    """
    for family, several in networks.items():
        hold = np.arange(1, several.shape[1] + 1)
        ax.plot(hold, several.T, color=COLORS[family], lw=0.4, alpha=0.4)
        look = {"marker": MARKERS[family], "markersize": 3, "lw": 1.1, "label": LABELS[family]}
        ax.plot(hold, several.mean(axis=0), color=COLORS[family], **look)
    for family, chance in exact.items():
        look = {"ls": "none", "marker": "o", "mfc": "none", "markersize": 6.5, "mew": 0.9, "zorder": 4}
        ax.plot(np.arange(1, len(chance) + 1), chance, color=COLORS[family], **look)
    if trained_up_to:
        ax.axvspan(trained_up_to + 0.5, ax.get_xlim()[1], color=COLORS["delay"], lw=0, zorder=0)
    ax.set(xlabel="steps that a symbol has been held", ylabel="P(next symbol is new)", ylim=(-0.04, 1.06))
    ax.xaxis.set_major_locator(MaxNLocator(integer=True))


def draw_entropies(
    ax: Axes, exact: Mapping[str, np.ndarray], networks: Mapping[str, np.ndarray], *, published: bool = True
) -> None:
    """Least loss at each place of a window (place,), by family, as bars; dots: networks (network, place)."""
    width = 0.8 / len(exact)
    for k, (family, values) in enumerate(exact.items()):
        places = np.arange(1, len(values) + 1)
        at = places + (k - (len(exact) - 1) / 2) * width
        ax.bar(at, values, 0.92 * width, color=COLORS[family], alpha=0.35, lw=0)
        own = networks[family]
        beside = sideways(len(own), 0.7 * width)[:, None]
        look = {"color": COLORS[family], "marker": MARKERS[family], "s": 9, "lw": 0.35, "zorder": 6}
        ax.scatter((at + beside).ravel(), own.ravel(), edgecolor="black", **look)
    if published:
        at = np.arange(1, len(PUBLISHED_ENTROPIES) + 1) - 0.46
        ax.plot(at, PUBLISHED_ENTROPIES, **(PUBLISHED | {"markersize": 3.2}))
    ax.set_xticks(places)
    ax.set(xlabel="place in the window", ylabel="loss (nats)", ylim=(-0.012, None))


def draw_limits(
    ax: Axes, limit: Callable[[Cycle, int], float], holds: Sequence[int], contexts: range
) -> None:
    """A limit of cycles of three symbols by context, a line per holding time, darker for longer ones."""
    shades = np.linspace(0.72, 0, len(holds))
    for hold, shade in zip(holds, shades, strict=True):
        values = [limit(Cycle(3, (hold,)), context) for context in contexts]
        ax.plot(contexts, values, color=(shade,) * 3, lw=1, label=f"h = {hold}")
    ax.set(xlabel="context B (symbols)", xticks=[*range(contexts[0] - 1 + 3, contexts[-1] + 1, 3)])


# ---------------------------------------------------------------- learning


def draw_loss(ax: Axes, found: Mapping[str, History], floors: Mapping[str, float]) -> None:
    """Expected loss by update of each network (thin) and their median (thick); dashed: floors, by name."""
    for family, (steps, loss) in found.items():
        ax.plot(steps, loss.T, color=COLORS[family], lw=0.4, alpha=0.5)
        ax.plot(steps, np.median(loss, axis=0), color=COLORS[family], lw=1.3)
    for name, floor in floors.items():
        ax.axhline(floor, **CHANCE)
        line_label(ax, floor, name, x=0.42)
    ax.set(xscale="log", xlabel="update", ylabel="expected loss (nats)")


def draw_excess(ax: Axes, found: Mapping[str, History], floors: Mapping[str, float]) -> None:
    """Expected loss above the floor of each family, both axes logarithmic; lines as in `draw_loss`.

    Histories have four digits, a ten-thousandth of a nat: differences of less are not drawn.
    """
    above = {family: h._replace(loss=h.loss - floors[family]) for family, h in found.items()}
    draw_loss(ax, {f: h._replace(loss=np.maximum(h.loss, _SHOWN)) for f, h in above.items()}, {})
    ax.set(yscale="log", ylabel="loss above floor (nats)", ylim=(2e-4, 1.5))


def draw_finals(ax: Axes, scores: pd.DataFrame, families: Sequence[str]) -> None:
    """Loss above the floor of trained networks, a column per family; mean with its 95 % interval beside them.

    scores: columns family, excess (nats). No interval for fewer than 6 networks.
    """
    for x, family in enumerate(families):
        own = np.maximum(scores.excess[scores.family == family].to_numpy(), _SHOWN)
        look = {"color": COLORS[family], "marker": MARKERS[family], "s": 9, "lw": 0, "alpha": 0.8}
        ax.scatter(x + sideways(len(own), 0.4), own, **look)
        if len(own) >= 6:
            low, high = mean_interval(own)
            ax.vlines(x + 0.34, max(low, _SHOWN), high, color="black", lw=1)
        ax.plot([x + 0.34], [own.mean()], marker="_", color="black", markersize=5, mew=1.4)
    ax.set(yscale="log", xlim=(-0.6, len(families) - 0.3), ylabel="loss above floor (nats)")
    turned = {"rotation": 45, "ha": "right", "rotation_mode": "anchor"}
    ax.set_xticks(range(len(families)), [SHORT[family] for family in families], fontsize=6, **turned)


def family_legend(ax: Axes | Figure, families: Sequence[str], extra: Sequence[Line2D] = (), **where) -> None:
    """Legend of families, and further entries, of a panel or a figure."""
    lines = [
        Line2D([], [], color=COLORS[family], marker=MARKERS[family], markersize=3, label=LABELS[family])
        for family in families
    ]
    ax.legend(handles=[*lines, *extra], **where)
