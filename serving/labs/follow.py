"""What follows from results: cases opened, goods banned and searched for, listings blocked, sellers struck."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from datetime import datetime
from typing import Any, Protocol

from features.schema import Listing
from serving.bans.book import BanRequest, Entry, Notice
from serving.bans.retroaction import BanOffice
from serving.decisions import Decision
from serving.events.kinds import decision_events, event
from serving.labs.book import CASE, STEP, LabBook, Sample
from serving.labs.cases import case_body, failing, reason_of, view_of
from serving.sellers.desk import SellerDesk
from serving.store import Store
from serving.store.decided import decision_record
from serving.store.laboratory import lab_record

LABORATORY_BANK = "laboratory"
STRIKE = "laboratory_fail"
_TIMEOUT = 60.0
_MACHINE = frozenset({"banned", "relistings", "blocked"})


@dataclass(frozen=True, slots=True)
class Settled:
    """What was done about results: bans placed, listings blocked, look-alikes cleared."""

    cases: tuple[str, ...]
    bans: tuple[str, ...]
    blocked: tuple[tuple[str, str], ...]
    relistings: tuple[tuple[str, str], ...]
    cleared: tuple[str, ...]

    def to_json(self) -> dict[str, Any]:
        """Return it as JSON values."""
        return {
            "cases": list(self.cases),
            "bans": list(self.bans),
            "blocked": [{"marketplace": m, "listing_id": one} for m, one in self.blocked],
            "relistings": [{"marketplace": m, "listing_id": one} for m, one in self.relistings],
            "cleared": list(self.cleared),
        }


class Loop(Protocol):
    """What the consequences need of the office."""

    @property
    def store(self) -> Store:
        """Where everything is recorded."""
        ...

    @property
    def book(self) -> LabBook:
        """What is known, as of now."""
        ...

    @property
    def clock(self) -> Callable[[], datetime]:
        """Gives the time, with a zone."""
        ...

    def listing_of(self, sample: Sample) -> Listing:
        """Return a sample's listing as it stood when it was planned."""
        ...


class Consequences:
    """Does what results ask for.

    Parameters
    ----------
    loop
        The office of the laboratory loop.
    bans
        Places bans and looks back.
    """

    def __init__(self, loop: Loop, bans: BanOffice) -> None:
        self.loop = loop
        self.bans = bans
        self.store = loop.store

    @property
    def book(self) -> LabBook:
        """What is known, as of now."""
        return self.loop.book

    def settle(self, actor: str) -> Settled:
        """Do whatever results ask for and is not done: open cases, ban, look back, block, strike; clear look-alikes.

        May be repeated after a crash: what was done is not done twice.
        """
        opened = [self._open(sample, actor) for sample in failing(self.book)]
        placed: list[str] = []
        blocked: list[tuple[str, str]] = []
        again: list[tuple[str, str]] = []
        for case_id in list(self.book.cases):
            self._follow(case_id, actor, placed, blocked, again)
        return Settled(tuple(opened), tuple(placed), tuple(blocked), tuple(again), self._clear(actor))

    def _open(self, sample: Sample, actor: str) -> str:
        case_id = f"case-{sample.sample_id}"
        body = case_body(sample, self.book.current(sample.sample_id))
        facts = {
            "case_id": case_id,
            "marketplace": sample.marketplace,
            "listing_id": sample.listing_id,
            "hazards": body["hazards"],
        }
        due = event("refund.due", sample.listing_id, facts, self.loop.clock())
        self.store.change(lab_record(CASE, case_id, actor, body, events=[due]), _TIMEOUT)
        return case_id

    def _follow(
        self,
        case_id: str,
        actor: str,
        placed: list[str],
        blocked: list[tuple[str, str]],
        again: list[tuple[str, str]],
    ) -> None:
        book = self.book
        case = book.cases[case_id]
        sample = book.samples[case.sample_id]
        struck = "strike" in case.done or not sample.seller_id
        if (case.done.keys() >= _MACHINE and struck) or not view_of(case, book).hazards:
            return
        listing = self.loop.listing_of(sample)
        if not {"banned", "relistings"} <= case.done.keys():
            ban_id, found = self._ban(case_id, listing, case.body, actor)
            placed.append(ban_id)
            again.extend(found)
        if "blocked" not in case.done:
            self._block(case_id, sample, listing, actor)
            blocked.append(sample.key)
        if "strike" not in case.done and sample.seller_id:
            self._strike(case_id, actor)

    def _ban(
        self, case_id: str, listing: Listing, body: Mapping[str, Any], actor: str
    ) -> tuple[str, list[tuple[str, str]]]:
        """Place the ban, unless a run that broke off placed it; search the catalogue either way."""
        entry = self._standing(case_id) or self.bans.desk.place(self._request(case_id, listing, body), actor)
        if "banned" not in self.book.cases[case_id].done:
            self._step(case_id, "banned", actor, {"ban_id": entry.ban_id})
        found = self.bans.look_back(entry, actor)
        hits = [self._hit(decision) for decision in found.decisions if decision.listing_id != listing.id]
        note = {
            "ban_id": entry.ban_id,
            "searched": found.searched,
            "seconds": round(found.seconds, 3),
            "listings": hits,
        }
        self._step(case_id, "relistings", actor, note)
        return entry.ban_id, [(hit["marketplace"], hit["listing_id"]) for hit in hits]

    def _standing(self, case_id: str) -> Entry | None:
        entries = self.bans.desk.book.entries.values()
        return next((entry for entry in entries if entry.notice and entry.notice.number == case_id), None)

    def _request(self, case_id: str, listing: Listing, body: Mapping[str, Any]) -> BanRequest:
        laboratory = self.book.samples[body["sample_id"]].laboratory
        notice = Notice(regulator=laboratory, number=case_id, date=self.loop.clock().date().isoformat())
        raw = listing.model_dump(mode="json", exclude_defaults=True)
        return BanRequest(listing=raw, reason=reason_of(body), bank=LABORATORY_BANK, notice=notice)

    def _hit(self, decision: Decision) -> dict[str, Any]:
        return {
            "marketplace": self.store.decision(decision.decision_id).marketplace,
            "listing_id": decision.listing_id,
            "action": decision.action,
            "state": decision.state,
            "decision_id": decision.decision_id,
        }

    def _block(self, case_id: str, sample: Sample, listing: Listing, actor: str) -> None:
        """See that the failed listing itself is blocked: it may not be in the catalogue that was searched."""
        standing = self.store.latest(sample.marketplace, sample.listing_id)
        if standing is None or standing.action != "block":
            decision = self.bans.decider.decide([listing])[0]
            made = decision_events(decision, marketplace=sample.marketplace)
            self.store.record([decision_record(listing, decision, caller=actor, events=made)], _TIMEOUT)
            note = {"decision_id": decision.decision_id, "action": decision.action, "state": decision.state}
        else:
            note = {"decision_id": standing.id, "action": standing.action, "state": standing.state}
        self._step(case_id, "blocked", actor, note)

    def _strike(self, case_id: str, actor: str) -> None:
        """Give the seller a strike by the rules of the house; none where one still stands for this listing."""
        decision = self.store.decision(self.book.cases[case_id].done["blocked"][2]["decision_id"])
        strike = SellerDesk(self.store).give(decision, actor, STRIKE)
        note = {"strike_id": strike.strike_id, "points": strike.points} if strike else {"standing": True}
        self._step(case_id, "strike", actor, note)

    def _step(self, case_id: str, step: str, actor: str, note: Mapping[str, Any]) -> None:
        self.store.change(lab_record(STEP, case_id, actor, {"step": step, "note": dict(note)}), _TIMEOUT)

    def _clear(self, actor: str) -> tuple[str, ...]:
        """Tell the negative bank of samples that passed everything and only look like something banned."""
        book, office = self.book, self.bans
        check = office.check()
        cleared = []
        for sample_id, outcomes in book.outcomes().items():
            sample = book.samples[sample_id]
            if any(outcomes.get(hazard) != "pass" for hazard in sample.hazards):
                continue
            if not len(office.desk.bank):
                break
            listing = self.loop.listing_of(sample)
            for match in check([listing])[0].matches:
                if match.kind == "near":
                    office.desk.overturn(match.ban_id, listing, actor)
                    cleared.append(sample.listing_id)
        return tuple(cleared)
