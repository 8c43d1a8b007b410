"""Prototypical networks: against plain loops, on planted classes and on none, going on, and what is kept."""

from dataclasses import replace

import numpy as np
import pytest
import torch

from wm import store
from wm.plastic.fewshot import derived, images, prototypes
from wm.plastic.fewshot.prototypes import EncoderConfig, PrototypeLearner, accuracy, prototype_logits
from wm.plastic.fewshot.task import Classification
from wm.train import numpy_generator, run

SMALL = EncoderConfig("kanji", ways=5, queries=5, updates=30, learning_rate=3e-3)


@pytest.fixture
def small_sizes(monkeypatch):
    """Sizes of seconds."""
    monkeypatch.setattr(prototypes, "KNOWN", 60)
    monkeypatch.setattr(derived, "EPISODES", 50)
    monkeypatch.setattr(derived, "SEEDS", ("0", "1"))


def test_logits_are_those_of_a_plain_loop():
    vectors, labels = torch.randn(3, 10, 4, dtype=torch.float64), torch.tensor([[0, 1, 2, 1, 2, 0]] * 3)
    labels[1] = labels[1].flip(0)
    found = prototype_logits(vectors, torch.eye(3, dtype=torch.float64)[labels])
    assert found.shape == (3, 4, 3)
    for k in range(3):
        for query in range(4):
            for way in range(3):
                mean = vectors[k, :6][labels[k] == way].mean(dim=0)
                expected = -((vectors[k, 6 + query] - mean) ** 2).sum()
                assert found[k, query, way].item() == pytest.approx(expected.item())


def test_logits_have_gradients_where_a_query_is_a_prototype():
    vectors = torch.ones(1, 4, 3, requires_grad=True)
    prototype_logits(vectors, torch.eye(2)[None]).log_softmax(-1).sum().backward()
    assert vectors.grad.isfinite().all()


def test_accuracy_is_that_of_a_plain_loop(planted):
    task = Classification("kanji", ways=4, shots=2, asked=8, encoder="none")
    drawings, labels = task.choose(30, numpy_generator(0))
    vectors = numpy_generator(1).standard_normal((len(task.pool.vectors), 6)).astype(np.float32)
    found = accuracy(task, vectors, drawings, labels)
    for k in range(30):
        shown = vectors[drawings[k]]
        means = [shown[:8][labels[k, :8] == way].mean(axis=0) for way in range(4)]
        nearest = [np.argmin([((x - mean) ** 2).sum() for mean in means]) for x in shown[8:]]
        assert found[k] == pytest.approx((np.array(nearest) == labels[k, 8:]).mean())


def test_planted_pixels_are_told_apart_and_noise_is_not(planted):
    task = Classification("kanji", encoder="none").held_out
    drawings, labels = task.choose(400, numpy_generator(0))
    assert accuracy(task, task.pool.vectors, drawings, labels).mean() > 0.99
    noise = numpy_generator(1).standard_normal(task.pool.vectors.shape)
    assert accuracy(task, noise, drawings, labels).mean() == pytest.approx(0.2, abs=0.04)


def of_test(config, learner):
    """Accuracy of each network on test classes."""
    weights, task = prototypes.statistics(config, learner.weights), replace(config.task, augmented=False)
    task = task.held_out
    chosen = task.choose(200, numpy_generator(0))
    encoded = prototypes.encode(config.network, weights, task.pool.vectors)
    return [accuracy(task, vectors, *chosen).mean() for vectors in encoded]


def harder(planted, monkeypatch, *, shuffled):
    """The planted drawings in much noise, perhaps with classes that do not tell anything."""

    def load(name, root=None):
        found, generator = planted(name), numpy_generator(0, "harder", name)
        pixels = found.images + generator.normal(0, 60, found.images.shape)
        pixels = np.clip(pixels, 0, 255).astype(np.uint8)
        return replace(found, images=pixels[generator.permutation(len(pixels))] if shuffled else pixels)

    monkeypatch.setattr(images, "load", load)


@pytest.mark.parametrize("network", ["conv4", "resnet12"])
def test_it_learns_planted_classes(planted, monkeypatch, small_sizes, network):
    harder(planted, monkeypatch, shuffled=False)
    config = replace(SMALL, network=network, queries=25, updates=30 if network == "conv4" else 3)
    learner = PrototypeLearner(config, ["0"])
    untrained = of_test(config, learner)[0]
    metrics = [step.values for step in run(learner, config.updates)]
    assert {*metrics[0]} == {"loss", "score"} and metrics[0]["loss"].shape == (1,)
    if network == "conv4":
        first, last = (np.mean([each["score"] for each in part]) for part in (metrics[:5], metrics[-10:]))
        assert last > max(0.8, first)  # of drawings that are shifted, those of the test are not
        assert of_test(config, learner)[0] > 0.97 > 0.93 > untrained
        assert learner.optimizer.param_groups[0]["lr"] < config.learning_rate / 5


def test_it_stays_at_chance_where_classes_mean_nothing(planted, monkeypatch, small_sizes):
    harder(planted, monkeypatch, shuffled=True)
    learner = PrototypeLearner(SMALL, ["0"])
    scores = [learner.update()["score"].item() for _ in range(30)]
    assert np.mean(scores[:15]) < 0.35
    assert of_test(SMALL, learner)[0] == pytest.approx(0.2, abs=0.06)


def test_an_update_is_that_of_a_plain_loop(planted):
    """Alone or with others: an episode of its own, cross-entropy, Adam of torch."""
    together, alone = PrototypeLearner(SMALL, ["0", "1"]), PrototypeLearner(SMALL, ["1"])
    plain = {name: each.detach().clone().requires_grad_() for name, each in alone.weights.items()}
    optimizer = torch.optim.Adam(plain.values(), lr=SMALL.learning_rate)
    for step in range(3):
        inputs, targets = SMALL.task.sample(1, numpy_generator("1", "prototypes", step))
        shown, wanted = torch.as_tensor(inputs[:, :, :1024]).view(1, 10, 1, 32, 32), torch.as_tensor(targets)
        vectors, given = alone.encode(plain, shown)[0], inputs[0, :5, 1024:-1].argmax(axis=1)
        means = torch.stack([vectors[np.flatnonzero(given == way)].mean(dim=0) for way in range(5)])
        logits = -((vectors[5:, None] - means) ** 2).sum(-1)
        loss = torch.nn.functional.cross_entropy(logits, wanted[0, 5:])
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()
        both, own = together.update(), alone.update()
        for found in (both["loss"][1], own["loss"][0]):
            torch.testing.assert_close(found, loss.detach(), rtol=2e-3, atol=1e-3)
        assert both["loss"][0] != both["loss"][1]


def test_training_goes_on_bit_for_bit(planted, tmp_path):
    whole = PrototypeLearner(SMALL, ["0", "1"])
    for _ in run(whole, 5):
        pass
    for step in run(PrototypeLearner(SMALL, ["0", "1"]), 5, checkpoint=tmp_path, checkpoint_every=2):
        if step.step == 4:
            break
    again = PrototypeLearner(SMALL, ["0", "1"])
    assert [step.step for step in run(again, 5, checkpoint=tmp_path)] == [5]
    assert all(torch.equal(value, again.weights[name]) for name, value in whole.weights.items())
    states = (each.state_dict()["optimizer"]["state"] for each in (whole, again))
    for own, other in zip(*(state.values() for state in states), strict=True):
        assert all(torch.equal(value, other[name]) for name, value in own.items())


def test_first_weights_depend_on_the_seed_alone(planted):
    together, alone = PrototypeLearner(SMALL, ["0", "1"]), PrototypeLearner(SMALL, ["1"])
    assert all(torch.equal(value[1:], alone.weights[name]) for name, value in together.weights.items())
    assert not torch.equal(together.weights["encoder.0.weight"][0], together.weights["encoder.0.weight"][1])


# ---------------------------------------------------------------- what is kept


def test_encoders_are_kept_and_loaded(planted, roots, monkeypatch, small_sizes):
    monkeypatch.setattr(derived, "KINDS", ((5, 1), (10, 1)))
    table = derived.measure_encoders(["kanji_random", "emoji_groups"], updates=2)
    assert table.groupby(["family", "features"]).size().tolist() == [4] * 4  # two kinds, two seeds
    assert set(table.features) == {"untrained", "prototypes"} and table.accuracy.between(0, 1).all()
    config = EncoderConfig("kanji", updates=2)
    learner = PrototypeLearner(config, derived.SEEDS)
    for _ in run(learner, 2):
        pass
    expected = prototypes.statistics(config, learner.weights)
    found = prototypes.encoder("kanji", "random")
    assert found.keys() == expected.keys()
    for name, value in found.items():
        torch.testing.assert_close(value, expected[name][:1].half().float(), rtol=2e-3, atol=2e-3)
    row = table.query("family == 'kanji_random' and features == 'prototypes' and ways == 5").iloc[0]
    task = Classification("kanji", encoder="none").held_out
    vectors = prototypes.encode("conv4", found, task.pool.vectors)[0]
    chosen = task.choose(50, numpy_generator("test", "plastic", "prototypes"))
    assert row.accuracy == pytest.approx(accuracy(task, vectors, *chosen).mean(), abs=0.01)
    assert row.deviation == pytest.approx(accuracy(task, vectors, *chosen).std(ddof=1), abs=0.01)


def test_numbers_of_drawings_are_centred_and_scaled(planted, monkeypatch):
    monkeypatch.setattr(prototypes, "KNOWN", 10_000)
    config = EncoderConfig("kanji")
    whole = prototypes.statistics(config, PrototypeLearner(config, ["0", "1"]).weights)
    known = prototypes.encode("conv4", whole, config.task.pool.vectors)
    assert np.abs(known.mean(axis=1)).max() < 1e-4
    assert (known**2).sum(axis=2).mean(axis=1) == pytest.approx([1, 1], rel=1e-3)


def test_missing_encoders_are_told(roots):
    with pytest.raises(
        store.DamagedFile, match="no encoder of kanji, split groups: train it with `wm states"
    ):
        prototypes.encoder("kanji", "groups")
    with pytest.raises(ValueError, match="no data set and split 'kanji_rando': did you mean kanji_random"):
        derived.measure_encoders(["kanji_rando"])


def test_baselines_have_rows_of_pixels_and_of_the_network(planted, roots, monkeypatch, small_sizes):
    monkeypatch.setattr(derived, "KINDS", ((5, 1), (5, 5)))
    table = derived.measure_baselines(["kanji_random"])
    assert table.features.unique().tolist()[0] == "pixels" and len(table.features.unique()) == 2
    pixels = table[(table.features == "pixels") & (table.ways == 5)]
    assert (pixels.accuracy > 0.9).all() and pixels.shots.tolist() == [1, 5]
