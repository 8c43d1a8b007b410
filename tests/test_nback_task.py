"""N-back trials against a plain loop, their statistics, what other features tell, and constant answers."""

from itertools import product

import numpy as np
import pytest
import torch

from wm.nback.balance import balance, constant_answers, shortcut_levels
from wm.nback.catalogue import SPLITS
from wm.nback.stimuli import stimulus_set
from wm.nback.task import (
    FEATURES,
    LAGS,
    LURES,
    RESPONSES,
    TASKS,
    Sampler,
    Task,
    Trials,
    executive,
    task_named,
    task_vectors,
    tasks_of,
)
from wm.train import numpy_generator, torch_generator


def crossed(objects=(2, 3, 2), locations=4, images=2) -> dict[str, np.ndarray]:
    """Labels of images of each object at each location, in disorder; objects: how many of each category."""
    category = np.repeat(np.arange(len(objects)), objects)
    cells = [*product(range(len(category)), range(locations), range(images))]
    identity, location, _ = numpy_generator(0, "labels").permutation(cells).T
    return {"location": location, "identity": 10 * identity, "category": category[identity]}


def uneven() -> dict[str, np.ndarray]:
    """Labels of few images, some classes of one image."""
    return {
        "location": np.array([0, 2, 2, 1, 0, 2, 2]),
        "identity": np.array([5, 5, 1, 1, 8, 0, 8]),
        "category": np.array([1, 1, 0, 0, 2, 0, 2]),
    }


def drawn(sampler: Sampler, *shape: int, seed: int = 0, tasks: torch.Tensor | None = None) -> Trials:
    generator = torch_generator(seed, "trials")
    uniforms = torch.rand(*shape, sampler.numbers, generator=generator)
    allowed = torch.tensor([task.place for task in sampler.tasks])
    if tasks is None:
        tasks = allowed[torch.randint(len(allowed), shape, generator=generator)]
    return sampler.trials(uniforms, tasks)


# --- an oracle --------------------------------------------------------------------------------------------


def in_order(labels: dict[str, np.ndarray], feature: str) -> list[int]:
    """Images by class, as the numbers choose among them."""
    keys = ("location",) if feature == "location" else ("category", "identity")
    return sorted(range(len(labels["location"])), key=lambda i: (*(labels[key][i] for key in keys), i))


def candidates(
    labels: dict[str, np.ndarray], lures: str, feature: str, before: int, match: bool
) -> list[int]:
    """Images that can follow an image."""
    found = []
    for image in in_order(labels, feature):
        same = {name: labels[name][image] == labels[name][before] for name in FEATURES}
        if same[feature] != match:
            continue
        if lures == "balanced" and feature == "identity" and not same["category"]:
            continue
        if lures == "balanced" and feature == "category" and same["identity"]:
            continue
        found.append(image)
    return found


def plain(
    labels: dict, uniforms: np.ndarray, task: Task, p: float, lures: str
) -> tuple[list[int], list[int]]:
    """Images and targets of one trial, step by step."""
    length = len(uniforms) // 2
    images, targets = [], []
    for step, (decides, picks) in enumerate(zip(uniforms[:length], uniforms[length:], strict=True)):
        if step < task.lag:
            pool, target = in_order(labels, task.feature), "no action"
        else:
            target = "match" if decides < p else "non-match"
            pool = candidates(labels, lures, task.feature, images[step - task.lag], target == "match")
        targets.append(RESPONSES.index(target))
        images.append(pool[int(np.float32(picks) * np.float32(len(pool)))])
    return images, targets


@pytest.mark.parametrize(
    ("labels", "lures", "length", "p"),
    [
        (uneven(), "natural", 6, 0.5), (crossed(), "natural", 5, 0.3), (crossed(), "balanced", 6, 0.5),
        (crossed((2, 2), 2, 1), "balanced", 9, 0.7),
    ],
)  # fmt: skip
def test_trials_are_those_of_a_plain_loop(labels, lures, length, p):
    sampler = Sampler(labels, length=length, match_probability=p, lures=lures)
    uniforms = torch.rand(40, sampler.numbers, generator=torch_generator(1, "trials"))
    tasks = torch.arange(40) % len(TASKS)
    trials = sampler.trials(uniforms, tasks)
    for k, task in enumerate(tasks.tolist()):
        images, targets = plain(labels, uniforms[k].numpy(), TASKS[task], p, lures)
        assert trials.images[k].tolist() == images and trials.targets[k].tolist() == targets


@pytest.mark.parametrize("lures", LURES)
def test_targets_say_whether_the_image_matches_the_one_before(lures):
    labels = crossed()
    trials = drawn(Sampler(labels, lures=lures, length=8), 3, 200)
    for images, targets, place in zip(*(part.flatten(0, 1).tolist() for part in trials), strict=True):
        task = TASKS[place]
        values = labels[task.feature][images]
        expected = [
            0 if t < task.lag else 2 if values[t] == values[t - task.lag] else 1 for t in range(len(images))
        ]
        assert targets == expected


# --- tasks ------------------------------------------------------------------------------------------------


def test_tasks_are_nine_in_a_fixed_order():
    assert [task.name for task in TASKS] == [
        "1-back location", "2-back location", "3-back location",
        "1-back identity", "2-back identity", "3-back identity",
        "1-back category", "2-back category", "3-back category",
    ]  # fmt: skip
    assert [task.place for task in TASKS] == [*range(9)]


def test_unknown_tasks_are_refused():
    with pytest.raises(ValueError, match="no task about 'identiy': did you mean identity"):
        Task("identiy", 2)
    with pytest.raises(ValueError, match=r"no task with a lag of 4: lags are \(1, 2, 3\)"):
        Task("identity", 4)


def test_a_diet_is_a_product_in_the_order_of_all_tasks():
    assert tasks_of() == TASKS
    assert tasks_of((3, 1), ("category", "location")) == tuple(TASKS[k] for k in (0, 2, 6, 8))
    assert tasks_of((2,), ("identity",)) == (Task("identity", 2),)
    with pytest.raises(ValueError, match="one or more lags and features, each once"):
        tasks_of((2, 2))
    with pytest.raises(ValueError, match="one or more lags and features"):
        tasks_of(())
    with pytest.raises(ValueError, match="no task about"):
        tasks_of((1,), ("view",))


def test_executive_steps_begin_after_the_lag():
    assert executive(2, 6).tolist() == [False, False, True, True, True, True]
    assert executive(1, 2).tolist() == [False, True]
    for lag, length in ((3, 3), (0, 6)):
        with pytest.raises(ValueError, match=f"{length} images have no pair {lag} apart"):
            executive(lag, length)


def test_task_vectors_tell_feature_and_lag():
    vectors = task_vectors(torch.arange(9).reshape(3, 3))
    assert vectors.shape == (3, 3, 6) and vectors.dtype == torch.float32
    assert vectors.flatten(0, 1).unique(dim=0).shape == (9, 6)
    for task, vector in zip(TASKS, vectors.flatten(0, 1), strict=True):
        ones = [FEATURES.index(task.feature), 3 + LAGS.index(task.lag)]
        assert vector.nonzero().flatten().tolist() == ones and vector[ones].tolist() == [1, 1]
    assert task_vectors(torch.tensor(4)).tolist() == [0, 1, 0, 0, 1, 0]


def test_short_task_vectors_need_a_single_lag():
    tasks = torch.tensor([[0, 3, 6], [2, 5, 8]])  # each network has one lag, and its own
    assert torch.equal(task_vectors(tasks, 3), task_vectors(tasks)[..., :3])
    assert task_vectors(torch.tensor(4), 3).tolist() == [0, 1, 0]
    for wrong in (torch.arange(9), tasks.T):
        with pytest.raises(ValueError, match="width 3 do not tell the lag, and these tasks have several"):
            task_vectors(wrong, 3)
    with pytest.raises(ValueError, match="width 6 .* or 3 .* got 9"):
        task_vectors(tasks, 9)


# --- drawing ----------------------------------------------------------------------------------------------


def test_trials_depend_on_their_own_numbers_alone():
    sampler = Sampler(crossed())
    uniforms = torch.rand(2, 3, 50, sampler.numbers, generator=torch_generator(2, "trials"))
    tasks = torch.arange(50) % 9
    together = sampler.trials(uniforms, tasks)
    assert together.images.shape == together.targets.shape == (2, 3, 50, 6)
    assert together.tasks.shape == (2, 3, 50) and together.images.dtype == torch.int64
    alone = sampler.trials(uniforms[1, 2, 7:8], tasks[7:8])
    assert all(torch.equal(a[1, 2, 7:8], b) for a, b in zip(together, alone, strict=True))
    again = sampler.trials(uniforms.double(), tasks)
    assert torch.equal(again.images, together.images)


def test_labels_can_be_tensors():
    labels = crossed()
    tensors = {feature: torch.as_tensor(value) for feature, value in labels.items()}
    first, second = (drawn(Sampler(given), 20) for given in (labels, tensors))
    assert torch.equal(first.images, second.images)
    assert balance(first, labels).equals(balance(first, tensors))


@pytest.mark.parametrize("lures", LURES)
@pytest.mark.parametrize("value", [0.0, 1 - 2**-24])
def test_the_outermost_numbers_choose_outermost_images(lures, value):
    sampler = Sampler(crossed(), lures=lures)
    uniforms = torch.full((9, sampler.numbers), value)
    trials = sampler.trials(uniforms, torch.arange(9))
    assert trials.images.min() >= 0 and trials.images.max() < len(crossed()["location"])
    assert (trials.targets[:, 3:] == (1 if value else 2)).all()


@pytest.mark.parametrize("p", [0.0, 0.3, 0.5, 1.0])
def test_matches_are_as_frequent_as_asked_for_in_every_task_and_step(p):
    trials = drawn(Sampler(crossed(), match_probability=p), 18_000)
    for task in TASKS:
        targets = trials.targets[trials.tasks == task.place].numpy()
        assert (targets[:, : task.lag] == 0).all() and (targets[:, task.lag :] > 0).all()
        shares = (targets[:, task.lag :] == 2).mean(axis=0)
        assert shares == pytest.approx(p, abs=5 * np.sqrt(p * (1 - p) / len(targets)))


@pytest.mark.parametrize("lures", LURES)
def test_all_images_that_can_follow_are_alike(lures):
    labels = crossed((2, 2), 2, 1)
    trials = drawn(Sampler(labels, lures=lures, length=4), 60_000, seed=3)
    images, targets, tasks = (part.numpy() for part in trials)
    count = len(labels["location"])
    assert np.bincount(images[:, 0]) / len(images) == pytest.approx(1 / count, abs=0.01)
    for place, before, match in ((1, 0, True), (4, 3, False), (7, 5, True), (7, 5, False)):
        task = TASKS[place]
        steps = (tasks[:, None] == place) & (images[:, :-2] == before) & (targets[:, 2:] == 1 + match)
        pool = candidates(labels, lures, task.feature, before, match)
        shares = np.bincount(images[:, 2:][steps], minlength=count) / steps.sum()
        expected = np.isin(np.arange(count), pool) / len(pool)
        assert shares == pytest.approx(expected, abs=5 * np.sqrt(0.25 / steps.sum()))
        assert (shares > 0).tolist() == (expected > 0).tolist()


@pytest.mark.parametrize("preset", ["published", "rich"])
@pytest.mark.parametrize("lures", LURES)
def test_every_part_and_split_of_the_presets_can_be_asked_about(preset, lures):
    stimuli = stimulus_set(preset)
    for part, split in [("train", "trained"), *product(["validation", "test"], SPLITS)]:
        chosen = stimuli.part(part, split)
        labels = {feature: chosen.labels(feature) for feature in FEATURES}
        trials = drawn(Sampler(labels, lures=lures), 100)
        assert trials.images.max() < len(chosen)


@pytest.mark.skipif(not torch.cuda.is_available(), reason="needs a GPU")
def test_a_gpu_draws_the_same_trials_also_as_a_captured_graph():
    labels = crossed()
    host, device = Sampler(labels), Sampler(labels, device="cuda")
    uniforms = torch.rand(2, 500, host.numbers, generator=torch_generator(4, "trials"))
    tasks = (torch.arange(1000) % 9).reshape(2, 500)
    given = uniforms.cuda(), tasks.cuda()
    for _ in range(3):
        device.trials(*given), task_vectors(given[1])
    graph = torch.cuda.CUDAGraph()
    with torch.cuda.graph(graph):
        captured, vectors = device.trials(*given), task_vectors(given[1])
    graph.replay()
    expected = host.trials(uniforms, tasks)
    for found in (captured, device.trials(*given)):
        assert all(torch.equal(a.cpu(), b) for a, b in zip(found, expected, strict=True))
    assert torch.equal(vectors.cpu(), task_vectors(tasks))


# --- what other features give away ------------------------------------------------------------------------


def follow_rates(labels: dict, lures: str, feature: str, before: int, match: bool) -> dict[str, float]:
    """P(each feature matches) over the images that can follow one."""
    pool = candidates(labels, lures, feature, before, match)
    return {name: float((labels[name][pool] == labels[name][before]).mean()) for name in FEATURES}


@pytest.mark.parametrize("feature", FEATURES)
def test_balanced_lures_tell_nothing_of_the_answer_whatever_came_before(feature):
    labels = crossed()
    for before in range(len(labels["location"])):
        match, other = (follow_rates(labels, "balanced", feature, before, m) for m in (True, False))
        assert match.pop(feature) == 1 and other.pop(feature) == 0
        assert match == pytest.approx(other)


def test_natural_lures_of_the_object_tell_something_and_of_the_location_nothing():
    labels = crossed()
    for before in range(len(labels["location"])):
        for feature in ("identity", "category"):
            match, other = (follow_rates(labels, "natural", feature, before, m) for m in (True, False))
            assert match["location"] == pytest.approx(other["location"])
            assert match["category"] > other["category"] and match["identity"] > other["identity"]


@pytest.mark.parametrize("lures", LURES)
def test_drawn_trials_are_balanced_as_they_should_be(lures):
    labels = crossed()
    table = balance(drawn(Sampler(labels, lures=lures), 60_000, seed=5), labels)
    assert len(table) == 18 and table.steps.sum() == pytest.approx(60_000 * 4, rel=0.01)
    for name, rows in table.groupby("task"):
        feature = name.split()[1]
        other, match = (rows[rows.answer == answer].squeeze() for answer in RESPONSES[1:])
        error = 5 * np.sqrt(0.5 / rows.steps.min())
        assert other[feature] == 0 and match[feature] == 1
        free = {"location": ("identity", "category")}.get(feature, ("location",))
        bound = [each for each in FEATURES if each not in (feature, *free)]
        for each in free:
            assert match[each] == pytest.approx(other[each], abs=error)
        for each in bound:  # what is forced: category in identity tasks, identity in category tasks
            if lures == "balanced":
                assert match[each] == other[each] == (each == "category")
            else:
                assert match[each] > other[each] + 0.2


def test_planted_leak_is_seen():
    labels = {
        "location": np.array([0, 0, 1, 1]),
        "identity": np.arange(4),
        "category": np.array([0, 1, 0, 1]),
    }
    task = Task("location", 1).place
    # matches of the location are other objects of the other category; one in two non-matches of its own
    images = torch.tensor([[[0, 1, 3], [2, 3, 1], [3, 2, 1]]])
    targets = torch.tensor([[[0, 2, 1], [0, 2, 1], [0, 2, 1]]])
    table = balance(Trials(images, targets, torch.full((1, 3), task)), labels)
    assert table.task.tolist() == ["1-back location"] * 2
    assert table.answer.tolist() == ["non-match", "match"] and table.steps.tolist() == [3, 3]
    assert table.location.tolist() == [0, 1] and table.identity.tolist() == [0, 0]
    assert table.category.tolist() == pytest.approx([2 / 3, 0])


# --- constant answers -------------------------------------------------------------------------------------


@pytest.mark.parametrize(("p", "expected"), [(0.5, (0.583, 0.667, 0.750)), (0.3, (0.750, 0.800, 0.850))])
def test_always_non_match_reaches_the_known_shares(p, expected):
    found = [constant_answers(Task("identity", lag), p)["non-match"].all_steps for lag in LAGS]
    assert found == pytest.approx(expected, abs=5e-4)


@pytest.mark.parametrize(("p", "length"), [(0.3, 6), (0.5, 6), (0.7, 10)])
def test_constant_answers_are_what_simulated_ones_reach(p, length):
    trials = drawn(Sampler(crossed(), match_probability=p, length=length), 9_000)
    for task in TASKS:
        targets = trials.targets[trials.tasks == task.place].numpy()
        for answer, expected in constant_answers(task, p, length).items():
            given = np.where(executive(task.lag, length).numpy(), RESPONSES.index(answer), 0)
            right = targets == given
            error = 5 * np.sqrt(0.25 / targets[:, task.lag :].size)
            assert right.mean() == pytest.approx(expected.all_steps, abs=error)
            assert right[:, task.lag :].mean() == pytest.approx(expected.executive, abs=error)
            recalls = [right[targets == k].mean() for k in (1, 2)]
            assert np.mean(recalls) == expected.balanced == 0.5


def test_constant_answers_of_one_kind_of_step():
    always, never = (constant_answers(TASKS[0], p) for p in (1.0, 0.0))
    assert always["match"] == (1, 1, 1) and never["non-match"] == (1, 1, 1)
    assert always["non-match"] == pytest.approx((0, 1 / 6, 0))
    with pytest.raises(ValueError, match="match_probability must lie in 0 to 1, got 1.5"):
        constant_answers(TASKS[0], 1.5)
    with pytest.raises(ValueError, match="3 images have no pair 3 apart"):
        constant_answers(TASKS[2], 0.5, 3)


# --- one feature in place of another ----------------------------------------------------------------------


@pytest.mark.parametrize(("preset", "expected"), [
    ("rich", {"identity": (1 + 24 / 31) / 2, "category": (1 + 1 / 8) / 2}),
    ("published", {"identity": (1 + 6 / 7) / 2, "category": (1 + 1 / 2) / 2}),
])  # fmt: skip
def test_shortcuts_reach_what_follows_from_the_numbers_of_objects(preset, expected):
    part = stimulus_set(preset).part("test", "trained")
    found = shortcut_levels({feature: part.labels(feature) for feature in FEATURES})
    assert found == pytest.approx(expected)
    assert found["identity"] == pytest.approx({"rich": 0.887, "published": 0.929}[preset], abs=5e-4)


@pytest.mark.parametrize("lures", ["natural", "balanced"])
def test_shortcuts_reach_what_simulated_ones_do(lures):
    labels = crossed((3, 3, 3))
    trials = drawn(Sampler(labels, lures=lures, tasks=tasks_of((2,))), 20_000)
    levels = shortcut_levels(labels) if lures == "natural" else {"identity": 0.5, "category": 0.5}
    for task, other in ("identity", "category"), ("category", "identity"):
        chosen = trials.tasks == Task(task, 2).place
        images, right = trials.images[chosen].numpy(), trials.targets[chosen].numpy()[:, 2:]
        said = 1 + (labels[other][images][:, 2:] == labels[other][images][:, :-2])
        reached = np.mean([(said == right)[right == answer].mean() for answer in (1, 2)])
        assert reached == pytest.approx(levels[task], abs=0.01)


def test_shortcuts_of_a_single_object_are_refused():
    one = {"location": np.arange(4), "identity": np.zeros(4, int), "category": np.zeros(4, int)}
    with pytest.raises(ValueError, match="images of a single object have no non-matches"):
        shortcut_levels(one)
    with pytest.raises(ValueError, match="labels of category are missing"):
        shortcut_levels({name: one[name] for name in FEATURES[:2]})


def test_tasks_are_found_by_name():
    assert [task_named(task.name) for task in TASKS] == [*TASKS]
    with pytest.raises(ValueError, match="no task '2-back identiy': did you mean 2-back identity"):
        task_named("2-back identiy")


# --- errors -----------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"lures": "ballanced"}, "no lures 'ballanced': did you mean balanced"),
        ({"match_probability": -0.1}, "match_probability must lie in 0 to 1, got -0.1"),
        ({"length": 3}, "3 images have no pair 3 apart: show more images"),
    ],
)
def test_unusable_settings_are_refused(changes, message):
    with pytest.raises(ValueError, match=message):
        Sampler(crossed(), **changes)
    assert Sampler(crossed(), length=3, tasks=tasks_of((1, 2))).numbers == 6


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"identity": None}, "labels of identity are missing"),
        ({"identity": np.arange(3)}, "for the same two images or more, got shapes"),
        ({"location": np.zeros(7)}, "labels of location are not whole numbers"),
        ({"category": np.array([1, 1, 0, 0, 2, 0, 1])}, "identity 8 is of several categories"),
        (
            {"location": np.zeros(7, dtype=int)},
            "no image can be a non-match to image 0, location 0, in location",
        ),
        (
            {"category": np.ones(7, dtype=int)},
            "no image can be a non-match to image 0, category 1, in category",
        ),
    ],
)
def test_unusable_labels_are_refused(changes, message):
    labels = {name: value for name, value in (uneven() | changes).items() if value is not None}
    with pytest.raises(ValueError, match=message):
        Sampler(labels)


def test_what_is_not_asked_for_need_not_be_there():
    labels = uneven() | {"location": np.zeros(7, dtype=int)}
    sampler = Sampler(labels, tasks=tasks_of(features=("identity", "category")))
    assert drawn(sampler, 50).targets.max() == 2


def test_balanced_lures_need_other_objects_everywhere():
    with pytest.raises(ValueError, match="equally often at each location, which identity 0 is not"):
        Sampler(uneven(), lures="balanced")
    single = crossed((1, 2))
    with pytest.raises(ValueError, match=r"no image can be a non-match .* identity 0, in identity tasks"):
        Sampler(single, lures="balanced", tasks=tasks_of(features=("identity",)))
    with pytest.raises(ValueError, match=r"no image can be a match .* category 0, in category tasks"):
        Sampler(single, lures="balanced", tasks=tasks_of(features=("category",)))
    Sampler(single, lures="balanced", tasks=tasks_of(features=("location",)))


def test_numbers_and_tasks_that_do_not_fit_are_refused():
    sampler = Sampler(crossed(), tasks=tasks_of((2,)))
    uniforms = torch.zeros(5, sampler.numbers)
    with pytest.raises(ValueError, match=r"uniforms of shape \(..., trial, 12\), got \(5, 11\)"):
        sampler.trials(uniforms[:, 1:], torch.ones(5, dtype=torch.int64))
    with pytest.raises(ValueError, match=r"uniforms are for trials \(5,\), but tasks have shape \(4,\)"):
        sampler.trials(uniforms, torch.ones(4, dtype=torch.int64))
    with pytest.raises(ValueError, match="sampler is on cpu, but uniforms on meta"):
        sampler.trials(uniforms.to("meta"), torch.ones(5, dtype=torch.int64))
    for wrong in (0, -1, 9):
        with pytest.raises(
            ValueError, match=r"made for the tasks 1 \(2-back location\), 4 .* others are asked"
        ):
            sampler.trials(uniforms, torch.tensor([1, 4, 7, 1, wrong]))
