"""Webhooks' secrets at rest: encrypted with keys that are not in the database (Fernet: AES-128-CBC and HMAC-SHA256).

Signing needs the secret itself, so it cannot be kept as a digest. Without a key secrets lie there as they are, and stay
readable after one is set; `EndpointDesk.reseal` encrypts what is not yet under the newest key.
"""

from __future__ import annotations

from collections.abc import Sequence

from cryptography.fernet import Fernet, InvalidToken, MultiFernet

from features.errors import UserError

_SEALED = "fernet:"
_PLAIN = "whsec_"


class VaultError(UserError):
    """A secret that none of the keys opens."""


def new_key() -> str:
    """Make a key: 32 random bytes in base64."""
    return Fernet.generate_key().decode()


class SecretVault:
    """Seals secrets and opens them.

    Parameters
    ----------
    keys
        The newest first: it seals, all of them open. None at all leaves secrets as they are.
    """

    def __init__(self, keys: Sequence[str] = ()) -> None:
        self._newest = Fernet(keys[0]) if keys else None
        self._all = MultiFernet([Fernet(key) for key in keys]) if keys else None

    def __repr__(self) -> str:
        """Name no key."""
        return f"SecretVault(sealing={self._newest is not None})"

    @property
    def seals(self) -> bool:
        """Whether there is a key."""
        return self._newest is not None

    def seal(self, owner: str, secret: str) -> str:
        """Return what is kept; ``owner`` is sealed with it, so that it opens for nobody else."""
        if self._newest is None:
            return secret
        return _SEALED + self._newest.encrypt(f"{owner}\n{secret}".encode()).decode()

    def open(self, owner: str, kept: str) -> str:
        """Return the secret.

        Raises
        ------
        VaultError
            When no key opens it, or it is somebody else's.
        """
        if kept.startswith(_PLAIN):
            return kept
        if self._all is None:
            raise VaultError(
                f"the secret of {owner} is encrypted and no key is set: set LISTING_RISK_SECRET_KEYS or "
                "LISTING_RISK_SECRET_KEYS_FILE"
            )
        try:
            found, _, secret = self._all.decrypt(kept.removeprefix(_SEALED)).decode().partition("\n")
        except (InvalidToken, UnicodeDecodeError):
            raise VaultError(
                f"no key opens the secret of {owner}: give the earlier keys after the new one, or rotate the secret"
            ) from None
        if found != owner:
            raise VaultError(f"the secret kept for {owner} is another one's: rotate it")
        return secret

    def is_newest(self, kept: str) -> bool:
        """Whether it lies under the newest key, or there is none."""
        if self._newest is None:
            return True
        if not kept.startswith(_SEALED):
            return False
        try:
            self._newest.decrypt(kept.removeprefix(_SEALED))
        except InvalidToken:
            return False
        return True
