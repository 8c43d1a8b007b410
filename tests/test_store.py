"""What was stored comes back whole or not at all, and nothing that was earlier stored is lost."""

import errno
import hashlib
import io
import json
import os
import pickle
import resource
import shutil
import subprocess
import sys
from pathlib import Path

import h5py
import numpy as np
import pandas as pd
import pytest
from hypothesis import given
from hypothesis import strategies as st

import wm
from wm import paths
from wm.files import is_sealed, read_json, seal, sha256, to_json, write_all, write_atomic
from wm.store import (
    CannotWrite,
    DamagedFile,
    Network,
    StoreError,
    UnknownNetwork,
    WrongSchema,
    list_networks,
    load_network,
    load_states,
    read_table,
    save_network,
    save_states,
    saved_files,
    states_info,
    verify,
    write_json,
    write_table,
)

pytestmark = pytest.mark.usefixtures("own_randomness")

JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False, allow_infinity=False) | st.text(),
    lambda inner: st.lists(inner) | st.dictionaries(st.text(), inner),
    max_leaves=15,
)


@pytest.fixture
def network() -> Network:
    rng = np.random.default_rng(0)
    weights = {
        "recurrent": rng.normal(size=(5, 4)).astype(np.float16).T, "shift": np.array(3, np.int16),
        "none": np.zeros((0, 2)), "mask": rng.random(4) > 0.5,
    }  # fmt: skip
    return Network("ring", "rt-07", {"seed": 7, "error_deg": np.float32(4.5)}, weights, {"loss": [1.0, 0.5]})


ARRAYS = {"rates": np.random.default_rng(0).normal(size=(3, 4, 5)), "time": np.arange(5, dtype=np.int16)}
DIMS = {"rates": ["network", "trial", "unit"], "time": ["time"]}
UNITS = {"rates": "Hz", "time": "ms"}


@pytest.fixture
def states(tmp_path) -> Path:
    return save_states(tmp_path / "a.h5", ARRAYS, dims=DIMS, units=UNITS, attrs={"family": "rt"})


@pytest.fixture
def npy(tmp_path) -> Path:
    return save_states(tmp_path / "a.npy", {"time": ARRAYS["time"]}, dims=DIMS, units=UNITS)


def flips(content: bytes, number: int = 40):
    """`content` with one bit flipped, at many places."""
    for bit in np.linspace(0, 8 * len(content) - 1, number, dtype=int):
        damaged = bytearray(content)
        damaged[bit // 8] ^= 1 << bit % 8
        yield bytes(damaged)


def cuts(content: bytes):
    ends = (0, 1, 7, 8, 100, len(content) // 2, len(content) - 1)
    return (content[:end] for end in ends if end < len(content))


def assert_same(arrays, expected):
    assert list(arrays) == list(expected)
    for name, array in expected.items():
        np.testing.assert_array_equal(arrays[name], array, strict=True)


# Atomic writes


def temporary_files(folder: Path) -> list[Path]:
    return list(folder.glob(".tmp-*"))


def test_write_atomic_makes_folders_and_keeps_the_suffix_for_the_writer(tmp_path):
    path = tmp_path / "new" / "a.png"
    write_atomic(path, lambda temporary: temporary.write_text(temporary.suffix + str(temporary.parent)))
    assert path.read_text() == f".png{path.parent}" and not temporary_files(path.parent)


@pytest.mark.parametrize("error", [RuntimeError("broken"), KeyboardInterrupt()], ids=repr)
def test_a_failing_writer_leaves_the_earlier_file_and_no_other(tmp_path, error):
    path = write_atomic(tmp_path / "a", b"earlier")

    def writer(temporary):
        temporary.write_bytes(b"half")
        raise error

    with pytest.raises(type(error)):
        write_atomic(path, writer)
    assert path.read_bytes() == b"earlier" and list(tmp_path.iterdir()) == [path]


def test_several_files_are_written_together_or_not_at_all(tmp_path):
    write_all({tmp_path / "a": b"1", tmp_path / "b": b"1"})

    def fail(_):
        raise RuntimeError("no")

    with pytest.raises(RuntimeError, match="no"):
        write_all({tmp_path / "a": b"2", tmp_path / "b": fail})
    assert sorted((p.name, p.read_bytes()) for p in tmp_path.iterdir()) == [("a", b"1"), ("b", b"1")]


@pytest.mark.parametrize(
    ("code", "message"),
    [
        (errno.ENOSPC, "no space left"), (errno.EDQUOT, "quota"), (errno.EFBIG, "size limit"),
        (errno.EROFS, "read-only"), (errno.EACCES, "no permission"), (errno.EPERM, "no permission"),
    ],
)  # fmt: skip
@pytest.mark.parametrize("call", ["fsync", "replace"])
def test_a_place_that_takes_nothing_is_told(tmp_path, monkeypatch, call, code, message):
    path = write_atomic(tmp_path / "a", b"earlier")
    told = rf"{path}: .*{message}.* \(needs 3 bytes, \d+ bytes free\): make room or choose"

    def refuse(*_):
        raise OSError(code, os.strerror(code))

    with monkeypatch.context() as patch, pytest.raises(CannotWrite, match=told):
        patch.setattr(os, call, refuse)
        write_atomic(path, b"new")
    assert path.read_bytes() == b"earlier" and not temporary_files(tmp_path)


def test_another_system_error_is_not_dressed_up(tmp_path):
    with pytest.raises(IsADirectoryError):
        write_atomic(tmp_path, b"")


EVERY_WRITER = """
import numpy as np, pandas, pathlib, resource, sys
from wm import checkpoint, files, store
folder, mode = pathlib.Path(sys.argv[1]), sys.argv[2]
big = np.random.default_rng(1).normal(size=20_000)
writers = {
    "a.csv": lambda p, n: store.write_table(p, pandas.DataFrame({"x": big[:n]})),
    "a.json": lambda p, n: store.write_json(p, big[:n]),
    "a.npy": lambda p, n: store.save_states(p, {"x": big[:n]}, dims={"x": ["time"]}, units={"x": "1"}),
    "a.h5": lambda p, n: store.save_states(p, {"x": big[:n]}, dims={"x": ["time"]}, units={"x": "1"}),
    "step.safetensors": lambda p, n: checkpoint.save_checkpoint(p, big[:n]),
    "any": lambda p, n: files.write_atomic(p, lambda t: t.write_bytes(bytes(8 * n))),
    "network": lambda p, n: store.save_network(store.Network("ring", "a", {}, {"x": big[:n]}), folder),
}
if mode == "first":
    for name, write in writers.items():
        write(folder / name, 10)
    raise SystemExit
if mode == "limit":
    resource.setrlimit(resource.RLIMIT_FSIZE, (4096, resource.RLIM_INFINITY))
for name, write in writers.items():
    try:
        write(folder / name, len(big))
        print(name, "was written")
    except store.CannotWrite as error:
        print(error)
"""


def run_writers(folder: Path, mode: str, wrap: str = "{}") -> str:
    command = wrap.format(f'"{sys.executable}" -c "$CODE" "{folder}" {mode}')
    environment = os.environ | {"CODE": EVERY_WRITER}
    cwd = Path(wm.__file__).parents[1]
    done = subprocess.run(["sh", "-ec", command], env=environment, cwd=cwd, capture_output=True, text=True)
    assert done.returncode == 0, done.stderr
    return done.stdout


def contents(folder: Path) -> dict[Path, bytes]:
    return {path: path.read_bytes() for path in folder.rglob("*") if path.is_file()}


def assert_all_refused(output: str, reason: str, folder: Path):
    lines = output.splitlines()
    assert len(lines) == 7
    assert all(reason in line and str(folder) in line and "bytes free" in line for line in lines)


@pytest.mark.fault
def test_every_writer_survives_a_size_limit(tmp_path):
    run_writers(tmp_path, "first")
    before = contents(tmp_path)
    assert_all_refused(run_writers(tmp_path, "limit"), "file size limit", tmp_path)
    assert contents(tmp_path) == before


def can_mount() -> bool:
    attempt = ["sh", "-c", 'unshare --mount sh -c "mount -t tmpfs none /mnt"']
    return subprocess.run(attempt, capture_output=True).returncode == 0


@pytest.mark.fault
@pytest.mark.skipif(not can_mount(), reason="needs the right to mount; the errno tests cover what it covers")
@pytest.mark.parametrize(
    ("reason", "spoil"),
    [
        ("no space left", "dd if=/dev/zero of=disk/fill bs=4k 2>/dev/null || true"),
        ("read-only", "mount -o remount,ro disk"),
    ],
)
def test_every_writer_survives_a_full_or_read_only_disk(tmp_path, reason, spoil):
    kept, disk = tmp_path / "kept", tmp_path / "disk"
    disk.mkdir()
    run_writers(kept, "first")
    before = {path.relative_to(kept): content for path, content in contents(kept).items()}
    make = f"mount -t tmpfs -o size=200k none disk; cp -r kept/. disk; {spoil}"
    keep = "cp -r disk after; rm -f after/fill"
    wrap = f"unshare --mount sh -ec '(cd {tmp_path}; {make}); {{}}; cd {tmp_path}; {keep}'"
    assert_all_refused(run_writers(disk, "again", wrap), reason, disk)
    after = tmp_path / "after"
    assert {path.relative_to(after): content for path, content in contents(after).items()} == before


# Seals, JSON and tables


@given(st.binary(max_size=50))
def test_a_seal_covers_every_byte(tail):
    content = seal(b'{"seal": "' + b"0" * 64 + b'", "x": 1}' + tail)
    assert is_sealed(content) and seal(content) == content
    assert not any(map(is_sealed, flips(content))) and not any(map(is_sealed, cuts(content)))


@given(JSON)
def test_json_round_trip(tmp_path, value):
    path = write_json(tmp_path / "a.json", value)
    assert repr(read_json(path)) == repr(value) and path.read_bytes().endswith(b"\n")


def test_json_takes_numpy_and_keeps_the_order_of_keys(tmp_path):
    value = {"b": np.float32(0.5), "a": np.arange(4).reshape(2, 2), "µ": (np.bool_(True), np.int8(3))}
    read = read_json(write_json(tmp_path / "a.json", value))
    assert read == {"b": 0.5, "a": [[0, 1], [2, 3]], "µ": [True, 3]} and list(read) == ["b", "a", "µ"]


@pytest.mark.parametrize(
    ("value", "message"),
    [
        ({"a": [1, {"b": float("nan")}]}, r"\$\.a\[1\]\.b is nan: JSON has no such number"),
        ([np.array([0, np.inf])], r"\$\[0\]\[1\] is inf"),
        ({"a": {1: 2}}, r"\$\.a has the key 1: JSON keys are strings"),
        ({"a": Path("x")}, r"\$\.a is a PosixPath"),
    ],
    ids=str,
)
def test_json_refuses_by_key_path_and_keeps_the_earlier_file(tmp_path, value, message):
    path = write_json(tmp_path / "a.json", 1)
    with pytest.raises(ValueError, match=message):
        write_json(path, value)
    assert read_json(path) == 1


@pytest.mark.parametrize(
    ("content", "message"),
    [
        (b'{"a": NaN}', "NaN is not a finite number"),
        (b"[-Infinity]", "-Infinity is not"),
        (b"[1e999]", "1e999 is not"),
        (b'{"b": {"a": 1, "a": 2}}', "keys given twice: a"),
        (b"\xef\xbb\xbf{}", "BOM"),
        (b"{} {}", "Extra data"),
        (b"", "Expecting value"),
        (b'"\xff"', "utf-8"),
        (b"[" * 10**5, "recursion"),
        (b"9" * 5000, "digits"),
        (pickle.dumps({"a": 1}), "utf-8"),
    ],
    ids=lambda value: str(value)[:20],
)
def test_json_that_is_not_strict_is_damaged(tmp_path, content, message):
    path = write_atomic(tmp_path / "a.json", content)
    with pytest.raises(DamagedFile, match=rf"{path}: cannot be read \(.*{message}.*: restore it"):
        read_json(path)


def test_table_round_trip(tmp_path):
    table = pd.DataFrame({"name, odd": ["a", 'b"\n'], "x": [1 / 3, 2e-9], "n": [1, 2]})
    path = write_table(tmp_path / "a.csv", table)
    assert b"0.333333,1" in path.read_bytes()
    pd.testing.assert_frame_equal(read_table(path), table, rtol=1e-5)


@pytest.mark.parametrize(
    ("content", "message"),
    [
        (b"", "not enough values"), (b"a,b\n1,2", "last line is cut"), (b"a,b\n1\n", "row 2 does not have 2"),
        (b"a,b\n1,2\n1,2,3\n", "row 3"), (b"a,a\n1,2\n", "column name is given twice"), (b"\xff\n", "utf-8"),
        (b'a\n"b\n', "unexpected end"),
    ],
)  # fmt: skip
def test_damaged_tables(tmp_path, content, message):
    with pytest.raises(DamagedFile, match=message):
        read_table(write_atomic(tmp_path / "a.csv", content))


# Networks


def test_network_round_trip(roots, network):
    assert save_network(network) == paths.data() / "ring" / "rt-07"
    loaded = load_network("ring", "rt-07")
    assert (loaded.system, loaded.name, loaded.history) == ("ring", "rt-07", {"loss": [1.0, 0.5]})
    assert loaded.record == {"seed": 7, "error_deg": 4.5}
    assert_same(dict(sorted(loaded.weights.items())), dict(sorted(network.weights.items())))
    record = read_json(paths.data() / "ring" / "rt-07" / "network.json", sealed=True)
    assert set(record["versions"]) == {"python", "numpy", "torch", "wm"} and record["created_utc"]
    assert record["files"]["history.json"]["sha256"] == sha256(paths.data() / "ring/rt-07/history.json")


def test_saving_twice_replaces(roots, network):
    save_network(network)
    save_network(Network("ring", "rt-07", {"seed": 8}))
    loaded = load_network("ring", "rt-07")
    assert loaded.record == {"seed": 8} and loaded.weights == {}


def test_networks_are_listed_and_another_folder_can_hold_them(roots, network, tmp_path):
    assert list_networks() == []
    other = tmp_path / "elsewhere"
    for system, name in [("ring", "b"), ("aime", "c"), ("ring", "a")]:
        save_network(Network(system, name), other)
    assert list_networks(folder=other) == [("aime", "c"), ("ring", "a"), ("ring", "b")]
    assert list_networks("ring", other) == [("ring", "a"), ("ring", "b")]
    assert load_network("aime", "c", other).name == "c"


def test_unknown_network_suggests_the_nearest(roots, network):
    save_network(network)
    with pytest.raises(UnknownNetwork, match="no such network: did you mean ring/rt-07"):
        load_network("ring", "rt07")
    with pytest.raises(LookupError, match="`wm show` lists the 1 that there are"):
        load_network("aime", "something-else")


NOT_PLAIN = ["../x", "/etc", "a/b", "..", ".", "", "a\n", "a b", "µ", "a" * 101, ".hidden", "a\0"]


@pytest.mark.parametrize("name", NOT_PLAIN)
def test_names_that_are_not_plain_are_refused(roots, name):
    for bad in [("ring", name), (name, "rt-07")]:
        with pytest.raises(ValueError, match="letters, digits"):
            load_network(*bad)
        with pytest.raises(ValueError, match="letters, digits"):
            save_network(Network(*bad))
    assert not list(roots.rglob("*"))


@pytest.mark.parametrize("dtype", ["U1", "O", "c16", "M8[s]"])
def test_weights_that_are_not_numbers_are_refused(roots, dtype):
    with pytest.raises(ValueError, match="weights w have dtype"):
        save_network(Network("ring", "a", {}, {"w": np.zeros(2, dtype)}))


def test_a_network_with_a_bad_part_is_not_saved_at_all(roots, network):
    save_network(network)
    before = contents(roots)
    with pytest.raises(ValueError, match=r"\$\.loss\[0\] is nan"):
        save_network(Network("ring", "rt-07", {}, {}, {"loss": [float("nan")]}))
    with pytest.raises(ValueError, match=r"\$\.record\.x is nan"):
        save_network(Network("ring", "rt-07", {"x": np.nan}))
    assert contents(roots) == before


@pytest.mark.parametrize("name", ["network.json", "weights.safetensors", "history.json"])
def test_any_damage_to_a_network_is_found(roots, network, name):
    path = save_network(network) / name
    content = path.read_bytes()
    for damaged in (*flips(content), *cuts(content), content + b" ", pickle.dumps(network.weights)):
        path.write_bytes(damaged)
        with pytest.raises(DamagedFile, match=rf"{path}: .*: restore it with .*, or train rt-07 again"):
            load_network("ring", "rt-07")
    path.unlink()
    with pytest.raises(DamagedFile, match=f"{name}.*is missing|{name} is missing"):
        load_network("ring", "rt-07")


def test_a_folder_without_record_is_incomplete(roots, network):
    (save_network(network) / "network.json").unlink()
    with pytest.raises(DamagedFile, match="is incomplete, network.json is missing"):
        load_network("ring", "rt-07")
    assert list_networks() == []


def test_a_copied_network_is_not_another_one(roots, network):
    place = save_network(network)
    shutil.copytree(place, place.with_name("rt-08"))
    with pytest.raises(DamagedFile, match="is the record of ring/rt-07"):
        load_network("ring", "rt-08")


@pytest.mark.parametrize(
    ("change", "error", "message"),
    [
        ({"schema": 2}, WrongSchema, "has schema 2, this wm reads 1: update wm"),
        ({"files": {}}, DamagedFile, "weights.safetensors"),
        ({"files": []}, DamagedFile, "cannot be read"),
        ({"files": {"../../x": {}}}, DamagedFile, "weights.safetensors"),
    ],
)
def test_forged_records_are_refused(roots, network, change, error, message):
    path = save_network(network) / "network.json"
    path.write_bytes(seal(to_json(read_json(path) | change)))
    with pytest.raises(error, match=message):
        load_network("ring", "rt-07")


# States


def test_states_round_trip(states, npy):
    assert_same(load_states(states), ARRAYS)
    assert_same(load_states(states, ["time"]), {"time": ARRAYS["time"]})
    assert_same(load_states(npy), {"time": ARRAYS["time"]})
    info = states_info(states)
    expected = {"shape": [3, 4, 5], "dtype": "<f8", "dims": DIMS["rates"], "units": "Hz"}
    assert info["arrays"]["rates"] == expected
    assert info["attrs"] == {"family": "rt"} and info["sha256"] == sha256(states)


@pytest.mark.parametrize("suffix", [".h5", ".npy"])
@pytest.mark.parametrize("dtype", ["?", "i1", "u8", "f2", "f4", ">f8", "c16"])
@pytest.mark.parametrize("shape", [(), (0, 3), (2, 3), (1, 2, 3, 4)])
def test_states_keep_dtype_and_shape(tmp_path, suffix, dtype, shape):
    array = np.ones(shape, dtype).T
    dims = {"x": list("abcd"[: len(shape)])}
    path = save_states(tmp_path / f"a{suffix}", {"x": array}, dims=dims, units={"x": "1"})
    assert_same(load_states(path), {"x": array})


def test_states_describe_themselves_to_other_readers(states):
    with h5py.File(states) as file:
        rates = file["rates"]
        assert (rates.compression, rates.shuffle, rates.fletcher32) == ("gzip", True, True)
        assert json.loads(rates.attrs["dims"]) == DIMS["rates"] and rates.attrs["units"] == "Hz"
        assert json.loads(file.attrs["attrs"]) == {"family": "rt"} and json.loads(file.attrs["schema"]) == 1


def test_same_states_give_same_bytes(tmp_path, states):
    again = save_states(tmp_path / "b.h5", ARRAYS, dims=DIMS, units=UNITS, attrs={"family": "rt"})
    assert again.read_bytes() == states.read_bytes()


@pytest.mark.parametrize(
    ("name", "changes", "message"),
    [
        ("a.pkl", {}, "saved as .h5 or .npy, not .pkl"),
        ("a", {}, "not without a suffix"),
        ("a.npy", {}, "holds one array, not 2: use .h5"),
        ("a.h5", {"dims": {}}, r"rates has shape \(3, 4, 5\): `dims` must name its 3 axes"),
        ("a.h5", {"dims": DIMS | {"time": ["a", "b"]}}, "time has shape"),
        ("a.h5", {"units": {"rates": "Hz"}}, "time has no entry in `units`"),
        ("a.h5", {"arrays": {"t": np.array(["text"])}}, "t has dtype <U4"),
        ("a.h5", {"arrays": {"a/b": np.zeros(2)}}, "no slash"),
        ("a.h5", {"attrs": {"x": float("nan")}}, r"\$\.attrs\.x is nan"),
    ],
)
def test_states_that_are_not_described_are_refused(tmp_path, name, changes, message):
    given_ = {"arrays": ARRAYS, "dims": DIMS, "units": UNITS} | changes
    with pytest.raises(ValueError, match=message):
        save_states(tmp_path / name, given_.pop("arrays"), **given_)
    assert not list(tmp_path.iterdir())


def test_unknown_array_names_those_there_are(states):
    with pytest.raises(WrongSchema, match="has no array rats: it has rates, time"):
        load_states(states, ["rats"])


@pytest.mark.parametrize("kind", ["states", "npy"])
@pytest.mark.parametrize("sidecar", [False, True])
def test_any_damage_to_states_is_found(request, kind, sidecar):
    path = request.getfixturevalue(kind)
    damaged_path = path.with_name(path.name + ".json") if sidecar else path
    content = damaged_path.read_bytes()
    for damaged in (*flips(content), *cuts(content), content + b" ", pickle.dumps([1])):
        damaged_path.write_bytes(damaged)
        with pytest.raises(DamagedFile, match=f"{damaged_path}: "):
            load_states(path)
    damaged_path.unlink()
    with pytest.raises(DamagedFile, match=f"{damaged_path}: is missing"):
        load_states(path)


def forge(path: Path, content: bytes, **changes) -> Path:
    """Put `content` under the name of a state file, with a sidecar that vouches for it."""
    sidecar = path.with_name(path.name + ".json")
    info = read_json(sidecar) | {"sha256": hashlib.sha256(content).hexdigest()} | changes
    path.write_bytes(content)
    sidecar.write_bytes(seal(to_json(info)))
    return path


def hdf5(fill) -> bytes:
    buffer = io.BytesIO()
    with h5py.File(buffer, "w") as file:
        fill(file)
    return buffer.getvalue()


def described(shape, dtype="<f8") -> dict:
    return {"x": {"shape": list(shape), "dtype": dtype, "dims": [], "units": "1"}}


def virtual(file):
    layout = h5py.VirtualLayout((2,), "f8")
    layout[:] = h5py.VirtualSource("other.h5", "x", (2,))
    file.create_virtual_dataset("x", layout)


def external(file):
    file.create_dataset("x", (2,), "f8", external=[("/etc/passwd", 0, 16)])


@pytest.mark.parametrize(
    ("fill", "message"),
    [
        (lambda f: f.update(x=h5py.ExternalLink("/etc/passwd", "x")), "x is a ExternalLink, which may"),
        (lambda f: f.update(x=h5py.SoftLink("/x")), "x is a SoftLink"),
        (external, "numbers in another file"),
        (virtual, "virtual dataset"),
        (lambda f: f.create_group("x"), "x is a Group, not a dataset"),
        (lambda f: f.update(x=np.dtype("f8")), "x is a Datatype"),
        (lambda f: f.create_dataset("x", data=["a", "b"]), "not numbers"),
        (lambda f: f.create_dataset("x", data=np.zeros(3)), "not as its sidecar describes"),
        (lambda f: f.create_dataset("x", data=np.zeros(2, "f4")), "not as its sidecar describes"),
        (lambda f: f.create_dataset("y", data=np.zeros(2)), "its arrays are not those"),
        (lambda f: f.create_dataset("x", (2,), "f8", chunks=(2,)), "declares 16 bytes, more than the file"),
    ],
)
def test_hdf5_that_reaches_outside_or_is_of_another_kind_is_refused(states, fill, message):
    with pytest.raises(DamagedFile, match=message):
        load_states(forge(states, hdf5(fill), arrays=described((2,))))


def test_huge_declared_shapes_are_refused_before_they_take_memory(states, npy):
    huge = (10**6, 10**6)
    content = hdf5(lambda f: f.create_dataset("x", huge, "f8", chunks=(1000, 1000)))
    with pytest.raises(DamagedFile, match="declares 8000000000000 bytes"):
        load_states(forge(states, content, arrays=described(huge)))
    header = io.BytesIO()
    np.lib.format.write_array_header_1_0(header, {"descr": "<f8", "fortran_order": False, "shape": huge})
    with pytest.raises(DamagedFile, match="Unable to allocate|cannot reshape"):
        load_states(forge(npy, header.getvalue() + bytes(8), arrays=described(huge)))
    assert resource.getrusage(resource.RUSAGE_SELF).ru_maxrss < 8e6  # far below the 8e9 kB declared


class Bomb:
    def __init__(self, marker):
        self.marker = marker

    def __reduce__(self):
        return os.mkdir, (str(self.marker),)


def npz(bomb) -> bytes:
    buffer = io.BytesIO()
    np.savez(buffer, x=np.array([bomb]))
    return buffer.getvalue()


def object_npy(bomb) -> bytes:
    buffer = io.BytesIO()
    np.save(buffer, np.array([bomb]), allow_pickle=True)
    return buffer.getvalue()


@pytest.mark.parametrize("make", [pickle.dumps, npz, object_npy], ids=["pickle", "npz", "object npy"])
@pytest.mark.parametrize("kind", ["states", "npy"])
def test_pickles_under_other_names_are_refused_and_not_run(request, tmp_path, make, kind):
    marker = tmp_path / "marker"
    content = make(Bomb(marker))
    path = forge(request.getfixturevalue(kind), content, bytes=len(content), arrays=described((1,), "|O"))
    with pytest.raises(DamagedFile, match="cannot be read"):
        load_states(path)
    assert not marker.exists()


@pytest.mark.parametrize(("change", "error"), [({"schema": 3}, WrongSchema), ({"arrays": []}, DamagedFile)])
def test_forged_sidecars_are_refused(states, change, error):
    with pytest.raises(error, match="has schema 3, this wm reads 1|cannot be read"):
        load_states(forge(states, states.read_bytes(), **change))


# Verification


@pytest.fixture
def shipped(roots, network) -> Path:
    """A recorded place with one thing of each kind: its root."""
    save_network(network)
    save_states(paths.data_npy() / "ring" / "a.h5", ARRAYS, dims=DIMS, units=UNITS)
    write_json(paths.data_json() / "a.json", {"x": 1})
    write_table(paths.data_json() / "a.csv", pd.DataFrame({"x": [1]}))
    assert verify(record=True) == []
    return roots


def problems(root: Path) -> dict[str, str]:
    return {problem.path.relative_to(root).as_posix(): problem.what for problem in verify()}


def test_the_manifest_names_what_is_shipped_wherever_it_lies(shipped, monkeypatch):
    recorded = read_json(paths.data() / "MANIFEST.json", sealed=True)["files"]
    names = ["data/ring/rt-07/network.json", "data_json/a.csv", "data_npy/ring/a.h5.json"]
    assert sorted(recorded) == names and recorded["data_json/a.csv"] == sha256(paths.data_json() / "a.csv")
    monkeypatch.setenv("WM_DATA_JSON", str(paths.data_json().rename(shipped / "elsewhere")))
    assert verify() == []


@pytest.mark.parametrize(
    ("gone", "told"),
    [
        ("data/ring/rt-07", "data/ring/rt-07/network.json"),
        ("data/ring", "data/ring/rt-07/network.json"),
        ("data/ring/rt-07/network.json", "data/ring/rt-07"),
        ("data/ring/rt-07/weights.safetensors", "data/ring/rt-07/weights.safetensors"),
        ("data/MANIFEST.json", "data/MANIFEST.json"),
        ("data", "data/MANIFEST.json"),
        ("data_npy/ring/a.h5", "data_npy/ring/a.h5"),
        ("data_npy/ring/a.h5.json", "data_npy/ring/a.h5.json"),
        ("data_npy", "data_npy/ring/a.h5.json"),
        ("data_json", "data_json/a.csv"),
    ],
)
def test_verify_misses_each_thing_that_is_deleted_once(shipped, gone, told):
    place = shipped / gone
    shutil.rmtree(place) if place.is_dir() else place.unlink()
    assert problems(shipped) == {told: problems(shipped)[told]} and "missing" in problems(shipped)[told]
    assert all("restore it with `git checkout" in problem.remedy for problem in verify())


def test_verify_finds_what_was_changed_though_it_is_whole(shipped, network):
    write_table(paths.data_json() / "a.csv", pd.DataFrame({"x": [2]}))
    save_network(Network("ring", "rt-07", {"seed": 8}))
    save_states(paths.data_npy() / "ring" / "a.h5", ARRAYS, dims=DIMS, units=UNITS, attrs={"family": "it"})
    changed = ["data/ring/rt-07/network.json", "data_npy/ring/a.h5.json", "data_json/a.csv"]
    assert sorted(problems(shipped)) == sorted(changed)
    assert set(problems(shipped).values()) == {"has changed since it was recorded in MANIFEST.json"}
    assert "if it is meant, record what is there with `wm verify --record`" in verify()[0].remedy
    assert verify(record=True) == verify() == []


def test_any_damage_to_the_manifest_is_found(shipped):
    path = paths.data() / "MANIFEST.json"
    content = path.read_bytes()
    for damaged in (*flips(content), *cuts(content), seal(to_json(read_json(path) | {"schema": 2}))):
        path.write_bytes(damaged)
        assert list(problems(shipped)) == ["data/MANIFEST.json"]


def test_networks_of_ones_own_are_checked_by_their_seal_alone(shipped):
    place = save_network(Network("ring", "own-1"))
    assert verify() == []
    (place / "history.json").write_bytes(b"{}")
    assert list(problems(shipped)) == ["data/ring/own-1/history.json"]


def test_damage_is_not_recorded(shipped):
    before = (paths.data() / "MANIFEST.json").read_bytes()
    write_atomic(paths.data_json() / "b.csv", b"cut")
    assert [problem.what for problem in verify(record=True)] == ["cannot be read (the last line is cut)"]
    assert (paths.data() / "MANIFEST.json").read_bytes() == before


@pytest.mark.parametrize("record", [False, True])
def test_an_empty_place_is_a_problem(roots, record):
    (problem,) = verify(record=record)
    assert problem.what == "is missing" and "check WM_DATA: no network is saved there" in problem.remedy
    assert saved_files() == []


def test_hidden_folders_are_ignored(shipped):
    before = saved_files()
    for folder in ("data/ring", "data", "data_json"):
        write_atomic(shipped / folder / ".ipynb_checkpoints" / "rt-07" / "network.json", b"{")
    assert verify() == [] and saved_files() == before and list_networks() == [("ring", "rt-07")]


def test_remedies_can_be_pasted(roots, monkeypatch, network):
    monkeypatch.setenv("WM_DATA", str(roots / "my data"))
    (save_network(network) / "history.json").unlink()
    with pytest.raises(DamagedFile, match="git checkout -- '.*/my data/ring/rt-07'`"):
        load_network("ring", "rt-07")


def test_verify_names_every_problem(roots, network):
    place = save_network(network)
    write_atomic(place / "weights.safetensors", b"")
    write_atomic(paths.data() / "ring" / "rt-09" / "weights.safetensors", b"")
    write_atomic(paths.data() / "ring" / "odd name" / "network.json", b"")
    write_atomic(paths.data_npy() / "alone.npy", b"")
    write_atomic(paths.data_npy() / "gone.h5.json", b"{}")
    write_atomic(paths.data_npy() / ".tmp-123.npy", b"")
    write_atomic(paths.data_json() / "a.json", b"{")
    write_atomic(paths.data_json() / "a.csv", b"a,b\n1")
    found = problems(roots)
    expected = {
        "data/MANIFEST.json": "missing",
        "data/ring/rt-07/weights.safetensors": "sha256", "data/ring/rt-09": "incomplete",
        "data/ring/odd name": "letters, digits", "data_npy/alone.npy.json": "missing",
        "data_npy/gone.h5": "missing", "data_npy/.tmp-123.npy": "left over from a write",
        "data_json/a.json": "cannot be read", "data_json/a.csv": "cut",
    }  # fmt: skip
    assert found.keys() == expected.keys()
    assert all(what in found[path] for path, what in expected.items())
    assert all(problem.remedy for problem in verify())


def test_errors_can_cross_processes():
    error = UnknownNetwork("data/ring/x", "there is no such network", "did you mean y?")
    copy = pickle.loads(pickle.dumps(error))
    assert str(copy) == str(error) == "data/ring/x: there is no such network: did you mean y?"
    assert isinstance(copy, StoreError) and copy.path == Path("data/ring/x")
