"""The limits that the law sets, found by jurisdiction, product group, audience and day."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import date
from functools import cached_property

from features.limits import Limit, applicable


@dataclass(frozen=True, eq=False)
class Scope:
    """Goods for which a general law counts, such as all children's products.

    Attributes
    ----------
    audiences
        That bring the law.
    excluded
        Product groups with a law of their own, by country.
    """

    audiences: frozenset[str]
    excluded: Mapping[str, frozenset[str]]


@dataclass(frozen=True, eq=False, repr=False)
class Law:
    """Every limit, in force or not.

    Attributes
    ----------
    limits
        Rows of ``limits.csv``.
    scopes
        General laws by name.
    units
        Family and factor by unit, in the spelling of `spelled`; units of one family convert into each other.
    """

    limits: tuple[Limit, ...]
    scopes: Mapping[str, Scope]
    units: Mapping[str, tuple[str, float]]

    def __repr__(self) -> str:
        return f"Law({len(self.limits)} limits)"

    def in_force(
        self, hazard: str, groups: Sequence[str], jurisdiction: str, on: date, audience: str
    ) -> tuple[Limit, ...]:
        """Limits for goods of a group and all above it; see `Taxonomy.limits`."""
        places = {jurisdiction, jurisdiction.partition("-")[0]}
        candidates = [limit for place in sorted(places) for limit in self._by_place.get((place, hazard), ())]
        return applicable(candidates, groups, on, audience, self._scopes_of(groups, jurisdiction, audience))

    def complies(self, limit: Limit, value: float, unit: str) -> bool | None:
        """Whether a measured value complies, units converted; see `Taxonomy.complies`."""
        measured, wanted = self.units.get(spelled(unit)), self.units.get(spelled(limit.unit))
        if measured is None or wanted is None or measured[0] != wanted[0]:
            return None
        return limit.met_by(value if measured[1] == wanted[1] else value * measured[1] / wanted[1])

    @cached_property
    def _by_place(self) -> Mapping[tuple[str, str], Sequence[Limit]]:
        index: dict[tuple[str, str], list[Limit]] = {}
        for limit in self.limits:
            index.setdefault((limit.jurisdiction, limit.hazard), []).append(limit)
        return index

    def _scopes_of(self, groups: Sequence[str], jurisdiction: str, audience: str) -> tuple[str, ...]:
        country = jurisdiction.partition("-")[0]
        return tuple(
            name
            for name, scope in self.scopes.items()
            if audience in scope.audiences and scope.excluded.get(country, frozenset()).isdisjoint(groups)
        )


def spelled(unit: str) -> str:
    """Return a unit without spaces and case."""
    return "".join(unit.casefold().split())
