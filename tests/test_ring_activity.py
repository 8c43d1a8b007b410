"""What is drawn of ring networks is what was measured: rows, colours, bars, curves, points are the data."""

import matplotlib
import matplotlib.pyplot as plt
import numpy as np
import pandas as pd
import pytest
from matplotlib.colors import to_rgba

from wm import ring, style
from wm.ring import activity
from wm.ring.connectivity import functional_connectivity
from wm.ring.library import Ensemble
from wm.ring.tuning import THRESHOLDS, Trajectory, preference_trajectory, record, ring_units


@pytest.fixture(autouse=True)
def ax():
    with matplotlib.rc_context():
        style.use()
        yield plt.figure(layout="constrained").add_subplot()
        plt.close("all")


def designed(family, scalars):
    """One untrained network of a family with good scalars."""
    config = ring.config(family)
    parameters = ring.initial(config, ["0"])
    parameters["scalars"][:] = parameters["scalars"].new_tensor(scalars)
    return Ensemble(config, [f"{family}-00"], ["0"], parameters, ring.design(config, ["0"]), [])


@pytest.fixture(scope="module")
def gated():
    network = designed("g", (0.39, -0.10, -0.12))
    return network, record(network, directions=8)


@pytest.fixture(scope="module")
def inverted():
    network = designed("it", (0.322, -0.588))
    return network, record(network, directions=8)


@pytest.fixture
def table():
    rows = {"family": ["sa"] * 4, "kept": [True, True, True, False], "structural": [0.2, 0.4, 0.3, 9.0]}
    rows |= {"functional": [1.0, 0.5, np.nan, -3.0], "error_deg": [6.0, 8.0, 10.0, 50.0]}
    return pd.DataFrame(rows | {"error_no_distractor_deg": [4.0, 5.0, 6.0, 40.0]})


def points(ax):
    return np.concatenate([some.get_offsets() for some in ax.collections])


def test_trial_sorts_others_before_ring_units_and_each_by_preference(gated):
    network, recording = gated
    trial = activity.run_trial(network, recording, target_deg=90, distractor_deg=180)
    assert trial.rates.shape == (265, 100) and trial.ring.sum() == 50 and not trial.ring[:50].any()
    assert (np.diff(trial.preferred_deg[:50]) >= 0).all() and (np.diff(trial.preferred_deg[50:]) >= 0).all()
    strongest = trial.preferred_deg[50:][trial.rates[-1, 50:].argmax()]
    assert abs(strongest - 90) < 15  # gates keep the distractor out
    assert trial.landmarks["target"] == 15 and trial.landmarks["go"] == 165


def test_trial_has_noise_only_if_asked(gated):
    network, recording = gated
    runs = [
        activity.run_trial(network, recording, target_deg=90, distractor_deg=180, noise=noise).rates
        for noise in (0.0, 0.1, 0.1)
    ]
    assert (runs[0] >= 0).all() and (runs[1] < 0).any()
    np.testing.assert_array_equal(runs[1], runs[2])


def test_activity_map_shows_rates_bands_and_directions(ax, gated):
    network, recording = gated
    trial = activity.run_trial(network, recording, target_deg=90, distractor_deg=180)
    activity.draw_activity(ax, trial, highest=0.7)
    activity.label_events(ax, trial)
    image = ax.images[0]
    np.testing.assert_array_equal(image.get_array(), trial.rates.T)
    assert image.get_clim() == (0, 0.7) and image.get_extent() == pytest.approx([-0.15, 2.5, 100, 0])
    bands = [(band.get_x(), band.get_x() + band.get_width()) for band in ax.patches]
    assert np.allclose(bands, [(0, 0.1), (0.6, 0.7)])
    assert [text.get_text() for text in ax.texts] == ["target", "distractor", "go"]
    rows = [line.get_ydata()[0] for line in ax.lines if line.get_marker() == "<"]
    np.testing.assert_allclose(trial.preferred_deg[np.int_(rows)], (90, 180), atol=8)


def test_trajectories_are_drawn_for_ring_units_with_strength_as_opacity(ax):
    paths = np.array([[[0.0, 90], [10, 90], [20, 90]]])
    strength = np.array([[[0.0, 1], [0.5, 1], [1, 1]]])
    trajectory = Trajectory(np.arange(15, 18), paths, strength)
    activity.draw_trajectory(ax, trajectory, np.array([[True, False]]))
    (lines,) = ax.collections
    np.testing.assert_array_equal(lines.get_segments(), [[[0, 0], [10, 10]], [[10, 10], [20, 20]]])
    assert lines.get_colors()[:, 3].tolist() == [0.5, 1]
    assert len({tuple(rgb) for rgb in lines.get_colors()[:, :3]}) == 1


def test_trajectories_of_the_inverting_units_end_half_a_turn_away(ax, inverted):
    network, recording = inverted
    mask = ring_units(recording)
    activity.draw_trajectory(ax, preference_trajectory(network, directions=8), mask)
    assert len(ax.collections) == mask.sum() == 100
    paths = [lines.get_segments() for lines in ax.collections]  # [unit][segment][end, axis]
    travelled = np.array([abs(path[-1][1, 1] - path[10][0, 1]) for path in paths])
    assert (travelled > 120).sum() == 45 and (travelled < 60).sum() == 55


@pytest.mark.parametrize(("place", "centre"), [(0.5, 18), (0, 18 - 7.56), (1, 18 + 7.56)])
def test_change_bars_are_the_example_and_marks_the_mean(ax, place, centre):
    population = np.array([[60.0, 40, 0, 0, 0], [80, 20, 0, 0, 0], [70, 30, 0, 0, 0]])
    activity.draw_changes(ax, np.array([50.0, 20, 10, 10, 10]), population, family="it", place=place)
    assert [bar.get_height() for bar in ax.patches] == [50, 20, 10, 10, 10]
    bar = ax.patches[0]
    assert bar.get_x() + bar.get_width() / 2 == pytest.approx(centre)
    assert to_rgba(bar.get_facecolor())[:3] == to_rgba(style.COLORS["it"])[:3]
    marks = [box.lines[0].get_ydata()[0] for box in ax.containers if hasattr(box, "has_yerr")]
    assert marks == [70, 30, 0, 0, 0]


def test_connectivity_shows_the_means_their_error_and_the_cosine(ax, inverted):
    curve = functional_connectivity(*inverted, weights="inputs", epoch="cue")
    activity.draw_connectivity(ax, curve, color="black", label="cue")
    dots, fit = ax.lines[:2]
    np.testing.assert_array_equal(dots.get_data(), (curve.difference_deg[0], curve.mean[0]))
    assert np.ptp(fit.get_ydata()) == pytest.approx(2 * curve.amplitude[0])
    assert curve.amplitude[0] == pytest.approx(0.161, rel=0.02)  # p0 / 2: the kernel is cos(d) / 2
    band = ax.collections[0].get_paths()[0].vertices
    assert band[:, 1].max() == pytest.approx((curve.mean[0] + 1.96 * curve.sem[0]).max())


def test_factors_are_points_at_the_edge_if_beyond(ax, table):
    activity.draw_factors(ax, table, "sa")
    drawn = points(ax)
    assert sorted(map(tuple, drawn[np.isfinite(drawn).all(axis=1)])) == [(0.2, 1.0), (0.4, 0.5), (1.5, -0.2)]
    structural, functional = ax.lines[0].get_data()
    np.testing.assert_allclose(structural * functional, 0.25)


def test_errors_join_both_conditions_of_each_network(ax, table):
    activity.draw_errors(ax, table, "sa", place=2)
    joined = [line.get_xydata().tolist() for line in ax.lines if len(line.get_xdata()) == 2]
    expected = [[[2, a], [3, b]] for a, b in ((40, 50), (4, 6), (5, 8), (6, 10))]
    assert all(pair in joined for pair in expected)
    assert [box.lines[0].get_ydata()[0] for box in ax.containers] == [5, 8]  # of the kept ones


def test_design_is_drawn_in_groups(ax, gated, inverted):
    other = ax.figure.add_axes((0, 0, 0.1, 0.1))
    image = activity.draw_design(ax, other, inverted[0], limit=0.2)
    order, borders = activity.design_order(inverted[0])
    assert borders.tolist() == [55] and activity.design_order(gated[0])[1].tolist() == [50]
    recurrent = inverted[0].weights.dense()[0].numpy()[np.ix_(order, order)]
    np.testing.assert_array_equal(ax.images[0].get_array(), recurrent)
    assert image.get_array().shape == (100, 100) and image.get_clim() == (-0.2, 0.2)
    assert recurrent[0, 0] > 0 > recurrent[0, 55] and image is other.images[0]


def test_trained_networks_have_no_design():
    config = ring.config("wmd")
    network = Ensemble(config, ["wmd-00"], ["0"], ring.initial(config, ["0"]), None, [])
    with pytest.raises(ValueError, match="wmd-00 is fully trained"):
        activity.design_order(network)


@pytest.mark.parametrize("preset", ["example", "template"])
def test_unit_classes_agree_with_ring_units(ax, gated, preset):
    target, distractor = activity.class_spread(gated[1])
    high, low = THRESHOLDS[preset]
    mask = ring_units(gated[1], preset)
    np.testing.assert_array_equal((target > high) & (distractor < low), mask)
    activity.draw_unit_classes(ax, gated[1], preset=preset)
    others, filled = (some.get_offsets() for some in ax.collections)
    assert len(filled) == mask.sum() and len(others) == (~mask).sum()
    np.testing.assert_allclose(filled, np.stack([target[mask], distractor[mask]], axis=1))


def test_summary_has_kept_and_all_networks(table):
    text = activity.summary(table, {"error_deg": "error", "functional": "F"})
    assert list(text.index) == [("SA", "kept (3)"), ("SA", "all (4)")] and list(text) == ["error", "F"]
    assert text.loc[("SA", "kept (3)"), "error"] == "8 ± 2 (8)"
    assert text.loc[("SA", "kept (3)"), "F"] == "0.75 ± 0.35 (0.75)"
