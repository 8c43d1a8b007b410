"""Stimulus sets: what they hold, that nothing leaks, that they are what they were, and the command."""

import json
from dataclasses import replace

import numpy as np
import pytest
import torch
from PIL import Image
from torch.utils.data import DataLoader

from wm import cli
from wm.files import DamagedFile, sha256
from wm.nback.design import LOCATIONS, PARTS, PRESETS, SPLITS, VIEWS, Design
from wm.nback.objects import CATEGORIES, library
from wm.nback.placeholder import save_placeholder
from wm.nback.render import CANVAS, render
from wm.nback.stimuli import (
    FEATURES,
    StimulusImages,
    load_stimulus_set,
    render_stimulus_set,
    stimulus_set,
)

HASHES = {
    "published": {
        "train": "83f9804427290c7db37feb44ffe61824b993b65d4dcbf8e2a6347e4dc35dfd40",
        "validation": "5f3eb8e92610010e47058d834db92f3eadc6c33f5272be8d48a412de670442aa",
        "analysis": "abb7c7aabdb73638937554fffcb8c45eeb76e1e2eade337dbc130f0823c4c106",
        "test": "2f18e14d61b488cd6b681ef41821ef41850670617492a0b4476ef25365be2097",
    },
    "rich": {
        "train": "937add002928dd662b7de48bed5e110ec8ecd28eb6e42c9025b80375f79cbf9f",
        "validation": "3ebfe5b6178d24fec0a26075e532c60d791856122ac7229c4b099b6238fbf9a7",
        "analysis": "2fb4be0270e2abe4995ad1c791365162ea21e7d0c113ad85ada3f69301cc7133",
        "test": "aac29b9401ad65a54cac1a5d1faa7675d3dcc469bd325b7bd6d236abdcf974ca",
    },
}
"""sha256 of the tables: results on record were obtained with these"""
TINY = Design(trained=1, novel=1, draws=(2, 1, 1, 1))


@pytest.fixture(scope="module")
def objects():
    return library()


@pytest.fixture(scope="module", params=PRESETS)
def preset(request, objects):
    return stimulus_set(request.param, objects)


@pytest.fixture(scope="module")
def tiny(tmp_path_factory):
    """A set of placeholder shapes, two of each category."""
    return stimulus_set(TINY, save_placeholder(tmp_path_factory.mktemp("objects"), objects=2))


# --- what a preset holds ----------------------------------------------------------------------------------


def test_views_are_trained_between_and_beyond():
    trained = [view for view, role in VIEWS if role == "trained"]
    ((between,), (beyond,)) = ([view for view, role in VIEWS if role == name] for name in SPLITS[1:3])
    assert len(VIEWS) == len(set(VIEWS)) == 8 and len(trained) == 6
    azimuths, elevations = ({view[axis] for view in trained} for axis in (0, 1))
    assert min(azimuths) < between.azimuth < max(azimuths) and between.azimuth not in azimuths
    assert {between.elevation} == elevations and beyond.elevation > max(elevations)


def test_presets_hold_out_objects_and_have_thousands_of_images(preset):
    design, table = preset.design, preset.table
    known = table[table.split != "novel_identity"].groupby("category").identity.nunique()
    novel = table[table.split == "novel_identity"].groupby("category").identity.nunique()
    assert [*known] == [{2: 2, 8: 8}[design.trained]] * 4
    assert [*novel] == [2 if design.trained == 2 else 5] * 4
    assert len(preset) >= 2000 and (table.part == "analysis").sum() > 1600
    cells = table.groupby(["part", "category", "identity", "view", "location"]).size()
    for part, draws in zip(PARTS, design.draws, strict=True):
        assert (cells[part] == draws).all()
    assert (table.image == np.arange(len(table))).all()
    assert [*table.part.unique()] == [*PARTS]


def test_all_images_differ_within_and_between_parts(preset):
    assert not preset.table.duplicated(["category", "identity", "view", "x", "y"]).any()


def test_training_sees_no_held_out_object_or_view(preset):
    table = preset.table
    train, others = (table[(table.part == "train") == wanted] for wanted in (True, False))
    roles = np.array([role for _, role in VIEWS])
    assert (train.split == "trained").all() and (roles[train.view] == "trained").all()
    pairs = {
        name: set(zip(part.category, part.identity, strict=True)) for name, part in others.groupby("split")
    }
    trained = set(zip(train.category, train.identity, strict=True))
    assert trained == pairs["trained"] == pairs["interpolating"] == pairs["extrapolating"]
    assert not trained & pairs["novel_identity"]
    for split, part in others.groupby("split"):
        expected = {*roles} if split == "novel_identity" else {split}
        assert {*roles[part.view]} == expected


def test_novel_objects_are_the_same_for_all_parts_and_never_trained_in_either_preset(objects):
    sets = {name: stimulus_set(name, objects).table for name in PRESETS}
    novel = {name: {*zip(t.category, t.identity, strict=True)} for name, t in (
        (name, table[table.split == "novel_identity"]) for name, table in sets.items())}  # fmt: skip
    assert novel["published"] < novel["rich"]
    for table in sets.values():
        train = table[table.part == "train"]
        assert not novel["published"] & {*zip(train.category, train.identity, strict=True)}


def test_places_are_within_their_quadrants_and_nothing_is_cut_off(preset):
    table, design = preset.table, preset.design
    for column, side in ("x", table.location % 2), ("y", table.location // 2):
        moved = table[column] - (CANVAS // 4 + side * CANVAS // 2)
        assert moved.abs().max() <= design.jitter and moved.nunique() == 2 * design.jitter + 1
        low, high = table[column] - design.size // 2, table[column] + design.size // 2
        assert (low >= side * CANVAS // 2).all() and (high <= (side + 1) * CANVAS // 2).all()


def test_free_places_are_anywhere_in_their_quadrants(objects):
    table = stimulus_set("rich", objects, placing="free").table
    assert ((table.x >= CANVAS // 2) == (table.location % 2 == 1)).all()
    assert ((table.y >= CANVAS // 2) == (table.location // 2 == 1)).all()
    for column in ("x", "y"):
        assert table[column].min() == 48 and table[column].max() == CANVAS - 48
    assert not table.duplicated(["category", "identity", "view", "x", "y"]).any()


# --- labels -----------------------------------------------------------------------------------------------


def test_labels_mean_the_same_in_every_part(preset):
    for part in PARTS:
        of = preset.part(part)
        for feature in FEATURES:
            classes, labels = preset.classes(feature), of.labels(feature)
            assert classes == of.classes(feature) and labels.dtype == np.int64
            assert set(labels) <= set(range(len(classes)))
        named = [preset.classes("identity")[label] for label in of.labels("identity")]
        assert named == [*zip(of.table.category, of.table.identity, strict=True)]
        assert [CATEGORIES[label] for label in of.labels("category")] == [*of.table.category]
    assert len(preset.classes("identity")) == 52 and preset.classes("location") == [*LOCATIONS]
    assert preset.classes("view")[6].azimuth == 30
    with pytest.raises(ValueError, match="no feature 'identty': did you mean identity?"):
        preset.labels("identty")


def test_parts_and_splits_are_chosen_by_name(preset):
    analysis = preset.part("analysis")
    known = preset.part("analysis", "trained", "interpolating")
    assert {*analysis.table.split} == {*SPLITS} and {*known.table.split} == {"trained", "interpolating"}
    assert [*known.table.index] == [*range(len(known))]
    with pytest.raises(ValueError, match="no part or split 'analyses' here: did you mean analysis?"):
        preset.part("analyses")
    with pytest.raises(ValueError, match="no part or split 'novel' here"):
        preset.part("test", "novel")


# --- the same again ---------------------------------------------------------------------------------------


def test_tables_are_those_that_results_were_obtained_with(preset):
    pinned = HASHES[{2: "published", 8: "rich"}[preset.design.trained]]
    assert preset.hashes() == pinned


def test_seed_and_design_alone_decide(tiny):
    assert stimulus_set(TINY, tiny.library).table.equals(tiny.table)
    other = stimulus_set(replace(TINY, seed=1), tiny.library)
    assert not other.table.equals(tiny.table)
    fewer = stimulus_set(TINY, tiny.library, categories=("chair",)).table
    chairs = tiny.table[tiny.table.category == "chair"]
    assert [*fewer.x] == [*chairs.x] and [*fewer.y] == [*chairs.y], "categories do not shift one another"


def test_a_set_is_read_as_it_was_written(tiny, tmp_path):
    folder = tiny.save(tmp_path / "set")
    record = json.loads((folder / "stimuli.json").read_bytes())
    assert record["tables"] == tiny.hashes() and [*record["tables"]] == [*PARTS]
    for part, digest in record["tables"].items():
        assert sha256(folder / f"{part}.csv") == digest
    read = load_stimulus_set(folder, tiny.library)
    assert read.table.equals(tiny.table) and read.design == tiny.design and read.hashes() == tiny.hashes()
    assert read.record() == tiny.record() and tiny.record()["objects"]["kind"] == "placeholder"


def test_damage_and_other_objects_are_told(tiny, tmp_path, objects):
    folder = tiny.save(tmp_path / "set")
    with pytest.raises(ValueError, match="was made with other objects than .* has: name their library"):
        load_stimulus_set(folder, objects)
    path = folder / "test.csv"
    path.write_bytes(path.read_bytes().replace(b"trained", b"trainee"))
    with pytest.raises(
        DamagedFile, match="test.csv: sha256 is not .*: make it again with `wm nback stimuli`"
    ):
        load_stimulus_set(folder, tiny.library)


# --- images -----------------------------------------------------------------------------------------------


def test_images_are_the_pictures_at_their_places(tiny):
    part = tiny.part("analysis", "novel_identity")
    images = render_stimulus_set(part)
    assert images.shape == (len(part), 224, 224, 3) and images.dtype == np.uint8
    for row in range(0, len(part), 37):
        about = part.table.iloc[row]
        mesh = tiny.library.mesh(about.category, about.identity)
        picture = render(mesh, VIEWS[about.view][0], tiny.design.size)
        half = tiny.design.size // 2
        shown = images[row, about.y - half : about.y + half, about.x - half : about.x + half]
        assert (shown == picture).all() and images[row].sum() == picture.sum(dtype=np.int64)


def test_different_rows_are_different_images(objects):
    part = stimulus_set("published", objects, categories=("chair",)).part("test")
    images = render_stimulus_set(part)
    assert len({image.tobytes() for image in images}) == len(part)
    lit = images.max(axis=-1) > 30
    assert lit.sum(axis=(1, 2)).min() > 150 and lit.sum(axis=(1, 2)).max() < 96 * 96


def test_torch_gets_images_and_labels(tiny):
    part = tiny.part("test")
    dataset = StimulusImages(part)
    assert len(dataset) == len(part)
    batch = next(iter(DataLoader(dataset, batch_size=8, shuffle=True, generator=torch.Generator())))
    assert batch["image"].shape == (8, 3, 224, 224) and batch["image"].dtype == torch.uint8
    rows = batch["number"] - part.table.image.iat[0]
    for feature in FEATURES:
        assert (batch[feature].numpy() == part.labels(feature)[rows]).all()
    assert (batch["image"][3].permute(1, 2, 0).numpy() == part.image(int(rows[3]))).all()


# --- what cannot be ---------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"trained": 0}, "trained must be 1 or more, novel 0 or more: got 0, None"),
        ({"novel": -1}, "got 8, -1"),
        ({"draws": (1, 1)}, "draws are four numbers, for train, validation, analysis, test"),
        ({"draws": (1, 1, 1, -1)}, "draws are four numbers"),
        ({"placing": "anywhere"}, "placing must be quadrants or free, got 'anywhere'"),
        (
            {"size": 100, "jitter": 8},
            "pictures of 100 pixels moved by up to 8 do not fit into a quadrant of 112",
        ),
        ({"size": 120, "jitter": 0}, "do not fit into a quadrant"),
        ({"jitter": -1}, "do not fit into a quadrant"),
        ({"jitter": 0}, "5 draws of 1 positions: allow more jitter, or draw fewer"),
    ],
)
def test_a_wrong_design_is_refused(changes, message):
    with pytest.raises(ValueError, match=message):
        Design(**changes)


def test_too_few_objects_and_unknown_presets_stop(tiny):
    with pytest.raises(
        ValueError, match="has 2 objects of airplane, the design needs 4: take more .*--objects 4"
    ):
        stimulus_set("published", tiny.library)
    with pytest.raises(ValueError, match="there is no preset 'rch': did you mean rich?"):
        stimulus_set("rch", tiny.library)
    with pytest.raises(ValueError, match="has no category 'sofa'"):
        stimulus_set(TINY, tiny.library, categories=("sofa",))


# --- the command ------------------------------------------------------------------------------------------


def test_the_command_writes_tables_images_and_a_sheet(tmp_path, capsys, monkeypatch):
    monkeypatch.setenv("WM_RESULTS", str(tmp_path))
    save_placeholder(tmp_path / "objects", ["car"], 4)
    words = ["nback", "stimuli", "--preset", "published", "--categories", "car", "--objects"]
    with pytest.warns(UserWarning, match="PLACEHOLDER"):
        assert cli.main([*words, str(tmp_path / "objects")]) == 0
    said = capsys.readouterr().out
    folder = tmp_path / "nback/stimuli/published"
    assert f"1408 different images of placeholder objects in {folder}" in said
    pictures = sorted(folder.glob("test/*.png"))
    assert len(pictures) == 256
    with Image.open(pictures[0]) as picture, Image.open(folder / "sheet.png") as sheet:
        assert picture.size == (224, 224) and sheet.size == (16 * 112, 2 * 112)
    with pytest.warns(UserWarning, match="PLACEHOLDER"):
        read = load_stimulus_set(folder, library(tmp_path / "objects"))
    assert len(read) == 1408


def test_the_command_can_write_tables_alone(tmp_path, capsys):
    words = ["nback", "stimuli", "--categories", "chair", "--tables-only", "--placing", "free"]
    assert cli.main([*words, "--output", str(tmp_path)]) == 0
    assert {path.name for path in tmp_path.iterdir()} == {
        *(f"{p}.csv" for p in PARTS),
        "stimuli.json",
        "sheet.png",
    }
