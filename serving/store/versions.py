"""Which policies and models were loaded, with what is needed to find them again."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Literal

import orjson
import sqlalchemy as sa
from sqlalchemy.engine import Connection

from serving.store import schema

Kind = Literal["policies", "models"]


@dataclass(frozen=True, slots=True)
class VersionRow:
    """One row about a policy or a model."""

    seq: int
    version: str
    status: str
    body: Mapping[str, Any]


def read_versions(connection: Connection, kind: Kind, version: str) -> tuple[VersionRow, ...]:
    """Read every row about a version, the newest first."""
    table = schema.policies if kind == "policies" else schema.models
    return _rows(connection, table, table.c.version == version)


def read_last_version(connection: Connection, kind: Kind, status: str) -> VersionRow | None:
    """Read the newest row with a status."""
    table = schema.policies if kind == "policies" else schema.models
    return next(iter(_rows(connection, table, table.c.status == status, 1)), None)


def _rows(
    connection: Connection, table: sa.Table, which: sa.ColumnElement[bool], most: int = 100
) -> tuple[VersionRow, ...]:
    columns = (table.c.seq, table.c.version, table.c.status, table.c.body)
    found = connection.execute(sa.select(*columns).where(which).order_by(table.c.seq.desc()).limit(most))
    return tuple(VersionRow(seq, version, status, orjson.loads(body)) for seq, version, status, body in found)
