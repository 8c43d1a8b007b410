"""Features of stimulus sets: what they are, that they are kept whole or not at all, and the command."""

from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import torch
from safetensors.torch import save_file
from torch.nn import functional as F

from wm import cli
from wm.backbone import Backbone, backbone
from wm.checkpoint import load_checkpoint, save_checkpoint
from wm.files import CannotWrite, DamagedFile, sha256
from wm.nback import features as module
from wm.nback.catalogue import POOLS
from wm.nback.design import Design
from wm.nback.features import features, image_features, pooled, save_features, weights_sha256
from wm.nback.placeholder import save_placeholder
from wm.nback.stimuli import StimulusSet, render_stimulus_set, stimulus_set

TINY = Design(trained=1, novel=0, draws=(1, 0, 0, 1), categories=("car",))


@pytest.fixture(scope="module")
def whole(tmp_path_factory) -> StimulusSet:
    """68 images of a placeholder shape."""
    return stimulus_set(TINY, save_placeholder(tmp_path_factory.mktemp("objects"), ["car"], 1))


@pytest.fixture
def tiny(whole) -> StimulusSet:
    """Three images for training and two for the test, which come first here."""
    rows = whole.table[whole.table.image.isin([0, 1, 2, 30, 31])]
    return replace(whole, table=rows.iloc[[3, 4, 0, 1, 2]].reset_index(drop=True))


@pytest.fixture(scope="module")
def lite() -> Backbone:
    return backbone()


@pytest.fixture
def folder(tmp_path, monkeypatch) -> Path:
    """Where files of features are, each test with none at first."""
    monkeypatch.setenv("WM_RESULTS", str(tmp_path))
    return tmp_path / "nback" / "features"


@pytest.fixture
def computed(monkeypatch) -> list[int]:
    """How many images each computation was of; the check of the first image of a file is one."""
    counts, compute = [], module._computed

    def counting(show, count, *arguments, **options):
        counts.append(count)
        return compute(show, count, *arguments, **options)

    monkeypatch.setattr(module, "_computed", counting)
    return counts


# --- what they are ----------------------------------------------------------------------------------------


@pytest.mark.parametrize("pool", POOLS)
def test_features_are_pooled_maps_in_the_order_of_the_table(tiny, lite, folder, pool):
    maps = lite.features(render_stimulus_set(tiny), "map").astype(np.float64)
    expected = {
        "gap": [maps.mean((2, 3))],
        "grid2": [maps[:, :, r : r + 4, c : c + 4].mean((2, 3)) for r in (0, 3) for c in (0, 3)],
        "flatten": [maps[:, :, r, c] for r in range(7) for c in range(7)],
    }[pool]
    found = features(tiny, pool=pool)
    assert found.dtype == np.float16 and found.shape == (5, POOLS[pool], 1280)
    assert found == pytest.approx(np.stack(expected, axis=1), rel=1e-3, abs=1e-4)


def test_grid2_has_the_numbers_of_the_backbone_as_position_by_channel(tiny, lite, folder):
    flat = lite.features(render_stimulus_set(tiny), "grid2")
    expected = flat.reshape(5, 1280, 4).swapaxes(1, 2)
    assert features(tiny) == pytest.approx(expected, rel=1e-3, abs=1e-4)


def test_quadrants_of_objects_answer_most_where_the_objects_are(whole, lite):
    rows = whole.table.drop_duplicates("location").index
    images = np.stack([whole.image(row) for row in rows])
    empty = image_features(np.zeros((1, 224, 224, 3), dtype=np.uint8), lite).astype(np.float32)
    moved = np.abs(image_features(images, lite) - empty).sum(axis=2)
    assert moved.argmax(axis=1).tolist() == whole.table.location[rows].tolist() == [0, 1, 2, 3]


def test_pooling_goes_row_by_row():
    maps = torch.arange(98.0).reshape(1, 2, 7, 7)
    assert pooled(maps, "flatten").tolist() == [maps.flatten(2)[0].T.tolist()]
    top_left, top_right, bottom_left, _ = pooled(maps, "grid2")[0, :, 0].tolist()
    assert top_left < top_right < bottom_left
    assert pooled(maps, "gap").tolist() == [[[24.0, 73.0]]]


def test_images_alone_have_the_same_features_in_as_many_threads_as_there_are(tiny, lite, folder):
    images, kept = render_stimulus_set(tiny), features(tiny)
    assert image_features(images, lite) == pytest.approx(kept, rel=1e-3, abs=1e-4)
    torch.set_num_threads(2)
    try:
        threaded = image_features(images, lite)
        assert torch.get_num_threads() == 2
        with pytest.raises(ValueError, match="images must be uint8 of shape"):
            image_features(images / 255, lite)
        assert torch.get_num_threads() == 2
    finally:
        torch.set_num_threads(1)
    assert threaded == pytest.approx(kept, rel=1e-3, abs=1e-4)
    assert image_features(images[:0], lite, "gap").shape == (0, 1, 1280)


# --- what is kept -----------------------------------------------------------------------------------------


def test_a_file_for_each_part_is_computed_once(tiny, folder, computed):
    first = features(tiny)
    assert computed == [3, 2, 1, 1], "training, test, and the first image of both"
    names = sorted(path.name.rsplit("-", 1)[0] for path in folder.iterdir())
    assert names == ["efficientnet_lite0-grid2-test", "efficientnet_lite0-grid2-train"]
    assert (features(tiny) == first).all() and computed[4:] == [1, 1]
    assert (features(tiny.part("test")) == first[:2]).all() and computed[6:] == [1]
    assert (features(tiny.part("train")) == first[2:]).all() and computed[7:] == [1]


def test_several_pools_come_from_one_pass(tiny, lite, folder, computed):
    files = save_features(tiny, lite, ["gap", "flatten", "gap"])
    assert computed == [3, 2] and [*files] == ["gap", "flatten"] and [*files["gap"]] == ["train", "test"]
    assert sorted(folder.iterdir()) == sorted(path for each in files.values() for path in each.values())
    assert save_features(tiny, lite, ["grid2", "gap"])["gap"] == files["gap"] and computed == [3, 2, 3, 2]


def test_other_tables_objects_sizes_weights_and_pools_have_other_files(tiny, lite, folder, tmp_path):
    part = tiny.part("train")

    def place(of=part, network=lite, pool="grid2"):
        return module._place(module._record(of, network, pool))

    moved = replace(part, table=part.table.assign(x=part.table.x + 1))
    changes = [
        place(pool="gap"), place(tiny.part("test")), place(moved),
        place(replace(part, library=replace(part.library, sha256="0" * 64))),
        place(replace(part, design=replace(part.design, size=90))),
        place(network=replace(lite, sha256="0" * 64)), place(network=replace(lite, name="resnet50")),
    ]  # fmt: skip
    assert len({place(), *changes}) == 8
    assert place(replace(part, design=replace(part.design, draws=(9, 0, 0, 0)))) == place()


def test_a_weight_file_of_your_own_is_used(tiny, lite, folder, tmp_path):
    state = {name: value.contiguous() for name, value in lite.network.state_dict().items()}
    state["bn1.bias"] = state["bn1.bias"] + 0.5
    save_file(state, tmp_path / "own.safetensors")
    train = tiny.part("train")
    known, own = features(train), features(train, weights=tmp_path / "own.safetensors")
    digests = weights_sha256(), weights_sha256(weights=tmp_path / "own.safetensors")
    assert digests == (lite.sha256, sha256(tmp_path / "own.safetensors"))
    assert len([*folder.iterdir()]) == 2 and own.mean(dtype=float) > known.mean(dtype=float)


def test_interrupted_work_goes_on_with_the_part_that_it_was_at(tiny, folder, monkeypatch, computed):
    image = StimulusSet.image

    def stop_at_test(self, row):
        if self.table.part.iat[row] == "test":
            raise KeyboardInterrupt
        return image(self, row)

    with monkeypatch.context() as stopping:
        stopping.setattr(StimulusSet, "image", stop_at_test)
        with pytest.raises(KeyboardInterrupt):
            features(tiny)
    assert [path.name.split("-")[2] for path in folder.iterdir()] == ["train"]
    again = features(tiny)
    assert computed == [3, 2, 2, 1, 1]
    for path in folder.iterdir():
        path.unlink()
    assert (features(tiny) == again).all()


def test_a_place_that_cannot_be_written_to_is_told(tiny, folder):
    folder.parent.mkdir()
    folder.write_text("a file in the way of the folder")
    with pytest.raises(CannotWrite, match="features-?.*: .*make room or choose another place"):
        features(tiny)


# --- what is damaged --------------------------------------------------------------------------------------


@pytest.fixture
def file(tiny, lite, folder) -> Path:
    return save_features(tiny.part("train"), lite)["grid2"]["train"]


@pytest.mark.parametrize("place", [20, 4000, -1])
def test_a_flipped_bit_is_found(tiny, file, place):
    content = bytearray(file.read_bytes())
    content[place] ^= 1
    file.write_bytes(content)
    with pytest.raises(DamagedFile, match="its seal does not match.: remove it, and it is computed again"):
        features(tiny)


def test_a_cut_file_is_found_and_once_removed_computed_again(tiny, file):
    whole = file.read_bytes()
    file.write_bytes(whole[:-100])
    with pytest.raises(DamagedFile, match=f"{file}: .*: remove it, and it is computed again when"):
        features(tiny)
    file.unlink()
    features(tiny)
    assert load_checkpoint(file)["features"].shape == (3, 4, 1280)


def test_a_file_with_the_name_of_another_is_found(tiny, lite, file):
    file.rename(save_features(tiny.part("test"), lite)["grid2"]["test"])
    with pytest.raises(DamagedFile, match="holds features of something else than its name says: remove it"):
        features(tiny.part("test"))


def test_features_that_the_code_no_longer_gives_are_found(tiny, file):
    kept = load_checkpoint(file)
    save_checkpoint(file, kept | {"features": kept["features"] * np.float16(1.005)})
    features(tiny)
    save_checkpoint(file, kept | {"features": kept["features"] * np.float16(1.05)})
    with pytest.raises(DamagedFile, match="not hold what efficientnet_lite0 gives for its first image now"):
        features(tiny)


# --- what cannot be ---------------------------------------------------------------------------------------


def test_unknown_pools_networks_and_no_images_are_refused(tiny, folder):
    with pytest.raises(ValueError, match="there is no pool 'gird2': did you mean grid2?"):
        features(tiny, pool="gird2")
    with pytest.raises(ValueError, match="there is no backbone 'resnet': did you mean resnet50?"):
        features(tiny, "resnet")
    with pytest.raises(ValueError, match="a stimulus set without images has no features"):
        features(replace(tiny, table=tiny.table[:0]))
    with pytest.raises(DamagedFile, match="none.pth: is missing: give the path of a state dict"):
        features(tiny, weights="none.pth")
    assert not folder.exists()


def test_features_that_float16_does_not_hold_stop(tiny, lite, folder, monkeypatch):
    monkeypatch.setattr(F, "adaptive_avg_pool2d", lambda maps, side: maps.flatten(2)[:, :, :4, None] + 7e4)
    with pytest.raises(ValueError, match="EfficientNet-Lite0 gives features that float16 does not hold"):
        features(tiny)
    assert not folder.exists()


# --- the command ------------------------------------------------------------------------------------------


def test_the_command_keeps_features_of_a_set_of_your_own(whole, tmp_path, folder, capsys, computed):
    few = replace(whole, table=whole.table[whole.table.location == 0].reset_index(drop=True))
    saved = few.save(tmp_path / "set")
    words = ["nback", "features", "--stimuli", str(saved), "--objects", str(whole.library.folder)]
    with pytest.warns(UserWarning, match="PLACEHOLDER"):
        assert cli.main([*words, "--pool", "grid2", "gap"]) == 0
    said = capsys.readouterr().out.splitlines()
    assert computed == [6, 10] and len(said) == 6
    assert said[0] == "grid2, 4 x 1280 numbers an image:" and said[3] == "gap, 1 x 1280 numbers an image:"
    assert said[1].startswith("  train      6 images: ") and said[5].startswith("  test       10 images: ")
    assert all(Path(said[line].split(": ")[1]).is_file() for line in (1, 2, 4, 5))
    features(few), features(few, pool="gap")
    assert computed[2:] == [1, 1, 1, 1]


def test_the_command_takes_a_preset(monkeypatch, folder, capsys):
    asked = []
    monkeypatch.setattr(module, "save_features", lambda *given: asked.append(given) or {})
    assert cli.main(["nback", "features", "--preset", "published", "--pool", "flatten"]) == 0
    ((stimuli, network, pools),) = asked
    assert stimuli.design.trained == 2 and pools == ("flatten",) and network.name == "efficientnet_lite0"
    assert cli.main(["nback", "features", "--device", "gpu"]) == 2
    assert "--device must be cpu, cuda or cuda:N, got gpu" in capsys.readouterr().err
