"""Every command that a page shows as typed at a prompt is typed, in the page's order, in an empty folder."""

from __future__ import annotations

import os
import re
import shutil
import socket
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]
PAGES = sorted(
    path
    for path in [ROOT / "docs" / name for name in ("quickstart.md", "own-data.md")]
    if "```console" in path.read_text("utf-8")
)


def commands(page: Path) -> list[str]:
    """Commands of a page; a line that ends in a backslash goes on in the next."""
    blocks = re.findall(r"```console\n(.*?)```", page.read_text("utf-8"), re.S)
    lines = "\n".join(blocks).replace("\\\n", " ").splitlines()
    return [line[2:] for line in lines if line.startswith("$ ")]


@pytest.mark.parametrize("name", ["quickstart", "own-data"])
def test_the_korean_page_shows_the_same_commands(name):
    assert commands(ROOT / "docs" / f"{name}.md") == commands(ROOT / "docs" / f"{name}.ko.md")


@pytest.fixture
def folder(tmp_path):
    shutil.copytree(ROOT / "docs" / "examples", tmp_path / "docs" / "examples")
    return tmp_path


@pytest.mark.parametrize("page", PAGES, ids=lambda path: path.stem)
def test_commands_of_the_page_work(page, folder):
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port = str(probe.getsockname()[1])
    # What make does with them, without installing once more.
    instead = {
        "make run DETACH=1": f"listing-risk demo --detach --port {port}",
        "make stop": f"listing-risk demo --stop --port {port}",
    }
    environment = {k: v for k, v in os.environ.items() if not k.startswith("LISTING_RISK_")} | {
        "PATH": f"{Path(sys.executable).parent}{os.pathsep}{os.environ['PATH']}",
        "HOME": str(folder),
        "XDG_STATE_HOME": str(folder / "state"),
        "PYTHONPATH": str(ROOT),
    }
    try:
        for command in commands(page):
            line = instead.get(command, command.replace(":3000", f":{port}"))
            done = subprocess.run(
                ["bash", "-eu", "-o", "pipefail", "-c", line],
                cwd=folder, env=environment, capture_output=True, text=True, timeout=240, check=False,
            )  # fmt: skip
            assert done.returncode == 0, f"{line}\n{done.stdout[-2000:]}\n{done.stderr[-2000:]}"
            assert done.stdout or done.stderr or line.startswith(("mkdir", "echo")), line
    finally:
        subprocess.run(
            ["bash", "-c", instead["make stop"]],
            cwd=folder,
            env=environment,
            capture_output=True,
            check=False,
        )
