"""The documents build as a site without a warning, in both languages, and load nothing from outside."""

from __future__ import annotations

import re
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]


@pytest.fixture(scope="module")
def site(tmp_path_factory):
    folder = tmp_path_factory.mktemp("site")
    done = subprocess.run(
        [sys.executable, "-m", "mkdocs", "build", "--strict", "--quiet", "--site-dir", str(folder)],
        cwd=ROOT, capture_output=True, text=True, check=False,
    )  # fmt: skip
    assert done.returncode == 0, done.stdout + done.stderr
    return folder


def test_pages_in_both_languages(site):
    for page in ("", "quickstart/", "own-data/"):
        english = (site / page / "index.html").read_text("utf-8")
        korean = (site / "ko" / page / "index.html").read_text("utf-8")
        assert 'lang="en"' in english and 'lang="ko"' in korean
        assert re.search(r"[가-힣]{4}", korean)


def test_nothing_is_loaded_from_outside(site):
    for page in site.rglob("*.html"):
        text = page.read_text("utf-8")
        loaded = re.findall(r"<(?:script|img|iframe)[^>]+src=\"(https?:[^\"]+)\"", text)
        loaded += re.findall(
            r"<link[^>]+rel=\"(?:stylesheet|preconnect)\"[^>]+href=\"(https?:[^\"]+)\"", text
        )
        assert not loaded, (page, loaded)
