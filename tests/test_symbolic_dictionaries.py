"""Dictionaries: what is shipped, its round trip through float16, the measure, and panels on it."""

import matplotlib.pyplot as plt
import numpy as np
import pandas as pd
import pytest
import torch

from wm import paths, store, style, symbolic
from wm.symbolic import dictionaries, sae_metrics, sae_plots
from wm.symbolic.sae import SAEConfig, SparseAutoencoder

CYCLE = symbolic.Cycle()
STAGE_SIZES = (30, 135)


@pytest.fixture
def elsewhere(tmp_path, monkeypatch):
    """Tables and states in a folder of their own."""
    monkeypatch.setenv("WM_DATA_JSON", str(tmp_path / "json"))
    monkeypatch.setenv("WM_DATA_NPY", str(tmp_path / "npy"))
    return tmp_path


@pytest.fixture(scope="module")
def tiny(tmp_path_factory):
    """A measure with next to no training: folder, and the rows that it gave."""
    folder = tmp_path_factory.mktemp("tiny")
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("WM_DATA_JSON", str(folder / "json"))
        patch.setenv("WM_DATA_NPY", str(folder / "npy"))
        patch.setattr(dictionaries, "SETTINGS", {"relu": (0.3, 3.0), "topk": (2,), "jumprelu": (3,)})
        rows = dictionaries.measure(networks=2, steps=3)
    return folder, rows


@pytest.fixture
def in_tiny(tiny, monkeypatch):
    folder, rows = tiny
    monkeypatch.setenv("WM_DATA_JSON", str(folder / "json"))
    monkeypatch.setenv("WM_DATA_NPY", str(folder / "npy"))
    return rows


# --- what is shipped ----------------------------------------------------------------------------------------


@pytest.mark.parametrize("stage", [0, 1])
def test_each_cycle_network_has_its_autoencoder(stage):
    saes = dictionaries.load_saes(stage)
    assert [*saes] == symbolic.names("cycle")
    for sae in saes.values():
        assert sae.cfg == SAEConfig.published(72, hook_name=dictionaries.HOOKS[stage])
        assert not any(parameter.requires_grad for parameter in sae.parameters())
        assert not sae.b_dec.any() and sae.W_enc.shape == (72, 144) and sae.W_enc.dtype == torch.float32


@pytest.mark.parametrize("stage", [0, 1])
def test_the_table_tells_of_what_is_shipped(stage):
    """Scores in the table are those of the networks and autoencoders in the files, after rounding."""
    name = "cycle-03"
    rows = dictionaries.table().query("recipe == 'published' and network == @name and stage == @stage")
    found = dictionaries.evaluate(symbolic.load(name), dictionaries.published(name, stage))
    assert rows.vectors.item() == found["vectors"] == STAGE_SIZES[stage]
    for column, value in found.items():
        assert rows[column].item() == pytest.approx(value, rel=2e-3, abs=1e-4), column


def test_shipped_tables_hold_what_was_asked_for():
    rows = dictionaries.table()
    published, sweep = (rows[rows.recipe == recipe] for recipe in ("published", "sweep"))
    expected = {("cycle", 0): 8, ("cycle", 1): 8, ("sampled", 0): 7, ("sampled", 1): 7}
    assert published.groupby(["family", "stage"]).size().to_dict() == expected
    assert (sweep.groupby(["stage", "activation", "setting"]).network.nunique() >= 5).all()
    assert sweep.groupby("activation").setting.nunique().to_dict() == dict.fromkeys(sweep.activation, 5)
    assert not (set(dictionaries.COLUMNS) - set(rows))
    last = dictionaries.history().groupby(["family", "stage"]).step.max()
    steps = dictionaries.MEASURED.items()
    assert last.to_dict() == {(family, stage): n for family, each in steps for stage, n in enumerate(each)}


def test_the_file_is_small():
    assert (paths.data_npy() / "symbolic" / "saes.h5").stat().st_size < 700_000


def test_unknown_stages_and_networks():
    with pytest.raises(ValueError, match="stages 0 and 1"):
        dictionaries.load_saes(2)
    with pytest.raises(store.UnknownNetwork, match="no autoencoder of 'cycle-99': did you mean cycle-0"):
        dictionaries.published("cycle-99", 0)


def test_without_files(elsewhere):
    for read in (dictionaries.table, dictionaries.history):
        with pytest.raises(store.DamagedFile, match="wm states symbolic dictionaries"):
            read()
    with pytest.raises(store.DamagedFile):
        dictionaries.load_saes(0)


# --- the measure --------------------------------------------------------------------------------------------


def test_rows_of_a_measure(tiny):
    rows = tiny[1]
    assert len(rows) == 2 * 2 * 2 + 2 * 4 * 2  # families, stages, networks; stages, settings, networks
    assert [*rows][:8] == ["family", "network", "seed", "stage", "recipe", "steps", "activation", "setting"]
    assert (rows.steps == 3).all() and set(rows.vectors) == set(STAGE_SIZES)
    assert np.allclose(rows.alive, 144 * (1 - rows.dead))
    recovered = (rows.zero - rows.reconstructed) / (rows.zero - rows.clean)
    assert np.allclose(rows.loss_recovered, recovered)
    assert rows.query("recipe == 'sweep'").setting.tolist() == 2 * [0.3, 0.3, 3, 3, 2, 2, 3, 3]


def test_what_is_saved_is_what_was_measured(in_tiny):
    own = in_tiny.query("recipe == 'published' and family == 'cycle'")
    for row in own.itertuples():
        sae = dictionaries.published(row.network, row.stage)
        found = dictionaries.evaluate(symbolic.load(row.network), sae)
        assert found["mse"] == pytest.approx(row.mse, rel=1e-6)
        assert found["reconstructed"] == pytest.approx(row.reconstructed, rel=1e-6)
    read = dictionaries.table()
    assert np.allclose(read.l0, in_tiny.l0, rtol=1e-5) and read.network.tolist() == in_tiny.network.tolist()
    steps = dictionaries.history().groupby(["family", "network", "stage"]).step.apply(tuple)
    assert len(steps) == 8 and set(steps) == {(0, 3)}


def test_float16_costs_no_more_than_its_rounding():
    """A packed autoencoder is the original up to 2^-11 of each weight."""
    sae = SparseAutoencoder(SAEConfig.published(6), torch.Generator().manual_seed(1))
    with torch.no_grad():
        sae.b_enc.uniform_(-1, 1)
    packed = dictionaries._packed([[sae, sae]] * 2)
    assert {name: value.shape for name, value in packed.items()} == {
        "W_enc": (2, 2, 6, 12), "b_enc": (2, 2, 1, 12), "W_dec": (2, 2, 12, 6)
    }  # fmt: skip
    again = dictionaries._unpacked({name: value[1, 0] for name, value in packed.items()}, "here")
    assert again.cfg.hook_name == "here"
    for name in packed:
        torch.testing.assert_close(getattr(again, name), getattr(sae, name).detach(), rtol=2**-11, atol=1e-7)


def test_other_families_stay_and_so_do_autoencoders(in_tiny, monkeypatch):
    before = dictionaries.published("cycle-01", 1).W_enc
    monkeypatch.setattr(dictionaries, "SETTINGS", {})
    rows = dictionaries.measure(["sampled"], networks=1, steps=3)
    assert set(rows.family) == {"sampled"} and len(rows) == 2
    assert set(dictionaries.table().family) == {"cycle", "sampled"}
    assert torch.equal(dictionaries.published("cycle-01", 1).W_enc, before)
    record = store.read_json(paths.data_json() / "symbolic" / "dictionaries.json")
    assert [run["families"] for run in record["runs"]] == [["cycle"], ["sampled"]]
    assert "data_npy/symbolic/saes.h5" in record["files"]


def test_only_networks_with_these_stages(elsewhere):
    with pytest.raises(ValueError, match="not measured on 'gru' networks, only on cycle, sampled"):
        dictionaries.measure(["gru"])
    dictionaries.measure(["sampled"], networks=1, steps=1)
    assert not (paths.data_npy() / "symbolic").exists()


def test_a_perfect_dictionary_is_told_as_one():
    """The 30 vectors before attention as features of their own, by the nearest of them: nothing is lost."""
    trained = symbolic.load("cycle-00")
    shown = sae_metrics.activations(trained.model, CYCLE.windows(10), dictionaries.HOOKS[0])
    x = shown.vectors
    sae = SparseAutoencoder(SAEConfig(72, 30, "topk", 1, hook_name=dictionaries.HOOKS[0], unit_norm=False))
    with torch.no_grad():
        half = x.square().sum(-1) / 2
        sae.W_enc.copy_(x.T)
        sae.b_enc.copy_(-half)  # z = x . x_i - |x_i|^2 / 2 is largest for x_i = x, and then |x|^2 / 2
        sae.W_dec.copy_(x / half[:, None])
    found = dictionaries.evaluate(trained, sae)
    assert (found["l0"], found["dead"], found["alive"]) == (pytest.approx(1), 0, 30)
    assert found["explained_variance"] == pytest.approx(1) and found["loss_recovered"] == pytest.approx(1)
    assert (found["codes_last"], found["active_last"], found["contiguous"]) == (3, 3, 1)
    assert found["mcc_symbol"] == pytest.approx(1) and found["mcc_held"] == pytest.approx(0, abs=1e-6)


def test_runs_of_phases():
    on = np.zeros((18, 5))
    on[[17, 0, 1], 0] = 1  # across the end
    on[:, 1] = 1  # always
    on[[3, 9], 2] = 1  # two runs
    on[4:8, 3] = 1
    found = dictionaries._tuned(on)
    assert (found["active_last"], found["contiguous"], found["codes_last"]) == (4, 0.75, 4)
    assert np.isnan(dictionaries._tuned(np.zeros((18, 2)))["contiguous"])


# --- panels -------------------------------------------------------------------------------------------------


@pytest.fixture
def axes():
    fig, ax = plt.subplots()
    yield ax
    plt.close(fig)


def test_coded_windows_come_in_the_order_of_the_cycle():
    trained, sae = symbolic.load("cycle-00"), dictionaries.published("cycle-00", 0)
    one = sae_plots.coded(trained, sae)
    assert np.array_equal(CYCLE.phases(one.tokens), np.arange(18))
    assert one.original.shape == one.decoded.shape == (18, 10, 72) and one.features.shape == (18, 10, 144)
    assert np.allclose(one.features @ sae.W_dec.numpy(), one.decoded, atol=1e-4)
    images, most = sae_plots.residuals(one, 4)
    difference = images["original"] - images["reconstructed"]
    assert np.allclose(images["error × 10"], 10 * difference, atol=1e-5)
    assert most == np.abs(one.original[4]).max()
    assert 0 < sae_plots.symbol_share(one) < 0.1


def test_symbol_share_by_hand():
    tokens = np.array([[0, 1], [0, 1]])
    x = np.array([[[1.0], [3.0]], [[-1.0], [5.0]]])  # means 0 and 4, within 1
    one = sae_plots.Coded(tokens, x, x, x)
    assert sae_plots.symbol_share(one) == pytest.approx(4 / 5)


def test_contrast_of_symbols_by_hand():
    """At place 0 symbols are 2 apart and stay so; at place 1 they were 4 apart, and 1 is left."""
    tokens = np.array([[0, 0], [1, 1]])
    x = np.array([[[0.0, 0.0], [1.0, 4.0]], [[0.0, 2.0], [1.0, 0.0]]])
    y = np.array([[[1.0, 0.0], [0.0, 1.0]], [[1.0, 2.0], [0.0, 2.0]]])
    assert sae_plots.symbol_contrast(sae_plots.Coded(tokens, x, y, x)).tolist() == [1, 0.25]


def test_tuning_is_sorted_by_the_middle_of_activity(axes):
    features = np.zeros((18, 4))
    features[12:15, 0], features[[17, 0, 1], 1], features[5:8, 3] = 2.0, 1.0, 7.0
    image = sae_plots.draw_tuning(axes, features).get_array()
    assert image.shape == (3, 18) and image.max() == 1  # the third is never active
    assert [int(row[13] > 0) * 2 + int(row[6] > 0) for row in image] == [0, 1, 2]
    assert axes.get_ylabel() == "3 active features"


def test_what_is_lost_stays_on_the_axis():
    rows = pd.DataFrame({"loss_recovered": [0.9, 1.0001, -1.0]})
    assert sae_plots.lost(rows).tolist() == pytest.approx([0.1, sae_plots.LEAST, 2])


def test_panels_draw_every_autoencoder(in_tiny, axes):
    sweep, own = (in_tiny.query(f"recipe == '{recipe}' and stage == 1") for recipe in ("sweep", "published"))
    sae_plots.draw_sweep(axes, sweep, sae_plots.lost(sweep))
    assert sum(len(dots.get_offsets()) for dots in axes.collections) == len(sweep)
    assert [line.get_label() for line in axes.lines] == [style.LABELS[k] for k in sweep.activation.unique()]
    sae_plots.draw_published(axes, own, own.dead, text="published")
    sae_plots.draw_reference(axes, 1, 4.86, 0.667)
    sae_plots.draw_chance(axes, sweep, "chance_phase")
    sae_plots.draw_variance(axes, in_tiny)
    sae_plots.sparsity_axis(axes)
    assert axes.get_xscale() == "log"


def test_panels_of_training_and_matches(in_tiny, axes):
    sae_plots.draw_history(axes, dictionaries.history().query("family == 'cycle'"), "loss")
    assert len(axes.lines) == 2 * (2 + 1 + 1)  # stages: networks, mean, reference
    axes.clear()
    networks = [symbolic.load("cycle-00")]
    untrained = {stage: sae_plots.untrained_matches(networks, stage) for stage in (0, 1)}
    assert untrained[0].alive.item() > 100
    own = in_tiny.query("recipe == 'published' and family == 'cycle'")
    sae_plots.draw_matches(axes, own, untrained, {"symbol": "symbol", "phase": "phase"})
    assert [tick.get_text() for tick in axes.get_xticklabels()] == ["symbol", "phase"]
    image = sae_plots.draw_residual(axes, np.ones((10, 72)), most=2, title="original")
    assert image.get_clim() == (-2, 2)
