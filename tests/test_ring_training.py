"""Training of ring ensembles: against a plain loop, resumed, frozen, monitored, and learning."""

import itertools
import math
from dataclasses import replace

import numpy as np
import pytest
import torch

from wm import ring, train
from wm.ring import RingLearner, config, design, errors, initial, outputs, steps, task_of
from wm.ring.batches import Batches
from wm.ring.construction import untrained
from wm.ring.fused import keys_of
from wm.ring.fused_cpu import normals
from wm.ring.learner import ENGINES
from wm.train import run, torch_generator

SEEDS = ["0", "7", "x"]
CLOSE = {"rtol": 1e-3, "atol": 2e-6}


def small(family, **changes):
    return config(family, **({"units": 16, "trials": 4} | changes))


def noise_of(settings, seed, engine):
    """Scaled noise (time, trial, unit) of one training step after the other, as the engine draws it."""
    shape, generator = (290, settings.trials, settings.units), torch_generator(seed, "noise")
    for step in itertools.count():
        if engine == "eager":
            yield torch.empty(shape).normal_(std=settings.noise, generator=generator)
        else:
            yield settings.noise * normals(keys_of([seed]), step, *shape)[0]


def plain_updates(settings, seed, updates, engine):
    """Parameters and losses of one network: plain equations, torch's Adam and clipping."""
    fixed = None if ring.FAMILIES[settings.family].trained_fully else design(settings, [seed])
    parameters = {k: v.requires_grad_() for k, v in initial(settings, [seed]).items()}
    adam = torch.optim.Adam(parameters.values(), lr=settings.learning_rate)
    batches, noises = Batches(task_of(settings), [seed], settings.trials), noise_of(settings, seed, engine)
    losses = []
    for k in range(updates):
        batch, noise = batches.at(k), next(noises)
        weights = ring.build(settings, parameters, fixed)
        rates = torch.stack([h for _, h in steps(weights, batch, noise=lambda t, n=noise: n[None, t])], dim=2)
        squared = (outputs(weights, rates) - torch.as_tensor(batch.targets())[:, :, None]).square().sum(-1)
        loss = squared[:, :, batch.mask()[0]].mean()
        loss = loss + settings.l2 * sum(p.square().sum() for p in parameters.values())
        loss = loss + settings.activity * rates[:, :, batch.within()[0] > 0].square().mean()
        adam.zero_grad()
        loss.backward()
        torch.nn.utils.clip_grad_norm_(parameters.values(), settings.clip)
        adam.step()
        losses.append(float(loss.detach()))
    return {k: v.detach()[0] for k, v in parameters.items()}, losses


def trained(settings, seeds, updates, engine=None):
    learner = RingLearner(settings, seeds, engine=engine)
    losses = [learner.update()["loss"].clone() for _ in range(updates)]
    return learner, torch.stack(losses, dim=1)


def same(a, b):
    """Whether two nested states are equal to the last bit."""
    if isinstance(a, dict):
        return a.keys() == b.keys() and all(same(a[k], b[k]) for k in a)
    if isinstance(a, list | tuple):
        return len(a) == len(b) and all(map(same, a, b))
    if isinstance(a, torch.Tensor):
        return torch.equal(a, b)
    return np.array_equal(a, b)


TERMS = [("eager", {}), ("eager", {"l2": 1e-3, "activity": 0.1, "clip": 0.05})]
TERMS += [("fused", {}), ("fused", {"l2": 1e-3, "clip": 0.05})]


@pytest.mark.parametrize("engine, changes", TERMS, ids=["eager", "eager, clipped", "fused", "fused, clipped"])
@pytest.mark.parametrize("family", ["wmd", "g_rt", "rt_learned"])
def test_an_ensemble_is_a_plain_loop_over_its_networks(family, engine, changes):
    settings = small(family, **changes)
    learner, losses = trained(settings, SEEDS, 3, engine)
    assert learner.engine == engine
    for k, seed in enumerate(SEEDS):
        parameters, expected = plain_updates(settings, seed, 3, engine)
        np.testing.assert_allclose(losses[k], expected, rtol=2e-4)
        for name, value in parameters.items():
            torch.testing.assert_close(learner.parameters[name].detach()[k], value, **CLOSE)


@pytest.mark.parametrize("engine", ENGINES)
@pytest.mark.parametrize("family", ["wmd", "g_it"])
def test_an_ensemble_is_its_networks_trained_alone(family, engine):
    settings = small(family)
    together, losses = trained(settings, SEEDS, 2, engine)
    for k, seed in enumerate(SEEDS):
        alone, own = trained(settings, [seed], 2, engine)
        torch.testing.assert_close(losses[k], own[0])
        for name, value in alone.parameters.items():
            torch.testing.assert_close(together.parameters[name].detach()[k], value.detach()[0], **CLOSE)


def test_order_of_networks_is_irrelevant():
    forward, losses = trained(small("it"), SEEDS, 2)
    backward, turned = trained(small("it"), SEEDS[::-1], 2)
    torch.testing.assert_close(turned.flip(0), losses)
    torch.testing.assert_close(backward.parameters["scalars"].flip(0), forward.parameters["scalars"], **CLOSE)


@pytest.mark.parametrize("engine", ENGINES)
def test_threads_do_not_change_the_noise(engine, monkeypatch):
    one, _ = trained(small("wmd", trials=3), SEEDS, 1, engine)
    monkeypatch.setattr(torch, "get_num_threads", lambda: 2)
    two, _ = trained(small("wmd", trials=3), SEEDS, 1, engine)
    assert same(one.state_dict(), two.state_dict())


def test_training_uses_no_global_generator(own_randomness):
    trained(small("wmd"), SEEDS, 2)


def test_metrics_are_per_network_and_the_norm_is_unclipped():
    learner = RingLearner(small("wmd", clip=1e-6), SEEDS)
    metrics = learner.update()
    assert set(metrics) == {"loss", "gradient_norm", "error_deg"}
    assert all(value.shape == (3,) for value in metrics.values())
    assert (metrics["gradient_norm"] > 1e-3).all()
    norms = sum(p.grad.square().flatten(1).sum(1) for p in learner.parameters.values()).sqrt()
    torch.testing.assert_close(norms, torch.full((3,), 1e-6), rtol=2e-3, atol=0)
    assert (metrics["error_deg"] == 180).all()  # not monitored yet


# ---------------------------------------------------------------- resume


@pytest.fixture
def watched(monkeypatch):
    """Monitor every second update."""
    monkeypatch.setattr(ring.learner, "MONITOR_EVERY", 2)


@pytest.mark.parametrize("engine", ENGINES)
@pytest.mark.parametrize("family", ["wmd_stopped", "g_rt", "rt_learned"])
def test_resumed_training_has_the_same_bits(family, engine, tmp_path, watched):
    settings = small(family)
    whole = RingLearner(settings, SEEDS[:2], engine=engine)
    expected = [metrics.values for metrics in run(whole, 7, progress=False)]
    found = []
    first = RingLearner(settings, SEEDS[:2], engine=engine)
    for metrics in run(first, 7, checkpoint=tmp_path, checkpoint_every=2, progress=False):
        found.append(metrics.values)
        if metrics.step == 3:
            break
    resumed = RingLearner(settings, SEEDS[:2], engine=engine)
    found += [m.values for m in run(resumed, 7, checkpoint=tmp_path, checkpoint_every=2, progress=False)]
    assert len(found) == 7 and all(same(a, b) for a, b in zip(found, expected, strict=True))
    assert same(resumed.state_dict(), whole.state_dict())


def test_resuming_with_other_networks_is_refused(tmp_path):
    settings = small("g")
    for seeds in (["0"], ["0", "1"]):
        identity = {"seeds": ",".join(seeds)}
        made = run(RingLearner(settings, seeds), 1, checkpoint=tmp_path, config=identity, progress=False)
        if len(seeds) == 1:
            list(made)
        else:
            with pytest.raises(train.WrongConfig, match="seeds"):
                list(made)


# ---------------------------------------------------------------- monitoring and freezing


@pytest.mark.parametrize("engine", ENGINES)
def test_monitoring_does_not_disturb_training(engine, monkeypatch):
    states = []
    for every in (1, 10**9):
        monkeypatch.setattr(ring.learner, "MONITOR_EVERY", every)
        learner, _ = trained(small("wmd"), SEEDS[:2], 3, engine)
        states.append(learner.state_dict())
    assert same(states[0]["parameters"], states[1]["parameters"])
    assert same(states[0]["generators"][0], states[1]["generators"][0])
    assert not same(states[0]["generators"][1], states[1]["generators"][1])
    assert (states[0]["monitored_deg"] < 180).all() and (states[1]["monitored_deg"] == 180).all()


def test_frozen_networks_do_not_move(watched):
    settings = small("wmd_stopped", stop_below_deg=1e-9)
    learner, free = RingLearner(settings, SEEDS), RingLearner(settings, SEEDS)
    for each in (learner, free):
        each.update()
        each.update()
    before = {name: value.detach().clone() for name, value in learner.parameters.items()}
    monitored = learner.monitored_deg.copy()
    learner.frozen[1] = True
    for each in (learner, free):
        each.update()
        each.update()
    for name, value in learner.parameters.items():
        assert torch.equal(value[1], before[name][1]), name
        assert not torch.equal(value[0], before[name][0])
        assert torch.equal(value[0::2], free.parameters[name][0::2])  # the others do not notice
    assert learner.monitored_deg[1] == monitored[1] and learner.monitored_deg[0] != monitored[0]
    assert not learner.finished


def test_a_network_freezes_when_it_is_good_enough(watched):
    learner = RingLearner(small("wmd_stopped", stop_below_deg=180.0), SEEDS[:2])
    learner.update()
    assert not learner.frozen.any() and not learner.finished
    learner.update()
    assert learner.frozen.all() and learner.finished
    assert (learner.best_mse < np.inf).all()
    with torch.no_grad():
        sources = [torch_generator(seed, "monitor") for seed in SEEDS[:2]]
        found = errors(learner.weights(), learner.task, noise=0.1, generators=sources, directions=6)
    np.testing.assert_array_equal(found.error_deg, learner.monitored_deg)
    np.testing.assert_array_equal(found.mse, learner.best_mse)


def test_only_a_new_best_freezes(watched):
    learner = RingLearner(small("wmd_stopped", stop_below_deg=180.0), SEEDS[:2])
    learner.best_mse[0] = 0.0
    learner.update()
    learner.update()
    assert learner.frozen.tolist() == [False, True]


def test_without_a_threshold_nothing_freezes(watched):
    learner, _ = trained(small("g"), ["0"], 2)
    assert not learner.frozen.any() and not learner.finished


# ---------------------------------------------------------------- learning


def test_gating_is_learnt_within_a_hundred_updates():
    learner = RingLearner(config("g", trials=16), ["0", "1"])
    first = learner.update()["loss"].mean()
    for _ in range(99):
        last = learner.update()
    assert last["loss"].mean() < first / 10
    found = errors(ring.build(learner.config, learner.parameters, learner.fixed), learner.task, directions=6)
    assert (found.error_deg < 8).all()


@pytest.mark.parametrize("engine", ENGINES)
def test_backprop_lowers_the_loss(engine):
    task = ring.Task(30, 0.0, fixation=(1, 2), onset=(0, 2), delay=(12, 14), go=10)  # short memory
    settings = small("wmonly", learning_rate=3e-3, units=30, trials=16)
    learner = RingLearner(settings, ["0", "1"], engine=engine, task=task)
    losses = torch.stack([learner.update()["loss"] for _ in range(100)])
    torch.testing.assert_close(losses[0], torch.ones(2))
    assert (losses[-5:].mean(0) < 0.5).all()


def test_not_finite_training_stops_at_once():
    learner = RingLearner(small("wmd", learning_rate=1e30), ["0", "1"])
    with pytest.raises(train.NotFinite, match=r"(loss|gradient_norm) is not finite at step \d+, network 0"):
        list(run(learner, 20, progress=False))


@pytest.mark.parametrize("family", ["g", "wmd", "it"])
def test_engines_agree_on_the_same_noise(family, monkeypatch):
    settings = small(family)
    silent, loud = (replace(settings, noise=noise) for noise in (0.0, 0.1))
    found = [trained(silent, SEEDS, 3, engine) for engine in ENGINES]
    torch.testing.assert_close(found[0][1], found[1][1], rtol=1e-4, atol=0)
    for name, value in found[0][0].parameters.items():
        torch.testing.assert_close(found[1][0].parameters[name].detach(), value.detach(), **CLOSE)
    noisy = [trained(loud, SEEDS, 2, engine)[1] for engine in ENGINES]
    assert not torch.equal(*noisy)  # each draws its own


def test_an_engine_is_chosen_and_refused_by_name():
    assert RingLearner(small("g"), ["0"]).engine == "fused"
    assert RingLearner(small("g", activity=0.1), ["0"]).engine == "eager"
    with pytest.raises(ValueError, match="engine 'fused': the fused kernels lack what .* it can be eager"):
        RingLearner(small("g", activity=0.1), ["0"], engine="fused")
    with pytest.raises(ValueError, match="engine 'magic': unknown; it can be eager or fused"):
        RingLearner(small("g"), ["0"], engine="magic")


def test_a_state_of_the_other_engine_is_refused_before_anything_changes():
    fused, eager = (trained(small("g"), ["0"], 1, engine)[0] for engine in ("fused", "eager"))
    before = fused.parameters["scalars"].detach().clone()
    with pytest.raises(ValueError, match="the state is of the eager engine, this learner has fused"):
        fused.load_state_dict(eager.state_dict())
    assert torch.equal(fused.parameters["scalars"], before)


def test_networks_that_cannot_train_together_are_refused():
    odd = [small("rt_sa", exponent=1), small("rt_sa", exponent=10)], [small("wmd"), small("wmd")]
    for settings in odd:
        with pytest.raises(ValueError, match="may differ in scale, shuffle_deg and stable_proportion alone"):
            untrained(settings, ["0", "1"])


def test_networks_of_several_settings_train_together_as_they_do_alone():
    settings = [small("rt_sa", scale=scale, shuffle_deg=shuffle) for scale, shuffle in ((1.0, 0), (3.0, 90))]
    together = RingLearner(settings[0], ["4", "4"], start=untrained(settings, ["4", "4"]), monitor=False)
    for _ in range(2):  # the first loss is 1, as the read-out begins at 0
        metrics = together.update()
    assert set(metrics) == {"loss", "gradient_norm"} and metrics["loss"][0] != metrics["loss"][1]
    for k, own in enumerate(settings):
        alone, losses = trained(own, ["4"], 2)
        torch.testing.assert_close(losses[0, 1], metrics["loss"][k])
        torch.testing.assert_close(alone.parameters["scalars"][0], together.parameters["scalars"][k])


# ---------------------------------------------------------------- refusals of the entry


def test_a_learner_needs_a_network():
    with pytest.raises(ValueError, match="training needs at least one network: give one seed or more"):
        RingLearner(small("g"), [])


@pytest.mark.parametrize(
    "arguments, message",
    [
        ({"networks": 0}, "training needs at least one network: `networks` must be 1 or more"),
        ({"networks": -2}, "training needs at least one network"),
        ({"seeds": ["1", "2", "1"]}, r"seeds must differ .*, got 1, 2, 1"),
        ({"seeds": ["0", "00"]}, r"seeds must differ .*, got 0, 00"),
        ({"seeds": ["a-b"]}, "a seed is a word of letters, digits and _, got 'a-b'"),
        ({"family": "gg"}, "unknown ring family 'gg': did you mean g"),
    ],
)
def test_train_refuses(arguments, message):
    with pytest.raises(ValueError, match=message):
        ring.train(**({"family": "g", "save": False} | arguments))


@pytest.mark.skipif(torch.cuda.is_available(), reason="there is a CUDA device")
def test_train_refuses_a_missing_device():
    with pytest.raises(ValueError, match="device cuda: no CUDA device is found here; use cpu"):
        ring.train("g", 1, device="cuda", save=False)


def test_train_takes_over_a_changed_config_and_stops_when_all_are_frozen(monkeypatch, watched):
    monkeypatch.setattr(ring.campaign, "measure_errors", lambda ensemble, **_: [{} for _ in ensemble.names])
    settings = replace(small("wmd_stopped", stop_below_deg=180.0), updates=50)
    done = ring.train(settings, 2, save=False)
    assert done.config == settings and done.names == ["wmd_stopped-00", "wmd_stopped-01"]
    assert [r["training"]["updates"] for r in done.records] == [2, 2]
    assert all(
        r["training"]["stopped_early"] and math.isfinite(r["training"]["seconds"]) for r in done.records
    )


def test_saved_networks_of_other_settings_are_not_replaced(roots):
    ring.train(small("g", updates=1), seeds=["1"])
    before = (roots / "data/ring/g-01/network.json").read_bytes()
    with pytest.raises(ValueError, match="ring/g-01 is saved with another updates: choose other seeds"):
        ring.train(small("g", updates=2), seeds=["0", "1"])
    assert (roots / "data/ring/g-01/network.json").read_bytes() == before
    ring.train(small("g", updates=2), seeds=["1"], overwrite=True)
    assert ring.load("g-01").config.updates == 2
