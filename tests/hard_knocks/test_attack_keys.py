"""Keys that were stolen, taken back, cut down or passed on; sessions whose person lost their role."""

from __future__ import annotations

import time
from contextlib import suppress

import httpx
import pytest

from serving.access.door import AccessDoor
from serving.access.secrets import Cost
from serving.store import Store

CHEAP = Cost(2**10, 8, 1)
PASSWORD = "four words make one"


@pytest.fixture
def door(service):
    """Access as another process changes it: the command line beside the running service."""
    with Store(service.store) as store:
        yield AccessDoor(store, cost=CHEAP)


def asks(service, key: str, path: str = "/v1/model", **headers: str) -> int:
    return service.http.get(path, headers={"Authorization": f"Bearer {key}"} | headers).status_code


def until(wanted, ask, seconds: float = 60.0):
    """Ask until the answer is the wanted one; other processes follow within two seconds, a loaded machine later."""
    end = time.monotonic() + seconds
    while (got := ask()) != wanted and time.monotonic() < end:
        time.sleep(0.05)
    return got


def test_a_key_taken_back_elsewhere_opens_nothing_from_then_on(service, door):
    made, key = door.issue_key("stolen", "administrator", (), 30, "kim")
    assert asks(service, key) == 200
    door.revoke_key(made.id, "kim")
    assert until(401, lambda: asks(service, key)) == 401
    assert {asks(service, key) for _ in range(5)} == {401}


def test_a_key_cannot_be_made_into_a_better_one(service, door):
    """Its parts say nothing about its role: changing the id, the secret or the case of either gives nothing."""
    _, weak = door.issue_key("weak", "viewer", (), 30, "kim")
    strong = service.keys["administrator"]
    (mark, weak_id, weak_secret), (_, strong_id, strong_secret) = weak.split("_", 2), strong.split("_", 2)
    for forged in (
        f"{mark}_{strong_id}_{weak_secret}",
        f"{mark}_{weak_id}_{strong_secret}",
        weak.swapcase(),
        weak + "\x00",
        weak.replace("_", "__"),
        f"{weak},{strong[:-1]}x",
    ):
        with suppress(httpx.InvalidURL, httpx.LocalProtocolError):  # no client sends some of them
            assert asks(service, forged) == 401, forged[:20]
    assert asks(service, weak) == 200 and asks(service, weak, "/metrics") == 403


def test_lists_of_keys_show_no_secret(service, door):
    _, key = door.issue_key("listed", "viewer", (), 30, "kim")
    secret = key.split("_", 2)[2]
    assert len(secret) > 20
    shown = repr(door.api_keys())
    page = service.call("GET", "/console/people").text
    assert "listed" in page and "listed" in shown
    assert secret not in page and secret not in shown


def test_a_key_cut_to_giving_access_gives_no_more_than_it_has(service, door):
    """Who may only manage access would else issue himself a key for everything."""
    _, narrow = door.issue_key("narrow", "administrator", ("access.manage",), 30, "kim")
    headers = {"Authorization": f"Bearer {narrow}"}
    before = {key.id for key in door.api_keys()}
    for form in (
        {"name": "mine", "role": "administrator"},
        {"name": "mine", "role": "administrator", "scope": "bans.write"},
        {"name": "mine", "role": "viewer"},
    ):
        answer = service.http.post("/console/people/keys", data=form, headers=headers)
        assert answer.status_code in (303, 403), form
    added = service.http.post("/console/people/add", data={"name": "eve", "role": "viewer"}, headers=headers)
    assert added.status_code in (303, 403)
    assert {key.id for key in door.api_keys()} == before
    assert all(account.name != "eve" for account in door.accounts())


def test_nobody_gives_what_is_not_his_own():
    """The console's second lock behind the one above, whoever comes through the first."""
    from starlette.requests import Request

    from serving.access.door import AccessError
    from serving.access.table import actor_of
    from serving.console.people import _may_give

    narrow = actor_of("eve", "administrator", scopes=frozenset({"access.manage"}))
    request = Request({"type": "http", "headers": [], "actor": narrow})
    for role, scopes in (("administrator", ()), ("viewer", ()), ("administrator", ("bans.write",))):
        with pytest.raises(AccessError, match="not allowed to you yourself"):
            _may_give(request, role, scopes)
    _may_give(request, "administrator", ("access.manage",))


def test_a_session_follows_its_person_down(service, door):
    """Whoever loses the role loses it at the next request, open session or not."""
    door.add_account("sol", "administrator", PASSWORD, "kim")
    token = door.sign_in("sol", PASSWORD, "127.0.0.1").token
    cookie = {"Cookie": f"listing_risk={token}"}
    with httpx.Client(base_url=service.address, timeout=60, headers=cookie) as http:
        assert http.get("/console/people").status_code == 200
        door.add_account("sol", "viewer", PASSWORD, "kim")
        assert http.get("/console/people").status_code in (303, 403)
        token = door.sign_in("sol", PASSWORD, "127.0.0.1").token
        http.headers["Cookie"] = f"listing_risk={token}"
        assert (
            http.get("/console/people").status_code == 403 and http.get("/console/queue").status_code == 200
        )
        door.disable_account("sol", "kim")
        assert http.get("/console/queue").status_code == 303
