"""The families of plastic networks, one by one: names, titles, settings; two presets.

`published` is the transformer study as its code runs (Chaudhary 2025, arXiv 2510.21908): updates without
gradients, so that learning rates of synapses stay at .02; a clip that shrinks the decay, too; no positions;
one sequence an update. `sound` learns everything through the updates, as Duan et al. (ICLR 2023, arXiv
2302.03235) do in recurrent networks, knows positions, and counts answers only.
"""

from __future__ import annotations

__all__ = [
    "BODIES", "PAPER_RULES", "PRESETS", "PUBLISHED_UPDATES", "RECURRENT", "RECURRENT_TASKS", "TASKS", "WHOLE",
    "WHOLE_TASKS", "WRITING_RULES", "Family", "catalogue",
]  # fmt: skip

from dataclasses import dataclass, field

from .rules import RULES

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
WHOLE_TASKS = (*PUBLISHED_UPDATES, "cue_reward_noisy")
"""tasks of other attention: those of the transformer study, and one of the recurrent one"""

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
    """Duan's networks with their sizes: without learning rates to learn, 1.5 times as many units.

    They have a learning rate for every synapse and are large: scores alone are kept.
    """
    width = {"rnn": 256, "lstm": 128}[body] * (3 if rule == "none" else 2) // 2
    loss = "answers" if task == "copying_continuous" else "all"
    own = {"body": body, "rule": rule, "task": task, "width": width, "alpha": "full", "loss": loss}
    own |= {"updates": 2500 if task == "copying_continuous" else 5000}
    return _TASK_SETTINGS[task] | _DUAN.get(task, {}) | PRESETS["sound"] | {"positions": False} | own


def catalogue() -> dict[str, Family]:
    """Families of sequences, name -> family (see `wm.plastic.FAMILIES`)."""
    found = {}
    for rule in PAPER_RULES:
        found |= _of_tasks(rule) | _windowed(rule) | _all_recurrent(rule)
    return found | _of_whole()


def _of_tasks(rule: str) -> dict[str, Family]:
    """Transformers of a rule on every task, sound and as published."""
    found = {}
    for task, title in TASKS.items():
        name, settings = f"{task}_{rule}", _TASK_SETTINGS[task] | {"task": task, "rule": rule}
        said = f"{title}, {RULES[rule].title.lower()}"
        shipped = int(task == "copying" or rule != "none")  # of others that write nothing, scores alone
        found[name] = Family(said, shipped=shipped, settings=settings | PRESETS["sound"])
        updates = {"updates": PUBLISHED_UPDATES.get(task, 400)}
        found[f"published_{name}"] = Family(
            f"{said}, as published", shipped=int(task == "copying" and rule != "none"),
            settings=settings | PRESETS["published"] | _PUBLISHED_WIDTH | updates,
        )  # fmt: skip
    return found


def _windowed(rule: str) -> dict[str, Family]:
    settings = _TASK_SETTINGS["copying"] | PRESETS["sound"] | {"task": "copying", "rule": rule}
    settings |= {"window": WINDOW, "updates": 2000}
    said = f"Copying in a window, {RULES[rule].title.lower()}"
    return {f"windowed_copying_{rule}": Family(said, settings=settings)}


def _all_recurrent(rule: str) -> dict[str, Family]:
    found = {}
    for body in RECURRENT:
        for task in RECURRENT_TASKS:
            said = f"{TASKS[task]}, {body.upper()}, {RULES[rule].title.lower()}"
            found[f"{body}_{task}_{rule}"] = Family(said, shipped=0, settings=_recurrent(body, task, rule))
    return found


def _of_whole() -> dict[str, Family]:
    """Other attention, not plastic."""
    found = {}
    for body, said in zip(WHOLE, ("linear attention", "delta network"), strict=True):
        for task in WHOLE_TASKS:
            settings = _TASK_SETTINGS[task] | {"task": task, "rule": "none", "body": body} | PRESETS["sound"]
            found[f"{body}_{task}"] = Family(f"{TASKS[task]}, {said}", shipped=0, settings=settings)
    return found
