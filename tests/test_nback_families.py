"""Families of N-back networks, their names, and what settings are refused."""

import re
from dataclasses import replace

import pytest

from wm.nback import design
from wm.nback.catalogue import ARCHITECTURES, ATTENTIONS, PRESETS
from wm.nback.families import FAMILIES, NBackConfig, config, diet, family_name
from wm.nback.task import FEATURES, LAGS, TASKS


def test_every_diet_of_every_architecture_is_there():
    for architecture in ARCHITECTURES:
        diets = [diet(config(name)) for name in FAMILIES if re.fullmatch(f"{architecture}_st.*", name)]
        assert sorted(len(each) for each in diets) == [1] * 9 + [3] * 3
        assert {tasks[0] for tasks in diets if len(tasks) == 1} == set(TASKS)
        assert diet(config(f"{architecture}_mtmf")) == TASKS
    assert len(FAMILIES) == 3 * (9 + 3 + 1 + 3 + 1)
    assert sum(family.shipped for family in FAMILIES.values()) == 4
    assert {config(name).attention for name in FAMILIES} == {*ATTENTIONS}
    titles = [family.title for family in FAMILIES.values()]
    assert len({*titles}) == len(titles)


def test_settings_of_a_diet_are_those_of_its_name():
    only = config("lstm_stsf_2_identity")
    assert (only.architecture, only.lags, only.features) == ("lstm", (2,), ("identity",))
    one = config("rnn_stmf_3")
    assert (one.units, one.lags, one.features) == (512, (3,), FEATURES)
    assert config("published_gru_mtmf").stimuli == "published" and config("gru_mtmf").lags == LAGS


def test_networks_of_all_tasks_have_the_short_names_of_the_factory():
    for name in ARCHITECTURES:
        assert family_name(name) == f"{name}_mtmf"
        assert config(f"attention_{name}").attention == "spatial"
        for kind in ("task_only", "dual"):
            own = config(f"{kind}_{name}")
            assert (own.family, own.attention, diet(own)) == (f"{kind}_{name}_mtmf", kind, TASKS)
            assert replace(own, family=f"{name}_mtmf", attention="none") == config(name)
    assert config("gru", updates=7) == config("gru_mtmf", updates=7)


def test_stimulus_sets_are_those_of_the_design():
    assert set(PRESETS) == set(design.PRESETS)


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"architecture": "gruu"}, "unknown architecture 'gruu': did you mean gru"),
        ({"attention": "spacial"}, "unknown attention 'spacial': did you mean spatial"),
        ({"stimuli": "richer"}, "did you mean rich"),
        ({"backbone": "resnet"}, "did you mean resnet50"),
        ({"pool": "grid"}, "did you mean grid2"),
        ({"lures": "none"}, "unknown lures"),
        ({"units": 0}, "units must be a whole number of at least 1, got 0"),
        ({"layers": 1.5}, "layers must be a whole number"),
        ({"learning_rate": -1}, "learning_rate must be 0 or more"),
        ({"match_probability": 2}, "match_probability must be from 0 to 1"),
        ({"dropout": 1.0}, "dropout must be from 0 to below 1"),
        ({"lags": ()}, "a diet is one or more lags and features"),
        ({"lags": (4,)}, "no task with a lag of 4"),
        ({"features": ("colour",)}, "no task about 'colour'"),
        ({"length": 3}, "no pair 3 apart"),
        ({"task_vector": 4}, "task_vector must be 6 .* or 3, got 4"),
        ({"task_vector": 3}, "a task vector of 3 does not tell the lag"),
        ({"dropout": 0.1}, "dropout is between recurrent layers"),
        ({"family": "gru_mtfm"}, "did you mean gru_mtmf"),
    ],
    ids=str,
)
def test_wrong_settings_are_refused_and_told(changes, message):
    with pytest.raises(ValueError, match=message):
        NBackConfig(**changes)


def test_unknown_families_are_told_the_nearest():
    with pytest.raises(ValueError, match="unknown family 'gru_stmf_4': did you mean .*gru_stmf"):
        config("gru_stmf_4")


def test_a_short_task_vector_is_enough_for_one_lag():
    assert config("gru_stmf_2", task_vector=3).task_vector == 3
