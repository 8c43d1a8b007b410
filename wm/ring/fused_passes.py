"""Compiled passes of one ring network through its trials, forwards and backwards, on one thread.

The equations are those of `wm.ring.network`, the gradient is that of `wm.ring.gradient`. Noise is made where
it is used and never stored; the errors of a go step are known at once, so that the gradient of the read-out
needs no noisy rates later on.
"""

from __future__ import annotations

__all__ = ["Buffers", "Matrices", "Rule", "network"]

from typing import NamedTuple

import numpy as np
from numpy import float32, uint64

from .fused_lanes import LANES, ROW, SLOTS, draw, jit, multiply, outer, tanh, wide
from .network import TAU

N0, N1, N2, N4 = (uint64(n) for n in (0, 1, 2, 4))
ZERO, ONE, TWO = (float32(x) for x in (0, 1, 2))
SEGMENTS, GO = uint64(6), uint64(5)
FEED, DECAY = float32(1 / TAU), float32(1 - 1 / TAU)


class Matrices(NamedTuple):
    """Flat weights of a network; rows are ranks, or units where the recurrence is full. Multiples of four."""

    units: uint64
    rows: uint64
    left: np.ndarray  # (unit, row) / tau
    back: np.ndarray  # (unit, row) / tau: right, or W^T where it is full
    right_t: np.ndarray  # (row, unit), empty where it is full
    left_t: np.ndarray  # (row, unit), empty where it is full
    readout: np.ndarray  # (4, unit)
    readout_t: np.ndarray  # (unit, 4)


class Buffers(NamedTuple):
    """Memory of one thread, flat."""

    rates: np.ndarray  # [step][unit][lane], without noise
    seen: np.ndarray  # [step // SLOTS][row][slot][lane], what feeds back into each step
    errors: np.ndarray  # [go step][4][lane], dL/dy
    deltas: np.ndarray  # [unit][slot][lane], dL/da
    state: np.ndarray  # [unit][lane], a; dL/dh on the way back
    noisy: np.ndarray  # [unit][lane], h
    drive: np.ndarray  # [unit][lane], of a segment; the sum of its dL/da on the way back
    few: np.ndarray  # [row or 4][lane]
    noise: np.ndarray  # [4][lane]
    readout: np.ndarray  # [2][unit][lane], gradient


class Rule(NamedTuple):
    """Rates are max(tanh a, floor) + noise times the normals of (key, step)."""

    floor: float32
    noise: float32
    key: uint64
    step: uint64


@jit
def _slot(t, rows):
    """Where `seen` begins for step t."""
    return (t // SLOTS) * rows * ROW + (t % SLOTS) * LANES


@jit
def _activate(work, m, t, rule, first):
    """Rates of step t, without noise and with it, from the activation."""
    wide()
    for block in range(m.units // N4):
        draw(work.noise, rule.key, (first, block, t, rule.step))
        here, kept = block * N4 * LANES, (t * m.units + block * N4) * LANES
        for i in range(N4 * LANES):
            rate = tanh(work.state[here + i])
            rate = rule.floor if rate < rule.floor else rate
            work.rates[kept + i] = rate
            work.noisy[here + i] = rate + rule.noise * work.noise[i]


@jit
def _remember(work, m, t):
    """Keep right^T h, or h where the recurrence is full, as what feeds back into step t."""
    wide()
    source, start = work.noisy, _slot(t, m.rows)
    if m.right_t.size:
        source = work.few
        source[: m.rows * LANES] = ZERO
        multiply(source, m.right_t, work.noisy, (m.rows, m.units, N0, LANES))
    for row in range(m.rows):
        for lane in range(LANES):
            work.seen[start + row * ROW + lane] = source[row * LANES + lane]


@jit
def _answer(work, m, aims, start):
    """Sum of squared errors of a go step; keeps dL/dy and adds to the gradient of the read-out."""
    wide()
    targets, mask, scale = aims
    work.few[: N4 * LANES] = ZERO
    multiply(work.few, m.readout, work.noisy, (N4, m.units, N0, LANES))
    total = 0.0
    for i in range(N4 * LANES):
        error = (work.few[i] - targets[i]) * mask[i]
        work.errors[start + i] = error * scale
        total += error * error
    for row in range(N2):
        error, into = start + row * LANES, row * m.units * LANES
        for unit in range(m.units):
            for lane in range(LANES):
                here = unit * LANES + lane
                work.readout[into + here] += work.errors[error + lane] * work.noisy[here]
    return total


@jit
def _forward(work, m, marks, rule, block):
    """Sum of squared errors of a block of trials; fills rates, seen, errors and the read-out's gradient."""
    wide()
    drives, aims, first = block
    size, total = m.units * LANES, 0.0
    work.state[:size] = ZERO
    work.readout[:] = ZERO
    for row in range(m.rows):
        work.seen[row * ROW : row * ROW + LANES] = ZERO
    for segment in range(SEGMENTS):
        for i in range(size):
            work.drive[i] = FEED * drives[segment * size + i]
        for t in range(marks[segment], marks[segment + N1]):
            for i in range(size):
                work.state[i] = DECAY * work.state[i] + work.drive[i]
            multiply(work.state, m.left, work.seen, (m.units, m.rows, _slot(t, m.rows), ROW))
            _activate(work, m, t, rule, first)
            _remember(work, m, t + N1)
            if t >= marks[GO]:
                total += _answer(work, m, aims, (t - marks[GO]) * N4 * LANES)
    return total


@jit
def _descend(work, units, t, floor):
    """dL/da of step t from that of step t + 1 and from dL/dh; adds it to the sum over the segment."""
    wide()
    later, now = (t + N1) % SLOTS * LANES, t % SLOTS * LANES
    for unit in range(units):
        kept, here, row = (t * units + unit) * LANES, unit * LANES, unit * ROW
        for lane in range(LANES):
            rate = work.rates[kept + lane]
            slope = ONE - rate * rate if rate > floor else ZERO
            delta = DECAY * work.deltas[row + later + lane] + work.state[here + lane] * slope
            work.deltas[row + now + lane] = delta
            work.drive[here + lane] += delta


@jit
def _backward(work, m, marks, floor, to):
    """Gradient of a block of trials: of its drives, and added to that of left, times tau."""
    wide()
    to_drives, to_left = to
    size = m.units * LANES
    work.deltas[:] = ZERO
    for passed in range(SEGMENTS):
        segment = GO - passed
        work.drive[:size] = ZERO
        for count in range(marks[segment + N1] - marks[segment]):
            t = marks[segment + N1] - N1 - count
            later, go = (t + N1) % SLOTS * LANES, marks[GO]
            work.state[:size] = ZERO
            if m.right_t.size:
                work.few[: m.rows * LANES] = ZERO
                multiply(work.few, m.left_t, work.deltas, (m.rows, m.units, later, ROW))
                multiply(work.state, m.back, work.few, (m.units, m.rows, N0, LANES))
            else:
                multiply(work.state, m.back, work.deltas, (m.units, m.rows, later, ROW))
            if t >= go:
                multiply(work.state, m.readout_t, work.errors, (m.units, N4, (t - go) * N4 * LANES, LANES))
            _descend(work, m.units, t, floor)
            if t % SLOTS == N0:
                length = min(marks[SEGMENTS] - t, SLOTS) * LANES
                outer(to_left, work.deltas, work.seen, (m.units, m.rows, _slot(t, m.rows), length))
        for i in range(size):
            to_drives[segment * size + i] = FEED * work.drive[i]


@jit
def network(work, m, marks, rule, arrays):
    """Loss of one network, block by block of its trials; fills the gradients, which begin as 0."""
    drives, targets, masks, to_drives, to_readout, to_left = arrays
    count = masks[:, :LANES].sum() * float32(marks[SEGMENTS] - marks[GO])
    total = 0.0
    for block in range(uint64(len(masks))):
        aims = targets[block], masks[block], TWO / count
        total += _forward(work, m, marks, rule, (drives[block], aims, block * LANES))
        _backward(work, m, marks, rule.floor, (to_drives[block], to_left))
        for i in range(N2 * m.units):
            for lane in range(LANES):
                to_readout[i] += work.readout[i * LANES + lane]
    return total / count
