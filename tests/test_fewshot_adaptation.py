"""What networks do within an episode of drawings: planted networks that hold labels in one known place."""

from dataclasses import replace

import matplotlib.pyplot as plt
import numpy as np
import pandas as pd
import pytest
import torch

from wm import arguments
from wm.plastic import derived, inside, reads
from wm.plastic.campaign import Campaign
from wm.plastic.evaluate import test_episodes as episodes_of
from wm.plastic.experiments import SEEDS, cells
from wm.plastic.families import WRITING_RULES, config, make_task
from wm.plastic.fewshot import adaptation, adaptation_plots, adapted
from wm.plastic.fewshot.pools import Pool
from wm.plastic.library import Trained, untrained
from wm.plastic.measures import BY_TIME, Curves
from wm.train import numpy_generator

WAYS, TRIALS = 5, 32
SETTINGS = {"width": 12, "queries": 5, "auxiliary": 0}


@pytest.fixture(autouse=True)
def clear_classes(monkeypatch):
    """Classes that are orthogonal, with six drawings each that differ a little."""
    generator = np.random.default_rng(0)
    vectors = 0.01 * generator.standard_normal((40 * 6, 256)).astype(np.float32)
    vectors[np.arange(240), np.arange(240) // 6] += 1
    places = np.arange(240).reshape(40, 6)
    planted = Pool("planted", vectors, places, np.tile(np.arange(6), (40, 1)))
    monkeypatch.setattr("wm.plastic.fewshot.task.pool", lambda *_: planted)


def empty(rule="hebbian", **changes):
    """A recurrent network whose parameters are all zero."""
    settings = config(f"rnn_emoji_{rule}", **SETTINGS | changes)
    return settings, {name: 0 * each for name, each in untrained(settings, "0").weights.items()}


def in_fast_weights(seed="0"):
    """Its first layer writes label times drawing, and reads labels by likeness; its units forget."""
    settings, weights = empty()
    weights["input.weight"][0, :WAYS, 256 : 256 + WAYS] = torch.eye(WAYS)
    weights["input.rows"][0, :WAYS] = 1
    weights["input.columns"][0, :256] = 1
    weights["recurrent.weight"][0, :WAYS, :WAYS] = torch.eye(WAYS)
    weights["head.weight"][0, :WAYS, :WAYS] = torch.eye(WAYS)
    return Trained("planted", seed, settings, weights, {"scores": {"score": 1.0}})


def in_units(rule="hebbian", seed="0"):
    """Its units hold the last label that was shown, its one answer; nothing is read of fast weights."""
    settings, weights = empty(rule)
    weights["input.weight"][0, :WAYS, 256 : 256 + WAYS] = torch.eye(WAYS)
    weights["input.weight"][0, WAYS, 256 : 256 + WAYS] = 1  # a label is shown
    units = weights["recurrent.weight"][0]
    units[:WAYS, :WAYS], units[:WAYS, WAYS] = 2 * torch.eye(WAYS), -1
    units[:WAYS, 12 : 12 + WAYS] = torch.eye(WAYS)
    weights["head.weight"][0, :WAYS, :WAYS] = torch.eye(WAYS)
    return Trained("planted", seed, settings, weights, {"scores": {"score": 0.2}})


def in_fast_weights_of_a_transformer(seed="0"):
    """Attention says nothing: its first plastic layer writes label times drawing, and reads by likeness.

    Of 60 units, 40 are drawings, 5 labels, 5 what is read; 10 are silent.
    """
    settings = config("emoji_hebbian", queries=5, auxiliary=0, width=60)
    weights = {name: 0 * each for name, each in untrained(settings, seed).weights.items()}
    for name in ("blocks.0.norm2", "blocks.1.norm2", "norm"):
        weights[f"{name}.weight"] += 1
    weights["input.weight"][0, :40, :40] = torch.eye(40)
    weights["input.weight"][0, 40:45, 256:261] = torch.eye(WAYS)
    weights["blocks.0.first.weight"][0, :WAYS, 40:45] = torch.eye(WAYS)
    weights["blocks.0.first.rows"][0, :WAYS] = 1
    weights["blocks.0.first.columns"][0, :40] = 1
    weights["blocks.0.second.weight"][0, 45:50, :WAYS] = torch.eye(WAYS)
    weights["head.weight"][0, :WAYS, 45:50] = torch.eye(WAYS)
    return Trained("planted", seed, settings, weights, {"scores": {"score": 1.0}})


def labels_of(trained):
    """Classes of the queries, and of the labelled drawings, of test episodes, (trial, 5) each."""
    _, targets = episodes_of(trained.config, TRIALS)
    task = make_task(trained.config).held_out
    labels = task.choose(TRIALS, numpy_generator("test", "plastic", "images"))[1]
    np.testing.assert_array_equal(labels[:, WAYS:], targets[:, WAYS:])
    return labels[:, WAYS:], labels[:, :WAYS]


def test_a_perfect_memory_knows_what_was_shown_and_nothing_else():
    found = adaptation.by_items(in_fast_weights(), TRIALS)
    np.testing.assert_array_equal(found.seen[1:], 1)
    assert np.isnan(found.seen[0]) and np.isnan(found.unseen[-1])
    assert found.all[-1] == 1 and (found.unseen[:-1] < 0.4).all()
    np.testing.assert_allclose(found.ceiling, [0.2, 0.4, 0.6, 0.8, 1, 1])
    assert (np.diff(found.all) > 0).all() and (found.all <= found.ceiling + 0.1).all()


def test_one_that_answers_the_last_label_learns_nothing_from_the_others():
    found = adaptation.by_items(in_units(), TRIALS)
    queries, labels = labels_of(in_units())
    for items in range(1, 6):
        right = queries == labels[:, items - 1 : items]
        known = (queries[..., None] == labels[:, None, :items]).any(axis=-1)
        assert found.all[items] == pytest.approx(right.mean())
        assert found.seen[items] == pytest.approx(right[known].mean())
    assert (found.unseen[1:-1] == 0).all() and found.all[1:].mean() == pytest.approx(0.2, abs=0.05)


def test_all_labelled_drawings_are_as_the_whole_episode():
    trained = in_fast_weights()
    inputs, targets = episodes_of(trained.config, TRIALS)
    trace = trained.run(inputs)
    before = adaptation.held(trained, inputs[:, :5])
    answers = adaptation.asked(trained, before[-1], inputs[:, 5:]).answers
    np.testing.assert_array_equal(answers, trace.answers[0, :, 5:].argmax(-1))
    assert len(before) == 6 and before[0].memory.coefficients.shape[-1] == 0


def test_queries_stand_where_queries_stand():
    """A transformer tells positions: asked after all drawings, it answers as in one piece."""
    trained = untrained(config("emoji_gradient", queries=5), "3")
    inputs, _ = episodes_of(trained.config, 8)
    before = adaptation.held(trained, inputs[:, :5])
    asked = adaptation.asked(trained, before[-1], inputs[:, 5:])
    whole = inside.watch(trained, inputs)
    np.testing.assert_array_equal(asked.answers, whole.trace.answers[0, :, 5:].argmax(-1))
    for layer, fast in asked.fast.items():
        np.testing.assert_allclose(fast, whole.fast[layer][0, :, 5:], atol=1e-5)


@pytest.mark.parametrize(
    ("labels", "expected"),
    [
        ([[0, 1, 2]], [1 / 3, 2 / 3, 1, 1]),
        ([[0, 0, 1]], [1 / 3, 2 / 3, 2 / 3, 1]),
        ([[0, 0], [0, 1]], [1 / 3, 2 / 3, 5 / 6]),
    ],
)
def test_the_ceiling_counts_classes_and_elimination(labels, expected):
    np.testing.assert_allclose(adaptation.ceiling(np.array(labels), 3), expected)


def test_answers_follow_what_carries_them():
    fast, units = adaptation.swapped(in_fast_weights(), TRIALS), adaptation.swapped(in_units(), TRIALS)
    assert fast == {"nothing": (1, 0), "fast weights": (0, 1), "the rest": (1, 0), "both": (0, 1)}
    own, other = units["nothing"]
    assert units["fast weights"] == (own, other) and units["the rest"] == units["both"]
    queries, labels = labels_of(in_units())
    last = labels[:, -1:]
    assert own == pytest.approx((queries == last).mean())
    assert other == pytest.approx(((queries + 1) % WAYS == last).mean())
    assert units["the rest"] == pytest.approx(((queries == (last + 1) % WAYS).mean(), own))


def test_fast_weights_of_a_transformer_are_found_where_attention_says_nothing():
    trained = in_fast_weights_of_a_transformer()
    found = adaptation.swapped(trained, TRIALS)
    assert found == {"nothing": (1, 0), "fast weights": (0, 1), "the rest": (1, 0), "both": (0, 1)}
    erased = inside.recalled(trained, inside.Edit("erase", WAYS), trials=TRIALS).mean()
    never = inside.recalled(inside.without_plasticity(trained), trials=TRIALS).mean()
    assert max(erased, never) < 0.4
    own = adaptation.decoded(trained, 64)
    assert own["own"] > 0.95 and own["unrelated"] < 0.4
    assert adaptation.read_scores(trained, TRIALS)["largest"] == 1


def test_relabelled_episodes_differ_in_labels_alone():
    settings = config("emoji_none", queries=5)
    inputs, _ = episodes_of(settings, 4)
    moved = adaptation.relabelled(settings, inputs)
    np.testing.assert_array_equal(moved[..., :256], inputs[..., :256])
    np.testing.assert_array_equal(
        moved[:, :5, 256:261].argmax(-1), (inputs[:, :5, 256:261].argmax(-1) + 1) % 5
    )
    np.testing.assert_array_equal(moved[:, 5:], inputs[:, 5:])


def test_labels_are_decoded_from_fast_weights_that_hold_them_alone():
    found, none = adaptation.decoded(in_fast_weights(), 64), adaptation.decoded(in_units(), 64)
    assert found["own"] > 0.95 and found["unrelated"] < 0.4
    assert abs(none["own"] - none["unrelated"]) < 0.1 and none["own"] < 0.4
    assert adaptation.decoded(in_units("none"), TRIALS) == {}


def test_reads_are_of_the_own_class_where_keys_are_drawings():
    trained = in_fast_weights()
    scores = adaptation.read_scores(trained, TRIALS)
    assert scores["largest"] == 1 and scores["share"] > 0.9
    inputs, targets = episodes_of(trained.config, TRIALS)
    watched = inside.watch(trained, inputs)
    by_class = adaptation.class_reads(watched, inputs, targets)
    np.testing.assert_allclose(by_class.sum(axis=-1), 1, atol=1e-5)
    wrong = adaptation.class_reads(watched, inputs, (targets + 1) % WAYS)
    np.testing.assert_allclose(wrong[..., -1], by_class[..., 0])
    np.testing.assert_allclose(reads.item_reads(watched, 3).sum(axis=-1), 1, atol=1e-5)


def test_rates_that_follow_the_drawing_are_alike_within_a_class():
    trained = in_fast_weights()
    weights = {name: each.clone() for name, each in trained.weights.items()}
    weights["input.weight"][0, 5, :40] = torch.linspace(0, 4, 40)  # a class has its own rate
    weights["recurrent.weight"][0, 5, 5] = 1
    weights["head.weight"][0, WAYS, 5] = 1
    inputs, targets = episodes_of(trained.config, 64)
    watched = inside.watch(replace(trained, weights=weights), inputs)
    found = adaptation.rate_follows_class(watched, inputs, targets)
    assert found["own"] > 0.9 and abs(found["other"]) < 0.5
    turned = adaptation.rate_follows_class(watched, inputs, (targets - 1) % WAYS)
    assert turned["other"] == pytest.approx(found["own"])


def test_networks_that_cannot_be_stopped_are_refused():
    trained = untrained(config("linear_attention_emoji", queries=5), "0")
    with pytest.raises(ValueError, match="computes all tokens at once"):
        adaptation.by_items(trained, 4)


def test_trials_of_what_is_held_can_be_chosen():
    trained = in_fast_weights()
    inputs, _ = episodes_of(trained.config, 6)
    last = adaptation.held(trained, inputs[:, :5])[-1]
    turned = last.each([3, 0])
    other = adaptation.asked(trained, turned, inputs[[3, 0], 5:]).answers
    np.testing.assert_array_equal(other, adaptation.asked(trained, last, inputs[:, 5:]).answers[[3, 0]])


# --- the table


def trainer(group, device):
    """Hebbian networks hold labels in fast weights, others in units; seed 5 diverged."""
    networks = []
    for cell in group:
        for seed in SEEDS:
            rule = cell.config.rule
            own = in_fast_weights(seed) if rule == "hebbian" else in_units(rule, seed)
            networks.append(
                Trained(
                    "planted", seed, own.config, own.weights, {"scores": {} if seed == "5" else {"score": 1}}
                )
            )
    return Campaign(networks, {}, {}, {}, [])


@pytest.fixture
def table(roots, monkeypatch):
    monkeypatch.setattr(adapted.of_network, "__defaults__", (TRIALS,))
    adapted.measure_adaptation(["emoji_none", "emoji_hebbian"], trainer=trainer)
    return adapted.adaptation()


def test_the_table_has_what_each_network_does(table):
    assert adapted.values(table, "emoji_hebbian", "all").shape == (5, 6)
    assert adapted.values(table, "emoji_hebbian", "seen").shape == (5, 5)
    for measure, fast, units in (
        ("erased", 0.2, 0.2), ("frozen", 1, 0.2), ("never written", 0.2, 0.2),
        ("swapped fast weights: other", 1, 0.2), ("swapped fast weights: own", 0, 0.2),
    ):  # fmt: skip
        for family, expected in (("emoji_hebbian", fast), ("emoji_none", units)):
            np.testing.assert_allclose(adapted.values(table, family, measure)[:, 0], expected, atol=0.07)
    with pytest.raises(ValueError, match="nothing was measured as 'decoded own' in emoji_none"):
        adapted.values(table, "emoji_none", "decoded own")


def test_it_is_measured_by_its_name():
    assert derived.MEASURES["adaptation"] is adapted.measure_adaptation
    with pytest.raises(ValueError, match="unknown family 'emoji_heb'"):
        arguments.families_of("plastic", derived.MEASURES["adaptation"], ["emoji_heb"])
    assert adapted.CELL in {each.variant for each in cells("images")}


def test_other_families_are_refused(roots):
    with pytest.raises(ValueError, match="no 'emoji_heb' networks are looked into"):
        adapted.measure_adaptation(["emoji_heb"])


# --- panels


def test_panels_draw_what_they_are_given(table, closed):
    fast = table[table.family == "emoji_hebbian"]
    every = pd.concat([table, fast.assign(family="emoji_gradient")])
    _, axes = plt.subplots(1, 4)
    adaptation_plots.draw_by_items(axes[0], every, "emoji", "all")
    np.testing.assert_allclose(axes[0].lines[3].get_ydata(), [0.2, 0.4, 0.6, 0.8, 1, 1])  # after three rules
    np.testing.assert_allclose(axes[0].lines[1].get_ydata()[-1], 1)
    adaptation_plots.draw_by_items(axes[1], every, "emoji", "seen")
    assert axes[1].lines[0].get_xdata()[0] == 1
    adaptation_plots.draw_conditions(
        axes[2], every, "emoji", {"as it is": "swapped nothing: own", "erased": "erased"}
    )
    assert [each.get_text() for each in axes[2].get_xticklabels()] == ["as it is", "erased"]
    adaptation_plots.draw_swaps(axes[3], every, "emoji")
    assert len(axes[3].containers) == 6 and len(adaptation_plots.swap_marks()) == 2


def test_an_episode_is_drawn_with_its_answers(ax):
    labels, answers = np.array([1, 0, 0, 1]), np.array([0, 0])
    adaptation_plots.draw_episode(ax, np.full((4, 3, 3, 1), 0.5), labels, answers)
    assert [text.get_text() for text in ax.texts] == ["2", "1", "1", "1 (is 2)"]
    assert len(ax.images) == 4 and len(ax.patches) == 2


def test_reads_have_boxes_at_the_own_class(ax):
    adaptation_plots.draw_reads(ax, np.eye(2), np.array([1, 0]), np.array([0, 1]))
    assert [patch.get_xy() for patch in ax.patches] == [(0.5, -0.5), (-0.5, 0.5)]


def test_rates_are_those_of_the_cell(ax):
    values = np.zeros((2, 6, len(BY_TIME), 12))
    values[1, :, BY_TIME.index("rate"), :10] = 2.0 ** np.arange(10) * np.array([1, 1, 1, 4, 4, 4])[:, None]
    names = [f"rnn_emoji_{rule}" for rule in WRITING_RULES]
    curves = Curves(
        dict.fromkeys(names, values), dict.fromkeys(names, ["other", adapted.CELL]), list(BY_TIME), {}
    )
    adaptation_plots.draw_in_time(ax, curves, "emoji", "rate", "rnn")
    for line in ax.lines:  # geometric means
        np.testing.assert_allclose(line.get_ydata(), 2 * 2.0 ** np.arange(10))
    assert len(ax.lines) == 2 and ax.get_yscale() == "log"


def test_pictures_are_those_of_the_test_episodes(monkeypatch):
    pixels = np.linspace(-1, 1, 240 * 3 * 32 * 32, dtype=np.float32).reshape(240, -1)
    places = np.arange(240).reshape(40, 6)
    planted = Pool("planted", pixels, places, np.tile(np.arange(6), (40, 1)))
    monkeypatch.setattr("wm.plastic.fewshot.task.pool", lambda *_: planted)
    monkeypatch.setattr(adaptation, "pool", lambda *_: planted)
    settings = config("emoji_none", queries=5, encoder="none")
    inputs, targets = episodes_of(settings, 4)
    shown, labels = adaptation.pictures(settings, 4, 2)
    assert shown.shape == (10, 32, 32, 3)
    np.testing.assert_allclose(
        np.moveaxis(shown, -1, 1).reshape(10, -1), (inputs[2, :, :-6] + 1) / 2, atol=1e-6
    )
    np.testing.assert_array_equal(labels[5:], targets[2, 5:])
    assert make_task(settings).support == 5
