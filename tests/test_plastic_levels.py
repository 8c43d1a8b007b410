"""Levels against enumeration, plain loops, players of the tasks, and the numbers that are known."""

from dataclasses import replace
from itertools import product

import numpy as np
import pytest

from wm.plastic.episodes import Episodes
from wm.plastic.levels import levels
from wm.plastic.regressors import _network, least_errors, map_errors, misfit, ridge_errors
from wm.plastic.tasks import (
    ContinuousCopying,
    Copying,
    CueReward,
    NoisyCueReward,
    NoisyRegression,
    Regression,
)
from wm.train import numpy_generator

MLP = NoisyRegression(dimension=6, hidden=2)


def draw(task, trials=20_000):
    return task.sample(trials, numpy_generator(0, "levels of tasks"))


def loss(task, answers, drawn):
    """Mean squared error of queries and of all tokens."""
    errors = (answers - drawn.targets) ** 2
    return errors[:, task.queries].mean(), errors.mean()


def test_known_levels_of_copying():
    found = levels(Copying())
    known = {
        "chance": 1 / 8, "chance_loss_all": 0.3354, "blank_metric": 0.6875, "order_free_recall": 0.3865,
        "order_free_metric": 0.8083, "order_free_loss_all": 0.2078, "ceiling": 1, "floor": 0,
    }  # fmt: skip
    assert {name: found[name] for name in known} == pytest.approx(known, abs=5e-5)


@pytest.mark.parametrize("task", [Copying(5, 2, 6), Copying(3, 0, 10), Copying(1, 1, 4), Copying(4, 3, 3)])
def test_order_free_levels_are_those_of_all_strings_of_items(task):
    recalls, losses = [], []
    for items in product(range(task.symbols - 2), repeat=task.items):
        shares = [items.count(kind) / len(items) for kind in {*items}]
        recalls.append(max(shares))
        losses.append(-sum(share * np.log(share) for share in shares))
    found = levels(task)
    assert found["order_free_recall"] == pytest.approx(np.mean(recalls))
    assert found["order_free_loss"] == pytest.approx(np.mean(losses), abs=1e-12)


@pytest.mark.parametrize("task", [Copying(), Copying(4, 0, 5), Copying(2, 7, 4)])
def test_metrics_are_those_of_players(task):
    _, targets = draw(task)
    blank = (targets == 0)[:, task.late].mean(axis=1)
    assert blank == pytest.approx(levels(task)["blank_metric"])
    guesses = np.where(task.queries, numpy_generator(1).integers(1, task.symbols - 1, targets.shape), 0)
    assert (guesses == targets)[:, task.late].mean() == pytest.approx(levels(task)["chance_metric"], abs=0.01)
    assert (guesses == targets)[:, task.queries].mean() == pytest.approx(levels(task)["chance"], abs=0.01)
    known = np.array([[np.bincount(row).argmax()] for row in targets[:, task.queries]])
    right = np.where(task.queries, known, 0) == targets
    assert (right)[:, task.late].mean() == pytest.approx(levels(task)["order_free_metric"], abs=0.01)


def test_many_items_have_levels_too():
    found = levels(Copying(300, 0, 10))
    assert 0.125 < found["order_free_recall"] < 0.17
    assert found["order_free_loss"] == pytest.approx(np.log(8), abs=0.02)


def test_losses_over_all_tokens_count_blanks_as_known():
    found = levels(Copying())
    assert found["chance_loss_all"] == pytest.approx(5 / 31 * np.log(8))
    assert found["order_free_loss_all"] == pytest.approx(5 / 31 * found["order_free_loss"])


@pytest.mark.parametrize("task", [ContinuousCopying(), ContinuousCopying(3, 5)])
def test_levels_of_continuous_copying_are_those_of_players(task):
    drawn, found = draw(task), levels(task)
    assert loss(task, 0, drawn) == pytest.approx((found["chance"], found["chance_all"]), rel=0.02)
    mean = drawn.inputs[:, : task.items, :1].mean(axis=1)
    players = loss(task, mean * task.queries, drawn)
    assert players == pytest.approx((found["order_free"], found["order_free_all"]), rel=0.02)


@pytest.mark.parametrize("task", [CueReward(), CueReward(3, 4, True)])
def test_levels_of_cues_are_those_of_players(task):
    drawn, found = draw(task), levels(task)
    players = loss(task, 0.5 * task.queries, drawn)
    assert players == pytest.approx((found["chance"], found["chance_all"]), rel=0.02)
    assert (found["chance"], found["floor"]) == (pytest.approx(0.0833, abs=5e-5), 0)


@pytest.mark.parametrize("task", [NoisyCueReward(), NoisyCueReward(labelled=4, asked=3)])
def test_floor_of_noisy_cues_is_reached_by_the_nearest_stimulus(task):
    drawn, found = draw(task, 4000), levels(task)
    stimuli, shown = drawn.inputs[..., :-2], drawn.inputs[..., -2]
    assert loss(task, shown, drawn) == pytest.approx((found["chance"], found["chance_all"]), rel=0.04)
    gaps = np.linalg.norm(stimuli[:, :, None] - stimuli[:, None, : task.labelled], axis=-1)
    nearest = np.take_along_axis(shown, gaps.argmin(axis=2), axis=1)
    answers = np.where(gaps.min(axis=2) < 0.8, nearest, 0)
    assert loss(task, answers, drawn) == pytest.approx((found["floor"], found["floor_all"]), rel=0.06)


def test_known_levels_of_noisy_cues_and_regression():
    assert levels(NoisyCueReward())["floor_all"] == pytest.approx(0.018, abs=2e-4)
    assert levels(NoisyCueReward())["chance"] == pytest.approx(1 / 3)
    assert (levels(Regression())["chance"], levels(Regression())["floor"]) == (4, 0)


@pytest.mark.parametrize("support", [0, 1, 3, 4, 10])
def test_floor_of_regression_is_that_of_the_normal_posterior(support):
    task = Regression(support, 5, 3)
    drawn, found = draw(task, 4000), levels(task)
    design = np.concatenate([drawn.inputs[..., :3], np.ones((4000, task.length, 1))], axis=2).astype(float)
    known = drawn.inputs[:, :support, -2, None]
    answers = (design @ np.linalg.pinv(design[:, :support]) @ known)[..., 0] if support else 0
    players = loss(task, answers * task.queries, drawn)
    assert players == pytest.approx((found["bayes"], found["floor_all"]), rel=0.08, abs=1e-3)
    assert found["floor"] == found["bayes"]
    assert loss(task, 0, drawn) == pytest.approx((found["chance"], found["chance_all"]), rel=0.06)


# ---------------------------------------------------------------- noisy regression


def plain_ridge(task, inputs, nonlinear):
    """Answers to one episode, token by token, from a covariance of y written out pair by pair."""
    x, shown, total = inputs[:, :-2].astype(float), inputs[:, -2].astype(float), len(inputs)
    answers = []
    for t in range(total):
        mean = sum(x[: t + 1]) / total

        def k(i, j, mean=mean, t=t):
            alike = 3 * (1 - nonlinear) / task.dimension * np.dot(x[i] - mean, x[j] - mean)
            return alike + (total - t - 1) / total**2 + nonlinear * (i == j)

        known = range(min(t + 1, task.support))
        covariance = [[k(i, j) + task.noise**2 * (i == j) for j in known] for i in known]
        answers.append(np.dot([k(t, i) for i in known], np.linalg.solve(covariance, shown[: len(known)])))
    return np.array(answers)


@pytest.mark.parametrize("task", [NoisyRegression(6, 3, 2, 0.1), NoisyRegression(4, 4, 6, 0.5, 2)])
@pytest.mark.parametrize("nonlinear", [0, 0.1])
def test_ridge_is_that_of_a_covariance_written_out(task, nonlinear):
    drawn = draw(task, 5)
    expected = [plain_ridge(task, episode, nonlinear) for episode in drawn.inputs]
    errors = ridge_errors(task, drawn, nonlinear=nonlinear)
    assert errors == pytest.approx((np.array(expected) - drawn.targets) ** 2, abs=1e-9)


def test_the_prior_of_the_ridge_is_the_best_of_several():
    task, trials = NoisyRegression(support=10), 3000
    drawn = draw(task, trials)
    means = [
        ridge_errors(task, drawn, nonlinear=1 - scale)[:, task.queries].mean()
        for scale in (1 / 4, 1 / 2, 1, 2)
    ]
    assert np.argmin(means) == 2


def test_least_errors_are_those_of_all_functions_weighed():
    task = NoisyRegression(support=3, asked=3, dimension=2, noise=0.4)
    drawn, generator = draw(task, 40), numpy_generator(0, "least")
    w = generator.uniform(-1, 1, (100_000, 2))
    expected = []
    for inputs, targets in zip(*drawn, strict=True):
        f = w @ (inputs[:, :-2] - inputs[:, :-2].mean(axis=0)).T
        y = f / f.std(axis=1, ddof=1, keepdims=True)
        chance = np.exp(-((y[:, :3] - inputs[:3, -2]) ** 2).sum(axis=1) / 2 / 0.4**2)
        expected.append((chance @ y / chance.sum() - targets) ** 2)
    errors = least_errors(task, drawn, generator, steps=20_000)
    assert np.sqrt(errors) == pytest.approx(np.sqrt(expected), abs=0.1)
    assert errors.mean() == pytest.approx(np.mean(expected), rel=0.03)


def test_no_regression_beats_the_least_error():
    task = NoisyRegression(support=10)
    drawn, generator = draw(task, 300), numpy_generator(0, "least")
    ridge, least = ridge_errors(task, drawn), least_errors(task, drawn, generator, steps=1500)
    gain = (ridge - least)[:, task.queries].mean(axis=1)
    assert gain.mean() > 4 * gain.std() / np.sqrt(300)


def test_levels_of_noisy_regression():
    found = levels(NoisyRegression(), episodes=300)
    assert found["chance"] == pytest.approx(39 / 40)
    assert found["ridge"] == pytest.approx(0.0180, abs=5 * found["ridge_error"])
    assert found["floor"] == pytest.approx(0.0121, abs=5 * found["floor_error"])
    assert found["ridge_error"] < 0.002 and found["floor_episodes"] == 300
    drawn = draw(NoisyRegression())
    shrunk = drawn.inputs[..., -2] * 0.975 / 0.985
    players = loss(NoisyRegression(), shrunk, drawn)
    assert players == pytest.approx((found["chance"], found["chance_all"]), rel=0.02)
    assert levels(NoisyRegression(), episodes=50) == levels(NoisyRegression(), episodes=50)


def test_a_fitted_network_beats_the_ridge_where_units_are_hidden():
    found = levels(MLP, episodes=300, fits=0)
    assert "map" not in found and "floor" not in found
    task, generator = replace(MLP, support=40), numpy_generator(0, "fits")
    drawn = draw(task, 40)
    ridge = ridge_errors(task, drawn, nonlinear=misfit(task, 300, generator))
    fitted = map_errors(task, drawn, generator, starts=2)
    gain = (ridge - fitted)[:, task.queries].mean(axis=1)
    assert gain.mean() > 2 * gain.std() / np.sqrt(40)
    assert {"map", "map_error", "map_episodes"} < {*levels(MLP, episodes=10, fits=2)}


def test_slopes_of_the_fitted_network_are_those_of_small_steps():
    generator = numpy_generator(0, "slopes")
    inputs, parameters = generator.standard_normal((7, 4)), generator.standard_normal(10)
    y, slope = _network(parameters, inputs, 2)
    units = [[np.tanh(np.dot(v, x)) for v in parameters[:8].reshape(2, 4)] for x in inputs]
    assert y == pytest.approx((np.array(units) - np.mean(units, axis=0)) @ parameters[8:])
    for i, step in enumerate(np.eye(10) * 1e-6):
        ahead, behind = (_network(parameters + sign * step, inputs, 2)[0] for sign in (1, -1))
        assert slope[:, i] == pytest.approx((ahead - behind) / 2e-6, abs=1e-7)


def test_misfit_is_what_no_line_explains():
    assert misfit(NoisyRegression(), 10, numpy_generator(0)) == 0
    inputs, targets = draw(replace(MLP, asked=2000), 100)
    left = []
    for x, y in zip(inputs[..., :-2], targets, strict=True):
        design = np.column_stack([x, np.ones(len(x))])
        left.append(np.var(y - design @ np.linalg.lstsq(design, y, rcond=None)[0]))
    found = misfit(MLP, 1000, numpy_generator(0))
    assert found == pytest.approx(np.mean(left), abs=4 * np.std(left) / np.sqrt(100))


def test_examples_without_noise_are_fitted_as_if_they_had_little():
    task = NoisyRegression(noise=0.0)
    assert levels(task, episodes=20)["ridge"] < 1e-3
    assert levels(task, episodes=20)["chance_all"] == pytest.approx(39 / 80)


def test_what_has_no_levels_is_refused():
    with pytest.raises(TypeError, match="'copying' is no task"):
        levels("copying")
    for few in ({"episodes": 1}, {"fits": 1}):
        with pytest.raises(ValueError, match="standard error needs 2 or more"):
            levels(MLP, **few)
    empty = Episodes(np.zeros((0, 40, 8)), np.zeros((0, 40)))
    with pytest.raises(ValueError, match="linear functions only.*use map_errors"):
        least_errors(MLP, empty, numpy_generator(0))
    with pytest.raises(ValueError, match="nothing is hidden in NoisyRegression.*use ridge_errors"):
        map_errors(NoisyRegression(), empty, numpy_generator(0))
