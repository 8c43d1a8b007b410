"""N-back networks, saved and new, ready to be shown trials."""

from __future__ import annotations

__all__ = ["Trained", "as_saved", "create_model", "load", "load_family", "names", "to_network"]

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np
import torch
from torch import Tensor

from .. import store
from ..campaign import config_of, network_name, saved_names
from .families import NBackConfig, family_name
from .families import config as family_config
from .network import Trace, initial, layout, run
from .senses import Weights
from .task import Task, task_named

if TYPE_CHECKING:
    from pathlib import Path

    from ..backbone import Backbone

_WHOLE = ("running_mean", "running_var")
"""statistics of a backbone's BatchNorm, which float16 may not hold"""


@dataclass(frozen=True, eq=False)
class Trained:
    """One network with its name, seed, weights and record (see `wm.nback.train`)."""

    name: str
    seed: str
    config: NBackConfig
    weights: dict[str, Tensor]
    """parameters by name, with a leading network axis of one"""
    record: dict[str, Any]

    def run(
        self, shown: np.ndarray | Tensor, task: str | Task | np.ndarray | Tensor, *,
        learning: bool = False, **options,
    ) -> Trace:  # fmt: skip
        """Show trials; the trace has a leading network axis of one, its embedding a row for each image shown.

        shown: features (trial, time, position, channel), or images (trial, time, height, width, 3) uint8,
        which its backbone is shown first (see `backbone`). task: "2-back identity", a `Task`, or places in
        `TASKS` (trial,). learning: keep the graph of autograd; options: of `wm.nback.network.respond`.
        Raises ValueError for an unknown task, what the backbone raises for images.
        """
        trials, time = shown.shape[:2]
        flat = shown.reshape(trials * time, *shown.shape[2:])
        if len(shown.shape) == 5:
            flat = self.features(np.asarray(flat))
        features = torch.as_tensor(flat).to(self.weights["reduce.weight"])
        images = torch.arange(trials * time, device=features.device).view(1, trials, time)
        tasks = torch.as_tensor(_place(task), device=features.device).expand(1, trials)
        with torch.set_grad_enabled(learning):
            return run(self.config, self.weights, features, images, tasks, **options)

    def backbone(self, device: str = "cpu", weights: str | Path | None = None) -> Backbone:
        """What looks at the images: the pretrained network, or its own if it was trained with the rest.

        weights: file of those of the pretrained network, by default those of its package. Raises what
        `wm.backbone.backbone` raises, and ValueError if they are not those that the network was trained with.
        """
        from ..backbone import backbone  # needs what a machine that only trains may lack
        from .finetune import PREFIX, own_backbone

        if any(name.startswith(PREFIX) for name in self.weights):
            return own_backbone(self.config, self.weights, device)
        found = backbone(self.config.backbone, weights, device=device)
        wanted = self.record.get("material", {}).get("backbone_sha256", found.sha256)
        if found.sha256 != wanted:
            raise ValueError(
                f"{self.name} was trained with features of a {found.title} whose weights have sha256 "
                f"{wanted[:12]}, but these have {found.sha256[:12]}: name the file (`weights`) that it had"
            )
        return found

    def features(self, images: np.ndarray, device: str = "cpu") -> np.ndarray:
        """What its backbone makes of images (image, height, width, 3) uint8: (image, position, channel)."""
        from .features import image_features

        return image_features(images, self.backbone(device), self.config.pool)


def _place(task: str | Task | np.ndarray | Tensor) -> int | np.ndarray | Tensor:
    if isinstance(task, Task):
        return task.place
    return task_named(task).place if isinstance(task, str) else task


def create_model(
    kind: str | NBackConfig = "gru", seed: str | int = "0", *, features_channels: int | None = None, **changes
) -> Trained:  # fmt: skip
    """A network as its training finds it.

    kind: rnn, gru, lstm, attention_rnn, attention_gru, attention_lstm, a family of `wm.nback.FAMILIES`, or a
    configuration; changes: of its settings, `channels` too; features_channels: of the features, by default
    those of the backbone.
    Raises ValueError for unknown names and wrong settings.
    """
    if isinstance(kind, str):
        kind = family_config(kind, **changes)
    elif changes:
        raise ValueError(f"a configuration takes no changes ({', '.join(changes)}): use dataclasses.replace")
    weights = layout(kind, features_channels).views(initial(kind, str(seed), features_channels)[None])
    return Trained(network_name(kind, str(seed)), str(seed), kind, weights, {})


def names(family: str | None = None) -> list[str]:
    """Names of the saved N-back networks, of one family if given."""
    return saved_names("nback", family and family_name(family))


def load(name: str) -> Trained:
    """Load a saved network, such as "gru_mtmf-00".

    Raises `wm.store.UnknownNetwork` (with the nearest names), `DamagedFile`, `WrongSchema`.
    """
    network = store.load_network("nback", name)
    config = config_of(network, NBackConfig, lags=tuple, features=tuple)
    weights = {key: torch.from_numpy(each.astype(np.float32))[None] for key, each in network.weights.items()}
    return Trained(name, network.record["seed"], config, weights, network.record)


def load_family(family: str) -> list[Trained]:
    """Saved networks of a family with its usual settings, or if none has them, all; raises as `load` does."""
    found = [load(name) for name in names(family) or [f"{family_name(family)}-00"]]
    return [each for each in found if each.config == family_config(family)] or found


def as_saved(weights: Weights) -> dict[str, Tensor]:
    """Weights as they are saved: in float16, the statistics of a backbone in float32."""
    return {
        name: value.detach() if name.endswith(_WHOLE) else value.detach().half()
        for name, value in weights.items()
    }


def to_network(trained: Trained, history: dict[str, list]) -> store.Network:
    """A network as it is saved."""
    weights = {key: value[0].cpu().numpy() for key, value in as_saved(trained.weights).items()}
    return store.Network("nback", trained.name, trained.record, weights, history)
