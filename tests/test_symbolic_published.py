"""Random numbers of JAX against known answers, and the first weights of the published network."""

import numpy as np
import pytest
import torch

from wm import symbolic
from wm.symbolic import jax_random
from wm.symbolic.published import first_weights


def words(*values):
    return np.array(values, dtype=np.uint32)


@pytest.mark.parametrize(
    ("key", "counter", "expected"),
    [
        ((0, 0), (0, 0), (0x6B200159, 0x99BA4EFE)),
        ((0xFFFFFFFF, 0xFFFFFFFF), (0xFFFFFFFF, 0xFFFFFFFF), (0x1CB996FC, 0xBB002BE7)),
        ((0x13198A2E, 0x03707344), (0x243F6A88, 0x85A308D3), (0xC4923A9C, 0x483DF7A0)),
    ],
)
def test_threefry_gives_its_published_answers(key, counter, expected):
    """Known answers of the Random123 distribution, 20 rounds."""
    assert jax_random.threefry(words(*key), words(*counter)).tolist() == [*expected]


def test_normal_numbers_and_keys_are_those_of_jax():
    """As JAX 0.10 prints them: normal(key(0), (3,)), and normal(split(key(0))[1], (2,))."""
    assert jax_random.normal(jax_random.key(0), (3,)) == pytest.approx([1.6226422, 2.0252647, -0.43359444])
    _, second = jax_random.split(jax_random.key(0))
    assert jax_random.normal(second, (2,)) == pytest.approx([-2.4424558, -2.0356805])


def test_normal_numbers_are_normal():
    drawn = jax_random.normal(jax_random.key(7), (200, 500))
    assert drawn.dtype == np.float32 and abs(drawn.mean()) < 0.015 and abs(drawn.std() - 1) < 0.01
    assert (drawn > 1.96).mean() == pytest.approx(0.025, abs=0.002)
    assert np.corrcoef(drawn[:-1].ravel(), drawn[1:].ravel())[0, 1] == pytest.approx(0, abs=0.015)


def test_first_weights_are_those_that_plain_jax_draws():
    """The order of the published script, written out in JAX with key 0."""
    found = first_weights(symbolic.untrained(symbolic.config("sampled"), "0").shape, 0)
    expected = {
        "W_Q": ((4, 9, 2), -0.011797), "W_K": ((4, 9, 2), -0.112516), "W_V": ((4, 9, 2), 0.050294),
        "W_O": ((4, 2, 9), 0.073875), "b_Q": ((4, 2), -0.270755), "b_K": ((4, 2), -0.149775),
        "b_V": ((4, 2), -0.276468), "b_O": ((9,), -0.064587),
    }  # fmt: skip
    expected = {f"blocks.0.attn.{name}": entry for name, entry in expected.items()}
    expected |= {"embed.W_E": ((2, 5), -0.002966), "pos_embed.W_pos": ((3, 7), -0.960802)}
    assert set(found) == set(expected)
    for name, (entry, value) in expected.items():
        assert found[name][entry].item() == pytest.approx(value, abs=2e-6), name


def test_networks_of_a_published_start_have_its_weights_and_another_seed_others():
    config = symbolic.config("sampled")
    model, other = (dict(symbolic.untrained(config, seed).named_parameters()) for seed in ("0", "1"))
    expected = first_weights(symbolic.untrained(config, "0").shape, 0)
    assert all(torch.equal(model[name], value) for name, value in expected.items())
    assert set(model) == set(expected) and not any(torch.equal(model[name], other[name]) for name in model)
    own = dict(symbolic.untrained(symbolic.config("cycle"), "0").named_parameters())
    for name, value in model.items():  # of the same distributions
        assert value.std().item() == pytest.approx(own[name].std().item(), rel=0.35), name


def test_what_has_no_published_start_is_refused():
    with pytest.raises(ValueError, match="no MLP, no norm, tied"):
        symbolic.config("sampled", mlp=4)
    with pytest.raises(ValueError, match="only attention alone"):
        first_weights(symbolic.Shape(norm=True), 0)
    with pytest.raises(ValueError, match="seed 'a' is no key of JAX"):
        symbolic.untrained(symbolic.config("sampled"), "a")
    with pytest.raises(ValueError, match="must lie in 0 to"):
        jax_random.key(-1)
    with pytest.raises(ValueError, match="unknown start"):
        symbolic.config("cycle", start="torch")
