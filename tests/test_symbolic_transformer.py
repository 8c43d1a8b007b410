"""The transformer and its hooks: plain loops, causality, TransformerLens if installed; the baselines."""

import math

import numpy as np
import pytest
import torch
from torch import nn

from wm.symbolic.baselines import GRU, WindowMLP
from wm.symbolic.hooks import Hooked, HookPoint
from wm.symbolic.transformer import Shape, Transformer

SHAPES = {
    "published": Shape(),
    "two layers": Shape(layers=2),
    "mlp": Shape(layers=2, heads=2, d_model=8, mlp=4, positions=12, symbols=4),
    "all": Shape(layers=3, heads=4, d_model=16, mlp=2, norm=True, tied=False, positions=20, symbols=5),
}


def made(shape, seed=0):
    model = Transformer(shape)
    model.reset(torch.Generator().manual_seed(seed))
    for name, value in model.named_parameters():  # weights and biases of a norm that does something
        if name.rpartition(".")[2] in ("w", "b"):
            value.data += 0.1 * torch.randn(value.shape, generator=torch.Generator().manual_seed(1))
    return model.requires_grad_(False).double()


def draw(shape, trials=6, length=10, seed=2):
    return torch.as_tensor(np.random.default_rng(seed).integers(shape.symbols, size=(trials, length)))


@pytest.fixture(params=SHAPES)
def shape(request):
    return SHAPES[request.param]


# ---------------------------------------------------------------- against plain loops


def normed(x, layer):
    return (x - x.mean()) / np.sqrt(x.var() + 1e-5) * layer["w"] + layer["b"]


def gelu(x):
    return np.array([0.5 * a * (1 + math.erf(a / math.sqrt(2))) for a in x])


def below(weights, path):
    """Weights of a submodule, under their names in it."""
    return {name.removeprefix(path): value for name, value in weights.items() if name.startswith(path)}


def by_hand(model, tokens):
    """Logits of one window, place by place and head by head, in numpy."""
    shape = model.shape
    weights = {name: value.numpy() for name, value in model.named_parameters()}
    x = np.array([weights["embed.W_E"][s] + weights["pos_embed.W_pos"][t] for t, s in enumerate(tokens)])
    for layer in range(shape.layers):
        own = below(weights, f"blocks.{layer}.")
        attn, mlp, ln1, ln2 = (below(own, f"{part}.") for part in ("attn", "mlp", "ln1", "ln2"))
        read = [normed(row, ln1) if shape.norm else row for row in x]
        added = np.tile(attn["b_O"], (len(x), 1))
        for t in range(len(x)):
            for h in range(shape.heads):
                q = read[t] @ attn["W_Q"][h] + attn["b_Q"][h]
                keys = [read[k] @ attn["W_K"][h] + attn["b_K"][h] for k in range(t + 1)]
                weight = np.exp([q @ key / math.sqrt(shape.d_model) for key in keys])
                weight /= weight.sum()
                z = sum(w * (read[k] @ attn["W_V"][h] + attn["b_V"][h]) for k, w in enumerate(weight))
                added[t] += z @ attn["W_O"][h]
        x = x + added
        if shape.mlp:
            for t, row in enumerate(x):
                seen = normed(row, ln2) if shape.norm else row
                x[t] = row + gelu(seen @ mlp["W_in"] + mlp["b_in"]) @ mlp["W_out"] + mlp["b_out"]
    return x @ (weights["embed.W_E"].T if shape.tied else weights["unembed.W_U"])


def test_logits_are_those_of_plain_loops(shape):
    model, tokens = made(shape), draw(shape, trials=2)
    for window, logits in zip(tokens.numpy(), model(tokens).numpy(), strict=True):
        assert np.allclose(logits, by_hand(model, window), atol=1e-12)


def test_a_change_leaves_earlier_logits_alone(shape):
    model, tokens = made(shape), draw(shape)
    before = model(tokens)
    for t in range(tokens.shape[1]):
        changed = tokens.clone()
        changed[:, t] = (changed[:, t] + 1) % shape.symbols
        after = model(changed)
        assert torch.allclose(after[:, :t], before[:, :t], atol=1e-13, rtol=0)
        assert not torch.allclose(after[:, t:], before[:, t:])
        assert torch.allclose(model(tokens[:, : t + 1]), before[:, : t + 1], atol=1e-13, rtol=0)


def test_published_size_and_initial_scales():
    model = Transformer(Shape())
    model.reset(torch.Generator().manual_seed(0))
    assert sum(value.numel() for value in model.parameters()) == 72 * (3 + 100) + 4 * 72 * 72 + 4 * 72
    sizes = {"pos_embed.W_pos": 1, "embed.W_E": 1 / 144}
    sizes |= {"blocks.0.attn.W_Q": 1 / 72, "blocks.0.attn.b_K": 1 / 8}
    for name, variance in sizes.items():
        value = model.get_parameter(name)
        assert value.var().item() == pytest.approx(variance, rel=5 / math.sqrt(value.numel())), name


def test_shapes_and_tokens_that_do_not_fit_are_refused():
    with pytest.raises(ValueError, match="5 heads do not divide d_model 72"):
        Transformer(Shape(heads=5))
    model = made(Shape(positions=4, heads=2, d_model=4))
    with pytest.raises(ValueError, match="a context of 5 is beyond 4 positions"):
        model(torch.zeros(1, 5, dtype=torch.long))
    for wrong in (torch.zeros(5, dtype=torch.long), torch.zeros(1, 5)):
        with pytest.raises(ValueError, match=r"tokens must be whole numbers \(trial, time\)"):
            model(wrong)


# ---------------------------------------------------------------- hooks


def test_names_and_layouts():
    shape = Shape(layers=2, heads=3, d_model=12, positions=16)
    model, tokens = made(shape), draw(shape, trials=5, length=7)
    assert model.hook_names()[:2] == ["hook_embed", "hook_pos_embed"]
    attention = ("q", "k", "v", "attn_scores", "pattern", "z", "result")
    for layer in (0, 1):
        assert {name for name in model.hook_names() if name.startswith(f"blocks.{layer}")} == {
            *(f"blocks.{layer}.hook_{name}" for name in ("resid_pre", "attn_out", "resid_post")),
            *(f"blocks.{layer}.attn.hook_{name}" for name in attention),
        }
    cache = model.run_with_cache(tokens, lambda name: True)[1]
    sizes = {"hook_embed": (5, 7, 12), "hook_pos_embed": (5, 7, 12), "blocks.1.hook_resid_post": (5, 7, 12),
             "blocks.1.attn.hook_result": (5, 7, 3, 12)}  # fmt: skip
    sizes |= {f"blocks.0.attn.hook_{name}": (5, 7, 3, 4) for name in "qkvz"}
    sizes |= {f"blocks.0.attn.hook_{name}": (5, 3, 7, 7) for name in ("attn_scores", "pattern")}
    assert {name: (*cache[name].shape,) for name in sizes} == sizes


def test_names_with_mlp_and_norm():
    names = made(SHAPES["all"]).hook_names()
    for name in ("hook_resid_mid", "hook_mlp_out", "mlp.hook_pre", "mlp.hook_post", "ln1.hook_normalized",
                 "ln2.hook_normalized"):  # fmt: skip
        assert f"blocks.2.{name}" in names


def test_cache_holds_what_the_forward_pass_makes(shape):
    """The residual stream before layer l is the embeddings and what l layers have added, no more, no less."""
    model, tokens = made(shape), draw(shape)
    logits, cache = model.run_with_cache(tokens, lambda name: True)
    assert torch.equal(logits, model(tokens)) or torch.allclose(logits, model(tokens), atol=1e-13)
    x = model.embed(tokens) + model.pos_embed(tokens)
    assert torch.equal(cache["hook_embed"] + cache["hook_pos_embed"], x)
    for layer, block in enumerate(model.blocks):
        at, attn = f"blocks.{layer}", block.attn
        assert torch.allclose(cache[f"{at}.hook_resid_pre"], x, atol=1e-12)
        read = block.ln1(x)
        weights = [(getattr(attn, f"W_{name}"), getattr(attn, f"b_{name}")) for name in "QKV"]
        q, k, v = (torch.einsum("btd,hde->bthe", read, w) + b for w, b in weights)
        for name, value in zip("qkv", (q, k, v), strict=True):
            assert torch.allclose(cache[f"{at}.attn.hook_{name}"], value, atol=1e-12)
        scores = torch.einsum("bqhe,bkhe->bhqk", q, k) / math.sqrt(shape.d_model)
        pattern = cache[f"{at}.attn.hook_pattern"]
        later = torch.ones(pattern.shape[-2:], dtype=torch.bool).triu(1)
        seen = cache[f"{at}.attn.hook_attn_scores"]
        assert torch.allclose(seen[..., ~later], scores[..., ~later], atol=1e-12)
        assert torch.allclose(pattern.sum(-1), torch.ones((), dtype=pattern.dtype))
        assert (pattern[..., later] == 0).all()
        assert torch.allclose(pattern, scores.masked_fill(later, -torch.inf).softmax(-1), atol=1e-12)
        z = torch.einsum("bhqk,bkhe->bqhe", pattern, v)
        assert torch.allclose(cache[f"{at}.attn.hook_z"], z, atol=1e-12)
        added = cache[f"{at}.hook_attn_out"]
        assert torch.allclose(cache[f"{at}.attn.hook_result"].sum(2), added - attn.b_O, atol=1e-12)
        x = x + added
        if shape.mlp:
            assert torch.allclose(cache[f"{at}.hook_resid_mid"], x, atol=1e-12)
            x = x + cache[f"{at}.hook_mlp_out"]
        assert torch.allclose(cache[f"{at}.hook_resid_post"], x, atol=1e-12)
    assert torch.allclose(logits, x @ model.W_U, atol=1e-12)


def test_the_large_result_is_only_made_if_it_is_asked_for():
    model, tokens = made(Shape()), draw(Shape())
    cache = model.run_with_cache(tokens)[1]
    assert {*model.hook_names()} - {*cache} == {"blocks.0.attn.hook_result"}
    by_name = model.run_with_cache(tokens, "blocks.0.attn.hook_result")[1]
    by_list = model.run_with_cache(tokens, ["blocks.0.attn.hook_z", "hook_embed"])[1]
    assert [*by_name] == ["blocks.0.attn.hook_result"]
    assert {*by_list} == {"blocks.0.attn.hook_z", "hook_embed"}


def test_equal_scores_give_the_entropy_of_equal_shares():
    model, tokens = made(Shape()), draw(Shape())
    flat = [("blocks.0.attn.hook_q", lambda q, hook: torch.zeros_like(q))]
    found = {}
    keep = ("blocks.0.attn.hook_pattern", lambda p, hook: found.update({hook.name: p}))
    model.run_with_hooks(tokens, [*flat, keep])
    entropy = torch.special.entr(found["blocks.0.attn.hook_pattern"]).sum(-1)
    uniform = torch.arange(1, 11, dtype=torch.double).log()
    assert torch.allclose(entropy, uniform.expand_as(entropy), atol=1e-12)


def test_a_hook_replaces_what_it_returns_and_none_changes_nothing(shape):
    model, tokens = made(shape), draw(shape)
    seen = []
    logits = model.run_with_hooks(tokens, [(lambda name: True, lambda x, hook: seen.append(hook.name))])
    assert {*seen} == {*model.hook_names()} and torch.allclose(logits, model(tokens), atol=1e-13)
    last = f"blocks.{shape.layers - 1}.hook_resid_post"
    fixed = torch.randn(6, 10, shape.d_model, dtype=torch.double)
    assert torch.equal(model.run_with_hooks(tokens, [(last, lambda x, hook: fixed)]), fixed @ model.W_U)
    doubled = [(last, lambda x, hook: 2 * x), (last, lambda x, hook: x + 1)]  # one after the other
    cache = model.run_with_cache(tokens, last)[1]
    assert torch.allclose(model.run_with_hooks(tokens, doubled), (2 * cache[last] + 1) @ model.W_U)


def test_an_edit_at_a_place_reaches_no_earlier_one(shape):
    model, tokens, t = made(shape), draw(shape), 6

    def edit(x, hook):
        x = x.clone()
        x[:, t] += 1
        return x

    before, after = model(tokens), model.run_with_hooks(tokens, [("blocks.0.hook_resid_pre", edit)])
    assert torch.allclose(after[:, :t], before[:, :t], atol=1e-13, rtol=0)
    assert not torch.allclose(after[:, t], before[:, t])


def test_zeroing_a_head_takes_its_result_away():
    model, tokens = made(Shape()), draw(Shape())

    def zero(z, hook):
        return z * (torch.arange(9) != 4)[:, None]

    cache = model.run_with_cache(tokens, lambda name: True)[1]
    without = cache["blocks.0.hook_resid_post"] - cache["blocks.0.attn.hook_result"][:, :, 4]
    found = model.run_with_hooks(tokens, [("blocks.0.attn.hook_z", zero)])
    assert torch.allclose(found, without @ model.W_U, atol=1e-12)


def hooked(model):
    points = (module for module in model.modules() if isinstance(module, HookPoint))
    return [function for point in points for function in point.hooked]


def test_nothing_stays_hooked():
    model, tokens = made(Shape()), draw(Shape())
    before = model(tokens)

    def fail(x, hook):
        raise ArithmeticError("on purpose")

    with pytest.raises(ArithmeticError, match="on purpose"):
        model.run_with_hooks(tokens, [("hook_embed", lambda x, hook: 0 * x), ("blocks.0.attn.hook_z", fail)])
    assert not hooked(model)
    unknown = [("hook_embed", lambda x, hook: 0 * x), ("blocks.0.hook_resid_pots", fail)]
    with pytest.raises(ValueError, match=r"there is no hook point 'blocks.0.hook_resid_pots'"):
        model.run_with_hooks(tokens, unknown)
    assert not hooked(model)
    with pytest.raises(ValueError, match=r"there is no hook point 'hook_embedd'.*hook_embed"):
        model.run_with_cache(tokens, "hook_embedd")
    wrong = [("blocks.0.attn.hook_z", lambda z, hook: z[:, :1])]
    with pytest.raises(ValueError, match=r"hook at blocks.0.attn.hook_z gave \(6, 1, 9, 8\) in place"):
        model.run_with_hooks(tokens, wrong)
    with model.hooks([("hook_embed", lambda x, hook: 0 * x)]) as same:
        assert same is model and len(hooked(model)) == 1
        assert not torch.allclose(model(tokens), before)
    assert not hooked(model) and torch.equal(model(tokens), before)


# ---------------------------------------------------------------- baselines


def test_gru_is_that_of_torch():
    ours, generator = GRU(4, 7), torch.Generator().manual_seed(0)
    ours.reset(generator)
    ours.requires_grad_(False).double()
    assert all(value.abs().max() <= 1 / math.sqrt(7) for value in ours.parameters())
    theirs = nn.GRU(4, 7, batch_first=True).double().requires_grad_(False)
    theirs.weight_ih_l0.copy_(ours.W_x.T)
    theirs.weight_hh_l0.copy_(ours.W_h.T)
    theirs.bias_ih_l0.copy_(ours.b)
    theirs.bias_hh_l0.zero_()
    theirs.bias_hh_l0[14:] = ours.c_n
    tokens = draw(Shape(symbols=4), trials=5, length=30)
    logits, cache = ours.run_with_cache(tokens)
    states = theirs(nn.functional.one_hot(tokens, 4).double())[0]
    assert ours.hook_names() == ["hook_state"]
    assert torch.allclose(cache["hook_state"], states, atol=1e-14)
    assert torch.allclose(logits, states @ ours.W_U + ours.b_U)


def test_window_mlp_sees_zeros_before_the_first_symbol():
    model = WindowMLP(3, 6, context=4)
    model.reset(torch.Generator().manual_seed(0))
    assert not any(value.any() for name, value in model.named_parameters() if name.startswith("b_"))
    for value in model.parameters():
        value.data += 0.1 * torch.randn(value.shape, generator=torch.Generator().manual_seed(1))
    model.requires_grad_(False).double()
    tokens = draw(Shape(), trials=3, length=9)
    logits, cache = model.run_with_cache(tokens)
    weights = {name: value.numpy() for name, value in model.named_parameters()}
    for window, out, first in zip(tokens.numpy(), logits.numpy(), cache["hook_0"].numpy(), strict=True):
        for t in range(9):
            x = weights["b_0"].copy()
            for back in range(min(t + 1, 4)):
                x += weights["W_0"][3 - back, window[t - back]]
            x = np.maximum(x, 0)
            assert np.allclose(first[t], x)
            x = np.maximum(x @ weights["W_1"] + weights["b_1"], 0)
            assert np.allclose(out[t], x @ weights["W_U"] + weights["b_U"])
    changed = tokens.clone()
    changed[:, 2] = (changed[:, 2] + 1) % 3
    same = torch.tensor([True, True, *[False] * 4, True, True, True])  # four places see it
    after = model(changed)
    assert torch.equal(after[:, same], logits[:, same]) and not torch.allclose(after[:, 2:6], logits[:, 2:6])


@pytest.mark.parametrize("model", [GRU(3, 4), WindowMLP(3, 4, 5)], ids=["gru", "mlp"])
def test_baselines_have_the_same_hooks(model):
    assert isinstance(model, Hooked)
    model.reset(torch.Generator().manual_seed(0))
    model.requires_grad_(False)
    tokens, name = draw(Shape()), model.hook_names()[-1]
    out = model.run_with_hooks(tokens, [(name, lambda x, hook: 0 * x)])
    assert torch.equal(out, model.b_U.expand_as(out)) and not hooked(model)


# ---------------------------------------------------------------- TransformerLens


def lens_of(model):
    """The same network in TransformerLens, its weights read by name from ours; ties are copies there."""
    lens, shape = pytest.importorskip("transformer_lens"), model.shape
    kinds = {"act_fn": "gelu", "d_mlp": shape.mlp * shape.d_model} if shape.mlp else {"attn_only": True}
    config = lens.HookedTransformerConfig(
        n_layers=shape.layers, d_model=shape.d_model, n_ctx=shape.positions, d_head=shape.d_head,
        n_heads=shape.heads, d_vocab=shape.symbols, normalization_type="LN" if shape.norm else None,
        attn_scale=math.sqrt(shape.d_model), dtype=torch.float64, device="cpu", use_attn_result=True, **kinds,
    )  # fmt: skip
    theirs = lens.HookedTransformer(config)
    given = {name: value.clone() for name, value in model.named_parameters()}
    given |= {"unembed.W_U": model.W_U.clone()}
    missing, unknown = theirs.load_state_dict(given, strict=False)
    unused = ("mask", "IGNORE", "ln_final.w", "ln_final.b")  # buffers, and the norm that is taken out below
    assert [name for name in missing if not name.endswith(unused)] == ["unembed.b_U"] and not unknown
    theirs.unembed.b_U.data.zero_()
    if shape.norm:  # it has one more norm, before the logits
        theirs.ln_final = nn.Identity()
    return theirs


@pytest.mark.slow
@pytest.mark.filterwarnings("ignore")  # of its many dependencies
def test_transformer_lens_gets_the_same_logits_and_cache(shape):
    model, tokens = made(shape), draw(shape)
    theirs = lens_of(model)
    logits, cache = model.run_with_cache(tokens, lambda name: True)
    with torch.no_grad():
        expected, seen = theirs.run_with_cache(tokens)
    assert torch.allclose(logits, expected, atol=1e-10)
    assert {*cache} <= {*seen}
    for name, value in cache.items():
        assert value.shape == seen[name].shape, name
        if not name.endswith("attn_scores"):
            assert torch.allclose(value, seen[name], atol=1e-10), name
    zero = [("blocks.0.attn.hook_z", lambda z, hook: 0 * z)]
    with torch.no_grad():
        assert torch.allclose(
            model.run_with_hooks(tokens, zero), theirs.run_with_hooks(tokens, fwd_hooks=zero), atol=1e-10
        )
