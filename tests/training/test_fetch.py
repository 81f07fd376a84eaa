"""Fetching against a real local server that serves the publishers' shapes, with their faults."""

from __future__ import annotations

import json
import threading
import time
from collections.abc import Callable, Iterator
from datetime import date
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from urllib.parse import parse_qs, urlsplit

import httpx
import pytest

from training import fetch as fetching
from training.fetch import fetch, network_source, reparse
from training.records import Reject
from training.sources import OutsideError, SourceChangedError, SourceError
from training.sources.jsonl import RecordFile
from training.sources.web import Web

FILES = Path(__file__).parents[1] / "files" / "sources"
CPSC = json.loads((FILES / "cpsc_api.json").read_text("utf-8"))
REPORT = (FILES / "safety_gate.xml").read_bytes()


class Answer:
    """What the server says; ``cut`` sends only that many bytes of the promised body."""

    def __init__(self, body: bytes = b"", status: int = 200, cut: int | None = None, **headers: str) -> None:
        self.body, self.status, self.cut = body, status, cut
        self.headers = {name.replace("_", "-"): value for name, value in headers.items()}


class Publisher:
    """A server on localhost; ``answer`` decides, ``asked`` remembers."""

    def __init__(self) -> None:
        self.asked: list[tuple[str, dict[str, str], dict[str, str]]] = []
        self.answer: Callable[[str, dict[str, str]], Answer] = lambda path, query: Answer(status=404)
        outer = self

        class Handler(BaseHTTPRequestHandler):
            protocol_version = "HTTP/1.1"

            def do_GET(self) -> None:
                parts = urlsplit(self.path)
                query = {
                    key: values[0] for key, values in parse_qs(parts.query, keep_blank_values=True).items()
                }
                headers = {key.lower(): value for key, value in self.headers.items()}
                outer.asked.append((parts.path, query, headers))
                answer = outer.answer(parts.path, query)
                etag = answer.headers.get("ETag")
                if etag and headers.get("if-none-match") == etag:
                    answer = Answer(status=304)
                self.send_response(answer.status)
                for name, value in answer.headers.items():
                    self.send_header(name, value)
                self.send_header("Content-Length", str(len(answer.body)))
                self.end_headers()
                self.wfile.write(answer.body[: answer.cut])
                if answer.cut is not None:
                    self.close_connection = True

            def log_message(self, *args: object) -> None:
                return

        self._server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        self.url = f"http://127.0.0.1:{self._server.server_port}"
        self._thread = threading.Thread(target=self._server.serve_forever, args=(0.02,), daemon=True)
        self._thread.start()

    def close(self) -> None:
        self._server.shutdown()
        self._server.server_close()
        self._thread.join()


@pytest.fixture
def publisher() -> Iterator[Publisher]:
    server = Publisher()
    yield server
    server.close()


@pytest.fixture
def web() -> Iterator[Web]:
    with httpx.Client(timeout=5.0) as http:
        yield Web(http, attempts=3, pause=0.0, first_wait=0.01)


def cpsc(publisher: Publisher, today: date = date(2026, 3, 10), first_year: int = 2025):
    return network_source("cpsc_api", base=f"{publisher.url}/Recall", today=today, first_year=first_year)


def by_year(path: str, query: dict[str, str]) -> Answer:
    year = query.get("RecallDateStart", "")[:4]
    rows = CPSC if year == "2026" else []
    return Answer(json.dumps(rows).encode(), Content_Type="application/json")


def lines(path: Path) -> list[dict]:
    return [json.loads(line) for line in path.read_text("utf-8").splitlines()]


def test_cpsc_year_by_year_then_only_what_is_new(publisher, web, tmp_path):
    publisher.answer = by_year
    counts = fetch(cpsc(publisher), tmp_path, web=web)
    assert [q["RecallDateStart"] for _, q, _ in publisher.asked] == ["2025-01-01", "2026-01-01"]
    assert {tuple(sorted(q)) for _, q, _ in publisher.asked} == {
        ("RecallDateEnd", "RecallDateStart", "format")
    }
    assert (counts.pages, counts.records, counts.rejects) == (2, 2, 1)
    raw = lines(tmp_path / "cpsc_api.raw.jsonl")
    assert [r["key"] for r in raw] == ["2025", "2026"]
    assert len(raw[1]["sha256"]) == 64
    assert json.loads(raw[1]["body"]) == CPSC
    assert lines(tmp_path / "cpsc_api.rejects.jsonl")[0]["reason"] == "no RecallNumber"
    records = list(RecordFile("records").read(tmp_path / "cpsc_api.records.jsonl"))
    assert [r.native_id for r in records] == ["26991", "26992"]

    publisher.asked.clear()
    fetch(cpsc(publisher, today=date(2026, 3, 12)), tmp_path, web=web)
    assert [q for _, q, _ in publisher.asked] == [{"format": "json", "LastPublishDateStart": "2026-03-07"}]


def test_stored_answers_can_be_read_again_without_the_network(publisher, web, tmp_path):
    publisher.answer = by_year
    source = cpsc(publisher)
    counts = fetch(source, tmp_path, web=web)
    again = list(reparse(source, tmp_path))
    assert sum(not isinstance(item, Reject) for item in again) == counts.records


def test_a_cut_connection_is_tried_again(publisher, web, tmp_path):
    tries = []

    def answer(path: str, query: dict[str, str]) -> Answer:
        tries.append(query)
        full = by_year(path, query)
        full.cut = 40 if query["RecallDateStart"] == "2026-01-01" and len(tries) == 2 else None
        return full

    publisher.answer = answer
    assert fetch(cpsc(publisher), tmp_path, web=web).records == 2
    assert len(tries) == 3


def test_a_connection_cut_every_time_is_an_outside_error_and_keeps_what_came(publisher, web, tmp_path):
    def answer(path: str, query: dict[str, str]) -> Answer:
        full = by_year(path, query)
        full.cut = 40 if query.get("RecallDateStart") == "2026-01-01" else None
        return full

    publisher.answer = answer
    with pytest.raises(OutsideError, match="Run again to go on"):
        fetch(cpsc(publisher), tmp_path, web=web)
    assert [r["key"] for r in lines(tmp_path / "cpsc_api.raw.jsonl")] == ["2025"]
    publisher.answer = by_year
    publisher.asked.clear()
    fetch(cpsc(publisher), tmp_path, web=web)
    assert [q["RecallDateStart"] for _, q, _ in publisher.asked] == ["2026-01-01"]


def test_retry_after_is_obeyed(publisher, web, tmp_path):
    busy = iter([Answer(status=429, Retry_After="1")])
    times = []

    def answer(path: str, query: dict[str, str]) -> Answer:
        times.append(time.monotonic())
        return next(busy, None) or by_year(path, query)

    publisher.answer = answer
    assert fetch(cpsc(publisher), tmp_path, web=web).records == 2
    assert times[1] - times[0] >= 1.0, "the usual first wait of this client is 0.01 s"


def test_a_long_retry_after_ends_the_run(publisher, web, tmp_path):
    publisher.answer = lambda path, query: Answer(status=429, Retry_After="86400")
    with pytest.raises(OutsideError, match="asks to wait 86400 s"):
        fetch(cpsc(publisher), tmp_path, web=web)
    assert len(publisher.asked) == 1


def test_server_errors_end_after_all_attempts(publisher, web, tmp_path):
    publisher.answer = lambda path, query: Answer(status=503)
    with pytest.raises(OutsideError, match="answered 503 3 times"):
        fetch(cpsc(publisher), tmp_path, web=web)
    assert len(publisher.asked) == 3


def test_nobody_there(web, tmp_path):
    source = network_source(
        "cpsc_api", base="http://127.0.0.1:9/Recall", today=date(2026, 1, 1), first_year=2026
    )
    with pytest.raises(OutsideError, match="cannot be read"):
        fetch(source, tmp_path, web=web)


def test_a_changed_field_name_is_told(publisher, web, tmp_path):
    changed = [
        {("RecallNo" if key == "RecallNumber" else key): value for key, value in row.items()} for row in CPSC
    ]
    publisher.answer = lambda path, query: Answer(json.dumps(changed).encode())
    with pytest.raises(
        SourceChangedError, match=r"the source has changed: no field RecallNumber; it has .*RecallNo\b"
    ):
        fetch(cpsc(publisher), tmp_path, web=web)
    assert (tmp_path / "cpsc_api.raw.jsonl").read_bytes() == b""


def test_a_web_page_instead_of_data(publisher, web, tmp_path):
    publisher.answer = lambda path, query: Answer(b"\n<!DOCTYPE html><html>Checking your browser</html>")
    for name in ("safety_gate", "cpsc_api"):
        source = (
            cpsc(publisher) if name == "cpsc_api" else network_source(name, listing=f"{publisher.url}/list")
        )
        with pytest.raises(OutsideError, match="got a web page"):
            fetch(source, tmp_path, web=web)


def test_the_whole_database_is_refused(publisher, web, tmp_path):
    publisher.answer = lambda path, query: Answer(json.dumps([{"RecallNumber": "1"}] * 5_001).encode())
    with pytest.raises(SourceChangedError, match="ignores a parameter it does not know"):
        fetch(cpsc(publisher), tmp_path, web=web)


def test_a_body_over_the_cap_is_refused_before_its_end(publisher, web):
    publisher.answer = lambda path, query: Answer(b"[" + b" " * 3_000_000)
    with pytest.raises(SourceChangedError, match="more than 1 MiB"):
        web.get(f"{publisher.url}/x", "json", max_bytes=1 << 20)


def test_a_moved_address_is_told(publisher, web):
    publisher.answer = lambda path, query: Answer(status=301, Location="/elsewhere")
    with pytest.raises(SourceChangedError, match="answered 301"):
        web.get(f"{publisher.url}/x", "json")


class Weekly:
    """A Safety Gate with a list of reports."""

    def __init__(self, publisher: Publisher, weeks: int) -> None:
        self.weeks, self.publisher, self.failing = weeks, publisher, ""
        publisher.answer = self.answer

    def answer(self, path: str, query: dict[str, str]) -> Answer:
        if path == "/list":
            items = "".join(
                f"<weeklyReport><reference>Report-2026-{n:02}</reference><publicationDate>{n:02}/09/2026</publicationDate>"
                f"<URL>{self.publisher.url}/detail/{n}?language=en, </URL></weeklyReport>"
                for n in range(self.weeks, 0, -1)
            )
            return Answer(f"<Safety-Gate>{items}</Safety-Gate>".encode(), ETag=f'"{self.weeks}"')
        number = path.rsplit("/", 1)[-1]
        if number == self.failing:
            return Answer(status=500)
        return Answer(REPORT.replace(b"/26]]", f"/{number}]]".encode()))


def test_safety_gate_follows_the_list_and_goes_on_where_it_was(publisher, web, tmp_path):
    gate = Weekly(publisher, 3)
    source = network_source("safety_gate", listing=f"{publisher.url}/list")
    gate.failing = "2"
    with pytest.raises(OutsideError):
        fetch(source, tmp_path, web=web)
    gate.failing = ""
    publisher.asked.clear()
    counts = fetch(source, tmp_path, web=Web(web.http, pause=0.0))
    assert [path for path, _, _ in publisher.asked] == ["/list", "/detail/2", "/detail/3"]
    assert (counts.records, counts.rejects) == (4, 2)
    first = lines(tmp_path / "safety_gate.records.jsonl")[0]
    assert first["date"] == "2026-09-01", "the day of the list, which is when the alert was published"

    publisher.asked.clear()
    assert fetch(source, tmp_path, web=Web(web.http, pause=0.0)).pages == 0
    assert [(path, headers.get("if-none-match")) for path, _, headers in publisher.asked] == [
        ("/list", '"3"')
    ]
    gate.weeks = 4
    assert fetch(source, tmp_path, web=Web(web.http, pause=0.0)).pages == 1


def test_a_list_that_points_elsewhere_is_not_followed(publisher, web, tmp_path):
    publisher.answer = lambda path, query: Answer(
        b"<a><weeklyReport><reference>r</reference><URL>http://169.254.169.254/x</URL></weeklyReport></a>"
    )
    source = network_source("safety_gate", listing=f"{publisher.url}/list")
    with pytest.raises(SourceChangedError, match="another host"):
        fetch(source, tmp_path, web=web)


def test_a_kill_between_writing_and_the_checkpoint_stores_nothing_twice(
    publisher, web, tmp_path, monkeypatch
):
    publisher.answer = by_year

    class Killed(BaseException):
        pass

    real = fetching.Checkpoint.save
    saves = []

    def save(self, path):
        saves.append(1)
        if len(saves) == 2:
            raise Killed
        real(self, path)

    monkeypatch.setattr(fetching.Checkpoint, "save", save)
    with pytest.raises(Killed):
        fetch(cpsc(publisher), tmp_path, web=web)
    monkeypatch.undo()
    assert len(lines(tmp_path / "cpsc_api.raw.jsonl")) == 2, "written, but not vouched for"
    with (tmp_path / "cpsc_api.records.jsonl").open("a") as file:
        file.write('{"half a li')
    fetch(cpsc(publisher), tmp_path, web=web)
    assert [r["key"] for r in lines(tmp_path / "cpsc_api.raw.jsonl")] == ["2025", "2026"]
    assert len(lines(tmp_path / "cpsc_api.records.jsonl")) == 2


def test_files_shorter_than_the_checkpoint_and_a_damaged_checkpoint(publisher, web, tmp_path):
    publisher.answer = by_year
    fetch(cpsc(publisher), tmp_path, web=web)
    (tmp_path / "cpsc_api.raw.jsonl").write_bytes(b"")
    with pytest.raises(SourceError, match="shorter"):
        fetch(cpsc(publisher), tmp_path, web=web)
    (tmp_path / "cpsc_api.checkpoint.json").write_text("{")
    with pytest.raises(SourceError, match="delete it to fetch from the start"):
        fetch(cpsc(publisher), tmp_path, web=web)


def test_korean_lists_send_the_key_in_the_header_only(publisher, web, tmp_path):
    empty = b'{"resultCode":"2004","resultMsg":"no data"}'
    publisher.answer = lambda path, query: Answer(
        (FILES / "kats.json").read_bytes() if path.endswith("/recallList.json") else empty
    )
    source = network_source("kats", base=f"{publisher.url}/openapi/api/", key="k-1")
    counts = fetch(source, tmp_path, web=web)
    assert (counts.pages, counts.records, counts.rejects) == (2, 2, 2)
    assert all(headers["authkey"] == "k-1" for _, _, headers in publisher.asked)
    assert all(query == {"conditionKey": "all", "conditionValue": ""} for _, query, _ in publisher.asked)
    assert not any("k-1" in path.read_text("utf-8") for path in tmp_path.iterdir())
    with pytest.raises(SourceError, match="no service key"):
        fetch(network_source("kats"), tmp_path, web=web)


def test_korean_answer_with_an_error_code(publisher, web, tmp_path):
    publisher.answer = lambda path, query: Answer(b'{"resultCode":"4001","resultMsg":"IP"}')
    source = network_source("kats", base=f"{publisher.url}/", key="k-1")
    with pytest.raises(OutsideError, match="refused \\(4001 IP\\)"):
        fetch(source, tmp_path, web=web)


def test_new_york_pages_and_asks_for_an_unfilled_last_page_again(publisher, web, tmp_path):
    rows = [
        {"row_id": str(n), "product_name": "Example powder", "product_type": "Food-Spice", "metal": "Lead",
         "concentration": "-1" if n % 2 else "2.5", "units": "ppm", "collection_date": "2024-01-04T00:00:00.000"}
        for n in range(5)
    ]  # fmt: skip

    def answer(path: str, query: dict[str, str]) -> Answer:
        start = int(query["$offset"])
        return Answer(json.dumps(rows[start : start + int(query["$limit"])]).encode())

    publisher.answer = answer
    source = network_source("nyc", base=f"{publisher.url}/x.json", page_rows=2)
    assert fetch(source, tmp_path, web=web).records == 5
    rows.append({**rows[0], "row_id": "5"})
    counts = fetch(source, tmp_path, web=web)
    assert counts.records == 2, "the last page is read again with its new row"
    records = list(RecordFile("records").read(tmp_path / "nyc.records.jsonl"))
    assert sorted(r.native_id for r in records) == ["0", "1", "2", "3", "4", "5"]
    assert {r.comparator for r in records} == {"nd", "="}


def test_what_cannot_be_fetched():
    with pytest.raises(
        SourceError, match="expected one that can be fetched: cpsc_api, safety_gate, kats, nyc"
    ):
        network_source("cpsc")
    with pytest.raises(SourceError, match="unexpected keyword argument 'colour'"):
        network_source("nyc", colour="red")


def test_no_bar_where_there_is_no_terminal(capfd):
    with fetching.progress("nyc") as on_page:
        assert on_page is None
    assert capfd.readouterr() == ("", "")
