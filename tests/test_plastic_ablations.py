"""Paired differences, divergence and drift as planted; recurrent networks; and the panels."""

import matplotlib.pyplot as plt
import numpy as np
import pandas as pd
import pytest
import torch
from scipy import stats

from wm import plastic
from wm.estimate import mean_interval
from wm.plastic import ablation_plots, ablations, recurrent_plots
from wm.plastic.families import RECURRENT, RECURRENT_TASKS
from wm.plastic.measures import BY_TIME, METRICS, Curves

STEPS = [50, 100, 150, 200]


def made(change=0.3, seeds=6, family="windowed_copying_hebbian"):
    """Variants that change the score of every seed by the same planted number."""
    rng, rows = np.random.default_rng(0), []
    base = rng.normal(0.5, 0.2, seeds)
    for variant, by in (("usual", 0.0), ("no auxiliary", change), ("clip at 100", 0.0)):
        noise = rng.normal(0, 0.001, seeds) * (variant != "usual")
        rows += [
            {
                "family": family,
                "variant": variant,
                "seed": k,
                "updates": 100,
                "score": base[k] + by + noise[k],
            }
            for k in range(seeds)
        ]
    return pd.DataFrame(rows).assign(diverged=False, rule="hebbian")


def test_differences_are_paired_by_seed():
    rows = made().sample(frac=1, random_state=0)
    found = ablations.paired(rows).set_index("variant")
    assert found.loc["no auxiliary", "change"] == pytest.approx(0.3, abs=0.002)
    low, high = found.loc["clip at 100", ["low", "high"]]
    assert low < 0.001 and high > -0.001 and high - low < 0.005  # unpaired, it would be 0.5 wide
    assert (found.networks == 6).all()


def test_networks_that_diverged_are_left_out_and_counted():
    rows = made()
    gone = (rows.variant == "no auxiliary") & (rows.seed < 2)
    rows.loc[gone, ["score", "diverged"]] = np.nan, True
    found = ablations.paired(rows).set_index("variant")
    assert found.loc["no auxiliary", ["networks", "diverged"]].tolist() == [4, 2]
    assert found.loc["no auxiliary", "change"] == pytest.approx(0.3, abs=0.002)
    rows.loc[rows.variant == "no auxiliary", "score"] = np.nan
    assert np.isnan(ablations.paired(rows).set_index("variant").loc["no auxiliary", "change"])


def test_pairs_are_of_one_family_and_number_of_updates():
    rows = made()
    assert list(ablations.pairs(rows, "no auxiliary")) == ["variant", "usual"]
    with pytest.raises(ValueError, match="no variant 'no clip': there are clip at 100, no auxiliary, usual"):
        ablations.pairs(rows, "no clip")
    with pytest.raises(ValueError, match="after one number of updates: select them first"):
        ablations.pairs(pd.concat([rows, rows.assign(updates=300)]), "no auxiliary")


def test_scores_are_one_for_each_seed():
    rows = made()
    rows.loc[rows.index[0], "score"] = np.nan
    assert len(ablations.scores_of(rows, "score", variant="usual")) == 5
    with pytest.raises(ValueError, match="several rows of one seed for {'updates': 100}"):
        ablations.scores_of(rows, "score", updates=100)
    with pytest.raises(ValueError, match="no network is left for {'variant': 'none'}"):
        ablations.scores_of(rows, "score", variant="none")


def test_the_hebbian_rule_has_no_auxiliary_outputs_to_lack():
    rows = pd.concat([made(), made(family="windowed_copying_gradient").assign(rule="gradient")])
    kept = ablations.with_effect(rows).groupby("rule").variant.unique()
    assert set(kept.gradient) - set(kept.hebbian) == {"no auxiliary"} and "usual" in kept.hebbian
    with_them, without = (
        plastic.untrained(plastic.config("windowed_copying_hebbian", auxiliary=n), "0") for n in (4, 0)
    )
    tokens = plastic.test_episodes(without.config, 3).inputs
    answers = [network.run(tokens).answers for network in (with_them, without)]
    assert torch.allclose(*answers, atol=1e-6)


@pytest.mark.parametrize("count", range(7))
def test_a_share_has_the_exact_interval_and_asks_for_all(count):
    found = ablations.share(np.arange(6) < count)
    assert found.ours == count / 6
    low, high = found.interval95  # each end: as many or more, as few or fewer, in one case of 40
    if count:
        assert stats.binom.sf(count - 1, 6, low) == pytest.approx(0.025)
    if count < 6:
        assert stats.binom.cdf(count, 6, high) == pytest.approx(0.025)
    assert (found.p_above(0.5) < 0.05, found.p_below(0.5) < 0.05) == (count == 6, count == 0)


def test_a_share_counts_networks():
    with pytest.raises(ValueError, match=r"counts networks with 1 among those with 0, got \[0\.\s+0\.5\]"):
        ablations.share(np.array([0, 0.5]))


# --- depth


@pytest.fixture
def deep():
    """Three networks of eight layers; norms grow by a tenth of a decade more a block; one diverges."""
    rows = []
    for seed in range(3):
        for updates in (100, 3000, 5000, 10_000):
            gone = seed == 0 and updates > 3000
            blocks = 1e-4 * 10 ** (0.1 * np.arange(8) * np.log10(updates / 100))
            norms = {f"norm_block{k}": np.nan if gone else value for k, value in enumerate(blocks)}
            total = np.nan if gone else 150.0 if (seed, updates) == (1, 5000) else sum(blocks)
            about = {"seed": seed, "updates": updates, "rule": "gradient", "layers": 8, "diverged": gone}
            rows.append(about | norms | {"plastic_norm": total, "paper_metric": np.nan if gone else 0.75})
    return pd.DataFrame(rows)


def test_networks_explode_without_numbers_or_with_large_ones(deep):
    assert ablations.exploded(deep, rule="gradient", layers=8).tolist() == [1, 1, 0]
    assert ablations.exploded(deep, limit=1000, layers=8).tolist() == [1, 0, 0]
    assert ablations.exploded(deep, after=5000, layers=8).tolist() == [1, 0, 0]


def test_drift_is_the_growth_a_block(deep):
    steps, norms = ablations.block_norms(deep)
    assert steps.tolist() == [100, 3000, 5000, 10_000] and norms.shape == (3, 4, 8)
    assert np.isnan(norms[0, 2:]).all() and np.isfinite(norms[1:]).all()
    assert ablations.drift(deep) == pytest.approx([0.1 * np.log10(30), 0.2, 0.2])
    early = deep[(deep.seed > 0) | (deep.updates > 3000)]
    assert ablations.drift(early) == pytest.approx([0.2, 0.2])
    with pytest.raises(ValueError, match="no network has norms after two numbers of updates"):
        ablations.drift(deep[deep.updates == 100])


# --- recurrent networks


def test_sizes_are_those_of_the_networks():
    found = recurrent_plots.sizes()
    for body, units in (("RNN", (384, 256, 256)), ("LSTM", (192, 128, 128))):
        for task in map(plastic.TASKS.get, RECURRENT_TASKS):
            own = found.xs((body, task), level=("body", "task"))
            assert tuple(own.units) == units
            assert own.parameters.max() < 1.15 * own.parameters.min()
            none, *rest = own.itertuples()
            assert none[2] == none[3] and all(each[3] < 0.55 * each[2] for each in rest)


def test_half_way_is_between_first_and_least():
    steps = np.array([100, 200, 300, 400])
    falling = [[1, 1, 0, 0], [1, 0.6, 0.2, 0], [0.5, 0.5, 0.5, 0.5], [1, np.nan, 0, 0]]
    found = recurrent_plots.half_way(steps, np.array(falling))
    assert found[:3] == pytest.approx([250, 225, 100]) and np.isnan(found[3])


@pytest.fixture
def recurrent():
    """Made curves and rates of all recurrent networks: errors of the rules are .3, .2, .1."""
    curves, times = {}, {}
    for body in RECURRENT:
        for task in RECURRENT_TASKS:
            for rule, error in (("none", 0.3), ("hebbian", 0.2), ("gradient", 0.1)):
                family = f"{body}_{task}_{rule}"
                values = np.full((1, 2, len(METRICS), len(STEPS)), error)
                values[:, :, METRICS.index("diverged")] = 0
                curves[family] = values
                length = plastic.make_task(plastic.config(family)).length
                times[family] = np.full((1, 2, len(BY_TIME), length), error)
    names = {family: ["usual"] for family in curves}
    steps = dict.fromkeys(curves, STEPS)
    return Curves(curves, names, [*METRICS], steps), Curves(times, names, [*BY_TIME], {})


def finals():
    rows = [
        {"body": body, "task": task, "rule": rule, "seed": seed, "score": score + 0.01 * seed}
        for body in RECURRENT
        for task in RECURRENT_TASKS
        for rule, score in (("none", 0.3), ("hebbian", 0.2), ("gradient", 0.1))
        for seed in range(3)
    ]
    return pd.DataFrame(rows)


def test_rules_are_compared_by_seed():
    rows = finals()
    rows.loc[(rows.rule == "hebbian") & (rows.seed == 1), "score"] = np.nan
    both = recurrent_plots.by_rule(rows, "rnn", "regression_noisy")
    assert both.index.tolist() == [0, 2] and (both.gradient < both.hebbian).all()


def test_panels_on_recurrent_networks(recurrent, closed):
    curves, times = recurrent
    fig, axes = plt.subplots(2, 2)
    levels = {"chance": 1 / 3, "no order": 0.316, "floor": 0.0}
    recurrent_plots.draw_learning(axes[0, 0], curves, "lstm", "cue_reward_noisy", levels)
    assert [line.get_ydata()[0] for line in axes[0, 0].lines] == pytest.approx([0.3, 0.2, 0.1, 1 / 3, 0.316])
    assert [text.get_text() for text in axes[0, 0].texts] == ["chance", "no order"]
    recurrent_plots.draw_finals(axes[0, 1], finals(), "cue_reward_noisy", levels | {"floor": 0.01})
    heights = [dots.get_offsets()[:, 1].mean() for dots in axes[0, 1].collections]
    assert heights == pytest.approx([0.31, 0.21, 0.11] * 2)
    bars = [line.get_ydata() for line in axes[0, 1].lines if line.get_color() == "black"]
    logs = np.log10([0.3, 0.31, 0.32])
    assert bars[0] == pytest.approx(np.power(10, mean_interval(logs))) and bars[0][0] > 0
    assert bars[1] == pytest.approx([10 ** logs.mean()] * 2)
    recurrent_plots.draw_demo(axes[1, 0], curves)
    hollow = [line.get_ydata()[0] for line in axes[1, 0].lines if line.get_linestyle() == "None"]
    assert hollow == [0.143, 0.064, 0.062]
    recurrent_plots.draw_rates(axes[1, 1], times, "rnn", "copying_continuous")
    assert [line.get_ydata()[0] for line in axes[1, 1].lines] == pytest.approx([0.2, 0.1])
    fig.draw_without_rendering()


# --- panels


def test_changes_are_drawn_as_they_are(closed):
    fig, ax = plt.subplots()
    rows = pd.concat([made(), made(-0.2, family="windowed_copying_gradient")])
    ablation_plots.draw_changes(ax, rows, ablations.paired(rows), "score")
    marks = [line.get_xdata()[0] for line in ax.lines if len(line.get_xdata()) == 1]
    assert marks == pytest.approx([0.3, 0, -0.2, 0], abs=0.002)
    assert [label.get_text() for label in ax.get_yticklabels()] == ["clip at 100", "no auxiliary"]
    ablation_plots.change_legend(fig)
    assert len(fig.legends[0].get_texts()) == 3


def test_learning_leaves_out_what_diverged(closed):
    fig, axes = plt.subplots(2)
    values = np.full((2, 3, len(METRICS), 4), 0.5)
    values[:, :, METRICS.index("diverged")] = 0
    values[1, 0, METRICS.index("diverged"), 2:] = 1
    values[1, 0, METRICS.index("score")] = 0.9
    family, variants = "regression_hebbian", ["usual", "alpha from 1"]
    curves = Curves({family: values}, {family: variants}, [*METRICS], {family: STEPS})
    for ax, log in zip(axes, (False, True), strict=True):
        ablation_plots.draw_learning(ax, curves, family, variants, log=log)
    mean = axes[0].lines[1].get_ydata()
    assert mean == pytest.approx([1.9 / 3, 1.9 / 3, 0.5, 0.5])
    ablation_plots.variant_legend(fig, variants)
    assert [text.get_text() for text in fig.legends[0].get_texts()] == ["usual", "α from 1"]


def test_depth_is_drawn_by_layers_and_blocks(deep, closed):
    fig, axes = plt.subplots(2)
    ablation_plots.draw_depth(axes[0], deep, "plastic_norm", ["gradient"], log=True)
    assert axes[0].lines[0].get_xdata().tolist() == [100, 3000, 5000, 10_000]
    axes[0].clear()
    ablation_plots.draw_recall(axes[0], deep)
    levels = [line.get_ydata()[0] for line in axes[0].lines if line.get_linestyle() == "--"]
    assert levels == pytest.approx([0.6875, 0.7266, 0.8083], abs=1e-4)
    assert axes[0].containers[0].lines[0].get_ydata() == pytest.approx([0.729])
    ablation_plots.draw_blocks(axes[1], deep)
    last = axes[1].lines[-1].get_ydata()
    assert np.diff(np.log10(last)) == pytest.approx([0.2] * 7)
    ablation_plots.layer_legend(fig)
    assert len(fig.legends[0].get_texts()) == 6
