"""Episodes of drawings: labelled ones of each of a few classes, and others of the same classes to name."""

from __future__ import annotations

__all__ = ["DATASETS", "ENCODERS", "SPLITS", "Classification"]

from dataclasses import dataclass, replace
from typing import ClassVar

import numpy as np
import torch

from ..episodes import Episodes, Task, orders
from .augment import moves
from .gallery import Gallery
from .pools import CHANNELS, DATASETS, SIDE, SPLITS, Pool, pool

FEATURES = 256
"""numbers that the convolutional encoders make of a drawing"""
ENCODERS = ("none", "prototypes", "conv4", "blind")
"""blind: nothing is shown of the drawings, so that any score above chance comes from their order"""
PIXELS = ("none", "conv4")
"""encoders of which episodes give pixels"""


@dataclass(frozen=True)
class Classification(Task):
    """Name the class of a drawing from labelled ones in the same episode (Chaudhary 2025, Duan et al. 2023).

    Tokens: `ways` x `shots` labelled drawings, then `asked` others, of designs that are not among the
    labelled ones. Inputs: drawing | label, one-hot, 0 at a query | 1 at a query. Targets: 0, and the label at
    a query. Which class has which label is drawn anew in each episode; so is the order of labelled drawings,
    and the class of each query by itself, so that earlier queries do not rule it out. Not `shuffled`,
    drawings come class by class, as published, equally many queries of each, and their order gives the labels
    away.
    """

    dataset: str = "emoji"
    split: str = "random"
    ways: int = 5
    shots: int = 1
    asked: int = 5
    """queries of an episode"""
    encoder: str = "prototypes"
    shuffled: bool = True
    augmented: bool = False
    part: str = "train"
    """train, validation or test: the classes (or, if they are shared, the drawings) that are drawn from"""

    categorical: ClassVar[bool] = True

    def __post_init__(self) -> None:
        self._require(ways=2, shots=1, asked=1)
        if self.asked % self.ways and not self.shuffled:
            raise ValueError(f"queries class by class are a multiple of the {self.ways} ways, not in {self}")
        if self.augmented and self.encoder not in PIXELS:
            raise ValueError(f"only pixels can be shifted (encoders {', '.join(PIXELS)}), not in {self}")

    @property
    def support(self) -> int:
        """Labelled drawings, the first tokens."""
        return self.ways * self.shots

    @property
    def length(self) -> int:
        return self.support + self.asked

    @property
    def channels(self) -> int:
        """1 for grey drawings, 3 for coloured ones."""
        return CHANNELS[self.dataset]

    @property
    def pixels(self) -> int:
        """Numbers of a drawing of 32 x 32 pixels."""
        return self.channels * SIDE**2

    @property
    def numbers(self) -> int:
        """Numbers of a drawing as episodes give it."""
        return {"blind": 0, "prototypes": FEATURES}.get(self.encoder, self.pixels)

    @property
    def given(self) -> int:
        return self.numbers + self.ways + 1

    @property
    def inputs(self) -> int:
        return self.given if self.encoder != "conv4" else FEATURES + self.ways + 1

    @property
    def outputs(self) -> int:
        return self.ways

    @property
    def answers(self) -> int:
        return self.asked

    @property
    def held_out(self) -> Classification:
        return replace(self, part="test")

    @property
    def pool(self) -> Pool:
        """The drawings that episodes are drawn from."""
        return pool(self.dataset, self.split, self.part, self.encoder)

    def sample(self, trials: int, generator: np.random.Generator) -> Episodes:
        """Draw episodes; inputs: (trial, time, input) float32, targets: (trial, time) int64."""
        drawn = (torch.as_tensor(part)[None] for part in self.draw(trials, generator))
        return Episodes(*(part[0].numpy() for part in Gallery([self]).tokens(*drawn)))

    def draw(self, trials: int, generator: np.random.Generator) -> tuple[np.ndarray, ...]:
        """`choose`, and with augmentation how each drawing is moved (see `augment.moves`)."""
        chosen = self.choose(trials, generator)
        if not self.augmented or self.part != "train":
            return chosen
        return *chosen, moves(generator, trials, self.length, mirrored=self.channels == 3)

    def choose(self, trials: int, generator: np.random.Generator) -> tuple[np.ndarray, np.ndarray]:
        """Which drawings come when, as rows of the pool, and their labels, (trial, time) each, int64."""
        ways = np.arange(self.ways)
        if self.shuffled:
            asked = generator.integers(self.ways, size=(trials, self.asked))
        else:
            asked = np.broadcast_to(np.repeat(ways, self.asked // self.ways), (trials, self.asked))
        shown, queries = self.pool.draw(asked, self.ways, self.shots, generator)
        labels = np.broadcast_to(np.repeat(ways, self.shots), (trials, self.support))
        shown = shown.reshape(labels.shape)
        if self.shuffled:
            order = orders(generator, trials, self.support)
            shown, labels = (np.take_along_axis(part, order, axis=1) for part in (shown, labels))
        return np.concatenate([shown, queries], axis=1), np.concatenate([labels, asked], axis=1)
