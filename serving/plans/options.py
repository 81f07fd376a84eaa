"""For every item: which laboratory could test it for what, at which cost, and what that would find."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from features.taxonomy import Taxonomy
from serving.plans.config import PlanConfig

FULL, FOCUSED = 0, 1


@dataclass(frozen=True, slots=True, eq=False)
class Options:
    """Options of every unit: laboratory x panel (full, focused).

    Attributes
    ----------
    laboratory
        ndarray of shape (n_options,), int: position of the laboratory in the configuration.
    panel
        ndarray of shape (n_options,), int: `FULL` or `FOCUSED`.
    cost
        ndarray of shape (n_units, n_options), int64.
    harm
        ndarray of shape (n_units, n_options): expected harm the tests find.
    doubt
        ndarray of shape (n_units, n_options): standard deviation of that harm; what a test would settle.
    possible
        ndarray of shape (n_units, n_options), bool: the laboratory answers for at least one hazard in time.
    panels
        ndarray of shape (2, n_units, n_hazards), bool.
    accredited
        ndarray of shape (n_laboratories, n_hazards), bool.
    p
        ndarray of shape (n_units, n_hazards).
    """

    laboratory: np.ndarray
    panel: np.ndarray
    cost: np.ndarray
    harm: np.ndarray
    doubt: np.ndarray
    possible: np.ndarray
    panels: np.ndarray
    accredited: np.ndarray
    p: np.ndarray
    test_names: tuple[str, ...]
    test_hazards: np.ndarray

    def covered(self, unit: int, option: int) -> np.ndarray:
        """Hazards that the option tests the unit for; ndarray of shape (n_hazards,), bool."""
        return self.panels[self.panel[option], unit] & self.accredited[self.laboratory[option]]

    def tests(self, unit: int, option: int) -> tuple[str, ...]:
        """Order positions of the option."""
        used = np.asarray((self.test_hazards & self.covered(unit, option)).any(axis=1))
        return tuple(name for name, there in zip(self.test_names, used, strict=True) if there)

    def p_found(self, unit: int, option: int) -> float:
        """P(fails any hazard of the option) if hazards were independent."""
        return float(1 - np.prod(1 - self.p[unit][self.covered(unit, option)]))

    def information(self, group_tested: np.ndarray) -> np.ndarray:
        """Value of information: the doubt a test settles, less the more of its group was tested; shape of ``harm``."""
        return self.doubt / np.sqrt(1.0 + group_tested)[:, None]

    def reserved(self, config: PlanConfig) -> np.ndarray:
        """Places kept for the draw per laboratory: its share, at least one where the laboratory can be used."""
        share = config.exploration.share
        usable = np.array(
            [bool(self.possible[:, self.laboratory == lab].any()) for lab in range(len(self.accredited))]
        )
        capacity = np.array([terms.capacity for terms in config.laboratories.values()], dtype=np.int64)
        return np.where(usable, np.minimum(np.maximum(np.round(share * capacity), 1), capacity), 0).astype(
            np.int64
        )


def build_options(
    p: np.ndarray,
    harm: np.ndarray,
    panel: np.ndarray,
    rows: np.ndarray,
    config: PlanConfig,
    taxonomy: Taxonomy,
) -> Options:
    """Work out all options.

    Parameters
    ----------
    p, harm, panel
        ndarrays of shape (n, n_hazards), see `serving.plans.planning.Candidates`.
    rows
        Rows of the units.
    config, taxonomy
        Prices and accreditation.
    """
    p, harm, panel = p[rows], harm[rows], panel[rows]
    tests = np.zeros((len(config.tests), len(taxonomy.codes)), dtype=bool)
    for place, test in enumerate(config.tests.values()):
        tests[place, [taxonomy.index(code) for code in test.hazards]] = True
    answered = tests.any(axis=0) & taxonomy.laboratory_mask
    accredited = np.stack([_accredited(config, taxonomy, code) & answered for code in config.laboratories])
    panels = np.stack([panel & answered, _focused(harm, panel & answered, config.focus)])
    spread = np.divide(harm, np.sqrt(np.maximum(p, 1e-12)), where=p > 0, out=np.zeros_like(harm)) * np.sqrt(
        1 - p
    )
    parts = []
    for lab, terms in enumerate(config.laboratories.values()):
        late = config.needed_within_days is not None and terms.turnaround_days > config.needed_within_days
        prices = np.array([terms.prices.get(name, test.price) for name, test in config.tests.items()])
        for kind in (FULL, FOCUSED) if config.focus < 1 else (FULL,):
            covered = panels[kind] & accredited[lab]
            used = (covered.astype(np.float32) @ tests.T.astype(np.float32)) > 0
            parts.append(
                (
                    lab,
                    kind,
                    terms.per_item + used @ prices,
                    np.einsum("ij,ij->i", harm, covered),
                    np.sqrt(np.einsum("ij,ij->i", spread**2, covered)),
                    covered.any(axis=1) & (not late) & (terms.capacity > 0),
                )
            )
    labs, kinds, costs, harms, doubts, possible = zip(*parts, strict=True)
    return Options(
        np.array(labs),
        np.array(kinds),
        np.column_stack(costs).astype(np.int64),
        np.column_stack(harms),
        np.column_stack(doubts),
        np.column_stack(possible),
        panels,
        accredited,
        p,
        tuple(config.tests),
        tests,
    )


def _accredited(config: PlanConfig, taxonomy: Taxonomy, code: str) -> np.ndarray:
    stated = config.laboratories[code].hazards
    codes = stated if stated is not None else taxonomy.laboratories[code].hazards
    mask = np.zeros(len(taxonomy.codes), dtype=bool)
    mask[[taxonomy.index(hazard) for hazard in codes]] = True
    return mask


def _focused(harm: np.ndarray, panel: np.ndarray, share: float) -> np.ndarray:
    """Return the fewest hazards of each panel that make up the share of its harm."""
    inside = np.where(panel, harm, -1.0)
    order = np.argsort(-inside, axis=1, kind="stable")
    sorted_harm = np.maximum(np.take_along_axis(inside, order, axis=1), 0.0)
    before = np.cumsum(sorted_harm, axis=1) - sorted_harm
    wanted = before < share * sorted_harm.sum(axis=1, keepdims=True) - 1e-12
    kept = np.zeros_like(panel)
    np.put_along_axis(kept, order, wanted, axis=1)
    return kept & panel
