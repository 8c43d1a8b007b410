"""Generation and prompts: exact predictors, plain loops, hooks, and distances by brute force."""

from itertools import product

import numpy as np
import pytest
import torch

from wm import symbolic
from wm.symbolic import prompts
from wm.symbolic.generation import basins, best_prediction, copying, exact_predictor, expected, generate
from wm.train import numpy_generator

CYCLE = symbolic.Cycle()
SMALL = symbolic.config("cycle", heads=2, d_model=8, context=5)


def stream(seed=0):
    return numpy_generator(seed, "test")


@pytest.fixture(scope="module")
def model():
    return symbolic.untrained(SMALL, "0")


@pytest.fixture(scope="module")
def before():
    return symbolic.Cycle().sample(6, 5, stream())


# --- generation


def one_by_one(model, prompt, uniform, *, context, temperature):
    """What `generate` says it does, for one prompt."""
    tokens = list(prompt)
    for u in uniform:
        logits = model(torch.tensor([tokens[-context:]]))[0, -1].double() / temperature
        cumulative = torch.softmax(logits, dim=0).cumsum(dim=0)
        tokens.append(min(int((u >= cumulative).sum()), 2))
    return tokens[len(prompt) :]


@pytest.mark.parametrize("length", [1, 5, 9])
@pytest.mark.parametrize("temperature", [1.0, 0.3])
def test_it_is_a_sliding_window_fed_with_its_own_draws(model, length, temperature):
    start = symbolic.Cycle().sample(4, length, stream())
    found = generate(model, start, 12, context=5, temperature=temperature, generator=stream())
    uniform = [own.random(12) for own in stream().spawn(4)]
    by_hand = [
        one_by_one(model, prompt, u, context=5, temperature=temperature)
        for prompt, u in zip(start, uniform, strict=True)
    ]
    assert found.tokens.dtype == np.int64
    assert np.array_equal(found.tokens, by_hand)


def test_probabilities_are_the_models_own_whatever_the_temperature(model, before):
    found = generate(model, before, 3, context=5, temperature=0.1, generator=stream())
    whole = np.concatenate([before, found.tokens], axis=1)
    for step in range(3):
        window = torch.from_numpy(whole[:, step : step + 5])
        expected = model(window)[:, -1].double().softmax(dim=-1).numpy()
        assert np.allclose(found.probabilities[:, step], expected, atol=1e-6)


def test_at_temperature_zero_the_likeliest_symbol_follows(model, before):
    found = generate(model, before, 20, context=5, temperature=0)
    assert np.array_equal(found.tokens, found.probabilities.argmax(axis=-1))
    cold = generate(model, before, 20, context=5, temperature=1e-9, generator=stream())
    assert np.array_equal(cold.tokens, found.tokens)


def test_draws_have_the_predicted_frequencies():
    chances = torch.tensor([0.5, 0.2, 0.3])
    found = generate(lambda x: chances.log().expand(len(x), 1, 3), np.zeros((2000, 1), int), 10, context=1,
                     generator=stream())  # fmt: skip
    share = np.bincount(found.tokens.ravel(), minlength=3) / found.tokens.size
    assert np.allclose(share, chances, atol=0.012)  # 3.6 standard errors


def test_a_trial_depends_neither_on_the_others_nor_on_the_number_of_steps(model, before):
    every = generate(model, before, 20, context=5, generator=stream()).tokens
    some = generate(model, before[:2], 30, context=5, generator=stream()).tokens
    assert np.array_equal(every[:2], some[:, :20])
    others = np.concatenate([before[:2], before[3:4]])
    assert np.array_equal(generate(model, others, 20, context=5, generator=stream()).tokens[:2], every[:2])
    generator = stream()
    first, second = (generate(model, before, 20, context=5, generator=generator).tokens for _ in range(2))
    assert (first != second).any()


def test_equal_prompts_get_draws_of_their_own(model):
    found = generate(model, np.zeros((8, 5), int), 20, context=5, generator=stream()).tokens
    assert len(np.unique(found, axis=0)) == 8


def test_no_global_randomness(model, before, own_randomness):
    generate(model, before, 3, context=5, generator=stream())


def test_hooks_are_at_work_in_every_step_and_gone_afterwards(model, before):
    seen = []

    def to_symbol_two(x, hook):
        seen.append(tuple(x.shape))
        x = x.clone()
        x[:, -1] = 100 * model.W_U[:, 2]
        return x

    hooked = [("blocks.0.hook_resid_post", to_symbol_two)]
    found = generate(model, before[:, :3], 4, context=5, temperature=0, fwd_hooks=hooked)
    assert (found.tokens == 2).all()
    assert seen == [(6, time, 8) for time in (3, 4, 5, 5)]
    assert not any(point.hooked for point in model.modules() if hasattr(point, "hooked"))


def test_a_hook_that_changes_nothing_changes_nothing(model, before):
    plain = generate(model, before, 15, context=5, generator=stream())
    hooked = generate(model, before, 15, context=5, generator=stream(),
                      fwd_hooks=[("blocks.0.hook_resid_post", lambda x, hook: x)])  # fmt: skip
    assert np.array_equal(plain.tokens, hooked.tokens)
    assert np.allclose(plain.probabilities, hooked.probabilities, atol=1e-6)


@pytest.mark.parametrize("family", ["gru", "mlp"])
def test_other_models_generate_too(family):
    config = symbolic.config(family, d_model=8)
    found = generate(symbolic.untrained(config, "0"), [[0, 1]], 12, context=10, generator=stream())
    assert found.tokens.shape == (1, 12) and found.probabilities.shape == (1, 12, 3)


def test_what_it_refuses(model, before):
    cases = (
        ({"steps": 0}, "0 steps"), ({"context": 0}, "context 0"),
        ({"prompts": np.zeros((2, 0), int)}, "at least 1"),
        ({"temperature": -1}, "temperature must be 0 or more"), ({"temperature": np.inf}, "finite"),
        ({"generator": None}, "give a generator"), ({"prompts": [[0.5]]}, "whole numbers"),
        ({"fwd_hooks": [("nowhere", print)]}, "no hook point 'nowhere'"),
        ({"fwd_hooks": [("hook_embed", lambda x, hook: x * np.nan)]}, "prediction of step 0 is not finite"),
    )  # fmt: skip
    for change, message in cases:
        given = {"prompts": before, "steps": 2, "context": 5, "generator": stream()} | change
        with pytest.raises(ValueError, match=message):
            generate(model, given.pop("prompts"), given.pop("steps"), **given)


# --- the best prediction


def test_the_best_prediction_of_what_is_legal_is_that_of_the_process():
    for cycle in (CYCLE, symbolic.Cycle(3, (2, 3))):
        windows = cycle.windows(7).tokens
        assert np.allclose(best_prediction(cycle, windows), cycle.predictive(windows)[:, -1])


def test_the_best_prediction_forgets_what_came_before_the_longest_legal_ending():
    broken = [[0, 2, 2, 0, 1, 1], [1, 1, 1, 0, 0, 0]]
    endings = [[0, 1, 1], [0, 0, 0]]  # two of 1 after a 0: the hold is known; three of 0 of unknown age
    expected = [CYCLE.predictive(np.array([ending]))[0, -1] for ending in endings]
    assert np.allclose(best_prediction(CYCLE, np.array(broken)), expected)
    assert np.allclose(expected, [[0, 1, 0], [0.75, 0.25, 0]])


def test_the_exact_predictor_goes_on_legally_from_anything():
    start = np.array([*product(range(3), repeat=4)])
    tokens = generate(exact_predictor(CYCLE), start, 40, context=10, generator=stream()).tokens
    assert CYCLE.legal(tokens).all()


def test_the_exact_predictor_samples_the_process():
    cycle = symbolic.Cycle(2, (1, 2, 3))
    start = cycle.sample(400, 6, stream())
    tokens = generate(exact_predictor(cycle), start, 30, context=6, generator=stream(1)).tokens
    drawn = cycle.sample(400, 36, stream(2))
    assert cycle.legal(np.concatenate([start, tokens], axis=1)).all()
    changes = [(np.diff(x) != 0).mean() for x in (tokens, drawn[:, 6:])]
    assert changes[0] == pytest.approx(0.5, abs=0.02) and changes[1] == pytest.approx(0.5, abs=0.02)


def test_each_token_is_expected_after_the_window_before_it():
    start, tokens = np.array([[1, 0]]), np.array([[0, 0, 1, 1]])
    q = expected(CYCLE, start, tokens, 3)
    windows = ([1, 0], [1, 0, 0], [0, 0, 0], [0, 0, 1])
    assert np.allclose(q[0], [best_prediction(CYCLE, np.array([window]))[0] for window in windows])


# --- basins


def tabulated(rule, context):
    """A predictor that is sure of rule(window)."""

    def logits(tokens):
        likeliest = torch.tensor([rule(tuple(window)) for window in tokens.tolist()])
        return torch.eye(3)[likeliest][:, None]

    return logits


@pytest.mark.parametrize("seed", range(3))
def test_basins_agree_with_following_each_window(seed):
    cycle, context = symbolic.Cycle(3, (2,)), 4
    rule = dict(zip(product(range(3), repeat=context), stream(seed).integers(3, size=81), strict=True))
    if seed == 2:  # and one whose legal windows stay legal
        rule |= {tuple(w[:4]): w[4] for w in cycle.windows(5).tokens.tolist()}
    found, ends = basins(tabulated(rule.get, context), cycle, context), set()
    for window, returns in zip(found.windows.tolist(), found.returns, strict=True):
        window = tuple(window)
        for _ in range(81):
            window = (*window[1:], int(rule[window]))
        orbit = [window]
        while (window := (*window[1:], int(rule[window]))) != orbit[0]:
            orbit.append(window)
        ends.add(frozenset(orbit))
        assert returns == cycle.legal(np.array(orbit)).all()
    legal = sum(cycle.legal(np.array([*orbit])).all() for orbit in ends)
    assert found.attractors == (len(ends), legal)
    assert (seed == 2) == (legal == 1) == found.returns.any()


def test_the_exact_predictor_always_returns():
    found = basins(exact_predictor(CYCLE), CYCLE, 7)
    assert found.windows.shape == (3**7, 7) and found.returns.all()
    assert found.attractors == (1, 1)


@pytest.mark.parametrize("back", [1, 3])
def test_a_network_that_moves_one_symbol_on_is_found_out(back):
    model = tabulated(lambda window: (window[-back] + 1) % 3, 4)
    assert np.allclose(copying(model, CYCLE, 4), np.where(np.arange(1, 5) == back, 1, 1 / 3))


def test_too_many_windows_are_not_followed(model):
    with pytest.raises(ValueError, match="531441 windows of 12 symbols are too many"):
        basins(model, CYCLE, 12)


# --- prompts


def levenshtein(a, b):
    """Textbook recursion."""
    if not a or not b:
        return len(a) + len(b)
    return min(
        levenshtein(a[1:], b) + 1, levenshtein(a, b[1:]) + 1, levenshtein(a[1:], b[1:]) + (a[0] != b[0])
    )


def test_distances_agree_with_brute_force():
    cycle = symbolic.Cycle(3, (2,))
    windows, strings = cycle.windows(5).tokens, np.array([*product(range(3), repeat=5)])[::7]
    assert np.array_equal(
        prompts.hamming(cycle, strings), [min((x != w).sum() for w in windows) for x in strings]
    )
    assert np.array_equal(
        prompts.edits(cycle, strings),
        [min(levenshtein(tuple(x), tuple(w)) for w in windows) for x in strings],
    )


def test_known_distances():
    late = np.array([[0, 0, 0, 0, 0, 0, 0, 1, 1, 1]])  # held one step too long
    assert prompts.hamming(CYCLE, late) == prompts.edits(CYCLE, late) == [1]
    early = np.array([[2, 0, 0, 0, 0, 0, 1, 1, 1, 1]])  # one step too short, then late for ever
    assert prompts.hamming(CYCLE, early) == [1]
    assert prompts.hamming(CYCLE, prompts.tokens("0000020000")) == [5]  # no run is longer than six


def test_no_string_is_further_than_six_and_no_insertion_brings_any_nearer():
    strings = np.array([*product(range(3), repeat=10)])
    distance = prompts.hamming(CYCLE, strings)
    assert np.bincount(distance).tolist() == [18, 315, 2370, 9792, 22920, 22383, 1251]
    assert np.array_equal(prompts.edits(CYCLE, strings[::40]), distance[::40])


@pytest.mark.parametrize("distance", range(7))
def test_corrupted_prompts_have_exactly_the_distance_asked_for(distance):
    for cycle in (CYCLE, symbolic.Cycle(3, (5, 6, 7))):
        found = prompts.corrupted(cycle, 10, distance, trials=30, generator=stream())
        assert found.shape == (30, 10) and found.dtype == np.int64
        assert (prompts.hamming(cycle, found) == distance).all()
        assert cycle.legal(found).all() == (distance == 0)


def test_corrupted_prompts_differ_and_are_the_same_again():
    twice = [prompts.corrupted(CYCLE, 10, 3, trials=50, generator=stream()) for _ in range(2)]
    assert np.array_equal(*twice)
    assert len(np.unique(twice[0], axis=0)) > 45


def test_no_prompt_is_further_away_than_possible():
    with pytest.raises(ValueError, match="found 0 of 2 prompts at distance 9"):
        prompts.corrupted(CYCLE, 10, 9, trials=2, generator=stream())
    with pytest.raises(ValueError, match="between 0 and the length 10"):
        prompts.corrupted(CYCLE, 10, 11, trials=2, generator=stream())


def test_legal_and_ambiguous_prompts():
    assert CYCLE.legal(prompts.legal(CYCLE, 10, 20, stream())).all()
    found = prompts.ambiguous(CYCLE, 10)
    assert found.tolist() == [[symbol] * 6 for symbol in range(3)]
    assert CYCLE.legal(found).all()
    assert prompts.ambiguous(symbolic.Cycle(2, (3, 20)), 10).shape == (2, 10)


def test_published_prompts():
    found = {name: prompts.tokens(symbols) for name, symbols in prompts.PUBLISHED.items()}
    assert len(found) == 7 and [*prompts.RECOVERED] == [*found]
    assert found["illegal step"].tolist() == [[1, 0]]
    assert found["backwards"].tolist() == [[2, 1, 0] * 4]
    assert np.flatnonzero(found["three intruders"][0]).tolist() == [0, 5, 9]
    assert np.flatnonzero(found["one intruder"][0]).tolist() == [5]
    assert {found[f"random {x}"].shape for x in "ab"} == {(1, 10)}
    with pytest.raises(ValueError, match="write a prompt as digits"):
        prompts.tokens("0 1")
    with pytest.raises(ValueError, match="write a prompt as digits"):
        prompts.tokens("")
