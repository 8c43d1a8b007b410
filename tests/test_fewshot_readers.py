"""Readers of a user's own Omniglot and CIFAR-100: small files in the original formats, whole and damaged."""

import gzip
import io
import shutil
import sys
import tarfile
import types
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from wm.files import DamagedFile
from wm.plastic.fewshot import images, readers
from wm.plastic.fewshot.download import download
from wm.train import numpy_generator

FINE, COARSE = ("apple", "baby", "bear"), ("fruit", "people", "carnivores")
SUPERCLASS = (0, 1, 2)


# --- Omniglot ---------------------------------------------------------------------------------------------


@pytest.fixture
def omniglot(tmp_path) -> Path:
    """Two alphabets of the background and one for evaluation, two characters by three drawers each."""
    for k, place in enumerate(("background/Greek", "background/Latin", "evaluation/Angelic")):
        for character in (1, 2):
            folder = tmp_path / f"images_{place}/character{character:02d}"
            folder.mkdir(parents=True)
            for drawer in (1, 2, 3):
                picture = np.ones((105, 105), dtype=bool)
                picture[: 10 * (k + 1)] = picture[:, : 10 * (2 * drawer + character)] = False  # black ink
                Image.fromarray(picture).save(folder / f"{k}{character:03d}_{drawer:02d}.png")
    return tmp_path


def test_omniglot_is_read_as_it_was_drawn(omniglot):
    found = images.load("omniglot", omniglot)
    assert found.name == "omniglot" and found.images.shape == (18, 32, 32, 1)
    assert found.names == tuple(f"{a}/character0{k}" for a in ("Greek", "Latin", "Angelic") for k in (1, 2))
    assert found.groups == ("Greek", "Greek", "Latin", "Latin", "Angelic", "Angelic")
    assert found.designs.tolist() == [1, 2, 3] * 6 and found.classes.tolist() == sorted([*range(6)] * 3)
    exact = readers.read_omniglot(omniglot, size=105).images
    assert exact[5, 10:, 80:].min() == 255 and exact[5, :10].max() == 0 == exact[5, :, :80].max()
    assert np.allclose(found.images.mean((1, 2)), exact.mean((1, 2)), atol=1.5)


def test_omniglot_as_torchvision_lays_it_out_is_found(omniglot):
    below = omniglot / "data/omniglot-py"
    below.mkdir(parents=True)
    for half in ("images_background", "images_evaluation"):
        shutil.move(omniglot / half, below / half)
    assert len(readers.read_omniglot(omniglot / "data").images) == 18


def damage_omniglot(root: Path, how: str) -> None:
    character = root / "images_background/Latin/character02"
    if how == "half":
        shutil.rmtree(root / "images_evaluation")
    elif how == "packed":
        shutil.rmtree(root / "images_evaluation")
        (root / "images_evaluation.zip").write_bytes(b"PK")
    elif how == "empty half":
        shutil.rmtree(root / "images_evaluation")
        (root / "images_evaluation").mkdir()
    elif how == "empty character":
        shutil.rmtree(character)
        character.mkdir()
    elif how == "name":
        next(character.iterdir()).rename(character / "drawing.png")
    else:
        path = character / "1002_01.png"
        path.write_bytes(path.read_bytes()[:60])


@pytest.mark.parametrize(("how", "message"), [
    ("half", "images_evaluation: is missing: unpack images_background.zip"),
    ("packed", "images_evaluation: is missing, it is still packed: unpack"),
    ("empty half", "images_evaluation: has no folders <alphabet>/<character>: unpack"),
    ("empty character", "Latin/character02: has no drawings .*: unpack"),
    ("name", "drawing.png: is not named <number>_<drawer>.png: unpack"),
    ("cut", "1002_01.png: cannot be read .*: unpack .*https://github.com/brendenlake/omniglot"),
])  # fmt: skip
def test_damaged_omniglot_is_told(omniglot, how, message):
    damage_omniglot(omniglot, how)
    with pytest.raises(DamagedFile, match=message):
        images.load("omniglot", omniglot)


# --- CIFAR-100 --------------------------------------------------------------------------------------------


def cifar_files(train: int = 4, test: int = 2) -> dict[str, bytes]:
    """The files of the binary version, with `train` and `test` images of each of three classes."""
    pixels = numpy_generator(0, "cifar").integers(0, 256, (train + test, 3, 3 * 32 * 32), dtype=np.uint8)
    records = [
        b"".join(bytes([SUPERCLASS[k], k]) + image[k].tobytes() for image in part for k in range(3))
        for part in np.split(pixels, [train])
    ]
    names = {"fine_label_names.txt": FINE, "coarse_label_names.txt": COARSE}
    texts = {name: ("\n".join(labels) + "\n").encode() for name, labels in names.items()}
    return {"train.bin": records[0], "test.bin": records[1]} | texts


def header(name: str, size: int) -> bytes:
    """What an archive says of a member before its content."""
    member = tarfile.TarInfo(f"cifar-100-binary/{name}")
    member.size = size
    return member.tobuf()


def packed(files: dict[str, bytes], *, folder: str = "cifar-100-binary") -> bytes:
    made = io.BytesIO()
    with tarfile.open(fileobj=made, mode="w:gz") as archive:
        for name, content in files.items():
            member = tarfile.TarInfo(f"{folder}/{name}")
            member.size = len(content)
            archive.addfile(member, io.BytesIO(content))
    return made.getvalue()


def write(folder: Path, files: dict[str, bytes]) -> Path:
    folder.mkdir(parents=True, exist_ok=True)
    for name, content in files.items():
        (folder / name).write_bytes(content)
    return folder


def test_cifar_is_read_alike_from_all_its_places(tmp_path):
    files = cifar_files()
    write(tmp_path / "below/cifar-100-binary", files)
    write(tmp_path / "packed", {readers.ARCHIVE: packed(files)})
    places = ("below", "below/cifar-100-binary", "packed", f"packed/{readers.ARCHIVE}")
    found = [images.load("cifarfs", tmp_path / place) for place in places]
    first = found[0]
    assert first.name == "cifarfs" and first.images.shape == (18, 32, 32, 3)
    assert first.names == FINE and first.groups == COARSE
    assert np.bincount(first.classes).tolist() == [6, 6, 6] and len(set(first.designs)) == 18
    red, green, blue = np.frombuffer(files["train.bin"][2:3074], dtype=np.uint8).reshape(3, 32, 32)
    assert np.array_equal(first.images[0], np.stack([red, green, blue], 2))
    assert all(np.array_equal(first.images, each.images) for each in found)
    assert not (tmp_path / "packed/cifar-100-binary").exists()  # nothing was unpacked


BINARY = "take the binary version, .*https://www.cs.toronto.edu/~kriz/cifar.html"


@pytest.mark.parametrize(("changes", "message"), [
    ({"train.bin": cifar_files()["train.bin"][:-1]}, "train.bin is cut: 36887 bytes are not records of 3074"),
    ({"train.bin": b""}, "train.bin is cut: 0 bytes"),
    ({"test.bin": bytes(10_001 * 3074)}, "test.bin is larger than that of CIFAR-100"),
    ({"train.bin": cifar_files()["train.bin"][:-3074]}, "classes differ in size or lie in two superclasses"),
    ({"train.bin": b"\1" + cifar_files()["train.bin"][1:]}, "classes differ in size or lie in two super"),
    ({"fine_label_names.txt": b"apple\nbaby\n"}, "a label has no name"),
    ({"coarse_label_names.txt": b"fruit\n"}, "a label has no name"),
    ({"fine_label_names.txt": b"apple\nbaby\nbaby\n"}, "fine_label_names.txt does not hold up to 100 names"),
    ({"coarse_label_names.txt": b"\xff"}, "cannot be read"),
])  # fmt: skip
@pytest.mark.parametrize("archived", [False, True])
def test_damaged_cifar_is_told(tmp_path, changes, message, archived):
    files = cifar_files() | changes
    write(tmp_path, {readers.ARCHIVE: packed(files)} if archived else files)
    with pytest.raises(DamagedFile, match=f"{message}.*: {BINARY}"):
        images.load("cifarfs", tmp_path)


@pytest.mark.parametrize(("content", "message"), [
    (packed(cifar_files())[:-2000], "cannot be read"),
    (b"\x1f\x8b" + bytes(100), "cannot be read"),
    (b"<html>not found</html>", "cannot be read"),
    (gzip.compress(b"no archive"), "cannot be read"),
    (packed({k: v for k, v in cifar_files().items() if k != "test.bin"}), "has no test.bin"),
    (gzip.compress(header("train.bin", 50_001 * 3074)), "train.bin is larger than anything in CIFAR-100"),
    (gzip.compress(gzip.decompress(packed(cifar_files())) + bytes(2**21)), "goes on behind its end"),
    (packed({"train": b"\x80"}, folder="cifar-100-python"), "reading a pickle can run any code"),
], ids=range(8))  # fmt: skip
def test_damaged_archives_are_told(tmp_path, content, message):
    write(tmp_path, {readers.ARCHIVE: content})
    with pytest.raises(DamagedFile, match=f"{readers.ARCHIVE}: .*{message}.*: {BINARY}"):
        images.load("cifarfs", tmp_path)


def test_changed_byte_of_an_archive_is_told(tmp_path):
    content = bytearray(packed(cifar_files()))
    content[len(content) // 2] ^= 8
    write(tmp_path, {readers.ARCHIVE: bytes(content)})
    with pytest.raises(DamagedFile, match=f"{readers.ARCHIVE}: cannot be read .*: {BINARY}"):
        images.load("cifarfs", tmp_path)


def test_links_in_an_archive_are_not_followed(tmp_path):
    made = io.BytesIO()
    with tarfile.open(fileobj=made, mode="w:gz") as archive:
        link = tarfile.TarInfo("cifar-100-binary/train.bin")
        link.type, link.linkname = tarfile.SYMTYPE, "/etc/passwd"
        archive.addfile(link)
    write(tmp_path, {readers.ARCHIVE: made.getvalue()})
    with pytest.raises(DamagedFile, match="has no .*train.bin"):
        images.load("cifarfs", tmp_path)


@pytest.mark.parametrize(("files", "place", "message"), [
    ({}, "nowhere", "nowhere: is missing"),
    ({"notes.txt": b""}, ".", "has no train.bin and no cifar-100-binary.tar.gz"),
    ({"train.bin": b""}, ".", "test.bin: is missing"),
    ({"cifar-100-python.tar.gz": b""}, ".", "cifar-100-python.tar.gz: holds pickle files, and reading a"),
    ({"cifar-100-python.tar.gz": b""}, "cifar-100-python.tar.gz", "reading a pickle can run any code"),
    ({"train": b"", "test": b"", "meta": b""}, ".", "reading a pickle can run any code"),
])  # fmt: skip
def test_missing_and_pickled_cifar_is_told(tmp_path, files, place, message):
    write(tmp_path, files)
    with pytest.raises(DamagedFile, match=f"{message}.*: {BINARY}"):
        images.load("cifarfs", tmp_path / place)


# --- downloading ------------------------------------------------------------------------------------------


@pytest.fixture
def torchvision(monkeypatch):
    """A torchvision that notes what it is asked for."""
    asked = []
    datasets = types.ModuleType("torchvision.datasets")
    datasets.Omniglot = lambda root, **given: asked.append((root, given))
    datasets.utils = types.SimpleNamespace(download_url=lambda *given: asked.append(given))
    monkeypatch.setitem(sys.modules, "torchvision", types.ModuleType("torchvision"))
    monkeypatch.setitem(sys.modules, "torchvision.datasets", datasets)
    return asked


def test_download_asks_torchvision_for_what_the_readers_read(tmp_path, torchvision):
    root = tmp_path / "data"
    assert download("cifarfs", root) == root and root.is_dir()
    ((url, place, name, md5),) = torchvision
    assert url.endswith(f"/{readers.ARCHIVE}") and (place, name) == (str(root), readers.ARCHIVE)
    assert len(md5) == 32
    torchvision.clear()
    download("omniglot", root)
    assert torchvision == [(str(root), {"background": half, "download": True}) for half in (True, False)]


def test_download_without_torchvision_or_of_something_else_is_told(tmp_path, monkeypatch):
    monkeypatch.setitem(sys.modules, "torchvision", None)
    with pytest.raises(ModuleNotFoundError, match="needs torchvision: pip install torchvision .the extra"):
        download("omniglot", tmp_path)
    with pytest.raises(ValueError, match="'emoji' is not for downloading: there are omniglot, cifarfs"):
        download("emoji", tmp_path)
