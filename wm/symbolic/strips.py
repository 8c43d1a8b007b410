"""Symbols as colours: strips of cells, strings with their prompt, the key, and bars beside phases."""

from __future__ import annotations

__all__ = ["RGB", "SYMBOLS", "String", "draw_key", "draw_strings", "phase_bar", "strip"]

from collections.abc import Mapping, Sequence
from typing import Literal, NamedTuple

import numpy as np
from matplotlib.artist import Artist
from matplotlib.axes import Axes
from matplotlib.colors import to_rgb
from matplotlib.image import AxesImage
from matplotlib.patches import Patch
from numpy.typing import ArrayLike

from ..style import COLORS

SYMBOLS = tuple(COLORS[f"symbol_{symbol}"] for symbol in range(3))
RGB = np.array([to_rgb(colour) for colour in SYMBOLS])
"""(symbol, 3)"""


class String(NamedTuple):
    """A prompt (time,), what followed (step,), which of it was impossible, bool (step,)."""

    before: np.ndarray
    tokens: np.ndarray
    impossible: np.ndarray


def strip(
    ax: Axes,
    tokens: ArrayLike,
    extent: tuple[float, float, float, float] | None = None,
    *,
    pale: ArrayLike | None = None,
    lines: float = 0,
) -> AxesImage:
    """Tokens (time,) or (row, time) as cells in the colours of symbols; -1 is an empty cell.

    extent: left, right, bottom and top, by default cells of size 1 around 0, 1, ...; pale: bool, cells in a
    lighter colour; lines: width of the white lines between cells, points.
    """
    tokens = np.atleast_2d(tokens)
    rows, time = tokens.shape
    rgb = RGB[tokens % len(RGB)]
    if pale is not None:
        rgb = np.where(np.atleast_2d(pale)[..., None], 1 - 0.35 * (1 - rgb), rgb)
    left, right, bottom, top = extent or (-0.5, time - 0.5, rows - 0.5, -0.5)
    cells = np.concatenate([rgb, (tokens >= 0)[..., None]], axis=-1)
    image = ax.imshow(cells, extent=(left, right, bottom, top), interpolation="nearest", aspect="auto")
    if lines:
        ax.vlines(np.linspace(left, right, time + 1), top, bottom, color="white", lw=lines)
        ax.hlines(np.linspace(top, bottom, rows + 1), left, right, color="white", lw=lines)
    return image


def draw_strings(ax: Axes, strings: Mapping[str, Sequence[np.ndarray]]) -> None:
    """A row per string, a cell per symbol: name -> (prompt, tokens, impossible), see `String`.

    The prompt ends at the gap; a dot above a cell marks what the process cannot show there.
    """
    rows = [String(*each) for each in strings.values()]
    steps, longest = max(len(row.tokens) for row in rows), max(len(row.before) for row in rows)
    for y, (before, tokens, impossible) in enumerate(rows):
        cells = np.full(longest + 1 + steps, -1)
        cells[longest - len(before) : longest] = before
        cells[longest + 1 : longest + 1 + len(tokens)] = tokens
        strip(ax, cells, (-longest - 1, steps, y + 0.36, y - 0.28))
        wrong = np.flatnonzero(impossible)
        ax.scatter(wrong + 0.5, np.full(len(wrong), y - 0.4), s=1.6, color="black", lw=0, clip_on=False)
    ax.set(xlim=(-longest - 1, steps), ylim=(len(rows) - 0.5, -0.6), xlabel="symbols generated")
    ax.set_yticks(range(len(rows)), [*strings])
    ax.tick_params(axis="y", length=0)
    ax.spines[["left", "bottom"]].set_visible(False)


def draw_key(ax: Axes, *, dots: bool = True, **place) -> None:
    """Which colour is which symbol, by default above the right corner; dots: what a dot says."""
    entries: list[Artist] = [Patch(color=colour, label=str(k)) for k, colour in enumerate(SYMBOLS)]
    if dots:
        entries += ax.plot([], [], "o", color="black", markersize=1.5, label="impossible there")
    look = {"ncols": len(entries), "handlelength": 0.9, "columnspacing": 1.2, "borderaxespad": 0}
    look |= {} if place.get("loc") else {"loc": "lower right", "bbox_to_anchor": (1, 1.02)}
    ax.legend(handles=entries, **look | place)


def phase_bar(
    ax: Axes,
    symbols: int,
    held: int,
    *,
    first: float = -0.5,
    axis: Literal["x", "y"] = "x",
    away: float = -0.03,
    gap: float = 0,
    lw: float = 2.5,
) -> None:
    """A bar in the colour of each symbol beside an axis of phases, which begins at `first`.

    away: from the axis, as a share of the axes; gap: left at both ends of each bar, in phases.
    """
    transform = ax.get_xaxis_transform() if axis == "x" else ax.get_yaxis_transform()
    look = {"transform": transform, "clip_on": False, "solid_capstyle": "butt", "lw": lw}
    for symbol in range(symbols):
        along = (first + symbol * held + gap, first + (symbol + 1) * held - gap)
        places = (along, (away, away)) if axis == "x" else ((away, away), along)
        ax.plot(*places, color=SYMBOLS[symbol], **look)
