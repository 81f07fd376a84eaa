"""Each threat of SECURITY.md names tests that exist."""

from __future__ import annotations

import ast
import re
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]
NAMED = sorted(set(re.findall(r"`(tests/[\w/.:]+)`", (ROOT / "SECURITY.md").read_text("utf-8"))))


@pytest.mark.parametrize("named", NAMED)
def test_the_named_test_exists(named):
    path, _, name = named.partition("::")
    tree = ast.parse((ROOT / path).read_text("utf-8"))
    functions = {
        node.name for node in ast.walk(tree) if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef)
    }
    assert name in functions if name else functions


def test_every_threat_names_one():
    rows = [line for line in (ROOT / "SECURITY.md").read_text("utf-8").splitlines() if line.startswith("| ")][
        1:
    ]
    assert len(rows) > 20
    assert all("`tests/" in row for row in rows if not row.startswith("| threat"))
