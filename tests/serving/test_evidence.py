"""Evidence over HTTP and from the desk: complete, the same in all forms, harmless to open."""

from __future__ import annotations

import csv
import io
import json
import re
import time
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from typing import Any

import pypdfium2
import pytest
from hypothesis import given
from hypothesis import strategies as st
from PIL import Image

from features.schema import parse_listing
from serving.audit.verification import verify
from serving.bans.office import load_reader, office_of
from serving.evidence.export import BOM, csv_lines, harmless
from serving.evidence.html import html_of
from serving.evidence.pack import content_digest
from serving.evidence.parts import Document, Section
from serving.evidence.pdf import drawable, pdf_of
from serving.policy.document import load_policy
from serving.predictor import Predictor
from serving.store import Picture, Store, StoreSink
from serving.store.decided import decision_record
from serving.store.evidence import ExportRow, read_period
from serving.store.retention import erase_expired

NOON = datetime(2026, 11, 22, 12, tzinfo=UTC)
ITEM: dict[str, Any] = {
    "id": "item-1",
    "title": "말랑 자석 큐브 구슬 5mm 216개 스트레스 해소 장난감",
    "description": "<script>alert(1)</script> 磁铁玩具 😀",
    "price": 12900,
    "currency": "KRW",
    "seller": {"id": "s-1"},
    "marketplace": "hanbada",
    "market": "KR",
    "attributes": {"p:lead": "0.9", "audience": "under_3"},
}
ORDER = {
    "authority": "국가기술표준원",
    "number": "2026-114",
    "hazards": ["lead"],
    "products": [{"title": "자석 구슬", "listings": [{"id": "item-1", "marketplace": "hanbada"}]}],
}


def photo(colour: str) -> Picture:
    stream = io.BytesIO()
    Image.new("RGB", (60, 40), colour).save(stream, "JPEG")
    return Picture(stream.getvalue())


@pytest.fixture
def predictor(stub) -> Predictor:
    """Decides now: what follows from a decision counts its hours from then."""
    return Predictor(stub.StubBundle(), load_policy())


@pytest.fixture
def served(tmp_path, predictor, client_of) -> Iterator[Any]:
    with Store(str(tmp_path / "s.db")) as store:
        office = office_of(store, predictor, load_reader())
        listing = parse_listing(ITEM)
        decision = predictor.decide([listing], "always")[0]
        store.record([decision_record(listing, decision, images=(photo("teal"),))])
        list(office.catalogue.add([listing]))
        client = client_of(sink=StoreSink(store), store=store, bans=office)
        client.store, client.decision_id = store, decision.decision_id
        yield client


def ok(response, status=200):
    assert response.status_code == status, response.text
    return response


def test_a_notice_worked_through_over_http_ends_in_evidence(served):
    made = ok(served.post("/v1/notices", json=ORDER), 201).json()
    notice = f"/v1/notices/{made['notice_id']}"
    assert made["hits"][0]["tier"] == "named" and made["state"] == "open"
    assert served.post("/v1/notices", json=ORDER).status_code == 422, "the same order twice"
    assert ok(served.get("/v1/unacknowledged")).json() == {"unacknowledged": []}, "there is still time"
    word = {"listing_id": "item-1", "marketplace": "hanbada"}
    assert ok(served.post("/v1/acknowledgements", json=word), 201).json()["notices"] == [made["notice_id"]]
    ok(served.post(f"{notice}/refunds", json={**word, "units_due": 3, "units_done": 1}))
    (refund,) = ok(served.get("/v1/refunds")).json()["refunds"]
    assert (refund["units_due"], refund["units_done"]) == (3, 1)
    found = ok(served.post(f"{notice}/refunds", json={**word, "units_due": 3, "units_done": 3})).json()
    left = [task["task_id"] for task in found["tasks"] if task["state"] == "open"]
    ok(served.post(f"{notice}/tasks", json={"task_ids": left, "note": "sent"}))
    assert [n["state"] for n in ok(served.get("/v1/notices?state=closed")).json()["notices"]] == ["closed"]
    evidence = ok(served.get(f"{notice}/evidence")).json()
    assert evidence["sha256"] == content_digest(evidence)
    assert [event["what"] for event in evidence["events"]][:2] == ["notice.opened", "notice.searched"]
    assert evidence["listings"][0]["now"] == {"action": "block", "state": "off_sale"}
    assert evidence["listings"][0]["acknowledged"][0]["status"] == "removed"
    assert served.get("/v1/notices/none").status_code == 404
    assert served.post(f"{notice}/tasks", json={"task_ids": []}).status_code == 422
    assert verify(served.store).intact


def test_a_decision_with_everything_that_followed(served):
    ok(served.post("/v1/notices", json=ORDER), 201)
    blocked = served.store.latest("hanbada", "item-1").id
    complaint = {
        "id": "c1",
        "listing_id": "item-1",
        "marketplace": "hanbada",
        "text": "비밀 사연: 불이 났어요",
    }
    ok(served.post("/v1/complaints", json={"complaints": [complaint]}), 201)
    said = ok(served.get(f"/v1/decisions/{blocked}/statement?language=zh")).json()
    assert said["language"] == "zh" and "2026-114" in said["text"]
    assert served.get(f"/v1/decisions/{blocked}/statement?language=xx").status_code == 422
    appeal = ok(served.post(f"/v1/decisions/{blocked}/appeals", json={"text": "안전합니다"}), 201).json()
    shown = ok(served.get(f"/v1/appeals/{appeal['appeal_id']}")).json()
    assert shown["text"] == "안전합니다" and shown["seller_id"] == "s-1"
    # The same name decided and would judge: somebody else has to.
    judged = served.post(f"/v1/appeals/{appeal['appeal_id']}/judgement", json={"overturn": True, "note": "x"})
    assert judged.status_code == 422 and "somebody else" in judged.json()["detail"]

    response = ok(served.get(f"/v1/decisions/{blocked}/evidence"))
    evidence = response.json()
    assert "attachment" in response.headers["content-disposition"]
    assert evidence["sha256"] == content_digest(evidence)
    assert evidence["listing"]["title"] == ITEM["title"] and evidence["photos"][0]["base64"]
    assert evidence["audit"]["link_first"] <= evidence["audit"]["seq"] <= evidence["audit"]["link_last"]
    whats = {event["what"] for event in evidence["events"]}
    assert {"decision", "complaint", "appeal.opened", "notice.opened"} <= whats
    assert "비밀" not in response.text, "consumers' words are nobody's evidence"
    first = ok(served.get(f"/v1/decisions/{served.decision_id}/evidence")).json()
    assert first["limits"] and {limit["hazard"] for limit in first["limits"]} == {"lead"}
    assert first["decision"]["hazards"][0]["p"] > 0


def test_page_and_pdf_show_the_same_and_run_nothing(served):
    address = f"/v1/decisions/{served.decision_id}/evidence"
    page = ok(served.get(f"{address}?form=html&language=ko"))
    assert "sandbox" in page.headers["content-security-policy"]
    assert "<script>" not in page.text and "&lt;script&gt;alert(1)&lt;/script&gt;" in page.text
    assert 'src="data:image/jpeg;base64,' in page.text
    assert not re.search(r'(src|href)="(?!data:)', page.text), "nothing is loaded from outside"
    pdf = ok(served.get(f"{address}?form=pdf&language=ko"))
    document = pypdfium2.PdfDocument(pdf.content)
    text = "".join(document[n].get_textpage().get_text_range() for n in range(len(document)))
    document.close()
    flat = re.sub(r"\s", "", text)
    for part in (ITEM["title"], "磁铁玩具", "<script>alert(1)</script>", "위해별확률", served.decision_id):
        assert re.sub(r"\s", "", part) in flat
    assert ok(served.get(f"{address}?form=pdf&language=en")).content != pdf.content
    assert served.get(f"{address}?form=docx").status_code == 422
    assert served.get(f"{address}?form=html&language=xx").status_code == 422


def test_what_retention_erased_is_said_to_be_erased(served):
    erase_expired(served.store, datetime.now(UTC) + timedelta(days=2), timedelta(days=1))
    evidence = ok(served.get(f"/v1/decisions/{served.decision_id}/evidence")).json()
    assert evidence["listing"] is None and evidence["record"]["erased_at"]
    assert all(photo["base64"] is None for photo in evidence["photos"])
    page = ok(served.get(f"/v1/decisions/{served.decision_id}/evidence?form=html&language=en")).text
    assert "erased on" in page and ITEM["title"] not in page


def test_a_period_as_csv(served):
    ok(served.post("/v1/score", json={"id": "x", "title": "=cmd|' /C calc'!A0", "seller": {"id": "@s"}}))
    first, last = (f"{datetime.now(UTC) + timedelta(days=days):%Y-%m-%d}" for days in (-2, 2))
    response = ok(served.get(f"/v1/evidence?since={first}&until={last}"))
    assert response.text.startswith(BOM) and "attachment" in response.headers["content-disposition"]
    rows = list(csv.DictReader(io.StringIO(response.text.removeprefix(BOM))))
    assert [row["title"] for row in rows] == [ITEM["title"], "'=cmd|' /C calc'!A0"]
    assert rows[1]["seller_id"] == "'@s"
    for query in ("", "?since=x&until=2026-12-01", "?since=2026-12-01&until=2026-11-01"):
        assert served.get(f"/v1/evidence{query}").status_code == 422


@given(st.text(max_size=40))
def test_no_cell_starts_a_formula_and_nothing_else_is_changed(text):
    cell = harmless(text)
    assert cell.removeprefix("'") == text or cell == text
    assert not cell.lstrip(" \u00a0\u3000").startswith(
        ("=", "+", "-", "@", "\t", "\r", "\n", "＝", "＋", "－", "＠")
    )


@given(st.lists(st.text(st.characters(exclude_categories=("Cs",)), max_size=30), min_size=1, max_size=3))
def test_every_row_stays_one_row(titles):
    rows = [
        ExportRow(
            n, "d", "m", "l", 1, "a", "block", "held", "low", "", 0.0, 0.0, "[]", "m", "p", NOON, title, None
        )
        for n, title in enumerate(titles)
    ]
    found = list(csv.DictReader(io.StringIO("".join(csv_lines(rows)).removeprefix(BOM), newline="")))
    assert [row["audit_seq"] for row in found] == [str(n) for n in range(len(titles))]


def test_the_export_reads_both_databases(store_url, new_record):
    with Store(store_url) as store:
        store.record([new_record(n) for n in range(1, 4)])
        with store.engine.connect() as connection:
            start = new_record(2).decided_at
            rows = list(read_period(connection, start, start + timedelta(seconds=2)))
    assert [row.listing_id for row in rows] == ["listing-2", "listing-3"]
    assert rows[0].seller_id == "s1" and rows[0].decided_at == start


@given(
    st.lists(
        st.tuples(st.text(max_size=60), st.lists(st.text(max_size=300), min_size=2, max_size=2).map(tuple)),
        max_size=2,
    )
)
def test_hostile_text_is_drawn(parts):
    sections = tuple(Section(heading or "x", columns=("a", "b"), rows=(row,)) for heading, row in parts)
    facts = Section("f", facts=tuple((heading, row[0]) for heading, row in parts))
    document = Document("en", "t", "s", "m", ("d", "0"), (*sections, facts), "page")
    html_of(document)
    drawable("".join(row[0] for _, row in parts))


def test_long_cells_and_broken_photos_do_not_stop_the_pdf():
    from serving.evidence.parts import Photo

    long = Section("긴 표", columns=("a", "b"), rows=(("가" * 5_000, "x" * 5_000),) * 3)
    facts = Section("긴 글", facts=(("글", "줄\n" * 2_000), ("\x00\ud800😀", "\u202eabc")))
    broken = Section("사진", photos=(Photo("1", "image/jpeg", b"no picture"), Photo("2", "image/png", None)))
    pdf = pdf_of(Document("ko", "제목", "s", "m", ("d", "0" * 64), (long, facts, broken), "쪽"))
    assert pdf.startswith(b"%PDF") and len(pdf) < 500_000


def test_the_service_delivers_and_sweeps_by_itself(tmp_path, predictor, client_of, new_record):
    with Store(str(tmp_path / "s.db")) as store:
        now = datetime.now(UTC)
        store.record([new_record(1, action="block", decided_at=now, held_until=now + timedelta(days=7))])
        client = client_of(sink=StoreSink(store), store=store)
        end = time.monotonic() + 90
        while time.monotonic() < end:
            found = ok(client.get("/v1/sellers")).json()["sellers"]
            if found and found[0]["points"]:  # a strike made this instant may not count yet
                break
            time.sleep(0.1)
        assert found == [{"marketplace": "", "seller_id": "s1", "points": 1, "measure": None}]
        page = ok(client.get("/v1/sellers/s1")).json()
        assert page["strikes"][0]["reason"] == "blocked"
        refused = client.post("/v1/endpoints", json={"url": "https://127.0.0.1/h"})
        assert refused.status_code == 422 and "public" in refused.json()["detail"]
        assert ok(client.get("/v1/endpoints")).json() == {"endpoints": []}
        assert ok(client.get("/v1/deliveries?status=dead")).json() == {"deliveries": []}
        assert client.get("/v1/deliveries?status=gone").status_code == 422
        assert json.loads(client.post("/v1/endpoints/none/rotation").text)["status"] == 404
