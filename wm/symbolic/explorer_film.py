"""Generation of a saved symbolic network as a film: a frame for each symbol."""

from __future__ import annotations

__all__ = ["Film", "Frame", "draw_film", "film", "move_film"]

from collections.abc import Mapping, Sequence
from typing import NamedTuple

import matplotlib
import matplotlib.pyplot as plt
import numpy as np
from matplotlib.animation import FuncAnimation
from matplotlib.artist import Artist
from matplotlib.axes import Axes
from matplotlib.image import AxesImage
from matplotlib.patches import Rectangle

from .. import style
from . import explorer_case as cases
from .explorer_case import Case, Settings
from .explorer_plots import SHARES, signed
from .stages import MAIN, stages
from .strips import RGB, SYMBOLS
from .transformer import Transformer


class Frame(NamedTuple):
    """One step: window (time,); rows (row, time), what is seen by place; chances (symbol,) of what comes.

    exact: (symbol,) or None; string: what was generated up to now, the newest drawn with these chances.
    """

    window: np.ndarray
    rows: np.ndarray
    chances: np.ndarray
    exact: np.ndarray | None
    string: np.ndarray


class Film(NamedTuple):
    """What changes from frame to frame, for `move_film`."""

    window: AxesImage
    rows: AxesImage
    drawn: Rectangle
    bars: Sequence[Rectangle]
    exact: Sequence[Artist]
    said: Artist
    string: AxesImage


def film(network: str, settings: Settings) -> FuncAnimation:
    """The animation of `animate`: a frame for each symbol."""
    case = cases.case_of(network, settings)
    frames = _frames(case, settings)
    config, heads = case.trained.config, []
    if isinstance(case.trained.model, Transformer):
        several = config.layers > 1
        heads = [
            f"{layer}.{h}" if several else f"{h}"
            for layer in range(config.layers)
            for h in range(config.heads)
        ]
    with matplotlib.rc_context():
        style.use()
        mosaic = [["window", "chances"], ["rows", "chances"], ["string", "string"]]
        ratios = {"width_ratios": [2.6, 1], "height_ratios": [0.2, 1, 0.14]}
        fig, ax = style.figure(15, 7.5, mosaic, **ratios)
        shown = draw_film(ax, frames, config.context, heads)
        fig.suptitle(cases.said(case, settings), fontweight="bold")
        fig.canvas.draw()
        matplotlib.rc("figure.constrained_layout", use=False)
        fig.set_layout_engine(None)  # the lay-out of the first frame is that of all
        plt.close(fig)
    return FuncAnimation(fig, lambda step: move_film(shown, frames[step]), len(frames))


def _frames(case: Case, settings: Settings) -> list[Frame]:
    """A frame for each generated symbol."""
    found = cases.edited(case, settings)
    tokens, chances = found.tokens[0], found.probabilities[0]
    exact = cases.chances(case, tokens)
    frames = []
    with case.trained.model.hooks(cases.hooks(case, settings, settings.edit, settings.strength)):
        for step, window in enumerate(cases.windows(case, tokens)):
            best = None if exact is None else exact[step]
            frames.append(Frame(window, _rows(case, window), chances[step], best, tokens[: step + 1]))
    return frames


def _rows(case: Case, window: np.ndarray) -> np.ndarray:
    """What a frame shows by place, (row, time): square root of attention from the newest one, or units."""
    config, model = case.trained.config, case.trained.model
    if not isinstance(model, Transformer):
        return cases.seen(case, window, stages(model)[MAIN[config.model]]).T
    points = [f"blocks.{layer}.attn.hook_pattern" for layer in range(config.layers)]
    return np.sqrt(np.concatenate([cases.seen(case, window, point)[:, -1] for point in points]))


def draw_film(ax: Mapping[str, Axes], frames: Sequence[Frame], context: int, heads: Sequence[str]) -> Film:
    """The first frame: the window, what is seen by place, chances of the next symbol, the string so far.

    ax: window, rows, chances, string; heads: names of the rows, which are then attention
    (its square root); none: they are units.
    """
    shown, count = np.concatenate([frame.rows.T for frame in frames]), len(frames[0].rows)
    look = SHARES | {"aspect": "auto"} if heads else signed(shown)
    window = ax["window"].imshow(np.ones((1, context, 3)), extent=(0, context, 0, 1), aspect="auto")
    image = ax["rows"].imshow(np.ones((count, context)), extent=(0, context, count, 0), **look)
    for name in ("window", "rows"):
        ax[name].set(xlim=(0, context * 1.14), xticks=(), yticks=())
        ax[name].spines[:].set_visible(False)
    drawn = Rectangle((context * 1.04, 0), context * 0.1, 1)
    ax["window"].add_patch(drawn)
    ax["window"].text(context * 1.09, 1.25, "drawn", ha="center", va="bottom")
    said = ax["window"].text(0, 1.25, "", ha="left", va="bottom")
    if heads:
        ax["rows"].set_yticks(np.arange(count) + 0.5, heads)
        ax["rows"].tick_params(axis="y", length=0)
    ax["rows"].set(ylabel="head" if heads else "unit", xlabel="place in the window")
    bars = ax["chances"].bar(range(len(SYMBOLS)), frames[0].chances, color=SYMBOLS, width=0.7)
    known = frames[0].exact is not None
    exact = [ax["chances"].plot((k - 0.4, k + 0.4), (0, 0), color="black", lw=1.4, clip_on=False)[0]
             for k in range(len(SYMBOLS) * known)]  # fmt: skip
    ax["chances"].set(ylim=(0, 1), yticks=(0, 0.5, 1), xlabel="symbol", xticks=range(len(SYMBOLS)))
    ax["chances"].set_title("P(next symbol)" + "; black: exact" * known, loc="left")
    length = len(frames)
    string = ax["string"].imshow(np.ones((1, length, 3)), extent=(0, length, 0, 1), aspect="auto")
    ax["string"].set(yticks=(), xlabel="symbols generated", xlim=(0, length))
    ax["string"].spines["left"].set_visible(False)
    film = Film(window, image, drawn, bars.patches, exact, said, string)
    move_film(film, frames[0])
    return film


def move_film(film: Film, frame: Frame) -> None:
    """Show another step in what `draw_film` drew."""
    context, length = (image.get_array().shape[1] for image in (film.window, film.string))
    missing, step, newest = context - len(frame.window), len(frame.string), frame.string[-1]
    film.window.set_data(np.concatenate([np.ones((missing, 3)), RGB[frame.window]])[None])
    film.rows.set_data(np.pad(frame.rows, ((0, 0), (missing, 0)), constant_values=np.nan))
    film.string.set_data(np.concatenate([RGB[frame.string], np.ones((length - step, 3))])[None])
    film.drawn.set_facecolor(SYMBOLS[newest])
    for bar, chance in zip(film.bars, frame.chances, strict=True):
        bar.set_height(chance)
    for line, chance in zip(film.exact, () if frame.exact is None else frame.exact, strict=True):
        line.set_ydata((chance, chance))
    film.said.set_text(f"step {step}: symbol {newest} drawn, p = {frame.chances[newest]:.2f}")
