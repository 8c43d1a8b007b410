"""`wm nback train`: published settings files, from the file to saved networks."""

import numpy as np
import pytest
import yaml

from wm import nback
from wm.cli import main
from wm.nback import campaign

FILE = {
    "experiment_name": "small", "scenario": "STMF", "n_values": [2], "num_workers": 2, "batch_size": 4,
    "task_features": ["location", "identity", "category"], "num_train": 6, "epochs": 2, "hidden_size": 3,
    "rnn_type": "gru", "lr": 0.001, "milestones": [1], "gamma": 0.1, "save_hidden": True,
}  # fmt: skip


@pytest.fixture
def wm(roots, capsys):
    """Run `wm nback train` in an empty place: (exit code, stdout, stderr)."""

    def run(*words):
        code = main(["nback", "train", *map(str, words)])
        return code, *capsys.readouterr()

    return run


@pytest.fixture
def written(tmp_path):
    """A settings file with changes."""

    def write(**changes):
        path = tmp_path / "settings.yaml"
        path.write_text(yaml.safe_dump(FILE | changes))
        return path

    return write


@pytest.fixture
def asked(monkeypatch):
    """The material replaced by noise; how it was asked for."""
    noted, number = {}, np.arange(64)
    labels = {"location": number % 4, "identity": number // 8, "category": number // 32}
    features = np.random.default_rng(0).random((64, 4, 5)).astype(np.float16)
    images = nback.Images(features, labels)

    def material_of(config, **options):
        noted.update(options, config=config)
        held = dict.fromkeys(nback.SPLITS, images)
        return nback.Material(images, held, held, {"made": "here"})

    monkeypatch.setattr(campaign, "material_of", material_of)
    return noted


def test_a_published_file_is_trained_and_what_has_no_meaning_is_told(wm, written, asked):
    code, out, err = wm("--config", written(), "--seeds", "3", "7")
    assert code == 0 and err == ""
    lines = out.splitlines()
    unused = [line.split(" has no meaning here: ") for line in lines if " has no meaning here: " in line]
    assert {key for key, _ in unused} == {"experiment_name", "num_workers", "gamma", "save_hidden"}
    assert all(why for _, why in unused)
    same = "the same without a file: wm train nback.gru_stmf_2 --seeds 3 7 --units 3 --channels 0 --batch 4"
    assert f"{same} --updates 4 --no-action-weight 1.0" in lines
    taken = [line.split(" is taken as ") for line in lines if " is taken as " in line]
    assert [name for name, _ in taken] == ["channels", "pool", "no action weight"]
    assert lines[-1].startswith("saved nback/gru_stmf_2-03 gru_stmf_2-07: trained 0.")
    trained = nback.load("gru_stmf_2-07")
    assert trained.config == asked["config"]
    assert (trained.config.updates, trained.config.decay, trained.config.units) == (4, 0.5, 3)
    assert asked["weights"] is None and asked["device"] == "cpu"


def test_options_reach_the_training(wm, written, asked, tmp_path):
    options = "--networks", 2, "--checkpoint", tmp_path / "run", "--weights", tmp_path / "own.pth"
    assert wm("--config", written(), *options)[0] == 0
    assert nback.names() == ["gru_stmf_2-00", "gru_stmf_2-01"]
    assert asked["weights"] == tmp_path / "own.pth" and list((tmp_path / "run").glob("step-*"))
    assert asked["config"].backbone == "efficientnet_lite0"
    code, _, err = wm("--config", written(lr=0.01))
    assert code == 2 and "saved with another learning_rate" in err
    assert wm("--config", written(lr=0.01), "--overwrite")[0] == 0
    assert nback.load("gru_stmf_2-00").config.learning_rate == 0.01
    assert wm("--config", written(), "--backbone", "resnet50", "--seeds", "5")[0] == 0
    assert asked["config"].backbone == "resnet50"


@pytest.mark.parametrize(
    ("changes", "words", "message"),
    [
        ({"hiden_size": 3}, [], "settings.yaml: unknown key 'hiden_size': did you mean hidden_size"),
        ({"freeze_backbone": False}, ["--networks", "2"], "2 networks at once, whose backbones"),
        ({}, ["--networks", "0"], "--networks must be 1 or more, got 0"),
        ({}, ["--networks", "2", "--seeds", "1"], "--seeds says how many networks there are"),
        ({}, ["--device", "gpu"], "--device must be cpu, cuda or cuda:N, got gpu"),
        ({}, ["--seeds", "1", "01"], "seeds must differ"),
    ],
    ids=str,
)
def test_what_cannot_be_trained_is_told(wm, written, asked, changes, words, message):
    code, _, err = wm("--config", written(**changes), *words)
    assert code == 2 and message in err and not asked


def test_a_file_is_needed(wm, tmp_path):
    assert wm()[0::2] == (2, "wm: name a settings file: wm nback train --config FILE.yaml\n")
    code, _, err = wm("--config", tmp_path / "nowhere.yaml")
    assert code == 1 and "nowhere.yaml" in err
