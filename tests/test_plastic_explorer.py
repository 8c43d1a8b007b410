"""Explorer of plastic networks: views draw the run, edits act, what does not suit a network is refused."""

import base64
import json
import re
from pathlib import Path

import numpy as np
import pytest

from wm import notebook, plastic, store
from wm.lint import lint
from wm.plastic import explorer, inside, reads
from wm.plastic import explorer_case as cases
from wm.plastic.explorer import Settings
from wm.plastic.explorer_film import film
from wm.plastic.inside import Edit

ROOT = Path(__file__).parents[1]
SMALL = {"width": 8, "feedforward": 8, "heads": 2, "updates": 2, "batch": 4}
NETWORKS = {
    "windowed_copying_hebbian": {}, "copying_gradient": {"layers": 1}, "copying_none": {},
    "regression_gradient": {}, "published_copying_hebbian": {},
    "rnn_cue_reward_noisy_hebbian": {}, "cue_reward_none": {},
}  # fmt: skip
COPYING, NUMBERS = "windowed_copying_hebbian-00", "regression_gradient-00"
RNN = "rnn_cue_reward_noisy_hebbian-00"
SHORT = {"trials": 8}


@pytest.fixture(scope="module")
def saved(tmp_path_factory):
    """A folder with small networks of several kinds."""
    folder = tmp_path_factory.mktemp("data")
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("WM_DATA", str(folder))
        for family, changes in NETWORKS.items():
            plastic.train(plastic.config(family, **SMALL | changes), 1)
    return folder


@pytest.fixture(autouse=True)
def there(saved, monkeypatch):
    monkeypatch.setenv("WM_DATA", str(saved))


def axes(fig):
    return {ax.get_label(): ax for ax in fig.axes}


def run_of(network, sequence="", **edit):
    case = cases.case_of(network, Settings(sequence=sequence))
    return case, inside.watch(case.trained, case.inputs[None], Edit(**edit))


# ---------------------------------------------------------------- notebooks


def test_template_for_any_plastic_network_is_well_kept(saved):
    no_claims = ["last code cell does not record claims (`sheet.save()`)"]
    assert lint(ROOT / "notebooks/explore/plastic.ipynb") == no_claims
    assert lint(saved / "plastic" / COPYING / "explore.ipynb") == no_claims


@pytest.mark.notebook
@pytest.mark.parametrize("network", [COPYING, "copying_none-00"])
def test_explorers_run_in_smoke_mode(network, saved, tmp_path, monkeypatch):
    monkeypatch.setenv("WM_RESULTS", str(tmp_path))
    template = ROOT / "notebooks/explore/plastic.ipynb"
    for path in (template, saved / "plastic" / network / "explore.ipynb"):
        outcome = notebook.run(path, {"smoke": True} | ({"network": network} if path == template else {}))
        assert outcome.ok, outcome.report()
        (done,) = tmp_path.glob(f"*/*/{path.name}")
        outputs = [out for cell in json.loads(done.read_text())["cells"] for out in cell.get("outputs", ())]
        assert not [each for each in outputs if each["output_type"] == "stream"]
        shown = [each for each in outputs if "image/png" in each["data"] or "<img" in str(each["data"])]
        assert len(shown) >= 2


# ---------------------------------------------------------------- what is offered, what is read


@pytest.mark.parametrize("family", NETWORKS)
def test_views_suit_the_network_and_all_are_drawn(family):
    offered = explorer.views(f"{family}-00")
    assert ("memory" in offered) == (not family.endswith("none"))
    for view in offered.values():
        assert view(f"{family}-00", layer=0, **SHORT).axes


def test_networks_that_write_nothing_have_no_memory_to_look_at():
    with pytest.raises(ValueError, match="copying_none-00 writes nothing into fast.*: look at `tokens`"):
        explorer.memory("copying_none-00")


@pytest.mark.parametrize(("network", "known"), [(COPYING, "4 plastic layers, 0 to 3"), (RNN, "3 plastic")])
def test_layers_that_there_are_not_are_refused(network, known):
    with pytest.raises(ValueError, match=f"layer 7: {network} has {known}"):
        explorer.memory(network, layer=7)


def test_unknown_network_is_told_with_the_nearest():
    for ask in (explorer.tokens, explorer.explore, explorer.animate, explorer.about):
        with pytest.raises(store.UnknownNetwork, match="copying_none-07.*did you mean"):
            ask("copying_none-07")


@pytest.mark.parametrize("text", ["31452", "3 1 4 5 2", "3,1-4_5|2\n"])
def test_items_may_be_typed_with_separators(text):
    case = cases.case_of(COPYING, Settings(sequence=text))
    assert case.inputs.tolist() == [3, 1, 4, 5, 2, *[0] * 20, 9, *[0] * 5]
    assert case.targets.tolist() == [*[0] * 26, 3, 1, 4, 5, 2]


def test_a_whole_sequence_may_be_typed_whose_answers_nobody_knows():
    text = "31452" + "0" * 10 + "7" + "0" * 9 + "9" + "0" * 5
    case = cases.case_of(COPYING, Settings(sequence=text))
    assert "".join(map(str, case.inputs)) == text and case.targets is None
    ax = axes(explorer.comparison(COPYING, sequence=text, **SHORT))
    assert ax["own"].texts[0].get_text() == "right answers unknown"
    assert not axes(explorer.tokens(COPYING, sequence=text))["answers"].patches


@pytest.mark.parametrize(("text", "message"), [
    ("314", "sequence has 3 symbols: write 5, the items, or 31, all tokens"),
    ("3145x", f"sequence: {COPYING} knows the symbols 0 to 9, not 'x'"),
    ("3145²", f"sequence: {COPYING} knows the symbols 0 to 9, not '²'"),
    ("--", "sequence has 0 symbols"),
])  # fmt: skip
def test_sequences_that_cannot_be_read_are_refused(text, message):
    with pytest.raises(ValueError, match=message):
        explorer.tokens(COPYING, sequence=text)


def test_numbers_are_drawn_by_the_seed():
    first, again, other = (cases.case_of(NUMBERS, Settings(seed=seed)) for seed in (1, 1, 2))
    assert np.array_equal(first.inputs, again.inputs) and not np.array_equal(first.inputs, other.inputs)
    with pytest.raises(ValueError, match=f"sequence: {NUMBERS} reads numbers, which are drawn by the seed"):
        explorer.tokens(NUMBERS, sequence="123")


# ---------------------------------------------------------------- views


def test_tokens_show_the_run():
    case, run = run_of(COPYING, "31452")
    ax = axes(explorer.tokens(COPYING, sequence="31452"))
    assert [text.get_text() for text in ax["inputs"].texts] == [str(symbol) for symbol in case.inputs]
    answers = inside.probabilities(case.trained, run.trace.answers)[0]
    assert np.array_equal(ax["answers"].images[0].get_array(), answers.T)
    assert np.array_equal(ax["rate"].lines[0].get_ydata(), run.trace.rates.rate[0, 0])
    assert np.array_equal(ax["norms"].lines[2].get_ydata(), inside.norms(run, run.layers[2]))


def test_numbers_are_shown_with_the_right_ones():
    case, run = run_of(NUMBERS)
    ax = axes(explorer.tokens(NUMBERS))
    alone, answers, right = ax["answers"].lines[:3]
    assert np.array_equal(answers.get_ydata(), run.trace.answers[0, 0, :, 0])
    assert np.array_equal(alone.get_ydata(), run.alone[0, 0, :, 0])
    assert np.array_equal(right.get_ydata(), case.targets[10:])


def test_an_edit_is_on_and_marked():
    _, run = run_of(COPYING, "31452", kind="erase", at=9)
    fig = explorer.tokens(COPYING, sequence="31452", edit="erase", at=9, token=12)
    ax = axes(fig)
    assert np.array_equal(ax["norms"].lines[0].get_ydata(), inside.norms(run, run.layers[0]))
    token, edited = ax["norms"].lines[-2:]
    assert token.get_xdata()[0] == 12 and edited.get_xdata()[0] == 8.5
    assert "fast weights erased before token 9" in fig.get_suptitle()


def test_the_rule_can_be_off():
    fig = explorer.tokens(COPYING, plastic=False)
    assert not axes(fig)["rate"].lines[0].get_ydata().any() and "rule off" in fig.get_suptitle()


@pytest.mark.parametrize("network", [COPYING, RNN, NUMBERS])
def test_memory_shows_the_layer_at_the_token(network):
    case, run = run_of(network)
    ax = axes(explorer.memory(network, token=8, layer=1))
    layer = run.layers[1]
    shown, held = ax["fast"].images[0].get_array(), inside.fast_weights_at(run, layer, 8)
    assert np.array_equal(np.sort(shown, axis=None), np.sort(held, axis=None))  # the picture is sorted
    share = reads.shares(run, layer)[0]
    assert np.allclose([bar.get_height() for bar in ax["row"].patches[1:]], share[8])  # the first is grey
    answers = [inside.probabilities(case.trained, each)[0, 8] for each in (run.trace.answers, run.alone)]
    assert np.allclose([bar.get_height() for bar in ax["answer"].patches], np.concatenate(answers))


def test_a_token_beyond_the_end_is_the_last():
    assert axes(explorer.memory(RNN, token=59))["answer"].get_xlabel() == "answer at token 19"


def test_comparison_has_the_rule_on_edited_and_off():
    case, run = run_of(COPYING, "31452")
    ax = axes(explorer.comparison(COPYING, sequence="31452", edit="freeze", at=3, **SHORT))
    names = [line.get_label().split(":")[0] for line in ax["test"].lines[:3]]
    assert names == ["rule on", "edited", "rule off"]
    scores = [line.get_ydata() for line in ax["test"].lines[:3]]
    assert np.array_equal(scores[1], inside.recalled(case.trained, Edit("freeze", 3), trials=8))
    answers = inside.probabilities(case.trained, run.trace.answers)[0]
    assert np.array_equal(ax["own"].lines[0].get_ydata(), answers[range(26, 31), [3, 1, 4, 5, 2]])


def test_numbers_are_compared_by_their_errors():
    case, run = run_of(NUMBERS)
    ax = axes(explorer.comparison(NUMBERS, **SHORT))
    errors = run.trace.answers[0, 0, 10:, 0].numpy() - case.targets[10:]
    assert np.allclose(ax["own"].lines[0].get_ydata(), errors) and len(ax["own"].lines) == 2


def test_without_a_rule_there_is_nothing_to_compare():
    ax = axes(explorer.comparison("copying_none-00", **SHORT))
    assert [line.get_label() for line in ax["own"].lines] == ["no rule"]


def test_training_shows_the_history():
    ax = axes(explorer.training(COPYING))
    history = store.load_network("plastic", COPYING).history
    assert np.array_equal(ax["loss"].lines[0].get_ydata(), history["loss"])
    assert ax["score"].lines[1].get_ydata()[0] == 0.125


# ---------------------------------------------------------------- film, widgets, record


@pytest.mark.parametrize("network", [COPYING, NUMBERS, "copying_none-00"])
def test_film_goes_from_token_to_token(network, closed):
    case, run = run_of(network)
    moving = film(network, Settings(layer=1))
    moving._init_draw()  # as a film does when it starts
    moving._draw_frame(6)
    ax = {each.get_label(): each for each in moving._fig.axes}
    answers = inside.probabilities(case.trained, run.trace.answers)[0]
    if case.task.symbolic:
        shown = np.asarray(ax["answers"].images[0].get_array())
        assert np.array_equal(shown[:, :7], answers.T[:, :7]) and not shown[:, 7:].any()
    else:
        shown = ax["answers"].lines[0].get_ydata()
        assert np.array_equal(shown[:7], answers[:7, 0]) and np.isnan(shown[7:]).all()
    assert ax["inputs"].lines[-1].get_xdata()[0] == 6
    if run.layers:
        shown, held = ax["fast"].images[0].get_array(), inside.fast_weights_at(run, run.layers[1], 6)
        assert np.array_equal(np.sort(shown, axis=None), np.sort(held, axis=None))  # the picture is sorted
        read = np.ma.masked_invalid(ax["reads"].images[0].get_array())
        assert read[6, :6].count() == 6 and not read[7:].count()


def test_film_is_made_once_and_loads_nothing_from_elsewhere():
    page = explorer.animate(COPYING, smoke=True)
    assert page is explorer.animate(COPYING, smoke=True)
    assert "<img" in page.data and not re.search(r"<link|https?:", page.data)


def test_widgets_have_every_network_that_writes_and_every_setting():
    box = explorer.explore(COPYING, **SHORT)
    side, output = box.children[1].children
    writing = [f"{family}-00" for family in sorted(NETWORKS) if not family.endswith("none")]
    assert list(side.children[0].options) == sorted(writing)
    assert len(side.children) == 1 + len(vars(Settings()))
    before = output.outputs[0]["data"]["image/png"]
    assert base64.b64decode(before).startswith(b"\x89PNG")
    next(child for child in side.children if child.description == "token").value = 3
    assert output.outputs[0]["data"]["image/png"] != before
    side.children[1].value = "12"
    assert output.outputs[0]["text"] == "sequence has 2 symbols: write 5, the items, or 31, all tokens\n"
    assert explorer.explore("copying_none-00", smoke=True).data.count("<img") == 3


def test_record_is_shown_with_scores_and_command():
    table = explorer.about(COPYING)[f"plastic/{COPYING}"]
    record = store.load_network("plastic", COPYING).record
    assert table["command"] == record["command"] and table["scores: score"] == record["scores"]["score"]
    assert table["config: window"] == 5
