"""What tasks encode, and how orthogonal: planted codes, and floors."""

import numpy as np
import pytest

from wm import nback
from wm.estimate import difference
from wm.geometry import orthogonalization_chance
from wm.nback import geometry
from wm.nback.geometry.planted import chronological, frames, pictures_of, planted
from wm.nback.material import Images
from wm.nback.task import FEATURES, TASKS, Task

LABELS = pictures_of()
OF = {"location": "location", "identity": "object", "category": "object"}


def only_relevant(task: Task) -> dict[str, float]:
    """Parts of the code that a task does without are not kept."""
    return {part: 0.0 for part in ("location", "object") if part != OF[task.feature]}


def scores(recording: geometry.Recording) -> dict[str, np.ndarray]:
    return {name: geometry.cross_task(recording, name).normalised for name in FEATURES}


# --- relevance --------------------------------------------------------------------------------------------


def test_what_tasks_do_not_ask_for_is_read_only_where_it_is_kept():
    asked = np.array([task.feature == "location" for task in TASKS])
    gated = geometry.relevance(planted(chronological(), TASKS, trials=600, kept=only_relevant))
    whole = geometry.relevance(planted(chronological(), TASKS, trials=600))
    for name, relevant in (("location", asked), ("identity", ~asked), ("category", ~asked)):
        assert gated[name].normalised[relevant].min() > 0.95
        assert abs(gated[name].normalised[~relevant]).max() < 0.2
        assert whole[name].normalised.min() > 0.95 and whole[name].multiclass.min() > 0.95
    null = geometry.relevance(planted(chronological(), TASKS, trials=600).shuffled())
    assert abs(np.mean([null[name].normalised for name in FEATURES])) < 0.05
    matrix = geometry.relevance_matrix({name: own.normalised for name, own in gated.items()}, TASKS)
    assert matrix.shape == (3, 3) and matrix.diagonal().min() > 0.95
    assert max(abs(matrix[0, 1:]).max(), abs(matrix[1:, 0]).max()) < 0.15
    some = geometry.relevance_matrix({name: np.arange(3.0) for name in FEATURES}, TASKS[3:6])
    assert np.isnan(some[[0, 2]]).all() and np.allclose(some[1], 1)


def test_tasks_that_share_a_code_are_told_from_those_that_do_not():
    own = frames(9)
    apart = planted(lambda task, i, j: own[task] if i == j else None, TASKS, trials=600)
    shared = planted(lambda task, i, j: own[0] if i == j else None, TASKS, trials=600)
    for recording, across in ((apart, 0), (shared, 1)):
        matrices = scores(recording)
        for name, matrix in matrices.items():
            assert np.allclose(matrix.diagonal(), geometry.relevance(recording)[name].normalised)
        told = geometry.distributions(matrices, TASKS)
        assert told.within.shape == (9,) and told.across.shape == (54,)
        assert told.within.min() > 0.95 and abs(told.across.mean() - across) < 0.05


# --- orthogonality ----------------------------------------------------------------------------------------


def images_of(code: np.ndarray, labels: np.ndarray, units: int, noise: float = 0.1) -> np.ndarray:
    """One state of each image: the code of its class (class, dimension) in a random frame, and noise."""
    generator = np.random.default_rng(0)
    frame = np.linalg.qr(generator.standard_normal((units, units)))[0][: code.shape[1]]
    return code[labels] @ frame + noise * generator.standard_normal((len(labels), units))


@pytest.mark.parametrize("longer", [1, 1.5, 3])
def test_the_index_is_that_of_the_planted_normals(longer):
    """Values at the corners of a rectangle have normals (+-1 / a, +-1 / b)."""
    labels, sides = np.resize(np.arange(4), 800), np.array([longer, 1.0])
    corners = np.array([[-1, -1], [-1, 1], [1, -1], [1, 1]])
    told = geometry.orthogonality(images_of(corners * sides, labels, 12, noise=0.03), labels)
    normals = corners / sides / np.linalg.norm(1 / sides)
    expected = 1 - np.abs((normals @ normals.T)[np.triu_indices(4, 1)]).mean()
    assert abs(told.index - expected) < 0.03 and told.simplex == 1 - 1 / 3
    assert told.normalised == told.index / told.shuffled.mean()


def test_values_that_are_all_alike_apart_reach_the_simplex():
    for classes in (3, 8):
        labels = np.resize(np.arange(classes), 800)
        told = geometry.orthogonality(images_of(np.eye(classes), labels, 20), labels)
        assert abs(told.index - told.simplex) < 0.02


@pytest.mark.parametrize("units", [10, 60])
@pytest.mark.parametrize("classes", [4, 16])
def test_where_nothing_is_coded_the_normalised_index_is_one_whatever_the_size(units, classes):
    labels = np.resize(np.arange(classes), 960)
    states = np.random.default_rng(1).standard_normal((960, units))
    told = geometry.orthogonality(states, labels)
    assert abs(told.normalised - 1) < 4 * told.shuffled.std() / told.shuffled.mean() + 0.02
    assert told.random == orthogonalization_chance(units) and told.shuffled.shape == (20,)
    drawn = np.random.default_rng(2).standard_normal((4000, units))
    drawn /= np.linalg.norm(drawn, axis=1, keepdims=True)
    assert abs(1 - np.abs((drawn[:2000] * drawn[2000:]).sum(axis=1)).mean() - told.random) < 0.01


def test_spaces_of_unlike_size_are_compared_at_the_same_and_lose_no_code():
    labels = np.resize(np.arange(4), 200)
    code = np.eye(4) @ np.linalg.qr(np.random.default_rng(0).standard_normal((4, 4)))[0]
    spaces = {"few": images_of(code, labels, 12), "many": images_of(code, labels, 500)}
    equal = geometry.equal_dimension(spaces)
    assert {each.shape for each in equal.values()} == {(200, 12)}
    apart = [spaces["few"][k] - spaces["few"][k + 1] for k in range(5)]
    assert np.allclose(
        np.linalg.norm(apart, axis=1), np.linalg.norm(np.diff(equal["few"][:6], axis=0), axis=1)
    )
    told = {name: geometry.orthogonality(states, labels) for name, states in equal.items()}
    assert abs(told["few"].index - told["many"].index) < 0.05
    few = geometry.equal_dimension(spaces, 5)
    assert np.allclose(np.abs(few["many"]), np.abs(equal["many"][:, :5]))
    paired = difference([0.8, 0.7, 0.9], [0.75, 0.64, 0.86], paired=True)
    assert paired.p_above(0) < 0.01, "over networks, the test of the index in two spaces"


def test_input_spaces_are_what_the_network_is_given():
    features = np.random.default_rng(0).standard_normal((192, 4, 8)).astype(np.float32)
    own = nback.create_model("gru", units=6, features_channels=8)
    spaces = geometry.input_spaces(own, Images(features, LABELS))
    assert np.array_equal(spaces["cnn"], features.reshape(192, -1))
    reduced = features @ own.weights["reduce.weight"][0].numpy().T + own.weights["reduce.bias"][0].numpy()
    assert np.allclose(spaces["perceptual"], reduced.reshape(192, -1), atol=1e-5)


def test_what_cannot_be_compared_is_told():
    states, labels = np.random.default_rng(0).random((20, 5)), np.resize(np.arange(2), 20)
    with pytest.raises(ValueError, match="shuffles is 0: the index means little without one"):
        geometry.orthogonality(states, labels, shuffles=0)
    with pytest.raises(ValueError, match="spaces are compared on the same images"):
        geometry.equal_dimension({"a": states, "b": states[:5]})
    with pytest.raises(ValueError, match="spaces have 5 dimensions in common, not 6"):
        geometry.equal_dimension({"a": states}, 6)
