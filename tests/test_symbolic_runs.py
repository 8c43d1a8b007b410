"""Runs and autocorrelations against slow loops, closed forms and planted distributions."""

from itertools import groupby

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays

from wm.estimate import mean_band
from wm.symbolic.runs import (
    autocorrelation,
    checked,
    hold_band,
    hold_counts,
    hold_distribution,
    run_lengths,
)

TOKENS = arrays(np.int64, st.tuples(st.integers(1, 4), st.integers(1, 20)), elements=st.integers(0, 2))


def held(lengths, symbols=2):
    """Symbols in turn, each held for the next of these lengths."""
    return np.repeat(np.arange(len(lengths)) % symbols, lengths)


def renewal(trials, time, seed=0, chance=(0.5, 0.3, 0.2)):
    """Two symbols in turn, held for 1, 2, ... tokens with these chances, from a stationary start."""
    generator = np.random.default_rng(seed)
    lengths = 1 + generator.choice(len(chance), size=(trials, time + 100), p=chance)
    return np.stack([held(each)[100 : 100 + time] for each in lengths])


@given(TOKENS)
def test_runs_are_those_of_a_loop(tokens):
    wanted = []
    for trial, string in enumerate(tokens.tolist()):
        start = 0
        for symbol, group in groupby(string):
            length = len(list(group))
            wanted.append((trial, symbol, start, length, start > 0 and start + length < len(string)))
            start += length
    runs = run_lengths(tokens)
    found = zip(*(getattr(runs, name).tolist() for name in vars(runs)), strict=True)
    assert list(found) == wanted and len(runs) == len(wanted)
    assert runs.select(runs.complete).complete.all()


@given(TOKENS)
def test_hold_counts_are_those_of_a_loop(tokens):
    longest = 5
    ended, at_risk = (np.zeros((len(tokens), 3, longest), dtype=int) for _ in range(2))
    runs = run_lengths(tokens)
    for trial, symbol, start, length, complete in zip(*vars(runs).values(), strict=True):
        for k in range(1, longest + 1):
            if start > 0:
                ended[trial, symbol, k - 1] += complete and length == k
                at_risk[trial, symbol, k - 1] += length > k or (complete and length == k)
    found = hold_counts(tokens, 3, longest)
    np.testing.assert_array_equal(found.ended, ended)
    np.testing.assert_array_equal(found.at_risk, at_risk)


def test_without_cut_runs_the_distribution_is_the_histogram():
    ended = np.array([3, 0, 1])
    np.testing.assert_allclose(hold_distribution(ended, np.array([4, 1, 1])), [0.75, 0, 0.25])
    np.testing.assert_array_equal(hold_distribution(np.zeros(3), np.zeros(3)), 0)


def test_planted_holds_come_back_though_strings_are_short():
    chance = np.array([0.5, 0.1, 0.0, 0.0, 0.0, 0.4])
    tokens = renewal(8000, 10, chance=chance)
    counts = hold_counts(tokens, 2, 6)
    found = hold_distribution(*(count.sum(axis=0) for count in counts))
    np.testing.assert_allclose(found, [chance, chance], atol=0.02)
    complete = counts.ended.sum(axis=(0, 1))
    assert (complete / complete.sum())[-1] < 0.3, "complete runs alone favour short holds"


def test_hold_bands_hold_the_truth_as_often_as_they_say(own_randomness):
    chance = np.array([0.5, 0.3, 0.2])
    bands = [hold_band(renewal(40, 60, seed), 2, 3, draws=300) for seed in range(60)]
    covered = np.mean([(band.low <= chance) & (chance <= band.high) for band in bands])
    assert 0.88 < covered < 0.99
    again = hold_band(renewal(40, 60, 0), 2, 3, draws=300)
    np.testing.assert_array_equal(again.low, bands[0].low)


@given(TOKENS)
def test_autocorrelation_is_that_of_a_loop(tokens):
    trials, time = tokens.shape
    found = autocorrelation(tokens, 3, time - 1)
    assert found.shape == (trials, 3, time)
    for symbol in range(3):
        x = (tokens == symbol).astype(float)
        if x.var() == 0:
            assert np.isnan(found[:, symbol]).all()
            continue
        d = x - x.mean()
        for lag in range(time):
            wanted = [np.mean([a[t] * a[t + lag] for t in range(time - lag)]) / x.var() for a in d]
            np.testing.assert_allclose(found[:, symbol, lag], wanted, atol=1e-9)
        np.testing.assert_allclose(found[:, symbol, 0].mean(), 1)


def test_autocorrelation_of_a_cycle_is_its_overlap():
    symbols, hold, periods = 3, 6, 200
    period = symbols * hold
    tokens = np.tile(np.repeat(np.arange(symbols), hold), periods)[None]
    apart = np.arange(2 * period + 1) % period
    overlap = np.maximum(0, hold - np.minimum(apart, period - apart)) / period  # P(both are the symbol)
    m = 1 / symbols
    wanted = (overlap - m**2) / (m - m**2)
    found = autocorrelation(tokens, symbols, 2 * period)
    np.testing.assert_allclose(found[0], [wanted] * symbols, atol=2 / periods)


def test_autocorrelation_of_independent_symbols_is_none():
    tokens = np.random.default_rng(0).integers(3, size=(200, 500))
    r = autocorrelation(tokens, 3, 50)[..., 1:]
    np.testing.assert_allclose(r.std(axis=0), 500**-0.5, rtol=0.3)
    band = mean_band(r)
    assert 0.85 < ((band.low < 0) & (band.high > 0)).mean() < 1


@pytest.mark.parametrize(
    ("tokens", "message"),
    [
        (np.zeros(3, int), r"\(trial, time\) and not empty, got shape \(3,\)"),
        (np.zeros((0, 3), int), "not empty"),
        (np.zeros((2, 3)), "whole numbers, got float64"),
        (np.array([[0, 3]]), "from 0 to 2, got 0 to 3"),
        (np.array([[-1, 2]]), "from 0 to 2, got -1 to 2"),
    ],
)
def test_wrong_tokens_are_refused(tokens, message):
    with pytest.raises(ValueError, match=message):
        checked(tokens, 3)
    with pytest.raises(ValueError, match=message):
        autocorrelation(tokens, 3, 1)


def test_wrong_sizes_are_refused():
    tokens = np.array([[0, 1, 1]])
    with pytest.raises(ValueError, match="lags must be from 0 to 2, a trial less its first token, got 3"):
        autocorrelation(tokens, 2, 3)
    with pytest.raises(ValueError, match="longest must be 1 token or more, got 0"):
        hold_counts(tokens, 2, 0)
    for fails in (lambda: hold_band(tokens, 2, 3), lambda: mean_band(tokens)):
        with pytest.raises(ValueError, match="two independent trials or more, got 1"):
            fails()
