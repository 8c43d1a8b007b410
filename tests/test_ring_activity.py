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
from wm.ring.task import Delays
from wm.ring.trial import run_trial
from wm.ring.tuning import Trajectory, preference_trajectory, record, ring_units


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
    rows = {"kept": [True, True, True, False], "structural": [0.2, 0.4, 0.3, 9.0]}
    return pd.DataFrame(rows | {"functional": [1.0, 0.5, np.nan, -3.0]})


def points(ax):
    return np.concatenate([some.get_offsets() for some in ax.collections])


def test_trajectories_are_drawn_for_ring_units_with_strength_as_opacity(ax, gated):
    paths = np.array([[[0.0, 90], [10, 90], [20, 90]]])
    strength = np.array([[[0.0, 1], [0.5, 1], [1, 1]]])
    trajectory = Trajectory(np.arange(12, 15), paths, strength)
    trial = run_trial(*gated, (90, 180), delays=Delays(12, 50, 140))
    activity.draw_trajectory(ax, trajectory, np.array([[True, False]]), trial)
    assert (ax.patches[0].get_x(), ax.patches[0].get_width()) == (0, 100)  # the target
    (lines,) = ax.collections
    np.testing.assert_array_equal(lines.get_segments(), [[[0, 0], [10, 10]], [[10, 10], [20, 20]]])
    assert lines.get_colors()[:, 3].tolist() == [0.5, 1]
    assert len({tuple(rgb) for rgb in lines.get_colors()[:, :3]}) == 1


def test_trajectories_of_the_inverting_units_end_half_a_turn_away(ax, inverted):
    network, recording = inverted
    mask = ring_units(recording)
    trial = run_trial(network, recording, (90, 180))
    activity.draw_trajectory(ax, preference_trajectory(network, directions=8), mask, trial)
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
    marks = [line.get_ydata()[0] for line in ax.lines]
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
    activity.draw_factors(ax, "sa", table)
    drawn = points(ax)
    assert sorted(map(tuple, drawn[np.isfinite(drawn).all(axis=1)])) == [(0.2, 1.0), (0.4, 0.5), (1.5, -0.2)]
    structural, functional = ax.lines[0].get_data()
    np.testing.assert_allclose(structural * functional, 0.25)


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
