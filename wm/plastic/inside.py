"""What a plastic network does on a sequence, token by token, and what an edit of its fast weights costs.

`watch` runs a network and keeps what it does; an `Edit` erases or freezes the fast weights on the way. Which
token is read: `wm.plastic.reads`.
"""

from __future__ import annotations

__all__ = [
    "Edit", "Watched", "check_layer", "cost_table", "fast_weights_at", "norms", "parts", "probabilities",
    "recalled", "swept", "watch", "without_plasticity",
]  # fmt: skip

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Literal

import numpy as np
import pandas as pd
import torch
import torch.nn.functional as F
from torch import Tensor

from . import memory as stored
from .bodies import Weights
from .engine import Engine, Trace, encoded
from .evaluate import TEST_TRIALS, test_episodes
from .families import RECURRENT, WHOLE, make_task
from .learner import costs
from .library import Trained
from .parameters import plastic_layers
from .rates import Rates, Writes, knobs


@dataclass(frozen=True)
class Edit:
    """What is done to the fast weights on the way, before a token is read.

    erase: what was written is lost, and writing goes on; freeze: from then on, nothing is written and nothing
    decays. Slow weights and what attention or units hold stay.
    """

    kind: Literal["none", "erase", "freeze"] = "none"
    at: int = 0
    """the token, from 0"""
    tokens: tuple[int, ...] | None = None
    """erase what these tokens wrote alone; None: what all did"""

    def __post_init__(self) -> None:
        if self.kind not in ("none", "erase", "freeze"):
            raise ValueError(f"edit {self.kind!r}: none, erase or freeze")
        if self.at < 0 or min(self.tokens or (0,)) < 0:
            raise ValueError(f"tokens count from 0, in {self}")


NONE = Edit()


@dataclass(frozen=True, eq=False)
class Watched:
    """A run of one network and all that its plastic layers did, tensors with a network axis of one."""

    trained: Trained
    trace: Trace
    x: dict[str, Tensor]
    """layer -> its inputs (1, trial, time, input)"""
    slow: dict[str, Tensor]
    """layer -> W x + b (1, trial, time, output)"""
    fast: dict[str, Tensor]
    """layer -> w x + c (1, trial, time, output)"""
    before: Tensor
    """C_ts (1, trial, time, written): with which token t reads what token s wrote, 0 for s >= t"""
    after: Tensor
    """the same when token t was written, too"""
    alone: Tensor
    """answers of the slow weights alone: the fast ones left out at one token, with the same past
    (1, trial, time, output)"""

    @property
    def layers(self) -> list[str]:
        """Names of the plastic layers, in the order of computation; none if nothing is ever written."""
        return list(self.x)


class _Edited(Engine):
    """The engine, with edits on the way: each of one part of the sequences, which all are equally long."""

    def __init__(self, trained: Trained, edits: Sequence[Edit]) -> None:
        like = next(iter(trained.weights.values()))
        super().__init__(trained.config, trained.weights, knobs([trained.config], like), {})
        self.edits, self.size = edits, 1 if self.rule.write or trained.config.body in RECURRENT else None

    def ran(self, inputs: np.ndarray | Tensor) -> Trace:
        """Tokens (trial, time) or numbers (trial, time, input), one token after the other."""
        tokens = encoded(self.config, torch.as_tensor(inputs)[None], self.weights)
        self.begin(tokens)
        for piece in tokens.split(self.size or tokens.shape[2], dim=2):
            self.step(piece)
        return self.trace()

    def step(self, piece: Tensor) -> None:
        erase = [edit.kind == "erase" and edit.at == self.time for edit in self.edits]
        if any(erase):
            kept = self.memory.coefficients.clone()
            for part, edit, due in zip(kept.chunk(len(erase), dim=1), self.edits, erase, strict=True):
                if due:
                    part[..., slice(None) if edit.tokens is None else list(edit.tokens)] = 0
            self.memory = self.memory._replace(coefficients=kept)
        super().step(piece)

    def _keep(self, outputs: Tensor, writes: Writes, rates: Rates) -> None:
        writing = [edit.kind != "freeze" or self.time < edit.at for edit in self.edits]
        open_ = torch.tensor(writing).repeat_interleave(outputs.shape[1] // len(writing))[None, :, None]
        rates = rates._replace(rate=rates.rate * open_, decay=rates.decay * open_)
        super()._keep(outputs, writes, rates)


class _Watching(_Edited):
    """The same, with everything kept: a piece of tokens makes one pass, see `step` of the engine."""

    def __init__(self, trained: Trained, edit: Edit) -> None:
        super().__init__(trained, [edit])
        self.size = None if trained.config.body in WHOLE else 1
        self.seen: list[dict[str, tuple]] = []
        self.before, self.after, self.alone = [], [], []

    def step(self, piece: Tensor) -> None:
        super().step(piece)
        self.after.append(self.memory.coefficients)

    def _pass(self, piece: Tensor, weights: Weights, memory: stored.Memory, matrix: Tensor, **how):
        alone = super()._pass(piece, weights, memory, 0 * matrix, **how)
        self.alone.append(alone.outputs.detach()[..., : -1 - self.config.auxiliary])
        done = super()._pass(piece, weights, memory, matrix, **how)
        self.before.append(memory.coefficients)
        seen = {name: (x, y - fast, fast) for name, (x, y, _, fast) in done.layers.seen.items()}
        self.seen.append({name: tuple(part.detach() for part in parts) for name, parts in seen.items()})
        return done


@torch.no_grad()
def watch(trained: Trained, inputs: np.ndarray | Tensor, edit: Edit = NONE) -> Watched:
    """Run one network on sequences, token by token, and keep what it does.

    inputs: tokens (trial, time), or numbers (trial, time, input).
    """
    engine = _Watching(trained, edit)
    trace = engine.ran(inputs)
    length, layers = trace.answers.shape[2], engine.seen[0]
    x, slow, fast = (
        {name: torch.cat([each[name][part] for each in engine.seen], dim=2) for name in layers}
        for part in range(3)
    )
    before, after = (
        torch.stack([F.pad(row, (0, length - row.shape[-1])) for row in rows], dim=2)
        for rows in (engine.before, engine.after)
    )
    return Watched(trained, trace, x, slow, fast, before, after, torch.cat(engine.alone, dim=2))


def without_plasticity(trained: Trained) -> Trained:
    """The same network with a largest rate eta0 of 0: it never writes."""
    return replace(trained, config=replace(trained.config, eta0=0.0))


def probabilities(trained: Trained, answers: Tensor) -> np.ndarray:
    """Answers (1, trial, time, output) as probabilities, or numbers, (trial, time, output)."""
    categorical = make_task(trained.config).categorical
    return (answers.softmax(dim=-1) if categorical else answers)[0].numpy()


# ---------------------------------------------------------------- what is written


def fast_weights_at(watched: Watched, layer: str, token: int, trial: int = 0) -> np.ndarray:
    """w of a layer after a token was written, (output, input); ValueError for an unknown layer."""
    check_layer(watched, layer)
    values, keys = (part[layer][:, trial : trial + 1] for part in watched.trace.memory[1:])
    memory = stored.Memory(watched.after[:, trial : trial + 1, token], {layer: values}, {layer: keys})
    return stored.fast_weights(watched.trained.weights, layer, memory)[0, 0].numpy()


def norms(watched: Watched, layer: str, trial: int = 0) -> np.ndarray:
    """|w| (Frobenius) of a layer after every token, (time,)."""
    steps = range(watched.after.shape[2])
    return np.array([np.linalg.norm(fast_weights_at(watched, layer, token, trial)) for token in steps])


def parts(watched: Watched, layer: str) -> tuple[np.ndarray, np.ndarray]:
    """|W x + b| and |w x + c|: lengths of what slow and fast weights say, each (trial, time)."""
    check_layer(watched, layer)
    return watched.slow[layer][0].norm(dim=-1).numpy(), watched.fast[layer][0].norm(dim=-1).numpy()


def check_layer(watched: Watched, layer: str) -> None:
    """ValueError, with the plastic layers that there are, for another name."""
    if layer not in watched.x:
        known = ", ".join(plastic_layers(watched.trained.config)) if watched.x else "none, as it never writes"
        raise ValueError(f"{watched.trained.name} has no plastic layer {layer!r}: {known}")


# ---------------------------------------------------------------- what edits cost


def recalled(trained: Trained, edit: Edit = NONE, *, trials: int = TEST_TRIALS) -> np.ndarray:
    """Score of each query (query,) on test sequences, with an edit: share right, or mean squared error."""
    return swept(trained, [edit], trials=trials)[0]


@torch.no_grad()
def swept(trained: Trained, edits: Sequence[Edit], *, trials: int = TEST_TRIALS) -> np.ndarray:
    """The same for several edits at once, each of all test sequences, (edit, query)."""
    inputs, targets = (torch.as_tensor(part) for part in test_episodes(trained.config, trials))
    count, queries = len(edits), make_task(trained.config).queries
    trace = _Edited(trained, edits).ran(inputs.repeat(count, *[1] * (inputs.ndim - 1)))
    _, right = costs(trained.config, trace.answers, targets.repeat(count, 1)[None])
    return right[0].unflatten(0, (count, trials)).mean(dim=1).numpy()[:, queries]


def cost_table(
    networks: Mapping[str, Trained], edits: Mapping[str, Edit], *, trials: int = TEST_TRIALS
) -> pd.DataFrame:
    """Mean score of the answers, a row per network, a column per edit; "never written": eta0 = 0."""
    found = {}
    for name, trained in networks.items():
        row = {said: recalled(trained, edit, trials=trials).mean() for said, edit in edits.items()}
        off = recalled(without_plasticity(trained), trials=trials).mean()
        found[name] = row | {"never written": off}
    return pd.DataFrame(found).T
