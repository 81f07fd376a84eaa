"""What was decided about listings before, as far as a comparison with an edit needs it."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import orjson
import sqlalchemy as sa
from sqlalchemy.engine import Connection

from serving.store import schema
from serving.store.catalogue import Key

_BLOCK = 200


@dataclass(frozen=True, slots=True)
class EarlierRow:
    """The decision in force for a listing.

    Attributes
    ----------
    state
        Of the listing now: ``live``, ``held`` or ``off_sale``.
    fields
        Digests of the offer as it was decided about; None where retention has erased them with the text.
    """

    decision_id: str
    revision: int
    action: str
    state: str
    fields: Mapping[str, str] | None


def read_earlier(connection: Connection, keys: Sequence[Key]) -> dict[Key, EarlierRow]:
    """Read what is in force for these listings; those without a decision are left out."""
    found: dict[Key, EarlierRow] = {}
    for start in range(0, len(keys), _BLOCK):
        part = keys[start : start + _BLOCK]
        rows = _rows(connection, part)
        for marketplace, listing_id, decision_id, revision, action, state, reasons in rows:
            said = None if reasons is None else orjson.loads(reasons)
            fields = said.get("fields") if isinstance(said, dict) else None
            found[marketplace, listing_id] = EarlierRow(decision_id, revision, action, state, fields)
    return {key: found[key] for key in keys if key in found}


def _rows(connection: Connection, keys: Sequence[Key]) -> Iterable[Any]:
    if len(keys) == 1:  # at upload, where every part of a millisecond counts
        return connection.execute(_ONE, {"place": keys[0][0], "one": keys[0][1]})
    places, ids = {key[0] for key in keys}, {key[1] for key in keys}
    return connection.execute(_MANY, {"places": sorted(places), "ids": sorted(ids)})


_q, _d, _i = schema.listings, schema.decisions, schema.inputs
_EARLIER = (
    sa.select(
        _q.c.marketplace, _q.c.listing_id, _d.c.id, _d.c.revision, _d.c.action, _q.c.state, _i.c.reasons
    )
    .join(_d, _d.c.seq == _q.c.decision_seq)
    .join(_i, _i.c.seq == _q.c.decision_seq)
)
_ONE = _EARLIER.where(_q.c.marketplace == sa.bindparam("place"), _q.c.listing_id == sa.bindparam("one"))
# Two lists instead of a list of pairs, for which SQLite reads the whole table.
_MANY = _EARLIER.where(
    _q.c.marketplace.in_(sa.bindparam("places", expanding=True)),
    _q.c.listing_id.in_(sa.bindparam("ids", expanding=True)),
)
