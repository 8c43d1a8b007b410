"""Drawings of stimuli and tasks: that they show what there is, where it belongs."""

import numpy as np
import pytest
from matplotlib.colors import same_color
from matplotlib.patches import FancyArrowPatch

from wm.nback.design import VIEWS
from wm.nback.pictures import (
    RESPONSE_LOOKS,
    SPLIT_LOOKS,
    draw_key,
    draw_places,
    draw_responses,
    draw_sheet,
    draw_trial,
    example_trial,
)
from wm.nback.placeholder import save_placeholder
from wm.nback.stimuli import stimulus_set
from wm.nback.task import RESPONSES, TASKS, Task


@pytest.fixture(scope="module")
def few(tmp_path_factory):
    """A set of placeholder shapes, two trained and two held out of two categories."""
    shapes = save_placeholder(tmp_path_factory.mktemp("objects"), ["car", "chair"], 4)
    return stimulus_set("published", shapes, trained=2, novel=2, categories=("car", "chair"))


def drawn(ax):
    ax.figure.canvas.draw()
    return ax


def texts(ax):
    return [text.get_text() for text in ax.texts]


def test_a_sheet_shows_every_object_from_every_view_framed_by_its_split(few, ax):
    draw_sheet(ax, few, pixels=16)
    drawn(ax)
    assert len(ax.images) == len(ax.patches) == 4 * len(VIEWS)
    names = few.classes("identity")
    rows = [tuple(label.get_text().split("\n")) for label in ax.get_yticklabels()]
    assert rows == [names[0], names[4], names[2], names[6]]
    columns = [label.get_text() for label in ax.get_xticklabels()]
    assert columns[:2] == ["−75°\n", "−60°\n"] and columns[-2:] == ["15°\n50° ↑", "45°\n50° ↑"]
    frames = [patch.get_edgecolor() for patch in ax.patches]
    between, beyond = {-60, -30, 30, 60}, 4
    azimuths = [-75, -60, -45, -30, -15, 15, 30, 45, 60, 75]
    known = ["novel_angle" if each in between else "trained" for each in azimuths]
    novel = ["novel_both" if each in between else "novel_identity" for each in azimuths]
    splits = [*known, *beyond * ["extrapolating"]] * 2 + [*novel, *beyond * ["novel_both"]] * 2
    for frame, split in zip(frames, splits, strict=True):
        assert same_color(frame, SPLIT_LOOKS[split][1])


def test_a_sheet_shows_the_objects_that_are_asked_for(few, ax):
    draw_sheet(ax, few, few.classes("identity")[1:2], pixels=16)
    draw_key(ax, ["trained", "novel_angle"], loc="lower center")
    drawn(ax)
    assert len(ax.images) == len(VIEWS)
    labels = [text.get_text() for text in ax.get_legend().get_texts()]
    assert labels == ["trained", "view between trained ones"]
    with pytest.raises(ValueError, match="has no car 'nothing'"):
        draw_sheet(ax, few, [("car", "nothing")])


@pytest.mark.parametrize("placing", ["quadrants", "free"])
def test_places_are_dots_at_the_centres_within_the_image(few, ax, placing):
    stimuli = stimulus_set(few.design, few.library, placing=placing)
    draw_places(ax, stimuli, 3)
    drawn(ax)
    (dots,) = ax.collections
    expected = {*zip(stimuli.table.x, stimuli.table.y, strict=True)}
    assert {tuple(each) for each in dots.get_offsets().astype(int).tolist()} == expected
    assert texts(ax) == ["top left", "top right", "bottom left", "bottom right"]
    for box in ax.patches:
        (left, top), (right, bottom) = box.get_xy(), np.add(box.get_xy(), (box.get_width(), box.get_height()))
        assert 0 <= left < right <= 224 and 0 <= top < bottom <= 224
    assert ax.get_ylim() == (224, 0), "the top is above"


@pytest.mark.parametrize("task", TASKS[::4], ids=lambda task: task.name)
def test_an_example_is_a_trial_of_the_task_with_both_answers(few, task):
    part = few.part("test", "trained")
    images, targets = example_trial(part, task)
    assert images.shape == (6, 224, 224, 3) and {1, 2} <= {*targets} and (targets[: task.lag] == 0).all()
    again, _ = example_trial(part, task)
    assert (again == images).all() and (example_trial(part, task, "1")[0] != images).any()


def test_an_example_needs_room_for_both_answers(few):
    with pytest.raises(ValueError, match="no trial of 4 images of 3-back category has a match and a non-mat"):
        example_trial(few.part("test"), Task("category", 3), length=4)


def test_a_trial_shows_images_arcs_and_answers(few, ax):
    task = Task("identity", 2)
    images, targets = example_trial(few.part("test"), task)
    draw_trial(ax, images, task, targets)
    drawn(ax)
    assert len(ax.images) == 6 and (ax.images[3].get_array() == images[3]).all()
    assert texts(ax) == [*(RESPONSES[target] for target in targets), "2-back\nidentity"]
    arcs = [patch for patch in ax.patches if isinstance(patch, FancyArrowPatch)]
    assert len(arcs) == 4
    for arc, target in zip(arcs, targets[2:], strict=True):
        assert same_color(arc.get_edgecolor(), RESPONSE_LOOKS[RESPONSES[target]][1])


def test_wrong_answers_are_told_in_words_or_signs(few, ax):
    task, images = Task("location", 1), np.zeros((3, 8, 8, 3), dtype=np.uint8)
    draw_trial(ax, images, task, np.array([0, 2, 1]), answers=np.array([0, 1, 1]))
    assert texts(ax)[:4] == ["no action", "match", "✗ non-match", "non-match"]
    draw_trial(ax, images, task, np.array([0, 2, 1]), answers=np.array([1, 2, 1]), words=False)
    assert texts(drawn(ax))[5:9] == ["–", "✗ ≠", "=", "≠"]
    for wrong in ({"targets": np.zeros(2)}, {"targets": np.zeros(3), "answers": np.zeros(4)}):
        with pytest.raises(ValueError, match="3 images need as many targets, and as many answers if there"):
            draw_trial(ax, images, task, **wrong)


def test_the_beginning_of_a_trial_can_be_shown(few, ax):
    images, targets = example_trial(few.part("test"), Task("location", 3))
    draw_trial(ax, images[:2], Task("location", 3), targets[:2])
    assert len(drawn(ax).images) == 2 and texts(ax)[:2] == ["no action"] * 2 and not ax.patches


def test_signs_of_responses_are_explained(ax):
    draw_responses(ax)
    said = texts(drawn(ax))
    assert said == ["–", "no action: nothing to compare yet", "≠", "non-match", "=", "match"]
