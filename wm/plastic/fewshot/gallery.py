"""The drawings of several tasks on one device: what was drawn by lot becomes the tokens of episodes there."""

from __future__ import annotations

__all__ = ["Gallery"]

from collections.abc import Sequence
from typing import TYPE_CHECKING

import torch
from torch import Tensor

from .augment import augmented
from .pools import SIDE

if TYPE_CHECKING:
    from .task import Classification


class Gallery:
    """Drawings of the tasks of an ensemble, which differ at most in data set, split, order and queries."""

    def __init__(self, tasks: Sequence[Classification], device: str = "cpu") -> None:
        self.task = max(tasks, key=lambda task: task.length)
        own = [task.pool for task in tasks]  # asked once: a pool that is loaded again is another object
        pools = list(dict.fromkeys(own))
        vectors = [torch.as_tensor(pool.vectors[:, : self.task.numbers]) for pool in pools]
        self.vectors = (torch.cat(vectors) if len(pools) > 1 else vectors[0]).to(device)
        starts = dict(zip(pools, [0, *torch.tensor([*map(len, vectors)]).cumsum(0).tolist()], strict=False))
        self.starts = torch.tensor([starts[pool] for pool in own], device=device)[:, None, None]
        self.ways = torch.arange(self.task.ways, device=device)
        time = torch.arange(self.task.length, device=device)
        self.asked = time >= self.task.support
        lengths = torch.tensor([task.length for task in tasks], device=device)
        self.missing = time >= lengths[:, None, None] if len({*lengths.tolist()}) > 1 else None

    def tokens(self, drawings: Tensor, labels: Tensor, moved: Tensor | None = None) -> tuple[Tensor, Tensor]:
        """Inputs (network, trial, time, number) and targets (network, trial, time).

        drawings, labels, moved: of `Classification.draw`, with an axis of networks, and filled up with zeros
        where others are longer.
        """
        drawings = drawings + self.starts
        if moved is None:
            shown = self.vectors.index_select(0, drawings.flatten()).unflatten(0, drawings.shape)
        else:
            maps = self.vectors.unflatten(1, (self.task.channels, SIDE, SIDE))
            shown = augmented(maps, drawings, moved).flatten(-3)
        given = (labels[..., None] == self.ways) & ~self.asked[:, None]
        flag = self.asked[:, None].expand(*labels.shape, 1)
        inputs = torch.cat([shown, torch.cat([given, flag], dim=-1).to(shown.dtype)], dim=-1)
        if self.missing is not None:
            inputs = inputs.masked_fill(self.missing[..., None], 0)
        return inputs, labels * self.asked
