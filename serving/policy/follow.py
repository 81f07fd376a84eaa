"""A running service follows its store: a promoted policy comes into force, one in shadow is tried beside it."""

from __future__ import annotations

import logging
import queue
import threading
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from typing import TYPE_CHECKING

from serving import logs
from serving.models.in_force import LOADED
from serving.policy.binding import bind
from serving.policy.desk import PROMOTED, promoted_policy, running_shadow
from serving.policy.diff import hazard_of
from serving.policy.document import PolicyDocument, PolicyError
from serving.policy.evaluation import BoundPolicy, evaluate
from serving.policy.facts import Rebuilder
from serving.store import PolicyRecord, Store, StoreError, shadow
from serving.store.desk_reads import last_policy_seq
from serving.store.engine import reading, writing
from serving.store.records import microseconds
from serving.store.versions import VersionRow, read_last_version

if TYPE_CHECKING:
    from features.schema import Listing
    from serving.decisions import Decision
    from serving.doors import Doors
    from serving.predictor import Predictor

EVERY_S = 2.0
WAITING = 2_000
_TOGETHER = 200
log = logging.getLogger("serving.policy")


@dataclass(frozen=True, slots=True)
class Seen:
    """A decision that was recorded, with its listing, to be tried with the policy in shadow."""

    decision: Decision
    listing: Listing


class PolicyFollower:
    """Follows one store for one predictor.

    Parameters
    ----------
    store
        An open store.
    predictor
        Gives the one whose policy is put in force; it may be another one after a bundle was promoted.
    follows
        False where the service was given a policy file: then that file decides, and only shadows are run.
    """

    def __init__(self, store: Store, predictor: Callable[[], Predictor], *, follows: bool) -> None:
        self.store = store
        self._predictor = predictor
        self.follows = follows
        self._seen: tuple[int, int] | None = None
        self._shadow: BoundPolicy | None = None
        self._waiting: queue.Queue[Seen] = queue.Queue(WAITING)
        self._ended = threading.Event()
        self._thread: threading.Thread | None = None
        self.dropped = 0

    @property
    def predictor(self) -> Predictor:
        """The predictor that decides now."""
        return self._predictor()

    def start(self) -> None:
        """Follow from now on."""
        self._thread = threading.Thread(target=self._run, name="policy-follower", daemon=True)
        self._thread.start()

    def stop(self) -> None:
        """Try what is waiting and end."""
        self._ended.set()
        if self._thread is not None:
            self._thread.join(10)

    def observe(self, decisions: Sequence[Decision], listings: Sequence[Listing]) -> None:
        """Take decisions that were recorded; never waits, and drops them when the shadow cannot keep up."""
        if self._shadow is None:
            return
        for decision, listing in zip(decisions, listings, strict=True):
            try:
                self._waiting.put_nowait(Seen(decision, listing))
            except queue.Full:
                self.dropped += 1

    def look(self) -> None:
        """Look once at what the store says of policies."""
        with reading(self.store.engine) as connection:
            newest = (last_policy_seq(connection), id(self.predictor))
        if newest == self._seen:
            return
        if self.follows:
            self._follow(promoted_policy(self.store))
        found = running_shadow(self.store)
        self._shadow = None if found is None else self._bound(found)
        self._seen = newest

    def _follow(self, document: PolicyDocument | None) -> None:
        if document is None or document.version == self.predictor.policy.version:
            return
        bound = self._bound(document)
        if bound is None:
            return
        promoted, loaded = self._rows()
        if promoted and (loaded is None or loaded.version != bound.version):
            # The record comes first: nothing is decided with a policy that the store does not know to be in force.
            body = {"text": promoted.body["text"]}
            self.store.change(PolicyRecord(bound.version, LOADED, "system", body), timeout_s=30)
        self.predictor.policy = bound
        logs.event(log, logging.INFO, "policy in force", {"policy_version": bound.version})

    def _rows(self) -> tuple[VersionRow | None, VersionRow | None]:
        with reading(self.store.engine) as connection:
            return (
                read_last_version(connection, "policies", PROMOTED),
                read_last_version(connection, "policies", LOADED),
            )

    def _bound(self, document: PolicyDocument) -> BoundPolicy | None:
        points = self.predictor.bundle.manifest.operating_points
        try:
            return bind(document, points, self.predictor.taxonomy)
        except PolicyError:
            # It was bound when it was promoted; this process runs another bundle.
            logs.event(log, logging.ERROR, "policy does not fit", {"policy_version": document.version})
            return None

    def _run(self) -> None:
        while not self._ended.is_set():
            try:
                self.look()
                self.try_waiting()
            except StoreError:
                log.warning("policies not looked at: the store does not answer")
            except Exception as error:  # the thread must outlive whatever goes wrong with one decision
                logs.event(log, logging.ERROR, "shadow failed", {"error": logs.frames(error)})
            self._ended.wait(EVERY_S)

    def try_waiting(self) -> int:
        """Try what is waiting with the policy in shadow; return how many."""
        policy, done = self._shadow, 0
        rebuild = Rebuilder(self.predictor.taxonomy, self.predictor.checks.certificates)
        while batch := self._take():
            if policy is None:
                continue
            rows = [_row(policy, rebuild, seen) for seen in batch]
            with writing(self.store.engine) as connection:
                shadow.put_shadow_rows(connection, rows)
            done += len(rows)
        return done

    def _take(self) -> list[Seen]:
        found: list[Seen] = []
        while len(found) < _TOGETHER:
            try:
                found.append(self._waiting.get_nowait())
            except queue.Empty:
                break
        return found


def _row(policy: BoundPolicy, rebuild: Rebuilder, seen: Seen) -> shadow.ShadowRow:
    decision, listing = seen.decision, seen.listing
    facts = rebuild.of_decision(decision, listing)
    verdict = evaluate(policy, facts, decision.decided_at)
    seller = (listing.seller.id if listing.seller else None) or ""
    return shadow.ShadowRow(
        policy.version,
        decision.decision_id,
        decision.action,
        verdict.action,
        hazard_of(verdict, facts),
        seller,
        microseconds(decision.decided_at),
    )


def take_promoted(store: Store, predictor: Predictor) -> None:
    """Put the policy in force that was promoted last, where one was."""
    PolicyFollower(store, lambda: predictor, follows=True).look()


@contextmanager
def follow_policies(doors: Doors) -> Iterator[None]:
    """Follow the store's policies while the service runs; nothing where no store is set."""
    engine = doors.engine()
    if engine.store is None:
        yield
        return
    follower = PolicyFollower(
        engine.store, lambda: doors.engine().predictor, follows=doors.settings.policy is None
    )
    follower.look()
    doors.observers.append(follower.observe)
    follower.start()
    try:
        yield
    finally:
        doors.observers.remove(follower.observe)
        follower.stop()
