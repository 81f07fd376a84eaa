"""What checks of past results look at, and what they find; plain values."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass, field
from datetime import date
from typing import Any, Literal

from features.schema import Listing
from training.labels import Cut, LabelMatrix
from training.reading import Reading
from training.records import LabResult

Level = Literal["stop", "look", "note"]
LEVELS: tuple[Level, ...] = ("stop", "look", "note")


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
