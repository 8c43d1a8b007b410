"""Claims: what was published, or expected by us; what we find; and a verdict by a rule fixed beforehand.

`within` is an equivalence test (two one-sided tests at 5 %), `greater` and `less` are one-sided t-tests, and
`order` asks all adjacent pairs at once. A claim of several conditions takes its largest p, and all claims of
one sheet are corrected together (Holm).
"""

__all__ = [
    "ALPHA",
    "ENOUGH",
    "VERDICTS",
    "Claim",
    "ClaimSheet",
    "Estimate",
    "OUR_VERDICTS",
    "bootstrap_over_networks",
    "mean_interval",
    "merge",
    "tally",
    "write_claims_md",
]

import math
import re
from collections.abc import Callable
from dataclasses import asdict
from itertools import pairwise
from pathlib import Path

import numpy as np
import pandas as pd
from numpy.typing import ArrayLike

from wm import paths
from wm.estimate import (
    Estimate,
    bootstrap_over_networks,
    difference,
    mean,
    mean_interval,
    one_per_network,
    weakest,
)
from wm.files import write_json
from wm.verdicts import (
    ALPHA,
    ENOUGH,
    OUR_VERDICTS,
    VERDICTS,
    Claim,
    columns,
    judged,
    merge,
    rounded,
    row,
    tally,
    write_claims_md,
)


class ClaimSheet:
    """The claims of one notebook: add them by rule, then show `table()` and `save()`.

    `paper` names once what was published, such as "Zahorodnii et al. 2025, bioRxiv 2025.03.17.643652". With
    `ours` the sheet is of hypotheses of our own, which nobody published: they are counted apart, `published`
    is what we expected, verdicts are `held` or `not held`. Every rule also takes `source` (the place in the
    paper, "Fig 3i, read off"; required), `published` (number or words), `figure` (default: the notebook) and
    `note`. Samples are one value per network, shape (network,); where one number belongs to all networks
    together, give the `Estimate` from `bootstrap_over_networks`. Raises ValueError for a notebook that is not
    two digits, an id that is not `<notebook>.<number>` or is taken, bad samples.
    """

    def __init__(
        self, notebook: str, system: str, smoke: bool = False, paper: str = "", *, ours: bool = False
    ) -> None:
        if not re.fullmatch(r"\d\d", notebook):
            raise ValueError(f"notebook {notebook!r}: give its two digits, such as '13'")
        self.notebook, self.system, self.smoke, self.paper, self.ours = notebook, system, smoke, paper, ours
        self._claims: dict[str, Claim] = {}

    def within(
        self,
        id: str,
        statement: str,
        *,
        samples: ArrayLike | Estimate,
        published: float,
        margin: float,
        statistic: str | Callable[[np.ndarray], float] = "mean",
        **about,
    ) -> None:
        """Our value equals `published` up to `margin` (same unit), by two one-sided tests.

        `statistic`: "mean" (t-interval), "median" or a function of samples (network,) (both bootstrapped).
        Raises ValueError for a margin that is not positive, or an unknown statistic.
        """
        if not 0 < margin < math.inf:
            raise ValueError(f"claim {id}: margin {margin} must be positive and finite, and fixed beforehand")
        ours = samples if isinstance(samples, Estimate) else _statistic(samples, statistic)
        low, high = published - margin, published + margin
        about |= {"rule": "within", "published": float(published), "margin": float(margin)}
        against = ours.interval95[0] > high or ours.interval95[1] < low
        self._test(id, statement, ours, max(ours.p_above(low), ours.p_below(high)), against=against, **about)

    def greater(
        self, id: str, statement: str, a: ArrayLike | Estimate, b: ArrayLike, *, paired: bool = False, **about
    ) -> None:
        """Mean of `a` (network,), or the Estimate `a`, is above mean of `b` (network,) or the number `b`.

        `paired`: entry i of both is the same seed.
        """
        ours, bound, how = _compare(a, b, paired)
        about |= {"rule": "greater", "how": how, "against": ours.interval95[1] < bound}
        self._test(id, statement, ours, ours.p_above(bound), **about)

    def less(
        self, id: str, statement: str, a: ArrayLike | Estimate, b: ArrayLike, *, paired: bool = False, **about
    ) -> None:
        """Mean of `a` (network,), or the Estimate `a`, is below mean of `b` (network,) or the number `b`."""
        ours, bound, how = _compare(a, b, paired)
        about |= {"rule": "less", "how": how, "against": ours.interval95[0] > bound}
        self._test(id, statement, ours, ours.p_below(bound), **about)

    def order(
        self, id: str, statement: str, groups: dict[str, ArrayLike], *, paired: bool = False, **about
    ) -> None:
        """Group means (name -> samples (network,)) increase in the order given, at every adjacent step.

        Raises ValueError for fewer than two groups.
        """
        if len(groups) < 2:
            raise ValueError(f"claim {id}: an order needs two groups or more, got {list(groups)}")
        groups = {name: one_per_network(samples) for name, samples in groups.items()}
        steps = [difference(upper, lower, paired=paired) for lower, upper in pairwise(groups.values())]
        step = weakest(steps)
        means = ", ".join(f"{name} {samples.mean():.3g}" for name, samples in groups.items())
        about = {"published": " < ".join(groups)} | about
        about |= {"rule": "order", "how": f"weakest step {_kind(paired)}; means {means}"}
        self._test(id, statement, step, step.p_above(0), against=step.interval95[1] < 0, **about)

    def untestable(self, id: str, statement: str, *, why: str, source: str = "", **about) -> None:
        """A claim that stays in the list although nothing here can test it, with the reason."""
        self._add(id, statement, source=source, verdict=f"cannot be tested here ({why})", **about)

    def finish(self) -> tuple[Claim, ...]:
        """All claims in the order of entry, with Holm-corrected p and verdicts."""
        return judged(tuple(self._claims.values()), ours=self.ours)

    def table(self) -> pd.DataFrame:
        """Published (or expected), ours and verdict as text, a row per claim."""
        cells = [[*row(rounded(claim)).values()] for claim in self.finish()]
        rows = pd.DataFrame(cells, columns=columns(self.ours)).set_index("id")
        return rows.rename(columns={"verdict": "verdict (smoke run)"}) if self.smoke else rows

    def save(self) -> Path:
        """Write `results()/<NN>/claims.json`, rounded so that an unchanged result is an unchanged file."""
        path = paths.results() / self.notebook / "claims.json"
        path.parent.mkdir(parents=True, exist_ok=True)
        claims = [asdict(rounded(claim)) for claim in self.finish()]
        sheet = {
            "notebook": self.notebook,
            "system": self.system,
            "smoke": bool(self.smoke),
            "paper": self.paper,
            "ours": bool(self.ours),
            "claims": claims,
        }
        write_json(path, sheet)
        return path

    def _test(
        self, id: str, statement: str, ours: Estimate, p: float, *, against: bool, how="", note="", **about
    ) -> None:
        result = {"verdict": "cannot be tested here (one network)"}  # one network has no interval
        if ours.n_networks > 1:
            result = {"p": p, "interval": tuple(map(float, ours.interval95))}
            note = "; ".join(filter(None, (note, how, "contradicted" if against else "")))
        about |= {"ours": float(ours.ours), "n_networks": int(ours.n_networks), "note": note}
        self._add(id, statement, **about, **result)

    def _add(self, id: str, statement: str, *, source: str, figure: str | None = None, **fields) -> None:
        if not re.fullmatch(rf"{self.notebook}\.\d+", id):
            raise ValueError(f"claim {id!r}: ids of this notebook look like '{self.notebook}.1'")
        if id in self._claims:
            raise ValueError(f"claim {id}: this id is taken; give every claim its own number")
        self._claims[id] = Claim(id, self.system, figure or self.notebook, statement, source, **fields)


def _statistic(samples: ArrayLike, statistic: str | Callable[[np.ndarray], float]) -> Estimate:
    if statistic == "mean":
        return mean(samples)
    fn = np.median if statistic == "median" else statistic
    if not callable(fn):
        raise ValueError(
            f"statistic {statistic!r}: give 'mean', 'median' or a function of samples (network,)"
        )
    return bootstrap_over_networks(fn, one_per_network(samples))


def _compare(a: ArrayLike | Estimate, b: ArrayLike, paired: bool) -> tuple[Estimate, float, str]:
    if np.ndim(b) == 0:
        return (a if isinstance(a, Estimate) else mean(a)), float(b), f"against {b:g}"
    if isinstance(a, Estimate):
        raise ValueError("an Estimate is compared with a number; bootstrap the difference to compare two")
    return difference(a, b, paired=paired), 0.0, f"difference, {_kind(paired)}"


def _kind(paired: bool) -> str:
    return "paired" if paired else "Welch"
