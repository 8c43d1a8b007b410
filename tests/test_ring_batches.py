"""Training batches: their statistics, and that each is a function of seed and step alone."""

import math

import numpy as np
import pytest
from scipy.stats import kstest

from wm.ring import Task
from wm.ring.batches import BLOCK, Batches


def batches(seeds, *, trials=5, **changes):
    return Batches(Task(inputs=8, **changes), seeds, trials)


def test_delays_are_uniform_and_reach_both_ends():
    made, task = batches([str(k) for k in range(50)], trials=1), Task()
    drawn = np.concatenate([np.array(made.at(step).delays) for step in range(BLOCK)], axis=1)
    for values, (low, high) in zip(drawn, (task.fixation, task.onset, task.delay), strict=True):
        assert (values.min(), values.max()) == (low, high)
        assert np.issubdtype(values.dtype, np.integer)
        spread = (high - low + 1) / math.sqrt(12 * len(values))
        assert abs(values.mean() - (low + high) / 2) < 4 * spread
    assert abs(np.corrcoef(drawn)[np.triu_indices(3, 1)]).max() < 0.06


@pytest.mark.parametrize("probability", [0.0, 0.3, 1.0])
def test_directions_are_uniform_and_the_distractor_as_likely_as_asked(probability):
    batch = batches(["y"], trials=4000, distractor_probability=probability).at(3)
    assert abs(batch.present.mean() - probability) <= 4 * math.sqrt(probability * (1 - probability) / 4000)
    assert kstest(batch.directions_deg[0].ravel() / 360, "uniform").pvalue > 0.001
    assert abs(np.corrcoef(batch.directions_deg[0].T)[0, 1]) < 0.07
    assert batch.steps == Task().steps()


def same(a, i, b, j):
    return (
        [int(d[i]) for d in a.delays] == [int(d[j]) for d in b.delays]
        and np.array_equal(a.directions_deg[i], b.directions_deg[j])
        and np.array_equal(a.present[i], b.present[j])
    )


def test_a_batch_depends_on_seed_and_step_alone():
    together = batches(["a", "b", "a", "c"])
    for step in (BLOCK + 2, 0, 7, BLOCK - 1):  # in any order, over the edge of a block
        batch = together.at(step)
        for k, seed in enumerate("abac"):
            assert same(batch, k, batches([seed]).at(step), 0)
        assert same(batch, 0, batch, 2) and not same(batch, 0, batch, 1)


def test_steps_and_blocks_differ():
    made = batches(["a"])
    found = [made.at(step) for step in (0, 1, BLOCK, BLOCK + 1)]
    assert not any(same(a, 0, b, 0) for k, a in enumerate(found) for b in found[:k])
