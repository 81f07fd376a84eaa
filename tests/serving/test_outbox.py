"""Delivery against a real HTTP server that fails in all the ways servers do, on both databases."""

from __future__ import annotations

import asyncio
import json
import re
import threading
import time
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st
from standardwebhooks import Webhook, WebhookVerificationError

from serving.events.kinds import event
from serving.events.outbox import SCHEDULE_S, Outbox, OutboxLimits, Round, pause_after
from serving.events.outbox_worker import OutboxWorker
from serving.events.webhooks import EndpointDesk, EndpointError
from serving.events.webhooks_address import AddressError, AddressRules, check_address
from serving.store import Store
from serving.store.deliveries import prune, read_deliveries
from serving.store.engine import reading, writing
from serving.store.notice_tables import deliveries


class Clock:
    def __init__(self) -> None:
        self.now = datetime.now(UTC)

    def __call__(self) -> datetime:
        return self.now

    def later(self, **span: float) -> None:
        self.now += timedelta(**span)


class Receiver:
    """A consumer; answers what it is told to, 204 when told nothing."""

    def __init__(self) -> None:
        self.got: list[tuple[dict[str, str], bytes]] = []
        self.answers: list[object] = []
        receiver = self

        class Handler(BaseHTTPRequestHandler):
            protocol_version = "HTTP/1.1"

            def do_POST(self) -> None:
                body = self.rfile.read(int(self.headers["content-length"]))
                receiver.got.append(({k.lower(): v for k, v in self.headers.items()}, body))
                answer = receiver.answers.pop(0) if receiver.answers else 204
                if callable(answer):
                    answer(self)
                    return
                status, headers = answer if isinstance(answer, tuple) else (answer, {})
                self.send_response(status)
                for name, value in headers.items():
                    self.send_header(name, value)
                self.send_header("content-length", "0")
                self.end_headers()

            def log_message(self, *_: object) -> None:
                pass

        self.server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        self.port = self.server.server_address[1]
        self.url = f"http://127.0.0.1:{self.port}/hooks?shop=1"
        threading.Thread(target=self.server.serve_forever, args=(0.02,), daemon=True).start()

    def close(self) -> None:
        self.server.shutdown()
        self.server.server_close()


@pytest.fixture
def receiver() -> Iterator[Receiver]:
    made = Receiver()
    yield made
    made.close()


@pytest.fixture
def clock() -> Clock:
    return Clock()


def opened(url, receiver, clock):
    desk = EndpointDesk(Store(url).open(), AddressRules.of(f"127.0.0.1:{receiver.port}"))
    return Outbox(desk, OutboxLimits(timeout_s=5), clock, noise=lambda: 0.0)


@pytest.fixture
def outbox(store_url, receiver, clock):
    """On either database, for what is about rows."""
    made = opened(store_url, receiver, clock)
    yield made
    made.store.close()


@pytest.fixture
def local(tmp_path, receiver, clock):
    """On SQLite, for what is about the wire."""
    made = opened(str(tmp_path / "s.db"), receiver, clock)
    yield made
    made.store.close()


def happen(outbox, new_record, number=1, kind="item.blocked"):
    made = event(kind, f"listing-{number}", {"number": number}, datetime.now(UTC))
    outbox.store.record([new_record(number, events=(made,))])
    return made


def once(outbox) -> Round:
    return asyncio.run(outbox.once())


def statuses(outbox, **only):
    with reading(outbox.store.engine) as connection:
        return [(d.status, d.attempts, d.last_answer) for d in read_deliveries(connection, **only)]


def test_an_event_arrives_signed_and_once(outbox, receiver, new_record, clock):
    endpoint, secret = outbox.desk.register(receiver.url, ["item.blocked"], "kim", clock())
    made = happen(outbox, new_record)
    assert once(outbox) == Round(handed_on=1, delivered=1)
    ((headers, body),) = receiver.got
    said = Webhook(secret).verify(body, headers)
    assert said["type"] == "item.blocked" and said["data"] == {"number": 1}
    assert said["id"] == headers["webhook-id"] == made.id
    assert said["source"] == f"urn:listing-risk:{outbox.store.store_id()}"
    assert headers["content-type"] == "application/cloudevents+json"
    assert once(outbox) == Round()
    assert endpoint.to_json()["state"] == "active" and secret not in json.dumps(endpoint.to_json())


def test_the_example_in_the_documents_accepts_and_refuses(local, receiver, new_record, clock):
    page = (Path(__file__).parents[2] / "docs" / "events.md").read_text(encoding="utf-8")
    (code,) = re.findall(r"```python\n(.*?)```", page, re.DOTALL)
    names: dict = {}
    exec(compile(code, "docs/events.md", "exec"), names)
    _, secret = local.desk.register(receiver.url, [], "kim", clock())
    happen(local, new_record)
    once(local)
    ((headers, body),) = receiver.got
    names["verify"](secret, headers, body)
    with pytest.raises(ValueError, match="no signature fits"):
        names["verify"](secret, headers, body.replace(b"1", b"2"))
    with pytest.raises(ValueError, match="too old"):
        names["verify"](secret, headers | {"webhook-timestamp": "1700000000"}, body)


def test_only_the_kinds_that_were_asked_for(local, receiver, new_record, clock):
    local.desk.register(receiver.url, ["item.released"], "kim", clock())
    happen(local, new_record, 1, "item.blocked")
    happen(local, new_record, 2, "item.released")
    assert once(local) == Round(handed_on=2, delivered=1)
    assert json.loads(receiver.got[0][1])["type"] == "item.released"


def test_faults_are_tried_again_until_it_works(local, receiver, new_record, clock):
    def hang_up(handler):
        handler.close_connection = True
        handler.connection.close()

    def never(handler):
        time.sleep(1.0)

    def drip(handler):
        handler.wfile.write(b"HTTP/1.1 200 OK\r\n")
        for _ in range(10):
            time.sleep(0.1)
            handler.wfile.write(b"x-a: b\r\n")
            handler.wfile.flush()

    local.limits = OutboxLimits(timeout_s=0.5)
    local.desk.register(receiver.url, [], "kim", clock())
    happen(local, new_record)
    faults = [
        (500, "status 500"),
        (hang_up, "not reached (RemoteProtocolError)"),
        (never, "no answer within 0.5 seconds"),
        (drip, "no answer within 0.5 seconds"),
        ((302, {"location": "http://127.0.0.1:1/"}), "status 302"),
    ]
    for number, (fault, words) in enumerate(faults, start=1):
        receiver.answers = [fault]
        assert once(local).failed == 1
        assert statuses(local) == [("waiting", number, words)]
        assert once(local) == Round(), "it must not be tried before its time"
        clock.later(seconds=SCHEDULE_S[number - 1])
    assert once(local).delivered == 1
    assert {headers["webhook-id"] for headers, _ in receiver.got} == {receiver.got[0][0]["webhook-id"]}


def test_a_server_that_is_down_and_comes_back(local, receiver, new_record, clock):
    local.desk.register(receiver.url, [], "kim", clock())
    happen(local, new_record)
    receiver.server.shutdown()
    receiver.server.server_close()
    assert once(local).failed == 1
    assert statuses(local)[0][2] == "not reached (ConnectError)"


def test_what_asks_for_patience_gets_it(local, receiver, new_record, clock):
    local.desk.register(receiver.url, [], "kim", clock())
    happen(local, new_record)
    receiver.answers = [(429, {"retry-after": "600"})]
    once(local)
    clock.later(seconds=599)
    assert once(local) == Round()
    clock.later(seconds=2)
    assert once(local).delivered == 1


def test_a_dead_letter_can_be_replayed(outbox, receiver, new_record, clock):
    endpoint, _ = outbox.desk.register(receiver.url, [], "kim", clock())
    happen(outbox, new_record, 1)
    receiver.answers = [500] * 20
    for pause in SCHEDULE_S:
        assert once(outbox).failed == 1
        clock.later(seconds=pause)
    assert once(outbox).dead == 1
    assert statuses(outbox, status="dead") == [("dead", len(SCHEDULE_S) + 1, "status 500")]
    found = outbox.desk.endpoint(endpoint.endpoint_id)
    assert found.state == "disabled" and "as long as" in found.why
    happen(outbox, new_record, 2)
    assert once(outbox) == Round(handed_on=1), "nothing goes to an endpoint that is off"
    receiver.answers = []
    outbox.desk.enable(endpoint.endpoint_id, "kim")
    assert outbox.desk.replay(endpoint.endpoint_id, "kim", clock()) == 1
    assert once(outbox).delivered == 1
    assert outbox.desk.replay(endpoint.endpoint_id, "kim", clock(), since=clock() - timedelta(days=30)) == 2
    assert once(outbox).delivered == 2


def test_who_is_gone_is_not_asked_again(local, receiver, new_record, clock):
    endpoint, _ = local.desk.register(receiver.url, [], "kim", clock())
    happen(local, new_record)
    receiver.answers = [410]
    assert once(local).dead == 1
    assert local.desk.endpoint(endpoint.endpoint_id).why == "answered 410 (gone)"


def test_both_secrets_sign_while_one_is_rotated(outbox, receiver, new_record, clock):
    endpoint, old = outbox.desk.register(receiver.url, [], "kim", clock())
    new = outbox.desk.rotate(endpoint.endpoint_id, "kim", clock(), overlap=timedelta(hours=1))
    happen(outbox, new_record, 1)
    once(outbox)
    headers, body = receiver.got[-1]
    for secret in (old, new):
        Webhook(secret).verify(body, headers)
    clock.later(hours=1, seconds=1)
    happen(outbox, new_record, 2)
    once(outbox)
    headers, body = receiver.got[-1]
    stamp = headers["webhook-timestamp"]
    assert len(headers["webhook-signature"].split()) == 1
    at = datetime.fromtimestamp(int(stamp), UTC)
    assert headers["webhook-signature"] == Webhook(new).sign(headers["webhook-id"], at, body.decode())
    with pytest.raises(WebhookVerificationError):
        Webhook(old).verify(body, headers)


def test_old_events_go_once_nothing_waits_for_them(outbox, receiver, new_record, clock):
    outbox.desk.register(receiver.url, [], "kim", clock())
    for number in range(3):
        happen(outbox, new_record, number)
    receiver.answers = [500] * 3
    assert once(outbox).failed == 3
    with writing(outbox.store.engine) as connection:
        assert prune(connection, clock() + timedelta(days=1)) == 0, "they are still to be delivered"
    clock.later(seconds=10)
    assert once(outbox).delivered == 3
    with writing(outbox.store.engine) as connection:
        assert prune(connection, clock() - timedelta(days=1)) == 0, "they are young"
        assert prune(connection, clock() + timedelta(days=1), size=2) == 2
    assert len(statuses(outbox)) == 1


def test_events_that_nobody_wants_are_put_aside(local, receiver, new_record, clock):
    happen(local, new_record, 1)
    assert local.hand_on() == 1
    happen(local, new_record, 2)
    assert local.hand_on() == 0, "not at every look"
    clock.later(seconds=31)
    assert local.hand_on() == 1
    local.desk.register(receiver.url, [], "kim", clock())
    assert once(local) == Round(), "history is for replay"


def test_two_processes_never_send_the_same(outbox, receiver, new_record, clock):
    endpoint, _ = outbox.desk.register(receiver.url, [], "kim", clock())
    for number in range(30):
        happen(outbox, new_record, number)
    outbox.hand_on()

    async def both():
        return await asyncio.gather(*(outbox.drain(endpoint) for _ in range(3)))

    assert sum(asyncio.run(both()), Round()).delivered == 30
    assert len({headers["webhook-id"] for headers, _ in receiver.got}) == len(receiver.got) == 30


def test_what_a_dead_process_held_comes_back(outbox, receiver, new_record, clock):
    endpoint, _ = outbox.desk.register(receiver.url, [], "kim", clock())
    happen(outbox, new_record)
    outbox.hand_on()
    assert len(outbox._claim(endpoint.endpoint_id)) == 1
    assert once(outbox) == Round()
    clock.later(seconds=outbox.limits.lease_s + 1)
    assert once(outbox).delivered == 1


def test_the_worker_delivers_by_itself_past_a_slow_endpoint(tmp_path, receiver, new_record):
    slow = Receiver()
    slow.answers = [lambda handler: time.sleep(3)] * 3
    with Store(str(tmp_path / "s.db")) as store:
        desk = EndpointDesk(store, AddressRules.of(f"127.0.0.1:{receiver.port},127.0.0.1:{slow.port}"))
        now = datetime.now(UTC)
        desk.register(slow.url, [], "kim", now)
        desk.register(receiver.url, [], "kim", now)
        outbox = Outbox(desk, OutboxLimits(timeout_s=2, every_s=0.02))
        worker = OutboxWorker(outbox).start()
        for number in range(3):
            happen(outbox, new_record, number)
            end = time.monotonic() + 90
            while len(receiver.got) <= number and time.monotonic() < end:
                time.sleep(0.02)
        worker.close()
    slow.close()
    assert len(receiver.got) == 3


def test_delivery_outlives_whatever_goes_wrong_in_it(tmp_path, receiver, new_record):
    """Not only the store's errors: a fault of our own, of a driver, of the system."""
    looked = threading.Event()
    wrongs = iter([ValueError("a fault"), OSError(24, "Too many open files"), RuntimeError("no new thread")])

    def also() -> None:
        for error in wrongs:
            raise error
        looked.set()

    with Store(str(tmp_path / "s.db")) as store:
        desk = EndpointDesk(store, AddressRules.of(f"127.0.0.1:{receiver.port}"))
        desk.register(receiver.url, [], "kim", datetime.now(UTC))
        outbox = Outbox(desk, OutboxLimits(timeout_s=2, every_s=0.02))
        handed_on, faults = outbox.hand_on, iter([KeyError("a fault"), MemoryError()])

        def hand_on() -> int:
            for error in faults:
                raise error
            return handed_on()

        outbox.hand_on = hand_on
        worker = OutboxWorker(outbox, also).start()
        happen(outbox, new_record)
        assert looked.wait(90)
        end = time.monotonic() + 90
        while not receiver.got and time.monotonic() < end:
            time.sleep(0.02)
        worker.close()
    assert len(receiver.got) == 1
    assert next(faults, None) is None and next(wrongs, None) is None


def test_a_removed_endpoint_leaves_no_secret(outbox, receiver, clock):
    endpoint, _ = outbox.desk.register(receiver.url, [], "kim", clock())
    outbox.desk.remove(endpoint.endpoint_id, "kim")
    with reading(outbox.store.engine) as connection:
        assert connection.exec_driver_sql("SELECT count(*) FROM webhook_secrets").scalar_one() == 0
    with pytest.raises(EndpointError, match="does not exist"):
        outbox.desk.enable(endpoint.endpoint_id, "kim")


def test_the_secret_is_in_no_audited_row(local, receiver, clock):
    _, secret = local.desk.register(receiver.url, [], "kim", clock())
    with reading(local.store.engine) as connection:
        bodies = connection.exec_driver_sql("SELECT body FROM endpoints").scalars().all()
    assert bodies and not any(secret[6:] in body for body in bodies)


def test_deliveries_cannot_end_twice(outbox, receiver, new_record, clock):
    outbox.desk.register(receiver.url, [], "kim", clock())
    happen(outbox, new_record)
    once(outbox)
    from serving.store.deliveries import Outcome, end

    with writing(outbox.store.engine) as connection:
        position = connection.execute(deliveries.select()).first().position
        end(connection, [Outcome(position, "dead", 9, "late")], clock())
    assert statuses(outbox) == [("delivered", 1, "status 204")]


@pytest.mark.parametrize(
    ("url", "answers"),
    [
        ("http://shop.example/h", ["8.8.8.8"]),
        ("ftp://shop.example/h", ["8.8.8.8"]),
        ("https:///h", ["8.8.8.8"]),
        ("https://u:p@shop.example/h", ["8.8.8.8"]),
        ("https://shop.example/h#x", ["8.8.8.8"]),
        ("https://shop.example/ h", ["8.8.8.8"]),
        ("https://shop.example:99999/", ["8.8.8.8"]),
        ("https://shöp.example/", ["8.8.8.8"]),
        ("https://" + "a" * 3000, ["8.8.8.8"]),
        ("https://shop.example/h", []),
        ("https://shop.example/h", ["10.0.0.1"]),
        ("https://shop.example/h", ["8.8.8.8", "169.254.169.254"]),
        ("https://shop.example/h", ["::1"]),
        ("https://shop.example/h", ["::ffff:127.0.0.1"]),
        ("https://shop.example/h", ["64:ff9b::7f00:1"]),
        ("https://127.0.0.1/h", ["127.0.0.1"]),
        ("https://[fe80::1]/h", ["fe80::1"]),
    ],
)
def test_addresses_that_are_refused(url, answers):
    with pytest.raises(AddressError, match=r"expected|check the name|public"):
        check_address(url, AddressRules(), lambda host, port: answers)


def test_the_connection_goes_to_the_address_that_was_checked():
    target = check_address("https://Shop.example:8443/h?a=1", AddressRules(), lambda h, p: ["8.8.8.8"])
    assert (target.url, target.host_header) == ("https://8.8.8.8:8443/h?a=1", "shop.example:8443")


def test_a_name_that_turns_private_later_gets_nothing(tmp_path, receiver, new_record, clock):
    """DNS rebinding: public when registered, one's own network when sent to."""
    answers = ["8.8.8.8"]
    with Store(str(tmp_path / "s.db")) as store:
        desk = EndpointDesk(store, AddressRules(), lambda host, port: list(answers))
        desk.register(f"https://shop.example:{receiver.port}/h", [], "kim", clock())
        outbox = Outbox(desk, OutboxLimits(timeout_s=0.5), clock)
        happen(outbox, new_record)
        answers[:] = ["127.0.0.1"]
        assert once(outbox).failed == 1
        assert statuses(outbox)[0][2].startswith("not sent: got a host whose address is not a public one")
    assert receiver.got == []


@given(
    attempts=st.integers(1, len(SCHEDULE_S)),
    asked=st.floats(0, 1e9),
    noise=st.floats(-1, 1),
)
def test_pauses_are_never_shorter_than_asked_nor_longer_than_a_day_and_a_bit(attempts, asked, noise):
    pause = pause_after(attempts, asked, noise)
    assert pause is not None and min(asked, 86_400) <= pause <= 86_400 * 1.1
    assert pause >= SCHEDULE_S[attempts - 1] * 0.9
    assert pause_after(len(SCHEDULE_S) + 1, asked, noise) is None
