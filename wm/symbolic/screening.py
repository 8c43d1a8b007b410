"""The published way to look for what features do: multiply one at a time, look at predictions, and generate.

Candidates are the features with the largest activations at the last position of each window. Each is
multiplied by a factor at the last position: does the likeliest symbol change in any window, and what becomes
of a string that is generated under the edit? Of such a string, after a legal prompt::

    no effect      prompt and string together are legal: runs stay as long as they should be
    lock-in        the last half of the string is one symbol
    timing error   else, if every step leads to the same or the next symbol: order kept, runs of wrong length
    other          else: the order is broken

Source: github.com/sandreza/SymbolicMemory; the rules of the classes are ours.
"""

from __future__ import annotations

__all__ = [
    "CLASSES", "FACTORS", "candidates", "classify", "continuations", "flips", "prompt", "screen",
]  # fmt: skip

from collections.abc import Sequence

import numpy as np
import pandas as pd
import torch
from numpy.typing import ArrayLike

from ..train import numpy_generator
from . import edits
from .generation import generate
from .sae_metrics import contiguous
from .stages import distinct
from .staging import Stage
from .task import Cycle

CLASSES = ("no_effect", "lock_in", "timing_error", "other")
FACTORS = (0.0, 1.0, 5.0, 10.0)
"""published: 0, 5 and 10; 1 changes nothing"""
TOP = 20
"""candidates of each window"""
STEPS = 200
"""symbols generated"""


def candidates(features: ArrayLike, top: int = TOP) -> np.ndarray:
    """Features that are among the `top` largest in any row of (window, feature), in rising order.

    Of equal ones, such as those that are 0, the first come first.
    """
    order = np.argsort(-np.asarray(features), axis=1, kind="stable")
    return np.unique(order[:, :top])


def prompt(stage: Stage) -> np.ndarray:
    """The window from offset 0 of the cycle, (1, time): 0 held from its first step, and what follows."""
    length = stage.tokens.shape[1]
    return stage.tokens[(length - 1) % stage.cycle.period][None].numpy()


def classify(cycle: Cycle, before: np.ndarray, tokens: np.ndarray) -> np.ndarray:
    """Index into `CLASSES` of strings (trial, step) after legal prompts (trial or 1, time): (trial,).

    Raises ValueError for a prompt that the cycle cannot show.
    """
    if not cycle.legal(before).all():
        raise ValueError("the class of a string is that of its edit: it must follow a legal prompt")
    whole = np.concatenate([np.broadcast_to(before, (len(tokens), before.shape[1])), tokens], axis=1)
    half = tokens[:, tokens.shape[1] // 2 :]
    in_order = (np.diff(whole, axis=1) % cycle.symbols <= 1).all(axis=1)
    locked = (half == half[:, :1]).all(axis=1) & (half.shape[1] > max(cycle.holding))
    return np.select([cycle.legal(whole), locked, in_order], [0, 1, 2], 3)


@torch.no_grad()
def flips(stage: Stage, features: Sequence[int], factor: float) -> np.ndarray:
    """Whether the likeliest symbol changes with one feature multiplied, bool (feature, window)."""
    windows = len(stage.tokens)
    hook = _each_alone(stage, features, factor, windows)
    logits = stage.model.run_with_hooks(
        stage.tokens.repeat(len(features), 1), [(stage.sae.cfg.hook_name, hook)]
    )
    answers = logits[:, -1].argmax(dim=-1).view(len(features), windows)
    return (answers != stage.logits.argmax(dim=-1)).numpy()


def continuations(
    stage: Stage,
    features: Sequence[int],
    factor: float,
    *,
    generator: np.random.Generator,
    draws: int = 1,
    steps: int = STEPS,
) -> np.ndarray:
    """What is generated after `prompt` while one feature is multiplied, (feature, draw, step).

    At temperature 1, with a window as long as the prompt that slides.
    """
    before = prompt(stage)
    hook = _each_alone(stage, features, factor, draws)
    found = generate(
        stage.model, before.repeat(len(features) * draws, axis=0), steps, context=before.shape[1],
        generator=generator, fwd_hooks=[(stage.sae.cfg.hook_name, hook)],
    )  # fmt: skip
    return found.tokens.reshape(len(features), draws, steps)


def _each_alone(stage: Stage, features: Sequence[int], factor: float, trials: int) -> edits.Hook:
    """Multiplies the first feature in the first so many trials, then the next."""
    factors = torch.ones(len(features), trials, 1, stage.f.shape[1])
    for k, feature in enumerate(features):
        factors[k, ..., feature] = factor
    return edits.splice(stage.sae, lambda f: f * factors.flatten(0, 1))


def screen(
    stage: Stage, *, draws: int = 5, steps: int = STEPS, seed: int | str = 0
) -> tuple[pd.DataFrame, pd.DataFrame]:
    """The published procedure: a row for each factor, and one for each factor and active candidate.

    By factor: candidates; active, those active in any window; least, mean, most: active features per window;
    codes: different ones at the last position; contiguous: share of active candidates whose phases are one
    stretch; flipping: candidates that change the likeliest symbol of any window; most_windows: of one
    candidate; `CLASSES`: shares of all strings of active candidates. By feature: phases, the number in which
    it is active; contiguous; windows, in which the likeliest symbol changes; `CLASSES`: how many of `draws`
    strings. A candidate that is never active leaves everything as it is.
    """
    active = (stage.f > 0).numpy()
    listed = candidates(stage.f.numpy())
    used = listed[active[:, listed].any(axis=0)].tolist()
    at_once = active.sum(axis=1)
    about = {
        "candidates": len(listed), "active": len(used), "least": at_once.min(), "mean": at_once.mean(),
        "most": at_once.max(), "codes": distinct(stage.f.numpy()),
    }  # fmt: skip
    summary, by_feature = [], []
    for factor in FACTORS:
        generator = numpy_generator(seed, "screening", stage.sae.cfg.hook_name)  # the same for each factor
        strings = continuations(stage, used, factor, generator=generator, draws=draws, steps=steps)
        kinds = classify(stage.cycle, prompt(stage), strings.reshape(-1, strings.shape[-1]))
        counts = (kinds.reshape(len(used), draws)[..., None] == np.arange(len(CLASSES))).sum(axis=1)
        rows = pd.DataFrame(
            {
                "factor": factor, "feature": used, "phases": active[:, used].sum(axis=0),
                "contiguous": contiguous(active[:, used]),
                "windows": flips(stage, used, factor).sum(axis=1),
            } | dict(zip(CLASSES, counts.T, strict=True))
        )  # fmt: skip
        by_feature.append(rows)
        found = {
            "contiguous": rows.contiguous.mean(), "flipping": (rows.windows > 0).sum(),
            "most_windows": rows.windows.max(),
        }  # fmt: skip
        shares = rows[[*CLASSES]].sum() / (len(used) * draws)
        summary.append({"factor": factor} | about | found | shares.to_dict())
    return pd.DataFrame(summary), pd.concat(by_feature, ignore_index=True)
