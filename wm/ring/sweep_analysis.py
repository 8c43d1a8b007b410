"""What the sweeps say: error by amplitude ratios, best shuffle, correlation with the product S F (Fig 4).

Tables are those of `wm.ring.sweep.table`: a row a network, the swept setting in the first column. What is
reported with an interval is computed for each seed, over its own networks.

Source: Zahorodnii et al. 2025, bioRxiv 2025.03.17.643652, figure 4 and the saved metadata.
"""

from __future__ import annotations

__all__ = [
    "ANCHORS", "BANDWIDTH_DEG", "BEST_SHUFFLE", "MEASURED_FUNCTIONAL", "SELECTED_ABOVE", "SELECTED_BELOW_DEG",
    "anchors", "at_point", "best_by_seed", "closed_form", "correlations", "expected_functional", "lowest",
    "margin", "selected", "slopes", "smooth", "surface",
]  # fmt: skip

import numpy as np
import pandas as pd

ANCHORS: dict[str, dict[tuple[float, float], tuple[float, ...]]] = {
    "rt_sa": {
        (0, 1): (29.1, 2.7), (0, 2): (14.6, 3.0), (0, 4): (8.0, 3.9), (100, 1): (17.8, 7.5),
        (100, 2): (10.9, 5.5), (130, 1): (12.9, 6.4), (130, 2): (11.9, 9.1), (130, 4): (19.0, 18.6),
        (160, 1): (35.7, 34.8),
    },
    "it_sa": {
        (0.62, 1): (9.0, 4.1), (0.62, 2): (6.0, 5.2), (0.8, 2): (9.6, 4.5), (1.0, 1): (29.0, 3.6),
        (1.0, 4): (8.1, 3.9),
    },
    "rt_sa_sharp": {(0, 1): (16.5,), (0, 4): (5.4,), (130, 1): (22.3,)},
}  # fmt: skip
"""published mean errors (deg), sweep -> (swept setting, scale) -> with and, if saved, without distractor"""
BEST_SHUFFLE = {1.0: 130.0, 2.0: 110.0, 4.0: 0.0}
"""scale -> shuffle in degrees at which the published mean error is lowest"""
MEASURED_FUNCTIONAL = {50: 0.91, 80: 0.75, 100: 0.60, 130: 0.37, 160: 0.16}
"""shuffle in degrees -> published mean functional ratio"""
SELECTED_ABOVE = 1 / 4.1
"""published selection for the correlation: S F above this ..."""
SELECTED_BELOW_DEG = 30.0
"""... and an error below this"""
BANDWIDTH_DEG = 15.0
"""of `smooth`; against polynomials (degree 3 to 6) and a spline with its smoothness cross-validated, it had
the least worst bias on planted curves with asymmetric minima, such as steep beyond the best shuffle"""
ERROR = "error_deg"


def margin(published_deg: float) -> float:
    """Margin of equivalence of an error: the larger of 1 degree and 10 % of the published value."""
    return max(1.0, 0.1 * published_deg)


def at_point(table: pd.DataFrame, setting: float, scale: float, column: str = ERROR) -> np.ndarray:
    """The values of a column at one point of the grid, (seed,); ValueError if it is not on the grid."""
    axis = table.columns[0]
    found = table[np.isclose(table[axis], setting) & np.isclose(table.scale, scale)].sort_values("seed")
    if found.empty:
        raise ValueError(f"no network with {axis} {setting:g} and scale {scale:g}: take a point of the grid")
    return found[column].to_numpy()


def anchors(tables: dict[str, pd.DataFrame]) -> pd.DataFrame:
    """Every published error beside ours: a row each, tables being sweep -> its table.

    Columns: sweep, setting, scale, distractor (bool), column, published and margin in degrees, samples
    ((seed,) degrees).
    """
    rows = []
    for sweep, points in ANCHORS.items():
        for (setting, scale), values in points.items():
            for column, published in zip((ERROR, "error_no_distractor_deg"), values, strict=False):
                rows.append({
                    "sweep": sweep, "setting": setting, "scale": scale, "distractor": column == ERROR,
                    "column": column, "published": published, "margin": margin(published),
                    "samples": at_point(tables[sweep], setting, scale, column),
                })  # fmt: skip
    return pd.DataFrame(rows)


def surface(table: pd.DataFrame, column: str = ERROR) -> pd.DataFrame:
    """Mean of a column over seeds, a row per swept setting and a column per scale."""
    return table.pivot_table(index=table.columns[0], columns="scale", values=column, aggfunc="mean")


def smooth(x: np.ndarray, y: np.ndarray, at: np.ndarray, bandwidth: float = BANDWIDTH_DEG) -> np.ndarray:
    """Local quadratic fit of y (point,) over x (point,), read at `at` (place,).

    At each place a parabola is fitted by least squares with weights exp(-d^2 / (2 bandwidth^2)) at distance
    d; its value there counts. ValueError for fewer than three different x.
    """
    if len(np.unique(x)) < 3:
        raise ValueError(f"a local quadratic needs three different x or more, got {len(np.unique(x))}")
    distance = np.subtract.outer(at, x) / -bandwidth  # (place, point)
    root = np.exp(-(distance**2) / 4)
    terms = np.stack([np.ones_like(distance), distance, distance**2], axis=-1) * root[..., None]
    solve = np.linalg.pinv(terms)[:, 0]  # (place, point): the constant term of each parabola
    return (solve * root) @ np.asarray(y, dtype=float)


def lowest(x: np.ndarray, y: np.ndarray) -> float:
    """Where the smooth fit of log y over x is lowest, within the range of x, to one degree.

    x: (point,) degrees; y: (point,), positive.
    """
    places = np.arange(min(x), max(x) + 0.5)
    return float(places[np.argmin(smooth(x, np.log(y), places))])


def best_by_seed(table: pd.DataFrame, scale: float, column: str = ERROR) -> np.ndarray:
    """Best shuffle of each seed at one scale, (seed,), by `lowest`; ValueError if no network has it."""
    rows = table[np.isclose(table.scale, scale)]
    if rows.empty:
        raise ValueError(f"no network with scale {scale:g}: take one of {sorted(set(table.scale))}")
    axis = table.columns[0]
    return np.array([lowest(g[axis].to_numpy(), g[column].to_numpy()) for _, g in rows.groupby("seed")])


def selected(table: pd.DataFrame) -> pd.DataFrame:
    """Networks of the published selection: S F > 1 / 4.1 and an error with distractor below 30 degrees."""
    product = table.structural * table.functional
    return table[(product > SELECTED_ABOVE) & (table[ERROR] < SELECTED_BELOW_DEG)]


def correlations(table: pd.DataFrame, column: str = ERROR) -> np.ndarray:
    """Pearson's correlation of log(S F) and log(error) over the networks of each seed, (seed,).

    Networks with S F of 0 or less, or without factors, are left out.
    """
    return np.array([np.corrcoef(np.log(s * f), np.log(e))[0, 1] for s, f, e in _by_seed(table, column)])


def slopes(table: pd.DataFrame, column: str = ERROR) -> np.ndarray:
    """Slopes of log(error) on log S and on log F, fitted together, (seed, 2).

    log error = a + b_S log S + b_F log F. If the error hangs on the product S F alone, both are equal.
    """
    return np.array([_regress(np.log(s), np.log(f), np.log(e)) for s, f, e in _by_seed(table, column)])


def _by_seed(table: pd.DataFrame, column: str) -> list[tuple[np.ndarray, ...]]:
    known = table[table.structural * table.functional > 0]
    columns = ["structural", "functional", column]
    return [tuple(rows[columns].to_numpy().T) for _, rows in known.groupby("seed")]


def _regress(s: np.ndarray, f: np.ndarray, y: np.ndarray) -> np.ndarray:
    return np.linalg.lstsq(np.stack([np.ones_like(s), s, f], axis=1), y, rcond=None)[0][1:]


def expected_functional(axis: str, settings: np.ndarray) -> np.ndarray:
    """Functional ratio F by closed form, of settings (point,).

    stable_proportion p: F = 2 p - 1, stable less inverting units; shuffle_deg s: F = sin(s) / s, the mean
    cosine of shifts that are uniform on [-s, s]. ValueError for another axis.
    """
    settings = np.asarray(settings, dtype=float)
    if axis == "stable_proportion":
        return 2 * settings - 1
    if axis == "shuffle_deg":
        return np.sinc(settings / 180)  # numpy's sinc(x) is sin(pi x) / (pi x)
    raise ValueError(f"no closed form over {axis!r}: take shuffle_deg or stable_proportion")


def closed_form(table: pd.DataFrame) -> pd.DataFrame:
    """Measured less expected of every network: structural S, functional F, and product S F.

    Expected: S = 1 / scale, F of `expected_functional`, and the product of both. Networks without factors
    (too few ring units) are left out. The swept setting, scale and seed stay.
    """
    axis = table.columns[0]
    expected = expected_functional(axis, table[axis].to_numpy())
    off = pd.DataFrame({axis: table[axis], "scale": table.scale, "seed": table.seed})
    off["structural"] = table.structural - 1 / table.scale
    off["functional"] = table.functional - expected
    off["product"] = table.structural * table.functional - expected / table.scale
    return off.dropna()
