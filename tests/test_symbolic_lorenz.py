"""Lorenz strings: the system against its theory and another integrator, the strings against its symmetry."""

import numpy as np
import pytest
from scipy.integrate import solve_ivp

from wm.estimate import mean_band
from wm.symbolic import lorenz
from wm.symbolic.lorenz import DT, FIXED_POINTS, LYAPUNOV, field, integrate, label, sequences, trajectory

MIRRORED = np.array([-1.0, -1.0, 1.0])


@pytest.fixture(scope="module")
def strings():
    return sequences(30, 1000, part="validation")


def test_nothing_moves_at_the_fixed_points_and_their_labels_are_their_numbers():
    np.testing.assert_allclose(field(FIXED_POINTS), 0, atol=1e-12)
    assert label(FIXED_POINTS).tolist() == [0, 1, 2] and label(FIXED_POINTS).dtype == np.int64
    with pytest.raises(ValueError, match="read-only"):
        FIXED_POINTS[0] = 1


def test_volume_shrinks_at_the_known_rate():
    u, h = np.random.default_rng(0).normal(size=(5, 3)) * 10, 1e-4
    divergence = sum((field(u + h * e) - field(u - h * e)) @ e / (2 * h) for e in np.eye(3))
    np.testing.assert_allclose(divergence, -(lorenz.SIGMA + 1 + lorenz.BETA), rtol=1e-6)


def test_the_integrated_slope_is_the_field():
    for u in np.random.default_rng(1).normal(size=(5, 3)) * 10:
        np.testing.assert_array_equal(lorenz._slope(u, 0.0), field(u))


def test_nearest_is_nearest():
    u = np.random.default_rng(2).normal(size=(4, 50, 3)) * (8, 8, 20) + (0, 0, 20)
    away = np.linalg.norm(u[..., None, :] - FIXED_POINTS, axis=-1)
    np.testing.assert_array_equal(label(u), away.argmin(axis=-1))


def test_trajectory_agrees_with_another_method_until_chaos_parts_them():
    start = np.array([1.0, 2.0, 20.0])
    times = DT * np.arange(100)
    other = solve_ivp(lambda _, u: field(u), (0, times[-1]), start, "DOP853", times, rtol=1e-11, atol=1e-11)
    found = integrate(start, 100)
    np.testing.assert_array_equal(found[0], start)
    np.testing.assert_allclose(found[:20], other.y.T[:20], atol=1e-6)
    np.testing.assert_allclose(found, other.y.T, atol=1e-3)


def test_trajectory_agrees_with_small_steps_by_hand():
    u, h, steps = np.array([-3.0, 1.0, 15.0]), 1e-3, 1000
    wanted = integrate(u, 2, dt=h * steps)[1]
    for _ in range(steps):
        a = field(u)
        b = field(u + h / 2 * a)
        c = field(u + h / 2 * b)
        u = u + h / 6 * (a + 2 * b + 2 * c + field(u + h * c))
    np.testing.assert_allclose(u, wanted, atol=1e-7)


def test_mirrored_start_gives_the_mirrored_trajectory_with_wings_swapped():
    start = np.array([3.0, -2.0, 25.0])
    here, there = integrate(start, 200), integrate(start * MIRRORED, 200)
    np.testing.assert_allclose(there, here * MIRRORED, atol=1e-9)
    np.testing.assert_array_equal(label(there), np.array([0, 2, 1])[label(here)])


def test_neighbours_part_at_the_lyapunov_exponent():
    near, time, rates = 1e-8, 8.0, []
    for trial in range(30):
        # the first two units of time turn the difference into the direction that grows
        base = trajectory(2, seed=7, trial=trial)[0]
        a, b = (integrate(u, 3, dt=1.0)[2] for u in (base, base + near))
        b = a + (b - a) * (near / np.linalg.norm(b - a))
        a, b = (integrate(u, 3, dt=time / 2)[2] for u in (a, b))
        rates.append(np.log(np.linalg.norm(b - a) / near) / time)
    assert abs(np.mean(rates) - LYAPUNOV) < 0.15
    assert lorenz.entropy_bound(0.5) == LYAPUNOV / 2


def test_trajectory_stays_on_the_attractor_and_visits_both_wings():
    states = trajectory(2000, seed=3)
    assert states.shape == (2000, 3)
    assert (np.abs(states) < (25, 30, 50)).all() and (states[:, 2] > 0).all()
    assert np.linalg.norm(states - FIXED_POINTS[1], axis=1).min() > 1, "no transient about a fixed point"
    assert (np.diff(np.sign(states[:, 0])) != 0).sum() > 20


def test_strings_know_no_side_and_no_beginning(strings):
    shares = (strings[..., None] == np.arange(3)).mean(axis=1)
    gap = mean_band(shares[:, 1] - shares[:, 2], level=0.999)
    assert gap.low < 0 < gap.high
    early, late = ((part == 0).mean(axis=1) for part in np.split(strings, 2, axis=1))
    drift = mean_band(early - late, level=0.999)
    assert drift.low < 0 < drift.high
    assert 0.10 < shares[:, 0].mean() < 0.14
    assert 0.065 < (np.diff(strings) != 0).mean() < 0.08


def test_strings_are_a_function_of_their_arguments(own_randomness):
    wanted = lorenz.symbols(300)
    assert wanted.shape == (300,) and wanted.dtype == np.int64
    np.testing.assert_array_equal(sequences(3, 300)[0], wanted)
    np.testing.assert_array_equal(lorenz.symbols(500)[:300], wanted)
    np.testing.assert_array_equal(label(trajectory(300)), wanted)
    np.testing.assert_array_equal(label(trajectory(300, trial=2)), sequences(3, 300)[2])
    wanted[:] = 9
    assert lorenz.symbols(300).max() < 3, "what is kept in memory is not handed out"
    lorenz._string.cache_clear()
    np.testing.assert_array_equal(label(trajectory(300)), lorenz.symbols(300))


def test_strings_of_different_trials_parts_and_seeds_share_no_window(strings):
    others = [lorenz.symbols(1000), lorenz.symbols(1000, part="test"), lorenz.symbols(1000, seed=1), *strings]
    windows = [
        {window.tobytes() for window in np.lib.stride_tricks.sliding_window_view(each, 300)}
        for each in others
    ]
    assert len(set.union(*windows)) == sum(map(len, windows))


def test_recordings_are_strings_of_their_own(monkeypatch):
    monkeypatch.setattr(lorenz, "RECORDED", {"train": 400, "test": 100})
    assert [len(lorenz.recording(part)) for part in ("train", "test")] == [400, 100]
    np.testing.assert_array_equal(lorenz.recording("test"), lorenz.symbols(100, part="test"))
    with pytest.raises(ValueError, match="part must be one of train, test, got 'tset'"):
        lorenz.recording("tset")


@pytest.mark.parametrize(
    ("trials", "samples", "dt"), [(0, 10, 0.1), (1, 0, 0.1), (1, 10, 0.0), (1, 10, float("nan"))]
)
def test_impossible_sizes_are_refused(trials, samples, dt):
    with pytest.raises(ValueError, match="trials and samples must be 1 or more and dt positive"):
        sequences(trials, samples, dt=dt)


@pytest.mark.parametrize("start", [np.zeros(2), np.zeros((1, 3)), np.array([0, 0, np.nan])])
def test_wrong_start_is_refused(start):
    with pytest.raises(ValueError, match="start must be three finite coordinates"):
        integrate(start, 10)
    with pytest.raises(ValueError, match="samples must be 1 or more"):
        integrate(np.zeros(3), 0)
    with pytest.raises(ValueError, match="samples must be 1 or more"):
        trajectory(0)
