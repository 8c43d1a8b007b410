"""The table that closes a run, and the page of all claims."""

__all__ = ["table", "write_claims_page"]

from collections import Counter
from collections.abc import Iterable, Mapping
from pathlib import Path

from wm import paths
from wm.files import read_json
from wm.index import Figure

_HEAD = ["notebook", "status", "seconds", "figures", "reproduced", "not", "untestable"]
_VERDICTS = ("reproduced", "not reproduced", "cannot be tested here")


def table(index: Mapping[str, Figure], numbers: Iterable[str], results: Path) -> str:
    """A line per notebook: status, seconds, figures, and how many claims were reproduced, not, untestable."""
    rows = [_HEAD, *(_row(index[number], results / number) for number in numbers)]
    widths = [max(map(len, column)) for column in zip(*rows, strict=True)]
    return "\n".join(
        "  ".join(cell.ljust(width) for cell, width in zip(row, widths, strict=True)).rstrip() for row in rows
    )


def _row(figure: Figure, folder: Path) -> list[str]:
    name, figures = Path(figure.notebook).stem, " ".join(figure.figures)
    if not (folder / "done.json").is_file():
        return [name, _failure(folder / "failed.json"), "", figures, "", "", ""]
    done, counts = read_json(folder / "done.json"), Counter()
    for verdict, count in done["claims"].items():
        counts[verdict.removeprefix("indicative: ")] += count
    return [name, "ok", f"{done['seconds']:.0f}", figures, *(str(counts[verdict]) for verdict in _VERDICTS)]


def _failure(path: Path) -> str:
    return read_json(path)["status"].upper() if path.is_file() else "NOT RUN"


def write_claims_page() -> Path:
    """Bring `figures()/CLAIMS.md` up to date with `figures()/claims/`; return it, untouched if it is so."""
    from wm import verdicts  # brings scipy, for which a run with nothing to do need not wait

    page = paths.figures() / "CLAIMS.md"
    if not page.is_file() or page.read_text("utf-8") != verdicts.merge():
        verdicts.write_claims_md()
    return page
