"""Every notebook of the repository: well kept, listed, and drawn in smoke mode by the real runner."""

import json
import os
import re
import subprocess
import sys
from pathlib import Path

import pytest

from wm.index import read_index
from wm.lint import lint

ROOT = Path(__file__).resolve().parents[1]
INDEX = read_index()


def test_every_notebook_is_in_the_index():
    kept = {path.name for path in (ROOT / "notebooks").glob("*.ipynb")}
    assert kept == {figure.notebook for figure in INDEX.values()}


@pytest.mark.parametrize("system", sorted({figure.system for figure in INDEX.values()}))
def test_page_of_a_system_lists_its_figures_as_the_index_does(system):
    """Notebook, command and the column `time on 2 cores`."""
    page = (ROOT / f"docs/{system}.md").read_text()
    row = r"\| \[(\w+)\]\(\.\./notebooks/(\S+)\) \| `\./run_all\.sh (\d\d)` \| (\d+) s \|"
    own = [figure for figure in INDEX.values() if figure.system == system]
    expected = [
        (figure.notebook.removesuffix(".ipynb"), figure.notebook, figure.number, f"{figure.seconds:g}")
        for figure in own
    ]
    assert re.findall(row, page) == expected


def test_readme_leads_to_the_page_of_every_system():
    readme = (ROOT / "README.md").read_text()
    for system in {figure.system for figure in INDEX.values()}:
        assert f"](docs/{system}.md#figures) | `./run_all.sh {system}` |" in readme


def test_every_published_figure_and_claim_sheet_belongs_to_a_notebook():
    figures = {path.stem for path in (ROOT / "figures").glob("*.png")}
    assert figures == {panel for figure in INDEX.values() for panel in figure.figures}
    assert {path.stem for path in (ROOT / "figures/claims").glob("*.json")} == set(INDEX)


@pytest.mark.parametrize("number", INDEX)
def test_a_notebook_is_well_kept(number):
    assert lint(ROOT / "notebooks" / INDEX[number].notebook) == []


@pytest.mark.notebook
@pytest.mark.timeout(1200)
def test_all_notebooks_draw_in_smoke_mode(tmp_path):
    """As `./run_all.sh --smoke` does; nothing is skipped, nothing is published."""
    folders = {"WM_RESULTS": str(tmp_path / "results"), "WM_FIGURES": str(tmp_path / "figures")}
    with subprocess.Popen(
        [sys.executable, "-m", "wm.workflow", "--smoke"],
        env=os.environ | folders | {"PYTHONPATH": str(ROOT)},
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
    ) as process:
        try:
            said, _ = process.communicate(timeout=1100)
        finally:
            process.terminate()  # after a timeout; it stops Snakemake and the notebooks, groups of their own
    assert process.returncode == 0, said
    for number, figure in INDEX.items():
        folder = tmp_path / "results/smoke" / number
        assert json.loads((folder / "done.json").read_text())["status"] == "ok"
        assert all((folder / f"{panel}.png").stat().st_size <= 100_000 for panel in figure.figures)
        assert json.loads((folder / "claims.json").read_text())["claims"]
    assert not (tmp_path / "figures").exists()
