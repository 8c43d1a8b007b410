"""Panels on where memory lives: attention patterns, what is read from each stage, geometry of the phases.

Each function draws what it is given on the axes it is given; tables are those of `wm.symbolic.stages.table`.
"""

from __future__ import annotations

__all__ = [
    "READINGS", "SHOWN", "draw_by_position", "draw_columns", "draw_distances", "draw_entropy_growth",
    "draw_pattern", "draw_readings", "draw_score_parts", "draw_shares", "draw_stages", "draw_states",
    "hollow_key", "pca", "phase_ticks",
]  # fmt: skip

from collections.abc import Mapping, Sequence

import numpy as np
import pandas as pd
from matplotlib.axes import Axes
from matplotlib.image import AxesImage
from matplotlib.lines import Line2D
from numpy.typing import ArrayLike

from ..estimate import mean_interval
from ..geometry import centre, procrustes_fit
from ..marks import band
from ..style import CHANCE, CMAPS, COLORS, LABELS, MARKERS, SHORT, line_label, sideways
from .strips import SYMBOLS, phase_bar

SHOWN = {
    "resid_pre": "before\nattention",
    "head": "one\nhead",
    "attn_out": "all\nheads",
    "resid_post": "after\nattention",
}
"""stage -> its name on an axis"""
READINGS = {
    ("symbol", "position"): "symbol",
    ("held", "position"): "steps held",
    ("phase", "position"): "phase",
    ("next", "position"): "next symbol\n(R²)",
    ("symbol", "held"): "symbol,\nunseen count",
    ("held", "symbol"): "steps held,\nunseen symbol",
}
"""what is read, what is left out -> name on an axis"""


# ---------------------------------------------------------------- attention


def draw_pattern(ax: Axes, pattern: ArrayLike, tokens: ArrayLike, **image) -> AxesImage:
    """Attention of the last place of each window (window, key), rows in the order given.

    The colour is its square root, so that small shares are seen. The line is where the present symbol began.
    """
    pattern, tokens = np.asarray(pattern), np.asarray(tokens)
    windows, places = pattern.shape
    look = {"vmin": 0, "vmax": 1, "cmap": CMAPS["sequential"], "aspect": "auto", "interpolation": "nearest"}
    shown = ax.imshow(np.sqrt(pattern), extent=(0.5, places + 0.5, windows + 0.5, 0.5), **look | image)
    own = (tokens == tokens[:, -1:])[:, ::-1].cumprod(axis=1).sum(axis=1)
    begins = places - own + 0.5
    for row, begin in enumerate(begins, 1):
        ax.plot((begin, begin), (row - 0.5, row + 0.5), color="white", lw=0.9)
    ax.set(xticks=(1, places), xlim=(0.5, places + 0.5), ylim=(windows + 0.5, 0.5))
    return shown


def phase_ticks(ax: Axes, symbols: int = 3, held: int = 6) -> None:
    """Rows of an axis in the order of the cycle, with a bar in the colour of each symbol beside them."""
    phase_bar(ax, symbols, held, first=0.5, axis="y", away=-0.07)
    ax.set_yticks(np.arange(symbols) * held + held / 2 + 0.5, range(symbols))
    ax.tick_params(axis="y", length=0, pad=5)
    ax.set_ylabel("phase, by symbol", labelpad=2)


def draw_columns(
    ax: Axes, rows: pd.DataFrame, families: Sequence[str], column: str, *, untrained: bool = True
) -> None:
    """A column of dots for each family, trained (full) and untrained (hollow), with the mean of the trained.

    One dot for each row: a network, or a head.
    """
    for place, family in enumerate(families):
        own = rows[rows.family == family]
        for trained, shift in ((True, -0.2), (False, 0.2)):
            values = own.loc[own.trained == trained, column].dropna().to_numpy()
            if not len(values) or not (trained or untrained):
                continue
            x = place + (shift if untrained else 0)
            look = {"marker": MARKERS[family], "s": 7} | _face(family, hollow=not trained)
            ax.scatter(x + sideways(len(values), 0.25), values, **look)
            if trained:
                ax.plot((x - 0.17, x + 0.17), (values.mean(),) * 2, color=COLORS[family], lw=1.5)
    names = [SHORT[family] for family in families]
    ax.set_xticks(range(len(families)), names, rotation=40, ha="right", rotation_mode="anchor", fontsize=6)
    ax.set_xlim(-0.6, len(families) - 0.4)


def _face(family: str, *, hollow: bool) -> dict:
    """Full dots in the colour of a family, or hollow ones: untrained."""
    if hollow:
        return {"facecolor": "white", "edgecolor": COLORS["untrained"], "linewidths": 0.6}
    return {"facecolor": COLORS[family], "edgecolor": COLORS[family], "linewidths": 0.5, "alpha": 0.6}


def hollow_key(ax: Axes, **place) -> None:
    """Full dots are trained networks, hollow ones untrained."""
    keys = [ax.scatter([], [], s=9, label=name, **_face("cycle", hollow=name == "untrained"))
            for name in ("trained", "untrained")]  # fmt: skip
    ax.legend(handles=keys, **{"fontsize": 5.5, "handletextpad": 0} | place)


def draw_entropy_growth(ax: Axes, rows: pd.DataFrame) -> None:
    """Mean entropy by place of each head (a row), and of all; dashed: ln t of equal shares."""
    columns = [name for name in rows if name.removeprefix("entropy_").isdigit()]
    places = np.arange(1, len(columns) + 1)
    for values in rows[columns].to_numpy():
        ax.plot(places, values, color=COLORS["cycle"], lw=0.4, alpha=0.35)
    by_network = rows.groupby("network")[columns].mean().to_numpy()
    ax.plot(places, by_network.mean(axis=0), color=COLORS["cycle"], lw=1.5)
    ax.plot(places, np.log(places), **CHANCE)
    ax.set(xlim=(1, len(columns)), ylim=(0, None))


def draw_score_parts(ax: Axes, rows: pd.DataFrame) -> None:
    """What the scores of heads (rows of one family) depend on: places (across), symbols (up), in nats."""
    for trained in (False, True):
        own, face = rows[rows.trained == trained], _face(rows.family.iloc[0], hollow=not trained)
        look = {"s": 7, "label": "trained" if trained else "untrained"}
        ax.scatter(own.position_nats, own.symbol_nats, **look | face)
    most = 1.05 * rows.position_nats.max()
    ax.plot((0, most), (0, most), **CHANCE)
    ax.set(xlim=(0, most), ylim=(-0.03 * most, most))
    ax.set(xlabel="scores by place (nats)", ylabel="scores by symbol (nats)")
    hollow_key(ax, loc="upper left")


# ---------------------------------------------------------------- decoding


def _dots(ax: Axes, x: float, values: np.ndarray, family: str, *, hollow: bool = False, s: float = 7) -> None:
    """Networks as dots, and their mean with a 95 % interval."""
    look = {"marker": MARKERS[family], "s": s, "zorder": 3} | _face(family, hollow=hollow)
    ax.scatter(x + sideways(len(values), 0.16), values, **look)
    if len(values) > 1 and not hollow:
        ax.plot((x, x), mean_interval(values), color="black", lw=0.8, zorder=4)
        ax.plot((x - 0.1, x + 0.1), (values.mean(),) * 2, color="black", lw=0.8, zorder=4)


def draw_stages(ax: Axes, rows: pd.DataFrame, *, floor: float) -> None:
    """How well the phase is read at each stage of the published transformer, then of the other families.

    rows of `stages.table()`. Dots: networks (one head: mean over the heads of a network); hollow: untrained;
    lines: chance, and `floor`, what the symbol alone allows; grey bar: labels shuffled.
    """
    own = rows[(rows.variable == "phase") & (rows.left_out == "position") & (rows.position == 0)]
    own = own.assign(at=own.stage.str.replace(r"head \d+", "head", regex=True))
    by = own.groupby(["family", "network", "trained", "at"], sort=False)
    own = by[["score", "chance", "null"]].mean().reset_index()
    columns = [("cycle", stage) for stage in SHOWN]
    columns += [(family, "resid_post") for family in ("sampled", "scrambled", "jitter")]
    columns += [("gru", "state"), ("mlp", "hidden_1")]
    columns = [(family, stage) for family, stage in columns if family in {*own.family}]
    for x, (family, stage) in enumerate(columns):
        here = own[(own.family == family) & (own["at"] == stage)]
        for trained, shift in ((True, -0.14), (False, 0.22)):
            values = here.loc[here.trained == trained, "score"].to_numpy()
            if len(values):
                _dots(ax, x + shift, values, family, hollow=not trained)
        if here.null.notna().any():
            ax.plot((x - 0.35, x + 0.35), (here.null.mean(),) * 2, color="#9A9A9A", lw=2, zorder=1)
    ax.axhline(own.chance.max(), **CHANCE)
    ax.axhline(floor, **CHANCE | {"linestyle": ":"})
    line_label(ax, floor, "symbol alone", x=0.995)
    names = [SHOWN[stage] if family == "cycle" else SHORT[family] for family, stage in columns]
    ax.set_xticks(range(len(columns)), names)
    ax.axvline(len(SHOWN) - 0.5, color="#D0D0D0", lw=0.6)
    ax.set(xlim=(-0.5, len(columns) - 0.5), ylim=(0, 1.03), ylabel="phase, accuracy at new positions")


def draw_readings(ax: Axes, rows: pd.DataFrame, families: Mapping[str, str]) -> None:
    """What is read from one stage of each trained family (family -> stage), with chance (dashed) for each.

    rows of `stages.table()`.
    """
    own = rows[rows.trained & (rows.position == 0)]
    width = 0.8 / len(families)
    for x, (variable, left_out) in enumerate(READINGS):
        here = own[(own.variable == variable) & (own.left_out == left_out)]
        for k, (family, stage) in enumerate(families.items()):
            values = here[(here.family == family) & (here.stage == stage)]
            if len(values):
                _dots(ax, x + (k - (len(families) - 1) / 2) * width, values.score.to_numpy(), family, s=5)
        guess = here.loc[here.family == next(iter(families)), "chance"].mean()
        ax.plot((x - 0.45, x + 0.45), (guess, guess), **CHANCE)
    ax.axvline(3.5, color="#D0D0D0", lw=0.6)
    ax.set_xticks(range(len(READINGS)), READINGS.values())
    ax.set(xlim=(-0.55, len(READINGS) - 0.45), ylim=(-0.03, 1.03), ylabel="held-out score")


def draw_by_position(ax: Axes, rows: pd.DataFrame, families: Sequence[str]) -> None:
    """Symbol and count at each position by decoders fitted to the others: means with 95 % intervals."""
    own = rows[(rows.position > 0) & rows.trained]
    for family in families:
        scores = own[own.family == family].pivot(index="network", columns="position", values="score")
        if not scores.empty:
            look = {"color": COLORS[family], "marker": MARKERS[family], "ms": 2.5, "lw": 1}
            band(ax, scores.columns, scores, within=(0, 1), alpha=0.15, label=LABELS[family], **look)
    guess = own[own.family == families[0]].groupby("position").chance.mean()
    ax.plot(guess.index, guess, **CHANCE)
    ax.plot(guess.index, 3 * guess, **CHANCE | {"linestyle": ":"})
    ax.set(xlabel="position in the window", ylabel="symbol and count, accuracy")
    ax.set(ylim=(0, 1.03), xticks=(2, 4, 6, 8, 10))


# ---------------------------------------------------------------- geometry


def pca(x: ArrayLike) -> np.ndarray:
    """States (phase, unit) in the plane of their two leading components, turned so that phase 0 comes first.

    (phase, 2), scaled to a root mean square radius of 1; the best rotation or reflection onto an even ring.
    """
    u, s, _ = np.linalg.svd(centre(x), full_matrices=False)
    plane = u[:, :2] * s[:2]
    angle = 2 * np.pi * np.arange(len(plane)) / len(plane)
    turned = plane @ procrustes_fit(plane, np.stack([np.cos(angle), np.sin(angle)], axis=1)).rotation
    return turned / np.sqrt((turned**2).sum(axis=1).mean())


def draw_states(ax: Axes, x: ArrayLike, symbols: int = 3) -> None:
    """Phases in the plane of their leading components, joined in the order of the cycle.

    Colour: symbol; paler the longer it has been held, and 1 and the last count are written.
    """
    places = pca(x)
    held = len(places) // symbols
    closed = np.concatenate([places, places[:1]])
    ax.plot(*closed.T, color="#B8B8B8", lw=0.7, zorder=1)
    for phase, place in enumerate(places):
        symbol, count = divmod(phase, held)
        color = SYMBOLS[symbol]
        ax.scatter(*place, s=12, color=color, alpha=1 - 0.7 * count / (held - 1), linewidths=0, zorder=2)
        if count in (0, held - 1):
            out = place / max(np.linalg.norm(place), 1e-9)
            text = {"fontsize": 5.5, "color": color, "ha": "center", "va": "center"}
            ax.text(*(place + 0.36 * out), f"{count + 1}", **text)
    ax.set(xlim=(-1.75, 1.75), ylim=(-1.75, 1.75), aspect="equal")
    ax.axis("off")


def draw_distances(ax: Axes, profiles: Mapping[str, tuple[np.ndarray, dict]]) -> None:
    """Mean distance of phases by steps between them, over that of all pairs; name -> (network, step), look.

    Dashed: an even ring in one plane.
    """
    for name, (values, look) in profiles.items():
        values = np.atleast_2d(values)
        band(ax, np.arange(1, values.shape[1] + 1), values, alpha=0.15, label=name, **{"lw": 1} | look)
    ring = np.sin(np.pi * np.arange(1, 18) / 18)
    ax.plot(np.arange(1, 10), ring[:9] / ring.mean(), **CHANCE, label="even ring")
    ax.set(xlabel="steps apart in the cycle", ylabel="distance / mean")
    ax.set(xticks=(1, 3, 6, 9), ylim=(0, None))


def draw_shares(ax: Axes, rows: pd.DataFrame, groups: Mapping[str, pd.Series]) -> None:
    """Bars of the mean shares of variance by symbol, by count, and by both; label -> rows chosen."""
    looks = {
        "share_symbol": ("symbol", "#5B7FA6"),
        "share_both": ("count, each symbol its own way", "#B9A7C9"),
        "share_held": ("count, alike in all symbols", "#E0B040"),
    }
    for x, chosen in enumerate(groups.values()):
        base = 0.0
        for column, (_, color) in looks.items():
            share = rows.loc[chosen, column].mean()
            ax.bar(x, share, bottom=base, color=color, width=0.75)
            base += share
    ax.set_xticks(range(len(groups)), groups, rotation=40, ha="right", rotation_mode="anchor")
    handles = [Line2D([], [], color=color, lw=4, label=name) for name, color in looks.values()]
    ax.legend(handles=handles, loc="lower center", bbox_to_anchor=(0.5, 1.0), fontsize=5.5)
    ax.set(ylim=(0, 1), ylabel="share of variance")
