"""The look of every figure: style sheet, one colour per concept, panel letters, figure files with origin."""

__all__ = [
    "CHANCE",
    "CMAPS",
    "COLORS",
    "LABELS",
    "MARKERS",
    "PNG_BYTES",
    "PUBLISHED",
    "SHORT",
    "SYSTEMS",
    "figure",
    "line_label",
    "panel_letter",
    "read_provenance",
    "save_figure",
    "sideways",
    "use",
]

import io
import json
import math
import os
import platform
import re
from importlib.metadata import version
from pathlib import Path

import matplotlib
import matplotlib.pyplot as plt
import numpy as np
from matplotlib.axes import Axes
from matplotlib.colors import to_rgb
from matplotlib.figure import Figure
from PIL import Image, PngImagePlugin
from scipy.spatial import KDTree

from wm import paths
from wm.files import read_json, write_atomic
from wm.palette import CMAPS, COLORS, LABELS, MARKERS, SHORT, SYSTEMS

# ax.axhline(0.5, **CHANCE); ax.plot(x, y, **PUBLISHED)
CHANCE = {
    "color": COLORS["chance"],
    "linestyle": "--",
    "linewidth": 0.8,
    "zorder": 0.5,
}
PUBLISHED = {
    "color": COLORS["published"],
    "marker": "o",
    "markerfacecolor": "white",  # hollow, yet visible on a dark bar
    "markersize": 4.5,
    "linestyle": "none",
    "zorder": 5,
}
PNG_BYTES = 100_000
CM = 1 / 2.54  # inch


def use() -> None:
    """Draw everything from here on in the style of this repository, whatever was set before."""
    plt.style.use(["default", Path(__file__).with_name("style.mplstyle")])


def figure(
    width_cm: float, height_cm: float, mosaic: str | list, **mosaic_kw
) -> tuple[Figure, dict[str, Axes]]:
    """Figure with axes laid out as in `plt.subplot_mosaic`, and a bold letter on panels of one-letter keys.

    Raises ValueError for a size that is not positive or beyond 60 cm (inches or pixels by mistake).
    """
    if not (0 < width_cm <= 60 and 0 < height_cm <= 60):
        raise ValueError(
            f"figure size {width_cm} x {height_cm}: give centimetres, up to 60 (a page is 17 wide)"
        )
    fig, axes = plt.subplot_mosaic(
        mosaic, figsize=(width_cm * CM, height_cm * CM), layout="constrained", **mosaic_kw
    )
    for key, ax in axes.items():
        if isinstance(key, str) and len(key) == 1 and key.isalpha():
            panel_letter(ax, key)
    return fig, axes


def panel_letter(ax: Axes, letter: str) -> None:
    """Bold letter above the top left corner of a panel, left of its axis labels."""
    ax.annotate(
        letter,
        xy=(0, 1),
        xycoords="axes fraction",
        xytext=(-22, 5),
        textcoords="offset points",
        fontsize=8,
        fontweight="bold",
        ha="left",
        va="bottom",
        annotation_clip=False,
    )


def line_label(ax: Axes, y: float, text: str, x: float = 1) -> None:
    """Small grey text on a horizontal line, ending at the fraction x of the axes."""
    look = {"transform": ax.get_yaxis_transform(), "color": "#6E6E6E", "fontsize": 5.5}
    ax.text(x, y, text, ha="right", va="bottom", **look)


def sideways(n: int, width: float) -> np.ndarray:
    """Places of n dots beside a middle at 0, (n,), scattered evenly (golden ratio), the same every time."""
    return ((np.arange(n) * 0.618034) % 1 - 0.5) * width


def save_figure(fig: Figure, name: str) -> Path:
    """Write `results()/<NN>/<name>.png` (at most `PNG_BYTES`) and `.pdf`, with provenance; returns the PNG.

    `name` is the notebook's number and a panel, such as "13a". Both files carry notebook, parameters and
    input hashes as the runner gives them (a JSON file named by `WM_RUN`; without it "interactive"); the PDF
    also carries commit and versions. The same figure gives the same bytes. Raises ValueError for another kind
    of name, and for a figure that does not fit at 30 dpi.
    """
    if not re.fullmatch(r"\d\d[a-z][a-z0-9_]*", name):
        raise ValueError(f"figure name {name!r}: give notebook and panel, such as '13a'")
    run = _run()
    files = {"png": _png(fig, name, run), "pdf": _pdf(fig, run)}
    folder = paths.results() / name[:2]
    folder.mkdir(parents=True, exist_ok=True)
    for suffix, content in files.items():
        write_atomic(folder / f"{name}.{suffix}", content)
    return folder / f"{name}.png"


def read_provenance(path: Path) -> dict:
    """What `save_figure` wrote about a figure's origin, from its PNG or PDF.

    Raises ValueError if the file carries none.
    """
    path = Path(path)
    if path.suffix == ".pdf":
        found = re.search(rb"/Keywords \((wm:.*?)(?<!\\)\)", path.read_bytes(), flags=re.S)
        text = re.sub(rb"\\(.)", rb"\1", found[1]).decode("ascii") if found else ""
        entries = json.loads(text[3:]) if found else {}
    else:
        with Image.open(path) as image:
            entries = {k[3:]: json.loads(v) for k, v in image.info.items() if str(k).startswith("wm:")}
    if not entries:
        raise ValueError(f"{path}: carries no provenance; only figures written by save_figure do")
    return entries


def _run() -> dict:
    """What the runner says about this run; a person at the keyboard has no runner."""
    keys = ("notebook", "parameters", "inputs")
    if not os.environ.get("WM_RUN"):
        return dict.fromkeys(keys, "interactive")
    run = read_json(Path(os.environ["WM_RUN"]))
    return {key: run.get(key) for key in (*keys, "commit")}


def _png(fig: Figure, name: str, run: dict) -> bytes:
    text = PngImagePlugin.PngInfo()
    for key in ("notebook", "parameters", "inputs"):
        text.add_text(f"wm:{key}", json.dumps(run[key], sort_keys=True))
    dpi = 150
    while dpi >= 30:
        image = _render(fig, dpi)
        for colours in (256, 64):  # of lines and flat areas, which look the same with 256
            content = _encode(image, colours, dpi, text)
            if len(content) <= PNG_BYTES:
                return content
        dpi = int(dpi * min(0.95, math.sqrt(PNG_BYTES / len(content))))  # bytes grow with the area
    raise ValueError(
        f"figure {name}: {len(content)} bytes at its coarsest, over {PNG_BYTES}; make it smaller or bin it"
    )


def _render(fig: Figure, dpi: int) -> Image.Image:
    buffer = io.BytesIO()
    # Settings of an interactive front end (tight boxes, transparent paper) must not reach the file.
    with matplotlib.rc_context({"savefig.bbox": None}):
        fig.savefig(buffer, format="png", dpi=dpi, facecolor="white")
    return Image.open(buffer).convert("RGB")


def _encode(image: Image.Image, colours: int, dpi: int, text: PngImagePlugin.PngInfo) -> bytes:
    buffer = io.BytesIO()
    _quantised(image, colours).save(buffer, format="PNG", optimize=True, dpi=(dpi, dpi), pnginfo=text)
    return buffer.getvalue()


def _quantised(image: Image.Image, colours: int) -> Image.Image:
    # Eight greys for text, the colours that have a meaning, the commonest ones as they are (flat areas), and
    # what lies between. Pillow's own look-up is coarse: it would turn white paper into grey.
    packed = np.asarray(image, dtype=np.int32) @ (65536, 256, 1)  # (height, width)
    seen, place, count = np.unique(packed, return_inverse=True, return_counts=True)
    rgb = np.stack([seen >> 16, seen >> 8 & 255, seen & 255], axis=1)  # (colour, 3)
    greys = np.linspace(0, 255, 8, dtype=np.int32)[:, None].repeat(3, axis=1)
    known = np.rint([np.multiply(to_rgb(colour), 255) for colour in COLORS.values()]).astype(np.int32)
    fixed = np.concatenate([greys, known[np.isin(known @ (65536, 256, 1), seen)]])
    common = rgb[np.argsort(-count, kind="stable")[: (colours - len(fixed)) // 2]]
    between = image.quantize(colours - len(fixed) - len(common), method=Image.Quantize.MEDIANCUT).getpalette()
    palette = np.concatenate([fixed, common, np.reshape(between, (-1, 3))])[:colours]
    nearest = KDTree(palette).query(rgb)[1].astype(np.uint8)
    quantised = Image.fromarray(nearest[place].reshape(packed.shape))
    quantised.putpalette(palette.astype(np.uint8).tobytes())
    return quantised


def _pdf(fig: Figure, run: dict) -> bytes:
    versions = {package: version(package) for package in ("matplotlib", "numpy", "torch")}
    entries = run | {"versions": {"python": platform.python_version()} | versions}
    # Dates would make every file new; Keywords is the one free field of a PDF's description.
    metadata = {"CreationDate": None, "Keywords": "wm:" + json.dumps(entries, sort_keys=True)}
    buffer = io.BytesIO()
    with matplotlib.rc_context({"savefig.bbox": None, "pdf.fonttype": 42}):
        fig.savefig(buffer, format="pdf", facecolor="white", metadata=metadata)
    return buffer.getvalue()
