"""The operations page names every setting and every counter, and none that does not exist."""

from __future__ import annotations

import re
from pathlib import Path

from serving.metrics import Metrics
from serving.settings import PREFIX

ROOT = Path(__file__).parents[2]
PAGE = (ROOT / "docs" / "operations.md").read_text("utf-8")


def settings_in_code() -> set[str]:
    found: set[str] = set()
    for path in (ROOT / "serving").rglob("*settings.py"):
        text = path.read_text("utf-8")
        found |= {PREFIX + name for name in re.findall(r"reader\.(?:read|count)\(\"([A-Z_]+)\"", text)}
        found |= set(re.findall(rf"\"({PREFIX}[A-Z_]+)\"", text))
    return found


def test_settings_are_all_there():
    named = set(re.findall(rf"{PREFIX}[A-Z_]+", PAGE))
    assert named == settings_in_code()


def test_counters_are_all_there():
    named = set(re.findall(r"`(listing_risk_[a-z_]+)`", PAGE))
    assert named == {metric.name for metric in Metrics().registry.collect()}
