"""A results file against what is known: taken whole, or refused with everything that is wrong. Pure."""

from __future__ import annotations

import hashlib
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import date
from typing import Any

from features.errors import UserError
from features.taxonomy import Taxonomy
from serving.labs.book import LabBook, Sample
from serving.labs.results import Problem, Result
from serving.labs.units import UnitError
from serving.labs.verdicts import Verdict, judge

SHOWN = 200


class ResultsRefusedError(UserError):
    """A results file that was not taken; ``problems`` holds everything that is wrong with it."""

    def __init__(self, name: str, problems: Sequence[Problem]) -> None:
        self.name = name
        self.problems = tuple(problems)
        shown = "; ".join(f"line {p.line}: {p.message}" if p.line else p.message for p in self.problems[:5])
        more = f"; and {len(self.problems) - 5} more" if len(self.problems) > 5 else ""
        super().__init__(f"{name}: nothing was taken, {len(self.problems)} problems: {shown}{more}")

    def to_json(self) -> dict[str, Any]:
        """Return every problem, as JSON values."""
        return {
            "taken": False,
            "file": self.name,
            "problems": [
                {"line": p.line, "code": p.code, "message": p.message} for p in self.problems[:SHOWN]
            ],
            "problem_count": len(self.problems),
        }


@dataclass(frozen=True, slots=True)
class Entry:
    """A row that is taken, with its verdict."""

    result: Result
    verdict: Verdict

    def to_json(self) -> dict[str, Any]:
        """Return the row as it is recorded."""
        return {"result": self.result.to_json(), "verdict": self.verdict.to_json()}


@dataclass(frozen=True, slots=True)
class Intake:
    """A file that can be taken.

    Attributes
    ----------
    entries
        What is recorded; rows that only repeat what is known are left out and counted in ``notes``.
    notes
        What a person should know, though nothing is wrong.
    """

    name: str
    laboratory: str
    digest: str
    entries: tuple[Entry, ...]
    notes: tuple[Problem, ...]

    @property
    def file_id(self) -> str:
        """Name of the file in the record: the same bytes have the same."""
        return f"results-{self.digest[:16]}"

    def body(self) -> dict[str, Any]:
        """Return what is recorded."""
        return {
            "name": self.name,
            "laboratory": self.laboratory,
            "digest": self.digest,
            "rows": [entry.to_json() for entry in self.entries],
            "notes": [{"line": n.line, "code": n.code, "message": n.message} for n in self.notes],
        }


def check_file(
    name: str,
    content: bytes,
    laboratory: str,
    results: Sequence[Result],
    problems: Sequence[Problem],
    book: LabBook,
    taxonomy: Taxonomy,
    today: date,
) -> Intake:
    """Check a file that was read.

    Parameters
    ----------
    name, content
        The file.
    laboratory
        Who tested.
    results, problems
        From `serving.labs.results.read_results`.
    book
        What is known.
    taxonomy
        For the limits in force on the day of the test.
    today
        Day of results that name none.

    Raises
    ------
    ResultsRefusedError
        With everything that is wrong; nothing of the file is taken then.
    """
    digest = hashlib.sha256(content).hexdigest()
    known = [head for head in book.files.values() if head.digest == digest]
    if known:
        message = f"this very file was taken on {known[0].at:%Y-%m-%d} as {known[0].name!r}: nothing to do"
        raise ResultsRefusedError(name, [Problem(0, "repeated_file", message)])
    wrong = list(problems)
    notes: list[Problem] = []
    entries: list[Entry] = []
    seen: dict[tuple[str, str, str], Result] = {}
    for result in results:
        found = _check(result, laboratory, book, taxonomy, today, seen)
        if isinstance(found, Entry):
            entries.append(found)
            notes += _remarks(found, book)
        elif found.code == "repeated_row":
            notes.append(found)
        else:
            wrong.append(found)
        seen.setdefault(result.key, result)
    if wrong:
        raise ResultsRefusedError(name, sorted(wrong, key=lambda p: p.line))
    if not entries:
        message = "every row repeats what is already known: nothing to do"
        raise ResultsRefusedError(name, [Problem(0, "repeated_file", message)])
    return Intake(name, laboratory, digest, tuple(entries), tuple(notes))


def _check(
    result: Result,
    laboratory: str,
    book: LabBook,
    taxonomy: Taxonomy,
    today: date,
    seen: Mapping[tuple[str, str, str], Result],
) -> Entry | Problem:
    sample = book.samples.get(result.sample_id)
    if sample is None:
        return Problem(
            result.line, "sample", f"sample {result.sample_id[:60]!r} is in no plan: check the sample number"
        )
    if sample.laboratory != laboratory:
        return Problem(
            result.line, "laboratory",
            f"sample {sample.sample_id} was ordered from {sample.laboratory}, the file is from {laboratory}",
        )  # fmt: skip
    if result.tested_on and date.fromisoformat(result.tested_on) > today:
        return Problem(
            result.line, "date", f"sample {sample.sample_id}: tested on {result.tested_on}, after today"
        )
    if (clash := _clash(result, book, seen)) is not None:
        return clash
    return _judged(result, sample, taxonomy, today)


def _clash(result: Result, book: LabBook, seen: Mapping[tuple[str, str, str], Result]) -> Problem | None:
    """Say what is wrong with a result of something that already has one; None where nothing is."""
    what = f"sample {result.sample_id}: {result.analyte}"
    twin = seen.get(result.key)
    if twin is not None:
        if twin.measured == result.measured and twin.kind == result.kind:
            return Problem(result.line, "repeated_row", f"{what} repeats line {twin.line}; counted once")
        return Problem(
            result.line, "twice", f"{what} is on line {twin.line} with another result; expected one a file"
        )
    filed = book.results.get(result.key, [])
    if not filed:
        if result.kind == "original":
            return None
        return Problem(
            result.line,
            "nothing_to_replace",
            f"{what} is a {result.kind}, but there is no earlier result of it",
        )
    if result.kind == "original":
        if filed[-1].result.measured == result.measured:
            return Problem(
                result.line,
                "repeated_row",
                f"{what} was already reported in {filed[-1].file_id}; counted once",
            )
        return Problem(
            result.line, "unmarked_change",
            f"{what} was reported before with another result; mark the row as correction (정정) or retest (재시험)",
        )  # fmt: skip
    if result.replaces and result.replaces not in {one.result.result_id for one in filed}:
        return Problem(
            result.line,
            "nothing_to_replace",
            f"{what} replaces result {result.replaces[:40]!r}, which is not known",
        )
    return None


def _judged(result: Result, sample: Sample, taxonomy: Taxonomy, today: date) -> Entry | Problem:
    on = date.fromisoformat(result.tested_on) if result.tested_on else today
    try:
        return Entry(result, judge(result, sample.goods, on, taxonomy))
    except UnitError as error:
        return Problem(result.line, "wrong_unit", str(error))


def _remarks(entry: Entry, book: LabBook) -> list[Problem]:
    """Return what a person should look at, of a row that is taken."""
    result, verdict = entry.result, entry.verdict
    what = f"sample {result.sample_id}: {result.analyte}"
    found = []
    sample = book.samples[result.sample_id]
    if result.hazard not in sample.hazards:
        ordered = ", ".join(sample.hazards)
        found.append(
            Problem(
                result.line,
                "not_ordered",
                f"{what} ({result.hazard}) was not ordered (ordered: {ordered}); kept",
            )
        )
    if verdict.conflict:
        found.append(Problem(result.line, "conflict", f"{what}: {verdict.reason}"))
    if verdict.outcome == "unclear" and not verdict.partial:
        found.append(Problem(result.line, "unclear", f"{what}: {verdict.reason}; not counted as a pass"))
    if result.comparator in ("nd", "<"):
        bound = f"below {result.value:g} {result.unit}" if result.value is not None else "not detected"
        found.append(Problem(result.line, "censored", f"{what}: {bound}, kept as a censored value"))
    if filed := book.results.get(result.key):
        found.append(
            Problem(
                result.line,
                result.kind,
                f"{what}: takes the place of {filed[-1].outcome} in {filed[-1].file_id}",
            )
        )
    return found
