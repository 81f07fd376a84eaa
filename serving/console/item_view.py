"""What the page of one listing shows, worked out from the record. Pure."""

from __future__ import annotations

import itertools
import re
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from serving.store.decisions import StoredDecision

_LIST = re.compile(r"^([a-z_]+)[.\[](\d+|.+?)\]?$")
_WEIGHTY = 0.5


@dataclass(frozen=True, slots=True)
class Piece:
    """A stretch of the seller's text; ``tone`` is "", ``more``, ``less`` (weaker) or ``against``."""

    text: str
    tone: str = ""
    hazards: tuple[str, ...] = ()
    weight: float = 0.0


@dataclass(frozen=True, slots=True)
class TextField:
    """A field of the listing with the words marked that moved the score."""

    name: str
    label: str
    pieces: tuple[Piece, ...]


@dataclass(frozen=True, slots=True)
class WordLine:
    """Words of the seller with the hazards they speak for, the heaviest first."""

    text: str
    field: str
    hazards: tuple[str, ...]
    weight: float


@dataclass(frozen=True, slots=True)
class PhotoLine:
    """A photo: ``position`` of a stored one, or only its address, which is never fetched by the page."""

    position: int | None
    address: str


def pieces_of(text: str, phrases: Iterable[Mapping[str, Any]]) -> tuple[Piece, ...]:
    """Cut a text at the borders of the marked phrases; overlaps and wrong positions are tolerated.

    Parameters
    ----------
    phrases
        With ``start``, ``end``, ``weight``, ``hazard``; positions in ``text``.
    """
    spans = [
        (max(0, int(p["start"])), min(len(text), int(p["end"])), float(p["weight"]), str(p["hazard"]))
        for p in phrases
    ]
    spans = [span for span in spans if span[0] < span[1]]
    if not spans:
        return (Piece(text),) if text else ()
    heaviest = max(abs(span[2]) for span in spans)
    cuts = sorted({0, len(text), *(edge for span in spans for edge in span[:2])})
    found: list[Piece] = []
    for start, end in itertools.pairwise(cuts):
        over = [span for span in spans if span[0] <= start and span[1] >= end]
        if not over:
            found.append(Piece(text[start:end]))
            continue
        top = max(over, key=lambda span: abs(span[2]))
        tone = "against" if top[2] < 0 else ("more" if top[2] >= _WEIGHTY * heaviest else "less")
        hazards = tuple(dict.fromkeys(s[3] for s in sorted(over, key=lambda s: -abs(s[2])) if s[3]))
        found.append(Piece(text[start:end], tone, hazards, top[2]))
    return tuple(found)


def text_fields(listing: Mapping[str, Any], phrases: Sequence[Mapping[str, Any]]) -> tuple[TextField, ...]:
    """Return the listing's texts with marks: title, description, bullets, attributes, brand."""
    by_field: dict[str, list[Mapping[str, Any]]] = {}
    for phrase in phrases:
        by_field.setdefault(_plain_field(str(phrase.get("field", ""))), []).append(phrase)
    found: list[TextField] = []
    for name, label, text in _texts(listing):
        if text:
            found.append(TextField(name, label, pieces_of(text, by_field.get(name, ()))))
    return tuple(found)


def _plain_field(name: str) -> str:
    """Write ``bullets[0]`` and ``bullets.0`` alike."""
    match = _LIST.match(name)
    return f"{match[1]}.{match[2]}" if match else name


def _texts(listing: Mapping[str, Any]) -> Iterable[tuple[str, str, str]]:
    for name in ("title", "brand", "description"):
        yield name, name, str(listing.get(name) or "")
    for number, bullet in enumerate(listing.get("bullets") or ()):
        yield f"bullets.{number}", "bullets", str(bullet)
    for name, value in (listing.get("attributes") or {}).items():
        yield f"attributes.{name}", str(name), str(value)


def words_of(phrases: Sequence[Mapping[str, Any]], most: int = 8) -> tuple[WordLine, ...]:
    """Return the marked words once each, the heaviest first."""
    found: dict[tuple[str, str], WordLine] = {}
    for phrase in sorted(phrases, key=lambda p: -abs(float(p["weight"]))):
        key = (str(phrase["text"]), str(phrase["field"]))
        old = found.get(key)
        hazards = (*(old.hazards if old else ()), str(phrase["hazard"]))
        weight = old.weight if old else float(phrase["weight"])
        found[key] = WordLine(*key, tuple(dict.fromkeys(hazards)), weight)
    return tuple(list(found.values())[:most])


def photos_of(listing: Mapping[str, Any], stored: Sequence[int]) -> tuple[PhotoLine, ...]:
    """Return the photos, those first whose content is stored."""
    addresses = [str(address) for address in listing.get("images") or ()]
    kept = [
        PhotoLine(position, addresses[position] if position < len(addresses) else "") for position in stored
    ]
    return (*kept, *(PhotoLine(None, a) for i, a in enumerate(addresses) if i not in set(stored)))


def phrases_of(stored: StoredDecision) -> tuple[Mapping[str, Any], ...]:
    """Return the marked words of a record, none once they were erased."""
    return tuple((stored.reasons or {}).get("reasons") or ())


def certificate_findings(stored: StoredDecision) -> tuple[str, ...]:
    """Return what was found of the claimed certificates, as far as a rule looked at it."""
    return tuple(
        dict.fromkeys(
            str(cause["got"])
            for rule in stored.body.get("rules", ())
            for cause in rule.get("causes", ())
            if cause.get("what") == "certificates"
        )
    )


def price_of(listing: Mapping[str, Any]) -> str:
    """Write a price with its currency."""
    price = listing.get("price")
    if price is None:
        return ""
    whole = isinstance(price, int) or float(price).is_integer()
    return (
        f"{price:,.0f} {listing.get('currency') or ''}"
        if whole
        else f"{price:,.2f} {listing.get('currency') or ''}"
    )


def filled(given: Mapping[str, Any] | None, names: Iterable[str]) -> dict[str, Any]:
    """Return a stored record with None for every field that was not given."""
    return dict.fromkeys(names) | dict(given or {})
