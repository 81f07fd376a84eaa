"""What a hazard, a laboratory and the risk table are, and how they are made from the entries of the data files."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from types import MappingProxyType

import numpy as np

from features.hazard_words import Crosswalk, fold
from features.taxonomy_file import (
    AUDIENCES,
    CrosswalkEntry,
    HazardEntry,
    LaboratoriesFile,
    MatrixEntry,
    TaxonomyError,
    TaxonomyFile,
    Terms,
)


@dataclass(frozen=True, slots=True)
class Injury:
    """P(injury of the hazard's severity over the product's life | the product fails for the hazard)."""

    probability: float
    source: str
    mark: str
    why: str = ""


@dataclass(frozen=True, slots=True)
class Hazard:
    """One hazard code.

    ``severity`` is 1 (first aid) to 4 (death, harm to offspring); ``policy`` goods are banned whatever a laboratory
    finds; ``mask_terms`` are words per language (``ko``, ``en``, ``zh``) that name the hazard; ``laboratories`` are the
    codes of those that test for it.
    """

    code: str
    names: Mapping[str, str]
    family: str
    severity: int
    severity_why: str
    severity_mark: str
    policy: bool
    test_method: str
    test_method_mark: str
    mask_terms: Mapping[str, tuple[str, ...]]
    injury: Mapping[str, Injury]
    laboratories: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class Laboratory:
    """A laboratory and the hazards it is taken to be accredited for."""

    code: str
    names: Mapping[str, str]
    hazards: frozenset[str]
    mark: str
    source: str
    note: str


@dataclass(frozen=True, slots=True)
class RiskMatrix:
    """Severity x probability of injury.

    ``bounds``: ndarray of shape (n_bands - 1,), rising; a probability lies in the highest band whose bound it EXCEEDS.
    ``levels``: ndarray of str of shape (n_bands, 4), lowest band first, columns severity 1 to 4.
    """

    bounds: np.ndarray
    levels: np.ndarray
    source: str
    mark: str
    note: str


def build_hazard(
    code: str, entry: HazardEntry, form: TaxonomyFile, laboratories: Mapping[str, Laboratory]
) -> Hazard:
    """Make one hazard of its entry."""
    injury = {}
    for audience in AUDIENCES:
        given = getattr(entry.injury, audience)
        injury[audience] = Injury(given.p, given.source or entry.injury.source, given.mark, entry.injury.why)
    return Hazard(
        code=code,
        names=MappingProxyType(entry.names.model_dump()),
        family=entry.family,
        severity=entry.severity.level,
        severity_why=entry.severity.why,
        severity_mark=form.severity_mark,
        policy=entry.policy,
        test_method=entry.test_method,
        test_method_mark=form.test_method_mark,
        mask_terms=build_terms(entry.mask_terms),
        injury=MappingProxyType(injury),
        laboratories=()
        if entry.policy
        else tuple(lab.code for lab in laboratories.values() if code in lab.hazards),
    )


def build_laboratories(form: LaboratoriesFile, taxonomy: TaxonomyFile, path: Path) -> dict[str, Laboratory]:
    """Make the laboratories, families spelt out as hazard codes; ``path`` is named in errors."""
    families: dict[str, list[str]] = {}
    for code, hazard in taxonomy.hazards.items():
        families.setdefault(hazard.family, []).append(code)
    laboratories = {}
    for name, entry in form.laboratories.items():
        tested: set[str] = set()
        for code in entry.tests:
            # `other` is a hazard and a family; the narrower meaning is the safe one.
            if code in taxonomy.hazards:
                tested.add(code)
            elif code in families:
                tested.update(families[code])
            else:
                raise TaxonomyError(
                    f"{path}: laboratories.{name}.tests: got {code!r}, expected a hazard or a family"
                )
        laboratories[name] = Laboratory(
            name,
            MappingProxyType(entry.names.model_dump()),
            frozenset(tested),
            entry.mark,
            entry.source,
            entry.note,
        )
    return laboratories


def build_crosswalk(scheme: str, entry: CrosswalkEntry) -> Crosswalk:
    """Make a crosswalk with its terms folded."""
    names: dict[str, frozenset[str]] = {fold(term): frozenset() for term in [*entry.possible, *entry.nothing]}
    for code, terms in entry.names.items():
        for term in terms:
            names[fold(term)] = names.get(fold(term), frozenset()) | {code}
    possible: dict[str, frozenset[str]] = {}
    for term, codes in entry.possible.items():
        possible[fold(term)] = possible.get(fold(term), frozenset()) | frozenset(codes) - names[fold(term)]
    return Crosswalk(scheme, MappingProxyType(names), MappingProxyType(possible), entry.source, entry.mark)


def build_matrix(entry: MatrixEntry) -> RiskMatrix:
    """Make the risk table, lowest band first."""
    rising = entry.bands[::-1]
    bounds = frozen(np.array([band.above for band in rising[1:]]))
    return RiskMatrix(
        bounds, frozen(np.array([b.levels for b in rising])), entry.source, entry.mark, entry.note
    )


def build_terms(terms: Terms) -> Mapping[str, tuple[str, ...]]:
    """Make words per language immutable."""
    return MappingProxyType({language: tuple(words) for language, words in terms.model_dump().items()})


def frozen(array: np.ndarray) -> np.ndarray:
    """Make an array read-only and return it."""
    array.flags.writeable = False
    return array
