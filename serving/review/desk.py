"""The review desk of one store: take, claim, skip, note, decide, and the second person's word."""

from __future__ import annotations

import random
import uuid
from collections.abc import Callable
from dataclasses import dataclass
from datetime import datetime
from typing import Literal

from serving.judging import utc_now
from serving.review.records import records_of
from serving.review.rules import (
    DeskRules,
    Person,
    ReviewError,
    Said,
    choice_named,
    needs_second,
    outcome,
    still_in_force,
)
from serving.store import NoteRecord, QueueFilter, QueueItem, Store, StoredDecision, desk, goldens
from serving.store.desk import Claim, ItemNote, Key, Proposal
from serving.store.engine import reading, writing
from serving.store.records import microseconds

_LOOK = 100
_LOOKS = 5
NOTE_MAX = 2_000
Done = Literal["decided", "proposed", "noted"]


@dataclass(frozen=True, slots=True)
class Decided:
    """What came of a choice: in force under ``decision_id``, or waiting for a second person under ``proposal_id``."""

    done: Done
    decision_id: str = ""
    proposal_id: str = ""
    action: str = ""


class ReviewDesk:
    """Where people work on the queue.

    Parameters
    ----------
    store
        An open store.
    rules
        Leases, two-person choices, share of golden items.
    clock
        The time, with a zone.
    draw
        A number from 0 to 1, for golden items.
    """

    def __init__(
        self,
        store: Store,
        rules: DeskRules | None = None,
        clock: Callable[[], datetime] = utc_now,
        draw: Callable[[], float] = random.random,
    ) -> None:
        self.store = store
        self.rules = rules or DeskRules()
        self.clock = clock
        self._draw = draw

    def now(self) -> int:
        """Microseconds since 1970 (UTC)."""
        return microseconds(self.clock())

    # --- taking ----------------------------------------------------------------------------------------------

    def take(self, actor: str, only: QueueFilter | None = None) -> Claim | None:
        """Claim the most urgent item that nobody works on, or now and then a golden one; None when nothing waits."""
        golden = self._golden(actor) if self._draw() < self.rules.golden_share else None
        if golden is not None:
            return golden
        after = None
        for _ in range(_LOOKS):
            page = self.store.queue_page(size=_LOOK, after=after, only=only)
            claim = self._first_free(actor, page)
            if claim is not None or len(page) < _LOOK:
                return claim
            after = (page[-1].place, page[-1].seq)
        return None

    def _first_free(self, actor: str, page: tuple[QueueItem, ...]) -> Claim | None:
        now, keys = self.now(), [(item.marketplace, item.listing_id) for item in page]
        with reading(self.store.engine) as connection:
            held = desk.claims_among(connection, keys, now)
            left_out = desk.read_skips(connection, actor, now) | desk.proposed_among(connection, keys)
        for item, key in zip(page, keys, strict=True):
            other = held.get(key)
            if key in left_out or (other is not None and other.actor != actor):
                continue
            claim = self._claim(actor, key, item.decision_id)
            if claim is not None:
                return claim
        return None

    def _golden(self, actor: str) -> Claim | None:
        now = self.now()
        with reading(self.store.engine) as connection:
            for golden in goldens.unanswered_goldens(connection, actor):
                stored = self.store.decision(golden.decision_id)
                key = (stored.marketplace, stored.listing_id)
                if stored.listing is not None and desk.read_claim(connection, key, now) is None:
                    break
            else:
                return None
        return self._claim(actor, key, golden.decision_id, golden.id)

    def _claim(self, actor: str, key: Key, decision_id: str, golden_id: str | None = None) -> Claim | None:
        now = self.now()
        until = now + int(self.rules.lease.total_seconds() * 1_000_000)
        claim = Claim(*key, decision_id, actor, golden_id, until)
        with writing(self.store.engine) as connection:
            return claim if desk.put_claim(connection, claim, now) else None

    def claim(self, actor: str, decision_id: str) -> Claim:
        """Claim a certain item, or make one's lease on it longer.

        Raises
        ------
        ReviewError
            When somebody else works on it, or it is not in force any more.
        NotFoundError
        """
        stored = self.store.decision(decision_id)
        key = (stored.marketplace, stored.listing_id)
        still_in_force(stored, self.store.latest(*key))
        found = self._claim(actor, key, decision_id)
        if found is None:
            raise ReviewError(
                "got an item that somebody else works on: take another one, or wait for the lease to end"
            )
        return found

    def held_by(self, key: Key) -> Claim | None:
        """Who works on a listing now."""
        with reading(self.store.engine) as connection:
            return desk.read_claim(connection, key, self.now())

    def mine(self, actor: str) -> tuple[Claim, ...]:
        """What somebody works on now."""
        with reading(self.store.engine) as connection:
            return desk.claims_of(connection, actor, self.now())

    def skip(self, actor: str, decision_id: str) -> None:
        """Give an item back and not get it again for a while."""
        stored = self.store.decision(decision_id)
        key, until = (stored.marketplace, stored.listing_id), self.now()
        until += int(self.rules.skipped.total_seconds() * 1_000_000)
        with writing(self.store.engine) as connection:
            desk.drop_claim(connection, key, actor)
            desk.put_skip(connection, actor, key, until)

    def note(self, actor: str, decision_id: str, text: str) -> None:
        """Note something about a listing; the text itself is kept outside the audited record, its length inside.

        Raises
        ------
        ReviewError
        """
        if not text.strip() or len(text) > NOTE_MAX:
            raise ReviewError(f"got a note of {len(text)} characters, expected 1 to {NOTE_MAX}")
        stored = self.store.decision(decision_id)
        made = ItemNote(
            uuid.uuid4().hex, stored.marketplace, stored.listing_id, actor, text.strip(), self.now()
        )
        body = {"what": "item note", "note_id": made.id, "characters": len(made.text)}
        self.store.change(NoteRecord(f"listing:{stored.listing_id}", actor, body), timeout_s=30)
        with writing(self.store.engine) as connection:
            desk.put_item_note(connection, made)

    # --- deciding --------------------------------------------------------------------------------------------

    def decide(self, actor: str, decision_id: str, choice: str, hazard: str = "", note: str = "") -> Decided:
        """Decide about a claimed item; what needs a second person becomes a proposal.

        Raises
        ------
        ReviewError
            When the item is not claimed by this person, or not in force any more.
        StoreError
            When it could not be recorded; nothing is decided then.
        """
        said = Said(choice_named(choice), hazard, note)
        seen = self.store.decision(decision_id)
        key = (seen.marketplace, seen.listing_id)
        latest = self.store.latest(*key)
        again = self._again(actor, seen, latest, said)
        if again is not None:
            return again
        claim = self.held_by(key)
        if claim is None or claim.actor != actor or claim.decision_id != decision_id:
            raise ReviewError(
                "got a choice about an item that you do not hold, or whose lease has ended: take it"
            )
        if claim.golden_id is not None:
            return self._answer_golden(claim, said)
        still_in_force(seen, latest)
        if needs_second(said, seen, self.rules):
            return self._propose(actor, seen, said)
        return self._enforce(seen, said, Person(actor))

    def _again(
        self, actor: str, seen: StoredDecision, latest: StoredDecision | None, said: Said
    ) -> Decided | None:
        """A form that was sent twice is answered with what its first sending made."""
        if latest is None or latest.actor != actor or latest.body.get("choice") != said.choice:
            return None
        before = (latest.body.get("previous") or {}).get("decision_id")
        return Decided("decided", latest.id, action=latest.action) if before == seen.id else None

    def _enforce(self, seen: StoredDecision, said: Said, person: Person) -> Decided:
        records = records_of(said, seen, person, self.clock(), self.rules)
        recorded = self.store.together(records, timeout_s=30)
        with writing(self.store.engine) as connection:
            desk.drop_claim(connection, (seen.marketplace, seen.listing_id), person.name)
        found = outcome(said, seen, self.clock(), self.rules)
        return Decided("decided", recorded[0].subject, action=found.action)

    def _propose(self, actor: str, seen: StoredDecision, said: Said) -> Decided:
        key = (seen.marketplace, seen.listing_id)
        outcome(
            said, seen, self.clock(), self.rules
        )  # a choice that cannot be is refused now, not by the second person
        made = Proposal(
            uuid.uuid4().hex, *key, seen.id, said.choice, said.hazard, said.note, actor, self.now(), "open"
        )
        body = {"what": "proposed", "decision_id": seen.id, "choice": said.choice, "hazard": said.hazard}
        self.store.change(NoteRecord(f"proposal:{made.id}", actor, body), timeout_s=30)
        with writing(self.store.engine) as connection:
            if desk.open_proposal_on(connection, key) is not None:
                raise ReviewError("got a choice about an item that waits for a second person already")
            desk.put_proposal(connection, made)
            desk.drop_claim(connection, key, actor)
        return Decided("proposed", proposal_id=made.id, action=said.choice)

    def _answer_golden(self, claim: Claim, said: Said) -> Decided:
        body = {"what": "golden answer", "golden_id": claim.golden_id, "choice": said.choice}
        self.store.change(NoteRecord(f"golden:{claim.golden_id}", claim.actor, body), timeout_s=30)
        with writing(self.store.engine) as connection:
            goldens.put_golden_answer(connection, str(claim.golden_id), claim.actor, said.choice, self.now())
            desk.drop_claim(connection, (claim.marketplace, claim.listing_id), claim.actor)
        return Decided("noted", claim.decision_id, action=said.choice)

    # --- the second person -----------------------------------------------------------------------------------

    def proposal(self, proposal_id: str) -> Proposal:
        """Read an open proposal.

        Raises
        ------
        ReviewError
        """
        with reading(self.store.engine) as connection:
            found = desk.read_proposal(connection, proposal_id)
        if found is None or found.state != "open":
            raise ReviewError("got a proposal that does not exist or was closed by somebody else")
        return found

    def agree(self, actor: str, proposal_id: str) -> Decided:
        """Agree to what another person proposed; it is in force then.

        Raises
        ------
        ReviewError
            When it is one's own, or the item was decided since.
        """
        found = self._others(actor, proposal_id)
        seen = self.store.decision(found.decision_id)
        try:
            still_in_force(seen, self.store.latest(seen.marketplace, seen.listing_id))
        except ReviewError:
            self._close(found, "outdated", actor)
            raise
        self._close(found, "agreed", actor)
        said = Said(choice_named(found.choice), found.hazard, found.note)
        return self._enforce(seen, said, Person(found.proposed_by, second=actor))

    def decline(self, actor: str, proposal_id: str) -> None:
        """Do not agree; the item goes back to the queue.

        Raises
        ------
        ReviewError
        """
        self._close(self._others(actor, proposal_id), "declined", actor)

    def _others(self, actor: str, proposal_id: str) -> Proposal:
        found = self.proposal(proposal_id)
        if found.proposed_by == actor:
            raise ReviewError("got a word on one's own proposal, expected that of a second person")
        return found

    def _close(self, found: Proposal, state: str, actor: str) -> None:
        with writing(self.store.engine) as connection:
            if not desk.close_proposal(connection, found.id, state, actor, self.now()):
                raise ReviewError("got a proposal that somebody else closed just now")
        body = {"what": f"proposal {state}", "decision_id": found.decision_id, "choice": found.choice}
        self.store.change(NoteRecord(f"proposal:{found.id}", actor, body), timeout_s=30)
