"""N-back networks against torch.nn, one by one against many, and attention against a plain loop."""

import math

import pytest
import torch
import torch.nn.functional as F
from torch import nn

from wm.nback.families import config
from wm.nback.network import initial, layout, respond, run
from wm.nback.senses import embed
from wm.nback.task import TASKS, task_vectors

CHANNELS, IMAGES = 7, 11
KINDS = {"rnn": nn.RNN, "gru": nn.GRU, "lstm": nn.LSTM}


def settings(architecture="gru", **changes):
    return config(f"{architecture}_mtmf", **({"units": 8, "channels": 3, "length": 5} | changes))


def ensemble(kind, networks=3):
    """Weights of an ensemble with norms that are not those at the start, features, images and tasks."""
    flat = torch.stack([initial(kind, str(seed), CHANNELS) for seed in range(networks)])
    weights = layout(kind, CHANNELS).views(flat + 0.05 * torch.randn_like(flat))
    positions = {"gap": 1, "grid2": 4, "flatten": 49}[kind.pool]
    features = torch.randn(IMAGES, positions, CHANNELS)
    images = torch.randint(IMAGES, (networks, 6, kind.length))
    return weights, features, images, torch.randint(len(TASKS), (networks, 6))


def close(found, expected, tolerance=1e-6):
    torch.testing.assert_close(found, expected, rtol=tolerance, atol=tolerance)


# ---------------------------------------------------------------- the whole network


def loaded(kind, weights, k):
    """Layers of torch.nn with the weights of network k."""
    units, told, left = kind.units, kind.task_vector, kind.channels or kind.units
    positions = (weights["join.weight"].shape[2] - told) // left
    reduce, join = nn.Linear(CHANNELS, left), nn.Linear(positions * left + told, units)
    norm, answer = nn.LayerNorm(units), nn.Linear(units, 3)
    recurrent = KINDS[kind.architecture](units, units, kind.layers, batch_first=True)
    named = {"reduce": reduce, "join": join, "norm": norm, "answer": answer}
    for name, module in named.items():
        module.load_state_dict({each: weights[f"{name}.{each}"][k] for each in ("weight", "bias")})
    own = {}
    for layer in range(kind.layers):
        for ours, theirs in (("input", "ih"), ("hidden", "hh")):
            for each in ("weight", "bias"):
                own[f"{each}_{theirs}_l{layer}"] = weights[f"recurrent.{layer}.{ours}.{each}"][k]
    recurrent.load_state_dict(own)
    return reduce, join, norm, recurrent, answer


@pytest.mark.parametrize("architecture", KINDS)
@pytest.mark.parametrize(
    "changes", [{}, {"layers": 2}, {"channels": 0}, {"pool": "gap"}, {"pool": "flatten"}], ids=str
)
def test_a_network_is_that_of_torch(architecture, changes):
    kind = settings(architecture, **changes)
    weights, features, images, tasks = ensemble(kind)
    trace = run(kind, weights, features, images, tasks)
    for k in range(3):
        reduce, join, norm, recurrent, answer = loaded(kind, weights, k)
        maps = reduce(features)
        close(trace.embedding[k], maps)
        told = task_vectors(tasks[k])[:, None].expand(-1, kind.length, -1)
        x = F.relu(norm(join(torch.cat([maps[images[k]].flatten(2), told], dim=-1))))
        states, last = recurrent(x)
        close(trace.states[k], states)
        close(trace.logits[k], answer(states))
        if architecture == "lstm":
            close(trace.cells[k, :, -1], last[1][-1])
    assert (trace.cells is None) == (architecture != "lstm") and trace.attention is None
    assert torch.equal(trace.answers, trace.logits.argmax(-1))


@pytest.mark.parametrize("architecture", KINDS)
def test_gradients_are_those_of_torch(architecture):
    kind = settings(architecture)
    weights, features, images, tasks = ensemble(kind, networks=1)
    weights = {name: value.detach().clone().requires_grad_() for name, value in weights.items()}
    run(kind, weights, features, images, tasks).logits.square().sum().backward()
    reduce, join, norm, recurrent, answer = loaded(kind, weights, 0)
    told = task_vectors(tasks[0])[:, None].expand(-1, kind.length, -1)
    x = torch.cat([reduce(features)[images[0]].flatten(2), told], dim=-1)
    answer(recurrent(F.relu(norm(join(x))))[0]).square().sum().backward()
    close(weights["reduce.weight"].grad[0], reduce.weight.grad, 1e-5)
    close(weights["join.weight"].grad[0], join.weight.grad, 1e-5)
    close(weights["norm.bias"].grad[0], norm.bias.grad, 1e-5)
    close(weights["recurrent.0.hidden.weight"].grad[0], recurrent.weight_hh_l0.grad, 1e-5)
    close(weights["recurrent.0.input.bias"].grad[0], recurrent.bias_ih_l0.grad, 1e-5)


@pytest.mark.parametrize("architecture", KINDS)
@pytest.mark.parametrize("attention", ["none", "spatial", "task_only", "dual"])
def test_networks_of_an_ensemble_are_those_alone(architecture, attention):
    kind = settings(architecture, attention=attention)
    weights, features, images, tasks = ensemble(kind)
    together = run(kind, weights, features, images, tasks)
    for k in range(3):
        own = {name: value[k : k + 1] for name, value in weights.items()}
        alone = run(kind, own, features, images[k : k + 1], tasks[k : k + 1])
        for name in ("logits", "states", "embedding", "cells", "attention"):
            found, expected = getattr(together, name), getattr(alone, name)
            assert (found is None) == (expected is None)
            if found is not None:
                close(found[k], expected[0])


def test_the_published_sizes_are_about_the_same():
    sizes = {}
    for architecture in KINDS:
        shapes = layout(config(architecture)).shapes
        recurrent = [math.prod(shape) for name, shape in shapes.items() if name.startswith("recurrent")]
        sizes[architecture] = sum(recurrent)
        inside = KINDS[architecture](config(architecture).units, config(architecture).units)
        assert sizes[architecture] == sum(each.numel() for each in inside.parameters())
    assert sizes == {"rnn": 525312, "gru": 394752, "lstm": 526336}


# ---------------------------------------------------------------- start, in the middle, between layers


def test_first_parameters_are_those_of_torch_layers():
    kind = config("gru", units=64)
    weights = layout(kind, 100).views(initial(kind, "0", 100)[None])
    joined = 1 / math.sqrt(4 * 64 + 6)
    for name, reach in {"reduce": 0.1, "join": joined, "recurrent.0.hidden": 1 / 8, "answer": 1 / 8}.items():
        for each in ("weight", "bias"):
            largest = weights[f"{name}.{each}"].abs().max()
            assert 0.6 * reach < largest <= reach
    assert (weights["norm.weight"] == 1).all() and (weights["norm.bias"] == 0).all()


def test_seeds_are_paired_where_shapes_are_alike():
    one, other = (layout(kind).views(initial(kind, "3")[None]) for kind in (config("gru"), config("lstm")))
    assert torch.equal(one["reduce.weight"], other["reduce.weight"])
    assert not torch.equal(one["reduce.weight"][:, :3], one["join.weight"][:, :3, :1280])
    assert not torch.equal(initial(config("gru"), "3"), initial(config("gru"), "4"))


@pytest.mark.parametrize("architecture", KINDS)
def test_a_trial_can_be_taken_up_in_the_middle(architecture):
    kind = settings(architecture, layers=2)
    weights, features, images, tasks = ensemble(kind)
    table = embed(weights, features)
    whole = respond(kind, weights, table, images, tasks=tasks)
    start = states_of_layers(kind, weights, table, images[:, :, :2], tasks)
    later = respond(kind, weights, table, images[:, :, 2:], tasks=tasks, start=start)
    close(later.logits, whole.logits[:, :, 2:])


def states_of_layers(kind, weights, table, images, tasks):
    """Last states (network, trial, layer, unit), and cells, of both layers."""
    first = settings(kind.architecture, layers=1)
    traces = [respond(each, weights, table, images, tasks=tasks) for each in (first, kind)]
    parts = [[trace.states, trace.cells] for trace in traces]
    return tuple(
        torch.stack([below[:, :, -1], above[:, :, -1]], dim=2)
        for below, above in zip(*parts, strict=True)
        if below is not None
    )


def test_masks_act_between_layers_only():
    kind = settings(layers=2)
    weights, features, images, tasks = ensemble(kind)
    ones = torch.ones(1, *images.shape, kind.units)
    plain = run(kind, weights, features, images, tasks)
    close(run(kind, weights, features, images, tasks, masks=ones).logits, plain.logits)
    none = run(kind, weights, features, images, tasks, masks=0 * ones)
    assert (none.states[0] == none.states[0, 0]).all() and not torch.equal(none.states, plain.states)


# ---------------------------------------------------------------- attention


def test_spatial_attention_is_that_of_a_plain_loop_and_so_is_its_gradient():
    kind = settings(attention="spatial")
    weights, features, images, tasks = ensemble(kind, networks=2)
    weights = {name: value.double().detach().requires_grad_() for name, value in weights.items()}
    features = features.double()
    trace = run(kind, weights, features, images, tasks)
    expected = torch.stack([
        torch.stack([plain_spatial(weights, k, features[images[k, b]], tasks[k, b]) for b in range(6)])
        for k in range(2)
    ])  # fmt: skip
    given, names = respond_from(kind, weights, expected), [*weights]
    close(given, trace.logits)
    assert trace.attention.shape == (2, 6, 5, 4)
    close(trace.attention.sum(-1), torch.ones(2, 6, 5).double())
    ours, theirs = (
        torch.autograd.grad(each.square().sum(), list(weights.values()), retain_graph=True)
        for each in (trace.logits, given)
    )
    for name, one, other in zip(names, ours, theirs, strict=True):
        torch.testing.assert_close(one, other, rtol=1e-8, atol=1e-10, msg=name)
        assert one.abs().max() > 0


def plain_spatial(weights, k, seen, task):
    """Input of the recurrent layer of network k, (time, unit), position by position."""
    w = {name: value[k] for name, value in weights.items()}
    vector = task_vectors(task[None])[0].double()
    query = w["attention.second.weight"] @ F.relu(
        w["attention.first.weight"] @ vector + w["attention.first.bias"]
    ) + w["attention.second.bias"]  # fmt: skip
    rows = []
    for image in seen:
        maps = [w["reduce.weight"] @ position + w["reduce.bias"] for position in image]
        keys = [F.relu(w["attention.key.weight"] @ each + w["attention.key.bias"]) for each in maps]
        scores = [w["attention.scale"][0] * w["attention.score.weight"][0] @ (query * key) for key in keys]
        shares = torch.stack(scores).softmax(0)
        parts = [4 * share * each for share, each in zip(shares, maps, strict=True)]
        joined = w["join.weight"] @ torch.cat([*parts, vector]) + w["join.bias"]
        rows.append(F.relu(F.layer_norm(joined, joined.shape, w["norm.weight"], w["norm.bias"])))
    return torch.stack(rows)


def respond_from(kind, weights, x):
    from wm.nback.network import _recurrent
    from wm.nback.senses import affine

    return affine(weights, "answer", _recurrent(kind.architecture, weights, "recurrent.0", x, start=None)[0])


@pytest.mark.parametrize("attention", ["task_only", "dual"])
def test_gates_of_channels_are_those_of_plain_layers(attention):
    kind = settings(attention=attention)
    weights, features, images, tasks = ensemble(kind, networks=1)
    trace = run(kind, weights, features, images, tasks)
    w = {name: value[0] for name, value in weights.items()}

    def layer(name, x):
        return F.linear(x, w[f"attention.{name}.weight"], w[f"attention.{name}.bias"])

    told = task_vectors(tasks[0])[:, None].expand(-1, 5, -1)
    seen = F.linear(features, w["reduce.weight"], w["reduce.bias"])[images[0]]
    if attention == "dual":
        expected = layer("third", F.relu(layer("second", F.relu(layer("first", told)) * F.relu(
            layer("key", seen.mean(2))))))  # fmt: skip
    else:
        hidden = F.relu(layer("second", F.relu(layer("first", told))))
        expected = layer("third", hidden) + F.linear(told, w["attention.direct.weight"])
    close(trace.attention[0], torch.sigmoid(expected))
    gated = (seen * torch.sigmoid(expected)[:, :, None]).flatten(2)
    x = F.linear(torch.cat([gated, told], dim=-1), w["join.weight"], w["join.bias"])
    x = F.relu(F.layer_norm(x, x.shape[-1:], w["norm.weight"], w["norm.bias"]))
    close(trace.logits, respond_from(kind, weights, x[None]))


def test_even_attention_changes_nothing():
    kind, plain = settings(attention="spatial"), settings()
    weights, features, images, tasks = ensemble(kind)
    weights["attention.scale"] = torch.zeros(3, 1)
    found = run(kind, weights, features, images, tasks)
    close(found.logits, run(plain, weights, features, images, tasks).logits, 1e-5)
