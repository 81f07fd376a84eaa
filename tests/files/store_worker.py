"""Writes decisions under load and prints each identifier once it was acknowledged; meant to be killed.

Usage: store_worker.py URL NAME CONCURRENCY [SECONDS]
"""

from __future__ import annotations

import asyncio
import itertools
import os
import sys
import time
from datetime import UTC, datetime

from serving.store import DecisionRecord, Store, StoreSink, StoreUnavailableError, WriterLimits


def record(name: str, number: int) -> DecisionRecord:
    identifier = f"{name}-{os.getpid()}-{number}"
    return DecisionRecord(
        id=identifier,
        listing={
            "id": f"{name}-{number % 500}",
            "title": "made-up rattle 딸랑이",
            "description": "soft " * 100,
        },
        action="review",
        state="held",
        expected_harm=0.1 + number % 10,
        reasons=[{"text": "딸랑이"}],
        idempotency_key=identifier,
        model_version="m",
        policy_version="p",
        decided_at=datetime.now(UTC),
    )


async def caller(sink: StoreSink, name: str, numbers: itertools.count[int], end: float) -> None:
    while time.monotonic() < end:
        decision = record(name, next(numbers))
        try:
            await sink.record_all([decision])
        except StoreUnavailableError:
            os.write(1, b"refused\n")
            await asyncio.sleep(0.02)
        else:
            os.write(1, f"{decision.id}\n".encode())


async def main(url: str, name: str, concurrency: int, seconds: float) -> None:
    with Store(url, WriterLimits(first_retry_s=0.05, last_retry_s=0.2)) as store:
        sink, numbers, end = StoreSink(store), itertools.count(), time.monotonic() + seconds
        os.write(1, b"ready\n")
        await asyncio.gather(*(caller(sink, name, numbers, end) for _ in range(concurrency)))


if __name__ == "__main__":
    _, url, name, concurrency, *rest = sys.argv
    asyncio.run(main(url, name, int(concurrency), float(rest[0]) if rest else 60.0))
