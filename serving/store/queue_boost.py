"""A listing's place in the queue, moved by what consumers say."""

from __future__ import annotations

import sqlalchemy as sa
from sqlalchemy.engine import Connection

from serving.store import schema
from serving.store.prepare import queue_place


def raise_place(
    connection: Connection, key: tuple[str, str], boost: float, now: int, *, enters: bool
) -> bool:
    """Set what complaints add to a listing's place; return whether it waits in the queue now.

    Parameters
    ----------
    key
        Marketplace and listing id.
    boost
        Log2 of the factor on expected harm; what was set before is replaced.
    now
        Microseconds since 1970 (UTC).
    enters
        Whether the listing comes into the queue, for review, where it does not wait already.
    """
    q = schema.listings
    mine = sa.and_(q.c.marketplace == key[0], q.c.listing_id == key[1])
    connection.execute(q.update().where(mine).values(place=q.c.place + q.c.boost - boost, boost=boost))
    if enters:
        outside = sa.and_(mine, q.c.open_action.is_(None), q.c.state != "off_sale")
        harm = connection.execute(sa.select(q.c.expected_harm).where(outside)).scalar()
        if harm is not None:
            # It waits from now on, however long ago it was decided.
            place = queue_place(harm, now) - boost
            connection.execute(
                q.update().where(outside).values(open_action="review", opened_at=now, place=place)
            )
    found = connection.execute(sa.select(q.c.open_action).where(mine)).scalar()
    return found is not None
