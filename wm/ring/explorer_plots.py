"""Panels that only the explorer draws: the bump of activity, read-out, tuning maps, classes of units.

Each function draws what it is given on the axes it is given. Times are ms from target onset.
"""

from __future__ import annotations

__all__ = [
    "BUMP_STEPS", "draw_answer", "draw_bump", "draw_change", "draw_classes", "draw_map", "draw_readout",
    "move_bump",
]  # fmt: skip

import numpy as np
from matplotlib.artist import Artist
from matplotlib.axes import Axes
from matplotlib.image import AxesImage

from ..style import CHANCE, CMAPS, COLORS
from .plots import DEGREE_TICKS, OUTPUTS
from .trial import Trial
from .tuning import THRESHOLDS

BUMP_STEPS = 5
"""steps of 10 ms between the frames of an animation"""
_DOTS = {"linestyle": "none", "marker": "o", "markersize": 2.8}


def draw_bump(ax: Axes, trial: Trial, step: int) -> tuple[Artist, ...]:
    """Rates of the memory-ring units at a step, by preferred direction; others grey. For `move_bump`."""
    for name, angle in zip(("target", "distractor"), trial.directions_deg, strict=True):
        ax.axvline(angle % 360, color=COLORS[name], lw=1, zorder=0.5)
        place = {"xycoords": ax.get_xaxis_transform(), "xytext": (0, 1), "textcoords": "offset points"}
        ax.annotate(name, (angle % 360, 1), **place, color=COLORS[name], ha="center", va="bottom", fontsize=6)
    rates = trial.rates[step]
    (others,) = ax.plot(trial.preferred_deg[~trial.ring], rates[~trial.ring], color="#BDBDBD", **_DOTS)
    (ring,) = ax.plot(trial.preferred_deg[trial.ring], rates[trial.ring], color="black", **_DOTS)
    time = ax.text(0, 1.09, _moment(trial, step), transform=ax.transAxes, va="bottom")
    ax.set(xlim=(0, 360), xticks=DEGREE_TICKS, ylim=(min(-0.05, trial.rates.min()), 1.05), yticks=(0, 0.5, 1))
    ax.set(xlabel="preferred direction (deg)", ylabel="rate")
    return others, ring, time


def move_bump(artists: tuple[Artist, ...], trial: Trial, step: int) -> None:
    """Show another step in what `draw_bump` drew."""
    others, ring, time = artists
    others.set_ydata(trial.rates[step][~trial.ring])
    ring.set_ydata(trial.rates[step][trial.ring])
    time.set_text(_moment(trial, step))


def _moment(trial: Trial, step: int) -> str:
    """`350 ms, delay; ring units black`: time and epoch of a step."""
    marks = trial.landmarks
    epochs = (("go", "go cue"), ("distractor_off", "delay"), ("distractor", "distractor"), ("delay", "delay"))
    now = next((name for event, name in (*epochs, ("target", "target")) if step >= marks[event]), "fixation")
    return f"{trial.after_target_ms(step)} ms, {now}; ring units black"


def draw_answer(ax: Axes, trial: Trial) -> None:
    """The two outputs during the go cue as a path, cos to the right and sin upwards; beside target and
    distractor on the unit circle."""
    circle = np.deg2rad(np.arange(361))
    ax.plot(np.cos(circle), np.sin(circle), color=COLORS["chance"], lw=0.6)
    for name, angle in zip(("target", "distractor"), np.deg2rad(trial.directions_deg), strict=True):
        ax.plot([np.cos(angle)], [np.sin(angle)], "o", color=COLORS[name], markersize=6, label=name)
    sin, cos = trial.outputs[trial.landmarks["go"] :].T
    ax.plot(cos, sin, color="black", lw=0.8, label="output")
    ax.plot(cos[-1:], sin[-1:], "x", color="black", markersize=4)
    ax.set(xlim=(-1.3, 1.3), ylim=(-1.3, 1.3), aspect="equal", xticks=(-1, 0, 1), yticks=(-1, 0, 1))
    ax.set(xlabel="output cos", ylabel="output sin")


def draw_change(ax: Axes, cue_deg: np.ndarray, delay_deg: np.ndarray, mask: np.ndarray) -> None:
    """Preferred direction in the delay against the one in the cue of the units in mask, all (unit,)."""
    ax.plot((0, 360), (0, 360), **CHANCE)
    ax.plot(cue_deg[mask], delay_deg[mask], color="black", **_DOTS)
    ax.set(xlim=(0, 360), ylim=(0, 360), xticks=DEGREE_TICKS, yticks=DEGREE_TICKS, aspect="equal")
    ax.set(xlabel="preferred in cue (deg)", ylabel="preferred in delay (deg)")


def draw_classes(ax: Axes, s1: np.ndarray, s2: np.ndarray, mask: np.ndarray) -> None:
    """Variation with target s1 against distractor s2 at the go cue, (unit,), and the region of ring units.

    mask: (unit,), those of the intact network, filled black; the thresholds are the `example` ones.
    """
    high, low = THRESHOLDS["example"]
    for some, colour in ((~mask, "#BDBDBD"), (mask, "black")):
        ax.plot(s1[some], s2[some], color=colour, **_DOTS)
    top = 1.08 * s1.max(initial=2 * high), 1.15 * s2.max(initial=1.5 * low)  # also without any unit
    ax.fill_between((high, top[0]), 0, low, color=COLORS["target"], alpha=0.12, lw=0, zorder=0)
    ax.axvline(high, **CHANCE)
    ax.axhline(low, **CHANCE)
    ax.set(xlim=(0, top[0]), ylim=(0, top[1]), xlabel="$s_1$, varies with target")
    ax.set_ylabel("$s_2$, with distractor")


def draw_readout(ax: Axes, readout: np.ndarray, preferred_deg: np.ndarray, mask: np.ndarray) -> None:
    """Read-out weights (2, unit) onto sin and cos against preferred direction (unit,); faint outside mask."""
    for row, (name, colour) in zip(readout, OUTPUTS, strict=True):
        ax.plot(preferred_deg[~mask], row[~mask], color=colour, alpha=0.2, **_DOTS)
        ax.plot(preferred_deg[mask], row[mask], color=colour, label=f"onto {name}", **_DOTS)
    ax.axhline(0, **CHANCE)
    ax.set(xlim=(0, 360), xticks=DEGREE_TICKS, xlabel="preferred in delay (deg)", ylabel="read-out weight")
    ax.legend(ncols=2, loc="lower right", bbox_to_anchor=(1, 1), handletextpad=0.1)


def draw_map(ax: Axes, rates: np.ndarray) -> AxesImage:
    """Rates (target, distractor) as a map from 0 to 1, target to the right and distractor upwards."""
    look = {"extent": (0, 360, 0, 360), "origin": "lower", "vmin": 0, "vmax": 1, "aspect": "equal"}
    image = ax.imshow(rates.T, cmap=CMAPS["sequential"], **look)
    ax.set(xticks=(0, 180, 360), yticks=(0, 180, 360))
    return image
