"""Look at saved networks by hand: views with typed settings, and widgets around them.

A view is a function `view(network, **settings) -> Figure`, made by `view` from a drawing function and a
frozen dataclass of settings. `explorer` puts a list of networks and a control for each setting beside it:
numbers `Annotated` with a `Range` are sliders, a `Literal` is a list, bool a box, str a line of text.
ipywidgets is imported when widgets are made: views, `still` and `about` work without it.
"""

from __future__ import annotations

__all__ = ["Range", "View", "about", "controls", "explorer", "film", "made", "still", "view"]

import base64
import functools
import io
import os
import re
from collections.abc import Callable, Mapping, Sequence
from dataclasses import fields
from typing import TYPE_CHECKING, Any, Literal, NamedTuple, get_args, get_origin, get_type_hints

import matplotlib
import matplotlib.pyplot as plt
import pandas as pd
from matplotlib.animation import Animation
from matplotlib.figure import Figure

from . import store, style
from .text import nearest

if TYPE_CHECKING:
    import ipywidgets

View = Callable[..., Figure]
_DPI = 110
_SIGNS = {
    "minus": "−", "fast-backward": "⇤", "step-backward": "←", "play fa-flip-horizontal": "◂", "pause": "‖",
    "play": "▸", "step-forward": "→", "fast-forward": "⇥", "plus": "+",
}  # fmt: skip


class Range(NamedTuple):
    """Values that a number can have, both ends included, and the step of its slider."""

    low: float
    high: float
    step: float


def made(kind: type, given: Mapping[str, Any]) -> Any:
    """Settings of a dataclass from given values; ValueError for unknown names, wrong types or ranges.

    Whole numbers are taken for float settings.
    """
    names = [each.name for each in fields(kind)]
    if unknown := [name for name in given if name not in names]:
        raise ValueError(f"unknown setting {unknown[0]!r}: {nearest(unknown[0], names)}")
    given, types = dict(given), get_type_hints(kind)
    for name, value in given.items():
        allowed, wanted = _allowed(kind)[name], types[name]
        if wanted is float and type(value) is int:
            given[name] = value = float(value)
        if isinstance(wanted, type) and type(value) is not wanted:
            raise ValueError(f"{name} must be of type {wanted.__name__}, got {value!r}")
        if isinstance(allowed, Range) and not allowed.low <= value <= allowed.high:
            raise ValueError(f"{name} must lie in [{allowed.low:g}, {allowed.high:g}], got {value}")
        if isinstance(allowed, tuple) and not isinstance(allowed, Range) and value not in allowed:
            raise ValueError(f"{name} must be one of {', '.join(map(str, allowed))}, got {value!r}")
    return kind(**given)


def _allowed(kind: type) -> dict[str, Range | tuple | type]:
    """What each setting can be: a `Range`, the words of a `Literal`, or a type."""
    found = {}
    for name, hint in get_type_hints(kind, include_extras=True).items():
        range_ = next((part for part in get_args(hint) if isinstance(part, Range)), None)
        found[name] = range_ or (get_args(hint) if get_origin(hint) is Literal else hint)
    return found


def view(kind: type) -> Callable[[Callable[[str, Any], Figure]], View]:
    """Decorator: `draw(network, settings) -> Figure` becomes `view(network, **settings) -> Figure`.

    It draws in the style of the repository without changing the caller's, and leaves no figure open.
    """

    def decorate(draw: Callable[[str, Any], Figure]) -> View:
        @functools.wraps(draw)
        def panels(network: str, **settings: Any) -> Figure:
            chosen, earlier = made(kind, settings), plt.get_fignums()
            with matplotlib.rc_context():
                style.use()
                try:
                    return draw(network, chosen)
                finally:  # an open figure would be shown a second time
                    for number in {*plt.get_fignums()} - {*earlier}:
                        plt.close(number)

        return panels

    return decorate


def still(views: Mapping[str, View], network: str, **settings: Any) -> Any:
    """All views below each other as pictures, an `IPython.display.HTML`: what needs no widgets."""
    from IPython.display import HTML

    pictures = (_png(draw(network, **settings)) for draw in views.values())
    return HTML("\n".join(f'<img src="data:image/png;base64,{picture}">' for picture in pictures))


def film(animation: Animation, fps: int = 12) -> Any:
    """An animation with buttons, an `IPython.display.HTML`; it is kept whole up to 50 MB.

    matplotlib has the signs on its buttons from a web site, which not everyone can reach: here they are text.
    """
    from IPython.display import HTML

    with matplotlib.rc_context({"animation.embed_limit": 50}):
        page = re.sub("<link[^>]*>", "", animation.to_jshtml(fps=fps))
    for name, sign in _SIGNS.items():
        page = page.replace(f'<i class="fa fa-{name}"></i>', sign)
    return HTML(page)


def explorer(
    views: Mapping[str, View], kind: type, networks: Sequence[str], network: str, *,
    above: Callable[[Mapping[str, ipywidgets.Widget]], ipywidgets.Widget] | None = None, **settings: Any,
) -> Any:  # fmt: skip
    """Widgets: one of the views of one of the networks, with a control for each setting of the dataclass.

    A change of anything redraws the view; an error is told in its place. above: makes a widget, of the
    controls by setting, that comes before everything, such as one that sets them. Under the strict notebook
    runner (`WM_RUN`), where nobody can move a slider, it is `still`.
    """
    start = made(kind, settings)
    if os.environ.get("WM_RUN"):
        return still(views, network, **settings)
    import ipywidgets as widgets

    names = sorted({*networks, network})
    chosen = {
        "view": widgets.ToggleButtons(options=list(views), style={"button_width": "auto"}),
        "network": widgets.Dropdown(options=names, value=network, description="network"),
    }
    own, output = controls(kind, start), widgets.Output()

    def redraw(_: Any = None) -> None:
        values = {name: control.value for name, control in own.items()}
        output.outputs = (_shown(views[chosen["view"].value], chosen["network"].value, values),)

    for control in (chosen | own).values():
        control.observe(redraw, "value")
    redraw()
    side = widgets.VBox([chosen["network"], *own.values()], layout={"min_width": "310px"})
    top = [above(own)] if above else []
    return widgets.VBox([*top, chosen["view"], widgets.HBox([side, output])])


def controls(kind: type, values: Any) -> dict[str, ipywidgets.Widget]:
    """A widget for each setting of a dataclass, with the value that it has in `values`."""
    return {name: _control(name, allowed, getattr(values, name)) for name, allowed in _allowed(kind).items()}


def _control(name: str, allowed: Range | tuple | type, value: Any) -> ipywidgets.Widget:
    import ipywidgets as widgets

    look = {"description": name.replace("_", " "), "value": value, "style": {"description_width": "100px"}}
    if isinstance(allowed, Range):
        slider = widgets.IntSlider if isinstance(value, int) else widgets.FloatSlider
        ends = {"min": allowed.low, "max": allowed.high, "step": allowed.step}
        return slider(**look, **ends, continuous_update=False)
    if isinstance(allowed, tuple):
        return widgets.Dropdown(**look, options=allowed)
    return widgets.Checkbox(**look) if allowed is bool else widgets.Text(**look, continuous_update=False)


def _shown(draw: View, network: str, settings: Mapping[str, Any]) -> dict[str, Any]:
    """What an Output widget holds: the picture, or the words of what is wrong with the settings."""
    try:
        data = {"image/png": _png(draw(network, **settings)), "text/plain": f"{network}"}
    except (ValueError, store.StoreError) as error:
        return {"output_type": "stream", "name": "stderr", "text": f"{error}\n"}
    return {"output_type": "display_data", "data": data, "metadata": {}}


def _png(fig: Figure) -> str:
    buffer = io.BytesIO()
    fig.savefig(buffer, format="png", dpi=_DPI, facecolor="white")
    return base64.b64encode(buffer.getvalue()).decode()


def about(system: str, network: str) -> pd.DataFrame:
    """Record of a saved network as a table: how to make it again, scores, training, configuration.

    Raises what `wm.store.load_network` raises.
    """
    record = store.load_network(system, network).record
    parts = {"scores": {}, "training": {}, "config": {}} | record
    rows = {key: value for key, value in record.items() if not isinstance(value, dict)}
    for part in ("scores", "training", "config"):
        rows |= {f"{part}: {key}": value for key, value in parts[part].items() if not isinstance(value, list)}
    return pd.DataFrame({f"{system}/{network}": rows.values()}, index=list(rows))
