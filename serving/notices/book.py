"""Notices as a fold over what was written about them. Pure; no storage here."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import replace
from datetime import datetime
from typing import Any

from serving.notices.notice import Hit, Key, Notice, Product, Task, TaskState
from serving.notices.rules import NoticeRules, TaskKind
from serving.store.steps import StepRow


def tasks_of(
    rules: NoticeRules,
    notice: Notice,
    hit: Hit | None,
    received: datetime | None = None,
    kinds: Iterable[TaskKind] | None = None,
) -> list[dict[str, Any]]:
    """Return the tasks that a notice, or a listing found for it, opens, as they are written down.

    Parameters
    ----------
    hit
        The listing; None gives the tasks of the notice itself.
    received
        What deadlines count from; by default when the notice came in. A listing found later counts from then.
    kinds
        Only these.
    """
    if kinds is None:
        rule = rules.kinds[notice.kind]
        kinds = rule.notice if hit is None else (("check",) if hit.state == "doubtful" else rule.listing)
    start = received or notice.received_at
    place = (hit.marketplace, hit.listing_id, hit.seller_id) if hit else ("", "", "")
    found: list[dict[str, Any]] = []
    for kind in kinds:
        due = rules.due(kind, notice.kind, notice.jurisdiction, start)
        if kind == "removal" and received is None:
            due = notice.due_at
        found.append(
            {
                "task_id": f"{kind}:{place[0]}:{place[1]}" if hit else kind,
                "kind": kind,
                "marketplace": place[0],
                "listing_id": place[1],
                "seller_id": place[2],
                "due_at": due.isoformat(),
            }
        )
    return found


class NoticeBook:
    """Every notice, by id."""

    def __init__(self) -> None:
        self.notices: dict[str, Notice] = {}

    def apply(self, rows: Iterable[StepRow]) -> list[str]:
        """Take further rows, in order; return the ids that changed."""
        changed: dict[str, None] = {}
        for row in rows:
            known = self.notices.get(row.subject)
            if row.status == "opened":
                self.notices[row.subject] = _opened(row)
            elif known is not None:
                self.notices[row.subject] = replace(_after(known, row), step=row.step + 1)
            changed[row.subject] = None
        return list(changed)

    def open(self) -> list[Notice]:
        """Notices that are not closed, the earliest deadline first."""
        waiting = (notice for notice in self.notices.values() if not notice.closed)
        return sorted(waiting, key=lambda notice: (notice.due_at, notice.notice_id))

    def overdue(self, now: datetime) -> list[tuple[Notice, list[Task]]]:
        """Notices with late tasks, the longest late first."""
        found = [(notice, late) for notice in self.notices.values() if (late := notice.late(now))]
        return sorted(found, key=lambda pair: (pair[1][0].due_at, pair[0].notice_id))

    def about(self, key: Key) -> list[Notice]:
        """Notices in which a listing is a hit."""
        return [notice for notice in self.notices.values() if key in notice.hits]


def _opened(row: StepRow) -> Notice:
    body = row.body
    notice = Notice(
        notice_id=row.subject,
        kind=body["kind"],
        authority=body["authority"],
        number=body["number"],
        jurisdiction=body["jurisdiction"],
        reason=body["reason"],
        hazards=tuple(body["hazards"]),
        url=body["url"],
        received_at=datetime.fromisoformat(body["received_at"]),
        due_at=datetime.fromisoformat(body["due_at"]),
        products=tuple(Product.from_json(raw) for raw in body["products"]),
        actor=row.actor,
        opened_at=row.at,
    )
    return replace(notice, tasks=_with_tasks(notice, body["tasks"]))


def _with_tasks(notice: Notice, raw: Iterable[Mapping[str, Any]]) -> dict[str, Task]:
    """Add tasks; one that was there already keeps its deadline and what was done about it."""
    tasks = dict(notice.tasks)
    for one in raw:
        if one["task_id"] not in tasks:
            tasks[one["task_id"]] = Task(
                one["task_id"],
                one["kind"],
                one["marketplace"],
                one["listing_id"],
                one["seller_id"],
                datetime.fromisoformat(one["due_at"]),
            )
    return tasks


def _after(notice: Notice, row: StepRow) -> Notice:
    body = row.body
    if row.status == "searched":
        hits = dict(notice.hits)
        for raw in body["hits"]:
            hits.setdefault((raw["marketplace"], raw["listing_id"]), Hit(**raw))
        bans = tuple(dict.fromkeys((*notice.ban_ids, *body["ban_ids"])))
        tasks = _with_tasks(notice, body["tasks"])
        return replace(notice, hits=hits, tasks=tasks, ban_ids=bans, searched=True)
    if row.status == "task":
        again = set(body["task_ids"]) if body.get("to") == "open" else set()
        return replace(notice, tasks=_ended(notice, row), flagged=notice.flagged - again)
    if row.status == "judged":
        key = (body["marketplace"], body["listing_id"])
        if key not in notice.hits:
            return notice
        hits = {**notice.hits, key: replace(notice.hits[key], state=body["state"])}
        return replace(
            notice, hits=hits, tasks=_with_tasks(replace(notice, tasks=_ended(notice, row)), body["tasks"])
        )
    if row.status == "overdue":
        return replace(notice, flagged=notice.flagged | set(body["task_ids"]))
    if row.status == "withdrawn":
        return replace(notice, tasks=_ended(notice, row), withdrawn=True, searched=True)
    return notice


def _ended(notice: Notice, row: StepRow) -> dict[str, Task]:
    """Tasks after a row that ends, opens again or counts some of them."""
    body = row.body
    tasks = dict(notice.tasks)
    for task_id in body.get("task_ids", ()):
        task = tasks.get(task_id)
        if task is None:
            continue
        state: TaskState = body.get("to", "done")
        ended = state != "open"
        tasks[task_id] = replace(
            task,
            state=state,
            ended_at=row.at if ended else None,
            ended_by=row.actor if ended else "",
            note=body.get("note") or task.note,
            units_due=body.get("units_due", task.units_due),
            units_done=body.get("units_done", task.units_done),
        )
    return tasks
