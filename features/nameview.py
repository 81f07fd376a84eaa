"""The name-only view: every title as a short product name, the same in training and serving.

A regulator writes "Wooden Rattle", a seller "2024 NEW Wooden Rattle 3pcs for Baby FREE SHIPPING!!". A model
that sees both as they are learns who wrote them. The view keeps the goods and what they are made of, and
drops praise, shipping, counts, sizes, model numbers, the brand and the words that name a hazard.
"""

from __future__ import annotations

import re
from bisect import bisect_right
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from functools import cache
from importlib import resources
from typing import Protocol

from features.lexicon import TermFinder
from features.normalize import Normalized, normalize
from features.schema import Listing
from features.yaml_text import read_yaml

MAX_LENGTH = 300


class HazardTerms(Protocol):
    """What the view needs of a hazard: the words that name it, by language."""

    @property
    def mask_terms(self) -> Mapping[str, Iterable[str]]:
        """Terms by language code."""
        ...


class HazardList(Protocol):
    """What the view needs of a taxonomy."""

    @property
    def hazards(self) -> Iterable[HazardTerms]:
        """Hazards in any order."""
        ...


@dataclass(frozen=True, slots=True)
class NameViewOptions:
    """What the view keeps.

    Attributes
    ----------
    drop_brand
        Remove the listing's own brand: it tells products apart, hardly hazards, and a recall's maker would
        give the recall away.
    category
        Add words of the leaf category that the title lacks. Off: it makes listings and recalls easier to tell
        apart (style probe on word shapes 0.81 without, 0.88 with; 1,500 CPSC names against 1,500 listings).
    attributes
        Add words of the material that the title lacks.
    max_words
        Keep the first words only; 0 keeps all. Six brought the same probe to 0.67, at the cost of what
        sellers write last.
    max_length
        Characters of the view at most; whole words only.
    """

    drop_brand: bool = True
    category: bool = False
    attributes: bool = True
    max_words: int = 0
    max_length: int = MAX_LENGTH


@dataclass(frozen=True, slots=True)
class NameView:
    """The view and the way back to the title.

    Attributes
    ----------
    text
        Lower-case words parted by single spaces.
    title
        The normalised title that it was made from.
    starts, origins
        For each word of ``text``: where it begins there, and in ``title.text``; -1 for a word that came
        from the category or an attribute.
    """

    text: str
    title: Normalized
    starts: tuple[int, ...]
    origins: tuple[int, ...]

    def span_in_title(self, start: int, end: int) -> tuple[int, int] | None:
        """Positions in the seller's title of ``text[start:end]``; None where nothing of it is in the title."""
        if end <= start or not self.starts:
            return None
        first = max(bisect_right(self.starts, start) - 1, 0)
        last = max(bisect_right(self.starts, end - 1) - 1, 0)
        words = [i for i in range(first, last + 1) if self.origins[i] >= 0]
        if not words:
            return None
        first, last = words[0], words[-1]
        begin = self.origins[first] + max(start - self.starts[first], 0)
        finish = self.origins[last] + min(end - self.starts[last], self._length(last))
        return self.title.span(begin, finish)

    def quote(self, start: int, end: int) -> str:
        """What the seller wrote for ``text[start:end]``, or the empty string."""
        span = self.span_in_title(start, end)
        return self.title.original[span[0] : span[1]] if span else ""

    def _length(self, word: int) -> int:
        after = self.starts[word + 1] - 1 if word + 1 < len(self.starts) else len(self.text)
        return after - self.starts[word]


_UNITS = (
    "pcs?|pieces?|packs?|pk|ct|count|pairs?|sets?|rolls?|sheets?|mm|cm|m|km|inch(?:es)?|in|ft|feet|yd|yards?|oz|lbs?|kg|mg|g|"
    "ml|l|liters?|litres?|ltrs?|gal(?:lons?)?|v|volts?|w|watts?|kw|mah|ah|a|amps?|hz|khz|ghz|mhz|gb|tb|mb|rpm|db|lm|lumens?|"
    "ppi|dpi|mp|k|x|p|t|d|s|years?|yrs?|months?|days?|hours?|hrs?|h|min|colou?rs?|styles?|designs?|sizes?|st|nd|rd|th|tons?|stars?|"
    "개입|개월|개|매입|매|장|세트|팩|박스|묶음|켤레|쌍|종|색|인용|인치|호|년형|년|월|일|세|살|단|구|미터|리터|그램|킬로|원|"
    "个|只|件|片|装|套|支|盒|包|瓶|条|双|对|米|厘米|毫米|克|千克|毫升|升|款|色|号|岁|寸|年|月|天|元|张|根|颗|粒|层|级|档"
)
_NUMBER = r"\d+(?:[.,/x×*~:+\-]\d+)*"
_KEEP = r"(?!(?:3d|mp[34]|18650|cr\d{4}|lr\d{2}|4wd)(?![a-z0-9]))"
_PUNCTUATION = (
    r"[!-/:-@\[-`{-~\u00a1-\u00bf×÷\u2000-\u206f\u2070-\u2bff\u3000-\u3004\u3008-\u303f\u30fb\ufe30-\ufe6f]"
)
_FIGURES = re.compile(
    "|".join(
        [
            r"'s(?![a-z])",
            r"(?<![a-z0-9])\d+ ?-? ?in ?-? ?\d+(?![a-z0-9])",
            r"(?<![a-z0-9])(?:model|item|style|part|art|no|sku|ref)s?\.?"
            r"(?: (?:numbers?|nos?|years?)\.?)? ?#?:? ?(?=[a-z\-]*\d)",
            r"(?<=usb)[ \-]?\d(?:\.\d)?(?![a-z0-9])",
            rf"(?<![a-z0-9]){_KEEP}{_NUMBER} ?-?(?:{_UNITS})(?![a-z0-9])",
            rf"(?<![a-z0-9])(?!usb|led){_KEEP}(?:[a-z]{{1,3}}-)?[a-z]*\d[a-z0-9]*(?:[\-/.][a-z]*\d[a-z0-9]*)*",
            r"(?<![a-z0-9'\-])(?:x{0,4}[sl]|m)(?![a-z0-9'\-])",
            r"(?<![a-z])new(?![a-z]| (?:born|balance|york|zealand|baby))",
            _PUNCTUATION,
        ]
    )
)
_MATERIAL = re.compile("material|fabric|composition|소재|재질|재료|材质|材料|面料|成分")
_WORD = re.compile(r"\S+")
_NO_BRAND = frozenset(
    {
        "",
        "none",
        "no brand",
        "nobrand",
        "generic",
        "unbranded",
        "oem",
        "null",
        "nan",
        "n/a",
        "other",
        "노브랜드",
        "없음",
        "无",
        "无品牌",
        "其他",
    }
)


def _spaces(match: re.Match[str]) -> str:
    return " " * (match.end() - match.start())


@cache
def _selling() -> TermFinder:
    text = resources.files("features").joinpath("selling_words.yaml").read_text(encoding="utf-8")
    lists: dict[str, list[str]] = read_yaml(text)
    return TermFinder((word for words in lists.values() for word in words), short_hangul_alone=True)


def mask_terms(taxonomy: HazardList | Iterable[str]) -> TermFinder:
    """Compile the words that name hazards, from a taxonomy or from a plain list."""
    hazards = getattr(taxonomy, "hazards", None)
    if hazards is None:
        return TermFinder(taxonomy)  # type: ignore[arg-type]
    return TermFinder(term for hazard in hazards for terms in hazard.mask_terms.values() for term in terms)


class NameViewer:
    """Makes name-only views.

    Parameters
    ----------
    taxonomy
        Its hazards' ``mask_terms`` are removed; a plain iterable of terms does as well.
    options
        What to keep.
    """

    def __init__(
        self, taxonomy: HazardList | Iterable[str] = (), options: NameViewOptions | None = None
    ) -> None:
        self.options = options or NameViewOptions()
        self._mask = mask_terms(taxonomy)

    def of_name(self, name: str, brand: str = "") -> str:
        """View of a bare product name, such as a recall's."""
        return self.view(name, brand=brand).text

    def of_listing(self, listing: Listing, title: Normalized | None = None) -> str:
        """View of a listing: its title, then what the options add to it."""
        return self.view_listing(listing, title).text

    def view_listing(
        self, listing: Listing, title: Normalized | None = None, also: Iterable[str] = ()
    ) -> NameView:
        """As `of_listing`, with the way back; ``title`` saves normalising the title again.

        ``also`` holds further texts of the listing that name the goods where the title does not.
        """
        extra = list(also)
        if self.options.category and listing.category:
            extra.append(listing.category[-1])
        if self.options.attributes:
            extra += [v[:60] for k, v in listing.attributes.items() if _MATERIAL.search(k.lower())]
        return self.view(title or listing.title, brand=listing.brand or "", extra=extra)

    def view(self, title: str | Normalized, *, brand: str = "", extra: Iterable[str] = ()) -> NameView:
        """Make the view.

        Parameters
        ----------
        title
            Raw, or already normalised to save the work.
        brand
            Removed from the title, unless nothing else is left.
        extra
            Further short texts; their words are added where the title lacks them.
        """
        source = title if isinstance(title, Normalized) else normalize(title)
        masked = self._mask.blank(source.text)
        words = self._words(masked, brand)
        if not words:  # nothing but praise, figures or a brand: better those than nothing
            words = [(m[0], m.start()) for m in _WORD.finditer(re.sub(_PUNCTUATION, " ", masked))]
        for text in extra:
            more = self._mask.blank(normalize(text).text)
            words += [(word, -1) for word, _ in self._words(more, brand)]
        return self._assemble(source, words)

    def _words(self, masked: str, brand: str) -> list[tuple[str, int]]:
        text = _selling().blank(masked)
        text = _without_brand(text, brand) if brand and self.options.drop_brand else text
        text = _FIGURES.sub(_spaces, text)
        return [(match[0], match.start()) for match in _WORD.finditer(text)]

    def _assemble(self, source: Normalized, words: list[tuple[str, int]]) -> NameView:
        """Each word once, whole words up to the longest length."""
        seen: dict[str, int] = {}
        starts: list[int] = []
        length = 0
        for word, origin in words:
            if word in seen:
                continue
            if self.options.max_words and len(seen) >= self.options.max_words:
                break
            if length + len(word) > self.options.max_length:
                if not seen:
                    seen[word[: self.options.max_length]] = origin
                    starts.append(0)
                break
            seen[word] = origin
            starts.append(length)
            length += len(word) + 1
        return NameView(" ".join(seen), source, tuple(starts), tuple(seen.values()))


def _without_brand(text: str, brand: str) -> str:
    name = normalize(brand).text
    if name in _NO_BRAND or len(name) < 2 or name not in text:
        return text
    pattern = rf"(?<![a-z0-9]){re.escape(name)}(?![a-z0-9])"
    without = re.sub(pattern, _spaces, text)
    return without if _WORD.search(_FIGURES.sub(_spaces, without)) else text


def name_view(title: str, *, masker: Iterable[str] = (), brand: str = "") -> str:
    """Name-only view of one title; for many, keep a `NameViewer`."""
    return NameViewer(masker).of_name(title, brand)
