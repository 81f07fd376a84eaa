"""Evidence of a decision or a notice: everything that is known, gathered once, for people and for machines."""

from __future__ import annotations

import base64
import hashlib
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from features.errors import UserError
from features.limits import Limit
from features.taxonomy import load_taxonomy
from serving.bans.book import BanBook
from serving.http.decisions_api import stored_json
from serving.notices.desk import NoticeDesk
from serving.notices.notice import Notice
from serving.notices.rules import TaskKind
from serving.sellers.statements import hazards_of, limit_value, limits_of
from serving.store import Store, StoredDecision
from serving.store.ban_photos import BanPhoto, read_ban_photos
from serving.store.canonical import canonical
from serving.store.deliveries import read_deliveries
from serving.store.engine import reading
from serving.store.evidence import StoredPhoto, read_chain_place, read_photo_source, read_photos
from serving.store.sellers import read_labels_on, read_listing_decisions
from serving.store.steps import (
    read_acknowledgements,
    read_appeals,
    read_complaints,
    read_notices,
    read_strikes,
)
from serving.store.versions import read_versions

FORMAT = "listing-risk evidence 1"
_PHOTOS_SHOWN = 12


class EvidenceError(UserError):
    """Evidence that cannot be put together."""


@dataclass(frozen=True, slots=True)
class Evidence:
    """Evidence, JSON values only; ``content["sha256"]`` is over the canonical JSON of the rest.

    Photos stand in it as base64 with their media type.
    """

    kind: str
    subject: str
    content: dict[str, Any]

    @property
    def sha256(self) -> str:
        """Digest of the content."""
        return str(self.content["sha256"])


def content_digest(content: dict[str, Any]) -> str:
    """SHA-256 over the canonical JSON (RFC 8785) of an evidence without its own digest."""
    rest = {name: value for name, value in content.items() if name != "sha256"}
    return hashlib.sha256(canonical(rest)).hexdigest()


class EvidenceDesk:
    """Puts evidence together.

    Parameters
    ----------
    store
        An open store.
    notices
        Notices of the same store.
    book
        What is banned; None leaves the banned items' own words out.
    manifest
        Manifest of the bundle in force, for the hashes of the data that it was trained on.
    """

    def __init__(
        self, store: Store, notices: NoticeDesk, book: BanBook | None = None, manifest: Any = None
    ) -> None:
        self.store = store
        self.notices = notices
        self.book = book
        self.manifest = manifest

    def of_decision(self, decision_id: str, made_by: str, now: datetime) -> Evidence:
        """Gather everything about a decision.

        Raises
        ------
        NotFoundError
        """
        decision = self.store.decision(decision_id)
        key = (decision.marketplace, decision.listing_id)
        content = {
            "format": FORMAT,
            "kind": "decision",
            "subject": decision.id,
            "made_at": now.isoformat(timespec="seconds"),
            "made_by": made_by,
            "store_id": self.store.store_id(),
            **stored_json(decision),
            "photos": self._photos(decision),
            "matches": self._matches(decision),
            "limits": [_limit(limit) for limit in self._limits(decision)],
            "versions": self._versions(decision),
            "audit": self._audit(decision),
            "events": self.timeline(key, decision.id),
        }
        return _sealed("decision", decision.id, content)

    def of_notice(self, notice_id: str, made_by: str, now: datetime) -> Evidence:
        """Gather everything about a notice.

        Raises
        ------
        NoticeError
        """
        notice = self.notices.notice(notice_id)
        with reading(self.store.engine) as connection:
            steps = read_notices(connection, notice_id=notice_id)
            places = [read_chain_place(connection, step.seq) for step in steps]
        content = {
            "format": FORMAT,
            "kind": "notice",
            "subject": notice.notice_id,
            "made_at": now.isoformat(timespec="seconds"),
            "made_by": made_by,
            "store_id": self.store.store_id(),
            "notice": notice.to_json(now),
            "rules": self.notices.rules.version,
            "deadlines": self._deadlines(notice),
            "listings": [self._summary(hit.decision_id) for hit in notice.hits.values()],
            "events": [
                _event(step.at, f"notice.{step.status}", step.actor, _brief(step.body)) for step in steps
            ],
            "audit": [vars_of(place) for place in places if place is not None],
        }
        return _sealed("notice", notice.notice_id, content)

    def timeline(self, key: tuple[str, str], decision_id: str) -> list[dict[str, Any]]:
        """Everything that happened to a listing, oldest first; ``about`` says what belongs to the decision itself."""
        found: list[dict[str, Any]] = []
        with reading(self.store.engine) as connection:
            decisions = read_listing_decisions(connection, *key)
            found += [
                _event(row.at, f"strike.{row.status}", row.actor, dict(row.columns) | dict(row.body))
                for row in read_strikes(connection, listing=key)
            ]
            found += [
                _event(row.at, f"acknowledged.{row.status}", row.actor, dict(row.body))
                for row in read_acknowledgements(connection, key)
            ]
            for row in read_complaints(connection, key):
                body = {name: row.body[name] for name in ("hazards", "kind") if name in row.body}
                found.append(_event(row.at, "complaint", row.actor, body))
            appeals = [row for one in decisions for row in read_appeals(connection, decision_id=one)]
            for row in appeals:
                body = {
                    "appeal_id": row.subject,
                    "decision_id": row.columns["decision_id"],
                    **_brief(row.body),
                }
                found.append(_event(row.at, f"appeal.{row.status}", row.actor, body))
            labels = read_labels_on(connection, *key)
            sent = read_deliveries(connection, subject=key[1])
        for one in decisions:
            stored = self.store.decision(one)
            body = {"decision_id": one, "action": stored.action, "state": stored.state}
            found.append(_event(stored.recorded_at, "decision", stored.actor, body))
        for label in labels:
            body = {"hazard": label.hazard, "value": label.value, "source": label.source}
            found.append(
                {"at": None, "what": "label", "actor": "", "body": body | {"decision_id": label.decision_id}}
            )
        for notice in self.notices.book.about(key):
            body = {"notice_id": notice.notice_id, "number": notice.number, "authority": notice.authority}
            found.append(_event(notice.opened_at, "notice.opened", notice.actor, body))
        for delivery in sent:
            body = {"event_id": delivery.event_id, "type": delivery.type, "status": delivery.status}
            found.append(_event(delivery.created_at, "event.sent", "", body))
        for one in found:
            one["about"] = one["body"].get("decision_id") == decision_id
        return sorted(found, key=lambda one: one["at"] or "9")

    def _photos(self, decision: StoredDecision) -> list[dict[str, Any]]:
        with reading(self.store.engine) as connection:
            photos = read_photos(connection, decision.seq)
            if not photos:  # decided again from the same words: the photos stand with an earlier decision
                key = (decision.marketplace, decision.listing_id)
                seq = read_photo_source(connection, *key, until=decision.seq)
                photos = read_photos(connection, seq) if seq is not None else ()
        return [_photo(photo) for photo in photos[:_PHOTOS_SHOWN]]

    def _matches(self, decision: StoredDecision) -> list[dict[str, Any]]:
        found = []
        for match in decision.body.get("matches", ()):
            entry = self.book.entries.get(match["ban_id"]) if self.book else None
            theirs: Sequence[StoredPhoto] = ()
            if entry is not None:
                with reading(self.store.engine) as connection:
                    theirs = _kept_with(read_ban_photos(connection, entry.ban_id))
                    if not theirs:  # banned for its words: its photos may stand with a decision on it
                        seq = read_photo_source(connection, *entry.key)
                        theirs = read_photos(connection, seq) if seq is not None else ()
            banned = None
            if entry is not None:
                banned = entry.to_json() | {"photos": [_photo(p) for p in theirs[:_PHOTOS_SHOWN]]}
            found.append({**match, "banned_item": banned})
        return found

    def _limits(self, decision: StoredDecision) -> Sequence[Limit]:
        return limits_of(decision, hazards_of(decision), load_taxonomy())

    def _versions(self, decision: StoredDecision) -> dict[str, Any]:
        with reading(self.store.engine) as connection:
            models = read_versions(connection, "models", decision.model_version)
            policies = read_versions(connection, "policies", decision.policy_version)
        texts = [str(row.body["text"]) for row in policies if "text" in row.body]
        manifest = self.manifest
        if manifest is not None and decision.model_version != f"{manifest.name}+{manifest.digest[:8]}":
            manifest = None  # the bundle of that day is another one
        return {
            "model": decision.model_version,
            "model_noted": [dict(row.body) for row in models],
            "bundle_sha256": manifest.digest if manifest else None,
            "data_sha256": dict(manifest.data) if manifest else {},
            "labels_sha256": manifest.labels_sha256 if manifest else None,
            "taxonomy_sha256": manifest.taxonomy_sha256 if manifest else None,
            "policy": decision.policy_version,
            "policy_sha256": hashlib.sha256(texts[0].encode()).hexdigest() if texts else None,
        }

    def _audit(self, decision: StoredDecision) -> dict[str, Any] | None:
        with reading(self.store.engine) as connection:
            place = read_chain_place(connection, decision.seq)
        return None if place is None else vars_of(place)

    def _deadlines(self, notice: Notice) -> list[dict[str, Any]]:
        kinds: dict[TaskKind, None] = dict.fromkeys(task.kind for task in notice.tasks.values())
        found = []
        for kind in kinds:
            rule = self.notices.rules.deadline(kind, notice.kind, notice.jurisdiction)
            found.append(rule.model_dump(mode="json", exclude_none=True))
        return found

    def _summary(self, decision_id: str) -> dict[str, Any]:
        stored = self.store.decision(decision_id)
        key = (stored.marketplace, stored.listing_id)
        latest = self.store.latest(*key)
        with reading(self.store.engine) as connection:
            words = read_acknowledgements(connection, key)
        return {
            "marketplace": stored.marketplace,
            "listing_id": stored.listing_id,
            "title": (stored.listing or {}).get("title"),
            "decision_id": decision_id,
            "action": stored.action,
            "now": None if latest is None else {"action": latest.action, "state": latest.state},
            "acknowledged": [
                {"at": word.at.isoformat(timespec="seconds"), "status": word.status, "by": word.actor}
                for word in words
            ],
        }


def vars_of(place: Any) -> dict[str, Any]:
    """Return the fields of a frozen record by name."""
    return {name: getattr(place, name) for name in type(place).__dataclass_fields__}


def _sealed(kind: str, subject: str, content: dict[str, Any]) -> Evidence:
    return Evidence(kind, subject, content | {"sha256": content_digest(content)})


def _event(at: datetime, what: str, actor: str, body: dict[str, Any]) -> dict[str, Any]:
    return {"at": at.isoformat(timespec="seconds"), "what": what, "actor": actor, "body": body}


def _brief(body: Any) -> dict[str, Any]:
    """Return what is short of an audited body; the whole of it stands in the notice itself."""
    return {name: value for name, value in body.items() if name not in ("products", "tasks", "hits")}


def _kept_with(photos: Sequence[BanPhoto]) -> tuple[StoredPhoto, ...]:
    """Photos as they are kept with a ban."""
    return tuple(
        StoredPhoto(photo.position, "image/jpeg", photo.digest().hex(), photo.picture) for photo in photos
    )


def _photo(photo: StoredPhoto) -> dict[str, Any]:
    content = None if photo.content is None else base64.b64encode(photo.content).decode()
    return {
        "position": photo.position,
        "media_type": photo.media_type,
        "digest": photo.digest,
        "base64": content,
    }


def _limit(limit: Limit) -> dict[str, Any]:
    return {
        "hazard": limit.hazard,
        "substance": limit.substance,
        "scope": limit.scope,
        "jurisdiction": limit.jurisdiction,
        "value": limit_value(limit),
        "regulation": limit.regulation,
        "valid_from": limit.valid_from.isoformat() if limit.valid_from else None,
        "source": limit.source,
        "mark": limit.mark,
        "ref": limit.ref,
    }
