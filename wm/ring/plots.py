"""Panels on the ring task: timeline, input tuning, nonlinearity, one trial of a network.

Each function draws what it is given on the axes it is given. Times are ms from target onset.
"""

from __future__ import annotations

__all__ = [
    "draw_input_tuning", "draw_nonlinearity", "draw_rates", "draw_timeline", "draw_trial", "label_events",
]  # fmt: skip

from collections.abc import Sequence

import numpy as np
import torch
from matplotlib import colormaps
from matplotlib.axes import Axes
from matplotlib.image import AxesImage
from matplotlib.transforms import ScaledTranslation

from ..style import COLORS
from .network import NONLINEARITIES
from .task import DT_MS, MEDIAN_DELAYS, Delays, Task, tuning_curve
from .trial import Trial

_GREYS = colormaps["Greys"].resampled(64)  # more levels of noise only cost bytes
_EVENTS = {"target": "target", "distractor": "distractor", "go": "go cue"}
DEGREE_TICKS = (0, 90, 180, 270, 360)
OUTPUTS = (("sin", "#D55E00"), ("cos", "#009E73"))


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
    ax.set_yticks((2, 1, 0), _EVENTS.values())
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
    _heat(axes[0], trial.inputs[:, :-1], trial, (0, 360))
    axes[0].set(ylabel="input preference\n(deg)", yticks=(0, 180, 360))
    image = draw_rates(axes[1], trial)
    axes[1].set_ylabel("units, by preference")
    axes[1].figure.colorbar(image, ax=list(axes[:2]), label="rate", ticks=(0, 0.5, 1), aspect=25, pad=0.01)
    label_events(axes[0], trial)
    _outputs(axes[2], trial)
    for ax in axes[:2]:
        ax.tick_params(axis="x", labelbottom=False)


def draw_rates(ax: Axes, trial: Trial) -> AxesImage:
    """Heat map of rates, 0 (white) to 1 (black), unit by time; target and distractor are bands, go a line.

    The memory-ring units are below the black line: ticks mark their preferred directions, arrow heads on the
    right the two directions shown. Returns the image, for a colour bar.
    """
    units = len(trial.ring)
    image = _heat(ax, trial.rates, trial, (units, 0))
    for name, angle in zip(("target", "distractor"), trial.directions_deg, strict=True):
        ax.axvspan(*trial.span_ms(name), color=COLORS[name], alpha=0.3, linewidth=0)
        place = (trial.limits_ms[1], _row(trial, angle))
        ax.plot(*place, marker="<", color=COLORS[name], clip_on=False, markersize=4)
    ax.axvline(trial.span_ms("go")[0], color=COLORS["go"], linewidth=1)
    if not trial.ring.all():
        ax.axhline((~trial.ring).sum(), color="black", linewidth=0.6)
    ax.set_yticks([_row(trial, angle) for angle in DEGREE_TICKS[:-1]], [f"{a}°" for a in DEGREE_TICKS[:-1]])
    ax.set(xlim=trial.limits_ms, ylim=(units, 0))
    return image


def _heat(ax: Axes, values: np.ndarray, trial: Trial, ends: tuple[float, float]) -> AxesImage:
    """values (time, row) by time; ends: of the vertical axis, the bottom one first."""
    look = {"aspect": "auto", "vmin": 0, "vmax": 1, "cmap": _GREYS, "extent": (*trial.limits_ms, *ends)}
    return ax.imshow(values.T, origin="lower" if ends[0] < ends[1] else "upper", **look)


def _row(trial: Trial, angle_deg: float) -> float:
    """Where a preferred direction lies among the sorted ring units."""
    others = int((~trial.ring).sum())
    return others + float(np.searchsorted(trial.preferred_deg[others:], angle_deg % 360))


def label_events(ax: Axes, trial: Trial) -> None:
    """Bars and names of target, distractor and go cue above the axes."""
    above = ax.get_xaxis_transform() + ScaledTranslation(0, 3 / 72, ax.figure.dpi_scale_trans)
    for event, name in _EVENTS.items():
        span, color = trial.span_ms(event), COLORS[event]
        ax.plot(span, (1, 1), transform=above, clip_on=False, color=color, lw=2.5, solid_capstyle="butt")
        place = {"xycoords": ax.get_xaxis_transform(), "xytext": (0, 5.5), "textcoords": "offset points"}
        ax.annotate(name, (np.mean(span), 1), **place, color=color, ha="center", va="bottom", fontsize=6)


def _outputs(ax: Axes, trial: Trial) -> None:
    go = trial.span_ms("go")
    ax.axvspan(*go, color=COLORS["go"], alpha=0.15, lw=0)
    times = trial.after_target_ms(np.arange(len(trial.outputs)))
    for k, (name, colour) in enumerate(OUTPUTS):
        ax.plot(times, trial.outputs[:, k], color=colour, lw=0.9, label=name)
        ax.plot(go, (trial.target[k],) * 2, color=colour, ls="--", lw=0.9, label=f"{name} wanted")
    ax.set(xlabel="time from target onset (ms)", ylabel="output", yticks=(-1, 0, 1))
    ax.set(xlim=trial.limits_ms, ylim=(-1.15, 1.15))
    ax.legend(loc="lower left", bbox_to_anchor=(0, 1.0), ncols=4)
