"""What the loop gives to training: labels with weights, own rounds by product group, the strictness of laboratories."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

from serving.labs.book import LabBook, Sample
from serving.labs.estimate import TESTED_ROLES, frame_of
from serving.plans.file import matrix_of, read_frame
from training.estimators import EstimateError, Population, hajek, sampled
from training.off_policy import retraining_weights
from training.records import InspectionRound, LabResult
from training.sources.jsonl import to_line
from training.strictness import StrictnessError, StrictnessFit, fit_strictness, strictness_weights

if TYPE_CHECKING:
    from serving.labs.loop import LabOffice

PROGRAM = "sampling plan"
# A round of fewer effective tests says too little of a group to be told apart from chance.
LEAST_TESTS = 2.0


@dataclass(frozen=True, slots=True)
class Told:
    """One outcome: sample, hazard, whether it failed, and the model's probability before it."""

    sample: Sample
    hazard: str
    failed: bool
    predicted: float


def told(office: LabOffice) -> list[Told]:
    """Return every outcome that counts, of all plans; unclear ones are left out."""
    book = office.book
    predicted = {plan_id: _predicted(office.frame(plan_id)) for plan_id in book.plans}
    found = []
    for sample_id, outcomes in book.outcomes().items():
        sample = book.samples[sample_id]
        for hazard, outcome in outcomes.items():
            if outcome != "unclear":
                p = predicted[sample.plan_id].get((sample.cluster, hazard), 0.5)
                found.append(Told(sample, hazard, outcome == "fail", p))
    return found


def _predicted(frame: bytes) -> dict[tuple[str, str], float]:
    table, hazards = read_frame(frame)
    p = matrix_of(table, "p")
    return {
        (cluster, hazard): float(p[row, column])
        for row, cluster in enumerate(table.column("cluster").to_pylist())
        for column, hazard in enumerate(hazards)
    }


def strictness_of(office: LabOffice) -> StrictnessFit:
    """Fit the strictness of the laboratories on all results.

    Raises
    ------
    StrictnessError
        Where they share too little.
    """
    results = told(office)
    return fit_strictness(
        [one.sample.laboratory for one in results],
        [f"{one.sample.group}/{one.hazard}" for one in results],
        [f"{one.sample.cluster}/{one.hazard}" for one in results],
        np.array([one.failed for one in results], dtype=float),
        np.array([one.predicted for one in results]),
    )


def training_weights(results: list[Told], fit: StrictnessFit | None) -> np.ndarray:
    """Weight of every outcome: for how it was chosen, times for who tested it; mean 1.

    Returns
    -------
    ndarray of shape (n_results,)
    """
    weight = retraining_weights(np.array([one.sample.propensity for one in results]))
    if fit is not None and len(results):
        effect = np.array([fit.effect(one.sample.laboratory) for one in results])
        p = np.array([one.predicted for one in results])
        weight = weight * strictness_weights(np.array([one.failed for one in results]), p, effect)
    return weight / weight.mean() if len(weight) else weight


def training_lines(office: LabOffice) -> Iterator[str]:
    """Yield the loop's results as records for `listing-risk train`, one JSON line each.

    Laboratory results with their weights, then a round for every product group of each plan: how many of it failed by
    the design-based estimate, as the effective number of tests it is worth.
    """
    results = told(office)
    try:
        fit = strictness_of(office)
    except StrictnessError:
        fit = None
    titles: dict[str, str] = {}
    for one, weight in zip(results, training_weights(results, fit).tolist(), strict=True):
        sample = one.sample
        if sample.sample_id not in titles:
            titles[sample.sample_id] = office.listing_of(sample).title
        yield to_line(_result(one, titles[sample.sample_id], office.book, weight))
    for plan_id in office.book.plans:
        for row in group_rounds(office, plan_id):
            yield to_line(row)


def _result(one: Told, title: str, book: LabBook, weight: float) -> LabResult:
    sample = one.sample
    filed = next(f for f in book.current(sample.sample_id) if f.result.hazard == one.hazard)
    return LabResult(
        source="laboratory",
        native_id=f"{sample.sample_id}/{one.hazard}",
        date=filed.at.date(),
        product_name=title,
        analyte=filed.result.analyte,
        hazard=one.hazard,
        value=None,
        unit="",
        comparator="=",
        product_type=sample.group,
        sample_id=sample.sample_id,
        listing_id=sample.listing_id,
        laboratory=sample.laboratory,
        program=PROGRAM,
        failed=one.failed,
        weight=round(weight, 6),
    )


def group_rounds(office: LabOffice, plan_id: str) -> list[InspectionRound]:
    """Return one inspection round per product group of a plan's samples: effective tests and fails, by design."""
    book = office.book
    frame = frame_of(office.frame(plan_id), plan_id, book)
    groups = {s.cluster: s.group for s in book.samples_of(plan_id) if s.role in TESTED_ROLES}
    known = ~np.isnan(frame.failed)
    failed = np.where(known, frame.failed, 0.0).max(axis=1)
    seen = frame.chosen & known.any(axis=1)
    of = np.array([groups.get(unit, "") for unit in frame.units], dtype=object)
    made = book.plan(plan_id).made
    rounds = []
    for group in sorted({str(name) for name in of[seen] if name}):
        rows = seen & (of == group)
        rate, tests = _by_design(failed[rows], frame.propensity[rows], frame.stratum[rows])
        n = max(round(tests), 1)
        rounds.append(
            InspectionRound(
                "laboratory", f"{plan_id}/{group}", PROGRAM, made, "", group, "", n, round(rate * n), True, ""
            )
        )
    return rounds


def _by_design(failed: np.ndarray, propensity: np.ndarray, stratum: np.ndarray) -> tuple[float, float]:
    """Return the rate of the goods that the tests stand for, and the number of tests it is worth (Kish)."""
    size = float(np.sum(1 / propensity))
    worth = size**2 / float(np.sum(1 / propensity**2))
    try:
        estimate = hajek(sampled(failed, propensity, stratum), Population(size))
    except EstimateError:
        return float(failed.mean()), worth
    rate = estimate.rate if np.isfinite(estimate.rate) else float(failed.mean())
    return rate, worth


def weights_by_role(results: list[Told], weights: np.ndarray) -> Mapping[str, float]:
    """Return the mean weight by how items were chosen, for a report."""
    found: dict[str, list[float]] = {}
    for one, weight in zip(results, weights.tolist(), strict=True):
        found.setdefault(one.sample.role, []).append(weight)
    return {role: float(np.mean(values)) for role, values in found.items()}
