"""The five analyses of one network as a document, its commands, and what two networks differ in."""

import json
from dataclasses import replace

import numpy as np
import pytest

from wm import cli, nback, store
from wm.nback import analysis_commands, geometry
from wm.nback.geometry import analyse as documents
from wm.nback.geometry import parts
from wm.nback.geometry.planted import by_stimulus, chronological, codes_of, frames, pictures_of, planted
from wm.nback.geometry.turned import turned
from wm.nback.material import Images
from wm.nback.task import FEATURES, Task, tasks_of

TWO = {"lags": (2,), "features": ("location", "identity")}
TRIALS = 512


def pictures() -> Images:
    labels = pictures_of()
    codes = codes_of(labels)
    wide = np.random.default_rng(0).standard_normal((codes.shape[1], 4 * 12))
    return Images((codes @ wide).reshape(len(codes), 4, 12).astype(np.float32), labels)


def network(family: str = "gru", seed: int = 0) -> nback.Trained:
    """It answers match, whenever it answers."""
    own = nback.create_model(family, seed, features_channels=12, units=48, channels=4, **TWO)
    name = next(key for key, each in own.weights.items() if each.shape == (1, 3))
    tests = {"splits": ["trained"], "tasks": [task.name for task in tasks_of(**TWO)],
             "confusion": [[np.diag([9, 8, 8]).tolist(), [[9, 0, 0], [0, 2, 2], [0, 2, 2]]]],
             "other_views": [[[1, 1]] * 2], "by_step": [[[1.0] * 6] * 2]}  # fmt: skip
    weights = own.weights | {name: own.weights[name].new_tensor([[-9.0, 0, 1]])}
    return replace(own, weights=weights, record={"test": tests})


@pytest.fixture(scope="module")
def found():
    return documents.analyse(network(), decoders="standardised", trials=TRIALS, pictures=pictures())


# --- decoders turned from any step to any later one -------------------------------------------------------


def test_codes_that_turn_without_bending_are_reconstructed_over_any_steps():
    own, at = frames(6), np.arange(16)[:, None]
    straight, bent = (
        geometry.projected(planted(carry, (Task("location", 3),), trials=1024), 100)
        for carry in (chronological(), lambda task, i, j: own[j - i] * 3.0 ** ((j + at) % 4))
    )
    told = turned(straight, 0, "location")
    i, j, k = np.indices(told.accuracy.shape)
    known = (i <= j) & (j < k)
    for array in told:
        assert np.array_equal(np.isfinite(array), known)
    assert told.disparity[known].max() < 0.05 and told.ratio[known].min() > 0.9
    other = turned(bent, 0, "location")
    assert other.disparity[known].mean() > 3 * told.disparity[known].mean()
    pair = turned(straight, 0, "location", source=2, target=4)
    assert np.array_equal(np.isfinite(pair.accuracy), known & (j == 1) & (k == 3))
    assert pair.accuracy[0, 1, 3] == told.accuracy[0, 1, 3]


def test_steps_that_do_not_follow_are_told():
    own = planted(by_stimulus(), (Task("location", 1),), trials=64)
    for source, target in ((3, 3), (4, 2), (None, 7), (6, None), (None, 1), (-1, 2)):
        with pytest.raises(ValueError, match="decoders are turned from a step to a later one of 6"):
            turned(own, 0, "location", source=source, target=target)


# --- documents --------------------------------------------------------------------------------------------


def test_a_document_says_what_the_analyses_say(found):
    assert [*found["analyses"]] == ["1", "2", "3", "4", "5"]
    assert [each["name"] for each in found["analyses"].values()] == [*parts.ANALYSES.values()]
    json.dumps(found, allow_nan=False)
    assert found["analyses"]["1"]["balanced"]["trained"] == {"2-back location": 1.0, "2-back identity": 0.5}
    assert found["numbers"]["1 balanced trained"] == 0.75
    own, images, tasks = network(), pictures(), tasks_of(**TWO)
    alone = geometry.record(own, images, geometry.once(images, tasks), tasks)
    alone = replace(alone, **geometry.STANDARDISED)
    told = geometry.relevance(alone)["identity"].normalised
    assert found["analyses"]["2"]["within"]["identity"] == pytest.approx(told, abs=1e-4)
    assert np.shape(found["analyses"]["2"]["across"]["category"]) == (2, 2)
    index = found["analyses"]["3"]["index"]["2-back identity: identity"]
    assert 0 < index["encoding"] < 1 and index["simplex"] == pytest.approx(6 / 7, abs=1e-4)
    chance = geometry.record(own, images, geometry.draw(images, tasks, trials=TRIALS), tasks)
    chance = replace(chance, **geometry.STANDARDISED)
    moved = found["analyses"]["4"]["by task and property"]["2-back identity: identity"]
    kept = geometry.cross_time(chance, 1, "identity").normalised
    assert moved["kept"][0][3] == pytest.approx(kept[0, 3], abs=1e-4)
    assert moved["kept"][3][0] is None and moved["verdict"] in ("H1", "H2", "H3", "undecided")
    told = geometry.evidence(chance, 1, "identity", rows="own")
    assert moved["evidence"]["stimulus"] == pytest.approx(told.stimulus, abs=1e-4)
    assert np.shape(moved["turned"]["ratio"]) == (6, 6, 6)
    shifts = found["analyses"]["5"]["shifts"]["2-back location, pattern"]
    assert np.shape(shifts["probabilities"]) == (3, len(found["analyses"]["5"]["distances"]), 3)


def test_a_part_of_it_is_of_what_is_asked_for():
    own = documents.analyse(network("lstm"), (4,), tasks=[Task("identity", 2)], properties=["location"],
                            source=1, target=3, trials=TRIALS,
                            pictures=pictures())  # fmt: skip
    assert [*own["analyses"]["4"]["by task and property"]] == ["2-back identity: location"]
    pairs = own["analyses"]["4"]["by task and property"]["2-back identity: location"]["turned"]["ratio"]
    assert sum(value is not None for item in pairs for row in item for value in row) == 1
    assert own["settings"]["source"] == 1 and {key[0] for key in own["numbers"]} == {"4"}


@pytest.mark.parametrize(("options", "said"), [
    ({"which": (6,)}, "there is no '6' to be analysed: analyses are 1, 2"),
    ({"tasks": [Task("category", 1)]}, "there is no '1-back category' to be analysed: gru_mtmf-00 has"),
    ({"properties": ["colour"]}, "there is no 'colour' to be analysed: choose location"),
    ({"decoders": "theirs"}, "there is no 'theirs' to be analysed: decoders are standardised, ours"),
])  # fmt: skip
def test_what_cannot_be_analysed_is_told(options, said):
    with pytest.raises(ValueError, match=said):
        documents.analyse(network(), **options)


def test_documents_are_read_as_they_were_written(found, monkeypatch, tmp_path):
    monkeypatch.setenv("WM_RESULTS", str(tmp_path))
    path = documents.save_analysis(found)
    assert path == tmp_path / "nback" / "analysis" / "gru_mtmf-00.json"
    assert documents.read_analysis("gru_mtmf-00") == found == documents.read_analysis(path)
    with pytest.raises(store.DamagedFile, match="wm nback analyze all --network gru_mtmf-01"):
        documents.read_analysis("gru_mtmf-01")
    for content, said in (({**found, "schema": "wm.nback.analysis/9"}, "has schema"), ([], "is no analysis"),
                          ({"schema": documents.SCHEMA}, "has no network")):  # fmt: skip
        store.write_json(tmp_path / "own.json", content)
        with pytest.raises(store.StoreError, match=said):
            documents.read_analysis(tmp_path / "own.json")


def test_differences_are_paired_by_seed(found):
    def of(seed, value, **numbers):
        return found | {"seed": str(seed), "numbers": {"4 kept": value} | numbers}

    table = documents.compare([of(0, 0.1, more=1.0), of(1, 0.2)], [of(0, 0.4), of(1, 0.6), of(2, 9.0)])
    row = table.loc["4 kept"]
    assert [*table.index] == ["4 kept"] and row.a == pytest.approx(0.15)
    assert row.difference == pytest.approx(0.35) and row.low < 0.35 < row.high
    assert np.isnan(documents.compare([of(0, 0.1)], [of(1, 0.3)]).loc["4 kept"].low)
    with pytest.raises(ValueError, match="no analysis in common"):
        documents.compare([of(0, 0.1)], [found | {"numbers": {"1 balanced trained": 0.5}}])
    with pytest.raises(ValueError, match="analysed with different settings"):
        documents.compare([of(0, 0.1)], [of(0, 0.1) | {"settings": {}}])


# --- commands ---------------------------------------------------------------------------------------------


@pytest.fixture
def at_home(monkeypatch, tmp_path):
    monkeypatch.setenv("WM_RESULTS", str(tmp_path))
    known = {f"gru_mtmf-0{seed}": network(seed=seed) for seed in range(2)}
    monkeypatch.setattr("wm.nback.library.load", known.__getitem__)
    monkeypatch.setattr("wm.nback.library.names", lambda family: [*known] if family == "gru_mtmf" else [])
    monkeypatch.setattr(documents, "analysis_images", lambda config: pictures())
    return tmp_path


def test_networks_are_analysed_and_compared_from_the_command_line(at_home, capsys):
    words = ["nback", "analyze", "2", "--network", "gru", "--task", "identity", "--n", "2", "--trials", "512"]
    assert cli.main(words) == 0
    told = capsys.readouterr().out
    assert "gru_mtmf-00, " in told and "gru_mtmf-01, " in told and "2 asked for" in told
    own = documents.read_analysis("gru_mtmf-01")
    assert own["settings"]["tasks"] == ["2-back identity"]
    words = ["nback", "compare", "gru_mtmf-00", "gru_mtmf-01", "--output", str(at_home / "c.json")]
    assert cli.main(words) == 0
    assert "B - A" in capsys.readouterr().out
    written = store.read_json(at_home / "c.json")
    assert written["schema"] == "wm.nback.comparison/1" and written["numbers"]["2 asked for"]["low"] is None
    assert cli.main(["nback", "compare", "gru", str(at_home / "nback/analysis/gru_mtmf-00.json")]) == 0


@pytest.mark.parametrize(("words", "said"), [
    ("analyze 7", "there is no analysis '7': choose 1 (behaviour), "),
    ("analyze --task category", "gru_mtmf-00 has learnt 2-back location, 2-back identity alone"),
    ("analyze --trials 8", "--trials must be 512 or more, got 8"),
    ("analyze --network lstm", "no network of lstm_mtmf is saved: wm train nback.lstm_mtmf"),
    ("compare gru_mtmf-00", "name two networks or families: wm nback compare A B"),
    ("compare gru_mtmf-00 gru_mtmf-01", "wm nback analyze all --network gru_mtmf-00"),
])  # fmt: skip
def test_commands_say_what_they_cannot_do(at_home, capsys, words, said):
    assert cli.main(["nback", *words.split()]) != 0
    assert said in capsys.readouterr().err


def test_every_task_can_be_asked_for():
    command = analysis_commands.Analyze(task=("identity",), n=(1, 3))
    whole = nback.create_model("gru")
    assert [task.name for task in command._tasks(whole)] == ["1-back identity", "3-back identity"]
    assert len(analysis_commands.Analyze()._tasks(whole)) == 9 == 3 * len(FEATURES)
