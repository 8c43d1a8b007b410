"""Parameters of plastic networks: names, shapes, first values; and the settings they follow from."""

import math

import pytest
import torch
from torch import nn

from wm import plastic
from wm.plastic.parameters import plastic_layers
from wm.plastic.rules import RULES
from wm.train import numpy_generator

SMALL = {"width": 6, "feedforward": 10, "heads": 2, "items": 2, "delay": 3, "symbols": 5, "auxiliary": 3}
OUTPUTS = 5 + 1 + 3


def settings(preset="sound", rule="hebbian", **changes):
    return plastic.config("copying_none", **(plastic.PRESETS[preset] | SMALL | {"rule": rule} | changes))


def first(config, seed="0"):
    """First parameters of one network by name."""
    views = plastic.layout(config).views(plastic.initial(config, seed)[None])
    return {name: value[0] for name, value in views.items()}


# ---------------------------------------------------------------- names and shapes


@pytest.mark.parametrize(("rule", "size"), [("none", 268_559), ("hebbian", 268_559), ("gradient", 268_784)])
def test_published_networks_have_the_published_parameters_that_learn(rule, size):
    """400 399 (gradient: 400 624) of the published code less 131 840 learning rates that never change."""
    layout = plastic.layout(plastic.config(f"published_copying_{rule}"))
    assert layout.size == size == sum(math.prod(shape) for shape in layout.shapes.values())


@pytest.mark.parametrize("alpha", ["scalar", "low_rank", "full"])
def test_learning_rates_have_the_shapes_of_their_kind(alpha):
    config = settings(alpha=alpha)
    shapes, plain = plastic.layout(config).shapes, plastic.layout(settings(rule="none")).shapes
    rates = {name: shape for name, shape in shapes.items() if name not in plain}
    expected = {}
    for name, (rows, columns) in plastic_layers(config).items():
        assert plain[f"{name}.weight"] == (rows, columns) and plain[f"{name}.bias"] == (rows,)
        expected[f"{name}.beta"] = (1,) if alpha == "scalar" else (rows,)
        if alpha == "low_rank":
            expected |= {f"{name}.rows": (rows,), f"{name}.columns": (columns,)}
        else:
            expected[f"{name}.alpha"] = (1,) if alpha == "scalar" else (rows, columns)
    assert rates == expected and {name: shapes[name] for name in plain} == plain


@pytest.mark.parametrize("rule", RULES)
@pytest.mark.parametrize("body", ["transformer", "rnn", "lstm"])
def test_parameters_are_those_that_a_network_uses(body, rule):
    """All have a gradient in sound networks, so that none is there for nothing."""
    config = settings(rule=rule, body=body, positions=body == "transformer")
    flat = plastic.initial(config, "1").double()[None].requires_grad_()
    tokens = plastic.make_task(config).sample(4, numpy_generator("parameters")).inputs[None]
    views = plastic.layout(config).views(flat)
    trace = plastic.run(config, views, torch.as_tensor(tokens), plastic.knobs([config], flat))
    (gradient,) = torch.autograd.grad(trace.answers.square().sum(), flat)
    for name, value in plastic.layout(config).views(gradient).items():
        assert value.abs().max() > 0, name


def test_plastic_layers_are_those_of_the_body():
    found = {f"blocks.{k}.{part}": shape for k in (0, 1) for part, shape in
             (("first", (10, 6)), ("second", (6, 10)))}  # fmt: skip
    assert plastic_layers(settings()) == found
    for body, gates in (("rnn", 1), ("lstm", 4)):
        layers = plastic_layers(settings(body=body, positions=False))
        assert layers == {"input": (6, 5), "recurrent": (gates * 6, 12), "head": (OUTPUTS, 6)}
        assert [*layers] == ["input", "recurrent", "head"]


def test_internal_loss_and_positions_are_there_where_they_are_used():
    assert plastic.layout(settings(rule="gradient")).shapes["internal"] == (OUTPUTS, OUTPUTS)
    recurrent = settings(rule="gradient", body="lstm", positions=False)
    assert plastic.layout(recurrent).shapes["internal"] == (OUTPUTS,)
    assert "internal" not in plastic.layout(settings()).shapes
    assert plastic.layout(settings()).shapes["positions"] == (8, 6)
    assert "positions" not in plastic.layout(settings("published")).shapes
    delta_net = plastic.layout(settings(rule="none", body="delta_net")).shapes
    assert delta_net["blocks.1.attention.rate.weight"] == (2, 6)


def test_views_show_the_parameters_themselves():
    layout = plastic.layout(settings(rule="gradient"))
    flat = torch.arange(3.0 * layout.size).view(3, -1)
    views = layout.views(flat)
    assert list(views) == list(layout.shapes)
    assert all(views[name].shape == (3, *shape) for name, shape in layout.shapes.items())
    assert torch.equal(layout.flat(views), flat)
    views["head.bias"][1] = -1
    assert (layout.views(flat)["head.bias"][1] == -1).all()


# ---------------------------------------------------------------- first values


def test_first_values_are_a_function_of_seed_and_name(own_randomness):
    config = settings()
    assert torch.equal(plastic.initial(config, "3"), plastic.initial(config, "3"))
    own, other = first(config, "3"), first(config, "4")
    drawn = [name for name, value in own.items() if value.numel() > 1 and value.std() > 0]
    assert len(drawn) > 20 and not any(torch.equal(own[name], other[name]) for name in drawn)
    for changes in ({"rule": "gradient"}, {"rule": "none"}, {"positions": False}, {"layers": 1}):
        changed = first(settings(**({"rule": "hebbian"} | changes)), "3")
        assert all(torch.equal(own[name], changed[name]) for name in changed.keys() & own.keys())
    streams = [own[f"blocks.{k}.first.weight"] for k in range(2)]
    assert not torch.equal(*streams)


def test_positions_of_a_longer_task_begin_with_those_of_a_shorter_one():
    for delay in (0, 1, 7, 30):
        short, long = first(settings(delay=3), "1"), first(settings(delay=3 + delay), "1")
        assert torch.equal(short["positions"], long["positions"][:8])
        short.pop("positions"), long.pop("positions")
        assert all(torch.equal(short[name], long[name]) for name in short)


def test_transformers_start_as_the_layers_of_torch_do():
    large = {"width": 60, "feedforward": 80, "heads": 2}
    found = first(settings(rule="gradient", **large))
    linear, narrow = nn.Linear(60, 80), nn.Linear(80, 60)
    assert_as_uniform(found["blocks.0.first.weight"], linear.weight)
    assert_as_uniform(found["blocks.0.second.weight"], narrow.weight)
    assert_as_uniform(found["blocks.1.first.bias"], linear.bias, rtol=0.15)
    assert_as_uniform(found["head.weight"], nn.Linear(60, OUTPUTS).weight)
    attention = nn.MultiheadAttention(60, 2)
    assert_as_uniform(found["blocks.0.attention.input.weight"], attention.in_proj_weight)
    assert_as_uniform(found["blocks.0.attention.output.weight"], attention.out_proj.weight)
    assert_as_uniform(found["internal"], nn.Linear(OUTPUTS, OUTPUTS, bias=False).weight, rtol=0.2)
    assert_as_uniform(found["positions"], nn.Linear(5, 60).weight, rtol=0.1)
    for name, value in found.items():
        if "norm" in name:
            assert (value == float(name.endswith("weight"))).all()
        if name.endswith(("input.bias", "output.bias")) and "attention" in name:
            assert (value == 0).all()


def assert_as_uniform(found, expected, rtol=0.07):
    assert found.shape == expected.shape or found.numel() > 100
    assert found.abs().max().item() == pytest.approx(expected.abs().max().item(), rel=rtol)
    assert found.std().item() == pytest.approx(expected.std().item(), rel=rtol)
    assert abs(found.mean().item()) < 4 * found.std().item() / math.sqrt(found.numel())


@pytest.mark.parametrize(("body", "reach"), [("rnn", 1 / math.sqrt(50)), ("lstm", 2 / math.sqrt(200))])
def test_recurrent_networks_start_as_those_of_the_study(body, reach):
    found = first(settings(rule="gradient", body=body, positions=False, width=50, alpha="full"))
    for name, edge in (("recurrent", reach), ("input", 1 / math.sqrt(50)), ("head", 1 / math.sqrt(OUTPUTS))):
        assert found[f"{name}.weight"].abs().max().item() == pytest.approx(edge, rel=0.05)
        assert found[f"{name}.bias"].abs().max() <= edge
    assert (found["internal"] == 1).all()


@pytest.mark.parametrize("alpha", ["scalar", "low_rank", "full"])
@pytest.mark.parametrize(("start", "value"), [("ones", 1.0), ("minus_ones", -1.0)])
def test_learning_rates_start_where_they_are_told(start, value, alpha):
    found = first(settings(alpha=alpha, alpha_start=start))
    assert (found["blocks.0.first.beta"] == value).all()
    if alpha == "low_rank":
        outer = torch.outer(found["blocks.0.first.rows"], found["blocks.0.first.columns"])
        assert (outer == value).all()
    else:
        assert (found["blocks.0.first.alpha"] == value).all()


def test_learning_rates_start_at_random_or_are_fixed():
    alpha = first(settings(alpha="full", feedforward=200))["blocks.0.first.alpha"]
    assert alpha.abs().max() <= 1 and alpha.std().item() == pytest.approx(1 / math.sqrt(3), rel=0.05)
    fixed = plastic.layout(settings("published")).shapes
    assert not any(name.endswith(("alpha", "beta", "rows", "columns")) for name in fixed)


# ---------------------------------------------------------------- settings


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"task": "copyng"}, "unknown task 'copyng'.*copying"), ({"body": "gru"}, "unknown body 'gru'"),
        ({"rule": "hebian"}, "unknown rule 'hebian'.*hebbian"), ({"alpha": "dense"}, "unknown alpha 'dense'"),
        ({"alpha_start": "zeros"}, "unknown alpha_start 'zeros'"), ({"loss": "each"}, "unknown loss 'each'"),
        ({"width": 0}, "width must be a whole number"), ({"heads": 4}, "width 6 is no multiple of 4 heads"),
        ({"layers": 1.5}, "layers must be a whole number"), ({"updates": -1}, "at least 0"),
        ({"max_norm": math.inf}, "max_norm must be 0 or more and finite"),
        ({"dropout": 1.0}, "dropout must be from 0 to below 1"), ({"eta0": -0.1}, "eta0 must be from 0"),
        ({"decay": 1.5}, "decay must be from 0 to 1, got 1.5"),
        ({"body": "delta_net"}, "delta_net has no plastic layers"),
        ({"body": "rnn", "positions": False, "window": 3}, "only a transformer has a window or dropout"),
        ({"body": "lstm", "positions": False, "dropout": 0.1}, "only a transformer has a window or dropout"),
        ({"body": "lstm"}, "an lstm tells positions by itself"),
        ({"alpha_start": "fixed"}, "fixed learning rates .*--alpha scalar"), ({"items": 0}, "items"),
    ],
    ids=str,
)  # fmt: skip
def test_wrong_settings_are_refused(changes, message):
    with pytest.raises(ValueError, match=message):
        settings(**changes)


def test_unknown_families_are_refused():
    with pytest.raises(ValueError, match="unknown family 'copying_hebian'.*copying_hebbian"):
        plastic.config("copying_hebian")
    with pytest.raises(ValueError, match="unknown family 'copying_hebian'.*copying_hebbian"):
        plastic.PlasticConfig("copying_hebian")


def test_every_family_is_a_network_of_its_task():
    for name in plastic.FAMILIES:
        config = plastic.config(name)
        assert config.family == name and plastic.layout(config).size > 0
        assert name.endswith(config.rule) or config.rule == "none"
        assert config.preset == ("published" if name.startswith("published") else "sound")
