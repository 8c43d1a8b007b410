"""Let a network go on from a prompt: each symbol is drawn from its prediction and fed back to it.

    from wm import symbolic, train
    found = generate(model, prompts, 100, context=10, generator=train.numpy_generator(0, "generation"))
    found.tokens                                               # (trial, step)

The network sees the last `context` symbols and no more: a shorter prompt grows until the window is full,
which then slides. With hooks, an intervention lasts for the whole generation.
"""

from __future__ import annotations

__all__ = [
    "Basins",
    "Generated",
    "Predictor",
    "basins",
    "best_prediction",
    "copying",
    "exact_predictor",
    "expected",
    "generate",
]

import contextlib
from collections.abc import Callable, Sequence
from typing import NamedTuple

import numpy as np
import torch
from torch import Tensor

from .evaluate import log_probabilities
from .hooks import Hook, Hooked, Where, as_tokens
from .task import Cycle

Predictor = Hooked | Callable[[Tensor], Tensor]
"""tokens (trial, time) -> logits (trial, time, symbol)"""


class Generated(NamedTuple):
    """What followed each prompt: tokens (trial, step) int64, probabilities (trial, step, symbol) float64.

    probabilities: what the network predicted before each token, at temperature 1 whatever the tokens were
    drawn at.
    """

    tokens: np.ndarray
    probabilities: np.ndarray


@torch.no_grad()
def generate(
    model: Predictor,
    prompts: np.ndarray | Tensor,
    steps: int,
    *,
    context: int,
    temperature: float = 1.0,
    generator: np.random.Generator | None = None,
    fwd_hooks: Sequence[tuple[Where, Hook]] = (),
) -> Generated:
    """Continue prompts (trial, time) by `steps` symbols each.

        x(t + 1) ~ softmax(logits(x(t - context + 1), ..., x(t)) / temperature)

    At temperature 0 the likeliest symbol follows; else a generator is needed. Every trial has a stream of its
    own, spawned from it: what follows a prompt depends on its place among the prompts, not on how many or
    which others there are, nor on `steps`, and stays comparable under hooks; a second call with the same
    generator draws anew. fwd_hooks: as in `Hooked.run_with_hooks`, at work in every step; index -1 of the
    time axis is the place whose prediction is used. Raises ValueError for prompts that are not such tokens or
    empty, steps or context below 1, a negative temperature, a missing generator, predictions that are not
    finite, and as `Hooked.run_with_hooks` does.
    """
    seen = as_tokens(torch.as_tensor(prompts))
    if not seen.numel() or steps < 1 or context < 1:
        raise ValueError(
            f"prompts {(*seen.shape,)}, {steps} steps, context {context}: all of these must be at least 1"
        )
    uniform = _uniform(len(seen), steps, temperature, generator)
    first = next(model.parameters(), seen) if isinstance(model, torch.nn.Module) else seen
    tokens = torch.cat([seen, seen.new_zeros(len(seen), steps)], dim=1).to(first.device)
    probabilities, start = [], seen.shape[1]
    with model.hooks(fwd_hooks) if fwd_hooks else contextlib.nullcontext():
        for step in range(steps):
            now = start + step
            window = tokens[:, max(0, now - context) : now]
            logits = _last(model, window) if fwd_hooks else _last_of_each(model, window)
            if not torch.isfinite(logits.amax(dim=-1)).all():
                raise ValueError(f"the prediction of step {step} is not finite: a hook may have made it so")
            probabilities.append(logits.softmax(dim=-1))
            tokens[:, now] = _choice(logits, temperature, uniform[:, step])
    return Generated(tokens[:, start:].cpu().numpy(), torch.stack(probabilities, dim=1).cpu().numpy())


def _last(model: Predictor, window: Tensor) -> Tensor:
    """Logits (trial, symbol) of what follows windows (trial, time)."""
    return model(window)[:, -1].double()


def _last_of_each(model: Predictor, window: Tensor) -> Tensor:
    """The same, from one pass of every different window: on the cycle, there are few."""
    different, place = window.unique(dim=0, return_inverse=True)
    return _last(model, different)[place]


def _uniform(trials: int, steps: int, temperature: float, generator: np.random.Generator | None) -> Tensor:
    """Random numbers in [0, 1), (trial, step)."""
    if not 0 <= temperature < np.inf:
        raise ValueError(f"temperature must be 0 or more and finite, got {temperature}")
    if temperature == 0:
        return torch.zeros(trials, steps)
    if generator is None:
        raise ValueError("give a generator to draw symbols with, or temperature=0 for the likeliest ones")
    return torch.from_numpy(np.stack([own.random(steps) for own in generator.spawn(trials)]))


def _choice(logits: Tensor, temperature: float, uniform: Tensor) -> Tensor:
    """A symbol for each of logits (trial, symbol): inverse of the cumulative distribution at `uniform`."""
    if temperature == 0:
        return logits.argmax(dim=-1)
    steps = (logits / temperature).softmax(dim=-1).cumsum(dim=-1)[:, :-1]
    return (uniform.to(logits.device)[:, None] >= steps).sum(dim=-1)


def best_prediction(cycle: Cycle, windows: np.ndarray) -> np.ndarray:
    """P(next symbol | longest legal ending) of windows (window, time), legal or not: (window, symbol)."""
    different, place = np.unique(windows, axis=0, return_inverse=True)
    found = np.full((len(different), cycle.symbols), np.nan)
    for start in range(different.shape[1]):
        todo = np.isnan(found[:, 0])
        if todo.any():
            found[todo] = cycle.predictive(different[todo, start:])[:, -1]
    return found[place.ravel()]


def expected(cycle: Cycle, before: np.ndarray, tokens: np.ndarray, context: int) -> np.ndarray:
    """`best_prediction` of tokens (trial, step) after prompts (trial, time): (trial, step, symbol)."""
    history, start = np.concatenate([before, tokens], axis=1), before.shape[1]
    widths = np.minimum(context, start + np.arange(tokens.shape[1]))
    found = np.empty((*tokens.shape, cycle.symbols))
    for width in np.unique(widths):
        at = np.flatnonzero(widths == width)
        windows = np.stack([history[:, start + step - width : start + step] for step in at], axis=1)
        q = best_prediction(cycle, windows.reshape(-1, width))
        found[:, at] = q.reshape(len(tokens), len(at), -1)
    return found


def exact_predictor(cycle: Cycle) -> Predictor:
    """`best_prediction` in the form that `generate` takes: a network without fault."""

    def logits(tokens: Tensor) -> Tensor:
        return torch.from_numpy(best_prediction(cycle, tokens.numpy())[:, None]).log()

    return logits


class Basins(NamedTuple):
    """Where greedy generation leads from every window of `context` symbols, legal or not.

    windows: (window, context), in the order of their symbols; returns: whether it ends on an attractor of
    legal windows alone, bool (window,); attractors: how many there are, and how many of these are legal.
    """

    windows: np.ndarray
    returns: np.ndarray
    attractors: tuple[int, int]


def basins(model: Predictor, cycle: Cycle, context: int) -> Basins:
    """Follow the likeliest symbol from each window for ever: the closed loop as a map on all windows.

    Raises ValueError if there are more than 3^11 windows.
    """
    windows, likeliest = _likeliest(model, cycle.symbols, context)
    count = len(windows)
    later = (np.arange(count) * cycle.symbols + likeliest) % count  # the window one step later
    impossible, orbit = ~cycle.legal(windows), np.arange(count)
    for _ in range(count.bit_length()):  # twice as many steps ahead each time
        impossible, orbit = impossible | impossible[later], np.minimum(orbit, orbit[later])
        later = later[later]
    ends = np.unique(orbit[later])  # the lowest window of each attractor
    return Basins(windows, ~impossible[later], (len(ends), int((~impossible[ends]).sum())))


def copying(model: Predictor, cycle: Cycle, context: int) -> np.ndarray:
    """Share of windows whose likeliest next symbol succeeds the one `back` steps before it, by back - 1.

    Of all windows of `context` symbols, legal or not, for back from 1 to context: (context,). 1 if this rule
    alone decides, `1 / cycle.symbols` if it has no part. Raises what `basins` does.
    """
    windows, likeliest = _likeliest(model, cycle.symbols, context)
    return ((windows[:, ::-1] + 1) % cycle.symbols == likeliest[:, None]).mean(axis=0)


def _likeliest(model: Predictor, symbols: int, context: int) -> tuple[np.ndarray, np.ndarray]:
    """All windows (window, context) in the order of their symbols, and what follows each, (window,)."""
    count = symbols**context
    if count > 3**11:
        raise ValueError(
            f"{count} windows of {context} symbols are too many to follow, at most {3**11} are not"
        )
    windows = np.indices((symbols,) * context).reshape(context, -1).T
    parts = [log_probabilities(model, part)[:, -1].argmax(axis=-1) for part in np.array_split(windows, 16)]
    return windows, np.concatenate(parts)
