"""What a document of evidence is made of, and the words of its reader's language. Pure."""

from __future__ import annotations

import base64
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from typing import Any, Literal

import yaml

from features.errors import UserError
from features.taxonomy import load_taxonomy

TEXTS = Path(__file__).with_name("evidence_texts.yaml")
EvidenceLanguage = Literal["ko", "en"]
CUT = 600
"""Letters of one value that are shown."""


@dataclass(frozen=True, slots=True)
class Photo:
    """A photo with its caption; ``content`` is None once erased."""

    caption: str
    media_type: str
    content: bytes | None


@dataclass(frozen=True, slots=True)
class Section:
    """A heading with facts, a table, or photos; empty parts are left out when drawn."""

    heading: str
    facts: tuple[tuple[str, str], ...] = ()
    columns: tuple[str, ...] = ()
    rows: tuple[tuple[str, ...], ...] = ()
    photos: tuple[Photo, ...] = ()
    empty: str = ""


@dataclass(frozen=True, slots=True)
class Document:
    """An evidence ready to be drawn."""

    language: EvidenceLanguage
    title: str
    subject: str
    made: str
    digest: tuple[str, str]
    sections: tuple[Section, ...]
    page_word: str


@cache
def _texts() -> Mapping[str, Mapping[str, str]]:
    return yaml.safe_load(TEXTS.read_text("utf-8"))


class Say:
    """Words in one language."""

    def __init__(self, language: EvidenceLanguage) -> None:
        self.language = language

    def __call__(self, key: str, **values: object) -> str:
        """The text of a key with its values in place."""
        return _texts()[key][self.language].format(**values)

    def hazard(self, code: str | None) -> str:
        """The reader's name of a hazard, the code itself where there is none."""
        if not code:
            return ""
        try:
            return load_taxonomy().hazard(code).names.get(self.language, code)
        except (KeyError, ValueError, UserError):
            return code

    def name(self, code: Any) -> str:
        """The reader's word for a code, the code itself where there is none."""
        texts = _texts().get(f"name.{code}")
        return texts[self.language] if texts else plain(code)

    def facts(self, pairs: Iterable[tuple[str, Any]]) -> tuple[tuple[str, str], ...]:
        """Named values with the fields' names in words; empty ones are left out."""
        return tuple((self(f"field.{name}"), text) for name, value in pairs if (text := plain(value)))

    def columns(self, *names: str) -> tuple[str, ...]:
        """The headings of columns."""
        return tuple(self(f"field.{name}") for name in names)


def plain(value: Any) -> str:
    """Write a JSON value for people."""
    if value is None or value == "" or value == [] or value == {}:
        return ""
    if isinstance(value, bool):
        return "yes" if value else "no"
    if isinstance(value, float):
        return f"{value:.6g}"
    if isinstance(value, Mapping):
        return "; ".join(f"{name}: {text}" for name, one in value.items() if (text := plain(one)))[:CUT]
    if isinstance(value, Sequence) and not isinstance(value, str):
        return ", ".join(filter(None, map(plain, value)))[:CUT]
    return str(value)


def time_of(value: str | None) -> str:
    """A time to the second, as people write it."""
    return (value or "").replace("T", " ")[:19]


def chain(place: Mapping[str, Any], say: Say) -> tuple[tuple[str, str], ...]:
    """Where a record stands in the chain of records."""
    names = ("seq", "row_digest", "link", "link_root", "link_digest")
    return say.facts((name, place.get(name)) for name in names)


def events_of(heading: str, events: Sequence[Mapping[str, Any]], say: Say) -> Section:
    """A table of what happened."""
    return Section(
        heading,
        columns=say.columns("at", "what", "by", "detail"),
        rows=tuple(
            (time_of(one["at"]), one["what"], one["actor"], plain(one["body"])[:CUT]) for one in events
        ),
        empty=say("none"),
    )


def photos_of(photos: Iterable[Mapping[str, Any]], say: Say) -> tuple[Photo, ...]:
    """Photos with their captions."""
    return tuple(
        Photo(
            say("caption.photo", n=photo["position"] + 1),
            photo["media_type"],
            None if photo["base64"] is None else base64.b64decode(photo["base64"]),
        )
        for photo in photos
    )
