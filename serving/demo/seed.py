"""The sample at work in a running service: scored, on sale, some of it banned, one item come back. All invented."""

from __future__ import annotations

import hashlib
import json
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from typing import Any

import httpx

from serving.demo.relisting import ban_request, edited_copy
from serving.run import most_urgent_first, sample_listings

_MANY = 100
_AT_ONCE = 2
BANNED = (
    ("smp-9fbd581e3c", "covert camera, may not be sold", "2026-101"),
    ("smp-0b48a3bc39", "magnets small enough to swallow, flux index 412", "2026-107"),
)
"""Sample listings that are banned beside the one of `serving.demo.relisting`: id, reason, invented notice."""


@dataclass(frozen=True, slots=True)
class Seeded:
    """What the service said: listings with their decisions, the most urgent first, and the bans in force."""

    ranked: list[tuple[dict[str, Any], dict[str, Any]]]
    bans: int
    copy: dict[str, Any] | None


def seed(address: str, store: str) -> Seeded | None:
    """Put the sample to work; what was done in an earlier run is not done again.

    Parameters
    ----------
    address
        Of the service.
    store
        Address of its store.

    Returns
    -------
    Seeded or None
        None where people have accounts in this store: it is theirs then, and nothing is put into it.
    """
    with httpx.Client(base_url=address, timeout=120.0) as client:
        model = client.get("/v1/model")
        if model.status_code == httpx.codes.UNAUTHORIZED:
            return None
        loaded = model.raise_for_status().json()
        version = f"{loaded['model_version']} {loaded['policy_version']}"
        bans = client.get("/v1/bans").raise_for_status().json()["bans"]
        with ThreadPoolExecutor(1) as beside:
            filled = beside.submit(fill_catalogue, store)
            ranked = _score(client, version)
            filled.result()
        if not bans:
            _ban(client)
        copy = _upload_copy(client, version)
        bans = client.get("/v1/bans").raise_for_status().json()["bans"]
    return Seeded(most_urgent_first(ranked), sum(ban["state"] == "active" for ban in bans), copy)


def fill_catalogue(store: str) -> None:
    """Put the sample on sale, where nothing is yet."""
    from features.schema import parse_listing
    from serving.bans.catalogue import Catalogue
    from serving.bans.office import catalogue_size, load_reader
    from serving.store import Store

    if catalogue_size(store):
        return
    with Store(store) as opened:
        for _ in Catalogue(opened, load_reader()).add(map(parse_listing, sample_listings())):
            pass


def _key(version: str, content: object) -> dict[str, str]:
    """Header that makes a second run get the first one's answers, as long as model, policy and sample are the same."""
    text = json.dumps(content, ensure_ascii=False, sort_keys=True)
    return {"Idempotency-Key": "sample-" + hashlib.sha256(f"{version} {text}".encode()).hexdigest()[:32]}


def _score(client: httpx.Client, version: str) -> list[tuple[dict[str, Any], dict[str, Any]]]:
    listings = sample_listings()
    blocks = [listings[first : first + _MANY] for first in range(0, len(listings), _MANY)]

    def scored(block: list[dict[str, Any]]) -> list[dict[str, Any]]:
        answer = client.post("/v1/score-many", json={"listings": block}, headers=_key(version, block))
        return answer.raise_for_status().json()["results"]

    with ThreadPoolExecutor(_AT_ONCE) as several:
        results = [result for block in several.map(scored, blocks) for result in block]
    return [
        (listing, result["decision"])
        for listing, result in zip(listings, results, strict=True)
        if "decision" in result
    ]


def _ban(client: httpx.Client) -> None:
    by_id = {listing["id"]: listing for listing in sample_listings()}
    notices = [
        {
            "listing": by_id[listing_id],
            "reason": reason,
            "notice": {"regulator": "(invented)", "number": number, "date": "2026-11-20"},
        }
        for listing_id, reason, number in BANNED
    ]
    for wanted in (*notices, ban_request()):
        client.post("/v1/bans", json=wanted).raise_for_status()


def _upload_copy(client: httpx.Client, version: str) -> dict[str, Any]:
    copy = edited_copy()
    answer = client.post("/v1/score?explain=always", json=copy, headers=_key(version, copy))
    return answer.raise_for_status().json()
