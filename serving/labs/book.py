"""The laboratory loop as a fold over its records: plans, samples, results that count, cases. Pure; no storage here."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, field
from datetime import date, datetime
from typing import Any, Literal, Protocol

from features.errors import UserError
from serving.labs.results import Result
from serving.labs.verdicts import Goods
from serving.rows import HistoryRow

PLAN, RESULTS, ORDERS, CASE, STEP = "plan", "results", "orders", "case", "step"
SampleOutcome = Literal["pass", "fail", "unclear"]


class LabError(UserError):
    """A plan, a sample or a case that does not exist or cannot be changed so."""


class Row(HistoryRow, Protocol):
    """A record of the loop as the store keeps it."""

    @property
    def seq(self) -> int:
        """Its number."""
        ...

    @property
    def kind(self) -> str:
        """What happened."""
        ...

    @property
    def subject(self) -> str:
        """To what."""
        ...


@dataclass(frozen=True, slots=True)
class Sample:
    """One planned item, as its laboratory knows it by number."""

    sample_id: str
    plan_id: str
    listing_id: str
    marketplace: str
    seller_id: str
    cluster: str
    role: str
    laboratory: str
    hazards: tuple[str, ...]
    propensity: float
    stratum: str
    group: str
    audience: str
    market: str
    category: str
    harm: float
    p: float
    reason: str
    cost: int = 0

    @property
    def goods(self) -> Goods:
        """What decides which law applies."""
        return Goods(self.group, self.audience, self.market)

    @property
    def key(self) -> tuple[str, str]:
        """Marketplace and listing id."""
        return self.marketplace, self.listing_id


@dataclass(frozen=True, slots=True)
class PlanHead:
    """A plan without its items: where it is kept and what it says of itself."""

    plan_id: str
    seq: int
    made: date
    made_by: str
    body: Mapping[str, Any]


@dataclass(frozen=True, slots=True)
class Filed:
    """A result as taken in: from which file, when, with the verdict that was derived from it.

    ``superseded_by`` is the number of the record that took its place, 0 while it counts.
    """

    result: Result
    outcome: str
    verdict: Mapping[str, Any]
    file_id: str
    laboratory: str
    seq: int
    at: datetime
    superseded_by: int = 0


@dataclass(frozen=True, slots=True)
class FileHead:
    """A results file that was taken in."""

    file_id: str
    seq: int
    name: str
    laboratory: str
    rows: int
    digest: str
    at: datetime
    actor: str


@dataclass(slots=True)
class Case:
    """What follows from a failed sample; open until every step is confirmed.

    Attributes
    ----------
    opened_at
        When the failing result was on disk.
    done
        Step -> (when, by whom, what was noted).
    """

    case_id: str
    sample_id: str
    opened_at: datetime
    body: dict[str, Any] = field(default_factory=dict)
    done: dict[str, tuple[datetime, str, Mapping[str, Any]]] = field(default_factory=dict)


@dataclass
class LabBook:
    """What is known now.

    Attributes
    ----------
    results
        By what is measured (`Result.key`): every result of it, the one that counts last.
    orders
        By listing: counts of an orders file, never a name.
    """

    plans: dict[str, PlanHead] = field(default_factory=dict)
    samples: dict[str, Sample] = field(default_factory=dict)
    results: dict[tuple[str, str, str], list[Filed]] = field(default_factory=dict)
    files: dict[str, FileHead] = field(default_factory=dict)
    cases: dict[str, Case] = field(default_factory=dict)
    orders: dict[tuple[str, str], dict[str, Any]] = field(default_factory=dict)
    seq: int = 0

    def apply(self, rows: Iterable[Row]) -> None:
        """Take further rows, in order."""
        for row in rows:
            {
                PLAN: self._plan,
                RESULTS: self._results,
                CASE: self._case,
                STEP: self._step,
                ORDERS: self._orders,
            }[row.kind](row)
            self.seq = row.seq

    def _plan(self, row: Row) -> None:
        body = row.body
        plan_id = row.subject
        self.plans[plan_id] = PlanHead(plan_id, row.seq, date.fromisoformat(body["made"]), row.actor, body)
        names = Sample.__slots__
        for item in body["items"]:
            known = {name: item[name] for name in names if name in item}
            known |= {"plan_id": plan_id, "hazards": tuple(item["hazards"])}
            self.samples[item["sample_id"]] = Sample(**known)

    def _results(self, row: Row) -> None:
        body = row.body
        self.files[row.subject] = FileHead(
            row.subject, row.seq, body["name"], body["laboratory"], len(body["rows"]), body["digest"], row.at, row.actor
        )  # fmt: skip
        for entry in body["rows"]:
            result = Result.from_json(entry["result"])
            filed = Filed(
                result,
                entry["verdict"]["outcome"],
                entry["verdict"],
                row.subject,
                body["laboratory"],
                row.seq,
                row.at,
            )
            earlier = self.results.setdefault(result.key, [])
            if earlier:
                last = earlier[-1]
                earlier[-1] = Filed(
                    last.result,
                    last.outcome,
                    last.verdict,
                    last.file_id,
                    last.laboratory,
                    last.seq,
                    last.at,
                    row.seq,
                )
            earlier.append(filed)

    def _case(self, row: Row) -> None:
        self.cases[row.subject] = Case(row.subject, row.body["sample_id"], row.at, dict(row.body))

    def _step(self, row: Row) -> None:
        case = self.cases.get(row.subject)
        if case is not None:
            case.done[row.body["step"]] = (row.at, row.actor, row.body.get("note") or {})

    def _orders(self, row: Row) -> None:
        for entry in row.body["listings"]:
            self.orders[entry["marketplace"], entry["listing_id"]] = dict(entry)

    def sample(self, sample_id: str) -> Sample:
        """Return a sample.

        Raises
        ------
        LabError
        """
        if sample_id not in self.samples:
            raise LabError(f"got sample {sample_id[:60]!r}, which no plan has: check the number")
        return self.samples[sample_id]

    def plan(self, plan_id: str | None = None) -> PlanHead:
        """Return a plan, the latest where none is named.

        Raises
        ------
        LabError
        """
        if not self.plans:
            raise LabError("no plan is recorded yet: make one with `listing-risk plan CATALOGUE --store ...`")
        if plan_id is None:
            return list(self.plans.values())[-1]
        if plan_id not in self.plans:
            raise LabError(f"got plan {plan_id[:60]!r}; known are {', '.join(list(self.plans)[-5:])}")
        return self.plans[plan_id]

    def samples_of(self, plan_id: str) -> list[Sample]:
        """Return a plan's samples in the order of their numbers."""
        return [sample for sample in self.samples.values() if sample.plan_id == plan_id]

    def current(self, sample_id: str | None = None) -> Iterator[Filed]:
        """Yield the results that count: of each property measured, the last one; superseded ones never."""
        for (sample, _, _), filed in self.results.items():
            if sample_id in (None, sample):
                yield filed[-1]

    def by_sample(self) -> dict[str, list[Filed]]:
        """Return the results that count, by sample."""
        found: dict[str, list[Filed]] = {}
        for filed in self.current():
            found.setdefault(filed.result.sample_id, []).append(filed)
        return found

    def outcomes(self) -> dict[str, dict[str, SampleOutcome]]:
        """Return what is known of every sample, by hazard; see `outcomes_of`."""
        return {sample: outcomes_of(filed) for sample, filed in self.by_sample().items()}

    def last_tested(self) -> dict[tuple[str, str], date]:
        """Return the day of each listing's last result."""
        found: dict[tuple[str, str], date] = {}
        for sample_id, filed in self.by_sample().items():
            key = self.samples[sample_id].key
            day = max(
                date.fromisoformat(f.result.tested_on) if f.result.tested_on else f.at.date() for f in filed
            )
            found[key] = max(day, found.get(key, day))
        return found

    def group_tested(self) -> dict[str, int]:
        """Return how many samples with results each product group has."""
        found: dict[str, int] = {}
        for sample_id in self.by_sample():
            group = self.samples[sample_id].group
            found[group] = found.get(group, 0) + 1
        return found


def outcomes_of(filed: Iterable[Filed]) -> dict[str, SampleOutcome]:
    """Return the outcome of a sample by hazard.

    One fail is a fail. A pass needs a result that passes and none that is unclear, besides single substances of a sum
    whose total passed. Anything else is unclear, which is not a pass.
    """
    by_hazard: dict[str, list[Filed]] = {}
    for one in filed:
        by_hazard.setdefault(one.result.hazard, []).append(one)
    found: dict[str, SampleOutcome] = {}
    for hazard, results in by_hazard.items():
        said = [one.outcome for one in results if not one.verdict.get("partial")]
        if any(one.outcome == "fail" for one in results):
            found[hazard] = "fail"
        else:
            found[hazard] = "pass" if said and all(outcome == "pass" for outcome in said) else "unclear"
    return found
