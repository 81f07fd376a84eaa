"""Appeals of one store: opened, upheld, overturned, with what follows for listing, strikes, labels and banks."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from datetime import datetime, timedelta
from typing import Any

from features.schema import parse_listing
from serving.bans.book import BanError
from serving.bans.retroaction import BanOffice
from serving.decisions import new_decision_id
from serving.sellers.appeals import Appeal, AppealError, UnknownAppealError, fold_appeals, labels_before
from serving.sellers.desk import SellerDesk, take_back
from serving.sellers.rulings import ruling
from serving.store import DecisionRecord, LabelRecord, Store, StoredDecision
from serving.store.engine import reading
from serving.store.notice_records import AppealRecord, say
from serving.store.records import ChangeRecord, microseconds
from serving.store.sellers import read_block_run, read_labels_on
from serving.store.steps import read_appeals, read_said

TEXT_MAX = 20_000


class AppealDesk:
    """Appeals of one store.

    Parameters
    ----------
    sellers
        Strikes of the same store, and the rules.
    bans
        Bans of the same store; None leaves banks alone.
    """

    def __init__(self, sellers: SellerDesk, bans: BanOffice | None = None) -> None:
        self.sellers = sellers
        self.store: Store = sellers.store
        self.bans = bans

    def all(self) -> list[Appeal]:
        """Every appeal, the oldest first."""
        with reading(self.store.engine) as connection:
            return fold_appeals(read_appeals(connection))

    def appeal(self, appeal_id: str) -> Appeal:
        """Return one.

        Raises
        ------
        AppealError
            When there is none.
        """
        with reading(self.store.engine) as connection:
            found = fold_appeals(read_appeals(connection, appeal_id=appeal_id))
        if not found:
            raise UnknownAppealError(f"got appeal {appeal_id[:80]!r}, which does not exist: list them first")
        return found[0]

    def text(self, appeal: Appeal) -> str | None:
        """What the seller wrote; None once erased."""
        with reading(self.store.engine) as connection:
            return read_said(connection, appeal.seq)

    def open(self, decision_id: str, text: str, actor: str, now: datetime) -> Appeal:
        """Open an appeal against a decision.

        Raises
        ------
        NotFoundError
            When there is no such decision.
        AppealError
            When it restricts nothing, is too long ago, or is appealed already.
        """
        decision = self.store.decision(decision_id)
        self._check_open(decision, text, now)
        digest, beside = say(text.strip(), microseconds(now))
        due = now + timedelta(days=self.sellers.rules.answer_days)
        record = AppealRecord(
            f"appeal-{new_decision_id(now)}",
            0,
            "opened",
            decision_id,
            decision.marketplace,
            _seller(decision),
            decision.listing_id,
            actor,
            {"due_at": due.isoformat(), "text_digest": digest},
            beside,
        )
        self.store.change(record, timeout_s=30)
        return self.appeal(record.appeal_id)

    def _check_open(self, decision: StoredDecision, text: str, now: datetime) -> None:
        if decision.state == "live" and decision.action in ("allow", "monitor"):
            raise AppealError("got a decision that restricts nothing, expected one that blocks or holds")
        if not text.strip() or len(text) > TEXT_MAX:
            raise AppealError(f"got {len(text)} characters, expected 1 to {TEXT_MAX} that say why")
        days = self.sellers.rules.appeal_days
        if now - decision.decided_at > timedelta(days=days):
            raise AppealError(f"got a decision older than {days} days, expected one that can be appealed")
        with reading(self.store.engine) as connection:
            earlier = fold_appeals(read_appeals(connection, decision_id=decision.id))
        if earlier:
            raise AppealError(
                f"got a decision with appeal {earlier[0].appeal_id} ({earlier[0].state}): one appeal each"
            )

    def uphold(self, appeal_id: str, note: str, actor: str) -> Appeal:
        """Let the decision stand.

        Raises
        ------
        AppealError
        """
        appeal, decision = self._decidable(appeal_id, note, actor)
        self.store.change(self._step(appeal, "upheld", note, actor, {}), timeout_s=30)
        for ban_id in _matched(decision) if self.bans else ():
            self._judge(ban_id, decision, True, actor)
        return self.appeal(appeal_id)

    def overturn(self, appeal_id: str, note: str, actor: str, now: datetime) -> Appeal:
        """Take the decision back, and with it the strikes and labels that it brought.

        The listing is released unless something later holds it. A banned item that it was taken for learns that this
        listing is a look-alike; a ban that was placed on this very listing, and not for an authority, is lifted.

        Raises
        ------
        AppealError
        """
        appeal, decision = self._decidable(appeal_id, note, actor)
        records: list[DecisionRecord | ChangeRecord] = []
        effects: dict[str, Any] = {"decision": None, "strikes": [], "labels": [], "bans": []}
        released = self._release(appeal, decision, actor, now)
        if released is not None:
            records.append(released)
            effects["decision"] = released.id
        key = (appeal.marketplace, appeal.listing_id)
        with reading(self.store.engine) as connection:
            # The strike may name another decision of the same block: an edited listing is decided again.
            run = read_block_run(connection, *key, decision.seq) | {decision.id}
        for strike in self.sellers.strikes_on(key):
            if strike.decision_id in run and strike.state == "given":
                records.append(take_back(strike, actor, f"appeal {appeal_id}"))
                effects["strikes"].append(strike.strike_id)
        with reading(self.store.engine) as connection:
            rows = read_labels_on(connection, appeal.marketplace, appeal.listing_id)
        for row in labels_before(rows, decision.id):
            body = {"appeal_id": appeal_id}
            records.append(
                LabelRecord(
                    row.marketplace,
                    row.listing_id,
                    row.hazard,
                    row.value,
                    row.source,
                    actor,
                    row.revision,
                    released.id if released else decision.id,
                    body,
                )
            )
            effects["labels"].append({"hazard": row.hazard, "source": row.source, "value": row.value})
        effects["bans"] = self._bans_of(decision)
        self.store.together([self._step(appeal, "overturned", note, actor, effects), *records], timeout_s=30)
        self._free_banks(decision, actor)
        return self.appeal(appeal_id)

    def _decidable(self, appeal_id: str, note: str, actor: str) -> tuple[Appeal, StoredDecision]:
        appeal = self.appeal(appeal_id)
        if appeal.state != "open":
            raise AppealError(f"got an appeal that was {appeal.state} already, expected an open one")
        if not note.strip() or len(note) > 2_000:
            raise AppealError(
                f"got a note of {len(note)} characters, expected 1 to 2,000: the seller is told why"
            )
        decision = self.store.decision(appeal.decision_id)
        if actor in (decision.actor, decision.body.get("decided_by")):
            raise AppealError(
                "got the person who made the decision, expected somebody else to judge the appeal"
            )
        return appeal, decision

    def _release(
        self, appeal: Appeal, decision: StoredDecision, actor: str, now: datetime
    ) -> DecisionRecord | None:
        latest = self.store.latest(appeal.marketplace, appeal.listing_id)
        if latest is None or latest.id != decision.id:
            return None
        return ruling(latest, "allow", "live", actor, now, {"appeal_id": appeal.appeal_id})

    def _bans_of(self, decision: StoredDecision) -> list[dict[str, str]]:
        """What will happen to banks, said before it does."""
        if self.bans is None:
            return []
        found = [{"ban_id": ban_id, "what": "look-alike"} for ban_id in _matched(decision)]
        return found + [{"ban_id": ban_id, "what": "lifted"} for ban_id in self._own_bans(decision)]

    def _own_bans(self, decision: StoredDecision) -> Sequence[str]:
        """Bans on this very listing that no authority asked for."""
        if self.bans is None:
            return ()
        key = (decision.marketplace, decision.listing_id)
        return [
            entry.ban_id
            for entry in self.bans.desk.book.entries.values()
            if entry.state != "lifted" and entry.notice is None and entry.key == key
        ]

    def _free_banks(self, decision: StoredDecision, actor: str) -> None:
        own = self._own_bans(decision)
        for ban_id in _matched(decision) if self.bans else ():
            if ban_id not in own:
                self._judge(ban_id, decision, False, actor)
        for ban_id in own:
            if self.bans is not None:
                self.bans.lift(ban_id, actor, "appeal overturned the decision")

    def _judge(self, ban_id: str, decision: StoredDecision, upheld: bool, actor: str) -> None:
        if self.bans is None:
            return
        try:
            if upheld:
                self.bans.desk.uphold(ban_id, decision.listing_id, actor)
            elif decision.listing is not None:
                self.bans.desk.overturn(ban_id, parse_listing(decision.listing), actor)
        except BanError:
            return  # lifted meanwhile: nothing to teach

    def _step(
        self, appeal: Appeal, status: str, note: str, actor: str, effects: Mapping[str, Any]
    ) -> AppealRecord:
        return AppealRecord(
            appeal.appeal_id,
            appeal.step,
            status,
            appeal.decision_id,
            appeal.marketplace,
            appeal.seller_id,
            appeal.listing_id,
            actor,
            {"note": note.strip(), "effects": dict(effects)},
        )


def _matched(decision: StoredDecision) -> list[str]:
    return [str(match["ban_id"]) for match in decision.body.get("matches", ())]


def _seller(decision: StoredDecision) -> str:
    seller = (decision.listing or {}).get("seller")
    return str(seller.get("id") or "") if isinstance(seller, dict) else ""
