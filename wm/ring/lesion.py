"""Lesions: ring networks in which chosen units have no influence."""

from __future__ import annotations

__all__ = ["GROUPS", "lesion", "unit_group"]

from dataclasses import replace

import numpy as np
import torch

from .library import Ensemble
from .trial import unit_order
from .tuning import TUNED_ABOVE, Recording, direction_selectivity

GROUPS = ("none", "ring", "others", "preferences")


def lesion(ensemble: Ensemble, units: np.ndarray) -> Ensemble:
    """The ensemble with `units` (network, unit), bool, cut off: see `Weights.silenced`.

    Units that are lesioned already stay so. Raises ValueError for another shape.
    """
    shape = tuple(ensemble.weights.bias.shape)
    units = np.asarray(units, dtype=bool)
    if units.shape != shape:
        raise ValueError(f"units must be one bool for each (network, unit), {shape}, got {units.shape}")
    earlier = ensemble.lesioned
    now = torch.from_numpy(units.copy())
    return replace(ensemble, lesioned=now if earlier is None else now | earlier)


def unit_group(recording: Recording, group: str, span_deg: tuple[float, float] = (0, 360)) -> np.ndarray:
    """Units of the first network to lesion, bool (unit,).

    none; ring: memory-ring units; others: all but these; preferences: tuned units whose preferred direction
    (`wm.ring.trial.unit_order`) lies in span_deg, counted upwards from the first to the second angle, so that
    (300, 60) goes through 0. Raises ValueError for another group.
    """
    if group not in GROUPS:
        raise ValueError(f"group must be one of {', '.join(GROUPS)}, got {group!r}")
    _, preferred, ring = unit_order(recording)
    if group in ("ring", "others"):
        return ring if group == "ring" else ~ring
    first, last = span_deg
    width = last - first if abs(last - first) >= 360 else (last - first) % 360
    selectivity = direction_selectivity(recording.rates["cue"], recording.directions_deg)[0]
    inside = (preferred - first) % 360 <= abs(width)
    # A higher threshold would not find silent units: in trained networks those with a mean rate below 0.01
    # have selectivities up to 0.8, and some ring units less than 0.1. Silencing silent ones changes nothing.
    return inside & (ring | (selectivity > TUNED_ABOVE)) & (group == "preferences")
