"""Hashes of the audit chain: rows to a Merkle root, roots to a chain. Pure functions over bytes.

Every hash starts with one byte that says what it is over, so that a leaf can never be passed off as a node
(RFC 6962, section 2.1: 0x00 for leaves, 0x01 for nodes; the others are ours). Own code of thirty lines because
the maintained library for it (pymerkle) is under the GPL, which this project's licence does not allow to ship.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from hashlib import sha256

from serving.store.canonical import canonical_row

LEAF, NODE, LINK = b"\x00", b"\x01", b"\x02"
PAYLOAD, REASONS, CONTENT = b"\x10", b"\x11", b"\x12"
SALT_BYTES = 16
GENESIS = bytes(32)
EMPTY_ROOT = sha256(b"").digest()


def salted(domain: bytes, salt: bytes, content: bytes) -> bytes:
    """Digest of content that may be erased later; without the salt nobody can test a guess against it."""
    return sha256(domain + salt + content).digest()


def leaf(seq: int, at: int, kind: str, actor: str, subject: str, digest: bytes) -> bytes:
    """Hash of one audit row; ``at`` in microseconds since 1970 (UTC)."""
    return sha256(LEAF + canonical_row((seq, at, kind, actor, subject, digest.hex()))).digest()


def merkle_root(leaves: Sequence[bytes]) -> bytes:
    """Merkle tree hash of RFC 6962 over leaf hashes.

    Pairing neighbours level by level and carrying an odd last one up gives the RFC's tree, whose left half is the
    largest power of two below the number of leaves.
    """
    if not leaves:
        return EMPTY_ROOT
    level = list(leaves)
    while len(level) > 1:
        odd = level[-1:] if len(level) % 2 else []
        level = [sha256(NODE + a + b).digest() for a, b in zip(level[::2], level[1::2], strict=False)] + odd
    return level[0]


@dataclass(frozen=True, slots=True)
class Link:
    """One link of the chain: one group of rows that was committed together.

    ``first`` and ``last`` are the sequence numbers of its rows, ``root`` their Merkle root, ``previous`` the hash
    of the link before.
    """

    number: int
    first: int
    last: int
    at: int
    root: bytes
    previous: bytes

    def digest(self) -> bytes:
        """Hash of the link, which the next one carries."""
        row = (self.number, self.first, self.last, self.at, self.root.hex(), self.previous.hex())
        return sha256(LINK + canonical_row(row)).digest()


@dataclass(frozen=True, slots=True)
class Head:
    """Where the chain ends: number and hash of the last link, last row."""

    number: int
    seq: int
    digest: bytes


START = Head(number=0, seq=0, digest=GENESIS)
