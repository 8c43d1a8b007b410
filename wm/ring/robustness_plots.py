"""Panels on the robustness of ring networks: errors against challenges, tolerances, answers of one network.

Each function draws what it is given on the axes it is given; tables are those of `wm.ring.robustness` and
`wm.ring.sizes.as_challenge`.
"""

from __future__ import annotations

__all__ = [
    "draw_answers", "draw_challenge", "draw_legend", "draw_live", "draw_scale", "draw_tolerances",
    "summary", "summary_beyond", "summary_errors",
]  # fmt: skip

from collections.abc import Sequence

import numpy as np
import pandas as pd
from matplotlib.axes import Axes
from matplotlib.cm import ScalarMappable
from matplotlib.colors import Normalize
from matplotlib.figure import Figure
from matplotlib.lines import Line2D
from matplotlib.ticker import FixedLocator, NullLocator, ScalarFormatter

from ..estimate import Estimate, mean
from ..style import CHANCE, CMAPS, COLORS, LABELS, MARKERS, line_label
from .challenge import CHALLENGES, UNITS, Challenge
from .error_plots import error_axis
from .evaluate import KEPT_BELOW_DEG
from .robustness import Answers, curves
from .scores import CHANCE_DEG
from .task import DT_MS

_LIMITS = (1.2, 150)
_ORDER = (*CHALLENGES, "units")
_STANDARD = {"color": "black", "lw": 0.6, "ls": "-."}


def draw_challenge(ax: Axes, measured: pd.DataFrame, challenge: str, families: Sequence[str]) -> None:
    """Mean error over networks against level, a line per family with its 95 % t-interval; log error axis.

    Vertical line (dash-dotted): the standard condition. Horizontal: chance (dashed) and 15 degrees (dotted).
    """
    about = CHALLENGES.get(challenge, UNITS)
    measured_here = set(measured.family[measured.challenge == challenge])
    for family in families:
        if family in measured_here:
            _curve(ax, *curves(measured, family, challenge), family)
    error_axis(ax, "y")
    if challenge == "loss":  # one unit of a hundred matters: the first levels need room
        ax.set_xscale("function", functions=(np.sqrt, np.square))
        ax.set(xticks=about.levels, xlim=(0, about.levels[-1] * 1.05))
    if about.logarithmic:
        ax.set_xscale("log")
        for locate, places in ((ax.xaxis.set_major_locator, FixedLocator(about.levels)),
                               (ax.xaxis.set_minor_locator, NullLocator())):  # fmt: skip
            locate(places)
        ax.xaxis.set_major_formatter(ScalarFormatter())
    else:
        ax.axvline(about.standard, **_STANDARD, zorder=0.4)
    ax.set(xlabel=about.axis, ylim=_LIMITS)
    ax.set_title(about.title, loc="left")


def _curve(ax: Axes, levels: np.ndarray, error_deg: np.ndarray, family: str) -> None:
    """Mean and 95 % t-interval of errors (network, level)."""
    means = [mean(column) for column in error_deg.T]
    low, high = np.transpose([each.interval95 for each in means])
    if len(error_deg) > 1:
        ax.fill_between(levels, np.maximum(low, 1), high, color=COLORS[family], alpha=0.18, lw=0)
    look = {"color": COLORS[family], "marker": MARKERS[family], "markersize": 2.4, "lw": 0.9}
    ax.plot(levels, [each.ours for each in means], **look)


def draw_legend(fig: Figure, families: Sequence[str]) -> None:
    """One legend above all panels: families, and what the lines are."""
    handles = [
        Line2D([], [], color=COLORS[f], marker=MARKERS[f], markersize=3.5, label=LABELS[f]) for f in families
    ]
    handles.append(Line2D([], [], label="chance", **CHANCE))
    handles.append(Line2D([], [], label=f"{KEPT_BELOW_DEG:g}°", **(CHANCE | {"linestyle": ":"})))
    handles.append(Line2D([], [], label="standard", **_STANDARD))
    fig.legend(handles=handles, loc="outside upper center", ncols=len(handles), columnspacing=0.9)


def draw_tolerances(
    ax: Axes,
    shares: pd.DataFrame,
    families: Sequence[str],
    *,
    labels: bool = True,
    required: pd.DataFrame | None = None,
) -> None:
    """Mean tolerance, a row per family and a column per challenge: colour the share, text the level.

    Text is in the unit of the column's head. `>` (or `<`, for units): no network ever passed the limit, so
    the true level lies beyond; `–`: networks passed it already in the standard condition; empty: not trained.
    required: tolerances by another limit; a cell has no colour if there no network keeps to that limit in the
    standard condition, so that its own limit says little.
    """
    means = _means(shares, families)
    dull = np.zeros(means.shape, dtype=bool) if required is None else _means(required, families) == 0
    ax.imshow(np.ma.masked_array(means, dull | np.isnan(means)), cmap=CMAPS["sequential"], vmin=0, vmax=1)
    for (y, x), share in np.ndenumerate(means):
        if np.isfinite(share):
            colour = "0.6" if dull[y, x] else "white" if share < 0.6 else "black"
            ax.text(x, y, _level(_ORDER[x], share), ha="center", va="center", fontsize=6, color=colour)
    ax.set_xticks(range(len(_ORDER)), [_HEADS[name] for name in _ORDER])
    ax.xaxis.tick_top()
    ax.set_yticks(range(len(families)), [LABELS[f] if labels else "" for f in families])
    ax.tick_params(length=0)
    ax.spines[:].set_visible(False)
    ax.axvline(len(_ORDER) - 1.5, color="white", lw=2)


def _means(shares: pd.DataFrame, families: Sequence[str]) -> np.ndarray:
    """Mean tolerance (family, challenge) in the order of rows and columns; NaN where there is none."""
    means = shares.groupby(["family", "challenge"]).share.mean().unstack()
    return means.reindex(index=families, columns=_ORDER).to_numpy()


_HEADS = {
    "noise": "noise\n(SD)",
    "loss": "units\nlost\n(%)",
    "count": "distrac-\ntors\n(number)",
    "duration": "dura-\ntion\n(ms)",
    "strength": "strength\n(×)",
    "delay": "delay\n(s)",
    "after": "time\nafter\n(s)",
    "units": "fewest\nunits",
}


def draw_scale(fig: Figure, axes: Sequence[Axes]) -> None:
    """The colour scale of `draw_tolerances` below panels."""
    colours = ScalarMappable(Normalize(0, 1), CMAPS["sequential"])
    bar = fig.colorbar(colours, ax=list(axes), orientation="horizontal", aspect=50, shrink=0.45, pad=0.03)
    bar.set_ticks([0, 0.5, 1], labels=["standard", "half-way", "hardest level or beyond"])
    bar.ax.tick_params(length=0)
    bar.outline.set_visible(False)


def _level(name: str, share: float) -> str:
    """A tolerance as text, in the unit of the challenge."""
    if share == 0:
        return "–"
    about: Challenge = CHALLENGES.get(name, UNITS)
    beyond = ("<" if name == "units" else ">") if share == 1 else ""
    return f"{beyond}{float(f'{about.level_at(share):.2g}'):g}"


def summary(shares: pd.DataFrame, families: Sequence[str]) -> pd.DataFrame:
    """Tolerances as text, family by challenge: mean level [95 % t-interval over networks].

    A network that never passes the limit counts with the hardest level, so means are lower bounds there.
    """
    rows = {}
    for family in families:
        own = shares[shares.family == family].groupby("challenge").share
        rows[LABELS[family]] = {
            CHALLENGES.get(name, UNITS).axis: _interval(CHALLENGES.get(name, UNITS), mean(share))
            for name, share in own
        }
    heads = [CHALLENGES.get(name, UNITS).axis for name in _ORDER]
    return pd.DataFrame.from_dict(rows, orient="index").reindex(columns=heads).fillna("")


def _interval(about: Challenge, share: Estimate) -> str:
    """Mean level and its interval; for units, where fewer is harder, the ends in rising order."""
    middle, *ends = about.level_at(np.array([share.ours, *np.clip(share.interval95, 0, 1)]))
    low, high = sorted(ends)
    return f"{middle:.3g} [{low:.3g}, {high:.3g}]"


def summary_errors(measured: pd.DataFrame, families: Sequence[str]) -> pd.DataFrame:
    """Errors in degrees, family by condition, standard and the hardest level of every challenge.

    Entries: mean of kept networks [95 % t-interval] (median of all networks).
    """
    conditions = {"standard": ("noise", CHALLENGES["noise"].standard)}
    conditions |= {f"{about.title} {about.levels[-1]:g}": (name, about.levels[-1])
                   for name, about in CHALLENGES.items()}  # fmt: skip
    rows = {}
    for family in families:
        own = measured[measured.family == family]
        rows[LABELS[family]] = {
            title: _errors(own[(own.challenge == name) & (own.level == level)])
            for title, (name, level) in conditions.items()
        }
    return pd.DataFrame.from_dict(rows, orient="index")


def summary_beyond(measured: pd.DataFrame, families: Sequence[str], challenge: str) -> pd.DataFrame:
    """Percentage of networks whose error exceeds 15 degrees, family by level of a challenge."""
    rows = {}
    for family in families:
        levels, error_deg = curves(measured, family, challenge)
        rows[LABELS[family]] = pd.Series(100 * (error_deg > KEPT_BELOW_DEG).mean(axis=0), levels)
    found = pd.DataFrame.from_dict(rows, orient="index").rename_axis(columns=CHALLENGES[challenge].axis)
    return found.round().astype(int)


def _errors(own: pd.DataFrame) -> str:
    kept = own.error_deg[own.kept]
    if kept.empty:
        return f"none kept ({own.error_deg.median():.3g})"
    found = mean(kept)
    low, high = found.interval95
    return f"{found.ours:.3g} [{low:.3g}, {high:.3g}] ({own.error_deg.median():.3g})"


def draw_live(
    ax: Axes, measured: pd.DataFrame, network: str, challenge: str, error_deg: Sequence[float]
) -> None:
    """Error of one network at every level, simulated now (dots), over its family's mean and interval."""
    family = network.rsplit("-", 1)[0]
    draw_challenge(ax, measured, challenge, [family])
    look = {"ls": "none", "marker": "o", "markersize": 4, "markerfacecolor": "none", "color": "black"}
    ax.plot(CHALLENGES[challenge].levels, error_deg, **look, label=f"{network}, now")
    ax.plot([], [], color=COLORS[family], marker=MARKERS[family], label=f"{LABELS[family]}, mean")
    line_label(ax, CHANCE_DEG, "chance")
    ax.set(ylabel="error (deg)")
    ax.legend(loc="best")


def draw_answers(ax: Axes, shown: Answers, directions_deg: tuple[float, float]) -> None:
    """Answers over time, a line per trial; bars: when target, distractor and go cue are on."""
    for name, angle in zip(("target", "distractor"), directions_deg, strict=True):
        ax.axhline(angle % 360, color=COLORS[name], lw=1.2)
    start, end = shown.landmarks["target"], shown.landmarks["end"]
    time = (np.arange(shown.angle_deg.shape[1]) - start) * DT_MS / 1000
    for angle in shown.angle_deg:
        jumps = np.abs(np.diff(angle, prepend=angle[0])) > 180  # the circle's seam: no line across the panel
        line = np.where(jumps, np.nan, angle)
        ax.plot(time, line, color="black", lw=0.35, alpha=0.5)
    spans = (
        ("target", "delay", "target"),
        ("distractor", "distractor_off", "distractor"),
        ("go", "end", "go"),
    )
    for first, last, name in spans:
        on, off = ((shown.landmarks[mark] - start) * DT_MS / 1000 for mark in (first, last))
        ax.axvspan(on, off, color=COLORS[name], alpha=0.18, lw=0)
    ax.set(xlim=(0, (end - start) * DT_MS / 1000), ylim=(0, 360), yticks=(0, 90, 180, 270, 360))
    ax.set(xlabel="time from target onset (s)", ylabel="answer (deg)")
