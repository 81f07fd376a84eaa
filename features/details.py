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
