"""Where bans are placed, lifted and judged: durable in the store, then live in this process."""

from __future__ import annotations

import logging
import sqlite3
import threading
import time
import uuid
from collections.abc import Callable, Iterable, Mapping
from typing import TYPE_CHECKING, Any

from features.schema import Listing, parse_listing
from features.similarity import IndexBusyError
from serving.bans.bank import Bank, OfferReader
from serving.bans.book import (
    BANK,
    BANNED,
    LIFTED,
    LOOKALIKE,
    OVERTURNED,
    QUARANTINED,
    RELEASED,
    UPHELD,
    BanBook,
    BanError,
    BanRequest,
    Entry,
    enable_ratio,
    item_body,
)
from serving.store import BanRecord, Store, StoreUnavailableError
from serving.store.ban_photos import BanPhoto
from serving.store.bans import last_ban_seq, read_ban_rows
from serving.store.engine import reading

if TYPE_CHECKING:
    from serving.bans.photo_bank import BannedPhotos

REFRESH_S = 0.25
log = logging.getLogger("serving.bans")


class BanDesk:
    """Bans of one store, kept in step with what other processes write.

    Every change returns only after it is on disk and in force here; other processes see it within `REFRESH_S` of
    their next look.

    Parameters
    ----------
    store
        An open store.
    reader
        Makes the prints of items.
    photos
        Photos of banned items; None leaves them out.
    clock
        Seconds, monotonic.
    """

    def __init__(
        self,
        store: Store,
        reader: OfferReader,
        photos: BannedPhotos | None = None,
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        self.store = store
        self.bank = Bank(reader)
        self.photos = photos
        self._clock = clock
        self._lock = threading.RLock()
        self._seen = 0
        self._looked = -REFRESH_S

    @property
    def book(self) -> BanBook:
        """What is banned now, as of the last look."""
        return self.bank.book

    def refresh(self) -> None:
        """Take up what was written since; cheap when nothing was, and skipped when just done.

        When the store does not answer, the known bans stay in force: the decision itself cannot be recorded then.
        """
        if self._clock() - self._looked < REFRESH_S:
            return
        with self._lock:
            if self._clock() - self._looked < REFRESH_S:
                return
            try:
                self._catch_up()
                if self.photos is not None and not self.photos.index.writes:
                    self._follow_photos(())  # the process that wrote the index may be gone
            except StoreUnavailableError as error:
                log.warning("bans not refreshed: %s", error)
            self._looked = self._clock()

    def _catch_up(self) -> None:
        with self._lock:
            self._take_up()

    def _take_up(self) -> None:
        with reading(self.store.engine) as connection:
            if last_ban_seq(connection) == self._seen:
                return
            rows = read_ban_rows(connection, self._seen)
        changed = self.bank.book.apply(rows)
        self._seen = rows[-1].seq if rows else self._seen
        self.bank.follow(changed)
        self._follow_photos(changed)

    def _follow_photos(self, changed: Iterable[str]) -> None:
        """Bring the index of photos in line; words go on where it fails, and the next look begins it anew."""
        if self.photos is None:
            return
        try:
            self.photos.follow(self.book, changed)
        except (OSError, ValueError, sqlite3.Error, IndexBusyError) as error:
            log.warning("photos of bans not followed: %s", type(error).__name__)
            self.photos.index.close()

    def load(self) -> BanDesk:
        """Read every ban; fails when the store does."""
        self._catch_up()
        self._looked = self._clock()
        return self

    def place(self, request: BanRequest, actor: str) -> Entry:
        """Ban an item.

        Raises
        ------
        ListingError
            When the item is no listing.
        StoreError
            When it was not recorded; nothing is banned then.
        """
        item = parse_listing(request.listing)
        reader = self.bank.reader
        body = item_body(item, request.notice, reader.marks([item])[0], reader.made_by)
        ban_id = f"ban-{uuid.uuid4()}"
        photos = self._photos_of(item)
        if photos:
            body["photos"] = [photo.digest().hex() for photo in photos]
        beside = tuple(photo.row(ban_id) for photo in photos)
        self._write(BanRecord(ban_id, BANNED, actor, request.bank, request.reason, body, beside=beside))
        if self.photos is not None and not self.photos.await_keys(ban_id, (one.position for one in photos)):
            log.warning("photos of %s are kept but not searched yet", ban_id)
        return self.book.entry(ban_id)

    def _photos_of(self, item: Listing) -> list[BanPhoto]:
        if self.photos is None or not item.images:
            return []
        return self.photos.records(self.photos.eyes.look(item))

    def lift(self, ban_id: str, actor: str, reason: str = "") -> Entry:
        """Lift a ban."""
        entry = self._standing(ban_id)
        self._write(BanRecord(ban_id, LIFTED, actor, entry.bank, reason))
        return self.book.entry(ban_id)

    def uphold(self, ban_id: str, listing_id: str, actor: str) -> Entry:
        """Note that a person found a match of this ban right."""
        return self._judged(UPHELD, ban_id, {"listing_id": listing_id}, actor)

    def overturn(self, ban_id: str, listing: Listing, actor: str) -> Entry:
        """Note that a person found a match wrong; the listing joins the negative bank as a look-alike."""
        entry = self._judged(OVERTURNED, ban_id, {"listing_id": listing.id}, actor)
        reader = self.bank.reader
        body = item_body(listing, None, reader.marks([listing])[0], reader.made_by, lookalike_of=ban_id)
        self._write(BanRecord(f"fine-{uuid.uuid4()}", LOOKALIKE, actor, entry.bank, "", body))
        return self.book.entry(ban_id)

    def quarantine(self, ban_id: str, actor: str, reason: str = "") -> Entry:
        """Take an entry out of force until a person releases it."""
        self._write(BanRecord(ban_id, QUARANTINED, actor, self._standing(ban_id).bank, reason))
        return self.book.entry(ban_id)

    def release(self, ban_id: str, actor: str, reason: str = "") -> Entry:
        """Put a quarantined entry back in force; what was said of its matches counts from anew."""
        self._write(BanRecord(ban_id, RELEASED, actor, self._standing(ban_id).bank, reason))
        return self.book.entry(ban_id)

    def set_bank(self, bank: str, ratio: float, actor: str) -> None:
        """Set the share of listings that are compared with a bank."""
        body = {"enable_ratio": enable_ratio(ratio)}
        self._write(BanRecord(f"bank-{bank}", BANK, actor, bank, "", body))

    def _standing(self, ban_id: str) -> Entry:
        self._catch_up()
        entry = self.book.entry(ban_id)
        if entry.state == "lifted":
            raise BanError(f"got ban {ban_id[:80]!r}, which was lifted: place a new one")
        return entry

    def _judged(self, status: str, ban_id: str, body: Mapping[str, Any], actor: str) -> Entry:
        entry = self._standing(ban_id)
        self._write(BanRecord(ban_id, status, actor, entry.bank, "", body))
        return self.book.entry(ban_id)

    def _write(self, record: BanRecord) -> None:
        self.store.change(record, timeout_s=30)
        self._catch_up()
