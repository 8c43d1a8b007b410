"""Training of sparse autoencoders: the losses, each kind, planted dictionaries, and ensembles."""

from dataclasses import replace

import numpy as np
import pytest
import torch

from wm.symbolic import sae_training
from wm.symbolic.sae import KINDS, SAEConfig, SparseAutoencoder
from wm.symbolic.sae_metrics import match, quality
from wm.symbolic.sae_training import PUBLISHED, Schedule, fit
from wm.train import NotFinite

D_IN, D_SAE, VECTORS = 16, 24, 60
QUICK = Schedule(150, record_every=50)


def config(kind: str, **changes) -> SAEConfig:
    k = None if kind == "relu" else 3
    return SAEConfig(D_IN, D_SAE, kind, k, **{"l1_coefficient": 0.1} | changes)


@pytest.fixture(scope="module")
def data():
    """Vectors that are no more than some numbers, and probabilities that are multiples of 1 / 80."""
    generator = torch.Generator().manual_seed(0)
    x = torch.randn(VECTORS, D_IN, generator=generator) * 3 + 1
    weights = torch.cat([torch.full((40,), 1 / 80), torch.full((20,), 2 / 80)])
    return x, weights


def planted(kind: str) -> tuple[torch.Tensor, np.ndarray]:
    """Vectors made of 2 of 16 orthogonal directions each, or random ones; and which directions."""
    generator = np.random.default_rng(5)
    directions = np.linalg.qr(generator.normal(size=(D_IN, D_IN)))[0]
    present = np.argsort(generator.random((200, D_IN)), axis=1) < 2
    x = (present * generator.uniform(1, 2, present.shape)) @ directions
    x = generator.normal(size=x.shape) if kind == "random" else x
    return torch.from_numpy(x).float(), present.astype(float)


# --- losses -----------------------------------------------------------------------------------------------


def objective(configs, x, weights):
    return sae_training._Objective(configs, x, weights)


def test_published_loss_by_hand():
    """Two vectors, one feature: f = (2, 0), x^ = (2, 2) and (0, 0); probabilities 3/4 and 1/4."""
    cfg = SAEConfig(2, 1, "relu", l1_coefficient=2.0, decoder_bias=False, unit_norm=False, rescale=False)
    sae = SparseAutoencoder.stack([SparseAutoencoder(cfg)])
    sae.W_enc.data, sae.W_dec.data = torch.tensor([[[1.0], [1.0]]]), torch.tensor([[[1.0, 1.0]]])
    x, weights = torch.tensor([[2.0, 0.0], [-1.0, 1.0]]), torch.tensor([0.75, 0.25])
    loss, terms = objective([cfg], x, weights)(sae, weights)
    reconstruction = 0.75 * (0**2 + 2**2) / 2 + 0.25 * (1 + 1) / 2
    assert terms["reconstruction"].item() == pytest.approx(reconstruction)
    assert loss.item() == pytest.approx(reconstruction + 2.0 * 0.75 * 2)
    assert terms["l0"].item() == 0.75


def test_drawn_and_exact_expectations_agree_on_average(data):
    """Weights of drawn batches are counts: their mean is the probability."""
    x, weights = data
    draws = sae_training._draws(weights, 320, ["0", "1"], times=2)
    drawn = torch.stack([next(draws) for _ in range(300)])
    assert drawn.shape == (300, 4, VECTORS)
    assert torch.equal(drawn[:, :2], drawn[:, 2:]) and not torch.equal(drawn[:, 0], drawn[:, 1])
    torch.testing.assert_close(drawn.sum(-1), torch.ones(300, 4))
    torch.testing.assert_close(drawn.mean((0, 1)), weights, atol=2e-3, rtol=0)


def gradient(function, *inputs):
    inputs = [each.clone().requires_grad_() for each in inputs]
    function(*inputs).backward()
    return [each.grad for each in inputs]


def test_gradients_of_jumprelu_go_straight_through_within_the_bandwidth():
    """d f / d threshold = -threshold / bandwidth and d L0 / d threshold = -1 / bandwidth near it, else 0."""
    cfg = SAEConfig(1, 4, "jumprelu", 2, bandwidth=0.2)
    z = torch.tensor([[[0.95, 1.05, 1.5, 0.2]]])
    sae = SparseAutoencoder.stack([SparseAutoencoder(cfg)])
    sae.threshold.data.fill_(1.0)
    loss = objective([cfg], torch.zeros(1, 1), torch.ones(1))
    features, on = loss._active(sae, z, torch.ones(1))
    assert features.tolist() == [[[0, pytest.approx(1.05), 1.5, 0]]] and on.tolist() == [[[0, 1, 1, 0]]]
    for value in (features, on):
        (found,) = torch.autograd.grad(value.sum(), sae.threshold, retain_graph=True)
        torch.testing.assert_close(found, torch.tensor([[[-5.0, -5.0, 0, 0]]]))


def test_levels_keep_k_of_each_vector_or_on_average(data):
    x, weights = data
    z = torch.randn(2, VECTORS, D_SAE, generator=torch.Generator().manual_seed(1))
    several = [replace(config("topk"), k=k) for k in (3, D_SAE)]
    kept = z > objective(several, x, weights).level(z, weights)
    assert (kept[0].sum(-1) == 3).all() and torch.equal(kept[1], z[1] > 0)
    several = [replace(config("batchtopk"), k=k) for k in (3, 5.5)]
    kept = (z > objective(several, x, weights).level(z, weights)).float()
    mean = (kept.sum(-1) * weights).sum(-1)
    assert ((mean <= torch.tensor([3, 5.5]) + 1e-5) & (mean > torch.tensor([3, 5.5]) - 2 / 80)).all()
    largest = z[0].flatten().sort(descending=True).values
    assert z[0][kept[0] > 0].min() > largest[int(kept[0].sum())]


def test_batchtopk_level_without_limits():
    z, weights = np.array([[3.0, 1], [2, 0.5]], dtype=np.float32), np.array([0.5, 0.5], dtype=np.float32)
    assert sae_training._batch_level(z, weights, 2) == -np.inf
    assert sae_training._batch_level(z, weights, 1) == 1.5
    assert sae_training._batch_level(z, np.array([1.0, 0], dtype=np.float32), 1) == 2


def test_dead_features_learn_what_is_missed(data):
    """A feature that never fires moves towards the error, the others do not move."""
    x, weights = data
    cfg = config("topk", aux_coefficient=1.0)
    sae = SparseAutoencoder.stack([SparseAutoencoder(cfg, torch.Generator().manual_seed(0))])
    sae.b_enc.data[..., :4] = -1000
    loss = objective([cfg], x, weights)
    for _ in range(sae_training.DEAD_AFTER - 1):
        assert not loss(sae, weights)[1]["sparsity"].any()
    assert loss(sae, weights)[1]["sparsity"].item() > 0
    sae.b_enc.data[..., :4] = 0  # they may fire again, but count as dead until the next step
    z = sae.pre_activations(x)
    dead = loss.silent.flatten() >= sae_training.DEAD_AFTER
    assert dead[:4].all() and not dead[4:].all()
    revival = loss._revival(sae, z, torch.ones(1, VECTORS, D_IN), weights)
    assert revival.item() > 0
    (found,) = torch.autograd.grad(revival.sum(), sae.W_dec)
    assert found[0, dead].any() and not found[0, ~dead].any()


# --- training ---------------------------------------------------------------------------------------------


@pytest.mark.parametrize("batch", [None, 320])
@pytest.mark.parametrize("kind", KINDS)
def test_every_kind_learns(kind, batch, data):
    x, weights = data
    saes, history = fit(x, weights, config(kind), ["0", "1"], schedule=replace(QUICK, batch=batch))
    assert history["step"].tolist() == [0, 50, 100, 150]
    assert history["loss"].shape == (4, 2)
    assert (history["loss"][-1] < 0.6 * history["loss"][0]).all()
    np.testing.assert_allclose(history["loss"], history["reconstruction"] + history["sparsity"], rtol=1e-5)
    for i, sae in enumerate(saes):
        torch.testing.assert_close(sae.W_dec.norm(dim=-1), torch.ones(D_SAE))
        found = quality(sae, x, weights)
        assert found["l0"] == pytest.approx(history["l0"][-1, i], abs=0.05)
        scale = (D_IN / (weights @ x.square().sum(-1))).item()
        assert found["mse"] / D_IN * scale == pytest.approx(history["reconstruction"][-1, i], rel=0.02)
        if kind == "topk":
            assert ((sae.encode(x) > 0).sum(-1) <= 3).all() and found["l0"] > 2.9
        if kind == "batchtopk":
            assert 3 - 2 / 80 < found["l0"] <= 3.0001


def test_published_setting_leaves_bias_and_norms_alone(data):
    x, weights = data
    schedule = replace(PUBLISHED, steps=200)
    (sae,), history = fit(x, weights, SAEConfig.published(D_IN), ["0"], schedule=schedule)
    assert not sae.b_dec.any() and sae.W_dec.norm(dim=-1).std() > 0.01
    assert history["loss"][-1, 0] < history["loss"][0, 0]
    assert (PUBLISHED.steps, PUBLISHED.learning_rate, PUBLISHED.weight_decay, PUBLISHED.batch) == (
        10_000, 1e-3, 0.01, 320,
    )  # fmt: skip
    assert PUBLISHED.rate(0) == PUBLISHED.rate(9_999) == 1e-3


def test_rate_falls_at_the_end():
    schedule = Schedule(100, learning_rate=1.0, decay=0.2)
    assert [schedule.rate(step) for step in (0, 80, 90, 99)] == pytest.approx([1, 1, 0.5, 0.05])


def test_reconstruction_is_better_with_a_smaller_penalty(data):
    x, weights = data
    configs = [config("relu", l1_coefficient=c) for c in (0.0, 0.3, 1.0)]
    _, history = fit(x, weights, configs, ["0"], schedule=QUICK)
    assert (np.diff(history["reconstruction"][-1]) > 0).all() and (np.diff(history["l0"][-1]) < 0).all()


@pytest.mark.parametrize("kind", KINDS)
def test_a_member_is_the_same_whatever_it_is_trained_with(kind, data):
    x, weights = data
    schedule = Schedule(20, batch=50)
    alone = fit(x, weights, config(kind), ["1"], schedule=schedule).saes[0]
    configs = [config(kind)] if kind == "relu" else [replace(config(kind), k=5), config(kind)]
    many = fit(x, weights, configs, ["0", "1", "2"], schedule=schedule).saes[-2]
    other = fit(torch.stack([x + 1, x]), weights, config(kind), ["0", "1"], schedule=schedule).saes[1]
    for sae in (many, other):
        assert sae.cfg == alone.cfg
        for name, value in alone.state_dict().items():
            torch.testing.assert_close(sae.state_dict()[name], value, atol=1e-4, rtol=1e-4)


@pytest.mark.parametrize("kind", ["topk", "batchtopk", "relu"])
def test_planted_dictionary_is_found(kind):
    x, present = planted("sparse")
    cfg = replace(config(kind), k=None if kind == "relu" else 2)
    saes, _ = fit(x, np.full(200, 1 / 200), cfg, ["0", "1"], schedule=Schedule(300))
    for sae in saes:
        found = match(sae.encode(x).detach(), present, permutations=5)
        assert found.mcc > 0.8 > 0.4 > found.chance


def test_features_of_random_vectors_match_at_the_chance_level():
    x, present = planted("random")
    sae = fit(x, np.full(200, 1 / 200), replace(config("topk"), k=2), ["0"], schedule=QUICK).saes[0]
    found = match(sae.encode(x).detach(), present)
    assert found.mcc == pytest.approx(found.chance, rel=0.15)


# --- what is refused --------------------------------------------------------------------------------------


@pytest.mark.parametrize(("changes", "message"), [
    ({"seeds": []}, "nothing to train"),
    ({"config": []}, "nothing to train"),
    ({"config": [config("relu"), config("topk")]}, "may differ in k and coefficients only"),
    ({"config": [config("topk"), config("topk", unit_norm=False)]}, "may differ in k and coefficients only"),
    ({"activations": torch.ones(5, D_IN)}, r"must be \(60, 16\), or such for each of 1 seeds, got \(5, 16\)"),
    ({"activations": torch.full((VECTORS, D_IN), torch.nan)}, "NaN or infinite"),
    ({"weights": torch.ones(VECTORS)}, "must be probabilities, they sum to 60"),
])  # fmt: skip
def test_what_cannot_be_trained_is_refused(changes, message, data):
    given = {"activations": data[0], "weights": data[1], "config": config("topk"), "seeds": ["0"]} | changes
    with pytest.raises(ValueError, match=message):
        fit(**given, schedule=QUICK)


def test_divergence_is_told(data):
    wild = Schedule(10, learning_rate=1e30, record_every=1)
    with pytest.raises(NotFinite, match="network 0"):
        fit(*data, config("relu", unit_norm=False), ["0"], schedule=wild)
