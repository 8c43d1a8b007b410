"""Functional connectivity of ring networks: weight against difference of preferred directions.

Source: Zahorodnii et al. 2025, bioRxiv 2025.03.17.643652, figures 2-4.
"""

from __future__ import annotations

__all__ = ["Connectivity", "Factors", "factors", "functional_connectivity"]

from typing import NamedTuple

import numpy as np

from .library import Ensemble
from .tuning import Recording, preferred_direction, ring_units, wrap

BINS = 19
WEIGHTS = ("recurrent", "inputs")
EPOCHS = ("cue", "delay")


class Connectivity(NamedTuple):
    """Mean weight by angular difference, with the fit  mean(d) = amplitude cos d + offset.

    centres: (bin,) degrees; difference_deg, mean, sem: (network, bin), mean difference, mean weight and its
    standard error, NaN in empty bins (sem: in bins with one pair, too); amplitude, offset: (network,), least
    squares over the non-empty bins at their mean difference, NaN with fewer than three.
    """

    centres: np.ndarray
    difference_deg: np.ndarray
    mean: np.ndarray
    sem: np.ndarray
    amplitude: np.ndarray
    offset: np.ndarray


class Factors(NamedTuple):
    """structural S = a_in(cue) / a_rec(delay), functional F = a_in(delay) / a_in(cue), each (network,).

    S F = a_in(delay) / a_rec(delay): how strongly input drives the memory in its own coordinates. NaN where
    an amplitude is undefined, and where input reaches no ring unit directly (gated families).
    """

    structural: np.ndarray
    functional: np.ndarray


def functional_connectivity(
    ensemble: Ensemble,
    recording: Recording,
    *,
    weights: str = "recurrent",
    epoch: str = "cue",
    mask: np.ndarray | None = None,
) -> Connectivity:
    """Weights onto the memory-ring units by preference difference, 19 bins on [-180, 180] degrees.

    recurrent: all pairs of different ring units, at preference(post) - preference(pre); inputs: ring unit i
    and direction input k, at preference(i) - 360 k / N. Preferences are those of `epoch` (cue or delay).
    mask: bool (network, unit), by default `ring_units(recording)`. ValueError for unknown weights or epoch.
    """
    for name, value, known in (("weights", weights, WEIGHTS), ("epoch", epoch, EPOCHS)):
        if value not in known:
            raise ValueError(f"{name} must be {' or '.join(known)}, got {value!r}")
    mask = ring_units(recording) if mask is None else np.asarray(mask)
    preferred = preferred_direction(recording.rates[epoch], recording.directions_deg)
    if weights == "recurrent":
        values, sender = ensemble.weights.dense(), preferred
        pairs = mask[:, :, None] & mask[:, None, :] & ~np.eye(mask.shape[1], dtype=bool)
    else:
        values = ensemble.weights.inputs[..., :-1]  # without the go cue
        sender = np.arange(values.shape[-1])[None] * (360 / values.shape[-1])
        pairs = np.broadcast_to(mask[:, :, None], values.shape)
    difference = wrap(preferred[:, :, None] - sender[:, None, :])
    return _binned(difference, values.double().detach().cpu().numpy(), pairs)


def _binned(difference: np.ndarray, weights: np.ndarray, pairs: np.ndarray) -> Connectivity:
    """Means by bin of the chosen pairs, all arrays (network, post, pre), and the cosine through them."""
    edges = np.linspace(-180, 180, BINS + 1)
    place = np.clip(np.searchsorted(edges, difference, side="right") - 1, 0, BINS - 1)
    slot = (place + BINS * np.arange(len(place))[:, None, None])[pairs]

    def total(values: np.ndarray) -> np.ndarray:
        return np.bincount(slot, values[pairs], BINS * len(place)).reshape(len(place), BINS)

    count = total(np.ones_like(weights))
    filled = np.where(count, count, np.nan)
    angle, mean = total(difference) / filled, total(weights) / filled
    residual = weights - np.take_along_axis(mean, place.reshape(len(place), -1), axis=1).reshape(
        weights.shape
    )
    variance = total(residual**2) / np.where(count > 1, count - 1, np.nan)
    centres = (edges[1:] + edges[:-1]) / 2
    return Connectivity(centres, angle, mean, np.sqrt(variance / filled), *_fit_cosine(angle, mean))


def _fit_cosine(angle_deg: np.ndarray, mean: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Amplitude and offset (network,) of a least-squares cosine through (network, bin), without NaN."""
    filled = np.isfinite(mean)
    count = np.where(filled.sum(axis=1) >= 3, filled.sum(axis=1), np.nan)
    cosine, mean = (np.where(filled, x, 0) for x in (np.cos(np.deg2rad(angle_deg)), mean))
    middle, level = cosine.sum(axis=1) / count, mean.sum(axis=1) / count
    spread = (cosine**2).sum(axis=1) - count * middle**2
    amplitude = ((cosine * mean).sum(axis=1) - count * middle * level) / spread
    return amplitude, level - amplitude * middle


def factors(ensemble: Ensemble, recording: Recording, mask: np.ndarray | None = None) -> Factors:
    """Structural and functional amplitude ratio of every network, from one recording: see `Factors`."""
    amplitude = {
        (weights, epoch): functional_connectivity(
            ensemble, recording, weights=weights, epoch=epoch, mask=mask
        ).amplitude
        for weights, epoch in (("inputs", "cue"), ("inputs", "delay"), ("recurrent", "delay"))
    }
    seen = amplitude["inputs", "cue"]
    seen = np.where(seen == 0, np.nan, seen)
    return Factors(seen / amplitude["recurrent", "delay"], amplitude["inputs", "delay"] / seen)
