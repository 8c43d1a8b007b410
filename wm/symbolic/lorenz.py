"""Symbol strings of the Lorenz system: which of its three fixed points the state is nearest to.

    dx/dt = sigma (y - x),   dy/dt = x (rho - z) - y,   dz/dt = x y - beta z

with sigma = 10, rho = 28, beta = 8/3 and time without unit. A wing is held for one turn or for many, and how
long is fixed by the past but can only be read from it: as for a cycle of symbols a predictor has to count,
here without a period. Symbols: 0 nearest to the origin, 1 to C+, 2 to C- (`FIXED_POINTS`).

`DT` = 0.05 makes a turn of about 0.7 some 14 samples, more than a table of windows can be filled for. The
holds of a wing come in groups a turn apart: 1 to 10 samples (two in three), 15 to 20, and so on; one in ten
is of 46 or more, one in a hundred of 110, and a context of 64 holds 95 % of them whole. The origin is held
for 1 to 14, once in 200 times longer. At 0.02 a context of 64 is less than two turns, and the last ten
symbols tell hardly more than the last one; at 0.1 a window of ten already holds a turn, and half of the
holds of the origin are of one or two samples.

The regions are our reading of the name of the published data set (`fixed_point_lorenz`, Zenodo 15384531),
which does not say how its symbols were made. Source of the system: Lorenz 1963, Deterministic nonperiodic
flow, Journal of the Atmospheric Sciences 20.
"""

from __future__ import annotations

__all__ = [
    "BETA", "DT", "FIXED_POINTS", "LYAPUNOV", "RECORDED", "RHO", "SIGMA", "Recording", "entropy_bound",
    "field", "integrate", "label", "recording", "sequences", "symbols", "trajectory",
]  # fmt: skip

from dataclasses import dataclass
from functools import lru_cache

import numpy as np
from scipy.integrate import odeint

from ..train import numpy_generator

SIGMA, RHO, BETA = 10.0, 28.0, 8 / 3
DT = 0.05
"""time between samples; the module says why"""
LYAPUNOV = 0.9056
"""largest Lyapunov exponent, nats per unit of time. Source: Viswanath 1998, PhD thesis, Cornell University"""
_WING = (BETA * (RHO - 1)) ** 0.5
FIXED_POINTS = np.array([[0.0, 0.0, 0.0], [_WING, _WING, RHO - 1], [-_WING, -_WING, RHO - 1]])
"""(symbol, coordinate): the origin, C+ and C-"""
FIXED_POINTS.setflags(write=False)

RECORDED = {"train": 200_000, "validation": 50_000, "test": 50_000}
"""samples of `recording`"""
_TOLERANCE = 1e-9
_TRANSIENT = 20.0  # of time: many memories of the start, and e^18 for the distance of two that began close


def field(states: np.ndarray) -> np.ndarray:
    """Time derivative of states (..., 3), per unit of time; the same shape."""
    x, y, z = np.moveaxis(np.asarray(states, dtype=np.float64), -1, 0)
    return np.stack([SIGMA * (y - x), x * (RHO - z) - y, x * y - BETA * z], axis=-1)


def label(states: np.ndarray) -> np.ndarray:
    """Symbol of the nearest fixed point: states (..., 3) -> (...) int64; the first of equally near ones."""
    # |u - p|^2 less |u|^2, which is the same for all points p
    score = (FIXED_POINTS**2).sum(axis=1) - 2 * (np.asarray(states, dtype=np.float64) @ FIXED_POINTS.T)
    return score.argmin(axis=-1)


def entropy_bound(dt: float = DT) -> float:
    """Entropy rate, nats per symbol, that no string sampled every dt exceeds: the Lyapunov exponent times dt.

    The entropy rate of a partition is at most that of the flow (Kolmogorov and Sinai), which is the sum of
    the positive exponents (Pesin 1977), here of one. A predictor with a higher loss leaves something unused.
    """
    return LYAPUNOV * dt


def integrate(start: np.ndarray, samples: int, *, dt: float = DT) -> np.ndarray:
    """The trajectory from start (3,), every dt, the start its first sample: (time, 3).

    By LSODA, compiled, and with dense output (scipy's `odeint`; a method of `solve_ivp` takes twenty times as
    long for one trajectory), relative and absolute tolerance 1e-9. A longer trajectory begins with a shorter
    one. Raises ValueError for a start of another shape or not finite, no samples, or a dt that is not
    positive.
    """
    start = np.asarray(start, dtype=np.float64)
    if start.shape != (3,) or not np.isfinite(start).all():
        raise ValueError(f"start must be three finite coordinates (3,), got {start}")
    _check(1, samples, dt)
    times = dt * np.arange(samples)
    return odeint(_slope, start, times, rtol=_TOLERANCE, atol=_TOLERANCE, mxstep=1_000_000)


def trajectory(
    samples: int, *, dt: float = DT, seed: int = 0, part: str = "train", trial: int = 0
) -> np.ndarray:
    """States (time, 3) on the attractor: those of string `trial` of `sequences`, of the same arguments."""
    _check(1, samples, dt)
    start = numpy_generator(seed, "lorenz", part, trial).normal(size=3)
    skipped = int(np.ceil(_TRANSIENT / dt))
    return integrate(start, skipped + samples, dt=dt)[skipped:]


def symbols(samples: int, *, dt: float = DT, seed: int = 0, part: str = "train") -> np.ndarray:
    """One string, (time,) int64: the first of `sequences`, which see."""
    return sequences(1, samples, dt=dt, seed=seed, part=part)[0]


def recording(part: str) -> np.ndarray:
    """The long string (time,) that networks are trained, validated or tested on; ValueError for other parts.

    80 % of train and test together are for training, as published. See `sequences`.
    """
    if part not in RECORDED:
        raise ValueError(f"part must be one of {', '.join(RECORDED)}, got {part!r}")
    return symbols(RECORDED[part], part=part)


@dataclass(frozen=True)
class Recording:
    """A part of the recording, as what networks learn from: see `recording`, which integrates it."""

    part: str = "train"

    def sample(self, trials: int, length: int, generator: np.random.Generator) -> np.ndarray:
        """Cut out windows from random places, (trial, time) int64; raises as `recording` does."""
        symbols = recording(self.part)
        starts = generator.integers(len(symbols) - length + 1, size=trials)
        return symbols[starts[:, None] + np.arange(length)]


def sequences(trials: int, samples: int, *, dt: float = DT, seed: int = 0, part: str = "train") -> np.ndarray:
    """Strings of independent trajectories on the attractor, (trial, time) int64.

    Each starts near the origin, whose unstable manifold lies in the attractor, and its first 20 units of time
    are left out. Every `part` has starts of its own, so no trajectory is in two of them. A string depends on
    seed, part, dt and its number alone: it is the same among more trials, and a longer one begins with it.
    What was integrated is kept in memory. As the system is chaotic, other processors or versions of scipy may
    give other strings of the same statistics. Raises ValueError for no trials, no samples, or a dt that is
    not positive.
    """
    _check(trials, samples, dt)
    return np.stack([_string(samples, dt, seed, part, trial) for trial in range(trials)]).astype(np.int64)


@lru_cache(maxsize=1024)
def _string(samples: int, dt: float, seed: int, part: str, trial: int) -> np.ndarray:
    """One string as int8, (time,)."""
    return label(trajectory(samples, dt=dt, seed=seed, part=part, trial=trial)).astype(np.int8)


def _slope(state: np.ndarray, _time: float) -> tuple[float, float, float]:
    """`field` of one state, in plain numbers: called at each step, where an array costs ten times as much."""
    x, y, z = state.tolist()
    return SIGMA * (y - x), x * (RHO - z) - y, x * y - BETA * z


def _check(trials: int, samples: int, dt: float) -> None:
    if trials < 1 or samples < 1 or not 0 < dt < np.inf:
        raise ValueError(
            f"trials and samples must be 1 or more and dt positive, got {trials}, {samples} and {dt:g}"
        )
