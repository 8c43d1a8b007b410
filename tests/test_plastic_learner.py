"""Training of plastic networks: the learner against plain loops, alone and in company; its batches."""

from dataclasses import replace

import numpy as np
import pytest
import torch
import torch.nn.functional as F

from benchmarks import plain_plastic
from wm import plastic
from wm.plastic.batches import BLOCK, Batches, counted
from wm.plastic.learner import costs
from wm.train import run

SMALL = {
    "width": 6, "feedforward": 8, "heads": 2, "layers": 1, "auxiliary": 2, "items": 2, "delay": 3,
    "queries": 2, "symbols": 5, "dropout": 0.0, "batch": 3, "updates": 8, "decay": 0.5, "learning_rate": 0.01,
}  # fmt: skip


def settings(preset="sound", rule="hebbian", **changes):
    return plastic.config("copying_none", **(plastic.PRESETS[preset] | SMALL | {"rule": rule} | changes))


def learner(configs, seeds, **options):
    return plastic.PlasticLearner(configs, seeds, **({"dtype": torch.float64} | options))


def close(found, expected):
    torch.testing.assert_close(found, expected, rtol=1e-10, atol=1e-10)


def single(learner, k=0):
    """Weights of one network."""
    return {name: value[k].detach().clone() for name, value in learner.weights().items()}


# ---------------------------------------------------------------- against plain loops


@pytest.mark.parametrize(
    ("preset", "rule", "changes"),
    [
        ("sound", "none", {}), ("sound", "none", {"loss": "all", "weight_decay": 0.3, "decay": 0.0}),
        ("sound", "hebbian", {"weight_decay": 0.1}), ("sound", "gradient", {"clip_norm": 0.02}),
        ("published", "hebbian", {}), ("published", "gradient", {"clip_norm": 0.1}),
        ("sound", "hebbian", {"task": "regression", "dimension": 2, "clip_norm": 0.0}),
    ],
)  # fmt: skip
def test_an_update_is_that_of_a_plain_loop(preset, rule, changes):
    """Sequence by sequence, with the gradient clip and AdamW of torch."""
    config = settings(preset, rule, **changes)
    ours = learner(config, ["0", "1"])
    models = [plain_plastic.plain(config, single(ours, k)) for k in range(2)]
    plain = [torch.optim.AdamW(m.parameters(), weight_decay=config.weight_decay) for m in models]
    for step in range(6):
        inputs, targets = Batches([config] * 2, ours.seeds).at(step)
        metrics = ours.update()
        for k, (model, optimizer) in enumerate(zip(models, plain, strict=True)):
            traces = [model(sequence) for sequence in inputs[k]]
            answers = torch.stack([trace.answers for trace in traces])
            cost, right = plain_costs(config, answers, targets[k])
            loss = (
                cost[:, plastic.make_task(config).queries].mean() if config.loss == "answers" else cost.mean()
            )
            optimizer.zero_grad()
            (loss * cost.shape[1] if config.summed else loss).backward()
            norm = torch.nn.utils.clip_grad_norm_(model.parameters(), config.clip_norm or torch.inf)
            left = (8 - step) / 8 / config.decay if config.decay else 1
            optimizer.param_groups[0]["lr"] = 0.01 * min(1, left)
            optimizer.step()
            expected = {
                "loss": loss, "gradient_norm": norm, "score": right.mean(), "diverged": torch.tensor(0.0),
                "rate": mean(traces, "rate"), "update_norm": mean(traces, "norm"),
            }  # fmt: skip
            for name, value in expected.items():
                close(metrics[name][k].double(), value.detach().double())
    for k, model in enumerate(models):
        found = single(ours, k)
        for name, parameter in model.named_parameters():
            expected, own = parameter.detach(), found[plain_plastic._renamed(name)]
            if "in_proj_bias" in name:  # biases of keys change nothing: their gradient is rounding error
                own[6:12] = expected[6:12]
            close(own, expected)


def plain_costs(config, answers, targets):
    """Costs (trial, time), and scores of the answers that are asked for."""
    queries = plastic.make_task(config).queries
    if config.task == "copying":
        cost = -answers.log_softmax(-1).gather(-1, targets[..., None].long())[..., 0]
        return cost, (answers.argmax(-1) == targets).double()[:, queries]
    cost = (answers[..., 0] - targets) ** 2
    return cost, cost[:, queries]


def mean(traces, name):
    return torch.stack([getattr(trace, name) for trace in traces]).mean()


def test_costs_are_those_of_torch():
    answers, targets = torch.randn(2, 3, 8, 5), torch.randint(5, (2, 3, 8))
    cost, right = costs(settings(), answers, targets)
    expected = F.cross_entropy(answers.movedim(-1, 1), targets, reduction="none")
    torch.testing.assert_close(cost, expected)
    assert torch.equal(right, (answers.argmax(-1) == targets).float())
    numbers = settings(task="regression")
    cost, right = costs(numbers, answers[..., :1], targets.float())
    torch.testing.assert_close(cost, F.mse_loss(answers[..., 0], targets.float(), reduction="none"))
    assert torch.equal(cost, right)


def test_learning_rate_is_constant_and_then_falls_to_0():
    for decay, expected in (
        (0.5, [1, 1, 1, 1, 1, 0.75, 0.5, 0.25]),
        (0.0, [1] * 8),
        (1.0, [1 - k / 8 for k in range(8)]),
    ):
        ours, found = learner(settings(decay=decay), ["0"]), []
        for _ in range(8):
            ours.update()
            found.append(ours.optimizer.param_groups[0]["lr"] / 0.01)
        assert found == pytest.approx(expected)


# ---------------------------------------------------------------- company


@pytest.mark.parametrize(
    ("preset", "rule"), [("sound", "hebbian"), ("sound", "gradient"), ("published", "gradient")]
)
def test_networks_of_different_settings_train_as_they_do_alone(preset, rule):
    first = settings(preset, rule)
    configs = [
        first, replace(first, delay=0), replace(first, delay=6, eta0=0.1),
        replace(first, items=3, max_norm=0.1), replace(first, modulated=False),
        replace(first, alpha_start="ones" if preset == "sound" else "fixed"),
    ]  # fmt: skip
    seeds = [str(k) for k in range(len(configs))]
    together = learner(configs, seeds)
    alone = [learner(config, [seed]) for config, seed in zip(configs, seeds, strict=True)]
    for _ in range(5):
        metrics, expected = together.update(), [each.update() for each in alone]
        for k, own in enumerate(expected):
            for name in set(metrics) - {"residual"}:
                close(metrics[name][k], own[name][0])
    for k, each in enumerate(alone):
        found, own = single(together, k), single(each)
        if preset == "sound":
            length = plastic.make_task(configs[k]).length
            drawn = together.layout.views(plastic.initial(configs[2], seeds[k])[None])["positions"][0]
            assert torch.equal(found["positions"][length:], drawn[length:].double())  # not used
            found["positions"] = found["positions"][:length]
        close(found, own)
    assert together.batches.length == 11 and together.config == configs[2]


@pytest.mark.parametrize("dtype", [torch.float32, torch.float64])
def test_a_network_does_not_depend_on_its_company(dtype):
    config = settings("published", dropout=0.2)
    alone, others = learner(config, ["7"], dtype=dtype), learner(config, ["0", "7"], dtype=dtype)
    for _ in range(4):
        own, both = alone.update(), others.update()
        assert both["loss"][0] != both["loss"][1]
        torch.testing.assert_close(own["loss"][0], both["loss"][1])
    torch.testing.assert_close(single(alone), single(others, 1), rtol=1e-4, atol=1e-5)


def test_dropout_drops_other_units_each_time_and_scores_differ_from_those_without():
    with_dropout, without = (learner(settings(dropout=share), ["0"]) for share in (0.5, 0.0))
    first = [each.update()["loss"].item() for each in (with_dropout, without)]
    assert first[0] != first[1]
    drawn = with_dropout._drawn.clone()
    with_dropout.update()
    assert not torch.equal(drawn, with_dropout._drawn)


@pytest.mark.parametrize(
    "changes",
    [{"width": 8}, {"rule": "gradient"}, {"learning_rate": 0.1}, {"loss": "all"}, {"symbols": 6, "batch": 2}],
    ids=str,
)
def test_networks_that_differ_in_more_cannot_be_trained_together(changes):
    with pytest.raises(ValueError, match=f"differ in .*{[*changes][-1]}.* cannot be trained together"):
        learner([settings(), replace(settings(), **changes)], ["0", "1"])


# ---------------------------------------------------------------- going on


@pytest.mark.parametrize("rule", ["hebbian", "gradient"])
def test_training_goes_on_bit_for_bit(tmp_path, rule):
    config = settings("published", rule, dropout=0.2)
    whole = learner(config, ["0", "1"], dtype=torch.float32)
    for _ in run(whole, 6):
        pass
    for step in run(
        learner(config, ["0", "1"], dtype=torch.float32), 6, checkpoint=tmp_path, checkpoint_every=2
    ):
        if step.step == 4:
            break
    again = learner(config, ["0", "1"], dtype=torch.float32)
    assert [step.step for step in run(again, 6, checkpoint=tmp_path)] == [5, 6]
    assert torch.equal(again.flat, whole.flat)
    assert_same_state(again.state_dict(), whole.state_dict())


def test_a_state_is_a_copy_and_can_be_gone_back_to():
    ours = learner(settings(), ["0", "1"])
    start = ours.state_dict()
    ours.update(), ours.update()
    middle = ours.state_dict()
    losses = [ours.update()["loss"] for _ in range(3)]
    end = ours.state_dict()
    for state, count in ((middle, 3), (start, 5)):
        ours.load_state_dict(state)
        assert ours.step == state["step"]
        again = [ours.update()["loss"] for _ in range(count)]
        assert torch.equal(torch.stack(again[-3:]), torch.stack(losses))
        assert_same_state(ours.state_dict(), end)


def assert_same_state(found, expected):
    assert found.keys() == expected.keys() and found["step"] == expected["step"]
    for name in ("parameters", "alive", "last"):
        assert torch.equal(found[name], expected[name])
    assert found["moments"].keys() == expected["moments"].keys() >= {"step", "exp_avg", "exp_avg_sq"}
    assert all(torch.equal(value, expected["moments"][name]) for name, value in found["moments"].items())


# ---------------------------------------------------------------- divergence


@pytest.mark.parametrize(
    ("preset", "rule"), [("sound", "hebbian"), ("published", "hebbian"), ("published", "gradient")]
)
def test_a_network_that_diverges_stays_as_it_was_while_others_go_on(preset, rule):
    config = settings(preset, rule)
    ours, alone = learner(config, ["0", "1", "2"]), learner(config, ["2"])
    before = ours.update()
    alone.update()
    with torch.no_grad():
        ours.weights()["head.bias"][1, 0] = torch.nan
    frozen = ours.flat[1].detach().clone()
    for _ in range(3):
        metrics, expected = ours.update(), alone.update()
        assert metrics["diverged"].tolist() == [0, 1, 0]
        assert all(value.isfinite().all() for value in metrics.values())
        assert metrics["loss"][1] == before["loss"][1], "the last one that was finite"
        assert metrics["gradient_norm"][1] == metrics["score"][1] == metrics["rate"][1] == 0
        close(metrics["loss"][2], expected["loss"][0])
    torch.testing.assert_close(ours.flat[1].detach(), frozen, rtol=0, atol=0, equal_nan=True)
    close(single(ours, 2), single(alone))
    restored = learner(config, ["0", "1", "2"])
    restored.load_state_dict(ours.state_dict())
    assert restored.alive.tolist() == [True, False, True]


def test_a_loss_too_large_for_numbers_is_no_error_in_training():
    ours = learner(settings(), ["0", "1"], dtype=torch.float32)
    with torch.no_grad():
        ours.weights()["head.weight"][0] *= 1e38
    history = [step.values["diverged"].tolist() for step in run(ours, 2)]
    assert history == [[1, 0], [1, 0]]


# ---------------------------------------------------------------- batches


def test_a_batch_depends_on_its_seed_task_and_step_alone():
    first, other = settings(), settings(delay=6)
    alone, both = Batches([first], ["3"]), Batches([other, first], ["0", "3"])
    for step in (2 * BLOCK + 1, 2):
        one, two = alone.at(step), both.at(step)
        length = plastic.make_task(first).length
        for part, together in zip(one, two, strict=True):
            assert torch.equal(part[0], together[1, :, :length]) and (together[1, :, length:] == 0).all()
        assert two.inputs.shape == (2, 3, 11)
    assert not torch.equal(alone.at(0).inputs, alone.at(1).inputs)
    assert not torch.equal(alone.at(0).inputs, alone.at(BLOCK).inputs)
    assert torch.equal(alone.at(0).inputs, Batches([first], ["3"]).at(0).inputs)


def test_batches_of_numbers_are_filled_up_in_time():
    first = settings(task="regression", dimension=2)
    batch = Batches([first, replace(first, items=4)], ["0", "1"]).at(0)
    assert batch.inputs.shape == (2, 3, 6, 4) and batch.targets.shape == (2, 3, 6)
    assert (batch.inputs[0, :, 4:] == 0).all() and (batch.inputs[1, :, 4:] != 0).any()


def test_tokens_that_count_are_those_of_the_own_task():
    configs = [settings(), settings(delay=6)]
    answers, own = (counted(configs, answers=which) for which in (True, False))
    assert answers.tolist() == [[0] * 6 + [1, 1, 0, 0, 0], [0] * 9 + [1, 1]]
    assert own.tolist() == [[1] * 8 + [0] * 3, [1] * 11] and own.dtype == np.float32


@pytest.mark.parametrize("rule", ["hebbian", "gradient"])
def test_learning_does_not_depend_on_how_many_tokens_are_computed_at_once(rule):
    one, many = (learner(settings(rule=rule), ["0", "1"], window=window) for window in (1, 64))
    for _ in range(3):
        found, other = one.update(), many.update()
        close(found["loss"], other["loss"])
        assert other["residual"].max() <= 1e-12 and found["residual"].max() == 0
    torch.testing.assert_close(one.flat, many.flat, rtol=0, atol=1e-8)


@pytest.mark.parametrize("rule", ["hebbian", "gradient"])
@pytest.mark.parametrize("window", [1, 3, 8])
def test_a_number_of_sweeps_never_looks_at_a_number_as_a_captured_graph_cannot(rule, window):
    trained = learner(plastic.config(f"regression_{rule}", batch=2, items=4, queries=4), ["0"])
    inputs = trained.batches.at(0).inputs.double()
    with torch.autograd.profiler.profile() as seen:
        trace = plastic.run(trained.config, trained.weights(), inputs, trained.knobs, window=window, sweeps=8)
        torch.autograd.grad(trace.answers.sum() + trace.rates.rate.sum(), trained.flat)
    assert "aten::item" not in {event.name for event in seen.function_events}
