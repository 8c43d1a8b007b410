"""`wm nback train`: train as a settings file of the published re-make says."""

from __future__ import annotations

__all__ = ["Train"]

from dataclasses import dataclass
from pathlib import Path
from typing import Annotated, Literal

from tyro.conf import FlagCreatePairsOff, arg

from ..arguments import UsageError, check_device, say


@dataclass(frozen=True)
class Train:
    """Train networks as a published settings file (YAML) says; `wm train nback.gru` needs none.

    Example: wm nback train --config mtmf.yaml --seeds 0 1
    """

    config: Annotated[Path | None, arg(metavar="FILE", help_behavior_hint="")] = None
    """of `key: value` lines; keys that have no meaning here are named, with the reason"""
    networks: int = 1
    """how many, with seeds 0, 1, ..."""
    seeds: Annotated[tuple[str, ...], arg(aliases=["--random"], help_behavior_hint="")] = ()
    """seeds, one for each network, in place of a number of networks"""
    backbone: Literal["efficientnet_lite0", "resnet50"] = "efficientnet_lite0"
    """the convolutional network; published: resnet50"""
    weights: Annotated[Path | None, arg(metavar="FILE", help_behavior_hint="")] = None
    """of the convolutional network, by default those that belong to it"""
    device: str = "cpu"
    """cpu, cuda or cuda:N"""
    checkpoint: Annotated[Path | None, arg(metavar="DIR", help_behavior_hint="")] = None
    """folder from which the same command goes on after an interruption"""
    overwrite: FlagCreatePairsOff[bool] = False
    """replace saved networks that have other settings"""

    def __post_init__(self) -> None:
        if self.networks < 1:
            raise ValueError(f"--networks must be 1 or more, got {self.networks}")
        if self.networks > 1 and self.seeds:
            raise ValueError("--seeds says how many networks there are: leave --networks out")
        check_device(self.device)

    def run(self) -> int:
        """Tell what is understood, train, and save the networks with their scores."""
        from ..campaign import training_command
        from ..show import medians
        from .campaign import train
        from .families import config as family_config
        from .published import read_published

        if self.config is None:
            raise UsageError("name a settings file: wm nback train --config FILE.yaml")
        found = read_published(self.config)
        for key, why in found.unused.items():
            say(f"{key} has no meaning here: {why}")
        for name, how in found.assumed.items():
            say(f"{name.replace('_', ' ')} is taken as {how}")
        config = family_config(**found.changes, backbone=self.backbone)
        seeds = self.seeds or tuple(str(seed) for seed in range(self.networks))
        command = training_command("nback", config, family_config(config.family), " ".join(seeds))
        say(f"the same without a file: {command}")
        done = train(
            config, seeds=seeds, device=self.device, checkpoint=self.checkpoint, overwrite=self.overwrite,
            weights=self.weights,
        )  # fmt: skip
        return say(f"saved nback/{' '.join(done.names)}: {medians(done.records)}")
