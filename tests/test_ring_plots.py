"""Panels on task and errors: the numbers drawn are those given; scores follow the published rules."""

import matplotlib
import matplotlib.pyplot as plt
import numpy as np
import pandas as pd
import pytest
import torch

from wm import ring, store
from wm.estimate import Estimate, mean_interval, wilson_interval
from wm.ring import error_plots, plots, scores
from wm.ring.construction import build, design, initial
from wm.ring.trial import run_trial, unit_order
from wm.ring.tuning import record
from wm.style import COLORS

pytestmark = pytest.mark.usefixtures("closed")


def ensemble(family="sa", seeds=("0",), shift_deg=None, scalars=None):
    """An ensemble that is not trained, or has given scalars."""
    config = ring.config(family)
    fixed = None if ring.FAMILIES[family].trained_fully else design(config, seeds, shift_deg=shift_deg)
    parameters = initial(config, seeds)
    if scalars is not None:
        parameters["scalars"][:] = torch.tensor(scalars)
    names = [f"{family}-{seed:0>2}" for seed in seeds]
    return ring.Ensemble(config, names, list(seeds), parameters, fixed, [])


def attractor():
    return ensemble("sa", scalars=[0.0748, 0.486, -0.297])  # of a trained network


def gated():
    return ensemble("g", scalars=[0.39, -0.10, -0.12])


def trial_of(network, directions_deg=(90, 240), **settings):
    return run_trial(network, record(network, directions=8), directions_deg, **settings)


def table(errors=(5.0, 6.0, 8.0, 40.0), without=(4.0, 5.0, 6.0, 30.0)):
    """Rows of four networks, the last one not kept."""
    rows = pd.DataFrame({"error_deg": errors, "error_no_distractor_deg": without})
    return rows.assign(kept=rows.error_no_distractor_deg <= 15)


def drawn_points(ax):
    points = [np.asarray(each.get_offsets()) for each in ax.collections if hasattr(each, "get_sizes")]
    return np.concatenate([p for p in points if len(p)])


def test_chance_is_the_error_of_random_answers():
    answers = np.linspace(-180, 180, 100001)
    assert pytest.approx(np.sqrt(np.mean(answers**2)), rel=1e-4) == scores.CHANCE_DEG


def test_margins_are_the_larger_of_a_tenth_and_one_sd():
    margins = {family: known.margin_deg for family, known in scores.PUBLISHED.items()}
    assert margins == {
        "wmonly": 8.9, "wmd": 1.6, "g": 0.42, "sa": 0.674, "rt": 1.26, "it": 0.97, "g_rt": 2, "g_it": 1,
        "mst1": 2.86, "mst2": 2.84,
    }  # fmt: skip


def test_summary_has_kept_and_all_networks_and_what_was_published():
    some = {family: table() for family in ("sa", "rt_sa", "mst1")} | {"g": table((30.0,), (30.0,))}
    some["sa"]["functional"] = [1.0, 0.5, np.nan, np.nan]
    some["sa"]["structural"] = np.nan
    text = scores.summary({"sa": some["sa"]}, ["error_deg", "functional", "structural"])
    assert list(text.index) == [("SA", "kept 3 of 4 [30%, 95%]"), ("SA", "all 4")]
    kept, every = text.iloc[0], text.iloc[1]
    assert kept["error with distractor (°)"] == "6.33 [2.54, 10.1] (6)"
    assert every["error with distractor (°)"].startswith("14.8 [") and "(7)" in every.iloc[0]
    assert kept["functional factor F"].startswith("0.75 [") and kept["structural factor S"] == "–"
    assert kept.iloc[-2:].tolist() == ["6.74 ± 0.1", "30 of 30"]
    assert every.iloc[-2:].tolist() == ["", ""]
    rest = scores.summary({family: some[family] for family in ("rt_sa", "mst1", "g")}, ["error_deg"])
    published = rest["published error with distractor (°)"].tolist()
    assert published == ["", "", "", "28.6", "4.2 ± 0.1", ""]  # of MST: all networks
    assert rest.loc["G", "error with distractor (°)"].tolist() == ["–", "30 (30)"]


def test_error_history_reads_the_saved_curves(roots):
    for k, steps in enumerate(([50, 100], [50, 100], [50])):
        history = {"step": steps, "error_deg": [90.0 - k, 10.0 + k][: len(steps)]}
        store.save_network(store.Network("ring", f"sa-0{k}", {}, {"w": np.zeros(2)}, history))
    steps, error_deg = scores.error_history("sa", 2)
    assert steps.tolist() == [50, 100] and error_deg.tolist() == [[90, 10], [89, 11]]
    with pytest.raises(ValueError, match="different updates"):
        scores.error_history("sa")


@pytest.mark.parametrize(
    "shift, resultant, flatness",
    [
        (lambda m: 0 * m + 40, 1, 0),  # all shifts alike: the circle turns
        (lambda m: -2 * m, 0, None),  # mirrored: the order is reversed
        (lambda m: np.where(np.arange(len(m)) % 2, -2 * m, 0 * m), 0.5, 1),  # half and half: a line
    ],
)
def test_shift_image_of_known_shifts(shift, resultant, flatness):
    memory = np.arange(50) * 7.2
    shifts = torch.tensor(np.concatenate([shift(memory), np.zeros(50)]))[None]
    image = scores.shift_image(ensemble("g_rt", shift_deg=shifts))
    np.testing.assert_allclose(image.resultant, resultant, atol=1e-6)
    if flatness is None:
        assert image.flatness > 1e3
    else:
        np.testing.assert_allclose(image.flatness, flatness, atol=1e-4)


def test_shift_image_is_the_drive_of_the_network():
    config = ring.config("g_rt")
    fixed = design(config, ["3"])
    weights = build(config, initial(config, ["3"]), fixed).dense()[0, :50, 50:].double()
    memory = np.exp(1j * np.deg2rad(fixed.preference_deg[0, :50].double().numpy()))
    push = memory @ weights.numpy()  # what each gate adds to the memory, complex (gate,)
    axes = np.abs(push).max(), np.abs(push).min()
    image = scores.shift_image(ensemble("g_rt", ("3",)))
    ratio = (1 - image.flatness[0]) / (1 + image.flatness[0])
    np.testing.assert_allclose(axes[1] / axes[0], ratio, rtol=0.03)


@pytest.mark.parametrize("family", ["sa", "wmd"])
def test_shift_image_needs_shifts(family):
    with pytest.raises(ValueError, match="no fixed input shifts"):
        scores.shift_image(ensemble(family))


def test_trial_is_the_simulated_trial():
    network = attractor()
    trial = trial_of(network, delays=ring.Delays(12, 40, 130))
    batch = ring.task_of(network.config).batch(np.array([[[90.0, 240.0]]]), ring.Delays(12, 40, 130))
    rates = ring.simulate(network.weights, batch)[0, 0].numpy()
    np.testing.assert_allclose(np.sort(trial.rates, axis=1), np.sort(rates, axis=1))
    np.testing.assert_allclose(trial.target, (1, 0), atol=1e-6)
    assert trial.inputs.shape == (252, 101) and trial.outputs.shape == (252, 2)
    assert trial.span_ms("target") == (0, 100) and trial.limits_ms == (-120, 2400)
    assert trial.span_ms("distractor") == (500, 600) and trial.span_ms("go") == (1400, 2400)


def test_trial_noise_follows_its_seed():
    network = attractor()
    silent, again, other = (trial_of(network, noise=n, seed=s).rates for n, s in ((0, 0), (0.1, 0), (0.1, 1)))
    assert (silent >= 0).all() and (again < 0).any() and not np.array_equal(again, other)
    np.testing.assert_array_equal(again, trial_of(network, noise=0.1).rates)


def test_trial_sorts_others_before_ring_units_and_each_by_preference():
    trial = trial_of(gated(), (90, 180))
    assert trial.rates.shape == (265, 100) and trial.ring.sum() == 50 and not trial.ring[:50].any()
    assert (np.diff(trial.preferred_deg[:50]) >= 0).all() and (np.diff(trial.preferred_deg[50:]) >= 0).all()
    strongest = trial.preferred_deg[50:][trial.rates[-1, 50:].argmax()]
    assert abs(strongest - 90) < 15  # gates keep the distractor out


def test_untuned_units_come_first():
    recording = record(gated(), directions=8)
    recording.rates["cue"][0, :, [60, 70]] = 0.3  # two gates that respond to all directions alike
    order, _, ring_unit = unit_order(recording)
    assert set(order[:2]) == {60, 70} and not ring_unit[[60, 70]].any()


def test_trial_refuses():
    recording = record(attractor(), directions=8)
    with pytest.raises(ValueError, match="one network, got 2"):
        run_trial(ensemble("sa", ("0", "1")), recording, (0, 90))
    with pytest.raises(ValueError, match="noise must be 0 or more"):
        run_trial(attractor(), recording, (0, 90), noise=-1)


def test_timeline_has_the_delays_and_their_ranges(ax):
    plots.draw_timeline(ax, ring.Task())
    bars = sorted((bar.get_y(), bar.get_x(), bar.get_width()) for bar in ax.patches)
    spans = [(x, width) for _, x, width in bars]
    assert spans == [(1300, 1400), (1500, 1000), (200, 900), (600, 100), (0, 100), (0, 100)]
    text = [each.get_text() for each in ax.texts]
    assert {"fixation 100–200", "onset 100–900", "delay 1200–1600"} <= set(text)


def test_input_tuning_and_nonlinearity(ax):
    plots.draw_input_tuning(ax)
    assert len(ax.lines) == 11
    x, y = ax.lines[-1].get_data()
    assert x[np.argmax(y)] == 180 and y.max() == 1
    np.testing.assert_allclose(y, ((1 + np.cos(np.deg2rad(x - 180))) / 2) ** 4)
    other = plt.figure().add_subplot()
    plots.draw_nonlinearity(other)
    a, rate = other.lines[0].get_data()
    np.testing.assert_allclose(rate, np.maximum(np.tanh(a), 0))


def test_trial_panels_show_the_trial():
    trial = trial_of(attractor(), noise=0.1)
    axes = plt.figure(layout="constrained").subplots(3)
    plots.draw_trial(axes, trial)
    np.testing.assert_array_equal(axes[0].images[0].get_array(), trial.inputs[:, :-1].T)
    np.testing.assert_array_equal(axes[1].images[0].get_array(), trial.rates.T)
    assert tuple(axes[0].images[0].get_extent()) == (-150, 2500, 0, 360)
    times, sine = axes[2].lines[0].get_data()
    assert (times[0], times[-1]) == (-150, 2490)
    np.testing.assert_array_equal(sine, trial.outputs[:, 0])
    assert axes[2].lines[1].get_ydata()[0] == trial.target[0]
    assert (axes[2].patches[0].get_x(), axes[2].patches[0].get_width()) == (1500, 1000)


def test_rate_map_shows_rates_bands_and_directions(ax):
    trial = trial_of(gated(), (90, 180))
    image = plots.draw_rates(ax, trial)
    plots.label_events(ax, trial)
    np.testing.assert_array_equal(image.get_array(), trial.rates.T)
    assert image.get_clim() == (0, 1) and image.get_extent() == [-150, 2500, 100, 0]
    bands = [(band.get_x(), band.get_x() + band.get_width()) for band in ax.patches]
    assert bands == [(0, 100), (600, 700)]
    assert [text.get_text() for text in ax.texts] == ["target", "distractor", "go cue"]
    assert [tuple(line.get_xdata()) for line in ax.lines[-3:]] == [(0, 100), (600, 700), (1500, 2500)]
    rows = [line.get_ydata()[0] for line in ax.lines if line.get_marker() == "<"]
    np.testing.assert_allclose(trial.preferred_deg[np.int_(rows)], (90, 180), atol=8)
    border = [line.get_ydata()[0] for line in ax.lines if line.get_color() == "black"]
    assert border == [50]


def test_rate_map_of_ring_units_alone_has_no_border(ax):
    trial = trial_of(attractor())
    plots.draw_rates(ax, trial._replace(ring=np.ones(100, dtype=bool)))
    assert all(line.get_color() != "black" for line in ax.lines)


def test_training_curves_and_their_median(ax):
    curves = np.array([[100.0, 50, 5], [90, 40, 4], [80, 10, 3]])
    error_plots.draw_training(ax, {"wmd": (np.array([50, 100, 150]), curves)})
    for line, curve in zip(ax.lines, [*curves, np.median(curves, axis=0)], strict=False):
        np.testing.assert_array_equal(line.get_ydata(), curve)
    levels = {line.get_ydata()[0] for line in ax.lines[4:]}
    assert levels == {scores.CHANCE_DEG, ring.KEPT_BELOW_DEG} and ax.get_yscale() == "log"


def test_strips_draw_every_network_means_and_published(ax):
    own = {"sa": table(), "wmonly": table((40.0, 50.0), (4.0, 5.0)), "rt_sa": table((9.0,), (9.0,))}
    error_plots.draw_strips(ax, own)
    points = drawn_points(ax)
    assert sorted(points[np.rint(points[:, 0]) == 0, 1]) == [5, 6, 8, 40]
    heights = {round(float(line.get_ydata()[0]), 6) for line in ax.lines}
    assert {7.0, round(19 / 3, 6), 6.74, 41.6, 45.0} <= heights  # median, mean of kept, published, WM-only
    whiskers = [c.get_segments()[0][:, 1].tolist() for c in ax.collections if not hasattr(c, "get_sizes")]
    assert pytest.approx(mean_interval([5, 6, 8])) in whiskers and pytest.approx((6.64, 6.84)) in whiskers
    assert [label.get_text() for label in ax.get_xticklabels()] == ["SA", "WM-only", "R/T+SA"]


def test_hollow_markers_are_the_dropped_networks(ax):
    error_plots.draw_distractor_cost(ax, {"sa": table()})
    filled, hollow = (each for each in ax.collections if hasattr(each, "get_sizes"))
    assert np.asarray(filled.get_offsets()).tolist() == [[4, 5], [5, 6], [6, 8]]
    assert np.asarray(hollow.get_offsets()).tolist() == [[30, 40]] and not len(hollow.get_facecolor())
    assert matplotlib.colors.to_hex(filled.get_facecolor()[0]) == COLORS["sa"].lower()


def test_errors_join_both_conditions_of_each_network(ax):
    error_plots.draw_errors(ax, "sa", table(), place=2)
    joined = [line.get_xydata().tolist() for line in ax.lines if len(line.get_xdata()) == 2]
    assert sorted(joined) == [[[2, a], [3, b]] for a, b in ((4, 5), (5, 6), (6, 8), (30, 40))]
    means = [line.get_ydata()[0] for line in ax.lines if len(line.get_xdata()) == 1]
    assert means == pytest.approx([5, 19 / 3])  # of the kept ones


def test_kept_shares(ax):
    error_plots.draw_kept(ax, {"sa": table(), "rt_sa": table()})
    assert [line.get_ydata()[0] for line in ax.lines] == [75, 100, 75]  # ours, published, ours
    interval = ax.collections[0].get_segments()[0][:, 1] / 100
    np.testing.assert_allclose(interval, wilson_interval(3, 4))
    assert [text.get_text() for text in ax.texts] == ["3/4", "3/4"]


def test_shift_scatter(ax):
    x, correlation = np.array([0.1, 0.2, 0.3, 0.9]), Estimate(0.8, (0.6, 0.9), (0.5, 0.95), 4)
    error_plots.draw_shift_scatter(ax, "g_rt", table(), x, correlation=correlation)
    error_plots.draw_shift_scatter(ax, "g_rt", table(), x)
    np.testing.assert_array_equal(np.sort(drawn_points(ax)[:4, 1]), [5, 6, 8, 40])
    assert "0.80 [0.50, 0.95]" in ax.get_legend().get_texts()[0].get_text()
    assert sum(line.get_ydata()[0] == scores.CHANCE_DEG for line in ax.lines if len(line.get_ydata())) == 1


def test_no_mean_of_fewer_than_two_networks(ax):
    error_plots.draw_strips(ax, {"g": table((30.0, 5.0), (30.0, 5.0)), "sa": table((30.0,), (30.0,))})
    assert all(line.get_color() != "black" for line in ax.lines)
