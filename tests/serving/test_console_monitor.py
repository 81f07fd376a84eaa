"""The pages of what is watched and of what serves, in both languages, empty and full."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta

import numpy as np
import pytest

from features.taxonomy import load_taxonomy
from serving.monitoring.rules import load_monitor_rules
from serving.monitoring.run import record, usual_spans, watch
from serving.store import ModelRecord, Store

NOW = datetime(2026, 11, 22, 12, 0, tzinfo=UTC)
CODES = load_taxonomy().codes


@pytest.fixture
def store(tmp_path, sqlite_template):
    import shutil

    shutil.copy(sqlite_template, tmp_path / "store.db")
    with Store(str(tmp_path / "store.db")) as opened:
        yield opened


def page(client, path, language):
    answer = client.get(path, headers={"accept-language": language})
    assert answer.status_code == 200, answer.text[:500]
    return answer.text


@pytest.mark.parametrize(("language", "words"), [("ko", "아직 보고서가 없습니다"), ("en", "No report yet")])
def test_empty_pages(client_of, store, language, words):
    client = client_of(store=store)
    assert words in page(client, "/console/monitor", language)
    assert "stub-1+00000000" in page(client, "/console/models", language)


def test_an_alarm_stands_on_the_page_and_in_the_metrics(client_of, store, new_record):
    scores = np.zeros(len(CODES), np.dtype([("p", "<f8"), ("q", "<f8"), ("i", "<f8"), ("b", "i1")]))
    made = []
    for number in range(400):
        day = NOW - timedelta(days=number * 14 / 400)
        title = "나무 딸랑이" if number >= 200 else "wooden <b>rattle</b>"
        made.append(
            new_record(number, title=title, decided_at=day, received_at=day, scores=scores.tobytes(), body={})
        )
    store.record(made)
    report = watch(store, CODES, load_monitor_rules(), now=NOW, spans=usual_spans(NOW, 7, 7))
    assert report.alarms
    record(store, report, "kim")
    store.change(ModelRecord("stub-1+00000000", "loaded", "system", {"path": "x"}), timeout_s=10)
    client = client_of(store=store)
    for language, words in (("ko", "달라진 항목"), ("en", "What moved")):
        shown = page(client, "/console/monitor", language)
        assert words in shown
        assert "language moved: PSI" in shown
        assert "<b>rattle" not in shown
    assert "loaded" in page(client, "/console/models", "en")
    told = client.get("/metrics").text
    assert 'listing_risk_alarms{rule="input drift"}' in told
