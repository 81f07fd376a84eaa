"""A store of many bans and live listings, to measure the words' side of re-listing (`benchmarks.relisting.speed`).

Offers are the sample's, put up again under other words until there are enough; their embeddings carry noise of their
own, so that no two prints are equal. Nothing outside the package is read.
"""

from __future__ import annotations

import random

import numpy as np

from features.offer import view_of_listing
from features.offer_index import print_of
from features.schema import Listing
from features.scripts import language
from serving.bans.bank import OfferReader
from serving.bans.book import item_body
from serving.store import BanRecord, Store
from serving.store.catalogue import CatalogueRow, put_rows
from serving.store.engine import writing
from serving.store.prepare import prepare_change
from training.matcher_sets import read_sample
from training.retitle import relisted

BANS, LIVE = 10_000, 100_000


def offers(count: int, reader: OfferReader, rng: random.Random) -> list[tuple[Listing, bytes]]:
    """Return listings with their prints."""
    sample = [listing for half in ("dev", "test") for _, listing in read_sample(half)]
    known = {read.view.title: read.vector for read in reader.read(sample)}
    noise = np.random.default_rng(0)
    made: list[tuple[Listing, bytes]] = []
    for i in range(count):
        base = sample[i % len(sample)]
        copy = relisted(base, rng, language(base.title)).model_copy(update={"id": f"live-{i}"})
        vector = known[view_of_listing(base).title] + noise.normal(0, 0.03, reader.encoder.identity.dim)
        made.append((copy, print_of(view_of_listing(copy), vector / np.linalg.norm(vector))))
    return made


def fill(store: Store, reader: OfferReader, rng: random.Random, bans: int, live: int) -> None:
    """Put bans and live listings into an empty store, many a transaction."""
    records = [
        prepare_change(
            BanRecord(
                f"ban-{i}", "banned", "benchmark", "banned", "", item_body(one, None, mark, reader.made_by)
            )
        )
        for i, (one, mark) in enumerate(offers(bans, reader, rng))
    ]
    for start in range(0, len(records), 500):
        store.writer.submit(records[start : start + 500]).result()
    rows = [
        CatalogueRow("shop", one.id, one.model_dump(mode="json", exclude_defaults=True), mark, reader.made_by)
        for one, mark in offers(live, reader, rng)
    ]
    for start in range(0, len(rows), 5_000):
        with writing(store.engine) as connection:
            put_rows(connection, rows[start : start + 5_000], 0)
