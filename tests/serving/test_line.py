"""The line in front of the scorer: bounded in seconds, fair between its two kinds."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from serving.http.line import FIRST_PACE_S, FullError, Line, LineLimits


def paced(line: Line[str], kind: str, pace_s: float, listings: int = 200) -> None:
    """Teach a line how fast listings leave."""
    for number in range(listings):
        line.enter(kind, 1, number * pace_s)
        line.leave(kind, 1, (number + 1) * pace_s)


def test_a_block_is_always_let_in_and_then_seconds_count():
    line: Line[str] = Line(LineLimits(block=4, one_s=1.0))
    paced(line, "one", 0.5)
    for _ in range(4):
        line.enter("one", 1, 100.0)
    with pytest.raises(FullError) as full:
        line.enter("one", 1, 100.0)
    assert full.value.wait_s == pytest.approx(2.0, rel=0.01)
    line.leave("one", 1, 100.5)
    line.enter("one", 1, 100.5)
    assert line.inside("one") == 4


def test_a_faster_line_takes_more():
    def taken(pace_s: float) -> int:
        line: Line[str] = Line(LineLimits(block=2, one_s=0.1))
        paced(line, "one", pace_s)
        for number in range(10_000):
            try:
                line.enter("one", 1, 1000.0)
            except FullError:
                return number
        raise AssertionError("the line has no end")

    assert taken(0.05) == 3
    assert taken(0.001) == pytest.approx(100, abs=2)


def test_one_kind_being_full_does_not_close_the_other():
    line: Line[str] = Line(LineLimits(block=1, one_s=FIRST_PACE_S, many_s=FIRST_PACE_S))
    line.enter("many", 1_000, 0.0)
    with pytest.raises(FullError):
        line.enter("many", 1, 0.0)
    line.enter("one", 1, 0.0)


def test_single_listings_are_taken_together_and_in_order():
    line: Line[int] = Line(LineLimits(block=3))
    for number in range(5):
        line.put("one", number)
    assert line.take() == ("one", [0, 1, 2])
    assert line.take() == ("one", [3, 4])
    assert line.take() is None


@given(
    share=st.floats(0.05, 0.95),
    costs=st.tuples(st.floats(0.001, 0.2), st.floats(0.001, 0.2)),
)
def test_while_both_wait_each_gets_its_share_of_the_time(share, costs):
    line: Line[int] = Line(LineLimits(block=1, share_many=share))
    cost = dict(zip(("one", "many"), costs, strict=True))
    used = {"one": 0.0, "many": 0.0}
    for kind in used:
        line.put(kind, 0)
    for _ in range(2_000):
        kind, _jobs = line.take() or pytest.fail("something waits all the time")
        line.spent(kind, cost[kind])
        used[kind] += cost[kind]
        line.put(kind, 0)
    # What one of them is ahead is never more than a job of each.
    assert used["many"] / share == pytest.approx(
        used["one"] / (1 - share), abs=2 * max(costs) / min(share, 1 - share)
    )


def test_who_was_away_gets_no_credit_for_it():
    line: Line[str] = Line(LineLimits(block=1))
    for _ in range(100):
        line.put("one", "a")
        line.take()
        line.spent("one", 1.0)
    turns = []
    for kind in ("one", "many"):
        line.put(kind, "a")
    for _ in range(20):
        kind, _jobs = line.take() or pytest.fail("something waits all the time")
        turns.append(kind)
        line.spent(kind, 1.0)
        line.put(kind, "a")
    assert 9 <= turns.count("many") <= 11


def test_a_quiet_time_is_not_taken_for_a_slow_one():
    line: Line[str] = Line(LineLimits(block=1))
    paced(line, "one", 0.001)
    line.enter("one", 1, 5_000.0)
    line.leave("one", 1, 5_000.001)
    line.enter("one", 1, 5_000.001)
    assert line.wait_s("one") == pytest.approx(0.001, rel=0.05)
