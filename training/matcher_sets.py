"""Pairs of offers to learn from: published offer pairs, listings that changed their title, and the sample."""

from __future__ import annotations

import csv
import gzip
import json
import random
import re
import zlib
from collections import Counter, defaultdict
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path

import numpy as np

from features.encoding import Encoder
from features.offer import OfferView, TokenWeights, view_of, view_of_listing
from features.offer_index import OfferIndex, Query, print_of
from features.reader import ColumnMap, RejectedRow, read_listings
from features.schema import Listing, parse_listing
from features.scripts import language
from training.matcher_fit import PairSet, embed
from training.records import LabResult, Recall
from training.retitle import relisted

PUBLISHED = ("abt-buy", "walmart-amazon-dirty", "wdc-watches-medium")
SAMPLE = Path(__file__).parent.parent / "features" / "sample"
LISTINGS = {
    "aliexpress_kr": "aliexpress_kr.jsonl.gz",
    "coupang_kr": "coupang_kr.csv.gz",
    "1688_zh": "1688_zh.csv.gz",
    "amazon_in": "amazon_in.csv.gz",
    "amazon_us_toys": "amazon_us_toys.csv.gz",
    "alibaba_toys": "alibaba_toys_959.csv.gz",
    "shein": "shein_1000.csv.gz",
    "lazada": "lazada_1000.csv.gz",
    "shopee": "shopee_1000.csv.gz",
    "resale": "resale_live_listings.csv.gz",
}
NAMES = {"cpsc": "cpsc-1973-2013/recalls.csv", "nyc": "nyc-metals/lab_results.csv"}
_BLOCK = 256
_CODED = 0.5
_LAST_PRICE = re.compile(r" (\d+\.\d{1,2})$")


def read_published(path: Path, split: str, name: str) -> PairSet:
    """Read one split of a published set of offer pairs.

    Parameters
    ----------
    path
        CSV with ``split``, ``left``, ``right`` (JSON objects) and ``label``.
    split
        ``train``, ``valid`` or ``test``.
    """
    offers: dict[str, OfferView] = {}
    left, right, same = [], [], []
    with gzip.open(path, "rt", encoding="utf-8", newline="") as stream:
        for row in csv.DictReader(stream):
            if row["split"].partition(".")[0] != split:
                continue
            for side in ("left", "right"):
                if row[side] not in offers:
                    offers[row[side]] = _published_offer(json.loads(row[side]))
            left.append(row["left"])
            right.append(row["right"])
            same.append(row["label"] == "1")
    return PairSet(
        name,
        tuple(offers[x] for x in left),
        tuple(offers[x] for x in right),
        np.array(same, bool),
        tuple(left),
    )


def _published_offer(fields: Mapping[str, str]) -> OfferView:
    rest = dict(fields)
    title = rest.pop("name", "") or rest.pop("title", "")
    rest.pop("title", None)
    price = _number(rest.pop("price", ""))
    if (
        price is None
    ):  # in the dirty set a value may stand at the end of the title instead of in its own field
        found = _LAST_PRICE.search(title)
        price = _number(found[1]) if found else None
    brand = rest.pop("brand", "")
    return view_of(title, [brand, *rest.values()], brand=brand, price=price)


def _number(text: str) -> float | None:
    try:
        return float(text) or None
    except ValueError:
        return None


def read_snapshots(path: Path) -> dict[str, list[tuple[str, OfferView]]]:
    """Read listings seen on several days: id -> (title, offer) of each different title, the oldest first."""
    seen: dict[str, dict[str, OfferView]] = defaultdict(dict)
    with gzip.open(path, "rt", encoding="utf-8", newline="") as stream:
        rows = sorted(csv.DictReader(stream), key=lambda row: [int(x) for x in row["update_time"].split("/")])
        for row in rows:
            title = row["title"].strip()
            if title and title not in seen[row["id"]]:
                seen[row["id"]][title] = view_of(
                    title, price=_number(row["price"]), currency="CNY", seller=row["店名"]
                )
    return {key: list(titles.items()) for key, titles in seen.items()}


def hard_pairs(
    queries: Sequence[int],
    offers: Sequence[OfferView],
    vectors: np.ndarray,
    owner: Sequence[str],
    count: int,
) -> Iterator[tuple[int, int]]:
    """Yield (query, other) for the nearest offers of other owners, ``count`` by meaning and ``count`` by words.

    They are found as the service finds them, so that training sees the pairs that the service will see.
    """
    index = OfferIndex(vectors.shape[1])
    index.add([(str(i), print_of(o, v)) for i, (o, v) in enumerate(zip(offers, vectors, strict=True))])
    weights = TokenWeights.fit(offers)
    own = Counter(owner)
    k = count + max(own.values())
    for start in range(0, len(queries), _BLOCK):
        block = queries[start : start + _BLOCK]
        found = index.nearest_many([Query.of(offers[i], vectors[i], weights) for i in block], k)
        for query, near in zip(block, found, strict=True):
            others = [one for one in near if owner[int(one.key)] != owner[query]]
            by_words = sorted(others, key=lambda one: -one.words)
            yield from ((query, int(one.key)) for one in (*others[:count], *by_words[:count]))


def pair_set(
    name: str,
    offers: Sequence[OfferView],
    owner: Sequence[str],
    same: Sequence[tuple[int, int]],
    encoder: Encoder,
    *,
    hard: int,
    seed: int,
) -> PairSet:
    """Join pairs of one product with their most tempting wrong partners and a few at random.

    Offers whose titles are equal are taken for one product whatever their owner, and are no wrong partners.
    """
    known = embed(encoder, offers)
    vectors = np.array([known[offer.title] for offer in offers])
    rng = random.Random(seed)  # noqa: S311  (not a secret: pairs to learn from)
    queries = sorted({offer for pair in same for offer in pair})
    wrong = set(hard_pairs(queries, offers, vectors, owner, hard))
    wrong |= {(b, rng.randrange(len(offers))) for _, b in same}
    different = [
        (a, b) for a, b in sorted(wrong) if owner[a] != owner[b] and offers[a].title != offers[b].title
    ]
    pairs = [*same, *different]
    return PairSet(
        name,
        tuple(offers[a] for a, _ in pairs),
        tuple(offers[b] for _, b in pairs),
        np.arange(len(pairs)) < len(same),
        tuple(owner[a] for a, _ in pairs),
    )


def retitled_set(
    snapshots: Mapping[str, Sequence[tuple[str, OfferView]]], encoder: Encoder, name: str, *, hard: int = 3
) -> PairSet:
    """Pair the first and each later title of listings that changed theirs."""
    offers: list[OfferView] = []
    owner: list[str] = []
    same: list[tuple[int, int]] = []
    for key in sorted(snapshots):
        first = len(offers)
        for _, offer in snapshots[key]:
            if len(offers) > first:
                same.append((first, len(offers)))
            offers.append(offer)
            owner.append(key)
    return pair_set(name, offers, owner, same, encoder, hard=hard, seed=0)


def part_of(key: str) -> int:
    """Return the part of a real listing, 0 to 3: 0 makes pairs, 2 sets the points, 1 and 3 measure."""
    return zlib.crc32(key.encode("utf-8", "replace")) % 4


def read_real(data: Path, part: int) -> list[tuple[str, Listing]]:
    """Read one part of the real listings below a data folder, each different title once: (key, listing)."""
    found: dict[str, tuple[str, Listing]] = {}
    for columns, name in LISTINGS.items():
        path = data / "listings" / name
        if not path.is_file():
            continue
        for row in read_listings(path, ColumnMap.named(columns)):
            if not isinstance(row, RejectedRow) and part_of(key := f"{columns}/{row.id}") == part:
                found.setdefault(row.title, (key, row))
    return list(found.values())


def read_names(data: Path) -> list[tuple[str, Listing]]:
    """Read names of recalled and tested goods whose terms let them be trained on: (name, listing of that name)."""
    from training.sources import SOURCES

    names: dict[str, None] = {}
    for source, path in NAMES.items():
        for record in SOURCES[source].read(data / path):
            if isinstance(record, Recall):
                names |= dict.fromkeys(record.product_names)
            elif isinstance(record, LabResult):
                names[record.product_name] = None
    kept = dict.fromkeys(" ".join(name.split())[:300] for name in names)
    return [(name.lower(), Listing(id=name[:200], title=name)) for name in kept if len(name) > 8]


def read_sample(half: str = "dev", folder: Path = SAMPLE) -> list[tuple[str, Listing]]:
    """Read one half of the sample catalogue: (product, listing)."""
    truth = {row["id"]: row for row in _lines(folder / "truth.jsonl")}
    listings = map(parse_listing, _lines(folder / "catalogue.jsonl"))
    return [(truth[x.id]["product"], x) for x in listings if truth[x.id]["half"] == half]


def _add_coded(
    listing: Listing,
    product: str,
    offers: list[OfferView],
    owner: list[str],
    same: list[tuple[int, int]],
    rng: random.Random,
) -> None:
    """Add the listing with a model code, its re-listing with the same code, and twins that differ in the code."""
    code, twin = model_code(rng), model_code(rng)
    near = code[:-1] + rng.choice([sign for sign in "0123456789" if sign != code[-1]])
    for name, used in (("own", code), ("own", code), ("near", near), ("twin", twin)):
        said = listing if len(offers) % 2 else relisted(listing, rng, language(listing.title))
        written = used if rng.random() < 0.6 else used.replace("-", rng.choice(("", " ", "/")))
        if name == "own" and owner and owner[-1] == f"{product}/own":
            same.append((len(offers) - 1, len(offers)))
        title = f"{said.title[:900]} {written}" if rng.random() < 0.5 else f"{written} {said.title[:900]}"
        offers.append(view_of_listing(said.model_copy(update={"title": title})))
        owner.append(f"{product}/{name}")


def model_code(rng: random.Random) -> str:
    """Make up a model code such as ``KX-2041``."""
    letters = "".join(rng.choice("ABCDEFGHKLMNPRSTVWX") for _ in range(rng.randint(1, 4)))
    return f"{letters}{rng.choice(('', '-'))}{rng.randint(100, 99_999)}"


def _lines(path: Path) -> Iterator[dict[str, str]]:
    with path.open(encoding="utf-8") as stream:
        yield from map(json.loads, stream)


def sample_set(
    sample: Sequence[tuple[str, Listing]],
    encoder: Encoder,
    *,
    copies: int = 3,
    hard: int = 3,
    seed: int = 0,
    name: str = "sample",
) -> PairSet:
    """Pair the sample's listings with what re-listers make of them, and with the same product's other languages."""
    rng = random.Random(seed)  # noqa: S311  (not a secret: pairs to learn from)
    offers: list[OfferView] = []
    owner: list[str] = []
    same: list[tuple[int, int]] = []
    first_of: dict[str, list[int]] = defaultdict(list)
    for product, listing in sample:
        original = len(offers)
        offers.append(view_of_listing(listing))
        owner.append(product)
        same += [(other, original) for other in first_of[product][-1:]]
        first_of[product].append(original)
        for _ in range(copies):
            same.append((original, len(offers)))
            offers.append(view_of_listing(relisted(listing, rng, language(listing.title))))
            owner.append(product)
        if rng.random() < _CODED:
            _add_coded(listing, f"{product}/{listing.id}", offers, owner, same, rng)
    return pair_set(name, offers, owner, same, encoder, hard=hard, seed=seed)
