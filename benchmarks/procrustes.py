"""Speed of the Procrustes distance matrix against one SVD of the (unit, unit) product per pair."""

__all__ = ["procrustes_row"]

from itertools import combinations
from time import perf_counter

import numpy as np

from wm.geometry import procrustes_matrix

FLOOR = 20.0  # times faster than the reference
LIMIT_S = 2.0
TOLERANCE_RAD = 1e-6


def _reference(x: np.ndarray, y: np.ndarray) -> float:
    """arccos(||X^T Y||_*) of pre-shapes (row, unit), by the definition."""
    return float(np.arccos(min(np.linalg.svd(x.T @ y, compute_uv=False).sum(), 1.0)))


def procrustes_row(networks: int = 200, *, rows: int = 8, units: int = 100, sample: int = 300) -> dict:
    """One row of the benchmark table: all pairs of `networks` random networks (row, unit), on the CPU.

    The reference is timed on `sample` random pairs and scaled to all of them. Raises AssertionError if a
    sampled distance differs by more than 1e-6 rad, or if ours takes 2 s or more. Times are in s.
    """
    generator = np.random.default_rng(0)
    xs = generator.normal(size=(networks, rows, units))
    start = perf_counter()
    distances = procrustes_matrix(xs)
    ours = perf_counter() - start

    pairs = np.array(list(combinations(range(networks), 2)))
    some = generator.choice(pairs, size=min(sample, len(pairs)), replace=False)
    xs = xs - xs.mean(axis=1, keepdims=True)
    xs /= np.linalg.norm(xs, axis=(1, 2), keepdims=True)
    start = perf_counter()
    expected = [_reference(xs[i], xs[j]) for i, j in some]
    reference = (perf_counter() - start) * len(pairs) / len(some)

    worst = float(np.abs(distances[some[:, 0], some[:, 1]] - expected).max())
    if worst > TOLERANCE_RAD:
        raise AssertionError(f"a Procrustes distance is off by {worst:.1e} rad, more than {TOLERANCE_RAD}")
    if ours >= LIMIT_S:
        raise AssertionError(f"{len(pairs)} Procrustes distances took {ours:.2f} s, more than {LIMIT_S} s")
    return {
        "name": f"procrustes: {networks} networks, {rows} x {units}; reference scaled from {len(some)} pairs",
        "ratio": reference / ours,
        "unit": "s, reference / ours",
        "ours": ours,
        "reference": reference,
        "floor": FLOOR,
        "device": "cpu",
    }
