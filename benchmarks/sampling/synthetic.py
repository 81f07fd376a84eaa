"""A made-up catalogue whose true failure rates are known, with laboratories of known strictness.

Product groups and their rates are the taxonomy's; every product's own log-odds scatter around its group's, and a model
sees them with noise. Hazards, prices and units sold are drawn. Nothing here is a real listing.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from datetime import date

import numpy as np

from features.risk import exposure_of
from features.taxonomy import Taxonomy
from serving.plans.config import PlanConfig, read_plan_config
from serving.plans.types import Candidates

DAY = date(2026, 11, 20)
STRICTNESS = {"KTR": 0.5, "KCL": -0.5, "KOTITI": 0.0, "FITI": 0.25, "KATRI": -0.25}
# Spread of products within a group, and of the model's error, in log-odds.
_WITHIN, _ERROR = 0.8, 0.7


@dataclass(frozen=True, slots=True, eq=False)
class Market:
    """A catalogue with the truth behind it.

    Attributes
    ----------
    candidates
        As a plan sees it: probabilities and harm by the model.
    truth
        ndarray of shape (n, n_hazards): true P(fails) at the mean laboratory.
    harm
        ndarray of shape (n, n_hazards): true expected harm that a test for h finds.
    fails
        ndarray of shape (n, n_hazards), bool: what the mean laboratory would find.
    """

    candidates: Candidates
    truth: np.ndarray
    harm: np.ndarray
    fails: np.ndarray

    def oracle(self) -> Candidates:
        """Return the catalogue as one sees it who knows the true probabilities."""
        return replace(self.candidates, p=self.truth, harm=self.harm)


def market(n: int, taxonomy: Taxonomy, seed: int, *, base: float = 1.0) -> Market:
    """Make a market of ``n`` goods, two offers of every tenth.

    Parameters
    ----------
    base
        Factor on the odds of every failure rate.
    """
    random = np.random.default_rng(seed)
    groups = [code for code, group in taxonomy.groups.items() if group.hazard_prior]
    rates = np.array([taxonomy.groups[code].failure_rate or 0.12 for code in groups])
    of = random.integers(0, len(groups), n)
    prior = np.zeros((len(groups), len(taxonomy.codes)))
    for row, code in enumerate(groups):
        for hazard, weight in taxonomy.groups[code].hazard_prior.items():
            prior[row, taxonomy.index(hazard)] = weight
    prior = np.clip(prior * taxonomy.laboratory_mask, 0, 0.9)
    mean = np.clip(rates[of][:, None] * prior[of], 0, 0.6)
    panel = mean > 0.004
    own = random.normal(0, _WITHIN, (n, 1)) + random.normal(0, _WITHIN / 2, mean.shape)
    truth = np.where(panel, _sigmoid(_logit(mean) + np.log(base) + own), 0.0)
    seen = np.where(
        panel, _sigmoid(_logit(mean) + np.log(base) + own + random.normal(0, _ERROR, mean.shape)), 0.0
    )
    # Half of the spread of truth is noise to the model: drawn toward the group so that it stays calibrated.
    shrink = (1.25 * _WITHIN**2) / (1.25 * _WITHIN**2 + _ERROR**2)
    seen = np.where(
        panel,
        _sigmoid(_logit(mean) + np.log(base) + shrink * (_logit(seen) - _logit(mean) - np.log(base))),
        0.0,
    )
    sold = np.minimum(random.lognormal(4.0, 1.6, n), 50_000).astype(int)
    injury = taxonomy.p_injury("under_14") * np.asarray(taxonomy.harm_weights)[taxonomy.severities - 1]
    exposure = exposure_of(sold)[:, None]
    clusters = np.where(np.arange(n) % 10 == 9, np.maximum(np.arange(n) - 1, 0), np.arange(n))
    candidates = Candidates(
        ids=tuple(f"g{i}" for i in range(n)),
        clusters=tuple(f"c{c}" for c in clusters),
        sellers=tuple(f"s{s}" for s in random.integers(0, max(n // 20, 1), n)),
        categories=tuple(_root(groups[g], taxonomy) for g in of),
        platforms=tuple(("hanbada", "oceanstall", "yunshiji")[p] for p in random.integers(0, 3, n)),
        groups=tuple(groups[g] for g in of),
        units_sold=sold,
        p=seen,
        harm=seen * injury * exposure,
        panel=panel,
        ordered=np.zeros(n, dtype=bool),
        last_tested=(None,) * n,
        group_tested=np.zeros(n),
    )
    luck = random.random(truth.shape)[clusters]
    truth, fails = truth[clusters], luck < truth[clusters]
    return Market(
        replace(candidates, p=seen[clusters], panel=panel[clusters], harm=seen[clusters] * injury * exposure),
        truth, truth * injury * exposure, fails,
    )  # fmt: skip


def _root(code: str, taxonomy: Taxonomy) -> str:
    while parent := taxonomy.groups[code].parent:
        code = parent
    return code


def _logit(p: np.ndarray) -> np.ndarray:
    q = np.clip(p, 1e-6, 1 - 1e-6)
    return np.log(q / (1 - q))


def _sigmoid(x: np.ndarray) -> np.ndarray:
    return 1 / (1 + np.exp(-x))


def config(*, items: int = 200, share: float = 0.15, overlap: int = 0, seconds: float = 10.0) -> PlanConfig:
    """Return the package's example with another size."""
    raw = read_plan_config().model_dump()
    raw |= {"budget": {"money": items * 320_000, "items": items}, "overlap": overlap}
    for terms in raw["laboratories"].values():
        terms["capacity"] = items // 3
    raw["exploration"] = {"share": share, "floor": 0.3, "coverage": 0.8}
    raw["solver"] = {"seconds": seconds, "gap": 0.002}
    return PlanConfig.model_validate(raw)
