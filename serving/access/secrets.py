"""Passwords, keys and tokens: made here, and only their digests leave."""

from __future__ import annotations

import base64
import hashlib
import hmac
import secrets
from dataclasses import dataclass

from features.errors import UserError

PASSWORD_MIN, PASSWORD_MAX = 12, 512
KEY_PREFIX = "lrk"


class PasswordError(UserError):
    """A password that may not be used."""


@dataclass(frozen=True, slots=True)
class Cost:
    """How hard a password is to try: scrypt's N, r and p. The default is one of OWASP's equal settings (32 MiB)."""

    n: int = 2**15
    r: int = 8
    p: int = 3


def hash_password(password: str, cost: Cost | None = None) -> str:
    """Digest a password, with its own salt, in a form that says how.

    Raises
    ------
    PasswordError
        When it is too short or too long.
    """
    if not PASSWORD_MIN <= len(password) <= PASSWORD_MAX:
        raise PasswordError(
            f"got a password of {len(password)} characters, expected {PASSWORD_MIN} to {PASSWORD_MAX}"
        )
    cost = cost or Cost()
    salt = secrets.token_bytes(16)
    digest = _scrypt(password, salt, cost)
    return f"scrypt${cost.n}${cost.r}${cost.p}${_text(salt)}${_text(digest)}"


def check_password(password: str, stored: str | None, cost: Cost | None = None) -> bool:
    """Whether this is the password; takes as long (``cost``) where there is none to compare with."""
    if stored is None or len(password) > PASSWORD_MAX:
        _scrypt("", b"\0" * 16, cost or Cost())
        return False
    _, n, r, p, salt, digest = stored.split("$")
    made = _scrypt(password, base64.b64decode(salt), Cost(int(n), int(r), int(p)))
    return hmac.compare_digest(made, base64.b64decode(digest))


def _scrypt(password: str, salt: bytes, cost: Cost) -> bytes:
    memory = 256 * cost.n * cost.r + 1_000_000
    return hashlib.scrypt(password.encode(), salt=salt, n=cost.n, r=cost.r, p=cost.p, maxmem=memory, dklen=32)


def _text(value: bytes) -> str:
    return base64.b64encode(value).decode("ascii")


def new_token() -> str:
    """Return 256 random bits as text; a plain digest of it is safe to keep, because nobody can try them all."""
    return secrets.token_urlsafe(32)


def digest_of(token: str) -> bytes:
    """Return what is stored of a token."""
    return hashlib.sha256(token.encode()).digest()


def new_key() -> tuple[str, str, bytes]:
    """Return a key's identifier, the key as its owner gets to see it once, and the digest that is stored."""
    key_id, secret = secrets.token_hex(6), new_token()
    return key_id, f"{KEY_PREFIX}_{key_id}_{secret}", digest_of(secret)


def split_key(key: str) -> tuple[str, str] | None:
    """Return a key's identifier and secret, None where it is no key."""
    prefix, _, rest = key.partition("_")
    key_id, found, secret = rest.partition("_")
    if prefix != KEY_PREFIX or not found or not key_id or not secret or len(key) > 200:
        return None
    return key_id, secret


def csrf_token(secret: str) -> str:
    """Return the token that forms of a session must carry; it tells nothing of the session itself."""
    return hmac.new(secret.encode(), b"listing-risk form", hashlib.sha256).hexdigest()


def same(left: str, right: str) -> bool:
    """Compare without telling by time where they differ."""
    return hmac.compare_digest(left.encode(), right.encode())
