"""Form of a committed notebook: cleared, typed parameters, thin cells, a heading per panel, claims."""

__all__ = ["code_hash", "lint"]

import ast
import hashlib
import io
import json
import re
import tokenize
from collections.abc import Iterator
from pathlib import Path

from wm.files import read_json
from wm.index import read_index
from wm.parameters import FORM, BadParameters, Cell, read_cells, read_parameters

MAX_LINES = 30
_DEFINITIONS = (ast.FunctionDef, ast.AsyncFunctionDef, ast.ClassDef)


def code_hash(path: str | Path) -> str:
    """sha256 over the sources of the code cells: what markdown, tags and outputs cannot change."""
    sources = [cell.source for cell in read_cells(path) if cell.kind == "code"]
    return hashlib.sha256(json.dumps(sources).encode()).hexdigest()


def lint(path: str | Path) -> list[str]:
    """What is wrong with a notebook as it is committed, one line each; empty if nothing is.

    Each figure that the index beside it declares for it, such as 13a, needs a heading (`## a ...`,
    `## Panel a ...` or `## 13a ...`). Raises `DamagedFile` if it is not a notebook, `WrongIndex`.
    """
    path = Path(path)
    cells = read_cells(path)
    code = [cell for cell in cells if cell.kind == "code"]
    return [
        *_cleared(read_json(path)),
        *_title(cells),
        *_parameters(path, code),
        *(f"cell {number}: {what}" for number, cell in enumerate(cells, 1) for what in _cell(cell)),
        *_headings(cells, _figures(path)),
        *_claims(code),
    ]


def _cleared(notebook: dict) -> Iterator[str]:
    if notebook["metadata"].get("kernelspec", {}).get("name") != "python3":
        yield "kernel name is not `python3`"
    holders = [("notebook", notebook), *((f"cell {n}", cell) for n, cell in enumerate(notebook["cells"], 1))]
    for where, holder in holders:
        if holder.get("outputs"):
            yield f"{where}: has outputs: clear them"
        if holder.get("execution_count") is not None:
            yield f"{where}: has an execution count: clear it"
        for key in {"papermill", "widgets", "execution"} & holder["metadata"].keys():
            yield f"{where}: has {key} metadata: remove it"


def _title(cells: list[Cell]) -> Iterator[str]:
    if not cells or cells[0].kind != "markdown" or not cells[0].source.startswith("# "):
        yield "first line is not a title (`# ...` in a markdown cell)"


def _parameters(path: str | Path, code: list[Cell]) -> Iterator[str]:
    try:
        parameters = read_parameters(path)
    except BadParameters as error:
        yield from error.problems
        return
    if parameters.get("smoke", ())[1:] != ("bool", False):
        yield "parameters: `smoke: bool = False` is missing"
    for cell in code:
        if "parameters" in cell.tags:
            untyped = [line for line in cell.source.splitlines() if not _typed(line)]
            yield from (f"parameters: `{line}` is not {FORM}" for line in untyped)
        else:
            again = sorted(_assigned(cell.source) & parameters.keys())
            yield from (f"parameter `{name}` is assigned again: a given value is lost" for name in again)


def _typed(line: str) -> bool:
    if not line.strip() or line.startswith("#"):
        return True
    try:
        statements = ast.parse(line).body
        tokens = list(tokenize.generate_tokens(io.StringIO(line).readline))
    except (SyntaxError, tokenize.TokenError):
        return False
    commented = any(token.type == tokenize.COMMENT for token in tokens)
    return commented and len(statements) == 1 and isinstance(statements[0], ast.AnnAssign)


def _assigned(source: str) -> set[str]:
    names = (node for node in _walk(source) if isinstance(node, ast.Name))
    return {name.id for name in names if isinstance(name.ctx, ast.Store)}


def _walk(source: str) -> list[ast.AST]:
    try:
        return list(ast.walk(ast.parse(source)))
    except SyntaxError:
        return []


def _cell(cell: Cell) -> Iterator[str]:
    yield from _code(cell)
    yield from _math(cell)


def _math(cell: Cell) -> Iterator[str]:
    """Commands of LaTeX that an escape too many has broken: they show as a line break and letters."""
    if cell.kind == "markdown":
        for formula in re.findall(r"\$\$.+?\$\$|\$[^$]+\$", cell.source, re.DOTALL):
            for name in re.findall(r"\\\\([A-Za-z]+)", formula):
                yield f"has a doubled backslash in a formula: write `\\{name}`"


def _code(cell: Cell) -> Iterator[str]:
    if cell.kind != "code":
        return
    lines = cell.source.splitlines()
    if len(lines) > MAX_LINES:
        yield f"has {len(lines)} lines, more than {MAX_LINES}: move code to `wm`"
    for node in _walk(cell.source):
        if isinstance(node, _DEFINITIONS):
            yield f"defines `{node.name}`: move it to `wm`"
    try:
        ast.parse(cell.source)
    except SyntaxError as error:
        yield f"is not plain Python (shell line, magic or mistake): `{(error.text or '').strip()}`"


def _figures(path: Path) -> tuple[str, ...]:
    index = path.with_name("figures.toml")
    figures = read_index(index).values() if index.is_file() else ()
    return next((figure.figures for figure in figures if figure.notebook == path.name), ())


def _headings(cells: list[Cell], figures: tuple[str, ...]) -> Iterator[str]:
    text = "\n".join(cell.source for cell in cells if cell.kind == "markdown")
    for figure in figures:
        number, letter = figure[:2], figure[2]
        if not re.search(rf"^##+ +(?:[Pp]anel +|{number})?\(?{letter}\b", text, re.MULTILINE):
            yield f"no heading for panel {letter} of figure {figure}: write `## {letter} ...`"


def _claims(code: list[Cell]) -> Iterator[str]:
    if not code or ".save()" not in code[-1].source:
        yield "last code cell does not record claims (`sheet.save()`)"
