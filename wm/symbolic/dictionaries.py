"""Dictionaries of the symbolic networks: sparse autoencoders that are shipped, and a sweep of four kinds.

At stage 0 (`blocks.0.hook_resid_pre`: symbol and position) and stage 1 (`blocks.0.hook_resid_post`: after the
only attention layer), one autoencoder of 144 features for each network, so that networks are the seeds. The
published setting is relu with an L1 coefficient of 2; for the sweep every kind is trained on the exact
expectation, at several sparsities. `wm states symbolic dictionaries` writes, and the functions here read::

    data_json/symbolic/dictionaries.csv           a row for each autoencoder, columns in `COLUMNS`
    data_json/symbolic/dictionaries_history.csv   loss of the published setting, step by step
    data_npy/symbolic/saes.h5                     autoencoders of the published setting, in float16

`measure` and the notebooks use the autoencoders as they are shipped, after rounding.
"""

from __future__ import annotations

__all__ = [
    "COLUMNS", "HOOKS", "MEASURED", "SETTINGS", "SWEEP", "SWEPT", "evaluate", "history", "load_saes",
    "measure", "published", "table",
]  # fmt: skip

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import replace
from pathlib import Path

import numpy as np
import pandas as pd
import torch

from .. import measured, paths, store
from ..text import nearest
from . import sae_metrics
from .derived import saved_families
from .families import FAMILIES
from .library import Trained, load_family
from .sae import SAEConfig, SparseAutoencoder
from .sae_training import PUBLISHED, Fit, Schedule, fit
from .stages import distinct

MEASURED = {"cycle": (10_000, 10_000), "sampled": (10_000, 6_000)}
"""measured families -> steps at the published setting, for each stage: the published scripts were run on a
network of the kind `sampled`, and stopped after 6000 of 10 000 steps at stage 1"""
HOOKS = ("blocks.0.hook_resid_pre", "blocks.0.hook_resid_post")
"""hook point of each stage"""
SETTINGS: Mapping[str, Sequence[float]] = {
    "relu": (0.1, 0.3, 1.0, 3.0, 10.0),
    "topk": (1, 2, 3, 5, 8),
    "batchtopk": (1, 2, 3, 5, 8),
    "jumprelu": (1, 2, 3, 5, 8),
}
"""kinds of the sweep -> L1 coefficients of relu, k of the others"""
SWEEP = Schedule(1500)
SWEPT = 6
"""networks of the sweep, the first ones of `cycle`"""
COLUMNS = {
    "stage": "0: before, 1: after attention",
    "recipe": "published or sweep",
    "activation": "kind of autoencoder",
    "setting": "L1 coefficient of relu, k of the others (jumprelu aims at it, and does not reach low ones)",
    "steps": "of training",
    "vectors": "different vectors at this stage",
    "alive": "features that are active on some vector",
    "clean": "cross-entropy of the network, nats",
    "reconstructed": "the same from reconstructions",
    "zero": "the same with 0 in their place",
    "mean": "the same with their mean",
    "loss_recovered": "(zero - reconstructed) / (zero - clean)",
    "loss_recovered_mean": "the same against the mean",
    "kl": "KL divergence of prediction by reconstructions from the clean one, nats",
    "kl_recovered": "1 - kl / kl with 0 in their place",
    "codes_last": "different sets of activations at the last place",
    "active_last": "features that are active there for some phase",
    "contiguous": "share of these that are active for one run of phases",
    "mcc_symbol": "match of features with the symbol, at the last place",
    "mcc_held": "with the steps held",
    "mcc_phase": "with the phase",
    "chance_symbol": "the same for shuffled indicators",
    "chance_held": "the same for shuffled indicators",
    "chance_phase": "the same for shuffled indicators",
}
"""columns after family, network, seed; others are those of `wm.symbolic.sae_metrics.quality`"""
_LOSSES = ("clean", "reconstructed", "zero", "mean")
_RECOVERED = ("loss_recovered", "loss_recovered_mean", "kl_recovered")
_PARTS = ("W_enc", "b_enc", "W_dec")  # b_dec is 0 at the published setting
_DIMS = ("network", "stage", "row", "column")


# ---------------------------------------------------------------- what is shipped


def load_saes(stage: int, *, network: str | None = None) -> dict[str, SparseAutoencoder]:
    """Shipped autoencoders of the published setting: name of the network -> its own, float32, no gradients.

    stage: index into `HOOKS`. network: this one alone. Raises ValueError for another stage,
    `wm.store.UnknownNetwork` for a network that none is shipped for, `DamagedFile` as `load_states` does.
    """
    if stage not in range(len(HOOKS)):
        raise ValueError(f"stage {stage!r}: there are autoencoders for stages 0 and 1")
    path = _path()
    known = store.states_info(path)["attrs"]["networks"]
    if network is not None and network not in known:
        raise store.UnknownNetwork(path, f"has no autoencoder of {network!r}", nearest(network, known))
    arrays = store.load_states(path)
    return {
        name: _unpacked({part: arrays[part][known.index(name), stage] for part in _PARTS}, HOOKS[stage])
        for name in ([network] if network else known)
    }


def published(network: str, stage: int) -> SparseAutoencoder:
    """The shipped autoencoder of a network, such as "cycle-00"; raises as `load_saes` does."""
    return load_saes(stage, network=network)[network]


def _path() -> Path:
    return paths.data_npy() / "symbolic" / "saes.h5"


def _unpacked(parts: Mapping[str, np.ndarray], hook_name: str) -> SparseAutoencoder:
    sae = SparseAutoencoder(SAEConfig.published(len(parts["W_enc"]), hook_name=hook_name))
    with torch.no_grad():
        for name, value in parts.items():
            parameter = getattr(sae, name)
            parameter.copy_(torch.from_numpy(value.astype(np.float32)).view_as(parameter))
    return sae.requires_grad_(False).eval()


def _packed(by_stage: Sequence[Sequence[SparseAutoencoder]]) -> dict[str, np.ndarray]:
    """Parts of autoencoders [stage][network] as float16, (network, stage, row, column)."""
    return {
        part: np.stack(
            [
                [np.atleast_2d(getattr(sae, part).detach().numpy().astype(np.float16)) for sae in of_network]
                for of_network in zip(*by_stage, strict=True)
            ]
        )
        for part in _PARTS
    }


def table() -> pd.DataFrame:
    """The shipped table, a row for each autoencoder. Raises `wm.store.DamagedFile` if it is missing."""
    return measured.read("symbolic", "dictionaries")


def history() -> pd.DataFrame:
    """The shipped loss curves; raises as `table` does.

    Columns family, network, seed, stage, step, and those of `Fit.history`.
    """
    return measured.read("symbolic", "dictionaries_history", "dictionaries")


# ---------------------------------------------------------------- the measure


def measure(
    families: Sequence[str] | None = None,
    *,
    networks: int | None = None,
    steps: int | None = None,
    device: str = "cpu",
) -> pd.DataFrame:
    """Train and measure autoencoders of the saved networks of these families (default: `MEASURED`).

    All networks at the published setting; the first `SWEPT` of `cycle` also in the sweep. networks: the first
    ones only; steps: of every training, in place of those above. device: not used. Writes
    tables and states, returns the rows. ValueError for another family, or if nothing is saved; raises what
    `wm.measured.Measuring.save` does.
    """
    wanted = saved_families(families, among=tuple(MEASURED))
    options = {"device": "cpu", "families": families, "networks": networks, "steps": steps}
    run = measured.Measuring("symbolic/dictionaries", measure, wanted, known=FAMILIES, options=options)
    rows, curves, states = [], [], _kept()
    for family in wanted:
        group = _Group(load_family(family)[:networks])
        fits = [group.published(stage, steps) for stage in range(len(HOOKS))]
        packed = _packed([each.saes for each in fits])
        for stage, each in enumerate(fits):
            curves.append(group.curves(stage, each.history))
            parts = zip(*(packed[part][:, stage] for part in _PARTS), strict=True)
            rounded = [_unpacked(dict(zip(_PARTS, own, strict=True)), HOOKS[stage]) for own in parts]
            rows += group.rows(stage, rounded, recipe="published", steps=int(each.history["step"][-1]))
        if family == "cycle":
            names = [each.name for each in group.networks]
            attrs = {"networks": names, "hook_names": [*HOOKS]}
            states["saes"] = measured.States(packed, _DIMS, attrs)
            rows += _Group(group.networks[:SWEPT]).sweep(steps)
    found = {"dictionaries": pd.DataFrame(rows), "dictionaries_history": pd.concat(curves, ignore_index=True)}
    run.save(found, states)
    return found["dictionaries"]


def _kept() -> dict[str, measured.States]:
    """What is shipped already and stays if `cycle` is not measured anew."""
    if not _path().is_file():
        return {}
    return {"saes": measured.States({}, _DIMS, store.states_info(_path())["attrs"])}


class _Group:
    """Networks of one family, and what they show at each stage."""

    def __init__(self, networks: Sequence[Trained]) -> None:
        self.networks, self.config = list(networks), networks[0].config
        windows = self.config.cycle().windows(self.config.context)
        self.shown = [
            [sae_metrics.activations(each.model, windows, hook) for each in self.networks] for hook in HOOKS
        ]
        for of_stage in self.shown:  # trained together, networks share the probabilities of their vectors
            assert all(np.array_equal(each.index, of_stage[0].index) for each in of_stage)

    def fit(self, stage: int, config: SAEConfig | Sequence[SAEConfig], schedule: Schedule) -> Fit:
        """An autoencoder of each network for each configuration."""
        vectors = torch.stack([each.vectors for each in self.shown[stage]])
        seeds = [each.seed for each in self.networks]
        return fit(vectors, self.shown[stage][0].weights, config, seeds, schedule=schedule)

    def published(self, stage: int, steps: int | None = None) -> Fit:
        """Autoencoders of the published setting."""
        config = SAEConfig.published(self.config.d_model, hook_name=HOOKS[stage])
        steps = steps or MEASURED[self.config.family][stage]
        return self.fit(stage, config, replace(PUBLISHED, steps=steps))

    def sweep(self, steps: int | None = None) -> Iterator[dict[str, object]]:
        """Rows of all kinds and settings at both stages."""
        schedule = replace(SWEEP, steps=steps or SWEEP.steps)
        for stage, hook in enumerate(HOOKS):
            for kind, settings in SETTINGS.items():
                free = "l1_coefficient" if kind == "relu" else "k"
                sizes = (self.config.d_model, 2 * self.config.d_model, kind)
                configs = [SAEConfig(*sizes, hook_name=hook, **{free: each}) for each in settings]
                saes = self.fit(stage, configs, schedule).saes
                yield from self.rows(stage, saes, recipe="sweep", steps=schedule.steps)

    def rows(self, stage: int, saes: Sequence[SparseAutoencoder], **about) -> Iterator[dict[str, object]]:
        """A row for each autoencoder; they are ordered by configuration, then by network."""
        for i, sae in enumerate(saes):
            trained, shown = (each[i % len(self.networks)] for each in (self.networks, self.shown[stage]))
            kind = sae.cfg.activation
            setting = sae.cfg.l1_coefficient if kind == "relu" else sae.cfg.k
            named = {"family": self.config.family, "network": trained.name, "seed": trained.seed}
            made = {"stage": stage, **about, "activation": kind, "setting": setting}
            yield named | made | evaluate(trained, sae, shown)

    def curves(self, stage: int, history: Mapping[str, np.ndarray]) -> pd.DataFrame:
        """Loss curves, a row for each network and step."""
        parts = []
        for i, each in enumerate(self.networks):
            named = {"family": self.config.family, "network": each.name, "seed": each.seed, "stage": stage}
            values = {name: value if name == "step" else value[:, i] for name, value in history.items()}
            parts.append(pd.DataFrame(named | values))
        return pd.concat(parts, ignore_index=True)


def evaluate(
    trained: Trained, sae: SparseAutoencoder, shown: sae_metrics.Activations | None = None
) -> dict[str, float]:
    """What the table tells of one autoencoder, from `vectors` on; see `COLUMNS` and `quality`.

    shown: what the network shows where the autoencoder is hooked, if that is known already.
    """
    cycle, context = trained.config.cycle(), trained.config.context
    windows = cycle.windows(context)
    if shown is None:
        shown = sae_metrics.activations(trained.model, windows, sae.cfg.hook_name)
    quality = sae_metrics.quality(sae, shown.vectors, shown.weights)
    kept = sae_metrics.recovery(trained.model, sae, cycle.windows(context + 1))
    counts = {"vectors": len(shown.vectors), "alive": round(sae.cfg.d_sae * (1 - quality["dead"]))}
    losses = {name: getattr(kept, name) for name in _LOSSES + _RECOVERED} | {"kl": kept.kl_reconstructed}
    phase = cycle.phases(windows.tokens)
    last = sae.encode(shown.vectors)[shown.index[np.argsort(phase), -1]].detach().numpy()
    return counts | quality | losses | _tuned(last) | _matches(last, np.sort(phase), cycle.holding[0])


def _tuned(features: np.ndarray) -> dict[str, float]:
    """What is active for which phase, features (phase, feature) in the order of the cycle."""
    on = features[:, (features > 0).any(axis=0)] > 0
    found = {"codes_last": distinct(features), "active_last": on.shape[1]}
    return found | {"contiguous": sae_metrics.contiguous(on).mean() if on.size else np.nan}


def _matches(features: np.ndarray, phase: np.ndarray, holding: int) -> dict[str, float]:
    """How features (phase, feature) match indicators of symbol, steps held and phase, and by chance."""
    labels = {"symbol": phase // holding, "held": phase % holding, "phase": phase}
    found = {name: sae_metrics.match(features, sae_metrics.indicators(each)) for name, each in labels.items()}
    chances = {f"chance_{name}": each.chance for name, each in found.items()}
    return {f"mcc_{name}": each.mcc for name, each in found.items()} | chances
