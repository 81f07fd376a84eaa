"""Strikes: what they weigh, when they expire, what follows; and the statement a seller gets."""

from __future__ import annotations

import re
import threading
from concurrent.futures import ThreadPoolExecutor
from datetime import UTC, datetime, timedelta

import pytest
from hypothesis import given
from hypothesis import strategies as st

from serving.sellers.book import SellerError, Strike, load_seller_rules, standing
from serving.sellers.desk import SellerDesk
from serving.sellers.statements import LANGUAGES, StatementError, statement_language, write_statement
from serving.store import Store

NOON = datetime(2026, 11, 22, 12, tzinfo=UTC)
RULES = load_seller_rules()
_LEVELS = [None, "warn", "hold_new", "suspend"]


def strike(number: int, days_ago: float, points: int = 3, days: int = 365, state: str = "given") -> Strike:
    given_at = NOON - timedelta(days=days_ago)
    expires = given_at + timedelta(days=days)
    return Strike(
        f"s{number}", "m", "s1", f"l{number}", f"d{number}", "blocked", points, given_at, expires, "x", state
    )


strikes = st.lists(
    st.builds(
        strike,
        st.integers(0, 10**6),
        st.floats(0, 800),
        st.integers(0, 5),
        st.integers(1, 500),
        st.sampled_from(["given", "taken_back"]),
    ),
    max_size=12,
)


@given(strikes, st.floats(0, 2_000))
def test_strikes_expire_and_points_only_fall_with_time(found, later):
    now, then = standing(found, RULES, NOON), standing(found, RULES, NOON + timedelta(days=later))
    assert then.points <= now.points
    assert _LEVELS.index(then.measure) <= _LEVELS.index(now.measure)
    assert now.points == sum(s.points for s in found if s.state == "given" and s.expires_at > NOON)
    over = NOON + timedelta(days=501)
    assert standing(found, RULES, over) == type(now)(0, None, tuple(found))


@given(strikes, st.integers(0, 11))
def test_taking_one_back_never_makes_it_worse(found, which):
    if found:
        left = [s for i, s in enumerate(found) if i != which % len(found)]
        with_, without = standing(found, RULES, NOON), standing(left, RULES, NOON)
        assert without.points <= with_.points
        assert _LEVELS.index(without.measure) <= _LEVELS.index(with_.measure)


@pytest.mark.parametrize(
    ("found", "measure"),
    [
        ([], None),
        ([strike(1, 1, 2)], None),
        ([strike(1, 1, 3)], "warn"),
        ([strike(1, 200, 3)], None),  # outside the window of 180 days, though it still counts
        ([strike(1, 200, 3), strike(2, 1, 3)], "hold_new"),
        ([strike(n, 10, 5) for n in range(2)], "suspend"),
    ],
)
def test_measures(found, measure):
    assert standing(found, RULES, NOON).measure == measure


def test_rules_with_mistakes_are_named(tmp_path):
    file = tmp_path / "s.yaml"
    file.write_text("version: x\nstrikes: {blocked: {points: -1, days: 1}}\nmeasures: []\nappeal_days: 1\n")
    with pytest.raises(SellerError, match=r"strikes.blocked.points.*answer_days"):
        load_seller_rules(file)


@pytest.fixture
def desk(store_url):
    with Store(store_url) as store:
        yield SellerDesk(store)


def blocked(new_record, number, **more):
    return new_record(number, action="block", state="held", **more)


def test_blocks_give_strikes_once_each(desk, new_record):
    match = {"ban_id": "ban-1", "tier": "exact"}
    desk.store.record(
        [
            new_record(1),
            blocked(new_record, 2),
            blocked(new_record, 3, body={"matches": [match]}),
            blocked(new_record, 4, body={"notice_id": "n-1"}),
        ]
    )
    assert desk.sweep() == 3
    assert desk.sweep() == 0
    desk.store.record([blocked(new_record, 2)])
    assert desk.sweep() == 0, "the listing has brought a strike that still stands"
    reasons = {s.listing_id: s.reason for s in desk.strikes(("", "s1"))}
    assert reasons == {"listing-2": "blocked", "listing-3": "relisting", "listing-4": "ordered_off_sale"}
    page = desk.page(("", "s1"), datetime.now(UTC))
    assert page.standing.points == 1 + 4 + 3 and page.standing.measure == "hold_new"
    assert page.states == {"held": 4} and len(page.listings) == 4
    ((seller, first),) = desk.ranked(datetime.now(UTC))
    assert seller == ("", "s1") and first.points == 8


def test_a_block_that_was_taken_back_before_the_sweep_gives_none(desk, new_record):
    desk.store.record([blocked(new_record, 1)])
    desk.store.record([new_record(1, action="allow", state="live", actor="kim")])
    assert desk.sweep() == 0


def test_the_sweep_goes_on_where_it_stopped(desk, new_record):
    desk.store.record([blocked(new_record, n) for n in range(7)])
    assert [desk.sweep(limit=3), desk.sweep(limit=3), desk.sweep(limit=3), desk.sweep(limit=3)] == [
        3,
        3,
        1,
        0,
    ]


def test_workers_that_sweep_at_the_same_time_give_each_strike_once(desk, new_record):
    """Each of several processes sweeps; whoever comes second to a strike goes on with the next."""
    desk.store.record([blocked(new_record, n) for n in range(12)])
    together = threading.Barrier(3)

    def sweep(_: int) -> int:
        together.wait(90)
        return desk.sweep()

    with ThreadPoolExecutor(3) as pool:
        counts = list(pool.map(sweep, range(3)))
    assert sum(counts) == 12
    assert len(desk.strikes(("", "s1"))) == 12


# --- statements ---------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("language", LANGUAGES)
def test_a_statement_says_what_why_on_what_ground_and_how_to_appeal(tmp_path, new_record, language):
    body = {
        "group": "toys",
        "audience": "under_3",
        "rules": [
            {
                "id": "lead-review",
                "why": {"ko": "납이 우려됩니다.", "en": "Lead is a concern.", "zh": "担心含铅。"},
                "causes": [{"what": "hazard", "hazard": "lead"}],
            }
        ],
        "matches": [{"ban_id": "ban-7", "tier": "exact", "notice": {"regulator": "KATS", "number": "26-1"}}],
    }
    with Store(str(tmp_path / "s.db")) as store:
        record = blocked(new_record, 1, body=body)
        store.record([record])
        desk = SellerDesk(store)
        desk.sweep()
        decision = store.decision(record.id)
        said = write_statement(decision, language, RULES, desk.page(("", "s1"), datetime.now(UTC)).standing)
    text = said.as_text()
    assert len(said.sections) == 7
    for part in (
        record.id,
        "ban-7",
        "26-1",
        "KATS",
        body["rules"][0]["why"][language],
        decision.policy_version,
    ):
        assert part in text
    name = {"ko": "납", "en": "Lead", "zh": "铅"}[language]
    assert name in text and re.search(r"≤ ?90|≤ ?100|mg/kg", text), "the legal limit is the ground"
    assert not re.search(r"\{\w+\}", text), "nothing is left to be put in"


def test_a_language_that_there_is_none_of():
    with pytest.raises(StatementError, match="ko, en, zh"):
        statement_language("ja")
