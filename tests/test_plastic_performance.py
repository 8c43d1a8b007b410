"""Performance and memory of plastic networks: planted tables, independent tests, the reach of attention."""

import matplotlib.pyplot as plt
import numpy as np
import pandas as pd
import pytest
import torch
from matplotlib.patches import Rectangle
from scipy import stats

from wm import plastic, style
from wm.plastic import architectures, measures, memory_plots, performance, performance_plots
from wm.plastic.campaign import Campaign
from wm.plastic.experiments import SEEDS, cells, scored_at
from wm.plastic.families import PUBLISHED_UPDATES
from wm.plastic.library import Trained
from wm.plastic.performance import PUBLISHED, Published

NAMES = ("copying_none", "copying_hebbian", "published_copying_none", "delta_net_copying", "regression_none")
MEMORY = ("windowed_copying_hebbian", "copying_none")


def planted(config, seed, share):
    """Scores that tell family, seed and time apart; training goes from 0 to 1."""
    score = share * (0.8 + 0.02 * int(seed))
    others = {"loss": 1 - score, "all_loss": 0.3 * (1 - score), "paper_metric": 0.7 + score / 10}
    return {"score": score} | others


def trainer(group, device):
    """As training would go: seed 5 of the plastic ones diverges."""
    networks, early, by_time = [], {step: [] for step in scored_at(group[0].config)}, []
    step = np.linspace(0, group[0].config.updates, 51)[1:]
    for cell in group:
        task, rule = plastic.make_task(cell.config), cell.config.rule
        for seed in SEEDS:
            lost = rule != "none" and seed == "5"
            record = {"scores": {} if lost else planted(cell.config, seed, 1)}
            networks.append(Trained("planted", seed, cell.config, {}, record))
            for at, scores in early.items():
                scores.append(planted(cell.config, seed, at / cell.config.updates))
            time = np.arange(task.length) + int(seed) / 10
            by_time.append({} if lost else dict.fromkeys(measures.BY_TIME, time))
    ends = [[0.8999 + 0.02 * int(each.seed)] for each in networks]
    ramp = np.tile(step / step[-1], (len(networks), 1)) * ends
    curves = dict.fromkeys(measures.METRICS, ramp) | {"diverged": np.zeros_like(ramp), "step": step}
    return Campaign(networks, {}, curves, early, by_time)


@pytest.fixture
def table(roots):
    """The planted `performance` table of some families, with the rows on the way."""
    measures.measure("performance", NAMES, trainer=trainer)
    return measures.table("performance", final=False)


# --- published numbers


def test_published_numbers_are_those_of_the_rules():
    assert {task for task, _ in PUBLISHED} == set(PUBLISHED_UPDATES) == set(performance.MEASURES)
    assert PUBLISHED_UPDATES == {"copying": 100, "cue_reward": 400, "regression": 750}
    for (task, column), of_rules in PUBLISHED.items():
        assert list(of_rules) == ["none", "hebbian", "gradient"] and column in performance.MEASURES[task]
    assert max(PUBLISHED["copying", "paper_metric"].items(), key=lambda each: each[1])[0] == "gradient"
    assert min(PUBLISHED["regression", "score"].items(), key=lambda each: each[1])[0] == "hebbian"
    assert min(PUBLISHED["cue_reward", "score"].items(), key=lambda each: each[1])[0] == "none"


@pytest.mark.parametrize(("mean", "deviation", "margin"), [(1, 0.2, 0.2), (1, 0.05, 0.1), (-2, 0.1, 0.2)])
def test_margin_is_the_larger_of_a_tenth_and_one_deviation(mean, deviation, margin):
    assert Published(mean, deviation).margin == pytest.approx(margin)


def test_margin_of_the_accuracy_with_blanks_is_of_what_can_be_learned():
    span, known = performance.BLANK_SPAN, performance.level_of("copying", "paper_metric")
    assert span == pytest.approx(known["no order"] - known["always blank"], abs=1e-4)
    margins = [each.margin for each in PUBLISHED["copying", "paper_metric"].values()]
    assert margins == pytest.approx([0.025, span / 10, span / 10])
    assert Published(0.7, 0.001, 0.5).margin == pytest.approx(0.05)
    for each in PUBLISHED["copying", "paper_metric"].values():  # can fail, unlike a tenth of the number
        assert known["no order"] - each.mean > each.margin


@pytest.mark.parametrize(("items", "delay"), [(5, 20), (5, 21), (3, 0)])
def test_true_recall_undoes_the_published_accuracy(items, delay):
    task = plastic.make_task(plastic.config("copying_none", items=items, delay=delay))
    levels = plastic.levels(task)
    assert performance.true_recall(levels["blank_metric"], task) == pytest.approx(0)
    assert performance.true_recall(levels["chance_metric"], task) == pytest.approx(levels["chance"])
    found = performance.true_recall([levels["order_free_metric"], 1], task)
    assert found == pytest.approx([levels["order_free_recall"], 1])


def test_published_accuracies_leave_recall_near_chance():
    implied = [round(each.mean, 3) for each in performance.IMPLIED.values()]
    assert implied == [0.107, 0.126, 0.184]
    assert performance.IMPLIED["gradient"].deviation == pytest.approx(0.011 * 16 / 5)


# --- levels, samples, divergence


@pytest.mark.parametrize("task", plastic.TASKS)
def test_chance_is_the_worst_level_of_a_task(task):
    few = {"episodes": 20, "fits": 0}
    for column in performance.MEASURES.get(task, ("score", "all_loss")):
        known = performance.level_of(task, column, **few)
        least = min if task == "copying" and column == "score" else max
        if column != "paper_metric":
            assert least(known, key=known.get) == "chance"
        assert performance.chance_of(task, column) == pytest.approx(known["chance"])
    copying = {"chance": 1 / 8, "no order": 0.38647, "ceiling": 1}
    assert performance.level_of("copying") == pytest.approx(copying, rel=1e-4)
    assert performance.level_of("cue_reward", "all_loss") == pytest.approx({"chance": 1 / 24, "floor": 0})


def test_levels_are_those_of_the_settings():
    assert performance.level_of("copying_continuous")["no order"] == pytest.approx(4 / 15)
    twenty = performance.level_of("rnn_copying_continuous_none")
    assert twenty["no order"] == pytest.approx(1 / 3 * (1 - 1 / 20))
    own = plastic.config("rnn_copying_continuous_none", items=2)
    assert performance.level_of(own)["no order"] == pytest.approx(1 / 6)
    assert performance.chance_of(own, "all_loss") == pytest.approx(1 / 3 * 2 / plastic.make_task(own).length)


def test_tables_have_what_was_published_right_of_ours():
    index = pd.MultiIndex.from_tuples([("copying", "none"), ("regression", "hebbian")])
    ours = pd.DataFrame({"score": ["a", "b"], "paper_metric": ["c", "-"], "rate": ["d", "e"]}, index)
    found = performance.beside(ours, PUBLISHED)
    assert list(found) == ["score", "score, published", "paper_metric", "paper_metric, published", "rate"]
    assert found["score, published"].tolist() == ["-", "1.55 ± 0.064"]
    assert found["paper_metric, published"].tolist() == ["0.721 ± 0.025", "-"]


def test_networks_that_diverged_count_as_chance(table):
    counted = performance.counted(table)
    lost = counted[counted.diverged]
    assert set(lost.family) == {"copying_hebbian"} and (lost.score == 1 / 8).all()
    assert lost.paper_metric.to_numpy() == pytest.approx([performance.chance_of("copying", "paper_metric")])
    assert table[table.diverged].score.isna().all(), "the table given must stay as it is"
    kept = ~table.diverged
    pd.testing.assert_frame_equal(counted[kept], table[kept])
    copying = table[table.diverged].assign(family="copying_continuous_hebbian", items=20, delay=3)
    own = plastic.make_task(plastic.config("copying_continuous_hebbian", items=20, delay=3))
    assert performance.counted(copying).all_loss.iloc[0] == pytest.approx(20 / 3 / own.length)


def test_samples_are_in_the_order_of_seeds(table):
    shuffled = table.sample(frac=1, random_state=1)
    assert performance.samples(shuffled, "copying_none") == pytest.approx(0.8 + 0.02 * np.arange(6))
    early = performance.samples(shuffled, "published_copying_none", updates=300)
    assert early == pytest.approx(0.03 * (0.8 + 0.02 * np.arange(6)))
    with pytest.raises(ValueError, match="no copying_none network was scored after 100 updates"):
        performance.samples(table, "copying_none", updates=100)
    with pytest.raises(ValueError, match="no cue_reward_none network was scored after training"):
        performance.samples(table, "cue_reward_none")


def test_stages_and_curves_have_a_row_a_network(table):
    updates, scores = performance.stages(table, "published_copying_none")
    assert updates.tolist() == [100, 300, 1000, 3000, 5000, 10000] and scores.shape == (6, 6)
    assert scores[2] == pytest.approx(0.84 * updates / 10000)
    steps, values = performance.curve(measures.curves("performance"), "copying_none")
    assert steps[-1] == 3000 and values[:, -1] == pytest.approx(0.9 + 0.02 * np.arange(6), rel=2e-4)


def test_final_rows_have_titles_in_the_order_of_rules(table):
    found = performance.final_rows(table)
    assert list(dict.fromkeys(found.rule)) == ["No plasticity", "Hebbian"]
    assert set(found.task) == {"Copying", "Regression"} and (found.updates == found.trained).all()
    assert "delta_net_copying" not in set(found.family)


# --- who leads


@pytest.fixture
def groups():
    """Three rules, six seeds; seeds share most of what varies."""
    rng = np.random.default_rng(3)
    shared = rng.normal(size=6)
    shifts = {"a": 1, "b": 0.9, "c": 0}
    return {name: shared + shift + 0.1 * rng.normal(size=6) for name, shift in shifts.items()}


def paired(a, b, bound=0.0):
    return stats.ttest_1samp(np.subtract(a, b), bound, alternative="greater").pvalue


def test_lead_is_the_weakest_of_paired_differences(groups):
    found = performance.lead(groups, "a")
    assert found.p_above(0) == pytest.approx(max(paired(groups["a"], groups[k]) for k in "bc"))
    assert found.ours == pytest.approx((groups["a"] - groups["b"]).mean()) and found.n_networks == 6
    lower = performance.lead({name: -each for name, each in groups.items()}, "a", lower=True)
    assert lower.ours == pytest.approx(found.ours) and lower.interval95 == pytest.approx(found.interval95)
    assert performance.lead(groups, "c").ours < 0


def test_intervals_of_a_lead_hold_for_all_rivals_together(groups):
    found, gap = performance.lead(groups, "a"), groups["a"] - groups["b"]
    reach = stats.t.ppf(1 - 0.025 / 2, 5) * gap.std(ddof=1) / np.sqrt(6)
    assert found.interval95 == pytest.approx((gap.mean() - reach, gap.mean() + reach))


def test_groups_at_the_ceiling_cannot_be_told_apart():
    full = {"a": np.ones(3), "b": np.ones(3)}
    assert performance.at_ceiling(full) and not performance.at_ceiling(full, 1.5)
    assert not performance.at_ceiling(full | {"c": np.array([1, 1, 0.999])})


@pytest.mark.parametrize("slack", [0.05, 0.3])
def test_no_worse_is_the_worst_of_paired_excesses(groups, slack):
    found = performance.no_worse(groups, "b", slack=slack)
    wanted = max(paired(groups[k], groups["b"], -slack) for k in "ac")
    assert found.p_below(slack) == pytest.approx(wanted)
    assert found.ours == pytest.approx((groups["b"] - groups["c"]).mean())
    assert found.interval95[0] < found.interval90[0] < found.ours < found.interval90[1] < found.interval95[1]


# --- architectures


@pytest.fixture
def compared(table):
    """Some transformers, a delta network and planted recurrent networks."""
    names = ("rnn_regression_noisy_hebbian", "lstm_copying_continuous_none")
    measures.measure("recurrent", names, trainer=trainer)
    return architectures.architectures(table, measures.table("recurrent"))


def test_architectures_are_those_trained_soundly(compared):
    assert compared.body.tolist() == ["transformer", "transformer", "transformer", "delta_net", "rnn", "lstm"]
    assert compared.rule.tolist() == ["none", "none", "hebbian", "none", "hebbian", "none"]
    static = compared.iloc[0]
    assert static["mean"] == pytest.approx(0.85) and static.networks == 6 and static.diverged == 0
    reach = stats.t.ppf(0.975, 5) * np.std(0.02 * np.arange(6), ddof=1) / np.sqrt(6)
    assert (static.low, static.high) == pytest.approx((0.85 - reach, 0.85 + reach))
    plastic_one = compared.iloc[2]
    assert plastic_one.diverged == 1 and plastic_one["mean"] == pytest.approx((5 * 0.84 + 1 / 8) / 6)
    names = ["copying_none", "regression_none", "copying_hebbian", "delta_net_copying"]
    weights = [plastic.untrained(plastic.config(name), "0").weights.values() for name in names]
    sizes = [sum(each.numel() for each in own) for own in weights]
    assert compared.parameters.tolist()[:4] == sizes


def test_settings_are_told_apart_by_items_only_where_they_differ(compared, table):
    assert compared.setting.tolist()[:2] == ["Copying", "Regression"]
    other = table[table.family == "copying_none"].assign(items=6)
    found = architectures.architectures(pd.concat([table, other]), table.iloc[:0])
    assert {"Copying (5)", "Copying (6)", "Regression"} == set(found.setting)


def test_side_by_side_is_for_reading(compared):
    text = architectures.side_by_side(compared)
    assert list(text.index) == [
        "Transformer, no plasticity", "Transformer, Hebbian", "Delta network", "RNN, Hebbian",
        "LSTM, no plasticity",
    ]  # fmt: skip
    assert list(text.columns)[:3] == ["parameters (1000)", "Copying", "Copying numbers"]
    assert text.loc["Transformer, no plasticity", "Copying"] == "0.850 ± 0.039"
    assert text.loc["Delta network", "Regression"] == "–"
    assert text.loc["Transformer, no plasticity", "parameters (1000)"] == "69 to 71"
    small = compared.assign(mean=0.001234, high=0.001334)
    assert architectures.side_by_side(small).loc["Delta network", "Copying"] == "0.00123 ± 0.00010"
    assert architectures.side_by_side(compared.assign(high=np.nan)).loc["Delta network", "Copying"] == "0.850"


def test_limits_are_of_the_one_setting_of_the_rows(compared):
    own = compared[compared.body == "lstm"]
    assert architectures.limits(own)["no order"] == pytest.approx(1 / 3 * (1 - 1 / 20))
    assert architectures.limits(compared[compared.task == "copying"])["chance"] == 1 / 8
    with pytest.raises(ValueError, match="levels are of one setting of a task, got 4"):
        architectures.limits(compared)


def test_rows_of_a_setting_are_of_one_task():
    kinds = {}
    for cell in (*cells("performance"), *cells("recurrent")):
        if not cell.config.family.startswith("published_"):
            kinds.setdefault((cell.config.task, cell.config.items), set()).add(plastic.make_task(cell.config))
    assert len(kinds) == 8 and all(len(tasks) == 1 for tasks in kinds.values())


def test_architectures_are_written_in_three_forms(compared, tmp_path):
    written = architectures.write_architectures(tmp_path, compared)
    assert [path.name for path in written] == ["architectures.csv", "architectures.md", "architectures.tex"]
    read = pd.read_csv(written[0])
    assert read["mean"].to_numpy() == pytest.approx(compared["mean"], rel=1e-5)
    lines = written[1].read_text().splitlines()
    assert len(lines) == 7 and {line.count("|") for line in lines} == {lines[0].count("|")}
    latex = written[2].read_text()
    assert latex.count(r"\\") == 6 and r"0.850 $\pm$ 0.039" in latex and "–" not in latex


# --- memory


@pytest.fixture
def memory(roots):
    """The planted `memory` experiment of two families."""
    measures.measure("memory", MEMORY, trainer=trainer)
    return measures.table("memory")


@pytest.mark.parametrize(("items", "delay"), [(5, 0), (5, 20), (3, 7)])
def test_distance_is_that_of_the_task(items, delay):
    task = plastic.make_task(plastic.config("copying_none", items=items, delay=delay))
    inputs, targets = task.sample(1, np.random.default_rng(0))
    shown, asked = np.arange(items), np.flatnonzero(targets[0])
    assert (inputs[0, shown] == targets[0, asked]).all()
    assert (asked - shown == memory_plots.distance(task)).all()


@pytest.mark.parametrize(("window", "layers"), [(5, 2), (3, 2), (4, 1)])
def test_sight_is_how_far_back_a_static_network_depends_on_its_input(window, layers):
    config = plastic.config("windowed_copying_none", window=window, layers=layers)
    network, tokens = plastic.untrained(config, "0"), np.full((1, 31), 3)
    changed = tokens.copy()
    changed[0, 4] = 5
    answers = [network.run(each).answers[0, 0] for each in (tokens, changed)]
    differing = torch.nonzero((answers[0] - answers[1]).abs().amax(dim=-1) > 1e-7).flatten()
    assert (differing[0], differing[-1]) == (4, 4 + memory_plots.sight(config))
    assert memory_plots.sight(plastic.config("copying_none")) == np.inf


def test_learning_times_are_the_first_bins_above_the_limit(memory):
    found = memory_plots.learning_times(memory, measures.curves("memory"))
    own = found[(found.family == "copying_none") & (found.variant == "delay 40")].set_index("seed")
    steps = np.linspace(0, own.trained.max(), 51)[1:]
    for seed in range(6):
        above = steps[steps / steps[-1] * (0.8999 + 0.02 * seed) > memory_plots.LEARNED]
        assert own.learned_after[seed] == above[0] if len(above) else np.isnan(own.learned_after[seed])
        assert own.counted_after[seed] == (above[0] if len(above) else steps[-1])
    assert own.learned_after.isna().tolist() == [True] + [False] * 5


def test_rows_by_delay_and_items_share_the_shortest(memory):
    delays, items = memory_plots.by_delay(memory), memory_plots.by_items(memory)
    assert sorted(delays.delay.unique()) == [0, 10, 20, 40, 60] and set(delays["items"]) == {5}
    assert sorted(items["items"].unique()) == [5, 10, 20, 30, 40] and set(items.delay) == {0}
    means = memory_plots.by_seed(delays.sample(frac=1, random_state=0), "copying_none")
    assert means == pytest.approx(0.8 + 0.02 * np.arange(6))
    assert memory_plots.rules_of("copying", ["hebbian"]) == {"hebbian": "copying_hebbian"}


def test_observations_say_how_far_all_networks_get(memory):
    rows = memory_plots.learning_times(memory, measures.curves("memory"))
    far = (rows.delay >= 40) | (rows["items"] >= 20)
    rows.score = np.where(far & (rows.seed == 3), 0.5, 0.95)
    found = memory_plots.observations(rows).loc["attention to all", "none"]
    assert (found["delay held"], found["items held"]) == (20, 10)
    assert found["recall, longest delay"] == pytest.approx((5 * 0.95 + 0.5) / 6)
    assert found["recall, most items"] == found["recall, longest delay"]
    assert found["never learned"] == pytest.approx(1 / 6)  # seed 0 ends at .9
    assert found["updates to learn"] == rows[rows.family == "copying_none"].counted_after.median()
    lost = memory_plots.observations(rows.assign(score=0.1)).loc["attention to five", "hebbian"]
    assert np.isnan(lost["delay held"]) and lost["recall, most items"] == pytest.approx(0.1)


def test_resampled_intervals_stay_within_the_values():
    either = np.array([[0.12, 0.5], [0.12, 0.5], [0.78, 0.5], [1, 0.5], [1, 0.5], [1, 0.5], [np.nan, 1]])
    mean, low, high = memory_plots.resampled(either)
    assert mean == pytest.approx([4.02 / 6, 0.5]) and (low[1], high[1]) == (0.5, 0.5)
    assert 0.12 <= low[0] < 0.4 and 0.9 < high[0] <= 1
    normal = np.random.default_rng(1).normal(size=(6, 1))
    _, low, high = np.ravel(memory_plots.resampled(normal))
    expected = stats.t.interval(0.95, 5, normal.mean(), stats.sem(normal[:, 0]))
    assert (low, high) == pytest.approx(expected, abs=0.25 * np.ptp(expected))
    median = memory_plots.resampled(either[:6], np.median)
    assert median.estimate == pytest.approx([0.89, 0.5])


def test_recall_table_counts_networks_that_learned(memory):
    rows = memory.assign(kind=memory.family.str.rpartition("_")[0])
    rows = rows[rows.family == "copying_none"].assign(score=lambda own: np.where(own.seed < 2, 0.25, 1))
    found = memory_plots.recall_table(rows)
    assert found.index.tolist()[:2] == [("copying", "delay 0"), ("copying", "delay 10")]
    assert found["none"].iloc[0].startswith("0.75 [") and found["none"].iloc[0].endswith(", 4 of 6")
    sizes = memory_plots.sizes_table(rows.assign(rate=np.where(rows.seed < 3, 0.1, 0.001)), ["rate"])
    assert sizes.rate.str.startswith("0.01 [").all() and len(sizes) == 9


def test_late_recall_is_after_three_quarters_and_in_the_end(memory):
    rows = memory[(memory.family == "copying_none") & (memory.seed < 2)]
    found = memory_plots.late_recall(rows, measures.curves("memory"))
    assert found.loc["delay 20", ("at 3/4", "none")] == pytest.approx(0.91 * 0.74, rel=2e-4)
    assert found.loc["length 40", ("at the end", "none")] == pytest.approx(0.91, rel=2e-4)


@pytest.mark.parametrize(("variant", "length", "items"), [("delay 20", 31, 5), ("length 30", 61, 30)])
def test_recall_by_place_is_of_the_last_tokens(memory, variant, length, items):
    found = memory_plots.recall_by_place(measures.by_time("memory"), "windowed_copying_hebbian", variant)
    assert found.shape == (6, items) and np.isnan(found[5]).all()
    assert found[1] == pytest.approx(np.arange(length - items, length) + 0.1, rel=1e-4)


# --- panels


def test_published_panel_draws_margin_deviation_and_networks(ax):
    ours = {"none": np.array([1.0, 2, 3]), "hebbian": np.array([2.0, np.nan, 2])}
    performance_plots.draw_published(ax, ours, {"none": Published(5.0, 0.2)})
    box = next(patch for patch in ax.patches if isinstance(patch, Rectangle))
    assert (box.get_y(), box.get_height()) == pytest.approx((4.5, 1))
    drawn = [line.get_ydata().tolist() for line in ax.lines]
    assert [5.0] in drawn and [1.0, 2.0, 3.0] in drawn and [2.0, 2.0] in drawn and [2.0] in drawn
    assert [text.get_text() for text in ax.get_xticklabels()] == ["None", "Hebb."]


def test_levels_keep_their_names_apart(ax):
    ax.set_ylim(0, 1)
    performance_plots.draw_levels(ax, {"low": 0.1, "close": 0.5, "closer": 0.52, "zero": 0.0})
    below = {text.get_text(): text.get_va() == "top" for text in ax.texts}
    assert below == {"closer": False, "close": True, "low": False, "zero": False}
    fig, log = plt.subplots()
    log.set(yscale="log", ylim=(0.01, 1))
    performance_plots.draw_levels(log, {"floor": 0.0, "chance": 0.5})
    assert [text.get_text() for text in log.texts] == ["chance"]
    plt.close(fig)


def test_stages_curves_and_finals_draw_what_they_are_given(closed):
    fig, axes = style.figure(15, 6, [["stages", "curves", "finals", "legend"]])
    scores, lost = np.array([[0.1, 0.2], [0.3, 0.6]]), np.array([[0.1, np.nan], [0.3, np.nan]])
    ours, published = {"none": (np.array([100, 300]), scores)}, {"none": Published(0.7, 0.1)}
    performance_plots.draw_stages(axes["stages"], ours, published, budget=100)
    drawn = [np.asarray(line.get_ydata()).tolist() for line in axes["stages"].lines]
    assert [0.2, 0.4] in drawn and [0.7] in drawn
    bars = [bar.get_segments()[0][:, 1] for bar in axes["stages"].collections if hasattr(bar, "get_segments")]
    assert any(bar == pytest.approx([0.6, 0.8]) for bar in bars), "the published deviation"
    performance_plots.score_axis(axes["curves"], "regression")
    performance_plots.draw_curves(axes["curves"], {"none": (np.array([60, 120]), lost)})
    found = axes["curves"].lines[-1].get_ydata()
    assert found[0] == pytest.approx(np.sqrt(0.03)) and np.isnan(found[1])
    performance_plots.draw_curves(axes["curves"], {"hebbian": (np.array([60, 120]), scores)})
    assert axes["curves"].get_yscale() == "log"
    assert axes["curves"].lines[-1].get_ydata() == pytest.approx(np.sqrt([0.03, 0.12]))  # geometric
    fig.canvas.draw()
    assert {text.get_text() for text in axes["curves"].get_yticklabels()} >= {"0.1", "0.2", "0.5"}
    axes["curves"].set_ylim(1e-4, 1)
    performance_plots.draw_curves(axes["curves"], {"none": (np.array([60, 120]), scores)})
    fig.canvas.draw()
    assert "0.001" in (shown := {text.get_text() for text in axes["curves"].get_yticklabels()})
    assert "0.5" not in shown
    performance_plots.draw_finals(axes["finals"], {"none": scores[0]}, {"none": np.full(2, np.nan)})
    dots = [line.get_ydata().tolist() for line in axes["finals"].lines]
    assert [0.1, 0.2] in dots and all(np.isfinite(each).all() for each in dots)
    performance_plots.rule_legend(axes["legend"], rules=["oja"])
    assert [text.get_text() for text in axes["legend"].get_legend().get_texts()] == ["Oja"]
    performance_plots.score_axis(axes["legend"], "copying")
    assert axes["legend"].get_yscale() == "linear" and axes["legend"].get_title() == "Copying"


def test_architectures_panel_names_what_was_not_trained(ax, compared):
    own = compared[compared.task == "copying"]
    order = [("transformer", "none"), ("transformer", "gradient"), ("delta_net", "none")]
    performance_plots.draw_architectures(ax, own, order, {"chance": 0.125, "floor": 0})
    assert [text.get_text() for text in ax.texts] == ["not trained", "chance"]
    assert [text.get_text() for text in ax.get_yticklabels()] == [
        "Transformer, no plasticity", "Transformer, gradient", "Delta network",
    ]  # fmt: skip
    assert ax.get_title() == "Copying" and ax.get_xscale() == "linear"


def test_memory_panels_draw_what_they_are_given(closed, memory):
    fig, axes = style.figure(15, 10, [["delay", "time"], ["place", "token"]])
    rows = memory_plots.learning_times(memory, measures.curves("memory"))
    static = memory_plots.by_delay(rows[rows.rule == "none"])
    some = static.assign(score=np.where((static.delay == 40) & (static.seed < 2), 1.0, static.score))
    memory_plots.draw_recall(axes["delay"], some, "delay", beyond=2.5)
    line = next(each for each in axes["delay"].lines if len(each.get_ydata()) == 5)
    assert line.get_ydata() == pytest.approx([0.85, 0.85, 0.85, 0.85 + (0.2 + 0.18) / 6, 0.85])
    assert [text.get_text() for text in axes["delay"].texts] == ["2/6"]
    memory_plots.draw_learning(axes["time"], static, "delay")
    crosses = [each for each in axes["time"].lines if each.get_marker() == "x"]
    assert len(crosses) == 5 and all(each.get_ydata().tolist() == [static.trained.max()] for each in crosses)
    line = next(each for each in axes["time"].lines if len(each.get_ydata()) == 5)
    own = static[static.delay == 20].counted_after.to_numpy()
    assert line.get_ydata() == pytest.approx([10 ** np.median(np.log10(own))] * 5)
    memory_plots.draw_by_place(axes["place"], {"none": np.array([[0.2, 0.4], [0.4, 0.8]])})
    assert axes["place"].lines[0].get_ydata() == pytest.approx([0.3, 0.6])
    families = {"hebbian": "windowed_copying_hebbian"}
    memory_plots.draw_by_token(axes["token"], measures.by_time("memory"), families, "delay 10", "rate")
    kept = np.arange(21)[:, None] + np.arange(1, 5) / 10  # seed 0 begins with 0, seed 5 diverged
    assert axes["token"].lines[-1].get_ydata() == pytest.approx(10 ** np.log10(kept).mean(axis=1), rel=1e-4)
    assert axes["token"].patches[0].get_x() == 5.5 and axes["token"].patches[0].get_width() == 10


@pytest.mark.parametrize(("span", "shown"), [(2, {"0.01", "0.02"}), (1000, {"0.01", "1"})])
def test_sizes_are_geometric_means_on_a_logarithmic_axis(ax, memory, span, shown):
    rows = memory_plots.by_delay(memory[memory.rule == "none"])
    rows = rows.assign(rate=0.01 * np.where(rows.delay == 60, span, 1) * 10 ** (rows.seed % 2 - 0.5) ** 3)
    memory_plots.draw_size(ax, rows, "delay", "rate")
    line = next(each for each in ax.lines if len(each.get_ydata()) == 5)
    assert line.get_ydata() == pytest.approx([0.01] * 4 + [0.01 * span])
    ax.figure.canvas.draw()
    assert {text.get_text() for text in ax.get_yticklabels()} >= shown and ax.get_yscale() == "log"
