"""Settings files of the published re-make of the N-back networks, understood key by key.

    found = read_published("configs/mtmf.yaml")
    config(**found.changes)                          # our settings
    found.unused                                     # key -> why it has no meaning here
    found.assumed                                    # what the file does not say, and how it was taken

What such a file leaves out stays as our family has it, but for what the re-make always does, which is told.
Nothing is passed over in silence: a key that nobody knows, or a value that would make another network than
ours, is an error.
"""

from __future__ import annotations

__all__ = ["Published", "published_changes", "read_published"]

import math
from collections import Counter
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any, NamedTuple

import yaml

from ..files import parsing
from ..text import nearest
from .families import FAMILIES, config
from .task import FEATURES, LAGS, tasks_of

_AGAIN = "name a YAML file of `key: value` lines"
_MODELS = ("attention", *(f"{kind}{cell}" for kind in ("", "attention_") for cell in ("rnn", "gru", "lstm")))
_SCENARIOS = {"STSF": (False, False), "STMF": (False, True), "MTMF": (True, True)}
"""several lags, several features"""
_EVALUATED = "networks are validated and tested on the same trials, whatever their training"
_EMBEDDED = "each image is embedded once, so that nothing is loaded while training"
_DRAWN = "training trials are always drawn anew, those of validation and test always the same"
_STATES = "states and figures are made from the saved network: `wm states nback`"
_UNUSED = {
    "experiment_name": "networks are named by family and seed",
    "num_val": _EVALUATED,
    "num_val_novel_angle": _EVALUATED,
    "num_val_novel_identity": _EVALUATED,
    "num_test": _EVALUATED,
    "num_workers": _EMBEDDED,
    "capture_exact_layer42_relu": "features are always those after the last ReLU of the backbone",
    "attention_dropout": "attention has no dropout",
    "gamma": "the learning rate does not fall in steps, but linearly to 0, from the first milestone on",
    "save_hidden": _STATES,
    "save_visualizations": _STATES,
    "num_visualizations": _STATES,
    "cache_train_sequences": _DRAWN,
    "cache_val_sequences": _DRAWN,
}
_FIXED = {
    "use_real_stimuli": (True, "objects are real; `wm nback objects placeholder` makes others"),
    "pretrained_backbone": (True, "the backbone is always pretrained: random features are no substitute"),
    "classifier_layers": ([], "the answer is a linear function of the recurrent units"),
}
"""key -> the value that it has here, and why"""
_ASSUMED = {
    "channels": "0, as many as units: no file tells, and the re-make's 1 x 1 convolution leaves so many",
    "pool": "grid2: no file tells. The re-make takes the mean of the whole map, which keeps "
    "little of the location; --pool gap does that",
}


class Published(NamedTuple):
    """What a settings file says."""

    changes: dict[str, Any]
    """fields of `NBackConfig`, for `wm.nback.config`"""
    unused: dict[str, str]
    """keys that have no meaning here -> why"""
    assumed: dict[str, str]
    """fields of `NBackConfig` that the file does not tell -> how they were taken, and why"""


def read_published(path: str | Path) -> Published:
    """Read a settings file of the published re-make.

    Raises `wm.files.DamagedFile` for what is missing or no YAML mapping, and ValueError as
    `published_changes` does, or for a key that is there twice.
    """
    with parsing(path, again=_AGAIN):
        text = Path(path).read_text("utf-8")
        settings = yaml.safe_load(text)
        if not isinstance(settings, dict):
            raise TypeError("no mapping")
        keys = Counter(key.value for key, _ in yaml.compose(text, yaml.SafeLoader).value)
    twice = [key for key, times in keys.items() if times > 1]
    if twice:
        raise ValueError(f"{path}: {twice[0]} is there {keys[twice[0]]} times: keep one")
    try:
        return published_changes(settings)
    except ValueError as error:
        raise ValueError(f"{path}: {error}") from error


def published_changes(settings: Mapping[str, Any]) -> Published:
    """Published settings by key as changes of ours, `family` among them.

    Updates are epochs times batches of an epoch. The learning rate falls from the first milestone on. Without
    mask_trivial_steps all steps count alike, and in files older than both keys, too. The 1 x 1 convolution
    leaves as many channels as units. Raises ValueError for unknown keys (with the nearest), values of
    another kind, contradictions, and settings that our networks cannot have.
    """
    known = {*_READ, *_UNUSED, *_FIXED, *_TOGETHER}
    for key in settings:
        if key not in known:
            raise ValueError(f"unknown key {key!r}: {nearest(str(key), sorted(known))}")
    unused = {key: _UNUSED[key] for key in settings if key in _UNUSED}
    for key, (value, why) in _FIXED.items():
        if key in settings:
            if (settings[key] or type(value)()) != value:
                raise ValueError(f"{key}: {settings[key]!r} cannot be had: {why}")
            unused[key] = why
    changes = {}
    for key in settings:
        if key in _READ:
            name, kind = _READ[key]
            changes[name] = kind(key, settings[key])
    assumed = dict(_ASSUMED)
    changes |= _model(settings) | _schedule(settings) | _weights(settings, unused, assumed) | {"channels": 0}
    _check_attention(settings, changes, unused)
    _drop_dropout(changes, unused)
    changes = {"family": _family(settings, changes)} | changes
    config(**changes)
    return Published(changes, unused, assumed)


def _whole(key: str, value: Any) -> int:
    if isinstance(value, bool) or not isinstance(value, int):
        raise ValueError(f"{key} must be a whole number, got {value!r}")
    return value


def _number(key: str, value: Any) -> float:
    """A number; 3e-5 is text to YAML, which asks for a dot."""
    try:
        found = math.nan if isinstance(value, bool) else float(value)
    except (TypeError, ValueError):
        found = math.nan
    if not math.isfinite(found):
        raise ValueError(f"{key} must be a number, got {value!r}")
    return found


def _clip(key: str, value: Any) -> float:
    return _number(key, value) if value else 0.0


def _truth(key: str, value: Any) -> bool:
    if not isinstance(value, bool):
        raise ValueError(f"{key} must be true or false, got {value!r}")
    return value


def _several(key: str, value: Any) -> tuple[Any, ...]:
    if not isinstance(value, list) or not value:
        raise ValueError(f"{key} must be a list of one or more, got {value!r}")
    return tuple(value)


def _wholes(key: str, value: Any) -> tuple[int, ...]:
    return tuple(_whole(key, each) for each in _several(key, value))


def _features(key: str, value: Any) -> tuple[str, ...]:
    return tuple(_one_of({key: each}, key, FEATURES, "") for each in _several(key, value))


_READ: dict[str, tuple[str, Callable[[str, Any], Any]]] = {
    "n_values": ("lags", _wholes),
    "task_features": ("features", _features),
    "sequence_length": ("length", _whole),
    "batch_size": ("batch", _whole),
    "match_probability": ("match_probability", _number),
    "hidden_size": ("units", _whole),
    "num_layers": ("layers", _whole),
    "dropout": ("dropout", _number),
    "freeze_backbone": ("freeze_backbone", _truth),
    "lr": ("learning_rate", _number),
    "weight_decay": ("weight_decay", _number),
    "grad_clip": ("clip_norm", _clip),
    "label_smoothing": ("label_smoothing", _number),
    "no_action_loss_weight": ("no_action_weight", _number),
}
"""key -> our field, and what its value is"""
_TOGETHER = (
    "scenario", "rnn_type", "model_type", "attention_mode", "attention_hidden_dim", "epochs", "num_train",
    "milestones", "mask_trivial_steps",
)  # fmt: skip
"""keys that mean something only with others"""


def _one_of(settings: Mapping[str, Any], key: str, known: tuple[str, ...], otherwise: str) -> str:
    value = settings.get(key, otherwise)
    if value not in known:
        raise ValueError(f"{key}: {value!r} is not known: {nearest(str(value), known)}")
    return value


def _model(settings: Mapping[str, Any]) -> dict[str, Any]:
    """Architecture and attention; a model called attention_<cell> attends to positions, `attention` gates."""
    cell = _one_of(settings, "rnn_type", ("rnn", "gru", "lstm"), "gru")
    model = _one_of(settings, "model_type", _MODELS, cell)
    kind, _, named = model.rpartition("_")
    if model == "attention":
        kind, named = "gated", cell
    if "rnn_type" in settings and named != cell:
        raise ValueError(f"model_type {model} and rnn_type {cell} contradict each other: keep one")
    if kind != "gated":
        if "attention_mode" in settings:
            raise ValueError(f"attention_mode needs model_type attention, which is {model}: leave it out")
        return {"architecture": named, "attention": "spatial" if kind else "none"}
    mode = _one_of(settings, "attention_mode", ("task_only", "dual"), "task_only")
    return {"architecture": named, "attention": mode}


def _schedule(settings: Mapping[str, Any]) -> dict[str, Any]:
    """Updates, and the share of them in which the learning rate falls."""
    given = [key for key in ("epochs", "num_train", "milestones") if key in settings]
    missing = [key for key in ("epochs", "num_train", "batch_size") if given and key not in settings]
    if missing:
        raise ValueError(f"{given[0]} tells nothing without {' and '.join(missing)}: add it")
    if not given:
        return {}
    epochs, trials, batch = (_whole(key, settings[key]) for key in ("epochs", "num_train", "batch_size"))
    if min(epochs, trials, batch) < 1:
        raise ValueError(
            f"epochs, num_train and batch_size must be 1 or more, got {epochs}, {trials}, {batch}"
        )
    found: dict[str, Any] = {"updates": epochs * math.ceil(trials / batch)}
    if "milestones" in settings:
        found["decay"] = max(0.0, 1 - _first_fall(settings, epochs) / epochs)
    return found


def _first_fall(settings: Mapping[str, Any], epochs: int) -> int:
    """The first milestone; the end, if there is none or the learning rate stays the same there."""
    if not settings["milestones"] or _number("gamma", settings.get("gamma", 0.1)) == 1:
        return epochs
    return min(_wholes("milestones", settings["milestones"]))


def _weights(
    settings: Mapping[str, Any], unused: dict[str, str], assumed: dict[str, str]
) -> dict[str, float]:
    """What steps without a comparison weigh in the loss."""
    weighted = "no_action_loss_weight" in settings
    if not _truth("mask_trivial_steps", settings.get("mask_trivial_steps", True)):
        if weighted:
            unused["no_action_loss_weight"] = "without mask_trivial_steps all steps count alike"
        return {"no_action_weight": 1.0}
    if weighted:
        return {}
    if "mask_trivial_steps" in settings:
        assumed["no_action_weight"] = "0.1, as files that have no_action_loss_weight have it"
        return {"no_action_weight": 0.1}
    assumed["no_action_weight"] = "1: before there was no_action_loss_weight, all steps counted alike"
    return {"no_action_weight": 1.0}


def _drop_dropout(changes: dict[str, Any], unused: dict[str, str]) -> None:
    if changes.get("dropout") and changes.get("layers", 1) == 1:
        del changes["dropout"]
        unused["dropout"] = "dropout is between recurrent layers, of which there is only one"


def _check_attention(settings: Mapping[str, Any], changes: Mapping[str, Any], unused: dict[str, str]) -> None:
    if "attention_hidden_dim" not in settings:
        return
    wide = _whole("attention_hidden_dim", settings["attention_hidden_dim"])
    if changes["attention"] != "none" and wide != changes.get("units", wide):
        raise ValueError(
            f"attention has as many units as the rest: attention_hidden_dim must be {changes['units']}, "
            f"got {wide}"
        )
    unused["attention_hidden_dim"] = "attention has as many units as the rest"


def _family(settings: Mapping[str, Any], changes: Mapping[str, Any]) -> str:
    """The family that comes nearest; where none has these tasks, that of all nine."""
    lags, features = changes.get("lags", LAGS), changes.get("features", FEATURES)
    tasks_of(lags, features)
    scenario = str(settings.get("scenario", "")).partition("_")[0]
    if "scenario" in settings:
        _one_of({"scenario": scenario}, "scenario", tuple(_SCENARIOS), "")
        if _SCENARIOS[scenario] != (len(lags) > 1, len(features) > 1):
            raise ValueError(
                f"scenario {scenario} contradicts n_values {list(lags)} and task_features {list(features)}"
            )
    cell = changes["architecture"]
    diet = f"_stmf_{lags[0]}" if len(features) > 1 else f"_stsf_{lags[0]}_{features[0]}"
    attending = "" if changes["attention"] == "none" else "attention_"
    names = [f"{attending}{cell}{diet}", f"{cell}{diet}"] if len(lags) == 1 else []
    return next(name for name in [*names, f"{attending}{cell}_mtmf"] if name in FAMILIES)
