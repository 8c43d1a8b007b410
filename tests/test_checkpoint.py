"""A checkpoint gives back exactly what was saved, or says that it is damaged."""

import collections
import json
import math
import os
import pickle
import subprocess
import sys
from pathlib import Path

import hypothesis.extra.numpy as arrays
import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from safetensors.torch import save

import wm
from wm.checkpoint import STORED, load_checkpoint, save_checkpoint
from wm.files import DamagedFile, WrongSchema, seal

pytestmark = pytest.mark.usefixtures("own_randomness")

NUMBERS = [np.dtype(code) for code in "?bBhHiIqQefdF"]
ARRAYS = arrays.arrays(st.sampled_from(NUMBERS), arrays.array_shapes(min_dims=0, min_side=0, max_side=3))
TENSORS = ARRAYS.map(lambda a: torch.from_numpy(a.astype(a.dtype.str)))
TENSORS |= TENSORS.filter(lambda t: not t.is_complex()).map(lambda t: t.to(torch.bfloat16))
KEYS = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False) | st.text(),
    lambda keys: st.lists(keys, max_size=2).map(tuple),
    max_leaves=3,
)
LEAVES = (
    st.none() | st.booleans() | st.integers(-(2**200), 2**200) | st.floats() | st.text() | ARRAYS | TENSORS
    | st.sampled_from([np.float32(1.5), np.int64(-3), np.bool_(True), np.float64("nan")])
)  # fmt: skip
STATES = st.recursive(
    LEAVES,
    lambda inner: st.lists(inner) | st.lists(inner).map(tuple) | st.dictionaries(KEYS, inner),
    max_leaves=12,
)


def exact(value):
    """Something that is equal only for equal kind, dtype, shape, bytes, keys, and order."""
    if isinstance(value, torch.Tensor):
        content = value.contiguous().flatten().view(torch.uint8).tolist() if value.numel() else []
        return "tensor", value.dtype, tuple(value.shape), content
    if isinstance(value, np.ndarray | np.generic):
        return type(value), value.dtype, value.shape, value.tobytes()
    if isinstance(value, dict):
        return "dict", [(exact(key), exact(item)) for key, item in value.items()]
    if isinstance(value, list | tuple):
        return type(value), [exact(item) for item in value]
    return type(value), repr(value)


@pytest.fixture(scope="module")
def place(tmp_path_factory) -> Path:
    return tmp_path_factory.mktemp("checkpoints") / "step.safetensors"


@given(STATES)
def test_round_trip_is_exact(place, state):
    before = exact(state)
    save_checkpoint(place, state)
    assert exact(load_checkpoint(place)) == before == exact(state)


def test_training_state_goes_on_bit_for_bit(place):
    def make():
        torch_generator = torch.Generator().manual_seed(1)
        weights = torch.nn.Parameter(torch.zeros(4, 3))
        return weights, torch.optim.Adam([weights]), np.random.default_rng(1), torch_generator

    def steps(weights, optimiser, numpy_generator, torch_generator):
        for _ in range(3):
            noise = torch.randn(4, 3, generator=torch_generator) + numpy_generator.random()
            weights.grad = weights.detach() + noise
            optimiser.step()

    first, second = make(), make()
    steps(*first)
    state = (first[0], first[1].state_dict(), first[2].bit_generator.state, first[3].get_state())
    save_checkpoint(place, state)
    steps(*first)
    values, optimiser, numpy_state, torch_state = load_checkpoint(place)
    second[0].data.copy_(values)
    second[1].load_state_dict(optimiser)
    second[2].bit_generator.state = numpy_state
    second[3].set_state(torch_state)
    steps(*second)
    assert torch.equal(first[0], second[0])


def test_same_state_gives_same_bytes(place):
    state = {"w": torch.ones(3, 2).T, "steps": [np.arange(3), 2**80]}
    first = save_checkpoint(place, state).read_bytes()
    assert save_checkpoint(place, state).read_bytes() == first


def test_views_of_one_memory_and_expanded_tensors_are_kept(place):
    base = torch.arange(6.0).reshape(2, 3)
    loaded = load_checkpoint(save_checkpoint(place, [base, base, base.T, base[0].expand(4, 3)]))
    assert exact(loaded) == exact([base, base, base.T, base[0].expand(4, 3)])


def test_text_that_looks_like_a_seal_or_a_tag_is_text(place):
    state = {"seal": "0" * 64, "tensor": "0", 'x"seal": "': '"seal": "' + "1" * 64, "dict": [["a", 1]]}
    assert load_checkpoint(save_checkpoint(place, state)) == state


def test_arrays_come_back_writable(place):
    loaded = load_checkpoint(save_checkpoint(place, np.zeros(3)))
    loaded += 1


@pytest.mark.parametrize("dtype", sorted(STORED, key=str), ids=str)
def test_every_stored_dtype(place, dtype):
    loaded = load_checkpoint(save_checkpoint(place, torch.tensor([0, 1], dtype=dtype)))
    assert loaded.dtype is dtype and loaded.tolist() == [0, 1]


POINT = collections.namedtuple("POINT", "x y")


@pytest.mark.parametrize(
    ("state", "message"),
    [
        ({"a": [0, {1, 2}]}, r"state\['a'\]\[1\] is a set"),
        pytest.param({"a": object()}, r"state\['a'\] is a object", id="object"),
        ((POINT(1, 2),), r"state\[0\] is a POINT"),
        ([b"bytes"], r"state\[0\] is a bytes"),
        ([1j], "is a complex"),
        ([np.array(["text"])], r"state\[0\] has dtype <U4"),
        ([np.array([None])], "has dtype object"),
        ([np.zeros(2, ">f8")], "has dtype >f8"),
        ([np.zeros(2, "M8[s]")], "has dtype datetime64"),
        ([np.zeros(2, complex)], "complex128"),
        ([np.ma.zeros(2)], "is a MaskedArray"),
        ([torch.eye(2).to_sparse()], "sparse_coo"),
        ([torch.zeros(2, dtype=torch.complex128)], "complex128"),
        ({np.int64(1): 0}, "key of type int64"),
        ({frozenset(): 0}, "is a frozenset"),
    ],
    ids=str,
)
def test_what_cannot_be_kept_exactly_is_refused_by_place(place, state, message):
    with pytest.raises(TypeError, match=message):
        save_checkpoint(place, state)


@pytest.fixture(scope="module")
def content(place) -> bytes:
    rng = np.random.default_rng(0)
    state = {"weights": torch.from_numpy(rng.random(50)), "step": (7, 1e-3), "rng": rng.bit_generator.state}
    return save_checkpoint(place.with_name("good.safetensors"), state).read_bytes()


@given(data=st.data())
def test_every_flipped_bit_is_found(place, content, data):
    bit = data.draw(st.integers(0, 8 * len(content) - 1))
    damaged = bytearray(content)
    damaged[bit // 8] ^= 1 << bit % 8
    place.write_bytes(damaged)
    with pytest.raises(DamagedFile, match=f"{place}: .*seal does not match.*: delete it"):
        load_checkpoint(place)


@pytest.mark.parametrize("share", [0, 0.001, 0.01, 0.3, 0.5, 0.99, 0.9999])
def test_truncation_is_found(place, content, share):
    place.write_bytes(content[: int(share * len(content))])
    with pytest.raises(DamagedFile, match="is cut, changed, or no checkpoint"):
        load_checkpoint(place)


@pytest.mark.parametrize("tail", [b"\0", b"0" * 99])
def test_trailing_bytes_are_found(place, content, tail):
    place.write_bytes(content + tail)
    with pytest.raises(DamagedFile, match="no checkpoint"):
        load_checkpoint(place)


def test_missing_file_and_folder_are_told(tmp_path):
    with pytest.raises(DamagedFile, match="none: is missing: train it"):
        load_checkpoint(tmp_path / "none", again="train it")
    with pytest.raises(DamagedFile, match="directory"):
        load_checkpoint(tmp_path)


class Bomb:
    def __init__(self, marker):
        self.marker = marker

    def __reduce__(self):
        return os.mkdir, (str(self.marker),)


@pytest.mark.parametrize("write", [pickle.dump, torch.save], ids=["pickle", "torch"])
def test_pickle_under_another_name_is_refused_and_not_run(tmp_path, write):
    path, marker = tmp_path / "step.safetensors", tmp_path / "marker"
    with open(path, "wb") as file:
        write(Bomb(marker), file)
    with pytest.raises(DamagedFile, match="no checkpoint"):
        load_checkpoint(path)
    assert not marker.exists()


def forged(state, schema=1) -> bytes:
    """A file whose seal holds though its content does not: made, not damaged."""
    record = {"seal": "0" * 64, "schema": schema, "state": state}
    return seal(save({"0": torch.zeros(2)}, {"wm": json.dumps(record)}))


@pytest.mark.parametrize(
    ("state", "message"),
    [
        ({"tensor": "5"}, "cannot be read .'5'"),
        ({"tensor": {}}, "cannot be read"),
        ({"call": "os.system"}, "unknown tag call"),
        ({"dict": [], "tuple": []}, "cannot be read"),
        ({"dict": [[{"dict": []}, 1]]}, "unhashable"),
        ({"float": "many"}, "could not convert"),
        (math.nan, "not a finite number"),
    ],
    ids=str,
)
def test_forged_skeletons_are_refused(place, state, message):
    place.write_bytes(forged(state))
    with pytest.raises(DamagedFile, match=message):
        load_checkpoint(place)


def test_foreign_safetensors_and_endless_nesting_are_refused(place):
    place.write_bytes(save({"0": torch.zeros(2)}))
    with pytest.raises(DamagedFile, match="no checkpoint"):
        load_checkpoint(place)
    deep = '{"seal": "' + "0" * 64 + '", "schema": 1, "state": ' + "[" * 10**5 + "]" * 10**5 + "}"
    place.write_bytes(seal(save({}, {"wm": deep})))
    with pytest.raises(DamagedFile, match="recursion"):
        load_checkpoint(place)


def test_newer_schema_is_told(place):
    place.write_bytes(forged(None, schema=2))
    with pytest.raises(WrongSchema, match="has schema 2, this wm reads 1: update wm"):
        load_checkpoint(place)


SAVE_FOREVER = """
import itertools, os, random, signal, sys, time, torch
from wm.checkpoint import load_checkpoint, save_checkpoint

def save(step):
    save_checkpoint(sys.argv[1], {"step": step, "weights": torch.full((50_000,), float(step))})

torch.set_num_threads(1)
save(0)
random.seed(0)
for trial in range(20):
    before = os.stat(sys.argv[1]).st_mtime_ns
    if (saver := os.fork()) == 0:
        for step in itertools.count(1000 * trial):
            save(step)
    while os.stat(sys.argv[1]).st_mtime_ns == before:  # on a busy machine the first save takes long
        time.sleep(0.001)
    time.sleep(random.uniform(0, 0.04))
    os.kill(saver, signal.SIGKILL)
    os.waitpid(saver, 0)
    state = load_checkpoint(sys.argv[1])
    assert torch.all(state["weights"] == state["step"])
assert state["step"] > 0
print("all whole")
"""


@pytest.mark.fault
def test_kill_inside_a_save_leaves_a_whole_file(tmp_path):
    """One process forks savers that are killed at random moments, so that torch is loaded once."""
    path = tmp_path / "step.safetensors"
    command, folder = [sys.executable, "-c", SAVE_FOREVER, str(path)], Path(wm.__file__).parents[1]
    done = subprocess.run(command, cwd=folder, capture_output=True, text=True)
    assert done.stdout == "all whole\n", done.stderr
