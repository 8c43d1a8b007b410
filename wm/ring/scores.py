"""Errors of the saved ring networks, family by family, beside the published ones.

`error_deg` of a record is one evaluation as published: root mean square angular error over 900 trials and all
go-cue steps. Source: Zahorodnii et al. 2025, bioRxiv 2025.03.17.643652, figure 3i and the saved metadata.
"""

from __future__ import annotations

__all__ = [
    "CHANCE_DEG", "PUBLISHED", "FamilyScores", "Published", "ShiftImage", "error_history", "family_scores",
    "rank_correlation", "shift_image", "summary_table", "wilson",
]  # fmt: skip

import math
from collections.abc import Mapping
from dataclasses import dataclass
from typing import NamedTuple

import numpy as np
import pandas as pd
from scipy import stats

from .. import store
from ..estimate import Estimate, bootstrap_over_networks, mean_interval
from .evaluate import KEPT_BELOW_DEG
from .families import FAMILIES, family_name
from .library import Ensemble, load, names

CHANCE_DEG = 180 / math.sqrt(3)
"""root mean square error of a uniformly random answer: the square root of the mean of d^2 over the circle"""


class Published(NamedTuple):
    """Published scores of a family: mean and SD over networks, degrees, and how many were kept."""

    mean_deg: float
    sd_deg: float | None
    kept: int
    networks: int
    source: str
    selected: bool = True
    """whether the mean is of the kept networks, or of all"""

    @property
    def margin_deg(self) -> float:
        """Margin of equivalence: the larger of 10 % of the mean and one SD."""
        return round(max(0.1 * self.mean_deg, self.sd_deg or 0), 3)


PUBLISHED = {
    "wmonly": Published(41.6, 8.9, 27, 30, "saved metadata"),
    "wmd": Published(6.5, 1.6, 20, 30, "saved metadata"),
    "g": Published(4.2, 0.1, 30, 30, "read off Fig 3i"),
    "sa": Published(6.74, 0.10, 30, 30, "saved metadata"),
    "rt": Published(12.6, 1.2, 29, 30, "saved metadata"),
    "it": Published(7.65, 0.97, 30, 30, "saved metadata"),
    "g_rt": Published(8, 2, 26, 30, "read off a bar chart"),
    "g_it": Published(10, 1, 30, 30, "read off a bar chart"),
    "mst1": Published(28.6, None, 3, 30, "saved metadata, all networks", selected=False),
    "mst2": Published(28.4, None, 2, 30, "saved metadata, all networks", selected=False),
}


@dataclass(frozen=True, eq=False)
class FamilyScores:
    """Scores of one family, each array (network,), in degrees.

    error_deg, no_distractor_deg: with and without distractor, one evaluation of 900 trials; median_deg: with
    distractor, median of ten evaluations; kept: the published selection, at most 15 degrees on the task that
    the network was trained for.
    """

    family: str
    networks: list[str]
    error_deg: np.ndarray
    no_distractor_deg: np.ndarray
    median_deg: np.ndarray
    kept: np.ndarray

    @property
    def kept_error_deg(self) -> np.ndarray:
        """Errors with distractor of the kept networks, (kept,)."""
        return self.error_deg[self.kept]


def family_scores(family: str | Ensemble, networks: int | None = None) -> FamilyScores:
    """Scores of the saved networks of a family (the first `networks` of them), or of an ensemble.

    Raises what `wm.ring.load` raises.
    """
    ensemble = family if isinstance(family, Ensemble) else load(names(family)[:networks] or family)
    with_distractor, without = ensemble.score("error_deg"), ensemble.score("error_no_distractor_deg")
    own = with_distractor if ensemble.config.distractor_probability else without
    return FamilyScores(
        ensemble.config.family,
        ensemble.names,
        with_distractor,
        without,
        ensemble.score("error_median_deg"),
        own <= KEPT_BELOW_DEG,
    )


def error_history(family: str, networks: int | None = None) -> tuple[np.ndarray, np.ndarray]:
    """Monitored error during training: updates (step,), error_deg (network, step), on the network's own task.

    Monitoring uses 36 trials. Raises ValueError if the networks were not monitored at the same updates.
    """
    found = [store.load_network("ring", name).history for name in names(family_name(family))[:networks]]
    if len({tuple(history["step"]) for history in found}) != 1:
        raise ValueError(f"{family}: the networks were monitored at different updates, or there are none")
    return np.array(found[0]["step"]), np.array([history["error_deg"] for history in found], dtype=float)


def wilson(kept: int, networks: int) -> tuple[float, float]:
    """95 % interval of a share (Wilson's score). Raises ValueError unless 0 <= kept <= networks > 0."""
    interval = stats.binomtest(int(kept), int(networks)).proportion_ci(method="wilson")
    return float(interval.low), float(interval.high)


def summary_table(scores: Mapping[str, FamilyScores]) -> pd.DataFrame:
    """One row a family, as text: networks, kept (Wilson 95 %), errors of kept and of all, and published."""
    return pd.DataFrame([_row(score) for score in scores.values()]).set_index("family")


def _row(score: FamilyScores) -> dict[str, str | int]:
    published, n, kept = PUBLISHED.get(score.family), len(score.networks), int(score.kept.sum())
    low, high = wilson(kept, n)
    return {
        "family": FAMILIES[score.family].title,
        "networks": n,
        "kept [95 %]": f"{kept} ({kept / n:.0%}) [{low:.0%}, {high:.0%}]",
        "published kept": f"{published.kept}/{published.networks}" if published else "–",
        "mean of kept, deg [95 %]": _mean_text(score.kept_error_deg),
        "published, deg": _published_text(published),
        "mean of all, deg": f"{score.error_deg.mean():.3g}",
        "median of all, deg": f"{np.median(score.error_deg):.3g}",
    }


def _mean_text(error_deg: np.ndarray) -> str:
    if not len(error_deg):
        return "none kept"
    interval = " [{:.3g}, {:.3g}]".format(*mean_interval(error_deg)) if len(error_deg) > 1 else ""
    return f"{error_deg.mean():.3g}{interval}"


def _published_text(published: Published | None) -> str:
    if published is None:
        return "–"
    spread = "" if published.sd_deg is None else f" ± {published.sd_deg:g}"
    return f"{published.mean_deg:g}{spread}" + ("" if published.selected else " (all)")


class ShiftImage(NamedTuple):
    """How input shifts map the circle of directions into the memory, each (network,).

    Ring unit i prefers m_i in memory and m_i + s_i at its input, so a direction theta pushes the memory along

        sum_i exp(i m_i) cos(m_i + s_i - theta)  =  n / 2 (exp(i theta) conj(r) + exp(-i theta) a),

    r = mean of exp(i s), a = mean of exp(i (2 m + s)): an ellipse with half axes |r| + |a| and |r| - |a|.
    resultant: |r|; flatness: |a| / |r|, 0 for a circle, 1 for a line on which opposite sides fall together.
    """

    resultant: np.ndarray
    flatness: np.ndarray


def shift_image(ensemble: Ensemble) -> ShiftImage:
    """Resultant and flatness of the shifts of a designed family, over its ring units.

    Raises ValueError for a family without fixed input shifts.
    """
    fixed, units = ensemble.fixed, ensemble.config.ring_units
    if fixed is None or not fixed.shift_deg.any():
        raise ValueError(f"family {ensemble.config.family!r} has no fixed input shifts: take rt, g_rt, mst1")
    shift = np.deg2rad(fixed.shift_deg[:, :units].double().numpy())
    memory = np.deg2rad(fixed.preference_deg[:, :units].double().numpy())
    resultant = np.abs(np.exp(1j * shift).mean(axis=1))
    return ShiftImage(resultant, np.abs(np.exp(1j * (2 * memory + shift)).mean(axis=1)) / resultant)


def rank_correlation(x: np.ndarray, y: np.ndarray) -> Estimate:
    """Spearman's rank correlation of x (network,) and y (network,), bootstrapped over networks."""
    return bootstrap_over_networks(_spearman, (x, y))


def _spearman(x: np.ndarray, y: np.ndarray) -> float:
    return float(np.corrcoef(stats.rankdata(x), stats.rankdata(y))[0, 1])
