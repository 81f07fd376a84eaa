"""Policies of one store: tried on what was decided, run in shadow, promoted, rolled back; every step is audited."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path
from typing import TYPE_CHECKING

from features.errors import UserError
from serving.models.in_force import LOADED, policy_of
from serving.policy.binding import OperatingPoints, bind
from serving.policy.diff import PolicyDiff, Recorded, compare_policies
from serving.policy.document import PolicyDocument, load_policy, parse_policy
from serving.policy.evaluation import BoundPolicy
from serving.policy.facts import CertificateCheck, Rebuilder
from serving.store import PolicyRecord, Store, desk_reads, shadow
from serving.store.desk_reads import PolicyLine
from serving.store.engine import reading
from serving.store.versions import read_last_version

if TYPE_CHECKING:
    from features.taxonomy import Taxonomy

PROMOTED, SHADOW, SHADOW_ENDED = "promoted", "shadow", "shadow_ended"
LIMIT = 200_000


class PolicyDeskError(UserError):
    """A policy that cannot be promoted, rolled back or run in shadow."""


@dataclass(frozen=True, slots=True)
class Ground:
    """What a policy is bound to and tried with: taxonomy, operating points, the check of certificates."""

    taxonomy: Taxonomy
    points: OperatingPoints
    certificates: CertificateCheck


def ground_of(bundle: Path, register: Path | None = None) -> Ground:
    """Read what policies are bound to from a bundle's folder, without loading its weights.

    Raises
    ------
    UserError
        When the folder is no bundle, or the register cannot be read.
    """
    from features.certification import Register
    from features.taxonomy import load_taxonomy
    from serving.policy.certificates import KcCheck
    from training.manifest import read_manifest

    check = KcCheck(None if register is None else Register.read(register))
    return Ground(load_taxonomy(), read_manifest(bundle).operating_points, check)


class PolicyDesk:
    """Where policies are tried and put in force.

    Parameters
    ----------
    store
        An open store.
    ground
        Of the bundle in force.
    """

    def __init__(self, store: Store, ground: Ground) -> None:
        self.store = store
        self.ground = ground

    def bound(self, document: PolicyDocument) -> BoundPolicy:
        """Bind a policy.

        Raises
        ------
        PolicyError
            With every problem, when it does not fit the bundle.
        """
        return bind(document, self.ground.points, self.ground.taxonomy)

    def in_force(self) -> str:
        """Version that the service decides with, "" where none was ever recorded."""
        with reading(self.store.engine) as connection:
            row = read_last_version(connection, "policies", LOADED)
        return row.version if row else ""

    def document(self, name: str) -> PolicyDocument:
        """Find a policy by file, by version, or ``in-force``.

        Raises
        ------
        PolicyError, VersionError
        """
        if name == "in-force":
            version = self.in_force()
            return policy_of(self.store, version) if version else load_policy(None)
        if Path(name).is_file():
            return load_policy(Path(name))
        return policy_of(self.store, name)

    def history(self) -> tuple[PolicyLine, ...]:
        """What was decided about policies, the newest first."""
        with reading(self.store.engine) as connection:
            return desk_reads.policy_history(connection)

    def diff(
        self, old: PolicyDocument, new: PolicyDocument, since: datetime, limit: int = LIMIT
    ) -> PolicyDiff:
        """Evaluate two policies on what the system decided since a time, the newest first, up to a limit.

        Raises
        ------
        PolicyError
        """
        return compare_policies(self.bound(old), self.bound(new), self._records(since, limit))

    def _records(self, since: datetime, limit: int) -> Iterator[Recorded | None]:
        rebuild = Rebuilder(self.ground.taxonomy, self.ground.certificates)
        for stored in shadow.system_decisions(self.store, since, limit):
            facts = rebuild.of_record(stored)
            listing = stored.listing or {}
            yield (
                None
                if facts is None
                else Recorded(
                    stored.id,
                    stored.listing_id,
                    str((listing.get("seller") or {}).get("id") or ""),
                    str(listing.get("title") or ""),
                    stored.decided_at,
                    stored.action,
                    facts,
                )
            )

    def promote(self, text: str, actor: str, name: str = "policy", why: str = "") -> str:
        """Put a policy in force: services of this store that were given no policy file take it up within seconds.

        Returns
        -------
        str
            Its version.

        Raises
        ------
        PolicyError
            When it is no policy or does not fit the bundle.
        PolicyDeskError
            When it is in force already.
        """
        document = parse_policy(text, name)
        self.bound(document)
        if document.version == self.wanted():
            raise PolicyDeskError(f"got policy {document.version}, which is in force already")
        body = {"text": text, "before": self.in_force(), "why": why}
        self.store.change(PolicyRecord(document.version, PROMOTED, actor, body), timeout_s=30)
        return document.version

    def wanted(self) -> str:
        """Version that was promoted last, or that is in force where none ever was."""
        with reading(self.store.engine) as connection:
            promoted = read_last_version(connection, "policies", PROMOTED)
            loaded = read_last_version(connection, "policies", LOADED)
        rows = [row for row in (promoted, loaded) if row is not None]
        return max(rows, key=lambda row: row.seq).version if rows else ""

    def rollback(self, actor: str, why: str = "") -> str:
        """Put the policy back in force that was there before the one in force.

        Raises
        ------
        PolicyDeskError
            When there was none.
        """
        now = self.wanted()
        lines = [line for line in self.history() if line.status in (LOADED, PROMOTED)]
        before = next((line for line in lines if line.version != now), None)
        if before is None:
            raise PolicyDeskError("got a rollback, but no other policy was ever in force here")
        document = policy_of(self.store, before.version)
        text = self._text(before.version)
        self.bound(document)
        body = {"text": text, "before": now, "why": why, "rollback": True}
        self.store.change(PolicyRecord(before.version, PROMOTED, actor, body), timeout_s=30)
        return before.version

    def _text(self, version: str) -> str:
        line = next((one for one in self.history() if one.version == version and "text" in one.body), None)
        if line is None:
            raise PolicyDeskError(f"got policy {version}, whose text is not in the store: promote its file")
        return str(line.body["text"])

    def start_shadow(self, text: str, actor: str, name: str = "policy") -> str:
        """Run a policy beside the one in force: recorded, not acted on; one at a time.

        Raises
        ------
        PolicyError
        """
        document = parse_policy(text, name)
        self.bound(document)
        self.store.change(PolicyRecord(document.version, SHADOW, actor, {"text": text}), timeout_s=30)
        return document.version

    def end_shadow(self, actor: str) -> str:
        """End the shadow run.

        Raises
        ------
        PolicyDeskError
            When none runs.
        """
        running = self.shadow()
        if running is None:
            raise PolicyDeskError("got the end of a shadow run, but none runs")
        self.store.change(PolicyRecord(running.version, SHADOW_ENDED, actor), timeout_s=30)
        return running.version

    def shadow(self) -> PolicyDocument | None:
        """Policy that runs in shadow now."""
        return running_shadow(self.store)

    def shadow_report(self, version: str) -> shadow.ShadowReport:
        """What a policy that runs, or ran, in shadow would have done."""
        with reading(self.store.engine) as connection:
            return shadow.read_report(connection, version)


def running_shadow(store: Store) -> PolicyDocument | None:
    """Return the policy that runs in shadow now, None where none does."""
    with reading(store.engine) as connection:
        started = read_last_version(connection, "policies", SHADOW)
        ended = read_last_version(connection, "policies", SHADOW_ENDED)
    if started is None or (ended is not None and ended.seq > started.seq):
        return None
    return parse_policy(str(started.body["text"]), started.version)


def promoted_policy(store: Store) -> PolicyDocument | None:
    """Return the policy that was promoted last, None where none ever was."""
    with reading(store.engine) as connection:
        row = read_last_version(connection, "policies", PROMOTED)
    return None if row is None else parse_policy(str(row.body["text"]), row.version)
