"""Gate or clip: planted ones are found as what they are, by the engine's own rates; and the panels."""

import matplotlib.pyplot as plt
import numpy as np
import pandas as pd
import pytest
import torch

from wm import plastic
from wm.plastic import mechanism
from wm.plastic import mechanism_plots as plots
from wm.plastic.measures import BY_TIME, Curves
from wm.plastic.rates import Knobs, rates_of
from wm.plastic.rules import Write

ETA0, LENGTH = 0.2, 31


def rates(logit, norm):
    """What the engine makes of planted logits and norms of updates, both (network, trial, time)."""
    logit, norm = (torch.as_tensor(each, dtype=torch.float64) for each in (logit, norm))
    writes = {"layer": Write(norm[..., None], torch.ones_like(norm)[..., None])}
    one = torch.ones(len(logit), 1, 1, dtype=torch.float64)
    return rates_of(plastic.config("copying_hebbian"), logit, writes, Knobs(ETA0 * one, one, one > 0))


def planted(kind, shape=(6, 20, LENGTH), seed=0):
    """Rates that vary by the gate alone, by the clip alone, or as much by either."""
    drawn = np.random.default_rng(seed).normal(size=(2, *shape))
    logit = -6 + drawn[0] if kind != "clip" else np.full(shape, -6.0)  # so low that log sigmoid is the logit
    norm = 1e3 * np.exp(drawn[1]) if kind != "gate" else np.full(shape, 0.5)
    return rates(logit, norm)


def numbers(found):
    return found.rate.numpy(), found.ratio.numpy()


@pytest.mark.parametrize("kind, gate, clip", [("gate", 1, 0), ("clip", 0, 1), ("both", 0.5, 0.5)])
def test_a_planted_cause_is_found_as_what_it_is(kind, gate, clip):
    found = mechanism.shares(mechanism.split(*numbers(planted(kind)), ETA0))
    near = {"abs": 1e-9 if kind != "both" else 0.1}
    assert found["gate"].mean((0, 1)) == pytest.approx(gate, **near)
    assert found["clip"].mean((0, 1)) == pytest.approx(clip, **near)
    assert np.allclose(found["gate"] + found["clip"], 1)


def test_the_split_of_single_tokens_is_exact():
    found = rates(np.linspace(-3, 3, 60).reshape(1, 2, 30), np.geomspace(0.01, 100, 60).reshape(1, 2, 30))
    parts = mechanism.split(*numbers(found), ETA0)
    assert np.allclose(parts.gate, found.logit.sigmoid().log10(), atol=1e-12)
    assert np.allclose(parts.clip, np.log10(np.minimum(1, 1 / found.norm.numpy())), atol=1e-6)
    assert np.allclose(parts.rate, parts.gate + parts.clip, atol=1e-12)


def test_the_gate_of_means_is_weighted_by_the_clip():
    found = planted("both")
    parts = mechanism.split(found.rate.mean(1), found.ratio.mean(1), ETA0)
    weighted = (found.logit.sigmoid() * found.ratio).sum(1) / found.ratio.sum(1)
    assert np.allclose(parts.gate, weighted.log10())


def test_what_is_written_is_constant_where_the_clip_is_always_on():
    found = planted("clip")
    written = (found.rate * found.norm).log10()
    assert written.std() < 1e-6 < found.rate.log10().std()


def test_a_rate_that_does_not_vary_has_no_shares():
    found = mechanism.shares(mechanism.split(np.full((2, 5), 0.1), np.ones((2, 5))))
    assert np.isnan(found["gate"]).all() and np.isnan(found["clip"]).all()


def test_no_rate_has_no_logarithm():
    with pytest.raises(ValueError, match="must be positive: leave out networks that write nothing"):
        mechanism.split(np.zeros(3), np.ones(3))


def test_tokens_of_a_network_are_the_product_of_their_parts():
    for settings in (
        plastic.config("published_copying_hebbian"),
        plastic.config("published_copying_gradient"),
    ):
        found = mechanism.tokens(plastic.untrained(settings, "0"), trials=4)
        assert found.rate.shape == (4, LENGTH)
        assert np.allclose(found.rate, ETA0 * found.gate * found.clip, rtol=1e-5)
        assert np.allclose(found.rate * found.norm, ETA0 * found.gate * np.minimum(found.norm, 1), rtol=1e-4)
    fixed = plastic.untrained(plastic.config("published_copying_hebbian", modulated=False), "0")
    assert (mechanism.tokens(fixed, trials=2).gate == 0.5).all()
    table = mechanism.spread({"mine": found})
    assert table.loc["mine", "share of clip"] + table.loc["mine", "share of gate"] == pytest.approx(
        1, abs=1e-3
    )


# --- tables


def made(gate, clip, presets=("published",), tasks=("copying",), seeds=6):
    """Gradient networks with an open gate and no clip; Hebbian ones lower by these decades."""
    rng, rows = np.random.default_rng(1), []
    for preset in presets:
        for task in tasks:
            for seed in range(seeds):
                about = {"preset": preset, "task": task, "seed": seed, "eta0": ETA0, "updates": 100}
                about |= {"rate_spread": 0.01, "plastic_norm": 1e-3, "variant": "usual"}
                jitter = 10 ** (0.01 * rng.normal())
                rows.append(about | {"rule": "gradient", "rate": 0.1 * jitter, "clip_ratio": 1.0})
                low = 10.0**-clip * jitter
                rows.append(about | {"rule": "hebbian", "rate": 0.1 * 10.0**-gate * low, "clip_ratio": low})
                rows.append(about | {"rule": "none", "rate": 0.0, "clip_ratio": 1.0})
    return pd.DataFrame(rows)


@pytest.mark.parametrize("gate, clip", [(2.0, 0.0), (0.0, 2.0), (0.5, 1.5), (-0.5, 2.0)])
def test_decades_between_rules_are_those_planted(gate, clip):
    rows = made(gate, clip)
    gaps = mechanism.between_rules(rows)
    assert len(gaps) == 6 and np.allclose(gaps.rate, gaps.gate + gaps["clip"])
    assert gaps.gate.mean() == pytest.approx(gate, abs=0.03) and gaps["clip"].mean() == pytest.approx(
        clip, abs=0.03
    )
    for part, decades in (("gate", gate), ("clip", clip)):
        share = mechanism.explained(rows, part, n=200)
        assert share.ours == pytest.approx(decades / (gate + clip), abs=0.03) and share.n_networks == 6


def test_tables_are_in_order_of_preset_and_task():
    rows = made(0.0, 2.0, ("sound", "published"), ("regression", "copying"))
    gaps = mechanism.between_rules(rows)
    order = [
        ("published", "copying"),
        ("published", "regression"),
        ("sound", "copying"),
        ("sound", "regression"),
    ]
    assert [*gaps.groupby(["preset", "task"], sort=False).groups] == order
    table = mechanism.explained_table({"end": rows}, n=50)
    assert table.loc["copying", ("sound", "end")].startswith("1.00 [1.00")


def curves(**found):
    """Values by time (network, time) by family: rate, clip ratio and norm; others are 0."""
    values = {}
    for family, (rate, clip, norm) in found.items():
        arrays = {"rate": rate, "clip_ratio": clip, "update_norm": norm}
        whole = [np.broadcast_to(arrays.get(name, 1e-3), rate.shape) for name in BY_TIME]
        values[family] = np.stack(whole, axis=1)[None].astype(np.float32)
    return Curves(values, {family: ["usual"] for family in values}, [*BY_TIME], {})


@pytest.fixture
def by_time():
    """A Hebbian network with a planted clip, a gradient one with a planted gate, one diverged."""
    found = {}
    for family, kind in (("published_copying_hebbian", "clip"), ("published_copying_gradient", "gate")):
        each = planted(kind, (3, 1, LENGTH))
        found[family] = tuple(value[:, 0].numpy().copy() for value in (each.rate, each.ratio, each.norm))
    for value in found["published_copying_gradient"]:
        value[2] = np.nan
    return curves(**found)


def test_shares_along_a_sequence_are_those_planted(by_time):
    found = mechanism.over_tokens(by_time, [*by_time.values]).groupby("rule")
    assert found.size().to_dict() == {"gradient": 2, "hebbian": 3}
    assert found["clip"].mean().to_dict() == pytest.approx({"gradient": 0, "hebbian": 1}, abs=1e-3)
    assert (found.spread.min() > 0.3).all() and found.spread_written.max()["hebbian"] < 1e-3


def test_series_names_what_it_lacks(by_time):
    assert mechanism.series(by_time, "published_copying_hebbian", "rate").shape == (3, LENGTH)
    with pytest.raises(ValueError, match="no metric 'speed': there are score, rate"):
        mechanism.series(by_time, "published_copying_hebbian", "speed")
    with pytest.raises(ValueError, match="no variant 'usual' of copying_none: there are none"):
        mechanism.series(by_time, "copying_none", "rate")


def test_salience_is_of_items_and_delimiter():
    rate = np.full((2, LENGTH), 0.01)
    rate[:, [0, 1, 2, 3, 4, 25]] = 0.1
    assert mechanism.salience(rate) == pytest.approx([1, 1])
    with pytest.raises(ValueError, match="have 31 tokens here, got 30"):
        mechanism.salience(rate[:, 1:])


def test_margins_and_published_numbers():
    rate = mechanism.PUBLISHED["copying", "gradient"]["rate"]
    assert (rate.mean, rate.margin) == (0.0842, 0.0155)  # its standard deviation is the larger
    assert mechanism.PUBLISHED_UPDATES == {"copying": 100, "cue_reward": 400, "regression": 750}
    for (task, rule), published in mechanism.PUBLISHED.items():
        assert (published["rate"][0] > 0.08) == (rule == "gradient") and task in plastic.TASKS


# --- panels


def test_log_bands_are_geometric(ax):
    plots.log_band(ax, [1, 2], np.array([[1.0, np.nan], [100.0, 4.0]]), color="black")
    assert ax.lines[0].get_ydata() == pytest.approx([10, 4])
    plots.log_band(ax, [1, 2], np.array([[1.0, 3.0]]), color="black")
    assert ax.lines[1].get_ydata() == pytest.approx([1, 3])


def test_training_shows_published_numbers_hollow(ax):
    rows = pd.concat([made(0, 2), made(0, 2).assign(updates=1000)])
    plots.draw_through_training(ax, rows, "copying", "rate")
    lines = {line.get_label(): line for line in ax.lines if not line.get_label().startswith("_")}
    assert lines["Gradient"].get_xdata().tolist() == [100, 1000]
    assert [each.lines[0].get_ydata()[0] for each in ax.containers] == [4.34e-4, 0.0842]


def test_traces_have_a_panel_for_each_row_and_task(by_time, closed):
    fig, axes = plots.trace_figure("c", ["copying"])
    for (row, task), each in axes.items():
        plots.draw_in_time(each, by_time, "published", task, row)
    plots.tidy_traces(axes)
    plots.rule_legend(fig)
    assert [row for row, _ in axes] == [*plots.TRACES]
    gate, score = (axes[row, "copying"] for row in ("gate", "score"))
    assert gate.lines[0].get_ydata() == pytest.approx(1 / (1 + np.exp(6)), rel=1e-3)  # Hebbian: constant
    assert np.isnan(score.lines[0].get_ydata()).sum() == LENGTH - 5
    assert axes["update_norm", "copying"].lines[-1].get_ydata() == [1, 1]
    fig.draw_without_rendering()


def test_updates_lie_on_the_line_of_a_half_open_gate(ax):
    found = rates(np.zeros((1, 4, 30)), np.geomspace(0.01, 100, 120).reshape(1, 4, 30))
    parts = (found.rate, found.logit.sigmoid(), found.norm, found.ratio)
    plots.draw_updates(ax, {"hebbian": mechanism.Tokens(*(part[0].numpy() for part in parts))})
    norm, rate = ax.lines[0].get_data()
    dots = ax.collections[0].get_offsets()
    assert np.allclose(
        np.interp(np.log(dots[:, 0]), np.log(norm), np.log(rate)), np.log(dots[:, 1]), atol=0.02
    )


def test_bars_are_the_parts(by_time, closed):
    fig, axes = plt.subplots(1, 2)
    plots.draw_apart(axes[0], mechanism.between_rules(made(0.5, 1.5, ("published", "sound"))))
    assert [bar.get_width() for bar in axes[0].patches] == pytest.approx([0.5, 1.5] * 2, abs=0.03)
    plots.draw_shares(axes[1], mechanism.over_tokens(by_time, [*by_time.values]), "hebbian")
    assert [bar.get_width() for bar in axes[1].patches] == pytest.approx([1, 0], abs=1e-3)
    assert [label.get_text() for label in axes[0].get_yticklabels()] == ["copying", "copying"]
    plots.part_legend(fig)
    assert len(fig.legends[0].get_texts()) == 5
