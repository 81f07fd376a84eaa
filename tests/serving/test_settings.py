from __future__ import annotations

from pathlib import Path

import pytest

from serving.settings import Limits, Settings, SettingsError, read_settings, state_folder


def test_an_empty_environment_gives_the_defaults_on_the_loopback():
    assert read_settings({}) == Settings()
    assert Settings().host == "127.0.0.1"
    assert read_settings({"LISTING_RISK_PORT": "  "}) == Settings()


def test_every_variable_is_read():
    made = read_settings(
        {
            "LISTING_RISK_BUNDLE": "/b", "LISTING_RISK_POLICY": "/p.yaml", "LISTING_RISK_KC_REGISTER": "/k.csv",
            "LISTING_RISK_HOST": "::1", "LISTING_RISK_PORT": "8080", "LISTING_RISK_THREADS": "4",
            "LISTING_RISK_WORKERS": "2", "LISTING_RISK_LOG": "off", "LISTING_RISK_BODY_BYTES": "1",
            "LISTING_RISK_BODY_BYTES_MANY": "2", "LISTING_RISK_LISTINGS": "3", "LISTING_RISK_WAITING": "4",
            "LISTING_RISK_WAITING_MANY": "5", "LISTING_RISK_BODY_SECONDS": "0.5",
        }
    )  # fmt: skip
    assert made == Settings(
        Path("/b"), Path("/p.yaml"), Path("/k.csv"), "::1", 8080, 4, 2, "off", Limits(1, 2, 3, 4, 5, 0.5)
    )


def test_every_wrong_variable_is_named_at_once():
    with pytest.raises(SettingsError) as caught:
        read_settings(
            {
                "LISTING_RISK_PORT": "70000",
                "LISTING_RISK_HOST": "localhost;rm",
                "LISTING_RISK_LOG": "xml",
                "LISTING_RISK_BODY_BYTES": "1e6",
                "LISTING_RISK_BODY_SECONDS": "nan",
            }
        )
    text = str(caught.value)
    assert "LISTING_RISK_PORT: got '70000', expected a number from 1 to 65535" in text
    assert all(name in text for name in ("HOST", "LOG", "BODY_BYTES", "BODY_SECONDS"))


def test_what_is_kept_and_looked_at_is_set_by_variables(tmp_path):
    made = read_settings(
        {
            "LISTING_RISK_STORE": "postgresql://u@db/risk", "LISTING_RISK_CHECKPOINTS": "/worm",
            "LISTING_RISK_RETENTION_DAYS": "365", "LISTING_RISK_IMAGE_HOSTS": "img.example, *.cdn.example,",
            "LISTING_RISK_IMAGE_FOLDER": "/photos", "LISTING_RISK_MATCHER": "/m.safetensors",
        }
    )  # fmt: skip
    assert (made.store, made.checkpoints, made.retention_days) == (
        "postgresql://u@db/risk",
        Path("/worm"),
        365.0,
    )
    assert made.image_hosts == ("img.example", "*.cdn.example") and made.image_folder == Path("/photos")
    assert made.matcher == Path("/m.safetensors")
    assert read_settings({"LISTING_RISK_STORE": ""}).store == "", "nothing is recorded where nothing is named"
    with pytest.raises(SettingsError, match="RETENTION_DAYS"):
        read_settings({"LISTING_RISK_RETENTION_DAYS": "-1"})


def test_the_state_folder_is_the_users_own(tmp_path):
    assert state_folder({"XDG_STATE_HOME": str(tmp_path)}) == tmp_path / "listing-risk"
    assert state_folder({}) == Path.home() / ".local" / "state" / "listing-risk"
