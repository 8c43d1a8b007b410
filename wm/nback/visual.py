"""What can be read, without memory, from the features that networks are given of an image.

`wm states nback embedding` fits linear decoders to features of the training images, and reads those of the
analysis set, of which no image, and in part no view and no object, was fitted::

    data_json/nback/embedding.csv      a row for each preset, pool, feature, split of the images and object
"""

from __future__ import annotations

__all__ = ["POOLS_READ", "decoded", "measure_embedding", "of_objects"]

from collections.abc import Sequence

import numpy as np
import pandas as pd

from .. import measured
from ..text import nearest
from .catalogue import PRESETS, SPLITS
from .material import Images
from .task import FEATURES

POOLS_READ = ("grid2", "gap")
"""the last map, pooled to 2 x 2 positions and to one"""


def decoded(fitted: Images, shown: Images, feature: str) -> np.ndarray:
    """Whether a linear decoder reads a feature of each image rightly, (image,) bool.

    It is logistic regression on standardised features, with the usual penalty of `wm.readout.fit_decoder`.
    fitted, shown: disjoint sets of images. Classes that were not fitted are never right.
    """
    from ..readout import fit_decoder

    flat = [np.asarray(each.features, np.float32).reshape(len(each.features), -1) for each in (fitted, shown)]
    decoder = fit_decoder(flat[0], fitted.labels[feature])
    return decoder.predict(flat[1]) == shown.labels[feature]


def _preset(name: str) -> str:
    if name not in PRESETS:
        raise ValueError(f"there is no preset {name!r}: {nearest(name, PRESETS)}")
    return name


def measure_embedding(families: Sequence[str] | None = None, *, device: str = "cpu") -> pd.DataFrame:
    """Read features of the images of these presets (default: all); save and return the rows.

    Columns: family (the preset), pool, feature, split, category, identity, images, accuracy (share of the
    images of the object that is read rightly). Identities of novel objects, which no decoder knows, are left
    out. device: where features are computed that are not kept. ValueError for an unknown preset.
    """
    from .features import features
    from .stimuli import stimulus_set

    wanted = [_preset(name) for name in families or PRESETS]
    options = {"device": device, "families": families}
    run = measured.Measuring("nback/embedding", measure_embedding, wanted, known=PRESETS, options=options)
    rows = []
    for preset in wanted:
        parts = [stimulus_set(preset).part(name) for name in ("train", "analysis")]
        for pool in POOLS_READ:
            fitted, shown = (
                Images(features(part, pool=pool, device=device), {f: part.labels(f) for f in FEATURES})
                for part in parts
            )
            for feature in FEATURES:
                about = {"family": preset, "pool": pool, "feature": feature}
                right = parts[1].table.assign(accuracy=decoded(fitted, shown, feature))
                rows.append(of_objects(right, feature).assign(**about))
    table = pd.concat(rows, ignore_index=True)
    table = table[["family", "pool", "feature", "split", "category", "identity", "images", "accuracy"]]
    run.save({"embedding": table})
    return table


measure_embedding.family_name = _preset


def of_objects(right: pd.DataFrame, feature: str) -> pd.DataFrame:
    """Means over the images of each object and split, in the order of `SPLITS`.

    right: a row an image, with split, category, identity, accuracy (right or not).
    """
    groups = right.groupby(["split", "category", "identity"], sort=False).accuracy
    rows = groups.agg(images="size", accuracy="mean").reset_index()
    if feature == "identity":
        rows = rows[~rows.split.isin(["novel_identity", "novel_both"])]
    order = {name: place for place, name in enumerate(SPLITS)}
    return rows.sort_values("split", key=lambda names: names.map(order), kind="stable", ignore_index=True)
