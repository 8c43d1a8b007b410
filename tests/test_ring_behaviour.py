"""Behaviour with near and far distractors: planted answers, plain loops, constructed networks, the table."""

import matplotlib.pyplot as plt
import numpy as np
import pandas as pd
import pytest
import torch

from wm import paths, ring, store, style
from wm.ring import behaviour, behaviour_plots
from wm.ring.behaviour import Classes, Trials
from wm.ring.library import Ensemble, to_network
from wm.ring.task import Delays
from wm.ring.tuning import wrap

TRAINED = {"sa": (0.0748, 0.486, -0.297), "g": (0.39, -0.1, -0.12)}


def network(family="sa", seeds=("0",), units=40, readout=None):
    """A hand-designed network; `readout` maps preferred directions (rad) to the two rows of the read-out."""
    config = ring.config(family, units=units)
    scalars = torch.tensor([TRAINED[family]] * len(seeds))
    scalars[:, :-1] *= 100 / units  # weights, not the bias
    fixed = ring.design(config, list(seeds))
    rows = torch.zeros(len(seeds), 2, units)
    if readout:
        rows = torch.stack(readout(torch.deg2rad(fixed.preference_deg.float())), dim=1) / units
    parameters = {"scalars": scalars, "readout": rows}
    names = [f"{family}-0{seed}" for seed in seeds]
    records = [{"config": vars(config), "seed": seed, "scores": {}} for seed in seeds]
    return Ensemble(config, names, list(seeds), parameters, fixed, records)


def decoder(angle):
    """Population vector: sin and cos of the preferences."""
    return torch.sin(angle), torch.cos(angle)


def planted(error_deg, *, wrong=0.0):
    """Trials on the 8 x 8 grid with a given error of the mean output, a function of the signed difference."""
    pairs = ring.grid_directions(8)
    difference = wrap(pairs[:, 1] - pairs[:, 0])
    error = np.asarray(error_deg(difference), dtype=float)[None]
    return Trials(difference, error**2, np.full_like(error, wrong), error, 2 * error, 3 * error)


# --- measures


def test_bias_is_towards_the_distractor_whatever_its_side():
    found = behaviour.summary(planted(lambda d: 0.2 * d))
    assert np.allclose([found[f"bias_{d}_deg"][0] for d in (45, 90, 135)], [9, 18, 27])
    away = behaviour.summary(planted(lambda d: -5 * np.sign(d)))
    assert np.allclose([away[f"bias_{d}_deg"][0] for d in (45, 90, 135)], -5)
    none = behaviour.summary(planted(lambda d: np.full(64, 7.0)))  # an offset that ignores the distractor
    assert np.allclose([none[f"bias_{d}_deg"][0] for d in (45, 90, 135)], 0, atol=1e-9)


def test_near_is_45_and_far_135_or_180_degrees():
    sizes = {0: 1.0, 45: 2.0, 90: 4.0, 135: 8.0, 180: 16.0}
    found = behaviour.summary(planted(lambda d: np.array([sizes[abs(x)] for x in d])))
    assert found["error_near_deg"] == [2]
    assert np.allclose(
        found["error_far_deg"], np.sqrt((16 * 8**2 + 8 * 16**2) / 24)
    )  # 16 and 8 ordered pairs
    assert (found["gate_45"], found["gate_135"]) == ([4], [16])
    assert (found["signal_45"], found["signal_135"]) == ([6], [24])


@pytest.mark.parametrize(("share", "percent"), [(0.49, 0), (0.5, 0), (0.51, 100)])
def test_a_trial_is_wrong_if_more_than_half_of_its_steps_are(share, percent):
    found = behaviour.summary(planted(lambda d: 0 * d, wrong=share))
    assert found["wrong_near_percent"] == found["wrong_far_percent"] == [percent]


def test_chance_is_the_error_rate_of_a_uniform_answer():
    angle = np.random.default_rng(0).uniform(-180, 180, 200_000)
    rate = 100 * (np.abs(angle) > 22.5).mean()
    assert rate == pytest.approx(behaviour.CHANCE_PERCENT, abs=0.3)


def test_circular_mean_goes_around_and_hardly_heeds_a_flip():
    assert behaviour.circular_mean(np.array([170.0, -170.0])) == pytest.approx(-180)
    assert behaviour.circular_mean(np.array([[10.0, 20.0], [350.0, 10.0]])) == pytest.approx([15, 0])
    errors = np.r_[np.full(31, 5.0), 180.0]
    assert abs(behaviour.circular_mean(errors) - 5) < 1 < abs(errors.mean() - 5)


def test_error_signal_is_that_of_a_plain_loop():
    generator = np.random.default_rng(0)
    change, preferred = generator.normal(size=(2, 3, 30)), generator.uniform(0, 360, (2, 30))
    ring_mask, targets = generator.uniform(size=(2, 30)) > 0.2, np.array([0.0, 45.0, 300.0])
    found = behaviour.error_signal(*map(torch.from_numpy, (change, preferred, targets, ring_mask)))
    for n in range(2):
        for b, target in enumerate(targets):
            sides = [
                np.mean([
                    change[n, b, u] for u in range(30)
                    if ring_mask[n, u] and abs(wrap(preferred[n, u] - target - side)) <= 45
                ])
                for side in (90, 270)
            ]  # fmt: skip
            assert found[n, b] == pytest.approx(abs(sides[0] - sides[1]))


def test_error_signal_of_a_bump_that_moves_is_twice_its_change_beside_the_target():
    """A bump cos(d) that turns by e changes by e sin(d): +-e times the mean cosine on the sides."""
    preferred = torch.arange(0.0, 360.0, 3.6)[None]
    change = 0.01 * torch.sin(torch.deg2rad(preferred - 60))[:, None]
    found = behaviour.error_signal(
        change, preferred, torch.tensor([60.0]), torch.ones(1, 100, dtype=torch.bool)
    )
    wide = np.sin(np.pi / 4) / (np.pi / 4)  # mean of cos over +-45 degrees
    assert found.item() == pytest.approx(2 * 0.01 * wide, rel=0.03)
    nothing = behaviour.error_signal(
        change, preferred, torch.tensor([60.0]), torch.zeros(1, 100, dtype=torch.bool)
    )
    assert nothing.isnan().all()


def test_difference_grid_pairs_every_target_with_every_difference():
    pairs = behaviour.difference_grid(4, 6)
    assert pairs.shape == (24, 2) and pairs.min() == 0 and pairs.max() < 360
    difference = (pairs[:, 1] - pairs[:, 0]) % 360
    assert np.allclose(difference.reshape(4, 6), np.arange(0, 360, 60))


# --- simulation


def test_trials_are_those_of_the_plain_simulation(own_randomness):
    e = network("g", ("0", "1"), readout=decoder)
    units = Classes(e.fixed.sign.numpy() != 0, e.fixed.sign.numpy() == 0, e.fixed.preference_deg.numpy())
    assert units.gate.sum(axis=1).tolist() == [20, 20]
    pairs, onset = behaviour.difference_grid(3, 4), 12
    found = behaviour.run_trials(e, units, pairs, onset, noise=0)
    batch = ring.task_of(e.config).batch(np.stack([pairs] * 2), Delays(15, onset, 140))
    rates = ring.simulate(e.weights, batch)
    go, on, off = (int(batch.landmarks[name][0]) for name in ("go", "distractor", "distractor_off"))
    y = ring.outputs(e.weights, rates[:, :, go:])
    error = ring.angular_error(y, torch.tensor(pairs[:, :1])).numpy()
    assert np.allclose(found.mean_square, (error**2).mean(-1), rtol=1e-3)
    assert np.allclose(found.wrong, (np.abs(error) > 22.5).mean(-1), atol=0.011)
    assert np.allclose(found.error_deg, ring.angular_error(y.mean(2), torch.tensor(pairs[:, 0])), atol=0.01)
    gates = rates[:, :, on:off].numpy()[..., units.gate[0]].mean((-1, -2))
    assert np.allclose(found.gate, gates, atol=1e-5)
    change = (rates[:, :, off - 1] - rates[:, :, on - 1]) / 10
    masks = (
        torch.from_numpy(units.preferred_deg),
        torch.from_numpy(pairs[:, 0]),
        torch.from_numpy(units.ring),
    )
    assert np.allclose(found.signal, behaviour.error_signal(change, *masks), atol=1e-5)
    assert np.allclose(found.difference_deg.reshape(3, 4), [0, 90, -180, -90])
    course = behaviour.gate_course(e, units, onset, noise=0)
    assert course[45].shape == (2, off + 10)


def test_gate_course_is_the_mean_rate_of_gate_units():
    e = network("g")
    gate = e.fixed.sign.numpy() == 0
    found = behaviour.gate_course(e, Classes(~gate, gate, e.fixed.preference_deg.numpy()), 10, noise=0)
    pairs = ring.grid_directions(8)
    rates = ring.simulate(e.weights, ring.task_of(e.config).batch(pairs[None], Delays(15, 10, 140)))
    size = np.abs(wrap(pairs[:, 1] - pairs[:, 0]))
    for difference in (45, 135):
        wanted = rates[0].numpy()[size == difference][:, :55][..., gate[0]].mean((0, 2))
        assert np.allclose(found[difference][0], wanted, atol=1e-5)


def test_a_constant_answer_errs_by_the_direction_it_ignores():
    e = network(readout=lambda angle: (torch.zeros_like(angle), torch.ones_like(angle)))  # always 0 degrees
    pairs = ring.grid_directions(8)
    trials = behaviour.run_trials(e, behaviour.classes(e, directions=8), pairs, 10)
    wanted = wrap(-pairs[:, 0])
    assert np.allclose(wrap(trials.error_deg[0] - wanted), 0, atol=1e-3)
    assert np.allclose(trials.mean_square[0], wanted**2, rtol=1e-3)
    assert np.allclose(trials.wrong[0], np.abs(wanted) > 22.5)
    found = behaviour.summary(trials)
    assert found["wrong_near_percent"] == [87.5]  # eight directions, one of them right


def test_a_strong_attractor_is_drawn_towards_the_distractor_and_has_no_gates():
    e = network(units=100, readout=decoder)
    units = behaviour.classes(e, directions=16)
    assert units.ring.all() and np.allclose(wrap(units.preferred_deg - np.arange(0, 360, 3.6)), 0, atol=8)
    found = behaviour.summary(behaviour.run_trials(e, units, ring.grid_directions(8), 10))
    assert 2 < found["bias_45_deg"][0] < 9 and 4 < found["bias_90_deg"][0] < 12
    assert found["error_near_deg"][0] < 10 and np.isnan(found["gate_45"]).all()


def test_noise_is_a_network_s_own():
    both, one = network(seeds=("0", "1"), readout=decoder), network(seeds=("1",), readout=decoder)
    pairs = ring.grid_directions(4)
    found, alone = (
        behaviour.run_trials(e, behaviour.classes(e, directions=6), pairs, 20).error_deg for e in (both, one)
    )
    assert np.allclose(found[1], alone[0], atol=0.01) and not np.allclose(found[0], found[1], atol=0.01)


def test_run_trials_refuses_negative_noise():
    e = network()
    with pytest.raises(ValueError, match="noise must be 0 or more, got -1"):
        behaviour.run_trials(e, None, ring.grid_directions(2), 10, noise=-1)


# --- signatures and panels


def rows_of(family, shift, networks=20):
    """A made table: every measurement is the number of its network + shift, at the last onset half of it."""
    number = np.arange(networks, dtype=float) + shift
    names = [f"{family}-{k:02d}" for k in range(networks)]
    parts = [
        pd.DataFrame({"network": names, "onset": onset, "kept": True}).assign(
            **dict.fromkeys(behaviour.COLUMNS, number / 2 if onset == 90 else number)
        )
        for onset in behaviour.ONSETS
    ]
    return pd.concat(parts, ignore_index=True)


def test_signatures_are_early_values_and_what_time_changes():
    found = behaviour_plots.signatures(rows_of("sa", 4))
    assert found.shape == (20, 7) and found.index[3] == "sa-03"
    assert found.iloc[3].tolist() == [7, 7, 3.5, 3.5, 7, 7, 3.5]


def test_separation_counts_pairs_by_the_area_under_the_roc_curve():
    values = np.arange(20.0)
    apart = behaviour_plots.separation({"a": values, "b": values + 100, "c": values - 100})
    assert apart == (3, 3, (3, 3)) and str(apart) == "3/3 [3, 3]"
    assert behaviour_plots.separation({"a": values, "b": values}) == (0, 1, (0, 0))
    for shift in range(1, 20):
        area = np.mean([(x > y) + 0.5 * (x == y) for x in values + shift for y in values])
        found = behaviour_plots.separation({"a": values, "b": values + shift})
        assert found[:2] == (int(area >= 0.95), 1)


def test_separation_is_uncertain_where_few_networks_decide():
    """Areas near 0.95: the resampled networks decide either way; far from it, they do not."""
    values = np.arange(20.0)
    near = behaviour_plots.separation({"a": values, "b": values + 14})  # area 0.955
    assert near == (1, 1, (0, 1))
    assert near == behaviour_plots.separation({"a": values, "b": values + 14})  # the same every time
    assert behaviour_plots.separation({"a": values, "b": values + 19}).interval == (1, 1)


def test_medians_are_of_all_networks_by_onset_in_ms():
    rows = rows_of("sa", 4).assign(kept=False)
    found = behaviour_plots.medians({"sa": rows}, {"near": "error_near_deg", "far": "error_far_deg"})
    assert found.index.tolist() == ["SA"]
    assert found["near"].columns.tolist() == [100, 150, 200, 250, 300, 500, 900]
    assert found.loc["SA", ("near", 100)] == 13.5 and found.loc["SA", ("far", 900)] == 6.75


def test_panels_draw_what_they_are_given():
    tables = {"sa": rows_of("sa", 4), "it": rows_of("it", 9)}
    fig, axes = style.figure(10, 10, "abc;def")
    behaviour_plots.draw_onsets(axes["a"], tables, "error_near_deg")
    behaviour_plots.draw_published(axes["a"], "near")
    mean = axes["a"].lines[0]
    assert mean.get_xdata().tolist() == [100, 150, 200, 250, 300, 500, 900]
    assert mean.get_ydata().tolist() == [13.5] * 6 + [6.75]
    assert axes["a"].lines[2].get_ydata().tolist() == [6.9, 6.3, 6.3, 6.4]
    behaviour_plots.draw_pairs(axes["b"], tables, ("signal_45", "signal_135"), 10)
    behaviour_plots.draw_bias(axes["c"], tables, 10, top=15)
    measured, left, right = axes["c"].lines[:3]
    assert measured.get_xdata().tolist() == [45, 90, 135] and measured.get_ydata().tolist() == [13.5] * 3
    for line, ends in ((left, (0, 45)), (right, (180, 135))):  # known by symmetry: no marker
        assert line.get_marker() == "None" and tuple(line.get_xdata()) == ends
        assert tuple(line.get_ydata()) == (0, 13.5)
    assert axes["c"].get_ylim()[1] == 15
    assert [text.get_text()[:2] for text in axes["c"].texts if text.get_text() != "c"] == ["18"] * 3
    course = {difference: np.random.default_rng(0).uniform(size=(5, 55)) for difference in (45, 135)}
    behaviour_plots.draw_gates(axes["d"], {"g": course}, target=15, onset=35)
    assert np.allclose(axes["d"].lines[1].get_ydata(), course[135].mean(axis=0))
    behaviour_plots.draw_bias_of_one(axes["e"], np.repeat([-45, 45], 3), np.array([-3, -1, 0, 1, 2, 9]), "sa")
    assert axes["e"].lines[0].get_ydata().tolist() == [-1, 2]
    plt.close(fig)


def test_a_signature_marks_what_lies_beyond_its_axis():
    values = np.arange(5.0)
    samples = {"sa": values - 2, "it": values + 90, "g": values - 70, "wmonly": values + 500}
    fig, axes = style.figure(5, 5, "a")
    ax = axes["a"]
    behaviour_plots.draw_signature(ax, samples, name="error", limits=(0, 40))
    texts = [text.get_text() for text in ax.texts if text.get_text() != "a"]
    assert texts == ["92 \N{RIGHTWARDS ARROW}", "\N{LEFTWARDS ARROW} -68", "502 \N{RIGHTWARDS ARROW}"]
    inside, edge = (c.get_offsets()[:, 0].tolist() for c in ax.collections[:2])
    assert inside == [0, 1, 2] and edge == [0, 0]
    assert ax.collections[3].get_offsets()[:, 0].tolist() == [40] * 5
    assert ax.get_xlabel() == "6/6 [6, 6]\n3/3 [3, 3]"
    plt.close(fig)


# --- table


def test_the_table_holds_what_the_functions_give(roots):
    e = network(seeds=("0", "1", "2"), readout=decoder)
    for k in range(3):
        store.save_network(to_network(e, k, {}))
    behaviour.measure(repeats=1, networks=2)
    with pytest.raises(store.DamagedFile, match=r"networks\.csv"):
        behaviour.table()
    errors = {"error_deg": 5.0, "error_no_distractor_deg": 4.0, "kept": [True, False]}
    scored = pd.DataFrame({"network": ["sa-00", "sa-01"]} | errors)
    networks = paths.data_json() / "ring" / "networks.csv"
    store.write_table(networks, scored[1:])
    with pytest.raises(ValueError, match=r"networks\.csv lacks sa-00: measure again with `wm states ring"):
        behaviour.table()
    store.write_table(networks, scored)
    table = behaviour.table()
    assert table.kept.tolist() == [True] * 7 + [False] * 7 and (table.error_no_distractor_deg == 4).all()
    assert table.network.tolist() == ["sa-00"] * 7 + ["sa-01"] * 7
    assert table.onset.tolist() == list(behaviour.ONSETS) * 2
    one = ring.load("sa-01")
    trials = behaviour.run_trials(one, behaviour.classes(one), ring.grid_directions(8), 30)
    own = table.query("network == 'sa-01' and onset == 30")
    for column, value in behaviour.summary(trials).items():
        assert np.allclose(own[column], value, rtol=2e-3, equal_nan=True), column


def test_measure_and_table_refuse(roots):
    with pytest.raises(ValueError, match="no ring network is saved"):
        behaviour.measure()
    with pytest.raises(ValueError, match="nix"):
        behaviour.measure(families=["nix"])
    with pytest.raises(store.DamagedFile, match=r"behaviour\.csv"):
        behaviour.table()
