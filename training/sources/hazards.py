"""From a publisher's hazard words to taxonomy codes: exact terms by crosswalk, prose by word rules."""

from __future__ import annotations

import re
from functools import cache
from importlib import resources
from typing import Literal

import yaml

Scheme = Literal["cpsc", "safety_gate", "korean"]


@cache
def _word_rules() -> tuple[tuple[re.Pattern[str], frozenset[str]], ...]:
    text = (resources.files("training.sources") / "hazard_words.yaml").read_text(encoding="utf-8")
    rules = yaml.safe_load(text)["rules"]
    return tuple((re.compile(rule["pattern"], re.IGNORECASE), frozenset(rule["hazards"])) for rule in rules)


def hazards_in(text: str) -> tuple[frozenset[str], tuple[str, ...]]:
    """Hazards that a regulator's own sentence names.

    Parameters
    ----------
    text
        A title such as "... Due to Choking Hazard" or a hazard description, in English or Korean.

    Returns
    -------
    hazards : frozenset of str
        Taxonomy codes; empty where none is named.
    words : tuple of str
        The words that named them, in order.

    Notes
    -----
    Only for label text. A listing's own words are never read this way.

    """
    found: set[str] = set()
    words: list[tuple[int, str]] = []
    for pattern, codes in _word_rules():
        if match := pattern.search(text):
            found |= codes
            words.append((match.start(), match.group(0).strip().lower()))
    return frozenset(found), tuple(dict.fromkeys(word for _, word in sorted(words)))


def crosswalk(scheme: Scheme, term: str) -> frozenset[str]:
    """Taxonomy codes of one of a scheme's own terms.

    Raises
    ------
    KeyError
        When the taxonomy does not know the term; the row is then rejected, not silently emptied.

    """
    try:
        from features.taxonomy import load_taxonomy
    except ImportError:
        return frozenset(_EARLY_CPSC[term.strip().lower()])
    return load_taxonomy().crosswalk(scheme, term)


_EARLY_CPSC: dict[str, tuple[str, ...]] = {
    "fire & fire-related burn": ("fire",),
    "choking": ("choking",),
    "aspiration": ("choking",),
    "fall": ("fall",),
    "collapse": ("fall",),
    "laceration": ("laceration",),
    "amputation": ("laceration",),
    "electrocution/electric shock": ("electric_shock",),
    "vehicle accident": ("crash",),
    "crash": ("crash",),
    "lead": ("lead",),
    "strangulation": ("strangulation",),
    "entanglement": ("strangulation",),
    "burn - not fire-related": ("burn",),
    "burn": ("burn",),
    "entrapment": ("entrapment",),
    "explosion/projectiles": ("explosion", "projectile"),
    "internal injury": ("other",),
    "poisoning": ("chemical_other",),
    "ingestion": ("chemical_other",),
    "drowning": ("drowning",),
    "suffocation": ("suffocation",),
    "carbon monoxide (co)": ("carbon_monoxide",),
    "magnet ingestion": ("magnet_ingestion",),
    "injury": ("other",),
    "cadmium": ("cadmium",),
    "safety equipment malfunction": ("other",),
    "phthalates": ("phthalates",),
    "communications failure": ("other",),
}
