"""`wm plastic`: training with the published options, the metrics of an epoch, and folders of result files."""

import json
import math

import numpy as np
import pytest
import torch

from wm import paths
from wm.cli import main
from wm.files import read_json
from wm.plastic import config, epochs, results, run_commands
from wm.plastic.engine import run as run_networks
from wm.plastic.families import make_task
from wm.plastic.learner import PlasticLearner
from wm.seeds import numpy_generator

SMALL = "--model-dim 8 --num-heads 2 --ffn-dim 12 --num-layers 1 --dataset-size 4 --epochs 2"
PUBLISHED_KEYS = {
    "loss", "eta_mean", "eta_std", "plastic_norm_mean", "plastic_norm_std", "train_loss", "train_eta_mean",
    "train_eta_std", "train_plastic_norm_mean", "train_plastic_norm_std", "epoch",
}  # fmt: skip
PUBLISHED_TASKS = {
    "copying": {"seq_length": 5, "delay": 5, "vocab_size": 10},
    "cue-reward": {"num_pairs": 5, "cue_dim": 10, "reward_range": [0.0, 1.0]},
    "regression": {"input_dim": 3, "k_support": 10, "k_query": 10, "weight_scale": 1.0, "bias_scale": 1.0},
}
FILES = {"copying": "copy_delay5", "cue-reward": "cue", "regression": "regression"}


@pytest.fixture
def wm(roots, capsys):
    """Run `wm plastic` in an empty place: (exit code, stdout, stderr)."""

    def run(*words):
        code = main(["plastic", *(part for word in words for part in str(word).split())])
        return code, *capsys.readouterr()

    return run


@pytest.fixture
def asked(monkeypatch):
    """Training replaced by a note of what would be trained."""
    noted = {}

    def note(settings, seeds, **options):
        noted.update(options, config=settings, seeds=seeds)
        return [[{"loss": 1.0, "epoch": 1}] for _ in seeds]

    monkeypatch.setattr(run_commands, "histories", note)
    monkeypatch.setattr(run_commands, "environment", lambda device: {"device": device})
    return noted


def learner(family="published_copying_hebbian", seeds=("1", "2"), **changes):
    small = {"width": 8, "heads": 2, "feedforward": 12, "layers": 1} | changes
    return PlasticLearner(config(family, **small), seeds)


# ---------------------------------------------------------------- run


@pytest.mark.parametrize("task", FILES)
def test_result_file_holds_all_that_published_ones_hold(wm, task):
    code, out, err = wm("run", task, SMALL, "--seeds", 2, "--rule", "hebbian")
    path = paths.results() / "plastic" / f"{FILES[task]}_rule-hebbian.json"
    assert (code, err) == (0, "") and out.splitlines()[-1].startswith(f"wrote {path}: loss ")
    assert out.startswith("epoch 1 of 2: train_loss ") and out.count("\n") == 3
    saved, result = read_json(path), results.read_result(path)
    assert [run["seed"] for run in result.runs] == [123, 124]
    assert [*saved["runs"][0]] == ["seed", "history", "final"]
    extra = {"recall_accuracy"} if task == "copying" else {"query_loss"}
    for entry in (entry for run in result.runs for entry in run["history"]):
        assert PUBLISHED_KEYS | extra <= set(entry)
        assert all(math.isfinite(value) for value in entry.values())
    assert result.history("epoch").tolist() == [[1, 2]] * 2
    wanted = {
        "model": {
            "rule": "hebbian", "model_dim": 8, "num_heads": 2, "num_layers": 1, "ffn_dim": 12, "aux_dim": 4,
            "eta0": 0.2, "max_norm": 1.0, "dropout": 0.1, "preset": "published",
        },
        "task": PUBLISHED_TASKS[task] | {"dataset_size": 4},
        "training": {"epochs": 2, "lr": 1e-3, "weight_decay": 1e-4, "clip_norm": 5.0},
    }  # fmt: skip
    assert all(wanted[part].items() <= result.config[part].items() for part in wanted)
    assert saved["environment"]["torch"] == torch.__version__


def test_published_defaults(wm, asked):
    expected = {
        "copying": {"rule": "hebbian", "items": 5, "delay": 5, "symbols": 10, "updates": 2500},
        "cue-reward": {"rule": "hebbian", "items": 5, "symbols": 10, "updates": 5000, "shuffled": False},
        "regression": {"rule": "gradient", "items": 10, "queries": 10, "dimension": 3, "updates": 5000},
    }
    shared = {
        "width": 128, "heads": 4, "layers": 2, "feedforward": 256, "dropout": 0.1, "auxiliary": 4, "batch": 1,
        "eta0": 0.2, "max_norm": 1.0, "learning_rate": 1e-3, "weight_decay": 1e-4, "clip_norm": 5.0,
    }  # fmt: skip
    for task, settings in expected.items():
        assert wm("run", task, "--device cpu")[0] == 0
        assert (settings | shared).items() <= vars(asked["config"]).items()
        assert asked["config"].preset == "published" and asked["seeds"] == [123]
        assert (asked["sequences"], asked["device"], asked["checkpoint"]) == (500, "cpu", None)


def test_every_option_reaches_the_training(wm, asked, roots):
    words = (
        "--rule gradient --base-seed 7 --seeds 3 --device cpu --seq-length 4 --delay 9 --vocab-size 6 "
        "--dataset-size 11 --model-dim 12 --num-heads 3 --num-layers 4 --ffn-dim 20 --dropout 0.3 --eta0 0.5 "
        "--aux-dim 2 --max-norm 2 --epochs 3 --lr 0.01 --weight-decay 0.2 --clip-norm 1 --log-interval 7"
    )
    path = roots / "own" / "file.json"
    assert wm("run copying", words, "--output-path", path, "--checkpoint", roots / "on")[0] == 0
    wanted = {
        "rule": "gradient", "items": 4, "queries": 4, "delay": 9, "symbols": 6, "width": 12, "heads": 3,
        "layers": 4, "feedforward": 20, "dropout": 0.3, "auxiliary": 2, "eta0": 0.5, "max_norm": 2.0,
        "learning_rate": 0.01, "weight_decay": 0.2, "clip_norm": 1.0, "updates": 33,
    }  # fmt: skip
    assert wanted.items() <= vars(asked["config"]).items()
    assert asked["seeds"] == [7, 8, 9] and asked["checkpoint"] == roots / "on"
    assert (asked["epochs"], asked["sequences"]) == (3, 11)
    assert read_json(path)["config"]["training"]["log_interval"] == 7
    words = ("--num_pairs 3 --cue_dim 4", "--input_dim 2 --k_support 6 --k_query 5")
    for task, given in zip(("cue-reward", "regression"), words, strict=True):
        assert wm("run", task, "--device cpu", given)[0] == 0
    assert (asked["config"].items, asked["config"].queries, asked["config"].dimension) == (6, 5, 2)


def test_sound_preset(wm, asked):
    assert wm("run cue-reward --preset sound --rule oja --device cpu")[0] == 0
    assert asked["config"].preset == "sound" and asked["config"].rule == "oja"
    assert (asked["config"].dropout, asked["config"].batch, asked["config"].width) == (0.0, 64, 128)
    written = read_json(paths.results() / "plastic" / "cue_rule-oja_sound.json")["config"]
    assert written["task"]["shuffled"] is True and written["model"]["preset"] == "sound"
    assert written["training"]["batch"] == 64 and written["settings"]["positions"] is True


@pytest.mark.parametrize(
    ("cuda", "mps", "given", "found"),
    [
        (True, True, "auto", "cuda"), (False, True, "auto", "mps"), (False, False, "auto", "cpu"),
        (True, True, "mps", "mps"), (True, True, "cpu", "cpu"), (True, False, "cuda", "cuda"),
    ],
)  # fmt: skip
def test_auto_is_cuda_then_mps_then_cpu(wm, asked, monkeypatch, cuda, mps, given, found):
    monkeypatch.setattr("torch.cuda.is_available", lambda: cuda)
    monkeypatch.setattr("torch.backends.mps.is_available", lambda: mps)
    assert wm("run regression --device", given)[0] == 0 and asked["device"] == found
    path = paths.results() / "plastic" / "regression_rule-gradient.json"
    assert read_json(path)["config"]["task"]["device"] == found


@pytest.mark.parametrize(
    ("words", "said"),
    [
        ("--device gpu", "invalid choice 'gpu' for argument '--device'"),
        ("--device mps", "--device mps: none is found here; use auto or cpu"),
        ("--preset x", "invalid choice 'x' for argument '--preset'"),
        ("--seeds 0", "--seeds must be 1 or more, got 0"),
        ("--dataset-size 0", "--dataset-size must be 1 or more, got 0"),
        ("--epochs -1", "--epochs must be 1 or more, got -1"),
        ("--rule heb", "unknown rule 'heb': did you mean hebbian?"),
        ("--delay -1", "delay must be at least 0"),
        ("--dropout x", "--dropout must be a number, got 'x'"),
        ("--model-dim 130", "width 130 is no multiple of 4 heads"),
        ("--num-pairs 3", "unknown option '--num-pairs': did you mean --num-"),
        ("--output-path .", "--output-path . is a folder: name a file in it"),
    ],
)
def test_what_cannot_be_run_is_told_in_one_line(wm, asked, monkeypatch, words, said):
    monkeypatch.setattr("torch.backends.mps.is_available", lambda: False)
    code, out, err = wm("run copying", words)
    assert (code, out) == (2, "") and err.count("\n") == 1 and said in err
    assert not asked


def test_place_that_cannot_be_written_is_told_before_training(wm, asked, roots):
    (roots / "taken").write_text("a file")
    code, _, err = wm("run copying --device cpu --output-path", roots / "taken" / "a.json")
    assert code == 5 and "a file is in the way" in err and not asked


# ---------------------------------------------------------------- epochs


@pytest.mark.parametrize("rule", ["none", "hebbian", "gradient"])
@pytest.mark.parametrize("task", ["copying", "regression"])
def test_evaluation_is_what_single_sequences_give(task, rule):
    trained = learner(f"published_{task}_{rule}")
    seen = epochs.evaluated_on_fresh(trained, 5, epoch=3)
    assert all(each.shape == (2,) for each in seen.values())
    sequences = make_task(trained.config).sample(5, numpy_generator("2", "validation", 3))
    costs, answers, rates = [], [], []
    for inputs, targets in zip(*sequences, strict=True):
        with torch.no_grad():
            both = torch.as_tensor(inputs)[None, None].repeat(2, *[1] * (inputs.ndim + 1))
            trace = run_networks(trained.config, trained.weights(), both, trained.knobs, window=1)
        answer, rate = trace.answers[1, 0].double().numpy(), trace.rates.rate[1, 0].double().numpy()
        for output, target in zip(answer, targets, strict=True):
            logs = output - np.log(np.exp(output).sum())
            costs.append(-logs[target] if task == "copying" else (output[0] - target) ** 2)
            answers.append(output.argmax() == target)
        rates.extend(rate)
    length = make_task(trained.config).length
    costs, answers = np.reshape(costs, (5, length)), np.reshape(answers, (5, length))
    assert float(seen["loss"][1]) == pytest.approx(costs.mean(), rel=1e-4)
    assert float(seen["eta_mean"][1]) == pytest.approx(np.mean(rates), rel=1e-3)
    assert float(seen["eta_std"][1]) == pytest.approx(np.std(rates), rel=1e-2, abs=1e-7)
    if task == "copying":
        assert float(seen["recall_accuracy"][1]) == pytest.approx(answers[:, length // 2 :].mean())
        assert float(seen["true_recall"][1]) == pytest.approx(answers[:, -5:].mean())
    else:
        assert float(seen["query_loss"][1]) == pytest.approx(costs[:, 10:].mean(), rel=1e-4)
    assert (float(seen["plastic_norm_mean"][1]) > 0) == (rule != "none")


def test_loss_is_that_of_answers_where_they_alone_are_learned():
    trained = learner("cue_reward_hebbian")
    seen = epochs.evaluated_on_fresh(trained, 5, epoch=1)
    assert torch.equal(seen["loss"], seen["query_loss"])


def test_each_epoch_has_sequences_of_its_own():
    trained = learner()
    first, second = (epochs.evaluated_on_fresh(trained, 5, epoch) for epoch in (1, 2))
    assert not torch.equal(first["loss"], second["loss"])
    assert torch.equal(first["loss"], epochs.evaluated_on_fresh(trained, 5, 1)["loss"])


def test_training_metrics_are_those_of_the_updates():
    """Networks are observed with the dropout of their update: the learner tells the same mean rate."""
    plain, watched = learner(), epochs.Epochs(learner(), 3)
    rows = [plain.update() for _ in range(6)]
    seen = [watched.update() for _ in range(6)]
    assert [sorted(each) == ["loss"] for each in seen] == [True, True, False] * 2
    for first, last in ((0, 2), (3, 5)):
        losses = torch.stack([row["loss"].detach() for row in rows[first : last + 1]]).double().mean(dim=0)
        assert torch.allclose(seen[last]["train_loss"], losses)
        assert torch.allclose(seen[last]["train_eta_mean"], rows[first]["rate"].detach().double(), rtol=1e-5)
        assert (seen[last]["train_eta_std"] > 0).all() and (seen[last]["train_plastic_norm_mean"] > 0).all()
    assert torch.equal(plain.flat, watched.learner.flat), "watching changes nothing"


def small_run(seeds, **options):
    trained = config("published_copying_gradient", width=8, heads=2, feedforward=12, layers=1, updates=36)
    return epochs.histories(trained, seeds, epochs=3, sequences=12, **options)


def test_networks_trained_together_are_those_trained_alone():
    together, (alone,) = small_run([5, 6]), small_run([6])
    for ours, own in zip(together[1], alone, strict=True):
        assert ours == pytest.approx(own, rel=1e-3, abs=1e-9)
    assert together[0] != together[1]


def test_interrupted_run_goes_on(tmp_path):
    told = []

    def stop(epoch, metrics):
        told.append((epoch, sorted(metrics)))
        if epoch == 2 and len(told) == 2:
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        small_run([5, 6], checkpoint=tmp_path, tell=stop)
    found = small_run([5, 6], checkpoint=tmp_path, tell=stop)
    assert [epoch for epoch, _ in told] == [1, 2, 3] and "true_recall" in told[0][1]
    assert found == small_run([5, 6])


# ---------------------------------------------------------------- folders


@pytest.fixture
def folder(roots):
    """Two result files."""
    history = [{"loss": 0.5, "recall_accuracy": 0.7, "eta_mean": 0.1, "plastic_norm_mean": 0.2, "epoch": 1}]
    for rule in ("none", "hebbian"):
        task = {"seq_length": 5, "delay": 20, "vocab_size": 10}
        settings = {"model": {"rule": rule}, "task": task, "training": {"epochs": 1}}
        runs = [{"seed": seed, "history": history} for seed in (1, 2)]
        results.write_result(roots / "found" / f"{rule}.json", settings, runs, {})
    return roots / "found"


def test_folders_are_summed_up(wm, folder, closed):
    wanted = {
        "aggregate": ["summary.json"],
        "tables": [f"tables/copying.{kind}" for kind in ("csv", "md", "tex")],
        "plot": [
            f"figures/{name}.{kind}" for name in ("performance_accuracy", "mechanistic_traces")
            for kind in ("png", "pdf")
        ],
    }  # fmt: skip
    for command, files in wanted.items():
        said = "".join(f"wrote {folder / name}\n" for name in files)
        assert wm(command, folder) == (0, said, "")
        assert all((folder / name).stat().st_size for name in files)
    assert list(read_json(folder / "summary.json")["copying"]) == ["hebbian", "none"]


def test_elsewhere(wm, folder, roots, closed):
    for command in ("aggregate", "tables", "plot"):
        assert wm(command, folder, "--output", roots / command)[0] == 0
        assert list((roots / command).iterdir())
    assert sorted(path.name for path in folder.iterdir()) == ["hebbian.json", "none.json"]


@pytest.mark.parametrize("command", ["aggregate", "tables", "plot"])
def test_unreadable_files_are_told_after_the_rest_is_done(wm, folder, command, closed):
    (folder / "cut.json").write_text((folder / "none.json").read_text()[:300])
    (folder / "other.json").write_text(json.dumps({"a": 1}))
    code, out, err = wm(command, folder)
    assert code == 1 and out.startswith("wrote ")
    first, second = err.splitlines()
    assert first.startswith(f"wm: {folder / 'cut.json'}: cannot be read")
    assert second.startswith(f"wm: {folder / 'other.json'}: is no result file (config is missing)")
    for name in ("none", "hebbian"):
        (folder / f"{name}.json").unlink()
    assert wm(command, folder)[:2] == (1, "")


def test_folders_that_are_not_there(wm, folder, roots):
    code, _, err = wm("tables")
    assert code == 2 and "name a folder of result files" in err
    code, _, err = wm("tables", roots)
    assert code == 1 and f"{roots}: holds no result files: name one of its folders: found" in err


def test_a_network_that_diverges_does_not_stop_the_others(tmp_path):
    path = tmp_path / "run.json"
    words = "plastic run copying --seq-length 2 --delay 1 --model-dim 8 --ffn-dim 8 --num-heads 2 --epochs 2"
    code = main([*words.split(), "--dataset-size", "3", "--lr", "1e30", "--output-path", str(path)])
    final = json.loads(path.read_text())["runs"][0]["final"]
    assert code == 0 and final["diverged"] == 1 and np.isfinite(final["loss"])
