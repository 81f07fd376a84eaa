"""Bans, as a fold over what was written about them: banks, look-alikes, quarantine. Pure; no storage here."""

from __future__ import annotations

import base64
import hashlib
from collections.abc import Iterable
from dataclasses import dataclass, field, replace
from datetime import datetime
from typing import Any, Literal, Protocol

import orjson
from pydantic import BaseModel, ConfigDict, StrictBool, ValidationError

from features.errors import UserError
from features.schema import Identifier, Listing, Short, parse_listing
from serving.rows import HistoryRow

DEFAULT_BANK = "banned"
BANNED, LIFTED, UPHELD, OVERTURNED = "banned", "lifted", "upheld", "overturned"
QUARANTINED, RELEASED, LOOKALIKE, BANK = "quarantined", "released", "lookalike", "bank"
QUARANTINE_AFTER = 3
"""Overturned matches before an entry can be quarantined, and then only when they outnumber the upheld ones."""

BanState = Literal["active", "quarantined", "lifted"]


class BanError(UserError):
    """A ban that cannot be placed, found or changed."""


class Notice(BaseModel):
    """The authority's order or alert behind a ban."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    regulator: Short = ""
    number: Short = ""
    date: Short = ""
    url: Short = ""


class BanRequest(BaseModel):
    """What is asked to be banned; ``listing`` is the item with title, attributes, seller and photos."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    listing: dict[str, Any]
    reason: Short = ""
    bank: Identifier = DEFAULT_BANK
    notice: Notice | None = None


class JudgementRequest(BaseModel):
    """A person's word on a match: ``upheld`` False makes the listing a confirmed look-alike."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    listing: dict[str, Any]
    upheld: StrictBool


def request_of(raw: object) -> BanRequest:
    """Read what is asked to be banned.

    Raises
    ------
    BanError
        Naming every wrong field.
    """
    try:
        return BanRequest.model_validate(raw)
    except ValidationError as error:
        wrong = (f"{'.'.join(map(str, e['loc']))}: {e['msg']}" for e in error.errors(include_url=False))
        raise BanError("; ".join(wrong)) from None


class Row(HistoryRow, Protocol):
    """A row about a ban as the store keeps it."""

    @property
    def ban_id(self) -> str:
        """Which ban, look-alike or bank."""
        ...

    @property
    def status(self) -> str:
        """What happened."""
        ...

    @property
    def bank(self) -> str:
        """Which bank."""
        ...

    @property
    def reason(self) -> str:
        """Why."""
        ...


@dataclass(frozen=True, slots=True)
class Entry:
    """A banned item, or a confirmed look-alike (``lookalike_of`` names the ban that it was taken for).

    Attributes
    ----------
    key
        Marketplace ("" where not given) and id of the item.
    written
        The item as JSON: read, it takes eight times the memory, and most are never looked at again.
    state
        ``quarantined`` entries match nobody until a person releases them.
    upheld, overturned
        What people said of its matches since it was placed or last released.
    made_by
        SHA-256 of the encoder that made ``mark``.
    mark
        The print that is searched, see `features.offer_index`.
    photos
        Digests of the photos that are kept with it.
    """

    ban_id: str
    bank: str
    key: tuple[str, str]
    written: bytes
    reason: str
    notice: Notice | None
    actor: str
    placed_at: datetime
    state: BanState = "active"
    lookalike_of: str = ""
    upheld: int = 0
    overturned: int = 0
    made_by: str = ""
    mark: bytes = b""
    photos: tuple[str, ...] = ()

    @property
    def item(self) -> Listing:
        """The item, read anew each time."""
        return parse_listing(orjson.loads(self.written))

    def to_json(self) -> dict[str, Any]:
        """Return what people and programs see of it."""
        item = self.item
        return {
            "ban_id": self.ban_id,
            "bank": self.bank,
            "state": self.state,
            "title": item.title,
            "seller_id": item.seller.id if item.seller else None,
            "images": [self._image(at, reference) for at, reference in enumerate(item.images)],
            "reason": self.reason,
            "notice": self.notice.model_dump() if self.notice else None,
            "placed_by": self.actor,
            "placed_at": self.placed_at.isoformat(timespec="seconds"),
            "upheld": self.upheld,
            "overturned": self.overturned,
        }

    def _image(self, position: int, reference: str) -> str:
        """Name an image; one that came as data is named by where it is shown."""
        return photo_path(self.ban_id, position) if reference.startswith("data:") else reference


def photo_path(ban_id: str, position: int) -> str:
    """Return where a kept photo is shown."""
    return f"/v1/bans/{ban_id}/photos/{position}"


def item_body(
    item: Listing, notice: Notice | None, mark: bytes, made_by: str, lookalike_of: str = ""
) -> dict[str, Any]:
    """Return the stored body of an entry, JSON values only."""
    return {
        "item": item.model_dump(mode="json", exclude_defaults=True),
        "notice": None if notice is None else notice.model_dump(),
        "mark": base64.b64encode(mark).decode("ascii"),
        "made_by": made_by,
        "lookalike_of": lookalike_of,
    }


@dataclass
class BanBook:
    """What is banned now.

    Attributes
    ----------
    entries
        Bans by id, lifted ones too.
    lookalikes
        The negative bank, by id.
    ratios
        Bank -> share of listings that are compared with it; 1 where nothing was said.
    """

    entries: dict[str, Entry] = field(default_factory=dict)
    lookalikes: dict[str, Entry] = field(default_factory=dict)
    ratios: dict[str, float] = field(default_factory=dict)

    def apply(self, rows: Iterable[Row]) -> list[str]:
        """Take further rows, in order; return the ids that changed."""
        changed: dict[str, None] = {}
        for row in rows:
            self._apply(row)
            changed[row.ban_id] = None
        return list(changed)

    def _apply(self, row: Row) -> None:
        if row.status == BANNED:
            self.entries[row.ban_id] = _entry(row)
        elif row.status == LOOKALIKE:
            self.lookalikes[row.ban_id] = _entry(row)
        elif row.status == BANK:
            self.ratios[row.bank] = float(row.body["enable_ratio"])
        elif row.status == LIFTED and row.ban_id in self.lookalikes:
            del self.lookalikes[row.ban_id]
        elif row.ban_id in self.entries:
            self.entries[row.ban_id] = _after(self.entries[row.ban_id], row.status)

    def active(self) -> list[Entry]:
        """Bans that match listings now."""
        return [entry for entry in self.entries.values() if entry.state == "active"]

    def entry(self, ban_id: str) -> Entry:
        """Return a ban.

        Raises
        ------
        BanError
            When there is none of that id.
        """
        found = self.entries.get(ban_id)
        if found is None:
            raise BanError(
                f"got ban {ban_id[:80]!r}, which does not exist: `listing-risk bans list` shows all"
            )
        return found

    def enabled(self, bank: str, listing_id: str) -> bool:
        """Whether a bank is compared with a listing; the same listing always gets the same answer."""
        ratio = self.ratios.get(bank, 1.0)
        if ratio >= 1.0:
            return True
        digest = hashlib.blake2b(f"{bank}\0{listing_id}".encode("utf-8", "replace"), digest_size=8).digest()
        return int.from_bytes(digest) < ratio * 2**64


def _entry(row: Row) -> Entry:
    body = row.body
    notice = body.get("notice")
    item = parse_listing(body["item"])  # what is damaged is to be known at the start
    return Entry(
        ban_id=row.ban_id,
        bank=row.bank,
        key=(item.marketplace or "", item.id),
        written=orjson.dumps(body["item"]),
        reason=row.reason,
        notice=None if notice is None else Notice.model_validate(notice),
        actor=row.actor,
        placed_at=row.at,
        lookalike_of=str(body.get("lookalike_of", "")),
        made_by=str(body.get("made_by", "")),
        mark=base64.b64decode(body.get("mark", "")),
        photos=tuple(body.get("photos", ())),
    )


def _after(entry: Entry, status: str) -> Entry:
    if status == LIFTED:
        return replace(entry, state="lifted")
    if entry.state == "lifted":
        return entry
    if status == QUARANTINED:
        return replace(entry, state="quarantined")
    if status == RELEASED:
        return replace(entry, state="active", upheld=0, overturned=0)
    if status == UPHELD:
        return replace(entry, upheld=entry.upheld + 1)
    if status == OVERTURNED:
        entry = replace(entry, overturned=entry.overturned + 1)
        misfires = entry.overturned >= QUARANTINE_AFTER and entry.overturned > entry.upheld
        return replace(entry, state="quarantined") if misfires else entry
    return entry


def enable_ratio(value: float) -> float:
    """Check a bank's enable ratio.

    Raises
    ------
    BanError
        When it is no share between 0 and 1.
    """
    if not 0 <= value <= 1:
        raise BanError(
            f"got enable ratio {value}, expected 0 to 1: the share of listings compared with the bank"
        )
    return value
