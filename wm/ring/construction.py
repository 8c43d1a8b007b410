"""Weights of ring networks from their parameters: random for the trained ones, designed for the others."""

from __future__ import annotations

__all__ = ["Design", "build", "design", "draw_shifts", "initial", "kernel", "published_seed", "untrained"]

import hashlib
import math
import random
from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np
import torch
from torch import Tensor

from ..store import read_json
from ..train import numpy_generator, torch_generator
from .families import FAMILIES, RingConfig
from .network import Weights

# Percent of MST neurons by |preference change|, five bins on [0, 180] degrees, as Zahorodnii et al. 2025
# publish them for the recordings of Mendoza-Halliday et al. 2014 (mst1) and 2023/24 (mst2).
PREFERENCE_CHANGE_SHARES = {"mst1": (32, 18, 12, 14, 23), "mst2": (40, 8, 10, 18, 23)}
LEARNED_SHIFT_UNIT_DEG = 1800.0
"""learned shifts are this many degrees times a trained number"""


def kernel(difference_deg: Tensor, exponent: int = 1) -> Tensor:
    """K_e(d) = ((1 + cos d) / 2)^e - C(2e, e) / 4^e, of zero mean over the circle; K_1 = cos(d) / 2."""
    mean = math.comb(2 * exponent, exponent) / 4**exponent
    return ((1 + torch.cos(torch.deg2rad(difference_deg))) / 2) ** exponent - mean


@dataclass(frozen=True, eq=False)
class Design:
    """What a hand-designed family fixes, each (network, unit).

    preference_deg: memory preference of ring units, input preference of gates; shift_deg: of input tuning;
    sign: +1 stable, -1 inverting, 0 for gates; gate: 1 for gates; scale: recurrent over input strength where
    the family fixes the ratio, the same for all units.
    """

    preference_deg: Tensor
    shift_deg: Tensor
    sign: Tensor
    gate: Tensor
    scale: Tensor

    def to(self, device: str | torch.device) -> Design:
        """The same on a device."""
        return Design(*(row.to(device) for row in vars(self).values()))

    def select(self, networks: slice) -> Design:
        """The same of some of the networks."""
        return Design(*(row[networks] for row in vars(self).values()))


def published_seed(seed: str) -> int:
    """Seed of the published scripts for a seed string: sha1 modulo 10^8 ("0" -> 41564428)."""
    return int(hashlib.sha1(seed.encode()).hexdigest(), 16) % 10**8


def draw_shifts(config: RingConfig, seed: str) -> np.ndarray:
    """Input shifts of the ring units in degrees, (unit,): zero, uniform, or after measured changes.

    Uniform shifts are the published ones: the same seed string gives the same shifts as the original script.
    """
    n = config.ring_units
    if config.shifts_from:
        return _monkey_shifts(config.shifts_from, n, numpy_generator(seed, "shifts"))
    if not config.shuffle_deg:
        return np.zeros(n)
    generator = random.Random(published_seed(seed))
    return np.array(
        [generator.randint(-config.shuffle_deg, config.shuffle_deg) for _ in range(n)], dtype=float
    )


def _monkey_shifts(source: str, n: int, generator: np.random.Generator) -> np.ndarray:
    """n signed shifts: from a five-bin histogram of |change|, or resampled from a user's list of changes."""
    if source in PREFERENCE_CHANGE_SHARES:
        shares = np.array(PREFERENCE_CHANGE_SHARES[source], dtype=float)
        width = 180 / len(shares)
        size = (generator.choice(len(shares), n, p=shares / shares.sum()) + generator.uniform(size=n)) * width
        return size * generator.choice([-1, 1], n)
    if not Path(source).is_file():
        raise ValueError(f"shifts_from must be mst1, mst2 or a JSON file; there is no file {source!r}")
    values = read_json(Path(source))
    numbers = isinstance(values, list) and all(type(v) in (int, float) and abs(v) <= 180 for v in values)
    if not numbers or not values:
        raise ValueError(f"{source}: expected a JSON list of preference changes in degrees, -180 to 180")
    return generator.permutation(np.resize(generator.permutation(values), n)).astype(float)


def design(config: RingConfig, seeds: Sequence[str], *, shift_deg: Tensor | None = None) -> Design:
    """Preferences, shifts and signs of an ensemble, one network per seed string.

    shift_deg: (network, unit), taken as given where a saved network brings its own.
    """
    stable, gates = config.stable_units, config.gates
    inverting = config.ring_units - stable
    # as published, the inverting units go on counting where the stable ones stop, but not with gates
    counts = (np.arange(stable), np.arange(inverting) + (0 if gates else stable), np.arange(gates))
    preference = np.concatenate([count * (360 / max(len(count), 1)) for count in counts]) % 360
    sign = np.concatenate([np.ones(stable), -np.ones(inverting), np.zeros(gates)])
    shift = shift_deg
    if shift is None:
        shift = np.stack([np.concatenate([draw_shifts(config, seed), np.zeros(gates)]) for seed in seeds])
    rows = (preference, shift, sign, sign == 0, config.scale)
    return Design(*(torch.from_numpy(np.broadcast_to(row, shift.shape).astype(np.float32)) for row in rows))


def initial(config: RingConfig, seeds: Sequence[str]) -> dict[str, Tensor]:
    """Untrained parameters of an ensemble, each with a leading network axis.

    backprop: `recurrent` ~ N(0, 1/units), `inputs` ~ N(0, 1/(units + 1)), `bias` 0, `readout` 0.
    designed: `scalars` (network, scalar), `readout` 0, and `shifts` 0 where they are learned.
    """
    family, n, units = FAMILIES[config.family], len(seeds), config.units
    readout = torch.zeros(n, 2, units)
    if family.trained_fully:
        generators = [torch_generator(seed, "weights") for seed in seeds]
        recurrent = [torch.randn(units, units, generator=g) for g in generators]
        inputs = [torch.randn(units, units + 1, generator=g) for g in generators]
        return {
            "recurrent": torch.stack(recurrent) / units**0.5,
            "inputs": torch.stack(inputs) / (units + 1) ** 0.5,
            "bias": torch.zeros(n, units),
            "readout": readout,
        }
    scalars = torch.tensor(family.scalars) * (100 / units)
    if family.root_scale:
        scalars[0] /= config.scale**0.5
    parameters = {"scalars": scalars.repeat(n, 1), "readout": readout}
    if family.learned_shifts:
        parameters["shifts"] = torch.zeros(n, config.ring_units)
    return parameters


def untrained(
    configs: RingConfig | Sequence[RingConfig], seeds: Sequence[str]
) -> tuple[dict[str, Tensor], Design | None]:
    """Parameters and design of an ensemble before training.

    configs: one for all networks, or one for each; they may differ in what the design fixes: `scale`,
    `shuffle_deg`, `stable_proportion`. ValueError if they differ in more.
    """
    if not isinstance(configs, RingConfig):
        shared = {replace(each, scale=1.0, shuffle_deg=0, stable_proportion=1.0) for each in configs}
        if len(shared) > 1 or FAMILIES[configs[0].family].trained_fully:
            raise ValueError(
                "networks that train together may differ in scale, shuffle_deg and stable_proportion alone, "
                "in a hand-designed family"
            )
        made = [untrained(config, [seed]) for config, seed in zip(configs, seeds, strict=True)]
        parameters = {name: torch.cat([first[name] for first, _ in made]) for name in made[0][0]}
        rows = zip(*(vars(fixed).values() for _, fixed in made), strict=True)
        return parameters, Design(*map(torch.cat, rows))
    trained_fully = FAMILIES[configs.family].trained_fully
    return initial(configs, seeds), None if trained_fully else design(configs, seeds)


def coefficients(config: RingConfig, scalars: Tensor, scale: Tensor) -> dict[str, Tensor]:
    """Named scalars, each (network,): c_in, c_rec, c_inh, bias; scale: (network,).

    scalars: (network, 3) as (c_in, c_rec, bias) for SA and (c_in, bias, c_inh) for gated families, else
    (network, 2) as (c_in, bias) with c_rec = scale c_in.
    """
    c_in = scalars[:, 0]
    if config.family == "sa":
        return {"c_in": c_in, "c_rec": scalars[:, 1], "bias": scalars[:, 2]}
    named = {"c_in": c_in, "c_rec": scale * c_in, "bias": scalars[:, 1]}
    return named | ({"c_inh": scalars[:, 2]} if config.gates else {})


def build(config: RingConfig, parameters: dict[str, Tensor], fixed: Design | None = None) -> Weights:
    """Weights from parameters; differentiable. Designed families need their `Design`.

    The exponent-1 kernel has rank two, so the recurrence is returned as left right^T; otherwise in full.
    """
    readout = parameters["readout"]
    if FAMILIES[config.family].trained_fully:
        return Weights(nonlinearity=config.nonlinearity, **parameters)
    c = coefficients(config, parameters["scalars"], fixed.scale[:, 0])
    shift = fixed.shift_deg
    if "shifts" in parameters:
        shift = LEARNED_SHIFT_UNIT_DEG * parameters["shifts"]
    tuned = fixed.preference_deg + shift
    entry = fixed.gate if config.gates else fixed.sign.abs()
    inputs = c["c_in"][:, None, None] * entry[..., None] * _input_kernel(config, tuned)
    wiring = _low_rank if config.exponent == 1 else _dense
    bias = c["bias"][:, None].expand(-1, config.units)
    return Weights(inputs, bias, readout, nonlinearity=config.nonlinearity, **wiring(config, c, fixed, tuned))


def _input_kernel(config: RingConfig, tuned_deg: Tensor) -> Tensor:
    """K(tuned_i - phi_k) with a zero go-cue column: (network, unit, input + 1)."""
    inputs = config.units
    phi = torch.arange(inputs, device=tuned_deg.device) * (360 / inputs)
    tuning = kernel(tuned_deg[..., None] - phi, config.exponent)
    return torch.nn.functional.pad(tuning, (0, 1))


def _dense(config: RingConfig, c: dict[str, Tensor], fixed: Design, tuned_deg: Tensor) -> dict[str, Tensor]:
    """The construction of `wm.ring.families`, written out: `recurrent` (network, unit, unit)."""
    m, g = fixed.preference_deg, fixed.sign
    weights = c["c_rec"][:, None, None] * _outer(g, g) * kernel(_difference(m, m), config.exponent)
    if config.gates:
        ring, gate = g.abs(), fixed.gate
        shifted = kernel(_difference(tuned_deg, m), config.exponent)
        weights = weights + c["c_in"][:, None, None] * _outer(ring, gate) * shifted
        weights = weights + c["c_inh"][:, None, None] * _outer(gate, ring)
    return {"recurrent": weights}


def _low_rank(
    config: RingConfig, c: dict[str, Tensor], fixed: Design, tuned_deg: Tensor
) -> dict[str, Tensor]:
    """The same for exponent 1, from cos(x - y) = cos x cos y + sin x sin y."""
    g, ring, gate = fixed.sign[..., None], fixed.sign.abs()[..., None], fixed.gate[..., None]
    memory, seen = _circle(fixed.preference_deg), _circle(tuned_deg)
    left, right = [c["c_rec"][:, None, None] / 2 * g * memory], [g * memory]
    if config.gates:
        left += [c["c_in"][:, None, None] / 2 * ring * seen, c["c_inh"][:, None, None] * gate]
        right += [gate * memory, ring]
    return {"left": torch.cat(left, dim=-1), "right": torch.cat(right, dim=-1)}


def _circle(angle_deg: Tensor) -> Tensor:
    angle = torch.deg2rad(angle_deg)
    return torch.stack([torch.cos(angle), torch.sin(angle)], dim=-1)


def _outer(a: Tensor, b: Tensor) -> Tensor:
    return a[..., :, None] * b[..., None, :]


def _difference(a: Tensor, b: Tensor) -> Tensor:
    return a[..., :, None] - b[..., None, :]
