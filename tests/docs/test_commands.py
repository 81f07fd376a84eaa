"""Every command that a page shows as typed at a prompt is typed, in the page's order, in an empty folder.

What a command needs that the page does not show stands in comments right before its block, which readers do not see:

* ``<!-- first: COMMAND -->`` is run before it; ``export NAME=VALUE`` holds for the rest of the page;
* ``<!-- where NAME is: COMMAND -->`` puts what the command prints in NAME's place;
* ``<!-- typed: LINE | LINE -->`` is what a person types when asked;
* ``<!-- not run: REASON -->`` leaves the block out, for a reason of `OUTSIDE`;
* ``<!-- run -->`` has a block of Python run, which is otherwise only read;
* ``<!-- continues: PAGE -->`` at a page's head has it go on in the folder that another page left.
"""

from __future__ import annotations

import os
import re
import shlex
import shutil
import socket
import subprocess
import sys
from contextlib import chdir
from dataclasses import dataclass, field
from pathlib import Path

import pytest
from click.testing import CliRunner

from serving.cli import main

ROOT = Path(__file__).parents[2]
PAGES = sorted(
    path
    for path in (*(ROOT / "docs").rglob("*.md"), ROOT / "README.md", ROOT / "SECURITY.md")
    if "```console" in path.read_text("utf-8") and not path.name.endswith(".ko.md")
)
OUTSIDE = ("the internet", "PostgreSQL", "docker", "kubernetes", "a GPU", "ends only", "hours")
_BLOCK = re.compile(r"((?:^<!-- .*? -->\n)*)^```(console|python)\n(.*?)^```", re.M | re.S)
_NOTE = re.compile(r"<!-- (first|where (\w+) is|typed|not run): (.*?) -->")
_SHELL = re.compile(r"[|<>;&$`*]")
# These start processes that outlive or replace their own.
_IN_A_PROCESS = ("serve", "demo", "demo-loop")
# These take long, and what they do has tests of its own, in test_demo_loop.py and test_registry.py; typed with --long.
_TYPED_ELSEWHERE = (
    "listing-risk demo-loop --output loop",
    "listing-risk train --config mine/listing-risk.yaml --data mine --as-of 2025-12-31 --output bundle --track",
)


@dataclass
class Block:
    """Commands of one block, and what its comments say."""

    commands: list[str]
    python: str = ""
    first: list[str] = field(default_factory=list)
    where: dict[str, str] = field(default_factory=dict)
    typed: str = ""
    not_run: str = ""


def blocks(page: Path) -> list[Block]:
    found = []
    for notes, kind, text in _BLOCK.findall(page.read_text("utf-8")):
        if kind == "python":
            if "<!-- run -->" in notes:
                found.append(Block([], text))
            continue
        lines = text.replace("\\\n", " ").splitlines()
        block = Block([line[2:] for line in lines if line.startswith("$ ")])
        for note, name, said in _NOTE.findall(notes):
            if name:
                block.where[name] = said
            elif note == "first":
                block.first.append(said)
            elif note == "typed":
                block.typed = "".join(f"{line.strip()}\n" for line in said.split("|"))
            else:
                block.not_run = said
        found.append(block)
    return found


def commands(page: Path) -> list[str]:
    return [command for block in blocks(page) for command in block.commands]


def continues(page: Path) -> str:
    found = re.search(r"^<!-- continues: (\S+) -->$", page.read_text("utf-8"), re.M)
    return found[1] if found else ""


def headings(page: Path) -> list[int]:
    text = re.sub(r"^```.*?^```", "", page.read_text("utf-8"), flags=re.M | re.S)
    return [len(marks) for marks in re.findall(r"^(#+) ", text, re.M)]


class Reader:
    """Somebody who types what the pages say, in a folder and with a home of their own."""

    def __init__(self, folder: Path) -> None:
        with socket.socket() as probe:
            probe.bind(("127.0.0.1", 0))
            self.port = str(probe.getsockname()[1])
        self.folder = folder
        self.environ = {k: v for k, v in os.environ.items() if not k.startswith("LISTING_RISK_")} | {
            "PATH": f"{Path(sys.executable).parent}{os.pathsep}{os.environ['PATH']}",
            "HOME": str(folder),
            "XDG_STATE_HOME": str(folder / "state"),
            "PYTHONPATH": str(ROOT),
            "PACKAGE": str(ROOT),
        }
        # What make does with them, without installing once more.
        self.instead = {
            "make run DETACH=1": f"listing-risk demo --detach --port {self.port}",
            "make stop": f"listing-risk demo --stop --port {self.port}",
        }

    def do(self, block: Block) -> None:
        for line in block.first:
            name, found, value = line.removeprefix("export ").partition("=")
            if found and line.startswith("export "):
                self.environ[name] = self.shell(f"printf %s {value}").strip()
            else:
                self.shell(line)
        known = {name: self.shell(line).strip() for name, line in block.where.items()}
        if block.python:
            with chdir(self.folder):
                exec(compile(block.python, "a page", "exec"), {})
        for command in block.commands:
            line = self.instead.get(command, command)
            for name, value in known.items():
                line = re.sub(rf"\b{name}\b", value, line)
            self.type(line, block.typed)

    def type(self, line: str, typed: str) -> None:
        words = shlex.split(line, comments=True)
        plain = not _SHELL.search(line.partition("  #")[0])
        if plain and words[:1] == ["listing-risk"] and words[1] not in _IN_A_PROCESS:
            said = self.call(words[1:], typed)
        else:
            name, found, value = line.removeprefix("export ").partition("=")
            if found and line.startswith("export "):
                self.environ[name] = self.shell(f"printf %s {value}").strip()
                return
            said = self.shell(line, typed)
        assert said or line.startswith(("mkdir", "echo")) or ">" in line, line

    def call(self, words: list[str], typed: str) -> str:
        """Run a command of ours here: the start of a process for each would take longer than all of them."""
        with chdir(self.folder), pytest.MonkeyPatch.context() as patch:
            for name in os.environ.keys() - self.environ.keys():
                patch.delenv(name)
            for name, value in self.environ.items():
                patch.setenv(name, value)
            done = CliRunner().invoke(main, words, input=typed or None)
        if done.exception is not None and not isinstance(done.exception, SystemExit):
            raise done.exception
        assert done.exit_code == 0, f"{words}\n{done.output[-3000:]}"
        return done.output

    def shell(self, line: str, typed: str = "") -> str:
        line = line.replace(":3000", f":{self.port}")
        done = subprocess.run(
            ["bash", "-eu", "-o", "pipefail", "-c", line], cwd=self.folder, env=self.environ, input=typed,
            capture_output=True, text=True, timeout=600, check=False,
        )  # fmt: skip
        assert done.returncode == 0, f"{line}\n{done.stdout[-2000:]}\n{done.stderr[-2000:]}"
        return done.stdout or done.stderr


def sessions() -> list[list[Path]]:
    """Pages in the order of reading, those that continue others after them."""
    heads = [page for page in PAGES if not continues(page)]
    return [[head, *(page for page in PAGES if continues(page) == head.name)] for head in heads]


@pytest.mark.parametrize("pages", sessions(), ids=lambda pages: "+".join(page.stem for page in pages))
def test_commands_of_the_pages_work(pages, tmp_path, long):
    shutil.copytree(ROOT / "docs" / "examples", tmp_path / "docs" / "examples")
    reader, done = Reader(tmp_path), {"make stop"} | set(() if long else _TYPED_ELSEWHERE)
    try:
        for page in pages:
            for block in blocks(page):
                block.commands = [c for c in block.commands if c not in done]
                if not block.not_run and (block.commands or block.python):
                    reader.do(block)
                    done.update(block.commands)
    finally:
        if "make run DETACH=1" in done:
            reader.shell(reader.instead["make stop"])


@pytest.mark.parametrize("page", PAGES, ids=lambda page: page.stem)
def test_what_is_not_run_needs_something_from_outside(page):
    for block in blocks(page):
        assert not block.not_run or any(need in block.not_run for need in OUTSIDE), block
        assert block.commands or block.python, "a block of this kind shows commands after $"


def test_what_another_test_types_is_on_a_page():
    assert set(_TYPED_ELSEWHERE) <= {command for page in PAGES for command in commands(page)}


def test_commands_are_not_hidden_in_other_blocks():
    for page in (*(ROOT / "docs").rglob("*.md"), ROOT / "README.md", ROOT / "SECURITY.md"):
        for kind, text in re.findall(r"^```(\w*)\n(.*?)^```", page.read_text("utf-8"), re.M | re.S):
            if kind != "console":
                assert not re.search(r"^\$? ?(listing-risk|make|pip|docker|curl) ", text, re.M), (page, text)


TRANSLATED = sorted(path for path in (*(ROOT / "docs").glob("*.ko.md"), ROOT / "README.ko.md"))


@pytest.mark.parametrize("korean", TRANSLATED, ids=lambda page: page.name)
def test_the_korean_page_is_in_step(korean):
    english = korean.with_name(korean.name.replace(".ko.md", ".md"))

    def typed(page: Path) -> list[str]:
        return [command.partition("  #")[0].strip() for command in commands(page)]

    assert typed(korean) == typed(english)
    assert headings(korean) == headings(english)


def test_the_pages_that_a_korean_reader_starts_with_are_there():
    assert {path.name for path in TRANSLATED} >= {
        "README.ko.md",
        "index.ko.md",
        "quickstart.ko.md",
        "own-data.ko.md",
    }
