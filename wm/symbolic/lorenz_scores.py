"""What the saved Lorenz networks learned of the system, measured once, beside floor, controls and baselines.

A network goes on by itself from true prompts; its strings, and equally many true ones of trajectories of
their own, are compared with a large set of true strings, the reference (`wm.symbolic.lorenz_compare`). True
strings give the floor, what chance alone makes of these numbers. Controls: the n-gram and the hazard model
that validation chooses, a Markov chain of order 1 (where a hold ends by chance), and shuffled strings. Losses
are those on windows of an unseen trajectory; one above `lorenz.entropy_bound()` leaves something unused, the
best may lie below it. `wm states symbolic lorenz_scores` writes, `table` and `curves` read::

    data_json/symbolic/lorenz_scores.csv   a row for each network, and for each set of strings of a control
    data_json/symbolic/lorenz_curves.csv   means over networks, or over sets, with 95 % t-intervals
"""

from __future__ import annotations

__all__ = ["COLUMNS", "CONTROLS", "baselines", "curve", "curves", "measure", "table"]

from collections.abc import Mapping, Sequence

import numpy as np
import pandas as pd

from .. import measured
from ..estimate import Band, mean_band, wilson_interval
from ..train import numpy_generator
from . import lorenz
from .derived import saved_families
from .families import FAMILIES
from .library import Trained, load_family
from .lorenz_compare import (
    LAGS,
    LATE,
    SYMBOLS,
    Late,
    Model,
    distances,
    go_on,
    hazard_r2,
    held_curves,
    late,
    losses,
    predictions,
    summary,
    windows,
)
from .ngram import Hazard, NGram, best_order, fit_hazard
from .runs import autocorrelation, hold_band

CONTROLS = ("true", "hazard", "ngram", "markov", "shuffled")
COLUMNS = {
    "order": "symbols, or earlier runs, that a baseline looks back",
    "nll": "loss on windows of an unseen trajectory, mean over all places, nats a symbol",
    "late_nll": "the same at the last 8 places",
    "early_nll": "the same at places 17 to 24",
    "hazard_r2": "how well predicted chances to leave a wing follow the true ones by time held",
    "autocorrelation": "root mean square difference from true strings",
    "hold": "largest difference of cumulative hold-time distributions from those of true strings",
    **{f"share_{symbol}": f"share of symbol {symbol}" for symbol in range(SYMBOLS)},
}
"""columns of the table after family, network and seed"""
STRINGS, STEPS = 20, 1500
REFERENCE, SETS = 200, 6
_ORDERS, _EARLIER = range(3, 40, 4), range(7)  # up to where pasts can be numbered
_EARLY = slice(16, 24)
_DRAWN_LAGS = np.r_[0:101, 104 : LAGS + 1 : 4]
_DRAWN_HOLDS = 64
_NO_BAND = ("hazard", "shuffled")  # their strings are scored, not drawn


def measure(
    families: Sequence[str] | None = None, *, device: str = "cpu", strings: int = STRINGS, steps: int = STEPS
) -> pd.DataFrame:
    """Score the saved Lorenz networks and the controls, and write both tables; returns the rows of networks.

    strings, steps: how many of each network and of each set of a control, and their length. device: not
    used. Raises ValueError for another family, or if no network is saved; what `wm.measured.Measuring.save`
    raises.
    """
    wanted = saved_families(families, among=("lorenz",))
    options = {"device": "cpu", "families": families, "strings": strings, "steps": steps}
    run = measured.Measuring("symbolic/lorenz_scores", measure, wanted, known=FAMILIES, options=options)
    networks = load_family("lorenz")
    context = networks[0].config.context
    models = {"lorenz": [each.model for each in networks]}
    models |= {name: [model] for name, model in baselines(context).items()}
    made = _strings(networks, models, strings, steps)
    scores, lines = _losses(models, context)
    rows, more = _compared(made, lorenz.sequences(REFERENCE, steps, part="reference"))
    rows = _named(rows.merge(scores, how="left", on=["family", "set"]), networks)
    run.save({"lorenz_scores": rows, "lorenz_curves": pd.concat([more, lines], ignore_index=True)})
    return rows[rows.family == "lorenz"].reset_index(drop=True)


def baselines(context: int) -> dict[str, NGram | Hazard]:
    """Predictors by counts of the training string: name -> predictor.

    ngram and hazard: of the order with the smallest loss on validation windows of this context; markov: of
    order 1; shuffled: of order 0, the shares of the symbols.
    """
    train, valid = lorenz.recording("train")[None], windows(lorenz.recording("validation"), context)[0]
    ngram = best_order(train, valid, _ORDERS, SYMBOLS).best
    hazards = [fit_hazard(train, SYMBOLS, earlier=earlier) for earlier in _EARLIER]
    hazard = min(hazards, key=lambda model: model.nll(valid).mean())
    return {"hazard": hazard, "ngram": ngram, "markov": ngram.truncated(1), "shuffled": ngram.truncated(0)}


# ---------------------------------------------------------------- strings


def _strings(
    networks: Sequence[Trained], models: Mapping[str, Sequence[Model]], strings: int, steps: int
) -> dict[str, np.ndarray]:
    """Strings (network or set, trial, time) of each family."""
    context = networks[0].config.context
    made = [go_on(each.model, strings, steps, context=context, seed=each.seed) for each in networks]
    found = {"lorenz": np.stack(made)}
    shape = (SETS, strings, steps)
    found["true"] = lorenz.sequences(SETS * strings, steps, part="floor").reshape(shape)
    for name in ("hazard", "ngram", "markov"):
        (model,) = models[name]
        seen = getattr(model, "order", context)
        found[name] = go_on(model, SETS * strings, steps, context=seen, seed=name).reshape(shape)
    found["shuffled"] = numpy_generator(0, "shuffled lorenz").permuted(found["true"], axis=-1)
    return found


def _compared(made: Mapping[str, np.ndarray], reference: np.ndarray) -> tuple[pd.DataFrame, pd.DataFrame]:
    """Distances of each set of strings from the reference, and curves of all of them."""
    truth, rows = summary(reference), []
    each_r = autocorrelation(reference, SYMBOLS, LAGS)
    lines = [
        *_lines("true", "autocorrelation", mean_band(each_r[..., _DRAWN_LAGS]), _DRAWN_LAGS),
        *_lines("true", "hold", hold_band(reference, SYMBOLS, _DRAWN_HOLDS)),
    ]
    for family, sets in made.items():
        found = [summary(own) for own in sets]
        for k, own in enumerate(found):
            shares = {f"share_{symbol}": share for symbol, share in enumerate(own.share)}
            rows.append({"family": family, "set": k} | distances(own, truth) | shares)
        if family in ("true", *_NO_BAND):
            continue
        r = np.stack([own.autocorrelation[..., _DRAWN_LAGS] for own in found])
        chance = np.stack([np.diff(own.held, prepend=0)[..., :_DRAWN_HOLDS] for own in found])
        lines += _lines(family, "autocorrelation", _band(r), _DRAWN_LAGS)
        lines += _lines(family, "hold", _band(chance))
    return pd.DataFrame(rows), pd.concat(lines, ignore_index=True)


def _lines(family: str, name: str, band: Band, x: np.ndarray | None = None) -> list[pd.DataFrame]:
    """Rows of the curve of each symbol: a band of (symbol, x)."""
    return [_line(family, name, Band(*own), x, symbol) for symbol, own in enumerate(zip(*band, strict=True))]


def _line(family: str, name: str, band: Band, x: np.ndarray | None = None, symbol: int = -1) -> pd.DataFrame:
    """Rows of a curve, x by default from 1; symbol -1: of no symbol alone."""
    x = np.arange(1, len(band.estimate) + 1) if x is None else x
    values = {"mean": band.estimate, "low": band.low, "high": band.high}
    return pd.DataFrame({"family": family, "curve": name, "symbol": symbol, "x": x, **values}).round(4)


def _band(values: np.ndarray) -> Band:
    """Mean and interval over the first axis; no interval of a single one."""
    if len(values) > 1:
        return mean_band(values)
    return Band(values[0], *np.full((2, *values[0].shape), np.nan))


# ---------------------------------------------------------------- losses


def _losses(models: Mapping[str, Sequence[Model]], context: int) -> tuple[pd.DataFrame, pd.DataFrame]:
    """Losses of each model, a row for each network or set, and curves by place and by time held."""
    tokens, held = windows(lorenz.recording("test"), context)
    rows, lines = [], []
    for family, own in models.items():
        by_place, curves = [], []
        for model in own:
            logs = predictions(model, tokens)
            ends = late(logs, tokens, held)
            by_place.append(losses(logs, tokens).mean(axis=0))
            curves.append(held_curves(ends, context))
            rows.append(_loss_row(by_place[-1], ends, context) | {"family": family, "order": _order(model)})
        lines.append(_line(family, "nll", _band(np.stack(by_place))))
        for name, column in (("switch", "p_switch"), ("held_nll", "nll")):
            lines.append(_line(family, name, _band(np.stack([curve[column] for curve in curves]))))
    lines.append(_line("true", "switch", _shares(curves[0])))
    found = pd.DataFrame(rows)
    found["set"] = found.groupby("family").cumcount()
    return _for_all_sets(found), pd.concat(lines, ignore_index=True)


def _loss_row(by_place: np.ndarray, ends: Late, context: int) -> dict[str, float]:
    places = {"nll": slice(None), "late_nll": slice(-LATE, None), "early_nll": _EARLY}
    means = {name: by_place[where].mean() for name, where in places.items()}
    return means | {"hazard_r2": hazard_r2(ends, context)}


def _order(model: Model) -> float:
    """Symbols or earlier runs that a baseline looks back; NaN for a network."""
    return getattr(model, "order", getattr(model, "earlier", np.nan))


def _shares(rows: pd.DataFrame) -> Band:
    """How often a wing is left, by time held, with 95 % Wilson intervals."""
    seen = rows.fillna(0)
    ends = [
        wilson_interval(round(share * n), n) if n else (np.nan, np.nan)
        for share, n in zip(seen.switch, seen.n.astype(int), strict=True)
    ]
    return Band(rows.switch.to_numpy(), *np.transpose(ends))


def _for_all_sets(found: pd.DataFrame) -> pd.DataFrame:
    """A baseline makes many sets of strings: its losses in the row of each."""
    networks, counted = (rows for _, rows in found.groupby(found.family != "lorenz"))
    sets = pd.DataFrame({"set": range(SETS)})
    return pd.concat([networks, counted.drop(columns="set").merge(sets, "cross")])


def _named(rows: pd.DataFrame, networks: Sequence[Trained]) -> pd.DataFrame:
    """Rows with the names and seeds of the networks, those of controls numbered."""
    names = [f"{family}-{k:02d}" for family, k in zip(rows.family, rows.set, strict=True)]
    names[: len(networks)] = [each.name for each in networks]
    seeds = [each.seed for each in networks] + [""] * (len(rows) - len(networks))
    return rows.assign(network=names, seed=seeds)[["family", "network", "seed", *COLUMNS]]


# ---------------------------------------------------------------- what was measured


def table() -> pd.DataFrame:
    """The shipped rows; columns in `COLUMNS`. Raises `wm.store.DamagedFile` if the file is missing."""
    return measured.read("symbolic", "lorenz_scores")


def curves() -> pd.DataFrame:
    """The shipped curves: family, curve, symbol, x, mean, low, high. Raises `wm.store.DamagedFile`.

    curve, by x: autocorrelation by lag and hold (a probability) by length, of each symbol; nll by place;
    switch and held_nll by time held on a wing, for `true` how often a wing is left. Intervals are over
    networks, over sets of strings, or for `true` over strings or symbols.
    """
    return measured.read("symbolic", "lorenz_curves", "lorenz_scores")


def curve(rows: pd.DataFrame, family: str, name: str, symbol: int = -1) -> pd.DataFrame:
    """One curve: x, mean, low, high. Raises ValueError if the rows do not have it."""
    own = rows[(rows.family == family) & (rows.curve == name) & (rows.symbol == symbol)]
    if own.empty:
        raise ValueError(f"there is no curve {name!r} of family {family!r} and symbol {symbol}")
    return own.reset_index(drop=True)
