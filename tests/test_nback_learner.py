"""Training of N-back networks: the learner against plain loops, in company, in parts; batches."""

import math
import subprocess
import sys
from contextlib import nullcontext
from dataclasses import replace
from types import SimpleNamespace

import numpy as np
import pytest
import torch
import torch.nn.functional as F

from wm.ensemble import EnsembleLearner, Layout
from wm.nback import evaluate
from wm.nback.batches import BLOCK, Batches, diet_places
from wm.nback.catalogue import POOLS, SPLITS
from wm.nback.evaluate import evaluated
from wm.nback.families import config, diet
from wm.nback.learner import VALIDATION_TRIALS, NBackLearner, same_kind
from wm.nback.material import Images, Material
from wm.nback.network import initial, layout, run
from wm.nback.task import FEATURES, TASKS
from wm.train import run as train

SMALL = {"units": 8, "batch": 6, "updates": 8, "length": 4, "decay": 0.5, "learning_rate": 0.01}
IDENTITIES = 8


def settings(family="gru_mtmf", **changes):
    return config(family, **(SMALL | changes))


def planted(images=96, *, positions=4, noise=0.1, readable=True, seed=0):
    """Images whose labels are one-hot in their features, or are not there at all."""
    generator = np.random.default_rng(seed)
    identity = np.arange(images) % IDENTITIES
    location = np.arange(images) // IDENTITIES % 4
    labels = {"location": location, "identity": identity, "category": identity // 4}
    blocks = [np.eye(labels[name].max() + 1)[labels[name]] for name in FEATURES]
    told = np.concatenate(blocks, axis=1) * readable
    features = told[:, None] + noise * generator.standard_normal((images, positions, told.shape[1]))
    return Images(features.astype(np.float16), labels)


def material(**options):
    held = {name: planted(seed=k + 1, **options) for k, name in enumerate(SPLITS)}
    return Material(planted(**options), held, held)


def learner(configs, seeds, own=None, **options):
    return NBackLearner(configs, seeds, own or material(), **options)


def single(ours, k=0):
    return {name: value[k].detach().clone() for name, value in ours.weights().items()}


# ---------------------------------------------------------------- against plain loops


@pytest.mark.parametrize("architecture", ["rnn", "gru", "lstm"])
def test_an_update_is_that_of_a_plain_loop(architecture):
    kind = settings(architecture, label_smoothing=0.1, weight_decay=0.1, no_action_weight=0.3, clip_norm=0.5)
    ours, own = learner(kind, ["0", "1"]), material()
    plain = [initial(kind, seed, 14)[None].requires_grad_() for seed in ("0", "1")]
    steps = [torch.optim.AdamW([flat], lr=0.01, weight_decay=0.1) for flat in plain]
    for step in range(6):
        trials = ours.batches.at(step)
        metrics = ours.update()
        for k, (flat, optimizer) in enumerate(zip(plain, steps, strict=True)):
            weights = layout(kind, 14).views(flat)
            features = torch.from_numpy(own.train.features).float()
            logits = run(kind, weights, features, trials.images[k : k + 1], trials.tasks[k : k + 1]).logits[0]
            total = count = hits = asked = 0
            for row, answers in zip(logits, trials.targets[k], strict=True):
                for logit, answer in zip(row, answers, strict=True):
                    weight = 1 if answer > 0 else 0.3
                    total = total + weight * F.cross_entropy(logit, answer, label_smoothing=0.1)
                    count += weight
                    hits += bool(answer > 0 and logit.argmax() == answer)
                    asked += bool(answer > 0)
            optimizer.zero_grad()
            (total / count).backward()
            norm = torch.nn.utils.clip_grad_norm_([flat], 0.5)
            optimizer.param_groups[0]["lr"] = 0.01 * min(1, (8 - step) / 4)
            optimizer.step()
            expected = {"loss": total / count, "gradient_norm": norm, "accuracy": torch.tensor(hits / asked)}
            for name, value in expected.items():
                torch.testing.assert_close(metrics[name][k], value.detach(), rtol=1e-4, atol=1e-5)
            torch.testing.assert_close(ours.flat[k].detach(), flat[0].detach(), rtol=1e-3, atol=2e-5)
    assert metrics["diverged"].tolist() == [0, 0]


# ---------------------------------------------------------------- company


def test_networks_of_different_diets_train_as_they_do_alone():
    configs = [
        settings("gru_mtmf"), settings("gru_stmf_2", learning_rate=0.003), settings("gru_stsf_1_category"),
        settings("gru_stsf_3_location", decay=0.0, clip_norm=0.0, no_action_weight=1.0),
    ]  # fmt: skip
    seeds = ["0", "1", "0", "2"]
    together = learner(configs, seeds)
    alone = [learner(each, [seed]) for each, seed in zip(configs, seeds, strict=True)]
    for _ in range(8):
        metrics, expected = together.update(), [each.update() for each in alone]
        for k, own in enumerate(expected):
            assert own.keys() == metrics.keys()
            for name, value in own.items():
                torch.testing.assert_close(metrics[name][k], value[0], rtol=1e-4, atol=1e-5)
    for k, each in enumerate(alone):
        torch.testing.assert_close(single(together, k), single(each), rtol=1e-3, atol=2e-5)
    assert len({round(float(value), 6) for value in metrics["loss"]}) == 4


def test_a_learning_rate_of_0_keeps_a_network_as_it_was():
    configs = [settings(learning_rate=0.0), settings()]
    ours = learner(configs, ["0", "0"])
    before = ours.flat.detach().clone()
    ours.update()
    assert torch.equal(ours.flat[0], before[0]) and not torch.equal(ours.flat[1], before[1])


@pytest.mark.parametrize(
    "changes", [{"units": 9}, {"weight_decay": 0.5}, {"updates": 3}, {"stimuli": "published"}], ids=str
)
def test_networks_that_differ_in_more_cannot_be_trained_together(changes):
    configs = [settings(), settings(**changes)]
    with pytest.raises(ValueError, match=f"differ in {[*changes][0]} cannot be trained together"):
        learner(configs, ["0", "1"])


def test_an_ensemble_without_networks_is_refused():
    with pytest.raises(ValueError, match="at least one network"):
        same_kind([])


def test_features_of_another_pool_are_refused():
    with pytest.raises(ValueError, match="pool grid2 leaves 4 positions, but features have 1"):
        learner(settings(), ["0"], material(positions=1))


# ---------------------------------------------------------------- batches


def test_a_batch_depends_on_its_seed_diet_and_step_alone():
    labels, kinds = planted().labels, [settings("gru_stsf_2_identity"), settings()]
    alone, both = Batches([kinds[1]], ["3"], labels), Batches(kinds, ["0", "3"], labels)
    for step in (2 * BLOCK + 1, 2):
        for one, two in zip(alone.at(step), both.at(step), strict=True):
            assert torch.equal(one[0], two[1])
        assert both.at(step).images.shape == (2, 6, 4)
    assert not torch.equal(alone.at(0).images, alone.at(1).images)
    assert not torch.equal(alone.at(0).images, alone.at(BLOCK).images)


def test_networks_of_a_seed_have_the_same_draws_whatever_their_architecture():
    labels = planted().labels
    one, two = (Batches([settings(name)], ["5"], labels).at(7) for name in ("gru", "lstm"))
    assert all(torch.equal(a, b) for a, b in zip(one, two, strict=True))


def test_each_network_goes_round_its_own_diet():
    kinds = [settings(), settings("gru_stmf_2"), settings("gru_stsf_3_category")]
    batches = Batches(kinds, ["0", "1", "2"], planted().labels)
    tasks = torch.cat([batches.at(step).tasks for step in range(12)], dim=1)
    for own, kind in zip(tasks, kinds, strict=True):
        places = [task.place for task in diet(kind)]
        assert own.tolist() == (places * 72)[:72]
    assert diet_places(kinds, range(5, 8)).tolist() == [[5, 6, 7], [7, 1, 4], [8, 8, 8]]


# ---------------------------------------------------------------- going on


@pytest.mark.parametrize("changes", [{}, {"layers": 2, "dropout": 0.3}], ids=str)
def test_training_goes_on_bit_for_bit(tmp_path, changes):
    kind = settings("lstm", **changes)
    whole, history = learner(kind, ["0", "1"]), {}
    for _ in train(whole, 6, history=history, history_every=2):
        pass
    first = train(learner(kind, ["0", "1"]), 6, checkpoint=tmp_path, checkpoint_every=2, history_every=2)
    for step in first:
        if step.step == 4:
            break
    first.close()
    again, rows = learner(kind, ["0", "1"]), {}
    steps = [step.step for step in train(again, 6, checkpoint=tmp_path, history=rows, history_every=2)]
    assert steps == [5, 6] and rows == history
    assert torch.equal(again.flat, whole.flat)
    found, expected = again.state_dict(), whole.state_dict()
    for name in ("moments", "validation"):
        assert found[name].keys() == expected[name].keys()
        assert all(torch.equal(value, expected[name][key]) for key, value in found[name].items())


def test_a_state_is_a_copy_and_can_be_gone_back_to():
    ours = learner(settings(), ["0", "1"])
    start = ours.state_dict()
    losses = [ours.update()["loss"] for _ in range(3)]
    ours.load_state_dict(start)
    assert torch.equal(torch.stack([ours.update()["loss"] for _ in range(3)]), torch.stack(losses))


def test_dropout_drops_other_units_each_time_and_the_same_for_a_seed():
    kind = settings(layers=2, dropout=0.5)
    ours, other = learner(kind, ["4", "1"]), learner(kind, ["1"])
    ours.prepare(0), other.prepare(0)
    masks = ours._masks()
    assert masks.shape == (1, 2, 6, 4, 8) and set(masks.unique().tolist()) == {0.0, 2.0}
    assert torch.equal(masks[:, 1], other._masks()[:, 0])
    ours.prepare(1)
    assert not torch.equal(ours._masks(), masks)


def test_a_network_that_diverges_stays_as_it_was_while_others_go_on():
    ours, alone = learner(settings(), ["0", "1"]), learner(settings(), ["1"])
    before = ours.update()
    alone.update()
    with torch.no_grad():
        ours.weights()["answer.bias"][0] = torch.nan
    frozen = ours.flat[0].detach().clone()
    for _ in range(3):
        metrics, expected = ours.update(), alone.update()
        assert metrics["diverged"].tolist() == [1, 0] and metrics["gradient_norm"][0] == 0
        assert all(value.isfinite().all() for value in metrics.values())
        assert metrics["loss"][0] == before["loss"][0], "the last one that was finite"
        torch.testing.assert_close(metrics["loss"][1], expected["loss"][0])
    torch.testing.assert_close(ours.flat[0].detach(), frozen, rtol=0, atol=0, equal_nan=True)


# ---------------------------------------------------------------- learning


def test_validation_is_what_the_weights_answer_then():
    kinds = [settings(updates=100), settings("gru_stsf_1_location", updates=100)]
    ours = learner(kinds, ["0", "1"])
    first = ours.update()
    for _ in range(99):
        last = ours.update()
    names = [f"val_{name}_acc" for name in SPLITS]
    for name in names:
        assert name in first and torch.equal(last[name], ours._validation[name])
        assert torch.equal(last[name], ours._validated()[name])
    assert any(not torch.equal(first[name], last[name]) for name in names)
    assert VALIDATION_TRIALS % len(TASKS) == 0


def test_validation_is_the_mean_over_the_tasks_of_the_diet(monkeypatch):
    """Planted: all right in 1-back tasks, all wrong in others; those have more steps, and count no more."""
    kinds = [settings(length=6), settings("gru_stmf_1", length=6), settings("gru_stsf_3_category", length=6)]
    ours = learner(kinds, ["0", "1", "2"])

    def respond(kind, weights, embedding, images, *, tasks):
        labels = [torch.as_tensor(planted().labels[name]) for name in FEATURES]
        seen = torch.stack(labels)[tasks[..., None] // 3, images]
        lag = (tasks % 3 + 1)[..., None]
        times = torch.arange(images.shape[-1]).expand(images.shape)
        before = seen.gather(-1, (times - lag).clamp(min=0))
        answers = torch.where(lag == 1, 1 + (seen == before).long(), 0)
        return SimpleNamespace(answers=torch.where(times >= lag, answers, 0))

    monkeypatch.setattr(evaluate, "respond", respond)
    found = ours._validated()
    for split in SPLITS:
        assert found[f"val_{split}_acc"].tolist() == pytest.approx([1 / 3, 1, 0])


@pytest.mark.parametrize("readable", [True, False])
def test_a_planted_task_is_learned_and_one_that_cannot_be_seen_is_not(readable):
    kind = config(
        "gru_stsf_1_category", units=48, channels=48, batch=64, updates=300, length=4, learning_rate=0.01
    )
    own = material(readable=readable)
    other = replace(kind, family="gru_stsf_1_location", features=("location",))
    ours = learner([kind, other], ["0", "0"], own)
    *_, last = train(ours, kind.updates, progress=False)
    scores = evaluated(ours.configs, ours.weights(), own.test).balanced
    for k, task in enumerate((6, 0)):
        found = scores[k, :, task]
        assert (found > 0.95).all() if readable else (abs(found - 0.5) < 0.06).all()
        assert np.isnan(np.delete(scores[k], task, axis=1)).all()
    validated = last.values["val_novel_angle_acc"]
    assert (validated > 0.95).all() if readable else (validated < 0.6).all()


@pytest.mark.parametrize("architecture", ["rnn", "gru", "lstm"])
def test_each_architecture_learns_planted_tasks_of_several_lags(architecture):
    kind = config(
        f"{architecture}_mtmf", units=48, batch=64, updates=300, length=4, learning_rate=0.01, lags=(1, 2),
        features=("category",),
    )  # fmt: skip
    own = material(noise=0.02)
    ours = learner(kind, ["0"], own)
    for _ in range(kind.updates):
        ours.update()
    assert np.nanmean(evaluated([kind], ours.weights(), own.test).balanced) > 0.95


# ---------------------------------------------------------------- shared parts


def test_layout_names_parts_of_one_tensor():
    own = Layout({"a": (2, 3), "b": (4,)})
    flat = torch.arange(20.0).view(2, 10)
    views = own.views(flat)
    assert own.size == 10 and views["a"].shape == (2, 2, 3) and views["b"].tolist()[1] == [16, 17, 18, 19]
    assert torch.equal(own.flat(views), flat)


def test_a_learner_needs_what_its_system_brings():
    ours = EnsembleLearner([settings()], torch.zeros(1, 3))
    with pytest.raises(NotImplementedError):
        ours.prepare(0)
    with pytest.raises(NotImplementedError):
        ours.losses()


def test_a_captured_update_is_never_asked_how_many_images_are_shown():
    ours = learner(settings(), ["0"])
    ours.prepare(0)
    expected = ours.losses()[0]
    ours.captured = True
    with torch.autograd.profiler.profile() as seen:
        found = ours.losses()[0]
    torch.testing.assert_close(found, expected)
    names = {event.name for event in seen.function_events}
    assert not {each for each in names if "unique" in each or each in ("aten::item", "aten::nonzero")}


def test_capturing_an_update_leaves_no_trace(monkeypatch):
    """A graph is not to be had without a GPU: what stands for it computes the update when it is replayed."""
    ours, plain = (learner(settings(layers=2, dropout=0.2), ["0", "1"]) for _ in range(2))
    replays = []

    class Graph:
        def replay(self):
            replays.append(ours._computed())

    stream = SimpleNamespace(wait_stream=lambda other: None)
    for name, fake in {
        "Stream": lambda: stream, "current_stream": lambda: stream, "CUDAGraph": Graph,
        "stream": lambda other: nullcontext(), "graph": lambda graph, **options: nullcontext(),
    }.items():  # fmt: skip
        monkeypatch.setattr(torch.cuda, name, fake)
    ours.captured = True
    for _ in range(3):
        ours.update(), plain.update()
        torch.testing.assert_close(ours.flat, plain.flat, rtol=1e-4, atol=1e-5)
        torch.testing.assert_close(ours.last, plain.last)
    assert len(replays) == 3 and ours.step == 3


def test_pools_are_those_of_the_features():
    from typing import get_args

    from wm.nback.features import Pool

    assert get_args(Pool) == tuple(POOLS)


def test_tf32_leaves_the_setting_as_it_was(monkeypatch):
    seen = []
    look = torch.get_float32_matmul_precision
    monkeypatch.setattr(NBackLearner, "losses", lambda self: seen.append(look()))
    for tf32 in (True, False):
        with pytest.raises(TypeError):
            learner(settings(), ["0"], tf32=tf32).update()
    assert seen == ["high", "highest"] and torch.get_float32_matmul_precision() == "highest"


LACKING = """
import sys
for name in ("pandas", "h5py", "PIL", "tyro", "numba", "yaml", "sklearn", "matplotlib"):
    sys.modules[name] = None
sys.path.insert(0, {tests!r})
import numpy as np
from wm import nback
g = np.random.default_rng(0)
labels = {{"location": np.arange(64) % 4, "identity": np.arange(64) // 8, "category": np.arange(64) // 32}}
images = nback.Images(g.random((64, 4, 5), dtype=np.float32), labels)
own = nback.Material(images, {{"trained": images}}, {{"trained": images}})
own = nback.load_material(nback.save_material({file!r}, own))
kind = nback.config("gru", units=4, batch=4, updates=2)
done = nback.train(kind, 1, material=own, save=True)
assert nback.load("gru_mtmf-00").record["scores"] == done.records[0]["scores"]
"""


def test_a_machine_that_only_trains_needs_little(tmp_path, monkeypatch):
    monkeypatch.setenv("WM_DATA", str(tmp_path / "data"))
    code = LACKING.format(tests=str(tmp_path), file=str(tmp_path / "material.safetensors"))
    done = subprocess.run([sys.executable, "-W", "error", "-c", code], capture_output=True, text=True)
    assert done.returncode == 0, done.stderr


def test_a_schedule_is_constant_and_then_falls_to_0():
    ours, found = learner(settings(), ["0"]), []
    for _ in range(8):
        ours.update()
        found.append(ours.optimizer.param_groups[0]["lr"] / 0.01)
    assert found == pytest.approx([1, 1, 1, 1, 1, 0.75, 0.5, 0.25]) and math.isclose(found[0], 1)
