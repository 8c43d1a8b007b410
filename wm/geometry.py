"""Geometry of neural states: Procrustes shape distance and fit, orthogonality, dimension, angles.

A set of states is a matrix X of shape (row, unit): one row per condition, one column per unit. Everything is
computed in float64, inputs are never changed, and angles are in rad.
"""

__all__ = [
    "Alignment",
    "angular_procrustes",
    "centre",
    "effective_dimension",
    "orthogonalization_chance",
    "orthogonalization_index",
    "principal_angles",
    "procrustes_fit",
    "procrustes_matrix",
]

from collections.abc import Iterable
from typing import NamedTuple

import numpy as np
from numpy.typing import ArrayLike
from scipy import linalg
from scipy.special import gammaln


def _matrix(x: ArrayLike, name: str, rows: int = 2) -> np.ndarray:
    x = np.asarray(x, dtype=np.float64)
    if x.ndim != 2 or x.shape[0] < rows or x.shape[1] < 1:
        raise ValueError(f"{name} has shape {x.shape}: give (row, unit) with at least {rows} rows and 1 unit")
    if not np.isfinite(x).all():
        row, unit = np.argwhere(~np.isfinite(x))[0]
        raise ValueError(f"{name} is not finite at row {row}, unit {unit}: drop or repair that entry first")
    return x


def _preshape(x: ArrayLike, name: str) -> np.ndarray:
    """Columns centred, Frobenius norm 1: what is left of X without translation and scale."""
    x = _matrix(x, name)
    x = x / (np.abs(x).max() or 1)  # so that squares of extreme values neither overflow nor vanish
    centred = x - x.mean(axis=0)
    spread = np.linalg.norm(centred)
    if spread <= 16 * np.finfo(float).eps * np.linalg.norm(x):  # rounding of the mean leaves about this much
        raise ValueError(f"{name} has zero variance: its {len(x)} rows are equal, so it has no shape")
    return centred / spread


def _factors(xs: Iterable[ArrayLike], name: str) -> np.ndarray:
    """R of X^T = Q R for each pre-shape: (network, k, row), k = min(row, unit), zero-padded to one k."""
    factors = [np.linalg.qr(_preshape(x, f"{name}[{i}]").T, mode="r") for i, x in enumerate(xs)]
    if not factors:
        raise ValueError(f"{name} is empty: give at least one network")
    rows = [r.shape[1] for r in factors]
    if len(set(rows)) > 1:
        raise ValueError(f"{name} differ in their number of rows, {rows}: rows must be the same conditions")
    k = max(len(r) for r in factors)
    return np.stack([np.pad(r, ((0, k - len(r)), (0, 0))) for r in factors])


def _angles(a: np.ndarray, b: np.ndarray) -> np.ndarray:
    """Procrustes angles (network,) of one factor a (k, row) to many b (network, k, row)."""
    u, _, vt = np.linalg.svd(a @ b.mT, full_matrices=False)
    a, b = u.mT @ a, vt @ b  # the best rotation applied: both are unit vectors and sum(a b) is the cosine
    apart = np.linalg.norm(a - b, axis=(-2, -1))
    # arccos(1 - e) turns rounding of 1e-16 into an angle of 1e-8; the half-angle form keeps 1e-15 (Kahan)
    return np.minimum(2 * np.arctan2(apart, np.linalg.norm(a + b, axis=(-2, -1))), np.pi / 2)


def procrustes_matrix(xs: Iterable[ArrayLike], ys: Iterable[ArrayLike] | None = None) -> np.ndarray:
    """Angular Procrustes distances between all networks.

    d(X, Y) = arccos(||X^T Y||_* / (||X||_F ||Y||_F)), columns centred; a metric on shapes, free of
    translation, scale, rotation and reflection, between 0 and pi/2 rad. Narrower networks count as padded
    with zero units.
    Only the factors R of X^T = Q R enter (X^T Y and R_x R_y^T have the same singular values), so a pair
    costs one SVD of min(row, unit) squared. Absolute accuracy is about 1e-14 rad, near zero as well.

    xs: (network, row, unit), or a sequence of (row, unit) whose units may differ in number.
    ys: the same, optional. Returns (network, network), or (network of xs, network of ys), in rad.
    Raises ValueError for unequal rows, fewer than two rows, NaN or infinity, and zero variance.
    Source: Williams et al. 2021, Generalized shape metrics on neural representations, section 2.
    """
    a = _factors(xs, "xs")
    if ys is None:
        distance = np.zeros((len(a), len(a)))
        for i in range(len(a) - 1):
            distance[i, i + 1 :] = distance[i + 1 :, i] = _angles(a[i], a[i + 1 :])
        return distance
    b = _factors(ys, "ys")
    if a.shape[2] != b.shape[2]:
        raise ValueError(f"xs have {a.shape[2]} rows and ys {b.shape[2]}: rows must be the same conditions")
    k = max(a.shape[1], b.shape[1])
    a, b = (np.pad(r, ((0, 0), (0, k - r.shape[1]), (0, 0))) for r in (a, b))
    return np.stack([_angles(one, b) for one in a])


def angular_procrustes(x: ArrayLike, y: ArrayLike) -> float:
    """Angular Procrustes distance of X (row, unit) and Y (row, unit') in rad: see `procrustes_matrix`."""
    return float(procrustes_matrix([x], [y])[0, 0])


class Alignment(NamedTuple):
    """Y ~ scale X rotation + translation: what `procrustes_fit` found."""

    rotation: np.ndarray
    """(unit, unit), orthogonal; may hold a reflection"""
    scale: float
    translation: np.ndarray
    """(unit,)"""
    residual: float
    """share of the variance of Y that is left, ||Y - fit||^2 / ||Y - mean||^2"""

    def apply(self, x: ArrayLike) -> np.ndarray:
        """scale X rotation + translation, for X of shape (row, unit)."""
        return self.scale * np.asarray(x, dtype=np.float64) @ self.rotation + self.translation


def procrustes_fit(x: ArrayLike, y: ArrayLike, *, rotation: ArrayLike | None = None) -> Alignment:
    """Least-squares rotation (or reflection), scale and translation that take X to Y, both (row, unit).

    min ||Y - (s X R + t)||_F over orthogonal R. Centred X^T Y = U S V^T: R = U V^T, s = sum(S) / ||X||^2.
    Few rows fix R only on the subspace they span; elsewhere it is arbitrary, so R is only worth carrying to
    data in (nearly) the same subspace. `rotation` (unit, unit) sets R, to test a borrowed or a random one:
    the scale stays that of the best fit, so that only R differs.
    The residual of the best fit is the disparity of `scipy.spatial.procrustes`, sin(d)^2.

    Raises ValueError for unequal shapes, NaN, infinity, zero variance, a `rotation` that is not orthogonal.
    """
    a, b = _preshape(x, "x"), _preshape(y, "y")
    if a.shape != b.shape:
        raise ValueError(f"x has shape {a.shape} and y {b.shape}: give equal rows, pad units with zeros")
    best, cosine = linalg.orthogonal_procrustes(a, b)
    turn = best if rotation is None else _orthogonal(rotation, a.shape[1])
    x, y = np.asarray(x, dtype=np.float64), np.asarray(y, dtype=np.float64)
    scale = float(cosine * np.linalg.norm(centre(y)) / np.linalg.norm(centre(x)))
    translation = y.mean(axis=0) - scale * x.mean(axis=0) @ turn
    return Alignment(turn, scale, translation, float(np.sum((b - cosine * a @ turn) ** 2)))


def _orthogonal(rotation: ArrayLike, units: int) -> np.ndarray:
    rotation = _matrix(rotation, "rotation", rows=1)
    if rotation.shape != (units, units) or not np.allclose(rotation @ rotation.T, np.eye(units), atol=1e-6):
        raise ValueError(f"rotation of shape {rotation.shape} is not an orthogonal ({units}, {units}) matrix")
    return rotation


def centre(x: ArrayLike) -> np.ndarray:
    """X - mean over rows, (row, unit), float64. Raises ValueError for fewer than two rows, NaN, infinity."""
    x = _matrix(x, "x")
    return x - x.mean(axis=0)


def effective_dimension(x: ArrayLike) -> float:
    """Participation ratio (sum l)^2 / sum l^2 of the eigenvalues l of the covariance of X (row, unit).

    Between 1 and min(row - 1, unit); d for an isotropic cloud in d dimensions. Few rows bias it downwards, so
    compare at equal numbers of rows. Raises ValueError for fewer than two rows, NaN, infinity, zero variance.
    Source: Gao et al. 2017, A theory of multineuronal dimensionality, dynamics and measurement.
    """
    shape = _preshape(x, "x")  # unit norm: sum l = 1
    gram = shape.T @ shape if shape.shape[0] > shape.shape[1] else shape @ shape.T
    return float(1 / np.sum(gram**2))


def orthogonalization_index(normals: ArrayLike) -> float:
    """O = mean over pairs i < j of 1 - |cos(w_i, w_j)|, for decoder normals w of shape (class, unit).

    1 if all normals are orthogonal, 0 if all are collinear. It depends on the number of units (see
    `orthogonalization_chance`) and of classes (the k normals of a symmetric simplex give 1 - 1/(k - 1)), so
    compare spaces at equal both. Raises ValueError for fewer than two normals, NaN, infinity, a zero normal.
    Source: Lei, Ito and Bashivan 2024, Geometry of naturalistic object representations in RNNs, equation 1.
    """
    normals = _matrix(normals, "normals")
    length = np.linalg.norm(normals, axis=1, keepdims=True)
    if not length.all():
        raise ValueError(f"normal {int(np.argmin(length))} is zero: it has no direction")
    cosines = (normals / length) @ (normals / length).T
    return float(1 - np.minimum(np.abs(cosines[np.triu_indices_from(cosines, 1)]), 1).mean())


def orthogonalization_chance(units: int) -> float:
    """Expected index of random normals in n units: 1 - E|cos| = 1 - Gamma(n/2) / (sqrt(pi) Gamma((n + 1)/2)).

    Raises ValueError for fewer than one unit.
    """
    if units < 1:
        raise ValueError(f"units is {units}: give the number of units of the normals, at least 1")
    return float(1 - np.exp(gammaln(units / 2) - gammaln((units + 1) / 2)) / np.sqrt(np.pi))


def principal_angles(a: ArrayLike, b: ArrayLike) -> np.ndarray:
    """Principal angles between the spans of the rows of a (vector, unit) and b (vector', unit).

    Ascending, in rad, between 0 and pi/2; as many as the smaller of the two dimensions. Rows are not centred
    and need be neither orthogonal nor independent. Source: Knyazev and Argentati 2002.
    Raises ValueError for unequal units, NaN, infinity, or rows that are all zero.
    """
    a, b = _matrix(a, "a", rows=1), _matrix(b, "b", rows=1)
    if a.shape[1] != b.shape[1]:
        raise ValueError(f"a has {a.shape[1]} units and b {b.shape[1]}: give subspaces of one space")
    if not (a.any() and b.any()):
        raise ValueError(f"{'b' if a.any() else 'a'} is all zeros: it spans no subspace")
    small, large = sorted((linalg.orth(a.T), linalg.orth(b.T)), key=lambda basis: basis.shape[1])
    cosines = large.T @ small
    sines = small - large @ cosines
    # Sine and cosine together are accurate at both ends. scipy.linalg.subspace_angles picks one of the two
    # for each angle, but the wrong one where small and large angles mix, which leaves errors of 1e-8.
    return np.arctan2(linalg.svdvals(sines)[::-1], linalg.svdvals(cosines))
