"""Drawings of how N-back networks learn, and of what makes them: planted curves and tables."""

import matplotlib.pyplot as plt
import numpy as np
import pandas as pd
import pytest

from wm import nback
from wm.nback import behaviour
from wm.nback import learning_plots as plots
from wm.nback.design import SPLITS
from wm.nback.pictures import SPLIT_LOOKS
from wm.nback.variants import VARIANTS


@pytest.fixture
def curves():
    """Planted learning curves: accuracy rises with steps, by split less, by seed a little."""
    rows, seeds_of = [], {"gru_mtmf": 3, "gru_stmf_1": 2, "gru_stsf_2_location": 2, "dual_gru_mtmf": 2}
    for family, seeds in (seeds_of | {"rnn_mtmf": 1, "rnn_stmf_1": 1, "rnn_stsf_1_location": 1}).items():
        for seed in range(seeds):
            for step in (200, 400, 600):
                about = {"family": family, "network": f"{family}-{seed:02d}", "seed": str(seed), "step": step}
                about |= behaviour.kind_of(nback.config(family))
                values = {f"val_{name}_acc": 0.6 + step / 2000 - 0.02 * k + 0.06 * seed
                          for k, name in enumerate(SPLITS)}  # fmt: skip
                rows.append(about | {"loss": 1.0, "accuracy": 0.5} | values)
    return pd.DataFrame(rows)


def labels(ax):
    return [line.get_label() for line in ax.lines if not line.get_label().startswith("_")]


def crosses(ax):
    return [tuple(point) for line in ax.lines if line.get_marker() == "x" for point in line.get_xydata()]


def test_learning_is_drawn_by_split_with_bars_and_who_never_is_there(curves, ax):
    plots.draw_learning(ax, behaviour.of(curves, "gru"))
    assert labels(ax) == [label for label, _, _ in SPLIT_LOOKS.values()]
    mean = next(line for line in ax.lines if line.get_label() == "trained")
    assert mean.get_xdata().tolist() == [200, 400, 600] and np.allclose(mean.get_ydata(), [0.76, 0.86, 0.96])
    flat = [line for line in ax.lines if len(line.get_xdata()) == 2 and len({*line.get_ydata()}) == 1]
    levels = {line.get_ydata()[0] for line in flat}
    assert levels == {0.95, 0.9, 0.5}
    assert np.allclose(crosses(ax), [(600, 0.9), (600, 0.88)]), "seed 0: .95 on trained, .90 on novel angles"


def test_what_categories_alone_give_is_a_line_for_each_set_of_objects(ax):
    plots.draw_categories_alone(ax, {"validation": 0.91, "test": 0.94})
    assert labels(ax) == ["no objects known, validation", "no objects known, test"]
    assert [line.get_ydata()[0] for line in ax.lines] == pytest.approx([2.91 / 3, 2.94 / 3])


def test_learning_of_diets_counts_networks_and_those_that_never_are_at_the_bar(curves, ax):
    plots.draw_learning_of_diets(ax, curves, "gru")
    told = [text.get_text() for text in ax.get_legend().get_texts()]
    assert told == ["one task each (2, 1 never)", "one lag each (2, 1 never)", "all nine tasks (3, 1 never)"]
    assert len(ax.collections) == 3 and len(crosses(ax)) == 3
    other = plt.figure().add_subplot()
    plots.draw_learning_of_diets(other, curves, "rnn")
    assert not other.collections, "a single network has no band"
    with pytest.raises(ValueError, match="no network in the table is of lstm, stsf"):
        plots.draw_learning_of_diets(ax, curves, "lstm")


def test_models_of_one_diet_are_drawn_apart_and_share_no_interval(curves, ax):
    other = curves[curves.family == "gru_stsf_2_location"].assign(family="gru_stsf_1_location")
    other = other.assign(network=other.network.str.replace("_2_", "_1_"))
    other["val_novel_angle_acc"] -= 0.1
    plots.draw_learning_of_diets(ax, pd.concat([curves, other], ignore_index=True), "gru")
    assert len(ax.collections) == 2, "one lag and all tasks are one family each"
    last = sorted(line.get_ydata()[-1] for line in ax.lines if line.get_linewidth() == 0.4)
    assert last == pytest.approx([0.81, 0.91])
    assert "one task each (4, 3 never)" in labels(ax)


def test_learning_of_attention_has_the_kinds_that_are_there(curves, ax):
    plots.draw_learning_of_attention(ax, curves, "gru")
    told = [text.get_text() for text in ax.get_legend().get_texts()]
    assert told == ["none (3, 1 never)", "gates by task and image (2, 1 never)"]


def test_what_was_learned_is_of_the_last_step(curves):
    table = plots.learned(curves[curves.family.isin(["gru_mtmf", "rnn_mtmf"])])
    assert table.networks.to_dict() == {"gru_mtmf": 3, "rnn_mtmf": 1}
    assert table.loc["rnn_mtmf", "trained"] == "0.9"
    assert table.loc["gru_mtmf", "object never trained"].startswith("0.9 [")


# ---------------------------------------------------------------- what makes networks learn


@pytest.fixture
def training():
    """A table as `wm.nback.variants` writes it, each variant a hundredth below the one before."""
    rows = []
    for k, (name, variant) in enumerate(VARIANTS.items()):
        for seed in range(3):
            for place, split in enumerate(SPLITS):
                value = 0.98 - 0.01 * k - 0.01 * place + 0.001 * seed
                reached = 100.0 * (k + 1) if value > behaviour.BARS.get(split, 1) else np.nan
                about = {"family": "gru_mtmf", "variant": name, "setting": variant.setting, "seed": seed}
                rows.append(about | {"split": split, "validation": value, "reached": reached})
    return pd.DataFrame(rows)


def test_settings_are_compared_at_the_end_of_training(training, ax):
    plots.draw_training(ax, training)
    dots = np.concatenate([line.get_xdata() for line in ax.lines if line.get_marker() == "."])
    shown = training[training.split.isin(["trained", "novel_angle"])]
    assert sorted(dots) == pytest.approx(sorted(shown.validation)) and len(dots) == 2 * len(VARIANTS) * 3
    assert [label.get_text() for label in ax.get_yticklabels()] == [v.setting for v in VARIANTS.values()]


def test_settings_that_never_are_at_a_bar_have_crosses(training, ax):
    plots.draw_updates(ax, training)
    dots = np.concatenate([line.get_xdata() for line in ax.lines if line.get_marker() == "."])
    never = training[training.split.isin(["trained", "novel_angle"])].reached.isna().sum()
    assert len(crosses(ax)) == never > 0 and len(dots) == 2 * len(VARIANTS) * 3 - never
    assert min(x for x, _ in crosses(ax)) > dots.max() and ax.get_xscale() == "log"
    assert ax.get_xlim()[0] < dots.min() and ax.get_xlim()[1] > max(x for x, _ in crosses(ax))


def test_settings_of_which_none_is_at_a_bar_are_drawn_all_the_same(training, ax):
    plots.draw_updates(ax, training.assign(reached=np.nan))
    assert len(crosses(ax)) == 2 * len(VARIANTS) * 3


def test_a_table_of_settings_counts_networks_above_both_bars(training):
    table = plots.training_table(training)
    assert [*table.index] == [("gru_mtmf", variant.setting) for variant in VARIANTS.values()]
    assert [*table.columns] == [*SPLITS, "above"]
    assert table.above.tolist()[:4] == ["3 of 3", "3 of 3", "3 of 3", "2 of 3"]
    assert table.above.iloc[-1] == "0 of 3" and table.trained.iloc[0] == pytest.approx(0.981)
