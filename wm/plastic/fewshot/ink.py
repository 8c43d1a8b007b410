"""Strokes to pixels: how much ink each pixel has, from its distance to the nearest stroke.

Importing this module imports numba; the first call compiles for about a second.
"""

from __future__ import annotations

__all__ = ["ink"]

import numpy as np
from numba import njit


@njit(nogil=True, error_model="numpy")
def ink(points: np.ndarray, joined: np.ndarray, width: float, size: int) -> np.ndarray:
    """Draw polylines with a round pen: clip(width / 2 + 1/2 - distance to the line, 0, 1), in steps of 1/255.

    points: (point, 2) as x, y in pixels. joined: (point,) bool, whether a line leads to the next point.
    width: of the pen, pixels. Returns (size, size) uint8, 255 where ink covers all.
    """
    drawn = np.zeros((size, size), dtype=np.uint8)
    for p in range(len(joined) - 1):
        if joined[p]:
            _line(drawn, points[p], points[p + 1], width / 2 + 0.5)
    return drawn


@njit(nogil=True, error_model="numpy")
def _line(drawn, start, end, reach):
    size = len(drawn)
    dx, dy = end[0] - start[0], end[1] - start[1]
    squared = max(dx * dx + dy * dy, 1e-12)
    for y in range(_low(start[1], end[1], reach), _high(start[1], end[1], reach, size)):
        for x in range(_low(start[0], end[0], reach), _high(start[0], end[0], reach, size)):
            px, py = x + 0.5 - start[0], y + 0.5 - start[1]  # from the start to the middle of the pixel
            t = min(max((px * dx + py * dy) / squared, 0.0), 1.0)
            distance = np.sqrt((px - t * dx) ** 2 + (py - t * dy) ** 2)
            covered = min(max(reach - distance, 0.0), 1.0)
            drawn[y, x] = max(drawn[y, x], np.uint8(255 * covered + 0.5))


@njit(nogil=True)
def _low(a, b, reach):
    return max(int(np.floor(min(a, b) - reach)), 0)


@njit(nogil=True)
def _high(a, b, reach, size):
    return min(int(np.ceil(max(a, b) + reach)), size)
