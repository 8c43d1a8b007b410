"""What statistics can make of the examples of a noisy regression, without any training.

A ridge, the least possible error, and a fit of the kind of network that drew the episode. All know how
episodes are drawn. Noise of the examples below .01 counts as .01.
"""

from __future__ import annotations

__all__ = ["least_errors", "map_errors", "misfit", "ridge_errors"]

from dataclasses import replace

import numpy as np
from scipy.optimize import least_squares

from .episodes import Episodes
from .tasks import NoisyRegression

_LEAST_NOISE = 0.01  # examples without any noise would count infinitely
_MOST_STEPS = 100  # of a fit


def ridge_errors(task: NoisyRegression, drawn: Episodes, *, nonlinear: float = 0.0) -> np.ndarray:
    """Squared errors of the best linear regression on what is known at each token, (trial, time).

    y_i = u.(x_i - m), m the mean x of the episode. Each of the d parts of u has variance
    (1 - nonlinear) 3 / d, since y has variance 1 and x 1/3. After t of T tokens the sum of t inputs is known;
    the rest of m shifts all y alike, with variance (T - t) / T^2. `nonlinear` is the variance of what is each
    token's own (see `misfit`). With this covariance k of y, and the noise s^2 of examples, the answer is
    k (K + s^2)^-1 y over the examples so far, that of the token itself with them.
    """
    x, shown = drawn.inputs[..., :-2].astype(float), drawn.inputs[..., -2].astype(float)
    places = range(task.length)
    answers = [_ridge(task, x[:, : t + 1], shown[:, : t + 1], nonlinear) for t in places]
    return (np.stack(answers, axis=1) - drawn.targets) ** 2


def _ridge(task: NoisyRegression, x: np.ndarray, shown: np.ndarray, nonlinear: float) -> np.ndarray:
    """Answer (trial,) to the last of the tokens so far, x: (trial, time, dimension); shown: (trial, time)."""
    total, so_far = task.length, x.shape[1]
    known = min(so_far, task.support)
    centred = x - x.sum(axis=1, keepdims=True) / total
    k = centred @ centred[:, :known].mT * (3 * (1 - nonlinear) / task.dimension)
    k += (total - so_far) / total**2
    k[:, range(known), range(known)] += nonlinear
    covariance = k[:, :known] + _noise(task) ** 2 * np.eye(known)
    weights = np.linalg.solve(covariance, shown[:, :known, None])[..., 0]
    return np.einsum("es,es->e", k[:, -1], weights)


def least_errors(
    task: NoisyRegression, drawn: Episodes, generator: np.random.Generator, *, steps: int = 4000
) -> np.ndarray:
    """Squared errors of the mean of all linear functions, each with its probability, (trial, time).

    No answer to a query has less expected error: all x and all examples of the episode are known at once.
    y = u.(x - m) with u = w / sqrt(w.C w), C the covariance of x; the bias falls out. w is uniform in a cube,
    and P(examples | w) is normal. The mean of u is taken over `steps` of a Metropolis chain. It starts from
    the truth, itself a draw from P(w | examples): the direction is exact in the targets, and the length r,
    of which the examples tell nothing, has P(r) ~ r^(d-1) within the cube.
    Raises ValueError for a function that is not linear.
    """
    if task.hidden:
        raise ValueError(
            f"the least error is known for linear functions only, not for {task}: use map_errors"
        )
    x = _centred(drawn)
    examples, shown = x[:, : task.support], drawn.inputs[:, : task.support, -2, None].astype(float)
    gram, match, covariance = (
        examples.mT @ examples,
        (examples.mT @ shown)[..., 0],
        x.mT @ x / (task.length - 1),
    )
    precision = gram / _noise(task) ** 2 + task.dimension / 3 * np.eye(task.dimension)
    jump = np.linalg.cholesky(np.linalg.inv(precision)) * (2 / np.sqrt(task.dimension))

    def score(w: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        u = w / np.sqrt(np.einsum("ei,eij,ej->e", w, covariance, w))[:, None]
        misses = np.einsum("ei,eij,ej->e", u, gram, u) - 2 * (u * match).sum(axis=1)
        return u, np.where((abs(w) < 1).all(axis=1), -misses / (2 * _noise(task) ** 2), -np.inf)

    w = _slopes(x, drawn.targets[..., None].astype(float))
    w *= generator.random((len(w), 1)) ** (1 / task.dimension) / abs(w).max(axis=1, keepdims=True)
    size = np.sqrt(np.einsum("ei,eij,ej->e", w, covariance, w))[:, None]
    (u, now), total = score(w), np.zeros_like(w)
    for _ in range(steps):
        tried = w + size * (jump @ generator.standard_normal((*w.shape, 1)))[..., 0]
        other, then = score(tried)
        moves = np.log(generator.random(len(w))) < then - now
        now = np.where(moves, then, now)
        w, u = (np.where(moves[:, None], *pair) for pair in ((tried, w), (other, u)))
        total += u
    return ((x @ total[..., None])[..., 0] / steps - drawn.targets) ** 2


def misfit(task: NoisyRegression, trials: int, generator: np.random.Generator) -> float:
    """Share of the variance of y that no linear function of x explains, 1 - R^2, in long episodes."""
    if not task.hidden:
        return 0.0
    drawn = replace(task, asked=50 * (task.dimension + 1)).sample(trials, generator)
    x, y = _centred(drawn), drawn.targets[..., None].astype(float)
    left = y - x @ _slopes(x, y)[..., None]
    return float((left**2).sum(axis=1).mean() / (y.shape[1] - 1 - task.dimension))


def _slopes(x: np.ndarray, y: np.ndarray) -> np.ndarray:
    """Least squares, (trial, time, dimension) and (trial, time, 1) -> (trial, dimension)."""
    return (np.linalg.pinv(x) @ y)[..., 0]


def _centred(drawn: Episodes) -> np.ndarray:
    x = drawn.inputs[..., :-2].astype(float)
    return x - x.mean(axis=1, keepdims=True)


def _noise(task: NoisyRegression) -> float:
    return max(task.noise, _LEAST_NOISE)


def map_errors(
    task: NoisyRegression, drawn: Episodes, generator: np.random.Generator, *, starts: int = 4
) -> np.ndarray:
    """Squared errors of the most probable network given the examples of an episode, (trial, time).

    y = g.(h - mean of h), h = tanh(V x + c), the mean over all x of the episode. V and c are taken as normal
    with their true variance 1 / (3 d), d inputs; g = w / s with 9 / units, since s^2 is about |w|^2 / 9 for
    units that are nearly linear. The best of several starts drawn from this prior. A reference, no bound: the
    mean of all networks, each with its probability, would do better.
    Raises ValueError for a linear function, which has no hidden units.
    """
    if not task.hidden:
        raise ValueError(f"no network to fit, for nothing is hidden in {task}: use ridge_errors")
    x, shown = drawn.inputs[..., :-2].astype(float), drawn.inputs[:, : task.support, -2].astype(float)
    answers = [_fit(task, *episode, generator, starts) for episode in zip(x, shown, strict=True)]
    return (np.array(answers) - drawn.targets) ** 2


def _fit(
    task: NoisyRegression, x: np.ndarray, shown: np.ndarray, generator: np.random.Generator, starts: int
) -> np.ndarray:
    """Answers (time,) of the most probable network; x: (time, dimension), shown: (example,)."""
    inputs = np.concatenate([x, np.ones((len(x), 1))], axis=1)
    prior = np.full(task.hidden * inputs.shape[1] + task.hidden, 1 / np.sqrt(3 * task.dimension))
    prior[-task.hidden :] = 3 / np.sqrt(task.hidden)

    def residuals(scaled: np.ndarray) -> np.ndarray:
        y, _ = _network(scaled * prior, inputs, task.hidden)
        return np.concatenate([(y[: len(shown)] - shown) / _noise(task), scaled])

    def slopes(scaled: np.ndarray) -> np.ndarray:
        _, slope = _network(scaled * prior, inputs, task.hidden)
        return np.concatenate([slope[: len(shown)] * prior / _noise(task), np.eye(len(scaled))])

    begun = generator.standard_normal((starts, len(prior)))
    fits = [least_squares(residuals, start, slopes, max_nfev=_MOST_STEPS) for start in begun]
    best = min(fits, key=lambda fit: fit.cost)
    return _network(best.x * prior, inputs, task.hidden)[0]


def _network(parameters: np.ndarray, inputs: np.ndarray, hidden: int) -> tuple[np.ndarray, np.ndarray]:
    """y = g.(h - mean h), h = tanh(V x), (time,), and dy / d(V, g), (time, parameter)."""
    out = parameters[-hidden:]
    units = np.tanh(inputs @ parameters[:-hidden].reshape(hidden, -1).T)
    inner = (out * (1 - units**2))[:, :, None] * inputs[:, None]
    slope = np.concatenate([inner.reshape(len(inputs), -1), units], axis=1)
    return (units - units.mean(axis=0)) @ out, slope - slope.mean(axis=0)
