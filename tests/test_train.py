"""The training loop: what it yields, keeps, resumes and refuses; random streams; interruptions."""

import io
import itertools
import json
import signal
import sys
import threading

import numpy as np
import pytest
import torch

from wm import train
from wm.checkpoint import load_checkpoint, save_checkpoint


class Learner:
    """Weights (network,) that shrink towards zero, each with noise of its own."""

    def __init__(self, networks=3, seed=0):
        self.weights = torch.ones(networks)
        self.loss = torch.empty(networks)  # reused by every update, as a captured graph does
        self.generators = [train.torch_generator(seed, "noise", n) for n in range(networks)]
        self.before_return = lambda: None

    def update(self):
        noise = torch.stack([torch.randn((), generator=g) for g in self.generators])
        self.weights -= 0.1 * (self.weights + noise)
        self.before_return()
        torch.square(self.weights, out=self.loss)
        return {"loss": self.loss, "norm": self.weights.norm(), "positive": (self.weights > 0).int()}

    def state_dict(self):
        return {"weights": self.weights, "generators": [train.generator_state(g) for g in self.generators]}

    def load_state_dict(self, state):
        self.weights.copy_(state["weights"])
        for generator, saved in zip(self.generators, state["generators"], strict=True):
            train.set_generator_state(generator, saved)


def steps_of(folder):
    return sorted(int(path.stem.removeprefix("step-")) for path in folder.glob("step-*"))


def finish(learner, updates=12, **options):
    for _ in train.run(learner, updates, **options):
        pass
    return learner.weights.tolist()


def at_step(learner, wanted, action):
    """Do something in the middle of one update."""
    count = itertools.count(1)
    learner.before_return = lambda: action() if next(count) == wanted else None
    return learner


# ---------------------------------------------------------------- metrics


def test_yields_each_step_with_every_metric():
    seen = list(train.run(Learner(4), 3))
    assert [metrics.step for metrics in seen] == [1, 2, 3]
    assert {name: value.shape for name, value in seen[0].values.items()} == {
        "loss": (4,),
        "norm": (),
        "positive": (4,),
    }
    assert all(value.dtype == np.float64 for value in seen[0].values.values())


def test_values_outlive_the_next_update():
    first, second = train.run(Learner(), 2)
    assert not np.array_equal(first.values["loss"], second.values["loss"])
    for metrics in (first, second):
        np.testing.assert_allclose(metrics.values["norm"] ** 2, metrics.values["loss"].sum(), rtol=1e-6)


def test_values_carry_no_gradient():
    learner = Learner()
    learner.weights.requires_grad_()
    learner.update = lambda: {"loss": learner.weights**2}
    assert next(train.run(learner, 1)).values["loss"].tolist() == [1, 1, 1]


def test_refuses_metrics_without_loss():
    learner = Learner()
    learner.update = lambda: {"error": torch.ones(3)}
    with pytest.raises(ValueError, match=r'no "loss", only \[\'error\'\]'):
        next(train.run(learner, 1))


def test_refuses_metrics_that_are_no_tensors():
    learner = Learner()
    learner.update = lambda: {"loss": torch.ones(3), "accuracy": 0.5}
    with pytest.raises(TypeError, match="'accuracy' as float"):
        next(train.run(learner, 1))


@pytest.mark.parametrize("options", [{"checkpoint_every": 0}, {"history_every": 0}])
def test_refuses_empty_intervals(options):
    with pytest.raises(ValueError, match=f"{next(iter(options))}=0.* at least 1"):
        next(train.run(Learner(), 1, **options))


def test_refuses_a_negative_number_of_updates():
    with pytest.raises(ValueError, match="updates=-3 must be 0 or more"):
        list(train.run(Learner(), -3))
    assert list(train.run(Learner(), 0)) == []


def test_history_holds_every_nth_and_the_last_step():
    history = {"of": ["before"]}
    every = {
        metrics.step: metrics.values for metrics in train.run(Learner(), 11, history=history, history_every=4)
    }
    assert history["step"] == [4, 8, 11]
    assert history["norm"] == [every[step]["norm"].item() for step in (4, 8, 11)]
    assert history["loss"][1] == every[8]["loss"].tolist()
    assert set(history) == {"step", "loss", "norm", "positive"}
    json.dumps(history, allow_nan=False)


# ---------------------------------------------------------------- checkpoints


@pytest.mark.parametrize("every", [1, 5, 100])
def test_checkpoints_change_nothing(tmp_path, every):
    assert finish(Learner(), checkpoint=tmp_path, checkpoint_every=every) == finish(Learner())


@pytest.mark.parametrize("stop", [1, 6, 7, 12])
def test_resumes_bit_for_bit_with_its_history(tmp_path, stop):
    whole, resumed = {}, {}
    expected = finish(Learner(), history=whole, history_every=3)
    options = {"checkpoint": tmp_path, "checkpoint_every": 3, "history_every": 3}
    for metrics in train.run(Learner(), 12, history={}, **options):
        if metrics.step == stop:
            break
    learner = Learner()
    steps = [metrics.step for metrics in train.run(learner, 12, history=resumed, **options)]
    assert steps == list(range(stop + 1, 13))
    assert learner.weights.tolist() == expected
    assert resumed == whole


def test_a_finished_run_is_loaded_and_can_be_extended(tmp_path):
    finish(Learner(), 12, checkpoint=tmp_path)
    assert finish(Learner(), 12, checkpoint=tmp_path) == finish(Learner(), 12)
    assert finish(Learner(), 20, checkpoint=tmp_path) == finish(Learner(), 20)


def test_keeps_the_last_two_and_no_leftovers(tmp_path):
    (tmp_path / ".tmp-0123.safetensors").write_bytes(b"of a killed write")
    for metrics in train.run(Learner(), 12, checkpoint=tmp_path, checkpoint_every=5):
        expected = {1: [0], 6: [0, 5], 11: [5, 10]}
        assert steps_of(tmp_path) == expected.get(metrics.step, steps_of(tmp_path))
    assert sorted(path.name for path in tmp_path.iterdir()) == [
        "step-00000010.safetensors",
        "step-00000012.safetensors",
    ]


def test_an_error_around_the_loop_leaves_a_checkpoint(tmp_path):
    with pytest.raises(ZeroDivisionError):
        for metrics in train.run(Learner(), 12, checkpoint=tmp_path):
            1 / (metrics.step - 7)
    assert steps_of(tmp_path) == [0, 7]


def test_an_error_within_an_update_leaves_none_of_that_step(tmp_path):
    def fail():
        raise RuntimeError("out of memory")

    with pytest.raises(RuntimeError, match="out of memory"):
        finish(at_step(Learner(), 7, fail), checkpoint=tmp_path, checkpoint_every=5)
    assert steps_of(tmp_path) == [0, 5]
    assert finish(Learner(), checkpoint=tmp_path) == finish(Learner())


def test_state_that_cannot_be_stored_is_found_before_training(tmp_path):
    learner = Learner()
    learner.state_dict = lambda: {"weights": object()}
    learner.update = lambda: pytest.fail("trained")
    with pytest.raises(TypeError, match="weights.* is a object"):
        next(train.run(learner, 1, checkpoint=tmp_path))


def test_refuses_another_config_and_lists_the_fields(tmp_path):
    config = {"rnn": {"units": 64, "tau_ms": 10.0}, "task": "recall", "seed": 1}
    finish(Learner(), 2, checkpoint=tmp_path, config=config)
    other = {"rnn": {"units": 32, "tau_ms": 10.0}, "task": "recall", "noise": 0.1}
    with pytest.raises(train.WrongConfig) as caught:
        finish(Learner(), 2, checkpoint=tmp_path, config=other)
    told = str(caught.value)
    assert "noise: None there, 0.1 here; rnn.units: 64 there, 32 here; seed: 1 there, None here" in told
    assert "tau_ms" not in told and "task" not in told
    assert str(tmp_path / "step-00000002.safetensors") in told
    finish(Learner(), 2, checkpoint=tmp_path, config=config)


def test_config_may_hold_tuples_paths_and_nan(tmp_path):
    config = {"delays_ms": (100, 200), "folder": tmp_path, "limit": float("nan"), "none": None}
    finish(Learner(), 1, checkpoint=tmp_path, config=config)
    finish(Learner(), 2, checkpoint=tmp_path, config=dict(reversed(config.items())))


def test_refuses_a_checkpoint_beyond_the_updates(tmp_path):
    finish(Learner(), 12, checkpoint=tmp_path)
    with pytest.raises(train.WrongConfig, match="step 12 is beyond the 10 asked for"):
        finish(Learner(), 10, checkpoint=tmp_path)


# ---------------------------------------------------------------- not finite


@pytest.mark.parametrize("value", [float("nan"), float("inf"), float("-inf")])
def test_stops_at_the_first_metric_that_is_not_finite(tmp_path, value):
    learner = Learner()
    at_step(learner, 7, lambda: learner.weights[1].fill_(value))
    with pytest.raises(train.NotFinite, match="loss is not finite at step 7, network 1") as caught:
        finish(learner, checkpoint=tmp_path, checkpoint_every=5)
    good = tmp_path / "step-00000005.safetensors"
    assert (caught.value.metric, caught.value.step, caught.value.network) == ("loss", 7, 1)
    assert caught.value.checkpoint == good and str(good) in str(caught.value)
    assert steps_of(tmp_path) == [0, 5]


def test_names_a_scalar_metric_without_a_network():
    learner = Learner()
    learner.update = lambda: {"loss": torch.ones(2), "gradient_norm": torch.tensor(torch.inf)}
    with pytest.raises(
        train.NotFinite, match="gradient_norm is not finite at step 1; .*checkpoint: none"
    ) as caught:
        next(train.run(learner, 1))
    assert caught.value.network is None


@pytest.mark.parametrize("value", [torch.nan, torch.inf])
def test_never_checkpoints_weights_that_are_not_finite(tmp_path, value):
    learner = Learner()
    learner.update = lambda: {"loss": learner.weights.mul_(value).nan_to_num()}
    with pytest.raises(train.NotFinite, match="state.weights is not finite at step 5"):
        finish(learner, checkpoint=tmp_path, checkpoint_every=5)
    assert steps_of(tmp_path) == [0]


def test_never_ends_with_weights_that_are_not_finite():
    learner = Learner()
    learner.update = lambda: {"loss": learner.weights.mul_(torch.inf).nan_to_num()}
    with pytest.raises(train.NotFinite, match="state.weights is not finite at step 12; .*none"):
        finish(learner)


# ---------------------------------------------------------------- interruptions


def interrupts():
    return [(signal.SIGINT, KeyboardInterrupt), (signal.SIGTERM, SystemExit)]


@pytest.mark.parametrize(("number", "error"), interrupts())
def test_a_signal_within_an_update_waits_until_the_step_is_whole(tmp_path, number, error):
    handlers = [signal.getsignal(other) for other, _ in interrupts()]
    learner = at_step(Learner(), 7, lambda: signal.raise_signal(number))
    with pytest.raises(error) as caught:
        finish(learner, checkpoint=tmp_path)
    assert error is KeyboardInterrupt or caught.value.code == 143
    assert steps_of(tmp_path) == [0, 7]
    assert [signal.getsignal(other) for other, _ in interrupts()] == handlers
    assert finish(Learner(), checkpoint=tmp_path) == finish(Learner())


@pytest.mark.parametrize(("number", "error"), interrupts())
def test_a_signal_around_the_loop_checkpoints(tmp_path, number, error):
    with pytest.raises(error):
        for metrics in train.run(Learner(), 12, checkpoint=tmp_path):
            if metrics.step == 4:
                signal.raise_signal(number)
    assert steps_of(tmp_path) == [0, 4]


def test_a_second_interrupt_does_not_wait_and_saves_nothing(tmp_path):
    def twice():
        signal.raise_signal(signal.SIGINT)
        signal.raise_signal(signal.SIGINT)
        pytest.fail("went on")

    with pytest.raises(KeyboardInterrupt):
        finish(at_step(Learner(), 7, twice), checkpoint=tmp_path, checkpoint_every=5)
    assert steps_of(tmp_path) == [0, 5]


def test_ignored_signals_stay_ignored(tmp_path):
    before = signal.signal(signal.SIGINT, signal.SIG_IGN)
    try:
        finish(at_step(Learner(), 7, lambda: signal.raise_signal(signal.SIGINT)), checkpoint=tmp_path)
    finally:
        signal.signal(signal.SIGINT, before)
    assert steps_of(tmp_path) == [0, 12]


def test_two_runs_at_once_leave_the_handlers_as_they_were():
    before = signal.getsignal(signal.SIGINT)
    first, second = train.run(Learner(), 3), train.run(Learner(), 3)
    next(first), next(second)
    list(first), list(second)
    with pytest.raises(KeyboardInterrupt):
        signal.raise_signal(signal.SIGINT)
    signal.signal(signal.SIGINT, before)


def test_runs_in_another_thread():
    results = []
    thread = threading.Thread(target=lambda: results.append(finish(Learner())))
    thread.start()
    thread.join()
    assert results == [finish(Learner())]


def test_an_interrupted_run_that_cannot_save_warns_and_still_stops(tmp_path):
    folder = tmp_path / "run"
    learner = Learner()
    with pytest.warns(UserWarning, match="no checkpoint at the interruption: state.weights"):
        for metrics in train.run(learner, 12, checkpoint=folder):
            if metrics.step == 4:
                learner.weights.fill_(torch.nan)
                break
    assert steps_of(folder) == [0]


# ---------------------------------------------------------------- progress


class Terminal(io.StringIO):
    def isatty(self):
        return True


@pytest.mark.parametrize(("terminal", "wanted"), [(Terminal, True), (Terminal, False), (io.StringIO, True)])
def test_progress_is_shown_on_a_terminal_only(monkeypatch, terminal, wanted):
    monkeypatch.setattr(sys, "stderr", terminal())
    finish(Learner(), description="ring", progress=wanted)
    shown = sys.stderr.getvalue()
    assert ("ring" in shown and "12/12" in shown and "loss" in shown) == (wanted and terminal is Terminal)
    assert wanted and terminal is Terminal or not shown


# ---------------------------------------------------------------- randomness


def draws(*purpose):
    return tuple(train.numpy_generator(*purpose).integers(2**62, size=4))


def test_streams_depend_on_seed_and_purpose_alone():
    alone = draws(0, "noise", 7)
    many = {n: draws(0, "noise", n) for n in reversed(range(200))}
    assert many[7] == alone
    assert len(set(many.values())) == 200


def test_streams_of_different_purposes_differ():
    names = [
        (0,),
        (1,),
        ("0",),
        (0, 0),
        (0, "0"),
        (0, "a"),
        (0, "a", "b"),
        (0, "ab"),
        (0, "b", "a"),
        (-1,),
        (2**80,),
    ]
    assert len({draws(*name) for name in names}) == len(names)
    torch_draws = {train.torch_generator(*name).initial_seed() for name in names}
    assert len(torch_draws) == len(names)


def test_streams_are_the_same_everywhere():
    assert train.spawn(0, "noise", 7).entropy == train.spawn(np.int64(0), "noise", np.int32(7)).entropy
    assert draws(0, "noise", 7)[0] == 2650550364744046756
    assert train.torch_generator(0, "noise", 7).initial_seed() == 17399973940585942934


def test_streams_look_uncorrelated():
    values = np.stack([train.numpy_generator("run", "noise", n).standard_normal(4000) for n in range(20)])
    correlation = np.corrcoef(values)[np.triu_indices(20, 1)]
    assert np.abs(correlation).max() < 5 / np.sqrt(4000)


def test_refuses_fractional_seeds():
    with pytest.raises(TypeError, match="float"):
        train.spawn(0.5, "noise")


@pytest.mark.parametrize("make", [train.numpy_generator, train.torch_generator])
def test_generator_states_survive_a_checkpoint(tmp_path, make):
    def draw(generator):
        if isinstance(generator, torch.Generator):
            return torch.randn(5, generator=generator).tolist()
        return generator.standard_normal(5).tolist()

    generator = make(0, "noise")
    draw(generator)
    save_checkpoint(tmp_path / "state.safetensors", train.generator_state(generator))
    expected = draw(generator)
    other = make(1, "else")
    train.set_generator_state(other, load_checkpoint(tmp_path / "state.safetensors"))
    assert draw(other) == expected


def test_a_network_trains_the_same_among_any_number():
    assert finish(Learner(5))[:2] == finish(Learner(2))


def test_environment_is_plain_text():
    found = train.environment()
    assert set(found) == {"python", "torch", "numpy", "wm", "platform", "device"}
    assert all(isinstance(value, str) and value for value in found.values())
    assert found["torch"] == torch.__version__
