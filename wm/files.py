"""Whole files or none: atomic writes, hashes, seals, and strict JSON and CSV.

A *seal* is the sha256 of a file, kept inside that same file: the 64 digits are computed with zeros in their
place. It covers every byte, so that no flipped bit is ever read as a number.
"""

__all__ = [
    "CannotWrite", "DamagedFile", "StoreError", "WrongSchema", "check_schema", "is_sealed", "parse_json",
    "parsing", "read_bytes", "read_json", "read_table", "seal", "sha256", "to_json", "write_all",
    "write_atomic", "write_json", "write_table", "writing",
]  # fmt: skip

import csv
import errno
import hashlib
import io
import json
import math
import os
import re
import secrets
import shutil
from collections import Counter
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

if TYPE_CHECKING:  # it takes a third of a second
    import pandas as pd

Content = bytes | Callable[[Path], Any]

MAKE_AGAIN = "restore it with `git checkout` or run again what made it"
TEMPORARY = ".tmp-"
_NUMBERS = re.compile(r"\[\n([-+.,eE\d\s]+)\]")  # strings have no line breaks
_SEAL = re.compile(rb'\\?"seal\\?": ?\\?"([0-9a-f]{64})')
_REASONS = {
    errno.ENOSPC: "no space left on the disk",
    errno.EDQUOT: "the disk quota is used up",
    errno.EFBIG: "the file size limit is reached (see `ulimit -f`)",
    errno.EROFS: "the disk is read-only",
    errno.EACCES: "no permission to write",
    errno.EPERM: "no permission to write",
    errno.ENOTDIR: "a file is in the way of a folder",
    errno.EEXIST: "a file is in the way",
    errno.ENOENT: "no folder can be made here",
}


class StoreError(Exception):
    """A file problem, told as `<path>: <what>: <remedy>`."""

    def __init__(self, path: str | Path, what: str, remedy: str = MAKE_AGAIN):
        super().__init__(path, what, remedy)
        self.path, self.what, self.remedy = Path(path), what, remedy

    def __str__(self) -> str:
        return f"{self.path}: {self.what}: {self.remedy}"


class DamagedFile(StoreError):
    """The file is missing, cut, changed, or not of the kind that its name says."""


class WrongSchema(StoreError):
    """The file is whole, but its layout is not the one that was asked for."""


class CannotWrite(StoreError):
    """Nothing was written (full, read-only or forbidden place); the earlier file is intact."""


def write_atomic(path: str | Path, content: Content) -> Path:
    """Give `path` its new content whole or not at all; return the path.

    `content` is bytes, or a function that writes to the path it is given (same folder, same suffix).
    Raises `CannotWrite` if the place is full, read-only or forbidden; the earlier file then stays as it was.
    """
    write_all({Path(path): content})
    return Path(path)


def write_all(contents: Mapping[Path, Content]) -> None:
    """Write several files, none of them if one fails; they take their names in the order given.

    Raises `CannotWrite` as `write_atomic` does. Only a kill between two renames can leave old beside new,
    which is why a file that vouches for others comes last.
    """
    temporary = {path: path.with_name(f"{TEMPORARY}{secrets.token_hex(8)}{path.suffix}") for path in contents}
    try:
        for path, content in contents.items():
            with _explaining(path, temporary[path], content):
                path.parent.mkdir(parents=True, exist_ok=True)
                _write_through(temporary[path], content)
        for path in contents:
            with _explaining(path, temporary[path], contents[path]):
                os.replace(temporary[path], path)
                _sync(path.parent)
    finally:
        for leftover in temporary.values():
            _remove(leftover)


def _write_through(path: Path, content: Content) -> None:
    path.write_bytes(content) if isinstance(content, bytes) else content(path)
    _sync(path)


def _sync(path: Path) -> None:
    descriptor = os.open(path, os.O_RDONLY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)


def _remove(path: Path) -> None:
    with suppress(OSError):  # a read-only disk refuses to remove even what is not there
        path.unlink()


@contextmanager
def _explaining(path: Path, temporary: Path, content: Content) -> Iterator[None]:
    try:
        yield
    except OSError as error:
        if error.errno not in _REASONS:
            raise
        written = temporary.stat().st_size if temporary.exists() else 0
        needed = f"{len(content)} bytes" if isinstance(content, bytes) else f"more than {written} bytes"
        _remove(temporary)  # before the free space is counted
        what = f"{_REASONS[error.errno]} (needs {needed}, {_free_bytes(path)} bytes free)"
        raise CannotWrite(path, what, "make room or choose another place, then run again") from error


def _free_bytes(path: Path) -> int:
    return shutil.disk_usage(next(folder for folder in path.absolute().parents if folder.exists())).free


def read_bytes(path: str | Path, *, again: str = MAKE_AGAIN) -> bytes:
    """Whole content of a file. Raises `DamagedFile` if there is none to read; `again` is its remedy."""
    with parsing(path, again=again):
        return Path(path).read_bytes()


@contextmanager
def parsing(path: str | Path, *, again: str = MAKE_AGAIN) -> Iterator[None]:
    """Turn whatever a parser raises on bad content into `DamagedFile`, with `again` as its remedy."""
    try:
        yield
    except FileNotFoundError as error:
        raise DamagedFile(path, "is missing", again) from error
    except StoreError:
        raise
    except Exception as error:  # parsers raise anything: struct.error, RecursionError, MemoryError, ...
        raise DamagedFile(path, f"cannot be read ({error or type(error).__name__})", again) from error


def sha256(path: str | Path) -> str:
    """Hash of a file's content, 64 hexadecimal digits."""
    with parsing(path), open(path, "rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()


def seal(content: bytes) -> bytes:
    """Fill in the seal of `content`, whose first `"seal"` field holds 64 digits of any kind."""
    start, end = _SEAL.search(content).span(1)
    return content[:start] + _digest_without(content, start, end) + content[end:]


def is_sealed(content: bytes) -> bool:
    """Whether `content` has a seal and every byte is as it was when sealed."""
    match = _SEAL.search(content)
    return match is not None and match[1] == _digest_without(content, *match.span(1))


def _digest_without(content: bytes, start: int, end: int) -> bytes:
    return hashlib.sha256(content[:start] + b"0" * 64 + content[end:]).hexdigest().encode()


def check_schema(path: str | Path, found: Any, known: int) -> None:
    """Raise `WrongSchema` unless the file's schema number `found` is the one that this version reads."""
    if found != known:
        raise WrongSchema(path, f"has schema {found}, this wm reads {known}", f"update wm, or {MAKE_AGAIN}")


def write_json(path: str | Path, obj: Any) -> Path:
    """Write `obj` as JSON, keys in their order; numpy scalars and arrays become numbers and lists.

    Raises `ValueError` naming the key path of a NaN, an infinity, a key that is no string or a value that
    JSON does not have; `CannotWrite`.
    """
    return write_atomic(path, to_json(obj))


def to_json(obj: Any) -> bytes:
    """The bytes that `write_json` writes: a list of numbers on one line."""
    text = json.dumps(_plain(obj, "$"), indent=1, ensure_ascii=False, allow_nan=False)
    return (_NUMBERS.sub(lambda found: f"[{' '.join(found[1].split())}]", text) + "\n").encode()


def _plain(obj: Any, where: str) -> Any:
    match obj:
        case np.ndarray() | np.generic():
            return _plain(obj.tolist(), where)
        case dict():
            return {_text_key(key, where): _plain(value, f"{where}.{key}") for key, value in obj.items()}
        case list() | tuple():
            return [_plain(value, f"{where}[{i}]") for i, value in enumerate(obj)]
        case float() if not math.isfinite(obj):
            raise ValueError(f"{where} is {obj}: JSON has no such number; use None or leave it out")
        case None | bool() | int() | float() | str():
            return obj
    raise ValueError(f"{where} is a {type(obj).__name__}: JSON takes dict, list, str, number, bool and None")


def _text_key(key: Any, where: str) -> str:
    if not isinstance(key, str):
        raise ValueError(f"{where} has the key {key!r}: JSON keys are strings")
    return key


def read_json(path: str | Path, *, again: str = MAKE_AGAIN, sealed: bool = False) -> Any:
    """Read strict JSON: UTF-8 without byte order mark, no NaN or infinity, no key twice, nothing behind it.

    With `sealed` the file's seal must hold too. Raises `DamagedFile`, with `again` as its remedy.
    """
    content = read_bytes(path, again=again)
    if sealed and not is_sealed(content):
        raise DamagedFile(path, "the content does not match its seal (sha256)", again)
    with parsing(path, again=again):
        return parse_json(content)


def parse_json(content: bytes) -> Any:
    """What `read_json` makes of a file's content; raises `ValueError` or `RecursionError`."""
    return json.loads(
        content.decode(), parse_constant=_finite, parse_float=_finite, object_pairs_hook=_without_duplicates
    )


def _finite(text: str) -> float:
    if not math.isfinite(float(text)):
        raise ValueError(f"{text} is not a finite number")
    return float(text)


def _without_duplicates(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    if duplicates := [key for key, times in Counter(key for key, _ in pairs).items() if times > 1]:
        raise ValueError(f"keys given twice: {', '.join(duplicates)}")
    return dict(pairs)


def write_table(path: str | Path, table: "pd.DataFrame", *, digits: int = 6) -> Path:
    """Write a table as CSV without its index, floats with so many digits. Raises `CannotWrite`."""
    text = table.to_csv(index=False, float_format=f"%.{digits}g", lineterminator="\n")
    return write_atomic(path, text.encode())


def read_table(path: str | Path, *, again: str = MAKE_AGAIN) -> "pd.DataFrame":
    """Read a CSV table. Raises `DamagedFile` if it is cut, ragged, empty, or has a column name twice."""
    import pandas as pd

    content = read_bytes(path, again=again)
    with parsing(path, again=again):
        _check_csv(content)
        return pd.read_csv(io.BytesIO(content))


def _check_csv(content: bytes) -> None:
    # pandas fills short rows with NaN and renames a column given twice, without a word.
    header, *rows = csv.reader(io.StringIO(content.decode(), newline=""), strict=True)
    if not content.endswith(b"\n"):
        raise ValueError("the last line is cut")
    if len(set(header)) < len(header):
        raise ValueError("a column name is given twice")
    if ragged := [number for number, row in enumerate(rows, 2) if len(row) != len(header)]:
        raise ValueError(f"row {ragged[0]} does not have {len(header)} fields")


@contextmanager
def writing(path: str | Path, *, remedy: str = "choose another place, then run again") -> Iterator[None]:
    """Turn what a disk or a folder refuses into `CannotWrite`, of the file refused or else of `path`."""
    try:
        yield
    except OSError as error:
        if error.errno not in _REASONS:
            raise
        raise CannotWrite(error.filename or path, _REASONS[error.errno], remedy) from error
