"""Accounts, keys and sessions of one store: who somebody is, and what is written when that changes."""

from __future__ import annotations

import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace

from features.errors import UserError
from serving.access.secrets import (
    Cost,
    check_password,
    digest_of,
    hash_password,
    new_key,
    new_token,
    same,
    split_key,
)
from serving.access.settings import AccessSettings
from serving.access.table import ROLES, Actor, actor_of, role_named
from serving.store import NoteRecord, Store, accounts
from serving.store.accounts import Account, ApiKey, Session
from serving.store.engine import reading, writing

SECOND = 1_000_000
LINK_MINUTES = 60
FREE_TRIES, FREE_TRIES_ADDRESS = 5, 20
LONGEST_WAIT_S = 900
CACHE_S = 2.0
KEY_DAYS_MAX = 366
DEMO = "demo"
Clock = Callable[[], int]


class AccessError(UserError):
    """An account, key or link that cannot be made, found or used."""


@dataclass(frozen=True, slots=True)
class SignIn:
    """What came of signing in: a token, or the seconds to wait before the next attempt."""

    token: str | None = None
    wait_s: int = 0


def wall_clock() -> int:
    """Microseconds since 1970 (UTC)."""
    return time.time_ns() // 1_000


def wait_after(failures: int, free: int) -> int:
    """Seconds to wait after so many failures in a row: none at first, then 1, 2, 4, up to a quarter of an hour."""
    return 0 if failures < free else min(2 ** min(failures - free, 20), LONGEST_WAIT_S)


class AccessDoor:
    """Knows who calls.

    Parameters
    ----------
    store
        An open store.
    settings
        How long sessions last.
    clock
        Microseconds since 1970 (UTC).
    cost
        How hard passwords are made to try.
    """

    def __init__(
        self,
        store: Store,
        settings: AccessSettings | None = None,
        clock: Clock = wall_clock,
        cost: Cost | None = None,
    ) -> None:
        self.store = store
        self.settings = settings or AccessSettings()
        self._clock = clock
        self._cost = cost or Cost()
        self._closed = False
        self._looked = 0
        self._keys: dict[str, tuple[int, Actor | None]] = {}

    def closed(self) -> bool:
        """Whether callers must say who they are: from the first account or key on, for ever."""
        now = self._clock()
        if not self._closed and now - self._looked >= SECOND:
            with reading(self.store.engine) as connection:
                self._closed = accounts.any_account(connection)
            self._looked = now
        return self._closed

    # --- accounts ------------------------------------------------------------------------------------------

    def add_account(self, name: str, role: str, password: str | None, by: str) -> Account:
        """Add a person, or give an existing one another role or password.

        Raises
        ------
        AccessError, PasswordError
        """
        _check_name(name)
        if role_named(role) is None:
            raise AccessError(f"got role {role[:40]!r}, expected one of {', '.join(ROLES)}")
        digest = None if password is None else hash_password(password, self._cost)
        account = Account(name, role, digest, self._clock())
        # The audited record comes first: nobody gets in without a record of who let them.
        self._note(f"account:{name}", by, {"what": "account set", "name": name, "role": role})
        with writing(self.store.engine) as connection:
            accounts.put_account(connection, account)
            accounts.end_sessions_of(connection, name)
        self._looked = 0
        return account

    def disable_account(self, name: str, by: str) -> None:
        """Let a person in no more.

        Raises
        ------
        AccessError
        """
        with reading(self.store.engine) as connection:
            account = accounts.read_account(connection, name)
        if account is None:
            raise AccessError(f"got account {name[:80]!r}, which there is none of")
        self._note(f"account:{name}", by, {"what": "account disabled", "name": name})
        with writing(self.store.engine) as connection:
            accounts.put_account(connection, replace(account, disabled_at=self._clock()))
            accounts.end_sessions_of(connection, name)

    def accounts(self) -> tuple[Account, ...]:
        """Every account, by name."""
        with reading(self.store.engine) as connection:
            return accounts.read_accounts(connection)

    def role_of(self, name: str) -> str | None:
        """Role of an account that may come in, None for others."""
        with reading(self.store.engine) as connection:
            account = accounts.read_account(connection, name)
        return None if account is None or account.disabled_at else account.role

    # --- keys ----------------------------------------------------------------------------------------------

    def issue_key(
        self, name: str, role: str, scopes: Sequence[str], days: int, by: str
    ) -> tuple[ApiKey, str]:
        """Issue a key for a program; the key itself is shown this once and kept nowhere.

        Parameters
        ----------
        scopes
            Permissions, a part of the role's; empty for all of them.
        days
            Until it expires, 1 to 366.

        Raises
        ------
        AccessError
        """
        _check_name(name)
        if not 1 <= days <= KEY_DAYS_MAX:
            raise AccessError(f"got {days} days, expected 1 to {KEY_DAYS_MAX}")
        granted = actor_of(name, role).scopes
        if role_named(role) is None or not set(scopes) <= granted:
            raise AccessError(
                f"got role {role[:40]!r} with scopes {sorted(scopes)}, expected a role of {', '.join(ROLES)} and "
                f"scopes among {sorted(granted)}"
            )
        key_id, shown, digest = new_key()
        now = self._clock()
        key = ApiKey(key_id, digest, name, role, tuple(sorted(scopes)), by, now, now + days * 86_400 * SECOND)
        body = {"what": "key issued", "name": name, "role": role, "scopes": list(key.scopes), "days": days}
        self._note(f"key:{key_id}", by, body)
        with writing(self.store.engine) as connection:
            accounts.put_key(connection, key)
        self._looked = 0
        return key, shown

    def revoke_key(self, key_id: str, by: str) -> None:
        """Take a key back; other processes follow within `CACHE_S`.

        Raises
        ------
        AccessError
        """
        with writing(self.store.engine) as connection:
            found = accounts.revoke_key(connection, key_id, self._clock())
        if not found:
            raise AccessError(f"got key {key_id[:40]!r}, which does not exist or was taken back before")
        self._keys.clear()
        self._note(f"key:{key_id}", by, {"what": "key revoked"})

    def api_keys(self) -> tuple[ApiKey, ...]:
        """Every key, the newest first."""
        with reading(self.store.engine) as connection:
            return accounts.read_keys(connection)

    def known_key(self, key: str) -> tuple[bool, Actor | None]:
        """Who a key stands for, where that was looked up just now; whether it was."""
        found = self._keys.get(key)
        if found is None or self._clock() - found[0] > CACHE_S * SECOND:
            return False, None
        return True, found[1]

    def key_actor(self, key: str) -> Actor | None:
        """Who a key stands for, None for nobody."""
        parts = split_key(key)
        if parts is None:
            return None
        with reading(self.store.engine) as connection:
            found = accounts.read_key(connection, parts[0])
        now = self._clock()
        actor = None
        right = found is not None and same(digest_of(parts[1]).hex(), found.digest.hex())
        if found and right and found.revoked_at is None and now < found.expires_at:
            actor = actor_of(f"key:{found.name}", found.role, "key", frozenset(found.scopes) or None)
        if len(self._keys) > 1_000:
            self._keys.clear()
        self._keys[key] = (now, actor)
        return actor

    # --- sessions ------------------------------------------------------------------------------------------

    def sign_in(self, name: str, password: str, address: str) -> SignIn:
        """Check a password; after some failures in a row the name and the address have to wait."""
        now = self._clock()
        subjects = ((f"name:{name[:80].lower()}", FREE_TRIES), (f"address:{address}", FREE_TRIES_ADDRESS))
        with reading(self.store.engine) as connection:
            wait = max(self._wait(accounts.read_attempts(connection, s), free, now) for s, free in subjects)
            account = accounts.read_account(connection, name)
        if wait:
            return SignIn(wait_s=wait)
        usable = account if account and account.disabled_at is None else None
        right = check_password(password, usable.password if usable else None, self._cost)
        with writing(self.store.engine) as connection:
            for subject, _ in subjects:
                if right:
                    accounts.forget_failures(connection, subject)
                else:
                    accounts.note_failure(connection, subject, now, now - LONGEST_WAIT_S * SECOND)
        return SignIn(self._open_session(name, "account") if right else None)

    def _wait(self, attempts: tuple[int, int], free: int, now: int) -> int:
        failures, last = attempts
        ready = last + wait_after(failures, free) * SECOND
        return max(0, -(-(ready - now) // SECOND))

    def _open_session(self, name: str, kind: str) -> str:
        token, now = new_token(), self._clock()
        ends = now + int(self.settings.session_hours * 3600 * SECOND)
        with writing(self.store.engine) as connection:
            accounts.put_session(connection, Session(digest_of(token), name, kind, now, now, ends))
        return token

    def session_actor(self, token: str) -> Actor | None:
        """Who is signed in with this session, None for nobody."""
        digest, now = digest_of(token), self._clock()
        with reading(self.store.engine) as connection:
            session = accounts.read_session(connection, digest)
            account = accounts.read_account(connection, session.name) if session else None
        idle = int(self.settings.idle_minutes * 60 * SECOND)
        if session is None or now >= session.expires_at or now - session.seen_at > idle:
            return None
        if now - session.seen_at > 60 * SECOND:
            with writing(self.store.engine) as connection:
                accounts.touch_session(connection, digest, now)
        if session.kind == DEMO:
            return None if self.closed() else actor_of(DEMO, "administrator", DEMO)
        return actor_of(account.name, account.role) if account and account.disabled_at is None else None

    def sign_out(self, token: str) -> None:
        """End a session."""
        with writing(self.store.engine) as connection:
            accounts.end_session(connection, digest_of(token))

    # --- one-time links ------------------------------------------------------------------------------------

    def demo_link(self, address: str) -> str:
        """Make a one-time link for the demonstration's administrator; it holds only while no account exists."""
        return self._link(DEMO, DEMO, address)

    def account_link(self, name: str, address: str, by: str) -> str:
        """Make a one-time link that signs an account in, for somebody who has no password yet.

        Raises
        ------
        AccessError
        """
        if self.role_of(name) is None:
            raise AccessError(f"got account {name[:80]!r}, which does not exist or is disabled")
        self._note(f"account:{name}", by, {"what": "link made", "name": name})
        return self._link(name, "account", address)

    def _link(self, name: str, kind: str, address: str) -> str:
        token = new_token()
        ends = self._clock() + LINK_MINUTES * 60 * SECOND
        with writing(self.store.engine) as connection:
            accounts.put_link(connection, digest_of(token), name, kind, ends)
        return f"{address.rstrip('/')}/console/enter/{token}"

    def enter(self, token: str) -> str | None:
        """Use a one-time link: a session's token, or None where the link is unknown, used or too old."""
        with writing(self.store.engine) as connection:
            found = accounts.take_link(connection, digest_of(token), self._clock())
        if found is None or (found[1] == DEMO and self.closed()):
            return None
        return self._open_session(*found)

    def _note(self, subject: str, by: str, body: dict[str, object]) -> None:
        self.store.change(NoteRecord(subject, by, body), timeout_s=30)


def _check_name(name: str) -> None:
    if not name or len(name) > 80 or not all(c.isalnum() or c in "._@-" for c in name) or name == DEMO:
        raise AccessError(
            f"got name {name[:80]!r}, expected 1 to 80 letters, digits or . _ @ -, and not {DEMO!r}"
        )
