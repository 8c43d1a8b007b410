"""What there is to see of a saved N-back network: views with settings, widgets, an animation, the record.

    from wm.nback import explorer
    explorer.trial("gru_mtmf-00", trial="car3 chair0.2 car3.6.1", task="2-back identity")   # a figure
    explorer.explore("gru_mtmf-00")                      # all views, and thumbnails to build a trial from

`explore` offers what suits a network: `attention` is for those that have it.
"""

from __future__ import annotations

__all__ = [
    "VIEWS", "Settings", "about", "animate", "attention", "contents", "explore", "trial", "training", "views",
]  # fmt: skip

from collections.abc import Mapping
from functools import lru_cache
from typing import Any

import pandas as pd
from matplotlib.figure import Figure

from .. import explore as look
from .. import store, style
from . import explorer_case as cases
from . import explorer_plots as panels
from . import library
from .design import SPLITS
from .explorer_case import Settings
from .explorer_film import film
from .pictures import SPLIT_LOOKS, draw_trial
from .task import FEATURES

_SMOKE = {"trials": 128}


# ---------------------------------------------------------------- views


@look.view(Settings)
def trial(network: str, settings: Settings) -> Figure:
    """The trial: images, right answers, those of the network, and how likely it finds each answer."""
    case = cases.case_of(network, settings)
    fig, ax = style.figure(19, 9.5, [["images"], ["answers"]], height_ratios=(1.5, 1))
    panels.draw_images(ax["images"], case)
    panels.draw_answers(ax["answers"], panels.probabilities(case), case.targets)
    panels.mark(ax.values(), cases.step(case, settings))
    fig.suptitle(f"{cases.said(case)}: answers", fontweight="bold")
    return fig


@look.view(Settings)
def contents(network: str, settings: Settings) -> Figure:
    """What the state tells about each image seen so far, at every step: read by linear decoders."""
    case = cases.case_of(network, settings)
    found, step = cases.decoders(case, settings), cases.step(case, settings)
    states = case.trace.states[0, 0].numpy()
    fig, ax = style.figure(
        19, 13, [["images"] * 3, [*FEATURES], [f"{feature} score" for feature in FEATURES]],
        height_ratios=(1.35, 2, 0.8),
    )  # fmt: skip
    draw_trial(ax["images"], case.images, case.task, case.targets, answers=panels.answers(case))
    for feature in FEATURES:
        names = panels.class_names(case, feature)
        panels.draw_contents(ax[feature], panels.read(found, states, feature), case.labels[feature], names)
        classes = len(found.readouts[feature][0].classes)  # fewer than there are objects in the library
        panels.draw_scores(ax[f"{feature} score"], found.scores[feature], classes)
        panels.mark([ax[feature]], step, middle=0)
        ax[feature].set_title(feature)
    ax["location"].set_ylabel("image")
    ax["location score"].set_ylabel("share right,\nother images")
    panels.mark([ax["images"]], step)
    fig.suptitle(f"{cases.said(case)}: contents of the state", fontweight="bold")
    return fig


@look.view(Settings)
def attention(network: str, settings: Settings) -> Figure:
    """Where a network looks in each image of the trial, or how it weighs its channels.

    Raises ValueError for a network without attention.
    """
    case = cases.case_of(network, settings)
    if case.trace.attention is None:
        raise ValueError(f"{network} has no attention: look at `trial`")
    fig, ax = style.figure(19, 9.5, [["images"], ["attention"]], height_ratios=(1.71, 1.05))
    draw_trial(ax["images"], case.images, case.task, case.targets, answers=panels.answers(case))
    weights = case.trace.attention[0, 0].numpy()
    if case.trained.config.attention == "spatial":
        panels.draw_maps(ax["attention"], case.images, weights)
    else:
        panels.draw_gates(ax["attention"], weights)
    panels.mark([ax["images"]], cases.step(case, settings))
    fig.suptitle(f"{cases.said(case)}: attention", fontweight="bold")
    return fig


@look.view(Settings)
def training(network: str, _: Settings) -> Figure:
    """Loss, accuracy of the batches, and validation by split while the network was trained."""
    cases.loaded(network)
    history = store.load_network("nback", network).history
    fig, ax = style.figure(19, 6, [["loss", "accuracy", "validation"]])
    steps = history.get("step", [])
    for name in ("loss", "accuracy"):
        ax[name].plot(steps, history.get(name, []), color="#404040", lw=0.6)
    for split in SPLITS:
        if values := history.get(f"val_{split}_acc"):
            label, colour, line = SPLIT_LOOKS[split]
            ax["validation"].plot(steps, values, color=colour, ls=line, lw=1.1, label=label)
    for name in ("accuracy", "validation"):
        ax[name].axhline(0.5, **style.CHANCE)
        style.line_label(ax[name], 0.5, "constant answer")
    ax["validation"].legend(loc="upper left")
    ax["loss"].set(ylabel="loss (nats a step)", yscale="log")
    ax["accuracy"].set_ylabel("share right where something is compared")
    ax["validation"].set_ylabel("balanced accuracy of validation")
    for each in ax.values():
        each.set(xlabel="updates")
    fig.suptitle(f"{network}: training", fontweight="bold")
    return fig


VIEWS: Mapping[str, look.View] = {
    "trial": trial, "contents": contents, "attention": attention, "training": training,
}  # fmt: skip
"""name -> view(network, **settings)"""


def views(network: str) -> dict[str, look.View]:
    """The views that suit a saved network."""
    attends = cases.loaded(network).config.attention != "none"
    return {name: view for name, view in VIEWS.items() if attends or name != "attention"}


# ---------------------------------------------------------------- explore, animate, about


def explore(network: str, *, smoke: bool = False, **settings: Any) -> Any:
    """Widgets: thumbnails from which a trial is built, and the views, for all networks with the same ones.

    See `wm.explore.explorer`. smoke: coarse pictures in place of widgets.
    """
    if smoke:
        return look.still(views(network), network, **_SMOKE | settings)
    from .explorer_shelf import shelf

    kind = _kind(network)
    others = [name for name in library.names() if _kind(name) == kind]
    stimuli = cases.stimuli_of(kind[0])
    return look.explorer(
        views(network), Settings, others, network, above=lambda own: shelf(own["trial"], stimuli), **settings
    )


def _kind(network: str) -> tuple[str, bool]:
    """Its stimulus set, and whether it has attention: what a network can be shown, and its views."""
    config = cases.loaded(network).config
    return config.stimuli, config.attention != "none"


def animate(network: str, *, smoke: bool = False, **settings: Any) -> Any:
    """Step by step as a film with buttons, `IPython.display.HTML`; smoke: coarse decoders.

    The images up to now, the answer, and what the state now tells about each of them.
    """
    chosen = look.made(Settings, (_SMOKE if smoke else {}) | settings)
    return _page(network, chosen, cases.stamp(network))


@lru_cache(maxsize=4)
def _page(network: str, settings: Settings, _stamp: int) -> Any:
    return look.film(film(network, settings), fps=1)


def about(network: str) -> pd.DataFrame:
    """Record of a saved N-back network: command, scores (balanced accuracy by split), training, settings."""
    return look.about("nback", network)
