"""Hooks that edit: features of a sparse autoencoder, directions, and what another run of the model showed.

Each function returns a hook for `run_with_hooks` or `generate`; it acts at the last position unless told
otherwise, and leaves all other positions as they are::

    logits = model.run_with_hooks(tokens, [(sae.cfg.hook_name, edits.multiply(sae, 26, 5.0))])

Edits of features keep the error of the autoencoder::

    x' = x + decode(f') - decode(f) = x + (f' - f) W_dec,     f = encode(x)

so that unchanged features, such as multiplied by 1, leave x as it is, bit for bit.
"""

from __future__ import annotations

__all__ = ["Positions", "ablate", "add", "clamp", "multiply", "patch", "splice", "steer"]

from collections.abc import Callable, Sequence

import torch
from torch import Tensor

from .hooks import Hook, HookPoint
from .sae import SparseAutoencoder

Positions = int | Sequence[int] | None
"""places in the window, negative ones counted from its end; None: all"""
Features = int | Sequence[int]


def splice(sae: SparseAutoencoder, change: Callable[[Tensor], Tensor], *, at: Positions = -1) -> Hook:
    """Change features by any function, f (trial, position, feature) -> the same, and keep the error."""
    return _replacing(lambda x: sae.edit(x, change), at)


def multiply(
    sae: SparseAutoencoder, features: Features, factor: float | Tensor, *, at: Positions = -1
) -> Hook:
    """Multiply features by a factor; factor: a number, one for each feature, or (trial, 1, feature).

    Raises ValueError for a feature that the autoencoder does not have.
    """
    return _changing(sae, features, lambda f: f * factor, at)


def add(sae: SparseAutoencoder, features: Features, amount: float | Tensor, *, at: Positions = -1) -> Hook:
    """Add to features, active or not: steering along their rows of W_dec. Else as `multiply`."""
    return _changing(sae, features, lambda f: f + amount, at)


def clamp(sae: SparseAutoencoder, features: Features, value: float | Tensor, *, at: Positions = -1) -> Hook:
    """Set features to a value. Else as `multiply`."""
    return _changing(sae, features, lambda f: torch.zeros_like(f) + value, at)


def ablate(sae: SparseAutoencoder, features: Features, *, at: Positions = -1) -> Hook:
    """Set features to 0. Raises as `multiply`."""
    return clamp(sae, features, 0.0, at=at)


def steer(direction: Tensor, *, at: Positions = -1) -> Hook:
    """Add a vector to what stands there; direction: (d,), or one for each trial (trial, d).

    ValueError when it runs on something of another width, or on another number of trials.
    """
    vectors = direction[:, None] if direction.ndim == 2 else direction

    def moved(x: Tensor) -> Tensor:
        trials = direction.shape[0] if direction.ndim == 2 else len(x)
        if direction.ndim not in (1, 2) or (trials, direction.shape[-1]) != (len(x), x.shape[-1]):
            raise ValueError(
                f"a direction {(*direction.shape,)} cannot be added to {(*x.shape,)}: give ({x.shape[-1]},) "
                f"or ({len(x)}, {x.shape[-1]})"
            )
        return x + vectors

    return _replacing(moved, at)


def patch(donor: Tensor, *, at: Positions = -1, heads: int | Sequence[int] | None = None) -> Hook:
    """Put in what another run showed at the same point and positions.

    donor: from `run_with_cache`, (trial, time, ...) as at the hook point. heads: of hook_q, k, v, z or result
    (trial, time, head, ...), put in these heads alone. ValueError when it runs on another shape, or there is
    no such head.
    """

    def hook(x: Tensor, hook: HookPoint) -> Tensor:
        if donor.shape != x.shape:
            raise ValueError(f"what is patched is {(*donor.shape,)}, but {hook.name} has {(*x.shape,)}")
        places, patched = _places(at, x.shape[1]), x.clone()
        if heads is None:
            patched[:, places] = donor[:, places]
            return patched
        for head in _listed(heads):
            if x.ndim != 4 or not 0 <= head < x.shape[2]:
                raise ValueError(f"{hook.name} has {(*x.shape,)}: there is no head {head}")
            patched[:, places, head] = donor[:, places, head]
        return patched

    return hook


def _changing(
    sae: SparseAutoencoder, features: Features, change: Callable[[Tensor], Tensor], at: Positions
) -> Hook:
    """Splice that changes some features, (trial, position, feature of them)."""
    chosen = _listed(features)
    if odd := [feature for feature in chosen if not 0 <= feature < sae.cfg.d_sae]:
        raise ValueError(f"there is no feature {odd[0]}: the autoencoder has 0 to {sae.cfg.d_sae - 1}")

    def changed(f: Tensor) -> Tensor:
        f = f.clone()
        f[..., chosen] = change(f[..., chosen])
        return f

    return splice(sae, changed, at=at)


def _replacing(change: Callable[[Tensor], Tensor], at: Positions) -> Hook:
    """A hook that applies `change` to x (trial, time, d) at some positions alone."""

    def hook(x: Tensor, hook: HookPoint) -> Tensor:
        places, edited = _places(at, x.shape[1]), x.clone()
        edited[:, places] = change(x[:, places])
        return edited

    return hook


def _places(at: Positions, length: int) -> list[int]:
    places = [*range(length)] if at is None else _listed(at)
    if odd := [place for place in places if not -length <= place < length]:
        raise ValueError(f"position {odd[0]} lies outside a window of {length}")
    return places


def _listed(numbers: int | Sequence[int]) -> list[int]:
    return [numbers] if isinstance(numbers, int) else [int(number) for number in numbers]
