"""Ring networks on disk: what is saved is what was scored, and what does not belong is refused."""

from dataclasses import asdict, replace

import numpy as np
import pytest
import torch

from wm import ring, store
from wm.ring import as_ensemble, config, load, names
from wm.ring.library import to_network

UPDATES = 3


@pytest.fixture
def quick(monkeypatch, roots):
    """Few repeats of the scores, own folders."""
    measure = ring.campaign.measure_errors
    monkeypatch.setattr(ring.campaign, "measure_errors", lambda e, **k: measure(e, evaluations=2, **k))


def small(family, **changes):
    return config(family, **({"units": 8, "trials": 2, "updates": UPDATES} | changes))


def untrained(family, seeds=("0", "1"), **changes):
    """An ensemble with random read-outs, as if trained, without scores."""
    settings = small(family, **changes)
    parameters = ring.initial(settings, seeds)
    parameters["readout"] = torch.randn(parameters["readout"].shape)
    fixed = None if ring.FAMILIES[family].trained_fully else ring.design(settings, seeds)
    if fixed is None:
        parameters = {k: v.half().float() for k, v in parameters.items()}
    records = [{"config": asdict(settings), "seed": seed, "scores": {"error_deg": 1.0}} for seed in seeds]
    labels = [f"{family}-{seed:0>2}" for seed in seeds]
    return ring.Ensemble(settings, labels, list(seeds), parameters, fixed, records)


def saved(ensemble):
    for k in range(len(ensemble)):
        store.save_network(to_network(ensemble, k, {"step": [1]}))
    return ensemble


def numbers(weights):
    return {k: v for k, v in vars(weights).items() if isinstance(v, torch.Tensor)}


@pytest.mark.parametrize("family", ["rt", "wmd"])
def test_trained_networks_come_back_with_the_same_numbers(family, quick):
    trained = ring.train(small(family), 2)
    loaded = load(family)
    assert loaded.config == trained.config and loaded.names == trained.names == [
        f"{family}-00",
        f"{family}-01",
    ]
    assert loaded.records == trained.records and loaded.seeds == ["0", "1"]
    for name, value in numbers(trained.weights).items():
        assert torch.equal(value, getattr(loaded.weights, name)), name
    again = ring.measure_errors(loaded, evaluations=2)
    assert again == [record["scores"] for record in loaded.records]
    assert loaded.score("error_deg").shape == (2,) and (loaded.score("error_deg") > 0).all()


def test_record_and_history_say_what_was_done(quick):
    ring.train(small("g", updates=102), seeds=["5"])
    network = store.load_network("ring", "g-05")
    record, scores = network.record, network.record["scores"]
    assert record["seed"] == "5" and record["command"] == (
        "wm train ring.g --seeds 5 --units 8 --updates 102 --trials 2"
    )
    assert record["config"] == asdict(small("g", updates=102)) and record["training"]["updates"] == 102
    assert network.history["step"] == [100, 102]
    assert set(network.history) == {"step", "loss", "gradient_norm", "error_deg"}
    assert all(np.shape(values) == (2,) for values in network.history.values())
    for key in ("error", "error_no_distractor"):
        repeats = scores[f"{key}_repeats_deg"]
        assert len(repeats) == 2 and scores[f"{key}_deg"] == repeats[0]
        assert scores[f"{key}_median_deg"] == pytest.approx(np.median(repeats), rel=1e-3)
        assert f"{key}_mse" in scores


@pytest.mark.parametrize("family", ring.FAMILIES)
def test_every_family_survives_the_disk(family, roots):
    first = saved(untrained(family))
    loaded = load([f"{family}-01", f"{family}-00"])
    for name, value in numbers(first.weights).items():
        assert torch.equal(value.flip(0), getattr(loaded.weights, name)), name


def test_backprop_weights_are_half_precision_and_designed_ones_are_few(roots):
    saved(untrained("wmd"))
    saved(untrained("g_rt"))
    full, designed = (store.load_network("ring", name).weights for name in ("wmd-00", "g_rt-00"))
    assert {array.dtype for array in full.values()} == {np.dtype("float16")}
    assert {k: v.shape for k, v in designed.items()} == {
        "scalars": (3,),
        "readout": (2, 8),
        "shift_deg": (8,),
    }
    assert {array.dtype for array in designed.values()} == {np.dtype("float32")}


def test_rounding_to_half_precision_precedes_the_scores(quick, monkeypatch):
    seen = {}
    measure = ring.campaign.measure_errors
    monkeypatch.setattr(
        ring.campaign, "measure_errors", lambda e, **k: seen.update(e.parameters) or measure(e, **k)
    )
    ring.train(small("wmd"), 1, save=False)
    assert all(torch.equal(value, value.half().float()) for value in seen.values())


def test_own_shifts_are_not_needed_again(roots, tmp_path):
    store.write_json(tmp_path / "own.json", [10, 20, -90])
    first = saved(untrained("mst1", shifts_from=str(tmp_path / "own.json")))
    (tmp_path / "own.json").unlink()
    assert torch.equal(load("mst1").weights.left, first.weights.left)


def test_names_and_published_names(roots):
    for family in ("g", "g_rt", "rt"):
        saved(untrained(family))
    assert names() == ["g-00", "g-01", "g_rt-00", "g_rt-01", "rt-00", "rt-01"]
    assert names("g") == names("hdgating") == ["g-00", "g-01"]
    assert (
        load("ring.g").names == ["g-00", "g-01"] and load("g-01").names == ["g-01"] and len(load("rt")) == 2
    )


# ---------------------------------------------------------------- refusals


def test_unknown_networks_and_families(roots):
    saved(untrained("rt"))
    with pytest.raises(store.UnknownNetwork, match="did you mean ring/rt-0[01]"):
        load("rt-02")
    with pytest.raises(store.UnknownNetwork, match="there is no such network"):
        load("sa")
    with pytest.raises(ValueError, match="unknown ring family 'rtt': did you mean"):
        load("rtt")
    with pytest.raises(ValueError, match="unknown ring family 'hdgate'"):
        names("hdgate")


def test_mixed_configurations_are_refused(roots):
    saved(untrained("rt"))
    saved(untrained("it"))
    with pytest.raises(ValueError, match="it-00 and rt-00 have different configurations: load them apart"):
        load(["rt-00", "it-00"])


@pytest.mark.parametrize("change", ["system", "missing", "extra", "none", "text"])
def test_foreign_networks_are_refused(change):
    network = to_network(untrained("rt"), 0, {})
    settings = dict(network.record["config"])
    system = "ring"
    if change == "system":
        system = "nback"
    elif change == "missing":
        del settings["noise"]
    elif change == "extra":
        settings["colour"] = 1
    record = network.record | {"config": "rt" if change == "text" else settings}
    if change == "none":
        del record["config"]
    with pytest.raises(store.WrongSchema, match="is no ring network of this version: .*train it again"):
        as_ensemble([replace(network, system=system, record=record)])


@pytest.mark.parametrize("name", ["weights.safetensors", "network.json", "history.json"])
def test_damaged_networks_are_refused(roots, name):
    saved(untrained("rt"))
    path = ring.campaign.store.paths.data() / "ring" / "rt-01" / name
    content = bytearray(path.read_bytes())
    content[len(content) // 2] ^= 1
    path.write_bytes(content)
    with pytest.raises(store.DamagedFile, match=f"rt-01/{name}"):
        load("rt")
    assert len(load("rt-00")) == 1


def test_variants_beside_a_family_are_loaded_by_name(roots):
    usual = untrained("g", units=100, trials=64, updates=5000)
    saved(usual)
    saved(untrained("g", ["100"], units=8))
    assert load("g").names == usual.names and load("g-100").config.units == 8
    assert names("g") == ["g-00", "g-01", "g-100"]
