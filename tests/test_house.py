"""The house: one source of dependencies, set-up, the workflow, and the rules that a glance can measure."""

import ast
import fcntl
import importlib
import json
import os
import re
import shlex
import shutil
import subprocess
import sys
import time
import tomllib
import venv
from pathlib import Path

import pytest
import yaml
from packaging.requirements import Requirement
from packaging.specifiers import SpecifierSet

import wm
from wm import cli, manifest, workflow
from wm.files import write_json
from wm.index import Figure, read_index
from wm.parameters import check_parameters

ROOT = Path(__file__).parents[1]
PROJECT = tomllib.loads((ROOT / "pyproject.toml").read_text("utf-8"))["project"]
MODULES = sorted(path.relative_to(ROOT).as_posix() for path in (ROOT / "wm").rglob("*.py"))
PLATFORMS = [
    {"python_version": f"3.{minor}", "python_full_version": f"3.{minor}.1", "sys_platform": system}
    for minor in (11, 12, 13)
    for system in ("linux", "darwin")
]


def locked(platform: dict[str, str]) -> dict[str, str]:
    lines = (ROOT / "requirements.lock").read_text("utf-8").splitlines()
    pins = [Requirement(line) for line in lines if line and not line.startswith("#")]
    pins = [pin for pin in pins if pin.marker is None or pin.marker.evaluate(platform)]
    assert all(re.fullmatch(r"==[^,*]+", str(pin.specifier)) for pin in pins)
    versions = {canonical(pin.name): str(pin.specifier).removeprefix("==") for pin in pins}
    assert len(versions) == len(pins)
    return versions


def canonical(name: str) -> str:
    return re.sub(r"[-_.]+", "-", name).lower()


# --- one source of dependencies ---------------------------------------------------------------------------


@pytest.mark.parametrize("platform", PLATFORMS, ids=lambda p: p["sys_platform"] + p["python_version"])
def test_lock_meets_every_requirement_of_pyproject(platform):
    versions = locked(platform)
    for text in PROJECT["dependencies"] + PROJECT["optional-dependencies"]["test"]:
        requirement = Requirement(text)
        if requirement.marker and not requirement.marker.evaluate(platform):
            continue
        assert requirement.specifier.contains(versions[canonical(requirement.name)]), text
    assert versions["torch"] == "2.13.0"


@pytest.mark.parametrize("platform", PLATFORMS, ids=lambda p: p["sys_platform"] + p["python_version"])
def test_lock_leaves_gpu_packages_to_torch_and_names_no_index(platform):
    assert not [name for name in locked(platform) if name.startswith(("nvidia", "cuda"))]
    assert "torchvision" not in locked(platform)
    assert not re.search(r"(?m)^-|://", (ROOT / "requirements.lock").read_text("utf-8"))


def test_environment_file_names_python_pip_and_the_lock_only():
    python, *rest = yaml.safe_load((ROOT / "environment.yml").read_text("utf-8"))["dependencies"]
    assert rest == ["pip", {"pip": ["-r requirements.lock"]}]
    supported = SpecifierSet(python.removeprefix("python"))
    assert [minor for minor in range(30) if f"3.{minor}" in supported] == [11, 12, 13]
    assert "3.11" in SpecifierSet(PROJECT["requires-python"])
    assert "3.10" not in SpecifierSet(PROJECT["requires-python"])


def test_one_version_everywhere():
    citation = yaml.safe_load((ROOT / "CITATION.cff").read_text("utf-8"))
    assert PROJECT["version"] == wm.__version__ == str(citation["version"])
    assert PROJECT["license"] == citation["license"] == "MIT"
    assert PROJECT["authors"] == citation["authors"] == [{"name": "wm authors"}]


# --- set-up -----------------------------------------------------------------------------------------------


FAKE_PYTHON = f"""#!/bin/sh
echo "$0 $*" >> "$CALLS"
case "$*" in
    "-m pip "*) exit 0 ;;
    "-m venv "*) mkdir -p "$4/bin"; cp "$0" "$4/bin/python"; exit 0 ;;
    *ensurepip*) [ "$0" != "${{NO_ENSUREPIP:-}}" ]; exit ;;
    *link_wm*) exit 0 ;;
esac
exec {sys.executable} "$@"
"""


@pytest.fixture
def clone(tmp_path, monkeypatch):
    """A copy of what set-up needs, with Pythons whose pip only writes down that it was called."""
    (tmp_path / "scripts").mkdir()
    for name in ("pyproject.toml", "requirements.lock", "scripts/setup.sh", "scripts/check_environment.py"):
        (tmp_path / name).write_bytes((ROOT / name).read_bytes())
    for place in ("bin/python3", "active/bin/python"):
        path = tmp_path / place
        path.parent.mkdir(parents=True)
        path.write_text(FAKE_PYTHON)
        path.chmod(0o755)
    monkeypatch.setenv("CALLS", str(tmp_path / "calls"))
    monkeypatch.setenv("PATH", f"{tmp_path / 'bin'}:/usr/bin:/bin")
    for name in ("VIRTUAL_ENV", "CONDA_PREFIX"):
        monkeypatch.delenv(name, raising=False)
    return tmp_path


def set_up(clone: Path, *extras: str) -> tuple[int, str, str]:
    """Exit code, the Python chosen, and what pip and venv were asked for together with the messages."""
    script = f'set -euo pipefail; . "{clone}/scripts/setup.sh"; set_up {" ".join(extras)}; echo "$PYTHON"'
    (clone / "calls").write_text("")
    result = subprocess.run(["bash", "-c", script], capture_output=True, text=True, timeout=60)
    calls = [line for line in (clone / "calls").read_text().splitlines() if " -m " in line]
    return result.returncode, result.stdout.strip(), "\n".join([*calls, result.stderr])


def needs_torch_99(clone: Path) -> None:
    path = clone / "pyproject.toml"
    path.write_text(path.read_text("utf-8").replace("torch>=2.11", "torch>=99"), "utf-8")


def test_active_environment_that_meets_pyproject_is_used(clone, monkeypatch):
    monkeypatch.setenv("CONDA_PREFIX", str(clone / "active"))
    code, python, said = set_up(clone, "test")
    assert (code, python) == (0, str(clone / "active/bin/python"))
    assert "requirements.lock" not in said


def test_active_environment_that_lacks_something_is_named_and_left_alone(clone, monkeypatch):
    monkeypatch.setenv("VIRTUAL_ENV", str(clone / "active"))
    needs_torch_99(clone)
    code, python, said = set_up(clone)
    assert (code, python) == (0, str(clone / ".venv/bin/python"))
    assert f"active environment {clone}/active lacks torch>=99" in said
    assert f"{clone}/.venv/bin/python -m pip install --quiet --disable-pip-version-check -r" in said
    assert f"{clone}/active/bin/python -m pip" not in said


def test_no_environment_makes_one_once_and_a_new_lock_renews_it(clone):
    needs_torch_99(clone)
    assert f"-m venv --clear {clone}/.venv" in set_up(clone)[2]
    assert "-r" in set_up(clone)[2], "what is still missing is installed"
    (clone / "pyproject.toml").write_bytes((ROOT / "pyproject.toml").read_bytes())
    code, _, said = set_up(clone)
    assert code == 0 and "-m venv" not in said and "requirements.lock" not in said
    with open(clone / "requirements.lock", "a") as lock:
        lock.write("# newer\n")
    assert "requirements.lock" in set_up(clone)[2]
    assert "requirements.lock" not in set_up(clone)[2]


def test_second_set_up_at_the_same_time_gives_way(clone):
    needs_torch_99(clone)
    set_up(clone)
    with open(clone / ".venv/setup.lock", "w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        code, _, said = set_up(clone)
    assert code == 1 and f"another process is setting up {clone}/.venv: run this again" in said
    assert "-m pip" not in said and set_up(clone)[0] == 0


def test_set_up_that_was_killed_is_taken_up_and_locks_nobody_out(clone):
    set_up(clone)
    (clone / ".venv/lock.stamp").write_text(f"unfinished, process {os.getpid()}\n")  # a number used again
    assert "-m pip install" in set_up(clone)[2]
    assert "-m pip install" not in set_up(clone)[2]


def test_the_lock_is_held_while_pip_works_and_no_longer(clone):
    needs_torch_99(clone)
    take = "import fcntl; fcntl.flock(9, fcntl.LOCK_EX | fcntl.LOCK_NB)"
    probe = f"{sys.executable} -c '{take}' 9> {clone}/.venv/setup.lock 2> {clone}/probe"
    pip = clone / "bin/python3"
    pip.write_text(pip.read_text().replace('"-m pip "*) exit 0', f'"-m pip "*) ! {probe}; exit'))
    code, python, _ = set_up(clone)
    assert code == 0 and "BlockingIOError" in (clone / "probe").read_text()
    subprocess.run(["bash", "-c", probe], check=True, timeout=60)


def other_pythons(clone: Path, script: str) -> None:
    for name in ("python3.11", "python3.12", "python3.13"):
        (clone / "bin" / name).write_text(script)
        (clone / "bin" / name).chmod(0o755)


def test_python_without_ensurepip_is_passed_over_and_told_in_a_line_if_there_is_no_other(clone, monkeypatch):
    monkeypatch.setenv("NO_ENSUREPIP", str(clone / "bin/python3"))
    other_pythons(clone, FAKE_PYTHON)
    assert f"making {clone}/.venv with {clone}/bin/python3.13" in set_up(clone)[2]
    other_pythons(clone, "#!/bin/sh\nexit 1\n")
    (clone / ".venv/bin/python").unlink()
    code, _, said = set_up(clone)
    assert code == 1 and re.search("has no ensurepip: install it .Debian: apt install python3-venv", said)


def test_missing_python_is_told_in_a_line(clone):
    (clone / "bin/python3").write_text("#!/bin/sh\nexit 1\n")
    other_pythons(clone, "#!/bin/sh\nexit 1\n")
    code, _, said = set_up(clone)
    assert code == 1 and "wm needs Python 3.11, 3.12 or 3.13: install one" in said


def ci_run(clone: Path, **commands: str) -> tuple[int, str]:
    """Exit code and words of `.ci/run` of a clone, where there are only these commands, in shell."""
    scripts = {".ci/run": (ROOT / ".ci/run").read_text("utf-8"), "run_tests.sh": "#!/bin/sh\necho tests"}
    scripts |= {f"bare/{name}": f"#!/bin/sh\n{code}" for name, code in commands.items()}
    for name, text in scripts.items():
        (clone / name).parent.mkdir(exist_ok=True)
        (clone / name).write_text(text)
        (clone / name).chmod(0o755)
    for name in ("bash", "dirname"):
        (clone / "bare" / name).symlink_to(shutil.which(name))
    command = [clone / "bare/bash", clone / ".ci/run"]
    environment = {"PATH": str(clone / "bare")}
    result = subprocess.run(command, env=environment, capture_output=True, text=True, timeout=60)
    return result.returncode, result.stdout + result.stderr


APT = 'echo "$*" >> "$0.calls"'
ROOT_USER, OTHER_USER = {"id": "echo 0"}, {"id": "echo 1000"}


@pytest.mark.parametrize(("commands", "calls", "said"), [
    (ROOT_USER | {"apt-get": APT, "chromium": ""}, 0, ""),
    (ROOT_USER | {"apt-get": f"{APT}\necho noise"}, 2, ""),
    (ROOT_USER | {"apt-get": f"{APT}\necho no route >&2\nexit 100"}, 1,
     "no route\napt-get could not install Chromium: tests in a browser are skipped\n"),
    (ROOT_USER, 0, "no Chromium, and only root can install it by apt-get: tests in a browser are skipped\n"),
    (OTHER_USER | {"apt-get": APT}, 0,
     "no Chromium, and only root can install it by apt-get: tests in a browser are skipped\n"),
])  # fmt: skip
def test_ci_installs_chromium_where_it_can_and_always_runs_the_tests(commands, calls, said, clone):
    assert ci_run(clone, **commands) == (0, f"tests\n{said}")
    log = clone / "bare/apt-get.calls"
    made = log.read_text().splitlines() if log.exists() else []
    assert len(made) == calls and (calls != 2 or made[1].endswith(" chromium"))


def test_a_run_ends_with_the_reasons_of_what_was_skipped():
    options = tomllib.loads((ROOT / "pyproject.toml").read_text("utf-8"))["tool"]["pytest"]["ini_options"]
    assert "-ra" in options["addopts"]
    assert "pytest -n 2" in (ROOT / "run_tests.sh").read_text("utf-8")  # with nothing that undoes it


def link(clone: Path, environment: Path) -> tuple[int, str]:
    """Exit code and words of `scripts/link_wm.py` of a clone, run by the Python of an environment."""
    for name in ("scripts/link_wm.py", "wm/__init__.py"):
        (clone / name).parent.mkdir(parents=True, exist_ok=True)
        (clone / name).write_bytes((ROOT / name).read_bytes())
    (clone / "wm/__main__.py").write_text("import sys, wm; sys.stdout.write(wm.__file__)")
    if not environment.exists():
        venv.create(environment, symlinks=True)
    command = [environment / "bin/python", "-I", clone / "scripts/link_wm.py"]
    result = subprocess.run(command, capture_output=True, text=True, timeout=60)
    return result.returncode, result.stdout + result.stderr


def test_wm_is_found_from_anywhere_and_has_a_command(clone, monkeypatch):
    monkeypatch.delenv("PYTHONPATH", raising=False)
    clone /= "a clone"
    environment = clone / ".venv"
    assert link(clone, environment) == (0, "")
    command = [environment / "bin/wm"]
    found = subprocess.run(command, cwd="/", capture_output=True, text=True, timeout=60).stdout
    assert found == str(clone / "wm/__init__.py")
    (path,) = environment.glob("lib/python*/site-packages/wm.pth")
    before = path.stat().st_mtime_ns
    assert link(clone, environment) == (0, "") and path.stat().st_mtime_ns == before
    path.write_text("/nowhere\n")  # the folder was moved
    assert link(clone, environment) == (0, "") and path.read_text() == f"{clone}\n"


def test_other_wm_and_an_environment_that_cannot_be_written_to_are_told_in_a_line(clone):
    environment = clone / "active environment"
    assert link(clone, environment) == (0, "")
    code, said = link(clone / "other", environment)
    assert code == 1 and said == (
        f"in the environment {environment}, wm is {clone}: notebooks opened by hand take that one\n"
    )
    (path,) = environment.glob("lib/python*/site-packages/wm.pth")
    path.unlink()
    path.mkdir()
    code, said = link(clone, environment)
    assert code == 1 and said == f"{path} cannot be written: notebooks opened by hand do not find wm there\n"


def test_help_needs_no_environment(tmp_path):
    result = subprocess.run(
        ["bash", ROOT / "run_all.sh", "--help"], cwd=tmp_path, capture_output=True, text=True, timeout=20
    )
    assert result.returncode == 0 and "retrain-SYSTEM" in result.stdout and not result.stderr


# --- what a figure depends on -----------------------------------------------------------------------------


def notebook(code: str, title: str = "title") -> dict:
    code_cell = {"cell_type": "code", "outputs": [], "execution_count": None}
    cells = [
        {"cell_type": "markdown", "id": "title", "metadata": {}, "source": f"# {title}"},
        {
            **code_cell,
            "id": "parameters",
            "metadata": {"tags": ["parameters"]},
            "source": "smoke: bool = False",
        },
        {**code_cell, "id": "code", "metadata": {}, "source": code},
    ]
    kernel = {"name": "python3", "display_name": "Python 3", "language": "python"}
    return {"cells": cells, "metadata": {"kernelspec": kernel}, "nbformat": 4, "nbformat_minor": 5}


DRAW = """
import json, os
from pathlib import Path
folder = Path(os.environ["WM_RESULTS"]) / "{number}"
(folder / "{number}a.png").write_text("{text}")
sheet = {{"notebook": "{number}", "system": "{system}", "smoke": smoke, "claims": []}}
(folder / "claims.json").write_text(json.dumps(sheet))
"""


def write_notebook(
    roots: Path, number: str, system: str, *, text: str = "drawn", title: str = "title"
) -> None:
    code = DRAW.format(number=number, system=system, text=text)
    write_json(roots / f"notebooks/{number}_topic.ipynb", notebook(code, title))


@pytest.fixture
def tiny(roots):
    """Two ring notebooks and one of nback, with a file of data and a module for each system."""
    entries = []
    for number, system in (("13", "ring"), ("14", "ring"), ("20", "nback")):
        write_notebook(roots, number, system)
        entries.append(
            f'[{number}]\nnotebook = "{number}_topic.ipynb"\nsystem = "{system}"\ntitle = "title"\n'
            f'figures = ["{number}a"]\nreads = ["data/{system}"]\n'
        )
        write_json(roots / f"data/{system}/net/network.json", {"a": 1})
        (roots / f"wm/{system}").mkdir(parents=True, exist_ok=True)
        (roots / f"wm/{system}/task.py").write_text("x = 1\n")
    (roots / "wm/shared.py").write_text("x = 1\n")
    (roots / "wm/workflow.py").write_text("x = 1\n")
    (roots / "notebooks/figures.toml").write_text("\n".join(entries))
    return roots


def record(**changes) -> dict:
    return {"mode": "full", "seconds": 1.0, "outputs": {}, "claims": {}} | changes


def draw_by_hand(results: Path) -> None:
    for number in read_index():
        write_json(results / number / "done.json", record())


def what_is_stale(roots: Path) -> dict[str, str]:
    index = read_index()
    return workflow.stale(index, list(index), roots / "results")


ALL = ("13", "14", "20")
CHANGES = {
    "a code cell": (lambda r: write_notebook(r, "13", "ring", text="other"), {"13": "notebook-13"}),
    "data": (lambda r: write_json(r / "data/ring/net/network.json", {}), dict.fromkeys(ALL[:2], "ring-data")),
    "new states": (lambda r: write_json(r / "data_npy/nback/x.json", {}), {"20": "nback-data"}),
    "a module": (lambda r: (r / "wm/ring/task.py").write_text("x = 2"), {"13": "ring", "14": "ring"}),
    "a shared module": (lambda r: (r / "wm/shared.py").write_text("x = 2"), dict.fromkeys(ALL, "shared")),
    "a damaged notebook": (lambda r: (r / "notebooks/14_topic.ipynb").write_text("{"), {"14": "notebook-14"}),
    "a module that cannot be parsed": (lambda r: (r / "wm/nback/task.py").write_text("x ="), {"20": "nback"}),
    "markdown": (lambda r: write_notebook(r, "13", "ring", title="other"), {}),
    "a comment": (lambda r: (r / "wm/shared.py").write_text("x = 1  # why\n"), {}),
    "the workflow": (lambda r: (r / "wm/workflow.py").write_text("x = 2"), {}),
    "an explorer": (lambda r: write_json(r / "data/ring/net/explore.ipynb", {}), {}),
    "file times": (lambda r: [path.touch() for path in r.rglob("*") if "results" not in path.parts], {}),
}  # fmt: skip


@pytest.mark.parametrize("change", CHANGES)
def test_change_makes_exactly_its_dependants_stale(tiny, change):
    assert what_is_stale(tiny) == dict.fromkeys(ALL, "not drawn yet")
    draw_by_hand(tiny / "results")
    assert what_is_stale(tiny) == {}
    do, expected = CHANGES[change]
    do(tiny)
    assert what_is_stale(tiny) == {number: f"changed: {name}" for number, name in expected.items()}


def test_spoilt_results_are_stale(tiny):
    what_is_stale(tiny)
    draw_by_hand(tiny / "results")
    (tiny / "results/13/done.json").write_text("{")
    write_json(tiny / "results/14/done.json", record(outputs={"14a.png": "0", "claims.json": "0"}))
    write_json(tiny / "results/20/done.json", record(mode="smoke"))
    reasons = what_is_stale(tiny)
    assert "cannot be read" in reasons["13"] and reasons["20"] == "is of a smoke run"
    assert reasons["14"] == "no longer as drawn: 14a.png, claims.json"
    write_json(tiny / "results/20/done.json", {"figures": {}})
    assert what_is_stale(tiny)["20"] == "is not the record of a run"


def test_figure_across_systems_depends_on_those_it_reads(tiny):
    reads = ("data/ring", "data_json/nback/x", "assets/mesh")
    figure = Figure("60", "13_topic.ipynb", "across", "title", reads=reads)
    assert manifest.systems_of(figure) == ["across", "nback", "ring"]
    names = {path.stem for path in manifest.refresh({"60": figure}, tiny / "results")["60"]}
    systems = {"across", "nback", "ring", "across-data", "nback-data", "ring-data"}
    assert names == systems | {"notebook-60", "shared", "read-assets-mesh"}


def test_manifest_is_only_written_when_its_content_changes(tiny):
    written = manifest.refresh(read_index(), tiny / "results")["13"]
    before = [path.stat().st_mtime_ns for path in written]
    assert manifest.refresh(read_index(), tiny / "results")["13"] == written
    assert [path.stat().st_mtime_ns for path in written] == before
    shared = json.loads((tiny / "results/manifests/shared.json").read_text())
    assert shared.keys() == {"shared.py", "numpy", "scipy", "torch", "scikit-learn", "matplotlib"}


# --- the workflow -----------------------------------------------------------------------------------------


def test_targets_are_numbers_systems_and_all(tiny):
    index = read_index()
    assert workflow.resolve(["all"], index) == ["13", "14", "20"]
    assert workflow.resolve(["20", "ring"], index) == ["13", "14", "20"]
    assert workflow.resolve(["retrain-ring"], index) == []


@pytest.mark.parametrize(
    ("names", "message"),
    [
        (["15"], "unknown target '15': there are all, ring, nback, 13"),
        (["rign", "nbak"], "did you mean ring.\nunknown target 'nbak': did you mean nback"),
        (["zzzzzz"], "unknown target 'zzzzzz': there are all, ring, nback, 13"),
        (["aime"], "aime has no notebooks yet: there are all, ring, nback, 13"),
        (["retrain-ring", "13"], "retrain first, then draw"),
    ],
)
def test_wrong_targets_are_refused(tiny, names, message):
    with pytest.raises(workflow.BadTarget, match=message):
        workflow.resolve(names, read_index())


def test_not_understood_is_exit_code_2(tiny, capsys):
    assert workflow.main(["rign"]) == 2
    assert "did you mean ring" in capsys.readouterr().err
    assert workflow.main(["--smoke", "retrain-ring"]) == 2
    assert "retrain-<system> has no such mode" in capsys.readouterr().err
    assert workflow.main(["13", "--device", "cuda"]) == 2
    assert "--device is for retrain-<system>" in capsys.readouterr().err
    for jobs in ("0", "abc"):
        with pytest.raises(SystemExit, match="2"):
            workflow.main(["--jobs", jobs])
        assert f"--jobs: {jobs} is not a number of notebooks, 1 or more" in capsys.readouterr().err
    (tiny / "notebooks/figures.toml").write_text("[13")
    assert workflow.main([]) == 2


def test_place_that_cannot_be_written_to_is_exit_code_5(tiny, capsys, monkeypatch):
    (tiny / "file").write_text("")
    (tiny / "results").mkdir()
    (tiny / "results/13").write_text("")
    for place in ("/proc/foo", tiny / "file", tiny / "file/below", tiny / "results"):
        monkeypatch.setenv("WM_RESULTS", str(place))
        assert workflow.main(["13"]) == 5
        said = capsys.readouterr().err
        assert said.count("\n") == 1 and said.startswith(str(place)) and "choose another place" in said


SMOKE_CLAIMS = '{"notebook": "13", "system": "ring", "smoke": true, "claims": []}'


@pytest.mark.parametrize("content", ["[]", "{", SMOKE_CLAIMS])
def test_foreign_claims_are_told_and_the_rest_goes_on(tiny, capsys, content):
    what_is_stale(tiny)
    draw_by_hand(tiny / "results")
    for number in ("13", "99"):
        sheet = tiny / f"figures/claims/{number}.json"
        sheet.parent.mkdir(parents=True, exist_ok=True)
        sheet.write_text(content)
        assert workflow.main([]) == 1
        said = capsys.readouterr()
        assert said.err.startswith(str(sheet)) and said.err.count("\n") == 1
        assert "13_topic" in said.out and not (tiny / "figures/CLAIMS.md").exists()
        sheet.unlink()


def test_retraining_trains_and_measures_where_it_is_told_and_goes_on_from_checkpoints(tiny, capfd):
    assert workflow.main(["retrain-ring", "--device", "cuda", "--", "--dry-run", "--printshellcmds"]) == 0
    command = (
        "-m wm train ring --all --device cuda --checkpoint retrain/ring && .* -m wm states ring --all "
        "--device cuda && "
        "rm -rf retrain/ring"
    )
    said = capfd.readouterr()
    assert re.search(command, said.out + said.err)


def test_dry_run_says_what_and_why(tiny, capsys):
    assert workflow.main(["--dry-run", "nback"]) == 0
    assert capsys.readouterr().out == "would run 20 (not drawn yet)\n"
    assert workflow.main(["--dry-run", "retrain-nback"]) == 0
    assert capsys.readouterr().out == "would run retrain-nback\n"


def test_table_counts_hypotheses_of_our_own_apart(tiny):
    seen = {"13": {"reproduced": 2, "indicative: reproduced": 1, "not reproduced": 4}, "14": {},
            "20": {"held": 7, "not held": 3, "cannot be tested here": 1}}  # fmt: skip
    for number, counts in seen.items():
        write_json(tiny / f"results/{number}/done.json", record(claims=counts))
        write_json(tiny / f"results/{number}/claims.json", {"claims": [], "ours": number == "20"})
    (tiny / "results/14/claims.json").unlink()
    head, *rows = workflow._table(read_index(), list(seen), tiny / "results").splitlines()
    assert head.endswith("reproduced  not  untestable  our own")
    assert [row.split()[4:] for row in rows[:2]] == [["3", "4", "0"], ["0", "0", "0"]]
    assert rows[2].endswith("held 7/11, 1 untestable") and len(rows[2].split()) == 8


def test_held_results_are_exit_code_3(tiny, capsys):
    with workflow.RunFolder(tiny / "results", ()).locked():
        assert workflow.main(["13"]) == 3
    assert f"held by process {os.getpid()}" in capsys.readouterr().err


@pytest.mark.notebook
@pytest.mark.slow
@pytest.mark.timeout(300)
def test_failure_keeps_the_others_going_and_the_published_figure(tiny, capfd):
    (tiny / "figures").mkdir()
    (tiny / "figures/14a.png").write_text("published before")
    write_json(tiny / "notebooks/14_topic.ipynb", notebook("1 / 0"))
    assert workflow.main([]) == 1
    said = capfd.readouterr()
    assert re.search(r"13_topic +ok .*\n14_topic +ERROR .*\n20_topic +ok ", said.out)
    assert said.out.endswith(f"to look at in a browser: {tiny / 'results/index.html'}\n")
    assert "Failed: error" in (tiny / "results/index.html").read_text("utf-8")
    assert "ZeroDivisionError" in said.out + said.err
    assert {p.name: p.read_text() for p in (tiny / "figures").glob("*.png")} == {
        "13a.png": "drawn", "14a.png": "published before", "20a.png": "drawn",
    }  # fmt: skip
    assert (tiny / "figures/CLAIMS.md").is_file()

    write_notebook(tiny, "14", "ring")  # mended: only this one is drawn
    finished = (tiny / "results/13/done.json").stat().st_mtime_ns
    assert workflow.main([]) == 0
    assert "1 of 3 notebooks to run" in capfd.readouterr().out
    assert (tiny / "results/13/done.json").stat().st_mtime_ns == finished
    assert (tiny / "figures/14a.png").read_text() == "drawn"

    page = (tiny / "figures/CLAIMS.md").stat().st_mtime_ns
    (tiny / "figures/20a.png").unlink()
    assert workflow.main([]) == 0
    assert "nothing to do" in capfd.readouterr().out
    assert (tiny / "figures/20a.png").read_text() == "drawn", "what was lost is published again"
    assert (tiny / "figures/CLAIMS.md").stat().st_mtime_ns == page


@pytest.mark.notebook
@pytest.mark.slow
@pytest.mark.timeout(200)
def test_smoke_run_stays_in_its_own_folder_and_publishes_nothing(tiny):
    write_json(tiny / "results/20/done.json", record())  # of a full run before
    assert workflow.main(["--smoke", "20"]) == 0
    assert json.loads((tiny / "results/smoke/20/done.json").read_text())["parameters"] == {"smoke": True}
    assert [path.name for path in (tiny / "results/20").iterdir()] == ["done.json"]
    assert not (tiny / "figures").exists()


@pytest.mark.notebook
@pytest.mark.fault
@pytest.mark.slow
def test_stopping_ends_the_notebooks_soon_and_publishes_nothing(tiny):
    write_json(tiny / "notebooks/20_topic.ipynb", notebook("import time\ntime.sleep(100)"))
    process = subprocess.Popen([sys.executable, "-m", "wm.workflow", "20"], cwd=ROOT)
    deadline = time.monotonic() + 60
    while not (tiny / "results/20/run.json").exists():
        assert time.monotonic() < deadline, "the notebook did not start"
        time.sleep(0.2)
    process.terminate()
    assert process.wait(timeout=20) == 143
    assert not (tiny / "results/20/done.json").exists() and not (tiny / "figures").exists()


# --- README -----------------------------------------------------------------------------------------------


README = (ROOT / "README.md").read_text("utf-8")
BLOCKS = re.findall(r"(?s)```(\w*)\n(.*?)```", README)
COMMANDS = sorted({*re.findall(r"`((?:\./run_|\.venv/bin/)[^`\s][^`]*)`", README)})


def entries() -> dict[str, dict]:
    return tomllib.loads((ROOT / "notebooks/figures.toml").read_text("utf-8"))


def test_readme_is_short_and_its_links_and_places_are_there():
    assert len(README.splitlines()) <= 150
    links = re.findall(r"\]\(([^)#]+)", README)
    assert not [link for link in links if "://" not in link and not (ROOT / link).exists()]
    places = re.findall(r"`((?:data|figures|notebooks|wm)/[\w./-]+\.\w+)`", README)
    assert not [place for place in places if not (ROOT / place).exists()]


@pytest.mark.parametrize("page", sorted(ROOT.glob("docs/*.md")), ids=lambda page: page.name)
def test_links_and_places_of_a_page_are_there(page):
    text = page.read_text("utf-8")
    links = [link for link in re.findall(r"\]\(([^)#]+)", text) if "://" not in link]
    assert not [link for link in links if not (page.parent / link).exists()]
    places = re.findall(r"`((?:benchmarks|data|figures|notebooks|tests|wm)/[\w./-]+\.\w+)`", text)
    assert not [place for place in places if not (ROOT / place).exists()]


@pytest.mark.parametrize("page", sorted(ROOT.glob("docs/*.md")), ids=lambda page: page.name)
def test_python_of_a_page_gives_the_shapes_that_it_says(page):
    for block in re.findall(r"(?s)```python\n(.*?)```", page.read_text("utf-8")):
        names = {}
        exec(block, names)
        for line, shape in re.findall(r"(?m)^(.+?) +# (\(\d+(?:, \d+)+\)):", block):
            told = line.split(" = ")[0].split(",")[0]
            assert str(tuple(eval(told, names).shape)) == shape, line


@pytest.fixture
def own_family(monkeypatch):
    """The family and the look that README adds, put where it says."""
    lines = [ast.literal_eval(f"{{{line}}}") if "Family" not in line else line
             for kind, block in BLOCKS if not kind and "Family(" in block for line in block.splitlines()]
    (entry, look), families = lines, importlib.import_module("wm.ring.families")
    ((name, family),) = eval(f"{{{entry}}}", {"Family": families.Family}).items()
    assert look.keys() == {name} and look[name][0] == family.title and len(look[name]) == 3
    monkeypatch.setitem(families.FAMILIES, name, family)


@pytest.mark.parametrize("command", COMMANDS)
def test_shell_command_of_readme_is_understood(command, own_family, monkeypatch):
    program, *arguments = shlex.split(command)
    if program == "./run_all.sh":
        index = {n: Figure(n, e["notebook"], e["system"], e["title"]) for n, e in entries().items()}
        workflow.resolve(workflow._parse(arguments).targets, index)
    elif program == ".venv/bin/wm":
        for verb in cli._VERBS.values():
            monkeypatch.setattr(verb, "run", lambda self: 0)
        assert cli.main(arguments) == 0
    elif arguments[:2] == ["-m", "wm.notebook"]:
        number, given = arguments[2], [word for word in arguments[3:] if word != "--set"]
        values = dict(each.split("=") for each in given)
        check_parameters(ROOT / "notebooks" / entries()[number]["notebook"], values, text=True)
    elif program == ".venv/bin/jupyter":
        assert (ROOT / arguments[-1]).is_file()
    else:
        assert program == "./run_tests.sh" and not arguments


def test_python_of_readme_gives_what_it_says():
    (block,) = (block for kind, block in BLOCKS if kind == "python")
    said, names = README, {}
    exec(block, names)
    rates, rt = names["rates"], names["rt"]
    assert str(tuple(names["pairs"].shape)) in said and str(tuple(rates.shape)) in said
    assert str([float(error) for error in rt.score("error_deg")]) in said
    found = names["connectivity"].factors(rt, names["seen"])
    structural, functional = (", ".join(f"{value:.2f}" for value in each) for each in found)
    assert f"structural {structural}; functional {functional}" in said
    (error,) = re.findall(r"error_deg (\d+) in place of", said)
    lesioned = names["ring"].measure_errors(names["cut"], evaluations=1)[0]["error_deg"]
    assert abs(lesioned - int(error)) < 2  # noise: other processors round otherwise


# --- rules that a glance can measure ----------------------------------------------------------------------


def functions(tree: ast.AST) -> list[ast.FunctionDef]:
    return [node for node in ast.walk(tree) if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef)]


def lines_of(function: ast.FunctionDef) -> int:
    docstring = ast.get_docstring(function)
    return function.end_lineno - function.lineno + 1 - (len(docstring.splitlines()) + 1 if docstring else 0)


def takes_self(function: ast.FunctionDef) -> bool:
    return bool(function.args.args) and function.args.args[0].arg in ("self", "cls")


def imported(tree: ast.AST) -> set[str]:
    names = {alias.name for node in ast.walk(tree) if isinstance(node, ast.Import) for alias in node.names}
    froms = [node for node in ast.walk(tree) if isinstance(node, ast.ImportFrom)]
    return names | {f"{node.module}.{alias.name}" for node in froms for alias in node.names}


@pytest.mark.parametrize("module", MODULES)
def test_module_keeps_the_style_bars(module):
    source = (ROOT / module).read_text("utf-8")
    tree = ast.parse(source)
    assert len(source.splitlines()) <= 300
    assert [f.name for f in functions(tree) if lines_of(f) > 60] == []
    kernels = [
        f for f in functions(tree) if any("triton.jit" in ast.unparse(each) for each in f.decorator_list)
    ]
    named = ("forward", "backward")  # torch prescribes these, Triton that kernels take all by position
    free = [f for f in functions(tree) if f.name not in named and f not in kernels]
    assert [f.name for f in free if len(f.args.posonlyargs + f.args.args) > 5 + takes_self(f)] == []
    public = [f for f in tree.body if isinstance(f, ast.FunctionDef | ast.ClassDef) and f.name[0] != "_"]
    assert [f.name for f in public if not ast.get_docstring(f)] == []
    assert ast.get_docstring(tree), "a module says what it is for"
    calls = [node.func for node in ast.walk(tree) if isinstance(node, ast.Call)]
    assert not [f for f in calls if isinstance(f, ast.Name) and f.id in ("print", "exec", "eval")]


@pytest.mark.parametrize("module", MODULES)
def test_module_uses_no_pickle_and_no_other_system(module):
    names = imported(ast.parse((ROOT / module).read_text("utf-8")))
    assert not [name for name in names if name.split(".")[0] in ("pickle", "dill", "cloudpickle", "shelve")]
    packages = {path.parent.name for path in (ROOT / "wm").glob("*/__init__.py")}
    others = packages - {Path(module).parts[1]} if len(Path(module).parts) > 2 else set()
    assert not [name for name in names if name.split(".")[0] == "wm" and name.split(".")[1] in others]


def test_ruff_finds_nothing():
    result = subprocess.run(
        [sys.executable, "-m", "ruff", "check", "--no-cache", "--output-format=concise", ROOT],
        capture_output=True,
        text=True,
    )
    assert result.returncode == 0, result.stdout


def test_tracked_files_stay_below_40_mib():
    listed = subprocess.run(["git", "ls-files", "-z"], cwd=ROOT, capture_output=True, text=True)
    if listed.returncode:
        pytest.skip("not a git clone, or no git: nothing is tracked")
    files = [ROOT / name for name in listed.stdout.split("\0") if name]
    assert sum(path.stat().st_size for path in files if path.is_file()) < 40 * 2**20
