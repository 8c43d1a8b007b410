"""The neuromodulated rate, the papers' eta: how strongly a network writes a token, which it says itself."""

from __future__ import annotations

__all__ = ["Knobs", "Rates", "Writes", "knobs", "rates_of"]

from collections.abc import Sequence
from typing import NamedTuple

import torch
from torch import Tensor

from .families import PlasticConfig
from .rules import Write

Writes = dict[str, Write]
"""layer -> what is written into it"""
NO_CLIP = 1e30
"""a norm that no update has"""


class Knobs(NamedTuple):
    """Settings of the rate, in which networks of one ensemble may differ, each (network, 1, 1)."""

    eta0: Tensor
    max_norm: Tensor
    modulated: Tensor
    """1, or 0 where eta0 / 2 is the rate of all tokens"""


def knobs(configs: Sequence[PlasticConfig], like: Tensor) -> Knobs:
    """Those of networks, on the device and of the kind of a tensor."""
    columns = zip(*((each.eta0, each.max_norm or NO_CLIP, each.modulated) for each in configs), strict=True)
    return Knobs(*(like.new_tensor(column)[:, None, None] for column in columns))


class Rates(NamedTuple):
    """How tokens are written, tensors (network, trial, time)."""

    rate: Tensor
    """r, the papers' eta, with which a token is written"""
    decay: Tensor
    """d, of what was written before"""
    logit: Tensor
    """that the network gave for the rate"""
    norm: Tensor
    """|delta| of the update, before the clip; 0 where nothing is written"""
    ratio: Tensor
    """by which the clip scaled the rate; 1: not at all"""


def rates_of(config: PlasticConfig, logit: Tensor, writes: Writes, knobs: Knobs) -> Rates:
    """r = eta0 sigmoid(logit) min(1, max_norm / |delta|), d = r (published) or eta0 sigmoid(logit).

    |delta|^2 = sum over layers |value|^2 |key|^2 + 1e-8. logit (network, trial, time). Without modulation
    eta0 / 2 takes the place of eta0 sigmoid(logit). Where nothing is written, both are 0.
    """
    if not writes:
        zero = torch.zeros_like(logit)
        return Rates(zero, zero, logit, zero, zero + 1)
    squared = sum(value.square().sum(-1) * key.square().sum(-1) for value, key in writes.values())
    norm = (squared + 1e-8).sqrt()
    ratio = (knobs.max_norm / (norm + 1e-8)).clamp(max=1)
    chosen = knobs.eta0 * (knobs.modulated * (logit.sigmoid() - 0.5) + 0.5)
    rate = chosen * ratio
    return Rates(rate, rate if config.clip_decay else chosen, logit, norm, ratio)
