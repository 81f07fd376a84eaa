"""Bans: the fold over their rows, what survives a kill, look-alikes, quarantine, lifting, the routes."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from dataclasses import dataclass, field
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pytest
import sqlalchemy as sa
from click.testing import CliRunner
from hypothesis import given
from hypothesis import strategies as st
from pydantic import TypeAdapter

from features.schema import parse_listing
from serving.audit.verification import verify
from serving.bans.bank import OfferReader
from serving.bans.book import BanBook, BanError, item_body, request_of
from serving.bans.catalogue import CatalogueError
from serving.bans.desk import BanDesk
from serving.bans.office import load_reader, office_of, read_book
from serving.bans.retroaction import BanOffice
from serving.commands.bans import bans, catalogue
from serving.http.answers import BansAnswer, LiftedAnswer, PlacedAnswer, ScoreAnswer
from serving.store import Store, StoreUnavailableError, schema
from serving.store.ban_photos import read_picture
from serving.store.bans import cited_bans, read_ban_rows
from serving.store.engine import reading, writing

NOON = datetime(2026, 11, 22, 12, tzinfo=UTC)
ITEM: dict[str, Any] = {
    "id": "item-1",
    "title": "말랑 자석 큐브 구슬 5mm 216개 스트레스 해소 장난감",
    "description": "강한 자석 구슬을 이어 붙여 모양을 만드는 놀이",
    "price": 12900,
    "currency": "KRW",
    "seller": {"id": "s-1"},
    "marketplace": "hanbada",
}
AGAIN = {
    **ITEM,
    "id": "item-2",
    "title": "무료배송 말랑 자석 큐브 구슬 5mm 216개 스트레스 해소 특가",
    "price": 10900,
    "seller": {"id": "s-9"},
    "description": "",
}
OTHER = {
    "id": "item-3",
    "title": "스테인리스 보온병 500ml 대용량 텀블러",
    "price": 15900,
    "currency": "KRW",
    "seller": {"id": "s-2"},
    "marketplace": "hanbada",
}


@dataclass(frozen=True)
class Row:
    ban_id: str
    status: str
    bank: str = "banned"
    reason: str = ""
    body: dict[str, Any] = field(default_factory=dict)
    actor: str = "a"
    at: datetime = NOON


def placed(ban_id: str = "b") -> Row:
    return Row(ban_id, "banned", body=item_body(parse_listing(ITEM), None, b"", ""))


def book_of(*rows: Row) -> BanBook:
    book = BanBook()
    book.apply(rows)
    return book


@pytest.fixture(scope="module")
def reader() -> OfferReader:
    return load_reader()


@pytest.fixture
def office(tmp_path: Path, predictor: Any, reader: OfferReader) -> Iterator[BanOffice]:
    with Store(str(tmp_path / "s.db")) as store:
        yield office_of(store, predictor, reader)


def ban(office: BanOffice, item: dict[str, Any] = ITEM, **more: Any) -> Any:
    return office.place(request_of({"listing": item, "reason": "magnets", **more}), "ann")


def test_three_overturned_matches_quarantine_an_entry_and_a_person_releases_it():
    over = Row("b", "overturned")
    assert book_of(placed(), over, over).entry("b").state == "active"
    assert book_of(placed(), over, over, over).entry("b").state == "quarantined"
    assert book_of(placed(), over, over, over, Row("b", "released")).entry("b").state == "active"
    assert book_of(placed(), over, over, over, Row("b", "released"), over).entry("b").overturned == 1


def test_an_entry_that_is_right_more_often_than_wrong_stays():
    rows = [placed(), *[Row("b", "upheld")] * 5, *[Row("b", "overturned")] * 4]
    assert book_of(*rows).entry("b").state == "active"


@given(st.lists(st.sampled_from(["upheld", "overturned", "quarantined", "released", "lifted"]), max_size=12))
def test_what_is_lifted_stays_lifted(statuses):
    rows = [placed(), *(Row("b", status) for status in statuses)]
    entry = book_of(*rows).entry("b")
    assert (entry.state == "lifted") == ("lifted" in statuses)
    assert (entry in book_of(*rows).active()) == (entry.state == "active")


@pytest.mark.parametrize("ratio", [0.0, 0.3, 1.0])
def test_a_banks_share_of_listings_is_as_said_and_always_the_same(ratio):
    book = book_of(Row("bank-x", "bank", bank="x", body={"enable_ratio": ratio}))
    inside = [book.enabled("x", f"l{i}") for i in range(2000)]
    assert abs(sum(inside) / 2000 - ratio) < 0.04
    assert inside == [book.enabled("x", f"l{i}") for i in range(2000)]
    assert all(book.enabled("another", f"l{i}") for i in range(20))


@pytest.mark.parametrize(
    ("raw", "said"),
    [
        ({}, "listing"),
        ({"listing": ITEM, "bank": ""}, "bank"),
        ({"listing": ITEM, "notice": {"numbr": "1"}}, "notice.numbr"),
        ([], "dict"),
    ],
)
def test_a_wrong_request_says_where(raw, said):
    with pytest.raises(BanError, match=said):
        request_of(raw)


def test_a_ban_is_audited_and_read_back(office, tmp_path):
    notice = {"regulator": "KATS", "number": "2026-1"}
    entry = ban(office, notice=notice).entry
    assert (entry.reason, entry.actor, entry.notice.number) == ("magnets", "ann", "2026-1")
    read = read_book(str(tmp_path / "s.db")).entry(entry.ban_id)
    assert read == entry
    assert verify(office.store).intact


def test_what_is_on_sale_is_decided_at_once(office):
    assert sum(office.catalogue.add(map(parse_listing, (AGAIN, OTHER)))) == 2
    found = ban(office)
    assert found.searched == 2
    (decision,) = found.decisions
    assert decision.listing_id == "item-2" and decision.action in ("block", "review")
    stored = office.store.latest("hanbada", "item-2")
    assert stored.id == decision.decision_id and stored.state == "held"
    assert cited_bans(stored.body) == {found.entry.ban_id}
    assert office.store.latest("hanbada", "item-3") is None


def test_lifting_gives_back_what_the_ban_alone_held(office):
    risky = {**AGAIN, "id": "item-4", "attributes": {"p:covert_camera": "0.9"}}
    list(office.catalogue.add(map(parse_listing, (AGAIN, risky))))
    first = ban(office)
    assert {d.listing_id for d in first.decisions} == {"item-2", "item-4"}
    lifted = office.lift(first.entry.ban_id, "ann", "withdrawn")
    assert [d.listing_id for d in lifted.released] == ["item-2"]
    assert [d.listing_id for d in lifted.kept] == ["item-4"]
    assert office.store.latest("hanbada", "item-2").state == "live"
    assert office.store.latest("hanbada", "item-4").action == "block"


def test_a_second_ban_keeps_what_the_first_let_go(office):
    list(office.catalogue.add([parse_listing(AGAIN)]))
    first, second = ban(office).entry, ban(office, {**ITEM, "id": "twin"}).entry
    assert office.lift(first.ban_id, "ann").released == ()
    assert office.store.latest("hanbada", "item-2").state == "held"
    assert [d.listing_id for d in office.lift(second.ban_id, "ann").released] == ["item-2"]


def test_lifting_leaves_a_persons_decision_alone(office, new_record):
    list(office.catalogue.add([parse_listing(AGAIN)]))
    found = ban(office)
    stored = office.store.latest("hanbada", "item-2")
    by_hand = new_record(
        listing=dict(stored.listing),
        actor="bea",
        action="block",
        state="held",
        body=dict(stored.body),
        needs_work=True,
    )
    office.store.record([by_hand])
    lifted = office.lift(found.entry.ban_id, "ann")
    assert lifted.by_people == ("item-2",) and not lifted.released
    assert office.store.latest("hanbada", "item-2").actor == "bea"


def test_no_ban_is_lifted_twice_and_none_that_is_not(office):
    entry = ban(office).entry
    office.lift(entry.ban_id, "ann")
    with pytest.raises(BanError, match="was lifted"):
        office.lift(entry.ban_id, "ann")
    with pytest.raises(BanError, match="does not exist"):
        office.lift("ban-none", "ann")


def test_another_process_sees_a_ban(office, reader, tmp_path):
    with Store(str(tmp_path / "s.db")) as store:
        other = BanDesk(store, reader).load()
        assert len(other.bank) == 0
        ban(office)
        until = time.monotonic() + 60
        while len(other.bank) == 0 and time.monotonic() < until:
            other.refresh()
            time.sleep(0.01)
        assert len(other.bank) == 1


def test_prints_of_another_encoder_are_made_again(office, reader):
    entry = ban(office).entry
    stale = OfferReader(reader.matcher, reader.encoder)
    stale.made_by = "another"
    desk = BanDesk(office.store, stale).load()
    assert entry.ban_id in {
        near.key for near in desk.bank.nearest([reader.query(reader.read([entry.item])[0])])[0]
    }


def test_a_catalogue_of_another_encoder_is_not_searched_in_silence(office):
    list(office.catalogue.add([parse_listing(OTHER)]))
    with writing(office.store.engine) as connection:
        connection.execute(sa.update(schema.catalogue).values(made_by="another"))
    with pytest.raises(CatalogueError, match="1 of 1"):
        office.catalogue.search()


def test_catalogue_takes_new_versions_and_lets_go(office):
    assert sum(office.catalogue.add([parse_listing(OTHER), parse_listing({**OTHER, "revision": 2})])) == 2
    assert office.catalogue.size() == 1
    assert office.catalogue.listings([("hanbada", "item-3")])["hanbada", "item-3"].revision == 2
    assert office.catalogue.remove([("hanbada", "item-3"), ("hanbada", "none")]) == 1
    assert office.catalogue.size() == 0


def test_nothing_is_banned_when_the_store_does_not_take_it(office):
    office.store.close()
    with pytest.raises((StoreUnavailableError, RuntimeError)):
        ban(office)
    assert len(office.desk.bank) == 0


WORKER = """
import os, sys
from serving.bans.office import load_reader
from serving.bans.desk import BanDesk
from serving.bans.book import request_of
from serving.store import Store
with Store(sys.argv[1]) as store:
    desk = BanDesk(store, load_reader()).load()
    os.write(1, b"ready\\n")
    for i in range(100_000):
        item = {"id": f"i{i}", "title": f"made-up rattle number {i}"}
        entry = desk.place(request_of({"listing": item}), "worker")
        os.write(1, f"{entry.ban_id}\\n".encode())
"""


def test_killed_while_banning_loses_no_acknowledged_ban(tmp_path):
    url, acknowledged = str(tmp_path / "s.db"), set()
    for round_ in range(4):
        log = tmp_path / f"log{round_}"
        with log.open("wb") as out:
            environment = {**os.environ, "PYTHONPATH": str(Path(__file__).parents[2]), "OMP_NUM_THREADS": "1"}
            worker = subprocess.Popen([sys.executable, "-c", WORKER, url], stdout=out, env=environment)
        end = time.monotonic() + 60
        while log.read_text().count("ban-") < 5 + 7 * round_:
            assert worker.poll() is None and time.monotonic() < end
            time.sleep(0.003)
        worker.send_signal(signal.SIGKILL)
        worker.wait()
        text = log.read_text()
        acknowledged |= {line for line in text[: text.rfind("\n")].split("\n") if line.startswith("ban-")}
    with Store(url) as store:
        with reading(store.engine) as connection:
            stored = {row.ban_id for row in read_ban_rows(connection)}
        assert acknowledged <= stored and len(acknowledged) >= 50
        assert verify(store).intact
        assert len(BanDesk(store, load_reader()).load().bank) == len(stored)


HERE = {"host": "127.0.0.1"}


@pytest.fixture
def http(client_of: Any, office: BanOffice) -> Any:
    return client_of(bans=office)


def test_bans_are_placed_listed_shown_judged_and_lifted_over_http(http, office):
    list(office.catalogue.add([parse_listing(AGAIN)]))
    answer = http.post("/v1/bans", json={"listing": ITEM, "notice": {"number": "7"}}, headers=HERE)
    assert answer.status_code == 201
    placed = TypeAdapter(PlacedAnswer).validate_python(answer.json())
    assert [d["listing_id"] for d in placed["decisions"]] == ["item-2"] and placed["searched"] == 1
    ban_id = placed["ban"]["ban_id"]
    scored = http.post("/v1/score", json=AGAIN).json()
    (match,) = TypeAdapter(ScoreAnswer).validate_python(scored)["matches"]
    assert match["ban_id"] == ban_id and match["notice"]["number"] == "7"
    listed = http.get("/v1/bans?state=active", headers=HERE).json()
    assert [ban["ban_id"] for ban in TypeAdapter(BansAnswer).validate_python(listed)["bans"]] == [ban_id]
    assert http.get("/v1/bans?state=lifted", headers=HERE).json() == {"bans": []}
    judged = http.post(
        f"/v1/bans/{ban_id}/judgements", json={"listing": AGAIN, "upheld": False}, headers=HERE
    )
    assert judged.json()["overturned"] == 1
    assert "matches" not in http.post("/v1/score", json=AGAIN).json()
    lifted = http.request("DELETE", f"/v1/bans/{ban_id}", headers=HERE)
    assert [
        d["listing_id"] for d in TypeAdapter(LiftedAnswer).validate_python(lifted.json())["released"]
    ] == ["item-2"]
    assert http.get(f"/v1/bans/{ban_id}", headers=HERE).json()["state"] == "lifted"


@pytest.mark.parametrize(
    ("method", "path", "body", "status"),
    [
        ("POST", "/v1/bans", {"listing": {"id": "x"}}, 422),
        ("POST", "/v1/bans", {"listing": ITEM, "bnak": "x"}, 422),
        ("POST", "/v1/bans", [], 422),
        ("GET", "/v1/bans/none", None, 404),
        ("DELETE", "/v1/bans/none", None, 404),
        ("POST", "/v1/bans/none/judgements", {"listing": ITEM, "upheld": True}, 404),
        ("POST", "/v1/bans/none/judgements", {"listing": {"id": "x"}, "upheld": True}, 422),
    ],
)
def test_wrong_requests_are_problems(http, method, path, body, status):
    answer = http.request(method, path, json=body, headers=HERE)
    assert answer.status_code == status == answer.json()["status"]


def test_bans_are_kept_from_this_machine_only(http):
    for path in ("/v1/bans", "/v1/bans/x"):
        assert http.get(path, headers={"host": "evil.example"}).status_code == 401
    assert http.post("/v1/bans", json={"listing": ITEM}, headers={"host": "shop.example"}).status_code == 401


def test_without_a_store_no_ban_is_promised(client):
    assert client.post("/v1/bans", json={"listing": ITEM}, headers=HERE).status_code == 503


def test_a_form_of_another_site_cannot_ban(http):
    answer = http.post("/v1/bans", content=b"{}", headers={**HERE, "content-type": "text/plain"})
    assert answer.status_code == 415


def test_commands_keep_bans_and_catalogue(tmp_path):
    store = str(tmp_path / "s.db")

    def run(*words: str, code: int = 0) -> str:
        group = bans if words[0] == "bans" else catalogue
        result = CliRunner().invoke(group, [*words[1:], "--store", store])
        assert result.exit_code == code, result.output
        return result.output

    (tmp_path / "item.json").write_text(json.dumps(ITEM, ensure_ascii=False), encoding="utf-8")
    live = "\n".join(json.dumps(one, ensure_ascii=False) for one in (AGAIN, OTHER))
    (tmp_path / "live.jsonl").write_text(live + "\n{}\n", encoding="utf-8")
    assert "2 added, 1 rejected; 2 live" in run("catalogue", "add", str(tmp_path / "live.jsonl"))
    placed = json.loads(
        run("bans", "add", str(tmp_path / "item.json"), "--notice", "number=9", "--actor", "ann")
    )
    assert [d["listing_id"] for d in placed["decisions"]] == ["item-2"]
    (line,) = run("bans", "list", "--state", "active").splitlines()
    assert json.loads(line)["placed_by"] == "ann"
    lifted = json.loads(run("bans", "lift", placed["ban"]["ban_id"]))
    assert len(lifted["released"]) + len(lifted["kept"]) == 1
    assert run("bans", "list", "--state", "active") == ""
    assert "1 removed; 1 live" in run("catalogue", "remove", "item-3", "--marketplace", "hanbada")
    assert run("catalogue", "size").strip() == "1"
    assert "does not exist" in run("bans", "lift", "none", code=2)
    assert "listing" in run("bans", "add", str(tmp_path / "live.jsonl"), code=2)


@pytest.mark.parametrize("position", [0, 2**31 - 1, 2**31, 10**24])
def test_a_photo_at_any_position_is_there_or_not(store_url, position):
    """A database's integer ends before an address does."""
    with Store(store_url) as store, reading(store.engine) as connection:
        assert read_picture(connection, "ban-1", position) is None
