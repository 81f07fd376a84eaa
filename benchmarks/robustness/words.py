"""The word lists of the attacks (``attack_words.yaml``); imports nothing of what is attacked."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import cache
from pathlib import Path

import yaml

FILE = Path(__file__).with_name("attack_words.yaml")


@dataclass(frozen=True, slots=True)
class Lists:
    """Swaps by column name (``columns`` of the file), texts and words by language, Chinese characters by character."""

    swaps: tuple[Mapping[str, str], ...]
    bland: Mapping[str, Sequence[str]]
    story: Mapping[str, str]
    harmless: Mapping[str, Sequence[str]]
    parts_zh: Mapping[str, str]
    sounds_zh: Mapping[str, str]


@cache
def lists() -> Lists:
    """Read the file once."""
    raw = yaml.safe_load(FILE.read_text(encoding="utf-8"))
    swaps = tuple(dict(zip(raw["columns"], row, strict=True)) for row in raw["rows"])
    # Longer words first, so that "high chair" is not read as "chair".
    longest = tuple(sorted(swaps, key=lambda row: -len(row["en"])))
    return Lists(longest, raw["bland"], raw["story"], raw["harmless"], raw["parts_zh"], raw["sounds_zh"])
