"""Errors of the saved ring networks, family by family, beside the published ones.

`error_deg` of a record is one evaluation as published: root mean square angular error over 900 trials and all
go-cue steps. Source: Zahorodnii et al. 2025, bioRxiv 2025.03.17.643652, figure 3i and the saved metadata.
"""

from __future__ import annotations

__all__ = [
    "CHANCE_DEG", "HEADINGS", "PUBLISHED", "Published", "ShiftImage", "error_history", "shift_image",
    "summary",
]  # fmt: skip

import math
from collections.abc import Mapping, Sequence
from typing import NamedTuple

import numpy as np
import pandas as pd

from .. import store
from ..estimate import mean_interval, wilson_interval
from ..style import LABELS
from .families import family_name
from .library import Ensemble, names

CHANCE_DEG = 180 / math.sqrt(3)
"""root mean square error of a uniformly random answer: the square root of the mean of d^2 over the circle"""
HEADINGS = {
    "error_no_distractor_deg": "error without distractor (°)",
    "error_deg": "error with distractor (°)",
    "structural": "structural factor S",
    "functional": "functional factor F",
    "median_change_deg": "median preference change (°)",
}
"""columns of the table of networks that `summary` can show, and what they are called"""


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
    "g": Published(4.2, 0.1, 30, 30, "Fig 3i, read off"),
    "sa": Published(6.74, 0.10, 30, 30, "saved metadata"),
    "rt": Published(12.6, 1.2, 29, 30, "saved metadata"),
    "it": Published(7.65, 0.97, 30, 30, "saved metadata"),
    "g_rt": Published(8, 2, 26, 30, "bar chart, read off"),
    "g_it": Published(10, 1, 30, 30, "bar chart, read off"),
    "mst1": Published(28.6, None, 3, 30, "saved metadata", selected=False),
    "mst2": Published(28.4, None, 2, 30, "saved metadata", selected=False),
}


def error_history(family: str, networks: int | None = None) -> tuple[np.ndarray, np.ndarray]:
    """Monitored error during training: updates (step,), error_deg (network, step), on the network's own task.

    Monitoring uses 36 trials. Raises ValueError if the networks were not monitored at the same updates.
    """
    found = [store.load_network("ring", name).history for name in names(family_name(family))[:networks]]
    if len({tuple(history["step"]) for history in found}) != 1:
        raise ValueError(f"{family}: the networks were monitored at different updates, or there are none")
    return np.array(found[0]["step"]), np.array([history["error_deg"] for history in found], dtype=float)


def summary(tables: Mapping[str, pd.DataFrame], columns: Sequence[str] = tuple(HEADINGS)) -> pd.DataFrame:
    """Text "mean [95 %] (median)" over kept and over all networks of each family, beside what was published.

    tables: family -> a row for each network, as of `wm.ring.derived.by_family`; columns: out of `HEADINGS`.
    Networks without a value (too few ring units) are left out. Kept networks are counted with Wilson's 95 %
    interval of their share.
    """
    rows = {}
    for family, table in tables.items():
        n, kept, known = len(table), table[table.kept], PUBLISHED.get(family)
        low, high = wilson_interval(len(kept), n)
        names = {True: f"kept {len(kept)} of {n} [{low:.0%}, {high:.0%}]", False: f"all {n}"}
        for selected, some in ((True, kept), (False, table)):
            row = {HEADINGS[column]: _mean_text(some[column].dropna()) for column in columns}
            row["published error with distractor (°)"] = _published_text(known, selected)
            row["published kept"] = f"{known.kept} of {known.networks}" if known and selected else ""
            rows[LABELS[family], names[selected]] = row
    return pd.DataFrame.from_dict(rows, orient="index")


def _mean_text(values: pd.Series) -> str:
    if values.empty:
        return "–"
    interval = " [{:.3g}, {:.3g}]".format(*mean_interval(values)) if len(values) > 1 else ""
    return f"{values.mean():.3g}{interval} ({values.median():.3g})"


def _published_text(known: Published | None, selected: bool) -> str:
    if known is None or known.selected != selected:
        return ""
    return f"{known.mean_deg:g}" + (f" ± {known.sd_deg:g}" if known.sd_deg else "")


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
