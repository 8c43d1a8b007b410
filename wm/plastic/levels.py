"""What a task allows: chance, what some knowledge is worth, and the least possible loss.

Levels are losses of the queries, unless their name says otherwise: mean squared errors, or nats a symbol.
Names that end in `_all` are of all tokens. `chance` is the best without memory, from the token itself and its
place; `floor` is the best of all. They are closed forms, but for the noisy regression, whose levels are means
over `..._episodes`, with a standard error `..._error`.
"""

from __future__ import annotations

__all__ = ["levels"]

from functools import singledispatch

import numpy as np
from numpy.polynomial.polynomial import polypow
from scipy.special import xlogy
from scipy.stats import binom, poisson

from ..seeds import numpy_generator
from .episodes import Episodes, Task
from .fewshot.task import Classification
from .regressors import least_errors, map_errors, misfit, ridge_errors
from .tasks import ContinuousCopying, Copying, CueReward, NoisyCueReward, NoisyRegression, Regression


@singledispatch
def levels(task: Task, *, episodes: int = 1000, fits: int = 200, seed: int = 0) -> dict[str, float]:
    """Levels of a task, by name; see the module.

    The noisy regression draws `episodes` from the seed; to `fits` of them a network is fitted, if there are
    hidden units (0: to none). `ridge` is a causal linear regression, `map` a fitted network; `floor`, of
    linear functions, is a bound, for it knows each x beforehand. See `regressors`.
    Raises TypeError for what is no task, ValueError for a number of episodes or fits that gives no error.

    Copying: chance, order_free and ceiling are shares of right answers at recall, `..._metric` those of all
    late tokens, as published, `..._loss` and floor are losses. `blank` answers 0 always; `order_free` knows
    the items, not their order: no network that cannot tell positions does better.
    """
    raise TypeError(f"{task!r} is no task that has levels: give one of wm.plastic.tasks")


@levels.register
def _(task: Copying, **_: int) -> dict[str, float]:
    n, kinds, late = task.items, task.symbols - 2, task.late.sum()
    recall, loss = _order_free(n, kinds)
    asked = n / task.length
    return {
        "chance": 1 / kinds,
        "chance_metric": 1 - n / late * (1 - 1 / kinds),
        "chance_loss": np.log(kinds),
        "chance_loss_all": np.log(kinds) * asked,
        "blank_metric": 1 - n / late,
        "order_free_recall": recall,
        "order_free_metric": 1 - n / late * (1 - recall),
        "order_free_loss": loss,
        "order_free_loss_all": loss * asked,
        "ceiling": 1.0,
        "floor": 0.0,
    }


def _order_free(items: int, kinds: int) -> tuple[float, float]:
    """Accuracy E[max c] / n and loss E[entropy of c / n] if the counts c of items are known, not the order.

    The counts of n items are those of independent Poisson variables that add up to n, so that P(max c <= m)
    is a coefficient of a power of a polynomial; one count alone is binomial.
    """
    share, most = items / kinds, np.arange(items + 1)
    up_to = [polypow(poisson.pmf(most[: m + 1], share), kinds, maxpower=kinds) for m in most]
    at_most = np.array([p[items] if len(p) > items else 0 for p in up_to]) / poisson.pmf(items, items)
    entropy = np.log(items) - kinds / items * binom.expect(lambda c: xlogy(c, c), (items, 1 / kinds))
    return float((1 - at_most).sum() / items), float(entropy)


@levels.register
def _(task: ContinuousCopying, **_: int) -> dict[str, float]:
    variance, asked = 1 / 3, task.items / task.length
    order_free = variance * (1 - 1 / task.items)  # the mean of the items
    return {
        "chance": variance,
        "chance_all": variance * asked,
        "order_free": order_free,
        "order_free_all": order_free * asked,
        "floor": 0.0,
        "floor_all": 0.0,
    }


@levels.register
def _(task: CueReward, **_: int) -> dict[str, float]:
    return {"chance": 1 / 12, "chance_all": 1 / 24, "floor": 0.0, "floor_all": 0.0}


@levels.register
def _(task: NoisyCueReward, **_: int) -> dict[str, float]:
    """The floor takes classes as told apart without error: noise of .1 in 14 dimensions is no hindrance."""
    variance, asked = 1 / 3, task.asked / task.length
    unseen = (1 - 1 / task.cues) ** task.labelled
    return {
        "chance": variance,
        "chance_all": variance * asked,  # the reward is read where it is shown
        "floor": variance * unseen,
        "floor_all": variance * unseen * asked,
    }


@levels.register
def _(task: Regression, **_: int) -> dict[str, float]:
    """Each example takes one of the unknowns w, b away; what is left has the variance of the prior."""
    unknown, asked = task.dimension + 1, task.asked / task.length
    bayes = float(max(unknown - task.support, 0))
    return {
        "chance": float(unknown),
        "chance_all": unknown * asked,
        "bayes": bayes,
        "floor": bayes,
        "floor_all": bayes * asked,
    }


@levels.register
def _(task: Classification, **_: int) -> dict[str, float]:
    """chance and ceiling are shares of right answers, `chance_loss` and floor are losses."""
    return {"chance": 1 / task.ways, "chance_loss": float(np.log(task.ways)), "ceiling": 1.0, "floor": 0.0}


@levels.register
def _(task: NoisyRegression, *, episodes: int = 1000, fits: int = 200, seed: int = 0) -> dict[str, float]:
    if episodes < 2 or fits == 1:
        raise ValueError(f"a standard error needs 2 or more, got {episodes} episodes and {fits} fits")
    generator, asked = numpy_generator(seed, "levels"), task.asked / task.length
    variance, noise = 1 - 1 / task.length, task.noise**2
    drawn = task.sample(episodes, generator)
    ridge = ridge_errors(task, drawn, nonlinear=misfit(task, episodes, generator))
    found = {
        "chance": variance,
        "chance_all": variance * (asked + (1 - asked) * noise / (variance + noise)),  # examples show y
        **_mean("ridge", task, ridge),
        "ridge_all": float(ridge.mean()),
    }
    if not task.hidden:
        return found | _mean("floor", task, least_errors(task, drawn, generator))
    if fits:
        few = Episodes(drawn.inputs[:fits], drawn.targets[:fits])
        found |= _mean("map", task, map_errors(task, few, generator))
    return found


def _mean(name: str, task: NoisyRegression, errors: np.ndarray) -> dict[str, float]:
    """Mean of the queries, its standard error, and the number of episodes; errors: (trial, time)."""
    each = errors[:, task.queries].mean(axis=1)
    error = each.std(ddof=1) / np.sqrt(len(each))
    return {name: float(each.mean()), f"{name}_error": float(error), f"{name}_episodes": len(each)}
