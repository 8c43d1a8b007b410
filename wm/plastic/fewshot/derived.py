"""Encoders of drawings, and what nearest prototypes reach with them and with other numbers of drawings.

    data_npy/plastic/encoders.h5     <dataset>_<split> -> its Conv-4 of seed 0 (`prototypes.layout`)
    data_json/plastic/encoders.csv   rows of trained and untrained encoders, six seeds
    data_json/plastic/baselines.csv  rows of pixels and of a network trained on ImageNet

All on the same test episodes, `EPISODES` of each kind.
"""

from __future__ import annotations

__all__ = ["EPISODES", "PLACES", "measure_baselines", "measure_encoders"]

from collections.abc import Callable, Sequence

import numpy as np
import pandas as pd

from ... import measured
from ...text import nearest
from ...train import numpy_generator, run
from ..experiments import IMAGES, KINDS
from . import images
from .pools import SPLITS, members, pool
from .prototypes import EncoderConfig, PrototypeLearner, accuracy, encode, layout, statistics
from .task import Classification

PLACES = {f"{dataset}_{split}": (dataset, split) for dataset in IMAGES for split in SPLITS}
EPISODES = 1000
SEEDS = tuple(str(seed) for seed in range(6))
KEPT = ("random", "groups")


def _place(name: str) -> str:
    if name not in PLACES:
        raise ValueError(f"there is no data set and split {name!r}: {nearest(name, PLACES)}")
    return name


def _of_places(measure: Callable[..., pd.DataFrame]) -> Callable[..., pd.DataFrame]:
    """What `wm states plastic --families` names are data sets and splits, not families of networks."""
    measure.family_name = _place
    return measure


@_of_places
def measure_encoders(
    families: Sequence[str] | None = None, *, device: str = "cpu", updates: int = EncoderConfig.updates
) -> pd.DataFrame:
    """Train encoders of these data sets and splits (default: all of `PLACES`), keep the first, score all.

    By default the first is kept of the splits `KEPT`, whose numbers networks read, else of those named.
    """
    wanted = _known(families)
    options = {"device": device, "families": families, "updates": updates}
    work = measured.Measuring("plastic/encoders", measure_encoders, wanted, known=PLACES, options=options)
    rows, kept = [], {}
    for name in wanted:
        dataset, split = PLACES[name]
        config = EncoderConfig(dataset, split, updates=updates)
        learner = PrototypeLearner(config, SEEDS, device=device)
        for _ in run(learner, updates, config={"device": device}, description=f"encoders {name}"):
            pass
        trained = statistics(config, learner.weights)
        own = layout(config.network, config.task.channels)
        if families or split in KEPT:
            kept[name] = own.flat(trained)[0].half().numpy()
        rounded = {part: value.half().float() for part, value in trained.items()}
        untrained = statistics(config, PrototypeLearner(config, SEEDS).weights)
        for kind, weights in (("untrained", untrained), ("prototypes", rounded)):
            vectors = encode(config.network, weights, pool(dataset, split, "test", "none").vectors)
            for seed, own in zip(SEEDS, vectors, strict=True):
                rows += _rows(name, kind, seed, own)
    table = pd.DataFrame(rows)
    work.save({"encoders": table}, {"encoders": measured.States(kept, ("parameter",), {})})
    return table


@_of_places
def measure_baselines(families: Sequence[str] | None = None, *, device: str = "cpu") -> pd.DataFrame:
    """Score nearest prototypes on pixels and on EfficientNet-Lite0 (ImageNet); device: not used."""
    from ...backbone import backbone  # which a machine that only trains may lack

    wanted, network = _known(families), backbone()
    options = {"device": "cpu", "families": families}
    work = measured.Measuring("plastic/baselines", measure_baselines, wanted, known=PLACES, options=options)
    rows = []
    for name in wanted:
        dataset, split = PLACES[name]
        found = members(dataset, split, "test")[0]
        shown = images.load(dataset).images[np.unique(found[found >= 0])]
        rows += _rows(name, "pixels", "0", pool(dataset, split, "test", "none").vectors)
        rows += _rows(name, network.name, "0", network.features(shown, tap="gap"))
    table = pd.DataFrame(rows)
    work.save({"baselines": table})
    return table


def _known(families: Sequence[str] | None) -> list[str]:
    return [_place(name) for name in families or PLACES]


def _rows(name: str, features: str, seed: str, vectors: np.ndarray) -> list[dict]:
    """A row for each kind of episode; vectors (drawing, feature) of the pool of the test classes."""
    dataset, split = PLACES[name]
    found = []
    few = dataset == "emoji" and split == "shared"  # half of the designs of an emoji: too few for 5 shots
    for ways, shots in KINDS[::2] if few else KINDS:
        task = Classification(dataset, split, ways, shots, ways, encoder="none").held_out
        drawings, labels = task.choose(EPISODES, numpy_generator("test", "plastic", "prototypes"))
        right = accuracy(task, vectors, drawings, labels)
        row = {"family": name, "dataset": dataset, "split": split, "features": features, "seed": seed}
        row |= {"ways": ways, "shots": shots, "episodes": EPISODES, "accuracy": round(float(right.mean()), 5)}
        found.append(row | {"deviation": round(float(right.std(ddof=1)), 5)})
    return found
