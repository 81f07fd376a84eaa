"""What was known on a day: records read from sources, labelled, cut off, and named by a hash of their content."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, replace
from datetime import date
from pathlib import Path

import numpy as np

from features.errors import UserError
from features.groups import of_inspection
from features.rows import Form
from features.taxonomy import Taxonomy
from training.config import Config, SourceRef
from training.labels import Cut, LabelMatrix, from_laboratory, from_recalls
from training.manifest import file_hash
from training.rates import GroupCount
from training.records import InspectionRound, LabResult, Recall, Record, Reject
from training.sources import SOURCES, Source
from training.sources.inspections import InspectionRounds
from training.sources.lab_generic import LabResults
from training.sources.recall_generic import OwnRecalls

OWN = (LabResults, OwnRecalls, InspectionRounds)
"""Readers of a user's own files."""


class DataError(UserError):
    """Data that a configuration names and that is not there or not usable."""


@dataclass(frozen=True, slots=True)
class Dataset:
    """A snapshot of past results.

    Attributes
    ----------
    recalls, lab
        Label matrices of the two item-level kinds.
    rounds
        Leaf rows of inspection rounds, by product group.
    files
        Source path -> SHA-256.
    left_out
        Reason -> count, over everything that was read and gives no label.
    """

    recalls: LabelMatrix
    lab: LabelMatrix
    rounds: tuple[GroupCount, ...]
    files: Mapping[str, str]
    left_out: Mapping[str, int]


def _known_by(day: date | None, as_of: date | None) -> bool:
    return as_of is None or (day is not None and day <= as_of)


def _number(recall: Recall) -> tuple[str, str]:
    """Return what makes a recall the same in two tables of one regulator: its number without filling zeros."""
    return recall.regulator or recall.source, recall.native_id.lower().lstrip("0")


def source_named(name: str) -> Source:
    """Return the reader of a publisher's form.

    Raises
    ------
    DataError
        When there is none of that name.
    """
    if name not in SOURCES:
        raise DataError(f"Got source {name!r}; expected one of {', '.join(sorted(SOURCES))}.")
    return SOURCES[name]


def source_of(ref: SourceRef, hazards: tuple[str, ...] = ()) -> Source:
    """Return the reader of one entry of a configuration, with its columns and encoding.

    Raises
    ------
    DataError
        When there is no such reader, or it reads a publisher's own form and columns are given all the same.
    """
    source = source_named(ref.reader)
    if isinstance(source, LabResults | OwnRecalls):
        source = replace(source, hazards=hazards)
    if not ref.columns and ref.encoding == "utf-8":
        return source
    if not isinstance(source, OWN):
        names = ", ".join(kind().name for kind in OWN)
        raise DataError(
            f"The source {ref.reader!r} reads a publisher's own form; columns and encoding are for {names}."
        )
    return replace(source, columns=ref.columns, form=Form(encoding=ref.encoding))


def known_records(
    config: Config,
    folder: Path,
    left_out: Counter[str],
    *,
    files: dict[str, str] | None = None,
    hazards: tuple[str, ...] = (),
    advance: Callable[[str], None] = lambda _: None,
) -> Iterator[Record]:
    """Yield every usable record of a configuration's sources.

    Parameters
    ----------
    left_out
        Counts, by reason, what is not yielded.
    files
        Gets the SHA-256 of each file, by its path in the configuration.
    hazards
        Codes of the taxonomy in use; empty for the package's.
    advance
        Called with the name of each file when it has been read.

    Raises
    ------
    DataError
        When a reader or a file does not exist.
    """
    holder: dict[tuple[str, str], str] = {}
    for ref in config.sources:
        source, path = source_of(ref, hazards), folder / ref.path
        if not path.is_file():
            raise DataError(
                f"The source file {ref.path!r} is not in {folder}; check --data or the configuration."
            )
        if files is not None:
            files[ref.path] = file_hash(path)
        for record in source.read(path):
            reason = _why_not(record, config.as_of, holder)
            if reason:
                left_out[f"{record.source}: {reason}"] += 1
            elif not isinstance(record, Reject):
                yield record
        advance(ref.path)


def _why_not(record: Record | Reject, as_of: date | None, holder: dict[tuple[str, str], str]) -> str:
    """Return why a record is left out, "" where it is not."""
    if isinstance(record, Reject):
        return record.reason
    if not _known_by(record.date, as_of):
        return f"not known on {as_of}"
    if isinstance(record, Recall):
        held = holder.setdefault(_number(record), record.source)
        return "" if held == record.source else f"the same recall is in {held}"
    if isinstance(record, InspectionRound) and not record.leaf:
        return "repeats other rows of its round"
    return ""


def load_dataset(
    config: Config, folder: Path, taxonomy: Taxonomy, *, advance: Callable[[str], None] = lambda _: None
) -> Dataset:
    """Read every source of a configuration.

    Parameters
    ----------
    folder
        Paths of the configuration are below it.
    advance
        Called with the name of each file when it has been read.

    Raises
    ------
    DataError
        When a reader or a file does not exist.
    """
    recalls: list[Recall] = []
    results: list[LabResult] = []
    rounds: list[InspectionRound] = []
    left_out: Counter[str] = Counter()
    files: dict[str, str] = {}
    for record in known_records(
        config, folder, left_out, files=files, hazards=tuple(taxonomy.codes), advance=advance
    ):
        if isinstance(record, Recall):
            recalls.append(record)
        elif isinstance(record, LabResult):
            results.append(record)
        else:
            rounds.append(record)
    cuts = {code: Cut(cut.value, cut.unit, cut.basis) for code, cut in config.cuts.items()}
    lab, unlabelled = from_laboratory(results, taxonomy, cuts)
    left_out.update(unlabelled)
    return Dataset(
        from_recalls(recalls, taxonomy), lab, _counts(rounds, taxonomy, left_out), files, dict(left_out)
    )


def _counts(
    rounds: list[InspectionRound], taxonomy: Taxonomy, left_out: Counter[str]
) -> tuple[GroupCount, ...]:
    """Name each round's product group; a group that the taxonomy does not know is counted as left out."""
    counts: list[GroupCount] = []
    for row in rounds:
        name = row.group_name.removesuffix("#rest")
        # Own rounds name the group by its code, an authority's by its own words.
        code = name if name in taxonomy.groups else of_inspection(name, row.group_name_ko)
        if code not in taxonomy.groups:
            left_out[f"inspection group {row.group_name!r} is not in the taxonomy"] += 1
        else:
            counts.append(GroupCount(code, row.n_tested, row.n_failed))
    return tuple(counts)


def decimal_years(labels: LabelMatrix) -> np.ndarray:
    """Return the time of each item in years, NaN where undated; shape (n,)."""
    return np.array(
        [np.nan if day is None else day.year + (day.timetuple().tm_yday - 1) / 366 for day in labels.dates]
    )
