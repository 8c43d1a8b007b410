"""Images of few-shot classes: what is shipped, its splits, and the drawing of characters."""

import hashlib
import io
import json
import re
import runpy
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from wm.files import DamagedFile
from wm.plastic.fewshot import emoji, images, kanji, splits
from wm.plastic.fewshot.image_set import ImageSet
from wm.train import numpy_generator

ROOT = Path(__file__).parents[1]
STROKES = kanji.read()
FEW = kanji.Strokes(("一", "十"), ("一", "十"), *(
    np.array(x) for x in ([[0.1, 0.5], [0.9, 0.5], [0.1, 0.5], [0.9, 0.5], [0.5, 0.1], [0.5, 0.9]],
                          [0, 0, 1, 1, 2, 2], [0, 1, 1])
))  # fmt: skip


@pytest.fixture(scope="module")
def shown(tmp_path_factory):
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("WM_RESULTS", str(tmp_path_factory.mktemp("results")))
        return {name: images.load(name) for name in ("emoji", "kanji")}


def one_shot(shown: ImageSet, *, ways: int = 5, episodes: int = 400) -> float:
    """Accuracy of the nearest of `ways` pictures, pixel by pixel, for one of another design."""
    generator = numpy_generator(0, "episodes")
    pixels = shown.images.reshape(len(shown.images), -1).astype(np.float32)
    members = [np.flatnonzero(shown.classes == k) for k in range(len(shown.names))]
    right = []
    for _ in range(episodes):
        classes = generator.choice(len(members), ways, replace=False)
        known = np.array([generator.choice(members[k]) for k in classes])
        for place, k in enumerate(classes):
            others = members[k][shown.designs[members[k]] != shown.designs[known[place]]]
            apart = ((pixels[known] - pixels[generator.choice(others)]) ** 2).sum(1)
            right.append(apart.argmin() == place)
    return np.mean(right)


# --- sets of images ---------------------------------------------------------------------------------------


def tiny(**changes) -> ImageSet:
    made = {
        "name": "tiny", "images": np.arange(6, dtype=np.uint8).reshape(6, 1, 1, 1),
        "classes": np.array([0, 1, 2, 0, 1, 2]), "names": ("a", "b", "c"), "designs": np.arange(6),
        "groups": ("x", "x", "y"),
    }  # fmt: skip
    return ImageSet(**made | changes)


def test_selected_classes_keep_their_images_and_take_their_order():
    chosen = tiny().select(["c", "a"])
    assert chosen.names == ("c", "a") and chosen.groups == ("y", "x")
    assert chosen.images.ravel().tolist() == [0, 2, 3, 5] == chosen.designs.tolist()
    assert chosen.classes.tolist() == [1, 0, 1, 0]
    with pytest.raises(ValueError, match="tiny has no class 'd': it has 3 others"):
        tiny().select(["a", "d"])
    with pytest.raises(ValueError, match="one name of its own"):
        tiny().select(["a", "a"])


@pytest.mark.parametrize(("changes", "message"), [
    ({"images": np.zeros((6, 1, 1))}, r"images are float64 \(6, 1, 1\), not uint8 \(image, height"),
    ({"designs": np.arange(5)}, "6 images, 6 classes, 5 designs: each image has one of each"),
    ({"groups": ("x", "y")}, "one name of its own and one group"),
    ({"classes": np.array([0, 1, 1, 0, 1, 1])}, "every class has images"),
])  # fmt: skip
def test_arrays_that_do_not_fit_together_are_refused(changes, message):
    with pytest.raises(ValueError, match=message):
        tiny(**changes)


def test_unknown_sets_are_told():
    with pytest.raises(ValueError, match="no set of images 'emojis': did you mean emoji"):
        images.load("emojis")


# --- emoji ------------------------------------------------------------------------------------------------


def test_emoji_have_the_sizes_that_their_docs_tell(shown):
    found = shown["emoji"]
    assert found.images.shape == (8787, 32, 32, 3) and len(found.names) == 1068
    counts = np.bincount(found.classes)
    assert counts.min() == 6 and counts.max() == 9
    assert len(set(found.groups)) == 9 and found.images.mean() > 128  # on white
    assert sum(path.stat().st_size for path in (ROOT / "assets" / "emoji").rglob("*")) < 5 * 10**6


def test_every_emoji_has_designs_to_learn_from_and_to_ask_for(shown):
    found = shown["emoji"]
    kinds = np.array([len(set(found.designs[found.classes == k])) for k in range(len(found.names))])
    assert kinds.min() == 4 and (kinds >= 6).mean() > 0.85  # five shots and a query


def test_pictures_alike_are_one_design(shown):
    found = shown["emoji"]
    with np.load(emoji.place()) as saved:
        vendors, names = saved["vendors"], saved["vendor_names"].tolist()
    fluent = [names.index(name) for name in ("fluent-emoji", "fluent-emoji-flat")]
    for k in range(len(found.names)):
        here = np.flatnonzero(found.classes == k)
        correlation = np.corrcoef(found.images[here].reshape(len(here), -1))
        other = found.designs[here][:, None] != found.designs[here]
        assert not (other & (correlation >= 0.9)).any(), found.names[k]
        assert len(set(vendors[here])) == len(here)
        assert len(set(found.designs[here][np.isin(vendors[here], fluent)])) <= 1


def test_no_vendor_has_one_picture_for_two_emoji(shown):
    found = shown["emoji"]
    with np.load(emoji.place()) as saved:
        vendors = saved["vendors"]
    prints = {(v, hashlib.sha256(x.tobytes()).digest()) for v, x in zip(vendors, found.images, strict=True)}
    assert len(prints) == len(found.images)


def test_attribution_counts_the_drawings_of_every_vendor():
    text = (ROOT / "assets/emoji/ATTRIBUTION.md").read_text("utf-8")
    with np.load(emoji.place()) as saved:
        counted = dict(zip(saved["vendor_names"].tolist(), np.bincount(saved["vendors"]), strict=True))
    said = re.findall(r"(?m)^\| (\S+) \| (\d+) \| \[\S+\]\((\S+)\)", text)
    assert {vendor: int(count) for vendor, count, _ in said} == counted
    assert all((ROOT / "assets/emoji" / path).stat().st_size > 1000 for *_, path in said)
    kanji_said = (ROOT / "assets/kanji/ATTRIBUTION.md").read_text("utf-8")
    assert f"{len(STROKES.characters)} characters" in kanji_said and "ShareAlike 3.0" in kanji_said


@pytest.mark.parametrize("count", [1, 63, 64, 65])
def test_mosaic_is_cut_into_the_images_it_was_made_of(count):
    made = numpy_generator(0, "mosaic").integers(0, 256, (count, 32, 32, 3), dtype=np.uint8)
    assert np.array_equal(emoji.cut(emoji.mosaic(made), count), made)
    with pytest.raises(ValueError, match="does not hold 999 images"):
        emoji.cut(emoji.mosaic(made), 999)


@pytest.mark.parametrize(("name", "path"), [
    ("emoji", "assets/emoji/emoji_fs.npz"), ("kanji", "assets/kanji/kanji_strokes.npz")
])  # fmt: skip
def test_damaged_or_missing_shipped_files_are_told(roots, name, path):
    with pytest.raises(DamagedFile, match=f"{path}: is missing: restore it with `git checkout`"):
        images.load(name)
    whole = (ROOT / path).read_bytes()
    (roots / path).parent.mkdir(parents=True)
    changed = bytearray(whole)
    changed[len(whole) // 3] ^= 1
    for content in (whole[: len(whole) // 2], bytes(changed), b"PK"):
        (roots / path).write_bytes(content)
        with pytest.raises(DamagedFile, match=f"{path}: cannot be read"):
            images.load(name)


def test_strokes_that_do_not_add_up_are_told(roots):
    with np.load(ROOT / "assets/kanji/kanji_strokes.npz") as saved:
        arrays = dict(saved) | {"points": saved["points"][:-1]}
    kanji.place().parent.mkdir(parents=True)
    np.savez(kanji.place(), **arrays)
    with pytest.raises(DamagedFile, match="points, strokes and characters do not fit together"):
        kanji.read()


# --- splits -----------------------------------------------------------------------------------------------

SPLITS = [(name, kind) for name, kinds in splits.KINDS.items() for kind in kinds]


@pytest.mark.parametrize(("name", "kind"), SPLITS)
def test_parts_share_no_class_and_have_their_shares(name, kind):
    parts = splits.split(name, kind)
    together = [each for part in parts for each in part]
    assert len(set(together)) == len(together)
    if name != "omniglot":
        shares = [len(part) / len(together) for part in parts]
        assert np.allclose(shares, [*splits.PARTS.values()], atol=0.006)
    assert splits.split(name) == splits.split(name, splits.KINDS[name][0])


@pytest.mark.parametrize("name", ["emoji", "kanji"])
def test_splits_are_of_the_classes_shipped_and_hold_whole_groups_out(shown, name):
    group_of = dict(zip(shown[name].names, shown[name].groups, strict=True))
    for kind in splits.KINDS[name]:
        parts = splits.split(name, kind)
        assert {each for part in parts for each in part} == set(group_of)
        groups = [{group_of[each] for each in part} for part in parts]
        apart = not (groups[0] & groups[1] or groups[0] & groups[2] or groups[1] & groups[2])
        assert apart == (kind == "groups")


def test_published_splits_have_the_published_sizes():
    assert [len(part) for part in splits.split("cifarfs")] == [64, 16, 20]
    parts = splits.split("omniglot")
    assert [len(part) for part in parts] == [964 - 81, 81, 659]
    alphabets = [{each.split("/")[0] for each in part} for part in parts]
    assert [len(part) for part in alphabets] == [25, 5, 20]
    assert not (alphabets[0] & alphabets[1] or alphabets[0] & alphabets[2] or alphabets[1] & alphabets[2])


def test_tables_are_what_their_script_makes(roots, monkeypatch):
    monkeypatch.setenv("WM_ROOT", str(ROOT))
    made = runpy.run_path(str(ROOT / "assets/splits.py"))["TABLES"]
    for name in splits.KINDS:
        saved = json.loads(splits.place(name).read_text("utf-8"))
        for parts in saved.values():
            parts.pop("sha256")
        assert made[name]() == saved


def test_changed_names_and_unknown_splits_are_told(roots):
    with pytest.raises(ValueError, match="no set of images 'cifar': did you mean cifarfs"):
        splits.split("cifar")
    with pytest.raises(ValueError, match="cifarfs has no split 'groups': there are random"):
        splits.split("cifarfs", "groups")
    text = (ROOT / "assets/cifarfs/splits.json").read_text("utf-8")
    splits.place("cifarfs").parent.mkdir(parents=True)
    splits.place("cifarfs").write_text(text.replace('"baby"', '"bee"'))
    with pytest.raises(DamagedFile, match="class names of random do not match their sha256"):
        splits.split("cifarfs")
    splits.place("cifarfs").write_text(text.replace('"test"', '"tests"'))
    with pytest.raises(DamagedFile, match="cannot be read .'test'"):
        splits.split("cifarfs")


def test_draws_divide_all_names_and_do_not_depend_on_their_order():
    names = [f"n{k}" for k in range(50)]
    parts = splits.draw(names, 0)
    assert [len(part) for part in parts.values()] == [32, 8, 10]
    assert parts == splits.draw(names[::-1], 0) != splits.draw(names, 1)
    groups = [str(k % 7) for k in range(50)]
    assert sorted(sum(splits.draw_groups(names, groups).values(), [])) == sorted(names)


# --- drawn characters -------------------------------------------------------------------------------------


def test_kanji_have_the_sizes_that_their_docs_tell(shown):
    found = shown["kanji"]
    assert found.images.shape == (1793 * 20, 32, 32, 1) and len(set(found.groups)) == 191
    assert np.array_equal(np.bincount(found.classes), np.full(1793, 20))
    assert np.array_equal(found.designs, np.tile(np.arange(20), 1793))
    assert len(STROKES.characters) == 1793 and np.bincount(STROKES.character).max() == 9
    assert STROKES.points.min() >= 0 and STROKES.points.max() <= 1


def test_without_jitter_the_strokes_are_drawn_as_they_are():
    drawn = kanji.draw(FEW, 2, jitter=0, size=32)
    assert np.array_equal(drawn[:, 0], drawn[:, 1])
    bar = drawn[0, 0]
    assert np.array_equal(bar, bar[::-1]) and np.array_equal(bar, bar[:, ::-1])
    middle = 1 - bar[:, 16] / 255  # the pen is 1.9 wide: two rows from the line at 16 are covered by .95
    assert np.allclose(middle[15:17], min(0.95 + 0.5 - 0.5, 1), atol=1 / 255)
    assert middle[:15].max() == 0 and (bar[15] < 255).sum() == 28  # from 3.2 - 1.45 to 28.8 + 1.45
    assert np.array_equal(drawn[1, 0], drawn[1, 0].T)
    assert np.array_equal(drawn[1, 0], np.minimum(bar, bar.T))


def test_drawn_pixels_are_those_of_the_distance_to_the_nearest_stroke():
    drawn = kanji.draw(STROKES, 1, jitter=0)[100, 0]
    on = STROKES.character[STROKES.stroke] == 100
    points, stroke = STROKES.points[on] * 32, STROKES.stroke[on]
    rows, columns = np.indices((32, 32)) + 0.5
    t = np.linspace(0, 1, 400)[:, None]
    nearest = np.full((32, 32), np.inf)
    for a, b, same in zip(points, points[1:], stroke[1:] == stroke[:-1], strict=False):
        if same:
            x, y = (a + t * (b - a)).T[:, :, None, None]
            nearest = np.minimum(nearest, np.hypot(columns - x, rows - y).min(0))
    assert np.abs(255 - 255 * np.clip(0.95 + 0.5 - nearest, 0, 1) - drawn).max() < 3


def test_drawings_follow_the_seed_and_drawers_do_not_depend_on_each_other():
    two, three = (kanji.draw(FEW, drawers, seed=4) for drawers in (2, 3))
    assert np.array_equal(two, three[:, :2])
    assert not np.array_equal(two, kanji.draw(FEW, 2, seed=5))
    with pytest.raises(ValueError, match="0 drawers, size 32, jitter 1.0: the first two must be 1"):
        kanji.draw(FEW, 0)


def test_two_drawers_differ_less_than_two_characters(shown):
    drawn = shown["kanji"].images.reshape(1793, 20, -1).astype(np.float32)
    drawers = np.abs(drawn[:, :10] - drawn[:, 10:]).mean()
    characters = np.abs(drawn - drawn[numpy_generator(0, "pairs").permutation(1793)]).mean()
    assert 0.5 * characters < drawers < 0.85 * characters


@pytest.mark.parametrize("kind", ["random", "groups"])
@pytest.mark.parametrize(("name", "expected"), [("emoji", 0.6), ("kanji", 0.68)])
def test_pixels_alone_are_well_above_chance_and_far_from_perfect(shown, name, expected, kind):
    found = shown[name].select(splits.split(name, kind).test)
    assert abs(one_shot(found) - expected) < 0.08
    mixed = found.classes[numpy_generator(0, "mixed").permutation(len(found.classes))]
    alone = ImageSet(name, found.images, mixed, found.names, np.arange(len(mixed)), found.groups)
    assert abs(one_shot(alone) - 0.2) < 0.05


def test_drawings_are_kept_and_drawn_again_when_spoilt(roots, monkeypatch):
    kanji.place().parent.mkdir(parents=True)
    kanji.place().write_bytes((ROOT / "assets/kanji/kanji_strokes.npz").read_bytes())
    first = kanji.load(1)
    (kept,) = (roots / "results/cache").glob("kanji-*.npy")
    with monkeypatch.context() as patch:
        patch.setattr(kanji, "draw", lambda *_, **__: pytest.fail("drawn again"))
        assert np.array_equal(kanji.load(1).images, first.images)
    kept.write_bytes(kept.read_bytes()[:-1])
    assert np.array_equal(kanji.load(1).images, first.images)
    kept.with_name(kept.name + ".json").unlink()
    kept.unlink()
    monkeypatch.setenv("WM_RESULTS", "/proc/nowhere")  # nothing can be kept there
    assert np.array_equal(kanji.load(1).images, first.images)


def test_pictures_have_64_levels_and_webp_keeps_them(shown):
    file = io.BytesIO()
    Image.fromarray(emoji.mosaic(shown["emoji"].images[:64])).save(file, "WEBP", lossless=True, exact=True)
    again = np.asarray(Image.open(file).convert("RGB"))
    assert np.array_equal(emoji.cut(again, 64), shown["emoji"].images[:64])
    levels = np.unique(shown["emoji"].images)
    assert np.array_equal(levels, np.round(np.arange(64) * 255 / 63))
