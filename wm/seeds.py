"""Random streams named by seed and purpose: none depends on how many others there are, or on their order."""

__all__ = ["generator_state", "numpy_generator", "set_generator_state", "spawn", "torch_generator"]

import hashlib
import json
import operator
from typing import Any

import numpy as np
import torch


def spawn(seed: str | int, *purpose: str | int) -> np.random.SeedSequence:
    """The random root of one purpose, e.g. `spawn(0, "noise", 7)` for the noise of network 7.

    A function of its arguments alone: no other stream, network or job can shift it. Each generator needs a
    purpose of its own. Raises TypeError for what is neither text nor whole number.
    """
    names = [name if isinstance(name, str) else operator.index(name) for name in (seed, *purpose)]
    digest = hashlib.sha256(json.dumps(names).encode()).digest()
    return np.random.SeedSequence(int.from_bytes(digest, "big"))


def numpy_generator(seed: str | int, *purpose: str | int) -> np.random.Generator:
    """A numpy generator for one purpose; see `spawn`."""
    return np.random.default_rng(spawn(seed, *purpose))


def torch_generator(
    seed: str | int, *purpose: str | int, device: str | torch.device = "cpu"
) -> torch.Generator:
    """A torch generator for one purpose on `device`; see `spawn`. CPU and CUDA give different numbers.

    On the CPU torch uses 32 bits of a seed: two of n streams coincide with a chance of n^2 / 2^33.
    """
    word = spawn(seed, *purpose).generate_state(1, np.uint64)[0]
    return torch.Generator(device).manual_seed(int(word))


def generator_state(generator: np.random.Generator | torch.Generator) -> dict[str, Any] | torch.Tensor:
    """The state of a numpy or torch generator, storable in a checkpoint."""
    if isinstance(generator, torch.Generator):
        return generator.get_state()
    return generator.bit_generator.state


def set_generator_state(generator: np.random.Generator | torch.Generator, state: Any) -> None:
    """Put a generator, in place, into a state that `generator_state` gave."""
    if isinstance(generator, torch.Generator):
        generator.set_state(state)
    else:
        generator.bit_generator.state = state
