"""The sample catalogue goes once round the whole laboratory loop, with real parts throughout."""

from __future__ import annotations

import json

import pytest
from click.testing import CliRunner

from serving.audit.verification import verify
from serving.cli import main
from serving.labs.loop import LabOffice
from serving.store import Store, schema
from serving.store.engine import reading


@pytest.fixture(scope="module")
def walked(tmp_path_factory):
    """What the command of the quickstart leaves."""
    folder = tmp_path_factory.mktemp("loop")
    done = CliRunner().invoke(main, ["demo-loop", "--output", str(folder)])
    assert done.exit_code == 0 and done.output, (done.output, done.exception)
    return folder, json.loads((folder / "report.json").read_text("utf-8"))


@pytest.mark.slow
def test_the_loop_closes(walked):
    folder, report = walked
    plan = json.loads((folder / "plan-1" / "plan.json").read_text("utf-8"))
    laboratories = {item["laboratory"] for item in plan["items"]}
    assert len(laboratories) == 5
    assert len(list((folder / "plan-1").glob("order-*.xlsx"))) == 5
    assert len(list((folder / "plan-1").glob("order-*-ko.csv"))) == 5
    assert report["refused"]["problem"] == "wrong_unit"
    assert report["results"]["counts"]["fail"] > 10
    assert report["results"]["censored"] > 10
    assert report["bans"]["cases"] > 5
    assert report["bans"]["edited_relistings_caught"]
    assert report["correction"]["failed_after"] == report["correction"]["failed_before"] - 1
    assert "review_of_ban" in report["correction"]["open_steps"]
    assert report["refunds"]["orders_due"] > 0
    assert report["refunds"]["closed"] == 1
    # Goods were tested for their risk, so their own rate would mislead.
    assert report["estimates"]["low"] <= report["estimates"]["rate"] <= report["estimates"]["high"]
    assert report["estimates"]["naive"] > report["estimates"]["rate"]
    assert report["retraining"]["weights"]["exploration"] > report["retraining"]["weights"]["ordered"]
    reasons = report["what changed"]["reasons"]
    assert any(reason.startswith("gone: banned") for reason in reasons)
    assert any(reason.startswith("gone: tested") for reason in reasons)
    assert (folder / "plan-2" / "plan-ko.html").read_text("utf-8").count("판매 금지됨") == reasons[
        "gone: banned"
    ]


@pytest.mark.slow
def test_every_step_is_on_record_and_no_buyer_is(walked):
    folder, _ = walked
    with Store(f"sqlite:///{folder / 'store.db'}") as store:
        assert verify(store).intact
        office = LabOffice(store)
        blocked = [view for view in office.cases() if view.hazards]
        assert all({"banned", "relistings", "blocked"} <= view.case.done.keys() for view in blocked)
        assert all(view.seconds_to_block is not None for view in blocked)
        for view in blocked:
            decision = store.latest(view.sample.marketplace, view.sample.listing_id)
            assert decision is not None
            assert decision.action == "block"
        with reading(store.engine) as connection:
            bodies = connection.exec_driver_sql("SELECT body FROM laboratory").scalars().all()
            kinds = {row["type"] for row in connection.execute(schema.events.select()).mappings()}
        assert not any("buyer-" in body for body in bodies)
        assert {"item.sent_to_laboratory", "refund.due", "item.blocked"} <= kinds
        # Nothing of the refused file is on record.
        assert len(office.book.files) == 6
