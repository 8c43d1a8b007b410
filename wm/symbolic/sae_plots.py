"""Panels on sparse autoencoders: training, reconstructions, sparsity against what is kept, tuning, matching.

Each function draws what it is given on the axes it is given; tables are those of `wm.symbolic.dictionaries`.
"""

from __future__ import annotations

__all__ = [
    "REFERENCE", "STAGES", "Coded", "coded", "draw_chance", "draw_history", "draw_matches", "draw_published",
    "draw_reference", "draw_residual", "draw_sweep", "draw_tuning", "draw_variance", "lost", "residuals",
    "sparsity_axis", "symbol_contrast", "symbol_share", "untrained_matches",
]  # fmt: skip

from collections.abc import Mapping, Sequence
from typing import NamedTuple

import numpy as np
import pandas as pd
import torch
from matplotlib.axes import Axes
from matplotlib.image import AxesImage

from ..style import CHANCE, CMAPS, COLORS, LABELS, MARKERS, PUBLISHED, sideways
from ..train import torch_generator
from . import dictionaries
from .library import Trained
from .sae import SAEConfig, SparseAutoencoder
from .strips import phase_bar

STAGES = {stage: (LABELS[f"stage_{stage}"], COLORS[f"stage_{stage}"]) for stage in (0, 1)}
"""stage -> name and colour"""
REFERENCE = {
    "l0": (1.87, 4.86),
    "dead": (126 / 144, 96 / 144),
    "explained_variance": (0.9989, 0.9974),
    "loss_recovered": (0.882, 0.9987),
    "loss_recovered_mean": (0.902, 0.9987),
    "loss": (0.011, 0.05),
    "steps": (10_000, 6_000),
}
"""one run of the published scripts, by stage"""
LEAST = 1e-5
"""share of the task lost below which it is drawn as this much: rounding, or better than without"""


def lost(rows: pd.DataFrame, column: str = "loss_recovered") -> pd.Series:
    """Share of what the network gains at its task that is lost with reconstructions, at least `LEAST`."""
    return (1 - rows[column]).clip(lower=LEAST)


# ---------------------------------------------------------------- what is computed for one network


class Coded(NamedTuple):
    """What one network shows at a stage, and its autoencoder makes of it, for all windows.

    tokens: (window, time); original, decoded: (window, time, dimension); features: (window, time, feature).
    Windows in the order of the cycle, by the phase in which they end.
    """

    tokens: np.ndarray
    original: np.ndarray
    decoded: np.ndarray
    features: np.ndarray


@torch.no_grad()
def coded(trained: Trained, sae: SparseAutoencoder) -> Coded:
    """Encode and decode all windows of a network where the autoencoder is hooked."""
    tokens = trained.config.cycle().phase_windows(trained.config.context)
    shown = trained.model.run_with_cache(torch.as_tensor(tokens), sae.cfg.hook_name)[1][sae.cfg.hook_name]
    features = sae.encode(shown)
    return Coded(tokens, *(each.numpy() for each in (shown, sae.decode(features), features)))


def symbol_share(one: Coded) -> float:
    """Share of the variance of the original that is between symbols."""
    tokens, x = one.tokens, one.original.astype(np.float64)
    by_symbol = np.stack([x[tokens == symbol].mean(axis=0) for symbol in np.unique(tokens)])
    weights = np.bincount(tokens.ravel()) / tokens.size
    between = weights @ ((by_symbol - weights @ by_symbol) ** 2).sum(axis=-1)
    return float(between / ((x - x.mean(axis=(0, 1))) ** 2).sum(axis=-1).mean())


def symbol_contrast(one: Coded) -> np.ndarray:
    """How far reconstructions of two symbols are apart at a place, the least of all pairs, (time,).

    1: as far as the originals; 0: no longer told apart. For the stage before attention.
    """
    shown = [
        np.stack([[x[one.tokens[:, t] == s, t][0] for s in np.unique(one.tokens)] for t in range(x.shape[1])])
        for x in (one.original, one.decoded)
    ]  # (time, symbol, dimension)
    pairs = np.triu_indices(shown[0].shape[1], 1)
    before, after = (np.linalg.norm(x[:, pairs[0]] - x[:, pairs[1]], axis=-1) for x in shown)
    return (after / before).min(axis=1)


def untrained_matches(networks: Sequence[Trained], stage: int) -> pd.DataFrame:
    """A row for each network: what the table tells of an autoencoder as its training began."""
    rows = []
    for each in networks:
        cfg = SAEConfig.published(each.config.d_model, hook_name=dictionaries.HOOKS[stage])
        sae = SparseAutoencoder(cfg, torch_generator(each.seed, "sae", "start"))
        rows.append({"network": each.name, "stage": stage} | dictionaries.evaluate(each, sae))
    return pd.DataFrame(rows)


# ---------------------------------------------------------------- training and reconstructions


def draw_history(ax: Axes, rows: pd.DataFrame, column: str, *, ls: str = "-") -> None:
    """A column of the loss curves by step: every network thin, the mean over them thick, by stage.

    The start is drawn at step 50 of the logarithmic axis. Hollow: the end of the published-style run.
    """
    for stage, own in rows.groupby("stage"):
        lines = own.pivot(index="step", columns="network", values=column)
        x, (name, color) = np.maximum(lines.index.to_numpy(), 50), STAGES[stage]
        ax.plot(x, lines, color=color, lw=0.4, alpha=0.35)
        ax.plot(x, lines.mean(axis=1), color=color, lw=1.3, ls=ls, label=name)
        if column in REFERENCE:
            ax.plot(REFERENCE["steps"][stage], REFERENCE[column][stage], **_reference(stage), clip_on=False)
    ax.set(xscale="log", yscale="log", xlabel="step", xlim=(50, 10_000))
    ax.set_xticks((50, 100, 1000, 10_000), ("0", "100", "1000", "10 000"))


def _reference(stage: int) -> dict[str, object]:
    """Hollow marker of the published-style run."""
    return PUBLISHED | {"marker": MARKERS[f"stage_{stage}"]}


def draw_residual(ax: Axes, values: np.ndarray, *, most: float, title: str) -> AxesImage:
    """Residuals of one window (time, dimension) as an image, from -most to most."""
    look = {"cmap": CMAPS["diverging"], "vmin": -most, "vmax": most, "interpolation": "nearest"}
    times, size = values.shape
    image = ax.imshow(values, aspect="auto", extent=(0.5, size + 0.5, times + 0.5, 0.5), **look)
    ax.set_title(title)
    ax.set(xticks=(1, size), yticks=(1, times))
    return image


def residuals(one: Coded, phase: int) -> tuple[dict[str, np.ndarray], float]:
    """Original, reconstruction and ten times the error of the window that ends in a phase; the largest."""
    original, decoded = one.original[phase], one.decoded[phase]
    shown = {"original": original, "reconstructed": decoded, "error × 10": 10 * (original - decoded)}
    return shown, float(np.abs(original).max())


# ---------------------------------------------------------------- sweeps


def draw_sweep(ax: Axes, rows: pd.DataFrame, y: pd.Series, *, x: str = "l0") -> None:
    """A measure y of autoencoders (rows of the sweep) against their sparsity: a dot each, a line of medians.

    The line joins medians over networks, of both axes, one for each setting.
    """
    for kind, own in rows.assign(_y=y).groupby("activation", sort=False):
        look = {"color": COLORS[kind], "marker": MARKERS[kind]}
        ax.scatter(own[x], own._y, s=5, lw=0, alpha=0.4, **look)
        middle = own.groupby("setting")[[x, "_y"]].median().sort_values(x)
        ax.plot(middle[x], middle._y, **look, lw=1, markersize=3, label=LABELS[kind])


def draw_published(ax: Axes, rows: pd.DataFrame, y: pd.Series, *, x: str = "l0", text: str = "") -> None:
    """Autoencoders of the published setting in the same plane: black crosses, one for each network."""
    ax.scatter(rows[x], y, marker="x", s=11, lw=0.7, color="black", zorder=4, label=text or None)


def draw_chance(ax: Axes, rows: pd.DataFrame, column: str, *, x: str = "l0") -> None:
    """Medians of a chance level (rows of the sweep) against sparsity, dotted, a line for each kind."""
    for kind, own in rows.groupby("activation", sort=False):
        middle = own.groupby("setting")[[x, column]].median().sort_values(x)
        ax.plot(middle[x], middle[column], color=COLORS[kind], ls=":", lw=0.9)


def draw_reference(ax: Axes, stage: int, x: float, y: float, text: str = "") -> None:
    """The published-style run, a hollow marker."""
    ax.plot(x, y, **_reference(stage), label=text or None)


def sparsity_axis(ax: Axes) -> None:
    """Active features on a logarithmic axis."""
    ax.set(xscale="log", xlim=(0.85, 24), xlabel="active features (L0)")
    ax.set_xticks((1, 2, 5, 10, 20), ("1", "2", "5", "10", "20"))
    ax.minorticks_off()


def draw_variance(ax: Axes, rows: pd.DataFrame, **look) -> None:
    """Share of the task lost against variance left unexplained, a dot for each autoencoder, by stage."""
    for stage, own in rows.groupby("stage"):
        name, color = STAGES[stage]
        dots = {"marker": MARKERS[f"stage_{stage}"], "s": 6, "lw": 0, "alpha": 0.6, "color": color}
        ax.scatter((1 - own.explained_variance).clip(lower=LEAST), lost(own), **{"label": name} | dots | look)
    ax.set(xscale="log", yscale="log", xlabel="variance left unexplained")


# ---------------------------------------------------------------- what features stand for


def draw_tuning(ax: Axes, features: np.ndarray, *, holding: int = 6) -> AxesImage:
    """Activation by phase, features (phase, feature), of active ones, as a share of their most.

    Rows are sorted by the phase at the middle of what they are active for, on the circle.
    """
    own = features[:, (features > 0).any(axis=0)]
    phases = len(own)
    centre = np.angle(np.exp(2j * np.pi * np.arange(phases) / phases) @ own) % (2 * np.pi)
    own = (own / own.max(axis=0))[:, np.lexsort((own.argmax(axis=0), centre.round(3)))]
    extent = (-0.5, phases - 0.5, own.shape[1] + 0.5, 0.5)
    image = ax.imshow(own.T, aspect="auto", cmap="Greys", vmin=0, vmax=1, extent=extent)
    phase_bar(ax, phases // holding, holding, gap=0.1)
    for first in np.arange(holding, phases, holding) - 0.5:
        ax.axvline(first, color="white", lw=0.8)
        ax.axvline(first, color="#A6A6A6", lw=0.4)
    ax.set_xticks(np.arange(phases), [str(p % holding + 1) for p in range(phases)])
    ax.tick_params(axis="x", length=0, pad=5)
    ax.set(xlabel="steps held, by symbol", ylabel=f"{own.shape[1]} active features")
    ax.set_yticks((1, own.shape[1]))
    return image


def draw_matches(
    ax: Axes, rows: pd.DataFrame, untrained: Mapping[int, pd.DataFrame], names: Mapping[str, str]
) -> None:
    """MCC with indicators (name in the table -> on the axis) by stage: networks, mean, chance, untrained.

    Full dots: trained; hollow: as training began; grey bars: chance for the trained ones, whose number of
    active features it depends on.
    """
    for place, name in enumerate(names):
        for stage, (label, color) in STAGES.items():
            own, x = rows[rows.stage == stage], place + (stage - 0.5) * 0.44
            aside = sideways(len(own), 0.14)
            values = own[f"mcc_{name}"].to_numpy()
            look = {"s": 8, "marker": MARKERS[f"stage_{stage}"], "linewidths": 0.5, "zorder": 3}
            text = label if not place else None
            ax.scatter(x - 0.06 + aside, values, color=color, alpha=0.8, label=text, **look)
            start = untrained[stage][f"mcc_{name}"]
            hollow = {"facecolor": "white", "edgecolor": COLORS["untrained"]}
            ax.scatter(x + 0.13 + sideways(len(start), 0.06), start, **look | hollow)
            chance = own[f"chance_{name}"].mean()
            ax.plot((x - 0.19, x + 0.06), (chance,) * 2, **CHANCE | {"linestyle": "-", "linewidth": 1.6})
    ax.set_xticks(range(len(names)), names.values())
    ax.set(xlim=(-0.5, len(names) - 0.5), ylim=(0, 1.03))
