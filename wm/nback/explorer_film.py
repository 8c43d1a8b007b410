"""A film of a trial: the images so far, the answer, and what the state now tells about each image."""

from __future__ import annotations

__all__ = ["film"]

import matplotlib
import matplotlib.pyplot as plt
import numpy as np
from matplotlib.animation import FuncAnimation
from matplotlib.axes import Axes

from .. import style
from . import explorer_case as cases
from . import explorer_plots as panels
from .explorer_case import Settings
from .pictures import RESPONSE_LOOKS, draw_trial
from .task import FEATURES, RESPONSES


def film(network: str, settings: Settings) -> FuncAnimation:
    """A frame for each step, and the last one once more."""
    with matplotlib.rc_context():
        style.use()
        moving = _film(network, settings)
        plt.close(moving._fig)
    return moving


def _film(network: str, settings: Settings) -> FuncAnimation:
    case = cases.case_of(network, settings)
    found, states = cases.decoders(case, settings), case.trace.states[0, 0].numpy()
    length, shares, said = len(case.items), panels.probabilities(case), panels.answers(case)
    read = {feature: panels.read(found, states, feature) for feature in FEATURES}
    names = {feature: panels.class_names(case, feature) for feature in FEATURES}
    fig, ax = style.figure(
        19, 9, [["images", "images"], ["answer", "contents"]], height_ratios=(1.2, 1), width_ratios=(1, 2.6)
    )
    fig.suptitle(cases.said(case), fontweight="bold")

    def move(step: int) -> None:
        with matplotlib.rc_context():  # frames are drawn when somebody asks for them
            style.use()
            for each in ax.values():
                each.clear()
            past = slice(step + 1)
            draw_trial(ax["images"], case.images[past], case.task, case.targets[past], answers=said[past])
            ax["images"].set_xlim(right=length)
            colours = [RESPONSE_LOOKS[name][1] for name in RESPONSES]
            ax["answer"].barh(range(len(RESPONSES)), shares[step], color=colours)
            ax["answer"].set_yticks(range(len(RESPONSES)), RESPONSES)
            ax["answer"].set(
                xlim=(0, 1), xticks=(0, 0.5, 1), ylim=(2.5, -0.5), xlabel=f"probability at step {step + 1}"
            )
            _draw_now(ax["contents"], case, {f: (read[f][:, step], names[f]) for f in FEATURES}, step)

    return FuncAnimation(fig, move, [*range(length), length - 1])


def _draw_now(ax: Axes, case: cases.Case, found: dict, step: int) -> None:
    """Rows: features; columns: images so far; the darker, the surer is the truth; red: wrong."""
    length = len(case.items)
    truth = np.full((len(FEATURES), length), np.nan)
    for row, (feature, (own, names)) in enumerate(found.items()):
        for image in range(step + 1):
            right, said = case.labels[feature][image], own[image].argmax()
            truth[row, image] = own[image, right]
            look = {"color": "#C0504D", "weight": "bold"} if said != right else {"color": "black"}
            ax.text(image, row, names[said], ha="center", va="center", fontsize=6, **look)
    ax.imshow(truth, cmap="Greys", vmin=0, vmax=1.6, aspect="auto")
    ax.set_yticks(range(len(FEATURES)), FEATURES)
    ax.set_xticks(range(length), range(1, length + 1))
    ax.set(xlabel="image", title="what the state tells now", xlim=(-0.5, length - 0.5))
    ax.tick_params(length=0)
    ax.spines[:].set_visible(False)
