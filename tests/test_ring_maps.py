"""Maps draw the numbers they are given; rows are read and selected as asked."""

import numpy as np
import pandas as pd
import pytest
from matplotlib.colors import to_hex
from scipy.spatial.distance import pdist, squareform

from wm import store
from wm.estimate import pair_mean
from wm.ring import derived, maps, similarity
from wm.style import COLORS


def plane(n=25, seed=0):
    return np.random.default_rng(seed).normal(size=(n, 2)) * [1, 0.4]


def kept(**families):
    flags = {name: pd.Series(value) for name, value in families.items()}
    return pd.concat(flags, names=["family", "network"])


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


def test_rows_are_read_kept_first_and_in_order(roots, monkeypatch):
    flags = np.array([False, True, True, False])
    found = pd.DataFrame({"family": "sa", "network": [f"sa-0{k}" for k in range(4)], "kept": flags})
    store.write_table(roots / "data_json/ring/networks.csv", found)
    rates = np.random.default_rng(0).random((4, 64, 2, 5)).astype(np.float16)
    place, dims = roots / "data_npy/ring/epoch_rates.h5", {"sa": derived.EPOCH_DIMS}
    store.save_states(place, {"sa": rates}, dims=dims, units={"sa": "1"}, attrs={})
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


def test_networks_are_selected_by_word():
    flags = kept(sa=[True, False], it=[True])
    pd.testing.assert_series_equal(maps.selected(flags, "kept"), flags)
    assert maps.selected(flags, "all").all() and maps.selected(flags, "all").index.equals(flags.index)
    with pytest.raises(ValueError, match="selection must be `kept` or `all`, got 'al'"):
        maps.selected(flags, "al")


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
    means = {"sa": pair_mean([[0.2], [0.3]]), "g_it": pair_mean([[0.1], [0.2]])}
    maps.plot_bars(ax, means, floor=0.08, reported={"sa": 0.36, "floor": 0.09})
    assert [bar.get_height() for bar in ax.patches] == pytest.approx([0.25, 0.15])
    labels = {line.get_label(): line for line in ax.lines}
    assert labels["published, to neurons"].get_xydata().tolist() == [[0, 0.36]]
    assert labels["floor"].get_ydata()[0] == 0.08 and labels["floor, published"].get_ydata()[0] == 0.09
    segment = ax.collections[0].get_segments()[0]
    assert segment[:, 1] == pytest.approx(means["sa"].interval95)


def test_bars_without_published_values(ax):
    maps.plot_bars(ax, {"sa": pair_mean([[0.2], [0.3]])}, floor=0.08, reported={})
    assert [text.get_text() for text in ax.get_legend().get_texts()] == ["floor"]
