"""Families, batches, campaigns, saved networks and experiments of the plastic system."""

from dataclasses import replace

import numpy as np
import pytest
import torch

from wm import plastic, store
from wm.plastic import derived, evaluate, experiments, measures
from wm.plastic.batches import Batches, counted
from wm.plastic.evaluate import evaluated
from wm.plastic.families import PAPER_RULES, RECURRENT

SMALL = {"width": 8, "heads": 2, "feedforward": 12, "delay": 2, "items": 2, "queries": 2, "updates": 4}


def settings(family="copying_hebbian", **changes):
    return plastic.config(family, **(SMALL | changes))


def small_networks(family="copying_hebbian", networks=2, **changes):
    return plastic.train(settings(family, batch=4, **changes), networks, save=False)


# ---------------------------------------------------------------- families


def test_presets_are_named_by_what_they_set():
    assert plastic.config("copying_hebbian").preset == "sound"
    assert plastic.config("published_regression_gradient").preset == "published"
    assert plastic.config("copying_hebbian", positions=False).preset == "own"


def test_every_task_and_rule_has_a_sound_and_a_published_family():
    for task in plastic.TASKS:
        for rule in PAPER_RULES:
            for name in (f"{task}_{rule}", f"published_{task}_{rule}"):
                config = plastic.config(name)
                assert (config.task, config.rule) == (task, rule)


def test_recurrent_networks_have_the_published_sizes():
    widths = {
        name: plastic.config(f"{name}_regression_noisy_{rule}").width
        for name in RECURRENT
        for rule in ("hebbian",)
    }
    assert widths == {"rnn": 256, "lstm": 128}
    assert plastic.config("rnn_regression_noisy_none").width == 384
    assert plastic.config("lstm_regression_noisy_none").width == 192


def test_unknown_families_are_told_the_nearest():
    with pytest.raises(ValueError, match="did you mean .*copying_hebbian"):
        plastic.config("copying_hebian")


# ---------------------------------------------------------------- batches


def test_a_batch_depends_on_its_seed_and_step_alone():
    alone, both = Batches([settings()], ["3"]), Batches([settings()] * 2, ["0", "3"])
    for step in (70, 2):
        assert torch.equal(alone.at(step).inputs[0], both.at(step).inputs[1])
    assert not torch.equal(both.at(0).inputs[0], both.at(0).inputs[1])


def test_batches_are_sequences_of_the_task_and_shorter_ones_are_filled_up():
    configs = [settings(), settings(delay=5)]
    batch = Batches(configs, ["0", "0"]).at(0)
    assert batch.inputs.shape == (2, 64, 10) and not batch.inputs[0, :, 7:].any()
    assert (batch.targets[0, :, 5:7] == batch.inputs[0, :, :2]).all()


def test_tokens_that_count_are_those_of_each_task():
    rows = counted([settings(), settings(delay=5)], answers=True)
    assert rows.sum(axis=1).tolist() == [2, 2] and rows[0, 5:7].all() and rows[1, 8:].all()
    assert counted([settings(), settings(delay=5)], answers=False).sum(axis=1).tolist() == [7, 10]


# ---------------------------------------------------------------- campaigns


@pytest.mark.parametrize(
    "family",
    ["copying_none", "published_copying_gradient", "cue_reward_hebbian", "linear_attention_regression"],
)
def test_training_scores_every_network_on_sequences_of_its_task(family):
    done = small_networks(family)
    assert done.names == [f"{family}-00", f"{family}-01"]
    for network in done.networks:
        inputs, targets = evaluate.test_episodes(network.config)
        answers = network.run(inputs).answers[0]
        queries = plastic.make_task(network.config).queries
        if network.config.task == "copying":
            right = (answers.argmax(-1).numpy() == targets)[:, queries].mean()
        else:
            right = np.square(answers[..., 0].numpy() - targets)[:, queries].mean()
        assert network.record["scores"]["score"] == pytest.approx(right, rel=1e-4)
        assert network.record["training"]["updates"] == 4
        assert network.record["command"].startswith(f"wm train plastic.{family} --seeds")


def test_curves_are_means_over_the_updates_of_each_bin():
    configs = [settings(batch=4, updates=6)] * 2
    done = plastic.train_ensemble(configs, ["0", "1"], bins=3, score_at=(2, 6))
    learner = plastic.PlasticLearner(configs, ["0", "1"])
    losses = np.stack([learner.update()["loss"].numpy() for _ in range(6)])
    assert done.curves["step"].tolist() == [2, 4, 6]
    assert done.curves["loss"] == pytest.approx(losses.reshape(3, 2, 2).mean(axis=1).T, rel=1e-5)
    assert [*done.early] == [2] and done.early[2][0]["score"] >= 0


def test_networks_of_different_delay_are_scored_on_their_own_task():
    configs = [settings(batch=4), settings(batch=4, delay=5)]
    done = plastic.train_ensemble(configs, ["0", "0"])
    for network, time in zip(done.networks, (7, 10), strict=True):
        assert network.weights["positions"].shape[1] == time
        assert done.by_time[network.config.delay > 2]["rate"].shape == (time,)
        again = evaluated(network.weights, [network.config]).scores["score"][0]
        assert network.record["scores"]["score"] == pytest.approx(again, abs=1e-6)


def test_a_network_that_diverged_has_no_scores():
    config = settings(batch=4, learning_rate=1e30, clip_norm=0.0, decay=0.0)
    done = plastic.train_ensemble([config], ["0"])
    assert done.networks[0].record["diverged"] and done.networks[0].record["scores"] == {}
    assert done.by_time == [{}] and done.curves["diverged"][0, -1] > 0


def test_saved_networks_come_back(roots):
    done = plastic.train(settings(batch=4), 1, seeds=["7"])
    trained = plastic.load("copying_hebbian-07")
    assert trained.config == done.networks[0].config and trained.seed == "7"
    for name, value in done.networks[0].weights.items():
        assert torch.equal(value, trained.weights[name]), name
    assert plastic.names("copying_hebbian") == ["copying_hebbian-07"]
    assert [each.name for each in plastic.load_family("copying_hebbian")] == ["copying_hebbian-07"]
    with pytest.raises(ValueError, match="is saved with another delay"):
        plastic.train(settings(batch=4, delay=3), 1, seeds=["7"])
    rows = derived.measure()
    assert rows.network.tolist() == ["copying_hebbian-07"]
    assert derived.networks().score[0] == pytest.approx(trained.record["scores"]["score"], rel=1e-5)


def test_nothing_saved_is_said(roots):
    with pytest.raises(ValueError, match="wm train plastic.copying_hebbian"):
        derived.measure()


def test_a_record_of_another_version_is_refused(roots):
    done = plastic.train(settings(batch=4), 1)
    network = store.load_network("plastic", done.names[0])
    record = network.record | {"config": {"family": "copying_hebbian"}}
    store.save_network(replace(network, record=record))
    with pytest.raises(store.WrongSchema, match="train it again"):
        plastic.load(done.names[0])


def test_an_interrupted_training_goes_on_bit_for_bit(tmp_path):
    from wm.train import run

    config = settings("published_copying_hebbian", batch=1)
    whole = plastic.PlasticLearner(config, ["0", "1"])
    for _ in range(4):
        whole.update()
    for stop in (2, 4):
        part = plastic.PlasticLearner(config, ["0", "1"])
        for _ in run(part, stop, checkpoint=tmp_path):
            pass
    assert torch.equal(whole.flat, part.flat)


# ---------------------------------------------------------------- experiments


def test_cells_of_an_ensemble_can_be_trained_together():
    for name in experiments.EXPERIMENTS:
        wanted = experiments.cells(name)
        groups = experiments.ensembles(wanted)
        assert sorted(map(id, wanted)) == sorted(id(cell) for group in groups for cell in group)
        places = [(cell.config.family, cell.variant) for cell in wanted]
        assert len(set(places)) == len(places)


def test_published_networks_are_scored_after_the_published_number_of_updates():
    for task, updates in (("copying", 100), ("cue_reward", 400), ("regression", 750)):
        cell = next(
            cell
            for cell in experiments.cells("performance")
            if cell.config.family == f"published_{task}_none"
        )
        assert updates in experiments.scored_at(cell.config) and cell.config.updates == 10_000
    assert experiments.scored_at(plastic.config("copying_none")) == ()


@pytest.fixture
def tiny(monkeypatch):
    cells = [
        experiments.Cell("tiny", "usual", settings(batch=4)),
        experiments.Cell("tiny", "delay 5", settings(batch=4, delay=5)),
        experiments.Cell("tiny", "usual", settings("published_copying_none", batch=1)),
    ]
    monkeypatch.setitem(
        experiments.EXPERIMENTS, "tiny", lambda: [(cell.variant, cell.config) for cell in cells]
    )
    monkeypatch.setattr(measures, "SEEDS", ("0", "1"))
    monkeypatch.setattr(measures, "scored_at", lambda config: (2,))


def test_an_experiment_keeps_scores_curves_and_means_by_time(tiny, roots):
    rows = measures.measure("tiny")
    assert rows.groupby(["family", "variant"]).size().tolist() == [4, 4, 4]  # two seeds, two times
    final = measures.table("tiny")
    assert (final.updates == 4).all() and len(final) == 6 and not final.diverged.any()
    curves = measures.curves("tiny")
    assert curves.variants["copying_hebbian"] == ["usual", "delay 5"]
    assert curves.values["copying_hebbian"].shape == (2, 2, len(measures.METRICS), 4)
    assert curves.steps["copying_hebbian"] == [1, 2, 3, 4]
    found = measures.by_time("tiny")
    values = found.values["copying_hebbian"]
    assert values.shape == (2, 2, len(measures.BY_TIME), 10)
    assert np.isnan(values[0, :, :, 7:]).all() and np.isfinite(values[1]).all()
    rate = values[0, :, found.metrics.index("rate"), :7].mean(axis=1)
    own = final[(final.family == "copying_hebbian") & (final.variant == "usual")]
    assert own.rate.to_numpy() == pytest.approx(rate, rel=1e-4)
    one = measures.first(curves, 1)
    assert one.values["copying_hebbian"].shape == (2, 1, len(measures.METRICS), 4)
    assert set(measures.first(final, 1).seed) == {0} and measures.first(final, 6).equals(final)


def test_an_experiment_of_some_families_leaves_the_others_alone(tiny, roots):
    measures.measure("tiny")
    first = measures.table("tiny", final=False)
    measures.measure("tiny", ["published_copying_none"])
    assert measures.table("tiny", final=False).equals(first)


def test_wrong_experiments_and_families_are_refused():
    with pytest.raises(ValueError, match="unknown experiment 'speed'"):
        experiments.cells("speed")
    with pytest.raises(ValueError, match="recurrent has no 'copying_none' networks"):
        measures.measure("recurrent", ["copying_none"])


def test_what_a_captured_graph_may_leave_is_looked_at():
    config = settings(max_norm=100.0, delay=20, items=5, queries=5, symbols=10, alpha_start="ones", batch=2)
    for each, enough in ((config, False), (settings(batch=2), True)):
        learner = plastic.PlasticLearner(each, ["0"], window=64)
        learner.update()
        assert learner._settles() is enough


def test_retraining_all_trains_what_is_shipped(roots, monkeypatch):
    from wm.cli import main

    trained, done = [], small_networks()
    monkeypatch.setattr(plastic, "train", lambda config, *_, **__: trained.append(config.family) or done)
    assert main(["train", "plastic", "--all"]) == 0
    assert trained == [name for name, family in plastic.FAMILIES.items() if family.shipped]
    assert main(["train", "plastic.delta_net_copying"]) == 0


def test_recurrent_copying_counts_recall_alone():
    assert plastic.config("rnn_copying_continuous_none").loss == "answers"
    assert plastic.config("rnn_regression_noisy_none").loss == "all"
