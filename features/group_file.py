"""Product groups as data: the form of ``product_groups.yaml`` and the reader that names a wrong entry."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from functools import lru_cache
from pathlib import Path
from types import MappingProxyType
from typing import Annotated, Any, Literal, get_args

import yaml
from pydantic import BaseModel, BeforeValidator, ConfigDict, Field, ValidationError

from features.errors import UserError
from features.own_files import data_file
from features.taxonomy_file import Audience, Names

try:
    from yaml import CSafeLoader as SafeLoader
except ImportError:  # PyYAML built without libyaml: slower, same result
    from yaml import SafeLoader

LANGUAGES = ("ko", "en", "zh")
KC_CLASSES = (
    "certification",
    "confirmation",
    "supplier",
    "standard",
    "other_law",
    "none",
    "mixed",
)
MARKS = ("stated", "law", "assumption")
FILE = "product_groups.yaml"


class ProductGroupError(UserError):
    """The file of product groups is wrong; the message names the entry."""


def _split(separator: str) -> BeforeValidator:
    def split(value: Any) -> Any:
        if not isinstance(value, str):
            return value
        return tuple(word for part in value.split(separator) if (word := " ".join(part.split())))

    return BeforeValidator(split)


Words = Annotated[tuple[str, ...], _split(",")]
Labels = Annotated[tuple[str, ...], _split(";")]


class _Entry(BaseModel):
    model_config = ConfigDict(extra="forbid", frozen=True)


class _WordLists(_Entry):
    ko: Words = ()
    en: Words = ()
    zh: Words = ()


class _GroupEntry(_Entry):
    names: Names
    parent: str
    audience: Audience
    kc: str
    source: str = Field(min_length=1)
    hazards: Words
    ko: Words = ()
    en: Words = ()
    zh: Words = ()
    exclude: Words = ()
    decoys: Words = ()
    categories: Labels = ()
    dominant: Literal["", "title", "category"] = ""
    abstract: bool = False
    failure_rate: float | None = Field(None, ge=0, le=1)
    cpsc: tuple[str, ...] = ()
    nyc: tuple[str, ...] = ()
    inspections: tuple[str, ...] = ()
    refine: dict[Audience, str] = Field(default_factory=dict)


class _File(_Entry):
    for_words: _WordLists
    accessory_heads: _WordLists
    groups: dict[str, _GroupEntry]


@dataclass(frozen=True)
class ProductGroup:
    """A kind of goods: what sellers call it and how it is known to fail.

    Attributes
    ----------
    code, parent
        Own code and that of the wider group, "" at the top.
    names, terms
        By language ("ko", "en", "zh"). Terms carry the marks explained in the data file.
    audience
        Whom such goods are for where the listing does not say.
    exclude
        Words that take the group away wherever they stand in a title.
    decoys
        Phrases that hold a term but name other goods ("helmet bag").
    categories
        Names of marketplace categories that hold these goods.
    dominant
        "title" where the group's words rule over the nouns beside them (a toy camera is a toy), "category"
        where its category does so too (a bed among pet supplies), "" for all others.
    abstract
        Too wide to be an answer; only there to shrink toward.
    kc_class
        One of `KC_CLASSES`.
    hazard_prior
        Hazard code to the share of the group's non-compliant goods assumed to fail for it; shares may add
        up to more than one, since goods fail for several hazards.
    hazard_marks
        Hazard code to "stated", "law" or "assumption": what the share rests on.
    failure_rate
        Assumed share that is non-compliant where no inspection round reaches the group, else None.
    source
        What the prior was read from.
    mark
        The weakest mark of the prior.
    cpsc_types, nyc_types, inspection_names
        Spellings of this group in the US recalls, the New York laboratory results and the inspection rounds.
    refine_to
        Audience to the code that takes over for it: clothing for under 14 is children's clothing.
    """

    code: str
    names: Mapping[str, str]
    parent: str
    audience: Audience
    kc_class: str
    source: str
    mark: str
    hazard_prior: Mapping[str, float]
    hazard_marks: Mapping[str, str]
    terms: Mapping[str, tuple[str, ...]] = field(default_factory=dict)
    exclude: tuple[str, ...] = ()
    decoys: tuple[str, ...] = ()
    categories: tuple[str, ...] = ()
    dominant: Literal["", "title", "category"] = ""
    abstract: bool = False
    failure_rate: float | None = None
    cpsc_types: tuple[str, ...] = ()
    nyc_types: tuple[str, ...] = ()
    inspection_names: tuple[str, ...] = ()
    refine_to: Mapping[str, str] = field(default_factory=dict)


@dataclass(frozen=True)
class GroupFile:
    """The groups by code, parents before children not guaranteed, and the words that serve all groups."""

    groups: Mapping[str, ProductGroup]
    for_words: tuple[str, ...]
    accessory_heads: Mapping[str, tuple[str, ...]]


def _prior(code: str, entries: Iterable[str]) -> tuple[dict[str, float], dict[str, str]]:
    shares: dict[str, float] = {}
    marks: dict[str, str] = {}
    for entry in entries:
        match entry.split():
            case [hazard, share, mark] if mark in MARKS and hazard not in shares:
                try:
                    value = float(share)
                except ValueError:
                    value = -1.0
                if not 0 < value <= 1:
                    raise ProductGroupError(
                        f"groups.{code}.hazards: got {entry!r}, expected a share in (0, 1]"
                    )
                shares[hazard], marks[hazard] = value, mark
            case _:
                raise ProductGroupError(
                    f"groups.{code}.hazards: got {entry!r}, expected 'hazard share mark' once a hazard, "
                    f"with a mark of {', '.join(MARKS)}"
                )
    return shares, marks


def _group(code: str, entry: _GroupEntry) -> ProductGroup:
    shares, marks = _prior(code, entry.hazards)
    return ProductGroup(
        code=code,
        names=MappingProxyType(entry.names.model_dump()),
        parent=entry.parent,
        audience=entry.audience,
        kc_class=entry.kc,
        source=entry.source,
        mark=max(marks.values(), key=MARKS.index, default="assumption"),
        hazard_prior=MappingProxyType(shares),
        hazard_marks=MappingProxyType(marks),
        terms=MappingProxyType({"ko": entry.ko, "en": entry.en, "zh": entry.zh}),
        exclude=entry.exclude,
        decoys=entry.decoys,
        categories=entry.categories,
        dominant=entry.dominant,
        abstract=entry.abstract,
        failure_rate=entry.failure_rate,
        cpsc_types=entry.cpsc,
        nyc_types=entry.nyc,
        inspection_names=entry.inspections,
        refine_to=MappingProxyType({str(audience): code for audience, code in entry.refine.items()}),
    )


def _once(groups: Iterable[ProductGroup], attribute: str) -> None:
    owner: dict[str, str] = {}
    for group in groups:
        for name in getattr(group, attribute):
            other = owner.setdefault(name.casefold(), group.code)
            if other != group.code:
                raise ProductGroupError(
                    f"{attribute}: {name!r} stands in {other} and in {group.code}, expected one group"
                )


def _check(groups: Mapping[str, ProductGroup]) -> None:
    for code, group in groups.items():
        if group.kc_class not in KC_CLASSES:
            raise ProductGroupError(
                f"groups.{code}.kc: got {group.kc_class!r}, expected {', '.join(KC_CLASSES)}"
            )
        for target in (group.parent, *group.refine_to.values()):
            if target and target not in groups:
                raise ProductGroupError(f"groups.{code}: got group {target!r}, expected a code of this file")
        seen = {code}
        while group.parent:
            if group.parent in seen:
                raise ProductGroupError(f"groups.{code}.parent: goes round in a circle at {group.parent!r}")
            seen.add(group.parent)
            group = groups[group.parent]
    for attribute in ("cpsc_types", "nyc_types", "inspection_names"):
        _once(groups.values(), attribute)


def read_group_file(path: Path | None = None) -> GroupFile:
    """Read ``product_groups.yaml``.

    Parameters
    ----------
    path
        The file, or the folder it lies in; None for the one of `features.own_files.data_file`. Read once.

    Raises
    ------
    ProductGroupError
        When the file is missing, is no YAML or has a wrong entry, which the message names.
    """
    chosen = data_file(FILE) if path is None else path
    return _read(chosen if chosen.suffix == ".yaml" else chosen / FILE)


@lru_cache(maxsize=8)
def _read(path: Path) -> GroupFile:
    try:
        raw = yaml.load(path.read_text("utf-8"), SafeLoader)
        parsed = _File.model_validate(raw)
    except (OSError, UnicodeDecodeError, yaml.YAMLError) as error:
        raise ProductGroupError(f"{path}: {error}") from error
    except ValidationError as error:
        first = error.errors(include_url=False)[0]
        place = ".".join(str(part) for part in first["loc"]) or "(file)"
        raise ProductGroupError(f"{path}: {place}: {first['msg']}") from None
    groups = {code: _group(code, entry) for code, entry in parsed.groups.items()}
    _check(groups)
    words = parsed.for_words
    heads = parsed.accessory_heads
    return GroupFile(
        groups=MappingProxyType(groups),
        for_words=(*words.ko, *words.en, *words.zh),
        accessory_heads=MappingProxyType({language: getattr(heads, language) for language in LANGUAGES}),
    )


def audiences() -> tuple[str, ...]:
    """Return the audience codes, strictest first."""
    return get_args(Audience)
