"""Measures of hallucination on planted continuations, the table, and its panels."""

import matplotlib.pyplot as plt
import numpy as np
import pytest
import torch

from wm import paths, store, symbolic
from wm.symbolic import hallucination, hallucination_plots, prompts, strips
from wm.symbolic.generation import Generated, exact_predictor, generate
from wm.train import numpy_generator

CYCLE = symbolic.Cycle()
PERIOD = np.repeat([0, 1, 2], 6)


def stream(seed=0):
    return numpy_generator(seed, "test")


def certain(tokens):
    """What a network generated that was sure of every symbol."""
    tokens = np.atleast_2d(tokens)
    return Generated(tokens, np.eye(3)[tokens])


def after(tokens, before=None, cycle=CYCLE):
    """Outcome of one continuation of a legal prompt: by default the ten symbols before a new cycle."""
    before = PERIOD[-10:] if before is None else np.asarray(before)
    return hallucination.outcome(cycle, before[None], certain(tokens), context=10)


def legal_cycles(times=3):
    return np.tile(PERIOD, times)


# --- planted continuations


def test_a_legal_continuation_has_no_error_at_all():
    found = after(legal_cycles())
    summary = found.summary(18)
    assert summary.pop("recovered") == 1
    assert set(summary.values()) == {0}
    assert not found.impossible.any() and (found.recovery == 0).all()


@pytest.mark.parametrize("phase", range(18))
def test_so_has_one_from_any_phase(phase):
    tokens = np.roll(legal_cycles(4), -phase)
    summary = after(tokens[10:64], before=tokens[:10]).summary(18)
    assert summary.pop("recovered") == 1 and set(summary.values()) == {0}


def test_a_step_backwards_is_illegal_once():
    tokens = np.concatenate([PERIOD, [2] * 6, [1] * 6, [2] * 6, legal_cycles(2)])  # 0 1 2 2 1 2 0 1 2 ...
    found = after(tokens)
    assert np.flatnonzero(found.illegal[0]).tolist() == [24]
    assert np.flatnonzero(found.impossible[0]).tolist() == [18, 19, 20, 21, 22, 23, 24]  # 2 held, then back
    assert hallucination.hold_errors(CYCLE, tokens[None]) == pytest.approx([1 / 9])
    assert found.recovery == [0]
    assert found.lapsed(18) == [True]


def test_the_step_from_prompt_to_continuation_counts():
    found = after(legal_cycles(2), before=[0, 0, 0, 0, 1, 1, 1, 1, 1, 1])
    assert np.flatnonzero(found.illegal[0]).tolist() == [0]
    assert np.isinf(found.surprise[0, 0])
    assert found.surprise[0, 1:].sum() == pytest.approx(np.log(6))  # how long the 0 had been held was open
    assert found.recovery == [0]


def test_a_hold_too_short_or_too_long_is_impossible_but_no_illegal_step():
    short = np.delete(legal_cycles(4), 6)  # five of 1
    found = after(short)
    assert np.flatnonzero(found.impossible[0]).tolist() == [11]
    assert not found.illegal.any()
    assert found.hold_error == pytest.approx([1 / 10])  # of the 12 runs neither first nor last
    long = np.insert(legal_cycles(4), 6, 1)
    assert np.flatnonzero(after(long).impossible[0]).tolist() == [12]


@pytest.mark.parametrize("wrong", [1, 4, 11])
def test_recovery_is_the_first_step_of_a_legal_cycle(wrong):
    tokens = np.concatenate([[0, 2] * 20, legal_cycles(2)])[40 - wrong :]
    start = wrong - 1 if tokens[wrong - 1] == 2 else wrong  # a 2 before the 0s belongs to the cycle
    assert hallucination.recovery(CYCLE, tokens[None]) == [start]
    assert after(tokens).lapsed(18) == [False]


def test_what_never_recovers():
    stuck = np.zeros(60, dtype=int)
    assert np.isinf(hallucination.recovery(CYCLE, stuck[None]))
    summary = after(stuck).summary(18)
    assert (summary["recovered"], summary["recovery"]) == (0, hallucination.LIMIT + 1)
    assert np.isinf(summary["recovery_median"]) and np.isnan(summary["lapsed"])
    assert np.isnan(summary["hold_error"])  # no run ended
    assert summary["impossible"] == pytest.approx(54 / 60)
    five = np.repeat(np.arange(12) % 3, 5)
    assert np.isinf(hallucination.recovery(CYCLE, five[None]))
    assert hallucination.hold_errors(CYCLE, five[None]) == [1]


def test_jittered_holds_are_errors_only_for_those_who_must_not_jitter():
    cycle = symbolic.Cycle(3, (5, 6, 7))
    tokens = cycle.sample(40, 110, stream())
    for process, share in ((cycle, 0), (CYCLE, 2 / 3)):
        errors = hallucination.hold_errors(process, tokens)
        assert errors.mean() == pytest.approx(share, abs=0.05)
    assert (hallucination.recovery(cycle, tokens) == 0).all()
    assert (hallucination.recovery(CYCLE, tokens) > 0).mean() > 0.5


def test_recovery_must_have_time_to_be_seen():
    with pytest.raises(ValueError, match="takes 18 symbols to see, got 17"):
        hallucination.recovery(CYCLE, np.zeros((1, 17), dtype=int))


# --- probabilities


def test_mass_is_what_the_network_gave_to_wrong_symbols():
    tokens = legal_cycles(1)[None]
    chances = np.broadcast_to([0.2, 0.3, 0.5], (1, 18, 3))
    found = hallucination.outcome(CYCLE, PERIOD[None, -10:], Generated(tokens, chances), context=10)
    before = np.concatenate([[2], PERIOD[:-1]])
    assert np.allclose(found.illegal_mass[0], np.array([0.5, 0.2, 0.3])[before])  # 2 after 0, 0 after 1, ...
    assert np.allclose(found.impossible_mass[0], 1 - np.array([0.2, 0.3, 0.5])[PERIOD])


def test_two_symbols_have_no_illegal_step():
    cycle = symbolic.Cycle(2, (3,))
    found = generate(lambda x: torch.zeros(len(x), 1, 2), [[0, 1]], 30, context=5, generator=stream())
    outcome = hallucination.outcome(cycle, np.array([[0, 1]]), found, context=5)
    assert not outcome.illegal.any() and not outcome.illegal_mass.any()
    assert outcome.impossible.any()


def test_an_exact_sampler_costs_its_entropy():
    cycle = symbolic.Cycle(3, (5, 6, 7))
    before = cycle.sample(300, 10, stream())
    found = generate(exact_predictor(cycle), before, 60, context=10, generator=stream(1))
    outcome = hallucination.outcome(cycle, before, found, context=10)
    assert not outcome.impossible.any()
    assert np.allclose(outcome.impossible_mass, 0) and np.allclose(outcome.illegal_mass, 0)
    entropy = -(found.probabilities * np.log(np.where(found.probabilities > 0, found.probabilities, 1))).sum(
        -1
    )
    assert outcome.surprise.mean() == pytest.approx(entropy.mean(), rel=0.05)
    assert outcome.surprise.mean() == pytest.approx(np.log(3) / 6, rel=0.05)  # one of three holds each run


def test_on_legal_strings_surprise_is_the_cost_under_the_process():
    for cycle in (CYCLE, symbolic.Cycle(3, (2, 3))):
        tokens = cycle.sample(20, 40, stream())
        found = hallucination.outcome(
            cycle, tokens[:, :10], Generated(tokens[:, 10:], np.zeros((20, 30, 3))), context=10
        )
        assert np.allclose(found.surprise, cycle.nll(tokens)[:, 10:])


def test_a_short_prompt_is_ambiguous_and_no_error():
    before = np.zeros((500, 1), dtype=int)
    found = generate(exact_predictor(CYCLE), before, 40, context=10, generator=stream())
    outcome = hallucination.outcome(CYCLE, before, found, context=10)
    assert not outcome.impossible.any() and (outcome.recovery == 0).all()
    assert outcome.surprise.sum(axis=1) == pytest.approx(np.log(6))  # the phase is revealed once


def test_holding_of_the_exact_predictor_and_of_one_that_knows_nothing():
    class Exact(symbolic.Hooked):
        def forward(self, tokens):
            return torch.from_numpy(CYCLE.predictive(tokens.numpy())).log()

    rows = hallucination.holding(CYCLE, Exact(), 10)
    assert np.allclose(rows.ends, 1 / (7 - np.arange(1, 7))) and np.allclose(rows.ends, rows.exact)
    assert np.allclose(rows[["kl", "illegal"]], 0)
    rows = hallucination.holding(CYCLE, lambda x: torch.zeros(*x.shape, 3), 10)
    assert np.allclose(rows[["ends", "stays", "illegal"]], 1 / 3)
    assert rows.held.tolist() == [1, 2, 3, 4, 5, 6]
    binary = -(rows.exact * np.log(rows.exact) + (1 - rows.exact) * np.log((1 - rows.exact).clip(1e-12)))
    assert np.allclose(rows.kl, np.log(3) - binary)


def test_curves_and_parts_of_an_outcome():
    two = np.stack([legal_cycles(3), np.zeros(54, dtype=int)])
    found = hallucination.outcome(CYCLE, np.stack([PERIOD[-10:]] * 2), certain(two), context=10)
    illegal, impossible, recovered = found.curves()
    assert not illegal.any()
    assert impossible.tolist() == [0] * 6 + [0.5] * 48
    assert (recovered == 0.5).all()
    assert found.some(slice(1)).summary(18)["recovered"] == 1


# --- the table


@pytest.fixture(scope="module")
def saved(tmp_path_factory):
    """Two briefly trained networks of each of two families, and their tables."""
    folder = tmp_path_factory.mktemp("symbolic")
    with pytest.MonkeyPatch.context() as patch:
        for name in ("DATA", "DATA_JSON", "DATA_NPY"):
            patch.setenv(f"WM_{name}", str(folder / name.lower()))
        symbolic.train(symbolic.config("cycle", updates=0, d_model=8, heads=2), 2)
        symbolic.train(symbolic.config("mlp", updates=0, d_model=8), 1)
        rows = hallucination.measure(trials=3)
    return folder, rows


@pytest.fixture
def there(saved, monkeypatch):
    """The folders of the saved networks in use."""
    for name in ("DATA", "DATA_JSON", "DATA_NPY"):
        monkeypatch.setenv(f"WM_{name}", str(saved[0] / name.lower()))
    return saved[1]


def test_the_table_has_every_network_state_and_distance(there):
    assert list(there)[:5] == ["family", "network", "seed", "state", "distance"]
    assert tuple(list(there)[5:]) == hallucination.COLUMNS
    count = there.groupby(["family", "state"]).size().to_dict()
    assert count == {("cycle", "exact"): 14, ("cycle", "trained"): 14, ("cycle", "untrained"): 14,
                     ("mlp", "trained"): 7}  # fmt: skip
    exact = there[there.state == "exact"]
    assert not exact[["illegal", "hold_error", "impossible", "recovery", "lapsed"]].any(axis=None)
    trained, untrained = (there[there.state == state] for state in ("trained", "untrained"))
    assert np.allclose(  # networks of no update, but for the rounding of saved weights
        trained[trained.family == "cycle"].impossible_mass, untrained.impossible_mass, atol=0.05
    )


def test_tables_are_read_as_they_were_written(there):
    read = hallucination.table()
    assert len(read) == len(there) and np.isinf(read.recovery_median).any()
    published = hallucination.table("published")
    assert list(published.prompt.unique()) == [*prompts.PUBLISHED]
    ambiguous = hallucination.table("ambiguous")
    assert {*ambiguous.state} == {"trained", "untrained"}
    assert ambiguous.held.max() == 6
    ends = hallucination.table("basins")
    assert ends.groupby("network").windows.sum().to_dict() == dict.fromkeys(
        ["cycle-00", "cycle-01", "mlp-00"], 3**10
    )
    assert ends.returns.between(0, 1).all() and (ends.legal_attractors <= ends.attractors).all()
    copied = hallucination.table("copying")
    assert [*copied] == ["family", "network", "seed", "state", "back", "share"]
    assert {*copied.state} == {*hallucination.STATES["cycle"]} and len(copied) == 7 * 10
    assert hallucination.curves("cycle").shape == (3, 2, 7, hallucination.STEPS)
    assert not hallucination.curves("cycle", "exact")[1].any()


def test_the_same_again_and_others_stay(there):
    path = paths.data_json() / "symbolic" / "hallucination.csv"
    before = path.read_bytes()
    hallucination.measure(["mlp"], trials=3)
    assert path.read_bytes() == before


def test_lorenz_networks_are_not_measured(there):
    with pytest.raises(ValueError, match="not measured on 'lorenz'"):
        hallucination.measure(["lorenz"])


def test_a_missing_table_says_how_it_is_measured(tmp_path, monkeypatch):
    monkeypatch.setenv("WM_DATA_JSON", str(tmp_path))
    with pytest.raises(store.DamagedFile, match="wm states symbolic hallucination"):
        hallucination.table("published")


# --- panels


def test_kinds_keep_controls_apart(there):
    tables = hallucination_plots.kinds(there)
    assert list(tables) == ["cycle", "mlp", "untrained", "exact"]
    assert {*tables["untrained"].state} == {"untrained"}
    text = hallucination_plots.means(tables, "distance", "recovered")
    assert text.loc["exact predictor", 3] == "1 [1, 1]"
    assert hallucination_plots.means(tables, "distance", "lapsed").loc["MLP", 0] == "-"


def test_strips_show_every_symbol_and_mark_the_impossible(closed):
    ax = plt.subplots()[1]
    strings = {"a": (np.array([1, 0]), np.array([0, 2, 1]), np.array([0, 1, 0], dtype=bool)),
               "b": (np.array([2]), np.array([2]), np.array([False]))}  # fmt: skip
    strips.draw_strings(ax, strings)
    colours = np.vstack([strips.RGB, [1, 1, 1]])  # -1: nothing
    for image, cells in zip(ax.images, [[1, 0, -1, 0, 2, 1], [-1, 2, -1, 2, -1, -1]], strict=True):
        shown = image.get_array()[0]
        seen = shown[:, :3] * shown[:, 3:] + 1 - shown[:, 3:]
        np.testing.assert_allclose(seen, colours[cells])
    dots = [points.get_offsets() for points in ax.collections]
    assert dots[0].tolist() == [[1.5, -0.4]] and not len(dots[1])
    assert [text.get_text() for text in ax.get_yticklabels()] == ["a", "b"]
    strips.draw_key(ax)
    assert [text.get_text() for text in ax.get_legend().get_texts()] == ["0", "1", "2", "impossible there"]
    strips.draw_key(ax, dots=False, loc="upper left")
    assert [text.get_text() for text in ax.get_legend().get_texts()] == ["0", "1", "2"]


def test_panels_show_the_means(there, closed):
    axes = plt.subplots(1, 4)[1]
    tables = hallucination_plots.kinds(there)
    hallucination_plots.draw_distances(axes[0], tables, "impossible")
    line = axes[0].get_lines()[0]
    expected = tables["cycle"].groupby("distance").impossible.mean()
    assert np.allclose(line.get_ydata(), expected) and line.get_label() == "Transformer"
    hallucination_plots.draw_holding(
        axes[1], hallucination_plots.kinds(hallucination.table("ambiguous")), "ends"
    )
    assert len(axes[1].get_lines()[0].get_xdata()) == 6
    curves = hallucination.curves("cycle")
    hallucination_plots.draw_curves(axes[2], curves[1])
    assert np.allclose(axes[2].get_lines()[3].get_ydata(), curves[1, :, 3].mean(axis=0))
    copied = hallucination_plots.kinds(hallucination.table("copying"))
    hallucination_plots.draw_copying(axes[0], copied)
    assert axes[0].get_lines()[-1].get_xdata().tolist() == [*range(1, 11)]
    published = hallucination_plots.kinds(hallucination.table("published"))
    hallucination_plots.draw_prompts(axes[3], published, "recovery", [*prompts.PUBLISHED])
    assert len(axes[3].get_yticks()) == 7
