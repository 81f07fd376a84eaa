"""Photos of banned items, written with the row that bans the item; its body has their digests."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from hashlib import sha256

import orjson
import sqlalchemy as sa
from sqlalchemy.engine import Connection

from serving.store import schema
from serving.store.photo_tables import ban_photos
from serving.store.records import Row

Place = tuple[str, int]
"""Ban and position of a photo in the item's ``images``."""
_BLOCK = 200

_POSITIONS = 2**31


@dataclass(frozen=True, slots=True)
class BanPhoto:
    """A banned item's photo.

    Attributes
    ----------
    picture
        JPEG, to be shown.
    entry
        What is searched, packed by `serving.bans.photo_bank`.
    made_by
        SHA-256 of the encoder that made ``entry``.
    """

    position: int
    picture: bytes
    entry: bytes
    made_by: str

    def digest(self) -> bytes:
        """Digest over both, which the body of the ban carries."""
        return sha256(len(self.picture).to_bytes(8) + self.picture + self.entry).digest()

    def row(self, ban_id: str) -> tuple[str, Row]:
        """Table and columns, to be written beside the ban."""
        columns = {
            "position": self.position,
            "ban_id": ban_id,
            "digest": self.digest(),
            "picture": self.picture,
            "entry": self.entry,
            "made_by": self.made_by,
        }
        return ban_photos.name, columns


def read_places(connection: Connection, ban_ids: Sequence[str] | None = None) -> list[Place]:
    """Read which photos there are, of these bans or of all."""
    t = ban_photos
    statement = sa.select(t.c.ban_id, t.c.position).order_by(t.c.seq, t.c.position)
    if ban_ids is None:
        return [(ban_id, position) for ban_id, position in connection.execute(statement)]
    found: list[Place] = []
    for start in range(0, len(ban_ids), _BLOCK):
        part = statement.where(t.c.ban_id.in_(ban_ids[start : start + _BLOCK]))
        found += [(ban_id, position) for ban_id, position in connection.execute(part)]
    return found


def read_ban_photos(connection: Connection, ban_id: str) -> tuple[BanPhoto, ...]:
    """Read the photos of one ban, in their order; a photo that is not what was recorded is left out."""
    t = ban_photos
    rows = connection.execute(sa.select(t).where(t.c.ban_id == ban_id).order_by(t.c.position)).mappings()
    found = (
        (BanPhoto(row["position"], bytes(row["picture"]), bytes(row["entry"]), row["made_by"]), row["digest"])
        for row in rows
    )
    return tuple(photo for photo, digest in found if photo.digest() == bytes(digest))


def read_picture(connection: Connection, ban_id: str, position: int) -> bytes | None:
    """Read one photo as it is shown, None where there is none."""
    if position >= _POSITIONS:  # more than a database's integer holds
        return None
    t = ban_photos
    found = connection.execute(
        sa.select(t.c.picture).where(t.c.ban_id == ban_id, t.c.position == position)
    ).scalar()
    return None if found is None else bytes(found)


def wrong_photos(connection: Connection) -> Iterator[tuple[int, str]]:
    """Yield bans whose photos are not those that were recorded: number of the row and the ban's id."""
    t, b = ban_photos, schema.bans
    photos = connection.execute(sa.select(t).order_by(t.c.seq, t.c.position)).mappings()
    stored: dict[int, list[str]] = {}
    for row in photos:
        photo = BanPhoto(row["position"], bytes(row["picture"]), bytes(row["entry"]), row["made_by"])
        stored.setdefault(row["seq"], []).append(photo.digest().hex())
    said = connection.execute(sa.select(b.c.seq, b.c.ban_id, b.c.body).where(b.c.body.like('%"photos":[%')))
    for seq, ban_id, body in said:
        if stored.pop(seq, []) != orjson.loads(body).get("photos"):
            yield seq, ban_id
    for seq in stored:
        yield seq, ""
