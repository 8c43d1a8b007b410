"""Load, queues, views and hand-built solutions: planted systems must give the planted answer."""

from dataclasses import replace

import numpy as np
import pytest

from wm import nback, store
from wm.nback import geometry
from wm.nback.geometry import beyond, handmade
from wm.nback.geometry.capacity import additive, capacity
from wm.nback.geometry.drift import drift
from wm.nback.geometry.planted import (
    by_stimulus,
    chronological,
    codes_of,
    frames,
    pictures_of,
    planted,
    slots,
)
from wm.nback.material import Images
from wm.nback.task import Task

TRIALS = 800


def held(carry, lag: int):
    """The same, as long as a task needs an item."""
    return lambda task, i, j: carry(task, i, j) if j - i <= lag else None


def system(carry, lag: int, name: str = "identity", **options):
    return planted(held(carry, lag), (Task(name, lag),), trials=TRIALS, **options)


# --- load -------------------------------------------------------------------------------------------------


def test_items_in_frames_of_their_own_do_not_overlap_and_those_in_one_frame_do():
    own, one = chronological(), frames(1)[0]
    apart = capacity(system(own, 2), 0)
    same = capacity(system(lambda task, i, j: one, 2), 0)
    assert abs(apart.overlap) < 0.1 < 0.9 < same.overlap < 1.1
    assert apart.held > 0.9 and same.held < 0.6, "three items in one frame cannot be told apart"
    assert apart.memory == pytest.approx(apart.screen, rel=0.15)
    assert same.dimension < apart.dimension / 2


def test_more_items_leave_less_of_the_variance_to_each():
    one, three = (capacity(system(chronological(), lag), 0) for lag in (1, 3))
    assert one.memory == pytest.approx(2 * three.memory, rel=0.15)
    assert three.dimension > 1.5 * one.dimension and min(one.held, three.held) > 0.9


def test_noise_is_no_code_and_shares_no_subspace():
    noisy = capacity(system(chronological(), 1, noise=1.5), 0)
    assert abs(noisy.overlap) < 0.25 and noisy.held < 0.8
    gone = capacity(planted(lambda task, i, j: chronological()(task, i, j) if i == j else None,
                            (Task("identity", 2),), trials=TRIALS), 0)  # fmt: skip
    assert abs(gone.memory) < 0.01 < 0.1 < gone.screen and gone.held < 0.1


# --- queues -----------------------------------------------------------------------------------------------


@pytest.mark.parametrize(("carry", "queue", "by_item"), [
    (chronological(), True, False), (slots(), False, True), (by_stimulus(), False, False),
])  # fmt: skip
def test_a_queue_is_told_from_slots(carry, queue, by_item):
    found = additive(system(carry, 2), 0)
    assert found.free > 0.6
    for own, planted_so in ((found.queue, queue), (found.slots, by_item)):
        assert (own > found.free - 0.05) == planted_so
        assert planted_so or own < 0.8 * found.free


def test_no_step_has_more_items_than_there_are():
    short = planted(slots(), (Task("location", 3),), trials=64)
    short = replace(short, states=short.states[:, :, :3], images=short.images[:, :, :3])
    for each in (capacity, additive):
        with pytest.raises(ValueError, match="3 steps never have the 4 items of a lag of 3"):
            each(short, 0)


# --- views ------------------------------------------------------------------------------------------------


def of_views(carry, task: Task):
    """A planted system whose labels have the view of each image; the last two are new."""
    labels = pictures_of(views=8)
    own = planted(carry, (task,), labels=labels, trials=2 * TRIALS)
    labels = labels | {"view": np.arange(len(labels["identity"])) % 8}
    return replace(own, labels=labels), labels["view"] < 6


def test_a_code_that_all_views_share_does_not_drift_and_one_that_turns_with_the_view_does():
    recording, trained = of_views(chronological(), Task("location", 2))
    steady = drift(recording, 0, trained)
    assert min(steady.images.min(), steady.views.min(), steady.new.min()) > 0.95
    states, own = recording.states.copy(), frames(8, seed=3)
    views = recording.labels["view"][recording.images[0, :, 2]]
    places = recording.labels["location"][recording.images[0, :, 2]]
    for step in (4, 5):  # while item 3 is held, each of its views has a frame of its own
        noise = 0.05 * np.random.default_rng(step).standard_normal(states[0, :, step - 1].shape)
        states[0, :, step - 1] = noise + own[views, places]
    turning = drift(replace(recording, states=states), 0, trained, items=(3,))
    assert min(turning.images[0], turning.views[0], turning.new[0]) > 0.95
    assert turning.images[-1] > 0.8 and abs(turning.views[-1]) < 0.35 and abs(turning.new[-1]) < 0.35


def test_drift_says_what_it_cannot_do():
    recording, trained = of_views(slots(), Task("location", 3))
    with pytest.raises(ValueError, match="item 4 is not compared within 6 steps: leave it out"):
        drift(recording, 0, trained, items=(2, 4))
    for wrong in (np.ones_like(trained), np.zeros_like(trained)):
        with pytest.raises(ValueError, match="views that were trained, and of views that were not"):
            drift(recording, 0, wrong)


# --- hand-built solutions ---------------------------------------------------------------------------------


def pictures(views: int = 6) -> Images:
    labels = pictures_of(views)
    codes = codes_of(labels)
    wide = np.random.default_rng(0).standard_normal((codes.shape[1], 4 * 12))
    labels = labels | {"view": np.arange(len(codes)) % views}
    return Images((codes @ wide).reshape(len(codes), 4, 12).astype(np.float32), labels)


TASKS = (Task("identity", 2), Task("location", 1))


@pytest.fixture(scope="module")
def trials():
    own = pictures()
    return own, handmade.percepts(own), geometry.draw(own, TASKS, trials=TRIALS, match_probability=0.5)


@pytest.mark.parametrize("name", handmade.HANDMADE)
def test_hand_built_solutions_do_the_tasks_and_hold_what_they_say(trials, name):
    own, seen, shown = trials
    assert all((seen[each] == own.labels[each]).mean() > 0.95 for each in seen)
    found = handmade.handmade(seen, own.labels, shown, TASKS, **handmade.HANDMADE[name])
    executive = found.targets > 0
    assert np.array_equal(found.answers == 0, ~executive)
    right = (found.answers == found.targets)[executive].mean()
    assert right < 0.6 if name == "screen" else right > 0.9
    chance = geometry.draw(own, TASKS, trials=TRIALS)
    found = handmade.handmade(seen, own.labels, chance, TASKS, **handmade.HANDMADE[name])
    kept = geometry.fitted(found, 0, "identity").normalised[1, 3]
    other = geometry.fitted(found, 0, "location").normalised[1, 3]
    assert abs(kept) < 0.15 if name == "screen" else kept > 0.9
    assert other > 0.9 if name == "queue_of_all" else abs(other) < 0.15


def test_the_queue_is_held_as_h2_says_and_slots_as_h1_does(trials):
    own, seen, _ = trials
    chance = geometry.draw(own, TASKS, trials=TRIALS)
    for memory, verdict in (("queue", "H2"), ("slots", "undecided")):
        found = handmade.handmade(seen, own.labels, chance, TASKS, memory=memory)
        assert geometry.evidence(found, 0, "identity").verdict == verdict, "slots are kept, but seen alike"
    with pytest.raises(ValueError, match="memory is 'stack': choose queue, slots or screen"):
        handmade.handmade(seen, own.labels, chance, TASKS, memory="stack")


def test_states_are_most_like_the_solution_that_made_them(trials):
    own, seen, shown = trials
    made = {
        name: handmade.handmade(seen, own.labels, shown, TASKS, **how)
        for name, how in handmade.HANDMADE.items()
    }
    turn = np.linalg.qr(np.random.default_rng(0).standard_normal((made["queue"].states.shape[-1],) * 2))[0]
    for name, each in made.items():
        turned = replace(each, states=3 * each.states @ turn)
        found = {other: handmade.similarity(turned, whole, 0) for other, whole in made.items()}
        assert max(found, key=found.get) == name and found[name] == pytest.approx(1)
    with pytest.raises(ValueError, match="states of different trials cannot be compared"):
        handmade.similarity(made["queue"], planted(slots(), TASKS, trials=TRIALS), 0)


# --- the table --------------------------------------------------------------------------------------------


def network(family: str, seed: int = 0) -> nback.Trained:
    return nback.create_model(family, seed, features_channels=12, units=48, channels=4)


def test_rows_are_what_the_measures_say():
    own, more = network("gru"), pictures(8)
    rows = beyond.beyond_rows(own, more, views=6, tasks=TASKS, trials=TRIALS)
    assert [row["task"] for row in rows] == [task.name for task in TASKS]
    few = more.of(more.labels["view"] < 6)
    recording = geometry.record(own, few, geometry.draw(few, TASKS, trials=TRIALS), TASKS)
    for k, row in enumerate(rows):
        told = capacity(recording, k)
        assert [row["held"], row["overlap"]] == pytest.approx([told.held, told.overlap], abs=6e-4)
        assert row["by_age"] == pytest.approx(additive(recording, k).queue, abs=6e-4)
        assert row["images_0"] > 0.5 and {"views_lag", "new_0", "like_queue", "like_screen"} <= row.keys()
        assert all(0 < row[f"{kind}_{name}"] < 1 for kind in ("index", "input") for name in beyond.PENALTIES)


def test_saved_networks_are_measured(monkeypatch, tmp_path):
    for name in ("DATA", "DATA_JSON"):
        monkeypatch.setenv(f"WM_{name}", str(tmp_path / name.lower()))
    monkeypatch.setattr(beyond, "_pictures", lambda *about: (pictures(8), 6))
    monkeypatch.setattr(beyond, "beyond_rows", lambda trained, *_, **options: [
        {"family": trained.config.family, "seed": trained.seed, "task": "2-back identity", "held": 0.5}
    ])  # fmt: skip
    monkeypatch.setattr(beyond, "names", lambda family: [f"{family}-00", f"{family}-01"])
    monkeypatch.setattr(beyond, "load", lambda name: network(*name.split("-")))
    assert len(beyond.measure_beyond()) == 8
    table = beyond.beyond_table()
    assert set(table.family) == set(beyond.FAMILIES_MEASURED) and set(table.lag) == {2}
    assert len(beyond.measure_beyond(["gru"])) == 2 and len(beyond.beyond_table()) == 8
    with pytest.raises(ValueError, match="gru_stmf_2 has not learnt all nine tasks"):
        beyond.measure_beyond(["gru_stmf_2"])
    monkeypatch.setattr(beyond, "names", lambda family: [])
    with pytest.raises(ValueError, match="no network of dual_gru_mtmf is saved"):
        beyond.measure_beyond(["dual_gru_mtmf"])
    (tmp_path / "data_json" / "nback" / "beyond.csv").unlink()
    with pytest.raises(store.DamagedFile, match="wm states nback beyond"):
        beyond.beyond_table()
