"""Paths are absolute, looked up at each call, and follow the environment."""

import socket
import subprocess
import sys
from pathlib import Path

import pytest

from wm import paths

FOLDERS = ("data", "data_npy", "data_json", "figures", "results", "notebooks", "images")


@pytest.fixture
def bare(monkeypatch):
    for name in ("root", *FOLDERS):
        monkeypatch.delenv(f"WM_{name.upper()}", raising=False)
    return monkeypatch


def test_root_holds_the_package(bare):
    assert (paths.root() / "wm" / "paths.py").samefile(paths.__file__)


@pytest.mark.parametrize("name", FOLDERS)
def test_folders_lie_in_the_root_unless_the_environment_says_otherwise(bare, tmp_path, name):
    assert getattr(paths, name)() == paths.root() / name
    bare.setenv("WM_ROOT", str(tmp_path))
    assert getattr(paths, name)() == tmp_path / name
    bare.setenv(f"WM_{name.upper()}", str(tmp_path / "other µ place"))
    assert getattr(paths, name)() == tmp_path / "other µ place"


@pytest.mark.parametrize("value", ["relative", "", "~/there", "/a/../b"])
def test_paths_are_absolute_whatever_the_variable(bare, value):
    bare.setenv("WM_DATA", value)
    assert paths.data().is_absolute() and ".." not in paths.data().parts


def test_empty_variable_counts_as_unset(bare):
    bare.setenv("WM_DATA", "")
    assert paths.data() == paths.root() / "data"


def test_paths_do_not_depend_on_the_working_folder(bare, tmp_path):
    before = paths.results()
    bare.chdir(tmp_path)
    assert paths.results() == before


def test_looking_up_makes_no_folder(roots):
    assert not any(getattr(paths, name)().exists() for name in FOLDERS)


def test_import_loads_nothing_heavy():
    code = "import sys, wm.paths; print(sorted({'torch', 'numpy', 'matplotlib'} & set(sys.modules)))"
    command, folder = [sys.executable, "-c", code], Path(paths.__file__).parent.parent
    done = subprocess.run(command, cwd=folder, capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "[]"


def test_the_tests_reach_no_network():
    with pytest.raises(RuntimeError, match="tests use no network"):
        socket.create_connection(("192.0.2.1", 80), timeout=1)
