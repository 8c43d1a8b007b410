"""Scores of Lorenz networks: the system itself passes, a chain with its shares alone fails."""

import numpy as np
import pytest

from wm import measured, style, symbolic
from wm.symbolic import lorenz, lorenz_compare, lorenz_plots, lorenz_scores
from wm.symbolic.lorenz_compare import (
    AGREES,
    LATE,
    Late,
    distances,
    go_on,
    hazard_r2,
    held_curves,
    late,
    losses,
    predictions,
    summary,
    windows,
)
from wm.symbolic.ngram import fit, fit_hazard
from wm.symbolic.runs import run_lengths

CONTEXT = 24


@pytest.fixture(scope="module")
def train():
    return lorenz.symbols(20_000)


@pytest.fixture(scope="module")
def reference():
    return summary(lorenz.sequences(60, 1500, part="reference"))


# ---------------------------------------------------------------- strings


def test_strings_of_the_system_itself_agree_with_it(reference):
    found = distances(summary(lorenz.sequences(20, 1500, part="floor")), reference)
    assert all(found[name] < AGREES[name] for name in AGREES)


def test_a_markov_chain_of_the_same_shares_holds_otherwise(train, reference):
    strings = go_on(fit(train[None], 1, 3), 20, 1500, context=1, seed=0)
    found, held = summary(strings), distances(summary(strings), reference)
    np.testing.assert_allclose(found.share, reference.share, atol=0.03)
    assert held["hold"] > 3 * AGREES["hold"] and held["autocorrelation"] > AGREES["autocorrelation"]


def test_a_semi_markov_chain_holds_as_long(train, reference):
    strings = go_on(fit_hazard(train[None], 3, earlier=0), 12, 800, context=CONTEXT, seed=0)
    assert distances(summary(strings), reference)["hold"] < 2 * AGREES["hold"]


def test_shuffled_strings_fail_though_their_shares_are_the_same(reference):
    true = lorenz.sequences(20, 1500, part="floor")
    shuffled = summary(np.random.default_rng(0).permuted(true, axis=1))
    np.testing.assert_array_equal(shuffled.share, summary(true).share)
    assert np.abs(shuffled.autocorrelation[:, 1:]).max() < 0.05
    found = distances(shuffled, reference)
    assert all(found[name] > 2 * AGREES[name] for name in AGREES)


def test_distances_of_a_planted_difference(reference):
    np.testing.assert_allclose([*distances(reference, reference).values()], 0)
    moved = reference._replace(
        autocorrelation=reference.autocorrelation + 0.1, held=reference.held - [[0.0], [0.3], [0.2]]
    )
    assert distances(moved, reference) == pytest.approx({"autocorrelation": 0.1, "hold": 0.3})


def test_strings_go_on_from_true_prompts_which_are_no_part_of_them(train):
    model = fit(train[None], 2, 3)
    found = go_on(model, 3, 30, context=2, seed="a")
    assert found.shape == (3, 30)
    np.testing.assert_array_equal(found, go_on(model, 3, 30, context=2, seed="a"))
    assert not np.array_equal(found, go_on(model, 3, 30, context=2, seed="b"))
    np.testing.assert_array_equal(found[:, :20], go_on(model, 3, 20, context=2, seed="a"))


# ---------------------------------------------------------------- predictions


def test_each_symbol_is_late_once_and_its_hold_is_that_of_the_whole_string(train):
    string = train[:500]
    tokens, held = windows(string, CONTEXT)
    assert tokens.shape == held.shape and tokens.shape[1] == CONTEXT + 1
    count = CONTEXT - LATE + len(tokens) * LATE
    np.testing.assert_array_equal(tokens[:, -1 - LATE : -1].ravel(), string[CONTEXT - LATE : count])
    for t, long in zip(range(CONTEXT - LATE, count), held[:, -1 - LATE : -1].ravel(), strict=True):
        assert (string[t - long + 1 : t + 1] == string[t]).all()
        assert t - long < 0 or string[t - long] != string[t]


def test_losses_are_those_of_the_predictor(train):
    tokens, held = windows(train[:400], CONTEXT)
    model = fit(train[None], 3, 3)
    logs = predictions(model, tokens)
    np.testing.assert_allclose(losses(logs, tokens), model.nll(tokens))
    found = late(logs, tokens, held)
    np.testing.assert_allclose(found.nll, model.nll(tokens)[:, -LATE:].ravel())
    stays = np.where(found.switch, np.inf, np.exp(-found.nll))
    assert (found.p_switch[~found.switch] == pytest.approx(1 - stays[~found.switch])) and found.switch.any()
    assert (np.exp(-found.nll[found.switch]) <= found.p_switch[found.switch] + 1e-12).all()


def test_networks_and_predictors_are_read_alike():
    config = symbolic.config("lorenz", context=CONTEXT, d_model=8, heads=2, layers=1)
    tokens, _ = windows(lorenz.symbols(200), CONTEXT)
    logs = predictions(symbolic.untrained(config, "0"), tokens)
    assert logs.shape == (len(tokens), CONTEXT, 3)
    np.testing.assert_allclose(np.exp(logs).sum(axis=-1), 1)


def planted(hazard, p_switch, n=40_000):
    """Symbols of a wing, held for 1 to 5, that is left with these chances and predicted so."""
    generator = np.random.default_rng(0)
    held = generator.integers(1, 6, size=n)
    left = generator.random(n) < np.array(hazard)[held - 1]
    return Late(np.ones(n, dtype=int), held, left, np.full(n, 0.5), np.array(p_switch)[held - 1])


def test_knowledge_of_the_time_held():
    hazard = [0.1, 0.5, 0.2, 0.8, 0.3]
    assert hazard_r2(planted(hazard, hazard), 5) > 0.99
    assert hazard_r2(planted(hazard, [np.mean(hazard)] * 5), 5) == pytest.approx(0, abs=0.01)
    assert hazard_r2(planted(hazard, np.subtract(1, hazard)), 5) < 0


def test_curves_by_time_held_are_of_the_wings(train):
    found = planted([0.5] * 5, [0.5] * 5)
    away = found._replace(symbol=np.zeros_like(found.symbol))
    both = Late(*(np.concatenate(pair) for pair in zip(found, away, strict=True)))
    rows = held_curves(both, 7)
    assert rows.index.tolist() == [1, 2, 3, 4, 5, 6, 7] and rows.n.sum() == len(found.held)
    assert rows.loc[:5, "switch"].to_numpy() == pytest.approx(0.5, abs=0.03)
    assert rows.loc[6:, "nll"].isna().all()


def test_models_that_count_the_time_held_know_it(train):
    tokens, held = windows(lorenz.symbols(8000, part="test"), CONTEXT)
    r2 = {}
    for name, model in {"hazard": fit_hazard(train[None], 3), "markov": fit(train[None], 1, 3)}.items():
        r2[name] = hazard_r2(late(predictions(model, tokens), tokens, held), CONTEXT)
    assert r2["hazard"] > 0.7 and abs(r2["markov"]) < 0.1


def test_baselines_are_chosen_on_validation(monkeypatch):
    for part, length in {"train": 20_000, "validation": 4000}.items():
        monkeypatch.setitem(lorenz.RECORDED, part, length)
    found = lorenz_scores.baselines(CONTEXT)
    assert [*found] == ["hazard", "ngram", "markov", "shuffled"]
    tokens = windows(lorenz.recording("validation"), CONTEXT)[0]
    nll = {name: model.nll(tokens).mean() for name, model in found.items()}
    assert max(nll["hazard"], nll["ngram"]) < nll["markov"] < nll["shuffled"]
    assert found["ngram"].order > 5


# ---------------------------------------------------------------- the measure


@pytest.fixture(scope="module")
def tables(tmp_path_factory):
    """Rows, and both tables, of two networks that learned nothing."""
    place = tmp_path_factory.mktemp("lorenz")
    config = symbolic.config("lorenz", context=CONTEXT, d_model=8, heads=2, layers=1, updates=1)
    with pytest.MonkeyPatch.context() as patch:
        for name in ("DATA", "DATA_JSON", "DATA_NPY"):
            patch.setenv(f"WM_{name}", str(place / name.lower()))
        for part, length in {"train": 10_000, "validation": 4000, "test": 4000}.items():
            patch.setitem(lorenz.RECORDED, part, length)
        patch.setattr(lorenz_scores, "REFERENCE", 10)
        patch.setattr(lorenz_scores, "SETS", 2)
        symbolic.train(config, 2)
        rows = lorenz_scores.measure(strings=2, steps=420)
        return rows, lorenz_scores.table(), lorenz_scores.curves()


def test_measure(tables):
    rows, table, curves = tables
    assert rows.network.tolist() == ["lorenz-00", "lorenz-01"] and rows.seed.tolist() == ["0", "1"]
    assert [*table] == ["family", "network", "seed", *lorenz_scores.COLUMNS]
    assert table.groupby("family").size().to_dict() == dict.fromkeys(["lorenz", *lorenz_scores.CONTROLS], 2)
    assert table.nll.isna().equals(table.family == "true") and not table.hold.isna().any()
    shares = table[["share_0", "share_1", "share_2"]].sum(axis=1)
    assert shares.to_numpy() == pytest.approx(1, abs=1e-5)
    by_place = lorenz_scores.curve(curves, "ngram", "nll")["mean"]
    ngram = table[table.family == "ngram"].iloc[0]
    assert by_place.mean() == pytest.approx(ngram.nll, abs=1e-3) and len(by_place) == CONTEXT
    assert by_place[-LATE:].mean() == pytest.approx(ngram.late_nll, abs=1e-3)
    r = lorenz_scores.curve(curves, "true", "autocorrelation", 2)
    assert r.x.iloc[0] == 0 and r.x.iloc[-1] == 400 and (r.low <= r.high).all()
    left = lorenz_scores.curve(curves, "true", "switch").dropna()
    assert ((left.low <= left["mean"]) & (left["mean"] <= left.high)).all()


def test_losses_in_our_data_lie_above_the_bound_of_the_entropy(tables):
    """No theorem: the entropy of the string itself may be lower, and so may be the loss of a good model."""
    assert (tables[0].nll > lorenz.entropy_bound()).all()
    assert (tables[1].late_nll.dropna() > lorenz.entropy_bound()).all()


def test_panels(tables):
    _, table, curves = tables
    fig, ax = style.figure(17, 12, "abc;def")
    lorenz_plots.draw_regions(ax["a"], lorenz.trajectory(100, dt=0.01))
    strings = {"true": lorenz.sequences(2, 50), "markov": lorenz.sequences(2, 50, part="other")}
    lorenz_plots.draw_strips(ax["b"], strings)
    lorenz_plots.draw_band(ax["c"], curves, ["true", "lorenz"], "autocorrelation", 1)
    lorenz_plots.lag_axis(ax["c"])
    lorenz_plots.draw_loss(ax["d"], curves, ["lorenz", "ngram"])
    lorenz_plots.draw_switches(ax["e"], curves, ["true", "lorenz"])
    lorenz_plots.draw_distances(ax["f"], table, ["true", "lorenz"], "hold", AGREES["hold"])
    fig.draw_without_rendering()
    lorenz_plots.draw_holds(ax["b"], curves, ["true"], 0)
    assert len(ax["f"].collections) == 4 and ax["c"].get_xlim() == (0, 400)


def test_what_is_nearest_on_paper_is_nearest_in_space():
    states = lorenz.trajectory(500)
    seen = states @ lorenz_plots._ALONG.T @ lorenz_plots._ALONG
    np.testing.assert_array_equal(lorenz.label(seen), lorenz.label(states))


def test_other_families_are_not_scored():
    with pytest.raises(ValueError, match="not measured on 'cycle'"):
        lorenz_scores.measure(["cycle"])


def test_a_curve_that_is_not_there(tables):
    with pytest.raises(ValueError, match="no curve 'hold' of family 'hazard'"):
        lorenz_scores.curve(tables[2], "hazard", "hold", 1)


def test_a_missing_table_says_how_it_is_measured(tmp_path, monkeypatch):
    monkeypatch.setenv("WM_DATA_JSON", str(tmp_path))
    with pytest.raises(measured.StoreError, match="wm states symbolic lorenz_scores"):
        lorenz_scores.curves()


def test_runs_agree_with_the_time_held(train):
    """The last symbol of a run has been held for its length."""
    tokens, held = windows(train[:300], CONTEXT)
    runs = run_lengths(tokens)
    ends = runs.start + runs.length - 1
    inside = runs.start > 0
    np.testing.assert_array_equal(held[runs.trial, ends][inside], runs.length[inside])
    assert lorenz_compare.SYMBOLS == 3
