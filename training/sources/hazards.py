"""From a publisher's hazard words to taxonomy codes: exact terms by crosswalk, prose by word rules."""

from __future__ import annotations

import re
from functools import cache
from importlib import resources

import yaml

from features.taxonomy import load_taxonomy

_EAST_ASIAN = re.compile("[가-힣㐀-鿿]")


@cache
def _rules() -> tuple[tuple[re.Pattern[str], frozenset[str], frozenset[str]], ...]:
    text = (resources.files("training.sources") / "hazard_words.yaml").read_text(encoding="utf-8")
    known = set(load_taxonomy().codes)
    rules = []
    for rule in yaml.safe_load(text)["rules"]:
        if unknown := set(rule["hazards"]) - known:
            raise ValueError(f"hazard_words.yaml: got hazard {sorted(unknown)}, expected taxonomy codes")
        pattern = re.compile(rule["pattern"], re.IGNORECASE)
        rules.append((pattern, frozenset(rule["hazards"]), frozenset(rule.get("unless", ()))))
    return tuple(rules)


def hazards_in(text: str) -> tuple[frozenset[str], tuple[str, ...]]:
    """Hazards that a regulator's own sentence names.

    Parameters
    ----------
    text
        A title such as "... Due to Choking Hazard" or a hazard description, in English, Korean or Chinese.

    Returns
    -------
    hazards : frozenset of str
        Taxonomy codes; empty where none is named.
    words : tuple of str
        The words that named them, in order of appearance.

    Notes
    -----
    Only for label text. A listing's own words are never read this way.
    """
    if _EAST_ASIAN.search(text):
        reading = load_taxonomy().named_in(text)
        return reading.hazards, reading.terms
    found: set[str] = set()
    words: list[tuple[int, str]] = []
    for pattern, codes, unless in _rules():
        if not unless & found and (match := pattern.search(text)):
            found |= codes
            words.append((match.start(), match.group(0).strip().lower()))
    return frozenset(found), tuple(dict.fromkeys(word for _, word in sorted(words)))


def crosswalk(scheme: str, term: str) -> frozenset[str]:
    """Taxonomy codes of one of a scheme's own terms (``cpsc``, ``safety_gate``, ``korean``).

    Raises
    ------
    KeyError
        When the taxonomy does not know the term; the row is then rejected, not silently emptied.
    """
    return load_taxonomy().crosswalk(scheme, term)


def possible(scheme: str, term: str) -> frozenset[str]:
    """Taxonomy codes that one of a scheme's own terms may mean besides those it asserts."""
    return load_taxonomy().possible(scheme, term)
