"""Simulation of ring networks against the update equation in plain numpy, and what an ensemble may not do."""

import numpy as np
import pytest
import torch

from wm.ring import (
    FAMILIES,
    Delays,
    RingLearner,
    Task,
    Weights,
    block_noise,
    build,
    config,
    design,
    drive,
    errors,
    initial,
    outputs,
    simulate,
    steps,
    task_of,
)  # fmt: skip
from wm.train import torch_generator

SHORT = Delays(fixation=np.array([1, 3]), onset=np.array([3, 1]), delay=np.array([9, 12]))


def task(units, **changes):
    spans = {"fixation": (1, 3), "onset": (1, 4), "delay": (8, 12), "shown": 3, "go": 6}
    return Task(inputs=units, **(spans | changes))


def ensemble(family, units=12, seeds=("0", "1"), dtype=torch.float64, **changes):
    """Weights with random parameters, and the parameters (leaves)."""
    settings = config(family, units=units, **changes)
    generator = torch.Generator().manual_seed(5)
    parameters = {k: v.to(dtype) for k, v in initial(settings, seeds).items()}
    for name, value in parameters.items():
        value += 0.3 * torch.randn(value.shape, generator=generator, dtype=dtype)
        if name == "scalars":  # small and positive: rates neither silent nor saturated
            value.copy_(0.05 + 0.25 * torch.rand(value.shape, generator=generator, dtype=dtype))
        value.requires_grad_()
    fixed = None
    if not FAMILIES[family].trained_fully:
        fixed = design(settings, seeds)
        fixed = type(fixed)(*(row.to(dtype) for row in vars(fixed).values()))
    return build(settings, parameters, fixed), parameters


def batch_for(units, networks=2, trials=3, extra=0, delays=SHORT, **changes):
    directions = np.random.default_rng(2).uniform(0, 360, (networks, trials, 2))
    made = task(units, **changes)
    return made.batch(directions, delays, steps=made.steps(delays) + extra)


def plain_simulation(w, u, b, x, noise, rectified):
    """Rates (time, unit) of one trial, one multiplication at a time (tau = 10 steps)."""
    a = h = np.zeros(len(b))
    rates = []
    for t in range(len(x)):
        a = a + (1 / 10) * (-a + w @ h + u @ x[t] + b)
        h = np.maximum(np.tanh(a), 0) if rectified else np.tanh(a)
        h = h + noise[t]
        rates.append(h)
    return np.array(rates)


@pytest.mark.parametrize("nonlinearity", ["retanh", "tanh"])
@pytest.mark.parametrize("family", ["wmd", "it", "g_rt"])
def test_simulation_is_the_equation(family, nonlinearity):
    weights, _ = ensemble(family, nonlinearity=nonlinearity)
    batch = batch_for(12)
    noise = 0.1 * torch.randn(batch.steps, 2, 3, 12, dtype=torch.float64)
    with torch.no_grad():
        rates = simulate(weights, batch, noise=lambda t: noise[t])
        y = outputs(weights, rates)
    assert rates.shape == (2, 3, batch.steps, 12) and y.shape == (2, 3, batch.steps, 2)
    w, u, b, v = (
        x.detach().numpy() for x in (weights.dense(), weights.inputs, weights.bias, weights.readout)
    )
    x = batch.inputs(dtype=torch.float64).numpy()
    for n in range(2):
        for k in range(3):
            h = plain_simulation(w[n], u[n], b[n], x[n, k], noise[:, n, k].numpy(), nonlinearity == "retanh")
            np.testing.assert_allclose(rates[n, k], h, atol=1e-6)
            np.testing.assert_allclose(y[n, k], h @ v[n].T, atol=1e-6)
    assert nonlinearity == "tanh" or (rates < 0).any()  # noise is added after the rectifier


def test_nothing_is_fed_back_at_the_first_step():
    weights, _ = ensemble("wmd")
    a, h = next(steps(weights, batch_for(12)))
    torch.testing.assert_close(a, (weights.bias / 10)[:, None].expand_as(a))
    torch.testing.assert_close(h, torch.tanh(a).relu())


def test_window_is_a_slice_of_time():
    weights, _ = ensemble("rt")
    whole = simulate(weights, batch_for(12))
    assert torch.equal(simulate(weights, batch_for(12), window=slice(4, 9)), whole[:, :, 4:9])
    assert not whole.requires_grad


def test_drive_is_the_input_times_its_weights():
    weights, _ = ensemble("g")
    batch = batch_for(12)
    patterns, on = drive(weights, batch)
    external = torch.einsum("nte,nebu->nbtu", on, patterns)
    wanted = torch.einsum("nui,nbti->nbtu", weights.inputs, batch.inputs(dtype=torch.float64))
    torch.testing.assert_close(external, wanted + weights.bias[:, None, None], atol=1e-6, rtol=0)


def test_no_noise_is_deterministic_and_noise_belongs_to_the_network():
    weights, _ = ensemble("wmd", dtype=torch.float32)
    batch = batch_for(12)
    assert torch.equal(simulate(weights, batch), simulate(weights, batch))

    def noisy(seeds, networks, noise=0.1):
        source = block_noise([torch_generator(s, "n") for s in seeds], 3, 12, noise=noise)
        delays = Delays(*(d[networks] for d in SHORT))
        made = batch.task.batch(batch.directions_deg[networks], delays, steps=batch.steps)
        return simulate(weights.select(networks), made, noise=source)

    both = noisy("ab", [0, 1])
    assert torch.equal(both, noisy("ab", [0, 1])) and not torch.equal(both, noisy("ac", [0, 1]))
    torch.testing.assert_close(noisy("b", [1])[0], both[1])
    assert torch.equal(noisy("ab", [0, 1], noise=0.0), simulate(weights, batch))


def test_block_noise_has_the_wanted_scale_and_no_repeats():
    source = block_noise([torch_generator(k, "n") for k in range(2)], 50, 20, noise=0.3)
    drawn = torch.stack([source(t).clone() for t in range(40)])
    assert float(drawn.std()) == pytest.approx(0.3, rel=0.02) and abs(float(drawn.mean())) < 0.005
    correlations = torch.corrcoef(drawn.movedim(1, 0).flatten(2).flatten(0, 1))
    assert float((correlations - torch.eye(80)).abs().max()) < 0.2


def test_order_of_trials_is_irrelevant():
    weights, _ = ensemble("g_it")
    batch = batch_for(12, trials=5)
    order = [3, 0, 4, 1, 2]
    shuffled = batch.task.batch(batch.directions_deg[:, order], SHORT)
    torch.testing.assert_close(simulate(weights, shuffled), simulate(weights, batch)[:, order])


def test_networks_do_not_touch_each_other():
    weights, parameters = ensemble("wmd")
    batch = batch_for(12)
    *_, (_, h) = steps(weights, batch)
    gradients = torch.autograd.grad(h[0].square().sum(), [parameters["recurrent"], parameters["inputs"]])
    for gradient in gradients:
        assert gradient[0].any() and not gradient[1].any()


@pytest.mark.parametrize("family", ["wmd", "rt"])
def test_padding_changes_nothing(family):
    weights, _ = ensemble(family)
    short, long = batch_for(12), batch_for(12, extra=7)
    noise = torch.randn(long.steps, 2, 3, 12, dtype=torch.float64)
    rates = [simulate(weights, batch, noise=lambda t: noise[t]) for batch in (short, long)]
    assert rates[1].shape[2] == rates[0].shape[2] + 7
    torch.testing.assert_close(rates[1][:, :, : short.steps], rates[0])
    assert short.mask().sum() == long.mask().sum() == 2 * short.task.go


@pytest.mark.parametrize("family", FAMILIES)
def test_every_parameter_gets_a_gradient(family):
    weights, parameters = ensemble(family, units=20)
    batch = batch_for(20)
    rates = torch.stack([h for _, h in steps(weights, batch)], dim=2)
    y = outputs(weights, rates)
    loss = (y - torch.as_tensor(batch.targets())[:, :, None]).square().sum()
    for name, gradient in zip(parameters, torch.autograd.grad(loss, list(parameters.values())), strict=True):
        assert gradient.isfinite().all(), name
        if name in ("scalars", "shifts", "bias", "readout"):
            assert (gradient != 0).any(0).all(), name
        else:
            assert (gradient != 0).double().mean() > 0.5, name


def test_select_and_dtype():
    weights, _ = ensemble("g")
    second = weights.select([1])
    assert torch.equal(second.left, weights.left[1:]) and second.bias.shape == (1, 12)
    assert weights.to(torch.float32).inputs.dtype == torch.float32
    assert weights.select(slice(0, 1)).nonlinearity == "retanh"


def test_weights_refuse_a_recurrence_given_twice_or_never():
    w, u = torch.zeros(1, 4, 4), torch.zeros(1, 4, 5)
    b, v, low = torch.zeros(1, 4), torch.zeros(1, 2, 4), torch.zeros(1, 4, 2)
    for recurrence in ({}, {"recurrent": w, "left": low, "right": low}):
        with pytest.raises(ValueError, match="give the recurrence once: `recurrent`, or `left` and `right`"):
            Weights(u, b, v, **recurrence)
    with pytest.raises(ValueError, match="unknown nonlinearity 'relu': one of retanh, tanh"):
        Weights(u, b, v, recurrent=w, nonlinearity="relu")


# ---------------------------------------------------------------- errors


@pytest.mark.parametrize("probability", [0.0, 1.0])
def test_errors_are_those_of_the_simulated_outputs(probability):
    weights, _ = ensemble("wmd", dtype=torch.float32)
    made = task(12, distractor_probability=probability)
    found = errors(weights, made, noise=0.1, directions=4, delays=Delays(2, 3, 9))
    generators = [torch_generator(k, "evaluation") for k in range(2)]
    grid = np.broadcast_to(np.array([(i * 90.0, j * 90.0) for i in range(4) for j in range(4)]), (2, 16, 2))
    batch = made.batch(grid, Delays(2, 3, 9), present=bool(probability))
    rates = simulate(weights, batch, noise=block_noise(generators, 16, 12, noise=0.1), window=slice(-6, None))
    y = outputs(weights, rates).detach().double().numpy()
    reported = np.degrees(np.arctan2(y[..., 0], y[..., 1]))
    wrapped = (reported - grid[..., :1] + 180) % 360 - 180
    np.testing.assert_allclose(found.error_deg, np.sqrt((wrapped**2).mean((1, 2))), rtol=1e-4)
    squared = (y - batch.targets()[:, :, None]) ** 2
    np.testing.assert_allclose(found.mse, squared.mean((1, 2, 3)), rtol=1e-4)  # the average over both outputs


def test_a_perfect_and_a_lost_reader_have_known_errors():
    """No recurrence, tuned go-step memory is impossible: a silent network reports atan2(0, 0) = 0 deg."""
    u = torch.zeros(1, 4, 5)
    silent = Weights(u, torch.zeros(1, 4), torch.zeros(1, 2, 4), recurrent=torch.zeros(1, 4, 4))
    found = errors(silent, task(4), noise=0.0, directions=4, delays=Delays(2, 3, 9))
    assert found.error_deg[0] == pytest.approx(np.sqrt((0 + 90**2 + 180**2 + 90**2) / 4), rel=1e-5)
    assert found.mse[0] == pytest.approx(0.5)


def test_errors_without_noise_repeat_and_with_noise_differ():
    weights, _ = ensemble("rt", dtype=torch.float32)
    made, generators = task_of(config("rt", units=12)), [torch_generator(k, "e") for k in range(2)]
    quiet = [errors(weights, made, noise=0.0, directions=3).error_deg for _ in range(2)]
    np.testing.assert_array_equal(*quiet)
    noisy = [errors(weights, made, generators=generators, directions=3).error_deg for _ in range(2)]
    assert (noisy[0] != noisy[1]).all()


@pytest.mark.parametrize("noise", [-0.1, float("nan")])
def test_errors_refuse_bad_noise(noise):
    weights, _ = ensemble("rt")
    with pytest.raises(ValueError, match="noise must be 0 or more, got"):
        errors(weights, task(12), noise=noise)


def test_learner_starts_at_a_loss_of_one():
    """The read-out starts at zero: the summed squared target is sin^2 + cos^2."""
    learner = RingLearner(config("it", units=20, trials=4), ["0", "1"])
    torch.testing.assert_close(learner.update()["loss"], torch.ones(2))
