"""What each rule does to one plastic layer with planted inputs, at a constant rate: no network around it.

y_t = (W + w_t) x_t, and after each token w <- (1 - d) w + r alpha value key^T, with value and key of the rule
(`wm.plastic.rules`). Inputs are noise around one direction u of length 1, the same in all rules.
"""

from __future__ import annotations

__all__ = ["RUNS", "Course", "course", "courses"]

from typing import NamedTuple

import numpy as np
import torch
from torch import Tensor

from ..train import torch_generator
from .memory import Memory, fast_weights, recall, recall_back
from .rules import RULES, Signal

LAYER = "layer"
RUNS = {
    "Hebbian": ("hebbian", 1.0), "Oja": ("oja", 1.0), "Delta": ("delta", 1.0),
    "Gradient, α = +1": ("gradient", 1.0), "Gradient, α = −1": ("gradient", -1.0),
}  # fmt: skip
"""name -> rule and learning rate of all synapses"""


class Course(NamedTuple):
    """What happens token by token, each (time,), before the token is written."""

    norm: np.ndarray
    """|w| (Frobenius)"""
    response: np.ndarray
    """|(W + w) u|: the answer to the planted direction"""
    error: np.ndarray
    """|w - W| / |W|: how far the fast weights are from the answers of the slow ones"""
    internal: np.ndarray
    """mean over tokens of mean_k (P y)_k^2, the internal loss of the gradient rule, if w were as it is now"""


def course(
    rule: str, seed: int | str, *, alpha: float = 1.0, rate: float = 0.1, decay: float = 0.0,
    tokens: int = 200, size: tuple[int, int] = (6, 8), spread: float = 0.5,
) -> Course:  # fmt: skip
    """Let a rule write `tokens` planted tokens into a layer of `size` (outputs, inputs).

    W and P are drawn with variance 1 / inputs, tokens are x = u z + spread * noise with z and noise of
    N(0, 1); all by seed. Raises KeyError for an unknown rule, ValueError for "none", which writes nothing.
    """
    if RULES[rule].write is None:
        raise ValueError(f"the rule {rule!r} writes nothing: choose one of {', '.join(RULES)} that does")
    generator = torch_generator(seed, "one layer")
    drawn = [torch.randn(shape, generator=generator, dtype=torch.float64)
             for shape in (size, (size[0], size[0]), (size[1],), (tokens, 1), (tokens, size[1]))]  # fmt: skip
    slow, inner, u = drawn[0] / size[1] ** 0.5, drawn[1] / size[0] ** 0.5, drawn[2] / drawn[2].norm()
    x = drawn[3] * u + spread * drawn[4]
    one = torch.ones(1, 1, 1, dtype=torch.float64)
    weights = {f"{LAYER}.alpha": alpha * one[0], f"{LAYER}.beta": 0 * one[0]}
    memory, found = Memory.empty({LAYER: size}, x[None, None]), []
    for token in x:
        w = fast_weights(weights, LAYER, memory)[0, 0]
        found.append(_measured(w, slow, inner, u, x))
        signal = _signal(token[None, None, None], slow, inner, weights, memory)
        memory = memory.after({LAYER: RULES[rule].write(signal)}, rate * one, decay * one)
    return Course(*np.array(found).T)


def courses(layers: int = 6, **settings) -> dict[str, dict[str, np.ndarray]]:
    """measure -> name of `RUNS` -> (layer, time): each run on the same layers; settings: of `course`."""
    found = {
        name: [course(rule, k, alpha=alpha, **settings) for k in range(layers)]
        for name, (rule, alpha) in RUNS.items()
    }
    return {
        part: {name: np.array([getattr(each, part) for each in own]) for name, own in found.items()}
        for part in Course._fields
    }


def _signal(x: Tensor, slow: Tensor, inner: Tensor, weights: dict[str, Tensor], memory: Memory) -> Signal:
    """What the layer sees at a token x (1, 1, 1, input); gradient of mean_k (P y)_k^2: 2 / K P^T P y."""
    fast = recall(weights, LAYER, x, memory, memory.now())
    y = x @ slow.T + fast
    gradient = 2 / len(inner) * (y @ inner.T @ inner)
    return Signal(x, y, y, fast, gradient, lambda v: recall_back(weights, LAYER, v, memory, memory.now()))


def _measured(w: Tensor, slow: Tensor, inner: Tensor, u: Tensor, x: Tensor) -> tuple[float, ...]:
    both = slow + w
    error = (w - slow).norm() / slow.norm()
    return tuple(map(float, (w.norm(), (both @ u).norm(), error, (x @ both.T @ inner.T).square().mean())))
