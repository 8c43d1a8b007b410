"""The families of networks that tell drawings apart from a few labelled ones."""

from __future__ import annotations

__all__ = ["drawings"]

from ..catalogue import PAPER_RULES, PRESETS, RECURRENT, Family
from ..rules import RULES
from .pools import DATASETS

TITLES = {"emoji": "Emoji", "kanji": "Kanji", "omniglot": "Omniglot", "cifarfs": "CIFAR-FS"}
_TASK = {"task": "images", "ways": 5, "shots": 1, "queries": 5, "encoder": "prototypes"}
_END_TO_END = {"encoder": "conv4", "augmented": True}
_NOT_SHIPPED = {"omniglot": _END_TO_END | {"split": "groups"}, "cifarfs": _END_TO_END}
"""data sets for which no encoder is shipped: it is trained with the rest"""
_PUBLISHED = {
    "width": 256, "feedforward": 512, "weight_decay": 5e-4, "encoder": "conv4", "split": "shared",
    "loss": "answers", "augmented": False,
}  # fmt: skip
_AS_PUBLISHED = {
    "cifarfs": {"queries": 75, "updates": 400},
    "omniglot": {"split": "groups", "shots": 5, "queries": 75, "updates": 500},
    "emoji": {"queries": 25, "updates": 400},
    "kanji": {"split": "groups", "shots": 5, "queries": 25, "updates": 500},
}
"""episodes of the published networks, of Omniglot with other classes in the test; emoji stand for CIFAR-FS,
kanji for Omniglot, with fewer queries"""
WIDTHS = {"rnn": 256, "lstm": 128}
RECURRENT_SHIPPED = "rnn_emoji_hebbian"
"""a recurrent network is large: of the others, scores alone are kept"""


def drawings() -> dict[str, Family]:
    """<dataset>_<rule>, published_..., rnn_..., lstm_... and linear_attention_<dataset>, on each data set."""
    found = {}
    for dataset in DATASETS:
        settings, title = _TASK | {"dataset": dataset} | _NOT_SHIPPED.get(dataset, {}), TITLES[dataset]
        for rule in PAPER_RULES:
            said, own = f"{title}, {RULES[rule].title.lower()}", settings | {"rule": rule}
            shipped = int(dataset not in _NOT_SHIPPED)
            found[f"{dataset}_{rule}"] = Family(said, shipped=shipped, settings=own | PRESETS["sound"])
            published = PRESETS["published"] | _PUBLISHED | _AS_PUBLISHED[dataset]
            found[f"published_{dataset}_{rule}"] = Family(
                f"{said}, as published", shipped=0, settings=own | published
            )
            for body in RECURRENT:
                recurrent = {"body": body, "width": WIDTHS[body], "positions": False}
                name = f"{body}_{dataset}_{rule}"
                found[name] = Family(
                    f"{title}, {body.upper()}, {RULES[rule].title.lower()}",
                    shipped=int(name == RECURRENT_SHIPPED), settings=own | PRESETS["sound"] | recurrent,
                )  # fmt: skip
        other = settings | PRESETS["sound"] | {"rule": "none", "body": "linear_attention"}
        found[f"linear_attention_{dataset}"] = Family(f"{title}, linear attention", shipped=0, settings=other)
    return found
