"""The families of N-back networks, one by one: names, titles, settings.

A diet is what a network is trained on: `mtmf` all nine tasks, `stmf` one lag with all three features, `stsf`
one lag and one feature (single or multi task, single or multi feature: Lei, Ito & Bashivan 2024, arXiv
2411.02685).
"""

from __future__ import annotations

__all__ = [
    "ARCHITECTURES", "ATTENTIONS", "BACKBONES", "POOLS", "PRESETS", "SPLITS", "UNITS", "Family", "catalogue",
]  # fmt: skip

from dataclasses import dataclass, field

from .task import FEATURES, LAGS

UNITS = {"rnn": 512, "gru": 256, "lstm": 256}
"""architecture -> units, as published: about as many parameters and as good performance"""
ARCHITECTURES = tuple(UNITS)
ATTENTIONS = ("none", "spatial", "task_only", "dual")
BACKBONES = {"efficientnet_lite0": 1280, "resnet50": 2048}
"""backbone -> channels of its last map"""
POOLS = {"grid2": 4, "gap": 1, "flatten": 49}
"""pool -> positions that are left of the map of 7 x 7, a square of them"""
PRESETS = ("rich", "published")
"""stimulus sets, those of `wm.nback.design`"""
SPLITS = ("trained", "novel_angle", "extrapolating", "novel_identity", "novel_both")
"""what is new in an image: nothing; the view, between trained ones; the view, beyond them; the object, from a
trained view; the object and its view"""

_TITLES = {"rnn": "RNN", "gru": "GRU", "lstm": "LSTM"}
_ALL = {"lags": LAGS, "features": FEATURES}
_ATTENDING = {
    "spatial": ("attention", "attention"),
    "task_only": ("task_only", "gates by task"),
    "dual": ("dual", "gates by task and image"),
}
"""attention -> how its families begin, and in words"""


@dataclass(frozen=True)
class Family:
    """A kind of network: title in figures, published name if any, number shipped, settings."""

    title: str
    alias: str = ""
    shipped: int = 0
    settings: dict = field(default_factory=dict)


def catalogue() -> dict[str, Family]:
    """Families by name (see `wm.nback.FAMILIES`)."""
    found = {}
    for architecture in ARCHITECTURES:
        found |= _of(architecture)
    return found


def _of(architecture: str) -> dict[str, Family]:
    title, units = _TITLES[architecture], UNITS[architecture]
    own = {"architecture": architecture, "units": units, "channels": units // POOLS["grid2"]}
    found = {f"{architecture}_mtmf": Family(f"{title}, nine tasks", architecture, 1, own | _ALL)}
    for lag in LAGS:
        settings = own | {"lags": (lag,), "features": FEATURES}
        found[f"{architecture}_stmf_{lag}"] = Family(f"{title}, {lag}-back", settings=settings)
    for lag in LAGS:
        for feature in FEATURES:
            settings = own | {"lags": (lag,), "features": (feature,)}
            name = f"{architecture}_stsf_{lag}_{feature}"
            found[name] = Family(f"{title}, {lag}-back {feature}", settings=settings)
    for kind, (name, what) in _ATTENDING.items():
        shipped = int(kind == "spatial" and architecture == "gru")
        found[f"{name}_{architecture}_mtmf"] = Family(
            f"{title} with {what}, nine tasks", f"{name}_{architecture}", shipped,
            settings=own | _ALL | {"attention": kind},
        )  # fmt: skip
    found[f"published_{architecture}_mtmf"] = Family(
        f"{title}, nine tasks, two objects a category", settings=own | _ALL | {"stimuli": "published"}
    )
    return found
