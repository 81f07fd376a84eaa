"""What the robustness tasks read: sample catalogue, invented titles, recall names, real listings; plain rows."""

from __future__ import annotations

import hashlib
import json
from functools import cache
from pathlib import Path
from typing import Any

from benchmarks.quality.hazard_type import FILE as RECALLS
from benchmarks.quality.hazard_type import read_recalls
from benchmarks.results_file import ROOT
from features.reader import ColumnMap, RejectedRow, read_listings

Row = dict[str, Any]

TITLES = Path(__file__).with_name("covert_titles.tsv")
SECOND_TITLES = Path(__file__).with_name("covert_titles_second.tsv")
SECOND = "second"
"""The half that was written when the first locked one had been looked at three times."""
HARMLESS = Path(__file__).with_name("harmless_titles.tsv")
SAMPLE = ROOT / "features" / "sample"
LISTINGS = {
    "1688_zh": "1688_zh.csv.gz",
    "alibaba_toys": "alibaba_toys_959.csv.gz",
    "aliexpress_kr": "aliexpress_kr.jsonl.gz",
    "amazon_in": "amazon_in.csv.gz",
    "amazon_us_toys": "amazon_us_toys.csv.gz",
    "coupang_kr": "coupang_kr.csv.gz",
    "lazada": "lazada_1000.csv.gz",
    "resale": "resale_live_listings.csv.gz",
    "shein": "shein_1000.csv.gz",
    "shopee": "shopee_1000.csv.gz",
    "tmall": "tmall_cosmetics_zh.csv.gz",
}
LISTING_FILES = tuple(f"listings/{name}" for name in LISTINGS.values())
FILES = (RECALLS, *LISTING_FILES)
# What a seller writes; who sells, how often and at what price would be the same under any disguise.
_KEPT = ("title", "description", "bullets", "attributes", "category", "brand")


QUICK = "every_eighth_row"
"""File in a data folder that holds a sample of the rows; invented rows are thinned as well there."""
QUICK_STEP = 8


def thinned(rows: list[Row], data: Path) -> list[Row]:
    """Return all rows, or every eighth where the data folder is a sample itself."""
    return rows[::QUICK_STEP] if (data / QUICK).is_file() else rows


def order_of(text: str) -> str:
    """Return a key that puts texts into an order that has nothing to do with what they say."""
    return hashlib.sha256(text.encode("utf-8", "surrogatepass")).hexdigest()


def recall_names(data: Path) -> list[Row]:
    """Return the names of US recalls 2010-2013, each once."""
    names = {recall.name[:1000]: recall.number for recall in read_recalls(data)[1]}
    return [{"id": f"cpsc/{number}", "title": name} for name, number in names.items()]


@cache
def truth() -> dict[str, Row]:
    """Return the truth of the sample catalogue by listing."""
    return {
        row["id"]: row for row in map(json.loads, (SAMPLE / "truth.jsonl").read_text("utf-8").splitlines())
    }


def sample(half: str, *, evasive: bool = False) -> list[Row]:
    """Return one half of the sample catalogue, without the variants that are disguised already unless asked for."""
    rows = map(json.loads, (SAMPLE / "catalogue.jsonl").read_text("utf-8").splitlines())
    facts = truth()
    return [
        as_listing(row)
        for row in rows
        if facts[row["id"]]["half"] == half and (evasive or facts[row["id"]]["evasion"] is None)
    ]


@cache
def _real(data: Path) -> tuple[tuple[str, str], ...]:
    found: dict[str, tuple[str, str]] = {}
    for source, name in LISTINGS.items():
        for one in read_listings(data / "listings" / name, ColumnMap.named(source)):
            if not isinstance(one, RejectedRow) and one.title not in found:
                kept = json.loads(one.model_dump_json(include=set(_KEPT), exclude_defaults=True))
                key = f"{source}/{one.id}"[:256]
                found[one.title] = key, json.dumps({"id": key, **kept}, ensure_ascii=False)
    # Snapshots of one listing under several titles share its id.
    once = dict(found.values())
    return tuple(sorted(once.items(), key=lambda pair: order_of(pair[0])))


def covert_titles(half: str) -> list[Row]:
    """Return one half (``tuning``, ``test`` or ``second``) of the invented covert cameras and ordinary goods.

    Each row has ``label`` (``covert`` or ``ordinary``), ``kind`` (``named`` and ``unnamed``, or the kind of ordinary
    goods) and ``language`` beside id and title.
    """
    lines = (SECOND_TITLES if half == SECOND else TITLES).read_text(encoding="utf-8").splitlines()[1:]
    rows = [line.split("\t") for line in lines]
    return [
        {
            "id": f"covert/{order_of(title)[:10]}",
            "title": title,
            "label": label,
            "kind": kind,
            "language": language,
        }
        for part, language, label, kind, title in rows
        if part == half
    ]


def harmless_titles(half: str) -> list[Row]:
    """Return titles in which words of covert cameras mean something else; id ``<phrase>/...``."""
    lines = HARMLESS.read_text(encoding="utf-8").splitlines()[1:]
    rows = [line.split("\t") for line in lines]
    return [
        {"id": f"{name}/{order_of(title)[:10]}", "title": title}
        for part, _, name, title in rows
        if part == half
    ]


def as_listing(row: Row) -> Row:
    """Return the row without what is known about it."""
    return {name: value for name, value in row.items() if name == "id" or name in _KEPT}


def real_listings(data: Path, first: int = 0, count: int | None = None) -> list[Row]:
    """Return real listings, each different title once, in an order that no source decides.

    Parameters
    ----------
    first, count
        Which of them; all from ``first`` on where ``count`` is None.
    """
    chosen = _real(data)[first : None if count is None else first + count]
    return [json.loads(text) for _, text in chosen]
