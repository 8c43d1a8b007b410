"""Every system keeps the protocol that `wm.cli` describes, so that each command works for each of them."""

import importlib
import inspect
import pkgutil
from dataclasses import fields, is_dataclass
from types import ModuleType

import pytest

import wm
from wm.arguments import commands_of, with_commands
from wm.index import SYSTEMS

NAMES = [module.name for module in pkgutil.iter_modules(wm.__path__) if module.ispkg]


@pytest.fixture(params=NAMES)
def system(request) -> ModuleType:
    return importlib.import_module(f"wm.{request.param}")


def test_every_package_is_a_system_of_the_index():
    assert set(NAMES) <= set(SYSTEMS) - {"across"}


def test_families_have_a_title_an_alias_and_a_number_shipped(system):
    assert system.FAMILIES
    for name, family in system.FAMILIES.items():
        assert family.title and isinstance(family.alias, str), name
        assert isinstance(family.shipped, int) and family.shipped >= 0, name


def test_family_name_takes_own_and_published_names(system):
    for name, family in system.FAMILIES.items():
        assert system.family_name(name) == name
        assert not family.alias or system.family_name(family.alias) == name
    with pytest.raises(ValueError, match="no-such-family"):
        system.family_name("no-such-family")


def test_config_is_a_frozen_dataclass_that_knows_its_family(system):
    for name in system.FAMILIES:
        config = system.config(name)
        assert is_dataclass(config) and type(config).__dataclass_params__.frozen
        assert config.family == name


def test_published_options_are_fields_with_spellings_of_their_own(system):
    known = {field.name for family in system.FAMILIES for field in fields(system.config(family))}
    assert set(system.PUBLISHED_OPTIONS) <= known
    spellings = [text for texts in system.PUBLISHED_OPTIONS.values() for text in texts]
    assert len(set(spellings)) == len(spellings) and all(text.startswith("-") for text in spellings)


def test_commands_of_its_own_explain_themselves(system):
    name = system.__name__.removeprefix("wm.")
    known = commands_of(name) if name in with_commands() else {}
    for words, kind in known.items():
        assert words == " ".join(words.split()) and not words.startswith("-")
        assert is_dataclass(kind) and callable(kind().run), "made from defaults alone"
        assert f"Example: wm {name} {words}" in inspect.getdoc(kind)


def test_train_and_measure_take_what_the_commands_give(system):
    given = inspect.signature(system.train).bind(None, 1, seeds=["0"], device="cpu", checkpoint=None)
    assert given.arguments
    measures = importlib.import_module(f"{system.__name__}.derived").MEASURES
    assert measures and all(name.isidentifier() for name in measures)
    for measure in measures.values():
        inspect.signature(measure).bind(device="cpu", families=None)
