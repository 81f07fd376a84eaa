"""Notices as they come in: a JSON object, a row of a table, a recall that was fetched."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import orjson
from pydantic import BaseModel, BeforeValidator, ConfigDict, Field, ValidationError, model_validator

from features.errors import UserError
from features.rows import read_rows
from features.schema import Identifier, Moment, Short, Text
from features.taxonomy import load_taxonomy
from serving.notices.notice import Product
from serving.notices.rules import NoticeKind

if TYPE_CHECKING:
    from training.records import Recall

PRODUCTS_MAX = 500
_REGULATORS = {"cpsc": "US", "cpsc_api": "US", "safety_gate": "EU", "kats": "KR", "kr_register": "KR"}


class NoticeError(UserError):
    """A notice that cannot be read, found or changed."""


class UnknownNoticeError(NoticeError):
    """A notice that does not exist."""


def _parts(value: Any) -> Any:
    """Take a list, or text with its parts separated by semicolons or lines."""
    if isinstance(value, str):
        return [part.strip() for part in value.replace("\n", ";").split(";") if part.strip()]
    return value


Parts = Annotated[
    list[Short],
    BeforeValidator(_parts, json_schema_input_type=list[Short] | Text),
    Field(max_length=500),
]


class ListingName(BaseModel):
    """A listing that the authority named."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    id: Identifier
    marketplace: Short = ""


class ProductRequest(BaseModel):
    """Goods that a notice is about."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    title: Annotated[str, Field(min_length=1, max_length=1_000)]
    brand: Short = ""
    models: Parts = Field(default_factory=list)
    seller_id: Annotated[str, Field(max_length=256)] = ""
    description: Text = ""
    images: Parts = Field(default_factory=list)
    listings: Annotated[list[ListingName], Field(max_length=1_000)] = Field(default_factory=list)

    def product(self) -> Product:
        """Return it as the notice keeps it."""
        return Product(
            self.title,
            self.brand,
            tuple(self.models),
            self.seller_id,
            self.description,
            tuple(self.images),
            tuple((one.marketplace, one.id) for one in self.listings),
        )


class NoticeRequest(BaseModel):
    """An authority's order or alert as it is handed in.

    ``deadline`` is when the listings must be gone; without one it follows from the rules. ``received_at`` without a
    zone is UTC; without it, now.
    """

    model_config = ConfigDict(extra="forbid", frozen=True)

    kind: NoticeKind = "order"
    authority: Annotated[str, Field(min_length=1, max_length=1_000)]
    number: Short = ""
    jurisdiction: Annotated[str, Field(pattern=r"^[A-Z]{2}$")] = "KR"
    reason: Text = ""
    hazards: Parts = Field(default_factory=list)
    url: Short = ""
    received_at: Moment | None = None
    deadline: Moment | None = None
    products: Annotated[list[ProductRequest], Field(min_length=1, max_length=PRODUCTS_MAX)]

    @model_validator(mode="after")
    def _known_hazards(self) -> NoticeRequest:
        codes = load_taxonomy().codes
        if unknown := [code for code in self.hazards if code not in codes]:
            raise ValueError(
                f"got hazard {unknown[0][:40]!r}, expected codes such as {', '.join(list(codes)[:4])}"
            )
        return self


def notice_request(raw: object) -> NoticeRequest:
    """Read one notice.

    Raises
    ------
    NoticeError
        Naming every wrong field.
    """
    try:
        return NoticeRequest.model_validate(raw)
    except ValidationError as error:
        wrong = (
            f"{'.'.join(map(str, e['loc'])) or '(notice)'}: {e['msg']}"
            for e in error.errors(include_url=False)
        )
        raise NoticeError("; ".join(wrong)) from None


@dataclass(frozen=True, slots=True)
class RefusedNotice:
    """A row or object that is no notice, with why."""

    line: int
    problem: str


def read_notices_file(path: Path) -> Iterator[NoticeRequest | RefusedNotice]:
    """Read notices from a file: JSON (one object or a list), JSON lines, or a table.

    A table has one product a row; rows with the same authority and number are one notice. Columns are the fields
    of the notice and, for its product, ``title``, ``brand``, ``models``, ``seller_id``, ``description``, ``images``,
    ``listing_ids`` and ``marketplace``; lists are separated by semicolons.

    Raises
    ------
    NoticeError, features.rows.ReadError
        When the file as a whole cannot be read.
    """
    if path.suffix.lower() in (".json", ".jsonl", ".ndjson"):
        yield from _read_json(path)
        return
    yield from _read_table(path)


def _read_json(path: Path) -> Iterator[NoticeRequest | RefusedNotice]:
    text = path.read_bytes()
    try:
        whole = orjson.loads(text)
        objects = enumerate(whole if isinstance(whole, list) else [whole], start=1)
    except orjson.JSONDecodeError:
        lines = [(number, line) for number, line in enumerate(text.splitlines(), start=1) if line.strip()]
        objects = ((number, _loaded(line)) for number, line in lines)
    for number, raw in objects:
        yield _read(raw, number)


def _loaded(line: bytes) -> object:
    try:
        return orjson.loads(line)
    except orjson.JSONDecodeError:
        return None


def _read(raw: object, line: int) -> NoticeRequest | RefusedNotice:
    try:
        return notice_request(raw)
    except NoticeError as error:
        return RefusedNotice(line, str(error))


_PRODUCT = ("title", "brand", "models", "seller_id", "description", "images")


def _read_table(path: Path) -> Iterator[NoticeRequest | RefusedNotice]:
    grouped: dict[tuple[str, str], tuple[int, dict[str, Any]]] = {}
    for row in read_rows(path):
        if row.problem:
            yield RefusedNotice(row.line, row.problem)
            continue
        cells = {name.strip().lower(): cell.strip() for name, cell in row.values.items() if cell.strip()}
        product: dict[str, Any] = {name: cells.pop(name) for name in _PRODUCT if name in cells}
        marketplace = cells.pop("marketplace", "")
        named = _parts(cells.pop("listing_ids", ""))
        product["listings"] = [{"id": one, "marketplace": marketplace} for one in named]
        key = (cells.get("authority", ""), cells.get("number", "") or f"row {row.line}")
        if key in grouped:
            grouped[key][1]["products"].append(product)
        else:
            grouped[key] = (row.line, {**cells, "products": [product]})
    for line, raw in grouped.values():
        yield _read(raw, line)


def of_recall(recall: Recall, received_at: datetime) -> NoticeRequest:
    """Turn a recall that was fetched into a notice.

    Raises
    ------
    NoticeError
        When it has no name to look for.
    """
    names = [name[:1_000] for name in recall.product_names if name.strip()]
    if not names:
        raise NoticeError(f"got recall {recall.native_id[:80]!r} without a product name")
    return notice_request(
        {
            "kind": "recall" if recall.kind == "recall" else "alert",
            "authority": recall.regulator or recall.source,
            "number": f"{recall.source}:{recall.native_id}",
            "jurisdiction": _REGULATORS.get(recall.source, "EU"),
            "reason": recall.description[:2_000],
            "hazards": sorted(recall.hazards),
            "url": recall.url[:1_000],
            "received_at": received_at,
            "products": [
                {
                    "title": names[0],
                    "brand": (recall.manufacturers[0] if recall.manufacturers else "")[:1_000],
                    "models": names[1:20],
                    "description": recall.description[:5_000],
                    "images": [url for url in recall.images[:20] if len(url) <= 1_000],
                }
            ],
        }
    )
