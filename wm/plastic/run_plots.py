"""Figures of result files: performance of every rule, and rates and fast weights as training goes on."""

from __future__ import annotations

__all__ = ["performance", "save_figures", "traces"]

from collections.abc import Mapping, Sequence
from contextlib import suppress
from functools import partial
from pathlib import Path
from typing import Any

import matplotlib.pyplot as plt
import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure

from .. import style
from ..files import write_atomic
from .levels import levels
from .results import Result, by_experiment
from .tables import metrics_of, row_label
from .tasks import Copying, CueReward, Regression

Rows = Mapping[str, Mapping[str, Result]]

TITLES = {"copying": "Copying", "cue_reward": "Cue and reward", "few_shot_regression": "Regression"}
_TRACES = {"eta_mean": "rate η", "plastic_norm_mean": "fast weights,\nsum of squares"}
_PANEL_CM = 4.6
_OTHER = ("#5A5A5A", "X")


def performance(rows: Rows, metrics: Sequence[str]) -> Figure | None:
    """Final metrics of every experiment, a panel each: every run, mean and 95 % t-interval, by rule.

    rows: as `by_experiment` gives them. metrics: those to be drawn, where an experiment has them. None if
    none has.
    """
    panels = [
        (experiment, key, title)
        for experiment in rows
        for key, title in metrics_of(experiment).items()
        if key in metrics and any(len(row.finals(key)) for row in rows[experiment].values())
    ]
    if not panels:
        return None
    fig, axes = _grid(len(panels), 1)
    for ax, (experiment, key, title) in zip(axes[0], panels, strict=True):
        _draw_finals(ax, key, rows[experiment])
        _draw_levels(ax, key, list(rows[experiment].values()))
        ax.set(title=_title(experiment), ylabel=title)
    return fig


def traces(rows: Rows) -> Figure | None:
    """Rate and size of fast weights against epochs, a column for each experiment.

    Mean over runs, with a band of one population standard deviation (down to a tenth of the mean), on a
    logarithmic scale; a rule that never writes is not drawn. None if nothing was measured.
    """
    drawn = {name: [row for row in rows[name].items() if _writes(row[1])] for name in rows}
    drawn = {name: found for name, found in drawn.items() if found}
    if not drawn:
        return None
    fig, axes = _grid(len(drawn), len(_TRACES))
    for column, (experiment, found) in enumerate(drawn.items()):
        for ax, key in zip(axes[:, column], _TRACES, strict=True):
            for row, result in found:
                _draw_trace(ax, row, result, key)
        axes[0, column].set(title=_title(experiment))
        axes[-1, column].set(xlabel="epoch")
    for ax, label in zip(axes[:, 0], _TRACES.values(), strict=True):
        ax.set(ylabel=label)
    _legend(fig, axes)
    return fig


def save_figures(folder: str | Path, results: list[Result]) -> list[Path]:
    """Draw what the results have; write PNG and PDF of each figure, and return their paths.

    Figures have published names: `performance_accuracy`, `performance_losses`, `mechanistic_traces`. Raises
    `CannotWrite`.
    """
    rows, written = by_experiment(results), []
    draw = {
        "performance_accuracy": partial(performance, metrics=("recall_accuracy", "true_recall", "accuracy")),
        "performance_losses": partial(performance, metrics=("query_loss",)),
        "mechanistic_traces": traces,
    }
    with plt.rc_context():
        style.use()
        for name, figure in draw.items():
            if fig := figure(rows):
                written += [_save(fig, Path(folder) / f"{name}.{suffix}") for suffix in ("png", "pdf")]
                plt.close(fig)
    return written


def _grid(columns: int, lines: int) -> tuple[Figure, np.ndarray]:
    mosaic = [[f"{line} {column}" for column in range(columns)] for line in range(lines)]
    height = 5.2 if lines == 1 else 3.6 * lines
    fig, axes = style.figure(min(_PANEL_CM * columns + 1, 60), height, mosaic)
    return fig, np.array([[axes[key] for key in line] for line in mosaic])


def _draw_finals(ax: Axes, key: str, rows: Mapping[str, Result]) -> None:
    for place, (row, result) in enumerate(rows.items()):
        values, (colour, marker) = result.finals(key), _look(row)
        if not len(values):
            continue
        dots = place + 0.22 + style.sideways(len(values), 0.15)
        ax.plot(dots, values, "o", color=colour, markersize=2, alpha=0.6, linestyle="none")
        ends = result.aggregate[f"{key}_interval95"]
        reach = None if ends is None else [[values.mean() - ends[0]], [ends[1] - values.mean()]]
        ax.errorbar(place, values.mean(), reach, color=colour, marker=marker, markersize=4, capsize=2)
    long = max(map(len, rows)) > 12
    turned = {"rotation": 30, "ha": "right"} if long else {}
    ax.set_xticks(range(len(rows)), map(row_label, rows), **turned)
    ax.set_xlim(-0.5, len(rows) - 0.3)


def _draw_levels(ax: Axes, key: str, results: list[Result]) -> None:
    """Lines at what a task allows, where all rows are of one task."""
    found = [_levels(each.config["task"], key) for each in results]
    for name, level in found[0].items() if all(each == found[0] for each in found) else ():
        ax.axhline(level, **style.CHANCE)
        style.line_label(ax, level, name)


def _levels(task: Mapping[str, Any], key: str) -> dict[str, float]:
    """What a metric can be compared with, by name; nothing where a file leaves settings of its task out."""
    with suppress(KeyError, TypeError, ValueError):
        if "train" in task:
            return {"chance": 1 / task["train"]["ways"]}
        if "delay" in task:
            known = levels(Copying(task["seq_length"], task["delay"], task["vocab_size"]))
            if key == "true_recall":
                return {"chance": known["chance"], "best without order": known["order_free_recall"]}
            return {"always blank": known["blank_metric"], "best without order": known["order_free_metric"]}
        if "num_pairs" in task:
            return {"chance": levels(CueReward(task["num_pairs"], task["cue_dim"]))["chance"]}
        return {"chance": levels(Regression(task["k_support"], task["k_query"], task["input_dim"]))["chance"]}
    return {}


def _draw_trace(ax: Axes, row: str, result: Result, key: str) -> None:
    values, (colour, marker) = result.history(key), _look(row)  # (run, epoch)
    if not values.size or not values.any():
        return
    epochs, mean, std = np.arange(1, values.shape[1] + 1), values.mean(axis=0), values.std(axis=0)
    ax.plot(epochs, mean, color=colour, marker=marker, markersize=3, label=row_label(row))
    ax.fill_between(epochs, np.maximum(mean - std, mean / 10), mean + std, color=colour, alpha=0.2, lw=0)
    ax.set(yscale="log")
    ax.xaxis.get_major_locator().set_params(integer=True)


def _legend(fig: Figure, axes: np.ndarray) -> None:
    handles = {}
    for ax in axes.flat:
        for handle, label in zip(*ax.get_legend_handles_labels(), strict=True):
            handles.setdefault(label, handle)
    fig.legend(handles.values(), handles, loc="outside lower center", ncols=min(len(handles), 4))


def _writes(result: Result) -> bool:
    return any(result.history(key).any() for key in _TRACES)


def _look(row: str) -> tuple[str, str]:
    """Colour and marker of a row: those of its rule."""
    rule = row.split(" (")[0]
    return (style.COLORS[rule], style.MARKERS[rule]) if rule in style.MARKERS else _OTHER

def _title(experiment: str) -> str:
    return TITLES.get(experiment, experiment.replace("_", " ").capitalize())


def _save(fig: Figure, path: Path) -> Path:
    # No date, so that the same results give the same bytes.
    metadata = {"CreationDate": None} if path.suffix == ".pdf" else {"Software": None}
    return write_atomic(path, lambda to: fig.savefig(to, dpi=300, facecolor="white", metadata=metadata))
