"""Looking over past results before anything is trained on them: what is in them, what is wrong, what can be learnt.

Every check is a pure function from records to findings; `check_data` reads the files and runs them all. Clean data
gives no finding of level ``stop`` or ``look``.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Mapping
from datetime import date
from pathlib import Path

from features.schema import Listing
from features.taxonomy import Taxonomy
from training.config import Config
from training.dataset import known_records
from training.findings import LEVELS, CheckData, CheckReport, Finding
from training.labels import Cut, from_laboratory, from_recalls
from training.reading import Reader
from training.records import InspectionRound, LabResult, Recall

Say = Callable[[str], None]


def read_for_checks(
    config: Config,
    folder: Path,
    taxonomy: Taxonomy,
    listings: Mapping[str, Listing] | None = None,
    reader: Reader | None = None,
) -> CheckData:
    """Read every source of a configuration for the checks.

    Raises
    ------
    DataError
        When a reader or a file does not exist.
    """
    results: list[LabResult] = []
    recalls: list[Recall] = []
    rounds, left_out = 0, Counter[str]()
    for record in known_records(
        config.model_copy(update={"as_of": None}), folder, left_out, hazards=tuple(taxonomy.codes)
    ):
        if isinstance(record, LabResult):
            results.append(record)
        elif isinstance(record, Recall):
            recalls.append(record)
        elif isinstance(record, InspectionRound) and record.leaf:
            rounds += 1
    cuts = {code: Cut(cut.value, cut.unit, cut.basis) for code, cut in config.cuts.items()}
    lab, unlabelled = from_laboratory(results, taxonomy, cuts)
    left_out.update(unlabelled)
    labelled_recalls = from_recalls(recalls, taxonomy)
    reader = reader or Reader(taxonomy)
    return CheckData(
        lab,
        labelled_recalls,
        [reader.read_item(item) for item in lab.items],
        [reader.read_item(item) for item in labelled_recalls.items],
        results,
        rounds,
        dict(left_out),
        cuts,
        listings or {},
        config.as_of,
    )


def check_data(
    config: Config,
    folder: Path,
    taxonomy: Taxonomy,
    *,
    today: date,
    listings: Mapping[str, Listing] | None = None,
    reader: Reader | None = None,
    say: Say = lambda _: None,
) -> CheckReport:
    """Read what a configuration names and run every check.

    Parameters
    ----------
    folder
        Paths of the configuration are below it.
    today
        Results dated later are wrong.
    listings
        By id; lets the checks compare when a text was written with when its result was known.
    reader
        Of this taxonomy, where one is at hand; making one takes seconds.
    say
        Called with each step.

    Returns
    -------
    CheckReport
    """
    from training.checks_coverage import coverage, trainable
    from training.checks_leakage import giveaway_words, same_product
    from training.checks_noise import contradictions, doubtful_labels, verdict_against_value
    from training.checks_sources import one_source
    from training.checks_times import text_after_result, times

    say("reading sources")
    data = read_for_checks(config, folder, taxonomy, listings, reader)
    steps: tuple[tuple[str, Callable[[], list[Finding]]], ...] = (
        ("label coverage", lambda: coverage(data, taxonomy, config.lab.min_failed)),
        ("times", lambda: times(data, today)),
        ("texts written after their result", lambda: text_after_result(data)),
        ("the same product on both sides of a split", lambda: same_product(data)),
        ("words that give the label away", lambda: giveaway_words(data, taxonomy)),
        ("results that contradict each other", lambda: contradictions(data, taxonomy)),
        ("verdicts against values", lambda: verdict_against_value(data)),
        ("results that one seller floods", lambda: one_source(data, taxonomy)),
        ("labels that the rest of the data doubts", lambda: doubtful_labels(data, taxonomy, config.folds)),
    )
    findings: list[Finding] = []
    for name, step in steps:
        say(name)
        findings += step()
    readings = [*data.lab_readings, *data.recall_readings]
    days = [day for labels in (data.lab, data.recalls) for day in labels.dates if day is not None]
    return CheckReport(
        tuple(sorted(findings, key=lambda f: LEVELS.index(f.level))),
        trainable(data, taxonomy, config.lab.min_failed),
        {
            "lab": len(data.lab),
            "recalls": len(data.recalls),
            "rounds": data.rounds,
            "rejected": sum(data.left_out.values()),
        },
        dict(Counter(reading.language for reading in readings).most_common()),
        dict(Counter(reading.group for reading in readings).most_common()),
        min(days, default=None),
        max(days, default=None),
    )
