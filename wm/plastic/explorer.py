"""What there is to see of a saved plastic network: views with settings, widgets, an animation, the record.

    from wm.plastic import explorer
    explorer.tokens("windowed_copying_hebbian-00", sequence="31452", edit="erase")   # a figure
    explorer.explore("windowed_copying_hebbian-00")                                  # all views, with sliders

`explore` offers what suits a network: `memory` is for those that write something into their fast weights,
`episode` for those that name drawings.
"""

from __future__ import annotations

__all__ = [
    "VIEWS", "Settings", "about", "animate", "comparison", "episode", "explore", "memory", "tokens",
    "training", "views",
]  # fmt: skip

from collections.abc import Mapping
from functools import lru_cache
from typing import Any

import numpy as np
import pandas as pd
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.ticker import MaxNLocator

from .. import explore as look
from .. import store, style
from . import explorer_case as cases
from . import inside, library, reads
from . import inside_plots as panels
from .explorer_case import Case, Settings
from .explorer_film import film
from .fewshot.explorer import episode

_SMOKE = {"trials": 8}
_RATES = ("rate", "logit", "norm", "ratio")


# ---------------------------------------------------------------- views


@look.view(Settings)
def tokens(network: str, settings: Settings) -> Figure:
    """The sequence token by token: what comes in and is answered, how it is written, and where it is held."""
    case = cases.case_of(network, settings)
    watched = cases.watched(case, settings)
    plastic = ["rate", "logit", "norm", "ratio", "norms", "parts"] if watched.layers else []
    rows = ["inputs", "answers", *plastic]
    fig, ax = style.figure(
        19, 5.5 + 1.5 * len(plastic), [[row] for row in rows],
        height_ratios=[0.4 if case.pictures is None else 1.1, 2.2, *[1] * len(plastic)],
    )  # fmt: skip
    _top(ax, case, watched, settings)
    if watched.layers:
        colour = style.COLORS[case.trained.config.rule]
        panels.draw_rates({name: ax[name] for name in _RATES}, watched, color=colour)
        panels.draw_norms(ax["norms"], watched)
        panels.draw_parts(ax["parts"], watched)
        ax["norms"].legend(ncols=4, loc="lower right", bbox_to_anchor=(1, 0.98), borderaxespad=0.2)
    for row in rows:
        ax[row].tick_params(labelbottom=row == rows[-1])
        cases.mark(ax[row], case, settings)
    ax[rows[-1]].set_xlabel("token")
    ax[rows[-1]].xaxis.set_major_locator(MaxNLocator(integer=True))
    fig.suptitle(f"{cases.said(case, settings)}: token by token", fontweight="bold")
    return fig


def _top(ax: Mapping[str, Axes], case: Case, watched: inside.Watched, settings: Settings) -> None:
    """Inputs and answers."""
    cases.draw_inputs(ax["inputs"], case, width=16)
    answers, alone = (
        inside.probabilities(case.trained, each)[0] for each in (watched.trace.answers, watched.alone)
    )
    image = panels.draw_answers(ax["answers"], case.task, answers, case.targets, alone)
    if image:
        ax["answers"].figure.colorbar(image, ax=ax["answers"], pad=0.01, aspect=12).set_label("probability")
    else:
        ax["answers"].legend(ncols=3, loc="lower right", bbox_to_anchor=(1, 0.98), borderaxespad=0.2)


@look.view(Settings)
def memory(network: str, settings: Settings) -> Figure:
    """Fast weights of a layer at the chosen token, what was read from which token, and what this does.

    Raises ValueError for networks that write nothing, and for a layer that there is not.
    """
    case = cases.case_of(network, settings)
    watched, token = cases.watched(case, settings), cases.token(case, settings)
    layer = cases.layer(watched, settings)
    share = reads.shares(watched, layer)[0]
    fig, ax = style.figure(
        19, 12, [["fast", "reads", "reads"], ["row", "row", "answer"]],
        width_ratios=[1, 0.6, 0.6], height_ratios=[1.6, 1],
    )  # fmt: skip
    shown = inside.fast_weights_at(watched, layer, token)
    image = panels.draw_fast([ax["fast"]], [shown], [f"fast weights after token {token}"])
    ax["fast"].set(xlabel=f"{shown.shape[1]} inputs", ylabel=f"{shown.shape[0]} outputs")
    fig.colorbar(image, ax=ax["fast"], pad=0.02, aspect=25)
    image = panels.draw_reads(ax["reads"], share, case.task, limit=1)
    ax["reads"].axhline(token, color=style.COLORS["chosen"], lw=0.8)
    ax["reads"].set_title("shares of what is read, by token written", fontsize=6)
    fig.colorbar(image, ax=ax["reads"], pad=0.02, aspect=25, extend="both")
    panels.draw_row(ax["row"], share[token], case.task, cases.words(case))
    ax["row"].set_title(f"what token {token} reads, shares", loc="left")
    said = (inside.probabilities(case.trained, each) for each in (watched.trace.answers, watched.alone))
    panels.draw_both(ax["answer"], *(each[0, token] for each in said), style.COLORS[case.trained.config.rule])
    by = f", by {panels.answer_kind(case.task)}" * case.task.categorical
    ax["answer"].set_xlabel(f"answer at token {token}{by}")
    fig.suptitle(f"{cases.said(case, settings)}: {panels.layer_name(layer)}", fontweight="bold")
    return fig


@look.view(Settings)
def comparison(network: str, settings: Settings) -> Figure:
    """Rule on, with the edit, and off (eta0 = 0): answers to this sequence, and scores on test sequences."""
    case = cases.case_of(network, settings)
    runs = cases.compared(case, settings)
    categorical, queries = case.task.categorical, np.flatnonzero(case.task.queries)
    fig, ax = style.figure(19, 7, [["own", "test"]])
    for name, (trained, edit) in runs.items():
        marks = panels.RUNS[name]
        trace = inside.watch(trained, case.inputs[None], edit).trace
        answers = inside.probabilities(trained, trace.answers)[0]
        if case.targets is not None:
            right = case.targets[queries]
            own = answers[queries, right] if categorical else answers[queries, 0] - right
            ax["own"].plot(queries, own, label=name, **marks)
        score = inside.recalled(trained, edit, trials=settings.trials)
        ax["test"].plot(queries, score, label=f"{name}: {score.mean():.3g}", **marks)
    chance = cases.chance(case.task)
    ax["test"].axhline(chance, **style.CHANCE)
    style.line_label(ax["test"], chance, "chance")
    said = f"P of the right {panels.answer_kind(case.task)}" if categorical else "answer − right"
    ax["own"].set(ylabel=said, title="this sequence")
    ax["test"].set_ylabel("share right" if categorical else "squared error")
    ax["test"].set_title(f"{settings.trials} test sequences")
    for each in ax.values():
        each.set(xlabel="token", xticks=queries[:: max(1, len(queries) // 8)])
        each.set_ylim(*((-0.03, 1.05) if categorical else (0, None) if each is ax["test"] else (None, None)))
        each.legend(loc="best") if each.lines else each.text(0.5, 0.5, "right answers unknown", ha="center")
    fig.suptitle(f"{cases.said(case, settings)}: what the rule is worth", fontweight="bold")
    return fig


@look.view(Settings)
def training(network: str, _: Settings) -> Figure:
    """Loss, score of the answers and mean rate while the network was trained."""
    trained = cases.loaded(network)
    history, task = store.load_network("plastic", network).history, cases.task_of(trained)
    fig, ax = style.figure(19, 6, [["loss", "score", "rate"]])
    colour, steps = style.COLORS[trained.config.rule], history.get("step", [])
    for name, each in ax.items():
        each.plot(steps, history.get(name, []), color=colour, lw=1.1)
        each.set(xlabel="updates")
    chance = cases.chance(task)
    ax["score"].axhline(chance, **style.CHANCE)
    style.line_label(ax["score"], chance, "chance")
    kind = "nats a token" if task.categorical else "squared error"
    ax["loss"].set(ylabel=f"loss ({kind})", yscale="log")
    ax["score"].set_ylabel("share of answers right" if task.categorical else "squared error of the answers")
    ax["rate"].set_ylabel("mean rate of a token")
    fig.suptitle(f"{network}: training", fontweight="bold")
    return fig


VIEWS: Mapping[str, look.View] = {
    "episode": episode, "tokens": tokens, "memory": memory, "comparison": comparison, "training": training,
}  # fmt: skip
"""name -> view(network, **settings)"""


def views(network: str) -> dict[str, look.View]:
    """The views that suit a saved network."""
    unfit = {view for view, fit in zip(("memory", "episode"), cases.kind(network), strict=True) if not fit}
    return {name: view for name, view in VIEWS.items() if name not in unfit}


# ---------------------------------------------------------------- explore, animate, about


def explore(network: str, *, smoke: bool = False, **settings: Any) -> Any:
    """Widgets with the views that suit this network, for all saved plastic networks of its kind.

    See `wm.explore.explorer`. smoke: coarse pictures in place of widgets.
    """
    if smoke:
        return look.still(views(network), network, **_SMOKE | settings)
    others = [name for name in library.names() if cases.kind(name) == cases.kind(network)]
    return look.explorer(views(network), Settings, others, network, **settings)


def animate(network: str, *, smoke: bool = False, **settings: Any) -> Any:
    """Token by token as a film with buttons, `IPython.display.HTML`; smoke: few tokens.

    The sequence and the answers up to now; below them the fast weights of the chosen layer and from which
    tokens it reads.
    """
    chosen = look.made(Settings, (_SMOKE if smoke else {}) | settings)
    return _page(network, chosen, smoke, cases.stamp(network))


@lru_cache(maxsize=4)
def _page(network: str, settings: Settings, smoke: bool, _stamp: int) -> Any:
    return look.film(film(network, settings, every=10 if smoke else 1), fps=3)


def about(network: str) -> pd.DataFrame:
    """Record of a saved plastic network: command, scores, training, configuration; costs in nats."""
    return look.about("plastic", network)
