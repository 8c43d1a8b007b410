"""What edits at the last position do to a prediction: doses, controls of equal norm, and patching.

An edit moves the residual of the last position, x' = x + d, at stage 0 (before attention) or 1 (after it);
its controls move it by as much, |d|, along a random direction, or with the same coefficients on other
features that are alive. In patching, x (or the z of heads) is replaced by that of a window in another phase.
`wm states symbolic interventions` writes, and `table` reads::

    data_json/symbolic/interventions.csv            published procedure: a row for each stage and factor
    data_json/symbolic/interventions_features.csv   the same for each active feature
    data_json/symbolic/interventions_dose.csv       a row for each edit, strength and control
    data_json/symbolic/interventions_patch.csv      a row for each place that was patched
"""

from __future__ import annotations

__all__ = [
    "CONTROLS", "DOSES", "EDITS", "MEASURED", "control", "coefficients", "dose", "effects", "measure",
    "patched", "patching", "run_moved", "table",
]  # fmt: skip

from collections.abc import Sequence

import numpy as np
import pandas as pd
import torch
from torch import Tensor

from .. import measured
from ..train import torch_generator
from . import dictionaries, edits, screening
from .derived import saved_families
from .evaluate import kl
from .families import FAMILIES
from .hooks import Hooked
from .library import load_family
from .staging import Stage, prepare

MEASURED = ("cycle",)
"""families whose autoencoders are shipped"""
DOSES = {
    "multiply": (0.0, 0.5, 1.0, 2.0, 5.0, 10.0, 20.0),
    "multiply all": (0.0, 0.5, 1.0, 2.0, 5.0, 10.0, 20.0),
    "add": (0.25, 0.5, 1.0, 2.0, 4.0),
    "switch on": (0.5, 1.0, 2.0, 5.0, 10.0),
    "swap": (0.25, 0.5, 0.75, 1.0, 1.5, 2.0),
}
"""edits, see `coefficients`, and their strengths"""
EDITS = tuple(DOSES)
CONTROLS = ("none", "other features", "direction")
_AT_ONCE = 4096


# ---------------------------------------------------------------- effects


@torch.no_grad()
def run_moved(stage: Stage, phases: Tensor, moves: Tensor) -> Tensor:
    """Logits of the last position after x' = x + move, (trial, symbol); phases (trial,), moves (trial, d)."""
    parts = [
        stage.model.run_with_hooks(stage.tokens[own], [(stage.sae.cfg.hook_name, edits.steer(move))])[:, -1]
        for own, move in zip(phases.split(_AT_ONCE), moves.split(_AT_ONCE), strict=True)
    ]
    return torch.cat(parts)


def effects(clean: Tensor, edited: Tensor, right: Tensor) -> dict[str, Tensor]:
    """What became of predictions, logits (trial, symbol), right (trial,): each (trial,).

    kl: KL(clean || edited), nats; changed: whether the likeliest symbol is another; margin: change of the
    right symbol's logit over the highest other.
    """
    before, after = clean.double().log_softmax(dim=-1), edited.double().log_softmax(dim=-1)
    return {
        "kl": kl(before, after),
        "changed": (before.argmax(dim=-1) != after.argmax(dim=-1)).double(),
        "margin": _margin(after, right) - _margin(before, right),
    }


def _margin(logits: Tensor, right: Tensor) -> Tensor:
    own = logits.gather(1, right[:, None])[:, 0]
    return own - logits.scatter(1, right[:, None], -torch.inf).amax(dim=-1)


# ---------------------------------------------------------------- doses


def coefficients(stage: Stage, edit: str, strength: float) -> tuple[Tensor, Tensor, Tensor]:
    """f' - f of every trial of an edit, (trial, feature), with phase and target phase (trial,), -1 if none.

    multiply: one active feature, by `strength`; multiply all: all active features (0 ablates them); add:
    `strength` spreads along the row of one feature that some phase activates; switch on: one of these that is
    not active here, clamped to `strength` times its largest activation; swap: f' = f + strength (f_t - f),
    the features of another phase t that another symbol follows. Raises ValueError for an unknown edit.
    """
    f, active = stage.f, stage.f > 0
    used = active.any(dim=0)
    if edit == "multiply":
        phase, feature = active.nonzero(as_tuple=True)
        change = (strength - 1) * f[phase, feature]
    elif edit == "multiply all":
        phase = torch.arange(len(f))
        return (strength - 1) * f, phase, torch.full_like(phase, -1)
    elif edit == "add":
        phase, feature = used.expand_as(f).nonzero(as_tuple=True)
        change = strength * stage.spread / stage.sae.W_dec.norm(dim=-1)[feature]
    elif edit == "switch on":
        phase, feature = (used & ~active).nonzero(as_tuple=True)
        change = strength * f.amax(dim=0)[feature]
    elif edit == "swap":
        phase, target = (stage.right[:, None] != stage.right).nonzero(as_tuple=True)
        return strength * (f[target] - f[phase]), phase, target
    else:
        raise ValueError(f"edit {edit!r} is unknown: choose from {', '.join(EDITS)}")
    single = torch.zeros(len(phase), f.shape[1]).scatter(1, feature[:, None], change[:, None])
    return single, phase, torch.full_like(phase, -1)


def control(stage: Stage, change: Tensor, kind: str, generator: torch.Generator) -> Tensor:
    """Moves of x (trial, d) by f' - f (trial, feature), or by controls of the same norm.

    kind: none; direction: a random one for each trial; other features: the same coefficients on features that
    are alive and not edited, drawn for each trial (on edited ones where there are too few). Raises ValueError
    for another kind.
    """
    moves = change @ stage.sae.W_dec
    if kind == "none":
        return moves
    if kind == "direction":
        other = torch.randn(moves.shape, generator=generator)
    elif kind == "other features":
        keys = torch.rand(change.shape, generator=generator) + (change != 0).float() + 2 * (~stage.alive)
        largest = change.gather(1, change.abs().argsort(dim=1, descending=True))
        other = torch.zeros_like(change).scatter(1, keys.argsort(dim=1), largest) @ stage.sae.W_dec
    else:
        raise ValueError(f"control {kind!r} is unknown: choose from {', '.join(CONTROLS)}")
    return other * (moves.norm(dim=-1) / other.norm(dim=-1).clamp_min(1e-12))[:, None]


def dose(stage: Stage, *, draws: int = 2, seed: int | str = 0) -> pd.DataFrame:
    """Effect of every edit at every strength, a row with each of `CONTROLS`.

    norm: length of the move in spreads; kl, changed, margin: see `effects`; follows: share in which the
    likeliest symbol is the right one of the target phase. All are means over trials; a control has `draws`
    for each.
    """
    rows = []
    for edit, strengths in DOSES.items():
        for strength in strengths:
            for kind in CONTROLS:
                generator = torch_generator(seed, "controls", edit, str(strength), kind)
                repeats = 1 if kind == "none" else draws
                change, phase, target = (
                    torch.cat([each] * repeats) for each in coefficients(stage, edit, strength)
                )
                moves = control(stage, change, kind, generator)
                about = {"edit": edit, "strength": strength, "control": kind}
                rows.append(about | _summary(stage, phase, target, moves))
    return pd.DataFrame(rows)


def _summary(stage: Stage, phase: Tensor, target: Tensor, moves: Tensor) -> dict[str, float]:
    logits = run_moved(stage, phase, moves)
    found = effects(stage.logits[phase], logits, stage.right[phase])
    aimed = (target >= 0).all()
    follows = (logits.argmax(dim=-1) == stage.right[target]).double().mean().item() if aimed else np.nan
    norm = moves.norm(dim=-1).mean().item() / stage.spread
    return {"norm": norm} | {name: each.mean().item() for name, each in found.items()} | {"follows": follows}


# ---------------------------------------------------------------- patching


@torch.no_grad()
def patched(
    model: Hooked,
    tokens: Tensor,
    hook_name: str,
    *,
    at: edits.Positions = -1,
    heads: int | Sequence[int] | None = None,
) -> Tensor:
    """Logits of the last position with what each window shows put into each other, (window, donor, symbol).

    tokens: windows (window, time). Raises as `wm.symbolic.edits.patch` does.
    """
    count = len(tokens)
    donors = model.run_with_cache(tokens, hook_name)[1][hook_name]
    into, of = torch.arange(count).repeat_interleave(count), torch.arange(count).repeat(count)
    hook = edits.patch(donors[of], at=at, heads=heads)
    return model.run_with_hooks(tokens[into], [(hook_name, hook)])[:, -1].unflatten(0, (count, count))


def patching(stage: Stage) -> pd.DataFrame:
    """Does the prediction follow the phase that is patched in? A row for each place.

    place: stage 0, stage 1, heads (z of all), head 0, ..., at the last position; stage 0 x n: the last n.
    follows: share of the pairs of windows with different right symbols in which the likeliest is the donor's;
    stays: in which it is the window's own; same_symbol: share of pairs ending in the same symbol in which the
    likeliest one changes; kl: KL(donor || patched), nats, mean over all pairs of different windows.
    """
    model, tokens, length = stage.model, stage.tokens, stage.tokens.shape[1]
    pre, post = dictionaries.HOOKS
    z, heads = "blocks.0.attn.hook_z", range(model.shape.heads)
    places: dict[str, dict] = {"stage 0": {"hook_name": pre}, "stage 1": {"hook_name": post}}
    places |= {"heads": {"hook_name": z}} | {f"head {h}": {"hook_name": z, "heads": h} for h in heads}
    for n in range(2, length + 1):
        places[f"stage 0 x {n}"] = {"hook_name": pre, "at": range(-n, 0)}
    return pd.DataFrame(
        [{"place": place} | _followed(stage, patched(model, tokens, **how)) for place, how in places.items()]
    )


def _followed(stage: Stage, logits: Tensor) -> dict[str, float]:
    right, last, answer = stage.right, stage.tokens[:, -1], logits.argmax(dim=-1)
    differ, same = right[:, None] != right, (last[:, None] == last) & ~torch.eye(len(last), dtype=torch.bool)
    donors = stage.logits.expand_as(logits)
    gap = effects(donors.flatten(0, 1), logits.flatten(0, 1), right.repeat(len(right)))["kl"]
    return {
        "follows": (answer == right)[differ].double().mean().item(),
        "stays": (answer == right[:, None])[differ].double().mean().item(),
        "same_symbol": (answer != stage.logits.argmax(dim=-1)[:, None])[same].double().mean().item(),
        "kl": gap.view(len(right), -1)[~torch.eye(len(last), dtype=torch.bool)].mean().item(),
    }


# ---------------------------------------------------------------- tables


def measure(
    families: Sequence[str] | None = None, *, draws: int = 2, continuations: int = 5, device: str = "cpu"
) -> pd.DataFrame:
    """Measure saved networks of these families (default: `MEASURED`) at both stages, write the tables.

    draws: of each control; continuations: generated with each feature edited. Returns the rows of the
    published procedure. device: not used. ValueError for a family without shipped
    autoencoders, or if nothing is saved; raises what `wm.measured.Measuring.save` does.
    """
    wanted = saved_families(families, among=MEASURED)
    options = {
        "device": "cpu", "families": families, "draws": draws, "continuations": continuations,
    }  # fmt: skip
    run = measured.Measuring("symbolic/interventions", measure, wanted, known=FAMILIES, options=options)
    tables: dict[str, list[pd.DataFrame]] = {}
    for family in wanted:
        for trained in load_family(family):
            for k in range(len(dictionaries.HOOKS)):
                about = {"family": family, "network": trained.name, "seed": trained.seed, "stage": k}
                stage = prepare(trained, dictionaries.published(trained.name, k))
                summary, features = screening.screen(stage, draws=continuations, seed=trained.seed)
                found = {"": summary, "_features": features}
                found["_dose"] = dose(stage, draws=draws, seed=trained.seed)
                for name, rows in found.items():
                    tables.setdefault(name, []).append(pd.DataFrame(about, index=rows.index).join(rows))
            about.pop("stage")  # patching needs no autoencoder
            rows = patching(stage)
            tables.setdefault("_patch", []).append(pd.DataFrame(about, index=rows.index).join(rows))
    rows = {f"interventions{name}": pd.concat(parts, ignore_index=True) for name, parts in tables.items()}
    run.save({name: each.map(_short) for name, each in rows.items()})
    return rows["interventions"]


def _short(value: object) -> object:
    return float(f"{value:.5g}") if isinstance(value, float) else value


def table(name: str = "") -> pd.DataFrame:
    """A shipped table: the main one, or features, dose, patch. Raises `wm.store.DamagedFile`."""
    return measured.read("symbolic", "_".join(filter(None, ("interventions", name))), "interventions")
