"""The shapes of the service's answers, for its OpenAPI document; a test holds real answers against them."""

from __future__ import annotations

from typing import Annotated, Any, NotRequired

from pydantic import ConfigDict, Field, with_config
from typing_extensions import TypedDict

from serving.policy.evaluation import Action, RiskLevel, State
from training.scores import Basis

_closed = with_config(ConfigDict(extra="forbid"))
Probability = Annotated[float, Field(ge=0, le=1)]
Time = Annotated[str, Field(json_schema_extra={"format": "date-time"}, description="UTC")]
Languages = Annotated[dict[str, str], Field(description="Text by language: ko, en, zh")]


@_closed
class HazardAnswer(TypedDict):
    """One hazard: p joint, q given that the listing fails at all, p_injury over the product's life."""

    hazard: str
    p: Probability
    q: Probability | None
    basis: Basis
    base_rate: Probability
    p_injury: Probability
    risk_level: RiskLevel


@_closed
class CauseAnswer(TypedDict):
    """One fact that satisfied a rule."""

    what: str
    hazard: str | None
    got: float | int | str
    wanted: str


@_closed
class RuleAnswer(TypedDict):
    """A rule that fired."""

    id: str
    action: Action
    why: Languages
    hold_hours: float | None
    causes: list[CauseAnswer]


@_closed
class PhraseAnswer(TypedDict):
    """Words of the seller that moved the score: positions in the original text, weight in log-odds."""

    field: str
    start: int
    end: int
    text: str
    weight: float
    hazard: str


@_closed
class PastAnswer(TypedDict):
    """A past result near the listing."""

    regulator: str
    number: str
    date: str
    product: str
    hazards: list[str]
    similarity: float
    url: str


@_closed
class ComparisonAnswer(TypedDict):
    """How the listing differs from the revision that was decided before."""

    decision_id: str
    revision: int
    action: Action
    changed: list[str]


@_closed
class NoticeAnswer(TypedDict):
    """The authority's order or alert behind a ban."""

    regulator: str
    number: str
    date: str
    url: str


@_closed
class WordsAnswer(TypedDict):
    """Words of the title that the banned item has too: positions in the title as sent."""

    start: int
    end: int
    weight: float


@_closed
class PhotoAnswer(TypedDict):
    """A photo of the listing (its position in ``images``) that is an edit of a photo of the banned item."""

    photo: int
    banned_photo: int
    p: Probability
    verified: bool


@_closed
class PhotoNoteAnswer(TypedDict):
    """A photo that was not looked at (its position in ``images``, null for all of them), and why."""

    photo: int | None
    reason: str
    detail: str


@_closed
class PhotosAnswer(TypedDict):
    """How many photos were compared with those of banned items, and notes on those that were not."""

    compared: int
    notes: list[PhotoNoteAnswer]


@_closed
class MatchAnswer(TypedDict):
    """A banned item that the listing is taken for, with what speaks for it."""

    ban_id: str
    tier: str
    p: Annotated[float, Field(ge=0, le=1, description="P(same product), from words and photos together")]
    p_text: NotRequired[Probability]
    bank: NotRequired[str]
    same_offer: NotRequired[
        Annotated[bool, Field(description="Same seller and same title as the banned offer")]
    ]
    reason: NotRequired[str]
    notice: NotRequired[NoticeAnswer | None]
    words: NotRequired[list[WordsAnswer]]
    photos: NotRequired[list[PhotoAnswer]]


@_closed
class ScoreAnswer(TypedDict):
    """A decision about one listing."""

    decision_id: str
    listing_id: str
    revision: int
    action: Action
    state: State
    held_until: Time | None
    on_expiry: Action | None
    risk_level: RiskLevel
    p_noncompliant: Probability
    expected_harm: Annotated[float, Field(ge=0)]
    hazards: list[HazardAnswer]
    group: str
    audience: str
    language: str
    rules: list[RuleAnswer]
    reasons: list[PhraseAnswer]
    past_results: list[PastAnswer]
    previous: ComparisonAnswer | None
    fields: Annotated[dict[str, str], Field(description="Digest of every field that was given")]
    model_version: str
    policy_version: str
    decided_at: Time
    matches: NotRequired[Annotated[list[MatchAnswer], Field(description="Only where a banned item matches")]]
    photos: NotRequired[Annotated[PhotosAnswer, Field(description="Only where the listing has photos")]]


@_closed
class FieldAnswer(TypedDict):
    """One wrong field."""

    field: str
    problem: str
    got: str


@_closed
class ProblemAnswer(TypedDict):
    """A problem document (RFC 9457)."""

    type: str
    title: str
    title_ko: str
    title_zh: str
    status: int
    detail: str
    instance: str
    errors: NotRequired[list[FieldAnswer]]
    errors_left_out: NotRequired[int]


@_closed
class ResultAnswer(TypedDict):
    """The result for one of several listings: a decision or a problem."""

    index: int
    listing_id: str | None
    decision: NotRequired[ScoreAnswer]
    problem: NotRequired[ProblemAnswer]


@_closed
class ManyAnswer(TypedDict):
    """Results in the order of the listings."""

    results: list[ResultAnswer]


@_closed
class HazardNameAnswer(TypedDict):
    """A hazard of the taxonomy."""

    code: str
    names: Languages
    family: str
    severity: Annotated[int, Field(ge=1, le=4)]
    policy: bool


@_closed
class RuleNameAnswer(TypedDict):
    """A rule of the policy."""

    id: str
    action: Action
    why: Languages


@_closed
class UncoveredAnswer(TypedDict):
    """Hazards a rule speaks of without the bundle having that operating point for them."""

    rule: str
    operating_point: str
    hazards: list[str]


@_closed
class ModelAnswer(TypedDict):
    """What is loaded."""

    model_version: str
    policy_version: str
    operating_points: dict[str, dict[str, float]]
    hazards: list[HazardNameAnswer]
    rules: list[RuleNameAnswer]
    uncovered: list[UncoveredAnswer]


@_closed
class BanAnswer(TypedDict):
    """A banned item; ``state`` is active, quarantined (matches nobody until released) or lifted."""

    ban_id: str
    bank: str
    state: str
    title: str
    seller_id: str | None
    images: list[str]
    reason: str
    notice: NoticeAnswer | None
    placed_by: str
    placed_at: Time
    upheld: int
    overturned: int


@_closed
class BansAnswer(TypedDict):
    """Bans, the oldest first."""

    bans: list[BanAnswer]


@_closed
class PlacedAnswer(TypedDict):
    """A new ban, and a decision about every live listing that matches it."""

    ban: BanAnswer
    searched: Annotated[int, Field(ge=0, description="Listings in the live catalogue")]
    seconds: float
    decisions: list[ScoreAnswer]


@_closed
class LiftedAnswer(TypedDict):
    """What lifting changed: new decisions, and listings left as they are."""

    ban: BanAnswer
    released: list[ScoreAnswer]
    kept: list[ScoreAnswer]
    by_people: Annotated[list[str], Field(description="A person decided; left alone")]
    unknown: Annotated[list[str], Field(description="Text erased after its retention; left alone")]


@_closed
class RecordAnswer(TypedDict):
    """Where and when a decision stands in the store; ``erased_at`` is when retention erased the listing's text."""

    seq: int
    actor: str
    caller: str
    marketplace: str
    recorded_at: Time
    erased_at: Time | None


@_closed
class DecisionAnswer(TypedDict):
    """A recorded decision; what retention erased is null."""

    decision: Annotated[dict[str, Any], Field(description="The answer as it was given")]
    listing: Annotated[dict[str, Any] | None, Field(description="The listing as it was scored")]
    record: RecordAnswer


@_closed
class ReadyAnswer(TypedDict):
    """Whether listings can be scored, and recorded where there is a store."""

    status: str
    store: Annotated[str, Field(description="up, or none where nothing is recorded")]
    waiting: Annotated[int, Field(ge=0, description="Records that wait to be written")]


@_closed
class StatusAnswer(TypedDict):
    """A state in one word."""

    status: str
