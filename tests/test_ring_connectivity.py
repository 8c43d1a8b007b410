"""Functional connectivity: closed forms of the designed families, plain loops, planted kernels."""

import numpy as np
import pytest
import torch

from wm import ring
from wm.ring.connectivity import BINS, factors, functional_connectivity
from wm.ring.library import Ensemble
from wm.ring.tuning import EXAMPLE_WINDOWS, Recording, preferred_direction, record, ring_units, wrap

TRAINED = {
    "sa": (0.0748, 0.486, -0.297),
    "it": (0.322, -0.588),
    "rt": (0.433, -0.197),
    "g": (0.39, -0.1, -0.12),
}
TRAINED |= {"rt_sa": (0.3, -0.25), "it_sa": (0.322, -0.588)}


def network(family, seeds=("0",), **changes):
    config = ring.config(family, **changes)
    parameters = {
        "scalars": torch.tensor([TRAINED[family]] * len(seeds)),
        "readout": torch.zeros(len(seeds), 2, 100),
    }
    return Ensemble(config, list(seeds), list(seeds), parameters, ring.design(config, seeds), [])


def planted(recurrent, inputs, preferred_deg):
    """A network of given weights whose units all are ring units with the given preferences in both epochs."""
    config = ring.config("wmd", units=recurrent.shape[-1])
    parameters = {"recurrent": recurrent, "inputs": inputs, "bias": torch.zeros(recurrent.shape[:2])}
    parameters["readout"] = torch.zeros(len(recurrent), 2, config.units)
    seeds = [str(k) for k in range(len(recurrent))]
    pairs = ring.grid_directions(8)
    rates = np.cos(np.deg2rad(pairs[None, :, :1] - preferred_deg[:, None]))
    windows = dict.fromkeys(EXAMPLE_WINDOWS, rates)
    recording = Recording(windows, pairs, 8, ring.MEDIAN_DELAYS, False, 0.0, EXAMPLE_WINDOWS)
    return Ensemble(config, seeds, seeds, parameters, None, []), recording


def random_network(seed, networks=2, units=20):
    g = np.random.default_rng(seed)
    weights = torch.from_numpy(g.normal(size=(networks, units, units)).astype(np.float32))
    inputs = torch.from_numpy(g.normal(size=(networks, units, units + 1)).astype(np.float32))
    return planted(weights, inputs, g.uniform(0, 360, (networks, units)))


# --- closed forms


def test_strong_attractor_has_functional_one_and_structural_the_ratio_of_its_scalars():
    found = factors(e := network("sa"), record(e, noise=0))
    assert np.allclose(found.functional, 1, atol=1e-3)
    assert np.allclose(found.structural, 0.0748 / 0.486, rtol=1e-3)


@pytest.mark.parametrize(("stable", "scale"), [(0.55, 1.0), (0.62, 2.0), (0.8, 1.5)])
def test_inversion_has_functional_two_p_minus_one_and_structural_one_over_scale(stable, scale):
    found = factors(e := network("it_sa", stable_proportion=stable, scale=scale), record(e, noise=0))
    assert np.allclose(found.functional, 2 * stable - 1, atol=0.01)
    assert np.allclose(found.structural, 1 / scale, rtol=0.01)


@pytest.mark.parametrize(("shuffle", "functional"), [(50, 0.91), (100, 0.60), (130, 0.37)])
def test_reshuffling_lowers_functional_about_as_sin_s_over_s(shuffle, functional):
    e = network("rt_sa", tuple("0123"), shuffle_deg=shuffle, scale=1.0)
    found = factors(e, record(e, noise=0))
    assert abs(found.functional.mean() - functional) < 0.06
    assert functional > np.sinc(shuffle / 180) - 0.01  # the published measurement, slightly above


def test_the_amplitude_of_the_kernel_is_recovered():
    e = network("sa")
    recording = record(e, noise=0)
    for epoch in ("cue", "delay"):
        for weights, scalar in (("inputs", 0.0748), ("recurrent", 0.486)):
            found = functional_connectivity(e, recording, weights=weights, epoch=epoch)
            # the mean of a cosine over a bin of 360 / 19 degrees: the fit is at the mean angle
            assert np.allclose(found.amplitude, scalar / 2, rtol=0.01)
            assert np.allclose(found.offset, 0, atol=1e-3)


def test_families_whose_input_reaches_no_ring_unit_have_no_factors():
    found = factors(e := network("g"), record(e, directions=8))
    assert np.isnan(found.structural).all() and np.isnan(found.functional).all()


# --- plain loops


@pytest.mark.parametrize("weights", ["recurrent", "inputs"])
def test_bins_are_those_of_plain_loops(weights):
    e, recording = random_network(0)
    found = functional_connectivity(e, recording, weights=weights, epoch="delay")
    preferred = preferred_direction(recording.rates["delay"], recording.directions_deg)
    edges = np.linspace(-180, 180, BINS + 1)
    for k in range(2):
        angles, values = [], []
        for post in range(20):
            for pre in range(20):
                if weights == "recurrent" and post != pre:
                    angles.append(wrap(preferred[k, post] - preferred[k, pre]))
                    values.append(float(e.weights.dense()[k, post, pre]))
                if weights == "inputs":
                    angles.append(wrap(preferred[k, post] - 18.0 * pre))
                    values.append(float(e.weights.inputs[k, post, pre]))
        angles, values = np.array(angles), np.array(values)
        for b in range(BINS):
            own = (angles >= edges[b]) & (angles < edges[b + 1])
            assert np.isclose(found.mean[k, b], values[own].mean())
            assert np.isclose(found.difference_deg[k, b], angles[own].mean())
            assert np.isclose(found.sem[k, b], values[own].std(ddof=1) / np.sqrt(own.sum()))
        design = np.stack([np.cos(np.deg2rad(found.difference_deg[k])), np.ones(BINS)], axis=1)
        assert np.allclose([found.amplitude[k], found.offset[k]], np.linalg.lstsq(design, found.mean[k])[0])
    assert np.allclose(found.centres, (edges[1:] + edges[:-1]) / 2)


def test_empty_bins_are_left_out_of_the_fit():
    preferred = np.array([[0.0, 30, 100, 100]])
    difference = np.deg2rad(preferred[0][:, None] - preferred[0])
    kernel = torch.from_numpy(0.7 * np.cos(difference) + 0.2).float()[None]
    found = functional_connectivity(*planted(kernel, torch.zeros(1, 4, 5), preferred))
    assert np.isfinite(found.mean).sum() == 7
    assert np.allclose([found.amplitude, found.offset], [[0.7], [0.2]], atol=1e-6)


def test_fewer_than_three_bins_give_no_amplitude():
    e, recording = random_network(1)
    mask = np.zeros((2, 20), dtype=bool)
    mask[0, :2] = mask[1] = True
    found = functional_connectivity(e, recording, mask=mask)
    assert np.isnan(found.amplitude[0]) and np.isnan(found.offset[0]) and np.isfinite(found.amplitude[1])
    nobody = functional_connectivity(e, recording, mask=mask & False)
    assert np.isnan(nobody.mean).all() and np.isnan(nobody.amplitude).all()


# --- what must be found, and what must not


def test_shuffled_units_have_no_cosine():
    e = network("sa")
    recording = record(e, noise=0)
    true = functional_connectivity(e, recording).amplitude
    order = np.random.default_rng(0).permutation(100)
    rates = {name: values[:, :, order] for name, values in recording.rates.items()}
    mixed = Recording(rates, recording.directions_deg, 30, ring.MEDIAN_DELAYS, False, 0.0, EXAMPLE_WINDOWS)
    assert abs(functional_connectivity(e, mixed).amplitude) < 0.1 * true


def test_the_go_cue_and_other_units_do_not_enter():
    e, recording = random_network(2)
    mask = np.arange(20)[None] < np.array([[15], [18]])
    before = [functional_connectivity(e, recording, weights=w, mask=mask) for w in ("recurrent", "inputs")]
    e.parameters["inputs"][:, :, -1] = e.parameters["inputs"][0, 15:] = 99
    e.parameters["recurrent"][0, 15:] = e.parameters["recurrent"][0, :, 15:] = 99
    e.parameters["recurrent"][:, range(20), range(20)] = 99
    e.__dict__.pop("weights", None)
    after = [functional_connectivity(e, recording, weights=w, mask=mask) for w in ("recurrent", "inputs")]
    for old, new in zip(before, after, strict=True):
        assert np.allclose(old.amplitude, new.amplitude)


def test_the_default_units_are_the_ring_units():
    e = network("g")
    recording = record(e, directions=8)
    found = (
        functional_connectivity(e, recording),
        functional_connectivity(e, recording, mask=ring_units(recording)),
    )
    assert np.array_equal(found[0].mean, found[1].mean)


def test_unknown_weights_or_epoch_are_refused():
    e, recording = random_network(0)
    with pytest.raises(ValueError, match="weights must be recurrent or inputs, got 'output'"):
        functional_connectivity(e, recording, weights="output")
    with pytest.raises(ValueError, match="epoch must be cue or delay, got 'go'"):
        functional_connectivity(e, recording, epoch="go")
