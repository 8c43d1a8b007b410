"""The gallery: everything that ran is on it, nothing comes from elsewhere, every link leads somewhere."""

import html
import json
import re
from html.parser import HTMLParser
from pathlib import Path
from urllib.parse import unquote

import nbformat
import pytest
from PIL import Image

from wm import gallery, workflow
from wm.files import DamagedFile, write_json

ODD = 'Errors <b>&</b> "quotes" <script>alert(1)</script>'
TABLE = '[{n}]\nnotebook = "{n}_topic.ipynb"\nsystem = "{system}"\ntitle = {title}\nfigures = ["{n}a","{n}b"]'
VERDICTS = {
    "1": "reproduced", "2": "not reproduced", "3": "indicative: not reproduced",
    "4": "cannot be tested here (no recordings)",
}  # fmt: skip


class Page(HTMLParser):
    """Tags with their attributes, and the text of a page."""

    def __init__(self, path: Path):
        super().__init__()
        self.tags, self.text = [], ""
        self.feed(path.read_text("utf-8"))

    def handle_starttag(self, tag, attributes):
        self.tags.append((tag, dict(attributes)))

    def handle_data(self, data):
        self.text += data

    def all(self, attribute: str) -> list[str]:
        return [given[attribute] for _, given in self.tags if attribute in given]


def notebook(path: Path, text: str = "Result") -> None:
    shown = nbformat.v4.new_output("display_data", {"text/html": f"<table><tr><td>{text}</td></tr></table>"})
    code = nbformat.v4.new_code_cell("x = 1 < 2", outputs=[shown], execution_count=1)
    cells = [nbformat.v4.new_markdown_cell(f"# {text} of it"), code]
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(nbformat.writes(nbformat.v4.new_notebook(cells=cells)))


def claim(number: str, key: str, verdict: str) -> dict:
    about = {"id": f"{number}.{key}", "system": "ring", "figure": number, "source": "Fig 3"}
    return about | {"statement": f"statement {number} < {key}", "ours": 1.5, "verdict": verdict}


def draw(roots: Path, number: str) -> Path:
    folder = roots / "results" / number
    notebook(folder / f"{number}_topic.ipynb")
    for name in (f"{number}a", f"{number}b"):
        Image.new("RGB", (30, 20)).save(folder / f"{name}.png")
    (folder / f"{number}a.pdf").write_bytes(b"%PDF")
    claims = [claim(number, key, verdict) for key, verdict in VERDICTS.items()]
    write_json(folder / "claims.json", {"claims": claims})
    write_json(folder / "done.json", {"seconds": 90.0, "commit": "0123456789-dirty"})
    return folder


@pytest.fixture
def shown(roots):
    """Notebooks 13 and 14 of ring and 20 of nback; 13 and 20 have run, 14 has failed, 21 has never run."""
    systems = {"13": "ring", "14": "ring", "20": "nback", "21": "nback"}
    for number in systems:
        notebook(roots / f"notebooks/{number}_topic.ipynb")
    titles = {number: json.dumps(ODD if number == "13" else f"title {number}") for number in systems}
    tables = [TABLE.format(n=number, system=systems[number], title=titles[number]) for number in systems]
    (roots / "notebooks/figures.toml").write_text("\n\n".join(tables))
    draw(roots, "13")
    draw(roots, "20")
    failed = {"status": "error", "error": "ValueError: 1 < 2", "cell": 3, "line": "f(x)", "seconds": 3.0}
    write_json(roots / "results/14/failed.json", failed | {"rerun": "./run_all.sh 14"})
    notebook(roots / "results/14/failed.ipynb")
    return roots / "results"


def times(pages: list[Path]) -> list[int]:
    return [page.stat().st_mtime_ns for page in pages]


def test_every_figure_and_claim_is_on_the_page(shown):
    names = ["13/13_topic.html", "14/failed.html", "20/20_topic.html", "index.html"]
    assert gallery.build() == [shown / name for name in names]
    page = Page(shown / "index.html")
    assert page.all("src") == ["13/13a.png", "13/13b.png", "20/20a.png", "20/20b.png"]
    images = [given for tag, given in page.tags if tag == "img"]
    assert all((given["width"], given["height"]) == ("30", "20") and given["alt"] for given in images)
    for number in ("13", "20"):
        for key, verdict in VERDICTS.items():
            assert f"{number}.{key}" in page.text and f"statement {number} < {key} (Fig 3)" in page.text
            assert verdict.partition(" (")[0] in page.text
    assert "no recordings" in page.text and "90 s · commit 01234567 with changes" in page.text
    assert "3 notebooks, 1 failed, 3 min together" in " ".join(page.text.split())
    badges = re.findall(r"<b>(\d)</b> ([a-z ]+)", (shown / "index.html").read_text())
    kinds = ["reproduced", "not reproduced", "indicative", "cannot be tested"]
    assert badges == [(count, kind) for count in "211" for kind in kinds]


def test_hypotheses_of_our_own_have_badges_of_their_own(shown):
    own = [claim("20", key, verdict.replace("reproduced", "held")) for key, verdict in VERDICTS.items()]
    write_json(shown / "20/claims.json", {"claims": own, "ours": True})
    gallery.build()
    source = (shown / "index.html").read_text()
    badges = re.findall(r"<b>(\d)</b> ([a-z ]+)", source)
    papers = ["reproduced", "not reproduced", "indicative", "cannot be tested"]
    ours = ["held", "not held", *papers[2:]]
    assert badges == [("1", kind) for kind in papers + ours + papers + ours]  # both totals, then both cards
    text = " ".join(Page(shown / "index.html").text.split())
    assert "4 claims: published, ours, verdict" in text
    assert "4 hypotheses of our own: expected, ours, verdict" in text
    assert [source.count(f'<th scope="col">{word}</th>') for word in ("published", "expected")] == [1, 1]
    assert source.count('<td class="verdict reproduced">held</td>') == 1


def test_failure_is_shown_with_its_message_and_what_never_ran_with_its_command(shown):
    gallery.build()
    text = " ".join(Page(shown / "index.html").text.split())
    assert "Failed: error in cell 3f(x)ValueError: 1 < 2run again: ./run_all.sh 14" in text
    assert "notebook as far as it ran" in text and "Not drawn yet: 21 title 21 (./run_all.sh 21)" in text
    assert "from an earlier run" not in text
    Image.new("RGB", (30, 20)).save(shown / "14/14a.png")
    (shown / "20/done.json").unlink()
    gallery.build()
    text = " ".join(Page(shown / "index.html").text.split())
    assert "from an earlier run" in text and "Not finished: stopped" in text
    assert "3 notebooks, 1 failed, 1 unfinished, 93 s together" in text
    (shown / "14/failed.json").unlink()
    draw(shown.parent, "14")
    gallery.build()
    assert "Failed" not in Page(shown / "index.html").text and not (shown / "14/failed.html").exists()


def test_a_notebook_that_never_began_is_told_as_such(shown):
    (shown / "14/failed.ipynb").unlink()
    failed = {"status": "missing input", "error": "declared to be read but not there: x", "seconds": 0.0}
    write_json(shown / "14/failed.json", failed)
    gallery.build()
    text = Page(shown / "index.html").text
    assert "Did not begin: missing input" in text and "as far as it ran" not in text
    assert text.count("executed notebook") == 2 and "notebook of an earlier run" not in text
    notebook(shown / "14/14_topic.ipynb")
    gallery.build()
    text = Page(shown / "index.html").text
    assert "notebook of an earlier run" in text and "as far as it ran" not in text


def test_formulas_are_drawn_without_a_network_and_dollars_stay(shown):
    lines = r"# $x_1$", r"$\bar r < 2$, \$5, `a $y$ b`, $odd_$", r"$$\sum_i i$$", r"\begin{align}z\end{align}"
    output = nbformat.v4.new_output("stream", text="of $q$ dollars")
    code = nbformat.v4.new_code_cell("label = '$w$'", outputs=[output])
    made = nbformat.v4.new_notebook(cells=[nbformat.v4.new_markdown_cell("\n\n".join(lines)), code])
    (shown / "13/13_topic.ipynb").write_text(nbformat.writes(made))
    gallery.build()
    page = Page(shown / "13/13_topic.html")
    assert [given["display"] for tag, given in page.tags if tag == "math"] == ["inline"] * 2 + ["block"] * 2
    assert {"msub", "mover", "munder", "mtable"} <= {tag for tag, _ in page.tags}
    for text in ("r¯<2, $5, a $y$ b, odd_", "label = '$w$'", "of $q$ dollars"):
        assert text in page.text
    assert "http:" not in (shown / "13/13_topic.html").read_text()


def test_pages_are_made_anew_when_a_colour_or_the_layout_of_claims_changes(shown, monkeypatch):
    pages = gallery.build()
    assert {"style.py", "verdicts.py", "notebook_page.py"} < set(gallery._MODULES)
    monkeypatch.setattr(gallery, "_MODULES", gallery._MODULES[:-1])
    assert gallery.build() == pages


def test_odd_titles_are_text(shown):
    gallery.build()
    source = (shown / "index.html").read_text()
    assert f"13 {ODD}" in Page(shown / "index.html").text and html.escape(ODD, quote=False)[:20] in source
    assert source.count("<script>") == 1 and "<b>&</b>" not in source


def test_nothing_is_loaded_from_elsewhere_and_every_link_leads_to_a_file(shown):
    pages = gallery.build()
    for path in pages:
        page, source = Page(path), path.read_text()
        assert "http://" not in source and "https://" not in source and "@import" not in source
        policy = next(g["content"] for t, g in page.tags if g.get("http-equiv") == "Content-Security-Policy")
        assert policy.startswith("default-src 'none'") and "http" not in policy
        links = [link for link in page.all("href") + page.all("src") if not link.startswith(("data:", "#"))]
        assert links and all((path.parent / unquote(link)).is_file() for link in links)
    assert "../notebooks/13_topic.ipynb" in Page(shown / "index.html").all("href")


def test_pages_are_made_anew_only_when_what_they_show_has_changed(shown):
    pages = gallery.build()
    before = times(pages)
    assert gallery.build() == [] and times(pages) == before
    notebook(shown / "13/13_topic.ipynb", "Another")
    assert gallery.build() == [shown / "13/13_topic.html"]
    assert "Another of it" in Page(shown / "13/13_topic.html").text
    write_json(shown / "20/done.json", {"seconds": 4.0})
    assert gallery.build() == [shown / "index.html"]
    (shown / "index.html").write_text("damaged")
    assert gallery.build() == [shown / "index.html"]


def test_smoke_gallery_has_its_own_place_and_says_so(shown):
    shown.joinpath("13").rename(shown / "moved")
    (shown / "smoke").mkdir()
    (shown / "moved").rename(shown / "smoke/13")
    (shown / "smoke/13/done.json").write_text("{")
    assert shown / "smoke/index.html" in gallery.build(shown / "smoke")
    page = Page(shown / "smoke/index.html")
    assert "(smoke run)" in page.text and "Not finished" in page.text
    assert "../../notebooks/13_topic.ipynb" in page.all("href")


def test_damaged_notebook_is_told_and_fails_no_run(shown, capsys):
    (shown / "13/13_topic.ipynb").write_text("{")
    with pytest.raises(DamagedFile, match=r"13_topic.ipynb: is not a notebook"):
        gallery.build()
    workflow._exhibit(shown)
    said = capsys.readouterr()
    assert said.out == "" and said.err.startswith("the gallery is not up to date: ")
    assert said.err.count("\n") == 1
    notebook(shown / "13/13_topic.ipynb")
    workflow._exhibit(shown)
    workflow._exhibit(shown)
    assert capsys.readouterr() == (f"to look at in a browser: {shown / 'index.html'}\n", "")
