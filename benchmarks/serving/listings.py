"""What is scored: the sample catalogue, and real listings where the data is present; no title twice."""

from __future__ import annotations

import base64
import io
import json
import random
from collections.abc import Iterator, Sequence
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


def titles_of(listings: Sequence[dict[str, Any]], count: int) -> list[str]:
    """Return so many different titles: those of the listings, then halves of some joined to halves of others."""
    chance = random.Random(7)
    titles = [listing["title"] for listing in listings][:count]
    seen, words = set(titles), [title.split() for title in titles]
    while len(titles) < count:
        one, other = chance.choice(words), chance.choice(words)
        made = " ".join(one[: max(1, len(one) // 2)] + other[len(other) // 2 :])
        if made not in seen and made.strip():
            seen.add(made)
            titles.append(made)
    return titles


def drawn_photos(count: int) -> list[str]:
    """Return drawn pictures as ``data:`` addresses of JPEG files, none twice."""
    from benchmarks.relisting.drawn import branded, picture

    made = []
    for number in range(count):
        image = branded(10_000 + number) if number % 2 else picture(10_000 + number)
        stream = io.BytesIO()
        image.save(stream, "JPEG", quality=90)
        made.append("data:image/jpeg;base64," + base64.b64encode(stream.getvalue()).decode())
    return made


def write_lines(path: Path, rows: Sequence[Any]) -> Path:
    """Write JSON lines."""
    path.write_text("".join(json.dumps(row, ensure_ascii=False) + "\n" for row in rows), encoding="utf-8")
    return path
