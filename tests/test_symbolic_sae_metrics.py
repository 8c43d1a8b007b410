"""Metrics of sparse autoencoders against slow loops, exact autoencoders and planted features."""

import numpy as np
import pytest
import torch

from wm.symbolic import Cycle, Shape, Transformer, score
from wm.symbolic.sae import SAEConfig, SparseAutoencoder
from wm.symbolic.sae_metrics import activations, density, indicators, match, quality, recovery, tuning
from wm.symbolic.task import Windows

EMBEDDED, ATTENDED = "blocks.0.hook_resid_pre", "blocks.0.hook_resid_post"
LONGER = Cycle().windows(11)
WINDOWS = Windows(LONGER.tokens[:, :-1], LONGER.probability)


@pytest.fixture(scope="module")
def model():
    """An untrained transformer of the published shape."""
    transformer = Transformer(Shape())
    transformer.reset(torch.Generator().manual_seed(0))
    return transformer.requires_grad_(False)


def exact(vectors: torch.Tensor, token: np.ndarray, place: np.ndarray) -> SparseAutoencoder:
    """A feature for each (token, place), 1 there and 0 elsewhere; W_dec is the vectors.

    Before attention a vector is a token's plus a place's: [same token] + [same place] - 1 is affine in it.
    """
    cfg = SAEConfig(72, len(vectors), "relu", hook_name=EMBEDDED, decoder_bias=False, unit_norm=False)
    sae = SparseAutoencoder(cfg).requires_grad_(False)
    same = [torch.from_numpy(each[:, None] == each).double() for each in (token, place)]
    lifted = torch.cat([vectors, torch.ones(len(vectors), 1)], dim=1).double()
    solution = (torch.linalg.pinv(lifted, rtol=1e-5) @ (sum(same) - 1)).float()
    sae.W_enc.data, sae.b_enc.data = solution[:-1].contiguous(), solution[-1].contiguous()
    sae.W_dec.data = vectors.clone()
    return sae


# --- vectors ----------------------------------------------------------------------------------------------


def test_a_model_shows_30_vectors_before_attention_and_135_after(model):
    before, after = (activations(model, WINDOWS, name) for name in (EMBEDDED, ATTENDED))
    assert before.vectors.shape == (30, 72) and after.vectors.shape == (135, 72)
    torch.testing.assert_close(before.weights, torch.full((30,), 1 / 30))
    assert after.weights.sum().item() == pytest.approx(1)
    assert after.weights.min().item() == pytest.approx(1 / 180)
    _, cache = model.run_with_cache(WINDOWS.tokens, [EMBEDDED, ATTENDED])
    torch.testing.assert_close(after.vectors[after.index], cache[ATTENDED])
    torch.testing.assert_close(before.vectors[before.index], cache[EMBEDDED])
    prefixes = {tuple(row[: t + 1]) for row in WINDOWS.tokens for t in range(10)}
    assert len(prefixes) == 135


def test_vectors_with_a_head_axis_are_refused(model):
    with pytest.raises(ValueError, match=r"hook_z has \(18, 10, 9, 8\): it must be \(trial, time, d\)"):
        activations(model, WINDOWS, "blocks.0.attn.hook_z")


# --- reconstruction ---------------------------------------------------------------------------------------


def test_quality_against_a_loop():
    generator = torch.Generator().manual_seed(3)
    x = torch.randn(50, 6, generator=generator) + 1
    weights = torch.rand(50, generator=generator)
    weights /= weights.sum()
    sae = SparseAutoencoder(SAEConfig(6, 12, k=3), generator).requires_grad_(False)
    sae.b_enc[0] = -100
    found = dict.fromkeys(("l0", "l1", "mse", "cosine", "l2_ratio"), 0.0)
    squared = size = along = 0.0
    mean, active = np.zeros(6), np.zeros(12, dtype=bool)
    for vector, weight in zip(x, weights.tolist(), strict=True):
        f, y = sae.encode(vector), sae(vector)
        found["l0"] += weight * sum(value != 0 for value in f.tolist())
        found["l1"] += weight * sum(map(abs, f.tolist()))
        found["mse"] += weight * (vector - y).square().sum().item()
        found["cosine"] += weight * torch.cosine_similarity(vector, y, dim=0).item()
        found["l2_ratio"] += weight * (y.norm() / vector.norm()).item()
        squared += weight * vector.square().sum().item()
        size += weight * y.square().sum().item()
        along += weight * (vector @ y).item()
        mean += weight * vector.numpy()
        active |= f.numpy() != 0
    found["explained_variance"] = 1 - found["mse"] / (squared - mean @ mean)
    found["relative_reconstruction_bias"] = size / along
    found["dead"] = 1 - active.mean()
    assert quality(sae, x, weights) == pytest.approx(found, rel=1e-5)
    assert found["dead"] >= 1 / 12


def test_quality_where_a_formula_divides_by_nothing():
    x, weights = torch.ones(4, 6), torch.full((4,), 0.25)
    silent = SparseAutoencoder(SAEConfig(6, 12, "relu")).requires_grad_(False)
    silent.b_enc -= 100
    found = quality(silent, x, weights)
    assert (found["explained_variance"], found["cosine"], found["relative_reconstruction_bias"]) == (0, 0, 1)
    silent.b_dec += 1
    assert quality(silent, x, weights)["explained_variance"] == 1


def test_density_is_the_probability_of_activity():
    features = np.array([[1.0, 0, 0], [2, 3, 0]])
    assert density(features, [0.25, 0.75]).tolist() == [1, 0.75, 0]


# --- what the model makes of it ---------------------------------------------------------------------------


def test_one_feature_a_vector_reconstructs_it_and_recovers_the_loss(model):
    shown = activations(model, WINDOWS, EMBEDDED)
    _, first = np.unique(shown.index, return_index=True)
    sae = exact(shown.vectors, WINDOWS.tokens.ravel()[first], first % 10)
    torch.testing.assert_close(sae.encode(shown.vectors), torch.eye(30), atol=1e-4, rtol=0)
    sae.fold_W_dec_norm()
    found = quality(sae, shown.vectors, shown.weights)
    assert found["explained_variance"] == pytest.approx(1, abs=1e-6)
    assert (found["dead"], found["l2_ratio"]) == pytest.approx((0, 1), abs=1e-4)
    kept = recovery(model, sae, LONGER)
    for value in (kept.loss_recovered, kept.loss_recovered_mean, kept.kl_recovered):
        assert value == pytest.approx(1, abs=1e-4)


def test_recovery_against_a_loop(model):
    sae = SparseAutoencoder(SAEConfig(72, 144, k=4, hook_name=ATTENDED), torch.Generator().manual_seed(0))
    _, cache = model.run_with_cache(WINDOWS.tokens, ATTENDED)
    x = cache[ATTENDED]
    mean = sum(p * x[w, t] / 10 for w, p in enumerate(WINDOWS.probability) for t in range(10)).float()
    put = {"clean": x, "reconstructed": sae(x).detach(), "zero": 0 * x, "mean": mean.expand_as(x)}
    costs, logs = {}, {}
    for name, y in put.items():
        logs[name] = (y @ model.W_U).log_softmax(-1)
        costs[name] = -sum(
            p * logs[name][w, t, LONGER.tokens[w, t + 1]].item() / 10
            for w, p in enumerate(WINDOWS.probability)
            for t in range(10)
        )
    found = recovery(model, sae, LONGER)
    assert {name: getattr(found, name) for name in costs} == pytest.approx(costs, rel=1e-5)
    assert found.clean == pytest.approx(score(model, LONGER).loss, rel=1e-6)
    for name in ("reconstructed", "zero"):
        gaps = torch.nn.functional.kl_div(logs[name], logs["clean"], log_target=True, reduction="none").sum(
            -1
        )
        expected = (torch.from_numpy(WINDOWS.probability) @ gaps.double().mean(1)).item()
        assert getattr(found, f"kl_{name}") == pytest.approx(expected, rel=1e-4)
    share = (costs["zero"] - costs["reconstructed"]) / (costs["zero"] - costs["clean"])
    assert found.loss_recovered == pytest.approx(share, rel=1e-4)


def test_ablations_recover_nothing(model):
    shown = activations(model, WINDOWS, ATTENDED)
    sae = SparseAutoencoder(SAEConfig(72, 8, "relu", hook_name="")).requires_grad_(False)
    sae.b_enc -= 1e4
    zero = recovery(model, sae, LONGER, hook_name=ATTENDED)
    assert (zero.loss_recovered, zero.kl_recovered) == pytest.approx((0, 0), abs=1e-9)
    sae.b_dec += shown.weights @ shown.vectors
    mean = recovery(model, sae, LONGER, hook_name=ATTENDED)
    assert mean.loss_recovered_mean == pytest.approx(0, abs=1e-4)
    with pytest.raises(ValueError, match="there is no hook point"):
        recovery(model, sae, LONGER)


# --- what features stand for ------------------------------------------------------------------------------


def test_planted_indicators_are_found_whatever_their_order_scale_and_sign():
    generator = np.random.default_rng(0)
    labels = np.arange(180) % 18
    truth = indicators(labels)
    assert truth.shape == (180, 18) and (truth.sum(axis=1) == 1).all()
    order = generator.permutation(18)
    scaled = truth[:, order] * generator.uniform(-3, 3, 18) + 1
    features = np.concatenate([generator.normal(size=(180, 5)), scaled], axis=1)
    found = match(features, truth)
    assert found.mcc == pytest.approx(1)
    assert {*map(tuple, found.pairs.tolist())} == {(5 + i, label) for i, label in enumerate(order)}
    assert found.chance < 0.4


def test_random_features_match_at_the_chance_level():
    generator = np.random.default_rng(1)
    found = match(generator.normal(size=(180, 40)), indicators(np.arange(180) % 18), permutations=50)
    assert found.mcc == pytest.approx(found.chance, rel=0.1)


def test_chance_of_selective_features_is_not_full_where_labels_have_one_row_each():
    found = match(np.eye(18), indicators(np.arange(18)))
    assert found.mcc == pytest.approx(1)
    assert 0.3 < found.chance < 0.8


def test_matching_weighs_rows():
    """A row of weight 2 is as two rows."""
    generator = np.random.default_rng(2)
    features, labels = np.abs(generator.normal(size=(30, 6))), generator.integers(3, size=30)
    twice = np.concatenate([np.arange(30), np.arange(10)])
    weights = np.bincount(twice) / 40
    weighed = match(features, indicators(labels), weights, permutations=0)
    doubled = match(features[twice], indicators(labels[twice]), permutations=0)
    np.testing.assert_allclose(weighed.correlation, doubled.correlation)
    assert np.isnan(weighed.chance)
    strength = np.corrcoef(features[twice].T, indicators(labels[twice]).T)[:6, 6:]
    np.testing.assert_allclose(weighed.correlation, np.abs(strength)[*weighed.pairs.T])


def test_what_is_constant_correlates_with_nothing():
    found = match(np.full((12, 3), 0.1), indicators(np.arange(12) % 3), permutations=0)
    assert found.mcc == 0


def test_rows_that_do_not_fit_are_refused():
    with pytest.raises(
        ValueError, match=r"features \(5, 3\), indicators \(6, 2\) and weights \(5,\) must have"
    ):
        match(np.ones((5, 3)), np.ones((6, 2)))


def test_indicators_leave_out_rows_without_a_label():
    assert indicators(np.array([2, -1, 0])).tolist() == [[0, 1], [0, 0], [1, 0]]


def test_tuning_is_the_mean_over_rows_with_a_label():
    features = np.array([[1.0, 0], [3, 4], [7, 7], [5, 5]])
    labels = np.array([0, 0, -1, 2])
    np.testing.assert_allclose(tuning(features, labels), [[2, np.nan, 5], [2, np.nan, 5]])
    np.testing.assert_allclose(tuning(features, labels, np.array([0.3, 0.1, 0.2, 0.4]))[0], [1.5, np.nan, 5])
