"""Maps recover planted geometry, draw the numbers they are given, and count networks, not pairs."""

import numpy as np
import pandas as pd
import pytest
from matplotlib import pyplot as plt
from matplotlib.colors import to_hex
from scipy.spatial.distance import pdist, squareform

from wm import store
from wm.geometry import procrustes_fit
from wm.ring import derived, maps, similarity
from wm.style import COLORS


@pytest.fixture
def ax():
    fig, ax = plt.subplots()
    yield ax
    plt.close(fig)


def plane(n=25, seed=0):
    return np.random.default_rng(seed).normal(size=(n, 2)) * [1, 0.4]


def shapes(sizes, units=12, seed=0):
    generator = np.random.default_rng(seed)
    return {name: generator.normal(size=(size, 8, units)) for name, size in sizes.items()}


def kept(**families):
    flags = {name: pd.Series(value) for name, value in families.items()}
    return pd.concat(flags, names=["family", "network"])


@pytest.mark.parametrize("embed", [maps.classical, lambda d: maps.mds(d).points])
def test_points_of_a_plane_are_recovered(embed):
    points = plane()
    fit = procrustes_fit(embed(squareform(pdist(points))), points)
    assert fit.residual < 1e-12 and fit.scale == pytest.approx(1)


def test_stress_is_zero_in_the_plane_and_not_above_it():
    assert maps.mds(squareform(pdist(plane()))).stress < 1e-6
    simplex = 1 - np.eye(12)  # all distances equal: no plane holds twelve such points
    found = maps.mds(simplex)
    assert 0.2 < found.stress < 0.5
    start = pdist(maps.classical(simplex))
    assert found.stress < np.linalg.norm(start - 1) / np.sqrt(len(start))


def test_axes_are_ordered_turned_and_repeatable():
    points = maps.classical(squareform(pdist(plane())))
    spread = points.std(axis=0)
    assert spread[0] > spread[1]
    assert (np.abs(points).max(axis=0) == points.max(axis=0)).all()
    np.testing.assert_array_equal(maps.classical(squareform(pdist(plane()))), points)


def test_tsne_keeps_planted_groups_apart_and_its_input_as_it_was(own_randomness):
    centres = np.repeat([[0, 0], [6, 0], [0, 6]], 12, axis=0)
    distances = squareform(pdist(plane(36) * 0.3 + centres))
    before = distances.copy()
    points = maps.tsne(distances, perplexity=8)
    np.testing.assert_array_equal(distances, before)
    np.testing.assert_array_equal(maps.tsne(distances, perplexity=8), points)
    group = np.repeat(range(3), 12)
    apart = squareform(pdist(points))
    np.fill_diagonal(apart, np.inf)
    assert (group[apart.argmin(axis=1)] == group).all()
    assert maps.tsne(distances).shape == (36, 2)  # the published perplexity is capped


@pytest.mark.parametrize("embed", [maps.classical, maps.mds, maps.tsne])
@pytest.mark.parametrize(
    "distances, match",
    [
        (np.zeros((4, 5)), r"square, of four points or more, got shape \(4, 5\)"),
        (np.zeros((3, 3)), "four points"),
        (np.triu(np.ones((4, 4)), 1), "finite and symmetric"),
        (np.full((4, 4), np.nan), "finite and symmetric"),
    ],
)
def test_what_is_no_distance_matrix_is_refused(embed, distances, match):
    with pytest.raises(ValueError, match=match):
        embed(distances)


def test_published_labels_are_symmetric_and_complete():
    table = maps.published()
    pd.testing.assert_frame_equal(table, table.T)
    assert list(np.flatnonzero(np.diag(table.isna()))) == [8, 9]  # one point each has no distance to itself
    assert table.isna().to_numpy().sum() == 2
    assert table.loc["wmd", "sa"] == 0.22 and table.loc["mst2", "g_it"] == 0.18
    assert set(maps.PUBLISHED_SUBSAMPLED["mst1"]) == {"floor", "mst2", *maps.FAMILIES[:8]}


def test_difference_takes_the_middle_of_a_floored_label():
    ours = maps.published().loc[["wmd", "sa"], ["wmd", "sa"]] + 0.015
    np.testing.assert_allclose(maps.difference(ours), 0.01)


def test_mean_interval_covers_by_networks_not_by_pairs():
    generator = np.random.default_rng(0)
    inside, narrow = 0, 0
    for k in range(60):
        block = 1 + generator.normal(size=(9, 1)) + generator.normal(size=(1, 14))
        found = maps.resampled_mean(block, n=400, seed=k)
        assert found.ours == pytest.approx(block.mean()) and found.n_networks == 9
        inside += found.interval95[0] <= 1 <= found.interval95[1]
        pairs = 1.96 * block.std() / np.sqrt(block.size)
        narrow += abs(block.mean() - 1) <= pairs
    assert inside >= 52 and narrow < 40


def test_one_other_leaves_the_networks_of_the_family():
    column = np.random.default_rng(0).normal(size=(20, 1))
    found = maps.resampled_mean(column)
    assert found.n_networks == 20 and found.interval95[0] < column.mean() < found.interval95[1]
    assert maps.resampled_mean([[0.3]]).interval95 == pytest.approx((0.3, 0.3))
    assert maps.resampled_mean([[0.3]]).n_networks == 1
    for empty in (np.zeros((0, 3)), [1.0]):
        with pytest.raises(ValueError, match="not empty; got shape"):
            maps.resampled_mean(empty)


def test_halves_of_one_population_are_nearest_and_copies_alike(own_randomness):
    states = np.random.default_rng(0).normal(size=(8, 3))
    others = (states @ np.random.default_rng(1).normal(size=(3, 240)))[None]
    rows = {"sa": others[:, :, ::3], "it": shapes({"it": 2}, 90)["it"]}
    table = maps.subsampled(rows, others, draws=5)
    assert list(table.index) == [("sa", 0), ("it", 0), ("it", 1), ("floor", 0)]
    floor, same = table.loc[("floor", 0), 0], table.loc[("sa", 0), 0]
    assert 0 < floor < 0.2 and abs(same - floor) < 0.08
    assert (table.loc["it"] > 3 * floor).all(axis=None)
    with pytest.raises(ValueError, match="others have 1 unit"):
        maps.subsampled(rows, others[:, :, :1])


def test_rows_are_read_kept_first_and_in_order(roots, monkeypatch):
    flags = np.array([False, True, True, False])
    found = pd.DataFrame({"family": "sa", "network": [f"sa-0{k}" for k in range(4)], "kept": flags})
    store.write_table(derived._table(), found)
    rates = np.random.default_rng(0).random((4, 64, 2, 5)).astype(np.float16)
    derived._save("epoch_rates", {"sa": rates}, derived.EPOCH_DIMS, {})
    expected = similarity.procrustes_rows(rates.astype(np.float32))
    rows, good = maps.load_rows(["sa"])
    np.testing.assert_allclose(rows["sa"], expected)
    assert list(good.loc["sa"]) == list(flags) and good.dtype == bool
    rows, good = maps.load_rows(["sa"], networks_each=3)
    np.testing.assert_allclose(rows["sa"], expected[:3])
    assert list(good.loc["sa"]) == [False, True, True]
    monkeypatch.setattr(maps, "load", lambda names: names)
    monkeypatch.setattr(maps, "epoch_rates", lambda names: rates[[int(name[-1]) for name in names]])
    rows, good = maps.load_rows(["sa"], states="computed", networks_each=2)
    np.testing.assert_allclose(rows["sa"], similarity.procrustes_rows(rates[1:3]))
    assert good.all()
    with pytest.raises(ValueError, match="states must be `shipped` or `computed`, got 'new'"):
        maps.load_rows(["sa"], states="new")


def test_matrix_shows_the_numbers_it_is_given(ax):
    values = pd.DataFrame([[0.0, np.nan], [0.159, 0.42]], ["sa", "mine"], ["sa", "mst1"])
    image = maps.plot_matrix(ax, values, limits=(0, 0.42), cmap="viridis")
    np.testing.assert_array_equal(image.get_array().filled(np.nan), values)
    assert [text.get_text() for text in ax.texts] == [".00", ".15", ".42"]
    assert [text.get_color() for text in ax.texts] == ["white", "white", "black"]
    assert [text.get_text() for text in ax.get_xticklabels()] == ["SA", "MST1-like"]
    assert [text.get_text() for text in ax.get_yticklabels()] == ["SA", "mine"]


def test_signed_matrix_is_in_rounded_hundredths(ax):
    values = pd.DataFrame([[0.0149, -0.0251], [-0.004, 0.1]])
    maps.plot_matrix(ax, values, limits=(-0.08, 0.08), cmap="RdBu_r", signed=True)
    assert [text.get_text() for text in ax.texts] == ["+1", "\N{MINUS SIGN}3", "0", "+10"]


def test_map_and_key_draw_every_network(ax):
    flags = kept(sa=[True, False, True], mst1=[True])
    points = np.arange(8.0).reshape(4, 2)
    maps.plot_map(ax, points, flags)
    drawn = {tuple(p): to_hex(c.get_edgecolor()[0]) for c in ax.collections for p in c.get_offsets()}
    assert set(drawn) == {tuple(p) for p in points}
    assert drawn[2.0, 3.0] == COLORS["sa"].lower() and drawn[0.0, 1.0] == "#ffffff"
    maps.plot_key(ax, flags)
    labels = [text.get_text() for text in ax.get_legend().get_texts()]
    assert labels == ["SA (3)", "MST1-like (1)", "hollow: error > 15°"]


def test_shepard_draws_a_dot_for_each_pair(ax):
    points = plane(6)
    maps.plot_shepard(ax, 2 * squareform(pdist(points)), points)
    x, y = ax.lines[0].get_data()
    np.testing.assert_allclose(x, 2 * y)
    assert len(x) == 15 and ax.get_xlim() == ax.get_ylim()


def test_bars_show_means_intervals_and_published_values(ax):
    means = {"sa": maps.resampled_mean([[0.2], [0.3]]), "g_it": maps.resampled_mean([[0.1], [0.2]])}
    maps.plot_bars(ax, means, floor=0.08, reported={"sa": 0.36, "floor": 0.09})
    assert [bar.get_height() for bar in ax.patches] == pytest.approx([0.25, 0.15])
    labels = {line.get_label(): line for line in ax.lines}
    assert labels["published, to neurons"].get_xydata().tolist() == [[0, 0.36]]
    assert labels["floor"].get_ydata()[0] == 0.08 and labels["floor, published"].get_ydata()[0] == 0.09
    segment = ax.collections[0].get_segments()[0]
    assert segment[:, 1] == pytest.approx(means["sa"].interval95)


def test_bars_without_published_values(ax):
    maps.plot_bars(ax, {"sa": maps.resampled_mean([[0.2], [0.3]])}, floor=0.08, reported={})
    assert [text.get_text() for text in ax.get_legend().get_texts()] == ["floor"]
