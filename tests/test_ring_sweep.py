"""Sweeps: published grids, small real ones against closed forms, and analyses on planted truths."""

import hashlib
from pathlib import Path

import matplotlib
import numpy as np
import pandas as pd
import pytest

from wm import ring, store
from wm.ring import sweep, sweep_plots
from wm.ring import sweep_analysis as analysis
from wm.ring.construction import draw_shifts
from wm.ring.learner import RingLearner
from wm.style import COLORS

SHUFFLES = np.array(sweep.SWEEPS["rt_sa"].values, dtype=float)
UPDATES = 2
MEASURED = ["error_deg", "error_no_distractor_deg", "structural", "functional"]


pytestmark = pytest.mark.usefixtures("closed")


@pytest.fixture(scope="module")
def inverted():
    """A small real sweep: stable share .62 and 1, scale 1 and 1.9, one seed."""
    return sweep.run_seed("it_sa", "3", updates=UPDATES, thin=18)


@pytest.fixture(scope="module")
def reshuffled():
    """A small real sweep: shuffle 0 and 130 degrees, scale 1 and 1.8, one seed."""
    return sweep.run_seed("rt_sa", "3", updates=UPDATES, thin=16)


def planted(slope=1.0, slope_f=None, seeds=4, noise=0.0, scales=(1.0, 1.5, 2.0, 3.0)):
    """A table in which log error = 3 + slope log S + slope_f log F (default: the same) + noise."""
    generator = np.random.default_rng(1)
    grid = [(s, scale, seed) for seed in range(seeds) for s in range(0, 130, 10) for scale in scales]
    table = pd.DataFrame(grid, columns=["shuffle_deg", "scale", "seed"])
    table["structural"] = 1 / table.scale
    table["functional"] = analysis.expected_functional("shuffle_deg", table.shuffle_deg)
    log_f = slope if slope_f is None else slope_f
    exponent = 3 + slope * np.log(table.structural) + log_f * np.log(table.functional)
    table["error_deg"] = np.exp(exponent + noise * generator.normal(size=len(table)))
    return table.assign(error_no_distractor_deg=table.error_deg / 2)


def valley(minimum, left=120, right=60):
    """Log error over the shuffle with a minimum at a known place, steeper above it than below."""
    x = SHUFFLES - minimum
    return np.where(x < 0, (x / left) ** 2, (x / right) ** 2)


# --- grids


@pytest.mark.parametrize(
    ("name", "values", "scales", "networks", "settings"),
    [
        ("rt_sa", 23, 29, 667, {"learning_rate": 1e-4, "updates": 5000, "exponent": 1}),
        ("it_sa", 19, 29, 551, {"learning_rate": 1e-3, "updates": 5000, "exponent": 1}),
        ("rt_sa_sharp", 17, 17, 289, {"learning_rate": 1e-3, "updates": 2000, "exponent": 10}),
    ],
)
def test_grids_are_the_published_ones(name, values, scales, networks, settings):
    points = sweep.SWEEPS[name].points()
    axis = sweep.SWEEPS[name].axis
    assert len({getattr(p, axis) for p in points}) == values and len({p.scale for p in points}) == scales
    assert len({(getattr(p, axis), p.scale) for p in points}) == len(points) == networks
    assert all(getattr(p, key) == value for p in points for key, value in settings.items())
    assert {p.scale for p in points} >= {1.0, 1.25, 2.0, 4.0}
    assert max(p.scale for p in points) == (5 if name == "rt_sa_sharp" else 4)
    seen = sorted({getattr(p, axis) for p in points})
    assert (seen[0], seen[-1]) == ((0.62, 1.0) if name == "it_sa" else (0, 160))
    assert all(
        (setting, scale) in {(getattr(p, axis), p.scale) for p in points}
        for setting, scale in analysis.ANCHORS[name]
    )


# --- small real sweeps


def test_inverted_tuning_has_its_closed_forms(inverted):
    assert list(inverted) == ["stable_proportion", "scale", "seed", *MEASURED, "loss"]
    points = list(zip(inverted.stable_proportion, inverted.scale, strict=True))
    assert points == [(0.62, 1), (0.62, 1.9), (1, 1), (1, 1.9)] and (inverted.seed == "3").all()
    assert np.abs(inverted.structural * inverted.scale - 1).max() < 0.01
    assert np.abs(inverted.functional - (2 * inverted.stable_proportion - 1)).max() < 0.01
    assert np.isfinite(inverted[[*MEASURED, "loss"]]).all(axis=None) and inverted.error_deg.nunique() == 4


def test_strong_attractors_have_their_closed_forms(reshuffled):
    strong = reshuffled[reshuffled.shuffle_deg == 0]
    assert len(strong) == 2 and len(reshuffled) == 4
    assert np.abs(strong.structural * strong.scale - 1).max() < 0.01
    assert np.abs(strong.functional - 1).max() < 0.01


def test_shuffled_tuning_keeps_the_mean_cosine_of_its_own_shifts(reshuffled):
    shifts = draw_shifts(ring.config("rt_sa", shuffle_deg=130), "3")
    shuffled = reshuffled[(reshuffled.shuffle_deg == 130) & (reshuffled.scale == 1)]
    assert abs(shuffled.functional.item() - np.cos(np.deg2rad(shifts)).mean()) < 0.1


def alone(row, seed="3"):
    """The network of one row, trained by itself."""
    point = ring.config("rt_sa", shuffle_deg=int(row.shuffle_deg), scale=row.scale, learning_rate=1e-4)
    learner = RingLearner(point, [seed], monitor=False)
    return learner, [learner.update()["loss"].item() for _ in range(UPDATES)][-1]


def test_a_network_is_the_same_alone_as_among_others(reshuffled):
    for row in (reshuffled.iloc[0], reshuffled.iloc[3]):
        learner, loss = alone(row)
        assert loss == pytest.approx(row.loss, rel=1e-5)
        assert sweep._measured(learner, ["3"])[0] == pytest.approx(row[MEASURED].to_numpy(float), rel=2e-3)


def test_points_differ_and_seeds_differ(reshuffled):
    assert reshuffled.loss.nunique() == len(reshuffled)
    assert abs(alone(reshuffled.iloc[0], seed="4")[1] - reshuffled.loss[0]) > 1e-5


# --- resume and collect


@pytest.fixture
def small(monkeypatch):
    """Sweeps that train nothing: run_seed is counted and gives one row."""
    asked = []

    def quick(name, seed, **options):
        asked.append((name, seed, options))
        row = {sweep.SWEEPS[name].axis: [0], "scale": [1.0], "seed": [seed], "error_deg": [10.0 + int(seed)]}
        return pd.DataFrame(row | {"loss": [0.1]})

    monkeypatch.setattr(sweep, "run_seed", quick)
    return asked


def test_an_interrupted_sweep_goes_on_with_missing_seeds(small, tmp_path):
    quick = {"folder": tmp_path, "updates": 3, "thin": 5}
    first = sweep.run_sweep("rt_sa", ["0", "1"], **quick)
    assert [path.name for path in first] == ["rt_sa-0.csv", "rt_sa-1.csv"]
    assert small[0] == ("rt_sa", "0", {"device": "cpu", "updates": 3, "thin": 5})
    record = store.read_json(tmp_path / "rt_sa-0.json")["settings"]
    assert (record["updates"], record["thin"]) == (3, 5)
    assert sweep.run_sweep("rt_sa", ["0", "1"], **quick) == [] and len(small) == 2
    with pytest.raises(ValueError, match="rt_sa-0.csv was made with other settings: choose another folder"):
        sweep.run_sweep("rt_sa", ["0"], folder=tmp_path)
    (tmp_path / "rt_sa-0.json").unlink()  # killed before the record was written
    assert sweep.run_sweep("rt_sa", ["0", "1", "2"], **quick) == [
        tmp_path / "rt_sa-0.csv", tmp_path / "rt_sa-2.csv"
    ]  # fmt: skip


def test_collect_joins_seeds_and_shipped_table_is_read_back(small, tmp_path, roots):
    sweep.run_sweep("it_sa", ["1", "0"], folder=tmp_path)
    sweep.run_sweep("rt_sa", ["0"], folder=tmp_path)
    rows = sweep.collect("it_sa", tmp_path)
    assert rows.seed.tolist() == [0, 1] and rows.error_deg.tolist() == [10, 11]
    pd.testing.assert_frame_equal(sweep.table("it_sa"), rows)
    assert "loss" not in rows
    settings = sweep.settings("it_sa")
    assert settings["updates"] == 5000 and not {"stable_proportion", "scale"} & set(settings)
    record = store.read_json(roots / "data_json" / "ring" / "sweep_it_sa.json")
    assert [run["seed"] for run in record["runs"]] == ["0", "1"] and record["sweep"] == "it_sa"
    digest = hashlib.sha256((roots / "data_json/ring/sweep_it_sa.csv").read_bytes()).hexdigest()
    assert record["files"] == {"data_json/ring/sweep_it_sa.csv": digest}
    assert all(run["networks"] == 1 and run["torch"] and "settings" not in run for run in record["runs"])


@pytest.mark.parametrize("name", sweep.SWEEPS)
def test_shipped_records_are_of_the_shipped_tables(name):
    place = Path(__file__).parents[1] / f"data_json/ring/sweep_{name}.csv"
    digest = hashlib.sha256(place.read_bytes()).hexdigest()
    assert store.read_json(place.with_suffix(".json"))["files"] == {f"data_json/ring/{place.name}": digest}


def test_collect_does_not_mix_the_narrow_kernel_in(small, tmp_path, roots):
    sweep.run_sweep("rt_sa", ["0"], folder=tmp_path)
    sweep.run_sweep("rt_sa_sharp", ["0", "1"], folder=tmp_path)
    assert len(sweep.collect("rt_sa", tmp_path)) == 1 and len(sweep.collect("rt_sa_sharp", tmp_path)) == 2


def test_collect_refuses_nothing_and_different_settings(small, tmp_path, roots):
    with pytest.raises(ValueError, match="holds no seed of the sweep rt_sa: make some with `run_sweep`"):
        sweep.collect("rt_sa", tmp_path)
    sweep.run_sweep("rt_sa", ["0", "1"], folder=tmp_path)
    record = store.read_json(tmp_path / "rt_sa-1.json")
    record["settings"]["noise"] = 0.2
    store.write_json(tmp_path / "rt_sa-1.json", record)
    with pytest.raises(ValueError, match="different settings: collect them apart"):
        sweep.collect("rt_sa", tmp_path)


def test_tables_say_what_is_wrong(roots):
    with pytest.raises(ValueError, match="unknown sweep 'rt': one of rt_sa, it_sa, rt_sa_sharp"):
        sweep.table("rt")
    with pytest.raises(ValueError, match="unknown sweep 'rt'"):
        sweep.settings("rt")
    with pytest.raises(store.DamagedFile, match="sweep_it_sa.csv"):
        sweep.table("it_sa")
    with pytest.raises(store.DamagedFile, match="sweep_it_sa.json"):
        sweep.settings("it_sa")


@pytest.mark.parametrize("name", list(sweep.SWEEPS))
def test_shipped_tables_hold_the_whole_grid_for_ten_seeds(name):
    table, axis = sweep.table(name), sweep.SWEEPS[name].axis
    expected = {(getattr(point, axis), point.scale) for point in sweep.SWEEPS[name].points()}
    assert sorted(set(table.seed)) == list(range(10)) and list(table)[0] == axis
    for _, rows in table.groupby("seed"):
        assert len(rows) == len(expected)
        assert set(zip(rows[axis], rows.scale.round(2), strict=True)) == expected


@pytest.mark.parametrize("name", sweep.SWEEPS)
def test_shipped_tables_were_made_with_these_settings(name):
    assert sweep.settings(name) == sweep._settings(name)


# --- planted truths


@pytest.mark.parametrize("minimum", [0, 60, 110, 130])
def test_the_smooth_fit_finds_a_known_minimum(minimum):
    assert abs(analysis.lowest(SHUFFLES, np.exp(2 + valley(minimum))) - minimum) <= 5
    noise = np.random.default_rng(0).normal(size=(20, len(SHUFFLES))) * 0.05
    found = [analysis.lowest(SHUFFLES, np.exp(2 + valley(minimum) + each)) for each in noise]
    assert abs(np.mean(found) - minimum) <= 8 and np.std(found) < 8


def test_without_a_minimum_the_fit_goes_to_the_end_or_nowhere():
    assert analysis.lowest(SHUFFLES, np.exp(SHUFFLES / 100)) == 0
    assert analysis.lowest(SHUFFLES, np.exp(-SHUFFLES / 100)) == 160
    noise = np.random.default_rng(0).normal(size=(20, len(SHUFFLES))) * 0.05
    assert np.std([analysis.lowest(SHUFFLES, np.exp(each)) for each in noise]) > 25  # flat: anywhere


def test_smooth_keeps_parabolas_and_damps_noise():
    at = np.linspace(0, 160, 33)
    assert analysis.smooth(SHUFFLES, (SHUFFLES - 70) ** 2, at) == pytest.approx((at - 70) ** 2, abs=1e-6)
    noise = np.random.default_rng(0).normal(size=len(SHUFFLES))
    assert analysis.smooth(SHUFFLES, noise, at).std() < 0.8 * noise.std()
    wide = analysis.smooth(SHUFFLES, noise, SHUFFLES, bandwidth=1e6)
    assert wide == pytest.approx(np.polynomial.Polynomial.fit(SHUFFLES, noise, 2)(SHUFFLES), abs=1e-6)
    with pytest.raises(ValueError, match="three different x or more, got 2"):
        analysis.smooth(np.array([0, 0, 1]), np.zeros(3), at)


def test_best_by_seed_reads_one_scale_of_every_seed():
    parts = []
    for seed, minimum in enumerate((130, 60)):
        for scale, shift in ((1.0, 0), (2.0, -20)):
            error = np.exp(2 + valley(minimum + shift))
            part = {"shuffle_deg": SHUFFLES, "scale": scale, "seed": seed, "error_deg": error}
            parts.append(pd.DataFrame(part))
    table = pd.concat(parts).sample(frac=1, random_state=0)
    assert analysis.best_by_seed(table, 1.0) == pytest.approx([130, 60], abs=5)
    assert analysis.best_by_seed(table, 2) == pytest.approx([110, 40], abs=5)
    with pytest.raises(ValueError, match=r"no network with scale 3: take one of \[1.0, 2.0\]"):
        analysis.best_by_seed(table, 3)


def test_correlation_of_known_strength_is_found():
    assert analysis.correlations(planted(0.9)) == pytest.approx(np.ones(4))
    assert analysis.correlations(planted(-0.9)) == pytest.approx(-np.ones(4))
    x = np.log(planted().eval("structural * functional"))
    noise = x.std() * np.sqrt(1 / 0.8**2 - 1)  # for r = .8
    assert analysis.correlations(planted(1.0, noise=noise, seeds=60)).mean() == pytest.approx(0.8, abs=0.03)
    none = analysis.correlations(planted(0.0, noise=1, seeds=60))
    assert abs(none.mean()) < 0.04


def test_correlation_leaves_out_networks_without_product():
    table = planted(0.9)
    table.loc[[0, 60], "functional"] = [np.nan, -0.1]
    assert analysis.correlations(table) == pytest.approx(np.ones(4))
    column = analysis.correlations(table.assign(other=1 / table.error_deg), "other")
    assert column == pytest.approx(-np.ones(4))


def test_slopes_tell_a_product_from_its_factors():
    assert analysis.slopes(planted(0.9)) == pytest.approx(np.full((4, 2), 0.9))
    assert analysis.slopes(planted(0.9, slope_f=0.3)) == pytest.approx(np.tile((0.9, 0.3), (4, 1)))


def test_the_selection_is_the_published_one():
    table = pd.DataFrame({
        "structural": [1, 0.5, 1, 1, np.nan], "functional": [0.25, 0.4, 1, 1, 1],
        "error_deg": [29, 10, 29.9, 30, 10],
    })  # fmt: skip
    assert analysis.selected(table).index.tolist() == [0, 2]


def test_surface_is_the_mean_over_seeds_and_points_are_found():
    table = planted(noise=0.3)
    means = analysis.surface(table, "error_no_distractor_deg")
    assert means.index.name == "shuffle_deg" and list(means.columns) == [1, 1.5, 2, 3]
    samples = analysis.at_point(table.sample(frac=1, random_state=0), 50, 1.5, "error_no_distractor_deg")
    assert len(samples) == 4 and means.loc[50, 1.5] == pytest.approx(samples.mean())
    assert samples == pytest.approx(table.query("shuffle_deg == 50 and scale == 1.5").error_deg / 2)
    with pytest.raises(ValueError, match="no network with shuffle_deg 55 and scale 2: take a point of the"):
        analysis.at_point(table, 55, 2)


def test_closed_forms():
    assert analysis.expected_functional("shuffle_deg", [0, 90, 180]) == pytest.approx([1, 2 / np.pi, 0])
    uniform = np.deg2rad(np.linspace(-130, 130, 100_001))
    sine = analysis.expected_functional("shuffle_deg", [130])[0]
    assert sine == pytest.approx(np.cos(uniform).mean(), abs=1e-4)
    assert analysis.expected_functional("stable_proportion", [0.62, 1]) == pytest.approx([0.24, 1])
    with pytest.raises(ValueError, match="no closed form over 'scale': take shuffle_deg or stable"):
        analysis.expected_functional("scale", [1])
    table = planted()
    table.loc[3, ["structural", "functional"]] = np.nan
    table["structural"] += 0.02
    off = analysis.closed_form(table)
    assert len(off) == len(table) - 1 and off.structural.to_numpy() == pytest.approx(0.02)
    assert off.functional.to_numpy() == pytest.approx(0)
    assert off["product"].to_numpy() == pytest.approx(0.02 * table.functional.dropna())


def test_anchors_pair_published_with_ours():
    tables = {name: sweep.table(name) for name in sweep.SWEEPS}
    points = analysis.anchors(tables)
    assert len(points) == 9 * 2 + 5 * 2 + 3 and all(len(samples) == 10 for samples in points.samples)
    assert analysis.margin(29.1) == pytest.approx(2.91) and analysis.margin(2.7) == 1
    row = points.query("sweep == 'it_sa' and setting == 0.8 and not distractor").iloc[0]
    ours = tables["it_sa"].query("stable_proportion == 0.8 and scale == 2").error_no_distractor_deg
    assert row.published == 4.5 and sorted(row.samples) == sorted(ours)


# --- plots


def test_ratios_are_drawn_worst_first_on_the_published_axes(ax):
    table = planted(noise=0.2)
    colours = sweep_plots.draw_ratios(ax, table)
    (dots,) = ax.collections
    errors = np.asarray(dots.get_array())
    assert (np.diff(errors) <= 0).all() and len(errors) == len(table)
    best = table.loc[table.error_deg.idxmin()]
    assert np.asarray(dots.get_offsets())[-1] == pytest.approx((best.structural, best.functional))
    assert ax.get_xlim()[0] > 1 > 0.25 > ax.get_xlim()[1] and ax.get_ylim() == ax.get_xlim()
    x, y = ax.lines[0].get_data()
    assert x * y == pytest.approx(0.25)
    assert (colours.norm.vmin, colours.norm.vmax) == (8, 20) and colours.norm(5) == 0 == colours.norm(8.5)


def test_trained_networks_are_drawn_large_where_kept(ax):
    rows = {"family": ["wmd", "wmd", "wmonly"], "kept": [True, False, True], "structural": [0.5, 0.9, 0.8],
            "functional": [0.1, 0.5, 0.7], "error_deg": [7, 40, 42]}  # fmt: skip
    sweep_plots.draw_trained(ax, pd.DataFrame(rows))
    drawn = sorted((*dots.get_offsets()[0].tolist(), dots.get_sizes()[0]) for dots in ax.collections)
    assert drawn == [(0.5, 0.1, 14), (0.8, 0.7, 14), (0.9, 0.5, 5)]
    assert [text.get_text() for text in ax.texts] == ["Trained", "WM-only"]
    assert ax.get_xlim()[1] == 0 == ax.get_ylim()[1]


def test_the_product_panel_writes_the_correlation_of_the_selection(ax):
    table = planted(0.9)
    sweep_plots.draw_product(ax, table, "it_sa")
    rest, chosen = ax.collections
    assert len(chosen.get_offsets()) == len(analysis.selected(table)) < len(table)
    assert len(rest.get_offsets()) + len(chosen.get_offsets()) == len(table)
    assert matplotlib.colors.same_color(chosen.get_facecolor()[0, :3], COLORS["it_sa"])
    assert ax.texts[0].get_text().startswith("$r$ = 1.000\n[1.000") and ax.get_title() == "I/T+SA"


def test_one_seed_has_no_interval(ax):
    sweep_plots.draw_product(ax, planted(0.9, seeds=1), "rt_sa")
    assert ax.texts[0].get_text() == "$r$ = 1.000"


@pytest.mark.parametrize("curve", [True, False])
def test_heat_maps_have_a_cell_around_every_point(ax, curve):
    means = analysis.surface(planted())
    mesh = sweep_plots.draw_surface(ax, means, curve=curve)
    assert np.asarray(mesh.get_array()).reshape(means.shape) == pytest.approx(means.to_numpy())
    x, y = mesh.get_coordinates()[0, :, 0], mesh.get_coordinates()[:, 0, 1]
    assert x.tolist() == [0.75, 1.25, 1.75, 2.5, 3.5] and y[[0, 1, -1]].tolist() == [-5, 5, 125]
    assert len(ax.lines) == curve
    if curve:
        scale, shuffle = ax.lines[0].get_data()
        assert analysis.expected_functional("shuffle_deg", shuffle) / scale == pytest.approx(0.25)


def test_profiles_show_best_and_published(ax):
    error = {seed: np.exp(2.3 + valley(minimum)) for seed, minimum in enumerate((110, 120, 130))}
    table = pd.concat(
        pd.DataFrame({"shuffle_deg": SHUFFLES, "scale": 1.0, "seed": seed, "error_deg": each})
        for seed, each in error.items()
    )
    sweep_plots.draw_profile(ax, table, 1.0, published=100)
    best = analysis.best_by_seed(table, 1.0)
    *_, ticks, interval, mean, published = ax.lines
    assert len(ax.lines) == 3 + 4 and ticks.get_xdata().tolist() == best.tolist()
    assert mean.get_xdata()[0] == pytest.approx(best.mean()) and published.get_xdata()[0] == 100
    assert interval.get_xdata()[0] < best.mean() < interval.get_xdata()[1] and ax.get_title() == "scale 1"


def test_closed_form_panel(ax):
    sweep_plots.draw_closed_form(ax, planted(), analysis.MEASURED_FUNCTIONAL)
    *seeds, form, published = ax.lines
    assert len(seeds) == 4 and published.get_ydata()[0] == 0.91
    assert form.get_ydata() == pytest.approx(np.sinc(form.get_xdata() / 180))
    assert seeds[0].get_ydata()[5] == pytest.approx(np.sinc(50 / 180))


def test_anchor_panel_draws_published_against_ours(ax):
    points = pd.DataFrame({
        "sweep": ["rt_sa", "it_sa"], "distractor": [True, False], "published": [10.0, 5.0],
        "samples": [np.array([9.0, 10, 11]), np.array([5.0, 6, 7])],
    })  # fmt: skip
    sweep_plots.draw_anchors(ax, points)
    drawn = [line for line in ax.lines if len(line.get_xdata()) == 1]
    assert [line.get_xydata()[0].tolist() for line in drawn] == [[10, 10], [5, 6]]
    assert drawn[1].get_markerfacecolor() == "white" and len(ax.get_legend().get_texts()) == 4
