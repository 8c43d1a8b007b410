"""What plastic networks write and how fast, against closed forms and dense matrices."""

from functools import partial

import pytest
import torch

from benchmarks import plain_plastic
from wm import plastic
from wm.plastic.memory import Memory, recall, recall_back
from wm.plastic.parameters import ALPHA_FIXED
from wm.plastic.rates import rates_of
from wm.plastic.rules import RULES, Signal, Write
from wm.train import numpy_generator

SMALL = {
    "width": 6, "feedforward": 8, "heads": 2, "layers": 2, "auxiliary": 3, "items": 2, "delay": 3,
    "queries": 2, "symbols": 5, "dropout": 0.0,
}  # fmt: skip
ALPHAS = ["fixed", "scalar", "low_rank", "full"]
ROWS, COLUMNS = 4, 3
close = partial(torch.testing.assert_close, rtol=1e-10, atol=1e-12)


def settings(preset="sound", rule="hebbian", **changes):
    return plastic.config("copying_none", **(plastic.PRESETS[preset] | SMALL | {"rule": rule} | changes))


def random(*shape, seed=0, low=-1.0, high=1.0):
    numbers = torch.rand(*shape, generator=torch.Generator().manual_seed(seed), dtype=torch.float64)
    return low + (high - low) * numbers


def learning_rates(alpha, networks=2):
    """Learning rates of the synapses of a layer, alpha as a matrix and beta as a vector of each network."""
    beta = random(networks, 1 if alpha == "scalar" else ROWS, seed=3)
    if alpha == "fixed":
        matrix = torch.full((networks, ROWS, COLUMNS), ALPHA_FIXED, dtype=torch.float64)
        return {}, matrix, matrix[..., 0]
    if alpha == "low_rank":
        rows, columns = random(networks, ROWS, seed=4), random(networks, COLUMNS, seed=5)
        own = {"layer.rows": rows, "layer.columns": columns, "layer.beta": beta}
        return own, rows[:, :, None] * columns[:, None], beta
    own = random(networks, *((1,) if alpha == "scalar" else (ROWS, COLUMNS)), seed=6)
    matrix = own[..., None].expand(-1, ROWS, COLUMNS) if alpha == "scalar" else own
    return {"layer.alpha": own, "layer.beta": beta}, matrix, beta.expand(-1, ROWS)


def written(time=7, networks=2, trials=3):
    """Any writes of one layer, and rates and decays."""
    lead = (networks, trials, time)
    write = Write(random(*lead, ROWS, seed=1), random(*lead, COLUMNS, seed=2))
    return {"layer": write}, random(*lead, seed=7, low=0), random(*lead, seed=8, low=0, high=0.6)


def dense(write, rate, decay, alpha, beta):
    """w (network, trial, output, input) and c after each token, by the recurrence."""
    w = torch.zeros(*rate.shape[:2], ROWS, COLUMNS, dtype=rate.dtype)
    c = torch.zeros(*rate.shape[:2], ROWS, dtype=rate.dtype)
    found = []
    for t in range(rate.shape[2]):
        r, left = rate[:, :, t, None], 1 - decay[:, :, t, None]
        value, key = write.value[:, :, t], write.key[:, :, t]
        outer = value[..., :, None] * key[..., None, :]
        w = left[..., None] * w + r[..., None] * alpha[:, None] * outer
        c = left * c + r * beta[:, None] * value
        found.append((w, c))
    return found


# ---------------------------------------------------------------- coefficients


def test_coefficients_have_their_closed_form():
    writes, rate, decay = written()
    empty = Memory.empty({"layer": (ROWS, COLUMNS)}, rate)
    matrix = empty.ahead(rate, decay)
    for t in range(rate.shape[2]):
        for s in range(rate.shape[2]):
            expected = rate[..., s] * (1 - decay[..., s + 1 : t]).prod(dim=-1) if s < t else 0 * rate[..., s]
            close(matrix[..., t, s], expected)
    after = empty.after(writes, rate, decay).coefficients
    close(after[..., -1], rate[..., -1])
    close(after[..., 0], rate[..., 0] * (1 - decay[..., 1:]).prod(dim=-1))


def test_ahead_and_after_say_the_same():
    writes, rate, decay = written()
    memory = Memory.empty({"layer": (ROWS, COLUMNS)}, rate)
    whole, past = memory.ahead(rate, decay), rate.shape[2]
    for t in range(past):
        close(whole[:, :, t, :t], memory.now()[:, :, 0])
        assert (whole[:, :, t, t:] == 0).all()
        token = {"layer": Write(*(part[:, :, t : t + 1] for part in writes["layer"]))}
        memory = memory.after(token, rate[..., t : t + 1], decay[..., t : t + 1])
    once = Memory.empty({"layer": (ROWS, COLUMNS)}, rate).after(writes, rate, decay)
    for name in ("values", "keys"):
        close(getattr(once, name)["layer"], getattr(memory, name)["layer"])
    close(once.coefficients, memory.coefficients)
    # the same with a past
    split = 3
    parts = [
        {"layer": Write(*(each[:, :, at] for each in writes["layer"]))}
        for at in (slice(split), slice(split, None))
    ]
    begun = Memory.empty({"layer": (ROWS, COLUMNS)}, rate)
    begun = begun.after(parts[0], rate[..., :split], decay[..., :split])
    close(begun.ahead(rate[..., split:], decay[..., split:]), whole[:, :, split:])
    close(begun.after(parts[1], rate[..., split:], decay[..., split:]).coefficients, once.coefficients)


# ---------------------------------------------------------------- dense matrices


@pytest.mark.parametrize("alpha", ALPHAS)
def test_recall_is_what_dense_fast_weights_answer(alpha):
    weights, matrix, beta = learning_rates(alpha)
    writes, rate, decay = written()
    expected = dense(writes["layer"], rate, decay, matrix, beta)
    empty = Memory.empty({"layer": (ROWS, COLUMNS)}, rate)
    memory, ahead = empty.with_writes(writes), empty.ahead(rate, decay)
    x, u = random(*rate.shape, COLUMNS, seed=9), random(*rate.shape, ROWS, seed=10)
    y, back = recall(weights, "layer", x, memory, ahead), recall_back(weights, "layer", u, memory, ahead)
    assert (y[:, :, 0] == 0).all() and (back[:, :, 0] == 0).all()
    for t, (w, c) in enumerate(expected[:-1], start=1):  # written after token t - 1, read at t
        close(y[:, :, t], torch.einsum("nboi,nbi->nbo", w, x[:, :, t]) + c)
        close(back[:, :, t], torch.einsum("nboi,nbo->nbi", w, u[:, :, t]))


@pytest.mark.parametrize("alpha", ALPHAS)
def test_fast_weights_and_their_norms_are_those_of_dense_ones(alpha):
    weights, matrix, beta = learning_rates(alpha)
    writes, rate, decay = written()
    expected = dense(writes["layer"], rate, decay, matrix, beta)
    memory = Memory.empty({"layer": (ROWS, COLUMNS)}, rate).after(writes, rate, decay)
    close(plastic.fast_weights(weights, "layer", memory), expected[-1][0])
    rates = plastic.Rates(rate, decay, rate, rate, rate)
    norms = plastic.squared_norms(weights, "layer", memory, rates)
    close(norms, torch.stack([w.square().sum(dim=(-2, -1)) for w, _ in expected], dim=-1))


@pytest.mark.parametrize("alpha", ["scalar", "low_rank", "full"])
@pytest.mark.parametrize("rule", ["hebbian", "gradient", "oja", "delta"])
def test_fast_weights_of_networks_are_those_of_the_plain_reference(rule, alpha):
    config = settings("sound", rule, alpha=alpha)
    weights, inputs = network(config)
    trace = plastic.run(config, weights, inputs, plastic.knobs([config], weights["head.bias"]))
    plain = plain_plastic.plain(config, {name: each[0] for name, each in weights.items()})(inputs[0, 0])
    for layer, (rows, columns) in plastic.plastic_layers(config).items():
        found = plastic.fast_weights(weights, layer, trace.memory)
        assert found.shape == (1, 1, rows, columns) and found.abs().max() > 0
        close(found[0, 0], plain.fast[-1][layer])
        norms = plastic.squared_norms(weights, layer, trace.memory, trace.rates)
        close(norms[0, 0], torch.stack([held[layer].square().sum() for held in plain.fast]))


def network(config, trials=1):
    """Weights of one network (no gradients) and sequences."""
    weights = plastic.layout(config).views(plastic.initial(config, "1").double()[None])
    inputs = plastic.make_task(config).sample(trials, numpy_generator(0, "rules")).inputs
    return weights, torch.as_tensor(inputs)[None]


# ---------------------------------------------------------------- rates


def knobs_of(**changes):
    given = {"eta0": 0.2, "max_norm": 1.0} | changes
    return plastic.knobs([settings(**given)], torch.zeros(1, dtype=torch.float64))


def test_norm_of_an_update_is_that_of_dense_matrices():
    writes, rate, _ = written()
    other = Write(random(*rate.shape, 5, seed=20), random(*rate.shape, 6, seed=21))
    rates = rates_of(settings(), rate, writes | {"other": other}, knobs_of())
    deltas = [each.value[..., :, None] * each.key[..., None, :] for each in (writes["layer"], other)]
    squares = sum(delta.square().sum(dim=(-2, -1)) for delta in deltas)
    close(rates.norm, (squares + 1e-8).sqrt())
    close(rates.ratio, torch.minimum(1 / (rates.norm + 1e-8), torch.ones_like(rate)))


def test_rates_are_a_share_of_eta0_and_clipped():
    writes, logit, _ = written()
    sound, published = settings("sound"), settings("published")
    ours, theirs = (rates_of(config, logit, writes, knobs_of()) for config in (sound, published))
    close(ours.decay, 0.2 * logit.sigmoid())
    close(ours.rate, 0.2 * logit.sigmoid() * ours.ratio)
    close(theirs.rate, ours.rate)
    close(theirs.decay, theirs.rate)  # the clip shrinks the decay, too
    assert (ours.ratio < 1).any() and (ours.decay > ours.rate).any()
    never = rates_of(sound, logit, writes, knobs_of(max_norm=0.0))
    assert (never.ratio == 1).all()
    close(never.rate, never.decay)
    fixed = rates_of(sound, logit, writes, knobs_of(modulated=False, eta0=0.1, max_norm=100.0))
    close(fixed.rate, torch.full_like(logit, 0.05))


def test_nothing_written_has_no_rate():
    logit = random(1, 2, 3)
    rates = rates_of(settings(rule="none"), logit, {}, knobs_of())
    assert not any(each.any() for each in (rates.rate, rates.decay, rates.norm)) and (rates.ratio == 1).all()
    close(rates.logit, logit)


# ---------------------------------------------------------------- rules


def test_rules_write_what_they_say():
    x, w = random(1, 1, 1, COLUMNS, seed=10), random(ROWS, COLUMNS, seed=15)
    y, post, fast, gradient = (random(1, 1, 1, ROWS, seed=seed) for seed in (11, 12, 13, 14))
    signal = Signal(x, y, post, fast, gradient, lambda u: u @ w)
    outer = {name: torch.outer(*(part[0, 0, 0] for part in rule.write(signal)))
             for name, rule in RULES.items() if rule.write}  # fmt: skip
    x, y, post, fast, gradient = (part[0, 0, 0] for part in (x, y, post, fast, gradient))
    close(outer["hebbian"], torch.outer(post, x))
    close(outer["gradient"], torch.outer(gradient, x))
    close(outer["oja"], torch.outer(post, x) - torch.outer(post, post) @ w)
    slow = y - fast
    close(outer["delta"], torch.outer(slow - fast, x))
    assert RULES["none"].write is None and [r.needs_gradient for r in RULES.values()].count(True) == 1


@pytest.mark.parametrize("body", ["transformer", "rnn", "lstm"])
def test_gradient_of_the_internal_loss_is_an_outer_product(body):
    """After one token: dL_int/dW of a layer that autograd finds, and what the rule writes."""
    config = settings(rule="gradient", body=body, positions=False)
    weights, inputs = network(config)
    trace = plastic.run(config, weights, inputs[:, :, :1], plastic.knobs([config], weights["head.bias"]))
    model = plain_plastic.plain(config, {name: each[0] for name, each in weights.items()})
    for each in (model, *model.plastic().values()):
        each.begin()
    output = model.token(torch.eye(config.symbols, dtype=torch.float64)[inputs[0, 0, 0]], 0)
    asked = [part for layer in model.plastic().values() for part in (layer.weight, layer.bias)]
    found = torch.autograd.grad(model.inner(output).square().mean(), asked)
    for layer, slow, bias in zip(model.plastic(), found[::2], found[1::2], strict=True):
        value, key = trace.memory.values[layer][0, 0, 0], trace.memory.keys[layer][0, 0, 0]
        close(torch.outer(value, key), slow)
        close(value, bias)
        assert slow.abs().max() > 0


# ---------------------------------------------------------------- what learns


def learned(config, **options):
    """Gradients by name of the mean squared answer at the last tokens."""
    flat = torch.stack([plastic.initial(config, str(k)) for k in range(2)]).double().requires_grad_()
    inputs = plastic.make_task(config).sample(3, numpy_generator(0, "rules")).inputs
    inputs = torch.as_tensor(inputs).expand(2, *inputs.shape)
    weights = plastic.layout(config).views(flat)
    trace = plastic.run(config, weights, inputs, plastic.knobs([config], flat), **options)
    (gradient,) = torch.autograd.grad(trace.answers[:, :, -config.items :].square().mean(), flat)
    return plastic.layout(config).views(gradient)


@pytest.mark.parametrize("window", [1, None])
@pytest.mark.parametrize("rule", ["hebbian", "gradient"])
def test_modulation_learns_nothing_in_published_networks(rule, window):
    config = settings("published", rule)
    found, answers = learned(config, window=window), plastic.make_task(config).outputs
    assert not any(name.endswith(("alpha", "beta", "rows", "columns")) for name in found)
    for name in ("head.weight", "head.bias"):
        assert (found[name][:, answers:] == 0).all(), "the logit of the rate, or auxiliary outputs"
        assert (found[name][:, :answers] != 0).all()
    assert (rule == "hebbian") == ("internal" not in found)
    if rule == "gradient":
        assert (found["internal"] == 0).all()
    silent = {"head.weight", "head.bias", "internal"}
    assert all(each.abs().amax() > 0 for name, each in found.items() if name not in silent)


@pytest.mark.parametrize("alpha", ["scalar", "low_rank", "full"])
@pytest.mark.parametrize("rule", ["hebbian", "gradient"])
def test_everything_learns_in_sound_networks(rule, alpha):
    config = settings("sound", rule, alpha=alpha)
    found, answers = learned(config), plastic.make_task(config).outputs
    rates = {"scalar": 2, "low_rank": 3, "full": 2}[alpha]
    kinds = ("alpha", "beta", "rows", "columns")
    assert sum(name.endswith(kinds) for name in found) == rates * 4
    assert all((each.flatten(1).abs().amax(dim=1) > 0).all() for each in found.values())
    assert (found["head.bias"][:, answers] != 0).all()
    if rule == "gradient":  # auxiliary outputs serve the internal loss
        assert (found["head.weight"][:, answers + 1 :] != 0).all()
        assert (found["internal"] != 0).all()
    else:
        assert (found["head.weight"][:, answers + 1 :] == 0).all()


@pytest.mark.parametrize("family", ["copying_none", "published_copying_none", "rnn_copying_continuous_none"])
def test_a_rule_of_ones_own_is_one_entry(family, monkeypatch):
    anti = plastic.Rule("Anti-Hebbian", lambda s: plastic.Write(-s.post, s.x))
    descent = plastic.Rule("Descent", lambda s: plastic.Write(-s.gradient, s.x), needs_gradient=True)
    monkeypatch.setitem(plastic.RULES, "anti", anti)
    monkeypatch.setitem(plastic.RULES, "descent", descent)
    small = {"width": 6, "heads": 2, "feedforward": 8, "items": 2, "queries": 2, "delay": 1, "updates": 2}
    for rule in ("anti", "descent"):
        done = plastic.train(plastic.config(family, rule=rule, **small), 1, save=False)
        assert done.networks[0].record["scores"]["rate"] > 0
