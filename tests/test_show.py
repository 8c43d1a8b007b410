"""`wm show FILE`: what made each kind of file, and the command that makes it again."""

import json
import os
from pathlib import Path

import matplotlib.pyplot as plt
import nbformat
import numpy as np
import pandas as pd
import pytest

from wm import paths, show, store, style
from wm.files import DamagedFile, sha256, write_json, write_table
from wm.lint import code_hash
from wm.manifest import tree_hash
from wm.origin import origin

INDEX = """[13]
notebook = "13_topic.ipynb"
system = "ring"
title = "Errors"
figures = ["13a"]
reads = ["data/ring", "data_json/ring/scores.csv"]
"""
PARAMETERS = {"families": "all", "smoke": False}


def told(target: str | Path) -> dict[str, str]:
    """The lines by key; a key of several levels is given by its last word."""
    pairs = (line.strip().partition(":")[::2] for line in show.described(str(target)))
    return {key: value.strip() for key, value in pairs}


def notebook(path: Path, metadata: dict | None = None) -> None:
    source = 'families: str = "all"\nsmoke: bool = False'
    cell = nbformat.v4.new_code_cell(source, metadata={"tags": ["parameters"]})
    made = nbformat.v4.new_notebook(cells=[cell], metadata={"papermill": metadata} if metadata else {})
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(nbformat.writes(made))


def figure(roots: Path, record: dict) -> Path:
    """Draw 13a as the runner would let it be drawn."""
    write_json(roots / "run.json", record)
    os.environ["WM_RUN"] = str(roots / "run.json")
    try:
        drawn, _ = plt.subplots(figsize=(1, 1))
        return style.save_figure(drawn, "13a")
    finally:
        plt.close(drawn)
        del os.environ["WM_RUN"]


@pytest.fixture
def run(roots):
    """One ring network, a table, and a finished, published run of notebook 13 that read both."""
    network = store.Network("ring", "rt-07", {"command": "wm train x", "seed": "7"}, {"w": np.zeros(3)}, {})
    store.save_network(network)
    write_table(roots / "data_json/ring/scores.csv", pd.DataFrame({"network": ["rt-07"], "error": [1.5]}))
    notebook(roots / "notebooks/13_topic.ipynb")
    (roots / "notebooks/figures.toml").write_text(INDEX)
    inputs = {
        "notebooks/13_topic.ipynb": code_hash(roots / "notebooks/13_topic.ipynb"),
        "data/ring": tree_hash(paths.data() / "ring"),
        "data_json/ring/scores.csv": sha256(roots / "data_json/ring/scores.csv"),
    }
    record = {"notebook": "13_topic.ipynb", "parameters": PARAMETERS, "inputs": inputs, "commit": "0123abc"}
    png = figure(roots, record)
    claims = [{"id": "13.1", "statement": "low", "published": 2, "ours": 1.5, "interval": [1, 2]}]
    claims[0]["verdict"] = "reproduced"
    claims.append({"id": "13.2", "statement": "x", "verdict": "cannot (y)"})
    write_json(png.with_name("claims.json"), {"notebook": "13", "system": "ring", "claims": claims})
    times = {"start_time": "2026-01-02T03:04:05", "duration": 3.2, "parameters": {}}
    notebook(png.with_name("13_topic.ipynb"), times)
    outputs = {path.name: sha256(path) for path in (png, png.with_name("claims.json"))}
    done = record | origin() | {"commit": "0123abc", "mode": "full", "seconds": 14.4, "outputs": outputs}
    write_json(png.with_name("done.json"), done)
    (roots / "figures/claims").mkdir(parents=True)
    (roots / "figures/13a.png").write_bytes(png.read_bytes())
    (roots / "figures/claims/13.json").write_bytes(png.with_name("claims.json").read_bytes())
    return record


@pytest.mark.parametrize("target", ["13a", "figures/13a.png", "results/13/13a.png", "results/13/13a.pdf"])
def test_figure(run, roots, target):
    found = told(roots / target if "/" in target else target)
    assert (found["again"], found["notebook"]) == ("./run_all.sh 13", "13_topic.ipynb")
    assert (found["families"], found["smoke"], found["commit"]) == ("all", "False", "0123abc")
    assert found["data/ring"] == f"{run['inputs']['data/ring'][:8]} (unchanged)"
    assert (found["mode"], found["seconds"], found["numpy"]) == ("full", "14.4", np.__version__)
    assert found["finished"].endswith(" UTC") and found["device"] == origin()["device"]
    assert found["seeds"] == "those of the networks read, and fixed ones in the code"


def test_figure_tells_which_inputs_have_changed(run, roots):
    (roots / "data_json/ring/scores.csv").write_text("network\nrt-08\n")
    (roots / "notebooks/13_topic.ipynb").unlink()
    found = told("13a")
    assert " (now " in found["data_json/ring/scores.csv"]
    assert found["notebooks/13_topic.ipynb"].endswith("(no longer there)")
    assert (found["data/ring"][-11:], found["again"]) == ("(unchanged)", "./run_all.sh 13")


def test_figure_of_another_run_than_the_last_tells_nothing_of_the_last(run, roots):
    record = run | {"parameters": {"families": "rt, sa", "smoke": False}}
    (roots / "figures/13a.png").write_bytes(figure(roots, record).read_bytes())
    found = told("13a")
    assert found["again"].endswith("-m wm.notebook 13 '--set=families=rt, sa'") and "seconds" not in found
    assert "device" not in found and found["run"] == (
        f"not recorded in {roots / 'results/13'}: device and time are not known"
    )
    figure(roots, run | {"parameters": PARAMETERS | {"smoke": True}})
    assert told(roots / "results/13/13a.png")["again"] == "./run_all.sh 13 --smoke"
    (roots / "results/13/done.json").write_text("{")
    assert told("13a")["families"] == "rt, sa"


def test_device_and_versions_leave_the_bytes_of_a_figure_alone(run, roots):
    png = roots / "results/13/13a.png"
    before = png.read_bytes(), png.with_suffix(".pdf").read_bytes()
    figure(roots, run | {"mode": "full", "device": "abacus", "versions": {"numpy": "9.9"}})
    assert (png.read_bytes(), png.with_suffix(".pdf").read_bytes()) == before


def test_smoke_figure_tells_of_its_own_run_and_seed(run, roots):
    smoke = roots / "results/smoke/13"
    figure(roots, run | {"parameters": PARAMETERS | {"smoke": True, "seed": 3}})
    smoke.parent.mkdir()
    (roots / "results/13").rename(smoke)
    about = {"mode": "smoke", "versions": {"numpy": "9.9"}, "device": "abacus"}
    parameters = {"parameters": PARAMETERS | {"smoke": True, "seed": 3}}
    done = run | about | parameters | {"outputs": {"13a.png": sha256(smoke / "13a.png")}}
    write_json(smoke / "done.json", done)
    found = told(smoke / "13a.png")
    assert (found["numpy"], found["device"], found["mode"]) == ("9.9", "abacus", "smoke")
    assert found["seeds"].startswith("seed 3, those of the networks")


def test_network_of_two_systems_and_the_networks_of_one(run, roots):
    store.save_network(store.Network("nback", "rt-07", {"seed": "8"}, {"w": np.zeros(3)}, {}))
    with pytest.raises(ValueError, match="several networks are 'rt-07': nback/rt-07 or ring/rt-07"):
        told("rt-07")
    assert (told("nback/rt-07")["seed"], told("data/ring/rt-07")["seed"]) == ("8", "7")
    for target in ("ring", "data/ring", f"{roots}/data/ring/"):
        assert list(show.described(target)) == [
            f"networks in {roots / 'data/ring'}, with median scores:", "  ring.rt            1  no scores",
        ]  # fmt: skip
    with pytest.raises(ValueError, match="no file or network 'ring/rt-70': did you mean ring/rt-07"):
        told("ring/rt-70")


@pytest.mark.parametrize("target", ["rt-07", "ring/rt-07", "data/ring/rt-07/weights.safetensors"])
def test_network(run, roots, target):
    found = told(roots / target if "." in target else target)
    assert (found["network"], found["again"], found["seed"]) == ("ring/rt-07", "wm train x", "7")
    weights = paths.data() / "ring/rt-07/weights.safetensors"
    assert found["weights.safetensors"] == sha256(weights)[:8]
    assert found["numpy"] == np.__version__ and found["created"] and found["read by"] == "13_topic.ipynb"


@pytest.mark.parametrize("suffix", ["", ".json"])
def test_states_and_their_record(run, roots, suffix):
    path = roots / "data_npy/ring/rates.h5"
    names = [f"rt-{k:02}" for k in range(20)]
    about = {"dims": {"r": ("time",)}, "units": {"r": "Hz"}, "attrs": {"names": names}}
    store.save_states(path, {"r": np.zeros(3)}, **about)
    found = told(f"ring/rates.h5{suffix}")
    assert (found["again"], found["dims"], found["torch"] != "") == ("wm states ring", "time", True)
    assert (found["device"], found["seconds"]) == ("not recorded",) * 2
    assert found["seeds"].startswith("those of the networks")
    assert found["names"] == "rt-00, rt-01, ... rt-19 (20 in all)" and found["sha256"] == sha256(path)[:8]
    path.write_bytes(b"cut")
    assert "but the file differs: wm verify" in told(path)["sha256"]
    path.unlink()
    assert "but no file" in told(f"{path}.json")["sha256"]


def test_table_is_held_against_the_manifest(run, roots):
    found = told("ring/scores.csv")
    assert (found["again"], found["rows"], found["columns"]) == ("not recorded", "1", "network, error")
    assert found["sha256"].endswith("(not in the manifest)") and found["read by"] == "13_topic.ipynb"
    store.verify(record=True)
    assert told("ring/scores.csv")["sha256"].endswith("(as shipped)")
    (roots / "data_json/ring/scores.csv").write_text("network\nrt-08\n")
    assert told("ring/scores.csv")["sha256"].endswith("(changed since)")
    write_table(roots / "elsewhere/t.csv", pd.DataFrame({"a": [1]}))
    found = told(roots / "elsewhere/t.csv")
    unknown = ("again", "device", "versions", "seconds")
    assert [found[key] for key in unknown] == ["not recorded"] * len(unknown)


@pytest.mark.parametrize("name", ["correlations", "dynamics_curves"])
def test_table_without_record_is_measured_by_its_name(roots, name):
    write_table(roots / f"data_json/ring/{name}.csv", pd.DataFrame({"family": ["rt"]}))
    found = told(f"ring/{name}.csv")
    assert found["again"] == f"wm states ring {name.partition('_')[0]}"
    assert (found["device"], found["versions"]) == ("not recorded",) * 2


def test_sweep_is_told_by_its_record(roots):
    table = roots / "data_json/ring/sweep_x.csv"
    write_table(table, pd.DataFrame({"seed": [0, 1]}))
    files = {"data_json/ring/sweep_x.csv": sha256(table)}
    runs = [{"seed": seed, "seconds": 10.5, "device": "abacus", "numpy": "9.9"} for seed in "01"]
    record = {"sweep": "x", "files": files, "settings": {}, "runs": runs}
    write_json(roots / "data_json/ring/sweep_x.json", record)
    found = told("ring/sweep_x.csv")
    assert (found["device"], found["numpy"], found["seconds"]) == ("abacus", "9.9", "21.0")
    assert (found["seed 1"], found["again"], found["torch"]) == ("10.5 s on abacus", *["not recorded"] * 2)
    write_table(table, pd.DataFrame({"seed": [0, 2]}))  # another table than the record is of
    assert told("ring/sweep_x.csv")["device"] == "not recorded"


def test_sizes_are_told_apart(roots):
    table = roots / "data_json/ring/sizes.csv"
    write_table(table, pd.DataFrame({"family": ["rt"]}))
    runs = [{"families": ["rt"], "units": units, "command": "x", "seconds": units} for units in (50, 200)]
    files = {"data_json/ring/sizes.csv": sha256(table)}
    write_json(roots / "data_json/ring/sizes.json", {"files": files, "runs": runs})
    found = told("ring/sizes.csv")
    assert found["rt, 50 units"].startswith("x: 50 s") and found["rt, 200 units"].startswith("x: 200 s")


@pytest.mark.parametrize("target", ["13", "results/13/13_topic.ipynb"])
def test_executed_notebook(run, roots, target):
    found = told(target if target == "13" else roots / target)
    assert found["executed notebook"] == str(roots / "results/13/13_topic.ipynb")
    assert (found["again"], found["seconds"]) == ("./run_all.sh 13", "14.4")
    assert (found["started"], found["mode"]) == ("2026-01-02T03:04:05", "full")
    (roots / "results/13/done.json").unlink()
    assert told("13")["seconds"] == "3.2"


def test_failed_and_unexecuted_notebooks(run, roots):
    notebook(roots / "results/13/failed.ipynb", {"duration": 1.0})
    failed = {"notebook": "13_topic.ipynb", "status": "error", "error": "ValueError: no", "rerun": "do this"}
    write_json(roots / "results/13/failed.json", failed)
    found = told(roots / "results/13/failed.ipynb")
    assert (found["status"], found["error"], found["again"]) == ("error", "ValueError: no", "do this")
    found = told(roots / "notebooks/13_topic.ipynb")
    assert (found["again"], found["title"], found["figures"]) == ("./run_all.sh 13", "Errors", "13a")
    (roots / "results/13/failed.ipynb").write_text("[]")
    with pytest.raises(DamagedFile, match=r"failed\.ipynb"):
        told(roots / "results/13/failed.ipynb")


@pytest.mark.parametrize("target", ["figures/claims/13.json", "results/13/claims.json"])
def test_claims(run, roots, target):
    found = told(roots / target)
    assert (found["again"], found["seconds"], found["system"]) == ("./run_all.sh 13", "14.4", "ring")
    assert found["13.1"] == "reproduced: low: published 2, ours 1.5 [1, 2]"
    assert found["reproduced"] == "1" and found["13.2"].startswith("cannot (y): x")
    write_json(roots / target, json.loads((roots / target).read_text()) | {"ours": True})
    assert "low: expected 2, ours 1.5 [1, 2]" in told(roots / target)["13.1"]


@pytest.mark.parametrize(
    ("name", "message"),
    [("notes.txt", "notes.txt: shown are figures"), ("other.json", "other.json: shown are, of .json files")],
)
def test_files_of_another_kind(roots, name, message):
    (roots / name).write_text(json.dumps([1]))
    with pytest.raises(ValueError, match=message):
        told(roots / name)


def test_figure_without_origin(roots):
    plt.imsave(roots / "13a.png", np.zeros((2, 2)))
    with pytest.raises(ValueError, match="carries no provenance"):
        told(roots / "13a.png")


def test_list_of_figures_by_system_with_verdicts(run, roots):
    (roots / "figures/99z.png").touch()
    lines = list(show.overview())
    assert lines[-1].split() == ["ring", "13_topic", "13a", "1", "reproduced,", "1", "cannot"]
    assert lines[-2] == f"figures in {roots / 'figures'}: 99z"
    (roots / "figures/99z.png").unlink()
    sheet = roots / "figures/claims/13.json"
    sheet.write_text("{")
    lines = list(show.overview())
    assert lines[-2] == f"figures in {roots / 'figures'}:" and lines[-1].endswith(" claims cannot be read")
    sheet.unlink()
    assert list(show.overview())[-1].endswith(" no claims")


def test_explorers_are_told_by_what_writes_them():
    folder = Path(__file__).resolve().parents[1]
    explorer, template = folder / "data/ring/rt-07/explore.ipynb", folder / "notebooks/explore/ring.ipynb"
    assert "again: wm explore rt-07" in show.described(str(explorer))
    assert "again: not executed: open it in JupyterLab" in show.described(str(template))
