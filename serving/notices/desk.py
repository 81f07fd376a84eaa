"""Notices of one store: opened, worked on, acknowledged; durable first, then live in this process."""

from __future__ import annotations

import threading
from collections.abc import Iterable, Mapping, Sequence
from datetime import UTC, datetime
from typing import Any

from serving.decisions import new_decision_id
from serving.events.kinds import event
from serving.notices.book import NoticeBook, tasks_of
from serving.notices.intake import NoticeError, NoticeRequest, UnknownNoticeError
from serving.notices.notice import Hit, Key, Notice, Task, TaskState
from serving.notices.rules import NoticeRules, load_notice_rules
from serving.store import OutboxEvent, Store
from serving.store import notice_tables as tables
from serving.store.engine import reading
from serving.store.notice_records import AcknowledgementRecord, NoticeRecord
from serving.store.records import ChangeRecord
from serving.store.steps import last_step, read_notices

SYSTEM = "system"


class NoticeDesk:
    """Notices of one store, kept in step with what other processes write.

    Parameters
    ----------
    store
        An open store.
    rules
        What notices ask for and by when.
    """

    def __init__(self, store: Store, rules: NoticeRules | None = None) -> None:
        self.store = store
        self.rules = rules or load_notice_rules()
        self._book = NoticeBook()
        self._seen = 0
        self._lock = threading.RLock()

    @property
    def book(self) -> NoticeBook:
        """Every notice as of now; cheap when nothing was written since."""
        with self._lock, reading(self.store.engine) as connection:
            if last_step(connection, tables.notices) != self._seen:
                rows = read_notices(connection, self._seen)
                self._book.apply(rows)
                self._seen = rows[-1].seq if rows else self._seen
            return self._book

    def notice(self, notice_id: str) -> Notice:
        """Return one.

        Raises
        ------
        NoticeError
            When there is none.
        """
        found = self.book.notices.get(notice_id)
        if found is None:
            raise UnknownNoticeError(f"got notice {notice_id[:80]!r}, which does not exist: list them first")
        return found

    def open(self, request: NoticeRequest, actor: str, now: datetime) -> Notice:
        """Take a notice in; its products are searched by `serving.notices.office`.

        Raises
        ------
        NoticeError
            When the same authority's number is there already.
        CalendarError
            When the jurisdiction is not known.
        """
        if request.number and (earlier := self.numbered(request.authority, request.number)):
            raise NoticeError(
                f"got number {request.number[:80]!r} of {request.authority[:80]!r}, which is notice "
                f"{earlier.notice_id} already: work on that one"
            )
        received = _aware(request.received_at or now)
        due = request.deadline
        due = _aware(due) if due else self.rules.due("removal", request.kind, request.jurisdiction, received)
        products = tuple(product.product() for product in request.products)
        notice = Notice(
            f"notice-{new_decision_id(now)}",
            request.kind,
            request.authority,
            request.number,
            request.jurisdiction,
            request.reason,
            tuple(request.hazards),
            request.url,
            received,
            due,
            products,
            actor,
            now,
        )
        said = notice.to_json()
        body = {name: said[name] for name in _OPENED} | {
            "received_at": received.isoformat(),
            "due_at": due.isoformat(),
            "tasks": tasks_of(self.rules, notice, None),
            "rules": self.rules.version,
        }
        self._write([NoticeRecord(notice.notice_id, 0, "opened", actor, body)])
        return self.notice(notice.notice_id)

    def numbered(self, authority: str, number: str) -> Notice | None:
        """Return the notice with an authority's number, None when there is none."""
        found = (n for n in self.book.notices.values() if (n.authority, n.number) == (authority, number))
        return next(found, None)

    def searched(
        self, notice: Notice, hits: Sequence[Hit], bans: Iterable[str], actor: str, now: datetime
    ) -> Notice:
        """Note what was found on sale; opens the tasks of listings that are new, and says that refunds are due."""
        fresh = [hit for hit in hits if hit.key not in notice.hits]
        # What is found at once counts from receipt, what turns up later from now.
        received = now if notice.searched else None
        raw = [task for hit in fresh for task in tasks_of(self.rules, notice, hit, received)]
        body = {"hits": [hit.to_json() for hit in fresh], "ban_ids": list(bans), "tasks": raw}
        events = refund_events(notice, raw, now)
        self._write([self._step(notice, "searched", actor, body, events)])
        return self.notice(notice.notice_id)

    def judge(self, notice_id: str, key: Key, same: bool, actor: str, now: datetime) -> Notice:
        """Take a person's word on whether a listing is the product."""
        notice = self.notice(notice_id)
        hit = notice.hits.get(key)
        if hit is None:
            raise NoticeError(f"got listing {key[1][:80]!r}, which was not found for this notice")
        of_it = [t.task_id for t in notice.tasks.values() if t.key == key and t.state == "open"]
        ends = [f"check:{key[0]}:{key[1]}"] if same else of_it
        raw: list[dict[str, Any]] = []
        if same:
            sure = Hit(**{**hit.to_json(), "state": "sure"})
            start = None if notice.received_at > now else now
            raw = tasks_of(self.rules, notice, sure, start)
        body = {
            "marketplace": key[0],
            "listing_id": key[1],
            "state": "sure" if same else "dismissed",
            "task_ids": ends,
            "to": "done" if same else "waived",
            "tasks": raw,
        }
        self._write([self._step(notice, "judged", actor, body, refund_events(notice, raw, now))])
        return self.notice(notice_id)

    def end_tasks(
        self, notice_id: str, task_ids: Sequence[str], actor: str, *, to: TaskState = "done", note: str = ""
    ) -> Notice:
        """Mark tasks done, waived (with a note that says why) or open again.

        Raises
        ------
        NoticeError
            When a task does not exist, or one is waived without a note.
        """
        notice = self.notice(notice_id)
        if unknown := [task_id for task_id in task_ids if task_id not in notice.tasks]:
            raise NoticeError(
                f"got task {unknown[0][:80]!r}, expected one of {', '.join(notice.tasks) or '(none)'}"
            )
        if to == "waived" and not note.strip():
            raise NoticeError("got a waived task without a note, expected why it need not be done")
        body = {"task_ids": list(task_ids), "to": to, "note": note[:2_000]}
        self._write([self._step(notice, "task", actor, body)])
        return self.notice(notice_id)

    def refund(self, notice_id: str, key: Key, units_due: int, units_done: int, actor: str) -> Notice:
        """Say how far refunds of a listing are; the task ends when all that are due are done.

        Raises
        ------
        NoticeError
            When there is no refund task, or the numbers make no sense.
        """
        notice = self.notice(notice_id)
        task_id = f"refund:{key[0]}:{key[1]}"
        if task_id not in notice.tasks:
            raise NoticeError(f"got listing {key[1][:80]!r}, for which no refund is due in this notice")
        if not 0 <= units_done <= units_due:
            raise NoticeError(f"got {units_done} of {units_due} refunded, expected 0 to what is due")
        to: TaskState = "done" if units_done == units_due else "open"
        body = {"task_ids": [task_id], "to": to, "units_due": units_due, "units_done": units_done}
        self._write([self._step(notice, "task", actor, body)])
        return self.notice(notice_id)

    def withdraw(self, notice_id: str, actor: str, note: str) -> Notice:
        """Take a notice back that the authority took back; what is open is waived."""
        notice = self.notice(notice_id)
        ends = [task.task_id for task in notice.tasks.values() if task.state == "open"]
        body = {"task_ids": ends, "to": "waived", "note": note[:2_000] or "withdrawn by the authority"}
        self._write([self._step(notice, "withdrawn", actor, body)])
        return self.notice(notice_id)

    def acknowledge(
        self,
        key: Key,
        actor: str,
        now: datetime,
        *,
        status: str = "removed",
        decision_id: str = "",
        note: str = "",
    ) -> list[Notice]:
        """Take the marketplace's word about a listing; ``removed`` ends its removal tasks in every notice.

        Returns
        -------
        list of Notice
            Those that changed.
        """
        if status not in ("removed", "refused", "live_again"):
            raise NoticeError(f"got status {status[:40]!r}, expected removed, refused or live_again")
        body = {"said_at": now.isoformat(timespec="seconds"), "note": note[:2_000]}
        records: list[ChangeRecord] = [
            AcknowledgementRecord(key[0], key[1], status, actor, decision_id, body)
        ]
        task_id = f"removal:{key[0]}:{key[1]}"
        to: TaskState = "done" if status == "removed" else "open"
        from_state = "open" if status == "removed" else "done"
        changed = [
            notice
            for notice in self.book.notices.values()
            if (task := notice.tasks.get(task_id)) is not None and task.state == from_state
        ]
        for notice in changed:
            said = {"task_ids": [task_id], "to": to, "note": f"marketplace: {status}"}
            records.append(self._step(notice, "task", actor, said))
        self._write(records)
        return [self.notice(notice.notice_id) for notice in changed]

    def flag_overdue(self, now: datetime) -> list[tuple[Notice, list[Task]]]:
        """Say of late tasks that they are late, once each, with an event; returns what was said now."""
        flagged: list[tuple[Notice, list[Task]]] = []
        for notice, late in self.book.overdue(now):
            fresh = [task for task in late if task.task_id not in notice.flagged]
            if not fresh:
                continue
            facts = {
                "notice_id": notice.notice_id,
                "authority": notice.authority,
                "number": notice.number,
                "tasks": [task.to_json() for task in fresh],
            }
            ids = {"task_ids": [task.task_id for task in fresh]}
            events = (event("notice.overdue", notice.notice_id, facts, now),)
            self._write([self._step(notice, "overdue", SYSTEM, ids, events)])
            flagged.append((notice, fresh))
        return flagged

    def _step(
        self,
        notice: Notice,
        status: str,
        actor: str,
        body: Mapping[str, Any],
        events: tuple[OutboxEvent, ...] = (),
    ) -> NoticeRecord:
        return NoticeRecord(notice.notice_id, notice.step, status, actor, body, events)

    def _write(self, records: Sequence[ChangeRecord]) -> None:
        self.store.together(records, timeout_s=30)


_OPENED = ("kind", "authority", "number", "jurisdiction", "reason", "hazards", "url", "products")


def refund_events(
    notice: Notice, tasks: Iterable[Mapping[str, Any]], now: datetime
) -> tuple[OutboxEvent, ...]:
    """Return an event for every refund among fresh tasks."""
    return tuple(
        event(
            "refund.due",
            task["listing_id"],
            {
                "notice_id": notice.notice_id,
                "marketplace": task["marketplace"],
                "listing_id": task["listing_id"],
                "seller_id": task["seller_id"],
                "due_at": task["due_at"],
            },
            now,
        )
        for task in tasks
        if task["kind"] == "refund" and task["task_id"] not in notice.tasks
    )


def _aware(at: datetime) -> datetime:
    return (at if at.tzinfo else at.replace(tzinfo=UTC)).astimezone(UTC)
