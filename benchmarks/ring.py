"""Speed of the ring system: training updates and Procrustes distances, against plain references.

    python -m benchmarks.ring [--device cuda]

Training: time of one update per network. Ours is `RingLearner.update()` of a whole ensemble (16 networks on
the CPU, 528 on CUDA), divided by its size: batch, noise, both passes through time, clipping, Adam. The
monitoring of the error, every 50th update, is in neither. `of limit` is the share of the time that arithmetic
or memory traffic would take at the rates measured here (`limit_ms`).

The reference is what one would write for a single network, with care but without tricks: one vectorised
batch, inputs times weights and noise computed for the whole trial before the loop, an eager loop of few
operations a step over a trial of mean length (265 steps, so with no padding), the read-out applied once to
all go-cue steps, backpropagation by autograd, `clip_grad_norm_` and `torch.optim.Adam`. The hand-designed
network multiplies its fixed, full matrices by its scalars once an update. Both run in this process on the
same device, with all cores, in turns; the median of warm runs counts.

Procrustes: the distances of all pairs of networks by `wm.geometry.procrustes_matrix`, against one singular
value decomposition of the (unit, unit) product per pair, both on the CPU.

The ratios are of an otherwise idle machine: others at work on it slow both, though not alike. A row that
misses its floor, or is wrong, says so. The last line is JSON, a list of rows.
"""

from __future__ import annotations

__all__ = ["main", "procrustes_row", "rows", "training_row"]

import statistics
from itertools import combinations
from time import perf_counter

import numpy as np
import torch
from torch import Tensor

from benchmarks import report
from benchmarks.report import fault, seconds
from wm.geometry import procrustes_matrix
from wm.ring import MEDIAN_DELAYS, RingConfig, RingLearner, build, config, design, initial, task_of
from wm.ring.batches import BLOCK
from wm.train import numpy_generator

NETWORKS = {"cpu": 16, "cuda": 528}
FLOORS = {"cpu": {"wmd": 3.5, "rt": 8.0, "g_it": 8.0}, "cuda": {"wmd": 500.0, "rt": 1000.0, "g_it": 1000.0}}
RANKS = {"wmd": 0, "rt": 2, "g_it": 5}  # of the recurrence; 0 is a full one
ELEMENTWISE = 60  # operations per unit, step and trial: a normal, tanh, both passes, both sums over time
PROCRUSTES_FLOOR = 20.0
PROCRUSTES_LIMIT_S = 2.0
TOLERANCE_RAD = 1e-6
NAMES = {"wmd": "train_backprop", "rt": "train_hand_designed", "g_it": "train_gated"}
ROUNDS = 5
REFERENCE_UPDATES = 3  # per round


class Plain:
    """One network, trained by autograd through an eager loop; weights and biases without a network axis."""

    def __init__(self, settings: RingConfig, seed: str, device: str) -> None:
        self.settings, self.device, self.task = settings, device, task_of(settings)
        first = initial(settings, [seed])
        self.parameters = {name: value[0].to(device).requires_grad_() for name, value in first.items()}
        if "scalars" in self.parameters:
            self.parts = [part.to(device) for part in self._parts(seed)]
        self.optimizer = torch.optim.Adam(self.parameters.values(), lr=settings.learning_rate)
        self.generator = numpy_generator(seed, "batches")

    def update(self) -> Tensor:
        """One batch, one gradient, one Adam step; the loss."""
        inputs, targets = self._batch()
        recurrent, into, bias = self._weights()
        drives = inputs @ into.T + bias  # (time, trial, unit)
        noise = self.settings.noise * torch.randn(drives.shape, device=self.device)
        rates = self._rates(recurrent.T, drives, noise)
        y = torch.stack(rates[-self.task.go :]) @ self.parameters["readout"].T
        loss = (y - targets).square().sum(-1).mean()
        self.optimizer.zero_grad()
        loss.backward()
        torch.nn.utils.clip_grad_norm_(self.parameters.values(), self.settings.clip)
        self.optimizer.step()
        return loss.detach()

    def _rates(self, feedback: Tensor, drives: Tensor, noise: Tensor) -> list[Tensor]:
        a = h = torch.zeros_like(drives[0])
        rates = []
        for external, fluctuation in zip(drives.unbind(), noise.unbind(), strict=True):
            a = 0.9 * a + 0.1 * torch.addmm(external, h, feedback)
            h = torch.tanh(a).relu() + fluctuation
            rates.append(h)
        return rates

    def _batch(self) -> tuple[Tensor, Tensor]:
        directions = self.generator.uniform(0, 360, (1, self.settings.trials, 2))
        batch = self.task.batch(directions, MEDIAN_DELAYS)
        on = torch.as_tensor(batch.time_course()[0]).to(self.device)  # (time, event)
        inputs = torch.tensordot(on, batch.patterns(device=self.device)[0], dims=1)
        return inputs, torch.as_tensor(batch.targets()[0]).to(self.device)

    def _weights(self) -> tuple[Tensor, Tensor, Tensor]:
        p = self.parameters
        if "scalars" not in p:
            return p["recurrent"], p["inputs"], p["bias"]
        return tuple(torch.tensordot(p["scalars"], part, dims=1) for part in self.parts)

    def _parts(self, seed: str) -> list[Tensor]:
        """What each scalar multiplies in recurrence, inputs and bias: (scalar, ...), fixed by design."""
        fixed, units = design(self.settings, [seed]), self.settings.units
        parts = []
        for alone in torch.eye(len(self.parameters["scalars"])):
            first = {"scalars": alone[None], "readout": torch.zeros(1, 2, units)}
            made = build(self.settings, first, fixed)
            parts.append((made.dense()[0], made.inputs[0], made.bias[0]))
        return [torch.stack(each) for each in zip(*parts, strict=True)]


def training_row(
    family: str, *, device: str = "cpu", networks: int | None = None, rounds: int = ROUNDS
) -> dict:
    """One row: median time of an update per network in ms, ours and the reference's, and their ratio."""
    networks = networks or NETWORKS[device]
    settings = config(family)
    ours = RingLearner(settings, [str(k) for k in range(networks)], device=device)
    plain = Plain(settings, "0", device)
    draw = ours._batches._draw  # BLOCK batches at once, in the first round: their share is added to all
    drawing = seconds(lambda: draw("0", 0), 20, device) / BLOCK
    for learner in (ours, ours, plain, plain):  # warm: buffers, compiled kernels
        learner.update()
    times = [
        (
            seconds(ours.update, 1, device) / networks + drawing,
            seconds(plain.update, REFERENCE_UPDATES, device),
        )
        for _ in range(rounds)
    ]
    mine, reference = (1000 * statistics.median(column) for column in zip(*times, strict=True))
    bound, by = limit_ms(RANKS[family], settings, device)
    return {
        "name": NAMES[family],
        "ratio": reference / mine,
        "unit": f"ms per update and network, {networks} networks; reference / ours",
        "ours": mine,
        "reference": reference,
        "floor": FLOORS[device][family],
        "limit": bound,
        "limit_by": by,
        "of_limit": bound / mine,
        "fault": fault(reference / mine, FLOORS[device][family]),
        "device": torch.cuda.get_device_name() if device == "cuda" else "cpu",
    }


def limit_ms(rank: int, settings: RingConfig, device: str) -> tuple[float, str]:
    """Least time of an update of one network in ms, and what sets it: arithmetic or memory.

    Arithmetic: the products of both passes and the elementwise operations of a mean trial, at the rate of a
    large float32 matrix product here. Memory: every rate written once and read once, at the rate of a large
    copy here. Neither counts that 265 steps wait for each other.
    """
    cells = settings.trials * settings.units * task_of(settings).steps(MEDIAN_DELAYS)
    per_cell = ELEMENTWISE + (6 * settings.units if rank == 0 else 10 * rank)
    side = 1024 if device == "cpu" else 8192
    a, b = (torch.randn(side, side, device=device) for _ in range(2))
    for _ in range(2):  # warm first
        product = seconds(lambda: torch.mm(a, b), 3, device)
        copy = seconds(lambda: a.copy_(b), 3, device)
    arithmetic = 1000 * cells * per_cell / (2 * side**3 / product)
    memory = 1000 * 8 * cells / (8 * side**2 / copy)
    return max((arithmetic, "arithmetic"), (memory, "memory"))


def procrustes_row(networks: int = 200, *, rows: int = 8, units: int = 100, sample: int = 300) -> dict:
    """One row: time in s of the distances of all pairs of random networks (row, unit), ours and reference.

    The reference is timed on `sample` random pairs and scaled to all of them. Its distances must agree to
    1e-6 rad, and ours take less than 2 s; otherwise `fault` says so.
    """
    generator = np.random.default_rng(0)
    xs = generator.normal(size=(networks, rows, units))
    start = perf_counter()
    distances = procrustes_matrix(xs)
    ours = perf_counter() - start

    pairs = np.array(list(combinations(range(networks), 2)))
    some = generator.choice(pairs, size=min(sample, len(pairs)), replace=False)
    xs = xs - xs.mean(axis=1, keepdims=True)
    xs /= np.linalg.norm(xs, axis=(1, 2), keepdims=True)
    start = perf_counter()
    expected = [_angle(xs[i], xs[j]) for i, j in some]
    reference = (perf_counter() - start) * len(pairs) / len(some)

    worst = float(np.abs(distances[some[:, 0], some[:, 1]] - expected).max())
    wrong = fault(reference / ours, PROCRUSTES_FLOOR)
    if ours >= PROCRUSTES_LIMIT_S:
        wrong = f"OVER {PROCRUSTES_LIMIT_S:g} s"
    if not worst <= TOLERANCE_RAD:
        wrong = f"WRONG BY {worst:.1e} rad"
    return {
        "name": "procrustes",
        "ratio": reference / ours,
        "unit": f"s for {networks} networks, {rows} x {units}; reference / ours, from {len(some)} pairs",
        "ours": ours,
        "reference": reference,
        "floor": PROCRUSTES_FLOOR,
        "fault": wrong,
        "device": "cpu",
    }


def _angle(x: np.ndarray, y: np.ndarray) -> float:
    """arccos(||X^T Y||_*) of pre-shapes (row, unit), by the definition."""
    return float(np.arccos(min(np.linalg.svd(x.T @ y, compute_uv=False).sum(), 1.0)))


def rows(device: str = "cpu") -> list[dict]:
    """All rows."""
    return [training_row(family, device=device) for family in NAMES] + [procrustes_row()]


def main(arguments: list[str] | None = None) -> None:
    """Measure every row, print a table, and the rows as one line of JSON last."""
    report.run("benchmarks.ring", __doc__, rows, arguments)


if __name__ == "__main__":
    main()
