"""Drawn activity of ring networks: a trial, preferred directions and their changes, connectivity, errors.

Each `draw_*` function puts one thing on given axes; what they draw comes from `wm.ring.tuning`,
`wm.ring.connectivity` and `wm.ring.derived`. After figures 2 and 3 of Zahorodnii et al. 2025, bioRxiv
2025.03.17.643652.
"""

from __future__ import annotations

__all__ = [
    "Trial", "class_spread", "design_order", "draw_activity", "draw_changes", "draw_connectivity",
    "draw_design", "draw_errors", "draw_factors", "draw_trajectory", "draw_unit_classes",
    "label_events", "run_trial", "summary",
]  # fmt: skip

from collections.abc import Mapping
from typing import NamedTuple

import numpy as np
import pandas as pd
from matplotlib.axes import Axes
from matplotlib.collections import LineCollection
from matplotlib.colors import hsv_to_rgb
from matplotlib.image import AxesImage

from ..estimate import mean_interval
from ..style import CHANCE, CMAPS, COLORS, LABELS, MARKERS
from ..train import torch_generator
from .connectivity import Connectivity
from .evaluate import block_noise, task_of
from .library import Ensemble
from .network import simulate
from .task import MEDIAN_DELAYS
from .tuning import THRESHOLDS, Recording, Trajectory, preferred_direction, ring_units

Color = str | tuple[str, float]
STEP_MS = 10
SPANS = {"target": ("target", "delay"), "distractor": ("distractor", "distractor_off")}
FACTOR_LIMITS = ((0, 1.5), (-0.2, 1.1))
"""range of structural and functional factor that is drawn"""
_FAINT = 0.12  # opacity of the line of a silent unit


class Trial(NamedTuple):
    """One trial of one network, its units in drawing order: the others first, then the ring units.

    rates: (time, unit); preferred_deg: (unit,), increasing among the others (preference in the cue) and among
    ring units (in the delay); ring: (unit,) bool; landmarks: event -> step; directions_deg: both shown.
    """

    rates: np.ndarray
    preferred_deg: np.ndarray
    ring: np.ndarray
    landmarks: dict[str, int]
    directions_deg: tuple[float, float]


def run_trial(
    ensemble: Ensemble, recording: Recording, *, target_deg: float, distractor_deg: float, noise: float = 0.0
) -> Trial:
    """Run the first network of an ensemble once at median delays, its units sorted by preferred direction.

    recording: of the same ensemble, with windows cue, delay and go.
    """
    task = task_of(ensemble.config, distractor_probability=1.0)
    batch = task.batch(np.array([[[target_deg, distractor_deg]]]), MEDIAN_DELAYS)
    generators = [torch_generator(ensemble.seeds[0], "trial")]
    source = block_noise(generators, 1, ensemble.config.units, noise=noise) if noise else None
    rates = simulate(ensemble.weights.select([0]), batch, noise=source)[0, 0].numpy()
    ring = ring_units(recording)[0]
    cue, delay = (preferred_direction(recording.rates[w], recording.directions_deg) for w in ("cue", "delay"))
    preferred = np.where(ring, delay[0], cue[0])
    order = np.lexsort((preferred, ring))
    landmarks = {event: int(step[0]) for event, step in batch.landmarks.items()}
    return Trial(rates[:, order], preferred[order], ring[order], landmarks, (target_deg, distractor_deg))


def draw_activity(ax: Axes, trial: Trial, *, highest: float = 1.0) -> None:
    """Heat map of rates, 0 (white) to `highest` (black), unit by time from target onset; inputs are bands.

    Ticks mark preferred directions of the ring units, arrow heads on the right the two directions shown.
    """
    units, start = len(trial.ring), trial.landmarks["target"]
    ends = np.array([-start, len(trial.rates) - start]) * STEP_MS / 1000
    ax.imshow(trial.rates.T, cmap="Greys", vmin=0, vmax=highest, extent=(*ends, units, 0), aspect="auto")
    for (name, events), angle in zip(SPANS.items(), trial.directions_deg, strict=True):
        on, off = ((trial.landmarks[event] - start) * STEP_MS / 1000 for event in events)
        ax.axvspan(on, off, color=COLORS[name], alpha=0.3, linewidth=0)
        ax.plot(ends[1], _row(trial, angle), marker="<", color=COLORS[name], clip_on=False, markersize=4)
    ax.axvline((trial.landmarks["go"] - start) * STEP_MS / 1000, color=COLORS["go"], linewidth=1)
    first = int(np.argmax(trial.ring)) if trial.ring.any() else units
    if first:
        ax.axhline(first, color="black", linewidth=0.6)
    angles = np.arange(0, 360, 90)
    ax.set(yticks=[_row(trial, angle) for angle in angles], yticklabels=[f"{angle}°" for angle in angles])
    ax.set(xlim=ends, ylim=(units, 0))


def label_events(ax: Axes, trial: Trial) -> None:
    """Names of target, distractor and go cue above the axes of `draw_activity`."""
    for name, events in (SPANS | {"go": ("go", "go")}).items():
        middle = np.mean([trial.landmarks[event] - trial.landmarks["target"] for event in events])
        place = {"xy": (middle * STEP_MS / 1000, 1.01), "xycoords": ("data", "axes fraction")}
        ax.annotate(name, **place, color=COLORS[name], ha="center", va="bottom", fontsize=6)


def _row(trial: Trial, angle_deg: float) -> float:
    """Where a preferred direction lies among the sorted ring units."""
    others = int((~trial.ring).sum())
    return others + float(np.searchsorted(trial.preferred_deg[others:], angle_deg))


def draw_trajectory(ax: Axes, trajectory: Trajectory, mask: np.ndarray) -> None:
    """Preferred direction of the first network's units in `mask` (network, unit), by time from target onset.

    Colour: preferred direction at the end; opacity: strength of the response at each moment.
    """
    time = (trajectory.steps - MEDIAN_DELAYS.fixation) * STEP_MS
    look = {"snap": False, "rasterized": True}  # snapped to pixels, the pieces of a line have gaps
    for unit in np.flatnonzero(mask[0]):
        path, strength = trajectory.preferred_deg[0, :, unit], trajectory.strength[0, :, unit]
        points = np.stack([time, path], axis=-1)
        colours = np.tile((*_hue(path[-1]), 1.0), (len(time) - 1, 1))
        colours[:, 3] = np.maximum(strength[1:], _FAINT)
        pieces = np.stack([points[:-1], points[1:]], axis=1)
        ax.add_collection(LineCollection(pieces, colors=colours, linewidths=0.7, **look))
    ax.axvspan(0, 100, color=COLORS["target"], alpha=0.15, linewidth=0, zorder=0)
    ax.set(xlim=(time[0], time[-1]), yticks=np.arange(-360, 721, 180))
    ax.autoscale_view(scalex=False)


def _hue(angle_deg: float) -> np.ndarray:
    """Red at 0 degrees, green at 120, blue at 240: dark enough for lines, unlike the usual circular maps."""
    return hsv_to_rgb((np.nan_to_num(angle_deg) % 360 / 360, 0.9, 0.82))


def draw_changes(
    ax: Axes, example: np.ndarray, population: np.ndarray, *, family: str, place: float = 0.5
) -> None:
    """Histogram of preference changes in equal bins on [0, 180] degrees, as percent of ring units.

    example: (bin,), bars of one network; population: (network, bin), mean with 95 % interval over networks.
    place: 0 puts the narrow bars on the left of each bin, 1 on the right, 0.5 fills the bin.
    """
    bins = len(example)
    width = 180 / bins
    centres = (np.arange(bins) + 0.5) * width
    if place != 0.5:
        width *= 0.42
        centres = centres + (2 * place - 1) * width / 2
    ax.bar(centres, example, width=0.92 * width, color=COLORS[family], alpha=0.55, label=LABELS[family])
    for centre, column in zip(centres, population.T, strict=True):
        _draw_mean(ax, centre, column)
    ax.set(xlim=(0, 180), xticks=np.arange(0, 181, 36), ylim=(0, None))


def draw_connectivity(ax: Axes, curve: Connectivity, *, color: Color, label: str = "") -> None:
    """Mean weight of the first network by difference of preferences, with 1.96 SE, and the cosine fit."""
    angle, mean, reach = curve.difference_deg[0], curve.mean[0], 1.96 * curve.sem[0]
    ax.fill_between(angle, mean - reach, mean + reach, color=color, alpha=0.25, linewidth=0)
    ax.plot(angle, mean, "o", color=color, markersize=1.8)
    degrees = np.linspace(-180, 180, 181)
    fit = curve.amplitude[0] * np.cos(np.deg2rad(degrees)) + curve.offset[0]
    ax.plot(degrees, fit, color=color, label=label)
    ax.axhline(0, **CHANCE)
    ax.set(xlim=(-180, 180), xticks=(-180, 0, 180))


def draw_factors(ax: Axes, table: pd.DataFrame, family: str) -> None:
    """Structural against functional factor of a family's networks, those that are not kept hollow.

    Values beyond `FACTOR_LIMITS` are drawn at the edge, those without a factor left out. Dashed: S F = 1/4.
    table: columns family, kept, structural, functional, as `wm.ring.derived.networks` returns them.
    """
    rows, (wide, high) = table[table.family == family], FACTOR_LIMITS
    for kept, face in ((False, "none"), (True, COLORS[family])):
        some = rows[rows.kept == kept]
        look = {"marker": MARKERS[family], "facecolor": face, "edgecolor": COLORS[family], "linewidth": 0.6}
        x, y = some.structural.clip(*wide), some.functional.clip(*high)
        ax.scatter(x, y, s=11, clip_on=False, zorder=3, **look)
    structural = np.linspace(0.25 / high[1], wide[1], 100)
    ax.plot(structural, 0.25 / structural, **CHANCE)
    ax.set(xlim=wide, ylim=high)


def draw_errors(ax: Axes, table: pd.DataFrame, family: str, *, place: float = 0.0) -> None:
    """Error without (left) and with distractor (right), degrees, a line per network, the kept ones filled.

    Beside them the mean over kept networks with its 95 % interval; networks that are not kept are dotted.
    place: where on the x axis the family begins. table: as for `draw_factors`, with the two errors.
    """
    rows, x, colour = table[table.family == family], np.array([place, place + 1]), COLORS[family]
    both = rows[["error_no_distractor_deg", "error_deg"]].to_numpy()
    for kept, line, face in ((False, ":", "white"), (True, "-", colour)):
        look = {"color": colour, "markerfacecolor": face, "markersize": 2.2, "linewidth": 0.5, "alpha": 0.6}
        ax.plot(x, both[rows.kept == kept].T, line, marker=MARKERS[family], **look)
    for at, column in zip(x + (-0.2, 0.2), both[rows.kept].T, strict=True):
        _draw_mean(ax, at, column)


def _draw_mean(ax: Axes, x: float, samples: np.ndarray) -> None:
    """Mean of samples (network,) with its 95 % interval."""
    mean, (low, high) = samples.mean(), mean_interval(samples)
    ax.errorbar(x, mean, [[mean - low], [high - mean]], fmt="_", color="black", markersize=4, zorder=4)


def draw_design(recurrent: Axes, inputs: Axes, ensemble: Ensemble, *, limit: float) -> AxesImage:
    """Weights of the first network of a hand-designed ensemble, (post, pre): red positive, blue negative.

    Units are in the order of `design_order`, thin lines part the groups; the go cue is left out. Both maps
    span -limit to limit. Returns the second one, for a colour bar.
    """
    order, borders = design_order(ensemble)
    weights = ensemble.weights.select([0])
    maps = (weights.dense()[0][order][:, order], weights.inputs[0, order, :-1])
    for ax, values in zip((recurrent, inputs), maps, strict=True):
        image = ax.imshow(values.numpy(), cmap=CMAPS["diverging"], vmin=-limit, vmax=limit, aspect="equal")
        ax.set(xticks=[], yticks=[])
        ax.spines[["top", "right"]].set_visible(True)
        for border in borders:
            ax.axhline(border - 0.5, color="black", linewidth=0.5)
            if ax is recurrent:
                ax.axvline(border - 0.5, color="black", linewidth=0.5)
    return image


def design_order(ensemble: Ensemble) -> tuple[np.ndarray, np.ndarray]:
    """Units of the first network in the order of the design, (unit,), and where groups begin, (border,).

    Groups: stable ring units, inverting ones, gates; within each by designed preference. Raises ValueError
    for fully trained networks, which have no design.
    """
    if ensemble.fixed is None:
        raise ValueError(f"{ensemble.names[0]} is fully trained: give a hand-designed network")
    preference, sign = ensemble.fixed.preference_deg[0].numpy(), ensemble.fixed.sign[0].numpy()
    group = np.select([sign > 0, sign < 0], [0, 1], 2)
    order = np.lexsort((preference, group))
    return order, np.flatnonzero(np.diff(group[order])) + 1


def class_spread(recording: Recording) -> tuple[np.ndarray, np.ndarray]:
    """How much each unit varies at the go cue with the target and with the distractor, two (network, unit).

    Sample SD over one direction of the mean over the other, + 0.01: what `ring_units` compares.
    """
    rates = recording.rates["go"]
    grid = rates.reshape(len(rates), recording.directions, recording.directions, -1)
    return tuple(grid.mean(axis=axis).std(axis=1, ddof=1) + 0.01 for axis in (2, 1))


def draw_unit_classes(ax: Axes, recording: Recording, *, preset: str = "example") -> None:
    """Units of the first network by how they vary with target (x) and distractor (y), ring units filled."""
    target, distractor = (spread[0] for spread in class_spread(recording))
    ring = ring_units(recording, preset)[0]
    for some, face in ((~ring, "none"), (ring, "black")):
        ax.scatter(target[some], distractor[some], s=8, facecolor=face, edgecolor="black", linewidth=0.6)
    high, low = THRESHOLDS[preset]
    ax.axvline(high, **CHANCE)
    ax.axhline(low, **CHANCE)


def summary(table: pd.DataFrame, columns: Mapping[str, str]) -> pd.DataFrame:
    """Text "mean ± SD (median)" of columns of a table of networks, for kept and for all networks of a family.

    columns: column -> heading. Networks without a value (too few ring units) are left out.
    """
    rows = {}
    for family in table.family.unique():
        own = table[table.family == family]
        for name, some in (("kept", own[own.kept]), ("all", own)):
            values = {heading: some[column].dropna() for column, heading in columns.items()}
            rows[LABELS[family], f"{name} ({len(some)})"] = {
                heading: f"{x.mean():.3g} ± {x.std():.2g} ({x.median():.3g})" for heading, x in values.items()
            }
    return pd.DataFrame.from_dict(rows, orient="index")
