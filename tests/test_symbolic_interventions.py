"""Effects of edits, controls of equal norm, patching, the published screening, tables and panels."""

from functools import partial

import matplotlib.pyplot as plt
import numpy as np
import pytest
import torch

from wm import paths, store, symbolic
from wm.estimate import means
from wm.symbolic import dictionaries, edits, interventions, sae_metrics, screening
from wm.symbolic import intervention_plots as plots
from wm.symbolic.generation import generate
from wm.symbolic.library import Trained
from wm.symbolic.sae import SAEConfig, SparseAutoencoder
from wm.symbolic.screening import CLASSES, classify
from wm.symbolic.staging import prepare
from wm.train import numpy_generator, torch_generator

CYCLE = symbolic.Cycle()
STREAM = np.tile(np.repeat([0, 1, 2], 6), 15)
PROMPT = STREAM[None, :10]


def sparse(k):
    """A random autoencoder of which few features are active."""
    cfg = SAEConfig(72, 40, "relu", hook_name=dictionaries.HOOKS[k])
    sae = SparseAutoencoder(cfg, torch_generator(3, "t"))
    sae.b_enc.data -= (0.8, 2.0)[k]
    return sae.requires_grad_(False)


@pytest.fixture(scope="module")
def trained():
    return symbolic.load("cycle-00")


@pytest.fixture(scope="module", params=(0, 1))
def stage(request, trained):
    return prepare(trained, sparse(request.param))


@pytest.fixture(scope="module")
def late(trained):
    return prepare(trained, sparse(1))


# --- stages


def test_a_stage_shows_what_the_network_does(stage, trained):
    assert stage.x.shape == (18, 72) and stage.f.shape == (18, 40)
    assert stage.right.tolist() == STREAM[1:19].tolist()
    torch.testing.assert_close(stage.logits, trained.model(stage.tokens)[:, -1])
    assert stage.spread == pytest.approx(float(stage.x.std(dim=0, correction=0).norm()), rel=1e-4)
    assert 2 < stage.alive.sum() < 40 and not (stage.f > 0)[:, ~stage.alive].any()


def test_an_autoencoder_that_is_silent_is_refused(trained):
    sae = sparse(1)
    sae.b_enc.data -= 100
    with pytest.raises(ValueError, match="no feature is active at the last position of any window"):
        prepare(trained, sae)


# --- effects


def test_effects_of_planted_logits():
    clean = torch.tensor([[2.0, 0.0, 1.0]] * 3)
    edited = torch.tensor([[2.0, 0.0, 1.0], [0.0, 3.0, 1.0], [4.0, 0.0, 1.0]])
    found = interventions.effects(clean, edited, torch.tensor([0, 0, 0]))
    assert found["changed"].tolist() == [0, 1, 0]
    torch.testing.assert_close(found["margin"], torch.tensor([0.0, -4.0, 2.0]).double())
    p, q = (logits.double().softmax(-1) for logits in (clean, edited))
    torch.testing.assert_close(found["kl"], (p * (p / q).log()).sum(-1))
    assert found["kl"][0] == 0


def test_moves_are_what_hooks_do(stage):
    """Coefficients through the decoder, and the hooks of `edits`, are the same edit."""
    change, phase, target = interventions.coefficients(stage, "multiply", 5.0)
    assert len(phase) == (stage.f > 0).sum() and (target == -1).all()
    moved = interventions.run_moved(stage, phase, interventions.control(stage, change, "none", None))
    for k in range(0, len(phase), 7):
        feature = change[k].nonzero().item()
        hook = edits.multiply(stage.sae, feature, 5.0)
        tokens = stage.tokens[phase[k]][None]
        logits = stage.model.run_with_hooks(tokens, [(stage.sae.cfg.hook_name, hook)])
        torch.testing.assert_close(moved[k], logits[0, -1], atol=1e-3, rtol=1e-3)


def test_no_move_leaves_the_prediction(stage):
    phase = torch.arange(18)
    logits = interventions.run_moved(stage, phase, torch.zeros(18, 72))
    torch.testing.assert_close(logits, stage.logits)


# --- edits and controls


def test_coefficients_of_each_edit(stage):
    f, used = stage.f, (stage.f > 0).any(dim=0)
    change, phase, _ = interventions.coefficients(stage, "multiply all", 0.0)
    assert torch.equal(f[phase] + change, torch.zeros_like(f))
    change, phase, _ = interventions.coefficients(stage, "add", 2.0)
    assert len(phase) == 18 * used.sum()
    norms = (change @ stage.sae.W_dec).norm(dim=-1)
    torch.testing.assert_close(norms, torch.full_like(norms, 2 * stage.spread))
    change, phase, _ = interventions.coefficients(stage, "switch on", 3.0)
    assert (f[phase][change > 0] == 0).all()
    largest = f.amax(dim=0).expand_as(change)
    torch.testing.assert_close((f[phase] + change)[change > 0], 3 * largest[change > 0])
    change, phase, target = interventions.coefficients(stage, "swap", 1.0)
    torch.testing.assert_close(f[phase] + change, f[target])
    assert len(phase) == 18 * 12 and (stage.right[phase] != stage.right[target]).all()


@pytest.mark.parametrize("edit", ["multiply", "multiply all"])
def test_factor_1_changes_nothing(stage, edit):
    change, _, _ = interventions.coefficients(stage, edit, 1.0)
    assert not change.any()


@pytest.mark.parametrize("edit", interventions.EDITS)
@pytest.mark.parametrize("kind", interventions.CONTROLS)
def test_controls_move_x_as_far_as_the_edit(stage, edit, kind):
    change, _, _ = interventions.coefficients(stage, edit, 2.0)
    moves = interventions.control(stage, change, kind, torch_generator(0, "test"))
    torch.testing.assert_close(moves.norm(dim=-1), (change @ stage.sae.W_dec).norm(dim=-1))


def test_other_features_are_alive_and_not_the_edited_ones(stage):
    change, _, _ = interventions.coefficients(stage, "multiply", 2.0)
    moves = interventions.control(stage, change, "other features", torch_generator(0, "test"))
    rows = stage.sae.W_dec / stage.sae.W_dec.norm(dim=-1, keepdim=True)
    along = (moves / moves.norm(dim=-1, keepdim=True)) @ rows.T
    chosen = along.argmax(dim=1)
    torch.testing.assert_close(along.amax(dim=1), torch.ones(len(along)))
    assert stage.alive[chosen].all()
    assert (chosen != change.argmax(dim=1)).all() and len(chosen.unique()) > 2


def test_controls_of_no_move_are_none(stage):
    for kind in interventions.CONTROLS:
        moves = interventions.control(stage, torch.zeros(4, 40), kind, torch_generator(0, "test"))
        assert not moves.any()


def test_unknown_edits_and_controls_are_refused(late):
    with pytest.raises(ValueError, match="edit 'divide' is unknown: choose from multiply, multiply all"):
        interventions.coefficients(late, "divide", 2.0)
    with pytest.raises(ValueError, match="control 'sham' is unknown: choose from none, other features"):
        interventions.control(late, torch.zeros(1, 40), "sham", torch_generator(0, "test"))


FEW = {"multiply": (0.0, 1.0), "multiply all": (1.0, 5.0), "add": (1.0,), "switch on": (2.0,), "swap": (1.0,)}


@pytest.fixture
def few(monkeypatch):
    monkeypatch.setattr(interventions, "DOSES", FEW)


def test_dose_has_all_rows_and_its_identities(late, few):
    rows = interventions.dose(late, draws=1)
    assert len(rows) == 3 * 7
    unchanged = rows[rows.edit.str.startswith("multiply") & (rows.strength == 1)]
    assert len(unchanged) == 6
    assert unchanged[["norm", "changed"]].eq(0).all(axis=None)
    assert unchanged[["kl", "margin"]].abs().max(axis=None) < 1e-4
    assert (rows.follows.notna() == (rows.edit == "swap")).all()
    wide = rows.pivot(index=["edit", "strength"], columns="control", values="norm")
    np.testing.assert_allclose(wide["direction"], wide["none"], rtol=1e-4)
    np.testing.assert_allclose(wide["other features"], wide["none"], rtol=1e-4)
    assert interventions.dose(late, draws=1).equals(rows)
    assert not interventions.dose(late, draws=1, seed=1).equals(rows)


def test_with_an_autoencoder_without_error_a_full_swap_is_a_patch(trained, few):
    """Features are the coordinates of x and their negatives."""
    sae = SparseAutoencoder(SAEConfig(72, 144, "relu", hook_name=dictionaries.HOOKS[1])).requires_grad_(False)
    sae.W_enc.copy_(torch.cat([torch.eye(72), -torch.eye(72)], dim=1))
    sae.W_dec.copy_(torch.cat([torch.eye(72), -torch.eye(72)], dim=0))
    stage = prepare(trained, sae)
    torch.testing.assert_close(sae(stage.x), stage.x)
    change, phase, target = interventions.coefficients(stage, "swap", 1.0)
    logits = interventions.run_moved(stage, phase, change @ sae.W_dec)
    torch.testing.assert_close(logits, stage.logits[target], atol=1e-3, rtol=1e-3)
    rows = interventions.dose(stage, draws=1).set_index(["edit", "strength", "control"])
    assert rows.loc[("swap", 1.0, "none"), "follows"] == 1


# --- patching


def test_patching_all_pairs(late):
    logits = interventions.patched(late.model, late.tokens, dictionaries.HOOKS[1])
    torch.testing.assert_close(logits, late.logits.expand_as(logits), atol=0, rtol=0)  # the donor's, exactly
    logits = interventions.patched(late.model, late.tokens, dictionaries.HOOKS[0])
    torch.testing.assert_close(logits.diagonal().T, late.logits)
    window, donor = 3, 14
    swapped = torch.cat([late.tokens[window, :-1], late.tokens[donor, -1:]])
    torch.testing.assert_close(logits[window, donor], late.model(swapped[None])[0, -1])
    head = interventions.patched(late.model, late.tokens, "blocks.0.attn.hook_z", heads=4)
    torch.testing.assert_close(head.diagonal().T, late.logits)


def test_the_phase_is_handed_over_after_attention_alone(late):
    rows = interventions.patching(late).set_index("place")
    assert len(rows) == 3 + 9 + 9
    for place in ("stage 1", "stage 0 x 10"):
        assert rows.loc[place, "follows"] == 1
        assert rows.loc[place, "kl"] == pytest.approx(0, abs=1e-5)
    assert rows.loc["stage 0", "same_symbol"] == 0  # it hands over the symbol and nothing else
    assert rows.loc["stage 0", "follows"] < 0.5
    assert (rows.follows + rows.stays <= 1).all()


# --- the published procedure


def test_candidates_are_the_largest_of_each_window():
    f = np.zeros((2, 30))
    f[0, 7], f[0, 9], f[1, 29] = 1, 2, 3
    assert screening.candidates(f, top=1).tolist() == [9, 29]
    assert screening.candidates(f, top=3).tolist() == [0, 1, 7, 9, 29]  # silent ones: the first come first


@pytest.mark.parametrize(
    ("active", "answer"),
    [("011100", True), ("110001", True), ("010100", False), ("111111", True), ("000000", False)],
)
def test_contiguous_phases_on_a_circle(active, answer):
    assert sae_metrics.contiguous(np.array([*active]) == "1") == answer


def string(*runs):
    """A string of 200 symbols after the prompt, from runs (symbol, length); the last one goes on."""
    tokens = np.concatenate([np.full(length, symbol) for symbol, length in runs])
    return np.pad(tokens[:200], (0, max(0, 200 - len(tokens))), mode="edge")[None]


def kind(*runs):
    return CLASSES[classify(CYCLE, PROMPT, string(*runs))[0]]


def regular(length, times, first=2):
    return [((first + k) % 3, length) for k in range(times)]


def test_classes_of_planted_strings():
    assert kind((1, 2), *regular(6, 40)) == "no_effect"
    assert kind((1, 200)) == "lock_in"
    assert kind((1, 2), *regular(6, 10), (0, 200)) == "lock_in"  # from step 62
    assert kind((1, 2), *regular(6, 5), (1, 5), *regular(6, 40)) == "timing_error"
    assert kind((1, 2), *regular(6, 20), (1, 200)) == "timing_error"  # held from step 122 on: too late
    assert kind((1, 3), *regular(6, 40)) == "timing_error"  # the run that the prompt began is one too long
    assert kind((1, 2), *regular(1, 200)) == "timing_error"
    assert kind((1, 2), *regular(6, 4), (1, 6), *regular(6, 40)) == "other"  # 2 0 1 2, then back to 1
    assert kind((0, 6), *regular(6, 40, first=1)) == "other"  # back from 1 to 0
    assert kind((0, 200)) == "lock_in"  # whatever came first


def test_one_slip_is_enough_for_the_order():
    fine = np.concatenate(regular_tokens())
    slipped = fine.copy()
    slipped[50] = (slipped[49] + 2) % 3
    found = classify(CYCLE, PROMPT, np.stack([fine, slipped]))
    assert [CLASSES[k] for k in found] == ["no_effect", "other"]


def regular_tokens():
    return [STREAM[10:210]]


def test_strings_are_only_judged_after_a_legal_prompt():
    with pytest.raises(ValueError, match="must follow a legal prompt"):
        classify(CYCLE, np.array([[1, 0]]), string((1, 6)))


def test_the_prompt_begins_at_offset_0(late):
    assert screening.prompt(late).tolist() == PROMPT.tolist()


def test_factor_1_flips_nothing_and_generates_the_same(stage):
    used = (stage.f > 0).any(dim=0).nonzero().ravel().tolist()[:3]
    assert not screening.flips(stage, used, 1.0).any()
    found = screening.continuations(stage, used, 1.0, generator=numpy_generator(0, "t"), draws=2, steps=30)
    plain = generate(
        stage.model, PROMPT.repeat(6, axis=0), 30, context=10, generator=numpy_generator(0, "t")
    ).tokens
    np.testing.assert_array_equal(found, plain.reshape(3, 2, 30))


def test_each_feature_is_multiplied_alone(stage):
    used = (stage.f > 0).any(dim=0).nonzero().ravel().tolist()[:4]
    flips = screening.flips(stage, used, 40.0)
    assert flips.shape == (len(used), 18)
    for own, feature in zip(flips, used, strict=True):
        hook = (stage.sae.cfg.hook_name, edits.multiply(stage.sae, feature, 40.0))
        answers = stage.model.run_with_hooks(stage.tokens, [hook])[:, -1].argmax(-1)
        np.testing.assert_array_equal(own, answers != stage.logits.argmax(-1))
    found = screening.continuations(stage, used, 40.0, generator=numpy_generator(0, "t"), steps=20)
    hook = (stage.sae.cfg.hook_name, edits.multiply(stage.sae, used[0], 40.0))
    alone = generate(stage.model, PROMPT, 20, context=10, generator=numpy_generator(0, "t"), fwd_hooks=[hook])
    np.testing.assert_array_equal(found[0], alone.tokens)


def test_screening_counts(stage):
    summary, features = screening.screen(stage, draws=2, steps=40)
    active = (stage.f > 0).numpy()
    one = summary.set_index("factor").loc[1.0]
    assert one.flipping == 0 and one.most_windows == 0
    assert (summary["active"] == len(features) / 4).all() and one["active"] <= one.candidates
    assert one["mean"] == pytest.approx(active.sum(axis=1).mean())
    assert (summary.least <= summary["mean"]).all() and (summary["mean"] <= summary.most).all()
    assert one.codes == (3 if stage.sae.cfg.hook_name == dictionaries.HOOKS[0] else 18)
    np.testing.assert_allclose(summary[[*CLASSES]].sum(axis=1), 1)
    assert (features[[*CLASSES]].sum(axis=1) == 2).all()
    for factor, rows in features.groupby("factor"):
        own = summary.set_index("factor").loc[factor]
        assert own.flipping == (rows.windows > 0).sum() and own.most_windows == rows.windows.max()


# --- tables and panels


@pytest.fixture
def measured(monkeypatch, tmp_path, trained, few):
    monkeypatch.setenv("WM_DATA_JSON", str(tmp_path))
    named = [Trained(f"cycle-{k:02d}", str(k), trained.config, trained.model, {}) for k in range(2)]
    monkeypatch.setattr(interventions, "load_family", lambda family: named)
    monkeypatch.setattr(interventions, "saved_families", lambda families, among: ["cycle"])
    monkeypatch.setattr(dictionaries, "published", lambda name, k: sparse(k))
    monkeypatch.setattr(screening, "screen", partial(screening.screen, steps=40))
    return interventions.measure(draws=1, continuations=1)


def test_measure_writes_tables_that_can_be_read_and_drawn(measured):
    assert len(measured) == 2 * 2 * 4
    tables = {name: interventions.table(name) for name in ("", "features", "dose", "patch")}
    for rows in tables.values():
        assert [*rows][:3] == ["family", "network", "seed"] and rows.network.nunique() == 2
    assert len(tables["patch"]) == 2 * 21
    assert (paths.data_json() / "symbolic" / "interventions.json").is_file()
    fig, axes = plt.subplots(2, 3)
    for ax, edit in zip(axes.flat, interventions.EDITS, strict=False):
        plots.draw_dose(ax, tables["dose"][tables["dose"].stage == 1], edit)
    assert len(axes.flat[0].lines) == 3
    fig, axes = plt.subplots(1, 3)
    plots.draw_places(axes[0], tables["patch"], {"stage 0": ["stage 0"], "heads": ["head 0", "head 1"]})
    plots.draw_reach(axes[1], tables["patch"], 6)
    line = axes[1].lines[-2]
    assert line.get_xdata().tolist() == [*range(1, 11)] and line.get_ydata()[-1] == 1
    plots.draw_outcomes(axes[2], tables[""])
    heights = [patch.get_height() for patch in axes[2].patches]
    assert len(heights) == 2 * 4 * 4 and sum(heights) == pytest.approx(8)
    plots.outcome_legend(axes[2])
    text = means(tables["patch"], "place", "follows")
    assert text.loc["stage 1", "follows"] == "1 [1, 1]" and [*text.index][:2] == ["stage 0", "stage 1"]
    assert means(tables["dose"], "edit", ["follows"]).loc["add", "follows"] == "-"
    plt.close("all")


def test_matrix_and_strips_are_drawn(late):
    fig, axes = plt.subplots(1, 2)
    logits = interventions.patched(late.model, late.tokens, dictionaries.HOOKS[1])
    plots.draw_answers(axes[0], logits.argmax(dim=-1), late.right)
    used = (late.f > 0).any(dim=0).nonzero().ravel().tolist()[:2]
    strings = plots.strips(late, used, 1.0, steps=30)
    assert [*strings] == [f"feature {feature} ×1: no effect" for feature in used]
    plots.draw_strips(axes[1], strings, 20)
    found = plots.examples([late, late], (1.0, 1.0))
    count = len((late.f > 0).any(dim=0).nonzero())
    assert [*found][0] == "no edit: no effect" and len(found) == 1 + count  # factor 1 changes no window
    assert len(plots.examples([late, late], (1.0, 1000.0))) > 1 + count
    plt.close("all")


def test_families_without_autoencoders_are_refused():
    with pytest.raises(ValueError, match="not measured on 'jitter' networks, only on cycle"):
        interventions.measure(["jitter"])


def test_a_missing_table_says_how_to_get_it(monkeypatch, tmp_path):
    monkeypatch.setenv("WM_DATA_JSON", str(tmp_path))
    with pytest.raises(store.DamagedFile, match="wm states symbolic interventions"):
        interventions.table("dose")
