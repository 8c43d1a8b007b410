"""Tables of the geometry: rows of one network, many networks, and what is read from them."""

from dataclasses import replace

import numpy as np
import pandas as pd
import pytest

from wm import nback, store
from wm.campaign import settings_of
from wm.nback import geometry
from wm.nback.geometry import measures, planted, rows, summaries
from wm.nback.geometry.planted import by_stimulus, frames, pictures_of, slots
from wm.nback.library import to_network
from wm.nback.material import Images
from wm.nback.task import FEATURES, Task, tasks_of

TRIALS = 256
SMALL = {"units": 48, "channels": 4}
WHOLE = {"lags": (2,), "features": ("location", "identity")}
"""tasks that stand for all nine"""
TWO = tasks_of(**WHOLE)


def pictures() -> Images:
    """Features that tell location, object and category, of each image, (image, position, channel)."""
    labels = pictures_of()
    codes = planted.codes_of(labels)
    wide = np.random.default_rng(0).standard_normal((codes.shape[1], 4 * 12))
    return Images((codes @ wide).reshape(len(codes), 4, 12).astype(np.float32), labels)


def network(family: str, seed: int = 0, **changes) -> nback.Trained:
    return nback.create_model(family, seed, features_channels=12, **(SMALL | changes))


@pytest.fixture(scope="module", autouse=True)
def two_tasks_are_all():
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(rows, "TASKS", TWO)
        yield


@pytest.fixture(scope="module")
def gru():
    """A network that answers match, if it answers."""
    return answering("gru", [-9.0, 0, 1])


def answering(family: str, bias: list[float]) -> nback.Trained:
    own = network(family, **WHOLE)
    name = next(key for key, each in own.weights.items() if each.shape == (1, 3))
    return replace(own, weights=own.weights | {name: own.weights[name].new_tensor([bias])})


@pytest.fixture(scope="module")
def found(gru):
    return rows.geometry_rows(gru, pictures(), trials=TRIALS)


def one(found: rows.Rows, table: str, **equal) -> dict:
    own = [row for row in found[table] if all(row[key] == value for key, value in equal.items())]
    assert len(own) == 1
    return own[0]


# --- one network ------------------------------------------------------------------------------------------


def test_rows_of_a_network_of_nine_tasks_are_what_the_analyses_say(gru, found):
    counts = {name: len(own) for name, own in found.items()}
    assert counts == dict.fromkeys(rows.TABLES[:4], 4) | {"rotations": 6, "perturbation": 6}
    images, task = pictures(), TWO[1]
    alone = geometry.record(gru, images, geometry.once(images, TWO), TWO)
    for setting, options in rows.SETTINGS.items():
        row = one(found, "decoding", setting=setting, task=task.name)
        told = geometry.relevance(replace(alone, **options))
        for name in FEATURES:
            assert row[name] == pytest.approx(told[name].binary[1], abs=6e-4)
            assert row[f"{name}_values"] == pytest.approx(told[name].multiclass[1], abs=6e-4)
            assert abs(row[f"{name}_null"] - 0.5) < 0.2 < row[name]
        across = geometry.cross_task(replace(alone, **options), "identity").binary
        row = one(found, "cross_task", setting=setting, task=task.name)
        assert row["within"] == pytest.approx(across[1, 1], abs=6e-4)
        assert row["location"] == pytest.approx(across[1, 0], abs=6e-4)
        assert np.isnan(row["identity"]), "no other task asks for it"


def test_rotations_are_the_evidence_that_is_asked_for_alone(gru, found):
    images, task = pictures(), TWO[1]
    chance = geometry.record(gru, images, geometry.draw(images, TWO, trials=TRIALS), TWO)
    for first in (1, task.lag + 1):
        told = geometry.evidence(chance, 1, task.feature, first=first)
        row = one(found, "rotations", setting="ours", task=task.name, first=first)
        assert row["verdict"] == told.verdict
        assert np.allclose([row[name] for name in told._fields], told, atol=6e-4, equal_nan=True)
        assert 0 <= row["disparity"] <= 1
    held = geometry.decoded(chance, 1, task.feature)
    row = one(found, "dynamics", setting="ours", task=task.name)
    lost = geometry.contrast(held.kept.normalised, task.lag)
    assert [row["all_executive"], row["all_other"]] == pytest.approx([*lost], abs=6e-4)
    assert row["kept_5"] == pytest.approx(held.kept.normalised[0, 5], abs=6e-4)
    assert row["validation"] == pytest.approx(np.diagonal(held.shared.normalised)[1:].mean(), abs=6e-4)
    ages = one(found, "decoding", setting="ours", task=task.name)
    assert ages["identity_5"] == pytest.approx(held.fitted.binary[0, 5], abs=6e-4)


def test_networks_of_fewer_tasks_and_with_attention_have_fewer_rows():
    single = rows.geometry_rows(network("gru_stsf_2_identity"), pictures(), trials=TRIALS)
    counts = {name: len(own) for name, own in single.items()}
    assert counts == {"decoding": 2, "cross_task": 0, "orthogonality": 2, "dynamics": 2, "rotations": 0,
                      "perturbation": 0}  # fmt: skip
    looking = rows.geometry_rows(network("attention_gru", **WHOLE), pictures(), trials=TRIALS)
    assert {row["setting"] for own in looking.values() for row in own} == {"ours"}
    assert not any(looking[name] for name in ("cross_task", "dynamics", "perturbation"))
    assert {row["first"] for row in looking["rotations"]} == {1}
    assert "identity" in looking["decoding"][0] and "identity_5" not in looking["decoding"][0]
    few = rows.geometry_rows(network("published_gru_mtmf", **WHOLE), pictures(), trials=TRIALS)
    counts = {name: len(own) for name, own in few.items()}
    assert counts == {"decoding": 0, "cross_task": 0, "orthogonality": 4, "dynamics": 4, "rotations": 4,
                      "perturbation": 0}  # fmt: skip


def test_shifts_are_of_both_settings_and_not_of_networks_that_never_answer_match(found, caplog):
    own = found["perturbation"]
    assert [*dict.fromkeys((row["setting"], row["along"]) for row in own)] == [
        ("ours", "normal"), ("ours", "pattern"), ("standardised", "normal"),
    ]  # fmt: skip
    for row in own:
        assert row["match_m2"] <= row["match_0"] + 0.01 and row["match_m2"] + row["none"] <= 1.002
        assert row["reached"] < row["unshifted"] and row["length"] > 0
    mute, images = answering("lstm", [9.0, 0, -9]), pictures()
    shown = geometry.draw(images, TWO, trials=64, match_probability=0.5)
    natural = geometry.record(mute, images, shown, TWO, cells=True)
    case = rows._Case(mute, images, natural, natural, natural, "standardised")
    assert not [*rows._perturbation(case)]
    assert "no trial of the 2-back location task was answered match" in caplog.text


# --- shapes of decoders -----------------------------------------------------------------------------------


def test_decoders_of_one_shape_have_no_disparity_and_those_of_another_do():
    task = Task("location", 3)
    whole = planted.planted(slots(), (task,), trials=1024)
    turned = planted.planted(by_stimulus(), (task,), trials=1024)
    own = frames(6)
    bent = planted.planted(lambda task, i, j: own[j - i] * (2.0 ** ((j + np.arange(16)) % 4))[:, None],
                           (task,), trials=1024)  # fmt: skip
    found = [
        geometry.disparity(geometry.projected(each, 40), 0, "location") for each in (whole, turned, bent)
    ]
    needed = geometry.lifetime(3, 6)
    same, rotated, other = (each[needed].mean() for each in found)
    assert same < 0.05 and rotated < 0.1 < other
    assert np.isnan(found[0][np.tril_indices(6, -1)]).all() and np.isnan(found[0][:, -1]).all()


# --- many networks ----------------------------------------------------------------------------------------


@pytest.fixture
def at_home(monkeypatch, tmp_path):
    for name in ("DATA", "DATA_JSON", "DATA_NPY", "RESULTS"):
        monkeypatch.setenv(f"WM_{name}", str(tmp_path / name.lower()))
    monkeypatch.setattr(measures, "analysis_images", lambda config: pictures())
    measures._pictures_of.cache_clear()
    yield tmp_path
    measures._pictures_of.cache_clear()


class _Pool:
    """A pool in this process."""

    def __init__(self, processes, context, initializer):
        assert processes == 2 and context.get_start_method() == "spawn"
        initializer()

    def __enter__(self):
        return self

    def __exit__(self, *raised):
        return False

    map = staticmethod(map)


def test_networks_that_are_handed_over_are_measured_alike_in_one_process_and_in_several(
    at_home, monkeypatch, caplog
):
    one, two = (network("gru_stsf_1_location", seed) for seed in (0, 1))
    gone = replace(one, record={"diverged": True})
    broken = replace(one, weights={"reduce.weight": one.weights["reduce.weight"] * np.inf})
    deep = network("gru_stsf_1_location", layers=2)
    tables = measures.measure_geometry(networks=[one, gone, two, broken, deep], trials=TRIALS)
    assert set(tables) == {"decoding", "orthogonality", "dynamics"}
    assert caplog.text.count("it diverged") == 2 and "it has 2 recurrent layers" in caplog.text
    record = store.read_json(at_home / "data_json" / "nback" / "geometry.json")
    assert "networks='5 handed over'" in record["runs"][0]["command"]
    table = measures.table("decoding")
    assert [*table.seed.unique()] == [0, 1] and set(table.feature) == {"location"} and set(table.lag) == {1}
    assert set(table.diet) == {"stsf"} and set(table.attention) == {"none"}
    monkeypatch.setattr(measures, "ProcessPoolExecutor", _Pool)
    again = measures.measure_geometry(networks=[one, two], processes=2, trials=TRIALS)
    for name, own in tables.items():
        pd.testing.assert_frame_equal(own, again[name])


def test_saved_networks_are_measured_by_family(at_home):
    own = network("gru_stsf_2_category")
    record = {"config": settings_of(own.config), "seed": "0"}
    store.save_network(to_network(replace(own, record=record), {"step": [1]}))
    tables = measures.measure_geometry(trials=TRIALS)
    assert set(tables["dynamics"].family) == {"gru_stsf_2_category"}
    with pytest.raises(ValueError, match="no network is left to be measured"):
        measures.measure_geometry(["gru"], networks=[network("gru_stsf_1_location")])
    with pytest.raises(ValueError, match="unknown family 'grv'"):
        measures.measure_geometry(["grv"])
    with pytest.raises(ValueError, match="there is no table 'decode': choose one of decoding, "):
        measures.table("decode")
    with pytest.raises(store.DamagedFile, match="wm states nback geometry"):
        measures.table("rotations")


# --- over networks ----------------------------------------------------------------------------------------


def table_of(column: str, values: dict[tuple[str, str, int], float], **more) -> pd.DataFrame:
    """A table with a value for each (architecture, feature, seed)."""
    told = [
        {"architecture": a, "feature": f, "seed": s, column: value, "diet": "mtmf", "attention": "none",
         "setting": "ours", "stimuli": "rich", "task": f"1-back {f}", "lag": 1} | more
        for (a, f, s), value in values.items()
    ]  # fmt: skip
    return pd.DataFrame(told)


GRID = [(a, f, s) for a in ("gru", "lstm") for f in FEATURES for s in range(4)]


def test_the_least_certain_condition_counts():
    table = table_of("x", {place: 0.9 + 0.01 * place[2] - 0.3 * (place[1] == "identity") for place in GRID})
    own = summaries.of(table, "gru")
    assert len(own) == 12 and summaries.by_seed(own, "x").tolist() == pytest.approx([0.8, 0.81, 0.82, 0.83])
    shares = summaries.shares_of(own, "x")
    assert summaries.least(shares, 0.85)[0] == "identity" == summaries.farthest(shares, 0.95, 0.1)[0]
    which, estimate = summaries.largest(shares, 0.85)
    assert which != "identity" and estimate.ours == pytest.approx(0.915) and estimate.n_networks == 4
    with pytest.raises(ValueError, match="no condition was given"):
        summaries.least({}, 0.5)
    with pytest.raises(ValueError, match="the table has no rows of diet stmf"):
        summaries.of(table, diet="stmf")
    unknown = own.assign(x=np.nan)
    assert summaries.shares_of(unknown, "x") == {} and summaries.by_seed(unknown, "x").empty


def test_what_is_asked_for_is_told_from_the_rest():
    table = table_of("x", dict.fromkeys(GRID, 0.0)).assign(location=0.6, identity=0.7, category=0.8)
    asked, others = (summaries.encoded(table, relevant) for relevant in (True, False))
    assert len(asked) == 24 and len(others) == 48
    assert asked.groupby("property").accuracy.mean().to_dict() == pytest.approx(
        {"location": 0.6, "identity": 0.7, "category": 0.8}
    )
    assert (others.property != others.feature).all() and (asked.property == asked.feature).all()
    told = summaries.across(table.assign(within=0.9))
    row = told[told.feature == "location"].iloc[0]
    assert row.inside == pytest.approx(0.8) and row.outside == pytest.approx(0.5)
    assert row.share == pytest.approx(0.5 / 0.8)


def test_changes_of_the_index_and_gains():
    table = table_of("encoding", {place: 0.5 + 0.1 * (place[1] == "category") for place in GRID})
    table = table.assign(perceptual=0.55, perceptual_shuffled=0.5, encoding_shuffled=0.4, cnn=0.9)
    assert summaries.below_diagonal(table).tolist() == pytest.approx([2 / 3] * 4)
    assert summaries.below_diagonal(table, "cnn").tolist() == [1] * 4
    assert summaries.below_diagonal(table, normalise=True).tolist() == [0] * 4
    assert summaries.change(table, normalise=True).before.iloc[0] == pytest.approx(1.1)
    more = table.assign(encoding=table.encoding + 0.1 * (table.seed < 3))
    gain = summaries.gained(more[more.seed > 0], table, "encoding")
    assert [*gain.index] == [1, 2, 3] and gain.tolist() == pytest.approx([0.1, 0.1, 0])
    times = table.assign(natural_executive=0.4, natural_other=0.1, verdict=["H2", "H3"] * 12)
    assert summaries.longer(times).tolist() == pytest.approx([0.3] * 4)
    assert summaries.same_as_h2(times).tolist() == [1, 0, 1, 0]
    wide = summaries.side_by_side(summaries.of(table, "gru"), "encoding")
    assert wide.category.dropna().tolist() == pytest.approx([0.6] * 4)
    both = summaries.encoding(table.assign(location=0.6, identity=0.6, category=0.9), table)
    assert both["index"].tolist() == pytest.approx([0.5 + 0.1 / 3] * 4)
    assert both.asked_for.tolist() == pytest.approx([0.7] * 4)
    assert both.not_asked_for.tolist() == pytest.approx([0.7] * 4)


def test_intervals_are_over_networks_and_not_over_their_tasks():
    table = table_of("x", {place: place[2] + FEATURES.index(place[1]) for place in GRID})
    told = summaries.over_networks(table, ["architecture"], ["x"])
    four = summaries.over_networks(table[table.feature == "identity"], ["architecture"], ["x"])
    assert [*told.index] == ["gru", "lstm"]
    assert told.x["gru"] == four.x["gru"], "the mean over features is that of the middle one"
