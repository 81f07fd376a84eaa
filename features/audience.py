"""For whom goods are: children under 3, under 14, or everyone; what is claimed against what it looks like."""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from functools import lru_cache
from pathlib import Path

from features.age_claims import AgeClaim, age_claims, may_claim
from features.group_file import ProductGroup
from features.lexicon import TermFinder
from features.normalize import normalize
from features.schema import Listing
from features.taxonomy_file import Audience
from features.yaml_text import read_yaml

_THREE, _SIX, _FOURTEEN = 36, 6 * 12 + 11, 14 * 12
_ATTRIBUTE = re.compile(
    r"age|연령|나이|사용 ?대상|대상|적용|年龄|适用|target|audience|gender|성별|recommended", re.IGNORECASE
)
_DESCRIPTION_READ = 1_000
_NODE_READ = 200
_PET_GROUP = "pet_supplies"
_LISTS = ("under_3", "under_14", "unsure", "general", "carers", "not_words")


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


class _Words:
    """The word lists, compiled."""

    def __init__(self, lists: Mapping[str, str]) -> None:
        words = {name: [w for part in text.split(",") if (w := part.strip())] for name, text in lists.items()}
        self.of = {name: TermFinder(words[name]) for name in _LISTS}
        carried, things = ("|".join(map(re.escape, words[name])) for name in ("carried", "things"))
        # At most one word between: "stroller cup holder".
        self.accessory = re.compile(rf"(?:{carried})(?:용|用)?\s?(?:\S{{1,12}}\s)?(?:{things})")


@lru_cache(maxsize=1)
def _words() -> _Words:
    path = Path(__file__).resolve().parent / "audience_words.yaml"
    return _Words(read_yaml(path.read_text("utf-8")))


def of_months(low: float, high: float | None) -> Audience:
    """Return the audience of an age range: the strictest age that it reaches down to.

    "Up to 12" is said of children, not of babies: a range from birth counts for the youngest only up to six.

    Parameters
    ----------
    low, high
        Months; ``high`` None for "and over".
    """
    if low < _THREE and not (low == 0 and high is not None and high > _SIX):
        return "under_3"
    return "under_14" if low < _FOURTEEN else "general"


def _claims(text: str, field: str) -> list[tuple[AgeClaim, Sign]]:
    if not text:
        return []
    return [
        (
            claim,
            Sign(
                of_months(claim.low, claim.high), field, text[claim.start : claim.end], claim.start, claim.end
            ),
        )
        for claim in age_claims(text)
    ]


def _word_signs(text: str, field: str) -> tuple[list[Sign], list[Sign]]:
    """Return the signs for an audience, and those of words that are said of grown people too."""
    if not text:
        return [], []
    finders = _words().of
    text = finders["not_words"].blank(text)
    signs: list[Sign] = []
    unsure: list[Sign] = []
    # Words for all children are taken out before those for the youngest: one holds the other.
    for name in ("under_14", "under_3", "general", "unsure"):
        target = unsure if name == "unsure" else signs
        audience: Audience = "under_14" if name == "unsure" else name
        found = list(finders[name].finditer(text))
        if found:
            target += [Sign(audience, field, m.group(), m.start(), m.end()) for m in found]
            text = finders[name].blank(text)
    return signs, unsure


@lru_cache(maxsize=4096)
def _of_category(node: str) -> tuple[Sign, ...]:
    """Categories are few and come again with every listing."""
    signs, unsure = _word_signs(normalize(node[:_NODE_READ]).text, "category")
    return (*signs, *unsure)


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
    title, target_age
        Normalised (`features.normalize.normalize`).
    description
        As written; only its first 1,000 characters, and only for ages where nothing else claims one.
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
    if not claims and may_claim(beginning := description[:_DESCRIPTION_READ].lower()):
        claims = _claims(normalize(beginning).text, "description")
    outer = [("target_age", target_age), *(("attributes", text) for text in _attribute_texts(attributes))]
    beyond = [sign for field, text in outer for part in _word_signs(text, field) for sign in part]
    beyond += [sign for node in category for sign in _of_category(node)]
    apparent, deciding = _apparent(title, beyond, group)
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
        description=listing.description,
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


def _apparent(title: str, beyond: Sequence[Sign], group: ProductGroup | None) -> tuple[Audience, list[Sign]]:
    """Weigh the words; what a carer uses and goods for pets are no child's even beside a child's word."""
    words, unsure = _word_signs(title, "title")
    young = [sign for sign in words if sign.audience != "general"]
    grown = [sign for sign in words if sign.audience == "general"]
    carer = _words().of["carers"].search(title) or _words().accessory.search(title)
    if carer is not None:
        return "general", [Sign("general", "title", carer.group(), carer.start(), carer.end())]
    if group is not None and group.code == _PET_GROUP:
        return "general", [Sign("general", "group", group.code)]
    if any(sign.words.endswith("용") for sign in grown) and not _said_for(title, young):
        return "general", grown
    if young:
        return _strictest(sign.audience for sign in young), young
    if grown:
        return "general", grown
    own = group.audience if group is not None else "general"
    outer = [sign for sign in beyond if sign.audience != "general"]
    if own == "general" and (outer or unsure):
        return _strictest(sign.audience for sign in (*outer, *unsure)), [*outer, *unsure]
    return own, [Sign(own, "group", group.code)] if group is not None else []


def _said_for(title: str, young: Sequence[Sign]) -> bool:
    """Whether a child's word carries the Korean ending for "for the use of"."""
    return any(title.startswith("용", sign.end) for sign in young)
