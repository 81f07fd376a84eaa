"""The review desk: what a choice makes, claims and leases, two persons, bulk and undo, golden items, quality."""

from __future__ import annotations

from dataclasses import replace
from datetime import UTC, datetime, timedelta

import pytest
import sqlalchemy as sa
from hypothesis import given
from hypothesis import strategies as st

from serving.audit.verification import verify
from serving.review.bulk import BulkDesk
from serving.review.desk import ReviewDesk
from serving.review.quality import GoldenAnswer, SecondLook, quality, wilson
from serving.review.records import records_of, undo_records
from serving.review.rules import (
    CHOICES,
    DeskRules,
    Person,
    ReviewError,
    Said,
    needs_second,
    outcome,
    still_in_force,
    suspected,
)
from serving.store import DecisionRecord, QueueFilter, Store, desk, desk_counts, desk_reads, goldens, schema
from serving.store.engine import reading, writing

NOON = datetime(2026, 11, 22, 12, 0, tzinfo=UTC)
RULES = DeskRules()


class Clock:
    def __init__(self):
        self.at = NOON

    def __call__(self):
        return self.at


def record(number, action="review", hazards=("choking", "lead"), **changes):
    causes = [{"what": "p", "hazard": code, "got": 0.4, "wanted": ""} for code in hazards]
    cells = [{"hazard": code, "p": 0.4 - 0.1 * place} for place, code in enumerate(hazards)]
    parts = {
        "id": f"d{number}",
        "listing": {
            "id": f"l{number}",
            "title": f"딸랑이 {number}",
            "marketplace": "hanbada",
            "seller": {"id": f"s{number % 2}"},
        },
        "action": action,
        "state": "held",
        "held_until": NOON + timedelta(days=3),
        "model_version": "m",
        "policy_version": "p",
        "decided_at": NOON - timedelta(hours=1),
        "top_hazard": hazards[0] if hazards else "",
        "expected_harm": float(number),
        "body": {
            "rules": [{"id": "r", "action": action, "causes": causes, "why": {}}],
            "hazards": cells,
            "group": "toys",
            "language": "ko",
        },
        "reasons": {"reasons": [{"text": "딸랑이", "field": "title"}]},
        "product_group": "toys",
        "language": "ko",
        "rules": ("r",),
    }
    return DecisionRecord(**(parts | changes))


@pytest.fixture
def store(store_url):
    with Store(store_url) as store:
        yield store


@pytest.fixture
def clock():
    return Clock()


@pytest.fixture
def at(store, clock):
    """A desk with five items that wait and one that is blocked; no golden items."""
    store.record([record(n) for n in range(1, 6)] + [record(9, action="block")])
    return ReviewDesk(store, clock=clock, draw=lambda: 1.0)


def latest(store, number):
    return store.latest("hanbada", f"l{number}")


def labels(store, number):
    with reading(store.engine) as connection:
        return [
            (line.hazard, line.value) for line in desk_reads.labels_of(connection, "hanbada", f"l{number}")
        ]


# --- what a choice makes ---------------------------------------------------------------------------------------------


def seen(at, number=1):
    return at.store.decision(f"d{number}")


def test_what_each_choice_makes(at):
    stored = seen(at)
    blocked = outcome(Said("block", "lead"), stored, NOON, RULES)
    assert (blocked.action, blocked.state, blocked.needs_work, blocked.labels) == (
        "block", "off_sale", False, (("lead", True),),
    )  # fmt: skip
    tested = outcome(Said("lab_test"), stored, NOON, RULES)
    assert (tested.state, tested.held_until, tested.labels) == ("held", NOON + RULES.laboratory, ())
    allowed = outcome(Said("allow"), stored, NOON, RULES)
    assert (allowed.state, allowed.labels) == ("live", (("choking", False), ("lead", False)))
    other = outcome(Said("not_hazard", "choking"), stored, NOON, RULES)
    assert (other.action, other.needs_work, other.hazard, other.labels) == (
        "review", True, "lead", (("choking", False),),
    )  # fmt: skip


def test_the_last_dismissed_hazard_lets_the_item_go(at):
    stored = seen(at)
    stored = replace(stored, body={**stored.body, "dismissed": ["choking"]})
    assert suspected(stored) == ("lead",)
    assert outcome(Said("not_hazard", "lead"), stored, NOON, RULES).action == "allow"
    with pytest.raises(ReviewError, match="expected one that is suspected: lead"):
        outcome(Said("not_hazard", "choking"), stored, NOON, RULES)


@given(st.sampled_from(CHOICES), st.sampled_from(["review", "lab_test", "block"]))
def test_only_a_release_needs_two_by_default_and_everything_where_all_are_named(choice, action):
    class Stored:
        state = "held"

    stored = Stored()
    stored.action = action
    said = Said(choice)
    assert needs_second(said, stored, RULES) == (choice in ("allow", "not_hazard") and action == "block")
    assert needs_second(said, stored, DeskRules(two_person=frozenset(CHOICES)))
    assert not needs_second(said, stored, DeskRules(two_person=frozenset()))


def test_a_decision_carries_its_person_its_events_and_what_it_was_about(at):
    decision, label = records_of(
        Said("block", "lead", "납 검사 이력"), seen(at), Person("ann", "bob"), NOON, RULES
    )
    assert decision.actor == "ann" and decision.body["second"] == "bob"
    assert decision.body["previous"]["decision_id"] == "d1"
    assert [event.type for event in decision.events] == ["decision.made", "item.blocked"]
    assert decision.reasons["note"] == "납 검사 이력", "what a person wrote is erased with the text"
    assert "납 검사 이력" not in str(decision.body)
    assert (label.hazard, label.value, label.source, label.decision_id) == (
        "lead",
        True,
        "review",
        decision.id,
    )
    assert decision.received_at == seen(at).received_at, "reading it again makes the text no younger"


def test_a_choice_about_something_old_is_refused(at):
    with pytest.raises(ReviewError, match="not in force any more"):
        still_in_force(seen(at), None)


# --- claims ----------------------------------------------------------------------------------------------------------


def test_the_most_harmful_first_and_nobody_gets_what_another_holds(at):
    assert at.take("ann").listing_id == "l9"
    assert at.take("bob").listing_id == "l5"
    assert at.take("ann").listing_id == "l9", "one's own comes back, with a longer lease"
    with pytest.raises(ReviewError, match="somebody else works on"):
        at.claim("bob", "d9")


def test_a_lease_ends(at, clock):
    claim = at.take("ann")
    clock.at += RULES.lease + timedelta(seconds=1)
    assert at.take("bob").listing_id == claim.listing_id
    with pytest.raises(ReviewError, match="you do not hold"):
        at.decide("ann", claim.decision_id, "block")


def test_skipped_items_stay_away_for_a_while(at, clock):
    first = at.take("ann")
    at.skip("ann", first.decision_id)
    assert at.take("ann").listing_id == "l5"
    assert at.take("bob").listing_id == first.listing_id, "only from the one who skipped"
    clock.at += RULES.skipped + timedelta(seconds=1)
    assert at.take("ann").listing_id == "l9"


def test_filters_choose_what_is_taken(at):
    assert at.take("ann", QueueFilter(seller_id="s0")).listing_id == "l4"
    assert at.take("bob", QueueFilter(hazard="fire")) is None


def test_deciding_writes_decision_labels_and_event_and_the_item_leaves_the_queue(at, store):
    claim = at.claim("ann", "d5")
    done = at.decide("ann", claim.decision_id, "block", "lead", "왜냐하면")
    assert done.done == "decided"
    stored = latest(store, 5)
    assert (stored.id, stored.action, stored.state, stored.actor) == (
        done.decision_id,
        "block",
        "off_sale",
        "ann",
    )
    assert labels(store, 5) == [("lead", True)]
    assert "l5" not in [item.listing_id for item in store.queue_page()]
    with reading(store.engine) as connection:
        types = (
            connection.execute(sa.select(schema.events.c.type).order_by(schema.events.c.position))
            .scalars()
            .all()
        )
    assert types == ["decision.made", "item.blocked"]
    assert at.held_by(("hanbada", "l5")) is None
    assert verify(store).intact


def test_a_form_sent_twice_decides_once(at, store):
    at.claim("ann", "d5")
    first, second = at.decide("ann", "d5", "block"), at.decide("ann", "d5", "block")
    assert first.decision_id == second.decision_id
    assert labels(store, 5) == [("choking", True)]


def test_nobody_decides_about_what_was_decided_meanwhile(at, store):
    at.claim("ann", "d5")
    store.record([replace(record(5), id="newer", decided_at=NOON)])
    with pytest.raises(ReviewError, match="not in force"):
        at.decide("ann", "d5", "block")
    with pytest.raises(ReviewError, match="got choice"):
        at.decide("ann", "newer", "explode")


def test_not_this_hazard_keeps_it_in_the_queue_in_its_place(at, store):
    at.claim("ann", "d5")
    at.decide("ann", "d5", "not_hazard", "choking")
    item = next(item for item in store.queue_page() if item.listing_id == "l5")
    assert (item.top_hazard, item.action, item.state) == ("lead", "review", "held")
    assert labels(store, 5) == [("choking", False)]
    at.claim("ann", latest(store, 5).id)
    at.decide("ann", latest(store, 5).id, "not_hazard", "lead")
    assert latest(store, 5).state == "live"


def test_notes_are_kept_beside_the_record_not_in_it(at, store):
    at.note("ann", "d1", "판매자에게 전화함")
    with reading(store.engine) as connection:
        (note,) = desk.read_item_notes(connection, ("hanbada", "l1"))
        bodies = connection.execute(sa.select(schema.notes.c.body)).scalars().all()
    assert note.text == "판매자에게 전화함"
    assert "전화" not in "".join(bodies) and "item note" in "".join(bodies)
    with pytest.raises(ReviewError, match="expected 1 to"):
        at.note("ann", "d1", "  ")


# --- two persons -----------------------------------------------------------------------------------------------------


def test_releasing_a_blocked_item_takes_two(at, store):
    at.claim("ann", "d9")
    done = at.decide("ann", "d9", "allow", note="오해")
    assert done.done == "proposed" and latest(store, 9).id == "d9", "not in force yet"
    assert at.take("bob").listing_id != "l9", "what waits for a second person is not handed out"
    with pytest.raises(ReviewError, match="one's own proposal"):
        at.agree("ann", done.proposal_id)
    agreed = at.agree("bob", done.proposal_id)
    stored = latest(store, 9)
    assert stored.id == agreed.decision_id
    assert (stored.action, stored.state, stored.actor, stored.body["second"]) == (
        "allow",
        "live",
        "ann",
        "bob",
    )
    with pytest.raises(ReviewError, match="closed by somebody else"):
        at.agree("cho", done.proposal_id)


def test_a_declined_proposal_goes_back_to_the_queue(at, store):
    at.claim("ann", "d9")
    done = at.decide("ann", "d9", "allow")
    at.decline("bob", done.proposal_id)
    assert latest(store, 9).id == "d9" and at.take("cho").listing_id == "l9"


def test_a_proposal_about_something_decided_since_is_outdated(at, store):
    at.claim("ann", "d9")
    done = at.decide("ann", "d9", "allow")
    store.record([replace(record(9, action="block"), id="newer", decided_at=NOON)])
    with pytest.raises(ReviewError, match="not in force"):
        at.agree("bob", done.proposal_id)
    with reading(store.engine) as connection:
        assert desk.read_proposal(connection, done.proposal_id).state == "outdated"


# --- bulk ------------------------------------------------------------------------------------------------------------


def test_a_bulk_action_is_looked_at_done_and_taken_back(at, store):
    bulk, only = BulkDesk(at), QueueFilter(hazard="choking", action="review")
    before = {number: latest(store, number) for number in range(1, 6)}
    shown = bulk.preview("ann", only, "block")
    assert [item.listing_id for item in shown.items] == ["l5", "l4", "l3", "l2", "l1"] and shown.harm == 15.0
    assert len(store.queue_page()) == 6, "looking changes nothing"
    done = bulk.apply("ann", only, "block", shown.mark, note="한꺼번에")
    assert (done.done, done.left) == (5, 0)
    assert [latest(store, number).state for number in before] == ["off_sale"] * 5
    assert {latest(store, n).body["bulk"] for n in before} == {done.bulk_id}
    undone = bulk.undo("bob", done.bulk_id)
    assert (undone.done, undone.left) == (5, 0)
    for number, old in before.items():
        now = latest(store, number)
        assert (now.action, now.state, now.held_until) == (old.action, old.state, old.held_until)
        assert labels(store, number) == [("choking", None), ("choking", True)]
    assert len(store.queue_page()) == 6
    with pytest.raises(ReviewError, match="undone before"):
        bulk.undo("bob", done.bulk_id)
    assert verify(store).intact


def test_undoing_leaves_what_was_decided_since(at, store):
    bulk, only = BulkDesk(at), QueueFilter(seller_id="s0")
    done = bulk.apply("ann", only, "lab_test", bulk.preview("ann", only, "lab_test").mark)
    store.record([replace(record(4), id="edited", decided_at=NOON)])
    assert (bulk.undo("ann", done.bulk_id).done, latest(store, 4).id) == (done.done - 1, "edited")


def test_a_preview_that_is_old_is_not_applied(at, store):
    bulk, only = BulkDesk(at), QueueFilter(hazard="choking", action="review")
    mark = bulk.preview("ann", only, "block").mark
    store.record([record(7)])
    with pytest.raises(ReviewError, match="changed since the preview"):
        bulk.apply("ann", only, "block", mark)


def test_a_bulk_action_leaves_out_what_others_hold_or_two_must_decide(at):
    at.claim("bob", "d5")
    shown = BulkDesk(at).preview("ann", QueueFilter(product_group="toys"), "allow")
    assert {(item.listing_id, why) for item, why in shown.left_out} == {("l5", "claimed"), ("l9", "second")}
    with pytest.raises(ReviewError, match="without any filter"):
        BulkDesk(at).preview("ann", QueueFilter(), "block")


# --- golden items and quality ----------------------------------------------------------------------------------------


def test_golden_items_look_like_others_and_only_measure(at, store, clock):
    store.record([record(20, needs_work=False)])
    golden = goldens.Golden("g1", "d20", "block", "시험에서 부적합", "boss", at.now())
    with writing(store.engine) as connection:
        goldens.put_golden(connection, golden)
    lucky = ReviewDesk(store, clock=clock, draw=lambda: 0.0)
    assert lucky.take("boss").golden_id is None, "who added it knows the answer"
    claim = lucky.take("ann")
    assert claim.golden_id == "g1" and claim.listing_id == "l20"
    assert lucky.decide("ann", "d20", "allow").done == "noted"
    assert latest(store, 20).id == "d20" and labels(store, 20) == [], "nothing is decided about the listing"
    assert lucky.take("ann").golden_id is None, "answered once"
    with reading(store.engine) as connection:
        assert goldens.read_golden_answers(connection) == (("ann", "allow", "block"),)


def test_quality_counts_right_missed_and_wrongly_stopped():
    answers = [
        GoldenAnswer("ann", "block", "block"),
        GoldenAnswer("ann", "allow", "block"),
        GoldenAnswer("ann", "block", "allow"),
        GoldenAnswer("bob", "lab_test", "lab_test"),
    ]
    ann, bob = quality(
        answers, [SecondLook("ann", True), SecondLook("ann", False)], [("ann", 7), ("cho", 2)]
    )[:2]
    assert (ann.actor, ann.right.part, ann.right.of, ann.missed.part, ann.missed.of) == ("ann", 1, 3, 1, 2)
    assert (ann.stopped_wrongly.part, ann.stopped_wrongly.of, ann.agreed.value, ann.decided) == (1, 1, 0.5, 7)
    assert (bob.actor, bob.right.value, bob.agreed.value) == ("bob", 1.0, None)


@given(st.integers(0, 300), st.integers(0, 300))
def test_an_interval_holds_its_share(part, rest):
    found = wilson(part, part + rest)
    assert 0 <= found.low <= (found.value if found.value is not None else 0.5) <= found.high <= 1


def test_undoing_an_allowed_block_tells_the_marketplace_to_take_it_off_again(at, store):
    before = store.decision("d9")
    made = replace(
        before, id="x", action="allow", state="live", actor="ann", body={**before.body, "choice": "allow"}
    )
    record, *_ = undo_records(before, made, "bob", NOON, "b")
    assert [event.type for event in record.events] == ["decision.made", "item.blocked"]
    assert record.needs_work and record.body["undoes"] == "x"


def test_counts_for_the_overview(at, store, clock):
    at.claim("ann", "d5")
    at.decide("ann", "d5", "block")
    with reading(store.engine) as connection:
        counts = desk_counts.queue_counts(connection, NOON + timedelta(days=4))
        recent = desk_counts.recent_counts(connection, NOON - timedelta(days=1))
        sellers = desk_counts.sellers_with_most(connection)
        values = desk_counts.filter_values(connection)
    assert (counts.waiting, dict(counts.by_action), counts.overdue, counts.off_sale) == (
        5, {"review": 4, "block": 1}, 5, 1,
    )  # fmt: skip
    assert (recent.decisions, recent.by_people, recent.complete) == (7, 1, True)
    assert sellers[0][:4] == ("hanbada", "s1", 3, 1)
    assert values == {"top_hazard": ("choking",), "product_group": ("toys",), "language": ("ko",)}
