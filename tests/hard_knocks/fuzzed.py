"""What is fuzzed: each takes bytes, and may refuse them only in the way that its callers expect.

Imported by the property tests and by the coverage-guided fuzzer alike.
"""

from __future__ import annotations

import json
import tempfile
from collections.abc import Callable
from contextlib import suppress
from pathlib import Path
from typing import Any


def normaliser(content: bytes) -> None:
    """Normalise twice is normalise once; every view of any text is text that can be encoded."""
    from features.normalize import normalize

    text = content.decode("utf-8", "replace")
    once = normalize(text).text
    once.encode()
    assert normalize(once).text == once


def reading(content: bytes) -> None:
    """A listing of any title and description is read, grouped and shown by name."""
    from features.schema import ListingError, parse_listing

    title, _, rest = content.decode("utf-8", "replace").partition("\n")
    try:
        listing = parse_listing({"id": "a", "title": title[:1_000], "description": rest[:20_000]})
    except ListingError:
        return
    _reader().read(listing)


def column_map(content: bytes) -> None:
    """A column map is read or refused in words; what is read can be asked of a row."""
    from features.reader import ColumnMap, ReadError

    try:
        made = ColumnMap.parse(content.decode("utf-8", "replace"))
    except ReadError:
        return
    made.paths()


def table(suffix: str) -> Callable[[bytes], None]:
    """A file of listings of this kind gives rows, rejects, or a refusal."""

    def read(content: bytes) -> None:
        from features.rows import ReadError, read_rows

        with tempfile.TemporaryDirectory() as folder:
            path = Path(folder) / f"a{suffix}"
            path.write_bytes(content)
            try:
                for _ in read_rows(path):
                    pass
            except ReadError:
                pass

    return read


def results(name: str) -> Callable[[bytes], None]:
    """A laboratory's file of this kind is a table or refused."""

    def read(content: bytes) -> None:
        from serving.labs.files import FileError, read_table

        with suppress(FileError):
            read_table(name, content, frozenset({"sampleid", "analyte"}))

    return read


def photo(content: bytes) -> None:
    """Any bytes are a photo or an unusable one with its reason."""
    from features.image_decode import from_bytes
    from features.image_intake import from_base64

    for found in (from_bytes(content), from_base64(content.decode("latin-1"))):
        assert found is not None


def body(content: bytes) -> None:
    """A body is a listing, a problem of the 400s, or both for a part of it; nothing else leaves."""
    from serving.http.problems import ProblemError
    from serving.http.reading import parse_json, plain
    from serving.http.requests import items_of, read_item

    for work in (lambda raw: read_item(raw), lambda raw: items_of(raw, 256), plain):
        try:
            work(parse_json(content))
        except ProblemError as problem:
            assert 400 <= problem.kind.status < 500


def policy(content: bytes) -> None:
    """A policy is read or refused with the line."""
    from serving.policy.document import PolicyError, parse_policy

    with suppress(PolicyError):
        parse_policy(content.decode("utf-8", "replace"))


_made: list[Any] = []


def _reader() -> Any:
    from features.taxonomy import load_taxonomy
    from training.reading import Reader

    if not _made:
        _made.append(Reader(load_taxonomy()))
    return _made[0]


TARGETS: dict[str, Callable[[bytes], None]] = {
    "normaliser": normaliser,
    "reading": reading,
    "column_map": column_map,
    "csv": table(".csv"),
    "jsonl": table(".jsonl"),
    "gzip": table(".csv.gz"),
    "parquet": table(".parquet"),
    "results_xlsx": results("a.xlsx"),
    "results_csv": results("a.csv"),
    "results_json": results("a.json"),
    "photo": photo,
    "body": body,
    "policy": policy,
}


def seeds(folder: Path) -> dict[str, list[bytes]]:
    """Sound input of every kind to begin with: what is nearly right leads further in than noise."""
    import gzip
    import io

    import numpy as np
    import openpyxl
    import pyarrow as pa
    import pyarrow.parquet as pq
    from PIL import Image

    listing = {"id": "a", "title": "유아 목욕 장난감", "price": 3.5, "attributes": {"소재": "PVC"}}
    csv = '﻿id,title,price\n1,"나무, 블록",3\n2,"x ""y""",\n'.encode()
    pq.write_table(pa.table({"id": ["1"], "title": ["doll"], "tags": [["a"]]}), folder / "a.parquet")
    book, held = openpyxl.Workbook(), io.BytesIO()
    sheet = book.active
    assert sheet is not None
    sheet.append(["sample_id", "analyte", "value"])
    sheet.append(["s-1", "lead", "<5"])
    book.save(held)
    pictures = []
    for kind in ("PNG", "JPEG", "GIF", "WEBP"):
        file = io.BytesIO()
        Image.fromarray(np.arange(768, dtype=np.uint8).reshape(16, 16, 3)).save(file, kind)
        pictures.append(file.getvalue())
    text = json.dumps(listing, ensure_ascii=False).encode()
    words = ["ㅇㅏ기 ㅈㅏㄴㄴㅏㄴㄱㅏㅁ ｐｖｃ ④⑤", "몰​카 몰‮카 c@mera"]
    return {
        "normaliser": [word.encode() for word in words],
        "reading": [word.encode() + b"\n\xec\x83\x81\xed\x92\x88" for word in words],
        "column_map": [b"id=sku,title=name|title+brand,price=price~(\\d+),market='KR'"],
        "csv": [csv],
        "jsonl": [text + b"\n"],
        "gzip": [gzip.compress(csv)],
        "parquet": [(folder / "a.parquet").read_bytes()],
        "results_xlsx": [held.getvalue()],
        "results_csv": ["시료번호;시험항목;결과\ns;납;<5\n".encode("cp949"), b"sample_id,analyte\ns,lead\n"],
        "results_json": [b'{"results": [{"sample_id": "s", "analyte": "lead"}]}'],
        "photo": pictures,
        "body": [text, b'{"listings": [' + text + b"]}"],
        "policy": [(Path(__file__).parents[2] / "serving" / "policy" / "policy.yaml").read_bytes()],
    }
