"""Photos of recalls, fetched from a real local server that also leads astray, and read for training."""

from __future__ import annotations

import functools
import io
import json
import threading
from collections.abc import Iterator
from datetime import date
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

import httpx
import numpy as np
import pytest
from click.testing import CliRunner
from PIL import Image, ImageDraw

import features.image_fetch
import training.fetch
from features.errors import OutsideError
from features.image_fetch import Fetcher
from features.image_intake import Unusable
from serving.cli import main
from training.bundle import Bundle
from training.config import Config
from training.pipeline import train
from training.recall_photos import PhotoCounts, fetch_photos, read_lines, stored_photos
from training.records import Recall
from training.sources.jsonl import to_line
from training.sources.parsing import SourceError
from training.sources.web import Web

LOCAL = "127.0.0.1"


def jpeg(number: int) -> bytes:
    held = io.BytesIO()
    pixels = np.random.default_rng(number).integers(0, 255, (40, 60, 3), np.uint8)
    Image.fromarray(pixels).save(held, "JPEG")
    return held.getvalue()


class Publisher:
    """A regulator: a list of recalls and the photos they link."""

    def __init__(self) -> None:
        self.asked: list[str] = []
        self.recalls: list[dict] = []
        self.busy = False
        outer = self

        class Handler(BaseHTTPRequestHandler):
            def do_GET(self) -> None:
                path = self.path.partition("?")[0]
                outer.asked.append(path)
                status, headers, body = outer.answer(path)
                self.send_response(status)
                for name, value in headers.items():
                    self.send_header(name, value)
                self.send_header("Content-Length", str(len(body)))
                self.end_headers()
                self.wfile.write(body)

            def log_message(self, *args: object) -> None:
                return

        self.server = ThreadingHTTPServer((LOCAL, 0), Handler)
        self.host = f"{LOCAL}:{self.server.server_port}"
        threading.Thread(target=self.server.serve_forever, args=(0.02,), daemon=True).start()

    def answer(self, path: str) -> tuple[int, dict[str, str], bytes]:
        kind, _, rest = path.strip("/").partition("/")
        if kind == "Recall":
            rows, self.recalls = self.recalls, []
            return 200, {"Content-Type": "application/json"}, json.dumps(rows).encode()
        if kind == "inside":
            return 302, {"Location": f"http://{rest}:{self.server.server_port}/photo/1"}, b""
        if kind == "page":
            return 200, {"Content-Type": "text/html"}, b"<html>no photo</html>"
        if kind == "photo":
            return 200, {"Content-Type": "image/jpeg"}, jpeg(int(rest))
        return 404, {}, b""

    def url(self, path: str) -> str:
        return f"http://{self.host}/{path}"

    def fetcher(self) -> Fetcher:
        return Fetcher([self.host, f"169.254.169.254:{self.server.server_port}"], first_hop=[LOCAL])


@pytest.fixture
def publisher() -> Iterator[Publisher]:
    one = Publisher()
    yield one
    one.server.shutdown()
    one.server.server_close()


def keep(folder: Path, *images: tuple[str, ...]) -> None:
    """Write records as a fetch leaves them."""
    recalls = [
        Recall("cpsc_api", str(n), None, (f"Rattle {n}",), frozenset({"choking"}), images=addresses)
        for n, addresses in enumerate(images)
    ]
    text = "".join(f"{to_line(recall)}\n" for recall in recalls)
    (folder / "cpsc_api.records.jsonl").write_text(text, encoding="utf-8")


def run(folder: Path, fetcher: object, **options: object) -> PhotoCounts:
    return fetch_photos(folder, "cpsc_api", fetcher, **({"pause": 0.0} | options))  # type: ignore[arg-type]


def test_photos_lie_under_their_hash_and_what_is_none_has_its_reason(publisher, tmp_path):
    url = publisher.url
    keep(
        tmp_path,
        (url("photo/1"), url("photo/2")),
        (url("photo/1"), url("page"), url("nothing")),
        (url("inside/127.0.0.1"), url("inside/169.254.169.254"), "http://elsewhere.example/a.jpg"),
    )
    counts = run(tmp_path, publisher.fetcher())
    assert (counts.stored, counts.unusable, counts.known) == (3, 5, 0)
    assert publisher.asked.count("/photo/1") == 1, "one photo of two recalls is asked for once"
    found = {(line["item"][-1], line["address"].rpartition("/")[2]): line for line in lines(tmp_path)}
    assert found["0", "1"]["file"] == found["1", "1"]["file"]
    assert (tmp_path / found["0", "1"]["file"]).read_bytes() == jpeg(1)
    assert (found["0", "1"]["width"], found["0", "1"]["height"]) == (60, 40)
    reasons = {key: line["unusable"] for key, line in found.items() if "unusable" in line}
    assert reasons == {
        ("1", "page"): "not_an_image",
        ("1", "nothing"): "http_error",
        ("2", "127.0.0.1"): "address_refused",
        ("2", "169.254.169.254"): "address_refused",
        ("2", "a.jpg"): "host_not_allowed",
    }
    assert not list(tmp_path.rglob("*.part"))
    photos = stored_photos(tmp_path / "cpsc_api.photos.jsonl")
    assert {item: len(files) for item, files in photos.items()} == {"cpsc_api:0": 2, "cpsc_api:1": 1}


def lines(folder: Path) -> list[dict]:
    return list(read_lines(folder / "cpsc_api.photos.jsonl"))


class Dying:
    """Asks as the real one does, and is killed at some address."""

    def __init__(self, inner: Fetcher, after: int) -> None:
        self.inner, self.left = inner, after

    def fetch(self, address: str) -> bytes | Unusable:
        self.left -= 1
        if self.left < 0:
            raise KeyboardInterrupt
        return self.inner.fetch(address)


def test_a_run_goes_on_where_the_last_one_was_killed(publisher, tmp_path):
    keep(tmp_path, *((publisher.url(f"photo/{n}"),) for n in range(6)))
    with pytest.raises(KeyboardInterrupt):
        run(tmp_path, Dying(publisher.fetcher(), 3))
    path = tmp_path / "cpsc_api.photos.jsonl"
    whole = path.read_bytes()
    path.write_bytes(whole[:-9])  # the last line did not make it to the disk whole
    assert len(lines(tmp_path)) == 2
    counts = run(tmp_path, publisher.fetcher())
    assert (counts.stored, counts.known) == (4, 2)
    assert publisher.asked.count("/photo/2") == 2 and publisher.asked.count("/photo/1") == 1
    assert len(lines(tmp_path)) == 6 and path.read_bytes().startswith(whole)
    again = run(tmp_path, publisher.fetcher())
    assert (again.stored, again.known, again.bytes) == (0, 6, 0)


def test_what_failed_for_a_passing_reason_is_asked_for_again(publisher, tmp_path):
    keep(tmp_path, (publisher.url("photo/1"), publisher.url("nothing")))

    nobody = Fetcher(["127.0.0.1:9"], first_hop=[LOCAL])

    class Flaky:
        """The host of the photos is away; the rest answers."""

        def fetch(self, address: str) -> bytes | Unusable:
            if "photo" in address:
                return nobody.fetch("http://127.0.0.1:9/")
            return publisher.fetcher().fetch(address)

    assert run(tmp_path, Flaky()).unusable == 2
    counts = run(tmp_path, publisher.fetcher())
    assert (counts.stored, counts.known) == (1, 1)
    assert stored_photos(tmp_path / "cpsc_api.photos.jsonl").keys() == {"cpsc_api:0"}


def test_without_a_network_the_run_ends_and_says_so(tmp_path):
    keep(tmp_path, *((f"http://127.0.0.1:9/{n}",) for n in range(30)))
    with pytest.raises(OutsideError, match="20 photos of cpsc_api one after the other"):
        run(tmp_path, Fetcher(["127.0.0.1:9"], first_hop=[LOCAL]))
    assert len(lines(tmp_path)) == 20


def test_only_the_first_photos_of_a_recall(publisher, tmp_path):
    keep(tmp_path, tuple(publisher.url(f"photo/{n}") for n in (1, 1, 2, 3)))
    assert run(tmp_path, publisher.fetcher(), per_recall=2).stored == 2


def test_files_that_are_none_are_refused(tmp_path):
    with pytest.raises(SourceError, match="fetch the records of cpsc_api first"):
        run(tmp_path, Fetcher([]))
    path = tmp_path / "cpsc_api.photos.jsonl"
    path.write_text('{"item": "a"}\n{"item": "a", "address": "b"}\n')
    with pytest.raises(SourceError, match="line 1: expected item and address"):
        list(read_lines(path))
    path.write_text('{"item": "a", "address": "b", "file": "../../etc/passwd"}\n')
    with pytest.raises(SourceError, match="expected one below"):
        stored_photos(path)


def test_the_command_fetches_records_and_then_their_photos(publisher, tmp_path, monkeypatch):
    publisher.recalls = [
        {
            "RecallNumber": "26001",
            "RecallDate": "2026-03-05",
            "Title": "Example Toys Recalls Rattles Due to Choking Hazard",
            "Products": [{"Name": "Rattles"}],
            "Hazards": [{"Name": "Small parts can detach, posing a choking hazard."}],
            "Images": [{"URL": publisher.url("photo/7")}],
        }
    ]
    # The local server is no public address: the allowance for tests is given here and nowhere else.
    monkeypatch.setattr(features.image_fetch, "Fetcher", functools.partial(Fetcher, first_hop=[LOCAL]))
    monkeypatch.setattr(training.fetch, "Web", functools.partial(Web, pause=0.0))
    command = ["fetch", "cpsc_api", "--output", str(tmp_path), "--base", publisher.url("Recall"), "--photos"]
    done = CliRunner().invoke(main, [*command, "--photo-host", publisher.host])
    assert done.exit_code == 0, done.output
    assert "1 photos, 0 not usable, 0 known before" in done.output
    assert (tmp_path / lines(tmp_path)[0]["file"]).read_bytes() == jpeg(7)


def test_a_source_without_known_hosts_needs_one(tmp_path):
    done = CliRunner().invoke(main, ["fetch", "kats", "--output", str(tmp_path), "--key", "k", "--photos"])
    assert done.exit_code == 2 and "name it: --photo-host" in done.output


def drawn(number: int, fire: bool) -> bytes:
    """A dark box or a bright ring."""
    rng = np.random.default_rng(number)
    image = Image.new("RGB", (120, 120), (255, 255, 255))
    draw = ImageDraw.Draw(image)
    x, y, r = rng.uniform(45, 75), rng.uniform(45, 75), rng.uniform(22, 34)
    if fire:
        draw.rectangle((x - r, y - r, x + r, y + r), fill=tuple(int(v) for v in rng.integers(10, 60, 3)))
    else:
        draw.ellipse((x - r, y - r, x + r, y + r), outline=(230, 150, 40), width=int(rng.integers(6, 12)))
    held = io.BytesIO()
    image.save(held, "PNG")
    return held.getvalue()


def test_from_the_publisher_to_a_bundle_that_reads_photos(publisher, tmp_path, monkeypatch):
    """Records and photos are fetched, trained on, and come out in the bundle."""
    names = ("Aurora", "Bento", "Cirrus", "Delta", "Ember", "Fjord", "Gala", "Halo")
    hazard = {True: "can overheat, posing a fire hazard.", False: "can detach, posing a choking hazard."}
    publisher.recalls = [
        {
            "RecallNumber": f"26{n:03}",
            "RecallDate": f"2025-01-{1 + n % 28:02}",
            "Title": f"Example Recalls {names[n % 8]} {n}",
            "Products": [{"Name": f"{names[n % 8]} {names[n // 8 % 8]} {n}"}],
            "Hazards": [{"Name": f"Parts {hazard[n % 3 == 0]}"}],
            "Images": [{"URL": publisher.url(f"{'dark' if n % 3 == 0 else 'ring'}/{n}")}],
        }
        for n in range(120)
    ]
    answer = publisher.answer

    def with_drawn(path: str) -> tuple[int, dict[str, str], bytes]:
        kind, _, number = path.strip("/").partition("/")
        if kind in ("dark", "ring"):
            return 200, {"Content-Type": "image/png"}, drawn(int(number), kind == "dark")
        return answer(path)

    monkeypatch.setattr(publisher, "answer", with_drawn)
    source = training.fetch.network_source(
        "cpsc_api", base=publisher.url("Recall"), first_year=2025, today=date(2025, 12, 31)
    )
    with httpx.Client(timeout=10.0) as http:
        training.fetch.fetch(source, tmp_path, web=Web(http, pause=0.0))
    assert run(tmp_path, publisher.fetcher()).stored == 120
    config = Config.model_validate(
        {
            "name": "fetched",
            "sources": [{"reader": "records", "path": "cpsc_api.records.jsonl"}],
            "images": {"photos": ["cpsc_api.photos.jsonl"]},
            "root_rate": 0.05,
            "root_rate_source": "made up for the test",
            "folds": 3,
        }
    )
    images = train(config, tmp_path, tmp_path / "bundle").metrics["images"]
    assert images["items"] == 120 and not images["unusable"]
    assert images["gain"]["fire"]["kept"] == 1 and Bundle.load(tmp_path / "bundle").image_encoder is not None
