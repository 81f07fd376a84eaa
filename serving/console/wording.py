"""What the console says, in Korean and English: one catalogue file per room in ``texts/``."""

from __future__ import annotations

from collections.abc import Mapping
from functools import cache
from pathlib import Path

import yaml

LANGUAGES = ("ko", "en")
FOLDER = Path(__file__).with_name("texts")


class MissingTextError(KeyError):
    """A text that no catalogue has."""


@cache
def catalogue() -> Mapping[str, Mapping[str, str]]:
    """Return every text by key and language.

    Raises
    ------
    ValueError
        When two files give the same key, or a text lacks a language.
    """
    found: dict[str, Mapping[str, str]] = {}
    for path in sorted(FOLDER.glob("*.yaml")):
        for key, texts in (yaml.safe_load(path.read_text("utf-8")) or {}).items():
            if key in found:
                raise ValueError(f"{path.name}: got text {key!r}, which another file gives too")
            if set(texts) != set(LANGUAGES):
                raise ValueError(f"{path.name}: {key!r} has {sorted(texts)}, expected {sorted(LANGUAGES)}")
            found[key] = texts
    return found


class Wording:
    """Texts in one language.

    Parameters
    ----------
    language
        ``ko`` or ``en``.
    """

    def __init__(self, language: str) -> None:
        self.language = language if language in LANGUAGES else "en"

    def __call__(self, key: str, **values: object) -> str:
        """Return a text with its values put in.

        Raises
        ------
        MissingTextError
            When no catalogue has it.
        """
        try:
            text = catalogue()[key][self.language]
        except KeyError:
            raise MissingTextError(f"no text {key!r}: add it to a file in {FOLDER.name}/") from None
        return text.format(**values) if values else text

    def name(self, kind: str, code: str, otherwise: str | None = None) -> str:
        """Return the name of a code such as an action; ``otherwise``, or the code itself, where it has none."""
        texts = catalogue().get(f"{kind}.{code}")
        if texts:
            return texts[self.language]
        return code if otherwise is None else otherwise

    def pick(self, texts: Mapping[str, str] | None) -> str:
        """Return the one of several languages that fits, English where it is missing."""
        if not texts:
            return ""
        return texts.get(self.language) or texts.get("en") or next(iter(texts.values()))


def language_of(accept: str) -> str:
    """Return the first of our languages that a browser asks for, English where it asks for none."""
    for part in accept.lower().split(","):
        code = part.split(";")[0].strip().split("-")[0]
        if code in LANGUAGES:
            return code
    return "en"
