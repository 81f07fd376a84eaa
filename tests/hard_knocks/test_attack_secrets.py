"""Webhooks' secrets in a stolen database, and events forged, altered and replayed."""

from __future__ import annotations

import json
import sqlite3
from datetime import UTC, datetime, timedelta

import pytest
from click.testing import CliRunner
from standardwebhooks import Webhook, WebhookVerificationError

from serving.cli import main
from serving.events.vault import SecretVault, VaultError, new_key
from serving.events.webhooks import EndpointDesk, sign
from serving.settings import read_settings
from serving.store import Store

NOW = datetime(2026, 11, 23, 9, 0, tzinfo=UTC)
URL = "https://shop.example/hooks"


def desk_of(store, *keys):
    return EndpointDesk(store, resolve=lambda host, port: ["8.8.8.8"], vault=SecretVault(keys))


def test_a_stolen_database_signs_nothing(tmp_path):
    """Neither the file nor its journal holds the secret."""
    path = tmp_path / "store.db"
    with Store(str(path)) as store:
        desk = desk_of(store, new_key())
        endpoint, secret = desk.register(URL, [], "kim", NOW)
        newer = desk.rotate(endpoint.endpoint_id, "kim", NOW)
        assert desk.secrets(endpoint.endpoint_id, NOW) == (newer, secret)
    bare = secret.removeprefix("whsec_").encode()
    for file in tmp_path.rglob("*"):
        if file.is_file():
            assert bare not in file.read_bytes(), file.name
    kept = [row[0] for row in sqlite3.connect(path).execute("SELECT secret FROM webhook_secrets")]
    assert len(kept) == 2 and all(one.startswith("fernet:") for one in kept)


def test_keys_of_the_database_are_changed_without_a_gap(store_url):
    old, new = new_key(), new_key()
    with Store(store_url) as store:
        first, plain = desk_of(store).register(URL, [], "kim", NOW)
        desk = desk_of(store, old)
        assert desk.secrets(first.endpoint_id, NOW) == (plain,), (
            "what was there before a key was set still signs"
        )
        second, sealed = desk.register(URL, [], "kim", NOW)
        assert desk.reseal("kim") == 1 and desk.reseal("kim") == 0
        both = desk_of(store, new, old)
        assert both.reseal("kim") == 2
        last = desk_of(store, new)
        assert last.secrets(first.endpoint_id, NOW) == (plain,)
        assert last.secrets(second.endpoint_id, NOW) == (sealed,)
        with pytest.raises(VaultError, match="no key opens"):
            desk_of(store, old).secrets(first.endpoint_id, NOW)
        with pytest.raises(VaultError, match="no key opens"):
            desk_of(store, new_key()).reseal("kim")
        with pytest.raises(VaultError, match="no key is set"):
            desk_of(store).secrets(first.endpoint_id, NOW)
        assert last.secrets(first.endpoint_id, NOW) == (plain,), "a reseal that fails changes nothing"


def test_a_secret_moved_to_another_endpoint_does_not_open(tmp_path):
    """Whoever writes to the database cannot have a consumer's events signed with a secret that he knows."""
    path = tmp_path / "store.db"
    with Store(str(path)) as store:
        desk = desk_of(store, new_key())
        mine, _ = desk.register(URL, [], "mallory", NOW)
        theirs, _ = desk.register(URL, [], "kim", NOW)
        with sqlite3.connect(path) as connection:
            (kept,) = connection.execute(
                "SELECT secret FROM webhook_secrets WHERE endpoint_id = ?", (mine.endpoint_id,)
            ).fetchone()
            connection.execute(
                "UPDATE webhook_secrets SET secret = ? WHERE endpoint_id = ?", (kept, theirs.endpoint_id)
            )
        with pytest.raises(VaultError, match="another one's"):
            desk.secrets(theirs.endpoint_id, NOW)


def test_a_service_without_the_key_does_not_start_and_says_so(tmp_path):
    from serving.loading import check_settings

    path, key = str(tmp_path / "store.db"), new_key()
    with Store(path) as store:
        desk_of(store, key).register(URL, [], "kim", NOW)
    settings = {"LISTING_RISK_STORE": path}
    with pytest.raises(VaultError, match="LISTING_RISK_SECRET_KEYS"):
        check_settings(read_settings(settings))
    check_settings(read_settings(settings | {"LISTING_RISK_SECRET_KEYS": key}))
    file = tmp_path / "secret.keys"
    file.write_text(f"# this year's\n{key}\n", "utf-8")
    check_settings(read_settings(settings | {"LISTING_RISK_SECRET_KEYS_FILE": str(file)}))


@pytest.mark.parametrize("given", ["short", "x" * 44, "ключ", "AAAA,BBBB"])
def test_what_is_no_key_is_refused_and_not_repeated(given):
    from features.errors import UserError

    with pytest.raises(UserError, match="LISTING_RISK_SECRET_KEYS") as refused:
        read_settings({"LISTING_RISK_SECRET_KEYS": given})
    assert given not in str(refused.value)
    assert "secret_keys" not in repr(read_settings({"LISTING_RISK_SECRET_KEYS": new_key()}))


def test_the_commands_make_a_key_and_reseal(tmp_path):
    run, store = CliRunner(), str(tmp_path / "store.db")
    key = run.invoke(main, ["events", "key"]).stdout.strip()
    with Store(store) as opened:
        desk_of(opened).register(URL, [], "kim", NOW)
    done = run.invoke(main, ["events", "reseal", "--store", store], env={"LISTING_RISK_SECRET_KEYS": key})
    assert done.exit_code == 0 and json.loads(done.stdout) == {"resealed": 1}
    without = run.invoke(main, ["events", "reseal", "--store", store])
    assert without.exit_code == 2


def test_events_that_are_forged_altered_or_replayed_late_are_refused():
    """By what the documents name: the signature covers id, time and body, the time holds for five minutes."""
    import secrets as randomness
    from base64 import b64encode

    ours, other = ("whsec_" + b64encode(randomness.token_bytes(32)).decode() for _ in range(2))
    body, at = b'{"type": "item.blocked"}', datetime.now(UTC)
    headers = sign([ours], "msg-1", at, body)
    assert Webhook(ours).verify(body, headers)
    late = sign([ours], "msg-1", at - timedelta(minutes=6), body)
    early = sign([ours], "msg-1", at + timedelta(minutes=6), body)
    attacks = [
        (other, body, headers),  # signed with another secret
        (ours, body.replace(b"blocked", b"allowed"), headers),
        (ours, body, headers | {"webhook-id": "msg-2"}),  # replayed as another event
        (ours, body, headers | {"webhook-timestamp": str(int(at.timestamp()) + 60)}),  # made younger
        (ours, body, late),
        (ours, body, early),
        (ours, body, headers | {"webhook-signature": headers["webhook-signature"].replace("v1,", "v0,")}),
        (ours, body, {name: value for name, value in headers.items() if name != "webhook-signature"}),
    ]
    for secret, content, sent in attacks:
        with pytest.raises(WebhookVerificationError):
            Webhook(secret).verify(content, sent)
