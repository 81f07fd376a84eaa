"""What two offers of one product have in common: words, model codes, numbers with units, brand and price.

An offer is read once into an `OfferView`; `features.offer_pairs` compares two of them. Words are single words of
scripts that put spaces, and pairs of neighbouring characters of Hangul, Han and kana, where spaces say little.
"""

from __future__ import annotations

import math
import re
import unicodedata
import zlib
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from functools import cached_property
from sys import intern

import numpy as np

from features.normalize import normalize
from features.schema import Listing
from features.titles import title_of

TITLE_MAX = 600
REST_MAX = 4_000
TOKENS_MAX = 400
CODES_MAX = 40
IDF_BITS = 16

_PART = re.compile(
    r"\d+(?:[.,]\d+)*|[^\W\d_가-힣ㄱ-ㅣ\u3040-\u30ff\u3400-\u9fff]+|[가-힣]+|[\u3400-\u9fff]+|[\u3040-\u30ff]+"
)
_PLAIN_NUMBER = re.compile(r"\d+(?:[.,]\d+)*")
_SPACELESS = re.compile("[가-힣\u3040-\u30ff\u3400-\u9fff]")
_CODE = re.compile(r"[a-z0-9][a-z0-9\-/_.+#]{2,38}[a-z0-9]")
_UNITS = (
    "gb|tb|mb|kb|ghz|mhz|hz|mah|wh|kw|w|v|ml|cl|l|kg|mg|g|oz|lb|lbs|mm|cm|m|km|in|inch|inches|ft|yd|x|p|k|pcs|pc|pack|"
    "set|ea|ct|count|mp|fps|dpi|rpm|bit|ch|channel|port|way|pin|year|years|month|months|day|days|hr|hrs|hour|hours|th|st|nd|rd|s"
)
_MEASURE = re.compile(rf"(\d+(?:\.\d+)?)(?:{_UNITS})")
_MEASURES = re.compile(
    rf"(?<![a-z0-9.])(\d+(?:\.\d+)?)\s?-?(?:({_UNITS})(?![a-z0-9])"
    "|(개입|개|매|장|병|팩|세트|정|인치|색|단|종|호|粒|片|瓶|支|只|个|件|套|盒|袋|包|寸|码|号|色|克|毫升|升|厘米|毫米|米)|['\"])"
)
_SAME_UNIT = {"inch": "in", "inches": "in", "'": "in", '"': "in", "인치": "in", "寸": "in", "pc": "pcs", "ea": "pcs",
              "개": "pcs", "개입": "pcs", "个": "pcs", "件": "pcs", "粒": "pcs", "只": "pcs", "count": "ct",
              "毫升": "ml", "克": "g", "升": "l", "厘米": "cm", "毫米": "mm", "米": "m", "lbs": "lb", "hrs": "hr",
              "hours": "hr", "hour": "hr", "channel": "ch"}  # fmt: skip


def tokens_of(text: str) -> tuple[str, ...]:
    """Words of a normalised text in their order, with repeats: whole Latin words, pairs of CJK characters."""
    found: list[str] = []
    for part in _PART.findall(text):
        if _SPACELESS.match(part) and len(part) > 2:
            found.extend(part[at : at + 2] for at in range(len(part) - 1))
        else:
            found.append(part)
        if len(found) >= TOKENS_MAX:
            break
    # Thousands of offers are kept, and they share most of their words.
    return tuple(map(intern, found[:TOKENS_MAX]))


def bucket(token: str) -> int:
    """Return the bucket of a token, 0 to 2**16 - 1; the same on every machine."""
    return zlib.crc32(token.encode("utf-8", "replace")) >> (32 - IDF_BITS)


def _plain(text: str) -> str:
    return unicodedata.normalize("NFKC", text).lower()


def _squeeze(text: str) -> str:
    return "".join(char for char in text if char.isalnum())


def codes_of(text: str) -> frozenset[str]:
    """Model codes in a lower-case text, without their hyphens and slashes: ``DAV-IS50/B`` is ``davis50b``.

    A code has a figure in it, four characters at least, and is no measure such as ``500gb``.
    """
    found: set[str] = set()
    for raw in _CODE.findall(text):
        code = _squeeze(raw)
        if len(code) < 4 or not any(c.isdigit() for c in code):
            continue
        if code.isdigit() and (len(code) < 5 or "." in raw):
            continue
        if _MEASURE.fullmatch(code) or (_PLAIN_NUMBER.fullmatch(raw) and len(code) < 5):
            continue
        found.add(code)
        if len(found) >= CODES_MAX:
            break
    return frozenset(found)


def measures_of(text: str) -> frozenset[tuple[str, float]]:
    """Numbers with their units, such as ``("gb", 500.0)``, spellings of one unit brought together."""
    found: set[tuple[str, float]] = set()
    for number, unit, other in _MEASURES.findall(text):
        name = unit or other or "in"
        found.add((_SAME_UNIT.get(name, name), float(number[:12])))
    return frozenset(found)


@dataclass(frozen=True)
class OfferView:
    """An offer as it is compared; what costs time is read at its first use, since most offers are only searched with.

    Attributes
    ----------
    title
        Normalised title.
    written
        The title as the seller wrote it, its first 600 characters.
    rest
        Everything else that describes the goods, as written, in parts; the first 4,000 characters are read.
    brand_written, seller_written
        As given; "" where not given.
    price, currency
        None and "" where not given.
    """

    title: str
    written: str
    rest: tuple[str, ...] = ()
    brand_written: str = ""
    price: float | None = None
    currency: str = ""
    seller_written: str = ""

    @cached_property
    def brand(self) -> str:
        """Normalised; "" where not given."""
        return normalize(self.brand_written).text if self.brand_written else ""

    @cached_property
    def seller(self) -> str:
        """Normalised seller identity, "" where not given."""
        return normalize(self.seller_written).text if self.seller_written else ""

    @cached_property
    def _tail(self) -> str:
        return normalize(" ".join(self.rest)[:REST_MAX]).text

    @property
    def text(self) -> str:
        """Title and everything else that describes the goods, normalised."""
        return f"{self.title} {self._tail}" if self._tail else self.title

    @cached_property
    def tokens(self) -> tuple[str, ...]:
        """Words of the title."""
        return tokens_of(self.title)

    @property
    def all_tokens(self) -> tuple[str, ...]:
        """Words of the whole offer."""
        return tokens_of(self.text) if self._tail else self.tokens

    @cached_property
    def _plain(self) -> str:
        # Codes are read off the plain text: undoing evasive spelling may take a figure in a code for a letter.
        return _plain(self.written)

    @cached_property
    def codes(self) -> frozenset[str]:
        """Model codes anywhere in the offer."""
        return codes_of(self._plain) | codes_of(self._tail)

    @cached_property
    def measures(self) -> frozenset[tuple[str, float]]:
        """Numbers with units anywhere in the title."""
        return measures_of(self._plain)

    @cached_property
    def token_set(self) -> frozenset[str]:
        """Different words of the title."""
        return frozenset(self.tokens)

    @cached_property
    def _all_words(self) -> tuple[str, ...]:
        return tuple(dict.fromkeys(self.all_tokens))

    @property
    def all_set(self) -> frozenset[str]:
        """Different words of the whole offer; made anew each time, as a set kept takes seven times the memory."""
        return frozenset(self._all_words) if self._tail else self.token_set

    @cached_property
    def squeezed(self) -> str:
        """Letters and figures of the whole offer in one row: a code is found however it is parted."""
        return _squeeze(self.text)

    @cached_property
    def grams(self) -> tuple[str, ...]:
        """Different runs of three characters of the title, and of two where it is written without spaces."""
        padded = f" {self.title} "
        found = dict.fromkeys(padded[at : at + 3] for at in range(len(padded) - 2))
        if self.spaceless:
            found |= dict.fromkeys(padded[at : at + 2] for at in range(len(padded) - 1))
        return tuple(map(intern, found))

    @cached_property
    def spaceless(self) -> bool:
        """Whether the title is written mostly without Latin letters."""
        return len(_SPACELESS.findall(self.title)) * 2 > len(self.squeezed_title)

    @cached_property
    def squeezed_title(self) -> str:
        """Letters and figures of the title in one row."""
        return _squeeze(self.title)


def view_of(
    title: str,
    rest: Iterable[str] = (),
    *,
    brand: str = "",
    price: float | None = None,
    currency: str = "",
    seller: str = "",
) -> OfferView:
    """Read an offer.

    Parameters
    ----------
    title
        As the seller wrote it.
    rest
        Brand, attributes, bullets, description: what else describes the goods.
    price
        A price of 0 or below counts as not given.
    """
    return OfferView(
        title=title_of(title[:TITLE_MAX]).text,
        written=title[:TITLE_MAX],
        rest=tuple(part for part in rest if part),
        brand_written=brand,
        price=price if price is not None and price > 0 and math.isfinite(price) else None,
        currency=currency,
        seller_written=seller,
    )


def view_of_listing(listing: Listing) -> OfferView:
    """Read a listing; the seller is its identifier, or its name where it has none."""
    seller = listing.seller
    rest = [listing.brand or "", *listing.attributes.values(), *listing.bullets, listing.description]
    return view_of(
        listing.title,
        rest,
        brand=listing.brand or "",
        price=listing.price,
        currency=listing.currency or "",
        seller=((seller.id or seller.name) if seller else "") or "",
    )


@dataclass(frozen=True, slots=True)
class TokenWeights:
    """How telling a word is: inverse document frequency in hashed buckets.

    Attributes
    ----------
    idf
        ndarray of shape (65536,), float32, natural logarithm; words never seen have the largest value.
    """

    idf: np.ndarray

    @classmethod
    def fit(cls, offers: Sequence[OfferView]) -> TokenWeights:
        """Count in how many offers each bucket occurs."""
        counts = np.zeros(1 << IDF_BITS, np.int64)
        for offer in offers:
            counts[[bucket(token) for token in offer.all_set.union(offer.grams)]] += 1
        return cls(np.log((1.0 + len(offers)) / (1.0 + counts)).astype(np.float32) + np.float32(0.1))

    def of(self, token: str) -> float:
        """Return the weight of one word."""
        return float(self.idf[bucket(token)])
