"""Maps of the solutions: distances between network families beside the published ones, maps, bars.

All distances are Procrustes angles x 2 / pi (`wm.ring.similarity`): 0 for one shape, 1 for nothing in common.
Source of the published numbers: Zahorodnii et al. 2025, bioRxiv 2025.03.17.643652, figure 6.
"""

from __future__ import annotations

__all__ = [
    "FAMILIES", "NEURONS", "PUBLISHED_SUBSAMPLED", "difference", "load_rows", "plot_bars", "plot_key",
    "plot_map", "plot_matrix", "plot_shepard", "published", "selected",
]  # fmt: skip

from collections.abc import Mapping, Sequence

import numpy as np
import pandas as pd
from matplotlib.axes import Axes
from matplotlib.image import AxesImage
from matplotlib.lines import Line2D
from matplotlib.patheffects import withStroke
from numpy.typing import ArrayLike
from scipy.spatial.distance import pdist, squareform

from ..estimate import Estimate
from ..style import CHANCE, COLORS, LABELS, MARKERS, PUBLISHED
from .derived import networks, shipped_epoch_rates
from .library import load
from .similarity import epoch_rates, procrustes_rows

FAMILIES = ("wmd", "wmonly", "g", "sa", "rt", "it", "g_rt", "g_it", "mst1", "mst2")
NEURONS = ("mst1", "mst2")
"""here the published rows are two sets of MST neurons; ours are networks with their preference changes"""

# Labels of figure 6a in hundredths, floored (0.159 reads .15): a row for each entry of FAMILIES, up to the
# diagonal. The two sets of neurons are one point each and have no distance to themselves.
_LABELS = (
    (12,),
    (18, 16),
    (19, 16, 0),
    (22, 16, 17, 0),
    (15, 16, 16, 20, 11),
    (15, 24, 24, 27, 21, 0),
    (18, 22, 16, 27, 18, 20, 12),
    (18, 26, 21, 31, 22, 11, 15, 0),
    (23, 29, 21, 35, 26, 21, 16, 10),
    (31, 36, 27, 42, 33, 29, 22, 18, 14),
)
_FLOORED = 0.005  # middle of what a floored label can mean

PUBLISHED_SUBSAMPLED: dict[str, dict[str, float]] = {
    "mst1": {
        "floor": 0.115, "wmd": 0.24, "wmonly": 0.30, "g": 0.22, "sa": 0.36,
        "rt": 0.27, "it": 0.22, "g_rt": 0.18, "g_it": 0.13, "mst2": 0.17,
    },
    "mst2": {
        "floor": 0.09, "wmd": 0.32, "wmonly": 0.375, "g": 0.285, "sa": 0.43,
        "rt": 0.34, "it": 0.30, "g_rt": 0.23, "g_it": 0.20, "mst1": 0.15,
    },
}  # fmt: skip
"""bars of figure 6b, read off: distance of equally many units to neurons; `floor`: neurons to neurons"""


def published() -> pd.DataFrame:
    """Labels of figure 6a, (family, family), symmetric, floored to two decimals; NaN where there is none."""
    table = pd.DataFrame(np.nan, FAMILIES, FAMILIES)
    for i, row in enumerate(_LABELS):
        table.iloc[i, : len(row)] = table.iloc[: len(row), i] = np.array(row) / 100
    return table


def difference(ours: pd.DataFrame) -> pd.DataFrame:
    """Group matrix minus the published one, (family, family); a label .15 counts as .155, as it is floored.

    ours: from `wm.ring.similarity.group_matrix`, families out of `FAMILIES`.
    """
    return ours - (published().loc[ours.index, ours.columns] + _FLOORED)


def load_rows(
    families: Sequence[str] = FAMILIES, *, states: str = "shipped", networks_each: int = 0
) -> tuple[dict[str, np.ndarray], pd.Series]:
    """Rows for Procrustes distances, family -> (network, 8, unit), and which networks count as converged.

    states: `shipped` reads the saved epoch rates, `computed` runs the saved networks anew (a minute or more).
    networks_each: so many of each family, converged ones first; 0: all. The Series of bool has the index
    (family, network) of `wm.ring.similarity.distances`. ValueError for another word for states.
    """
    if states not in ("shipped", "computed"):
        raise ValueError(f"states must be `shipped` or `computed`, got {states!r}")
    table = networks()
    shipped = shipped_epoch_rates(families) if states == "shipped" else {}
    rows, kept = {}, {}
    for family in families:
        found = table[table.family == family].reset_index(drop=True)
        chosen = np.sort(np.argsort(~found.kept.astype(bool), kind="stable")[: networks_each or None])
        rates = shipped[family][chosen] if shipped else epoch_rates(load(list(found.network[chosen])))
        rows[family] = procrustes_rows(rates)
        kept[family] = found.kept[chosen].astype(bool).reset_index(drop=True)
    return rows, pd.concat(kept, names=["family", "network"])


def selected(kept: pd.Series, selection: str) -> pd.Series:
    """Which networks are shown, from `kept` (family, network): `kept` itself, or `all` of them.

    Raises ValueError for another word for selection.
    """
    if selection not in ("kept", "all"):
        raise ValueError(f"selection must be `kept` or `all`, got {selection!r}")
    return kept if selection == "kept" else kept | True


def plot_matrix(
    ax: Axes, values: pd.DataFrame, *, limits: tuple[float, float], cmap: str, signed: bool = False
) -> AxesImage:
    """Heat map of (family, family) with a number in each cell; NaN cells stay white.

    The numbers are floored to two decimals as the published labels, or `signed` in rounded hundredths.
    """
    data = values.to_numpy(dtype=float)
    image = ax.imshow(data, cmap=cmap, vmin=limits[0], vmax=limits[1], aspect="equal")
    for i, j in np.argwhere(np.isfinite(data)):
        red, green, blue, _ = image.to_rgba(data[i, j])
        dark = 0.3 * red + 0.59 * green + 0.11 * blue < 0.5
        look = {"ha": "center", "va": "center", "fontsize": 5, "color": "white" if dark else "black"}
        ax.text(j, i, _label(data[i, j], signed), **look)
    for axis, names in ((ax.xaxis, values.columns), (ax.yaxis, values.index)):
        axis.set_ticks(range(len(names)), [LABELS.get(name, name) for name in names])
    ax.tick_params(length=0)
    ax.xaxis.set_tick_params(rotation=90)
    ax.spines[:].set_visible(False)
    return image


def _label(value: float, signed: bool) -> str:
    if not signed:
        return f"{np.floor(value * 100 + 1e-9) / 100:.2f}".removeprefix("0")
    return f"{round(value * 100):+d}".replace("-", "\N{MINUS SIGN}").replace("+0", "0")


def plot_map(ax: Axes, points: np.ndarray, kept: pd.Series) -> None:
    """One marker a network, points (network, 2), by family; hollow if it is not `kept` (family, network)."""
    families = kept.index.get_level_values("family")
    for name in kept.index.unique("family"):
        for full in (False, True):
            chosen = (families == name) & (kept.to_numpy() == full)
            look = {"facecolor": COLORS[name], "edgecolor": "white", "linewidth": 0.2}
            if not full:
                look = {"facecolor": "none", "edgecolor": COLORS[name], "linewidth": 0.5}
            size, zorder = (26, 3) if name in NEURONS else (17, 2)  # few networks, on top
            ax.scatter(*points[chosen].T, s=size, marker=MARKERS[name], zorder=zorder, **look)
    ax.set_aspect("equal", adjustable="datalim")


def plot_key(ax: Axes, kept: pd.Series) -> None:
    """Legend of `plot_map` in an axes of its own, with the number of networks drawn."""
    look = {"linestyle": "none", "markeredgewidth": 0, "markersize": 4.5}
    handles = [
        Line2D([], [], **look, marker=MARKERS[name], color=COLORS[name], label=f"{LABELS[name]} ({n})")
        for name, n in kept.groupby(level="family", sort=False).size().items()
    ]
    if not kept.all():
        look |= {"markeredgewidth": 0.5, "markerfacecolor": "none", "markeredgecolor": "black"}
        handles.append(Line2D([], [], **look, marker="o", label="hollow: error > 15°"))
    ax.legend(handles=handles, loc="upper left", title="Family (networks)", alignment="left")
    ax.set_axis_off()


def plot_shepard(ax: Axes, distances: ArrayLike, points: np.ndarray) -> None:
    """Distance on the map against the distance given, a dot for each pair of networks, and the identity."""
    given, drawn = squareform(np.asarray(distances), checks=False), pdist(points)
    top = 1.05 * max(given.max(), drawn.max())
    ax.plot(given, drawn, ",", color=COLORS["wmonly"], rasterized=True)
    ax.plot([0, top], [0, top], **CHANCE | {"zorder": 3, "color": "black"})
    ax.set(xlim=(0, top), ylim=(0, top), xlabel="distance", ylabel="on the map", aspect="equal")


def plot_bars(ax: Axes, means: Mapping[str, Estimate], *, floor: float, reported: dict[str, float]) -> None:
    """A bar for each family, mean distance with its 95 % interval; dashed: `floor`.

    reported: published values by family (and `floor`), drawn hollow; may be empty.
    """
    outline = [withStroke(linewidth=1.8, foreground="white")]  # seen on a black bar as well
    for at, (name, mean) in enumerate(means.items()):
        reach = np.abs(np.array(mean.interval95) - mean.ours)[:, None]
        ax.bar(at, mean.ours, color=COLORS[name], width=0.7)
        ax.errorbar(at, mean.ours, reach, color="black", linewidth=0.8, path_effects=outline)
    shown = {at: reported[name] for at, name in enumerate(means) if name in reported}
    if shown:
        ax.plot(list(shown), list(shown.values()), label="published, to neurons", **PUBLISHED)
    ax.axhline(floor, label="floor", **CHANCE | {"zorder": 4})
    if "floor" in reported:
        ax.axhline(reported["floor"], label="floor, published", **CHANCE | {"zorder": 4, "linestyle": ":"})
    names = [LABELS[name] for name in means]
    ax.set_xticks(range(len(means)), names, rotation=45, ha="right", rotation_mode="anchor")
    ax.tick_params(axis="x", length=0)
    ax.legend(loc="upper right", ncols=3)
