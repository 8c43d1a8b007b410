"""Where N-back networks with spatial attention look."""

from __future__ import annotations

__all__ = ["attention_rows", "maps", "measures", "size_at_object"]

from collections.abc import Iterator, Mapping
from typing import Any

import numpy as np
import torch

from .families import diet
from .library import Trained
from .material import Images
from .senses import attend, embed
from .task import task_vectors


def maps(trained: Trained, features: np.ndarray) -> np.ndarray:
    """Weights of positions, which add up to 1, (task, image, position); tasks are those of its diet.

    features: (image, position, channel). Where a network looks depends on the image and the task alone, not
    on what was shown before. ValueError for a network without spatial attention.
    """
    kind, weights = trained.config, trained.weights
    if kind.attention != "spatial":
        raise ValueError(f"{trained.name} has no spatial attention, so that it has no maps")
    places = torch.tensor([[task.place for task in diet(kind)]], device=weights["reduce.weight"].device)
    with torch.no_grad():
        seen = embed(weights, torch.as_tensor(features).to(weights["reduce.weight"]))
        seen = seen[:, None].expand(-1, places.shape[1], -1, -1, -1)  # network, task, image, position, unit
        vectors = task_vectors(places, kind.task_vector).to(seen)
        return attend(kind, weights, seen, vectors)[0].cpu().numpy()


def measures(weights: np.ndarray, locations: np.ndarray) -> dict[str, np.ndarray]:
    """Where weights (..., image, position) are, mean over images, (...).

    on_object: share at the quadrant of the object, locations (image,), its row-major number; 1/4 if even, NaN
    for other maps than 2 x 2. entropy: in nats; log of the number of positions if even.
    """
    logs = np.log(weights, out=np.zeros(weights.shape), where=weights > 0)
    found = {"entropy": -(weights * logs).sum(axis=-1).mean(axis=-1)}
    if weights.shape[-1] == 4:
        return {"on_object": weights[..., np.arange(len(locations)), locations].mean(axis=-1)} | found
    return {"on_object": np.full(weights.shape[:-2], np.nan)} | found


def size_at_object(features: np.ndarray, locations: np.ndarray) -> np.ndarray:
    """How many times as large features are at the quadrant of the object as at the others, (image,).

    features (image, 4, channel), of which the norm is taken, over the other quadrants its mean; locations
    (image,): as of `measures`.
    """
    sizes = np.linalg.norm(np.asarray(features, dtype=np.float64), axis=-1)
    own = sizes[np.arange(len(sizes)), locations]
    return own * (sizes.shape[1] - 1) / (sizes.sum(axis=1) - own)


def attention_rows(trained: Trained, sets: Mapping[str, Images]) -> Iterator[dict[str, Any]]:
    """A row for each set of images and task: `measures`; none without spatial attention or if diverged."""
    if trained.config.attention != "spatial" or trained.record.get("diverged"):
        return
    about = {"family": trained.config.family, "seed": trained.seed}
    for split, images in sets.items():
        found = measures(maps(trained, images.features), images.labels["location"])
        for place, task in enumerate(diet(trained.config)):
            values = {name: round(float(value[place]), 4) for name, value in found.items()}
            yield about | {"split": split, "task": task.name} | values
