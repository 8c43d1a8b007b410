"""A lesioned unit has no influence on anything; groups of units are what they say."""

from dataclasses import replace

import numpy as np
import pytest
import torch

from wm import ring
from wm.ring.lesion import GROUPS, lesion, unit_group
from wm.ring.library import Ensemble
from wm.ring.trial import run_trial, unit_order
from wm.ring.tuning import direction_selectivity, record, ring_units

SOME = np.arange(16) % 3 == 0


def network(family, units=16, seed="0"):
    """An untrained network whose units all drive each other and the outputs."""
    config = ring.config(family, units=units)
    parameters = ring.initial(config, [seed])
    parameters["readout"] = torch.linspace(-1, 1, 2 * units).reshape(1, 2, units)  # initially 0
    fixed = None if family == "wmd" else ring.design(config, [seed])
    return Ensemble(config, [f"{family}-00"], [seed], parameters, fixed, [])


def designed():
    """A gated network with good scalars: it has ring units and others."""
    config = ring.config("g")
    parameters = ring.initial(config, ["0"])
    parameters["scalars"][:] = parameters["scalars"].new_tensor((0.39, -0.10, -0.12))
    return Ensemble(config, ["g-00"], ["0"], parameters, ring.design(config, ["0"]), [])


@pytest.fixture(scope="module")
def gated():
    return record(designed(), directions=8)


def simulated(ensemble, kick=None):
    """Rates and outputs of noisy trials; kick (unit,) is added to the noise."""
    batch = ring.task_of(ensemble.config).batch(np.array([[[40.0, 200], [90, 300]]]))
    generator = torch.Generator().manual_seed(1)
    noise = 0.1 * torch.randn(batch.steps, 1, 2, ensemble.config.units, generator=generator)
    more = 0 if kick is None else torch.as_tensor(kick, dtype=noise.dtype)
    rates = ring.simulate(ensemble.weights, batch, noise=lambda t: noise[t] + more)
    return rates, ring.outputs(ensemble.weights, rates), noise


@pytest.mark.parametrize("family", ["rt", "wmd"])
def test_a_lesioned_unit_has_no_influence(family):
    """However hard lesioned units are driven, the other units and the outputs are the same bits."""
    left = lesion(network(family), SOME[None])
    quiet, answer, _ = simulated(left)
    loud, same, _ = simulated(left, kick=1000 * SOME)
    assert torch.equal(quiet[..., ~SOME], loud[..., ~SOME]) and torch.equal(answer, same)
    intact, before, _ = simulated(network(family))
    assert not torch.allclose(intact[..., ~SOME], quiet[..., ~SOME]) and not torch.allclose(before, answer)


@pytest.mark.parametrize("family", ["rt", "wmd"])
def test_a_lesioned_unit_receives_nothing_and_the_others_run_as_if_it_were_not_there(family):
    whole = network(family)
    rates, answer, noise = simulated(lesion(whole, SOME[None]))
    assert torch.equal(rates[0, ..., SOME], noise[:, 0][..., SOME].movedim(0, 1))
    w, keep = whole.weights, ~SOME
    small = ring.Weights(
        w.inputs[:, keep], w.bias[:, keep], w.readout[..., keep], w.dense()[:, keep][..., keep],
        nonlinearity=w.nonlinearity,
    )  # fmt: skip
    batch = ring.task_of(whole.config).batch(np.array([[[40.0, 200], [90, 300]]]))
    alone = ring.simulate(small, batch, noise=lambda t: noise[t][..., keep])
    torch.testing.assert_close(rates[..., keep], alone, atol=1e-5, rtol=1e-4)
    torch.testing.assert_close(answer, ring.outputs(small, alone), atol=1e-5, rtol=1e-4)


@pytest.mark.parametrize("rank", ["low", "full"])
def test_a_lesion_takes_rows_columns_and_readout(rank):
    whole = network("wmd").weights
    if rank == "low":
        factors = torch.randn(2, 1, 16, 3)
        whole = replace(whole, recurrent=None, left=factors[0], right=factors[1])
    w, left = whole.dense(), whole.silenced(torch.from_numpy(SOME[None]))
    gone = torch.from_numpy(SOME[:, None] | SOME)
    torch.testing.assert_close(left.dense()[0], torch.where(gone, 0, w[0]))
    assert not any(rows[:, SOME].any() for rows in (left.inputs, left.bias, left.readout.mT))
    assert torch.equal(left.readout[..., ~SOME], whole.readout[..., ~SOME])
    assert torch.equal(left.inputs[:, ~SOME], whole.inputs[:, ~SOME])


def test_lesions_add_up_and_leave_the_network_as_it_was():
    whole = network("rt")
    before = whole.weights.readout.clone()
    both = lesion(lesion(whole, SOME[None]), np.roll(SOME, 1)[None])
    assert both.lesioned.tolist() == [(SOME | np.roll(SOME, 1)).tolist()]
    assert torch.equal(whole.weights.readout, before) and whole.lesioned is None
    assert not both.weights.readout[:, :, both.lesioned[0]].any()
    with pytest.raises(ValueError, match=r"one bool for each \(network, unit\), \(1, 16\), got \(16,\)"):
        lesion(whole, SOME)
    with pytest.raises(ValueError, match=r"units must be \(1, 16\), got \(16,\)"):
        whole.weights.silenced(torch.from_numpy(SOME))


def test_without_ring_units_the_memory_is_gone(gated):
    whole = designed()
    ring_gone = lesion(whole, ring_units(gated))
    with_ring, without = (run_trial(each, gated, (90.0, 200.0)) for each in (whole, ring_gone))
    answer = [np.hypot(*trial.outputs[-1]) for trial in (with_ring, without)]
    assert with_ring.rates[-1].max() > 0.5 and without.rates[-1][without.ring].max() == 0
    assert answer[1] == 0 or answer[1] < answer[0]


def test_groups(gated):
    units = ring_units(gated)[0]
    assert not unit_group(gated, "none").any() and 0 < units.sum() < len(units)
    assert np.array_equal(unit_group(gated, "ring"), units)
    assert np.array_equal(unit_group(gated, "others"), ~units)
    with pytest.raises(ValueError, match="group must be one of none, ring, others, preferences, got 'all'"):
        unit_group(gated, "all")
    assert GROUPS[0] == "none"


@pytest.mark.parametrize(("span", "inside"), [
    ((90, 180), lambda p: (p >= 90) & (p <= 180)), ((300, 60), lambda p: (p >= 300) | (p <= 60)),
    ((0, 360), lambda p: p >= 0), ((0, 0), lambda p: p == 0),
])  # fmt: skip
def test_range_of_preferences_goes_upwards_through_zero(gated, span, inside):
    _, preferred, units = unit_order(gated)
    tuned = units | (direction_selectivity(gated.rates["cue"], gated.directions_deg)[0] > 0.01)
    assert np.array_equal(unit_group(gated, "preferences", span), inside(preferred) & tuned)
