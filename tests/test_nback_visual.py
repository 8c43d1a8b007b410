"""Checks of stimuli and tasks, what is read from features, drawings of network and learning: planted data."""

import numpy as np
import pandas as pd
import pytest

from wm import arguments, measured, nback
from wm.nback import checks, derived, visual
from wm.nback import features as feature_module
from wm.nback import learning_plots as plots
from wm.nback.diagram import draw_model, stages
from wm.nback.material import Images
from wm.nback.network import layout
from wm.nback.placeholder import save_placeholder
from wm.nback.stimuli import stimulus_set
from wm.nback.task import FEATURES


@pytest.fixture(scope="module")
def few(tmp_path_factory):
    """A set of placeholder shapes, two trained and four held out of two categories."""
    shapes = save_placeholder(tmp_path_factory.mktemp("objects"), ["car", "chair"], 6)
    return stimulus_set(
        "published", shapes, trained=2, novel=4, draws=(2, 1, 1, 1), categories=("car", "chair")
    )


def texts(ax):
    return [text.get_text() for text in ax.texts]


# ---------------------------------------------------------------- checks


@pytest.mark.parametrize("render", [True, False])
def test_a_set_has_as_many_images_as_rows_none_in_two_parts(few, render):
    found = checks.of_set(few, render=render)
    assert found == {"distinct": len(few), "shared": 0, "novel": 4, "shared_novel": 0, "shared_views": 0}


@pytest.mark.parametrize("render", [True, False])
def test_an_image_in_two_parts_is_found(few, render):
    table = few.table.copy()
    test, train = (table.index[table.part == part][0] for part in ("test", "train"))
    for column in ("category", "identity", "view", "location", "x", "y"):
        table.loc[test, column] = table.loc[train, column]
    planted = type(few)(few.design, few.library, table)
    found = checks.of_set(planted, render=render)
    assert found == {"distinct": len(few) - 1, "shared": 1, "novel": 4, "shared_novel": 0, "shared_views": 0}


@pytest.mark.parametrize("part", ["analysis", "test"])
def test_an_object_of_the_test_that_is_also_in_validation_is_found(few, part):
    novel, table = few.table.split == "novel_both", few.table.copy()
    moved = table.index[novel & (table.part == part)][0]
    table.loc[moved, "part"] = "validation"
    planted = type(few)(few.design, few.library, table)
    found = checks.of_set(planted, render=False)
    assert found["shared_novel"] == found["shared_views"] == 1


def test_a_category_without_novel_objects_is_told(few):
    without = ~few.table.split.isin(["novel_identity", "novel_both"]) | (few.table.category == "car")
    planted = type(few)(few.design, few.library, few.table[without].reset_index(drop=True))
    assert checks.of_set(planted, render=False)["novel"] == 0


def test_what_matches_is_counted_in_drawn_trials(few):
    labels = {feature: few.labels(feature) for feature in FEATURES}
    for lures in ("natural", "balanced"):
        table = checks.drawn_balance(labels, 900, lures)
        assert len(table) == 18 and "same_view" not in table
        assert (table[table.task.str.endswith("location") & (table.answer == "match")].location == 1).all()
    assert "same_view" in checks.drawn_balance(labels | {"view": few.labels("view")}, 90)


def test_constant_answers_as_derived():
    table = checks.constants_table((0.3, 0.5))
    assert table["matches 0.3", "all steps"]["2-back", "non-match"] == 0.8
    assert table["matches 0.5", "all steps"]["1-back", "match"] == 0.583
    assert (table["matches 0.5", "balanced"] == 0.5).all() and table.shape == (6, 6)


# ---------------------------------------------------------------- what can be read from features


def planted_features(stimuli, *, pool, device):
    """Positions tell the location; the mean of the map does not: channels are one-hot identities."""
    identity, location = stimuli.labels("identity"), stimuli.labels("location")
    noise = 0.01 * np.random.default_rng(len(stimuli)).standard_normal((len(stimuli), 4, 20))
    noise[np.arange(len(stimuli)), location, identity] += 4
    return noise.mean(axis=1, keepdims=True) if pool == "gap" else noise


def test_decoders_find_what_is_planted_and_are_not_scored_on_what_they_saw():
    generator = np.random.default_rng(0)
    classes = generator.integers(4, size=400)
    values = np.eye(4)[classes][:, None] + 0.1 * generator.standard_normal((400, 1, 4))
    parts = [Images(values[rows], {"location": classes[rows]}) for rows in (slice(200), slice(200, 400))]
    assert visual.decoded(*parts, "location").mean() > 0.98
    shuffled = Images(parts[0].features, {"location": generator.permutation(classes[:200])})
    assert visual.decoded(shuffled, parts[1], "location").mean() < 0.45


def test_measure_reads_location_from_positions_alone(few, roots, monkeypatch):
    monkeypatch.setattr(feature_module, "features", planted_features)
    monkeypatch.setattr("wm.nback.stimuli.stimulus_set", lambda preset: few)
    table = visual.measure_embedding(["rich"])
    means = table.groupby(["pool", "feature", "split"]).accuracy.mean()
    assert means["grid2", "location", "novel_angle"] == 1 and means["grid2", "identity", "novel_angle"] == 1
    assert means["gap", "location", "novel_angle"] < 0.6 and means["gap", "category", "trained"] == 1
    assert ("grid2", "category", "novel_both") in means
    assert not {("grid2", "identity", split) for split in ("novel_identity", "novel_both")} & {*means.index}
    assert table.groupby(["pool", "feature"]).images.sum().max() == len(few.part("analysis"))
    assert measured.read("nback", "embedding").accuracy.round(4).equals(table.accuracy.round(4))
    assert visual.measure_embedding().family.unique().tolist() == ["rich", "published"]


def test_embedding_is_a_measure_of_presets():
    assert derived.MEASURES["embedding"] is visual.measure_embedding
    assert arguments.families_of("nback", visual.measure_embedding, ["rich"]) == ["rich"]
    with pytest.raises(ValueError, match="there is no preset 'ritch': did you mean rich"):
        visual.measure_embedding(["ritch"])


def test_embedding_is_drawn_by_split_and_pool(ax):
    rows = pd.DataFrame([
        {"pool": pool, "feature": "identity", "split": split, "accuracy": value}
        for pool in ("grid2", "gap") for split in ("trained", "novel_angle") for value in (0.5, 0.75, 1)
    ])  # fmt: skip
    plots.draw_embedding(ax, rows, "identity", 32)
    assert [label.get_text() for label in ax.get_xticklabels()] == ["trained", "view\nbetween"]
    dots = [line for line in ax.lines if line.get_marker() == "."]
    assert len(dots) == 4 and all(sorted(line.get_ydata()) == [0.5, 0.75, 1] for line in dots)
    assert len(ax.containers) == 4 and texts(ax) == ["chance"]


# ---------------------------------------------------------------- drawings of tasks and network


def test_balance_is_drawn_with_its_numbers(few, ax):
    labels = {feature: few.labels(feature) for feature in FEATURES}
    table = checks.drawn_balance(labels, 450)
    plots.draw_balance(ax, table)
    shares = np.asarray(ax.images[0].get_array())
    assert shares.shape == (9, 6) and (shares[:3, 0] == 1).all() and (shares[:3, 1] == 0).all()
    assert texts(ax)[:6] == [f"{share:.2f}" for share in shares[0]] and texts(ax)[-3:] == [*FEATURES]


def test_constants_are_drawn(ax):
    plots.draw_constants(ax, (0.3, 0.5))
    heights = [[bar.get_height() for bar in bars] for bars in ax.containers]
    assert np.allclose(heights, [[0.75, 0.8, 0.85], [0.5833, 0.6667, 0.75]], atol=1e-4)


@pytest.mark.parametrize(("family", "changes"), [
    ("gru", {}), ("rnn", {"pool": "gap", "layers": 2}), ("attention_lstm", {}),
    ("gru", {"attention": "dual"}),
    ("gru", {"attention": "task_only", "pool": "flatten", "backbone": "resnet50"}),
])  # fmt: skip
def test_stages_hold_all_parameters_and_are_drawn(family, changes, ax):
    kind = nback.config(family, **changes)
    found = stages(kind)
    assert sum(stage.parameters for stage in found) == layout(kind).size
    draw_model(ax, kind, np.zeros((224, 224, 3), dtype=np.uint8))
    shown = texts(ax)
    assert all(stage.name in shown and stage.size in shown for stage in found)
    assert any(text.startswith("task: location | identity") for text in shown)
