"""Who may do what: the table, and the one layer that enforces it."""

from __future__ import annotations

import asyncio
from datetime import UTC, datetime, timedelta

import httpx
import pytest
import sqlalchemy as sa
from hypothesis import given
from hypothesis import strategies as st
from starlette.responses import JSONResponse

from serving.access.door import LONGEST_WAIT_S, AccessDoor, AccessError, wait_after
from serving.access.gate import AccessGate, Bucket, RouteTable
from serving.access.secrets import Cost, PasswordError, check_password, hash_password, new_key, split_key
from serving.access.settings import AccessSettings, AccessSettingsError, read_access
from serving.access.table import GRANTS, PERMISSIONS, PUBLIC, ROLES, TABLE, actor_of
from serving.app import Api
from serving.http.edge import Edge
from serving.metrics import Metrics
from serving.settings import Settings
from serving.store import Store, schema
from serving.store.account_tables import api_keys, sessions
from serving.store.engine import reading

CHEAP = Cost(2**4, 8, 1)
PASSWORD = "나의 긴 비밀번호 12자 이상"
LOCAL = ("127.0.0.1", 5000)
ELSEWHERE = ("203.0.113.7", 5000)

# Written out a second time, by hand, so that a slip in the table shows: permission -> roles besides the administrator.
EXPECTED = {
    "score.read": {"viewer", "reviewer", "laboratory", "compliance", "data_scientist"},
    "queue.read": {"viewer", "reviewer", "laboratory", "compliance", "data_scientist"},
    "decisions.read": {"viewer", "reviewer", "laboratory", "compliance", "data_scientist"},
    "photos.read": {"viewer", "reviewer", "laboratory", "compliance", "data_scientist"},
    "sellers.read": {"viewer", "reviewer", "laboratory", "compliance", "data_scientist"},
    "bans.read": {"viewer", "reviewer", "laboratory", "compliance", "data_scientist"},
    "notices.read": {"viewer", "reviewer", "laboratory", "compliance", "data_scientist"},
    "laboratory.read": {"viewer", "reviewer", "laboratory", "compliance", "data_scientist"},
    "policy.read": {"viewer", "reviewer", "laboratory", "compliance", "data_scientist"},
    "score": {"data_scientist"},
    "queue.work": {"reviewer", "compliance"},
    "queue.bulk": {"reviewer", "compliance"},
    "queue.second": {"reviewer", "compliance"},
    "quality.read": {"compliance", "data_scientist"},
    "golden.manage": {"compliance", "data_scientist"},
    "appeals.open": {"compliance"},
    "appeals.decide": {"compliance"},
    "bans.write": {"compliance"},
    "notices.write": {"compliance"},
    "complaints.write": {"reviewer", "compliance"},
    "laboratory.write": {"laboratory"},
    "evidence.export": {"compliance", "data_scientist"},
    "events.read": {"compliance"},
    "events.replay": {"compliance"},
    "audit.read": {"compliance"},
    "policy.try": {"data_scientist"},
    "policy.promote": set(),
    "metrics.read": {"data_scientist"},
    "access.manage": set(),
}


class Clock:
    """Microseconds that a test moves."""

    def __init__(self):
        self.at = int(datetime(2026, 11, 22, 12, 0, tzinfo=UTC).timestamp() * 1e6)

    def __call__(self):
        return self.at

    def ahead(self, **parts):
        self.at += int(timedelta(**parts).total_seconds() * 1e6)


async def inner(scope, receive, send):
    actor = scope["actor"]
    said = {"name": actor.name, "role": actor.role, "how": actor.how}
    await JSONResponse(said)(scope, receive, send)


class Door:
    """Calls through the gate alone; what lies behind it answers who was let in."""

    def __init__(self, store, host="127.0.0.1", settings=None):
        gate = AccessGate(inner, lambda: store, host, settings)
        self.app = Edge(gate, Metrics(), log=False)

    def __call__(self, method, path, client=LOCAL, base="http://127.0.0.1", **more):
        async def call():
            transport = httpx.ASGITransport(self.app, client=client)
            async with httpx.AsyncClient(transport=transport, base_url=base) as http:
                return await http.request(method, path, **more)

        return asyncio.run(call())


@pytest.fixture
def store(store_url):
    with Store(store_url) as store:
        yield store


@pytest.fixture
def sqlite_store(sqlite_template, tmp_path):
    import shutil

    shutil.copy(sqlite_template, tmp_path / "store.db")
    with Store(f"sqlite:///{tmp_path / 'store.db'}") as store:
        yield store


def door_of(store, clock=None, **settings):
    more = {"clock": clock} if clock else {}
    return AccessDoor(store, AccessSettings(**settings), cost=CHEAP, **more)


def path_of(template):
    return template.replace("{position:int}", "0").replace("{", "").replace("}", "")


def test_every_route_asks_for_a_permission_and_no_other_is_in_the_table():
    routes = Api(lambda: None, Settings()).routes()
    served = {(method, route.path) for route in routes for method in route.methods if method != "HEAD"}
    assert served == set(TABLE)


def test_the_table_names_permissions_that_exist_and_uses_most_of_them():
    assert set(TABLE.values()) <= {*PERMISSIONS, PUBLIC}
    assert set(EXPECTED) == set(PERMISSIONS)


@pytest.mark.parametrize("permission", PERMISSIONS)
def test_each_role_may_what_the_written_table_says(permission):
    granted = {role for role in ROLES if permission in GRANTS[role]}
    assert granted == EXPECTED[permission] | {"administrator"}


def test_every_cell_is_enforced(sqlite_store):
    keeper, call = door_of(sqlite_store), Door(sqlite_store, settings=AccessSettings(per_minute=10**6))
    for role in ROLES:
        _, key = keeper.issue_key(f"{role}-program", role, (), 1, "test")
        for (method, template), permission in TABLE.items():
            answer = call(method, path_of(template), headers={"Authorization": f"Bearer {key}"})
            expected = (
                200 if permission == PUBLIC or role in EXPECTED[permission] | {"administrator"} else 403
            )
            assert answer.status_code == expected, (role, method, template, answer.text)


def test_who_is_not_known_gets_nowhere(sqlite_store):
    door_of(sqlite_store).add_account("mina", "viewer", PASSWORD, "test")
    call = Door(sqlite_store, settings=AccessSettings(failures_per_minute=10**6))
    for (method, template), permission in TABLE.items():
        answer = call(method, path_of(template))
        assert answer.status_code == (200 if permission == PUBLIC else 401), (method, template)
    assert call("GET", "/v1/model").headers["www-authenticate"].startswith("Bearer")
    assert call("GET", "/nowhere").status_code == 404
    assert call("GET", "/v1/model", headers={"Authorization": "Bearer lrk_x_y"}).status_code == 401


def test_a_path_cannot_slip_past_the_table():
    table = RouteTable()
    assert table.permission("GET", "/console/items/abc") == "decisions.read"
    assert table.permission("HEAD", "/console/queue") == "queue.read"
    for path in (
        "/console//queue",
        "/console/queue/",
        "/CONSOLE/queue",
        "/console/items/a/b",
        "/v1/bans/../score",
    ):
        assert table.permission("GET", path) is None, path


def test_open_to_this_machine_only_until_the_first_account(store):
    call = Door(store)
    assert call("GET", "/v1/model").json() == {"name": "local", "role": "administrator", "how": "open"}
    assert call("GET", "/v1/model", client=ELSEWHERE).status_code == 401
    assert call("GET", "/v1/model", base="http://shop.example").status_code == 401, (
        "a name bent to this machine"
    )
    assert Door(store, host="0.0.0.0")("GET", "/v1/model").status_code == 401
    for name in ("X-Forwarded-For", "X-Real-IP", "Forwarded", "Via"):
        assert call("GET", "/v1/model", headers={name: "203.0.113.7"}).status_code == 401, (
            "a proxy on this machine"
        )
    door_of(store).add_account("mina", "viewer", PASSWORD, "test")
    assert Door(store)("GET", "/v1/model").status_code == 401


def test_a_service_without_a_store_is_open_to_this_machine_only():
    assert Door(None)("POST", "/v1/score").status_code == 200
    assert Door(None)("POST", "/v1/score", client=ELSEWHERE).status_code == 401


def test_a_key_has_an_end_a_scope_and_is_stored_as_a_digest(store):
    clock = Clock()
    door = door_of(store, clock)
    made, key = door.issue_key("pipeline", "administrator", ("score",), 2, "test")
    assert door.key_actor(key) == actor_of("key:pipeline", "administrator", "key", frozenset({"score"}))
    with reading(store.engine) as connection:
        stored = connection.execute(sa.select(api_keys)).mappings().one()
    secret = split_key(key)[1]
    assert all(secret not in str(value) and key not in str(value) for value in stored.values())
    assert door.key_actor(key[:-1] + ("A" if key[-1] != "A" else "B")) is None
    clock.ahead(days=2)
    assert door.key_actor(key) is None, "expired"
    again, other = door.issue_key("pipeline", "viewer", (), 2, "test")
    assert door.key_actor(other) is not None and made.id != again.id
    door.revoke_key(again.id, "test")
    assert door.key_actor(other) is None
    with pytest.raises(AccessError, match="taken back before"):
        door.revoke_key(again.id, "test")


def test_a_key_cannot_have_more_than_its_role(store):
    with pytest.raises(AccessError, match="scopes among"):
        door_of(store).issue_key("p", "viewer", ("access.manage",), 1, "test")
    with pytest.raises(AccessError, match="expected a role of"):
        door_of(store).issue_key("p", "owner", (), 1, "test")


def test_a_scope_cuts_the_role(sqlite_store):
    _, key = door_of(sqlite_store).issue_key("p", "administrator", ("score",), 1, "test")
    call, headers = Door(sqlite_store), {"Authorization": f"Bearer {key}"}
    assert call("POST", "/v1/score", headers=headers).status_code == 200
    assert call("GET", "/console/queue", headers=headers).status_code == 403


def test_signing_in_and_out(store):
    door = door_of(store)
    door.add_account("mina", "reviewer", PASSWORD, "test")
    assert door.sign_in("mina", "x" * 20, "a").token is None
    assert door.sign_in("nobody", PASSWORD, "a").token is None
    token = door.sign_in("mina", PASSWORD, "a").token
    assert token and door.session_actor(token) == actor_of("mina", "reviewer")
    with reading(store.engine) as connection:
        assert token not in str(connection.execute(sa.select(sessions)).mappings().all())
    door.sign_out(token)
    assert door.session_actor(token) is None


def test_a_session_ends_unused_at_its_end_and_with_its_account(store):
    clock = Clock()
    door = door_of(store, clock, session_hours=2.0, idle_minutes=30.0)
    door.add_account("mina", "reviewer", PASSWORD, "test")
    token = door.sign_in("mina", PASSWORD, "a").token
    for _ in range(4):
        clock.ahead(minutes=29)
        assert door.session_actor(token), "kept alive by use"
    clock.ahead(minutes=29)
    assert door.session_actor(token) is None, "two hours are over"
    token = door.sign_in("mina", PASSWORD, "a").token
    clock.ahead(minutes=31)
    assert door.session_actor(token) is None, "unused"
    token = door.sign_in("mina", PASSWORD, "a").token
    door.disable_account("mina", "test")
    assert door.session_actor(token) is None
    assert door.sign_in("mina", PASSWORD, "a").token is None


def test_failures_have_to_wait_whoever_the_name_belongs_to(store):
    clock = Clock()
    door = door_of(store, clock)
    door.add_account("mina", "reviewer", PASSWORD, "test")
    for name in ("mina", "ghost"):
        for _ in range(5):
            assert door.sign_in(name, "wrong" * 4, f"address-of-{name}").wait_s == 0
        assert door.sign_in(name, PASSWORD, f"address-of-{name}").wait_s >= 1
    clock.ahead(seconds=LONGEST_WAIT_S)
    assert door.sign_in("mina", PASSWORD, "b").token


def test_an_address_that_tries_many_names_has_to_wait(store):
    door = door_of(store, Clock())
    for number in range(20):
        assert door.sign_in(f"name-{number}", "wrong" * 4, "one-address").wait_s == 0
    assert door.sign_in("another", "wrong" * 4, "one-address").wait_s > 0


@given(st.integers(0, 10_000), st.integers(1, 50))
def test_waiting_grows_and_has_an_end(failures, free):
    assert 0 <= wait_after(failures, free) <= wait_after(failures + 1, free) <= LONGEST_WAIT_S
    assert (wait_after(failures, free) == 0) == (failures < free)


def test_what_is_decided_about_access_is_on_record(store):
    door = door_of(store)
    door.add_account("mina", "reviewer", PASSWORD, "root")
    made, _ = door.issue_key("p", "viewer", (), 1, "root")
    door.revoke_key(made.id, "mina")
    door.disable_account("mina", "root")
    with reading(store.engine) as connection:
        rows = connection.execute(
            sa.select(schema.audit_rows.c.actor, schema.notes.c.body).join(
                schema.notes, schema.notes.c.seq == schema.audit_rows.c.seq
            )
        ).all()
    said = [(actor, body.split('"what":"')[1].split('"')[0]) for actor, body in rows]
    assert said == [
        ("root", "account set"),
        ("root", "key issued"),
        ("mina", "key revoked"),
        ("root", "account disabled"),
    ]
    assert PASSWORD not in str(rows)


def test_a_form_needs_its_token_and_must_come_from_our_own_page(sqlite_store):
    from serving.access.secrets import csrf_token

    door = door_of(sqlite_store)
    door.add_account("mina", "reviewer", PASSWORD, "test")
    token = door.sign_in("mina", PASSWORD, "a").token
    call, path = Door(sqlite_store), "/console/queue/take"
    cookies = {"Cookie": f"listing_risk={token}"}
    right = {"csrf": csrf_token(token)}
    assert call("POST", path, headers=cookies, data=right).status_code == 200
    assert call("POST", path, headers=cookies, data={"csrf": "0" * 64}).status_code == 403
    assert call("POST", path, headers=cookies).status_code == 403
    for name, value in (
        ("Origin", "https://evil.example"),
        ("Sec-Fetch-Site", "cross-site"),
        ("Origin", "null"),
    ):
        answer = call("POST", path, headers=cookies | {name: value}, data=right if value != "null" else {})
        assert answer.status_code == 403, (name, value)
    bans = call("POST", "/v1/bans", headers=cookies | {"Content-Type": "application/json"}, content="{}")
    assert bans.status_code == 403


def test_open_access_is_no_door_for_pages_elsewhere(sqlite_store):
    call = Door(sqlite_store)
    assert call("POST", "/v1/score", json={}).status_code == 200
    assert call("POST", "/v1/score", json={}, headers={"Origin": "https://evil.example"}).status_code == 403
    assert call("DELETE", "/v1/bans/b", headers={"Sec-Fetch-Site": "cross-site"}).status_code == 403
    assert call("POST", "/console/queue/take", data={}).status_code == 403


def test_a_proxy_is_believed_only_where_it_is_trusted(sqlite_store):
    door_of(sqlite_store).add_account("mina", "compliance", PASSWORD, "test")
    trusted = read_access({"LISTING_RISK_PROXIES": "203.0.113.0/24"})
    said = {"X-Forwarded-User": "mina"}
    assert Door(sqlite_store, "0.0.0.0")("GET", "/v1/model", ELSEWHERE, headers=said).status_code == 401
    call = Door(sqlite_store, "0.0.0.0", trusted)
    assert call("GET", "/v1/model", ("198.51.100.1", 1), headers=said).status_code == 401
    found = call("GET", "/v1/model", ELSEWHERE, headers=said).json()
    assert found == {"name": "mina", "role": "compliance", "how": "proxy"}
    found = call("GET", "/v1/model", ELSEWHERE, headers={"X-Forwarded-User": "new@corp"}).json()
    assert found["role"] == "viewer"
    more = said | {"X-Forwarded-Role": "administrator"}
    assert call("GET", "/console/people", ELSEWHERE, headers=more).status_code == 200
    assert call("GET", "/v1/model", ELSEWHERE, headers={"X-Forwarded-User": "a b\tc"}).status_code == 401


def test_behind_a_trusted_proxy_callers_are_told_apart(sqlite_store):
    door_of(sqlite_store).add_account("mina", "compliance", PASSWORD, "test")
    settings = read_access(
        {"LISTING_RISK_PROXIES": "203.0.113.0/24", "LISTING_RISK_STRANGERS_PER_MINUTE": "2"}
    )
    call = Door(sqlite_store, "0.0.0.0", settings)

    def status(forwarded, client=ELSEWHERE):
        return call("GET", "/v1/model", client, headers={"X-Forwarded-For": forwarded}).status_code

    assert [status("9.9.9.9, 192.0.2.1") for _ in range(3)] == [401, 401, 429]
    assert status("192.0.2.1, 192.0.2.2") == 401, (
        "another caller: what a client writes itself stands further left"
    )
    stranger = ("198.51.100.9", 1)
    assert [status(f"192.0.2.{n}", stranger) for n in range(3)] == [401, 401, 429], (
        "not believed from elsewhere"
    )


def test_a_caller_who_asks_too_often_has_to_wait(sqlite_store):
    _, key = door_of(sqlite_store).issue_key("p", "administrator", (), 1, "test")
    call, headers = (
        Door(sqlite_store, settings=AccessSettings(per_minute=3)),
        {"Authorization": f"Bearer {key}"},
    )
    answers = [call("GET", "/v1/model", headers=headers) for _ in range(4)]
    assert [answer.status_code for answer in answers] == [200, 200, 200, 429]
    assert int(answers[-1].headers["retry-after"]) >= 1


@given(st.lists(st.floats(0, 30), max_size=60))
def test_a_bucket_lets_no_more_in_than_its_rate(pauses):
    bucket, now, let_in = Bucket(10, 0.0), 0.0, 0
    for pause in pauses:
        now += pause
        let_in += bucket.take(10, now) == 0
    assert let_in <= 10 + now * 10 / 60 + 1e-6


def test_the_demo_link_works_once_and_not_beside_accounts(store):
    link = AccessDoor(store).demo_link("http://127.0.0.1:3000/")
    assert link.startswith("http://127.0.0.1:3000/console/enter/")
    door, token = door_of(store), link.rpartition("/")[2]
    session = door.enter(token)
    assert session and door.session_actor(session).role == "administrator"
    assert door.enter(token) is None, "used up"
    other = AccessDoor(store).demo_link("http://127.0.0.1:3000").rpartition("/")[2]
    door.add_account("mina", "viewer", PASSWORD, "test")
    door._looked = 0
    assert door.enter(other) is None
    assert door.session_actor(session) is None


def test_an_account_link_signs_one_person_in_once_within_the_hour(store):
    clock = Clock()
    door = door_of(store, clock)
    door.add_account("jun", "compliance", None, "test")
    assert door.sign_in("jun", PASSWORD, "a").token is None, "no password was set"
    first = door.account_link("jun", "https://r.example", "test").rpartition("/")[2]
    assert door.session_actor(door.enter(first)).name == "jun"
    late = door.account_link("jun", "https://r.example", "test").rpartition("/")[2]
    clock.ahead(minutes=61)
    assert door.enter(late) is None


@pytest.mark.parametrize("name", ["", "a b", "x" * 81, "demo", "<script>", "a/b"])
def test_names_that_cannot_be(store, name):
    with pytest.raises(AccessError, match="expected 1 to 80"):
        door_of(store).add_account(name, "viewer", PASSWORD, "test")


def test_passwords_have_a_least_length_and_their_own_salt():
    with pytest.raises(PasswordError, match="expected 12"):
        hash_password("too short", CHEAP)
    one, other = hash_password(PASSWORD, CHEAP), hash_password(PASSWORD, CHEAP)
    assert one != other and PASSWORD not in one
    assert check_password(PASSWORD, one) and not check_password(PASSWORD + "x", one)
    assert not check_password("x" * 600, one)


@given(st.text(max_size=80))
def test_text_that_is_no_key_is_no_key(text):
    found = split_key(text)
    assert found is None or (text.startswith("lrk_") and all(found))
    assert split_key(new_key()[1]) is not None


@pytest.mark.parametrize(
    ("name", "value"),
    [
        ("PROXIES", "10.0.0.0/99"),
        ("TWO_PERSON", "everything"),
        ("LEASE_MINUTES", "soon"),
        ("GOLDEN_SHARE", "2"),
        ("PER_MINUTE", "0"),
        ("STRANGERS_PER_MINUTE", "many"),
    ],
)
def test_settings_that_cannot_be_used(name, value):
    with pytest.raises(AccessSettingsError, match=f"LISTING_RISK_{name}: got"):
        read_access({f"LISTING_RISK_{name}": value})


def test_two_person_choices_can_be_switched_off():
    assert read_access({"LISTING_RISK_TWO_PERSON": "none"}).two_person == frozenset()
    assert read_access({}).two_person == {"release"}
