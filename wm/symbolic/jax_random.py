"""Random numbers as JAX draws them, so that a published network can be started from its own first weights.

Threefry-2x32 with 20 rounds maps a key and a counter, two words of 32 bits each, to two random words; keys
are split, and arrays filled, by counting (the scheme of JAX since 0.5, `jax_threefry_partitionable`).

Source: Salmon et al. 2011, Parallel random numbers: as easy as 1, 2, 3.
"""

from __future__ import annotations

__all__ = ["key", "normal", "split", "threefry"]

import math

import numpy as np
from scipy.special import erfinv

_ROTATIONS = ((13, 15, 26, 6), (17, 29, 16, 24))
_PARITY = np.uint32(0x1BD11BDA)


def key(seed: int) -> np.ndarray:
    """The key of a seed, (2,) uint32. Raises ValueError for a seed outside 0 to 2^32 - 1."""
    if not 0 <= seed < 2**32:
        raise ValueError(f"a seed of JAX must lie in 0 to 2^32 - 1 here, got {seed}")
    return np.array([0, seed], dtype=np.uint32)


def threefry(key: np.ndarray, counters: np.ndarray) -> np.ndarray:
    """Random words of counters (..., 2) under a key (2,): the same shape, uint32."""
    words = [*key, key[0] ^ key[1] ^ _PARITY]
    a, b = (np.add(counters[..., k], words[k], dtype=np.uint32) for k in range(2))
    with np.errstate(over="ignore"):  # sums modulo 2^32
        for block in range(5):
            for distance in _ROTATIONS[block % 2]:
                a = a + b
                b = a ^ (b << np.uint32(distance) | b >> np.uint32(32 - distance))
            a = a + words[(block + 1) % 3]
            b = b + words[(block + 2) % 3] + np.uint32(block + 1)
    return np.stack([a, b], axis=-1)


def split(key: np.ndarray, count: int = 2) -> np.ndarray:
    """New keys, (count, 2), as `jax.random.split`."""
    return threefry(key, _counters(count))


def normal(key: np.ndarray, shape: tuple[int, ...]) -> np.ndarray:
    """Standard normal numbers, float32: those of `jax.random.normal`, but for how `erfinv` rounds.

    23 bits make a uniform number u in (-1, 1), and the normal one is sqrt(2) erfinv(u).
    """
    words = threefry(key, _counters(math.prod(shape)))
    bits = (words[:, 0] ^ words[:, 1]) >> np.uint32(9) | np.uint32(0x3F800000)
    lowest = np.nextafter(np.float32(-1), np.float32(0))
    uniform = (bits.view(np.float32) - np.float32(1)) * (np.float32(1) - lowest) + lowest
    return (np.float32(math.sqrt(2)) * erfinv(np.maximum(uniform, lowest))).reshape(shape)


def _counters(count: int) -> np.ndarray:
    """0, 1, ... as two words each, the high one first: (count, 2)."""
    return np.stack([np.zeros(count), np.arange(count)], axis=-1).astype(np.uint32)
