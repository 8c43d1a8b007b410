"""Decoders, and the spaces that they are fitted in: known answers, and splits that do not leak."""

from dataclasses import replace

import numpy as np
import pytest
import torch
from sklearn.metrics import balanced_accuracy_score

from wm import nback
from wm.nback import geometry
from wm.nback.geometry import decoders as own
from wm.nback.geometry.planted import chronological, pictures_of, planted, screen
from wm.nback.material import Images
from wm.nback.task import FEATURES, TASKS, Task
from wm.readout import fit_decoder

LABELS = pictures_of()
FOLDS = geometry.image_folds(LABELS)


def blobs(labels: np.ndarray, seed: int = 0, *, apart: float = 1.0, units: int = 12) -> np.ndarray:
    """States around a centre for each class, in units of very different size, (state, unit)."""
    generator = np.random.default_rng(seed)
    centres = apart * generator.standard_normal((labels.max() + 1, units))
    states = centres[labels] + generator.standard_normal((len(labels), units))
    return states * np.logspace(-2, 2, units) + 50


def read(states: np.ndarray, labels: np.ndarray, folds: np.ndarray) -> geometry.Score:
    found = geometry.fit(states, {"own": labels}, folds, **geometry.STANDARDISED)["own"]
    return geometry.score(found.scores(states, folds), labels)


# --- decoders ---------------------------------------------------------------------------------------------


@pytest.mark.parametrize("apart", [0.5, 1.0])
@pytest.mark.parametrize("classes", [3, 8])
def test_decoders_are_as_accurate_as_a_linear_svm_and_have_its_normals(classes, apart):
    labels = np.resize(np.arange(classes), 1600)
    states, folds = blobs(labels, apart=apart), np.arange(1600) // 8 % 5
    found = geometry.fit(states, {"own": labels}, folds, **geometry.STANDARDISED)["own"]
    scores = np.empty((1600, classes))
    for fold in range(5):
        svm = fit_decoder(states[folds != fold], labels[folds != fold], kind="svm", penalty=100)
        scores[folds == fold] = svm.scores(states[folds == fold])
        spread = states.std(axis=0)
        a, b = found.weights[fold] * spread, svm.weights * spread
        cosines = (a * b).sum(axis=1) / np.linalg.norm(a, axis=1) / np.linalg.norm(b, axis=1)
        assert cosines.min() > 0.9
    ours, theirs = geometry.score(found.scores(states, folds), labels), geometry.score(scores, labels)
    assert abs(ours.multiclass - theirs.multiclass) < 0.02 and ours.binary > theirs.binary - 0.02


def test_normals_and_intercepts_are_those_of_the_formula():
    labels, penalty = np.resize([0, 0, 0, 1, 1, 2], 300), 0.3
    states, folds = blobs(labels), np.arange(300) // 6 % 2
    found = geometry.fit(states, {"own": labels}, folds, penalty=penalty, standardise=True)["own"]
    x, y = states[folds == 1], labels[folds == 1]
    z = (x - x.mean(axis=0)) / x.std(axis=0)
    means = np.stack([z[y == c].mean(axis=0) for c in range(3)])
    rest = np.stack([means[np.arange(3) != c].mean(axis=0) for c in range(3)])
    matrix = z.T @ z / len(z) + penalty * np.eye(z.shape[1])
    normals = np.linalg.solve(matrix, (means - rest).T).T
    normals *= 2 / (normals * (means - rest)).sum(axis=1).mean()
    scores = z @ normals.T - ((means + rest) / 2 * normals).sum(axis=1)
    assert np.allclose(x @ found.weights[0].T + found.bias[0], scores)
    of_rest = x @ found.weights[0].T + found.bias[0]
    at = [of_rest[y == c].mean(axis=0) for c in range(3)]
    assert np.isclose(at[0][0], -(at[1][0] + at[2][0]) / 2), "halfway between the means"
    assert np.allclose(found.patterns[0], (means - rest) * x.std(axis=0))


def test_no_scale_or_shift_of_a_unit_matters_unless_all_are_scaled_alike():
    labels, folds = np.resize(np.arange(4), 400), np.arange(400) // 4 % 5
    states, factors = blobs(labels), np.random.default_rng(1).uniform(0.1, 10, 12)
    for standardise, same in ((True, True), (False, False)):
        given = (states, states * factors - 7)
        first, second = (
            geometry.fit(x, {"own": labels}, folds, standardise=standardise)["own"].scores(x, folds)
            for x in given
        )
        assert np.allclose(first, second, atol=1e-6) == same
    silent = np.concatenate([states, np.full((400, 1), 3.0)], axis=1)
    found = geometry.fit(silent, {"own": labels}, folds)["own"]
    assert np.allclose(found.weights[..., -1], 0) and np.isfinite(found.weights).all()


def test_each_state_is_read_by_decoders_that_were_fitted_without_its_fold():
    labels, folds = np.resize(np.arange(4), 400), np.arange(400) // 4 % 5
    states = blobs(labels)
    before = geometry.fit(states, {"own": labels}, folds)["own"]
    changed = np.where((folds == 2)[:, None], 100 - states, states)
    after = geometry.fit(changed, {"own": labels}, folds)["own"]
    assert np.allclose(before.weights[2], after.weights[2], rtol=1e-4)
    assert not np.allclose(before.weights[1], after.weights[1], rtol=1e-1)
    whole = geometry.fit(states, {"own": labels}, None)["own"]
    assert whole.weights.shape == (1, 4, 12)


def test_a_split_that_shares_images_finds_what_is_not_there_and_the_grouped_one_does_not():
    generator = np.random.default_rng(0)
    images = generator.integers(len(FOLDS), size=1500)
    states = generator.standard_normal((len(FOLDS), 200))[images]  # a function of the image alone
    labels = generator.permutation(LABELS["location"])[images]  # that follows nothing in it
    leaking = read(states, labels, generator.integers(5, size=1500))
    grouped = read(states, labels, FOLDS[images])
    assert leaking.multiclass > 0.8 and leaking.binary > 0.8
    assert abs(grouped.multiclass - 0.25) < 0.08 and abs(grouped.binary - 0.5) < 0.06


def test_rare_values_raise_no_score_above_chance():
    generator = np.random.default_rng(0)
    labels, folds = (generator.random(4000) < 0.1).astype(int), np.arange(4000) % 5
    told = read(generator.standard_normal((4000, 10)), labels, folds)
    assert abs(told.binary - 0.5) < 0.05 and abs(told.multiclass - 0.5) < 0.05


def test_scores_are_balanced_accuracies_of_the_values_that_occur():
    generator = np.random.default_rng(0)
    labels, scores = generator.choice([0, 1, 3], 500, p=[0.2, 0.7, 0.1]), generator.standard_normal((500, 4))
    told = geometry.score(scores, labels)
    kept = scores.argmax(axis=1)
    recall = [np.mean(kept[labels == c] == c) for c in (0, 1, 3)]
    binary = [balanced_accuracy_score(labels == c, scores[:, c] > 0) for c in (0, 1, 3)]
    assert np.allclose(told[:2], [np.mean(recall), np.mean(binary)]) and told.classes == 4
    assert np.isnan(geometry.score(scores, np.zeros(500, int))[:2]).all()
    assert np.allclose(geometry.normalised([0.25, 1.0, 0.625], 0.25), [0, 1, 0.5])


def test_folds_spread_objects_and_locations_evenly():
    for name in ("identity", "location"):
        counts = np.stack([np.bincount(LABELS[name][fold == FOLDS]) for fold in range(5)])
        assert np.ptp(counts, axis=0).max() <= 1 + counts.mean() * 0.1


@pytest.mark.parametrize(("change", "message"), [
    ({"states": np.zeros((5, 2, 2))}, r"states are \(state, unit\), labels and folds \(state,\)"),
    ({"labels": {"own": np.zeros(5, int)}}, r"labels and folds \(state,\): got \(20, 3\)"),
    ({"states": np.full((20, 3), np.nan)}, "state 0 is not finite"),
    ({"penalty": 0}, "penalty is 0: give a number above 0"),
    ({"labels": {"own": np.zeros(20, int)}}, "all states have the same own"),
    ({"folds": np.arange(20) % 2}, "own 0 is in no state but those of fold 0"),
])  # fmt: skip
def test_what_cannot_be_fitted_is_told(change, message):
    given = {"states": np.random.default_rng(0).random((20, 3)), "labels": {"own": np.arange(20) % 2}}
    given |= {"folds": np.arange(20) // 2 % 5} | change
    with pytest.raises(ValueError, match=message):
        geometry.fit(**given)


def test_folds_that_cannot_be_made_are_told():
    for folds in (1, 193):
        with pytest.raises(ValueError, match=f"192 images cannot be split into {folds} folds: use 2 to 192"):
            geometry.image_folds(LABELS, folds)


# --- recordings -------------------------------------------------------------------------------------------


PICTURES = Images(np.random.default_rng(0).standard_normal((192, 4, 8)).astype(np.float32), LABELS)


@pytest.mark.parametrize("kind", ["rnn", "gru", "lstm"])
def test_a_recording_holds_what_the_network_does_in_these_trials(kind):
    own = nback.create_model(kind, units=6, features_channels=8)
    tasks = (TASKS[4], TASKS[0])
    shown = geometry.draw(PICTURES, tasks, trials=7)
    recording = geometry.record(own, PICTURES, shown, tasks, cells=kind == "lstm")
    for k, task in enumerate(tasks):
        trace = own.run(PICTURES.features[shown[k]], task)
        assert np.allclose(recording.states[k], trace.states[0], atol=1e-5)
        assert np.array_equal(recording.answers[k], trace.answers[0])
        if kind == "lstm":
            assert np.allclose(recording.cells[k], trace.cells[0], atol=1e-5)
            assert np.array_equal(recording.only(k).cells[0], recording.cells[k])
    assert (recording.cells is None) == (kind != "lstm")
    alone = recording.only(1)
    assert alone.tasks == tasks[1:] and np.array_equal(alone.states, recording.states[1:])


def test_a_space_is_labelled_by_the_item_that_is_asked_for():
    recording = planted(chronological(), (Task("category", 2),), trials=50)
    states, labels, images, folds, same = recording.space(0, 2, 4, "category")
    assert np.array_equal(states, recording.states[0, :, 3])
    assert np.array_equal(images, recording.images[0, :, 1])
    assert np.array_equal(labels, LABELS["category"][images]) and np.array_equal(folds, FOLDS[images])
    on_screen = LABELS["category"][recording.images[0, :, 3]]
    assert np.array_equal(same, labels == on_screen)
    assert np.array_equal(same, recording.targets[0, :, 3] == 2), "at the executive step these are matches"


def test_drawn_trials_tell_nothing_of_each_other_unless_matches_are_asked_for():
    shown = geometry.draw(LABELS, TASKS, trials=2000)
    blank = planted(screen(), TASKS, trials=2000)
    assert shown.shape == (9, 2000, 6) and np.array_equal(blank.images, shown)
    for k, task in enumerate(TASKS):
        share = (blank.targets[k, :, task.lag :] == 2).mean()
        assert abs(share - 1 / (blank.classes(task.feature))) < 0.02
    natural = planted(screen(), TASKS, trials=2000, match_probability=0.5)
    sampler = nback.Sampler(LABELS, match_probability=0.5)
    again = sampler.trials(torch.rand(9, 5, 12), torch.arange(9)[:, None])
    given = replace(natural, images=again.images.numpy())
    assert np.array_equal(given.targets, again.targets.numpy())
    for k, task in enumerate(TASKS):
        assert abs((natural.targets[k, :, task.lag :] == 2).mean() - 0.5) < 0.03
    once = geometry.once(PICTURES, TASKS[:2])
    assert once.shape == (2, 192, 1) and np.array_equal(once[1, :, 0], np.arange(192))


def test_shuffled_labels_cannot_be_read_and_stay_labels_of_images():
    recording = planted(chronological(), TASKS[4:5], trials=800)
    null = recording.shuffled()
    for name in FEATURES:
        found = null.score(null.decoders(0, 1, 1)[name], (0, 1, 1), name)
        assert abs(found.binary - 0.5) < 0.06 and abs(found.multiclass - 1 / found.classes) < 0.08
        assert np.array_equal(np.bincount(null.labels[name]), np.bincount(recording.labels[name]))
        assert recording.score(recording.decoders(0, 1, 1)[name], (0, 1, 1), name).binary > 0.97
    assert not np.array_equal(null.labels["identity"], recording.shuffled(1).labels["identity"])


def test_decoders_are_fitted_once_and_anew_for_other_labels():
    recording = planted(chronological(), TASKS[4:5], trials=300)
    assert recording.decoders(0, 1, 2) is recording.decoders(0, 1, 2)
    assert recording.shuffled().decoders(0, 1, 2) is not recording.decoders(0, 1, 2)


def test_components_are_shared_by_all_spaces_and_lose_nothing_if_all_are_kept():
    recording = planted(chronological(), TASKS[:2], trials=100)
    whole, few = geometry.projected(recording, 128), geometry.projected(recording, 20)
    for k in range(2):
        first, second = recording.states[k].reshape(-1, 128), whole.states[k].reshape(-1, 128)
        assert np.allclose(
            first[0] @ first[1] - first[0] @ first[2] - first[3] @ (first[1] - first[2]),
            second[0] @ second[1] - second[0] @ second[2] - second[3] @ (second[1] - second[2]),
        )
        assert np.all(np.diff(second.var(axis=0)) < 1e-9)
    assert np.allclose(few.states, whole.states[..., :20])


def test_views_can_be_held_out():
    recording = planted(chronological(), TASKS[4:5], trials=800)
    views = np.tile(np.arange(6), 32)
    apart = replace(recording, folds=views, labels=LABELS | {"view": views})
    assert apart.decoders(0, 1, 1)["identity"].weights.shape[:2] == (6, 8)
    assert apart.score(apart.decoders(0, 1, 1)["identity"], (0, 1, 1), "identity").binary > 0.97


def test_what_a_recording_does_not_have_is_told():
    recording = planted(chronological(), TASKS[4:5], trials=60)
    for place in ((0, 1), (3, 2), (1, 7)):
        with pytest.raises(ValueError, match=rf"there is no space \({place[0]}, {place[1]}\)"):
            recording.space(0, *place, "identity")
    with pytest.raises(ValueError, match="among is 'match': choose one of all, same, different"):
        recording.score(recording.decoders(0, 1, 1)["identity"], (0, 1, 2), "identity", among="match")
    with pytest.raises(ValueError, match="128 units have no 129 principal components: ask for 1 to 128"):
        geometry.projected(recording, 129)
    gru = nback.create_model("gru", units=4, features_channels=8)
    with pytest.raises(ValueError, match="gru_mtmf-00 has no cells, only an LSTM has"):
        geometry.record(gru, PICTURES, geometry.once(PICTURES), cells=True)


# --- a trained network ------------------------------------------------------------------------------------


@pytest.mark.slow
def test_in_a_trained_network_decoders_are_no_worse_than_a_linear_svm_and_point_the_same_way():
    trained = nback.load("gru_mtmf-00")
    stimuli = few_objects()
    images = trained.features(np.stack([stimuli.image(row) for row in range(len(stimuli))]))
    labels = {name: np.unique(stimuli.labels(name), return_inverse=True)[1] for name in FEATURES}
    pictures, task = Images(images, labels), TASKS[4:5]
    recording = geometry.record(trained, pictures, geometry.draw(pictures, task, trials=800), task)
    published = replace(recording, **geometry.STANDARDISED)
    for j in (1, 2):
        for name in FEATURES:
            states, classes, _, folds, _ = recording.space(0, 1, j, name)
            found = published.decoders(0, 1, j)[name]
            scores, cosines = np.empty((800, recording.classes(name))), []
            for fold in range(own.FOLDS):
                rest = folds != fold
                svm = fit_decoder(states[rest], classes[rest], kind="svm", penalty=100)
                scores[~rest] = svm.scores(states[~rest])
                a, b = (w * states.std(axis=0) for w in (found.weights[fold], svm.weights))
                cosines += [(a * b).sum(axis=1) / np.linalg.norm(a, axis=1) / np.linalg.norm(b, axis=1)]
            ours = geometry.score(found.scores(states, folds), classes)
            theirs = geometry.score(scores, classes)
            assert ours.multiclass > theirs.multiclass - 0.03 and ours.binary > theirs.binary - 0.02
            raw = recording.score(recording.decoders(0, 1, j)[name], (0, 1, j), name)
            assert raw.binary > theirs.binary - 0.04
            assert np.mean(cosines) > 0.6  # of separable values the data fix the directions loosely


def few_objects():
    """96 analysis images: two objects of each category, at each location, from three views."""
    from wm.nback.stimuli import stimulus_set

    part = stimulus_set("rich").part("analysis", "trained")
    views, objects = part.labels("view"), part.labels("identity")
    rows = (views % 2 == 0) & np.isin(objects % 10, (0, 5))
    return replace(part, table=part.table[rows].reset_index(drop=True))


def test_a_unit_that_is_silent_tells_nothing_and_spoils_nothing():
    """Its variance may come out below 0, which must not take the scale of all others away."""
    generator = np.random.default_rng(0)
    labels, folds = np.arange(400) % 4, np.arange(400) // 4 % 5
    scale = 10.0 ** np.arange(-2, 4)
    loud = (generator.standard_normal((400, 6)) + 2 * np.eye(6)[labels]) * scale
    silent = np.full((400, 3), 1 - 2.0**-24) + np.array([0, 1e-17, 0])
    with np.errstate(all="raise"):
        found = own.fit(np.hstack([loud, silent]), {"a": labels}, folds, standardise=True)["a"]
    alone = own.fit(loud, {"a": labels}, folds, standardise=True)["a"]
    assert np.allclose(found.weights[..., :6] * scale, alone.weights * scale)
    covariance = np.diag([1.0, 4.0, -1e-20])
    with np.errstate(all="raise"):
        normals, *_ = own._solved(covariance, {"a": np.eye(3)[:2]}, 0.1, True)["a"]
    assert np.allclose(normals[0] / normals[0, 0], [1, -0.25, 0])
