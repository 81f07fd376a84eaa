"""Inspection rounds: of n goods of a product group, k failed. Group level, never one item.

A round's rows overlap: an "all" row repeats the sum of the others, platform rows split a total, and some
groups lie inside others. Adding rows up would count goods twice, so each record says whether it is a leaf.
The leaves of a batch never overlap and together hold every item that was tested.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from functools import cache
from importlib import resources
from itertools import combinations
from pathlib import Path

import yaml

from features.rows import Form
from training.records import InspectionRound, Record, Reject
from training.sources.base import read_table
from training.sources.parsing import clean, known_by

_ALL = re.compile(r"\ball\b|^전체$|\btotal\b", re.IGNORECASE)


@cache
def _known_nesting() -> Mapping[tuple[str, str], str]:
    text = (resources.files("training.sources") / "inspection_nesting.yaml").read_text(encoding="utf-8")
    return {(row["batch"], row["group"]): row["inside"] for row in yaml.safe_load(text)["inside"]}


@dataclass(frozen=True, slots=True)
class InspectionRounds:
    """A table of rounds: batch, agency, date, platforms, group, tested, failed.

    Where a group has sub-groups that do not fill it, a record for the rest is derived (``native_id`` ends in
    ``#rest``), so that specific groups keep their own figures and nothing is counted twice. A column
    ``inside`` may name a group's parent; the published rounds' nesting is in ``inspection_nesting.yaml``.
    A date is the last day it can mean; a round without one has ``date`` None.
    """

    name: str = "inspections"
    nesting: Mapping[tuple[str, str], str] = field(default_factory=_known_nesting)
    form: Form = field(default_factory=Form)
    columns: Mapping[str, str] = field(default_factory=dict)

    def read(self, path: Path) -> Iterator[Record | Reject]:
        """Yield rounds, batch by batch; see `training.sources.base.Source`."""
        batches: dict[str, list[tuple[InspectionRound, str]]] = {}

        def place(row: Mapping[str, str]) -> InspectionRound:
            batch = clean(row["batch_id"])
            record = self._round(row, len(batches.get(batch, [])))
            inside = clean(row.get("inside")) or self.nesting.get((batch, record.group_name), "")
            batches.setdefault(batch, []).append((record, inside))
            return record

        # A row's standing depends on its whole batch, so only the rejects of this first pass are passed on.
        required = ("batch_id", "agency", "product_group", "n_tested", "n_failed")
        rows = read_table(self.name, path, required, place, self.form, self.columns)
        yield from (row for row in rows if isinstance(row, Reject))
        for held in batches.values():
            yield from mark_leaves([record for record, _ in held], [inside for _, inside in held])

    def _round(self, row: Mapping[str, str], place: int) -> InspectionRound:
        tested, failed = _count(row["n_tested"], "n_tested"), _count(row["n_failed"], "n_failed")
        batch, group = clean(row["batch_id"]), clean(row["product_group"])
        if not batch or not group:
            raise ValueError("no batch_id" if not batch else "no product_group")
        if not 0 <= failed <= tested or tested == 0:
            raise ValueError(
                f"got {failed} failed of {tested} tested, expected 0 <= failed <= tested, tested > 0"
            )
        return InspectionRound(
            source=self.name,
            native_id=f"{batch}#{place}",
            agency=clean(row["agency"]),
            date=known_by(row.get("announced")),
            platforms=clean(row.get("platforms")),
            group_name=group,
            group_name_ko=clean(row.get("product_group_ko")),
            n_tested=tested,
            n_failed=failed,
            leaf=True,
            hazard_text=clean(row.get("hazards")),
            url=clean(row.get("url")),
        )


def _count(text: str, column: str) -> int:
    try:
        return int(clean(text))
    except ValueError:
        raise ValueError(f"got {column} {text[:20]!r}, expected a whole number") from None


def mark_leaves(rows: Sequence[InspectionRound], inside: Sequence[str]) -> list[InspectionRound]:
    """Mark which rows of one batch may be added up, and add the rest of half-filled groups.

    Parameters
    ----------
    rows
        Rounds of one batch.
    inside
        For each row the name of the group that holds it, or ``""``.

    Returns
    -------
    list of InspectionRound
        The rows in order, then derived rest rows. Leaves do not overlap.

    """
    parents = [_parent(index, rows, inside) for index in range(len(rows))]
    children: dict[int, list[int]] = {}
    for index, parent in enumerate(parents):
        if parent is not None:
            children.setdefault(parent, []).append(index)
    marked = list(rows)
    for parent, held in children.items():
        rest = _rest(rows[parent], [rows[i] for i in held])
        if rest is None or _splits_platforms(rows[parent], [rows[i] for i in held]):
            for index in held:
                marked[index] = replace(rows[index], leaf=False)
            continue
        marked[parent] = replace(rows[parent], leaf=False)
        marked.extend(rest)
    # An "all" row that nothing in its batch fills is an agency's yearly sum over other batches.
    return [
        replace(r, leaf=False) if r.leaf and _ALL.search(r.group_name) and "#rest" not in r.native_id else r
        for r in marked
    ]


def _parent(index: int, rows: Sequence[InspectionRound], inside: Sequence[str]) -> int | None:
    """The row that holds this one: as named, else the row whose figures the group of rows adds up to."""
    if inside[index]:
        named = [i for i, r in enumerate(rows) if i != index and r.group_name == inside[index]]
        if named:
            return named[0]
    others = [i for i in range(len(rows)) if i != index and not inside[i]]
    for whole in others:
        parts = [i for i in range(len(rows)) if i != whole and not inside[i]]
        if _ALL.search(rows[whole].group_name) or (index in _filling(whole, parts, rows)):
            return whole if index in parts and not _ALL.search(rows[index].group_name) else None
    return None


def _filling(whole: int, parts: Sequence[int], rows: Sequence[InspectionRound]) -> tuple[int, ...]:
    """Rows (two or more) whose tested and failed counts both add up to the whole's."""
    for size in range(2, min(len(parts), 6) + 1):
        for chosen in combinations(parts, size):
            tested = sum(rows[i].n_tested for i in chosen)
            if (
                tested == rows[whole].n_tested
                and sum(rows[i].n_failed for i in chosen) == rows[whole].n_failed
            ):
                return chosen
    return ()


def _splits_platforms(whole: InspectionRound, parts: Sequence[InspectionRound]) -> bool:
    """Whether the parts are the same goods told by platform."""
    platforms = {part.platforms for part in parts}
    names = {part.group_name_ko or part.group_name for part in parts} | {
        whole.group_name_ko or whole.group_name
    }
    return len(parts) > 1 and len(platforms) == len(parts) and len(names) == 1


def _rest(whole: InspectionRound, parts: Sequence[InspectionRound]) -> list[InspectionRound] | None:
    """What the parts leave over: nothing, one derived round, or None where they cannot be parts."""
    tested = whole.n_tested - sum(part.n_tested for part in parts)
    failed = whole.n_failed - sum(part.n_failed for part in parts)
    if tested < 0 or not 0 <= failed <= tested:
        return None
    if tested == 0:
        return []
    return [replace(whole, native_id=f"{whole.native_id}#rest", n_tested=tested, n_failed=failed, leaf=True)]
