"""The sections of a notice's evidence: what was asked, what was found, what was done by when. Pure."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Any

from serving.evidence.parts import Say, Section, chain, events_of, plain, time_of


def notice_sections(content: Mapping[str, Any], say: Say) -> Iterable[Section]:
    """Yield the sections in the order in which they are read."""
    notice = content["notice"]
    names = ("notice_id", "kind", "authority", "number", "jurisdiction", "state")
    facts: list[tuple[str, Any]] = [(name, say.name(notice[name])) for name in names]
    facts += [
        ("received_at", time_of(notice["received_at"])),
        ("due_at", time_of(notice["due_at"])),
        ("hazard", [say.hazard(code) for code in notice["hazards"]]),
        ("reason", notice["reason"][:3_000]),
        ("source", notice["url"]),
    ]
    yield Section(say("section.notice"), say.facts(facts))
    yield Section(
        say("section.products"),
        columns=say.columns("title", "brand", "models", "seller"),
        rows=tuple(
            (one["title"], one["brand"], plain(one["models"]), one["seller_id"]) for one in notice["products"]
        ),
    )
    by_id = {one["decision_id"]: one for one in content["listings"]}
    yield Section(
        say("section.listings"),
        columns=say.columns("listing_id", "title", "seller", "tier", "p", "now", "acknowledged"),
        rows=tuple(_hit_row(hit, by_id.get(hit["decision_id"], {}), say) for hit in notice["hits"]),
        empty=say("none"),
    )
    yield Section(
        say("section.tasks"),
        columns=say.columns("task", "listing_id", "due_at", "state", "ended_at", "by", "note"),
        rows=tuple(
            (
                say.name(task["kind"]),
                task["listing_id"],
                time_of(task["due_at"]),
                f"{say.name(task['state'])}{' !' if task['task_id'] in notice['late'] else ''}",
                time_of(task["ended_at"]),
                task["ended_by"],
                _refunded(task) + task["note"],
            )
            for task in notice["tasks"]
        ),
    )
    yield Section(
        say("section.deadlines"),
        columns=say.columns("task", "time_allowed", "mark", "source"),
        rows=tuple(
            (
                say.name(rule["task"]),
                say("days.working", n=rule["working_days"])
                if "working_days" in rule
                else say("days.all", n=rule["days"]),
                rule["mark"],
                rule["source"],
            )
            for rule in content["deadlines"]
        ),
    )
    yield events_of(say("section.history"), content["events"], say)
    if content["audit"]:
        yield Section(say("section.audit"), chain(content["audit"][-1], say))


def _hit_row(hit: Mapping[str, Any], found: Mapping[str, Any], say: Say) -> tuple[str, ...]:
    words = [f"{time_of(word['at'])} {say.name(word['status'])}" for word in found.get("acknowledged", ())]
    now = found.get("now") or {}
    return (
        f"{hit['marketplace']}/{hit['listing_id']}".strip("/"),
        plain(found.get("title")),
        hit["seller_id"],
        f"{say.name(hit['tier'])}, {say.name(hit['state'])}",
        plain(hit["p"]),
        f"{say.name(now.get('action'))} {say.name(now.get('state'))}".strip(),
        "; ".join(words),
    )


def _refunded(task: Mapping[str, Any]) -> str:
    return "" if task["units_due"] is None else f"{task['units_done']}/{task['units_due']} "
