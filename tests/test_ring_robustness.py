"""Harder ring tasks, errors in them, tolerances, and networks of other sizes."""

import matplotlib.pyplot as plt
import numpy as np
import pandas as pd
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from wm import paths, ring, store, style
from wm.ring import derived, robustness, robustness_plots, sizes
from wm.ring.challenge import CHALLENGES, UNITS, Challenge, Condition, HarderTask, condition
from wm.ring.library import Ensemble, to_network
from wm.train import torch_generator

GATED = (0.39, -0.10, -0.12)
EVERY_LEVEL = [(name, level) for name, about in CHALLENGES.items() for level in about.levels]


def designed(family="g", networks=2, units=40, noise=0.02):
    """Networks with good scalars and an untrained but orderly read-out: their errors are small, not zero."""
    config = ring.config(family, units=units)
    seeds = [str(k) for k in range(networks)]
    parameters = ring.initial(config, seeds)
    design = ring.design(config, seeds)
    if family == "g":
        parameters["scalars"][:] = parameters["scalars"].new_tensor(GATED)
        parameters["scalars"][:, [0, 2]] *= 100 / units
    circle = torch.deg2rad(design.preference_deg)
    parameters["readout"] = torch.stack([circle.sin(), circle.cos()], dim=1) * design.sign[:, None]
    parameters["readout"] += noise * torch.randn(parameters["readout"].shape)
    records = [{"config": vars(config), "seed": seed, "scores": {}} for seed in seeds]
    return Ensemble(
        config, [f"{family}-{k:02d}" for k in range(networks)], seeds, parameters, design, records
    )


def pairs(trials=6, networks=2):
    return np.random.default_rng(0).uniform(0, 360, (networks, trials, 2))


def test_the_standard_condition_is_the_published_evaluation():
    """Bit for bit the same errors as `ring.errors` with the same noise."""
    ensemble = designed()
    sources = [torch_generator(seed, "robustness") for seed in ensemble.seeds]
    wanted = ring.errors(ensemble.weights, ring.task_of(ensemble.config), generators=sources, directions=4)
    found = robustness.challenge_errors(ensemble, Condition(), directions=4)
    assert np.array_equal(found, wanted.error_deg)
    assert ((found > 0.1) & (found < 45)).all()


def test_a_plain_harder_task_is_the_task():
    plain, harder = ring.Task(inputs=20).batch(pairs()), HarderTask(inputs=20).batch(pairs())
    assert torch.equal(plain.inputs(), harder.inputs())
    assert all(np.array_equal(plain.landmarks[mark], harder.landmarks[mark]) for mark in plain.landmarks)
    assert np.array_equal(plain.mask(), harder.mask())


def test_distractors_are_where_and_what_they_should_be():
    """Against inputs written out trial by trial, step by step."""
    more = {"distractors": 3, "duration": 7, "spacing": 15, "strength": 2.5}
    task = HarderTask(inputs=20, onset=(10, 20), **more)
    delays = ring.Delays(np.array([3, 12]), np.array([10, 20]), np.array([70, 60]))
    batch = task.batch(pairs(), delays)
    wanted = np.zeros((2, 6, batch.steps, 21), dtype=np.float32)
    for network in range(2):
        on = delays.fixation[network]
        go = on + 10 + delays.delay[network]
        wanted[network, :, go : go + 100, -1] = 1
        for trial in range(6):
            target, first = batch.directions_deg[network, trial]
            wanted[network, trial, on : on + 10, :-1] = tuned(target)
            for k, direction in enumerate([first, *batch.further_deg[:, trial]]):
                start = on + 10 + delays.onset[network] + 15 * k
                wanted[network, trial, start : start + 7, :-1] += 2.5 * tuned(direction)
    assert np.allclose(batch.inputs().numpy(), wanted, atol=1e-5)
    assert batch.landmarks["distractor_off"].tolist() == [3 + 10 + 10 + 37, 12 + 10 + 20 + 37]


def tuned(direction_deg):
    return ring.tuning_curve(torch.tensor(direction_deg, dtype=torch.float32), 20).numpy()


@pytest.mark.parametrize("none", [{"distractors": 0}, {"duration": 0}, {"strength": 0}])
def test_no_distractor_is_no_distractor(none):
    plain = ring.Task(inputs=20, distractor_probability=0.0).batch(pairs())
    assert torch.equal(plain.inputs(), HarderTask(inputs=20, **none).batch(pairs()).inputs())


def test_further_distractors_stay_when_more_are_added():
    three, four = (
        HarderTask(onset=(10, 50), distractors=count).batch(pairs()).further_deg for count in (3, 4)
    )
    assert three.shape == (2, 6) and np.array_equal(three, four[:2])


def test_what_does_not_fit_is_refused():
    with pytest.raises(ValueError, match="strength must be 0 or more and finite, got -1"):
        HarderTask(strength=-1)
    with pytest.raises(ValueError, match="distractors must be 0 or more and finite, got nan"):
        HarderTask(distractors=float("nan"))
    with pytest.raises(
        ValueError, match="8 distractors of 10 steps end 60 steps after the go cue: show fewer"
    ):
        Condition(distractors={"distractors": 8}).task(20)


@pytest.mark.parametrize(("name", "level"), EVERY_LEVEL)
def test_every_level_makes_trials(name, level):
    faced = condition(name, level)
    batch = faced.task(8).batch(pairs(), faced.delays)
    assert batch.steps == batch.landmarks["end"].max()
    assert (batch.landmarks["distractor_off"] <= batch.landmarks["go"]).all()


@pytest.mark.parametrize("name", CHALLENGES)
def test_every_standard_level_is_the_standard_condition(name):
    found, standard = condition(name, CHALLENGES[name].standard), Condition()
    assert (found.noise, found.lost, found.delays) == (0.1, 0, standard.delays)
    assert found.task(8) == standard.task(8)


def test_levels_are_in_the_unit_of_their_axis():
    after, delay = condition("after", 3.2), condition("delay", 2.8)
    marks = after.task(8).batch(pairs(), after.delays).landmarks
    assert (marks["go"] - marks["distractor_off"] == 320).all() and (marks["distractor"] == 75).all()
    assert delay.delays == (15, 100, 280)
    assert condition("duration", 400).task(8).duration == 40
    assert condition("loss", 30).lost == 0.3 and condition("noise", 0.3).noise == 0.3
    with pytest.raises(ValueError, match="unknown challenge 'nois': did you mean noise"):
        condition("nois", 1)


@pytest.mark.parametrize("about", [*CHALLENGES.values(), UNITS], ids=lambda about: about.title)
def test_hardness_runs_from_standard_to_hardest(about):
    assert about.hardness(about.standard) == 0 and about.hardness(about.levels[-1]) == 1
    shares = np.linspace(0, 1, 5)
    assert np.allclose(about.hardness(about.level_at(shares)), shares)
    assert about.standard in about.levels


def test_fewer_units_are_harder():
    assert np.allclose(UNITS.hardness(np.array([400, 200, 100, 50])), [0, 1 / 3, 2 / 3, 1])


def test_lost_units_are_nested_and_as_many_as_asked():
    ensemble = designed()
    gone = [robustness.weakened(ensemble, share).bias == 0 for share in (0.1, 0.4)]
    assert [part.sum(1).tolist() for part in gone] == [[4, 4], [16, 16]]
    assert (gone[0] <= gone[1]).all() and not torch.equal(gone[0][0], gone[0][1])
    assert torch.equal(robustness.weakened(ensemble, 0).bias, ensemble.weights.bias)
    with pytest.raises(ValueError, match=r"share of lost units must lie in \[0, 1\], got 2"):
        robustness.weakened(ensemble, 2)


def test_errors_do_not_depend_on_how_many_networks_run_at_once(monkeypatch):
    ensemble, faced = designed(networks=3), condition("loss", 20)
    together = robustness.challenge_errors(ensemble, faced, directions=3)
    monkeypatch.setattr(robustness, "_FLOATS_AT_ONCE", 1)
    assert np.allclose(together, robustness.challenge_errors(ensemble, faced, directions=3), rtol=1e-4)


def test_harder_is_worse():
    ensemble = designed()
    standard = robustness.challenge_errors(ensemble, Condition(), directions=4)
    noisy = robustness.challenge_errors(ensemble, condition("noise", 0.5), directions=4)
    assert (noisy > standard).all()


def test_answers_of_a_good_network_are_the_target():
    one = designed(networks=1)
    quiet = robustness.answers(one, condition("count", 0), (90.0, 200.0), trials=3)
    assert quiet.angle_deg.shape == (3, 265)
    late = quiet.angle_deg[:, quiet.landmarks["go"] :]
    assert np.abs(late - 90).mean() < 25 and not np.array_equal(late[0], late[1])
    loud = robustness.answers(one, condition("strength", 4), (90.0, 200.0), trials=3).angle_deg
    assert np.array_equal(loud[:, :75], quiet.angle_deg[:, :75])  # the same noise until the distractor
    assert np.abs(loud[:, quiet.landmarks["go"] :] - 90).mean() > np.abs(late - 90).mean()


@given(st.floats(0.01, 0.99), st.floats(1, 20), st.floats(1, 50))
def test_tolerance_finds_where_a_straight_line_crosses(crossing, start, slope):
    hardness = np.linspace(-0.5, 1, 7)
    error = start + slope * hardness
    found = robustness.tolerance(hardness, error[None], start + slope * crossing)
    assert found == pytest.approx([crossing], abs=1e-6)


def test_tolerance_at_the_ends():
    hardness = np.array([-1, 0, 0.5, 1])
    errors = np.array(
        [[99, 5, 5, 5], [5, 16, 5, 5], [5, 10, 20, 5], [5, 10, 10, 20]]
    )  # easier levels: ignored
    assert robustness.tolerance(hardness, errors, 15).tolist() == [1, 0, 0.25, 0.75]
    assert robustness.tolerance(hardness, errors, np.array([4, 32, 20, 20])).tolist() == [0, 1, 1, 1]
    with pytest.raises(ValueError, match="hardness must rise from 0, the standard level"):
        robustness.tolerance(np.array([0.1, 1]), errors[:, :2], 15)
    with pytest.raises(ValueError, match="error_deg holds NaN"):
        robustness.tolerance(hardness, np.full((1, 4), np.nan), 15)


def test_limits_are_fixed_or_double():
    assert robustness.limits_deg(np.array([4.0, 20]), "fixed").tolist() == [15, 15]
    assert robustness.limits_deg(np.array([4.0, 20]), "double").tolist() == [8, 40]
    with pytest.raises(ValueError, match="criterion must be 'fixed' or 'double', got 'half'"):
        robustness.limits_deg(np.ones(1), "half")


def test_exponents_of_power_laws():
    levels = np.array([50.0, 100, 400])
    assert np.allclose(robustness.exponents(levels, np.stack([3 * levels**-0.5, levels])), [-0.5, 1])
    for bad in ((levels[:1], np.ones((2, 1))), (levels - 50, np.ones((2, 3))), (levels, np.zeros((2, 3)))):
        with pytest.raises(ValueError, match="two levels or more, levels and errors above 0"):
            robustness.exponents(*bad)


FEW = {
    "noise": Challenge("noise", "noise", 0.1, (0.1, 0.5)),
    "count": Challenge("distractors", "n", 1, (0, 1)),
}


@pytest.fixture
def saved(roots, monkeypatch):
    """Two networks of one family, of which the first is kept, measured in two challenges."""
    ensemble = designed()
    for k in range(2):
        ensemble.records[k]["config"] = vars(ensemble.config)
        store.save_network(to_network(ensemble, k, {}))
    known = {"family": "g", "network": ensemble.names, "error_deg": 9.0, "error_no_distractor_deg": 8.0}
    known = pd.DataFrame(known | {"kept": [True, False]})
    store.write_table(roots / "data_json/ring/networks.csv", known)
    monkeypatch.setattr(robustness, "CHALLENGES", FEW)
    return ensemble


def test_the_table_holds_the_errors_of_every_network(saved):
    written = robustness.measure(families=["hdgating"], directions=3)
    table = robustness.table()
    assert table.drop(columns="kept").equals(written)
    assert len(table) == 2 * 4 and table.kept.tolist() == [True, False] * 4
    levels, errors = robustness.curves(table, "g", "noise")
    assert levels.tolist() == [0.1, 0.5]
    noisy = robustness.challenge_errors(saved, condition("noise", 0.5), directions=3)
    assert np.allclose(errors[:, 1], noisy, atol=0.02)  # also after saving and loading
    assert np.array_equal(errors[:, 0], robustness.curves(table, "g", "count")[1][:, 1])  # both standard
    assert robustness.table(first=1).network.unique().tolist() == ["g-00"]
    with pytest.raises(ValueError, match="the table has no 'sa' in challenge 'noise': measure it"):
        robustness.curves(table, "sa", "noise")
    store.write_table(paths.data_json() / "ring/networks.csv", derived.networks()[1:])
    with pytest.raises(ValueError, match="networks.csv lacks g-00: measure again"):
        robustness.table()


def test_measure_says_what_is_missing(roots):
    with pytest.raises(ValueError, match="no network of sa is saved in .*: `wm train ring.sa`"):
        robustness.measure(families=["sa"])
    with pytest.raises(ValueError, match="unknown ring family"):
        robustness.measure(families=["sb"])
    with pytest.raises(store.DamagedFile):
        robustness.table()


def planted():
    """A table of two families: sa copes with everything, wmonly with nothing, and the sizes of sa."""
    rows = [
        {"family": family, "network": f"{family}-{k:02d}", "challenge": name, "level": level, "kept": True,
         "error_deg": error + k}
        for family, error in (("sa", 5), ("wmonly", 40))
        for k in range(3)
        for name, about in CHALLENGES.items()
        for level in about.levels
    ]  # fmt: skip
    sized = [
        {"family": "sa", "units": units, "seed": k, "error_deg": 2 + k * 0.01}
        for units in sizes.SIZES
        for k in range(3)
    ]
    return pd.concat([pd.DataFrame(rows), sizes.as_challenge(pd.DataFrame(sized))], ignore_index=True)


def test_tolerances_of_planted_families():
    fixed = (
        robustness.tolerances(planted()).groupby(["family", "challenge"]).share.agg(["min", "max", "size"])
    )
    assert (fixed.loc["sa"].to_numpy() == [1, 1, 3]).all() and len(fixed.loc["sa"]) == len(CHALLENGES) + 1
    assert (fixed.loc["wmonly"].to_numpy() == [0, 0, 3]).all() and len(fixed.loc["wmonly"]) == len(CHALLENGES)
    assert (robustness.tolerances(planted(), "double").share == 1).all()


def test_panels_and_tables_tell_planted_tolerances():
    shares = robustness.tolerances(planted())
    fig, axes = style.figure(17, 7, "ijkl")
    robustness_plots.draw_tolerances(axes["i"], shares, ["sa", "wmonly"])
    robustness_plots.draw_scale(fig, [axes["i"]])
    texts = [text.get_text() for text in axes["i"].texts[1:]]  # after the panel letter
    assert texts == [">0.5", ">50", ">4", ">400", ">4", ">8", ">6.4", "<50"] + ["–"] * len(CHALLENGES)
    told = robustness_plots.summary(shares, ["sa", "wmonly"])
    assert told.loc["SA", "delay (s)"] == "8 [8, 8]" and told.loc["WM-only", "units"] == ""
    assert told.loc["SA", "units"] == "50 [50, 50]"
    for name in (*CHALLENGES, "units"):
        robustness_plots.draw_challenge(axes["j"], planted(), name, ["sa", "wmonly"])
    robustness_plots.draw_legend(fig, ["sa", "wmonly"])
    robustness_plots.draw_live(axes["k"], planted(), "sa-00", "count", [1, 2, 3, 4, 5])
    shown = robustness.Answers(np.array([[350.0, 10, 20]]), dict.fromkeys(
        ("target", "delay", "distractor", "distractor_off", "go", "end"), 1) | {"end": 3})  # fmt: skip
    robustness_plots.draw_answers(axes["l"], shown, (10, 20))
    assert np.isnan(axes["l"].lines[-1].get_ydata()).tolist() == [
        False,
        True,
        False,
    ]  # the seam of the circle
    plt.close(fig)


def test_a_limit_that_says_little_has_no_colour():
    fixed, double = (robustness.tolerances(planted(), limit) for limit in ("fixed", "double"))
    fig, axes = style.figure(8, 7, "i")
    robustness_plots.draw_tolerances(axes["i"], double, ["sa", "wmonly"], required=fixed)
    image = axes["i"].images[0].get_array()
    assert np.ma.getmaskarray(image).all(axis=1).tolist() == [False, True]
    colours = [text.get_color() for text in axes["i"].texts[1:]]
    assert colours.count("0.6") == len(CHALLENGES) and "0.6" not in colours[: len(CHALLENGES) + 1]
    plt.close(fig)


def test_the_lines_of_the_legend_differ_in_their_dashes():
    fig, _ = style.figure(17, 7, "a")
    robustness_plots.draw_legend(fig, ["sa"])
    dashes = {line.get_label(): line.get_linestyle() for line in fig.legends[0].get_lines()}
    assert (dashes["chance"], dashes["15°"], dashes["standard"]) == ("--", ":", "-.")
    plt.close(fig)


def test_shares_of_networks_beyond_the_limit():
    table = pd.DataFrame(
        [("sa", f"sa-{k}", "loss", level, (3, 12 + 2 * k)[level]) for k in range(4) for level in (0, 1)],
        columns=["family", "network", "challenge", "level", "error_deg"],
    )
    told = robustness_plots.summary_beyond(table, ["sa"], "loss")
    assert told.loc["SA"].to_dict() == {0: 0, 1: 50}  # 12, 14, 16 and 18 degrees


def test_errors_in_words():
    table = planted().query("challenge != 'units'")
    told = robustness_plots.summary_errors(table.assign(kept=table.family == "sa"), ["sa", "wmonly"])
    assert told.loc["SA", "standard"] == "6 [3.52, 8.48] (6)"
    assert told.loc["WM-only", "delay 8"] == "none kept (41)"


@pytest.fixture
def quick(roots, monkeypatch):
    """Training without the long evaluation; the list tells what was trained."""
    trained = []

    def scores(ensemble, **_):
        trained.append((ensemble.config.family, ensemble.config.units))
        return [{"error_deg": 10.0 + 10 * k, "error_no_distractor_deg": 3.0} for k in range(len(ensemble))]

    monkeypatch.setattr("wm.ring.campaign.measure_errors", scores)
    return trained


def recorded(place):
    """The runs of a record that is of the table beside it, and their families and sizes."""
    record = store.read_json(place)
    assert record["files"] == {"data_json/ring/sizes.csv": store.sha256(place.with_suffix(".csv"))}
    return record["runs"], [(*run["families"], run["units"]) for run in record["runs"]]


def test_sizes_are_trained_once(quick):
    options = {"networks": 2, "updates": 1}
    sizes.train_sizes(families=["sa"], sizes=(8, 12), **options)
    table = sizes.train_sizes(families=["g", "sa"], sizes=(8,), **options)
    assert quick == [("sa", 8), ("sa", 12), ("g", 8)]
    assert table.groupby(["family", "units"]).seed.apply(list).to_dict() == dict.fromkeys(
        [("g", 8), ("sa", 8), ("sa", 12)], [0, 1])  # fmt: skip
    assert table.kept.tolist() == [True, False] * 3 and (table.updates == 1).all()
    (run, *_), cells = recorded(paths.data_json() / "ring/sizes.json")
    assert cells == [("g", 8), ("sa", 8), ("sa", 12)]
    assert run["command"] == "wm.ring.sizes.train_sizes('cpu', ['g'], [8], networks=2, updates=1)"
    assert run["device"] and run["torch"] and run["networks_at_once"] == 2
    sizes.train_sizes(families=["sa"], sizes=(8,), networks=2, updates=2)  # other settings: again
    assert quick[3:] == [("sa", 8)] and len(sizes.table()) == 6
    assert sizes.as_challenge(table).network.tolist() == ["g-00", "g-01"] + ["sa-00", "sa-01"] * 2


def test_sizes_of_several_runs_are_collected(quick, roots, monkeypatch):
    for family in ("sa", "g"):
        monkeypatch.setenv("WM_DATA_JSON", str(roots / family))
        sizes.train_sizes(families=[family], sizes=(8,), networks=1, updates=1)
    monkeypatch.setenv("WM_DATA_JSON", str(roots / "all"))
    found = sizes.collect(roots / family / "ring/sizes.csv" for family in ("sa", "g"))
    assert found.family.tolist() == ["g", "sa"] and sizes.table().family.tolist() == ["g", "sa"]
    place = roots / "all/ring/sizes.json"
    assert recorded(place)[1] == [("g", 8), ("sa", 8)]
    store.write_table(place.with_suffix(".csv"), found.assign(error_deg=1.0))  # not what was recorded
    sizes.collect([roots / "g/ring/sizes.csv"])
    assert recorded(place)[1] == [("g", 8)]
    with pytest.raises(ValueError, match="there is no table to collect"):
        sizes.collect([])
    with pytest.raises(store.DamagedFile):
        sizes.collect([roots / "none.csv"])
