"""Networks of the symbolic task: what each family is and its settings, by default those published."""

from __future__ import annotations

__all__ = [
    "FAMILIES",
    "MODELS",
    "PROCESSES",
    "PUBLISHED_OPTIONS",
    "Family",
    "SymbolicConfig",
    "config",
    "family_name",
]

from dataclasses import dataclass, field, replace

from ..settings import check_choices, check_numbers, check_whole
from ..text import nearest
from .lorenz import Recording
from .task import Cycle, Scrambled

MODELS = ("transformer", "gru", "mlp")
PROCESSES = ("cycle", "scrambled", "lorenz")
STARTS = ("own", "jax")


@dataclass(frozen=True)
class SymbolicConfig:
    """Everything that defines one trained network, except its seed."""

    family: str = "cycle"
    """see `wm.symbolic.FAMILIES`"""
    model: str = "transformer"
    """transformer, gru, or mlp (which sees the last `context` symbols side by side)"""
    process: str = "cycle"
    """cycle; scrambled: the same symbols in an order that holds nothing; lorenz"""
    symbols: int = 3
    """number of symbols"""
    holding: tuple[int, ...] = (6,)
    """times for which a symbol is held, all equally likely"""
    context: int = 10
    """symbols that a network sees at once"""
    layers: int = 1
    """attention layers"""
    heads: int = 9
    """attention heads of a layer"""
    d_model: int = 72
    """width of the residual stream; units of a gru or of a layer of an mlp"""
    mlp: int = 0
    """width of the MLP after attention in units of d_model; 0: none"""
    norm: bool = False
    """a layer norm before attention and before the MLP"""
    tied: bool = True
    """the read-out of a transformer is its transposed token embedding"""
    start: str = "own"
    """first weights: own, from streams named by the seed; jax: of the key `seed`, as the published script"""
    learning_rate: float = 1e-4
    """of AdamW"""
    weight_decay: float = 1e-3
    """of AdamW"""
    decay: float = 0.0
    """share of the updates, at the end, in which the learning rate falls to 0"""
    batch: int = 0
    """windows of a batch; 0: all that the process can show, each with its probability"""
    updates: int = 10001
    """training batches"""

    def __post_init__(self) -> None:
        check_choices(self, {"family": FAMILIES, "model": MODELS, "process": PROCESSES, "start": STARTS})
        check_whole(self, dict.fromkeys(("context", "layers", "heads", "d_model"), 1))
        check_numbers(
            self, ("updates", "mlp", "batch", "learning_rate", "weight_decay"), "0 or more and finite"
        )
        check_numbers(self, ("decay",), "from 0 to 1")
        if self.start == "jax" and (self.model != "transformer" or self.mlp or self.norm or not self.tied):
            raise ValueError("start jax is that of a published transformer: no MLP, no norm, tied")
        Cycle(self.symbols, self.holding)  # refuses what is no cycle

    def cycle(self) -> Cycle:
        """The cycle that a network of this configuration should know; ValueError for Lorenz networks."""
        if self.process == "lorenz":
            raise ValueError(
                f"{self.family} networks learn Lorenz symbols: there is no cycle to compare with"
            )
        return Cycle(self.symbols, self.holding)

    def source(self, part: str = "train") -> Cycle | Scrambled | Recording:
        """What sequences are drawn from; part: of the Lorenz recording, which alone has parts."""
        if self.process == "lorenz":
            return Recording(part)
        return Scrambled(self.symbols) if self.process == "scrambled" else self.cycle()


@dataclass(frozen=True)
class Family:
    """A kind of network: title in figures, published name if any, number trained, settings.

    All are shipped, but of `scrambled` and `lorenz`, which figures need in tables, the first alone.
    """

    title: str
    alias: str = ""
    shipped: int = 6
    settings: dict = field(default_factory=dict)


FAMILIES = {
    "cycle": Family("Transformer", "SimpleTransformer", 8),
    "sampled": Family("Transformer, batches of 128", shipped=7, settings={"batch": 128, "start": "jax"}),
    "jitter": Family("Transformer, jittered holding times", settings={"holding": (5, 6, 7), "updates": 6000}),
    "scrambled": Family(
        "Transformer, scrambled symbols", settings={"process": "scrambled", "batch": 128, "updates": 2000}
    ),
    "gru": Family("GRU", settings={"model": "gru", "d_model": 32, "learning_rate": 1e-3, "updates": 5000}),
    "mlp": Family(
        "MLP on the window", settings={"model": "mlp", "d_model": 64, "learning_rate": 1e-3, "updates": 5000}
    ),
    "lorenz": Family(
        "Transformer, Lorenz symbols",
        "Transformer",
        settings={
            "process": "lorenz", "context": 64, "layers": 2, "heads": 4, "d_model": 64, "mlp": 4,
            "norm": True, "tied": False, "learning_rate": 3e-3, "decay": 0.5, "batch": 16, "updates": 6000,
        },
    ),
}  # fmt: skip
"""name -> family; `sampled` is trained as published, `sampled-00` from the first weights of the published
network. With random batches the weights follow the chances of each batch, and the loss stays 0.001 nats
above the floor: the other cycles are trained on all windows"""

PUBLISHED_OPTIONS = {
    "symbols": ("--token-dimension",), "holding": ("--holding-time",), "context": ("--block-size",),
    "layers": ("--num-layers",), "heads": ("--num-heads",),
}  # fmt: skip
"""field -> published spellings of its option"""


def family_name(name: str) -> str:
    """Name of a family from its name or published name; ValueError with the nearest names."""
    own = {family.alias: key for key, family in FAMILIES.items() if family.alias} | {
        key: key for key in FAMILIES
    }
    if name not in own:
        raise ValueError(f"unknown family {name!r}: {nearest(name, FAMILIES)}")
    return own[name]


def config(family: str = "cycle", **changes) -> SymbolicConfig:
    """Settings of a family, with changes: `config("cycle", holding=(4,))`; ValueError for wrong ones."""
    name = family_name(family)
    return replace(SymbolicConfig(name, **FAMILIES[name].settings), **changes)
