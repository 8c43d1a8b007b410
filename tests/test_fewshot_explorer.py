"""Explorer of networks that name drawings: episodes as pictures, order of labels, answers, test episodes."""

import base64
import json
from functools import partial
from pathlib import Path

import numpy as np
import pytest

from wm import notebook, plastic
from wm.plastic import explorer, inside
from wm.plastic import explorer_case as cases
from wm.plastic.explorer import Settings
from wm.plastic.explorer_film import film
from wm.plastic.fewshot import pools, shown
from wm.plastic.fewshot.explorer import accuracies
from wm.plastic.fewshot.task import Classification
from wm.plastic.inside import Edit
from wm.seeds import numpy_generator

ROOT = Path(__file__).parents[1]
SMALL = {"width": 8, "feedforward": 8, "heads": 2, "updates": 2, "batch": 2, "layers": 1}
NETWORKS = {
    "emoji_hebbian": {"encoder": "none"}, "emoji_none": {"encoder": "none"},
    "published_emoji_gradient": {}, "copying_hebbian": {},
}  # fmt: skip
HEBBIAN, STATIC, PUBLISHED = "emoji_hebbian-00", "emoji_none-00", "published_emoji_gradient-00"
SHORT = {"trials": 8}


@pytest.fixture(scope="module")
def saved(tmp_path_factory):
    """A folder with small networks, all but one of drawings."""
    folder = tmp_path_factory.mktemp("data")
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("WM_DATA", str(folder))
        patch.setattr("wm.plastic.campaign.evaluated", partial(plastic.evaluated, trials=8))
        for family, changes in NETWORKS.items():
            plastic.train(plastic.config(family, **SMALL | changes), 1)
    return folder


@pytest.fixture(autouse=True)
def there(saved, monkeypatch):
    monkeypatch.setenv("WM_DATA", str(saved))


def axes(fig):
    return {ax.get_label(): ax for ax in fig.axes}


def texts(ax):
    return [text.get_text() for text in ax.texts]


def pictures(ax):
    """Arrays of the pictures that `draw_pictures` put on axes."""
    return [artist.offsetbox.get_data() for artist in ax.artists]


# ---------------------------------------------------------------- one episode


def small(**changes):
    return Classification(**{"encoder": "none", "shots": 2, "asked": 5} | changes)


def test_an_episode_is_of_test_drawings_with_their_pictures():
    task = small()
    found = shown.shown(task, numpy_generator(3))
    pixels = found.inputs[:, : task.pixels].reshape(-1, 3, 32, 32)
    assert found.pictures.shape == (15, 32, 32, 3) and 0 <= found.pictures.min() < found.pictures.max() <= 1
    assert np.allclose(np.moveaxis((pixels + 1) / 2, 1, -1), found.pictures)
    known = pools.pool("emoji", "random", "test", "none").vectors
    assert all((known == row.reshape(-1)).all(axis=1).any() for row in pixels)
    assert not found.targets[:10].any()
    assert found.targets[10:].tolist() == task.held_out.choose(1, numpy_generator(3))[1][0, 10:].tolist()


def test_labels_come_in_the_order_that_is_typed():
    task = small()
    drawn, ordered = (shown.shown(task, numpy_generator(3), order) for order in ("", "3, 1 4 0 2"))
    assert shown.names(task, ordered.inputs) == [*"3311440022", *"?????"]
    assert np.array_equal(drawn.inputs[10:], ordered.inputs[10:]), "queries stay"
    assert np.array_equal(drawn.targets, ordered.targets)
    both = (np.unique(each.inputs[:10], axis=0) for each in (drawn, ordered))
    assert np.array_equal(*both), "the same labelled drawings"
    own = {shown.names(task, drawn.inputs)[k]: k for k in range(10)}  # the second of each label
    assert all(np.array_equal(drawn.inputs[own[label]], ordered.inputs[2 * place + 1])
               for place, label in enumerate("31402"))  # fmt: skip


def test_labels_of_many_classes_are_numbers_apart():
    task = small(ways=12, asked=12, shots=1)
    order = " ".join(map(str, reversed(range(12))))
    found = shown.shown(task, numpy_generator(0), order)
    assert shown.names(task, found.inputs)[:12] == order.split()


@pytest.mark.parametrize("order", ["0123", "01233", "01235", "0123x4", "-"])
def test_orders_that_do_not_name_each_label_are_refused(order):
    with pytest.raises(ValueError, match="sequence: write each label from 0 to 4 once, such as 43210"):
        explorer.tokens(HEBBIAN, sequence=order)
    with pytest.raises(ValueError, match="from 0 to 11 once, such as 11 10 9 8 7"):
        shown.shown(small(ways=12, asked=12), numpy_generator(0), "0 1 2")


# ---------------------------------------------------------------- views


@pytest.mark.parametrize("network", [HEBBIAN, STATIC, PUBLISHED])
def test_views_suit_the_network_and_all_are_drawn(network):
    offered = explorer.views(network)
    assert next(iter(offered)) == "episode" and ("memory" in offered) == (network != STATIC)
    for view in offered.values():
        assert view(network, layer=0, **SHORT).axes


def test_networks_of_other_tasks_have_no_episode():
    assert "episode" not in explorer.views("copying_hebbian-00")
    with pytest.raises(ValueError, match="copying_hebbian-00 names no drawings: look at `tokens`"):
        explorer.episode("copying_hebbian-00")


@pytest.mark.parametrize("network", [HEBBIAN, PUBLISHED])
def test_tokens_show_drawings_labels_answers_and_rates(network):
    case = cases.case_of(network, Settings(seed=4))
    run = inside.watch(case.trained, case.inputs[None])
    ax = axes(explorer.tokens(network, seed=4))
    assert texts(ax["inputs"]) == cases.words(case)
    assert np.allclose(pictures(ax["inputs"]), case.pictures)
    answers = run.trace.answers.softmax(dim=-1)[0, 0].numpy()
    assert np.allclose(ax["answers"].images[0].get_array(), answers.T)
    assert len(ax["answers"].patches) == case.task.asked
    assert np.array_equal(ax["rate"].lines[0].get_ydata(), run.trace.rates.rate[0, 0])
    assert np.array_equal(ax["norm"].lines[0].get_ydata(), run.trace.rates.norm[0, 0])
    assert np.array_equal(ax["norms"].lines[1].get_ydata(), inside.norms(run, run.layers[1]))


def test_episode_shows_each_drawing_under_its_label_and_what_queries_are_given():
    case = cases.case_of(HEBBIAN, Settings(seed=2, sequence="31402"))
    run = inside.watch(case.trained, case.inputs[None])
    ax = axes(explorer.episode(HEBBIAN, seed=2, sequence="31402", **SHORT))
    assert texts(ax["labelled"]) == ["0", "1", "2", "3", "4"], "tokens, in their order"
    lefts = [image.get_extent()[0] for image in ax["labelled"].images]
    assert np.rint(np.array(lefts) + 0.46).tolist() == [3, 1, 4, 0, 2]
    for image, picture in zip(ax["labelled"].images, case.pictures, strict=False):
        assert np.allclose(image.get_array(), picture)
    answers = run.trace.answers.softmax(dim=-1)[0, 0].numpy()[5:]
    assert np.allclose(ax["answers"].images[0].get_array(), answers.T)
    assert texts(ax["queries"]) == [str(label) for label in answers.argmax(axis=1)]
    wrong = [text.get_color() != "black" for text in ax["queries"].texts]
    assert wrong == (answers.argmax(axis=1) != case.targets[5:]).tolist()
    boxes = [box.get_y() + 0.5 for box in ax["answers"].patches]
    assert boxes == case.targets[5:].tolist()


def test_scores_of_test_episodes_are_counted():
    case = cases.case_of(HEBBIAN, Settings())
    shares = accuracies(case.trained, 16)
    assert shares.shape == (16,)
    assert shares.mean() == pytest.approx(inside.recalled(case.trained, trials=16).mean())
    ax = axes(explorer.episode(HEBBIAN, trials=16))["test"]
    on, off, chance = ax.lines
    assert on.get_ydata().sum() == off.get_ydata().sum() == 16
    assert (on.get_xdata() * on.get_ydata()).sum() / 16 == pytest.approx(shares.mean())
    assert on.get_label().startswith("rule on: 0.") and chance.get_xdata()[0] == 0.2
    assert len(axes(explorer.episode(STATIC, **SHORT))["test"].lines) == 2


def test_memory_names_tokens_by_their_labels():
    case = cases.case_of(HEBBIAN, Settings())
    ax = axes(explorer.memory(HEBBIAN, token=8, layer=1))
    assert [tick.get_text() for tick in ax["row"].get_xticklabels()] == cases.words(case)
    assert ax["row"].get_xlabel() == "token written (its label)"
    assert ax["answer"].get_xlabel() == "answer at token 8, by label"
    assert sum(bar.get_height() for bar in ax["answer"].patches) == pytest.approx(2)
    box = ax["reads"].patches[0]
    assert (box.get_width(), box.get_height()) == (5, 5)


def test_comparison_is_of_shares_right():
    case = cases.case_of(HEBBIAN, Settings())
    ax = axes(explorer.comparison(HEBBIAN, edit="erase", at=5, **SHORT))
    names = [line.get_label().split(":")[0] for line in ax["test"].lines[:3]]
    assert names == ["rule on", "edited", "rule off"]
    scores = inside.recalled(case.trained, Edit("erase", 5), trials=8)
    assert np.array_equal(ax["test"].lines[1].get_ydata(), scores)
    assert ax["own"].get_ylabel() == "P of the right label" and ax["test"].get_ylabel() == "share right"


def test_training_is_told_in_nats_and_shares():
    ax = axes(explorer.training(HEBBIAN))
    assert ax["loss"].get_ylabel() == "loss (nats a token)" and ax["score"].lines[1].get_ydata()[0] == 0.2


# ---------------------------------------------------------------- film, widgets, notebooks


def test_film_shows_drawings_and_answers_so_far(closed):
    case = cases.case_of(HEBBIAN, Settings())
    moving = film(HEBBIAN, Settings())
    moving._init_draw()
    moving._draw_frame(6)
    ax = axes(moving._fig)
    run = inside.watch(case.trained, case.inputs[None])
    answers = inside.probabilities(case.trained, run.trace.answers)[0]
    seen = np.asarray(ax["answers"].images[0].get_array())
    assert np.array_equal(seen[:, :7], answers.T[:, :7]) and not seen[:, 7:].any()
    assert len(pictures(ax["inputs"])) == 10


def test_widgets_offer_networks_with_the_same_views():
    box = explorer.explore(HEBBIAN, **SHORT)
    side, output = box.children[1].children
    assert list(side.children[0].options) == [HEBBIAN, PUBLISHED]
    assert base64.b64decode(output.outputs[0]["data"]["image/png"]).startswith(b"\x89PNG")
    side.children[1].value = "12"
    assert output.outputs[0]["text"].startswith("sequence: write each label from 0 to 4 once")


@pytest.mark.notebook
def test_explorers_run_in_smoke_mode(saved, tmp_path, monkeypatch):
    monkeypatch.setenv("WM_RESULTS", str(tmp_path))
    template = ROOT / "notebooks/explore/plastic.ipynb"
    chosen = {"network": HEBBIAN, "sequence": "43210", "layer": 1}
    for path, given in {template: chosen, saved / "plastic" / HEBBIAN / "explore.ipynb": {}}.items():
        outcome = notebook.run(path, given | {"smoke": True})
        assert outcome.ok, outcome.report()
        (done,) = tmp_path.glob(f"*/*/{path.name}")
        outputs = [out for cell in json.loads(done.read_text())["cells"] for out in cell.get("outputs", ())]
        assert not [each for each in outputs if each["output_type"] == "stream"]
