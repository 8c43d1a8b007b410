"""Sparse autoencoders: what each kind computes, scales, and the directory format of SAELens."""

import importlib.util
import json
from dataclasses import replace

import pytest
import torch
from safetensors.torch import save_file

from wm.store import DamagedFile, WrongSchema
from wm.symbolic import sae_export
from wm.symbolic.sae import KINDS, SAEConfig, SparseAutoencoder

D_IN, D_SAE = 6, 12
VECTORS = torch.randn(40, D_IN, generator=torch.Generator().manual_seed(1))


def make(kind: str, *, seed: int = 0, **changes) -> SparseAutoencoder:
    """A random autoencoder in which no weight is 0."""
    generator = torch.Generator().manual_seed(seed)
    cfg = SAEConfig(D_IN, D_SAE, kind, None if kind == "relu" else 3, **{"hook_name": "here"} | changes)
    sae = SparseAutoencoder(cfg, generator)
    for parameter in sae.parameters():
        parameter.data += 0.1 * torch.rand(parameter.shape, generator=generator)
    return sae.requires_grad_(False)


@pytest.fixture(params=KINDS)
def sae(request):
    return make(request.param)


# --- what each kind computes ------------------------------------------------------------------------------


def test_features_and_reconstruction_are_those_of_the_plain_equations(sae):
    z = (VECTORS - sae.b_dec) @ sae.W_enc + sae.b_enc
    kept = {
        "relu": z > 0,
        "topk": z >= z.sort(dim=-1, descending=True).values[:, 2:3],
    }.get(sae.cfg.activation, z > getattr(sae, "threshold", 0))
    expected = torch.where(kept & (z > 0), z, 0)
    torch.testing.assert_close(sae.encode(VECTORS), expected)
    torch.testing.assert_close(sae(VECTORS), expected @ sae.W_dec + sae.b_dec)


def test_leading_dimensions_are_free(sae):
    torch.testing.assert_close(sae(VECTORS.view(4, 10, D_IN)), sae(VECTORS).view(4, 10, D_IN))
    torch.testing.assert_close(sae(VECTORS[0]), sae(VECTORS)[0])


def test_topk_has_k_active_features():
    sae = make("topk")
    sae.b_enc += 10
    assert ((sae.encode(VECTORS) > 0).sum(dim=-1) == 3).all()


def test_drawn_as_said():
    sound = SparseAutoencoder(SAEConfig(72, 144, k=2), torch.Generator().manual_seed(0))
    torch.testing.assert_close(sound.W_dec.norm(dim=-1), torch.ones(144))
    assert torch.equal(sound.W_enc, sound.W_dec.T)
    plain = SparseAutoencoder(SAEConfig.published(), torch.Generator().manual_seed(0))
    for weight in (plain.W_enc, plain.W_dec):
        assert weight.var().item() == pytest.approx(1 / 72, rel=0.05)
    assert not plain.b_dec.requires_grad and not plain.b_dec.any()
    assert torch.corrcoef(torch.stack([plain.W_enc.T.flatten(), plain.W_dec.flatten()]))[0, 1].abs() < 0.03


def test_a_stack_computes_what_its_members_do(sae):
    others = [sae, make(sae.cfg.activation, seed=1)]
    stacked = SparseAutoencoder.stack(others)
    both = torch.stack([VECTORS, 2 * VECTORS])
    torch.testing.assert_close(stacked(VECTORS), torch.stack([each(VECTORS) for each in others]))
    torch.testing.assert_close(
        stacked(both), torch.stack([each(x) for each, x in zip(others, both, strict=True)])
    )
    for before, after in zip(others, stacked.unstack([each.cfg for each in others]), strict=True):
        assert all(
            torch.equal(value, after.state_dict()[name]) for name, value in before.state_dict().items()
        )


def test_an_edit_keeps_the_error_and_no_edit_changes_no_bit(sae):
    assert torch.equal(sae.edit(VECTORS, lambda f: f), VECTORS)
    edited = sae.edit(VECTORS, lambda f: 3 * f)
    features = sae.encode(VECTORS)
    torch.testing.assert_close(edited, VECTORS - sae(VECTORS) + sae.decode(3 * features))


# --- scales -----------------------------------------------------------------------------------------------


def test_normalised_decoder_has_rows_of_norm_1(sae):
    direction = sae.W_dec / sae.W_dec.norm(dim=-1, keepdim=True)
    sae.normalise_decoder()
    torch.testing.assert_close(sae.W_dec, direction)


@pytest.mark.parametrize("kind", ["relu", "batchtopk", "jumprelu"])
def test_folding_norms_keeps_the_reconstruction_and_scales_the_features(kind):
    sae = make(kind)
    before, features, norms = sae(VECTORS), sae.encode(VECTORS), sae.W_dec.norm(dim=-1)
    sae.fold_W_dec_norm()
    torch.testing.assert_close(sae.W_dec.norm(dim=-1), torch.ones(D_SAE))
    torch.testing.assert_close(sae(VECTORS), before)
    torch.testing.assert_close(sae.encode(VECTORS), features * norms)


def test_folding_norms_of_topk_is_refused_only_where_it_would_change_the_choice():
    sae = make("topk")
    with pytest.raises(ValueError, match="rows of W_dec differ in norm"):
        sae.fold_W_dec_norm()
    sae.normalise_decoder()
    sae.W_dec *= 2
    before = sae(VECTORS)
    sae.fold_W_dec_norm()
    torch.testing.assert_close(sae(VECTORS), before)


def test_folding_the_scale_of_training_is_exact(sae):
    before = sae(5 * VECTORS) / 5
    features = sae.encode(5 * VECTORS) / 5
    sae.fold_scale(5.0)
    torch.testing.assert_close(sae(VECTORS), before)
    torch.testing.assert_close(sae.encode(VECTORS), features)


@pytest.mark.parametrize(("arguments", "message"), [
    ({"activation": "gelu"}, "'gelu' is unknown: choose from relu, topk, batchtopk, jumprelu"),
    ({"d_sae": 0, "k": 1}, "must be 1 or more, got 6 and 0"),
    ({"activation": "relu", "k": 2}, "k is 2: relu takes none"),
    ({}, "k is None: relu takes none, and topk, batchtopk, jumprelu need one"),
    ({"k": 13}, "between 0 and d_sae = 12, got 13"),
    ({"k": 0}, "between 0 and d_sae = 12, got 0"),
    ({"k": 2.5}, "whole number of features, got k = 2.5"),
    ({"activation": "relu", "l1_coefficient": -1.0}, "coefficients must be 0 or more"),
    ({"activation": "jumprelu", "k": 2, "bandwidth": 0.0}, "bandwidth above 0"),
])  # fmt: skip
def test_wrong_configurations_are_refused(arguments, message):
    with pytest.raises(ValueError, match=message):
        SAEConfig(**{"d_in": 6, "d_sae": 12} | arguments)


# --- SAELens's format -------------------------------------------------------------------------------------


def test_saved_and_loaded_is_the_same(sae, tmp_path):
    again = sae_export.load(sae_export.save(sae, tmp_path / "sae", metadata={"context_size": 10}))
    assert again.cfg == sae.cfg
    assert torch.equal(again(VECTORS), sae(VECTORS))
    said = json.loads((tmp_path / "sae/cfg.json").read_text())
    assert said["metadata"]["hook_name"] == "here" and said["metadata"]["context_size"] == 10


ARCHITECTURES = {"relu": "standard", "topk": "topk", "batchtopk": "jumprelu", "jumprelu": "jumprelu"}


@pytest.mark.filterwarnings("ignore")  # of its dependencies
def test_saelens_reads_the_same_autoencoder(sae, tmp_path):
    if not importlib.util.find_spec("sae_lens"):
        pytest.skip("no SAELens: pip install sae-lens")
    from sae_lens import SAE

    theirs = SAE.load_from_disk(sae_export.save(sae, tmp_path / "ours"))
    assert theirs.cfg.architecture() == ARCHITECTURES[sae.cfg.activation]
    assert theirs.cfg.metadata.hook_name == "here"
    torch.testing.assert_close(theirs.encode(VECTORS), sae.encode(VECTORS))
    torch.testing.assert_close(theirs(VECTORS), sae(VECTORS))
    theirs.cfg.metadata.wm = None
    theirs.save_model(tmp_path / "theirs")
    torch.testing.assert_close(sae_export.load(tmp_path / "theirs")(VECTORS), sae(VECTORS))


def change_config(folder, **changes):
    said = json.loads((folder / "cfg.json").read_text())
    del said["metadata"]["wm"]
    (folder / "cfg.json").write_text(json.dumps(said | changes))


def test_what_saelens_says_is_enough(sae, tmp_path):
    change_config(sae_export.save(sae, tmp_path))
    again = sae_export.load(tmp_path)
    assert torch.equal(again(VECTORS), sae(VECTORS))
    assert (again.cfg.hook_name, again.cfg.decoder_bias) == ("here", True)


@pytest.mark.parametrize(("changes", "message"), [
    ({"architecture": "gated"}, "architecture gated is not read here: use SAELens"),
    ({"normalize_activations": "layer_norm"}, "normalize_activations layer_norm is not read here"),
    ({"rescale_acts_by_decoder_norm": True}, "rescale_acts_by_decoder_norm True is not read here"),
])  # fmt: skip
def test_other_architectures_and_options_are_refused(changes, message, tmp_path):
    change_config(sae_export.save(make("topk"), tmp_path), **changes)
    with pytest.raises(WrongSchema, match=message):
        sae_export.load(tmp_path)


def test_damage_is_told(tmp_path):
    sae = make("topk")
    with pytest.raises(DamagedFile, match="cfg.json: is missing: export it again"):
        sae_export.load(tmp_path)
    sae_export.save(sae, tmp_path)
    save_file({"W_enc": sae.W_enc}, tmp_path / "sae_weights.safetensors")
    with pytest.raises(DamagedFile, match="sae_weights.safetensors: cannot be read"):
        sae_export.load(tmp_path)
    (tmp_path / "cfg.json").write_text("{}")
    with pytest.raises(DamagedFile, match="cfg.json: cannot be read"):
        sae_export.load(tmp_path)


def test_an_export_that_fails_leaves_the_earlier_one(tmp_path):
    before = sae_export.save(make("topk"), tmp_path)
    with pytest.raises(ValueError, match=r"\$.metadata.loss is nan"):
        sae_export.save(make("topk", seed=1), tmp_path, metadata={"loss": float("nan")})
    assert torch.equal(sae_export.load(before)(VECTORS), make("topk")(VECTORS))


def test_published_configuration():
    cfg = SAEConfig.published(hook_name="there")
    assert (cfg.d_in, cfg.d_sae, cfg.activation, cfg.l1_coefficient) == (72, 144, "relu", 2.0)
    assert not (cfg.decoder_bias or cfg.unit_norm or cfg.rescale)
    assert replace(cfg, l1_coefficient=0.5) == SAEConfig.published(l1_coefficient=0.5, hook_name="there")
