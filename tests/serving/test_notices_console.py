"""Pages of notices and events: what they show, and what their forms do."""

from __future__ import annotations

import re
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest

from features.schema import parse_listing
from serving.bans.office import load_reader, office_of
from serving.events.webhooks import EndpointDesk
from serving.notices.desk import NoticeDesk
from serving.notices.intake import notice_request
from serving.store import Store, StoreSink
from serving.store.deliveries import DEAD, Outcome, end, fan_out
from serving.store.engine import writing

ITEM: dict[str, Any] = {
    "id": "item-1",
    "title": "<b>말랑</b> 자석 큐브 구슬 5mm 216개",
    "seller": {"id": "s-1"},
    "marketplace": "shop",
}
KO = {"accept-language": "ko"}


class Browser:
    """A reader on this machine, where nobody signs in yet."""

    def __init__(self, client: Any) -> None:
        self.client = client
        self.base = "http://127.0.0.1"

    def get(self, path: str) -> str:
        answer = self.client.get(self.base + path, headers=KO)
        assert answer.status_code == 200, answer.text[:500]
        return answer.text

    def post(self, page: str, path: str, **fields: Any) -> Any:
        token = re.search(r'name="csrf" value="([^"]*)"', self.get(page))
        assert token, "a form carries its token"
        return self.client.post(
            self.base + path,
            headers={**KO, "origin": self.base},
            data={"csrf": token[1], **fields},
        )


@pytest.fixture
def served(tmp_path, predictor, client_of) -> Iterator[Browser]:
    with Store(str(tmp_path / "s.db")) as store:
        office = office_of(store, predictor, load_reader())
        list(office.catalogue.add([parse_listing(ITEM)]))
        browser = Browser(client_of(sink=StoreSink(store), store=store, bans=office))
        browser.store = store
        yield browser


def test_a_notice_is_taken_in_worked_on_and_closed_in_the_browser(served):
    assert "등록된 명령이나 통보가 없습니다" in served.get("/console/notices")
    given = {
        "authority": "국가기술표준원",
        "number": "7",
        "kind": "order",
        "jurisdiction": "KR",
        "deadline": "2027-01-15",
        "title": "자석 구슬",
        "listing_ids": "item-1; ",
        "marketplace": "shop",
        "hazards": "lead",
    }
    made = served.post("/console/notices/new", "/console/notices/new", **given)
    assert made.status_code == 303, made.text[:800]
    path = made.headers["location"]
    (notice,) = NoticeDesk(served.store).book.notices.values()
    assert notice.due_at.isoformat() == "2027-01-15T14:59:59+00:00", "the end of the day in Korea"
    assert notice.actor == "local" and notice.hazards == ("lead",)
    page = served.get(path)
    assert "&lt;b&gt;말랑" in page and "<b>말랑" not in page and "기관이 지정" in page
    refused = served.post("/console/notices/new", "/console/notices/new", **given)
    assert refused.status_code == 422 and "already" in refused.text and 'value="자석 구슬"' in refused.text

    key = {"marketplace": "shop", "listing_id": "item-1"}
    served.post(path, f"{path}/refunds", **key, units_due="3", units_done="3")
    ids = [task for task in notice.tasks if not task.startswith("refund")]
    answer = served.post(path, f"{path}/tasks", task=ids, to="waived", note="")
    assert answer.status_code == 303
    assert not NoticeDesk(served.store).notice(notice.notice_id).closed, "waiving needs a reason"
    served.post(path, f"{path}/tasks", task=ids, to="done", note="letter of today")
    assert NoticeDesk(served.store).notice(notice.notice_id).closed
    assert "완료" in served.get(path) and notice.notice_id in served.get("/console/notices?only=all")
    assert served.client.get(served.base + "/console/notices/notice-none", headers=KO).status_code == 404


def test_a_form_without_its_token_does_nothing(served):
    answer = served.client.post(
        served.base + "/console/notices/new", headers={"origin": served.base}, data={"authority": "x"}
    )
    assert answer.status_code == 403
    assert NoticeDesk(served.store).book.notices == {}


def test_what_is_late_and_what_is_unanswered_stands_out(served, new_record):
    desk, now = NoticeDesk(served.store), datetime.now(UTC)
    long_ago = now - timedelta(days=40)
    desk.open(
        notice_request({"authority": "A", "received_at": long_ago, "products": [{"title": "램프"}]}),
        "kim",
        now,
    )
    gone = {"action": "block", "state": "off_sale", "held_until": None, "needs_work": False}
    served.store.record([new_record(5, **gone, decided_at=now - timedelta(days=3))])
    page = served.get("/console/notices?only=late")
    assert "기한 지남 1" in page and "listing-5" in page
    served.post("/console/notices", "/console/notices/acknowledge", marketplace="", listing_id="listing-5")
    assert "listing-5" not in served.get("/console/notices")


def test_events_out_are_seen_and_dead_ones_sent_again(served, new_record):
    desk = EndpointDesk(served.store, resolve=lambda host, port: ["8.8.8.8"])
    assert "등록된 주소가 없습니다" in served.get("/console/events")
    now = datetime.now(UTC)
    endpoint, secret = desk.register("https://shop.example/hooks", [], "kim", now)
    from serving.events.kinds import event

    # Switched off, so that the service does not try to deliver while the test looks.
    desk.disable(endpoint.endpoint_id, "kim", "by the test")
    served.store.record([new_record(1, events=(event("item.blocked", "listing-1", {}, now),))])
    with writing(served.store.engine) as connection:
        connection.exec_driver_sql("UPDATE events SET delivered_at = NULL")
        fan_out(connection, {endpoint.endpoint_id: frozenset()}, now)
        position = connection.exec_driver_sql("SELECT max(position) FROM deliveries").scalar_one()
        end(connection, [Outcome(position, DEAD, 10, "status 500")], now)
    page = served.get("/console/events")
    assert "shop.example" in page and "status 500" in page and secret not in page
    answer = served.post("/console/events", f"/console/events/{endpoint.endpoint_id}/replay")
    assert answer.status_code == 303
    assert "status 500" in served.get("/console/events")
    with served.store.engine.connect() as connection:
        assert connection.exec_driver_sql("SELECT DISTINCT status FROM deliveries").scalars().all() == [
            "waiting"
        ]
