"""What only a browser shows: an explorer in JupyterLab whose slider is moved, and the gallery on two screens.

No message of the console is excused: JupyterLab writes none of the kind `error`, nor do its extensions.
"""

import itertools
import json
import os
import shutil
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path
from urllib.parse import urlsplit

import psutil
import pytest
from playwright.sync_api import Browser, Page, expect, sync_playwright

from wm import gallery
from wm.files import write_json
from wm.index import read_index

ROOT = Path(__file__).parents[1]
CHROMIUM = next(filter(None, map(shutil.which, ("chromium", "chromium-browser", "google-chrome"))), None)
FLAGS = [
    "--disable-gpu", "--disable-quic", "--no-first-run", "--disable-background-networking",
    "--disable-component-update", "--disable-sync",
]  # fmt: skip
PATIENCE_S = 90  # for each step, when other work runs
TOKEN = "browser"
QUIET = {"disabledExtensions": {"@jupyterlab/apputils-extension:announcements": True}}  # news from the web
NAMES = ("JUPYTER", "IPYTHON", "WM_", "XDG_")  # what would lead to settings, data or results of the user
COMPLAINTS = ", ".join(f"[data-mime-type='application/vnd.jupyter.{kind}']" for kind in ("error", "stderr"))

pytestmark = [
    pytest.mark.browser,
    pytest.mark.slow,
    pytest.mark.timeout(5 * PATIENCE_S),
    pytest.mark.skipif(not CHROMIUM, reason="no Chromium: install it (Debian: apt-get install chromium)"),
]


@pytest.fixture
def browser() -> Iterator[Browser]:
    """Chromium without a window, with a profile of its own that is thrown away."""
    expect.set_options(timeout=1000 * PATIENCE_S)
    with sync_playwright() as playwright:
        chromium = playwright.chromium.launch(executable_path=CHROMIUM, args=FLAGS, chromium_sandbox=False)
        yield chromium
        chromium.close()


def opened(browser: Browser, url: str, width: int = 1280) -> tuple[Page, list[str]]:
    """A page, and what goes wrong on it: errors in its console, and what it asks other machines for."""
    page, wrong = browser.new_page(viewport={"width": width, "height": 900}), []
    page.set_default_timeout(1000 * PATIENCE_S)
    page.on("console", lambda said: wrong.extend([f"{said.text} {said.location}"] * (said.type == "error")))
    page.on("pageerror", lambda error: wrong.append(str(error)))
    page.on("request", lambda request: wrong.extend([request.url] * elsewhere(request.url)))
    page.goto(url)
    return page, wrong


def elsewhere(url: str) -> bool:
    return urlsplit(url).scheme not in ("file", "data", "blob") and urlsplit(url).hostname != "localhost"


# --- an explorer ------------------------------------------------------------------------------------------


@pytest.fixture
def lab(tmp_path: Path) -> Iterator[str]:
    """Address of a JupyterLab that has a copy of an explorer, and neither settings nor files of the user."""
    (tmp_path / "notebooks").mkdir()
    shutil.copy(ROOT / "data/ring/rt-07/explore.ipynb", tmp_path / "notebooks")
    places = {f"JUPYTER_{name}_DIR": str(tmp_path / name.lower()) for name in ("CONFIG", "DATA", "RUNTIME")}
    (tmp_path / "config/labconfig").mkdir(parents=True)
    (tmp_path / "config/labconfig/page_config.json").write_text(json.dumps(QUIET))
    environment = {name: value for name, value in os.environ.items() if not name.startswith(NAMES)}
    environment |= places | {"IPYTHONDIR": str(tmp_path / "ipython"), "PYTHONPATH": str(ROOT)}
    options = ["--no-browser", "--allow-root", "--ServerApp.ip=localhost", "--ServerApp.port=0"]
    options += [f"--IdentityProvider.token={TOKEN}", f"--ServerApp.root_dir={tmp_path / 'notebooks'}"]
    with open(tmp_path / "log", "w") as log:
        command = [sys.executable, "-m", "jupyterlab", *options]
        server = subprocess.Popen(command, env=environment, cwd=tmp_path, stdout=log, stderr=log)
    try:
        yield f"{address(server, tmp_path / 'runtime')}lab/tree/explore.ipynb?token={TOKEN}"
    finally:
        end(server)
        sys.stdout.write((tmp_path / "log").read_text("utf-8"))  # pytest shows it if the test has failed


def address(server: subprocess.Popen, runtime: Path) -> str:
    """URL of a server, which it notes down as soon as it listens."""
    deadline = time.monotonic() + PATIENCE_S
    while server.poll() is None and time.monotonic() < deadline:
        try:
            return json.loads((runtime / f"jpserver-{server.pid}.json").read_text("utf-8"))["url"]
        except (FileNotFoundError, json.JSONDecodeError):  # not there yet, or not whole
            time.sleep(0.1)
    raise RuntimeError(f"JupyterLab did not start: exit code {server.poll()}")


def end(server: subprocess.Popen) -> None:
    """Have a server end its kernels and itself; kill what is left of them."""
    try:
        family = psutil.Process(server.pid).children(recursive=True)
        server.terminate()
        server.wait(20)
    except (psutil.NoSuchProcess, subprocess.TimeoutExpired):
        server.kill()
        server.wait()
        family = []
    for process in psutil.wait_procs(family, timeout=10)[1]:
        process.kill()


@pytest.mark.notebook
def test_a_moved_slider_changes_the_figure_in_jupyterlab(lab, browser):
    page, wrong = opened(browser, lab)
    # Cells that are run before the kernel is there make JupyterLab ask for one.
    expect(page.locator("#jp-main-statusbar")).to_contain_text("| Idle")
    page.get_by_role("menuitem", name="Run", exact=True).click()
    page.get_by_role("menuitem", name="Run All Cells", exact=True).click()
    complaints, prompts = page.locator(COMPLAINTS), page.locator(".jp-CodeCell .jp-InputPrompt")
    prompts.get_by_text("[4]:").or_(complaints).first.wait_for(state="attached")
    assert complaints.all_inner_texts() == []
    expect(prompts).to_have_text(["[1]:", "[2]:", "[3]:", "[4]:"])

    control = page.locator(".widget-slider").filter(has_text="target deg")
    slider, figure = control.get_by_role("slider"), page.locator(".jupyter-widgets img")
    before = figure.get_attribute("src")
    slider.press("ArrowRight")
    expect(control.locator(".widget-readout")).to_have_text("185.00")
    expect(figure).not_to_have_attribute("src", before)
    expect(figure).not_to_have_js_property("naturalWidth", 0)
    slider.press("ArrowLeft")
    expect(figure).to_have_attribute("src", before)  # nothing but the slider has changed it

    frame = page.locator(".animation img")
    before = frame.get_attribute("src")
    page.get_by_role("button", name="Next frame").click()
    expect(frame).not_to_have_attribute("src", before)
    assert all(page.locator(".anim-buttons button").all_inner_texts()), "a button of the film has no sign"
    assert complaints.all_inner_texts() == [] and wrong == []


# --- the gallery ------------------------------------------------------------------------------------------


@pytest.fixture
def results(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A gallery of the published figures and claims, with the page of one notebook."""
    monkeypatch.setenv("WM_RESULTS", str(tmp_path))
    for sheet in sorted((ROOT / "figures/claims").glob("*.json")):
        folder = tmp_path / sheet.stem
        folder.mkdir()
        shutil.copy(sheet, folder / "claims.json")
        for figure in (ROOT / "figures").glob(f"{sheet.stem}*.png"):
            shutil.copy(figure, folder)
        write_json(folder / "done.json", {"seconds": 1.0, "commit": None})
    shutil.copy(ROOT / "notebooks" / read_index()[sheet.stem].notebook, folder)
    gallery.build()
    return tmp_path


def test_pages_of_the_gallery_fit_a_wide_and_a_narrow_screen_without_an_error(results, browser):
    pages = sorted(results.rglob("*.html"))
    assert len(pages) == 2
    for path, width in itertools.product(pages, (1280, 400)):
        page, wrong = opened(browser, path.as_uri(), width)
        for image in page.locator("img:visible").all():
            image.scroll_into_view_if_needed()  # before, it need not be loaded
            expect(image).not_to_have_js_property("naturalWidth", 0)
        widest, screen = page.evaluate("[document.scrollingElement.scrollWidth, innerWidth]")
        assert widest <= screen == width, path.name
        assert wrong == [], path.name
        page.close()


TABLE = '[{n}]\nnotebook = "{n}_topic.ipynb"\nsystem = "{system}"\ntitle = "t"\nfigures = ["{n}a"]'


def test_the_filter_shows_the_notebooks_of_one_system(roots, browser):
    systems = {"13": "ring", "14": "ring", "20": "nback"}
    (roots / "notebooks").mkdir(exist_ok=True)
    for number in systems:
        shutil.copy(ROOT / "data/ring/rt-07/explore.ipynb", roots / f"notebooks/{number}_topic.ipynb")
        write_json(roots / f"results/{number}/done.json", {"seconds": 1.0})
    tables = [TABLE.format(n=number, system=system) for number, system in systems.items()]
    (roots / "notebooks/figures.toml").write_text("\n\n".join(tables))
    gallery.build()
    page, wrong = opened(browser, (roots / "results/index.html").as_uri())
    cards = page.locator("article:visible")
    expect(cards).to_have_count(3)
    page.get_by_role("button", name="nback").click()
    expect(cards).to_have_attribute("id", "n20")
    pressed = page.locator("[data-show][aria-pressed=true]")
    expect(pressed).to_have_text("nback")
    expect(page.get_by_role("status")).to_have_text("1 of 3 notebooks")
    page.reload()  # the address has kept the choice
    expect(cards).to_have_count(1)
    expect(pressed).to_have_text("nback")
    assert wrong == []
