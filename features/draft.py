"""Text under repair that remembers where each of its characters came from."""

from __future__ import annotations

import re
from collections.abc import Callable

Piece = tuple[str, int]
"""A character of the result and its position in the match it replaces."""

Change = Callable[[str], list[Piece] | None]
"""Pieces that replace a match; None leaves it as it is."""


class Draft:
    """Characters with the position of each in the text they were made from."""

    __slots__ = ("offsets", "text")

    def __init__(self, text: str, offsets: list[int]) -> None:
        self.text = text
        self.offsets = offsets

    def rewrite(self, pattern: re.Pattern[str], change: Change) -> None:
        """Replace each match by what ``change`` makes of it."""
        chars: list[str] = []
        offsets: list[int] = []
        done = 0
        for match in pattern.finditer(self.text):
            pieces = change(match[0])
            if pieces is None:
                continue
            start = match.start()
            chars.append(self.text[done:start])
            offsets += self.offsets[done:start]
            chars += [char for char, _ in pieces]
            offsets += [self.offsets[start + at] for _, at in pieces]
            done = match.end()
        if done:
            self.text = "".join(chars) + self.text[done:]
            self.offsets = offsets + self.offsets[done:]

    def same_length(self, text: str) -> None:
        """Put another text of the same length in place."""
        if len(text) != len(self.text):
            raise ValueError(f"Got a text of length {len(text)} but expected {len(self.text)}.")
        self.text = text

    def cut(self, start: int, end: int) -> None:
        """Drop a span."""
        self.text = self.text[:start] + self.text[end:]
        del self.offsets[start:end]

    def strip(self) -> None:
        """Drop blanks at both ends."""
        left = len(self.text) - len(self.text.lstrip())
        right = len(self.text.rstrip())
        if left or right < len(self.text):
            self.text, self.offsets = self.text[left:right], self.offsets[left:right]


def in_place(word: str) -> list[Piece] | None:
    """Pieces of a replacement as long as its match; None for the empty string."""
    return [(char, at) for at, char in enumerate(word)] or None


def first_only(run: str) -> list[Piece]:
    """Keep the first character of a run."""
    return [(run[0], 0)]


def blank(_: str) -> list[Piece]:
    """Turn a run into one space."""
    return [(" ", 0)]
