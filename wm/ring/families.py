"""The solutions of the ring task: what each network family is made of, and its published settings.

All hand-designed families are one construction. Ring unit i has a memory preference m_i, a sign g_i (+1
stable, -1 inverting) and a shift s_i of its input tuning; gate units stand between input and ring. With the
kernel K_e(d) = ((1 + cos d) / 2)^e - its mean over the circle (K_1 = cos(d) / 2)::

    ring <- ring   c_rec  g_i g_j K(m_i - m_j)
    ring <- gate   c_in   K(m_i + s_i - m_j)
    gate <- ring   c_inh
    gate <- input  c_in   K(m_i - phi_k)            (gated families)
    ring <- input  c_in   K(m_i + s_i - phi_k)      (others)

and a uniform bias. Only the scalars c, the bias and the read-out are trained. Source: Zahorodnii et al. 2025.
"""

from __future__ import annotations

__all__ = ["FAMILIES", "PUBLISHED_OPTIONS", "Family", "RingConfig", "config", "family_name"]

import difflib
from dataclasses import dataclass, field, replace

from ..settings import check_numbers, check_whole
from .network import NONLINEARITIES

_HIGHEST = {"stable_proportion": 1, "gate_proportion": 0.9, "distractor_probability": 1, "shuffle_deg": 180}


@dataclass(frozen=True)
class RingConfig:
    """Everything that defines one trained ring network, except its seed."""

    family: str = "rt"
    """solution: sa, rt, it, g, g_it, ... (see `wm.ring.FAMILIES`)"""
    units: int = 100
    """recurrent units"""
    nonlinearity: str = "retanh"
    """retanh (rectified tanh) or tanh"""
    noise: float = 0.1
    """standard deviation of the rate noise, in training and evaluation"""
    exponent: int = 1
    """exponent e of the connectivity kernel"""
    scale: float = 1.0
    """recurrent over input strength, where the family fixes the ratio"""
    shuffle_deg: int = 0
    """input shifts are uniform integers in [-shuffle, shuffle] degrees"""
    stable_proportion: float = 1.0
    """share of ring units with g = +1; the others invert"""
    gate_proportion: float = 0.0
    """share of gate units"""
    shifts_from: str = ""
    """input shifts after measured preference changes: mst1, mst2, or a JSON file with a list of degrees"""
    distractor_probability: float = 1.0
    """chance that a training trial shows the distractor"""
    learning_rate: float = 1e-3
    """of Adam"""
    updates: int = 5000
    """training batches"""
    trials: int = 64
    """trials of a batch"""
    clip: float = 10.0
    """largest global norm of a network's gradient"""
    l2: float = 0.0
    """weight of the sum of squared trainable parameters in the loss (published name: la)"""
    activity: float = 0.0
    """weight of the mean squared rate in the loss"""
    stop_below_deg: float = 0.0
    """freeze a network once its monitored error falls below this; 0 never does"""

    def __post_init__(self) -> None:
        if self.family not in FAMILIES:
            raise ValueError(_unknown_family(self.family))
        if self.nonlinearity not in NONLINEARITIES:
            raise ValueError(
                f"nonlinearity must be one of {', '.join(NONLINEARITIES)}, got {self.nonlinearity!r}"
            )
        check_whole(self, {"units": 4, "exponent": 1, "updates": 0, "trials": 1, "shuffle_deg": 0})
        check_numbers(self, ("noise", "l2", "activity", "stop_below_deg"), "0 or more and finite")
        check_numbers(self, ("scale", "learning_rate", "clip"), "above 0 and finite")
        for name, high in _HIGHEST.items():
            if not 0 <= getattr(self, name) <= high:
                raise ValueError(f"{name} must lie in [0, {high}], got {getattr(self, name)}")
        if bool(self.gate_proportion) != FAMILIES[self.family].gated:
            need = "above 0" if FAMILIES[self.family].gated else "0"
            raise ValueError(
                f"gate_proportion of family {self.family!r} must be {need}, got {self.gate_proportion}"
            )

    @property
    def gates(self) -> int:
        """Number of gate units; they come after the ring units."""
        return int(self.units * self.gate_proportion + 1e-9)

    @property
    def ring_units(self) -> int:
        """Number of ring units."""
        return self.units - self.gates

    @property
    def stable_units(self) -> int:
        """Number of stable ring units; they come first."""
        return int(self.ring_units * self.stable_proportion + 1e-9)


@dataclass(frozen=True)
class Family:
    """A solution: its name in figures, its published script name, its settings and first scalars.

    scalars: initial values at 100 units, in the order of `construction.coefficients`; they scale with
    100 / units. Families of which all weights are trained have none.
    """

    title: str
    scalars: tuple[float, ...] = ()
    settings: dict = field(default_factory=dict)
    alias: str = ""
    root_scale: bool = False  # c_in starts at its value over sqrt(scale)
    learned_shifts: bool = False
    shipped: int = 30

    @property
    def gated(self) -> bool:
        """Whether gate units stand between input and ring."""
        return "gate_proportion" in self.settings

    @property
    def trained_fully(self) -> bool:
        """Whether all weights are trained (backprop) rather than a few scalars."""
        return not self.scalars


_BACKPROP = {"learning_rate": 1e-4}
_GATED = (0.3, -0.05, -0.05)
_MONKEY = {"gate_proportion": 0.5}

FAMILIES: dict[str, Family] = {
    "wmd": Family("Trained", alias="backprop", settings=_BACKPROP),
    "wmonly": Family(
        "WM-only", alias="backprop_nodistractor", settings=_BACKPROP | {"distractor_probability": 0.0}
    ),
    "wmd_stopped": Family(
        "Trained, stopped",
        alias="backprop_stoptrainingatthreshold",
        settings=_BACKPROP | {"updates": 15000, "stop_below_deg": 10.0},
    ),
    "g": Family("G", _GATED, {"gate_proportion": 0.5}, "hdgating"),
    "sa": Family("SA", (0.2, 0.2, -0.1), alias="hdratio"),
    "sa_fixed": Family("SA, fixed ratio", (0.2, -0.1), {"scale": 7.0}, "hdratio_fixed"),
    "rt": Family("R/T", (0.2, -0.1), {"shuffle_deg": 130}, "hdreshuffle"),
    "rt_learned": Family("R/T, learned", (0.2, -0.1), learned_shifts=True, alias="hdreshuffle_learned"),
    "it": Family("I/T", (0.3, -0.1), {"stable_proportion": 0.55}, "hdinversion"),
    "g_rt": Family("G+R/T", _GATED, {"gate_proportion": 0.5, "shuffle_deg": 130}, "hdgating_and_reshuffle"),
    "g_it": Family(
        "G+I/T", _GATED, {"gate_proportion": 0.5, "stable_proportion": 0.55}, "hdgating_and_inversion"
    ),
    "mst1": Family("MST1-like", _GATED, _MONKEY | {"units": 260, "shifts_from": "mst1"}, shipped=10),
    "mst2": Family("MST2-like", _GATED, _MONKEY | {"units": 240, "shifts_from": "mst2"}, shipped=10),
    # shipped at the best shuffle of the published sweep at scale 2, and its best ratio at .62 stable units
    "rt_sa": Family(
        "R/T+SA",
        (0.2, -0.1),
        {"shuffle_deg": 110, "scale": 2.0, "learning_rate": 1e-4},
        "hdreshuffle_and_ratio",
        root_scale=True,
    ),
    "it_sa": Family(
        "I/T+SA",
        (0.3, -0.1),
        {"stable_proportion": 0.62, "scale": 2.0},
        "hdinversion_and_ratio",
        root_scale=True,
    ),
}

PUBLISHED_OPTIONS = {
    "units": ["--net-size"],
    "l2": ["--la"],
    "exponent": ["--conn-exponent"],
    "scale": ["--scale-factor"],
    "shuffle_deg": ["--shuffle-amount"],
    "stable_proportion": ["--stable-unit-proportion"],
}
"""spellings of the published scripts, by field of `RingConfig`"""

# "hdreshuffle" is the script behind the figures, with drawn shifts; the directories of its networks are named
# hdreshuffle_fCTRNN, and hdreshuffleCTRNN has learned shifts
_ALIASES = {family.alias: name for name, family in FAMILIES.items() if family.alias} | {
    "hdreshuffle_f": "rt",
    "hdreshuffle_fixed": "rt",
    "hdreshufflectrnn": "rt_learned",
    "hdgating_and_reshuffle_f": "g_rt",
    "hdgating_and_reshuffle_fmst1": "mst1",
    "hdgating_and_reshuffle_fmst2": "mst2",
}


def family_name(name: str) -> str:
    """Name of a family from its name or its published script name; ValueError with the nearest names."""
    plain = name.lower().removeprefix("ring.")
    known = _ALIASES.get(plain) or _ALIASES.get(plain.removesuffix("ctrnn"), plain)
    if known not in FAMILIES:
        raise ValueError(_unknown_family(name))
    return known


def _unknown_family(name: str) -> str:
    near = difflib.get_close_matches(name, [*FAMILIES, *_ALIASES], n=3, cutoff=0.4)
    hint = f"did you mean {' or '.join(near)}?" if near else f"known families: {', '.join(FAMILIES)}"
    return f"unknown ring family {name!r}: {hint}"


def config(family: str, **changes) -> RingConfig:
    """Published settings of a family, with changes: `config("rt", shuffle_deg=90)`."""
    name = family_name(family)
    return replace(RingConfig(name, **FAMILIES[name].settings), **changes)
