"""Settings of what is trusted: keys that may have signed a bundle, and keys that secrets lie under in the database."""

from __future__ import annotations

import base64
import binascii
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path

from features.errors import UserError

_KEY_BYTES = 32


class SupplySettingsError(UserError):
    """Settings of trust that cannot be used."""


@dataclass(frozen=True, slots=True)
class SupplySettings:
    """What is trusted.

    Attributes
    ----------
    trusted_keys
        File with the public keys of which one must have signed a bundle that serves; None asks for no signature.
    secret_keys
        Keys that webhooks' secrets are encrypted with in the database, the newest first: it encrypts, all of them
        decrypt. Empty leaves secrets as they are.
    """

    trusted_keys: Path | None = None
    secret_keys: tuple[str, ...] = field(default=(), repr=False)


def read_supply(environ: Mapping[str, str]) -> SupplySettings:
    """Read the settings of trust.

    Parameters
    ----------
    environ
        ``LISTING_RISK_TRUSTED_KEYS`` (a file of public keys), ``LISTING_RISK_SECRET_KEYS`` (keys by commas, the newest
        first), ``LISTING_RISK_SECRET_KEYS_FILE`` (a file of keys, one a line).

    Raises
    ------
    SupplySettingsError
        Naming the variable and what is expected, never the key.
    """
    trusted = environ.get("LISTING_RISK_TRUSTED_KEYS", "").strip()
    return SupplySettings(Path(trusted) if trusted else None, _secret_keys(environ))


def _secret_keys(environ: Mapping[str, str]) -> tuple[str, ...]:
    given, file = (environ.get(name, "").strip() for name in _NAMES)
    if given and file:
        raise SupplySettingsError(f"got both {' and '.join(_NAMES)}, expected one of them")
    if file:
        try:
            given = Path(file).read_text("utf-8").replace("\n", ",")
        except (OSError, UnicodeDecodeError) as error:
            raise SupplySettingsError(f"{_NAMES[1]}: got {file}, which cannot be read ({error})") from None
    keys = tuple(
        part.strip() for part in given.split(",") if part.strip() and not part.strip().startswith("#")
    )
    if file and not keys:
        raise SupplySettingsError(f"{_NAMES[1]}: got {file} without a key, expected one a line")
    for number, key in enumerate(keys, 1):
        if not _is_key(key):
            raise SupplySettingsError(
                f"{_NAMES[1] if file else _NAMES[0]}: got something else as key {number}, expected 32 bytes in base64 "
                "as `listing-risk events key` prints them"
            )
    return keys


_NAMES = ("LISTING_RISK_SECRET_KEYS", "LISTING_RISK_SECRET_KEYS_FILE")


def _is_key(text: str) -> bool:
    try:
        return len(base64.urlsafe_b64decode(text.encode("ascii"))) == _KEY_BYTES
    except (binascii.Error, ValueError):
        return False
