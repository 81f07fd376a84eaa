"""Every command is on the page of commands, has examples, and the examples name options that exist."""

from __future__ import annotations

import re
import shlex
from collections.abc import Iterator
from pathlib import Path

import click
import pytest

from serving.cli import main

PAGE = (Path(__file__).parents[2] / "docs" / "commands.md").read_text(encoding="utf-8")


def leaves(group: click.Group, path: tuple[str, ...] = ()) -> Iterator[tuple[tuple[str, ...], click.Command]]:
    for name, command in sorted(group.commands.items()):
        if isinstance(command, click.Group):
            yield from leaves(command, (*path, name))
        else:
            yield (*path, name), command


COMMANDS = dict(leaves(main))
NO_EXAMPLE = frozenset(
    {
        "list",
        "size",
        "look-back",
        "remove",
        "quarantine",
        "bank",
        "lift",
        "cases",
        "confirm",
        "orders",
        "refunds",
    }
    | {"settle", "history", "demo-loop"}
)


def test_the_page_lists_exactly_what_there_is():
    listed = re.findall(r"^\| `listing-risk ([a-z -]+)` \|", PAGE, re.MULTILINE)
    assert sorted(listed) == sorted(" ".join(path) for path in COMMANDS)
    assert len(set(listed)) == len(listed)


@pytest.mark.parametrize("path", COMMANDS, ids=" ".join)
def test_a_command_says_what_it_does(path):
    command = COMMANDS[path]
    assert command.help and command.help.strip()
    assert path[-1] in NO_EXAMPLE or "Example" in command.help, "an example says more than a list of options"
    for option in command.params:
        if isinstance(option, click.Option) and option.name not in {"state", "bank", "port", "seed"}:
            assert option.help, option.name


def examples() -> Iterator[tuple[str, tuple[str, ...]]]:
    for path, command in COMMANDS.items():
        for line in (command.help or "").splitlines():
            found = re.match(r"\s+(?:\S+=\S+ )?(?:.*\| )?listing-risk (.*)", line)
            if found:
                yield found[1], path


@pytest.mark.parametrize(
    ("line", "path"), list(examples()), ids=lambda part: part if isinstance(part, str) else ""
)
def test_an_example_is_of_its_command_and_its_options_exist(line, path):
    words = shlex.split(line)
    assert tuple(words[: len(path)]) == path
    known = {name for option in COMMANDS[path].params for name in option.opts + option.secondary_opts}
    used = {
        word.partition("=")[0] for word in words[len(path) :] if re.fullmatch(r"--?[a-z][a-z-]*(=.*)?", word)
    }
    assert used <= known, used - known
