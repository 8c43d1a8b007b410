"""Ring networks and neurons compared by shape: invariances, planted likeness, plain loops, refused files."""

import h5py
import numpy as np
import pandas as pd
import pytest
import torch

from wm import ring
from wm.geometry import angular_procrustes
from wm.ring.library import Ensemble
from wm.ring.similarity import (
    distances,
    epoch_rates,
    group_matrix,
    equal_units,
    load_neural,
    procrustes_rows,
    subsampled,
)

TRAINED = {"sa": (0.0748, 0.486, -0.297), "it": (0.322, -0.588), "rt": (0.433, -0.197)}


def network(family, seeds=("0",), **changes):
    config = ring.config(family, **changes)
    scalars = torch.tensor([TRAINED[family]] * len(seeds))
    scalars[:, :-1] *= 100 / config.units  # weights, not the bias
    parameters = {"scalars": scalars, "readout": torch.zeros(len(seeds), 2, config.units)}
    return Ensemble(config, list(seeds), list(seeds), parameters, ring.design(config, seeds), [])


@pytest.fixture(scope="module")
def rows():
    ensembles = {"sa": network("sa"), "it": network("it", units=60), "rt": network("rt", ("0", "1"))}
    return {name: procrustes_rows(epoch_rates(e)) for name, e in ensembles.items()}


def noisy(rows, neurons, seed=0, noise=0.3):
    """Neurons (4, 2, neuron) that mix the units of one network."""
    generator = np.random.default_rng(seed)
    mixed = rows @ generator.normal(size=(rows.shape[1], neurons)) / np.sqrt(rows.shape[1])
    return (mixed + noise * generator.normal(size=mixed.shape)).reshape(4, 2, neurons)


# --- rates and rows


def test_epoch_rates_are_those_of_all_trials_with_the_distractor():
    e = network("rt", ("0", "1"))
    batch = ring.task_of(e.config).batch(np.stack([ring.grid_directions(8)] * 2), ring.Delays(15, 90, 140))
    rates = ring.simulate(e.weights, batch, window=slice(0, 115)).numpy()
    found = epoch_rates(e)
    assert found.shape == (2, 64, 2, 100)
    assert np.allclose(found[:, :, 0], rates[:, :, 15:25].mean(2), atol=1e-6)
    assert np.allclose(found[:, :, 1], rates[:, :, 45:115].mean(2), atol=1e-6)


def test_rows_are_z_scores_of_four_trials():
    rates = np.random.default_rng(0).normal(size=(2, 64, 2, 3))
    found = procrustes_rows(rates)
    for row, (trial, epoch) in enumerate((t, e) for t in (0, 16, 32, 48) for e in (0, 1)):
        x = rates[1, :, epoch, 2]
        assert np.isclose(found[1, row, 2], (x[trial] - x.mean()) / (x.std() + 0.01))


def test_rows_refuse_other_shapes():
    with pytest.raises(ValueError, match=r"rates must be \(network, 64, 2, unit\), got \(64, 2, 5\)"):
        procrustes_rows(np.zeros((64, 2, 5)))


# --- distances


def test_distance_does_not_see_the_order_of_units(rows):
    order = np.random.default_rng(0).permutation(100)
    table = distances({"a": rows["rt"], "b": rows["rt"][:, :, order]})
    assert np.allclose(table.loc[("a", 0), ("b", 0)], 0, atol=1e-10)
    assert table.loc[("a", 0), ("b", 1)] > 0.05


def test_distances_are_the_pairwise_ones_between_zero_and_one(rows):
    table = distances(rows)
    assert np.array_equal(table, table.T) and ((table >= 0) & (table <= 1)).all().all()
    found = table.loc[("it", 0), ("rt", 1)]
    assert np.isclose(found, angular_procrustes(rows["it"][0], rows["rt"][1]) * 2 / np.pi)


def test_the_designed_families_lie_as_far_apart_as_published(rows):
    table = group_matrix(distances(rows))
    assert abs(table.loc["sa", "it"] - 0.27) < 0.04 and abs(table.loc["sa", "rt"] - 0.20) < 0.04


def test_random_rates_are_far_from_a_ring(rows):
    random = procrustes_rows(np.random.default_rng(0).uniform(size=(3, 64, 2, 100)))
    table = group_matrix(distances(rows | {"random": random}))
    assert table.loc["random", ["sa", "it", "rt"]].min() > 0.3 > table.loc[["sa", "it", "rt"], "rt"].max()


def test_group_matrix_leaves_out_a_network_with_itself():
    index = pd.MultiIndex.from_tuples([("b", 0), ("b", 1), ("b", 2), ("a", 0)], names=["family", "network"])
    values = np.array([[0, 1, 2, 3], [1, 0, 4, 5], [2, 4, 0, 9], [3, 5, 9, 0.0]])
    found = group_matrix(pd.DataFrame(values, index, index))
    assert list(found.index) == list(found.columns) == ["b", "a"]
    assert found.loc["b", "b"] == pytest.approx(7 / 3)
    assert found.loc["a", "b"] == found.loc["b", "a"] == pytest.approx(17 / 3)
    assert np.isnan(found.loc["a", "a"])


# --- neurons


def test_neural_files_come_back_as_saved(tmp_path):
    neural = np.random.default_rng(0).normal(size=(4, 2, 7))
    np.save(tmp_path / "a.npy", neural.astype(np.float32))
    with h5py.File(tmp_path / "a.h5", "w") as file:
        file["rates"] = neural
    assert np.allclose(load_neural(tmp_path / "a.npy"), neural, atol=1e-6)
    assert np.array_equal(load_neural(str(tmp_path / "a.h5")), neural)


@pytest.mark.parametrize(
    ("neural", "message"),
    [
        (np.zeros((7, 4, 2)), r"bad.npy: is float64 of shape \(7, 4, 2\); expected .* Transpose it first"),
        (np.zeros((4, 2)), r"of shape \(4, 2\)"),
        (np.zeros((4, 2, 3), dtype=complex), "is complex128"),
        (np.zeros((4, 2, 1)), "has 1 neurons; two groups need at least 2"),
        (
            np.pad(np.full((1, 1, 1), np.nan), ((2, 1), (1, 0), (5, 3))),
            r"not finite at .* \(2, 1, 5\): leave that",
        ),
    ],
)
def test_neural_files_with_wrong_content_are_refused(tmp_path, neural, message):
    np.save(tmp_path / "bad.npy", neural)
    with pytest.raises(ValueError, match=message):
        load_neural(tmp_path / "bad.npy")


def test_neural_files_of_another_kind_are_refused(tmp_path):
    with h5py.File(tmp_path / "a.h5", "w") as file:
        file["spikes"] = np.zeros(3)
    with pytest.raises(ValueError, match="no dataset `rates` but spikes"):
        load_neural(tmp_path / "a.h5")
    with pytest.raises(ValueError, match=r"read from .npy or .h5, not .mat"):
        load_neural(tmp_path / "a.mat")
    with pytest.raises(ValueError, match="without a suffix"):
        load_neural(tmp_path / "a")
