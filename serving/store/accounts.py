"""Rows of who may come in. What they mean is in `serving.access.table`; here they are only kept.

Times are microseconds since 1970 (UTC), given by the caller.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import orjson
import sqlalchemy as sa
from sqlalchemy.dialects import postgresql, sqlite
from sqlalchemy.engine import Connection

from serving.store.account_tables import accounts, api_keys, login_attempts, login_links, sessions


@dataclass(frozen=True, slots=True)
class Account:
    """A person who may sign in; ``password`` is a digest, None where only links or the proxy let them in."""

    name: str
    role: str
    password: str | None
    created_at: int
    disabled_at: int | None = None


@dataclass(frozen=True, slots=True)
class ApiKey:
    """A key of a program; ``digest`` is SHA-256 of the secret part, ``scopes`` empty means all of the role's."""

    id: str
    digest: bytes
    name: str
    role: str
    scopes: tuple[str, ...]
    created_by: str
    created_at: int
    expires_at: int
    revoked_at: int | None = None


@dataclass(frozen=True, slots=True)
class Session:
    """A browser that is signed in; ``kind`` is ``account`` or ``demo``."""

    digest: bytes
    name: str
    kind: str
    created_at: int
    seen_at: int
    expires_at: int


def any_account(connection: Connection) -> bool:
    """Whether there is an account or a key, disabled ones too: once closed, the door does not open by itself."""
    return (
        connection.execute(sa.select(accounts.c.name).limit(1)).first() is not None
        or connection.execute(sa.select(api_keys.c.id).limit(1)).first() is not None
    )


def put_account(connection: Connection, account: Account) -> None:
    """Add an account or put it in the place of the one of that name."""
    insert: Any = sqlite.insert if connection.dialect.name == "sqlite" else postgresql.insert
    row = {name: getattr(account, name) for name in Account.__dataclass_fields__}
    changed = {name: value for name, value in row.items() if name not in ("name", "created_at")}
    connection.execute(
        insert(accounts).values(row).on_conflict_do_update(index_elements=[accounts.c.name], set_=changed)
    )


def read_account(connection: Connection, name: str) -> Account | None:
    """Read one account."""
    row = connection.execute(sa.select(accounts).where(accounts.c.name == name)).mappings().one_or_none()
    return None if row is None else Account(**row)


def read_accounts(connection: Connection) -> tuple[Account, ...]:
    """Read every account, by name."""
    rows = connection.execute(sa.select(accounts).order_by(accounts.c.name)).mappings()
    return tuple(Account(**row) for row in rows)


def put_key(connection: Connection, key: ApiKey) -> None:
    """Add a key."""
    row = {name: getattr(key, name) for name in ApiKey.__dataclass_fields__}
    connection.execute(api_keys.insert(), row | {"scopes": orjson.dumps(key.scopes).decode()})


def _key(row: Any) -> ApiKey:
    return ApiKey(
        **{
            **row,
            "digest": bytes(row["digest"]),
            "scopes": tuple(orjson.loads(row["scopes"])),
        }
    )


def read_key(connection: Connection, key_id: str) -> ApiKey | None:
    """Read one key."""
    row = connection.execute(sa.select(api_keys).where(api_keys.c.id == key_id)).mappings().one_or_none()
    return None if row is None else _key(row)


def read_keys(connection: Connection) -> tuple[ApiKey, ...]:
    """Read every key, the newest first."""
    rows = connection.execute(sa.select(api_keys).order_by(api_keys.c.created_at.desc())).mappings()
    return tuple(_key(row) for row in rows)


def revoke_key(connection: Connection, key_id: str, now: int) -> bool:
    """Take a key back; False where there is none that still holds."""
    found = connection.execute(
        api_keys.update()
        .where(api_keys.c.id == key_id, api_keys.c.revoked_at.is_(None))
        .values(revoked_at=now)
    )
    return found.rowcount == 1


def put_session(connection: Connection, session: Session) -> None:
    """Add a session and sweep those that have ended."""
    connection.execute(sessions.delete().where(sessions.c.expires_at < session.created_at))
    connection.execute(
        sessions.insert(), {name: getattr(session, name) for name in Session.__dataclass_fields__}
    )


def read_session(connection: Connection, digest: bytes) -> Session | None:
    """Read one session."""
    row = connection.execute(sa.select(sessions).where(sessions.c.digest == digest)).mappings().one_or_none()
    return None if row is None else Session(**{**row, "digest": bytes(row["digest"])})


def touch_session(connection: Connection, digest: bytes, now: int) -> None:
    """Note that the session was used."""
    connection.execute(sessions.update().where(sessions.c.digest == digest).values(seen_at=now))


def end_session(connection: Connection, digest: bytes) -> None:
    """End one session."""
    connection.execute(sessions.delete().where(sessions.c.digest == digest))


def end_sessions_of(connection: Connection, name: str) -> None:
    """End every session of an account."""
    connection.execute(sessions.delete().where(sessions.c.name == name))


def put_link(connection: Connection, digest: bytes, name: str, kind: str, expires_at: int) -> None:
    """Add a one-time link."""
    row = {"digest": digest, "name": name, "kind": kind, "expires_at": expires_at, "used_at": None}
    connection.execute(login_links.insert(), row)


def take_link(connection: Connection, digest: bytes, now: int) -> tuple[str, str] | None:
    """Use a one-time link up: its name and kind, None where it is unknown, used or too old."""
    taken = connection.execute(
        login_links.update()
        .where(
            login_links.c.digest == digest,
            login_links.c.used_at.is_(None),
            login_links.c.expires_at >= now,
        )
        .values(used_at=now)
    )
    if taken.rowcount != 1:
        return None
    row = connection.execute(
        sa.select(login_links.c.name, login_links.c.kind).where(login_links.c.digest == digest)
    ).one()
    return row.name, row.kind


def read_attempts(connection: Connection, subject: str) -> tuple[int, int]:
    """Failed attempts in a row of a name or an address, and when the last one was."""
    row = connection.execute(
        sa.select(login_attempts.c.failures, login_attempts.c.last_at).where(
            login_attempts.c.subject == subject
        )
    ).one_or_none()
    return (0, 0) if row is None else (row.failures, row.last_at)


def note_failure(connection: Connection, subject: str, now: int, forget_before: int) -> None:
    """Count a failed attempt; a row of them that ended before ``forget_before`` starts anew."""
    insert: Any = sqlite.insert if connection.dialect.name == "sqlite" else postgresql.insert
    table = login_attempts
    again = sa.case((table.c.last_at < forget_before, 1), else_=table.c.failures + 1)
    connection.execute(
        insert(table)
        .values(subject=subject, failures=1, last_at=now)
        .on_conflict_do_update(index_elements=[table.c.subject], set_={"failures": again, "last_at": now})
    )


def forget_failures(connection: Connection, subject: str) -> None:
    """Forget the failed attempts of a name or address."""
    connection.execute(login_attempts.delete().where(login_attempts.c.subject == subject))
