"""The audit finds whatever was altered, removed, reordered, cut off or made anew."""

from __future__ import annotations

import json
import shutil
import threading
import time
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest
import sqlalchemy as sa
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from serving.audit.verification import CheckpointKeeper, Checkpoints, checkpoint, verify
from serving.store import (
    BanRecord,
    LabelRecord,
    ModelRecord,
    NotFoundError,
    Picture,
    PolicyRecord,
    Store,
    schema,
)
from serving.store.checkpoints import CheckpointError
from serving.store.engine import writing
from serving.store.migrations.guards import drop_guards
from serving.store.retention import erase_expired

NOW = datetime(2026, 11, 30, tzinfo=UTC)


@pytest.fixture
def store(store_url, new_record):
    """Five groups: 1-4 decisions, 5 label, 6 ban, 7 policy, 8 model, 9-10 decisions with photos."""
    with Store(store_url) as store:
        store.record([new_record(n) for n in range(1, 5)])
        store.change(LabelRecord("", "listing-1", "choking", True, "laboratory", "kim"))
        store.change(BanRecord("b1", "placed", "lee"))
        store.change(PolicyRecord("p2", "in force", "park", body={"document": "rules: []"}))
        store.change(ModelRecord("m2", "promoted", "choi"))
        store.record([new_record(n, images=(Picture(b"one"), Picture(b"two"))) for n in (9, 10)])
        yield store


@pytest.fixture
def points(tmp_path):
    return Checkpoints(tmp_path / "checkpoints")


def tamper(store, *statements):
    """What somebody with full power over the database could do."""
    with writing(store.engine) as connection:
        drop_guards(connection)
        for statement in statements:
            connection.execute(sa.text(statement))


def kinds(report):
    return {problem.kind for problem in report.problems}


def test_an_untouched_store_is_intact(store, points):
    assert checkpoint(store, points, 1)
    report = verify(store, points)
    assert report.intact
    assert report.problems == ()
    assert (report.rows, report.links, report.decisions, report.erased) == (10, 6, 6, 0)
    assert (report.proven_rows, report.unproven_rows, report.checkpoints) == (10, 0, 1)


def test_an_empty_store_is_intact(store_url, points):
    with Store(store_url) as empty:
        assert not checkpoint(empty, points, 1)
        report = verify(empty, points)
    assert (report.intact, report.rows, report.unproven_rows) == (True, 0, 0)


def test_what_lies_after_the_last_checkpoint_is_unproven(store, points, new_record):
    checkpoint(store, points, 1)
    store.record([new_record(20), new_record(21)])
    report = verify(store, points)
    assert (report.intact, report.proven_rows, report.unproven_rows) == (True, 10, 2)
    assert verify(store).unproven_rows == 12
    assert checkpoint(store, points, 2)
    assert verify(store, points).unproven_rows == 0


def _altered_column(column):
    if isinstance(column.type, sa.LargeBinary):
        return f"{column.name} || x'00'"
    if isinstance(column.type, sa.Boolean):
        return f"NOT {column.name}"
    if isinstance(column.type, sa.Text):
        return f"coalesce({column.name}, '') || 'x'"
    return f"coalesce({column.name}, 0) + 1"


CONTENT = [schema.decisions, schema.labels, schema.bans, schema.policies, schema.models]
COLUMNS = [
    (table.name, column.name, _altered_column(column))
    for table in (*CONTENT, schema.audit_rows, schema.audit_links)
    for column in table.columns
    if _altered_column(column) and not column.primary_key
]


@pytest.fixture(scope="module")
def one_of_each(tmp_path_factory, new_record):
    """A SQLite file with one row in every audited table."""
    file = tmp_path_factory.mktemp("template") / "s.db"
    with Store(f"sqlite:///{file}") as store:
        store.record([new_record(1)])
        store.change(LabelRecord("", "listing-1", "choking", True, "laboratory", "kim"))
        store.change(BanRecord("b1", "placed", "lee"))
        store.change(PolicyRecord("p2", "in force", "park"))
        store.change(ModelRecord("m2", "promoted", "choi"))
        tamper(store)
    return file


@pytest.mark.parametrize(("table", "column", "value"), COLUMNS)
def test_any_altered_column_is_found(one_of_each, tmp_path, table, column, value):
    """Every column of every audited table, one by one."""
    shutil.copy(one_of_each, tmp_path / "s.db")
    with Store(f"sqlite:///{tmp_path / 's.db'}") as store:
        key = "number" if table == "audit_links" else "seq"
        tamper(store, f"UPDATE {table} SET {column} = {value} WHERE {key} = (SELECT min({key}) FROM {table})")
        assert not verify(store).intact


@pytest.mark.parametrize(
    ("statement", "kind"),
    [
        ("UPDATE decisions SET action = 'allow' WHERE seq = 2", "altered"),
        ("UPDATE decisions SET expected_harm = 0.26 WHERE seq = 2", "altered"),
        ("UPDATE decisions SET scores = salt WHERE seq = 2", "altered"),
        ("UPDATE decisions SET salt = scores WHERE seq = 2", "altered"),
        ("UPDATE decisions SET payload_digest = reasons_digest WHERE seq = 2", "altered"),
        ("UPDATE decisions SET image_digests = 'rubbish' WHERE seq = 9", "altered"),
        ("UPDATE inputs SET payload = '{}' WHERE seq = 2", "altered"),
        ("UPDATE inputs SET reasons = '[]' WHERE seq = 2", "altered"),
        ("UPDATE inputs SET received_at = received_at + 1 WHERE seq = 2", "altered"),
        ("UPDATE images SET content = salt FROM inputs WHERE inputs.seq = images.seq", "altered"),
        ("UPDATE images SET content = NULL", "altered"),
        ("UPDATE labels SET value = NOT value", "altered"),
        ("UPDATE audit_rows SET actor = 'nobody' WHERE seq = 5", "altered"),
        ("UPDATE audit_rows SET at = at - 1 WHERE seq = 3", "altered"),
        ("UPDATE audit_rows SET digest = (SELECT digest FROM audit_rows WHERE seq = 1) WHERE seq = 2", "altered"),
        ("UPDATE audit_links SET root = digest WHERE number = 2", "altered"),
        ("UPDATE audit_links SET previous = digest WHERE number = 3", "altered"),
        ("DELETE FROM decisions WHERE seq = 3", "removed"),
        ("DELETE FROM labels", "removed"),
        ("DELETE FROM inputs WHERE seq = 3", "removed"),
        ("DELETE FROM images WHERE position = 1", "altered"),
        ("DELETE FROM audit_rows WHERE seq = 3", "removed"),
        ("DELETE FROM audit_links WHERE number = 3", "removed"),
        ("DELETE FROM audit_links WHERE number = 6", "unrecorded"),
        ("INSERT INTO notes (seq, body, salt) SELECT 99, '{}', salt FROM decisions WHERE seq = 1", "unrecorded"),
        ("INSERT INTO inputs (seq, received_at) VALUES (99, 5)", "unrecorded"),
        ("UPDATE listings SET state = 'live' WHERE listing_id = 'listing-1'", "state"),
        ("UPDATE listings SET held_until = NULL WHERE listing_id = 'listing-1'", "state"),
        ("UPDATE inputs SET payload = NULL, reasons = NULL, salt = NULL WHERE seq = 1", "erased"),
        ("UPDATE inputs SET payload = NULL, reasons = NULL, salt = NULL, erased_by = 5 WHERE seq = 1", "erased"),
    ],
)  # fmt: skip
def test_tampering_is_found_and_named(store, statement, kind):
    tamper(store, statement)
    report = verify(store)
    assert not report.intact
    assert kind in kinds(report)


@pytest.mark.parametrize(
    "column", ["salt", "scores", "payload_digest", "expected_harm", "body", "action", "revision"]
)
@pytest.mark.parametrize("value", ["17", "'text'", "x'00ff'", "1.5", "''"])
def test_values_of_a_wrong_type_are_findings_not_crashes(tmp_path, new_record, column, value):
    """SQLite lets any value stand in any column."""
    with Store(f"sqlite:///{tmp_path / 's.db'}") as store:
        store.record([new_record(1)])
        tamper(store, f"UPDATE decisions SET {column} = {value}", f"UPDATE inputs SET salt = {value}")
        assert "altered" in kinds(verify(store))


def test_a_problem_says_where(store):
    tamper(store, "UPDATE decisions SET action = 'allow' WHERE seq = 2")
    (problem,) = verify(store).problems
    assert (problem.kind, problem.where) == ("altered", "decision 2")


def test_reordered_rows_are_found(store):
    swap = [f"UPDATE {table} SET seq = {a} WHERE seq = {b}" for a, b in ((99, 1), (1, 2), (2, 99))
            for table in ("audit_rows", "decisions", "inputs")]  # fmt: skip
    tamper(store, *swap)
    report = verify(store)
    assert "altered" in kinds(report)


def test_a_listing_put_back_to_an_earlier_decision_is_found(store, new_record):
    store.record([new_record(1, action="allow", state="held")])
    tamper(store, "UPDATE listings SET decision_seq = 1 WHERE listing_id = 'listing-1'")
    assert kinds(verify(store)) == {"state"}


CUT = [
    *(f"DELETE FROM {table} WHERE seq > 5" for table in
      ("audit_rows", "decisions", "inputs", "images", "labels", "bans", "policies", "models")),
    "DELETE FROM audit_links WHERE last > 5",
    "DELETE FROM listings WHERE decision_seq > 5",
]  # fmt: skip


def test_a_chain_cut_off_at_the_end_shows_only_by_its_checkpoint(store, points):
    checkpoint(store, points, 1)
    tamper(store, *CUT)
    assert verify(store).intact  # a shorter chain is a chain: this is what checkpoints are for
    report = verify(store, points)
    assert kinds(report) == {"truncated"}
    assert report.proven_rows == 0


def test_a_chain_made_anew_shows_only_by_its_checkpoint(store, points, new_record):
    checkpoint(store, points, 1)
    tamper(store, *CUT)
    for n in (11, 12, 13, 14, 15):
        store.record([new_record(n)])
    assert verify(store).intact
    assert kinds(verify(store, points)) == {"rewritten"}


# --- checkpoints


def test_the_key_is_for_its_owner_only(store, points):
    checkpoint(store, points, 1)
    assert points.key_file.stat().st_mode & 0o777 == 0o600
    points.key_file.chmod(0o644)
    with pytest.raises(CheckpointError, match="chmod 600"):
        points.write("s", store.head(), 1)


def test_a_key_elsewhere_and_a_folder_copied_elsewhere(store, tmp_path):
    points = Checkpoints(tmp_path / "c", key_file=tmp_path / "k" / "key")
    (tmp_path / "k").mkdir()
    checkpoint(store, points, 1)
    assert {path.name for path in (tmp_path / "c").iterdir()} == {
        "checkpoint-00000000000000000006.json", "signing.pub", ".lock"
    }  # fmt: skip
    public = points.public_key()
    copy = tmp_path / "copy"
    copy.mkdir()
    for path in points.paths():
        (copy / path.name).write_bytes(path.read_bytes())
    assert verify(store, Checkpoints(copy), public).proven_rows == 10


def test_a_checkpoint_by_another_key_proves_nothing(store, points):
    checkpoint(store, points, 1)
    report = verify(store, points, public_key=bytes(range(32)))
    assert kinds(report) == {"checkpoint"}
    assert report.proven_rows == 0


@pytest.mark.parametrize(
    "change",
    [
        lambda raw: {**raw, "seq": 3},
        lambda raw: {**raw, "digest": "00" * 32},
        lambda raw: {**raw, "signature": "00" * 64},
        lambda raw: {**raw, "signature": 5},
        lambda raw: {k: v for k, v in raw.items() if k != "link"},
        lambda raw: [raw],
    ],
)
def test_a_changed_checkpoint_is_found(store, points, change):
    checkpoint(store, points, 1)
    (path,) = points.paths()
    path.write_text(json.dumps(change(json.loads(path.read_text()))))
    report = verify(store, points)
    assert kinds(report) == {"checkpoint"}
    assert report.proven_rows == 0


@pytest.mark.parametrize("content", [b"", b"\xff\xfe", b"{", b"null", b"[" * 100_000])
def test_rubbish_instead_of_a_checkpoint(store, points, content):
    checkpoint(store, points, 1)
    points.paths()[0].write_bytes(content)
    assert kinds(verify(store, points)) == {"checkpoint"}


def test_a_checkpoint_taken_away_shows_in_the_next(store, points, new_record):
    for n in range(3):
        checkpoint(store, points, n)
        store.record([new_record(30 + n)])
    points.paths()[1].unlink()
    assert kinds(verify(store, points)) == {"checkpoint"}


def test_a_checkpoint_of_another_store(store, points, tmp_path, new_record):
    with Store(f"sqlite:///{tmp_path / 'other.db'}") as other:
        other.record([new_record(1)])
        checkpoint(other, points, 1)
    assert kinds(verify(store, points)) == {"checkpoint"}


def test_a_checkpoint_is_written_once(store, points):
    assert checkpoint(store, points, 1)
    assert not checkpoint(store, points, 2)
    assert len(points.paths()) == 1


def test_a_keeper_signs_by_itself_and_at_the_end(store, points, new_record):
    with CheckpointKeeper(store, points, every_s=0.02) as keeper:
        end = time.monotonic() + 60
        while not points.paths():
            assert time.monotonic() < end
            time.sleep(0.01)
        store.record([new_record(40)])
    assert keeper.problem == ""
    assert verify(store, points).unproven_rows == 0


def test_a_keeper_that_cannot_sign_says_so(store, tmp_path):
    (tmp_path / "taken").write_text("a file where the folder should be")
    with CheckpointKeeper(store, Checkpoints(tmp_path / "taken")) as keeper:
        pass
    assert "no checkpoint could be signed" in keeper.problem


def test_verifying_while_others_write_and_erase(store, points, new_record):
    stop = threading.Event()

    def write():
        number = 100
        while not stop.is_set():
            store.record([new_record(n) for n in range(number, number + 5)])
            erase_expired(store, NOW, timedelta(days=1), batch=7)
            number += 5

    thread = threading.Thread(target=write)
    thread.start()
    try:
        reports = [verify(store) for _ in range(8)]
    finally:
        stop.set()
        thread.join()
    assert [report.problems for report in reports] == [()] * 8
    assert verify(store).rows > 10


def test_several_processes_find_the_same(store, points, new_record):
    for _ in range(3):
        store.record([new_record(n) for n in range(50)])
    checkpoint(store, points, 1)
    assert verify(store, points, workers=2) == verify(store, points)
    assert verify(store, points, workers=2).intact
    tamper(
        store,
        "UPDATE decisions SET action = 'allow' WHERE seq IN (3, 90)",
        "DELETE FROM audit_rows WHERE seq = 70",
    )
    one, two = verify(store, points), verify(store, points, workers=2)
    assert one == two
    assert one.n_problems >= 3


@pytest.mark.parametrize(
    "statement",
    [
        "INSERT INTO notes (seq, body, salt) SELECT 9000000000000000, '{}', salt FROM decisions WHERE seq = 1",
        "INSERT INTO notes (seq, body, salt) SELECT -9000000000000000, '{}', salt FROM decisions WHERE seq = 1",
        "UPDATE audit_links SET last = 9000000000000000 WHERE number = 6",
        "UPDATE audit_links SET first = -9000000000000000 WHERE number = 2",
        "UPDATE inputs SET payload = NULL, reasons = NULL, salt = NULL, erased_by = 9000000000000000 WHERE seq = 1",
    ],
)
def test_forged_numbers_do_not_keep_the_audit_busy_for_ever(store, statement):
    tamper(store, statement)
    assert not verify(store).intact


# --- erasing


def _bytes_on_disk(store) -> bytes:
    return b"".join(path.read_bytes() for path in Path(store.engine.url.database).parent.glob("store.db*"))


def test_erased_text_is_gone_and_the_chain_still_verifies(store, points):
    checkpoint(store, points, 1)
    done = erase_expired(store, NOW, timedelta(days=10), batch=4)
    assert (done.inputs, done.rows) == (6, (11, 12))
    report = verify(store, points)
    assert report.intact
    assert (report.rows, report.erased, report.proven_rows) == (12, 6, 10)
    stored = store.decision(_first_id(store))
    assert (stored.listing, stored.reasons, stored.erased_at) == (None, None, NOW)
    assert (stored.action, stored.top_hazard) == ("review", "choking")
    assert store.queue_page()[0].title is None
    assert erase_expired(store, NOW, timedelta(days=10)).inputs == 0


def _first_id(store):
    with store.engine.connect() as connection:
        return (
            connection.execute(sa.select(schema.decisions.c.id).order_by(schema.decisions.c.seq))
            .scalars()
            .first()
        )


def test_erased_bytes_leave_the_files(tmp_path, new_record):
    with Store(f"sqlite:///{tmp_path / 'store.db'}") as store:
        store.record(
            [
                new_record(n, title=f"very secret words {n}", images=(Picture(b"face" * 999),))
                for n in range(50)
            ]
        )
        assert b"very secret words" in _bytes_on_disk(store)
        erase_expired(store, NOW, timedelta(days=1))
        left = _bytes_on_disk(store)
        assert b"very secret words" not in left
        assert b"facefaceface" not in left


def test_only_what_is_older_is_erased(store_url, new_record):
    with Store(store_url) as store:
        store.record([new_record(n, received_at=NOW - timedelta(days=n)) for n in (1, 5, 30, 31)])
        assert erase_expired(store, NOW, timedelta(days=30)).inputs == 1
        with pytest.raises(ValueError, match="zero or more"):
            erase_expired(store, NOW, timedelta(days=-1))


def test_erasing_under_cover_of_an_audited_erasure_is_found(store):
    erase_expired(store, NOW - timedelta(days=27, hours=14, minutes=59, seconds=57), timedelta(0), batch=2)
    assert verify(store).intact
    tamper(
        store, "UPDATE inputs SET payload = NULL, reasons = NULL, salt = NULL, erased_by = 11 WHERE seq = 9"
    )
    assert "erased" in kinds(verify(store))


def test_a_clock_that_jumps_back_is_counted_and_nothing_else(store_url, new_record):
    times = iter([9_000_000] * 3 + [5_000_000] * 9)
    with Store(store_url, clock=lambda: next(times)) as store:
        for n in range(4):
            store.record([new_record(n)])
        report = verify(store)
    assert (report.intact, report.clock_steps_back) == (True, 1)


@settings(max_examples=15, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(groups=st.lists(st.integers(1, 9), min_size=1, max_size=12), victim=st.integers(0, 10_000))
def test_chains_verify_and_any_lost_row_is_missed(tmp_path_factory, new_record, groups, victim):
    folder = tmp_path_factory.mktemp("chain")
    with Store(f"sqlite:///{folder / 's.db'}") as store:
        for size in groups:
            store.record([new_record(n) for n in range(size)])
        report = verify(store)
        assert (report.intact, report.rows, report.links) == (True, sum(groups), len(groups))
        seq = victim % sum(groups) + 1
        tamper(
            store,
            *(f"DELETE FROM {table} WHERE seq = {seq}" for table in ("audit_rows", "decisions", "inputs")),
        )
        assert "removed" in kinds(verify(store))


# --- replay


@pytest.fixture
def decided(store_url, predictor):
    """Three decisions as the service would record them, the last about an edited listing."""
    from features.schema import parse_listing
    from serving.decisions import Earlier
    from serving.store.decided import decision_record

    with Store(store_url) as store:
        decisions = []
        for revision, p in ((1, "0.001"), (2, "0.6")):
            listing = parse_listing(
                {
                    "id": "x",
                    "title": "딸랑이 인형",
                    "revision": revision,
                    "price": 1200.5,
                    "attributes": {"p:lead": p},
                }
            )
            earlier = [Earlier(d.decision_id, d.revision, d.action, d.fields) for d in decisions[-1:]]
            (decision,) = predictor.decide([listing], previous=earlier or None)
            store.record([decision_record(listing, decision)])
            decisions.append(decision)
        yield store, decisions


def test_replay_shows_equality_field_by_field(decided, stub):
    from serving.audit.verification import replay
    from serving.policy.document import load_policy

    store, decisions = decided
    asked = []

    def bundle(version):
        asked.append(version)
        return stub.StubBundle()

    for decision in decisions:
        report = replay(store, decision.decision_id, bundle, lambda version: load_policy())
        assert [item.field for item in report.fields if not item.equal] == []
        assert report.equal
        assert {item.field for item in report.fields} == set(decision.to_json()) | {"scores"}
    assert decisions[1].previous is not None
    assert asked == [decision.model_version for decision in decisions]


def test_replay_names_the_fields_that_differ(decided, stub):
    from serving.audit.verification import replay
    from serving.policy.document import load_policy

    store, decisions = decided

    class Another(stub.StubBundle):
        def score(self, listings):
            import dataclasses

            scores = super().score(listings)
            return dataclasses.replace(scores, p=scores.p * 0.5)

    report = replay(store, decisions[1].decision_id, lambda version: Another(), lambda version: load_policy())
    wrong = {item.field for item in report.fields if not item.equal}
    assert not report.equal
    assert {"scores", "hazards", "expected_harm"} <= wrong
    assert "fields" not in wrong


def test_replay_says_when_the_text_was_erased(decided, stub):
    from serving.audit.verification import replay
    from serving.policy.document import load_policy

    store, decisions = decided
    when = datetime.now(UTC) + timedelta(days=400)
    erase_expired(store, when, timedelta(days=365))
    report = replay(store, decisions[0].decision_id, lambda v: stub.StubBundle(), lambda v: load_policy())
    assert (report.equal, report.fields, report.erased_at) == (False, (), when)
    assert when.isoformat() in report.problem


def test_replay_of_nothing(decided, stub):
    from serving.audit.verification import replay
    from serving.policy.document import load_policy

    with pytest.raises(NotFoundError):
        replay(decided[0], "nothing", lambda v: stub.StubBundle(), lambda v: load_policy())


def test_spans_are_found_by_the_primary_key(tmp_path):
    """Written with an OR this walked eight tables for every span."""
    from serving.store.scan import _NEXT

    with Store(f"sqlite:///{tmp_path / 's.db'}") as store, store.engine.connect() as connection:
        for statement in _NEXT:
            text = str(statement.compile(store.engine, compile_kwargs={"literal_binds": True})).replace(
                ":after", "5"
            )
            plan = str(connection.exec_driver_sql(f"EXPLAIN QUERY PLAN {text.replace('NULL', '5')}").all())
            assert "SEARCH" in plan, plan
