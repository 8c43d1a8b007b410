"""Symbol cycles against closed forms, enumeration of hidden paths, and long draws."""

from collections import Counter
from itertools import product

import numpy as np
import pytest

from wm.symbolic import Cycle, Scrambled
from wm.train import numpy_generator

CYCLES = [Cycle(), Cycle(2, (3,)), Cycle(4, (2,)), Cycle(3, (1,)), Cycle(3, (2, 3)), Cycle(2, (1, 4))]


def paths(cycle: Cycle, length: int) -> Counter:
    """P(window) by following every hidden path: first symbol, its holding time, steps gone, next runs."""
    found = Counter()
    mean = np.mean(cycle.holding)
    for first, held in product(range(cycle.symbols), cycle.holding):
        for gone in range(held):
            tails = [((first,) * (held - gone), 1.0)]
            while any(len(shown) < length for shown, _ in tails):
                tails = [
                    (shown + ((shown[-1] + 1) % cycle.symbols,) * more, chance / len(cycle.holding))
                    for shown, chance in tails
                    for more in cycle.holding
                ]
            for shown, chance in tails:  # a moment falls into each step of each run alike
                found[shown[:length]] += chance / cycle.symbols / len(cycle.holding) / mean
    return found


@pytest.mark.parametrize("cycle", CYCLES)
@pytest.mark.parametrize("length", [1, 4, 7])
def test_windows_are_those_of_all_hidden_paths(cycle, length):
    expected = paths(cycle, length)
    tokens, probability = cycle.windows(length)
    assert [*map(tuple, tokens)] == sorted(expected)
    assert probability == pytest.approx([expected[window] for window in map(tuple, tokens)])
    assert probability.sum() == pytest.approx(1)


@pytest.mark.parametrize("cycle", CYCLES)
def test_prediction_is_the_ratio_of_window_probabilities(cycle):
    longer, shorter = paths(cycle, 6), paths(cycle, 5)
    tokens, _ = cycle.windows(5)
    expected = np.array([[longer[*window, s] for s in range(cycle.symbols)] for window in tokens])
    expected /= [[shorter[tuple(window)]] for window in tokens]
    assert cycle.predictive(tokens)[:, -1] == pytest.approx(expected, abs=1e-12)


@pytest.mark.parametrize("cycle", CYCLES)
def test_costs_of_a_window_add_up_to_its_probability(cycle):
    tokens, probability = cycle.windows(6)
    assert cycle.nll(tokens).sum(axis=1) == pytest.approx(-np.log(probability))
    chained = np.log(cycle.symbols) + cycle.entropies(5).sum()
    assert chained == pytest.approx(-(probability * np.log(probability)).sum())


@pytest.mark.parametrize(("holding", "context"), [(6, 10), (6, 6), (3, 5), (10, 10), (9, 12), (1, 4)])
def test_floor_of_one_holding_time_is_that_of_learning_the_place_once(holding, context):
    assert Cycle(3, (holding,)).floor(context) == pytest.approx(np.log(holding) / context)


def test_floor_of_a_short_context_has_only_its_own_terms():
    # switch after L equal symbols: one of the h + 1 - L places left
    chances = [1 / (6 + 1 - length) for length in range(1, 5)]
    entropies = [-(p * np.log(p) + (1 - p) * np.log(1 - p)) for p in chances]
    alike = [(6 - length + 1) / 6 for length in range(1, 5)]  # P(first L symbols are equal)
    assert Cycle().entropies(4) == pytest.approx(np.multiply(alike, entropies))


def test_published_limits():
    published = [0.4506, 0.4170, 0.3749, 0.3183, 0.2310, *[0] * 5]
    assert Cycle().entropies(10) == pytest.approx(published, abs=1e-4)
    assert Cycle().floor(10) == pytest.approx(0.17918, abs=1e-5)
    assert Cycle().ceiling(10) == pytest.approx(11 / 12)
    assert Cycle(3, (10,)).floor(10) == pytest.approx(0.23026, abs=1e-5)


@pytest.mark.parametrize("cycle", [Cycle(), Cycle(3, (2, 3))])
def test_samples_show_windows_as_often_as_they_should(cycle):
    tokens, probability = cycle.windows(4)
    drawn = cycle.sample(20_000, 40, numpy_generator(0, "sample"))
    assert cycle.legal(drawn).all()
    for place in (0, 36):  # at the start and far from it: the start is stationary
        counted = Counter(map(tuple, drawn[:, place : place + 4].tolist()))
        shares = np.array([counted[window] for window in map(tuple, tokens.tolist())]) / len(drawn)
        assert sum(counted.values()) == sum(counted[window] for window in map(tuple, tokens.tolist()))
        assert shares == pytest.approx(probability, abs=5 * np.sqrt(0.25 / len(drawn)))


def test_the_impossible_has_no_prediction_and_infinite_cost():
    cycle = Cycle()
    reverse = np.array([[1, 1, 0, 0]])
    predicted = cycle.predictive(reverse)
    assert np.isfinite(predicted[0, :2]).all() and np.isnan(predicted[0, 2:]).all()
    assert not cycle.legal(reverse)[0]
    costs = cycle.nll(reverse)[0]
    assert np.isinf(costs[2]) and costs[3] == pytest.approx(cycle.nll(np.array([[0, 0]]))[0, 1])


def test_a_run_that_is_too_long_or_too_short_is_impossible():
    held = np.array([0] * 6 + [1] * 4)
    assert Cycle().legal(held)
    assert not Cycle().legal(np.array([0] * 7))
    assert not Cycle().legal(np.array([2, *[0] * 5, 1]))


def test_phase_is_known_once_a_transition_is_seen():
    cycle = Cycle(2, (3,))
    tokens, _ = cycle.windows(4)
    assert sorted(cycle.phases(tokens)) == [0, 1, 2, 3, 4, 5]
    assert cycle.phases(np.array([[0, 0, 0], [1, 1, 0], [0, 1, 0], [1, 1, 1]])).tolist() == [2, 0, -1, 5]
    assert cycle.phases(np.array([[0, 0]])).tolist() == [-1]


def test_windows_in_the_order_of_their_phases():
    tokens = Cycle(2, (3,)).phase_windows(4)
    assert tokens.tolist() == [[int((phase + t) % 6 >= 3) for t in range(3, 7)] for phase in range(6)]
    with pytest.raises(ValueError, match="windows of 2 symbols do not tell all phases of Cycle.*take longer"):
        Cycle(2, (3,)).phase_windows(2)
    with pytest.raises(ValueError, match="has no period"):
        Cycle(2, (1, 3)).phase_windows(4)


def test_scrambled_symbols_cannot_be_predicted():
    process = Scrambled(3)
    drawn = process.sample(5000, 4, numpy_generator(0, "scrambled"))
    counted = Counter(map(tuple, drawn[:, 1:3].tolist()))
    assert max(counted.values()) - min(counted.values()) < 5 * np.sqrt(5000 / 9)
    assert (process.floor(10), process.ceiling(10)) == (pytest.approx(np.log(3)), pytest.approx(1 / 3))


def test_what_is_no_cycle_is_refused():
    with pytest.raises(ValueError, match="two symbols"):
        Cycle(1)
    for holding in ((), (0,), (3, 3)):
        with pytest.raises(ValueError, match="holding times must"):
            Cycle(3, holding)
    with pytest.raises(ValueError, match="has no period"):
        Cycle(3, (5, 6)).period  # noqa: B018
    with pytest.raises(ValueError, match="1 symbol or more"):
        Cycle().windows(0)
    with pytest.raises(ValueError, match="more than 4096 windows"):
        Cycle(3, (1, 2, 3)).windows(16)
    with pytest.raises(ValueError, match="whole numbers"):
        Cycle().predictive(np.ones((2, 3)))
    with pytest.raises(ValueError, match="lie in 0 to 2"):
        Cycle().nll(np.array([[0, 3]]))
