"""Plastic layers while a body computes tokens: they answer it, and record what they saw."""

from __future__ import annotations

__all__ = ["Layers", "internal_loss"]

from collections.abc import Callable, Mapping, Sequence

from torch import Tensor

from .bodies import affine
from .memory import Memory, recall, recall_back
from .rates import Writes
from .rules import Rule, Signal


class Layers:
    """All plastic layers of an ensemble, reading from a memory.

    matrix: coefficients of what is written for each token, (network, trial, time, written).
    """

    def __init__(self, weights: Mapping[str, Tensor], memory: Memory, matrix: Tensor, rule: Rule) -> None:
        self.weights, self.memory, self.matrix, self.rule = weights, memory, matrix, rule
        self.seen: dict[str, tuple] = {}

    def plastic(self, name: str, x: Tensor, activity: Callable[[Tensor], Tensor] | None = None) -> Tensor:
        """y = (W + w) x + b + c (see `wm.plastic.bodies.Plastic`)."""
        slow = affine(self.weights, name, x)
        if name not in self.memory.values:
            return slow
        fast = recall(self.weights, name, x, self.memory, self.matrix)
        y = slow + fast
        if self.rule.needs_gradient and not y.requires_grad:
            y.requires_grad_()
        self.seen[name] = (x, y, activity, fast)
        return y

    @property
    def outputs(self) -> list[Tensor]:
        """Outputs of all layers, in the order of computation."""
        return [y for _, y, _, _ in self.seen.values()]

    def writes(self, gradients: Sequence[Tensor] | None) -> Writes:
        """What the rule writes for these tokens, by layer; gradients: d L_int / d y, as `outputs`."""
        found = {}
        for k, (name, (x, y, activity, fast)) in enumerate(self.seen.items()):

            def backward(u: Tensor, name: str = name) -> Tensor:
                return recall_back(self.weights, name, u, self.memory, self.matrix)

            post = y if activity is None else activity(y)
            gradient = None if gradients is None else gradients[k]
            found[name] = self.rule.write(Signal(x, y, post, fast, gradient, backward))
        return found


def internal_loss(outputs: Tensor, projection: Tensor) -> Tensor:
    """Sum over tokens of L_int = mean((P outputs)^2), with P (network, output, output) or a diagonal one.

    outputs (network, trial, time, output): answers, logit of the rate, auxiliary.
    """
    diagonal = projection.ndim == 2
    inner = outputs * projection[:, None, None] if diagonal else outputs @ projection[:, None].mT
    return inner.square().mean(dim=-1).sum()
