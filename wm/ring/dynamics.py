"""Dynamics of the memory: its ring of delay states, drift and diffusion along it, what a distractor pushes.

The state is the activation a (unit,), to whose velocity an input adds U x / tau. The *ring* is the closed
curve of states that the targets leave when a distractor would come, the *tangent* its derivative with the
target, the *memory plane* the two leading principal components of the delay. The remembered angle of a state
is read by a linear decoder (cos, sin) that is fitted to noisy delay states of its network.
"""

from __future__ import annotations

__all__ = [
    "DELAY_TIMES", "GO", "LONG_TIMES", "OFFSET", "ONSET", "TARGETS", "Manifold", "Tangent", "activations",
    "circular_spread", "decoded", "delay_decoders", "diffusion", "displacement", "drift", "equal_angles",
    "manifold", "noisy_delay", "on_ring", "push_plane_angles", "pushes", "random_plane_angles", "ring_starts",
    "tangent_angles", "tangents",
]  # fmt: skip

from collections.abc import Sequence
from typing import NamedTuple

import numpy as np
import torch

from ..decode import CircularReadout, fit_decoder
from ..geometry import principal_angles
from .evaluate import in_blocks, same_trials, task_of
from .fixed_points import FixedPoints
from .library import Ensemble
from .task import MEDIAN_DELAYS, Delays, tuning_curve
from .tuning import wrap

TARGETS = 72
"""equally spaced targets that trace the ring"""
OFFSET = 25
"""first step of the delay"""
ONSET = 74
"""last step before the distractor"""
GO = 164
"""last step before the go cue"""
DELAY_TIMES = tuple(range(44, GO + 1, 10))
"""steps of the delay that are kept, 200 to 1400 ms after target offset"""
LONG_TIMES = (225, 325, 525, 775, 1024)
"""steps of a delay of 10 s"""


def equal_angles(count: int) -> np.ndarray:
    """Equally spaced angles from 0, deg, (count,)."""
    return np.arange(count) * (360 / count)


@torch.no_grad()
def activations(
    ensemble: Ensemble,
    directions_deg: np.ndarray,
    times: Sequence[int],
    *,
    delays: Delays = MEDIAN_DELAYS,
    distractor: bool = False,
    noise: float = 0.0,
    seed: int = 0,
    rates: bool = False,
) -> np.ndarray:
    """Activations (or noisy rates) at the steps `times`: (network, trial, time, unit) float32.

    directions_deg: (trial, 2), target and distractor. The noise depends on the seed of the network and on
    `seed`. Raises ValueError for a step outside the trial.
    """
    task = task_of(ensemble.config, distractor_probability=float(distractor))
    if not 0 <= min(times) <= max(times) < task.steps(delays):
        raise ValueError(f"times {min(times)} to {max(times)} are not within {task.steps(delays)} steps")
    parts = []
    same = {"pairs_deg": directions_deg, "delays": delays, "noise": noise, "purpose": ("dynamics", seed)}
    for some in in_blocks(len(ensemble), len(directions_deg)):
        _, run = same_trials(task, ensemble.weights.select(some), ensemble.seeds[some], **same)
        kept = {t: pair[rates] for t, pair in zip(range(max(times) + 1), run, strict=False) if t in times}
        parts.append(torch.stack([kept[t] for t in times], dim=2).numpy())
    return np.concatenate(parts)


class Manifold(NamedTuple):
    """Noise-free delay states without distractor, of an ensemble.

    targets_deg: (target,); times: (time,), steps, first those of the delay and then those of a longer one;
    states: (network, target, time, unit); mean: (network, unit) and axes: (network, component, unit), the
    principal components of the delay, by falling variance; share: (network, component) of the variance.
    """

    targets_deg: np.ndarray
    times: np.ndarray
    states: np.ndarray
    mean: np.ndarray
    axes: np.ndarray
    share: np.ndarray

    @property
    def cloud(self) -> np.ndarray:
        """States of the ordinary delay, (network, target x time, unit)."""
        delay = self.states[:, :, self.times <= GO]
        return delay.reshape(len(delay), -1, delay.shape[-1])

    @property
    def ring(self) -> np.ndarray:
        """States when the distractor would come, (network, target, unit)."""
        return self.states[:, :, list(self.times).index(ONSET)]

    def project(self, states: np.ndarray) -> np.ndarray:
        """States (network, ..., unit) on the principal axes: (network, ..., component)."""
        shape = (len(states), *[1] * (np.ndim(states) - 2), -1)
        return np.einsum("n...u,ncu->n...c", states - self.mean.reshape(shape), self.axes)


def manifold(ensemble: Ensemble, targets: int = TARGETS, components: int = 10) -> Manifold:
    """Run equally spaced targets through a delay of 10 s; principal axes of its first 1.4 s."""
    angles, times = equal_angles(targets), (*DELAY_TIMES, *LONG_TIMES)
    pairs = np.stack([angles, angles], axis=1)
    states = activations(ensemble, pairs, times, delays=MEDIAN_DELAYS._replace(delay=1000)).astype(float)
    cloud = states[:, :, : len(DELAY_TIMES)].reshape(len(ensemble), -1, states.shape[-1])
    mean = cloud.mean(axis=1)
    centred = cloud - mean[:, None]
    values, vectors = np.linalg.eigh(centred.mT @ centred)
    axes = vectors[..., : -components - 1 : -1].mT
    share = values[:, : -components - 1 : -1] / values.sum(axis=1, keepdims=True)
    return Manifold(angles, np.array(times), states, mean, axes, share)


def noisy_delay(
    ensemble: Ensemble, *, targets: int = 24, repeats: int = 20, noise: float = 0.1, seed: int = 0
) -> np.ndarray:
    """Delay states with noise, without distractor: (network, target, repeat, time of DELAY_TIMES, unit)."""
    angles = np.repeat(equal_angles(targets), repeats)
    states = activations(ensemble, np.stack([angles] * 2, axis=1), DELAY_TIMES, noise=noise, seed=seed)
    return states.reshape(len(states), targets, repeats, *states.shape[2:])


def delay_decoders(noisy: np.ndarray) -> list[CircularReadout]:
    """A decoder of the target for each network, one for all times of the delay.

    noisy: (network, target, repeat, time, unit), targets equally spaced from 0 degrees.
    """
    _, targets, repeats, times, units = noisy.shape
    labels = np.repeat(equal_angles(targets), repeats * times)
    return [fit_decoder(states.reshape(-1, units), labels, kind="circular") for states in noisy]


def decoded(decoders: Sequence[CircularReadout], states: np.ndarray) -> np.ndarray:
    """Remembered angle of states (network, ..., unit), in deg [0, 360): (network, ...)."""
    flat = [d.predict(s.reshape(-1, s.shape[-1])) for d, s in zip(decoders, states, strict=True)]
    return np.stack(flat).reshape(states.shape[:-1])


def drift(angles_deg: np.ndarray, seconds: float) -> np.ndarray:
    """Velocity along the ring, deg/s: (..., time) angles, first and last `seconds` apart -> (...)."""
    return wrap(angles_deg[..., -1] - angles_deg[..., 0]) / seconds


def circular_spread(angles_deg: np.ndarray) -> np.ndarray:
    """Variance over repeats, deg^2, mean over targets: (network, target, repeat, time) -> (network, time).

    Deviations are from each target's circular mean at each time, so that drift does not count.
    Raises ValueError for fewer than two repeats.
    """
    repeats = angles_deg.shape[2]
    if repeats < 2:
        raise ValueError("a spread needs at least 2 repeats of each target")
    middle = np.angle(np.exp(1j * np.deg2rad(angles_deg)).mean(axis=2, keepdims=True), deg=True)
    return (wrap(angles_deg - middle) ** 2).sum(axis=2).mean(axis=1) / (repeats - 1)


def diffusion(spread_deg2: np.ndarray, seconds: np.ndarray) -> np.ndarray:
    """Diffusion coefficient D of spread = 2 D t + constant, deg^2/s: (network, time) -> (network,).

    Least squares over all times given; the constant takes up what the decoder adds.
    """
    return np.polyfit(seconds, np.asarray(spread_deg2).T, 1)[0] / 2


def pushes(ensemble: Ensemble, directions_deg: np.ndarray | None = None) -> np.ndarray:
    """Input U x, (network, direction, unit): the push of the state, times tau.

    directions_deg: (direction,), by default those of the ring.
    """
    angles = equal_angles(TARGETS) if directions_deg is None else np.asarray(directions_deg, dtype=float)
    inputs = ensemble.weights.inputs[..., :-1].detach().double()
    return (tuning_curve(torch.as_tensor(angles), inputs.shape[-1]) @ inputs.mT).numpy()


def tangents(ring: np.ndarray) -> np.ndarray:
    """Derivative of the ring (network, target, unit) with the target, per degree: central differences."""
    return (np.roll(ring, -1, axis=1) - np.roll(ring, 1, axis=1)) * (ring.shape[1] / 720)


def push_plane_angles(push: np.ndarray, axes: np.ndarray) -> np.ndarray:
    """Principal angles, deg ascending, of the plane of the pushes and the memory plane: (network, 2).

    push: (network, direction, unit), of which the two leading principal components over directions are taken;
    axes: (network, component, unit), of which the first two.
    """
    centred = push - push.mean(axis=1, keepdims=True)
    planes = np.linalg.svd(centred, full_matrices=False)[2][:, :2]
    pairs = zip(planes, axes[:, :2], strict=True)
    return np.rad2deg([principal_angles(plane, memory) for plane, memory in pairs])


def random_plane_angles(units: int, draws: int = 10000, seed: int = 0) -> np.ndarray:
    """Smaller principal angle, deg, of two random planes in the space of `units`: (draw,).

    What chance gives for the first of `push_plane_angles`. One plane may be that of the first two axes, as
    directions are all alike; the two rows that the other has there hold the cosines.
    """
    planes = np.linalg.qr(np.random.default_rng(seed).standard_normal((draws, units, 2)))[0]
    cosines = np.linalg.svd(planes[:, :2], compute_uv=False)[:, 0]
    return np.rad2deg(np.arccos(np.minimum(cosines, 1)))


class Tangent(NamedTuple):
    """How a push from 90 degrees aside lies to the tangent of the ring; each (network,), means over targets.

    angle_deg: between the two lines, 0 to 90; along_deg: towards the distractor, degrees that the state would
    move along the ring if the input of 100 ms were added up and nothing else happened; size: |U x|.
    """

    angle_deg: np.ndarray
    along_deg: np.ndarray
    size: np.ndarray


def tangent_angles(ring: np.ndarray, push: np.ndarray) -> Tangent:
    """Pushes from +90 and -90 degrees against the tangents of the ring; both (network, direction, unit).

    Raises ValueError unless both have the same directions, a multiple of four.
    """
    directions = ring.shape[1]
    if push.shape != ring.shape or directions % 4:
        raise ValueError(f"ring {ring.shape} and push {push.shape} need the same directions, a multiple of 4")
    tangent = tangents(ring)
    length = np.linalg.norm(tangent, axis=-1)
    angle, along = [], []
    for side in (1, -1):
        pushed = np.roll(push, -side * directions // 4, axis=1)
        onto = (pushed * tangent).sum(axis=-1)
        cosine = np.abs(onto) / (length * np.linalg.norm(pushed, axis=-1))
        angle.append(np.rad2deg(np.arccos(np.minimum(cosine, 1))))
        along.append(side * onto / length**2)
    size = np.linalg.norm(push, axis=-1).mean(axis=1)
    return Tangent(np.mean(angle, axis=(0, 2)), np.mean(along, axis=(0, 2)), size)


def displacement(
    ensemble: Ensemble, decoders: Sequence[CircularReadout], *, targets: int = 24, offsets: int = 24
) -> tuple[np.ndarray, np.ndarray]:
    """What a distractor does to the remembered angle at the end of the delay, without noise.

    Returns the offsets of the distractor from the target, (offset,) in [-180, 180) deg, and the displacement
    of the angle against the same trial without distractor, (network, target, offset) deg, with its sign.
    """
    angles, offset = equal_angles(targets), equal_angles(offsets) - 180
    pairs = np.stack(np.meshgrid(angles, offset, indexing="ij"), axis=-1).reshape(-1, 2)
    pairs[:, 1] += pairs[:, 0]
    alone = np.stack([angles, angles], axis=1)
    moved = decoded(decoders, activations(ensemble, pairs, [GO], distractor=True)[:, :, 0])
    still = decoded(decoders, activations(ensemble, alone, [GO])[:, :, 0])
    return offset, wrap(moved.reshape(len(ensemble), targets, offsets) - still[..., None])


def ring_starts(ring: Manifold, count: int) -> np.ndarray:
    """Where to look for fixed points: (network, 2 count + target / 3, unit).

    `count` states along the ring, interpolated between its targets; as many on the ellipse of the same spread
    in the memory plane, as targets may leave gaps; and every third end of a delay of 10 s.
    """
    states, targets = ring.ring, len(ring.targets_deg)
    place = np.arange(count) * (targets / count)
    below, part = place.astype(int), (place % 1)[:, None]
    between = states[:, below] * (1 - part) + states[:, (below + 1) % targets] * part
    around = np.deg2rad(equal_angles(count) + 0.1)  # off the symmetries of designed rings
    radii = np.sqrt(2) * ring.project(states)[..., :2].std(axis=1)  # (network, 2)
    sides = np.stack([np.cos(around), np.sin(around)], axis=1) * radii[:, None]
    ellipse = states.mean(axis=1, keepdims=True) + sides @ ring.axes[:, :2]
    return np.concatenate([between, ellipse, ring.states[:, ::3, -1]], axis=1)


def on_ring(points: FixedPoints, decoders: Sequence[CircularReadout], least: float = 0.5) -> np.ndarray:
    """Points (point,) bool whose angle the decoder reads with at least this share of its full length."""
    pairs = zip(points.network, points.state, strict=True)
    scores = [decoders[n].scores(state[None])[0] for n, state in pairs]
    return np.linalg.norm(np.reshape(scores, (-1, 2)), axis=1) >= least
