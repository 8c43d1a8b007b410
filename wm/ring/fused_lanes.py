"""Compiled loops over the lanes of a block of trials: random numbers, tanh and matrix products.

Matrices are flat float32 arrays; of activity, a row is the LANES trials of one unit. The loops are written
for the vectoriser of LLVM: constant trip counts, no calls, and unsigned indices, since numba wraps signed
ones as Python does.
"""

from __future__ import annotations

__all__ = ["LANES", "ROW", "SLOTS", "draw", "fill", "jit", "multiply", "outer", "tanh", "wide"]

from functools import partial
from math import log, sqrt

import numpy as np
from numba import njit, types
from numba.extending import intrinsic
from numpy import float32, int32, uint32, uint64

LANES, SLOTS = uint64(64), uint64(4)
"""trials of a block; steps whose gradient of the weights is summed at once"""
ROW = SLOTS * LANES + uint64(16)
"""length of a row of SLOTS steps; the gap keeps rows off the same cache lines"""
N0, N1, N2, N3, N4 = (uint64(n) for n in range(5))
ZERO, HALF, ONE, TWO = (float32(x) for x in (0, 0.5, 1, 2))

# NaN and infinity must stay what they are: a weight that is not finite has to show in the loss.
jit = partial(njit, nogil=True, error_model="numpy", fastmath={"contract", "nsz"})
_jit_sums = partial(njit, nogil=True, error_model="numpy", fastmath={"contract", "nsz", "reassoc"})


@intrinsic
def wide(typing):
    """Let the calling function use the 512-bit registers of a CPU that has them, which LLVM avoids."""

    def emit(context, builder, signature, arguments):
        set.add(builder.function.attributes, '"prefer-vector-width"="512"')  # `add` knows no such attribute
        return context.get_dummy_value()

    return types.void(), emit


M0, M1, W0, W1 = (uint64(n) for n in (0xD2511F53, 0xCD9E8D57, 0x9E3779B9, 0xBB67AE85))
LOW, WORD = uint64(0xFFFFFFFF), uint64(32)


@jit(inline="always")
def _philox(c0, c1, c2, c3, key):
    """Philox4x32-10 (Salmon et al. 2011): four random words of 32 bits from a counter and a key."""
    k0, k1 = key & LOW, key >> WORD
    for _ in range(10):
        p0, p1 = c0 * M0, c2 * M1
        c0, c1, c2, c3 = (p1 >> WORD) ^ c1 ^ k0, p1 & LOW, (p0 >> WORD) ^ c3 ^ k1, p0 & LOW
        k0, k1 = (k0 + W0) & LOW, (k1 + W1) & LOW
    return c0, c1, c2, c3


# minimax polynomials: log(1 + f) / f to 2e-7; sin(pi t / 2) / t and cos(pi t / 2) in t^2 to 5e-8
L0, L1, L2, L3 = (float32(x) for x in (0.9999999178, -0.5000034430, 0.3333560770, -0.2497155899))
L4, L5, L6, L7 = (float32(x) for x in (0.1988424100, -0.1721244882, 0.1633810852, -0.1037859347))
S0, S1, S2 = (float32(x) for x in (1.57079632, -0.645963761, 0.0796899268))
S3, S4 = float32(-0.00467415750), float32(1.51678590e-4)
C0, C1, C2 = (float32(x) for x in (0.99999995347, -1.2336982147, 0.2536507447))
C3, C4 = float32(-0.0208106275), float32(8.58190605e-4)
LOG2, UNIT, TURN = float32(log(2)), float32(2.0**-32), float32(2.0**-31)
ROOT, MANTISSA = int32(0x3F3504F3), int32(23)  # bits of sqrt(1/2)


@jit(inline="always")
def _box_muller(x, y):
    """Two normals from two words; the largest is sqrt(2 log(2^33)) = 6.8."""
    u = (float32(uint32(x)) + HALF) * UNIT
    bits = np.float32(u).view(np.int32)
    exponent = int32(int32(bits - ROOT) >> MANTISSA)
    f = np.int32(bits - int32(exponent << MANTISSA)).view(np.float32) - ONE
    series = ((((((L7 * f + L6) * f + L5) * f + L4) * f + L3) * f + L2) * f + L1) * f + L0
    square = -TWO * (series * f + float32(exponent) * LOG2)
    radius = sqrt(square if square > ZERO else ZERO)
    t = float32(int32(uint32(y))) * TURN  # angle pi t
    z = t * t
    sine = ((((S4 * z + S3) * z + S2) * z + S1) * z + S0) * t  # of half the angle
    cosine = (((C4 * z + C3) * z + C2) * z + C1) * z + C0
    return radius * (ONE - TWO * sine * sine), radius * (TWO * sine * cosine)


@jit
def draw(noise, key, counter):
    """Normals (4, lane) of four units: counter is (first trial, unit // 4, time step, training step)."""
    wide()
    first, units, t, step = counter
    for lane in range(LANES):
        x0, x1, x2, x3 = _philox(first + lane, units, t, step, key)
        n0, n1 = _box_muller(x0, x1)
        n2, n3 = _box_muller(x2, x3)
        noise[lane] = n0
        noise[LANES + lane] = n1
        noise[N2 * LANES + lane] = n2
        noise[N3 * LANES + lane] = n3


@jit
def fill(out, key, step):
    """Normals (time, trial, unit) of one network."""
    noise = np.empty(N4 * LANES, dtype=np.float32)
    (steps, trials, units), lanes = out.shape, np.int64(LANES)
    for t in range(steps):
        for first in range(0, trials, lanes):
            for unit in range(0, units, 4):
                draw(noise, key, (uint64(first), uint64(unit // 4), uint64(t), step))
                for row in range(min(4, units - unit)):
                    for lane in range(min(lanes, trials - first)):
                        out[t, first + lane, unit + row] = noise[row * lanes + lane]


# rational approximation of tanh, relative error 3e-7; it is 1 in float32 from EDGE on
A1, A3, A5, A7 = (float32(x) for x in (4.89352456e-3, 6.37261929e-4, 1.48572236e-5, 5.12229709e-8))
A9, A11, A13 = (float32(x) for x in (-8.60467152e-11, 2.00018790e-13, -2.76076848e-16))
B0, B2, B4, B6 = (float32(x) for x in (4.89352519e-3, 2.26843463e-3, 1.18534706e-4, 1.19825839e-6))
EDGE = float32(7.9053111)


@jit(inline="always")
def tanh(a):
    """Of a float32."""
    a = EDGE if a > EDGE else a
    a = -EDGE if a < -EDGE else a
    z = a * a
    numerator = (((((A13 * z + A11) * z + A9) * z + A7) * z + A5) * z + A3) * z + A1
    return a * numerator / (((B6 * z + B4) * z + B2) * z + B0)


@jit
def multiply(out, w, x, shape):
    """out[row] += sum over columns of w[row, column] x[column], for every lane; in tiles of 4 x 4.

    shape: (rows, columns, start, stride), both multiples of four; column k of x begins at start + k stride.
    """
    wide()
    rows, columns, start, stride = shape
    for row in range(N0, rows, N4):
        o0 = row * LANES
        o1, o2, o3 = o0 + LANES, o0 + N2 * LANES, o0 + N3 * LANES
        for column in range(N0, columns, N4):
            i0 = row * columns + column
            i1, i2, i3 = i0 + columns, i0 + N2 * columns, i0 + N3 * columns
            a0, a1, a2, a3 = w[i0], w[i0 + N1], w[i0 + N2], w[i0 + N3]
            b0, b1, b2, b3 = w[i1], w[i1 + N1], w[i1 + N2], w[i1 + N3]
            c0, c1, c2, c3 = w[i2], w[i2 + N1], w[i2 + N2], w[i2 + N3]
            d0, d1, d2, d3 = w[i3], w[i3 + N1], w[i3 + N2], w[i3 + N3]
            j0 = start + column * stride
            j1, j2, j3 = j0 + stride, j0 + N2 * stride, j0 + N3 * stride
            for lane in range(LANES):
                x0, x1, x2, x3 = x[j0 + lane], x[j1 + lane], x[j2 + lane], x[j3 + lane]
                out[o0 + lane] += a0 * x0 + a1 * x1 + a2 * x2 + a3 * x3
                out[o1 + lane] += b0 * x0 + b1 * x1 + b2 * x2 + b3 * x3
                out[o2 + lane] += c0 * x0 + c1 * x1 + c2 * x2 + c3 * x3
                out[o3 + lane] += d0 * x0 + d1 * x1 + d2 * x2 + d3 * x3


@_jit_sums
def outer(out, a, x, shape):
    """out[row, column] += a[row] . x[column], rows of ROW numbers; in tiles of 2 x 4.

    shape: (rows, columns, start, length), multiples of two and four; x begins at start, `length` numbers of
    a row count.
    """
    wide()
    rows, columns, start, length = shape
    for row in range(N0, rows, N2):
        i0 = row * ROW
        i1 = i0 + ROW
        for column in range(N0, columns, N4):
            j0 = start + column * ROW
            j1, j2, j3 = j0 + ROW, j0 + N2 * ROW, j0 + N3 * ROW
            s0 = s1 = s2 = s3 = r0 = r1 = r2 = r3 = ZERO
            for k in range(length):
                a0, a1 = a[i0 + k], a[i1 + k]
                x0, x1, x2, x3 = x[j0 + k], x[j1 + k], x[j2 + k], x[j3 + k]
                s0 += a0 * x0
                s1 += a0 * x1
                s2 += a0 * x2
                s3 += a0 * x3
                r0 += a1 * x0
                r1 += a1 * x1
                r2 += a1 * x2
                r3 += a1 * x3
            o = row * columns + column
            out[o] += s0
            out[o + N1] += s1
            out[o + N2] += s2
            out[o + N3] += s3
            o += columns
            out[o] += r0
            out[o + N1] += r1
            out[o + N2] += r2
            out[o + N3] += r3
