"""Portrait of one network's memory: ring, fixed points, drift field, and how a distractor moves the state.

Plane coordinates are those of the memory plane from the centre of the ring, in units of its radius, and
height is the length of what leaves the plane, in the same units.
"""

from __future__ import annotations

__all__ = ["KINDS", "Portrait", "caption", "example", "portrait"]

from typing import NamedTuple

import numpy as np
import pandas as pd

from . import dynamics
from .derived import KEPT_BELOW_DEG
from .dynamics_table import ring_points
from .fixed_points import FixedPoints
from .library import Ensemble
from .task import DT_MS

_FIELD_TIMES = (
    dynamics.GO,
    *dynamics.LONG_TIMES[:2],
)  # late enough for the state to have settled on the ring
KINDS = ("attractor", "saddle", "slow")
"""stable fixed point, other fixed point, slow point"""
_AWAY = (*range(dynamics.ONSET, dynamics.ONSET + 31, 2), *range(dynamics.ONSET + 40, dynamics.GO + 1, 10))


class Portrait(NamedTuple):
    """One network; the distractor comes `offset_deg` from each of the targets that are shown.

    ring: (target, 2), places in the plane of `targets_deg`; points: (point, 2), their angles points_deg
    (point,) and kinds (point,), of `KINDS`; field_deg and velocity: (target,), remembered angle 2 s into
    a long delay and its velocity around then, deg/s; starts: (shown, 2), places before the distractor; push:
    (shown, 3) and path: (shown, time, 3), the input of the distractor and the state from its onset to the go
    cue, in the plane and above it; path_ms: (time,), from distractor onset; angle_deg: of push and plane, the
    smaller one.
    """

    targets_deg: np.ndarray
    ring: np.ndarray
    points: np.ndarray
    points_deg: np.ndarray
    kinds: np.ndarray
    field_deg: np.ndarray
    velocity: np.ndarray
    starts: np.ndarray
    push: np.ndarray
    path: np.ndarray
    path_ms: np.ndarray
    angle_deg: float


def portrait(ensemble: Ensemble, *, offset_deg: float = 90.0, shown: int = 6) -> Portrait:
    """The portrait of an ensemble of one network, `shown` targets with a distractor; `shown` divides 72.

    Raises ValueError for several networks, or another `shown`.
    """
    if len(ensemble) != 1:
        raise ValueError(f"a portrait is of one network, got {len(ensemble)}: load one, such as 'sa-00'")
    if shown < 1 or dynamics.TARGETS % shown:
        raise ValueError(f"shown must divide {dynamics.TARGETS}, got {shown}")
    ring = dynamics.manifold(ensemble)
    decoders = dynamics.delay_decoders(dynamics.noisy_delay(ensemble, repeats=4))
    points = ring_points(ensemble, ring, decoders)
    plane = ring.project(ring.ring)[0, :, :2]
    radius = np.sqrt((plane**2).sum(axis=1).mean())
    late = [list(ring.times).index(t) for t in _FIELD_TIMES]
    angles = dynamics.decoded(decoders, ring.states[:, :, late])[0]
    velocity = dynamics.drift(angles, (_FIELD_TIMES[-1] - _FIELD_TIMES[0]) * DT_MS / 1000)
    push = dynamics.pushes(ensemble, ring.targets_deg)
    starts, pushed, path = _away(ensemble, ring, offset_deg, shown)
    return Portrait(
        targets_deg=ring.targets_deg,
        ring=plane / radius,
        points=ring.project(points.state[None])[0, :, :2] / radius,
        points_deg=dynamics.decoded(decoders, points.state[None])[0],
        kinds=_kinds(points),
        field_deg=angles[:, 1],
        velocity=velocity,
        starts=starts / radius,
        push=pushed / radius,
        path=path / radius,
        path_ms=(np.array(_AWAY) - dynamics.ONSET) * DT_MS,
        angle_deg=float(dynamics.push_plane_angles(push, ring.axes)[0, 0]),
    )


def example(table: pd.DataFrame, family: str, seed: int = -1) -> pd.Series:
    """The row of network `<family>-<seed>`; below 0 that of the first kept one, or of the first if none is.

    table: of `dynamics_table.table`. Raises ValueError for a seed that the family does not have.
    """
    rows = table[table.family == family]
    if seed < 0:
        return rows.loc[rows.kept.idxmax()]
    wanted = rows[rows.network == f"{family}-{seed:02d}"]
    if wanted.empty:
        raise ValueError(f"seed {seed}: {family} has {rows.network.min()} to {rows.network.max()}")
    return wanted.iloc[0]


def caption(row: pd.Series) -> str:
    """A network's name, its error, and if it is not kept; or the error that it is kept by, if another."""
    text = f"{row.network}, error {row.error_deg:.1f}°"
    if not row.kept:
        return f"{text}, not kept"
    alone = f" ({row.error_no_distractor_deg:.1f}° without)" if row.error_deg > KEPT_BELOW_DEG else ""
    return text + alone


def _kinds(points: FixedPoints) -> np.ndarray:
    return np.select([points.fixed & points.stable, points.fixed], KINDS[:2], KINDS[2])


def _away(
    ensemble: Ensemble, ring: dynamics.Manifold, offset_deg: float, shown: int
) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Starts (shown, 2), pushes (shown, 3) and paths (shown, time, 3) in the plane and above it."""
    targets = dynamics.equal_angles(shown)
    pairs = np.stack([targets, targets + offset_deg], axis=1)
    with_it = dynamics.activations(ensemble, pairs, _AWAY, distractor=True).astype(float)
    without = dynamics.activations(ensemble, pairs, _AWAY).astype(float)
    axes = ring.axes[0, :2]
    moved = (with_it - without)[0]
    height = np.linalg.norm(moved - moved @ axes.T @ axes, axis=-1)
    path = np.concatenate([ring.project(with_it)[0, ..., :2], height[..., None]], axis=-1)
    push = dynamics.pushes(ensemble, targets + offset_deg)[0]
    above = np.linalg.norm(push - push @ axes.T @ axes, axis=-1)
    return path[:, 0, :2], np.concatenate([push @ axes.T, above[:, None]], axis=-1), path
