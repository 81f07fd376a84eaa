"""Consumers' complaints: read for hazards, counted as weak evidence, moved up the queue. Never a label's value.

A complaint says what one person saw, or says they saw. It changes what is looked at first; what is true of the goods
a laboratory or a reviewer finds. The crosswalks of the taxonomy read it, which know the words of authorities, and
beside them `complaint_words.yaml`, which knows those of consumers.
"""

from __future__ import annotations

import math
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from datetime import UTC, datetime
from functools import cache
from pathlib import Path
from typing import Annotated, Any, Literal

import orjson
import yaml
from pydantic import BaseModel, BeforeValidator, ConfigDict, Field, ValidationError

from features.errors import UserError
from features.hazard_words import Crosswalk, HazardWords, fold
from features.rows import read_rows
from features.schema import Identifier, Moment, Short
from features.taxonomy import Taxonomy, load_taxonomy

TEXT_MAX = 20_000
WORDS = Path(__file__).with_name("complaint_words.yaml")
WEIGHTS: Mapping[str, float] = {"injury": 4.0, "hazard": 1.0, "other": 0.1}
"""What a complaint adds to the factor on an item's expected harm: one that tells of an injury, one that names a hazard,
any other. Assumptions, to be set from experience."""
BOOST_MAX = 16.0
"""Most that complaints multiply an item's expected harm by: a crowd, or a rival, cannot push it further."""


class ComplaintError(UserError):
    """A complaint that cannot be read."""


def _empty(value: Any) -> Any:
    return None if isinstance(value, str) and not value.strip() else value


class ComplaintRequest(BaseModel):
    """A complaint as it is handed in.

    ``id`` is the marketplace's own number; the same one is taken once. ``injury`` says whether somebody was hurt, None
    where it was not asked.
    """

    model_config = ConfigDict(extra="forbid", frozen=True)

    id: Identifier
    listing_id: Identifier
    marketplace: Short = ""
    text: Annotated[str, Field(min_length=1, max_length=TEXT_MAX)]
    received_at: Annotated[
        Moment | None, BeforeValidator(_empty, json_schema_input_type=datetime | Literal[""] | None)
    ] = None
    injury: Annotated[
        bool | None, BeforeValidator(_empty, json_schema_input_type=bool | str | int | None)
    ] = None


@dataclass(frozen=True, slots=True)
class RefusedComplaint:
    """A row that is no complaint, with why."""

    line: int
    problem: str


@dataclass(frozen=True, slots=True)
class ComplaintReading:
    """What a complaint's words name.

    Attributes
    ----------
    hazards
        Taxonomy codes, in taxonomy order.
    terms
        How many words named them; the words themselves are the consumer's.
    weight
        See `WEIGHTS`.
    """

    hazards: tuple[str, ...]
    terms: int
    weight: float
    kind: Literal["injury", "hazard", "other"]


def read_complaint(request: ComplaintRequest, taxonomy: Taxonomy | None = None) -> ComplaintReading:
    """Read a complaint for hazards."""
    taxonomy = taxonomy or load_taxonomy()
    official, plain = taxonomy.named_in(request.text), _consumer_words().read(request.text)
    hazards = tuple(code for code in taxonomy.codes if code in official.hazards | plain.hazards)
    terms = {*official.terms, *plain.terms}
    kind: Literal["injury", "hazard", "other"] = "hazard" if hazards else "other"
    kind = "injury" if request.injury else kind
    return ComplaintReading(hazards, len(terms), WEIGHTS[kind], kind)


@cache
def _consumer_words() -> HazardWords:
    raw = yaml.safe_load(WORDS.read_text("utf-8"))
    known = set(load_taxonomy().codes)
    schemes: dict[str, Crosswalk] = {}
    for script in ("en", "ko", "zh"):
        names: dict[str, frozenset[str]] = {}
        for code, terms in raw[script].items():
            if code not in known:
                raise ValueError(f"{WORDS.name}: got hazard {code!r}, expected a taxonomy code")
            for term in map(fold, terms):
                names[term] = names.get(term, frozenset()) | {code}
        schemes[script] = Crosswalk(script, names, {}, WORDS.name, "ours")
    return HazardWords(schemes, ())


def boost(weights: Iterable[float]) -> float:
    """Return what complaints add to an item's place in the queue, as log2 of a factor on expected harm.

    Examples
    --------
    >>> boost([]), boost([1.0]), boost([1.0] * 1000)
    (0.0, 1.0, 4.0)
    """
    return math.log2(min(1.0 + sum(weights), BOOST_MAX))


def complaint_request(raw: object) -> ComplaintRequest:
    """Read one complaint.

    Raises
    ------
    ComplaintError
        Naming every wrong field.
    """
    try:
        return ComplaintRequest.model_validate(raw)
    except ValidationError as error:
        wrong = (
            f"{'.'.join(map(str, e['loc'])) or '(complaint)'}: {e['msg']}"
            for e in error.errors(include_url=False)
        )
        raise ComplaintError("; ".join(wrong)) from None


def read_complaints_file(path: Path) -> Iterator[ComplaintRequest | RefusedComplaint]:
    """Read complaints from JSON lines or a table whose columns are the fields.

    Raises
    ------
    features.rows.ReadError
        When the file as a whole cannot be read.
    """
    rows: Iterable[tuple[int, object]]
    if path.suffix.lower() in (".jsonl", ".ndjson", ".json"):
        lines = enumerate(path.read_bytes().splitlines(), start=1)
        rows = ((number, _loaded(line)) for number, line in lines if line.strip())
    else:
        rows = (
            (row.line, {name.strip().lower(): cell for name, cell in row.values.items() if cell.strip()})
            for row in read_rows(path)
        )
    for number, raw in rows:
        try:
            yield complaint_request(raw)
        except ComplaintError as error:
            yield RefusedComplaint(number, str(error))


def _loaded(line: bytes) -> object:
    try:
        return orjson.loads(line)
    except orjson.JSONDecodeError:
        return None


def aware(at: datetime | None, now: datetime) -> datetime:
    """Return a time in UTC, now where none was given."""
    at = at or now
    return (at if at.tzinfo else at.replace(tzinfo=UTC)).astimezone(UTC)
