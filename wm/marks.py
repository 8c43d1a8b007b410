"""Marks that figures of all systems share."""

__all__ = ["band"]

import math

import numpy as np
from matplotlib.axes import Axes
from numpy.typing import ArrayLike

from wm.estimate import mean_band


def band(
    ax: Axes,
    x: ArrayLike,
    values: ArrayLike,
    *,
    color: str | tuple,
    within: tuple[float, float] = (-math.inf, math.inf),
    alpha: float = 0.2,
    **line,
) -> None:
    """Mean over networks of values (network, x), NaN left out, and a shade: its 95 % t-interval.

    The shade is cut at the ends of `within`; one network has none. line: how `Axes.plot` draws the mean.
    """
    values = np.asarray(values, dtype=np.float64)
    if len(values) < 2:
        ax.plot(x, values[0], color=color, **line)
        return
    middle, low, high = mean_band(values, skip_nan=True)
    ax.plot(x, middle, color=color, **line)
    ax.fill_between(x, low.clip(*within), high.clip(*within), color=color, alpha=alpha, lw=0)
