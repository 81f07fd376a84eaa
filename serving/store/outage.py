"""Why the database does not take a record: one word that the readiness page has advice for."""

from __future__ import annotations

import errno
import os
import sqlite3
from typing import Any, Literal

Cause = Literal["full", "read-only", "locked", "away", "no-handles", "damaged", "tables", "other"]

# https://www.sqlite.org/rescode.html: the low byte is the primary code.
_SQLITE: dict[int, Cause] = {
    sqlite3.SQLITE_FULL: "full",
    sqlite3.SQLITE_READONLY: "read-only",
    sqlite3.SQLITE_PERM: "read-only",
    sqlite3.SQLITE_BUSY: "locked",
    sqlite3.SQLITE_LOCKED: "locked",
    sqlite3.SQLITE_CANTOPEN: "away",
    sqlite3.SQLITE_IOERR: "away",
    sqlite3.SQLITE_CORRUPT: "damaged",
    sqlite3.SQLITE_NOTADB: "damaged",
    sqlite3.SQLITE_ERROR: "tables",
}
# A write that ends before all of it was taken: the disk, a quota or a limit on the file's size is at its end.
_SQLITE_WRITE_FAILED = frozenset({sqlite3.SQLITE_IOERR_WRITE})
# https://www.postgresql.org/docs/current/errcodes-appendix.html
_POSTGRESQL: dict[str, Cause] = {
    "53100": "full",
    "25006": "read-only",
    "55P03": "locked",
    "57014": "locked",
    "40P01": "locked",
    "XX001": "damaged",
    "XX002": "damaged",
}
_POSTGRESQL_CLASS: dict[str, Cause] = {"08": "away", "57": "away", "53": "away", "42": "tables", "3D": "away"}


def cause_of(error: BaseException) -> Cause:
    """Say in one word what the database suffers from.

    Parameters
    ----------
    error
        As the driver raised it, bare or wrapped by SQLAlchemy.
    """
    bare: Any = getattr(error, "orig", None) or error
    found = _said(bare)
    # Neither driver tells a database that is away from one that this process has no handle left to reach.
    return "no-handles" if found in {"away", "other"} and not _handle_left() else found


def _said(bare: Any) -> Cause:
    if getattr(bare, "errno", None) in {errno.EMFILE, errno.ENFILE}:
        return "no-handles"
    code = getattr(bare, "sqlite_errorcode", None)
    if code is not None:
        return "full" if code in _SQLITE_WRITE_FAILED else _SQLITE.get(code & 0xFF, "other")
    state = getattr(bare, "sqlstate", None)
    if state:
        return _POSTGRESQL.get(state) or _POSTGRESQL_CLASS.get(state[:2], "other")
    # A connection that cannot be made or broke off carries no state.
    return "away" if type(bare).__name__ in {"OperationalError", "InterfaceError"} else "other"


def _handle_left() -> bool:
    try:
        os.close(os.open(os.devnull, os.O_RDONLY))
    except OSError:
        return False
    return True
