"""Audit and retention on the command line, over a store that the service's own parts filled."""

from __future__ import annotations

import asyncio
import json
from datetime import UTC, datetime
from pathlib import Path

import pytest
import sqlalchemy as sa
from click.testing import CliRunner

from features.schema import parse_listing
from serving.cli import main
from serving.keeping import checkpoint_folder
from serving.models.in_force import note_loaded
from serving.predictor import load_predictor
from serving.settings import Settings
from serving.store import Store, StoreSink

LISTING = {"id": "1", "title": "유아 목욕놀이 말랑말랑 비닐 오리 장난감", "price": 3900, "currency": "KRW"}


def run(*arguments):
    return CliRunner().invoke(main, [str(part) for part in arguments], catch_exceptions=False)


@pytest.fixture(scope="module")
def predictor():
    return load_predictor(Settings(), clock=lambda: datetime(2026, 11, 22, tzinfo=UTC))


@pytest.fixture
def filled(store_url, predictor, monkeypatch, tmp_path):
    """A store with one decision of the starter bundle; its address and the decision."""
    monkeypatch.setenv("XDG_STATE_HOME", str(tmp_path / "state"))
    listing = parse_listing(LISTING)
    decision = predictor.decide([listing], "always")[0]
    with Store(store_url) as store:
        note_loaded(store, predictor, Settings())
        note_loaded(store, predictor, Settings())
        asyncio.run(StoreSink(store).record([decision], [listing]))
        assert store.head().seq == 3, "model, policy, decision: what is loaded is noted once"
    return store_url, decision


def test_verify_says_what_is_proven(filled):
    url, _ = filled
    before = run("audit", "verify", "--store", url)
    assert before.exit_code == 0, before.output
    assert (
        "everything holds: 3 rows" in before.output
        and "proven by 0 signed checkpoints: 0 rows" in before.output
    )
    assert "signed: " in run("audit", "checkpoint", "--store", url).output
    assert "nothing was added" in run("audit", "checkpoint", "--store", url).output
    report = json.loads(run("audit", "verify", "--store", url, "--json").output)
    assert report["intact"] and report["proven_rows"] == 3 and report["unproven_rows"] == 0


def test_verify_takes_the_key_that_it_is_told(filled):
    url, _ = filled
    run("audit", "checkpoint", "--store", url)
    said = run("audit", "keys", "--store", url).output
    key = said.split()[2]
    assert run("audit", "verify", "--store", url, "--public-key", key).exit_code == 0
    forged = run("audit", "verify", "--store", url, "--public-key", "00" * 32)
    assert forged.exit_code == 1 and "checkpoint: " in forged.output
    assert run("audit", "verify", "--store", url, "--public-key", "xyz").exit_code == 2


def test_verify_finds_what_was_altered(filled):
    url, _ = filled
    with Store(url) as store, store.engine.begin() as connection:
        connection.execute(sa.text("UPDATE listings SET state = 'off_sale'"))
    done = run("audit", "verify", "--store", url)
    assert done.exit_code == 1 and "state: listing" in done.output and "1 problems" in done.output


def test_replay_comes_out_equal_with_what_the_store_noted(filled):
    url, decision = filled
    done = run("audit", "replay", decision.decision_id, "--store", url)
    assert done.exit_code == 0, done.output
    assert "equal: all" in done.output and decision.model_version in done.output
    fields = json.loads(run("audit", "replay", decision.decision_id, "--store", url, "--json").output)
    assert fields["equal"] and all(field["equal"] for field in fields["fields"])
    unknown = run("audit", "replay", "nothing", "--store", url)
    assert unknown.exit_code == 2 and "no decision" in unknown.stderr


def test_erased_text_is_said_to_be_erased(filled):
    url, decision = filled
    done = run("retention", "erase", "--keep-days", "0", "--store", url, "--actor", "officer")
    assert done.exit_code == 0 and done.output.startswith("1 decisions' text and photos")
    replayed = run("audit", "replay", decision.decision_id, "--store", url)
    assert replayed.exit_code == 1 and "was erased at" in replayed.output
    verified = run("audit", "verify", "--store", url)
    assert verified.exit_code == 0 and "1 with erased text" in verified.output


def test_a_store_that_is_not_there_is_an_outside_failure(tmp_path, monkeypatch):
    monkeypatch.setenv("XDG_STATE_HOME", str(tmp_path))
    done = run("audit", "verify", "--store", "postgresql://nobody@127.0.0.1:1/none")
    assert done.exit_code == 3 and "error" in done.stderr


def test_checkpoints_lie_beside_the_file_or_in_the_state_folder(tmp_path):
    environ = {"XDG_STATE_HOME": str(tmp_path)}
    assert checkpoint_folder(f"{tmp_path}/a.db", environ) == Path(f"{tmp_path}/a.db.checkpoints")
    first = checkpoint_folder("postgresql://u:secret@db/one", environ)
    assert first == checkpoint_folder("postgresql://u:changed@db/one", environ)
    assert first != checkpoint_folder("postgresql://u@db/two", environ)
    assert first.parent == tmp_path / "listing-risk" / "checkpoints"


def test_a_store_in_which_nothing_was_recorded_is_not_the_one_that_was_meant(tmp_path, empty_store_url):
    for address in (empty_store_url, str(tmp_path / "typo.db")):
        for command in (("verify",), ("replay", "x"), ("checkpoint",)):
            done = run("audit", *command, "--store", address)
            assert done.exit_code == 2 and "nothing was ever recorded" in " ".join(done.stderr.split())
    assert not (tmp_path / "typo.db").exists()


def test_the_demonstrations_store_has_a_name(tmp_path, monkeypatch):
    monkeypatch.setenv("XDG_STATE_HOME", str(tmp_path))
    with Store(str(default_folder(tmp_path) / "demo.db")):
        pass
    assert "everything holds" in run("audit", "verify", "--store", "demo").output


def default_folder(home):
    folder = home / "listing-risk"
    folder.mkdir()
    return folder
