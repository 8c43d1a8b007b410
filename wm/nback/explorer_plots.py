"""Drawings of the explorer of N-back networks."""

from __future__ import annotations

__all__ = [
    "answers", "class_names", "draw_answers", "draw_contents", "draw_gates", "draw_images", "draw_maps",
    "draw_scores", "mark", "probabilities", "read",
]  # fmt: skip

from collections.abc import Iterable, Sequence

import numpy as np
from matplotlib.axes import Axes
from matplotlib.image import AxesImage

from ..style import CHANCE, COLORS, line_label
from . import explorer_case as cases
from .contents import read
from .design import LOCATIONS
from .explorer_case import Case
from .pictures import RESPONSE_LOOKS, draw_trial
from .task import RESPONSES

_WRONG = "#C0504D"


def probabilities(case: Case) -> np.ndarray:
    """How likely the network finds each answer, (time, response)."""
    return case.trace.logits[0, 0].softmax(dim=-1).numpy()


def answers(case: Case) -> np.ndarray:
    """What the network answers, places in RESPONSES, (time,)."""
    return case.trace.answers[0, 0].numpy()


def class_names(case: Case, feature: str) -> list[str]:
    """Short names of the classes of a feature."""
    stimuli = cases.stimuli_of(case.trained.config.stimuli)
    if feature == "location":
        return ["".join(word[0] for word in name.split()) for name in LOCATIONS]
    if feature == "category":
        return [*stimuli.classes("category")]
    count = len(stimuli.classes("identity"))
    return [cases.short(cases.Item(k, 0, 0), stimuli) for k in range(count)]


def draw_images(ax: Axes, case: Case) -> None:
    """The trial with its right answers, wrong ones of the network, and how each image is written."""
    draw_trial(ax, case.images, case.task, case.targets, answers=answers(case))
    stimuli = cases.stimuli_of(case.trained.config.stimuli)
    for time, item in enumerate(case.items):
        look = {"ha": "center", "va": "top", "fontsize": 5.5, "family": "monospace", "color": "#5A5A5A"}
        ax.text(time + 0.5, 1.29, cases.code(item, stimuli), **look)
    ax.set_ylim(bottom=1.42)


def draw_answers(ax: Axes, shares: np.ndarray, targets: np.ndarray) -> list:
    """Probability of each answer at each step, stacked; P(match) as a line; a bar below: the right answer.

    shares (time, response); targets (time,). Returns the bars of each answer, and the line.
    """
    times, drawn, bottom = np.arange(len(shares)) + 0.5, [], np.zeros(len(shares))
    for place, name in enumerate(RESPONSES):
        _, colour = RESPONSE_LOOKS[name]
        drawn.append(ax.bar(times, shares[:, place], 0.8, bottom, color=colour, alpha=0.75, label=name))
        bottom = bottom + shares[:, place]
    drawn += ax.plot(times, shares[:, 2], "o-", color="black", lw=0.8, ms=3, label="P(match)")
    right = [RESPONSE_LOOKS[RESPONSES[target]][1] for target in targets]
    ax.bar(times, 0.06, 0.8, -0.09, color=right)
    ax.text(-0.03, -0.06, "right", ha="right", va="center", fontsize=5.5)
    ax.set(xlim=(-1.1, len(shares)), ylim=(-0.1, 1.02), xlabel="step", ylabel="probability")
    ax.set_xticks(times, range(1, len(shares) + 1))
    ax.spines["left"].set_bounds(0, 1)
    ax.legend(ncols=4, loc="lower center", bbox_to_anchor=(0.5, 1))
    return drawn


def draw_contents(ax: Axes, found: np.ndarray, right: np.ndarray, names: Sequence[str]) -> AxesImage:
    """Probability of what each image (down) truly was, at each step (across); what is read is written, red if
    it is wrong.

    found: (image, time, class), of `wm.nback.contents.read`; right: (image,).
    """
    length = len(right)
    truth = found[np.arange(length), :, right]
    picture = ax.imshow(truth, cmap="Greys", vmin=0, vmax=1.6, aspect="auto", origin="upper")
    for image in range(length):
        for time in range(image, length):
            said = found[image, time].argmax()
            wrong = said != right[image]
            look = {"color": _WRONG if wrong else "black", "weight": "bold" if wrong else "normal"}
            text = names[said].replace("airplane", "plane")
            ax.text(time, image, text, ha="center", va="center", fontsize=5, **look)
    for axis in (ax.xaxis, ax.yaxis):
        axis.set_ticks(range(length), range(1, length + 1))
    ax.set(xlabel="step", xlim=(-0.5, length - 0.5))
    ax.spines[:].set_visible(False)
    ax.tick_params(length=0)
    return picture


def draw_scores(ax: Axes, scores: np.ndarray, classes: int) -> None:
    """Balanced accuracy of the decoders on images that they were not fitted to, by age (age,)."""
    ax.plot(range(len(scores)), scores, "o-", color="#404040", lw=0.9, ms=2.5)
    ax.axhline(1 / classes, **CHANCE)
    line_label(ax, 1 / classes, "chance")
    ax.set(ylim=(0, 1.05), xlabel="steps since the image", xticks=range(len(scores)))


def draw_maps(ax: Axes, images: np.ndarray, weights: np.ndarray) -> None:
    """Images, bright where attention is, with the weights of positions (time, position)."""
    side = round(weights.shape[1] ** 0.5)
    for time, (image, own) in enumerate(zip(images, weights, strict=True)):
        height, width = image.shape[:2]
        rows, columns = (np.minimum(np.arange(size) * side // size, side - 1) for size in (height, width))
        map_ = own.reshape(side, side)[rows][:, columns, None]
        shown = np.minimum(0.75 * image / 255 + 0.45 * map_ / weights.max(), 1)
        box = (time + 0.04, time + 0.96, 0.92, 0)
        ax.imshow(shown, extent=box, aspect="equal")
        for place, weight in enumerate(own if side <= 2 else ()):
            x, y = time + 0.04 + 0.92 * (place % side + 0.5) / side, 0.92 * (place // side + 0.9) / side
            ax.text(x, y, f"{weight:.2f}", color="white", ha="center", va="center", fontsize=5)
    ax.set(xlim=(-1.1, len(images)), ylim=(1, -0.05), xticks=(), yticks=())
    ax.spines[:].set_visible(False)


def draw_gates(ax: Axes, gates: np.ndarray) -> None:
    """Gates of channels (time, channel) from 0 to 1, channels in the order of their mean."""
    order = gates.mean(axis=0).argsort()
    picture = ax.imshow(gates[:, order], cmap="Greys", vmin=0, vmax=1, aspect="auto", interpolation="nearest")
    ax.set_yticks(range(len(gates)), range(1, len(gates) + 1))
    ax.set(xlabel="channels, by mean gate", ylabel="step")
    ax.figure.colorbar(picture, ax=ax, pad=0.01, aspect=12).set_label("gate")


def mark(axes: Iterable[Axes], step: int, *, middle: float = 0.5) -> None:
    """Frame the step that is looked at (from 0); middle: of its column, from its number."""
    for ax in axes:
        ax.axvspan(step + middle - 0.5, step + middle + 0.5, fc="none", ec=COLORS["chosen"], lw=0.8, zorder=4)
