"""The ring task against a plain loop that knows nothing of the library, and its refusals."""

import math

import numpy as np
import pytest
import torch

from wm.ring import MEDIAN_DELAYS, Delays, Task, angular_error, grid_directions, tuning_curve

SMALL = Task(inputs=7, fixation=(1, 3), onset=(0, 4), delay=(6, 9), shown=2, go=5)
SHORT = Delays(fixation=np.array([1, 3]), onset=np.array([4, 0]), delay=np.array([6, 9]))


def small_batch(steps=None, present=None):
    directions = np.random.default_rng(1).uniform(0, 360, (2, 3, 2))
    shown = np.array([[True, False, True], [False, True, True]]) if present is None else present
    return SMALL.batch(directions, SHORT, present=shown, steps=steps)


def plain_trial(task, target, distractor, delays, steps):
    """Input (time, input + 1), mask (time,) and target (2,) of one trial, second by second."""
    fixation, onset, delay = (int(d) for d in delays)
    x, mask = np.zeros((steps, task.inputs + 1)), np.zeros(steps, bool)
    for t in range(steps):
        since_target = t - fixation
        since_offset = since_target - task.shown
        for direction, since in ((target, since_target), (distractor, since_offset - onset)):
            if direction is not None and 0 <= since < task.shown:
                for i in range(task.inputs):
                    angle = math.radians(direction - 360 * i / task.inputs)
                    x[t, i] += ((1 + math.cos(angle)) / 2) ** 4
        if 0 <= since_offset - delay < task.go:
            x[t, -1] = 1
            mask[t] = True
    return x, mask, np.array([math.sin(math.radians(target)), math.cos(math.radians(target))])


@pytest.mark.parametrize("extra", [0, 6])
def test_batch_is_the_plain_loop(extra):
    batch = small_batch(SMALL.steps(SHORT) + extra)
    inputs, masks, targets = batch.inputs(dtype=torch.float64), batch.mask(), batch.targets()
    assert inputs.shape == (2, 3, SMALL.steps(SHORT) + extra, 8)
    for n in range(2):
        for b in range(3):
            target, distractor = batch.directions_deg[n, b]
            delays = [d[n] for d in SHORT]
            shown = distractor if batch.present[n, b] else None
            x, mask, wanted = plain_trial(SMALL, target, shown, delays, batch.steps)
            np.testing.assert_allclose(inputs[n, b], x, atol=1e-12)
            np.testing.assert_array_equal(masks[n], mask)
            np.testing.assert_allclose(targets[n, b], wanted, atol=1e-6)


def test_published_timing():
    task = Task()
    assert task.steps(MEDIAN_DELAYS) == 265
    assert task.steps() == 20 + 10 + 160 + 100
    assert (task.fixation, task.onset, task.delay, task.shown, task.go) == (
        (10, 20),
        (10, 90),
        (120, 160),
        10,
        100,
    )
    marks = {k: int(v[0]) for k, v in task.batch(np.zeros((1, 1, 2))).landmarks.items()}
    assert marks == {
        "target": 15, "delay": 25, "distractor": 75, "distractor_off": 85, "go": 165, "end": 265,
    }  # fmt: skip


def test_distractor_is_shown_unless_its_probability_is_zero():
    shown = [
        Task(inputs=4, distractor_probability=p).batch(np.zeros((1, 1, 2))).present.all() for p in (0, 0.5, 1)
    ]
    assert shown == [False, True, True]


def test_batch_copies_what_it_is_given():
    directions = np.zeros((1, 2, 2))
    batch = SMALL.batch(directions, Delays(1, 0, 6))
    directions += 90
    assert not batch.directions_deg.any()


def test_tuning_is_the_closed_form():
    got = tuning_curve(torch.tensor([0.0, 36.0, 180.0], dtype=torch.float64), 10)
    assert got.shape == (3, 10)
    wanted = [[math.cos(math.radians(d - 36 * i) / 2) ** 8 for i in range(10)] for d in (0, 36, 180)]
    np.testing.assert_allclose(got, wanted, atol=1e-12)  # (1 + cos x) / 2 = cos^2(x / 2)
    assert got[0, 0] == 1


def test_grid_has_the_target_slowest():
    grid = grid_directions(3)
    assert grid.shape == (9, 2)
    np.testing.assert_array_equal(grid[:4], [[0, 0], [0, 120], [0, 240], [120, 0]])
    assert grid_directions().shape == (900, 2)


@pytest.mark.parametrize(
    "reported, direction, error", [(350, 10, -20), (10, 350, 20), (90, 90, 0), (200, 20, -180)]
)
def test_angular_error_wraps(reported, direction, error):
    angle = torch.deg2rad(torch.tensor(float(reported), dtype=torch.float64))
    got = angular_error(torch.stack([angle.sin(), angle.cos()]) * 0.3, torch.tensor(float(direction)))
    assert abs(float(got)) == pytest.approx(abs(error), abs=1e-5)
    if abs(error) < 180:
        assert float(got) == pytest.approx(error, abs=1e-5)


@pytest.mark.parametrize(
    "changes, message",
    [
        ({"distractor_probability": 1.2}, r"distractor_probability must lie in \[0, 1\], got 1.2"),
        ({"distractor_probability": math.nan}, "distractor_probability must lie"),
        ({"inputs": 0}, "inputs must be at least 1"),
        ({"shown": 0}, "shown must be at least 1"),
        ({"go": -1}, "go must be at least 1"),
        ({"fixation": (20, 10)}, r"fixation must be a range .* got \(20, 10\)"),
        ({"onset": (-1, 10)}, "onset must be a range"),
        ({"onset": (10, 111)}, "does not fit the delay of 120 steps: shorten `onset` or lengthen `delay`"),
    ],
)
def test_task_refuses(changes, message):
    with pytest.raises(ValueError, match=message):
        Task(**changes)


@pytest.mark.parametrize(
    "directions, delays, steps, message",
    [
        (np.zeros((3, 2)), MEDIAN_DELAYS, None, r"must be \(network, trial, 2\), got \(3, 2\)"),
        (np.zeros((1, 3, 3)), MEDIAN_DELAYS, None, r"must be \(network, trial, 2\)"),
        (np.full((1, 1, 2), np.nan), MEDIAN_DELAYS, None, "directions_deg holds NaN or infinite"),
        (np.zeros((1, 1, 2)), Delays(15, 135, 140), None, "does not fit the delay of 140 steps"),
        (np.zeros((1, 1, 2)), Delays(-1, 10, 140), None, "delay 'fixation' is negative: -1 steps"),
        (
            np.zeros((1, 1, 2)),
            MEDIAN_DELAYS,
            264,
            r"steps = 264 is shorter than the longest trial \(265 steps\)",
        ),
    ],
)
def test_batch_refuses(directions, delays, steps, message):
    with pytest.raises(ValueError, match=message):
        Task().batch(directions, delays, steps=steps)


def test_the_tightest_delay_is_accepted():
    assert Task(onset=(10, 110)).batch(np.zeros((1, 1, 2)), Delays(0, 130, 140)).steps == 250
