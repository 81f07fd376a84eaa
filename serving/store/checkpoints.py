"""Signed checkpoints of the chain, kept outside the database.

Who can write to the database can rewrite the whole chain; a checkpoint that lies elsewhere shows it. Each is a small
JSON file with an Ed25519 signature, and names the one before. Copy the folder to where the database's owner cannot
write: what protects it is that place, not this code.
"""

from __future__ import annotations

import os
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from hashlib import sha256
from pathlib import Path
from typing import Any

import orjson
from cryptography.exceptions import InvalidSignature
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey, Ed25519PublicKey

from serving.store.canonical import canonical
from serving.store.chain import Head
from serving.store.errors import StoreError

_FORMAT = "listing-risk checkpoint 1"
_FIELDS = {"format", "store_id", "link", "seq", "digest", "at", "previous", "key"}


class CheckpointError(StoreError):
    """A key or checkpoint folder that cannot be used."""


@dataclass(frozen=True, slots=True)
class Checkpoint:
    """Where the chain ended at a time (microseconds since 1970, UTC), as signed.

    ``problem`` says why it proves nothing, and is empty for a sound one.
    """

    name: str
    store_id: str
    link: int
    seq: int
    digest: bytes
    at: int
    problem: str = ""


def _write_new(path: Path, content: bytes, mode: int) -> None:
    """Write a file that must not exist yet, complete or not at all, on disk when this returns."""
    draft = path.with_name(f".{path.name}.{os.getpid()}")
    handle = os.open(draft, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, mode)
    try:
        os.write(handle, content)
        os.fsync(handle)
    finally:
        os.close(handle)
    try:
        path.hardlink_to(draft)  # fails when the name is taken, unlike a rename
    finally:
        draft.unlink()
    folder = os.open(path.parent, os.O_RDONLY)
    try:
        os.fsync(folder)
    finally:
        os.close(folder)


class Checkpoints:
    """A folder of checkpoints and the key that signs them.

    Parameters
    ----------
    folder
        Made on first use.
    key_file
        Private key, 32 bytes as hexadecimal text, made on first use with mode 0600. By default ``signing.key``
        in the folder; a place that the database's owner cannot read is better.
    """

    def __init__(self, folder: Path, key_file: Path | None = None) -> None:
        self.folder = folder
        self.key_file = key_file or folder / "signing.key"

    def _key(self) -> Ed25519PrivateKey:
        self.folder.mkdir(parents=True, exist_ok=True)
        if not self.key_file.exists():
            fresh = Ed25519PrivateKey.generate()
            # When another worker was first, its key is the key.
            with suppress(FileExistsError):
                _write_new(self.key_file, fresh.private_bytes_raw().hex().encode(), 0o600)
        if self.key_file.stat().st_mode & 0o077:
            raise CheckpointError(
                f"got a signing key that others may read ({self.key_file}), expected mode 0600: "
                "run chmod 600 on it, and make a new one if it was exposed"
            )
        key = Ed25519PrivateKey.from_private_bytes(_read_key(self.key_file))
        if not self._public_file.exists():
            with suppress(FileExistsError):
                public = key.public_key().public_bytes_raw()
                _write_new(self._public_file, public.hex().encode(), 0o644)
        return key

    @property
    def _public_file(self) -> Path:
        return self.folder / "signing.pub"

    def public_key(self) -> bytes:
        """The public half, 32 bytes; give it to whoever verifies.

        Raises
        ------
        CheckpointError
            When the file is not a key.
        """
        if self._public_file.exists():
            return _read_key(self._public_file)
        return self._key().public_key().public_bytes_raw()

    def paths(self) -> list[Path]:
        """Checkpoint files in order of link."""
        return sorted(self.folder.glob("checkpoint-*.json"))

    def write(self, store_id: str, head: Head, at: int) -> Path | None:
        """Sign where the chain ends; None when nothing was added since the last checkpoint.

        Raises
        ------
        CheckpointError
            When the key cannot be used.
        OSError
            When the folder cannot be written.
        """
        key = self._key()
        with self._locked():
            paths = self.paths()
            path = self.folder / f"checkpoint-{head.number:020d}.json"
            if head.number == 0 or (paths and paths[-1].name >= path.name):
                return None
            body = {
                "format": _FORMAT,
                "store_id": store_id,
                "link": head.number,
                "seq": head.seq,
                "digest": head.digest.hex(),
                "at": at,
                "previous": sha256(paths[-1].read_bytes()).hexdigest() if paths else "",
                "key": key.public_key().public_bytes_raw().hex(),
            }
            signed = {**body, "signature": key.sign(canonical(body)).hex()}
            _write_new(path, canonical(signed), 0o644)
            return path

    @contextmanager
    def _locked(self) -> Iterator[None]:
        import fcntl

        handle = os.open(self.folder / ".lock", os.O_RDWR | os.O_CREAT, 0o644)
        try:
            fcntl.flock(handle, fcntl.LOCK_EX)
            yield
        finally:
            os.close(handle)

    def read(self, public_key: bytes | None = None) -> tuple[Checkpoint, ...]:
        """Read and check every checkpoint, in order of link.

        Parameters
        ----------
        public_key
            The key that must have signed, 32 bytes; by default this folder's own.

        Returns
        -------
        tuple of Checkpoint
            Unsound ones are among them, with their ``problem``.
        """
        paths = self.paths()
        if not paths:
            return ()
        trusted = public_key or self.public_key()
        found, previous = [], ""
        for path in paths:
            content = path.read_bytes()
            found.append(_parse(path.name, content, trusted, previous))
            previous = sha256(content).hexdigest()
        return tuple(found)


def _read_key(path: Path) -> bytes:
    try:
        key = bytes.fromhex(path.read_text(encoding="ascii").strip())
    except ValueError:
        key = b""
    if len(key) != 32:
        raise CheckpointError(f"got a key of the wrong form in {path}, expected 64 hexadecimal digits")
    return key


def _parse(name: str, content: bytes, trusted: bytes, previous: str) -> Checkpoint:
    try:
        raw: dict[str, Any] = orjson.loads(content)
        signature = bytes.fromhex(raw.pop("signature"))
        checkpoint = Checkpoint(
            name,
            raw["store_id"],
            int(raw["link"]),
            int(raw["seq"]),
            bytes.fromhex(raw["digest"]),
            int(raw["at"]),
        )
        Ed25519PublicKey.from_public_bytes(trusted).verify(signature, canonical(raw))
    except InvalidSignature:
        return Checkpoint(name, "", 0, 0, b"", 0, "the signature is not of the trusted key over this content")
    except (orjson.JSONDecodeError, KeyError, ValueError, TypeError, AttributeError):
        return Checkpoint(name, "", 0, 0, b"", 0, "the file is not a checkpoint")
    if set(raw) != _FIELDS or raw["format"] != _FORMAT:
        return Checkpoint(name, "", 0, 0, b"", 0, "the file is of another format")
    if raw["previous"] != previous:
        problem = "the checkpoint before it was changed or removed"
        return Checkpoint(
            name,
            checkpoint.store_id,
            checkpoint.link,
            checkpoint.seq,
            checkpoint.digest,
            checkpoint.at,
            problem,
        )
    return checkpoint
