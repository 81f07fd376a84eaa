"""Where plans are kept, results are taken in, and what follows from them is done: the shell of the laboratory loop."""

from __future__ import annotations

import threading
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from datetime import UTC, date, datetime
from typing import TYPE_CHECKING, Any

from features.schema import Listing, parse_listing
from features.taxonomy import Taxonomy, load_taxonomy
from serving.bans.retroaction import BanOffice
from serving.events.kinds import event
from serving.labs.book import ORDERS, PLAN, RESULTS, STEP, LabBook, LabError, Sample
from serving.labs.cases import CaseView, check_step, view_of, work_list
from serving.labs.columns import ColumnMaps, load_columns
from serving.labs.follow import Consequences, Settled
from serving.labs.intake import Intake, check_file
from serving.labs.labels import labels_of
from serving.labs.orders import summarise_orders
from serving.labs.results import read_results
from serving.plans.candidates import PastTests, ScoredCatalogue
from serving.plans.changes import changes
from serving.plans.file import (
    FRAME,
    LISTINGS,
    frame_bytes,
    harm_of_frame,
    listings_bytes,
    plan_body,
    read_listings_bytes,
)
from serving.plans.sheets import sheet_files
from serving.plans.types import Plan
from serving.store import QueueFilter, Store
from serving.store.laboratory import lab_record, read_file, read_laboratory

if TYPE_CHECKING:
    from serving.plans.making import Made

_TIMEOUT = 60.0


def utc_now() -> datetime:
    """Return the time now, in UTC."""
    return datetime.now(UTC)


@dataclass(frozen=True, slots=True)
class Taken:
    """A results file that was taken in, and what followed.

    Attributes
    ----------
    outcomes
        Outcomes of the file's samples by hazard, after it.
    settled
        Cases that were opened or moved on, see `LabOffice.settle`.
    """

    intake: Intake
    outcomes: Mapping[str, Mapping[str, str]]
    settled: Settled | None

    def to_json(self) -> dict[str, Any]:
        """Return the report as JSON values."""
        counts = {"pass": 0, "fail": 0, "unclear": 0}
        for entry in self.intake.entries:
            counts[entry.verdict.outcome] += 1
        return {
            "taken": True,
            "file_id": self.intake.file_id,
            "file": self.intake.name,
            "laboratory": self.intake.laboratory,
            "results": len(self.intake.entries),
            "counts": counts,
            "failed_samples": sorted(s for s, by in self.outcomes.items() if "fail" in by.values()),
            "notes": [{"line": n.line, "code": n.code, "message": n.message} for n in self.intake.notes],
            "settled": None if self.settled is None else self.settled.to_json(),
        }


class LabOffice:
    """Keeps the laboratory loop of one store.

    Parameters
    ----------
    store
        An open store.
    bans
        Places bans and looks back; None where only plans and results are kept and nothing follows from them here.
    maps
        Column maps of the laboratories; None for those of the package.
    clock
        Gives the time, with a zone.
    """

    def __init__(
        self,
        store: Store,
        bans: BanOffice | None = None,
        *,
        taxonomy: Taxonomy | None = None,
        maps: ColumnMaps | None = None,
        clock: Callable[[], datetime] = utc_now,
    ) -> None:
        self.store = store
        self.bans = bans
        self.taxonomy = taxonomy or load_taxonomy()
        self.maps = maps or load_columns()
        self.clock = clock
        self._book = LabBook()
        # One file at a time in this process; what two processes write at once is settled by `settle`.
        self._lock = threading.RLock()

    @property
    def book(self) -> LabBook:
        """What is known, as of now."""
        with self._lock:
            self._book.apply(read_laboratory(self.store, self._book.seq))
            return self._book

    # --- plans ---------------------------------------------------------------------------------------------------

    def keep_plan(self, plan: Plan, scored: ScoredCatalogue, actor: str) -> str:
        """Record a plan with propensity, stratum and reason of every item; returns its id.

        Raises
        ------
        LabError
            When a plan of the same period is recorded: its samples would have the same numbers.
        """
        plan_id = f"plan-{plan.period}"
        with self._lock:
            if plan_id in self.book.plans:
                raise LabError(
                    f"got period {plan.period!r}, which has a plan already; name another, such as {plan.period}-2"
                )
            listings = {listing.id: listing for listing in scored.listings}
            body = plan_body(plan, plan_id, scored)
            files = {FRAME: frame_bytes(plan), LISTINGS: listings_bytes(plan, listings)}
            files |= sheet_files(plan, listings, self.taxonomy)
            sent = [
                event(
                    "item.sent_to_laboratory",
                    item["listing_id"],
                    {
                        name: item[name]
                        for name in ("sample_id", "marketplace", "listing_id", "laboratory", "hazards")
                    }
                    | {"plan_id": plan_id},
                    self.clock(),
                )
                for item in body["items"]
            ]
            self.store.change(lab_record(PLAN, plan_id, actor, body, files, sent), _TIMEOUT)
        return plan_id

    def past_tests(self) -> PastTests:
        """Return what the next plan must know: tests so far, open orders of a test, what is off sale."""
        book = self.book
        ordered = {(item.marketplace, item.listing_id) for item in self._queue("lab_test")}
        banned = {key for case in book.cases.values() for key in view_of(case, book).listings}
        return PastTests(book.last_tested(), book.group_tested(), frozenset(ordered), frozenset(banned))

    def _queue(self, action: str) -> list[Any]:
        found: list[Any] = []
        after = None
        while page := self.store.queue_page(size=500, after=after, only=QueueFilter(action=action)):
            found.extend(page)
            after = (page[-1].place, page[-1].seq)
        return found

    def frame(self, plan_id: str | None = None) -> bytes:
        """Return the frame file of a plan."""
        head = self.book.plan(plan_id)
        return read_file(self.store, head.seq, FRAME)

    def plan_file(self, plan_id: str, name: str) -> bytes:
        """Return a file kept with a plan: an order sheet or the frame.

        Raises
        ------
        LabError, NotFoundError
            When there is no such plan or file.
        """
        if name == LISTINGS:
            raise LabError(f"got file {name!r}, which stays inside; expected an order sheet or {FRAME}")
        return read_file(self.store, self.book.plan(plan_id).seq, name)

    def titles(self, plan_id: str) -> dict[str, str]:
        """Return the titles of a plan's listings, as they stood."""
        content = read_file(self.store, self.book.plan(plan_id).seq, LISTINGS)
        return {listing_id: raw["title"] for listing_id, raw in read_listings_bytes(content).items()}

    def listing_of(self, sample: Sample) -> Listing:
        """Return a sample's listing as it stood when it was planned."""
        head = self.book.plan(sample.plan_id)
        return parse_listing(
            read_listings_bytes(read_file(self.store, head.seq, LISTINGS))[sample.listing_id]
        )

    def changes(self, plan_id: str, made: Made) -> list[dict[str, Any]]:
        """Say how a plan just made differs from a recorded one, and why."""
        book = self.book
        old = book.plan(plan_id)
        tested = {book.samples[s].listing_id for s in book.by_sample() if book.samples[s].plan_id == plan_id}
        banned = {key[1] for case in book.cases.values() for key in view_of(case, book).listings}
        found = changes(
            old.body, made.body,
            old_harm=harm_of_frame(self.frame(plan_id)), new_harm=made.harm,
            tested=tested, banned=banned, on_sale=made.listings.keys() | set(made.scored.left_out),
        )  # fmt: skip
        return [change.to_json() for change in found]

    # --- results -------------------------------------------------------------------------------------------------

    def check(self, name: str, content: bytes, laboratory: str, *, today: date | None = None) -> Intake:
        """Say whether a file would be taken; parameters and errors as `take`."""
        results, problems = read_results(name, content, laboratory, self.maps)
        day = today or self.clock().date()
        return check_file(name, content, laboratory, results, problems, self.book, self.taxonomy, day)

    def take(
        self,
        name: str,
        content: bytes,
        laboratory: str,
        actor: str,
        *,
        today: date | None = None,
        settle: bool = True,
    ) -> Taken:
        """Take a results file in, whole or not at all, and do what follows.

        Parameters
        ----------
        name, content
            The file; its suffix tells the format.
        laboratory
            Who tested.
        today
            Day of results that name none; now by default.

        Raises
        ------
        ResultsRefusedError, FileError, ColumnsError
            Nothing was taken.
        StoreError
            Nothing was acknowledged; the same file can be sent again.
        """
        with self._lock:
            book = self.book
            intake = self.check(name, content, laboratory, today=today)
            record = lab_record(RESULTS, intake.file_id, actor, intake.body(), {"original": content})
            self.store.together([record, *labels_of(intake, book, actor)], _TIMEOUT)
            outcomes = {
                sample: by
                for sample, by in self.book.outcomes().items()
                if sample in {e.result.sample_id for e in intake.entries}
            }
            return Taken(intake, outcomes, self.settle(actor) if settle and self.bans is not None else None)

    def settle(self, actor: str) -> Settled:
        """Do whatever results ask for and is not done; see `serving.labs.follow.Consequences.settle`.

        Raises
        ------
        LabError
            Without an office of bans.
        """
        if self.bans is None:
            raise LabError("bans are not kept here, so nothing can follow from results")
        with self._lock:
            return Consequences(self, self.bans).settle(actor)

    # --- cases ---------------------------------------------------------------------------------------------------

    def cases(self) -> list[CaseView]:
        """Return every case, open ones first, the oldest first."""
        book = self.book
        views = [view_of(case, book) for case in book.cases.values()]
        return sorted(views, key=lambda view: (view.closed, view.case.opened_at))

    def case(self, case_id: str) -> CaseView:
        """Return a case.

        Raises
        ------
        LabError
        """
        book = self.book
        if case_id not in book.cases:
            raise LabError(f"got case {case_id[:80]!r}, which does not exist")
        return view_of(book.cases[case_id], book)

    def confirm(self, case_id: str, step: str, actor: str, note: str = "") -> CaseView:
        """Take a person's word that a step is done.

        Raises
        ------
        LabError
            When the step is not open, or orders are not refunded yet.
        """
        with self._lock:
            check_step(self.case(case_id), step)
            body = {"step": step, "note": {"note": note[:500]} if note else {}}
            self.store.change(lab_record(STEP, case_id, actor, body), _TIMEOUT)
            return self.case(case_id)

    def take_orders(self, name: str, content: bytes, actor: str) -> dict[str, Any]:
        """Take the marketplace's orders file in as counts; buyers' names and numbers are never kept.

        Raises
        ------
        OrdersError
        """
        with self._lock:
            views = self.cases()
            wanted = {key: view.case.case_id for view in views for key in view.listings}
            summary = summarise_orders(content, wanted, name)
            body = {"listings": list(summary.listings), "others": summary.others}
            self.store.change(lab_record(ORDERS, "orders", actor, body), _TIMEOUT)
        return body

    def work_list(self) -> list[dict[str, Any]]:
        """Return the refunds that are due: one row a listing of an open case."""
        return work_list(self.cases(), self.book)
