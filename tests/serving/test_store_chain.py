"""Hashes of the chain, against published vectors and a plain reading of RFC 6962."""

from __future__ import annotations

from hashlib import sha256

import pytest
from hypothesis import given
from hypothesis import strategies as st

from serving.store.chain import CONTENT, GENESIS, LEAF, LINK, NODE, PAYLOAD, REASONS, Link, leaf, merkle_root

# The eight leaves and roots of the Certificate Transparency reference implementation's Merkle tree test.
LEAVES = [
    bytes.fromhex(x)
    for x in (
        "", "00", "10", "2021", "3031", "40414243", "5051525354555657", "606162636465666768696a6b6c6d6e6f",
    )
]  # fmt: skip
ROOTS = [
    "6e340b9cffb37a989ca544e6bb780a2c78901d3fb33738768511a30617afa01d",
    "fac54203e7cc696cf0dfcb42c92a1d9dbaf70ad9e621f4bd8d98662f00e3c125",
    "aeb6bcfe274b70a14fb067a5e5578264db0fa9b51af5e0ba159158f329e06e77",
    "d37ee418976dd95753c1c73862b9398fa2a2cf9b4ff0fdfe8b30cd95209614b7",
    "4e3bbb1f7b478dcfe71fb631631519a3bca12c9aefca1612bfce4c13a86264d4",
    "76e67dadbcdf1e10e1b74ddc608abd2f98dfb16fbce75277b5232a127f2087ef",
    "ddb89be403809e325750d3d263cd78929c2942b7942a34b77e122c9594a74c8c",
    "5dc9da79a70659a9ad559cb701ded9a2ab9d823aad2f4960cfe370eff4604328",
]


@pytest.mark.parametrize("size", range(1, 9))
def test_published_roots(size):
    assert merkle_root([sha256(LEAF + data).digest() for data in LEAVES[:size]]).hex() == ROOTS[size - 1]


def test_empty_root():
    assert merkle_root([]) == sha256(b"").digest()


def _by_the_rfc(leaves):
    if len(leaves) == 1:
        return leaves[0]
    k = 1
    while k * 2 < len(leaves):
        k *= 2
    return sha256(NODE + _by_the_rfc(leaves[:k]) + _by_the_rfc(leaves[k:])).digest()


@given(st.integers(1, 300))
def test_levels_give_the_tree_of_the_rfc(size):
    leaves = [sha256(str(i).encode()).digest() for i in range(size)]
    assert merkle_root(leaves) == _by_the_rfc(leaves)


def test_every_kind_of_hash_has_its_own_prefix():
    assert len({LEAF, NODE, LINK, PAYLOAD, REASONS, CONTENT}) == 6


def test_fields_cannot_run_into_each_other():
    digest = bytes(32)
    assert leaf(1, 2, "ab", "c", "d", digest) != leaf(1, 2, "a", "bc", "d", digest)
    assert leaf(1, 23, "a", "b", "c", digest) != leaf(12, 3, "a", "b", "c", digest)


def test_a_link_commits_to_all_it_says():
    link = Link(1, 1, 4, 99, bytes(32), GENESIS)
    others = [
        Link(2, 1, 4, 99, bytes(32), GENESIS),
        Link(1, 2, 4, 99, bytes(32), GENESIS),
        Link(1, 1, 5, 99, bytes(32), GENESIS),
        Link(1, 1, 4, 98, bytes(32), GENESIS),
        Link(1, 1, 4, 99, b"\x01" * 32, GENESIS),
        Link(1, 1, 4, 99, bytes(32), b"\x01" * 32),
    ]
    assert len({link.digest(), *(other.digest() for other in others)}) == 7
