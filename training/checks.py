"""Looking over past results before anything is trained on them: what is in them, what is wrong, what can be learnt.

Every check is a pure function from records to findings; `check_data` reads the files and runs them all. Clean data
gives no finding of level ``stop`` or ``look``.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Mapping, Sequence
from dataclasses import asdict, dataclass, field
from datetime import date
from pathlib import Path
from typing import Any, Literal

from features.schema import Listing
from features.taxonomy import Taxonomy
from training.config import Config
from training.dataset import known_records
from training.labels import Cut, LabelMatrix, from_laboratory, from_recalls
from training.reading import Reader, Reading
from training.records import InspectionRound, LabResult, Recall

Level = Literal["stop", "look", "note"]
LEVELS: tuple[Level, ...] = ("stop", "look", "note")
Say = Callable[[str], None]


@dataclass(frozen=True, slots=True)
class Finding:
    """One thing that was found.

    Attributes
    ----------
    check
        Short name of the check, such as ``leakage.same_product``.
    level
        ``stop``: training would fail or mislead; ``look``: a person should look before trusting figures; ``note``.
    count, total
        How many of how many; 0 of 0 where it is not a matter of counts.
    message, advice
        In plain words: what was found, what to do.
    examples
        Ids of results, a few; never a seller's text.
    """

    check: str
    level: Level
    message: str
    advice: str = ""
    count: int = 0
    total: int = 0
    examples: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class Trainable:
    """What can be learnt about one hazard, in plain words.

    ``way`` is ``lab`` (a direct model), ``recall`` (which hazard, from recalls) or ``prior`` (the group's prior only).
    """

    hazard: str
    way: Literal["lab", "recall", "prior"]
    failed: int
    passed: int
    recalls: int
    words: str


@dataclass(frozen=True, slots=True)
class CheckReport:
    """Everything that was found.

    Attributes
    ----------
    counts
        ``lab``, ``recalls``, ``rounds`` usable; ``rejected`` rows.
    languages
        Language -> labelled items.
    groups
        Product group -> labelled items; "" where none was recognised.
    """

    findings: tuple[Finding, ...]
    trainable: tuple[Trainable, ...]
    counts: Mapping[str, int]
    languages: Mapping[str, int]
    groups: Mapping[str, int]
    first: date | None = None
    last: date | None = None

    @property
    def worst(self) -> Level:
        """The gravest level that occurs; ``note`` where nothing was found."""
        for level in LEVELS:
            if any(finding.level == level for finding in self.findings):
                return level
        return "note"

    def to_json(self) -> dict[str, Any]:
        """Return plain JSON values."""
        values = asdict(self)
        for name in ("first", "last"):
            values[name] = None if values[name] is None else values[name].isoformat()
        return values | {"worst": self.worst}


@dataclass(frozen=True, slots=True)
class CheckData:
    """Past results as the checks look at them.

    Attributes
    ----------
    lab, recalls
        Label matrices.
    lab_readings, recall_readings
        What a model would read of each item.
    results
        The laboratory results behind ``lab``, as read.
    raw_results
        Every laboratory result, also those that give no label.
    left_out
        Reason -> count.
    listings
        The user's listings by id, where a file of them was given.
    """

    lab: LabelMatrix
    recalls: LabelMatrix
    lab_readings: Sequence[Reading]
    recall_readings: Sequence[Reading]
    raw_results: Sequence[LabResult]
    rounds: int
    left_out: Mapping[str, int]
    cuts: Mapping[str, Cut]
    listings: Mapping[str, Listing] = field(default_factory=dict)
    as_of: date | None = None


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
