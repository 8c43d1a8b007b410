"""Plastic networks: everything that defines one, and the settings of each family (`wm.plastic.catalogue`)."""

from __future__ import annotations

__all__ = [
    "BODIES", "FAMILIES", "PAPER_RULES", "PRESETS", "PUBLISHED_OPTIONS", "PUBLISHED_UPDATES", "RECURRENT",
    "RECURRENT_TASKS", "TASKS", "WHOLE", "WHOLE_TASKS", "WRITING_RULES", "Family", "PlasticConfig", "config",
    "family_name", "make_task",
]  # fmt: skip

from dataclasses import dataclass, replace

from ..settings import check_choices, check_numbers, check_whole
from ..text import nearest
from .catalogue import (
    BODIES,
    PAPER_RULES,
    PRESETS,
    PUBLISHED_UPDATES,
    RECURRENT,
    RECURRENT_TASKS,
    TASKS,
    WHOLE,
    WHOLE_TASKS,
    WRITING_RULES,
    Family,
    catalogue,
)
from .fewshot.catalogue import drawings
from .fewshot.task import DATASETS, ENCODERS, SPLITS, Classification
from .rules import RULES
from .tasks import (
    ContinuousCopying,
    Copying,
    CueReward,
    NoisyCueReward,
    NoisyRegression,
    Regression,
)

ALPHAS = ("scalar", "low_rank", "full")
STARTS = ("fixed", "ones", "minus_ones", "random")
LOSSES = ("answers", "all")
BLOCKS = ("all", "last")
IMAGES = "images"
"""the task of `wm.plastic.fewshot`"""


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
    """cues are asked for in random order, not in that of presentation; drawings come in random order, not
    class by class"""
    dataset: str = "emoji"
    """drawings to be told apart: emoji, kanji; omniglot, cifarfs, which you must have"""
    split: str = "random"
    """classes for training and test: random; groups, whole groups of classes apart; shared, the same classes
    in other drawings, as published"""
    ways: int = 5
    """classes of an episode"""
    shots: int = 1
    """labelled drawings of each class"""
    encoder: str = "none"
    """what makes numbers of drawings: prototypes, a convolutional network trained beforehand on the training
    classes; conv4, one that is trained with the rest; none, their pixels"""
    augmented: bool = False
    """drawings are shifted, and coloured ones mirrored, in training (conv4)"""
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
    plastic_blocks: str = "all"
    """blocks of a transformer that are plastic: all, or the last"""
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
        check_choices(self, {
            "family": FAMILIES, "task": (*TASKS, IMAGES), "body": BODIES, "rule": RULES, "alpha": ALPHAS,
            "alpha_start": STARTS, "loss": LOSSES, "plastic_blocks": BLOCKS, "dataset": DATASETS,
            "split": SPLITS, "encoder": ENCODERS,
        })  # fmt: skip
        counts = dict.fromkeys(("width", "layers", "heads", "feedforward", "batch", "dimension"), 1)
        check_whole(self, counts | dict.fromkeys(("updates", "window", "auxiliary"), 0))
        check_numbers(
            self, ("learning_rate", "weight_decay", "max_norm", "clip_norm"), "0 or more and finite"
        )
        check_numbers(self, ("dropout", "eta0"), "from 0 to below 1")
        check_numbers(self, ("decay",), "from 0 to 1")
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
        if self.body != "transformer" and self.plastic_blocks != "all":
            raise ValueError("only a transformer has blocks: use --plastic-blocks all")
        if (self.encoder != "none") and self.task != IMAGES:
            raise ValueError(f"only the task {IMAGES} has drawings to encode: use --encoder none")
        if self.alpha_start == "fixed" and self.alpha != "scalar":
            raise ValueError("fixed learning rates are one for all: add --alpha scalar")

    @property
    def preset(self) -> str:
        """The preset, published or sound, whose settings it has all; else own.

        Recurrent networks tell positions by themselves, and answer every token of Duan's tasks; drawings are
        named where they are asked for, in both presets.
        """
        free = ("positions", "loss") if self.body in RECURRENT else ("loss",) if self.task == IMAGES else ()
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
    if task == IMAGES:
        return Classification(
            config.dataset, config.split, config.ways, config.shots, config.queries,
            encoder=config.encoder, shuffled=config.shuffled, augmented=config.augmented,
        )  # fmt: skip
    hidden = 2 if task == "regression_mlp" else 0
    return NoisyRegression(items, config.queries, config.dimension, config.noise, hidden)


FAMILIES = catalogue() | drawings()
"""name -> family: <task>_<rule>, sound; published_..., as published; windowed_..., attention of a few tokens;
rnn_..., lstm_..., recurrent; linear_attention_..., delta_net_..., other attention, not plastic; with a data
set for the task, those of `wm.plastic.fewshot`"""

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
