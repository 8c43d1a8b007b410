"""Notebooks are run strictly: each way to fail, planted in a small notebook, is told as what it is."""

import os
import platform
import re
import shlex
import shutil
import signal
import socket
import subprocess
import sys
import time
from pathlib import Path

import nbformat
import pytest

from wm import kernel
from wm.files import CannotWrite, DamagedFile, read_json
from wm.index import read_index
from wm.manifest import tree_hash
from wm.notebook import (
    BadParameters,
    Busy,
    NotPublishable,
    WrongIndex,
    check_parameters,
    code_hash,
    lint,
    main,
    publish,
    run,
)
from wm.run_folder import Job, Outcome, RunFolder, finished

ROOT = Path(__file__).parents[1]
PARAMETERS = "smoke: bool = False  # small and quick\nn: int = 2  # how many\nrate: float = 0.5  # Hz"
SETUP = """\
import json, os, sys, time
from pathlib import Path
place = Path(os.environ["WM_RESULTS"]) / "13"
sheet = {"claims": [{"verdict": "reproduced"}, {"verdict": "cannot be tested here (too few)"}]}"""
DRAW = '(place / "13a.png").write_text(f"{n} dots")'
CLAIM = '(place / "claims.json").write_text(json.dumps(sheet))'
INDEX = """
[13]
notebook = "13_dots.ipynb"
system = "ring"
title = "Dots"
figures = ["13a"]
reads = ["data/ring"]
"""


def write_notebook(path, *cells, parameters=(PARAMETERS,), kernel_name="python3"):
    """A notebook with a title, cells tagged `parameters`, and `cells` as code."""
    tagged = [nbformat.v4.new_code_cell(source, metadata={"tags": ["parameters"]}) for source in parameters]
    code = [nbformat.v4.new_code_cell(source) for source in cells]
    notebook = nbformat.v4.new_notebook(cells=[nbformat.v4.new_markdown_cell("# Dots"), *tagged, *code])
    notebook.metadata["kernelspec"] = {"name": kernel_name, "display_name": "Python 3", "language": "python"}
    nbformat.write(notebook, path)
    return path


@pytest.fixture
def house(tmp_path, monkeypatch):
    """An empty repository with an index of one notebook that is still to be written; its path."""
    root = tmp_path / "a house {ü}"
    (root / "notebooks").mkdir(parents=True)
    (root / "data" / "ring").mkdir(parents=True)
    (root / "data" / "ring" / "net.json").write_text("{}")
    (root / "notebooks" / "figures.toml").write_text(INDEX)
    for name in ("DATA", "DATA_NPY", "DATA_JSON", "FIGURES", "RESULTS", "NOTEBOOKS"):
        monkeypatch.delenv(f"WM_{name}", raising=False)
    monkeypatch.setenv("WM_ROOT", str(root))
    return root / "notebooks" / "13_dots.ipynb"


def earlier_run(house):
    """Plant what an earlier good run has left; return its folder."""
    folder = house.parents[1] / "results" / "13"
    folder.mkdir(parents=True)
    earlier = {"13a.png": "old dots", "13a.pdf": "old", "claims.json": "{}", "done.json": "{}"}
    for name, content in earlier.items():
        (folder / name).write_text(content)
    figures = house.parents[1] / "figures"
    figures.mkdir()
    (figures / "13a.png").write_text("published dots")
    return folder


def gone(pid):
    """Whether a process is gone (a zombie that nobody reaps is)."""
    try:
        os.kill(int(pid), 0)
    except ProcessLookupError:
        return True
    state = Path(f"/proc/{pid}/status")
    return state.exists() and "State:\tZ" in state.read_text()


def shell(*arguments):
    """`python -m wm.notebook` as a process of its own."""
    env = {**os.environ, "PYTHONPATH": str(ROOT)}
    return subprocess.Popen(
        [sys.executable, "-m", "wm.notebook", *arguments], env=env, cwd="/", text=True,
        stdout=subprocess.PIPE, stderr=subprocess.PIPE,
    )  # fmt: skip


def wait_for(path, seconds=60):
    """Content of a file as soon as it has any."""
    limit = time.monotonic() + seconds
    while not (path.exists() and path.read_text()):
        assert time.monotonic() < limit, f"{path} did not come"
        time.sleep(0.05)
    return path.read_text()


# Parameters: refused before a kernel starts.


@pytest.mark.parametrize(
    ("given", "message"),
    [
        ({"smok": True}, r"`smok` is not a parameter: did you mean smoke\?"),
        ({"qqq": 1}, r"`qqq` is not a parameter: there are smoke, n, rate"),
        ({"n": 1e3}, r"`n` must be int, not 1000.0"),
        ({"n": True}, "`n` must be int, not True"),
        ({"n": None}, "`n` must be int, not None"),
        ({"smoke": 1}, "`smoke` must be bool, not 1"),
        ({"rate": float("nan")}, "`rate` must be float, not nan"),
        ({"rate": "fast"}, "`rate` must be float, not 'fast'"),
    ],
)
def test_a_wrong_value_is_refused(house, given, message):
    write_notebook(house)
    with pytest.raises(BadParameters, match=message):
        run("13", given)
    assert not (house.parents[1] / "results").exists()


@pytest.mark.parametrize(
    ("cells", "message"),
    [
        ((), "cells tagged `parameters`: none"),
        ((PARAMETERS, PARAMETERS), "cells tagged `parameters`: 2"),
        (("a, b = 1, 2",), "papermill cannot read `a, b = 1, 2`"),
        (("a = dict(x=1)",), r"papermill cannot read `a = dict\(x=1\)`"),
        (('a: str = "b=c"',), 'papermill cannot read `a: str = "b=c"`'),
        (("a: int",), "papermill cannot read `a: int`"),
        (("print(1)",), r"papermill cannot read `print\(1\)`"),
        (("a: dict = {}",), "type of `a: dict = {}` is not one of"),
        (("a: int = 'b'",), "default of `a: int = 'b'` is not int"),
        (("a: int = 1\na: int = 2",), "`a` is declared twice"),
        (("a: int = ",), "line 1 of the parameters is not Python: a: int ="),
    ],
)
def test_a_wrong_parameters_cell_is_refused(house, cells, message):
    write_notebook(house, parameters=cells)
    with pytest.raises(BadParameters, match=message):
        run("13")


def test_a_leftover_of_papermill_is_refused(house):
    notebook = nbformat.read(write_notebook(house, "n = 3"), as_version=4)
    notebook.cells[-1].metadata.tags = ["injected-parameters"]
    nbformat.write(notebook, house)
    with pytest.raises(BadParameters, match="tagged `injected-parameters`"):
        check_parameters(house, {})


def test_all_problems_are_told_at_once(house):
    write_notebook(house)
    with pytest.raises(BadParameters) as error:
        check_parameters(house, {"smok": True, "n": "x", "rate": "y"})
    assert len(error.value.problems) == 3


def test_good_values_replace_the_defaults(house):
    cell = (
        PARAMETERS
        + '\nname: str = "all"  # which\nseeds: list[int] = [1, 2]  # of them\nany: list = []  # any'
    )
    write_notebook(house, parameters=(cell,))
    defaults = {"smoke": False, "n": 2, "rate": 0.5, "name": "all", "seeds": [1, 2], "any": []}
    assert check_parameters(house, {}) == defaults
    values = check_parameters(house, {"rate": 3, "seeds": [3]})
    assert values == {**defaults, "rate": 3.0, "seeds": [3]} and type(values["rate"]) is float
    text = {"smoke": "true", "n": "-1", "rate": "1e-2", "name": "true", "seeds": "[]", "any": "['a', 1.5]"}
    typed = {"smoke": True, "n": -1, "rate": 0.01, "name": "true", "seeds": [], "any": ["a", 1.5]}
    assert check_parameters(house, text, text=True) == typed
    for wrong in (
        {"n": "1e3"},
        {"n": "abc"},
        {"smoke": "1"},
        {"rate": "1e999"},
        {"seeds": "[1.5]"},
        {"n": ""},
    ):
        with pytest.raises(BadParameters, match="must be"):
            check_parameters(house, wrong, text=True)


# Good runs.


@pytest.mark.notebook
def test_a_good_run_is_done_and_published_if_it_changed(house, capsys):
    says = 'print("hello", n, os.environ["OMP_NUM_THREADS"], Path.cwd().name)'
    late = 'late = open(place / "late.txt", "w")\n_ = late.write("kept")'
    write_notebook(house, SETUP, says, late, DRAW, CLAIM)
    root = house.parents[1]
    assert main(["13", "--threads", "1"]) == 0
    assert re.search(r"13_dots.ipynb: ok \(full, \d+ s\)\n  published 13a.png\n", capsys.readouterr().out)
    assert (root / "results" / "13" / "log.txt").read_text() == "hello 2 1 notebooks\n"
    done = read_json(root / "results" / "13" / "done.json")
    assert (
        done["status"] == "ok"
        and done["mode"] == "full"
        and set(done["outputs"]) == {"13a.png", "claims.json"}
    )
    assert done["parameters"] == {"smoke": False, "n": 2, "rate": 0.5}
    assert done["claims"] == {"reproduced": 1, "cannot be tested here": 1}
    inputs = {"notebooks/13_dots.ipynb": code_hash(house), "data/ring": tree_hash(root / "data" / "ring")}
    assert done["inputs"] == inputs and done["commit"] is None
    assert (root / "results" / "13" / "late.txt").read_text() == "kept"  # the kernel ended in peace
    assert (root / "figures" / "13a.png").read_text() == "2 dots"
    assert (root / "figures" / "claims" / "13.json").is_file()
    files = {path.name for path in (root / "results" / "13").iterdir()}
    left = {
        ".lock",
        "log.txt",
        "run.json",
        "done.json",
        "13_dots.ipynb",
        "13a.png",
        "claims.json",
        "late.txt",
    }
    assert files == left

    before = (root / "figures" / "13a.png").stat().st_ino
    outcome = run(13, {"smoke": True})
    assert outcome.ok and outcome.published == ()
    assert outcome.folder == root / "results" / "smoke" / "13"
    assert read_json(outcome.folder / "done.json")["mode"] == "smoke"
    (root / "figures" / "claims" / "13.json").unlink()
    assert [path.name for path in publish("13")] == ["13.json"]
    assert publish("13") == [] and (root / "figures" / "13a.png").stat().st_ino == before
    for name in ("13a.png", "claims.json"):
        (root / "results" / "13" / name).unlink()
    with pytest.raises(NotPublishable, match="no longer as drawn: 13a.png, claims.json: run ./run"):
        publish("13")


@pytest.mark.notebook
def test_other_parameters_publish_nothing_and_the_command_gives_them_again(house):
    write_notebook(house, SETUP, DRAW, CLAIM)
    outcome = run(house, {"n": 3, "rate": 1}, timeout_s=60.0)
    assert outcome.ok and outcome.folder == house.parents[1] / "results" / "custom" / "13"
    assert (outcome.folder / "13a.png").read_text() == "3 dots"
    assert not (house.parents[1] / "figures").exists()
    given = "-m wm.notebook 13 --set=n=3 --set=rate=1.0 --timeout=60"
    assert outcome.rerun == f"{shlex.quote(sys.executable)} {given}"
    with pytest.raises(NotPublishable, match="not drawn yet: run ./run_all.sh 13$"):
        publish(13)


# Bad runs.


@pytest.mark.notebook
@pytest.mark.fault
@pytest.mark.parametrize(
    ("status", "error", "where", "cells"),
    [
        (
            "error",
            "^ZeroDivisionError: division by zero",
            (5, "# planted"),
            [DRAW, "# planted\n1 / 0", CLAIM],
        ),
        ("incomplete", "left early: 2 of 4 code cells ran", (4, "sys.exit(0)"), ["sys.exit(0)", DRAW]),
        ("incomplete", r"the kernel exited \(code 3\)", (4, "os._exit(3)"), ["os._exit(3)", DRAW]),
        (
            "killed",
            "SIGKILL.*out of memory",
            (5, "os.kill(os.getpid(), 9)"),
            [DRAW, "os.kill(os.getpid(), 9)"],
        ),
        (
            "stale output",
            "13a.png is stale, claims.json is empty",
            (None, ""),
            ["(place / 'claims.json').touch()"],
        ),
    ],
)
def test_a_failure_is_told_and_earlier_results_are_kept(house, status, error, where, cells):
    write_notebook(house, SETUP, *cells)
    folder = earlier_run(house)
    outcome = run("13")
    assert not outcome.ok and outcome.status == status and re.search(error, outcome.error)
    assert (outcome.cell, outcome.line) == where
    assert (folder / "13a.png").read_text() == "old dots" and (folder / "13a.pdf").read_text() == "old"
    assert (house.parents[1] / "figures" / "13a.png").read_text() == "published dots"
    assert not (folder / "done.json").exists() and (folder / "failed.ipynb").is_file()
    failed = read_json(folder / "failed.json")
    assert failed["status"] == status and failed["rerun"] == "./run_all.sh 13"
    report = outcome.report()
    for part in ("13_dots.ipynb", status, outcome.error, "run again: ./run_all.sh 13"):
        assert part in report
    if status == "error":
        assert "cell 5: # planted" in report and "Traceback" in (folder / "log.txt").read_text()


@pytest.mark.notebook
@pytest.mark.fault
def test_a_hanging_cell_is_named_and_its_processes_are_gone(house):
    child = "import subprocess\nchild = subprocess.Popen(['sleep', '600'])"
    hang = "(place / 'pids').write_text(f'{os.getpid()} {child.pid}')\ntime.sleep(600)"
    write_notebook(house, SETUP, child, hang)
    outcome = run("13", {"n": 3}, timeout_s=10)
    assert (outcome.status, outcome.cell) == ("timeout", 5)
    assert outcome.error == "not finished after 10 s, the limit for all cells"
    assert all(gone(pid) for pid in (outcome.folder / "pids").read_text().split())


@pytest.mark.notebook
@pytest.mark.fault
def test_a_second_run_is_told_who_holds_the_first_and_a_signal_leaves_nothing_behind(house, capsys):
    write_notebook(house, SETUP, "(place / 'pid').write_text(str(os.getpid()))", DRAW, "time.sleep(600)")
    folder = earlier_run(house)
    for number, kill_first in ((signal.SIGKILL, True), (signal.SIGTERM, False)):
        (folder / "pid").unlink(missing_ok=True)
        with shell("13") as holder:
            pid = wait_for(folder / "pid")
            if not kill_first:
                assert main(["13"]) == 3
                told = rf"held by process {holder.pid} on {socket.gethostname()} since \d{{4}}-.*: wait"
                assert re.search(told, capsys.readouterr().err)
                with pytest.raises(Busy, match="held by process"):
                    run("13")
            holder.send_signal(number)
            said = holder.communicate(timeout=30)[1]
        ended = (-9, "") if kill_first else (143, "stopped by SIGTERM\n")
        assert (holder.returncode, said) == ended
        limit = time.monotonic() + 10  # an orphan looks for its parent once a second
        while not gone(pid):
            assert kill_first and time.monotonic() < limit
            time.sleep(0.1)
    # Both runs together have not lost what the run before them had left; the lock is free.
    assert (folder / "13a.png").read_text() == "old dots"
    with RunFolder(folder, []).locked():
        pass


@pytest.mark.notebook
@pytest.mark.fault
def test_a_kernel_that_does_not_start_is_started_once_more(house, tmp_path, monkeypatch):
    marks = tmp_path / "starts"
    dies_once = f"import os\nwith open({str(marks)!r}, 'a') as f: f.write('x')\n"
    (tmp_path / "sitecustomize.py").write_text(
        f"{dies_once}if os.path.getsize({str(marks)!r}) < 2: os._exit(1)\n"
    )
    monkeypatch.setenv("PYTHONPATH", str(tmp_path))
    write_notebook(house, SETUP, DRAW, CLAIM)
    assert run("13").ok and marks.read_text() == "xx"
    assert (
        "the kernel did not start: Kernel died before replying"
        in (house.parents[1] / "results/13/log.txt").read_text()
    )


def test_a_kernel_that_never_starts_is_told(house, monkeypatch):
    def never(*_args, **_settings):
        raise RuntimeError("no port")

    monkeypatch.setattr(kernel, "_kernel", never)
    write_notebook(house, SETUP)
    outcome = run("13")
    assert outcome.status == "no kernel"
    assert outcome.error == "the kernel did not start, twice: no port; the log says more"


def test_a_missing_kernel_is_named(house, capsys):
    write_notebook(house, SETUP, kernel_name="nosuch")
    assert main(["13"]) == 1
    told = r"kernel `nosuch` is not installed \(there are: .*python3.*\); make it `python3`, or run"
    assert re.search(told, capsys.readouterr().err)


def test_a_missing_input_is_named(house):
    write_notebook(house, SETUP)
    (house.parents[1] / "data/ring/net.json").unlink()
    (house.parents[1] / "data/ring").rmdir()
    outcome = run("13")
    assert (outcome.status, outcome.error) == (
        "missing input",
        "declared to be read but not there: data/ring",
    )


def test_outputs_are_judged(tmp_path):
    place = RunFolder(tmp_path, ["13a.png", "claims.json"])
    place.clear()
    assert place.judge(0).status == "missing output"
    (tmp_path / "13a.png").write_text("dots")
    (tmp_path / "claims.json").write_text("[]")
    assert place.judge(0).error == "declared outputs: claims.json is damaged"
    (tmp_path / "claims.json").write_text('{"claims": []}')
    assert place.judge(0).status == "ok"
    os.utime(tmp_path / "13a.png", (1, 1))  # copied from elsewhere, with its time
    assert place.judge(2 * 10**9).error == "declared outputs: 13a.png is stale"
    with pytest.raises(DamagedFile, match="is not a notebook"):
        code_hash(tmp_path / "claims.json")


def test_a_run_that_was_killed_is_cleared_up_by_the_next(tmp_path):
    place = RunFolder(tmp_path, ["a", "b"])
    (tmp_path / "a").write_text("good")
    place.clear()
    for name in ("a", "b", ".draft.ipynb"):
        (tmp_path / name).write_text("half")
    place.clear()
    place.restore()
    assert (tmp_path / "a").read_text() == "good" and not (tmp_path / "b").exists()


def test_a_place_that_cannot_be_written_to_is_told_with_a_remedy(house, capsys, monkeypatch):
    write_notebook(house)
    (house.parents[1] / "file").write_text("")
    places = {
        "/proc/foo": "/proc/foo.*: no folder can be made here: make room, or choose another place with",
        str(house.parents[1] / "file"): "file/13: a file is in the way of a folder: make room, or choose",
    }
    for place, message in places.items():
        monkeypatch.setenv("WM_RESULTS", place)
        assert main(["13"]) == 5
        assert re.search(message, capsys.readouterr().err)
    monkeypatch.delenv("WM_RESULTS")
    (house.parents[1] / "results/13/.draft.ipynb").mkdir(parents=True)
    (house.parents[1] / "results/13/failed.ipynb").write_text("")
    with pytest.raises(CannotWrite, match="draft.ipynb: a file is in the way"):
        run("13")


def test_a_record_that_is_none_is_refused(tmp_path):
    for content, message in (
        ("[]", "is not the record of a run"),
        ('{"mode": "full", "outputs": {}}', "is not the record of a run"),
        ('{"mode": "custom", "seconds": 1, "outputs": {}, "claims": {}}', "is of a custom run: run"),
        ('{"mode": "full", "seconds": 1, "outputs": {"a": "0"}, "claims": {}}', "no longer as drawn: a:"),
    ):
        (tmp_path / "done.json").write_text(content)
        with pytest.raises(NotPublishable, match=message):
            finished(tmp_path, "full")
    with pytest.raises(NotPublishable, match="not drawn yet: run ./run_all.sh 13 --smoke$"):
        finished(tmp_path / "13", "smoke")


def test_exit_codes(house, capsys, monkeypatch):
    write_notebook(house)
    assert main(["13", "--set", "smok=true"]) == 2 and "did you mean smoke?" in capsys.readouterr().err
    assert main(["77"]) == 2 and "no notebook 77 in the index; there are: 13" in capsys.readouterr().err
    assert main(["nowhere.ipynb"]) == 2 and "is missing" in capsys.readouterr().err
    with pytest.raises(SystemExit, match="2"):
        main(["13", "--set", "smoke"])
    for error, code in (
        (CannotWrite("x", "full", "make room"), 5),
        (OSError(28, "full"), 5),
        (KeyboardInterrupt(), 130),
    ):

        def fails(*_args, error=error, **_settings):
            raise error

        monkeypatch.setattr("wm.notebook.run", fails)
        assert main(["13"]) == code


# The index.


@pytest.mark.parametrize(
    ("old", "new", "message"),
    [
        ("[13]", "[13", "cannot be read"),
        ("[13]", "[3]", r"\[3\] is not a table named by two digits"),
        ("reads", "read", r"\[13\] unknown field `read`: did you mean reads\?"),
        ("title", "titel", "field `title` is missing"),
        ('["13a"]', '"13a"', "field `figures` has the wrong type: '13a'"),
        ('["data/ring"]', "[1]", r"field `reads` has the wrong type: \[1\]"),
        ('"13_dots.ipynb"', '"dots.ipynb"', "notebook `dots.ipynb` is not named 13_<topic>.ipynb"),
        ('"13_dots.ipynb"', '"13_lines.ipynb"', "notebook `13_lines.ipynb` is not in"),
        ('"ring"', '"rings"', "system `rings` is not one of ring, nback"),
        ("13a", "14a", "figure `14a` is not named 13 and a letter"),
    ],
)
def test_a_wrong_index_is_refused(house, old, new, message):
    write_notebook(house)
    house.with_name("figures.toml").write_text(INDEX.replace(old, new, 1))
    with pytest.raises(WrongIndex, match=message):
        read_index()


def test_the_index_is_read(house):
    write_notebook(house)
    figure = read_index()["13"]
    assert (figure.number, figure.figures, figure.reads, figure.seconds) == (
        "13",
        ("13a",),
        ("data/ring",),
        60.0,
    )


# Hashes and form.


def test_only_code_changes_the_code_hash(house):
    before = code_hash(write_notebook(house, "a = 1", "b = 2"))
    notebook = nbformat.read(house, as_version=4)
    notebook.cells[0].source = "# Other words"
    notebook.cells[2].update(outputs=[nbformat.v4.new_output("stream", text="x")], execution_count=3)
    notebook.cells[3].metadata.tags = ["tag"]
    nbformat.write(notebook, house)
    assert code_hash(house) == before
    assert code_hash(write_notebook(house, "a = 1", "b = 3")) != before
    assert code_hash(write_notebook(house, "a = 1\nb = 2")) != before


def test_a_tree_hash_sees_names_and_bytes_only(tmp_path):
    (tmp_path / "a").write_text("1")
    before = tree_hash(tmp_path)
    os.utime(tmp_path / "a", (1, 1))
    (tmp_path / ".hidden").write_text("2")
    (tmp_path / "explore.ipynb").write_text("2")
    assert tree_hash(tmp_path) == before
    (tmp_path / "a").rename(tmp_path / "b")
    renamed = tree_hash(tmp_path)
    (tmp_path / "b").write_text("2")
    assert len({before, renamed, tree_hash(tmp_path), tree_hash(tmp_path / "b")}) == 4


def committed(house, *cells, **settings):
    """A notebook in good form, with `cells` before the last one."""
    write_notebook(house, *cells, "sheet.save()\nsheet.table()", **settings)
    notebook = nbformat.read(house, as_version=4)
    notebook.cells.insert(2, nbformat.v4.new_markdown_cell("Words.\n## a The dots"))
    nbformat.write(notebook, house)
    return notebook


def test_a_good_notebook_has_a_clean_lint(house):
    committed(house, "dots = [smoke for _ in range(3)]", parameters=("# What to draw\n\n" + PARAMETERS,))
    assert lint(house) == []


@pytest.mark.parametrize(
    ("cells", "parameters", "message"),
    [
        (["def f():\n    pass"], PARAMETERS, "cell 4: defines `f`: move it to `wm`"),
        (["class A:\n    pass"], PARAMETERS, "cell 4: defines `A`: move it to `wm`"),
        (["\n" * 30 + "1"], PARAMETERS, "cell 4: has 31 lines, more than 30: move code to `wm`"),
        (["x = 1\n!ls"], PARAMETERS, "cell 4: is not plain Python (shell line, magic or mistake): `!ls`"),
        (
            ["%matplotlib inline"],
            PARAMETERS,
            "cell 4: is not plain Python (shell line, magic or mistake): `%matplotlib inline`",
        ),
        (["n = 3"], PARAMETERS, "parameter `n` is assigned again: a given value is lost"),
        ([], "n: int = 2  # dots", "parameters: `smoke: bool = False` is missing"),
        (
            [],
            PARAMETERS + "\nm: int = 2",
            "parameters: `m: int = 2` is not `name: type = literal  # comment`",
        ),
        (
            [],
            PARAMETERS + "\nm = 2  # dots",
            "parameters: `m = 2  # dots` is not `name: type = literal  # comment`",
        ),
        (
            [],
            PARAMETERS + "\nm: list = [  # dots\n]",
            "parameters: `m: list = [  # dots` is not `name: type = literal  # comment`",
        ),
        (
            [],
            PARAMETERS + "\nm: list = [*n]  # x",
            "papermill cannot read `m: list = [*n]`: write `name: type = literal  # comment`",
        ),
    ],
)
def test_lint_names_a_bad_cell(house, cells, parameters, message):
    committed(house, *cells, parameters=(parameters,))
    assert message in lint(house)


def test_lint_finds_doubled_backslashes_in_formulas(house):
    notebook = committed(house)
    cells = {
        r"$-\\ln q$": [r"cell 1: has a doubled backslash in a formula: write `\ln`"],
        r"$$a$$ and $$\alpha \\beta$$": [r"cell 1: has a doubled backslash in a formula: write `\beta`"],
        r"$\ln q$, `C:\\temp` and $$a \\ b$$": [],
    }
    for text, expected in cells.items():
        notebook.cells[0].source = "# Dots\n\n" + text
        nbformat.write(notebook, house)
        assert lint(house) == expected


def test_lint_names_what_a_run_has_left_and_what_is_missing(house):
    notebook = committed(house, kernel_name="conda-env")
    notebook.metadata["widgets"] = notebook.cells[1].metadata["papermill"] = {}
    notebook.cells[1].update(outputs=[nbformat.v4.new_output("stream", text="x")], execution_count=3)
    notebook.cells[0].source, notebook.cells[2].source = "Dots", "## Another thing"
    notebook.cells[-1].source = "print(1)"
    nbformat.write(notebook, house)
    assert set(lint(house)) == {
        "kernel name is not `python3`",
        "notebook: has widgets metadata: remove it",
        "cell 2: has papermill metadata: remove it",
        "cell 2: has outputs: clear them",
        "cell 2: has an execution count: clear it",
        "first line is not a title (`# ...` in a markdown cell)",
        "no heading for panel a of figure 13a: write `## a ...`",
        "last code cell does not record claims (`sheet.save()`)",
    }


@pytest.mark.parametrize(("changed", "said"), [
    ({"n": 3}, "13_dots.ipynb: ok (custom, 14 s): {results}custom/13/"),
    ({"smoke": True}, "13_dots.ipynb: ok (smoke, 14 s): {results}smoke/13/"),
    ({}, "13_dots.ipynb: ok (full, 14 s)\n  published 13a.png"),
])  # fmt: skip
def test_a_run_that_is_not_published_says_where_its_figures_are(house, monkeypatch, changed, said):
    write_notebook(house)
    job = Job(read_index()["13"], house, {"smoke": False} | changed, changed)
    outcome = Outcome("ok", job=job, seconds=14.2, published=() if changed else ("13a.png",))
    assert outcome.report() == said.format(results=f"{house.parents[1]}/results/")
    monkeypatch.chdir(house.parents[1])
    assert outcome.report() == said.format(results="results/")


@pytest.mark.skipif(not shutil.which("git"), reason="needs git")
def test_the_record_names_the_commit(house):
    write_notebook(house)
    job = Job(read_index()["13"], house, {"smoke": False}, {})
    git = ["git", "-c", "user.name=a", "-c", "user.email=a@b", "-C", str(house.parents[1])]
    for command in (["init", "-q"], ["add", "."], ["commit", "-qm", "one"]):
        subprocess.run([*git, *command], check=True)
    assert re.fullmatch("[0-9a-f]{40}", job.record["commit"])
    house.with_name("figures.toml").write_text(INDEX + "seconds = 3\n")
    assert re.fullmatch("[0-9a-f]{40}-dirty", job.record["commit"])


def test_the_record_tells_versions_and_device_but_not_which_machine(house):
    write_notebook(house)
    record = Job(read_index()["13"], house, {"smoke": False}, {}).record
    assert record["versions"]["python"] == platform.python_version()
    assert platform.machine() in record["device"] and platform.node() not in record["device"]
