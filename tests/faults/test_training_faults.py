"""Training under faults: killed, stopped, damaged or without room, it ends with the same bits.

The file is its own victim: run as a script it trains `Ensemble` in a folder.
"""

import contextlib
import os
import random
import resource
import signal
import subprocess
import sys
import time
from pathlib import Path

import numpy as np
import pytest
import torch

from wm import train
from wm.checkpoint import load_checkpoint
from wm.files import CannotWrite, DamagedFile

pytestmark = pytest.mark.fault
UPDATES = 60
CONFIG = {"networks": 3, "units": 8}


class Ensemble:
    """Noisy RNNs (network, trial, unit) that learn with Adam to hold a number, each with its own stream."""

    def __init__(self, networks=3, units=8, seed=0):
        self.names = range(networks)
        self.batches = [train.numpy_generator(seed, "batches", n) for n in self.names]
        self.noise = [train.torch_generator(seed, "noise", n) for n in self.names]
        first = [train.torch_generator(seed, "weights", n) for n in self.names]
        shapes = {"w_in": (1, units), "w_rec": (units, units), "w_out": (units, 1)}
        self.weights = {
            name: torch.stack([0.3 * torch.randn(shape, generator=g) for g in first]).requires_grad_()
            for name, shape in shapes.items()
        }
        self.optimiser = torch.optim.Adam(self.weights.values(), lr=1e-2)

    def update(self):
        target = torch.tensor(
            np.stack([g.uniform(-1, 1, (16, 1)) for g in self.batches]), dtype=torch.float32
        )
        units = self.weights["w_rec"].shape[-1]
        hidden = target @ self.weights["w_in"]
        for _ in range(5):
            noise = torch.stack([torch.randn((16, units), generator=g) for g in self.noise])
            hidden = torch.tanh(hidden @ self.weights["w_rec"] + 0.1 * noise)
        loss = (hidden @ self.weights["w_out"] - target).square().mean((1, 2))
        self.optimiser.zero_grad()
        loss.sum().backward()
        self.optimiser.step()
        return {"loss": loss, "gradient_norm": self.weights["w_rec"].grad.norm(dim=(1, 2))}

    def state_dict(self):
        return {
            "weights": dict(self.weights),
            "optimiser": self.optimiser.state_dict(),
            "generators": [train.generator_state(g) for g in (*self.batches, *self.noise)],
        }

    @torch.no_grad()
    def load_state_dict(self, state):
        for name, values in state["weights"].items():
            self.weights[name].copy_(values)
        self.optimiser.load_state_dict(state["optimiser"])
        for generator, saved in zip((*self.batches, *self.noise), state["generators"], strict=True):
            train.set_generator_state(generator, saved)


def steps(folder, learner, *, every=4, history=None, **options):
    options = {"config": CONFIG, "history_every": 7, **options}
    return train.run(learner, UPDATES, checkpoint=folder, checkpoint_every=every, history=history, **options)


def finish(folder=None, **options):
    """All weights and the history of a run that goes (or goes on) to the end."""
    learner, history = Ensemble(), {}
    for _ in steps(folder, learner, history=history, **options):
        pass
    return {name: values.detach().numpy().tobytes() for name, values in learner.weights.items()}, history


@pytest.fixture(scope="module", autouse=True)
def one_thread():
    before = torch.get_num_threads()
    torch.set_num_threads(1)
    yield
    torch.set_num_threads(before)


@pytest.fixture(scope="module")
def undisturbed(one_thread):
    return finish()


@pytest.fixture
def half(tmp_path):
    """A folder with the checkpoints of steps 28 and 30."""
    for metrics in steps(tmp_path, Ensemble(), history={}):
        if metrics.step == 30:
            break
    assert [path.name for path in files(tmp_path)] == [
        "step-00000028.safetensors",
        "step-00000030.safetensors",
    ]
    return tmp_path


def files(folder):
    return sorted(folder.glob("step-*"))


# ---------------------------------------------------------------- the victim


def victim(folder: str, die_at_sync: str, pace_s: str):
    """Train in `folder`, saying each step; die at the given fsync (0: never), which is within a write."""
    torch.set_num_threads(1)
    syncs, fsync = iter(range(1, sys.maxsize)), os.fsync

    def fsync_or_die(descriptor):
        if next(syncs) == int(die_at_sync):
            os.kill(os.getpid(), signal.SIGKILL)
        fsync(descriptor)

    os.fsync = fsync_or_die
    for metrics in steps(Path(folder), Ensemble(), every=1, history={}):
        os.write(1, f"{metrics.step}\n".encode())
        time.sleep(float(pace_s))


@contextlib.contextmanager
def started(folder, die_at_sync=0, pace_s=0.0):
    command = [sys.executable, __file__, folder, die_at_sync, pace_s]
    environment = {
        **os.environ,
        "PYTHONPATH": str(Path(train.__file__).parent.parent),
        "OMP_NUM_THREADS": "1",
    }
    pipe = subprocess.PIPE
    with subprocess.Popen(
        [*map(str, command)], stdout=pipe, stderr=pipe, env=environment, text=True
    ) as process:
        try:
            yield process
        finally:
            process.kill()


def read_steps(process, count):
    return [int(process.stdout.readline()) for _ in range(count)]


def test_killed_at_random_moments_it_ends_with_the_same_bits(tmp_path, undisturbed):
    chance = random.Random(1)
    reached = 0
    for _ in range(4):
        with started(tmp_path) as process:
            said = read_steps(process, chance.randint(1, 12))
            time.sleep(chance.uniform(0, 0.02))
            process.kill()
        assert said[0] >= reached  # at most the step that was being saved is made again
        reached = said[-1]
    assert reached < UPDATES
    assert finish(tmp_path) == undisturbed


@pytest.mark.parametrize("die_at_sync", [1, 2, 11, 12])
def test_killed_within_a_write_it_ends_with_the_same_bits(tmp_path, undisturbed, die_at_sync):
    with started(tmp_path, die_at_sync=die_at_sync) as process:
        assert process.wait(60) == -signal.SIGKILL
    for path in files(tmp_path):
        load_checkpoint(path)
    assert finish(tmp_path) == undisturbed
    assert {path.name for path in tmp_path.iterdir()} == {path.name for path in files(tmp_path)}


# After a KeyboardInterrupt Python ends by SIGINT, or with 1 if an exit handler evaluated code (torch.optim).
@pytest.mark.parametrize(("number", "ends"), [(signal.SIGTERM, [143]), (signal.SIGINT, [-signal.SIGINT, 1])])
def test_signals_end_it_soon_with_a_checkpoint(tmp_path, undisturbed, number, ends):
    with started(tmp_path, pace_s=0.05) as process:
        said = read_steps(process, 5)
        process.send_signal(number)
        assert process.wait(20) in ends  # 20 s: a busy machine; alone it takes less than one
        assert process.stderr.read().endswith("KeyboardInterrupt\n" if number == signal.SIGINT else "")
    assert load_checkpoint(files(tmp_path)[-1])["step"] >= said[-1]
    assert finish(tmp_path) == undisturbed


# ---------------------------------------------------------------- damage


def cut(share):
    return lambda content: content[: int(share * len(content))]


def flip(share):
    def change(content):
        place = min(int(share * len(content)), len(content) - 1)
        return content[:place] + bytes([content[place] ^ 4]) + content[place + 1 :]

    return change


DAMAGE = [cut(0), cut(0.3), cut(0.99), *(flip(share) for share in (0, 0.01, 0.1, 0.5, 0.9, 1))]


@pytest.mark.parametrize("damage", DAMAGE)
def test_a_damaged_checkpoint_falls_back_to_the_one_before(half, undisturbed, damage):
    newest = files(half)[-1]
    newest.write_bytes(damage(newest.read_bytes()))
    with pytest.warns(UserWarning, match=r"step-00000030.* goes on from step-00000028"):
        assert finish(half) == undisturbed
    for path in files(half):
        load_checkpoint(path)


def test_without_any_readable_checkpoint_it_refuses(half):
    for path in files(half):
        path.write_bytes(path.read_bytes()[:-1])
    with pytest.raises(DamagedFile, match="none of its 2 checkpoints can be read: remove it") as caught:
        finish(half)
    assert str(half) in str(caught.value)


def test_a_checkpoint_of_another_network_is_refused(half):
    with pytest.raises(train.WrongConfig, match="units: 8 there, 16 here"):
        next(steps(half, Ensemble(units=16), config={**CONFIG, "units": 16}))


# ---------------------------------------------------------------- no room, no numbers


@contextlib.contextmanager
def no_file_above(size):
    before = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (size, before[1]))
    try:
        yield
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, before)


def test_a_full_disk_keeps_the_earlier_checkpoints(half, undisturbed):
    before = {path: path.read_bytes() for path in half.iterdir()}
    with no_file_above(2000), pytest.raises(CannotWrite, match="step-00000032"):
        finish(half)
    assert {path: path.read_bytes() for path in half.iterdir()} == before
    assert finish(half) == undisturbed


def test_a_full_disk_is_found_before_training(tmp_path):
    learner = Ensemble()
    learner.update = lambda: pytest.fail("trained")
    with no_file_above(2000), pytest.raises(CannotWrite, match="step-00000000"):
        next(steps(tmp_path, learner))


def test_a_full_disk_at_an_interruption_is_a_warning(half):
    with (
        no_file_above(2000),
        pytest.warns(UserWarning, match="no checkpoint at the interruption: .*step-00000031"),
    ):
        for _ in steps(half, Ensemble(), history={}):
            break
    assert [path.name for path in files(half)] == ["step-00000028.safetensors", "step-00000030.safetensors"]


def test_a_diverging_network_stops_the_ensemble_and_resumes_from_before(half, undisturbed):
    learner = Ensemble()
    run = steps(half, learner, history={})
    next(run)
    with torch.no_grad():
        learner.weights["w_out"][2] = torch.inf
    with pytest.raises(train.NotFinite, match=r"loss is not finite at step 32, network 2; .*step-00000030"):
        list(run)
    assert finish(half) == undisturbed


@pytest.mark.parametrize("forgotten", range(6))
def test_every_generator_counts(half, undisturbed, forgotten):
    """The comparison can fail: one stream that is not restored changes the result."""

    class Forgetful(Ensemble):
        def load_state_dict(self, state):
            kept = [train.generator_state(g) for g in (*self.batches, *self.noise)]
            state["generators"][forgotten] = kept[forgotten]
            super().load_state_dict(state)

    learner = Forgetful()
    list(steps(half, learner, history={}))
    assert learner.weights["w_rec"].detach().numpy().tobytes() != undisturbed[0]["w_rec"]


if __name__ == "__main__":
    victim(*sys.argv[1:])
