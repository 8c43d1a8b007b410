"""Heads on planted drawings: what they learn, and what not; company, the last block, scores, tables."""

from dataclasses import replace

import numpy as np
import pytest
import torch

from wm import plastic
from wm.plastic import experiments, measures
from wm.plastic.evaluate import test_episodes as drawn_for_test
from wm.plastic.fewshot import prototypes, splits
from wm.plastic.learner import costs

SMALL = {
    "width": 64, "feedforward": 32, "heads": 2, "ways": 2, "queries": 4, "batch": 64, "updates": 120,
    "learning_rate": 3e-3, "decay": 0.3,
}  # fmt: skip
SIZE = 1 / 8
"""root mean square of the numbers of a drawing; of size 1 they drown the label, and learning takes longer"""
TINY = {"width": 8, "feedforward": 8, "heads": 2, "ways": 2, "queries": 2, "batch": 2, "updates": 3}


def settings(family, **changes):
    return plastic.config(family, **(SMALL | changes))


def coded(monkeypatch, *, three=False):
    """Drawings as a code of their class in noise. three: classes alone, with the same codes in the test."""
    names = [f"class {k}" for k in range(30)]

    def features(vectors, dataset, split):
        generator = np.random.default_rng(len(vectors))  # other codes for the classes of the test
        codes = np.eye(3) if three else generator.standard_normal((len(vectors) // 7, 8))
        code = codes[:, np.arange(256) % codes.shape[1]].repeat(7, axis=0)
        code /= np.sqrt((code**2).mean(axis=1, keepdims=True))
        return (SIZE * (code + 0.1 * generator.standard_normal(code.shape))).astype(np.float32)

    if three:
        known = splits.Split((*names[:3],), (), (*names[20:23],))
        monkeypatch.setattr(splits, "split", lambda *_: known)
    monkeypatch.setattr(prototypes, "features", features)


def trained(config):
    """Share of right answers in the last fifth of training, and in the test."""
    learner = plastic.PlasticLearner(config, ["0"])
    scores = [learner.update()["score"].item() for _ in range(config.updates)]
    weights = {name: each.detach() for name, each in learner.weights().items()}
    found = plastic.evaluated(weights, [config], trials=256)
    return np.mean(scores[-config.updates // 5 :]), found.scores["score"][0]


# ---------------------------------------------------------------- what is learned


@pytest.mark.parametrize(("family", "changes"), [
    ("kanji_none", {}), ("kanji_hebbian", {}), ("kanji_gradient", {}),
    ("kanji_hebbian", {"plastic_blocks": "last"}), ("linear_attention_kanji", {"updates": 240}),
])  # fmt: skip
def test_transformers_learn_to_name_classes_that_they_have_never_seen(planted, monkeypatch, family, changes):
    coded(monkeypatch)
    last, test = trained(settings(family, **changes))
    assert last > 0.9 and test > 0.85  # chance is 0.5


@pytest.mark.parametrize("family", ["lstm_kanji_none", "lstm_kanji_gradient", "rnn_kanji_gradient"])
def test_recurrent_networks_learn_which_label_a_class_has_now(planted, monkeypatch, family):
    """Two of three known classes, labelled anew in each episode: other classes would take them longer."""
    coded(monkeypatch, three=True)
    last, test = trained(settings(family, batch=128, updates=160))
    assert last > 0.85 and test > 0.85  # chance is 0.5


@pytest.mark.parametrize("rule", ["none", "hebbian"])
def test_who_sees_nothing_learns_the_order_alone(planted, rule):
    """Class by class the places of the queries are enough; in random order nothing is."""
    config = settings(f"kanji_{rule}", encoder="blind", shuffled=False, updates=80)
    assert trained(config) == (pytest.approx(1, abs=0.01), pytest.approx(1, abs=0.01))
    assert trained(replace(config, shuffled=True))[1] == pytest.approx(0.5, abs=0.09)


# ---------------------------------------------------------------- parts


def test_the_last_block_alone_has_fast_weights(planted):
    every, last = (plastic.config("kanji_hebbian", **TINY, plastic_blocks=which) for which in ("all", "last"))
    assert [*plastic.plastic_layers(last)] == ["blocks.1.first", "blocks.1.second"]
    assert [*plastic.plastic_layers(every)][:2] == ["blocks.0.first", "blocks.0.second"]
    missing = {*plastic.layout(every).shapes} - {*plastic.layout(last).shapes}
    assert missing == {f"blocks.0.{part}.{kind}" for part in ("first", "second")
                       for kind in ("rows", "columns", "beta")}  # fmt: skip
    weights = plastic.layout(last).views(plastic.initial(last, "0")[None])
    whole = plastic.layout(every).views(plastic.initial(every, "0")[None])
    assert all(torch.equal(each, whole[name]) for name, each in weights.items()), "paired first weights"
    inputs = torch.as_tensor(plastic.make_task(last).sample(3, np.random.default_rng(0)).inputs)[None]
    trace = plastic.run(last, weights, inputs)
    assert {*trace.memory.values} == {"blocks.1.first", "blocks.1.second"}
    silent = {name: each * (not name.startswith("blocks.0") or name.split(".")[-1] not in ("rows", "beta"))
              for name, each in whole.items()}  # fmt: skip
    # without a clip and with one rate, a first block that learns at rate 0 is one without fast weights
    last, every = (replace(each, max_norm=0.0, modulated=False) for each in (last, every))
    expected = plastic.run(every, silent, inputs).answers
    torch.testing.assert_close(plastic.run(last, weights, inputs).answers, expected)
    with pytest.raises(ValueError, match="only a transformer has blocks"):
        plastic.config("rnn_kanji_hebbian", plastic_blocks="last")


@pytest.mark.parametrize("rule", ["hebbian", "gradient"])
def test_networks_of_different_drawings_train_as_they_do_alone(planted, rule):
    first = plastic.config(f"kanji_{rule}", **TINY)
    configs = [
        first, replace(first, dataset="emoji"), replace(first, split="shared", shuffled=False),
        replace(first, queries=4),
    ]  # fmt: skip
    together = plastic.PlasticLearner(configs, [*"0123"], dtype=torch.float64)
    alone = [plastic.PlasticLearner(each, [str(k)], dtype=torch.float64) for k, each in enumerate(configs)]
    for _ in range(3):
        metrics, own = together.update(), [each.update() for each in alone]
        for k, expected in enumerate(own):
            for name in ("loss", "score", "gradient_norm", "rate", "update_norm"):
                torch.testing.assert_close(metrics[name][k], expected[name][0], rtol=1e-8, atol=1e-10)


def test_end_to_end_networks_change_their_encoders_and_do_not_depend_on_company(planted):
    config = plastic.config("published_kanji_hebbian", **(TINY | {"batch": 1}))
    assert config.preset == "published" and config.dropout and config.encoder == "conv4"
    both = plastic.PlasticLearner([config, replace(config, split="random")], ["0", "1"])
    alone = plastic.PlasticLearner(config, ["0"])
    before = both.flat.detach().clone()
    for _ in range(2):
        torch.testing.assert_close(both.update()["loss"][:1], alone.update()["loss"], rtol=1e-3, atol=1e-4)
    changed = both.layout.views((both.flat - before).detach())
    assert all(each[0].any() and each[1].any() for name, each in changed.items() if "encoder" in name)


# ---------------------------------------------------------------- scores and tables


def test_spread_of_scores_is_that_of_numpy(planted):
    config = plastic.config("kanji_none", **(TINY | {"ways": 4, "queries": 4}))
    weights = plastic.layout(config).views(torch.stack([plastic.initial(config, seed) for seed in "01"]))
    found = plastic.evaluated(weights, [config] * 2, trials=256).scores
    inputs, targets = (torch.as_tensor(part).expand(2, *part.shape) for part in drawn_for_test(config, 256))
    right = costs(config, plastic.run(config, weights, inputs).answers, targets)[1][:, :, 4:].numpy()
    assert found["score"] == pytest.approx(right.mean(axis=(1, 2)))
    assert found["score_spread"] == pytest.approx(right.mean(axis=2).std(axis=1), rel=1e-4)
    assert (found["score_spread"] > 0).all()


def test_tests_are_about_classes_that_are_not_trained_on(planted):
    config = plastic.config("kanji_none", **TINY, encoder="none")
    shown = drawn_for_test(config, 50).inputs[..., :1024].reshape(-1, 1024)
    known = plastic.make_task(config).pool.vectors
    assert not (shown[:, None] == known).all(axis=2).any()


def test_experiments_train_together_what_can_be(planted):
    groups = {name: experiments.ensembles(experiments.cells(name)) for name in ("images", "protocol")}
    for group in groups["images"]:
        first = group[0].config
        for name in ("rule", "body", "ways", "shots", "plastic_blocks"):
            assert {getattr(each.config, name) for each in group} == {getattr(first, name)}
        assert len(group) == (2 if first.plastic_blocks == "last" else 4)
    for group in groups["protocol"]:
        assert len({each.config.encoder for each in group}) == 1
        assert len({each.config.dataset for each in group}) == 1, "other drawings, or other queries"
        published = {"emoji": 400, "kanji": 500}[group[0].config.dataset]
        assert experiments.scored_at(group[0].config) == (100, 300, published, 1000, 3000, 5000)
    assert not experiments.scored_at(groups["images"][0][0].config)


def test_tables_of_drawings_have_their_settings_and_spreads(planted, roots, monkeypatch):
    monkeypatch.setattr(measures, "SEEDS", ("0", "1"))

    def trainer(group, device):
        configs = [replace(each.config, **TINY, shots=1) for each in group for _ in measures.SEEDS]
        group[:] = [replace(each, config=replace(each.config, **TINY, shots=1)) for each in group]
        return plastic.train_ensemble(configs, measures.SEEDS * len(group), device=device, score_at=(1,))

    table = measures.measure("images", ["kanji_hebbian"], trainer=trainer)
    assert table.columns.intersection(measures.OF_IMAGES).size == len(measures.OF_IMAGES)
    assert table.score_spread.notna().all() and set(table.updates) == {1, 3}
    assert {"last block", "random 5-way 1-shot"} <= {*table.variant}
    last = table[table.variant == "last block"]
    assert last.norm_block0.isna().all() and last.norm_block1.notna().all()
    assert measures.by_time("images").values["kanji_hebbian"].shape == (7, 2, len(measures.BY_TIME), 4)
