"""Ensembles of Conv-4 and ResNet-12 against modules of torch, their statistics, and tokens with drawings."""

import numpy as np
import pytest
import torch
import torch.nn.functional as F
from torch import nn
from torch._subclasses import FakeTensorMode

from wm import plastic
from wm.plastic.fewshot import encoders, prototypes
from wm.plastic.fewshot.encoders import conv4, conv4_shapes, resnet12, resnet12_shapes

NETWORKS = {"conv4": (conv4_shapes, conv4), "resnet12": (resnet12_shapes, resnet12)}


class Unit(nn.Sequential):
    """A convolution and its norm; torch's norm keeps statistics that are not used in training."""

    def __init__(self, before, after, side):
        super().__init__(nn.Conv2d(before, after, side, padding=side // 2, bias=False), nn.BatchNorm2d(after))


class PlainConv4(nn.Module):
    def __init__(self, channels):
        super().__init__()
        self.units = nn.ModuleDict({str(k): Unit(64 if k else channels, 64, 3) for k in range(4)})

    def forward(self, x):
        for unit in self.units.values():
            x = F.max_pool2d(F.relu(unit(x)), 2)
        return x.flatten(1)


class PlainResNet12(nn.Module):
    def __init__(self, channels):
        super().__init__()
        self.units, before = nn.ModuleDict(), channels
        for block, width in enumerate(encoders.WIDTHS):
            for k in range(3):
                self.units[f"{block}:{k}"] = Unit(width if k else before, width, 3)
            self.units[f"{block}:shortcut"] = Unit(before, width, 1)
            before = width

    def forward(self, x):
        for block in range(4):
            units = [self.units[f"{block}:{k}"] for k in (0, 1, 2, "shortcut")]
            y = F.leaky_relu(units[1](F.leaky_relu(units[0](x), 0.1)), 0.1)
            x = F.max_pool2d(F.leaky_relu(units[2](y) + units[3](x), 0.1), 2)
        return F.adaptive_avg_pool2d(x, 1).flatten(1)


PLAIN = {"conv4": PlainConv4, "resnet12": PlainResNet12}


def plain(network, channels, weights):
    """A module of torch with the weights of one network of an ensemble, and their names."""
    model, names = PLAIN[network](channels).double(), {}
    for unit, (convolution, norm) in model.units.items():
        name = f"encoder.{unit.replace(':', '.')}"
        of = {f"{name}.weight": convolution.weight, f"{name}.norm.weight": norm.weight}
        names |= of | {f"{name}.norm.bias": norm.bias}
    with torch.no_grad():
        for name, parameter in names.items():
            parameter.copy_(weights[name])
    return model, names


def drawn(network, channels, networks=3):
    """Weights of an ensemble, norms not as they start, so that nothing is 1 or 0."""
    shapes = NETWORKS[network][0](channels)
    weights = {name: torch.randn(networks, *shape, dtype=torch.float64) for name, shape in shapes.items()}
    return {name: (each / 9).requires_grad_() if each.ndim == 5 else each.requires_grad_()
            for name, each in weights.items()}  # fmt: skip


@pytest.mark.parametrize("channels", [1, 3])
@pytest.mark.parametrize("network", NETWORKS)
def test_each_network_is_a_module_of_torch_with_its_gradients(network, channels):
    weights, shown = drawn(network, channels, 2), torch.randn(2, 3, channels, 32, 32, dtype=torch.float64)
    made = NETWORKS[network][1](weights, shown)
    assert made.shape == (2, 3, 256)
    aim = torch.randn_like(made)
    found = dict(zip(weights, torch.autograd.grad((made * aim).sum(), weights.values()), strict=True))
    for k in range(2):
        model, names = plain(network, channels, {name: each[k] for name, each in weights.items()})
        expected = model(shown[k])
        torch.testing.assert_close(made[k], expected)
        assert {*names} == {*weights}
        gradients = torch.autograd.grad((expected * aim[k]).sum(), names.values())
        for name, gradient in zip(names, gradients, strict=True):
            torch.testing.assert_close(found[name][k], gradient, rtol=1e-6, atol=1e-9)


@pytest.mark.parametrize("network", NETWORKS)
def test_a_network_does_not_depend_on_its_company(network):
    weights, shown = drawn(network, 1), torch.randn(3, 2, 1, 32, 32, dtype=torch.float64)
    together = NETWORKS[network][1](weights, shown)
    alone = NETWORKS[network][1]({name: each[1:2] for name, each in weights.items()}, shown[1:2])
    torch.testing.assert_close(together[1:2], alone)
    other = NETWORKS[network][1](weights, torch.cat([shown[:1], shown[1:2], 2 * shown[2:]]))
    torch.testing.assert_close(together[:2], other[:2])


@torch.no_grad()
def test_norms_with_known_statistics_take_each_drawing_by_itself():
    weights, shown = drawn("conv4", 1), torch.randn(3, 6, 1, 32, 32, dtype=torch.float64)
    found = {}
    together = conv4(weights, shown, found)
    held = weights | found
    torch.testing.assert_close(conv4(held, shown), together)
    torch.testing.assert_close(conv4(held, shown[:, :1]), together[:, :1])
    assert not torch.allclose(conv4(weights, shown[:, :1]), together[:, :1])
    model, _ = plain("conv4", 1, {name: each[2] for name, each in weights.items()})
    for unit in model.units.values():  # torch's own running statistics, after one look at everything
        unit[1].momentum = 1.0
    model(shown[2])
    for k in range(4):
        norm, count = model.units[str(k)][1], 6 * (32 >> k) ** 2
        torch.testing.assert_close(found[f"encoder.{k}.norm.mean"][2], norm.running_mean)
        variance = norm.running_var * (count - 1) / count
        torch.testing.assert_close(found[f"encoder.{k}.norm.variance"][2], variance)


@torch.no_grad()
def test_statistics_are_those_of_two_passes_over_the_known_drawings(planted, monkeypatch):
    monkeypatch.setattr(prototypes, "KNOWN", 40)
    config = prototypes.EncoderConfig("kanji")
    first = prototypes.PrototypeLearner(config, ["0", "1"]).weights
    found = prototypes.statistics(config, first)
    task = config.task
    chosen = prototypes.numpy_generator("known", "prototypes").permutation(len(task.pool.vectors))[:40]
    x = torch.as_tensor(task.pool.vectors[np.sort(chosen)]).double().view(40, 1, 32, 32)
    for k in range(4):
        y = F.conv2d(x, first[f"encoder.{k}.weight"][1].double(), padding=1)
        mean = y.mean(dim=(0, 2, 3))
        variance = (y - mean[:, None, None]).square().mean(dim=(0, 2, 3))
        for part, value in (("mean", mean), ("variance", variance)):
            torch.testing.assert_close(
                found[f"encoder.{k}.norm.{part}"][1].double(), value, rtol=1e-3, atol=1e-5
            )
        x = (y - mean[:, None, None]) / (variance[:, None, None] + 1e-5).sqrt()
        x = F.max_pool2d(F.relu(x), 2)
    x = x.flatten(1)
    offset = x.mean(dim=0)
    scale = 1 / (x - offset).square().sum(-1).mean().sqrt()
    torch.testing.assert_close(found["encoder.offset"][1, 0].double(), offset, rtol=1e-3, atol=1e-5)
    torch.testing.assert_close(found["encoder.scale"][1].double().item(), scale.item(), rtol=1e-4, atol=0)
    encoded = prototypes.encode("conv4", found, task.pool.vectors[np.sort(chosen)])
    assert encoded.shape == (2, 40, 256)
    assert (encoded**2).sum(axis=2).mean(axis=1) == pytest.approx(1, rel=1e-4)
    assert encoded.mean(axis=1) == pytest.approx(0, abs=1e-5)
    assert encoded[1] == pytest.approx(((x - offset) * scale).numpy(), abs=1e-3)


def test_numbers_of_a_drawing_do_not_depend_on_how_many_are_encoded(planted, monkeypatch):
    config = prototypes.EncoderConfig("kanji")
    monkeypatch.setattr(prototypes, "KNOWN", 20)
    weights = prototypes.statistics(config, prototypes.PrototypeLearner(config, ["0"]).weights)
    vectors = config.task.pool.vectors[:9]
    whole = prototypes.encode("conv4", weights, vectors)
    monkeypatch.setattr(prototypes, "AT_ONCE", 4)
    assert prototypes.encode("conv4", weights, vectors) == pytest.approx(whole, abs=1e-5)


# ---------------------------------------------------------------- tokens with drawings


def settings(**changes):
    small = {"width": 8, "feedforward": 8, "heads": 2, "layers": 1, "ways": 3, "queries": 3, "batch": 2}
    return plastic.config("kanji_hebbian", **(small | {"encoder": "conv4", "shots": 2} | changes))


def test_labelled_drawings_and_queries_are_encoded_apart(planted):
    config = settings()
    task, inputs = plastic.make_task(config), []
    weights = plastic.layout(config).views(torch.stack([plastic.initial(config, seed) for seed in "01"]))
    inputs = torch.as_tensor(task.sample(8, np.random.default_rng(0)).inputs).unflatten(0, (2, 4))
    found = plastic.engine.encoded(config, inputs, weights)
    assert found.shape == (2, 4, 9, task.inputs) == (2, 4, 9, 260)
    assert torch.equal(found[..., 256:], inputs[..., 1024:])
    for k in range(2):
        model, _ = plain("conv4", 1, {name: weights[name][k] for name in conv4_shapes(1)})
        for part in (slice(6), slice(6, None)):
            shown = inputs[k, :, part, :1024].reshape(-1, 1, 32, 32).double()
            expected = model(shown).detach().view(4, -1, 256).float()
            torch.testing.assert_close(found[k, :, part, :256], expected, rtol=1e-3, atol=1e-4)
    with pytest.raises(ValueError, match=r"images takes inputs \(network, trial, time, 1028\), got"):
        plastic.engine.encoded(config, found, weights)


@pytest.mark.parametrize("rule", ["none", "hebbian", "gradient"])
def test_the_encoder_learns_through_the_rest(planted, rule):
    """The gradient of the loss is that of small steps, however many tokens are computed at once."""
    config = settings(rule=rule)
    flat = plastic.initial(config, "0")[None].double().requires_grad_()
    drawn = plastic.make_task(config).sample(2, np.random.default_rng(0))
    inputs, targets = (torch.as_tensor(part)[None] for part in drawn)

    def loss(flat, window=1):
        trace = plastic.run(config, plastic.layout(config).views(flat), inputs.double(), window=window)
        return F.cross_entropy(trace.answers[0, :, 6:].flatten(0, 1), targets[0, :, 6:].flatten())

    (gradient,) = torch.autograd.grad(loss(flat), flat)
    (again,) = torch.autograd.grad(loss(flat, 64), flat)
    torch.testing.assert_close(gradient, again, rtol=1e-6, atol=1e-9)
    found = plastic.layout(config).views(gradient)
    assert all(found[name].any() for name in conv4_shapes(1))
    with torch.no_grad():
        aim = torch.zeros_like(flat)
        size = sum(each[0].numel() for name, each in found.items() if name in conv4_shapes(1))
        aim[:, :size] = torch.randn(1, size, dtype=torch.float64)
        slope = (loss(flat + 1e-8 * aim).item() - loss(flat - 1e-8 * aim).item()) / 2e-8
    assert slope == pytest.approx((gradient * aim).sum().item(), rel=1e-3)


@pytest.mark.parametrize("rule", ["none", "hebbian", "gradient"])
def test_a_captured_graph_need_not_look_at_numbers(planted, rule):
    """Tensors without numbers go all the way: where the host asked for one, this would be an error."""
    config = settings(rule=rule)
    drawn = plastic.make_task(config).sample(4, np.random.default_rng(0))
    flat = torch.stack([plastic.initial(config, seed) for seed in "01"])
    own = plastic.knobs([config] * 2, flat)
    with FakeTensorMode() as mode:
        flat, own = mode.from_tensor(flat).clone().requires_grad_(), type(own)(*map(mode.from_tensor, own))
        inputs = mode.from_tensor(torch.as_tensor(drawn.inputs).unflatten(0, (2, 2)))
        trace = plastic.run(config, plastic.layout(config).views(flat), inputs, own, sweeps=8, window=9)
        (gradient,) = torch.autograd.grad(trace.answers.square().sum(), flat)
    assert gradient.shape == flat.shape and trace.answers.shape == (2, 2, 9, 3)


def test_first_kernels_are_uniform_by_their_inputs_in_every_body(planted):
    for config in (settings(), settings(body="rnn", positions=False), settings(body="lstm", positions=False)):
        weights = plastic.layout(config).views(plastic.initial(config, "0")[None])
        for k, inputs in enumerate((9, 576, 576, 576)):
            kernel = weights[f"encoder.{k}.weight"]
            assert 0.95 < kernel.abs().max() * inputs**0.5 <= 1
            assert (weights[f"encoder.{k}.norm.weight"] == 1).all()
            assert not weights[f"encoder.{k}.norm.bias"].any()
