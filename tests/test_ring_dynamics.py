"""Dynamics of the memory: planted walks, planes and rings come back, and opposite data say the opposite."""

import numpy as np
import pandas as pd
import pytest
import torch
from scipy.linalg import subspace_angles
from scipy.stats import gmean, ks_2samp, spearmanr

from wm import ring, store
from wm.estimate import bootstrap_over_networks
from wm.ring import derived, dynamics, dynamics_plots
from wm.ring import dynamics_table as tables
from wm.ring.dynamics_portrait import KINDS, caption, example, portrait
from wm.ring.library import Ensemble, to_network
from wm.ring.network import steps
from wm.ring.tuning import wrap

UNITS = 40
SCALARS = {"sa": (0.0748, 0.486, -0.297), "it": (0.322, -0.588), "g": (0.39, -0.10, -0.12)}
BIAS = {"sa": 2, "it": 1, "g": 1}


def designed(family, networks=1, **changes):
    """Hand-designed networks with the scalars of training, for 40 units."""
    config = ring.config(family, units=UNITS, **changes)
    scalars = torch.tensor([SCALARS[family]] * networks) * (100 / UNITS)
    scalars[:, BIAS[family]] = SCALARS[family][BIAS[family]]
    seeds = [str(k) for k in range(networks)]
    keys = ("error_deg", "error_median_deg", "error_no_distractor_deg", "error_no_distractor_median_deg")
    records = [
        {"config": vars(config), "seed": s, "scores": dict.fromkeys(keys, 5.0 + int(s))} for s in seeds
    ]
    parameters = {"scalars": scalars, "readout": torch.zeros(networks, 2, UNITS)}
    names = [f"{family}-0{s}" for s in seeds]
    return Ensemble(config, names, seeds, parameters, ring.design(config, seeds), records)


def circle(angles_deg, axes, radius=1.0):
    """Points of a circle in the plane of two axes (2, unit): (..., unit)."""
    angle = np.deg2rad(np.asarray(angles_deg))
    return radius * (np.cos(angle)[..., None] * axes[0] + np.sin(angle)[..., None] * axes[1])


def walk(d, *, networks=4, targets=8, repeats=300, times=11, dt=0.1, velocity=0.0, seed=0):
    """Angles that diffuse with D and drift at `velocity` deg/s, and their times."""
    generator = np.random.default_rng(seed)
    step = generator.normal(0, np.sqrt(2 * d * dt), (networks, targets, repeats, times))
    start = dynamics.equal_angles(targets)[:, None, None]
    return (start + step.cumsum(axis=3) + velocity * dt * np.arange(times)) % 360, dt * np.arange(times)


@pytest.mark.parametrize("velocity", [0.0, 60.0, -200.0])
@pytest.mark.parametrize("d", [2.0, 30.0])
def test_diffusion_of_a_planted_walk(d, velocity):
    angles, seconds = walk(d, velocity=velocity)
    found = dynamics.diffusion(dynamics.circular_spread(angles), seconds)
    assert found.shape == (4,) and np.allclose(found, d, rtol=0.15)


def test_what_the_decoder_adds_is_no_diffusion():
    angles, seconds = walk(4.0)
    noisy = angles + np.random.default_rng(1).normal(0, 5, angles.shape)
    spread = dynamics.circular_spread(noisy)
    assert np.allclose(spread[:, 0], 25 + 8 * 0.1, rtol=0.1)
    assert np.allclose(dynamics.diffusion(spread, seconds), 4, rtol=0.3)


def test_a_memory_held_in_a_well_does_not_diffuse():
    """Ornstein-Uhlenbeck: the spread stops at D times its time constant."""
    generator, tau, d, dt = np.random.default_rng(0), 0.5, 10.0, 0.05
    x, path = np.zeros((2, 6, 400)), []
    for _ in range(120):
        x = x - dt * x / tau + generator.normal(0, np.sqrt(2 * d * dt), x.shape)
        path.append(x)
    spread, seconds = dynamics.circular_spread(np.stack(path, axis=3)), dt * np.arange(120)
    early, late = slice(0, 4), slice(60, 120)
    assert np.allclose(spread[:, late].mean(axis=1), d * tau, rtol=0.1)
    assert (dynamics.diffusion(spread[:, early], seconds[early]) > 0.6 * d).all()
    assert (np.abs(dynamics.diffusion(spread[:, late], seconds[late])) < 0.05 * d).all()


def test_still_angles_neither_drift_nor_diffuse():
    angles, seconds = walk(0.0)
    assert np.allclose(dynamics.circular_spread(angles), 0, atol=1e-20)
    assert np.allclose(dynamics.diffusion(dynamics.circular_spread(angles), seconds), 0, atol=1e-12)
    assert np.allclose(dynamics.drift(angles, 1.0), 0)


def test_one_repeat_has_no_spread():
    with pytest.raises(ValueError, match="at least 2 repeats"):
        dynamics.circular_spread(np.zeros((1, 4, 1, 5)))


@pytest.mark.parametrize("velocity", [30.0, -30.0])
def test_drift_is_a_velocity_across_north(velocity):
    angles = (350 + velocity * np.array([0.0, 0.5, 1.0])) % 360
    assert np.allclose(dynamics.drift(np.tile(angles, (2, 3, 1)), 1.0), velocity)


@pytest.mark.parametrize("tilt", [0.0, 30.0, 90.0])
def test_principal_angles_of_planted_planes(tilt):
    axes = np.linalg.qr(np.random.default_rng(0).standard_normal((12, 4)))[0].T
    memory = axes[:2]
    turned = np.cos(np.deg2rad(tilt)) * axes[:2] + np.sin(np.deg2rad(tilt)) * axes[2:]
    push = circle(dynamics.equal_angles(24), turned)[None] + 3 * axes[3]  # what all share is no direction
    assert np.allclose(dynamics.push_plane_angles(push, memory[None]), [[tilt, tilt]], atol=1e-5)
    mixed = circle(dynamics.equal_angles(24), np.stack([axes[0], 2 * axes[2]]))[None]
    assert np.allclose(dynamics.push_plane_angles(mixed, memory[None]), [[0, 90]], atol=1e-5)


def test_random_planes_have_the_known_distribution_of_angles():
    """Against scipy's angles of drawn pairs, and in the plane and in three dimensions, where planes meet."""
    drawn = np.random.default_rng(1).standard_normal((2000, 2, 100, 2))
    pairs = [np.rad2deg(subspace_angles(a, b)).min() for a, b in drawn]
    found = dynamics.random_plane_angles(100)
    assert found.shape == (10000,) and ks_2samp(found, pairs).pvalue > 0.01
    single = np.rad2deg(np.arccos(np.sqrt(2 / 100)))  # of a direction and a plane: larger
    assert 78 < found.mean() < single - 1.5
    assert np.allclose(dynamics.random_plane_angles(3, draws=50), 0, atol=1e-5)
    assert np.array_equal(found[:5], dynamics.random_plane_angles(100)[:5])


@pytest.mark.parametrize("strength", [0.5, 1.0, 2.0])
def test_the_push_of_a_strong_attractor_lies_along_its_ring(strength):
    """Fixed by the design: inputs and recurrence share their plane, whatever the strength of the inputs."""
    e = designed("sa", 2)
    e.parameters["scalars"][:, 0] *= strength
    held = dynamics.manifold(e)
    assert np.abs(dynamics.tangent_angles(held.ring, dynamics.pushes(e)).angle_deg).max() < 5


def test_pushes_along_against_and_across_the_ring():
    axes = np.linalg.qr(np.random.default_rng(0).standard_normal((12, 4)))[0].T
    angles, radius = dynamics.equal_angles(72), 5.0
    held = circle(angles, axes[:2], radius)[None]
    along = dynamics.tangent_angles(held, circle(angles, axes[:2], 0.5)[None])
    assert np.allclose(along.angle_deg, 0, atol=1e-5) and np.allclose(along.size, 0.5)
    assert np.allclose(along.along_deg, np.rad2deg(0.5 / radius), rtol=2e-3)
    against = dynamics.tangent_angles(held, -circle(angles, axes[:2], 0.5)[None])
    assert np.allclose(against.angle_deg, 0, atol=1e-5) and np.allclose(against.along_deg, -along.along_deg)
    across = dynamics.tangent_angles(held, circle(angles, axes[2:], 0.5)[None])
    assert np.allclose(across.angle_deg, 90) and np.allclose(across.along_deg, 0, atol=1e-9)
    assert np.allclose(np.linalg.norm(dynamics.tangents(held), axis=-1), np.deg2rad(radius), rtol=2e-3)
    with pytest.raises(ValueError, match="the same directions, a multiple of 4"):
        dynamics.tangent_angles(held[:, :30], held[:, :30])


def test_the_decoder_reads_planted_angles_and_nothing_where_there_are_none():
    generator = np.random.default_rng(0)
    axes = generator.standard_normal((2, 20))
    states = circle(dynamics.equal_angles(12), axes)[None, :, None, None] + 2.0  # (1, target, 1, 1, unit)
    noisy = states + 0.1 * generator.standard_normal((1, 12, 20, 3, 20))
    angles = np.array([10.0, 130.0, 355.0])
    fresh = circle(angles, axes)[None] + 2.0
    assert np.allclose(wrap(dynamics.decoded(dynamics.delay_decoders(noisy), fresh) - angles), 0, atol=2)
    empty = dynamics.delay_decoders(generator.standard_normal((1, 12, 20, 3, 20)))
    assert np.linalg.norm(empty[0].scores(fresh[0]), axis=1).max() < 0.5


def test_activations_are_those_of_the_steps_and_each_network_has_its_noise():
    e = designed("sa", 2)
    pairs = np.array([[0.0, 90.0], [120.0, 30.0]])
    batch = ring.task_of(e.config).batch(np.broadcast_to(pairs, (2, 2, 2)))
    kept = {t: (a, h) for t, (a, h) in enumerate(steps(e.weights, batch)) if t in (30, 80)}
    for rates in (False, True):
        found = dynamics.activations(e, pairs, [30, 80], distractor=True, rates=rates)
        assert np.allclose(found, np.stack([kept[t][rates] for t in (30, 80)], axis=2), atol=1e-6)
    noisy = dynamics.activations(e, pairs, [30], noise=0.1)
    alone = Ensemble(e.config, e.names[1:], e.seeds[1:], {k: v[1:] for k, v in e.parameters.items()},
                     ring.design(e.config, e.seeds[1:]), e.records[1:])  # fmt: skip
    assert np.allclose(dynamics.activations(alone, pairs, [30], noise=0.1)[0], noisy[1], atol=1e-6)
    assert not np.allclose(noisy[0], noisy[1], atol=1e-3)
    with pytest.raises(ValueError, match="times 30 to 400 are not within 265 steps"):
        dynamics.activations(e, pairs, [30, 400])


def test_the_ring_of_the_strong_attractor_is_a_circle():
    ring_states = dynamics.manifold(designed("sa"), targets=24, components=4)
    assert np.allclose(ring_states.share[:, :2].sum(axis=1), 1, atol=1e-6)
    radius = np.linalg.norm(ring_states.project(ring_states.ring)[..., :2], axis=-1)
    assert np.allclose(radius, radius.mean(), rtol=1e-2)
    assert ring_states.cloud.shape == (1, 24 * len(dynamics.DELAY_TIMES), UNITS)
    starts = dynamics.ring_starts(ring_states, 48)
    assert starts.shape == (1, 48 + 48 + 8, UNITS) and np.allclose(starts[0, ::2][:24], ring_states.ring[0])
    assert np.allclose(starts[0, 1], ring_states.ring[0, :2].mean(axis=0))
    ellipse = ring_states.project(starts[:, 48:96])[0]
    assert np.allclose(np.linalg.norm(ellipse[:, :2], axis=1), radius.mean(), rtol=1e-2)
    assert np.allclose(ellipse[:, 2:], 0, atol=1e-2)


def test_pushes_are_the_input_of_each_direction():
    e = designed("g")
    x = ring.tuning_curve(torch.tensor([45.0]), UNITS)
    assert np.allclose(
        dynamics.pushes(e, [45.0])[0, 0], (e.weights.inputs[0, :, :-1] @ x[0]).numpy(), atol=1e-6
    )
    assert dynamics.pushes(e).shape == (1, dynamics.TARGETS, UNITS)


def displaced(e):
    decoders = dynamics.delay_decoders(dynamics.noisy_delay(e, repeats=3))
    return dynamics.displacement(e, decoders, targets=8, offsets=8)


def test_a_distractor_moves_the_memory_towards_itself_if_it_reaches_it():
    e = designed("sa")
    offset, shift = displaced(e)
    assert offset.tolist() == [-180, -135, -90, -45, 0, 45, 90, 135]
    side = {o: shift[0, :, k].mean() for k, o in enumerate(offset)}
    assert 1 < side[90] < 20 and side[-90] < -1 and abs(side[0]) < 1
    stronger = designed("sa")
    stronger.parameters["scalars"][:, 0] *= 3
    assert displaced(stronger)[1][0, :, 6].mean() > 2 * side[90]
    deaf = designed("sa")
    deaf.weights.inputs.mul_(0)  # no target either: the decoder reads the resting state, which stays
    states = dynamics.activations(deaf, np.array([[0.0, 90.0]]), [dynamics.GO], distractor=True)
    assert np.allclose(states, deaf.weights.bias[0, 0].item(), atol=1e-6)


@pytest.fixture(scope="module")
def measured():
    return {family: tables.measure_family(designed(family, 2), mapped=1) for family in ("sa", "g", "it")}


def test_the_table_tells_designs_apart(measured):
    rows = {family: table.iloc[0] for family, (table, _) in measured.items()}
    assert list(rows["sa"].index) == ["family", "network", *tables.COLUMNS]
    assert rows["sa"].push_plane_deg < 0.01 and rows["sa"].push_tangent_deg < 2
    assert rows["g"].push_plane_deg > 88 and rows["g"].push_tangent_deg > 88
    assert rows["sa"].attractors == rows["sa"].saddles == UNITS  # one for each unit, and one between
    assert np.isclose(rows["sa"].dimension_delay, 2, atol=0.01)
    assert rows["sa"].cue_to_delay_deg < rows["it"].cue_to_delay_deg
    assert np.isclose(rows["sa"].gain_deg * rows["sa"].push_size, rows["sa"].displacement_deg)
    assert rows["sa"].drift_10s_deg < 5 and rows["sa"].decoder_deg < 5
    # inverted units point the other way: the push keeps 2 p - 1 = .1 of its length in the plane
    share = 2 * int(UNITS * 0.55) / UNITS - 1
    assert np.isclose(rows["it"].push_plane_deg, np.rad2deg(np.arccos(share)), atol=0.5)


def test_curves_come_with_intervals_over_networks(measured):
    lines = measured["sa"][1]
    assert set(lines.curve) == set(tables.CURVES)
    shift = tables.curve(lines, "sa", "displacement")
    assert shift.x.is_monotonic_increasing and (shift.networks == 2).all()
    assert ((shift.low <= shift["mean"]) & (shift["mean"] <= shift.high)).all()
    times, error = tables.cross_map(lines, "sa")
    assert error.shape == (len(times),) * 2 == (len(tables.CROSS_TIMES),) * 2
    assert np.diag(error)[1:].max() < 45 and times[0] == 90
    with pytest.raises(ValueError, match="no curve 'spred' of family 'sa': curves are displacement"):
        tables.curve(lines, "sa", "spred")


@pytest.fixture
def saved(roots):
    e = designed("sa", 2)
    for k in range(2):
        store.save_network(to_network(e, k, {}))
    return roots


def test_what_is_measured_is_read_back_with_the_errors(saved):
    found = tables.measure(families=["hdratio"], networks=2, mapped=1)
    derived.measure(["sa"])
    read = tables.table()
    assert read.network.tolist() == ["sa-00", "sa-01"] and read.error_deg.tolist() == [5, 6]
    assert read.kept.all()
    assert np.allclose(read[list(tables.COLUMNS)], found[list(tables.COLUMNS)], rtol=1e-4)
    assert set(tables.curves().family) == {"sa"}
    one = derived.networks().head(1)
    store.write_table(saved / "data_json" / "ring" / "networks.csv", one)
    with pytest.raises(ValueError, match="lacks sa-01: measure again with `wm states ring networks`"):
        tables.table()


def test_without_networks_or_tables_it_says_what_to_do(roots):
    with pytest.raises(ValueError, match="no ring network is saved"):
        tables.measure()
    with pytest.raises(store.DamagedFile, match="measure"):
        tables.table()
    with pytest.raises(store.DamagedFile, match="measure"):
        tables.curves()


@pytest.fixture(scope="module")
def portraits():
    return {family: portrait(designed(family), shown=4) for family in ("sa", "g")}


def test_portraits_show_pushes_in_the_plane_and_out_of_it(portraits):
    flat, high = portraits["sa"], portraits["g"]
    assert flat.push.shape == (4, 3) and flat.path.shape == (4, len(flat.path_ms), 3)
    assert np.abs(flat.push[:, 2]).max() < 1e-3 < np.linalg.norm(flat.push[:, :2], axis=1).min()
    assert (high.push[:, 2] > 10 * np.linalg.norm(high.push[:, :2], axis=1)).all()
    assert np.allclose(np.linalg.norm(flat.ring, axis=1), 1, atol=0.02)
    assert flat.angle_deg < 1 < 88 < high.angle_deg
    assert (flat.kinds == "attractor").sum() == (flat.kinds == "saddle").sum() == UNITS
    toward = wrap(np.rad2deg(np.arctan2(*flat.path[:, -1, 1::-1].T) - np.arctan2(*flat.starts[:, ::-1].T)))
    turn = wrap(np.rad2deg(np.diff(np.unwrap(np.arctan2(flat.ring[:, 1], flat.ring[:, 0])))))
    assert (toward * np.sign(turn.mean()) > 0).all()


def test_portraits_are_of_one_network():
    with pytest.raises(ValueError, match="a portrait is of one network, got 2"):
        portrait(designed("sa", 2))
    with pytest.raises(ValueError, match="shown must divide 72, got 5"):
        portrait(designed("sa"), shown=5)


def test_the_example_is_the_first_kept_network_or_the_one_asked_for():
    rows = {"family": ["rt"] * 3 + ["it"] * 2, "network": ["rt-00", "rt-01", "rt-02", "it-00", "it-01"],
            "error_deg": [28.5, 40.0, 6.0, 17.0, 30.0], "error_no_distractor_deg": [31.1, 5, 6, 17, 9],
            "kept": [False, True, True, False, False]}  # fmt: skip
    table = pd.DataFrame(rows, index=range(7, 12))
    chosen = [example(table, "rt"), example(table, "it"), example(table, "rt", 0), example(table, "rt", 2)]
    assert [row.network for row in chosen] == ["rt-01", "it-00", "rt-00", "rt-02"]
    assert [caption(row) for row in chosen] == [
        "rt-01, error 40.0° (5.0° without)", "it-00, error 17.0°, not kept",
        "rt-00, error 28.5°, not kept", "rt-02, error 6.0°",
    ]  # fmt: skip
    with pytest.raises(ValueError, match="seed 3: rt has rt-00 to rt-02"):
        example(table, "rt", 3)


def test_a_portrait_is_drawn_with_its_points_and_arrows(ax, portraits):
    dynamics_plots.draw_portrait(ax, portraits["sa"])
    drawn = [len(c.get_offsets()) for c in ax.collections[1:]]
    assert drawn == [(portraits["sa"].kinds == kind).sum() for kind in KINDS]
    assert len(ax.texts) == 4 and not ax.axison  # an arrow each
    start = portraits["sa"].starts[0] * (1, dynamics_plots.TILT)
    assert np.allclose(ax.texts[0].xyann, start)
    dynamics_plots.portrait_legend(ax.figure, loc="lower center")
    assert [t.get_text() for t in ax.figure.legends[0].texts][:2] == ["attractor", "saddle"]


def test_the_drift_field_is_drawn_by_angle(ax, portraits):
    dynamics_plots.draw_drift_field(ax, portraits["g"], "red")
    line = ax.lines[1]
    assert (np.diff(line.get_xdata()) >= 0).all()
    assert sorted(line.get_ydata()) == sorted(portraits["g"].velocity)
    fast = portraits["g"]._replace(velocity=np.where(np.arange(72) == 3, -123.0, 0.1))
    ax.clear()
    dynamics_plots.draw_drift_field(ax, fast, "red")
    low, high = ax.get_ylim()
    assert ax.get_yscale() == "symlog" and low < -123 and high > 0
    assert ax.texts[0].get_text() == "at most 123.0°/s"


def test_random_planes_are_a_band_with_their_mean(ax):
    dynamics_plots.draw_random_planes(ax, np.linspace(60, 80, 201))
    (band,) = ax.patches
    assert np.allclose((band.get_x(), band.get_width()), (60.5, 19)) and ax.lines[0].get_xdata()[0] == 70


def test_measures_of_networks_are_drawn(ax, measured):
    table = measured["sa"][0]
    dynamics_plots.draw_scatter(ax, table, ["sa"], "push_tangent_deg", "displacement_rms_deg")
    assert np.allclose(ax.collections[0].get_offsets(), table[["push_tangent_deg", "displacement_rms_deg"]])
    ax.clear()
    dynamics_plots.draw_counts(ax, table, ["sa", "g"])
    assert ax.get_yscale() == "log" and [t.get_text() for t in ax.get_xticklabels()] == ["SA", "G"]
    assert ax.lines[0].get_ydata()[0] == UNITS
    ax.clear()
    dynamics_plots.draw_curves(ax, measured["sa"][1], ["sa"], "spread")
    assert np.allclose(ax.lines[0].get_ydata(), tables.curve(measured["sa"][1], "sa", "spread")["mean"])
    ax.clear()
    image = dynamics_plots.draw_cross_time(ax, measured["sa"][1], "sa")
    assert image.get_array().shape == (len(tables.CROSS_TIMES),) * 2
    assert image.get_clim() == (0, 180)  # nothing is cut, and chance is white
    red, green, blue, _ = np.transpose(image.cmap([0.1, 0.49, 0.51, 0.9]))
    assert blue[0] > red[0] and red[3] > blue[3] and min(red[1], green[1], blue[1], blue[2]) > 0.9


def test_both_means_and_what_the_geometric_one_leaves_out():
    values = pd.Series([1.0, 10.0, 100.0, -5.0])
    assert np.isclose(tables.middle(values)[0], 26.5)
    assert np.isclose(tables.middle(values, log=True)[0], gmean([1, 10, 100]))
    _, low, high = tables.middle(values, log=True)
    assert np.isclose(low * high, 100) and low < 10 < high  # symmetric in the logarithm
    rows = pd.DataFrame({"family": ["b"] * 4 + ["a"] * 2, "x": [*values, 2.0, 2.0]})
    found = tables.averages(rows, "x")
    assert list(found.index) == ["b", "a"] and found["not above 0"].tolist() == [1, 0]
    assert found["mean"]["b"].startswith("26.5 [") and found["geometric mean"]["b"].startswith("10 [")
    assert found.loc["a", ["mean", "geometric mean"]].tolist() == ["2 [2, 2]"] * 2
    assert found.loc["b", ["median", "least", "largest"]].tolist() == [5.5, -5, 100]


def test_correlations_are_rank_correlations():
    generator = np.random.default_rng(0)
    rows = pd.DataFrame(generator.standard_normal((20, 3)), columns=["a", "b", "error_deg"])
    rows["c"] = -np.exp(rows.error_deg)
    found = tables.correlations(rows, ["a", "b", "c"], draws=300)
    for name in "ab":
        one = bootstrap_over_networks(lambda x, y: spearmanr(x, y)[0], (rows[name], rows.error_deg), n=300)
        assert np.allclose(found[name].interval95, one.interval95) and np.isclose(found[name].ours, one.ours)
    assert np.isclose(found["c"].ours, -1)
    rows.loc[[3, 7], "b"] = np.nan
    fewer = tables.correlations(rows, ["a", "b"], draws=300)
    assert fewer["a"] == found["a"] and (fewer["a"].n_networks, fewer["b"].n_networks) == (20, 18)
    assert fewer["b"] == tables.correlations(rows.drop([3, 7]), ["b"], draws=300)["b"]
    text = dynamics_plots.correlation_table({"all": fewer})["all (n = 20)"]
    assert text["a"].startswith(f"{fewer['a'].ours:+.2f} [") and text["a"].endswith("]")
    assert text["b"].endswith("], n = 18")


def test_predictors_are_ranked(ax):
    x = np.arange(12.0)
    rows = pd.DataFrame({"error_deg": x, "strong": -x, "weak": x * (-1) ** np.arange(12)})
    strong, weak = tables.correlations(rows, ["strong", "weak"], draws=200).values()
    groups = {"all": {"push_size": strong, "other": weak}, "some": {"push_size": weak, "other": strong}}
    dynamics_plots.draw_predictors(ax, groups, {"all": {"color": "black"}, "some": {"color": "red"}})
    assert [t.get_text() for t in ax.get_legend().texts] == ["all (12)", "some (12)"]
    assert [t.get_text() for t in ax.get_yticklabels()] == ["other", dynamics_plots.NAMES["push_size"]]
    assert ax.lines[1].get_xdata()[0] == -1
    assert set(dynamics_plots.NAMES) == set(tables.COLUMNS)
