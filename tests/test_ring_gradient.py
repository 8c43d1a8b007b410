"""The hand-written gradient against autograd through the plain equations, and against finite differences."""

import numpy as np
import pytest
import torch

from wm.ring import FAMILIES, Delays, Task, build, config, design, drive, initial, steps
from wm.ring.gradient import Workspace, recurrence

UNITS, TRIALS = 12, 4
DELAYS = Delays(fixation=np.array([1, 3]), onset=np.array([3, 1]), delay=np.array([9, 12]))
TASK = Task(inputs=UNITS, fixation=(1, 3), onset=(1, 4), delay=(8, 12), shown=3, go=6)


def batch(extra=0):
    directions = np.random.default_rng(2).uniform(0, 360, (2, TRIALS, 2))
    present = np.array([[True, True, False, True], [True, False, True, True]])
    return TASK.batch(directions, DELAYS, present=present, steps=TASK.steps(DELAYS) + extra)


def network(family, **changes):
    """Random float64 parameters (leaves), and the function that builds weights from them."""
    settings, seeds = config(family, units=UNITS, **changes), ["0", "1"]
    generator = torch.Generator().manual_seed(5)
    parameters = {k: v.to(torch.float64) for k, v in initial(settings, seeds).items()}
    for name, value in parameters.items():
        value += 0.3 * torch.randn(value.shape, generator=generator, dtype=torch.float64)
        if name == "scalars":  # small and positive: rates neither silent nor saturated
            value.copy_(0.05 + 0.25 * torch.rand(value.shape, generator=generator, dtype=torch.float64))
        value.requires_grad_()
    fixed = None
    if not FAMILIES[family].trained_fully:
        fixed = design(settings, seeds)
        fixed = type(fixed)(*(row.double() for row in vars(fixed).values()))
    return parameters, lambda: build(settings, parameters, fixed)


def noise_for(made, scale=0.1):
    generator = torch.Generator().manual_seed(9)
    return scale * torch.randn(2, made.steps, TRIALS, UNITS, generator=generator, dtype=torch.float64)


def objective(y, rates, made, parameters, *, l2, activity):
    """Loss of both networks from y (network, time, trial, 2) and rates (network, time, trial, unit)."""
    squared = (y - torch.as_tensor(made.targets())[:, None]).square().sum(-1).mean(-1)
    loss = (squared * torch.as_tensor(made.mask())).sum(1) / TASK.go
    loss = loss + l2 * sum(p.square().flatten(1).sum(1) for p in parameters.values())
    return (loss + activity * rates.square().mean((1, 2, 3))).sum()


def fast(weights, made, noise):
    patterns, on = drive(weights, made)
    work = Workspace.empty(tuple(noise.shape), dtype=noise.dtype)
    work.noise.copy_(noise)
    return recurrence(weights, patterns, on, work)


def plain(weights, made, noise):
    rates = torch.stack([h for _, h in steps(weights, made, noise=lambda t: noise[:, t])], dim=1)
    return torch.einsum("nou,ntbu->ntbo", weights.readout, rates), rates


def gradients(forward, parameters, weights, made, noise, **terms):
    y, rates = forward(weights(), made, noise)
    loss = objective(y, rates, made, parameters, **terms)
    return (
        loss.detach(),
        torch.autograd.grad(loss, list(parameters.values())),
        y.detach(),
        rates.detach().clone(),
    )


CASES = [(family, nonlinearity, 1) for family in FAMILIES for nonlinearity in ("retanh", "tanh")]
CASES += [("rt", "retanh", 3), ("g_it", "retanh", 10), ("rt_learned", "tanh", 2)]


@pytest.mark.parametrize("family, nonlinearity, exponent", CASES)
@pytest.mark.parametrize("terms", [{"l2": 0.0, "activity": 0.0}, {"l2": 0.01, "activity": 2.0}])
def test_gradient_is_that_of_autograd(family, nonlinearity, exponent, terms):
    parameters, weights = network(family, nonlinearity=nonlinearity, exponent=exponent)
    made = batch()
    noise = noise_for(made)
    loss, expected, y, rates = gradients(plain, parameters, weights, made, noise, **terms)
    got_loss, got, got_y, got_rates = gradients(fast, parameters, weights, made, noise, **terms)
    torch.testing.assert_close(got_loss, loss, rtol=1e-11, atol=0)
    torch.testing.assert_close((got_y, got_rates), (y, rates), rtol=0, atol=1e-11)
    for name, a, b in zip(parameters, got, expected, strict=True):
        assert b.any(), name
        torch.testing.assert_close(
            a, b, rtol=1e-8, atol=1e-11 * float(b.abs().max()), msg=f"gradient of {name}"
        )


def test_rates_alone_have_a_gradient():
    """Without the read-out in the loss its gradient path is skipped."""
    parameters, weights = network("wmd")
    made = batch()
    found = []
    for forward in (fast, plain):
        _, rates = forward(weights(), made, noise_for(made))
        wanted = [parameters[name] for name in ("recurrent", "inputs", "bias")]
        found.append(torch.autograd.grad(rates.pow(3).sum(), wanted))
    torch.testing.assert_close(*found, rtol=1e-8, atol=1e-10)


@pytest.mark.parametrize("family", ["wmd", "g_rt"])
def test_padding_changes_no_gradient(family):
    parameters, weights = network(family)
    short, long = batch(), batch(extra=9)
    noise, terms = noise_for(long), {"l2": 0.01, "activity": 0.0}
    _, a, *_ = gradients(fast, parameters, weights, short, noise[:, : short.steps].contiguous(), **terms)
    _, b, *_ = gradients(fast, parameters, weights, long, noise, **terms)
    torch.testing.assert_close(a, b, rtol=1e-10, atol=1e-12)


@pytest.mark.parametrize("family, name", [("rt", "scalars"), ("wmd", "recurrent"), ("rt_learned", "shifts")])
def test_gradient_is_the_finite_difference(family, name):
    parameters, weights = network(family, nonlinearity="tanh")  # smooth, so differences converge
    made, terms, step = batch(), {"l2": 0.01, "activity": 1.0}, 1e-6
    noise = noise_for(made)
    _, got, *_ = gradients(fast, parameters, weights, made, noise, **terms)
    gradient = dict(zip(parameters, got, strict=True))[name]
    values = parameters[name].detach().view(-1)
    for k in (0, 1, values.numel() - 1):
        sides = []
        for change in (step, -2 * step):
            values[k] += change
            y, rates = fast(weights(), made, noise)
            sides.append(float(objective(y, rates, made, parameters, **terms).detach()))
        values[k] += step
        assert (sides[0] - sides[1]) / (2 * step) == pytest.approx(
            float(gradient.view(-1)[k]), rel=1e-4, abs=1e-7
        )


def test_buffers_are_reused_without_a_trace():
    parameters, weights = network("it")
    made = batch()
    patterns_on = drive(weights(), made)
    work = Workspace.empty((2, made.steps, TRIALS, UNITS), dtype=torch.float64)
    found = []
    for _ in range(2):
        work.noise.copy_(noise_for(made))
        y, _ = recurrence(weights(), *patterns_on, work)
        found.append(torch.autograd.grad(y.square().sum(), parameters["scalars"], retain_graph=True)[0])
    assert torch.equal(*found)


def test_noisy_rates_take_the_place_of_the_noise():
    _, weights = network("g")
    made = batch()
    work = Workspace.empty((2, made.steps, TRIALS, UNITS), dtype=torch.float64)
    work.noise.zero_()
    with torch.no_grad():
        _, rates = recurrence(weights(), *drive(weights(), made), work)
    assert rates.data_ptr() == work.noise.data_ptr() and torch.equal(rates, work.rates)
