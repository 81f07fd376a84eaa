"""Policies in safety: what another would have changed, shadow, promotion, rollback, and a service that follows."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest
from click.testing import CliRunner
from hypothesis import given
from hypothesis import strategies as st

import serving
from features.schema import parse_listing
from serving.audit.verification import verify
from serving.cli import main
from serving.policy.binding import bind
from serving.policy.desk import Ground, PolicyDesk, PolicyDeskError
from serving.policy.diff import Recorded, compare_policies
from serving.policy.document import PolicyError, load_policy, parse_policy
from serving.policy.evaluation import ACTIONS, BoundPolicy, BoundRule, Cause, Hold, PolicyFacts, evaluate
from serving.policy.facts import Rebuilder
from serving.policy.follow import PolicyFollower
from serving.store import Store
from serving.store.decided import decision_record

TEXT = (Path(serving.__path__[0]) / "policy" / "policy.yaml").read_text("utf-8")
STRICT = TEXT.replace('version: "2026.11.1"', 'version: "2026.12.1"').replace(
    "at_least: review", "at_least: monitor"
)
NOON = datetime(2026, 11, 22, 12, 0, tzinfo=UTC)
SINCE = NOON - timedelta(days=30)


def listing(number, **scores):
    attributes = {f"p:{name}": str(value) for name, value in scores.items()} | {"audience": "under_3"}
    seller = {"id": f"s{number % 2}", "history": {"strikes": 1}}
    return parse_listing(
        {"id": f"l{number}", "title": f"곰 {number}", "seller": seller, "attributes": attributes}
    )


SAMPLE = [
    listing(1, lead=0.07),
    listing(2, lead=0.9),
    listing(3, fire=0.01),
    listing(4, fire=0.07),
    listing(5),
]


@pytest.fixture
def store(store_url):
    with Store(store_url) as store:
        yield store


@pytest.fixture
def decided(store, predictor):
    decisions = predictor.decide(SAMPLE)
    store.record([decision_record(one, made) for one, made in zip(SAMPLE, decisions, strict=True)])
    return decisions


@pytest.fixture
def desk(store, predictor):
    points = predictor.bundle.manifest.operating_points
    return PolicyDesk(store, Ground(predictor.taxonomy, points, predictor.checks.certificates))


def strict():
    return parse_policy(STRICT, "strict.yaml")


def test_facts_rebuilt_from_the_record_give_the_recorded_decision_again(store, predictor, decided):
    rebuild = Rebuilder(predictor.taxonomy, predictor.checks.certificates)
    for one, made in zip(SAMPLE, decided, strict=True):
        facts = rebuild.of_record(store.decision(made.decision_id))
        assert facts == rebuild.of_decision(made, one)
        verdict = evaluate(predictor.policy, facts, made.decided_at)
        assert (verdict.action, verdict.state, verdict.fired) == (made.action, made.state, made.rules)


def test_a_diff_says_what_a_new_policy_would_have_changed_and_agrees_with_deciding_anew(
    desk, predictor, stub, decided
):
    from serving.predictor import Predictor

    found = desk.diff(load_policy(), strict(), SINCE)
    anew = Predictor(stub.StubBundle(), strict(), clock=lambda: NOON).decide(SAMPLE)
    changed = {
        a.listing_id: (a.action, b.action) for a, b in zip(decided, anew, strict=True) if a.action != b.action
    }
    assert changed, "the policies differ on this sample"
    assert {one.listing_id: (one.before, one.after) for one in found.examples} == changed
    assert (found.looked_at, found.faithful, found.left_out, found.changed) == (5, 5, 0, len(changed))
    assert found.stricter == len(changed) and sum(up for up, _ in found.hazards.values()) == len(changed)
    assert sum(after for _, _, after in found.per_action()) == 5
    back = desk.diff(strict(), load_policy(), SINCE)
    assert (back.changed, back.stricter) == (len(changed), 0)


def test_a_policy_against_itself_changes_nothing_and_time_limits_what_is_looked_at(desk, decided):
    assert desk.diff(load_policy(), load_policy(), SINCE).changed == 0
    assert desk.diff(load_policy(), strict(), datetime.now(UTC) + timedelta(days=3650)).looked_at == 0
    assert desk.diff(load_policy(), strict(), SINCE, limit=2).looked_at == 2


def test_what_was_erased_is_counted_as_left_out(desk, store, decided):
    from serving.store.retention import erase_expired

    erase_expired(store, datetime.now(UTC) + timedelta(days=9_999), timedelta(0))
    found = desk.diff(load_policy(), strict(), SINCE)
    assert (found.looked_at, found.left_out) == (0, 5)


class AtLeast:
    """A condition on lead alone."""

    def __init__(self, threshold):
        self.threshold = threshold

    def causes(self, facts):
        p = facts.p["lead"]
        return (Cause("p", p, f">= {self.threshold}", "lead"),) if p >= self.threshold else None


@given(
    st.lists(st.floats(0, 1), max_size=30),
    st.floats(0, 1),
    st.floats(0, 1),
    st.sampled_from(ACTIONS[1:]),
)
def test_a_lower_threshold_never_makes_a_diff_milder(scores, one, other, action):
    low, high = sorted((one, other))

    def policy(threshold):
        return BoundPolicy(
            str(threshold), (BoundRule("r", action, {}, AtLeast(threshold), Hold(1, "review")),)
        )

    records = [
        Recorded(str(i), str(i), "s", "t", NOON, "allow", PolicyFacts({"lead": p}, p))
        for i, p in enumerate(scores)
    ]
    found = compare_policies(policy(high), policy(low), [*records, None])
    assert found.changed == found.stricter == sum(low <= p < high for p in scores)
    assert (found.looked_at, found.left_out) == (len(scores), 1)
    assert sum(found.actions.values()) == len(scores)


def test_promoting_and_going_back_are_on_record(desk, store):
    desk.promote(TEXT, "ann", why="first")
    version = desk.promote(STRICT, "ann", why="stricter")
    assert desk.wanted() == version
    with pytest.raises(PolicyDeskError, match="in force already"):
        desk.promote(STRICT, "ann")
    assert desk.rollback("bob", "too many reviews") == load_policy().version
    assert desk.wanted() == load_policy().version
    lines = [(line.status, line.actor, line.body["why"]) for line in desk.history()]
    assert lines == [
        ("promoted", "bob", "too many reviews"),
        ("promoted", "ann", "stricter"),
        ("promoted", "ann", "first"),
    ]
    assert verify(store).intact


def test_what_is_no_policy_is_not_promoted(desk):
    with pytest.raises(PolicyError, match="unknown key"):
        desk.promote(TEXT + "\nnonsense: 1\n", "ann")
    with pytest.raises(PolicyError, match="no product group"):
        desk.promote(
            TEXT.replace("version:", "version:", 1).replace("chargers", "no_such_group") + BAD, "ann"
        )
    with pytest.raises(PolicyDeskError, match="no other policy"):
        desk.rollback("ann")
    assert desk.history() == ()


BAD = """
  - id: bad-group
    action: review
    when: {group: [no_such_group]}
    why: {ko: 가, en: a, zh: 一}
"""


def test_a_running_service_takes_up_what_is_promoted(desk, store, predictor):
    follower = PolicyFollower(store, lambda: predictor, follows=True)
    follower.look()
    before = predictor.policy.version
    version = desk.promote(STRICT, "ann")
    follower.look()
    assert predictor.policy.version == version != before and desk.in_force() == version
    assert predictor.decide([SAMPLE[0]])[0].policy_version == version
    follower.look()
    assert [line.status for line in desk.history()] == ["loaded", "promoted"], "recorded once"


def test_a_service_with_a_policy_file_of_its_own_keeps_it(desk, store, predictor):
    before = predictor.policy.version
    desk.promote(STRICT, "ann")
    PolicyFollower(store, lambda: predictor, follows=False).look()
    assert predictor.policy.version == before


def test_a_shadow_is_recorded_and_not_acted_on(desk, store, predictor):
    version = desk.start_shadow(STRICT, "ann")
    follower = PolicyFollower(store, lambda: predictor, follows=True)
    follower.look()
    decisions = predictor.decide(SAMPLE)
    assert {made.policy_version for made in decisions} == {load_policy().version}
    follower.observe(decisions, SAMPLE)
    assert follower.try_waiting() == 5
    report = desk.shadow_report(version)
    expected = desk_changes(decisions, predictor)
    assert (report.seen, report.changed) == (5, len(expected)) and expected
    assert {(a, b) for a, b, _ in report.actions if a != b} == set(expected)
    desk.end_shadow("ann")
    follower.look()
    follower.observe(decisions, SAMPLE)
    assert follower.try_waiting() == 0 and desk.shadow() is None
    with pytest.raises(PolicyDeskError, match="none runs"):
        desk.end_shadow("ann")


def desk_changes(decisions, predictor):
    policy = bind(strict(), predictor.bundle.manifest.operating_points, predictor.taxonomy)
    rebuild = Rebuilder(predictor.taxonomy, predictor.checks.certificates)
    pairs = []
    for made, one in zip(decisions, SAMPLE, strict=True):
        after = evaluate(policy, rebuild.of_decision(made, one), made.decided_at).action
        if after != made.action:
            pairs.append((made.action, after))
    return pairs


def test_a_shadow_that_cannot_keep_up_drops_and_never_waits(desk, store, predictor):
    desk.start_shadow(STRICT, "ann")
    follower = PolicyFollower(store, lambda: predictor, follows=True)
    follower.look()
    decisions = predictor.decide(SAMPLE)
    for _ in range(500):
        follower.observe(decisions, SAMPLE)
    assert follower.dropped == 500


def run(*args):
    return CliRunner().invoke(main, ["policy", *map(str, args)])


def test_the_commands(tmp_path):
    strict_file, store = tmp_path / "strict.yaml", tmp_path / "s.db"
    strict_file.write_text(STRICT, "utf-8")
    assert "ready" in run("validate", strict_file).output
    assert "0 of 0 decisions change" in run("diff", "in-force", strict_file, "--store", store).output
    assert "runs in shadow" in run("shadow", strict_file, "--store", store, "--actor", "ann").output
    assert "0 of 0 decisions" in run("shadow", "--store", store).output
    assert "no longer" in run("shadow", "--stop", "--store", store, "--actor", "ann").output
    assert "is promoted" in run("promote", strict_file, "--store", store, "--why", "because").output
    assert "because" in run("history", "--store", store).output
    refused = run("rollback", "--store", store)
    assert refused.exit_code == 2
    broken = tmp_path / "broken.yaml"
    broken.write_text(TEXT + "\nnonsense: 1\n", "utf-8")
    assert run("validate", broken).exit_code == 2
