"""Batches, learner, scores and saved networks of the symbolic system."""

from dataclasses import replace

import numpy as np
import pytest
import torch

from wm import store, symbolic
from wm.symbolic import derived, lorenz
from wm.symbolic.batches import Batches
from wm.symbolic.campaign import measured_scores
from wm.symbolic.learner import SymbolicLearner, frozen
from wm.symbolic.task import Windows
from wm.train import run

SMALL = {"heads": 2, "d_model": 8, "updates": 6, "batch": 32}


def settings(family="cycle", **changes):
    return symbolic.config(family, **(SMALL | changes))


class Exact(symbolic.Hooked):
    """The best predictor there is, as a model."""

    def __init__(self, cycle):
        super().__init__()
        self.cycle = cycle
        self.name_hooks()

    def forward(self, tokens):
        return torch.as_tensor(self.cycle.predictive(tokens.numpy())).log()


def effective(parameters):
    """Without the biases of keys: they change nothing, so that their gradient is rounding error."""
    return [(name, value) for name, value in parameters if not name.endswith("b_K")]


# ---------------------------------------------------------------- batches


def test_counted_windows_are_a_multinomial_batch_of_each_seed():
    batches = Batches(settings(), ["0", "1"])
    tokens, weights = batches.at(7)
    windows = symbolic.Cycle().windows(11)
    assert tokens.tolist() == windows.tokens.tolist()
    counts = weights.numpy() * 32
    assert counts == pytest.approx(np.rint(counts)) and counts.sum(axis=1) == pytest.approx([32, 32])
    assert not np.array_equal(counts[0], counts[1])
    many = np.mean([batches.at(step).weights.numpy() for step in range(600)], axis=0)
    assert many == pytest.approx(np.broadcast_to(windows.probability, many.shape), abs=0.01)


@pytest.mark.parametrize("count", [True, False])
def test_a_batch_depends_on_its_seed_and_step_alone(count):
    alone, others = (
        Batches(settings(), ["3"], count=count),
        Batches(settings(), ["0", "3"], count=count),
    )
    for step in (150, 2):
        one, both = alone.at(step), others.at(step)
        assert torch.equal(one.weights[0], both.weights[1])
        if not count:
            assert torch.equal(one.tokens[0], both.tokens[1]) and not torch.equal(
                both.tokens[0], both.tokens[1]
            )


def test_drawn_batches_are_windows_of_the_process():
    batches = Batches(settings("jitter", batch=16), ["0"])  # 48 windows: drawing 16 is less work
    tokens, weights = batches.at(0)
    assert tokens.shape == (1, 16, 11) and torch.equal(weights, torch.full((1, 16), 1 / 16))
    assert symbolic.Cycle(3, (5, 6, 7)).legal(tokens[0].numpy()).all()
    assert batches.probability is None


def test_a_batch_of_0_is_all_windows_with_their_probabilities():
    batches, windows = (
        Batches(settings("jitter", batch=0), ["0", "1"]),
        symbolic.Cycle(3, (5, 6, 7)).windows(11),
    )
    for step in (0, 170):
        tokens, weights = batches.at(step)
        assert tokens.tolist() == windows.tokens.tolist()
        assert weights.numpy() == pytest.approx(np.stack([windows.probability] * 2), rel=1e-6)


def test_what_cannot_be_counted_is_refused():
    with pytest.raises(ValueError, match="too many windows to count"):
        Batches(settings("scrambled", batch=0), ["0"])
    with pytest.raises(ValueError, match="too many windows to count"):
        Batches(settings("scrambled"), ["0"], count=True)


# ---------------------------------------------------------------- learner


@pytest.mark.parametrize("family", ["cycle", "gru", "mlp"])
def test_gradient_of_counted_windows_is_that_of_the_batch_itself(family):
    config = settings(family)
    learner = SymbolicLearner(config, ["0", "1"])
    tokens, weights = learner.batches.at(0)
    losses = learner.update()["loss"]
    for k, seed in enumerate(learner.seeds):  # one network, the batch written out, plain autograd
        model = symbolic.untrained(config, seed).requires_grad_(True)
        drawn = tokens.repeat_interleave((weights[k] * config.batch).round().long(), dim=0)
        logits = model(drawn[:, :-1])
        loss = torch.nn.functional.cross_entropy(logits.flatten(0, 1), drawn[:, 1:].flatten())
        loss.backward()
        assert losses[k].item() == pytest.approx(loss.item(), rel=1e-5)
        for name, value in model.named_parameters():
            got = learner.parameters[name].grad[k]
            assert got == pytest.approx(value.grad, rel=1e-3, abs=1e-6), name


def test_optimizer_is_adamw_with_a_decaying_rate():
    config = settings(updates=8, decay=0.5, learning_rate=0.01, weight_decay=0.1)
    learner, model = SymbolicLearner(config, ["0"]), symbolic.untrained(config, "0").requires_grad_(True)
    plain = torch.optim.AdamW(model.parameters(), weight_decay=0.1)
    for step in range(8):
        tokens, weights = learner.batches.at(step)
        plain.param_groups[0]["lr"] = 0.01 * (1 if step <= 4 else (8 - step) / 4)
        logits = model(tokens[:, :-1])
        costs = torch.nn.functional.cross_entropy(logits.mT, tokens[:, 1:], reduction="none").mean(dim=1)
        plain.zero_grad()
        (costs @ weights[0]).backward()
        plain.step()
        learner.update()
    for name, value in effective(model.named_parameters()):
        assert learner.parameters[name][0].detach() == pytest.approx(value.detach(), rel=1e-3, abs=1e-5), name


def test_expected_metrics_are_scores_on_all_windows():
    config = settings()
    learner = SymbolicLearner(config, ["4"])
    metrics = learner.update()
    found = symbolic.score(symbolic.untrained(config, "4"), symbolic.test_windows(config))
    assert metrics["expected_loss"].item() == pytest.approx(found.loss, rel=1e-5)
    assert metrics["expected_accuracy"].item() == pytest.approx(found.accuracy, rel=1e-5)


def test_network_does_not_depend_on_its_company():
    alone, others = SymbolicLearner(settings(), ["1"]), SymbolicLearner(settings(), ["0", "1"])
    for _ in range(5):
        alone.update(), others.update()
    for name, value in effective(alone.parameters.items()):
        assert value[0].detach() == pytest.approx(others.parameters[name][1].detach(), rel=1e-4, abs=1e-5), (
            name
        )


def test_training_goes_on_bit_for_bit(tmp_path):
    whole = SymbolicLearner(settings(), ["0"])
    for _ in run(whole, 6):
        pass
    for step in run(SymbolicLearner(settings(), ["0"]), 6, checkpoint=tmp_path, checkpoint_every=2):
        if step.step == 4:
            break
    again = SymbolicLearner(settings(), ["0"])
    for _ in run(again, 6, checkpoint=tmp_path):
        pass
    assert all(torch.equal(value, again.parameters[name]) for name, value in whole.parameters.items())


def test_learning_comes_close_to_the_floor():
    config = symbolic.config("mlp", holding=(2,), context=4, d_model=16, updates=600, learning_rate=3e-3)
    (trained,) = symbolic.train(config, 1, save=False).networks
    scores = trained.record["scores"]
    assert scores["floor"] == pytest.approx(np.log(2) / 4, rel=1e-5)
    assert scores["floor"] <= scores["loss"] < scores["floor"] + 0.01
    assert scores["accuracy"] == pytest.approx(scores["ceiling"]) and scores["last_accuracy"] == 1


# ---------------------------------------------------------------- scores


@pytest.mark.parametrize("holding", [(6,), (5, 6, 7)])
def test_the_best_predictor_has_the_loss_of_the_floor(holding):
    cycle = symbolic.Cycle(3, holding)
    windows, model = cycle.windows(11), Exact(cycle)
    found = symbolic.score(model, windows)
    assert found.loss == pytest.approx(cycle.floor(10)) and found.accuracy == pytest.approx(cycle.ceiling(10))
    assert found.loss_by_place == pytest.approx(cycle.entropies(10))
    assert symbolic.divergence(model, cycle, windows) == pytest.approx(0, abs=1e-12)


def test_divergence_is_what_the_loss_has_above_the_floor():
    config = settings()
    model, windows = symbolic.untrained(config, "0"), symbolic.test_windows(config)
    above = symbolic.score(model, windows).loss - config.cycle().floor(10)
    assert symbolic.divergence(model, config.cycle(), windows) == pytest.approx(above)


def test_drawn_test_windows_are_used_where_there_are_too_many():
    windows = symbolic.test_windows(settings(holding=(1, 2, 3, 4), context=16))
    assert windows.tokens.shape == (4096, 17) and windows.probability.sum() == pytest.approx(1)
    tokens = symbolic.test_windows(symbolic.config("lorenz", context=5)).tokens
    assert tokens.shape == (4096, 6) and set(np.unique(tokens)) == {0, 1, 2}


@pytest.mark.parametrize("part", ["train", "test"])
def test_lorenz_windows_are_cut_out_of_their_part_of_the_recording(monkeypatch, part):
    monkeypatch.setattr(lorenz, "RECORDED", {"train": 300, "test": 100})
    source, string = symbolic.config("lorenz").source(part), lorenz.recording(part)
    tokens = source.sample(2000, 8, np.random.default_rng(0))
    places = {tuple(string[start : start + 8]) for start in range(len(string) - 7)}
    assert {*map(tuple, tokens)} == places  # the first and the last one, too


def test_frozen_models_answer_and_do_not_learn():
    config = settings("cycle")
    weights = {name: value + 1 for name, value in symbolic.untrained(config, "0").state_dict().items()}
    model = frozen(config, weights)
    assert not model.training and not any(value.requires_grad for value in model.parameters())
    assert all((value == weights[name]).all() for name, value in model.state_dict().items())
    with pytest.raises(RuntimeError, match="size mismatch"):
        frozen(settings("cycle", d_model=16), weights)


def test_scores_of_lorenz_networks_have_no_floor():
    config = symbolic.config("lorenz", context=4)
    trained = symbolic.Trained("lorenz-00", "0", config, symbolic.untrained(config, "0"), {})
    assert set(measured_scores(trained, Windows(np.zeros((1, 5), int), np.ones(1)))) == {
        "loss", "accuracy", "last_loss", "last_accuracy",
    }  # fmt: skip


# ---------------------------------------------------------------- saved networks


def test_train_saves_networks_that_load_as_they_were_scored(tmp_path, monkeypatch):
    monkeypatch.setenv("WM_DATA", str(tmp_path))
    config = settings("jitter", batch=64)
    done = symbolic.train(config, seeds=["a", "7"])
    assert done.names == ["jitter-0a", "jitter-07"] == sorted(symbolic.names("jitter"), reverse=True)
    trained = symbolic.load("jitter-07")
    assert trained.config == config and trained.seed == "7"
    assert trained.record["command"].startswith("wm train symbolic.jitter --seeds 7 --heads 2 --d-model 8")
    again = measured_scores(trained, symbolic.test_windows(config))
    assert again == trained.record["scores"]
    assert set(store.load_network("symbolic", "jitter-07").history) >= {"step", "loss", "expected_loss"}
    assert [each.name for each in symbolic.load_family("jitter")] == ["jitter-07", "jitter-0a"]
    with pytest.raises(ValueError, match="another updates"):
        symbolic.train(replace(config, updates=5), seeds=["7"])


def test_commands_of_records_give_the_settings_back(tmp_path, monkeypatch):
    monkeypatch.setenv("WM_DATA", str(tmp_path))
    config = settings("jitter", holding=(2, 3), tied=False, norm=True)
    record = symbolic.train(config, 1, save=False).records[0]
    from wm.cli import main

    assert main(record["command"].split()[1:]) == 0
    assert symbolic.load("jitter-00").config == config


def test_a_record_of_another_kind_is_refused(tmp_path, monkeypatch):
    monkeypatch.setenv("WM_DATA", str(tmp_path))
    store.save_network(store.Network("symbolic", "odd", {"config": {"family": "cycle"}, "seed": "0"}, {}, {}))
    with pytest.raises(store.WrongSchema, match="no symbolic network of this version"):
        symbolic.load("odd")
    with pytest.raises(store.UnknownNetwork):
        symbolic.load_family("cycle")


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"model": "lstm"}, "unknown model"), ({"process": "walk"}, "unknown process"),
        ({"context": 0}, "context must be a whole number"), ({"updates": -1}, "updates must be 0 or more"),
        ({"batch": -1}, "batch must be 0 or more"), ({"decay": 2}, "decay must be from 0 to 1, got 2"),
        ({"holding": ()}, "holding times must"), ({"symbols": 1}, "two symbols"),
    ],
)  # fmt: skip
def test_wrong_settings_are_refused(changes, message):
    with pytest.raises(ValueError, match=message):
        symbolic.config("cycle", **changes)


def test_families_and_their_processes():
    with pytest.raises(ValueError, match="unknown family 'circle'.*cycle"):
        symbolic.config("circle")
    with pytest.raises(ValueError, match="there is no cycle"):
        symbolic.config("lorenz").cycle()
    assert symbolic.family_name("SimpleTransformer") == "cycle"


def test_shipped_table_has_the_scores_of_every_shipped_network():
    rows = derived.networks().set_index("network")
    shipped = {name: store.load_network("symbolic", name).record["scores"] for name in symbolic.names()}
    assert set(rows.index) >= set(shipped)
    counts = rows.groupby("family").size().to_dict()
    assert counts == {name: each.shipped for name, each in symbolic.FAMILIES.items()}
    for name, scores in shipped.items():
        assert rows.loc[name, list(scores)].to_dict() == pytest.approx(scores), name
    losses = rows[rows.family == "cycle"].loss
    assert len(losses) == symbolic.FAMILIES["cycle"].shipped and losses.max() <= 0.1795  # floor: 0.17918
