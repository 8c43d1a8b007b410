"""Panels on the maps of spatial attention: where weights are for each place of the object."""

from __future__ import annotations

__all__ = ["by_place", "draw_places", "sparsity"]

import numpy as np
from matplotlib.axes import Axes
from matplotlib.image import AxesImage

from .marks import draw_matrix


def by_place(weights: np.ndarray, locations: np.ndarray) -> np.ndarray:
    """Mean weight of each position (columns) for images with the object at each location (rows).

    weights (..., image, position), see `wm.nback.attention.maps`; locations (image,), from 0. Returns
    (..., location, position).
    """
    places = range(int(locations.max()) + 1)
    return np.stack([weights[..., locations == place, :].mean(axis=-2) for place in places], axis=-2)


def sparsity(weights: np.ndarray) -> np.ndarray:
    """Hoyer's sparsity of weights (..., position), mean over images (...,): 0 if even, 1 if all is at one.

    (sqrt(n) - |w|_1 / |w|_2) / (sqrt(n) - 1) (Hoyer 2004, Journal of Machine Learning Research 5).
    weights (..., image, position).
    """
    root = np.sqrt(weights.shape[-1])
    ratio = np.abs(weights).sum(axis=-1) / np.linalg.norm(weights, axis=-1)
    return ((root - ratio) / (root - 1)).mean(axis=-1)


def draw_places(ax: Axes, weights: np.ndarray) -> AxesImage:
    """`by_place` of 2 x 2 positions: object at the place (rows), weight of the position (columns)."""
    image = draw_matrix(ax, weights)
    names = ["↖", "↗", "↙", "↘"]
    ax.set_xticks(range(4), names)
    ax.set_yticks(range(4), names)
    return image
