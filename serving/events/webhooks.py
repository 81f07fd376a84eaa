"""Endpoints that events go to: registered, rotated, switched off; and the signature on what they get.

Signatures follow Standard Webhooks: HMAC-SHA256 over id, time and body, with ``webhook-id``, ``webhook-timestamp`` and
``webhook-signature`` headers. While a secret is being rotated both sign.
"""

from __future__ import annotations

import base64
import secrets
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import UTC, datetime, timedelta
from typing import Any, Literal

from standardwebhooks import Webhook

from features.errors import UserError
from serving.decisions import new_decision_id
from serving.events.kinds import EVENT_TYPES
from serving.events.vault import SecretVault, VaultError
from serving.events.webhooks_address import AddressRules, Resolve, check_address, system_resolve
from serving.store import Store
from serving.store import deliveries as rows
from serving.store import webhook_secrets as kept_secrets
from serving.store.engine import reading, writing
from serving.store.notice_records import EndpointRecord
from serving.store.records import NoteRecord
from serving.store.steps import StepRow, read_endpoints

SECRET_BYTES = 32
ROTATION = timedelta(hours=24)
"""How long the old secret still signs beside the new one."""

EndpointState = Literal["active", "disabled", "removed"]


class EndpointError(UserError):
    """An endpoint that cannot be registered, found or changed."""


class UnknownEndpointError(EndpointError):
    """An endpoint that does not exist."""


@dataclass(frozen=True, slots=True)
class Endpoint:
    """An address for events.

    Attributes
    ----------
    kinds
        Kinds of events that it gets; empty for all.
    step
        How many steps it has had.
    why
        Why it is disabled.
    """

    endpoint_id: str
    url: str
    kinds: frozenset[str]
    description: str
    state: EndpointState
    created_at: datetime
    actor: str
    step: int = 1
    why: str = ""

    def to_json(self) -> dict[str, Any]:
        """Return what people see of it; the secret is not part of it."""
        return {
            "endpoint_id": self.endpoint_id,
            "url": self.url,
            "kinds": sorted(self.kinds),
            "description": self.description,
            "state": self.state,
            "why": self.why,
            "created_at": self.created_at.isoformat(timespec="seconds"),
            "registered_by": self.actor,
        }


def fold_endpoints(steps: Iterable[StepRow]) -> dict[str, Endpoint]:
    """Return every endpoint as it stands, removed ones too."""
    found: dict[str, Endpoint] = {}
    for row in steps:
        known = found.get(row.subject)
        if row.status == "registered":
            body = row.body
            found[row.subject] = Endpoint(
                row.subject,
                body["url"],
                frozenset(body["kinds"]),
                body["description"],
                "active",
                row.at,
                row.actor,
            )
        elif known is not None:
            found[row.subject] = _after(replace(known, step=row.step + 1), row)
    return found


def _after(endpoint: Endpoint, row: StepRow) -> Endpoint:
    if row.status == "disabled":
        return replace(endpoint, state="disabled", why=str(row.body.get("why", "")))
    if row.status == "enabled":
        return replace(endpoint, state="active", why="")
    if row.status == "removed":
        return replace(endpoint, state="removed")
    return endpoint


def sign(secret_texts: Sequence[str], message_id: str, at: datetime, body: bytes) -> dict[str, str]:
    """Return the three headers of Standard Webhooks.

    Parameters
    ----------
    secret_texts
        Secrets in force (``whsec_...``), the newest first; each gives a signature.
    message_id
        The event's id, the same for every attempt: consumers know a repetition by it.
    at
        Time of the attempt, UTC.
    body
        As it is sent.
    """
    text = body.decode()
    signatures = [Webhook(secret).sign(message_id, at, text) for secret in secret_texts]
    return {
        "webhook-id": message_id,
        "webhook-timestamp": str(int(at.timestamp())),
        "webhook-signature": " ".join(signatures),
    }


class EndpointDesk:
    """Endpoints of one store.

    Parameters
    ----------
    store
        An open store.
    rules
        What may be sent to.
    resolve
        Gives the addresses of a host.
    vault
        Seals secrets; by default they are kept as they are.
    """

    def __init__(
        self,
        store: Store,
        rules: AddressRules | None = None,
        resolve: Resolve = system_resolve,
        vault: SecretVault | None = None,
    ) -> None:
        self.store = store
        self.vault = vault or SecretVault()
        self.rules = rules or AddressRules()
        self.resolve = resolve

    def all(self) -> dict[str, Endpoint]:
        """Every endpoint, removed ones too."""
        with reading(self.store.engine) as connection:
            return fold_endpoints(read_endpoints(connection))

    def endpoint(self, endpoint_id: str) -> Endpoint:
        """Return one.

        Raises
        ------
        EndpointError
            When there is none, or it was removed.
        """
        found = self.all().get(endpoint_id)
        if found is None or found.state == "removed":
            raise UnknownEndpointError(
                f"got endpoint {endpoint_id[:80]!r}, which does not exist: list them first"
            )
        return found

    def register(
        self, url: str, kinds: Iterable[str], actor: str, now: datetime, description: str = ""
    ) -> tuple[Endpoint, str]:
        """Register an address.

        Returns
        -------
        endpoint : Endpoint
        secret : str
            ``whsec_...``, shown this once.

        Raises
        ------
        AddressError
            When events are not sent there.
        EndpointError
            When a kind is unknown.
        """
        wanted = sorted(set(kinds))
        if unknown := [kind for kind in wanted if kind not in EVENT_TYPES]:
            raise EndpointError(f"got kind {unknown[0][:80]!r}, expected {', '.join(EVENT_TYPES)}")
        check_address(url, self.rules, self.resolve)
        endpoint_id = f"endpoint-{new_decision_id(now)}"
        body = {"url": url, "kinds": wanted, "description": description[:1_000]}
        secret = self._new_secret(endpoint_id, now, old_until=now)
        self.store.change(EndpointRecord(endpoint_id, 0, "registered", actor, body), timeout_s=30)
        return self.endpoint(endpoint_id), secret

    def rotate(self, endpoint_id: str, actor: str, now: datetime, overlap: timedelta = ROTATION) -> str:
        """Give an endpoint a new secret, shown this once; the old one signs beside it for ``overlap``."""
        found = self.endpoint(endpoint_id)
        self._step(found, "rotated", actor, {"old_until": (now + overlap).isoformat(timespec="seconds")})
        return self._new_secret(endpoint_id, now, old_until=now + overlap)

    def disable(self, endpoint_id: str, actor: str, why: str = "") -> Endpoint:
        """Stop sending; what waits stays."""
        return self._step(self.endpoint(endpoint_id), "disabled", actor, {"why": why})

    def enable(self, endpoint_id: str, actor: str) -> Endpoint:
        """Send again."""
        return self._step(self.endpoint(endpoint_id), "enabled", actor, {})

    def remove(self, endpoint_id: str, actor: str) -> None:
        """Remove an endpoint and its secrets."""
        self._step(self.endpoint(endpoint_id), "removed", actor, {})
        with writing(self.store.engine) as connection:
            kept_secrets.drop_secrets(connection, endpoint_id)

    def replay(self, endpoint_id: str, actor: str, now: datetime, since: datetime | None = None) -> int:
        """Send once more: what died, or with ``since`` everything from then on; returns how many."""
        found = self.endpoint(endpoint_id)
        body = {"endpoint_id": endpoint_id, "since": since.isoformat() if since else None}
        self.store.change(NoteRecord(f"replay:{endpoint_id}", actor, body), timeout_s=30)
        with writing(self.store.engine) as connection:
            if since is None:
                return rows.revive(connection, endpoint_id, now)
            return rows.send_again(connection, endpoint_id, found.kinds, since, now)

    def secrets(self, endpoint_id: str, now: datetime) -> tuple[str, ...]:
        """Return the secrets in force, the newest first.

        Raises
        ------
        VaultError
            When no key opens one.
        """
        with reading(self.store.engine) as connection:
            kept = kept_secrets.read_secrets(connection, endpoint_id, now)
        return tuple(self.vault.open(endpoint_id, one) for one in kept)

    def check_secrets(self) -> None:
        """Open every secret that is kept.

        Raises
        ------
        VaultError
            When no key opens one.
        """
        with reading(self.store.engine) as connection:
            for endpoint_id, _, kept in kept_secrets.all_secrets(connection):
                self.vault.open(endpoint_id, kept)

    def reseal(self, actor: str) -> int:
        """Encrypt what does not lie under the newest key yet; returns how many secrets that were.

        Raises
        ------
        VaultError
            When there is no key, or none opens a secret; then nothing was changed.
        """
        if not self.vault.seals:
            raise VaultError(
                "no key is set: make one with `listing-risk events key`, set LISTING_RISK_SECRET_KEYS"
            )
        with writing(self.store.engine) as connection:
            stale = [row for row in kept_secrets.all_secrets(connection) if not self.vault.is_newest(row[2])]
            for endpoint_id, number, kept in stale:
                sealed = self.vault.seal(endpoint_id, self.vault.open(endpoint_id, kept))
                kept_secrets.replace_secret(connection, endpoint_id, number, sealed)
        if stale:
            self.store.change(NoteRecord("secrets:resealed", actor, {"secrets": len(stale)}), timeout_s=30)
        return len(stale)

    def _step(self, found: Endpoint, status: str, actor: str, body: Mapping[str, Any]) -> Endpoint:
        self.store.change(
            EndpointRecord(found.endpoint_id, found.step, status, actor, dict(body)), timeout_s=30
        )
        return self.all()[found.endpoint_id]

    def _new_secret(self, endpoint_id: str, now: datetime, old_until: datetime) -> str:
        secret = "whsec_" + base64.b64encode(secrets.token_bytes(SECRET_BYTES)).decode()
        with writing(self.store.engine) as connection:
            kept_secrets.drop_secrets(connection, endpoint_id, ended=now)
            kept_secrets.put_secret(
                connection, endpoint_id, self.vault.seal(endpoint_id, secret), now, old_until
            )
        return secret


def utc_now() -> datetime:
    """The clock's time, UTC."""
    return datetime.now(UTC)
