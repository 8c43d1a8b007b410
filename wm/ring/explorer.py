"""What there is to see of a saved ring network: views with settings, widgets, an animation, the record.

from wm.ring import explorer
explorer.trial("rt-07", target_deg=90, lesion="ring")   # a figure, no widgets
explorer.explore("rt-07")                               # all views, with sliders
"""

from __future__ import annotations

__all__ = ["VIEWS", "Settings", "about", "animate", "explore", "maps", "training", "trial", "tuning"]

from collections.abc import Mapping
from dataclasses import dataclass
from functools import lru_cache
from typing import Annotated, Any, Literal

import matplotlib
import matplotlib.pyplot as plt
import numpy as np
import pandas as pd
from matplotlib.animation import FuncAnimation
from matplotlib.axes import Axes
from matplotlib.figure import Figure

from .. import explore as look
from .. import paths, store, style
from ..explore import Range
from . import explorer_plots as panels
from . import library
from .activity import draw_connectivity, draw_trajectory
from .connectivity import functional_connectivity
from .error_plots import draw_training
from .evaluate import task_of
from .lesion import GROUPS, lesion, unit_group
from .plots import draw_trial
from .task import DT_MS, MEDIAN_DELAYS, Delays
from .trial import Trial, run_trial, unit_order
from .tuning import (
    Recording,
    go_variation,
    preference_change,
    preference_trajectory,
    preferred_direction,
    record,
    ring_units,
    wrap,
)

_Angle = Annotated[float, Range(0, 360, 5)]
_SMOKE = {"directions": 8}


@dataclass(frozen=True)
class Settings:
    """What is shown to the network and what is done to it."""

    target_deg: _Angle = 180.0
    """direction to remember"""
    distractor_deg: _Angle = 270.0
    """direction to ignore"""
    onset_ms: Annotated[int, Range(0, 1300, 50)] = 500
    """from target offset to distractor onset"""
    noise: Annotated[float, Range(0, 0.5, 0.05)] = 0.0
    """standard deviation of the noise in the rates"""
    lesion: Literal[GROUPS] = "none"
    """units that are clamped to 0; preferences: those between the next two angles"""
    from_deg: _Angle = 90.0
    """first preferred direction of the lesion"""
    to_deg: _Angle = 180.0
    """last preferred direction of the lesion, counted upwards"""
    moment_ms: Annotated[int, Range(-100, 2400, 50)] = 400
    """time from target onset at which the bump is shown"""
    units: str = ""
    """numbers of the units whose maps are shown, such as "3 41", the first six; empty: four ring units"""
    directions: Annotated[int, Range(6, 36, 2)] = 30
    """equally spaced directions that measure the tuning"""

    @property
    def delays(self) -> Delays:
        """Delays of the trial: the usual ones but for the distractor's onset."""
        return MEDIAN_DELAYS._replace(onset=round(self.onset_ms / DT_MS))


@dataclass(frozen=True, eq=False)
class _Case:
    """A network, what is measured on it before a lesion, which units are lesioned, and what is left."""

    intact: Recording
    ring: np.ndarray  # (network, unit), of the intact network
    lesioned: np.ndarray  # (unit,)
    ensemble: library.Ensemble


def _case(network: str, settings: Settings) -> _Case:
    file = paths.data() / "ring" / network / store.RECORD
    stamp = file.stat().st_mtime_ns if file.is_file() else 0
    ensemble, intact = _measured(str(file), stamp, network, settings.directions)
    units = unit_group(intact, settings.lesion, (settings.from_deg, settings.to_deg))
    left = lesion(ensemble, units[None]) if units.any() else ensemble
    return _Case(intact, ring_units(intact), units, left)


@lru_cache(maxsize=16)
def _measured(_file: str, _stamp: int, network: str, directions: int) -> tuple[library.Ensemble, Recording]:
    """A saved network and its published recording, once for each state of its file."""
    ensemble = library.as_ensemble([store.load_network("ring", network)])
    return ensemble, record(ensemble, directions=directions)


def _run(case: _Case, settings: Settings) -> Trial:
    """The trial that the settings describe; rates of lesioned units are 0, also where there is noise."""
    shown = (settings.target_deg, settings.distractor_deg)
    done = run_trial(case.ensemble, case.intact, shown, noise=settings.noise, delays=settings.delays)
    order, _, _ = unit_order(case.intact)
    return done._replace(rates=np.where(case.lesioned[order], 0, done.rates))


def _title(fig: Figure, case: _Case, settings: Settings, what: str) -> None:
    groups = {"ring": "ring units", "others": "other units"}
    group = groups.get(settings.lesion, f"preferences {settings.from_deg:g}–{settings.to_deg:g}°")
    count = f"{case.lesioned.sum()} of {len(case.lesioned)}"
    lesioned = f", without {group} ({count})" if settings.lesion != "none" else ""
    fig.suptitle(f"{case.ensemble.names[0]}: {what}{lesioned}", fontweight="bold")


@look.view(Settings)
def trial(network: str, settings: Settings) -> Figure:
    """One trial: inputs, rates, outputs; the bump of activity at a moment; the answer beside the target."""
    case = _case(network, settings)
    shown = _run(case, settings)
    left = [["inputs"], ["rates"], ["rates"], ["outputs"]]
    fig, ax = style.figure(19, 11.5, [[left, [["bump"], ["answer"]]]], width_ratios=[1.7, 1])
    draw_trial([ax["inputs"], ax["rates"], ax["outputs"]], shown)
    step = round(settings.moment_ms / DT_MS) + shown.landmarks["target"]
    panels.draw_bump(ax["bump"], shown, int(np.clip(step, 0, len(shown.rates) - 1)))
    panels.draw_answer(ax["answer"], shown)
    ax["rates"].axvline(shown.after_target_ms(step), color="black", lw=0.6, ls=":")
    ax["answer"].set_title(f"go cue, error {_error_deg(shown):.0f}° (root mean square)")
    _title(fig, case, settings, "one trial")
    return fig


def _error_deg(shown: Trial) -> float:
    """Root mean square angular error over the go cue."""
    reported = np.rad2deg(np.arctan2(*shown.outputs[shown.landmarks["go"] :].T))
    return float(np.sqrt(np.mean(wrap(reported - shown.directions_deg[0]) ** 2)))


@look.view(Settings)
def tuning(network: str, settings: Settings) -> Figure:
    """Preferred directions in time, cue against delay, classes of units, connectivity, read-out.

    Measured as published (noise 0.1, no distractor; the first panel without noise), after the lesion, on the
    units that are left; ring units are those of the intact network.
    """
    case = _case(network, settings)
    left = record(case.ensemble, directions=settings.directions) if case.lesioned.any() else case.intact
    kept = ~case.lesioned
    mask = case.ring & kept
    fig, ax = style.figure(19, 11, [["path", "change", "classes"], ["recurrent", "inputs", "readout"]])
    trajectory = preference_trajectory(case.ensemble, directions=settings.directions, delays=settings.delays)
    draw_trajectory(ax["path"], trajectory, mask, _run(case, settings))
    ax["path"].set(xlabel="time from target onset (ms)", ylabel="preferred direction (deg)")
    cue, delay = (preferred_direction(left.rates[name], left.directions_deg)[0] for name in ("cue", "delay"))
    panels.draw_change(ax["change"], cue, delay, mask[0])
    panels.draw_classes(ax["classes"], *(each[0, kept] for each in go_variation(left)), case.ring[0, kept])
    _connectivity(ax, case, left, mask)
    readout = case.ensemble.weights.readout[0].numpy()
    panels.draw_readout(ax["readout"], readout[:, kept], delay[kept], case.ring[0, kept])
    ax["path"].set_title("tuning of ring units in time" if mask.any() else "no ring unit is left")
    if mask.any():
        ax["change"].set_title(f"median change {np.nanmedian(preference_change(left, mask)):.0f}°")
    ax["classes"].set_title(f"{mask.sum()} ring units (black)")
    _title(fig, case, settings, "what units stand for")
    return fig


def _connectivity(ax: dict[str, Axes], case: _Case, left: Recording, mask: np.ndarray) -> None:
    """Weights by difference of preferences, in the cue and in the delay."""
    for weights in ("recurrent", "inputs"):
        for epoch, colour in (("cue", style.COLORS["target"]), ("delay", "black")):
            curve = functional_connectivity(case.ensemble, left, weights=weights, epoch=epoch, mask=mask)
            draw_connectivity(ax[weights], curve, color=colour, label=f"preferred in {epoch}")
        ax[weights].set(xlabel="difference of preferences (deg)", ylabel=f"mean weight, {weights}")
        ax[weights].legend(ncols=2, loc="lower right", bbox_to_anchor=(1, 1))
        if not mask.any():  # an axis without data has odd limits
            ax[weights].set_ylim(-1, 1)


@look.view(Settings)
def maps(network: str, settings: Settings) -> Figure:
    """Rates of a few units by target and distractor direction, at landmarks of the trial."""
    case, count = _case(network, settings), settings.directions
    moments, units = _moments(case, settings), _chosen(case, settings.units)
    windows = {name: (step, step + 1) for name, step in moments.items()}
    given = {"delays": settings.delays, "noise": settings.noise, "windows": windows}
    rates = record(case.ensemble, directions=count, distractor=True, **given).rates
    mosaic = [[f"{unit} {name}" for name in moments] for unit in units]
    fig, ax = style.figure(19, 3.7 * len(units) + 1.8, mosaic)
    for unit in units:
        for name in moments:
            grid = rates[name][0, :, unit].reshape(count, count) * ~case.lesioned[unit]
            image = panels.draw_map(ax[f"{unit} {name}"], grid)
        kind = "ring" if case.ring[0, unit] else "other"
        ax[mosaic[units.index(unit)][0]].set_ylabel(f"unit {unit} ({kind})\ndistractor (deg)")
    for top, bottom, name in zip(mosaic[0], mosaic[-1], moments, strict=True):
        ax[top].set_title(f"{name}, {(moments[name] - settings.delays.fixation) * DT_MS} ms")
        ax[bottom].set_xlabel("target (deg)")
    fig.colorbar(image, ax=list(ax.values()), label="rate", ticks=(0, 0.5, 1), shrink=0.6, aspect=25)
    _title(fig, case, settings, "rates by target and distractor")
    return fig


def _moments(case: _Case, settings: Settings) -> dict[str, int]:
    """Landmarks of a trial: name -> step."""
    task, delays = task_of(case.ensemble.config), settings.delays
    offset = delays.fixation + task.shown
    return {
        "end of target": offset - 1,
        "before distractor": offset + delays.onset - 1,
        "end of distractor": offset + delays.onset + task.shown - 1,
        "go cue": offset + delays.delay,
    }


def _chosen(case: _Case, units: str) -> list[int]:
    """The first six unit numbers of a text, by default four ring units with evenly spaced preferences."""
    count = len(case.lesioned)
    if words := units.replace(",", " ").split():
        if odd := [word for word in words if not word.isdecimal() or int(word) >= count]:
            raise ValueError(f"units are numbers from 0 to {count - 1}, such as 3 41; got {odd[0]!r}")
        return [*dict.fromkeys(map(int, words))][:6]
    order, _, ring = unit_order(case.intact)
    among = order[ring[order]] if ring.any() else order
    return [int(among[k * len(among) // 4]) for k in range(4)] if len(among) >= 4 else [int(u) for u in among]


@look.view(Settings)
def training(network: str, _: Settings) -> Figure:
    """Error and loss while the network was trained; empty if nothing was recorded."""
    saved = store.load_network("ring", network)
    family, history = saved.record["config"]["family"], saved.history
    fig, ax = style.figure(19, 6, [["error", "loss"]])
    if history.get("step"):
        draw_training(ax["error"], {family: (np.array(history["step"]), np.array([history["error_deg"]]))})
        ax["loss"].plot(history["step"], history["loss"], color=style.COLORS[family])
    ax["loss"].set(xlabel="updates", ylabel="loss", yscale="log", xlim=(0, None))
    scores = saved.record["scores"]
    ax["error"].set_title(
        f"in the end {scores['error_deg']:.1f}°, without distractor {scores['error_no_distractor_deg']:.1f}°",
        loc="left",
    )
    fig.suptitle(f"{network}: training", fontweight="bold")
    return fig


VIEWS: Mapping[str, look.View] = {"trial": trial, "tuning": tuning, "maps": maps, "training": training}
"""name -> view(network, **settings)"""


def explore(network: str, *, smoke: bool = False, **settings: Any) -> Any:
    """Widgets with all views of the saved ring networks, beginning with this one: see `wm.explore.explorer`.

    smoke: coarse pictures in place of widgets.
    """
    if smoke:
        return look.still(VIEWS, network, **_SMOKE | settings)
    return look.explorer(VIEWS, Settings, library.names(), network, **settings)


def animate(network: str, *, smoke: bool = False, **settings: Any) -> Any:
    """The bump of activity in a trial as a film with buttons, `IPython.display.HTML`; smoke: few frames."""
    chosen = look.made(Settings, (_SMOKE if smoke else {}) | settings)
    return look.film(film(network, chosen, every=50 if smoke else panels.BUMP_STEPS))


def film(network: str, settings: Settings, every: int = panels.BUMP_STEPS) -> FuncAnimation:
    """The animation of `animate`: a frame every so many steps."""
    shown = _run(_case(network, settings), settings)
    with matplotlib.rc_context():
        style.use()
        fig, ax = style.figure(12, 6.5, [["bump"]])
        artists = panels.draw_bump(ax["bump"], shown, 0)
        fig.suptitle(network, fontweight="bold")
        plt.close(fig)
    steps = range(0, len(shown.rates), every)
    return FuncAnimation(fig, lambda step: panels.move_bump(artists, shown, step), steps)


def about(network: str) -> pd.DataFrame:
    """Record of a saved ring network: command, scores (errors in degrees), training, configuration."""
    return look.about("ring", network)
