"""Inside plastic networks: what is kept agrees with the engine, reads add up, edits do what they say."""

from dataclasses import replace

import numpy as np
import pandas as pd
import pytest
import torch
from matplotlib.colors import to_rgb

from wm import plastic, style
from wm.plastic import inside, one_layer, parallel, reads
from wm.plastic import inside_plots as panels
from wm.plastic.inside import Edit
from wm.plastic.library import Trained
from wm.plastic.memory import Memory

SMALL = {
    "width": 6, "feedforward": 8, "heads": 2, "items": 3, "delay": 3, "queries": 3, "symbols": 6,
    "dropout": 0.0,
}  # fmt: skip
KINDS = {
    "low rank": {}, "full": {"alpha": "full"}, "scalar": {"alpha": "scalar"}, "window": {"window": 3},
    "rnn": {"body": "rnn", "positions": False, "alpha": "full"},
    "lstm": {"body": "lstm", "positions": False},
    "numbers": {"task": "regression", "dimension": 2},
    "published": plastic.PRESETS["published"] | {"dropout": 0.0},
}  # fmt: skip
PLASTIC = ["hebbian", "gradient", "oja", "delta"]


def network(rule="hebbian", **changes):
    """A network with parameters of its seed, in float64 and with rates of synapses that matter."""
    config = plastic.config("copying_none", **SMALL | {"rule": rule} | changes)
    fresh = plastic.untrained(config, "0")
    return replace(fresh, weights={name: value.double() for name, value in fresh.weights.items()})


def sequences(trained, trials=3):
    return plastic.test_episodes(trained.config, trials).inputs


def close(found, expected, atol=1e-10):
    np.testing.assert_allclose(np.asarray(found), np.asarray(expected), rtol=0, atol=atol)


def whole(trained, **options):
    return inside.watch(trained, sequences(trained), **options)


# ---------------------------------------------------------------- what is kept


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("rule", PLASTIC)
def test_what_is_kept_is_what_the_engine_does(rule, kind):
    trained = network(rule, **KINDS[kind])
    run, plain = whole(trained), trained.run(sequences(trained), window=1)
    close(run.trace.answers, plain.answers)
    for name in ("rate", "decay", "logit", "norm", "ratio"):
        close(getattr(run.trace.rates, name), getattr(plain.rates, name))
    empty = plain.memory._replace(coefficients=plain.memory.coefficients[..., :0])
    close(run.before, empty.ahead(*plain.rates[:2]))
    close(run.after[:, :, -1], plain.memory.coefficients)
    assert run.layers == list(plastic.plastic_layers(trained.config))
    for layer in run.layers:
        squared = plastic.squared_norms(trained.weights, layer, plain.memory, plain.rates)
        close([inside.norms(run, layer, trial) ** 2 for trial in range(3)], squared[0])
        last = plastic.fast_weights(trained.weights, layer, plain.memory)[0]
        close(inside.fast_weights_at(run, layer, -1, trial=1), last[1])


@pytest.mark.parametrize("kind", ["low rank", "rnn", "numbers"])
def test_networks_that_never_write_have_nothing_inside(kind):
    trained = network("none", **KINDS[kind])
    run = whole(trained)
    close(run.trace.answers, trained.run(sequences(trained)).answers)
    close(run.alone, run.trace.answers)
    assert run.layers == [] and not run.before.any() and run.before.shape[2] == run.trace.answers.shape[2]
    with pytest.raises(ValueError, match="-00 has no plastic layer 'input': none, as it never writes"):
        inside.parts(run, "input")


def test_other_attention_can_be_watched_whole():
    trained = network("none", body="delta_net")
    close(whole(trained).trace.answers, trained.run(sequences(trained)).answers)


@pytest.mark.parametrize("kind", ["low rank", "rnn"])
@pytest.mark.parametrize("rule", ["hebbian", "gradient"])
def test_slow_weights_alone_answer_as_if_everything_was_erased_just_before(rule, kind):
    trained = network(rule, **KINDS[kind])
    run = whole(trained)
    close(run.alone[:, :, 0], run.trace.answers[:, :, 0])
    for token in (2, 5):
        erased = whole(trained, edit=Edit("erase", token)).trace.answers
        close(run.alone[:, :, token], erased[:, :, token])
        assert not np.allclose(run.alone[:, :, token], run.trace.answers[:, :, token], rtol=0, atol=1e-6)


def test_parts_are_lengths_of_what_slow_and_fast_weights_say():
    trained = network()
    run, layer = whole(trained), "blocks.0.second"
    slow, fast = inside.parts(run, layer)
    w, x = inside.fast_weights_at(run, layer, 4, trial=2), run.x[layer][0, 2, 5]
    bias = trained.weights[f"{layer}.beta"][0] * (run.before[0, 2, 5] @ run.trace.memory.values[layer][0, 2])
    close(fast[2, 5], np.linalg.norm(w @ x.numpy() + bias.numpy()))
    expected = trained.weights[f"{layer}.weight"][0] @ x + trained.weights[f"{layer}.bias"][0]
    close(slow[2, 5], expected.norm())


def test_probabilities_are_those_of_symbols_or_numbers():
    trained = network()
    answers = whole(trained).trace.answers
    close(inside.probabilities(trained, answers).sum(axis=-1), 1)
    numbers = network(**KINDS["numbers"])
    answers = whole(numbers).trace.answers
    close(inside.probabilities(numbers, answers), answers[0])


# ---------------------------------------------------------------- what is read


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("rule", ["hebbian", "gradient"])
def test_contributions_add_up_to_what_fast_weights_say(rule, kind):
    run = whole(network(rule, **KINDS[kind]))
    for layer in run.layers:
        found = reads.contributions(run, layer)
        close(found.sum(dim=2), run.fast[layer][0])
        close(reads.contributions(run, layer, at=[5, 2], of=[1])[:, :, 0], found[:, [5, 2], 1])
        share = reads.shares(run, layer)
        close(share[:, 1:].sum(axis=2), 1, atol=1e-8)
        assert not share[:, 0].any() and not np.triu(share[0]).any()


@pytest.mark.parametrize("kind", ["low rank", "scalar", "published", "full"])
def test_contributions_are_those_of_the_equation(kind):
    trained = network(**KINDS[kind])
    run, layer, t, s = whole(trained), "blocks.1.first", 6, 2
    value, key = (part[layer][0, 1, s] for part in run.trace.memory[1:])
    weights, fixed = trained.weights, torch.tensor([0.02], dtype=torch.float64)
    if kind == "low rank":
        alpha = torch.outer(weights[f"{layer}.rows"][0], weights[f"{layer}.columns"][0])
    else:
        alpha = weights.get(f"{layer}.alpha", fixed[None])[0]
    beta = weights.get(f"{layer}.beta", fixed[None])[0]
    rates = run.trace.rates
    c = rates.rate[0, 1, s] * (1 - rates.decay[0, 1, s + 1 : t]).prod()
    expected = c * ((alpha * torch.outer(value, key)) @ run.x[layer][0, 1, t] + beta * value)
    close(reads.contributions(run, layer)[1, t, s], expected)


@pytest.mark.parametrize("kind", ["low rank", "scalar", "published"])
def test_read_matrix_has_the_factor_of_each_value(kind):
    trained = network(**KINDS[kind])
    run, layer = whole(trained), "blocks.0.first"
    found, values = torch.as_tensor(reads.read_matrix(run, layer)), run.trace.memory.values[layer][0]
    if kind == "low rank":
        spread = torch.einsum("bts,bso->btso", found, values) * trained.weights[f"{layer}.rows"]
        spread = spread + run.before[0][..., None] * values[:, None] * trained.weights[f"{layer}.beta"]
    else:
        spread = torch.einsum("bts,bso->btso", found, values)
    close(spread, reads.contributions(run, layer))


def planted(order):
    """A run in which each item is written once, with a key of its own, and query k asks for item order[k]."""
    config = plastic.config("copying_hebbian", **SMALL | {"alpha": "scalar"})
    length, items, layer = 10, 3, "layer"
    keys, values = torch.eye(length)[None, None], torch.rand(1, 1, length, 4) + 0.5
    x = torch.zeros(1, 1, length, length)
    x[0, 0, length - items + np.arange(items), order] = 1
    c = torch.zeros(1, 1, length, length).index_fill(3, torch.arange(items), 0.1).tril(-1)
    weights = {"layer.alpha": torch.ones(1, 1), "layer.beta": torch.zeros(1, 1)}
    trained = Trained("planted", "0", config, weights, {})
    memory = Memory(c[:, :, -1], {layer: values}, {layer: keys})
    trace = plastic.Trace(torch.zeros(1, 1, length, 6), None, memory, torch.zeros(1), 1.0, 0)
    fast = torch.einsum("nbts,nbti,nbsi,nbso->nbto", c, x, keys, values)
    return inside.Watched(trained, trace, {layer: x}, {layer: 0 * fast}, {layer: fast}, c, c, trace.answers)


@pytest.mark.parametrize("order", [[0, 1, 2], [2, 0, 1]])
def test_planted_items_are_read_from_their_own_tokens(order):
    run = planted(order)
    found = reads.item_reads(run)[0]
    close(found, np.eye(3)[order])
    close(reads.read_matrix(run, "layer")[0, -3:, :3], 0.1 * np.eye(3)[order], atol=1e-7)
    close(reads.shares(run, "layer")[0, -3:, :3], np.eye(3)[order], atol=1e-6)
    own = reads.own_reads(reads.item_reads(run))
    right = np.mean(np.array(order) == [0, 1, 2])
    assert own["own is largest"] == own["share of its own"] == right and own["answer 1"] == (order[0] == 0)


def test_there_is_no_one_factor_where_every_synapse_has_its_rate():
    with pytest.raises(ValueError, match=r"first has a learning rate for each synapse.*: use shares"):
        reads.read_matrix(whole(network(alpha="full")), "blocks.0.first")


def test_unknown_layers_are_refused_with_those_that_there_are():
    run = whole(network())
    for ask in (inside.fast_weights_at, reads.contributions, reads.shares, reads.read_matrix, inside.parts):
        more = (0,) if ask is inside.fast_weights_at else ()
        with pytest.raises(ValueError, match=r"no plastic layer 'head': blocks\.0\.first, blocks\.0\.second"):
            ask(run, "head", *more)


# ---------------------------------------------------------------- edits


@pytest.mark.parametrize("rule", ["hebbian", "gradient"])
def test_erased_fast_weights_are_empty_and_written_again(rule):
    run = whole(network(rule), edit=Edit("erase", 4))
    untouched = whole(network(rule))
    close(run.trace.answers[:, :, :4], untouched.trace.answers[:, :, :4])
    assert not run.before[:, :, 4:, :4].any() and (run.before[:, :, 5:, 4] > 0).all()
    assert not run.fast["blocks.0.first"][:, :, 4].any()
    close(whole(network(rule), edit=Edit("erase", 0)).trace.answers, untouched.trace.answers)


def test_what_single_tokens_wrote_can_be_erased():
    run, untouched = whole(network(), edit=Edit("erase", 5, (1, 3))), whole(network())
    assert not run.before[:, :, 5:, [1, 3]].any()
    close(run.before[:, :, 5, [0, 2, 4]], untouched.before[:, :, 5, [0, 2, 4]])


@pytest.mark.parametrize("rule", ["hebbian", "gradient"])
def test_frozen_fast_weights_stay_as_they_are(rule):
    run, untouched = whole(network(rule), edit=Edit("freeze", 4)), whole(network(rule))
    close(run.trace.answers[:, :, :5], untouched.trace.answers[:, :, :5])
    for token in range(4, run.after.shape[2]):
        close(run.after[:, :, token], run.after[:, :, 3])
    assert not run.trace.rates.rate[:, :, 4:].any() and (run.trace.rates.norm[:, :, 4:] > 0).all()


def test_without_plasticity_nothing_is_written_and_freezing_at_once_is_the_same():
    off, frozen = whole(inside.without_plasticity(network())), whole(network(), edit=Edit("freeze", 0))
    assert not off.before.any()
    close(off.trace.answers, frozen.trace.answers)


@pytest.mark.parametrize("kind", ["low rank", "numbers", "rnn"])
def test_several_edits_at_once_are_each_by_itself(kind):
    trained = network(**KINDS[kind])
    edits = [Edit(), Edit("erase", 3), Edit("freeze", 2), Edit("erase", 5, (0, 1))]
    together = inside.swept(trained, edits, trials=8)
    close(together, [inside.recalled(trained, edit, trials=8) for edit in edits])
    off = inside.without_plasticity(trained)
    table = inside.cost_table({"net": trained}, {"as it is": edits[0], "erased": edits[1]}, trials=8)
    assert table.index.tolist() == ["net"] and [*table] == ["as it is", "erased", "never written"]
    close(table.loc["net"], [*together[:2].mean(axis=1), inside.recalled(off, trials=8).mean()])


@pytest.mark.parametrize("rule", ["none", "hebbian"])
def test_without_edit_the_score_is_that_of_the_evaluation(rule):
    trained = network(rule)
    expected = plastic.evaluated(trained.weights, [trained.config], trials=64).scores["score"]
    close(inside.recalled(trained, trials=64).mean(), expected[0], atol=1e-6)


@pytest.mark.parametrize(("given", "message"), [
    ({"kind": "ablate"}, "edit 'ablate': none, erase or freeze"),
    ({"kind": "erase", "at": -1}, "tokens count from 0"),
    ({"kind": "erase", "tokens": (3, -2)}, "tokens count from 0"),
])  # fmt: skip
def test_edits_that_there_are_not_are_refused(given, message):
    with pytest.raises(ValueError, match=message):
        Edit(**given)


# ---------------------------------------------------------------- one layer


def by_hand(rule, seed, alpha, rate, decay, tokens):
    """The same with dense matrices: |w| and w at the end."""
    generator = one_layer.torch_generator(seed, "one layer")
    shapes = ((6, 8), (6, 6), (8,), (tokens, 1), (tokens, 8))
    slow, inner, u, z, noise = (torch.randn(s, generator=generator, dtype=torch.float64) for s in shapes)
    slow, inner, u = slow / 8**0.5, inner / 6**0.5, u / u.norm()
    w, norms = torch.zeros(6, 8, dtype=torch.float64), []
    for x in z * u + 0.5 * noise:
        norms.append(w.norm())
        y = (slow + w) @ x
        step = {
            "hebbian": torch.outer(y, x), "oja": torch.outer(y, x - w.T @ y),
            "delta": torch.outer(slow @ x - w @ x, x),
            "gradient": torch.outer(inner.T @ inner @ y * 2 / 6, x),
        }[rule]  # fmt: skip
        w = (1 - decay) * w + rate * alpha * step
    return norms


@pytest.mark.parametrize("rule", PLASTIC)
@pytest.mark.parametrize(("alpha", "decay"), [(1.0, 0.0), (-1.0, 0.1)])
def test_one_layer_does_what_a_dense_one_does(rule, alpha, decay):
    found = one_layer.course(rule, 3, alpha=alpha, rate=0.05, decay=decay, tokens=20)
    close(found.norm, by_hand(rule, 3, alpha, 0.05, decay, 20), atol=1e-9)


def test_planted_rules_do_what_is_known_of_them():
    found = one_layer.courses(layers=4, tokens=150)
    assert (found["norm"]["Hebbian"][:, -1] > 100 * found["norm"]["Oja"][:, -1]).all()
    assert (found["norm"]["Oja"] < 6**0.5).all()
    assert (found["error"]["Delta"][:, -1] < 0.1).all() and (found["error"]["Delta"][:, 0] == 1).all()
    internal = found["internal"]
    assert (internal["Gradient, α = −1"][:, -1] < internal["Gradient, α = −1"][:, 0]).all()
    assert (internal["Gradient, α = +1"][:, -1] > internal["Gradient, α = +1"][:, 0]).all()


def test_without_scatter_the_hebbian_answer_grows_by_one_factor_per_token():
    found = one_layer.course("hebbian", 0, spread=0.0, tokens=30)
    growth = found.response[1:] / found.response[:-1]
    assert (growth >= 1).all()
    delta = one_layer.course("delta", 0, spread=0.0, tokens=30)
    assert delta.response[-1] == pytest.approx(2 * delta.response[0], rel=0.1)  # w answers as W does


def test_a_rule_that_writes_nothing_has_no_course():
    with pytest.raises(ValueError, match="the rule 'none' writes nothing: choose one of none, hebbian"):
        one_layer.course("none", 0)


# ---------------------------------------------------------------- parallel in time


@pytest.mark.parametrize("rule", ["hebbian", "gradient"])
def test_tokens_at_once_are_compared_with_one_by_one(rule):
    trained = network(rule, **KINDS["published"])
    table = parallel.compared(trained, (1, 4, 10))
    assert table.difference.max() < 1e-12 and table.difference[0] == 0 and table.fallbacks.sum() == 0
    assert table.sweeps[0] == 1 and (table.sweeps[1:] > 1).all() and (table.rule == rule).all()


def test_recurrent_networks_are_computed_one_by_one():
    with pytest.raises(ValueError, match="window=4: .*recurrent networks"):
        parallel.compared(network(**KINDS["rnn"]), (1, 4))


def test_copying_networks_are_compared_untrained_and_trained(monkeypatch):
    small = KINDS["published"] | SMALL
    monkeypatch.setattr(parallel, "config", lambda family: plastic.config(family, **small))

    def load(name):
        return plastic.untrained(plastic.config(name[:-3], **small), "9")

    monkeypatch.setattr(parallel, "load", load)
    table = parallel.compared_copying((1, 10), seeds=2)
    counts = table.groupby(["rule", "kind"]).size()
    kinds = {"published": 2, "sound": 2, "untrained": 4}
    assert counts.to_dict() == {(r, kind): n for r in ("gradient", "hebbian") for kind, n in kinds.items()}
    assert set(table.seed) == {"0", "1", "9"} and table.difference.max() < 1e-12


# ---------------------------------------------------------------- panels


def test_layers_have_names_for_people():
    assert panels.layer_name("blocks.1.second") == "block 2, second" and panels.layer_name("head") == "head"


def test_inputs_are_digits_or_an_image(ax):
    task = plastic.make_task(network().config)
    panels.draw_inputs(ax, task, np.array([1, 4, 2, 0, 0, 0, 5, 0, 0, 0]))
    assert [each.get_text() for each in ax.texts] == list("1420005000")
    assert ax.patches[0].get_facecolor()[:3] == to_rgb(panels.SHADES["item"])
    ax.clear()
    numbers = network(**KINDS["numbers"])
    panels.draw_inputs(ax, plastic.make_task(numbers.config), sequences(numbers)[0])
    assert ax.images[0].get_array().shape == (4, 6)


def test_answers_have_boxes_where_they_count(ax):
    task = plastic.make_task(network().config)
    answers, targets = np.full((10, 6), 1 / 6), np.array([0] * 7 + [2, 1, 4])
    assert panels.draw_answers(ax, task, answers, targets) is ax.images[0]
    assert [(p.get_x() + 0.5, p.get_y() + 0.5) for p in ax.patches] == [(7, 2), (8, 1), (9, 4)]
    ax.clear()
    panels.draw_answers(ax, task, answers, None)
    assert not ax.patches


def test_rates_norms_and_parts_are_those_of_the_run(closed):
    import matplotlib.pyplot as plt

    run = whole(network())
    _, axes = plt.subplots(3)
    panels.draw_rates({"rate": axes[0], "norm": axes[1]}, run, trial=1, color="black")
    close(axes[0].lines[0].get_ydata(), run.trace.rates.rate[0, 1])
    assert axes[0].get_yscale() == "linear" and axes[0].lines[1].get_ydata()[0] == 0.2
    run.trace.rates.norm[0, 1, 0] = 1e-3
    panels.draw_rates({"norm": axes[1]}, run, trial=1)
    panels.draw_rates({"ratio": axes[0], "logit": axes[2]}, run, log=True)
    assert [each.get_yscale() for each in axes] == ["log", "log", "linear"]
    axes[2].clear()
    panels.draw_norms(axes[2], run, trial=1)
    for line, layer in zip(axes[2].lines, run.layers, strict=True):
        close(line.get_ydata(), inside.norms(run, layer, 1))
    axes[2].clear()
    panels.draw_parts(axes[2], run)
    slow, fast = inside.parts(run, "blocks.0.first")
    close(axes[2].lines[0].get_ydata(), (fast / (slow + fast))[0])


def test_fast_weights_are_sorted_alike_and_share_colours(closed):
    import matplotlib.pyplot as plt

    _, axes = plt.subplots(2)
    one = np.outer([3.0, -1, 2], [1.0, -2])
    image = panels.draw_fast(axes, [0 * one, one], ["a", "b"])
    shown = np.asarray(axes[1].images[0].get_array())
    assert sorted(shown.ravel()) == sorted(one.ravel()) and image.get_clim()[0] == -image.get_clim()[1]
    for row in (shown, shown.T):  # monotonous in both directions
        assert (np.diff(row, axis=0) * np.sign(np.diff(row[:2], axis=0)) >= 0).all()


def test_reads_are_hidden_where_nothing_can_be_read(ax):
    task = plastic.make_task(network().config)
    panels.draw_reads(ax, np.ones((10, 10)), task)
    shown = ax.images[0].get_array()
    assert np.ma.count(np.ma.masked_invalid(shown)) == 45
    box = ax.patches[0]
    assert (box.get_x(), box.get_y(), box.get_width(), box.get_height()) == (-0.5, 6.5, 3, 3)


def test_costs_of_edits_are_drawn(closed):
    import matplotlib.pyplot as plt

    _, (left, right) = plt.subplots(2)
    task = plastic.make_task(network().config)
    panels.draw_lesions(left, {"hebbian": np.array([1.0, 0.2])}, [0, 4], task, mfc="white")
    assert left.lines[0].get_label() == style.LABELS["hebbian"] and left.lines[1].get_ydata()[0] == 0.25
    panels.draw_drops(right, np.eye(4)[:, :3])
    assert len(right.patches) == 3 and right.images[0].get_clim() == (-1, 1)


def test_courses_and_sweeps_are_drawn(closed):
    import matplotlib.pyplot as plt

    _, (left, right) = plt.subplots(2)
    values = np.array([[1.0, 4.0], [1.0, 1.0]])
    panels.draw_courses(left, {"Oja": values, "Delta": values}, ["Oja"])
    assert len(left.lines) == 3 and left.lines[2].get_ydata().tolist() == [1, 2]
    found = [(kind, n, n) for kind in ("published", "sound") for n in (1, 4)]
    rows = pd.DataFrame(found, columns=["kind", "window", "sweeps"])
    panels.draw_sweeps(right, rows.assign(rule="hebbian", seed="0"))
    assert right.lines[0].get_ydata().tolist() == [1, 4] and len(right.lines) == 2 + 3 + 1
    assert right.lines[0].get_color() == style.COLORS["hebbian"]
