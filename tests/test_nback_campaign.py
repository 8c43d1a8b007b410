"""Campaigns of N-back networks: training, saving, loading, running, measuring; the material."""

from dataclasses import replace

import numpy as np
import pytest
import torch

from wm import nback, store
from wm.nback import derived
from wm.nback.task import FEATURES, TASKS
from wm.states import versions

SMALL = {"units": 4, "batch": 4, "updates": 3}
CHANNELS = 5


def images(seed=0, many=64):
    generator = np.random.default_rng(seed)
    number = np.arange(many)
    labels = {"location": number % 4, "identity": number // 8, "category": number // 32}
    return nback.Images(generator.random((many, 4, CHANNELS)).astype(np.float16), labels)


@pytest.fixture
def own():
    held = {name: images(k + 1) for k, name in enumerate(nback.SCORED)}
    return nback.Material(images(), held, held, {"made": "here"})


@pytest.fixture
def data(tmp_path, monkeypatch):
    monkeypatch.setenv("WM_DATA", str(tmp_path / "data"))
    monkeypatch.setenv("WM_DATA_JSON", str(tmp_path / "data_json"))
    return tmp_path


def settings(family="gru", **changes):
    return nback.config(family, **(SMALL | changes))


# ---------------------------------------------------------------- training and saving


@pytest.mark.parametrize("family", ["rnn", "lstm_stsf_2_identity", "attention_gru"])
def test_networks_are_trained_saved_and_loaded_as_they_were(data, own, family):
    kind = settings(family, updates=0)
    done = nback.train(kind, seeds=["0", "7"], material=own)
    name = nback.family_name(family)
    assert done.names == [f"{name}-00", f"{name}-07"] == nback.names(family)
    assert store.verify() == [] or all("MANIFEST" in str(each.path) for each in store.verify())
    for trained in done.networks:
        loaded = nback.load(trained.name)
        assert loaded.config == kind and loaded.seed == trained.seed
        assert loaded.record == trained.record
        for key, value in trained.weights.items():
            assert torch.equal(loaded.weights[key], value)
    assert [each.name for each in nback.load_family(family)] == done.names


def test_a_record_says_what_was_done_and_how_to_do_it_again(data, own):
    (network,) = nback.train(settings("gru_stmf_1", learning_rate=0.01), material=own).networks
    record = network.record
    assert record["command"] == (
        "wm train nback.gru_stmf_1 --seeds 0 --units 4 --batch 4 --updates 3 --learning-rate 0.01"
    )
    assert record["training"]["updates"] == 3 and record["training"].items() >= versions().items()
    assert record["material"] == {"made": "here"} and not record["diverged"]
    assert record["scores"].keys() == nback.SCORED.keys()
    assert record["test"]["tasks"] == ["1-back location", "1-back identity", "1-back category"]
    history = store.load_network("nback", "gru_stmf_1-00").history
    assert history["step"] == [3] and len(history["val_novel_angle_acc"]) == 1
    assert {"loss", "accuracy", "val_novel_identity_acc"} <= history.keys()


def test_a_network_saved_with_other_settings_is_not_replaced(data, own):
    nback.train(settings(), material=own)
    with pytest.raises(ValueError, match="nback/gru_mtmf-00 is saved with another learning_rate"):
        nback.train(settings(learning_rate=0.1), material=own)
    nback.train(settings(learning_rate=0.1), material=own, overwrite=True)
    assert nback.load("gru_mtmf-00").config.learning_rate == 0.1


def test_a_damaged_configuration_is_told(data, own):
    network = store.load_network("nback", nback.train(settings(), material=own).names[0])
    del network.record["config"]["lures"]
    store.save_network(network)
    with pytest.raises(store.WrongSchema, match="no nback network of this version"):
        nback.load("gru_mtmf-00")


def test_without_networks_or_a_device_nothing_is_trained(own):
    with pytest.raises(ValueError, match="at least one network"):
        nback.train(settings(), 0, material=own)
    if not torch.cuda.is_available():
        with pytest.raises(ValueError, match="no CUDA device"):
            nback.train(settings(), device="cuda", material=own, save=False)


def test_scores_are_those_of_the_weights_as_saved(own):
    done = nback.train_ensemble([settings()] * 2, ["0", "1"], own, trials=20)
    weights = {name: torch.cat([each.weights[name] for each in done.networks])
               for name in done.networks[0].weights}  # fmt: skip
    again = nback.evaluated([settings()] * 2, weights, own.test, trials=20)
    assert np.array_equal(again.counts, done.evaluation.counts)
    assert done.records[1]["scores"] == again.scores(1)


def test_a_network_that_diverged_has_no_scores(own):
    kinds = [settings(learning_rate=1e30, clip_norm=0.0, updates=6), settings(updates=6)]
    done = nback.train_ensemble(kinds, ["0", "0"], own, trials=4)
    assert [each["diverged"] for each in done.records] == [True, False]
    assert done.records[0]["scores"] == {} and done.records[1]["scores"]
    assert [*derived.rows_of(done.networks[0])] == []


def test_an_interrupted_campaign_goes_on_with_the_same_result(tmp_path, own):
    options = {"material": own, "save": False}
    whole = nback.train(settings(), **options)
    nback.train(settings(), checkpoint=tmp_path, **options)
    (tmp_path / "step-00000003.safetensors").unlink()
    again = nback.train(settings(), checkpoint=tmp_path, **options)
    for name, value in whole.networks[0].weights.items():
        assert torch.equal(again.networks[0].weights[name], value)
    assert again.records[0]["scores"] == whole.records[0]["scores"]


# ---------------------------------------------------------------- running


def test_a_network_is_shown_trials_by_features_and_told_the_task_by_name():
    model = nback.create_model("lstm", 3, channels=CHANNELS, units=4)
    shown = torch.randn(2, 6, 4, CHANNELS)
    trace = model.run(shown, "2-back identity")
    place = TASKS.index(nback.Task("identity", 2))
    for task in (nback.Task("identity", 2), np.array([place, place])):
        assert torch.equal(model.run(shown.numpy(), task).logits, trace.logits)
    assert trace.answers.shape == (1, 2, 6) and trace.cells.shape == (1, 2, 6, 4)
    assert not trace.logits.requires_grad
    mixed = model.run(shown, torch.tensor([place, 0])).logits
    torch.testing.assert_close(mixed[:, :1], trace.logits[:, :1])
    assert not torch.equal(mixed[:, 1], trace.logits[:, 1])
    model.weights["answer.bias"].requires_grad_()
    assert model.run(shown, place, learning=True).logits.requires_grad


def test_unknown_tasks_are_told_the_nearest():
    with pytest.raises(ValueError, match="no task '2-back identiy': did you mean 2-back identity"):
        nback.create_model("gru", channels=CHANNELS, units=4).run(torch.zeros(1, 6, 4, 5), "2-back identiy")


def test_images_are_shown_to_the_backbone_first(monkeypatch):
    from wm import backbone
    from wm.nback import features

    asked = []

    def image_features(shown, network, pool):
        asked.append((shown.shape, shown.dtype, network, pool))
        return np.ones((len(shown), 4, 1280), dtype=np.float16)

    monkeypatch.setattr(backbone, "backbone", lambda name, **_: name)
    monkeypatch.setattr(features, "image_features", image_features)
    model = nback.create_model("gru", units=4)
    trace = model.run(np.zeros((2, 6, 224, 224, 3), dtype=np.uint8), "1-back location")
    assert asked == [((12, 224, 224, 3), np.uint8, "efficientnet_lite0", "grid2")]
    expected = model.run(torch.ones(2, 6, 4, 1280), "1-back location")
    assert torch.equal(trace.logits, expected.logits)


def test_the_factory_makes_what_training_finds():
    for name in ("rnn", "gru", "lstm", "attention_rnn", "attention_gru", "attention_lstm"):
        model = nback.create_model(name)
        assert model.config == nback.config(name) and model.weights["reduce.weight"].shape[2] == 1280
    kind = settings()
    first = nback.NBackLearner(kind, ["5"], nback.Material(images(), {}, {}))
    model = nback.create_model(kind, "5", channels=CHANNELS)
    assert all(torch.equal(value, first.weights()[name]) for name, value in model.weights.items())
    with pytest.raises(ValueError, match=r"takes no changes \(units\)"):
        nback.create_model(kind, units=3)
    with pytest.raises(ValueError, match="did you mean .*gru"):
        nback.create_model("gruu")


# ---------------------------------------------------------------- material


def test_material_is_kept_whole(tmp_path, own):
    again = nback.load_material(nback.save_material(tmp_path / "own.safetensors", own))
    assert again.record == own.record and again.validation.keys() == own.validation.keys()
    for one, two in zip((own.train, *own.test.values()), (again.train, *again.test.values()), strict=True):
        assert np.array_equal(one.features, two.features) and two.features.dtype == np.float16
        assert all(np.array_equal(one.labels[name], two.labels[name]) for name in FEATURES)


def test_material_of_the_wrong_kind_is_refused(own):
    flat = own.train._replace(features=own.train.features[:, 0])
    with pytest.raises(ValueError, match=r"features are \(image, position, channel\)"):
        nback.Material(flat, {}, {})
    with pytest.raises(ValueError, match="needs a label of category"):
        nback.Material(own.train._replace(labels={n: own.train.labels[n] for n in FEATURES[:2]}), {}, {})
    other = own.train._replace(features=own.train.features[:, :, :3])
    with pytest.raises(ValueError, match="of all parts alike"):
        replace(own, test={"trained": other})
    with pytest.raises(ValueError, match="splits are trained, .*: got new"):
        replace(own, test={"new": own.train})


def test_material_of_a_configuration_has_each_split_of_the_stimuli(monkeypatch):
    from wm.nback import features, stimuli

    sets = stimuli.stimulus_set("published")
    asked = []

    def numbered(chosen, backbone, pool, weights, device):
        asked.append((backbone, pool, weights, device))
        return np.broadcast_to(chosen.table.image.to_numpy(np.float32)[:, None, None], (len(chosen), 1, 2))

    monkeypatch.setattr(features, "features", numbered)
    found = nback.material(nback.config("published_gru_mtmf", pool="gap"))
    assert asked == [("efficientnet_lite0", "gap", None, "cpu")] * 3
    pairs = [("train", "trained", found.train)]
    pairs += [("validation", split, found.validation[name]) for name, split in nback.SCORED.items()]
    pairs += [("test", split, found.test[name]) for name, split in nback.SCORED.items()]
    for part, split, own in pairs:
        chosen = sets.part(part, split)
        assert np.array_equal(own.features[:, 0, 0], chosen.table.image)
        assert all(np.array_equal(own.labels[name], chosen.labels(name)) for name in FEATURES)
    assert found.record["pool"] == "gap" and found.record["tables"] == sets.hashes()


# ---------------------------------------------------------------- measures


def test_scores_of_saved_networks_are_collected(data, own):
    nback.train(settings(), seeds=["0", "1"], material=own)
    nback.train(settings("rnn_stsf_1_location"), material=own)
    table = derived.measure()
    assert len(table) == 2 * 4 * 9 + 4
    row = table[(table.network == "gru_mtmf-01") & (table.split == "novel_angle")]
    expected = nback.load("gru_mtmf-01").record["scores"]
    assert row.balanced.mean() == pytest.approx(expected["novel_angle"], abs=1e-5)
    assert (row.balanced - (row.match + row.non_match) / 2).abs().max() < 1e-9
    assert len(derived.measure(["rnn_stsf_1_location"])) == 4


def test_nothing_saved_is_told(data):
    with pytest.raises(ValueError, match="none is saved in .*wm train nback"):
        derived.measure()


def test_diets_are_trained_together_and_their_scores_and_curves_kept(data, own):
    asked = []

    def material_of(kind):
        asked.append(kind.architecture)
        return own

    families = ["rnn_mtmf", "gru_stmf_2", "gru_stsf_1_location"]
    table = derived.measure_diets(families, material_of=material_of, changes=SMALL)
    assert sorted(asked) == ["gru", "rnn"]
    counts = table.groupby("family").network.nunique().to_dict()
    assert counts == {"rnn_mtmf": 6, "gru_stmf_2": 3, "gru_stsf_1_location": 3}
    curves = store.read_table(data / "data_json/nback/diets_curves.csv")
    assert len(curves) == 12 and {"val_novel_angle_acc", "loss"} <= {*curves}
