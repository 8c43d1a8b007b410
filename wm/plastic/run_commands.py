"""`wm plastic run TASK`: the options of the published scripts (Chaudhary 2025), training, a result file."""

from __future__ import annotations

__all__ = ["Run", "RunCopying", "RunCueReward", "RunRegression"]

import tempfile
from abc import abstractmethod
from collections.abc import Mapping
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Annotated, Any, ClassVar, Literal

import numpy as np
import torch
from tyro.conf import arg

from .. import paths
from ..arguments import UsageError, say
from ..files import writing
from ..train import environment
from .epochs import OBSERVED, histories
from .families import PAPER_RULES, PRESETS, PlasticConfig
from .families import config as family_config
from .results import aggregate, write_result

_SHOWN = ("loss", "recall_accuracy", "true_recall", "query_loss", "accuracy", "eta_mean")


@dataclass(frozen=True)
class Run:
    """What the tasks share: options, training, the result file."""

    rule: str = "hebbian"
    """none, hebbian, gradient, oja or delta"""
    preset: Literal["published", "sound"] = "published"
    """published: as the published code runs; sound: everything learned through the updates, with positions,
    in batches of 64"""
    base_seed: int = 123
    """the first seed; the others follow it"""
    seeds: int = 1
    """how many networks, trained at once"""
    output_path: Annotated[Path | None, arg(metavar="FILE", help_behavior_hint="")] = None
    """result file (JSON), by default in results/plastic"""
    device: Literal["auto", "cpu", "cuda", "mps"] = "auto"
    """auto: cuda, else mps, else cpu"""
    checkpoint: Annotated[Path | None, arg(metavar="DIR", help_behavior_hint="")] = None
    """folder from which the same command goes on after an interruption"""
    epochs: int = 10
    """rounds of training, each with an evaluation after it"""
    model_dim: int = 128
    """units of the residual stream"""
    num_heads: int = 4
    """attention heads of a block"""
    num_layers: int = 2
    """blocks"""
    ffn_dim: int = 256
    """hidden units of the feed-forward layers"""
    dropout: Annotated[float | None, arg(metavar="FLOAT", help_behavior_hint="")] = None
    """share of units dropped in training, by default .1 as published, 0 if sound"""
    aux_dim: int = 4
    """outputs that serve the internal loss alone"""
    eta0: float = 0.2
    """largest rate of a token"""
    max_norm: float = 1.0
    """norm of an update above which its rate is reduced; 0: never"""
    lr: float = 1e-3
    """learning rate of AdamW"""
    weight_decay: float = 1e-4
    """weight decay of AdamW"""
    clip_norm: float = 5.0
    """norm above which a gradient is scaled down"""

    task: ClassVar[str]
    stem: ClassVar[str]
    """how file names begin"""
    sizes: ClassVar[tuple[str, ...]]
    """options that say how many sequences: of the training of an epoch; of its evaluation, if it differs"""
    part: ClassVar[str] = ""
    """of a data set, which the evaluation is about"""

    def __post_init__(self) -> None:
        for name in ("seeds", "epochs", *self.sizes):
            if getattr(self, name) < 1:
                raise ValueError(f"--{name.replace('_', '-')} must be 1 or more, got {getattr(self, name)}")

    @abstractmethod
    def own(self) -> dict[str, Any]:
        """Settings of the task in a `PlasticConfig`."""

    @abstractmethod
    def published_task(self, config: PlasticConfig) -> dict[str, Any]:
        """Settings of the task as result files name them."""

    def config(self) -> PlasticConfig:
        """What is trained. Raises ValueError for settings that are not possible."""
        base = f"{self.task}_{self.rule if self.rule in PAPER_RULES else 'hebbian'}"
        dropout = PRESETS[self.preset]["dropout"] if self.dropout is None else self.dropout
        return family_config(
            base if self.preset == "sound" else f"published_{base}", rule=self.rule, width=self.model_dim,
            heads=self.num_heads, layers=self.num_layers, feedforward=self.ffn_dim, dropout=dropout,
            auxiliary=self.aux_dim, eta0=self.eta0, max_norm=self.max_norm, learning_rate=self.lr,
            weight_decay=self.weight_decay, clip_norm=self.clip_norm,
            updates=self.epochs * self._sizes()[0], **self.own(),
        )  # fmt: skip

    def run(self) -> int:
        """Train, tell each epoch, and write the result file."""
        config, device, path = self.config(), _found(self.device), self._writable()
        seeds, sizes = [self.base_seed + k for k in range(self.seeds)], self._sizes()
        found = histories(
            config, seeds, epochs=self.epochs, sequences=sizes[0], validation=sizes[-1], part=self.part,
            device=device, checkpoint=self.checkpoint, tell=self._tell,
        )  # fmt: skip
        runs = [{"seed": seed, "history": each} for seed, each in zip(seeds, found, strict=True)]
        write_result(path, self._described(config, device), runs, environment(device))
        summed = aggregate([each[-1] for each in found])
        shown = (f"{key} {summed[f'{key}_mean']:.4g}" for key in _SHOWN if f"{key}_mean" in summed)
        return say(f"wrote {path}: {', '.join(shown)}")

    def _sizes(self) -> list[int]:
        return [getattr(self, name) for name in self.sizes]

    def _tell(self, epoch: int, metrics: Mapping[str, np.ndarray]) -> None:
        shown = (f"{key} {metrics[key].mean():.4g}" for key in ("train_loss", *_SHOWN) if key in metrics)
        say(f"epoch {epoch} of {self.epochs}: {', '.join(shown)}")

    def _writable(self) -> Path:
        """The result file. Raises `CannotWrite` where there can be none, before anything is trained."""
        preset = "" if self.preset == "published" else f"_{self.preset}"
        name = f"{self.file_stem()}_rule-{self.rule}{preset}.json"
        path = self.output_path or paths.results() / "plastic" / name
        if path.is_dir():
            raise UsageError(f"--output-path {path} is a folder: name a file in it")
        with writing(path):
            path.parent.mkdir(parents=True, exist_ok=True)
            tempfile.TemporaryFile(dir=path.parent).close()
        return path

    def file_stem(self) -> str:
        """How the name of the result file begins, as published."""
        return self.stem

    def _described(self, config: PlasticConfig, device: str) -> dict[str, Any]:
        """`config` of a result file: the published settings, the others of theirs, and all of ours."""
        model = {
            "rule": self.rule, "model_dim": self.model_dim, "num_heads": self.num_heads,
            "num_layers": self.num_layers, "ffn_dim": self.ffn_dim, "aux_dim": self.aux_dim,
            "eta0": self.eta0, "max_norm": self.max_norm, "dropout": config.dropout, "alpha": config.alpha,
            "alpha_start": config.alpha_start, "preset": self.preset,
        }  # fmt: skip
        task = self.published_task(config) | {"device": device}
        training = {name: getattr(self, name) for name in ("epochs", "lr", "weight_decay", "clip_norm")}
        training |= {"batch": config.batch, "loss": config.loss, "observed_every": OBSERVED}
        return {"model": model, "task": task, "training": training, "settings": asdict(config)}


@dataclass(frozen=True)
class _RunSequences(Run):
    """Tasks whose sequences are drawn anew each time."""

    dataset_size: int = 500
    """updates of an epoch, and fresh sequences for the evaluation after it"""

    sizes = ("dataset_size",)

    def _described(self, config: PlasticConfig, device: str) -> dict[str, Any]:
        found = super()._described(config, device)
        found["task"]["dataset_size"] = self.dataset_size
        return found


@dataclass(frozen=True)
class RunCopying(_RunSequences):
    """Train on copying symbols after a delay, and write a result file.

    Example: wm plastic run copying --rule gradient --delay 20 --seeds 3
    """

    epochs: int = 5
    """rounds of training, each with an evaluation after it"""
    seq_length: int = 5
    """symbols to be copied"""
    delay: int = 5
    """blanks before they are asked for"""
    vocab_size: int = 10
    """symbols, with the blank and the delimiter"""
    log_interval: int = 50
    """kept in the result file, as in published ones; every epoch is told"""

    task = "copying"

    def own(self) -> dict[str, Any]:
        """Items, delay and vocabulary."""
        items = self.seq_length
        return {"items": items, "queries": items, "delay": self.delay, "symbols": self.vocab_size}

    def published_task(self, config: PlasticConfig) -> dict[str, Any]:
        """seq_length, delay, vocab_size."""
        return {"seq_length": self.seq_length, "delay": self.delay, "vocab_size": self.vocab_size}

    def file_stem(self) -> str:
        """copy_delay20, with its delay."""
        return f"copy_delay{self.delay}"

    def _described(self, config: PlasticConfig, device: str) -> dict[str, Any]:
        found = super()._described(config, device)
        found["training"]["log_interval"] = self.log_interval
        return found


@dataclass(frozen=True)
class RunCueReward(_RunSequences):
    """Train on recalling the reward that came with a cue, and write a result file.

    Example: wm plastic run cue-reward --rule hebbian --num-pairs 8 --cue-dim 20 --seeds 3
    """

    num_pairs: int = 5
    """cues with their rewards in a sequence"""
    cue_dim: int = 10
    """different cues that there are"""

    task, stem = "cue_reward", "cue"

    def own(self) -> dict[str, Any]:
        """Pairs and cues."""
        return {"items": self.num_pairs, "queries": self.num_pairs, "symbols": self.cue_dim}

    def published_task(self, config: PlasticConfig) -> dict[str, Any]:
        """num_pairs, cue_dim, reward_range, and whether cues are asked for in random order."""
        found = {"num_pairs": self.num_pairs, "cue_dim": self.cue_dim, "reward_range": [0.0, 1.0]}
        return found | {"shuffled": config.shuffled}


@dataclass(frozen=True)
class RunRegression(_RunSequences):
    """Train on linear functions to be guessed from examples, and write a result file.

    Example: wm plastic run regression --rule none --seeds 3
    """

    rule: str = "gradient"
    """none, hebbian, gradient, oja or delta"""
    input_dim: int = 3
    """arguments of a function"""
    k_support: int = 10
    """examples"""
    k_query: int = 10
    """points that are asked for"""

    task, stem = "regression", "regression"

    def own(self) -> dict[str, Any]:
        """Examples, queries and arguments."""
        return {"items": self.k_support, "queries": self.k_query, "dimension": self.input_dim}

    def published_task(self, config: PlasticConfig) -> dict[str, Any]:
        """input_dim, k_support, k_query, and the standard deviations of weights and bias."""
        found = {"input_dim": self.input_dim, "k_support": self.k_support, "k_query": self.k_query}
        return found | {"weight_scale": 1.0, "bias_scale": 1.0}


def _found(device: str) -> str:
    """The device that is meant. Raises `UsageError` for one that is not here."""
    there = {
        "cuda": torch.cuda.is_available(), "mps": torch.backends.mps.is_available(), "cpu": True,
    }  # fmt: skip
    if device == "auto":
        return next(name for name, found in there.items() if found)
    if not there[device]:
        raise UsageError(f"--device {device}: none is found here; use auto or cpu")
    return device
