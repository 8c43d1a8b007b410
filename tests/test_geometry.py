"""Theorems, oracles and planted truths for wm.geometry."""

import numpy as np
import pytest
from scipy import linalg, spatial, stats

from wm.geometry import (
    angular_procrustes,
    centre,
    effective_dimension,
    orthogonalization_chance,
    orthogonalization_index,
    principal_angles,
    procrustes_fit,
    procrustes_matrix,
)

TOL = 1e-10
SIZES = [(2, 1), (2, 5), (4, 3), (8, 8), (8, 100), (30, 6)]
each_size = pytest.mark.parametrize(("rows", "units"), SIZES)
each_seed = pytest.mark.parametrize("seed", range(3))


def draw(seed, *shape):
    return np.random.default_rng(seed).normal(size=shape)


def orthogonal(seed, units):
    return linalg.qr(draw(seed + 1000, units, units))[0]


def oracle(x, y):
    """One SVD of the (unit, unit) product, as the definition says."""
    x, y = x - x.mean(0), y - y.mean(0)
    cosine = np.linalg.svd(x.T @ y, compute_uv=False).sum() / np.linalg.norm(x) / np.linalg.norm(y)
    return np.arccos(min(cosine, 1))


# --- the distance: theorems over sizes and seeds


@each_size
@each_seed
def test_distance_is_a_symmetric_angle_equal_to_the_svd_oracle(rows, units, seed):
    x, y = draw(seed, 2, rows, units)
    d = angular_procrustes(x, y)
    assert 0 <= d <= np.pi / 2
    assert d == pytest.approx(angular_procrustes(y, x), abs=TOL)
    if rows > 2:  # two rows are a segment: every pair has the same shape, and arccos(1 - eps) is no oracle
        assert d == pytest.approx(oracle(x, y), abs=TOL)
    else:
        assert d == pytest.approx(0, abs=TOL)


@each_size
@each_seed
def test_distance_is_zero_exactly_for_the_same_shape(rows, units, seed):
    x = draw(seed, rows, units)
    same = 3.7 * x @ orthogonal(seed, units) + draw(seed + 1, units)
    reflected = x @ (np.eye(units) - 2 * np.outer(*[np.eye(units)[0]] * 2))
    for y in (x, same, reflected, -x, np.pad(x, ((0, 0), (2, 3)))):
        assert angular_procrustes(x, y) == pytest.approx(0, abs=1e-13)  # arccos would give up to 1e-8
    if rows > 2 and units > 1:
        assert angular_procrustes(x, draw(seed + 2, rows, units)) > 1e-3


@each_size
@each_seed
def test_distance_to_another_shape_is_invariant(rows, units, seed):
    x, y = draw(seed, 2, rows, units)
    moved = 1e3 * x @ orthogonal(seed, units) - draw(seed + 1, units)
    padded = np.insert(x, [0, units], 0, axis=1)
    d = angular_procrustes(x, y)
    assert angular_procrustes(moved, y) == pytest.approx(d, abs=TOL)
    assert angular_procrustes(padded, y) == pytest.approx(d, abs=TOL)
    assert angular_procrustes(y, padded) == pytest.approx(d, abs=TOL)


@each_seed
@pytest.mark.parametrize("rows", [3, 5, 8])
def test_triangle_inequality_with_mixed_widths(rows, seed):
    xs = [draw(100 * seed + i, rows, 1 + i % 7) for i in range(15)]
    d = procrustes_matrix(xs)
    assert (d[:, None, :] <= d[:, :, None] + d[None, :, :] + TOL).all()


def test_matrix_agrees_with_pairs_and_is_symmetric_with_zero_diagonal():
    xs, ys = [draw(i, 4, 1 + i) for i in range(6)], draw(9, 3, 4, 9)
    d, cross = procrustes_matrix(xs), procrustes_matrix(xs, ys)
    assert np.array_equal(d, d.T) and not np.diag(d).any() and cross.shape == (6, 3)
    np.testing.assert_allclose(d, [[angular_procrustes(a, b) for b in xs] for a in xs], atol=1e-13)
    np.testing.assert_allclose(cross, [[angular_procrustes(a, b) for b in ys] for a in xs], atol=1e-13)
    np.testing.assert_allclose(procrustes_matrix(ys, xs), cross.T, atol=1e-13)


def test_known_shapes():
    square = np.array([[1, 1], [1, -1], [-1, -1], [-1, 1]])
    crossed = square[[0, 1, 3, 2]]  # X^T Y has rank 1: cosine 1/2
    assert angular_procrustes(square, crossed) == pytest.approx(np.pi / 3, abs=TOL)
    a, b = np.array([[1, 0], [-1, 0], [0, 0], [0, 0]]), np.array([[0, 0], [0, 0], [1, 0], [-1, 0]])
    assert angular_procrustes(a, b) == pytest.approx(np.pi / 2, abs=TOL)


@pytest.mark.parametrize("angle", [1e-3, 1e-6, 1e-9, 1e-12])
def test_small_distances_are_exact(angle):
    """X and cos(t) X + sin(t) Z with X^T Z = 0 in unit-norm pre-shapes are t apart."""
    basis = linalg.qr(centre(draw(0, 12, 6)), mode="economic")[0] / np.sqrt(3)
    x, z = basis[:, :3], basis[:, 3:]
    # Z in units of its own, so that no rotation mixes the two: distance = arccos(cos t) = t
    near = np.hstack([np.cos(angle) * x, np.sin(angle) * z])
    assert angular_procrustes(x, near) == pytest.approx(angle, abs=1e-14)


@pytest.mark.parametrize("scale", [1e-200, 1e-30, 1e30, 1e200])
def test_extreme_scales_do_not_matter(scale):
    x, y = draw(0, 2, 5, 4)
    assert angular_procrustes(scale * x, y) == pytest.approx(angular_procrustes(x, y), abs=TOL)


# --- the fit


@each_seed
@pytest.mark.parametrize(("rows", "units"), [(4, 3), (8, 8), (30, 6)])
def test_fit_agrees_with_scipy(rows, units, seed):
    x, y = draw(seed, 2, rows, units)
    fit = procrustes_fit(x, y)
    *_, disparity = spatial.procrustes(x, y)
    assert fit.residual == pytest.approx(disparity, abs=TOL)
    assert fit.residual == pytest.approx(np.sin(angular_procrustes(x, y)) ** 2, abs=TOL)
    _, trace = linalg.orthogonal_procrustes(centre(x), centre(y))
    assert fit.scale == pytest.approx(trace / np.sum(centre(x) ** 2), abs=TOL)
    np.testing.assert_allclose(fit.rotation @ fit.rotation.T, np.eye(units), atol=TOL)
    left = np.sum((y - fit.apply(x)) ** 2) / np.sum(centre(y) ** 2)
    assert fit.residual == pytest.approx(left, abs=TOL)


@each_seed
@pytest.mark.parametrize("reflect", [1, -1])
def test_fit_recovers_a_planted_map(seed, reflect):
    x, rotation, shift = draw(seed, 20, 5), orthogonal(seed, 5) * [[reflect]], draw(seed + 1, 5)
    fit = procrustes_fit(x, 2.5 * x @ rotation + shift)
    np.testing.assert_allclose(fit.rotation, rotation, atol=TOL)
    np.testing.assert_allclose(fit.translation, shift, atol=TOL)
    assert fit.scale == pytest.approx(2.5) and fit.residual == pytest.approx(0, abs=TOL)


def test_a_borrowed_rotation_keeps_scale_and_fits_worse():
    x, rotation = draw(0, 20, 5), orthogonal(0, 5)
    y = 2.5 * x @ rotation + 1
    own, given = procrustes_fit(x, y), procrustes_fit(x, y, rotation=rotation)
    np.testing.assert_allclose(given.apply(x), y, atol=TOL)
    other = procrustes_fit(x, y, rotation=orthogonal(7, 5))
    assert other.scale == own.scale and other.residual > 0.1
    np.testing.assert_allclose(other.apply(x).mean(0), y.mean(0), atol=TOL)
    left = np.sum((y - other.apply(x)) ** 2) / np.sum(centre(y) ** 2)
    assert other.residual == pytest.approx(left, abs=TOL)


# --- dimension, orthogonality, angles


@pytest.mark.parametrize("dimension", [1, 2, 5])
def test_effective_dimension_of_a_planted_cloud(dimension):
    axes = orthogonal(0, 12)[:dimension]
    isotropic = np.vstack([np.eye(dimension), -np.eye(dimension)]) @ axes * 3 + 7
    assert effective_dimension(isotropic) == pytest.approx(dimension, abs=TOL)
    assert effective_dimension(np.repeat(isotropic, 9, axis=0)) == pytest.approx(dimension, abs=TOL)


@each_size
def test_effective_dimension_equals_the_eigenvalue_formula(rows, units):
    x = draw(0, rows, units)
    eigenvalues = np.linalg.eigvalsh(np.atleast_2d(np.cov(x.T)))
    ratio = eigenvalues.sum() ** 2 / (eigenvalues**2).sum()
    assert effective_dimension(x) == pytest.approx(ratio, abs=TOL)
    assert 1 - TOL <= effective_dimension(x) <= min(rows - 1, units) + TOL


@pytest.mark.parametrize(
    ("normals", "index"),
    [
        (np.eye(4, 9), 1),
        (np.outer([1, -2, 3], np.arange(1, 5)), 0),
        ([[1, 0], [1, 1], [-1, 1]], 1 - 2 * np.sqrt(0.5) / 3),
        (np.eye(4) - 1 / 4, 2 / 3),  # simplex: 1 - 1/(k - 1)
        (np.eye(8) - 1 / 8, 6 / 7),
    ],
)
def test_orthogonalization_of_known_normals(normals, index):
    assert orthogonalization_index(normals) == pytest.approx(index, abs=TOL)
    turned = np.asarray(normals) * 3 @ orthogonal(1, np.shape(normals)[1])
    assert orthogonalization_index(turned) == pytest.approx(index, abs=TOL)


@pytest.mark.parametrize("units", [1, 2, 3, 50, 2048])
def test_orthogonalization_chance_is_that_of_random_normals(units):
    simulated = orthogonalization_index(draw(0, 300, units))
    assert orthogonalization_chance(units) == pytest.approx(simulated, abs=0.02)
    assert orthogonalization_chance(2) == pytest.approx(1 - 2 / np.pi, abs=TOL)


@pytest.mark.parametrize("angle", [0, 1e-9, 0.3, np.pi / 2])
def test_principal_angles_of_planted_planes(angle):
    e = orthogonal(0, 7)
    a, b = e[:2], np.stack([e[0], np.cos(angle) * e[1] + np.sin(angle) * e[2]])
    np.testing.assert_allclose(principal_angles(a, b), [0, angle], atol=1e-12)
    mixed = draw(1, 5, 2) @ b  # five dependent, oblique rows span the same plane
    np.testing.assert_allclose(principal_angles(mixed, a), [0, angle], atol=1e-12)


def test_principal_angles_take_the_smaller_dimension():
    e = np.eye(5)
    np.testing.assert_allclose(principal_angles(e[:1], e[1:4]), [np.pi / 2])
    np.testing.assert_allclose(principal_angles(e[1:2], e[:3]), [0], atol=TOL)


def test_random_subspaces_are_not_orthogonal_to_themselves():
    rotation = stats.ortho_group.rvs(6, random_state=0)
    a = draw(0, 2, 6)
    np.testing.assert_allclose(principal_angles(a @ rotation, a[::-1] @ rotation), 0, atol=1e-12)
    assert principal_angles(a, draw(1, 2, 6)).min() > 0.1


def test_centre():
    np.testing.assert_allclose(centre([[1, 2], [3, 6]]), [[-1, -2], [1, 2]])


# --- inputs and errors

MEASURES = [
    centre,
    effective_dimension,
    orthogonalization_index,
    lambda x: principal_angles(x, x[:2]),
    lambda x: angular_procrustes(x, x[:, :2]),
    lambda x: procrustes_matrix([x, x**2]),
    lambda x: procrustes_fit(x, x**2).residual,
]


@pytest.mark.parametrize("measure", MEASURES)
def test_read_only_strided_and_float32_inputs_are_left_alone(measure):
    base = draw(0, 12, 10).astype(np.float32)
    strided = base[::2, ::-2]
    plain = np.ascontiguousarray(strided, dtype=np.float64)
    base.flags.writeable = False
    before = base.copy()
    np.testing.assert_allclose(measure(strided), measure(plain), atol=1e-6)
    assert np.array_equal(base, before)
    before = plain.copy()
    measure(plain)
    assert np.array_equal(plain, before)


def broken(row, unit, value):
    x = draw(0, 4, 3)
    x[row, unit] = value
    return x


X = draw(0, 4, 3)
ERRORS = [
    (lambda: angular_procrustes(X[:1], X[:1]), r"xs\[0\] has shape \(1, 3\).*at least 2 rows"),
    (lambda: procrustes_matrix([X, X[0]]), r"xs\[1\] has shape \(3,\): give \(row, unit\)"),
    (lambda: procrustes_matrix([X, X[:, :0]]), r"xs\[1\] has shape \(4, 0\)"),
    (lambda: procrustes_matrix([X, X[:3]]), r"xs differ in their number of rows, \[4, 3\]"),
    (lambda: procrustes_matrix([X], [X[:3]]), "xs have 4 rows and ys 3"),
    (lambda: procrustes_matrix([]), "xs is empty"),
    (lambda: procrustes_matrix([X], []), "ys is empty"),
    (lambda: procrustes_matrix([X, broken(2, 1, np.nan)]), r"xs\[1\] is not finite at row 2, unit 1"),
    (lambda: centre(broken(3, 0, np.inf)), "x is not finite at row 3, unit 0"),
    (lambda: angular_procrustes(X, np.full((4, 3), 0.1)), r"ys\[0\] has zero variance: its 4 rows"),
    (lambda: angular_procrustes(np.zeros((4, 3)), X), r"xs\[0\] has zero variance"),
    (lambda: effective_dimension(np.tile(X[0] * 1e6, (7, 1))), "x has zero variance"),
    (lambda: procrustes_fit(X, X[:, :2]), r"x has shape \(4, 3\) and y \(4, 2\)"),
    (
        lambda: procrustes_fit(X, X, rotation=2 * np.eye(3)),
        r"rotation of shape \(3, 3\) is not an orthogonal",
    ),
    (lambda: procrustes_fit(X, X, rotation=np.eye(2)), r"rotation of shape \(2, 2\) is not an orthogonal"),
    (lambda: orthogonalization_index(X[:1]), "normals has shape"),
    (lambda: orthogonalization_index([[1, 2], [0, 0]]), "normal 1 is zero"),
    (lambda: orthogonalization_chance(0), "units is 0"),
    (lambda: principal_angles(X, X[:, :2]), "a has 3 units and b 2"),
    (lambda: principal_angles(0 * X, X), "a is all zeros"),
    (lambda: principal_angles(X, 0 * X), "b is all zeros"),
]


@pytest.mark.parametrize(("call", "message"), ERRORS)
def test_errors_say_what_is_wrong(call, message):
    with pytest.raises(ValueError, match=message):
        call()
