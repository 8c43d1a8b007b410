"""Small changes to drawings that keep what they show."""

from __future__ import annotations

__all__ = ["MOVES", "augmented", "moves"]

import numpy as np
import torch
from torch import Tensor

REACH = 4
"""pixels by which a drawing of 32 is shifted at most"""
MOVES = ("down", "right", "mirrored")


def moves(generator: np.random.Generator, *shape: int, mirrored: bool) -> np.ndarray:
    """Shifts by up to 4 pixels and, half of the time, a mirror, (..., 3) of `MOVES`, int64."""
    found = generator.integers(-REACH, REACH + 1, size=(*shape, 3))
    found[..., 2] = generator.integers(2, size=shape) if mirrored else 0
    return found


def augmented(maps: Tensor, drawings: Tensor, moved: Tensor) -> Tensor:
    """Some of the maps (drawing, channel, row, column), each moved in its own way, (..., channel, ...).

    drawings (...): which; moved (..., 3): by how much. What moves in from outside is what the border of the
    drawing is.
    """
    channels, side = maps.shape[1], maps.shape[-1]
    place = torch.arange(side, device=maps.device)
    down, right, mirrored = moved[..., None].unbind(-2)
    rows, columns = ((place - by).clamp(0, side - 1) for by in (down, right))
    columns = torch.where(mirrored > 0, columns.flip(-1), columns)
    channel = torch.arange(channels, device=maps.device)[:, None, None]
    rows, columns = rows[..., None, :, None], columns[..., None, None, :]
    return maps[drawings[..., None, None, None], channel, rows, columns]
