"""Stages: labels by walking, planted codes, what no decoder can know, planted shapes, tables, panels."""

import matplotlib.pyplot as plt
import numpy as np
import pandas as pd
import pytest

from wm import store, style, symbolic
from wm.symbolic import phase_geometry, stage_plots, stages
from wm.symbolic.library import Trained, to_network

CYCLE = symbolic.Cycle()
TOKENS = CYCLE.windows(10).tokens
KNOWN = stages.labels(CYCLE, TOKENS)
PHASE = np.arange(18)


def network(family="cycle", seed="0", **changes):
    config = symbolic.config(family, **changes)
    record = {"config": vars(config) | {"holding": list(config.holding)}, "seed": seed, "scores": {}}
    return Trained(f"{family}-0{seed}", seed, config, symbolic.untrained(config, seed), record)


# ---------------------------------------------------------------- labels and states


@pytest.mark.parametrize("holding", [(6,), (5, 6, 7), (2,)])
def test_labels_are_those_of_a_walk(holding):
    cycle = symbolic.Cycle(3, holding)
    tokens = cycle.windows(9).tokens
    known = stages.labels(cycle, tokens)
    for window, held in zip(tokens, known.held, strict=True):
        for t in range(9):
            back = t
            while back > 0 and window[back - 1] == window[t]:
                back -= 1
            assert held[t] == (0 if back == 0 else t - back + 1)
    assert np.array_equal(known.symbol, tokens) and np.allclose(known.next.sum(axis=-1), 1)
    assert known.first == max(holding)  # counted from 0
    unique = len(np.unique(known.phase[:, -1]))
    assert unique == 3 * max(holding)


def test_phases_come_in_the_order_of_the_cycle():
    order = np.argsort(KNOWN.phase[:, -1])
    assert np.array_equal(CYCLE.phases(TOKENS)[order], PHASE)
    with pytest.raises(ValueError, match="windows are too short"):
        _ = stages.labels(CYCLE, TOKENS[:, :4]).first


def test_states_are_those_at_the_hook_points():
    each = network()
    found = stages.states(each.model, TOKENS)
    assert [*found][:5] == ["embed", "pos_embed", "resid_pre", "attn_out", "resid_post"]
    assert np.allclose(found["embed"] + found["pos_embed"], found["resid_pre"], atol=1e-6)
    assert np.allclose(found["resid_pre"] + found["attn_out"], found["resid_post"], atol=1e-5)
    attn = each.model.blocks[0].attn
    by_head = sum(found[f"head {h}"] @ attn.W_O[h].double().numpy() for h in range(9)) + attn.b_O.numpy()
    assert np.allclose(by_head, found["attn_out"], atol=1e-5) and "head 9" not in found
    assert [*stages.states(network("gru").model, TOKENS)] == ["state"]
    assert [*stages.states(network("mlp").model, TOKENS)] == ["hidden_0", "hidden_1"]


def test_last_states_are_means_over_the_windows_of_a_phase():
    each = network("jitter")
    cycle = each.config.cycle()
    windows = cycle.windows(10)
    x, found = (
        stages.states(each.model, windows.tokens)["attn_out"][:, -1],
        stages.last_states(each, "attn_out"),
    )
    phase = stages.labels(cycle, windows.tokens).phase[:, -1]
    assert found.shape == (21, 72) and len(x) == 42
    for row, k in zip(found, np.unique(phase), strict=True):
        own = phase == k
        assert np.allclose(row, np.average(x[own], axis=0, weights=windows.probability[own]))
    one = stages.last_states(network("gru"))
    assert np.allclose(
        one, stages.states(network("gru").model, TOKENS)["state"][np.argsort(CYCLE.phases(TOKENS)), -1]
    )


def test_different_states_are_counted_as_the_architecture_has_them():
    found = stages.geometry(network()).set_index("stage")
    assert found.distinct.to_dict() == {
        "embed": 3, "pos_embed": 10, "resid_pre": 30, "attn_out": 135, "resid_post": 135
    }  # fmt: skip
    assert found.distinct_last.tolist() == [3, 1, 3, 18, 18]
    assert found.kind.isna().tolist() == [True, True, True, False, False]
    assert (
        stages.distinct(np.repeat(np.eye(4), 3, axis=0) + 1e-9) == 4 and stages.distinct(np.ones((5, 2))) == 1
    )


# ---------------------------------------------------------------- decoding


def read(x, **options):
    return stages.decode(x, KNOWN, **options).set_index(["variable", "left_out"])


def codes(values):
    return np.eye(values.max() + 1)[values]


def test_token_and_position_tell_the_symbol_and_nothing_more():
    positions = np.broadcast_to(5 * np.eye(10), (18, 10, 10))
    found = read(np.concatenate([codes(KNOWN.symbol), positions], axis=-1))
    assert found.score["symbol", "position"] == found.score["symbol", "held"] == 1
    assert found.score["phase", "position"] == pytest.approx(1 / 6)
    assert found.score["held", "position"] == found.score["held", "symbol"] == pytest.approx(1 / 6)
    assert found.score["next", "position"] == pytest.approx(7 / 12, abs=0.01)  # 1 - (5/36) (2/3) / (2/9)
    assert found.chance.round(3).tolist() == [0.333, 0.167, 0.056, 0, 0.333, 0.167]
    assert found.null.isna().all()


def test_a_counter_is_read_at_new_positions_and_under_new_symbols():
    found = read(np.concatenate([codes(KNOWN.symbol), codes(KNOWN.held)], axis=-1))
    assert np.allclose(found.score[found.chance > 0], 1)


def test_a_count_of_each_symbols_own_is_a_phase_and_no_counter():
    found = read(codes(KNOWN.phase))
    assert found.score["phase", "position"] == 1 and found.score["next", "position"] > 0.95
    assert found.score["held", "symbol"] <= 1 / 6 + 1e-9


def test_counts_in_directions_that_add_up_to_nothing_are_read_backwards():
    corners = np.exp(2j * np.pi * np.arange(3) / 3)[KNOWN.symbol] * (KNOWN.held - 3.5)
    x = np.stack([corners.real, corners.imag], axis=-1)
    assert read(x).score["held", "symbol"] < 0.05


def test_codes_that_change_with_the_position_are_not_read_at_a_new_one():
    x = np.zeros((18, 10, 10, 21))
    for t in range(10):
        x[:, t, t] = codes(KNOWN.phase)[:, t]
    found = read(x.reshape(18, 10, -1), only="phase")
    assert found.score.item() <= 1 / 18 + 1e-9  # although the states of each position all differ
    assert stages.distinct(x[:, -1].reshape(18, -1)) == 18


def test_noise_is_at_chance_and_the_null_is_too():
    x = np.random.default_rng(0).normal(size=(18, 10, 40))
    found = read(x, shuffles=3)
    rest = found[found.chance > 0]
    assert (np.abs(rest.score - rest.chance) < 0.2).all() and (np.abs(rest.null - rest.chance) < 0.2).all()
    assert found.score["next", "position"] < 0.1 and (found.null_high >= found.null).all()
    again = read(x, shuffles=3)
    pd.testing.assert_frame_equal(found, again)


def test_by_position_counts_what_occurs_there():
    found = stages.by_position(codes(KNOWN.phase), KNOWN).set_index("position")
    assert [*found.index] == [*range(2, 11)]
    classes = [6, 9, 12, 15, 18, 18, 18, 18, 18]
    assert np.allclose(found.chance, 1 / np.array(classes))
    assert np.allclose(found.symbol_alone, 3 / np.array(classes))
    # what occurs at one position only (a count of t - 1 with no other) cannot be read there
    assert (found.score[found.index > 6] == 1).all() and (found.score > 0.6).all()
    token = stages.by_position(codes(KNOWN.symbol), KNOWN).set_index("position")
    assert (token.score <= token.symbol_alone + 1e-9).all()


# ---------------------------------------------------------------- geometry


def ring(phases=18, units=20, seed=0):
    angle = 2 * np.pi * np.arange(phases) / phases
    plane = np.linalg.qr(np.random.default_rng(seed).normal(size=(units, 2)))[0]
    return np.stack([np.cos(angle), np.sin(angle)], axis=1) @ plane.T


def clusters(seed=0, spread=0.1):
    generator = np.random.default_rng(seed)
    return np.repeat(generator.normal(size=(3, 20)), 6, axis=0) + spread * generator.normal(size=(18, 20))


def arcs():
    angle = 2 * np.pi * (np.repeat(np.arange(3), 6) + 0.25 * np.tile(np.linspace(-1, 1, 6), 3)) / 3
    return np.stack([np.cos(angle), np.sin(angle)], axis=1)


def test_planted_shapes_are_told_apart():
    assert phase_geometry.describe(ring())["kind"] == "ring"
    assert phase_geometry.describe(arcs())["kind"] == "arcs"
    line = np.arange(18.0)[:, None] * np.ones((1, 5))
    assert phase_geometry.describe(line)["kind"] == "arcs"  # its ends do not meet
    kinds = [phase_geometry.describe(clusters(seed))["kind"] for seed in range(20)]
    assert kinds.count("clusters") >= 17 and "ring" not in kinds
    noise = np.random.default_rng(0)
    kinds = [phase_geometry.describe(noise.normal(size=(18, 30)))["kind"] for _ in range(20)]
    assert kinds.count("none") >= 17 and "ring" not in kinds


def test_noisy_rings_stay_rings_and_shuffled_ones_do_not():
    generator = np.random.default_rng(1)
    noisy = ring(units=30) + 0.03 * generator.normal(size=(18, 30))
    assert phase_geometry.describe(noisy)["kind"] == "ring"
    found = phase_geometry.order(noisy[generator.permutation(18)])
    assert found.any_p > 0.05 and found.any_ratio > 0.8


def test_numbers_of_an_even_ring():
    x = ring()
    assert np.allclose(phase_geometry.steps(x), 2 * np.sin(np.pi / 18))
    assert phase_geometry.gap(x) == pytest.approx(1) and phase_geometry.neighbours(x) == 1
    assert phase_geometry.circular_correlation(x) == pytest.approx(1)
    assert phase_geometry.circular_correlation(x[::-1]) == pytest.approx(1)
    profile = phase_geometry.distance_profile(x)
    assert np.allclose(profile / profile[0], np.sin(np.pi * np.arange(1, 10) / 18) / np.sin(np.pi / 18))
    found = phase_geometry.describe(x)
    assert found["dimension"] == pytest.approx(2) and found["plane"] == pytest.approx(1)
    assert {*found} == {*phase_geometry.COLUMNS}
    tour, shuffled = (
        18 * 2 * np.sin(np.pi / 18),
        18 * (profile[0] and 2 * np.sin(np.pi * np.arange(1, 18) / 18).mean()),
    )
    assert found["any_ratio"] == pytest.approx(tour / shuffled, rel=0.02)


def test_circular_correlation_of_three_clusters_is_high_too():
    corners = np.repeat(np.exp(2j * np.pi * np.arange(3) / 3), 6)
    x = np.stack([corners.real, corners.imag], axis=1)
    assert phase_geometry.circular_correlation(x) == pytest.approx(0.83, abs=0.005)


def test_shares_of_variance_are_those_planted():
    generator = np.random.default_rng(0)
    symbol, held = np.divmod(PHASE, 6)
    parts = {"symbol": np.eye(3)[symbol], "held": np.eye(6)[held], "both": np.eye(18)[PHASE]}
    for name in ("symbol", "held"):
        found = phase_geometry.additive_shares(parts[name] @ generator.normal(size=(parts[name].shape[1], 8)))
        assert found[name] == pytest.approx(1)
    found = phase_geometry.additive_shares(parts["both"])
    assert found == pytest.approx({"symbol": 2 / 17, "held": 5 / 17, "both": 10 / 17})


def test_distances_to_others_are_those_of_a_loop():
    from wm.geometry import angular_procrustes

    xs = [ring(seed=seed) + 0.1 * np.random.default_rng(seed).normal(size=(18, 20)) for seed in range(3)]
    same, shuffled = phase_geometry.to_others(xs, shuffles=4)
    expected = [np.mean([angular_procrustes(xs[i], xs[j]) for j in range(3) if j != i]) for i in range(3)]
    assert np.allclose(same, expected) and (shuffled > same + 0.1).all()
    with pytest.raises(ValueError, match="need two of them"):
        phase_geometry.to_others(xs[:1])


def test_a_walk_along_the_windows_is_free():
    window = phase_geometry.window_states(CYCLE, 10)
    assert window.shape == (18, 30) and (window.sum(axis=1) == 10).all()
    found = phase_geometry.describe(window)
    assert found["kind"] == "ring" and found["gap"] == pytest.approx(1, abs=0.25)


def test_wrong_states_are_refused():
    with pytest.raises(ValueError, match="as many phases in all symbols"):
        phase_geometry.order(np.ones((17, 3)))
    with pytest.raises(ValueError, match="all states agree"):
        phase_geometry.order(np.ones((18, 3)))


# ---------------------------------------------------------------- tables and panels


@pytest.fixture(scope="module")
def tables(tmp_path_factory):
    """Measures of one untrained network of three families, as if they were saved."""
    patch = pytest.MonkeyPatch()
    for name in ("WM_DATA", "WM_DATA_JSON"):
        patch.setenv(name, str(tmp_path_factory.mktemp(name)))
    patch.setattr(stages, "SHUFFLES", 1)
    for family in ("cycle", "gru"):
        store.save_network(to_network(network(family), {}))
    rows = stages.measure(["cycle", "gru"])
    yield rows, {name: stages.table(name) for name in ("stages", "attention", "phase_geometry")}
    patch.undo()


def test_measure_writes_what_table_reads(tables):
    rows, written = tables
    same = written["stages"].astype({"seed": str})
    pd.testing.assert_frame_equal(rows, same, rtol=1e-5, atol=1e-6, check_dtype=False)
    assert [*rows][:5] == ["family", "network", "seed", "trained", "stage"]
    cycle = rows[(rows.family == "cycle") & rows.trained]
    assert [*cycle.stage.unique()] == [
        "resid_pre",
        "attn_out",
        "resid_post",
        *(f"head {h}" for h in range(9)),
    ]
    assert [*rows[~rows.trained].stage.unique()] == ["resid_post", "state"]
    main = cycle[(cycle.stage == "resid_post") & (cycle.position == 0)]
    assert [(r.variable, r.left_out) for r in main.itertuples()] == [*stage_plots.READINGS]
    assert main.null.notna().all() and cycle[cycle.stage == "resid_pre"].null.isna().all()
    assert [*cycle[cycle.position > 0].position] == [*range(2, 11)]
    assert len(written["attention"]) == 18 and len(written["phase_geometry"]) == 2 * 5 + 2
    kinds = written["phase_geometry"].kind.dropna().unique()
    assert {*kinds} <= {*phase_geometry.KINDS}
    with pytest.raises(ValueError, match="this is not measured on 'lorenz' networks"):
        stages.measure(["lorenz"])


def test_panels_draw_what_they_are_given(tables):
    found = tables[1]
    heads, shapes = found["attention"], found["phase_geometry"]
    fig, ax = style.figure(17, 20, "abcd;efgh;ijkl")
    pattern = np.random.default_rng(0).dirichlet(np.ones(10), size=18)
    image = stage_plots.draw_pattern(ax["a"], pattern, TOKENS)
    assert np.allclose(np.asarray(image.get_array()) ** 2, pattern)
    begins = [10 - (KNOWN.held[w, -1]) + 0.5 for w in range(18)]
    assert [line.get_xdata()[0] for line in ax["a"].lines] == begins
    stage_plots.phase_ticks(ax["a"])
    stage_plots.draw_columns(ax["b"], heads, ["cycle"], "entropy")
    assert sorted(len(dots.get_offsets()) for dots in ax["b"].collections) == [9, 9]
    stage_plots.hollow_key(ax["b"])
    assert [text.get_text() for text in ax["b"].get_legend().get_texts()] == ["trained", "untrained"]
    stage_plots.draw_entropy_growth(ax["c"], heads)
    stage_plots.draw_score_parts(ax["d"], heads)
    stage_plots.draw_stages(ax["e"], found["stages"], floor=1 / 6)
    assert [text.get_text() for text in ax["e"].get_xticklabels()] == [*stage_plots.SHOWN.values(), "GRU"]
    stage_plots.draw_readings(ax["f"], found["stages"], {"cycle": "resid_post", "gru": "state"})
    stage_plots.draw_by_position(ax["g"], found["stages"], ["cycle", "gru", "mlp"])
    stage_plots.draw_states(ax["h"], ring())
    apart = shapes.loc[shapes.kind.notna(), [f"apart_{d}" for d in range(1, 10)]].to_numpy()
    stage_plots.draw_distances(ax["i"], {"all": (apart, {"color": "black"})})
    stage_plots.draw_shares(ax["j"], shapes, {"all": shapes.kind.notna()})
    heights = [bar.get_height() for bar in ax["j"].patches]
    assert sum(heights) == pytest.approx(1, abs=1e-4)
    plt.close(fig)


def test_states_are_turned_to_go_round_from_phase_0():
    for x in (ring(), ring()[:, ::-1], -3 * ring() + 2):
        places = stage_plots.pca(x)
        angle = 2 * np.pi * PHASE / 18
        assert np.allclose(places, np.stack([np.cos(angle), np.sin(angle)], axis=1), atol=1e-8)
