"""Memory span: exact limits by plain counting, planted counters, tiny trainings, and the panels."""

from fractions import Fraction

import matplotlib.pyplot as plt
import numpy as np
import pandas as pd
import pytest
import torch
from matplotlib.collections import LineCollection, PathCollection

from wm import paths, store, style, symbolic
from wm.symbolic import span, span_plots, strips, training_plots
from wm.symbolic.library import to_network


class Counter(torch.nn.Module):
    """A hand-made network that predicts exactly from the last `seen` symbols, and sees no others."""

    def __init__(self, process, seen):
        super().__init__()
        self.process, self.seen = process, seen

    def forward(self, tokens):
        places = [
            self.process.predictive(tokens[:, max(0, t - self.seen) : t].numpy())[:, -1]
            for t in range(1, tokens.shape[1] + 1)
        ]
        return torch.as_tensor(np.log(np.stack(places, axis=1) + 1e-12))


def counted(holding, symbols, context):
    """Ceiling and floor of the last prediction, from all runs of a deterministic cycle written out."""
    stream = [s for s in range(symbols) for _ in range(holding)]
    period = len(stream)
    followers: dict[tuple, list] = {}
    for start in range(period):
        window = tuple(stream[(start + t) % period] for t in range(context))
        followers.setdefault(window, []).append(stream[(start + context) % period])
    best = sum(Fraction(max(seen.count(s) for s in seen), period) for seen in followers.values())
    floor = -sum(
        seen.count(s) / period * np.log(seen.count(s) / len(seen))
        for seen in followers.values()
        for s in set(seen)
    )
    return float(best), floor


@pytest.mark.parametrize("symbols", [2, 3, 4])
@pytest.mark.parametrize("holding", [1, 2, 3, 5, 6])
def test_limits_at_the_last_place_are_those_of_plain_counting(symbols, holding):
    process = symbolic.Cycle(symbols, (holding,))
    found = span.exact(process, holding + 3)
    for context in range(1, holding + 4):
        ceiling, floor = counted(holding, symbols, context)
        assert found.accuracy_by_place[context - 1] == pytest.approx(ceiling)
        assert found.loss_by_place[context - 1] == pytest.approx(floor, abs=1e-12)
        assert span.exact(process, context).accuracy_by_place[-1] == pytest.approx(ceiling)
        assert ceiling == pytest.approx(1 if context >= holding else 1 - 1 / holding)


@pytest.mark.parametrize("seen", [1, 2, 3, 4, 6])
def test_a_counter_of_n_symbols_reaches_the_ceiling_of_n_symbols(seen):
    process = symbolic.Cycle(3, (4,))
    loss, accuracy = span.reach([planted(process, seen)], process, 8)
    ceiling, floor = counted(4, 3, seen)
    assert accuracy[0, -1] == pytest.approx(ceiling) and loss[0, -1] == pytest.approx(floor, abs=1e-9)


def test_planted_counters_have_the_span_of_what_they_see():
    """A model limited to n symbols, asked with every context: right from h on if n >= h, else never."""
    process, rows = symbolic.Cycle(3, (3,)), []
    for seen in (2, 3, 5):
        accuracy = span.reach([planted(process, seen)], process, 6)[1][0]
        rows += [("cycle", 3, seen, context, accuracy[context - 1]) for context in range(1, 7)]
    table = pd.DataFrame(rows, columns=["family", "h", "seed", "context", "last_accuracy"])
    found = span.spans(table.sample(frac=1, random_state=0)).set_index("seed").span
    assert np.isnan(found[2]) and found[3] == found[5] == 3


def test_a_span_lasts_to_the_longest_context():
    rows = pd.DataFrame(
        {"family": "gru", "h": 3, "seed": 0, "context": [1, 2, 3, 4], "last_accuracy": [1, 0.9, 1, 1.0]}
    )
    assert span.spans(rows).span.tolist() == [3]


def test_on_floor_is_the_first_update_so_near():
    excess = np.array([[0.5, 0.02], [0.01, 0.3], [0.2, 0.011]])
    assert span.on_floor(excess).tolist() == [2, -1]


def planted(process, seen, name="planted"):
    config = symbolic.config("cycle", holding=process.holding)
    return symbolic.Trained(name, "0", config, Counter(process, seen), {})


# --- what was not trained


def test_switch_chance_of_a_counter_is_exact():
    for holding, chance in (((3,), (0, 0, 1)), ((2, 3), (0, 0.5, 1)), ((1, 2, 3), (1 / 3, 0.5, 1))):
        found = span.switch_chance(Counter(symbolic.Cycle(3, holding), 10), 3, 3)
        assert found == pytest.approx(chance, abs=1e-6)


def test_transfer_measures_what_is_lost_to_the_floor_of_another_process():
    exactly, other = symbolic.Cycle(3, (3,)), symbolic.Cycle(3, (2, 3))
    found = span.transfer({"jitter": [planted(other, 9)]}, {"3": exactly, "2, 3": other}, 5)
    assert found.process.tolist() == ["3", "2, 3"] and found.family.unique() == ["jitter"]
    assert found.excess[1] == pytest.approx(0, abs=1e-9)
    windows = exactly.windows(6)
    chances = np.stack([other.predictive(windows.tokens[:, :t])[:, -1] for t in range(1, 6)], axis=1)
    picked = np.take_along_axis(chances, windows.tokens[:, 1:, None], axis=-1)[..., 0]
    wanted = (windows.probability @ -np.log(picked)).mean() - exactly.floor(5)
    assert found.excess[0] == pytest.approx(wanted)
    assert found.last_ceiling[0] == pytest.approx(1)
    assert found.last_accuracy[1] == pytest.approx(found.last_ceiling[1])


# --- training


def test_settings_differ_from_the_family_as_said():
    wanted = span.setting("gru", 4, 5, 100)
    own = symbolic.config("gru")
    assert wanted == symbolic.config(
        "gru",
        holding=(4,),
        context=5,
        updates=100,
        learning_rate=10 * own.learning_rate,
        decay=0.25,
    )


def test_tiny_networks_have_the_exact_span(roots, own_randomness):
    found = span.measure(["mlp"], holds=(2, 3), around=(-2, -1, 0), seeds=("0", "1"), updates=150)
    assert found.groupby("h").context.unique().map(list).to_dict() == {2: [1, 2], 3: [1, 2, 3]}
    assert np.allclose(found.last_accuracy, found.last_ceiling)
    assert (found.last_loss - found.last_floor).between(-1e-6, 0.02).all()
    for row in found.itertuples():
        ceiling, floor = counted(row.h, 3, row.context)
        assert row.last_ceiling == pytest.approx(ceiling, abs=1e-5)
        assert row.last_floor == pytest.approx(floor, abs=1e-5)
        assert row.floor == pytest.approx(symbolic.Cycle(3, (row.h,)).floor(row.context), abs=1e-5)
    assert (span.spans(found).span == span.spans(found).h).all()
    assert (found.on_floor > 0).all() and (found.on_floor < 150).all()
    read = span.table()
    assert list(read) == list(found) and read.family.tolist() == ["mlp"] * 10
    record = store.read_json(paths.data_json() / "symbolic" / "span.json")
    assert record["runs"][0]["families"] == ["mlp"]


def test_measure_refuses_other_families(roots):
    with pytest.raises(ValueError, match="not measured on 'jitter' networks, only on cycle, gru, mlp"):
        span.measure(["jitter"])
    with pytest.raises(store.DamagedFile, match=r"span\.csv"):
        span.table()


# --- panels


@pytest.fixture
def rows():
    """A made table: accuracies at their ceilings, five contexts, six seeds."""
    cells = [
        (family, h, h + d, seed)
        for family in span.MEASURED
        for h in (3, 6)
        for d in span.AROUND
        for seed in range(6)
    ]
    table = pd.DataFrame(cells, columns=["family", "h", "context", "seed"])
    limits = [counted(h, 3, context) for h, context in zip(table.h, table.context, strict=True)]
    table["last_ceiling"], table["last_floor"] = np.transpose(limits)
    return table.assign(
        last_accuracy=table.last_ceiling, last_loss=table.last_floor + 0.01, loss=0.31, floor=0.3,
        on_floor=np.where(table.seed == 5, -1, 100), updates=1200,
    )  # fmt: skip


def bars(ax):
    """Heights of the horizontal bars of a panel."""
    lines = [each for each in ax.collections if isinstance(each, LineCollection)]
    return [path[0, 1] for each in lines for path in each.get_segments()]


def dots(ax):
    """Places of the dots of a panel, one array (dot, 2) per family."""
    return [each.get_offsets() for each in ax.collections if isinstance(each, PathCollection)]


def test_span_panels_draw_what_they_are_given(closed, rows):
    fig, axes = style.figure(15, 10, "abc;def")
    one = rows[rows.h == 6]
    span_plots.draw_by_context(axes["a"], one, span.MEASURED, "accuracy")
    assert bars(axes["a"]) == pytest.approx([5 / 6, 5 / 6, 1, 1, 1])
    places = np.concatenate(dots(axes["a"]))
    assert len(places) == len(one) and np.abs(places[:, 0] - places[:, 0].round()).max() < 0.42
    span_plots.draw_by_context(axes["b"], one, span.MEASURED, "loss")
    assert bars(axes["b"])[1] == pytest.approx(counted(6, 3, 5)[1])
    span_plots.draw_spans(axes["c"], rows, span.MEASURED)
    assert bars(axes["c"]) == [3, 6, 4, 7]
    assert sorted({y for own in dots(axes["c"]) for y in own[:, 1]}) == [3, 6]
    span_plots.draw_convergence(axes["d"], rows, span.MEASURED)
    heights = [each.get_offsets()[:, 1] for each in axes["d"].collections]
    assert [sorted({*h}) for h in heights] == [[100], [1200]] * 3  # networks that never came so near
    best = np.ones(8)
    span_plots.draw_reach(axes["e"], {"gru": np.full((2, 8), 0.9)}, best, context=5)
    assert axes["e"].lines[-1].get_ydata().tolist() == [0.9] * 8
    moved = pd.DataFrame({"family": ["gru", "gru"], "process": ["5", "6"], "excess": [2.0, 0.001]})
    image = span_plots.draw_transfer(axes["f"], moved, ["gru"], ["6", "5"])
    assert image.get_array().tolist() == [[0.001, 2.0]]
    assert [text.get_text() for text in axes["f"].texts if "." in text.get_text()] == ["0.0010", "2.00"]
    plt.close(fig)


def test_summary_is_over_networks(rows):
    found = span_plots.summary(rows)
    assert found.loc[("GRU", -1)].tolist() == pytest.approx([0.75, 0.75, 0.75, 0.75, 0.01])
    few = span_plots.summary(rows[rows.seed < 2])
    assert few[["95 % from", "to"]].isna().all(axis=None)


def test_open_phases_are_those_that_fit():
    windows = np.array([[(p + t) % 6 // 2 for t in range(4)] for p in range(6)])
    for window, found in zip(windows, training_plots.open_phases(windows), strict=True):
        wanted = [sum((other[:n] == window[:n]).all() for other in windows) for n in range(1, 5)]
        assert found.tolist() == wanted


def test_training_panels_draw_what_they_are_given(closed):
    process = symbolic.Cycle(3, (3,))
    fig, axes = style.figure(15, 12, "abc;def;ghi")
    training_plots.draw_streams(axes["a"], {"x": np.array([0, 0, 1]), "y": np.array([2, 2, 2])}, (1, 2))
    assert [text.get_text() for text in axes["a"].get_yticklabels()] == ["x", "y"]
    assert np.allclose(axes["a"].images[1].get_array()[0, :, :3], strips.RGB[2])
    training_plots.draw_windows(axes["b"], process, 4)
    assert (
        sorted(text.get_text() for text in axes["b"].texts if text.get_text() != "b") == ["2"] * 6 + ["3"] * 9
    )
    training_plots.draw_switch(
        axes["c"],
        {"cycle": np.array([0, 0, 1.0])},
        {"cycle": np.array([[0, 0, 1.0], [0, 0.2, 1]])},
        trained_up_to=2,
    )
    assert axes["c"].lines[2].get_ydata().tolist() == [0, 0.1, 1]
    exact = span.exact(process, 4).loss_by_place
    training_plots.draw_entropies(
        axes["d"], {"cycle": exact}, {"cycle": np.tile(exact, (3, 1))}, published=False
    )
    assert [bar.get_height() for bar in axes["d"].patches] == pytest.approx(exact)
    training_plots.draw_limits(axes["e"], symbolic.Cycle.floor, (2, 3), range(1, 7))
    assert axes["e"].lines[1].get_ydata()[-1] == pytest.approx(np.log(3) / 6)
    curves = {"gru": training_plots.History(np.array([50, 100]), np.array([[0.5, 0.2], [0.7, 0.3]]))}
    training_plots.draw_loss(axes["f"], curves, {"floor": 0.1})
    assert axes["f"].lines[2].get_ydata() == pytest.approx([0.6, 0.25])
    training_plots.draw_excess(axes["g"], curves, {"gru": 0.3})
    assert axes["g"].lines[0].get_ydata() == pytest.approx([0.2, 1e-6])
    training_plots.draw_finals(axes["h"], pd.DataFrame({"family": "gru", "excess": [1e-3, 2e-3]}), ["gru"])
    assert axes["h"].collections[0].get_offsets()[:, 1].tolist() == [1e-3, 2e-3]
    training_plots.family_legend(axes["i"], ["gru", "mlp"])
    assert len(axes["i"].get_legend().get_texts()) == 2
    plt.close(fig)


def test_histories_are_those_of_the_saved_networks(roots):
    with pytest.raises(ValueError, match="no mlp network is saved"):
        training_plots.histories("mlp")
    config = symbolic.config("mlp", updates=100)
    for seed in "01":
        model = symbolic.untrained(config, seed)
        kept = symbolic.Trained(f"mlp-0{seed}", seed, config, model, {"config": {}})
        history = {"step": [50, 100], "expected_loss": [1.0, float(seed)]}
        store.save_network(to_network(kept, history))
    steps, loss = training_plots.histories("mlp")
    assert steps.tolist() == [50, 100] and loss.tolist() == [[1, 0], [1, 1]]
    assert training_plots.histories("mlp", 1).loss.shape == (1, 2)
