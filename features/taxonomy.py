"""The hazards, what they are called, how bad they are and what the law says of them: all read from data files."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import date
from functools import cached_property, lru_cache
from pathlib import Path
from types import MappingProxyType
from typing import TYPE_CHECKING

import numpy as np

from features.hazard_words import Crosswalk, HazardReading, HazardWords, fold
from features.hazards import (
    Hazard,
    Injury,
    Laboratory,
    RiskMatrix,
    build_crosswalk,
    build_hazard,
    build_laboratories,
    build_matrix,
    build_terms,
    frozen,
)
from features.law import Law, Scope, spelled
from features.limits import Limit, read_limits
from features.own_files import FILES, data_file, own_folder
from features.taxonomy_file import AUDIENCES, LaboratoriesFile, TaxonomyError, TaxonomyFile, read_yaml

if TYPE_CHECKING:
    from features.groups import ProductGroup

__all__ = [
    "AUDIENCES",
    "Hazard",
    "HazardReading",
    "Injury",
    "Laboratory",
    "Limit",
    "RiskMatrix",
    "Taxonomy",
    "TaxonomyError",
    "UnknownGroupError",
    "UnknownHazardError",
    "UnknownTermError",
    "load_taxonomy",
    "packaged_taxonomy",
]

_SCRIPT_OF_SCHEME = {"korean": "ko", "english": "en", "chinese": "zh"}


class _UnknownError(KeyError):
    """A key that is not there; reads as a sentence, unlike a bare `KeyError`."""

    def __str__(self) -> str:
        return str(self.args[0])


class UnknownHazardError(_UnknownError):
    """A hazard code that the taxonomy does not hold."""


class UnknownTermError(_UnknownError):
    """A term that a crosswalk does not hold, or a scheme that does not exist."""


class UnknownGroupError(_UnknownError):
    """A product group code that does not exist."""


@dataclass(frozen=True, eq=False, repr=False)
class Taxonomy:
    """All hazards in column order with everything known of them. Made by `load_taxonomy`.

    Attributes
    ----------
    hazards
        In the order of the file, which is the column order everywhere.
    laboratories
        By code.
    crosswalks
        By scheme: ``cpsc``, ``safety_gate``, ``korean``, ``english``, ``chinese``.
    ordinary_words
        Words per language that only look like a hazard's name.
    risk_matrix
        The table of the EU guideline.
    harm_weights
        Weight of an injury of severity 1 to 4.
    law
        Every limit, in force or not.
    """

    hazards: tuple[Hazard, ...]
    laboratories: Mapping[str, Laboratory]
    crosswalks: Mapping[str, Crosswalk]
    ordinary_words: Mapping[str, tuple[str, ...]]
    risk_matrix: RiskMatrix
    harm_weights: tuple[float, ...]
    law: Law
    _folder: Path | None

    def __repr__(self) -> str:
        return f"Taxonomy({len(self.hazards)} hazards, {len(self.law.limits)} limits, folder={self._folder})"

    @cached_property
    def codes(self) -> tuple[str, ...]:
        """Hazard codes in column order."""
        return tuple(hazard.code for hazard in self.hazards)

    @cached_property
    def _positions(self) -> Mapping[str, int]:
        return {code: position for position, code in enumerate(self.codes)}

    @cached_property
    def laboratory_mask(self) -> np.ndarray:
        """Shape (n_hazards,), bool: False for hazards that policy and not a laboratory decides."""
        return frozen(np.array([not hazard.policy for hazard in self.hazards]))

    @cached_property
    def severities(self) -> np.ndarray:
        """Shape (n_hazards,), int64: 1 to 4."""
        return frozen(np.array([hazard.severity for hazard in self.hazards]))

    @cached_property
    def _p_injury(self) -> Mapping[str, np.ndarray]:
        return {
            audience: frozen(np.array([hazard.injury[audience].probability for hazard in self.hazards]))
            for audience in AUDIENCES
        }

    @cached_property
    def groups(self) -> Mapping[str, ProductGroup]:
        """Product groups by code; read on first use."""
        from features.group_file import read_group_file

        return read_group_file(self.group_file).groups

    @property
    def source(self) -> str:
        """Where it was read from, in words."""
        return "the package's own" if self._folder is None else f"that of {self._folder}"

    @property
    def group_file(self) -> Path:
        """The file that its product groups are read from."""
        return (
            FILES["product_groups.yaml"]
            if self._folder is None
            else data_file("product_groups.yaml", self._folder)
        )

    @cached_property
    def mask_terms(self) -> Mapping[str, tuple[str, ...]]:
        """Per language every word to hide from a name view, longest first."""
        return {
            language: tuple(
                sorted(
                    {term for hazard in self.hazards for term in hazard.mask_terms[language]},
                    key=lambda term: (-len(term), term),
                )
            )
            for language in ("ko", "en", "zh")
        }

    def index(self, code: str) -> int:
        """Column of a hazard.

        Raises
        ------
        UnknownHazardError
            When the code does not exist.
        """
        try:
            return self._positions[code]
        except KeyError:
            raise UnknownHazardError(
                f"got hazard {code!r}, expected one of {', '.join(self.codes)}"
            ) from None

    def hazard(self, code: str) -> Hazard:
        """The hazard of a code; raises `UnknownHazardError`."""
        return self.hazards[self.index(code)]

    def p_injury(self, audience: str) -> np.ndarray:
        """P(injury | non-compliant) for an audience.

        Parameters
        ----------
        audience
            ``under_3``, ``under_14`` or ``general``.

        Returns
        -------
        ndarray of shape (n_hazards,), float64, read-only

        Raises
        ------
        ValueError
            When there is no such audience.
        """
        try:
            return self._p_injury[audience]
        except KeyError:
            raise ValueError(f"got audience {audience!r}, expected one of {', '.join(AUDIENCES)}") from None

    def crosswalk(self, scheme: str, term: str) -> frozenset[str]:
        """Hazards that a term of another scheme asserts.

        Parameters
        ----------
        scheme
            ``cpsc``, ``safety_gate``, ``korean``, ``english`` or ``chinese``.
        term
            One term; case, underscores and blanks make no difference.

        Returns
        -------
        frozenset of str
            Empty when the term is known but names no hazard.

        Raises
        ------
        UnknownTermError
            When the scheme or the term is not known.
        """
        names = self._scheme(scheme).names
        try:
            return names[fold(term)]
        except KeyError:
            raise UnknownTermError(
                f"got {scheme} term {term[:80]!r}, expected one of {len(names)} known ones; add it to taxonomy.yaml"
            ) from None

    def possible(self, scheme: str, term: str) -> frozenset[str]:
        """Hazards a term may mean besides those it asserts: unknown cells, never absent ones.

        Raises `UnknownTermError` like `crosswalk`.
        """
        self.crosswalk(scheme, term)
        return self._scheme(scheme).possible.get(fold(term), frozenset())

    def covers(self, scheme: str) -> frozenset[str]:
        """Hazards a scheme has a word for at all.

        The others are unknown in its records, whatever a record says: CPSC has no category for nickel, so that none of
        its recalls names nickel does not mean that the goods were free of it.

        Raises
        ------
        UnknownTermError
            When the scheme does not exist.
        """
        return frozenset[str]().union(*self._scheme(scheme).names.values())

    def named_in(self, text: str) -> HazardReading:
        """Hazards that an authority's sentence names, in Korean, English or Chinese; see `HazardReading`."""
        return self._words.read(text)

    def limits(
        self, hazard: str, group: str, jurisdiction: str, on: date, audience: str = "general"
    ) -> tuple[Limit, ...]:
        """Limits in force for goods of a group.

        Parameters
        ----------
        hazard
            Hazard code.
        group
            Product group code; its parents count too. "" for a product of no known group.
        jurisdiction
            ``KR``, ``EU``, ``US``; a part such as ``US-NY`` brings its whole (``US``) with it.
        on
            The day.
        audience
            A child audience brings the general law on children's products, whatever the group. A children's group
            brings it whatever the audience: "14 and over" on a toy is a known way round the law.

        Returns
        -------
        tuple of Limit
            Possibly several: materials and parts differ (``Limit.scope``). Empty when no limit is known.

        Raises
        ------
        UnknownHazardError, UnknownGroupError, ValueError
            For a hazard, a group or an audience that does not exist.
        """
        self.index(hazard)
        self.p_injury(audience)
        return self.law.in_force(hazard, self._line(group), jurisdiction, on, audience)

    def tested_hazards(
        self, group: str, jurisdiction: str, on: date, audience: str = "general"
    ) -> frozenset[str]:
        """Hazards for which the law sets a requirement on goods of a group; parameters as in `limits`."""
        return frozenset(code for code in self.codes if self.limits(code, group, jurisdiction, on, audience))

    def complies(self, limit: Limit, value: float, unit: str) -> bool | None:
        """Whether a measured value complies with a limit, units converted.

        Parameters
        ----------
        limit
            From `limits`.
        value
            In ``unit``.
        unit
            As laboratories write it: ``ppm``, ``mg/kg``, ``% w/w``...

        Returns
        -------
        bool or None
            None when the units measure different things or the limit is no number.
        """
        return self.law.complies(limit, value, unit)

    def _scheme(self, scheme: str) -> Crosswalk:
        try:
            return self.crosswalks[scheme]
        except KeyError:
            raise UnknownTermError(
                f"got scheme {scheme!r}, expected one of {', '.join(self.crosswalks)}"
            ) from None

    @cached_property
    def _words(self) -> HazardWords:
        schemes = {
            script: self.crosswalks[name]
            for name, script in _SCRIPT_OF_SCHEME.items()
            if name in self.crosswalks
        }
        return HazardWords(schemes, [word for words in self.ordinary_words.values() for word in words])

    def _line(self, group: str) -> tuple[str, ...]:
        """The group and all above it."""
        line: list[str] = []
        while group and group not in line:
            try:
                parent = self.groups[group].parent
            except KeyError:
                raise UnknownGroupError(
                    f"got product group {group!r}, expected a code of product_groups.yaml"
                ) from None
            line.append(group)
            group = parent or ""
        return tuple(line)


def load_taxonomy(folder: Path | None = None) -> Taxonomy:
    """Read the taxonomy.

    Parameters
    ----------
    folder
        Files here win over those of the package, one by one: a folder with nothing but ``laboratories.yaml`` changes
        the laboratories only. None for the folder that ``LISTING_RISK_TAXONOMY`` names, and where it names none for
        the package's own; both are read once.

    Returns
    -------
    Taxonomy

    Raises
    ------
    TaxonomyError
        Naming the file and the entry that is wrong.
    """
    return _known(own_folder()) if folder is None else _load(Path(folder))


def packaged_taxonomy() -> Taxonomy:
    """Return the package's own taxonomy, whatever the environment names; read once."""
    return _known(None)


@lru_cache(maxsize=4)
def _known(folder: Path | None) -> Taxonomy:
    return _load(folder)


def _load(folder: Path | None) -> Taxonomy:
    def find(name: str) -> Path:
        return FILES[name] if folder is None else data_file(name, folder)

    if folder is not None and not folder.is_dir():
        raise TaxonomyError(f"got folder {folder}, expected one that exists")
    form = read_yaml(find("taxonomy.yaml"), TaxonomyFile)
    laboratories = build_laboratories(
        read_yaml(find("laboratories.yaml"), LaboratoriesFile), form, find("laboratories.yaml")
    )
    return Taxonomy(
        hazards=tuple(build_hazard(code, entry, form, laboratories) for code, entry in form.hazards.items()),
        laboratories=MappingProxyType(laboratories),
        crosswalks=MappingProxyType(
            {name: build_crosswalk(name, entry) for name, entry in form.crosswalks.items()}
        ),
        ordinary_words=build_terms(form.ordinary_words),
        risk_matrix=build_matrix(form.risk_matrix),
        harm_weights=tuple(form.harm_weights),
        law=Law(
            limits=read_limits(find("limits.csv"), form.hazards),
            scopes={
                name: Scope(
                    frozenset(scope.audiences), {k: frozenset(v) for k, v in scope.excluded_groups.items()}
                )
                for name, scope in form.scopes.items()
            },
            units={
                spelled(unit): (family, factor)
                for family, units in form.units.items()
                for unit, factor in units.items()
            },
        ),
        _folder=folder,
    )
