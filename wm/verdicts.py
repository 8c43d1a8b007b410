"""Claims as records: judged, rounded, read back, counted, and merged into one table."""

__all__ = [
    "ALPHA",
    "COLUMNS",
    "ENOUGH",
    "OUR_VERDICTS",
    "VERDICTS",
    "Claim",
    "columns",
    "judged",
    "merge",
    "row",
    "rounded",
    "tally",
    "write_claims_md",
]

import math
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import Path

from wm import paths
from wm.estimate import holm
from wm.files import read_json, write_atomic

ALPHA = 0.05
ENOUGH = 6  # networks per condition; a verdict from fewer is only indicative
VERDICTS = (
    "reproduced",
    "not reproduced",
    "indicative: reproduced",
    "indicative: not reproduced",
    "cannot be tested here",
)
OUR_VERDICTS = tuple(verdict.replace("reproduced", "held") for verdict in VERDICTS)
HEAD = f"""# Claims

A published statement, our number over networks, and a verdict by a rule written down before the notebook ran.

- `within ± m`: our value is equivalent to the published one. Two one-sided tests at 5 %: the 90 % interval
  lies inside published ± m.
- `greater`, `less`: one-sided test of a difference (Welch, or paired by seed), or of a mean or a bootstrapped
  number against a fixed number. `ours` is the difference, or that number.
- `order`: every adjacent step in the stated order, each by a one-sided t-test. `ours` is the weakest step.
- All claims of one notebook are corrected together (Holm, {ALPHA:.0%}); `p` is the corrected one. Intervals
  are over networks, 95 %, not corrected.
- `not reproduced`: the claim was not shown. With the note `contradicted` our 95 % interval excludes it;
  without that note our networks leave it open. A failed claim stays in this list.
- `indicative`: fewer than {ENOUGH} networks in a condition.
"""
OURS = """
# Hypotheses of our own

Nobody published these: `expected` is what we wrote down before the notebook ran. The rules are those above;
the verdict is `held`, or `not held` where `not reproduced` stands above.
"""
COLUMNS = ("id", "statement", "published", "ours [95 %]", "networks", "rule", "p", "verdict", "note")


@dataclass(frozen=True)
class Claim:
    """One statement, published or expected by ourselves, beside our number.

    `ours` is the mean (or statistic) for `within` and against a fixed number, the difference a - b for
    `greater` and `less`, the weakest step for `order`; `n_networks` counts the smallest condition; `p_holm`
    is p after the correction.
    """

    id: str
    system: str
    figure: str
    statement: str
    source: str
    published: float | str | None = None
    ours: float | None = None
    interval: tuple[float, float] | None = None
    n_networks: int = 0
    rule: str = "untestable"
    margin: float | None = None
    p: float | None = None
    p_holm: float | None = None
    verdict: str = ""
    note: str = ""


def judged(claims: Sequence[Claim], *, ours: bool = False) -> tuple[Claim, ...]:
    """The claims of one sheet with Holm-corrected p and verdicts; those without p stay as they are.

    ours: verdicts are `OUR_VERDICTS`.
    """
    corrected = iter(holm([claim.p for claim in claims if claim.p is not None]))
    word = "held" if ours else "reproduced"
    return tuple(c if c.p is None else _judge(c, float(next(corrected)), word) for c in claims)


def columns(ours: bool) -> tuple[str, ...]:
    """Heads of `COLUMNS`: what a hypothesis of our own says is expected, not published."""
    return tuple("expected" if ours and name == "published" else name for name in COLUMNS)


def rounded(claim: Claim) -> Claim:
    """Three digits of the largest of the number and its interval, p to four decimals."""
    largest = max(map(abs, (claim.ours or 0, *(claim.interval or ()))))
    digits = 2 - math.floor(math.log10(largest)) if largest else 0
    fields = {name: value and round(value, 4) for name, value in (("p", claim.p), ("p_holm", claim.p_holm))}
    if claim.ours is not None:
        fields["ours"] = round(claim.ours, digits) + 0.0  # no negative zero
    if claim.interval:
        fields["interval"] = tuple(round(end, digits) + 0.0 for end in claim.interval)
    return replace(claim, **fields)


def row(claim: Claim) -> dict[str, str]:
    """A claim as text, one entry per column of `COLUMNS`."""
    source = f" ({claim.source})" if claim.source else ""
    interval = " [{:.6g}, {:.6g}]".format(*claim.interval) if claim.interval else ""
    margin = "" if claim.margin is None else f" ± {claim.margin:.6g}"
    p = "–" if claim.p_holm is None else f"{claim.p_holm:.4f}" if claim.p_holm >= 1e-4 else "< 0.0001"
    cells = (
        claim.id,
        claim.statement + source,
        _text(claim.published),
        _text(claim.ours) + interval,
        _text(claim.n_networks or None),
        claim.rule + margin,
        p,
        claim.verdict,
        claim.note,
    )
    return dict(zip(COLUMNS, cells, strict=True))


def tally(path: Path) -> dict[str, int]:
    """How often each of `VERDICTS`, or `OUR_VERDICTS`, stands in a claims file; ValueError if it is none."""
    sheet, claims = _read(path)
    return _count(claims, sheet["ours"])


def merge(folder: Path | None = None) -> str:
    """All sheets of a folder (default: `figures()/claims`) as markdown: rules, counts, a table per notebook.

    Hypotheses of our own come last, with counts of their own. Raises ValueError for a file that is not a
    claim sheet, and for a smoke run's sheet, which proves nothing.
    """
    folder = paths.figures() / "claims" if folder is None else Path(folder)
    tables, everything = {False: "", True: ""}, {False: [], True: []}
    for path in sorted(folder.glob("*.json")):
        sheet, claims = _read(path)
        if sheet["smoke"]:
            raise ValueError(
                f"{path}: from a smoke run; delete it and run notebook {sheet['notebook']} in full"
            )
        paper, ours = sheet["paper"] and f": {sheet['paper']}", sheet["ours"]
        everything[ours] += claims
        tables[ours] += f"\n## {sheet['notebook']} ({sheet['system']}){paper}\n\n{_markdown(claims, ours)}"
    page = f"{HEAD}\n{_total(everything[False], False)}{tables[False]}"
    return page + (f"{OURS}\n{_total(everything[True], True)}{tables[True]}" if everything[True] else "")


def write_claims_md() -> Path:
    """Write `merge()` to `figures()/CLAIMS.md`."""
    path = paths.figures() / "CLAIMS.md"
    path.parent.mkdir(parents=True, exist_ok=True)
    return write_atomic(path, merge().encode())


def _judge(claim: Claim, p_holm: float, word: str) -> Claim:
    verdict = word if p_holm < ALPHA else f"not {word}"
    few = "indicative: " if claim.n_networks < ENOUGH else ""
    return replace(claim, p_holm=p_holm, verdict=few + verdict)


def _text(value: float | str | None) -> str:
    return "–" if value is None else value if isinstance(value, str) else f"{value:.6g}"


def _total(claims: Sequence[Claim], ours: bool) -> str:
    counts = [f"{number} {verdict}" for verdict, number in _count(claims, ours).items() if number]
    return f"**{len(claims)} {'hypotheses' if ours else 'claims'}{': ' * bool(counts)}{', '.join(counts)}**\n"


def _count(claims: Sequence[Claim], ours: bool) -> dict[str, int]:
    seen = Counter(claim.verdict.split(" (")[0] for claim in claims)
    return {verdict: seen[verdict] for verdict in (OUR_VERDICTS if ours else VERDICTS)}


def _markdown(claims: Sequence[Claim], ours: bool) -> str:
    lines = [columns(ours), ("---",) * len(COLUMNS), *(row(claim).values() for claim in claims)]
    # A bar or a line break inside a cell would end it.
    cells = ([" ".join(cell.split()).replace("|", "\\|") for cell in line] for line in lines)
    return "".join(f"| {' | '.join(line)} |\n" for line in cells)


def _read(path: Path) -> tuple[dict, list[Claim]]:
    sheet = read_json(path)
    try:
        claims = [Claim(**entry) for entry in sheet["claims"]]
        heading = {key: sheet[key] for key in ("notebook", "system", "smoke")}
        return heading | {"paper": sheet.get("paper", ""), "ours": bool(sheet.get("ours"))}, claims
    except (KeyError, TypeError) as error:
        raise ValueError(f"{path}: not a claim sheet ({error}); run its notebook again") from None
