"""A diagram of an N-back network: what an image goes through, with sizes and numbers of parameters."""

from __future__ import annotations

__all__ = ["draw_model", "stages"]

import math
from typing import NamedTuple

import numpy as np
from matplotlib.axes import Axes
from matplotlib.patches import FancyArrowPatch, FancyBboxPatch

from .catalogue import BACKBONES, POOLS
from .families import NBackConfig
from .network import layout
from .senses import reduced
from .task import FEATURES, LAGS, RESPONSES

_FROZEN, _TRAINED = "#E3E3E3", "#CFE0F3"
_NAMES = {"efficientnet_lite0": "EfficientNet-\nLite0", "resnet50": "ResNet-50"}
_ATTENTIONS = {
    "spatial": "attention\nover\npositions",
    "task_only": "channel\ngates\n(task)",
    "dual": "channel\ngates (task,\nimage)",
}


class Stage(NamedTuple):
    """A box of the diagram."""

    name: str
    size: str
    """of what comes out of it"""
    parameters: int
    """that are trained; 0: none"""


def stages(config: NBackConfig) -> list[Stage]:
    """What an image goes through in a network of this configuration, in order."""
    shapes, units, positions = layout(config).shapes, config.units, POOLS[config.pool]
    left = f"{positions} × {reduced(config)}"
    channels = BACKBONES[config.backbone]

    def count(prefix: str) -> int:
        return sum(math.prod(shape) for name, shape in shapes.items() if name.startswith(prefix))

    pooled = {"gap": "mean of\nthe map", "grid2": "means of\nquadrants", "flatten": "whole map"}[config.pool]
    found = [
        Stage(f"{_NAMES[config.backbone]}\n(frozen)", f"7 × 7 × {channels}", 0),
        Stage(pooled, f"{positions} × {channels}", 0),
        Stage("1 × 1\nconvolution", left, count("reduce.")),
    ]
    if config.attention != "none":
        found.append(Stage(_ATTENTIONS[config.attention], left, count("attention.")))
    layers = f"{config.layers} × " if config.layers > 1 else ""
    return [
        *found,
        Stage("linear,\nLayerNorm,\nReLU", f"{units}", count("join.") + count("norm.")),
        Stage(f"{layers}{config.architecture.upper()}", f"{units}", count("recurrent.")),
        Stage("linear", f"{len(RESPONSES)}", count("answer.")),
    ]


def draw_model(ax: Axes, config: NBackConfig, image: np.ndarray) -> None:
    """The stages from left to right: an image and the task come in, an answer goes out, at every step.

    image: (height, width, 3) uint8. Grey boxes are not trained.
    """
    boxes = stages(config)
    ax.imshow(image, extent=(-1.15, -0.25, 0.05, 0.95), aspect="equal")
    ax.text(-0.7, -0.04, "image at step t", ha="center", va="top", fontsize=6)
    step, width = 1.45, 1.15
    for place, (name, size, parameters) in enumerate(boxes):
        left = place * step
        style = {"boxstyle": "round,pad=0,rounding_size=0.08", "lw": 0.6, "ec": "#5A5A5A"}
        ax.add_patch(FancyBboxPatch((left, 0.2), width, 0.6, fc=_TRAINED if parameters else _FROZEN, **style))
        ax.text(left + width / 2, 0.5, name, ha="center", va="center", fontsize=6, linespacing=1.1)
        if parameters:
            told = f"{parameters / 1e3:.3g} k" if parameters >= 1000 else str(parameters)
            ax.text(left + width / 2, 0.15, told, ha="center", va="top", fontsize=5.5, color="#2F6DB5")
        _arrow(ax, (left - step + width if place else -0.25, 0.5), (left, 0.5))
        ax.text(left + width + 0.02, 0.83, size, ha="center", va="bottom", fontsize=5.5, color="#5A5A5A")
    end = (len(boxes) - 1) * step + width
    _arrow(ax, (end, 0.5), (end + 0.35, 0.5))
    ax.text(end + 0.4, 0.5, "\n".join(RESPONSES), va="center", fontsize=6, linespacing=1.6)
    middle = (len(boxes) - 2) * step + width / 2
    _arrow(ax, (middle + 0.25, 0.8), (middle - 0.25, 0.8), connectionstyle="arc3,rad=1.1")
    ax.text(middle, 1.2, "state of step t − 1", ha="center", va="bottom", fontsize=5.5)
    told = f"task: {' | '.join(FEATURES)}"
    told += f", lag {' | '.join(map(str, LAGS))}" if config.task_vector == 6 else ""
    tasks = [(len(boxes) - 3) * step + width / 2]
    tasks += [3 * step + width / 2] if config.attention != "none" else []
    for x in tasks:
        _arrow(ax, (x, 1.18), (x, 0.8))
    ax.text(max(tasks) + 0.15, 1.2, told, ha="right", va="bottom", fontsize=5.5)
    ax.set(xlim=(-1.2, end + 1.4), ylim=(-0.25, 1.4), xticks=(), yticks=(), aspect="equal")
    ax.spines[:].set_visible(False)


def _arrow(ax: Axes, start: tuple[float, float], end: tuple[float, float], **look) -> None:
    look = {
        "arrowstyle": "-|>",
        "mutation_scale": 5,
        "lw": 0.7,
        "color": "#3A3A3A",
        "shrinkA": 0,
        "shrinkB": 0,
    } | look
    ax.add_patch(FancyArrowPatch(start, end, clip_on=False, **look))
