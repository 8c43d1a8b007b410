"""`wm plastic run classification`: published options, your own data, metrics of an epoch, result files."""

import json
import math
import sys
import types
from dataclasses import replace
from types import SimpleNamespace

import numpy as np
import pandas as pd
import pytest
import torch

from wm import arguments, cli, paths
from wm.files import DamagedFile, read_json, read_table
from wm.plastic import config, derived, epochs, results, run_commands
from wm.plastic.engine import run as run_networks
from wm.plastic.families import make_task
from wm.plastic.fewshot import images, pools, splits
from wm.plastic.learner import PlasticLearner
from wm.seeds import numpy_generator

SMALL = (
    "--model-dim 8 --num-heads 2 --ffn-dim 12 --num-layers 1 --epochs 2 --episodes-per-epoch 3 "
    "--val-episodes 4 --queries 1"
)
PUBLISHED_KEYS = {
    "loss", "accuracy", "eta_mean", "eta_std", "plastic_norm_mean", "plastic_norm_std", "train_loss",
    "train_eta_mean", "train_eta_std", "train_plastic_norm_mean", "train_plastic_norm_std", "epoch",
}  # fmt: skip
EPISODE = {"ways", "shots", "queries", "root", "split", "dataset"}


@pytest.fixture
def wm(tmp_path, monkeypatch, capsys):
    """Run `wm plastic`, with results and data of one's own in an empty place: (exit code, stdout, stderr)."""
    for name in ("RESULTS", "IMAGES", "DATA_NPY"):
        monkeypatch.setenv(f"WM_{name}", str(tmp_path / name.lower()))

    def run(*words):
        code = cli.main(["plastic", *(part for word in words for part in str(word).split())])
        return code, *capsys.readouterr()

    return run


@pytest.fixture
def asked(monkeypatch):
    """Training replaced by a note of what would be trained; drawings are not looked for."""
    noted = {}

    def note(settings, seeds, **options):
        noted.update(options, config=settings, seeds=seeds, images=paths.images())
        return [[{"loss": 1.0, "accuracy": 0.5, "epoch": 1}] for _ in seeds]

    monkeypatch.setattr(run_commands, "histories", note)
    monkeypatch.setattr(run_commands, "environment", lambda device: {"device": device})
    return noted


def save_cifar(folder, *, each=(3, 1), left_out=()):
    """Write CIFAR-100 in its binary version, with so many images of each class in train.bin and test.bin."""
    known = splits.split("cifarfs")
    names = sorted({*known.train, *known.validation, *known.test} - {*left_out})
    generator = numpy_generator(0, "cifar")
    folder.mkdir(parents=True)
    for file, count in zip(("train.bin", "test.bin"), each, strict=True):
        labels = np.repeat(np.arange(len(names)), count)
        pixels = generator.integers(0, 256, (len(labels), 3 * 32 * 32))
        records = np.column_stack([labels % 20, labels, pixels]).astype(np.uint8)
        (folder / file).write_bytes(records.tobytes())
    (folder / "fine_label_names.txt").write_text("\n".join(names))
    (folder / "coarse_label_names.txt").write_text("\n".join(f"group{k}" for k in range(20)))
    return folder


# ---------------------------------------------------------------- run


def test_result_file_holds_all_that_published_ones_hold(wm):
    code, out, err = wm("run classification", SMALL, "--seeds 2")
    path = paths.results() / "plastic" / "classification_emoji_rule-hebbian.json"
    assert (code, err) == (0, "") and out.splitlines()[-1].startswith(f"wrote {path}: loss ")
    assert out.startswith("epoch 1 of 2: train_loss ") and "accuracy" in out
    result = results.read_result(path)
    assert result.experiment == "classification_emoji" and len(result.runs) == 2
    for entry in (entry for run in result.runs for entry in run["history"]):
        assert PUBLISHED_KEYS | {"train_accuracy"} <= set(entry)
        assert all(math.isfinite(value) for value in entry.values())
    task, training, model = (result.config[part] for part in ("task", "training", "model"))
    assert EPISODE <= set(task["train"]) == set(task["val"])
    assert (task["train"]["split"], task["val"]["split"]) == ("train", "validation")
    assert (task["train"]["queries"], task["train"]["root"]) == (1, "assets/emoji")
    assert (training["episodes_per_epoch"], training["val_episodes"]) == (3, 4)
    assert (model["embedding_dim"], model["encoder"], model["preset"]) == (256, "conv4", "published")
    assert all(0 <= value <= 1 for value in result.history("accuracy").flat)


@pytest.mark.parametrize(("dataset", "shots", "split"), [
    ("emoji", 1, "shared"), ("kanji", 1, "groups"), ("cifarfs", 1, "shared"), ("omniglot", 1, "groups"),
])  # fmt: skip
def test_published_defaults(wm, asked, dataset, shots, split):
    assert wm("run classification --device cpu --dataset", dataset)[0] == 0
    wanted = {
        "task": "images", "dataset": dataset, "split": split, "ways": 5, "shots": shots, "queries": 75,
        "encoder": "conv4", "augmented": False, "shuffled": False, "rule": "hebbian", "width": 256,
        "heads": 4, "layers": 2, "feedforward": 512, "dropout": 0.1, "batch": 1, "updates": 4000,
        "learning_rate": 1e-3, "weight_decay": 5e-4, "clip_norm": 5.0, "eta0": 0.2, "max_norm": 1.0,
    }  # fmt: skip
    assert wanted.items() <= vars(asked["config"]).items() and asked["config"].preset == "published"
    assert (asked["epochs"], asked["sequences"], asked["validation"]) == (20, 200, 100)
    assert asked["part"] == "validation" and asked["seeds"] == [123]
    path = paths.results() / "plastic" / f"classification_{dataset}_rule-hebbian.json"
    assert results.read_result(path).experiment == f"classification_{dataset}"


@pytest.mark.parametrize(("dataset", "encoder", "split"), [
    ("emoji", "prototypes", "random"), ("kanji", "prototypes", "random"), ("cifarfs", "conv4", "random"),
    ("omniglot", "conv4", "groups"),
])  # fmt: skip
def test_sound_preset_has_other_classes_in_random_order(wm, asked, dataset, encoder, split):
    assert wm("run classification --preset sound --rule oja --device cpu --dataset", dataset)[0] == 0
    settings = asked["config"]
    assert settings.preset == "sound" and settings.rule == "oja" and settings.shuffled
    assert (settings.encoder, settings.split, settings.batch) == (encoder, split, 64)
    assert settings.augmented == (encoder == "conv4") and settings.differentiated and settings.positions
    path = paths.results() / "plastic" / f"classification_{dataset}_rule-oja_sound.json"
    task = read_json(path)["config"]["task"]["train"]
    assert (task["shuffled"], task["classes"]) == (True, split)


def test_every_option_reaches_the_training(wm, asked, tmp_path):
    words = (
        "--dataset kanji --rule gradient --base-seed 7 --seeds 3 --device cpu --ways 4 --shots 2 --queries 3 "
        "--episodes-per-epoch 11 --val-episodes 6 --epochs 3 --model-dim 12 --num-heads 3 --num-layers 4 "
        "--ffn-dim 20 --dropout 0.3 --eta0 0.5 --aux-dim 2 --max-norm 2 --lr 0.01 --weight-decay 0.2 "
        "--clip-norm 1 --split random --encoder none --val-part test --embedding-dim 256"
    )
    path, root = tmp_path / "own.json", tmp_path / "mine"
    assert wm("run classification", words, "--output-path", path, "--data-root", root)[0] == 0
    wanted = {
        "rule": "gradient", "ways": 4, "shots": 2, "queries": 12, "split": "random", "encoder": "none",
        "width": 12, "heads": 3, "layers": 4, "feedforward": 20, "dropout": 0.3, "auxiliary": 2, "eta0": 0.5,
        "max_norm": 2.0, "learning_rate": 0.01, "weight_decay": 0.2, "clip_norm": 1.0, "updates": 33,
    }  # fmt: skip
    assert wanted.items() <= vars(asked["config"]).items()
    assert (asked["seeds"], asked["sequences"], asked["validation"]) == ([7, 8, 9], 11, 6)
    assert (asked["part"], asked["images"]) == ("test", root) and paths.images() != root
    assert read_json(path)["config"]["task"]["val"]["split"] == "test"


@pytest.mark.parametrize(("words", "said"), [
    ("--dataset emojis", "invalid choice 'emojis' for argument '--dataset'"),
    ("--episodes-per-epoch 0", "--episodes-per-epoch must be 1 or more, got 0"),
    ("--val-episodes 0", "--val-episodes must be 1 or more, got 0"),
    ("--epochs 0", "--epochs must be 1 or more, got 0"),
    ("--ways 1", "ways must be at least 2"),
    ("--queries 0", "asked must be at least 1"),
    ("--embedding-dim 64", "--embedding-dim 64: encoders make 256 numbers"),
    ("--split half", "invalid choice 'half' for argument '--split'"),
    ("--dataset-size 4", "unknown option '--dataset-size': did you mean --dataset"),
])  # fmt: skip
def test_what_cannot_be_run_is_told_in_one_line(wm, asked, words, said):
    code, out, err = wm("run classification", words)
    assert (code, out) == (2, "") and err.count("\n") == 1 and said in err and not asked


def test_too_many_shots_are_told_with_what_there_is(wm):
    code, _, err = wm("run classification --dataset kanji --split shared --shots 10")
    assert code == 2 and "kanji (shared, train) has 0 classes with 11 designs, an episode needs 5" in err


def test_missing_encoder_says_how_to_train_it(wm):
    code, _, err = wm("run classification --preset sound", SMALL)
    assert code == 1 and "`wm states plastic encoders --families emoji_random`" in err


# ---------------------------------------------------------------- your own data


def test_own_data_are_found_in_the_folder_that_is_named(wm, tmp_path, monkeypatch):
    place, path = tmp_path / "mine", tmp_path / "result.json"
    save_cifar(place / "cifar-100-binary")
    words = "run classification --dataset cifarfs --queries 1 --output-path"
    assert wm(words, path, SMALL, "--data-root", place)[::2] == (0, "")
    first = results.read_result(path)
    assert first.experiment == "classification_cifarfs"
    assert first.config["task"]["train"]["root"] == str(place)
    monkeypatch.setenv("WM_IMAGES", str(place))
    assert wm(words, path, SMALL)[0] == 0
    assert results.read_result(path).runs == first.runs


@pytest.mark.parametrize(("dataset", "said"), [
    ("cifarfs", "is missing: take the binary version, cifar-100-binary.tar.gz, from https://www.cs.toronto"),
    ("omniglot", "images_background: is missing: unpack images_background.zip and images_evaluation.zip of"),
])  # fmt: skip
def test_missing_data_are_told_with_where_to_get_them(wm, dataset, said):
    code, _, err = wm("run classification --dataset", dataset)
    assert code == 1 and said in err and str(paths.images()) in err
    assert f"which --data-root or WM_IMAGES names, or fetch it with `wm plastic download {dataset}`" in err


def test_data_without_some_classes_are_told(tmp_path, monkeypatch):
    monkeypatch.setenv("WM_IMAGES", str(tmp_path / "cifar"))
    lacking = splits.split("cifarfs").test[:2]
    save_cifar(tmp_path / "cifar", left_out=lacking)
    assert pools.pool("cifarfs", "random", "train", "none").drawings.shape == (64, 4)
    with pytest.raises(DamagedFile, match=f"lacks 2 of 20 classes, such as {lacking[0]}: take the binary"):
        pools.pool("cifarfs", "random", "test", "none")


def test_folder_of_images_is_another_for_a_while(tmp_path, monkeypatch):
    monkeypatch.delenv("WM_IMAGES", raising=False)
    usual = paths.images()
    with pytest.raises(KeyError), images.kept_in(tmp_path):
        assert paths.images() == tmp_path
        raise KeyError
    with images.kept_in(None):
        assert paths.images() == usual
    monkeypatch.setenv("WM_IMAGES", str(tmp_path / "a"))
    with images.kept_in(tmp_path / "b"):
        assert paths.images() == tmp_path / "b"
    assert paths.images() == tmp_path / "a"


def test_download_fetches_into_the_folder(wm, monkeypatch, tmp_path):
    fetched = []
    datasets = types.ModuleType("torchvision.datasets")
    datasets.utils = SimpleNamespace(download_url=lambda *given: fetched.append(given[1]))
    monkeypatch.setitem(sys.modules, "torchvision", types.ModuleType("torchvision"))
    monkeypatch.setitem(sys.modules, "torchvision.datasets", datasets)
    assert wm("download cifarfs") == (0, f"fetched cifarfs into {paths.images()}\n", "")
    assert wm("download cifarfs --data-root", tmp_path / "here")[0] == 0
    assert fetched == [str(paths.images()), str(tmp_path / "here")]

    def fail(*_):
        raise RuntimeError("File not found or corrupted.")

    datasets.utils.download_url = fail
    code, _, err = wm("download cifarfs")
    assert code == 2 and "File not found or corrupted" in err


def test_download_that_is_not_possible_is_told(wm, monkeypatch):
    monkeypatch.setitem(sys.modules, "torchvision", None)
    code, _, err = wm("download omniglot")
    assert code == 2 and "downloading needs torchvision: pip install torchvision" in err
    code, _, err = wm("download emoji")
    assert code == 2 and "'emoji' is not for downloading: there are omniglot, cifarfs" in err


# ---------------------------------------------------------------- epochs


def learner(seeds=("1", "2"), **changes):
    small = {"width": 8, "heads": 2, "feedforward": 12, "layers": 1, "encoder": "none", "batch": 2} | changes
    return PlasticLearner(config("emoji_hebbian", **small), seeds)


def test_evaluation_is_what_single_episodes_give():
    trained = learner()
    seen = epochs.evaluated_on_fresh(trained, 5, 3, part="validation")
    task = replace(make_task(trained.config), part="validation")
    episodes = task.sample(5, numpy_generator("2", "validation", 3))
    costs, answers = [], []
    for inputs, targets in zip(*episodes, strict=True):
        with torch.no_grad():
            both = torch.as_tensor(inputs)[None, None].repeat(2, 1, 1, 1)
            trace = run_networks(trained.config, trained.weights(), both, trained.knobs, window=1)
        for output, target in zip(trace.answers[1, 0].double().numpy()[5:], targets[5:], strict=True):
            costs.append(np.log(np.exp(output).sum()) - output[target])
            answers.append(output.argmax() == target)
    assert float(seen["loss"][1]) == pytest.approx(np.mean(costs), rel=1e-4)
    assert float(seen["accuracy"][1]) == pytest.approx(np.mean(answers))
    assert "query_loss" not in seen and float(seen["plastic_norm_mean"][1]) > 0
    other = epochs.evaluated_on_fresh(trained, 5, 3, part="test")
    assert not torch.equal(seen["loss"], other["loss"])


def test_training_metrics_are_those_of_the_updates():
    plain, watched = learner(), epochs.Epochs(learner(), 3, 2, "validation")
    rows = [plain.update() for _ in range(3)]
    seen = [watched.update() for _ in range(3)][-1]
    for name, of_update in {"train_loss": "loss", "train_accuracy": "score"}.items():
        means = torch.stack([row[of_update].detach() for row in rows]).double().mean(dim=0)
        assert torch.allclose(seen[name], means)
    assert torch.equal(plain.flat, watched.learner.flat), "watching changes nothing"


def test_drawings_that_are_encoded_on_the_way_are_run_a_few_at_a_time(monkeypatch):
    task = make_task(config("published_emoji_hebbian"))
    assert 1 <= epochs._at_once(task) * task.length * task.given <= epochs._NUMBERS
    assert epochs._at_once(make_task(config("emoji_hebbian", encoder="none"))) == 128
    monkeypatch.setattr(epochs, "_NUMBERS", 1)
    assert epochs._at_once(task) == 1


def small_run(**options):
    small = {"width": 8, "heads": 2, "feedforward": 12, "layers": 1, "encoder": "none", "batch": 2}
    trained = config("emoji_hebbian", updates=6, **small)
    return epochs.histories(trained, [5, 6], epochs=3, sequences=2, validation=3, part="test", **options)


def test_interrupted_run_goes_on(tmp_path):
    told = []

    def stop(epoch, metrics):
        told.append(epoch)
        if told == [1, 2]:
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        small_run(checkpoint=tmp_path, tell=stop)
    assert small_run(checkpoint=tmp_path, tell=stop) == small_run()
    assert told == [1, 2, 3]


# ---------------------------------------------------------------- folders of published files


def published(rule, values):
    """A result of the published layout, with as many settings as published files have."""
    episodes = {"root": "./data", "ways": 5, "shots": 1, "queries": 15, "dataset": "cifarfs"}
    task = {"train": episodes | {"split": "train"}, "val": episodes | {"split": "test"}}
    model = {"rule": rule, "model_dim": 256, "num_heads": 4, "num_layers": 2, "embedding_dim": 256}
    runs = []
    for seed, accuracy in enumerate(values):
        rate = {"none": 0.0, "hebbian": 7e-5}[rule]
        entry = {"loss": 1.6, "accuracy": accuracy, "eta_mean": rate, "plastic_norm_mean": 9 * rate}
        entry["epoch"] = 1
        runs.append({"seed": 10_000 + seed, "history": [entry], "final": entry})
    summed = {"num_runs": len(runs)}
    for key in runs[0]["final"]:
        found = np.array([run["final"][key] for run in runs])
        summed |= {f"{key}_mean": found.mean(), f"{key}_std": found.std()}
    settings = {"model": model, "task": task, "training": {"epochs": 1}}
    return {"config": settings, "runs": runs, "aggregate": summed}


def test_published_files_are_summed_up_beside_ours(wm, tmp_path, closed):
    folder = tmp_path / "found"
    assert wm("run classification", SMALL, "--output-path", folder / "ours.json")[0] == 0
    for rule, values in {"hebbian": [0.3, 0.34, 0.32], "none": [0.28, 0.3, 0.29]}.items():
        path = folder / f"classification_cifarfs_rule-{rule}.json"
        path.write_text(json.dumps(published(rule, values)))
    for command in ("aggregate", "tables", "plot"):
        assert wm(command, folder)[::2] == (0, "")
    summed = read_json(folder / "summary.json")
    assert list(summed) == ["classification_cifarfs", "classification_emoji"]
    row = summed["classification_cifarfs"]["hebbian"]
    assert row["dataset"] == "cifarfs" and row["aggregate"]["accuracy_mean"] == pytest.approx(0.32)
    frame = read_table(folder / "tables" / "classification_cifarfs.csv").set_index("rule")
    assert frame.loc["none", "accuracy_mean"] == pytest.approx(0.29)
    assert (folder / "figures" / "performance_accuracy.png").stat().st_size


# ---------------------------------------------------------------- measures


def test_measures_of_drawings_are_listed():
    assert {"encoders", "baselines", "images", "protocol"} <= set(derived.MEASURES)
    assert next(iter(derived.MEASURES)) == "networks"


@pytest.mark.parametrize("name", ["encoders", "baselines"])
def test_encoders_are_named_by_data_set_and_split(name, capsys, monkeypatch):
    known = arguments.families_of("plastic", derived.MEASURES[name], ["emoji_random", "kanji_shared"])
    assert known == ["emoji_random", "kanji_shared"]
    assert arguments.families_of("plastic", derived.MEASURES[name], []) is None
    assert cli.main(["states", "plastic", name, "--families", "emoji_rand"]) == 2
    assert "there is no data set and split 'emoji_rand': did you mean emoji_random" in capsys.readouterr().err
    done = []

    def measure(families, device):
        done.append((families, device))
        return pd.DataFrame()

    measure.family_name = derived.MEASURES[name].family_name
    monkeypatch.setitem(derived.MEASURES, name, measure)
    assert cli.main(["states", "plastic", name, "--families", "kanji_groups"]) == 0
    assert done == [(["kanji_groups"], "cpu")]


def test_networks_are_named_by_family_everywhere_else(capsys):
    assert arguments.families_of("plastic", derived.MEASURES["images"], ["emoji_none"]) == ["emoji_none"]
    with pytest.raises(ValueError, match="unknown family 'emoji_random': did you mean emoji_none"):
        arguments.families_of("plastic", derived.MEASURES["images"], ["emoji_random"])
