"""The page to look at after a run: `index.html` in the results, and each executed notebook as a page.

Both open from disk, without a server, and load nothing from elsewhere. A page names what it was made from by
its hash, and is made anew only when that has changed.
"""

__all__ = ["build"]

import hashlib
import os
from collections import Counter
from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import TYPE_CHECKING, Any
from urllib.parse import quote

from wm import paths
from wm.files import DamagedFile, read_json, to_json, write_atomic
from wm.index import Figure, read_index

if TYPE_CHECKING:  # a run with nothing to do need not wait for it
    import jinja2

_TEMPLATES = Path(__file__).parent / "templates"
_KINDS = (
    ("reproduced", "✓", "reproduced", "shown by the rule fixed beforehand"),
    ("not", "✗", "not reproduced", "not shown; the note says if it is contradicted"),
    ("indicative", "≈", "indicative", "either way, from fewer than 6 networks in a condition"),
    ("untestable", "–", "cannot be tested", "what it needs is not here"),
)
_OUR_NAMES = {"reproduced": "held", "not": "not held"}  # of hypotheses of our own
_UNFINISHED = {
    "status": "unfinished", "word": "Not finished: stopped, or its record is damaged", "seconds": None,
}  # fmt: skip
_MODULES = ("gallery.py", "notebook_page.py", "style.py", "verdicts.py")  # colours and rows of claims too
_NEVER_BEGAN = ("missing input", "no kernel")
_PNG_SIZE = slice(16, 24)  # width and height, four bytes each, in the first chunk of every PNG


def build(results: Path | None = None) -> list[Path]:
    """Bring the gallery of `results` (by default `results()`) up to date; return the files that changed.

    Shown is every notebook of the index that has run there. Raises `WrongIndex`; `DamagedFile` for an
    executed notebook that cannot be read; `CannotWrite`.
    """
    results, index = results or paths.results(), read_index()
    known = {number: _card(figure, results) for number, figure in index.items()}
    cards = [card for card in known.values() if card]
    missing = [figure for number, figure in index.items() if not known[number]]
    pages = {results / card["page"]: results / card["executed"] for card in cards if card["page"]}
    changed = [page for page, executed in pages.items() if _convert(executed, page)]
    for card in cards:
        if (old := results / card["number"] / "failed.html") not in pages:
            old.unlink(missing_ok=True)
    return changed + _index(results / "index.html", cards, missing)


def _card(figure: Figure, results: Path) -> dict[str, Any] | None:
    """What the index page tells of one notebook, links relative to it; None if it has never run here."""
    folder = results / figure.number
    files = [name for name in figure.figures if (folder / f"{name}.png").is_file()]
    run = _run(folder)
    if not files and not run:
        return None
    run = run or _UNFINISHED
    executed = _executed(folder, figure, run["status"])
    sheet = _record(folder / "claims.json") or {}
    claims = sheet.get("claims", [])
    return run | {
        "number": figure.number, "title": figure.title, "system": figure.system, "notebook": figure.notebook,
        "figures": [_figure(folder, name) for name in files],
        "claims": claims, "ours": bool(sheet.get("ours")),
        "counts": Counter(_kind(claim["verdict"]) for claim in claims),
        "executed": executed and f"{figure.number}/{executed}",
        "shows": _shows(executed, run["status"]),
        "page": executed and f"{figure.number}/{Path(executed).stem}.html",
        "source": Path(os.path.relpath(paths.notebooks() / figure.notebook, results)).as_posix(),
    }  # fmt: skip


def _run(folder: Path) -> dict[str, Any] | None:
    """How the last run ended."""
    if done := _record(folder / "done.json"):
        return {"status": "ok", "seconds": done.get("seconds"), "commit": _short(done.get("commit"))}
    if failed := _record(folder / "failed.json"):
        told = {key: failed.get(key) for key in ("error", "cell", "line", "rerun", "seconds")}
        word = "Did not begin" if failed.get("status") in _NEVER_BEGAN else "Failed"
        return told | {"status": "failed", "word": f"{word}: {failed.get('status')}"}
    return None


def _record(path: Path) -> dict[str, Any] | None:
    try:
        record = read_json(path) if path.is_file() else None
    except DamagedFile:  # as good as none
        return None
    return record if isinstance(record, dict) else None


def _short(commit: str | None) -> str:
    digits, _, dirty = (commit or "").partition("-")
    return digits[:8] + " with changes" * bool(dirty)


def _executed(folder: Path, figure: Figure, status: str) -> str:
    names = ["failed.ipynb"] * (status == "failed") + [figure.notebook]
    return next((name for name in names if (folder / name).is_file()), "")


def _shows(executed: str, status: str) -> str:
    if executed == "failed.ipynb":
        return "notebook as far as it ran"
    return "executed notebook" if status == "ok" else "notebook of an earlier run"


def _figure(folder: Path, name: str) -> dict[str, Any]:
    with open(folder / f"{name}.png", "rb") as file:
        size = file.read(_PNG_SIZE.stop)[_PNG_SIZE]
    pdf = (folder / f"{name}.pdf").is_file()
    return {
        "name": name,
        "png": f"{folder.name}/{name}.png",
        "pdf": f"{folder.name}/{name}.pdf" if pdf else "",
        "width": int.from_bytes(size[:4], "big"),
        "height": int.from_bytes(size[4:], "big"),
    }


def _kind(verdict: str) -> str:
    if verdict.startswith("indicative"):
        return "indicative"
    names = {"reproduced": "reproduced", "not reproduced": "not"}
    return (names | {name: key for key, name in _OUR_NAMES.items()}).get(verdict, "untestable")


def _convert(executed: Path, page: Path) -> bool:
    """Write the page of an executed notebook if it is not up to date; whether it was written."""
    content = executed.read_bytes()
    stamp = _stamp([content, *_sources("notebook.html")])
    if _made_from(page) == stamp:
        return False
    from wm.notebook_page import code_style, to_html  # takes two seconds

    body = to_html(executed, content)
    _write(page, "notebook.html", stamp=stamp, name=executed.stem, body=body, pygments=code_style())
    return True


def _index(page: Path, cards: list[dict[str, Any]], missing: list[Figure]) -> list[Path]:
    content = to_json([cards, [f"{figure.number} {figure.title}" for figure in missing]])
    stamp = _stamp([content, *_sources("gallery.html")])
    if _made_from(page) == stamp:
        return []
    for card in cards:
        card["duration"], card["rows"] = _duration(card["seconds"]), list(_rows(card["claims"]))
    _write(
        page, "gallery.html", stamp=stamp, cards=cards, missing=missing, smoke=page.parent.name == "smoke",
        systems=list(dict.fromkeys(card["system"] for card in cards)),
        ended=Counter(card["status"] for card in cards),
        duration=_duration(sum(card["seconds"] or 0 for card in cards)),
        totals=[
            (ours, sum((card["counts"] for card in cards if card["ours"] == ours), Counter()))
            for ours in (False, True)
        ],
        kinds=[dict(zip(("key", "sign", "name", "meaning"), kind, strict=True)) for kind in _KINDS],
        our_names=_OUR_NAMES,
    )  # fmt: skip
    return [page]


def _rows(claims: list[dict[str, Any]]) -> Iterator[dict[str, str]]:
    from wm.verdicts import Claim, row  # brings scipy

    for claim in claims:
        verdict, _, why = claim["verdict"].partition(" (")
        note = claim.get("note") or why.removesuffix(")")
        yield row(Claim(**claim)) | {"kind": _kind(verdict), "verdict": verdict, "note": note}


def _duration(seconds: float | None) -> str:
    if seconds is None:
        return ""
    return f"{seconds:.0f} s" if seconds < 120 else f"{seconds / 60:.0f} min"


def _write(page: Path, template: str, **content: Any) -> None:
    from wm.style import COLORS  # brings matplotlib

    write_atomic(page, _environment().get_template(template).render(colours=COLORS, **content).encode())


def _environment() -> "jinja2.Environment":
    import jinja2

    loader = jinja2.FileSystemLoader(_TEMPLATES)
    environment = jinja2.Environment(
        loader=loader, autoescape=True, trim_blocks=True, undefined=jinja2.ChainableUndefined
    )
    environment.filters["link"] = quote
    return environment


def _sources(template: str) -> list[bytes]:
    templates = [_TEMPLATES / name for name in (template, "head.html", "style.css")]
    modules = [Path(__file__).with_name(name) for name in _MODULES]
    return [path.read_bytes() for path in templates + modules]


def _stamp(parts: Iterable[bytes]) -> str:
    return hashlib.sha256(b"".join(hashlib.sha256(part).digest() for part in parts)).hexdigest()


def _made_from(page: Path) -> str:
    head = page.read_bytes()[:2000] if page.is_file() else b""
    return head.partition(b'name="wm-made-from" content="')[2][:64].decode("ascii", "replace")
