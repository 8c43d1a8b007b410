"""Speed of the N-back system: images, their features and training, against plain references.

    python -m benchmarks.nback [--device cuda] [--slow]

`pictures`: views of objects, 96 pixels wide, that `wm.nback.render` makes per second; the reference draws one
triangle after the other with numpy, all pixels of its rectangle at once, into a buffer of depths.
`rendering`: images per second of a stimulus set, of which each object and view is drawn once; the reference
draws it for each image. Both are always on the processor. `features`: images per second through the frozen
network (`wm.nback.features`), against one batch of 64 after the other with all threads at each; all images of
preset rich must take less than 3 minutes, on two cores. `training`, and with --slow `to_bars` and on a GPU
`campaign`: see `benchmarks.nback_training`. `decoders`, `decoders_svc`, and with --slow `analysis`: see
`benchmarks.nback_geometry`.

Times are medians of warm rounds, in turns, in this process with the same number of threads. The ratios are of
an otherwise idle machine. The last line is JSON, a list of rows.
"""

from __future__ import annotations

__all__ = ["features_row", "main", "picture_row", "plain_picture", "rendering_row", "rows", "slow_rows"]

from collections.abc import Callable
from dataclasses import replace

import numpy as np
import torch

from benchmarks import nback_geometry, nback_training, report
from benchmarks.report import medians
from wm.backbone import backbone
from wm.nback.design import VIEWS
from wm.nback.features import image_features, pooled
from wm.nback.objects import Mesh, library
from wm.nback.render import AMBIENT, LIGHTS, View, place, project, render, rotation, shade
from wm.nback.stimuli import StimulusSet, render_stimulus_set, stimulus_set

FLOORS = {"pictures": 8.0, "rendering": 20.0, "features": 1.0}
LIMIT_S = 180.0
"""for the features of all images of preset rich"""
TOLERANCE = 2e-3
ROUNDS, PICTURES, IMAGES = 5, 16, 64
BATCH = 64  # images, of the reference
WIDTH = 96  # pixels


def plain_picture(mesh: Mesh, view: View, size: int, samples: int = 2) -> np.ndarray:
    """`wm.nback.render.render`, triangle by triangle, (size, size, 3) uint8."""
    points, side = mesh.vertices @ rotation(view).T, size * samples
    screen = project(points)
    corners = ((1 + screen[:, :2] * (1, -1)) * side / 2)[mesh.faces]
    shown, depth = np.zeros((side, side, 3)), np.zeros((side, side))
    colors = shade(points[mesh.faces], mesh.colors, LIGHTS, AMBIENT)
    for (a, b, c), near, color in zip(corners, screen[mesh.faces, 2], colors, strict=True):
        low = np.floor(np.clip(np.min([a, b, c], axis=0) - 0.5, 0, side)).astype(int)
        high = np.ceil(np.clip(np.max([a, b, c], axis=0) + 0.5, 0, side)).astype(int)
        x, y = np.arange(low[0], high[0]) + 0.5, np.arange(low[1], high[1])[:, None] + 0.5
        area = (b[0] - a[0]) * (c[1] - a[1]) - (c[0] - a[0]) * (b[1] - a[1])
        if abs(area) < 1e-12:
            continue
        of_b = ((x - a[0]) * (c[1] - a[1]) - (c[0] - a[0]) * (y - a[1])) / area
        of_c = ((b[0] - a[0]) * (y - a[1]) - (x - a[0]) * (b[1] - a[1])) / area
        z = near[0] + of_b * (near[1] - near[0]) + of_c * (near[2] - near[0])
        box = slice(low[1], high[1]), slice(low[0], high[0])
        nearer = (of_b >= 0) & (of_c >= 0) & (of_b + of_c <= 1) & (z > depth[box])
        depth[box][nearer], shown[box][nearer] = z[nearer], color
    means = shown.reshape(size, samples, size, samples, 3).mean(axis=(1, 3))
    return np.round(means).astype(np.uint8)


def picture_row(*, pictures: int = PICTURES, rounds: int = ROUNDS) -> dict:
    """A row about the rasteriser alone: pictures of different objects and views per second."""
    objects = library().objects
    pairs = [(objects[k * 7 % len(objects)].mesh, VIEWS[k % len(VIEWS)][0]) for k in range(pictures)]

    def drawn(draw: Callable[..., np.ndarray]) -> np.ndarray:
        return np.stack([draw(mesh, view, WIDTH) for mesh, view in pairs])

    works = {"ours": lambda: drawn(render), "reference": lambda: drawn(plain_picture)}
    wrong = _wrong(np.mean(works["ours"]() != works["reference"]()), "OF THE PIXELS")
    speeds = {name: pictures / time for name, time in medians(works, "cpu", rounds).items()}
    return _row("pictures", speeds, f"pictures of {WIDTH} pixels per second", wrong=wrong)


def rendering_row(stimuli: StimulusSet | None = None, *, few: int = PICTURES, rounds: int = ROUNDS) -> dict:
    """A row about the images of a set, by default the test part of preset rich; the reference makes `few`."""
    stimuli = stimulus_set("rich").part("test") if stimuli is None else stimuli
    some = [*range(0, len(stimuli), max(1, len(stimuli) // few))]

    def plainly() -> np.ndarray:
        return np.stack([_plain_image(stimuli, row) for row in some])

    works = {"ours": lambda: render_stimulus_set(replace(stimuli, _pictures={})), "reference": plainly}
    wrong = _wrong(np.mean(works["ours"]()[some] != plainly()), "OF THE PIXELS")
    times = medians(works, "cpu", rounds)
    speeds = {"ours": len(stimuli) / times["ours"], "reference": len(some) / times["reference"]}
    return _row("rendering", speeds, f"images per second, {len(stimuli)} of a set", wrong=wrong)


def _plain_image(stimuli: StimulusSet, row: int) -> np.ndarray:
    about = stimuli.table.iloc[row]
    mesh = stimuli.library.mesh(about.category, about.identity)
    return place(plain_picture(mesh, VIEWS[about.view][0], stimuli.design.size), about.x, about.y)


def features_row(device: str = "cpu", *, images: int = IMAGES, rounds: int = ROUNDS) -> dict:
    """A row about the frozen network, images per second, pooled to quadrants."""
    stimuli = stimulus_set("rich")
    rows = np.linspace(0, len(stimuli) - 1, images).astype(int)
    shown = render_stimulus_set(replace(stimuli, table=stimuli.table.iloc[rows].reset_index(drop=True)))
    network = backbone(device=device)

    def plainly() -> np.ndarray:
        maps = torch.from_numpy(network.features(shown, "map", min(BATCH, images)))
        return pooled(maps, "grid2").numpy().astype(np.float16)

    works = {"ours": lambda: image_features(shown, network), "reference": plainly}
    ours, expected = (work().astype(np.float32) for work in works.values())
    wrong = _wrong(np.linalg.norm(ours - expected) / np.linalg.norm(expected))
    speeds = {name: images / time for name, time in medians(works, device, rounds).items()}
    if not wrong and len(stimuli) / speeds["ours"] > LIMIT_S:
        wrong = f"OVER {LIMIT_S:g} s FOR ALL {len(stimuli)}"
    unit = f"images per second, {images} at once"
    return _row("features", speeds, unit, wrong=wrong, device=device)


def _wrong(part: float, of: str = "") -> str:
    return "" if part <= TOLERANCE else f"WRONG BY {part:.1e} {of}".strip()


def _row(name: str, speeds: dict[str, float], unit: str, **about: str) -> dict:
    return report.row(name, speeds, FLOORS[name], unit, rates=True, **about)


def rows(device: str = "cpu") -> list[dict]:
    """All rows, but for the slow ones."""
    decoders = [nback_geometry.decoders_row(kind) for kind in nback_geometry.KINDS]
    own = [picture_row(), rendering_row(), features_row(device), nback_training.training_row(device)]
    return own + decoders


def slow_rows(device: str = "cpu") -> list[dict]:
    """Those that train networks to the end, or analyse one."""
    campaign = [nback_training.campaign_row(device)] if device == "cuda" else []
    return [nback_training.to_bars_row(device), *campaign, nback_geometry.analysis_row()]


def main(arguments: list[str] | None = None) -> None:
    """Measure all rows, print a table, and the rows as one line of JSON last."""
    report.run("benchmarks.nback", __doc__, rows, arguments, slow=slow_rows)


if __name__ == "__main__":
    main()
