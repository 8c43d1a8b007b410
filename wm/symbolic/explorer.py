"""What there is to see of a saved symbolic network: views with settings, widgets, an animation, the record.

    from wm.symbolic import explorer
    explorer.generation("cycle-00", prompt="0011", edit="multiply", strength=5)   # a figure, no widgets
    explorer.explore("cycle-00")                                                  # all views, with sliders

`explore` offers what suits a network: `attention` is for transformers, `states` for others; `features` and
edits of them are for networks with a shipped dictionary (`wm.symbolic.dictionaries`).
"""

from __future__ import annotations

__all__ = [
    "VIEWS", "Settings", "about", "animate", "attention", "explore", "features", "generation", "states",
    "training", "views",
]  # fmt: skip

from collections.abc import Mapping
from functools import lru_cache
from typing import Any

import numpy as np
import pandas as pd
import torch
from matplotlib.figure import Figure

from .. import explore as look
from .. import store, style
from . import attention as heads
from . import explorer_case as cases
from . import explorer_plots as panels
from . import library
from .dictionaries import HOOKS
from .evaluate import log_probabilities
from .explorer_case import PUBLISHED_PROMPT, STAGES, Case, Settings
from .explorer_film import film
from .stages import MAIN, last_states, stages
from .strips import draw_key, draw_strings
from .transformer import Transformer

_SHOWN = 20  # symbols of a prompt that are drawn, at most
_SMOKE = {"steps": 6, "candidates": 4}
_DOSES = np.linspace(-20, 20, 81)


# ---------------------------------------------------------------- views


@look.view(Settings)
def generation(network: str, settings: Settings) -> Figure:
    """A string symbol by symbol, edited and not, what was predicted at each step, how long symbols last."""
    case = cases.case_of(network, settings)
    before, found = case.window[0, -_SHOWN:], cases.edited(case, settings)
    strings = cases.strings(case, settings, found)
    own, *_ = strings
    exact = {name: cases.chances(case, tokens) for name, tokens in strings.items()}
    wrong = {name: _impossible(tokens, exact[name]) for name, tokens in strings.items()}
    shares = {"network": found.probabilities[0]}
    if exact[own] is not None:
        shares["exact"] = exact[own]
    rows = [["strings"], *([f"P {name}"] for name in shares), ["runs"]]
    heights = [0.26 * len(strings) + 0.2, *[0.6] * len(shares), 0.8]
    fig, ax = style.figure(19, 3.2 + 2.7 * sum(heights), rows, height_ratios=heights)
    draw_strings(ax["strings"], {name: (before, tokens, wrong[name]) for name, tokens in strings.items()})
    draw_key(ax["strings"], dots=bool(case.process))
    for name, share in shares.items():
        panels.draw_chances(ax[f"P {name}"], share)
    together = {name: np.r_[before, tokens] for name, tokens in strings.items()}
    panels.draw_runs(ax["runs"], together, len(before), case.process.holding if case.process else ())
    for each in ax.values():
        each.set(xlim=ax["strings"].get_xlim(), xlabel="")
        each.tick_params(labelbottom=each is ax["runs"])
    ax["runs"].set_xlabel("symbols generated")
    ax["strings"].set_title("prompt, and what follows", loc="left")
    ax["P network"].set_title(f"chances that the network gave to the symbols, {own} string", loc="left")
    if "P exact" in ax:
        ax["P exact"].set_title(f"exact chances, {own} string", loc="left")
    fig.suptitle(f"{cases.said(case, settings)}: generation", fontweight="bold")
    return fig


def _impossible(tokens: np.ndarray, exact: np.ndarray | None) -> np.ndarray:
    """Which symbols of a string (step,) have no chance, as far as these are known."""
    return np.zeros(len(tokens), bool) if exact is None else exact[np.arange(len(tokens)), tokens] == 0


@look.view(Settings)
def attention(network: str, settings: Settings) -> Figure:
    """Where each head looks in the prompt's window, and what the residual stream holds at the chosen layer.

    With a dictionary: also what it makes of that. Raises ValueError for networks without attention.
    """
    case = cases.case_of(network, settings)
    config, model = case.trained.config, case.trained.model
    if not isinstance(model, Transformer):
        raise ValueError(f"{network} has no attention: look at `states`")
    pattern = np.concatenate([heads.patterns(model, case.window, k)[0] for k in range(config.layers)])
    entropy = heads.entropies(pattern)
    layers = [f"layer {k}, " * (config.layers > 1) for k in range(config.layers) for _ in range(config.heads)]
    names = [f"{layer}head {k % config.heads}: {entropy[k, -1]:.2f}" for k, layer in enumerate(layers)]
    wide = int(np.ceil(np.sqrt(len(names))))
    grid = [names[k : k + wide] for k in range(0, len(names), wide)]
    grid[-1] = [*grid[-1], *"." * (wide - len(grid[-1]))]
    residuals = _residuals(case, settings.layer)
    fig, ax = style.figure(
        19, 11, [[grid, [["entropy"], *([name] for name in residuals)]]], width_ratios=[1.5, 1]
    )
    panels.draw_heads([ax[name] for name in names], pattern, case.window[0], names)
    panels.draw_entropies(ax["entropy"], entropy, config.layers)
    panels.draw_residuals([ax[name] for name in residuals], residuals)
    first_block = bool(config.mlp and settings.layer)  # attention is then not the last part of a block
    where = "after the first block" if first_block else STAGES[settings.layer]
    ax[[*residuals][0]].set_title(f"residual stream {where}", loc="left")
    fig.suptitle(f"{network}: attention in the prompt, its entropy at the end (nats)", fontweight="bold")
    return fig


@torch.no_grad()
def _residuals(case: Case, layer: int) -> dict[str, np.ndarray]:
    """The residual stream in the prompt's window (place, dimension), its reconstruction, what that lacks."""
    x = cases.seen(case, case.window[0], HOOKS[layer])
    if case.trained.name not in cases.dictionaries_at(layer):
        return {"original": x}
    again = cases.dictionary(case.trained.name, layer)(torch.as_tensor(x)).numpy()
    return {"original": x, "dictionary": again, "difference": x - again}


@look.view(Settings)
def features(network: str, settings: Settings) -> Figure:
    """The most active features by phase, what they do, and what the chosen one does by dose.

    By phase: at the last place of all full windows of the cycle. Raises ValueError without a dictionary.
    """
    case, sae = cases.case_of(network, settings), cases.dictionary(network, settings.layer)
    chosen, tuning = cases.chosen(case, settings), cases.tuning(case, sae)
    now, symbols = cases.features_at(case, sae, case.window)[0], case.trained.config.symbols
    shown = _candidates(tuning, settings.candidates, chosen)
    row = int(np.flatnonzero(shown == chosen)[0])
    mosaic = [["raster", "now", "effects", "dose"], ["raster", "now", "effects", "tuning"]]
    fig, ax = style.figure(19, 9.5, mosaic, width_ratios=[2.2, 0.7, 0.75, 1.7])
    panels.draw_raster(ax["raster"], tuning[shown], [*shown], chosen, symbols)
    panels.draw_activations(ax["now"], now[shown], row)
    panels.draw_effects(ax["effects"], (sae.W_dec @ case.trained.model.W_U).numpy()[shown])
    kind = "multiply" if settings.edit in ("none", "ablate") else settings.edit
    unit = {"multiply": "multiplied by", "add": "plus", "clamp": "set to"}[kind]
    here = {"none": 1.0, "ablate": 0.0}.get(settings.edit, settings.strength)
    exact = cases.chances(case, np.zeros(1, int))[0]
    panels.draw_dose(ax["dose"], _DOSES, _by_dose(case, settings, kind), exact=exact, here=here)
    after = "prediction after the prompt" if now[chosen] else "after the prompt (it is silent there)"
    ax["dose"].set(xlabel=f"feature {chosen} {unit}", title=after)
    panels.draw_tuning(ax["tuning"], tuning[chosen], symbols)
    ax["tuning"].set_title(f"feature {chosen} by phase")
    fig.suptitle(f"{network}: features of the dictionary {STAGES[settings.layer]}", fontweight="bold")
    return fig


def _candidates(tuning: np.ndarray, count: int, chosen: int) -> np.ndarray:
    """Features with the highest mean activation, and the chosen one, sorted by the phase that they prefer."""
    highest = np.argsort(-tuning.mean(axis=1), kind="stable")[:count]
    shown = np.unique([*highest[tuning[highest].any(axis=1)], chosen])
    return shown[np.argsort(tuning[shown].argmax(axis=1), kind="stable")]


def _by_dose(case: Case, settings: Settings, kind: str) -> np.ndarray:
    """Chances of the symbol after the prompt (dose, symbol), by strength of an edit."""
    strength = torch.as_tensor(_DOSES, dtype=torch.float32)[:, None, None]
    windows = np.repeat(case.window, len(_DOSES), axis=0)
    with case.trained.model.hooks(cases.hooks(case, settings, kind, strength)) as model:
        return np.exp(log_probabilities(model, windows)[:, -1])


@look.view(Settings)
def states(network: str, settings: Settings) -> Figure:
    """Units of a network without attention while it generates, and their path among the phases of the cycle.

    At each step those at the newest symbol. Raises ValueError for transformers.
    """
    case = cases.case_of(network, settings)
    model, config = case.trained.model, case.trained.config
    if isinstance(model, Transformer):
        raise ValueError(f"{network} is a transformer: look at `attention`")
    windows = cases.windows(case, cases.edited(case, settings).tokens[0])
    found = {
        name: np.stack([cases.seen(case, window, point)[-1] for window in windows])
        for name, point in stages(model).items()
    }
    newest = np.array([window[-1] for window in windows])
    rows = [["string", "plane"], *([name, "plane"] for name in found)]
    ratios = {"width_ratios": [1.5, 1], "height_ratios": [0.12, *[1] * len(found)]}
    fig, ax = style.figure(19, 9, rows, **ratios)
    panels.draw_units(ax["string"], [ax[name] for name in found], newest, found)
    panels.draw_path(ax["plane"], last_states(case.trained), found[MAIN[config.model]], newest)
    fig.suptitle(f"{network}: units while it generates", fontweight="bold")
    return fig


@look.view(Settings)
def training(network: str, _: Settings) -> Figure:
    """Loss and accuracy while the network was trained, and the best that is possible where it is known."""
    trained = cases.loaded(network)
    config, history = trained.config, store.load_network("symbolic", network).history
    source = None if config.process == "lorenz" else config.source()
    fig, ax = style.figure(19, 6.5, [["loss", "accuracy"]])
    for name, limit in (("loss", "floor"), ("accuracy", "ceiling")):
        best = getattr(source, limit)(config.context) if source else None
        values = history.get(f"expected_{name}", history.get(name, []))
        ax[name].plot(history.get("step", []), values, color=style.COLORS[config.family], lw=1.1)
        if best is not None:
            ax[name].axhline(best, **style.CHANCE)
            style.line_label(ax[name], best, f"{limit} {best:.4g}", x=0.3)
        score, last = trained.record["scores"][name], trained.record["scores"][f"last_{name}"]
        ax[name].set_title(f"in the end {score:.4g}, at the last place {last:.3g}", loc="left")
        ax[name].set(xlabel="updates", xscale="log")
    ax["loss"].set_ylabel("loss (nats a symbol)")
    ax["accuracy"].set_ylabel("accuracy of the likeliest symbol")
    fig.suptitle(f"{network}: training", fontweight="bold")
    return fig


VIEWS: Mapping[str, look.View] = {
    "generation": generation, "attention": attention, "states": states, "features": features,
    "training": training,
}  # fmt: skip
"""name -> view(network, **settings)"""


def views(network: str) -> dict[str, look.View]:
    """The views that suit a saved network."""
    is_transformer = isinstance(cases.loaded(network).model, Transformer)
    known = network in cases.dictionaries_at(0)
    suits = {"attention": is_transformer, "states": not is_transformer, "features": known}
    return {name: view for name, view in VIEWS.items() if suits.get(name, True)}


# ---------------------------------------------------------------- explore, animate, about


def explore(network: str, *, smoke: bool = False, **settings: Any) -> Any:
    """Widgets with the views that suit this network, for all of its family: see `wm.explore.explorer`.

    smoke: coarse pictures in place of widgets.
    """
    config = cases.loaded(network).config
    if smoke:
        return look.still(views(network), network, **_SMOKE | settings)
    first = {} if config.process == "lorenz" else {"prompt": PUBLISHED_PROMPT}
    return look.explorer(views(network), Settings, library.names(config.family), network, **first | settings)


def animate(network: str, *, smoke: bool = False, **settings: Any) -> Any:
    """Generation step by step as a film with buttons, `IPython.display.HTML`; smoke: few steps.

    The window that the network sees; below it where each head looks from the newest place, or the units at
    each place; chances of the next symbol, with the exact ones as black lines; the symbol drawn.
    """
    chosen = look.made(Settings, (_SMOKE if smoke else {}) | settings)
    return _page(network, chosen, cases.stamps(network))


@lru_cache(maxsize=4)
def _page(network: str, settings: Settings, _stamps: tuple[int, ...]) -> Any:
    return look.film(film(network, settings), fps=4)


def about(network: str) -> pd.DataFrame:
    """Record of a saved symbolic network: command, scores, training, configuration; costs in nats."""
    return look.about("symbolic", network)
