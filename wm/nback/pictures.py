"""Drawings of the stimuli and tasks: objects by views, places, and a trial with its right answers."""

from __future__ import annotations

__all__ = [
    "RESPONSE_LOOKS", "SPLIT_LOOKS", "draw_key", "draw_places", "draw_responses", "draw_sheet", "draw_trial",
    "example_trial",
]  # fmt: skip

from collections.abc import Sequence

import numpy as np
import torch
from matplotlib.axes import Axes
from matplotlib.lines import Line2D
from matplotlib.patches import FancyArrowPatch, Rectangle

from ..seeds import numpy_generator
from .design import LOCATIONS, SPLITS, VIEWS, split_of
from .render import CANVAS, place, render
from .stimuli import StimulusSet
from .task import FEATURES, RESPONSES, Sampler, Task

SPLIT_LOOKS = {
    "trained": ("trained", "#2F6DB5", "-"),
    "novel_angle": ("view between trained ones", "#12936F", "--"),
    "extrapolating": ("view beyond them", "#D98A00", ":"),
    "novel_identity": ("object never trained", "#B5386B", "-."),
    "novel_both": ("object and view never trained", "#5E3C99", (0, (4, 1, 1, 1, 1, 1))),
}
"""label, colour and frame of each of the splits"""
RESPONSE_LOOKS = {"no action": ("–", "#8A8A8A"), "non-match": ("≠", "#C4541A"), "match": ("=", "#00798C")}
"""sign and colour of each of the responses"""

_GREY = "#6E6E6E"
_GAP = 0.06  # between cells, of their width


def draw_sheet(
    ax: Axes, stimuli: StimulusSet, objects: Sequence[tuple[str, str]] | None = None, *, pixels: int = 96
) -> None:
    """Objects (rows) as seen from all of `VIEWS` (columns, by azimuth, those beyond last), framed by split.

    objects: (category, identity) of the set, by default a trained one of each category, then a held-out one.
    """
    objects = _examples(stimuli) if objects is None else objects
    held_out = stimuli.held_out()
    beyond = [role == "extrapolating" for _, role in VIEWS]
    order = sorted(range(len(VIEWS)), key=lambda k: (beyond[k], VIEWS[k][0].azimuth))
    for row, (category, identity) in enumerate(objects):
        for column, number in enumerate(order):
            picture = render(stimuli.library.mesh(category, identity), VIEWS[number][0], pixels)
            left, top = column + _GAP, row + _GAP
            ax.imshow(picture, extent=(left, left + 1 - 2 * _GAP, top + 1 - 2 * _GAP, top), aspect="equal")
            split = split_of(number, novel=(category, identity) in held_out)
            _frame(ax, (left, top, 1 - 2 * _GAP, 1 - 2 * _GAP), split)
    names = [f"{category}\n{identity}" for category, identity in objects]
    ax.set_yticks(np.arange(len(objects)) + 0.5, names)
    ax.set_xticks(np.arange(len(order)) + 0.5, [_angle(number) for number in order])
    ax.xaxis.tick_top()
    _bare(ax, len(order), len(objects))


def _examples(stimuli: StimulusSet) -> list[tuple[str, str]]:
    """The first object of each category that is trained, then the first that is held out, if there is one."""
    first = stimuli.table.drop_duplicates(["category", "split"])
    rows = first[first.split.isin(("trained", "novel_identity"))]
    rows = rows.sort_values("split", ascending=False, kind="stable")
    return [*zip(rows.category, rows.identity, strict=True)]


def _angle(number: int) -> str:
    view, role = VIEWS[number]
    up = f"{view.elevation:g}° ↑" if role == "extrapolating" else ""
    return f"{view.azimuth:g}°\n{up}".replace("-", "−")


def _frame(ax: Axes, box: tuple[float, float, float, float], split: str) -> None:
    _, color, style = SPLIT_LOOKS[split]
    left, top, width, height = box
    ax.add_patch(Rectangle((left, top), width, height, fill=False, ec=color, ls=style, lw=1.1))


def _bare(ax: Axes, columns: float, rows: float) -> None:
    ax.set(xlim=(0, columns), ylim=(rows, 0))
    ax.tick_params(length=0)
    ax.spines[:].set_visible(False)


def draw_key(ax: Axes, splits: Sequence[str] = SPLITS, **legend) -> None:
    """What the frames of `draw_sheet` mean; legend: as `Axes.legend` takes it."""
    looks = [SPLIT_LOOKS[split] for split in splits]
    lines = [Line2D([], [], color=color, ls=style, label=label) for label, color, style in looks]
    ax.legend(handles=lines, **{"ncols": len(lines), "handlelength": 2.2} | legend)


def draw_responses(ax: Axes) -> None:
    """What the signs below a trial mean; nothing else is on these axes."""
    for number, (name, (sign, color)) in enumerate(RESPONSE_LOOKS.items()):
        height = 0.75 - 0.22 * number
        ax.text(0.12, height, sign, color=color, weight="bold", ha="center", va="center")
        said = name if number else f"{name}: nothing to compare yet"
        ax.text(0.2, height, said, ha="left", va="center", fontsize=6.5)
    ax.set(xlim=(0, 1), ylim=(0, 1))
    ax.axis("off")


def draw_places(ax: Axes, stimuli: StimulusSet, image: int = 0) -> None:
    """Where objects can be: a dot for each centre, a dashed line around all that they can cover.

    image: row of the set, whose object and view is shown at the middle of each of `LOCATIONS`.
    """
    about, design = stimuli.table.iloc[image], stimuli.design
    mesh, view = stimuli.library.mesh(about.category, about.identity), VIEWS[about.view][0]
    picture, half, side = render(mesh, view, design.size), design.size // 2, CANVAS // 2
    shown = np.zeros((CANVAS, CANVAS, 3), dtype=np.uint8)
    for location, name in enumerate(LOCATIONS):
        xs, ys = design.centres(location)
        shown = np.maximum(shown, place(picture, *(int(np.mean(each)) for each in (xs, ys))))
        corner, width, height = (xs[0] - half, ys[0] - half), xs[-1] - xs[0], ys[-1] - ys[0]
        box = Rectangle(corner, width + design.size, height + design.size, fill=False, ec="white", alpha=0.8)
        ax.add_patch(box).set(linestyle=(1.5 * location, (3, 3)), linewidth=0.6)
        x, y = side * (location % 2) + 4, CANVAS * (location // 2) + 4 * (1 - 2 * (location // 2))
        ax.text(x, y, name, color="white", fontsize=5.5, va="bottom" if location // 2 else "top")
    ax.imshow(shown, extent=(0, CANVAS, CANVAS, 0), alpha=0.8, aspect="equal", zorder=0)
    ax.set_facecolor("black")
    centres = stimuli.table.drop_duplicates(["location", "x", "y"])
    ax.scatter(centres.x, centres.y, s=0.8, color="#FFD24A", lw=0, alpha=0.7)
    ax.axhline(side, color=_GREY, lw=0.5)
    ax.axvline(side, color=_GREY, lw=0.5)
    ax.set(xlim=(0, CANVAS), ylim=(CANVAS, 0), xlabel="x (pixels)", ylabel="y (pixels)")
    ax.set(xticks=(0, side, CANVAS), yticks=(0, side, CANVAS))


def example_trial(
    stimuli: StimulusSet, task: Task, seed: str = "0", *, length: int = 6
) -> tuple[np.ndarray, np.ndarray]:
    """Images (time, 224, 224, 3) uint8 and right answers (time,) of a trial that has both answers.

    Answers are places in `RESPONSES`. Raises ValueError where no trial of 100 has both.
    """
    sampler = Sampler({f: stimuli.labels(f) for f in FEATURES}, length=length, tasks=[task])
    draws = numpy_generator(seed, "example", task.name).random((100, sampler.numbers))
    trials = sampler.trials(torch.as_tensor(draws), torch.tensor(task.place))
    for rows, targets in zip(trials.images.tolist(), trials.targets.numpy(), strict=True):
        if {1, 2} <= {*targets.tolist()}:
            return np.stack([stimuli.image(row) for row in rows]), targets
    raise ValueError(f"no trial of {length} images of {task.name} has a match and a non-match: show more")


def draw_trial(
    ax: Axes,
    images: np.ndarray,
    task: Task,
    targets: np.ndarray,
    *,
    answers: np.ndarray | None = None,
    words: bool = True,
) -> None:
    """A trial as a strip: the task, images with an arc from what each is compared with, the right answers.

    images: (time, height, width, 3) uint8; targets: (time,), places in `RESPONSES`; answers: those of a
    network (time,), of which the wrong ones are told below; words: for answers, else signs, which fit into
    a narrow strip. Raises ValueError for lengths that differ.
    """
    if {len(targets), len(targets if answers is None else answers)} != {len(images)}:
        raise ValueError(f"{len(images)} images need as many targets, and as many answers if there are any")
    compared = [time >= task.lag for time in range(len(images))]
    about = {"ha": "center", "va": "top", "fontsize": 5.5 if words else 7}
    for time, (image, target) in enumerate(zip(images, targets, strict=True)):
        ax.imshow(image, extent=(time + _GAP, time + 1 - _GAP, 1 - 2 * _GAP, 0), aspect="equal")
        text, color = _told(target, words)
        ax.text(time + 0.5, 0.94, text, color=color, weight="bold" if compared[time] else "normal", **about)
        if answers is not None and answers[time] != target:
            ax.text(time + 0.5, 1.14, f"✗ {_told(answers[time], words)[0]}", color="black", **about)
        if compared[time]:
            _arc(ax, time - task.lag, time, color)
    name = task.name.replace(" ", "\n")
    ax.text(-0.1, 0.44, name, ha="right", va="center", fontsize=6.5, weight="bold")
    _bare(ax, len(images), 1.15 if answers is None else 1.35)
    ax.set(xlim=(-1.1, len(images)), xticks=[], yticks=[])
    ax.set_ylim(top=-0.2 - 0.08 * task.lag)


def _told(response: int, words: bool) -> tuple[str, str]:
    name = RESPONSES[int(response)]
    sign, color = RESPONSE_LOOKS[name]
    return name if words else sign, color


def _arc(ax: Axes, start: int, end: int, color: str) -> None:
    look = {"arrowstyle": "-|>", "mutation_scale": 4, "lw": 0.8, "color": color, "shrinkA": 0, "shrinkB": 0}
    bend = -0.35 / (end - start) ** 0.7  # nearly as high for every lag
    places = (start + 0.56, -0.02), (end + 0.44, -0.02)
    ax.add_patch(FancyArrowPatch(*places, connectionstyle=f"arc3,rad={bend}", clip_on=False, **look))
