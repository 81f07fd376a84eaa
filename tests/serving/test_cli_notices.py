"""Notices, reconcile, sellers, evidence and events from the command line, as a compliance officer goes through them."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
from click.testing import CliRunner

from serving.cli import main
from training.records import Recall
from training.sources.jsonl import to_line

ITEM = {
    "id": "item-1",
    "title": "말랑 자석 큐브 구슬 5mm 216개 스트레스 해소 장난감",
    "price": 12900,
    "currency": "KRW",
    "seller": {"id": "s-1"},
    "marketplace": "shop",
}
OTHER = {**ITEM, "id": "item-3", "title": "스테인리스 보온병 500ml 대용량 텀블러", "seller": {"id": "s-2"}}


@pytest.fixture
def run(tmp_path, monkeypatch):
    monkeypatch.setenv("LISTING_RISK_STORE", str(tmp_path / "s.db"))
    monkeypatch.setenv("COLUMNS", "300")
    monkeypatch.chdir(tmp_path)

    def call(line: str, code: int = 0) -> str:
        result = CliRunner().invoke(main, line.split(), catch_exceptions=False)
        assert result.exit_code == code, result.output
        return result.output

    return call


def test_an_order_from_its_file_to_its_evidence(run):
    Path("live.jsonl").write_text("\n".join(map(json.dumps, (ITEM, OTHER))), encoding="utf-8")
    Path("order.csv").write_text(
        "authority,number,title,listing_ids,marketplace,hazards\nKATS,2026-9,자석 구슬,item-1,shop,magnet_ingestion\n"
        "KATS,,,,,\n",
        encoding="utf-8",
    )
    run("catalogue add live.jsonl")
    said = run("notices add order.csv --actor kim", code=2)
    assert "1 listings" in said and "refused: line 3" in said
    notice = json.loads(run("notices list --json").splitlines()[0])
    notice_id = notice["notice_id"]
    assert json.loads(run(f"notices show {notice_id}"))["opened_by"] == "kim"

    said = run("reconcile live.jsonl --output r.json", code=1)
    assert "still live: shop/item-1" in said and "orders to sellers 0/1, consumer notices 0/1" in said
    assert json.loads(Path("r.json").read_text())["live"][0]["notice_id"] == notice_id
    run("notices acknowledge item-1 --marketplace shop")
    assert "live again: shop/item-1" in run("reconcile live.jsonl --numbers-only", code=1)
    Path("clean.jsonl").write_text(json.dumps(OTHER), encoding="utf-8")
    assert "0 must not be on sale" in run("reconcile clean.jsonl --numbers-only")
    recalls = [
        Recall("cpsc", "1", None, (OTHER["title"],), frozenset({"burn"}), regulator="US CPSC"),
        Recall("cpsc", "2", None, ("Propane heater",), frozenset({"fire"})),
    ]
    Path("cpsc.records.jsonl").write_text("\n".join(map(to_line, recalls)), encoding="utf-8")
    assert "2 recalls looked for, 1 notices opened" in run("notices match-recalls cpsc.records.jsonl")

    run(f"notices refund {notice_id} item-1 --marketplace shop --due 3 --paid 3")
    assert "4 tasks" not in run(f"notices done {notice_id} report stop_sale:shop:item-1 --note sent")
    run(f"notices done {notice_id} consumer_notice:shop:item-1 --waive", code=2)
    assert "closed" in run(f"notices done {notice_id} consumer_notice:shop:item-1 --waive --note none-sold")
    assert run("notices overdue") == ""

    assert "shop/s-1: 3 points, warn" in run("sellers list")
    strike = json.loads(run("sellers show s-1 --marketplace shop"))["strikes"][0]
    assert strike["reason"] == "ordered_off_sale"
    assert "Statement of reasons" in run(f"sellers statement {strike['decision_id']} --language en")

    for suffix in ("json", "html", "pdf"):
        run(f"evidence notice {notice_id} --output n.{suffix}")
        run(f"evidence decision {strike['decision_id']} --output d.{suffix} --language en")
    assert Path("n.pdf").read_bytes().startswith(b"%PDF")
    assert "unchanged" in run("evidence check d.json")
    Path("d.json").write_text(Path("d.json").read_text().replace("KATS", "KATZ"))
    assert "changed" in run("evidence check d.json", code=1)
    run(f"evidence notice {notice_id} --output n.docx", code=2)
    run("evidence export --since 2020-01-01 --until 2100-01-01 --output e.csv")
    assert "item-1" in Path("e.csv").read_text()
    run("evidence export --since yesterday --until 2100-01-01 --output e.csv", code=2)


def test_complaints_from_a_file(run):
    Path("c.csv").write_text(
        "id,listing_id,marketplace,text\n1,item-1,shop,자석을 삼켰어요\n2,,,x\n", encoding="utf-8"
    )
    assert "1 taken, 0 known, 1 refused, 1 naming a hazard, 0 in the queue now" in run("complaints add c.csv")
    assert "0 taken, 1 known" in run("complaints add c.csv")


def test_endpoints_are_registered_watched_and_removed(run, monkeypatch):
    assert "not a public one" in run("events register https://127.0.0.1/h", code=2)
    monkeypatch.setenv("LISTING_RISK_WEBHOOK_HOSTS", "127.0.0.1:9")
    made = json.loads(run("events register http://127.0.0.1:9/h --kind item.blocked"))
    endpoint = made["endpoint_id"]
    assert made["secret"].startswith("whsec_") and made["secret"] not in run("events list")
    assert json.loads(run(f"events rotate {endpoint}"))["secret"] != made["secret"]
    assert run("events deliver --once") == "0 delivered, 0 to try again, 0 dead\n"
    assert run(f"events dead {endpoint}") == "no dead letters\n" and "0 will" in run(
        f"events replay {endpoint} --since 2026-11-20"
    )
    run(f"events disable {endpoint} --why moved")
    assert "disabled (moved)" in run("events list")
    run(f"events enable {endpoint}")
    run(f"events remove {endpoint}")
    run(f"events enable {endpoint}", code=2)
    assert run("events list") == ""
