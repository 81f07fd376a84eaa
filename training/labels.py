"""The label matrix: what is known of each item and hazard, from which source, since when.

Unknown is never negative. A recall makes all laboratory-type hazards known GIVEN non-compliance (the ones it does not
name count as 0 there) and nothing else; a laboratory result makes exactly one hazard known.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Iterable, Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass
from datetime import date
from typing import Literal

import numpy as np

from features.taxonomy import Taxonomy
from training.records import LabResult, Recall

Kind = Literal["recall", "lab"]
SEPARATOR = " ; "


@dataclass(frozen=True, slots=True)
class Item:
    """One labelled product: what a model may read of it, and what ties it to other items.

    ``keys`` (maker, recall number, sample) and ``program`` / ``laboratory`` are never model inputs.
    """

    id: str
    kind: Kind
    source: str
    time: date | None
    name: str
    category: str = ""
    maker: str = ""
    country: str = ""
    product_types: tuple[str, ...] = ()
    keys: tuple[str, ...] = ()
    laboratory: str = ""
    program: str = ""
    url: str = ""
    regulator: str = ""
    weight: float = 1.0


@dataclass(frozen=True, slots=True)
class Cut:
    """A value from which a result fails: ``value`` in ``unit``, from a law or chosen for a probe."""

    value: float
    unit: str
    basis: str


@dataclass(frozen=True, slots=True)
class LabelMatrix:
    """Items by hazards.

    Attributes
    ----------
    items
        n of them.
    value
        ndarray of shape (n, n_hazards), float32: 1 has the hazard or fails, 0 has it not or passes.
    known
        ndarray of shape (n, n_hazards), bool. Where False, ``value`` means nothing.
    measured
        ndarray of shape (n,), float64: raw concentration in the cut's unit, 0 where not detected; NaN where none, where
        a bound alone is known and where the unit is another.
    """

    items: tuple[Item, ...]
    value: np.ndarray
    known: np.ndarray
    measured: np.ndarray

    def __len__(self) -> int:
        return len(self.items)

    def take(self, rows: np.ndarray | Sequence[int]) -> LabelMatrix:
        """Return some of the rows."""
        index = np.asarray(rows, dtype=int)
        items = tuple(self.items[i] for i in index)
        return LabelMatrix(items, self.value[index], self.known[index], self.measured[index])

    def as_of(self, day: date) -> LabelMatrix:
        """Return what was known on ``day``: items dated up to and including it. Undated items are left out."""
        return self.take(
            [i for i, item in enumerate(self.items) if item.time is not None and item.time <= day]
        )

    def content_hash(self) -> str:
        """Return the SHA-256 of all cells and what they rest on, independent of the order of rows."""
        lines = []
        for i, item in enumerate(self.items):
            cells = [(int(k), float(self.value[i, k])) for k in np.flatnonzero(self.known[i])]
            row = [
                item.id,
                item.kind,
                item.source,
                str(item.time),
                item.name,
                item.category,
                item.maker,
                item.country,
            ]
            more = [] if item.weight == 1.0 else [item.weight]
            lines.append(json.dumps([*row, cells, *more], ensure_ascii=False))
        return hashlib.sha256("\n".join(sorted(lines)).encode()).hexdigest()

    @property
    def dates(self) -> list[date | None]:
        """Time of each item."""
        return [item.time for item in self.items]


def _matrix(items: Sequence[Item], n_hazards: int) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    shape = (len(items), n_hazards)
    return np.zeros(shape, np.float32), np.zeros(shape, bool), np.full(len(items), np.nan)


def from_recalls(recalls: Iterable[Recall], taxonomy: Taxonomy) -> LabelMatrix:
    """Label recalls that name a hazard and a product; the others support no hazard and are left out."""
    usable = [recall for recall in recalls if recall.hazards and recall.product_names]
    items = [
        Item(
            id=f"{recall.source}:{recall.native_id}",
            kind="recall",
            source=recall.source,
            time=recall.date,
            name=SEPARATOR.join(recall.product_names),
            maker=recall.manufacturers[0] if recall.manufacturers else "",
            product_types=recall.product_types,
            keys=(*(f"maker:{name.lower()}" for name in recall.manufacturers), f"recall:{recall.native_id}"),
            url=recall.url,
            regulator=recall.regulator,
        )
        for recall in usable
    ]
    value, known, measured = _matrix(items, len(taxonomy.codes))
    for i, recall in enumerate(usable):
        known[i] = taxonomy.laboratory_mask
        for code in _unsaid(recall, taxonomy):
            known[i, taxonomy.index(code)] = False
        for code in recall.hazards:
            value[i, taxonomy.index(code)], known[i, taxonomy.index(code)] = 1.0, True
    return LabelMatrix(tuple(items), value, known, measured)


# Whose words a source's hazard terms are; the others use taxonomy codes and leave nothing open.
_SCHEMES = {
    "cpsc": "cpsc",
    "cpsc_toys": "english",
    "cpsc_sports": "english",
    "cpsc_api": "english",
    "safety_gate": "safety_gate",
    "kats": "korean",
}


def _unsaid(recall: Recall, taxonomy: Taxonomy) -> frozenset[str]:
    """Return hazards of which a recall's silence says nothing.

    A scheme without a word for helmets that fail cannot deny it, and a wide word such as "chemical" leaves open which.
    """
    scheme = _SCHEMES.get(recall.source)
    if scheme is None:
        return frozenset()
    unsaid = set(taxonomy.codes) - taxonomy.covers(scheme)
    for term in recall.hazard_terms:
        with suppress(KeyError):  # words read off prose are no terms of the scheme
            unsaid |= taxonomy.possible(scheme, term)
    return frozenset(unsaid)


def _fails(result: LabResult, cut: Cut | None) -> tuple[bool | None, float]:
    """Return whether a result fails, None where it cannot be said, and its value in the cut's unit, NaN where none."""
    comparable = cut is not None and result.unit.lower() in _SAME_UNIT.get(
        cut.unit.lower(), {cut.unit.lower()}
    )
    measured = _measured(result) if comparable else np.nan
    if result.failed is not None:
        return result.failed, measured
    if cut is None or not comparable:
        return None, np.nan
    if result.comparator == "nd":
        return False, measured
    if result.value is None:
        return None, np.nan
    if result.comparator == "<":
        return (False if result.value <= cut.value else None), np.nan
    return result.value >= cut.value, measured


def _measured(result: LabResult) -> float:
    """Return the value itself; a bound is none."""
    if result.comparator == "nd":
        return 0.0
    return result.value if result.comparator == "=" and result.value is not None else np.nan


# Parts per million by mass and milligrams per kilogram are one unit; nothing else is converted.
_SAME_UNIT = {"ppm": {"ppm", "mg/kg"}, "mg/kg": {"ppm", "mg/kg"}}


def from_laboratory(
    results: Iterable[LabResult], taxonomy: Taxonomy, cuts: Mapping[str, Cut]
) -> tuple[LabelMatrix, dict[str, int]]:
    """Label laboratory results by a cut per hazard, unless the source judged itself.

    Returns
    -------
    labels : LabelMatrix
        One hazard known a row.
    left_out : dict
        Reason to count, of results that give no label.
    """
    items: list[Item] = []
    cells: list[tuple[int, bool, float]] = []
    left_out: dict[str, int] = {}
    for result in results:
        cut = cuts.get(result.hazard)
        failed, measured = _fails(result, cut)
        if failed is None:
            reason = (
                f"no cut for {result.hazard}"
                if cut is None
                else f"not comparable: {result.unit or 'no unit'}"
            )
            left_out[reason] = left_out.get(reason, 0) + 1
            continue
        items.append(
            Item(
                id=f"{result.source}:{result.native_id}",
                kind="lab",
                source=result.source,
                time=result.date,
                name=result.product_name,
                category=result.product_type,
                maker=result.maker,
                country=result.country,
                product_types=(result.product_type,) if result.product_type else (),
                keys=(f"sample:{result.sample_id}",) if result.sample_id else (),
                laboratory=result.laboratory,
                program=result.program,
                weight=result.weight,
            )
        )
        cells.append((taxonomy.index(result.hazard), failed, measured))
    value, known, raw = _matrix(items, len(taxonomy.codes))
    for i, (hazard, failed, measured) in enumerate(cells):
        value[i, hazard], known[i, hazard], raw[i] = float(failed), True, measured
    return LabelMatrix(tuple(items), value, known, raw), left_out
