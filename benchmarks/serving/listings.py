"""What is scored: the sample catalogue, and real listings where the data is present; no title twice."""

from __future__ import annotations

import random
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from features.reader import ColumnMap, RejectedRow, read_listings
from features.schema import Listing
from serving.run import sample_listings

SOURCES = {
    "listings/aliexpress_kr.jsonl.gz": "aliexpress_kr",
    "listings/coupang_kr.csv.gz": "coupang_kr",
    "listings/1688_zh.csv.gz": "1688_zh",
    "listings/amazon_in.csv.gz": "amazon_in",
    "listings/shein_1000.csv.gz": "shein",
}


def distinct(data: Path | None) -> list[dict[str, Any]]:
    """Return listings of different titles as JSON values, in one shuffled order."""
    found: dict[str, dict[str, Any]] = {}
    for listing in (*sample_listings(), *_real(data)):
        found.setdefault(listing["title"], listing)
    listings = list(found.values())
    random.Random(2026).shuffle(listings)
    return [listing | {"id": f"l{i}"} for i, listing in enumerate(listings)]


def _real(data: Path | None) -> Iterator[dict[str, Any]]:
    for path, columns in SOURCES.items() if data else ():
        for row in read_listings(Path(data or "") / path, ColumnMap.named(columns)):
            if not isinstance(row, RejectedRow):
                yield _plain(row)


def _plain(listing: Listing) -> dict[str, Any]:
    return listing.model_dump(mode="json", exclude_defaults=True)
