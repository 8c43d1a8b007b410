"""Marks of all systems against the estimates that they show."""

import matplotlib.pyplot as plt
import numpy as np
import pytest

from wm.estimate import mean_interval
from wm.marks import band


@pytest.fixture
def ax():
    yield plt.subplots()[1]
    plt.close("all")


def test_band_is_the_mean_and_its_interval_within_bounds(ax):
    values = np.array([[0.1, 0.5, np.nan], [0.9, 0.6, 0.2], [0.8, 0.7, 0.4]])
    band(ax, [1, 2, 3], values, color="black", within=(0, 1), label="x")
    assert np.allclose(ax.lines[0].get_ydata(), [0.6, 0.6, 0.3]) and ax.lines[0].get_label() == "x"
    ends = ax.collections[0].get_paths()[0].vertices[:, 1]
    assert ends.min() == 0 and ends.max() == 1
    assert np.isclose(ends, mean_interval(values[:, 1])[0]).any()


def test_one_network_has_no_band(ax):
    band(ax, [1, 2], [[0.1, 0.5]], color="black")
    assert ax.lines[0].get_ydata().tolist() == [0.1, 0.5] and not ax.collections
