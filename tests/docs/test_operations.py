"""The operations page names every setting and every counter, and none that does not exist."""

from __future__ import annotations

import re
from pathlib import Path

from features.errors import UserError
from serving.metrics import Metrics
from serving.readiness import ADVICE, of_start
from serving.settings import PREFIX
from serving.store.errors import SchemaError

ROOT = Path(__file__).parents[2]
PAGE = (ROOT / "docs" / "operations.md").read_text("utf-8")


def settings_in_code() -> set[str]:
    found: set[str] = set()
    for path in (ROOT / "serving").rglob("*settings.py"):
        text = path.read_text("utf-8")
        found |= {PREFIX + name for name in re.findall(r"reader\.(?:read|count)\(\s*\"([A-Z_]+)\"", text)}
        found |= set(re.findall(rf"\"({PREFIX}[A-Z_]+)\"", text))
    return found


def test_settings_are_all_there():
    named = set(re.findall(rf"{PREFIX}[A-Z_]+", PAGE))
    assert named == settings_in_code()


def test_counters_are_all_there():
    named = set(re.findall(r"`(listing_risk_[a-z_]+)`", PAGE))
    assert named == {metric.name for metric in Metrics().registry.collect()}


BROKEN = [line for line in PAGE.partition("## When things break")[2].splitlines() if line.startswith("| ")][
    1:
]


def test_every_cause_that_readiness_names_is_there():
    named = {cause for row in BROKEN for cause in re.findall(r"`([a-z-]+)`", row.split(" | ")[1])}
    told = {of_start(error).cause for error in (UserError(""), MemoryError(), KeyError(), SchemaError(""))}
    assert named == {*ADVICE, *told}


def test_every_fault_names_tests_that_exist():
    for row in BROKEN:
        tests = re.findall(r"`(tests/[\w/.]+)::(\w+)`", row)
        assert tests, row
        for path, name in tests:
            assert f"def {name}(" in (ROOT / path).read_text("utf-8"), (path, name)
