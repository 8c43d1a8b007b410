"""Training of the backbone with the rest of an N-back network: images in place of features."""

from dataclasses import replace

import numpy as np
import pytest
import torch
import torch.nn.functional as F

from wm import nback, store
from wm.backbone import backbone
from wm.nback import finetune
from wm.nback.features import image_features, pooled
from wm.nback.finetune import PREFIX, FineTuner, own_backbone, seen
from wm.nback.learner import NBackLearner
from wm.nback.network import run
from wm.nback.stimuli import render_stimulus_set, stimulus_set

TINY = {
    "units": 4, "batch": 3, "length": 3, "lags": (1,), "updates": 3, "learning_rate": 1e-3, "decay": 0.0,
    "freeze_backbone": False, "no_action_weight": 0.0,
}  # fmt: skip


@pytest.fixture(scope="module")
def four():
    """Four real images: an airplane and a chair, at two places."""
    stimuli = stimulus_set("published")
    table = stimuli.table[(stimuli.table.part == "train") & (stimuli.table["view"] == 0)]
    table = table[table.category.isin(["airplane", "chair"]) & table.location.isin([0, 3])]
    table = table.drop_duplicates(["category", "location"]).reset_index(drop=True)
    pictures = render_stimulus_set(replace(stimuli, table=table))
    number = (table.category == "chair").to_numpy(np.int64)
    labels = {"location": (table.location == 3).to_numpy(np.int64), "identity": number, "category": number}
    return nback.Images(pictures, labels)


@pytest.fixture(scope="module")
def own(four):
    return nback.Material(four, {"novel_angle": four}, {"novel_angle": four}, {"made": "here"})


def settings(**changes):
    return nback.config("gru", **(TINY | changes))


def loss_of(ours, step=0):
    ours.prepare(step)
    with torch.no_grad():
        return float(ours.losses()[0])


def test_loss_falls_on_four_images_and_the_backbone_changes(own, four):
    ours = FineTuner(settings(), ["0"], own)
    assert four.features.shape == (4, 224, 224, 3) and not ours.captured
    before = loss_of(ours)
    first = {name: value.clone() for name, value in ours.whole().items()}
    metrics = [ours.update() for _ in range(3)]
    assert loss_of(ours) < before - 0.01
    assert all(each["diverged"] == 0 for each in metrics) and ours.step == 3
    changed = {name: not torch.equal(first[name], value) for name, value in ours.whole().items()}
    moved = {name for name, value in changed.items() if value}
    assert moved >= {PREFIX + "conv_stem.weight", PREFIX + "bn1.weight", "reduce.weight", "answer.bias"}
    assert {name for name in changed if "running" in name}.isdisjoint(moved)
    assert not any(name.startswith(PREFIX + "fc") for name in changed)
    assert 0 <= metrics[-1]["val_novel_angle_acc"][0] <= 1


def test_the_gradient_is_that_of_a_plain_graph(own, monkeypatch):
    monkeypatch.setattr(finetune, "CHUNK", 2)
    kind = settings(weight_decay=0.0)
    ours, plain = FineTuner(kind, ["0"], own), backbone()
    plain.network.requires_grad_(True)
    ours.prepare(0)
    loss, _ = ours.losses()
    (found,) = torch.autograd.grad(loss.sum(), ours.flat)

    images, targets, tasks = ours._trials
    features = pooled(plain.network(plain.prepare(own.train.features)), "grid2")
    weights = {name: value.detach().requires_grad_() for name, value in ours.weights().items()}
    logits = run(kind, weights, features, images, tasks).logits
    expected = F.cross_entropy(logits[targets > 0], targets[targets > 0])
    assert loss.item() == pytest.approx(expected.item(), rel=1e-5)
    expected.backward()
    for name, gradient in ours.layout.views(found).items():
        inner = name.removeprefix(PREFIX)
        of = weights[name] if inner == name else plain.network.get_parameter(inner)
        norm = of.grad.norm()
        assert norm > 0 or gradient.norm() < 1e-7
        assert (gradient[0] - of.grad.view(gradient[0].shape)).norm() <= 1e-3 * norm + 1e-7, name


def test_at_first_it_is_the_frozen_network(own, four):
    ours = FineTuner(settings(), ["0"], own)
    pretrained = backbone()
    given = seen({"novel_angle": four}, pretrained, "grid2")
    frozen = NBackLearner(
        settings(freeze_backbone=True), ["0"], nback.Material(given["novel_angle"], given, given)
    )
    assert loss_of(ours) == pytest.approx(loss_of(frozen), rel=1e-3)
    assert ours._validation["val_novel_angle_acc"] == frozen._validation["val_novel_angle_acc"]
    for name, value in frozen.weights().items():
        assert torch.equal(ours.weights()[name], value)
    now = own_backbone(ours.config, ours.whole())
    assert np.array_equal(image_features(four.features, now), image_features(four.features, pretrained))


def test_it_is_saved_with_its_backbone_and_sees_with_it(roots, own, four):
    kind = settings(updates=2)
    done = nback.train(kind, material=own)
    trained, loaded = done.networks[0], nback.load("gru_mtmf-00")
    assert trained.record["command"].endswith("--no-freeze-backbone")
    assert trained.record["training"]["backbone_sha256"] == backbone().sha256
    network = store.load_network("nback", "gru_mtmf-00")
    types = {name: value.dtype for name, value in network.weights.items()}
    assert types[PREFIX + "conv_stem.weight"] == np.float16 == types["reduce.weight"]
    assert types[PREFIX + "bn0.running_var"] == np.float32
    for name, value in trained.weights.items():
        assert torch.equal(loaded.weights[name], value), name

    tuned, before = loaded.backbone(), backbone()
    assert tuned.sha256 != before.sha256
    assert not np.array_equal(loaded.features(four.features), image_features(four.features, before))
    assert np.isnan(tuned.features(four.features[:1], "logits")).all()
    shown = four.features[np.array([[0, 1, 1]])]
    trace = loaded.run(shown, "1-back category")
    expected = loaded.run(loaded.features(shown[0])[None], "1-back category")
    assert torch.allclose(trace.logits, expected.logits)
    again = nback.evaluated([kind], loaded.weights, seen(own.test, tuned, "grid2"))
    assert np.array_equal(again.counts, done.evaluation.counts)


def test_an_interrupted_training_goes_on_bit_for_bit(roots, own, tmp_path):
    whole = nback.train_ensemble([settings(updates=2)], ["0"], own, trials=4)
    ours = FineTuner(settings(updates=2), ["0"], own)
    ours.update()
    state, other = ours.state_dict(), FineTuner(settings(updates=2), ["0"], own)
    other.load_state_dict(state)
    other.update()
    for name, value in nback.library.as_saved(other.whole()).items():
        assert torch.equal(value.float(), whole.networks[0].weights[name])


def test_what_cannot_be_trained_is_told(own, four):
    features = nback.Images(np.zeros((4, 4, 1280), np.float16), four.labels)
    given = nback.Material(features, {}, {})
    with pytest.raises(ValueError, match="trained with images .*, not with features: got"):
        FineTuner(settings(), ["0"], given)
    with pytest.raises(ValueError, match="learn from features, not from images: got"):
        NBackLearner(settings(freeze_backbone=True), ["0"], own)
    with pytest.raises(ValueError, match="needs wm.nback.finetune.FineTuner"):
        NBackLearner(settings(), ["0"], given)
    with pytest.raises(ValueError, match="2 networks at once, whose backbones are to be trained"):
        nback.train(settings(), networks=2, material=own, save=False)
    with pytest.raises(ValueError, match="features are given: .* leave `weights` out"):
        nback.train(settings(freeze_backbone=True), material=given, weights="x.pth", save=False)
    with pytest.raises(ValueError, match="the backbone is not trained"):
        nback.train_ensemble([settings(freeze_backbone=True)], ["0"], given, weights="x.pth")
    with pytest.raises(ValueError, match=r"features are .*, or images .*: got uint8 \(4, 224, 224, 1\)"):
        nback.Material(four, {"trained": nback.Images(four.features[..., :1], four.labels)}, {})
    with pytest.raises(store.StoreError, match="is missing: give the path|no such file|not there"):
        FineTuner(settings(), ["0"], own, weights="nowhere.pth")


def test_the_material_of_such_a_network_is_images(monkeypatch):
    from wm.nback import stimuli

    few = stimulus_set("published", categories=("car", "chair"), draws=(1, 1, 0, 1))
    monkeypatch.setattr(stimuli, "stimulus_set", lambda preset: few)
    found = nback.material(settings())
    assert (
        found.train.features.shape == (2 * 2 * 6 * 4, 224, 224, 3) and found.train.features.dtype == np.uint8
    )
    assert found.test["novel_identity"].features.shape[1:] == (224, 224, 3)
