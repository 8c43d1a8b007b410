"""Thumbnails of objects, from which a trial is built by clicking."""

from __future__ import annotations

__all__ = ["shelf"]

import base64
import io
from typing import TYPE_CHECKING

import numpy as np
from PIL import Image

from .design import LOCATIONS, VIEWS
from .explorer_case import LONGEST, Item, code, known, short
from .render import render
from .stimuli import StimulusSet

if TYPE_CHECKING:
    import ipywidgets

_PIXELS = 48


def shelf(trial: ipywidgets.Text, stimuli: StimulusSet) -> ipywidgets.Widget:
    """Buttons that write into `trial`: a click on an object appends it, as view and location say.

    Objects that are never trained have a red frame.
    """
    import ipywidgets as widgets

    views = [(f"{view.azimuth:g}°" + (", up" if role == "extrapolating" else ""), k)
             for k, (view, role) in enumerate(VIEWS)]  # fmt: skip
    narrow = {"button_width": "auto"}
    view = widgets.ToggleButtons(options=views, value=3, description="view", style=narrow)
    location = widgets.ToggleButtons(
        options=[(name, k) for k, name in enumerate(LOCATIONS)], description="location", style=narrow
    )

    def append(identity: int) -> None:
        words = trial.value.split()
        if len(words) < LONGEST:
            trial.value = " ".join([*words, code(Item(identity, view.value, location.value), stimuli)])

    def shorten(keep: slice) -> None:
        trial.value = " ".join(trial.value.split()[keep])

    last, everything = (widgets.Button(description=text) for text in ("take the last away", "draw one"))
    last.on_click(lambda _: shorten(slice(0, -1)))
    everything.on_click(lambda _: shorten(slice(0, 0)))
    trained = {item.identity for item, split in known(stimuli).items() if split == "trained"}
    objects = dict.fromkeys(item.identity for item in known(stimuli))
    rows, rules = [], [_rule(identity, identity in trained, stimuli) for identity in objects]
    for category in stimuli.design.categories:
        own = [k for k in objects if stimuli.classes("identity")[k][0] == category]
        rows.append(widgets.HBox([_button(identity, stimuli, append) for identity in own]))
    pictures = widgets.HTML(f"<style>{''.join(rules)}</style>")
    return widgets.VBox([pictures, *rows, view, widgets.HBox([location, last, everything])])


def _button(identity: int, stimuli: StimulusSet, append) -> ipywidgets.Button:
    import ipywidgets as widgets

    size = f"{_PIXELS}px"
    tip = f"{' '.join(stimuli.classes('identity')[identity])}: {short(Item(identity, 0, 0), stimuli)}"
    button = widgets.Button(tooltip=tip, layout={"width": size, "height": size})
    button.add_class(f"wm-object-{identity}")
    button.on_click(lambda _: append(identity))
    return button


def _rule(identity: int, trained: bool, stimuli: StimulusSet) -> str:
    """Style of a button: the picture of its object."""
    mesh = stimuli.library.mesh(*stimuli.classes("identity")[identity])
    buffer = io.BytesIO()
    Image.fromarray(np.ascontiguousarray(render(mesh, VIEWS[3][0], _PIXELS))).save(buffer, "PNG")
    data = base64.b64encode(buffer.getvalue()).decode()
    frame = "1px solid #9A9A9A" if trained else "2px solid #B5386B"
    return f".wm-object-{identity} {{background: url(data:image/png;base64,{data}) center; border: {frame};}}"
