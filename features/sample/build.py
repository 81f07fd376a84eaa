"""Builds the sample catalogue from its hand-written sources.

Run ``python -m features.sample.build`` after an edit of the sources. Nothing here is drawn at random: what is not
written by hand (prices in other currencies, sellers, counts, dates) follows from a hash of the product key.
"""

from __future__ import annotations

import hashlib
import json
from collections import defaultdict
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import yaml

from features.sample.disguise import disguise
from features.sample.results import past_results

FOLDER = Path(__file__).parent
LANGUAGES = ("ko", "en", "zh")
_CURRENCIES = {"ko": ("KRW", 1.0), "en": ("USD", 1 / 1380), "zh": ("CNY", 1 / 192)}
_HIDDEN_IN_TEXT = {"buried", "attributes", "homophone"}
_FIRST_DAY = datetime(2026, 1, 5, tzinfo=UTC)
_Raw = Mapping[str, Any]


@dataclass(frozen=True, slots=True)
class Sources:
    """What was written by hand: products, evasive variants, past results and the tables all draw on."""

    products: tuple[_Raw, ...]
    evasive: tuple[_Raw, ...]
    past: Mapping[str, Sequence[Sequence[Any]]]
    reference: _Raw


def read_sources(folder: Path = FOLDER) -> Sources:
    """Read the hand-written YAML files of the sample.

    Parameters
    ----------
    folder
        Holds ``products/*.yaml``, ``evasive.yaml``, ``past_results.yaml`` and ``reference.yaml``.

    Returns
    -------
    Sources
        Products sorted by key.

    Raises
    ------
    ValueError
        When a product key is used twice.
    """
    products = [item for path in sorted((folder / "products").glob("*.yaml")) for item in _load(path)]
    products.sort(key=lambda item: item["key"])
    keys = [item["key"] for item in products]
    twice = sorted({key for key in keys if keys.count(key) > 1})
    if twice:
        raise ValueError(f"product keys used twice: {twice}; each product needs its own key")
    return Sources(
        products=tuple(products),
        evasive=tuple(_load(folder / "evasive.yaml")),
        past=_load(folder / "past_results.yaml"),
        reference=_load(folder / "reference.yaml"),
    )


def halves(products: Sequence[_Raw]) -> dict[str, str]:
    """Assign each product to ``dev`` or ``test``.

    Within a stratum (the first hazard; covert cameras by whether they name themselves; harmless goods by kind) products
    are ordered by the SHA-256 of their key and dealt out in turn. Which half starts alternates from one stratum to the
    next. The stratum, not the split, is all that is chosen by hand.

    Returns
    -------
    dict
        Product key to half. Every listing of a product is on the same side.
    """
    strata: dict[str, list[str]] = defaultdict(list)
    for product in products:
        strata[_stratum(product["is"])].append(product["key"])
    result = {}
    for number, name in enumerate(sorted(strata)):
        for rank, key in enumerate(sorted(strata[name], key=_digest)):
            result[key] = ("test", "dev")[(rank + number) % 2]
    return result


def build(sources: Sources) -> tuple[list[dict[str, Any]], list[dict[str, Any]]]:
    """Make listings and their truth.

    Parameters
    ----------
    sources
        From :func:`read_sources`.

    Returns
    -------
    listings
        Plain listings in the form of ``features.schema``, three a product, then the evasive variants.
    truth
        One row a listing, in the same order. No word of it stands in the listings.
    """
    half = halves(sources.products)
    by_key = {product["key"]: product for product in sources.products}
    offers = [*_plain(sources.products), *_evasive(sources.evasive)]
    listings = [_listing(offer, by_key[offer["of"]], sources.reference) for offer in offers]
    truth = [
        _truth(listing["id"], offer, by_key[offer["of"]]["is"], half[offer["of"]])
        for listing, offer in zip(listings, offers, strict=True)
    ]
    return listings, truth


def as_jsonl(rows: Iterable[_Raw]) -> str:
    """One JSON object a line, characters unescaped except those that cannot be seen."""
    return "".join(_visible(json.dumps(row, ensure_ascii=False)) + "\n" for row in rows)


def lock(truth: Sequence[_Raw], listings: Sequence[_Raw]) -> str:
    """SHA-256 of the test half: its listings and their truth, in order."""
    rows = [row for row, fact in zip(listings, truth, strict=True) if fact["half"] == "test"] + [
        fact for fact in truth if fact["half"] == "test"
    ]
    return hashlib.sha256(as_jsonl(rows).encode()).hexdigest()


def _load(path: Path) -> Any:
    return yaml.safe_load(path.read_text(encoding="utf-8"))


def _digest(text: str) -> str:
    return hashlib.sha256(text.encode()).hexdigest()


def _draw(text: str, below: int) -> int:
    """A number from 0 to ``below`` - 1 that depends on the text alone."""
    return int(_digest(text)[:12], 16) % below


def _stratum(facts: _Raw) -> str:
    if not facts["hazards"]:
        return f"harmless {facts['kind']}"
    named = f" named {facts['names_itself']}" if "names_itself" in facts else ""
    return facts["hazards"][0] + named


def _plain(products: Sequence[_Raw]) -> Iterator[dict[str, Any]]:
    for product in products:
        for language in LANGUAGES:
            yield {"of": product["key"], "lang": language, "kind": None, **product[language]}


def _evasive(variants: Sequence[_Raw]) -> Iterator[dict[str, Any]]:
    for variant in variants:
        title = variant["t"]
        if variant["kind"] not in _HIDDEN_IN_TEXT:
            title = disguise(title, variant["kind"])
        yield {"d": "", **variant, "t": title}


def _listing(offer: _Raw, product: _Raw, reference: _Raw) -> dict[str, Any]:
    language, sold = offer["lang"], product["sold"]
    seed = f"{offer['of']}/{language}/{offer['kind'] or 'plain'}"
    category = reference["categories"][sold["cat"]]
    created = _FIRST_DAY + timedelta(minutes=_draw(seed + "/created", 270 * 24 * 60))
    countries = reference["countries"]
    origin = sold.get("origin", "CN")
    listing: dict[str, Any] = {
        "id": "smp-" + _digest(seed)[:10],
        "title": offer["t"],
        "description": offer["d"],
        "bullets": list(offer.get("b", [])),
        "attributes": {str(name): str(value) for name, value in offer.get("a", {}).items()},
        "category": list(category[language]),
        "brand": sold.get("brand"),
        "price": _price(sold["krw"], language, seed),
        "currency": _CURRENCIES[language][0],
        "seller": _seller(reference["sellers"][category["shop"]][language], seed, created),
        "origin": countries[origin][language] if _draw(seed + "/origin", 8) else None,
        "ship_from": countries[origin][language],
        "target_age": reference["ages"][sold["age"]][language] if "age" in sold else None,
        "certificates": [
            *({"kind": "KC", "number": number} for number in sold.get("kc", [])),
            *({"kind": mark} for mark in sold.get("marks", [])),
        ],
        "units_sold": round(10 ** (_draw(seed + "/units", 400) / 100)) if _draw(seed + "/new", 9) else None,
        "rating": (34 + _draw(seed + "/rating", 16)) / 10 if _draw(seed + "/rated", 7) else None,
        "market": "KR",
        "marketplace": reference["marketplaces"][language],
        "created_at": created.isoformat(),
    }
    return {name: value for name, value in listing.items() if value not in (None, "", [], {})}


def _price(krw: float, language: str, seed: str) -> float:
    if language == "ko":
        return krw
    jitter = 0.9 + _draw(seed + "/price", 21) / 100
    amount = krw * _CURRENCIES[language][1] * jitter
    return max(round(amount), 1) - 0.01 if language == "en" else round(amount, 1)


def _seller(choices: Sequence[Sequence[Any]], seed: str, created: datetime) -> dict[str, Any]:
    identity, name, country, listings, removed, tested, failed, strikes, first = choices[
        _draw(seed + "/seller", len(choices))
    ]
    history = {
        "as_of": created.isoformat(),
        "first_seen": f"{first}-03-01T00:00:00+00:00",
        "listings": listings,
        "removed": removed,
        "tested": tested,
        "failed": failed,
        "strikes": strikes,
    }
    return {"id": identity, "name": name, "country": country, "history": history}


def _truth(listing_id: str, offer: _Raw, facts: _Raw, half: str) -> dict[str, Any]:
    return {
        "id": listing_id,
        "product": offer["of"],
        "language": offer["lang"],
        "half": half,
        "hazards": list(facts["hazards"]),
        "group": facts["group"],
        "audience": facts["audience"],
        "evasion": offer["kind"],
        "lookalike": facts.get("kind") in {"lookalike", "camera_negative"},
        "names_itself": facts.get("names_itself", False),
    }


def _visible(text: str) -> str:
    """Escape zero-width characters, so that the file shows what it holds."""
    return "".join(f"\\u{ord(c):04x}" if c in "\u200b\u200c\u200d\u2060\ufeff" else c for c in text)


def main() -> None:
    """Write catalogue.jsonl, truth.jsonl, past_results.jsonl and test_half.sha256 beside this module."""
    sources = read_sources()
    listings, truth = build(sources)
    (FOLDER / "past_results.jsonl").write_text(as_jsonl(past_results(sources.past)), encoding="utf-8")
    (FOLDER / "catalogue.jsonl").write_text(as_jsonl(listings), encoding="utf-8")
    (FOLDER / "truth.jsonl").write_text(as_jsonl(truth), encoding="utf-8")
    (FOLDER / "test_half.sha256").write_text(lock(truth, listings) + "\n", encoding="utf-8")


if __name__ == "__main__":
    main()
