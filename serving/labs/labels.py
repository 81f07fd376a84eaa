"""The labels that change when a results file is taken in. Pure."""

from __future__ import annotations

from datetime import UTC, datetime

from serving.labs.book import RESULTS, LabBook
from serving.labs.intake import Intake
from serving.store import LabelRecord
from serving.store.laboratory import LabRow

SOURCE = "laboratory"


def labels_of(intake: Intake, book: LabBook, actor: str) -> list[LabelRecord]:
    """Return the labels that change with a file: they are written in its transaction, so that none is ever missing.

    Parameters
    ----------
    intake
        A file that is not recorded yet.
    book
        What is known without it.
    actor
        Who takes it in.
    """
    before = book.outcomes()
    after = _with(book, intake).outcomes()
    labels = []
    for sample_id in dict.fromkeys(entry.result.sample_id for entry in intake.entries):
        sample = book.samples[sample_id]
        for hazard, outcome in after[sample_id].items():
            if before.get(sample_id, {}).get(hazard) == outcome:
                continue
            value = None if outcome == "unclear" else outcome == "fail"
            body = {
                "sample_id": sample_id,
                "laboratory": sample.laboratory,
                "propensity": sample.propensity,
                "stratum": sample.stratum,
                "role": sample.role,
                "file_id": intake.file_id,
            }
            labels.append(
                LabelRecord(sample.marketplace, sample.listing_id, hazard, value, SOURCE, actor, body=body)
            )
    return labels


def _with(book: LabBook, intake: Intake) -> LabBook:
    """Return a book in which the file counts."""
    copy = LabBook(
        dict(book.plans), dict(book.samples), {k: list(v) for k, v in book.results.items()}, dict(book.files)
    )
    copy.apply([LabRow(book.seq + 1, RESULTS, intake.file_id, intake.body(), "", datetime.now(UTC))])
    return copy
