"""Geometry of the states in which a network holds the phases of a cycle: a ring, arcs, clusters, or nothing.

States X (phase, unit) in the order of the cycle, phase = symbol * h + (steps held - 1). What is asked is
whether the closed walk through them in that order is short, and where its steps are long::

    tour = sum over phases of |x_(p+1) - x_p|                              (circular)
    gap  = mean step from one symbol to the next / mean step within a symbol

Clusters of three symbols alone make a tour shorter than most, so there are two nulls: all orders of phases,
and orders that are shuffled within each symbol.
"""

from __future__ import annotations

__all__ = [
    "COLUMNS", "GAP", "KINDS", "Order", "additive_shares", "circular_correlation", "describe",
    "distance_profile", "gap", "kind", "neighbours", "order", "steps", "to_others", "window_states",
]  # fmt: skip

from collections.abc import Sequence
from typing import NamedTuple

import numpy as np
from numpy.typing import ArrayLike
from scipy.spatial.distance import cdist

from ..geometry import centre, effective_dimension, procrustes_matrix
from .task import Cycle

KINDS = ("ring", "arcs", "clusters", "none")
GAP = 1.5
"""phases in order are arcs, not a ring, if steps between symbols are longer than this many steps within"""
COLUMNS = (
    "kind", "any_ratio", "any_p", "within_ratio", "within_p", "gap", "neighbours", "circular", "dimension",
    "plane", "share_symbol", "share_held", "share_both", *(f"apart_{d}" for d in range(1, 10)),
)  # fmt: skip
"""what `describe` tells of 18 phases (plane: share of the variance in the plane of the leading two
components); other numbers of phases have distances for half as many steps"""


class Order(NamedTuple):
    """Length of the walk through the phases in their order, against walks in shuffled orders."""

    any_ratio: float
    """over the mean of all orders"""
    any_p: float
    """one-sided, (1 + shuffles at most as long) / (1 + shuffles)"""
    within_ratio: float
    """over the mean of orders shuffled within each symbol"""
    within_p: float


def window_states(cycle: Cycle, context: int) -> np.ndarray:
    """What comes for free: the windows that end in each phase, one-hot, (phase, context * symbols).

    Raises as `Cycle.phase_windows` does.
    """
    ordered = cycle.phase_windows(context)
    return np.eye(cycle.symbols)[ordered].reshape(len(ordered), -1)


def steps(x: ArrayLike) -> np.ndarray:
    """Distance of each phase from the next one, the last from the first; x (phase, unit) -> (phase,)."""
    x = np.asarray(x, dtype=np.float64)
    return np.linalg.norm(np.roll(x, -1, axis=0) - x, axis=1)


def _distances(x: ArrayLike, symbols: int) -> np.ndarray:
    x = np.asarray(x, dtype=np.float64)
    if x.ndim != 2 or len(x) % symbols or len(x) < 2 * symbols:
        raise ValueError(f"states have shape {x.shape}: give (phase, unit), as many phases in all symbols")
    return cdist(x, x)


def order(x: ArrayLike, symbols: int = 3, *, shuffles: int = 999, seed: int = 0) -> Order:
    """Whether states (phase, unit) lie along their cycle, by tours in shuffled orders.

    Raises ValueError unless all symbols have the same number of phases, two or more, or if all states agree.
    """
    apart = _distances(x, symbols)
    if not apart.any():
        raise ValueError("all states agree: they have no order")
    generator, phases = np.random.default_rng(seed), np.arange(len(apart))
    runs = phases.reshape(symbols, -1)
    nulls = (np.tile(phases, (shuffles, 1)), np.tile(runs, (shuffles, 1, 1)))
    found: list[float] = []
    own = apart[phases, np.roll(phases, -1)].sum()
    for null in nulls:
        walks = generator.permuted(null, axis=-1).reshape(shuffles, -1)
        tours = apart[walks, np.roll(walks, -1, axis=1)].sum(axis=1)
        found += [own / tours.mean(), (1 + (tours <= own * (1 + 1e-12)).sum()) / (1 + shuffles)]
    return Order(*map(float, found))


def gap(x: ArrayLike, symbols: int = 3) -> float:
    """Mean step from one symbol to the next over the mean step within a symbol; 1 on an even ring."""
    along = steps(x).reshape(symbols, -1)
    return float(along[:, -1].mean() / along[:, :-1].mean())


def kind(found: Order, gap: float, *, alpha: float = 0.05) -> str:
    """One of `KINDS`.

    ring: shorter than shuffled orders of both kinds, and no gaps between symbols; arcs: the same with gaps;
    clusters: in order between, but not within symbols; none: not even that.
    """
    if found.any_p >= alpha:
        return "none"
    if found.within_p >= alpha:
        return "clusters"
    return "ring" if gap <= GAP else "arcs"


def neighbours(x: ArrayLike) -> float:
    """Share of phases whose nearest other one is the phase before or after; by chance 2 / (phases - 1)."""
    apart = _distances(x, 1) + np.diag(np.full(len(np.asarray(x)), np.inf))
    nearest, phases = apart.argmin(axis=1), len(apart)
    return float(np.isin((nearest - np.arange(phases)) % phases, (1, phases - 1)).mean())


def distance_profile(x: ArrayLike) -> np.ndarray:
    """Mean distance of phases 1, 2, ... steps apart, over the mean of all pairs; (half the phases,).

    On an even ring sin(pi d / phases) up to a factor.
    """
    apart = _distances(x, 1)
    phases = len(apart)
    ahead = (np.arange(phases) - np.arange(phases)[:, None]) % phases
    found = np.array([apart[ahead == d].mean() for d in range(1, phases // 2 + 1)])
    return found / apart[~np.eye(phases, dtype=bool)].mean()


def circular_correlation(x: ArrayLike) -> float:
    """How well the angle in the plane of the two leading components tells the phase, |r| from 0 to 1.

    |mean of exp(i (angle - phase))|, or of its mirror image, whichever is larger: 1 for an even ring. Three
    clusters in the corners of a triangle reach 0.83 as well (six phases each), so it says little by itself.
    """
    u, s, _ = np.linalg.svd(centre(x), full_matrices=False)
    plane = u[:, 0] * s[0] + 1j * u[:, 1] * s[1]
    turn = np.exp(1j * np.angle(plane))
    phase = np.exp(2j * np.pi * np.arange(len(turn)) / len(turn))
    return float(max(abs((turn * phase).mean()), abs((turn / phase).mean())))


def additive_shares(x: ArrayLike, symbols: int = 3) -> dict[str, float]:
    """Shares of the variance over phases: by symbol, by steps held, and by both together (the rest).

    Two-way analysis of variance of x (phase, unit) with one state a cell. A count that is written in the same
    way under each symbol is `held`; one that every symbol writes in directions of its own is `both`.
    """
    _distances(x, symbols)
    grid = centre(x).reshape(symbols, -1, np.shape(x)[1])
    of_symbol, held = grid.mean(axis=1, keepdims=True), grid.mean(axis=0, keepdims=True)
    whole = (grid**2).sum()
    found = {"symbol": of_symbol, "held": held, "both": grid - of_symbol - held}
    return {
        name: float((np.broadcast_to(part, grid.shape) ** 2).sum() / whole) for name, part in found.items()
    }


def to_others(
    xs: Sequence[ArrayLike], symbols: int = 3, *, shuffles: int = 20, seed: int = 0
) -> tuple[np.ndarray, np.ndarray]:
    """Mean angular Procrustes distance of each network from the others in rad, xs (network, phase, unit).

    (network,), and the same, mean over shuffles, with the phases of the others shuffled within each symbol.
    Raises ValueError for fewer than two networks, and as `wm.geometry.procrustes_matrix` does.
    """
    if len(xs) < 2:
        raise ValueError("distances between networks need two of them or more")
    generator, networks = np.random.default_rng(seed), len(xs)
    runs = np.tile(np.arange(len(xs[0])).reshape(symbols, -1), (shuffles, 1, 1))
    orders = generator.permuted(runs, axis=-1).reshape(shuffles, -1)
    shuffled = [procrustes_matrix(xs, [np.asarray(x)[order] for x in xs]) for order in orders]
    own = procrustes_matrix(xs), np.mean(shuffled, axis=0)
    same, other = ((each.sum(axis=1) - each.diagonal()) / (networks - 1) for each in own)
    return same, other


def describe(x: ArrayLike, symbols: int = 3, *, seed: int = 0) -> dict[str, float | str]:
    """All of the above for states (phase, unit), by name: a row of the table of geometry."""
    found, between = order(x, symbols, seed=seed), gap(x, symbols)
    spread = np.linalg.svd(centre(x), compute_uv=False) ** 2
    return {
        "kind": kind(found, between),
        **found._asdict(),
        "gap": between,
        "neighbours": neighbours(x),
        "circular": circular_correlation(x),
        "dimension": effective_dimension(x),
        "plane": float(spread[:2].sum() / spread.sum()),
        **{f"share_{name}": share for name, share in additive_shares(x, symbols).items()},
        **{f"apart_{d + 1}": apart for d, apart in enumerate(distance_profile(x))},
    }
