"""No regular expression of ours can be made to run for ever: each is analysed, and each is pumped.

Collected while everything is imported and listings are decided about, so that patterns made from data are among them.
"""

from __future__ import annotations

import json
import resource
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]
CPU_SECONDS = 300
"""A machine's worth of patience: what backtracks without end needs longer than any limit, what is ours a second."""

COLLECT = r"""
import importlib, json, pkgutil, re, sys, warnings
warnings.simplefilter("ignore")
root = sys.argv[1] + "/"
seen, compile_ = {}, re._compile

def noted(pattern, flags):
    frame = sys._getframe(1)
    for _ in range(6):
        if frame is None:
            break
        place = frame.f_code.co_filename
        if place.startswith(root) and "/.venv/" not in place:
            if isinstance(pattern, str):
                seen.setdefault((pattern, int(flags)), f"{place[len(root):]}:{frame.f_lineno}")
            break
        frame = frame.f_back
    return compile_(pattern, flags)

re._compile = noted
for name in ("features", "training", "serving"):
    package = importlib.import_module(name)
    for module in pkgutil.walk_packages(package.__path__, name + "."):
        if "migrations" not in module.name and module.name != "serving.batch.on_ray":
            importlib.import_module(module.name)
from features.schema import parse_listing
from serving.predictor import load_predictor
from serving.run import sample_listings
from serving.settings import Settings
load_predictor(Settings()).decide([parse_listing(one) for one in sample_listings()[:40]], explain="always")
print(json.dumps([[pattern, flags, where] for (pattern, flags), where in seen.items()]))
"""

PUMP = r"""
import json, re, sys
for pattern, flags, where in json.load(sys.stdin):
    compiled = re.compile(pattern, flags)
    # Pieces of the pattern's own words, since those are what leads far into it before it fails.
    own = re.sub(r"\\.|[\[\](){}?*+|^$.]", "", pattern)[:20] or "a"
    letters = {*own, " ", "a", "0", "가", "-", ".", "/", '"', "\n", ">", "%"}
    for pump in {*letters, own, own + " ", "a b", "0.", "1,000 ", "가나 ", '"a",', "a@a.", "://a/"}:
        text = pump * (1_200 // len(pump)) + "\x00!"
        print(where, json.dumps(pump), flush=True, file=sys.stderr)
        compiled.search(text), compiled.match(text), compiled.fullmatch(text)
print("done")
"""


def limited() -> None:
    resource.setrlimit(resource.RLIMIT_CPU, (CPU_SECONDS, CPU_SECONDS))


@pytest.fixture(scope="module")
def patterns() -> list[tuple[str, int, str]]:
    done = subprocess.run(
        [sys.executable, "-c", COLLECT, str(ROOT)],
        cwd=ROOT, capture_output=True, text=True, check=False, preexec_fn=limited,
    )  # fmt: skip
    assert done.returncode == 0, done.stderr[-2_000:]
    return [(pattern, flags, where) for pattern, flags, where in json.loads(done.stdout.splitlines()[-1])]


def test_no_pattern_can_be_made_to_backtrack_without_end(patterns):
    """By regexploit: nothing exponential, nothing of the third power of the text's length or more."""
    from regexploit.ast.sre import SreOpParser
    from regexploit.redos import find

    assert len(patterns) > 150
    bad = [
        (where, pattern, redos.starriness)
        for pattern, flags, where in patterns
        for redos in find(SreOpParser().parse_sre(pattern, flags))
        if redos.starriness > 2
    ]
    assert not bad


def test_the_analyser_knows_a_bad_one_when_it_sees_it():
    from regexploit.ast.sre import SreOpParser
    from regexploit.redos import find

    for pattern in (r"(x+x+)+y", r"(\w+\s?)*:", r"a*a*a*x"):
        assert any(redos.starriness > 2 for redos in find(SreOpParser().parse_sre(pattern, 0))), pattern


def test_every_pattern_ends_on_text_that_is_pumped_up(patterns):
    """In a process with a limit on its CPU seconds; the last line says which pattern was at work."""
    done = subprocess.run(
        [sys.executable, "-c", PUMP],
        input=json.dumps(patterns), capture_output=True, text=True, check=False, preexec_fn=limited,
    )  # fmt: skip
    assert done.stdout.strip() == "done", done.stderr[-500:]
