"""Hooks that edit: identities, what they leave alone, and patching."""

import pytest
import torch

from wm import symbolic
from wm.symbolic import edits
from wm.symbolic.sae import KINDS, SAEConfig, SparseAutoencoder

PRE, POST, Z = "blocks.0.hook_resid_pre", "blocks.0.hook_resid_post", "blocks.0.attn.hook_z"
TOKENS = torch.from_numpy(symbolic.Cycle().windows(10).tokens)


@pytest.fixture(scope="module")
def model():
    return symbolic.untrained(symbolic.config("cycle"), "1").requires_grad_(False)


def dictionary(kind="relu"):
    cfg = SAEConfig(72, 144, kind, None if kind == "relu" else 20)
    sae = SparseAutoencoder(cfg, torch.Generator().manual_seed(0))
    return sae.requires_grad_(False)


@pytest.fixture(params=(PRE, POST))
def point(request):
    return request.param


def run(model, point, *hooks):
    return model.run_with_hooks(TOKENS, [(point, hook) for hook in hooks])


def shown(model, point, tokens=TOKENS):
    return model.run_with_cache(tokens, point)[1][point]


def before_and_after(model, point, hook):
    """What stands at a point before and after an edit there."""
    return shown(model, point), hook_at(shown(model, point), hook)


def hook_at(x, hook):
    return hook(x, hook=symbolic.HookPoint())


# --- identities


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("at", [-1, (0, 4), None])
def test_factor_1_leaves_every_bit(model, point, kind, at):
    hook = edits.multiply(dictionary(kind), range(144), 1.0, at=at)
    assert torch.equal(run(model, point, hook), model(TOKENS))


def test_so_does_a_patch_with_itself(model, point):
    assert torch.equal(run(model, point, edits.patch(shown(model, point), at=None)), model(TOKENS))


def test_and_an_added_nothing(model, point):
    assert torch.equal(run(model, point, edits.steer(torch.zeros(72))), model(TOKENS))
    assert torch.equal(run(model, point, edits.add(dictionary(), [3, 7], 0.0)), model(TOKENS))


def test_add_then_subtract_is_the_identity(model, point):
    back = run(model, point, edits.add(dictionary(), 5, 2.0), edits.add(dictionary(), 5, -2.0))
    torch.testing.assert_close(back, model(TOKENS))
    there = run(model, point, edits.add(dictionary(), 5, 2.0))
    assert not torch.allclose(there, model(TOKENS))


def test_ablation_is_clamping_to_0_and_factor_0(model, point):
    sae, some = dictionary(), [1, 2, 30]
    ablated = run(model, point, edits.ablate(sae, some))
    assert torch.equal(ablated, run(model, point, edits.clamp(sae, some, 0.0)))
    assert torch.equal(ablated, run(model, point, edits.multiply(sae, some, 0.0)))
    assert not torch.equal(ablated, model(TOKENS))


# --- what they do


def test_edits_of_features_move_x_along_rows_of_the_decoder(model, point):
    sae, feature = dictionary(), 11
    x = shown(model, point)[:, -1]
    f, row = sae.encode(x)[:, [feature]], sae.W_dec[feature]
    expected = {
        edits.multiply(sae, feature, 3.0): x + 2 * f * row,
        edits.add(sae, feature, 1.5): x + 1.5 * row,
        edits.clamp(sae, feature, 4.0): x + (4 - f) * row,
        edits.ablate(sae, feature): x - f * row,
        edits.steer(1.5 * row): x + 1.5 * row,
        edits.splice(sae, lambda f: 2 * f): x + (sae(x) - sae.b_dec),
    }
    for hook, there in expected.items():
        torch.testing.assert_close(hook_at(shown(model, point), hook)[:, -1], there)


def test_each_feature_can_have_its_own_strength(model):
    sae = dictionary()
    together = run(model, PRE, edits.add(sae, [3, 9], torch.tensor([1.0, -2.0])))
    torch.testing.assert_close(together, run(model, PRE, edits.add(sae, 3, 1.0), edits.add(sae, 9, -2.0)))


def test_each_trial_can_have_its_own_strength(model):
    sae, amounts = dictionary(), torch.arange(18.0)
    together = run(model, PRE, edits.add(sae, 3, amounts[:, None, None]))
    moves = amounts[:, None] * sae.W_dec[3]
    torch.testing.assert_close(together, run(model, PRE, edits.steer(moves)))
    torch.testing.assert_close(together[7], run(model, PRE, edits.add(sae, 3, 7.0))[7])


@pytest.mark.parametrize("place", range(10))
def test_an_edit_leaves_earlier_predictions_alone(model, point, place):
    hook = edits.add(dictionary(), 5, 3.0, at=place)
    edited = run(model, point, hook)
    assert torch.equal(edited[:, :place], model(TOKENS)[:, :place])
    assert not torch.allclose(edited[:, place], model(TOKENS)[:, place])


def test_other_positions_stay_and_the_cache_is_not_written_to(model, point):
    for hook in (edits.steer(torch.ones(72), at=(2, -3)), edits.patch(torch.ones(18, 10, 72), at=(2, -3))):
        x = shown(model, point)
        kept = x.clone()
        changed = (hook_at(x, hook) != x).any(dim=-1).any(dim=0)
        assert changed.nonzero().ravel().tolist() == [2, 7]
        assert torch.equal(x, kept)


# --- patching


def test_a_patch_of_stage_1_gives_the_donors_logits_exactly(model):
    donors = TOKENS.roll(5, 0)
    hook = edits.patch(shown(model, POST, donors))
    assert torch.equal(run(model, POST, hook)[:, -1], model(donors)[:, -1])


def test_a_patch_of_stage_0_replaces_the_last_symbol_alone(model):
    donors = TOKENS.roll(5, 0)
    swapped = torch.cat([TOKENS[:, :-1], donors[:, -1:]], dim=1)
    hook = edits.patch(shown(model, PRE, donors))
    assert torch.equal(run(model, PRE, hook), model(swapped))
    everywhere = edits.patch(shown(model, PRE, donors), at=None)
    assert torch.equal(run(model, PRE, everywhere), model(donors))


def test_all_heads_are_what_attention_adds(model):
    donors = TOKENS.roll(5, 0)
    z, out = shown(model, Z, donors), shown(model, "blocks.0.hook_attn_out", donors)
    all_heads = model.run_with_hooks(TOKENS, [(Z, edits.patch(z))])
    added = model.run_with_hooks(TOKENS, [("blocks.0.hook_attn_out", edits.patch(out))])
    torch.testing.assert_close(all_heads, added)
    by_head = [(Z, edits.patch(z, heads=head)) for head in range(9)]
    assert torch.equal(model.run_with_hooks(TOKENS, by_head), all_heads)
    assert torch.equal(model.run_with_hooks(TOKENS, [(Z, edits.patch(z, heads=range(9)))]), all_heads)


def test_one_head_leaves_the_others(model):
    z = shown(model, Z)
    patched = edits.patch(torch.zeros_like(z), heads=[2, 4])(z, hook=symbolic.HookPoint())
    changed = (patched != z).any(dim=-1).any(dim=0)  # (time, head)
    assert changed.nonzero().tolist() == [[9, 2], [9, 4]]


# --- refusals


@pytest.mark.parametrize(
    ("hook", "message"),
    [
        (edits.steer(torch.zeros(72), at=10), "position 10 lies outside a window of 10"),
        (edits.ablate(dictionary(), 1, at=[0, -11]), "position -11 lies outside a window of 10"),
        (edits.patch(torch.zeros(18, 10, 72), at=-12), "position -12 lies outside a window of 10"),
        (edits.patch(torch.zeros(18, 9, 72)), r"what is patched is \(18, 9, 72\), but .*resid_pre has"),
        (edits.patch(torch.zeros(18, 10, 72), heads=0), "there is no head 0"),
        (edits.steer(torch.zeros(71)), r"a direction \(71,\) cannot be added to .*: give \(72,\) or \(18,"),
        (edits.steer(torch.zeros(17, 72)), r"a direction \(17, 72\) cannot be added"),
        (edits.steer(torch.zeros(1, 1, 72)), r"a direction \(1, 1, 72\) cannot be added"),
    ],
)  # fmt: skip
def test_what_does_not_fit_is_refused_when_it_runs(model, hook, message):
    with pytest.raises(ValueError, match=message):
        run(model, PRE, hook)


def test_no_such_head(model):
    z = shown(model, Z)
    with pytest.raises(ValueError, match="blocks.0.attn.hook_z .*there is no head 9"):
        model.run_with_hooks(TOKENS, [(Z, edits.patch(z, heads=9))])


@pytest.mark.parametrize("edit", [edits.multiply, edits.add, edits.clamp])
def test_no_such_feature(edit):
    with pytest.raises(ValueError, match="there is no feature 144: the autoencoder has 0 to 143"):
        edit(dictionary(), [3, 144], 1.0)
    with pytest.raises(ValueError, match="there is no feature -1"):
        edits.ablate(dictionary(), -1)
