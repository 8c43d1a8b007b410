"""Scores of N-back networks: responders whose scores are known, and plain counts."""

import logging

import numpy as np
import pytest
import torch

from wm.nback import evaluate
from wm.nback.balance import shortcut_levels
from wm.nback.evaluate import Evaluation, Exam, balanced, evaluated, examined
from wm.nback.families import config
from wm.nback.material import Images
from wm.nback.network import Trace, initial, layout, run
from wm.nback.task import FEATURES, LAGS, TASKS, Sampler

IDENTITY = np.arange(96) % 8
LABELS = {"location": np.arange(96) // 8 % 4, "identity": IDENTITY, "category": IDENTITY // 4}
IMAGES = Images(np.random.default_rng(0).random((96, 4, 5), dtype=np.float32), LABELS)


def weights_of(configs):
    flat = torch.stack([initial(each, str(k), 5) for k, each in enumerate(configs)])
    return layout(configs[0], 5).views(flat)


def settings(family="gru_mtmf", **changes):
    return config(family, units=6, **changes)


@pytest.fixture
def responder(monkeypatch):
    """Make all networks answer what a function of (images, tasks) gives, (network, trial, time)."""

    def use(answer):
        def respond(kind, weights, embedding, images, *, tasks):
            logits = torch.nn.functional.one_hot(answer(images, tasks), 3).float()
            return Trace(logits, logits, None, None, embedding)

        monkeypatch.setattr(evaluate, "respond", respond)

    return use


def right_answers(images, tasks):
    """What a perfect responder says, found from the labels alone."""
    answers = torch.zeros_like(images)
    for index in np.ndindex(*tasks.shape):
        task = TASKS[tasks[index]]
        seen = LABELS[task.feature][images[index].numpy()]
        for time in range(task.lag, len(seen)):
            answers[index][time] = 1 + int(seen[time] == seen[time - task.lag])
    return answers


def always(answer):
    """Nothing where nothing can be compared, then always the same."""

    def give(images, tasks):
        lag = (tasks % len(LAGS) + 1)[..., None]
        return torch.where(torch.arange(images.shape[-1]) >= lag, answer, 0)

    return give


def test_a_perfect_responder_has_all_right(responder):
    responder(right_answers)
    kinds = [settings(), settings("gru_stsf_2_identity")]
    found = evaluated(kinds, weights_of(kinds), {"trained": IMAGES, "novel_angle": IMAGES}, trials=30)
    assert found.splits == ("trained", "novel_angle")
    assert (found.balanced[0] == 1).all() and (found.accuracy[0] == 1).all() and (found.by_step[0] == 1).all()
    own = TASKS.index(next(each for each in TASKS if each.name == "2-back identity"))
    assert (found.balanced[1, :, own] == 1).all()
    assert np.isnan(np.delete(found.balanced[1], own, axis=1)).all()
    for k in (0, 1):
        assert found.scores(k) == {"trained": 1.0, "novel_angle": 1.0}


@pytest.mark.parametrize("answer", [1, 2])
def test_a_constant_responder_is_at_chance_and_its_accuracy_that_of_the_trials(responder, answer):
    responder(always(answer))
    kinds = [settings(match_probability=0.3)]
    found = evaluated(kinds, weights_of(kinds), {"trained": IMAGES}, trials=400)
    assert (found.balanced == 0.5).all()
    for task in TASKS:
        share = 0.3 if answer == 2 else 0.7
        expected = (task.lag + share * (6 - task.lag)) / 6
        assert found.accuracy[0, 0, task.place] == pytest.approx(expected, abs=0.03)
        rows = found.by_step[0, 0, task.place]
        assert (rows[: task.lag] == 1).all() and rows[task.lag :] == pytest.approx(share, abs=0.08)


def test_a_responder_that_never_acts_is_wrong_wherever_it_should(responder):
    responder(lambda images, tasks: torch.zeros_like(images))
    kinds = [settings()]
    found = evaluated(kinds, weights_of(kinds), {"trained": IMAGES}, trials=20)
    assert (found.balanced == 0).all()
    assert found.accuracy[0, 0] == pytest.approx([lag / 6 for _ in FEATURES for lag in LAGS])


def test_counts_are_those_of_a_plain_loop():
    kind = settings()
    weights = weights_of([kind, kind])
    exam = Exam(kind, IMAGES, TASKS, stream="mine", trials=20)
    tasks = torch.arange(40).view(2, 20) % 9
    trials = Sampler(LABELS).trials(exam.uniforms.expand(2, -1, -1), tasks)
    answers = run(kind, weights, torch.from_numpy(IMAGES.features), trials.images, tasks).answers
    expected = np.zeros((2, 9, 6, 3, 3), dtype=int)
    for k, b, t in np.ndindex(2, 20, 6):
        expected[k, tasks[k, b], t, trials.targets[k, b, t], answers[k, b, t]] += 1
    assert np.array_equal(exam.counts(weights, tasks).numpy(), expected)


def turned(views=3):
    """The same images, as many of each object and location from each view."""
    return IMAGES._replace(labels=LABELS | {"view": np.arange(96) // 32 % views})


def test_matches_from_other_views_are_those_of_a_plain_loop():
    kind, images = settings(), turned()
    weights, view = weights_of([kind, kind]), turned().labels["view"]
    exam = Exam(kind, images, TASKS, stream="mine", trials=20)
    tasks = torch.arange(40).view(2, 20) % 9
    trials, answers = exam.answered(weights, tasks)
    expected = np.zeros((2, 9, 2), dtype=int)
    for k, b, t in np.ndindex(2, 20, 6):
        task = TASKS[tasks[k, b]]
        if trials.targets[k, b, t] == 2:
            one, two = (int(trials.images[k, b, at]) for at in (t, t - task.lag))
            if (IDENTITY[one], view[one]) != (IDENTITY[two], view[two]):
                expected[k, tasks[k, b]] += [1, answers[k, b, t] == 2]
    found = exam.other_views(trials, answers).numpy()
    assert np.array_equal(found, expected) and (found[..., 0] > found[..., 1]).any()
    without = Exam(kind, IMAGES, TASKS, stream="mine", trials=20)
    assert not without.other_views(trials, answers).any()


def test_who_knows_an_object_only_from_the_same_view_is_found_out(responder):
    view = torch.from_numpy(turned().labels["view"])

    def same_pictures(images, tasks):
        answers, seen = right_answers(images, tasks), view[images]
        for index in np.ndindex(*tasks.shape):
            lag, again = TASKS[tasks[index]].lag, answers[index] == 2
            again[lag:] &= seen[index][lag:] != seen[index][:-lag]
            answers[index][again] = 1
        return answers

    responder(same_pictures)
    kinds = [settings("gru_stmf_1")]
    found = evaluated(kinds, weights_of(kinds), {"trained": turned()}, trials=200)
    own = TASKS.index(next(each for each in TASKS if each.name == "1-back identity"))
    asked, right = found.other_views[0, 0, own]
    matches = found.confusion[0, 0, own, 2]
    assert right == 0 and asked == matches[1] and matches[2] > 0
    assert asked / matches.sum() == pytest.approx(2 / 3, abs=0.05), "of three views two are another one"


def test_balanced_accuracy_is_the_mean_of_what_there_is():
    counts = np.array([[9, 1, 0], [5, 3, 2], [0, 1, 4]])
    assert float(balanced(counts)) == pytest.approx((3 / 10 + 4 / 5) / 2)
    counts[1] = 0
    assert float(balanced(counts)) == pytest.approx(4 / 5)
    counts[2] = 0
    assert np.isnan(float(balanced(counts)))


def test_a_test_is_the_same_for_all_and_whenever_it_is_taken():
    kinds = [settings(), settings("gru_stmf_2")]
    weights = weights_of([kinds[0], kinds[0]])
    both = evaluated(kinds, weights, {"trained": IMAGES}, trials=25)
    alone = evaluated(kinds[:1], {n: w[:1] for n, w in weights.items()}, {"trained": IMAGES}, trials=25)
    assert np.array_equal(both.counts[0], alone.counts[0])
    exams = [Exam(kinds[0], IMAGES, TASKS, stream=name, trials=25) for name in ("a", "a", "b")]
    assert torch.equal(exams[0].uniforms, exams[1].uniforms)
    assert not torch.equal(exams[0].uniforms, exams[2].uniforms)


def from_category(images, tasks):
    """Who answers identity tasks from category, and all others rightly."""
    found = right_answers(images, tasks)
    instead = torch.where((tasks >= 3) & (tasks < 6), tasks + 3, tasks)
    return torch.where(((tasks >= 3) & (tasks < 6))[..., None], right_answers(images, instead), found)


def test_who_answers_identity_from_category_is_at_its_level_and_at_chance_with_balanced_lures(responder):
    responder(from_category)
    kinds = [settings()]
    found = examined(kinds, weights_of(kinds), {"trained": IMAGES}, trials=600)
    assert [*found] == ["natural", "balanced"]
    identity = [task.place for task in TASKS if task.feature == "identity"]
    level = shortcut_levels(LABELS)["identity"]
    assert found["natural"].balanced[0, 0, identity] == pytest.approx([level] * 3, abs=0.02)
    assert (found["balanced"].balanced[0, 0, identity] == 0.5).all()
    for each in found.values():
        assert (np.delete(each.balanced[0, 0], identity) == 1).all()


def test_tests_with_both_lures_are_those_of_each_whatever_the_training_had():
    kinds = [settings(), settings(lures="balanced")]
    weights = weights_of([kinds[0], kinds[0]])
    both = [examined([kind, kind], weights, {"trained": IMAGES}, trials=20) for kind in kinds]
    for lures in ("natural", "balanced"):
        alone = evaluated([kinds[0]] * 2, weights, {"trained": IMAGES}, trials=20, lures=lures)
        assert all(np.array_equal(alone.counts, each[lures].counts) for each in both)
    assert not np.array_equal(both[0]["natural"].counts, both[0]["balanced"].counts)
    assert np.array_equal(
        evaluated(kinds[:1] * 2, weights, {"trained": IMAGES}, trials=20).counts, both[0]["natural"].counts
    )


def test_images_that_cannot_be_balanced_have_the_natural_test_alone(caplog):
    kinds, odd = [settings()], IMAGES.of(np.arange(95))
    with caplog.at_level(logging.WARNING):
        found = examined(kinds, weights_of(kinds), {"trained": IMAGES, "novel_angle": odd}, trials=8)
    assert found["natural"].splits == ("trained", "novel_angle") and found["balanced"].splits == ("trained",)
    assert "no test with balanced lures of the images novel_angle: balanced lures need every" in caplog.text
    alone = IMAGES.of(LABELS["location"] == 0)
    with pytest.raises(ValueError, match="no image can be a non-match"):
        examined(kinds, weights_of(kinds), {"trained": alone}, trials=8)


def test_without_images_there_is_an_empty_evaluation():
    kinds = [settings()]
    found = evaluated(kinds, weights_of(kinds), {})
    assert found.counts.shape == (1, 0, 9, 6, 3, 3) and found.scores(0) == {}
    assert found.record(0) == {
        "splits": [], "tasks": [], "confusion": [], "by_step": [], "other_views": [],
    }  # fmt: skip


def test_a_record_holds_what_the_scores_are_made_of():
    counts = np.zeros((1, 2, 9, 4, 3, 3), dtype=int)
    counts[0, :, 4, :2, 0, 0] = 4
    counts[0, :, 4, 2, 1, 1], counts[0, :, 4, 2, 1, 2], counts[0, :, 4, 3, 2, 2] = 3, 1, 2
    others = np.zeros((1, 2, 9, 2), dtype=int)
    others[0, :, 4] = [[2, 1], [1, 1]]
    found = Evaluation(("trained", "novel_angle"), counts, others)
    record = found.record(0)
    assert record["tasks"] == ["2-back identity"] and record["splits"] == ["trained", "novel_angle"]
    assert record["confusion"] == [[[[8, 0, 0], [0, 3, 1], [0, 0, 2]]]] * 2
    assert record["by_step"] == [[[1.0, 1.0, 0.75, 1.0]]] * 2
    assert record["other_views"] == [[[2, 1]], [[1, 1]]]
    assert found.scores(0) == {"trained": 0.875, "novel_angle": 0.875}
    assert found.accuracy[0, 0, 4] == pytest.approx(13 / 14)
