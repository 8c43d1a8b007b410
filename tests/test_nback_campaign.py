"""Campaigns of N-back networks: training, saving, loading, running, measuring; the material."""

import logging
from dataclasses import asdict, replace
from types import SimpleNamespace

import numpy as np
import pandas as pd
import pytest
import torch

from wm import measured, nback, store
from wm.nback import derived, variants
from wm.nback.catalogue import POOLS
from wm.nback.packing import unpacked
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
    held = {name: images(k + 1) for k, name in enumerate(nback.SPLITS)}
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
    assert [*record["scores"]] == [*nback.SPLITS]
    for name in ("test", "test_balanced"):
        assert record[name]["tasks"] == ["1-back location", "1-back identity", "1-back category"]
        assert record[name]["splits"] == [*nback.SPLITS]
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
    kinds = [settings()] * 2
    done = nback.train_ensemble(kinds, ["0", "1"], own, trials=20)
    weights = {name: torch.cat([each.weights[name] for each in done.networks])
               for name in done.networks[0].weights}  # fmt: skip
    again = nback.evaluated(kinds, weights, own.test, trials=20)
    assert np.array_equal(again.counts, done.evaluation.counts)
    assert done.records[1]["scores"] == again.scores(1)
    assert done.records[1]["test"] == again.record(1)


def test_a_network_that_sees_category_alone_passes_the_natural_test_and_not_the_balanced_one(own):
    part = images()
    seen = part._replace(features=np.eye(CHANNELS)[part.labels["category"]][:, None].repeat(4, 1))
    kind = settings("gru_stsf_1_identity", units=32, batch=64, updates=200, learning_rate=0.01)
    done = nback.train_ensemble([kind], ["0"], nback.Material(seen, {"trained": seen}, {"trained": seen}))
    level = nback.shortcut_levels(part.labels)["identity"]
    assert level == pytest.approx((1 + 4 / 7) / 2)
    assert done.records[0]["scores"]["trained"] == pytest.approx(level, abs=0.03)
    assert done.balanced.scores(0)["trained"] == pytest.approx(0.5, abs=0.03)
    assert done.records[0]["test_balanced"] == done.balanced.record(0)


def test_a_network_that_diverged_has_no_scores(own):
    kinds = [settings(learning_rate=1e30, clip_norm=0.0, updates=6), settings(updates=6)]
    done = nback.train_ensemble(kinds, ["0", "0"], own, trials=4)
    assert [each["diverged"] for each in done.records] == [True, False]
    assert done.records[0]["scores"] == {} and done.records[1]["scores"]
    assert done.records[0]["test"] == done.records[0]["test_balanced"] == {}
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
    model = nback.create_model("lstm", 3, features_channels=CHANNELS, units=4)
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
        nback.task_named("2-back identiy")
    model = nback.create_model("gru", features_channels=CHANNELS, units=4)
    with pytest.raises(ValueError, match="no task '4-back location'"):
        model.run(torch.zeros(1, 6, 4, 5), "4-back location")


def test_images_are_shown_to_the_backbone_first(monkeypatch):
    from wm import backbone
    from wm.nback import features

    asked = []

    def image_features(shown, network, pool):
        asked.append((shown.shape, shown.dtype, network, pool))
        return np.ones((len(shown), 4, 1280), dtype=np.float16)

    found = SimpleNamespace(sha256="a" * 64, title="EfficientNet-Lite0")
    files = []
    monkeypatch.setattr(backbone, "backbone", lambda name, file, **_: files.append((name, file)) or found)
    monkeypatch.setattr(features, "image_features", image_features)
    model = nback.create_model("gru", units=4)
    trace = model.run(np.zeros((2, 6, 224, 224, 3), dtype=np.uint8), "1-back location")
    assert asked == [((12, 224, 224, 3), np.uint8, found, "grid2")]
    assert files == [("efficientnet_lite0", None)]
    expected = model.run(torch.ones(2, 6, 4, 1280), "1-back location")
    assert torch.equal(trace.logits, expected.logits)
    same, other = (
        replace(model, record={"material": {"backbone_sha256": digest * 64}}) for digest in ("a", "b")
    )
    assert same.backbone(weights="mine.pth") is found and files[-1] == ("efficientnet_lite0", "mine.pth")
    with pytest.raises(ValueError, match="gru_mtmf-00 was trained with .* sha256 bbbbbbbbbbbb, .* aaaaaa"):
        other.backbone()


def test_the_factory_makes_what_training_finds():
    for name in ("rnn", "gru", "lstm", "attention_rnn", "attention_gru", "attention_lstm"):
        model = nback.create_model(name)
        assert model.config == nback.config(name) and model.weights["reduce.weight"].shape[2] == 1280
    kind = settings()
    first = nback.NBackLearner(kind, ["5"], nback.Material(images(), {}, {}))
    model = nback.create_model(kind, "5", features_channels=CHANNELS)
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
    asked, weighed = [], []

    def numbered(chosen, backbone, pool, weights, device):
        asked.append((backbone, pool, weights, device))
        return np.broadcast_to(chosen.table.image.to_numpy(np.float32)[:, None, None], (len(chosen), 1, 2))

    monkeypatch.setattr(features, "features", numbered)
    monkeypatch.setattr(features, "weights_sha256", lambda *given: weighed.append(given) or "c" * 64)
    found = nback.material(nback.config("published_gru_mtmf", pool="gap"))
    assert weighed == [("efficientnet_lite0", None)] and found.record["backbone_sha256"] == "c" * 64
    assert asked == [("efficientnet_lite0", "gap", None, "cpu")] * 3
    pairs = [("train", "trained", found.train)]
    pairs += [("validation", split, found.validation[split]) for split in nback.SPLITS]
    pairs += [("test", split, found.test[split]) for split in nback.SPLITS]
    for part, split, own in pairs:
        chosen = sets.part(part, split)
        assert np.array_equal(own.features[:, 0, 0], chosen.table.image)
        assert all(np.array_equal(own.labels[name], chosen.labels(name)) for name in FEATURES)
    assert found.record["pool"] == "gap" and found.record["tables"] == sets.hashes()
    few = stimuli.stimulus_set("published", novel=0, categories=("car", "chair"))
    mine = nback.material(nback.config("gru"), stimuli=few)
    assert [*mine.test] == [*mine.validation] == ["trained", "novel_angle", "extrapolating"]
    assert mine.record["tables"] == few.hashes() and len(mine.train.features) == len(few.part("train"))


# ---------------------------------------------------------------- measures


def test_rows_are_the_scores_and_errors_of_a_network(own):
    own = nback.Material(*((turned(own.train), *({n: turned(i) for n, i in own.test.items()},) * 2)))
    (network,) = nback.train_ensemble([settings()], ["1"], own, trials=64).networks
    table, errors = (pd.DataFrame(rows(network)) for rows in (derived.rows_of, derived.errors_of))
    assert len(table) == 2 * 5 * 9 and len(errors) == 5 * 9
    assert [*table] == ["family", "seed", "lures", "split", "task", "balanced", "all_steps", "match",
                        "non_match", "match_other_view"]  # fmt: skip
    natural = table[table.lures == "natural"]
    assert natural.notna().all().all() and table[table.lures == "balanced"].balanced.notna().all()
    own = natural[natural.split == "novel_angle"]
    assert own.balanced.mean() == pytest.approx(network.record["scores"]["novel_angle"], abs=1e-4)
    assert (natural.balanced - (natural.match + natural.non_match) / 2).abs().max() < 2e-4
    assert [*natural.match] == [*errors.match] and [*natural.task] == [*errors.task]
    asked, right = network.record["test"]["other_views"][0][3]
    assert natural.match_other_view.iloc[3] == pytest.approx(right / asked, abs=1e-4)


def turned(part):
    """The same images, the first half of each object and location from another view than the second."""
    return part._replace(labels=part.labels | {"view": np.arange(len(part.features)) % 8 // 4})


def test_diets_are_trained_together_and_their_scores_and_curves_kept(data, own, caplog):
    caplog.set_level(logging.INFO, logger="wm.nback")
    asked = []

    def material_of(kind):
        asked.append(kind.architecture)
        return own

    families = ["rnn_mtmf", "gru_stmf_2", "gru_stsf_1_location"]
    given = []
    each = lambda done, material: given.append((done.names, material))  # noqa: E731
    table = derived.measure_diets(families, material_of=material_of, changes=SMALL, each=each)
    assert sorted(asked) == ["gru", "rnn"] and all(material is own for _, material in given)
    assert [len(names) for names, _ in given] == [6, 6] and "rnn_mtmf-05" in given[1][0]
    counts = table.groupby("family").seed.nunique().to_dict()
    assert counts == {"rnn_mtmf": 6, "gru_stmf_2": 3, "gru_stsf_1_location": 3}
    curves = store.read_table(data / "data_json/nback/diets_curves.csv")
    assert len(curves) == 12 and [*curves] == [
        "family", "seed", "step", *(f"val_{name}_acc" for name in nback.SPLITS)]  # fmt: skip
    shown = curves.set_index("family").notna().groupby("family").all()
    assert shown.loc["rnn_mtmf"].all() and shown.columns[shown.loc["gru_stmf_2"]].to_list() == [
        "seed", "step", "val_trained_acc", "val_novel_angle_acc"]  # fmt: skip
    kept = unpacked(store.read_table(data / "data_json/nback/diets.csv"))
    assert len(kept) == len(table) and kept.balanced.sum() == pytest.approx(table.balanced.sum(), abs=1e-3)
    errors = store.read_table(data / "data_json/nback/diets_errors.csv")
    assert {*errors.family} == {"rnn_mtmf"} and len(errors) == 6 * 45
    assert {"no_action_as_match", "step_6"} <= {*errors}
    assert table.lures.value_counts().to_dict() == {"natural": 6 * 45 + 3 * 15 + 3 * 5, "balanced": 330}
    assert nback.names() == [] and len(caplog.messages) == 2
    assert caplog.messages[0].startswith("6 networks (gru_stmf_2, gru_stsf_1_location): trained in ")


def test_networks_that_are_shipped_are_saved_as_if_trained_alone(data, own):
    families = ["gru_mtmf", "gru_stmf_2", "dual_gru", "attention_gru"]
    derived.measure_diets(families, material_of=lambda kind: own, changes=SMALL, save=True)
    assert nback.names() == ["attention_gru_mtmf-00", "gru_mtmf-00"]
    kept, options = nback.load("gru_mtmf-00"), " --units 4 --batch 4 --updates 3"
    alone = nback.train(settings(), material=own, overwrite=True).networks[0]
    for name, value in alone.weights.items():
        torch.testing.assert_close(kept.weights[name], value, atol=2e-3, rtol=2e-3)
    assert kept.record["command"] == alone.record["command"] == "wm train nback.gru_mtmf --seeds 0" + options
    assert [*kept.record["scores"]] == [*nback.SPLITS]
    saved = store.load_network("nback", "attention_gru_mtmf-00")
    assert saved.history["step"] == [3] and isinstance(saved.history["loss"][0], float)


# ---------------------------------------------------------------- what of the settings makes networks learn


def test_variants_change_what_they_say_and_keep_the_map_as_wide():
    usual = nback.config("gru")
    for name, variant in variants.VARIANTS.items():
        other = variants.varied(usual, name)
        differing = {field for field, value in asdict(usual).items() if asdict(other)[field] != value}
        expected = {*variant.changes} | ({"channels"} if "pool" in variant.changes else set())
        assert differing == expected | ({"updates"} if variant.longer != 1 else set())
        assert POOLS[other.pool] * other.channels == POOLS[usual.pool] * usual.channels
    assert variants.varied(usual, "gap").channels == 256
    assert variants.varied(usual, "rate_3e-5_long").updates == 20_000
    remake = variants.varied(usual, "remake")
    assert (remake.updates, remake.batch, remake.pool) == (42_200, 32, "gap")
    assert remake.updates * remake.batch == pytest.approx(45 * 30_000, rel=1e-3), "its trials, as reported"
    assert variants.variants_of("gru_mtmf") == (*variants.VARIANTS,)
    assert variants.variants_of("rnn_mtmf") == ("usual", "rate_3e-3", "rate_3e-4", "no_decay")


def test_training_is_measured_for_each_variant_and_split(data, own, monkeypatch, caplog):
    def material_of(kind):
        few = [part._replace(features=part.features[:, :1]) for part in (own.train, *own.test.values())]
        held = dict(zip(own.test, few[1:], strict=True))
        return own if kind.pool == "grid2" else nback.Material(few[0], held, held)

    assert len(variants.SEEDS) == 6
    monkeypatch.setattr(variants, "SEEDS", ("0", "1"))
    changes = SMALL | {"updates": 1}
    with caplog.at_level(logging.INFO, logger="wm.nback"):
        table = variants.measure_training(["rnn", "gru"], material_of=material_of, changes=changes)
    assert sorted(message.split(" (")[0] for message in caplog.messages) == (
        ["12 networks", *["2 networks"] * 5, "8 networks"])  # fmt: skip
    own_rows = table[table.family == "gru_mtmf"]
    assert [*own_rows.variant.unique()] == [*variants.VARIANTS] and len(own_rows) == 11 * 2 * 5
    assert [*table.family.unique()] == ["rnn_mtmf", "gru_mtmf"] and len(table) == (11 + 4) * 2 * 5
    assert [*table.split[:5]] == [*nback.SPLITS]
    alone = nback.train_ensemble([settings(learning_rate=3e-3, updates=1)], ["1"], own)
    row = own_rows[(own_rows.variant == "rate_3e-3") & (own_rows.seed == "1")]
    expected = [alone.history[f"val_{split}_acc"][-1][0] for split in nback.SPLITS]
    assert [*row.validation] == pytest.approx(expected, abs=0.02)
    apart = table[[*nback.FEATURES]].mean(axis=1)
    assert np.abs(apart - table.validation).max() < 0.1, "other trials of the same images"
    kept = measured.read("nback", "training")
    assert len(kept) == len(table) and [*kept] == [*table]
    assert derived.MEASURES["training"] is variants.measure_training


def test_variants_that_never_are_at_a_bar_say_so(data, own, monkeypatch):
    monkeypatch.setattr(variants, "BARS", {"trained": 0.3, "novel_angle": 0.995})
    monkeypatch.setattr(variants, "VARIANTS", {
        "usual": variants.VARIANTS["usual"], "wild": variants.Variant("wild", {"learning_rate": 1e30}),
    })  # fmt: skip
    monkeypatch.setattr(variants, "SCHEDULES", ("usual", "wild"))
    changes = SMALL | {"updates": 6, "clip_norm": 0.0}
    table = variants.measure_training(["rnn"], material_of=lambda kind: own, changes=changes)
    assert {*table.family} == {"rnn_mtmf"} and {*table.variant} == {"usual", "wild"}
    assert table[table.split != "trained"].reached.isna().all()
    assert table[(table.split == "trained") & (table.variant == "usual")].reached.notna().any()
