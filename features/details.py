"""What a seller says outside the title, in pieces that can be read like a title: attribute values, bullets, sentences.

Sellers who are banned give the goods a bland title and name them in an attribute or at the end of a long description.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import dataclass

from features.schema import Listing

MOST_PIECES = 60
LONGEST = 240
_MOST_VALUES = _MOST_SENTENCES = 2
_TAIL, _LEAST_EAST_ASIAN = 500, 8
# A description is read from both ends; what is told in the middle of a very long one is not.
_FROM_EACH_END = 1_500
_SENTENCE = re.compile(r"[^.!?。！？;；\n\r]+(?:\.(?=\d)[^.!?。！？;；\n\r]+)*")


@dataclass(frozen=True, slots=True)
class Piece:
    """One piece of a field; ``start`` is its position in the field's text."""

    field: str
    start: int
    text: str


def pieces(listing: Listing) -> Iterator[Piece]:
    """Yield attribute values, bullets and sentences of the description, at most `MOST_PIECES`.

    Attributes come first, then bullets, then the description from its end: goods are hidden there last.
    """
    found = 0
    for piece in _all(listing):
        if len(piece.text.strip()) >= 2:
            yield piece
            found += 1
            if found >= MOST_PIECES:
                return


def title_like(listing: Listing) -> list[str]:
    """Return what could be a title among the attributes and at the end of the description, a few at most."""
    values = [value for value in listing.attributes.values() if _like_a_title(value)]
    values = sorted(values, key=len, reverse=True)[:_MOST_VALUES]
    found = [value[:LONGEST] for value in values]
    if listing.description:
        tail = listing.description[-_TAIL:]
        last = [match.group().strip() for match in _SENTENCE.finditer(tail)]
        found += [text[-LONGEST:] for text in last[-_MOST_SENTENCES:] if _like_a_title(text)]
    return found


def _like_a_title(text: str) -> bool:
    return text.count(" ") >= 2 or (not text.isascii() and len(text) >= _LEAST_EAST_ASIAN)


def _all(listing: Listing) -> Iterator[Piece]:
    for name, value in listing.attributes.items():
        yield Piece(f"attributes.{name}", 0, value[:LONGEST])
    for at, bullet in enumerate(listing.bullets):
        yield Piece(f"bullets.{at}", 0, bullet[:LONGEST])
    yield from reversed(list(_sentences(listing.description)))


def _sentences(text: str) -> Iterator[Piece]:
    middle = range(_FROM_EACH_END, max(_FROM_EACH_END, len(text) - _FROM_EACH_END))
    for match in _SENTENCE.finditer(text):
        if match.start() not in middle:
            # A sentence that never ends keeps its end: what is hidden stands there.
            start = max(match.start(), match.end() - LONGEST)
            yield Piece("description", start, text[start : match.end()])
