"""Fixed points of networks where they are known: all found are true, all true are found."""

import math
from itertools import product

import numpy as np
import pytest
import torch
from scipy.optimize import brentq

from wm.ring.fixed_points import TAU_S, FixedPoints, field, find
from wm.ring.network import Weights

D = torch.float64


def network(recurrent, bias, nonlinearity="retanh"):
    """Networks of recurrent (network, unit, unit) or (unit, unit) and bias, without input or read-out."""
    w = torch.as_tensor(recurrent, dtype=D).reshape(-1, len(bias), len(bias))
    n = len(w)
    b = torch.as_tensor(bias, dtype=D).expand(n, -1)
    return Weights(torch.zeros(n, len(bias), 2, dtype=D), b, torch.zeros(n, 2, len(bias), dtype=D), w,
                   nonlinearity=nonlinearity)  # fmt: skip


def ring_network(c, bias, units=100, nonlinearity="retanh", low_rank=True):
    """W = c cos(m_i - m_j) / 2, as the strong attractor is built."""
    m = torch.arange(units, dtype=D) * (2 * math.pi / units)
    circle = torch.stack([m.cos(), m.sin()], dim=1)[None]
    parts = {"left": c / 2 * circle, "right": circle}
    if not low_rank:
        parts = {"recurrent": parts["left"] @ parts["right"].mT}
    return Weights(torch.zeros(1, units, 2, dtype=D), torch.full((1, units), bias, dtype=D),
                   torch.zeros(1, 2, units, dtype=D), nonlinearity=nonlinearity, **parts)  # fmt: skip


def starts(units, count=200, spread=3.0, networks=1, seed=0):
    generator = torch.Generator().manual_seed(seed)
    return spread * torch.randn(networks, count, units, generator=generator, dtype=D)


def sorted_states(points: FixedPoints):
    return points.state[np.lexsort(np.round(points.state.T, 6))]


def assert_same_states(points, wanted, atol=1e-7):
    """All found are true, and all true are found."""
    wanted = np.array(sorted(np.round(wanted, 12).tolist()))
    found = np.array(sorted(points.state.tolist()))
    assert found.shape == wanted.shape
    distance = np.abs(found[:, None] - wanted[None]).max(axis=2)
    assert (distance.min(axis=0) < atol).all() and (distance.min(axis=1) < atol).all()


def jacobian_eigenvalues(weights, state):
    """By autograd on the whole field, in all units."""
    jacobian = torch.autograd.functional.jacobian(
        lambda a: field(weights, a[None, None])[0, 0], torch.as_tensor(state, dtype=D)
    )
    values = np.linalg.eigvals(jacobian.numpy())
    return values[np.argsort(-values.real)]


def test_a_bistable_unit_has_three_fixed_points():
    root = brentq(lambda a: 2 * np.tanh(a) - a, 1, 3, xtol=1e-14)
    points = find(network([[2.0]], [0.0], "tanh"), starts(1))
    assert_same_states(points, [[-root], [0.0], [root]])
    assert points.fixed.all() and points.stable.sum() == 2
    saddle = points.select(~points.stable)
    assert np.allclose(saddle.state, 0, atol=1e-9) and np.allclose(saddle.eigenvalues, 1 / TAU_S)
    slope = 2 * (1 - np.tanh(root) ** 2)
    assert np.allclose(points.select(points.stable).eigenvalues, (slope - 1) / TAU_S)


def test_three_bistable_units_have_every_combination():
    root = brentq(lambda a: 2 * np.tanh(a) - a, 1, 3, xtol=1e-14)
    points = find(network(2 * np.eye(3), [0.0] * 3, "tanh"), starts(3, 2000))
    assert_same_states(points, list(product((-root, 0, root), repeat=3)))
    assert points.stable.sum() == 8


def test_one_fixed_point_below_the_bifurcation():
    points = find(network([[0.9]], [0.0], "tanh"), starts(1))
    assert len(points) == 1 and points.stable.all() and np.allclose(points.state, 0, atol=1e-8)
    assert np.allclose(points.eigenvalues, -0.1 / TAU_S)


def test_mutual_inhibition_of_two_rectified_units():
    """Winner takes all: (high, off), (off, high), and a saddle on the diagonal, each a scalar equation."""
    own, cross, b = 1.5, 2.0, 0.3
    high = brentq(lambda a: own * np.tanh(a) + b - a, 0.5, 5, xtol=1e-14)
    low = b - cross * np.tanh(high)
    middle = brentq(lambda a: (own - cross) * np.tanh(a) + b - a, 0, 2, xtol=1e-14)
    points = find(network([[own, -cross], [-cross, own]], [b, b]), starts(2))
    assert low < 0
    assert_same_states(points, [[high, low], [low, high], [middle, middle]])
    assert np.allclose(points.select(~points.stable).state, middle)


def test_a_silent_network_rests_at_its_bias_and_decays_with_tau():
    w = 0.3 * np.random.default_rng(0).standard_normal((6, 6))
    b = -np.arange(1.0, 7.0)
    points = find(network(w, b), starts(6, spread=0.1))
    assert_same_states(points, [b])
    assert np.allclose(points.eigenvalues, -1 / TAU_S) and points.stable.all()


def test_a_linear_network_solves_a_linear_equation():
    """Rectified units that all stay far below 1 are nearly linear: a = (1 - W)^-1 b."""
    w, b = 0.1 * np.ones((4, 4)), 1e-4 * np.arange(1, 5)
    points = find(network(w, b), starts(4, spread=0.1))
    assert len(points) == 1
    assert np.allclose(points.state[0], np.linalg.solve(np.eye(4) - w, b), rtol=1e-5)
    assert np.allclose(np.sort(points.eigenvalues[0].real)[-1], (0.4 - 1) / TAU_S, rtol=1e-5)


def test_without_a_fixed_point_nearby_there_is_a_slow_point_or_nothing():
    """Just before a fold the ghost of two fixed points is slow; far before it there is nothing."""
    w = 3.0
    edge = brentq(lambda a: w / np.cosh(a) ** 2 - 1, 0, 3)
    fold = edge - w * np.tanh(edge)  # at this bias two fixed points of positive rate are born
    around = torch.linspace(-2, 3, 50, dtype=D).reshape(1, -1, 1)
    ghost = find(network([[w]], [fold - 1e-3]), around)
    slow = ghost.select(~ghost.fixed)
    assert len(slow) == 1 and abs(slow.state[0, 0] - edge) < 1e-2
    assert np.allclose(slow.speed, 1e-3 / TAU_S, rtol=1e-3)
    assert np.allclose(ghost.select(ghost.fixed).state, fold - 1e-3)  # the resting state
    far = find(network([[w]], [fold - 0.1]), around)
    assert far.fixed.all() and len(far) == 1
    after = find(network([[w]], [fold + 1e-3]), around)
    assert after.fixed.all() and len(after) == 3 and after.stable.sum() == 2


def bump_radius(c, bias, units=100, f=np.tanh, least=0.05):
    """r of a = b + r cos(m - theta), where r = c/2 sum_i cos(m_i) f(b + r cos m_i)."""
    m = 2 * np.pi * np.arange(units) / units
    return brentq(lambda r: c / 2 * (np.cos(m) * f(bias + r * np.cos(m))).sum() - r, least, 100, xtol=1e-13)


def test_a_smooth_ring_has_a_circle_of_marginal_fixed_points():
    """tanh is analytic, so 100 units sample the circle exactly: every direction is a fixed point."""
    c, bias = 0.05, 0.2
    w = ring_network(c, bias, nonlinearity="tanh")
    m = torch.arange(36, dtype=D) * (2 * math.pi / 36)
    seeds = bias + torch.cos(m[:, None] - torch.arange(100, dtype=D) * (2 * math.pi / 100))
    points = find(w, seeds[None])
    assert len(points) == 36 and points.fixed.all()
    amplitude = np.abs((points.state - bias) @ np.exp(2j * np.pi * np.arange(100) / 100)) / 50
    assert np.allclose(amplitude, bump_radius(c, bias), rtol=1e-9)
    assert np.allclose(points.eigenvalues[:, 0].real, 0, atol=1e-8)  # along the ring
    assert (points.eigenvalues[:, 1].real < -0.1).all()  # across it


def test_a_rectified_ring_is_a_ring_up_to_its_grain():
    """The kink of retanh lets 100 units be felt: fixed points at the units and half-way between."""
    c, bias = 0.486, -0.297  # the strong attractor as trained
    m = torch.arange(720, dtype=D) * (2 * math.pi / 720) + 0.001
    units = torch.arange(100, dtype=D) * (2 * math.pi / 100)
    points = find(ring_network(c, bias), (bias + 7 * torch.cos(m[:, None] - units))[None])
    ring = points.select(np.linalg.norm(points.state - bias, axis=1) > 1)
    assert ring.fixed.all() and len(ring) == 200 and ring.stable.sum() == 100
    mode = (ring.state - bias) @ np.exp(2j * np.pi * np.arange(100) / 100) / 50
    radius = bump_radius(c, bias, f=lambda a: np.maximum(np.tanh(a), 0), least=1)
    assert np.allclose(np.abs(mode), radius, rtol=1e-3)
    place = np.rad2deg(np.angle(mode)) / 1.8  # in half distances of units
    assert np.allclose(place, place.round(), atol=1e-6)
    assert len(set((place.round() % 2)[ring.stable])) == len(set((place.round() % 2)[~ring.stable])) == 1
    assert (ring.eigenvalues[:, 1].real < -5).all()  # across the ring


@pytest.mark.parametrize("factor, stable", [(0.98, True), (1.02, False)])
def test_the_uniform_state_loses_stability_at_the_critical_recurrence(factor, stable):
    """At a = b > 0 the ring mode has eigenvalue (c N f'(b) / 4 - 1) / tau: critical at c = 4 / (N f'(b))."""
    bias = 0.4
    slope = 1 - np.tanh(bias) ** 2
    c = factor * 4 / (100 * slope)
    seeds = torch.linspace(0, 2, 20, dtype=D)[:, None] * torch.cos(torch.arange(100, dtype=D) * math.pi / 50)
    points = find(ring_network(c, bias), (bias + seeds)[None])
    uniform = points.select(np.ptp(points.state, axis=1) < 1e-6)
    assert len(uniform) == 1 and bool(uniform.stable[0]) is stable
    assert np.allclose(uniform.eigenvalues[0], (factor - 1) / TAU_S)
    assert (len(points) == 1) is stable  # beyond it there is a ring beside it


@pytest.mark.parametrize("nonlinearity", ["retanh", "tanh"])
def test_the_reduced_space_gives_what_all_units_give(nonlinearity):
    generator = np.random.default_rng(1)
    right = generator.standard_normal((12, 3))
    left = 0.5 * right + 0.1 * generator.standard_normal((12, 3))
    low = Weights(torch.zeros(1, 12, 2, dtype=D), torch.full((1, 12), 0.1, dtype=D),
                  torch.zeros(1, 2, 12, dtype=D), left=torch.as_tensor(left)[None],
                  right=torch.as_tensor(right)[None], nonlinearity=nonlinearity)  # fmt: skip
    full = network(left @ right.T, [0.1] * 12, nonlinearity)
    some = starts(12, 1500)
    a, b = (points.select(points.fixed) for points in (find(low, some), find(full, some)))
    assert len(a) > 1
    assert_same_states(a, b.state)
    assert np.allclose(field(full, torch.as_tensor(a.state)[None]).numpy(), 0, atol=1e-6)
    for state, values in zip(a.state, a.eigenvalues, strict=True):
        whole = jacobian_eigenvalues(full, state)
        others = whole[np.argsort(np.abs(whole + 1 / TAU_S))][9:]  # without the nine of -1 / tau
        assert np.allclose(np.sort_complex(values), np.sort_complex(others), atol=1e-6)


def test_networks_are_searched_each_on_its_own():
    w = network(np.array([[[2.0]], [[0.5]]]), [0.0], "tanh")
    points = find(w, starts(1, networks=2))
    assert np.bincount(points.network).tolist() == [3, 1]
    assert (np.diff(points.network) >= 0).all()


def test_a_dense_ring_equals_a_low_rank_ring():
    m = torch.arange(12, dtype=D) * (2 * math.pi / 12)
    seeds = (0.2 + torch.cos(m[:, None] - torch.arange(100, dtype=D) * (2 * math.pi / 100)))[None]
    low = find(ring_network(0.05, 0.2, nonlinearity="tanh"), seeds)
    full = find(ring_network(0.05, 0.2, nonlinearity="tanh", low_rank=False), seeds)
    assert len(low) == len(full) == 12
    assert np.allclose(full.eigenvalues[:, :2], low.eigenvalues, atol=1e-5)
    assert np.allclose(full.eigenvalues[:, 2:], -1 / TAU_S)


def test_starts_that_cannot_be_used_are_refused():
    w = network([[2.0]], [0.0])
    with pytest.raises(ValueError, match=r"starts must be \(1, start, 1\), got \(1, 3, 2\)"):
        find(w, torch.zeros(1, 3, 2))
    with pytest.raises(ValueError, match="starts hold NaN"):
        find(w, torch.full((1, 3, 1), torch.nan))
    with pytest.raises(ValueError, match="0 < fixed_below <= slow_below, got 1 and 0.1"):
        find(w, torch.zeros(1, 3, 1), fixed_below=1.0)
