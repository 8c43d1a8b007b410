"""Predictors by counts against dictionaries, and on processes whose entropy rate is known."""

from collections import Counter, defaultdict

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays

from wm.symbolic.ngram import best_order, fit, fit_hazard

TOKENS = arrays(np.int64, st.tuples(st.integers(1, 3), st.integers(2, 15)), elements=st.integers(0, 2))
CHAIN = np.array([[0.7, 0.2, 0.1], [0.1, 0.8, 0.1], [0.3, 0.3, 0.4]])


def markov(trials, time, seed=0):
    """Strings of the chain, past its start."""
    generator = np.random.default_rng(seed)
    state, found = np.zeros(trials, dtype=int), []
    for draw in generator.random((time + 50, trials)):
        state = (draw[:, None] > CHAIN.cumsum(axis=1)[state]).sum(axis=1)
        found.append(state)
    return np.stack(found[50:], axis=1)


def holding(trials, time, seed=0):
    """0 and 1 in turn: 0 is held for 3 or 12 tokens by chance, and 1 for as long as the 0 before it."""
    generator, strings = np.random.default_rng(seed), []
    for _ in range(trials):
        first = generator.choice([3, 12], size=time // 3)
        strings.append(np.repeat(np.arange(2 * len(first)) % 2, first.repeat(2))[7 : 7 + time])
    return np.stack(strings)


def windows_before(string, t, order):
    """Pasts of token t by rising depth; none where the string has not begun."""
    return [tuple(string[t - k : t]) if k <= t else None for k in range(order + 1)]


def holds_before(string, t, earlier, longest):
    """The past of token t as runs, from the last one back; none where it is not known."""
    runs, known = [], 0
    for k in range(t):
        if k and string[k] == string[k - 1]:
            runs[-1][1] += 1
        else:
            runs.append([string[k], 1])
    flat = []
    for back, (symbol, length) in enumerate(reversed(runs)):
        flat += [symbol, min(length, longest)]
        known += 2 if back < len(runs) - 1 else 1
    return [()] + [tuple(flat[:k]) if k <= known else None for k in range(1, 2 * earlier + 3)]


def by_dictionary(train, tokens, pasts, symbols):
    """P of each symbol at each token but the first, (trial, time - 1, symbol), by the formula."""
    counts = defaultdict(Counter)
    for string in train.tolist():
        for t in range(1, len(string)):
            for past in pasts(string, t):
                if past is not None:
                    counts[past][string[t]] += 1

    def row(string, t):
        p = [1 / symbols] * symbols
        for past in pasts(string, t):
            if past in counts:
                seen = counts[past]
                p = [(seen[s] + len(seen) * p[s]) / (seen.total() + len(seen)) for s in range(symbols)]
        return p

    return np.array([[row(string, t) for t in range(1, len(string))] for string in tokens.tolist()])


@given(TOKENS, TOKENS, st.integers(0, 5))
def test_ngram_is_that_of_a_dictionary(train, tokens, order):
    model = fit(train, order, 3)
    wanted = by_dictionary(train, tokens, lambda string, t: windows_before(string, t, order), 3)
    found = model.predictive(tokens)
    np.testing.assert_allclose(found[:, :-1], wanted, atol=1e-12)
    np.testing.assert_allclose(found.sum(axis=2), 1)
    chosen = np.take_along_axis(wanted, tokens[:, 1:, None], axis=2)[..., 0]
    np.testing.assert_allclose(model.nll(tokens), -np.log(chosen), atol=1e-12)


@given(TOKENS, TOKENS, st.integers(0, 2))
def test_hazard_is_that_of_a_dictionary(train, tokens, earlier):
    model = fit_hazard(train, 3, earlier=earlier, longest=3)
    wanted = by_dictionary(train, tokens, lambda string, t: holds_before(string, t, earlier, 3), 3)
    np.testing.assert_allclose(model.predictive(tokens)[:, :-1], wanted, atol=1e-12)


@given(TOKENS, TOKENS)
def test_nothing_that_comes_later_is_used(train, tokens):
    for model in (fit(train, 4, 3), fit_hazard(train, 3, longest=5)):
        whole = model.predictive(tokens)
        for t in range(1, tokens.shape[1]):
            np.testing.assert_array_equal(model.predictive(tokens[:, :t]), whole[:, :t])


def test_loss_on_a_markov_chain_is_its_entropy_rate_at_order_one():
    stationary = np.linalg.matrix_power(CHAIN, 200)[0]
    rate = -(stationary[:, None] * CHAIN * np.log(CHAIN)).sum()
    train, fresh = markov(100, 1000), markov(100, 1000, seed=1)
    model = fit(train, 1, 3)
    np.testing.assert_allclose(model.nll(fresh).mean(), rate, atol=0.005)
    np.testing.assert_allclose(model.predictive(np.arange(3)[:, None])[:, 0], CHAIN, atol=0.01)
    independent = -(stationary * np.log(stationary)).sum()
    np.testing.assert_allclose(model.truncated(0).nll(fresh).mean(), independent, atol=0.01)


def test_held_out_data_choose_the_true_order():
    train, validation = markov(5, 1000), markov(5, 1000, seed=1)
    selection = best_order(train, validation, range(6))
    assert selection.best.order == 1 and list(selection.nll) == list(range(6))
    own = fit(train, 4, 3)
    assert selection.nll[4] == own.nll(validation).mean()
    np.testing.assert_array_equal(own.truncated(2).nll(validation), fit(train, 2, 3).nll(validation))
    assert own.nll(train).mean() < own.truncated(1).nll(train).mean(), (
        "training data would choose the longest"
    )


def test_hazard_counts_where_a_window_does_not_reach():
    train, fresh = holding(50, 400), holding(50, 400, seed=1)
    late = np.s_[:, 40:]
    window, alone, paired = (
        model.nll(fresh)[late].mean()
        for model in (fit(train, 5, 2), fit_hazard(train, 2, earlier=0), fit_hazard(train, 2, earlier=1))
    )
    # a choice of one bit for each pair of holds, of 15 tokens on the average, is all that cannot be known
    assert paired < 1.25 * np.log(2) / 15 < 0.9 * alone < 0.8 * window


def test_past_never_seen_falls_back_on_a_shorter_one():
    model, unseen = fit(np.array([[0, 1, 0, 1, 0, 1]]), 3, 3), np.array([[2, 2, 2]])
    np.testing.assert_array_equal(model.predictive(unseen), model.truncated(0).predictive(unseen))
    assert np.isfinite(model.nll(np.array([[2, 2, 1]]))).all()
    assert model.nll(np.array([[1]])).shape == (1, 0)


def test_order_ten_is_quick_to_count():
    tokens = markov(20, 1000)
    model = fit(tokens, 30, 3)
    assert model.levels[10].counts.sum() == 20 * (1000 - 10)
    assert len(model.levels) == 31 and np.isfinite(model.nll(tokens)).all()


def test_wrong_models_are_refused():
    tokens = np.array([[0, 1, 1, 2]])
    for order in (-1, 40):
        with pytest.raises(
            ValueError, match=f"order must be from 0 to 62 bits' worth of 3 symbols, got {order}"
        ):
            fit(tokens, order, 3)
    for options in ({"earlier": -1}, {"longest": 0}, {"earlier": 9}):
        with pytest.raises(ValueError, match="earlier must be 0 or more, longest 1 or more"):
            fit_hazard(tokens, 3, **options)
    for fails in (
        lambda t: fit(t, 1, 3),
        lambda t: fit_hazard(t, 3),
        lambda t: best_order(tokens, t, [1], 3),
    ):
        with pytest.raises(ValueError, match="single token have nothing that follows"):
            fails(tokens[:, :1])
    with pytest.raises(ValueError, match="no orders were given"):
        best_order(tokens, tokens, [])
    with pytest.raises(ValueError, match="order must be from 0 to 2, for which there are counts, got 3"):
        fit(tokens, 2, 3).truncated(3)
    with pytest.raises(ValueError, match="tokens must be symbols from 0 to 1, got 0 to 2"):
        fit(tokens, 2, 2)
    with pytest.raises(ValueError, match="tokens must be symbols from 0 to 2"):
        fit(tokens, 2, 3).predictive(tokens + 1)
