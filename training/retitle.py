"""What a re-lister does to an offer: the same goods under other words. Makes pairs to learn from."""

from __future__ import annotations

import random
import re
from collections.abc import Callable, Sequence

from features.schema import Listing, Seller

# Words of praise and trade that say nothing of the goods; written for this project.
STUFFING = {
    "ko": [
        "무료배송",
        "당일발송",
        "특가",
        "최신",
        "인기",
        "추천",
        "국내배송",
        "신상",
        "정품",
        "할인",
        "선물",
        "고급",
        "대박",
        "베스트",
        "한정수량",
        "해외직구",
    ],
    "en": [
        "new",
        "hot",
        "sale",
        "free",
        "shipping",
        "best",
        "quality",
        "2026",
        "upgrade",
        "gift",
        "premium",
        "top",
        "seller",
        "original",
        "fast",
        "dispatch",
    ],
    "zh": [
        "包邮",
        "新款",
        "热卖",
        "爆款",
        "特价",
        "正品",
        "现货",
        "厂家直销",
        "网红",
        "限时",
        "送礼",
        "高品质",
        "跨境",
        "批发",
        "官方",
        "优惠",
    ],
}
_LETTER = re.compile(r"[^\W\d_]{3,}")


def _words(title: str) -> list[str]:
    return title.split()


def shuffled(listing: Listing, rng: random.Random, language: str) -> Listing:
    """Words in another order."""
    words = _words(listing.title)
    rng.shuffle(words)
    return _titled(listing, words)


def shortened(listing: Listing, rng: random.Random, language: str) -> Listing:
    """A third of the words left out, the description gone."""
    words = _words(listing.title)
    kept = [word for word in words if rng.random() > 1 / 3] or words[:2]
    return _titled(listing, kept).model_copy(update={"description": ""})


def stuffed(listing: Listing, rng: random.Random, language: str) -> Listing:
    """Words of praise put in between."""
    words = _words(listing.title)
    for word in rng.sample(STUFFING[language], rng.randint(2, 5)):
        words.insert(rng.randint(0, len(words)), word)
    return _titled(listing, words)


def unbranded(listing: Listing, rng: random.Random, language: str) -> Listing:
    """Brand taken out of the title and the fields."""
    brand = (listing.brand or "").lower()
    words = [word for word in _words(listing.title) if not brand or word.lower() != brand]
    return _titled(listing, words or _words(listing.title)).model_copy(
        update={"brand": None, "description": ""}
    )


def described(listing: Listing, rng: random.Random, language: str) -> Listing:
    """Words of the description in the title."""
    said = _words(listing.description)[:6]
    return _titled(listing, _words(listing.title)[: rng.randint(3, 8)] + said).model_copy(
        update={"description": ""}
    )


def broken(listing: Listing, rng: random.Random, language: str) -> Listing:
    """Some words with dots or blanks between their letters, against keyword filters."""
    sign = rng.choice((".", " ", "-", "*"))

    def part(found: re.Match[str]) -> str:
        return sign.join(found[0]) if rng.random() < 0.4 else found[0]

    return listing.model_copy(update={"title": _LETTER.sub(part, listing.title)[:1000]})


Edit = Callable[[Listing, random.Random, str], Listing]
EDITS: tuple[Edit, ...] = (shuffled, shortened, stuffed, unbranded, described, broken)


def relisted(listing: Listing, rng: random.Random, language: str, edits: Sequence[Edit] = EDITS) -> Listing:
    """Return the offer as a re-lister would put it up again: one or two edits, another seller, another price.

    Parameters
    ----------
    language
        ``ko``, ``en`` or ``zh``; others are stuffed in English.
    """
    spoken = language if language in STUFFING else "en"
    for edit in rng.sample(list(edits), rng.randint(1, 2)):
        listing = edit(listing, rng, spoken)
    price = (
        None
        if listing.price is None or rng.random() < 0.2
        else round(listing.price * rng.uniform(0.7, 1.3), 2)
    )
    return listing.model_copy(
        update={
            "id": f"{listing.id}-again",
            "price": price,
            "seller": Seller(id=f"seller-{rng.randint(1, 10**6)}"),
            "description": listing.description if rng.random() < 0.5 else "",
        }
    )


def _titled(listing: Listing, words: Sequence[str]) -> Listing:
    return listing.model_copy(update={"title": " ".join(words)[:1000] or listing.title})
