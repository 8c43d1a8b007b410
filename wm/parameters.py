"""Parameters of a notebook: what its `parameters` cell declares, checked before any kernel starts."""

__all__ = [
    "BadParameters", "Cell", "Parameter", "check_parameters", "read_cells", "read_parameters", "to_text",
]  # fmt: skip

import ast
import math
from collections.abc import Mapping
from pathlib import Path
from typing import Any, NamedTuple

from wm.files import DamagedFile, read_json
from wm.text import nearest

FORM = "`name: type = literal  # comment`"
_SCALARS = {"bool": bool, "int": int, "float": float, "str": str}
_KINDS = {*_SCALARS, "list", *(f"list[{scalar}]" for scalar in _SCALARS)}


class BadParameters(ValueError):
    """What is wrong with a notebook's parameters or with the values given for them, all at once."""

    def __init__(self, notebook: str, problems: list[str]):
        super().__init__(notebook, problems)
        self.notebook, self.problems = notebook, problems

    def __str__(self) -> str:
        return "\n  - ".join([f"{self.notebook}: bad parameters", *self.problems])


class Cell(NamedTuple):
    """One cell of a notebook file."""

    kind: str
    """`"code"`, `"markdown"` or `"raw"`."""
    source: str
    """Its text."""
    tags: tuple[str, ...]
    """Its tags."""


class Parameter(NamedTuple):
    """One line of a `parameters` cell."""

    name: str
    """Its name."""
    kind: str
    """`bool`, `int`, `float`, `str`, `list` or `list[...]` of one of the first four."""
    default: Any
    """Value if none is given."""


def read_cells(path: str | Path) -> list[Cell]:
    """Cells of a notebook file. Raises `DamagedFile` if it is none."""
    try:
        return [
            Cell(cell["cell_type"], "".join(cell["source"]), tuple(cell["metadata"].get("tags", ())))
            for cell in read_json(path)["cells"]
        ]
    except (AttributeError, KeyError, TypeError) as error:
        raise DamagedFile(path, f"is not a notebook ({error!r})") from error


def read_parameters(path: str | Path) -> dict[str, Parameter]:
    """Parameters that a notebook declares, by name.

    Raises `BadParameters` if it has no `parameters` cell or several, or a line there that papermill cannot
    read or whose default is not of its type.
    """
    cells = [cell for cell in read_cells(path) if cell.kind == "code"]
    problems = _placement(cells)
    parameters, unreadable = _parse(next((c.source for c in cells if "parameters" in c.tags), ""))
    if problems := problems + unreadable:
        raise BadParameters(Path(path).name, problems)
    return parameters


def check_parameters(path: str | Path, given: Mapping[str, Any], *, text: bool = False) -> dict[str, Any]:
    """All parameters of a notebook, those `given` in place of the defaults.

    With `text`, values are strings as typed in a shell (`true`, `3`, `1e-2`, `[1, 2]`). Raises
    `BadParameters` with every unknown name (and the nearest known one) and every value of another type; an
    int serves as float, nothing else is converted.
    """
    declared = read_parameters(path)
    values = {name: parameter.default for name, parameter in declared.items()}
    problems = []
    for name, value in given.items():
        if name not in declared:
            problems.append(f"`{name}` is not a parameter: {nearest(name, declared)}")
            continue
        kind = declared[name].kind
        value = _from_text(value, kind) if text else value
        if not _fits(value, kind):
            problems.append(f"`{name}` must be {kind}, not {value!r}")
        values[name] = float(value) if kind == "float" and _fits(value, kind) else value
    if problems:
        raise BadParameters(Path(path).name, problems)
    return values


def to_text(value: Any) -> str:
    """A value as `check_parameters(..., text=True)` reads it back."""
    return value if isinstance(value, str) else str(value).lower() if isinstance(value, bool) else repr(value)


def _placement(cells: list[Cell]) -> list[str]:
    count = sum("parameters" in cell.tags for cell in cells)
    problems = [] if count == 1 else [f"cells tagged `parameters`: {count or 'none'}; tag exactly one"]
    if any("injected-parameters" in cell.tags for cell in cells):
        problems.append("a cell is tagged `injected-parameters`, left by an earlier run: delete it")
    return problems


def _parse(source: str) -> tuple[dict[str, Parameter], list[str]]:
    # Imported late: it takes a second, which those who only read the index need not wait.
    from papermill.translators import PythonTranslator

    try:
        statements = ast.parse(source).body
    except SyntaxError as error:
        return {}, [f"line {error.lineno} of the parameters is not Python: {(error.text or '').strip()}"]
    seen_by_papermill = {parameter.name for parameter in PythonTranslator.inspect({"source": source})}
    parameters, problems = {}, []
    for statement in statements:
        line = ast.get_source_segment(source, statement)
        parameter = _literal(statement)
        if parameter is None or parameter.name not in seen_by_papermill:
            problems.append(f"papermill cannot read `{line}`: write {FORM}")
        elif parameter.kind not in _KINDS:
            problems.append(f"type of `{line}` is not one of {', '.join(sorted(_KINDS))}")
        elif not _fits(parameter.default, parameter.kind):
            problems.append(f"default of `{line}` is not {parameter.kind}")
        elif parameter.name in parameters:
            problems.append(f"`{parameter.name}` is declared twice")
        else:
            parameters[parameter.name] = parameter
    return parameters, problems


def _literal(statement: ast.stmt) -> Parameter | None:
    match statement:
        case ast.AnnAssign(target=ast.Name(name), annotation=kind, value=ast.expr() as value):
            kind = ast.unparse(kind)
        case ast.Assign(targets=[ast.Name(name)], value=value):
            kind = None
        case _:
            return None
    try:
        default = ast.literal_eval(value)
    except ValueError:
        return None
    return Parameter(name, kind or type(default).__name__, default)


def _fits(value: Any, kind: str) -> bool:
    match kind:
        case "list":
            return isinstance(value, list) and all(any(_fits(item, k) for k in _SCALARS) for item in value)
        case "float":
            return type(value) in (int, float) and math.isfinite(value)
        case "bool" | "int" | "str":
            return type(value) is _SCALARS[kind]  # not isinstance: True is no int here
    return isinstance(value, list) and all(_fits(item, kind[5:-1]) for item in value)


def _from_text(text: str, kind: str) -> Any:
    if kind == "str":
        return text
    if kind == "bool":
        return {"true": True, "false": False}.get(text.lower(), text)
    try:
        return ast.literal_eval(text)
    except (SyntaxError, ValueError):
        return text
