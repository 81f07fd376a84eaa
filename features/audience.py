"""For whom goods are: children under 3, under 14, or everyone; what is claimed against what it looks like."""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from functools import lru_cache
from pathlib import Path

import yaml

from features.age_claims import AgeClaim, age_claims
from features.group_file import ProductGroup
from features.lexicon import TermFinder
from features.normalize import normalize
from features.schema import Listing
from features.taxonomy_file import Audience

_THREE, _FOURTEEN = 36, 14 * 12
_ATTRIBUTE = re.compile(
    r"age|연령|나이|사용 ?대상|대상|적용|年龄|适用|target|audience|gender|성별|recommended", re.IGNORECASE
)
_DESCRIPTION_READ = 1_000
_CHILD_GROUPS = ("toys", "children_products", "children_")


@dataclass(frozen=True, slots=True)
class Sign:
    """One thing that speaks for an audience.

    Attributes
    ----------
    audience
        What it speaks for.
    field
        "title", "target_age", "category", "attributes", "description" or "group".
    words
        The words that say so, as normalised.
    start, end
        Where they stand in the normalised text of the field; -1 where that is not kept.
    """

    audience: Audience
    field: str
    words: str
    start: int = -1
    end: int = -1


@dataclass(frozen=True, slots=True)
class AudienceReading:
    """For whom goods are.

    Attributes
    ----------
    audience
        The audience to hold the goods to: ``apparent``, made stricter by a claim for the young, never wider
        by a claim of 14 and over.
    apparent
        What title, category and kind of goods look like, leaving claims of 14 and over aside.
    claimed
        What an age claim says, None without one.
    escape
        The goods look like a child's but are claimed for 14 and over, a label used to leave the children's
        rules.
    signs
        What decided, strongest first.
    """

    audience: Audience
    apparent: Audience
    claimed: Audience | None
    escape: bool
    signs: tuple[Sign, ...]


@dataclass(frozen=True, slots=True)
class _Words:
    finders: tuple[tuple[Audience, TermFinder], ...]
    carers: TermFinder
    not_words: TermFinder


@lru_cache(maxsize=1)
def _words() -> _Words:
    path = Path(__file__).resolve().parent / "audience_words.yaml"
    lists: Mapping[str, str] = yaml.safe_load(path.read_text("utf-8"))

    def finder(name: str) -> TermFinder:
        return TermFinder(word for part in lists[name].split(",") if (word := part.strip()))

    named: tuple[Audience, ...] = ("under_3", "under_14", "general")
    return _Words(tuple((name, finder(name)) for name in named), finder("carers"), finder("not_words"))


def of_months(low: float, high: float | None) -> Audience:
    """Return the audience of an age range: the strictest age that it reaches down to.

    Parameters
    ----------
    low, high
        Months; ``high`` None for "and over".
    """
    if low < _THREE:
        return "under_3"
    return "under_14" if low < _FOURTEEN else "general"


def _claims(text: str, field: str) -> list[tuple[AgeClaim, Sign]]:
    return [
        (
            claim,
            Sign(
                of_months(claim.low, claim.high), field, text[claim.start : claim.end], claim.start, claim.end
            ),
        )
        for claim in age_claims(text)
    ]


def _word_signs(text: str, field: str) -> list[Sign]:
    words = _words()
    text = words.not_words.blank(text)
    return [
        Sign(audience, field, match.group(), match.start(), match.end())
        for audience, finder in words.finders
        for match in finder.finditer(text)
    ]


def _bare_age(text: str) -> list[tuple[AgeClaim, Sign]]:
    """A field that holds nothing but an age may leave the unit out: "6-12", "14+"."""
    found = re.fullmatch(r"\s*(\d{1,2})\s*(?:[-~–]\s*(\d{1,2})|\+)?\s*", text)
    if not found:
        return []
    low = float(found.group(1)) * 12
    claim = AgeClaim(low, float(found.group(2)) * 12 if found.group(2) else None, 0, len(text))
    return [(claim, Sign(of_months(claim.low, claim.high), "target_age", text.strip(), 0, len(text)))]


def audience(
    title: str,
    *,
    target_age: str = "",
    category: Sequence[str] = (),
    attributes: Mapping[str, str] | None = None,
    description: str = "",
    group: ProductGroup | None = None,
) -> AudienceReading:
    """Read for whom goods are.

    Parameters
    ----------
    title, target_age, description
        Normalised (`features.normalize.normalize`).
    category
        Path from the root to the leaf, as the marketplace wrote it.
    attributes
        Names and values as written; only those about age, target or gender are read.
    group
        Product group that the title was read as; its own audience counts where nothing else is said.

    Returns
    -------
    AudienceReading
    """
    claims = _bare_age(target_age) or _claims(target_age, "target_age")
    claims += _claims(title, "title")
    for text in _attribute_texts(attributes):
        claims += _claims(text, "attributes")
    if not claims:
        claims = _claims(description[:_DESCRIPTION_READ], "description")
    words = _word_signs(title, "title")
    beyond = _word_signs(target_age, "target_age")
    beyond += [sign for node in category for sign in _word_signs(normalize(node).text, "category")]
    beyond += [sign for text in _attribute_texts(attributes) for sign in _word_signs(text, "attributes")]
    apparent, deciding = _apparent(title, words, beyond, [sign for _, sign in claims], group)
    claimed = _strictest(sign.audience for _, sign in claims) if claims else None
    escape = claimed == "general" and apparent != "general"
    result = _result(apparent, claimed, [sign for _, sign in claims])
    signs = (*(sign for _, sign in claims), *deciding)
    return AudienceReading(result, apparent, claimed, escape, signs)


def audience_of(
    listing: Listing, title: str | None = None, group: ProductGroup | None = None
) -> AudienceReading:
    """Read for whom a listing's goods are; ``title`` saves normalising it again."""
    return audience(
        normalize(listing.title).text if title is None else title,
        target_age=normalize(listing.target_age or "").text,
        category=listing.category,
        attributes=listing.attributes,
        description=normalize(listing.description[:_DESCRIPTION_READ]).text,
        group=group,
    )


def _attribute_texts(attributes: Mapping[str, str] | None) -> list[str]:
    return [
        normalize(value[:200]).text
        for name, value in (attributes or {}).items()
        if _ATTRIBUTE.search(name[:100])
    ]


def _strictest(found: Iterable[Audience]) -> Audience:
    order: tuple[Audience, ...] = ("under_3", "under_14", "general")
    return min(found, key=order.index)


def _result(apparent: Audience, claimed: Audience | None, claims: Sequence[Sign]) -> Audience:
    if claimed is None or claimed == "general":
        return apparent
    if apparent == "under_3" and claimed == "under_14":
        # "36 months and over" is a statement about the goods; the word "infant" beside it is not.
        return "under_14"
    return _strictest((apparent, claimed))


def _apparent(
    title: str,
    words: Sequence[Sign],
    beyond: Sequence[Sign],
    claims: Sequence[Sign],
    group: ProductGroup | None,
) -> tuple[Audience, list[Sign]]:
    """Weigh the words; what a carer uses and goods for pets are no child's even beside a child's word."""
    young = [sign for sign in words if sign.audience != "general"]
    grown = [sign for sign in words if sign.audience == "general"]
    carer = _words().carers.search(title)
    if carer is not None:
        sign = Sign("general", "title", carer.group(), carer.start(), carer.end())
        return "general", [sign]
    if any(sign.words in _PETS for sign in grown):
        return "general", grown
    if young:
        return _strictest(sign.audience for sign in young), young
    group_says = group.audience if group is not None else "general"
    kind = [Sign(group_says, "group", group.code)] if group is not None else []
    if grown:
        return "general", grown
    outer = [sign for sign in beyond if sign.audience != "general"]
    if outer and group_says == "general":
        return _strictest(sign.audience for sign in outer), outer
    return group_says, kind


_PETS = frozenset(
    {
        "반려",
        "애완",
        "애견",
        "강아지",
        "고양이",
        "pet",
        "pets",
        "dog",
        "dogs",
        "cat",
        "cats",
        "宠物",
        "for pet",
    }
)
