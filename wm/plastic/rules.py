"""Rules of fast weights: what a layer writes into its fast weights after a token.

Every rule writes an outer product, so that a token is stored as two vectors, never as a matrix:

    w <- (1 - decay) w + rate * alpha o (value key^T),    c <- (1 - decay) c + rate * beta o value

with `rate` and `decay` from the network itself (see `wm.plastic.engine`). A rule says what value and key are.
Adding one: a function of `Signal`, registered in `RULES`.
"""

from __future__ import annotations

__all__ = ["RULES", "Rule", "Signal", "Write"]

from collections.abc import Callable
from dataclasses import dataclass
from typing import NamedTuple

from torch import Tensor


@dataclass(frozen=True, eq=False)
class Signal:
    """What a plastic layer has seen at some tokens, arrays (network, trial, time, unit)."""

    x: Tensor
    """inputs of the layer"""
    y: Tensor
    """outputs before any nonlinearity, y = (W + w) x + b + c"""
    post: Tensor
    """activity of the layer: y in transformers, what the nonlinearity makes of it in recurrent networks"""
    fast: Tensor
    """the part of y that comes from the fast weights, w x + c"""
    gradient: Tensor | None
    """d L_int / d y, through its own token alone; None unless the rule needs it"""
    backward: Callable[[Tensor], Tensor]
    """u (network, trial, time, output) -> w^T u (network, trial, time, input)"""


class Write(NamedTuple):
    """What is written: outer product of value (network, trial, time, output) and key (..., input)."""

    value: Tensor
    key: Tensor


@dataclass(frozen=True)
class Rule:
    """A rule: its title in figures, whether it needs gradients of the internal loss, and what it writes."""

    title: str
    write: Callable[[Signal], Write] | None = None
    """None: nothing is ever written"""
    needs_gradient: bool = False


def _hebbian(signal: Signal) -> Write:
    """dw = post x^T."""
    return Write(signal.post, signal.x)


def _gradient(signal: Signal) -> Write:
    """dw = dL_int/dw = (dL_int/dy) x^T, as w acts on y alone."""
    return Write(signal.gradient, signal.x)


def _oja(signal: Signal) -> Write:
    """dw = y (x - w^T y)^T, Oja's subspace rule (1989): Hebbian, but bounded."""
    return Write(signal.post, signal.x - signal.backward(signal.post))


def _delta(signal: Signal) -> Write:
    """dw = (s - w x) x^T: fast weights learn what the slow ones answer, s = W x + b (Widrow, Hoff 1960)."""
    return Write(signal.y - 2 * signal.fast, signal.x)


RULES = {
    "none": Rule("No plasticity"),
    "hebbian": Rule("Hebbian", _hebbian),
    "gradient": Rule("Gradient", _gradient, needs_gradient=True),
    "oja": Rule("Oja", _oja),
    "delta": Rule("Delta", _delta),
}
"""name -> rule; the first three are those of the papers"""
