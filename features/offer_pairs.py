"""Numbers that say how alike two offers are, for a model that says whether they are one product."""

from __future__ import annotations

import math
from collections.abc import Iterable
from dataclasses import dataclass
from operator import mul

from rapidfuzz import fuzz

from features.offer import OfferView, TokenWeights

PAIR_FEATURES = (
    "cosine",
    "title_overlap",
    "title_cover_less",
    "title_cover_more",
    "text_overlap",
    "title_in_text_less",
    "title_in_text_more",
    "grams",
    "telling_grams",
    "token_set",
    "token_sort",
    "partial",
    "squeezed",
    "rarest_shared",
    "rarest_missing_less",
    "rarest_missing_more",
    "code_hit",
    "code_miss",
    "code_near",
    "code_known",
    "measures_shared",
    "measures_clash",
    "brand",
    "first_word",
    "price_ratio",
    "price_known",
    "length_less",
    "length_ratio",
    "same_script",
)
"""Names of the numbers, in order; ``less`` and ``more`` are the lesser and the greater of the two directions."""


_Everything = tuple[frozenset[str], frozenset[str]]
_KEPT_WORDS = 100_000


@dataclass(frozen=True, slots=True)
class Sums:
    """What one offer brings to every comparison.

    Attributes
    ----------
    title, everything
        Sum of the weights of the different words of the title, and of the whole offer.
    gram_squares
        Sum of the squared weights of the title's runs of characters.
    words, weights
        Words of the title and their weights, the most telling first.
    """

    title: float
    everything: float
    gram_squares: float
    words: tuple[str, ...]
    weights: tuple[float, ...]


class _Known(dict[str, float]):
    """Weights of words by word; a word not asked for before is looked up."""

    def __init__(self, weights: TokenWeights) -> None:
        super().__init__()
        self._weights = weights

    def __missing__(self, token: str) -> float:
        if len(self) > _KEPT_WORDS:
            self.clear()
        found = self[token] = self._weights.of(token)
        return found


class WeightCache:
    """Weights of words, kept while many pairs are compared."""

    def __init__(self, weights: TokenWeights) -> None:
        self._of = _Known(weights).__getitem__

    def sums(self, offer: OfferView) -> Sums:
        """Return the sums of an offer; they are kept with it, as it is compared with many."""
        kept: tuple[WeightCache, Sums] | None = offer.__dict__.get("_sums")
        if kept is not None and kept[0] is self:
            return kept[1]
        # In one order, so that sums do not differ by a last bit between processes.
        words = list(offer.token_set)
        ranked = sorted(zip(map(self._of, words), words, strict=True), reverse=True)
        sums = Sums(
            sum(weight for weight, _ in ranked),
            self.total(offer.all_set),
            self.squares(offer.grams),
            tuple(word for _, word in ranked),
            tuple(weight for weight, _ in ranked),
        )
        offer.__dict__["_sums"] = self, sums
        return sums

    def total(self, tokens: Iterable[str]) -> float:
        """Sum of the weights."""
        return sum(map(self._of, tokens))

    def squares(self, tokens: Iterable[str]) -> float:
        """Sum of the squared weights."""
        found = list(map(self._of, tokens))
        return sum(map(mul, found, found))

    def of(self, token: str) -> float:
        """Return the weight of one word."""
        return self._of(token)


def pair_features(a: OfferView, b: OfferView, cosine: float, weights: WeightCache) -> list[float]:
    """Compare two offers; the order of the two does not matter.

    Parameters
    ----------
    cosine
        Of the embeddings of the two titles.
    weights
        How telling each word is.

    Returns
    -------
    list of float
        In the order of `PAIR_FEATURES`; NaN where nothing is known.
    """
    both = a.all_set, b.all_set
    return [
        cosine,
        *_words(a, b, both, weights),
        *_grams(a, b, weights),
        *_spelling(a, b),
        *_rarest(a, b, both, weights),
        *_codes(a, b),
        *_facts(a, b),
    ]


def _share(part: float, whole: float) -> float:
    return part / whole if whole > 0 else 0.0


def _words(a: OfferView, b: OfferView, everything: _Everything, weights: WeightCache) -> list[float]:
    all_a, all_b = everything
    mine, yours = weights.sums(a), weights.sums(b)
    both = weights.total(a.token_set & b.token_set)
    cover = sorted((_share(both, mine.title), _share(both, yours.title)))
    all_both = weights.total(all_a & all_b)
    within = sorted(
        (
            _share(weights.total(a.token_set & all_b), mine.title),
            _share(weights.total(b.token_set & all_a), yours.title),
        )
    )
    return [
        _share(both, mine.title + yours.title - both),
        *cover,
        _share(all_both, mine.everything + yours.everything - all_both),
        *within,
    ]


def _grams(a: OfferView, b: OfferView, weights: WeightCache) -> list[float]:
    shared = set(a.grams).intersection(b.grams)
    length = math.sqrt(weights.sums(a).gram_squares * weights.sums(b).gram_squares)
    return [
        _share(2 * len(shared), len(a.grams) + len(b.grams)),
        _share(weights.squares(shared), length),
    ]


def _spelling(a: OfferView, b: OfferView) -> list[float]:
    return [
        fuzz.token_set_ratio(a.title, b.title) / 100,
        fuzz.token_sort_ratio(a.title, b.title) / 100,
        fuzz.partial_ratio(a.title, b.title) / 100,
        fuzz.ratio(a.squeezed_title, b.squeezed_title) / 100,
    ]


def _rarest(a: OfferView, b: OfferView, everything: _Everything, weights: WeightCache) -> list[float]:
    """The most telling word that both have, and the most telling one that each lacks."""
    all_a, all_b = everything
    mine, yours = weights.sums(a), weights.sums(b)
    missing = sorted((_first(mine, all_b, False), _first(yours, all_a, False)))
    return [max(_first(mine, all_b, True), _first(yours, all_a, True)), *missing]


def _first(mine: Sums, others: frozenset[str], there: bool) -> float:
    """Weight of the first word that is among the others, or is not; 0 where there is none."""
    for at, word in enumerate(mine.words):
        if (word in others) is there:
            return mine.weights[at]
    return 0.0


def _codes(a: OfferView, b: OfferView) -> list[float]:
    """Codes found in the other offer, codes not found there, the nearest of these, and who has any."""
    known = float(bool(a.codes)) + float(bool(b.codes))
    hits = [code for code in a.codes if code in b.squeezed] + [code for code in b.codes if code in a.squeezed]
    lost_a = [code for code in a.codes if code not in b.squeezed]
    lost_b = [code for code in b.codes if code not in a.squeezed]
    near = max((fuzz.ratio(x, y) / 100 for x in lost_a[:8] for y in lost_b[:8]), default=math.nan)
    hit = max(map(len, hits), default=0)
    return [float(hit), float(len(lost_a) + len(lost_b)), near, known]


def _facts(a: OfferView, b: OfferView) -> list[float]:
    units_a, units_b = dict(a.measures), dict(b.measures)
    common = units_a.keys() & units_b.keys()
    shared = a.measures & b.measures
    clash = sum(1 for unit in common if not any(unit == other for other, _ in shared))
    lengths = sorted((len(a.token_set), len(b.token_set)))
    comparable = a.price is not None and b.price is not None and a.currency == b.currency
    ratio = abs(math.log((a.price or 1.0) / (b.price or 1.0))) if comparable else math.nan
    return [
        float(len(shared)),
        float(clash),
        _brand(a, b),
        float(bool(a.tokens) and bool(b.tokens) and a.tokens[0] == b.tokens[0]),
        ratio,
        float(a.price is not None) + float(b.price is not None),
        float(lengths[0]),
        _share(lengths[0], lengths[1]),
        float(a.spaceless == b.spaceless),
    ]


def _brand(a: OfferView, b: OfferView) -> float:
    """1 same, -1 different, 0 where a brand is not given and not found in the other's words."""
    if a.brand and b.brand:
        if a.brand == b.brand or a.brand in b.brand or b.brand in a.brand:
            return 1.0
        return 1.0 if a.brand in b.text or b.brand in a.text else -1.0
    brand, other = (a.brand, b) if a.brand else (b.brand, a)
    return 1.0 if brand and brand in other.text else 0.0
