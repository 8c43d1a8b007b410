"""What the explorer of plastic networks has for drawings alone: the view of an episode.

`wm.plastic.explorer` offers it, and shows drawings in place of their numbers in its other views
(`wm.plastic.fewshot.shown`).
"""

from __future__ import annotations

__all__ = ["accuracies", "episode"]

import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure

from ... import explore, style
from ...estimate import mean_interval
from .. import explorer_case as cases
from .. import inside
from .. import inside_plots as panels
from ..evaluate import test_episodes
from ..explorer_case import Case, Settings
from ..families import make_task
from ..library import Trained
from .shown import draw_pictures

MOST = 25
"""queries that are shown"""


@explore.view(Settings)
def episode(network: str, settings: Settings) -> Figure:
    """An episode at a glance: labelled drawings, queries with their answers, and the score of test episodes.

    Raises ValueError for a network that names no drawings.
    """
    case = cases.case_of(network, settings)
    if case.pictures is None:
        raise ValueError(f"{network} names no drawings: look at `tokens`")
    queries = np.flatnonzero(case.task.queries)[:MOST]
    answers = inside.probabilities(case.trained, cases.watched(case, settings).trace.answers)[0][queries]
    fig, ax = style.figure(
        19, 12, [["labelled", "test"], ["queries", "queries"], ["answers", "answers"]],
        height_ratios=[2.2, 1, 1.6], width_ratios=[1.2, 1],
    )  # fmt: skip
    _draw_labelled(ax["labelled"], case)
    right, chosen = case.targets[queries], answers.argmax(axis=1)
    wrong = np.flatnonzero(chosen != right)
    draw_pictures(ax["queries"], case.pictures[queries], [*map(str, chosen)], width=17, wrong=wrong)
    ax["queries"].set_title("queries, and the label that each is given, red if wrong", loc="left")
    panels.draw_labels(ax["answers"], answers, dict(enumerate(right)))
    ax["answers"].set(xlabel="query", xticks=range(len(queries)), ylabel="label")
    _draw_test(ax["test"], case, settings)
    fig.suptitle(f"{cases.said(case, settings)}: one episode", fontweight="bold")
    return fig


def accuracies(trained: Trained, trials: int) -> np.ndarray:
    """Share of right answers in each of the test episodes, (trial,)."""
    inputs, targets = test_episodes(trained.config, trials)
    chosen = trained.run(inputs).answers[0].argmax(dim=-1).numpy()
    return (chosen == targets)[:, make_task(trained.config).queries].mean(axis=1)


def _draw_labelled(ax: Axes, case: Case) -> None:
    """Labelled drawings, a column for each label, in the order in which they come; with their tokens."""
    task, shots = case.task, case.task.shots
    labels = case.inputs[: task.support, -task.ways - 1 : -1].argmax(axis=1)
    seen = dict.fromkeys(range(task.ways), 0)
    for token, label in enumerate(labels):
        top = shots - seen[label]
        seen[label] += 1
        place = (label - 0.46, label + 0.46, top - 0.92, top)
        ax.imshow(case.pictures[token].squeeze(), extent=place, cmap="gray", vmin=0, vmax=1)
        ax.text(label - 0.44, top - 0.9, str(token), fontsize=4.5, color=style.COLORS["chosen"], va="bottom")
    ax.set(xlim=(-0.5, task.ways - 0.5), ylim=(-0.05, shots + 0.05), aspect="equal", yticks=())
    ax.set(xticks=range(task.ways), xlabel="label")
    ax.set_title("labelled drawings, with their tokens", loc="left")


def _draw_test(ax: Axes, case: Case, settings: Settings) -> None:
    """How many test episodes have which share of right answers, with the rule on and off."""
    asked = case.task.asked
    for name, trained in cases.with_and_without(case).items():
        shares = accuracies(trained, settings.trials)
        counts = np.bincount(np.rint(shares * asked).astype(int), minlength=asked + 1)
        low, high = mean_interval(shares)
        said = f"{name}: {shares.mean():.2f} ({low:.2f} to {high:.2f})"
        ax.plot(np.arange(asked + 1) / asked, counts, label=said, **panels.RUNS[name])
    chance = cases.chance(case.task)
    ax.axvline(chance, **style.CHANCE)
    ax.set(xlabel="share right", ylabel="episodes", title=f"{settings.trials} test episodes")
    ax.set_xlim(-0.03, 1.03)
    ax.legend(loc="best")
