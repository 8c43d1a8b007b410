"""Shares and rank correlations over networks, against their formulas and scipy."""

import numpy as np
import pandas as pd
import pytest
from scipy import stats

from wm.estimate import mean_band, mean_interval, means, rank_correlation, wilson_interval


@pytest.mark.parametrize(("successes", "level"), [(26, 0.95), (0, 0.95), (30, 0.9)])
def test_wilson_interval_is_its_formula(successes, level):
    n, share, z = 30, successes / 30, stats.norm.ppf((1 + level) / 2)
    centre, reach = share + z**2 / 2 / n, z * np.sqrt(share * (1 - share) / n + z**2 / 4 / n**2)
    expected = np.array([centre - reach, centre + reach]) / (1 + z**2 / n)
    np.testing.assert_allclose(wilson_interval(successes, n, level), expected, atol=1e-12)


def test_wilson_interval_refuses_more_successes_than_networks():
    with pytest.raises(ValueError, match="must not be greater"):
        wilson_interval(3, 2)


def test_rank_correlation_is_spearman_with_an_interval():
    x, y = np.array([1.0, 2, 3, 4, 5, 6, 7]), np.array([1.0, 3, 2, 2, 9, 8, 20])
    found = rank_correlation(x, y)
    assert found.ours == pytest.approx(stats.spearmanr(x, y)[0]) and found.n_networks == 7
    low, high = found.interval95
    assert -1 <= low < found.ours < high <= 1
    assert rank_correlation(x, np.exp(x)).interval95 == pytest.approx((1, 1))


def test_rank_correlation_refuses_what_is_not_one_number_per_network():
    with pytest.raises(ValueError, match="one number per network"):
        rank_correlation(np.ones((2, 2)), np.ones(2))
    with pytest.raises(ValueError, match="share a leading network axis"):
        rank_correlation(np.arange(6.0), np.arange(7.0))


def test_mean_band_is_the_t_interval():
    values = np.random.default_rng(1).normal(size=(7, 2, 3))
    band = mean_band(values, level=0.9)
    assert band.estimate.shape == (2, 3)
    np.testing.assert_allclose((band.low[1, 2], band.high[1, 2]), mean_interval(values[:, 1, 2], 0.9))


def test_mean_band_leaves_out_what_is_not_there():
    values = np.random.default_rng(1).normal(size=(5, 4))
    values[1, 1] = values[:4, 2] = values[:, 3] = np.nan
    assert np.isnan(mean_band(values).estimate).tolist() == [False, True, True, True]
    band = mean_band(values, skip_nan=True)
    kept = values[[0, 2, 3, 4], 1]
    np.testing.assert_allclose((band.estimate[1], band.low[1], band.high[1]),
                               (kept.mean(), *mean_interval(kept)))  # fmt: skip
    assert band.estimate[2] == values[4, 2] and np.isnan((band.low[2], band.high[2], band.estimate[3])).all()
    with pytest.raises(ValueError, match="two independent trials or more, got 1"):
        mean_band(values[:1])


def test_means_are_text_with_intervals():
    rows = pd.DataFrame({"kind": list("aaabc"), "share": [0, 0.5, 1, 0.25, np.nan], "kl": [0, 2, 4, 1, 1.0]})
    found = means(rows, "kind", ["share", "kl"], shares=["share"])
    assert found.share.tolist() == ["0.5 [0, 1]", "0.25", "-"] and [*found.index] == [*"abc"]
    low, high = mean_interval([0, 2, 4])
    assert found.kl["a"] == f"2 [{low:.4g}, {high:.4g}]"
    assert means(rows, ["kind"], "share").share["a"].startswith("0.5 [-0.7")
