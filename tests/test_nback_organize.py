"""A ShapeNetCore folder of one's own, a download, and the commands that make libraries."""

import sys
import zipfile
from pathlib import Path
from types import SimpleNamespace

import numpy as np
import pytest

from wm import cli
from wm.nback import organize
from wm.nback.commands import COMMANDS
from wm.nback.objects import library
from wm.nback.render import View, render

MODEL = """mtllib model_normalized.mtl
v {x} 0 -0.5
v -{x} 0 -0.5
v 0 0 0.5
v 0 {y} 0
usemtl paint
f 1 2 3
f 1 2 4
f 2 3 4
f 3 1 4
"""


def add(root: Path, category: str, name: str, *, x=0.4, y=0.5, paint="1 0 0", text=MODEL) -> Path:
    folder = root / organize.SYNSETS[category] / name / "models"
    folder.mkdir(parents=True)
    (folder / "model_normalized.obj").write_text(text.format(x=x, y=y))
    if paint:
        (folder / "model_normalized.mtl").write_text(f"newmtl paint\nKd {paint}\n")
    return folder


@pytest.fixture
def shapenet(tmp_path) -> Path:
    """A small tree: five models of each category, one with its id only as a folder, stray files."""
    root = tmp_path / "ShapeNetCore.v2"
    for category in organize.SYNSETS:
        for i in range(5):
            add(root, category, f"{category}{i}", x=0.2 + i / 10, paint=f"0 {i / 5} 1")
    (root / "taxonomy.json").write_text("[]")
    (root / "03001627" / "empty").mkdir()
    return root


def test_the_choice_depends_on_names_and_seed_alone(shapenet, tmp_path):
    first = organize.organize(shapenet, tmp_path / "a", objects=3).library
    again = organize.organize(shapenet, tmp_path / "b", objects=3).library
    assert first.sha256 == again.sha256 and first.kind == "shapenet"
    assert first.categories == tuple(organize.SYNSETS)
    assert all(len(first.identities(category)) == 3 for category in first.categories)
    choices = {
        organize.organize(shapenet, tmp_path / "c", objects=3, seed=seed).library.identities("chair")
        for seed in range(5)
    }
    assert len(choices) > 1
    more = organize.organize(shapenet, tmp_path / "d", objects=4).library
    assert more.identities("car")[:3] == first.identities("car"), "more objects keep the first ones"
    one = organize.organize(shapenet, tmp_path / "e", objects=3, categories=["chair"]).library
    assert one.identities("chair") == first.identities("chair") and one.categories == ("chair",)


def test_objects_are_normalised_colored_and_face_the_viewer(shapenet, tmp_path):
    mesh = organize.organize(shapenet, tmp_path / "a", objects=5).library.mesh("chair", "chair2")
    assert np.linalg.norm(mesh.vertices, axis=1).max() == pytest.approx(1, abs=1e-3)
    assert mesh.colors.tolist() == [[0, 102, 255]] * 4
    wide = np.abs(mesh.vertices[:, 0]) > 0.3
    assert (mesh.vertices[wide, 2] > 0).all(), "what was at -z is in front"
    assert render(mesh, View(0), 32).any()


def test_models_that_cannot_be_read_are_passed_over_and_told(shapenet, tmp_path):
    for name in ("chair0", "chair1", "chair3", "chair4"):
        path = shapenet / "03001627" / name / "models/model_normalized.obj"
        path.write_text("v 0 0\n")
    (shapenet / "03001627/chair2/models/model_normalized.mtl").unlink()
    done = organize.organize(shapenet, tmp_path / "a", objects=1, categories=["chair"])
    assert done.library.identities("chair") == ("chair2",)
    told = [note for note in done.notes if "passed over" in note]
    assert all("line 1 cannot be read" in note for note in told)
    assert "chair chair2: material file model_normalized.mtl is missing" in done.notes
    assert done.library.mesh("chair", "chair2").colors.tolist() == [[178] * 3] * 4
    with pytest.raises(
        ValueError, match="only 1 of 5 models of chair can be read, 2 are needed: chair chair"
    ):
        organize.organize(shapenet, tmp_path / "b", objects=2, categories=["chair"])


def test_models_without_extent_are_passed_over(shapenet, tmp_path):
    for i in range(4):
        add(shapenet, "car", f"point{i}", x=0, y=0, text="v 1 1 1\nv 1 1 1\nv 1 1 1\nf 1 2 3\n")
    done = organize.organize(shapenet, tmp_path / "a", objects=5, categories=["car"])
    assert not [name for name in done.library.identities("car") if name.startswith("point")]


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"categories": ["chairs"]}, "unknown category 'chairs': did you mean chair?"),
        ({"objects": 0}, "objects must be 1 or more, got 0"),
        (
            {"objects": 6},
            r"models found: 5 of airplane \(in 02691156/\), .*; 6 are needed of each; it holds 02691",
        ),
    ],
)
def test_what_cannot_be_organized_is_told(shapenet, tmp_path, options, message):
    with pytest.raises(ValueError, match=message):
        organize.organize(shapenet, tmp_path / "a", **options)
    assert not (tmp_path / "a").exists()


def test_a_folder_that_is_not_there_is_told(tmp_path):
    with pytest.raises(
        ValueError, match="there is no such folder. PATH must hold SYNSET/MODEL/models/model_n"
    ):
        organize.organize(tmp_path / "no", tmp_path / "a")
    with pytest.raises(ValueError, match="it holds nothing"):
        organize.organize(tmp_path, tmp_path / "a")


# --- download ---------------------------------------------------------------------------------------------


@pytest.fixture
def hub(monkeypatch, tmp_path):
    """Stands for huggingface_hub; `calls` are the downloads asked for."""
    calls = []

    def hf_hub_download(repository, file, **options):
        calls.append((repository, file, options))
        if options["token"] != "secret":
            raise OSError(f"403 for {options['token']}")
        target = Path(options["local_dir"]) / file
        target.parent.mkdir(parents=True, exist_ok=True)
        add(tmp_path / "source", "chair", f"chair{len(calls)}")
        with zipfile.ZipFile(target, "w") as archive:
            for path in (tmp_path / "source").rglob("*.*"):
                archive.write(path, path.relative_to(tmp_path / "source"))
        return str(target)

    monkeypatch.setitem(sys.modules, "huggingface_hub", SimpleNamespace(hf_hub_download=hf_hub_download))
    monkeypatch.delenv("HF_TOKEN", raising=False)
    monkeypatch.chdir(tmp_path)
    return calls


def test_a_download_is_unpacked_and_can_be_organized(hub, tmp_path):
    folder = organize.download("03001627.zip", tmp_path / "got", token="secret")
    assert hub[0][:2] == ("ShapeNet/ShapeNetCore", "03001627.zip") and hub[0][2]["repo_type"] == "dataset"
    made = organize.organize(folder, tmp_path / "a", categories=["chair"], objects=1).library
    assert made.identities("chair") == ("chair1",)


def test_the_token_is_taken_from_the_environment_or_a_file(hub, tmp_path, monkeypatch):
    assert organize.read_token() is None
    with pytest.raises(ValueError, match="ShapeNet is gated: accept its terms at .*then give --token"):
        organize.download("a.zip", tmp_path / "got")
    (tmp_path / ".env").write_text("OTHER=1\nHF_TOKEN=\nexport HF_TOKEN = 'secret'\n")
    assert organize.read_token() == "secret"
    organize.download("a.zip", tmp_path / "got")
    monkeypatch.setenv("HF_TOKEN", "of the environment")
    assert organize.read_token() == "of the environment"


def test_a_refused_download_tells_why_but_not_the_token(hub, tmp_path):
    with pytest.raises(
        ValueError, match=r"ShapeNetCore a.zip cannot be had: 403 for \.\.\.\. ShapeNet is gated"
    ):
        organize.download("a.zip", tmp_path / "got", token="wrong")


def test_without_the_extra_a_download_tells_what_to_install(tmp_path, monkeypatch):
    monkeypatch.setitem(sys.modules, "huggingface_hub", None)
    with pytest.raises(ImportError, match="need the extra huggingface: pip install huggingface-hub"):
        organize.download("a.zip", tmp_path, token="secret")


# --- commands ---------------------------------------------------------------------------------------------


def run(capsys, *words: str) -> tuple[int, str]:
    code = cli.main(["nback", *words])
    streams = capsys.readouterr()
    return code, streams.out + streams.err


@pytest.fixture(autouse=True)
def results(tmp_path, monkeypatch):
    monkeypatch.setenv("WM_RESULTS", str(tmp_path / "results"))
    return tmp_path / "results" / "nback"


def test_commands_of_nback_explain_themselves(capsys):
    for name in COMMANDS:
        with pytest.raises(SystemExit):
            cli.main(["nback", *name.split(), "--help"])
        assert "Example: wm nback" in capsys.readouterr().out


def test_organize_and_verify_tell_what_is_there(shapenet, capsys, results):
    code, said = run(capsys, "objects", "organize", str(shapenet), "--objects", "4", "--seed", "1")
    assert code == 0 and "chair      4 objects, 16 faces" in said
    assert f"now: wm nback stimuli --objects {results / 'shapenet'}" in said
    code, said = run(capsys, "objects", "verify", str(results / "shapenet"))
    assert code == 1 and "fewer than 6 of airplane (4)" in said
    assert "preset published: not enough: it needs 6" in said and "rich: not enough: it needs 12" in said
    assert run(capsys, "objects", "verify", str(results / "shapenet"), "--objects", "4")[0] == 0
    code, said = run(capsys, "objects", "verify", str(results / "shapenet"), "--objects", "5")
    assert code == 1 and "fewer than 5 of airplane (4)" in said and "organize PATH --objects 5" in said
    assert run(capsys, "objects", "organize")[0] == 2


def test_verify_reports_the_shipped_objects(capsys):
    code, said = run(capsys, "objects", "verify")
    assert code == 0 and "shipped" in said and "tulip" in said
    assert "preset published: enough" in said and "preset rich: enough" in said
    code, said = run(capsys, "objects", "verify", "--categories", "sofa")
    assert code == 1 and "fewer than 6 of sofa (0)" in said


def test_placeholders_are_told_loudly(capsys, results):
    code, said = run(
        capsys, "objects", "placeholder", "--objects-per-category", "4", "--categories", "car", "chair"
    )
    assert code == 0 and said.count("PLACEHOLDER SHAPES, not objects") == 2
    with pytest.warns(UserWarning, match="PLACEHOLDER"):
        assert library(results / "placeholder").categories == ("car", "chair")


def test_download_gets_a_file_or_those_of_categories(hub, capsys, results):
    assert run(capsys, "objects", "download-hf", "03001627.zip", "--token", "secret")[0] == 0
    code, said = run(capsys, "objects", "download-hf", "--categories", "car", "table", "--hf-token", "secret")
    assert code == 0 and f"now: wm nback objects organize {results / 'shapenet-download'}" in said
    assert [file for _, file, _ in hub] == ["03001627.zip", "02958343.zip", "04379243.zip"]
    assert run(capsys, "objects", "download-hf", "x.zip")[0] == 2
    assert run(capsys, "objects", "download-hf", "--categories", "cars")[0] == 2


def test_a_download_without_the_extra_ends_with_what_to_install(capsys, monkeypatch):
    monkeypatch.setitem(sys.modules, "huggingface_hub", None)
    code, said = run(capsys, "objects", "download-hf", "x.zip", "--token", "secret")
    assert code == 2 and "pip install huggingface-hub" in said
