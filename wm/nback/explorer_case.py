"""What the explorer of N-back networks shows: settings, and a network with a trial, built by hand or drawn.

An image of a trial is written as category, number of the object, view and location: `car3.6.1` is car 3 from
view 6 at location 1, all counted from 0. Views and locations are those of `wm.nback.design`.
"""

from __future__ import annotations

__all__ = [
    "LONGEST", "Case", "Item", "Settings", "case_of", "code", "decoders", "known", "loaded", "parsed",
    "picture", "said", "short", "stamp", "step", "stimuli_of",
]  # fmt: skip

import re
from dataclasses import dataclass
from functools import lru_cache
from typing import TYPE_CHECKING, Annotated, Literal, NamedTuple

import numpy as np
import torch

from .. import paths, store
from ..explore import Range
from ..seeds import numpy_generator
from . import contents, library
from .batches import make_sampler
from .design import LOCATIONS, VIEWS, split_of
from .families import NBackConfig, diet
from .features import features, image_features
from .material import Images
from .network import Trace
from .render import place, render
from .stimuli import StimulusSet, render_stimulus_set, stimulus_set
from .task import FEATURES, TASKS, Task, executive

if TYPE_CHECKING:
    from ..backbone import Backbone

LONGEST = 12
"""images of a trial"""
_VIEW = 3  # where none is written: from slightly right
_ITEM = re.compile(r"([a-z]+)(\d+)(?:\.(\d+))?(?:\.(\d+))?")


@dataclass(frozen=True)
class Settings:
    """What the network is shown and asked, and where one looks."""

    task: Literal[
        "1-back location", "2-back location", "3-back location", "1-back identity", "2-back identity",
        "3-back identity", "1-back category", "2-back category", "3-back category",
    ] = "2-back identity"  # fmt: skip
    """that the network is told"""
    trial: str = ""
    """images, such as `car3.6.1 car3 chair0.2.3`: object, view and location; empty: drawn by seed"""
    split: Literal["trained", "novel_angle", "extrapolating", "novel_identity", "novel_both"] = "trained"
    """what is new in the images of a drawn trial"""
    seed: Annotated[int, Range(0, 99, 1)] = 0
    """of a drawn trial"""
    step: Annotated[int, Range(1, LONGEST, 1)] = 4
    """that is looked at, from 1; beyond the end: the last"""
    trials: Annotated[int, Range(64, 2048, 64)] = 1024
    """that decoders are fitted to"""


class Item(NamedTuple):
    """An image of a trial, its object in the middle of its location."""

    identity: int
    """place in `StimulusSet.classes("identity")`"""
    view: int
    location: int


class Case(NamedTuple):
    """A network in a trial."""

    trained: library.Trained
    task: Task
    items: list[Item]
    images: np.ndarray
    """(time, 224, 224, 3) uint8"""
    labels: dict[str, np.ndarray]
    """feature -> class of each image, (time,)"""
    targets: np.ndarray
    """right answers, places in RESPONSES, (time,)"""
    trace: Trace


def stamp(network: str) -> int:
    """What changes with the files of a network."""
    file = paths.data() / "nback" / network / store.RECORD
    return file.stat().st_mtime_ns if file.is_file() else 0


def loaded(network: str) -> library.Trained:
    """A saved network, read once for each state of its file; raises as `library.load` does."""
    return _loaded(str(paths.data()), stamp(network), network)


@lru_cache(maxsize=16)
def _loaded(_folder: str, _stamp: int, network: str) -> library.Trained:
    return library.load(network)


@lru_cache(maxsize=4)
def stimuli_of(preset: str) -> StimulusSet:
    """The stimulus set of the shipped objects."""
    return stimulus_set(preset)


@lru_cache(maxsize=4)
def known(stimuli: StimulusSet) -> dict[Item, str]:
    """All images that there can be of the objects, with what is new in them: their split."""
    number, held_out = {each: k for k, each in enumerate(stimuli.classes("identity"))}, stimuli.held_out()
    objects = stimuli.table[["category", "identity"]].drop_duplicates()
    return {
        Item(number[each], view, location): split_of(view, novel=each in held_out)
        for each in objects.itertuples(index=False, name=None)
        for view in range(len(VIEWS))
        for location in range(len(LOCATIONS))
    }


def code(item: Item, stimuli: StimulusSet) -> str:
    """How an image is written."""
    category, identity = stimuli.classes("identity")[item.identity]
    return f"{category}{stimuli.library.identities(category).index(identity)}.{item.view}.{item.location}"


def short(item: Item, stimuli: StimulusSet) -> str:
    """Its object alone."""
    return code(item, stimuli).split(".")[0]


def parsed(text: str, stimuli: StimulusSet) -> list[Item]:
    """Images that somebody wrote, with blanks or commas between.

    The view may be left out (15° from the front), and the location (top left); of a category its beginning
    suffices. Raises ValueError for what is no image of the set, and for more than `LONGEST`.
    """
    items = [_item(word, stimuli) for word in re.split(r"[\s,;]+", text.strip().lower())]
    if len(items) > LONGEST:
        raise ValueError(f"trial has {len(items)} images: write up to {LONGEST}")
    return items


def _item(word: str, stimuli: StimulusSet) -> Item:
    found, categories = _ITEM.fullmatch(word), stimuli.design.categories
    if not found:
        raise ValueError(f"trial: {word!r} is no image: write object, view and location, such as car3.6.1")
    named = [each for each in categories if each.startswith(found[1])]
    if len(named) != 1:
        raise ValueError(f"trial: {word!r} is of one of the categories {', '.join(categories)}: write which")
    own = [k for k, (category, _) in enumerate(stimuli.classes("identity")) if category == named[0]]
    view, location = int(found[3] or _VIEW), int(found[4] or 0)
    if int(found[2]) < len(own):
        item = Item(own[int(found[2])], view, location)
        if item in known(stimuli):
            return item
    there = sorted({each.identity - own[0] for each in known(stimuli) if each.identity in own})
    raise ValueError(
        f"trial: there is no {word!r}: {named[0]} has the numbers {', '.join(map(str, there))}; views are "
        f"0 to {len(VIEWS) - 1}, locations 0 to {len(LOCATIONS) - 1}"
    )


def _drawn(stimuli: StimulusSet, config: NBackConfig, task: Task, settings: Settings) -> list[Item]:
    items = [item for item, split in known(stimuli).items() if split == settings.split]
    sampler = make_sampler(config, _labels(items, stimuli), [task], "cpu")
    uniforms = numpy_generator(settings.seed, "explorer", task.name).random((1, sampler.numbers))
    rows = sampler.trials(torch.as_tensor(uniforms), torch.tensor(task.place)).images[0]
    return [items[row] for row in rows.tolist()]


def _labels(items: list[Item], stimuli: StimulusSet) -> dict[str, np.ndarray]:
    identity, _, location = np.array(items).T
    categories = [category for category, _ in stimuli.classes("identity")]
    category = [stimuli.classes("category").index(categories[each]) for each in identity]
    return {"location": location, "identity": identity, "category": np.array(category)}


def picture(item: Item, stimuli: StimulusSet) -> np.ndarray:
    """An image of a trial, (224, 224, 3) uint8."""
    mesh = stimuli.library.mesh(*stimuli.classes("identity")[item.identity])
    x, y = (each[len(each) // 2] for each in stimuli.design.centres(item.location))
    return place(render(mesh, VIEWS[item.view][0], stimuli.design.size), x, y)


Eye = tuple[str, int, str]
"""folder, stamp and name of a network with a backbone of its own; else "", 0 and the name of the backbone"""


def _eye(trained: library.Trained) -> Eye:
    own = str(paths.data()), stamp(trained.name), trained.name
    if not trained.config.freeze_backbone:
        return own
    if "backbone_sha256" in trained.record.get("material", {}):
        _admit(own)
    return "", 0, trained.config.backbone


@lru_cache(maxsize=64)
def _admit(eye: Eye) -> None:
    """ValueError if the network was trained with features of other weights than there are."""
    loaded(eye[2]).backbone()


@lru_cache(maxsize=4)
def _backbone(eye: Eye) -> Backbone:
    from ..backbone import backbone

    return loaded(eye[2]).backbone() if eye[0] else backbone(eye[2])


@lru_cache(maxsize=4096)
def _features(eye: Eye, preset: str, pool: str, item: Item) -> np.ndarray:
    """Of one image, (position, channel) float16, as those that networks are trained with."""
    return image_features(picture(item, stimuli_of(preset))[None], _backbone(eye), pool)[0]


@lru_cache(maxsize=4)
def _decoding(eye: Eye, preset: str, pool: str) -> tuple[Images, np.ndarray]:
    chosen, apart = contents.decoding_images(stimuli_of(preset))
    if eye[0]:
        found = image_features(render_stimulus_set(chosen), _backbone(eye), pool)
    else:
        found = features(chosen, eye[2], pool)
    labels = {feature: chosen.labels(feature) for feature in FEATURES}
    return Images(found.astype(np.float32), labels), apart


def case_of(network: str, settings: Settings) -> Case:
    """A saved network in the trial of the settings; ValueError for a trial that cannot be shown."""
    trained, task = loaded(network), next(each for each in TASKS if each.name == settings.task)
    config = trained.config
    stimuli = stimuli_of(config.stimuli)
    if settings.trial.strip():
        items = parsed(settings.trial, stimuli)
    else:
        items = _drawn(stimuli, config, task, settings)
    labels, compared = _labels(items, stimuli), executive(task.lag, len(items)).numpy()
    own = labels[task.feature]
    same = np.concatenate([np.zeros(task.lag, bool), own[task.lag :] == own[: -task.lag]])
    shown = np.stack([_features(_eye(trained), config.stimuli, config.pool, item) for item in items])
    trace = trained.run(shown[None], task)
    images = np.stack([picture(item, stimuli) for item in items])
    return Case(trained, task, items, images, labels, np.where(compared, 1 + same, 0), trace)


def decoders(case: Case, settings: Settings) -> contents.Decoders:
    """Of what the network holds in this task, fitted once; features of their images are kept in files."""
    name, length = case.trained.name, len(case.items)
    return _decoders(str(paths.data()), stamp(name), (name, case.task, settings.trials, length))


@lru_cache(maxsize=32)
def _decoders(_folder: str, _stamp: int, asked: tuple[str, Task, int, int]) -> contents.Decoders:
    name, task, trials, length = asked
    trained = loaded(name)
    images, apart = _decoding(_eye(trained), trained.config.stimuli, trained.config.pool)
    return contents.fit(trained, images, apart, task, trials=trials, length=length)


def step(case: Case, settings: Settings) -> int:
    """The step that is looked at, from 0."""
    return min(settings.step, len(case.items)) - 1


def said(case: Case) -> str:
    """Words for a title: the network, the task, and whether it was trained on it."""
    trained = case.task in diet(case.trained.config)
    return f"{case.trained.name}, {case.task.name}" + ("" if trained else " (which it was not trained on)")
