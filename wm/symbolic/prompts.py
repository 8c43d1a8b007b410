"""Prompts for a network to go on from: legal ones, corrupted ones, ambiguous ones, and those published.

How corrupt a prompt is says its distance from the nearest window of as many symbols that the cycle can show,
found by comparing it with all of these.
"""

from __future__ import annotations

__all__ = ["PUBLISHED", "RECOVERED", "ambiguous", "corrupted", "edits", "hamming", "legal", "tokens"]

import numpy as np

from .task import Cycle

PUBLISHED = {
    "one symbol": "0",
    "illegal step": "10",
    "backwards": "210210210210",
    "random a": "2010221201",
    "random b": "0211020012",
    "one intruder": "0000020000",
    "three intruders": "2000020002",
}
"""name -> symbols of the prompts that were tried; the two random strings are our own draws"""
RECOVERED = {name: (19, 21) if name == "illegal step" else (0, 8) for name in PUBLISHED}
"""name -> steps after which one run of the published scripts was back on the cycle, from and to"""
ATTEMPTS = 200
"""rounds in which a corrupted prompt of the wanted distance must turn up"""


def tokens(symbols: str) -> np.ndarray:
    """Digits as one prompt, (1, time) int64; ValueError for anything else."""
    if not (symbols.isascii() and symbols.isdigit()):
        raise ValueError(f"write a prompt as digits, such as '0012', got {symbols!r}")
    return np.array([[int(symbol) for symbol in symbols]])


def legal(cycle: Cycle, length: int, trials: int, generator: np.random.Generator) -> np.ndarray:
    """Prompts as the cycle shows them at random times, (trial, length) int64."""
    return cycle.sample(trials, length, generator)


def ambiguous(cycle: Cycle, length: int) -> np.ndarray:
    """Each symbol held for as long as it can be, or `length` if that is less: (symbol, time) int64.

    All that such a prompt, or its beginning, leaves open is when the symbol ends.
    """
    time = min(length, max(cycle.holding))
    return np.repeat(np.arange(cycle.symbols)[:, None], time, axis=1)


def corrupted(
    cycle: Cycle, length: int, distance: int, *, trials: int, generator: np.random.Generator
) -> np.ndarray:
    """Prompts at a Hamming distance from what is legal, (trial, length) int64.

    In legal windows, as the cycle shows them, `distance` random places get another symbol; strings that are
    nearer to another window are drawn again. Raises ValueError for a distance that no string, or fewer than
    about one in a thousand of these, has.
    """
    if not 0 <= distance <= length:
        raise ValueError(f"a distance between 0 and the length {length} is possible, got {distance}")
    kept = np.empty((0, length), dtype=np.int64)
    for _ in range(ATTEMPTS):
        drawn = _substituted(cycle.sample(4 * trials, length, generator), distance, cycle.symbols, generator)
        kept = np.concatenate([kept, drawn[hamming(cycle, drawn) == distance]])
        if len(kept) >= trials:
            return kept[:trials]
    raise ValueError(
        f"found {len(kept)} of {trials} prompts at distance {distance} from the windows of {cycle}"
    )


def _substituted(
    windows: np.ndarray, places: int, symbols: int, generator: np.random.Generator
) -> np.ndarray:
    """Windows (trial, time) with another symbol at a number of random places each."""
    chosen = generator.random(windows.shape).argsort(axis=1) < places
    other = (windows + generator.integers(1, symbols, size=windows.shape)) % symbols
    return np.where(chosen, other, windows)


def hamming(cycle: Cycle, prompts: np.ndarray) -> np.ndarray:
    """Fewest substitutions that make prompts (trial, time) legal, (trial,) int64.

    Raises ValueError where there are too many windows to compare with (see `Cycle.windows`).
    """
    windows = cycle.windows(prompts.shape[1]).tokens
    return (np.asarray(prompts)[:, None] != windows).sum(axis=-1).min(axis=1)


def edits(cycle: Cycle, prompts: np.ndarray) -> np.ndarray:
    """Fewest edits that turn prompts (trial, time) into a legal window of the same length, (trial,) int64.

    An edit inserts, deletes or replaces one symbol (Levenshtein distance), so a symbol held one step too long
    costs two at most, wherever it stands. At most the Hamming distance, and equal to it for every string of
    ten symbols and the published cycle; raises what `hamming` does.
    """
    prompts, windows = np.asarray(prompts)[:, None], cycle.windows(prompts.shape[1]).tokens
    length = windows.shape[1]
    above = [np.full((len(prompts), len(windows)), j) for j in range(length + 1)]
    for i in range(length):
        row = [np.full_like(above[0], i + 1)]
        for j in range(length):
            replaced = above[j] + (prompts[..., i] != windows[:, j])
            row.append(np.minimum(replaced, np.minimum(above[j + 1], row[j]) + 1))
        above = row
    return above[-1].min(axis=1)
