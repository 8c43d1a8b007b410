"""Episodes of plastic networks against plain readings of their layout, and moments of long draws."""

from dataclasses import astuple, replace

import numpy as np
import pytest

from wm.plastic.episodes import Task
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
TASKS = [
    Copying(), Copying(3, 0, 4), ContinuousCopying(), ContinuousCopying(2, 0), CueReward(),
    CueReward(4, 5, True), NoisyCueReward(), NoisyCueReward(2, 3, 4, 5, 0.0), Regression(),
    Regression(0, 3, 2), NoisyRegression(), MLP, NoisyRegression(3, 4, 1, 0.0),
]  # fmt: skip


def draw(task, trials=200):
    return task.sample(trials, numpy_generator(0, "tasks"))


@pytest.mark.parametrize("task", TASKS, ids=str)
def test_episodes_have_the_sizes_that_the_task_tells(task):
    inputs, targets = draw(task, 7)
    number = np.int64 if task.symbolic else np.float32
    assert inputs.shape == ((7, task.length) if task.symbolic else (7, task.length, task.inputs))
    assert targets.shape == (7, task.length)
    assert inputs.dtype == targets.dtype == number
    assert task.outputs == (task.symbols if task.symbolic else 1)
    assert task.queries.shape == (task.length,) and task.queries.sum() == task.answers
    assert task.queries[-task.answers :].all()


@pytest.mark.parametrize("task", TASKS, ids=str)
def test_episodes_follow_the_generator_and_nothing_else(task):
    for once, again in zip(draw(task, 5), draw(task, 5), strict=True):
        assert np.array_equal(once, again)
    _, targets = draw(task, 50)
    assert len(np.unique(targets, axis=0)) >= 8  # drawn anew in each episode


@pytest.mark.parametrize("task", [Copying(), Copying(3, 0, 4), Copying(1, 2, 3)])
def test_copying_shows_waits_and_asks(task):
    for shown, asked in zip(*draw(task), strict=True):
        items = [*shown[: task.items]]
        assert all(1 <= item <= task.symbols - 2 for item in items)
        blanks, ends = [0] * task.delay, [0] * task.items
        assert [*shown] == [*items, *blanks, task.symbols - 1, *ends]
        assert [*asked] == [*ends, *blanks, 0, *items]


def test_copying_shows_every_item_alike():
    inputs, _ = draw(Copying(), 20_000)
    shares = np.bincount(inputs[:, :5].ravel(), minlength=10) / 100_000
    assert shares == pytest.approx([0, *[1 / 8] * 8, 0], abs=5 * np.sqrt(1 / 8 / 100_000))


@pytest.mark.parametrize("task", [ContinuousCopying(), ContinuousCopying(2, 0)])
def test_continuous_copying_flags_what_is_shown_and_what_is_asked(task):
    n, (inputs, targets) = task.items, draw(task)
    flags = [[1, 0]] * n + [[0, 0]] * task.delay + [[0, 1]] * n
    assert (inputs[..., 1:] == flags).all()
    assert np.array_equal(inputs[:, :n, 0], targets[:, -n:])
    assert not inputs[:, n:, 0].any() and not targets[:, :-n].any()


@pytest.mark.parametrize(
    "task", [CueReward(), CueReward(shuffled=True), CueReward(4, 5, True), CueReward(1, 1)]
)
def test_each_query_asks_for_the_reward_of_its_cue(task):
    n, orders = task.pairs, set()
    for shown, asked in zip(*draw(task), strict=True):
        cues = [int(np.flatnonzero(token)[0]) for token in shown[:, :-2]]
        assert (shown[:, :-2].sum(axis=1) == 1).all() and len({*cues[:n]}) == n
        rewards = dict(zip(cues[:n], shown[:n, -2], strict=True))
        assert [*asked] == [0] * n + [rewards[cue] for cue in cues[n:]]
        assert sorted(cues[n:]) == sorted(cues[:n])
        assert [*shown[:, -1]] == [0] * n + [1] * n and not shown[n:, -2].any()
        orders.add(cues[n:] == cues[:n])
    assert (False in orders) == task.shuffled


def test_cues_and_their_orders_are_all_equally_likely():
    inputs, _ = draw(CueReward(3, 3, True), 60_000)
    cues = inputs[..., :3].argmax(axis=2)
    for placed in (cues[:, :3], np.take_along_axis(cues[:, :3].argsort(axis=1), cues[:, 3:], axis=1)):
        _, counts = np.unique(placed, axis=0, return_counts=True)
        assert counts == pytest.approx([10_000] * 6, abs=5 * np.sqrt(10_000))


def test_noisy_cues_of_a_class_share_stimulus_and_reward():
    task = replace(NoisyCueReward(), noise=0.0)
    for shown, reward in zip(*draw(task), strict=True):
        classes = {tuple(token[:-2]): value for token, value in zip(shown, reward, strict=True)}
        assert len(classes) <= 5
        assert [classes[tuple(token[:-2])] for token in shown] == [*reward]
        assert [*shown[:, -2]] == [*reward[:10], *[0] * 10]
        assert [*shown[:, -1]] == [0] * 10 + [1] * 10


def test_classes_are_drawn_token_by_token_queries_too():
    _, rewards = draw(NoisyCueReward(), 20_000)
    same = rewards[:, :, None] == rewards[:, None]
    off = ~np.eye(20, dtype=bool)
    assert same.mean(axis=0)[off] == pytest.approx(1 / 5, abs=0.02)
    unseen = ~same[:, 10:, :10].any(axis=2)
    assert unseen.mean() == pytest.approx(0.8**10, abs=0.005)


def test_noise_of_stimuli_has_its_size():
    inputs, rewards = draw(NoisyCueReward(cues=1, noise=0.1), 2000)
    assert inputs[..., :-2].std(axis=1, ddof=1).mean() == pytest.approx(0.1 * 0.987, rel=0.01)  # E s < sigma
    assert (np.ptp(rewards, axis=1) == 0).all()


@pytest.mark.parametrize("task", [Regression(), Regression(4, 6, 2)])
def test_regression_is_one_linear_function_without_noise(task):
    for shown, asked in zip(*draw(task, 50), strict=True):
        y = np.where(task.queries, asked, shown[:, -2])
        design = np.column_stack([shown[:, :-2], np.ones(task.length)])
        found, *_ = np.linalg.lstsq(design, y, rcond=None)
        assert design @ found == pytest.approx(y, abs=1e-4)
    inputs, targets = draw(task)
    assert not targets[:, : task.support].any() and not inputs[:, task.support :, -2].any()
    assert (inputs[..., -1] == task.queries).all()


def test_weights_and_bias_of_regression_are_normal():
    inputs, targets = draw(Regression(0, 20, 2), 20_000)
    design = np.concatenate([inputs[..., :2], np.ones((20_000, 20, 1))], axis=2).astype(float)
    found = (np.linalg.pinv(design) @ targets[..., None])[..., 0]
    assert np.cov(found.T) == pytest.approx(np.eye(3), abs=0.06)
    assert np.mean(found**4, axis=0) == pytest.approx([3] * 3, abs=0.4)


@pytest.mark.parametrize("task", [NoisyRegression(), MLP, NoisyRegression(3, 4, 1, 0.0)])
def test_noisy_regression_is_normalised_over_the_whole_episode(task):
    inputs, targets = draw(task)
    assert targets.mean(axis=1) == pytest.approx(0, abs=1e-5)
    assert targets.std(axis=1, ddof=1) == pytest.approx(1, abs=1e-5)
    noise = inputs[:, : task.support, -2] - targets[:, : task.support]
    assert noise.std() == pytest.approx(task.noise, rel=0.05)
    assert not inputs[:, task.support :, -2].any()
    assert (inputs[..., -1] == ~task.queries).all()
    assert abs(inputs[..., :-2]).max() < 1 and inputs[..., :-2].var() == pytest.approx(1 / 3, rel=0.05)


def test_linear_functions_are_linear_and_networks_are_not():
    left = []
    for task in (NoisyRegression(dimension=6), MLP):
        inputs, targets = draw(task)
        design = np.concatenate([inputs[..., :-2], np.ones((200, 40, 1))], axis=2).astype(float)
        left.append(targets - (design @ (np.linalg.pinv(design) @ targets[..., None]))[..., 0])
    assert left[0] == pytest.approx(0, abs=1e-4)
    assert 0.003 < left[1].var() < 0.05


def test_directions_of_linear_functions_are_those_of_a_cube():
    inputs, targets = draw(NoisyRegression(dimension=2), 20_000)
    x = inputs[..., :2] - inputs[..., :2].mean(axis=1, keepdims=True)
    u = (np.linalg.pinv(x.astype(float)) @ targets[..., None])[..., 0]
    ratio = abs(u).min(axis=1) / abs(u).max(axis=1)
    assert np.quantile(ratio, [0.25, 0.5, 0.75]) == pytest.approx([0.25, 0.5, 0.75], abs=0.02)


@pytest.mark.parametrize(
    ("task", "changes", "what"),
    [
        (Copying(), {"items": 0}, "items must be at least 1"),
        (Copying(), {"delay": -1}, "delay must be at least 0"),
        (Copying(), {"symbols": 2}, "symbols must be at least 3"),
        (ContinuousCopying(), {"items": 0}, "items must be at least 1"),
        (CueReward(), {"pairs": 0}, "pairs must be at least 1"),
        (CueReward(), {"pairs": 21}, "pairs must be at most the cues.*cues=20"),
        (NoisyCueReward(), {"cues": 0}, "cues must be at least 1"),
        (NoisyCueReward(), {"noise": float("nan")}, "noise must be at least 0, and finite"),
        (Regression(), {"asked": 0}, "asked must be at least 1"),
        (NoisyRegression(), {"support": 0}, "support must be at least 1"),
        (NoisyRegression(), {"noise": float("inf")}, "noise must be at least 0, and finite"),
        (NoisyRegression(), {"hidden": -1}, "hidden must be at least 0.*NoisyRegression"),
    ],
)
def test_what_is_no_task_is_refused(task, changes, what):
    with pytest.raises(ValueError, match=what):
        replace(task, **changes)
    assert astuple(replace(task)) == astuple(task)


def test_a_kind_of_task_says_everything_itself():
    for told in ("length", "inputs", "answers"):
        with pytest.raises(NotImplementedError):
            getattr(Task(), told)
    with pytest.raises(NotImplementedError):
        Task().sample(1, numpy_generator(0))
