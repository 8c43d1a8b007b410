"""CUDA kernels of `wm.ring.fused_cuda`, in Triton: noise, forward, and backward through time.

A program holds TRIALS trials of one network, from the first step to the last. RANK is that of the recurrence,
and 0 for a full one. Rates, noise and deltas are (network, time, trial, unit), `seen_all` = right^T h of the
step before is (network, time, rank, trial), `errors` = dL/dy is (network, go step, trial, 2).
"""

from __future__ import annotations

__all__ = ["backward", "draw", "forward"]

import triton
import triton.language as tl


@triton.jit(do_not_specialize=["step"])  # it is another one every time
def draw(keys, noise, step, cells, STD, ROUNDS: tl.constexpr, BLOCK: tl.constexpr):
    """Four normals a counter: Philox of (key of the network; place, training step), then Box-Muller."""
    network = tl.program_id(0).to(tl.int64)
    place = tl.program_id(1) * BLOCK + tl.arange(0, BLOCK)
    none = place * 0
    a, b, c, d = tl.philox(tl.load(keys + network), place, none + step, none, none, ROUNDS)
    w, x = tl.pair_uniform_to_normal(tl.uint_to_uniform_float(a), tl.uint_to_uniform_float(b))
    y, z = tl.pair_uniform_to_normal(tl.uint_to_uniform_float(c), tl.uint_to_uniform_float(d))
    values = tl.interleave(tl.interleave(w, y), tl.interleave(x, z))  # w x y z of every place
    cell = tl.program_id(1) * 4 * BLOCK + tl.arange(0, 4 * BLOCK)
    tl.store(noise + network * cells + cell, (STD * values).to(noise.dtype.element_ty), mask=cell < cells)


@triton.jit
def _columns(start, unit, there, RANK: tl.constexpr):
    """The columns of a (unit, rank) matrix."""
    columns = ()
    for k in tl.static_range(RANK):
        columns = columns + (tl.load(start + unit * RANK + k, mask=there, other=0),)
    return columns


@triton.jit
def _product(x, first, second, RANK: tl.constexpr, P: tl.constexpr):
    """x M, and x first: M is `second` if RANK is 0, else first second^T of two tuples of columns."""
    if RANK:
        product, seen = tl.zeros_like(x), ()
        for k in tl.static_range(RANK):
            each = tl.sum(x * first[k][None, :], 1)
            product += each[:, None] * second[k][None, :]
            seen = seen + (each,)
        return product, seen
    else:
        return tl.dot(x, second, input_precision=P), ()


@triton.jit
def _step(
    a, h, t, drive, first, second, noise, rates, seen_all, cell, inside, trial, here, plane, trials, KEEP,
    RANK: tl.constexpr, RECTIFIED: tl.constexpr, P: tl.constexpr,
):  # fmt: skip
    """a = KEEP a + (1 - KEEP) (drive + W h) and h = f(a) + noise; h and right^T h (of before) are kept."""
    n = tl.load(noise + t * plane + cell, mask=inside, other=0).to(tl.float32)
    fed, seen = _product(h, first, second, RANK, P)
    a = KEEP * a + (1 - KEEP) * (drive + fed)
    r = 2 / (1 + tl.exp(-2 * a)) - 1
    if RECTIFIED:
        r = tl.where(a < 0, 0.0, r)  # keeps NaN
    tl.store(rates + t * plane + cell, r + n, mask=inside)
    for k in tl.static_range(RANK):
        tl.store(seen_all + (t * RANK + k) * trials + trial, seen[k], mask=here)
    return a, r + n


@triton.jit
def _factors(one, other, network, unit, units, there, row_step, column_step, RANK: tl.constexpr):
    """What `_product` takes: the columns of both (unit, rank) matrices, or () and the other, (unit, unit)."""
    if RANK:
        skipped = network * units * RANK
        return _columns(one + skipped, unit, there, RANK), _columns(other + skipped, unit, there, RANK)
    else:
        place = network * units * units + unit[:, None] * row_step + unit[None, :] * column_step
        return (), tl.load(other + place, mask=there[:, None] & there[None, :], other=0)


@triton.jit(do_not_specialize=["length"])
def forward(
    drives, noise, left, right, readout, marks, targets, rates, seen_all, errors, losses, grad_readout,
    length, trials, units, go, KEEP,
    RANK: tl.constexpr, RECTIFIED: tl.constexpr, P: tl.constexpr,
    TRIALS: tl.constexpr, UNITS: tl.constexpr,
):  # fmt: skip
    """Noisy rates of every step, the loss, dL/dy of the go cue and the gradient of the read-out."""
    network, part, parts = tl.program_id(0).to(tl.int64), tl.program_id(1), tl.num_programs(1)
    trial, unit = part * TRIALS + tl.arange(0, TRIALS), tl.arange(0, UNITS)
    here, there = trial < trials, unit < units
    inside, plane = here[:, None] & there[None, :], trials * units
    cell = trial[:, None] * units + unit[None, :]
    first, second = _factors(right, left, network, unit, units, there, 1, units, RANK)
    marks += network * 7
    drives += network * 6 * plane
    noise += network * length * plane
    rates += network * length * plane
    seen_all += network * length * trials * RANK
    errors += network * go * trials * 2
    a = tl.zeros((TRIALS, UNITS), tl.float32)
    h = tl.zeros((TRIALS, UNITS), tl.float32)
    for segment in range(5):
        drive = tl.load(drives + segment * plane + cell, mask=inside, other=0)
        for t in range(tl.load(marks + segment), tl.load(marks + segment + 1)):
            a, h = _step(
                a, h, t, drive, first, second, noise, rates, seen_all, cell, inside, trial, here, plane,
                trials, KEEP, RANK, RECTIFIED, P,
            )  # fmt: skip
    drive = tl.load(drives + 5 * plane + cell, mask=inside, other=0)
    v0 = tl.load(readout + network * 2 * units + unit, mask=there, other=0)
    v1 = tl.load(readout + (network * 2 + 1) * units + unit, mask=there, other=0)
    wanted0 = tl.load(targets + (network * trials + trial) * 2, mask=here, other=0)
    wanted1 = tl.load(targets + (network * trials + trial) * 2 + 1, mask=here, other=0)
    loss = tl.zeros((TRIALS,), tl.float32)
    g0 = tl.zeros((TRIALS, UNITS), tl.float32)
    g1 = tl.zeros((TRIALS, UNITS), tl.float32)
    start = tl.load(marks + 5)
    share = 1.0 / (trials * (tl.load(marks + 6) - start))
    for t in range(start, tl.load(marks + 6)):
        a, h = _step(
            a, h, t, drive, first, second, noise, rates, seen_all, cell, inside, trial, here, plane, trials,
            KEEP, RANK, RECTIFIED, P,
        )  # fmt: skip
        off0 = tl.sum(h * v0[None, :], 1) - wanted0
        off1 = tl.sum(h * v1[None, :], 1) - wanted1
        loss += share * (off0 * off0 + off1 * off1)
        off0, off1 = 2 * share * off0, 2 * share * off1
        tl.store(errors + ((t - start) * trials + trial) * 2, off0, mask=here)
        tl.store(errors + ((t - start) * trials + trial) * 2 + 1, off1, mask=here)
        g0 += off0[:, None] * h
        g1 += off1[:, None] * h
    if RANK == 0:  # the padding, so that sums over all steps are those over the trial
        for t in range(tl.load(marks + 6), length):
            tl.store(rates + t * plane + cell, tl.zeros_like(h), mask=inside)
    tl.store(losses + network * parts + part, tl.sum(tl.where(here, loss, 0.0)))
    grad_readout += (network * parts + part) * 2 * units
    tl.store(grad_readout + unit, tl.sum(tl.where(here[:, None], g0, 0.0), 0), mask=there)
    tl.store(grad_readout + units + unit, tl.sum(tl.where(here[:, None], g1, 0.0), 0), mask=there)


@triton.jit
def _slope(r, RECTIFIED: tl.constexpr):
    """f'(a) from r = f(a), which is h minus its noise, and so exactly 0 where the rectifier is shut."""
    slope = 1 - r * r
    if RECTIFIED:
        slope = tl.where(r == 0, 0.0, slope)
    return slope


@triton.jit
def _answered(errors, v0, v1, here):
    """V^T dL/dy of one step, (trial, unit)."""
    d0, d1 = tl.load(errors, mask=here, other=0), tl.load(errors + 1, mask=here, other=0)
    return d0[:, None] * v0[None, :] + d1[:, None] * v1[None, :]


@triton.jit(do_not_specialize=["length"])
def backward(
    noise, left, right, readout, marks, rates, seen_all, errors, deltas, grad_drives, grad_left,
    length, trials, units, go, KEEP,
    RANK: tl.constexpr, RECTIFIED: tl.constexpr, P: tl.constexpr,
    TRIALS: tl.constexpr, UNITS: tl.constexpr,
):  # fmt: skip
    """delta_t = dL/da_t = KEEP delta_{t+1} + f'(a_t) ((1 - KEEP) W^T delta_{t+1} + V^T dL/dy_t)."""
    network, part, parts = tl.program_id(0).to(tl.int64), tl.program_id(1), tl.num_programs(1)
    trial, unit = part * TRIALS + tl.arange(0, TRIALS), tl.arange(0, UNITS)
    here, there = trial < trials, unit < units
    inside, plane = here[:, None] & there[None, :], trials * units
    cell = trial[:, None] * units + unit[None, :]
    first, second = _factors(left, right, network, unit, units, there, units, 1, RANK)
    g_left = ()
    for _k in tl.static_range(RANK):
        g_left = g_left + (tl.zeros((TRIALS, UNITS), tl.float32),)
    marks += network * 7
    noise += network * length * plane
    rates += network * length * plane
    deltas += network * length * plane
    seen_all += network * length * trials * RANK
    errors += network * go * trials * 2
    grad_drives += network * 6 * plane
    delta = tl.zeros((TRIALS, UNITS), tl.float32)
    v0 = tl.load(readout + network * 2 * units + unit, mask=there, other=0)
    v1 = tl.load(readout + (network * 2 + 1) * units + unit, mask=there, other=0)
    start = tl.load(marks + 5)
    t = tl.load(marks + 6) - 1
    if RANK == 0:
        for late in range(t + 1, length):
            tl.store(deltas + late * plane + cell, tl.zeros_like(delta), mask=inside)
    h = tl.load(rates + t * plane + cell, mask=inside, other=0)
    n = tl.load(noise + t * plane + cell, mask=inside, other=0)
    for back in range(6):
        segment = 5 - back
        total = tl.zeros((TRIALS, UNITS), tl.float32)
        for _ in range(tl.load(marks + segment), tl.load(marks + segment + 1)):
            earlier = inside & (t + 0 * cell > 0)  # asked for now, needed in the next step
            next_h = tl.load(rates + (t - 1) * plane + cell, mask=earlier, other=0)
            next_n = tl.load(noise + (t - 1) * plane + cell, mask=earlier, other=0)
            grad, _seen = _product(delta, first, second, RANK, P)
            grad *= 1 - KEEP
            if segment == 5:
                grad += _answered(errors + ((t - start) * trials + trial) * 2, v0, v1, here)
            delta = KEEP * delta + _slope(h - n.to(tl.float32), RECTIFIED) * grad
            total += delta
            if RANK:
                sums = ()
                for k in tl.static_range(RANK):
                    seen = tl.load(seen_all + (t * RANK + k) * trials + trial, mask=here, other=0)
                    sums = sums + (g_left[k] + delta * seen[:, None],)
                g_left = sums
            else:
                tl.store(deltas + t * plane + cell, delta, mask=inside)
            h, n = next_h, next_n
            t -= 1
        tl.store(grad_drives + segment * plane + cell, (1 - KEEP) * total, mask=inside)
    for k in tl.static_range(RANK):
        place = (network * parts + part) * units * RANK + unit * RANK + k
        tl.store(grad_left + place, (1 - KEEP) * tl.sum(g_left[k], 0), mask=there)
