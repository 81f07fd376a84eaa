"""Evidence as sections in a reader's language; the page and the PDF draw the same ones. Pure."""

from __future__ import annotations

import base64
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from typing import Any, Literal

import yaml

from features.errors import UserError
from features.taxonomy import load_taxonomy
from serving.evidence.pack import Evidence, EvidenceError

TEXTS = Path(__file__).with_name("evidence_texts.yaml")
EvidenceLanguage = Literal["ko", "en"]
_HAZARDS_SHOWN = 12
_CUT = 600


@dataclass(frozen=True, slots=True)
class Photo:
    """A photo with its caption; ``content`` is None once erased."""

    caption: str
    media_type: str
    content: bytes | None


@dataclass(frozen=True, slots=True)
class Section:
    """A heading with facts, a table, or photos; empty parts are left out when drawn."""

    heading: str
    facts: tuple[tuple[str, str], ...] = ()
    columns: tuple[str, ...] = ()
    rows: tuple[tuple[str, ...], ...] = ()
    photos: tuple[Photo, ...] = ()
    empty: str = ""


@dataclass(frozen=True, slots=True)
class Document:
    """An evidence ready to be drawn."""

    language: EvidenceLanguage
    title: str
    subject: str
    made: str
    digest: tuple[str, str]
    sections: tuple[Section, ...]
    page_word: str


@cache
def _texts() -> Mapping[str, Mapping[str, str]]:
    return yaml.safe_load(TEXTS.read_text("utf-8"))


def evidence_language(name: str) -> EvidenceLanguage:
    """Return the language of that name.

    Raises
    ------
    EvidenceError
    """
    if name == "ko":
        return "ko"
    if name == "en":
        return "en"
    raise EvidenceError(f"got language {name[:20]!r}, expected ko or en")


def document_of(evidence: Evidence, language: EvidenceLanguage) -> Document:
    """Lay an evidence out."""
    say = _Say(language)
    content = evidence.content
    make = _decision_sections if evidence.kind == "decision" else _notice_sections
    at = content["made_at"].replace("T", " ").replace("+00:00", "")
    return Document(
        language,
        say(f"title.{evidence.kind}"),
        evidence.subject,
        say("made", at=at, by=content["made_by"]),
        (say("digest"), evidence.sha256),
        tuple(make(content, say)),
        say("page"),
    )


class _Say:
    """Words in one language."""

    def __init__(self, language: EvidenceLanguage) -> None:
        self.language = language

    def __call__(self, key: str, **values: object) -> str:
        return _texts()[key][self.language].format(**values)

    def hazard(self, code: str | None) -> str:
        if not code:
            return ""
        try:
            return load_taxonomy().hazard(code).names.get(self.language, code)
        except (KeyError, ValueError, UserError):
            return code

    def name(self, code: Any) -> str:
        """The reader's word for a code, the code itself where there is none."""
        texts = _texts().get(f"name.{code}")
        return texts[self.language] if texts else plain(code)

    def facts(self, pairs: Iterable[tuple[str, Any]]) -> tuple[tuple[str, str], ...]:
        return tuple((self(f"field.{name}"), text) for name, value in pairs if (text := plain(value)))

    def columns(self, *names: str) -> tuple[str, ...]:
        return tuple(self(f"field.{name}") for name in names)


def plain(value: Any) -> str:
    """Write a JSON value for people."""
    if value is None or value == "" or value == [] or value == {}:
        return ""
    if isinstance(value, bool):
        return "yes" if value else "no"
    if isinstance(value, float):
        return f"{value:.6g}"
    if isinstance(value, Mapping):
        return "; ".join(f"{name}: {text}" for name, one in value.items() if (text := plain(one)))[:_CUT]
    if isinstance(value, Sequence) and not isinstance(value, str):
        return ", ".join(filter(None, map(plain, value)))[:_CUT]
    return str(value)


def _time(value: str | None) -> str:
    return (value or "").replace("T", " ")[:19]


def _decision_sections(content: Mapping[str, Any], say: _Say) -> Iterable[Section]:
    said, record, listing = content["decision"], content["record"], content["listing"]
    yield Section(
        say("section.decision"),
        say.facts(
            [
                ("decision_id", content["subject"]),
                ("action", say.name(said["action"])),
                ("state", say.name(said["state"])),
                ("held_until", _time(said.get("held_until"))),
                ("risk_level", say.name(said.get("risk_level"))),
                ("p_noncompliant", said.get("p_noncompliant")),
                ("expected_harm", said.get("expected_harm")),
                ("group", said.get("group")),
                ("audience", say.name(said.get("audience"))),
                ("decided_at", _time(said["decided_at"])),
                ("recorded_at", _time(record["recorded_at"])),
                ("actor", record["actor"]),
                ("reason", said.get("note")),
            ]
        ),
    )
    erased = say("erased", at=_time(record["erased_at"])) if record["erased_at"] else ""
    yield Section(say("section.listing"), _listing_facts(listing, record, said, say), empty=erased)
    yield Section(say("section.photos"), photos=_photos(content["photos"], say), empty=erased or say("none"))
    yield _hazards(said, say)
    yield _rules(said, say)
    reasons = said.get("reasons") or []
    yield Section(
        say("section.reasons"),
        columns=say.columns("text", "hazard", "weight"),
        rows=tuple((plain(r["text"]), say.hazard(r.get("hazard")), plain(r.get("weight"))) for r in reasons),
        empty=erased or say("none"),
    )
    yield Section(
        say("section.past"),
        columns=say.columns("regulator", "number", "date", "product", "similarity"),
        rows=tuple(
            tuple(plain(r.get(name)) for name in ("regulator", "number", "date", "product", "similarity"))
            for r in said.get("past_results") or ()
        ),
        empty=say("none"),
    )
    yield Section(
        say("section.limits"),
        columns=say.columns("hazard", "limit", "regulation", "jurisdiction", "mark"),
        rows=tuple(
            (
                f"{say.hazard(one['hazard'])} {one['substance']} {one['scope']}".strip(),
                one["value"],
                one["regulation"],
                one["jurisdiction"],
                one["mark"],
            )
            for one in content["limits"]
        ),
        empty=say("none"),
    )
    yield from _match_sections(content["matches"], say)
    yield _versions(content["versions"], say)
    yield Section(say("section.audit"), _chain(content["audit"] or {}, say), empty=say("none"))
    yield _events(say("section.events"), content["events"], say)


def _listing_facts(
    listing: Mapping[str, Any] | None, record: Mapping[str, Any], said: Mapping[str, Any], say: _Say
) -> tuple[tuple[str, str], ...]:
    if listing is None:
        return ()
    seller = listing.get("seller") or {}
    price = f"{plain(listing.get('price'))} {listing.get('currency') or ''}".strip()
    return say.facts(
        [
            ("title", listing.get("title")),
            ("marketplace", record["marketplace"]),
            ("listing_id", listing.get("id")),
            ("revision", said.get("revision")),
            ("seller", " ".join(filter(None, (seller.get("id"), seller.get("name"))))),
            ("brand", listing.get("brand")),
            ("price", price),
            ("description", (listing.get("description") or "")[:3_000]),
            ("attributes", listing.get("attributes")),
            ("certificates", listing.get("certificates")),
        ]
    )


def _hazards(said: Mapping[str, Any], say: _Say) -> Section:
    cells = sorted(said.get("hazards") or (), key=lambda cell: -cell["p"])[:_HAZARDS_SHOWN]
    return Section(
        say("section.hazards"),
        columns=say.columns("hazard", "p", "basis", "base_rate", "p_injury", "risk_level"),
        rows=tuple(
            (
                say.hazard(cell["hazard"]),
                *(say.name(cell.get(name)) for name in ("p", "basis", "base_rate", "p_injury", "risk_level")),
            )
            for cell in cells
        ),
        empty=say("none"),
    )


def _rules(said: Mapping[str, Any], say: _Say) -> Section:
    rows = []
    for rule in said.get("rules") or ():
        causes = "; ".join(
            f"{cause['what']} {say.hazard(cause.get('hazard'))} {plain(cause.get('got'))} ({cause.get('wanted')})"
            for cause in rule.get("causes", ())
        )
        why = rule.get("why", {})
        rows.append(
            (rule["id"], say.name(rule["action"]), why.get(say.language) or why.get("en", ""), causes)
        )
    return Section(
        say("section.rules"),
        columns=say.columns("rule", "action", "why", "causes"),
        rows=tuple(rows),
        empty=say("none"),
    )


def _match_sections(matches: Sequence[Mapping[str, Any]], say: _Say) -> Iterable[Section]:
    yield Section(
        say("section.matches"),
        columns=say.columns("ban", "product", "tier", "p", "reason", "authority"),
        rows=tuple(
            (
                match["ban_id"],
                plain((match.get("banned_item") or {}).get("title")),
                say.name(match.get("tier")),
                plain(match.get("p")),
                plain(match.get("reason")),
                plain(match.get("notice")),
            )
            for match in matches
        ),
        empty=say("none"),
    )
    for match in matches:
        photos = (match.get("banned_item") or {}).get("photos") or ()
        if photos:
            yield Section(f"{say('section.banned_photos')} {match['ban_id']}", photos=_photos(photos, say))


def _versions(found: Mapping[str, Any], say: _Say) -> Section:
    names = ("model", "bundle_sha256", "policy", "policy_sha256", "taxonomy_sha256", "data_sha256")
    return Section(say("section.versions"), say.facts((name, found.get(name)) for name in names))


def _chain(place: Mapping[str, Any], say: _Say) -> tuple[tuple[str, str], ...]:
    names = ("seq", "row_digest", "link", "link_root", "link_digest")
    return say.facts((name, place.get(name)) for name in names)


def _events(heading: str, events: Sequence[Mapping[str, Any]], say: _Say) -> Section:
    return Section(
        heading,
        columns=say.columns("at", "what", "by", "detail"),
        rows=tuple(
            (_time(one["at"]), one["what"], one["actor"], plain(one["body"])[:_CUT]) for one in events
        ),
        empty=say("none"),
    )


def _photos(photos: Iterable[Mapping[str, Any]], say: _Say) -> tuple[Photo, ...]:
    return tuple(
        Photo(
            say("caption.photo", n=photo["position"] + 1),
            photo["media_type"],
            None if photo["base64"] is None else base64.b64decode(photo["base64"]),
        )
        for photo in photos
    )


def _notice_sections(content: Mapping[str, Any], say: _Say) -> Iterable[Section]:
    notice = content["notice"]
    names = ("notice_id", "kind", "authority", "number", "jurisdiction", "state")
    facts: list[tuple[str, Any]] = [(name, say.name(notice[name])) for name in names]
    facts += [
        ("received_at", _time(notice["received_at"])),
        ("due_at", _time(notice["due_at"])),
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
                _time(task["due_at"]),
                f"{say.name(task['state'])}{' !' if task['task_id'] in notice['late'] else ''}",
                _time(task["ended_at"]),
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
    yield _events(say("section.history"), content["events"], say)
    if content["audit"]:
        yield Section(say("section.audit"), _chain(content["audit"][-1], say))


def _hit_row(hit: Mapping[str, Any], found: Mapping[str, Any], say: _Say) -> tuple[str, ...]:
    words = [f"{_time(word['at'])} {say.name(word['status'])}" for word in found.get("acknowledged", ())]
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
