"""The proof: verify that nothing recorded was altered, removed or reordered, and recompute what was decided."""

from __future__ import annotations

import logging
import threading
from collections import Counter
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass, field
from types import TracebackType
from typing import Any, Self

from serving.audit.replay import FieldReplay, ReplayReport, replay
from serving.audit.window import Findings, Problem
from serving.audit.workers import all_findings
from serving.store.chain import GENESIS, Link, merkle_root
from serving.store.checkpoints import Checkpoint, Checkpoints
from serving.store.errors import DamagedTextError, StoreError
from serving.store.retention import ERASURE
from serving.store.scan import Scan, scanning
from serving.store.store import Store
from serving.store.writer import wall_clock

__all__ = [
    "AuditReport",
    "CheckpointKeeper",
    "Checkpoints",
    "FieldReplay",
    "Problem",
    "ReplayReport",
    "checkpoint",
    "replay",
    "verify",
]

PROBLEMS_KEPT = 1_000

_log = logging.getLogger(__name__)


@dataclass(frozen=True, slots=True)
class AuditReport:
    """What `verify` found.

    Attributes
    ----------
    rows, links, decisions, erased
        How many of each were checked; ``erased`` are decisions whose text retention has erased.
    proven_rows
        Rows up to the last sound checkpoint: they cannot have changed since it was signed.
    unproven_rows
        Rows after it. They form an unbroken chain, but whoever can write to the database could have made
        another unbroken chain of them.
    clock_steps_back
        Times at which a link's clock was before that of the link before; order does not depend on it.
    problems
        The first thousand; ``n_problems`` counts all.
    """

    rows: int
    links: int
    decisions: int
    erased: int
    proven_rows: int
    unproven_rows: int
    checkpoints: int
    clock_steps_back: int
    n_problems: int
    problems: tuple[Problem, ...]

    @property
    def intact(self) -> bool:
        """Whether everything holds."""
        return self.n_problems == 0


def checkpoint(store: Store, checkpoints: Checkpoints, at: int) -> bool:
    """Sign where the chain ends now; False when nothing was added since the last time.

    Parameters
    ----------
    at
        Microseconds since 1970 (UTC).
    """
    with scanning(store) as scan:
        head, store_id = scan.head(), scan.store_id()
    return checkpoints.write(store_id, head, at) is not None


class CheckpointKeeper:
    """Signs a checkpoint now and then, in a thread of its own, so that little stays unproven.

    Parameters
    ----------
    store, checkpoints
        An open store and where its checkpoints go.
    every_s
        Seconds between looks; nothing is written when nothing was added.
    """

    def __init__(self, store: Store, checkpoints: Checkpoints, every_s: float = 60.0) -> None:
        self._store, self._checkpoints, self._every_s = store, checkpoints, every_s
        self._stopping = threading.Event()
        self._thread = threading.Thread(target=self._run, name="store-checkpoints", daemon=True)
        self.problem = ""

    def __enter__(self) -> Self:
        self._thread.start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        """Sign what was added last, and stop."""
        self._stopping.set()
        self._thread.join()
        self._sign()

    def _run(self) -> None:
        while not self._stopping.wait(self._every_s):
            self._sign()

    def _sign(self) -> None:
        try:
            checkpoint(self._store, self._checkpoints, wall_clock())
            self.problem = ""
        except Exception as error:  # recording goes on; what is unproven grows until this ends
            said = f": {error}" if isinstance(error, StoreError | OSError) else ""
            self.problem = f"no checkpoint could be signed ({type(error).__name__}{said})"
            _log.error("store checkpoints: %s", self.problem)


def verify(
    store: Store,
    checkpoints: Checkpoints | None = None,
    public_key: bytes | None = None,
    workers: int = 1,
) -> AuditReport:
    """Check every audited row against the chain, and the chain against its checkpoints.

    Reads one consistent view; recording goes on meanwhile.

    Parameters
    ----------
    store
        Need not be open for writing.
    checkpoints
        Signed checkpoints. Without them a chain that was cut off at the end, or made anew from the start,
        looks whole: the report then says that no row is proven.
    public_key
        Key that must have signed, 32 bytes, from a place that you trust; by default the folder's own.
    workers
        Processes that check rows; worth it from some hundred thousand rows on.

    Raises
    ------
    StoreUnavailableError
    """
    points = checkpoints.read(public_key) if checkpoints else ()
    try:
        return _verify(store, points, workers, lenient=False)
    except DamagedTextError:
        return _verify(store, points, workers, lenient=True)


def _verify(store: Store, points: Sequence[Checkpoint], workers: int, lenient: bool) -> AuditReport:
    with scanning(store, lenient) as scan:
        run = _Verification(scan.store_id(), points, scan.head().seq)
        run.check(scan, all_findings(store, scan, workers, lenient))
    if run.late:
        with scanning(store, lenient) as scan:
            run.check_late(scan)
    return run.report()


@dataclass(slots=True)
class _Verification:
    store_id: str
    checkpoints: Sequence[Checkpoint]
    last: int
    problems: list[Problem] = field(default_factory=list)
    n_problems: int = 0
    rows: int = 0
    links: int = 0
    decisions: int = 0
    steps_back: int = 0
    erased: Counter[int] = field(default_factory=Counter)
    erasures: dict[int, dict[str, Any]] = field(default_factory=dict)
    leaves: dict[int, bytes] = field(default_factory=dict)
    link_digests: dict[int, tuple[int, bytes]] = field(default_factory=dict)
    previous: Link | None = None
    late: set[int] = field(default_factory=set)

    def found(self, kind: str, where: str, detail: str) -> None:
        self.keep(Problem(kind, where, detail))

    def keep(self, problem: Problem) -> None:
        self.n_problems += 1
        if len(self.problems) < PROBLEMS_KEPT:
            self.problems.append(problem)

    def check(self, scan: Scan, findings: Iterator[tuple[int, Findings]]) -> None:
        links = scan.links()
        waiting = next(links, None)
        signed = {point.link for point in self.checkpoints}
        for last, found in findings:
            self._add(found)
            while waiting is not None and waiting[0].last <= last:
                self._link(*waiting, signed)
                waiting = next(links, None)
        while waiting is not None:
            self._link(*waiting, signed)
            waiting = next(links, None)
        for seq in self.leaves:
            self.found("unrecorded", f"audit row {seq}", "it stands in no link of the chain")
        for seq, marketplace, listing in scan.stale_listings():
            self.found(
                "state", f"listing {marketplace}/{listing}", f"it differs from its last decision ({seq})"
            )
        for seq, ban_id in scan.wrong_ban_photos():
            self.found("altered", f"photos of ban {ban_id or seq}", "they are not what was recorded")
        self._check_erasures()
        self._check_points()

    def _add(self, found: Findings) -> None:
        self.leaves |= found.leaves
        self.rows += found.rows
        self.decisions += found.decisions
        self.erased += found.erased
        self.erasures |= found.erasures
        for problem in found.problems:
            self.keep(problem)

    def _link(self, link: Link, digest: bytes, signed: set[int]) -> None:
        where = f"link {link.number} (rows {link.first}-{link.last})"
        before = self.previous
        number, seq, chained = (before.number, before.last, before.digest()) if before else (0, 0, GENESIS)
        if link.number != number + 1 or link.first != seq + 1:
            self.found(
                "removed", where, f"expected link {number + 1} from row {seq + 1}: links before it are gone"
            )
        elif link.previous != chained:
            self.found("altered", where, "it does not continue the link before it")
        if link.digest() != digest:
            self.found("altered", where, "its hash does not fit its content")
        if before and link.at < before.at:
            self.steps_back += 1
        self._rows_of(link, where)
        self.links += 1
        if link.number in signed:
            self.link_digests[link.number] = (link.last, link.digest())
        self.previous = link

    def _rows_of(self, link: Link, where: str) -> None:
        expected = link.last - link.first + 1
        seqs: Iterable[int] = range(link.first, link.last + 1)
        if expected > len(self.leaves):  # never walk a range that only a forged link spans
            seqs = sorted(seq for seq in self.leaves if link.first <= seq <= link.last)
        leaves = [self.leaves.pop(seq) for seq in seqs if seq in self.leaves]
        if len(leaves) != expected:
            self.found("removed", where, f"{expected - len(leaves)} of its {expected} audit rows are gone")
        elif merkle_root(leaves) != link.root:
            self.found("altered", where, "an audit row in it was changed or reordered")

    def _check_erasures(self) -> None:
        for by, count in self.erased.items():
            if by > self.last:
                self.late.add(by)
                continue
            note = self.erasures.get(by)
            if note is None or note.get("count") != count:
                said = "no audited erasure" if note is None else f"an erasure of {note.get('count')}"
                self.found(
                    "erased", f"erasure {by}", f"{count} inputs are erased by it, the chain knows {said}"
                )

    def check_late(self, scan: Scan) -> None:
        """Check erasures that came after the view began, each by its own row."""
        for by in sorted(self.late):
            if scan.late_erasure(by, ERASURE) is None:
                self.found(
                    "erased", f"erasure {by}", "inputs are erased by it, the chain knows no such erasure"
                )

    def _check_points(self) -> None:
        for point in self.checkpoints:
            if point.problem:
                self.found("checkpoint", point.name, point.problem)
            if point.digest and point.store_id != self.store_id:
                self.found("checkpoint", point.name, "it is of another store")
            elif point.digest and point.link not in self.link_digests:
                self.found(
                    "truncated", point.name, f"it signed link {point.link} up to row {point.seq}: it is gone"
                )
            elif point.digest and self.link_digests[point.link] != (point.seq, point.digest):
                self.found("rewritten", point.name, f"link {point.link} is not the one that it signed")

    def _proven(self) -> int:
        sound = [
            point.seq
            for point in self.checkpoints
            if point.digest
            and point.store_id == self.store_id
            and self.link_digests.get(point.link) == (point.seq, point.digest)
        ]
        return min(max(sound, default=0), self.rows)

    def report(self) -> AuditReport:
        proven = self._proven()
        return AuditReport(
            rows=self.rows,
            links=self.links,
            decisions=self.decisions,
            erased=sum(self.erased.values()),
            proven_rows=proven,
            unproven_rows=self.rows - proven,
            checkpoints=len(self.checkpoints),
            clock_steps_back=self.steps_back,
            n_problems=self.n_problems,
            problems=tuple(self.problems),
        )
