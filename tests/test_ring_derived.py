"""Shipped measurements: what `measure` writes is what the analyses give, and comes back from the readers."""

import numpy as np
import pytest
import torch

from wm import ring, store
from wm.files import read_json
from wm.ring import derived
from wm.ring.connectivity import factors
from wm.ring.library import Ensemble, to_network
from wm.ring.similarity import epoch_rates
from wm.ring.tuning import preference_change, record, ring_units

SCALARS = {"sa": (0.0748, 0.486, -0.297), "it": (0.322, -0.588)}
ERRORS = {"sa": (16.0, 7.0), "it": (20.0, 17.0)}


@pytest.fixture
def saved(roots):
    """Two small networks each of two families, with errors of which one of `sa` passes."""
    for family, scalars in SCALARS.items():
        config = ring.config(family, units=40)
        weighted = torch.tensor([scalars] * 2)
        weighted[:, :-1] *= 100 / 40  # weights, not the bias
        parameters = {"scalars": weighted, "readout": torch.zeros(2, 2, 40)}
        records = [
            {"config": vars(config), "seed": str(k), "scores": _scores(error)}
            for k, error in enumerate(ERRORS[family])
        ]
        names = [f"{family}-0{k}" for k in range(2)]
        e = Ensemble(config, names, ["0", "1"], parameters, ring.design(config, ["0", "1"]), records)
        for k in range(2):
            store.save_network(to_network(e, k, {}))
    return roots


def _scores(error):
    keys = ("error_deg", "error_median_deg", "error_no_distractor_deg", "error_no_distractor_median_deg")
    return {key: error + i for i, key in enumerate(keys)}


def test_the_table_holds_what_the_analyses_give(saved):
    derived.measure()
    table = derived.networks()
    assert table.network.tolist() == ["sa-00", "sa-01", "it-00", "it-01"]
    assert table.kept.tolist() == [False, True, False, False]
    assert table.error_no_distractor_deg.tolist() == [18, 9, 22, 19]
    e = ring.load("it")
    recording = record(e)
    mask = ring_units(recording)
    own = table[table.family == "it"]
    assert own.ring_units.tolist() == mask.sum(1).tolist() == [40, 40]
    assert np.allclose(own[["structural", "functional"]], np.array(factors(e, recording)).T, rtol=1e-4)
    change = preference_change(recording)
    assert np.allclose(own.median_change_deg, np.nanmedian(change, axis=1), rtol=1e-4)
    assert np.allclose(own.filter(like="percent").sum(axis=1), 100)
    assert np.allclose(own.change_144_180_percent, 100 * (change > 144).sum(1) / mask.sum(1), rtol=1e-4)


def test_by_family_gives_the_first_networks_of_each(saved):
    derived.measure()
    found = derived.by_family(["it", "hdratio"], first=1)
    assert [(family, *rows.network) for family, rows in found.items()] == [("it", "it-00"), ("sa", "sa-00")]
    assert len(derived.by_family(["sa"])["sa"]) == 2
    with pytest.raises(ValueError, match="no networks of rt, g: measure them"):
        derived.by_family(["sa", "rt", "g"])


def test_epoch_rates_come_back_in_the_order_of_the_table(saved):
    derived.measure(["it", "hdratio"])
    found = derived.shipped_epoch_rates()
    assert list(found) == ["sa", "it"]  # in the order of `FAMILIES`, however they were measured
    assert np.allclose(found["it"], epoch_rates(ring.load("it")), atol=1e-3)
    assert list(derived.shipped_epoch_rates(["sa"])) == ["sa"]


def test_measuring_one_family_leaves_the_other_as_it_was(saved):
    derived.measure()
    files = [*saved.glob("data_json/ring/*.csv"), *saved.glob("data_npy/ring/*.h5")]
    before = [path.read_bytes() for path in files]
    assert derived.measure(["it"]).network.tolist() == ["it-00", "it-01"]
    assert len(files) == 3 and [path.read_bytes() for path in files] == before
    runs = read_json(saved / "data_json/ring/networks.json")["runs"]
    assert [(run["families"], run["command"]) for run in runs] == [
        (["sa"], "wm states ring networks"), (["it"], "wm states ring networks --families it"),
    ]  # fmt: skip


def test_every_measure_takes_device_and_families(roots):
    for measure in derived.MEASURES.values():
        with pytest.raises(ValueError, match="unknown ring family 'sb'"):
            measure(device="cpu", families=["sb"])


def test_example_rates_are_exact_to_half_a_level(saved):
    derived.measure(["sa", "it"])
    for family, wanted in (("sa", "sa-01"), ("it", "it-01")):  # the first kept one, or the best
        found = derived.example_rates(family)
        assert found.network == wanted and found.steps.tolist() == list(range(0, 265, 10))
        e = ring.load(wanted)
        rates = ring.simulate(e.weights, ring.task_of(e.config).batch(found.directions_deg[None]))[
            0, :, ::10
        ].numpy()
        assert found.rates.shape == rates.shape == (64, 27, 40)
        assert np.abs(found.rates - rates).max() <= np.ptp(rates) / 510 + 1e-6


def test_networks_without_ring_units_have_no_change(saved):
    config = ring.config("wmonly", units=40)
    parameters = ring.initial(config, ["0"])
    e = Ensemble(config, ["wmonly-00"], ["0"], parameters, None, [{"config": vars(config), "seed": "0"}])
    e.records[0]["scores"] = _scores(14.0)
    store.save_network(to_network(e, 0, {}))
    table = derived.measure(["wmonly"])
    assert table.ring_units.tolist() == [0] and table.median_change_deg.isna().all()
    assert table.kept.tolist() == [False]  # 16 degrees without the distractor, which is its own task


def test_measure_says_when_there_is_nothing_or_an_unknown_family(roots):
    with pytest.raises(ValueError, match="no ring network is saved in .*: train some with"):
        derived.measure()
    with pytest.raises(ValueError, match="unknown ring family 'sb'"):
        derived.measure(["sb"])
    with pytest.raises(store.DamagedFile):
        derived.networks()
