"""States pushed through a hyperplane, with planted readouts that follow it, or do not."""

from dataclasses import replace

import numpy as np
import pytest

from wm import nback
from wm.nback import geometry
from wm.nback.geometry.planted import UNITS, chronological, codes_of, frames, pictures_of, planted
from wm.nback.material import Images
from wm.nback.task import TASKS, Task

LABELS = pictures_of()
TASK = Task("location", 2)
NORMAL, IRRELEVANT, RANDOM = range(3)


@pytest.fixture(scope="module")
def recording():
    return planted(chronological(), (TASK,), match_probability=0.5, noise=0.15)


def answers_by(part: slice, age: int = 1):
    """A readout that compares one part of what is held, `age` steps old, with the probe."""
    through, codes = frames(6)[age], codes_of(LABELS)

    def recall(states: np.ndarray, cells: np.ndarray | None, images: np.ndarray) -> np.ndarray:
        held, shown = (states @ through.T)[:, part], codes[images][:, part]
        match = (held * shown).sum(axis=1) > 0.5 * (shown**2).sum(axis=1)
        return np.stack([~match, np.zeros_like(match), match], axis=1).astype(float)

    return recall


LOCATION, OBJECT = answers_by(slice(0, 4)), answers_by(slice(4, 12))


@pytest.mark.parametrize("along", ["normal", "pattern"])
def test_an_answer_that_follows_the_hyperplane_flips_where_the_state_crosses_it(recording, along):
    told = geometry.perturb(LOCATION, recording, 0, along=along)
    match = told.probabilities[..., 2]
    assert told.unshifted[2] > 0.95 and told.trials == 4 * 128
    assert match[NORMAL, told.targets > 1].min() > 0.9 and match[NORMAL, -1] < 0.1
    assert np.all(np.diff(match[NORMAL]) <= 1e-9)
    crossing = told.targets[np.argmax(match[NORMAL] < 0.5)]
    assert abs(crossing) < 0.75
    assert np.allclose(told.probabilities.sum(axis=2), 1)
    assert np.allclose(told.probabilities[..., 0], 1 - match), "what is not a match is no action here"
    assert match[RANDOM].min() > 0.9 and match[IRRELEVANT].min() > 0.9


def test_an_answer_that_follows_something_else_does_not_flip(recording):
    objects = replace(recording, answers=np.full_like(recording.answers, 2))
    deaf = geometry.perturb(lambda *given: np.tile([0.2, 0.3, 0.5], (len(given[0]), 1)), recording, 0)
    assert np.allclose(deaf.probabilities, [0.2, 0.3, 0.5])
    told = geometry.perturb(_own_object(), objects, 0, irrelevant="identity")
    assert told.probabilities[NORMAL, :, 2].min() > 0.9, "location does not matter to it"
    assert told.probabilities[IRRELEVANT, -1, 2] < 0.4, "the object does"


def _own_object():
    """A readout that answers match as long as any one object is clearly held."""
    through = frames(6)[1]

    def recall(states: np.ndarray, cells: np.ndarray | None, images: np.ndarray) -> np.ndarray:
        held = np.sort((states @ through.T)[:, 4:12], axis=1)
        match = held[:, -1] > 1.1
        return np.stack([~match, np.zeros_like(match), match], axis=1).astype(float)

    return recall


def test_states_are_only_pushed_away_and_never_beyond_what_the_data_span(recording):
    targets = np.array([30.0, 0.5, -0.5, -30.0])
    told = geometry.perturb(LOCATION, recording, 0, targets=targets)
    assert np.allclose(told.lengths[:, 0], 0) and np.allclose(told.probabilities[:, 0], told.unshifted)
    assert np.all(np.diff(told.lengths[NORMAL]) >= 0)
    assert np.allclose(told.lengths[RANDOM], told.lengths[NORMAL])
    assert np.allclose(told.reached[:2, 1:3], [[0.5, -0.5]] * 2, atol=0.05)
    assert -5 < told.reached[NORMAL, 3] < -0.5
    assert np.allclose(told.reached[RANDOM], told.reached[RANDOM, 0], atol=0.5)


def test_normals_leave_out_what_varies_besides_and_patterns_do_not():
    """Location is held along p, and a nuisance n varies along p + q: the normal points to p - q."""
    generator, tasks = np.random.default_rng(0), (Task("location", 1),)
    plain = planted(lambda task, i, j: None, tasks, noise=0.02, match_probability=0.5)
    codes = np.eye(4)[LABELS["location"]][plain.images]  # (1, trial, time, 4)
    nuisance = 2 * generator.standard_normal(codes.shape)
    plain.states[..., :4] += codes + nuisance
    plain.states[..., 4:8] += nuisance

    def recall(states, cells, images):
        held = (states[:, :4] * np.eye(4)[LABELS["location"][images]]).sum(axis=1)
        match = 1 / (1 + np.exp(-held))
        return np.stack([1 - match, 0 * match, match], axis=1)

    lengths = {}
    for along in ("normal", "pattern"):
        told = geometry.perturb(recall, plain, 0, along=along, targets=np.array([-2.0]))
        lengths[along] = told.lengths[NORMAL, 0]
    assert lengths["pattern"] > 1.2 * lengths["normal"]
    decoders = plain.decoders(0, 1, 1)["location"]
    normal, pattern = (
        each[0, 0] / np.linalg.norm(each[0, 0]) for each in (decoders.weights, decoders.patterns)
    )
    assert normal @ pattern < 0.9 and normal[0] * normal[4] < 0 and abs(pattern[0]) > 0.8


def test_more_lags_are_shifted_one_step_before_the_probe():
    for lag in (1, 2, 3):
        own = planted(chronological(), (Task("location", lag),), match_probability=0.5, trials=900)
        told = geometry.perturb(answers_by(slice(0, 4), age=lag - 1), own, 0, targets=np.array([3, -1.5]))
        assert told.unshifted[2] > 0.95 and told.probabilities[NORMAL, 1, 2] < 0.2
        assert told.trials == (6 - lag) * 128


# --- networks ---------------------------------------------------------------------------------------------


PICTURES = Images(np.random.default_rng(0).standard_normal((192, 4, 8)).astype(np.float32), LABELS)


@pytest.mark.parametrize("kind", ["rnn", "gru", "lstm"])
def test_a_network_recalls_from_a_state_what_it_would_have_answered(kind):
    own, lstm = nback.create_model(kind, units=6, features_channels=8), kind == "lstm"
    recording = geometry.record(
        own, PICTURES, geometry.draw(PICTURES, TASKS[4:5], trials=9), TASKS[4:5], cells=lstm
    )
    shown = recording.images[0]
    trace = own.run(PICTURES.features[shown], TASKS[4])
    cells = recording.cells[0, :, 2] if lstm else None
    told = geometry.recall_of(own, PICTURES, TASKS[4])(recording.states[0, :, 2], cells, shown[:, 3])
    assert np.allclose(told, trace.logits[0, :, 3].softmax(dim=-1), atol=1e-5)
    with pytest.raises(
        ValueError, match=f"{own.name} is {kind}: an LSTM is given cells, and nothing else is"
    ):
        geometry.recall_of(own, PICTURES, TASKS[4])(
            recording.states[0, :, 2], None if lstm else recording.states[0, :, 2], shown[:, 3]
        )


@pytest.mark.parametrize("cells", [False, True])
def test_cells_of_an_lstm_are_shifted_if_asked(recording, cells):
    other = planted(chronological(seed=1), (TASK,), match_probability=0.5, noise=0.15)
    both = replace(recording, cells=other.states)
    seen = []

    def recall(states, cells, images):
        seen.append(cells)
        return LOCATION(states, cells, images)

    told = geometry.perturb(recall, both, 0, cells=cells, targets=np.array([-1.0]), trials=5)
    assert all(each.shape == (5, UNITS) for each in seen)
    (moved, unshifted) = seen[0], seen[3]  # relevant, irrelevant, random, none; of the first item
    assert np.allclose(moved, unshifted) != cells and told.trials == 20


def test_what_cannot_be_shifted_is_told(recording):
    with pytest.raises(ValueError, match="along is 'axis': states are shifted along a normal or a pattern"):
        geometry.perturb(LOCATION, recording, 0, along="axis")
    with pytest.raises(ValueError, match="cells cannot be shifted, they were not recorded"):
        geometry.perturb(LOCATION, recording, 0, cells=True)
    never = replace(recording, answers=np.zeros_like(recording.answers))
    with pytest.raises(ValueError, match="no trial of the 2-back location task was answered match"):
        geometry.perturb(LOCATION, never, 0)
    deep = nback.create_model("gru", units=4, features_channels=8, layers=2)
    with pytest.raises(ValueError, match="has 2 recurrent layers: shift one of 1 layer"):
        geometry.recall_of(deep, PICTURES, TASK)
