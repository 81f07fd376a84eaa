"""Evidence as sections in a reader's language; the page and the PDF draw the same ones. Pure."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from typing import Any

from serving.evidence.notice_sections import notice_sections
from serving.evidence.pack import Evidence, EvidenceError
from serving.evidence.parts import (
    Document,
    EvidenceLanguage,
    Say,
    Section,
    chain,
    events_of,
    photos_of,
    plain,
    time_of,
)

_HAZARDS_SHOWN = 12


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
    say = Say(language)
    content = evidence.content
    make = _decision_sections if evidence.kind == "decision" else notice_sections
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


def _decision_sections(content: Mapping[str, Any], say: Say) -> Iterable[Section]:
    said, record, listing = content["decision"], content["record"], content["listing"]
    yield Section(
        say("section.decision"),
        say.facts(
            [
                ("decision_id", content["subject"]),
                ("action", say.name(said["action"])),
                ("state", say.name(said["state"])),
                ("held_until", time_of(said.get("held_until"))),
                ("risk_level", say.name(said.get("risk_level"))),
                ("p_noncompliant", said.get("p_noncompliant")),
                ("expected_harm", said.get("expected_harm")),
                ("group", said.get("group")),
                ("audience", say.name(said.get("audience"))),
                ("decided_at", time_of(said["decided_at"])),
                ("recorded_at", time_of(record["recorded_at"])),
                ("actor", record["actor"]),
                ("reason", said.get("note")),
            ]
        ),
    )
    erased = say("erased", at=time_of(record["erased_at"])) if record["erased_at"] else ""
    yield Section(say("section.listing"), _listing_facts(listing, record, said, say), empty=erased)
    yield Section(
        say("section.photos"), photos=photos_of(content["photos"], say), empty=erased or say("none")
    )
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
    yield Section(say("section.audit"), chain(content["audit"] or {}, say), empty=say("none"))
    yield events_of(say("section.events"), content["events"], say)


def _listing_facts(
    listing: Mapping[str, Any] | None, record: Mapping[str, Any], said: Mapping[str, Any], say: Say
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


def _hazards(said: Mapping[str, Any], say: Say) -> Section:
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


def _rules(said: Mapping[str, Any], say: Say) -> Section:
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


def _match_sections(matches: Sequence[Mapping[str, Any]], say: Say) -> Iterable[Section]:
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
            yield Section(f"{say('section.banned_photos')} {match['ban_id']}", photos=photos_of(photos, say))


def _versions(found: Mapping[str, Any], say: Say) -> Section:
    names = ("model", "bundle_sha256", "policy", "policy_sha256", "taxonomy_sha256", "data_sha256")
    return Section(say("section.versions"), say.facts((name, found.get(name)) for name in names))
