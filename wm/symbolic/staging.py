"""What interventions start from: a network with an autoencoder at one stage, on all windows of its cycle."""

from __future__ import annotations

__all__ = ["Stage", "prepare"]

from typing import NamedTuple

import torch
from torch import Tensor

from .hooks import Hooked
from .library import Trained
from .sae import SparseAutoencoder
from .task import Cycle


class Stage(NamedTuple):
    """A network and an autoencoder at one of its stages, on the windows of a cycle in the order of phases.

    tokens: (phase, time); right: (phase,), the symbol that comes next; x and f: residual (phase, d) and
    features (phase, feature) of the last position; logits: (phase, symbol), without edits; alive: (feature,)
    bool, active at any position of any window; spread: root-mean-square distance of x from its mean.
    """

    cycle: Cycle
    model: Hooked
    sae: SparseAutoencoder
    tokens: Tensor
    right: Tensor
    x: Tensor
    f: Tensor
    logits: Tensor
    alive: Tensor
    spread: float


@torch.no_grad()
def prepare(trained: Trained, sae: SparseAutoencoder) -> Stage:
    """Run a network on all windows of its cycle.

    Raises as `Cycle.phase_windows` does, and ValueError if no feature is active: there is nothing to edit.
    """
    cycle, point = trained.config.cycle(), sae.cfg.hook_name
    tokens = torch.from_numpy(cycle.phase_windows(trained.config.context))
    logits, cache = trained.model.run_with_cache(tokens, point)
    right = torch.from_numpy(cycle.predictive(tokens.numpy())[:, -1].argmax(axis=-1))
    x, f = cache[point][:, -1], sae.encode(cache[point])
    if not (f[:, -1] > 0).any():
        raise ValueError(f"no feature is active at the last position of any window at {point}: train another")
    spread = (x - x.mean(dim=0)).square().sum(dim=-1).mean().sqrt().item()
    alive = (f > 0).any(dim=0).any(dim=0)
    return Stage(cycle, trained.model, sae, tokens, right, x, f[:, -1], logits[:, -1], alive, spread)
