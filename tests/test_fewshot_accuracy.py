"""Accuracy on drawings: planted tables whose differences, intervals and rankings are known."""

import matplotlib.pyplot as plt
import numpy as np
import pandas as pd
import pytest
from scipy import stats

from wm.estimate import difference
from wm.plastic import families, measures
from wm.plastic.campaign import Campaign
from wm.plastic.experiments import SEEDS, scored_at
from wm.plastic.fewshot import accuracy, accuracy_plots
from wm.plastic.fewshot.pools import pool
from wm.plastic.fewshot.protocol import BUDGET, NEAREST
from wm.plastic.library import Trained

LEAD = {"none": 0.0, "hebbian": 0.02, "gradient": -0.01}
END = 4000


def scored(config, seed, updates):
    """Sound: Hebbian leads in all blocks, by more with more ways. As published: at first, then gradient."""
    score = 0.6 + 0.03 * int(seed)
    if config.preset == "published":
        score += LEAD[config.rule] * (1 if updates <= 1000 else -2)
    else:
        score += LEAD[config.rule] * config.ways / 5 * (1 if config.plastic_blocks == "all" else 0.5)
    rate = {"none": 0.0, "hebbian": 1e-4, "gradient": 0.1}[config.rule]
    return {"score": score, "score_spread": 0.2, "rate": rate, "rate_spread": rate / 2}


def trainer(group, device):
    """As training would go; the last seed of gradient LSTMs diverges."""
    networks, early = [], {}
    step = np.linspace(0, group[0].config.updates, 11)[1:]
    for cell in group:
        for seed in SEEDS:
            lost = cell.config.body == "lstm" and cell.config.rule == "gradient" and seed == "5"
            scores = {} if lost else scored(cell.config, seed, cell.config.updates)
            networks.append(Trained("planted", seed, cell.config, {}, {"scores": scores}))
            for at in scored_at(cell.config):
                if at < cell.config.updates:
                    early.setdefault(at, []).append(scored(cell.config, seed, at))
    ramp = np.array([step / step[-1] + int(each.seed) for each in networks])
    curves = dict.fromkeys(measures.METRICS, ramp) | {"diverged": 0 * ramp, "step": step}
    return Campaign(networks, {}, curves, early, [{}] * len(networks))


NAMES = [name for name in families.FAMILIES if "emoji" in name or "kanji" in name]


@pytest.fixture
def images(roots):
    wanted = [name for name in NAMES if not name.startswith("published")]
    measures.measure("images", wanted, trainer=trainer)
    return measures.table("images")


@pytest.fixture
def published(roots):
    measures.measure("protocol", [name for name in NAMES if name.startswith("published")], trainer=trainer)
    return measures.table("protocol", final=False)


def near(features, seeds, level):
    """Rows of nearest prototypes, as `derived` writes them."""
    rows = []
    for dataset in ("emoji", "kanji"):
        for split in ("random", "groups", "shared"):
            for ways, shots in accuracy.KINDS:
                about = {
                    "family": f"{dataset}_{split}",
                    "dataset": dataset,
                    "split": split,
                    "features": features,
                }
                about |= {"ways": ways, "shots": shots, "episodes": 1000, "deviation": 0.1}
                rows += [about | {"seed": seed, "accuracy": level + 0.01 * seed} for seed in range(seeds)]
    return pd.DataFrame(rows)


@pytest.fixture
def rows(images):
    encoders = pd.concat([near("untrained", 6, 0.3), near("prototypes", 6, 0.5)])
    baselines = pd.concat([near("pixels", 1, 0.25), near("efficientnet_lite0", 1, 0.8)])
    return accuracy.collected(images, encoders, baselines)


def test_all_methods_are_side_by_side(rows):
    assert set(rows.method) == {*accuracy.FEATURES.values(), *accuracy.HEADS.values()}
    assert set(rows.split) == {"random", "groups"} and not rows.accuracy.isna().any()
    cell = ["method", "dataset", "split", "ways", "shots", "seed"]
    assert not rows.duplicated(cell).any()  # without those that are plastic in their last block
    recurrent = rows[rows.body.isin(["rnn", "lstm"])]
    assert set(zip(recurrent.ways, recurrent.shots, strict=True)) == {(5, 1)}


def test_a_network_that_diverged_counts_as_chance(rows):
    lost = rows[(rows.body == "lstm") & (rows.rule == "gradient") & (rows.seed == 5)]
    np.testing.assert_array_equal(lost.accuracy, 0.2)


def test_intervals_are_over_networks_and_over_episodes(rows):
    found = accuracy.summed(rows).set_index(["method", "dataset", "split", "ways", "shots"])
    own = found.loc[("Transformer, Hebbian", "emoji", "random", 5, 1)]
    scores = 0.62 + 0.03 * np.arange(6)
    assert own["mean"] == pytest.approx(scores.mean(), abs=1e-5)
    np.testing.assert_allclose(
        [own.low, own.high], stats.t.interval(0.95, 5, scores.mean(), stats.sem(scores)), atol=1e-5
    )
    assert own.reach == pytest.approx(1.96 * 0.2 / np.sqrt(512))
    alone = found.loc[("pixels", "kanji", "groups", 20, 1)]
    assert np.isnan(alone.low) and alone.reach == pytest.approx(1.96 * 0.1 / np.sqrt(1000))
    lost = found.loc[("LSTM, gradient", "emoji", "random", 5, 1)]
    assert np.isfinite(lost.reach)  # of the five that did not diverge
    assert [*dict.fromkeys(accuracy.summed(rows).method)][:3] == [
        "pixels",
        "Conv-4, untrained",
        "EfficientNet (ImageNet)",
    ]


def test_the_table_for_reading_names_what_was_not_trained(rows):
    table = accuracy.compared(accuracy.summed(rows))
    assert table.loc["pixels", ("Emoji", "random", "5-way 1-shot")] == "0.250 (0.006)"
    assert table.loc["RNN, Hebbian", ("Emoji", "random", "20-way 1-shot")] == "–"
    assert table.loc["Transformer, no plasticity", ("Kanji", "groups", "5-way 5-shot")].startswith(
        "0.675 ± 0.059 ("
    )


def test_heads_are_compared_with_prototypes_of_their_own_numbers(rows):
    found = accuracy.against_prototypes(rows)
    own = found[(found.method == "Transformer, no plasticity") & (found.ways == 5)]
    np.testing.assert_allclose(own["mean"], 0.675 - 0.5, atol=1e-5)  # seed 0, not the mean of six
    np.testing.assert_allclose(own.reach, np.hypot(1.96 * 0.2 / np.sqrt(512), 1.96 * 0.1 / np.sqrt(1000)))
    assert not set(found.method) & {*accuracy.FEATURES.values()}


def test_what_heads_and_prototypes_reach_on_classes_of_training(rows, images):
    found = accuracy.against_prototypes(rows)
    np.testing.assert_allclose(accuracy.known_classes(found, measures.curves("images")), 3.5, rtol=1e-6)


@pytest.mark.parametrize("classes", [200, 20, 10])
def test_prototypes_of_training_are_of_its_classes(planted, monkeypatch, classes):
    monkeypatch.setattr(accuracy, "KINDS", ((5, 1), (5, 5)))
    found = accuracy.prototypes_of_training("emoji", "random", classes, episodes=50)
    assert [*found.columns] == ["dataset", "split", "ways", "shots", "accuracy"]
    assert (found.accuracy > 0.9).all() and [*found.shots] == [1, 5]
    known = pool("emoji", "random", "train", "prototypes")
    noise = np.random.default_rng(0).standard_normal(known.vectors.shape)
    monkeypatch.setattr(accuracy.prototypes, "features", lambda vectors, *_: noise[: len(vectors)])
    blind = accuracy.prototypes_of_training("emoji", "random", classes, episodes=400)
    np.testing.assert_allclose(blind.accuracy, 0.2, atol=0.1)


def test_the_detectable_difference_is_found_in_eight_of_ten_cases():
    generator = np.random.default_rng(0)
    draws = generator.standard_normal((4000, 6))
    wide = [accuracy.detectable(difference(own, np.zeros(6))) for own in draws[:400]]
    least = np.sqrt(np.mean(np.square(wide)))  # as standard deviations are averaged
    found = [stats.ttest_1samp(own + least, 0, alternative="greater").pvalue < 0.05 for own in draws]
    assert np.mean(found) == pytest.approx(0.8, abs=0.06)


def test_differences_are_paired_by_seed(images):
    found = accuracy.contrasts(images)
    assert len(found) == 2 * 2 * 3 * 3
    ahead = found[(found.more == "hebbian") & (found.less == "none") & (found.ways == 5)]
    np.testing.assert_allclose(ahead["mean"], 0.02, atol=1e-5)
    np.testing.assert_allclose(ahead.high - ahead.low, 0, atol=1e-5)  # seeds differ by .03, pairs do not
    wide = found[(found.more == "hebbian") & (found.less == "gradient") & (found.ways == 20)]
    np.testing.assert_allclose(wide["mean"], 4 * 0.03, atol=1e-5)
    shuffled = images.assign(seed=np.where(images.rule == "none", 5 - images.seed.astype(int), images.seed))
    unpaired = accuracy.contrasts(shuffled)
    assert (unpaired[unpaired.less == "none"].eval("high - low") > 0.05).all()


def test_scores_of_several_cells_or_none_are_refused(images):
    with pytest.raises(ValueError, match="several networks a seed, none: body transformer"):
        accuracy.by_rule(images, body="transformer")
    with pytest.raises(ValueError, match="no networks a seed, none: body delta_net"):
        accuracy.by_rule(images, body="delta_net")


def test_blocks_are_those_of_the_usual_episodes(images):
    found = accuracy.blocks(images, "kanji")
    for rule, own in found.items():
        gap = {part: (values - own["none"]).mean() for part, values in own.items()}
        assert gap == pytest.approx({"none": 0, "last": LEAD[rule] / 2, "all": LEAD[rule]}, abs=1e-5)


def test_stages_are_of_the_variant_nearest_to_the_published(published):
    odd = published.copy()
    odd.loc[odd.variant != odd.dataset.map(NEAREST), "score"] = -1
    found = accuracy.stages(odd, "kanji")
    assert {rule: own.shape for rule, own in found.items()} == dict.fromkeys(LEAD, (6, 6))
    assert found["hebbian"][BUDGET["kanji"]].to_numpy() == pytest.approx(0.62 + 0.03 * np.arange(6), abs=1e-5)
    rates = accuracy.stages(published, "emoji", "rate")
    assert rates["gradient"].to_numpy() == pytest.approx(0.1)


def test_a_flip_needs_both_ends(published):
    found = accuracy.stages(published, "emoji")
    early, late = ({rule: own[at] for rule, own in found.items()} for at in (BUDGET["emoji"], END))
    flipped = accuracy.flip(early, late)
    assert flipped.ours == pytest.approx(0.03, abs=1e-5) and flipped.p_above(0) < 0.05
    for groups in ((early, early), (late, late), (late, early)):
        assert accuracy.flip(*groups).p_above(0) > 0.5
    noise = np.random.default_rng(1).normal(0, 0.3, (2, 6))
    unsure = {"hebbian": late["hebbian"] + noise[0], "gradient": late["gradient"] + noise[1]}
    assert accuracy.flip(early, unsure).p_above(0) > 0.05


def test_rankings_name_the_best_first_with_its_smallest_lead():
    seeds = np.arange(6) / 100
    groups = {"none": 0.6 + seeds, "hebbian": 0.7 + seeds[::-1] / 5, "gradient": 0.5 + seeds}
    assert accuracy.ranking(groups).startswith(
        "Hebbian 0.705 > no plasticity 0.625 > gradient 0.525; lead 0.080 ["
    )
    turned = accuracy.ranking(groups | {"gradient": groups["gradient"] + 0.3})
    assert turned.startswith("gradient 0.825 > Hebbian 0.705 > no plasticity 0.625; lead 0.120 [")


def test_training_is_of_the_body_and_variant_asked_for(images):
    curves = measures.curves("images")
    found = accuracy.training(curves, "emoji", "rnn")
    updates, scores = found["hebbian"]
    assert [*found] == ["none", "hebbian", "gradient"] and updates[-1] == 3000
    np.testing.assert_allclose(scores, np.arange(1, 11) / 10 + np.arange(6)[:, None], rtol=1e-4)


def test_panels_draw_what_they_are_given(rows, images, closed):
    _, axes = plt.subplots(2, 2)
    own = accuracy.summed(rows)
    own = own[(own.dataset == "emoji") & (own.ways == 20)]
    order = [*accuracy.FEATURES.values(), *accuracy.HEADS.values()]
    accuracy_plots.draw_methods(axes[0, 0], own, order)
    drawn = {line.get_xdata()[0] for line in axes[0, 0].lines if len(line.get_xdata()) == 1}
    assert drawn == set(own["mean"]) and axes[0, 0].get_title() == "20-way 1-shot"
    accuracy_plots.draw_contrasts(axes[0, 1], accuracy.contrasts(images), ("hebbian", "none"), named=False)
    assert len(axes[0, 1].containers) == 12 and axes[0, 1].get_title() == "Hebbian − no plasticity"
    accuracy_plots.draw_blocks(axes[1, 0], accuracy.blocks(images, "emoji"))
    assert [each.get_text() for each in axes[1, 0].get_xticklabels()] == ["none", "last", "all"]
    accuracy_plots.draw_training(axes[1, 1], accuracy.training(measures.curves("images"), "kanji"))
    assert len(axes[1, 1].lines) == 3 * 7 + 1
    accuracy_plots.split_legend(axes[1, 1])


def test_panels_of_stages_draw_gaps_and_rates(published, closed):
    _, axes = plt.subplots(1, 3)
    sets = {name: accuracy.stages(published, name) for name in ("emoji", "kanji")}
    accuracy_plots.draw_stages(axes[0], sets["emoji"], "emoji")
    middle = next(line for line in axes[0].lines if line.get_marker() == "s")
    np.testing.assert_allclose(middle.get_ydata(), 0.675, atol=1e-5)
    accuracy_plots.draw_gap(axes[1], sets)
    gaps = np.asarray(axes[1].containers[0].lines[0].get_ydata(), dtype=float)
    np.testing.assert_allclose(gaps[[0, -1]], [0.03, -0.06], atol=1e-5)
    rates = {name: accuracy.stages(published, name, "rate") for name in sets}
    accuracy_plots.draw_rates(axes[2], rates)
    np.testing.assert_allclose(axes[2].lines[2].get_ydata().astype(float), 1e-4, rtol=1e-5)
    dotted = [[x.get_xdata()[0] for x in ax.lines if x.get_linestyle() == ":"] for ax in axes]
    assert dotted == [[400], [400, 500], [400, 500]]
