"""The service's door to the store."""

from __future__ import annotations

import asyncio
from collections.abc import Mapping, Sequence
from concurrent.futures import Future
from typing import TYPE_CHECKING, Any

from serving.store.decided import decision_record, full_json
from serving.store.errors import InvalidRecordError
from serving.store.group import Recorded
from serving.store.prepare import Prepared
from serving.store.records import DecisionRecord, OutboxEvent, Picture
from serving.store.store import Store
from serving.store.writer import WriterState

if TYPE_CHECKING:
    from features.schema import Listing
    from serving.decisions import Decision

# Encoding and hashing this many takes the event loop about a millisecond; more go to a thread.
_AT_ONCE = 4


class StoreSink:
    """Records decisions before they are answered: an answer may leave once `record` has returned."""

    def __init__(self, store: Store) -> None:
        self._store = store

    async def record(
        self,
        decisions: Sequence[Decision],
        listings: Sequence[Listing],
        *,
        caller: str = "",
        keys: Sequence[str | None] | None = None,
        answers: Sequence[Mapping[str, Any]] | None = None,
        events: Sequence[tuple[OutboxEvent, ...]] | None = None,
        images: Sequence[tuple[Picture, ...]] | None = None,
    ) -> tuple[Recorded, ...]:
        """Write decisions, all or none, without blocking the event loop; returns after fsync.

        Parameters
        ----------
        decisions, listings
            One listing per decision, as it was scored.
        caller
            Who asked; idempotency keys are unique per caller.
        keys
            An idempotency key per decision, or None for none.
        answers
            ``decision.to_json()`` per decision, where the caller has them already.
        events
            Per decision, what others are told about it.
        images
            Per decision, the photos that are kept with it.

        Returns
        -------
        tuple of Recorded
            One with ``replayed`` stands for an EARLIER decision: answer with `earlier_answer`.

        Raises
        ------
        BusyError
            Answer 429 with ``retry_after_s``.
        ConflictError
            Answer 409.
        InvalidRecordError
            Answer 422.
        StoreUnavailableError
            Answer 503.
        """
        sides = (keys, answers, events, images)
        counts = {len(decisions), len(listings), *(len(side) for side in sides if side is not None)}
        if len(counts) != 1:
            raise InvalidRecordError(
                f"got {sorted(counts)} decisions, listings, keys and answers: send equally many"
            )
        records = [
            (
                listing,
                decision,
                keys[row] if keys else None,
                answers[row] if answers else None,
                events[row] if events else (),
                images[row] if images else (),
            )
            for row, (decision, listing) in enumerate(zip(decisions, listings, strict=True))
        ]

        def prepare() -> tuple[Prepared, ...]:
            return self._store.prepare(
                [
                    decision_record(
                        listing,
                        decision,
                        caller=caller,
                        idempotency_key=key,
                        answer=answer,
                        events=told,
                        images=pictures,
                    )
                    for listing, decision, key, answer, told, pictures in records
                ]
            )

        prepared = prepare() if len(records) <= _AT_ONCE else await asyncio.to_thread(prepare)
        return await asyncio.wrap_future(self._store.writer.submit(prepared))

    def prepare(
        self,
        decision: Decision,
        listing: Listing,
        *,
        caller: str = "",
        key: str | None = None,
        answer: Mapping[str, Any] | None = None,
        events: tuple[OutboxEvent, ...] = (),
        images: tuple[Picture, ...] = (),
    ) -> Prepared:
        """Encode and hash a decision, for `submit`; as `record` does, in the caller's thread.

        Raises
        ------
        InvalidRecordError
        """
        record = decision_record(
            listing,
            decision,
            caller=caller,
            idempotency_key=key,
            answer=answer,
            events=events,
            images=images,
        )
        return self._store.prepare([record])[0]

    def submit(self, units: Sequence[Sequence[Prepared]]) -> list[Future[tuple[Recorded, ...]]]:
        """Hand in what was prepared for several requests, at once, so that one commit takes it; see `record`."""
        return self._store.writer.submit_each(units)

    async def record_all(self, records: Sequence[DecisionRecord]) -> tuple[Recorded, ...]:
        """Write records that are made already; see `record`."""
        return await asyncio.wrap_future(self._store.writer.submit(self._store.prepare(records)))

    async def earlier_answer(self, decision_id: str) -> dict[str, Any]:
        """Give the answer that was sent for an earlier decision; parts that retention erased are None.

        Raises
        ------
        NotFoundError, StoreUnavailableError
        """
        return full_json(await asyncio.to_thread(self._store.decision, decision_id))

    def ready(self) -> WriterState:
        """What to say on the readiness page."""
        return self._store.state()
