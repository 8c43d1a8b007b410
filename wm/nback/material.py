"""What networks are trained and tested on: features of images with their labels.

    own = material(config("gru"))                       # of the shipped objects, computed once and kept
    save_material("material.safetensors", own)          # to be trained on elsewhere

Networks learn from `train` alone; `validation` is for the choice of a model, `test` for its scores.
"""

from __future__ import annotations

__all__ = ["Images", "Material", "load_material", "material", "save_material"]

from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any, NamedTuple

import numpy as np

from ..checkpoint import load_checkpoint, save_checkpoint
from .catalogue import SPLITS
from .families import NBackConfig
from .task import FEATURES

if TYPE_CHECKING:
    from .stimuli import StimulusSet


class Images(NamedTuple):
    """Images as networks have them."""

    features: np.ndarray
    """of a backbone, (image, position, channel), float16 or float32; where the backbone is to be trained, the
    images themselves, (image, height, width, 3) uint8"""
    labels: dict[str, np.ndarray]
    """location, identity, category -> class of each image, (image,) int64; and view, if it is known"""

    def of(self, rows: np.ndarray) -> Images:
        """Some of them: rows (image,) bool, or numbers."""
        return Images(self.features[rows], {name: each[rows] for name, each in self.labels.items()})


@dataclass(frozen=True, eq=False)
class Material:
    """Images for training, for the choice of a model, and for the final test."""

    train: Images
    validation: dict[str, Images]
    """by the names in `SPLITS`, or some of them"""
    test: dict[str, Images]
    """the same"""
    record: dict[str, Any] = field(default_factory=dict)
    """what made it, for the record of a network"""

    def __post_init__(self) -> None:
        for part in (self.train, *self.validation.values(), *self.test.values()):
            _check(part, self.train.features.shape[1:])
        if unknown := {*self.validation, *self.test} - {*SPLITS}:
            raise ValueError(f"splits are {', '.join(SPLITS)}: got {', '.join(sorted(unknown))}")


def _check(images: Images, shape: tuple[int, ...]) -> None:
    features, labels = images
    known = features.ndim == 3 or (features.ndim == 4 and features.dtype == np.uint8)
    if not known or features.shape[1:] != shape:
        raise ValueError(
            "features are (image, position, channel), or images (image, height, width, 3) uint8, of all "
            f"parts alike: got {features.dtype} {features.shape}"
        )
    if wrong := [name for name in FEATURES if np.shape(labels.get(name)) != features.shape[:1]]:
        raise ValueError(f"each of {len(features)} images needs a label of {', '.join(wrong)}")


def material(
    config: NBackConfig, *, stimuli: StimulusSet | None = None, weights: str | Path | None = None,
    device: str = "cpu",
) -> Material:  # fmt: skip
    """The material of a configuration, of the shipped objects, or of a stimulus set of your own.

    Features are computed where they are not kept from before (see `wm.nback.features`); weights: of the
    backbone, by default those of its package; their sha256 is in the record. Raises what that raises. Where
    the backbone is trained, too, there are images in place of features, 850 MB of them.
    """
    from .features import features, weights_sha256  # needs what a machine that only trains may lack
    from .stimuli import LABELS, render_stimulus_set, stimulus_set

    stimuli = stimulus_set(config.stimuli) if stimuli is None else stimuli
    record = stimuli.record() | {"backbone": config.backbone, "pool": config.pool}
    if config.freeze_backbone:
        record["backbone_sha256"] = weights_sha256(config.backbone, weights)
    parts = {}
    for part in ("train", "validation", "test"):
        chosen = stimuli.part(part)
        if config.freeze_backbone:
            given = features(chosen, config.backbone, config.pool, weights=weights, device=device)
        else:
            given = render_stimulus_set(chosen)
        whole, split = Images(given, {name: chosen.labels(name) for name in LABELS}), chosen.table.split
        parts[part] = {name: whole.of((split == name).to_numpy()) for name in SPLITS if (split == name).any()}
    return Material(parts["train"]["trained"], parts["validation"], parts["test"], record)


def save_material(path: str | Path, own: Material) -> Path:
    """Save it as one sealed file (`.safetensors`); return the path. Raises `wm.store.CannotWrite`."""
    parts = {"validation": own.validation, "test": own.test}
    state = {name: {split: tuple(each) for split, each in part.items()} for name, part in parts.items()}
    return save_checkpoint(path, state | {"train": tuple(own.train), "record": own.record})


def load_material(path: str | Path) -> Material:
    """What `save_material` saved. Raises `wm.store.DamagedFile`."""
    state = load_checkpoint(path, again="make it again with wm.nback.save_material")

    def images(part: Mapping[str, tuple]) -> dict[str, Images]:
        return {split: Images(*each) for split, each in part.items()}

    return Material(
        Images(*state["train"]), images(state["validation"]), images(state["test"]), state["record"]
    )
