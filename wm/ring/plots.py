"""Panels on the ring task: timeline, input tuning, one trial of a network, training curves.

Each function draws what it is given on the axes it is given.
"""

from __future__ import annotations

__all__ = [
    "Trial", "draw_input_tuning", "draw_nonlinearity", "draw_timeline", "draw_training", "draw_trial",
    "example_trial",
]  # fmt: skip

from collections.abc import Mapping, Sequence
from typing import NamedTuple

import numpy as np
import torch
from matplotlib import colormaps
from matplotlib.axes import Axes

from ..style import COLORS, LABELS
from ..train import torch_generator
from .error_plots import error_axis, line_label
from .evaluate import KEPT_BELOW_DEG, block_noise, task_of
from .library import Ensemble
from .network import NONLINEARITIES, outputs, simulate
from .scores import CHANCE_DEG
from .task import DT_MS, MEDIAN_DELAYS, Delays, Task, tuning_curve
from .tuning import direction_selectivity, preferred_direction, record, ring_units

_GREYS = colormaps["Greys"].resampled(16)  # more levels of noise only cost bytes
DEGREE_TICKS = (0, 90, 180, 270, 360)
OUTPUTS = (("sin", "#D55E00"), ("cos", "#009E73"))


class Trial(NamedTuple):
    """One trial of one network.

    inputs: (time, input), the last input is the go cue; rates: (time, unit), memory-ring units first, in the
    order of `example_trial`; memory: number of memory-ring units; outputs: (time, 2), sin and cos; target:
    (2,); marks_ms: first moment of each event, and the end; directions_deg: target and distractor.
    """

    inputs: np.ndarray
    rates: np.ndarray
    memory: int
    outputs: np.ndarray
    target: np.ndarray
    marks_ms: dict[str, int]
    directions_deg: tuple[float, float]


def example_trial(
    ensemble: Ensemble,
    directions_deg: tuple[float, float],
    *,
    noise: float = 0.1,
    delays: Delays = MEDIAN_DELAYS,
    seed: int = 0,
) -> Trial:
    """Run an ensemble of one network on one target and distractor direction, in degrees.

    Units are sorted by preferred target direction: memory-ring units by that of the delay, then those tuned
    in the cue, then the rest. Raises ValueError for more than one network, negative noise, impossible delays.
    """
    if len(ensemble) != 1:
        raise ValueError(
            f"an example trial is of one network, got {len(ensemble)}: load one, such as 'wmd-01'"
        )
    if not noise >= 0:
        raise ValueError(f"noise must be 0 or more, got {noise}")
    weights, units = ensemble.weights, ensemble.config.units
    task = task_of(ensemble.config, distractor_probability=1.0)
    batch = task.batch(np.array(directions_deg, dtype=float)[None, None], delays)
    generators = [torch_generator(ensemble.seeds[0], "example", seed)]
    source = block_noise(generators, 1, units, noise=noise) if noise else None
    rates = simulate(weights, batch, noise=source)
    order, memory = _unit_order(ensemble)
    return Trial(
        batch.inputs()[0, 0].numpy(),
        rates[0, 0].numpy()[:, order],
        memory,
        outputs(weights, rates)[0, 0].numpy(),
        batch.targets()[0, 0],
        {name: int(step[0]) * DT_MS for name, step in batch.landmarks.items()},
        tuple(map(float, directions_deg)),
    )


def _unit_order(ensemble: Ensemble) -> tuple[np.ndarray, int]:
    """Order of the units, (unit,), and how many of them are memory-ring units."""
    recording = record(ensemble, noise=0)
    cue, delay = (recording.rates[window] for window in ("cue", "delay"))
    memory = ring_units(recording)[0]
    tuned = direction_selectivity(cue, recording.directions_deg)[0] > 0.01
    group = np.select([memory, tuned], [0, 1], 2)
    by_cue, by_delay = (preferred_direction(rates, recording.directions_deg)[0] for rates in (cue, delay))
    return np.lexsort((np.where(memory, by_delay, by_cue), group)), int(memory.sum())


def draw_timeline(ax: Axes, task: Task, delays: Delays = MEDIAN_DELAYS) -> None:
    """Events of a trial from target onset: bars at the given delays, pale bands where jitter may put them."""
    shown, go = task.shown * DT_MS, task.go * DT_MS
    onsets = {
        "target": (0, 0, 0),
        "distractor": [shown + x * DT_MS for x in (task.onset[0], delays.onset, task.onset[1])],
        "go": [shown + x * DT_MS for x in (task.delay[0], delays.delay, task.delay[1])],
    }
    for row, (name, (low, at, high)) in zip((2, 1, 0), onsets.items(), strict=True):
        length = go if name == "go" else shown
        ax.barh(row, high + length - low, left=low, height=0.4, color=COLORS[name], alpha=0.25, lw=0)
        ax.barh(row, length, left=at, height=0.4, color=COLORS[name], lw=0)
    _span(ax, 2.3, (-delays.fixation * DT_MS, 0), "fixation", task.fixation)
    _span(ax, 1.3, (shown, onsets["distractor"][1]), "onset", task.onset)
    _span(ax, 0.3, (shown, onsets["go"][1]), "delay", task.delay)
    ax.set(xlim=(-task.fixation[1] * DT_MS - 150, onsets["go"][2] + go), ylim=(-0.35, 2.85))
    ax.set_yticks((2, 1, 0), ("target", "distractor", "go cue"))
    ax.set_xlabel("time from target onset (ms)")
    ax.tick_params(axis="y", length=0)
    ax.spines["left"].set_visible(False)


def _span(ax: Axes, y: float, ends_ms: tuple[float, float], name: str, steps: tuple[int, int]) -> None:
    """A length of the trial as an arrow, with the range over trials in ms."""
    first, last = ends_ms
    arrow = {"arrowstyle": "<->", "lw": 0.6, "shrinkA": 0, "shrinkB": 0, "mutation_scale": 5}
    ax.annotate("", (last, y), (first, y), arrowprops=arrow)
    low, high = (step * DT_MS for step in steps)
    ax.text((first + last) / 2, y + 0.05, f"{name} {low}–{high}", ha="center", va="bottom", fontsize=6)


def draw_input_tuning(ax: Axes, inputs: int = 100, shown: int = 10) -> None:
    """Response of `shown` of the input units to all directions; one of them in full colour."""
    theta = torch.linspace(0, 360, 361, dtype=torch.float64)
    response = tuning_curve(theta, inputs).numpy()
    ax.plot(theta, response[:, :: inputs // shown], color="#C8C8C8", lw=0.8)
    ax.plot(theta, response[:, inputs // 2], color=COLORS["target"], lw=1.4)
    ax.set(xlabel="direction (deg)", ylabel="input response", yticks=(0, 0.5, 1))
    ax.set(xticks=DEGREE_TICKS, xlim=(0, 360), ylim=(0, 1.04))


def draw_nonlinearity(ax: Axes, name: str = "retanh") -> None:
    """Firing rate against activation, of one of the network's nonlinearities."""
    a = torch.linspace(-2, 3, 201, dtype=torch.float64)
    ax.plot(a, NONLINEARITIES[name](a), color="black")
    ax.set(xlabel="activation $a$", ylabel="rate $f(a)$", xticks=(-2, 0, 2), yticks=(0, 1), ylim=(-0.05, 1.1))


def draw_trial(axes: Sequence[Axes], trial: Trial) -> None:
    """Inputs, rates and outputs of a trial on three axes; the go cue is shaded in the last."""
    time = (0, trial.marks_ms["end"])
    heat = {"aspect": "auto", "origin": "lower", "vmin": 0, "vmax": 1, "cmap": _GREYS}
    units = trial.rates.shape[1]
    axes[0].imshow(trial.inputs[:, :-1].T, extent=(*time, 0, 360), **heat)
    axes[0].set(ylabel="input preference\n(deg)", yticks=(0, 180, 360))
    image = axes[1].imshow(trial.rates.T, extent=(*time, 0, units), **heat)
    axes[1].axhline(trial.memory, color=COLORS["target"], lw=0.8)
    axes[1].set(ylabel="units", yticks=(0, units))
    axes[1].figure.colorbar(image, ax=list(axes[:2]), label="rate", ticks=(0, 0.5, 1), aspect=25, pad=0.01)
    _events(axes[0], trial)
    _outputs(axes[2], trial)
    for ax in axes:
        ax.set_xlim(time)
    for ax in axes[:2]:
        ax.tick_params(axis="x", labelbottom=False)


def _events(ax: Axes, trial: Trial) -> None:
    stops = {"target": "delay", "distractor": "distractor_off", "go": "end"}
    for name, stop in stops.items():
        first, last = trial.marks_ms[name], trial.marks_ms[stop]
        across = {"transform": ax.get_xaxis_transform(), "clip_on": False, "color": COLORS[name]}
        ax.plot((first, last), (1.06, 1.06), lw=3, solid_capstyle="butt", **across)
        label = "go cue" if name == "go" else name
        ax.text((first + last) / 2, 1.12, label, ha="center", va="bottom", fontsize=6, **across)


def _outputs(ax: Axes, trial: Trial) -> None:
    steps = np.arange(len(trial.outputs)) * DT_MS
    go = (trial.marks_ms["go"], trial.marks_ms["end"])
    ax.axvspan(*go, color=COLORS["go"], alpha=0.15, lw=0)
    for k, (name, colour) in enumerate(OUTPUTS):
        ax.plot(steps, trial.outputs[:, k], color=colour, lw=0.9, label=name)
        ax.plot(go, (trial.target[k],) * 2, color=colour, ls="--", lw=0.9, label=f"{name} wanted")
    ax.set(xlabel="time (ms)", ylabel="output", yticks=(-1, 0, 1))
    ax.set_ylim(-1.15, 1.15)
    ax.legend(loc="lower left", bbox_to_anchor=(0, 1.0), ncols=4)


def draw_training(ax: Axes, histories: Mapping[str, tuple[np.ndarray, np.ndarray]]) -> None:
    """Training curves, family -> updates (step,) and error_deg (network, step): thin each, thick median."""
    for family, (steps, error_deg) in histories.items():
        ax.plot(steps, error_deg.T, color=COLORS[family], lw=0.3, alpha=0.35)
    for family, (steps, error_deg) in histories.items():
        ax.plot(steps, np.median(error_deg, axis=0), color=COLORS[family], lw=1.8, label=LABELS[family])
    error_axis(ax, "y")
    ax.set(xlabel="updates", ylabel="error (deg)", ylim=(2.5, 190), xlim=(0, None))
    line_label(ax, CHANCE_DEG, "chance")
    line_label(ax, KEPT_BELOW_DEG, "15°")
    ax.legend(ncols=len(histories), loc="lower right", bbox_to_anchor=(1, 1.0))
