"""Made by client/generate.py from the service's OpenAPI document; do not edit."""

from __future__ import annotations
from enum import StrEnum
from typing import Annotated, Any, Literal
from pydantic import (
    AwareDatetime,
    BaseModel,
    ConfigDict,
    Field,
    RootModel,
    StringConstraints,
)
from typing_extensions import TypeAliasType


class Status(StrEnum):
    removed = "removed"
    refused = "refused"
    live_again = "live_again"


class AcknowledgementRequest(BaseModel):
    """
    The marketplace's word about a listing.
    """

    model_config = ConfigDict(
        extra="forbid",
    )
    listing_id: Annotated[
        str,
        Field(
            max_length=256,
            min_length=1,
            pattern="^[^\\x00-\\x1f\\x7f]*$",
            title="Listing Id",
        ),
    ]
    marketplace: Annotated[str | None, Field(max_length=1000, title="Marketplace")] = ""
    status: Annotated[Status | None, Field(title="Status")] = "removed"
    decision_id: Annotated[str | None, Field(max_length=1000, title="Decision Id")] = ""
    note: Annotated[str | None, Field(max_length=2000, title="Note")] = ""


class AppealJudgement(BaseModel):
    """
    Whether the decision is taken back (``overturn``), and why; the seller is told.
    """

    model_config = ConfigDict(
        extra="forbid",
    )
    overturn: Annotated[bool, Field(title="Overturn")]
    note: Annotated[str, Field(max_length=2000, min_length=1, title="Note")]


class AppealRequest(BaseModel):
    """
    What the seller says.
    """

    model_config = ConfigDict(
        extra="forbid",
    )
    text: Annotated[str, Field(max_length=20000, min_length=1, title="Text")]


class Number(RootModel[str]):
    root: Annotated[str, Field(max_length=1000, title="Number")] = None


class Certificate(BaseModel):
    """
    A certificate that the seller claims, not one that was checked.
    """

    model_config = ConfigDict(
        extra="forbid",
    )
    kind: Annotated[str, Field(max_length=1000, title="Kind")]
    number: Annotated[Number | None, Field(title="Number")] = None


class ComplaintRequest(BaseModel):
    """
    A complaint as it is handed in.

    ``id`` is the marketplace's own number; the same one is taken once. ``injury`` says whether somebody was hurt, None
    where it was not asked.
    """

    model_config = ConfigDict(
        extra="forbid",
    )
    id: Annotated[
        str,
        Field(max_length=256, min_length=1, pattern="^[^\\x00-\\x1f\\x7f]*$", title="Id"),
    ]
    listing_id: Annotated[
        str,
        Field(
            max_length=256,
            min_length=1,
            pattern="^[^\\x00-\\x1f\\x7f]*$",
            title="Listing Id",
        ),
    ]
    marketplace: Annotated[str | None, Field(max_length=1000, title="Marketplace")] = ""
    text: Annotated[str, Field(max_length=20000, min_length=1, title="Text")]
    received_at: Annotated[AwareDatetime | Literal[""] | None, Field(title="Received At")] = None
    injury: Annotated[bool | str | int | None, Field(title="Injury")] = None


class ComplaintsRequest(BaseModel):
    """
    Complaints of consumers.
    """

    model_config = ConfigDict(
        extra="forbid",
    )
    complaints: Annotated[list[ComplaintRequest], Field(max_length=1000, min_length=1, title="Complaints")]


class Kind(RootModel[str]):
    root: Annotated[str, Field(max_length=1000)]


class EndpointRequest(BaseModel):
    """
    An address for events; without ``kinds`` it gets all of them.
    """

    model_config = ConfigDict(
        extra="forbid",
    )
    url: Annotated[str, Field(max_length=2000, min_length=1, title="Url")]
    kinds: Annotated[list[Kind] | None, Field(max_length=50, title="Kinds")] = None
    description: Annotated[str | None, Field(max_length=1000, title="Description")] = ""


class EndpointState(BaseModel):
    """
    Whether events are sent.
    """

    model_config = ConfigDict(
        extra="forbid",
    )
    active: Annotated[bool, Field(title="Active")]
    why: Annotated[str | None, Field(max_length=1000, title="Why")] = ""


class HitRequest(BaseModel):
    """
    A person's word on whether a listing is the product of a notice.
    """

    model_config = ConfigDict(
        extra="forbid",
    )
    listing_id: Annotated[
        str,
        Field(
            max_length=256,
            min_length=1,
            pattern="^[^\\x00-\\x1f\\x7f]*$",
            title="Listing Id",
        ),
    ]
    marketplace: Annotated[str | None, Field(max_length=1000, title="Marketplace")] = ""
    same: Annotated[bool, Field(title="Same")]


class JudgementRequest(BaseModel):
    """
    A person's word on a match: ``upheld`` False makes the listing a confirmed look-alike.
    """

    model_config = ConfigDict(
        extra="forbid",
    )
    listing: Annotated[dict[str, Any], Field(title="Listing")]
    upheld: Annotated[bool, Field(title="Upheld")]


class Bullet(RootModel[str]):
    root: Annotated[str, Field(max_length=100000)]


AttributesAdditionalProperty = TypeAliasType(
    "AttributesAdditionalProperty", Annotated[str, Field(max_length=100000)]
)


class CategoryItem(RootModel[str]):
    root: Annotated[str, Field(max_length=1000)]


class Brand(RootModel[str]):
    root: Annotated[str, Field(max_length=1000, title="Brand")] = None


class Price(RootModel[float]):
    root: Annotated[float, Field(ge=0.0, title="Price")] = None


class Currency(RootModel[str]):
    root: Annotated[str, Field(pattern="^[A-Z]{3}$", title="Currency")] = None


class Origin(RootModel[str]):
    root: Annotated[str, Field(max_length=1000, title="Origin")] = None


class ShipFrom(RootModel[str]):
    root: Annotated[str, Field(max_length=1000, title="Ship From")] = None


class TargetAge(RootModel[str]):
    root: Annotated[str, Field(max_length=1000, title="Target Age")] = None


class UnitsSold(RootModel[int]):
    root: Annotated[int, Field(ge=0, le=1000000000000000, title="Units Sold")] = None


class Rating(RootModel[float]):
    root: Annotated[float, Field(ge=0.0, le=5.0, title="Rating")] = None


class Image(RootModel[str]):
    root: Annotated[str, Field(max_length=100000)]


class Marketplace(RootModel[str]):
    root: Annotated[str, Field(max_length=1000, title="Marketplace")] = None


class ListingName(BaseModel):
    """
    A listing that the authority named.
    """

    model_config = ConfigDict(
        extra="forbid",
    )
    id: Annotated[
        str,
        Field(max_length=256, min_length=1, pattern="^[^\\x00-\\x1f\\x7f]*$", title="Id"),
    ]
    marketplace: Annotated[str | None, Field(max_length=1000, title="Marketplace")] = ""


class Notice(BaseModel):
    """
    The authority's order or alert behind a ban.
    """

    model_config = ConfigDict(
        extra="forbid",
    )
    regulator: Annotated[str | None, Field(max_length=1000, title="Regulator")] = ""
    number: Annotated[str | None, Field(max_length=1000, title="Number")] = ""
    date: Annotated[str | None, Field(max_length=1000, title="Date")] = ""
    url: Annotated[str | None, Field(max_length=1000, title="Url")] = ""


class Kind1(StrEnum):
    order = "order"
    alert = "alert"
    recall = "recall"
    laboratory = "laboratory"


class Hazard(RootModel[str]):
    root: Annotated[str, Field(max_length=1000)]


class Hazards(RootModel[list[Hazard]]):
    root: Annotated[list[Hazard], Field(max_length=500, title="Hazards")]


class Hazards1(RootModel[str]):
    root: Annotated[str, Field(max_length=500, title="Hazards")]


class Action(StrEnum):
    allow = "allow"
    monitor = "monitor"
    review = "review"
    lab_test = "lab_test"
    block = "block"


FieldsAdditionalProperty = TypeAliasType(
    "FieldsAdditionalProperty", Annotated[str, Field(pattern="^[0-9a-f]{16}$")]
)


class PreviousPart(BaseModel):
    """
    The parts of an earlier decision that a comparison needs; its other parts may be left in.
    """

    decision_id: Annotated[str, Field(max_length=64, min_length=1, title="Decision Id")]
    revision: Annotated[int, Field(ge=1, title="Revision")]
    action: Annotated[Action, Field(title="Action")]
    fields: Annotated[
        dict[Annotated[str, StringConstraints(max_length=64)], FieldsAdditionalProperty],
        Field(max_length=64, title="Fields"),
    ]


class Model(RootModel[str]):
    root: Annotated[str, Field(max_length=1000)]


class Models(RootModel[list[Model]]):
    root: Annotated[list[Model], Field(max_length=500, title="Models")]


class Models1(RootModel[str]):
    root: Annotated[str, Field(max_length=500, title="Models")]


class Image1(RootModel[str]):
    root: Annotated[str, Field(max_length=1000)]


class Images(RootModel[list[Image1]]):
    root: Annotated[list[Image1], Field(max_length=500, title="Images")]


class Images1(RootModel[str]):
    root: Annotated[str, Field(max_length=500, title="Images")]


class ProductRequest(BaseModel):
    """
    Goods that a notice is about.
    """

    model_config = ConfigDict(
        extra="forbid",
    )
    title: Annotated[str, Field(max_length=1000, min_length=1, title="Title")]
    brand: Annotated[str | None, Field(max_length=1000, title="Brand")] = ""
    models: Annotated[Models | Models1 | None, Field(title="Models")] = None
    seller_id: Annotated[str | None, Field(max_length=256, title="Seller Id")] = ""
    description: Annotated[str | None, Field(max_length=100000, title="Description")] = ""
    images: Annotated[Images | Images1 | None, Field(title="Images")] = None
    listings: Annotated[list[ListingName] | None, Field(max_length=1000, title="Listings")] = None


class RefundRequest(BaseModel):
    """
    How many buyers of a listing are to be refunded, and how many have been.
    """

    model_config = ConfigDict(
        extra="forbid",
    )
    listing_id: Annotated[
        str,
        Field(
            max_length=256,
            min_length=1,
            pattern="^[^\\x00-\\x1f\\x7f]*$",
            title="Listing Id",
        ),
    ]
    marketplace: Annotated[str | None, Field(max_length=1000, title="Marketplace")] = ""
    units_due: Annotated[int, Field(ge=0, le=1000000000000, title="Units Due")]
    units_done: Annotated[int, Field(ge=0, le=1000000000000, title="Units Done")]


class ReplayRequest(BaseModel):
    """
    What to send once more: dead letters, or with ``since`` everything from then on.
    """

    model_config = ConfigDict(
        extra="forbid",
    )
    since: Annotated[AwareDatetime | None, Field(title="Since")] = None


class Id(RootModel[str]):
    root: Annotated[
        str,
        Field(max_length=256, min_length=1, pattern="^[^\\x00-\\x1f\\x7f]*$", title="Id"),
    ] = None


class Name(RootModel[str]):
    root: Annotated[str, Field(max_length=1000, title="Name")] = None


class Country(RootModel[str]):
    root: Annotated[str, Field(max_length=1000, title="Country")] = None


class Listings(RootModel[int]):
    root: Annotated[int, Field(ge=0, le=1000000000000000, title="Listings")] = None


class Removed(RootModel[int]):
    root: Annotated[int, Field(ge=0, le=1000000000000000, title="Removed")] = None


class Tested(RootModel[int]):
    root: Annotated[int, Field(ge=0, le=1000000000000000, title="Tested")] = None


class Failed(RootModel[int]):
    root: Annotated[int, Field(ge=0, le=1000000000000000, title="Failed")] = None


class Strikes(RootModel[int]):
    root: Annotated[int, Field(ge=0, le=1000000000000000, title="Strikes")] = None


class SellerHistory(BaseModel):
    """
    What the marketplace knew of the seller when the listing is scored.

    Counts are as of ``as_of``; a history taken later than the listing leaks the answer.
    """

    model_config = ConfigDict(
        extra="forbid",
    )
    as_of: Annotated[AwareDatetime | None, Field(title="As Of")] = None
    first_seen: Annotated[AwareDatetime | None, Field(title="First Seen")] = None
    listings: Annotated[Listings | None, Field(title="Listings")] = None
    removed: Annotated[Removed | None, Field(title="Removed")] = None
    tested: Annotated[Tested | None, Field(title="Tested")] = None
    failed: Annotated[Failed | None, Field(title="Failed")] = None
    strikes: Annotated[Strikes | None, Field(title="Strikes")] = None


class TaskId(RootModel[str]):
    root: Annotated[str, Field(max_length=1000)]


class To(StrEnum):
    done = "done"
    waived = "waived"
    open = "open"


class TasksRequest(BaseModel):
    """
    Tasks that are done, need not be done (``waived``, with a note), or are open again.
    """

    model_config = ConfigDict(
        extra="forbid",
    )
    task_ids: Annotated[list[TaskId], Field(max_length=1000, min_length=1, title="Task Ids")]
    to: Annotated[To | None, Field(title="To")] = "done"
    note: Annotated[str | None, Field(max_length=2000, title="Note")] = ""


class Image2(RootModel[str]):
    root: Annotated[str, Field(max_length=100000, title="Image")] = None


class Variant(BaseModel):
    """
    One choice within a listing, such as a colour or a size.
    """

    model_config = ConfigDict(
        extra="forbid",
    )
    id: Annotated[Id | None, Field(title="Id")] = None
    name: Annotated[str | None, Field(max_length=1000, title="Name")] = ""
    price: Annotated[Price | None, Field(title="Price")] = None
    image: Annotated[Image2 | None, Field(title="Image")] = None


class WithdrawalRequest(BaseModel):
    """
    Why a notice is taken back.
    """

    model_config = ConfigDict(
        extra="forbid",
    )
    note: Annotated[str, Field(max_length=2000, min_length=1, title="Note")]


class CauseAnswer(BaseModel):
    """
    One fact that satisfied a rule.
    """

    model_config = ConfigDict(
        extra="forbid",
    )
    what: Annotated[str, Field(title="What")]
    hazard: Annotated[str | None, Field(title="Hazard")]
    got: Annotated[float | int | str, Field(title="Got")]
    wanted: Annotated[str, Field(title="Wanted")]


class ComparisonAnswer(BaseModel):
    """
    How the listing differs from the revision that was decided before.
    """

    model_config = ConfigDict(
        extra="forbid",
    )
    decision_id: Annotated[str, Field(title="Decision Id")]
    revision: Annotated[int, Field(title="Revision")]
    action: Annotated[Action, Field(title="Action")]
    changed: Annotated[list[str], Field(title="Changed")]


class Q(RootModel[float]):
    root: Annotated[float, Field(ge=0.0, le=1.0, title="Q")]


class Basis(StrEnum):
    lab = "lab"
    recall = "recall"
    prior = "prior"
    policy = "policy"


class RiskLevel(StrEnum):
    low = "low"
    medium = "medium"
    high = "high"
    serious = "serious"


class HazardAnswer(BaseModel):
    """
    One hazard: p joint, q given that the listing fails at all, p_injury over the product's life.
    """

    model_config = ConfigDict(
        extra="forbid",
    )
    hazard: Annotated[str, Field(title="Hazard")]
    p: Annotated[float, Field(ge=0.0, le=1.0, title="P")]
    q: Annotated[Q | None, Field(title="Q")]
    basis: Annotated[Basis, Field(title="Basis")]
    base_rate: Annotated[float, Field(ge=0.0, le=1.0, title="Base Rate")]
    p_injury: Annotated[float, Field(ge=0.0, le=1.0, title="P Injury")]
    risk_level: Annotated[RiskLevel, Field(title="Risk Level")]


class NoticeAnswer(BaseModel):
    """
    The authority's order or alert behind a ban.
    """

    model_config = ConfigDict(
        extra="forbid",
    )
    regulator: Annotated[str, Field(title="Regulator")]
    number: Annotated[str, Field(title="Number")]
    date: Annotated[str, Field(title="Date")]
    url: Annotated[str, Field(title="Url")]


class PastAnswer(BaseModel):
    """
    A past result near the listing.
    """

    model_config = ConfigDict(
        extra="forbid",
    )
    regulator: Annotated[str, Field(title="Regulator")]
    number: Annotated[str, Field(title="Number")]
    date: Annotated[str, Field(title="Date")]
    product: Annotated[str, Field(title="Product")]
    hazards: Annotated[list[str], Field(title="Hazards")]
    similarity: Annotated[float, Field(title="Similarity")]
    url: Annotated[str, Field(title="Url")]


class PhotoAnswer(BaseModel):
    """
    A photo of the listing (its position in ``images``) that is an edit of a photo of the banned item.
    """

    model_config = ConfigDict(
        extra="forbid",
    )
    photo: Annotated[int, Field(title="Photo")]
    banned_photo: Annotated[int, Field(title="Banned Photo")]
    p: Annotated[float, Field(ge=0.0, le=1.0, title="P")]
    verified: Annotated[bool, Field(title="Verified")]


class PhotoNoteAnswer(BaseModel):
    """
    A photo that was not looked at (its position in ``images``, null for all of them), and why.
    """

    model_config = ConfigDict(
        extra="forbid",
    )
    photo: Annotated[int | None, Field(title="Photo")]
    reason: Annotated[str, Field(title="Reason")]
    detail: Annotated[str, Field(title="Detail")]


class PhotosAnswer(BaseModel):
    """
    How many photos were compared with those of banned items, and notes on those that were not.
    """

    model_config = ConfigDict(
        extra="forbid",
    )
    compared: Annotated[int, Field(title="Compared")]
    notes: Annotated[list[PhotoNoteAnswer], Field(title="Notes")]


class PhraseAnswer(BaseModel):
    """
    Words of the seller that moved the score: positions in the original text, weight in log-odds.
    """

    model_config = ConfigDict(
        extra="forbid",
    )
    field: Annotated[str, Field(title="Field")]
    start: Annotated[int, Field(title="Start")]
    end: Annotated[int, Field(title="End")]
    text: Annotated[str, Field(title="Text")]
    weight: Annotated[float, Field(title="Weight")]
    hazard: Annotated[str, Field(title="Hazard")]


class RuleAnswer(BaseModel):
    """
    A rule that fired.
    """

    model_config = ConfigDict(
        extra="forbid",
    )
    id: Annotated[str, Field(title="Id")]
    action: Annotated[Action, Field(title="Action")]
    why: Annotated[dict[str, str], Field(description="Text by language: ko, en, zh", title="Why")]
    hold_hours: Annotated[float | None, Field(title="Hold Hours")]
    causes: Annotated[list[CauseAnswer], Field(title="Causes")]


class WordsAnswer(BaseModel):
    """
    Words of the title that the banned item has too: positions in the title as sent.
    """

    model_config = ConfigDict(
        extra="forbid",
    )
    start: Annotated[int, Field(title="Start")]
    end: Annotated[int, Field(title="End")]
    weight: Annotated[float, Field(title="Weight")]


class State(StrEnum):
    live = "live"
    held = "held"


class OnExpiry(StrEnum):
    allow = "allow"
    monitor = "monitor"
    review = "review"
    lab_test = "lab_test"
    block = "block"


class FieldAnswer(BaseModel):
    """
    One wrong field.
    """

    model_config = ConfigDict(
        extra="forbid",
    )
    field: Annotated[str, Field(title="Field")]
    problem: Annotated[str, Field(title="Problem")]
    got: Annotated[str, Field(title="Got")]


class ProblemAnswer(BaseModel):
    """
    A problem document (RFC 9457).
    """

    model_config = ConfigDict(
        extra="forbid",
    )
    type: Annotated[str, Field(title="Type")]
    title: Annotated[str, Field(title="Title")]
    title_ko: Annotated[str, Field(title="Title Ko")]
    title_zh: Annotated[str, Field(title="Title Zh")]
    status: Annotated[int, Field(title="Status")]
    detail: Annotated[str, Field(title="Detail")]
    instance: Annotated[str, Field(title="Instance")]
    errors: Annotated[list[FieldAnswer] | None, Field(title="Errors")] = None
    errors_left_out: Annotated[int | None, Field(title="Errors Left Out")] = None


class HazardNameAnswer(BaseModel):
    """
    A hazard of the taxonomy.
    """

    model_config = ConfigDict(
        extra="forbid",
    )
    code: Annotated[str, Field(title="Code")]
    names: Annotated[dict[str, str], Field(description="Text by language: ko, en, zh", title="Names")]
    family: Annotated[str, Field(title="Family")]
    severity: Annotated[int, Field(ge=1, le=4, title="Severity")]
    policy: Annotated[bool, Field(title="Policy")]


class RuleNameAnswer(BaseModel):
    """
    A rule of the policy.
    """

    model_config = ConfigDict(
        extra="forbid",
    )
    id: Annotated[str, Field(title="Id")]
    action: Annotated[Action, Field(title="Action")]
    why: Annotated[dict[str, str], Field(description="Text by language: ko, en, zh", title="Why")]


class UncoveredAnswer(BaseModel):
    """
    Hazards a rule speaks of without the bundle having that operating point for them.
    """

    model_config = ConfigDict(
        extra="forbid",
    )
    rule: Annotated[str, Field(title="Rule")]
    operating_point: Annotated[str, Field(title="Operating Point")]
    hazards: Annotated[list[str], Field(title="Hazards")]


class ModelAnswer(BaseModel):
    """
    What is loaded.
    """

    model_config = ConfigDict(
        extra="forbid",
    )
    model_version: Annotated[str, Field(title="Model Version")]
    policy_version: Annotated[str, Field(title="Policy Version")]
    operating_points: Annotated[dict[str, dict[str, float]], Field(title="Operating Points")]
    hazards: Annotated[list[HazardNameAnswer], Field(title="Hazards")]
    rules: Annotated[list[RuleNameAnswer], Field(title="Rules")]
    uncovered: Annotated[list[UncoveredAnswer], Field(title="Uncovered")]


class StatusAnswer(BaseModel):
    """
    A state in one word.
    """

    model_config = ConfigDict(
        extra="forbid",
    )
    status: Annotated[str, Field(title="Status")]


class BanAnswer(BaseModel):
    """
    A banned item; ``state`` is active, quarantined (matches nobody until released) or lifted.
    """

    model_config = ConfigDict(
        extra="forbid",
    )
    ban_id: Annotated[str, Field(title="Ban Id")]
    bank: Annotated[str, Field(title="Bank")]
    state: Annotated[str, Field(title="State")]
    title: Annotated[str, Field(title="Title")]
    seller_id: Annotated[str | None, Field(title="Seller Id")]
    images: Annotated[list[str], Field(title="Images")]
    reason: Annotated[str, Field(title="Reason")]
    notice: NoticeAnswer | None
    placed_by: Annotated[str, Field(title="Placed By")]
    placed_at: Annotated[AwareDatetime, Field(description="UTC", title="Placed At")]
    upheld: Annotated[int, Field(title="Upheld")]
    overturned: Annotated[int, Field(title="Overturned")]


class BansAnswer(BaseModel):
    """
    Bans, the oldest first.
    """

    model_config = ConfigDict(
        extra="forbid",
    )
    bans: Annotated[list[BanAnswer], Field(title="Bans")]


class RecordAnswer(BaseModel):
    """
    Where and when a decision stands in the store; ``erased_at`` is when retention erased the listing's text.
    """

    model_config = ConfigDict(
        extra="forbid",
    )
    seq: Annotated[int, Field(title="Seq")]
    actor: Annotated[str, Field(title="Actor")]
    caller: Annotated[str, Field(title="Caller")]
    marketplace: Annotated[str, Field(title="Marketplace")]
    recorded_at: Annotated[AwareDatetime, Field(description="UTC", title="Recorded At")]
    erased_at: Annotated[AwareDatetime | None, Field(title="Erased At")]


class DecisionAnswer(BaseModel):
    """
    A recorded decision; what retention erased is null.
    """

    model_config = ConfigDict(
        extra="forbid",
    )
    decision: Annotated[
        dict[str, Any],
        Field(description="The answer as it was given", title="Decision"),
    ]
    listing: Annotated[
        dict[str, Any] | None,
        Field(description="The listing as it was scored", title="Listing"),
    ]
    record: RecordAnswer


class ReadyAnswer(BaseModel):
    """
    Whether listings can be scored, and recorded where there is a store.
    """

    model_config = ConfigDict(
        extra="forbid",
    )
    status: Annotated[str, Field(title="Status")]
    store: Annotated[str, Field(description="up, or none where nothing is recorded", title="Store")]
    waiting: Annotated[int, Field(description="Records that wait to be written", ge=0, title="Waiting")]


class Image3(RootModel[str]):
    root: Annotated[str, Field(max_length=100000)]


class BanRequest(BaseModel):
    """
    What is asked to be banned; ``listing`` is the item with title, attributes, seller and photos.
    """

    model_config = ConfigDict(
        extra="forbid",
    )
    listing: Annotated[dict[str, Any], Field(title="Listing")]
    reason: Annotated[str | None, Field(max_length=1000, title="Reason")] = ""
    bank: Annotated[
        str | None,
        Field(max_length=256, min_length=1, pattern="^[^\\x00-\\x1f\\x7f]*$", title="Bank"),
    ] = "banned"
    notice: Notice | None = None


class NoticeRequest(BaseModel):
    """
    An authority's order or alert as it is handed in.

    ``deadline`` is when the listings must be gone; without one it follows from the rules. ``received_at`` without a
    zone is UTC; without it, now.
    """

    model_config = ConfigDict(
        extra="forbid",
    )
    kind: Annotated[Kind1 | None, Field(title="Kind")] = "order"
    authority: Annotated[str, Field(max_length=1000, min_length=1, title="Authority")]
    number: Annotated[str | None, Field(max_length=1000, title="Number")] = ""
    jurisdiction: Annotated[str | None, Field(pattern="^[A-Z]{2}$", title="Jurisdiction")] = "KR"
    reason: Annotated[str | None, Field(max_length=100000, title="Reason")] = ""
    hazards: Annotated[Hazards | Hazards1 | None, Field(title="Hazards")] = None
    url: Annotated[str | None, Field(max_length=1000, title="Url")] = ""
    received_at: Annotated[AwareDatetime | None, Field(title="Received At")] = None
    deadline: Annotated[AwareDatetime | None, Field(title="Deadline")] = None
    products: Annotated[list[ProductRequest], Field(max_length=500, min_length=1, title="Products")]


class Seller(BaseModel):
    """
    Who offers the goods.
    """

    model_config = ConfigDict(
        extra="forbid",
    )
    id: Annotated[Id | None, Field(title="Id")] = None
    name: Annotated[Name | None, Field(title="Name")] = None
    country: Annotated[Country | None, Field(title="Country")] = None
    history: SellerHistory | None = None


class MatchAnswer(BaseModel):
    """
    A banned item that the listing is taken for, with what speaks for it.
    """

    model_config = ConfigDict(
        extra="forbid",
    )
    ban_id: Annotated[str, Field(title="Ban Id")]
    tier: Annotated[str, Field(title="Tier")]
    p: Annotated[
        float,
        Field(
            description="P(same product), from words and photos together",
            ge=0.0,
            le=1.0,
            title="P",
        ),
    ]
    p_text: Annotated[float | None, Field(ge=0.0, le=1.0, title="P Text")] = None
    bank: Annotated[str | None, Field(title="Bank")] = None
    same_offer: Annotated[
        bool | None,
        Field(
            description="Same seller and same title as the banned offer",
            title="Same Offer",
        ),
    ] = None
    reason: Annotated[str | None, Field(title="Reason")] = None
    notice: NoticeAnswer | None = None
    words: Annotated[list[WordsAnswer] | None, Field(title="Words")] = None
    photos: Annotated[list[PhotoAnswer] | None, Field(title="Photos")] = None


class ScoreAnswer(BaseModel):
    """
    A decision about one listing.
    """

    model_config = ConfigDict(
        extra="forbid",
    )
    decision_id: Annotated[str, Field(title="Decision Id")]
    listing_id: Annotated[str, Field(title="Listing Id")]
    revision: Annotated[int, Field(title="Revision")]
    action: Annotated[Action, Field(title="Action")]
    state: Annotated[State, Field(title="State")]
    held_until: Annotated[AwareDatetime | None, Field(title="Held Until")]
    on_expiry: Annotated[OnExpiry | None, Field(title="On Expiry")]
    risk_level: Annotated[RiskLevel, Field(title="Risk Level")]
    p_noncompliant: Annotated[float, Field(ge=0.0, le=1.0, title="P Noncompliant")]
    expected_harm: Annotated[float, Field(ge=0.0, title="Expected Harm")]
    hazards: Annotated[list[HazardAnswer], Field(title="Hazards")]
    group: Annotated[str, Field(title="Group")]
    audience: Annotated[str, Field(title="Audience")]
    language: Annotated[str, Field(title="Language")]
    rules: Annotated[list[RuleAnswer], Field(title="Rules")]
    reasons: Annotated[list[PhraseAnswer], Field(title="Reasons")]
    past_results: Annotated[list[PastAnswer], Field(title="Past Results")]
    previous: ComparisonAnswer | None
    fields: Annotated[
        dict[str, str],
        Field(description="Digest of every field that was given", title="Fields"),
    ]
    model_version: Annotated[str, Field(title="Model Version")]
    policy_version: Annotated[str, Field(title="Policy Version")]
    decided_at: Annotated[AwareDatetime, Field(description="UTC", title="Decided At")]
    matches: Annotated[
        list[MatchAnswer] | None,
        Field(description="Only where a banned item matches", title="Matches"),
    ] = None
    photos: Annotated[PhotosAnswer | None, Field(description="Only where the listing has photos")] = None


class ResultAnswer(BaseModel):
    """
    The result for one of several listings: a decision or a problem.
    """

    model_config = ConfigDict(
        extra="forbid",
    )
    index: Annotated[int, Field(title="Index")]
    listing_id: Annotated[str | None, Field(title="Listing Id")]
    decision: ScoreAnswer | None = None
    problem: ProblemAnswer | None = None


class ManyAnswer(BaseModel):
    """
    Results in the order of the listings.
    """

    model_config = ConfigDict(
        extra="forbid",
    )
    results: Annotated[list[ResultAnswer], Field(title="Results")]


class PlacedAnswer(BaseModel):
    """
    A new ban, and a decision about every live listing that matches it.
    """

    model_config = ConfigDict(
        extra="forbid",
    )
    ban: BanAnswer
    searched: Annotated[int, Field(description="Listings in the live catalogue", ge=0, title="Searched")]
    seconds: Annotated[float, Field(title="Seconds")]
    decisions: Annotated[list[ScoreAnswer], Field(title="Decisions")]


class LiftedAnswer(BaseModel):
    """
    What lifting changed: new decisions, and listings left as they are.
    """

    model_config = ConfigDict(
        extra="forbid",
    )
    ban: BanAnswer
    released: Annotated[list[ScoreAnswer], Field(title="Released")]
    kept: Annotated[list[ScoreAnswer], Field(title="Kept")]
    by_people: Annotated[list[str], Field(description="A person decided; left alone", title="By People")]
    unknown: Annotated[
        list[str],
        Field(description="Text erased after its retention; left alone", title="Unknown"),
    ]


class ScoreRequest(BaseModel):
    """
    An offer of goods on a marketplace.

    Attributes
    ----------
    id
        The marketplace's own identifier.
    title
        As the seller wrote it; nothing is cleaned before it is stored.
    category
        Path from the root to the leaf; also accepted as ``"Toys > Dolls"``.
    market
        ISO 3166 code of the country of sale, which decides the law that applies.
    revision
        Counts the edits; an edited listing is scored again.
    created_at, updated_at, scored_at
        Times with a zone; a time without one is taken as UTC.
    """

    model_config = ConfigDict(
        extra="forbid",
    )
    id: Annotated[
        str,
        Field(max_length=256, min_length=1, pattern="^[^\\x00-\\x1f\\x7f]*$", title="Id"),
    ]
    title: Annotated[str, Field(max_length=1000, min_length=1, title="Title")]
    description: Annotated[str | None, Field(max_length=100000, title="Description")] = ""
    bullets: Annotated[list[Bullet] | None, Field(max_length=500, title="Bullets")] = None
    attributes: Annotated[
        dict[
            Annotated[str, StringConstraints(max_length=1000)],
            AttributesAdditionalProperty,
        ]
        | None,
        Field(max_length=500, title="Attributes"),
    ] = None
    category: Annotated[list[CategoryItem] | None, Field(max_length=20, title="Category")] = None
    brand: Annotated[Brand | None, Field(title="Brand")] = None
    price: Annotated[Price | None, Field(title="Price")] = None
    currency: Annotated[Currency | None, Field(title="Currency")] = None
    seller: Seller | None = None
    origin: Annotated[Origin | None, Field(title="Origin")] = None
    ship_from: Annotated[ShipFrom | None, Field(title="Ship From")] = None
    certificates: Annotated[list[Certificate] | None, Field(max_length=50, title="Certificates")] = None
    target_age: Annotated[TargetAge | None, Field(title="Target Age")] = None
    units_sold: Annotated[UnitsSold | None, Field(title="Units Sold")] = None
    rating: Annotated[Rating | None, Field(title="Rating")] = None
    images: Annotated[list[Image3] | None, Field(max_length=500, title="Images")] = None
    variants: Annotated[list[Variant] | None, Field(max_length=500, title="Variants")] = None
    revision: Annotated[int | None, Field(ge=1, le=1000000000, title="Revision")] = 1
    marketplace: Annotated[Marketplace | None, Field(title="Marketplace")] = None
    market: Annotated[str | None, Field(pattern="^[A-Z]{2}$", title="Market")] = "KR"
    created_at: Annotated[AwareDatetime | None, Field(title="Created At")] = None
    updated_at: Annotated[AwareDatetime | None, Field(title="Updated At")] = None
    scored_at: Annotated[AwareDatetime | None, Field(title="Scored At")] = None
    previous: Annotated[
        PreviousPart | None,
        Field(description="The answer to an earlier revision, to be told which fields changed since."),
    ] = None


class Listing(BaseModel):
    """
    An offer of goods on a marketplace.

    Attributes
    ----------
    id
        The marketplace's own identifier.
    title
        As the seller wrote it; nothing is cleaned before it is stored.
    category
        Path from the root to the leaf; also accepted as ``"Toys > Dolls"``.
    market
        ISO 3166 code of the country of sale, which decides the law that applies.
    revision
        Counts the edits; an edited listing is scored again.
    created_at, updated_at, scored_at
        Times with a zone; a time without one is taken as UTC.
    """

    model_config = ConfigDict(
        extra="forbid",
    )
    id: Annotated[
        str,
        Field(max_length=256, min_length=1, pattern="^[^\\x00-\\x1f\\x7f]*$", title="Id"),
    ]
    title: Annotated[str, Field(max_length=1000, min_length=1, title="Title")]
    description: Annotated[str | None, Field(max_length=100000, title="Description")] = ""
    bullets: Annotated[list[Bullet] | None, Field(max_length=500, title="Bullets")] = None
    attributes: Annotated[
        dict[
            Annotated[str, StringConstraints(max_length=1000)],
            AttributesAdditionalProperty,
        ]
        | None,
        Field(max_length=500, title="Attributes"),
    ] = None
    category: Annotated[list[CategoryItem] | None, Field(max_length=20, title="Category")] = None
    brand: Annotated[Brand | None, Field(title="Brand")] = None
    price: Annotated[Price | None, Field(title="Price")] = None
    currency: Annotated[Currency | None, Field(title="Currency")] = None
    seller: Seller | None = None
    origin: Annotated[Origin | None, Field(title="Origin")] = None
    ship_from: Annotated[ShipFrom | None, Field(title="Ship From")] = None
    certificates: Annotated[list[Certificate] | None, Field(max_length=50, title="Certificates")] = None
    target_age: Annotated[TargetAge | None, Field(title="Target Age")] = None
    units_sold: Annotated[UnitsSold | None, Field(title="Units Sold")] = None
    rating: Annotated[Rating | None, Field(title="Rating")] = None
    images: Annotated[list[Image] | None, Field(max_length=500, title="Images")] = None
    variants: Annotated[list[Variant] | None, Field(max_length=500, title="Variants")] = None
    revision: Annotated[int | None, Field(ge=1, le=1000000000, title="Revision")] = 1
    marketplace: Annotated[Marketplace | None, Field(title="Marketplace")] = None
    market: Annotated[str | None, Field(pattern="^[A-Z]{2}$", title="Market")] = "KR"
    created_at: Annotated[AwareDatetime | None, Field(title="Created At")] = None
    updated_at: Annotated[AwareDatetime | None, Field(title="Updated At")] = None
    scored_at: Annotated[AwareDatetime | None, Field(title="Scored At")] = None
