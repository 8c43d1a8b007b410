"""One sequence in a plastic network as a film: a frame for each token."""

from __future__ import annotations

__all__ = ["film"]

import matplotlib
import matplotlib.pyplot as plt
import numpy as np
from matplotlib.animation import FuncAnimation
from matplotlib.axes import Axes

from .. import style
from . import explorer_case as cases
from . import inside, reads
from . import inside_plots as panels
from .explorer_case import Case, Settings


def film(network: str, settings: Settings, *, every: int = 1) -> FuncAnimation:
    """The animation of `animate`: a frame for each token, or for every so many."""
    case = cases.case_of(network, settings)
    run = cases.watched(case, settings)
    frames = [*range(0, case.task.length, every)]
    with matplotlib.rc_context():
        style.use()
        lower = [["fast", "reads"]] if run.layers else []
        first = 0.25 if case.pictures is None else 0.7
        ratios = {"height_ratios": [first, 1.3, *[2] * len(lower)], "width_ratios": [1, 1.3]}
        fig, ax = style.figure(16, 5 + 5 * len(lower), [["inputs"] * 2, ["answers"] * 2, *lower], **ratios)
        shown = _answers(ax, case, run)
        pictures = _pictures(ax, case, run, settings) if run.layers else []
        look = {"color": style.COLORS["chosen"], "lw": 0.8}
        cursors = [ax[name].axvline(0, **look) for name in ("inputs", "answers")]
        fig.suptitle(cases.said(case, settings), fontweight="bold")
        fig.canvas.draw()
        matplotlib.rc("figure.constrained_layout", use=False)
        fig.set_layout_engine(None)  # the lay-out of the first frame is that of all
        plt.close(fig)

    def move(frame: int) -> None:
        token = frames[frame]
        for cursor in cursors:
            cursor.set_xdata((token, token))
        for draw, values in (shown, *pictures):
            draw(values(token))

    return FuncAnimation(fig, move, len(frames))


def _answers(ax: dict[str, Axes], case: Case, run: inside.Watched) -> tuple:
    """Inputs, and answers, hidden up to the token; returns what sets them, and from what."""
    cases.draw_inputs(ax["inputs"], case, width=14)
    answers = inside.probabilities(case.trained, run.trace.answers)[0]
    image = panels.draw_answers(ax["answers"], case.task, answers, case.targets)
    known = np.arange(case.task.length)
    if image:
        return image.set_data, lambda token: np.where(known <= token, answers.T, 0)
    line = ax["answers"].lines[0]
    return line.set_ydata, lambda token: np.where(known <= token, answers[:, 0], np.nan)


def _pictures(ax: dict[str, Axes], case: Case, run: inside.Watched, settings: Settings) -> list[tuple]:
    """Fast weights after a token, and what tokens up to it have read; with what sets them."""
    layer, times = cases.layer(run, settings), range(case.task.length)
    weights = panels.in_order([inside.fast_weights_at(run, layer, token) for token in times])
    title = f"fast weights, {panels.layer_name(layer)}"
    image = panels.draw_fast([ax["fast"]], [weights[-1]], [title])
    limit = max(float(np.quantile(np.abs(weights), 0.995)), 1e-12)
    image.set_clim(-limit, limit)
    share = reads.shares(run, layer)[0]
    share[~np.tri(*share.shape, -1, dtype=bool)] = np.nan
    table = panels.draw_reads(ax["reads"], share, case.task, limit=1)
    ax["reads"].set_title("shares of what is read", fontsize=6)
    read = np.arange(len(share))[:, None]
    return [
        (image.set_data, weights.__getitem__),
        (table.set_data, lambda token: np.where(read <= token, share, np.nan)),
    ]
