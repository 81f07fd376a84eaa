"""From a plan's frame and the results that count to rates one may publish, and the harm that was found."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np

from serving.labs.book import LabBook
from serving.plans.file import matrix_of, read_frame
from training.estimators import Estimate, Total, total
from training.rate_table import ANY_HAZARD, Frame, RateRow, rate_table

TESTED_ROLES = ("ordered", "certainty", "exploration")


@dataclass(frozen=True, slots=True)
class Published:
    """Estimates of one plan.

    Attributes
    ----------
    rows
        Rates per category, platform and hazard, with the whole catalogue first.
    harm_found
        Expected harm of what failed: what the tests took off the market.
    harm_there
        Estimate of the same over all goods of the frame, tested or not.
    results, samples
        Samples with results, and samples of the plan without second tests.
    outside
        Listings the estimates do not speak for, by reason.
    """

    plan_id: str
    rows: tuple[RateRow, ...]
    harm_found: float
    harm_there: Total
    results: int
    samples: int
    outside: Mapping[str, int]

    def to_json(self) -> dict[str, Any]:
        """Return the estimates as JSON values."""
        there = self.harm_there
        return {
            "plan_id": self.plan_id,
            "samples": self.samples,
            "with_results": self.results,
            "outside": dict(self.outside),
            "harm_found": round(self.harm_found, 3),
            "harm_there": {
                "value": _round(there.value),
                "low": _round(there.low),
                "high": _round(there.high),
            },
            "rates": [row_json(row) for row in self.rows],
        }


def frame_of(content: bytes, plan_id: str, book: LabBook) -> Frame:
    """Join a plan's frame with the results that count.

    A second laboratory's test of the same item (overlap) is for comparing laboratories and is left out here; unclear
    results are no results.

    Parameters
    ----------
    content
        The frame file.
    plan_id
        Which plan.
    book
        What is known.
    """
    table, hazards = read_frame(content)
    units: list[str] = table.column("cluster").to_pylist()
    place = {unit: row for row, unit in enumerate(units)}
    failed = np.full((len(units), len(hazards)), np.nan)
    column = {code: at for at, code in enumerate(hazards)}
    outcomes = book.outcomes()
    covered = matrix_of(table, "covered").astype(bool)
    for sample in book.samples_of(plan_id):
        if sample.role not in TESTED_ROLES:
            continue
        for hazard, outcome in outcomes.get(sample.sample_id, {}).items():
            row = place[sample.cluster]
            if outcome != "unclear" and covered[row, column[hazard]]:
                failed[row, column[hazard]] = float(outcome == "fail")
    return Frame(
        units=units,
        propensity=table.column("propensity").to_numpy(),
        stratum=np.array(table.column("stratum").to_pylist(), dtype=object),
        domains={
            name: np.array(table.column(name).to_pylist(), dtype=object) for name in ("category", "platform")
        },
        hazards=hazards,
        covered=covered,
        chosen=table.column("chosen").to_numpy(zero_copy_only=False).astype(bool),
        failed=failed,
        predicted=np.clip(matrix_of(table, "p").astype(float), 0.0, 1.0),
    )


def publish(content: bytes, plan_id: str, book: LabBook, level: float = 0.95) -> Published:
    """Estimate everything of one plan.

    Raises
    ------
    EstimateError
        When results and frame do not fit together.
    """
    frame = frame_of(content, plan_id, book)
    # Only hazards that anything was tested for: the others have no claim to make.
    kept = np.flatnonzero(frame.covered.any(axis=0))
    frame = Frame(
        frame.units, frame.propensity, frame.stratum, frame.domains, tuple(frame.hazards[k] for k in kept),
        frame.covered[:, kept], frame.chosen, frame.failed[:, kept],
        None if frame.predicted is None else frame.predicted[:, kept],
    )  # fmt: skip
    table, _ = read_frame(content)
    harm = matrix_of(table, "harm").astype(float)[:, kept]
    p = matrix_of(table, "p").astype(float)[:, kept]
    # Harm of goods that do fail: the expected harm was probability x this.
    if_failing = np.divide(harm, p, out=np.zeros_like(harm), where=p > 0)
    known = ~np.isnan(frame.failed)
    found = np.nansum(np.where(known, frame.failed * if_failing, 0.0), axis=1)
    seen = frame.chosen & known.any(axis=1)
    samples = [s for s in book.samples_of(plan_id) if s.role in TESTED_ROLES]
    return Published(
        plan_id,
        tuple(rate_table(frame, level)),
        float(found[seen].sum()),
        total(found[seen], frame.propensity[seen], frame.stratum[seen], level),
        int(seen.sum()),
        len(samples),
        dict(book.plan(plan_id).body["outside"]),
    )


def row_json(row: RateRow) -> dict[str, Any]:
    """Return a row as JSON values; a rate that cannot be told is null."""
    found: dict[str, Any] = {"by": row.by, "name": row.name, "hazard": row.hazard}
    for name in ("naive", "hajek", "difference"):
        estimate: Estimate | None = getattr(row, name)
        found[name] = None if estimate is None else _estimate_json(estimate)
    rate, low, high = row.pooled
    return found | {
        "pooled": {"rate": _round(rate), "low": _round(low), "high": _round(high)},
        "missing": row.missing,
        "outside": row.outside,
    }


def _estimate_json(estimate: Estimate) -> dict[str, Any]:
    return {
        "rate": _round(estimate.rate),
        "low": _round(estimate.low),
        "high": _round(estimate.high),
        "tested": estimate.tested,
        "failed": estimate.failed,
        "certain": estimate.certain,
        "population": round(estimate.population, 3),
        "conservative": bool(estimate.conservative),
    }


def _round(value: float) -> float | None:
    return round(float(value), 5) if np.isfinite(value) else None


def headline(rows: tuple[RateRow, ...], hazard: str = ANY_HAZARD) -> RateRow | None:
    """Return the row of the whole catalogue for a hazard, None where there is none."""
    return next((row for row in rows if row.by == "all" and row.hazard == hazard), None)
