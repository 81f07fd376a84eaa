"""The proof: verify that nothing recorded was altered, removed or reordered, and recompute what was decided."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Any

import orjson

from serving.audit_replay import FieldReplay, ReplayReport, replay
from serving.store.canonical import canonical_row
from serving.store.chain import GENESIS, PAYLOAD, REASONS, Link, leaf, merkle_root, salted
from serving.store.checkpoints import Checkpoint, Checkpoints
from serving.store.errors import DamagedTextError
from serving.store.records import content_digest
from serving.store.retention import ERASURE
from serving.store.scan import Scan, Window, as_bytes, scanning
from serving.store.schema import decisions as _decisions
from serving.store.store import Store

__all__ = [
    "AuditReport",
    "Checkpoints",
    "FieldReplay",
    "Problem",
    "ReplayReport",
    "checkpoint",
    "replay",
    "verify",
]

PROBLEMS_KEPT = 1_000

_COLUMN = {name: position for position, name in enumerate(_decisions.columns.keys())}
_RECEIVED, _PAYLOAD, _REASONS, _IMAGES = (
    _COLUMN[name] for name in ("received_at", "payload_digest", "reasons_digest", "image_digests")
)


@dataclass(frozen=True, slots=True)
class Problem:
    """One thing that does not hold.

    Attributes
    ----------
    kind
        ``altered``, ``removed``, ``unrecorded`` (in a table but not in the chain), ``truncated``, ``rewritten``
        (a signed checkpoint knows another chain), ``erased`` (gone without an audited erasure), ``state``
        (a listing's state is not its last decision's) or ``checkpoint``.
    where
        Such as ``decision 17``, ``link 3 (rows 9-12)``.
    """

    kind: str
    where: str
    detail: str


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


def verify(
    store: Store, checkpoints: Checkpoints | None = None, public_key: bytes | None = None
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

    Raises
    ------
    StoreUnavailableError
    """
    points = checkpoints.read(public_key) if checkpoints else ()
    try:
        return _verify(store, points, lenient=False)
    except DamagedTextError:
        return _verify(store, points, lenient=True)


def _verify(store: Store, points: Sequence[Checkpoint], lenient: bool) -> AuditReport:
    with scanning(store, lenient) as scan:
        run = _Verification(scan.store_id(), points)
        run.check(scan)
    return run.report()


@dataclass(slots=True)
class _Verification:
    store_id: str
    checkpoints: Sequence[Checkpoint]
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

    def found(self, kind: str, where: str, detail: str) -> None:
        self.n_problems += 1
        if len(self.problems) < PROBLEMS_KEPT:
            self.problems.append(Problem(kind, where, detail))

    def check(self, scan: Scan) -> None:
        links = scan.links()
        waiting = next(links, None)
        signed = {point.link for point in self.checkpoints}
        for window in scan.windows(min(1, scan.first_seq()), scan.last_seq()):
            self._window(window)
            while waiting is not None and waiting[0].last <= window.last:
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
        self._check_erasures()
        self._check_points()

    def _window(self, window: Window) -> None:
        digests = _content_digests(window)
        self._inputs(window)
        for seq, at, kind, actor, subject, digest in window.rows:
            digest = as_bytes(digest)
            try:
                self.leaves[seq] = leaf(seq, at, kind, actor, subject, digest)
            except TypeError:  # text that is not UTF-8, or no text at all
                self.leaves[seq] = b""
            stored = digests.pop(seq, None)
            if stored is None:
                self.found("removed", f"{kind} {seq}", "the chain has it, its table does not")
            elif stored != (kind, digest):
                self.found("altered", f"{kind} {seq}", "what is stored is not what was recorded")
            elif kind == "note" and subject == ERASURE:
                self.erasures[seq] = _note(window, seq)
        self.rows += len(window.rows)
        for seq, (kind, _) in digests.items():
            self.found("unrecorded", f"{kind} {seq}", "it stands in its table, the chain does not have it")

    def _inputs(self, window: Window) -> None:
        inputs = {row[0]: row for row in window.inputs}
        pictures: dict[int, list[Any]] = {}
        for row in window.images:
            pictures.setdefault(row[0], []).append(row)
        decided = window.contents["decision"]
        self.decisions += len(decided)
        for row in decided:
            seq = row[0]
            stored = inputs.pop(seq, None)
            if stored is None:
                self.found(
                    "removed", f"input of decision {seq}", "the decision has none, not even an erased one"
                )
                continue
            problem = _input_problem(row, stored)
            if problem:
                self.found(problem, f"input of decision {seq}", "it is not what was recorded")
            if stored[5] is not None:
                self.erased[stored[5]] += 1
            if row[_IMAGES] != "[]" or seq in pictures:
                self._pictures(row, stored, pictures.pop(seq, []))
        for seq in inputs:
            self.found("unrecorded", f"input {seq}", "it belongs to no decision")

    def _pictures(self, row: Any, stored: Any, pictures: list[Any]) -> None:
        salt, erased = stored[4], stored[5] is not None
        digests = [as_bytes(picture[3]).hex() for picture in pictures]
        right = canonical_row(digests).decode() == row[_IMAGES]
        for picture in pictures:
            content = picture[4]
            if content is None:
                right = right and erased
            else:
                right = (
                    right
                    and not erased
                    and salted(PAYLOAD, as_bytes(salt), as_bytes(content)) == as_bytes(picture[3])
                )
        if not right:
            self.found("altered", f"photos of decision {row[0]}", "they are not what was recorded")

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
        leaves, missing = [], []
        for seq in range(link.first, link.last + 1):
            found = self.leaves.pop(seq, None)
            if found is None:
                missing.append(seq)
            else:
                leaves.append(found)
        if missing:
            self.found("removed", where, f"{len(missing)} of its audit rows are gone, first {missing[0]}")
        elif merkle_root(leaves) != link.root:
            self.found("altered", where, "an audit row in it was changed or reordered")

    def _check_erasures(self) -> None:
        for by, count in self.erased.items():
            note = self.erasures.get(by)
            if note is None or note.get("count") != count:
                said = "no audited erasure" if note is None else f"an erasure of {note.get('count')}"
                self.found(
                    "erased", f"erasure {by}", f"{count} inputs are erased by it, the chain knows {said}"
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


def _content_digests(window: Window) -> dict[int, tuple[str, bytes]]:
    return {row[0]: (kind, _digest(kind, row)) for kind, rows in window.contents.items() for row in rows}


def _note(window: Window, seq: int) -> dict[str, Any]:
    return next((orjson.loads(row[1]) for row in window.contents["note"] if row[0] == seq), {})


def _input_problem(row: Any, stored: Any) -> str:
    """Kind of problem with a decision's input, empty for none."""
    _, received, payload, reasons, salt, erased_by = stored
    if received != row[_RECEIVED]:
        return "altered"
    if erased_by is not None:
        return "altered" if payload is not None or reasons is not None or salt is not None else ""
    if payload is None or reasons is None or salt is None:
        return "erased"
    salt = as_bytes(salt)
    right = salted(PAYLOAD, salt, _utf8(payload)) == row[_PAYLOAD] and (
        salted(REASONS, salt, _utf8(reasons)) == row[_REASONS]
    )
    return "" if right else "altered"


def _digest(kind: str, row: Any) -> bytes:
    try:
        return content_digest(kind, as_bytes(row[-1]), row[1:-1])
    except TypeError:
        return b""  # a value of a type that nobody recorded: it equals no digest


def _utf8(value: Any) -> bytes:
    return value.encode(errors="surrogatepass") if isinstance(value, str) else b"\xff"
