"""Blocks: what comes together gets what it would have got alone, in one commit, and fails alone."""

from __future__ import annotations

from concurrent.futures import Future

import pytest

from serving.run import sample_listings
from serving.store import ConflictError, Store, StoreSink

MADE_NEW = ("decision_id", "decided_at")


def without_what_is_new(answer):
    return {name: value for name, value in answer.items() if name not in MADE_NEW}


@pytest.fixture(scope="module")
def starter():
    from serving.settings import STARTER
    from training.bundle import Bundle

    return Bundle.load(STARTER)


def test_together_and_alone_give_the_same_answer(client_of, starter):
    """With the bundle that travels with the package: same numbers, same reasons, one block or many."""
    client = client_of(bundle=starter)
    listings = sample_listings()[:24]
    together = client.together("/v1/score", listings)
    assert {answer.status_code for answer in together} == {200}
    many = client.post("/v1/score-many", json={"listings": listings}).json()["results"]
    for listing, one, other in zip(listings, together, many, strict=True):
        alone = without_what_is_new(client.post("/v1/score", json=listing).json())
        assert without_what_is_new(one.json()) == alone
        assert without_what_is_new(other["decision"]) == alone
    text = client.get("/metrics").text
    blocks = next(line for line in text.splitlines() if line.startswith("listing_risk_block_listings_count"))
    assert float(blocks.split()[1]) < 2 * len(listings), "what came together was scored together"


def test_one_listing_fails_alone_and_the_others_of_its_block_do_not(client_of):
    client = client_of()
    bodies = [
        {"id": f"a{n}", "title": "곰 인형"} | ({"attributes": {"explode": "1"}} if n == 3 else {})
        for n in range(8)
    ]
    answers = client.together("/v1/score", bodies)
    assert [answer.status_code for answer in answers] == [200, 200, 200, 500, 200, 200, 200, 200]


def test_several_callers_are_written_with_one_commit(store_url, new_record):
    with Store(store_url) as store:
        store.record([new_record(0, caller="c", idempotency_key="k")])
        before = store.state().groups
        units = [store.prepare([new_record(n)]) for n in range(1, 6)]
        units.insert(2, store.prepare([new_record(9, caller="c", idempotency_key="k")]))
        futures: list[Future] = StoreSink(store).submit(units)
        done = [future.exception(60) or future.result() for future in futures]
        assert isinstance(done[2], ConflictError), "its key stands for another listing"
        assert [row.seq for outcome in done if isinstance(outcome, tuple) for row in outcome] == [
            2,
            3,
            4,
            5,
            6,
        ]
        assert store.state().groups == before + 1


def test_what_a_closed_store_is_handed_comes_back_as_failed(tmp_path, new_record):
    store = Store(str(tmp_path / "s.db")).open()
    writer = store.writer
    unit = store.prepare([new_record(1)])
    store.close()
    (future,) = writer.submit_each([unit])
    with pytest.raises(Exception, match="closed"):
        future.result(60)
