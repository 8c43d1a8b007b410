"""Plastic networks: what each family is and its settings, in two presets.

`published` is the transformer study as its code runs (Chaudhary 2025, arXiv 2510.21908): updates without
gradients, so that learning rates of synapses stay at .02; a clip that shrinks the decay, too; no positions;
one sequence an update. `sound` learns everything through the updates, as Duan et al. (ICLR 2023, arXiv
2302.03235) do in recurrent networks, knows positions, and counts answers only.
"""

from __future__ import annotations

__all__ = [
    "BODIES", "FAMILIES", "PAPER_RULES", "PRESETS", "PUBLISHED_OPTIONS", "PUBLISHED_UPDATES", "RECURRENT",
    "RECURRENT_TASKS", "TASKS", "WHOLE", "WRITING_RULES", "Family", "PlasticConfig", "config", "family_name",
    "make_task",
]  # fmt: skip

import math
from dataclasses import dataclass, field, replace

from ..text import nearest
from .rules import RULES
from .tasks import (
    ContinuousCopying,
    Copying,
    CueReward,
    NoisyCueReward,
    NoisyRegression,
    Regression,
)

TASKS = {
    "copying": "Copying",
    "copying_continuous": "Copying numbers",
    "cue_reward": "Cue and reward",
    "cue_reward_noisy": "Noisy cues and reward",
    "regression": "Regression",
    "regression_noisy": "Noisy regression",
    "regression_mlp": "Regression, two tanh units",
}
"""name -> title"""
RECURRENT = ("rnn", "lstm")
WHOLE = ("linear_attention", "delta_net")
BODIES = ("transformer", *WHOLE, *RECURRENT)
PAPER_RULES = ("none", "hebbian", "gradient")
WRITING_RULES = PAPER_RULES[1:]
PUBLISHED_UPDATES = {"copying": 100, "cue_reward": 400, "regression": 750}
"""task of the transformer study -> sequences that a published network was trained with"""
RECURRENT_TASKS = ("copying_continuous", "cue_reward_noisy", "regression_noisy")
"""tasks of the recurrent study"""
ALPHAS = ("scalar", "low_rank", "full")
STARTS = ("fixed", "ones", "minus_ones", "random")
LOSSES = ("answers", "all")


@dataclass(frozen=True)
class PlasticConfig:
    """Everything that defines one trained network, except its seed."""

    family: str = "copying_hebbian"
    """see `wm.plastic.FAMILIES`"""
    task: str = "copying"
    """see `wm.plastic.TASKS`"""
    items: int = 5
    """tokens to be held: symbols or numbers, pairs of cue and reward, examples of a function"""
    delay: int = 20
    """blank tokens before recall (copying)"""
    queries: int = 5
    """tokens that are answered (noisy cues, regression; else as many as items)"""
    symbols: int = 10
    """vocabulary of copying, with blank and delimiter; number of cues"""
    dimension: int = 1
    """numbers in a stimulus (noisy cues, regression)"""
    noise: float = 0.0
    """standard deviation of the noise on stimuli (noisy cues) or examples (noisy regression)"""
    shuffled: bool = True
    """cues are asked for in random order, not in that of presentation"""
    body: str = "transformer"
    """transformer; linear_attention, delta_net: with another attention, not plastic; rnn; lstm"""
    width: int = 64
    """units of the residual stream or of the recurrent layer"""
    layers: int = 2
    """blocks of a transformer"""
    heads: int = 4
    """attention heads of a block"""
    feedforward: int = 128
    """hidden units of the feed-forward layers"""
    window: int = 0
    """tokens that attention sees, its own included; 0: all so far"""
    positions: bool = True
    """whether inputs tell their position"""
    dropout: float = 0.0
    """share of units dropped in training"""
    auxiliary: int = 4
    """outputs that serve the internal loss alone"""
    rule: str = "hebbian"
    """see `wm.plastic.RULES`"""
    differentiated: bool = True
    """the task's loss is differentiated through the updates of fast weights; else what is written is
    constant, and learning rates of synapses, if learned, learn from how it is read alone"""
    alpha: str = "low_rank"
    """learning rates of synapses: scalar, one for a layer; low_rank, row times column; full"""
    alpha_start: str = "random"
    """fixed: .02 and never learned; ones; minus_ones; random: uniform between -1 and 1"""
    eta0: float = 0.2
    """largest rate of a token"""
    max_norm: float = 1.0
    """norm of an update above which its rate is reduced; 0: never"""
    clip_decay: bool = False
    """the clip reduces the decay, too"""
    modulated: bool = True
    """the network sets its rate token by token; else it is eta0 / 2"""
    loss: str = "answers"
    """tokens that count in the loss: answers, or all"""
    summed: bool = False
    """the loss is the sum over tokens, not their mean"""
    batch: int = 64
    """sequences of an update"""
    updates: int = 3000
    """updates of AdamW"""
    learning_rate: float = 1e-3
    """of AdamW"""
    weight_decay: float = 0.0
    """of AdamW"""
    clip_norm: float = 5.0
    """norm above which a gradient is scaled down"""
    decay: float = 0.25
    """share of the updates, at the end, in which the learning rate falls to 0"""

    def __post_init__(self) -> None:
        allowed = {
            "family": FAMILIES, "task": TASKS, "body": BODIES, "rule": RULES, "alpha": ALPHAS,
            "alpha_start": STARTS, "loss": LOSSES,
        }  # fmt: skip
        for name, known in allowed.items():
            if (given := getattr(self, name)) not in known:
                raise ValueError(f"unknown {name} {given!r}: {nearest(str(given), known)}")
        counts = dict.fromkeys(("width", "layers", "heads", "feedforward", "batch", "dimension"), 1)
        counts |= dict.fromkeys(("updates", "window", "auxiliary"), 0)
        for name, least in counts.items():
            if not isinstance(given := getattr(self, name), int) or given < least:
                raise ValueError(f"{name} must be a whole number of at least {least}, got {given}")
        for name in ("learning_rate", "weight_decay", "max_norm", "clip_norm"):
            if not 0 <= getattr(self, name) < math.inf:
                raise ValueError(f"{name} must be 0 or more and finite, got {getattr(self, name)}")
        for name in ("dropout", "eta0"):
            if not 0 <= getattr(self, name) < 1:
                raise ValueError(f"{name} must be from 0 to below 1, got {getattr(self, name)}")
        if not 0 <= self.decay <= 1:
            raise ValueError(f"decay is a share of the updates, from 0 to 1, got {self.decay}")
        self._check_network()
        make_task(self)  # refuses what is no task

    def _check_network(self) -> None:
        if self.body not in RECURRENT and self.width % self.heads:
            raise ValueError(f"width {self.width} is no multiple of {self.heads} heads")
        if RULES[self.rule].write and self.body in WHOLE:
            raise ValueError(f"{self.body} has no plastic layers: use --rule none, or --body transformer")
        if self.body != "transformer" and (self.window or self.dropout):
            raise ValueError("only a transformer has a window or dropout")
        if self.body in RECURRENT and self.positions:
            raise ValueError(f"an {self.body} tells positions by itself: use --no-positions")
        if self.alpha_start == "fixed" and self.alpha != "scalar":
            raise ValueError("fixed learning rates are one for all: add --alpha scalar")

    @property
    def preset(self) -> str:
        """The preset, published or sound, whose settings it has all; else own.

        Recurrent networks tell positions by themselves, and answer every token of Duan's tasks.
        """
        free = ("positions", "loss") if self.body in RECURRENT else ()
        for name, settings in PRESETS.items():
            if all(getattr(self, key) == value for key, value in settings.items() if key not in free):
                return name
        return "own"


def make_task(config: PlasticConfig):
    """The task of a configuration (see `wm.plastic.tasks`); ValueError for impossible settings."""
    task, items = config.task, config.items
    if task == "copying":
        return Copying(items, config.delay, config.symbols)
    if task == "copying_continuous":
        return ContinuousCopying(items, config.delay)
    if task == "cue_reward":
        return CueReward(items, config.symbols, config.shuffled)
    if task == "cue_reward_noisy":
        return NoisyCueReward(config.symbols, config.dimension, items, config.queries, config.noise)
    if task == "regression":
        return Regression(items, config.queries, config.dimension)
    hidden = 2 if task == "regression_mlp" else 0
    return NoisyRegression(items, config.queries, config.dimension, config.noise, hidden)


PRESETS: dict[str, dict] = {
    "published": {
        "positions": False, "differentiated": False, "alpha": "scalar", "alpha_start": "fixed",
        "clip_decay": True, "shuffled": False, "loss": "all", "summed": True, "batch": 1, "decay": 0.0,
        "dropout": 0.1,
    },
    "sound": {
        "positions": True, "differentiated": True, "clip_decay": False, "shuffled": True, "loss": "answers",
        "summed": False, "dropout": 0.0,
    },
}  # fmt: skip
"""name -> settings that make the preset"""

_TASK_SETTINGS = {
    "copying": {"items": 5, "delay": 20, "symbols": 10, "queries": 5},
    "copying_continuous": {"items": 5, "delay": 20, "queries": 5},
    "cue_reward": {"items": 8, "symbols": 20, "queries": 8},
    "cue_reward_noisy": {"items": 10, "symbols": 5, "queries": 10, "dimension": 14, "noise": 0.1},
    "regression": {"items": 10, "queries": 10, "dimension": 3},
    "regression_noisy": {"items": 20, "queries": 20, "dimension": 12, "noise": 0.1},
    "regression_mlp": {"items": 20, "queries": 20, "dimension": 6, "noise": 0.1},
}
_DUAN = {"copying_continuous": {"items": 20, "delay": 20, "queries": 20}}
"""what the recurrent study sets otherwise"""
_PUBLISHED_WIDTH = {"width": 128, "feedforward": 256, "weight_decay": 1e-4}
RECURRENT_SHIPPED = {("rnn", "cue_reward_noisy", "hebbian"), ("lstm", "cue_reward_noisy", "gradient")}
"""recurrent networks have a learning rate for every synapse and are large: of most, scores alone are kept"""
WINDOW = 5
"""tokens that attention sees in windowed networks: less than the delay"""


@dataclass(frozen=True)
class Family:
    """A kind of network: title in figures, published name if any, number shipped, settings."""

    title: str
    alias: str = ""
    shipped: int = 1
    settings: dict = field(default_factory=dict)


def _recurrent(body: str, task: str, rule: str) -> dict:
    """Duan's networks with their sizes: without learning rates to learn, half as many units more."""
    width = {"rnn": 256, "lstm": 128}[body] * (3 if rule == "none" else 2) // 2
    loss = "answers" if task == "copying_continuous" else "all"
    own = {"body": body, "rule": rule, "task": task, "width": width, "alpha": "full", "loss": loss}
    own |= {"updates": 5000}
    return _TASK_SETTINGS[task] | _DUAN.get(task, {}) | PRESETS["sound"] | {"positions": False} | own


def _families() -> dict[str, Family]:
    found = {}
    for rule in PAPER_RULES:
        for task, title in TASKS.items():
            name, settings = f"{task}_{rule}", _TASK_SETTINGS[task] | {"task": task, "rule": rule}
            said = f"{title}, {RULES[rule].title.lower()}"
            found[name] = Family(said, settings=settings | PRESETS["sound"])
            updates = {"updates": PUBLISHED_UPDATES.get(task, 400)}
            found[f"published_{name}"] = Family(
                f"{said}, as published", shipped=int(task == "copying" and rule != "none"),
                settings=settings | PRESETS["published"] | _PUBLISHED_WIDTH | updates,
            )  # fmt: skip
        name, windowed = f"windowed_copying_{rule}", {"task": "copying", "rule": rule, "window": WINDOW}
        windowed["updates"] = 2000
        found[name] = Family(
            f"Copying in a window, {RULES[rule].title.lower()}",
            settings=_TASK_SETTINGS["copying"] | PRESETS["sound"] | windowed,
        )
        for body in RECURRENT:
            for task in RECURRENT_TASKS:
                said = f"{TASKS[task]}, {body.upper()}, {RULES[rule].title.lower()}"
                shipped = int((body, task, rule) in RECURRENT_SHIPPED)
                found[f"{body}_{task}_{rule}"] = Family(
                    said, shipped=shipped, settings=_recurrent(body, task, rule)
                )
    for body, said in zip(WHOLE, ("linear attention", "delta network"), strict=True):
        for task in PUBLISHED_UPDATES:
            settings = _TASK_SETTINGS[task] | {"task": task, "rule": "none", "body": body} | PRESETS["sound"]
            found[f"{body}_{task}"] = Family(f"{TASKS[task]}, {said}", shipped=0, settings=settings)
    return found


FAMILIES = _families()
"""name -> family: <task>_<rule>, sound; published_..., as published; windowed_..., attention of a few tokens;
rnn_..., lstm_..., recurrent; linear_attention_..., delta_net_..., other attention, not plastic"""

PUBLISHED_OPTIONS = {
    "items": ("--seq-length", "--num-pairs", "--k-support"), "queries": ("--k-query",),
    "symbols": ("--vocab-size", "--cue-dim"), "dimension": ("--input-dim",), "width": ("--model-dim",),
    "heads": ("--num-heads",), "layers": ("--num-layers",), "feedforward": ("--ffn-dim",),
    "auxiliary": ("--aux-dim",), "learning_rate": ("--lr",),
}  # fmt: skip
"""field -> published spellings of its option"""


def family_name(name: str) -> str:
    """Name of a family; ValueError with the nearest names for an unknown one."""
    if name not in FAMILIES:
        raise ValueError(f"unknown family {name!r}: {nearest(name, FAMILIES)}")
    return name


def config(family: str = "copying_hebbian", **changes) -> PlasticConfig:
    """Settings of a family, with changes: `config("copying_none", delay=40)`; ValueError for wrong ones."""
    name = family_name(family)
    return replace(PlasticConfig(name, **FAMILIES[name].settings), **changes)
