"""Recordings, unit classes and preferences: planted tuning, constructed networks and plain loops."""

import numpy as np
import pytest
import torch

from wm import ring
from wm.ring.library import Ensemble
from wm.ring.tuning import (
    EXAMPLE_WINDOWS,
    PRESETS,
    Recording,
    change_histogram,
    direction_selectivity,
    preference_change,
    preference_trajectory,
    preferred_direction,
    record,
    ring_units,
    wrap,
)
from wm.train import torch_generator

TRAINED = {
    "sa": (0.0748, 0.486, -0.297),
    "it": (0.322, -0.588),
    "rt": (0.433, -0.197),
    "g": (0.39, -0.1, -0.12),
}


def network(family, seeds=("0",), **changes):
    config = ring.config(family, **changes)
    scalars = torch.tensor([TRAINED[family]] * len(seeds)) * (100 / config.units)
    parameters = {"scalars": scalars, "readout": torch.zeros(len(seeds), 2, config.units)}
    return Ensemble(config, list(seeds), list(seeds), parameters, ring.design(config, seeds), [])


def planted(**rates):
    """A recording of 8 x 8 pairs from functions of target and distractor (rad) that give (trial, unit)."""
    pairs = ring.grid_directions(8)
    o1, o2 = np.deg2rad(pairs).T
    rates = {name: np.stack(f(o1, o2), axis=-1)[None] for name, f in rates.items()}
    return Recording(rates, pairs, 8, ring.MEDIAN_DELAYS, True, 0.0, EXAMPLE_WINDOWS)


# --- recordings


@pytest.mark.parametrize("distractor", [False, True])
def test_record_without_noise_is_the_plain_simulation(distractor, own_randomness):
    e = network("rt", ("0", "1"))
    batch = ring.task_of(e.config, distractor_probability=float(distractor)).batch(
        np.stack([ring.grid_directions(4)] * 2)
    )
    rates = ring.simulate(e.weights, batch).numpy()
    found = record(
        e, directions=4, distractor=distractor, noise=0, windows={"cue": (15, 25), "late": (80, 81)}
    )
    assert np.allclose(found.rates["cue"], rates[:, :, 15:25].mean(2), atol=1e-6)
    assert np.allclose(found.rates["late"], rates[:, :, 80], atol=1e-6)
    assert np.array_equal(found.directions_deg, ring.grid_directions(4))


def test_record_with_noise_draws_from_the_networks_own_seed(own_randomness):
    e = network("sa", ("a", "b"))
    together = record(e, directions=3, windows={"cue": (15, 25)}, seed=5).rates["cue"]
    batch = ring.task_of(e.config, distractor_probability=0.0).batch(ring.grid_directions(3)[None])
    noise = ring.block_noise([torch_generator("b", "recording", 5)], 9, 100, noise=0.1)
    alone = ring.simulate(e.weights.select([1]), batch, noise=noise, window=slice(15, 25)).mean(2)
    assert np.allclose(together[1], alone[0], atol=1e-6)
    assert not np.allclose(together[1], record(e, directions=3, windows={"cue": (15, 25)}).rates["cue"][1])


def test_networks_that_do_not_fit_at_once_are_all_recorded():
    e = network("sa", tuple("abc"))
    many = record(e, directions=30, windows={"cue": (15, 17)})
    one = record(network("sa", ("c",)), directions=30, windows={"cue": (15, 17)})
    assert np.allclose(many.rates["cue"][2], one.rates["cue"][0], atol=1e-6)


@pytest.mark.parametrize("window", [(5, 5), (-1, 3), (260, 266)])
def test_record_refuses_windows_outside_the_trial(window):
    with pytest.raises(ValueError, match=r"window 'cue' = .* is not within the 265 steps"):
        record(network("sa"), windows={"cue": window})


@pytest.mark.parametrize("noise", [-0.1, np.nan])
def test_record_refuses_negative_noise(noise):
    with pytest.raises(ValueError, match="noise must be 0 or more"):
        record(network("sa"), noise=noise)


# --- unit classes


def test_ring_units_vary_with_the_target_and_not_with_the_distractor():
    units = planted(go=lambda a, b: (np.cos(a), np.cos(b), np.cos(a) + np.cos(b), 0 * a + 0.7))
    for preset in ("example", "template"):
        assert ring_units(units, preset).tolist() == [[True, False, False, False]]


@pytest.mark.parametrize(("preset", "high", "low"), [("example", 0.15, 0.10), ("template", 0.25, 0.20)])
def test_ring_units_thresholds_are_the_published_ones_on_sample_sd(preset, high, low):
    def unit(s1, s2):
        level = np.sqrt(2 * 7 / 8)  # makes the sample SD of 8 cosines 1
        return lambda a, b: level * ((s1 - 0.01) * np.cos(a) + (s2 - 0.01) * np.cos(b))

    cases = [
        unit(high + 0.001, low - 0.001),
        unit(high - 0.001, low - 0.001),
        unit(high + 0.001, low + 0.001),
    ]
    recording = planted(go=lambda a, b: [f(a, b) for f in cases])
    assert ring_units(recording, preset).tolist() == [[True, False, False]]


def test_gates_are_no_ring_units_and_without_distractor_o2_only_repeats():
    for preset in PRESETS:
        units = ring_units(record(network("g"), directions=8, **PRESETS[preset]), preset)
        assert units[0].tolist() == [True] * 50 + [False] * 50


def test_ring_units_errors():
    with pytest.raises(ValueError, match="unknown preset 'sweep': one of example, template"):
        ring_units(planted(go=lambda a, b: (a,)), "sweep")
    with pytest.raises(ValueError, match="no window 'go', only cue: record it too"):
        ring_units(planted(cue=lambda a, b: (a,)))


# --- preferences


def test_preferred_direction_recovers_planted_preferences():
    wanted = np.array([0.0, 10.0, 123.4, 250.0, 359.0])
    recording = planted(cue=lambda a, b: [1 + np.cos(a - w) + 3 * np.cos(b) for w in np.deg2rad(wanted)])
    found = preferred_direction(recording.rates["cue"], recording.directions_deg)
    assert np.abs(wrap(found - wanted)).max() < 1e-9
    assert ((found >= 0) & (found < 360)).all()


def test_preferred_direction_and_selectivity_are_the_plain_sums():
    rates, pairs = np.random.default_rng(0).normal(size=(2, 36, 3)), ring.grid_directions(6)
    angle, selectivity = preferred_direction(rates, pairs), direction_selectivity(rates, pairs)
    for n in range(2):
        for u in range(3):
            w = [sum(rates[n, t, u] for t in range(36) if pairs[t, 0] == 60 * k) for k in range(6)]
            z = sum(w[k] * np.exp(1j * np.deg2rad(60 * k)) for k in range(6))
            assert np.isclose(angle[n, u], np.rad2deg(np.angle(z)) % 360)
            w = np.array(w) / 6
            assert np.isclose(selectivity[n, u], abs(z) / 6 / (np.abs(w).sum() + 0.01))


def test_selectivity_is_one_for_one_direction_and_zero_for_none():
    recording = planted(cue=lambda a, b: ((a == 0) * 10.0, 0 * a + 1, np.cos(b) + 1))
    found = direction_selectivity(recording.rates["cue"], recording.directions_deg)
    assert np.allclose(found, [[1, 0, 0]], atol=2e-3)


def test_a_perfect_ring_keeps_its_preferences():
    recording = record(network("sa"), noise=0)
    assert ring_units(recording).all()
    assert preference_change(recording).max() < 1.2  # a tenth of the grid of directions
    assert change_histogram(preference_change(record(network("sa")))).tolist() == [[100, 0, 0, 0, 0]]


def test_inverting_units_change_by_180_degrees():
    change = preference_change(record(network("it"), noise=0))
    assert np.abs(change[0, :55]).max() < 1
    assert np.abs(180 - change[0, 55:]).max() < 1


def test_shifted_units_change_against_their_shift():
    e = network("rt", ("3",))
    change = preference_change(record(e, noise=0), signed=True)[0]
    assert np.corrcoef(change, e.fixed.shift_deg[0])[0, 1] < -0.9


def test_preference_change_is_nan_outside_the_mask():
    change = preference_change(record(network("g"), directions=8))
    assert np.isfinite(change[0, :50]).all() and np.isnan(change[0, 50:]).all()
    own = np.arange(100)[None] < 3
    assert np.isfinite(preference_change(record(network("sa"), directions=8), own)).sum() == 3


def test_change_histogram_counts_both_ends_and_leaves_out_nan():
    change = np.array([[0, 35.9, 36.1, 180, np.nan], [np.nan] * 5])
    found = change_histogram(change)
    assert found[0].tolist() == [50, 25, 0, 0, 25]
    assert np.isnan(found[1]).all()
    signed = change_histogram(np.array([[-180.0, -1, 1, 179]]), 10, signed=True)
    assert signed.tolist() == [[25, 0, 0, 0, 25, 25, 0, 0, 0, 25]]


# --- trajectories


def test_trajectory_of_a_perfect_ring_is_still_and_starts_with_the_target():
    e = network("sa")
    found = preference_trajectory(e, directions=100)
    assert found.steps.tolist() == list(range(5, 75))
    tuned = found.preferred_deg[0, 11:]
    assert np.isnan(found.preferred_deg[0, :10]).all() and (found.strength[:, :10] == 0).all()
    assert np.nanmax(np.abs(wrap(tuned - e.fixed.preference_deg[0].numpy()))) < 0.1


def test_trajectory_is_continuous_and_shows_the_inversion():
    path = preference_trajectory(network("rt"), directions=12).preferred_deg
    assert np.nanmax(np.abs(np.diff(path, axis=1))) <= 180
    assert ((path[:, -1] >= 0) & (path[:, -1] < 360) | np.isnan(path[:, -1])).all()
    turned = preference_trajectory(network("it"), directions=100).preferred_deg[0]
    change = np.abs(wrap(turned[-1] - turned[13]))  # at the fourth step of the target
    assert np.nanmax(change[:55]) < 10 and np.nanmin(change[55:]) > 170


def test_trajectory_strength_is_the_mean_square():
    e = network("it")
    found = preference_trajectory(e, directions=4, span=(40, 44))
    batch = ring.task_of(e.config, distractor_probability=0.0).batch(ring.grid_directions(4)[None, ::4])
    rates = ring.simulate(e.weights, batch, window=slice(40, 44)).numpy()
    assert np.allclose(found.strength, np.minimum(5 * np.square(rates).mean(1), 1), atol=1e-6)
