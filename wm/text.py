"""Words that messages share."""

__all__ = ["nearest"]

from collections.abc import Iterable
from difflib import get_close_matches


def nearest(word: str, known: Iterable[str], otherwise: str = "") -> str:
    """`did you mean rt or it?` or, if none is near, `otherwise`, by default `there are ` and all `known`."""
    known = list(known)
    near = get_close_matches(word, known, n=3)
    if near:
        return f"did you mean {' or '.join(near)}?"
    return otherwise or f"there are {', '.join(known) or 'none'}"
