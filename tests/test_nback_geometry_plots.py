"""Panels on the geometry: planted tables, and where their numbers are drawn."""

import itertools

import matplotlib.pyplot as plt
import numpy as np
import pandas as pd
import pytest

from wm import style
from wm.nback import geometry
from wm.nback.catalogue import ARCHITECTURES
from wm.nback.geometry import (
    beyond,
    beyond_plots,
    dynamics_plots,
    encoding_plots,
    map_plots,
    marks,
    shift_plots,
    summaries,
)
from wm.nback.geometry.rotations import Evidence
from wm.nback.task import FEATURES, TASKS, Task

DIETS = ("mtmf", "stmf", "stsf")
LEVEL = {"rnn": 0.9, "gru": 0.8, "lstm": 0.7}


@pytest.fixture(autouse=True)
def fresh():
    with plt.style.context("default"):
        style.use()
        yield
        plt.close("all")


@pytest.fixture
def ax():
    return style.figure(8, 6, [["main"]])[1]["main"]


def table(
    columns: dict[str, float], *, diets=("mtmf",), seeds=3, attention=("none",), **more
) -> pd.DataFrame:
    """Each column is the level of its architecture times a factor, plus a hundredth of the seed."""
    rows = []
    for diet, kind, name, task, seed in itertools.product(
        diets, attention, ARCHITECTURES, TASKS, range(seeds)
    ):
        row = {"diet": diet, "attention": kind, "architecture": name, "task": task.name, "seed": seed,
               "feature": task.feature, "lag": task.lag, "setting": "ours", "stimuli": "rich"}  # fmt: skip
        rows.append(row | {key: LEVEL[name] * by + 0.01 * seed for key, by in columns.items()} | more)
    return pd.DataFrame(rows)


def middles(ax) -> list[float]:
    """Heights of the bars that are means, in the order of drawing."""
    lines = [each for each in ax.collections if type(each).__name__ == "LineCollection"]
    return [float(s[0, 1]) for each in lines for s in each.get_segments() if len(s) and s[0, 1] == s[1, 1]]


def test_means_dots_and_intervals_are_at_their_places(ax):
    marks.draw_dots(ax, {0.0: np.array([0.1, 0.2, np.nan]), 2.0: np.array([0.5]), 3.0: np.array([])}, "red")
    assert middles(ax) == pytest.approx([0.15, 0.5])
    assert len(ax.collections[0].get_offsets()) == 3
    before = len(ax.collections)
    marks.draw_dots(ax, {1.0: np.array([np.nan])}, "red", marker="x")
    marks.draw_dots(ax, {1.0: np.array([0.3])}, "red", hollow=True)
    assert len(ax.collections) == before + 3
    marks.name_architectures(ax, ["a", "b"])
    assert [t.get_text() for t in ax.get_xticklabels()] == ["RNN", "GRU", "LSTM"] * 2


def test_matrices_tell_their_numbers(ax):
    marks.draw_matrix(ax, np.array([[0.25, np.nan], [-0.5, 1.0]]), low=-1)
    assert [text.get_text() for text in ax.texts] == [".25", "−.50", "1.00"]


DECODING = dict.fromkeys(FEATURES, 1.0) | {f"{name}_null": 0.6 for name in FEATURES}
DECODING |= {f"{name}_values": 0.9 for name in FEATURES}
DECODING |= {f"{name}_{age}": 1 - 0.05 * age for name in FEATURES for age in range(6)}


def test_panels_of_encoding_show_the_planted_levels(ax):
    rows = table(DECODING, diets=DIETS)
    encoding_plots.draw_encoded(ax, rows, "mtmf", "ours")
    told = middles(ax)
    assert told[:9:3] == pytest.approx([LEVEL[name] + 0.01 for name in ARCHITECTURES])
    ax.clear()
    encoding_plots.draw_encoded(ax, rows, "mtmf", "ours", "_values")
    assert len(middles(ax)) == 18, "no null of all values"
    ax.clear()
    encoding_plots.draw_diets(ax, rows, "ours")
    assert len(middles(ax)) == 18
    ax.clear()
    encoding_plots.draw_relevance(ax, summaries.of(rows, "rnn"))
    assert {text.get_text() for text in ax.texts} == {".82"}, "(.91 - .5) / .5"
    ax.clear()
    encoding_plots.draw_ages(ax, rows, "gru")
    assert ax.get_title() == "GRU" and len(ax.lines) == 8
    for draw in (encoding_plots.relevance_key, encoding_plots.age_key):
        draw(ax.figure)


def test_panels_of_cross_task_decoding(ax):
    rows = table({"within": 1.0} | dict.fromkeys(FEATURES, 0.7))
    encoding_plots.draw_across(ax, rows, "ours")
    found = middles(ax)
    assert found[:3] == pytest.approx([0.82, 0.62, 0.42])
    encoding_plots.draw_tasks(ax, np.eye(9))
    assert ax.images[0].get_array().shape == (9, 9)


def test_panels_of_the_index(ax):
    columns = {f"{space}{kind}": 1.0 for space in ("cnn", "perceptual") for kind in ("", "_shuffled")}
    rows = table(columns | {"encoding": 0.9, "encoding_shuffled": 0.9}, dimensions=256)
    encoding_plots.draw_change(ax, rows, "ours")
    assert middles(ax)[:3] == pytest.approx([-0.09, -0.08, -0.07])
    ax.clear()
    encoding_plots.draw_diagonal(ax, rows, normalise=True)
    assert len(ax.collections) == 9
    ax.clear()
    encoding_plots.draw_floors(ax, rows, "ours", dict.fromkeys(FEATURES, 4))
    assert sum(each == pytest.approx(2 / 3) for each in middles(ax)) == 3
    encoding_plots.index_key(ax.figure)


DYNAMICS = {f"kept_{age}": 0.5 for age in range(1, 6)} | {
    f"{kind}_{part}": by
    for kind in ("natural", "same", "different")
    for part, by in (("executive", 0.6), ("other", 0.3))
}
DYNAMICS |= dict.fromkeys(("validation", "from_first", "to_first", "executive_validation"), 1.0)
DYNAMICS |= {"generalisation": 0.5, "executive_generalisation": 0.8}


def test_panels_of_dynamics(ax):
    rows = table(DYNAMICS, diets=DIETS)
    dynamics_plots.draw_contrast(ax, rows, "ours")
    assert middles(ax)[0] == pytest.approx(0.55) and middles(ax)[9] == pytest.approx(0.28)
    for draw in (dynamics_plots.draw_contrast_apart, dynamics_plots.draw_kept_ages):
        ax.clear()
        draw(ax, rows, "ours")
    ax.clear()
    dynamics_plots.draw_transfer(ax, rows, "identity", "ours")
    assert middles(ax)[:6] == pytest.approx([0.91, 0.81, 0.71, 0.46, 0.41, 0.36])
    ax.clear()
    dynamics_plots.draw_transfer(ax, rows, "identity", "ours", executive=True)
    assert len(middles(ax)) == 6
    ax.clear()
    scores = np.where(np.tri(6).T > 0, 0.5, np.nan)
    dynamics_plots.draw_kept(ax, scores, Task("identity", 2))
    rings = [line for line in ax.lines if line.get_markeredgecolor() == dynamics_plots.EXECUTIVE]
    assert [float(line.get_xdata()[0]) for line in rings] == [3, 4, 5, 6]
    for draw in (dynamics_plots.step_key, dynamics_plots.transfer_key, dynamics_plots.swap_key):
        draw(ax.figure)


SHARES = dict.fromkeys([*dynamics_plots.EVIDENCE, "random", "shuffled"], 1.0)
SHARES |= {"late_original": 1.0, "late_stimulus": 1.0}


def test_panels_of_rotations_and_verdicts(ax):
    rows = table(SHARES | {"late_time": 0.2, "disparity": 0.3}, verdict="H2")
    own = summaries.of(rows, "rnn")
    own.loc[own.lag == 1, "verdict"] = "undecided"
    dynamics_plots.draw_verdicts(ax, own)
    heights = {bars.get_label(): [bar.get_height() for bar in bars] for bars in ax.containers}
    assert heights["H2"] == [0, 1, 1] * 3 and heights["undecided"] == [1, 0, 0] * 3
    assert heights["H1"] == heights["H3"] == [0] * 9
    ax.clear()
    dynamics_plots.draw_evidence_of(ax, own)
    assert len(middles(ax)) == 15
    ax.clear()
    dynamics_plots.draw_swaps(ax, own.assign(time=np.where(own.lag == 1, np.nan, 0.2)))
    assert middles(ax)[2] == pytest.approx(0.2)
    ax.clear()
    dynamics_plots.draw_late(ax, own)
    assert len(middles(ax)) == 3
    ax.clear()
    dynamics_plots.draw_evidence(ax, Evidence(0, 1, 1, 0.9, np.nan))
    assert ax.texts[0].get_text() == "H2"


def test_planted_systems_get_their_verdicts():
    found = dynamics_plots.evidence_of_planted(trials=1024)
    assert [each.verdict for each in found.values()] == ["H1", "H2", "H3"]


def test_panels_of_shifts(ax):
    columns = ("unshifted", "match_m2", "irrelevant", "random", "none", "irrelevant_none", "random_none")
    rows = table(dict.fromkeys(columns, 1.0) | {"unshifted_none": 0.0, "match_m2": 0.1})
    told = shift_plots.shift_rows(rows)
    row = told[(told.architecture == "rnn") & (told.seed == 0)].iloc[0]
    assert row.falls == pytest.approx(-0.81) and row.rises == pytest.approx(0.9)
    assert row.rest == pytest.approx(-0.09) and row.random_falls == 0
    shift_plots.draw_far(ax, told)
    assert middles(ax)[:3] == pytest.approx([0.1, 0.09, 0.08])
    ax.clear()
    shift_plots.draw_far(ax, told, "none")
    assert middles(ax)[:3] == pytest.approx([0.91, 0.81, 0.71])
    ax.clear()
    targets, answers = np.linspace(2, -2, 5), np.full((3, 5, 3), 1 / 3)
    shown = geometry.Perturbation(targets, targets[None], targets[None], answers, answers[0, 0], 9)
    shift_plots.draw_shift(ax, shown)
    assert ax.get_xlim() == (2, -2), "the own side is left"
    for draw in (shift_plots.shift_key, shift_plots.far_key):
        draw(ax.figure)


def test_panels_of_attention(ax):
    rows = table({"x": 1.0, "y": 0.5}, attention=("none", "spatial"))
    kinds = {kind: summaries.of(rows, "gru", attention=kind) for kind in ("none", "spatial")}
    kinds["spatial"] = kinds["spatial"].assign(x=kinds["spatial"].x + 0.1)
    shift_plots.draw_by_attention(ax, kinds, ["x", "y"], ["one", "two"])
    assert middles(ax) == pytest.approx([0.81, 0.41, 0.91, 0.41])
    ax.clear()
    shift_plots.draw_change_of(ax, kinds, ["x", "y"], ["one", "two"])
    assert middles(ax)[:2] == pytest.approx([0.1, 0])
    shift_plots.attention_key(ax.figure, [*kinds])


def test_maps_by_place_and_their_sparsity(ax):
    weights = np.eye(4)[[0, 1, 2, 3, 0, 1]]
    places = np.array([0, 1, 2, 3, 0, 1])
    assert np.allclose(map_plots.by_place(weights[None], places)[0], np.eye(4))
    assert map_plots.sparsity(weights) == pytest.approx(1)
    assert map_plots.sparsity(np.full((2, 5, 4), 0.25)) == pytest.approx([0, 0], abs=1e-9)
    map_plots.draw_places(ax, np.eye(4))
    assert len(ax.texts) == 16


def beyond_rows() -> pd.DataFrame:
    columns = {"held": 1.0, "free": 0.9, "by_age": 0.8}
    columns |= {f"{kind}_{when}": 0.9 for kind in ("images", "views", "new") for when in ("0", "lag")}
    columns |= {f"{kind}_{name}": 0.7 for kind in ("index", "input") for name in beyond.PENALTIES}
    rows = table(columns)
    return rows.assign(family=rows.architecture + "_mtmf")


def test_panels_beyond_the_paper(ax):
    rows = beyond_rows()
    beyond_plots.draw_by_lag(ax, rows, "held")
    assert middles(ax)[::3] == pytest.approx([LEVEL[name] + 0.01 for name in ARCHITECTURES])
    assert ax.get_xlabel() == "N" and len(middles(ax)) == 9
    ax.clear()
    beyond_plots.draw_kinds(ax, rows, {"free": "free", "by_age": "by age (queue)"})
    assert middles(ax)[:2] == pytest.approx([0.9 * 0.9 + 0.01, 0.9 * 0.8 + 0.01])
    assert [text.get_text() for text in ax.get_xticklabels()] == ["free", "by age\n(queue)"]
    ax.clear()
    beyond_plots.draw_views(ax, rows)
    assert len(middles(ax)) == 18 and len(ax.texts) == 2
    ax.clear()
    beyond_plots.draw_penalties(ax, rows, "gru_mtmf")
    drawn = [line for line in ax.lines if len(line.get_xdata()) == len(beyond.PENALTIES)]
    assert len(drawn) == 2 and np.allclose(drawn[0].get_ydata(), 0.8 * 0.7 + 0.01)
    assert ax.get_xscale() == "log"
    beyond_plots.beyond_key(ax.figure, rows)
    for draw in (beyond_plots.views_key, beyond_plots.penalty_key):
        draw(ax.figure, loc="outside lower left")
    labels = [[text.get_text() for text in legend.get_texts()] for legend in ax.figure.legends]
    assert labels[0] == ["RNN", "GRU", "LSTM"] and labels[2] == ["encoding", "1 × 1 convolution"]
