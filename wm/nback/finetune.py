"""Train the backbone with the rest of a network: images in place of features, one network at a time.

    kind = config("gru", freeze_backbone=False, batch=32, learning_rate=1e-4)
    train(kind)                                  # as any other; the network is saved with its backbone

The loss, AdamW and the clip are those of `NBackLearner`, and the weights of the backbone are parameters as
all others. The backbone is in evaluation mode: BatchNorm keeps the statistics of its own training (its scales
and shifts are trained). Its maps are not kept for the gradient but computed again, `CHUNK` images at a time,
so that memory does not grow with the batch. Its classes of ImageNet are no part of the network.
"""

from __future__ import annotations

__all__ = ["CHUNK", "PREFIX", "FineTuner", "own_backbone", "seen"]

from collections.abc import Mapping
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
import torch
from torch import Tensor
from torch.func import functional_call
from torch.utils.checkpoint import checkpoint

from .. import backbone as backbones
from ..backbone import Backbone
from ..ensemble import Layout
from .evaluate import Exam
from .families import NBackConfig
from .features import Pool, image_features, pooled
from .learner import NBackLearner
from .material import Images, Material
from .network import initial, layout
from .senses import Weights

PREFIX = "backbone."
"""of the names of the backbone's weights in a network"""
CHUNK = 16
"""images that go through the backbone at once"""


class FineTuner(NBackLearner):
    """`NBackLearner` of one network whose backbone learns, too.

    material: of images, as `wm.nback.material` makes it for such a configuration. weights: file of those
    that the backbone starts from, by default that of its package. Raises ValueError for more than one network
    or features in place of images, and what `wm.backbone.backbone` raises.
    """

    def __init__(
        self, config: NBackConfig | list[NBackConfig], seeds: list[str], material: Material, *,
        device: str = "cpu", tf32: bool = False, weights: str | Path | None = None,
    ) -> None:  # fmt: skip
        kind = config if isinstance(config, NBackConfig) else config[0]
        self.pretrained = backbones.backbone(kind.backbone, weights, device=device)
        super().__init__(config, seeds, material, device=device, capture=False, tf32=tf32)

    @property
    def record(self) -> dict[str, Any]:
        """The backbone that it started from."""
        return {"backbone_sha256": self.pretrained.sha256}

    def whole(self) -> dict[str, Tensor]:
        """All that is saved: `weights()`, and the statistics of BatchNorm, (network, ...)."""
        kept = self.pretrained.network.named_buffers()
        statistics = {PREFIX + name: each[None] for name, each in kept if each.is_floating_point()}
        return super().whole() | statistics

    def _begun(self, kind: NBackConfig, given: np.ndarray) -> tuple[Layout, Tensor]:
        if given.ndim != 4:
            raise ValueError(
                f"a backbone is trained with images (image, height, width, 3), not with features: got "
                f"{given.shape}"
            )
        self._pictures, network = given, self.pretrained.network
        own = {name: value for name, value in network.named_parameters() if not name.startswith("fc.")}
        channels, first = network.fc.in_features, [value.detach().flatten().cpu() for value in own.values()]
        first = torch.cat([initial(kind, self.seeds[0], channels), *first])
        shapes = {PREFIX + name: tuple(value.shape) for name, value in own.items()}
        return Layout(layout(kind, channels).shapes | shapes), first[None]

    def _shown(self, images: Tensor, weights: dict[str, Tensor]) -> tuple[Tensor, Tensor]:
        shown, rows = images.unique(return_inverse=True)
        own = {name: value[0] for name, value in _of_backbone(weights).items()}
        look = partial(_look, self.pretrained, own, self.config.pool)
        parts = [self.pretrained.prepare(self._pictures[part.cpu().numpy()]) for part in shown.split(CHUNK)]
        kept = {"use_reentrant": False, "preserve_rng_state": False}
        return torch.cat([checkpoint(look, part, **kept) for part in parts]), rows

    @property
    def _exams(self) -> dict[str, Exam]:
        """Validation with the features that the backbone gives now."""
        now = seen(self._held, own_backbone(self.config, self.whole()), self.config.pool)
        return {name: self._exam(images) for name, images in now.items()}


def _look(pretrained: Backbone, weights: dict[str, Tensor], pool: Pool, x: Tensor) -> Tensor:
    """Features (image, position, channel) of prepared images, with a gradient by these weights."""
    return pooled(functional_call(pretrained.network, weights, (x, "map")), pool)


def _of_backbone(weights: Weights) -> dict[str, Tensor]:
    """Weights of the backbone in those of a network, (network, ...), by its own names."""
    return {name.removeprefix(PREFIX): value for name, value in weights.items() if name.startswith(PREFIX)}


def own_backbone(config: NBackConfig, weights: Weights, device: str | torch.device | None = None) -> Backbone:
    """The backbone of a network that was trained with it, whose weights (one network, ...) hold it, too.

    device: by default that of the weights. Raises `wm.store.WrongSchema` where they do not fit.
    """
    own = {name: value[0] for name, value in _of_backbone(weights).items()}
    device = weights["reduce.weight"].device if device is None else device
    return backbones.with_weights(config.backbone, own, device=str(device))


def seen(sets: Mapping[str, Images], network: Backbone, pool: Pool) -> dict[str, Images]:
    """Images of sets as features of a backbone: what `wm.nback.evaluated` needs."""
    return {
        name: Images(image_features(each.features, network, pool), each.labels) for name, each in sets.items()
    }
