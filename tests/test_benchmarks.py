"""The benchmarks: their rows say what was measured, and are printed whatever they say."""

import dataclasses
import importlib
import json
import types
from pathlib import Path

import numpy as np
import pytest

NAMES = ["train_backprop", "train_hand_designed", "train_gated", "procrustes"]


@pytest.fixture
def ring(monkeypatch):
    return imported("ring", monkeypatch)


def imported(name, monkeypatch):
    # benchmarks are run from the repository and not installed
    monkeypatch.syspath_prepend(Path(__file__).parents[1])
    return importlib.import_module(f"benchmarks.{name}")


def test_procrustes_row_at_small_size(ring, own_randomness):
    row = ring.procrustes_row(12, rows=5, units=30, sample=20)
    assert row["name"] == "procrustes" and "from 20 pairs" in row["unit"]
    assert row["ratio"] == row["reference"] / row["ours"] > 0
    assert row["fault"] in ("", "BELOW THE FLOOR")  # a loaded machine may be slow, but never wrong


def test_procrustes_row_says_what_is_wrong(ring, monkeypatch):
    monkeypatch.setattr(ring, "PROCRUSTES_FLOOR", 1e9)
    assert ring.procrustes_row(6, units=9)["fault"] == "BELOW THE FLOOR"
    monkeypatch.setattr(ring, "PROCRUSTES_LIMIT_S", 0)
    assert ring.procrustes_row(6, units=9)["fault"] == "OVER 0 s"
    monkeypatch.setattr(ring, "procrustes_matrix", lambda xs: np.zeros((6, 6)))
    assert ring.procrustes_row(6, units=9)["fault"].startswith("WRONG BY 8")


def test_last_line_is_json_of_every_row_even_below_the_floor(ring, monkeypatch, capsys):
    def row(name):
        about = {"unit": "s", "ours": 2.0, "reference": 1.0, "floor": 3.0, "device": "cpu"}
        return about | {"name": name, "ratio": 0.5, "fault": "BELOW THE FLOOR"}

    monkeypatch.setattr(ring, "training_row", lambda family, device: row(ring.NAMES[family]))
    monkeypatch.setattr(ring, "procrustes_row", lambda: row("procrustes"))
    ring.main([])
    lines = capsys.readouterr().out.splitlines()
    assert [row["name"] for row in json.loads(lines[-1])] == NAMES
    assert sum("BELOW THE FLOOR" in line for line in lines[:-1]) == 4


def test_training_of_symbolic_networks_at_small_size(monkeypatch, capsys):
    symbolic = imported("symbolic", monkeypatch)
    rows = symbolic.training_rows(networks=2, rounds=1)
    assert [row["name"] for row in rows] == ["train", "train_vectorised"]
    assert all(row["ratio"] == row["reference"] / row["ours"] > 0 for row in rows)
    monkeypatch.setattr(symbolic, "training_rows", lambda device: rows)
    symbolic.main([])
    assert json.loads(capsys.readouterr().out.splitlines()[-1]) == rows


def test_the_reference_of_symbolic_networks_learns_the_same_batches(monkeypatch):
    symbolic = imported("symbolic", monkeypatch)
    loop, gathered = (symbolic.Plain("cpu", vectorised=kind) for kind in (False, True))
    assert loop.update().item() == pytest.approx(gathered.update().item())
    assert loop.update().item() == pytest.approx(gathered.update().item(), rel=1e-4)


def test_plastic_rows_at_small_size(monkeypatch, capsys):
    plastic = imported("plastic", monkeypatch)
    rows = plastic.token_rows(batch=2, rounds=1)
    rows += [plastic.campaign_row(rounds=1), plastic.memory_row(batch=2)]
    names = [*(f"token_step_{rule}" for rule in plastic.PAPER_RULES), "campaign", "memory"]
    assert [row["name"] for row in rows] == names
    assert all(row["ratio"] == row["reference"] / row["ours"] > 0 for row in rows)
    assert all(row["fault"] in ("", "BELOW THE FLOOR") for row in rows)
    monkeypatch.setattr(plastic, "TOLERANCE", 0)
    assert plastic.token_rows(batch=2, rounds=1)[1]["fault"].startswith("WRONG BY")
    monkeypatch.setattr(plastic, "token_rows", lambda device: rows[:3])
    monkeypatch.setattr(plastic, "campaign_row", lambda device: rows[3])
    monkeypatch.setattr(plastic, "memory_row", lambda device: rows[4])
    plastic.main([])
    assert json.loads(capsys.readouterr().out.splitlines()[-1]) == rows


def test_dense_fast_weights_of_the_benchmark_answer_as_factored_ones(monkeypatch):
    plastic = imported("plastic", monkeypatch)
    settings = plastic.config("copying_hebbian", batch=2, delay=3, width=8, heads=2, feedforward=8)
    weights = plastic.layout(settings).views(plastic.initial(settings, "0")[None].double())
    tokens = plastic.make_task(settings).sample(2, np.random.default_rng(0)).inputs
    inputs = plastic.torch.as_tensor(tokens)[None]
    own = plastic.knobs([settings], weights["head.bias"])
    ours = plastic.run(settings, weights, inputs, own).answers.numpy()
    assert plastic.dense(settings, weights, inputs, own).numpy() == pytest.approx(ours, abs=1e-12)


def test_rows_of_drawings_at_small_size(monkeypatch, capsys):
    fewshot = imported("fewshot", monkeypatch)
    with fewshot.noise(classes=8):
        rows = [fewshot.episode_row(encoder, batch=1, rounds=1) for encoder in ("prototypes", "conv4")]
        rows.append(fewshot.sampling_row(episodes=60, rounds=1))
        monkeypatch.setattr(fewshot, "TOLERANCE", 0)
        assert fewshot.episode_row("conv4", batch=1, rounds=1)["fault"].startswith("WRONG BY")
    assert [row["name"] for row in rows] == ["episodes_prototypes", "episodes_conv4", "sampling"]
    assert all(row["ratio"] == row["ours"] / row["reference"] > 0 for row in rows)
    assert all(row["fault"] in ("", "BELOW THE FLOOR") for row in rows)
    by_encoder = dict(zip(("prototypes", "conv4"), rows, strict=False))
    monkeypatch.setattr(fewshot, "episode_row", lambda encoder, device: by_encoder[encoder])
    monkeypatch.setattr(fewshot, "sampling_row", lambda device: rows[2])
    fewshot.main([])
    assert json.loads(capsys.readouterr().out.splitlines()[-1]) == rows


def test_the_plain_sampler_of_the_benchmark_draws_episodes_of_the_task(monkeypatch):
    fewshot = imported("fewshot", monkeypatch)
    with fewshot.noise(classes=8):
        task = fewshot.make_task(fewshot.config("kanji_none", shots=2, queries=10))
        sampler = fewshot.PlainSampler(task, np.random.default_rng(0))
        for inputs, targets in (sampler.episode() for _ in range(20)):
            assert inputs.shape == (20, 262) and targets.shape == (20,)
            assert inputs[:10, 256:-1].sum(axis=0).tolist() == [2] * 5
            assert inputs[:, -1].tolist() == [0] * 10 + [1] * 10
            assert np.bincount(targets[10:]).tolist() == [2] * 5
            assert len(np.unique(inputs[:, 0])) == 20


@pytest.fixture
def nback(monkeypatch):
    return imported("nback", monkeypatch)


def test_rows_of_objects_at_small_size(nback, monkeypatch, capsys):
    few = nback.stimulus_set("published", categories=("chair",)).part("test", "novel_angle")
    rows = [nback.picture_row(pictures=2, rounds=1), nback.rendering_row(few, few=2, rounds=1)]
    rows.append(nback.features_row(images=2, rounds=1))
    assert [row["name"] for row in rows] == ["pictures", "rendering", "features"]
    assert all(row["ratio"] == row["ours"] / row["reference"] > 0 for row in rows)
    assert all(row["fault"].split(" s ")[0] in ("", "BELOW THE FLOOR", "OVER 180") for row in rows)
    monkeypatch.setattr(nback, "LIMIT_S", 0.0)
    late = f"OVER 0 s FOR ALL {len(nback.stimulus_set('rich'))}"
    assert nback.features_row(images=1, rounds=1)["fault"] == late
    monkeypatch.setattr(nback, "picture_row", lambda: rows[0])
    monkeypatch.setattr(nback, "rendering_row", lambda: rows[1])
    monkeypatch.setattr(nback, "features_row", lambda device: rows[2])
    rows.append(rows[2] | {"name": "training"})
    monkeypatch.setattr(nback.nback_training, "training_row", lambda device: rows[3])
    monkeypatch.setattr(nback.nback_geometry, "KINDS", {})
    nback.main([])
    assert json.loads(capsys.readouterr().out.splitlines()[-1]) == rows


def test_rows_of_objects_say_what_is_wrong(nback, monkeypatch):
    monkeypatch.setattr(nback, "render", lambda mesh, view, size: np.ones((size, size, 3), dtype=np.uint8))
    assert nback.picture_row(pictures=1, rounds=1)["fault"] == "WRONG BY 1.0e+00 OF THE PIXELS"
    monkeypatch.setattr(nback, "image_features", lambda images, network: np.ones((1, 4, 1280), np.float16))
    assert nback.features_row(images=1, rounds=1)["fault"].startswith("WRONG BY")


# --- decoders and analyses of N-back networks


def test_rows_of_geometry_at_small_size(monkeypatch):
    geometry = imported("nback_geometry", monkeypatch)
    for kind in geometry.KINDS:
        row = geometry.decoders_row(kind, trials=512)
        assert row["name"] == kind and row["ratio"] == row["reference"] / row["ours"] > 0
        assert row["fault"] in ("", "BELOW THE FLOOR")
    monkeypatch.setattr(geometry, "TOLERANCE", -1)
    assert geometry.decoders_row("decoders_svc", trials=512)["fault"].startswith("LESS ACCURATE BY")
    told = {"seconds": 30.0}
    monkeypatch.setattr(geometry, "analyse", lambda trained, **options: told)
    trained = types.SimpleNamespace(name="gru_mtmf-00")
    assert geometry.analysis_row(trained, pictures="none")["of_limit"] == 0.5
    told["seconds"] = 90.0
    assert geometry.analysis_row(trained, pictures="none")["fault"] == "OVER 60 s"


# --- training of N-back networks


@pytest.fixture
def training(monkeypatch):
    return imported("nback_training", monkeypatch)


def images_of_noise(training, many=64):
    number = np.arange(many)
    labels = {"location": number % 4, "identity": number // 8, "category": number // 32}
    features = np.random.default_rng(0).random((many, 4, 5)).astype(np.float16)
    return training.Images(features, labels)


def test_training_row_at_small_size(training, tmp_path, monkeypatch):
    monkeypatch.setenv("WM_RESULTS", str(tmp_path))
    stimuli = training.stimulus_set("published", categories=("car", "chair"), draws=(1, 0, 0, 0))
    few = stimuli.table[stimuli.table["view"] == 0].reset_index(drop=True)
    few = dataclasses.replace(stimuli, table=few)
    monkeypatch.setattr(training, "PLAIN_BATCH", {"cpu": 1})
    row = training.training_row(stimuli=few, rounds=1, batch=2)
    assert row["name"] == "training" and row["ratio"] == row["ours"] / row["reference"] > 0
    assert row["fault"] in ("", "BELOW THE FLOOR")
    monkeypatch.setattr(training, "TOLERANCE", 0)
    assert training.training_row(stimuli=few, rounds=1, batch=2)["fault"].startswith("WRONG BY")


def test_slow_rows_at_small_size(training, nback, monkeypatch, capsys):
    images = images_of_noise(training)
    held = dict.fromkeys(("trained", "novel_angle"), images)
    own = training.Material(images, held, held)
    small = {"units": 3, "batch": 2, "updates": 2}
    row = training.to_bars_row(settings=training.config("gru", **small), own=own)
    assert row["fault"] == "BARS NOT REACHED" and row["reference"] == 600 and "2 updates" in row["unit"]
    monkeypatch.setattr(training, "BARS", {"val_trained_acc": 0.0, "val_novel_angle_acc": 0.0})
    row = training.to_bars_row(settings=training.config("gru", **small), own=own)
    assert row["fault"] == "" and "1 updates" in row["unit"]
    campaign = training.campaign_row("cpu", own=own, **small)
    assert campaign["unit"].startswith("s for 117 networks") and campaign["ratio"] == 900 / campaign["ours"]
    monkeypatch.setattr(training, "CAMPAIGN_LIMIT_S", 0.0)
    assert training.campaign_row("cpu", own=own, seeds=("0",), **small)["fault"] == "OVER 0 s"

    monkeypatch.setattr(nback, "rows", lambda device: [row])
    monkeypatch.setattr(nback.nback_training, "to_bars_row", lambda device: row | {"name": device})
    monkeypatch.setattr(nback.nback_training, "campaign_row", lambda device: campaign)
    analysis = row | {"name": "analysis"}
    monkeypatch.setattr(nback.nback_geometry, "analysis_row", lambda: analysis)
    assert nback.slow_rows("cpu") == [row | {"name": "cpu"}, analysis]
    assert nback.slow_rows("cuda") == [row | {"name": "cuda"}, campaign, analysis]
    for words, rows in (([], [row]), (["--slow"], [row, row | {"name": "cpu"}, analysis])):
        nback.report.run("x", "About.", nback.rows, words, slow=nback.slow_rows)
        assert json.loads(capsys.readouterr().out.splitlines()[-1]) == rows
