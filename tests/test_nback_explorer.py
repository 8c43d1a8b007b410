"""Explorer of N-back networks: trials built by hand, views that draw the run, decoders, thumbnails."""

import base64
import json
import re
from pathlib import Path

import numpy as np
import pytest
import torch

from wm import nback, notebook, store
from wm.lint import lint
from wm.nback import contents, explorer, explorer_shelf
from wm.nback import explorer_case as cases
from wm.nback.design import SPLITS
from wm.nback.explorer import Settings
from wm.nback.explorer_film import film
from wm.nback.explorer_plots import probabilities
from wm.nback.material import Images, Material
from wm.nback.pictures import SPLIT_LOOKS
from wm.nback.task import FEATURES, RESPONSES, Task

ROOT = Path(__file__).parents[1]
NETWORKS = {
    "gru_mtmf": {}, "lstm_stsf_2_identity": {}, "attention_rnn_mtmf": {},
    "attention_gru_mtmf": {"attention": "dual"}, "gru_stmf_2": {"lures": "balanced"},
}  # fmt: skip
SMALL = {"units": 8, "updates": 2, "batch": 4, "stimuli": "published"}
GRU, SINGLE, SPATIAL, GATES, BALANCED = (f"{family}-00" for family in NETWORKS)
BUILT = {"trial": "car0 chair1.0.2 car0.6.1 chair0.2.2 car1.2 table0"}
SHORT = {"trials": 64}


@pytest.fixture(scope="module")
def saved(tmp_path_factory):
    """A folder with small networks of several kinds, trained on noise in place of features."""
    folder, generator = tmp_path_factory.mktemp("data"), np.random.default_rng(0)
    stimuli = cases.stimuli_of("published").part("validation", "trained")
    labels = {feature: stimuli.labels(feature) for feature in FEATURES}
    noise = Images(generator.standard_normal((len(stimuli), 4, 1280)).astype(np.float32), labels)
    splits = dict.fromkeys(SPLITS, noise)
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("WM_DATA", str(folder))
        for family, changes in NETWORKS.items():
            kind = nback.config(family, **SMALL | changes)
            nback.train(kind, 1, material=Material(noise, splits, splits))
    return folder


@pytest.fixture(autouse=True)
def there(saved, monkeypatch, tmp_path):
    """Those networks; a backbone that is not there, but quick: features are a fixed projection of pixels."""
    monkeypatch.setenv("WM_DATA", str(saved))
    monkeypatch.setenv("WM_RESULTS", str(tmp_path))
    monkeypatch.setattr(cases, "image_features", quick)
    monkeypatch.setattr(cases, "features", lambda stimuli, *_: quick(nback_images(stimuli)))
    monkeypatch.setattr(cases, "_backbone", lambda eye: None)
    for cached in (cases._features, cases._decoding, cases._decoders):
        cached.cache_clear()
    yield
    for cached in (cases._features, cases._decoding, cases._decoders):
        cached.cache_clear()


def quick(images, *_):
    """(image, 224, 224, 3) -> (image, 4, 1280): coarse pixels of each quadrant, projected."""
    coarse = images.reshape(len(images), 2, 8, 14, 2, 8, 14, 3).mean(axis=(3, 6)) / 255
    quadrants = np.moveaxis(coarse, 3, 2).reshape(len(images), 4, -1)
    return (quadrants @ np.random.default_rng(1).standard_normal((quadrants.shape[-1], 1280))).astype(
        np.float16
    )


def nback_images(stimuli):
    return np.stack([stimuli.image(row) for row in range(len(stimuli))])


def axes(fig):
    return {ax.get_label(): ax for ax in fig.axes}


def texts(ax):
    return [text.get_text() for text in ax.texts]


# ---------------------------------------------------------------- notebooks


def test_template_for_any_nback_network_is_well_kept(saved):
    no_claims = ["last code cell does not record claims (`sheet.save()`)"]
    assert lint(ROOT / "notebooks/explore/nback.ipynb") == no_claims
    assert lint(saved / "nback" / GRU / "explore.ipynb") == no_claims


@pytest.mark.notebook
@pytest.mark.parametrize("network", [SPATIAL])
def test_explorers_run_in_smoke_mode(network, saved):
    template = ROOT / "notebooks/explore/nback.ipynb"
    built = {"network": network, "trial": BUILT["trial"]}
    for path, given in {template: built, saved / "nback" / network / "explore.ipynb": {}}.items():
        outcome = notebook.run(path, given | {"smoke": True})
        assert outcome.ok, outcome.report()
        cells = json.loads((outcome.folder / path.name).read_text())["cells"]
        outputs = [out for cell in cells for out in cell.get("outputs", ())]
        assert not [each for each in outputs if each["output_type"] == "stream" and each["name"] == "stdout"]
        assert len([each for each in outputs if "<img" in str(each.get("data"))]) >= 2


# ---------------------------------------------------------------- trials


def test_a_trial_is_built_by_hand():
    case = cases.case_of(GRU, Settings(task="2-back identity", **BUILT))
    stimuli = cases.stimuli_of("published")
    names = [stimuli.classes("identity")[item.identity] for item in case.items]
    cars, chairs = (stimuli.library.identities(name) for name in ("car", "chair"))
    assert names[:4] == [("car", cars[0]), ("chair", chairs[1]), ("car", cars[0]), ("chair", chairs[0])]
    assert [(item.view, item.location) for item in case.items] == [
        (3, 0),
        (0, 2),
        (6, 1),
        (2, 2),
        (2, 0),
        (3, 0),
    ]
    assert [RESPONSES[target] for target in case.targets] == [
        "no action", "no action", "match", "non-match", "non-match", "non-match",
    ]  # fmt: skip
    assert " ".join(cases.code(item, stimuli) for item in case.items[1:4]) == "chair1.0.2 car0.6.1 chair0.2.2"
    for item, image in zip(case.items, case.images, strict=True):
        lit = np.argwhere(image.any(axis=-1)).mean(axis=0) // 112
        assert lit.tolist() == [item.location // 2, item.location % 2]


def test_targets_follow_the_feature_and_the_lag():
    for feature, lag in (("location", 1), ("category", 2), ("category", 3)):
        case = cases.case_of(GRU, Settings(task=f"{lag}-back {feature}", **BUILT))
        own = case.labels[feature]
        expected = [0] * lag + [1 + int(a == b) for a, b in zip(own[lag:], own[:-lag], strict=True)]
        assert case.targets.tolist() == expected


def test_the_run_is_that_of_the_network_with_these_images():
    case = cases.case_of(GRU, Settings(**BUILT))
    features = torch.as_tensor(quick(case.images))[None]
    trace = nback.load(GRU).run(features, "2-back identity")
    assert torch.equal(trace.logits, case.trace.logits)


def test_a_network_is_shown_no_features_of_other_weights(monkeypatch):
    trained = cases.loaded(GRU)
    monkeypatch.setitem(trained.record, "material", {"backbone_sha256": "0" * 64})
    with pytest.raises(ValueError, match="gru_mtmf-00 was trained with features of a .* sha256 000000000000"):
        explorer.trial(GRU)


@pytest.mark.parametrize("split", SPLITS)
def test_a_drawn_trial_is_of_its_split_and_seed(split):
    stimuli = cases.stimuli_of("published")
    case, again, other = (cases.case_of(GRU, Settings(split=split, seed=seed)) for seed in (1, 1, 2))
    assert {cases.known(stimuli)[item] for item in case.items} == {split}
    assert case.items == again.items != other.items and len(case.items) == 6


@pytest.mark.parametrize("network", [GRU, BALANCED])
def test_a_drawn_trial_has_the_lures_that_the_network_was_trained_with(network):
    config, asked = cases.loaded(network).config, "2-back identity"
    matches = []
    for seed in range(20):
        case = cases.case_of(network, Settings(task=asked, seed=seed, split="trained"))
        kinds, unequal = case.labels["category"], case.targets == 1
        matches += [*(kinds[2:] == kinds[:-2])[unequal[2:]]]
    assert all(matches) == (config.lures == "balanced"), "other objects are of the same category"


def test_what_can_be_shown_is_what_the_set_has():
    stimuli = cases.stimuli_of("published")
    found = cases.known(stimuli)
    assert len(found) == 24 * 14 * 4
    assert {split: [*found.values()].count(split) for split in SPLITS} == {
        "trained": 8 * 6 * 4, "novel_angle": 8 * 4 * 4, "extrapolating": 8 * 4 * 4,
        "novel_identity": 16 * 6 * 4, "novel_both": 16 * 8 * 4,
    }  # fmt: skip
    assert cases.parsed("CA0, chair1.2;t0", stimuli) == cases.parsed(
        "car0.3.0 chair1.2.0 table0.3.0", stimuli
    )


@pytest.mark.parametrize(("trial", "message"), [
    ("car", "trial: 'car' is no image: write object, view and location, such as car3.6.1"),
    ("c0 car1", "trial: 'c0' is of one of the categories airplane, car, chair, table: write which"),
    ("dog0 car1", "trial: 'dog0' is of one of the categories"),
    ("car5 car1 car1", r"there is no 'car5': car has the numbers 0, 1, 9, 10, 11, 12; views are 0 to 13,"),
    ("car0.14 car1 car1", r"there is no 'car0\.14'"), ("car0.1.4 car1 car1", r"there is no 'car0\.1\.4'"),
    ("car99 car1 car1", "there is no 'car99'"), ("car0 " * 13, "trial has 13 images: write up to 12"),
    ("car0 car1", "2 images have no pair 2 apart: show more images, or ask for a lower lag"),
])  # fmt: skip
def test_trials_that_cannot_be_shown_are_refused(trial, message):
    with pytest.raises(ValueError, match=message):
        explorer.trial(GRU, trial=trial)


def test_unknown_network_is_told_with_the_nearest():
    for ask in (explorer.trial, explorer.explore, explorer.animate, explorer.about, explorer.training):
        with pytest.raises(store.UnknownNetwork, match="gru_mtmf-07.*did you mean"):
            ask("gru_mtmf-07")


# ---------------------------------------------------------------- views


@pytest.mark.parametrize("network", [GRU, SINGLE, SPATIAL, GATES])
def test_views_suit_the_network_and_all_are_drawn(network):
    offered = explorer.views(network)
    assert ("attention" in offered) == network.startswith("attention")
    for view in offered.values():
        assert view(network, **SHORT).axes


def test_networks_without_attention_say_so():
    with pytest.raises(ValueError, match="gru_mtmf-00 has no attention: look at `trial`"):
        explorer.attention(GRU)


def test_a_task_that_was_not_trained_is_marked():
    assert "not trained" in explorer.trial(SINGLE, task="1-back location").get_suptitle()
    assert "not trained" not in explorer.trial(SINGLE, task="2-back identity").get_suptitle()


def test_answers_are_stacked_probabilities():
    case = cases.case_of(GRU, Settings(**BUILT))
    ax = axes(explorer.trial(GRU, step=11, **BUILT))
    shares = probabilities(case)
    assert np.allclose(shares.sum(axis=1), 1)
    heights = np.array([[bar.get_height() for bar in own] for own in ax["answers"].containers[:3]])
    assert np.allclose(heights, shares.T)
    assert np.allclose(ax["answers"].lines[0].get_ydata(), shares[:, 2])
    written = [text for text in texts(ax["images"]) if re.fullmatch(r"\w+\d\.\d\.\d", text)]
    assert written == [cases.code(item, cases.stimuli_of("published")) for item in case.items]
    assert ax["answers"].patches[-1].get_x() == 5, "beyond the end: the last step"


def test_contents_are_what_decoders_read():
    settings = Settings(**BUILT, **SHORT)
    case = cases.case_of(GRU, settings)
    found = contents.read(cases.decoders(case, settings), case.trace.states[0, 0].numpy(), "category")
    ax = axes(explorer.contents(GRU, **BUILT, **SHORT))
    shown = np.ma.masked_invalid(ax["category"].images[0].get_array())
    assert shown[3, 3:].count() == 3 and not shown[3, :3].count()
    assert np.allclose(shown[1, 4], found[1, 4, case.labels["category"][1]])
    assert len(texts(ax["category"])) == 21
    scores = cases.decoders(case, settings).scores["category"]
    assert np.array_equal(ax["category score"].lines[0].get_ydata(), scores)


def test_attention_is_that_of_the_run():
    case = cases.case_of(SPATIAL, Settings(**BUILT))
    ax = axes(explorer.attention(SPATIAL, **BUILT))["attention"]
    written = np.array([float(text) for text in texts(ax)]).reshape(6, 4)
    assert np.allclose(written, case.trace.attention[0, 0], atol=0.006) and len(ax.images) == 6
    gates = axes(explorer.attention(GATES, **BUILT))["attention"].images[0].get_array()
    own = cases.case_of(GATES, Settings(**BUILT)).trace.attention[0, 0].numpy()
    assert np.allclose(np.sort(gates, axis=1), np.sort(own, axis=1))


def test_training_shows_the_history():
    ax = axes(explorer.training(GRU))
    history = store.load_network("nback", GRU).history
    assert np.array_equal(ax["loss"].lines[0].get_ydata(), history["loss"])
    assert np.array_equal(ax["validation"].lines[3].get_ydata(), history["val_novel_identity_acc"])
    labels = [line.get_label() for line in ax["validation"].lines]
    assert labels[: len(SPLITS)] == [label for label, _, _ in SPLIT_LOOKS.values()]


# ---------------------------------------------------------------- decoders


def test_decoding_images_are_five_of_each_object_and_never_of_another_part():
    stimuli = cases.stimuli_of("published")
    chosen, apart = contents.decoding_images(stimuli)
    assert set(chosen.table.part) == {"analysis"} and len(chosen) == 16 * 5 and apart.sum() == 16
    groups = chosen.table[~apart].groupby(["category", "identity"])
    assert (groups.location.nunique() == 4).all() and (groups.view.nunique() == 4).all()
    cells = ["category", "identity", "view"]
    fitted, scored = ({*map(tuple, chosen.table[each][cells].to_numpy())} for each in (~apart, apart))
    assert not fitted & scored, "no view of an object is on both sides"
    assert chosen.table[apart].location.nunique() == 4


class Remembers:
    """A planted network: its state is noise and the features of the last two images, side by side."""

    weights = {"reduce.weight": torch.zeros(1)}


def test_chance_of_decoders_is_that_of_the_objects_they_tell_apart():
    settings = Settings(**BUILT, **SHORT)
    found = cases.decoders(cases.case_of(GRU, settings), settings)
    ax = axes(explorer.contents(GRU, **BUILT, **SHORT))
    for feature, classes in {"location": 4, "identity": 16, "category": 4}.items():
        assert len(found.readouts[feature][0].classes) == classes
        assert ax[f"{feature} score"].lines[1].get_ydata()[0] == 1 / classes


def test_decoders_find_what_a_planted_state_holds_and_nothing_else(monkeypatch):
    chosen, apart = contents.decoding_images(cases.stimuli_of("published"))
    labels = {feature: chosen.labels(feature) for feature in FEATURES}
    one_hot = np.eye(4, dtype=np.float32)
    code = np.concatenate([one_hot[labels["location"]], one_hot[labels["category"]]], axis=1)

    def states(_trained, features, rows, _task):
        own = np.random.default_rng(int(rows.sum())).standard_normal((*rows.shape, 20)).astype(np.float32)
        own[..., :8] = features[rows, 0] + 0.01 * own[..., :8]
        own[:, 1:, 8:16] = features[rows, 0][:, :-1]
        return own

    monkeypatch.setattr(contents, "_states", states)
    images = Images(code[:, None], labels)
    found = contents.fit(Remembers(), images, apart, Task("location", 1), trials=128)
    for feature in ("location", "category"):
        assert (found.scores[feature][:2] > 0.95).all() and (found.scores[feature][2:] < 0.5).all()
    rows = np.array([[3, 40, 7, 11, 60, 2]])
    said = contents.read(found, states(None, images.features, rows, None)[0], "location")
    assert said.shape == (6, 6, 4) and np.isnan(said[2, :2]).all()
    assert np.allclose(said[2, 2:].sum(axis=-1), 1)
    assert said[2, 3].argmax() == labels["location"][7] and said[4, 4, labels["location"][60]] > 0.9
    with pytest.raises(ValueError, match="decoders are of trials of 6 images, this one has 7"):
        contents.read(found, np.zeros((7, 20)), "location")


# ---------------------------------------------------------------- film, widgets, record


def test_film_goes_from_step_to_step(closed):
    settings = Settings(**BUILT, **SHORT)
    case, moving = cases.case_of(GRU, settings), film(GRU, settings)
    moving._init_draw()  # as a film does when it starts
    moving._draw_frame(3)
    ax = axes(moving._fig)
    assert len(ax["images"].images) == 4
    assert np.allclose([bar.get_width() for bar in ax["answer"].patches], probabilities(case)[3])
    shown = np.ma.masked_invalid(ax["contents"].images[0].get_array())
    assert shown[:, :4].count() == 12 and not shown[:, 4:].count()


def test_film_is_made_once_and_loads_nothing_from_elsewhere():
    page = explorer.animate(GRU, smoke=True, **SHORT)
    assert page is explorer.animate(GRU, smoke=True, **SHORT)
    assert "<img" in page.data and not re.search(r"<link|https?:", page.data)


def test_widgets_redraw_and_thumbnails_build_a_trial():
    box = explorer.explore(GRU, **SHORT)
    shelf, _, rest = box.children
    side, output = rest.children
    assert list(side.children[0].options) == [GRU, BALANCED, SINGLE]
    assert len(side.children) == 1 + len(vars(Settings()))
    trial = next(child for child in side.children if child.description == "trial")
    pictures, *rows, view, bottom = shelf.children
    location, back, drawn = bottom.children
    assert len(rows) == 4 and all(len(row.children) == 6 for row in rows)
    assert pictures.value.count("data:image/png") == 24 and pictures.value.count("#B5386B") == 16
    before = output.outputs[0]["data"]["image/png"]
    assert base64.b64decode(before).startswith(b"\x89PNG")
    view.value, location.value = 5, 2
    rows[1].children[1].click()
    assert trial.value == "car1.5.2"
    assert output.outputs[0]["text"].startswith("1 images have no pair 2 apart")
    for _ in range(2):
        rows[2].children[0].click()
    assert trial.value == "car1.5.2 chair0.5.2 chair0.5.2"
    assert output.outputs[0]["data"]["image/png"] != before
    back.click()
    assert trial.value == "car1.5.2 chair0.5.2"
    drawn.click()
    assert not trial.value and output.outputs[0]["data"]["image/png"] == before
    trial.value = "car0 " * cases.LONGEST
    rows[0].children[0].click()
    assert trial.value == "car0 " * cases.LONGEST, "it is full"
    assert explorer.explore(SPATIAL, smoke=True, **SHORT).data.count("<img") == 4


def test_tips_name_objects():
    stimuli = cases.stimuli_of("published")
    button = explorer_shelf._button(0, stimuli, None)
    assert button.tooltip == f"airplane {stimuli.library.identities('airplane')[0]}: airplane0"


def test_record_is_shown_with_scores_and_command():
    table = explorer.about(GRU)[f"nback/{GRU}"]
    record = store.load_network("nback", GRU).record
    assert table["command"] == record["command"]
    assert table["scores: novel_angle"] == record["scores"]["novel_angle"]
