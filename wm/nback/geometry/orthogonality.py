"""How orthogonal the hyperplanes of a property's values are, before and after the recurrent network.

O = mean over pairs of values of 1 - |cos(w_a, w_b)|, for normals w of hyperplanes that separate each value
from the rest (Lei, Ito & Bashivan 2024, equation 1). It depends on more than the code, so that three floors
go with it (`Orthogonality`), and spaces are compared at equal dimension and on the same images
(`equal_dimension`).
"""

from __future__ import annotations

__all__ = [
    "SHUFFLES", "Orthogonality", "equal_dimension", "input_spaces", "orthogonality", "standardised",
]  # fmt: skip

from collections.abc import Mapping
from typing import NamedTuple

import numpy as np
import torch

from ...geometry import orthogonalization_chance, orthogonalization_index
from ...seeds import numpy_generator
from ..library import Trained
from ..material import Images
from ..senses import embed
from .decoders import fit

SHUFFLES = 20
PENALTY = 0.1
"""of the decoders: above that of `fit`, since noise in directions of little variance turns a normal long
before it costs accuracy"""


class Orthogonality(NamedTuple):
    """The index of a property in a space, and what it is without a code."""

    index: float
    """O: 0 where all normals are collinear"""
    random: float
    """of random directions, 1 - E|cos|, by the number of units alone"""
    simplex: float
    """of values that are all alike apart, 1 - 1 / (k - 1); more needs normals of unlike length"""
    shuffled: np.ndarray
    """of the same states with labels shuffled over images, (shuffle,)"""

    @property
    def normalised(self) -> float:
        """O / mean of the shuffled: 1 as without a code, 0 collinear.

        The shuffled labels have the same units, values, images, noise and decoder, so that all of these drop
        out. A difference from them, as (O - shuffled) / (1 - shuffled), would divide by what is left between
        a floor near 1 and 1, and simplex and random lie as close together for many values.
        """
        return self.index / float(self.shuffled.mean())


def orthogonality(
    states: np.ndarray, labels: np.ndarray, *, shuffles: int = SHUFFLES, penalty: float = PENALTY,
    seed: int = 0,
) -> Orthogonality:  # fmt: skip
    """The index of labels (image,) in a space of one state an image (image, unit).

    Normals are fitted to all images. Raises ValueError as `fit`, and for no shuffles.
    """
    if shuffles < 1:
        raise ValueError(f"shuffles is {shuffles}: the index means little without one")
    generator = numpy_generator("orthogonality", "nback", seed)
    every = {"own": labels} | {f"{k}": generator.permutation(labels) for k in range(shuffles)}
    found = fit(states, every, None, penalty=penalty)
    own, *others = (orthogonalization_index(each.weights[0]) for each in found.values())
    classes, units = found["own"].weights.shape[1:]
    return Orthogonality(own, orthogonalization_chance(units), 1 - 1 / (classes - 1), np.array(others))


def input_spaces(trained: Trained, pictures: Images) -> dict[str, np.ndarray]:
    """What a network is given of each image: space -> (image, unit).

    perceptual: its trained 1 x 1 convolution, the positions side by side; cnn: the backbone's features.
    """
    features = torch.as_tensor(pictures.features).float()
    with torch.no_grad():
        reduced = embed(trained.weights, features)[0]
    return {"perceptual": reduced.flatten(1).numpy(), "cnn": features.flatten(1).numpy()}


def equal_dimension(
    spaces: Mapping[str, np.ndarray], dimensions: int | None = None
) -> dict[str, np.ndarray]:  # fmt: skip
    """Each space (image, unit) in its own first principal components: space -> (image, dimension).

    dimensions: by default as many as the space of the fewest units has, at most images - 1.
    Raises ValueError for more than that, and for spaces of different images.
    """
    if len({len(states) for states in spaces.values()}) > 1:
        raise ValueError("spaces are compared on the same images: give a state of each image in every space")
    most = min(min(states.shape[1], len(states) - 1) for states in spaces.values())
    dimensions = most if dimensions is None else dimensions
    if not 0 < dimensions <= most:
        raise ValueError(f"spaces have {most} dimensions in common, not {dimensions}")
    return {name: _components(states, dimensions) for name, states in spaces.items()}


def standardised(states: np.ndarray) -> np.ndarray:
    """Units (image, unit) of unit variance, silent ones as they are."""
    deviation = states.std(axis=0, dtype=np.float64)
    return states / np.where(deviation > 1e-9 * deviation.max(), deviation, 1)


def _components(states: np.ndarray, dimensions: int) -> np.ndarray:
    """(image, dimension), from the products of images, which are fewer than units may be."""
    centred = states - states.mean(axis=0, dtype=np.float64)
    values, vectors = np.linalg.eigh(centred @ centred.T)
    return vectors[:, : -dimensions - 1 : -1] * np.sqrt(np.maximum(values[: -dimensions - 1 : -1], 0))
