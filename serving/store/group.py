"""One commit group: number the rows, chain them, write them all in one transaction."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field

from sqlalchemy.engine import Connection

from serving.store.chain import PAYLOAD, START, Head, Link, leaf, merkle_root, salted
from serving.store.driver import fetch_earlier, fetch_head, insert_rows
from serving.store.errors import ConflictError
from serving.store.prepare import Prepared
from serving.store.records import Row

Key = tuple[str, str]


@dataclass(frozen=True, slots=True)
class Recorded:
    """A record that is on disk.

    Attributes
    ----------
    seq
        Its place in the audited order.
    subject
        The decision's identifier, or what the change was about.
    replayed
        True when the idempotency key was seen before: ``seq`` and ``subject`` are those of the EARLIER decision,
        which is the one to answer with.
    """

    seq: int
    subject: str
    replayed: bool = False


@dataclass(frozen=True, slots=True)
class _Earlier:
    seq: int
    id: str
    payload_digest: bytes
    salt: bytes | None


def read_head(connection: Connection) -> Head:
    """Where the chain ends; inside a write transaction nobody else can move it."""
    found = fetch_head(connection)
    return Head(found[0], found[1], bytes(found[2])) if found else START


def _keys(units: Iterable[Sequence[Prepared]]) -> list[Key]:
    return [
        (item.row["caller"], item.row["idempotency_key"])
        for unit in units
        for item in unit
        if item.kind == "decision" and item.row["idempotency_key"] is not None
    ]


def _same_body(item: Prepared, earlier: _Earlier) -> bool:
    return earlier.salt is not None and salted(PAYLOAD, earlier.salt, item.payload) == earlier.payload_digest


@dataclass(slots=True)
class Group:
    """Rows gathered for one transaction."""

    head: Head
    now: int
    earlier: dict[Key, _Earlier]
    rows: dict[str, list[Row]] = field(default_factory=dict)
    leaves: list[bytes] = field(default_factory=list)

    def add(self, unit: Sequence[Prepared]) -> tuple[Recorded, ...]:
        """Take one caller's records, all or none.

        Raises
        ------
        ConflictError
            When an idempotency key stands for another body.
        """
        for item in unit:
            earlier = self._earlier(item)
            if earlier and not _same_body(item, earlier):
                raise ConflictError(
                    "got an idempotency key that was used with another body (or whose body was erased since), "
                    "expected a new key for a new request"
                )
        return tuple(self._add(item) for item in unit)

    def _earlier(self, item: Prepared) -> _Earlier | None:
        if item.kind != "decision" or item.row["idempotency_key"] is None:
            return None
        return self.earlier.get((item.row["caller"], item.row["idempotency_key"]))

    def _add(self, item: Prepared) -> Recorded:
        earlier = self._earlier(item)
        if earlier:
            return Recorded(earlier.seq, earlier.id, replayed=True)
        seq = self.head.seq + len(self.leaves) + 1
        self.leaves.append(leaf(seq, self.now, item.kind, item.actor, item.subject, item.digest))
        self._put("audit_rows", seq, _audit_row(item, self.now))
        self._put(item.table, seq, item.row)
        for table, row in item.beside:
            self._put(table, seq, row)
        if item.kind == "decision" and item.row["idempotency_key"] is not None:
            salt = next(row["salt"] for table, row in item.beside if table == "inputs")
            self.earlier[item.row["caller"], item.row["idempotency_key"]] = _Earlier(
                seq, item.subject, item.row["payload_digest"], salt
            )
        return Recorded(seq, item.subject)

    def _put(self, table: str, seq: int, row: Row) -> None:
        name = "decision_seq" if table == "listings" else "seq"
        self.rows.setdefault(table, []).append({name: seq, **row})

    def link(self) -> Link:
        """The chain's next link, over this group's rows."""
        return Link(
            number=self.head.number + 1,
            first=self.head.seq + 1,
            last=self.head.seq + len(self.leaves),
            at=self.now,
            root=merkle_root(self.leaves),
            previous=self.head.digest,
        )

    def write(self, connection: Connection) -> Head:
        """Insert everything; durable when the surrounding transaction commits."""
        if not self.leaves:
            return self.head
        link = self.link()
        digest = link.digest()
        self.rows["audit_links"] = [
            {
                "number": link.number,
                "first": link.first,
                "last": link.last,
                "at": link.at,
                "root": link.root,
                "previous": link.previous,
                "digest": digest,
            }
        ]
        insert_rows(connection, self.rows)
        return Head(link.number, link.last, digest)


def _audit_row(item: Prepared, now: int) -> Row:
    return {
        "at": now,
        "kind": item.kind,
        "actor": item.actor,
        "subject": item.subject,
        "digest": item.digest,
    }


def begin_group(connection: Connection, units: Sequence[Sequence[Prepared]], now: int) -> Group:
    """Start a group inside a write transaction: read the head and what the idempotency keys stand for."""
    keys = _keys(units)
    earlier = {
        (caller, key): _Earlier(seq, identifier, digest, salt)
        for caller, key, seq, identifier, digest, salt in (fetch_earlier(connection, keys) if keys else ())
    }
    return Group(read_head(connection), now, earlier)
