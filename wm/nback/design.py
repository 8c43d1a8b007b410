"""How a stimulus set is made: which objects and views are trained, which held out, and where objects are.

The first identities of a category are trained, the last held out. Of `VIEWS` six are trained, one is between
them, one beyond them.
"""

from __future__ import annotations

__all__ = ["LOCATIONS", "PARTS", "PRESETS", "SPLITS", "VIEWS", "Design"]

from dataclasses import dataclass
from typing import Literal

from .objects import CATEGORIES
from .render import CANVAS, View

LOCATIONS = ("top left", "top right", "bottom left", "bottom right")
"""the quadrants, 0 to 3"""
PARTS = ("train", "validation", "analysis", "test")
"""what images are for"""
SPLITS = ("trained", "interpolating", "extrapolating", "novel_identity")
"""what is new in an image: nothing; a view between the trained ones; one beyond them; the object"""
VIEWS = (
    *((View(azimuth, 20), "trained") for azimuth in (-75, -45, -15, 15, 45, 75)),
    (View(30, 20), "interpolating"),
    (View(30, 50), "extrapolating"),
)
"""each view, and whether networks are trained on it"""


@dataclass(frozen=True)
class Design:
    """How a stimulus set is made."""

    trained: int = 8
    """identities of a category that are trained, the first ones"""
    novel: int | None = None
    """identities that are held out, the last ones; None: all that are not trained"""
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
        if self.trained < 1 or (self.novel is not None and self.novel < 0):
            raise ValueError(f"trained must be 1 or more, novel 0 or more: got {self.trained}, {self.novel}")
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


PRESETS = {"published": Design(trained=2, novel=2, draws=(8, 2, 4, 2)), "rich": Design()}
"""published: as many identities as Lei et al. 2024 trained on; rich: four times as many"""
