"""Noise correlations: classes on a known geometry, planted bumps with known signs, plain loops, the table."""

import matplotlib.pyplot as plt
import numpy as np
import pandas as pd
import pytest
import torch
from matplotlib.collections import LineCollection

from wm import paths, ring, store, style
from wm.ring import correlation_plots
from wm.ring import correlations as noise
from wm.ring.library import Ensemble, to_network
from wm.ring.tuning import preferred_direction, record, ring_units, wrap

TARGETS = np.array(noise.TARGETS_DEG)
SA = (0.0748, 0.486, -0.297)


def network(units=40, seeds=("0",)):
    config = ring.config("sa", units=units)
    scalars = torch.tensor([SA] * len(seeds))
    scalars[:, :-1] *= 100 / units  # weights, not the bias
    parameters = {"scalars": scalars, "readout": torch.zeros(len(seeds), 2, units)}
    names = [f"sa-0{seed}" for seed in seeds]
    records = [{"config": vars(config), "seed": seed, "scores": {}} for seed in seeds]
    return Ensemble(config, names, list(seeds), parameters, ring.design(config, list(seeds)), records)


def jittered(preferred, f, repeats=400, seed=0):
    """Rates f(angle, place, size) with a place and a size of the bump drawn anew in each repeat."""
    generator = np.random.default_rng(seed)
    place, size = generator.normal(size=(2, len(TARGETS), repeats, 1))
    return f(np.deg2rad(TARGETS[:, None, None] - preferred), place, size)


# --- classes


@pytest.mark.parametrize(
    ("stimulus", "first", "second", "name"),
    [
        (0, -40, 40, "in_flank"),
        (0, 320, 40, "in_flank"),  # the same, written around 0
        (180, 140, 220, "in_flank"),
        (180, 140, -140, "in_flank"),  # the same, around 180
        (0, 140, 220, "out_flanks"),  # sorted in [-180, 180) they lie 280 apart: released code says in-flank
        (0, -170, 170, "out_flanks"),
        (180, -40, 40, "out_flanks"),  # between them, but on the longer arc
        (350, 340, 20, "in_flank"),
        (30, 340, 20, "out_flanks"),
        (0, 50, 100, "out_flanks"),
        (0, 5, 100, "peaks"),
        (0, 7.5, 100, "peaks"),
        (0, 7.6, 100, "out_flanks"),
        (0, 352.5, 100, "peaks"),
        (0, 100, 355, "peaks"),
        (0, -90, 90, "out_flanks"),  # opposite: no arc is the shorter one
        (0, -89, 90, "in_flank"),
    ],
)
def test_flank_on_known_geometry(stimulus, first, second, name):
    turned = np.array([0.0, 72.0, 180.0, 300.0, -720.0])  # a class does not depend on where zero is
    for a, b in ((first, second), (second, first)):
        found = noise.flank(stimulus + turned, a + turned, b + turned)
        assert [noise.CLASSES[k] for k in found] == [name] * 5


def test_flank_is_on_the_arc_that_a_walk_of_single_degrees_finds():
    generator = np.random.default_rng(0)
    for stimulus, a, b in generator.integers(0, 360, (300, 3)):
        ahead, back = (b - a) % 360, (a - b) % 360
        step = 1 if ahead < back else -1
        arc = {(a + step * k) % 360 for k in range(min(ahead, back))}
        close = min(abs(wrap(stimulus - a)), abs(wrap(stimulus - b))) <= 7.5
        wanted = 1 if close else 0 if stimulus in arc and ahead != back else 2
        assert noise.flank(stimulus, a, b) == wanted


# --- correlations


def test_correlations_are_those_of_numpy_and_nan_without_variance():
    rates = np.random.default_rng(0).normal(size=(2, 3, 50, 6)) @ np.random.default_rng(1).normal(size=(6, 6))
    found = noise.correlations(rates)
    assert found.shape == (2, 3, 6, 6)
    for k in np.ndindex(2, 3):
        assert np.allclose(found[k], np.corrcoef(rates[k].T))
    rates[0, 0, :, 2] = 0.1
    assert np.isnan(noise.correlations(rates)[0, 0, 2]).all()
    with pytest.raises(ValueError, match="three repeats or more"):
        noise.correlations(rates[:, :, :2])


@pytest.fixture(scope="module")
def mixed():
    """Irregular preferences around the circle, and rates with all kinds of variation."""
    preferred = np.random.default_rng(3).uniform(0, 360, 24)
    rates = noise.planted_rates(preferred, repeats=60, position_sd_deg=20, amplitude_sd=0.2, noise=0.2)
    return preferred, rates


def test_class_means_are_those_of_a_plain_loop(mixed):
    preferred, rates = mixed
    values = {name: [] for name in noise.CLASSES}
    for d, stimulus in enumerate(TARGETS):
        for i in range(24):
            for j in range(i):
                a, b = wrap(preferred[i] - stimulus), wrap(preferred[j] - stimulus)
                r = np.corrcoef(rates[d, :, i], rates[d, :, j])[0, 1]
                if min(abs(a), abs(b)) <= 7.5:
                    values["peaks"].append(r)
                elif a * b < 0 and abs(a) + abs(b) == pytest.approx(abs(wrap(a - b))):
                    values["in_flank"].append(r)
                else:
                    values["out_flanks"].append(r)
    found = noise.class_means(noise.correlations(rates), preferred, TARGETS)
    assert np.allclose(found, [np.mean(values[name]) for name in noise.CLASSES])


def test_map_is_that_of_a_plain_loop(mixed):
    preferred, rates = mixed
    r = noise.correlations(rates)
    cells = {}
    for d, stimulus in enumerate(TARGETS):
        for i in range(24):
            for j in range(i):
                apart = wrap(preferred[j] - preferred[i])
                offset = abs(wrap(stimulus - (preferred[i] + apart / 2)))
                cells.setdefault((int(offset // 15), int(abs(apart) // 15)), []).append(r[d, i, j])
    found = noise.correlation_map(r, preferred, TARGETS)
    assert found.shape == (12, 12) and np.isfinite(found).sum() == len(cells)
    for cell, own in cells.items():
        assert found[cell] == pytest.approx(np.mean(own))


def test_released_errors_give_units_the_preferences_of_others():
    preferred = np.array([10.0, 200.0, 100.0, 300.0])  # sorted in [-180, 180): -160, -60, 10, 100
    r = np.arange(16.0).reshape(1, 4, 4)
    found = noise.released_means(r, preferred, np.array([0.0]), np.arange(4))
    # units 0 and 3 count as -160 and 100, more than 180 apart: in-flank; 0 and 2 as -160 and 10, around 0
    inside, outside = [r[0, 0, 2], r[0, 0, 3], r[0, 1, 2], r[0, 1, 3]], [r[0, 0, 1], r[0, 2, 3]]
    assert found[0] == np.mean(inside) and np.isnan(found[1]) and found[2] == np.mean(outside)
    with pytest.raises(ValueError, match="unit 7 is beyond the list of 4 ring units"):
        noise.released_means(r, preferred, np.array([0.0]), np.array([0, 1, 2, 7]))


# --- planted bumps, with known signs


def test_a_bump_that_moves_correlates_by_the_side_of_the_stimulus():
    """h = f(stimulus + place - preference): for small moves r = sign(f'(i) f'(j)), +1 or -1."""
    preferred = np.arange(3, 360, 11.0)  # none at a peak or an antipode, where the slope is 0
    rates = jittered(preferred, lambda angle, place, _: np.cos(angle + 1e-4 * place))
    r = noise.correlations(rates)
    slope = np.sin(np.deg2rad(TARGETS[:, None] - preferred))
    assert np.allclose(r, np.sign(slope[:, :, None] * slope[:, None]), atol=1e-4)
    inside = noise.flank(TARGETS[:, None, None], preferred[:, None], preferred) == 0
    assert np.allclose(r[inside], -1, atol=1e-4)


def test_a_moving_bump_raises_correlations_from_in_flank_over_peaks_to_out_flanks():
    preferred = np.arange(0, 360, 7.2)
    for irregular in (preferred, np.sort(np.random.default_rng(0).uniform(0, 360, 50))):
        r = noise.correlations(noise.planted_rates(irregular, position_sd_deg=8, noise=0.1))
        for means in (noise.class_means, noise.matched_means):
            inside, peaks, outside = means(r, irregular, TARGETS)
            assert inside < peaks - 0.05 and peaks < outside - 0.02


def test_a_bump_that_grows_and_shrinks_gives_the_opposite_order():
    preferred = np.arange(0, 360, 7.2)
    grown = noise.planted_rates(preferred, amplitude_sd=0.3, noise=0.1)
    inside, _, outside = noise.matched_means(noise.correlations(grown), preferred, TARGETS)
    assert inside > outside + 0.1  # both units of a pair in-flank are active, if they are not far apart
    whole = jittered(preferred, lambda angle, _, size: (1 + 0.1 * size) * np.cos(angle))
    r = noise.correlations(whole)
    c = np.cos(np.deg2rad(TARGETS[:, None] - preferred))
    sign = np.sign(c[:, :, None] * c[:, None])
    active = np.abs(c) > 1e-6
    both = active[:, :, None] & active[:, None]
    assert np.allclose(r[both], sign[both])


@pytest.mark.parametrize("bump_size", [0, 1])
def test_independent_noise_is_flat(bump_size):
    preferred = np.arange(0, 360, 7.2)
    rates = bump_size * noise.planted_rates(preferred, repeats=500) + noise.planted_rates(
        preferred, repeats=500, noise=0.3, seed=1
    )
    r = noise.correlations(rates)
    for means in (noise.class_means, noise.matched_means):
        assert np.abs(means(r, preferred, TARGETS)).max() < 0.02


PREFERENCES = {
    "50": np.arange(0, 360, 7.2),
    "100": np.arange(0, 360, 3.6),
    "irregular": np.sort(np.random.default_rng(0).uniform(0, 360, 60)),
}


@pytest.mark.parametrize("name", PREFERENCES)
def test_matching_takes_away_what_depends_on_the_difference_of_preferences_alone(name):
    """Exact r, without sampling, of a bump that is everywhere alike, and of two other functions."""
    preferred = PREFERENCES[name]
    apart = np.abs(wrap(preferred[:, None] - preferred))
    everywhere = np.maximum(np.cos(np.deg2rad(np.arange(0, 360, 0.5)[:, None] - preferred)), 0)
    for r in (np.corrcoef(everywhere.T), np.cos(np.deg2rad(apart)), 1 - apart / 90):
        r = np.tile(r, (4, 1, 1))
        plain, matched = (f(r, preferred, TARGETS) for f in (noise.class_means, noise.matched_means))
        assert plain[2] - plain[0] > 0.3  # an order without any influence of the target
        assert np.ptp(matched) < 0.005
    few = noise.matched_means(r[:, :2, :2], preferred[:2], TARGETS)
    assert np.isnan(few).all()  # one pair holds no difference with all three classes


def test_planted_bumps_at_random_places_have_the_plain_order_and_no_matched_one():
    preferred = PREFERENCES["50"]
    found = noise.planted_means(preferred, 12, repeats=250, position_sd_deg=noise.ANYWHERE_DEG, noise=0.1)
    assert found.shape == (12, 6)
    assert (found.out_flanks - found.in_flank > 0.3).all()
    matched = found.out_flanks_matched - found.in_flank_matched
    assert abs(matched.mean()) < 2.5 * matched.std() / np.sqrt(12) and matched.std() < 0.03
    rates = noise.planted_rates(preferred, repeats=250, position_sd_deg=1e4, noise=0.1, seed=3)
    r = noise.correlations(rates)
    means = (noise.class_means(r, preferred, TARGETS), noise.matched_means(r, preferred, TARGETS))
    assert np.array_equal(found.iloc[3], np.concatenate(means))
    place = noise.bump(rates, preferred)[0]
    assert np.abs(np.exp(1j * np.deg2rad(place)).mean(axis=1)).max() < 0.15  # the same chance everywhere


def test_planted_bump_has_the_place_and_size_it_was_given():
    preferred = np.arange(0, 360, 7.2)
    place, size = noise.bump(noise.planted_rates(preferred, repeats=2000, position_sd_deg=12), preferred)
    assert np.allclose(wrap(place - TARGETS[:, None]).std(axis=1), 12, rtol=0.06)
    assert np.allclose(size, size.mean(), rtol=1e-2)
    _, size = noise.bump(noise.planted_rates(preferred, repeats=2000, amplitude_sd=0.1), preferred)
    assert np.allclose(size.std(axis=1) / size.mean(axis=1), 0.1, rtol=0.06)
    both = noise.planted_rates(preferred, repeats=2000, position_sd_deg=12, amplitude_sd=0.1)
    assert np.allclose(noise.bump_variation(both, preferred, TARGETS), (12, 0.1), rtol=0.06)
    assert np.isnan(noise.bump_variation(both[..., :0], preferred[:0], TARGETS)).all()


def test_panels_draw_what_they_are_given(mixed):
    preferred, rates = mixed
    fig, axes = style.figure(10, 10, "ab;cd")
    image = correlation_plots.draw_repeats(axes["a"], rates[0], preferred, 0.0)
    drawn = np.asarray(image.get_array())
    assert sorted(drawn.sum(axis=1)) == pytest.approx(sorted(rates[0].sum(axis=1)))
    assert (np.diff(axes["a"].lines[0].get_xdata()) >= 0).all()  # repeats are sorted by the place of the bump
    means = noise.correlation_map(noise.correlations(rates), preferred, TARGETS)
    image = correlation_plots.draw_map(axes["b"], means, limit=0.5)
    assert np.allclose(np.ma.filled(image.get_array(), np.nan), means, equal_nan=True)
    table = pd.DataFrame(
        {"in_flank": [-3.0, -1, -2], "peaks": 0.0, "out_flanks": 2.0, "kept": [True, True, False]}
    )
    correlation_plots.draw_classes(axes["c"], table, noise.CLASSES, family="g_it", published=True)
    assert axes["c"].lines[0].get_ydata().tolist() == [-2, 0, 2]  # the one that is not kept comes first
    correlation_plots.draw_contrast(axes["d"], {"g_it": table}, noise.CLASSES)
    assert axes["d"].collections[0].get_offsets()[:, 1].tolist() == [5, 3]
    plt.close(fig)


def test_contrast_has_no_interval_for_few_networks_and_a_floor_from_its_control():
    rows = pd.DataFrame({"in_flank": np.arange(-6.0, 0), "peaks": 0.0, "out_flanks": 1.0, "kept": True})
    tables = {"g_it": rows, "mst2": rows[:2], "mst1": rows.assign(kept=False)}
    fig, axes = style.figure(8, 6, "a")
    ax = axes["a"]
    correlation_plots.draw_contrast(ax, tables, noise.CLASSES, rows[:3] / 10)
    assert [text.get_text() for text in ax.texts if "=" in text.get_text()] == ["n = 2"]
    hollow = [line for line in ax.lines if line.get_markerfacecolor() == "none"]
    assert [line.get_ydata()[0] for line in hollow] == [6.5]
    intervals = [c for c in ax.collections if isinstance(c, LineCollection)]
    assert len(intervals) == 2  # of g_it and of the control
    floor = [line for line in ax.lines if line.get_linestyle() == ":"]
    assert floor[0].get_ydata() == pytest.approx([0.6, 0.6])
    assert [label.get_text() for label in ax.get_xticklabels()][-1] == "planted, no target"
    plt.close(fig)


# --- simulation and table


def test_repeat_rates_are_window_means_of_the_plain_simulation(own_randomness):
    e = network(seeds=("0", "1"))
    found = noise.repeat_rates(e, targets_deg=(30.0, 200.0), repeats=3, noise=0)
    batch = ring.task_of(e.config, distractor_probability=0.0).batch(np.array([[[30, 0], [200, 0]]] * 2))
    rates = ring.simulate(e.weights, batch).numpy()
    for name, (first, stop) in {"fixation": (0, 15), "delay": (45, 75)}.items():
        assert found[name].shape == (2, 2, 3, 40)
        assert np.allclose(found[name], rates[:, :, None, first:stop].mean(axis=3), atol=1e-6)
    with pytest.raises(ValueError, match="noise must be 0 or more and repeats 1 or more, got -1 and 3"):
        noise.repeat_rates(e, noise=-1, repeats=3)


def test_noise_is_a_network_s_own():
    both, one = network(seeds=("0", "1")), network(seeds=("1",))
    found, alone = (noise.repeat_rates(e, repeats=5)["delay"] for e in (both, one))
    assert np.allclose(found[1], alone[0], atol=1e-6)
    assert not np.allclose(found[0], found[1])


def test_the_table_holds_what_the_functions_give(roots):
    e = network(seeds=("0", "1", "2"))
    for k in range(3):
        store.save_network(to_network(e, k, {}))
    noise.measure(repeats=20, networks=2)
    with pytest.raises(store.DamagedFile, match=r"networks\.csv"):
        noise.table()
    errors = {"error_deg": 5.0, "error_no_distractor_deg": 4.0, "kept": [True, False]}
    scored = pd.DataFrame({"network": ["sa-00", "sa-01"]} | errors)
    networks = paths.data_json() / "ring" / "networks.csv"
    store.write_table(networks, scored[:1])
    with pytest.raises(ValueError, match=r"networks\.csv lacks sa-01: measure again"):
        noise.table()
    store.write_table(networks, scored)
    table = noise.table()
    assert table.kept.tolist() == [True] * 4 + [False] * 4 and table.kept.dtype == bool
    assert table.network.tolist() == ["sa-00"] * 4 + ["sa-01"] * 4 and (table.pairs == 780).all()
    own = table.query("network == 'sa-01' and window == 'delay' and noise == 0.5")
    one = ring.load("sa-01")
    recording = record(one)
    mask = ring_units(recording)[0]
    preferred = preferred_direction(recording.rates["delay"], recording.directions_deg)[0, mask]
    rates = noise.repeat_rates(one, repeats=20)["delay"][0][..., mask]
    r = noise.correlations(rates)
    assert np.allclose(own[list(noise.CLASSES)], noise.class_means(r, preferred, TARGETS), atol=2e-5)
    assert np.allclose(own[list(noise.MATCHED)], noise.matched_means(r, preferred, TARGETS), atol=2e-5)
    varied = noise.bump_variation(rates, preferred, TARGETS)
    assert np.allclose(own[["place_sd_deg", "size_cv"]], varied, atol=2e-5, rtol=1e-5)
    released = noise.released_means(r, preferred, TARGETS, np.arange(40))
    assert np.allclose(own[list(noise.RELEASED)], released, atol=2e-5)


def test_networks_without_ring_units_have_no_correlations(roots):
    e = network()
    e.parameters["scalars"] *= 0
    store.save_network(to_network(e, 0, {}))
    found = noise.measure(families=["hdratio"], repeats=5)
    columns = [*noise.CLASSES, *noise.RELEASED, "place_sd_deg", "size_cv"]
    assert (found.pairs == 0).all() and found[columns].isna().all(axis=None)


def test_measure_and_table_refuse(roots):
    with pytest.raises(ValueError, match="no ring network is saved"):
        noise.measure()
    with pytest.raises(ValueError, match="nix"):
        noise.measure(families=["nix"])
    with pytest.raises(store.DamagedFile, match=r"correlations\.csv"):
        noise.table()
