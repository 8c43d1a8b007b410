"""The engine of plastic networks against a plain reference, its parallel form against its sequential one."""

from dataclasses import replace
from functools import partial
from typing import NamedTuple

import pytest
import torch
from torch import Tensor, nn

from benchmarks import plain_plastic
from wm import plastic
from wm.plastic import fixed_point, memory
from wm.train import numpy_generator

SMALL = {
    "width": 6, "feedforward": 8, "heads": 2, "layers": 2, "auxiliary": 3, "items": 3, "delay": 3,
    "queries": 3, "symbols": 6, "dropout": 0.0,
}  # fmt: skip
LONG = {"items": 5, "delay": 20, "symbols": 10}  # 31 tokens
RULES = [*plastic.RULES]
PLASTIC = [rule for rule in RULES if rule != "none"]
close = partial(torch.testing.assert_close, rtol=1e-10, atol=1e-10)


def near(found, expected):
    """Equal but for rounding, whose size is that of the largest element."""
    torch.testing.assert_close(found, expected, rtol=0, atol=1e-10 * (1 + expected.abs().max().item()))


class Case(NamedTuple):
    """An ensemble and its sequences, in float64."""

    flat: Tensor
    weights: dict[str, Tensor]
    inputs: Tensor


def settings(preset="sound", rule="hebbian", **changes):
    return plastic.config("copying_none", **(plastic.PRESETS[preset] | SMALL | {"rule": rule} | changes))


def case(config, networks=2, trials=2):
    flat = torch.stack([plastic.initial(config, str(k)) for k in range(networks)]).double().requires_grad_()
    task = plastic.make_task(config)
    drawn = [task.sample(trials, numpy_generator(k, "engine")).inputs for k in range(networks)]
    return Case(
        flat, plastic.layout(config).views(flat), torch.stack([torch.as_tensor(each) for each in drawn])
    )


def cost(answers):
    """Any smooth function in which all answers (..., time, output) count, and each otherwise."""
    weights = torch.linspace(1, 2, answers.shape[-2] * answers.shape[-1], dtype=answers.dtype)
    return (answers * weights.view(answers.shape[-2:])).sin().sum()


def ran(config, own, **options):
    """Trace of an ensemble, and the gradients of its cost by name."""
    trace = plastic.run(config, own.weights, own.inputs, plastic.knobs([config], own.flat), **options)
    (gradient,) = torch.autograd.grad(cost(trace.answers), own.flat)
    return trace, plastic.layout(config).views(gradient)


def reference(config, own, network):
    """Traces of the plain reference, one for each sequence, and the gradients of the sum of their costs."""
    model = plain_plastic.plain(config, {name: each[network].detach() for name, each in own.weights.items()})
    model.train(bool(config.dropout))
    traces = [model(sequence) for sequence in own.inputs[network]]
    sum(cost(trace.answers) for trace in traces).backward()
    return traces, model.gradients()


def agrees(config, **options):
    """Run the engine and the plain reference; they say the same. Returns the engine's trace."""
    own = case(config)
    trace, gradients = ran(config, own, **options)
    for network in range(len(own.flat)):
        traces, expected = reference(config, own, network)
        for trial, plain in enumerate(traces):
            close(trace.answers[network, trial], plain.answers)
            for name in ("rate", "decay", "logit", "norm"):
                close(getattr(trace.rates, name)[network, trial], getattr(plain, name), msg=name)
        assert set(expected) == set(gradients)
        for name, value in expected.items():
            close(gradients[name][network], value, msg=lambda said, name=name: f"{name}: {said}")
    return trace


def same(first, second):
    """Two results of `ran` agree."""
    close(first[0].answers, second[0].answers)
    for name in ("rate", "decay", "logit", "norm", "ratio"):
        close(getattr(first[0].rates, name), getattr(second[0].rates, name), msg=name)
    for name, value in second[1].items():
        near(first[1][name], value)


def strength(monkeypatch, alpha):
    """Set the learning rate of synapses that is not learned."""
    monkeypatch.setattr(memory, "ALPHA_FIXED", alpha)
    monkeypatch.setattr(plain_plastic, "FIXED", alpha)


# ---------------------------------------------------------------- against the plain reference


@pytest.mark.parametrize("rule", RULES)
def test_published_networks_do_what_the_plain_reference_does(rule):
    agrees(settings("published", rule), window=1 if rule != "none" else None)


@pytest.mark.parametrize("alpha", ["scalar", "low_rank", "full"])
@pytest.mark.parametrize("rule", RULES)
def test_sound_networks_do_what_the_plain_reference_does(rule, alpha):
    agrees(settings("sound", rule, alpha=alpha))


@pytest.mark.parametrize(
    "changes",
    [
        {"window": 3}, {"window": 1}, {"modulated": False}, {"max_norm": 0.0}, {"max_norm": 0.1},
        {"eta0": 0.0}, {"auxiliary": 0}, {"positions": False}, {"clip_decay": True}, {"layers": 1},
        {"task": "regression", "dimension": 2},
    ],
    ids=str,
)  # fmt: skip
@pytest.mark.parametrize("rule", ["hebbian", "gradient"])
def test_each_setting_does_what_the_plain_reference_does(rule, changes):
    agrees(settings("sound", rule, **changes))


@pytest.mark.parametrize("preset", ["published", "sound"])
@pytest.mark.parametrize("rule", RULES)
@pytest.mark.parametrize("body", ["rnn", "lstm"])
def test_recurrent_networks_do_what_the_plain_reference_does(body, rule, preset):
    alpha = "scalar" if preset == "published" else "full"
    agrees(settings(preset, rule, body=body, positions=False, alpha=alpha))


@pytest.mark.parametrize("rule", ["hebbian", "gradient"])
def test_recurrent_networks_do_so_with_low_rank_learning_rates(rule):
    agrees(settings("sound", rule, body="lstm", positions=False, alpha="low_rank"))


def test_there_is_no_plain_reference_of_what_has_no_plastic_layers():
    with pytest.raises(ValueError, match="no plain reference of a delta_net"):
        plain_plastic.plain(settings(rule="none", body="delta_net"), {})


# ---------------------------------------------------------------- all tokens at once


@pytest.mark.parametrize("window", [5, 8, None])
@pytest.mark.parametrize("rule", PLASTIC)
def test_windows_do_what_the_plain_reference_does(rule, window):
    trace = agrees(settings("published", rule), window=window)
    assert trace.residual.max() <= 1e-12 and trace.fallbacks == 0 and 2 <= trace.sweeps <= 10


@pytest.mark.parametrize("changes", [{"window": 3}, {"window": 1}, {"task": "regression"}], ids=str)
@pytest.mark.parametrize("size", [2, 4, None])
@pytest.mark.parametrize("rule", ["hebbian", "gradient"])
def test_windows_of_tokens_go_with_windows_of_attention(rule, size, changes):
    agrees(settings("published", rule, **changes), window=size)


@pytest.mark.parametrize("rule", PLASTIC)
def test_long_sequences_are_the_same_in_windows(rule):
    config = settings("published", rule, **LONG)
    own = case(config)
    expected = ran(config, own, window=1)
    assert (expected[0].residual == 0).all() and expected[0].sweeps == 1
    for window in (5, 8, None):
        found = ran(config, own, window=window)
        same(found, expected)
        assert found[0].residual.max() <= 1e-12 and found[0].fallbacks == 0
        assert 2 < found[0].sweeps <= (window or 12) + 1  # one more to see that nothing changes


def test_strong_plasticity_settles_or_is_computed_token_by_token(monkeypatch):
    strength(monkeypatch, 1.0)  # 50 times the published one
    config = settings("published", "gradient", max_norm=0.0, **LONG)
    own = case(config)
    expected = ran(config, own, window=1)
    for window in (5, 8, None):
        found = ran(config, own, window=window)
        same(found, expected)
        assert found[0].sweeps <= (window or 31) + 1 and found[0].residual.max() <= 1e-12
    monkeypatch.setattr(fixed_point, "SWEEPS", 40)
    found = ran(config, own, tolerance=1e-14)
    same(found, expected)


@pytest.mark.parametrize("changes", [{"max_norm": 100.0, "delay": 40}, {"max_norm": 0.0}], ids=str)
def test_plasticity_that_diverges_is_computed_token_by_token(monkeypatch, changes):
    strength(monkeypatch, 0.2)
    config = settings("published", "hebbian", **(LONG | {"width": 8, "feedforward": 12} | changes))
    own = case(config)
    found, expected = ran(config, own, window=64), ran(config, own, window=1)
    assert found[0].fallbacks > 0 and found[0].answers.isfinite().all() and (found[0].residual == 0).all()
    same(found, expected)


@pytest.mark.parametrize("rule", PLASTIC)
def test_a_number_of_sweeps_is_made_without_looking(rule):
    config = settings("published", rule)
    own = case(config)
    expected = ran(config, own, window=1)
    residuals = []
    for sweeps in (1, 2, 3, 10):
        found = ran(config, own, sweeps=sweeps)
        assert found[0].sweeps == sweeps and found[0].fallbacks == 0
        residuals.append(found[0].residual.max().item())
    assert residuals[0] == torch.inf and residuals[1] > residuals[2] > 1e-10
    assert residuals[3] < 1e-12
    same(found, expected)  # 10 tokens are right after 10 sweeps


def test_few_sweeps_are_not_quite_the_sequential_form(monkeypatch):
    strength(monkeypatch, 0.2)
    config = settings("published", "hebbian")
    own = case(config)
    expected, found = ran(config, own, window=1), ran(config, own, sweeps=2)
    assert not torch.allclose(found[0].answers, expected[0].answers, rtol=1e-10, atol=1e-10)
    loose, tight = (ran(config, own, tolerance=each)[0] for each in (1e-2, 1e-12))
    assert loose.sweeps < tight.sweeps and tight.residual.max() <= 1e-12 < loose.residual.max() <= 1e-2


@pytest.mark.parametrize("rule", RULES)
def test_nothing_depends_on_whether_gradients_are_wanted(rule):
    for config in (settings("published", rule), settings("sound", rule)):
        own = case(config)
        expected, _ = ran(config, own)
        with torch.no_grad():
            found = plastic.run(config, own.weights, own.inputs, plastic.knobs([config], own.flat))
        close(found.answers, expected.answers)
        close(tuple(found.rates), tuple(expected.rates))
        held = (found.answers, *found.rates, found.memory.coefficients, *found.memory.values.values())
        assert not any(each.requires_grad for each in held)


# ---------------------------------------------------------------- dropout


def masks(config, networks=2, trials=2, seed=0):
    from wm.plastic import batches

    length = plastic.make_task(config).length
    size = sum(torch.Size(each).numel() for each in batches.dropout_places(config, length).values())
    drawn = torch.rand(networks, trials, size, generator=torch.Generator().manual_seed(seed))
    return batches.dropout_masks(config, length, drawn.double())


class Dealt:
    """Stands for torch's dropout: deals the units of `masks` in the order in which the reference asks."""

    def __init__(self, config, dealt):
        parts = ("pattern", "attended", "first", "second")
        self.places = [f"blocks.{k}.{part}" for k in range(config.layers) for part in parts]
        self.masks, self.window, self.asked = dealt, config.window, 0

    def __call__(self, x, p=0.5, training=True, inplace=False):
        time, place = divmod(self.asked, len(self.places))
        self.asked += 1
        mask = self.masks[self.places[place]][..., time, :]
        return x * (mask[:, None, time + 1 - x.shape[-1] : time + 1] if x.ndim == 3 else mask)


@pytest.mark.parametrize("changes", [{}, {"window": 3}], ids=str)
@pytest.mark.parametrize("preset, rule", [*(("published", rule) for rule in RULES), ("sound", "gradient")])
def test_dropout_drops_where_the_plain_reference_does(monkeypatch, preset, rule, changes):
    config = settings(preset, rule, dropout=0.3, **changes)
    own, drawn = case(config, 1, 1), masks(config, 1, 1)
    windows = (1, 4, None) if preset == "published" and rule != "none" else (None,)
    found = [ran(config, own, masks=drawn, window=window) for window in windows]
    monkeypatch.setattr(
        nn.functional, "dropout", Dealt(config, {name: each[0, 0] for name, each in drawn.items()})
    )
    (plain,), expected = reference(config, own, 0)
    for trace, gradients in found:
        close(trace.answers[0, 0], plain.answers)
        close(trace.rates.rate[0, 0], plain.rate)
        close({name: each[0] for name, each in gradients.items()}, expected)
    assert not torch.allclose(ran(config, own)[0].answers, trace.answers)


# ---------------------------------------------------------------- ensembles, causality, errors


@pytest.mark.parametrize("preset", ["published", "sound"])
@pytest.mark.parametrize("rule", RULES)
def test_an_ensemble_is_a_loop_over_its_networks(rule, preset):
    first = settings(preset, rule)
    configs = [first, replace(first, eta0=0.1, max_norm=0.0), replace(first, modulated=False, max_norm=0.3)]
    own = case(first, 3)
    whole = plastic.run(first, own.weights, own.inputs, plastic.knobs(configs, own.flat))
    for k, config in enumerate(configs):
        one = {name: each[k : k + 1] for name, each in own.weights.items()}
        trace = plastic.run(config, one, own.inputs[k : k + 1], plastic.knobs([config], own.flat))
        close(whole.answers[k], trace.answers[0])
        close([each[k] for each in whole.rates], [each[0] for each in trace.rates])


@pytest.mark.parametrize(
    "changes",
    [
        {"preset": "published", "rule": "hebbian"}, {"preset": "published", "rule": "gradient"},
        {"rule": "hebbian"}, {"rule": "gradient", "window": 2}, {"rule": "none"},
        {"rule": "none", "body": "linear_attention"}, {"rule": "none", "body": "delta_net"},
        {"rule": "hebbian", "body": "rnn", "positions": False},
        {"rule": "gradient", "body": "lstm", "positions": False},
    ],
    ids=str,
)  # fmt: skip
def test_a_token_changes_nothing_before_it(changes):
    config = settings(**changes)
    own = case(config)
    before, _ = ran(config, own)
    for time in (0, 4, 9):
        changed = own.inputs.clone()
        changed[:, :, time] = (changed[:, :, time] + 1) % config.symbols
        after, _ = ran(config, own._replace(inputs=changed))
        close(after.answers[:, :, :time], before.answers[:, :, :time])
        close(after.rates.rate[:, :, :time], before.rates.rate[:, :, :time])
        assert (after.answers[:, :, time] - before.answers[:, :, time]).abs().amax() > 1e-3


def test_what_was_not_written_has_no_rates():
    config = settings(rule="none")
    trace, _ = ran(config, case(config))
    assert (trace.rates.rate == 0).all() and (trace.rates.decay == 0).all() and (trace.rates.norm == 0).all()
    assert (trace.rates.ratio == 1).all() and trace.rates.logit.std() > 0
    assert trace.memory.values == {} and trace.sweeps == 1


def test_windows_that_cannot_be_are_refused():
    for config, window in [
        (settings("published"), 0), (settings("sound", "hebbian", body="rnn", positions=False), 2),
        (settings("sound", "none", body="lstm", positions=False), 2),
    ]:  # fmt: skip
        with pytest.raises(ValueError, match=f"window={window}: a whole number of at least 1"):
            ran(config, case(config), window=window)


# ---------------------------------------------------------------- learning through many tokens at once


@pytest.mark.parametrize(
    "changes",
    [
        {}, {"alpha": "scalar"}, {"alpha": "full"}, {"window": 3}, {"modulated": False}, {"max_norm": 0.1},
        {"clip_decay": True}, {"positions": False}, {"layers": 1}, {"task": "regression", "dimension": 2},
    ],
    ids=str,
)  # fmt: skip
@pytest.mark.parametrize("rule", PLASTIC)
def test_updates_are_differentiated_through_many_tokens_at_once(rule, changes):
    config = settings("sound", rule, **changes)
    own = case(config)
    expected = ran(config, own, window=1)
    for window in (4, 64):
        found = ran(config, own, window=window)
        same(found, expected)
        assert found[0].residual.max() <= 1e-12 and found[0].fallbacks == 0


@pytest.mark.parametrize("rule", ["hebbian", "gradient"])
def test_learning_through_a_long_sequence_is_the_same_at_once(rule):
    config = settings("sound", rule, window=5, **LONG)
    own = case(config)
    expected, found = ran(config, own, window=1), ran(config, own, window=64)
    same(found, expected)
    assert 2 < found[0].sweeps < 31


@pytest.mark.parametrize("rule", ["hebbian", "gradient"])
def test_learning_with_a_number_of_sweeps_says_what_is_left(rule):
    config = settings("sound", rule, alpha_start="ones")
    own = case(config)
    expected, residuals = ran(config, own, window=1), []
    for sweeps in (3, 5, 10):
        found = ran(config, own, window=64, sweeps=sweeps)
        residuals.append(found[0].residual.max().item())
    assert residuals[0] > residuals[1] > 1e-12
    same(found, expected)  # ten tokens: ten sweeps are exact


def test_learning_token_by_token_where_a_window_does_not_settle():
    config = settings("sound", "hebbian", alpha_start="ones", max_norm=0.0, eta0=0.9, **LONG)
    own = case(config)
    found, expected = ran(config, own, window=64), ran(config, own, window=1)
    assert found[0].fallbacks > 0 and (found[0].residual == 0).all()
    same(found, expected)


def linear(generator, steps=7):
    """z = A z + b over time with A strictly lower triangular, and u . z; (network, trial, time)."""
    a = torch.randn(steps, steps, generator=generator, dtype=torch.float64).tril(-1).requires_grad_()
    b = torch.randn(2, 3, steps, generator=generator, dtype=torch.float64).requires_grad_()
    return a, b, torch.randn(steps, generator=generator, dtype=torch.float64)


def test_a_fixed_point_is_found_and_differentiated_as_a_linear_system():
    a, b, u = linear(torch.Generator().manual_seed(0))
    with torch.no_grad():
        guess, residual, sweeps = fixed_point.iterated(
            lambda state: [b.clone() if state is None else state[0] @ a.mT + b], 1e-13, None
        )
    solved = torch.linalg.solve_triangular(
        torch.eye(7, dtype=a.dtype) - a, b.mT, upper=False, unitriangular=True
    ).mT
    near(guess[0], solved.detach())
    assert sweeps <= 8 and residual.shape == (2,) and residual.max() <= 1e-13
    leaf = guess[0].requires_grad_()
    (found,), (other,) = fixed_point.with_implicit_gradient(
        [leaf], [leaf @ a.mT + b], [(leaf * u).cos()], limit=1e-13, sweeps=None, residual=residual
    )
    ours = torch.autograd.grad(found.sin().sum() + other.sum(), [a, b])
    expected = torch.autograd.grad(solved.sin().sum() + (solved * u).cos().sum(), [a, b])
    near(ours[0].tril(-1), expected[0].tril(-1))
    near(ours[1], expected[1])


def test_what_does_not_shrink_is_given_up():
    def grows(state):
        return [torch.ones(1, 1, 5)] if state is None else [state[0] * torch.linspace(2, 3, 5)]

    _, residual, sweeps = fixed_point.iterated(grows, 1e-6, None)
    assert residual.max() > 0.1 and sweeps < fixed_point.SWEEPS
    _, residual, sweeps = fixed_point.iterated(lambda state: [torch.full((1, 1, 2), torch.nan)], 1e-6, None)
    assert residual.isnan().all() and sweeps == 2


# ---------------------------------------------------------------- other attention


class TokenByToken(nn.Module):
    """Attention that goes through all tokens (time, unit) and keeps a matrix for each head."""

    def __init__(self, config, weights, block):
        super().__init__()
        own = {
            name: each[0].detach().clone()
            for name, each in weights.items()
            if name.startswith(f"{block}.attention")
        }
        self.own = {name.removeprefix(f"{block}.attention."): each for name, each in own.items()}
        self.config = config

    def forward(self, query, seen, _):
        heads, held = self.config.heads, None
        size = seen.shape[-1] // heads
        held, total = seen.new_zeros(heads, size, size), seen.new_zeros(heads, size)
        for x in seen:
            q, k, v = (x @ self.own["input.weight"].T + self.own["input.bias"]).view(3, heads, size)
            if self.config.body == "delta_net":
                q, k = (each / each.norm(dim=-1, keepdim=True) for each in (q, k))
                rate = (x @ self.own["rate.weight"].T + self.own["rate.bias"]).sigmoid()
                missing = v - torch.einsum("hoi,hi->ho", held, k)
                held = held + rate[:, None, None] * missing[:, :, None] * k[:, None]
                read = torch.einsum("hoi,hi->ho", held, q)
            else:
                q, k = (torch.where(each > 0, each + 1, each.exp()) for each in (q, k))
                held, total = held + v[:, :, None] * k[:, None], total + k
                read = torch.einsum("hoi,hi->ho", held, q) / (total * q).sum(-1, keepdim=True)
        return (read.flatten() @ self.own["output.weight"].T + self.own["output.bias"])[None], None


@pytest.mark.parametrize("body", ["linear_attention", "delta_net"])
def test_other_attention_is_a_loop_over_tokens(body):
    config = settings(rule="none", body=body)
    own = case(config, 1)
    trace, gradients = ran(config, own)
    single = {name: each[0].detach() for name, each in own.weights.items()}
    model = plain_plastic.PlainTransformer(config, single)
    for k, block in enumerate(model.blocks):
        block.attention = TokenByToken(config, own.weights, f"blocks.{k}")
    plain = [model(sequence).answers for sequence in own.inputs[0]]
    close(trace.answers[0], torch.stack(plain))
    sum(map(cost, plain)).backward()
    for name, value in model.gradients().items():
        close(gradients[name][0], value)
