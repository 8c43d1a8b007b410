"""Panels on task and errors: the numbers drawn are those given; scores follow the published rules."""

import matplotlib
import matplotlib.pyplot as plt
import numpy as np
import pytest
import torch
from scipy import stats

from wm import ring, store
from wm.estimate import Estimate, mean_interval
from wm.ring import error_plots, plots, scores
from wm.ring.construction import build, design, initial
from wm.style import COLORS


@pytest.fixture(autouse=True)
def closed():
    with matplotlib.rc_context():
        yield
    plt.close("all")


@pytest.fixture
def ax():
    return plt.figure().add_subplot()


def ensemble(family="sa", seeds=("0",), errors=(5.0,), without=(4.0,), shift_deg=None, **changes):
    """An untrained ensemble with given scores."""
    config = ring.config(family, **changes)
    fixed = None if ring.FAMILIES[family].trained_fully else design(config, seeds, shift_deg=shift_deg)
    records = [
        {"scores": {"error_deg": e, "error_median_deg": e, "error_no_distractor_deg": w}}
        for e, w in zip(errors, without, strict=True)
    ]
    names = [f"{family}-{seed:0>2}" for seed in seeds]
    return ring.Ensemble(config, names, list(seeds), initial(config, seeds), fixed, records)


def score(family="sa", errors=(5.0, 6.0, 8.0, 40.0), without=(4.0, 5.0, 6.0, 30.0)):
    return scores.family_scores(ensemble(family, [str(k) for k in range(len(errors))], errors, without))


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


def test_selection_is_on_the_task_that_was_trained():
    assert score("sa", (15.0, 15.1), (40.0, 4.0)).kept.tolist() == [True, False]
    assert score("wmonly", (15.0, 50.0), (40.0, 15.0)).kept.tolist() == [False, True]
    assert score("wmonly", (15.0, 50.0), (40.0, 15.0)).kept_error_deg.tolist() == [50.0]


def test_wilson():
    share, z, n = 26 / 30, stats.norm.ppf(0.975), 30
    centre, reach = share + z**2 / 2 / n, z * np.sqrt(share * (1 - share) / n + z**2 / 4 / n**2)
    expected = (np.array([centre - reach, centre + reach])) / (1 + z**2 / n)
    np.testing.assert_allclose(scores.wilson(26, 30), expected)
    with pytest.raises(ValueError, match="must not be greater"):
        scores.wilson(3, 2)


def test_summary_table_has_our_and_published_numbers():
    table = scores.summary_table(
        {f: score(f) for f in ("sa", "rt_sa", "mst1")} | {"g": score("g", (30.0,), (30.0,))}
    )
    assert table.loc["SA", "kept [95 %]"].startswith("3 (75%)")
    assert table.loc["SA", "published, deg"] == "6.74 ± 0.1"
    assert table.loc["SA", "mean of kept, deg [95 %]"].startswith("6.33 [")
    assert table.loc["SA", "mean of all, deg"] == "14.8" and table.loc["SA", "median of all, deg"] == "7"
    assert (
        table.loc["R/T+SA", "published kept"] == "–"
        and table.loc["MST1-like", "published, deg"] == "28.6 (all)"
    )
    assert table.loc["G", "mean of kept, deg [95 %]"] == "none kept"


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


def test_rank_correlation_is_spearman():
    x, y = np.array([1.0, 2, 3, 4, 5, 6, 7]), np.array([1.0, 3, 2, 2, 9, 8, 20])
    assert scores.rank_correlation(x, y).ours == pytest.approx(stats.spearmanr(x, y)[0])


def test_example_trial_is_the_simulated_trial():
    sa = ensemble("sa")
    trial = plots.example_trial(sa, (90, 240), noise=0)
    batch = ring.task_of(sa.config).batch(np.array([[[90.0, 240.0]]]))
    rates = ring.simulate(sa.weights, batch)
    np.testing.assert_allclose(np.sort(trial.rates, axis=1), np.sort(rates[0, 0].numpy(), axis=1))
    np.testing.assert_allclose(trial.target, (1, 0), atol=1e-6)
    assert (
        trial.marks_ms["target"] == 150 and trial.marks_ms["go"] == 1650 and trial.rates.shape == (265, 100)
    )
    again, other = (plots.example_trial(sa, (90, 240), seed=seed) for seed in (0, 1))
    np.testing.assert_array_equal(again.rates, plots.example_trial(sa, (90, 240), seed=0).rates)
    assert not np.array_equal(again.rates, other.rates)


def test_example_trial_sorts_memory_units_by_preference():
    sa = ensemble("sa")
    sa.parameters["scalars"][:] = torch.tensor([0.0748, 0.486, -0.297])  # of a trained network
    trial = plots.example_trial(sa, (180, 0), noise=0)
    assert trial.memory == 100  # all units of a ring attractor hold the memory
    assert abs(np.average(np.arange(100), weights=trial.rates[160]) - 49.5) < 2


def test_example_trial_refuses():
    with pytest.raises(ValueError, match="one network, got 2"):
        plots.example_trial(ensemble("sa", ("0", "1"), (5, 5), (5, 5)), (0, 90))
    with pytest.raises(ValueError, match="noise must be 0 or more"):
        plots.example_trial(ensemble("sa"), (0, 90), noise=-1)


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
    trial = plots.example_trial(ensemble("sa"), (90, 240))
    axes = plt.figure(layout="constrained").subplots(3)
    plots.draw_trial(axes, trial)
    np.testing.assert_array_equal(axes[0].images[0].get_array(), trial.inputs[:, :-1].T)
    np.testing.assert_array_equal(axes[1].images[0].get_array(), trial.rates.T)
    assert tuple(axes[0].images[0].get_extent()) == (0, 2650, 0, 360)
    np.testing.assert_array_equal(axes[2].lines[0].get_ydata(), trial.outputs[:, 0])
    assert axes[2].lines[1].get_ydata()[0] == trial.target[0]
    assert (axes[2].patches[0].get_x(), axes[2].patches[0].get_width()) == (1650, 1000)


def test_training_curves_and_their_median(ax):
    curves = np.array([[100.0, 50, 5], [90, 40, 4], [80, 10, 3]])
    plots.draw_training(ax, {"wmd": (np.array([50, 100, 150]), curves)})
    for line, curve in zip(ax.lines, [*curves, np.median(curves, axis=0)], strict=False):
        np.testing.assert_array_equal(line.get_ydata(), curve)
    levels = {line.get_ydata()[0] for line in ax.lines[4:]}
    assert levels == {scores.CHANCE_DEG, ring.KEPT_BELOW_DEG} and ax.get_yscale() == "log"


def test_strips_draw_every_network_means_and_published(ax):
    own = {
        "sa": score("sa"),
        "wmonly": score("wmonly", (40.0, 50.0), (4.0, 5.0)),
        "rt_sa": score("rt_sa", (9.0,), (9.0,)),
    }
    error_plots.draw_strips(ax, own)
    points = drawn_points(ax)
    assert sorted(points[np.rint(points[:, 0]) == 0, 1]) == [5, 6, 8, 40]
    heights = {round(float(line.get_ydata()[0]), 6) for line in ax.lines}
    assert {7.0, round(19 / 3, 6), 6.74, 41.6, 45.0} <= heights  # median, mean of kept, published, WM-only
    whiskers = [c.get_segments()[0][:, 1].tolist() for c in ax.collections if not hasattr(c, "get_sizes")]
    assert pytest.approx(mean_interval([5, 6, 8])) in whiskers and pytest.approx((6.64, 6.84)) in whiskers
    assert [label.get_text() for label in ax.get_xticklabels()] == ["SA", "WM-only", "R/T+SA"]


def test_hollow_markers_are_the_dropped_networks(ax):
    error_plots.draw_distractor_cost(ax, {"sa": score("sa")})
    filled, hollow = (each for each in ax.collections if hasattr(each, "get_sizes"))
    assert np.asarray(filled.get_offsets()).tolist() == [[4, 5], [5, 6], [6, 8]]
    assert np.asarray(hollow.get_offsets()).tolist() == [[30, 40]] and not len(hollow.get_facecolor())
    assert matplotlib.colors.to_hex(filled.get_facecolor()[0]) == COLORS["sa"].lower()


def test_kept_shares(ax):
    error_plots.draw_kept(ax, {"sa": score("sa"), "rt_sa": score("rt_sa")})
    assert [line.get_ydata()[0] for line in ax.lines] == [75, 100, 75]  # ours, published, ours
    interval = ax.collections[0].get_segments()[0][:, 1] / 100
    np.testing.assert_allclose(interval, scores.wilson(3, 4))
    assert [text.get_text() for text in ax.texts] == ["3/4", "3/4"]


def test_shift_scatter(ax):
    x = np.array([0.1, 0.2, 0.3, 0.9])
    own = score("g_rt")
    error_plots.draw_shift_scatter(ax, x, own, Estimate(0.8, (0.6, 0.9), (0.5, 0.95), 4))
    error_plots.draw_shift_scatter(ax, x, own)
    np.testing.assert_array_equal(np.sort(drawn_points(ax)[:4, 1]), [5, 6, 8, 40])
    assert "0.80 [0.50, 0.95]" in ax.get_legend().get_texts()[0].get_text()
    assert sum(line.get_ydata()[0] == scores.CHANCE_DEG for line in ax.lines if len(line.get_ydata())) == 1


def test_no_mean_without_networks(ax):
    error_plots.draw_strips(ax, {"g": score("g", (30.0, 40.0), (30.0, 40.0))})
    assert all(line.get_color() != "black" for line in ax.lines)
