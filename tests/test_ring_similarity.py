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
    equal_units,
    group_matrix,
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


def test_neurons_made_of_a_family_are_as_near_to_it_as_to_themselves(rows, own_randomness):
    neural = noisy(rows["rt"][0], 120)
    found = subsampled({"rt": rows["rt"][:1], "sa": rows["sa"]}, neural.reshape(1, 8, 120), draws=10)[0]
    assert found["rt", 0] < found["sa", 0] - 0.05
    assert abs(found["rt", 0] - found["floor", 0]) < 0.05  # as like as two draws of the neurons


def test_the_floor_is_zero_for_one_pattern_and_rises_with_noise_and_few_neurons(rows):
    def floor(neural):
        return subsampled({"rt": rows["rt"]}, neural.reshape(1, 8, -1), draws=5).loc[("floor", 0), 0]

    generator = np.random.default_rng(0)
    gains = generator.normal(size=(1, 80))  # all neurons carry one pattern: any two draws have one shape
    assert floor(generator.normal(size=(8, 1)) * gains) < 1e-6
    assert floor(noisy(rows["rt"][0], 120)) < floor(noisy(rows["rt"][0], 120, noise=1))
    assert floor(noisy(rows["rt"][0], 120)) < floor(noisy(rows["rt"][0], 20))


def test_halves_of_one_population_are_nearest_and_copies_alike(own_randomness):
    states = np.random.default_rng(0).normal(size=(8, 3))
    others = (states @ np.random.default_rng(1).normal(size=(3, 240)))[None]
    random = np.random.default_rng(2).normal(size=(2, 8, 90))
    table = subsampled({"sa": others[:, :, ::3], "it": random}, others, draws=5)
    assert list(table.index) == [("sa", 0), ("it", 0), ("it", 1), ("floor", 0)]
    floor, same = table.loc[("floor", 0), 0], table.loc[("sa", 0), 0]
    assert 0 < floor < 0.2 and abs(same - floor) < 0.08
    assert (table.loc["it"] > 3 * floor).all(axis=None)


def test_subsampled_is_the_plain_distance_when_all_units_are_drawn(rows):
    neural = noisy(rows["sa"][0], 200).reshape(1, 8, 200)
    found = subsampled({"sa": rows["sa"]}, neural, draws=3, seed=4)
    generator = np.random.default_rng(4)
    wanted = []
    for _ in range(3):
        one, two = np.split(generator.permutation(200), 2)
        generator.permutation(100)
        pairs = (rows["sa"][0], neural[0][:, two])
        wanted.append([angular_procrustes(x, neural[0][:, one]) * 2 / np.pi for x in pairs])
    assert np.allclose(found[0], np.mean(wanted, axis=0))


def test_equal_units_are_the_least_and_half_of_the_others(rows):
    assert equal_units(rows, np.zeros((1, 8, 500))) == 60  # the I/T network has 60
    assert equal_units(rows, np.zeros((1, 8, 93))) == 46
    for refused in (equal_units, subsampled):
        with pytest.raises(ValueError, match="others have 1 unit; two groups need at least 2"):
            refused(rows, np.zeros((1, 8, 1)))


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


def test_neural_files_that_point_elsewhere_are_refused(tmp_path):
    with h5py.File(tmp_path / "other.h5", "w") as file:
        file["rates"] = np.zeros((4, 2, 7))
    (tmp_path / "raw").write_bytes(bytes(448))
    layout = h5py.VirtualLayout((4, 2, 7), float)
    layout[:] = h5py.VirtualSource(tmp_path / "other.h5", "rates", (4, 2, 7))
    makers = {
        "ExternalLink": lambda file: file.update(rates=h5py.ExternalLink("other.h5", "rates")),
        "SoftLink": lambda file: file.update(a=np.zeros((4, 2, 7)), rates=h5py.SoftLink("a")),
        "external storage": lambda file: file.create_dataset(
            "rates", (4, 2, 7), float, external=[(str(tmp_path / "raw"), 0, 448)]
        ),
        "virtual dataset": lambda file: file.create_virtual_dataset("rates", layout),
        "Group": lambda file: file.create_group("rates"),
    }
    for k, (message, make) in enumerate(makers.items()):
        with h5py.File(tmp_path / f"{k}.h5", "w") as file:
            make(file)
        with pytest.raises(ValueError, match=rf"{k}\.h5: .*{message}.*save the numbers themselves"):
            load_neural(tmp_path / f"{k}.h5")
