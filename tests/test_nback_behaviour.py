"""Behaviour of N-back networks: planted scores, errors, curves and attention are found as what they are."""

import numpy as np
import pandas as pd
import pytest
import torch

from wm import nback
from wm.files import DamagedFile, write_table
from wm.nback import attention, behaviour, derived
from wm.nback import attention_plots as looking
from wm.nback import behaviour_plots as plots
from wm.nback.design import SPLITS
from wm.nback.pictures import SPLIT_LOOKS
from wm.nback.task import FEATURES, LAGS, TASKS

FAMILIES = [
    f"{head}{name}_{diet}"
    for name in ("rnn", "gru", "lstm")
    for head, diet in (
        *(("", diet) for diet in ("mtmf", "stmf_1", "stmf_2", "stsf_1_location", "stsf_2_identity")),
        ("attention_", "mtmf"), ("dual_", "mtmf"), ("published_", "mtmf"),
    )
]  # fmt: skip


def score(family, seed, split, task, lures="natural"):
    """A score of which every part is known: hundredths by architecture, tens of thousandths by seed."""
    level = {"rnn": 0.90, "gru": 0.95, "lstm": 0.96}[nback.config(family).architecture]
    lower = {"trained": 0, "novel_angle": 0.01, "extrapolating": 0.02, "novel_identity": 0.04}
    lower = lower.get(split, 0.05) + 0.1 * (lures == "balanced")
    level += 0.02 * family.startswith("attention") - lower * (task.feature != "location")
    return level - 0.002 * (task.lag - 2) + 1e-4 * seed


def row(family, seed, split, task, lures="natural"):
    right = score(family, seed, split, task, lures)
    counts = np.array([[100, 0, 0], [2, 800, 198], [1, 99, 900]])
    about = {"family": family, "seed": seed, "lures": lures, "split": split, "match_other_view": 0.7}
    steps = {f"step_{k}": 1.0 if k <= task.lag else right + k / 1000 for k in range(1, 7)}
    whole = {"balanced": right, "all_steps": (task.lag + (6 - task.lag) * right) / 6}
    return about | {"task": task.name} | whole | derived._answers(counts) | steps


@pytest.fixture
def planted(tmp_path, monkeypatch):
    """Tables as measures write them, of three networks of each of some families."""
    monkeypatch.setenv("WM_DATA_JSON", str(tmp_path))
    scores, curves, looks = [], [], []
    for family in FAMILIES:
        kind = nback.config(family)
        for seed in range(3):
            scores += [row(family, seed, split, task, lures) for lures in ("natural", "balanced")
                       for split in SPLITS for task in nback.diet(kind)]  # fmt: skip
            about = {"family": family, "seed": seed}
            slow = 1000 - 200 * (kind.attention == "spatial") + 10 * seed
            values = {step: min(0.5 + 0.4 * step / slow, 0.9999) for step in range(200, 2001, 200)}
            curves += [about | {"step": step, "val_trained_acc": value, "val_novel_angle_acc": value}
                       for step, value in values.items()]  # fmt: skip
            if kind.attention == "spatial":
                looks += [about | {"split": s, "task": t.name, "on_object": 0.3 + seed / 100,
                                   "entropy": {"location": 1.2, "identity": 0.5, "category": 0.8}[t.feature]}
                          for s in SPLITS for t in TASKS]  # fmt: skip
    for name, rows in (("diets", scores), ("diets_curves", curves), ("diets_attention", looks)):
        write_table(tmp_path / "nback" / f"{name}.csv", pd.DataFrame(rows))
    return behaviour.scores(), behaviour.curves(), behaviour.scores("diets_attention")


# ---------------------------------------------------------------- tables


def test_rows_are_told_what_their_networks_are(planted):
    rows, curves, looks = planted
    assert {*rows.network[rows.family == "gru_mtmf"]} == {f"gru_mtmf-0{k}" for k in range(3)}
    assert curves.network.nunique() == rows.network.nunique()
    kinds = rows.drop_duplicates("family").set_index("family")
    assert kinds.loc["gru_stsf_2_identity", ["architecture", "diet", "attention", "stimuli"]].to_list() == [
        "gru", "stsf", "none", "rich"]  # fmt: skip
    assert kinds.diet.loc[["rnn_stmf_1", "published_lstm_mtmf"]].to_list() == ["stmf", "mtmf"]
    assert kinds.stimuli.loc["published_lstm_mtmf"] == "published"
    assert {*looks.attention} == {"spatial"} and {*curves.diet} == {"mtmf", "stmf", "stsf"}
    both = rows.feature + rows.lag.astype(str)
    assert [*both.iloc[:9]] == [task.feature + str(task.lag) for task in TASKS]


def test_a_missing_table_says_how_it_is_measured(tmp_path, monkeypatch):
    monkeypatch.setenv("WM_DATA_JSON", str(tmp_path))
    with pytest.raises(DamagedFile, match="wm states nback diets"):
        behaviour.scores()
    with pytest.raises(DamagedFile, match="wm states nback diets"):
        behaviour.curves()


def test_networks_of_one_kind(planted):
    rows = planted[0]
    assert {*behaviour.of(rows, "gru").family} == {"gru_mtmf"}
    assert {*behaviour.of(rows, diet="stsf").family} == {name for name in FAMILIES if "stsf" in name}
    assert {*behaviour.of(rows, "rnn", attention="spatial").family} == {"attention_rnn_mtmf"}
    with pytest.raises(ValueError, match="of gru, stsf, attention dual, stimuli rich, tested with natural"):
        behaviour.of(rows, "gru", "stsf", attention="dual")


def test_what_is_compared_with_the_paper_has_natural_lures(planted):
    rows = planted[0]
    assert {*behaviour.of(rows, "gru").lures} == {"natural"}
    other = behaviour.of(rows, "gru", lures="balanced", feature="identity")
    assert {*other.feature} == {"identity"} and {*other.lures} == {"balanced"}
    lower = behaviour.by_seed(behaviour.of(rows, "gru", feature="identity"), "trained") - 0.1
    assert behaviour.by_seed(other, "trained").to_numpy() == pytest.approx(lower.to_numpy(), abs=1e-6)


def test_a_table_says_how_its_networks_were_trained_whatever_their_family_usually_has(planted, tmp_path):
    path = tmp_path / "nback" / "diets.csv"
    table = pd.read_csv(path)[lambda own: own.family == "gru_mtmf"].drop(columns="lures")
    write_table(path, table.assign(architecture="gru", diet="mtmf", attention="dual", stimuli="rich"))
    rows = behaviour.scores()
    assert {*rows.attention} == {"dual"} and {*rows.lures} == {"natural"}
    kind = nback.config("gru_mtmf", attention="dual", stimuli="published")
    assert behaviour.kind_of(kind) == {
        "architecture": "gru", "diet": "mtmf", "attention": "dual", "stimuli": "published",
    }  # fmt: skip


def test_networks_without_scores_are_named(planted):
    rows, curves, _ = planted
    assert behaviour.lost(rows, curves) == []
    assert behaviour.lost(rows[rows.network != "gru_mtmf-01"], curves) == ["gru_mtmf-01"]


# ---------------------------------------------------------------- scores


def test_planted_gaps_and_advantages_are_found_for_each_seed(planted):
    own = behaviour.of(planted[0], "gru")
    means = behaviour.by_seed(own, "trained")
    assert means.to_numpy() == pytest.approx([0.95, 0.9501, 0.9502], abs=1e-6) and [*means.index] == [0, 1, 2]
    apart = behaviour.gap(own, "novel_angle", "novel_identity")
    assert apart == pytest.approx([0.03 * 2 / 3] * 3, abs=1e-6)
    better = behaviour.of(planted[0], "gru", attention="spatial")
    assert behaviour.advantage(better, own, "novel_angle") == pytest.approx([0.02] * 3, abs=1e-6)
    assert len(behaviour.advantage(better[better.seed != 1], own, "trained")) == 2


def test_the_least_certain_model_or_task_is_the_one_that_decides(planted):
    rows = planted[0]
    family, found = behaviour.least_certain(behaviour.of(rows, diet="stsf"), "novel_angle", 0.9)
    assert family == "rnn_stsf_2_identity" and found.ours == pytest.approx(0.8901, abs=1e-6)
    assert found.n_networks == 3
    one = behaviour.of(rows, "lstm", "stmf")
    family, found = behaviour.least_certain(one, "trained", 0.9)
    assert family == "lstm_stmf_2" and found.p_above(0.9) < 1e-4 < found.p_below(0.9)
    task, found = behaviour.least_certain(behaviour.of(rows, "gru"), "novel_identity", 0.9, by="task")
    assert task in ("3-back identity", "3-back category") and found.ours == pytest.approx(0.9081, abs=1e-6)


def test_errors_removed_are_a_share_of_those_of_the_other(planted):
    plain, better = (behaviour.of(planted[0], "gru", attention=kind) for kind in ("none", "spatial"))
    left = 1 - behaviour.by_seed(plain, "trained").to_numpy()
    assert behaviour.errors_removed(better, plain, "trained") == pytest.approx(0.02 / left, abs=1e-4)
    assert behaviour.errors_removed(plain, plain, "trained") == pytest.approx([0] * 3)


def test_near_the_ceiling_balanced_lures_tell_kinds_apart(planted):
    one, other = {"architecture": "gru", "attention": "spatial"}, {"architecture": "gru"}
    told = behaviour.at_ceiling(planted[0], one, other)
    assert told == "near the ceiling, 0.943; balanced lures: +0.020 [+0.020, +0.020]"


def test_matches_from_another_view_stand_beside_all(planted):
    table = behaviour.views(behaviour.of(planted[0]))
    assert table.loc[("gru", "trained"), "all matches"].startswith("0.9501 [")
    assert table.loc[("gru", "novel_both"), "from another view"].startswith("0.75")
    assert len(table) == 15


def test_tasks_below_a_bar_and_means_by_feature(planted):
    rows = planted[0]
    short = behaviour.below(behaviour.of(rows, "gru"))
    late = [f"{lag}-back {feature}" for feature in FEATURES for lag in (3,)]
    assert short["trained"] == late and short["novel_angle"] == []
    table = behaviour.summary(behaviour.of(rows))
    assert table.loc[("gru", "novel_identity"), "identity"].startswith("0.9101 [")
    assert table.loc[("gru", "trained"), "all"].startswith("0.9501 [")
    assert [*table.columns] == [*FEATURES, "all"] and len(table) == 15


def test_shortcuts_are_those_of_the_objects_of_each_split():
    from wm.nback.stimuli import stimulus_set

    stimuli = stimulus_set("published")
    found = behaviour.shortcuts(stimuli)
    assert [*found] == [*SPLITS]
    assert found["trained"] == pytest.approx({"identity": 1 - 1 / 7 / 2, "category": (1 + 1 / 2) / 2})
    assert found["novel_both"] == pytest.approx(found["trained"]), "two objects of each category, too"
    assert [*behaviour.shortcuts(stimuli.part("test", "trained"))] == ["trained"]
    rich = stimulus_set("rich")
    of_test, of_validation = (behaviour.shortcuts(rich, part) for part in ("test", "validation"))
    assert of_test["novel_identity"]["identity"] == pytest.approx(1 - 2 / 11 / 2)
    assert of_validation["novel_identity"]["identity"] == pytest.approx(1 - 1 / 7 / 2)


def test_errors_are_shares_of_what_was_right(planted):
    found = behaviour.confusion(behaviour.of(planted[0], "gru"), "trained")
    assert [*found] == [task.name for task in TASKS]
    assert found["2-back identity"] == pytest.approx(
        np.array([[1, 0, 0], [0.002, 0.8, 0.198], [0.001, 0.099, 0.9]]))  # fmt: skip
    one = behaviour.confusion(behaviour.of(planted[0], "gru", "stmf"), "trained")
    assert [*one] == [task.name for task in TASKS if task.lag < 3]


def test_steps_of_a_lag(planted):
    found = behaviour.by_step(behaviour.of(planted[0], "gru"), "trained", 3)
    assert found.shape == (3, 6) and (found[:, :3] == 1).all()
    assert found[0, 3:] == pytest.approx(0.948 + np.array([4, 5, 6]) / 1000, abs=1e-6)


# ---------------------------------------------------------------- learning


def test_updates_to_a_bar_are_between_those_recorded(planted):
    curves = planted[1]
    found = behaviour.updates_to(behaviour.of(curves, "gru"))
    assert found.to_numpy() == pytest.approx([1000, 1010, 1020], abs=0.01)
    assert behaviour.sooner(curves, "lstm") == pytest.approx([200] * 3, abs=0.01)


def test_a_bar_reached_at_once_or_never():
    rows = pd.DataFrame({"seed": [0, 0, 1, 1], "step": [200, 400] * 2})
    rows["val_novel_angle_acc"] = [0.7, 0.95, 0.6, 0.7]
    assert behaviour.updates_to(rows, 0.6).to_numpy() == pytest.approx([100, 200])
    assert behaviour.updates_to(rows, 0.9).to_numpy() == pytest.approx([360, np.inf])
    assert behaviour.updates_to(rows, 0.5).to_numpy() == pytest.approx([0, 0])


def test_who_never_is_at_a_bar_is_told_and_counts_as_last(planted):
    curves = behaviour.of(planted[1], "gru")
    table = behaviour.to_bars(curves)
    assert table.loc["gru_mtmf", "novel_angle at 0.90"] == "3 of 3; median 1010 (1000 to 1020)"
    late = curves.assign(val_novel_angle_acc=curves.val_novel_angle_acc.where(curves.seed == 0, 0.8))
    assert behaviour.to_bars(late).iloc[0, 1] == "1 of 3; median not reached (1000 to 1000)"
    never = curves.assign(val_novel_angle_acc=0.8)
    assert behaviour.to_bars(never).iloc[0, 1] == "0 of 3"
    two = pd.concat([never.assign(family="a", network="a"), late.assign(family="b", network=late.network)])
    assert [*behaviour.to_bars(two[two.seed == 0]).index] == ["a", "b"]


def test_updates_saved_are_counted_up_to_the_last(planted):
    curves = planted[1]
    kept = ~((curves.family == "attention_lstm_mtmf") & (curves.seed == 1))
    late = curves.assign(val_novel_angle_acc=curves.val_novel_angle_acc.where(kept, 0.6))
    assert behaviour.sooner(late, "lstm") == pytest.approx([200, 1010 - 2000, 200], abs=0.01)


def test_numbers_of_parameters_are_those_of_torch():
    table = behaviour.parameters()
    cells = {"rnn": torch.nn.RNN, "gru": torch.nn.GRU, "lstm": torch.nn.LSTM}
    for name, cell in cells.items():
        units = nback.config(name).units
        assert table.loc[name, "units"] == units
        assert table.loc[name, "recurrent"] == sum(p.numel() for p in cell(units, units).parameters())
        model = nback.create_model(name)
        assert table.loc[name, "all"] == sum(value.numel() for value in model.weights.values())


# ---------------------------------------------------------------- attention


def attentive(family="attention_gru", **changes):
    return nback.create_model(family, 3, features_channels=5, units=6, **changes)


def test_maps_are_what_the_network_does_in_trials_whatever_came_before():
    model = attentive()
    features = np.random.default_rng(0).standard_normal((12, 4, 5)).astype(np.float32)
    found = attention.maps(model, features)
    assert found.shape == (9, 12, 4) and found.sum(axis=-1) == pytest.approx(1)
    for task in TASKS:
        trace = model.run(features.reshape(2, 6, 4, 5), task)
        assert trace.attention[0].flatten(0, 1).numpy() == pytest.approx(found[task.place], abs=1e-6)
    with pytest.raises(ValueError, match="gru_mtmf-03 has no spatial attention"):
        attention.maps(nback.create_model("gru", 3, features_channels=5, units=6), features)


def test_attention_at_the_object_or_spread_is_measured():
    locations = np.array([2, 0, 3])
    weights = np.stack([np.eye(4)[locations], np.full((3, 4), 0.25)])
    found = attention.measures(weights, locations)
    assert found["on_object"] == pytest.approx([1, 0.25])
    assert found["entropy"] == pytest.approx([0, np.log(4)])
    wide = attention.measures(np.full((2, 3, 49), 1 / 49), locations)
    assert np.isnan(wide["on_object"]).all() and wide["entropy"] == pytest.approx([np.log(49)] * 2)


def test_features_at_the_object_are_so_many_times_as_large():
    features = np.ones((2, 4, 3)) * np.array([[4, 1, 2, 3], [1, 1, 1, 1]])[..., None]
    assert attention.size_at_object(features, np.array([0, 2])) == pytest.approx([2, 1])


def test_where_a_network_looks_is_a_row_for_each_split_and_task():
    model = attentive()
    number = np.arange(16)
    labels = {"location": number % 4, "identity": number // 4, "category": number // 8}
    images = nback.Images(np.random.default_rng(0).standard_normal((16, 4, 5)).astype(np.float16), labels)
    rows = [*attention.attention_rows(model, {"trained": images, "novel_angle": images})]
    assert len(rows) == 18 and [row["task"] for row in rows[:9]] == [task.name for task in TASKS]
    expected = attention.maps(model, images.features)[4][number, number % 4].mean()
    assert rows[4]["on_object"] == pytest.approx(expected, abs=1e-4)
    assert rows[4]["family"] == "attention_gru_mtmf"
    plain = nback.create_model("gru", features_channels=5)
    assert not [*attention.attention_rows(plain, {"trained": images})]
    model.record["diverged"] = True
    assert not [*attention.attention_rows(model, {"trained": images})]


def test_attention_of_features_is_compared_by_seed(planted):
    looks = planted[2]
    own = behaviour.of(looks, "gru", attention="spatial")
    assert behaviour.spread_apart(own, "category", "identity") == pytest.approx([0.3] * 3)


def test_measures_of_diets_hold_errors_steps_and_attention(tmp_path, monkeypatch):
    monkeypatch.setenv("WM_DATA_JSON", str(tmp_path))
    number = np.arange(64)
    labels = {"location": number % 4, "identity": number // 8, "category": number // 32}
    features = np.random.default_rng(0).random((64, 4, 5)).astype(np.float16)
    held = dict.fromkeys(SPLITS, nback.Images(features, labels))
    own = nback.Material(held["trained"], held, held, {})
    derived.measure_diets(
        ["gru_mtmf", "gru_stmf_2", "attention_gru"],
        material_of=lambda kind: own,
        changes={"units": 4, "updates": 1, "batch": 4},
    )
    rows, looks = behaviour.scores(), behaviour.scores("diets_attention")
    assert {*rows.lures} == {"natural", "balanced"}
    other = rows[rows.lures == "balanced"]
    assert other.balanced.notna().all() and other.match.isna().all()
    errors = behaviour.scores("diets_errors")
    assert {*errors.family} == {"gru_mtmf"} and {*errors.lures} == {"natural"}
    rows = rows[(rows.lures == "natural") & (rows.family == "gru_mtmf")]
    shares = errors.match + errors.match_as_non_match + errors.match_as_no_action
    assert shares.to_numpy() == pytest.approx(1, abs=1e-4)
    right = errors[[f"step_{k}" for k in range(1, 7)]].mean(axis=1)
    assert right.to_numpy() == pytest.approx(rows.all_steps.to_numpy(), abs=1e-3)
    assert {*looks.family} == {"attention_gru_mtmf"} and len(looks) == 6 * len(SPLITS) * 9
    assert looks.entropy.between(0, np.log(4) + 1e-4).all()


# ---------------------------------------------------------------- panels


def drawn(ax):
    """Heights of all dots of a panel."""
    return np.concatenate([np.ma.getdata(dots.get_offsets())[:, 1] for dots in ax.collections
                           if hasattr(dots, "get_sizes") and len(dots.get_offsets()) > 1])  # fmt: skip


def test_every_network_task_and_split_has_a_dot(planted, ax):
    own = behaviour.of(planted[0], "gru")
    plots.draw_tasks(ax, own)
    assert sorted(drawn(ax)) == pytest.approx(sorted(own.balanced))
    assert [label.get_text() for label in ax.get_xticklabels()] == [str(task.lag) for task in TASKS]


def test_constant_answers_are_drawn_where_they_are(ax):
    plots.draw_constant(ax, "all_steps")
    levels = [line.get_ydata()[0] for line in ax.lines]
    assert levels == pytest.approx([7 / 12, 2 / 3, 3 / 4] * 3)
    ax.cla()
    plots.draw_constant(ax)
    levels = [line.get_ydata()[0] for line in ax.lines]
    assert levels == pytest.approx([0.5] * 9 + [*behaviour.BARS.values()])


def test_categories_alone_are_drawn_at_identity(ax):
    plots.draw_alone(ax, {"trained": {"identity": 0.887, "category": 0.56}})
    one, two = ax.lines
    assert [*one.get_xdata()] == [2.5, 5.5] and [*one.get_ydata()] == [0.887] * 2
    assert [*two.get_xdata()] == [5.5, 8.5] and [*two.get_ydata()] == [0.56] * 2


def test_both_lures_and_other_views_are_side_by_side(planted, ax):
    rows, levels = planted[0], {split: {"identity": 0.9, "category": 0.6} for split in SPLITS}
    plots.draw_lures(ax, rows, "gru", levels)
    own = rows[(rows.family == "gru_mtmf") & (rows.feature == "identity")]
    expected = own.groupby(["split", "lures", "seed"]).balanced.mean()
    assert sorted(drawn(ax)) == pytest.approx(sorted([*expected, *[0.75] * 15])) and len(expected) == 30
    assert [line.get_ydata()[0] for line in ax.lines[:5]] == [0.9] * 5
    assert [label.get_text() for label in ax.get_xticklabels()][:3] == ["n", "o", "b"]


def test_panels_of_diets_gaps_and_presets_hold_what_is_in_the_table(planted, ax):
    rows = planted[0]
    plots.draw_diets(ax, rows)
    models = rows[(rows.attention == "none") & (rows.stimuli == "rich") & (rows.lures == "natural")]
    expected = models.groupby(["family", "split"]).balanced.mean()
    assert sorted(drawn(ax)) == pytest.approx(sorted(expected), abs=1e-9) and len(expected) == 75
    ax.cla()
    plots.draw_gaps(ax, rows)
    assert sorted({*drawn(ax).round(6)}) == pytest.approx([-0.05, -0.04, -0.02, -0.01, 0])
    ax.cla()
    plots.draw_presets(ax, rows)
    assert len(drawn(ax)) == 2 * 3 * 5 * 3


def test_panels_of_attention_hold_what_is_in_the_tables(planted, ax):
    rows, _, looks = planted
    looking.draw_gain(ax, rows)
    gains = drawn(ax).reshape(len(SPLITS), 2, 3, 3)  # split, kind, architecture, seed
    assert gains[:, 0] == pytest.approx(0.02, abs=1e-6) and gains[:, 1] == pytest.approx(0, abs=1e-6)
    ax.cla()
    looking.draw_looks(ax, looks)
    assert sorted({*drawn(ax).round(6)}) == pytest.approx([0.3, 0.31, 0.32]) and ax.get_ylim() == (0, 1)
    ax.cla()
    looking.draw_looks(ax, looks, "entropy")
    assert sorted({*drawn(ax).round(6)}) == pytest.approx([0.5, 0.8, 1.2])


def test_the_re_make_stands_beside_our_grus(planted, ax):
    rows = planted[0]
    looking.draw_remake(ax, rows)
    found = drawn(ax)
    theirs = [
        behaviour.REMAKE[kind][split] for split in SPLITS[:2] + SPLITS[3:4] for kind in ("none", "dual")
    ]
    assert [value for value in theirs if value not in found] == []
    own = behaviour.by_seed(behaviour.of(rows, "gru"), "novel_angle", "all_steps")
    assert all(np.isclose(found, value).any() for value in own) and len(found) == 3 * 2 * 4
    assert [label.get_text() for label in ax.get_xticklabels()] == ["none", "gates by\ntask and\nimage"]


def test_a_confusion_is_told_in_percent(ax):
    plots.draw_confusion(ax, np.array([[1, 0, 0], [0.002, 0.8, 0.198], [0.001, 0.099, 0.9]]), TASKS[0])
    assert [text.get_text() for text in ax.texts] == ["100", "0", "0", "0.2", "80", "20", "0.1", "10", "90"]
    assert ax.get_ylabel() == "location" and ax.get_title() == "1-back"


def test_steps_begin_with_the_first_comparison(planted, ax):
    plots.draw_steps(ax, behaviour.of(planted[0], "gru"))
    firsts = [line.get_xdata()[0] for line in ax.lines[:6]]
    assert firsts == [2, 3, 4] * 2 and len(LAGS) == 3
    assert ax.lines[0].get_ydata() == pytest.approx(0.9521 + np.arange(2, 7) / 1000, abs=1e-6)


def test_a_map_lies_behind_its_object(ax):
    image = np.zeros((8, 8, 3), dtype=np.uint8)
    image[:2, :2] = 200
    looking.draw_map(ax, image, np.array([0.1, 0.2, 0.3, 0.4]))
    shown = ax.images[0].get_array()
    assert shown[0, 0].tolist() == pytest.approx([200 / 255] * 3)
    assert np.ptp(shown[4:, 4:].reshape(-1, 3), axis=0).max() == 0
    assert not np.allclose(shown[7, 0], shown[7, 7])
    assert [text.get_text() for text in ax.texts] == ["10", "20", "30", "40"]


def test_example_images_show_each_category_at_another_place():
    from wm.nback.stimuli import stimulus_set

    table = looking.example_images(stimulus_set("rich")).table
    assert [*table.location] == [0, 1, 2, 3] and table.category.is_unique and len(table) == 4
    assert {*table.split} == {"trained"} and {*table.part} == {"analysis"}
    assert len(looking.example_images(stimulus_set("rich"), 2)) == 2


def test_legends_name_what_is_drawn(ax):
    plots.split_legend(ax.figure)
    plots.split_legend(ax.figure, alone=True)
    plots.step_legend(ax.figure)
    plain, alone, steps = ([text.get_text() for text in legend.get_texts()] for legend in ax.figure.legends)
    assert plain == [label for label, _, _ in SPLIT_LOOKS.values()] + ["published bar"]
    assert alone == [*plain, "other feature alone"]
    assert steps == ["1-back", "2-back", "3-back", "trained", "object never trained"]
