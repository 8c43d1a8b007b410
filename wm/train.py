"""One training loop for every system: a generator of metrics that can be killed and resumed bit for bit.

A system brings a `Learner`: one optimiser step in `update`, all its state in `state_dict`. `run` steps
it, checks that every metric is finite, keeps the history and writes checkpoints.
"""

__all__ = [
    "Learner",
    "Metrics",
    "NotFinite",
    "WrongConfig",
    "environment",
    "generator_state",
    "numpy_generator",
    "run",
    "set_generator_state",
    "spawn",
    "torch_generator",
]

import json
import platform
import warnings
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any, NamedTuple, Protocol

import numpy as np
import torch
from tqdm import tqdm

from .checkpoint import load_checkpoint, save_checkpoint
from .files import TEMPORARY, DamagedFile, StoreError
from .seeds import generator_state, numpy_generator, set_generator_state, spawn, torch_generator
from .signals import HeldSignals
from .states import versions


class Learner(Protocol):
    """What `run` needs of a system: networks, optimiser, batches and generators in one object.

    Anything that changes with the step (schedules, curricula) belongs in here, not in the loop around `run`.
    """

    def update(self) -> Mapping[str, torch.Tensor]:
        """Make one optimiser step on a fresh batch.

        Returns metrics on one device, each of shape (network,) or (), "loss" among them; the next call may
        overwrite them. Report the gradient norm too: a gradient that is not finite then stops that very step.
        """

    def state_dict(self) -> dict[str, Any]:
        """What the next update depends on: weights, optimiser, generators (`generator_state`), counters."""

    def load_state_dict(self, state: dict[str, Any]) -> None:
        """Take over such a state, held on the CPU; copy into tensors whose address a captured graph knows."""


class Metrics(NamedTuple):
    """What one update measured."""

    step: int
    """Number of updates made, from 1."""
    values: dict[str, np.ndarray]
    """float64 arrays of shape (network,) or ()."""


class WrongConfig(ValueError):
    """The checkpoint belongs to a run with another configuration."""


class NotFinite(ArithmeticError):
    """A metric or a weight became NaN or infinite.

    Attributes: `metric`, `step`, `network` (index; None for a scalar), `checkpoint` (last good one or None).
    """

    def __init__(self, metric: str, step: int, network: int | None, checkpoint: Path | None) -> None:
        self.metric, self.step, self.network, self.checkpoint = metric, step, network, checkpoint
        where = "" if network is None else f", network {network}"
        super().__init__(
            f"{metric} is not finite at step {step}{where}; last good checkpoint: {checkpoint or 'none'}; "
            "lower the learning rate or clip the gradients"
        )


def run(
    learner: Learner,
    updates: int,
    *,
    checkpoint: Path | None = None,
    checkpoint_every: int = 500,
    config: Mapping[str, Any] | None = None,
    history: dict[str, list] | None = None,
    history_every: int = 50,
    description: str = "training",
    progress: bool = True,
) -> Iterator[Metrics]:
    """Train `learner` up to step `updates`, yielding `Metrics` after each update.

    Resumes from the newest readable checkpoint in the folder `checkpoint`; steps made before are not yielded
    again. Checkpoints are written at the start, every `checkpoint_every` steps, at the end, and when the loop
    is left early (break, an exception around it, Ctrl-C, SIGTERM); the last two are kept. The caller must not
    change the learner between steps.

    `history` (emptied first) is filled with "step" and every metric: lists with an entry for each
    `history_every`-th step and for the last. It travels in the checkpoints, so a resumed run has all of it.

    Raises on the first step `WrongConfig` (checkpoint of another `config`, or beyond `updates`),
    `DamagedFile` (no checkpoint is readable), ValueError (`updates` below 0, an interval below 1); later
    `NotFinite` (a metric at any step; a weight where a checkpoint is, or would be, written),
    `CannotWrite` (earlier checkpoints stay intact), TypeError or ValueError (metrics that are no tensors, or
    without "loss").
    """
    if min(checkpoint_every, history_every) < 1:
        raise ValueError(f"{checkpoint_every=} and {history_every=} must be at least 1")
    if updates < 0:
        raise ValueError(f"{updates=} must be 0 or more")
    history = {} if history is None else history
    history.clear()
    saved = _Checkpoints(checkpoint, config or {})
    step = whole = saved.resume(learner, history, updates)
    with HeldSignals() as signals, _bar(description, step, updates, progress) as bar:
        try:
            while step < updates:
                with signals.held():
                    step += 1
                    values = _finite(_gather(learner.update()), step, saved.newest)
                    if step % history_every == 0 or step == updates:
                        _append(history, step, values)
                    whole = step
                _advance(bar, values)
                yield Metrics(step, values)
                if step % checkpoint_every == 0 or step == updates:
                    saved.save(step, learner, history)
        except (KeyboardInterrupt, SystemExit, GeneratorExit):
            if checkpoint is not None and whole == step:  # never save half an update
                _save_if_possible(saved, step, learner, history)
            raise


# ---------------------------------------------------------------- metrics


def _gather(metrics: Mapping[str, torch.Tensor]) -> dict[str, np.ndarray]:
    """Copy all metrics from the device at once: one transfer, one wait per step."""
    if "loss" not in metrics:
        raise ValueError(f'update() returned no "loss", only {sorted(metrics)}')
    for name, value in metrics.items():
        if not isinstance(value, torch.Tensor):
            raise TypeError(f"update() returned {name!r} as {type(value).__name__}, not as a tensor")
    flat = torch.cat([value.detach().reshape(-1) for value in metrics.values()]).cpu().double().numpy()
    ends = np.cumsum([value.numel() for value in metrics.values()])
    parts = np.split(flat, ends[:-1])
    return {name: part.reshape(metrics[name].shape) for name, part in zip(metrics, parts, strict=True)}


def _finite(values: dict[str, np.ndarray], step: int, newest: Path | None) -> dict[str, np.ndarray]:
    """Return `values` unchanged, or raise `NotFinite` for the first metric and network at fault."""
    for name, value in values.items():
        if not np.isfinite(value).all():
            bad = np.argwhere(~np.isfinite(value))[0]
            raise NotFinite(name, step, int(bad[0]) if bad.size else None, newest)
    return values


def _append(history: dict[str, list], step: int, values: dict[str, np.ndarray]) -> None:
    history.setdefault("step", []).append(step)
    for name, value in values.items():
        history.setdefault(name, []).append(value.tolist())


def _bar(description: str, step: int, updates: int, progress: bool) -> tqdm:
    """A progress bar, silent where the output is no terminal."""
    silent = None if progress else True  # None: tqdm asks whether it writes to a terminal
    return tqdm(desc=description, initial=step, total=updates, disable=silent, mininterval=1.0)


def _advance(bar: tqdm, values: dict[str, np.ndarray]) -> None:
    if not bar.disable:
        bar.set_postfix_str(f"loss {values['loss'].mean():.4g}", refresh=False)
        bar.update()


# ---------------------------------------------------------------- checkpoints


class _Checkpoints:
    """The checkpoints of one run, `step-00000500.safetensors` and so on: the last two are kept."""

    def __init__(self, folder: Path | None, config: Mapping[str, Any]) -> None:
        self.folder = None if folder is None else Path(folder)
        self.config = _flat(config)
        self.kept: list[Path] = []

    @property
    def newest(self) -> Path | None:
        return self.kept[-1] if self.kept else None

    def resume(self, learner: Learner, history: dict[str, list], updates: int) -> int:
        """Bring `learner` and `history` to the newest readable checkpoint; return its step."""
        state = None if self.folder is None else self._load()
        if state is None:
            # written before the first update: what cannot be stored or written is found now, not hours later
            self.save(0, learner, history)
            return 0
        self._check(state, updates)
        learner.load_state_dict(state["learner"])
        history.update({name: rows.tolist() for name, rows in state["history"].items()})
        return state["step"]

    def save(self, step: int, learner: Learner, history: dict[str, list]) -> None:
        """Check the weights, write the checkpoint of `step` unless it is there, remove all but the last two.

        Without a folder the weights are checked nevertheless.
        """
        path = self.folder and self.folder / f"step-{step:08d}.safetensors"
        if path and path == self.newest:
            return
        state = learner.state_dict()
        for name, tensor in _tensors(state):
            if not tensor.isfinite().all():
                raise NotFinite(name, step, None, self.newest)
        if path is None:
            return
        rows = {name: np.asarray(values) for name, values in history.items()}
        save_checkpoint(path, {"step": step, "config": self.config, "history": rows, "learner": state})
        self.kept = [*self.kept[-1:], path]
        leftovers = self.folder.glob(f"{TEMPORARY}*")  # of writes that were killed
        for old in {*self._paths(), *leftovers} - {*self.kept}:
            old.unlink(missing_ok=True)

    def _paths(self) -> list[Path]:
        return sorted(self.folder.glob("step-*.safetensors"), reverse=True)

    def _load(self) -> dict[str, Any] | None:
        """The newest checkpoint that can be read; None if there is none at all."""
        damage: list[DamagedFile] = []
        for path in self._paths():
            try:
                state = load_checkpoint(path)
            except DamagedFile as error:
                damage.append(error)
                continue
            if damage:
                warnings.warn(f"{damage[0]}; training goes on from {path.name}", stacklevel=4)
            self.kept = [path]
            return state
        if damage:
            what = f"none of its {len(damage)} checkpoints can be read"
            raise DamagedFile(self.folder, what, "remove it to train from the start") from damage[0]
        return None

    def _check(self, state: dict[str, Any], updates: int) -> None:
        there, here = state["config"], self.config
        if differing := sorted(name for name in {*there, *here} if there.get(name) != here.get(name)):
            listed = (f"{name}: {there.get(name)} there, {here.get(name)} here" for name in differing)
            raise WrongConfig(f"{self.newest}: another config ({'; '.join(listed)}): use another folder")
        if state["step"] > updates:
            raise WrongConfig(f"{self.newest}: step {state['step']} is beyond the {updates} asked for")


def _flat(config: Mapping[str, Any], prefix: str = "") -> dict[str, str]:
    """{"rnn": {"units": 64}} -> {"rnn.units": "64"}: comparable and storable whatever the values are."""
    flat = {}
    for name, value in config.items():
        if isinstance(value, Mapping):
            flat |= _flat(value, f"{prefix}{name}.")
        else:
            flat[f"{prefix}{name}"] = json.dumps(value, default=str)
    return flat


def _tensors(state: Any, name: str = "state") -> Iterator[tuple[str, torch.Tensor]]:
    """All tensors in nested dictionaries, lists and tuples, with their dotted names."""
    if isinstance(state, torch.Tensor):
        yield name, state
    elif isinstance(state, Mapping | list | tuple):
        items = state.items() if isinstance(state, Mapping) else enumerate(state)
        for key, value in items:
            yield from _tensors(value, f"{name}.{key}")


def _save_if_possible(saved: _Checkpoints, step: int, learner: Learner, history: dict[str, list]) -> None:
    """Save on the way out; what hinders it must not hide why the run was stopped."""
    try:
        saved.save(step, learner, history)
    except (StoreError, NotFinite) as error:
        warnings.warn(f"no checkpoint at the interruption: {error}", stacklevel=2)


def environment(device: str | torch.device = "cpu") -> dict[str, str]:
    """Versions, kind of platform and the name of `device`, for the record of a run."""
    cuda = torch.device(device).type == "cuda"
    name = torch.cuda.get_device_name(device) if cuda else platform.machine()
    return versions() | {"platform": f"{platform.system()} {platform.machine()}", "device": name}
