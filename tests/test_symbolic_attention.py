"""Attention: patterns and entropies against plain loops, exact parts of scores, planted heads, lost heads."""

import math

import numpy as np
import pytest
import torch

from wm import symbolic
from wm.symbolic import attention
from wm.symbolic.evaluate import score
from wm.symbolic.library import Trained
from wm.symbolic.transformer import Shape, Transformer

CYCLE = symbolic.Cycle()
TOKENS = CYCLE.windows(10).tokens


def network(family="cycle", seed="0", **changes):
    config = symbolic.config(family, **changes)
    return Trained(f"{family}-0{seed}", seed, config, symbolic.untrained(config, seed), {})


def test_patterns_are_rows_of_shares_and_later_places_get_none():
    found = attention.patterns(network().model, TOKENS)
    assert found.shape == (18, 9, 10, 10) and found.dtype == np.float64
    assert np.allclose(found.sum(axis=-1), 1, atol=1e-6)
    assert not found[..., np.triu(np.ones((10, 10), bool), 1)].any()
    second = attention.patterns(network(layers=2).model, TOKENS, layer=1)
    assert not np.allclose(second, attention.patterns(network(layers=2).model, TOKENS))


def test_entropies_of_equal_shares_and_of_one_place():
    equal = np.tril(np.ones((10, 10))) / np.arange(1, 11)[:, None]
    assert np.allclose(attention.entropies(equal), np.log(np.arange(1, 11)))
    assert not attention.entropies(np.eye(10)).any()
    assert attention.entropies([0.5, 0.25, 0.25]) == pytest.approx(1.5 * math.log(2))


def test_lags_count_back_from_the_last_place():
    pattern = np.zeros((2, 1, 4, 4))
    pattern[0, 0, 3, 3] = pattern[1, 0, 3, 1] = 1  # itself; two steps back
    assert attention.by_lag(pattern)[:, 0].tolist() == [[1, 0, 0, 0], [0, 0, 1, 0]]


def test_shares_of_runs_are_those_of_a_plain_walk():
    pattern = np.random.default_rng(0).dirichlet(np.ones(10), size=(18, 3, 10))
    found = attention.shares(pattern, TOKENS)
    for w, window in enumerate(TOKENS):
        begins = next(t for t in range(9, -1, -1) if t == 0 or window[t - 1] != window[t])
        before = next(t for t in range(begins - 1, -1, -1) if t == 0 or window[t - 1] != window[t])
        last = pattern[w, :, -1]
        assert np.allclose(found["own"][w], last[:, begins:].sum(axis=1))
        assert np.allclose(found["previous"][w], last[:, before:begins].sum(axis=1))
        assert np.allclose(found["change"][w], last[:, begins - 1 : begins + 1].sum(axis=1))
    constant = attention.shares(pattern[:1], np.zeros((1, 10), int))
    assert np.allclose(constant["own"], 1) and not constant["previous"].any() and not constant["change"].any()


def test_parts_add_up_to_the_scores():
    model = network().model
    parts = attention.score_parts(model, 10)
    assert parts.symbol.shape == (9, 3, 3) and parts.position.shape == (9, 3, 10)
    name = "blocks.0.attn.hook_attn_scores"
    seen = model.run_with_cache(torch.as_tensor(TOKENS), name)[1][name][:, :, -1].numpy()
    for window, scores in zip(TOKENS, seen, strict=True):
        own = window[-1]
        assert np.allclose(parts.symbol[:, own][:, window] + parts.position[:, own], scores, atol=1e-5)
    with pytest.raises(ValueError, match="with layer norms"):
        attention.score_parts(Transformer(Shape(norm=True)), 10)


def planted():
    """Head 0 looks at its own symbol, head 1 at the place before the last; the others everywhere alike."""
    each = network()
    weights = {name: torch.zeros_like(value) for name, value in each.model.named_parameters()}
    weights["embed.W_E"][:, :3] = torch.eye(3)
    weights["pos_embed.W_pos"][range(10), range(10, 20)] = 1
    for name in "QK":
        weights[f"blocks.0.attn.W_{name}"][0, :3, :3] = math.sqrt(3 * math.sqrt(72)) * torch.eye(3)
    weights["blocks.0.attn.b_Q"][1, 0] = 1
    weights["blocks.0.attn.W_K"][1, 18, 0] = 30 * math.sqrt(72)
    each.model.load_state_dict(weights)
    return each


def test_planted_heads_are_told_by_what_they_look_at():
    each = planted()
    found = attention.heads(each).set_index("head")
    assert found.symbol_nats[0] == pytest.approx(2**0.5, rel=1e-5)  # of 3, 0, 0
    assert found.position_nats[0] == pytest.approx(0)
    assert found.symbol_nats[1] == 0 and found.position_nats[1] == pytest.approx(30 * 0.3)
    assert found.lag[1] == pytest.approx(1) and found.entropy[1] == pytest.approx(0, abs=1e-9)
    assert found.own[0] > found.own[2] + 0.2  # the others look everywhere: 3.5 of 10 places, on average
    assert np.allclose(found.entropy[2:], math.log(10)) and np.allclose(found.lag[2:], 4.5)
    assert np.allclose(found[[f"entropy_{t}" for t in range(1, 11)]].to_numpy()[2], np.log(np.arange(1, 11)))
    low, high = found.entropy_low - 1e-6, found.entropy_high + 1e-6  # up to rounding
    assert found.entropy.between(low, high).all() and high[0] - low[0] > 0.5
    assert np.allclose(found[["loss", "last_loss", "last_accuracy"]], 0)  # no head has a say


def test_without_a_head_its_mean_is_left_in():
    each, windows = network(), CYCLE.windows(11)
    whole, without = attention.without_head(each.model, windows)
    assert len(without) == 9 and whole.loss == score(each.model, windows).loss
    model, tokens = each.model, torch.as_tensor(windows.tokens[:, :-1])
    z = model.run_with_cache(tokens, "blocks.0.attn.hook_z")[1]["blocks.0.attn.hook_z"]
    x = model.run_with_cache(tokens)[1]["blocks.0.hook_resid_post"].double()
    change = (z[:, :, 4].mean(dim=0) - z[:, :, 4]).double() @ model.blocks[0].attn.W_O[4].double()
    logs = ((x + change) @ model.W_U.double()).log_softmax(dim=-1)
    costs = -logs.gather(-1, torch.as_tensor(windows.tokens[:, 1:, None]))[..., 0]
    assert np.allclose(without[4].loss_by_place, costs.mean(dim=0), atol=1e-6)
    assert not any(point.hooked for name, point in model.named_modules() if "hook_" in name)


def test_a_silent_head_costs_nothing_and_jittered_windows_weigh_by_their_chance():
    each = network("jitter")
    each.model.blocks[0].attn.W_O[2] = 0
    found = attention.heads(each).set_index("head")
    assert found.loss[2] == pytest.approx(0, abs=1e-12) and abs(found.loss[3]) > 1e-6
    tokens, chance = each.config.cycle().windows(10)
    entropy = attention.entropies(attention.patterns(each.model, tokens))[:, 5, -1]
    assert found.entropy[5] == pytest.approx((chance * entropy).sum()) and chance.std() > 0
