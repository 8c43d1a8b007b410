"""How a stimulus set is made: which objects and views are trained, which held out, and where objects are.

The first identities of a category are trained, the last held out: the first half of these (rounded down) are
for validation alone, the others for analysis and test. Of `VIEWS` six are trained, four between them, four
beyond them; of either four two are for validation alone (`CHOOSING`), two for analysis and test. So nothing
is chosen by the held-out objects or views that it is tested with.
"""

from __future__ import annotations

__all__ = ["CHOOSING", "LOCATIONS", "PARTS", "PRESETS", "SPLITS", "VIEWS", "Design", "drawn_of", "split_of"]

from dataclasses import dataclass
from typing import Literal

from .catalogue import SPLITS
from .objects import CATEGORIES
from .render import CANVAS, View

LOCATIONS = ("top left", "top right", "bottom left", "bottom right")
"""the quadrants, 0 to 3"""
PARTS = ("train", "validation", "analysis", "test")
"""what images are for"""
VIEWS = (
    *((View(azimuth, 20), "trained") for azimuth in (-75, -45, -15, 15, 45, 75)),
    *((View(azimuth, 20), "novel_angle") for azimuth in (-60, 30, -30, 60)),
    *((View(azimuth, 50), "extrapolating") for azimuth in (-15, 45, -45, 15)),
)
"""each view, and which of `SPLITS` its images of trained objects are in"""
CHOOSING = (6, 7, 10, 11)
"""the held-out views of validation, the others are of analysis and test; two of each kind in each, so that
trials pair an object with itself from another view, too"""
_FEWEST = 4
"""objects to hold out of a category: two for validation, two for the test, which other objects can follow"""


def split_of(view: int, *, novel: bool) -> str:
    """Of `SPLITS`: where images of trained or novel objects are that are seen from one of `VIEWS`."""
    role = VIEWS[view][1]
    if not novel:
        return role
    return "novel_identity" if role == "trained" else "novel_both"


def drawn_of(view: int, draws: tuple[int, ...]) -> tuple[int, ...]:
    """What is left of draws in each of `PARTS`: held-out views are in validation, or in analysis and test."""
    if VIEWS[view][1] == "trained":
        return draws
    return (0, draws[1], 0, 0) if view in CHOOSING else (0, 0, *draws[2:])


@dataclass(frozen=True)
class Design:
    """How a stimulus set is made."""

    trained: int = 8
    """identities of a category that are trained, the first ones"""
    novel: int | None = None
    """identities that are held out, the last ones: 0, 2 or more; None: all that are not trained, 4 or more"""
    draws: tuple[int, int, int, int] = (2, 1, 1, 1)
    """images of each identity, view and location in each of `PARTS`"""
    placing: Literal["quadrants", "free"] = "quadrants"
    """where centres are: within `jitter` of the middle of a quadrant, or anywhere in it"""
    jitter: int = 8
    """in pixels, to each side"""
    size: int = 96
    """of an object's picture in pixels, beyond which the object never reaches"""
    seed: int = 0
    categories: tuple[str, ...] = CATEGORIES

    def __post_init__(self) -> None:
        if self.trained < 1 or (self.novel is not None and (self.novel < 0 or self.novel == 1)):
            raise ValueError(
                "trained must be 1 or more, novel 0, or 2 or more (half for validation, half for analysis "
                f"and test): got {self.trained}, {self.novel}"
            )
        if len(self.draws) != len(PARTS) or min(self.draws) < 0:
            raise ValueError(f"draws are four numbers, for {', '.join(PARTS)}: got {self.draws}")
        if self.placing not in ("quadrants", "free"):
            raise ValueError(f"placing must be quadrants or free, got {self.placing!r}")
        if not 0 < self.size <= CANVAS // 2 or not 0 <= self.jitter <= (CANVAS // 2 - self.size) // 2:
            raise ValueError(
                f"pictures of {self.size} pixels moved by up to {self.jitter} do not fit into a quadrant of "
                f"{CANVAS // 2}: size + 2 jitter must not be larger"
            )
        room = min(len(xs) * len(ys) for xs, ys in map(self.centres, range(4)))
        if sum(self.draws) > room:
            raise ValueError(f"{sum(self.draws)} draws of {room} positions: allow more jitter, or draw fewer")

    @property
    def needed(self) -> int:
        """Objects that there must be of each category."""
        return self.trained + (_FEWEST if self.novel is None else self.novel)

    def centres(self, location: int) -> tuple[range, range]:
        """Possible x and y of an object's centre in pixels from top left, at one of `LOCATIONS`."""
        half, quadrant = self.size // 2, CANVAS // 2
        low, high = half, CANVAS - (self.size - half)
        ranges = []
        for side in (location % 2, location // 2):
            middle = quadrant * side + quadrant // 2
            near = range(middle - self.jitter, middle + self.jitter + 1)
            free = range(quadrant, high + 1) if side else range(low, quadrant)
            ranges.append(near if self.placing == "quadrants" else free)
        return ranges[0], ranges[1]


PRESETS = {"published": Design(trained=2, novel=_FEWEST, draws=(8, 2, 4, 2)), "rich": Design()}
"""published: as many identities as Lei et al. 2024 trained on; rich: four times as many"""
