"""Panels of one sequence in a plastic network, of what edits cost, and of rules on one layer.

Each function draws what it is given on the axes it is given. Tokens count from 0. Layers of a rule have its
colour, paler the earlier the block, dashed the second of a block.
"""

from __future__ import annotations

__all__ = [
    "RUNS", "SHADES", "answer_kind", "draw_answers", "draw_both", "draw_courses", "draw_drops", "draw_fast",
    "draw_inputs", "draw_labels", "draw_lesions", "draw_norms", "draw_parts", "draw_rates", "draw_reads",
    "draw_row", "draw_sweeps", "in_order", "layer_name", "mark_phases",
]  # fmt: skip

from collections.abc import Mapping, Sequence

import numpy as np
import pandas as pd
from matplotlib.axes import Axes
from matplotlib.colors import to_rgb
from matplotlib.image import AxesImage
from matplotlib.patches import Rectangle
from matplotlib.ticker import MaxNLocator

from ..style import CHANCE, CMAPS, COLORS, LABELS, MARKERS, line_label
from . import one_layer
from .episodes import Task
from .families import make_task
from .inside import Watched, norms, parts
from .levels import levels

SHADES = {"blank": "#FFFFFF", "item": "#BBD4EE", "delimiter": "#333333"}
"""faces of tokens in `draw_inputs`"""
_KINDS = {"untrained": {}, "published": {"mfc": "white"}, "sound": {"ls": ":", "mfc": "white"}}
_RIGHT = {"edgecolor": COLORS["chosen"], "facecolor": "none", "linewidth": 0.8}


def layer_name(layer: str) -> str:
    """"blocks.0.first" -> "block 1, first"; other names as they are."""
    _, _, rest = layer.partition("blocks.")
    number, _, place = rest.partition(".")
    return f"block {int(number) + 1}, {place}" if rest else layer


def answer_kind(task: Task) -> str:
    """What an answer is: symbol; label, of a drawing; number."""
    return "symbol" if task.symbolic else "label" if task.categorical else "number"


def mark_phases(ax: Axes, task: Task) -> None:
    """Grey behind the queries; time from before the first to after the last token."""
    ax.axvspan(task.length - task.answers - 0.5, task.length - 0.5, color=COLORS["delay"], lw=0, zorder=0)
    ax.set_xlim(-0.5, task.length - 0.5)


# ---------------------------------------------------------------- one sequence


def draw_inputs(ax: Axes, task: Task, inputs: np.ndarray) -> None:
    """What is shown: symbols (time,) as digits in boxes, or numbers (time, input) as an image."""
    if not task.symbolic:
        limit = max(float(np.abs(inputs).max()), 1e-12)
        look = {"aspect": "auto", "cmap": CMAPS["diverging"], "vmin": -limit, "vmax": limit}
        ax.imshow(inputs.T, interpolation="nearest", **look)
        ax.set(ylabel="input", yticks=(), xlim=(-0.5, len(inputs) - 0.5))
        ax.xaxis.set_major_locator(MaxNLocator(integer=True))
        return
    for time, symbol in enumerate(inputs):
        kind = "blank" if symbol == 0 else "delimiter" if symbol == task.symbols - 1 else "item"
        ax.add_patch(Rectangle((time - 0.45, 0), 0.9, 1, facecolor=SHADES[kind], edgecolor="#9A9A9A", lw=0.4))
        colour = {"blank": "#9A9A9A", "delimiter": "white"}.get(kind, "black")
        ax.text(time, 0.46, f"{symbol}", ha="center", va="center", fontsize=5.5, color=colour)
    ax.set(xlim=(-0.5, len(inputs) - 0.5), ylim=(0, 1), yticks=(), xticks=())
    ax.spines[:].set_visible(False)


def draw_answers(
    ax: Axes, task: Task, answers: np.ndarray, targets: np.ndarray | None, alone: np.ndarray | None = None
) -> AxesImage | None:
    """Probabilities (time, answer) as an image, the right ones in boxes; or numbers (time, 1) and targets.

    targets (time,), None where they are unknown; alone: answers of slow weights alone, drawn of numbers only.
    Returns the image, if any.
    """
    queries = np.flatnonzero(task.queries)
    if not task.categorical:
        mark_phases(ax, task)
        if alone is not None:
            ax.plot(alone[:, 0], color="#9A9A9A", lw=0.8, ls=":", label="slow weights alone")
        ax.plot(answers[:, 0], color="black", lw=1, marker=".", ms=3, label="answer")
        if targets is not None:
            ax.plot(queries, targets[queries], "o", mec=COLORS["chosen"], mfc="none", ms=4, label="right")
        ax.set(ylabel="answer")
        ax.xaxis.set_major_locator(MaxNLocator(integer=True))
        return None
    right = {} if targets is None else {time: targets[time] for time in queries}
    ax.set(ylabel=answer_kind(task))
    return draw_labels(ax, answers, right)


def draw_labels(ax: Axes, answers: np.ndarray, right: Mapping[int, int]) -> AxesImage:
    """Probabilities (time, answer) as an image; a box around the right answer to each time in `right`."""
    look = {"origin": "lower", "aspect": "auto", "cmap": "Greys", "interpolation": "nearest"}
    image = ax.imshow(answers.T, vmin=0, vmax=1, **look)
    for time, label in right.items():
        ax.add_patch(Rectangle((time - 0.5, label - 0.5), 1, 1, **_RIGHT))
    known = answers.shape[1]
    ax.set(yticks=range(0, known, 1 + 2 * (known > 6)), xlim=(-0.5, len(answers) - 0.5))
    return image


def draw_rates(
    axes: Mapping[str, Axes], watched: Watched, trial: int = 0, *, log: bool | None = None, **look
) -> None:
    """Rate (dashed: eta0), logit, norm of the update, clip ratio of tokens, each on the axes of its name.

    log: whether what is positive has a logarithmic axis; None: where it spreads over a decade.
    """
    task, rates = make_task(watched.trained.config), watched.trace.rates
    titles = {"rate": "rate", "logit": "logit", "norm": "|update|", "ratio": "clip ratio"}
    for name, ax in axes.items():
        mark_phases(ax, task)
        values = getattr(rates, name)[0, trial].numpy()
        ax.plot(values, **{"lw": 1, "marker": ".", "ms": 3} | look)
        ax.set(ylabel=titles[name])
        wide = 0 < 10 * values.min() < values.max()
        if name != "logit" and (wide if log is None else log):
            ax.set_yscale("log")
        ax.minorticks_off()
    if "rate" in axes:
        axes["rate"].axhline(watched.trained.config.eta0, **CHANCE)


def _looks(watched: Watched) -> dict[str, dict]:
    """How the line of each plastic layer is drawn."""
    colour, blocks = np.array(to_rgb(COLORS[watched.trained.config.rule])), (len(watched.layers) + 1) // 2
    found = {}
    for k, layer in enumerate(watched.layers):
        pale = 0.6 * (1 - (k // 2 + 1) / blocks)
        style = {"color": (1 - pale) * colour + pale, "ls": "--" if k % 2 else "-", "lw": 1}
        found[layer] = style | {"label": layer_name(layer)}
    return found


def draw_norms(ax: Axes, watched: Watched, trial: int = 0) -> None:
    """|w| of each plastic layer after every token."""
    mark_phases(ax, make_task(watched.trained.config))
    for layer, look in _looks(watched).items():
        ax.plot(norms(watched, layer, trial), **look)
    ax.set(ylabel="|w|", ylim=(0, None))


def draw_parts(ax: Axes, watched: Watched, trial: int = 0) -> None:
    """|w x + c| / (|W x + b| + |w x + c|) of each plastic layer: how much the fast weights say."""
    mark_phases(ax, make_task(watched.trained.config))
    for layer, look in _looks(watched).items():
        slow, fast = (part[trial] for part in parts(watched, layer))
        ax.plot(fast / (slow + fast), **look)
    ax.set(ylabel="fast share", ylim=(0, None))


def in_order(weights: Sequence[np.ndarray]) -> list[np.ndarray]:
    """Matrices (output, input) sorted both ways by the leading singular vectors of the last one."""
    left, _, right = np.linalg.svd(weights[-1])
    order = np.ix_(np.argsort(left[:, 0]), np.argsort(right[0]))
    return [w[order] for w in weights]


def draw_fast(axes: Sequence[Axes], weights: Sequence[np.ndarray], titles: Sequence[str]) -> AxesImage:
    """Fast weights (output, input) at some times, `in_order`, as images; the strongest .5 % saturate."""
    weights = in_order(weights)
    limit = max(float(np.quantile(np.abs(weights), 0.995)), 1e-12)
    for ax, w, title in zip(axes, weights, titles, strict=True):
        image = ax.imshow(
            w, cmap=CMAPS["diverging"], vmin=-limit, vmax=limit, interpolation="nearest", aspect="auto"
        )
        ax.set(xticks=(), yticks=())
        ax.set_title(title, fontsize=6)
        ax.spines[:].set_visible(False)
    return image


def draw_reads(ax: Axes, matrix: np.ndarray, task: Task, *, limit: float | None = None) -> AxesImage:
    """What token t (down) reads of what token s wrote (across), (time, written); a box: queries and items."""
    limit = limit or max(float(np.abs(matrix).max()), 1e-12)
    shown = np.where(np.tri(*matrix.shape, -1, dtype=bool), matrix, np.nan)
    image = ax.imshow(
        shown, cmap=CMAPS["diverging"], vmin=-limit, vmax=limit, interpolation="nearest", aspect="equal"
    )
    first = task.length - task.answers
    items = first if answer_kind(task) == "label" else min(task.answers, first)
    ax.add_patch(Rectangle((-0.5, first - 0.5), items, task.answers, **_RIGHT))
    ax.set(xlabel="token written", ylabel="token that reads")
    return image


# ---------------------------------------------------------------- edits


def draw_lesions(ax: Axes, curves: Mapping[str, np.ndarray], at: Sequence[int], task: Task, **look) -> None:
    """Recall over the token before which fast weights were edited: rule -> (token,); dashed: chance."""
    mark_phases(ax, task)
    for rule, score in curves.items():
        own = {"color": COLORS[rule], "marker": MARKERS[rule], "ms": 3, "lw": 1, "label": LABELS[rule]}
        ax.plot(at, score, **own | look)
    chance = levels(task)["chance"]
    ax.axhline(chance, **CHANCE)
    line_label(ax, chance, "chance", x=0.99)
    ax.set(ylabel="recall", ylim=(0, 1.05))


def draw_drops(ax: Axes, drops: np.ndarray) -> AxesImage:
    """What erasing what one token (down) wrote costs each answer (across), (token, query), in shares of 1.

    Boxes: the token of the item that is asked for.
    """
    image = ax.imshow(drops, cmap=CMAPS["diverging"], vmin=-1, vmax=1, interpolation="nearest", aspect="auto")
    queries = drops.shape[1]
    for k in range(queries):
        ax.add_patch(Rectangle((k - 0.5, k - 0.5), 1, 1, **_RIGHT))
    ax.set(xlabel="answer", ylabel="token erased", yticks=range(0, len(drops), 2))
    ax.set_xticks(range(queries), [str(k + 1) for k in range(queries)])
    return image


# ---------------------------------------------------------------- one layer, and windows


def draw_courses(ax: Axes, courses: Mapping[str, np.ndarray], names: Sequence[str]) -> None:
    """Some of `one_layer.courses` (layer, time): each layer thin, their geometric mean thick; log axis."""
    for name in names:
        values, (rule, alpha) = courses[name], one_layer.RUNS[name]
        look = {"color": COLORS[rule], "ls": "--" if alpha < 0 else "-"}
        ax.plot(values.T, lw=0.4, alpha=0.5, **look)
        with np.errstate(divide="ignore"):
            ax.plot(np.exp(np.log(values).mean(axis=0)), lw=1.4, label=name, **look)
    ax.set(xlabel="token", yscale="log", xlim=(0, values.shape[1] - 1))
    ax.legend(loc="lower right", bbox_to_anchor=(1, 1), borderaxespad=0.2)


def draw_sweeps(ax: Axes, table: pd.DataFrame) -> None:
    """Sweeps over tokens computed at once, of `parallel.compared_copying`: rules by colour, kinds by line."""
    for (kind, rule, _), rows in table.groupby(["kind", "rule", "seed"]):
        look = {"color": COLORS[rule], "marker": MARKERS[rule]} | _KINDS[kind]
        ax.plot(rows.window, rows.sweeps, ms=3, lw=0.8, **look)
    for kind, look in _KINDS.items():
        ax.plot([], [], color="#6E6E6E", marker="o", ms=3, lw=0.8, label=kind, **look)
    ax.plot([1, 31], [1, 31], **CHANCE)
    line_label(ax, 20.5, "as many as tokens", x=0.8)
    ax.set(xlabel="tokens computed at once", ylabel="sweeps", xscale="log", ylim=(0, 24))
    ax.set_xticks(sorted(table.window.unique()))
    ax.set_xticklabels(sorted(table.window.unique()))
    ax.minorticks_off()
    ax.yaxis.set_major_locator(MaxNLocator(5, integer=True))
    ax.legend(loc="lower right", bbox_to_anchor=(1, 1), borderaxespad=0.2)


# ---------------------------------------------------------------- one token

RUNS = {
    "rule on": {"color": "black", "marker": "o", "ms": 3, "lw": 1},
    "no rule": {"color": COLORS["none"], "marker": "s", "ms": 3, "lw": 1},
    "edited": {"color": COLORS["chosen"], "marker": "D", "ms": 3, "lw": 1},
    "rule off": {"color": "#9A9A9A", "marker": "x", "ms": 4, "lw": 1, "ls": "--"},
}
"""how what is compared is drawn"""


def draw_row(ax: Axes, shares: np.ndarray, task: Task, words: Sequence[str]) -> None:
    """What one token reads of each token written (written,), as bars; words for tokens, if any, below."""
    mark_phases(ax, task)
    ax.bar(range(len(shares)), shares, color=["#C0504D" if share > 0 else "#4F81BD" for share in shares])
    ax.axhline(0, color="black", lw=0.6)
    ax.set(xlabel="token written", ylabel="share")
    if words:
        ax.set_xticks(range(len(words)), words, fontsize=5)
        ax.set_xlabel(f"token written (its {answer_kind(task)})")
    else:
        ax.xaxis.set_major_locator(MaxNLocator(integer=True))


def draw_both(ax: Axes, answer: np.ndarray, alone: np.ndarray, colour: str) -> None:
    """An answer (output,) and that of the slow weights alone, as bars."""
    places = np.arange(len(answer))
    ax.bar(places - 0.2, answer, 0.4, color=colour, label="with fast weights")
    ax.bar(places + 0.2, alone, 0.4, color="#C8C8C8", label="slow weights alone")
    single = len(answer) == 1
    ax.set(xticks=() if single else places)
    ax.set_ylabel("answer" if single else "probability")
    ax.legend(loc="lower right", bbox_to_anchor=(1, 1), borderaxespad=0)
