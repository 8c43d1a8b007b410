"""Explorer of symbolic networks: views draw the data, edits act, what does not suit a network is refused."""

from pathlib import Path

import numpy as np
import pytest
import torch

from wm import store, symbolic
from wm.lint import lint
from wm.symbolic import attention, dictionaries, edits, explorer, lorenz
from wm.symbolic import explorer_case as cases
from wm.symbolic.explorer import Settings
from wm.symbolic.explorer_film import film
from wm.symbolic.generation import expected, generate
from wm.symbolic.strips import RGB
from wm.train import numpy_generator

ROOT = Path(__file__).parents[1]
SHORT = {"steps": 12}
TRANSFORMERS = ("cycle", "sampled", "jitter", "scrambled", "lorenz")
EVERYWHERE = ("generation", "training")


def axes(fig):
    return {ax.get_label(): ax for ax in fig.axes}


def cells(ax, row):
    """Symbols of a strip of `draw_strings`, NaN in the gap."""
    shown = np.asarray(ax.images[row].get_array())[0]  # (cell, red green blue alpha)
    symbols = (shown[:, None, :3] == RGB).all(axis=-1).argmax(axis=1)
    return np.where(shown[:, 3] > 0, symbols, np.nan)


def continued(network, prompt, *, steps=12, seed=0, hooks=()):
    trained = symbolic.load(network)
    generator = numpy_generator(seed, "explorer", "draws")
    context = trained.config.context
    return generate(trained.model, prompt, steps, context=context, generator=generator, fwd_hooks=hooks)


# ---------------------------------------------------------------- notebooks


def test_template_for_any_symbolic_network_is_well_kept():
    no_claims = ["last code cell does not record claims (`sheet.save()`)"]
    assert lint(ROOT / "notebooks/explore/symbolic.ipynb") == no_claims
    assert lint(ROOT / "data/symbolic/cycle-03/explore.ipynb") == no_claims


# ---------------------------------------------------------------- what is offered


@pytest.mark.parametrize(
    ("family", "inside"),
    [(name, "attention") for name in TRANSFORMERS] + [("gru", "states"), ("mlp", "states")],
)
def test_views_suit_the_network(family, inside):
    network = f"{family}-00"
    features = {"features"} if network in dictionaries.load_saes(0) else set()
    assert set(explorer.views(network)) == {*EVERYWHERE, inside} | features
    assert features or family != "cycle"


@pytest.mark.parametrize(("view", "network", "message"), [
    ("attention", "gru-00", "gru-00 has no attention: look at `states`"),
    ("states", "cycle-00", "cycle-00 is a transformer: look at `attention`"),
    ("features", "jitter-00", "jitter-00 has no dictionary: it has no features that can be shown or edited"),
])  # fmt: skip
def test_views_that_do_not_suit_say_why(view, network, message):
    with pytest.raises(ValueError, match=message):
        explorer.VIEWS[view](network, **SHORT)


def test_without_a_dictionary_nothing_is_edited():
    with pytest.raises(ValueError, match="gru-00 has no dictionary"):
        explorer.generation("gru-00", edit="ablate", **SHORT)
    with pytest.raises(ValueError, match="lorenz-00 has no dictionary"):
        explorer.animate("lorenz-00", edit="add", smoke=True)


def test_where_no_dictionary_is_saved_features_are_not_offered(tmp_path, monkeypatch):
    monkeypatch.setenv("WM_DATA_NPY", str(tmp_path))
    assert set(explorer.views("cycle-02")) == {*EVERYWHERE, "attention"}
    assert "dictionary" not in axes(explorer.attention("cycle-02"))


def test_unknown_network_is_told_with_the_nearest():
    for ask in (explorer.generation, explorer.explore, explorer.animate, explorer.about):
        with pytest.raises(store.UnknownNetwork, match="cycle-77.*did you mean"):
            ask("cycle-77")


# ---------------------------------------------------------------- prompts


@pytest.mark.parametrize("text", ["0011", "0 0 1 1", "0,0,1,1", "0-0_1|1", " 0011\n"])
def test_prompts_may_have_separators(text):
    case = cases.case_of("cycle-00", Settings(prompt=text))
    assert case.prompt.tolist() == [[0, 0, 1, 1]] and case.truth is None


@pytest.mark.parametrize(("text", "message"), [
    ("0030", "prompt: cycle-00 knows the symbols 0 to 2, not '3'"),
    ("00a", "prompt: cycle-00 knows the symbols 0 to 2, not 'a'"),
    ("0²", "prompt: cycle-00 knows the symbols 0 to 2, not '²'"),
    (" - ", "prompt ' - ' has no symbol: write digits, such as 000000"),
])  # fmt: skip
def test_prompts_that_cannot_be_read_are_refused(text, message):
    with pytest.raises(ValueError, match=message):
        explorer.generation("cycle-00", prompt=text, **SHORT)


def test_prompts_of_lorenz_networks_come_from_the_recording():
    recording = lorenz.symbols(4000, part="test")
    for seed in (0, 1):
        case = cases.case_of("lorenz-00", Settings(seed=seed, steps=60))
        whole = np.r_[case.prompt[0], case.truth]
        windows = np.lib.stride_tricks.sliding_window_view(recording, len(whole))
        assert len(whole) == 124 and (windows == whole).all(axis=1).any()
    assert cases.case_of("lorenz-00", Settings(prompt="0011")).truth is None


# ---------------------------------------------------------------- generation


def test_generation_shows_what_was_generated_and_predicted():
    prompt = np.array([[0, 0, 1, 1]])
    found = continued("cycle-00", prompt)
    ax = axes(explorer.generation("cycle-00", prompt="0011", **SHORT))
    own = np.r_[prompt[0], np.nan, found.tokens[0]]
    assert np.array_equal(cells(ax["strings"], 0), own, equal_nan=True)
    first = ax["P network"].patches[0].get_data()
    assert np.array_equal(first.values, found.probabilities[0, :, 0])
    exact = ax["P exact"].patches[0].get_data().values
    assert np.allclose(exact, symbolic.Cycle().predictive(np.r_[prompt[0], found.tokens[0]])[3:-1, 0])
    assert [text.get_text() for text in ax["strings"].get_yticklabels()] == ["network", "exact"]


def test_an_edit_is_on_in_every_step_beside_the_same_random_numbers_without():
    sae, prompt, cycle = dictionaries.published("cycle-00", 1), np.zeros((1, 6), int), symbolic.Cycle()
    feature = cases.chosen(cases.case_of("cycle-00", Settings()), Settings())
    hooks = [(dictionaries.HOOKS[1], edits.add(sae, feature, 20.0))]
    fig = explorer.generation("cycle-00", edit="add", strength=20.0, **SHORT)
    ax = axes(fig)["strings"]
    edited = continued("cycle-00", prompt, hooks=hooks).tokens
    assert np.array_equal(cells(ax, 0)[7:], edited[0])
    assert np.array_equal(cells(ax, 1)[7:], continued("cycle-00", prompt).tokens[0])
    exact = expected(cycle, prompt, edited, 10)[0]
    wrong = np.flatnonzero(exact[np.arange(12), edited[0]] == 0)
    dots = [ax.collections[row].get_offsets()[:, 0] for row in range(3)]
    assert len(wrong) and np.array_equal(dots[0], wrong + 0.5) and not len(dots[1]) and not len(dots[2])
    assert f"feature {feature} after attention plus 20" in fig.get_suptitle()


def test_every_edit_does_what_it_says():
    def last(**given):
        case = cases.case_of("cycle-01", Settings(feature=44, **given))
        return cases.edited(case, Settings(feature=44, steps=6, **given)).probabilities

    plain = last(edit="none")
    assert np.array_equal(last(edit="multiply", strength=1), plain)
    assert np.array_equal(last(edit="add", strength=0), plain)
    assert np.array_equal(last(edit="clamp", strength=0.0), last(edit="ablate", strength=3.0))
    assert not np.array_equal(
        last(edit="add", strength=9.0, layer=0), last(edit="add", strength=9.0, layer=1)
    )
    everywhere = last(edit="add", strength=9.0, layer=0, places="all")
    assert not np.array_equal(everywhere, last(edit="add", strength=9.0, layer=0))
    assert "ablated" in cases.said(cases.case_of("cycle-01", Settings()), Settings(edit="ablate"))


def test_lorenz_strings_stand_beside_the_recording():
    ax = axes(explorer.generation("lorenz-00", **SHORT))
    assert set(ax) == {"strings", "P network", "runs"}
    case = cases.case_of("lorenz-00", Settings(**SHORT))
    assert np.array_equal(cells(ax["strings"], 1)[-12:], case.truth)


def test_runs_show_how_long_symbols_are_held():
    ax = axes(explorer.generation("cycle-00", steps=18, temperature=0))["runs"]
    at = ax.collections[1].get_offsets()
    assert at.tolist() == [[0.5, 6], [6.5, 6], [12.5, 6]]
    assert ax.lines[0].get_ydata()[0] == 6


def test_scrambled_symbols_have_equal_chances():
    case = cases.case_of("scrambled-00", Settings())
    assert (cases.chances(case, np.arange(3)) == 1 / 3).all()
    assert axes(explorer.generation("scrambled-00", **SHORT))["P exact"]


# ---------------------------------------------------------------- inside


def test_attention_shows_every_head_and_the_residual_stream():
    trained, prompt = symbolic.load("cycle-00"), np.array([[0, 0, 0, 0, 1, 1]])
    pattern = attention.patterns(trained.model, prompt)[0]
    ax = axes(explorer.attention("cycle-00", prompt="000011", layer=0))
    shown = [own for name, own in ax.items() if name.startswith("head")]
    lower = np.tri(6, dtype=bool)
    assert len(shown) == 9
    assert np.allclose(shown[4].images[0].get_array()[lower], np.sqrt(pattern[4][lower]))
    entropy = attention.entropies(pattern)[:, -1]
    assert shown[4].get_title() == f"head 4: {entropy[4]:.2f}"
    x = trained.model.run_with_cache(torch.as_tensor(prompt))[1][dictionaries.HOOKS[0]][0]
    again = dictionaries.published("cycle-00", 0)(x)
    assert np.allclose(ax["dictionary"].images[0].get_array(), again.T)
    assert np.allclose(ax["difference"].images[0].get_array(), (x - again).T)


def test_attention_of_two_layers_has_all_heads():
    ax = axes(explorer.attention("lorenz-00"))
    assert {f"layer {layer}, head {head}" for layer in (0, 1) for head in range(4)} == {
        name.split(":")[0] for name in ax if name.startswith("layer")
    }
    assert "after the first block" in ax["original"].get_title(loc="left")


def test_features_are_sorted_by_phase_and_the_chosen_one_is_marked():
    trained, sae = symbolic.load("cycle-00"), dictionaries.published("cycle-00", 1)
    windows = (np.arange(18)[:, None] + np.arange(-9, 1)) % 18 // 6  # they end in phase 0, 1, ...
    x = trained.model.run_with_cache(torch.as_tensor(windows))[1][dictionaries.HOOKS[1]][:, -1]
    tuning = sae.encode(x).numpy().T
    by_mean = np.argsort(-tuning.mean(axis=1), kind="stable")
    chosen = by_mean[7]
    ax = axes(explorer.features("cycle-00", candidates=5, feature=int(chosen)))
    names = ax["raster"].get_yticklabels()
    shown = np.array([int(text.get_text()) for text in names])
    assert {*shown} == {*by_mean[:5], chosen}
    scaled = tuning[shown] / tuning[shown].max(axis=1, keepdims=True)
    assert np.allclose(ax["raster"].images[0].get_array(), scaled, atol=1e-5)
    assert (np.diff(scaled.argmax(axis=1)) >= 0).all()
    assert [text.get_text() for text in names if text.get_fontweight() == "bold"] == [str(chosen)]
    assert [bar.get_height() for bar in ax["tuning"].patches] == pytest.approx(tuning[chosen], abs=1e-5)


def test_dose_one_of_a_factor_is_the_prediction_without_edit():
    ax = axes(explorer.features("cycle-00", prompt="000000"))["dose"]
    plain = continued("cycle-00", np.zeros((1, 6), int)).probabilities[0, 0]
    curves = [line for line in ax.lines if line.get_label().startswith("symbol")]
    (one,) = np.flatnonzero(curves[0].get_xdata() == 1)
    assert [curve.get_ydata()[one] for curve in curves] == pytest.approx(plain, abs=1e-6)
    added = axes(explorer.features("cycle-00", edit="add", strength=3))["dose"]
    chosen = cases.chosen(cases.case_of("cycle-00", Settings()), Settings())
    assert added.get_xlabel() == f"feature {chosen} plus" and added.lines[-1].get_xdata()[0] == 3


@pytest.mark.parametrize(("network", "stage", "point"), [
    ("gru-01", "state", "hook_state"), ("mlp-01", "hidden_1", "hook_1"),
])  # fmt: skip
def test_states_are_those_at_the_newest_symbol(network, stage, point):
    ax = axes(explorer.states(network, **SHORT))
    found = continued(network, np.zeros((1, 6), int)).tokens
    window = np.concatenate([np.zeros((1, 6), int), found], axis=1)[:, 7:-1]  # what was seen before the last
    state = symbolic.load(network).model.run_with_cache(torch.as_tensor(window))[1][point][0, -1]
    shown = ax[stage].images[0].get_array()
    assert shown.shape == (len(state), 12)
    assert np.allclose(np.sort(shown[:, -1]), np.sort(state), atol=1e-6)


def test_training_shows_the_history_and_what_is_possible():
    history = store.load_network("symbolic", "cycle-00").history
    ax = axes(explorer.training("cycle-00"))
    assert np.array_equal(ax["loss"].lines[0].get_ydata(), history["expected_loss"])
    assert ax["loss"].lines[1].get_ydata()[0] == pytest.approx(np.log(6) / 10)
    assert len(axes(explorer.training("lorenz-00"))["loss"].lines) == 1  # no floor is known


# ---------------------------------------------------------------- film, widgets, record


@pytest.mark.parametrize("network", ["cycle-00", "gru-00"])
def test_film_moves_from_symbol_to_symbol(network):
    moving = film(network, Settings(**SHORT))
    found = continued(network, np.zeros((1, 6), int))
    moving._init_draw()  # as a film does when it starts
    moving._draw_frame(7)
    ax = axes(moving._fig)
    window = np.r_[np.zeros(6, int), found.tokens[0]][3:13]
    assert np.array_equal(ax["window"].images[0].get_array()[0], RGB[window])
    assert [bar.get_height() for bar in ax["chances"].patches] == found.probabilities[0, 7].tolist()
    assert np.array_equal(ax["string"].images[0].get_array()[0, :8], RGB[found.tokens[0, :8]])
    if network == "cycle-00":
        pattern = attention.patterns(symbolic.load(network).model, window[None])[0, :, -1]
        assert np.allclose(ax["rows"].images[0].get_array(), np.sqrt(pattern), atol=1e-6)


def test_film_is_made_once_and_loads_nothing_from_elsewhere():
    page = explorer.animate("lorenz-00", smoke=True)
    assert page is explorer.animate("lorenz-00", smoke=True)
    assert "<img" in page.data and "<link" not in page.data
    assert "http:" not in page.data and "https:" not in page.data


def test_widgets_have_every_network_of_the_family_and_every_setting():
    box = explorer.explore("gru-02", **SHORT)
    views, (side, output) = box.children[0], box.children[1].children
    assert list(views.options) == ["generation", "states", "training"]
    assert list(side.children[0].options) == symbolic.names("gru")
    assert len(side.children) == 1 + len(vars(Settings()))
    controls = {child.description: child for child in side.children}
    assert controls["prompt"].value == "000000"
    before = output.outputs[0]["data"]["image/png"]
    controls["prompt"].value = "0012"
    assert output.outputs[0]["data"]["image/png"] != before
    controls["edit"].value = "ablate"
    assert "gru-02 has no dictionary" in output.outputs[0]["text"]
    assert explorer.explore("gru-02", smoke=True).data.count("<img") == 3


def test_record_is_shown_with_scores_and_command():
    table = explorer.about("cycle-00")["symbolic/cycle-00"]
    saved = store.load_network("symbolic", "cycle-00").record
    assert table["command"] == saved["command"] and table["scores: loss"] == saved["scores"]["loss"]
