"""Episodes of drawings: against plain loops and enumerations; their splits, leaks and levels; batches."""

from dataclasses import replace
from itertools import permutations, product

import numpy as np
import pytest
import torch
from scipy.stats import chisquare

from wm import plastic
from wm.plastic.batches import BLOCK, Batches
from wm.plastic.fewshot.augment import augmented, moves
from wm.plastic.fewshot.pools import Pool, distinct, members, pool
from wm.plastic.fewshot.task import Classification
from wm.plastic.learner import same_kind
from wm.train import numpy_generator

SMALL = Pool(
    "small", np.zeros((9, 1), np.float32),
    np.array([[0, 1, 2, 3], [4, 5, -1, -1], [6, 7, 8, -1]]),
    np.array([[7, 2, 7, 9], [0, 1, -1, -1], [3, 3, 4, -1]]),
)  # fmt: skip
"""three classes: of three designs, the first in two drawings; of two; of two, the first in two drawings"""
BY_DESIGN = [[[0, 2], [1], [3]], [[4], [5]], [[6, 7], [8]]]
KINDS = [Classification("emoji"), Classification("kanji", "groups", 4, 2, 8, "none", shuffled=False)]


def draw(task, trials=20_000):
    return task.choose(trials, numpy_generator(0, "episodes of drawings"))


def evenly(counts, expected=None):
    """Whether counts are those of chance, to one in 10 000."""
    return chisquare(counts, expected).pvalue > 1e-4


# ---------------------------------------------------------------- chance


def test_every_draw_is_as_likely_as_it_should_be():
    """All pairs of classes, a design of each, one to name, and drawings of a design, by enumeration."""
    chances = {}
    for asked, other in permutations(range(3), 2):
        kinds = list(permutations(BY_DESIGN[asked], 2))
        for (labelled, query), second in product(kinds, BY_DESIGN[other]):
            every = list(product(labelled, second, query))
            for drawn in every:
                chances[drawn] = 1 / 6 / len(kinds) / len(BY_DESIGN[other]) / len(every)
    assert sum(chances.values()) == pytest.approx(1)
    parts = SMALL.draw(np.zeros((50_000, 1), dtype=int), 2, 1, numpy_generator(0))
    drawn = np.concatenate([part.reshape(50_000, -1) for part in parts], axis=1)
    found, counts = np.unique(drawn, axis=0, return_counts=True)
    assert {*map(tuple, found.tolist())} == {*chances}
    assert evenly(counts, [50_000 * chances[tuple(row)] for row in found.tolist()])
    assert not evenly(counts[::-1], [50_000 * chances[tuple(row)] for row in found.tolist()])


@pytest.mark.parametrize(("count", "size"), [(1, 1), (3, 3), (2, 5), (4, 5)])
def test_different_numbers_come_in_every_order_alike(count, size):
    drawn = distinct(numpy_generator(0), count, np.full(30_000, size))
    found, counts = np.unique(drawn, axis=0, return_counts=True)
    assert [tuple(row) for row in found.tolist()] == list(permutations(range(size), count))
    assert len(found) == 1 or evenly(counts)


def test_different_numbers_have_sizes_of_their_own():
    drawn = distinct(numpy_generator(0), 2, np.array([[2, 50]] * 200))
    assert (drawn[:, 0].sum(axis=1) == 1).all() and 40 < drawn[:, 1].max() < 50


def test_too_few_designs_are_refused():
    with pytest.raises(
        ValueError, match="small has 1 classes with 3 designs, an episode needs 2: take fewer"
    ):
        SMALL.draw(np.zeros((1, 1), dtype=int), 2, 2, numpy_generator(0))


@pytest.mark.parametrize("task", KINDS, ids=str)
def test_episodes_are_what_they_should_be_drawing_by_drawing(planted, task):
    known, each = task.pool, task.asked // task.ways
    where = {row: (k[0], known.designs[k]) for k, row in np.ndenumerate(known.drawings)}
    for drawings, labels in zip(*draw(task, 200), strict=True):
        classes = {label: where[row][0] for row, label in zip(drawings, labels, strict=True)}
        assert len({*classes.values()}) == len(classes) == task.ways, "a label is a class"
        assert all(where[row][0] == classes[label] for row, label in zip(drawings, labels, strict=True))
        labelled, asked = ({where[row] for row in part} for part in np.split(drawings, [task.support]))
        assert len(labelled) == task.support and not labelled & asked, "no labelled design twice"
        assert sorted(labels[: task.support]) == sorted([*range(task.ways)] * task.shots)
        if not task.shuffled:
            assert sorted(labels[task.support :]) == sorted([*range(task.ways)] * each)
            assert labels.tolist() == sorted(labels[: task.support]) + sorted(labels[task.support :])


@pytest.mark.parametrize("encoder", ["none", "prototypes", "conv4", "blind"])
def test_tokens_are_those_of_a_plain_loop(planted, encoder):
    task = Classification("emoji", ways=3, shots=2, asked=6, encoder=encoder)
    inputs, targets = task.sample(20, numpy_generator(0))
    for k, (drawings, labels) in enumerate(zip(*task.choose(20, numpy_generator(0)), strict=True)):
        for time, (row, label) in enumerate(zip(drawings, labels, strict=True)):
            shown = [] if encoder == "blind" else task.pool.vectors[row].tolist()
            told = [0.0] * 4
            told[label if time < 6 else 3] = 1.0
            assert inputs[k, time].tolist() == shown + told
            assert targets[k, time] == (label if time >= 6 else 0)
    assert inputs.dtype == np.float32 and targets.dtype == np.int64
    assert inputs.shape == (20, 12, task.given)
    assert task.queries.tolist() == [False] * 6 + [True] * 6


def test_classes_labels_and_orders_are_uniform(planted):
    task = Classification("kanji", ways=3, asked=3)
    drawings, labels = draw(task)
    where = {row: k for k, rows in enumerate(task.pool.drawings) for row in rows}
    classes = np.vectorize(where.get)(drawings)
    assert evenly(np.bincount(classes[:, 0])) and classes.max() == 19
    for label in range(3):
        assert evenly(np.bincount(classes[:, :3][labels[:, :3] == label])), "any class may have any label"
    for part, orders in ((labels[:, :3], 6), (labels[:, 3:], 27)):
        found, counts = np.unique(part, axis=0, return_counts=True)
        assert len(found) == orders and evenly(counts), "a query says nothing about the others"
    both, counts = np.unique(labels, axis=0, return_counts=True)
    assert len(both) == 162 and evenly(counts), "the order of queries says nothing about that of the labelled"
    ordered = np.unique(draw(replace(task, shuffled=False))[1], axis=0)
    assert ordered.tolist() == [[0, 1, 2, 0, 1, 2]]


def test_designs_with_two_drawings_are_not_labelled_more_often(planted):
    task = Classification("kanji", ways=2, asked=2)
    drawings, _ = draw(task)
    places = {row: i for rows in task.pool.drawings for i, row in enumerate(rows)}
    for part in (drawings[:, :2], drawings[:, 2:]):
        counts = np.bincount([places[row] for row in part.ravel()])
        assert evenly(counts, part.size * np.array([0.5, 0.5, 1, 1, 1, 1, 1]) / 6)


def test_episodes_are_a_function_of_their_seed(planted, own_randomness):
    task = Classification("emoji", encoder="none", augmented=True)
    first, again, other = (task.sample(3, numpy_generator(seed)) for seed in (0, 0, 1))
    assert np.array_equal(first.inputs, again.inputs) and np.array_equal(first.targets, again.targets)
    assert not np.array_equal(first.inputs, other.inputs)


# ---------------------------------------------------------------- splits and leaks


@pytest.mark.parametrize("dataset", ["emoji", "kanji"])
def test_no_drawing_of_the_test_is_among_those_of_training(dataset):
    for split in ("random", "groups"):
        parts = [members(dataset, split, part)[0] for part in ("train", "validation", "test")]
        every = np.concatenate([rows[rows >= 0] for rows in parts])
        assert len(np.unique(every)) == len(every)
    (train, first), (test, second) = (members(dataset, "shared", part) for part in ("train", "test"))
    for k in range(len(train)):
        assert not {*train[k][train[k] >= 0]} & {*test[k][test[k] >= 0]}
        assert not {*first[k][train[k] >= 0]} & {*second[k][test[k] >= 0]}, "nor any design of a class"
    assert len(train) == len(test) and (train >= 0).any(axis=1).all() and (test >= 0).any(axis=1).all()


@pytest.mark.parametrize("dataset", ["emoji", "kanji"])
def test_classes_of_the_test_are_others(dataset):
    from wm.plastic.fewshot import images

    classes = images.load(dataset).classes
    for split in ("random", "groups"):
        seen = []
        for part in ("train", "validation", "test"):
            rows, _ = members(dataset, split, part)
            own = np.where(rows >= 0, classes[rows], -1)
            assert (own.max(axis=1) == np.where(rows >= 0, own, 10**6).min(axis=1)).all(), "one class a row"
            seen += own.max(axis=1).tolist()
        assert len({*seen}) == len(seen) == classes.max() + 1


def test_real_episodes_never_ask_for_a_labelled_design():
    for dataset, shots in (("emoji", 3), ("kanji", 5)):
        task = Classification(dataset, shots=shots, encoder="none")
        drawings, labels = draw(task, 500)
        designs = np.full(drawings.max() + 1, -1)
        given = task.pool.drawings >= 0
        kept = task.pool.drawings[given] < len(designs)
        designs[task.pool.drawings[given][kept]] = task.pool.designs[given][kept]
        pairs = labels * 10_000 + designs[drawings]
        labelled, asked = np.split(pairs, [task.support], axis=1)
        assert (np.diff(np.sort(labelled, axis=1), axis=1) > 0).all()
        assert not (labelled[:, None] == asked[..., None]).any()


@pytest.mark.parametrize("encoder", ["blind", "none"])
def test_places_give_labels_away_unless_shuffled(planted, encoder):
    """A player that knows a query's place alone, and answers what is right there most often in training."""
    for shuffled, expected in ((False, 1.0), (True, 0.2)):
        task = Classification("kanji", shots=2, asked=10, encoder=encoder, shuffled=shuffled)
        known = draw(task, 4000)[1]
        most = [np.bincount(column).argmax() for column in known[:, task.support :].T]
        asked = draw(task.held_out, 4000)[1][:, task.support :]
        assert (asked == most).mean() == pytest.approx(expected, abs=0.01)


def test_levels_are_those_of_players(planted):
    task = Classification("kanji", ways=4, asked=4)
    assert plastic.levels(task) == pytest.approx(
        {"chance": 1 / 4, "chance_loss": np.log(4), "ceiling": 1, "floor": 0}
    )
    right = (draw(task)[1][:, 4:] == numpy_generator(1).integers(4, size=(20_000, 4))).mean()
    assert right == pytest.approx(plastic.levels(task)["chance"], abs=0.01)


# ---------------------------------------------------------------- augmentation


@pytest.mark.parametrize("channels", [1, 3])
def test_moved_drawings_are_those_of_a_plain_loop(channels):
    generator = numpy_generator(0)
    maps = torch.as_tensor(generator.standard_normal((5, channels, 32, 32)))
    moved = moves(generator, 4, 3, mirrored=channels == 3)
    drawings = torch.as_tensor(generator.integers(5, size=(4, 3)))
    found = augmented(maps, drawings, torch.as_tensor(moved))
    for place in np.ndindex(4, 3):
        down, right, mirrored = moved[place]
        padded = np.pad(maps[drawings[place]].numpy(), [(0, 0), (4, 4), (4, 4)], mode="edge")
        shown = padded[:, 4 - down : 36 - down, 4 - right : 36 - right]
        assert np.array_equal(found[place].numpy(), shown[..., ::-1] if mirrored else shown)


def test_moves_are_uniform_and_characters_are_not_mirrored():
    found = moves(numpy_generator(0), 20_000, 2, mirrored=True).reshape(-1, 3)
    assert evenly(np.unique(found[:, :2], axis=0, return_counts=True)[1])
    assert np.unique(found[:, :2]).tolist() == [*range(-4, 5)] and evenly(np.bincount(found[:, 2]))
    assert not moves(numpy_generator(0), 99, mirrored=False)[:, 2].any()


def test_drawings_are_moved_in_training_alone(planted):
    task = Classification("emoji", encoder="none", augmented=True)
    for one, still in ((task, False), (task.held_out, True)):
        plain = replace(one, augmented=False)
        (moved, _), (unmoved, _) = (each.sample(4, numpy_generator(0)) for each in (one, plain))
        assert np.array_equal(moved, unmoved) == still
        assert np.array_equal(moved[..., task.pixels :], unmoved[..., task.pixels :])


# ---------------------------------------------------------------- batches of ensembles


def settings(family="emoji_hebbian", **changes):
    return plastic.config(family, **({"batch": 2} | changes))


def test_batches_of_an_ensemble_are_those_of_each_network_alone(planted):
    """Networks that differ in data set, split, order and queries; shorter ones are filled up with zeros."""
    configs = [
        settings(), settings("kanji_hebbian"), settings(split="shared"), settings(shuffled=False),
        settings("kanji_hebbian", queries=15),
    ]  # fmt: skip
    together = Batches(configs, [*"01234"])
    for step in (3, BLOCK + 1):
        batch = together.at(step)
        assert batch.inputs.shape == (5, 2, 20, 262)
        for k, config in enumerate(configs):
            task, generator = plastic.make_task(config), numpy_generator(str(k), "batches", step // BLOCK)
            part = slice(step % BLOCK * 2, step % BLOCK * 2 + 2)
            for found, expected in zip(batch, task.sample(2 * BLOCK, generator), strict=True):
                assert np.array_equal(found[k, :, : task.length].numpy(), expected[part])
                assert not found[k, :, task.length :].any()


def test_augmented_batches_are_those_of_each_network_alone(planted):
    config = settings(encoder="conv4", augmented=True)
    batch = Batches([config] * 2, [*"01"]).at(2)
    inputs, _ = plastic.make_task(config).sample(2 * BLOCK, numpy_generator("1", "batches", 0))
    assert np.array_equal(batch.inputs[1].numpy(), inputs[4:6])


@pytest.mark.parametrize(
    ("first", "second", "what"),
    [
        ({"encoder": "conv4"}, {"encoder": "conv4", "dataset": "kanji"}, "dataset"),
        ({"encoder": "none"}, {"encoder": "none", "dataset": "kanji"}, "dataset"),
        ({"encoder": "conv4"}, {"encoder": "conv4", "queries": 10}, "queries"),
        ({}, {"ways": 6, "queries": 6}, "ways"), ({}, {"shots": 2}, "shots"),
        ({}, {"plastic_blocks": "last"}, "plastic_blocks"),
    ],
)  # fmt: skip
def test_networks_that_see_other_numbers_are_not_trained_together(first, second, what):
    with pytest.raises(ValueError, match=f"differ in .*{what}.* cannot be trained together"):
        same_kind([settings(**first), settings(**second)])
    same_kind([settings(encoder="conv4"), settings(encoder="conv4", dataset="cifarfs", shuffled=False)])
    same_kind([settings(encoder="blind"), settings(encoder="blind", dataset="kanji", queries=10)])


def test_impossible_episodes_are_refused():
    with pytest.raises(ValueError, match="queries class by class are a multiple of the 5 ways"):
        Classification(asked=6, shuffled=False)
    with pytest.raises(ValueError, match="ways must be at least 2"):
        Classification(ways=1)
    with pytest.raises(ValueError, match=r"only pixels can be shifted \(encoders none, conv4\)"):
        Classification(augmented=True)
    with pytest.raises(ValueError, match="only the task images has drawings to encode"):
        plastic.config("copying_none", encoder="conv4")


def test_pools_hold_pixels_as_they_are_drawn(planted):
    drawn = planted("emoji").images
    vectors = pool("emoji", "random", "test", "none").vectors
    expected = np.moveaxis(drawn[140:], -1, 1).reshape(70, -1) / 127.5 - 1
    assert vectors == pytest.approx(expected, abs=1e-6) and vectors.dtype == np.float32
    assert pool("emoji", "random", "test", "prototypes").vectors.shape == (70, 256)
