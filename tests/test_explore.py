"""Explorers: thin notebooks in step with their template, views that draw the data, widgets that redraw."""

import base64
import builtins
import json
import os
import subprocess
import sys
from dataclasses import dataclass
from pathlib import Path
from typing import Annotated, Literal

import matplotlib.pyplot as plt
import nbformat
import numpy as np
import pytest

from wm import explore, explore_notebook, notebook, ring, store, symbolic
from wm.__main__ import main
from wm.explore import Range
from wm.lint import lint
from wm.ring import explorer
from wm.ring.explorer import Settings
from wm.ring.trial import run_trial
from wm.ring.tuning import go_variation, record, ring_units

ROOT = Path(__file__).parents[1]
NETWORKS = store.list_networks()
COARSE = {"directions": 8}
NO_CLAIMS = ["last code cell does not record claims (`sheet.save()`)"]  # an explorer tests none


@dataclass(frozen=True)
class Knobs:
    """Settings of every kind."""

    gain: Annotated[float, Range(0, 2, 0.5)] = 1.0
    count: Annotated[int, Range(1, 5, 1)] = 2
    kind: Literal["sine", "line"] = "sine"
    grid: bool = False
    label: str = ""


@pytest.fixture
def drawn():
    """A view that notes how it is called, and what it was called with."""
    calls = []

    @explore.view(Knobs)
    def panels(network, settings):
        """Draw."""
        if settings.label == "odd":
            raise ValueError("no such label")
        calls.append((network, settings))
        fig, ax = plt.subplots(figsize=(2, 2))
        ax.plot([0, settings.gain])
        return fig

    return panels, calls


# ---------------------------------------------------------------- thin notebooks


def test_every_network_has_its_explorer_byte_for_byte():
    assert len(NETWORKS) == len(list((ROOT / "data").glob("*/*/explore.ipynb"))) > 0
    for system, name in NETWORKS:
        content = (ROOT / "data" / system / name / "explore.ipynb").read_bytes()
        assert content == explore_notebook.text(system, name).encode(), "run `wm explore --no-open NAME`"
        assert len(content) <= 3000


def test_thin_notebook_is_well_kept_and_as_jupyter_saves_it():
    path = ROOT / "data/ring/rt-07/explore.ipynb"
    assert lint(path) == NO_CLAIMS
    text = path.read_text()
    assert nbformat.writes(nbformat.reads(text, 4)) + "\n" == text
    code = [cell.source for cell in nbformat.reads(text, 4).cells if cell.cell_type == "code"]
    assert len(code) == 4 and all(cell.count("explorer.") == 1 for cell in code[1:])


def test_template_for_any_ring_network_is_well_kept():
    assert lint(ROOT / "notebooks/explore/ring.ipynb") == NO_CLAIMS


@pytest.mark.notebook
@pytest.mark.parametrize("path", [
    "data/ring/g-03/explore.ipynb", "data/ring/mst1-00/explore.ipynb", "data/ring/wmd-20/explore.ipynb",
    *(f"data/symbolic/{family}-00/explore.ipynb" for family in symbolic.FAMILIES),
    "notebooks/explore/ring.ipynb", "notebooks/explore/symbolic.ipynb",
])  # fmt: skip
def test_explorers_run_in_smoke_mode(path, tmp_path, monkeypatch):
    monkeypatch.setenv("WM_RESULTS", str(tmp_path))
    outcome = notebook.run(ROOT / path, {"smoke": True})
    assert outcome.ok, outcome.report()
    (done,) = tmp_path.glob(f"smoke/*/{Path(path).name}")
    shown = [output for cell in json.loads(done.read_text())["cells"] for output in cell.get("outputs", ())]
    assert not [each for each in shown if each["output_type"] == "stream"]
    pictures = [each for each in shown if "image/png" in each["data"] or "<img" in str(each["data"])]
    assert len(pictures) >= 2


def test_saving_a_network_writes_its_explorer_and_verify_minds_it(roots):
    config = ring.config("rt", units=10, updates=2, trials=2)
    ring.train(config, 1)
    place = roots / "data/ring/rt-00"
    assert (place / "explore.ipynb").read_text() == explore_notebook.text("ring", "rt-00")
    assert store.verify(record=True) == []
    assert "explore" not in (roots / "data/MANIFEST.json").read_text()
    (place / "explore.ipynb").write_text("{")
    (problem,) = store.verify()
    assert problem.path == place / "explore.ipynb" and "wm explore --no-open rt-00" in problem.remedy
    (place / "explore.ipynb").unlink()
    assert store.verify() == []


# ---------------------------------------------------------------- wm explore


@pytest.fixture
def saved(roots):
    for system, name in (("ring", "rt-07"), ("ring", "it-01"), ("other", "it-01")):
        store.save_network(store.Network(system, name, {"config": {}}, {"readout": np.zeros(2)}))
    return roots / "data"


@pytest.mark.parametrize("target", ["rt-07", "ring/rt-07"])
def test_explore_writes_the_notebook_and_opens_it(target, saved, capsys, monkeypatch):
    opened = []
    monkeypatch.setattr(os, "execv", lambda program, command: opened.append((program, command)))
    monkeypatch.setattr(os, "geteuid", lambda: 7)
    path = saved / "ring/rt-07/explore.ipynb"
    assert main(["explore", target, "--no-open"]) == 0 and not opened
    assert capsys.readouterr().out == f"{path}\n"
    path.write_text("edited")
    main(["explore", target])
    assert opened == [(sys.executable, [sys.executable, "-m", "jupyterlab", str(path)])]
    assert path.read_text() == explore_notebook.text("ring", "rt-07")


def test_arguments_after_two_dashes_go_to_jupyterlab(saved, capsys, monkeypatch):
    opened = []
    monkeypatch.setattr(os, "execv", lambda _, command: opened.append(command[3:]))
    path = str(saved / "ring/rt-07/explore.ipynb")
    for user, given in (0, ["--allow-root", "--port=1"]), (7, ["--no-browser"]):
        monkeypatch.setattr(os, "geteuid", lambda user=user: user)
        main(["explore", "rt-07", "--", *given])
        assert opened[-1] == [path, *given] and capsys.readouterr() == (f"{path}\n", "")


def test_root_is_told_the_command_that_opens_it(saved, capsys, monkeypatch):
    monkeypatch.setattr(os, "execv", lambda *_: pytest.fail("JupyterLab refuses"))
    monkeypatch.setattr(os, "geteuid", lambda: 0)
    assert main(["explore", "rt-07", "--", "--port", "1"]) == 2
    said = "wm: JupyterLab starts as root only with: wm explore rt-07 -- --port 1 --allow-root\n"
    assert capsys.readouterr() == ("", said) and not list(saved.rglob("*.ipynb"))
    assert main(["explore", "rt-07", "--no-open"]) == 0


@pytest.mark.parametrize(("target", "message"), [
    ("rt-70", "there is no network 'rt-70': did you mean rt-07 or it-01?"),
    ("", "name a network: wm explore NETWORK"),
    ("rt", "rt is a family: rt-07"),
    ("it-01", "several networks are 'it-01': other/it-01 or ring/it-01"),
    ("other/it-01", "other has no explorer yet: `wm show other/it-01` describes the network"),
])  # fmt: skip
def test_explore_tells_what_it_does_not_find(target, message, saved, capsys):
    assert main(["explore", target]) == 2
    said = capsys.readouterr().err
    assert message in said, said
    assert not list(saved.rglob("*.ipynb"))


# ---------------------------------------------------------------- settings, widgets


def test_a_changed_control_calls_the_view_with_its_value(drawn):
    panels, calls = drawn
    box = explore.explorer({"first": panels, "second": panels}, Knobs, ["a-1", "b-2"], "a-1", gain=0.5)
    views, (side, output) = box.children[0], box.children[1].children
    network, gain, count, kind, grid, label = side.children
    assert calls == [("a-1", Knobs(gain=0.5))] and (gain.min, gain.max, gain.step) == (0, 2, 0.5)
    before = output.outputs[0]["data"]["image/png"]
    gain.value = 2.0
    assert calls[-1] == ("a-1", Knobs(gain=2.0))
    assert output.outputs[0]["data"]["image/png"] != before
    assert base64.b64decode(before).startswith(b"\x89PNG")
    for control, value in ((count, 5), (kind, "line"), (grid, True), (label, "x"), (network, "b-2")):
        control.value = value
    assert calls[-1] == ("b-2", Knobs(2.0, 5, "line", True, "x"))
    views.value = "second"
    assert len(calls) == 8 and plt.get_fignums() == []


def test_an_error_is_told_in_place_of_the_figure(drawn):
    box = explore.explorer({"only": drawn[0]}, Knobs, ["a-1"], "a-1")
    side, output = box.children[1].children
    side.children[-1].value = "odd"
    assert output.outputs == ({"output_type": "stream", "name": "stderr", "text": "no such label\n"},)
    side.children[-1].value = "fine"
    assert "data" in output.outputs[0]


def test_without_widgets_the_views_are_pictures(drawn, monkeypatch):
    """Under the runner, and without ipywidgets."""
    load = builtins.__import__

    def missing(name, *rest, **also):
        if name == "ipywidgets":
            raise ImportError(name)
        return load(name, *rest, **also)

    monkeypatch.setattr(builtins, "__import__", missing)
    monkeypatch.setenv("WM_RUN", "run.json")
    page = explore.explorer({"first": drawn[0], "second": drawn[0]}, Knobs, ["a-1"], "a-1", gain=0)
    assert page.data.count("<img src") == 2 and drawn[1] == [("a-1", Knobs(gain=0))] * 2


@pytest.mark.parametrize("system", ["ring", "symbolic"])
def test_import_leaves_widgets_alone(system):
    code = f"import sys, wm.{system}.explorer; sys.exit('ipywidgets' in sys.modules)"
    subprocess.run([sys.executable, "-c", code], check=True, cwd=ROOT)


@pytest.mark.parametrize(("given", "message"), [
    ({"gian": 1}, "unknown setting 'gian': did you mean gain?"),
    ({"gain": "1"}, "gain must be of type float, got '1'"),
    ({"count": 2.5}, "count must be of type int, got 2.5"),
    ({"gain": 2.5}, r"gain must lie in \[0, 2\], got 2.5"),
    ({"gain": float("nan")}, r"gain must lie in \[0, 2\], got nan"),
    ({"kind": "circle"}, "kind must be one of sine, line, got 'circle'"),
])  # fmt: skip
def test_wrong_settings_are_refused(drawn, given, message):
    with pytest.raises(ValueError, match=message.replace("?", r"\?")):
        drawn[0]("a-1", **given)


def test_a_failed_view_leaves_the_figures_of_others_open(drawn):
    other = plt.figure()
    with pytest.raises(ValueError, match="no such label"):
        drawn[0]("a-1", label="odd")
    assert plt.get_fignums() == [other.number]
    plt.close(other)


def test_record_is_shown_with_scores_and_command():
    table = explorer.about("rt-07")["ring/rt-07"]
    saved = store.load_network("ring", "rt-07").record
    assert table["command"] == saved["command"] and table["scores: error_deg"] == saved["scores"]["error_deg"]
    assert table["config: units"] == 100 and "error_repeats_deg" not in "".join(table.index)


# ---------------------------------------------------------------- views of ring networks


def axes(fig):
    return {ax.get_label(): ax for ax in fig.axes}


def test_trial_shows_what_was_simulated():
    network = ring.load("wmd-20")
    done = run_trial(network, record(network, directions=8), (90.0, 200.0), delays=ring.Delays(15, 30, 140))
    shown = {"target_deg": 90, "distractor_deg": 200, "onset_ms": 300, "moment_ms": 200}
    ax = axes(explorer.trial("wmd-20", **shown, **COARSE))
    assert np.array_equal(ax["rates"].images[0].get_array(), done.rates.T)
    _, distractor, *_ = ax["bump"].lines
    assert distractor.get_xdata()[0] == 200
    assert np.array_equal(ax["bump"].lines[3].get_ydata(), done.rates[15 + 20][done.ring])
    assert np.array_equal(ax["answer"].lines[3].get_ydata(), done.outputs[done.landmarks["go"] :, 0])
    assert "200 ms, delay" in ax["bump"].texts[-1].get_text()


def test_lesioned_units_are_silent_also_in_noise():
    fig = explorer.trial("g-03", lesion="ring", noise=0.2, **COARSE)
    ring_rates = axes(fig)["bump"].lines[3].get_ydata()
    assert len(ring_rates) == 50 and not ring_rates.any()
    assert "without ring units (50 of 100)" in fig.get_suptitle()
    assert (
        "without preferences 300–60°"
        in explorer.trial("g-03", lesion="preferences", from_deg=300, to_deg=60, **COARSE).get_suptitle()
    )


def test_tuning_shows_classes_and_readout():
    network = ring.load("g-03")
    recording = record(network, directions=8)
    mask, (s1, s2) = ring_units(recording)[0], go_variation(recording)
    ax = axes(explorer.tuning("g-03", **COARSE))
    others, units = ax["classes"].lines[:2]
    assert np.array_equal(units.get_xdata(), s1[0, mask]) and np.array_equal(others.get_ydata(), s2[0, ~mask])
    readout = network.weights.readout[0].numpy()
    assert np.array_equal(ax["readout"].lines[1].get_ydata(), readout[0, mask])
    assert "50 ring units" in ax["classes"].get_title()


def test_tuning_without_ring_units_says_so_and_leaves_them_out():
    ax = axes(explorer.tuning("g-03", lesion="ring", **COARSE))
    assert ax["path"].get_title() == "no ring unit is left"
    assert ax["classes"].get_title() == "0 ring units (black)"
    for panel in ("classes", "readout"):
        counts = [len(line.get_xdata()) for line in ax[panel].lines if line.get_marker() == "o"]
        assert set(counts) == {0, 50} and sum(counts) == 50 * len(counts) / 2


def test_tuning_without_any_unit_is_still_drawn():
    ax = axes(explorer.tuning("rt-07", lesion="preferences", from_deg=0, to_deg=360, **COARSE))
    assert all(not len(line.get_xdata()) for line in ax["classes"].lines[:2])


def test_maps_show_rates_by_target_and_distractor():
    ax = axes(explorer.maps("wmd-20", units="3, 41 3", **COARSE))
    assert {label.split()[0] for label in ax if label[:1].isdigit()} == {"3", "41"}
    network = ring.load("wmd-20")
    windows = {"go": (165, 166)}
    rates = record(network, directions=8, distractor=True, noise=0, windows=windows).rates["go"]
    assert np.array_equal(ax["41 go cue"].images[0].get_array(), rates[0, :, 41].reshape(8, 8).T)
    ax = axes(explorer.maps("wmd-20", units="3", lesion="preferences", from_deg=0, to_deg=360, **COARSE))
    assert not ax["3 go cue"].images[0].get_array().any()


def test_maps_choose_ring_units_and_refuse_what_is_none():
    shown = {label.split()[0] for label in axes(explorer.maps("g-03", **COARSE)) if label[:1].isdigit()}
    mask = ring_units(record(ring.load("g-03"), directions=8))[0]
    assert len(shown) == 4 and all(mask[int(unit)] for unit in shown)
    with pytest.raises(ValueError, match="units are numbers from 0 to 99, such as 3 41; got 'x'"):
        explorer.maps("g-03", units="4 x", **COARSE)


def test_training_shows_the_history():
    history = store.load_network("ring", "rt-07").history
    ax = axes(explorer.training("rt-07"))
    assert np.array_equal(ax["loss"].lines[0].get_ydata(), history["loss"])
    assert np.array_equal(ax["error"].lines[0].get_ydata(), history["error_deg"])


def test_film_moves_the_bump():
    film = explorer.film("rt-07", Settings(directions=8), every=50)
    network = ring.load("rt-07")
    done = run_trial(network, record(network, directions=8), (180.0, 270.0))
    film._init_draw()  # as a film does when it starts
    film._draw_frame(100)
    assert np.array_equal(film._fig.axes[0].lines[3].get_ydata(), done.rates[100][done.ring])
    page = explorer.animate("rt-07", smoke=True).data
    assert "<img" in page and "<link" not in page  # the film loads nothing from elsewhere
    assert "http:" not in page and "https:" not in page


def test_unknown_network_is_told_with_the_nearest():
    with pytest.raises(store.UnknownNetwork, match="rt-70.*did you mean"):
        explorer.trial("rt-70")


def test_widgets_of_ring_networks_have_every_network_and_setting():
    box = explorer.explore("rt-07", **COARSE)
    side, output = box.children[1].children
    assert list(side.children[0].options) == ring.names() and len(side.children) == 1 + len(vars(Settings()))
    before = output.outputs[0]["data"]["image/png"]
    next(child for child in side.children if child.description == "target deg").value = 45.0
    assert output.outputs[0]["data"]["image/png"] != before
    assert explorer.explore("rt-07", smoke=True).data.count("<img") == 4
