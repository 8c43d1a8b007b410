"""What a frozen convolutional network makes of the images of a stimulus set, computed once an image and kept.

    stimuli = stimulus_set("rich")
    given = features(stimuli)                        # (7168, 4, 1280) float16: image, position, channel
    given[stimuli.part("test").table.image]          # those of a part
    image_features(images, backbone(), "gap")        # those of other images, which are not kept

The last map of the network, 7 x 7 for 224 x 224 pixels, is pooled to a square of `POOLS[pool]` positions:
`gap` is the mean over the map, `grid2` are the means over its quadrants, which share the middle row and
column, `flatten` is the map itself. There is a file for each part of a set, network and pool in
results/nback/features, so that interrupted work goes on with the part that it was at; other tables, objects,
weights or another pool have files of their own.
"""

from __future__ import annotations

__all__ = ["Pool", "features", "image_features", "pooled", "save_features", "weights_sha256"]

import hashlib
import math
from collections.abc import Callable, Iterable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from pathlib import Path
from typing import Any, Literal

import numpy as np
import torch
from torch import Tensor
from torch.nn import functional as F
from tqdm import tqdm

from .. import backbone as backbones
from .. import paths
from ..backbone import Backbone
from ..checkpoint import load_checkpoint, save_checkpoint
from ..files import DamagedFile, to_json
from ..text import nearest
from .catalogue import POOLS
from .stimuli import StimulusSet

Pool = Literal["grid2", "gap", "flatten"]
"""those of `POOLS`"""

_BATCH = 2
"""images at a time, which stay in the cache of a core"""
_BATCH_GPU = 128
_TOLERANCE = 0.02
"""of the norm of an image's features: other processors round otherwise, other code does not stay within it"""
_AGAIN = "remove it, and it is computed again when it is asked for"


def features(
    stimuli: StimulusSet,
    backbone: str = "efficientnet_lite0",
    pool: Pool = "grid2",
    weights: str | Path | None = None,
    device: str = "cpu",
) -> np.ndarray:
    """Features of all images, (image, position, channel) float16, in the order of the table.

    backbone, weights, device: as `wm.backbone.backbone` takes them; there are 1280 channels, 2048 of
    `resnet50`. Positions go row by row from the top left.
    What is in no file yet is computed and kept (`save_features`). Files are checked: their seal, what they
    are of, and whether the network still gives what they hold for their first image.
    Raises what `wm.backbone.backbone` raises; ValueError for an unknown pool, no images, or features that
    float16 cannot hold; `DamagedFile`; `CannotWrite`.
    """
    network = backbones.backbone(backbone, weights, device=device)
    files = save_features(stimuli, network, [pool])[pool]
    found = np.empty((len(stimuli), POOLS[pool], _channels(network)), dtype=np.float16)
    for part, file in files.items():
        found[(stimuli.table.part == part).to_numpy()] = _read(file, stimuli.part(part), network, pool)
    return found


def save_features(
    stimuli: StimulusSet, network: Backbone, pools: Iterable[Pool] = ("grid2",)
) -> dict[Pool, dict[str, Path]]:
    """Compute what is in no file yet, all pools in one pass over the images; the files by pool and part.

    On a processor it takes as many threads as torch has, each at images of its own. Raises as `features`.
    """
    pools = [*dict.fromkeys(pools)]
    if unknown := [pool for pool in pools if pool not in POOLS]:
        raise ValueError(f"there is no pool {unknown[0]!r}: {nearest(unknown[0], POOLS)}")
    if not len(stimuli):
        raise ValueError("a stimulus set without images has no features")
    files: dict[Pool, dict[str, Path]] = {pool: {} for pool in pools}
    for name in stimuli.hashes():
        part = stimuli.part(name)
        records = {pool: _record(part, network, pool) for pool in pools}
        for pool in pools:
            files[pool][name] = _place(records[pool])
        missing = [pool for pool in pools if not files[pool][name].exists()]
        for pool, values in _of_part(part, network, missing).items():
            save_checkpoint(files[pool][name], {"record": records[pool], "features": values})
    return files


def image_features(images: np.ndarray, network: Backbone, pool: Pool = "grid2") -> np.ndarray:
    """Features of any images, (image, position, channel) float16; nothing is kept.

    images: (image, height, width, 3) uint8, as `Backbone.prepare` takes them. Raises what that raises;
    ValueError for features that float16 cannot hold.
    """
    return _computed(lambda rows: images[rows.start : rows.stop], len(images), network, [pool])[pool]


def pooled(maps: Tensor, pool: Pool) -> Tensor:
    """(image, channel, 7, 7) -> (image, position, channel), positions row by row from the top left."""
    return F.adaptive_avg_pool2d(maps, math.isqrt(POOLS[pool])).flatten(2).transpose(1, 2)


def weights_sha256(backbone: str = "efficientnet_lite0", weights: str | Path | None = None) -> str:
    """Of the weights that `features` takes, of which `Trained.backbone` makes sure. Raises as that does."""
    return backbones.backbone(backbone, weights).sha256


def _channels(network: Backbone) -> int:
    return network.network.fc.in_features


def _record(part: StimulusSet, network: Backbone, pool: Pool) -> dict[str, Any]:
    """All that decides about the features of a part, but for the code."""
    ((name, digest),) = part.hashes().items()
    images = {"part": name, "table": digest, "objects": part.library.sha256, "size": part.design.size}
    return images | {"backbone": network.name, "weights": network.sha256, "pool": pool}


def _place(record: dict[str, Any]) -> Path:
    key = hashlib.sha256(to_json(record)).hexdigest()[:16]
    name = f"{record['backbone']}-{record['pool']}-{record['part']}-{key}.safetensors"
    return paths.results() / "nback" / "features" / name


def _read(path: Path, part: StimulusSet, network: Backbone, pool: Pool) -> np.ndarray:
    kept = load_checkpoint(path, again=_AGAIN)
    if kept["record"] != _record(part, network, pool):
        raise DamagedFile(path, "holds features of something else than its name says", _AGAIN)
    now = image_features(part.image(0)[None], network, pool)[0].astype(np.float32)
    if np.linalg.norm(now - kept["features"][0]) > _TOLERANCE * np.linalg.norm(now):
        what = f"does not hold what {network.name} gives for its first image now (the code is another)"
        raise DamagedFile(path, what, _AGAIN)
    return kept["features"]


def _of_part(part: StimulusSet, network: Backbone, pools: list[Pool]) -> dict[Pool, np.ndarray]:
    if not pools:
        return {}
    title = f"features of {part.table.part[0]}"
    return _computed(lambda rows: np.stack([*map(part.image, rows)]), len(part), network, pools, title=title)


def _computed(
    show: Callable[[range], np.ndarray], count: int, network: Backbone, pools: list[Pool], *, title: str = ""
) -> dict[Pool, np.ndarray]:
    """Features by pool of as many images, which `show` gives for a range of places; `title` shows a bar."""
    found = {pool: np.empty((count, POOLS[pool], _channels(network)), np.float16) for pool in pools}
    on_cpu = network.network.fc.weight.device.type == "cpu"
    batch = _BATCH if on_cpu else _BATCH_GPU

    def work(start: int) -> int:
        rows = range(start, min(start + batch, count))
        with torch.inference_mode():
            maps = network.network(network.prepare(show(rows)), "map")
            for pool, values in found.items():
                values[rows.start : rows.stop] = _half(pooled(maps, pool), network)
        return len(rows)

    threads = min(torch.get_num_threads(), -(-count // batch)) if on_cpu else 1
    with _mapping(threads) as each, tqdm(desc=title, total=count, disable=None if title else True) as bar:
        for done in each(work, range(0, count, batch)):
            bar.update(done)
    return found


def _half(values: Tensor, network: Backbone) -> np.ndarray:
    values = values.half()
    if not values.isfinite().all():
        raise ValueError(
            f"{network.title} gives features that float16 does not hold (infinite, NaN, beyond 65504): its "
            f"weights, sha256 {network.sha256[:12]}, are not those of a network trained on such images"
        )
    return values.cpu().numpy()


@contextmanager
def _mapping(threads: int) -> Iterator[Callable]:
    """`map`, in so many threads, in each of which torch computes alone.

    Together at one small convolution they would wait for each other, on a busy machine for most of the time.
    """
    if threads <= 1:
        yield map
        return
    before = torch.get_num_threads()
    torch.set_num_threads(1)
    try:
        with ThreadPoolExecutor(threads) as pool:
            yield pool.map
    finally:
        torch.set_num_threads(before)
