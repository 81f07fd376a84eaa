"""A champion is swapped under load: no request fails, each answer names its model; a bad one is refused, saying why."""

from __future__ import annotations

import asyncio
import shutil
import time
from collections import Counter
from pathlib import Path

import httpx
import pytest
from anyio.from_thread import start_blocking_portal

from serving.app import create_app
from serving.models import challenger, promotion, swap
from serving.models.candidate import CandidateError, load_candidate
from serving.opening import open_engine
from serving.settings import STARTER, Settings
from serving.store import Store
from training.manifest import BundleError, Manifest, read_manifest, write_manifest

RATE = 100
SECONDS = 4.0


def bundle_named(name: str, folder: Path) -> Path:
    """The starter bundle under another name, whole and valid."""
    shutil.copytree(STARTER, folder)
    write_manifest(folder, read_manifest(folder).model_copy(update={"name": name}))
    return folder


@pytest.fixture(scope="module")
def other(tmp_path_factory):
    return bundle_named("other", tmp_path_factory.mktemp("bundles") / "other")


@pytest.fixture
def running(tmp_path, monkeypatch):
    """A service with a store, its works quick to look."""
    monkeypatch.setattr(swap, "FOLLOW_S", 0.1)
    monkeypatch.setattr(challenger, "LOOK_S", 0.1)
    settings = Settings(store=str(tmp_path / "store.db"), log="off")
    app = create_app(lambda: open_engine(settings), settings)
    with start_blocking_portal() as portal:
        lifespan = portal.wrap_async_context_manager(app.router.lifespan_context(app))
        with lifespan:
            transport = httpx.ASGITransport(app)
            http = httpx.AsyncClient(transport=transport, base_url="http://127.0.0.1", timeout=60)
            yield portal, http, settings


def until(found, seconds=40.0):
    end = time.monotonic() + seconds
    while time.monotonic() < end:
        if value := found():
            return value
        time.sleep(0.05)
    raise AssertionError(f"not within {seconds} s")


async def load(http, seconds, after_a_second):
    """Ask at a steady pace, never more at once than the service admits: a slow machine asks less often."""
    gate, answers, tasks = asyncio.Semaphore(32), [], []

    async def ask(number):
        async with gate:
            answers.append(await http.post("/v1/score", json={"id": f"l{number}", "title": "나무 딸랑이"}))

    began, told, number = time.monotonic(), None, 0
    while time.monotonic() - began < seconds:
        tasks.append(asyncio.create_task(ask(number)))
        number += 1
        if told is None and time.monotonic() - began > 1:
            told = asyncio.create_task(asyncio.to_thread(after_a_second))
        await asyncio.sleep(max(0.0, began + number / RATE - time.monotonic()))
        while len(tasks) - len(answers) > 200:
            await asyncio.sleep(0.01)
    await asyncio.gather(*tasks, *([told] if told else []))
    return answers


def test_the_champion_is_swapped_under_load_without_a_failed_request(running, other):
    portal, http, settings = running
    shelf = Path(f"{settings.store}.bundles")

    def promote():
        with Store(settings.store) as store:
            kept = promotion.keep(other, shelf)
            promotion.promote(store, kept, "ann", verdict=None, why="a test")
            until(lambda: [s for s in promotion.spells(store) if s.version == kept.version])

    answers = portal.call(load, http, SECONDS, promote)
    assert Counter(answer.status_code for answer in answers) == {200: len(answers)}
    versions = [answer.json()["model_version"] for answer in answers]
    old, new = f"starter+{read_manifest(STARTER).digest[:8]}", f"other+{read_manifest(other).digest[:8]}"
    assert set(versions) <= {old, new}
    assert versions[0] == old
    last = portal.call(lambda: http.post("/v1/score", json={"id": "x", "title": "나무 딸랑이"})).json()
    assert last["model_version"] == new
    assert portal.call(lambda: http.get("/v1/model")).json()["model_version"] == new
    with Store(settings.store) as store:
        for answer in (answers[0].json(), last):  # the record names the model that the answer named
            assert store.decision(answer["decision_id"]).model_version == answer["model_version"]
        spells = promotion.spells(store)
        assert [spell.version for spell in spells] == [new, old]
        assert spells[0].until is None
        assert spells[1].until == spells[0].since
        promotion.roll_back(store, "bob", "a test")
        until(lambda: promotion.spells(store)[0].version == old)


def test_a_champion_that_was_changed_is_refused_and_the_service_goes_on(running, other, tmp_path):
    portal, http, settings = running
    with Store(settings.store) as store:
        kept = promotion.keep(other, tmp_path / "shelf")
        (kept.folder / "terms.json").write_text("{}")
        promotion.promote(store, kept, "ann", verdict=None, why="a test")
        refused = until(lambda: promotion.events_of(store, promotion.REFUSED))[0]
        assert refused.version == kept.version
        assert "terms.json" in refused.body["why"]
        answer = portal.call(lambda: http.post("/v1/score", json={"id": "x", "title": "나무 딸랑이"}))
        assert answer.status_code == 200
        assert answer.json()["model_version"].startswith("starter+")
        time.sleep(0.5)
        assert len(promotion.events_of(store, promotion.REFUSED)) == 1


def test_a_challenger_scores_in_shadow_and_is_compared(running, other, tmp_path):
    portal, http, settings = running
    with Store(settings.store) as store:
        kept = promotion.keep(other, tmp_path / "shelf")
        portal.call(lambda: http.post("/v1/score", json={"id": "before", "title": "나무 딸랑이"}))
        promotion.start_shadow(store, kept, "ann")
        for number in range(5):
            portal.call(
                lambda n=number: http.post("/v1/score", json={"id": f"s{n}", "title": "vinyl duck toy"})
            )
        report = until(lambda: (r := challenger.compare_shadow(store, kept.version)).pairs == 5 and r)
        assert report.mean_absolute_gap == 0  # the same weights under another name
        assert (report.failed, report.stricter, report.milder) == (0, 0, 0)
        promotion.stop_shadow(store, "ann")
        assert promotion.shadow_of(store) is None


def test_what_a_candidate_is_refused_for(tmp_path, other):
    with pytest.raises(CandidateError, match=r"expected mine\+1"):
        load_candidate(other, Settings(), "mine+1")
    wrong = tmp_path / "wrong"
    shutil.copytree(other, wrong)
    text = (wrong / "manifest.json").read_text().replace('"contract": 1', '"contract": 99')
    (wrong / "manifest.json").write_text(text)
    with pytest.raises(BundleError, match="contract 99"):
        load_candidate(wrong, Settings())
    strict = tmp_path / "strict"
    shutil.copytree(other, strict)
    manifest = read_manifest(strict)
    points = {name: dict.fromkeys(by, 0.0) for name, by in manifest.operating_points.items()}
    write_manifest(strict, Manifest.model_validate(manifest.model_dump() | {"operating_points": points}))
    with pytest.raises(CandidateError, match=r"canary book: decided \w+, expected at most monitor"):
        load_candidate(strict, Settings())
