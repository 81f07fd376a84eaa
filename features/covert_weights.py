"""The weights of the covert-camera detector, read from their file and compiled."""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass
from functools import cached_property
from typing import Any

from features.group_file import read_group_file
from features.lexicon import TermFinder

# Families of goods whose cameras are ordinary ones: telephones, vehicles, what is made for taking pictures.
_OWN_CAMERAS = re.compile("phone|car_|vehicle|camera|computer|drone|pet|tablet|monitor|bag|toy")
THINGS = ("thing", "thing_or_accessory")
"""Groups of everyday things that a camera may pass for."""


@dataclass(frozen=True, slots=True)
class Group:
    """Terms that mean the same; ``if_concealed`` is the share that is left beside a word of concealment."""

    weight: float
    finder: TermFinder
    if_concealed: float | None


@dataclass(frozen=True, slots=True)
class Rule:
    """What groups say together."""

    name: str
    weight: float
    all: tuple[str, ...]
    any: tuple[str, ...]
    unless: tuple[str, ...]
    any_thing: bool
    full: bool


class CovertWeights:
    """The weights file, compiled.

    Parameters
    ----------
    raw
        The parsed file; ``covert_camera.yaml`` explains its parts.

    Raises
    ------
    ValueError
        Where a rule names a group that is not there, or a term that the quick look at descriptions would miss.
    """

    def __init__(self, raw: Mapping[str, Any]) -> None:
        self.version: int = raw["version"]
        self.bias: float = raw["bias"]
        self.details_share: float = raw["details_share"]
        self.details_length: int = raw["details_length"]
        self.pieces_discount: float = raw["pieces_discount"]
        self.details_stems: tuple[str, ...] = tuple(raw["details_stems"])
        self.details_groups: tuple[str, ...] = tuple(raw["details_groups"])
        self.ordinary_floor: float = raw["ordinary_floor"]
        self.groups = {
            name: Group(
                group["weight"],
                TermFinder(str(term) for terms in group["terms"].values() for term in terms),
                group.get("if_concealed"),
            )
            for name, group in raw["groups"].items()
        }
        self.rules = tuple(
            Rule(
                r["name"],
                r["weight"],
                tuple(r["all"]),
                tuple(r.get("any", ())),
                tuple(r.get("unless", ())),
                any_thing=r.get("any_thing", False),
                full=r.get("full", False),
            )
            for r in raw["rules"]
        )
        self.relations: Mapping[str, float] = {
            k: v for k, v in raw["relations"].items() if not isinstance(v, str)
        }
        self.break_words = re.compile(raw["relations"]["break_words"])
        self.list_words = re.compile(raw["relations"]["list_words"])
        self.for_words = re.compile(raw["relations"]["for_words"])
        self.for_after_camera = re.compile(raw["relations"]["for_after_camera"])
        self.accessory_words = re.compile(raw["relations"]["accessory_words"].strip())
        self.with_words = re.compile(raw["relations"]["with_words"])
        self._check()
        self.ordinary = self._union(*(name for name, group in self.groups.items() if group.weight <= -2.0))
        self.camera = self._union("camera", "explicit", "camera_inside")
        self.ability = self._union("recording", "resolution", "remote")
        self.about = self._union(*THINGS, "concealment")
        self.in_details = self._union("explicit", "camera_inside")

    @cached_property
    def goods(self) -> TermFinder:
        """Names of goods of every product group that has no cameras of its own."""
        ordinary = {
            term for group in self.groups.values() if group.weight <= -1.0 for term in group.finder.terms
        }
        terms = {
            word.strip("?|")
            for code, group in read_group_file(None).groups.items()
            if not _OWN_CAMERAS.search(code)
            for words in group.terms.values()
            for word in words
            if not word.startswith(("&", "@"))
        }
        kept = [term for term in terms if term not in ordinary and not self.camera.search(term)]
        return TermFinder(kept, short_hangul_alone=True)

    def _union(self, *names: str) -> TermFinder:
        return TermFinder(term for name in names for term in self.groups[name].finder.terms)

    def _check(self) -> None:
        named = {g for rule in self.rules for g in (*rule.all, *rule.any, *rule.unless)} | set(
            self.details_groups
        )
        if unknown := sorted(named - set(self.groups)):
            raise ValueError(
                f"Got rules that name the groups {unknown} but expected names among {sorted(self.groups)}; "
                "add the groups or mend the rules of the covert-camera weights."
            )
        terms = (*self.groups["explicit"].finder.terms, *self.groups["camera_inside"].finder.terms)
        plain = [term.replace(" ", "") for term in terms]
        if unseen := [term for term in plain if not any(stem in term for stem in self.details_stems)]:
            raise ValueError(
                f"Got terms without any of the details_stems ({unseen}) but expected one in each; add a stem."
            )
