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
from wm.nback.balance import balance
from wm.nback.design import (
    CHOOSING,
    LOCATIONS,
    PARTS,
    PRESETS,
    SPLITS,
    VIEWS,
    Design,
    drawn_of,
    split_of,
)
from wm.nback.objects import CATEGORIES, library
from wm.nback.placeholder import save_placeholder
from wm.nback.render import CANVAS, render
from wm.nback.stimuli import (
    LABELS,
    StimulusImages,
    load_stimulus_set,
    render_stimulus_set,
    stimulus_set,
)
from wm.nback.task import Sampler, Task

HASHES = {
    "published": {
        "train": "83f9804427290c7db37feb44ffe61824b993b65d4dcbf8e2a6347e4dc35dfd40",
        "validation": "7f4801cbe3d8e873e848d3b19a9dff540437067bf1fe519b15aaa12e29c438f1",
        "analysis": "15e05b9ffd6614069c348d1477630562840ae6e7fd89666e3c24873a962f599f",
        "test": "df6f14583768879f92ad7dde5fb66ddb89f005aa33c4787bdf93c9c9846ca963",
    },
    "rich": {
        "train": "937add002928dd662b7de48bed5e110ec8ecd28eb6e42c9025b80375f79cbf9f",
        "validation": "c429e4b4e615d65e70bca0510d705a6830e15ca4d7d748154f96efe7c4915e50",
        "analysis": "91b12f1a62de5d1770d6e4008cf35ef76605fa35ef2261c47bf57a0387a111d6",
        "test": "ca901085aba5fbc0b729261da07187fe5bf15044eea1d64b584aaf90a3e89d12",
    },
}
"""sha256 of the tables: results on record were obtained with these"""
NOVEL = ("novel_identity", "novel_both")
TINY = Design(trained=1, novel=2, draws=(2, 1, 1, 1))


@pytest.fixture(scope="module")
def objects():
    return library()


@pytest.fixture(scope="module", params=PRESETS)
def preset(request, objects):
    return stimulus_set(request.param, objects)


@pytest.fixture(scope="module")
def tiny(tmp_path_factory):
    """A set of placeholder shapes, three of each category."""
    return stimulus_set(TINY, save_placeholder(tmp_path_factory.mktemp("objects"), objects=3))


# --- what a preset holds ----------------------------------------------------------------------------------


def test_views_are_trained_between_and_beyond():
    trained = [view for view, role in VIEWS if role == "trained"]
    between, beyond = ([view for view, role in VIEWS if role == name] for name in SPLITS[1:3])
    assert len(VIEWS) == len(set(VIEWS)) == 14
    assert (len(trained), len(between), len(beyond)) == (6, 4, 4)
    chosen_by = [VIEWS[view][0] for view in CHOOSING]
    for views in between, beyond:
        assert len({*views} & {*chosen_by}) == len({*views} - {*chosen_by}) == 2
    azimuths, elevations = ({view[axis] for view in trained} for axis in (0, 1))
    for view in between:
        assert min(azimuths) < view.azimuth < max(azimuths) and view.azimuth not in azimuths
        assert {view.elevation} == elevations
    assert all(view.azimuth in azimuths and view.elevation > max(elevations) for view in beyond)


def test_the_split_of_an_image_follows_from_its_view_and_whether_its_object_is_trained():
    roles = [role for _, role in VIEWS]
    assert [split_of(view, novel=False) for view in range(len(VIEWS))] == roles
    assert [split_of(view, novel=True) for view in range(len(VIEWS))] == [
        "novel_identity" if role == "trained" else "novel_both" for role in roles
    ]
    assert {*roles, "novel_identity", "novel_both"} == {*SPLITS}


def test_presets_hold_out_objects_and_have_thousands_of_images(preset):
    design, table = preset.design, preset.table
    held_out = table.split.isin(NOVEL)
    counts = [t.groupby("category").identity.nunique() for t in (table[~held_out], table[held_out])]
    assert [[*each] for each in counts] == [[design.trained] * 4, [4 if design.trained == 2 else 5] * 4]
    assert len(preset) == 6656 and (table.part == "analysis").sum() > 1600
    assert [*table.part.unique()] == [*PARTS]
    for part in PARTS[1:]:
        assert {*table[table.part == part].split} == {*SPLITS}
    cells = table.groupby(["part", "category", "identity", "view", "location"]).size()
    for part, draws in zip(PARTS, design.draws, strict=True):
        assert (cells[part] == draws).all()
    assert table.groupby("part").view.nunique().to_dict() == {
        "train": 6, "validation": 10, "analysis": 10, "test": 10}  # fmt: skip
    assert (table.image == np.arange(len(table))).all()


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
    assert trained == pairs["trained"] == pairs["novel_angle"] == pairs["extrapolating"]
    assert not trained & pairs["novel_identity"] and pairs["novel_identity"] == pairs["novel_both"]
    for split, part in others.groupby("split"):
        known = {"novel_identity": {"trained"}, "novel_both": {"novel_angle", "extrapolating"}}
        assert {*roles[part.view]} == known.get(split, {split})
        views = {"trained": 6, "novel_identity": 6, "novel_both": 4}.get(split, 2)
        assert (part.groupby(["part", "category", "identity"]).view.nunique() == views).all()


def test_nothing_is_chosen_by_an_object_that_is_tested_or_analysed(preset):
    table, names = preset.table, preset.library.identities("chair")
    novel = table[table.split.isin(NOVEL)]
    by_part = {
        part: {*zip(rows.category, rows.identity, strict=True)} for part, rows in novel.groupby("part")
    }
    assert {*by_part} == {"validation", "analysis", "test"}
    assert by_part["analysis"] == by_part["test"] and not by_part["validation"] & by_part["test"]
    many = preset.design.novel or 5
    chosen_by = [name for name in names[-many:] if ("chair", name) in by_part["validation"]]
    assert chosen_by == [*names[-many : len(names) - many + many // 2]] and len(by_part["validation"]) == 8


def test_nothing_is_chosen_by_a_held_out_view_that_is_tested_or_analysed(preset):
    held_out = preset.table[[VIEWS[view][1] != "trained" for view in preset.table.view]]
    by_part = {part: {*rows.view} for part, rows in held_out.groupby("part")}
    assert by_part == {"validation": {*CHOOSING}, "analysis": {8, 9, 12, 13}, "test": {8, 9, 12, 13}}
    assert drawn_of(0, (4, 3, 2, 1)) == (4, 3, 2, 1)
    assert drawn_of(6, (4, 3, 2, 1)) == (0, 3, 0, 0) and drawn_of(8, (4, 3, 2, 1)) == (0, 0, 2, 1)


def test_of_matches_in_identity_as_many_are_from_the_same_view_as_there_are_views(preset):
    for part in ("validation", "test"):
        for split in SPLITS:
            own = preset.part(part, split)
            views = {"trained": 6, "novel_identity": 6, "novel_both": 4}.get(split, 2)
            rows = own.table.groupby(["category", "identity", "location"]).view
            assert (rows.nunique() == views).all()
            labels = {name: own.labels(name) for name in LABELS}
            sampler = Sampler(labels)
            uniforms = torch.rand(1500, sampler.numbers, generator=torch.Generator().manual_seed(0))
            place = torch.full((1500,), Task("identity", 1).place)
            table = balance(sampler.trials(uniforms, place), labels).set_index("answer")
            assert table.same_view["match"] == pytest.approx(1 / views, abs=0.03)
            assert table.same_view["non-match"] == 0


def test_novel_objects_are_the_same_for_all_parts_and_never_trained_in_either_preset(objects):
    sets = {name: stimulus_set(name, objects).table for name in PRESETS}
    novel = {name: {*zip(t.category, t.identity, strict=True)} for name, t in (
        (name, table[table.split.isin(NOVEL)]) for name, table in sets.items())}  # fmt: skip
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
        for feature in LABELS:
            classes, labels = preset.classes(feature), of.labels(feature)
            assert classes == of.classes(feature) and labels.dtype == np.int64
            assert set(labels) <= set(range(len(classes)))
        named = [preset.classes("identity")[label] for label in of.labels("identity")]
        assert named == [*zip(of.table.category, of.table.identity, strict=True)]
        assert [CATEGORIES[label] for label in of.labels("category")] == [*of.table.category]
    assert len(preset.classes("identity")) == 52 and preset.classes("location") == [*LOCATIONS]
    assert preset.classes("view")[6].azimuth == -60
    novel = preset.table[preset.table.split.isin(NOVEL)]
    assert preset.held_out() == {*zip(novel.category, novel.identity, strict=True)}
    assert not preset.part("train").held_out()
    with pytest.raises(ValueError, match="no feature 'identty': did you mean identity?"):
        preset.labels("identty")


def test_parts_and_splits_are_chosen_by_name(preset):
    analysis = preset.part("analysis")
    known = preset.part("analysis", "trained", "novel_angle")
    assert {*analysis.table.split} == {*SPLITS} and {*known.table.split} == {"trained", "novel_angle"}
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


def test_a_design_may_hold_out_no_object(tiny):
    table = stimulus_set(replace(TINY, novel=0), tiny.library).table
    assert {*table.split} == {*SPLITS} - {*NOVEL}
    known = tiny.table[~tiny.table.split.isin(NOVEL)]
    assert [*table.x] == [*known.x] and [*table.y] == [*known.y]


def test_of_three_held_out_objects_one_is_for_validation(tmp_path):
    shapes = save_placeholder(tmp_path, ["car"], 4)
    table = stimulus_set(replace(TINY, novel=3, categories=("car",)), shapes).table
    own = table[table.split == "novel_both"].groupby("part").identity.unique()
    assert len(own["validation"]) == 1 and len(own["test"]) == 2


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
    part = tiny.part("analysis", "novel_identity", "novel_both")
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
    for feature in LABELS:
        assert (batch[feature].numpy() == part.labels(feature)[rows]).all()
    assert (batch["image"][3].permute(1, 2, 0).numpy() == part.image(int(rows[3]))).all()


# --- what cannot be ---------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"trained": 0}, "trained must be 1 or more, .*: got 0, None"),
        ({"novel": -1}, "got 8, -1"),
        ({"novel": 1}, "novel 0, or 2 or more .half for validation, half for analysis and test.: got 8, 1"),
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
        ValueError, match="has 3 objects of airplane, the design needs 6: take more .*--objects 6"
    ):
        stimulus_set("published", tiny.library)
    with pytest.raises(ValueError, match="has 3 objects of airplane, the design needs 5"):
        stimulus_set(replace(TINY, novel=None), tiny.library)
    assert PRESETS["rich"].needed == 12
    with pytest.raises(ValueError, match="there is no preset 'rch': did you mean rich?"):
        stimulus_set("rch", tiny.library)
    with pytest.raises(ValueError, match="has no category 'sofa'"):
        stimulus_set(TINY, tiny.library, categories=("sofa",))


# --- the command ------------------------------------------------------------------------------------------


def test_the_command_writes_tables_images_and_a_sheet(tmp_path, capsys, monkeypatch):
    monkeypatch.setenv("WM_RESULTS", str(tmp_path))
    save_placeholder(tmp_path / "objects", ["car"], 6)
    words = ["nback", "stimuli", "--preset", "published", "--categories", "car", "--objects"]
    with pytest.warns(UserWarning, match="PLACEHOLDER"):
        assert cli.main([*words, str(tmp_path / "objects")]) == 0
    said = capsys.readouterr().out
    folder = tmp_path / "nback/stimuli/published"
    assert f"1664 different images of placeholder objects in {folder}" in said
    pictures = sorted(folder.glob("test/*.png"))
    assert len(pictures) == 320
    with Image.open(pictures[0]) as picture, Image.open(folder / "sheet.png") as sheet:
        assert picture.size == (224, 224) and sheet.size == (28 * 112, 2 * 112)
    with pytest.warns(UserWarning, match="PLACEHOLDER"):
        read = load_stimulus_set(folder, library(tmp_path / "objects"))
    assert len(read) == 1664


def test_the_command_can_write_tables_alone(tmp_path, capsys):
    words = ["nback", "stimuli", "--categories", "chair", "--tables-only", "--placing", "free"]
    assert cli.main([*words, "--output", str(tmp_path)]) == 0
    assert {path.name for path in tmp_path.iterdir()} == {
        *(f"{p}.csv" for p in PARTS),
        "stimuli.json",
        "sheet.png",
    }
