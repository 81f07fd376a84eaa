"""Signatures of bundles and matchers: who vouches that weights are those that were trained and looked at.

A bundle's manifest names the SHA-256 of every file; `signatures.json` beside it holds Ed25519 signatures over the
manifest's bytes. A matcher is one file, its signatures lie beside it. Several may stand there, so that keys are
changed without a gap: sign with the new key, trust both, then trust the new one alone. Keys are PEM files as other
tools make and read them (``openssl genpkey -algorithm ed25519``).
"""

from __future__ import annotations

import hashlib
import os
import re
from collections.abc import Iterable
from dataclasses import asdict, dataclass
from datetime import datetime
from pathlib import Path

from cryptography.exceptions import InvalidSignature, UnsupportedAlgorithm
from cryptography.hazmat.primitives import serialization
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey, Ed25519PublicKey
from pydantic import BaseModel, ConfigDict, Field, ValidationError

from features.errors import UserError
from training.manifest import MANIFEST, file_hash, read_manifest

SIGNATURES = "signatures.json"
FORMAT = "listing-risk signatures 1"
# A key that signs bundles must not be led to sign anything else: what is signed starts with these words.
_DOMAIN = b"listing-risk bundle signature 1\n"
_DOMAIN_FILE = b"listing-risk matcher signature 1\n"
_MOST = 20
_SIZE_MAX = 100_000
_PEM = re.compile(rb"-----BEGIN PUBLIC KEY-----[A-Za-z0-9+/=\s]{1,400}-----END PUBLIC KEY-----")


class SignatureError(UserError):
    """A bundle that nobody trusted has signed, or a key that cannot be used."""


class _Signature(BaseModel):
    model_config = ConfigDict(extra="forbid", frozen=True)

    key: str = Field(pattern=r"^[0-9a-f]{16}$")
    signature: str = Field(pattern=r"^[0-9a-f]{128}$")
    at: datetime
    by: str = Field(max_length=256)


class _Signatures(BaseModel):
    model_config = ConfigDict(extra="forbid", frozen=True)

    format: str
    signatures: tuple[_Signature, ...] = Field(max_length=_MOST)


@dataclass(frozen=True, slots=True)
class Signed:
    """A signature that holds.

    Attributes
    ----------
    bundle
        Name and first characters of the digest.
    key
        Id of the key: the first 16 characters of the SHA-256 of its public half.
    at, by
        When and by whom, as the signer wrote it; only the key vouches for it.
    """

    bundle: str
    key: str
    at: datetime
    by: str

    def to_json(self) -> dict[str, str]:
        """Return JSON values."""
        return asdict(self) | {"at": self.at.isoformat(timespec="seconds")}


def key_id(public: Ed25519PublicKey) -> str:
    """Return the short name of a key."""
    return hashlib.sha256(public.public_bytes_raw()).hexdigest()[:16]


def make_key(private: Path, public: Path) -> str:
    """Make a pair of keys, the private one readable by its owner alone; returns its id.

    Raises
    ------
    SignatureError
        When a file is there already: a key is never overwritten.
    """
    key = Ed25519PrivateKey.generate()
    secret = key.private_bytes(
        serialization.Encoding.PEM,
        serialization.PrivateFormat.PKCS8,
        serialization.NoEncryption(),
    )
    _write_new(private, secret, 0o600)
    _write_new(public, _pem(key.public_key()), 0o644)
    return key_id(key.public_key())


def _pem(public: Ed25519PublicKey) -> bytes:
    return public.public_bytes(serialization.Encoding.PEM, serialization.PublicFormat.SubjectPublicKeyInfo)


def _write_new(path: Path, content: bytes, mode: int) -> None:
    try:
        handle = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL, mode)
    except FileExistsError:
        raise SignatureError(
            f"got {path}, which exists; a key is never overwritten: name another file"
        ) from None
    except OSError as error:
        raise SignatureError(f"got {path}, which cannot be written: {error.strerror}") from None
    with os.fdopen(handle, "wb") as file:
        file.write(content)


def read_private(path: Path) -> Ed25519PrivateKey:
    """Read a private key.

    Raises
    ------
    SignatureError
        When the file is no Ed25519 key in PEM, or others may read it.
    """
    try:
        content = path.read_bytes()
        loose = path.stat().st_mode & 0o077
    except OSError as error:
        raise SignatureError(f"got {path}, which cannot be read: {error.strerror}") from None
    if loose:
        raise SignatureError(
            f"got a private key that others may read ({path}), expected mode 0600: chmod 600 {path}"
        )
    try:
        key = serialization.load_pem_private_key(content, password=None)
    except (ValueError, TypeError, UnsupportedAlgorithm):
        key = None
    if not isinstance(key, Ed25519PrivateKey):
        raise SignatureError(
            f"got {path}, expected an Ed25519 private key in PEM: make one with `listing-risk bundle key`"
        )
    return key


def read_trusted(path: Path) -> tuple[Ed25519PublicKey, ...]:
    """Read the public keys that are trusted: PEM blocks, one after another.

    Raises
    ------
    SignatureError
        When the file cannot be read or holds none; an empty list must not come to mean that all are trusted.
    """
    try:
        content = path.read_bytes()
    except OSError as error:
        raise SignatureError(f"got trusted keys {path}, which cannot be read: {error.strerror}") from None
    found: list[Ed25519PublicKey] = []
    for block in _PEM.findall(content):
        try:
            key = serialization.load_pem_public_key(block)
        except (ValueError, UnsupportedAlgorithm):
            key = None
        if not isinstance(key, Ed25519PublicKey):
            raise SignatureError(f"got {path}, expected Ed25519 public keys in PEM and nothing else")
        found.append(key)
    if not found or content.count(b"-----BEGIN") != len(found):
        raise SignatureError(
            f"got {path} with {len(found)} public keys in {content.count(b'-----BEGIN')} PEM blocks, expected at "
            "least one block BEGIN PUBLIC KEY and no other: the .pub file that `listing-risk bundle key` writes"
        )
    return tuple(found)


def sign_bundle(target: Path, key: Ed25519PrivateKey, at: datetime, by: str) -> Signed:
    """Sign a whole bundle, or a matcher; signatures of other keys are kept, earlier ones of this key not.

    Raises
    ------
    BundleError
        When it is no whole bundle: what is damaged is not signed.
    SignatureError
        When the folder cannot be written.
    """
    what = _what(target)
    name = key_id(key.public_key())
    fresh = _Signature(key=name, signature=key.sign(what.message).hex(), at=at, by=by[:256])
    try:
        others = [one for one in _read(what.signatures) if one.key != name]
    except SignatureError:
        others = []
    kept = _Signatures(format=FORMAT, signatures=(*others[-(_MOST - 1) :], fresh))
    draft = what.signatures.with_name(f".{what.signatures.name}.{os.getpid()}")
    try:
        draft.write_text(kept.model_dump_json(indent=1) + "\n", encoding="utf-8")
        draft.replace(what.signatures)
    except OSError as error:
        raise SignatureError(
            f"got {target}, beside which nothing can be written ({error.strerror}): copy it to a folder of your own"
        ) from None
    return Signed(what.name, name, at, by)


def verify_bundle(target: Path, trusted: tuple[Ed25519PublicKey, ...]) -> Signed:
    """Check that the bundle is whole and that a trusted key has signed it; a matcher alike.

    Raises
    ------
    BundleError
        When it is no whole bundle.
    SignatureError
        When nobody signed it, only keys that are not trusted did, or a signature is of something else.
    """
    what = _what(target)
    by_id = {key_id(key): key for key in trusted}
    signatures = _read(what.signatures)
    known = [one for one in signatures if one.key in by_id]
    if not signatures:
        raise SignatureError(
            f"{target} is not signed; expected a signature by {_names(by_id)}. "
            "Sign it with `listing-risk bundle sign`, or name another."
        )
    if not known:
        raise SignatureError(
            f"{target} is signed by {_names(one.key for one in signatures)}, which is not trusted here; "
            f"expected {_names(by_id)}. Have it signed by one of them, or add its public key to the trusted ones."
        )
    for one in known:
        try:
            by_id[one.key].verify(bytes.fromhex(one.signature), what.message)
        except InvalidSignature:
            continue
        return Signed(what.name, one.key, one.at, one.by)
    raise SignatureError(
        f"The signature of {target} by {_names(one.key for one in known)} is not of what lies there: it was changed "
        "after it was signed, or the signature was taken from another. Refused."
    )


@dataclass(frozen=True, slots=True)
class _What:
    """Something to be signed: its name, the bytes that are signed, and where its signatures lie."""

    name: str
    message: bytes
    signatures: Path


def _what(target: Path) -> _What:
    if target.is_file():
        digest = file_hash(target)
        place = target.with_name(f"{target.name}.{SIGNATURES}")
        return _What(f"{target.stem}+{digest[:8]}", _DOMAIN_FILE + digest.encode(), place)
    manifest = read_manifest(target)
    digest = file_hash(target / MANIFEST)
    return _What(f"{manifest.name}+{manifest.digest[:8]}", _DOMAIN + digest.encode(), target / SIGNATURES)


def check_trust(target: Path, trusted_keys: Path | None) -> Signed | None:
    """Check a bundle or matcher that is to serve, where the settings ask for signatures; None where they do not.

    Raises
    ------
    BundleError, SignatureError
    """
    return None if trusted_keys is None else verify_bundle(target, read_trusted(trusted_keys))


def _read(path: Path) -> tuple[_Signature, ...]:
    """Read signatures; none where there is no file."""
    try:
        with path.open("rb") as file:
            content = file.read(_SIZE_MAX + 1)
    except FileNotFoundError:
        return ()
    except OSError as error:
        raise SignatureError(f"got {path}, which cannot be read: {error.strerror}") from None
    try:
        read = _Signatures.model_validate_json(content)
    except ValidationError as error:
        first = error.errors(include_url=False)[0]
        where = ".".join(str(part) for part in first["loc"]) or SIGNATURES
        raise SignatureError(
            f"The signatures in {path} cannot be read ({where}: {first['msg']}); sign again."
        ) from None
    if read.format != FORMAT:
        raise SignatureError(f"got signatures of form {read.format[:60]!r}, expected {FORMAT!r}")
    return read.signatures


def _names(keys: Iterable[str]) -> str:
    found = sorted(set(keys))
    return ("key " if len(found) == 1 else "keys ") + ", ".join(found)
