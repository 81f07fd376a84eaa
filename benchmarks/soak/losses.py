"""What was acknowledged against what is on record: every answer must be in the store as it was given."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from pathlib import Path

import sqlalchemy as sa

from serving.audit.verification import AuditReport, verify
from serving.store import Store, schema
from serving.store.engine import reading

_BATCH = 500


@dataclass(frozen=True, slots=True)
class Acknowledged:
    """One decision that a client was told: the key it came under, its number, and what it said."""

    key: str
    decision_id: str
    action: str


@dataclass(frozen=True, slots=True)
class Losses:
    """What became of acknowledged decisions.

    Attributes
    ----------
    acknowledged
        Decisions that clients were told.
    lost
        Of these, not on record under their number.
    different
        Of these, on record with another key or another action.
    audit
        Whether the chain of records verifies.
    """

    acknowledged: int
    lost: int
    different: int
    audit: AuditReport

    @property
    def none(self) -> bool:
        """Whether everything is there as it was given, in a chain that verifies."""
        return not self.lost and not self.different and self.audit.intact


def losses(store_url: str, told: Iterable[Acknowledged]) -> Losses:
    """Compare what was told with a store that nobody writes to any more."""
    count = lost = different = 0
    table = schema.decisions.c
    with Store(store_url) as store:
        for batch in _batches(told):
            names = [one.decision_id for one in batch]
            wanted = sa.select(table.id, table.idempotency_key, table.action).where(table.id.in_(names))
            with reading(store.engine) as connection:
                kept = {name: (key, action) for name, key, action in connection.execute(wanted)}
            count += len(batch)
            lost += sum(one.decision_id not in kept for one in batch)
            different += sum(
                kept.get(one.decision_id, (one.key, one.action)) != (one.key, one.action) for one in batch
            )
        report = verify(store)
    return Losses(count, lost, different, report)


def _batches(told: Iterable[Acknowledged]) -> Iterator[list[Acknowledged]]:
    batch: list[Acknowledged] = []
    for one in told:
        batch.append(one)
        if len(batch) == _BATCH:
            yield batch
            batch = []
    if batch:
        yield batch


class Ledger:
    """What was told, kept in a file: a long run acknowledges more than should be held in memory.

    Parameters
    ----------
    path
        Of the file; made anew.
    """

    def __init__(self, path: Path) -> None:
        self.path = path
        self._stream = path.open("w", encoding="utf-8")
        self.count = 0

    def note(self, key: str, decision_id: str, action: str) -> None:
        """Note one decision that an answer gave."""
        self._stream.write(f"{key}\t{decision_id}\t{action}\n")
        self.count += 1

    def __iter__(self) -> Iterator[Acknowledged]:
        self._stream.flush()
        with self.path.open(encoding="utf-8") as stream:
            for line in stream:
                yield Acknowledged(*line.rstrip("\n").split("\t"))

    def close(self) -> None:
        """Close the file."""
        self._stream.close()
