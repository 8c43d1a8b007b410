"""N-back networks: everything that defines one, and the settings of each family (`wm.nback.catalogue`)."""

from __future__ import annotations

__all__ = ["FAMILIES", "PUBLISHED_OPTIONS", "NBackConfig", "config", "diet", "family_name"]

from dataclasses import dataclass, replace

from ..settings import check_choices, check_numbers, check_whole
from ..text import nearest
from .catalogue import ARCHITECTURES, ATTENTIONS, BACKBONES, POOLS, PRESETS, catalogue
from .task import FEATURES, LAGS, LURES, Task, executive, tasks_of


@dataclass(frozen=True)
class NBackConfig:
    """Everything that defines one trained network, except its seed."""

    family: str = "gru_mtmf"
    """see `wm.nback.FAMILIES`"""
    architecture: str = "gru"
    """rnn (tanh), gru, lstm"""
    attention: str = "none"
    """spatial, over positions; task_only, dual: gates of channels, see `wm.nback.senses`"""
    lags: tuple[int, ...] = LAGS
    """the tasks: each of these lags with each of `features`"""
    features: tuple[str, ...] = FEATURES
    """location, identity, category"""
    stimuli: str = "rich"
    """rich, or published: how many objects are trained, see `wm.nback.design`"""
    backbone: str = "efficientnet_lite0"
    """or resnet50"""
    pool: str = "grid2"
    """what is left of the backbone's last map: gap, its mean; grid2, means of 2 x 2 parts; flatten, all"""
    units: int = 256
    """of each recurrent layer, and of the layer before the recurrent ones"""
    channels: int = 64
    """that the 1 x 1 convolution leaves at each position; 0: as many as units"""
    layers: int = 1
    """recurrent layers"""
    dropout: float = 0.0
    """share of units dropped in training between recurrent layers"""
    length: int = 6
    """images of a trial"""
    match_probability: float = 0.5
    """of a match, where something is compared"""
    lures: str = "natural"
    """natural or balanced, see `wm.nback.Sampler`"""
    task_vector: int = 6
    """numbers that tell the task: 6, feature and lag; 3, feature alone, if there is but one lag"""
    batch: int = 256
    """trials of an update"""
    updates: int = 2000
    """updates of AdamW"""
    learning_rate: float = 1e-3
    """of AdamW"""
    weight_decay: float = 1e-2
    """of AdamW"""
    decay: float = 0.5
    """share of the updates, at the end, in which the learning rate falls to 0"""
    clip_norm: float = 1.0
    """norm above which a gradient is scaled down; 0: never"""
    label_smoothing: float = 0.0
    """share of the target that goes to all three answers alike"""
    no_action_weight: float = 0.1
    """weight in the loss of steps in which nothing is compared; 1 of the others"""
    freeze_backbone: bool = True
    """the backbone is not trained; else it is, with the rest (`wm.nback.finetune`)"""

    def __post_init__(self) -> None:
        check_choices(self, {
            "family": FAMILIES, "architecture": ARCHITECTURES, "attention": ATTENTIONS, "stimuli": PRESETS,
            "backbone": BACKBONES, "pool": POOLS, "lures": LURES,
        })  # fmt: skip
        check_whole(self, {"units": 1, "layers": 1, "batch": 1, "updates": 0, "channels": 0})
        check_numbers(self, ("learning_rate", "weight_decay", "clip_norm"), "0 or more and finite")
        check_numbers(self, ("match_probability", "decay", "no_action_weight"), "from 0 to 1")
        check_numbers(self, ("dropout", "label_smoothing"), "from 0 to below 1")
        self._check_task()

    def _check_task(self) -> None:
        for task in diet(self):
            executive(task.lag, self.length)
        if self.task_vector not in (3, 6):
            raise ValueError(f"task_vector must be 6 (feature and lag) or 3, got {self.task_vector}")
        if self.task_vector == 3 and len(self.lags) > 1:
            raise ValueError("a task vector of 3 does not tell the lag: use 6, or a single one of the lags")
        if self.dropout and self.layers == 1:
            raise ValueError("dropout is between recurrent layers: use --layers 2 or more, or --dropout 0")


def diet(config: NBackConfig) -> tuple[Task, ...]:
    """The tasks that a network is trained on, in the order of `TASKS`."""
    return tasks_of(config.lags, config.features)


FAMILIES = catalogue()
"""name -> family: <rnn|gru|lstm>_mtmf, ..._stmf_<lag>, ..._stsf_<lag>_<feature>; attention_...,
task_only_..., dual_...; published_..., of fewer objects. Those of all nine tasks are also called rnn,
attention_rnn, ..."""

PUBLISHED_OPTIONS = {
    "lags": ("--n-values",), "features": ("--task-features",), "length": ("--sequence-length",),
    "units": ("--hidden-size",), "layers": ("--num-layers",), "architecture": ("--rnn-type",),
    "batch": ("--batch-size",), "learning_rate": ("--lr",), "clip_norm": ("--grad-clip",),
    "no_action_weight": ("--no-action-loss-weight",),
}  # fmt: skip
"""field -> published spellings of its option"""

_NAMES = {family.alias: name for name, family in FAMILIES.items() if family.alias}


def family_name(name: str) -> str:
    """Own name of a family, from that or its short one; ValueError with the nearest for an unknown one."""
    if name not in FAMILIES and name not in _NAMES:
        raise ValueError(f"unknown family {name!r}: {nearest(name, [*FAMILIES, *_NAMES])}")
    return _NAMES.get(name, name)


def config(family: str = "gru_mtmf", **changes) -> NBackConfig:
    """Settings of a family, with changes: `config("gru", updates=500)`; ValueError for wrong ones."""
    name = family_name(family)
    return replace(NBackConfig(name, **FAMILIES[name].settings), **changes)
