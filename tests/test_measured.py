"""Files of measurements: rows of other families stay, their order and bytes do not depend on the runs."""

import json

import numpy as np
import pandas as pd
import pytest

from wm import show, store
from wm.measured import Measuring, States, read
from wm.train import environment

KNOWN = ("a", "b", "c")


def measure(*, device="cpu", families=None, repeats=5, value=1.0, column="x", axis="unit"):
    """A measure of families, by default of all."""
    wanted = families or KNOWN
    options = {"device": device, "families": families, "repeats": repeats}
    run = Measuring("ring/toy", measure, wanted, known=KNOWN, options=options)
    rows = pd.DataFrame({"family": list(wanted), column: value, "kept": True})
    arrays = {family: np.full(2, value, np.float16) for family in wanted}
    attrs = {"names": {family: [f"{family}-0"] for family in wanted}, "about": "text"}
    run.save({"toy": rows, "toy_curves": rows}, {"rates": States(arrays, (axis,), attrs)})
    return rows


@pytest.fixture
def place(roots):
    return roots / "data_json/ring"


def rates(roots):
    path = roots / "data_npy/ring/rates.h5"
    return {key: value.tolist() for key, value in store.load_states(path).items()}, store.states_info(path)


def record(place):
    return json.loads((place / "toy.json").read_text())


def test_rows_and_arrays_of_other_families_stay(place, roots):
    measure()
    whole = {path: path.read_bytes() for path in (*place.glob("*.csv"), *roots.glob("data_npy/ring/*.h5"))}
    measure(families=["b"], value=2.0)
    for name in ("toy", "toy_curves"):
        assert read("ring", name).set_index("family").x.to_dict() == {"a": 1, "b": 2, "c": 1}
    arrays, info = rates(roots)
    assert arrays == {"a": [1, 1], "b": [2, 2], "c": [1, 1]} and list(info["arrays"]) == ["a", "b", "c"]
    assert info["attrs"] == {"names": {"a": ["a-0"], "b": ["b-0"], "c": ["c-0"]}, "about": "text"}
    measure(families=["b"])
    assert len(whole) == 3 and {path: path.read_bytes() for path in whole} == whole


def test_the_order_is_that_of_the_families_and_unknown_ones_come_last(place, roots):
    measure(families=["c"])
    measure(families=["old", "a"])
    assert read("ring", "toy").family.tolist() == ["a", "c", "old"]
    assert list(rates(roots)[1]["attrs"]["names"]) == ["a", "c", "old"]


def test_the_record_tells_of_each_family_how_it_was_measured_last(place):
    measure()
    measure(families=["b"], repeats=7)
    measure(families=["c"])
    first, second, third = record(place)["runs"]
    assert (first["families"], second["families"], third["families"]) == (["a"], ["b"], ["c"])
    assert first["command"] == "wm states ring toy"
    assert second["command"] == f"{__name__}.measure(families=['b'], repeats=7)"
    assert third["command"] == "wm states ring toy --families c"
    assert second["settings"] == {"repeats": 7} and first["seconds"] >= 0
    assert environment("cpu").items() <= first.items()
    measure()
    assert [run["families"] for run in record(place)["runs"]] == [list(KNOWN)]


def test_the_command_has_the_device(monkeypatch, place):
    monkeypatch.setattr("wm.train.environment", lambda device: {"device": f"name of {device}"})
    measure(families=["a"], device="cuda:1")
    (run,) = record(place)["runs"]
    assert run["command"] == "wm states ring toy --families a --device cuda:1"
    assert run["device"] == "name of cuda:1"


@pytest.mark.parametrize("name", ["data_json/ring/toy.csv", "data_npy/ring/rates.h5"])
def test_what_cannot_be_read_is_replaced_by_all_families_but_not_by_some(place, roots, name):
    measure()
    (roots / name).write_bytes(b"cut")
    with pytest.raises(store.DamagedFile, match=name.rpartition("/")[2]):
        measure(families=["b"])
    measure()
    assert read("ring", "toy").family.tolist() == list(rates(roots)[0]) == ["a", "b", "c"]


def test_rows_with_other_columns_are_not_put_together(place):
    measure()
    with pytest.raises(store.WrongSchema, match="toy.csv: has other columns .*: measure all families"):
        measure(families=["b"], column="y")
    measure(column="y")
    assert list(read("ring", "toy")) == ["family", "y", "kept"]


def test_states_with_another_layout_are_not_put_together(place, roots):
    measure()
    with pytest.raises(store.WrongSchema, match="rates.h5: has another layout .*: measure all families"):
        measure(families=["b"], axis="network")
    measure(axis="network")
    assert rates(roots)[1]["arrays"]["a"]["dims"] == ["network"]


def test_earlier_runs_that_are_not_of_the_files_are_not_claimed(place):
    measure()
    (place / "toy.csv").write_text("family,x,kept\na,5,True\nc,5,True\n")
    measure(families=["b"])
    assert [run["families"] for run in record(place)["runs"]] == [["b"]]
    assert "not recorded: a, c" in show.described(str(place / "toy.csv"))
    (place / "toy.json").write_text("[]")
    measure(families=["a"])
    assert [run["families"] for run in record(place)["runs"]] == [["a"]]


def test_a_missing_table_says_how_it_is_measured(roots):
    with pytest.raises(store.DamagedFile, match="toy_curves.csv: is missing: .*`wm states ring toy`"):
        read("ring", "toy_curves", "toy")
    with pytest.raises(store.DamagedFile, match="or measure it with `wm states ring toy`"):
        read("ring", "toy")


@pytest.mark.parametrize("name", [
    "data_json/ring/toy.csv", "data_json/ring/toy.json", "data_json/ring/toy_curves.csv",
    "data_npy/ring/rates.h5",
])  # fmt: skip
def test_show_tells_device_versions_time_and_command(roots, name):
    measure()
    told = [line.strip() for line in show.described(str(roots / name))]
    about = environment("cpu")
    assert "again: wm states ring toy" in told and f"device: {about['device']}" in told
    assert f"torch: {about['torch']}" in told and "repeats: 5" in told
    assert any(line.startswith("seconds: 0") for line in told)
    measure(families=["b", "c"], repeats=6)
    told = [line.strip() for line in show.described(str(roots / name))]
    call = f"{__name__}.measure(families=['b', 'c'], repeats=6)"
    assert f"again: wm states ring toy; {call}" in told
    assert any(line.startswith(f"b, c: {call}: 0") for line in told)


def test_show_does_not_tell_of_a_table_what_made_another(place):
    measure()
    (place / "toy.csv").write_text("family,x\na,5\n")
    told = list(show.described(str(place / "toy.csv")))
    assert {"device: not recorded", "versions: not recorded", "seconds: not recorded"} <= {*told}
