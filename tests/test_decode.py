"""Planted truths, nulls and leakage tests for wm.decode."""

import numpy as np
import pytest
from sklearn.discriminant_analysis import LinearDiscriminantAnalysis
from sklearn.linear_model import LogisticRegression, Ridge, RidgeClassifier
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import StandardScaler
from sklearn.svm import LinearSVC

from wm.decode import (
    balanced_accuracy,
    chance,
    circular_error_deg,
    cross_condition,
    cross_time,
    cross_validate,
    fit_decoder,
    permutation_test,
)

CLASS_KINDS = ["logistic", "ridge", "lda", "svm"]
each_kind = pytest.mark.parametrize("kind", CLASS_KINDS)


def planted(trials=120, classes=4, units=12, *, noise=0.3, seed=0):
    """States with one direction per class, and their labels."""
    rng = np.random.default_rng(seed)
    labels = np.arange(trials) % classes
    return np.eye(classes, units)[labels] + noise * rng.normal(size=(trials, units)), labels


def noise(trials=120, units=12, seed=0):
    return np.random.default_rng(seed).normal(size=(trials, units))


# --- readouts


@pytest.mark.parametrize("classes", [2, 3])
@pytest.mark.parametrize(
    ("kind", "model"),
    [
        ("logistic", LogisticRegression(class_weight="balanced", max_iter=10_000)),
        ("ridge", RidgeClassifier(class_weight="balanced")),
        ("svm", LinearSVC(class_weight="balanced", dual=False, tol=1e-3)),
        ("lda", LinearDiscriminantAnalysis("lsqr", shrinkage="auto")),
    ],
)
def test_a_readout_in_raw_space_is_the_scikit_learn_pipeline(kind, model, classes):
    x, labels = planted(classes=classes, noise=1)
    x = x * np.geomspace(0.01, 100, x.shape[1]) + 5
    x[:, 3] = 2.0  # a silent unit
    pipeline = make_pipeline(StandardScaler(), model).fit(x, labels)
    readout = fit_decoder(x, labels, kind=kind)
    assert np.array_equal(readout.predict(x), pipeline.predict(x))
    scores = readout.scores(x) if classes > 2 else readout.scores(x)[:, 1]
    np.testing.assert_allclose(scores, pipeline.decision_function(x), atol=1e-8)
    assert readout.weights.shape == (classes, x.shape[1]) and readout.bias.shape == (classes,)


@each_kind
def test_classes_weigh_the_same(kind):
    """With 95 % of one class the rare one is read as well as the common one."""
    rng = np.random.default_rng(0)
    labels = (np.arange(2000) % 20 == 0).astype(int)
    x = rng.normal(size=(2000, 2)) + labels[:, None] * [2, 0]
    predicted = cross_validate(x, labels, kind=kind).predicted
    recalls = [np.mean(predicted[labels == c] == c) for c in (0, 1)]
    assert abs(recalls[0] - recalls[1]) < 0.12


def test_normals_point_along_the_planted_axis():
    rng = np.random.default_rng(0)
    labels = np.repeat(["left", "right"], 200)
    x = rng.normal(size=(400, 5)) * [1, 1, 1, 1, 10] + np.outer(labels == "right", [4, 0, 0, 0, 0])
    for kind in CLASS_KINDS:
        readout = fit_decoder(x, labels, kind=kind)
        normal = readout.weights[1] / np.linalg.norm(readout.weights[1])
        assert normal[0] > 0.95, kind
        np.testing.assert_array_equal(readout.weights[0], -readout.weights[1])
        assert readout.predict([[4, 0, 0, 0, 0], [0, 0, 0, 0, 0]]).tolist() == ["right", "left"]


def test_circular_readout_reads_angles_across_the_wrap():
    angles = np.random.default_rng(0).uniform(0, 360, 300)
    x = np.stack([np.cos(np.deg2rad(angles)), np.sin(np.deg2rad(angles)), 0 * angles], axis=1) * 20 + 3
    readout = fit_decoder(x, angles, kind="circular", penalty=1e-6)
    assert np.abs(circular_error_deg(angles, readout.predict(x))).max() < 1e-3
    assert ((readout.predict(x) >= 0) & (readout.predict(x) < 360)).all()
    assert cross_validate(x, angles, kind="circular").score < 1
    assert readout.score(x, angles + 360) == pytest.approx(readout.score(x, angles))
    shuffled = np.random.default_rng(1).permutation(angles)
    assert 75 < cross_validate(x, shuffled, kind="circular").score < 105


def test_linear_readout_recovers_values_and_matches_ridge():
    x = noise(200, 6)
    targets = x @ noise(6, 2, seed=1) + [5, -5]
    readout = fit_decoder(x, targets, kind="linear", penalty=3.0)
    ridge = make_pipeline(StandardScaler(), Ridge(3.0)).fit(x, targets)
    np.testing.assert_allclose(readout.predict(x), ridge.predict(x), atol=1e-10)
    assert cross_validate(x, targets, kind="linear").score > 0.99
    one = cross_validate(x, targets[:, 0], kind="linear")
    assert one.predicted.shape == (200,) and one.score > 0.99
    assert cross_validate(x, noise(200, 1, seed=5)[:, 0], kind="linear").score < 0.05


def test_a_stronger_penalty_shrinks_the_weights():
    x, labels = planted()
    for kind in ("logistic", "ridge", "svm"):
        weak, strong = (
            np.linalg.norm(fit_decoder(x, labels, kind=kind, penalty=p).weights) for p in (0.1, 1e3)
        )
        assert strong < weak, kind


# --- accuracy


def test_balanced_accuracy_by_hand():
    true, predicted = [0, 0, 0, 0, 1, 1], [0, 0, 0, 1, 1, 7]
    assert balanced_accuracy(true, predicted) == pytest.approx((0.75 + 0.5) / 2)
    assert balanced_accuracy(true, [0] * 6) == chance(true) == 0.5
    assert balanced_accuracy(true, [0] * 6, adjusted=True) == 0
    assert balanced_accuracy(["a", "b"], ["a", "b"], adjusted=True) == 1
    assert chance(list("abca")) == pytest.approx(1 / 3)


def test_circular_error_wraps():
    np.testing.assert_allclose(
        circular_error_deg([350, 10, 0, 90], [10, 350, 180, 90.5]), [20, -20, -180, 0.5]
    )


# --- cross-validation


@each_kind
def test_separable_classes_are_decoded_and_noise_is_not(kind):
    x, labels = planted()
    assert cross_validate(x, labels, kind=kind).score > 0.85
    scores = [cross_validate(noise(seed=s), labels, kind=kind).score for s in range(6)]
    assert np.mean(scores) == pytest.approx(chance(labels), abs=0.08)


def test_more_units_than_trials_do_not_beat_chance():
    """A decoder tested on its own training data would score 1 here."""
    x, labels = noise(60, 300), np.arange(60) % 2
    assert fit_decoder(x, labels).score(x, labels) == 1
    assert cross_validate(x, labels).score < 0.75


def test_duplicated_trials_leak_only_without_groups():
    x, labels = np.repeat(noise(60, 300), 4, axis=0), np.repeat(np.arange(60) % 2, 4)
    assert cross_validate(x, labels).score == 1
    assert cross_validate(x, labels, groups=np.repeat(np.arange(60), 4)).score < 0.75


def test_every_trial_is_predicted_once_and_the_seed_sets_the_split():
    x, labels = planted(noise=1)
    first, again, other = (cross_validate(x, labels, seed=s) for s in (3, 3, 4))
    assert first.predicted.shape == labels.shape and first.predicted.dtype == labels.dtype
    assert np.array_equal(first.predicted, again.predicted)
    assert not np.array_equal(first.predicted, other.predicted)
    assert first.score == balanced_accuracy(labels, first.predicted)


# --- across conditions and time


def two_conditions(shared, trials=240):
    """The same code in both conditions, or codes in other units."""
    x, labels = planted(trials, units=12, noise=0.3)
    conditions = np.repeat(["a", "b"], trials // 2)
    if not shared:
        x[conditions == "b"] = np.roll(x[conditions == "b"], 6, axis=1)
    return x, labels, conditions


def test_cross_condition_tells_a_shared_code_from_separate_ones():
    shared = cross_condition(*two_conditions(True))
    assert shared.conditions.tolist() == ["a", "b"] and shared.scores.min() > 0.8
    separate = cross_condition(*two_conditions(False)).scores
    assert np.diag(separate).min() > 0.8 and separate[[0, 1], [1, 0]].max() < 0.45


def test_cross_condition_does_not_leak_through_groups():
    x, labels = noise(60, 300), np.arange(60) % 2
    both = np.tile(x, (2, 1)), np.tile(labels, 2), np.repeat([0, 1], 60)
    assert cross_condition(*both, groups=np.tile(np.arange(60), 2)).scores.max() < 0.75
    assert cross_condition(*both).scores[0, 1] > 0.85  # the repeats give it away


def test_one_condition_is_cross_validation():
    x, labels = planted(noise=1)
    matrix = cross_condition(x, labels, np.zeros(120)).scores
    assert matrix.item() == cross_validate(x, labels).score


def moving_code(stable, trials=80, times=3):
    labels = np.arange(trials) % 4
    x = 0.3 * np.random.default_rng(0).normal(size=(trials, times, 12))
    for t in range(times):
        x[:, t] += np.eye(4, 12, k=0 if stable else 4 * t)[labels]
    return x, labels


def test_cross_time_tells_a_stable_code_from_a_moving_one():
    assert cross_time(*moving_code(True)).min() > 0.8
    moving = cross_time(*moving_code(False))
    assert moving.shape == (3, 3) and np.diag(moving).min() > 0.8
    assert moving[~np.eye(3, dtype=bool)].max() < 0.45


def test_cross_time_never_tests_on_a_trained_trial():
    """The state of a trial is the same at all times: off the diagonal it would leak if split by time."""
    x = np.repeat(noise(60, 300)[:, None], 2, axis=1)
    assert cross_time(x, np.arange(60) % 2).max() < 0.75
    doubled, labels = np.repeat(x, 2, axis=0), np.repeat(np.arange(60) % 2, 2)
    assert cross_time(doubled, labels, groups=np.repeat(np.arange(60), 2)).max() < 0.75
    assert cross_time(doubled, labels).min() > 0.85


def test_cross_time_of_angles_and_values():
    angles = np.arange(80) * 4.5
    x = np.stack([np.cos(np.deg2rad(angles)), np.sin(np.deg2rad(angles))], axis=1)
    assert cross_time(np.stack([x, -x], axis=1), angles, kind="circular") == pytest.approx(
        np.array([[0, 180], [180, 0]]), abs=2
    )
    assert cross_time(np.stack([x, x], axis=1), x, kind="linear").min() > 0.99


# --- permutation test


def test_permutation_test_finds_a_code_and_only_a_code():
    x, labels = planted(60)
    found = permutation_test(x, labels, kind="ridge", permutations=39)
    assert found.p == pytest.approx(1 / 40) and found.score > found.null.max()
    assert found.null.mean() == pytest.approx(0.25, abs=0.06)
    assert permutation_test(noise(60), labels, kind="ridge", permutations=39).p > 0.05


def test_permutation_test_of_an_error_counts_the_smaller_ones():
    angles = np.arange(60) * 6.0
    x = np.stack([np.cos(np.deg2rad(angles)), np.sin(np.deg2rad(angles))], axis=1)
    found = permutation_test(x, angles, kind="circular", permutations=19)
    assert found.p == pytest.approx(1 / 20) and found.null.min() > 60


@pytest.mark.parametrize("within", [False, True])
def test_permutation_test_keeps_groups(within):
    """Trials of a group are copies (labels by group), or groups differ in offset (labels within groups)."""
    groups = np.repeat(np.arange(20), 4)
    labels = np.tile([0, 1], 40) if within else np.repeat(np.arange(20) % 2, 4)
    x = np.repeat(noise(20, 8), 4, axis=0) + 0.01 * noise(80, 8, seed=1)
    assert permutation_test(x, labels, groups=groups, kind="ridge", permutations=39).p > 0.05
    coded = x + 5.0 * labels[:, None]
    assert permutation_test(coded, labels, groups=groups, kind="ridge", permutations=39).p == 1 / 40


# --- inputs and errors

CALLS = [
    lambda x, y: fit_decoder(x, y).weights,
    lambda x, y: cross_validate(x, y).score,
    lambda x, y: cross_validate(x, y, kind="circular").score,
    lambda x, y: cross_condition(x, y, np.arange(len(y)) % 3).scores,
    lambda x, y: cross_time(x[:, None], y),
    lambda x, y: permutation_test(x, y, permutations=2, kind="ridge").null,
]


@pytest.mark.parametrize("call", CALLS)
def test_read_only_strided_and_float32_inputs_are_left_alone(call):
    base, labels = planted(160, units=24)
    base = base.astype(np.float32)[:, ::-1]
    base.flags.writeable = labels.flags.writeable = False
    strided, kept = base[::2, ::2], base.copy()
    plain = np.ascontiguousarray(strided, dtype=np.float64)
    before = plain.copy()
    np.testing.assert_allclose(call(strided, labels[:80]), call(plain, labels[:80]), atol=1e-3)
    assert np.array_equal(base, kept) and np.array_equal(plain, before)


X, Y = planted(20)
BAD = np.where(np.arange(20)[:, None] == 7, np.nan, X)
ERRORS = [
    (lambda: fit_decoder(X[0], Y), r"x has shape \(12,\): give states of shape \(trial, unit\)"),
    (lambda: fit_decoder(X[:, :0], Y), r"x has shape \(20, 0\)"),
    (lambda: cross_time(X, Y), r"give states of shape \(trial, time, unit\)"),
    (lambda: cross_validate(BAD, Y), "x is not finite, first at trial 7"),
    (lambda: fit_decoder(X, Y, kind="tree"), "kind is 'tree': choose one of logistic, ridge"),
    (lambda: fit_decoder(X, Y[:-1]), r"labels have shape \(19,\): logistic needs one per trial, 20"),
    (lambda: fit_decoder(X, X, kind="circular"), r"labels have shape \(20, 12\): circular"),
    (lambda: fit_decoder(X, BAD[:, 0], kind="linear"), "label of trial 7 is not finite"),
    (lambda: fit_decoder(X, Y * 0), "all labels are .*0.*: a decoder needs at least two classes"),
    (lambda: fit_decoder(X, Y, penalty=0), "penalty is 0: give a number above 0"),
    (lambda: fit_decoder(X, Y, kind="lda", penalty=1.0), "lda takes no penalty"),
    (lambda: cross_validate(X, Y, folds=6), r"label 0, condition 0: 5 independent trials .* for 6 folds"),
    (lambda: cross_validate(X, Y, groups=Y), "label 0, condition 0: 1 independent trials"),
    (lambda: cross_validate(X, Y, kind="circular", folds=21), "^condition 0: 20 independent"),
    (lambda: cross_validate(X, Y, folds=1), "folds is 1: give a whole number, at least 2"),
    (lambda: cross_validate(X, Y, folds=2.5), "folds is 2.5: give a whole number, at least 2"),
    (lambda: permutation_test(X, Y, permutations=0), "permutations is 0: give a whole number, at least 1"),
    (lambda: permutation_test(X, Y, permutations=9.5), "permutations is 9.5: give a whole number"),
    (lambda: fit_decoder(X, list("abcd") * 5, kind="circular"), "dtype <U1: circular reads numbers"),
    (lambda: cross_validate(X, Y, groups=Y[:3]), r"groups have shape \(3,\): .* 20 trials"),
    (lambda: cross_condition(X, Y, Y[:3]), r"conditions have shape \(3,\)"),
    (lambda: cross_condition(X, Y, Y > 2, folds=2), "condition False has no trial of class 3"),
    (lambda: cross_time(X[:, None], Y, groups=Y[:3]), r"groups have shape \(3,\): .* 20 trials"),
    (lambda: balanced_accuracy([1, 2], [1]), r"true \(2,\) and predicted \(1,\)"),
    (lambda: balanced_accuracy([], []), r"true \(0,\)"),
    (lambda: balanced_accuracy([1, 1], [1, 1], adjusted=True), "all labels are .*1.*: accuracy above chance"),
]


@pytest.mark.parametrize(("call", "message"), ERRORS)
def test_errors_say_what_is_wrong(call, message):
    with pytest.raises(ValueError, match=message):
        call()


def test_a_misspelt_option_is_refused():
    with pytest.raises(TypeError, match="fold"):
        cross_validate(X, Y, fold=3)
